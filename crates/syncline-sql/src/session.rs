//! What a SQL system must offer so that [`crate::SqlRun`] can apply a staged run on it: one connection and one dialect.

use async_trait::async_trait;
use syncline_connector::write::CommitFate;
use syncline_connector::{Error, ErrorKind, LargeFields, Marker, RawChunk, Reject, Result, TableDdl};
use syncline_model::{Column, RowBatch, Table, TableName};

/// Where a bulk load goes.
#[derive(Clone, Debug)]
pub struct LoadTarget {
    /// Quoted, qualified SQL name.
    pub table: String,
    /// The columns that get the batch's cells, in order; types as the destination table has them.
    pub columns: Vec<Column>,
    /// A counter column: when set, the session numbers rows from `first` on, in the order they arrive
    /// (`syncline_n bigint`). PostgreSQL may use an identity column made by `staging_ddl` instead and ignore this.
    pub numbered: bool,
    /// What kind of table it is.
    pub place: LoadPlace,
}

/// What kind of table bulk rows go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadPlace {
    /// A staging table.
    Staging,
    /// A destination table created in this very transaction: nobody else can see it (COPY FREEZE).
    New,
    /// A table of the sync's own that several transactions fill; its keys come later (R18).
    Part,
    /// A table that was there before and is empty, with all of its constraints (R20).
    Empty,
}

impl LoadPlace {
    /// Rows are final where they land: what a column requires has to be there.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Staging => false,
            Self::New | Self::Part | Self::Empty => true,
        }
    }
}

/// One connection with at most one open transaction. Everything is on the correctness path: errors carry the kind by
/// which the run decides (constraint violations are `BadRecord`, lost connections `Unavailable`, deadlocks `Conflict`).
#[async_trait]
pub trait SqlSession: Send {
    /// The dialect of this session.
    fn dialect(&self) -> &dyn Dialect;

    /// Runs one statement; the number of rows it affected (matched rows where the system counts so, never "changed").
    async fn execute(&mut self, sql: &str) -> Result<u64>;

    /// Runs one query whose answer is small; cells decoded as `columns` say.
    async fn query(&mut self, sql: &str, columns: &[Column]) -> Result<RowBatch>;

    /// Bulk-loads rows. Cells that their column cannot hold exactly are refused before anything is sent; the rest is
    /// loaded. May leave a bulk statement open until `finish_load`.
    async fn load(&mut self, target: &LoadTarget, rows: &RowBatch) -> Result<Vec<Reject>>;

    /// Loads the only row of `row`, whose `Large` cells `fields` gives: whole, or nothing of it. Needs the transaction that bulk loads
    /// need, and ends an open bulk statement.
    async fn load_large(&mut self, target: &LoadTarget, row: &RowBatch, fields: &mut dyn LargeFields) -> Result<Option<Reject>> {
        let _ = (row, fields);
        let message = format!("load rows into {}: values come only whole", target.table);
        Err(Error::new(ErrorKind::Invalid, "slices_unsupported", message))
    }

    /// Bulk-loads rows in the system's own format. `Invalid` where the system has none.
    async fn load_raw(&mut self, target: &LoadTarget, chunk: RawChunk) -> Result<()>;

    /// Ends an open bulk statement. A no-op when there is none.
    async fn finish_load(&mut self) -> Result<()>;

    /// Opens the transaction.
    async fn begin(&mut self) -> Result<()>;

    /// Foreign keys of tables that are still filled in parts are not looked at from here on: their parents may have no name yet.
    /// Nothing to do where such tables have none.
    async fn leave_unchecked(&mut self) -> Result<()> {
        Ok(())
    }

    /// Commits; `transaction_aborted` when the system answered ROLLBACK, `commit_unknown` when the answer was lost.
    async fn commit(&mut self) -> Result<()>;

    /// Rolls back; never fails on a lost connection (the server rolls back by itself).
    async fn rollback(&mut self) -> Result<()>;

