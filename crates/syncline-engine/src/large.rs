//! The second pass over a stream's rows: those with a value too large to be held, one by one, the large fields in slices (R25).
//! A row that both sides hold alike is left alone by its digest; one that cannot come in slices is set aside with its size.

use async_trait::async_trait;
use syncline_connector::{Batch, Capabilities, ErrorKind, LargeFields, Predicate, Segments, SliceRequest, Snapshot};
use syncline_model::{LogicalType, RowBatch, RowRef, Table, ValueRef};

use crate::compare;
use crate::dry::keys_of;
use crate::engine::{Engine, EngineError, Result};
use crate::moving::{Parked, Selection, Sink, image, large_over, parked, request, source_key, transform};
use crate::pairing::Pair;
use crate::stream_run::StreamRun;

/// Bytes of a slice at most. A compressed value is inflated anew for each, so slices are not smaller than the budget asks for.
const SLICE_MAX: u64 = 1 << 20;
/// The share of the memory budget that one slice takes; it is held several times on its way, more often on a busy machine.
const SLICE_SHARE: u64 = 64;

/// Bytes of a slice.
pub(crate) fn slice_bytes(memory: u64) -> u64 {
    (memory / SLICE_SHARE).clamp(64 * 1024, SLICE_MAX)
}

/// The second pass over some rows of a stream.
pub(crate) struct Slicer<'a> {
    pub engine: &'a Engine,
    pub pair: &'a Pair,
    pub memory: u64,
    pub from: &'a Capabilities,
    pub to: &'a Capabilities,
}

/// What became of the rows that were not staged.
#[derive(Debug, Default)]
pub(crate) struct Sliced {
    /// Set aside.
    pub parked: Vec<Parked>,
    /// Found equal where they are.
    pub unchanged: u64,
}

impl StreamRun<'_> {
    /// Moves the rows with these source keys, each of which was found to hold a large value.
    pub(crate) async fn move_large(
        &mut self,
        keys: &RowBatch,
        source: &mut dyn Snapshot,
        dest: &mut dyn Snapshot,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let slicer =
            Slicer { engine: self.engine, pair: self.pair, memory: self.context.sync.memory, from: self.link.from, to: self.link.to };
        let done = slicer.run(keys, source, Some(dest), sink).await?;
        self.result.parked.extend(done.parked);
        self.refuse_when_strict()?;
        self.result.settled.0 += done.unchanged;
        Ok(())
    }
}

