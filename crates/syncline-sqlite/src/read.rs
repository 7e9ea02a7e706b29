//! Reading rows: one statement per piece of the filter, run on the connection's thread, decoded as it steps.

use rusqlite::types::ValueRef as Stored;
use rusqlite::{Connection, Row, params_from_iter};
use syncline_connector::{Batch, Error, ErrorKind, ReadForm, ReadRequest, Result};
use syncline_model::{Column, LogicalType as T, RowBatch, ValueRef};

use crate::decode::decode;
use crate::error::failed;
use crate::filter::{self, Where};
use crate::native::Kind;
use crate::quote;
use crate::thread::Outlet;

/// A read, ready to run on the thread.
pub(crate) struct Plan {
    table: String,
    select: String,
    order: String,
    clauses: Vec<Where>,
    kinds: Vec<Kind>,
    form: ReadForm,
    batch_bytes: usize,
    large_over: u64,
}

impl Plan {
    /// Checks the request against the table and writes its SQL.
    pub(crate) fn new(request: &ReadRequest, parameters_max: usize) -> Result<Self> {
        if request.form == ReadForm::Raw {
            return Err(Error::new(ErrorKind::Invalid, "raw_unsupported", "sqlite has no bulk format of its own"));
        }
        let table = &request.table;
        let columns = request.columns.iter().map(|c| filter::column(table, c)).collect::<Result<Vec<_>>>()?;
        for name in &request.order {
            filter::column(table, name)?;
        }
        let terms: Vec<String> = columns.iter().map(|c| term(c, request.form, request.large_over)).collect();
        let order = if request.order.is_empty() { String::new() } else { format!(" ORDER BY {}", quote::names(&request.order)) };
        Ok(Self {
            table: table.name.to_string(),
            select: format!("SELECT {} FROM {}", terms.join(", "), quote::name(&table.name.name)),
            order,
            clauses: filter::clauses(table, &request.filter, parameters_max)?,
            kinds: columns.into_iter().map(Kind::of).collect(),
            form: request.form,
            batch_bytes: request.batch_bytes,
            large_over: request.large_over,
        })
    }

    /// Runs the statements and hands over batches until the end, or until nobody listens.
    pub(crate) fn run(&self, conn: &Connection, outlet: &Outlet) -> Result<()> {
        let marker = large_marker(conn).map_err(|e| self.failed(e))?;
        let mut batch = RowBatch::new(self.kinds.len());
        for clause in &self.clauses {
            if !self.run_one(conn, clause, &marker, &mut batch, outlet).map_err(|e| self.failed(e))? {
                return Ok(());
            }
        }
        if !batch.is_empty() {
            outlet.put(Batch::Rows(batch));
        }
        Ok(())
    }

    /// False when nobody listens any more.
    fn run_one(&self, conn: &Connection, clause: &Where, marker: &[u8], batch: &mut RowBatch, outlet: &Outlet) -> rusqlite::Result<bool> {
        let mut statement = conn.prepare(&format!("{}{}{}", self.select, clause.sql, self.order))?;
        let mut rows = statement.query(params_from_iter(&clause.params))?;
        while let Some(row) = rows.next()? {
            self.push(batch, row, marker)?;
            if batch.bytes() >= self.batch_bytes {
                let full = std::mem::replace(batch, RowBatch::new(self.kinds.len()));
                if !outlet.put(Batch::Rows(full)) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn push(&self, batch: &mut RowBatch, row: &Row<'_>, marker: &[u8]) -> rusqlite::Result<()> {
        let mut scratch = String::new();
        for (i, kind) in self.kinds.iter().enumerate() {
            let stored = row.get_ref(i)?;
            let cell = match stored {
                Stored::Blob(b) if large_len(b, marker).is_some() => ValueRef::Large(large_len(b, marker).unwrap_or_default()),
                Stored::Blob(b) | Stored::Text(b) if b.len() as u64 > self.large_over => ValueRef::Large(b.len() as u64),
                _ if self.form == ReadForm::Text => decode(stored, &Kind::plain_text(), &mut scratch),
                _ => decode(stored, kind, &mut scratch),
            };
            batch.push(cell);
        }
        Ok(())
    }

    fn failed(&self, e: rusqlite::Error) -> Error {
        failed(format_args!("read `{}`", self.table), e)
    }
}

/// One column of the select list.
fn term(column: &Column, form: ReadForm, large_over: u64) -> String {
    let name = quote::name(&column.name);
    let value = if form == ReadForm::Text { rendered(&name) } else { name.clone() };
    if !may_be_large(&column.logical) {
        return value;
    }
    // `octet_length` of a bare column reads the header only, so a large value is never loaded (R25).
    let limit = i64::try_from(large_over).unwrap_or(i64::MAX);
    format!(
        "CASE WHEN octet_length({name}) > {limit} AND typeof({name}) IN ('text', 'blob') THEN syncline_large(octet_length({name})) ELSE {value} END"
    )
}

/// Whether values of the type can be long.
pub(crate) fn may_be_large(logical: &T) -> bool {
    match logical {
        T::Bool
        | T::Int { .. }
        | T::Year
        | T::Float { .. }
        | T::Decimal { .. }
        | T::Uuid
        | T::Date
        | T::Time { .. }
        | T::TimeSpan { .. }
        | T::Timestamp { .. }
        | T::TimestampTz { .. }
        | T::Interval => false,
        T::Text { .. }
        | T::Bytes { .. }
        | T::Bit { .. }
        | T::Json { .. }
        | T::Enum { .. }
        | T::Set { .. }
        | T::Geometry
        | T::Other { .. }
        | T::Any => true,
    }
}

/// A cell as text by SQLite's own hand. A real takes the fewest digits, 15 to 17, that read back as itself: CAST alone
/// gives 15 in older versions.
fn rendered(name: &str) -> String {
    let fits = |digits: u8| format!("WHEN CAST(printf('%!.{digits}g', {name}) AS REAL) = {name} THEN printf('%!.{digits}g', {name})");
    format!(
        "CASE typeof({name}) WHEN 'integer' THEN CAST({name} AS TEXT) WHEN 'real' THEN CASE {} {} ELSE printf('%!.17g', {name}) END ELSE {name} END",
        fits(15),
        fits(16)
    )
}

impl Kind {
    /// Text as it is, whatever the column says.
    fn plain_text() -> Self {
        Self { logical: T::Any, affinity: crate::affinity::Affinity::Blob, own: false }
    }
}

/// The random prefix by which `syncline_large` marks what it left out; drawn once per connection.
fn large_marker(conn: &Connection) -> rusqlite::Result<Vec<u8>> {
    conn.query_row("SELECT syncline_large(0)", [], |r| r.get::<_, Vec<u8>>(0)).map(|mut b| {
        b.truncate(16);
        b
    })
}

fn large_len(blob: &[u8], marker: &[u8]) -> Option<u64> {
    let tail = blob.strip_prefix(marker)?;
    Some(u64::from_le_bytes(tail.try_into().ok()?))
}
