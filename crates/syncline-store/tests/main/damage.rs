//! Files that are damaged, foreign, newer, or out of reach: a clear error, never "no state".

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use syncline_store::conformance::sample::{begin, commit, done, position};
use syncline_store::rows::{PositionRow, SegmentRow};
use syncline_store::{SqliteStore, StoreError};

fn open_error(path: &Path) -> StoreError {
    match SqliteStore::open(path) {
        Ok(_) => panic!("`{}` was opened", path.display()),
        Err(e) => e,
    }
}

async fn filled(path: &Path) {
    let store = SqliteStore::open(path).expect("a store");
    let mut tx = begin(&store).await;
    done(tx.save_position(&position("shop", "", "film")).await);
    done(tx.save_segments("shop", "", "film", "s", &[SegmentRow { id: 1, source: (2, 3), destination: (4, 5) }]).await);
    commit(tx).await;
}

fn tamper(path: &Path, sql: &str) {
    let c = Connection::open(path).expect("the file");
    assert!(c.execute(sql, []).expect("the statement") > 0);
}

// case: G13
#[tokio::test]
async fn a_changed_cell_of_a_position_is_an_error_and_never_no_position() {
    for change in [
        "mark = mark + 1",
        "mark = null",
        "cursor_json = '43'",
        "shape = ''",
        "seen_json = '[]'",
        "last_synced_at = 9223372036854775807",
        "run = ''",
        "checksum = 0",
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("state.db");
        filled(&path).await;
        tamper(&path, &format!("update sync_state set {change}"));
        let store = SqliteStore::open(&path).expect("a store");
        let mut tx = begin(&store).await;
        for outcome in [tx.load_position("shop", "", "film").await.map(|_| ()), tx.list_positions("shop").await.map(|_| ())] {
            assert_eq!(outcome.expect_err(change).code(), "state_corrupt");
        }
    }
}

// case: G13, A21
#[tokio::test]
async fn a_position_that_an_older_program_left_is_read_and_has_no_shape() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let old = PositionRow { shape: String::new(), seen: Vec::new(), ..position("shop", "", "film") };
    let mut tx = begin(&SqliteStore::open(&path).expect("a store")).await;
    done(tx.save_position(&old).await);
    commit(tx).await;
    let c = Connection::open(&path).expect("the file");
    c.execute_batch("alter table sync_state drop column shape; alter table sync_state drop column seen_json; update meta set value = '3' where name = 'format'")
        .expect("a file of the format before");
    drop(c);
    let store = SqliteStore::open(&path).expect("a store");
    assert_eq!(done(begin(&store).await.load_position("shop", "", "film").await), Some(old));
}

// case: G13
#[tokio::test]
async fn a_position_in_a_newer_format_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    filled(&path).await;
    tamper(&path, "update sync_state set format = 2");
    let store = SqliteStore::open(&path).expect("a store");
    let outcome = begin(&store).await.load_position("shop", "", "film").await;
    assert!(matches!(outcome, Err(StoreError::Newer { found: 2, known: 1 })));
}

// rule: R12
#[tokio::test]
async fn changed_remembered_digests_are_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    filled(&path).await;
    tamper(&path, "update segment_digests set digests = zeroblob(40)");
    let store = SqliteStore::open(&path).expect("a store");
    let outcome = begin(&store).await.load_segments("shop", "", "film", "s").await;
    assert_eq!(outcome.expect_err("damage").code(), "state_corrupt");
}

// case: G13, A21
#[tokio::test]
async fn the_file_of_a_newer_program_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    filled(&path).await;
    tamper(&path, "update meta set value = '99' where name = 'format'");
    let before = fs::read(&path).expect("the file");
    assert!(matches!(open_error(&path), StoreError::Newer { found: 99, known: 4 }));
    assert_eq!(fs::read(&path).expect("the file"), before);
}

// case: G13
#[test]
fn a_file_that_is_no_database_is_corrupt_and_left_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let text = "this is no database, whatever its name says ".repeat(200);
    fs::write(&path, &text).expect("the file");
    assert_eq!(open_error(&path).code(), "state_corrupt");
    assert_eq!(fs::read_to_string(&path).expect("the file"), text);
}

// case: G13
#[tokio::test]
async fn a_file_with_overwritten_pages_is_corrupt() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    filled(&path).await;
    let mut bytes = fs::read(&path).expect("the file");
    bytes[100..].fill(0x5a);
    fs::write(&path, bytes).expect("the file");
    assert_eq!(open_error(&path).code(), "state_corrupt");
}

#[test]
fn the_database_of_another_program_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("shop.db");
    Connection::open(&path).and_then(|c| c.execute_batch("create table film (id integer)")).expect("a database");
    let before = fs::read(&path).expect("the file");
    let error = open_error(&path);
    assert_eq!(error.code(), "state_corrupt");
    assert!(error.to_string().contains("another program"), "{error}");
    assert_eq!(fs::read(&path).expect("the file"), before);
}

#[test]
fn missing_directories_are_made() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a/b/.syncline/state.db");
    SqliteStore::open(&path).expect("a store");
    assert!(path.is_file());
}

#[test]
fn a_path_that_cannot_be_reached_says_so_and_what_to_do() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("file"), "").expect("a file");
    for path in [directory.path().join("file/state.db"), directory.path().to_owned()] {
        match open_error(&path) {
            StoreError::Unavailable { code, message, hint } => {
                assert_eq!(code, "state_unavailable");
                assert!(message.contains(&path.display().to_string()), "{message}");
                assert!(hint.contains("state.url"), "{hint}");
            }
            other => panic!("{other:?}"),
        }
    }
}
