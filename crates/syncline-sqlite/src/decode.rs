//! A stored value becomes a cell: by its own storage class first, then by what its column says it means. A value that is
//! not what the column says comes through as what it is.

use std::fmt::Write as _;

use rusqlite::types::ValueRef as Stored;
use syncline_model::{LogicalType as T, ValueRef, civil, decimal, json};

use crate::native::Kind;

/// The cell that a stored value is. `scratch` holds text that has to be written first.
pub(crate) fn decode<'a>(stored: Stored<'a>, kind: &Kind, scratch: &'a mut String) -> ValueRef<'a> {
    match stored {
        Stored::Null => ValueRef::Null,
        Stored::Integer(n) => integer(n, &kind.logical, scratch),
        Stored::Real(x) => real(x, &kind.logical, scratch),
        Stored::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(s) => text(s, kind),
            Err(_) => ValueRef::Bytes(bytes),
        },
        Stored::Blob(bytes) => ValueRef::Bytes(bytes),
    }
}

fn integer<'a>(n: i64, logical: &T, scratch: &'a mut String) -> ValueRef<'a> {
    match logical {
        T::Bool if n == 0 || n == 1 => ValueRef::Bool(n == 1),
        T::Decimal { .. } => ValueRef::Decimal(written(scratch, n)),
        // A JSON column of NUMERIC affinity has made a number of the text.
        T::Json { .. } => ValueRef::Json(written(scratch, n)),
        _ => ValueRef::I64(n),
    }
}

fn real<'a>(x: f64, logical: &T, scratch: &'a mut String) -> ValueRef<'a> {
    match logical {
        // The shortest digits that read back as this double: 0.99 was written as 0.99.
        T::Decimal { .. } if x.is_finite() => ValueRef::Decimal(written(scratch, x)),
        T::Json { .. } if x.is_finite() => ValueRef::Json(written(scratch, x)),
        _ => ValueRef::F64(x),
    }
}

fn written(scratch: &mut String, n: impl std::fmt::Display) -> &str {
    scratch.clear();
    write!(scratch, "{n}").expect("invariant: writing to a String cannot fail");
    scratch
}

fn text<'a>(s: &'a str, kind: &Kind) -> ValueRef<'a> {
    let typed = match &kind.logical {
        T::Decimal { .. } => decimal::normal(s).map(|_| ValueRef::Decimal(s)),
        T::Uuid => civil::parse_uuid(s).filter(|u| civil::uuid_text(u) == s).map(ValueRef::Uuid),
        T::Date => civil::parse_date(s).map(ValueRef::Date).or_else(|| beyond(kind, "date", s)),
        T::Time { .. } => civil::parse_time(s).map(ValueRef::Time).or_else(|| beyond(kind, "time", s)),
        T::TimeSpan { .. } | T::Interval => span(s, &kind.logical).or_else(|| beyond(kind, "interval", s)),
        T::Timestamp { .. } => civil::parse_timestamp(s).map(ValueRef::Timestamp).or_else(|| beyond(kind, "timestamp", s)),
        T::TimestampTz { .. } => civil::parse_timestamptz(s).map(ValueRef::TimestampTz).or_else(|| beyond(kind, "timestamptz", s)),
        T::Json { .. } => json::facts(s).map(|_| ValueRef::Json(s)),
        T::Bool
        | T::Int { .. }
        | T::Year
        | T::Float { .. }
        | T::Text { .. }
        | T::Bytes { .. }
        | T::Bit { .. }
        | T::Enum { .. }
        | T::Set { .. }
        | T::Geometry
        | T::Other { .. }
        | T::Any => None,
    };
    typed.unwrap_or(ValueRef::Text(s))
}

fn span(s: &str, logical: &T) -> Option<ValueRef<'static>> {
    if let T::TimeSpan { .. } = logical
        && let Some(t) = civil::parse_time(s)
    {
        return Some(ValueRef::Time(t));
    }
    civil::parse_interval(s).map(|(months, days, micros)| ValueRef::Interval { months, days, micros })
}

/// `infinity` or `0000-00-00` in a column of our own: what another system had there.
fn beyond<'a>(kind: &Kind, type_name: &'static str, text: &'a str) -> Option<ValueRef<'a>> {
    kind.own.then_some(ValueRef::Other { type_name, text })
}
