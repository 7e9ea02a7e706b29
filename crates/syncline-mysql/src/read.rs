//! Reading rows: the select list of a request and the stream that decodes its answer.

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{BinaryProtocol, Conn, Params, QueryResult};
use syncline_connector::{Batch, Error, ErrorKind, ReadForm, ReadRequest, Result, RowStream};
use syncline_model::{Column, LogicalType, RowBatch, Table};

use crate::bind::{self, Bound};
use crate::decode::Decoder;
use crate::flavour::Flavour;
use crate::native::Native;
use crate::{fault, quote};

/// The statements of a request, one after the other, and how their rows are read.
pub(crate) struct Plan {
    pub(crate) statements: Vec<Bound>,
    pub(crate) decoder: Decoder,
    pub(crate) batch_bytes: usize,
    /// "read `film`", for messages.
    pub(crate) operation: String,
}

/// Plans a read request.
pub(crate) fn plan(request: &ReadRequest, flavour: &Flavour) -> Result<Plan> {
    let table = &request.table;
    let columns = request.columns.iter().map(|c| find(table, c)).collect::<Result<Vec<_>>>()?;
    let guarded: Vec<bool> = columns.iter().map(|c| Native::parse(&c.native).may_exceed(request.large_over)).collect();
    let form = |c: &Column| match request.form {
        ReadForm::Values => Ok(quote::name(&c.name)),
        ReadForm::Text => Ok(rendered(c, flavour)),
        ReadForm::Raw => Err(Error::new(ErrorKind::Invalid, "raw_unsupported", format!("read `{}`: no raw form", table.name))),
    };
    let mut list = Vec::new();
    for (c, guarded) in columns.iter().zip(&guarded) {
        let value = form(c)?;
        if *guarded {
            let length = format!("OCTET_LENGTH({})", quote::name(&c.name));
            list.push(format!("CASE WHEN {length} <= {} THEN {value} END, {length}", request.large_over));
        } else {
            list.push(value);
        }
    }
    let order: Vec<String> = request.order.iter().map(|c| find(table, c).map(|c| quote::name(&c.name))).collect::<Result<_>>()?;
    let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
    let head = format!("SELECT {} FROM {}", list.join(", "), quote::table(&table.name));
    let statements = bind::clauses(table, &request.filter)?
        .into_iter()
        .map(|w| Bound { sql: format!("{head}{}{order}", w.sql), params: w.params })
        .collect();
    let cells = columns.iter().copied().zip(guarded.iter().copied());
    let decoder = match request.form {
        ReadForm::Text => Decoder::rendered(cells.map(|(c, guarded)| (is_bytes(c), guarded))),
        ReadForm::Values | ReadForm::Raw => Decoder::new(cells),
    };
    Ok(Plan { statements, decoder, batch_bytes: request.batch_bytes, operation: format!("read `{}`", table.name) })
}

fn find<'t>(table: &'t Table, name: &str) -> Result<&'t Column> {
    table.column(name).ok_or_else(|| {
        let message = format!("read `{}`: there is no column `{name}`", table.name);
        Error::new(ErrorKind::Invalid, "column_missing", message).hint("run discover again")
    })
}

fn is_bytes(c: &Column) -> bool {
    matches!(c.logical, LogicalType::Bytes { .. } | LogicalType::Geometry)
}

/// A column as the server's own text. FLOAT goes through DOUBLE: as itself it is cut to six digits (R10).
fn rendered(c: &Column, flavour: &Flavour) -> String {
    use LogicalType as T;
    let q = quote::name(&c.name);
    match &c.logical {
        T::Bytes { .. } | T::Geometry => q,
        T::Text { .. } | T::Enum { .. } | T::Set { .. } | T::Any => format!("CONVERT({q} USING utf8mb4)"),
        T::Json { .. } => flavour.json_text(&q),
        T::Float { .. } => format!("CAST({q} * 1e0 AS CHAR)"),
        T::Bit { len, .. } => format!("LPAD(BIN({q} + 0), {}, '0')", len.unwrap_or(64)),
        T::TimestampTz { .. } => format!("CONCAT(CAST({q} AS CHAR), '+00')"),
        T::Bool
        | T::Int { .. }
        | T::Year
        | T::Decimal { .. }
        | T::Uuid
        | T::Date
        | T::Time { .. }
        | T::TimeSpan { .. }
        | T::Timestamp { .. }
        | T::Interval
        | T::Other { .. } => format!("CAST({q} AS CHAR)"),
    }
}

/// Rows arriving from the statements of a plan. The pending answer lives in the connection, so the stream borrows nothing
/// between batches; dropped early, the connection throws the rest away before its next statement.
pub(crate) struct Rows<'a> {
    conn: &'a mut Conn,
    plan: Plan,
    next: usize,
    open: bool,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(conn: &'a mut Conn, plan: Plan) -> Self {
        Self { conn, plan, next: 0, open: false }
    }

    /// Sends the next statement; false when there is none.
    async fn advance(&mut self) -> Result<bool> {
        let Some(statement) = self.plan.statements.get_mut(self.next) else { return Ok(false) };
        self.next += 1;
        let params = std::mem::take(&mut statement.params);
        let params = if params.is_empty() { Params::Empty } else { Params::Positional(params) };
        let sent = self.conn.exec_iter(statement.sql.as_str(), params).await;
        sent.map_err(|e| fault::map(e, &self.plan.operation)).map(drop)?;
        self.open = true;
        Ok(true)
    }
}

#[async_trait]
impl RowStream for Rows<'_> {
    async fn next(&mut self) -> Result<Option<Batch>> {
        let mut batch = RowBatch::new(self.plan.decoder.width());
        loop {
            if !self.open && !self.advance().await? {
                return Ok(if batch.is_empty() { None } else { Some(Batch::Rows(batch)) });
            }
            let mut result: QueryResult<'_, 'static, BinaryProtocol> = QueryResult::new(&mut *self.conn);
            while batch.bytes() < self.plan.batch_bytes {
                match result.next().await.map_err(|e| fault::map(e, &self.plan.operation))? {
                    Some(row) => self.plan.decoder.push(&mut batch, &row),
                    None => {
                        self.open = false;
                        break;
                    }
                }
            }
            if batch.bytes() >= self.plan.batch_bytes && !batch.is_empty() {
                return Ok(Some(Batch::Rows(batch)));
            }
        }
    }
}
