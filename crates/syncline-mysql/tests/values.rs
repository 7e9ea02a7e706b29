//! Every type there and back, with the values at its edges.

use syncline_model::Value;

use crate::world::{fresh, rows, table, write};

/// The types with three rows each: lowest, highest, something in between.
const EVERY_TYPE: &str = "
CREATE TABLE every (
  id BIGINT PRIMARY KEY,
  b1 TINYINT(1) NULL, t TINYINT UNSIGNED NULL, s SMALLINT NULL, m MEDIUMINT NULL, i INT NULL, ib BIGINT UNSIGNED NULL,
  d DECIMAL(65,30) NULL, dz DECIMAL(10,3) ZEROFILL NULL, f FLOAT NULL, g DOUBLE NULL,
  bit1 BIT(1) NULL, bit64 BIT(64) NULL, y YEAR NULL,
  da DATE NULL, ti TIME(6) NULL, dt DATETIME(6) NULL, ts TIMESTAMP(6) NULL,
  c CHAR(5) NULL, v VARCHAR(20) NULL, tx LONGTEXT NULL,
  bi BINARY(3) NULL, vb VARBINARY(10) NULL, bl LONGBLOB NULL,
  e ENUM('a','b''c','') NULL, st SET('x','y','z') NULL, j JSON NULL, p POINT NULL, u UUID NULL, ip INET6 NULL
) DEFAULT CHARACTER SET utf8mb4;
INSERT INTO every VALUES
 (-9223372036854775808, 0, 0, -32768, -8388608, -2147483648, 0,
  -99999999999999999999999999999999999.999999999999999999999999999999, 0, -3.4028234663852886e38, -1.7976931348623157e308,
  b'0', b'0', 0, '0001-01-01', '-838:59:59', '0001-01-01 00:00:00', '1970-01-01 00:00:01',
  '', '', '', x'000000', '', '', '', '', '{}', POINT(0,0), '00000000-0000-0000-0000-000000000000', '::'),
 (0, NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),
 (9223372036854775807, 2, 255, 32767, 8388607, 2147483647, 18446744073709551615,
  99999999999999999999999999999999999.999999999999999999999999999999, 1234567.891, 16777216, 5e-324,
  b'1', ~0, 2155, '9999-12-31', '838:59:59', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07.999999',
  'abc', ' 😀\\\\''\"\\n ', 'x\\0y', x'0100ff', x'00ff27005c', x'27', 'b''c', 'x,z', '{\"b\": 1.10, \"a\": [\"é\"]}', POINT(1.5,-2),
  '123e4567-e89b-12d3-a456-426614174000', '2001:db8::1');
";

// case: H5, H15, H28
// rule: R10
#[tokio::test]
async fn every_type_comes_back_exactly_after_a_staged_write() {
    let here = fresh(EVERY_TYPE).await;
    let there = fresh(EVERY_TYPE).await;
    there.execute("DELETE FROM every").await;
    let sent = rows(&here, "every").await;
    let (refused, applied) = write(&there, "every", &sent).await;
    assert_eq!(refused, []);
    assert_eq!((applied.outcomes[0].created, applied.outcomes[0].rejects.len()), (3, 0));
    assert_eq!(rows(&there, "every").await, sent);
    // A second write of the same rows finds every value equal.
    let (_, again) = write(&there, "every", &sent).await;
    assert_eq!((again.outcomes[0].unchanged, again.outcomes[0].updated), (3, 0));
    let text = |db: syncline_testkit::Database| async move {
        db.query("SELECT id, b1, t, ib, d, f, g, HEX(bit64), y, da, ti, dt, ts, c, v, HEX(tx), HEX(bl), e, st, j, HEX(p), u, ip FROM every ORDER BY id").await
    };
    assert_eq!(text(here).await, text(there).await);
}

