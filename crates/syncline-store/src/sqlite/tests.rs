//! Faults of the file system and of the process that need a hand inside the connection.

use std::time::Duration;

use rusqlite::Connection;

use super::schema::{known, migrate};
use super::{SqliteStore, StateStore};
use crate::contract::StateTx;
use crate::error::StoreError;

/// Does something to the store's own connection, behind its back.
async fn inside<T: Send + 'static>(store: &SqliteStore, work: impl FnOnce(&Connection) -> T + Send + 'static) -> T {
    let (answer, answered) = tokio::sync::oneshot::channel();
    store.writer.send(Box::new(move |c| {
        let _ = answer.send(work(c));
    }));
    answered.await.expect("the writer")
}

async fn write_much(tx: &mut Box<dyn StateTx>) -> crate::Result<()> {
    for n in 0..200 {
        tx.save_note("shop", &n.to_string(), &"x".repeat(10_000)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_commit_is_synced_to_disk_and_foreign_keys_hold() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("state.db")).unwrap();
    let pragmas = inside(&store, |c| {
        let text = |name: &str| c.pragma_query_value(None, name, |r| r.get::<_, rusqlite::types::Value>(0)).unwrap();
        ["journal_mode", "synchronous", "foreign_keys"].map(text)
    });
    assert_eq!(format!("{:?}", pragmas.await), "[Text(\"wal\"), Integer(2), Integer(1)]");
}

#[tokio::test]
async fn a_full_disk_says_so_keeps_what_was_there_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("state.db")).unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.save_note("shop", "before", "1").await.unwrap();
    tx.commit().await.unwrap();
    inside(&store, |c| c.pragma_update(None, "max_page_count", 80).unwrap()).await;

    let mut tx = store.begin().await.unwrap();
    let error = write_much(&mut tx).await.unwrap_err();
    assert_eq!(error.code(), "disk_full");
    assert!(matches!(&error, StoreError::Unavailable { hint, .. } if hint.contains("free space")));
    drop(tx);

    inside(&store, |c| c.pragma_update(None, "max_page_count", 100_000).unwrap()).await;
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.load_note("shop", "0").await.unwrap(), None);
    assert_eq!(tx.load_note("shop", "before").await.unwrap().as_deref(), Some("1"));
    write_much(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn nothing_is_written_after_sqlite_ended_the_transaction_by_itself() {
    let store = SqliteStore::in_memory().unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.save_note("shop", "first", "1").await.unwrap();
    inside(&store, |c| c.execute_batch("rollback").unwrap()).await;
    assert_eq!(tx.save_note("shop", "second", "2").await.unwrap_err().code(), "state_unavailable");
    assert_eq!(tx.commit().await.unwrap_err().code(), "state_unavailable");
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.load_note("shop", "first").await.unwrap(), None);
    assert_eq!(tx.load_note("shop", "second").await.unwrap(), None);
}

#[tokio::test]
async fn a_file_held_by_another_program_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = SqliteStore::open(&path).unwrap();
    inside(&store, |c| c.busy_timeout(Duration::ZERO).unwrap()).await;
    let other = Connection::open(&path).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let Err(error) = store.begin().await else { panic!("the lock was ignored") };
    assert_eq!(error.code(), "database_busy");
    other.execute_batch("rollback").unwrap();
    store.begin().await.unwrap().commit().await.unwrap();
}

// req: S0-ERRORS
#[test]
fn a_file_that_was_cut_to_nothing_is_damaged_and_not_new() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("inner/state.db");
    drop(SqliteStore::open(&path).unwrap());
    let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(left, ["state.db"], "nothing of its making stays");
    std::fs::write(&path, "").unwrap();
    let Err(error) = SqliteStore::open(&path) else { panic!("taken for new") };
    assert_eq!(error.code(), "state_corrupt");
}

#[cfg(unix)]
#[test]
fn only_its_owner_reads_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("inner/state.db");
    let _store = SqliteStore::open(&path).unwrap();
    let mode = |p: &std::path::Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

#[tokio::test]
async fn a_read_only_file_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("state.db")).unwrap();
    inside(&store, |c| c.pragma_update(None, "query_only", true).unwrap()).await;
    let Err(error) = store.begin().await else { panic!("it was written to") };
    assert_eq!(error.code(), "read_only");
    assert!(matches!(error, StoreError::Unavailable { hint, .. } if hint.contains("writable")));
}

// case: A22
#[tokio::test]
async fn a_panic_in_the_writer_costs_its_transaction_and_nothing_else() {
    let store = SqliteStore::in_memory().unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.save_note("shop", "a", "1").await.unwrap();
    store.writer.send(Box::new(|_| panic!("planted")));
    assert_eq!(tx.save_note("shop", "b", "2").await.unwrap_err().code(), "state_unavailable");
    drop(tx);
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.load_note("shop", "a").await.unwrap(), None);
    tx.save_note("shop", "c", "3").await.unwrap();
    tx.commit().await.unwrap();
}

// case: A13
#[test]
fn migrating_again_changes_nothing_and_a_cut_migration_starts_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    {
        let c = Connection::open(&path).unwrap();
        c.execute_batch("begin immediate; create table meta (name text primary key, value text not null) strict, without rowid").unwrap();
    }
    let c = Connection::open(&path).unwrap();
    let tables = || c.query_row("select count(*) from sqlite_schema", [], |r| r.get::<_, i64>(0)).unwrap();
    assert_eq!(tables(), 0);
    migrate(&c).unwrap();
    let made = tables();
    migrate(&c).unwrap();
    assert_eq!((tables(), known()), (made, 4));
}

// case: A13, A21
#[test]
fn a_file_of_an_older_format_is_brought_to_the_newest_with_its_rows() {
    let c = Connection::open_in_memory().unwrap();
    c.execute_batch(include_str!("schema/0001_state.sql")).unwrap();
    c.execute_batch("insert into meta values ('format', '1'); insert into locks values ('run/a/', 7, true, 'ann', 'r', 1, 2)").unwrap();
    migrate(&c).unwrap();
    let lock = c.query_row("select token, process from locks", [], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, Option<String>>(1)?))).unwrap();
    assert_eq!(lock, (7, None));
}
