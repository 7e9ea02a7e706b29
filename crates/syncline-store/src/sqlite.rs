//! State in one SQLite file: WAL, synced on every commit, one writer connection on a thread of its own.
//!
//! Every [`StateTx`](crate::StateTx) is a `BEGIN IMMEDIATE`. Within the process transactions queue behind each other in the order they
//! were asked for; another process waits on SQLite's own lock, at most [`BUSY_WAIT`].

mod audit;
mod bases;
mod cells;
mod conflicts;
mod fault;
mod file;
mod ids;
mod locks;
mod parked;
mod positions;
mod runs;
mod schema;
mod segments;
#[cfg(test)]
mod tests;
mod transaction;
mod verify;
mod waiting;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::Mutex;

use crate::contract::{Result, StateStore, StateTx};
use fault::Fault;
use transaction::SqliteTx;
use writer::Writer;

/// How long a transaction waits for another process. Transactions here take milliseconds, so half a minute of waiting means
/// that somebody holds the file from outside (a backup tool, an open shell).
const BUSY_WAIT: Duration = Duration::from_secs(30);

/// Prepared statements kept per connection: more than the store has.
const STATEMENTS_KEPT: usize = 96;

/// The state store in a SQLite file.
pub struct SqliteStore {
    writer: Arc<Writer>,
    /// Whose turn it is: held by the open transaction. Fair, so nobody starves.
    turn: Arc<Mutex<()>>,
}

impl SqliteStore {
    /// Opens the state file, making it and its directories when they are missing, and brings its format up to date.
    ///
    /// # Errors
    /// `Unavailable` (`state_unavailable`, `read_only`, `disk_full`, `database_busy`), `Corrupt` for a damaged file or one of another program,
    /// `Newer` for the file of a newer Syncline, which is left as it is.
    pub fn open(path: &Path) -> Result<Self> {
        let operation = format!("open `{}`", path.display());
        file::ensure(path).map_err(|e| e.into_error(&operation))?;
        Self::prepare(|| Connection::open(path)).map_err(|e| e.into_error(&operation))
    }

    /// A store that lives as long as this value, for trials and tests.
    ///
    /// # Errors
    /// `Unavailable` when there is no memory for it.
    pub fn in_memory() -> Result<Self> {
        Self::prepare(Connection::open_in_memory).map_err(|e| e.into_error("open a state store in memory"))
    }

    fn prepare(open: impl FnOnce() -> rusqlite::Result<Connection>) -> Result<Self, Fault> {
        let connection = open()?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        bring_up_to_date(&connection)?;
        Ok(Self { writer: Arc::new(Writer::start(connection)?), turn: Arc::default() })
    }
}

/// Makes the tables of a new file, or those that an older one lacks.
fn bring_up_to_date(connection: &Connection) -> Result<(), Fault> {
    connection.busy_timeout(BUSY_WAIT)?;
    schema::refuse_strangers(connection)?;
    schema::set_durable(connection)?;
    schema::migrate(connection)
}

#[async_trait]
impl StateStore for SqliteStore {
    async fn begin(&self) -> Result<Box<dyn StateTx>> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        Ok(Box::new(SqliteTx::begin(Arc::clone(&self.writer), turn).await?))
    }
}
