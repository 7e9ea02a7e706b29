//! Cells → COPY BINARY of the destination's columns. A value that its column cannot hold exactly is refused here, by
//! name, before anything is sent (R21 a); nothing is rounded, cut or converted by the server.

use std::borrow::Cow;

use syncline_model::{Column, LogicalType, ValueRef, civil, decimal, json};

use crate::decode::{EPOCH_DAYS, EPOCH_MICROS};
use crate::native::{Wire, wire};
use crate::{numeric, scan, sql};

/// 4714-11-24 BC, the first day PostgreSQL knows, in days since 1970.
const FIRST_DAY: i32 = -2_440_588;
/// 5874897-12-31, the last.
const LAST_DAY: i32 = 2_145_042_905;
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
            LogicalType::Interval => interval_digits(&column.native),
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
        for b in text.bytes() {
            match b {
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                _ => out.push(b),
            }
        }
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

    fn boolean(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let b = match v {
            ValueRef::Bool(b) => b,
            ValueRef::I64(0) | ValueRef::U64(0) => false,
            ValueRef::I64(1) | ValueRef::U64(1) => true,
            ValueRef::I64(_) | ValueRef::U64(_) => return refuse("value_out_of_range", "only 0 and 1 are booleans"),
            _ => return self.mismatch(v),
        };
        out.push(u8::from(b));
        Ok(())
    }

    fn integer(&self, v: ValueRef<'_>, width: u8, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let n = match v {
            ValueRef::I64(n) => Some(n),
            ValueRef::U64(n) => i64::try_from(n).ok(),
            ValueRef::Bool(b) => Some(i64::from(b)),
            ValueRef::Decimal(s) => match decimal::normal(s) {
                Some(n) if n.contains('.') => return refuse("value_inexact", format!("a fraction does not fit {}", self.native)),
                Some(n) => n.parse().ok(),
                None => return self.mismatch(v),
            },
            ValueRef::F64(x) if x.is_finite() && x.fract() != 0.0 => {
                return refuse("value_inexact", format!("a fraction does not fit {}", self.native));
            }
            // Rust's text of a whole double has all its digits and no exponent.
            ValueRef::F64(x) if x.is_finite() => x.to_string().parse().ok(),
            _ => return self.mismatch(v),
        };
        let fits = match (n, width) {
            (Some(n), 2) => i16::try_from(n).map(|n| out.extend_from_slice(&n.to_be_bytes())).is_ok(),
            (Some(n), 4) => i32::try_from(n).map(|n| out.extend_from_slice(&n.to_be_bytes())).is_ok(),
            (Some(n), _) => {
                out.extend_from_slice(&n.to_be_bytes());
                true
            }
            (None, _) => false,
        };
        if fits { Ok(()) } else { refuse("value_out_of_range", format!("the number is outside {}", self.native)) }
    }

    fn float(&self, v: ValueRef<'_>, width: u8, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let inexact = || refuse("value_inexact", format!("{} would round the number", self.native));
        let x = match v {
            ValueRef::F64(x) => x,
            ValueRef::Bool(b) => f64::from(u8::from(b)),
            ValueRef::I64(_) | ValueRef::U64(_) | ValueRef::Decimal(_) => match exact_double(v) {
                Some(x) => x,
                None => return inexact(),
            },
            _ => return self.mismatch(v),
        };
        if width == 8 {
            out.extend_from_slice(&x.to_bits().to_be_bytes());
            return Ok(());
        }
        #[allow(clippy::cast_possible_truncation, reason = "the next line proves that nothing was lost")]
        let narrow = x as f32;
        if f64::from(narrow).to_bits() != x.to_bits() && !x.is_nan() {
            return inexact();
        }
        out.extend_from_slice(&narrow.to_bits().to_be_bytes());
        Ok(())
    }

    fn numeric(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let text: Cow<'_, str> = match v {
            ValueRef::Decimal(s) => Cow::Borrowed(s),
            ValueRef::I64(n) => Cow::Owned(n.to_string()),
            ValueRef::U64(n) => Cow::Owned(n.to_string()),
            ValueRef::Bool(b) => Cow::Borrowed(if b { "1" } else { "0" }),
            ValueRef::F64(x) if x.is_nan() => Cow::Borrowed("NaN"),
            ValueRef::F64(x) if x.is_infinite() => Cow::Borrowed(if x > 0.0 { "Infinity" } else { "-Infinity" }),
            ValueRef::F64(x) => Cow::Owned(x.to_string()),
            _ => return self.mismatch(v),
        };
        if let LogicalType::Decimal { limits: Some((precision, scale)) } = self.logical {
            if text.ends_with("Infinity") {
                return refuse("value_out_of_range", format!("{} has no infinity", self.native));
            }
            if &*text != "NaN" && !numeric::fits(&text, precision, scale) {
                let too_fine = decimal::parts(&text)
                    .is_some_and(|p| i64::try_from(p.fraction.trim_end_matches('0').len()).is_ok_and(|n| n > i64::from(scale.max(0))));
                let code = if too_fine { "value_inexact" } else { "value_out_of_range" };
                return refuse(code, format!("the number does not fit {}", self.native));
            }
        }
        match numeric::encode(&text, out) {
            Some(()) => Ok(()),
            None => refuse("value_out_of_range", format!("the number is beyond what {} can hold", self.native)),
        }
    }

    fn plain_text(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let uuid;
        let s = match v {
            ValueRef::Text(s) | ValueRef::Json(s) | ValueRef::Other { text: s, .. } => s,
            ValueRef::Uuid(u) => {
                uuid = civil::uuid_text(&u);
                &uuid
            }
            _ => return self.mismatch(v),
        };
        no_nul(s)?;
        let s = match &self.logical {
            LogicalType::Enum { labels } if !labels.iter().any(|l| l == s) => {
                return refuse("enum_label_unknown", format!("{} has no such label", self.native));
            }
            LogicalType::Text { fixed: true, .. } => s.trim_end_matches(' '),
            _ => s,
        };
        if let LogicalType::Text { chars_max: Some(max), .. } = self.logical {
            let max = max as usize;
            // A text of few enough bytes has few enough characters; `name` counts bytes.
            let long = s.len() > max && (self.native == "name" || s.chars().nth(max).is_some());
            if long {
                return refuse("value_too_long", format!("{} characters do not fit {}", s.chars().count(), self.native));
            }
        }
        out.extend_from_slice(s.as_bytes());
        Ok(())
    }

    fn json(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let (ValueRef::Json(s) | ValueRef::Text(s)) = v else { return self.mismatch(v) };
        no_nul(s)?;
        if !scan::is_plain(s) {
            self.json_facts(s)?;
        }
        if self.wire == Wire::Jsonb {
            out.push(1);
        }
        out.extend_from_slice(s.as_bytes());
        Ok(())
    }

    /// Judges a text that the quick look could not pass.
    fn json_facts(&self, s: &str) -> Result<(), Refusal> {
        let Some(facts) = json::facts(s) else { return refuse("invalid_json", "the text is no JSON") };
        if self.wire != Wire::Jsonb {
            return Ok(());
        }
        if facts.duplicate_keys {
            return refuse("json_duplicate_keys", "an object has a key twice; jsonb would keep only one");
        }
        if facts.nul_escape {
            return refuse("nul_in_text", "jsonb cannot hold \\u0000");
        }
        if facts.lone_surrogate {
            return refuse("invalid_json", "half a surrogate pair is no Unicode text");
        }
        Ok(())
    }

    fn bytes(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        match v {
            ValueRef::Bytes(b) => out.extend_from_slice(b),
            ValueRef::Uuid(u) => out.extend_from_slice(&u),
            _ => return self.mismatch(v),
        }
        Ok(())
    }

    fn bits(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let ValueRef::Text(s) = v else { return self.mismatch(v) };
        if s.bytes().any(|b| !matches!(b, b'0' | b'1')) {
            return refuse("type_mismatch", "the text is no bit string");
        }
        if let LogicalType::Bit { len: Some(len), varying } = self.logical {
            let len = len as usize;
            if s.len() > len || (!varying && s.len() != len) {
                return refuse("value_too_long", format!("{} bits do not fit {}", s.len(), self.native));
            }
        }
        let Ok(count) = i32::try_from(s.len()) else { return refuse("value_too_large", "the bit string is over 2^31 bits") };
        out.extend_from_slice(&count.to_be_bytes());
        for chunk in s.as_bytes().chunks(8) {
            let byte = chunk.iter().enumerate().fold(0u8, |n, (i, b)| n | (b - b'0') << (7 - i));
            out.push(byte);
        }
        Ok(())
    }

    fn uuid(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let uuid = match v {
            ValueRef::Uuid(u) => Some(u),
            ValueRef::Text(s) => civil::parse_uuid(s),
            ValueRef::Bytes(b) => b.try_into().ok(),
            _ => return self.mismatch(v),
        };
        match uuid {
            Some(u) => {
                out.extend_from_slice(&u);
                Ok(())
            }
            None => refuse("invalid_uuid", "the value is no uuid"),
        }
    }

    fn date(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let days = match v {
            ValueRef::Date(d) if (FIRST_DAY..=LAST_DAY).contains(&d) => d - EPOCH_DAYS,
            ValueRef::Date(_) => return refuse("value_out_of_range", "PostgreSQL has days from 4714 BC to 5874897"),
            ValueRef::Other { text: "infinity", .. } => i32::MAX,
            ValueRef::Other { text: "-infinity", .. } => i32::MIN,
            ValueRef::Other { .. } => return refuse("invalid_date", "there is no such day"),
            _ => return self.mismatch(v),
        };
        out.extend_from_slice(&days.to_be_bytes());
        Ok(())
    }

    fn time(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let micros = match v {
            ValueRef::Time(t) => t,
            ValueRef::Interval { months: 0, days: 0, micros } => micros,
            ValueRef::Interval { .. } => return refuse("value_out_of_range", "the span is no time of day"),
            _ => return self.mismatch(v),
        };
        if !(0..=civil::DAY).contains(&micros) {
            return refuse("value_out_of_range", "the span is no time of day");
        }
        self.fraction(micros)?;
        out.extend_from_slice(&micros.to_be_bytes());
        Ok(())
    }

    fn instant(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let micros = match (v, self.wire) {
            (ValueRef::Timestamp(t), Wire::Timestamp) | (ValueRef::TimestampTz(t), Wire::TimestampTz) => {
                t.checked_sub(EPOCH_MICROS).filter(|t| *t >= (i64::from(FIRST_DAY) - i64::from(EPOCH_DAYS)) * civil::DAY)
            }
            (ValueRef::Other { text: "infinity", .. }, _) => Some(i64::MAX),
            (ValueRef::Other { text: "-infinity", .. }, _) => Some(i64::MIN),
            (ValueRef::Other { text, .. }, _) => match far_instant(text) {
                Some(t) => Some(t),
                None => return refuse("invalid_date", "there is no such moment"),
            },
            _ => return self.mismatch(v),
        };
        let Some(micros) = micros else { return refuse("value_out_of_range", "PostgreSQL has moments from 4714 BC to 294276") };
        if !matches!(micros, i64::MIN | i64::MAX) {
            self.fraction(micros)?;
        }
        out.extend_from_slice(&micros.to_be_bytes());
        Ok(())
    }

    fn interval(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let (months, days, micros) = match v {
            ValueRef::Interval { months, days, micros } => (months, days, micros),
            ValueRef::Time(micros) => (0, 0, micros),
            _ => return self.mismatch(v),
        };
        if !fits_fields(&self.native, months, days, micros) {
            return refuse("value_inexact", format!("{} would cut parts of the interval", self.native));
        }
        self.fraction(micros)?;
        out.extend_from_slice(&micros.to_be_bytes());
        out.extend_from_slice(&days.to_be_bytes());
        out.extend_from_slice(&months.to_be_bytes());
        Ok(())
    }

    fn fraction(&self, micros: i64) -> Result<(), Refusal> {
        if micros % self.step == 0 {
            return Ok(());
        }
        refuse("value_inexact", format!("{} would round the fraction of a second", self.native))
    }
}

