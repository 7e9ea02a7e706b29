//! Rows with a large value, put together field by field from slices (R25). The row is found again by its physical place,
//! which cannot change while this transaction has its snapshot and its lock on the table; for one value asked for, by its key.

use std::collections::VecDeque;

use futures_util::StreamExt as _;
use syncline_connector::{Error, ErrorKind, Result, SliceRequest};
use syncline_model::Column;

use crate::connect::Link;
use crate::decode::{NULL, TRAILER, broken, split, strip_header};
use crate::error::from_pg;
use crate::native::{Wire, wire};
use crate::read::copy_out;
use crate::{predicate, sql};

/// Bytes of a slice. A compressed value is inflated anew for each, so slices are not small.
const SLICE_MAX: u64 = 1 << 20;

/// One column of a large row.
struct LargeColumn {
    name: String,
    /// The bytes to slice, as a bytea expression; `None` where the type has no such form and travels whole.
    bytes: Option<String>,
    /// What the wire form has before the bytes (the version of jsonb).
    prefix: &'static [u8],
}

/// A field on its way out.
enum Field {
    Whole(Option<Vec<u8>>),
    Sliced { length: u64 },
}

struct Row {
    place: String,
    fields: Vec<Field>,
    at: usize,
    offset: u64,
}

/// The large rows of a request.
pub struct LargeRows<'a> {
    link: &'a Link,
    columns: Vec<LargeColumn>,
    from: String,
    conditions: Vec<String>,
    limit: u64,
    places: Option<VecDeque<String>>,
    row: Option<Row>,
    doing: String,
}

impl<'a> LargeRows<'a> {
    /// The rows of `from` under `conditions` that are not `small`.
    #[must_use]
    pub fn new(link: &'a Link, columns: &[&Column], from: &str, conditions: &[String], small: &str, limit: u64, doing: String) -> Self {
        let columns = columns.iter().map(|c| {
            let name = sql::ident(&c.name);
            let text = format!("convert_to({name}::text, 'UTF8')");
            let (bytes, prefix): (_, &[u8]) = match wire(c) {
                Wire::Bytes => (Some(name.clone()), &[]),
                Wire::Text | Wire::Json => (Some(text), &[]),
                Wire::Jsonb => (Some(text), &[1]),
                _ => (None, &[]),
            };
            LargeColumn { name, bytes, prefix }
        });
        let conditions = conditions.iter().map(|c| format!("{c} AND NOT {small}")).collect();
        Self { link, columns: columns.collect(), from: from.to_owned(), conditions, limit, places: None, row: None, doing }
    }

    /// Whether anything is left to append.
    ///
    /// # Errors
    /// As the server says.
    pub async fn pending(&mut self) -> Result<bool> {
        if self.places.is_none() {
            let mut places = VecDeque::new();
            for condition in &self.conditions {
                let rows = self.link.rows(&format!("SELECT tableoid, ctid FROM {} WHERE {condition}", self.from), &self.doing).await?;
                let place = |r: &tokio_postgres::SimpleQueryRow| {
                    format!("tableoid = {} AND ctid = '{}'", r.get(0).unwrap_or_default(), r.get(1).unwrap_or_default())
                };
                places.extend(rows.iter().map(place));
            }
            self.places = Some(places);
        }
        Ok(self.row.is_some() || self.places.as_ref().is_some_and(|p| !p.is_empty()))
    }

    /// Whether the next piece continues a value, so that it may stand alone.
    #[must_use]
    pub fn is_amid_value(&self) -> bool {
        self.row.as_ref().is_some_and(|r| r.offset > 0)
    }

    /// Appends the next piece: a row's beginning, a field, or a slice of one. Answers the rows that end with it, 0 or 1.
    ///
    /// # Errors
    /// As the server says.
    pub async fn append(&mut self, out: &mut Vec<u8>) -> Result<u64> {
        let Some(mut row) = self.row.take() else {
            let Some(place) = self.places.as_mut().and_then(VecDeque::pop_front) else { return Ok(0) };
            let fields = self.fields(&place).await?;
            out.extend_from_slice(&u16::try_from(fields.len()).map_err(|_| broken())?.to_be_bytes());
            self.row = Some(Row { place, fields, at: 0, offset: 0 });
            return Ok(0);
        };
        let column = &self.columns[row.at];
        let done = match &row.fields[row.at] {
            Field::Whole(None) => {
                out.extend_from_slice(&(-1i32).to_be_bytes());
                true
            }
            Field::Whole(Some(bytes)) => {
                out.extend_from_slice(&length(bytes.len() as u64)?);
                out.extend_from_slice(bytes);
                true
            }
            Field::Sliced { length: total } => {
                if row.offset == 0 {
                    out.extend_from_slice(&length(total + column.prefix.len() as u64)?);
                    out.extend_from_slice(column.prefix);
                }
                let slice = self.slice(&row, column).await?;
                row.offset += slice.len() as u64;
                if slice.is_empty() && row.offset < *total {
                    return Err(broken());
                }
                // In the memory it came in, where nothing stands before it.
                if out.is_empty() {
                    *out = slice
                } else {
                    out.extend_from_slice(&slice)
                }
                row.offset >= *total
            }
        };
        if done {
            row.at += 1;
            row.offset = 0;
        }
        let ended = row.at == row.fields.len();
        self.row = Some(row).filter(|_| !ended);
        Ok(u64::from(ended))
    }

