//! One writing connection, as the staged apply wants it.
//!
//! Staging goes to the temp database of the connection, in transactions of its own: the file itself is locked only from
//! `begin` (BEGIN IMMEDIATE) to the commit, so the source is never read while the lock is held (R18).

use std::collections::BTreeSet;

use async_trait::async_trait;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, params_from_iter};
use syncline_connector::write::CommitFate;
use syncline_connector::{Error, ErrorKind, LargeFields, Marker, RawChunk, Reject, Result, Trial};
use syncline_model::{Column, RowBatch, RowRef};
use syncline_sql::{Dialect, LoadPlace, LoadTarget, SqlSession};

use crate::bind::Param;
use crate::decode::decode;
use crate::dialect::SqliteDialect;
use crate::encode::Slot;
use crate::error::failed;
use crate::native::Kind;
use crate::thread::Thread;
use crate::{quote, slices};

#[cfg(test)]
mod tests;

/// A writing session.
pub struct SqliteSession {
    /// `None` once severed.
    thread: Option<Thread>,
    /// Tables loaded in this transaction without foreign-key checks, quoted: checked whole before COMMIT.
    unchecked: BTreeSet<String>,
}

impl SqliteSession {
    /// A session over a writing connection.
    pub(crate) fn new(thread: Thread) -> Self {
        Self { thread: Some(thread), unchecked: BTreeSet::new() }
    }

    async fn call<T: Send + 'static>(&self, job: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static) -> Result<T> {
        match &self.thread {
            Some(thread) => thread.call(job).await,
            None => Err(Error::new(ErrorKind::Unavailable, "connection_lost", "the connection is gone")),
        }
    }

    async fn batch(&self, sql: &'static str, operation: &'static str) -> Result<()> {
        self.call(move |conn| conn.execute_batch(sql).map_err(|e| failed(operation, e))).await
    }
}

#[async_trait]
impl SqlSession for SqliteSession {
    fn dialect(&self) -> &dyn Dialect {
        &SqliteDialect
    }

    async fn execute(&mut self, sql: &str) -> Result<u64> {
        let sql = sql.to_owned();
        self.call(move |conn| execute(conn, &sql).map_err(|e| failed("run a statement", e))).await
    }

    async fn query(&mut self, sql: &str, columns: &[Column]) -> Result<RowBatch> {
        let (sql, kinds) = (sql.to_owned(), columns.iter().map(Kind::of).collect::<Vec<_>>());
        self.call(move |conn| query(conn, &sql, &kinds).map_err(|e| failed("run a query", e))).await
    }

    async fn load(&mut self, target: &LoadTarget, rows: &RowBatch) -> Result<Vec<Reject>> {
        if target.place == LoadPlace::New {
            self.unchecked.insert(target.table.clone());
        }
        let (target, rows) = (target.clone(), rows.clone());
        self.call(move |conn| load(conn, &target, &rows)).await
    }

    async fn load_large(&mut self, target: &LoadTarget, row: &RowBatch, fields: &mut dyn LargeFields) -> Result<Option<Reject>> {
        if target.place == LoadPlace::New {
            self.unchecked.insert(target.table.clone());
        }
        match &self.thread {
            Some(thread) => slices::load(thread, target, row, fields).await,
            None => Err(Error::new(ErrorKind::Unavailable, "connection_lost", "the connection is gone")),
        }
    }

    async fn load_raw(&mut self, _target: &LoadTarget, _chunk: RawChunk) -> Result<()> {
        Err(Error::new(ErrorKind::Invalid, "raw_unsupported", "sqlite has no bulk format of its own"))
    }

    async fn finish_load(&mut self) -> Result<()> {
        Ok(())
    }

    async fn begin(&mut self) -> Result<()> {
        self.unchecked.clear();
        self.batch("BEGIN IMMEDIATE", "open the transaction").await
    }

    async fn leave_unchecked(&mut self) -> Result<()> {
        let off = |conn: &mut Connection| conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false).map(drop);
        self.call(move |conn| off(conn).map_err(|e| failed("set up a load", e))).await
    }

    async fn commit(&mut self) -> Result<()> {
        let unchecked = std::mem::take(&mut self.unchecked);
        self.call(move |conn| {
            if conn.is_autocommit() {
                return Err(Error::new(ErrorKind::Conflict, "transaction_aborted", "commit: the transaction was rolled back before"));
            }
            let ended = no_orphans(conn, &unchecked).and_then(|()| conn.execute_batch("COMMIT").map_err(|e| failed("commit", e)));
            if ended.is_err() {
                // COMMIT that fails leaves the transaction open; nothing of it may stay.
                let _ = conn.execute_batch("ROLLBACK");
            }
            ended
        })
        .await
    }

    async fn rollback(&mut self) -> Result<()> {
        if self.thread.is_none() {
            return Ok(());
        }
        self.call(|conn| if conn.is_autocommit() { Ok(()) } else { conn.execute_batch("ROLLBACK").map_err(|e| failed("roll back", e)) })
            .await
    }

    async fn token(&mut self) -> Result<Option<String>> {
        Ok(None)
    }

    async fn fate(&mut self, _marker: &Marker, _token: Option<&str>) -> Result<CommitFate> {
        Ok(CommitFate::Unknown)
    }

    async fn sever(&mut self) {
        // The thread closes its connection; what was open rolls back.
        self.thread = None;
    }
}

