//! Rows on the move: one contiguous buffer of cells, read as borrowed views, no allocation per value.
//!
//! A cell is a tag byte and its payload; `ends` holds where each cell stops. The same cell encoding stores keys and row
//! images, so it is part of the state format: change a tag and you change the format version in `syncline-store`.

use crate::value::{Value, ValueRef};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const I64: u8 = 3;
const U64: u8 = 4;
const F64: u8 = 5;
const DECIMAL: u8 = 6;
const TEXT: u8 = 7;
const BYTES: u8 = 8;
const UUID: u8 = 9;
const DATE: u8 = 10;
const TIME: u8 = 11;
const TIMESTAMP: u8 = 12;
const TIMESTAMPTZ: u8 = 13;
const INTERVAL: u8 = 14;
const JSON: u8 = 15;
const OTHER: u8 = 16;
const LARGE: u8 = 17;

/// Appends the cell encoding of `v` to `out`.
pub fn encode_cell(out: &mut Vec<u8>, v: ValueRef<'_>) {
    match v {
        ValueRef::Null => out.push(NULL),
        ValueRef::Bool(b) => out.push(if b { TRUE } else { FALSE }),
        ValueRef::I64(n) => fixed(out, I64, &n.to_le_bytes()),
        ValueRef::U64(n) => fixed(out, U64, &n.to_le_bytes()),
        ValueRef::F64(n) => fixed(out, F64, &n.to_bits().to_le_bytes()),
        ValueRef::Decimal(s) => fixed(out, DECIMAL, s.as_bytes()),
        ValueRef::Text(s) => fixed(out, TEXT, s.as_bytes()),
        ValueRef::Bytes(b) => fixed(out, BYTES, b),
        ValueRef::Uuid(u) => fixed(out, UUID, &u),
        ValueRef::Date(d) => fixed(out, DATE, &d.to_le_bytes()),
        ValueRef::Time(t) => fixed(out, TIME, &t.to_le_bytes()),
        ValueRef::Timestamp(t) => fixed(out, TIMESTAMP, &t.to_le_bytes()),
        ValueRef::TimestampTz(t) => fixed(out, TIMESTAMPTZ, &t.to_le_bytes()),
        ValueRef::Interval { months, days, micros } => {
            out.push(INTERVAL);
            out.extend_from_slice(&months.to_le_bytes());
            out.extend_from_slice(&days.to_le_bytes());
            out.extend_from_slice(&micros.to_le_bytes());
        }
        ValueRef::Json(s) => fixed(out, JSON, s.as_bytes()),
        ValueRef::Other { type_name, text } => {
            out.push(OTHER);
            let len = u16::try_from(type_name.len()).expect("invariant: type names are under 64 KiB");
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(type_name.as_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        ValueRef::Large(n) => fixed(out, LARGE, &n.to_le_bytes()),
    }
}

fn fixed(out: &mut Vec<u8>, tag: u8, payload: &[u8]) {
    out.push(tag);
    out.extend_from_slice(payload);
}

/// Reads one cell. `None` when the bytes are not a cell: a corrupt stored key or image, never a batch of our own making.
#[must_use]
pub fn decode_cell(cell: &[u8]) -> Option<ValueRef<'_>> {
    let (&tag, p) = cell.split_first()?;
    Some(match tag {
        NULL if p.is_empty() => ValueRef::Null,
        FALSE if p.is_empty() => ValueRef::Bool(false),
        TRUE if p.is_empty() => ValueRef::Bool(true),
        I64 => ValueRef::I64(i64::from_le_bytes(p.try_into().ok()?)),
        U64 => ValueRef::U64(u64::from_le_bytes(p.try_into().ok()?)),
        F64 => ValueRef::F64(f64::from_bits(u64::from_le_bytes(p.try_into().ok()?))),
        DECIMAL => ValueRef::Decimal(std::str::from_utf8(p).ok()?),
        TEXT => ValueRef::Text(std::str::from_utf8(p).ok()?),
        BYTES => ValueRef::Bytes(p),
        UUID => ValueRef::Uuid(p.try_into().ok()?),
        DATE => ValueRef::Date(i32::from_le_bytes(p.try_into().ok()?)),
        TIME => ValueRef::Time(i64::from_le_bytes(p.try_into().ok()?)),
        TIMESTAMP => ValueRef::Timestamp(i64::from_le_bytes(p.try_into().ok()?)),
        TIMESTAMPTZ => ValueRef::TimestampTz(i64::from_le_bytes(p.try_into().ok()?)),
        INTERVAL if p.len() == 16 => ValueRef::Interval {
            months: i32::from_le_bytes(p[..4].try_into().ok()?),
            days: i32::from_le_bytes(p[4..8].try_into().ok()?),
            micros: i64::from_le_bytes(p[8..].try_into().ok()?),
        },
        JSON => ValueRef::Json(std::str::from_utf8(p).ok()?),
        OTHER => {
            let len = usize::from(u16::from_le_bytes(p.get(..2)?.try_into().ok()?));
            ValueRef::Other { type_name: std::str::from_utf8(p.get(2..2 + len)?).ok()?, text: std::str::from_utf8(p.get(2 + len..)?).ok()? }
        }
        LARGE => ValueRef::Large(u64::from_le_bytes(p.try_into().ok()?)),
        _ => return None,
    })
}

/// Some rows of one stream, all of the same width. Column names and types live beside it, in the request that asked for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowBatch {
    width: usize,
    data: Vec<u8>,
    ends: Vec<u32>,
    /// Cells that are `Large`.
    large: u32,
}

