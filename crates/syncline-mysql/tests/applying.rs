//! Staged runs on a real server.

use mysql_async::prelude::Queryable as _;
use syncline_connector::ErrorKind;
use syncline_connector::write::{CommitFate, WritePath};
use syncline_model::Value;
use syncline_testkit::Mariadb;

use crate::world::{batch, destination, fresh, marker, rows, run, stream, table, write};

fn row(id: i64, e: &str) -> Vec<Value> {
    vec![Value::I64(id), Value::Text(e.into())]
}

// rule: R1
#[tokio::test]
async fn a_new_key_with_a_taken_unique_value_is_set_aside_and_nothing_is_merged() {
    let db = fresh("CREATE TABLE t (id INT PRIMARY KEY, e VARCHAR(20) UNIQUE); INSERT INTO t VALUES (1,'a'),(2,'b')").await;
    let (refused, applied) = write(&db, "t", &[row(2, "B2"), row(3, "a"), row(4, "d")]).await;
    assert_eq!(refused, []);
    let o = &applied.outcomes[0];
    assert_eq!((o.created, o.updated, o.unchanged, o.rejects.len()), (1, 1, 0, 1));
    assert_eq!(o.rejects[0].code, "unique_taken");
    assert_eq!(rows(&db, "t").await, [row(1, "a"), row(2, "B2"), row(4, "d")]);
}

// rule: R9, R16
#[tokio::test]
async fn a_change_of_case_is_an_update_and_equal_rows_are_left_alone() {
    let ddl = "CREATE TABLE t (id INT PRIMARY KEY, e VARCHAR(20) COLLATE utf8mb4_general_ci, at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6))";
    let db = fresh(&format!("{ddl}; INSERT INTO t (id, e) VALUES (1,'abc'),(2,'abc')")).await;
    let before = db.query("SELECT at FROM t ORDER BY id").await;
    let table = table(&db, "t").await;
    let mut s = stream(&table);
    s.columns = vec!["id".into(), "e".into()];
    s.compare = vec!["e".into()];
    let mut run = destination(&db).await.begin(run(vec![s])).await.expect("begin");
    run.stage(0, &batch(&[row(1, "Abc"), row(2, "abc")])).await.expect("stage");
    let applied = run.apply().await.expect("apply");
    run.commit().await.expect("commit");
    assert_eq!((applied.outcomes[0].updated, applied.outcomes[0].unchanged), (1, 1));
    let after = db.query("SELECT at FROM t ORDER BY id").await;
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1], after[1]);
}

// rule: R24
#[tokio::test]
async fn the_marker_tells_the_fate_of_a_run() {
    let db = fresh("CREATE TABLE t (id INT PRIMARY KEY, e VARCHAR(20))").await;
    let mut there = destination(&db).await;
    there.prepare(&[]).await.expect("prepare");
    let table = table(&db, "t").await;
    let mut one = there.begin(run(vec![stream(&table)])).await.expect("begin");
    one.stage(0, &batch(&[row(1, "a")])).await.expect("stage");
    assert_eq!(there.fate(&marker("run-1"), None).await.expect("fate"), CommitFate::RolledBack);
    one.apply().await.expect("apply");
    one.commit().await.expect("commit");
    assert_eq!(there.fate(&marker("run-1"), None).await.expect("fate"), CommitFate::Committed);
    assert_eq!(there.fate(&marker("run-2"), None).await.expect("fate"), CommitFate::RolledBack);
}

// rule: R24
#[tokio::test]
async fn a_run_that_may_still_commit_is_never_called_rolled_back() {
    let server = Mariadb::throwaway();
    let db = server.database().await;
    db.as_admin().execute("SET GLOBAL innodb_lock_wait_timeout = 1").await;
    db.execute("CREATE TABLE t (id INT PRIMARY KEY, e VARCHAR(20))").await;
    let mut there = destination(&db).await;
    there.prepare(&[]).await.expect("prepare");
    let table = table(&db, "t").await;
    let mut one = there.begin(run(vec![stream(&table)])).await.expect("begin");
    one.stage(0, &batch(&[row(1, "a")])).await.expect("stage");
    one.apply().await.expect("apply");
    let e = there.fate(&marker("run-1"), None).await.expect_err("not known yet");
    assert!(e.kind.is_transient(), "{e}");
    one.commit().await.expect("commit");
    assert_eq!(there.fate(&marker("run-1"), None).await.expect("fate"), CommitFate::Committed);
}

