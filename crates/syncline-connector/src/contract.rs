//! What a connector must do. The doc comment is the contract; each sentence has a conformance test in `syncline-testkit`.

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Serialize;
use syncline_model::{Catalog, Column, Engine, RowBatch, Table, TableName, Value};

use crate::Result;
use crate::read::Snapshot;
use crate::write::{CommitFate, Fit, LoadDdl, Marker, NewTable, Reject, RunSpec, StagedRun, TableDdl};

/// One configured instance of a connector.
#[derive(Clone, Debug)]
pub struct ConnectionSpec {
    /// The connection's name in the config.
    pub name: String,
    /// `postgres://…`, `mysql://…`, `sqlite:PATH`. Paths are absolute by now. Never printed.
    pub url: SecretString,
    /// PostgreSQL schema or MySQL database to work in, where the user named one.
    pub schema: Option<String>,
    /// `planetscale`, `supabase`, `pgbouncer`; what it changes is in each connector.
    pub flavor: Option<String>,
    /// Bytes this connection may hold in buffers.
    pub memory: usize,
}

/// What a system can do. A missing power is declared here, never a skipped test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// The engine, for comparing types.
    pub engine: Engine,
    /// Product and version as the server says them: `PostgreSQL 15.18`.
    pub version: String,
    /// DDL rolls back with the transaction.
    pub transactional_ddl: bool,
    /// `RawChunk`s can be read and staged.
    pub raw: bool,
    /// The server's native digest is safe to compare with another server of this engine (R13).
    pub native_digest: bool,
    /// Bytes and texts too large to be held can be read in slices (R25).
    pub reads_slices: bool,
    /// Bytes of the largest value that a column of bytes or text takes in slices; `None` where values only come whole.
    pub takes_slices: Option<u64>,
    /// Rows per transaction beyond which `atomic: run` is refused at plan time (PlanetScale), or `None`.
    pub transaction_rows_max: Option<u64>,
}

/// Who a system is, so that another one behind the same name is noticed (C5, D22).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// PostgreSQL system identifier and database oid, MySQL server UUID and schema, SQLite application id and file.
    pub system: String,
    /// PostgreSQL timeline; empty elsewhere.
    pub timeline: String,
    /// What tells the running server from a copy of it, with which it shares all of the above: PostgreSQL's start, MySQL's host and port.
    /// It changes with a restart.
    pub instance: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be; worth telling.
    Good,
    /// Works, with a limit that the user should know.
    Advice,
    /// Will fail.
    Problem,
}

/// One line of `check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Stable code.
    pub code: &'static str,
    /// What was found.
    pub message: String,
    /// The GRANT, DDL or setting to run.
    pub advice: Option<String>,
}

/// What a role in a sync needs to be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Read only.
    Source,
    /// Read, write, and create where the config says so.
    Destination,
}

/// Code for one kind of system. Pure but for the two methods that connect.
#[async_trait]
pub trait Connector: Send + Sync {
    /// The `type` in the config: `postgres`.
    fn kind(&self) -> &'static str;

    /// The engine whose types it speaks.
    fn engine(&self) -> Engine;

    /// Opens a source session, read-only by every means the system has. Errors: `Unavailable` (`connect_refused`, `connect_timeout`,
    /// after at most 15 s), `Unauthorized` (`auth_failed`), `Invalid` (`url_invalid`, `database_missing`; `file_missing` where it is a file).
    async fn source(&self, spec: &ConnectionSpec) -> Result<Box<dyn Source>>;

    /// Opens a destination session. Errors as for `source`.
    async fn destination(&self, spec: &ConnectionSpec) -> Result<Box<dyn Destination>>;

    /// The column that holds every value of `column` of engine `from` exactly, or as nearly as this system can; `Fit::Never`
    /// when there is none.
    fn map_column(&self, column: &Column, from: Engine) -> (Column, Fit);

    /// How a source column fits an existing column here.
    fn fit(&self, column: &Column, from: Engine, to: &Column) -> Fit;