fn is_large(cell: &[u8]) -> bool {
    cell.first() == Some(&LARGE)
}

/// Batches stay far below this: a cell over `memory / 8` travels as `Large`. It is what `ends` can address.
const DATA_BYTES_MAX: usize = u32::MAX as usize;

impl RowBatch {
    /// An empty batch of rows with `width` cells.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self { width, data: Vec::new(), ends: Vec::new(), large: 0 }
    }

    /// Cells in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whole rows in the batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len().checked_div(self.width).unwrap_or(0)
    }

    /// True when there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held, for budgets.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.data.len() + self.ends.len() * 4
    }

    /// Forgets the rows, keeps the memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.ends.clear();
        self.large = 0;
    }

    /// Whether a cell of any row is `Large`.
    #[must_use]
    pub fn has_large(&self) -> bool {
        self.large > 0
    }

    /// Appends the next cell of the current row; a row is whole once `width` cells are there.
    pub fn push(&mut self, v: ValueRef<'_>) {
        self.large += u32::from(matches!(v, ValueRef::Large(_)));
        encode_cell(&mut self.data, v);
        self.close_cell();
    }

    /// Appends a cell already in cell encoding (copied from another batch, a stored key, …).
    pub fn push_encoded(&mut self, cell: &[u8]) {
        self.large += u32::from(is_large(cell));
        self.data.extend_from_slice(cell);
        self.close_cell();
    }

    fn close_cell(&mut self) {
        assert!(self.data.len() <= DATA_BYTES_MAX, "invariant: a batch stays below 4 GiB");
        self.ends.push(u32::try_from(self.data.len()).expect("invariant: checked above"));
    }

    /// Appends a whole row.
    ///
    /// # Panics
    /// When the row has not `width` cells.
    pub fn push_row<'v>(&mut self, row: impl IntoIterator<Item = ValueRef<'v>>) {
        let before = self.ends.len();
        for v in row {
            self.push(v);
        }
        assert_eq!(self.ends.len() - before, self.width, "invariant: a row has as many cells as its batch is wide");
    }

    /// Takes back the cells of an unfinished row (a decoder that found an error half way).
    pub fn drop_partial(&mut self) {
        if self.width > 0 {
            let whole = self.len() * self.width;
            let dropped = (whole..self.ends.len()).filter(|&at| is_large(self.cell(at))).count();
            self.large -= u32::try_from(dropped).expect("invariant: at most `large` cells are large");
            self.ends.truncate(whole);
            self.data.truncate(self.ends.last().map_or(0, |&e| e as usize));
        }
    }

    /// The row at `i`.
    #[must_use]
    pub fn row(&self, i: usize) -> RowRef<'_> {
        assert!(i < self.len(), "invariant: row index within the batch");
        RowRef { batch: self, first: i * self.width }
    }

    /// All rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = RowRef<'_>> {
        (0..self.len()).map(|i| self.row(i))
    }

    fn cell(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.data[start..self.ends[at] as usize]
    }
}

/// One row of a batch.
#[derive(Clone, Copy, Debug)]
pub struct RowRef<'a> {
    batch: &'a RowBatch,
    first: usize,
}

impl<'a> RowRef<'a> {
    /// Cells in the row.
    #[must_use]
    pub fn width(self) -> usize {
        self.batch.width
    }

    /// The cell in column `c`.
    #[must_use]
    pub fn get(self, c: usize) -> ValueRef<'a> {
        decode_cell(self.encoded(c)).expect("invariant: a batch holds only cells it encoded")
    }

    /// The encoded cell in column `c`.
    #[must_use]
    pub fn encoded(self, c: usize) -> &'a [u8] {
        assert!(c < self.batch.width, "invariant: column index within the row");
        self.batch.cell(self.first + c)
    }

    /// Whether a cell is `Large`: its bytes are not here.
    #[must_use]
    pub fn has_large(self) -> bool {
        self.batch.large > 0 && (0..self.width()).any(|c| is_large(self.encoded(c)))
    }

    /// The cells in order.
    pub fn cells(self) -> impl ExactSizeIterator<Item = ValueRef<'a>> {
        (0..self.batch.width).map(move |c| self.get(c))
    }

    /// An owned copy.
    #[must_use]
    pub fn to_values(self) -> Vec<Value> {
        self.cells().map(ValueRef::to_owned).collect()
    }
}
