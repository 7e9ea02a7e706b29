//! A file in the role of source.

use async_trait::async_trait;
use rusqlite::Connection;
use syncline_connector::{Capabilities, ConnectionSpec, Finding, Identity, Result, Role, Snapshot, Source};
use syncline_model::{Catalog, Engine, LogicalType, TableName, Value};

use crate::affinity::Affinity;
use crate::connect::Place;
use crate::decode::decode;
use crate::error::failed;
use crate::native::Kind;
use crate::snapshot::SqliteSnapshot;
use crate::thread::Thread;
use crate::{check, discover};

/// A source session.
pub(crate) struct SqliteSource {
    place: Place,
    thread: Thread,
    capabilities: Capabilities,
}

impl SqliteSource {
    /// Opens the file read-only.
    pub(crate) async fn open(spec: &ConnectionSpec) -> Result<Self> {
        let place = Place::of(spec)?;
        let thread = place.reader().await?;
        let capabilities = capabilities(&place);
        Ok(Self { place, thread, capabilities })
    }
}

/// What every SQLite file can do: the library is ours.
pub(crate) fn capabilities(place: &Place) -> Capabilities {
    Capabilities {
        engine: Engine::Sqlite,
        version: format!("SQLite {}", rusqlite::version()),
        transactional_ddl: true,
        raw: false,
        native_digest: true,
        reads_slices: true,
        takes_slices: Some(place.value_max),
        transaction_rows_max: None,
    }
}

/// The application's own id and the file that the path really names.
pub(crate) fn identity(conn: &Connection, place: &Place) -> rusqlite::Result<Identity> {
    let application: i64 = conn.query_row("PRAGMA application_id", [], |r| r.get(0))?;
    let path = place.path.canonicalize().unwrap_or_else(|_| place.path.clone());
    Ok(Identity { system: format!("{application}:{}", path.display()), timeline: String::new(), instance: String::new() })
}

#[async_trait]
impl Source for SqliteSource {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn identity(&mut self) -> Result<Identity> {
        let place = self.place.clone();
        self.thread.call(move |conn| identity(conn, &place).map_err(|e| failed("identify the file", e))).await
    }

    async fn check(&mut self, tables: &[TableName]) -> Result<Vec<Finding>> {
        let (place, tables) = (self.place.clone(), tables.to_vec());
        self.thread.call(move |conn| check::findings(conn, &place, &tables, Role::Source)).await
    }

    async fn discover(&mut self) -> Result<Catalog> {
        self.thread.call(|conn| discover::catalog(conn).map_err(|e| failed("read the catalogue", e))).await
    }

    async fn snapshot(&mut self) -> Result<Box<dyn Snapshot>> {
        Ok(Box::new(SqliteSnapshot::open(&self.place).await?))
    }

    async fn query_values(&mut self, sql: &str) -> Result<Vec<Value>> {
        let sql = sql.to_owned();
        self.thread.call(move |conn| values(conn, &sql).map_err(|e| failed("run the query", e))).await
    }
}

fn values(conn: &Connection, sql: &str) -> rusqlite::Result<Vec<Value>> {
    let kind = Kind { logical: LogicalType::Any, affinity: Affinity::Blob, own: false };
    let mut scratch = String::new();
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(decode(row.get_ref(0)?, &kind, &mut scratch).to_owned());
    }
    Ok(found)
}
