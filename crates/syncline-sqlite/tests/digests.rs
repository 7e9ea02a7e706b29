//! Digests: golden rows, edits that must be seen, segments.

use syncline_connector::{DigestColumn, DigestKind, DigestRequest, Segments, Snapshot};
use syncline_model::schema::Index;
use syncline_model::{Canon, Engine, Table, Value as V};

use crate::support::*;

fn ask(table: &Table, kind: DigestKind, segments: Segments) -> DigestRequest {
    let column = |name: &String| {
        let c = table.column(name).unwrap();
        DigestColumn { name: name.clone(), canon: Canon::for_pair((c, Engine::Sqlite), (c, Engine::Sqlite)), hashed: false }
    };
    let all: Vec<String> = table.columns.iter().map(|c| c.name.clone()).collect();
    DigestRequest {
        table: table.clone(),
        key: table.primary_key.iter().map(column).collect(),
        columns: all.iter().map(column).collect(),
        kind,
        segments,
        filter: Vec::new(),
    }
}

fn ranges(size: u64) -> Segments {
    Segments::Ranges { column: "id".into(), size }
}

async fn hashes(snapshot: &mut dyn Snapshot, request: &DigestRequest, segments: &[i64]) -> Vec<Vec<V>> {
    drain(snapshot.row_hashes(request, segments).await.unwrap()).await.unwrap()
}

// rule: R12
#[tokio::test]
async fn the_row_hash_is_the_md5_of_the_specified_row_text() {
    let files = Files::new();
    files.script(
        "s.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, d NUMERIC(10,2), n TEXT, w DATE); INSERT INTO t VALUES (7, 1.50, NULL, '1970-01-02')",
    );
    let mut source = files.source("s.db").await;
    let t = table(&mut *source, "t").await;
    let mut snapshot = source.snapshot().await.unwrap();
    let request = ask(&t, DigestKind::Canonical, ranges(100));
    // md5("1:73:1.5~1:1") begins with these digits.
    let want = u64::from_str_radix(&md5_hex("1:73:1.5~1:1")[..16], 16).unwrap();
    let digest = snapshot.digest(&request).await.unwrap();
    assert_eq!((digest.len(), digest[0].id, digest[0].rows, digest[0].hashed, digest[0].hash), (1, 0, 1, 1, want));
    assert_eq!(hashes(&mut *snapshot, &request, &[0]).await, [[V::I64(7), V::I64(want.cast_signed())]]);
    let buckets = ask(&t, DigestKind::Canonical, Segments::Buckets { digits: 2 });
    let id = i64::from_str_radix(&md5_hex("1:7")[..2], 16).unwrap();
    assert_eq!(snapshot.digest(&buckets).await.unwrap()[0].id, id);
    assert_eq!(hashes(&mut *snapshot, &buckets, &[id]).await.len(), 1);
}

fn md5_hex(text: &str) -> String {
    use md5::{Digest, Md5};
    Md5::digest(text).iter().map(|b| format!("{b:02x}")).collect()
}

// rule: R3, R9
#[tokio::test]
async fn like_edits_case_and_scale_are_seen_by_both_digests() {
    let edits = [
        "UPDATE t SET s = 'new' WHERE id IN (3, 4)",
        "UPDATE t SET s = 'ROW' WHERE id = 5",
        "UPDATE t SET s = NULL WHERE id = 5",
        "UPDATE t SET x = 'ab', s = 'c' WHERE id = 6",
        "DELETE FROM t WHERE id = 2",
    ];
    for edit in edits {
        for kind in [DigestKind::Native, DigestKind::Canonical] {
            let files = Files::new();
            files.script(
                "s.db",
                "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT COLLATE NOCASE, x TEXT);
                 INSERT INTO t VALUES (1,'row','a'), (2,'row','a'), (3,'old','a'), (4,'old','a'), (5,'row','a'), (6, 'bc', 'a')",
            );
            let mut source = files.source("s.db").await;
            let t = table(&mut *source, "t").await;
            let request = ask(&t, kind, ranges(1000));
            let before = source.snapshot().await.unwrap().digest(&request).await.unwrap();
            files.script("s.db", edit);
            let after = source.snapshot().await.unwrap().digest(&request).await.unwrap();
            assert_ne!((before[0].rows, before[0].hash), (after[0].rows, after[0].hash), "{edit} {kind:?}");
        }
    }
}

// rule: R14, R15
#[tokio::test]
async fn segments_hold_every_row_once_on_both_sides_of_zero() {
    let files = Files::new();
    files.script("s.db", "CREATE TABLE t (id INT, v TEXT)");
    let conn = files.plain("s.db");
    let ids = [i64::MIN, -201, -200, -101, -100, -99, -1, 0, 1, 99, 100, 101, 199, 200, i64::MAX];
    for id in ids {
        conn.execute("INSERT INTO t VALUES (?1, 'v')", [id]).unwrap();
    }
    conn.execute("INSERT INTO t VALUES ('stray', 'v'), (250.5, 'v'), (NULL, 'v')", []).unwrap();
    let mut source = files.source("s.db").await;
    let found = table(&mut *source, "t").await;
    for by_index in [true, false] {
        check_segments(&mut *source, found.clone(), by_index).await;
    }
}

/// Without an index on the key every question is one pass over the table.
async fn check_segments(source: &mut dyn syncline_connector::Source, mut t: Table, by_index: bool) {
    t.primary_key = vec!["id".into()];
    let index = Index { name: "i".into(), columns: vec!["id".into()], unique: false, plain: true, definition: String::new() };
    t.indexes = if by_index { vec![index] } else { Vec::new() };
    let mut snapshot = source.snapshot().await.unwrap();
    let mut request = ask(&t, DigestKind::Canonical, ranges(100));
    if !by_index {
        request.table.primary_key.clear();
    }
    let digest = snapshot.digest(&request).await.unwrap();
    let all: Vec<i64> = digest.iter().map(|d| d.id).collect();
    assert!(all.is_sorted());
    assert_eq!(digest.iter().map(|d| d.rows).sum::<u64>(), 18);
    for d in &digest {
        let rows = hashes(&mut *snapshot, &request, &[d.id]).await;
        assert_eq!(rows.len() as u64, d.rows, "segment {}", d.id);
        let xor = rows.iter().fold(0, |x, r| if let V::I64(h) = r[1] { x ^ h.cast_unsigned() } else { x });
        assert_eq!(xor, d.hash);
    }
    assert_eq!(hashes(&mut *snapshot, &request, &all).await.len(), 18);
}
