//! Parked rows: at most one open entry per record, kept so by a unique index, and its history once closed.

use async_trait::async_trait;
use rusqlite::{Row, params};

use super::cells::Json;
use super::transaction::SqliteTx;
use crate::contract::{ParkedTable, Result};
use crate::rows::{Page, ParkedFilter, ParkedRow};

#[async_trait]
impl ParkedTable for SqliteTx {
    async fn park(&mut self, row: &ParkedRow) -> Result<()> {
        let p = row.clone();
        self.step("park a row", move |c| {
            c.prepare_cached(
                "insert into parked_rows (sync, scope, stream, key_json, code, column_name, detail, image_json, run, first_at, last_at, attempts)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                 on conflict (sync, scope, stream, key_json) where outcome is null do update set
                     code = excluded.code, column_name = excluded.column_name, detail = excluded.detail, image_json = excluded.image_json,
                     run = excluded.run, last_at = excluded.last_at, attempts = attempts + 1",
            )?
            .execute(params![
                p.sync,
                p.scope,
                p.stream,
                p.key_json,
                p.code,
                p.column,
                p.detail,
                p.image_json,
                p.run,
                p.first_at,
                p.last_at,
                p.attempts
            ])?;
            Ok(())
        })
        .await
    }

    async fn close_parked(&mut self, sync: &str, scope: &str, stream: &str, key_json: &str, outcome: &str, at: i64) -> Result<bool> {
        let entry = [sync, scope, stream, key_json, outcome].map(str::to_owned);
        self.step("close a parked row", move |c| {
            let [sync, scope, stream, key_json, outcome] = &entry;
            let sql = "update parked_rows set outcome = ?5, last_at = ?6
                       where sync = ?1 and scope = ?2 and stream = ?3 and key_json = ?4 and outcome is null";
            Ok(c.prepare_cached(sql)?.execute(params![sync, scope, stream, key_json, outcome, at])? > 0)
        })
        .await
    }

    async fn list_parked(&mut self, filter: &ParkedFilter, page: &Page) -> Result<Vec<ParkedRow>> {
        let (f, page) = (filter.clone(), *page);
        self.step("list parked rows", move |c| {
            let mut statement = c.prepare_cached(
                "select id, sync, scope, stream, key_json, code, column_name, detail, image_json, run, first_at, last_at, attempts, outcome
                 from parked_rows
                 where (?1 is null or sync = ?1) and (?2 is null or scope = ?2) and (?3 is null or stream = ?3)
                   and (?4 = '[]' or id in (select value from json_each(?4))) and (?5 or outcome is null)
                 order by id limit ?6 offset ?7",
            )?;
            let rows = statement.query_map(params![f.sync, f.scope, f.stream, Json(f.ids), f.closed, page.limit, page.offset], parked)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn count_parked(&mut self, sync: &str) -> Result<Vec<(String, u64)>> {
        let sync = sync.to_owned();
        self.step("count parked rows", move |c| {
            let sql = "select stream, count(*) from parked_rows where sync = ?1 and outcome is null group by stream order by stream";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query_map([sync], |r| Ok((r.get(0)?, r.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

fn parked(r: &Row<'_>) -> rusqlite::Result<ParkedRow> {
    Ok(ParkedRow {
        id: r.get(0)?,
        sync: r.get(1)?,
        scope: r.get(2)?,
        stream: r.get(3)?,
        key_json: r.get(4)?,
        code: r.get(5)?,
        column: r.get(6)?,
        detail: r.get(7)?,
        image_json: r.get(8)?,
        run: r.get(9)?,
        first_at: r.get(10)?,
        last_at: r.get(11)?,
        attempts: r.get(12)?,
        outcome: r.get(13)?,
    })
}
