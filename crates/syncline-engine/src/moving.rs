//! Rows from the source into a sink: read, transformed, handed on, the next batch read while the last one is taken.

use async_trait::async_trait;
use syncline_connector::{Batch, LargeFields, Predicate, RawChunk, ReadForm, ReadRequest, Reject, Snapshot, fail};
use syncline_model::{Key, RowBatch, RowRef, Value, ValueRef};

use crate::cursor::is_after;
use crate::engine::{Engine, EngineError, Result};
use crate::pairing::Pair;

/// Bytes of the memory budget that one batch may take: reader and writer each hold one, the drivers hold more behind them.
const BATCH_SHARE: u64 = 64;
/// Values of a parked row are cut to this many characters for display, all of them together to four times as many (I7).
const IMAGE_CHARS_MAX: usize = 2_000;
/// A value above this share of the budget travels in slices (R25).
const LARGE_SHARE: u64 = 8;

/// Characters of a system's own words about a row that are kept.
const WORDS_CHARS_MAX: usize = 300;

/// A record that was set aside before or while applying.
#[derive(Clone, Debug, PartialEq)]
pub struct Parked {
    /// Source key.
    pub key: Key,
    /// Column at fault.
    pub column: Option<String>,
    /// Stable code.
    pub code: String,
    /// A sentence.
    pub detail: String,
    /// The row for display: a JSON object, column → value.
    pub image: String,
}

/// Takes rows as the destination will have them.
#[async_trait]
pub trait Sink: Send {
    /// Takes rows (staged columns of the pair). Gives back those that cannot be applied.
    async fn rows(&mut self, rows: &RowBatch) -> Result<Vec<Reject>>;
    /// Takes one row with `Large` cells, whose bytes `fields` gives. Gives it back when it cannot be applied.
    async fn large(&mut self, row: &RowBatch, fields: &mut dyn LargeFields) -> Result<Option<Reject>>;
    /// Takes rows in the destination's own bulk format.
    async fn raw(&mut self, chunk: RawChunk) -> Result<()>;
}

/// What moving gave.
#[derive(Clone, Debug, Default)]
pub struct Moved {
    /// Rows read.
    pub fetched: u64,
    /// Rows set aside.
    pub parked: Vec<Parked>,
    /// Source keys of rows with a value too large to be held: read, not yet moved.
    pub large: RowBatch,
    /// Rows that are not older than the last success, where the selection watches its cursor.
    pub after_last: u64,
    /// Largest cursor seen.
    pub cursor_max: Option<Value>,
    /// Rows without a cursor.
    pub without_cursor: u64,
}

impl Moved {
    /// Adds what a further read gave.
    pub fn add(&mut self, more: Self) {
        self.fetched += more.fetched;
        self.after_last += more.after_last;
        self.without_cursor += more.without_cursor;
        self.parked.extend(more.parked);
        if let Some(new) = more.cursor_max
            && self.cursor_max.as_ref().is_none_or(|m| is_after(new.view(), m.view()))
        {
            self.cursor_max = Some(new);
        }
    }
}

/// The cursor of an incremental read, seen as rows pass.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// Position among the columns read.
    pub column: usize,
    /// Start of the last success, source clock µs.
    pub last: Option<i64>,
}

/// Which rows of a stream to move.
pub struct Selection {
    /// Conditions besides the stream's own.
    pub filter: Vec<Predicate>,
    /// The destination takes raw rows of this stream.
    pub raw: bool,
    /// The cursor to watch.
    pub watch: Option<Watch>,
    /// A row that is set aside ends the run at once: what comes after it must not be committed, either.
    pub strict: bool,
}

impl Selection {
    fn refuse(&self, pair: &Pair, moved: &Moved) -> Result<()> {
        if self.strict { crate::account::refuse_when_strict(pair, &moved.parked) } else { Ok(()) }
    }

    /// Notes what the cursors of these rows say.
    pub fn look(&self, rows: &RowBatch, moved: &mut Moved) {
        let Some(watch) = self.watch else { return };
        for row in rows.rows() {
            let v = row.get(watch.column);
            let at = match v {
                ValueRef::TimestampTz(t) | ValueRef::Timestamp(t) => Some(t),
                _ => None,
            };
            if watch.last.is_none_or(|last| at.is_none_or(|t| t >= last)) {
                moved.after_last += 1;
            }
            moved.without_cursor += u64::from(v.is_null());
            if !v.is_null() && moved.cursor_max.as_ref().is_none_or(|m| is_after(v, m.view())) {
                moved.cursor_max = Some(v.to_owned());
            }
        }
    }
}

