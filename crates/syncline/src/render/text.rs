//! Numbers, instants, spans and values as people read them.

use jiff::Timestamp;
use serde_json::Value as Json;

/// `1234567` as `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(d);
    }
    grouped
}

/// `3 rows`, `1 row`: the plural is the noun with an `s`.
pub fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// `2026-11-20T19:40:00.123Z`, for machines; microseconds as they are.
pub fn rfc3339(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |t| t.to_string())
}

/// `2026-11-20 19:40:00`, UTC, for people.
pub fn instant(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |t| t.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// `12 ms`, `1.8 s`, `3 min 05 s`, `2 h 10 min`, `4 d 2 h`.
pub fn span(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0 => format!("{ms} ms"),
        1..60 => format!("{}.{} s", s, ms % 1000 / 100),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {:02} min", s / 3600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86_400, s / 3600 % 24),
    }
}

/// The time from `then` to `now`, both µs; 0 when the clocks disagree.
pub fn elapsed_ms(then: i64, now: i64) -> u64 {
    u64::try_from(now.saturating_sub(then) / 1000).unwrap_or(0)
}

/// `0.9987` as `99.87 %`, never rounded up to 100.
pub fn percent(share: f64) -> String {
    if share >= 1.0 { "100 %".to_owned() } else { format!("{:.2} %", (share * 10_000.0).floor() / 100.0) }
}

/// Longest value shown in a line; the whole value is in `--json`.
const VALUE_CHARS_MAX: usize = 60;

/// A value of the JSON form of `syncline_model::json`, short and on one line: text in quotes, NULL as itself.
pub fn value(v: &Json) -> String {
    let shown = match v {
        Json::Null => return "NULL".to_owned(),
        Json::String(s) => format!("\"{s}\""),
        Json::Object(o) if o.len() == 1 && o.contains_key("large") => return large(o["large"].as_str()),
        Json::Object(o) if o.len() == 1 => match o.values().next() {
            Some(Json::String(s)) => s.clone(),
            Some(Json::Array(a)) => a.last().and_then(Json::as_str).unwrap_or_default().to_owned(),
            _ => v.to_string(),
        },
        other => other.to_string(),
    };
    harmless(&shorten(&shown, VALUE_CHARS_MAX))
}

/// A value that was too large to be read, as its size: `<67.1 MB>`.
fn large(bytes: Option<&str>) -> String {
    let bytes: f64 = bytes.and_then(|b| b.parse().ok()).unwrap_or(0.0);
    format!("<{:.1} MB>", bytes / 1e6)
}

/// A value given as its JSON text.
pub fn value_text(json: &str) -> String {
    serde_json::from_str(json).map_or_else(|_| harmless(&shorten(json, VALUE_CHARS_MAX)), |v| value(&v))
}

/// A key, a JSON array of values: `42`, or `7, "de"` for a key of several columns.
pub fn key(json: &str) -> String {
    match serde_json::from_str::<Json>(json) {
        Ok(Json::Array(parts)) => parts.iter().map(value).collect::<Vec<_>>().join(", "),
        Ok(other) => value(&other),
        Err(_) => harmless(json),
    }
}

/// At most `max` characters, the cut marked.
pub fn shorten(s: &str, max: usize) -> String {
    match s.char_indices().nth(max) {
        Some(_) => s.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
        None => s.to_owned(),
    }
}

/// Control characters and direction overrides as their escapes, so that data can neither drive a terminal nor fake a line.
pub fn harmless(s: &str) -> String {
    let acts = |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !s.contains(acts) {
        return s.to_owned();
    }
    s.chars().map(|c| if acts(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: R25
    #[test]
    fn a_value_too_large_to_be_read_is_shown_as_its_size() {
        assert_eq!(value(&serde_json::json!({ "large": "67108864" })), "<67.1 MB>");
    }

    #[test]
    fn numbers_are_grouped_and_spans_are_short() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([12, 1850, 185_000, 7_800_000].map(span), ["12 ms", "1.8 s", "3 min 05 s", "2 h 10 min"]);
        assert_eq!(percent(0.999_999), "99.99 %");
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(2000, "row"), "2,000 rows");
    }

    // users: U24
    #[test]
    fn values_are_short_quoted_and_cannot_drive_a_terminal() {
        assert_eq!(value_text("null"), "NULL");
        assert_eq!(value_text("\"\""), "\"\"");
        assert_eq!(value_text(r#"{"decimal":"1.50"}"#), "1.50");
        assert_eq!(value_text(r#"{"other":["date","infinity"]}"#), "infinity");
        assert_eq!(value_text("\"a\\u001b[2Jb\""), "\"a\\u{1b}[2Jb\"");
        assert_eq!(key("[7,\"de\"]"), "7, \"de\"");
        assert_eq!(value(&Json::String("x".repeat(500))).chars().count(), VALUE_CHARS_MAX);
    }
}
