//! Cells → COPY BINARY of the destination's columns. A value that its column cannot hold exactly is refused here, by
//! name, before anything is sent (R21 a); nothing is rounded, cut or converted by the server.

mod number;
#[cfg(test)]
mod tests;
mod text;
mod time;

use syncline_model::{Column, LogicalType, ValueRef, civil};

use crate::native::{Wire, wire};
use crate::sql;

/// Largest field that a COPY takes; the server's own limit for one value is the same.
const FIELD_MAX: usize = 1 << 30;

/// Why a cell was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable code.
    pub code: &'static str,
    /// A sentence without the value.
    pub detail: String,
}

fn refuse<T>(code: &'static str, detail: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { code, detail: detail.into() })
}

/// A destination column, as the encoder needs it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name.
    pub name: String,
    native: String,
    logical: LogicalType,
    wire: Wire,
    /// 10^(6 − fraction digits): microseconds that are no multiple would be rounded.
    step: i64,
}

impl Target {
    /// The target for a column.
    #[must_use]
    pub fn of(column: &Column) -> Self {
        let digits = match &column.logical {
            LogicalType::Time { digits } | LogicalType::Timestamp { digits } | LogicalType::TimestampTz { digits } => *digits,
            LogicalType::Interval => time::interval_digits(&column.native),
            _ => 6,
        };
        Self {
            name: column.name.clone(),
            native: column.native.clone(),
            logical: column.logical.clone(),
            wire: wire(column),
            step: 10i64.pow(6 - u32::from(digits.min(6))),
        }
    }

    /// Whether the column has no binary form of ours.
    #[must_use]
    pub fn as_text(&self) -> bool {
        self.wire == Wire::AsText
    }

    /// Whether the column holds plain bytes.
    #[must_use]
    pub fn is_bytes(&self) -> bool {
        self.wire == Wire::Bytes
    }

    /// The most characters that the column holds; `None` without a limit or for other types.
    #[must_use]
    pub fn chars_max(&self) -> Option<u32> {
        match self.logical {
            LogicalType::Text { chars_max, .. } => chars_max,
            _ => None,
        }
    }

    /// Whether the column's binary form is the value's own bytes, so that they may come in slices.
    #[must_use]
    pub fn takes_slices(&self) -> bool {
        self.is_bytes() || (self.wire == Wire::Text && matches!(self.logical, LogicalType::Text { .. }))
    }

    /// Appends one field in COPY BINARY form: length and bytes.
    ///
    /// # Errors
    /// The refusal; `out` may then hold part of the field.
    pub fn binary(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if v.is_null() {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            return Ok(());
        }
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        self.body(v, out)?;
        let len = out.len() - start - 4;
        if len > FIELD_MAX {
            return refuse("value_too_large", "the value is over 1 GiB");
        }
        let len = i32::try_from(len).expect("invariant: checked above");
        out[start..start + 4].copy_from_slice(&len.to_be_bytes());
        Ok(())
    }

    /// Appends one field in COPY TEXT form, refused by the same rules; what only the server can judge it will judge.
    ///
    /// # Errors
    /// The refusal; `out` is as before.
    pub fn text(&self, v: ValueRef<'_>, scratch: &mut (Vec<u8>, String), out: &mut Vec<u8>) -> Result<(), Refusal> {
        if v.is_null() {
            out.extend_from_slice(b"\\N");
            return Ok(());
        }
        let (bytes, text) = scratch;
        text.clear();
        if self.as_text() {
            if let ValueRef::Large(n) = v {
                return too_large(n);
            }
            sql::write_text(text, v);
            no_nul(text)?;
        } else {
            bytes.clear();
            self.body(v, bytes)?;
            self.text_of_body(v, bytes, text);
        }
        escape(text.as_bytes(), out);
        Ok(())
    }

    /// Text of a value that was accepted: of the value itself, or of its bytes where the column turned it into another family.
    fn text_of_body(&self, v: ValueRef<'_>, body: &[u8], text: &mut String) {
        match (self.wire, v) {
            (Wire::Bool, _) => text.push_str(if body == [1] { "t" } else { "f" }),
            (Wire::Int(_) | Wire::Numeric, ValueRef::Bool(b)) => text.push(if b { '1' } else { '0' }),
            (Wire::Uuid, _) => text.push_str(&civil::uuid_text(body.try_into().expect("invariant: a uuid has 16 bytes"))),
            (Wire::Bytes, _) => sql::write_text(text, ValueRef::Bytes(body)),
            (Wire::Time, ValueRef::Interval { micros, .. }) => sql::write_text(text, ValueRef::Time(micros)),
            _ => sql::write_text(text, v),
        }
    }

    fn body(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if let ValueRef::Large(n) = v {
            return too_large(n);
        }
        match self.wire {
            Wire::Bool => self.boolean(v, out),
            Wire::Int(width) => self.integer(v, width, out),
            Wire::Float(width) => self.float(v, width, out),
            Wire::Numeric => self.numeric(v, out),
            Wire::Text => self.plain_text(v, out),
            Wire::Json | Wire::Jsonb => self.json(v, out),
            Wire::Bytes => self.bytes(v, out),
            Wire::Bit => self.bits(v, out),
            Wire::Uuid => self.uuid(v, out),
            Wire::Date => self.date(v, out),
            Wire::Time => self.time(v, out),
            Wire::Timestamp | Wire::TimestampTz => self.instant(v, out),
            Wire::Interval => self.interval(v, out),
            Wire::AsText => refuse("type_mismatch", format!("{} has no binary form", self.native)),
        }
    }

    fn mismatch<T>(&self, v: ValueRef<'_>) -> Result<T, Refusal> {
        refuse("type_mismatch", format!("{} cannot become {}", family(v), self.native))
    }
}

/// Text as a line of COPY TEXT has it.
pub fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &b in text {
        match b {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.push(b),
        }
    }
}

fn too_large<T>(bytes: u64) -> Result<T, Refusal> {
    refuse("value_too_large", format!("{bytes} bytes are more than this run may hold at once; raise `memory`"))
}

fn no_nul(s: &str) -> Result<(), Refusal> {
    if s.as_bytes().contains(&0) { refuse("nul_in_text", "PostgreSQL text cannot hold a NUL character") } else { Ok(()) }
}

fn family(v: ValueRef<'_>) -> &'static str {
    match v {
        ValueRef::Null => "NULL",
        ValueRef::Bool(_) => "a boolean",
        ValueRef::I64(_) | ValueRef::U64(_) => "a whole number",
        ValueRef::F64(_) => "a floating point number",
        ValueRef::Decimal(_) => "a decimal",
        ValueRef::Text(_) => "text",
        ValueRef::Bytes(_) => "bytes",
        ValueRef::Uuid(_) => "a uuid",
        ValueRef::Date(_) => "a date",
        ValueRef::Time(_) => "a time of day",
        ValueRef::Timestamp(_) => "a timestamp without zone",
        ValueRef::TimestampTz(_) => "an instant",
        ValueRef::Interval { .. } => "an interval",
        ValueRef::Json(_) => "JSON",
        ValueRef::Other { .. } => "a value of another system's own type",
        ValueRef::Large(_) => "a large value",
    }
}
