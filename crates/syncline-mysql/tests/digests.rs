//! Digests: the canonical form, and what must never hide behind one.

use syncline_connector::{DigestColumn, DigestKind, DigestRequest, SegmentDigest, Segments};
use syncline_model::{Canon, Engine, Table, Value};
use syncline_testkit::Database;

use crate::world::{collect, fresh, rows, snapshot, table};

pub fn digest(table: &Table, segments: Segments) -> DigestRequest {
    let column = |name: &String| {
        let c = table.column(name).expect("column");
        let canon = Canon::for_pair((c, Engine::Mysql), (c, Engine::Mysql));
        DigestColumn { name: name.clone(), canon, hashed: c.native.contains("text") || c.native.contains("blob") }
    };
    let all: Vec<String> = table.columns.iter().map(|c| c.name.clone()).collect();
    DigestRequest {
        table: table.clone(),
        key: table.primary_key.iter().map(column).collect(),
        columns: all.iter().map(column).collect(),
        kind: DigestKind::Canonical,
        segments,
        filter: vec![],
    }
}

async fn answer(db: &Database, request: &DigestRequest) -> Vec<SegmentDigest> {
    snapshot(db).await.digest(request).await.expect("digest")
}

fn by_id(size: u64) -> Segments {
    Segments::Ranges { column: "id".into(), size }
}

// rule: R3
#[tokio::test]
async fn two_like_edits_in_one_segment_do_not_cancel_out() {
    let db = fresh("CREATE TABLE t (id INT PRIMARY KEY, at DATETIME, v VARCHAR(20))").await;
    db.execute("INSERT INTO t SELECT seq, '2024-01-01', CONCAT('v', seq) FROM seq_1_to_1000").await;
    let request = digest(&table(&db, "t").await, by_id(1000));
    let before = answer(&db, &request).await;
    db.execute("UPDATE t SET at = '2024-06-01' WHERE id IN (10, 20)").await;
    let after = answer(&db, &request).await;
    assert_ne!(before[0].hash, after[0].hash);
    assert_eq!((before[0].rows, before[0].hashed, before[1].id, before[1].rows), (999, 999, 1, 1));
}

// rule: R4
// case: H1
#[tokio::test]
async fn zero_dates_and_twenty_megabytes_have_a_hash_and_nulls_keep_their_place() {
    let db = fresh(
        "CREATE TABLE t (id INT PRIMARY KEY, d DATE NULL, t DATETIME(6) NULL, a VARCHAR(5) NULL, b VARCHAR(5) NULL, x LONGTEXT NULL, y LONGTEXT NULL);
         SET sql_mode='ALLOW_INVALID_DATES';
         INSERT INTO t VALUES (1,'0000-00-00','2024-00-10',NULL,'a',NULL,NULL), (2,'2024-01-01','2024-01-01','a',NULL,NULL,NULL), (4,'2024-02-30','2024-02-31',NULL,NULL,NULL,NULL), (5,'2024-02-29','2024-03-31',NULL,NULL,NULL,NULL)",
    )
    .await;
    // Together more than max_allowed_packet: no statement could hold the row's text.
    db.execute("INSERT INTO t (id, x) VALUES (3, REPEAT('x', 12000000)); UPDATE t SET y = REPEAT('é', 6000000) WHERE id = 3").await;
    let request = digest(&table(&db, "t").await, by_id(1));
    let got = answer(&db, &request).await;
    assert_eq!(got.iter().map(|s| (s.id, s.rows, s.hashed)).collect::<Vec<_>>(), [(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 1, 1), (5, 1, 1)]);
    db.execute("UPDATE t SET d = '2024-03-01', t = '2024-03-02' WHERE id = 4").await;
    assert_ne!(answer(&db, &request).await[3].hash, got[3].hash, "a day that does not exist is not the one after");
    db.execute("UPDATE t SET a = 'a', b = NULL, d = '0000-00-00', t = '2024-00-10' WHERE id = 1").await;
    assert_ne!(answer(&db, &request).await[0].hash, got[0].hash);
}