impl Slicer<'_> {
    /// Moves the rows with these source keys into `sink`. Where the destination has rows already, those it holds alike are left alone.
    pub(crate) async fn run(
        &self,
        keys: &RowBatch,
        source: &mut dyn Snapshot,
        mut dest: Option<&mut dyn Snapshot>,
        sink: &mut dyn Sink,
    ) -> Result<Sliced> {
        let mut done = Sliced::default();
        for key in keys.rows() {
            self.engine.stop_if_asked()?;
            let mut one = RowBatch::new(keys.width());
            (0..key.width()).for_each(|c| one.push_encoded(key.encoded(c)));
            match &mut dest {
                Some(dest) => self.row(&one, source, Some(&mut **dest), sink, &mut done).await?,
                None => self.row(&one, source, None, sink, &mut done).await?,
            }
        }
        Ok(done)
    }

    async fn row(
        &self,
        key: &RowBatch,
        source: &mut dyn Snapshot,
        dest: Option<&mut dyn Snapshot>,
        sink: &mut dyn Sink,
        done: &mut Sliced,
    ) -> Result<()> {
        let pair = self.pair;
        let found = self.read(key, source).await?;
        let [read] = found.as_slice() else {
            let limit = large_over(self.memory);
            let detail = format!("its key finds {} rows; a value over {limit} bytes is carried by its key", found.len());
            done.parked.push(refused_key(pair, key.row(0), detail));
            return Ok(());
        };
        let mut row = RowBatch::new(pair.columns.len());
        transform(pair, read, &mut row, &mut done.parked);
        if row.is_empty() {
            return Ok(());
        }
        if let Some(dest) = dest
            && self.is_equal(key, &keys_of(pair, &row), source, dest).await?
        {
            done.unchanged += 1;
            return Ok(());
        }
        let cells = match self.cells(row.row(0)) {
            Ok(cells) => cells,
            Err((column, detail)) => {
                done.parked.push(refused(pair, read.row(0), Some(column), "value_too_large", detail));
                return Ok(());
            }
        };
        let filter = by_key(pair, key);
        let max = slice_bytes(self.memory);
        let mut fields = SourceFields { snapshot: source, table: &pair.source, filter, cells, max, text: Utf8::default() };
        match sink.large(&row, &mut fields).await {
            Ok(None) => {}
            Ok(Some(reject)) => done.parked.push(parked(pair, reject)),
            Err(EngineError::Connector(e)) if e.kind == ErrorKind::BadRecord => {
                done.parked.push(refused(pair, read.row(0), None, e.code, e.message));
            }
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// The rows with this key, large values as their lengths; each in a batch of its own.
    async fn read(&self, key: &RowBatch, source: &mut dyn Snapshot) -> Result<Vec<RowBatch>> {
        let filter = vec![Predicate::KeyIn { columns: self.pair.key_source.clone(), keys: key.clone() }];
        let asked = request(self.pair, self.memory, &Selection { filter, raw: false, watch: None, strict: false });
        let mut stream = source.read(asked).await?;
        let mut found = Vec::new();
        while let Some(batch) = stream.next().await? {
            let Batch::Rows(rows) = batch else { continue };
            for row in rows.rows() {
                let mut one = RowBatch::new(row.width());
                (0..row.width()).for_each(|c| one.push_encoded(row.encoded(c)));
                found.push(one);
            }
        }
        Ok(found)
    }

    /// Whether both sides hold the row alike: by its digest, computed where the row is. `false` where SQL cannot tell.
    async fn is_equal(&self, key: &RowBatch, key_there: &RowBatch, source: &mut dyn Snapshot, dest: &mut dyn Snapshot) -> Result<bool> {
        let pair = self.pair;
        let choice = compare::choose(pair, self.from, self.to);
        if pair.create.is_some() || !pair.alter.is_empty() || !choice.is_comparable() {
            return Ok(false);
        }
        let columns: Vec<usize> = (0..pair.columns.len()).filter(|&i| pair.compared[i] || pair.key_at.contains(&i)).collect();
        let one = || Segments::Buckets { digits: 1 };
        let (mut here, mut there) = compare::requests(pair, choice.kind(), &(one(), one()), &columns);
        here.filter = by_key(pair, key);
        there.filter.push(Predicate::KeyIn { columns: pair.key_dest.clone(), keys: key_there.clone() });
        let (here, there) = futures_util::future::join(source.digest(&here), dest.digest(&there)).await;
        let (here, there) = (here?, there?);
        Ok(!here.is_empty() && here == there && here.iter().all(|d| d.hashed == d.rows))
    }

    /// Where each large cell of a staged row comes from; or the column that cannot come in slices, and why.
    fn cells(&self, row: RowRef<'_>) -> Result<Vec<Option<Cell>>, (String, String)> {
        let pair = self.pair;
        let limit = large_over(self.memory);
        let mut total = 0;
        let mut cells = Vec::with_capacity(row.width());
        for (i, v) in row.cells().enumerate() {
            let ValueRef::Large(bytes) = v else {
                cells.push(None);
                continue;
            };
            total += bytes;
            let column = &pair.columns[i];
            let whole = |why: &str| (column.name.clone(), format!("{bytes} bytes, the limit is {limit}: {why}"));
            let Some(max) = self.to.takes_slices else { return Err(whole("the destination takes values only whole")) };
            if !self.from.reads_slices {
                return Err(whole("the source gives values only whole"));
            }
            let Some(name) = pair.copied_from[i].clone() else { return Err(whole("a field that is computed is held whole")) };
            let is_text = match (pair.source.column(&name).map(|c| &c.logical), &column.logical) {
                (Some(LogicalType::Text { fixed: false, .. }), LogicalType::Text { fixed: false, .. }) => true,
                (Some(LogicalType::Bytes { .. }), LogicalType::Bytes { fixed: false, .. }) => false,
                _ => return Err(whole("only text and bytes are moved in slices")),
            };
            if total > max {
                return Err((column.name.clone(), format!("{total} bytes, the limit is {max}: the destination takes no more in one row")));
            }
            cells.push(Some(Cell { column: name, bytes, is_text }));
        }
        Ok(cells)
    }
}

/// Conditions of the stream's row with this source key.
fn by_key(pair: &Pair, key: &RowBatch) -> Vec<Predicate> {
    let mut filter = pair.filter_source.clone();
    filter.push(Predicate::KeyIn { columns: pair.key_source.clone(), keys: key.clone() });
    filter
}

fn refused_key(pair: &Pair, key: RowRef<'_>, detail: String) -> Parked {
    let image = image(pair.key_source.iter().zip(key.cells()));
    let key = syncline_model::Key(key.to_values());
    Parked { key, column: None, code: "value_too_large".to_owned(), detail, image }
}

fn refused(pair: &Pair, row: RowRef<'_>, column: Option<String>, code: &str, detail: String) -> Parked {
    let image = image(pair.reads.iter().zip(row.cells()));
    Parked { key: source_key(pair, row), column, code: code.to_owned(), detail, image }
}

/// A large cell at the source.
struct Cell {
    column: String,
    bytes: u64,
    is_text: bool,
}

/// The large fields of one source row. What they give is as long as it was said to be, and text is text.
struct SourceFields<'s> {
    snapshot: &'s mut dyn Snapshot,
    table: &'s Table,
    filter: Vec<Predicate>,
    cells: Vec<Option<Cell>>,
    max: u64,
    text: Utf8,
}

