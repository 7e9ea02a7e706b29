//! Values as parameters of conditions, bound and never rendered (R7).

use mysql_async::Value as Wire;
use syncline_connector::{Error, ErrorKind, Piece, Predicate, Result};
use syncline_model::{Column, LogicalType, RowBatch, Table, Value, ValueRef, civil as text};

use crate::{civil, quote};

/// Keys per `IN` list: far below the 65,535 parameters of a statement, and few enough to be looked up one by one in an index.
pub(crate) const KEYS_PER_STATEMENT: usize = 1000;

/// A piece of SQL and its parameters, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bound {
    pub(crate) sql: String,
    pub(crate) params: Vec<Wire>,
}

impl Bound {
    fn push(&mut self, sql: &str, param: Wire) {
        self.sql.push_str(sql);
        self.params.push(param);
    }
}

/// The WHERE clause of a filter (with its keyword; empty for none), once per chunk of a `KeyIn`.
pub(crate) fn clauses(table: &Table, filter: &[Predicate]) -> Result<Vec<Bound>> {
    let mut fixed = Bound { sql: " WHERE TRUE".to_owned(), params: Vec::new() };
    let mut keys = None;
    for p in filter {
        match p {
            Predicate::KeyIn { columns, keys: batch } => {
                if keys.replace((columns, batch)).is_some() {
                    return Err(Error::internal("read: two key lists in one filter"));
                }
            }
            other => condition(&mut fixed, table, other)?,
        }
    }
    let Some((columns, batch)) = keys else {
        if filter.is_empty() {
            fixed.sql.clear();
        }
        return Ok(vec![fixed]);
    };
    let columns = columns.iter().map(|c| column(table, c)).collect::<Result<Vec<_>>>()?;
    let starts = (0..batch.len()).step_by(KEYS_PER_STATEMENT);
    Ok(starts.filter_map(|start| key_list(&fixed, &columns, batch, start)).collect())
}

/// One clause, for questions that are never asked by key list.
pub(crate) fn clause(table: &Table, filter: &[Predicate]) -> Result<Bound> {
    let mut all = clauses(table, filter)?;
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(Error::internal("a digest or count cannot be asked by key list")),
    }
}

fn column<'t>(table: &'t Table, name: &str) -> Result<&'t Column> {
    table.column(name).ok_or_else(|| {
        let message = format!("read `{}`: there is no column `{name}`", table.name);
        Error::new(ErrorKind::Invalid, "column_missing", message).hint("run discover again")
    })
}

fn condition(out: &mut Bound, table: &Table, p: &Predicate) -> Result<()> {
    match p {
        Predicate::Sql(pieces) => {
            out.sql.push_str(" AND (");
            for piece in pieces {
                match piece {
                    Piece::Sql(sql) => out.sql.push_str(sql),
                    Piece::Bound(v) => out.push("?", free(v.view())),
                }
            }
            // A line break, so that a comment at the end of the user's SQL cannot swallow the rest.
            out.sql.push_str("\n)");
        }
        Predicate::Equals(name, v) => equal(out, column(table, name)?, v),
        Predicate::AtLeast(name, v) => compare(out, column(table, name)?, ">=", v),
        Predicate::NotBefore(name, v) => not_before(out, column(table, name)?, v),
        Predicate::Below(name, v) => compare(out, column(table, name)?, "<", v),
        Predicate::IsNull(name) => {
            out.sql.push_str(&format!(" AND {} IS NULL", quote::name(&column(table, name)?.name)));
        }
        Predicate::NotNull(name) => {
            out.sql.push_str(&format!(" AND {} IS NOT NULL", quote::name(&column(table, name)?.name)));
        }
        Predicate::After { columns, key } => beyond(out, table, columns, true, key)?,
        Predicate::UpTo { columns, key } => beyond(out, table, columns, false, key)?,
        Predicate::KeyIn { .. } => return Err(Error::internal("read: a key list is no plain condition")),
    }
    Ok(())
}

/// A key on one side of another one, column by column: comparing rows at once would walk the whole index.
fn beyond(out: &mut Bound, table: &Table, columns: &[String], after: bool, key: &[Value]) -> Result<()> {
    let (not, strict, last) = if after { ("<", ">", ">") } else { (">", "<", "<=") };
    let all = columns.iter().map(|c| column(table, c)).collect::<Result<Vec<_>>>()?;
    let cell = |out: &mut Bound, i: usize, op: &str| {
        let (placeholder, param) = against(all[i], key[i].view());
        out.push(&format!("{} {op} {placeholder}", quote::name(&all[i].name)), param);
    };
    if all.len() > 1 {
        out.sql.push_str(" AND NOT (");
        cell(out, 0, not);
        out.sql.push(')');
    }
    out.sql.push_str(" AND (");
    for i in 0..all.len() {
        if i > 0 {
            out.sql.push_str(" OR ");
        }
        out.sql.push('(');
        for before in 0..i {
            cell(out, before, "=");
            out.sql.push_str(" AND ");
        }
        cell(out, i, if i + 1 == all.len() { last } else { strict });
        out.sql.push(')');
    }
    out.sql.push(')');
    Ok(())
}

fn compare(out: &mut Bound, column: &Column, operator: &str, v: &Value) {
    let (placeholder, param) = against(column, v.view());
    out.push(&format!(" AND {} {operator} {placeholder}", quote::name(&column.name)), param);
}

/// The index finds what the collation calls equal, and the bytes decide.
fn equal(out: &mut Bound, column: &Column, v: &Value) {
    compare(out, column, "=", v);
    if column.loose_collation.is_some() {
        let (placeholder, param) = against(column, v.view());
        out.push(&format!(" AND {} = CAST({placeholder} AS BINARY)", names(&[column], true)), param);
    }
}

