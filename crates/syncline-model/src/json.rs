//! JSON as data: its canonical form, what a store that rewrites JSON would lose, and the JSON form of a value.

use std::fmt::Write as _;

use crate::civil;
use crate::decimal;
use crate::value::{Value, ValueRef};

/// Nesting beyond this is refused, never recursed into (G2).
pub const DEPTH_MAX: usize = 200;

/// What a JSON text holds that a rewriting store (jsonb, MySQL 8 JSON) would lose or refuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// One object has a key twice; a rewriting store keeps only one.
    pub duplicate_keys: bool,
    /// `\u0000` in a string: PostgreSQL jsonb refuses it (H10).
    pub nul_escape: bool,
    /// Half a surrogate pair: no Unicode text.
    pub lone_surrogate: bool,
    /// A number that is no `f64` exactly as written (MySQL 8 keeps numbers beyond i64/u64 as doubles).
    pub beyond_double: bool,
}

/// The canonical text: keys sorted by bytes, no spaces, numbers by value, strings with the fewest escapes.
/// Duplicate keys stay, in order, so that a text that has them equals no text that does not. `None` when it is not JSON.
#[must_use]
pub fn canonical(text: &str) -> Option<String> {
    parse(text).map(|(canon, _)| canon)
}

/// What is in the text; `None` when it is not JSON.
#[must_use]
pub fn facts(text: &str) -> Option<Facts> {
    parse(text).map(|(_, facts)| facts)
}

fn parse(text: &str) -> Option<(String, Facts)> {
    let mut p = Parser { rest: text.as_bytes(), facts: Facts::default() };
    let mut out = String::with_capacity(text.len());
    p.value(&mut out, 0)?;
    p.space();
    p.rest.is_empty().then_some((out, p.facts))
}

struct Parser<'a> {
    rest: &'a [u8],
    facts: Facts,
}

