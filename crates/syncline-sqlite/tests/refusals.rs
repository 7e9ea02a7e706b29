//! What cannot work is told by code, and what may not happen does not.

use rusqlite::Connection;
use syncline_connector::{CommitFate, ErrorKind};
use syncline_model::Value as V;

use crate::support::*;

#[tokio::test]
async fn a_source_cannot_be_written_by_any_statement() {
    let files = Files::new();
    files.script("s.db", "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    let mut source = files.source("s.db").await;
    for sql in ["DELETE FROM t", "INSERT INTO t VALUES (2) RETURNING id", "CREATE TABLE u (x)", "PRAGMA user_version = 5"] {
        let outcome = source.query_values(sql).await;
        assert!(outcome.is_err() || files.cells("s.db", "PRAGMA user_version") == [["Integer(0)"]], "{sql}");
    }
    assert_eq!(source.query_values("SELECT id FROM t").await.unwrap(), [V::I64(1)]);
    assert_eq!(files.cells("s.db", "SELECT count(*) FROM t"), [["Integer(1)"]]);
}

#[tokio::test]
async fn files_that_are_missing_or_no_database_are_told_apart() {
    let files = Files::new();
    let connector = syncline_sqlite::connector();
    let missing = connector.source(&files.spec("none.db")).await.err().unwrap();
    assert_eq!((missing.kind, missing.code), (ErrorKind::Invalid, "file_missing"));
    std::fs::write(files.path("bad.db"), vec![b'x'; 5000]).unwrap();
    for outcome in [connector.source(&files.spec("bad.db")).await.err(), connector.destination(&files.spec("bad.db")).await.err()] {
        let e = outcome.unwrap();
        assert_eq!((e.kind, e.code), (ErrorKind::Invalid, "file_corrupt"));
        assert!(e.hint.is_some());
    }
    let mut spec = files.spec("x.db");
    for url in ["mysql://x", "sqlite:", "sqlite::memory:"] {
        spec.url = url.to_owned().into();
        assert_eq!(connector.source(&spec).await.err().unwrap().code, "url_invalid");
    }
    assert_eq!(connector.destination(&files.spec("no/dir.db")).await.err().unwrap().code, "file_missing");
}

#[tokio::test]
async fn a_page_destroyed_in_the_middle_is_an_error_and_never_a_short_listing() {
    let files = Files::new();
    files.script(
        "s.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT i, hex(i) || 'padding' FROM n",
    );
    let mut source = files.source("s.db").await;
    let t = table(&mut *source, "t").await;
    let mut bytes = std::fs::read(files.path("s.db")).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xee);
    std::fs::write(files.path("s.db"), bytes).unwrap();
    let mut snapshot = source.snapshot().await.unwrap();
    let e = drain(snapshot.read(request(&t)).await.unwrap()).await.unwrap_err();
    assert_eq!((e.kind, e.code), (ErrorKind::Invalid, "file_corrupt"));
}

// rule: R21
#[tokio::test]
async fn rows_that_constraints_refuse_are_set_aside_one_by_one() {
    let files = Files::new();
    files.script(
        "d.db",
        "CREATE TABLE p (id INTEGER PRIMARY KEY);
         CREATE TABLE t (id INTEGER PRIMARY KEY, p INT REFERENCES p(id), e TEXT UNIQUE, n INT NOT NULL CHECK (n > 0));
         INSERT INTO p VALUES (1); INSERT INTO t VALUES (50, 1, 'held', 1);
         CREATE TRIGGER no BEFORE INSERT ON t WHEN NEW.n = 13 BEGIN SELECT raise(ABORT, 'unlucky'); END;",
    );
    let mut destination = files.destination("d.db").await;
    let t = destination.discover().await.unwrap().tables.into_iter().find(|t| t.name.name == "t").unwrap();
    let row = |id: i64, p: i64, e: &str, n: V| vec![V::I64(id), V::I64(p), text(e), n];
    let rows = [
        row(1, 1, "a", V::I64(5)),
        row(2, 9, "b", V::I64(5)),
        row(3, 1, "held", V::I64(5)),
        row(4, 1, "c", V::Null),
        row(5, 1, "d", V::I64(0)),
        row(6, 1, "e", V::I64(13)),
        row(7, 1, "f", V::I64(1)),
    ];
    let (_, applied) = write(&mut *destination, "r", stream(&t, None), &rows).await;
    let o = &applied.outcomes[0];
    let mut codes: Vec<&str> = o.rejects.iter().map(|r| r.code).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["check_violated", "not_null", "parent_missing", "trigger_refused", "unique_taken"]);
    assert_eq!((o.created, o.staged), (2, 7));
}

