//! `testdata/canonical-golden.json`: canonical bytes and row fingerprints that every release and every language must agree on.
//!
//! `SYNCLINE_BLESS=1 cargo test -p syncline-model` writes the file again from the inputs below. A changed byte in its diff is a
//! change of the state format and of every stored digest: bump the format version, or undo it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use syncline_model::canonical::{self, Canon};
use syncline_model::value::Value;
use syncline_model::{civil, json};

const CANONS: [Canon; 14] = [
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
];

fn text(s: &str) -> Value {
    Value::Text(s.to_owned())
}

fn decimal(s: &str) -> Value {
    Value::Decimal(s.to_owned())
}

fn other(type_name: &str, text: &str) -> Value {
    Value::Other { type_name: type_name.to_owned(), text: text.to_owned() }
}

fn numbers() -> Vec<Value> {
    let mut out = vec![Value::Bool(false), Value::Bool(true)];
    out.extend([0, 1, -1, 42, i64::MIN, i64::MAX, (1 << 53) + 1].map(Value::I64));
    out.extend([0, 42, u64::MAX].map(Value::U64));
    out.extend([0.0, -0.0, 1.5, -1.0, 0.1, 1e300, 5e-324, 16_777_216.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Value::F64));
    let spellings = ["0", "0.00", "-0.0", "1", "1.0", "1.00", "1.10", "-12.340", "42", "NaN", "Infinity", "-Infinity"];
    out.extend(spellings.map(decimal));
    out.push(decimal("12345678901234567890123456789012345.678901234567890123456789012345"));
    out
}

fn texts() -> Vec<Value> {
    let words = ["", " ", "a", "a ", "A", "é", "e\u{301}", "日本", "😀", "tab\tnew\nline", "1", "NULL", "'; --"];
    let mut out: Vec<Value> = words.map(text).into();
    out.extend([other("int4[]", "{1,2}"), other("inet", "10.0.0.1"), other("date", "infinity"), other("date", "0000-00-00")]);
    out
}

fn moments() -> Vec<Value> {
    let mut out = Vec::new();
    for day in ["1970-01-01", "2024-02-29", "0001-01-01", "9999-12-31", "0044-03-15 BC"] {
        out.push(Value::Date(civil::parse_date(day).unwrap()));
    }
    out.extend([0, 45_296_000_000, 86_400_000_000].map(Value::Time));
    for at in ["1970-01-01 00:00:00", "2024-02-29 12:34:56.789012", "0001-01-01 00:00:00", "1969-12-31 23:59:59.999999"] {
        let micros = civil::parse_timestamp(at).unwrap();
        out.extend([Value::Timestamp(micros), Value::TimestampTz(micros)]);
    }
    for (months, days, micros) in [(0, 0, 0), (1, 0, 0), (0, 30, 0), (14, -3, 4_500_000), (0, 0, -3_020_399_000_000)] {
        out.push(Value::Interval { months, days, micros });
    }
    out
}

fn structured() -> Vec<Value> {
    let documents = [
        "null",
        "{}",
        r#"{"b": 1.10, "a": [1e2, "\u0041"]}"#,
        r#"{"a":[100,"A"],"b":1.1}"#,
        r#"{"a":1,"a":2}"#,
        r#""\ud83d\ude00""#,
        "9007199254740993",
        "{not json",
    ];
    let mut out: Vec<Value> = documents.map(|s| Value::Json(s.to_owned())).into();
    out.extend(documents.map(text));
    let uuid = civil::parse_uuid("0189dc2f-3a4b-7c5d-8e6f-102030405060").unwrap();
    out.extend([Value::Uuid(uuid), Value::Bytes(uuid.to_vec())]);
    out.extend(["0189dc2f-3a4b-7c5d-8e6f-102030405060", "0189DC2F3A4B7C5D8E6F102030405060", "not a uuid"].map(text));
    out.extend([vec![], vec![0], vec![0, 0], b"a\0b".to_vec()].map(Value::Bytes));
    out
}

/// Every value in every form, also where the form is not its own: those vectors pin the tags of strangers.
fn values() -> Vec<Value> {
    [vec![Value::Null], numbers(), texts(), moments(), structured()].concat()
}

