//! A connection in the role of destination.

use async_trait::async_trait;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use syncline_connector::write::{CommitFate, Marker, RunSpec, StagedRun};
use syncline_connector::{Capabilities, Destination, Error, ErrorKind, Finding, Identity, Reject, Result, Role, Snapshot, Trial};
use syncline_model::{Catalog, Column, RowBatch, RowRef, TableName};
use syncline_sql::{Dialect as _, SqlRun};

use crate::connect::Site;
use crate::dialect::Sql;
use crate::encode::Encoder;
use crate::session::Session;
use crate::{check, discover, fault, snapshot, source};

pub(crate) struct Writer {
    pub(crate) conn: Conn,
    pub(crate) site: Site,
}

/// Encodes rows as they would be sent to staging, and sends none.
struct Encoding {
    packet_max: usize,
}

impl Trial for Encoding {
    fn refused(&self, columns: &[Column], rows: &RowBatch) -> Vec<(usize, Reject)> {
        let encoder = Encoder::new(columns, self.packet_max);
        let mut out = Vec::new();
        let mut one = |row: RowRef<'_>| {
            out.clear();
            encoder.row(&mut out, row).err()
        };
        rows.rows().enumerate().filter_map(|(i, row)| Some((i, *one(row)?))).collect()
    }
}

#[async_trait]
impl Destination for Writer {
    fn capabilities(&self) -> &Capabilities {
        &self.site.capabilities
    }

    async fn identity(&mut self) -> Result<Identity> {
        source::identity(&mut self.conn, &self.site).await
    }

    async fn check(&mut self, tables: &[TableName]) -> Result<Vec<Finding>> {
        check::run(&mut self.conn, &self.site, Role::Destination, tables).await
    }

    async fn discover(&mut self) -> Result<Catalog> {
        discover::catalog(&mut self.conn, &self.site).await
    }

    async fn snapshot(&mut self) -> Result<Box<dyn Snapshot>> {
        snapshot::open(&self.site).await
    }

    async fn prepare(&mut self, statements: &[String]) -> Result<()> {
        for sql in statements {
            self.conn.query_drop(sql.as_str()).await.map_err(|e| fault::map(e, "change the schema"))?;
        }
        if self.site.database.is_none() {
            return Ok(());
        }
        let dialect =
            Sql { flavour: self.site.flavour.clone(), database: self.site.database.clone(), connection: self.conn.id(), place: None };
        for sql in dialect.bookkeeping_ddl(None) {
            match self.conn.query_drop(sql).await.map_err(|e| fault::map(e, "make the bookkeeping tables")) {
                // Without the right the run goes on without a marker; `check` prints the DDL.
                Ok(()) => {}
                Err(e) if e.kind == ErrorKind::Unauthorized => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn trial(&self) -> Box<dyn Trial> {
        Box::new(Encoding { packet_max: self.site.packet_max })
    }

    async fn begin(&mut self, spec: RunSpec) -> Result<Box<dyn StagedRun>> {
        if let Some(s) = spec.streams.iter().find(|s| s.table.non_transactional) {
            let message = format!("stream `{}`: writes to `{}` cannot be rolled back", s.stream, s.table.name);
            let hint = format!("ALTER TABLE {} ENGINE=InnoDB", crate::quote::table(&s.table.name));
            return Err(Error::new(ErrorKind::Invalid, "table_non_transactional", message).hint(hint));
        }
        let session = Session::open(&self.site).await?;
        SqlRun::open(Box::new(session), spec).await
    }

    async fn fate(&mut self, marker: &Marker, token: Option<&str>) -> Result<CommitFate> {
        let mut session = Session::open(&self.site).await?;
        syncline_sql::fate(&mut session, marker, token).await
    }
}
