//! One consistent view: a read transaction on a connection of its own.

use async_trait::async_trait;
use rusqlite::{Connection, params_from_iter};
use syncline_connector::{
    DigestRequest, LateCommitRule, Observation, Predicate, ReadRequest, Result, RowStream, SegmentDigest, SliceRequest, Snapshot,
};
use syncline_model::{Table, Value};

use crate::connect::{Place, parameters_max};
use crate::decode::decode;
use crate::error::failed;
use crate::native::Kind;
use crate::thread::Thread;
use crate::{digest, filter, quote, read, slices};

/// Writers are serial, but stamps are the application's: rows may become visible a little after the stamp they carry (R5.5).
const OVERLAP_S: u32 = 60;

/// A snapshot of the file.
pub(crate) struct SqliteSnapshot {
    thread: Thread,
    observation: Observation,
    parameters_max: usize,
}

impl SqliteSnapshot {
    /// Observes, then opens the view.
    pub(crate) async fn open(place: &Place) -> Result<Self> {
        let thread = place.reader().await?;
        let (at, parameters_max) = thread.call(|conn| begin(conn).map_err(|e| failed("open a snapshot", e))).await?;
        let rule = LateCommitRule::Overlap { default_s: OVERLAP_S };
        Ok(Self { thread, observation: Observation { at, open: Vec::new(), mark: None, rule }, parameters_max })
    }
}

fn begin(conn: &Connection) -> rusqlite::Result<(i64, usize)> {
    let at = conn.query_row("SELECT CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)", [], |r| r.get(0))?;
    conn.execute_batch("BEGIN")?;
    // BEGIN alone takes no lock; the first read fixes what is seen.
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get::<_, i64>(0))?;
    Ok((at, parameters_max(conn)))
}

#[async_trait]
impl Snapshot for SqliteSnapshot {
    fn observation(&self) -> &Observation {
        &self.observation
    }

    async fn read<'a>(&'a mut self, request: ReadRequest) -> Result<Box<dyn RowStream + 'a>> {
        let plan = read::Plan::new(&request, self.parameters_max)?;
        Ok(Box::new(self.thread.stream(move |conn, outlet| plan.run(conn, outlet))))
    }

    async fn digest(&mut self, request: &DigestRequest) -> Result<Vec<SegmentDigest>> {
        let plan = digest::Plan::new(request, self.parameters_max)?;
        self.thread.call(move |conn| plan.segments(conn)).await
    }

    async fn row_hashes<'a>(&'a mut self, request: &DigestRequest, segments: &[i64]) -> Result<Box<dyn RowStream + 'a>> {
        let plan = digest::Plan::new(request, self.parameters_max)?;
        let segments = segments.to_vec();
        Ok(Box::new(self.thread.stream(move |conn, outlet| plan.hashes(conn, &segments, outlet))))
    }

    async fn key_range(&mut self, table: &Table, column: &str, filter: &[Predicate]) -> Result<Option<(i128, i128)>> {
        filter::column(table, column)?;
        let clauses = filter::clauses(table, filter, self.parameters_max)?;
        let name = quote::name(column);
        let from = quote::name(&table.name.name);
        let operation = format!("find the range of `{column}` in `{}`", table.name);
        let job = move |conn: &mut Connection| -> rusqlite::Result<Option<(i128, i128)>> {
            let mut range: Option<(i64, i64)> = None;
            for clause in clauses {
                let joint = if clause.sql.is_empty() { " WHERE" } else { " AND" };
                let sql = format!("SELECT min({name}), max({name}) FROM {from}{}{joint} typeof({name}) = 'integer'", clause.sql);
                let found = conn.query_row(&sql, params_from_iter(&clause.params), |r| Ok((r.get(0)?, r.get(1)?)))?;
                if let (Some(low), Some(high)) = found {
                    let (a, b): (i64, i64) = range.unwrap_or((low, high));
                    range = Some((a.min(low), b.max(high)));
                }
            }
            Ok(range.map(|(a, b)| (a.into(), b.into())))
        };
        self.thread.call(move |conn| job(conn).map_err(|e| failed(operation, e))).await
    }

    async fn key_after(&mut self, table: &Table, columns: &[String], filter: &[Predicate], rows: u64) -> Result<Option<Vec<Value>>> {
        let kinds = columns.iter().map(|c| filter::column(table, c).map(Kind::of)).collect::<Result<Vec<_>>>()?;
        let clause = filter::clauses(table, filter, self.parameters_max)?.pop().unwrap_or_default();
        let list = quote::names(columns);
        let back: Vec<String> = columns.iter().map(|c| format!("{} DESC", quote::name(c))).collect();
        let first = format!("SELECT {list} FROM {}{} ORDER BY {list} LIMIT {rows}", quote::name(&table.name.name), clause.sql);
        let sql = format!("SELECT {list} FROM ({first}) ORDER BY {} LIMIT 1", back.join(", "));
        let operation = format!("look at the keys of `{}`", table.name);
        let job = move |conn: &mut Connection| -> rusqlite::Result<Option<Vec<Value>>> {
            let mut statement = conn.prepare(&sql)?;
            let mut rows = statement.query(params_from_iter(&clause.params))?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let mut scratch = String::new();
            let cell = |(i, kind)| Ok(decode(row.get_ref(i)?, kind, &mut scratch).to_owned());
            kinds.iter().enumerate().map(cell).collect::<rusqlite::Result<Vec<_>>>().map(Some)
        };
        self.thread.call(move |conn| job(conn).map_err(|e| failed(operation, e))).await
    }

    async fn slice(&mut self, request: &SliceRequest) -> Result<Vec<u8>> {
        let SliceRequest { table, offset, max, .. } = request.clone();
        let column = filter::column(&table, &request.column)?.clone();
        let clauses = filter::clauses(&table, &request.filter, self.parameters_max)?;
        self.thread.call(move |conn| slices::read(conn, &table, &column, &clauses, offset, max)).await
    }

    async fn count(&mut self, table: &Table, filter: &[Predicate]) -> Result<u64> {
        let clauses = filter::clauses(table, filter, self.parameters_max)?;
        let from = quote::name(&table.name.name);
        let operation = format!("count `{}`", table.name);
        let job = move |conn: &mut Connection| -> rusqlite::Result<u64> {
            let mut total = 0u64;
            for clause in clauses {
                let sql = format!("SELECT count(*) FROM {from}{}", clause.sql);
                total += conn.query_row(&sql, params_from_iter(&clause.params), |r| r.get::<_, i64>(0))?.unsigned_abs();
            }
            Ok(total)
        };
        self.thread.call(move |conn| job(conn).map_err(|e| failed(operation, e))).await
    }

    async fn close(self: Box<Self>) -> Result<()> {
        self.thread.call(|conn| conn.execute_batch("COMMIT").map_err(|e| failed("close a snapshot", e))).await
    }
}
