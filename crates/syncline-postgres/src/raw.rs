//! Rows as the server sends them: COPY BINARY, undecoded, as one valid stream from header to trailer.
//!
//! Rows with a value above the limit come last, each put together from slices of its large fields (R25), so that no
//! message is ever larger than a slice.

use std::collections::VecDeque;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use syncline_connector::{Batch, RawChunk, ReadRequest, Result, RowStream};
use syncline_model::Column;
use syncline_model::schema::TableKind;

use crate::connect::Link;
use crate::decode::{HEADER, TRAILER, strip_header};
use crate::error::from_pg;
use crate::large::LargeRows;
use crate::read::{self, Copy, copy_out};
use crate::{predicate, sql};

/// A stream of raw chunks.
pub struct RawRows<'a> {
    link: &'a Link,
    selects: VecDeque<String>,
    large: Option<LargeRows<'a>>,
    copy: Option<Copy>,
    /// The running COPY's header is off.
    begun: bool,
    /// Our own header is out.
    opened: bool,
    ended: bool,
    batch_bytes: usize,
    doing: String,
}

impl<'a> RawRows<'a> {
    /// A stream for the request; with `guard`, large rows come last and in slices. A view has no row identity to come
    /// back to, so its rows come whole.
    ///
    /// # Errors
    /// `Invalid` for unknown columns.
    pub fn new(link: &'a Link, request: ReadRequest, guard: bool, doing: String) -> Result<Self> {
        let columns = request.columns.iter().map(|n| predicate::column(&request.table, n)).collect::<Result<Vec<_>>>()?;
        let list = columns.iter().map(|c| sql::ident(&c.name)).collect::<Vec<_>>().join(", ");
        let from = sql::table(&request.table.name);
        let order = read::order(&request)?;
        let small = small(&columns, request.large_over).filter(|_| guard && request.table.kind != TableKind::View);
        let and_small = small.as_ref().map_or_else(String::new, |s| format!(" AND {s}"));
        let conditions = predicate::statements(&request.table, &request.filter, !order.is_empty())?;
        let selects = conditions.iter().map(|w| format!("SELECT {list} FROM {from} WHERE {w}{and_small}{order}")).collect();
        let large = small.map(|s| LargeRows::new(link, &columns, &from, &conditions, &s, request.large_over, doing.clone()));
        Ok(Self { link, selects, large, copy: None, begun: false, opened: false, ended: false, batch_bytes: request.batch_bytes, doing })
    }

    /// Writes the stream's header before its first row.
    fn open(&mut self, bytes: &mut Vec<u8>) {
        if !self.opened {
            self.opened = true;
            bytes.extend_from_slice(HEADER);
        }
    }

    /// The COPY that is running, or the next one; `None` when all are through.
    async fn copy(&mut self) -> Result<Option<&mut Copy>> {
        if self.copy.is_none() {
            let Some(select) = self.selects.pop_front() else { return Ok(None) };
            self.begun = false;
            self.copy = Some(copy_out(self.link, &select, &self.doing).await?);
        }
        Ok(self.copy.as_mut())
    }
}

/// True for rows without a large value; `None` when no column can be large.
fn small(columns: &[&Column], limit: u64) -> Option<String> {
    let parts: Vec<String> =
        columns.iter().filter_map(|c| read::length(c, limit).map(|l| format!("coalesce({l}, 0) <= {limit}"))).collect();
    (!parts.is_empty()).then(|| format!("({})", parts.join(" AND ")))
}

#[async_trait]
impl RowStream for RawRows<'_> {
    async fn next(&mut self) -> Result<Option<Batch>> {
        if self.ended {
            return Ok(None);
        }
        // A message may pass the mark a little; room for that saves growing to twice the size.
        let room = if self.selects.is_empty() && self.copy.is_none() { 0 } else { self.batch_bytes + (self.batch_bytes >> 3) };
        let mut bytes = Vec::with_capacity(room);
        let mut rows = 0;
        let full = |bytes: Vec<u8>, rows| Ok(Some(Batch::Raw(RawChunk { bytes, rows })));
        while let Some(copy) = self.copy().await? {
            let Some(message) = copy.next().await else {
                self.copy = None;
                continue;
            };
            let message = message.map_err(|e| from_pg(e, &self.doing))?;
            let tuple = strip_header(&message, &mut self.begun).map_err(|e| e.during(&self.doing))?;
            if tuple.is_empty() || tuple == TRAILER {
                continue;
            }
            self.open(&mut bytes);
            bytes.extend_from_slice(tuple);
            rows += 1;
            if bytes.len() >= self.batch_bytes {
                return full(bytes, rows);
            }
        }
        if let Some(mut large) = self.large.take() {
            while large.pending().await? {
                self.open(&mut bytes);
                rows += large.append(&mut bytes).await?;
                if bytes.len() >= self.batch_bytes || (large.is_amid_value() && !bytes.is_empty()) {
                    self.large = Some(large);
                    return full(bytes, rows);
                }
            }
        }
        self.ended = true;
        if !self.opened {
            return Ok(None);
        }
        bytes.extend_from_slice(&TRAILER);
        full(bytes, rows)
    }
}