/// Rows matched by the last INSERT, UPDATE or DELETE; 0 for statements of other kinds.
fn execute(conn: &Connection, sql: &str) -> rusqlite::Result<u64> {
    let before = conn.total_changes();
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    drop(rows);
    // `changes` keeps its old number over statements that change nothing.
    Ok(if conn.total_changes() == before { 0 } else { conn.changes() })
}

fn query(conn: &Connection, sql: &str, kinds: &[Kind]) -> rusqlite::Result<RowBatch> {
    let mut batch = RowBatch::new(kinds.len());
    let mut scratch = String::new();
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for (i, kind) in kinds.iter().enumerate() {
            batch.push(decode(row.get_ref(i)?, kind, &mut scratch));
        }
    }
    Ok(batch)
}

fn load(conn: &Connection, target: &LoadTarget, rows: &RowBatch) -> Result<Vec<Reject>> {
    let operation = format!("load into {}", target.table);
    let own_transaction = conn.is_autocommit();
    if own_transaction {
        // Deferred: touches only the temp database, takes no lock on the file.
        conn.execute_batch("BEGIN").map_err(|e| failed(&operation, e))?;
    }
    let loaded = if target.place.is_final() {
        without_foreign_keys(conn, &operation, || insert_all(conn, target, rows, &operation))
    } else {
        insert_all(conn, target, rows, &operation)
    };
    if own_transaction {
        let end = if loaded.is_ok() { "COMMIT" } else { "ROLLBACK" };
        conn.execute_batch(end).map_err(|e| failed(&operation, e))?;
    }
    loaded
}

/// Loads a table of the run's own making unchecked. With checks, every parent row that comes after a child would search the
/// child table, whose indexes are not built yet: quadratic. The orphans are set aside by the run and `no_orphans` looks again.
pub(crate) fn without_foreign_keys<T>(conn: &Connection, operation: &str, load: impl FnOnce() -> Result<T>) -> Result<T> {
    let set = |on: bool| conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, on).map_err(|e| failed(operation, e));
    set(false)?;
    let loaded = load();
    set(true)?;
    loaded
}

fn no_orphans(conn: &Connection, tables: &BTreeSet<String>) -> Result<()> {
    for table in tables {
        let found = conn.prepare(&format!("PRAGMA foreign_key_check({table})")).and_then(|mut s| s.exists([]));
        if found.map_err(|e| failed(format_args!("check the foreign keys of {table}"), e))? {
            let message = format!("commit: rows of {table} point at no row of the table they reference");
            return Err(Error::new(ErrorKind::BadRecord, "parent_missing", message));
        }
    }
    Ok(())
}

fn insert_all(conn: &Connection, target: &LoadTarget, rows: &RowBatch, operation: &str) -> Result<Vec<Reject>> {
    let names: Vec<&str> = target.columns.iter().map(|c| c.name.as_str()).collect();
    let marks = vec!["?"; names.len()].join(", ");
    let sql = format!("INSERT INTO {} ({}) VALUES ({marks})", target.table, quote::names(&names));
    let mut statement = conn.prepare_cached(&sql).map_err(|e| failed(operation, e))?;
    let slots: Vec<Slot> = target.columns.iter().map(Slot::of).collect();
    let mut rejects = Vec::new();
    for row in rows.rows() {
        let params = match encode_row(row, &target.columns, &slots) {
            Ok(params) => params,
            Err(reject) => {
                rejects.push(reject);
                continue;
            }
        };
        match statement.execute(params_from_iter(&params)) {
            Ok(_) => {}
            // Rows of a table of our own making stand on their own: the one at fault is set aside, the others stay.
            Err(e) if target.place.is_final() && e.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                let e = failed(operation, e);
                rejects.push(Reject { row: row.to_values(), column: None, code: e.code, detail: e.message, words: None });
            }
            Err(e) => return Err(failed(operation, e)),
        }
    }
    Ok(rejects)
}

/// Encodes rows as they would be sent to staging, and sends none.
pub(crate) struct Encoding;

impl Trial for Encoding {
    fn refused(&self, columns: &[Column], rows: &RowBatch) -> Vec<(usize, Reject)> {
        let slots: Vec<Slot> = columns.iter().map(Slot::of).collect();
        rows.rows().enumerate().filter_map(|(i, row)| Some((i, encode_row(row, columns, &slots).err()?))).collect()
    }
}

fn encode_row<'r>(row: RowRef<'r>, columns: &[Column], slots: &[Slot]) -> std::result::Result<Vec<Param<'r>>, Reject> {
    let mut params = Vec::with_capacity(slots.len());
    for ((cell, slot), column) in row.cells().zip(slots).zip(columns) {
        match slot.encode(cell) {
            Ok(param) => params.push(param),
            Err(refusal) => {
                let column = Some(column.name.clone());
                return Err(Reject { row: row.to_values(), column, code: refusal.code, detail: refusal.detail, words: None });
            }
        }
    }
    Ok(params)
}
