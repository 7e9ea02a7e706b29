//! One destination connection with at most one open transaction, for `syncline-sql`.

use std::collections::HashMap;

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use syncline_connector::write::CommitFate;
use syncline_connector::{Error, ErrorKind, Marker, RawChunk, Reject, Result};
use syncline_model::{Column, RowBatch};
use syncline_sql::{Dialect, LoadTarget, SqlSession};

use crate::connect::Site;
use crate::decode::Decoder;
use crate::dialect::Sql;
use crate::encode::Encoder;
use crate::flavour::Flavour;
use crate::leftovers;
use crate::literal::push_display;
use crate::{fault, quote};

/// A statement of this size is parsed fast and undone fast; larger ones gain nothing.
const STATEMENT_BYTES: usize = 1 << 20;

pub(crate) struct Session {
    conn: Conn,
    site: Site,
    dialect: Sql,
    /// Loads seen so far, by table: how to write rows, and the number of the next one.
    loads: HashMap<String, Load>,
    /// Staging tables that are ordinary tables (MySQL), to be dropped at the end.
    staging: Vec<String>,
    /// Foreign-key checks are off: rows are on their way into tables of this run's making, children perhaps first.
    unchecked: bool,
    /// A lock wait or deadlock undid the transaction: nothing of it may be committed (C11).
    undone: bool,
}

struct Load {
    encoder: Encoder,
    head: Vec<u8>,
    next: i64,
}

impl Session {
    pub(crate) async fn open(site: &Site) -> Result<Self> {
        Self::open_as(site, site.flavour.clone()).await
    }

    /// A session that writes for `flavour`, whatever the server is.
    async fn open_as(site: &Site, flavour: Flavour) -> Result<Self> {
        let mut conn = site.connect().await?;
        let mut dialect = Sql { flavour, database: site.database.clone(), connection: conn.id(), place: None };
        if !dialect.staging_is_temporary() {
            dialect.place = leftovers::guard(&mut conn, site).await?;
        }
        Ok(Self { conn, site: site.clone(), dialect, loads: HashMap::new(), staging: Vec::new(), unchecked: false, undone: false })
    }

    /// Maps an error. After a lock wait the server has undone the statement only: the rest goes, too, so that nothing half stays.
    async fn failed(&mut self, e: mysql_async::Error, operation: &str) -> Error {
        if matches!(fault::server_code(&e), Some(fault::LOCK_WAIT_TIMEOUT | fault::DEADLOCK)) {
            self.undone = true;
            // A failing ROLLBACK means a lost connection, and then the server rolls back by itself.
            let _ = self.conn.query_drop("ROLLBACK").await;
        }
        fault::map(e, operation)
    }

    async fn send(&mut self, statement: &[u8], table: &str) -> Result<()> {
        if let Err(e) = self.conn.query_drop(statement).await {
            return Err(self.failed(e, &format!("load into {table}")).await);
        }
        let warnings = self.conn.get_warnings();
        if warnings == 0 {
            return Ok(());
        }
        // Every cell was checked before it was sent: a warning means that the server changed one nevertheless (R2).
        let codes = crate::connect::texts(&mut self.conn, "SHOW WARNINGS", "look at warnings").await?;
        let first = codes.first().and_then(|r| r.get(1).cloned()).flatten().unwrap_or_default();
        let message =
            format!("load into {table}: the server changed values while storing them ({warnings} warnings, the first is {first})");
        Err(Error::new(ErrorKind::SchemaMismatch, "load_warned", message)
            .hint("nothing was written; report this with the table's definition"))
    }

    /// Switches foreign-key checks off for loads into new tables, and on again for everything else. What slips in meanwhile
    /// is found by `syncline-sql` with an anti-join before the commit.
    async fn check_keys(&mut self, on: bool) -> Result<()> {
        if self.unchecked == on {
            let sql = if on { "SET foreign_key_checks = 1" } else { "SET foreign_key_checks = 0" };
            self.conn.query_drop(sql).await.map_err(|e| fault::map(e, "set up a load"))?;
            self.unchecked = !on;
        }
        Ok(())
    }

    async fn drop_staging(&mut self) {
        for table in std::mem::take(&mut self.staging) {
            // Only tidying: what stays is dropped by the next session.
            let _ = self.conn.query_drop(format!("DROP TABLE IF EXISTS {table}")).await;
        }
    }
}

impl Load {
    fn new(target: &LoadTarget, packet_max: usize) -> Self {
        let mut names: Vec<String> = target.columns.iter().map(|c| quote::name(&c.name)).collect();
        if target.numbered {
            names.push("syncline_n".to_owned());
        }
        let head = format!("INSERT INTO {} ({}) VALUES ", target.table, names.join(",")).into_bytes();
        Self { encoder: Encoder::new(&target.columns, packet_max), head, next: 1 }
    }
}

#[async_trait]
impl SqlSession for Session {
    fn dialect(&self) -> &dyn Dialect {
        &self.dialect
    }

