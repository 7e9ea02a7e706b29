//! The one definition of equality (R9): two values are equal when their canonical bytes are equal.
//!
//! Which canonical form applies depends on the *pair* of columns, never on one side: between two PostgreSQL `numeric`
//! columns `1.0` and `1.00` differ, between MariaDB and PostgreSQL they are the same value. The forms are pinned by
//! `testdata/canonical-golden.json`, which tests in every language read.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::batch::RowRef;
use crate::schema::{Column, Engine};
use crate::value::ValueRef;
use crate::{LogicalType, civil, decimal, json};

/// The canonical form that a pair of columns is compared in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Canon {
    /// Numbers by value: integers, booleans as 0/1, decimals without trailing zeros.
    Number,
    /// Decimals by value and scale: two PostgreSQL `numeric` columns without limits.
    DecimalScaled,
    /// Doubles by bits; every NaN is one NaN, −0 and 0 differ.
    Float,
    /// Text by its UTF-8 bytes.
    Text,
    /// Text without trailing spaces: a CHAR(n) on either side.
    TextPadded,
    /// Bytes.
    Bytes,
    /// UUIDs by value, whatever the spelling.
    Uuid,
    /// Days.
    Date,
    /// Spans and times of day: (months, days, µs).
    Span,
    /// Timestamps without zone, µs.
    Timestamp,
    /// Instants, µs.
    TimestampTz,
    /// JSON by its text.
    JsonText,
    /// JSON by its value: key order, spacing and number spelling do not count.
    JsonValue,
    /// Each value by its own family: no common type. Values of different families differ.
    Own,
}

impl Canon {
    /// The form for a pair of columns.
    #[must_use]
    pub fn for_pair(a: (&Column, Engine), b: (&Column, Engine)) -> Self {
        use LogicalType as T;
        let ((a, a_engine), (b, b_engine)) = (a, b);
        let same_engine = a_engine == b_engine;
        let numeric = |t: &T| matches!(t, T::Bool | T::Int { .. } | T::Year | T::Decimal { .. });
        let textual = |t: &T| matches!(t, T::Text { .. } | T::Enum { .. } | T::Set { .. } | T::Bit { .. } | T::Other { .. });
        let padded = |t: &T| matches!(t, T::Text { fixed: true, .. });
        match (&a.logical, &b.logical) {
            (T::Decimal { limits: None }, T::Decimal { limits: None }) if same_engine && a_engine == Engine::Postgres => {
                Self::DecimalScaled
            }
            (T::Float { .. }, T::Float { .. }) => Self::Float,
            (x, y) if numeric(x) && numeric(y) => Self::Number,
            (T::Float { .. }, y) | (y, T::Float { .. }) if numeric(y) => Self::Number,
            (T::Uuid, T::Uuid | T::Text { .. } | T::Bytes { .. }) | (T::Text { .. } | T::Bytes { .. }, T::Uuid) => Self::Uuid,
            (T::Date, T::Date) => Self::Date,
            (T::Time { .. } | T::TimeSpan { .. } | T::Interval, T::Time { .. } | T::TimeSpan { .. } | T::Interval) => Self::Span,
            (T::Timestamp { .. }, T::Timestamp { .. }) => Self::Timestamp,
            (T::TimestampTz { .. }, T::TimestampTz { .. }) => Self::TimestampTz,
            (T::Json { normalised: x }, T::Json { normalised: y }) if (!x && !y) || (*x && *y && same_engine) => Self::JsonText,
            (T::Json { normalised: true }, T::Json { .. }) | (T::Json { .. }, T::Json { normalised: true }) => Self::JsonValue,
            (T::Json { .. }, T::Json { .. })
            | (T::Json { normalised: false }, T::Text { .. })
            | (T::Text { .. }, T::Json { normalised: false }) => Self::JsonText,
            (T::Json { normalised: true }, T::Text { .. }) | (T::Text { .. }, T::Json { normalised: true }) => Self::JsonValue,
            (T::Bytes { .. } | T::Geometry, T::Bytes { .. } | T::Geometry) => Self::Bytes,
            (x, y) if textual(x) && textual(y) => {
                if padded(x) || padded(y) {
                    Self::TextPadded
                } else {
                    Self::Text
                }
            }
            _ => Self::Own,
        }
    }
}

