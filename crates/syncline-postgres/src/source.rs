//! A connection in the role of source: everything it does is read-only.

use std::sync::Arc;

use async_trait::async_trait;
use syncline_connector::{Capabilities, Finding, Identity, Result, Role, Snapshot, Source};
use syncline_model::{Catalog, Column, RowBatch, TableName, Value};

use crate::connect::{Access, Link, Server, Settings};
use crate::snapshot::PgSnapshot;
use crate::{check, discover, identity, native, parse};

/// A connection that is opened again whenever the last one was given away (to a snapshot, a run) or lost.
pub struct Pool {
    settings: Arc<Settings>,
    access: Access,
    /// What the server is.
    pub server: Server,
    idle: Option<Link>,
}

impl Pool {
    /// A pool of one, open already.
    #[must_use]
    pub fn new(link: Link, access: Access) -> Self {
        Self { settings: Arc::clone(&link.settings), access, server: link.server.clone(), idle: Some(link) }
    }

    /// Gives the connection away.
    ///
    /// # Errors
    /// As [`Link::open`].
    pub async fn take(&mut self) -> Result<Link> {
        match self.idle.take().filter(|l| !l.client.is_closed()) {
            Some(link) => Ok(link),
            None => Link::open(&self.settings, self.access).await,
        }
    }

    /// Lends the connection.
    ///
    /// # Errors
    /// As [`Link::open`].
    pub async fn link(&mut self) -> Result<&Link> {
        let link = self.take().await?;
        Ok(self.idle.insert(link))
    }

    /// Takes a connection back.
    pub fn give_back(&mut self, link: Link) {
        self.idle = Some(link);
    }

    /// The schema to work in, where the user named one.
    #[must_use]
    pub fn schema(&self) -> Option<&str> {
        self.settings.schema.as_deref()
    }
}

/// A source session.
pub struct PgSource {
    pool: Pool,
}

impl PgSource {
    /// A source over an open connection.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { pool: Pool::new(link, Access::ReadOnly) }
    }
}

#[async_trait]
impl Source for PgSource {
    fn capabilities(&self) -> &Capabilities {
        &self.pool.server.capabilities
    }

    async fn identity(&mut self) -> Result<Identity> {
        identity::identity(self.pool.link().await?).await
    }

    async fn check(&mut self, tables: &[TableName]) -> Result<Vec<Finding>> {
        let schema = self.pool.schema().map(str::to_owned);
        check::check(self.pool.link().await?, Role::Source, schema.as_deref(), tables).await
    }

    async fn discover(&mut self) -> Result<Catalog> {
        let schema = self.pool.schema().map(str::to_owned);
        discover::catalog(self.pool.link().await?, schema.as_deref()).await
    }

    async fn snapshot(&mut self) -> Result<Box<dyn Snapshot>> {
        let link = self.pool.take().await?;
        Ok(Box::new(PgSnapshot::open(link).await?))
    }

    async fn query_values(&mut self, sql: &str) -> Result<Vec<Value>> {
        values(self.pool.link().await?, sql).await
    }
}

/// Answers of a one-column query. The extended protocol takes one statement only, so the text cannot end the transaction it runs in.
async fn values(link: &Link, query: &str) -> Result<Vec<Value>> {
    let doing = "run the scopes query";
    link.run(&link.begin_text("READ ONLY"), doing).await?;
    let query = query.trim().trim_end_matches(';');
    // The line break ends a comment that the user's text may end in.
    let wrapped = format!("SELECT q.c::text, pg_typeof(q.c)::text FROM ({query}\n) AS q(c)");
    let answer = link.client.query_typed(&wrapped, &[]).await.map_err(|e| crate::error::from_pg(e, doing));
    link.run("ROLLBACK", doing).await?;
    let mut batch = RowBatch::new(1);
    for row in answer? {
        let spelled: &str = row.try_get(1).map_err(|e| crate::error::from_pg(e, doing))?;
        let text: Option<&str> = row.try_get(0).map_err(|e| crate::error::from_pg(e, doing))?;
        parse::cell(text, &Column::plain("value", native::logical_of(spelled), spelled), &mut batch)?;
    }
    Ok(batch.rows().map(|r| r.get(0).to_owned()).collect())
}
