//! Random rows in three systems: one row has one digest everywhere, and two rows have one digest exactly when they are equal.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use secrecy::SecretString;
use syncline::Connectors;
use syncline_connector::{Batch, ConnectionSpec, DigestColumn, DigestKind, DigestRequest, ReadForm, ReadRequest, RowStream, Segments};
use syncline_engine::Registry;
use syncline_model::{Canon, RowBatch, Value, ValueRef, canonical, civil};

use crate::rig::{Side, wait};

const ROWS: usize = 600;

/// Name, form, and type in PostgreSQL, MariaDB and SQLite.
const COLUMNS: [(&str, Canon, [&str; 3]); 9] = [
    ("n", Canon::Number, ["bigint", "bigint", "BIGINT"]),
    ("d", Canon::Number, ["numeric(24,6)", "decimal(24,6)", "DECIMAL_TEXT(24,6)"]),
    ("t", Canon::Text, ["text", "varchar(60)", "TEXT"]),
    ("p", Canon::TextPadded, ["char(8)", "char(8)", "PADDED_TEXT(8)"]),
    ("f", Canon::Float, ["double precision", "double", "DOUBLE"]),
    ("day", Canon::Date, ["date", "date", "DATE_TEXT"]),
    ("ts", Canon::Timestamp, ["timestamp", "datetime(6)", "TIMESTAMP_TEXT"]),
    ("u", Canon::Uuid, ["uuid", "binary(16)", "UUID_TEXT"]),
    ("b", Canon::Bytes, ["bytea", "varbinary(20)", "BLOB"]),
];

/// Mostly values that many rows share, so that rows are often equal, or equal but for where a field ends.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("a"),
        Just("A"),
        Just("1:a"),
        Just("~"),
        Just("é"),
        Just("e\u{301}"),
        Just("'"),
        Just("\\"),
        Just(" "),
        Just("😀")
    ];
    vec(part, 0..3).prop_map(|parts| parts.concat())
}

fn cell(column: usize) -> impl Strategy<Value = Value> {
    let value = match COLUMNS[column].0 {
        "n" => prop_oneof![4 => 0i64..3, 1 => any::<i64>()].prop_map(Value::I64).boxed(),
        "d" => prop_oneof![4 => 0i64..4, 1 => -1_000_000_000_000i64..1_000_000_000_000]
            .prop_map(|n| Value::Decimal(format!("{}{}.{:06}", if n < 0 { "-" } else { "" }, n.abs() / 4, n.abs() % 4 * 250_000)))
            .boxed(),
        "t" => text().prop_map(Value::Text).boxed(),
        "p" => text().prop_map(|t| Value::Text(t.trim_end_matches(' ').to_owned())).boxed(),
        // Eighths: doubles of the ordinary range, which all systems spell alike.
        "f" => prop_oneof![4 => 0i32..3, 1 => any::<i32>()].prop_map(|n| Value::F64(f64::from(n) / 8.0)).boxed(),
        "day" => prop_oneof![4 => 0i32..2, 1 => -719_162i32..2_932_896].prop_map(Value::Date).boxed(),
        "ts" => prop_oneof![4 => 0i64..2, 1 => -62_135_596_800_000_000i64..253_402_300_799_999_999].prop_map(Value::Timestamp).boxed(),
        "u" => prop_oneof![4 => Just([0; 16]), 1 => any::<[u8; 16]>()].prop_map(Value::Uuid).boxed(),
        _ => prop_oneof![4 => vec(0u8..2, 0..2), 1 => vec(any::<u8>(), 0..20)].prop_map(Value::Bytes).boxed(),
    };
    prop_oneof![6 => value, 1 => Just(Value::Null)]
}

fn rows() -> Vec<Vec<Value>> {
    let common = vec![Value::I64(0), Value::Decimal("0.000000".into()), Value::Text("a".into()), Value::Text("a".into())];
    let common: Vec<Value> = common
        .into_iter()
        .chain([Value::F64(0.0), Value::Date(0), Value::Timestamp(0), Value::Uuid([0; 16]), Value::Bytes(vec![0])])
        .collect();
    let mut runner = TestRunner::deterministic();
    let mut one = |column: usize| cell(column).new_tree(&mut runner).expect("a value").current();
    let row = |i: usize, one: &mut dyn FnMut(usize) -> Value| {
        let mut row = common.clone();
        // Three rows of four differ from the common one in two cells, the fourth everywhere.
        for (column, value) in row.iter_mut().enumerate() {
            if i.is_multiple_of(4) || column == i % 9 || column == i / 9 % 9 {
                *value = one(column);
            }
        }
        row
    };
    (0..ROWS).map(|i| row(i, &mut one)).collect()
}

