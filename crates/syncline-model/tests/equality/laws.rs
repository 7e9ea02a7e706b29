//! Equal values have equal bytes however they are spelled; different values have different bytes.

use proptest::prelude::*;
use syncline_model::canonical::{self, Canon, equal};
use syncline_model::value::{Value, ValueRef};
use syncline_model::{RowBatch, civil, decimal};

fn bytes(v: ValueRef<'_>, canon: Canon) -> Vec<u8> {
    let mut out = Vec::new();
    canonical::write(&mut out, v, canon);
    out
}

fn any_canon() -> impl Strategy<Value = Canon> {
    prop::sample::select(vec![
        Canon::Number,
        Canon::DecimalScaled,
        Canon::Float,
        Canon::Text,
        Canon::TextPadded,
        Canon::Bytes,
        Canon::Uuid,
        Canon::Date,
        Canon::Span,
        Canon::Timestamp,
        Canon::TimestampTz,
        Canon::JsonText,
        Canon::JsonValue,
        Canon::Own,
    ])
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        any::<u64>().prop_map(Value::U64),
        any::<f64>().prop_map(Value::F64),
        "-?[0-9]{1,20}(\\.[0-9]{0,20})?".prop_map(Value::Decimal),
        "\\PC{0,12}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(Value::Bytes),
        any::<[u8; 16]>().prop_map(Value::Uuid),
        any::<i32>().prop_map(Value::Date),
        any::<i64>().prop_map(Value::Time),
        any::<i64>().prop_map(Value::Timestamp),
        any::<i64>().prop_map(Value::TimestampTz),
        any::<(i32, i32, i64)>().prop_map(|(months, days, micros)| Value::Interval { months, days, micros }),
        "[\\[\\]{},:\"0-9a ]{0,12}".prop_map(Value::Json),
        ("[a-z]{1,5}", "\\PC{0,8}").prop_map(|(type_name, text)| Value::Other { type_name, text }),
    ]
}

/// Another spelling of the same decimal.
fn respelled(text: &str, zeros_before: usize, zeros_after: usize) -> String {
    let (sign, rest) = text.strip_prefix('-').map_or(("", text), |r| ("-", r));
    let dot = if rest.contains('.') { "" } else { "." };
    format!("{sign}{}{rest}{dot}{}", "0".repeat(zeros_before), "0".repeat(zeros_after))
}

