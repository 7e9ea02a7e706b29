//! Refusals and escapes.

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