// rule: R9
#[tokio::test]
async fn case_scale_and_trailing_spaces_count() {
    let db = fresh("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9), f FLOAT, g DOUBLE); INSERT INTO t VALUES (1,'abc',1,1)").await;
    let request = digest(&table(&db, "t").await, by_id(10));
    let mut seen = vec![answer(&db, &request).await[0].hash];
    for change in ["v = 'ABC'", "v = 'ABC '", "f = 16777216", "f = 16777218", "g = 1.0000000000000002"] {
        db.execute(&format!("UPDATE t SET {change}")).await;
        seen.push(answer(&db, &request).await[0].hash);
    }
    let mut distinct = seen.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), seen.len());
}

// rule: R12
#[tokio::test]
async fn the_row_hash_is_the_md5_of_the_documented_text() {
    let db = fresh(
        "CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY, d DECIMAL(10,3), b BIT(4), y YEAR, da DATE, dt DATETIME(6), ts TIMESTAMP(6), ti TIME(6),
           v VARCHAR(20) CHARACTER SET latin1, bl BLOB, j JSON, e ENUM('x','y'), n INT, g DOUBLE, f FLOAT, z DECIMAL(10,2), u UUID);
         INSERT INTO t VALUES (18446744073709551615, 1.500, b'101', 2024, '1969-12-31', '1970-01-01 00:00:01.5', '2024-02-29 12:00:00',
           '-01:00:00.25', 'é', x'00ff', '{\"a\": 1}', 'y', NULL, 1e20, 0.1, 100, '123E4567-e89b-12d3-a456-426614174000')",
    )
    .await;
    let table = table(&db, "t").await;
    let mut request = digest(&table, Segments::Buckets { digits: 2 });
    for c in &mut request.columns {
        if c.name == "u" {
            c.canon = Canon::Uuid;
        }
    }
    let md5 = |text: &str| {
        let sql = format!("SELECT MD5({text})");
        let db = db.clone();
        async move { db.scalar(&sql).await }
    };
    let (bytes, json) = (md5("x'00ff'").await, md5("'{\"a\": 1}'").await);
    let parts = [
        "18446744073709551615",
        "1.5",
        "0101",
        "2024",
        "-1",
        "1500000",
        "1709208000000000",
        "-3600250000",
        "é",
        &bytes,
        &json,
        "y",
        "~",
        "1e20",
        "0.10000000149011612",
        "100",
        "123e4567e89b12d3a456426614174000",
    ];
    let text: String = parts.iter().map(|p| if *p == "~" { "~".to_owned() } else { format!("{}:{p}", p.len()) }).collect();
    let want = u64::from_str_radix(&md5(&format!("'{text}'")).await[..16], 16).expect("hex");
    let bucket = i64::from_str_radix(&md5("'20:18446744073709551615'").await[..2], 16).expect("hex");
    let got = answer(&db, &request).await;
    assert_eq!(got, [SegmentDigest { id: bucket, rows: 1, hashed: 1, hash: want }]);
    let mut view = snapshot(&db).await;
    let hashes = collect(view.row_hashes(&request, &[bucket]).await.expect("hashes")).await.expect("rows");
    assert_eq!(hashes, [vec![Value::U64(u64::MAX), Value::I64(want.cast_signed())]]);
    assert_eq!(collect(view.row_hashes(&request, &[bucket + 1]).await.expect("hashes")).await.expect("rows"), Vec::<Vec<Value>>::new());
}

// rule: R15
#[tokio::test]
async fn segments_divide_toward_zero_and_row_hashes_belong_to_them() {
    let db =
        fresh("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t SELECT CAST(seq AS SIGNED) - 50, seq FROM seq_1_to_100").await;
    let request = digest(&table(&db, "t").await, by_id(10));
    let got = answer(&db, &request).await;
    assert_eq!(
        got.iter().map(|s| (s.id, s.rows)).collect::<Vec<_>>(),
        [(-4, 10), (-3, 10), (-2, 10), (-1, 10), (0, 19), (1, 10), (2, 10), (3, 10), (4, 10), (5, 1)]
    );
    let mut view = snapshot(&db).await;
    for segment in &got {
        let hashes = collect(view.row_hashes(&request, &[segment.id]).await.expect("hashes")).await.expect("rows");
        let xor = hashes.iter().fold(0_u64, |x, r| match r[1] {
            Value::I64(n) => x ^ n.cast_unsigned(),
            _ => panic!("a hash"),
        });
        assert_eq!((hashes.len() as u64, xor), (segment.rows, segment.hash), "segment {}", segment.id);
    }
    assert_eq!(rows(&db, "t").await.len(), 100);
}