// rule: R10
// case: H5, H15, H4
#[tokio::test]
async fn values_arrive_as_what_they_are() {
    let db = fresh(EVERY_TYPE).await;
    let table = table(&db, "every").await;
    let rows = rows(&db, "every").await;
    let cell = |row: usize, name: &str| {
        let at = table.columns.iter().position(|c| c.name == name).expect("column");
        rows[row][at].clone()
    };
    assert_eq!(cell(2, "f"), Value::F64(16_777_216.0));
    assert_eq!(cell(2, "ib"), Value::U64(u64::MAX));
    assert_eq!(cell(2, "b1"), Value::I64(2));
    assert_eq!(cell(0, "y"), Value::I64(0));
    assert_eq!(cell(2, "bit64"), Value::Text("1".repeat(64)));
    assert_eq!(cell(2, "dz"), Value::Decimal("1234567.891".into()));
    assert_eq!(cell(0, "dz"), Value::Decimal("0.000".into()));
    assert_eq!(cell(2, "ti"), Value::Interval { months: 0, days: 0, micros: 3_020_399_000_000 });
    assert_eq!(cell(2, "g"), Value::F64(5e-324));
    assert_eq!(cell(2, "ts"), Value::TimestampTz(2_147_483_647_999_999));
    assert_eq!(cell(2, "j"), Value::Json("{\"b\": 1.10, \"a\": [\"é\"]}".into()));
    assert!(matches!(cell(2, "u"), Value::Uuid(_)));
    assert!(rows[1][1..].iter().all(Value::is_null));
}

// case: H1
#[tokio::test]
async fn zero_dates_travel_between_two_servers_and_year_nine_survives() {
    let ddl = "CREATE TABLE z (id INT PRIMARY KEY, d DATE NULL, t DATETIME(3) NULL, s TIMESTAMP NULL)";
    let here = fresh(&format!(
        "{ddl}; SET sql_mode=''; INSERT INTO z VALUES (1,'0000-00-00','0000-00-00','0000-00-00'), (2,'2024-00-10','2024-01-00 10:00:00',NULL), \
         (3,'0009-12-04','0009-12-04 00:00:00.5',NULL)"
    ))
    .await;
    let there = fresh(ddl).await;
    let sent = rows(&here, "z").await;
    let other = |kind: &str, text: &str| Value::Other { type_name: kind.into(), text: text.into() };
    assert_eq!(
        sent[0][1..],
        [other("date", "0000-00-00"), other("datetime", "0000-00-00 00:00:00.000"), other("timestamp", "0000-00-00 00:00:00")]
    );
    assert_eq!(sent[1][1..3], [other("date", "2024-00-10"), other("datetime", "2024-01-00 10:00:00.000")]);
    assert!(matches!(sent[2][1], Value::Date(_)));
    let (refused, _) = write(&there, "z", &sent).await;
    assert_eq!(refused, []);
    assert_eq!(rows(&there, "z").await, sent);
}

// case: H20, H14
#[tokio::test]
async fn id_zero_stays_zero_and_an_enum_s_error_value_is_set_aside() {
    let ddl = "CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, e ENUM('x') NULL)";
    let here = fresh(&format!("{ddl}; SET sql_mode='NO_AUTO_VALUE_ON_ZERO'; INSERT INTO a VALUES (0,'x'),(1,'')")).await;
    let there = fresh(ddl).await;
    let sent = rows(&here, "a").await;
    let (refused, applied) = write(&there, "a", &sent).await;
    assert_eq!(refused.iter().map(|r| (r.code, r.column.as_deref())).collect::<Vec<_>>(), [("enum_label_unknown", Some("e"))]);
    assert_eq!(applied.outcomes[0].created, 1);
    assert_eq!(rows(&there, "a").await, [vec![Value::I64(0), Value::Text("x".into())]]);
}