fn too_large<T>(bytes: u64) -> Result<T, Refusal> {
    refuse("value_too_large", format!("{bytes} bytes are more than this run may hold at once; raise `memory`"))
}

fn no_nul(s: &str) -> Result<(), Refusal> {
    if s.as_bytes().contains(&0) { refuse("nul_in_text", "PostgreSQL text cannot hold a NUL character") } else { Ok(()) }
}

/// The double whose shortest text is this number.
fn exact_double(v: ValueRef<'_>) -> Option<f64> {
    let text = match v {
        ValueRef::I64(n) => n.to_string(),
        ValueRef::U64(n) => n.to_string(),
        ValueRef::Decimal("NaN") => return Some(f64::NAN),
        ValueRef::Decimal("Infinity") => return Some(f64::INFINITY),
        ValueRef::Decimal("-Infinity") => return Some(f64::NEG_INFINITY),
        ValueRef::Decimal(s) => s.to_owned(),
        _ => return None,
    };
    let x: f64 = text.parse().ok()?;
    (decimal::normal(&x.to_string())? == decimal::normal(&text)?).then_some(x)
}

/// A timestamp beyond 64 bits of microseconds since 1970, in PostgreSQL's own count from 2000.
fn far_instant(text: &str) -> Option<i64> {
    let text = text.strip_suffix("+00").unwrap_or(text);
    let (date, time) = text.split_once(' ')?;
    let days = i64::from(civil::parse_date(date)?) - i64::from(EPOCH_DAYS);
    days.checked_mul(civil::DAY)?.checked_add(civil::parse_time(time)?).filter(|t| *t < i64::MAX)
}

