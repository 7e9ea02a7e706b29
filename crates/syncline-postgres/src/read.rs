//! Reading rows: what to select, and the stream that hands the answer over.
//!
//! Rows come by `COPY (SELECT …) TO STDOUT (FORMAT binary)`. A value above the limit is never sent whole: the select list
//! has NULL and its length in its place (R25).

use std::collections::VecDeque;
use std::pin::Pin;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use syncline_connector::{Batch, ReadForm, ReadRequest, Result, RowStream};
use syncline_model::schema::TableKind;
use syncline_model::{Column, RowBatch, Table};
use tokio_postgres::CopyOutStream;

use crate::connect::Link;
use crate::decode::{CellForm, Decoder};
use crate::error::from_pg;
use crate::native::{Wire, wire};
use crate::{predicate, sql};

/// Compression shrinks a value at most this much (pglz and lz4 both stay below).
const COMPRESSION_MAX: u64 = 256;

/// A value in the main heap is below a page, so with an empty toast relation nothing reaches this size even when inflated.
const INLINE_MAX: u64 = 8192 * COMPRESSION_MAX;

/// The length of a value in bytes as it would travel, for types that can be long; cheap for values stored out of line.
#[must_use]
pub fn length(column: &Column, limit: u64) -> Option<String> {
    length_of(column, &sql::ident(&column.name), limit)
}

/// The same for a value of the column under the name `c`.
#[must_use]
pub fn length_of(column: &Column, c: &str, limit: u64) -> Option<String> {
    match wire(column) {
        Wire::Text if matches!(column.logical, syncline_model::LogicalType::Enum { .. }) || column.native == "name" => None,
        // Neither of the two reads a value that is stored out of line.
        Wire::Text => Some(format!("octet_length({c})")),
        Wire::Bytes => Some(format!("octet_length({c})")),
        Wire::Json | Wire::Jsonb | Wire::AsText => {
            let sure = (limit / COMPRESSION_MAX).max(1);
            Some(format!("CASE WHEN pg_column_size({c}) <= {sure} THEN 0 ELSE octet_length({c}::text) END"))
        }
        Wire::Bit => Some(format!("octet_length({c})")),
        Wire::Bool
        | Wire::Int(_)
        | Wire::Float(_)
        | Wire::Numeric
        | Wire::Uuid
        | Wire::Date
        | Wire::Time
        | Wire::Timestamp
        | Wire::TimestampTz
        | Wire::Interval => None,
    }
}

/// Whether any value of the table may be above the limit: not when nothing is stored out of line.
///
/// # Errors
/// As the server says.
pub async fn may_be_large(link: &Link, table: &Table, limit: u64) -> Result<bool> {
    let oid = table.incarnation.as_deref().and_then(|o| o.parse::<u32>().ok());
    let (Some(oid), true) = (oid, limit >= INLINE_MAX) else { return Ok(true) };
    let sizes = match table.kind {
        TableKind::View => return Ok(true),
        TableKind::Table => format!("SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = {oid} AND reltoastrelid <> 0"),
        TableKind::Partitioned => format!(
            "SELECT pg_relation_size(c.reltoastrelid) FROM pg_partition_tree({oid}) p JOIN pg_class c ON c.oid = p.relid \
             WHERE c.reltoastrelid <> 0"
        ),
    };
    let rows = link.rows(&format!("SELECT coalesce(sum(s), 0) > 0 FROM ({sizes}) AS t(s)"), "look at table size").await?;
    Ok(rows.first().and_then(|r| r.get(0)) != Some("f"))
}

/// The statements of a request, in order, and the forms of their fields.
#[derive(Debug)]
pub struct Plan {
    /// `SELECT …`, to be wrapped in COPY.
    pub selects: VecDeque<String>,
    /// One per cell.
    pub forms: Vec<CellForm>,
}