// case: H11
#[tokio::test]
async fn latin1_is_transcoded_and_emoji_never_enter_utf8mb3() {
    let here = fresh("CREATE TABLE l (id INT PRIMARY KEY, v VARCHAR(10)) CHARACTER SET latin1; INSERT INTO l VALUES (1,'é€')").await;
    let sent = rows(&here, "l").await;
    assert_eq!(sent[0][1], Value::Text("é€".into()));
    let there = fresh("CREATE TABLE l (id INT PRIMARY KEY, v VARCHAR(10)) CHARACTER SET utf8mb3").await;
    let emoji = vec![Value::I64(2), Value::Text("😀".into())];
    let (refused, _) = write(&there, "l", &[sent[0].clone(), emoji]).await;
    assert_eq!(refused[0].code, "charset_unrepresentable");
    assert_eq!(rows(&there, "l").await, sent);
    assert_eq!(there.scalar("SELECT HEX(v) FROM l").await, "C3A9E282AC");
}

// case: H7, H3, H8, H2
#[tokio::test]
async fn what_the_server_would_round_or_clamp_is_set_aside_with_its_code() {
    let db = fresh("CREATE TABLE r (id INT PRIMARY KEY, d DECIMAL(10,2), t DATETIME, g DOUBLE, v VARCHAR(3), n SMALLINT)").await;
    let row = |id: i64, at: usize, v: Value| {
        let mut row = vec![Value::Null; 6];
        row[0] = Value::I64(id);
        row[at] = v;
        row
    };
    let bad = [
        (row(1, 1, Value::Decimal("1.239".into())), "value_inexact"),
        (row(2, 1, Value::Decimal("NaN".into())), "nan"),
        (row(3, 2, Value::Timestamp(1)), "value_inexact"),
        (row(4, 2, Value::Other { type_name: "timestamp".into(), text: "infinity".into() }), "invalid_date"),
        (row(5, 3, Value::F64(-0.0)), "negative_zero"),
        (row(6, 4, Value::Text("four".into())), "value_too_long"),
        (row(7, 5, Value::I64(40_000)), "value_out_of_range"),
        (row(8, 5, Value::Text("1".into())), "type_mismatch"),
        (row(9, 4, Value::Large(1 << 40)), "value_too_large"),
    ];
    let mut sent: Vec<Vec<Value>> = bad.iter().map(|(r, _)| r.clone()).collect();
    sent.push(row(10, 1, Value::Decimal("1.230".into())));
    let (refused, applied) = write(&db, "r", &sent).await;
    assert_eq!(refused.iter().map(|r| r.code).collect::<Vec<_>>(), bad.map(|(_, code)| code));
    assert_eq!(applied.outcomes[0].created, 1);
    assert_eq!(db.scalar("SELECT d FROM r").await, "1.23");
}

// rule: R21
#[tokio::test]
async fn exactly_the_uuids_that_the_server_takes_are_stored_and_the_others_set_aside() {
    let db = fresh("CREATE TABLE ids (id BIGINT PRIMARY KEY, u UUID); CREATE TABLE taken (id BIGINT PRIMARY KEY, u UUID)").await;
    let mut sent = Vec::new();
    for (a, b) in
        [0x00, 0x10, 0x4f, 0x7f, 0x80, 0x90, 0xe2, 0xff].into_iter().flat_map(|a| [0, 1, 0x28, 0x7f, 0x80, 0x81, 0xff].map(|b| (a, b)))
    {
        let id = i64::try_from(sent.len()).unwrap();
        sent.push(vec![Value::I64(id), Value::Uuid([1, 2, 3, 4, 5, 6, a, 7, b, 8, 9, 10, 11, 12, 13, 14])]);
        let insert = format!("INSERT INTO taken VALUES ({id}, '01020304-0506-{a:02x}07-{b:02x}08-090a0b0c0d0e')");
        let _ = db.try_execute(&insert).await;
    }
    let (refused, applied) = write(&db, "ids", &sent).await;
    assert!(refused.iter().all(|r| r.code == "value_out_of_range"), "{refused:?}");
    assert_eq!(applied.outcomes[0].rejects, []);
    assert!(!refused.is_empty() && refused.len() < sent.len());
    assert_eq!(rows(&db, "ids").await, rows(&db, "taken").await);
}
