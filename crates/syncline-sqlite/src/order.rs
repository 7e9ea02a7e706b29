//! Order by value where SQLite orders by spelling: `9` before `10`, `…05.5Z` after `…05Z`, `…T08:00` beside `… 08:00:00`.
//! A range condition over such text would lose rows.

use std::cmp::Ordering;

use rusqlite::functions::Context;
use rusqlite::types::ValueRef as Stored;
use syncline_model::batch::encode_cell;
use syncline_model::{LogicalType as T, ValueRef, civil, decimal};

use crate::affinity::Affinity;
use crate::decode::decode;
use crate::native::Kind;

/// The code of UUIDs.
const UUID: i64 = 6;

/// The code under which `syncline_compare` orders a column; `None` where SQLite's own order is the order of the values.
pub(crate) fn code(kind: &Kind) -> Option<i64> {
    Some(match kind.logical {
        T::Decimal { .. } if kind.affinity == Affinity::Text => 1,
        T::Date => 2,
        T::Time { .. } | T::TimeSpan { .. } => 3,
        T::Timestamp { .. } => 4,
        T::TimestampTz { .. } => 5,
        T::Uuid => UUID,
        _ => return None,
    })
}

fn logical(code: i64) -> T {
    match code {
        1 => T::Decimal { limits: None },
        2 => T::Date,
        3 => T::Time { digits: 6 },
        4 => T::Timestamp { digits: 6 },
        5 => T::TimestampTz { digits: 6 },
        UUID => T::Uuid,
        _ => T::Any,
    }
}

/// `syncline_compare(code, stored, bound)`: below, at or above zero; NULL when either is NULL.
pub(crate) fn compare(ctx: &Context<'_>) -> rusqlite::Result<Option<i64>> {
    let kind = Kind { logical: logical(ctx.get(0)?), affinity: Affinity::Text, own: false };
    let (mut a, mut b) = (String::new(), String::new());
    let (a, b) = (decode(ctx.get_raw(1), &kind, &mut a), decode(ctx.get_raw(2), &kind, &mut b));
    if a.is_null() || b.is_null() {
        return Ok(None);
    }
    let order = by_value(a, b).unwrap_or_else(|| by_class(ctx.get_raw(1), ctx.get_raw(2)));
    Ok(Some(order as i64))
}

/// `syncline_cell(code, stored)`: the value in the model's encoding, the same for every spelling of it; NULL for NULL.
pub(crate) fn cell(ctx: &Context<'_>) -> rusqlite::Result<Option<Vec<u8>>> {
    let code = ctx.get(0)?;
    let kind = Kind { logical: logical(code), affinity: Affinity::Text, own: false };
    let mut scratch = String::new();
    let value = decode(ctx.get_raw(1), &kind, &mut scratch);
    Ok((!value.is_null()).then(|| encoded(code, value)))
}

/// What `syncline_cell` gives for a value.
pub(crate) fn encoded(code: i64, value: ValueRef<'_>) -> Vec<u8> {
    let mut cell = Vec::new();
    match value {
        // Read as the text that it is, as long as it is not spelled as a UUID usually is.
        ValueRef::Text(text) if code == UUID => {
            encode_cell(&mut cell, civil::parse_uuid(text).map_or(value, ValueRef::Uuid));
        }
        ValueRef::Decimal(text) => match decimal::normal(text) {
            Some(normal) => encode_cell(&mut cell, ValueRef::Decimal(&normal)),
            None => encode_cell(&mut cell, value),
        },
        other => encode_cell(&mut cell, other),
    }
    cell
}

/// `syncline_before(code, stored, bound)`: whether the stored value is one of the bound's kind and comes before it.
pub(crate) fn before(ctx: &Context<'_>) -> rusqlite::Result<bool> {
    let kind = Kind { logical: logical(ctx.get(0)?), affinity: Affinity::Text, own: false };
    let (mut a, mut b) = (String::new(), String::new());
    let (a, b) = (decode(ctx.get_raw(1), &kind, &mut a), decode(ctx.get_raw(2), &kind, &mut b));
    let order = match (a, b) {
        (ValueRef::Text(a), ValueRef::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (ValueRef::I64(a), ValueRef::I64(b)) => Some(a.cmp(&b)),
        (ValueRef::F64(a), ValueRef::F64(b)) => a.partial_cmp(&b),
        _ => by_value(a, b),
    };
    Ok(order == Some(Ordering::Less))
}

fn by_value(a: ValueRef<'_>, b: ValueRef<'_>) -> Option<Ordering> {
    match (a, b) {
        (ValueRef::Decimal(a), ValueRef::Decimal(b)) => decimal::compare(a, b),
        (ValueRef::Date(a), ValueRef::Date(b)) => Some(a.cmp(&b)),
        (ValueRef::Uuid(a), ValueRef::Uuid(b)) => Some(a.cmp(&b)),
        (ValueRef::Time(a), ValueRef::Time(b))
        | (ValueRef::Timestamp(a), ValueRef::Timestamp(b))
        | (ValueRef::TimestampTz(a), ValueRef::TimestampTz(b)) => Some(a.cmp(&b)),
        _ => None,
    }
}

/// SQLite's own order: numbers, text, blobs; text by its bytes.
fn by_class(a: Stored<'_>, b: Stored<'_>) -> Ordering {
    let key = |v: Stored<'_>| match v {
        Stored::Null => (0, Vec::new()),
        Stored::Integer(_) | Stored::Real(_) => (1, Vec::new()),
        Stored::Text(t) => (2, t.to_vec()),
        Stored::Blob(b) => (3, b.to_vec()),
    };
    key(a).cmp(&key(b))
}