/// The share of the budget for one batch, bytes.
pub fn batch_bytes(memory: u64) -> usize {
    usize::try_from((memory / BATCH_SHARE).clamp(64 * 1024, 4 * 1024 * 1024)).unwrap_or(64 * 1024)
}

/// Values above this many bytes are never fetched whole.
pub fn large_over(memory: u64) -> u64 {
    (memory / LARGE_SHARE).max(1024 * 1024)
}

/// A request for rows of a stream's source.
pub fn request(pair: &Pair, memory: u64, selection: &Selection) -> ReadRequest {
    let mut filter = pair.filter_source.clone();
    filter.extend(selection.filter.iter().cloned());
    ReadRequest {
        table: pair.source.clone(),
        columns: pair.reads.clone(),
        filter,
        order: Vec::new(),
        form: if selection.raw { ReadForm::Raw } else { ReadForm::Values },
        batch_bytes: batch_bytes(memory),
        large_over: large_over(memory),
    }
}

impl Engine {
    /// Moves the selected rows of a stream into `sink`.
    pub(crate) async fn move_rows(
        &self,
        pair: &Pair,
        memory: u64,
        snapshot: &mut dyn Snapshot,
        sink: &mut dyn Sink,
        selection: &Selection,
    ) -> Result<Moved> {
        let mut moved = Moved { large: RowBatch::new(pair.key_source.len()), ..Moved::default() };
        fail::passable("read.first")?;
        let during = |e: syncline_connector::Error| e.during(format!("read `{}`", pair.stream));
        let mut stream = snapshot.read(request(pair, memory, selection)).await.map_err(during)?;
        let mut out = RowBatch::new(pair.columns.len());
        let mut current = stream.next().await.map_err(during)?;
        while let Some(batch) = current {
            fail::passable("read.batch")?;
            if self.interrupt.asked() {
                return Err(EngineError::Interrupted);
            }
            let put = self.put(pair, batch, &mut out, sink, selection, &mut moved);
            let (next, done) = futures_util::future::join(stream.next(), put).await;
            done?;
            current = next.map_err(during)?;
            self.progress.stream_rows(&pair.stream, moved.fetched);
        }
        fail::passable("read.end")?;
        Ok(moved)
    }

    async fn put(
        &self,
        pair: &Pair,
        batch: Batch,
        out: &mut RowBatch,
        sink: &mut dyn Sink,
        selection: &Selection,
        moved: &mut Moved,
    ) -> Result<()> {
        match batch {
            Batch::Raw(chunk) => {
                moved.fetched += chunk.rows;
                sink.raw(chunk).await
            }
            Batch::Rows(rows) => {
                moved.fetched += rows.len() as u64;
                selection.look(&rows, moved);
                let rows = if rows.has_large() { set_large_aside(pair, &rows, moved) } else { rows };
                let rows = if pair.key_may_be_null() { set_keyless_aside(pair, rows, &mut moved.parked) } else { rows };
                let rows = if pair.transform.is_identity() {
                    &rows
                } else {
                    transform(pair, &rows, out, &mut moved.parked);
                    refuse_too_many(pair, moved.parked.len())?;
                    &*out
                };
                selection.refuse(pair, moved)?;
                if rows.is_empty() {
                    return Ok(());
                }
                let rejects = sink.rows(rows).await?;
                moved.parked.extend(rejects.into_iter().map(|r| parked(pair, r)));
                refuse_too_many(pair, moved.parked.len())?;
                selection.refuse(pair, moved)
            }
        }
    }
}

/// Rows set aside per stream and run, past which the run stops: a list nobody can read helps nobody (P9).
pub const REJECTS_MAX: u64 = 10_000;

/// Stops a run that sets too many rows of a stream aside.
pub fn refuse_too_many(pair: &Pair, parked: usize) -> Result<()> {
    if parked as u64 <= REJECTS_MAX {
        return Ok(());
    }
    let message = format!("stream `{}`: more than {REJECTS_MAX} rows cannot be applied", pair.stream);
    let hint = "most often one wrong setting; see `syncline explain too_many_parked`";
    Err(syncline_connector::Error::new(syncline_connector::ErrorKind::BadRecord, "too_many_parked", message).hint(hint).into())
}

