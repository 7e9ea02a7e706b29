//! Which values a column takes exactly, written as literals; everything else is refused cell by cell (R21 a).

mod numbers;
mod times;

use syncline_connector::Reject;
use syncline_model::{Column, LogicalType, RowRef, ValueRef, civil, json};

use crate::literal::{push_bytes, push_display, push_text};
use crate::native::Native;

/// Why a column does not take a value: a stable code and a sentence without the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) detail: String,
}

pub(crate) fn refuse<T>(code: &'static str, detail: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { code, detail: detail.into() })
}

/// Writes rows for the columns of one table.
pub(crate) struct Encoder {
    targets: Vec<Target>,
    /// Statements beyond this many bytes are refused by the server.
    packet_max: usize,
}

struct Target {
    column: Column,
    native: Native,
}

/// What a statement needs besides the largest row: INSERT, names, packet header.
const STATEMENT_MARGIN: usize = 64 << 10;

impl Encoder {
    pub(crate) fn new(columns: &[Column], packet_max: usize) -> Self {
        let target = |c: &Column| Target { column: c.clone(), native: Native::parse(&c.native) };
        Self { targets: columns.iter().map(target).collect(), packet_max }
    }

    /// Most bytes of rows that one statement carries: its limit is the server's, its size for speed is ours.
    pub(crate) fn row_bytes_max(&self) -> usize {
        self.packet_max.saturating_sub(STATEMENT_MARGIN)
    }

    /// Appends `(v, v, …` without the closing parenthesis; leaves `out` as it was when a cell is refused.
    pub(crate) fn row(&self, out: &mut Vec<u8>, row: RowRef<'_>) -> Result<(), Box<Reject>> {
        let start = out.len();
        out.push(b'(');
        let mut widest = (0, 0);
        for (i, (target, v)) in self.targets.iter().zip(row.cells()).enumerate() {
            if i > 0 {
                out.push(b',');
            }
            let before = out.len();
            if let Err(refusal) = target.write(out, v) {
                out.truncate(start);
                return Err(Box::new(self.reject(row, i, refusal)));
            }
            widest = widest.max((out.len() - before, i));
        }
        if out.len() - start > self.row_bytes_max() {
            out.truncate(start);
            let detail = format!("the row is larger than the server's max_allowed_packet of {} bytes", self.packet_max);
            return Err(Box::new(self.reject(row, widest.1, Refusal { code: "value_too_large", detail })));
        }
        Ok(())
    }

    fn reject(&self, row: RowRef<'_>, column: usize, refusal: Refusal) -> Reject {
        let name = &self.targets[column].column.name;
        let detail = format!("column `{name}`: {}", refusal.detail);
        Reject { row: row.to_values(), column: Some(name.clone()), code: refusal.code, detail, words: None }
    }
}

impl Target {
    fn write(&self, out: &mut Vec<u8>, v: ValueRef<'_>) -> Result<(), Refusal> {
        use LogicalType as T;
        match (&self.column.logical, v) {
            (_, ValueRef::Null) => out.extend_from_slice(b"NULL"),
            (_, ValueRef::Large(n)) => {
                return refuse("value_too_large", format!("a value of {n} bytes is over the limit of this connection"));
            }
            (T::Bool, v) => numbers::integer(out, v, 8, false)?,
            (T::Int { bits, unsigned }, v) => numbers::integer(out, v, *bits, *unsigned)?,
            (T::Year, v) => numbers::year(out, v)?,
            (T::Float { bits }, v) => numbers::float(out, v, *bits)?,
            (T::Decimal { limits }, v) => numbers::decimal(out, v, *limits, self.native.unsigned)?,
            (T::Text { .. } | T::Any | T::Other { .. }, v) => self.text(out, v)?,
            (T::Bytes { bytes_max, fixed }, v) => bytes(out, v, *bytes_max, *fixed)?,
            (T::Geometry, ValueRef::Bytes(b)) => push_bytes(out, b),
            (T::Bit { len, .. }, v) => bit(out, v, len.unwrap_or(64))?,
            (T::Uuid, v) => uuid(out, v)?,
            (T::Date, v) => times::date(out, v)?,
            (T::Time { digits } | T::TimeSpan { digits }, v) => times::span(out, v, *digits)?,
            (T::Timestamp { digits }, v) => times::timestamp(out, v, *digits)?,
            (T::TimestampTz { digits }, v) => times::instant(out, v, *digits)?,
            (T::Json { normalised }, v) => json_text(out, v, *normalised)?,
            (T::Enum { labels }, ValueRef::Text(s)) => label(out, s, labels)?,
            (T::Set { labels }, ValueRef::Text(s)) => members(out, s, labels)?,
            (T::Enum { .. } | T::Set { .. } | T::Geometry | T::Interval, v) => return mismatch(v),
        }
        Ok(())
    }

