//! Lists of open runs, piece by piece, until it is known what becomes of them.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};

use super::transaction::SqliteTx;
use crate::contract::{Result, WaitingTable};

#[async_trait]
impl WaitingTable for SqliteTx {
    async fn add_waiting(&mut self, run: &str, body: &str) -> Result<()> {
        let (run, body) = (run.to_owned(), body.to_owned());
        self.step("keep lists of an open run", move |c| {
            c.prepare_cached("insert into run_waiting (run, body) values (?1, ?2)")?.execute(params![run, body])?;
            Ok(())
        })
        .await
    }

    async fn next_waiting(&mut self, run: &str, after: u64) -> Result<Option<(u64, String)>> {
        let run = run.to_owned();
        self.step("read lists of an open run", move |c| {
            let sql = "select number, body from run_waiting where run = ?1 and number > ?2 order by number limit 1";
            Ok(c.prepare_cached(sql)?.query_row(params![run, after], |r| Ok((r.get(0)?, r.get(1)?))).optional()?)
        })
        .await
    }

    async fn drop_waiting(&mut self, run: &str) -> Result<()> {
        let run = run.to_owned();
        self.step("forget lists of an open run", move |c| {
            c.prepare_cached("delete from run_waiting where run = ?1")?.execute([run])?;
            Ok(())
        })
        .await
    }
}
