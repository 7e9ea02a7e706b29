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

fn by_value(a: ValueRef<'_>, b: ValueRef<'_>) -> Option<Ordering> {
    match (a, b) {
        (ValueRef::Decimal(a), ValueRef::Decimal(b)) => decimals(a, b),
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

fn decimals(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (decimal::normal(a)?, decimal::normal(b)?);
    let rank = |s: &str| -> i8 {
        match s {
            "-Infinity" => -2,
            "Infinity" => 2,
            "NaN" => 3,
            "0" => 0,
            s if s.starts_with('-') => -1,
            _ => 1,
        }
    };
    let by_rank = rank(&a).cmp(&rank(&b));
    if by_rank != Ordering::Equal || rank(&a).abs() != 1 {
        return Some(by_rank);
    }
    let (x, y) = (decimal::parts(&a)?, decimal::parts(&b)?);
    let size = x.whole.len().cmp(&y.whole.len()).then(x.whole.cmp(y.whole)).then(x.fraction.cmp(y.fraction));
    Some(if x.negative { size.reverse() } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decimals_order_as_numbers_do(a in -100_000i64..100_000, b in -100_000i64..100_000, scale in 0u32..4) {
            let text = |n: i64| format!("{}{}.{:03}", if n < 0 { "-" } else { "" }, n.abs() / 1000, n.abs() % 1000) + &"0".repeat(scale as usize);
            prop_assert_eq!(decimals(&text(a), &text(b)), Some(a.cmp(&b)));
        }
    }

    #[test]
    fn the_words_lie_at_the_ends() {
        let sorted = ["-Infinity", "-10", "-9.5", "-0.1", "0", "0.05", "0.5", "9", "10", "Infinity", "NaN"];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(decimals(a, b), Some(i.cmp(&j)), "{a} {b}");
            }
        }
    }
}
