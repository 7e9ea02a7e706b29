//! What both sides last agreed on: one packed cell of field hashes per record.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::cells::{pack, unpack};
use super::fault::Fault;
use super::transaction::SqliteTx;
use crate::contract::{BaseTable, Result};

#[async_trait]
impl BaseTable for SqliteTx {
    async fn load_bases(&mut self, sync: &str, scope: &str, stream: &str, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u64>>>> {
        let (names, keys) = (names(sync, scope, stream), keys.to_vec());
        self.step("load bases", move |c| match number(c, &names)? {
            Some(number) => keys.iter().map(|key| load(c, number, &names.2, key)).collect(),
            None => Ok(vec![None; keys.len()]),
        })
        .await
    }

    async fn save_bases(&mut self, sync: &str, scope: &str, stream: &str, rows: &[(Vec<u8>, Vec<u64>)]) -> Result<()> {
        let (names, rows) = (names(sync, scope, stream), rows.to_vec());
        self.step("save bases", move |c| {
            c.prepare_cached("insert into base_streams (sync, scope, stream) values (?1, ?2, ?3) on conflict do nothing")?
                .execute(params![names.0, names.1, names.2])?;
            let number = number(c, &names)?;
            let mut save = c.prepare_cached("insert or replace into record_base (base_stream, key, hashes) values (?1, ?2, ?3)")?;
            for (key, hashes) in rows {
                save.execute(params![number, key, pack(hashes)])?;
            }
            Ok(())
        })
        .await
    }

    async fn drop_bases(&mut self, sync: &str, scope: &str, stream: &str, keys: &[Vec<u8>]) -> Result<()> {
        let (names, keys) = (names(sync, scope, stream), keys.to_vec());
        self.step("forget bases", move |c| {
            let number = number(c, &names)?;
            let mut forget = c.prepare_cached("delete from record_base where base_stream = ?1 and key = ?2")?;
            for key in keys {
                forget.execute(params![number, key])?;
            }
            Ok(())
        })
        .await
    }

    async fn move_bases(&mut self, sync: &str, from: &str, to: Option<&str>) -> Result<()> {
        let (sync, from, to) = (sync.to_owned(), from.to_owned(), to.map(str::to_owned));
        self.step("move bases", move |c| move_bases(c, &sync, &from, to.as_deref())).await
    }

    async fn clear_bases(&mut self, sync: &str, scope: &str, stream: &str) -> Result<()> {
        let names = names(sync, scope, stream);
        self.step("forget the bases of a stream", move |c| {
            let Some(number) = number(c, &names)? else { return Ok(()) };
            c.prepare_cached("delete from record_base where base_stream = ?1")?.execute([number])?;
            c.prepare_cached("delete from base_streams where id = ?1")?.execute([number])?;
            Ok(())
        })
        .await
    }

    async fn count_bases(&mut self, sync: &str) -> Result<u64> {
        let sync = sync.to_owned();
        self.step("count bases", move |c| {
            let sql = "select count(*) from record_base where base_stream in (select id from base_streams where sync = ?1)";
            Ok(c.prepare_cached(sql)?.query_row([sync], |r| r.get(0))?)
        })
        .await
    }
}

type Names = (String, String, String);

fn names(sync: &str, scope: &str, stream: &str) -> Names {
    (sync.to_owned(), scope.to_owned(), stream.to_owned())
}

fn number(c: &Connection, (sync, scope, stream): &Names) -> Result<Option<i64>, Fault> {
    let sql = "select id from base_streams where sync = ?1 and scope = ?2 and stream = ?3";
    Ok(c.prepare_cached(sql)?.query_row(params![sync, scope, stream], |r| r.get(0)).optional()?)
}

fn move_bases(c: &Connection, sync: &str, from: &str, to: Option<&str>) -> Result<(), Fault> {
    const OF_SCOPE: &str = "select id from base_streams where sync = ?1 and scope = ?2";
    if let Some(to) = to {
        let streams = "insert into base_streams (sync, scope, stream)
                       select sync, ?3, stream from base_streams where sync = ?1 and scope = ?2 on conflict do nothing";
        c.prepare_cached(streams)?.execute(params![sync, from, to])?;
        let rows = "insert or replace into record_base (base_stream, key, hashes)
                    select t.id, r.key, r.hashes from base_streams f
                    join base_streams t on t.sync = f.sync and t.stream = f.stream and t.scope = ?3
                    join record_base r on r.base_stream = f.id
                    where f.sync = ?1 and f.scope = ?2";
        c.prepare_cached(rows)?.execute(params![sync, from, to])?;
    }
    c.prepare_cached(&format!("delete from record_base where base_stream in ({OF_SCOPE})"))?.execute(params![sync, from])?;
    c.prepare_cached("delete from base_streams where sync = ?1 and scope = ?2")?.execute(params![sync, from])?;
    Ok(())
}

fn load(c: &Connection, number: i64, stream: &str, key: &[u8]) -> Result<Option<Vec<u64>>, Fault> {
    let sql = "select hashes from record_base where base_stream = ?1 and key = ?2";
    let packed: Option<Vec<u8>> = c.prepare_cached(sql)?.query_row(params![number, key], |r| r.get(0)).optional()?;
    let damaged = || Fault::Damaged(format!("a base of `{stream}` is no list of hashes"));
    packed.map(|bytes| unpack(&bytes).ok_or_else(damaged)).transpose()
}
