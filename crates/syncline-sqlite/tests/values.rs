//! Cells in and out: what is accepted reads back as the same value, and everything else is refused by code.

use syncline_connector::{Connector, Fit};
use syncline_model::{Canon, Column, Engine, LogicalType as T, Table, TableName, Value as V, canonical};

use crate::support::*;

/// Columns of other systems with values at their edges.
fn edges() -> Vec<(T, Vec<V>)> {
    let int = |bits, unsigned| T::Int { bits, unsigned };
    let dec = |s: &str| V::Decimal(s.into());
    let other = |type_name: &str, text: &str| V::Other { type_name: type_name.into(), text: text.into() };
    vec![
        (T::Bool, vec![V::Bool(true), V::Bool(false)]),
        (int(8, false), vec![V::I64(-128), V::I64(127)]),
        (int(16, true), vec![V::U64(0), V::U64(65_535)]),
        (int(24, false), vec![V::I64(-8_388_608)]),
        (int(32, false), vec![V::I64(i64::from(i32::MIN)), V::I64(i64::from(i32::MAX))]),
        (int(64, false), vec![V::I64(i64::MIN), V::I64(i64::MAX), V::I64((1 << 53) + 1)]),
        (int(64, true), vec![V::U64(u64::MAX), V::U64(0)]),
        (T::Year, vec![V::I64(0), V::I64(1901), V::I64(2155)]),
        (T::Float { bits: 32 }, vec![V::F64(16_777_216.0), V::F64(f64::from(0.1f32))]),
        (
            T::Float { bits: 64 },
            vec![V::F64(0.841_470_984_807_896_5), V::F64(5e-324), V::F64(f64::MAX), V::F64(f64::INFINITY), V::F64(0.0)],
        ),
        (T::Decimal { limits: Some((30, 2)) }, vec![dec("12345678901234567890.12"), dec("-0.10"), dec("5.00")]),
        (
            T::Decimal { limits: None },
            vec![dec("1.10"), dec("NaN"), dec("-Infinity"), dec(&"9".repeat(120)), dec("0.000000000000000000001")],
        ),
        (T::Text { chars_max: None, fixed: false }, vec![text(""), text("5"), text(" 1e5 "), text("a\0b"), text("😀"), text("nul: ''\"")]),
        (T::Text { chars_max: Some(5), fixed: false }, vec![text("ééééé")]),
        (T::Text { chars_max: Some(4), fixed: true }, vec![text("ab  ")]),
        (T::Bytes { bytes_max: None, fixed: false }, vec![V::Bytes(vec![]), V::Bytes(vec![0, 255, 1])]),
        (T::Bytes { bytes_max: Some(4), fixed: true }, vec![V::Bytes(vec![1, 0, 0, 0])]),
        (T::Bit { len: Some(4), varying: false }, vec![text("0101")]),
        (T::Uuid, vec![V::Uuid([0xab; 16]), V::Uuid([0; 16])]),
        (T::Date, vec![V::Date(0), V::Date(-719_163), V::Date(2_145_042_905), other("date", "infinity"), other("date", "0000-00-00")]),
        (T::Time { digits: 6 }, vec![V::Time(0), V::Time(86_400_000_000), V::Time(1)]),
        (T::TimeSpan { digits: 0 }, vec![V::Time(3_600_000_000), V::Interval { months: 0, days: 0, micros: -3_020_399_000_000 }]),
        (T::Timestamp { digits: 6 }, vec![V::Timestamp(1), V::Timestamp(-62_135_596_800_000_001), other("timestamp", "-infinity")]),
        (
            T::TimestampTz { digits: 3 },
            vec![V::TimestampTz(-1), V::TimestampTz(-62_135_596_800_000_001), V::TimestampTz(253_402_300_800_000_000)],
        ),
        (T::Interval, vec![V::Interval { months: 1, days: -1, micros: 5 }, V::Interval { months: 0, days: 0, micros: 0 }]),
        (T::Json { normalised: true }, vec![V::Json("5".into()), V::Json("{\"a\": 1.10}".into()), V::Json("null".into())]),
        (T::Enum { labels: vec!["a".into(), "".into()] }, vec![text("a"), text("")]),
        (T::Set { labels: vec!["a".into(), "b".into()] }, vec![text("a,b")]),
        (T::Geometry, vec![V::Bytes(vec![1, 2, 3])]),
        (T::Other { name: "int4[]".into() }, vec![other("int4[]", "[0:1]={1,2}")]),
    ]
}

