//! Id mappings. Both directions are unique: a legacy key has one new id, and a new id one legacy key (D24).

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::fault::Fault;
use super::transaction::SqliteTx;
use crate::contract::{IdTable, Result};
use crate::rows::{IdRow, Page};

#[async_trait]
impl IdTable for SqliteTx {
    async fn load_ids(&mut self, sync: &str, stream: &str, legacy: &[Vec<u8>]) -> Result<Vec<Option<IdRow>>> {
        let (sync, stream, legacy) = (sync.to_owned(), stream.to_owned(), legacy.to_vec());
        self.step("load id mappings", move |c| legacy.iter().map(|key| by_legacy(c, &sync, &stream, key)).collect()).await
    }

    async fn add_ids(&mut self, sync: &str, stream: &str, rows: &[IdRow]) -> Result<()> {
        let (sync, stream, rows) = (sync.to_owned(), stream.to_owned(), rows.to_vec());
        self.step("add id mappings", move |c| rows.iter().try_for_each(|row| add(c, &sync, &stream, row))).await
    }

    async fn reverse_id(&mut self, sync: &str, stream: &str, new_json: &str) -> Result<Option<IdRow>> {
        let (sync, stream, new_json) = (sync.to_owned(), stream.to_owned(), new_json.to_owned());
        self.step("look up an id mapping", move |c| by_new(c, &sync, &stream, &new_json)).await
    }

    async fn list_ids(&mut self, sync: &str, stream: &str, page: &Page) -> Result<Vec<IdRow>> {
        let (sync, stream, page) = (sync.to_owned(), stream.to_owned(), *page);
        self.step("list id mappings", move |c| {
            let mut statement = c.prepare_cached(
                "select legacy, legacy_json, new_json, run from id_map where sync = ?1 and stream = ?2 order by legacy limit ?3 offset ?4",
            )?;
            let rows = statement.query_map(params![sync, stream, page.limit, page.offset], mapping)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn count_ids(&mut self, sync: &str) -> Result<Vec<(String, u64)>> {
        let sync = sync.to_owned();
        self.step("count id mappings", move |c| {
            let mut statement = c.prepare_cached("select stream, count(*) from id_map where sync = ?1 group by stream order by stream")?;
            let rows = statement.query_map([sync], |r| Ok((r.get(0)?, r.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

fn add(c: &Connection, sync: &str, stream: &str, row: &IdRow) -> Result<(), Fault> {
    let added = c
        .prepare_cached(
            "insert into id_map (sync, stream, legacy, legacy_json, new_json, run) values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do nothing",
        )?
        .execute(params![sync, stream, row.legacy, row.legacy_json, row.new_json, row.run])?;
    if added == 1 {
        return Ok(());
    }
    let (asked, new) = (&row.legacy_json, &row.new_json);
    let message = match by_legacy(c, sync, stream, &row.legacy)? {
        Some(there) if there.new_json == row.new_json => return Ok(()),
        Some(there) => format!("map `{stream}` {asked} to {new}: it is mapped to {} already", there.new_json),
        None => match by_new(c, sync, stream, new)? {
            Some(there) => format!("map `{stream}` {asked} to {new}: {} is mapped to it already", there.legacy_json),
            None => return Err(Fault::Damaged(format!("the index of mappings of `{stream}` contradicts its table"))),
        },
    };
    Err(Fault::conflict("mapping_doubled", message))
}

fn by_legacy(c: &Connection, sync: &str, stream: &str, legacy: &[u8]) -> Result<Option<IdRow>, Fault> {
    let sql = "select legacy, legacy_json, new_json, run from id_map where sync = ?1 and stream = ?2 and legacy = ?3";
    Ok(c.prepare_cached(sql)?.query_row(params![sync, stream, legacy], mapping).optional()?)
}

fn by_new(c: &Connection, sync: &str, stream: &str, new_json: &str) -> Result<Option<IdRow>, Fault> {
    let sql = "select legacy, legacy_json, new_json, run from id_map where sync = ?1 and stream = ?2 and new_json = ?3";
    Ok(c.prepare_cached(sql)?.query_row(params![sync, stream, new_json], mapping).optional()?)
}

fn mapping(r: &Row<'_>) -> rusqlite::Result<IdRow> {
    Ok(IdRow { legacy: r.get(0)?, legacy_json: r.get(1)?, new_json: r.get(2)?, run: r.get(3)? })
}