fn rows() -> Vec<Vec<(Value, Canon)>> {
    let (t, n, o) = (Canon::Text, Canon::Number, Canon::Own);
    vec![
        vec![],
        vec![(Value::Null, t)],
        vec![(Value::Null, t), (text("a"), t)],
        vec![(text("a"), t), (Value::Null, t)],
        vec![(text("ab"), t), (text("c"), t)],
        vec![(text("a"), t), (text("bc"), t)],
        vec![
            (Value::I64(7), n),
            (text("ACADEMY DINOSAUR"), t),
            (decimal("4.990"), n),
            (Value::Timestamp(1_139_979_822_000_000), Canon::Timestamp),
        ],
        vec![(Value::Bytes(vec![0xff]), Canon::Bytes), (Value::Bool(true), o), (Value::Json("[1, 2]".to_owned()), Canon::JsonValue)],
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

fn name(canon: Canon) -> String {
    serde_json::to_value(canon).unwrap().as_str().unwrap().to_owned()
}

fn canonical_hex(v: &Value, canon: Canon) -> String {
    let mut out = Vec::new();
    canonical::write(&mut out, v.view(), canon);
    hex(&out)
}

/// One vector per line, so that a diff shows which one moved.
fn golden() -> String {
    let mut cells = Vec::new();
    for v in values() {
        let forms: serde_json::Map<String, serde_json::Value> = CANONS.iter().map(|c| (name(*c), canonical_hex(&v, *c).into())).collect();
        cells.push(serde_json::json!({ "value": json::from_value(v.view()), "canonical": forms }).to_string());
    }
    let mut fingerprints = Vec::new();
    for row in rows() {
        let cells: Vec<_> = row.iter().map(|(v, c)| serde_json::json!([json::from_value(v.view()), name(*c)])).collect();
        let print = canonical::fingerprint(row.iter().map(|(v, c)| (v.view(), *c)), &mut Vec::new());
        fingerprints.push(serde_json::json!({ "cells": cells, "fingerprint": format!("{print:032x}") }).to_string());
    }
    format!("{{\n\"cells\": [\n{}\n],\n\"rows\": [\n{}\n]\n}}\n", cells.join(",\n"), fingerprints.join(",\n"))
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/canonical-golden.json")
}

/// The file as stored; written first when asked for. Once per process, so that no test reads a file half written.
fn stored() -> &'static str {
    static STORED: OnceLock<String> = OnceLock::new();
    STORED.get_or_init(|| {
        if std::env::var_os("SYNCLINE_BLESS").is_some() {
            std::fs::write(path(), golden()).unwrap();
        }
        std::fs::read_to_string(path()).expect("testdata/canonical-golden.json; SYNCLINE_BLESS=1 writes it")
    })
}

// rule: R9
#[test]
fn canonical_bytes_and_fingerprints_are_those_of_the_golden_file() {
    let computed = golden();
    for (i, (stored, computed)) in stored().lines().zip(computed.lines()).enumerate() {
        assert_eq!(computed, stored, "line {} moved: see the head of this test file", i + 1);
    }
    assert_eq!(stored().lines().count(), computed.lines().count(), "vectors were added or removed; SYNCLINE_BLESS=1 writes the file");
}

// rule: R9
#[test]
fn the_golden_file_is_readable_by_a_stranger_who_knows_only_its_json() {
    let file: serde_json::Value = serde_json::from_str(stored()).unwrap();
    for cell in file["cells"].as_array().unwrap() {
        let v = json::to_value(&cell["value"]).expect("a value in its JSON form");
        for (canon, want) in cell["canonical"].as_object().unwrap() {
            let canon: Canon = serde_json::from_value(canon.as_str().into()).unwrap();
            assert_eq!(canonical_hex(&v, canon), want.as_str().unwrap(), "{v:?} as {canon:?}");
        }
    }
    for row in file["rows"].as_array().unwrap() {
        let cells: Vec<(Value, Canon)> = row["cells"].as_array().unwrap().iter().map(cell_of).collect();
        let print = canonical::fingerprint(cells.iter().map(|(v, c)| (v.view(), *c)), &mut Vec::new());
        assert_eq!(format!("{print:032x}"), row["fingerprint"].as_str().unwrap());
    }
}

fn cell_of(cell: &serde_json::Value) -> (Value, Canon) {
    (json::to_value(&cell[0]).unwrap(), serde_json::from_value(cell[1].clone()).unwrap())
}
