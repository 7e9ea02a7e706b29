//! The row text of `docs/specs/digest.md`, byte for byte as the SQL of the other systems writes it.

use md5::{Digest, Md5};
use syncline_model::{Canon, ValueRef, canonical, civil, decimal};

/// First day of year 1 and last day of year 9999: all systems count days exactly between them.
const ORDINARY_DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;

/// Appends the field of one cell: `~`, or length and text.
pub(crate) fn field(out: &mut Vec<u8>, v: ValueRef<'_>, canon: Canon, hashed: bool, scratch: &mut Vec<u8>) {
    if v.is_null() {
        out.push(b'~');
        return;
    }
    scratch.clear();
    let hashed = hashed || matches!(canon, Canon::Bytes | Canon::JsonText);
    // What enters as it is and may be long is hashed where it lies.
    let whole = whole(v, canon).filter(|_| hashed);
    if whole.is_none() {
        text(scratch, v, canon);
    }
    if hashed {
        let sum = Md5::digest(whole.unwrap_or(scratch));
        scratch.clear();
        hex(scratch, &sum);
    }
    out.extend_from_slice(scratch.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(scratch);
}

/// The row hash: the first 16 hex digits of the MD5 of the row text, as a number.
pub(crate) fn hash(row_text: &[u8]) -> u64 {
    let sum = Md5::digest(row_text);
    u64::from_be_bytes(sum[..8].try_into().expect("invariant: an MD5 has 16 bytes"))
}

/// The bucket of a key: its first `digits` hex digits.
pub(crate) fn bucket(key_text: &[u8], digits: u8) -> i64 {
    let first = hash(key_text) >> (64 - 4 * u32::from(digits.clamp(1, 4)));
    i64::try_from(first).expect("invariant: at most 16 bits")
}

/// The bytes of a value whose text is those bytes.
fn whole(v: ValueRef<'_>, canon: Canon) -> Option<&[u8]> {
    match (canon, v) {
        (Canon::Text | Canon::JsonText, ValueRef::Text(s) | ValueRef::Other { text: s, .. } | ValueRef::Json(s)) => Some(s.as_bytes()),
        (Canon::Bytes, ValueRef::Bytes(b)) => Some(b),
        _ => None,
    }
}

fn text(out: &mut Vec<u8>, v: ValueRef<'_>, canon: Canon) {
    if let Some(bytes) = whole(v, canon) {
        out.extend_from_slice(bytes);
        return;
    }
    match (canon, v) {
        (Canon::Number, _) if number(out, v) => {}
        (Canon::Float, ValueRef::F64(x)) => out.extend_from_slice(float(x).as_bytes()),
        (Canon::TextPadded, ValueRef::Text(s) | ValueRef::Other { text: s, .. }) => {
            out.extend_from_slice(s.trim_end_matches(' ').as_bytes())
        }
        (Canon::Uuid, ValueRef::Uuid(u)) => hex(out, &u),
        (Canon::Uuid, ValueRef::Bytes(b)) if b.len() == 16 => hex(out, b),
        (Canon::Uuid, ValueRef::Text(s)) => match civil::parse_uuid(s) {
            Some(u) => hex(out, &u),
            None => stray(out, v),
        },
        (Canon::Date, ValueRef::Date(d)) if ORDINARY_DAYS.contains(&d) => out.extend_from_slice(d.to_string().as_bytes()),
        (Canon::Timestamp, ValueRef::Timestamp(t)) | (Canon::TimestampTz, ValueRef::TimestampTz(t)) if ordinary(t) => {
            out.extend_from_slice(t.to_string().as_bytes());
        }
        (Canon::Span, ValueRef::Time(t) | ValueRef::Interval { months: 0, days: 0, micros: t }) => {
            out.extend_from_slice(t.to_string().as_bytes())
        }
        // No SQL form elsewhere; between two SQLite files the canonical bytes do.
        (Canon::DecimalScaled | Canon::JsonValue | Canon::Own, _) => canonical::write(out, v, canon),
        _ => stray(out, v),
    }
}

/// A value outside its form: `!` and the system's text.
fn stray(out: &mut Vec<u8>, v: ValueRef<'_>) {
    out.push(b'!');
    let shown = match v {
        ValueRef::TimestampTz(t) => {
            let text = civil::timestamp_text(t);
            text.strip_suffix(" BC").map_or_else(|| format!("{text}+00"), |t| format!("{t}+00 BC"))
        }
        other => other.to_string(),
    };
    out.extend_from_slice(shown.as_bytes());
}

fn ordinary(micros: i64) -> bool {
    i32::try_from(micros.div_euclid(civil::DAY)).is_ok_and(|d| ORDINARY_DAYS.contains(&d))
}

fn number(out: &mut Vec<u8>, v: ValueRef<'_>) -> bool {
    match v {
        ValueRef::Bool(b) => out.push(if b { b'1' } else { b'0' }),
        ValueRef::I64(n) => out.extend_from_slice(n.to_string().as_bytes()),
        ValueRef::U64(n) => out.extend_from_slice(n.to_string().as_bytes()),
        ValueRef::Decimal(s) => match decimal::normal(s) {
            Some(n) => out.extend_from_slice(n.as_bytes()),
            None => return false,
        },
        ValueRef::F64(x) if x.is_finite() => match decimal::normal(&x.to_string()) {
            Some(n) => out.extend_from_slice(n.as_bytes()),
            None => return false,
        },
        _ => return false,
    }
    true
}

/// A double as the other systems' SQL spells it.
fn float(x: f64) -> String {
    if x.is_nan() {
        return "NaN".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    let size = x.abs();
    if size >= 1e15 || (size < 1e-15 && size > 0.0) { format!("{x:e}") } else { x.to_string() }
}

fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for b in bytes {
        out.push(DIGITS[usize::from(b >> 4)]);
        out.push(DIGITS[usize::from(b & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(v: ValueRef<'_>, canon: Canon, hashed: bool) -> String {
        let mut out = Vec::new();
        field(&mut out, v, canon, hashed, &mut Vec::new());
        String::from_utf8(out).unwrap()
    }

    // rule: R4
    #[test]
    fn fields_are_marked_for_null_and_carry_their_length() {
        assert_eq!(shown(ValueRef::Null, Canon::Text, false), "~");
        assert_eq!(shown(ValueRef::Text(""), Canon::Text, false), "0:");
        assert_eq!(shown(ValueRef::Text("é~"), Canon::Text, false), "3:é~");
        assert_eq!(shown(ValueRef::Text("a"), Canon::Text, true), "32:0cc175b9c0f1b6a831c399e269772661");
        assert_eq!(shown(ValueRef::Text("a "), Canon::TextPadded, false), "1:a");
    }

    // rule: R12
    #[test]
    fn doubles_are_spelled_by_magnitude() {
        let cases = [(1.0, "1"), (1e15, "1e15"), (123_456.5, "123456.5"), (1.5e-5, "0.000015"), (2.5e-16, "2.5e-16"), (-0.0, "-0")];
        for (x, want) in cases {
            assert_eq!(float(x), want);
        }
        assert_eq!(float(f64::NEG_INFINITY), "-Infinity");
    }

    // case: H1, H2
    #[test]
    fn dates_outside_the_ordinary_range_keep_their_text() {
        assert_eq!(shown(ValueRef::Date(19_782), Canon::Date, false), "5:19782");
        assert_eq!(shown(ValueRef::Other { type_name: "date", text: "infinity" }, Canon::Date, false), "9:!infinity");
        assert_eq!(shown(ValueRef::Other { type_name: "date", text: "0000-00-00" }, Canon::Date, false), "11:!0000-00-00");
        assert_eq!(shown(ValueRef::Date(-719_163), Canon::Date, false), "14:!0001-12-31 BC");
    }
}
