//! Reading: text form, conditions, batches, large values, the view itself.

use mysql_async::prelude::Queryable as _;
use syncline_connector::{Batch, LateCommitRule, Piece, Predicate, ReadForm};
use syncline_model::Value;

use crate::world::{ask, batch, collect, fresh, request, snapshot, source, table};

// rule: R10
#[tokio::test]
async fn the_text_form_is_the_server_s_own_and_never_shortens_a_float() {
    let db = fresh(
        "CREATE TABLE t (id INT PRIMARY KEY, f FLOAT, b BIT(4), d DECIMAL(6,2), s TIMESTAMP, bl BLOB, v VARCHAR(5) CHARACTER SET latin1);
         INSERT INTO t VALUES (1, 16777216, b'101', 1.5, '2024-02-29 12:00:00', x'00ff', 'é'), (2, NULL, NULL, NULL, NULL, NULL, NULL)",
    )
    .await;
    let mut ask_for = request(&table(&db, "t").await);
    ask_for.form = ReadForm::Text;
    let got = ask(&db, ask_for).await;
    let text = |s: &str| Value::Text(s.into());
    let want =
        [text("1"), text("16777216"), text("0101"), text("1.50"), text("2024-02-29 12:00:00+00"), Value::Bytes(vec![0, 255]), text("é")];
    assert_eq!(got[0], want);
    assert!(got[1][1..].iter().all(Value::is_null));
}

// rule: R7
#[tokio::test]
async fn conditions_are_bound_and_never_read_as_sql() {
    let db = fresh(
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NULL, d DECIMAL(30,10), b VARBINARY(4));
         INSERT INTO t VALUES (1, 'a'' OR 1=1 -- ', 0.1, x'00ff'), (2, 'b', 12345678901234567890.0000000001, x'01'), (3, NULL, 3, NULL)",
    )
    .await;
    let table = table(&db, "t").await;
    let ids = |filter: Vec<Predicate>| {
        let mut r = request(&table);
        (r.filter, r.columns) = (filter, vec!["id".into()]);
        let db = db.clone();
        async move { ask(&db, r).await.into_iter().map(|mut row| row.remove(0)).collect::<Vec<_>>() }
    };
    let n = Value::I64;
    let bound = |v: Value| Predicate::Sql(vec![Piece::Sql("v = ".into()), Piece::Bound(v), Piece::Sql(" -- a comment".into())]);
    assert_eq!(ids(vec![bound(Value::Text("a' OR 1=1 -- ".into()))]).await, [n(1)]);
    assert_eq!(ids(vec![Predicate::Equals("d".into(), Value::Decimal("12345678901234567890.0000000001".into()))]).await, [n(2)]);
    assert_eq!(ids(vec![Predicate::Equals("d".into(), Value::Decimal("12345678901234567890.0000000002".into()))]).await, []);
    assert_eq!(ids(vec![Predicate::Equals("b".into(), Value::Bytes(vec![0, 255]))]).await, [n(1)]);
    assert_eq!(ids(vec![Predicate::IsNull("v".into())]).await, [n(3)]);
    assert_eq!(ids(vec![Predicate::AtLeast("id".into(), n(2)), Predicate::Below("id".into(), n(3))]).await, [n(2)]);
}

// rule: R15
// case: I2
#[tokio::test]
async fn keys_are_found_by_their_bytes_in_as_many_statements_as_it_takes() {
    let db = fresh("CREATE TABLE t (k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, n INT)").await;
    db.execute("INSERT INTO t SELECT CONCAT('k', seq), seq FROM seq_1_to_2500").await;
    let table = table(&db, "t").await;
    let mut keys: Vec<Vec<Value>> = (1..=70_000).map(|n| vec![Value::Text(format!("k{n}"))]).collect();
    keys[0] = vec![Value::Text("K1".into())];
    let mut r = request(&table);
    (r.filter, r.order) = (vec![Predicate::KeyIn { columns: vec!["k".into()], keys: batch(&keys) }], vec![]);
    assert_eq!(ask(&db, r).await.len(), 2499);
}

// rule: R25
#[tokio::test]
async fn a_large_value_comes_as_its_length_and_its_row_stays_whole() {
    let db = fresh("CREATE TABLE t (id INT PRIMARY KEY, b LONGBLOB, s VARCHAR(10)); INSERT INTO t VALUES (1, REPEAT('x', 3000000), 'a'), (2, 'y', 'b')").await;
    let mut r = request(&table(&db, "t").await);
    r.large_over = 1 << 20;
    let got = ask(&db, r).await;
    assert_eq!(got[0], [Value::I64(1), Value::Large(3_000_000), Value::Text("a".into())]);
    assert_eq!(got[1][1], Value::Bytes(b"y".to_vec()));
}