/// Whether an interval type with fields (`interval year to month`) keeps all of the value: the server cuts without a word.
fn fits_fields(native: &str, months: i32, days: i32, micros: i64) -> bool {
    let multiple = |of_seconds: i64| micros % (of_seconds * civil::SECOND) == 0;
    match native.strip_prefix("interval ").unwrap_or("") {
        "year" => months % 12 == 0 && days == 0 && micros == 0,
        "month" | "year to month" => days == 0 && micros == 0,
        "day" => micros == 0,
        "hour" | "day to hour" => multiple(3600),
        "minute" | "day to minute" | "hour to minute" => multiple(60),
        _ => true,
    }
}

/// Fraction digits of `interval(3)`, `interval second(0)`.
fn interval_digits(native: &str) -> u8 {
    native.split_once('(').and_then(|(_, n)| n.trim_end_matches(')').parse().ok()).unwrap_or(6)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn target(logical: LogicalType) -> Target {
        let native = crate::native::spelling(&logical).unwrap_or_else(|| "mood".to_owned());
        Target::of(&Column::plain("c", logical, native))
    }

    fn code(logical: LogicalType, v: ValueRef<'_>) -> Option<&'static str> {
        target(logical).binary(v, &mut Vec::new()).err().map(|r| r.code)
    }

    // rule: R21
    // case: H7, H10
    #[test]
    fn what_a_column_cannot_hold_exactly_is_refused_by_name() {
        use LogicalType as T;
        let int = |bits| T::Int { bits, unsigned: false };
        let text = |n| T::Text { chars_max: n, fixed: false };
        for (logical, value, want) in [
            (int(16), ValueRef::I64(40_000), Some("value_out_of_range")),
            (int(32), ValueRef::U64(u64::MAX), Some("value_out_of_range")),
            (int(32), ValueRef::Decimal("1.5"), Some("value_inexact")),
            (int(32), ValueRef::Decimal("15.0"), None),
            (int(64), ValueRef::Text("15"), Some("type_mismatch")),
            (T::Float { bits: 32 }, ValueRef::F64(0.1), Some("value_inexact")),
            (T::Float { bits: 32 }, ValueRef::F64(16_777_216.0), None),
            (T::Float { bits: 64 }, ValueRef::I64((1 << 53) + 1), Some("value_inexact")),
            (T::Decimal { limits: Some((10, 2)) }, ValueRef::Decimal("1.239"), Some("value_inexact")),
            (T::Decimal { limits: Some((10, 2)) }, ValueRef::Decimal("100000000"), Some("value_out_of_range")),
            (text(Some(3)), ValueRef::Text("abcd"), Some("value_too_long")),
            (text(Some(3)), ValueRef::Text("äöü"), None),
            (text(None), ValueRef::Text("a\0b"), Some("nul_in_text")),
            (T::Json { normalised: true }, ValueRef::Json("{\"a\":1,\"a\":2}"), Some("json_duplicate_keys")),
            (T::Json { normalised: false }, ValueRef::Json("{\"a\":1,\"a\":2}"), None),
            (T::Json { normalised: true }, ValueRef::Json("\"\\u0000\""), Some("nul_in_text")),
            (T::Json { normalised: true }, ValueRef::Text("{a}"), Some("invalid_json")),
            (T::Uuid, ValueRef::Text("no"), Some("invalid_uuid")),
            (T::Date, ValueRef::Other { type_name: "date", text: "0000-00-00" }, Some("invalid_date")),
            (T::Date, ValueRef::Other { type_name: "date", text: "infinity" }, None),
            (T::Time { digits: 3 }, ValueRef::Time(1), Some("value_inexact")),
            (T::Time { digits: 6 }, ValueRef::Interval { months: 0, days: 0, micros: -1 }, Some("value_out_of_range")),
            (T::Timestamp { digits: 0 }, ValueRef::Timestamp(500_000), Some("value_inexact")),
            (T::Timestamp { digits: 6 }, ValueRef::TimestampTz(0), Some("type_mismatch")),
            (T::Bit { len: Some(4), varying: false }, ValueRef::Text("01"), Some("value_too_long")),
            (T::Enum { labels: vec!["sad".into()] }, ValueRef::Text("Sad"), Some("enum_label_unknown")),
            (T::Bytes { bytes_max: None, fixed: false }, ValueRef::Large(1 << 30), Some("value_too_large")),
        ] {
            assert_eq!(code(logical.clone(), value), want, "{logical:?} ← {value:?}");
        }
    }

    #[test]
    fn an_interval_with_fields_refuses_what_it_would_cut() {
        let code = |native: &str, days, micros| {
            let target = Target::of(&Column::plain("c", LogicalType::Interval, native));
            target.binary(ValueRef::Interval { months: 1, days, micros }, &mut Vec::new()).err().map(|r| r.code)
        };
        assert_eq!(code("interval year to month", 0, 0), None);
        assert_eq!(code("interval year to month", 1, 0), Some("value_inexact"));
        assert_eq!(code("interval day to minute", 1, 61_000_000), Some("value_inexact"));
        assert_eq!(code("interval second(0)", 1, 1_500_000), Some("value_inexact"));
        assert_eq!(code("interval", 1, 1), None);
    }

    #[test]
    fn text_form_escapes_what_the_line_format_uses() {
        let mut out = Vec::new();
        let t = Target::of(&Column::plain("c", LogicalType::Other { name: "text[]".into() }, "text[]"));
        t.text(ValueRef::Other { type_name: "text[]", text: "{\"a\\\\b\tc\n\"}" }, &mut Default::default(), &mut out).unwrap();
        assert_eq!(out, b"{\"a\\\\\\\\b\\tc\\n\"}");
    }
}
