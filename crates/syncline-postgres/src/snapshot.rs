//! One consistent, read-only view: a REPEATABLE READ READ ONLY transaction on a connection of its own.

use async_trait::async_trait;
use syncline_connector::{
    DigestRequest, ErrorKind, Observation, Predicate, ReadForm, ReadRequest, Result, RowStream, SegmentDigest, SliceRequest, Snapshot,
};
use syncline_model::{LogicalType, RowBatch, Table, Value};

use crate::connect::Link;
use crate::read::{self, Rows};
use crate::{digest, horizon, large, parse, predicate, raw, sql};

/// A digest's hash aggregate holds some tens of thousands of groups; a sort of all rows would be the slower plan (R13).
const DIGEST_SETTINGS: &str = "SET LOCAL enable_sort = off; SET LOCAL work_mem = '64MB'";
const DIGEST_SETTINGS_BACK: &str = "SET LOCAL enable_sort TO DEFAULT; SET LOCAL work_mem TO DEFAULT";

/// An open view.
pub struct PgSnapshot {
    link: Link,
    observation: Observation,
}

impl PgSnapshot {
    /// Observes, then opens the view.
    ///
    /// # Errors
    /// As the server says.
    pub async fn open(link: Link) -> Result<Self> {
        let observation = horizon::observe(&link).await?;
        // The view is fixed by the first query, not by BEGIN.
        let begin = format!("{} SELECT 1", link.begin_text("ISOLATION LEVEL REPEATABLE READ READ ONLY"));
        link.run(&begin, "open snapshot").await?;
        Ok(Self { link, observation })
    }
}

#[async_trait]
impl Snapshot for PgSnapshot {
    fn observation(&self) -> &Observation {
        &self.observation
    }

    async fn read<'a>(&'a mut self, request: ReadRequest) -> Result<Box<dyn RowStream + 'a>> {
        let doing = format!("read `{}`", request.table.name);
        let guard = read::may_be_large(&self.link, &request.table, request.large_over).await?;
        match request.form {
            ReadForm::Raw => Ok(Box::new(raw::RawRows::new(&self.link, request, guard, doing)?)),
            ReadForm::Values | ReadForm::Text => {
                let plan = read::plan(&request, guard)?;
                Ok(Box::new(Rows::new(&self.link, plan, request.batch_bytes, doing)))
            }
        }
    }

    async fn digest(&mut self, request: &DigestRequest) -> Result<Vec<SegmentDigest>> {
        let doing = format!("digest `{}`", request.table.name);
        let select = digest::segments_sql(request)?;
        let rows = self.link.rows(&format!("{DIGEST_SETTINGS}; {select}; {DIGEST_SETTINGS_BACK}"), &doing).await?;
        let mut segments = rows.iter().map(digest::segment).collect::<Result<Vec<_>>>()?;
        segments.sort_unstable_by_key(|s| s.id);
        Ok(segments)
    }

    async fn row_hashes<'a>(&'a mut self, request: &DigestRequest, segments: &[i64]) -> Result<Box<dyn RowStream + 'a>> {
        let plan = digest::rows_plan(request, segments)?;
        let batch_bytes = (self.link.settings.memory / 8).clamp(1 << 16, 1 << 22);
        Ok(Box::new(Rows::new(&self.link, plan, batch_bytes, format!("read row hashes of `{}`", request.table.name))))
    }

    async fn key_range(&mut self, table: &Table, column: &str, filter: &[Predicate]) -> Result<Option<(i128, i128)>> {
        let column = predicate::column(table, column)?;
        if !matches!(column.logical, LogicalType::Int { .. }) {
            let message = format!("look at key range of `{table}`: column `{}` is no integer", column.name, table = table.name);
            return Err(syncline_connector::Error::new(ErrorKind::Invalid, "key_not_integer", message));
        }
        let (c, from) = (sql::ident(&column.name), sql::table(&table.name));
        let select = format!("SELECT min({c}), max({c}) FROM {from} WHERE {}", predicate::single(table, filter)?);
        let rows = self.link.rows(&select, &format!("look at key range of `{}`", table.name)).await?;
        let number = |at: usize| rows.first().and_then(|r| r.get(at)).and_then(|t| t.parse().ok());
        Ok(number(0).zip(number(1)))
    }

    async fn key_after(&mut self, table: &Table, columns: &[String], filter: &[Predicate], rows: u64) -> Result<Option<Vec<Value>>> {
        let key = columns.iter().map(|c| predicate::column(table, c).cloned()).collect::<Result<Vec<_>>>()?;
        let names: Vec<String> = key.iter().map(|c| sql::ident(&c.name)).collect();
        let (list, back) = (names.join(", "), names.iter().map(|n| format!("{n} DESC")).collect::<Vec<_>>().join(", "));
        let first = format!(
            "SELECT {list} FROM {} WHERE {} ORDER BY {list} LIMIT {rows}",
            sql::table(&table.name),
            predicate::single(table, filter)?
        );
        let select = format!("SELECT {list} FROM ({first}) AS first ORDER BY {back} LIMIT 1");
        let answer = self.link.rows(&select, &format!("look at the keys of `{}`", table.name)).await?;
        let mut batch = RowBatch::new(key.len());
        for row in &answer {
            parse::row(row, &key, &mut batch)?;
        }
        Ok(batch.rows().next().map(|r| r.to_values()))
    }

    async fn slice(&mut self, request: &SliceRequest) -> Result<Vec<u8>> {
        large::slice(&self.link, request, &format!("read a large value of `{}`", request.table.name)).await
    }

    async fn count(&mut self, table: &Table, filter: &[Predicate]) -> Result<u64> {
        let mut total = 0;
        for condition in predicate::statements(table, filter, false)? {
            let select = format!("SELECT count(*) FROM {} WHERE {condition}", sql::table(&table.name));
            let rows = self.link.rows(&select, &format!("count `{}`", table.name)).await?;
            total += rows.first().and_then(|r| r.get(0)).and_then(|t| t.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(total)
    }

    async fn close(self: Box<Self>) -> Result<()> {
        self.link.run("ROLLBACK", "close snapshot").await
    }
}
