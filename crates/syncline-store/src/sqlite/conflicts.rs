//! Conflicts per field, in the order they were found.

use async_trait::async_trait;
use rusqlite::params;

use super::transaction::SqliteTx;
use crate::contract::{ConflictTable, Result};
use crate::rows::{ConflictRow, Page};

#[async_trait]
impl ConflictTable for SqliteTx {
    async fn save_conflicts(&mut self, rows: &[ConflictRow]) -> Result<()> {
        let rows = rows.to_vec();
        self.step("save conflicts", move |c| {
            let mut insert = c.prepare_cached(
                "insert into run_conflicts (run, stream, key_json, field, source_json, destination_json, resolved_json, winner, strategy, note)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?;
            for w in &rows {
                insert.execute(params![
                    w.run,
                    w.stream,
                    w.key_json,
                    w.field,
                    w.source_json,
                    w.destination_json,
                    w.resolved_json,
                    w.winner,
                    w.strategy,
                    w.note
                ])?;
            }
            Ok(())
        })
        .await
    }

    async fn list_conflicts(&mut self, run: &str, page: &Page) -> Result<Vec<ConflictRow>> {
        let (run, page) = (run.to_owned(), *page);
        self.step("list conflicts", move |c| {
            let mut statement = c.prepare_cached(
                "select run, stream, key_json, field, source_json, destination_json, resolved_json, winner, strategy, note
                 from run_conflicts where run = ?1 order by number limit ?2 offset ?3",
            )?;
            let rows = statement.query_map(params![run, page.limit, page.offset], |r| {
                Ok(ConflictRow {
                    run: r.get(0)?,
                    stream: r.get(1)?,
                    key_json: r.get(2)?,
                    field: r.get(3)?,
                    source_json: r.get(4)?,
                    destination_json: r.get(5)?,
                    resolved_json: r.get(6)?,
                    winner: r.get(7)?,
                    strategy: r.get(8)?,
                    note: r.get(9)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}
