//! Asking a system to take rows.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use syncline_model::schema::{ForeignKey, Index, UniqueKey};
use syncline_model::{Column, RowBatch, Table, TableName, Value};

use crate::read::RawChunk;
use crate::{Error, Result};

/// A table to be made at the destination, described in the *source's* columns (already renamed); the connector maps the types.
#[derive(Clone, Debug)]
pub struct NewTable {
    /// Its name at the destination.
    pub name: TableName,
    /// Columns as the destination will have them: the result of `Connector::map_column`.
    pub columns: Vec<Column>,
    /// Primary key.
    pub primary_key: Vec<String>,
    /// Unique keys.
    pub uniques: Vec<UniqueKey>,
    /// Foreign keys to tables that exist or are made by the same run.
    pub foreign_keys: Vec<ForeignKey>,
    /// Secondary indexes (the plain ones; others only within one engine).
    pub indexes: Vec<Index>,
    /// Comment.
    pub comment: Option<String>,
}

/// DDL of a new table, as it will be sent: `plan` prints exactly this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDdl {
    /// Makes the bare table.
    pub create: Vec<String>,
    /// Primary key, unique keys and indexes, after the rows are in. Some systems put the primary key into `create`.
    pub keys: Vec<String>,
    /// Foreign keys, after all tables of the run have their rows.
    pub foreign_keys: Vec<String>,
    /// Sets identity and sequences past the loaded keys.
    pub sequences: Vec<String>,
    /// Drops the table again, where DDL does not roll back with the transaction (R19).
    #[serde(default)]
    pub drop: Vec<String>,
    /// Constraints and defaults that could not be carried over, one sentence each: shown by `plan`.
    pub left_out: Vec<String>,
    /// Columns that are made narrower than they were asked for, because a key needs it: what does not fit them is refused by name.
    #[serde(default)]
    pub narrowed: Vec<Column>,
}

/// DDL of a table that is filled over several transactions under another name (R18).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadDdl {
    /// Makes the bare table under the other name, and drops it again.
    pub bare: TableDdl,
    /// Gives it its own name, then keys, foreign keys and sequences, once all rows are in. Where DDL commits by itself the name comes last,
    /// by [`Connector::rename_ddl`](crate::Connector::rename_ddl), and the keys are those of the table under its other name.
    pub place: TableDdl,
    /// Gives the table of that name its own comment. Where DDL commits by itself another one tells until then whose the table is.
    pub comment: Vec<String>,
}

/// How a source column fits a destination column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Every value fits.
    Exact,
    /// Some values may not; those rows are parked. The sentence says which.
    Checked(String),
    /// No value has an exact form there: refused at plan time, with the reason.
    Never(String),
}

/// What deleting means for a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum DeleteAction {
    /// The row is removed.
    Remove,
    /// A column is set (`deleted_at`, `archived_at`, `is_active`); rows already marked are left alone.
    Mark {
        /// The column.
        column: String,
        /// What it becomes.
        value: MarkValue,
        /// What it becomes again when the record comes back.
        live: MarkValue,
    },
}

/// The value of a mark.
#[derive(Clone, Debug, PartialEq)]
pub enum MarkValue {
    /// The system's clock at the statement.
    Now,
    /// A constant.
    Constant(Value),
}

/// Where the rows of a stream go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritePath {
    /// The table was made by this run: bulk load straight into it, keys and indexes after.
    Load,
    /// Bulk load straight into a table of the sync's own that several transactions fill before it gets its name (R18).
    Part,
    /// Bulk load into a staging table, then a set-based apply that leaves equal rows untouched.
    Stage,
}

impl WritePath {
    /// Rows land in the table itself, not in staging.
    #[must_use]
    pub fn is_straight(self) -> bool {
        match self {
            Self::Load | Self::Part => true,
            Self::Stage => false,
        }
    }
}

/// A table that is filled over several transactions before it gets its name (R18).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InParts {
    /// It is not.
    #[default]
    No,
    /// This transaction adds rows to it. Foreign keys of its rows are not looked at yet.
    Filling,
    /// It holds so many rows, and `create` gives it its keys. The run fails when they are not exactly as many.
    Filled(u64),
}

impl InParts {
    /// The rows that are in it already.
    #[must_use]
    pub fn filled(self) -> Option<u64> {
        match self {
            Self::Filled(rows) => Some(rows),
            Self::No | Self::Filling => None,
        }
    }
}