// rule: R22
#[tokio::test]
async fn unique_values_swap_between_two_rows() {
    let files = Files::new();
    files.script(
        "d.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, e TEXT NOT NULL UNIQUE, n INT NOT NULL UNIQUE); INSERT INTO t VALUES (1,'a',1), (2,'b',2)",
    );
    let mut destination = files.destination("d.db").await;
    let t = destination.discover().await.unwrap().tables.remove(0);
    let rows = [vec![V::I64(1), text("b"), V::I64(2)], vec![V::I64(2), text("a"), V::I64(1)]];
    let (_, applied) = write(&mut *destination, "r", stream(&t, None), &rows).await;
    assert_eq!((applied.outcomes[0].updated, applied.outcomes[0].rejects.len()), (2, 0));
    assert_eq!(files.cells("d.db", "SELECT n FROM t ORDER BY id"), [["Integer(2)"], ["Integer(1)"]]);
}

// rule: R18
#[tokio::test]
async fn nothing_is_locked_while_rows_are_staged_and_nothing_is_seen_before_the_commit() {
    let files = Files::new();
    let mut destination = files.destination("d.db").await;
    files.script("d.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    destination.prepare(&[]).await.unwrap();
    let t = destination.discover().await.unwrap().tables.remove(0);
    let mut run = destination.begin(spec("r", vec![stream(&t, None)])).await.unwrap();
    run.stage(0, &batch(&[vec![V::I64(1), text("a")]])).await.unwrap();
    let other: Connection = files.plain("d.db");
    other.busy_timeout(std::time::Duration::ZERO).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (9, 'mine'); COMMIT").unwrap();
    run.apply().await.unwrap();
    assert_eq!(files.cells("d.db", "SELECT count(*) FROM t"), [["Integer(1)"]]);
    assert!(other.execute_batch("BEGIN IMMEDIATE").is_err(), "the write lock is held from apply to commit");
    run.commit().await.unwrap();
    assert_eq!(files.cells("d.db", "SELECT count(*) FROM t"), [["Integer(2)"]]);
    use syncline_connector::CommitFate;
    assert_eq!(destination.fate(&marker("r"), None).await.unwrap(), CommitFate::Committed);
    assert_eq!(destination.fate(&marker("other"), None).await.unwrap(), CommitFate::RolledBack);
}

// An existing file keeps its journal mode, so there a snapshot that is still open keeps the commit waiting: told, not hung.
#[tokio::test]
async fn a_commit_that_an_open_reader_blocks_is_unavailable_and_leaves_nothing() {
    let files = Files::new();
    files.script("d.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    let mut destination = files.destination("d.db").await;
    destination.prepare(&[]).await.unwrap();
    let t = destination.discover().await.unwrap().tables.remove(0);
    let snapshot = destination.snapshot().await.unwrap();
    let mut run = destination.begin(spec("r", vec![stream(&t, None)])).await.unwrap();
    run.stage(0, &batch(&[vec![V::I64(1), text("a")]])).await.unwrap();
    run.apply().await.unwrap();
    let e = run.commit().await.unwrap_err();
    assert_eq!((e.kind, e.code), (ErrorKind::Unavailable, "database_busy"));
    drop(run);
    snapshot.close().await.unwrap();
    assert_eq!(files.cells("d.db", "SELECT count(*) FROM t"), [["Integer(0)"]]);
    assert_eq!(files.cells("d.db", "PRAGMA journal_mode"), [[format!("Text({:?})", b"delete")]]);
}

// rule: R24
#[tokio::test]
async fn a_run_that_may_still_commit_is_never_called_rolled_back() {
    let files = Files::new();
    files.script("d.db", "PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)");
    let mut destination = files.destination("d.db").await;
    destination.prepare(&[]).await.unwrap();
    let t = table(&mut *files.source("d.db").await, "t").await;
    let mut open = destination.begin(spec("r1", vec![stream(&t, None)])).await.unwrap();
    open.stage(0, &batch(&[vec![V::I64(1), V::I64(2)]])).await.unwrap();
    open.apply().await.unwrap();
    let e = destination.fate(&marker("r1"), None).await.expect_err("not known yet");
    assert!(e.kind.is_transient(), "{e}");
    open.commit().await.unwrap();
    assert_eq!(destination.fate(&marker("r1"), None).await.unwrap(), CommitFate::Committed);
    assert_eq!(destination.fate(&marker("r2"), None).await.unwrap(), CommitFate::RolledBack);
}
