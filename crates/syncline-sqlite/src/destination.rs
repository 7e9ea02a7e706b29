//! A file in the role of destination. It is made when it is missing.

use async_trait::async_trait;
use syncline_connector::write::CommitFate;
use syncline_connector::{
    Capabilities, ConnectionSpec, Destination, Finding, Identity, Marker, Result, Role, RunSpec, Snapshot, StagedRun, Trial,
};
use syncline_model::{Catalog, TableName};
use syncline_sql::{Dialect, SqlRun, SqlSession};

use crate::connect::Place;
use crate::dialect::SqliteDialect;
use crate::error::failed;
use crate::session::SqliteSession;
use crate::snapshot::SqliteSnapshot;
use crate::source::{capabilities, identity};
use crate::thread::Thread;
use crate::{check, discover};

/// A destination session.
pub(crate) struct SqliteDestination {
    place: Place,
    thread: Thread,
    capabilities: Capabilities,
}

impl SqliteDestination {
    /// Opens the file for writing.
    pub(crate) async fn open(spec: &ConnectionSpec) -> Result<Self> {
        let place = Place::of(spec)?;
        let thread = place.writer().await?;
        let capabilities = capabilities(&place);
        Ok(Self { place, thread, capabilities })
    }
}

#[async_trait]
impl Destination for SqliteDestination {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn identity(&mut self) -> Result<Identity> {
        let place = self.place.clone();
        self.thread.call(move |conn| identity(conn, &place).map_err(|e| failed("identify the file", e))).await
    }

    async fn check(&mut self, tables: &[TableName]) -> Result<Vec<Finding>> {
        let (place, tables) = (self.place.clone(), tables.to_vec());
        self.thread.call(move |conn| check::findings(conn, &place, &tables, Role::Destination)).await
    }

    async fn discover(&mut self) -> Result<Catalog> {
        self.thread.call(|conn| discover::catalog(conn).map_err(|e| failed("read the catalogue", e))).await
    }

    async fn snapshot(&mut self) -> Result<Box<dyn Snapshot>> {
        Ok(Box::new(SqliteSnapshot::open(&self.place).await?))
    }

    async fn prepare(&mut self, statements: &[String]) -> Result<()> {
        let mut all = statements.to_vec();
        all.extend(SqliteDialect.bookkeeping_ddl(None));
        self.thread
            .call(move |conn| {
                for sql in all {
                    conn.execute_batch(&sql).map_err(|e| failed("change the schema", e))?;
                }
                Ok(())
            })
            .await
    }

    fn trial(&self) -> Box<dyn Trial> {
        Box::new(crate::session::Encoding)
    }

    async fn begin(&mut self, spec: RunSpec) -> Result<Box<dyn StagedRun>> {
        // A connection of its own: the session's temp tables go with it.
        let session = SqliteSession::new(self.place.writer().await?);
        SqlRun::open(Box::new(session), spec).await
    }

    async fn fate(&mut self, marker: &Marker, token: Option<&str>) -> Result<CommitFate> {
        let mut session = SqliteSession::new(self.place.writer().await?);
        // A run that may still commit holds the file's write lock: once it is ours, there is none.
        session.begin().await?;
        let fate = syncline_sql::fate(&mut session, marker, token).await;
        session.rollback().await?;
        fate
    }
}
