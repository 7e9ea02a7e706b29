//! Commits that are proved, not believed.

use syncline_connector::{CommitFate, ErrorKind, Marker};
use syncline_model::Value;
use syncline_testkit::{Postgres, Proxy};

use crate::steps::{batch, begin, database, destination, discovered, run_spec, write_of};

fn marker() -> Marker {
    Marker { sync: "s".into(), scope: String::new(), stream: String::new(), run: "r1".into(), step: 1 }
}

// case: C14
#[tokio::test]
async fn commit_of_an_aborted_transaction_is_an_error() {
    use syncline_postgres::connect::{Access, Link, Settings};
    use syncline_sql::SqlSession as _;
    let db = database().await;
    db.execute("CREATE TABLE t (id int PRIMARY KEY)").await;
    let settings = std::sync::Arc::new(Settings::parse(&crate::steps::spec(db.url())).unwrap());
    let mut session = syncline_postgres::session::PgSession::new(Link::open(&settings, Access::ReadWrite).await.unwrap());
    session.begin().await.unwrap();
    session.execute("INSERT INTO t VALUES (1)").await.unwrap();
    session.execute("SELECT 1 / 0").await.unwrap_err();
    let e = session.commit().await.unwrap_err();
    assert_eq!((e.kind, e.code), (ErrorKind::Conflict, "transaction_aborted"));
    assert_eq!(db.scalar("SELECT count(*) FROM t").await, "0");
    // The session can go on.
    session.begin().await.unwrap();
    session.execute("INSERT INTO t VALUES (2)").await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(db.scalar("SELECT count(*) FROM t").await, "1");
}

// rule: R24
#[tokio::test]
async fn the_fate_of_a_lost_commit_is_known_without_a_marker_table() {
    let db = database().await;
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY)").await;
    let table = discovered(&db, "t").await;
    let proxy = Proxy::in_front_of(db.port());
    for (lose, rows, fate) in [(true, "1", CommitFate::Committed), (false, "1", CommitFate::RolledBack)] {
        let mut through = destination(db.url_on(proxy.port())).await;
        let mut run = through.begin(run_spec(write_of(&table))).await.expect("begin");
        let id = if lose { 1 } else { 2 };
        run.stage(0, &batch(&[vec![Value::I64(id)]])).await.expect("stage");
        let token = run.apply().await.expect("apply").token.expect("a token");
        if lose {
            proxy.lose_answer_to("COMMIT");
        } else {
            proxy.cut();
        }
        let e = run.commit().await.unwrap_err();
        assert_eq!((e.kind, e.code), (ErrorKind::Unavailable, "commit_unknown"));
        proxy.restore();
        assert_eq!(destination(db.url()).await.fate(&marker(), Some(&token)).await.unwrap(), fate);
        assert_eq!(db.scalar("SELECT count(*) FROM t").await, rows);
    }
}

// rule: R24
// case: C5
#[tokio::test]
async fn a_token_of_another_server_proves_nothing() {
    let db = database().await;
    let mut here = destination(db.url()).await;
    assert_eq!(here.fate(&marker(), Some("5;1234567890/1;1")).await.unwrap(), CommitFate::Unknown);
    assert_eq!(here.fate(&marker(), Some("nonsense")).await.unwrap(), CommitFate::Unknown);
    let who = here.identity().await.unwrap();
    let future = format!("999999999999;{};{}", who.system, who.timeline);
    assert_eq!(here.fate(&marker(), Some(&future)).await.unwrap(), CommitFate::Unknown);
}

// case: C1
#[tokio::test]
async fn a_killed_server_rolls_back_and_says_so_after_its_restart() {
    let server = Postgres::private();
    let db = server.database().await;
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY)").await;
    let table = discovered(&db, "t").await;
    let mut run = begin(&db, write_of(&table)).await;
    run.stage(0, &batch(&[vec![Value::I64(1)]])).await.expect("stage");
    let token = run.apply().await.expect("apply").token;
    server.kill();
    assert_eq!(run.commit().await.unwrap_err().code, "commit_unknown");
    server.restart();
    assert_ne!(destination(db.url()).await.fate(&marker(), token.as_deref()).await.unwrap(), CommitFate::Committed);
    assert_eq!(db.scalar("SELECT count(*) FROM t").await, "0");
}

// rule: R16, R17
#[tokio::test]
async fn counts_are_exact_on_partitioned_tables_by_either_plan() {
    let db = database().await;
    db.execute(
        "CREATE TABLE p (id bigint PRIMARY KEY, n int) PARTITION BY HASH (id);
         CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE p1 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 1);
         INSERT INTO p SELECT i, 0 FROM generate_series(1, 100) i",
    )
    .await;
    let table = discovered(&db, "p").await;
    // (rows that differ, rows that are equal, new rows): mostly changed, then mostly equal.
    for (changed, equal, new, n) in [(60, 10, 5, 1), (10, 60, 5, 2)] {
        db.execute(&format!("UPDATE p SET n = {n} WHERE id > {changed}")).await;
        let ids = (1..=changed + equal).chain(1000 * n + 1..=1000 * n + new);
        let rows: Vec<Vec<Value>> = ids.map(|i| vec![Value::I64(i), Value::I64(n)]).collect();
        db.execute(&format!("UPDATE p SET n = 9 WHERE id <= {changed}")).await;
        let applied = crate::steps::copy_into(&db, &table, &rows).await;
        let o = &applied.outcomes[0];
        assert_eq!((o.updated, o.unchanged, o.created), (changed.unsigned_abs(), equal.unsigned_abs(), new.unsigned_abs()));
    }
}

// rule: R16
#[tokio::test]
async fn a_key_that_no_index_backs_is_still_applied_when_most_rows_changed() {
    let db = database().await;
    db.execute("CREATE TABLE t (id bigint NOT NULL, n int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 50) i").await;
    let mut table = discovered(&db, "t").await;
    table.primary_key = vec!["id".into()];
    let rows: Vec<Vec<Value>> = (1..=60).map(|i| vec![Value::I64(i), Value::I64(1)]).collect();
    let applied = crate::steps::copy_into(&db, &table, &rows).await;
    let o = &applied.outcomes[0];
    assert_eq!((o.updated, o.created), (50, 10));
}

// rule: R21
#[tokio::test]
async fn a_value_too_long_for_an_index_costs_its_row_only() {
    let db = database().await;
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, s text); CREATE INDEX ON t (s)").await;
    let table = discovered(&db, "t").await;
    // Text that does not compress.
    let mut state = 1u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'0' + u8::try_from(state >> 58).unwrap())
    });
    let long: String = noise.take(8000).collect();
    let rows = vec![vec![Value::I64(1), Value::Text(long)], vec![Value::I64(2), Value::Text("short".into())]];
    let applied = crate::steps::copy_into(&db, &table, &rows).await;
    let o = &applied.outcomes[0];
    assert_eq!((o.created, o.rejects.len(), o.rejects[0].code), (1, 1, "value_too_long"));
}