/// Plans a read as values or text.
///
/// # Errors
/// `Invalid` for unknown columns.
pub fn plan(request: &ReadRequest, guard: bool) -> Result<Plan> {
    let columns = request.columns.iter().map(|n| predicate::column(&request.table, n)).collect::<Result<Vec<_>>>()?;
    let (mut list, mut lengths, mut forms) = (Vec::new(), Vec::new(), Vec::new());
    for column in &columns {
        let (mut expression, mut form) = cell(column, request.form);
        if let Some(length) = length(column, request.large_over).filter(|_| guard) {
            let limit = request.large_over;
            expression = format!("CASE WHEN {length} <= {limit} THEN {expression} END");
            form = form.guarded(columns.len() + lengths.len());
            lengths.push(format!("CASE WHEN {length} > {limit} THEN ({length})::bigint END"));
        }
        list.push(expression);
        forms.push(form);
    }
    list.append(&mut lengths);
    let ordered = order(request)?;
    let from = sql::table(&request.table.name);
    let list = list.join(", ");
    let conditions = predicate::statements(&request.table, &request.filter, !ordered.is_empty())?;
    let selects = conditions.iter().map(|w| format!("SELECT {list} FROM {from} WHERE {w}{ordered}")).collect();
    Ok(Plan { selects, forms })
}

/// ` ORDER BY …`, or nothing.
///
/// # Errors
/// `Invalid` for unknown columns.
pub fn order(request: &ReadRequest) -> Result<String> {
    if request.order.is_empty() {
        return Ok(String::new());
    }
    // A bare name would mean the output column first, and in text form that is text.
    let table = sql::table(&request.table.name);
    let names = request.order.iter().map(|n| predicate::column(&request.table, n).map(|c| format!("{table}.{}", sql::ident(&c.name))));
    Ok(format!(" ORDER BY {}", names.collect::<Result<Vec<_>>>()?.join(", ")))
}

fn cell(column: &Column, form: ReadForm) -> (String, CellForm) {
    let name = sql::ident(&column.name);
    let wire = wire(column);
    match form {
        ReadForm::Text if wire == Wire::Bytes => (name, CellForm::bytes()),
        ReadForm::Text => (format!("{name}::text"), CellForm::text()),
        ReadForm::Values | ReadForm::Raw if wire == Wire::AsText => (format!("{name}::text"), CellForm::of(column)),
        ReadForm::Values | ReadForm::Raw => (name, CellForm::of(column)),
    }
}

/// The answer of one COPY, message by message.
pub type Copy = Pin<Box<CopyOutStream>>;

/// Starts a COPY of a query.
///
/// # Errors
/// As the server says; `doing` names the operation.
pub async fn copy_out(link: &Link, select: &str, doing: &str) -> Result<Copy> {
    let statement = format!("COPY ({select}) TO STDOUT (FORMAT binary)");
    link.client.copy_out(statement.as_str()).await.map(Box::pin).map_err(|e| from_pg(e, doing))
}

/// Decoded rows of one or more statements.
pub struct Rows<'a> {
    link: &'a Link,
    selects: VecDeque<String>,
    copy: Option<Copy>,
    decoder: Decoder,
    batch_bytes: usize,
    doing: String,
}

impl<'a> Rows<'a> {
    /// A stream over the plan's statements; `doing` names the operation in errors.
    #[must_use]
    pub fn new(link: &'a Link, plan: Plan, batch_bytes: usize, doing: String) -> Self {
        Self { link, selects: plan.selects, copy: None, decoder: Decoder::new(plan.forms), batch_bytes, doing }
    }
}

#[async_trait]
impl RowStream for Rows<'_> {
    async fn next(&mut self) -> Result<Option<Batch>> {
        let mut batch = RowBatch::new(self.decoder.width());
        loop {
            let copy = match &mut self.copy {
                Some(copy) => copy,
                None => match self.selects.pop_front() {
                    Some(select) => {
                        self.decoder.restart();
                        self.copy.insert(copy_out(self.link, &select, &self.doing).await?)
                    }
                    None if batch.is_empty() => return Ok(None),
                    None => return Ok(Some(Batch::Rows(batch))),
                },
            };
            while let Some(message) = copy.next().await {
                let message = message.map_err(|e| from_pg(e, &self.doing))?;
                self.decoder.message(&message, &mut batch).map_err(|e| e.during(&self.doing))?;
                if batch.bytes() >= self.batch_bytes {
                    return Ok(Some(Batch::Rows(batch)));
                }
            }
            self.copy = None;
        }
    }
}
