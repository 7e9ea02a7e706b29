//! Values inside JSON text, without loss: numbers that no double holds come out as decimals, objects as their own text.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use syncline_model::{Value, decimal};

/// The value at `path` (object keys; digits index arrays) in a JSON text. NULL where nothing is, and for JSON `null`.
#[must_use]
pub fn at_path(json: &str, path: &[impl AsRef<str>]) -> Value {
    let mut text = json;
    for key in path {
        match step(text, key.as_ref()) {
            Some(inner) => text = inner,
            None => return Value::Null,
        }
    }
    scalar(text)
}

fn step<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    if json.trim_start().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
        return items.get(key.parse::<usize>().ok()?).map(|v| v.get());
    }
    // Keys are owned because they may be written with escapes.
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    members.get(key).map(|v| v.get())
}

fn scalar(json: &str) -> Value {
    let json = json.trim();
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json).map_or(Value::Null, Value::Text),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'{' | b'[') => Value::Json(json.to_owned()),
        Some(b'-' | b'0'..=b'9') => number(json),
        _ => Value::Null,
    }
}

fn number(json: &str) -> Value {
    if let Ok(n) = json.parse::<i64>() {
        return Value::I64(n);
    }
    if let Ok(n) = json.parse::<u64>() {
        return Value::U64(n);
    }
    decimal::expand_exponent(json).map_or_else(|| Value::Json(json.to_owned()), |d| Value::Decimal(d.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // case: H6
    // req: FR-010
    #[test]
    fn values_inside_json_come_out_exactly() {
        let json = r#" {"a\u0062": {"n": [9007199254740993, 0.1234567890123456789, 1e3, "x", null, true, {"z": 1}]}} "#;
        let at = |i: &str| at_path(json, &["ab", "n", i]);
        assert_eq!(at("0"), Value::I64(9_007_199_254_740_993));
        assert_eq!(at("1"), Value::Decimal("0.1234567890123456789".to_owned()));
        assert_eq!(at("2"), Value::Decimal("1000".to_owned()));
        assert_eq!(at("3"), Value::Text("x".to_owned()));
        assert_eq!(at("4"), Value::Null);
        assert_eq!(at("5"), Value::Bool(true));
        assert_eq!(at("6"), Value::Json("{\"z\": 1}".to_owned()));
        assert_eq!(at("7"), Value::Null);
        assert_eq!(at_path("not json", &["a"]), Value::Null);
    }
}
