//! Digests: pinned forms, and that nothing that counts goes unseen.

use syncline_connector::{DigestColumn, DigestKind, DigestRequest, Segments};
use syncline_model::Canon;

use crate::steps::{database, digest_columns, discovered, drain, source};

fn column(name: &str, canon: Canon) -> DigestColumn {
    DigestColumn { name: name.into(), canon, hashed: matches!(canon, Canon::Bytes | Canon::JsonText) }
}

async fn hashes(db: &syncline_testkit::Database, request: &DigestRequest) -> Vec<u64> {
    let mut snapshot = source(db.url()).await.snapshot().await.expect("open a snapshot");
    snapshot.digest(request).await.expect("digest").iter().map(|s| s.hash).collect()
}

// rule: R12
#[tokio::test]
async fn the_canonical_row_text_is_the_one_of_the_specification() {
    let db = database().await;
    db.execute(
        "CREATE TABLE t (id int PRIMARY KEY, n numeric, f float8, s text, c char(5), u uuid, d date, ts timestamp, z timestamptz, ti time, y bytea, \
         j json, b bool);
         INSERT INTO t VALUES (1, 1.500, 1e20, 'é~', 'ab', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '1970-01-02', '1970-01-01 00:00:01.5', \
         '1970-01-01 01:00:00+01', '00:00:01', '\\x61', '{\"a\": 1}', true), (2, 0.00, 0.00001, NULL, NULL, NULL, 'infinity', '0044-03-15 BC', NULL, NULL, \
         NULL, NULL, false)",
    )
    .await;
    let table = discovered(&db, "t").await;
    let columns = [
        ("id", Canon::Number),
        ("n", Canon::Number),
        ("f", Canon::Float),
        ("s", Canon::Text),
        ("c", Canon::TextPadded),
        ("u", Canon::Uuid),
        ("d", Canon::Date),
        ("ts", Canon::Timestamp),
        ("z", Canon::TimestampTz),
        ("ti", Canon::Span),
        ("y", Canon::Bytes),
        ("j", Canon::JsonText),
        ("b", Canon::Number),
    ];
    let request = DigestRequest {
        table,
        key: vec![column("id", Canon::Number)],
        columns: columns.map(|(n, c)| column(n, c)).to_vec(),
        kind: DigestKind::Canonical,
        segments: Segments::Ranges { column: "id".into(), size: 1 },
        filter: vec![],
    };
    // Written out by hand from docs/specs/digest.md.
    let digits = |text: &str| format!("SELECT ('x' || left(md5({text}), 16))::bit(64)::bigint::text");
    let first = "'1:1' || '3:1.5' || '4:1e20' || '3:é~' || '2:ab' || '32:a0eebc999c0b4ef8bb6d6bb9bd380a11' || '1:1' || '7:1500000' || '1:0' \
                 || '7:1000000' || '32:' || md5('a') || '32:' || md5('{\"a\": 1}') || '1:1'";
    let second = "'1:2' || '1:0' || '7:0.00001' || '~' || '~' || '~' || '9:!infinity' || '23:!0044-03-15 00:00:00 BC' || '~' || '~' || '~' || '~' || '1:0'";
    let want = [db.scalar(&digits(first)).await, db.scalar(&digits(second)).await];
    let got: Vec<String> = hashes(&db, &request).await.iter().map(|h| i64::from_ne_bytes(h.to_ne_bytes()).to_string()).collect();
    assert_eq!(got, want);
}

// rule: R9, R13
#[tokio::test]
async fn the_native_digest_sees_scale_sign_parts_and_case() {
    let db = database().await;
    db.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE t (id int PRIMARY KEY, n numeric, f float8, i interval, j jsonb, c text COLLATE ci, m mood, x xml, p point, l text[] COLLATE ci,
           d text[][] COLLATE ci);
         INSERT INTO t VALUES (1, 1.0, 0, '1 mon', '{\"a\": 1.0}', 'a', 'sad', '<a/>', '(0,0)', '{a}', '{{a},{b}}')",
    )
    .await;
    let table = discovered(&db, "t").await;
    let columns = digest_columns(&table);
    let request = DigestRequest {
        table,
        key: vec![columns[0].clone()],
        columns,
        kind: DigestKind::Native,
        segments: Segments::Buckets { digits: 2 },
        filter: vec![],
    };
    let mut seen = hashes(&db, &request).await;
    for change in [
        "n = 1.00",
        "f = '-0'",
        "i = '30 days'",
        "j = '{\"a\": 1.00}'",
        "c = 'A'",
        "m = 'happy'",
        "x = '<b/>'",
        "p = '(-0,0)'",
        "l = '{A}'",
        "d = '{{a},{B}}'",
    ] {
        db.execute(&format!("UPDATE t SET {change}")).await;
        let now = hashes(&db, &request).await;
        assert!(!seen.contains(&now[0]), "{change}");
        seen.extend(now);
    }
}