/// Appends the canonical bytes of `v`, self-delimiting: a tag, a length, the bytes.
///
/// A value that does not belong to the form (text in an integer column of SQLite, `infinity` among dates) is written
/// under a tag of its own, so that it equals nothing but itself.
pub fn write(out: &mut Vec<u8>, v: ValueRef<'_>, canon: Canon) {
    match (canon, v) {
        (_, ValueRef::Null) => out.push(b'0'),
        (Canon::Number, _) if number(out, v) => {}
        (Canon::DecimalScaled, ValueRef::Decimal(s)) => tagged(out, b'd', s.as_bytes()),
        (Canon::Text | Canon::TextPadded, ValueRef::Text(s) | ValueRef::Other { text: s, .. } | ValueRef::Json(s)) => {
            let s = if canon == Canon::TextPadded { s.trim_end_matches(' ') } else { s };
            tagged(out, b't', s.as_bytes());
        }
        (Canon::Uuid, ValueRef::Text(s)) => match civil::parse_uuid(s) {
            Some(u) => tagged(out, b'u', &u),
            None => own(out, v),
        },
        (Canon::Uuid, ValueRef::Bytes(b)) if b.len() == 16 => tagged(out, b'u', b),
        (Canon::Span, ValueRef::Time(micros)) => span(out, 0, 0, micros),
        (Canon::Span, ValueRef::Interval { months, days, micros }) => span(out, months, days, micros),
        (Canon::JsonText, ValueRef::Json(s) | ValueRef::Text(s)) => tagged(out, b'j', s.as_bytes()),
        (Canon::JsonValue, ValueRef::Json(s) | ValueRef::Text(s)) => match json::canonical(s) {
            Some(c) => tagged(out, b'J', c.as_bytes()),
            None => own(out, v),
        },
        _ => own(out, v),
    }
}

/// Row fingerprint: xxh3-128 over the canonical bytes of the given cells in order.
#[must_use]
pub fn fingerprint<'a>(cells: impl IntoIterator<Item = (ValueRef<'a>, Canon)>, scratch: &mut Vec<u8>) -> u128 {
    scratch.clear();
    for (v, canon) in cells {
        write(scratch, v, canon);
    }
    xxh3_128(scratch)
}

/// The fingerprint of a whole row, its columns compared in `canons`.
#[must_use]
pub fn row_fingerprint(row: RowRef<'_>, canons: &[Canon], scratch: &mut Vec<u8>) -> u128 {
    fingerprint(row.cells().zip(canons.iter().copied()), scratch)
}

/// Whether two values are equal in the given form. The only equality in the product.
#[must_use]
pub fn equal(a: ValueRef<'_>, b: ValueRef<'_>, canon: Canon) -> bool {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    write(&mut x, a, canon);
    write(&mut y, b, canon);
    x == y
}

fn tagged(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn number(out: &mut Vec<u8>, v: ValueRef<'_>) -> bool {
    let mut digits = |text: &str| tagged(out, b'n', text.as_bytes());
    match v {
        ValueRef::Bool(b) => digits(if b { "1" } else { "0" }),
        ValueRef::I64(n) => digits(&n.to_string()),
        ValueRef::U64(n) => digits(&n.to_string()),
        ValueRef::Decimal(s) => match decimal::normal(s) {
            Some(n) => digits(&n),
            None => return false,
        },
        // The shortest decimal that reads back as this double; `Display` of f64 has no exponent.
        ValueRef::F64(x) if x.is_finite() => {
            let text = x.to_string();
            match decimal::normal(&text) {
                Some(n) => digits(&n),
                None => return false,
            }
        }
        _ => return false,
    }
    true
}

fn span(out: &mut Vec<u8>, months: i32, days: i32, micros: i64) {
    let mut b = [0u8; 16];
    b[..4].copy_from_slice(&months.to_le_bytes());
    b[4..8].copy_from_slice(&days.to_le_bytes());
    b[8..].copy_from_slice(&micros.to_le_bytes());
    tagged(out, b's', &b);
}

fn own(out: &mut Vec<u8>, v: ValueRef<'_>) {
    match v {
        ValueRef::Null => out.push(b'0'),
        ValueRef::Bool(_) | ValueRef::I64(_) | ValueRef::U64(_) => {
            number(out, v);
        }
        ValueRef::Decimal(s) => match decimal::normal(s) {
            Some(n) => tagged(out, b'n', n.as_bytes()),
            None => tagged(out, b'x', s.as_bytes()),
        },
        ValueRef::F64(x) => {
            let bits = if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() };
            tagged(out, b'f', &bits.to_le_bytes());
        }
        ValueRef::Text(s) => tagged(out, b't', s.as_bytes()),
        ValueRef::Bytes(b) => tagged(out, b'b', b),
        ValueRef::Uuid(u) => tagged(out, b'u', &u),
        ValueRef::Date(d) => tagged(out, b'D', &d.to_le_bytes()),
        ValueRef::Time(t) => span(out, 0, 0, t),
        ValueRef::Timestamp(t) => tagged(out, b'T', &t.to_le_bytes()),
        ValueRef::TimestampTz(t) => tagged(out, b'Z', &t.to_le_bytes()),
        ValueRef::Interval { months, days, micros } => span(out, months, days, micros),
        ValueRef::Json(s) => tagged(out, b'j', s.as_bytes()),
        ValueRef::Other { text, .. } => tagged(out, b'o', text.as_bytes()),
        ValueRef::Large(n) => tagged(out, b'L', &n.to_le_bytes()),
    }
}
