//! Values from table to batch to table: nothing is lost, rounded or reinterpreted on the way.

use syncline_connector::ReadForm;
use syncline_model::{Value, ValueRef};

use crate::steps::{begin, copy_into, database, discovered, load_raw, raw, request, source, values, write_of};

const EVERYTHING: &str = "
CREATE TYPE mood AS ENUM ('sad', 'we''ird \"one\"', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE everything (
  id bigint PRIMARY KEY, b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, n2 numeric(12,2),
  t text, vc varchar(10), ch char(5), nm name, by bytea, bi bit(9), vb varbit, u uuid, d date, ti time, ti3 time(3), ts timestamp,
  tz timestamptz, ts0 timestamp(0), iv interval, js json, jb jsonb, m mood, p positive, arr int[], tarr text[], ip inet, rng int4range,
  pr pair, mo money, tt timetz, pt point, x xml, ma mood[], g bigint GENERATED ALWAYS AS (id * 2) STORED);";

const ROWS: &str = r#"
INSERT INTO everything VALUES
 (1, true, -32768, -2147483648, -9223372036854775808, 'NaN', '-0', 'NaN', 0.10, '', 'äöü€😀', 'ab', 'name', '\x00ff', B'101010101', B'',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '4713-01-01 BC', '00:00', '23:59:59.999', '4713-01-01 00:00:00 BC', '-infinity', '2024-02-29 13:04:05',
  '1 year -2 months 3 days -04:05:06.000007', '{"a": 1, "a" : 2}', '{"b": 1.10, "a": "ü"}', 'sad', 5, '{1,NULL,3}', '{"a,b",NULL,"","c\\\"d"}',
  '192.168.0.1/24', '[1,10)', '(1,"x,y")', '$12.34', '12:00:00+02', '(1.5,2)', '<a/>', '{sad,"we''ird \"one\""}'),
 (2, false, 32767, 2147483647, 9223372036854775807, 'Infinity', 1e300, '-12345678901234567890.12345678900', -9999999999.99,
  E'line\nbreak\ttab\\back"quote''', 'x', '', '', '', B'000000000', B'1', '00000000-0000-0000-0000-000000000000', '5874897-12-31', '24:00',
  '00:00:00.001', '294276-12-31 23:59:59.999999', 'infinity', '0001-01-01', '0', '  [1, 2 ]', '[]', 'happy', NULL, '{}', '{}', '::1', 'empty',
  '(,)', '$-1.00', '00:00:00-15:59', '(-0,1e-300)', '', '{}'),
 (3, NULL, 0, 0, 0, 1.1754944e-38, 5e-324, 0.000, 0, 'ω', 'é', 'abcde', NULL, '\xdeadbeef', B'111111111', B'10101', NULL, 'infinity',
  '12:34:56.789012', '12:34:56.789', '1969-12-31 23:59:59.999999', '1900-01-01 00:00:00+00', NULL, '-178956970 years', 'null', 'null',
  'we''ird "one"', 1, '{{1,2},{3,4}}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO everything (id) VALUES (4);"#;

// case: H4, H6, H8, H10
#[tokio::test]
async fn every_type_arrives_as_it_left_and_a_second_copy_changes_nothing() {
    let (from, to) = (database().await, database().await);
    from.execute(&format!("{EVERYTHING}{ROWS}")).await;
    to.execute(EVERYTHING).await;
    let table = discovered(&from, "everything").await;
    let rows = values(&from, "everything").await;
    assert_eq!(rows.len(), 4);
    // The generated column is read, never written.
    let written: Vec<Vec<Value>> = rows.iter().map(|r| r[..r.len() - 1].to_vec()).collect();
    let applied = copy_into(&to, &table, &written).await;
    assert_eq!((applied.outcomes[0].created, applied.outcomes[0].rejects.len()), (4, 0));
    let all = "SELECT e::text FROM everything e ORDER BY id";
    assert_eq!(to.query(all).await, from.query(all).await);
    let again = copy_into(&to, &table, &written).await;
    assert_eq!((again.outcomes[0].unchanged, again.outcomes[0].updated), (4, 0));
}

// Without the columns that force lines of text, rows go in binary: another encoder, the same values.
// case: H4, H6, H8, H10
#[tokio::test]
async fn rows_in_binary_arrive_as_they_left_and_a_second_copy_changes_nothing() {
    use syncline_postgres::native::{Wire, wire};
    let (from, to) = (database().await, database().await);
    from.execute(&format!("{EVERYTHING}{ROWS}")).await;
    to.execute(EVERYTHING).await;
    let mut table = discovered(&from, "everything").await;
    table.columns.retain(|c| wire(c) != Wire::AsText && !c.generated);
    assert!(table.columns.len() > 25);
    let mut snapshot = source(from.url()).await.snapshot().await.unwrap();
    let rows = crate::steps::read(&mut *snapshot, request(&table, ReadForm::Values)).await;
    for counts in [(4, 0), (0, 4)] {
        let applied = copy_into(&to, &table, &rows).await;
        assert_eq!((applied.outcomes[0].created, applied.outcomes[0].unchanged), counts);
    }
    let names = table.columns.iter().map(|c| format!("\"{}\"", c.name)).collect::<Vec<_>>().join(", ");
    let all = format!("SELECT {names} FROM everything ORDER BY id");
    assert_eq!(to.query(&all).await, from.query(&all).await);
}

#[tokio::test]
async fn decoded_cells_are_what_the_table_holds() {
    let db = database().await;
    db.execute(&format!("{EVERYTHING}{ROWS}")).await;
    let table = discovered(&db, "everything").await;
    let rows = values(&db, "everything").await;
    let cell = |row: usize, name: &str| rows[row][table.columns.iter().position(|c| c.name == name).unwrap()].clone();
    let other = |type_name: &str, text: &str| Value::Other { type_name: type_name.into(), text: text.into() };
    assert_eq!(cell(0, "n"), Value::Decimal("NaN".into()));
    assert_eq!(cell(0, "n2"), Value::Decimal("0.10".into()));
    assert_eq!(cell(2, "n"), Value::Decimal("0.000".into()));
    assert!(matches!(cell(0, "f8").view(), ValueRef::F64(x) if x == 0.0 && x.is_sign_negative()));
    assert_eq!(cell(0, "iv"), Value::Interval { months: 10, days: 3, micros: -14_706_000_007 });
    assert_eq!(cell(0, "js"), Value::Json("{\"a\": 1, \"a\" : 2}".into()));
    assert_eq!(cell(0, "jb"), Value::Json("{\"a\": \"ü\", \"b\": 1.10}".into()));
    assert_eq!(cell(0, "tz"), other("timestamptz", "-infinity"));
    assert_eq!(cell(1, "ts"), other("timestamp", "294276-12-31 23:59:59.999999"));
    assert_eq!(cell(2, "d"), other("date", "infinity"));
    assert_eq!(cell(0, "d"), Value::Date(syncline_model::civil::parse_date("4713-01-01 BC").unwrap()));
    assert_eq!(cell(0, "bi"), Value::Text("101010101".into()));
    assert_eq!(cell(1, "m"), Value::Text("happy".into()));
    assert_eq!(cell(0, "arr"), other("integer[]", "{1,NULL,3}"));
    assert_eq!(cell(0, "ip"), other("inet", "192.168.0.1/24"));
    assert_eq!(cell(0, "g"), Value::I64(2));
    assert_eq!(cell(3, "t"), Value::Null);
}

// The independent path of `verify` gives the server's own text of every cell.
#[tokio::test]
async fn the_text_form_is_the_servers_own_text() {
    let db = database().await;
    db.execute(&format!("{EVERYTHING}{ROWS}")).await;
    let table = discovered(&db, "everything").await;
    let mut snapshot = source(db.url()).await.snapshot().await.unwrap();
    let rows = crate::steps::read(&mut *snapshot, request(&table, ReadForm::Text)).await;
    let at = |name: &str| table.columns.iter().position(|c| c.name == name).unwrap();
    assert_eq!(rows[0][at("n2")], Value::Text("0.10".into()));
    assert_eq!(rows[0][at("tz")], Value::Text("-infinity".into()));
    assert_eq!(rows[0][at("iv")], Value::Text("P10M3DT-4H-5M-6.000007S".into()));
    assert_eq!(rows[0][at("by")], Value::Bytes(vec![0, 255]));
}

#[tokio::test]
async fn raw_rows_fill_a_new_table_undecoded() {
    let db = database().await;
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, s text, j jsonb); INSERT INTO t SELECT i, repeat('x', 50), '{\"a\": 1}' FROM generate_series(1, 5000) i")
        .await;
    let table = discovered(&db, "t").await;
    let mut snapshot = source(db.url()).await.snapshot().await.unwrap();
    let chunks = raw(&mut *snapshot, syncline_connector::ReadRequest { order: Vec::new(), ..request(&table, ReadForm::Raw) }).await;
    assert!(chunks.len() > 3);
    assert_eq!(chunks.iter().map(|c| c.rows).sum::<u64>(), 5000);

    let applied = load_raw(&db, &table, "t2", chunks).await;
    assert_eq!(applied.outcomes[0].created, 5000);
    assert_eq!(db.scalar("SELECT count(*) FROM t JOIN t2 USING (id, s, j)").await, "5000");
}

#[tokio::test]
async fn an_empty_table_has_no_raw_chunk() {
    let db = database().await;
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY)").await;
    let table = discovered(&db, "t").await;
    let mut snapshot = source(db.url()).await.snapshot().await.unwrap();
    assert_eq!(raw(&mut *snapshot, request(&table, ReadForm::Raw)).await, []);
}