    /// A token of the open transaction for [`SqlSession::fate`], if the system has one.
    async fn token(&mut self) -> Result<Option<String>>;

    /// What became of a transaction, by its token only (the marker table is asked by the caller).
    async fn fate(&mut self, marker: &Marker, token: Option<&str>) -> Result<CommitFate>;

    /// Cuts the connection, for fault injection: the next statement fails as it would in the field.
    async fn sever(&mut self);
}

/// How the system lets rows of a foreign-key cycle in (R23).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CycleInsert {
    /// One statement of data-modifying CTEs (PostgreSQL).
    OneStatement,
    /// Checks off for the statements of the cycle, then an anti-join per foreign key (MySQL, MariaDB).
    ChecksOff,
    /// `PRAGMA defer_foreign_keys` (SQLite).
    Defer,
}

/// The SQL of one system. Pure text. All names given are bare and are quoted here; aliases are `d` for the destination
/// table and `s` for the staged rows.
pub trait Dialect: Send + Sync {
    /// What a read of the marker ends with so that it waits for a transaction that is writing it: one whose COMMIT was sent may still
    /// be going on when its client is gone.
    fn waits_for_writers(&self) -> &'static str {
        ""
    }

    /// Quotes an identifier, however strange it is.
    fn quote(&self, name: &str) -> String;

    /// Quotes a text literal, safely under the pinned session settings.
    fn literal(&self, text: &str) -> String;

    /// Quoted, qualified name.
    fn table(&self, name: &TableName) -> String {
        match &name.schema {
            Some(s) => format!("{}.{}", self.quote(s), self.quote(&name.name)),
            None => self.quote(&name.name),
        }
    }

    /// Quoted name of a staging table called `name` for a run into `target` (temporary where the system has usable ones).
    fn staging_table(&self, target: &Table, name: &str) -> String;

    /// Statements that make a staging table: `columns` with their native types, nullable, without constraints,
    /// defaults, or generated parts, and with the destination's collation; plus `syncline_n bigint` numbering the rows
    /// from 1 in order of arrival. An index over `key` only where the system needs it to join fast (MySQL).
    fn staging_ddl(&self, sql_name: &str, columns: &[&Column], key: &[String]) -> Vec<String>;

    /// Statements that index a new staging table over each of `lookups`, by which the checks of unique values find rows in it.
    /// None where the system joins fast without (hash joins, automatic indexes); without any, MySQL compares every pair of rows.
    fn staging_indexes(&self, sql_name: &str, columns: &[&Column], lookups: &[Vec<String>]) -> Vec<String> {
        let _ = (sql_name, columns, lookups);
        Vec::new()
    }

    /// Statements that drop a staging table, tolerant of its absence; empty where it goes with the transaction.
    fn staging_drop(&self, sql_name: &str) -> Vec<String>;

    /// Statements to run after loading a staging table (`ANALYZE`), or none.
    fn staging_loaded(&self, sql_name: &str) -> Vec<String>;

    /// Whether a staging column holds exactly what the destination column will hold, so that `row_hash` of both is the same.
    /// Not where staging columns are wider.
    fn staged_as_stored(&self, column: &Column) -> bool {
        let _ = column;
        false
    }

    /// The length in bytes of a value of alias `a`, found without the value, where the column may hold long ones (R25).
    fn length(&self, column: &Column, a: &str) -> Option<String> {
        let _ = (column, a);
        None
    }

    /// True when any of `columns` differs between aliases `left` and `right`, by bytes (R9): scale, case, trailing
    /// zeros, −0 and interval parts count; NULL equals NULL.
    fn differs(&self, columns: &[&Column], left: &str, right: &str) -> String;

    /// Key equality that can use the destination's index: `l.k = r.k AND …`.
    fn keys_match(&self, columns: &[&Column], left: &str, right: &str) -> String {
        let one = |c: &&Column| format!("{left}.{q} = {right}.{q}", q = self.quote(&c.name));
        columns.iter().map(one).collect::<Vec<_>>().join(" AND ")
    }

    /// Key equality by bytes, to tell `Abc` from `abc` under a loose collation; the same as `keys_match` where all collations are strict.
    fn keys_identical(&self, columns: &[&Column], left: &str, right: &str) -> String {
        format!("NOT ({})", self.differs(columns, left, right))
    }

    /// `UPDATE table d … FROM stage s` in this system's spelling: `sets` are (quoted column, expression) pairs, `on` and `filter` conditions over `d` and `s`.
    fn update_from(&self, table: &str, stage: &str, sets: &[(String, String)], on: &str, filter: &str) -> String;

    /// Deletes rows `d` of `table` that have a row `s` in `stage` with `on` and `filter` (`TRUE` when there is no filter).
    fn delete_from(&self, table: &str, stage: &str, on: &str, filter: &str) -> String;

    /// Moves the sequence behind a column on past its largest value, where it is behind that and this role may; `None` where the system does
    /// so by itself.
    fn sequence_on(&self, _table: &Table, _column: &Column) -> Option<String> {
        None
    }

    /// Text between the column list and SELECT of an INSERT: `OVERRIDING SYSTEM VALUE` for GENERATED ALWAYS identity, else "".
    fn insert_override(&self, table: &Table) -> &'static str;

    /// The clock at the statement, as the type of `column` takes it.
    fn now(&self, column: &Column) -> String;

    /// How cycles go in.
    fn cycle_insert(&self) -> CycleInsert;

    /// Statements around the writes of a cycle: (before, after).
    fn cycle_guard(&self) -> (Vec<String>, Vec<String>);

    /// A text expression that holds all of `columns` of alias `a` exactly, NULL only when it could not be made (too long).
    fn image(&self, columns: &[&Column], a: &str) -> String;

    /// A hash (text) over all of `columns` of alias `a`, by bytes.
    fn row_hash(&self, columns: &[&Column], a: &str) -> String;

    /// The select list that gives `columns` back, typed, from `a.image`: one expression per column, each named after it.
    /// `columns` is exactly the list that was given to [`Dialect::image`].
    fn image_select(&self, table: &Table, columns: &[&Column], a: &str) -> String;

    /// A value no real row has, for the first phase of a unique swap (R22), from the key of alias `s`; `None` when the type
    /// admits none (a NULL is used where the column allows it).
    fn placeholder(&self, column: &Column, key: &[&Column]) -> Option<String>;

    /// A statement that has the system judge now what it would judge at COMMIT only. `None` where rows of this run can meet nothing of the kind.
    fn settle_constraints(&self) -> Option<&'static str> {
        None
    }

    /// A query for the quoted names of the triggers and foreign keys of a table that may wait for COMMIT; one column, one row each.
    fn deferred_constraints(&self, table: &TableName) -> Option<String> {
        let _ = table;
        None
    }

    /// A query that names the views that read the table, where dropping it would not be refused for them; one column, one row each.
    fn views_over(&self, table: &TableName) -> Option<String> {
        let _ = table;
        None
    }

    /// Statements that remove tables (quoted names, children before parents) and all of their rows. Where DDL commits by itself only the
    /// rows go, and foreign keys of the tables are not looked at meanwhile.
    fn drop_tables(&self, tables: &[&str]) -> Vec<String> {
        tables.iter().map(|t| format!("DROP TABLE {t}")).collect()
    }

    /// Statement that locks the table against concurrent writers of the same rows, or none.
    fn lock_table(&self, table: &str) -> Option<String>;

    /// How a table that is there and empty is taken for rows to go straight into it (R20): a statement that locks it against other writers
    /// and does not wait for them, and a query that counts what stands against it then: its rows, and whatever makes a bulk load do
    /// something else than INSERT. `None` where no lock keeps others out, or where none may be held while the source is read.
    fn claim_empty(&self, table: &str) -> Option<(String, String)> {
        let _ = table;
        None
    }

    /// A FROM item (to be given an alias) with about `rows` of the `of` staged rows, however it picks them: cheap before true to scale.
    fn sample(&self, stage: &str, rows: u64, of: u64) -> String {
        let _ = of;
        format!("(SELECT * FROM {stage} ORDER BY {} LIMIT {rows})", self.quote(crate::ROW_NUMBER))
    }

    /// Statements around writes of which most find a row to change: they make the planner look rows up by the key's index, where it
    /// would else read the whole table to find what has to be visited anyway. `None` where it does so by itself.
    fn lookup_guard(&self) -> Option<(String, String)> {
        None
    }

    /// One statement that updates as [`Dialect::update_from`] does and keeps each changed row as it was before; the rows it affects are the
    /// rows updated. `None` where no statement can do both.
    fn update_keeping(&self, update: &Update<'_>, keep: &Keep<'_>) -> Option<String> {
        let _ = (update, keep);
        None
    }

    /// The same for rows that `insert` adds to the table: their keys are kept. The rows it affects are the rows inserted.
    fn insert_keeping(&self, insert: &str, table: &str, keep: &Keep<'_>) -> Option<String> {
        let _ = (insert, table, keep);
        None
    }

    /// A FROM item (to be given an alias) with those before-images `b` of `source` for which `filter` holds, in the form from which
    /// [`Dialect::image_select`] reads each image once.
    fn images_from(&self, source: &str, filter: &str) -> String {
        format!("(SELECT * FROM {source} b WHERE {filter})")
    }

    /// A boolean expression over the bare column that is TRUE for the rows a CHECK refuses: `(expr) IS FALSE`.
    fn check_violated(&self, expression: &str) -> String {
        format!("({expression}) IS FALSE")
    }

    /// Bookkeeping tables, tolerant of their presence: `syncline_marker`, `syncline_before`, in the schema of the sync's tables.
    fn bookkeeping_ddl(&self, schema: Option<&str>) -> Vec<String>;

    /// The schema (database) that holds the bookkeeping tables.
    fn bookkeeping_schema(&self) -> Option<String>;

    /// DDL of a new table has to run before the transaction opens, because it commits (MySQL).
    fn ddl_commits(&self) -> bool;

    /// Largest number of rows worth listing in one `IN`/VALUES of a generated statement.
    fn values_max(&self) -> usize {
        1000
    }

    /// Staging tables are made and filled inside the run's transaction (PostgreSQL, where they go with it); elsewhere before it,
    /// so that no write lock is held while the source is read.
    fn staging_in_transaction(&self) -> bool {
        false
    }

    /// A query that locks the rows `d` of `table` that have a row `s` in `stage` against concurrent writers, or `None` where the
    /// transaction locks everything anyway. Its answer is not looked at.
    fn lock_rows(&self, table: &str, stage: &str, on: &str) -> Option<String> {
        let _ = (table, stage, on);
        None
    }

    /// Statement list for a new table at load time; by default as `TableDdl` has it.
    fn create_statements(&self, ddl: &TableDdl) -> Vec<String> {
        ddl.create.clone()
    }
}

/// An update by join.
#[derive(Clone, Debug)]
pub struct Update<'a> {
    /// The destination table.
    pub table: &'a str,
    /// The staged rows.
    pub stage: &'a str,
    /// (quoted column, expression) pairs.
    pub sets: &'a [(String, String)],
    /// Condition over `d` and `s` besides the key.
    pub filter: &'a str,
}

/// What a statement writes about the rows it changes, for `undo`.
#[derive(Clone, Debug)]
pub struct Keep<'a> {
    /// The table of before-images.
    pub before: &'a str,
    /// Run and stream, as two literals.
    pub of_run: &'a str,
    /// The image's number: an expression over `s` for updated rows; for created ones a start, from which they are counted up.
    pub number: &'a str,
    /// Key columns.
    pub key: &'a [&'a Column],
    /// All columns that an undo restores.
    pub stored: &'a [&'a Column],
}