fn keyed(column: Column) -> Table {
    let key = Column::plain("id", T::Int { bits: 64, unsigned: false }, "bigint");
    Table {
        name: TableName::bare("t"),
        kind: syncline_model::schema::TableKind::Table,
        columns: vec![key, column],
        primary_key: vec!["id".into()],
        uniques: vec![],
        foreign_keys: vec![],
        checks: vec![],
        indexes: vec![],
        insert_triggers: false,
        change_triggers: false,
        rows_estimate: None,
        non_transactional: false,
        incarnation: None,
        comment: None,
    }
}

// rule: R10
// case: H1, H2, H4, H5, H6, H7, H17, H28
#[tokio::test]
async fn every_type_of_other_systems_comes_back_with_the_same_values_and_stays_unchanged() {
    let mut cells = 0;
    for (logical, values) in edges() {
        let files = Files::new();
        let column = Column::plain("v", logical.clone(), "native");
        let engine = Engine::Postgres;
        let (made, ddl) = mapped(&keyed(column.clone()), engine);
        assert!(!matches!(syncline_sqlite::Sqlite.map_column(&column, engine).1, Fit::Never(_)), "{logical:?}");
        let mut rows: Vec<Vec<V>> = values.iter().enumerate().map(|(i, v)| vec![V::I64(i as i64 + 1), v.clone()]).collect();
        rows.push(vec![V::I64(0), V::Null]);
        let mut destination = files.destination("d.db").await;
        let (rejects, _) = write(&mut *destination, "r1", stream(&made, Some(ddl)), &rows).await;
        assert_eq!(rejects, [], "{logical:?}");
        let mut source = files.source("d.db").await;
        let found = table(&mut *source, "t").await;
        assert_eq!(found.columns[1].logical, made.columns[1].logical, "what was made is what is found");
        let mut snapshot = source.snapshot().await.unwrap();
        let mut request = request(&found);
        request.order = vec!["id".into()];
        let back = read(&mut *snapshot, request).await;
        let canon = Canon::for_pair((&column, engine), (&found.columns[1], Engine::Sqlite));
        for (sent, got) in values.iter().zip(&back[1..]) {
            assert!(canonical::equal(sent.view(), got[1].view(), canon), "{logical:?}: {sent:?} came back as {:?}", got[1]);
            cells += 1;
        }
        assert_eq!(back[0], [V::I64(0), V::Null]);
        let (_, applied) = write(&mut *destination, "r2", stream(&found, None), &back).await;
        assert_eq!(applied.outcomes[0].unchanged, rows.len() as u64, "{logical:?}");
    }
    assert!(cells >= 60, "{cells}");
}

/// What a declared type makes of values: `Ok` for kept, else the code.
async fn into_column(declared: &str, value: V) -> Result<V, &'static str> {
    let files = Files::new();
    files.script("d.db", &format!("CREATE TABLE t (id INTEGER PRIMARY KEY, v {declared})"));
    let mut destination = files.destination("d.db").await;
    let found = destination.discover().await.unwrap().tables.remove(0);
    let (rejects, _) = write(&mut *destination, "r", stream(&found, None), &[vec![V::I64(1), value]]).await;
    if let Some(reject) = rejects.first() {
        return Err(reject.code);
    }
    let mut source = files.source("d.db").await;
    let mut snapshot = source.snapshot().await.unwrap();
    Ok(read(&mut *snapshot, request(&found)).await.remove(0).remove(1))
}

