//! Rows of the binary protocol as cells of a batch.

use mysql_async::{Row, Value as Wire};
use syncline_model::{Column, LogicalType, RowBatch, ValueRef, civil as text};

use crate::civil;

/// How the cells of one result column are read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Numbers, which the protocol carries as what they are.
    Number,
    Decimal,
    Text,
    Bytes,
    Bit(usize),
    Uuid,
    Json,
    Date,
    /// DATETIME, with its fraction digits for the text of zero dates.
    Timestamp(u8),
    /// TIMESTAMP under the pinned zone UTC.
    Instant(u8),
    Time,
    Other(String),
}

/// Decodes the rows of one query.
#[derive(Clone, Debug)]
pub(crate) struct Decoder {
    /// Per cell of the batch: how it is read, and whether its length follows it (the guard against large values, R25).
    cells: Vec<(Kind, bool)>,
}

impl Decoder {
    /// For the columns of a select list; `guarded` columns are followed by their length in bytes.
    pub(crate) fn new<'c>(columns: impl IntoIterator<Item = (&'c Column, bool)>) -> Self {
        Self { cells: columns.into_iter().map(|(c, guarded)| (kind(&c.logical), guarded)).collect() }
    }

    /// For columns that the server rendered as text (`bytes` stay bytes).
    pub(crate) fn rendered(bytes_and_guards: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let kind = |(bytes, guarded)| (if bytes { Kind::Bytes } else { Kind::Text }, guarded);
        Self { cells: bytes_and_guards.into_iter().map(kind).collect() }
    }

    /// Cells per row.
    pub(crate) fn width(&self) -> usize {
        self.cells.len()
    }

    /// Appends a row to the batch.
    pub(crate) fn push(&self, batch: &mut RowBatch, row: &Row) {
        let mut at = 0;
        for (kind, guarded) in &self.cells {
            let wire = row.as_ref(at).unwrap_or(&Wire::NULL);
            at += 1;
            if !guarded {
                push_cell(batch, kind, wire);
                continue;
            }
            let length = row.as_ref(at).unwrap_or(&Wire::NULL);
            at += 1;
            match (wire, length) {
                (Wire::NULL, Wire::Int(n)) => batch.push(ValueRef::Large(n.unsigned_abs())),
                (Wire::NULL, Wire::UInt(n)) => batch.push(ValueRef::Large(*n)),
                (wire, _) => push_cell(batch, kind, wire),
            }
        }
    }
}

fn kind(logical: &LogicalType) -> Kind {
    use LogicalType as T;
    match logical {
        T::Bool | T::Int { .. } | T::Year | T::Float { .. } => Kind::Number,
        T::Decimal { .. } => Kind::Decimal,
        T::Text { .. } | T::Enum { .. } | T::Set { .. } | T::Any => Kind::Text,
        T::Bytes { .. } | T::Geometry => Kind::Bytes,
        T::Bit { len, .. } => Kind::Bit(len.unwrap_or(64) as usize),
        T::Uuid => Kind::Uuid,
        T::Date => Kind::Date,
        T::Time { .. } | T::TimeSpan { .. } | T::Interval => Kind::Time,
        T::Timestamp { digits } => Kind::Timestamp(*digits),
        T::TimestampTz { digits } => Kind::Instant(*digits),
        T::Json { .. } => Kind::Json,
        T::Other { name } => Kind::Other(name.clone()),
    }
}

fn push_cell(batch: &mut RowBatch, kind: &Kind, wire: &Wire) {
    match wire {
        Wire::NULL => batch.push(ValueRef::Null),
        Wire::Int(n) => batch.push(ValueRef::I64(*n)),
        Wire::UInt(n) => batch.push(ValueRef::U64(*n)),
        Wire::Float(x) => batch.push(ValueRef::F64(f64::from(*x))),
        Wire::Double(x) => batch.push(ValueRef::F64(*x)),
        Wire::Bytes(b) => push_bytes(batch, kind, b),
        Wire::Date(y, m, d, h, mi, s, us) => {
            let day = civil::day(*y, *m, *d);
            let date = || format!("{y:04}-{m:02}-{d:02}");
            let at = |days: i32| i64::from(days) * text::DAY + civil::clock(*h, *mi, *s, *us);
            let moment = |digits| format!("{} {h:02}:{mi:02}:{s:02}{}", date(), fraction(*us, digits));
            match (kind, day) {
                (Kind::Timestamp(_), Some(days)) => batch.push(ValueRef::Timestamp(at(days))),
                (Kind::Instant(_), Some(days)) => batch.push(ValueRef::TimestampTz(at(days))),
                (_, Some(days)) => batch.push(ValueRef::Date(days)),
                (Kind::Timestamp(n), None) => batch.push(ValueRef::Other { type_name: "datetime", text: &moment(*n) }),
                (Kind::Instant(n), None) => batch.push(ValueRef::Other { type_name: "timestamp", text: &moment(*n) }),
                (_, None) => batch.push(ValueRef::Other { type_name: "date", text: &date() }),
            }
        }
        Wire::Time(negative, days, h, mi, s, us) => batch.push(civil::span(*negative, *days, civil::clock(*h, *mi, *s, *us))),
    }
}