#[tokio::test]
async fn batches_hold_what_was_asked_and_a_stream_dropped_early_leaves_the_view_usable() {
    let db = fresh("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(100))").await;
    db.execute("INSERT INTO t SELECT seq, REPEAT('v', 100) FROM seq_1_to_5000").await;
    let table = table(&db, "t").await;
    let mut view = snapshot(&db).await;
    let mut r = request(&table);
    r.batch_bytes = 10_000;
    let mut stream = view.read(r.clone()).await.expect("read");
    let Some(Batch::Rows(first)) = stream.next().await.expect("a batch") else { panic!("rows") };
    assert!(first.len() > 10 && first.bytes() < 11_000, "{} rows, {} bytes", first.len(), first.bytes());
    drop(stream);
    // Another session's write is not part of the view.
    db.execute("DELETE FROM t WHERE id > 10").await;
    assert_eq!(collect(view.read(r).await.expect("read again")).await.expect("rows").len(), 5000);
    assert_eq!(view.count(&table, &[]).await.expect("count"), 5000);
    assert_eq!(view.key_range(&table, "id", &[]).await.expect("range"), Some((1, 5000)));
    view.close().await.expect("close");
}

#[tokio::test]
async fn a_source_cannot_write() {
    let db = fresh("CREATE TABLE t (id INT PRIMARY KEY)").await;
    let mut source = source(&db).await;
    let error = source.query_values("INSERT INTO t VALUES (1) RETURNING id").await.expect_err("read-only");
    assert_eq!(error.code, "read_only");
    assert_eq!(db.scalar("SELECT COUNT(*) FROM t").await, "0");
}

#[tokio::test]
async fn a_scope_query_answers_typed_values() {
    let db = fresh("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10)); INSERT INTO t VALUES (1,'a'),(2,'b')").await;
    let mut source = source(&db).await;
    assert_eq!(
        source.query_values("SELECT v FROM t ORDER BY id").await.expect("texts"),
        [Value::Text("a".into()), Value::Text("b".into())]
    );
    assert_eq!(source.query_values("SELECT id FROM t WHERE id = 2").await.expect("numbers"), [Value::I64(2)]);
    assert_eq!(source.query_values("SELECT id, v FROM t").await.expect_err("two columns").code, "query_shape");
}

// rule: R5
#[tokio::test]
async fn the_mark_stays_behind_an_open_transaction_where_the_role_may_see_it_and_an_overlap_applies_elsewhere() {
    // A server of its own: the transactions of other tests would be seen as well.
    let server = syncline_testkit::Mariadb::throwaway();
    let db = server.database().await;
    db.execute("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let mut writer = mysql_async::Conn::from_url(db.url()).await.expect("connect");
    writer.query_drop("BEGIN").await.expect("begin");
    writer.query_drop("INSERT INTO t VALUES (2)").await.expect("write");
    let held = snapshot(&db).await.observation().clone();
    assert_eq!((held.rule, held.open.len()), (LateCommitRule::StartTimes, 1));
    assert!(held.mark.expect("a mark") < held.at);
    writer.query_drop("COMMIT").await.expect("commit");
    let free = snapshot(&db).await.observation().clone();
    assert_eq!(free.open, Vec::<String>::new());
    assert!(free.mark > held.mark);
    let plain = format!("plain_{}", db.name());
    db.as_admin()
        .execute(&format!("CREATE USER '{plain}'@'%' IDENTIFIED BY 'secret'; GRANT SELECT ON {}.* TO '{plain}'@'%'", db.name()))
        .await;
    let spec = crate::world::spec(&db.url_as(&plain, "secret"));
    let mut ordinary = syncline_mysql::connector().source(&spec).await.expect("connect");
    let seen = ordinary.snapshot().await.expect("a snapshot");
    assert_eq!((seen.observation().rule, seen.observation().mark), (LateCommitRule::Overlap { default_s: 600 }, None));
    let advice = ordinary.check(&[]).await.expect("check").into_iter().find(|f| f.code == "late_commits").expect("a finding");
    assert!(advice.advice.expect("advice").contains("GRANT PROCESS"));
}
