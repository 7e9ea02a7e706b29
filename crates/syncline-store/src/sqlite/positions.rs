//! Positions of streams (`sync_state`), observations of their source, and small notes.
//!
//! A position that cannot be trusted is an error, never "none": starting from nothing, or from now, would lose rows (G13).

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row, params};
use xxhash_rust::xxh3::xxh3_64;

use super::cells::{Bits, Json};
use super::fault::Fault;
use super::transaction::SqliteTx;
use crate::contract::{PositionTable, Result};
use crate::error::StoreError;
use crate::rows::{ObservationRow, PositionRow};

/// Format of a position row, apart from the file's: an older program must refuse the one row it cannot read right.
const FORMAT: u32 = 1;

/// Observations kept per sync (R5).
const OBSERVATIONS: u32 = 64;

const COLUMNS: &str = "app_key, scope, stream, collection_key, last_synced_at, mark, cursor_json, run, format, checksum, shape, seen_json";

#[async_trait]
impl PositionTable for SqliteTx {
    async fn load_position(&mut self, sync: &str, scope: &str, stream: &str) -> Result<Option<PositionRow>> {
        let (sync, scope, stream) = (sync.to_owned(), scope.to_owned(), stream.to_owned());
        self.step("load a position", move |c| {
            let sql = format!("select {COLUMNS} from sync_state where app_key = ?1 and scope = ?2 and stream = ?3");
            let kept = c.prepare_cached(&sql)?.query_row(params![sync, scope, stream], kept).optional()?;
            kept.map(trusted).transpose()
        })
        .await
    }

    async fn save_position(&mut self, row: &PositionRow) -> Result<()> {
        let p = row.clone();
        self.step("save a position", move |c| {
            let taken: Option<String> = c
                .prepare_cached("select stream from sync_state where app_key = ?1 and scope = ?2 and collection_key = ?3 and stream <> ?4")?
                .query_row(params![p.sync, p.scope, p.collection_key, p.stream], |r| r.get(0))
                .optional()?;
            if let Some(other) = taken {
                let message =
                    format!("save the position of `{}`: `{other}` has the collection_key `{}` already", p.stream, p.collection_key);
                return Err(Fault::conflict("collection_key_doubled", message));
            }
            let sql = format!("insert or replace into sync_state ({COLUMNS}) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)");
            c.prepare_cached(&sql)?.execute(params![
                p.sync,
                p.scope,
                p.stream,
                p.collection_key,
                p.last_synced_at,
                p.mark,
                p.cursor_json,
                p.run,
                FORMAT,
                Bits(checksum(&p)?),
                p.shape,
                Json(&p.seen)
            ])?;
            Ok(())
        })
        .await
    }

    async fn list_positions(&mut self, sync: &str) -> Result<Vec<PositionRow>> {
        let sync = sync.to_owned();
        self.step("list positions", move |c| {
            let mut statement = c.prepare_cached(&format!("select {COLUMNS} from sync_state where app_key = ?1 order by scope, stream"))?;
            let rows = statement.query_map([sync], kept)?;
            rows.map(|row| trusted(row?)).collect()
        })
        .await
    }

    async fn clear_positions(&mut self, sync: &str) -> Result<()> {
        let sync = sync.to_owned();
        self.step("forget positions", move |c| {
            c.prepare_cached("delete from sync_state where app_key = ?1")?.execute([sync])?;
            Ok(())
        })
        .await
    }

    async fn list_observations(&mut self, sync: &str) -> Result<Vec<ObservationRow>> {
        let sync = sync.to_owned();
        self.step("list observations", move |c| {
            let mut statement = c.prepare_cached("select at, open from observations where sync = ?1 order by number")?;
            let rows = statement.query_map([sync], |r| Ok(ObservationRow { at: r.get(0)?, open: r.get::<_, Json<_>>(1)?.0 }))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn add_observation(&mut self, sync: &str, row: &ObservationRow) -> Result<()> {
        let (sync, row) = (sync.to_owned(), row.clone());
        self.step("add an observation", move |c| {
            c.prepare_cached("insert into observations (sync, at, open) values (?1, ?2, ?3)")?.execute(params![
                sync,
                row.at,
                Json(row.open)
            ])?;
            c.prepare_cached(
                "delete from observations where sync = ?1
                 and number not in (select number from observations where sync = ?1 order by number desc limit ?2)",
            )?
            .execute(params![sync, OBSERVATIONS])?;
            Ok(())
        })
        .await
    }

    async fn load_note(&mut self, sync: &str, name: &str) -> Result<Option<String>> {
        let (sync, name) = (sync.to_owned(), name.to_owned());
        self.step("load a note", move |c| {
            let sql = "select value from notes where sync = ?1 and name = ?2";
            Ok(c.prepare_cached(sql)?.query_row(params![sync, name], |r| r.get(0)).optional()?)
        })
        .await
    }

    async fn save_note(&mut self, sync: &str, name: &str, value: &str) -> Result<()> {
        let (sync, name, value) = (sync.to_owned(), name.to_owned(), value.to_owned());
        self.step("save a note", move |c| {
            c.prepare_cached("insert or replace into notes (sync, name, value) values (?1, ?2, ?3)")?
                .execute(params![sync, name, value])?;
            Ok(())
        })
        .await
    }
}

/// A row as it lies there, before it is believed.
struct Kept {
    row: PositionRow,
    format: u32,
    checksum: u64,
}

fn kept(r: &Row<'_>) -> rusqlite::Result<Kept> {
    let row = PositionRow {
        sync: r.get(0)?,
        scope: r.get(1)?,
        stream: r.get(2)?,
        collection_key: r.get(3)?,
        last_synced_at: r.get(4)?,
        mark: r.get(5)?,
        cursor_json: r.get(6)?,
        run: r.get(7)?,
        shape: r.get(10)?,
        seen: r.get::<_, Json<_>>(11)?.0,
    };
    Ok(Kept { row, format: r.get(8)?, checksum: r.get::<_, Bits>(9)?.0 })
}

fn trusted(kept: Kept) -> Result<PositionRow, Fault> {
    if kept.format > FORMAT {
        return Err(StoreError::Newer { found: kept.format, known: FORMAT }.into());
    }
    if checksum(&kept.row)? != kept.checksum {
        return Err(Fault::Damaged(format!("the position of `{}` in `{}` does not match its checksum", kept.row.stream, kept.row.sync)));
    }
    Ok(kept.row)
}

fn checksum(row: &PositionRow) -> Result<u64, Fault> {
    let bytes = serde_json::to_vec(row).map_err(|e| Fault::Damaged(format!("a position has no JSON form: {e}")))?;
    Ok(xxh3_64(&bytes))
}