/// One stream of a staged run.
#[derive(Clone, Debug)]
pub struct StreamWrite {
    /// The stream's name, for messages.
    pub stream: String,
    /// The destination table, as `discover` gave it, or as it will be once `create` has run.
    pub table: Table,
    /// DDL when this run makes the table.
    pub create: Option<TableDdl>,
    /// Straight or staged.
    pub path: WritePath,
    /// Whether the table is filled over several transactions, and how far that is (R18).
    pub in_parts: InParts,
    /// Key columns (destination names); empty only with `Load` (a table without a key, whole rows).
    pub key: Vec<String>,
    /// The source sees to it that no two records have one key: a key that comes twice is one record read twice, and the last counts.
    /// Else rows of one key that differ are different records, and none of them may win.
    pub one_record_per_key: bool,
    /// The columns that batches carry, in their order; the key is among them, generated columns are not.
    pub columns: Vec<String>,
    /// Those whose difference makes an update. Others (stamps, `compare: false`) are written only along with one.
    pub compare: Vec<String>,
    /// Deletions of this stream.
    pub deletes: DeleteAction,
    /// A column set to the system's clock on rows created or updated, in the same statement (`synced_at`).
    pub stamp: Option<String>,
    /// Rows staged by `stage_expected` must still be found as they were, or the run fails as `Conflict` (R36, R40).
    pub expects: bool,
    /// Rejects beyond this many stop the run: `too_many_parked`.
    pub rejects_max: u64,
    /// Any reject of this stream fails the run and rolls everything back (`rows: strict`).
    pub strict: bool,
    /// Foreign keys of any table that point here: a removed row that one of them still needs is refused, not forced.
    pub referenced_by: Vec<Referrer>,
}

/// A foreign key seen from its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// The child table.
    pub table: TableName,
    /// Its foreign key.
    pub key: ForeignKey,
}

/// What the applying transaction writes about itself, so that a lost answer can be looked up (R24).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The sync's name.
    pub sync: String,
    /// Scope, `""` when unscoped.
    pub scope: String,
    /// `""` for the whole run, else the stream.
    pub stream: String,
    /// The run's id.
    pub run: String,
    /// Counts up within a run: 1 for the only transaction of `atomic: run`.
    pub step: u64,
}

/// A run's writes in one destination transaction.
#[derive(Clone, Debug)]
pub struct RunSpec {
    /// The marker written before COMMIT; also names staging tables.
    pub marker: Marker,
    /// The streams, in any order: the connector orders them by foreign key.
    pub streams: Vec<StreamWrite>,
    /// Before-images of at most this many changed rows are kept for `undo`; 0 switches it off.
    pub undo_rows_max: u64,
    /// Earlier runs whose before-images go with this run's commit: `undo` is kept for the latest runs only.
    pub forget: Vec<String>,
}

/// A record that was set aside.
#[derive(Clone, Debug, PartialEq)]
pub struct Reject {
    /// The row as staged, cells in the order of `StreamWrite::columns`; for a deletion the key columns only.
    pub row: Vec<Value>,
    /// The column at fault, where one can be named.
    pub column: Option<String>,
    /// Stable code: `not_null`, `parent_missing`, `unique_taken`, `value_out_of_range`, …
    pub code: &'static str,
    /// A sentence for people. No values.
    pub detail: String,
    /// What the system itself said. It may hold values of the row, so it is shown beside the row and nowhere else.
    pub words: Option<String>,
}

/// What applying one stream did. Exact, never an estimate (R17).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamOutcome {
    /// Rows handed to `stage` that were staged (refused ones not counted).
    pub staged: u64,
    /// Rows inserted.
    pub created: u64,
    /// Rows updated (also revived).
    pub updated: u64,
    /// Rows found equal.
    pub unchanged: u64,
    /// Staged rows whose key came again later in the run; only the last was applied.
    pub merged: u64,
    /// Rows removed or newly marked.
    pub deleted: u64,
    /// Rows set aside while applying. `staged = created + updated + unchanged + merged + rejects`.
    pub rejects: Vec<Reject>,
    /// Deletions that the system refused (a child that the sync does not own still points there); key columns only.
    pub delete_rejects: Vec<Reject>,
    /// Keys to be deleted that the system takes for that of a staged row (`1` and `1.00`): the row got the other spelling, none was removed.
    pub respelled: Vec<Vec<Value>>,
}