/// The rows without a large value; the keys of the others are noted, for a second pass.
fn set_large_aside(pair: &Pair, rows: &RowBatch, moved: &mut Moved) -> RowBatch {
    let mut small = RowBatch::new(rows.width());
    for row in rows.rows() {
        if !row.has_large() {
            (0..row.width()).for_each(|c| small.push_encoded(row.encoded(c)));
            continue;
        }
        let key = source_key(pair, row);
        if key.0.iter().any(|v| matches!(v, Value::Large(_))) {
            let detail = "a part of its key is too large to be held".to_owned();
            let image = image(pair.reads.iter().zip(row.cells()));
            moved.parked.push(Parked { key, column: None, code: "value_too_large".to_owned(), detail, image });
        } else {
            moved.large.push_row(key.0.iter().map(Value::view));
        }
    }
    small
}

/// The rows without those that no key tells apart from others (H12): they could be neither found again nor deleted, and a system that
/// numbers keys by itself would give them one.
pub(crate) fn set_keyless_aside(pair: &Pair, rows: RowBatch, parked: &mut Vec<Parked>) -> RowBatch {
    let at: Vec<usize> = pair.key_source.iter().filter_map(|k| pair.reads.iter().position(|r| r == k)).collect();
    let is_keyless = |row: RowRef<'_>| at.iter().any(|&c| row.get(c).is_null());
    if !rows.rows().any(is_keyless) {
        return rows;
    }
    let mut keyed = RowBatch::new(rows.width());
    for row in rows.rows() {
        if !is_keyless(row) {
            (0..row.width()).for_each(|c| keyed.push_encoded(row.encoded(c)));
            continue;
        }
        let column = at.iter().find(|&&c| row.get(c).is_null()).map(|&c| pair.reads[c].clone());
        let image = image(pair.reads.iter().zip(row.cells()));
        let detail = "its key is NULL, so nothing tells it from other records".to_owned();
        parked.push(Parked { key: source_key(pair, row), column, code: "not_null".to_owned(), detail, image });
    }
    keyed
}

/// Source rows → destination rows; refused ones go to `parked`.
pub fn transform(pair: &Pair, rows: &RowBatch, out: &mut RowBatch, parked: &mut Vec<Parked>) {
    out.clear();
    for row in rows.rows() {
        if let Err(refusal) = pair.transform.apply(row, out) {
            parked.push(Parked {
                key: source_key(pair, row),
                column: Some(refusal.column),
                code: refusal.code.to_owned(),
                detail: refusal.detail,
                image: image(pair.reads.iter().zip(row.cells())),
            });
        }
    }
}

/// The key of a source row.
pub fn source_key(pair: &Pair, row: RowRef<'_>) -> Key {
    let at: Vec<usize> = pair.key_source.iter().filter_map(|k| pair.reads.iter().position(|r| r == k)).collect();
    Key::of(row, &at)
}

/// Cells for display. Cut at once: thousands of rows may be set aside, each with values of megabytes.
pub fn image<'a>(cells: impl Iterator<Item = (&'a String, ValueRef<'a>)>) -> String {
    let mut left = IMAGE_CHARS_MAX * 4;
    let mut cut = |v: ValueRef<'_>| -> serde_json::Value {
        let max = IMAGE_CHARS_MAX.min(left);
        let shown: serde_json::Value = match v {
            ValueRef::Text(s) | ValueRef::Json(s) if s.chars().nth(max).is_some() => {
                format!("{}… ({} bytes)", s.chars().take(max).collect::<String>(), s.len()).into()
            }
            ValueRef::Bytes(b) if b.len() > max => format!("({} bytes)", b.len()).into(),
            other => syncline_model::json::from_value(other),
        };
        left = left.saturating_sub(shown.as_str().map_or(0, str::len));
        shown
    };
    let object: serde_json::Map<String, serde_json::Value> = cells.map(|(n, v)| (n.clone(), cut(v))).collect();
    serde_json::Value::Object(object).to_string()
}

/// A reject of the destination as a parked record of the stream.
pub fn parked(pair: &Pair, reject: Reject) -> Parked {
    let whole = reject.row.len() == pair.columns.len();
    let key = if whole { pair.key_at.iter().map(|&i| reject.row[i].clone()).collect() } else { reject.row.clone() };
    let names = if whole { pair.columns.iter().map(|c| c.name.clone()).collect() } else { pair.key_dest.clone() };
    Parked {
        key: Key(key),
        column: reject.column,
        code: reject.code.to_owned(),
        detail: with_words(&reject.detail, reject.words.as_deref()),
        image: image(names.iter().zip(reject.row.iter().map(Value::view))),
    }
}

/// Why a row was set aside, as the list of such rows tells it: beside the row stands what the system itself said about it.
pub fn with_words(detail: &str, words: Option<&str>) -> String {
    match words {
        None => detail.to_owned(),
        Some(words) => format!("{detail}: {}", words.chars().take(WORDS_CHARS_MAX).collect::<String>()),
    }
}
