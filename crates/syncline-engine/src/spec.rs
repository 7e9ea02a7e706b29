//! What the user asked for: a sync, its policies, and per-stream options, as the configuration gives them.
//!
//! Options are partial (`Option`) and merge key by key: the sync's own first, then `"*"`, then longer globs, then the
//! exact name (R31). [`crate::policy`] turns the merged options of one stream into decisions without holes.

use std::collections::BTreeMap;

use syncline_connector::ConnectionSpec;
use syncline_model::Value;

/// How a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every row.
    Full,
    /// Rows whose cursor is at or after the low-water mark.
    Incremental,
    /// Compare both sides, move only the difference.
    Diff,
}

impl Mode {
    /// As in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
            Self::Diff => "diff",
        }
    }
}

/// What becomes of rows that the source no longer has.
#[derive(Clone, Debug, PartialEq)]
pub enum DeletePolicy {
    /// Nothing; counted as *extra*.
    Ignore,
    /// The row is removed.
    Mirror,
    /// `deleted_at` (or the named column) is set.
    Soft {
        /// Column; `deleted_at` by default.
        column: Option<String>,
        /// `now` (None) or a constant.
        value: Option<Value>,
    },
    /// `archived_at` is set.
    Archive {
        /// Column; `archived_at` by default.
        column: Option<String>,
        /// `now` (None) or a constant.
        value: Option<Value>,
    },
    /// `is_active` becomes false.
    Deactivate {
        /// Column; `is_active` by default.
        column: Option<String>,
        /// False (None) or a constant.
        value: Option<Value>,
    },
}

impl DeletePolicy {
    /// As in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Mirror => "mirror",
            Self::Soft { .. } => "soft",
            Self::Archive { .. } => "archive",
            Self::Deactivate { .. } => "deactivate",
        }
    }
}

/// What deletions may touch (R8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owns {
    /// Only rows with an id mapping.
    Mapped,
    /// Every row of the table, within the stream's predicate.
    Table,
}

/// The mass-delete guard (R11): stops when both limits are exceeded, or the listing is empty while the destination is
/// not, or more than half of at least five rows would go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guard {
    /// Share of the owned rows.
    pub max_delete_ratio: f64,
    /// Rows.
    pub max_delete_rows: u64,
}

impl Default for Guard {
    /// 10 % and 50 rows (D9).
    fn default() -> Self {
        Self { max_delete_ratio: 0.1, max_delete_rows: 50 }
    }
}

/// What edits at the destination are worth (R6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edits {
    /// The destination is a mirror.
    Overwrite,
    /// Three-way against the base.
    Keep,
}

/// Who wins a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflicts {
    /// The source.
    SourceWins,
    /// The destination.
    DestinationWins,
    /// The destination where it was modified since the base, else the source; needs `last_modified_by`.
    Merge,
}

/// What a row that cannot be applied does to its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// It is set aside; the rest commits.
    Park,
    /// The run fails, and rolls back the transaction under way: all of it with `atomic: run`.
    Strict,
}

/// What drift does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaChanges {
    /// The stream stops until a person decides.
    Stop,
    /// New source columns are left out; missing ones stop.
    Ignore,
    /// New source columns are added to the destination.
    Add,
}

/// Whether missing destination tables are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// Missing ones are.
    Missing,
    /// Never.
    Never,
}

/// What is all or nothing (R18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atomic {
    /// One destination transaction for all streams.
    Run,
    /// One per stream; deletions of all streams after all upserts.
    Stream,
    /// One per batch.
    Batch,
}

/// Where a destination column comes from (R31), as the configuration has it.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldText {
    /// `dest: "text"`: a bare identifier is a source column, `{{ … }}` an expression, mixed text a template.
    Text(String),
    /// `dest: { value: x }`.
    Constant(Value),
}