    fn text(&self, out: &mut Vec<u8>, v: ValueRef<'_>) -> Result<(), Refusal> {
        let uuid;
        let s = match v {
            ValueRef::Text(s) | ValueRef::Json(s) | ValueRef::Other { text: s, .. } => s,
            ValueRef::Uuid(u) => {
                uuid = civil::uuid_text(&u);
                &uuid
            }
            v => return mismatch(v),
        };
        let charset = self.native.charset.as_deref().unwrap_or("utf8mb4");
        if !charset_holds(charset, s) {
            return refuse("charset_unrepresentable", format!("a character has no place in the character set {charset}"));
        }
        if let Some(max) = self.native.chars_max()
            && s.len() > max as usize
            && s.chars().count() > max as usize
        {
            return refuse("value_too_long", format!("a text of {} characters is over the limit of {max}", s.chars().count()));
        }
        if let Some(max) = self.native.bytes_max() {
            let len = if matches!(charset, "latin1" | "ascii") { s.chars().count() } else { s.len() };
            if len as u64 > max {
                return refuse("value_too_long", format!("a text of {len} bytes is over the limit of {max}"));
            }
        }
        push_text(out, s);
        Ok(())
    }
}

/// A value of a kind that the column's type has no form for.
pub(crate) fn mismatch<T>(v: ValueRef<'_>) -> Result<T, Refusal> {
    let kind = match v {
        ValueRef::Null => "NULL",
        ValueRef::Bool(_) => "a boolean",
        ValueRef::I64(_) | ValueRef::U64(_) => "an integer",
        ValueRef::F64(_) => "a double",
        ValueRef::Decimal(_) => "a decimal",
        ValueRef::Text(_) => "a text",
        ValueRef::Bytes(_) => "bytes",
        ValueRef::Uuid(_) => "a uuid",
        ValueRef::Date(_) => "a date",
        ValueRef::Time(_) => "a time",
        ValueRef::Timestamp(_) => "a timestamp",
        ValueRef::TimestampTz(_) => "an instant",
        ValueRef::Interval { .. } => "an interval",
        ValueRef::Json(_) => "a JSON document",
        ValueRef::Other { .. } => "a value of a foreign type",
        ValueRef::Large(_) => "a large value",
    };
    refuse("type_mismatch", format!("{kind} does not fit the column's type"))
}

/// MySQL's latin1 is cp1252 with its five holes filled by the control characters of the same number.
const CP1252: &str = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ\u{81}\u{8d}\u{8f}\u{90}\u{9d}";

/// Whether a character set holds a text. Sets that we do not know are left to the server, which is strict.
fn charset_holds(charset: &str, s: &str) -> bool {
    match charset {
        "utf8" | "utf8mb3" | "ucs2" => s.chars().all(|c| u32::from(c) <= 0xFFFF),
        "latin1" => s.is_ascii() || s.chars().all(|c| c.is_ascii() || ('\u{a0}'..='\u{ff}').contains(&c) || CP1252.contains(c)),
        "ascii" => s.is_ascii(),
        _ => true,
    }
}