    /// The row's fields: whole where they are small or cannot be sliced, else their lengths.
    async fn fields(&self, place: &str) -> Result<Vec<Field>> {
        let limit = self.limit;
        let pair = |c: &LargeColumn| match &c.bytes {
            Some(b) => {
                let long = format!("octet_length({b}) > {limit}");
                format!("CASE WHEN {long} THEN NULL ELSE {} END, CASE WHEN {long} THEN octet_length({b})::bigint END", c.name)
            }
            None => format!("{}, NULL::bigint", c.name),
        };
        let list = self.columns.iter().map(pair).collect::<Vec<_>>().join(", ");
        let tuple = self.one(&format!("SELECT {list} FROM {} WHERE {place}", self.from)).await?;
        let mut cells = Vec::new();
        split(&tuple, &mut cells).filter(|()| cells.len() == 2 * self.columns.len()).ok_or_else(broken)?;
        let field = |pair: &[(usize, usize)]| match (pair[0], pair[1]) {
            (NULL, NULL) => Ok(Field::Whole(None)),
            (NULL, (a, b)) => tuple[a..b].try_into().map(|n| Field::Sliced { length: u64::from_be_bytes(n) }).map_err(|_| broken()),
            ((a, b), _) => Ok(Field::Whole(Some(tuple[a..b].to_vec()))),
        };
        cells.chunks(2).map(field).collect()
    }

    async fn slice(&self, row: &Row, column: &LargeColumn) -> Result<Vec<u8>> {
        let bytes = column.bytes.as_deref().ok_or_else(broken)?;
        let size = self.limit.clamp(1, SLICE_MAX);
        let select = format!("SELECT substring({bytes} FROM {} FOR {size}) FROM {} WHERE {}", row.offset + 1, self.from, row.place);
        only_cell(tuples(self.link, &select, &self.doing).await?, &self.doing)
    }

    /// The only tuple of a query.
    async fn one(&self, select: &str) -> Result<Vec<u8>> {
        tuples(self.link, select, &self.doing).await?.pop().ok_or_else(broken)
    }
}

/// The tuples of a query that answers few.
async fn tuples(link: &Link, select: &str, doing: &str) -> Result<Vec<Vec<u8>>> {
    let mut copy = copy_out(link, select, doing).await?;
    let (mut begun, mut tuples) = (false, Vec::new());
    while let Some(message) = copy.next().await {
        let message = message.map_err(|e| from_pg(e, doing))?;
        let bytes = strip_header(&message, &mut begun)?;
        if !bytes.is_empty() && bytes != TRAILER {
            tuples.push(bytes.to_vec());
        }
        // Not held while the next message is waited for.
        drop(message);
    }
    Ok(tuples)
}

/// The only cell of the only tuple, in the memory it came in.
fn only_cell(mut tuples: Vec<Vec<u8>>, doing: &str) -> Result<Vec<u8>> {
    let wrong = |what: &str| Error::new(ErrorKind::BadRecord, "value_too_large", format!("{doing}: {what}"));
    let mut tuple = match (tuples.pop(), tuples.is_empty()) {
        (Some(tuple), true) => tuple,
        (Some(_), false) => return Err(wrong("several rows have the key of a row with a large value")),
        (None, _) => return Err(wrong("a row with a large value is not found by its key")),
    };
    let mut cells = Vec::new();
    split(&tuple, &mut cells).ok_or_else(broken)?;
    let (start, end) = cells.first().copied().filter(|c| *c != NULL).ok_or_else(broken)?;
    tuple.truncate(end);
    tuple.drain(..start);
    Ok(tuple)
}

/// Some bytes of one value, the row found by its key.
///
/// # Errors
/// `BadRecord` (`value_too_large`); otherwise as the server says.
pub async fn slice(link: &Link, request: &SliceRequest, doing: &str) -> Result<Vec<u8>> {
    let column = predicate::column(&request.table, &request.column)?;
    let name = sql::ident(&column.name);
    let bytes = match wire(column) {
        Wire::Bytes => name,
        Wire::Text => format!("convert_to({name}::text, 'UTF8')"),
        _ => {
            let message = format!("{doing}: values of type {} cannot be read in slices", column.native);
            return Err(Error::new(ErrorKind::BadRecord, "value_too_large", message));
        }
    };
    let condition = predicate::single(&request.table, &request.filter)?;
    let from = sql::table(&request.table.name);
    // Lengths and positions are integers in PostgreSQL; no value reaches beyond.
    let (offset, max) = (request.offset + 1, request.max.min(SLICE_MAX));
    let select = format!("SELECT substring({bytes} FROM {offset} FOR {max}) FROM {from} WHERE {condition} LIMIT 2");
    only_cell(tuples(link, &select, doing).await?, doing)
}

fn length(bytes: u64) -> Result<[u8; 4]> {
    i32::try_from(bytes).map(i32::to_be_bytes).map_err(|_| broken())
}