impl Parser<'_> {
    fn space(&mut self) {
        let n = self.rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.rest = &self.rest[n..];
    }

    fn eat(&mut self, b: u8) -> Option<()> {
        self.space();
        let (&first, rest) = self.rest.split_first()?;
        (first == b).then(|| self.rest = rest)
    }

    fn value(&mut self, out: &mut String, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.space();
        match *self.rest.first()? {
            b'{' => self.object(out, depth),
            b'[' => self.array(out, depth),
            b'"' => {
                let s = self.string()?;
                quote(out, &s);
                Some(())
            }
            b't' => self.word(out, "true"),
            b'f' => self.word(out, "false"),
            b'n' => self.word(out, "null"),
            _ => self.number(out),
        }
    }

    fn word(&mut self, out: &mut String, word: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(word.as_bytes())?;
        out.push_str(word);
        Some(())
    }

    fn object(&mut self, out: &mut String, depth: usize) -> Option<()> {
        self.eat(b'{')?;
        let mut members: Vec<(String, String)> = Vec::new();
        if self.eat(b'}').is_none() {
            loop {
                self.space();
                let key = self.string()?;
                self.eat(b':')?;
                let mut v = String::new();
                self.value(&mut v, depth + 1)?;
                members.push((key, v));
                if self.eat(b'}').is_some() {
                    break;
                }
                self.eat(b',')?;
            }
        }
        members.sort_by(|a, b| a.0.cmp(&b.0));
        self.facts.duplicate_keys |= members.windows(2).any(|w| w[0].0 == w[1].0);
        out.push('{');
        for (i, (k, v)) in members.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            quote(out, k);
            out.push(':');
            out.push_str(v);
        }
        out.push('}');
        Some(())
    }

    fn array(&mut self, out: &mut String, depth: usize) -> Option<()> {
        self.eat(b'[')?;
        out.push('[');
        if self.eat(b']').is_none() {
            loop {
                self.value(out, depth + 1)?;
                if self.eat(b']').is_some() {
                    break;
                }
                self.eat(b',')?;
                out.push(',');
            }
        }
        out.push(']');
        Some(())
    }

    /// A string's content. Half a surrogate pair stays as the six characters of its escape behind U+FFFF, which no JSON
    /// text of ours contains otherwise, so that it equals only itself.
    fn string(&mut self) -> Option<String> {
        self.rest = self.rest.strip_prefix(b"\"")?;
        let mut s = String::new();
        loop {
            let stop = self.rest.iter().position(|b| matches!(b, b'"' | b'\\') || *b < 0x20)?;
            s.push_str(std::str::from_utf8(&self.rest[..stop]).ok()?);
            let at = self.rest[stop];
            self.rest = &self.rest[stop + 1..];
            match at {
                b'"' => return Some(s),
                b'\\' => self.escape(&mut s)?,
                _ => return None,
            }
        }
    }

    fn escape(&mut self, s: &mut String) -> Option<()> {
        let (&c, rest) = self.rest.split_first()?;
        self.rest = rest;
        match c {
            b'"' | b'\\' | b'/' => s.push(char::from(c)),
            b'b' => s.push('\u{8}'),
            b'f' => s.push('\u{c}'),
            b'n' => s.push('\n'),
            b'r' => s.push('\r'),
            b't' => s.push('\t'),
            b'u' => {
                let high = self.hex4()?;
                self.facts.nul_escape |= high == 0;
                let mut code = u32::from(high);
                if (0xD800..0xDC00).contains(&high)
                    && let Some(tail) = self.rest.strip_prefix(b"\\u")
                {
                    let before = self.rest;
                    self.rest = tail;
                    let low = self.hex4()?;
                    if (0xDC00..0xE000).contains(&low) {
                        code = 0x10000 + ((u32::from(high) - 0xD800) << 10) + (u32::from(low) - 0xDC00);
                    } else {
                        self.rest = before;
                    }
                }
                match char::from_u32(code) {
                    Some(c) => s.push(c),
                    None => {
                        self.facts.lone_surrogate = true;
                        write!(s, "\u{FFFF}\\u{code:04x}").ok()?;
                    }
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn hex4(&mut self) -> Option<u16> {
        let (hex, rest) = self.rest.split_at_checked(4)?;
        let text = std::str::from_utf8(hex).ok()?;
        let all_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        self.rest = rest;
        all_hex.then(|| u16::from_str_radix(text, 16).ok())?
    }

    fn number(&mut self, out: &mut String) -> Option<()> {
        let len = self.rest.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')).count();
        let (digits, rest) = self.rest.split_at(len);
        let text = std::str::from_utf8(digits).ok()?;
        valid_number(text).then_some(())?;
        self.rest = rest;
        let plain = decimal::expand_exponent(text).and_then(|t| decimal::normal(&t).map(|n| n.into_owned()));
        let canon = plain.unwrap_or_else(|| text.to_ascii_lowercase());
        let double =
            text.parse::<f64>().ok().filter(|x| x.is_finite()).and_then(|x| decimal::normal(&x.to_string()).map(|n| n.into_owned()));
        let whole = canon.parse::<i64>().is_ok() || canon.parse::<u64>().is_ok();
        self.facts.beyond_double |= !whole && double.as_deref() != Some(&canon);
        out.push_str(&canon);
        Some(())
    }
}

/// The grammar of RFC 8259: no leading zeros, digits on both sides of the point, digits in the exponent.
fn valid_number(text: &str) -> bool {
    let t = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = t.find(['e', 'E']).map_or((t, None), |at| (&t[..at], Some(&t[at + 1..])));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

fn quote(out: &mut String, s: &str) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Integers up to this size are exact in every JSON reader (H6).
const EXACT_INTEGER_MAX: u64 = 1 << 53;

/// The JSON form of a value, for stored keys, plans, exports: strings, booleans, null and small integers as themselves,
/// everything else as `{"type": "text"}` so that it comes back exactly, through any reader.
#[must_use]
pub fn from_value(v: ValueRef<'_>) -> serde_json::Value {
    let tagged = |tag: &str, text: String| serde_json::json!({ tag: text });
    match v {
        ValueRef::Null => serde_json::Value::Null,
        ValueRef::Bool(b) => b.into(),
        ValueRef::I64(n) if n.unsigned_abs() <= EXACT_INTEGER_MAX => n.into(),
        ValueRef::I64(n) => tagged("i64", n.to_string()),
        ValueRef::U64(n) => tagged("u64", n.to_string()),
        ValueRef::F64(n) => tagged("f64", format!("{n:?}")),
        ValueRef::Decimal(s) => tagged("decimal", s.to_owned()),
        ValueRef::Text(s) => s.into(),
        ValueRef::Bytes(b) => tagged("bytes", b.iter().map(|x| format!("{x:02x}")).collect()),
        ValueRef::Uuid(u) => tagged("uuid", civil::uuid_text(&u)),
        ValueRef::Date(d) => tagged("date", civil::date_text(d)),
        ValueRef::Time(t) => tagged("time", civil::time_text(t)),
        ValueRef::Timestamp(t) => tagged("timestamp", civil::timestamp_text(t)),
        ValueRef::TimestampTz(t) => tagged("timestamptz", format!("{}Z", civil::timestamp_text(t))),
        ValueRef::Interval { months, days, micros } => tagged("interval", civil::interval_text(months, days, micros)),
        ValueRef::Json(s) => tagged("json", s.to_owned()),
        ValueRef::Other { type_name, text } => serde_json::json!({ "other": [type_name, text] }),
        ValueRef::Large(n) => tagged("large", n.to_string()),
    }
}

/// The value of [`from_value`] back. `None` for any other JSON.
#[must_use]
pub fn to_value(j: &serde_json::Value) -> Option<Value> {
    use serde_json::Value as J;
    match j {
        J::Null => Some(Value::Null),
        J::Bool(b) => Some(Value::Bool(*b)),
        J::Number(n) => n.as_i64().map(Value::I64),
        J::String(s) => Some(Value::Text(s.clone())),
        J::Array(_) => None,
        J::Object(o) => {
            let (tag, body) = o.iter().next().filter(|_| o.len() == 1)?;
            if tag == "other" {
                let [J::String(type_name), J::String(text)] = body.as_array()?.as_slice() else { return None };
                return Some(Value::Other { type_name: type_name.clone(), text: text.clone() });
            }
            tagged_value(tag, body.as_str()?)
        }
    }
}

fn tagged_value(tag: &str, text: &str) -> Option<Value> {
    Some(match tag {
        "i64" => Value::I64(text.parse().ok()?),
        "u64" => Value::U64(text.parse().ok()?),
        "f64" => Value::F64(text.parse().ok()?),
        "decimal" => Value::Decimal(text.to_owned()),
        "bytes" => {
            let pairs = text.as_bytes().chunks(2);
            let byte = |p: &[u8]| u8::from_str_radix(std::str::from_utf8(p).ok()?, 16).ok();
            Value::Bytes(pairs.map(byte).collect::<Option<_>>()?)
        }
        "uuid" => Value::Uuid(civil::parse_uuid(text)?),
        "date" => Value::Date(civil::parse_date(text)?),
        "time" => Value::Time(civil::parse_time(text)?),
        "timestamp" => Value::Timestamp(civil::parse_timestamp(text)?),
        "timestamptz" => Value::TimestampTz(civil::parse_timestamptz(text)?),
        "interval" => {
            let (months, days, micros) = civil::parse_interval(text)?;
            Value::Interval { months, days, micros }
        }
        "json" => Value::Json(text.to_owned()),
        "large" => Value::Large(text.parse().ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // case: H16
    #[test]
    fn spelling_does_not_count_and_content_does() {
        let canon = |s| canonical(s).unwrap();
        assert_eq!(canon(r#"{"b": 1.10, "a": [1e2, "\u0041"]}"#), r#"{"a":[100,"A"],"b":1.1}"#);
        assert_eq!(canon("1.0"), canon("1"));
        assert_eq!(canon(r#""\ud83d\ude00""#), "\"😀\"");
        assert_ne!(canon(r#"{"a":1,"a":2}"#), canon(r#"{"a":2}"#));
        assert_ne!(canon("null"), canon("\"null\""));
    }

    // case: H10
    #[test]
    fn facts_name_what_a_rewriting_store_would_lose() {
        let f = |s| facts(s).unwrap();
        assert!(f(r#"{"a":1,"a":1}"#).duplicate_keys);
        assert!(f(r#"["\u0000"]"#).nul_escape);
        assert!(f(r#"["\ud800"]"#).lone_surrogate);
        assert!(f("[0.1234567890123456789]").beyond_double);
        assert_eq!(f(r#"{"a":[1,2.5,"x",9007199254740993]}"#), Facts::default());
    }

    // case: G2
    #[test]
    fn what_is_not_json_is_refused_and_depth_is_bounded() {
        for bad in ["", "{", "[1,]", "{\"a\"}", "01", "1.", ".5", "nul", "\"\n\"", "1 2", "+1", "--1", "1e", "\"\\x\""] {
            assert_eq!(canonical(bad), None, "{bad}");
        }
        assert_eq!(canonical(&"[".repeat(10_000)), None);
        let deep = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        assert!(canonical(&deep).is_some());
    }

    proptest! {
        #[test]
        fn canonical_form_is_a_fixed_point(s in "[\\[\\]{},:\"0-9.eE a-c\\\\u-]{0,40}") {
            if let Some(c) = canonical(&s) {
                prop_assert_eq!(canonical(&c), Some(c.clone()));
            }
        }
        #[test]
        fn integers_come_back_exactly(n: i64, u: u64) {
            prop_assert_eq!(to_value(&from_value(ValueRef::I64(n))), Some(Value::I64(n)));
            prop_assert_eq!(to_value(&from_value(ValueRef::U64(u))), Some(Value::U64(u)));
        }
    }
}
