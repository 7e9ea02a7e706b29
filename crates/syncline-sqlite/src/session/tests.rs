//! What a writing connection meets in the field: a full disk, a lock, a file that may not be written, a cut.

use syncline_connector::{ConnectionSpec, ErrorKind};
use syncline_model::{Column, LogicalType, RowBatch, ValueRef};
use syncline_sql::{LoadPlace, LoadTarget, SqlSession};

use super::SqliteSession;
use crate::connect::Place;

struct Bench {
    directory: tempfile::TempDir,
    place: Place,
}

impl Bench {
    fn new(sql: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("d.db");
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let spec = ConnectionSpec {
            name: "d".into(),
            url: format!("sqlite:{}", path.display()).into(),
            schema: None,
            flavor: None,
            memory: 1 << 20,
        };
        Self { directory, place: Place::of(&spec).unwrap() }
    }

    async fn session(&self) -> SqliteSession {
        SqliteSession::new(self.place.writer().await.unwrap())
    }

    fn plain(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.directory.path().join("d.db")).unwrap()
    }
}

fn target() -> LoadTarget {
    let column = Column::plain("v", LogicalType::Bytes { bytes_max: None, fixed: false }, "BLOB");
    LoadTarget { table: "t".into(), columns: vec![column], numbered: false, place: LoadPlace::New }
}

#[tokio::test]
async fn a_full_disk_is_told_and_leaves_the_file_as_it_was() {
    let bench = Bench::new("CREATE TABLE t (v BLOB); INSERT INTO t VALUES (x'01')");
    let mut session = bench.session().await;
    session.execute("PRAGMA max_page_count = 4").await.unwrap();
    session.begin().await.unwrap();
    let mut rows = RowBatch::new(1);
    for _ in 0..10 {
        rows.push(ValueRef::Bytes(&[7; 4000]));
    }
    let e = session.load(&target(), &rows).await.unwrap_err();
    assert_eq!((e.kind, e.code), (ErrorKind::Unavailable, "disk_full"));
    session.rollback().await.unwrap();
    let left: i64 = bench.plain().query_row("SELECT count(*) FROM t", [], |r| r.get(0)).unwrap();
    assert_eq!(left, 1);
}

#[tokio::test]
async fn a_lock_held_by_another_program_is_unavailable() {
    let bench = Bench::new("CREATE TABLE t (v BLOB)");
    let other = bench.plain();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut session = bench.session().await;
    session.execute("PRAGMA busy_timeout = 0").await.unwrap();
    let e = session.begin().await.unwrap_err();
    assert_eq!((e.kind, e.code), (ErrorKind::Unavailable, "database_busy"));
    other.execute_batch("COMMIT").unwrap();
    session.begin().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_may_only_read_is_told_so() {
    let bench = Bench::new("CREATE TABLE t (v BLOB)");
    let mut session = SqliteSession::new(bench.place.reader().await.unwrap());
    for sql in ["INSERT INTO t VALUES (1)", "CREATE TABLE u (v)", "CREATE TEMP TABLE u (v)"] {
        let e = session.execute(sql).await.unwrap_err();
        assert_eq!((e.kind, e.code), (ErrorKind::Unauthorized, "read_only"), "{sql}");
    }
    // Even with the switch off the file was opened for reading.
    session.execute("PRAGMA query_only = OFF").await.unwrap();
    assert_eq!(session.execute("INSERT INTO t VALUES (1)").await.unwrap_err().code, "read_only");
}

#[tokio::test]
async fn a_cut_connection_rolls_back_and_says_that_it_is_gone() {
    let bench = Bench::new("CREATE TABLE t (v BLOB)");
    let mut session = bench.session().await;
    session.begin().await.unwrap();
    assert_eq!(session.execute("INSERT INTO t VALUES (1)").await.unwrap(), 1);
    session.sever().await;
    let e = session.commit().await.unwrap_err();
    assert_eq!((e.kind, e.code), (ErrorKind::Unavailable, "connection_lost"));
    session.rollback().await.unwrap();
    let left: i64 = bench.plain().query_row("SELECT count(*) FROM t", [], |r| r.get(0)).unwrap();
    assert_eq!(left, 0);
}

// rule: R17
#[tokio::test]
async fn affected_rows_are_those_matched_by_this_statement_alone() {
    let bench = Bench::new(
        "CREATE TABLE t (v BLOB); CREATE TABLE log (v);
         CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log VALUES (1), (2); END",
    );
    let mut session = bench.session().await;
    assert_eq!(session.execute("INSERT INTO t VALUES (1), (2), (3)").await.unwrap(), 3);
    assert_eq!(session.execute("CREATE TABLE u (v)").await.unwrap(), 0);
    assert_eq!(session.execute("UPDATE t SET v = v").await.unwrap(), 3);
    assert_eq!(session.execute("UPDATE t SET v = v WHERE v = 99").await.unwrap(), 0);
    assert_eq!(session.execute("DELETE FROM t").await.unwrap(), 3);
}

#[tokio::test]
async fn a_loaded_child_may_come_before_its_parent_and_an_orphan_stops_the_commit() {
    for (parents, committed) in [(1, true), (0, false)] {
        let bench = Bench::new("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p INT REFERENCES p(id))");
        let mut session = bench.session().await;
        session.begin().await.unwrap();
        for (table, column, rows) in [("c", "p", 1), ("p", "id", parents)] {
            let column = Column::plain(column, LogicalType::Int { bits: 64, unsigned: false }, "INT");
            let target = LoadTarget { table: format!("\"{table}\""), columns: vec![column], numbered: false, place: LoadPlace::New };
            let mut batch = RowBatch::new(1);
            for _ in 0..rows {
                batch.push(ValueRef::I64(7));
            }
            assert_eq!(session.load(&target, &batch).await.unwrap(), []);
        }
        let outcome = session.commit().await.map_err(|e| (e.kind, e.code));
        assert_eq!(outcome, if committed { Ok(()) } else { Err((ErrorKind::BadRecord, "parent_missing")) });
        let left: i64 = bench.plain().query_row("SELECT count(*) FROM c", [], |r| r.get(0)).unwrap();
        assert_eq!(left == 1, committed);
        // The checks are on again afterwards.
        let orphan = session.execute("INSERT INTO c VALUES (99)").await.unwrap_err();
        assert_eq!(orphan.code, "parent_missing");
    }
}