/// What `apply` did.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// One per stream, in the order of `RunSpec::streams`.
    pub outcomes: Vec<StreamOutcome>,
    /// An opaque token of the open transaction to store before COMMIT (PostgreSQL: xid, system, timeline), if there is one.
    pub token: Option<String>,
    /// The marker was written: `fate` can tell what became of the transaction for as long as the destination keeps it.
    pub marked: bool,
    /// Before-images were kept, so `undo` can restore this run.
    pub undoable: bool,
}

/// What became of a transaction whose COMMIT was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFate {
    /// It is durable.
    Committed,
    /// It is gone.
    RolledBack,
    /// Nobody can tell (no marker table, failover).
    Unknown,
}

/// The large cells of one row, a slice at a time.
#[async_trait]
pub trait LargeFields: Send {
    /// The bytes of cell `cell` from `offset` on: a slice of the reader's choice, empty at the value's end.
    async fn slice(&mut self, cell: usize, offset: u64) -> Result<Vec<u8>>;
}

/// A run's writes, staged and then applied at once. One transaction: until `commit` answers nothing is visible, and
/// after any error but a lost commit answer nothing ever will be.
#[async_trait]
pub trait StagedRun: Send {
    /// Takes rows of stream `stream` (index into `RunSpec::streams`). Rows the destination columns cannot hold exactly come
    /// back as rejects; the others are staged. The same key may come again: the last one counts.
    async fn stage(&mut self, stream: usize, rows: &RowBatch) -> Result<Vec<Reject>>;

    /// Takes one row with `Large` cells, whose bytes `fields` gives, as many as the cell says (R25). It comes back as a reject like a
    /// row of `stage`. An error of `fields` comes back as it is; nothing of the row is then staged, and where its kind is `BadRecord`
    /// the run goes on. `Invalid` (`slices_unsupported`) where `Capabilities::takes_slices` is `None`.
    async fn stage_large(&mut self, stream: usize, row: &RowBatch, fields: &mut dyn LargeFields) -> Result<Option<Reject>>;

    /// Takes rows in the system's own bulk format. All raw chunks of a stream come in one go.
    async fn stage_raw(&mut self, stream: usize, chunk: RawChunk) -> Result<()>;

    /// Asks for rows of a stream that goes by staging to go straight into its table, because that is there and empty (R20). Where it is,
    /// nobody else writes to it until the end of the run, and the rows that are staged next are those of the whole stream. `false`: they
    /// go by staging, as always.
    async fn begin_straight(&mut self, stream: usize) -> Result<bool> {
        let _ = stream;
        Ok(false)
    }

    /// Ends what `begin_straight` began, after the last row. `false`: a constraint refused one of them, which an error of kind
    /// `BadRecord` may have said before. Then nothing of the stream is staged, and all of its rows have to come again.
    async fn end_straight(&mut self, stream: usize) -> Result<bool> {
        let _ = stream;
        Err(Error::internal("a straight load was ended that never began"))
    }

    /// Takes destination rows (cells in the order of `StreamWrite::columns`) that must still be as they were seen.
    async fn stage_expected(&mut self, stream: usize, rows: &RowBatch) -> Result<()>;

    /// Takes keys (cells in the order of `StreamWrite::key`) to delete as the stream's `DeleteAction` says.
    async fn stage_deletes(&mut self, stream: usize, keys: &RowBatch) -> Result<()>;

    /// Stages the undoing of run `run` for a stream from its before-images: changed and deleted rows as they were, created
    /// rows as deletions. Rows changed since then come back as rejects (`row_changed`) and stay as they are.
    async fn stage_undo(&mut self, stream: usize, run: &str) -> Result<Vec<Reject>>;

    /// Locks the stream's table against writers; `apply` then removes it with all of its rows, children before parents. Where DDL commits
    /// by itself the rows go with the transaction, and the empty table is left for the caller. Errors: `Conflict` (`table_needed`) where
    /// a view reads it.
    async fn stage_drop(&mut self, stream: usize) -> Result<()>;

    /// Applies everything: checks, updates and inserts parents first, deletes children first, marker last.
    async fn apply(&mut self) -> Result<Applied>;

    /// Commits. `commit_unknown` when the answer was lost: ask `Destination::fate`. `transaction_aborted` when the
    /// system answered ROLLBACK.
    async fn commit(&mut self) -> Result<()>;

    /// Throws everything away. Also what dropping does.
    async fn abort(&mut self) -> Result<()>;
}