impl SourceFields<'_> {
    async fn read(&mut self, column: &str, offset: u64, max: u64) -> syncline_connector::Result<Vec<u8>> {
        let request = SliceRequest { table: self.table.clone(), filter: self.filter.clone(), column: column.to_owned(), offset, max };
        self.snapshot.slice(&request).await
    }
}

fn bad(code: &'static str, message: String) -> syncline_connector::Error {
    syncline_connector::Error::new(ErrorKind::BadRecord, code, message)
}

#[async_trait]
impl LargeFields for SourceFields<'_> {
    async fn slice(&mut self, cell: usize, offset: u64) -> syncline_connector::Result<Vec<u8>> {
        let Some(Some(Cell { column, bytes, is_text })) = self.cells.get(cell) else {
            return Err(syncline_connector::Error::internal("a slice of a cell that is not large"));
        };
        let (column, bytes, is_text) = (column.clone(), *bytes, *is_text);
        let slice = self.read(&column, offset, self.max.min(bytes.saturating_sub(offset)).max(1)).await?;
        let end = offset + slice.len() as u64;
        // The length was measured in the source's own encoding, the bytes are UTF-8.
        let longer = end >= bytes && is_text && !self.read(&column, bytes, 1).await?.is_empty();
        if longer || end > bytes || (slice.is_empty() && offset < bytes) {
            return Err(bad("value_too_large", format!("column `{column}`: its length of {bytes} bytes is not that of its UTF-8 text")));
        }
        if is_text {
            if offset == 0 {
                self.text = Utf8::default();
            }
            if !self.text.feed(&slice) || (end == bytes && !self.text.is_whole()) {
                return Err(bad("charset_unrepresentable", format!("column `{column}`: the bytes are no UTF-8 text")));
            }
        }
        Ok(slice)
    }
}

/// Text that comes in slices, which may cut a character.
#[derive(Default)]
struct Utf8 {
    /// The beginning of a character whose rest is in the next slice.
    cut: Vec<u8>,
}

impl Utf8 {
    /// Whether the text is text up to here.
    fn feed(&mut self, slice: &[u8]) -> bool {
        let mut rest = slice;
        while let Some((first, tail)) = rest.split_first().filter(|_| !self.cut.is_empty()) {
            self.cut.push(*first);
            rest = tail;
            match std::str::from_utf8(&self.cut) {
                Ok(_) => self.cut.clear(),
                Err(e) if e.error_len().is_none() => {}
                Err(_) => return false,
            }
        }
        match std::str::from_utf8(rest) {
            Ok(_) => true,
            Err(e) if e.error_len().is_none() => {
                self.cut = rest[e.valid_up_to()..].to_vec();
                true
            }
            Err(_) => false,
        }
    }

    fn is_whole(&self) -> bool {
        self.cut.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: R25
    #[test]
    fn text_is_text_wherever_its_slices_are_cut() {
        let text = "aü€😀z".repeat(3);
        for size in 1..text.len() {
            let mut whole = Utf8::default();
            assert!(text.as_bytes().chunks(size).all(|slice| whole.feed(slice)) && whole.is_whole(), "{size}");
            let mut short = Utf8::default();
            let cut = &"aü€😀".as_bytes()[..9];
            assert!(cut.chunks(size).all(|slice| short.feed(slice)) && !short.is_whole(), "{size}");
            let mut broken = Utf8::default();
            assert!(!b"a\xe2\x82a".chunks(size).all(|slice| broken.feed(slice)), "{size}");
        }
    }
}
