//! Edge values in the very spelling of each system.

use super::*;
use LogicalType as T;

const PG: Engine = Engine::Postgres;
const MY: Engine = Engine::Mysql;
const LITE: Engine = Engine::Sqlite;
const INT: T = T::Int { bits: 64, unsigned: false };
const NUMERIC: T = T::Decimal { limits: None };
const DOUBLE: T = T::Float { bits: 64 };
const SINGLE: T = T::Float { bits: 32 };
const TEXT: T = T::Text { chars_max: None, fixed: false };
const STAMP: T = T::Timestamp { digits: 6 };
const INSTANT: T = T::TimestampTz { digits: 6 };

fn pair(a: (&T, Engine), b: (&T, Engine)) -> (Reading, Reading) {
    let column = |t: &T| Column::plain("c", t.clone(), "");
    Reading::pair(Canon::for_pair((&column(a.0), a.1), (&column(b.0), b.1)), a, b)
}

fn same(a: (&T, Engine, ValueRef<'_>), b: (&T, Engine, ValueRef<'_>)) -> bool {
    let (x, y) = pair((a.0, a.1), (b.0, b.1));
    let (mut left, mut right) = (Vec::new(), Vec::new());
    x.write(&mut left, a.2);
    y.write(&mut right, b.2);
    left == right
}

fn texts(a: (&T, Engine), b: (&T, Engine), equal: &[(&str, &str)], unequal: &[(&str, &str)]) {
    let ask = |l, r| same((a.0, a.1, ValueRef::Text(l)), (b.0, b.1, ValueRef::Text(r)));
    equal.iter().for_each(|(l, r)| assert!(ask(l, r), "{l} and {r} say the same"));
    unequal.iter().for_each(|(l, r)| assert!(!ask(l, r), "{l} and {r} differ"));
}

// case: Q2
// rule: R9
#[test]
fn numbers_count_by_value_and_nothing_else() {
    texts((&INT, MY), (&NUMERIC, PG), &[("00042", "42.00"), ("-0", "0")], &[("42", "42.01"), ("1", "true")]);
    texts((&NUMERIC, LITE), (&NUMERIC, PG), &[("1.0e+20", "100000000000000000000"), ("NaN", "NaN")], &[("0.1", "0.10000000000000001")]);
    texts((&NUMERIC, PG), (&NUMERIC, PG), &[("1.10", "1.10")], &[("1.1", "1.10")]);
    texts((&T::Bool, PG), (&INT, MY), &[("true", "1"), ("false", "0"), ("f", "0")], &[("true", "0")]);
    texts((&T::Year, MY), (&INT, PG), &[("0000", "0"), ("2024", "2024")], &[]);
    texts((&INT, LITE), (&INT, PG), &[], &[("abc", "0"), ("", "0")]);
}

// rule: R9
// rule: R10
#[test]
fn doubles_count_by_bits_and_singles_as_what_they_are() {
    texts((&DOUBLE, MY), (&DOUBLE, PG), &[("1.7976931348623157e308", "1.7976931348623157e+308"), ("0.00001", "1e-05")], &[("-0", "0")]);
    texts((&DOUBLE, LITE), (&DOUBLE, PG), &[("5.0", "5"), ("-0.0", "-0"), ("Inf", "Infinity")], &[("0.3", "0.30000000000000004")]);
    texts((&SINGLE, MY), (&SINGLE, PG), &[("0.10000000149011612", "0.1"), ("16777216", "1.6777216e+07")], &[("0.1", "0.1")]);
    texts((&SINGLE, PG), (&DOUBLE, PG), &[("0.1", "0.10000000149011612"), ("NaN", "NaN")], &[("0.1", "0.1")]);
    texts((&DOUBLE, PG), (&NUMERIC, MY), &[("1e+20", "100000000000000000000.00")], &[("0.1", "0.11")]);
}

// case: Q2
#[test]
fn an_added_space_and_another_case_are_differences_and_padding_is_none() {
    texts((&TEXT, MY), (&TEXT, PG), &[("é", "é")], &[("a", "a "), ("a", "A"), ("", " "), ("é", "e\u{301}")]);
    let padded = T::Text { chars_max: Some(5), fixed: true };
    texts((&padded, PG), (&TEXT, MY), &[("ab", "ab   ")], &[("ab", " ab"), ("ab", "ab\t")]);
}

