//! One consistent, read-only view over all tables, on a connection of its own (R39).

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Row, Value as Wire};
use syncline_connector::{
    DigestRequest, Error, ErrorKind, Observation, Predicate, ReadRequest, Result, RowStream, SegmentDigest, SliceRequest, Snapshot,
};
use syncline_model::{Column, RowBatch, Table, Value};

use crate::bind::{self, Bound};
use crate::connect::Site;
use crate::decode::Decoder;
use crate::flavour::Flavour;
use crate::read::{self, Plan, Rows};
use crate::{digest, fault, horizon, quote};

/// Bytes after which row hashes are handed over.
const HASH_BATCH_BYTES: usize = 1 << 20;

pub(crate) struct View {
    conn: Conn,
    flavour: Flavour,
    observation: Observation,
}

/// Observes, then opens the view.
pub(crate) async fn open(site: &Site) -> Result<Box<dyn Snapshot>> {
    let mut conn = site.connect().await?;
    let observation = horizon::observe(&mut conn).await?;
    let begin = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
    conn.query_drop(begin).await.map_err(|e| fault::map(e, "open a snapshot"))?;
    Ok(Box::new(View { conn, flavour: site.flavour.clone(), observation }))
}

impl View {
    async fn ask(&mut self, question: Bound, operation: &str) -> Result<Vec<Row>> {
        let params = if question.params.is_empty() { Params::Empty } else { Params::Positional(question.params) };
        self.conn.exec(question.sql, params).await.map_err(|e| fault::map(e, operation))
    }
}

#[async_trait]
impl Snapshot for View {
    fn observation(&self) -> &Observation {
        &self.observation
    }

    async fn read<'a>(&'a mut self, request: ReadRequest) -> Result<Box<dyn RowStream + 'a>> {
        let plan = read::plan(&request, &self.flavour)?;
        Ok(Box::new(Rows::new(&mut self.conn, plan)))
    }

    async fn digest(&mut self, request: &DigestRequest) -> Result<Vec<SegmentDigest>> {
        let question = digest::segments(request, &self.flavour)?;
        let operation = format!("digest `{}`", request.table.name);
        let rows = self.ask(question, &operation).await?;
        rows.iter().map(|r| segment(r).ok_or_else(|| Error::internal(format!("{operation}: an answer has no numbers")))).collect()
    }

    async fn row_hashes<'a>(&'a mut self, request: &DigestRequest, segments: &[i64]) -> Result<Box<dyn RowStream + 'a>> {
        let statements = digest::rows(request, segments, &self.flavour)?.into_iter().collect();
        let hash = digest::hash_column();
        let mut columns: Vec<&Column> = request.key.iter().filter_map(|k| request.table.column(&k.name)).collect();
        columns.push(&hash);
        let decoder = Decoder::new(columns.into_iter().map(|c| (c, false)));
        let operation = format!("hash rows of `{}`", request.table.name);
        Ok(Box::new(Rows::new(&mut self.conn, Plan { statements, decoder, batch_bytes: HASH_BATCH_BYTES, operation })))
    }

    async fn key_range(&mut self, table: &Table, column: &str, filter: &[Predicate]) -> Result<Option<(i128, i128)>> {
        let filter = bind::clause(table, filter)?;
        let q = quote::name(column);
        let sql = format!("SELECT MIN({q}), MAX({q}) FROM {}{}", quote::table(&table.name), filter.sql);
        let rows = self.ask(Bound { sql, params: filter.params }, &format!("find the keys of `{}`", table.name)).await?;
        Ok(rows.first().and_then(|r| Some((integer(r.as_ref(0)?)?, integer(r.as_ref(1)?)?))))
    }

    async fn key_after(&mut self, table: &Table, columns: &[String], filter: &[Predicate], rows: u64) -> Result<Option<Vec<Value>>> {
        let filter = bind::clause(table, filter)?;
        let names: Vec<String> = columns.iter().map(|c| quote::name(c)).collect();
        let (list, back) = (names.join(", "), names.iter().map(|n| format!("{n} DESC")).collect::<Vec<_>>().join(", "));
        let first = format!("SELECT {list} FROM {}{} ORDER BY {list} LIMIT {rows}", quote::table(&table.name), filter.sql);
        let sql = format!("SELECT {list} FROM ({first}) AS first_keys ORDER BY {back} LIMIT 1");
        let answer = self.ask(Bound { sql, params: filter.params }, &format!("look at the keys of `{}`", table.name)).await?;
        let decoder = Decoder::new(columns.iter().filter_map(|c| table.column(c)).map(|c| (c, false)));
        let mut batch = RowBatch::new(decoder.width());
        answer.iter().for_each(|r| decoder.push(&mut batch, r));
        Ok(batch.rows().next().map(|r| r.to_values()))
    }

    async fn slice(&mut self, request: &SliceRequest) -> Result<Vec<u8>> {
        let message = format!("read a large value of `{}`: values come only whole", request.table.name);
        Err(Error::new(ErrorKind::Invalid, "slices_unsupported", message))
    }

    async fn count(&mut self, table: &Table, filter: &[Predicate]) -> Result<u64> {
        let mut total = 0;
        for filter in bind::clauses(table, filter)? {
            let sql = format!("SELECT COUNT(*) FROM {}{}", quote::table(&table.name), filter.sql);
            let rows = self.ask(Bound { sql, params: filter.params }, &format!("count `{}`", table.name)).await?;
            let counted = rows.first().and_then(|r| integer(r.as_ref(0)?));
            total += counted.and_then(|n| u64::try_from(n).ok()).ok_or_else(|| Error::internal("count: no number"))?;
        }
        Ok(total)
    }

    async fn close(mut self: Box<Self>) -> Result<()> {
        self.conn.query_drop("ROLLBACK").await.map_err(|e| fault::map(e, "close a snapshot"))?;
        self.conn.disconnect().await.map_err(|e| fault::map(e, "close a snapshot"))
    }
}

fn segment(r: &Row) -> Option<SegmentDigest> {
    let n = |i: usize| r.as_ref(i).and_then(integer);
    Some(SegmentDigest {
        id: i64::try_from(n(0)?).ok()?,
        rows: u64::try_from(n(1)?).ok()?,
        hashed: u64::try_from(n(2)?).ok()?,
        hash: u64::try_from(n(3)?).ok()?,
    })
}

fn integer(wire: &Wire) -> Option<i128> {
    match wire {
        Wire::Int(n) => Some(i128::from(*n)),
        Wire::UInt(n) => Some(i128::from(*n)),
        Wire::Bytes(b) => std::str::from_utf8(b).ok()?.parse().ok(),
        Wire::NULL | Wire::Float(_) | Wire::Double(_) | Wire::Date(..) | Wire::Time(..) => None,
    }
}