fn push_bytes(batch: &mut RowBatch, kind: &Kind, bytes: &[u8]) {
    let bit;
    let cell = match (kind, std::str::from_utf8(bytes)) {
        (Kind::Bit(len), _) => {
            bit = bits(bytes, *len);
            ValueRef::Text(&bit)
        }
        (Kind::Bytes, _) => ValueRef::Bytes(bytes),
        // The server transcodes text to UTF-8; bytes that are none must not be changed on the way.
        (_, Err(_)) => ValueRef::Bytes(bytes),
        (Kind::Decimal, Ok(s)) => ValueRef::Decimal(unpadded(s)),
        (Kind::Json, Ok(s)) => ValueRef::Json(s),
        (Kind::Uuid, Ok(s)) => text::parse_uuid(s).map_or(ValueRef::Text(s), ValueRef::Uuid),
        (Kind::Other(name), Ok(s)) => ValueRef::Other { type_name: name, text: s },
        (Kind::Number | Kind::Text | Kind::Date | Kind::Timestamp(_) | Kind::Instant(_) | Kind::Time, Ok(s)) => ValueRef::Text(s),
    };
    batch.push(cell);
}

/// Big-endian bytes as `len` digits.
fn bits(bytes: &[u8], len: usize) -> String {
    let all: String = bytes.iter().map(|b| format!("{b:08b}")).collect();
    let all = format!("{all:0>len$}");
    all[all.len() - len..].to_owned()
}

/// ZEROFILL writes leading zeros that are no part of the value.
fn unpadded(decimal: &str) -> &str {
    let cut = decimal.trim_start_matches('0');
    let kept = decimal.len() - cut.len();
    if kept > 0 && !cut.starts_with(|c: char| c.is_ascii_digit()) { &decimal[kept - 1..] } else { cut }
}

fn fraction(micros: u32, digits: u8) -> String {
    let digits = usize::from(digits.min(6));
    if digits == 0 { String::new() } else { format!(".{}", &format!("{micros:06}")[..digits]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(kind: &Kind, wire: Wire) -> syncline_model::Value {
        let mut batch = RowBatch::new(1);
        push_cell(&mut batch, kind, &wire);
        batch.row(0).get(0).to_owned()
    }

    // case: H1
    #[test]
    fn zero_dates_travel_as_their_own_text_and_real_ones_as_days() {
        use syncline_model::Value as V;
        assert_eq!(cell(&Kind::Date, Wire::Date(1970, 1, 2, 0, 0, 0, 0)), V::Date(1));
        let other = |t: &str, s: &str| V::Other { type_name: t.to_owned(), text: s.to_owned() };
        assert_eq!(cell(&Kind::Date, Wire::Date(2024, 0, 10, 0, 0, 0, 0)), other("date", "2024-00-10"));
        assert_eq!(cell(&Kind::Timestamp(3), Wire::Date(0, 0, 0, 0, 0, 0, 0)), other("datetime", "0000-00-00 00:00:00.000"));
        assert_eq!(cell(&Kind::Instant(0), Wire::Date(0, 0, 0, 0, 0, 0, 0)), other("timestamp", "0000-00-00 00:00:00"));
    }

    // case: H4
    #[test]
    fn times_outside_a_day_are_intervals() {
        use syncline_model::Value as V;
        assert_eq!(cell(&Kind::Time, Wire::Time(false, 0, 23, 59, 59, 5)), V::Time(86_399_000_005));
        let micros = -(34 * text::DAY + (22 * 3600 + 59 * 60 + 59) * text::SECOND);
        assert_eq!(cell(&Kind::Time, Wire::Time(true, 34, 22, 59, 59, 0)), V::Interval { months: 0, days: 0, micros });
    }

    #[test]
    fn bits_have_their_full_length_and_zerofill_is_no_value() {
        assert_eq!(bits(&[0b101], 3), "101");
        assert_eq!(bits(&[1, 0], 10), "0100000000");
        for (padded, want) in [("007.50", "7.50"), ("000", "0"), ("0.5", "0.5"), ("00.5", "0.5"), ("-1.5", "-1.5"), ("12", "12")] {
            assert_eq!(unpadded(padded), want);
        }
    }
}