// rule: R21
#[tokio::test]
async fn what_only_the_server_can_judge_is_set_aside_row_by_row() {
    let db = database().await;
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, tags int[], n int)").await;
    let table = discovered(&db, "t").await;
    let tags = |text: &str| Value::Other { type_name: "x".into(), text: text.into() };
    let rows = vec![
        vec![Value::I64(1), tags("{1,2}"), Value::I64(1)],
        vec![Value::I64(2), tags("{1,oops}"), Value::I64(1)],
        vec![Value::I64(3), tags("{3}"), Value::I64(1 << 40)],
        vec![Value::I64(4), tags("nonsense"), Value::Null],
        vec![Value::I64(5), Value::Null, Value::Null],
    ];
    let mut run = begin(&db, write_of(&table)).await;
    let rejects = run.stage(0, &crate::steps::batch(&rows)).await.expect("stage");
    let mut told: Vec<(Value, &str, Option<&str>)> = rejects.iter().map(|r| (r.row[0].clone(), r.code, r.column.as_deref())).collect();
    told.sort_by_key(|t| format!("{:?}", t.0));
    assert_eq!(
        told,
        [
            (Value::I64(2), "value_invalid", Some("tags")),
            (Value::I64(3), "value_out_of_range", Some("n")),
            (Value::I64(4), "value_invalid", Some("tags")),
        ]
    );
    run.apply().await.expect("apply");
    run.commit().await.expect("commit");
    assert_eq!(db.scalar("SELECT string_agg(id::text, ',' ORDER BY id) FROM t").await, "1,5");
}