    async fn execute(&mut self, sql: &str) -> Result<u64> {
        self.check_keys(true).await?;
        if !self.dialect.staging_is_temporary()
            && let Some((table, _)) =
                sql.strip_prefix("CREATE TABLE ").filter(|s| s.contains("syncline_n BIGINT")).and_then(|s| s.split_once(" ("))
        {
            self.staging.push(table.to_owned());
        }
        let answered = match self.conn.query_iter(sql).await {
            Ok(result) => {
                let affected = result.affected_rows();
                result.drop_result().await.map(|()| affected)
            }
            Err(e) => Err(e),
        };
        match answered {
            Ok(affected) => Ok(affected),
            Err(e) => Err(self.failed(e, "run a statement").await),
        }
    }

    async fn query(&mut self, sql: &str, columns: &[Column]) -> Result<RowBatch> {
        let rows: Vec<Row> = match self.conn.exec(sql, ()).await {
            Ok(rows) => rows,
            Err(e) => return Err(self.failed(e, "run a query").await),
        };
        let decoder = Decoder::new(columns.iter().map(|c| (c, false)));
        let mut batch = RowBatch::new(decoder.width());
        rows.iter().for_each(|r| decoder.push(&mut batch, r));
        Ok(batch)
    }

    async fn load(&mut self, target: &LoadTarget, rows: &RowBatch) -> Result<Vec<Reject>> {
        self.check_keys(!target.place.is_final()).await?;
        let packet_max = self.site.packet_max;
        let mut load = self.loads.remove(&target.table).unwrap_or_else(|| Load::new(target, packet_max));
        let bytes_max = STATEMENT_BYTES.min(load.encoder.row_bytes_max());
        let rows_max = self.site.flavour.statement_rows_max();
        let mut rejects = Vec::new();
        let mut statement = load.head.clone();
        let mut held = 0;
        for row in rows.rows() {
            let before = statement.len();
            if held > 0 {
                statement.push(b',');
            }
            if let Err(reject) = load.encoder.row(&mut statement, row) {
                statement.truncate(before);
                rejects.push(*reject);
                continue;
            }
            if target.numbered {
                push_display(&mut statement, format_args!(",{})", load.next));
                load.next += 1;
            } else {
                statement.push(b')');
            }
            held += 1;
            if held > 1 && statement.len() > load.encoder.row_bytes_max() {
                // The row that does not fit any more goes alone.
                let tail = statement.split_off(before + 1);
                statement.pop();
                self.send(&statement, &target.table).await?;
                statement.truncate(load.head.len());
                statement.extend_from_slice(&tail);
                held = 1;
            }
            if statement.len() >= bytes_max || held >= rows_max {
                self.send(&statement, &target.table).await?;
                statement.truncate(load.head.len());
                held = 0;
            }
        }
        if held > 0 {
            self.send(&statement, &target.table).await?;
        }
        self.loads.insert(target.table.clone(), load);
        Ok(rejects)
    }

    async fn load_raw(&mut self, _target: &LoadTarget, _chunk: RawChunk) -> Result<()> {
        Err(Error::new(ErrorKind::Invalid, "raw_unsupported", "load: this system has no raw form"))
    }

    async fn finish_load(&mut self) -> Result<()> {
        Ok(())
    }

    async fn begin(&mut self) -> Result<()> {
        self.undone = false;
        self.execute("START TRANSACTION READ WRITE").await.map(drop)
    }

    async fn commit(&mut self) -> Result<()> {
        if self.undone {
            let message = "commit: the transaction was undone after a lock wait or deadlock";
            return Err(Error::new(ErrorKind::Conflict, "transaction_aborted", message).hint("nothing was written; run again"));
        }
        match self.conn.query_drop("COMMIT").await {
            Ok(()) => {
                self.drop_staging().await;
                Ok(())
            }
            Err(e) => {
                let mapped = fault::map(e, "commit");
                if mapped.code == "connection_lost" || matches!(mapped.code, "driver_failed" | "tls_failed") {
                    let message = "commit: the answer was lost";
                    return Err(Error::new(ErrorKind::Unavailable, "commit_unknown", message).because(mapped));
                }
                Err(Error::new(ErrorKind::Conflict, "transaction_aborted", "commit: the server rolled the transaction back")
                    .because(mapped))
            }
        }
    }

    async fn rollback(&mut self) -> Result<()> {
        match self.conn.query_drop("ROLLBACK").await {
            Ok(()) => {
                self.drop_staging().await;
                Ok(())
            }
            Err(e) => match fault::map(e, "roll back") {
                lost if lost.kind == ErrorKind::Unavailable => Ok(()),
                other => Err(other),
            },
        }
    }

    async fn token(&mut self) -> Result<Option<String>> {
        Ok(None)
    }

    async fn fate(&mut self, _marker: &Marker, _token: Option<&str>) -> Result<CommitFate> {
        Ok(CommitFate::Unknown)
    }

    async fn sever(&mut self) {
        if let Ok(mut other) = self.site.connect().await {
            // Failing to cut leaves the connection open: the test that asked for it will say so.
            let _ = other.query_drop(format!("KILL CONNECTION {}", self.conn.id())).await;
            let _ = other.disconnect().await;
        }
    }
}

#[cfg(test)]
mod tests;