// case: C11
#[tokio::test]
async fn a_lock_wait_timeout_leaves_nothing_half_done() {
    // A server of its own: the limit of a lock wait is set for all its sessions.
    let server = Mariadb::throwaway();
    let db = server.database().await;
    db.as_admin().execute("SET GLOBAL innodb_lock_wait_timeout = 1").await;
    for name in ["t", "u"] {
        db.execute(&format!("CREATE TABLE {name} (id INT PRIMARY KEY, e VARCHAR(20)); INSERT INTO {name} VALUES (1,'a')")).await;
    }
    let (t, u) = (table(&db, "t").await, table(&db, "u").await);
    let mut blocker = mysql_async::Conn::from_url(db.url()).await.expect("connect");
    blocker.query_drop("BEGIN").await.expect("begin");
    blocker.query_drop("UPDATE u SET e = 'held' WHERE id = 1").await.expect("hold the row");
    let mut there = destination(&db).await;
    let mut work = there.begin(run(vec![stream(&t), stream(&u)])).await.expect("begin");
    work.stage(0, &batch(&[row(1, "changed"), row(2, "new")])).await.expect("stage");
    work.stage(1, &batch(&[row(1, "changed")])).await.expect("stage");
    let e = work.apply().await.expect_err("the row is held");
    assert_eq!((e.kind, e.code), (ErrorKind::Conflict, "lock_timeout"));
    assert_eq!(work.commit().await.expect_err("undone").code, "transaction_aborted");
    blocker.query_drop("ROLLBACK").await.expect("let go");
    assert_eq!(rows(&db, "t").await, [row(1, "a")]);
    assert_eq!(rows(&db, "u").await, [row(1, "a")]);
}

#[tokio::test]
async fn parents_go_in_before_children_and_orphans_are_set_aside() {
    let db = fresh(
        "CREATE TABLE p (id INT PRIMARY KEY, e VARCHAR(20));
         CREATE TABLE c (id INT PRIMARY KEY, p_id INT NULL, FOREIGN KEY (p_id) REFERENCES p (id))",
    )
    .await;
    let (p, c) = (table(&db, "p").await, table(&db, "c").await);
    let mut work = destination(&db).await.begin(run(vec![stream(&c), stream(&p)])).await.expect("begin");
    let child = |id: i64, p: i64| vec![Value::I64(id), Value::I64(p)];
    work.stage(0, &batch(&[child(1, 10), child(2, 99)])).await.expect("stage");
    work.stage(1, &batch(&[row(10, "p")])).await.expect("stage");
    let applied = work.apply().await.expect("apply");
    work.commit().await.expect("commit");
    assert_eq!((applied.outcomes[0].created, applied.outcomes[1].created), (1, 1));
    assert_eq!(applied.outcomes[0].rejects[0].code, "parent_missing");
}

#[tokio::test]
async fn deletes_count_exactly_and_an_aborted_run_leaves_no_trace() {
    let db = fresh("CREATE TABLE t (id INT PRIMARY KEY, e VARCHAR(20)); INSERT INTO t VALUES (1,'a'),(2,'b'),(3,'c')").await;
    let table = table(&db, "t").await;
    let mut there = destination(&db).await;
    for commit in [false, true] {
        let mut work = there.begin(run(vec![stream(&table)])).await.expect("begin");
        work.stage(0, &batch(&[row(4, "d")])).await.expect("stage");
        work.stage_deletes(0, &batch(&[vec![Value::I64(1)], vec![Value::I64(2)], vec![Value::I64(77)]])).await.expect("stage");
        let applied = work.apply().await.expect("apply");
        assert_eq!((applied.outcomes[0].created, applied.outcomes[0].deleted), (1, 2));
        if commit {
            work.commit().await.expect("commit");
        } else {
            work.abort().await.expect("abort");
            assert_eq!(rows(&db, "t").await.len(), 3);
        }
    }
    assert_eq!(rows(&db, "t").await, [row(3, "c"), row(4, "d")]);
}

