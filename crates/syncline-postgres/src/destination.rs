//! A connection in the role of destination.

use async_trait::async_trait;
use syncline_connector::{
    Capabilities, CommitFate, Destination, ErrorKind, Finding, Identity, Marker, Result, Role, RunSpec, Snapshot, StagedRun, Trial,
};
use syncline_model::{Catalog, TableName};
use syncline_sql::{Dialect as _, SqlRun};

use crate::connect::{Access, Link};
use crate::dialect::PgDialect;
use crate::session::PgSession;
use crate::snapshot::PgSnapshot;
use crate::source::Pool;
use crate::{check, discover, identity};

/// A destination session.
pub struct PgDestination {
    pool: Pool,
}

impl PgDestination {
    /// A destination over an open connection.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { pool: Pool::new(link, Access::ReadWrite) }
    }
}

#[async_trait]
impl Destination for PgDestination {
    fn capabilities(&self) -> &Capabilities {
        &self.pool.server.capabilities
    }

    async fn identity(&mut self) -> Result<Identity> {
        identity::identity(self.pool.link().await?).await
    }

    async fn check(&mut self, tables: &[TableName]) -> Result<Vec<Finding>> {
        let schema = self.pool.schema().map(str::to_owned);
        check::check(self.pool.link().await?, Role::Destination, schema.as_deref(), tables).await
    }

    async fn discover(&mut self) -> Result<Catalog> {
        let schema = self.pool.schema().map(str::to_owned);
        discover::catalog(self.pool.link().await?, schema.as_deref()).await
    }

    async fn snapshot(&mut self) -> Result<Box<dyn Snapshot>> {
        let link = self.pool.take().await?;
        Ok(Box::new(PgSnapshot::open(link).await?))
    }

    async fn prepare(&mut self, statements: &[String]) -> Result<()> {
        let dialect = PgDialect::new(self.pool.schema().map(str::to_owned));
        let link = self.pool.link().await?;
        if !statements.is_empty() {
            let all = statements.iter().map(|s| format!("{s};\n")).collect::<String>();
            let text = format!("{}{all}COMMIT", link.begin_text("READ WRITE"));
            if let Err(e) = link.run(&text, "change the schema").await {
                // The statement's error is the one to report.
                let _ = link.run("ROLLBACK", "change the schema").await;
                return Err(e);
            }
        }
        // One by one: where one cannot be made, the others still can.
        for sql in dialect.bookkeeping_ddl(None) {
            match link.run(&sql, "make the bookkeeping tables").await {
                Ok(()) => {}
                // Without them the run still works; `check` says what is lost.
                Err(e) if e.kind == ErrorKind::Unauthorized => tracing::debug!(code = e.code, "a bookkeeping table was not made"),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn trial(&self) -> Box<dyn Trial> {
        Box::new(crate::load::Encoding)
    }

    async fn begin(&mut self, spec: RunSpec) -> Result<Box<dyn StagedRun>> {
        let link = self.pool.take().await?;
        SqlRun::open(Box::new(PgSession::new(link)), spec).await
    }

    async fn fate(&mut self, marker: &Marker, token: Option<&str>) -> Result<CommitFate> {
        let link = self.pool.take().await?;
        syncline_sql::fate(&mut PgSession::new(link), marker, token).await
    }
}