// rule: R10
// case: H7, H8
#[tokio::test]
async fn what_an_existing_column_would_change_is_refused_by_code() {
    let dec = |s: &str| V::Decimal(s.into());
    let cases = [
        ("decimal(30,2)", dec("12345678901234567890.12"), Err("value_inexact")),
        ("decimal(30,2)", dec("0.99"), Ok(dec("0.99"))),
        ("decimal(30,2)", dec("NaN"), Ok(dec("NaN"))),
        ("REAL", V::F64(-0.0), Err("negative_zero")),
        ("REAL", V::F64(f64::NAN), Err("value_inexact")),
        ("REAL", V::I64((1 << 53) + 1), Err("value_inexact")),
        ("REAL", V::F64(0.841_470_984_807_896_5), Ok(V::F64(0.841_470_984_807_896_5))),
        ("INTEGER", V::U64(u64::MAX), Err("value_out_of_range")),
        ("INTEGER", text("abc"), Ok(text("abc"))),
        ("INTEGER", text("5"), Err("value_inexact")),
        ("INTEGER", V::F64(1.5), Ok(V::F64(1.5))),
        ("STRING", text("007"), Err("value_inexact")),
        ("JSON", V::Json("5".into()), Ok(V::Json("5".into()))),
        ("JSON", V::Json("1.0".into()), Err("value_inexact")),
        ("TEXT", V::Date(0), Err("type_mismatch")),
        ("TEXT", V::I64(1), Err("type_mismatch")),
        // Text that is no UTF-8 is read as bytes as well: nobody can tell which it was, so neither is written.
        ("TEXT", V::Bytes(vec![0xff]), Err("charset_unrepresentable")),
        ("TEXT", V::Bytes(vec![0x61]), Ok(V::Bytes(vec![0x61]))),
        ("DATE_TEXT", text("soon"), Err("type_mismatch")),
        ("DATE", text("soon"), Ok(text("soon"))),
        ("BLOB", V::Uuid([7; 16]), Ok(V::Bytes(vec![7; 16]))),
        ("", V::F64(-0.0), Ok(V::F64(-0.0))),
        ("", V::Date(0), Err("type_mismatch")),
        ("", V::Large(9), Err("value_too_large")),
    ];
    for (declared, value, want) in cases {
        assert_eq!(into_column(declared, value.clone()).await, want, "{value:?} into {declared}");
    }
}

#[tokio::test]
async fn each_value_of_a_file_is_read_by_its_own_storage_class() {
    let files = Files::new();
    files.script(
        "s.db",
        "CREATE TABLE t (i INTEGER, b BOOLEAN, d NUMERIC(10,2), w DATETIME, j JSON, u UUID, x, s TEXT);
         INSERT INTO t VALUES ('abc', 2, 0.99, '2024-02-29T13:04:05Z', '{bad', 'NOT-A-UUID', 1.5, CAST(x'ff41' AS TEXT));
         INSERT INTO t VALUES (1.5, 1, 'many', '2024-02-29 13:04:05.25', '[1]', '00000000-0000-0000-0000-000000000001', x'00', 7);
         INSERT INTO t VALUES (x'01', 'yes', 5, 1700000000, 7, x'0102', 'z', NULL);",
    );
    let mut source = files.source("s.db").await;
    let t = table(&mut *source, "t").await;
    let mut snapshot = source.snapshot().await.unwrap();
    let mut one = [0; 16];
    one[15] = 1;
    let dec = |s: &str| V::Decimal(s.into());
    let json = |s: &str| V::Json(s.into());
    let want = vec![
        vec![
            text("abc"),
            V::I64(2),
            dec("0.99"),
            text("2024-02-29T13:04:05Z"),
            text("{bad"),
            text("NOT-A-UUID"),
            V::F64(1.5),
            V::Bytes(vec![0xff, 0x41]),
        ],
        vec![
            V::F64(1.5),
            V::Bool(true),
            text("many"),
            V::Timestamp(1_709_211_845_250_000),
            json("[1]"),
            V::Uuid(one),
            V::Bytes(vec![0]),
            text("7"),
        ],
        vec![V::Bytes(vec![1]), text("yes"), dec("5"), V::I64(1_700_000_000), json("7"), V::Bytes(vec![1, 2]), text("z"), V::Null],
    ];
    assert_eq!(read(&mut *snapshot, request(&t)).await, want);
}

#[tokio::test]
async fn types_declared_by_others_are_understood() {
    let int = T::Int { bits: 64, unsigned: false };
    let varchar = |n| T::Text { chars_max: Some(n), fixed: false };
    let cases = [
        ("NVARCHAR(200)", varchar(200)),
        ("NUMERIC(10,2)", T::Decimal { limits: Some((10, 2)) }),
        ("DATETIME", T::Timestamp { digits: 6 }),
        ("INTEGER", int.clone()),
        ("INT UNSIGNED", int.clone()),
        ("TINYINT(1)", int),
        ("double precision", T::Float { bits: 64 }),
        ("character  varying ( 7 )", varchar(7)),
        ("", T::Any),
        ("geopoly", T::Any),
    ];
    for (declared, want) in cases {
        let files = Files::new();
        files.script("s.db", &format!("CREATE TABLE t (v {declared})"));
        let mut source = files.source("s.db").await;
        assert_eq!(table(&mut *source, "t").await.columns[0].logical, want, "{declared}");
    }
}