// rule: R28
#[tokio::test]
async fn before_images_give_every_value_back() {
    let ddl = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20) COLLATE utf8mb4_general_ci NULL, d DECIMAL(65,30) NULL, g DOUBLE NULL, f FLOAT NULL,
       b BLOB NULL, bi BIT(9) NULL, y YEAR NULL, da DATE NULL, ti TIME(6) NULL, dt DATETIME(6) NULL, ts TIMESTAMP(6) NULL, e ENUM('x','y') NULL,
       st SET('a','b') NULL, j JSON NULL, p POINT NULL, u UUID NULL, n BIGINT UNSIGNED NULL)";
    let db = fresh(&format!(
        "{ddl}; INSERT INTO t VALUES (1,'~,x', 0.000000000000000000000000000001, 0.1, 0.1, x'00ff2c', b'101', 2024, '2024-02-29', '-838:59:59', \
         '2024-02-29 12:00:00.000001', '2024-02-29 12:00:00.000001', 'y', 'a,b', '{{\"a\": 1}}', POINT(1,2), UUID(), 18446744073709551615), \
         (2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL)"
    ))
    .await;
    let mut there = destination(&db).await;
    there.prepare(&[]).await.expect("prepare");
    let table = table(&db, "t").await;
    let before = rows(&db, "t").await;
    let mut spec = run(vec![stream(&table)]);
    spec.undo_rows_max = 100;
    // Each row gets the other's values: what a row will be is known by the staged one, for every type and for NULL.
    let mut changed = vec![before[1].clone(), before[0].clone()];
    changed[0][0] = before[0][0].clone();
    changed[1][0] = before[1][0].clone();
    changed[0][1] = Value::Text("other".into());
    let mut work = there.begin(spec).await.expect("begin");
    work.stage(0, &batch(&changed)).await.expect("stage");
    let applied = work.apply().await.expect("apply");
    work.commit().await.expect("commit");
    assert!(applied.undoable);
    assert_eq!(rows(&db, "t").await, changed);
    assert_eq!(db.scalar("SELECT COUNT(*) FROM syncline_before WHERE after_hash IS NULL").await, "0");
    let mut spec = run(vec![stream(&table)]);
    spec.marker = marker("run-2");
    let mut back = there.begin(spec).await.expect("begin");
    assert_eq!(back.stage_undo(0, "run-1").await.expect("stage the images"), []);
    back.apply().await.expect("apply");
    back.commit().await.expect("commit");
    assert_eq!(rows(&db, "t").await, before);
}

// case: I1
#[tokio::test]
async fn a_value_that_just_fits_one_packet_is_stored_and_one_that_does_not_is_set_aside() {
    let db = fresh("CREATE TABLE t (id INT PRIMARY KEY, e LONGTEXT)").await;
    let most = (16 << 20) - (70 << 10);
    let (refused, applied) = write(&db, "t", &[row(1, &"x".repeat(most)), row(2, &"x".repeat(16 << 20)), row(3, "y")]).await;
    assert_eq!(refused.iter().map(|r| r.code).collect::<Vec<_>>(), ["value_too_large"]);
    assert_eq!(applied.outcomes[0].created, 2);
    assert_eq!(db.scalar("SELECT LENGTH(e) FROM t WHERE id = 1").await, most.to_string());
}

#[tokio::test]
async fn a_new_table_is_loaded_straight() {
    let db = fresh("CREATE TABLE shape (id INT PRIMARY KEY, e VARCHAR(20), UNIQUE KEY by_e (e))").await;
    use syncline_connector::{Connector as _, NewTable};
    let shape = table(&db, "shape").await;
    let mut target = shape.clone();
    target.name.name = "made".into();
    let ddl = syncline_mysql::Mysql.ddl(&NewTable {
        name: target.name.clone(),
        columns: target.columns.clone(),
        primary_key: target.primary_key.clone(),
        uniques: target.uniques.clone(),
        foreign_keys: vec![],
        indexes: vec![],
        comment: None,
    });
    let mut s = stream(&target);
    (s.create, s.path) = (Some(ddl), WritePath::Load);
    let mut work = destination(&db).await.begin(run(vec![s])).await.expect("begin");
    work.stage(0, &batch(&[row(1, "a"), row(2, "b")])).await.expect("stage");
    work.apply().await.expect("apply");
    work.commit().await.expect("commit");
    assert_eq!(rows(&db, "made").await, [row(1, "a"), row(2, "b")]);
    assert_eq!(table(&db, "made").await.uniques[0].columns, ["e"]);
}

#[tokio::test]
async fn staging_tables_are_indexed_for_every_unique_key_that_is_checked() {
    let db = fresh(
        "CREATE TABLE t (id INT PRIMARY KEY, e VARCHAR(200) UNIQUE, long_one VARCHAR(700), UNIQUE KEY two (long_one(300)), UNIQUE KEY three (e, id))",
    )
    .await;
    db.execute("ALTER TABLE t ADD b VARBINARY(20), ADD UNIQUE KEY four (b, e)").await;
    let table = table(&db, "t").await;
    let mut work = destination(&db).await.begin(run(vec![stream(&table)])).await.expect("begin");
    let row = |id: i64| vec![Value::I64(id), Value::Text(format!("e{id}")), Value::Null, Value::Bytes(id.to_be_bytes().to_vec())];
    // Without the indexes this many rows would be compared pair by pair: minutes, not seconds.
    let many: Vec<Vec<Value>> = (1..=60_000).map(row).collect();
    work.stage(0, &batch(&many)).await.expect("stage");
    assert_eq!(work.apply().await.expect("apply").outcomes[0].created, 60_000);
    work.commit().await.expect("commit");
}

