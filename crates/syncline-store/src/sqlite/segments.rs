//! Remembered segment digests: one packed cell per stream, with a checksum, because a wrong one would call different rows equal.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};
use xxhash_rust::xxh3::xxh3_64;

use super::cells::{Bits, pack, unpack};
use super::fault::Fault;
use super::transaction::SqliteTx;
use crate::contract::{Result, SegmentTable};
use crate::rows::SegmentRow;

#[async_trait]
impl SegmentTable for SqliteTx {
    async fn load_segments(&mut self, sync: &str, scope: &str, stream: &str, shape: &str) -> Result<Vec<SegmentRow>> {
        let (sync, scope, stream, shape) = (sync.to_owned(), scope.to_owned(), stream.to_owned(), shape.to_owned());
        self.step("load segment digests", move |c| {
            let sql = "select digests, checksum from segment_digests where sync = ?1 and scope = ?2 and stream = ?3 and shape = ?4";
            let kept: Option<(Vec<u8>, Bits)> =
                c.prepare_cached(sql)?.query_row(params![sync, scope, stream, shape], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
            let Some((bytes, Bits(checksum))) = kept else { return Ok(Vec::new()) };
            let rows = if xxh3_64(&bytes) == checksum { unpack(&bytes).and_then(|n| from_numbers(&n)) } else { None };
            rows.ok_or_else(|| Fault::Damaged(format!("the digests of `{stream}` do not match their checksum")))
        })
        .await
    }

    async fn save_segments(&mut self, sync: &str, scope: &str, stream: &str, shape: &str, rows: &[SegmentRow]) -> Result<()> {
        let (sync, scope, stream, shape) = (sync.to_owned(), scope.to_owned(), stream.to_owned(), shape.to_owned());
        let bytes = pack(rows.iter().flat_map(|s| [s.id.cast_unsigned(), s.source.0, s.source.1, s.destination.0, s.destination.1]));
        self.step("save segment digests", move |c| {
            c.prepare_cached(
                "insert or replace into segment_digests (sync, scope, stream, shape, digests, checksum) values (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![sync, scope, stream, shape, bytes, Bits(xxh3_64(&bytes))])?;
            Ok(())
        })
        .await
    }

    async fn clear_segments(&mut self, sync: &str, scope: &str, stream: &str) -> Result<()> {
        let (sync, scope, stream) = (sync.to_owned(), scope.to_owned(), stream.to_owned());
        self.step("forget segment digests", move |c| {
            c.prepare_cached("delete from segment_digests where sync = ?1 and scope = ?2 and stream = ?3")?
                .execute(params![sync, scope, stream])?;
            Ok(())
        })
        .await
    }
}

fn from_numbers(numbers: &[u64]) -> Option<Vec<SegmentRow>> {
    let (rows, rest) = numbers.as_chunks::<5>();
    rest.is_empty()
        .then(|| rows.iter().map(|&[id, a, b, c, d]| SegmentRow { id: id.cast_signed(), source: (a, b), destination: (c, d) }).collect())
}
