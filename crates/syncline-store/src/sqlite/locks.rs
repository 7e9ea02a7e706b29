//! Run locks. A lock's row outlives its holder: the fencing token in it only grows, so that a holder who slept through the end of its
//! lease is told apart from the one who took over.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::fault::Fault;
use super::transaction::SqliteTx;
use crate::contract::{LockTable, Result};
use crate::rows::{LockHolder, LockRequest};

#[async_trait]
impl LockTable for SqliteTx {
    async fn try_lock(&mut self, request: &LockRequest) -> Result<std::result::Result<u64, LockHolder>> {
        let request = request.clone();
        self.step("take a lock", move |c| try_lock(c, &request)).await
    }

    async fn renew_lock(&mut self, name: &str, token: u64, until: i64) -> Result<bool> {
        let name = name.to_owned();
        self.step("renew a lock", move |c| {
            let sql = "update locks set until_at = ?3 where name = ?1 and token = ?2 and held";
            Ok(c.prepare_cached(sql)?.execute(params![name, token, until])? == 1)
        })
        .await
    }

    async fn hold_lock(&mut self, name: &str, run: &str, until: i64) -> Result<bool> {
        let (name, run) = (name.to_owned(), run.to_owned());
        self.step("hold a lock", move |c| {
            let sql = "update locks set until_at = max(until_at, ?3) where name = ?1 and run = ?2 and held";
            Ok(c.prepare_cached(sql)?.execute(params![name, run, until])? == 1)
        })
        .await
    }

    async fn unlock(&mut self, name: &str, token: u64) -> Result<()> {
        let name = name.to_owned();
        self.step("give a lock back", move |c| {
            c.prepare_cached("update locks set held = false where name = ?1 and token = ?2")?.execute(params![name, token])?;
            Ok(())
        })
        .await
    }

    async fn list_locks(&mut self) -> Result<Vec<LockHolder>> {
        self.step("list locks", |c| {
            let mut statement =
                c.prepare_cached("select name, holder, run, since, until_at, process from locks where held order by name")?;
            let rows = statement.query_map([], holder)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// One statement takes the lock or changes nothing; looking first and taking later would let two win (X3).
fn try_lock(c: &Connection, request: &LockRequest) -> Result<std::result::Result<u64, LockHolder>, Fault> {
    let token = c
        .prepare_cached(
            "insert into locks (name, token, held, holder, run, since, until_at, process) values (?1, 1, true, ?2, ?3, ?4, ?5, ?6)
             on conflict (name) do update set token = token + 1, held = true, holder = excluded.holder, run = excluded.run,
                 since = excluded.since, until_at = excluded.until_at, process = excluded.process
             where not held or until_at <= ?4 or process = ?7
             returning token",
        )?
        .query_row(params![request.name, request.holder, request.run, request.now, request.until, request.process, request.gone], |r| {
            r.get(0)
        })
        .optional()?;
    if let Some(token) = token {
        return Ok(Ok(token));
    }
    let held = c
        .prepare_cached("select name, holder, run, since, until_at, process from locks where name = ?1")?
        .query_row([&request.name], holder)?;
    Ok(Err(held))
}

fn holder(r: &Row<'_>) -> rusqlite::Result<LockHolder> {
    Ok(LockHolder { name: r.get(0)?, holder: r.get(1)?, run: r.get(2)?, since: r.get(3)?, until: r.get(4)?, process: r.get(5)? })
}