/// Where existing id mappings are (background.md 2.3).
#[derive(Clone, Debug, PartialEq)]
pub enum IdSource {
    /// A mapping table at the destination.
    Table {
        /// Table name.
        table: String,
        /// Column of the legacy id.
        legacy: String,
        /// Column of the new id.
        new: String,
        /// Column and value that select this stream's rows (`entity_type`).
        entity: Option<(String, String)>,
    },
    /// A `legacy_*_id` column of the destination table.
    Column(String),
    /// A JSON path in a column of the destination table: column and keys (`metadata ->> legacy_id`).
    JsonPath {
        /// The JSON column.
        column: String,
        /// Keys from the root.
        path: Vec<String>,
    },
    /// Only what Syncline itself minted, kept in its state.
    State,
}

/// Id mapping of a stream (FR-010).
#[derive(Clone, Debug, PartialEq)]
pub struct Ids {
    /// Where mappings are.
    pub source: IdSource,
    /// Mint an id for a record that has none.
    pub mint: bool,
    /// Foreign keys to rewrite: source column → stream it points to. Discovered ones are added.
    pub foreign_keys: BTreeMap<String, String>,
}

/// Options of a stream, or of the sync as their start. `None`: not said here.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "named as in the configuration reference")]
pub struct StreamOptions {
    pub to: Option<String>,
    pub key: Option<Vec<String>>,
    pub mode: Option<Mode>,
    pub cursor: Option<String>,
    pub overlap_s: Option<u64>,
    pub deletes: Option<DeletePolicy>,
    pub owns: Option<Owns>,
    pub guard: Option<Guard>,
    pub cascade_allow: Option<bool>,
    pub edits: Option<Edits>,
    pub conflicts: Option<Conflicts>,
    pub last_modified_by: Option<String>,
    pub rows: Option<Rows>,
    pub schema_changes: Option<SchemaChanges>,
    pub create: Option<Create>,
    /// The user's `where` with `{{ scope }}` still in it.
    pub where_from: Option<String>,
    pub where_to: Option<String>,
    pub fields: Option<BTreeMap<String, FieldText>>,
    pub fields_only: Option<bool>,
    /// Destination column → `email`, `phone`, …
    pub types: Option<BTreeMap<String, String>>,
    pub validate: Option<bool>,
    pub clears: Option<bool>,
    /// Destination columns with `compare: false`.
    pub compare_off: Option<Vec<String>>,
    pub ids: Option<Ids>,
    /// Column set to now on rows created or updated.
    pub stamp: Option<String>,
    pub collection_key: Option<String>,
    /// Rows above which a first load is made in parts that a killed run keeps (R18).
    pub resume_above: Option<u64>,
}

macro_rules! take_said {
    ($self:ident, $over:ident, $($field:ident),+ $(,)?) => { $( if $over.$field.is_some() { $self.$field.clone_from(&$over.$field); } )+ };
}

impl StreamOptions {
    /// Lets `over` have its say, key by key.
    pub fn merge(&mut self, over: &Self) {
        take_said!(
            self,
            over,
            to,
            key,
            mode,
            cursor,
            overlap_s,
            deletes,
            owns,
            guard,
            cascade_allow,
            edits,
            conflicts,
            last_modified_by,
            rows,
            schema_changes,
            create,
            where_from,
            where_to,
            fields,
            fields_only,
            types,
            validate,
            clears,
            compare_off,
            ids,
            stamp,
            collection_key,
            resume_above,
        );
    }
}

/// Tenants of a sync.
#[derive(Clone, Debug, PartialEq)]
pub enum Scopes {
    /// These.
    List(Vec<String>),
    /// The answers of this query at the source.
    Query(String),
}

/// A configured pair of connections and what is kept the same between them.
#[derive(Clone, Debug)]
pub struct SyncSpec {
    /// Its name (`app_key`): `[A-Za-z0-9_-]{1,64}`.
    pub name: String,
    /// The source: `type` of its connector and how to reach it.
    pub from: (String, ConnectionSpec),
    /// The destination.
    pub to: (String, ConnectionSpec),
    /// Options for all streams.
    pub options: StreamOptions,
    /// Patterns in the order written; `None` is `false`: excluded.
    pub streams: Vec<(String, Option<StreamOptions>)>,
    /// Tenants.
    pub scopes: Option<Scopes>,
    /// What is all or nothing.
    pub atomic: Atomic,
    /// Keep before-images.
    pub undo: bool,
    /// Bytes the whole process may use.
    pub memory: u64,
}