fn literal(system: usize, v: &Value) -> String {
    let quoted = |s: &str| {
        let s = s.replace('\'', "''");
        format!("'{}'", if system == 1 { s.replace('\\', "\\\\") } else { s })
    };
    let hex = |b: &[u8]| b.iter().map(|x| format!("{x:02x}")).collect::<String>();
    match v {
        Value::Text(s) | Value::Decimal(s) => quoted(s),
        Value::Date(d) => quoted(&civil::date_text(*d)),
        Value::Timestamp(t) => quoted(&civil::timestamp_text(*t)),
        // MariaDB's own type has only UUIDs of a known version.
        Value::Uuid(u) if system == 1 => format!("x'{}'", hex(u)),
        Value::Uuid(u) => quoted(&civil::uuid_text(u)),
        Value::Bytes(b) if system == 0 => format!("'\\x{}'", hex(b)),
        Value::Bytes(b) => format!("x'{}'", hex(b)),
        Value::Null => "NULL".to_owned(),
        other => other.to_string(),
    }
}

async fn all(mut stream: Box<dyn RowStream + '_>) -> Vec<RowBatch> {
    let mut list = Vec::new();
    while let Some(batch) = stream.next().await.expect("the next batch") {
        let Batch::Rows(rows) = batch else { panic!("values were asked for") };
        list.push(rows);
    }
    list
}

/// Row number → (digest, canonical bytes), as a system gives them.
async fn seen(side: &Side) -> BTreeMap<i64, (i64, Vec<u8>)> {
    let connector = Connectors.connector(side.kind()).expect("a connector");
    let spec = ConnectionSpec { name: "rows".into(), url: SecretString::from(side.url()), schema: None, flavor: None, memory: 8 << 20 };
    let mut source = connector.source(&spec).await.expect("a source");
    let table = source.discover().await.expect("a catalogue").tables.into_iter().find(|t| t.name.name == "t").expect("the table");
    let mut snapshot = source.snapshot().await.expect("a snapshot");
    let names: Vec<String> = std::iter::once("id").chain(COLUMNS.iter().map(|c| c.0)).map(str::to_owned).collect();
    let column = |name: &str, canon| DigestColumn { name: name.to_owned(), canon, hashed: false };
    let request = DigestRequest {
        table: table.clone(),
        key: vec![column("id", Canon::Number)],
        columns: COLUMNS.iter().map(|(name, canon, _)| column(name, *canon)).collect(),
        kind: DigestKind::Canonical,
        segments: Segments::Ranges { column: "id".into(), size: 1_000_000 },
        filter: Vec::new(),
    };
    let number = |v: ValueRef<'_>| match v {
        ValueRef::I64(n) => n,
        other => panic!("a number, not {other:?}"),
    };
    let hashes = all(snapshot.row_hashes(&request, &[0]).await.expect("hashes")).await;
    let hashes: BTreeMap<i64, i64> = hashes.iter().flat_map(RowBatch::rows).map(|r| (number(r.get(0)), number(r.get(1)))).collect();
    let read = ReadRequest {
        table,
        columns: names,
        filter: Vec::new(),
        order: Vec::new(),
        form: ReadForm::Values,
        batch_bytes: 1 << 20,
        large_over: u64::MAX,
    };
    let rows = all(snapshot.read(read).await.expect("rows")).await;
    let bytes = rows.iter().flat_map(RowBatch::rows).map(|r| {
        let mut bytes = Vec::new();
        COLUMNS.iter().enumerate().for_each(|(i, (_, canon, _))| canonical::write(&mut bytes, r.get(i + 1), *canon));
        let id = number(r.get(0));
        (id, (hashes[&id], bytes))
    });
    bytes.collect()
}

// rule: R9, R12
#[test]
fn rows_have_one_digest_in_all_systems_exactly_when_they_are_equal() {
    let folder = tempfile::tempdir().unwrap();
    let sides = [Side::postgres(), Side::mariadb(), Side::sqlite(folder.path(), "t.db")];
    let rows = rows();
    for (system, side) in sides.iter().enumerate() {
        let columns: Vec<String> = COLUMNS.iter().map(|(name, _, types)| format!("{name} {} NULL", types[system])).collect();
        side.execute(&format!("CREATE TABLE t (id int PRIMARY KEY, {})", columns.join(", ")));
        let values: Vec<String> = rows
            .iter()
            .enumerate()
            .map(|(id, row)| format!("({id}, {})", row.iter().map(|v| literal(system, v)).collect::<Vec<_>>().join(", ")))
            .collect();
        side.execute(&format!("INSERT INTO t VALUES {}", values.join(", ")));
    }
    let seen = sides.each_ref().map(|side| wait(seen(side)));
    assert_eq!(seen[0].len(), ROWS);
    for (id, row) in rows.iter().enumerate() {
        let id = i64::try_from(id).unwrap();
        assert_eq!(seen[0][&id], seen[1][&id], "MariaDB: {row:?}");
        assert_eq!(seen[0][&id], seen[2][&id], "SQLite: {row:?}");
    }
    let (mut by_hash, mut by_bytes) = (BTreeMap::new(), BTreeMap::new());
    for (hash, bytes) in seen[0].values() {
        assert_eq!(by_hash.entry(hash).or_insert(bytes), &bytes, "different rows with one digest");
        assert_eq!(by_bytes.entry(bytes).or_insert(hash), &hash, "equal rows with different digests");
    }
    assert!((ROWS / 4..ROWS - 50).contains(&by_hash.len()), "{} different rows", by_hash.len());
}