/// Zero dates are before every other one and say as little as NULL.
fn not_before(out: &mut Bound, column: &Column, v: &Value) {
    let name = quote::name(&column.name);
    let (placeholder, param) = against(column, v.view());
    out.push(&format!(" AND ({name} >= {placeholder}"), param);
    if column.nullable {
        out.sql.push_str(&format!(" OR {name} IS NULL"));
    }
    if matches!(column.logical, LogicalType::Date | LogicalType::Timestamp { .. } | LogicalType::TimestampTz { .. }) {
        out.sql.push_str(&format!(" OR {name} < '1000-01-01'"));
    }
    out.sql.push(')');
}

/// One chunk of a key list. Under a coarse collation the index finds candidates and the bytes decide.
fn key_list(fixed: &Bound, columns: &[&Column], batch: &RowBatch, start: usize) -> Option<Bound> {
    let mut out = fixed.clone();
    let mut exact = Bound::default();
    let loose = columns.iter().any(|c| c.loose_collation.is_some());
    let mut rows = 0;
    for i in start..batch.len().min(start + KEYS_PER_STATEMENT) {
        let row = batch.row(i);
        if row.cells().any(ValueRef::is_null) {
            continue;
        }
        let separator = if rows == 0 { "" } else { ", " };
        for (target, bytes) in [(&mut out, false), (&mut exact, true)] {
            if bytes && !loose {
                continue;
            }
            if rows == 0 && !bytes {
                target.sql.push_str(&format!(" AND ({}) IN (", names(columns, false)));
            }
            target.sql.push_str(&format!("{separator}("));
            for (c, (column, v)) in columns.iter().zip(row.cells()).enumerate() {
                let (placeholder, param) = against(column, v);
                let comma = if c == 0 { "" } else { ", " };
                let wrapped = bytes && column.loose_collation.is_some();
                let placeholder = if wrapped { format!("CAST({placeholder} AS BINARY)") } else { placeholder };
                target.push(&format!("{comma}{placeholder}"), param);
            }
            target.sql.push(')');
        }
        rows += 1;
    }
    if rows == 0 {
        return None;
    }
    out.sql.push(')');
    if loose {
        out.sql.push_str(&format!(" AND ({}) IN ({})", names(columns, true), exact.sql));
        out.params.append(&mut exact.params);
    }
    Some(out)
}

fn names(columns: &[&Column], bytes: bool) -> String {
    let one = |c: &&Column| match (bytes && c.loose_collation.is_some(), quote::name(&c.name)) {
        (true, q) => format!("CAST(CONVERT({q} USING utf8mb4) AS BINARY)"),
        (false, q) => q,
    };
    columns.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A value to compare with a column, and the placeholder that gives it the column's type: a decimal bound as text
/// would be compared as a double.
fn against(column: &Column, v: ValueRef<'_>) -> (String, Wire) {
    let plain = |w| ("?".to_owned(), w);
    match (&column.logical, v) {
        (LogicalType::Decimal { limits }, ValueRef::Decimal(s)) => {
            let written = s.split_once('.').map_or(0, |(_, f)| f.len());
            let declared = limits.map_or(0, |(_, scale)| usize::try_from(scale).unwrap_or(0));
            (format!("CAST(? AS DECIMAL(65,{}))", written.max(declared).min(30)), Wire::Bytes(s.as_bytes().to_vec()))
        }
        (LogicalType::Bit { .. }, ValueRef::Text(s)) => plain(u64::from_str_radix(s, 2).map_or(Wire::NULL, Wire::UInt)),
        (LogicalType::Bytes { .. }, ValueRef::Uuid(u)) => ("UNHEX(?)".to_owned(), Wire::Bytes(hex(&u))),
        (_, ValueRef::Bytes(b)) => ("UNHEX(?)".to_owned(), Wire::Bytes(hex(b))),
        (_, v) => plain(free(v)),
    }
}

/// A value without a column to go by.
fn free(v: ValueRef<'_>) -> Wire {
    let bytes = |s: &str| Wire::Bytes(s.as_bytes().to_vec());
    match v {
        ValueRef::Null | ValueRef::Large(_) => Wire::NULL,
        ValueRef::Bool(b) => Wire::Int(i64::from(b)),
        ValueRef::I64(n) => Wire::Int(n),
        ValueRef::U64(n) => Wire::UInt(n),
        ValueRef::F64(x) => Wire::Double(x),
        ValueRef::Decimal(s) | ValueRef::Text(s) | ValueRef::Json(s) | ValueRef::Other { text: s, .. } => bytes(s),
        ValueRef::Bytes(b) => Wire::Bytes(b.to_vec()),
        ValueRef::Uuid(u) => bytes(&text::uuid_text(&u)),
        ValueRef::Date(d) => civil::wire_date(d).unwrap_or_else(|| bytes(&text::date_text(d))),
        ValueRef::Timestamp(t) | ValueRef::TimestampTz(t) => civil::wire_timestamp(t).unwrap_or_else(|| bytes(&text::timestamp_text(t))),
        ValueRef::Time(t) => bytes(&text::time_text(t)),
        ValueRef::Interval { months: 0, days, micros } => bytes(&text::time_text(i64::from(days) * text::DAY + micros)),
        ValueRef::Interval { months, days, micros } => bytes(&text::interval_text(months, days, micros)),
    }
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|b| format!("{b:02X}").into_bytes()).collect()
}
