//! Verify reports, numbered for people.

use async_trait::async_trait;
use rusqlite::{Row, params};

use super::runs::find_id;
use super::transaction::SqliteTx;
use crate::contract::{Result, VerifyTable};
use crate::rows::{Page, VerifyRow};

const COLUMNS: &str = "number, id, sync, scope, started_at, duration_ms, passed, report_json";

#[async_trait]
impl VerifyTable for SqliteTx {
    async fn save_verify(&mut self, row: &VerifyRow) -> Result<()> {
        let v = row.clone();
        self.step("save a verify report", move |c| {
            // Not one upsert: its insert would use up a number that nobody sees.
            let again = c
                .prepare_cached("update verify_reports set duration_ms = ?2, passed = ?3, report_json = ?4 where id = ?1")?
                .execute(params![v.id, v.duration_ms, v.passed, v.report_json])?;
            if again == 0 {
                c.prepare_cached(
                    "insert into verify_reports (id, sync, scope, started_at, duration_ms, passed, report_json) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![v.id, v.sync, v.scope, v.started_at, v.duration_ms, v.passed, v.report_json])?;
            }
            Ok(())
        })
        .await
    }

    async fn load_verify(&mut self, id: &str) -> Result<Option<VerifyRow>> {
        let asked = id.to_owned();
        self.step("load a verify report", move |c| {
            let Some(id) = find_id(c, "verify_reports", &asked)? else { return Ok(None) };
            let sql = format!("select {COLUMNS} from verify_reports where id = ?1");
            Ok(Some(c.prepare_cached(&sql)?.query_row([id], report)?))
        })
        .await
    }

    async fn list_verify(&mut self, sync: Option<&str>, page: &Page) -> Result<Vec<VerifyRow>> {
        let (sync, page) = (sync.map(str::to_owned), *page);
        self.step("list verify reports", move |c| {
            let sql = format!("select {COLUMNS} from verify_reports where ?1 is null or sync = ?1 order by number desc limit ?2 offset ?3");
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query_map(params![sync, page.limit, page.offset], report)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

fn report(r: &Row<'_>) -> rusqlite::Result<VerifyRow> {
    Ok(VerifyRow {
        number: r.get(0)?,
        id: r.get(1)?,
        sync: r.get(2)?,
        scope: r.get(3)?,
        started_at: r.get(4)?,
        duration_ms: r.get(5)?,
        passed: r.get(6)?,
        report_json: r.get(7)?,
    })
}
