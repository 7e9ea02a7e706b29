//! Rows to put into a store.

use syncline_model::Books;

use crate::contract::{Result, StateStore, StateTx};
use crate::rows::{
    CursorRow, IdRow, LockRequest, ParkedRow, PositionRow, RunFinish, RunIntent, RunKind, RunRow, RunStatus, StreamRow, VerifyRow,
};

/// What a step gives, or the failure of the test.
pub fn done<T>(outcome: Result<T>) -> T {
    match outcome {
        Ok(value) => value,
        Err(e) => panic!("the store refused a legal step: {} ({e})", e.code()),
    }
}

/// The code of a step that must be refused.
pub fn refusal<T>(outcome: Result<T>) -> String {
    match outcome {
        Ok(_) => panic!("the store took an illegal step"),
        Err(e) => e.code().to_owned(),
    }
}

pub async fn begin(store: &dyn StateStore) -> Box<dyn StateTx> {
    done(store.begin().await)
}

pub async fn commit(tx: Box<dyn StateTx>) {
    done(tx.commit().await);
}

#[must_use]
pub fn run(id: &str, sync: &str, started_at: i64) -> RunRow {
    RunRow {
        id: id.to_owned(),
        number: 0,
        sync: sync.to_owned(),
        scope: String::new(),
        kind: RunKind::Manual,
        mode: "diff".to_owned(),
        started_at,
        completed_at: None,
        status: RunStatus::Running,
        books: Books::default(),
        conflicts: 0,
        error: None,
        intent: None,
        undoable: false,
        undone_by: None,
        of_run: None,
        notes: Vec::new(),
        streams: Vec::new(),
    }
}

#[must_use]
pub fn finish(status: RunStatus) -> RunFinish {
    RunFinish { status, completed_at: 2_000, books: Books::default(), conflicts: 0, error: None, undoable: true, notes: Vec::new() }
}

#[must_use]
pub fn intent() -> RunIntent {
    RunIntent { marker: "{\"run\":\"r\"}".to_owned(), token: Some("748".to_owned()), settlement: "{}".to_owned() }
}

#[must_use]
pub fn stream(name: &str, created: u64) -> StreamRow {
    StreamRow {
        stream: name.to_owned(),
        table: format!("public.{name}"),
        mode: "diff".to_owned(),
        path: "stage".to_owned(),
        digest: "native".to_owned(),
        books: Books { in_scope: created, fetched: created, created, ..Books::default() },
        duration_ms: 12,
        parked_by_code: vec![("not_null".to_owned(), 2)],
    }
}

#[must_use]
pub fn position(sync: &str, scope: &str, stream: &str) -> PositionRow {
    PositionRow {
        sync: sync.to_owned(),
        scope: scope.to_owned(),
        stream: stream.to_owned(),
        collection_key: stream.to_owned(),
        last_synced_at: Some(1_700_000_000_000_000),
        mark: Some(-5),
        cursor_json: Some("42".to_owned()),
        run: "r1".to_owned(),
        shape: "s1".to_owned(),
        seen: vec![CursorRow { at: 7, cursor_json: "43".to_owned() }],
    }
}

#[must_use]
pub fn parked(stream: &str, key: &str, run: &str, at: i64) -> ParkedRow {
    ParkedRow {
        id: 0,
        sync: "shop".to_owned(),
        scope: String::new(),
        stream: stream.to_owned(),
        key_json: key.to_owned(),
        code: "parent_missing".to_owned(),
        column: Some("store_id".to_owned()),
        detail: "its store is not there".to_owned(),
        image_json: Some("{\"id\":1}".to_owned()),
        run: run.to_owned(),
        first_at: at,
        last_at: at,
        attempts: 1,
        outcome: None,
    }
}

#[must_use]
pub fn mapping(legacy: u8, new: &str) -> IdRow {
    IdRow { legacy: vec![legacy], legacy_json: format!("[{legacy}]"), new_json: format!("[\"{new}\"]"), run: "r1".to_owned() }
}

#[must_use]
pub fn verify(id: &str, sync: &str, started_at: i64) -> VerifyRow {
    VerifyRow {
        id: id.to_owned(),
        number: 0,
        sync: sync.to_owned(),
        scope: String::new(),
        started_at,
        duration_ms: 7,
        passed: false,
        report_json: "{\"streams\":[]}".to_owned(),
    }
}

#[must_use]
pub fn lock(holder: &str, now: i64, until: i64) -> LockRequest {
    LockRequest {
        name: "run/shop/".to_owned(),
        holder: holder.to_owned(),
        run: format!("run of {holder}"),
        now,
        until,
        process: None,
        gone: None,
    }
}