    /// The DDL for a new table, identifiers quoted, defaults carried where they mean the same.
    fn ddl(&self, table: &NewTable) -> TableDdl;

    /// The DDL for a new table that is first filled as `load`, in several transactions.
    fn load_ddl(&self, table: &NewTable, load: &TableName) -> LoadDdl;

    /// Gives tables that were filled under other names (first of each pair) their own, all of them at once. None where `load_ddl` does so
    /// within a transaction.
    fn rename_ddl(&self, tables: &[(TableName, TableName)]) -> Vec<String> {
        let _ = tables;
        Vec::new()
    }

    /// Takes the foreign keys, unique keys and indexes that `table` lists off a table that is filled again. None where they roll back.
    fn unkey_ddl(&self, table: &Table) -> Vec<String> {
        let _ = table;
        Vec::new()
    }

    /// `ALTER TABLE … ADD COLUMN …` for a column of [`Connector::map_column`].
    fn add_column_ddl(&self, table: &TableName, column: &Column) -> String;

    /// Whether raw rows of column `a` may enter column `b` undecoded (both of this engine).
    fn raw_safe(&self, a: &Column, b: &Column) -> bool;
}

/// A connection in the role of source. Everything it does is read-only.
#[async_trait]
pub trait Source: Send {
    /// What the system can do.
    fn capabilities(&self) -> &Capabilities;

    /// Who the system is.
    async fn identity(&mut self) -> Result<Identity>;

    /// Rights, settings and the late-commit rule in force, for these tables (all visible ones when empty). Never fails for
    /// something it can report: a table that is not there is a `Problem` that names it.
    async fn check(&mut self, tables: &[TableName]) -> Result<Vec<Finding>>;

    /// All tables and views in the connection's schema (all user schemas when none was named); Syncline's own bookkeeping tables
    /// left out, so that what one sync wrote can be another's source.
    async fn discover(&mut self) -> Result<Catalog>;

    /// Opens a consistent, read-only view over all tables. The observation is taken just before it.
    async fn snapshot(&mut self) -> Result<Box<dyn Snapshot>>;

    /// Answers of one column of a user's query, for `scopes: { query: … }`; runs read-only.
    async fn query_values(&mut self, sql: &str) -> Result<Vec<Value>>;
}

/// What a destination's encoder makes of rows without sending any: for plans.
pub trait Trial: Send + Sync {
    /// The rows that `StagedRun::stage` would refuse, each with its number in the batch. What only the server can tell is not among them.
    fn refused(&self, columns: &[Column], rows: &RowBatch) -> Vec<(usize, Reject)>;
}

/// A connection in the role of destination.
#[async_trait]
pub trait Destination: Send {
    /// What the system can do.
    fn capabilities(&self) -> &Capabilities;

    /// Who the system is.
    async fn identity(&mut self) -> Result<Identity>;

    /// Rights and settings, as `Source::check`, plus triggers and bookkeeping tables.
    async fn check(&mut self, tables: &[TableName]) -> Result<Vec<Finding>>;

    /// All tables and views, as `Source::discover`.
    async fn discover(&mut self) -> Result<Catalog>;

    /// Opens a consistent, read-only view of the destination as it is now.
    async fn snapshot(&mut self) -> Result<Box<dyn Snapshot>>;

    /// Runs schema changes (`ALTER TABLE … ADD COLUMN`, already as SQL from `add_column_ddl` or `ddl`), one after the other,
    /// and makes the bookkeeping tables (`syncline_marker`, `syncline_before`) where it may.
    async fn prepare(&mut self, statements: &[String]) -> Result<()>;

    /// The encoder that `stage` uses.
    fn trial(&self) -> Box<dyn Trial>;

    /// Opens a staged run. Fails without effect.
    async fn begin(&mut self, spec: RunSpec) -> Result<Box<dyn StagedRun>>;

    /// What became of a transaction whose COMMIT was not answered, by its marker and token (R24). Waits while it is in progress.
    async fn fate(&mut self, marker: &Marker, token: Option<&str>) -> Result<CommitFate>;
}
