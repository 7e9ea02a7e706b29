//! Reading: one view, filters, key lists, large values, streams cut short.

use syncline_connector::{LateCommitRule, Piece, Predicate, ReadForm};
use syncline_model::Value as V;

use crate::support::*;

fn numbers(files: &Files, rows: u32) {
    files.script(
        "s.db",
        &format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, r REAL);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) INSERT INTO t SELECT i, 'n' || i, i / 7.0 FROM n"
        ),
    );
}

// rule: R5
#[tokio::test]
async fn a_snapshot_shows_one_moment_and_names_its_late_commit_rule() {
    let files = Files::new();
    numbers(&files, 3);
    files.script("s.db", "PRAGMA journal_mode = WAL");
    let mut source = files.source("s.db").await;
    let t = table(&mut *source, "t").await;
    let mut snapshot = source.snapshot().await.unwrap();
    files.script("s.db", "DELETE FROM t");
    assert_eq!(snapshot.count(&t, &[]).await.unwrap(), 3);
    assert_eq!(read(&mut *snapshot, request(&t)).await.len(), 3);
    assert_eq!(snapshot.observation().rule, LateCommitRule::Overlap { default_s: 60 });
    snapshot.close().await.unwrap();
    assert_eq!(source.snapshot().await.unwrap().count(&t, &[]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_stream_dropped_early_leaves_the_snapshot_usable() {
    let files = Files::new();
    numbers(&files, 20_000);
    let mut source = files.source("s.db").await;
    let t = table(&mut *source, "t").await;
    let mut snapshot = source.snapshot().await.unwrap();
    for _ in 0..5 {
        let mut ask = request(&t);
        ask.batch_bytes = 1000;
        let mut stream = snapshot.read(ask).await.unwrap();
        assert!(stream.next().await.unwrap().is_some());
        drop(stream);
        assert_eq!(snapshot.count(&t, &[]).await.unwrap(), 20_000);
    }
}

// rule: R29
#[tokio::test]
async fn a_key_is_found_however_others_have_spelled_it() {
    let files = Files::new();
    files.script(
        "s.db",
        "CREATE TABLE t (at TIMESTAMP, day DATE, id UUID);
         INSERT INTO t VALUES ('2026-11-21T01:00', '2026-11-21', '0A'), ('2026-11-21 01:00:00.000', '2026-11-22', '0193AA20-0000-7000-8000-00000000000F'), ('no time', 'no day', NULL)",
    );
    let mut source = files.source("s.db").await;
    let t = table(&mut *source, "t").await;
    let mut snapshot = source.snapshot().await.unwrap();
    let at = syncline_model::civil::parse_timestamp("2026-11-21 01:00:00").unwrap();
    let day = |text: &str| V::Date(syncline_model::civil::parse_date(text).unwrap());
    for (columns, keys, found) in [
        (vec!["at"], vec![vec![V::Timestamp(at)]], 2),
        (vec!["at", "day"], vec![vec![V::Timestamp(at), day("2026-11-22")]], 1),
        (vec!["at"], vec![vec![V::Text("no time".into())]], 1),
        (vec!["id"], vec![vec![V::Uuid(syncline_model::civil::parse_uuid("0193aa20-0000-7000-8000-00000000000f").unwrap())]], 1),
    ] {
        let list = Predicate::KeyIn { columns: columns.iter().map(|c| (*c).to_owned()).collect(), keys: batch(&keys) };
        assert_eq!(snapshot.count(&t, &[list]).await.unwrap(), found, "{columns:?}");
    }
    assert_eq!(snapshot.count(&t, &[Predicate::Equals("at".into(), V::Timestamp(at))]).await.unwrap(), 2);
}

// case: I2
#[tokio::test]
async fn key_lists_beyond_the_parameter_limit_are_cut_and_find_each_row_once() {
    let files = Files::new();
    numbers(&files, 40_000);
    let mut source = files.source("s.db").await;
    let t = table(&mut *source, "t").await;
    let mut snapshot = source.snapshot().await.unwrap();
    let keys = |rows: &[Vec<V>]| batch(rows);
    let ids: Vec<Vec<V>> = (1..=70_000).map(|i| vec![V::I64(i)]).collect();
    let mut ask = request(&t);
    ask.filter = vec![Predicate::KeyIn { columns: vec!["id".into()], keys: keys(&ids) }];
    assert_eq!(read(&mut *snapshot, ask.clone()).await.len(), 40_000);
    let pairs = [vec![V::I64(1), text("n1")], vec![V::I64(2), text("N2")], vec![V::I64(3), text("x")]];
    ask.filter = vec![Predicate::KeyIn { columns: vec!["id".into(), "name".into()], keys: keys(&pairs) }];
    assert_eq!(read(&mut *snapshot, ask.clone()).await.len(), 1, "`N2` is another key than `n2`");
    ask.filter = vec![Predicate::KeyIn { columns: vec!["name".into()], keys: keys(&[vec![text("n5")], vec![text("N6")]]) }];
    assert_eq!(read(&mut *snapshot, ask).await.len(), 1);
}

// rule: R7
#[tokio::test]
async fn bound_values_are_never_read_as_sql() {
    let files = Files::new();
    numbers(&files, 10);
    let mut source = files.source("s.db").await;
    let t = table(&mut *source, "t").await;
    let mut snapshot = source.snapshot().await.unwrap();
    let evil = text("x' OR 1=1 --");
    let piece = |sql: &str| Piece::Sql(sql.into());
    let filter = |p| vec![p];
    let none = snapshot.count(&t, &filter(Predicate::Sql(vec![piece("name = "), Piece::Bound(evil.clone()), piece(" -- why")]))).await;
    assert_eq!(none.unwrap(), 0);
    assert_eq!(snapshot.count(&t, &filter(Predicate::Equals("name".into(), evil))).await.unwrap(), 0);
    assert_eq!(snapshot.count(&t, &filter(Predicate::Equals("name".into(), text("N3")))).await.unwrap(), 0);
    assert_eq!(snapshot.count(&t, &filter(Predicate::AtLeast("id".into(), V::I64(8)))).await.unwrap(), 3);
    assert_eq!(snapshot.count(&t, &filter(Predicate::Below("id".into(), V::I64(8)))).await.unwrap(), 7);
    assert_eq!(snapshot.key_range(&t, "id", &filter(Predicate::IsNull("r".into()))).await.unwrap(), None);
    assert_eq!(snapshot.key_range(&t, "id", &[]).await.unwrap(), Some((1, 10)));
    let unknown = snapshot.count(&t, &filter(Predicate::IsNull("nope".into()))).await.unwrap_err();
    assert_eq!(unknown.code, "column_unknown");
}

// rule: R25
// case: I1
#[tokio::test]
async fn a_value_over_the_limit_comes_as_its_length() {
    let files = Files::new();
    files.script(
        "s.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB, s TEXT); INSERT INTO t VALUES (1, zeroblob(5000), 'é'), (2, x'01', NULL)",
    );
    let mut source = files.source("s.db").await;
    let t = table(&mut *source, "t").await;
    let mut snapshot = source.snapshot().await.unwrap();
    for form in [ReadForm::Values, ReadForm::Text] {
        let mut ask = request(&t);
        (ask.large_over, ask.form) = (4999, form);
        let rows = read(&mut *snapshot, ask).await;
        assert_eq!((&rows[0][1], &rows[0][2]), (&V::Large(5000), &text("é")));
        assert_eq!((&rows[1][1], &rows[1][2]), (&V::Bytes(vec![1]), &V::Null));
    }
}

// rule: R10
#[tokio::test]
async fn text_is_rendered_by_sqlite_with_the_digits_that_read_back() {
    let files = Files::new();
    files.script(
        "s.db",
        "CREATE TABLE t (r REAL, n NUMERIC, x); INSERT INTO t VALUES (0.8414709848078965, 0.99, 9007199254740993), (1.0, 5, 'a'), (1e300, NULL, x'00')",
    );
    let mut source = files.source("s.db").await;
    let t = table(&mut *source, "t").await;
    let mut snapshot = source.snapshot().await.unwrap();
    let mut ask = request(&t);
    ask.form = ReadForm::Text;
    let rows = read(&mut *snapshot, ask).await;
    assert_eq!(rows[0], [text("0.8414709848078965"), text("0.99"), text("9007199254740993")]);
    assert_eq!(rows[1], [text("1.0"), text("5"), text("a")]);
    assert_eq!(rows[2], [text("1.0e+300"), V::Null, V::Bytes(vec![0])]);
}

// case: I2
#[tokio::test]
async fn a_table_of_1_600_columns_is_copied_and_compared() {
    let files = Files::new();
    let columns: Vec<String> = (1..1600).map(|i| format!("c{i} INT")).collect();
    files.script(
        "s.db",
        &format!("CREATE TABLE t (id INTEGER PRIMARY KEY, {}); INSERT INTO t (id, c7) VALUES (1, 7), (2, 8)", columns.join(", ")),
    );
    let mut source = files.source("s.db").await;
    let t = table(&mut *source, "t").await;
    let mut snapshot = source.snapshot().await.unwrap();
    let mut rows = read(&mut *snapshot, request(&t)).await;
    let (made, ddl) = mapped(&t, syncline_model::Engine::Sqlite);
    let mut destination = files.destination("d.db").await;
    write(&mut *destination, "r1", stream(&made, Some(ddl)), &rows).await;
    rows[1][1599] = V::I64(5);
    let (_, applied) = write(&mut *destination, "r2", stream(&made, None), &rows).await;
    assert_eq!((applied.outcomes[0].updated, applied.outcomes[0].unchanged), (1, 1));
    assert!(applied.undoable);
}

#[tokio::test]
async fn a_cursor_is_compared_by_value_and_not_by_spelling() {
    let files = Files::new();
    files.script(
        "s.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, z TIMESTAMPTZ_TEXT, w DATETIME, d DECIMAL_TEXT(20,0));
         INSERT INTO t VALUES (1, '2024-01-01 00:00:05Z', '2024-01-01 08:00:00', '9'), (2, '2024-01-01 00:00:05.5Z', '2024-01-01T07:00', '10'),
           (3, '2024-01-01 00:00:04.9Z', '2024-01-01 09:00', '100'), (4, NULL, NULL, NULL)",
    );
    let mut source = files.source("s.db").await;
    let t = table(&mut *source, "t").await;
    let mut snapshot = source.snapshot().await.unwrap();
    let second = 1_704_067_205_000_000;
    let eight = second - 5_000_000 + 8 * 3_600_000_000;
    let cases = [("z", V::TimestampTz(second), 2, 1), ("w", V::Timestamp(eight), 2, 1), ("d", V::U64(10), 2, 1)];
    for (column, bound, at_least, below) in cases {
        let name = || column.to_owned();
        assert_eq!(snapshot.count(&t, &[Predicate::AtLeast(name(), bound.clone())]).await.unwrap(), at_least, "{column}");
        assert_eq!(snapshot.count(&t, &[Predicate::Below(name(), bound)]).await.unwrap(), below, "{column}");
    }
}