// rule: R24
#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unknown_until_the_marker_is_asked() {
    let db = fresh("CREATE TABLE t (id INT PRIMARY KEY, e VARCHAR(20))").await;
    let mut direct = destination(&db).await;
    direct.prepare(&[]).await.expect("prepare");
    let proxy = syncline_testkit::Proxy::in_front_of(db.port());
    let spec = crate::world::spec(&db.url_on(proxy.port()));
    let mut there = syncline_mysql::connector().destination(&spec).await.expect("connect");
    let mut work = there.begin(run(vec![stream(&table(&db, "t").await)])).await.expect("begin");
    work.stage(0, &batch(&[row(1, "a")])).await.expect("stage");
    work.apply().await.expect("apply");
    proxy.lose_answer_to("COMMIT");
    let e = work.commit().await.expect_err("no answer");
    assert_eq!((e.kind, e.code), (ErrorKind::Unavailable, "commit_unknown"));
    assert_eq!(there.fate(&marker("run-1"), None).await.expect("fate"), CommitFate::Committed);
    assert_eq!(rows(&db, "t").await, [row(1, "a")]);
}

#[tokio::test]
async fn a_connection_lost_while_loading_leaves_nothing() {
    let db = fresh("CREATE TABLE t (id INT PRIMARY KEY, e LONGTEXT)").await;
    let proxy = syncline_testkit::Proxy::in_front_of(db.port());
    let spec = crate::world::spec(&db.url_on(proxy.port()));
    let mut there = syncline_mysql::connector().destination(&spec).await.expect("connect");
    let mut work = there.begin(run(vec![stream(&table(&db, "t").await)])).await.expect("begin");
    proxy.cut_after_bytes(500_000);
    let big: Vec<Vec<Value>> = (1..=20).map(|i| row(i, &"x".repeat(100_000))).collect();
    let e = work.stage(0, &batch(&big)).await.expect_err("cut");
    assert_eq!((e.kind, e.code), (ErrorKind::Unavailable, "connection_lost"));
    work.abort().await.expect("nothing to undo");
    assert_eq!(rows(&db, "t").await.len(), 0);
}

// rule: R23
// case: C21
#[tokio::test]
async fn tables_that_need_each_other_and_rows_that_need_their_own_table_go_in_and_orphans_do_not() {
    let db = fresh(
        "CREATE TABLE store (id INT PRIMARY KEY, manager INT NOT NULL);
         CREATE TABLE staff (id INT PRIMARY KEY, store INT NOT NULL, FOREIGN KEY (store) REFERENCES store (id));
         ALTER TABLE store ADD FOREIGN KEY (manager) REFERENCES staff (id);
         CREATE TABLE category (id INT PRIMARY KEY, parent INT NULL, FOREIGN KEY (parent) REFERENCES category (id))",
    )
    .await;
    let (store, staff, category) = (table(&db, "store").await, table(&db, "staff").await, table(&db, "category").await);
    let pair = |a: i64, b: i64| vec![Value::I64(a), Value::I64(b)];
    let streams = vec![stream(&store), stream(&staff), stream(&category)];
    let mut work = destination(&db).await.begin(run(streams)).await.expect("begin");
    work.stage(0, &batch(&[pair(1, 10), pair(2, 99)])).await.expect("stage");
    work.stage(1, &batch(&[pair(10, 1), pair(20, 2)])).await.expect("stage");
    work.stage(2, &batch(&[pair(5, 6), pair(6, 6), pair(7, 8)])).await.expect("stage");
    let applied = work.apply().await.expect("apply");
    work.commit().await.expect("commit");
    let counts: Vec<(u64, usize)> = applied.outcomes.iter().map(|o| (o.created, o.rejects.len())).collect();
    // The store of a missing manager goes, and with it the person who works there.
    assert_eq!(counts, [(1, 1), (1, 1), (2, 1)]);
    assert!(applied.outcomes.iter().flat_map(|o| &o.rejects).all(|r| r.code == "parent_missing"));
    assert_eq!(rows(&db, "store").await, [pair(1, 10)]);
    assert_eq!(rows(&db, "category").await, [pair(5, 6), pair(6, 6)]);
}