// case: H1
#[test]
fn days_and_instants_are_read_with_their_offsets_and_what_is_none_stays_text() {
    texts(
        (&T::Date, PG),
        (&T::Date, LITE),
        &[("0044-03-15 BC", "0044-03-15 BC"), ("infinity", "infinity")],
        &[("2024-02-29", "2024-03-01")],
    );
    texts(
        (&STAMP, MY),
        (&STAMP, PG),
        &[("2024-02-29 13:04:05.500000", "2024-02-29 13:04:05.5")],
        &[("2024-02-29 13:04:05", "2024-02-29 13:04:06")],
    );
    texts(
        (&INSTANT, MY),
        (&INSTANT, PG),
        &[("2024-02-29 13:04:05+00", "2024-02-29T15:04:05+02"), ("2024-01-01 00:00:00.25+00", "2024-01-01 00:00:00.25Z")],
        &[("2024-01-01 00:00:00+00", "2024-01-01 00:00:00+01")],
    );
    texts((&INSTANT, MY), (&INSTANT, LITE), &[("0000-00-00 00:00:00+00", "0000-00-00 00:00:00")], &[]);
}

// case: H4
#[test]
fn spans_count_by_their_parts() {
    let time = T::TimeSpan { digits: 6 };
    texts((&time, MY), (&T::Interval, PG), &[("-34:22:59.5", "PT-34H-22M-59.5S"), ("00:00:00", "PT0S")], &[("24:00:00", "P1D")]);
    texts((&T::Interval, PG), (&T::Interval, LITE), &[("P1Y2M3DT4.5S", "P14M3DT4.5S")], &[("P1M", "P30D")]);
}

// case: H16
#[test]
fn uuids_and_json_count_by_value_where_a_system_rewrites_them() {
    texts((&T::Uuid, PG), (&TEXT, MY), &[("0a0b0c0d-0000-4000-8000-00000000000f", "0A0B0C0D00004000800000000000000F")], &[("x", "y")]);
    let bytes = T::Bytes { bytes_max: Some(16), fixed: true };
    let id = "00010203-0405-0607-0809-0a0b0c0d0e0f";
    let raw: Vec<u8> = (0..16).collect();
    assert!(same((&T::Uuid, PG, ValueRef::Text(id)), (&bytes, MY, ValueRef::Bytes(&raw))));
    let (kept, rewritten) = (T::Json { normalised: false }, T::Json { normalised: true });
    texts((&kept, MY), (&rewritten, PG), &[(r#"{"b":1.0,"a":"é"}"#, r#"{"a": "é", "b": 1}"#)], &[(r#"{"a":1}"#, r#"{"a":2}"#), ("{", "[")]);
    texts((&kept, MY), (&kept, PG), &[(r#"{"a": 1}"#, r#"{"a": 1}"#)], &[(r#"{"a": 1}"#, r#"{"a":1}"#)]);
}

// rule: R9
#[test]
fn kinds_count_where_columns_have_no_type_and_not_where_one_side_has() {
    let one = |v| same((&T::Any, LITE, ValueRef::I64(1)), (&T::Any, LITE, v));
    assert!(one(ValueRef::I64(1)));
    assert!(!one(ValueRef::Text("1")) && !one(ValueRef::F64(1.0)) && !one(ValueRef::Bytes(b"1")));
    texts((&T::Bool, PG), (&T::Any, LITE), &[("true", "1")], &[("true", "0")]);
    texts((&INT, PG), (&T::Any, LITE), &[("7", "7")], &[("7", "8")]);
}

#[test]
fn null_empty_and_large_are_three_things() {
    let ask = |a, b| same((&TEXT, PG, a), (&TEXT, MY, b));
    assert!(ask(ValueRef::Null, ValueRef::Null));
    assert!(!ask(ValueRef::Null, ValueRef::Text("")));
    assert!(!ask(ValueRef::Null, ValueRef::Text("NULL")));
    assert!(!ask(ValueRef::Large(3), ValueRef::Large(4)));
}

// case: Q2
#[test]
fn values_that_were_computed_read_like_the_text_of_the_system() {
    let computed = |t: &T, v: ValueRef<'_>, text: &str| assert!(same((t, PG, v), (t, MY, ValueRef::Text(text))), "{v:?} {text}");
    computed(&INT, ValueRef::I64(-7), "-7");
    computed(&DOUBLE, ValueRef::F64(1e300), "1e300");
    computed(&T::Date, ValueRef::Date(0), "1970-01-01");
    computed(&STAMP, ValueRef::Timestamp(1), "1970-01-01 00:00:00.000001");
    computed(&INSTANT, ValueRef::TimestampTz(0), "1970-01-01 00:00:00+00");
    computed(&INT, ValueRef::Bool(true), "1");
}