// rule: R13
#[tokio::test]
async fn equal_tables_of_two_databases_have_equal_native_digests() {
    let (a, b) = (database().await, database().await);
    // Another order of creation gives the enum other object ids.
    b.execute("CREATE TYPE other AS ENUM ('x'); CREATE TYPE mood AS ENUM ('sad', 'happy')").await;
    a.execute("CREATE TYPE mood AS ENUM ('sad', 'happy')").await;
    let mut all = Vec::new();
    for db in [&a, &b] {
        db.execute(
            "CREATE TABLE t (id uuid PRIMARY KEY, n numeric(10,2), m mood, f float8, j jsonb, at timestamptz);
             INSERT INTO t SELECT md5(i::text)::uuid, i / 7.0, (ARRAY['sad','happy'])[1 + i % 2]::mood, i / 3.0, jsonb_build_object('i', i), \
             '2024-01-01'::timestamptz + i * interval '1 s' FROM generate_series(1, 1000) i",
        )
        .await;
        let table = discovered(db, "t").await;
        let columns = digest_columns(&table);
        let request = DigestRequest {
            table,
            key: vec![columns[0].clone()],
            columns,
            kind: DigestKind::Native,
            segments: Segments::Buckets { digits: 1 },
            filter: vec![],
        };
        let mut snapshot = source(db.url()).await.snapshot().await.unwrap();
        let digest = snapshot.digest(&request).await.unwrap();
        assert_eq!((digest.len(), digest.iter().map(|s| s.rows).sum::<u64>()), (16, 1000));
        let rows = drain(&mut *snapshot.row_hashes(&request, &[digest[3].id, digest[5].id]).await.unwrap()).await;
        assert_eq!(rows.len() as u64, digest[3].rows + digest[5].rows);
        all.push(digest);
    }
    assert_eq!(all[0], all[1]);
}

// rule: R15
#[tokio::test]
async fn row_hashes_of_ranges_come_for_negative_segments_and_for_many() {
    let db = database().await;
    db.execute("CREATE TABLE t (id int PRIMARY KEY, s text); INSERT INTO t SELECT i, i::text FROM generate_series(-3000, 3000) i").await;
    let table = discovered(&db, "t").await;
    let columns = digest_columns(&table);
    let request = DigestRequest {
        table,
        key: vec![columns[0].clone()],
        columns,
        kind: DigestKind::Native,
        segments: Segments::Ranges { column: "id".into(), size: 5 },
        filter: vec![],
    };
    let mut snapshot = source(db.url()).await.snapshot().await.unwrap();
    let digest = snapshot.digest(&request).await.unwrap();
    for segments in [vec![-600, -1, 0, 1, 600], digest.iter().map(|s| s.id).collect()] {
        let want: u64 = digest.iter().filter(|s| segments.contains(&s.id)).map(|s| s.rows).sum();
        let rows = drain(&mut *snapshot.row_hashes(&request, &segments).await.unwrap()).await;
        assert_eq!(rows.len() as u64, want);
    }
}

// rule: R12
#[tokio::test]
async fn instants_are_exact_to_the_microsecond_over_the_whole_range() {
    let db = database().await;
    // Microseconds of 1902 to 2038 that are hardest for a double, and some beyond.
    db.execute(
        "CREATE TABLE t (id bigint PRIMARY KEY, ts timestamp);
         INSERT INTO t SELECT i, '1902-01-01'::timestamp + (i * 1073741.823 || ' s')::interval + (i % 1000 || ' us')::interval FROM generate_series(1, 3990) i;
         INSERT INTO t SELECT 10000 + i, '2037-12-31 23:59:59'::timestamp + (i || ' us')::interval FROM generate_series(0, 2000) i;
         INSERT INTO t VALUES (20000, '0001-01-01 00:00:00.000001'), (20001, '9999-12-31 23:59:59.999999')",
    )
    .await;
    let table = discovered(&db, "t").await;
    let request = DigestRequest {
        table,
        key: vec![column("id", Canon::Number)],
        columns: vec![column("ts", Canon::Timestamp)],
        kind: DigestKind::Canonical,
        segments: Segments::Ranges { column: "id".into(), size: 1 },
        filter: vec![],
    };
    let got: Vec<String> = hashes(&db, &request).await.iter().map(|h| i64::from_ne_bytes(h.to_ne_bytes()).to_string()).collect();
    let exact = "(extract(epoch FROM ts) * 1000000)::bigint::text";
    let sql = format!("SELECT ('x' || left(md5(length({exact}) || ':' || {exact}), 16))::bit(64)::bigint FROM t ORDER BY id");
    let want: Vec<String> = db.query(&sql).await.into_iter().filter_map(|r| r[0].clone()).collect();
    assert_eq!(got.len(), 5993);
    assert_eq!(got, want);
}