fn bytes(out: &mut Vec<u8>, v: ValueRef<'_>, max: Option<u64>, fixed: bool) -> Result<(), Refusal> {
    let uuid;
    let b = match v {
        ValueRef::Bytes(b) => b,
        ValueRef::Uuid(u) => {
            uuid = u;
            &uuid[..]
        }
        v => return mismatch(v),
    };
    let (len, limit) = (b.len() as u64, max.unwrap_or(u64::MAX));
    if len > limit {
        return refuse("value_too_long", format!("{len} bytes are over the limit of {limit}"));
    }
    if fixed && len < limit {
        return refuse("value_inexact", format!("{len} bytes would be padded with zeros to {limit}"));
    }
    push_bytes(out, b);
    Ok(())
}

fn bit(out: &mut Vec<u8>, v: ValueRef<'_>, len: u32) -> Result<(), Refusal> {
    let ValueRef::Text(s) = v else { return mismatch(v) };
    if s.is_empty() || !s.bytes().all(|b| matches!(b, b'0' | b'1')) {
        return mismatch(v);
    }
    if s.len() != len as usize {
        return refuse("value_inexact", format!("{} bits into a column of {len}", s.len()));
    }
    push_display(out, format_args!("b'{s}'"));
    Ok(())
}

fn uuid(out: &mut Vec<u8>, v: ValueRef<'_>) -> Result<(), Refusal> {
    let parsed = match v {
        ValueRef::Uuid(u) => Some(u),
        ValueRef::Text(s) => civil::parse_uuid(s),
        ValueRef::Bytes(b) => b.try_into().ok(),
        _ => None,
    };
    let Some(u) = parsed else { return mismatch(v) };
    // MariaDB keeps some UUIDs with their parts swapped, tells the two orders apart by these two bytes, and takes none that would be
    // taken for the other one (measured on 10.11.19: all pairs of the two bytes). Of the standard versions only 8 is ever among them.
    if u[6] >= 0x80 && (0x01..=0x80).contains(&u[8]) {
        return refuse("value_out_of_range", "MariaDB's type `uuid` takes no UUID of this version and variant");
    }
    push_display(out, format_args!("'{}'", civil::uuid_text(&u)));
    Ok(())
}

fn json_text(out: &mut Vec<u8>, v: ValueRef<'_>, normalised: bool) -> Result<(), Refusal> {
    let (s, known) = match v {
        ValueRef::Json(s) => (s, true),
        ValueRef::Text(s) => (s, false),
        v => return mismatch(v),
    };
    if normalised || !known {
        let Some(facts) = json::facts(s) else { return refuse("invalid_json", "the text is not JSON") };
        if normalised && (facts.duplicate_keys || facts.beyond_double || facts.lone_surrogate) {
            return refuse(
                "value_inexact",
                "the server would rewrite this JSON: a key twice, a number no double holds, or half a character",
            );
        }
    }
    push_text(out, s);
    Ok(())
}

fn label(out: &mut Vec<u8>, s: &str, labels: &[String]) -> Result<(), Refusal> {
    if !labels.iter().any(|l| l == s) {
        return refuse("enum_label_unknown", "the column has no such label");
    }
    push_text(out, s);
    Ok(())
}

fn members(out: &mut Vec<u8>, s: &str, labels: &[String]) -> Result<(), Refusal> {
    let mut last = None;
    for member in s.split(',').filter(|_| !s.is_empty()) {
        let Some(at) = labels.iter().position(|l| l == member) else {
            return refuse("enum_label_unknown", "the column has no such member");
        };
        if last.is_some_and(|l| l >= at) {
            return refuse("value_inexact", "the server would write the members in another order");
        }
        last = Some(at);
    }
    push_text(out, s);
    Ok(())
}

#[cfg(test)]
mod tests;
