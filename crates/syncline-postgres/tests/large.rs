//! Values above the limit never travel whole.

use syncline_connector::{ReadForm, ReadRequest};
use syncline_model::Value;

use crate::steps::{database, discovered, load_raw, raw, read, request, source};

const LARGE: &str = "
CREATE TABLE big (id bigint PRIMARY KEY, t text, b bytea, j jsonb, a text[]);
INSERT INTO big SELECT i, repeat('ü', i), decode(repeat('ab', i), 'hex'), jsonb_build_object('k', repeat('y', i)), ARRAY[repeat('z', i)]
  FROM unnest(ARRAY[1, 5000, 200000, 3000000]) i;
INSERT INTO big (id) VALUES (0);";

// rule: R25
// case: A20
#[tokio::test]
async fn a_value_above_the_limit_is_read_as_its_length() {
    let db = database().await;
    db.execute(LARGE).await;
    let table = discovered(&db, "big").await;
    let mut snapshot = source(db.url()).await.snapshot().await.unwrap();
    for form in [ReadForm::Values, ReadForm::Text] {
        let rows = read(&mut *snapshot, ReadRequest { large_over: 100_000, ..request(&table, form) }).await;
        assert_eq!(rows[0][1..], [Value::Null, Value::Null, Value::Null, Value::Null]);
        let large = |row: &[Value]| row.iter().filter(|v| matches!(v, Value::Large(_))).count();
        assert_eq!((large(&rows[1]), large(&rows[2])), (0, 0));
        let lengths = |row: &[Value]| row[1..].iter().map(|v| if let Value::Large(n) = v { *n } else { 0 }).collect::<Vec<_>>();
        assert_eq!(lengths(&rows[3]), [400_000, 200_000, 200_009, 200_002]);
    }
}

// rule: R25
#[tokio::test]
async fn raw_rows_with_large_values_come_last_in_slices_and_arrive_whole() {
    let db = database().await;
    db.execute(LARGE).await;
    let table = discovered(&db, "big").await;
    let mut snapshot = source(db.url()).await.snapshot().await.unwrap();
    let asked = ReadRequest { large_over: 100_000, order: Vec::new(), ..request(&table, ReadForm::Raw) };
    let chunks = raw(&mut *snapshot, asked).await;
    assert_eq!(chunks.iter().map(|c| c.rows).sum::<u64>(), 5);
    // Only the array, which cannot be sliced, is longer than a slice and a batch.
    let long = chunks.iter().filter(|c| c.bytes.len() > 400_000).count();
    assert!(long <= 1, "{:?}", chunks.iter().map(|c| c.bytes.len()).collect::<Vec<_>>());

    load_raw(&db, &table, "big2", chunks).await;
    assert_eq!(db.scalar("SELECT count(*) FROM (TABLE big EXCEPT TABLE big2) x").await, "0");
    assert_eq!(db.scalar("SELECT count(*) FROM big2").await, "5");
}