proptest! {
    // rule: R9
    #[test]
    fn a_number_has_one_form_in_every_spelling_and_type(n: i64, before in 0usize..4, after in 0usize..4) {
        let text = n.to_string();
        let want = bytes(ValueRef::I64(n), Canon::Number);
        prop_assert_eq!(&bytes(ValueRef::Decimal(&text), Canon::Number), &want);
        prop_assert_eq!(&bytes(ValueRef::Decimal(&respelled(&text, before, after)), Canon::Number), &want);
        if let Ok(u) = u64::try_from(n) {
            prop_assert_eq!(&bytes(ValueRef::U64(u), Canon::Number), &want);
        }
        if n.unsigned_abs() <= 1 << 53 {
            prop_assert_eq!(&bytes(ValueRef::F64(n as f64), Canon::Number), &want);
        }
    }

    // rule: R9
    #[test]
    fn decimals_are_equal_exactly_when_their_values_are(a in "-?[0-9]{1,3}(\\.[0-9]{0,3})?", b in "-?[0-9]{1,3}(\\.[0-9]{0,3})?") {
        let thousandths = |s: &str| {
            let p = decimal::parts(s).unwrap();
            let digits: i64 = format!("0{}{:0<3}", p.whole, p.fraction).parse().unwrap();
            if p.negative { -digits } else { digits }
        };
        let same = equal(ValueRef::Decimal(&a), ValueRef::Decimal(&b), Canon::Number);
        prop_assert_eq!(same, thousandths(&a) == thousandths(&b));
        prop_assert_eq!(equal(ValueRef::Decimal(&a), ValueRef::Decimal(&b), Canon::DecimalScaled), a == b);
    }

    // rule: R9
    #[test]
    fn texts_are_equal_exactly_when_their_bytes_are(a in "[aAé ]{0,4}", b in "[aAé ]{0,4}") {
        prop_assert_eq!(equal(ValueRef::Text(&a), ValueRef::Text(&b), Canon::Text), a == b);
        let padded = a.trim_end_matches(' ') == b.trim_end_matches(' ');
        prop_assert_eq!(equal(ValueRef::Text(&a), ValueRef::Text(&b), Canon::TextPadded), padded);
    }

    // rule: R9
    #[test]
    fn doubles_are_equal_exactly_when_their_bits_are_but_all_nan_are_one(a: f64, b: f64) {
        let same = a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        prop_assert_eq!(equal(ValueRef::F64(a), ValueRef::F64(b), Canon::Float), same);
        prop_assert!(equal(ValueRef::F64(a), ValueRef::F64(a), Canon::Float));
        prop_assert!(!equal(ValueRef::F64(0.0), ValueRef::F64(-0.0), Canon::Float));
    }

    // rule: R9
    #[test]
    fn a_uuid_is_the_same_as_value_text_and_bytes(u: [u8; 16], v: [u8; 16]) {
        let text = civil::uuid_text(&u);
        let want = bytes(ValueRef::Uuid(u), Canon::Uuid);
        for other in [ValueRef::Text(&text), ValueRef::Text(&text.to_uppercase()), ValueRef::Text(&text.replace('-', "")), ValueRef::Bytes(&u)] {
            prop_assert_eq!(&bytes(other, Canon::Uuid), &want);
        }
        prop_assert_eq!(equal(ValueRef::Uuid(u), ValueRef::Uuid(v), Canon::Uuid), u == v);
    }

    // rule: R9
    // case: H16
    #[test]
    fn json_is_equal_by_value_whatever_its_spelling(a in 0i32..50, b in 0i32..50, key in "[a-z]{1,3}") {
        let one = format!("{{\"{key}\":{a}, \"z9\": [{b}.0]}}");
        let two = format!(" {{ \"z9\":[{b}e0],\"{key}\" : {a}.00 }}");
        prop_assert!(equal(ValueRef::Json(&one), ValueRef::Text(&two), Canon::JsonValue));
        prop_assert!(!equal(ValueRef::Json(&one), ValueRef::Json(&two), Canon::JsonText));
        let three = format!("{{\"{key}\":{a}, \"z9\": [{}]}}", b + 1);
        prop_assert!(!equal(ValueRef::Json(&one), ValueRef::Json(&three), Canon::JsonValue));
    }

    // rule: R9
    #[test]
    fn moments_are_equal_exactly_when_they_are_the_same_moment(a: i64, b: i64, x: i32, y: i32) {
        prop_assert_eq!(equal(ValueRef::Timestamp(a), ValueRef::Timestamp(b), Canon::Timestamp), a == b);
        prop_assert_eq!(equal(ValueRef::TimestampTz(a), ValueRef::TimestampTz(b), Canon::TimestampTz), a == b);
        prop_assert_eq!(equal(ValueRef::Date(x), ValueRef::Date(y), Canon::Date), x == y);
        let days = |days| ValueRef::Interval { months: 0, days, micros: 0 };
        prop_assert_eq!(equal(days(x), days(y), Canon::Span), x == y);
        let same_span = equal(ValueRef::Time(a), ValueRef::Interval { months: 0, days: 0, micros: a }, Canon::Span);
        prop_assert!(same_span);
    }

    // rule: R9
    #[test]
    fn null_equals_null_and_nothing_else(v in any_value(), canon in any_canon()) {
        prop_assert_eq!(equal(v.view(), ValueRef::Null, canon), v.is_null());
    }

    // rule: R9
    #[test]
    fn canonical_bytes_delimit_themselves(row in prop::collection::vec((any_value(), any_canon()), 0..5), cut in 0usize..5) {
        // The concatenation alone says where a cell ends: dropping the last cell, or moving a boundary, never gives the same bytes.
        let joined = |cells: &[(Value, Canon)]| {
            let mut out = Vec::new();
            cells.iter().for_each(|(v, c)| canonical::write(&mut out, v.view(), *c));
            out
        };
        if cut < row.len() {
            prop_assert_ne!(joined(&row[..cut]), joined(&row));
        }
        let mut rest = joined(&row);
        for _ in &row {
            let len = if rest[0] == b'0' { 1 } else { 9 + usize::try_from(u64::from_le_bytes(rest[1..9].try_into().unwrap())).unwrap() };
            rest.drain(..len);
        }
        prop_assert!(rest.is_empty());
    }

    // rule: R9
    #[test]
    fn a_row_in_a_batch_has_the_fingerprint_of_its_values(row in prop::collection::vec((any_value(), any_canon()), 1..5)) {
        let mut batch = RowBatch::new(row.len());
        batch.push_row(row.iter().map(|(v, _)| v.view()));
        let canons: Vec<Canon> = row.iter().map(|(_, c)| *c).collect();
        let direct = canonical::fingerprint(row.iter().map(|(v, c)| (v.view(), *c)), &mut Vec::new());
        prop_assert_eq!(canonical::row_fingerprint(batch.row(0), &canons, &mut Vec::new()), direct);
    }
}
