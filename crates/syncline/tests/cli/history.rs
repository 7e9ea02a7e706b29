//! Commands that read history, on a state that was filled by hand: shapes, numbers, exit codes.

use serde_json::json;
use syncline_model::Books;
use syncline_store::rows::{
    ConflictRow, DeletionRow, IdRow, ParkedRow, RunError, RunFinish, RunKind, RunRow, RunStatus, StreamRow, VerifyRow,
};
use syncline_store::{StateStore, StateTx};

use crate::world::World;

const FIRST: &str = "0193aa20-0000-7000-8000-000000000001";
const SECOND: &str = "0193aa20-0000-7000-8000-000000000002";
const VERIFY: &str = "0193aa20-0000-7000-8000-00000000000f";
const START: i64 = 1_763_667_600_000_000;

fn run(id: &str, started_at: i64) -> RunRow {
    RunRow {
        id: id.to_owned(),
        number: 0,
        sync: "pair".to_owned(),
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

fn books() -> Books {
    Books { in_scope: 1003, equal_by_digest: 1000, fetched: 3, created: 1, updated: 1, parked: 1, held_back: 60, ..Books::default() }
}

async fn partial_run(tx: &mut dyn StateTx) {
    tx.start_run(&run(FIRST, START)).await.unwrap();
    let stream = StreamRow {
        stream: "film".to_owned(),
        table: "film".to_owned(),
        mode: "diff".to_owned(),
        path: "stage".to_owned(),
        digest: "native".to_owned(),
        books: books(),
        duration_ms: 1234,
        parked_by_code: vec![("check_violated".to_owned(), 1)],
    };
    tx.save_stream(FIRST, &stream).await.unwrap();
    let conflict = ConflictRow {
        run: FIRST.to_owned(),
        stream: "film".to_owned(),
        key_json: "[7]".to_owned(),
        field: "title".to_owned(),
        source_json: "\"=CMD()\"".to_owned(),
        destination_json: "\"Old\"".to_owned(),
        resolved_json: "\"=CMD()\"".to_owned(),
        winner: "source".to_owned(),
        strategy: "source_wins".to_owned(),
        note: "changed on both sides since the last sync".to_owned(),
    };
    tx.save_conflicts(&[conflict]).await.unwrap();
    let deletion = |key: &str, done| DeletionRow {
        run: FIRST.to_owned(),
        stream: "film".to_owned(),
        key_json: key.to_owned(),
        reason: "missing_at_source".to_owned(),
        done,
    };
    tx.save_deletions(&[deletion("[1]", false), deletion("[2]", false)]).await.unwrap();
    tx.park(&parked()).await.unwrap();
    finish(tx, FIRST, RunStatus::Partial, None).await;
}

fn parked() -> ParkedRow {
    ParkedRow {
        id: 0,
        sync: "pair".to_owned(),
        scope: String::new(),
        stream: "film".to_owned(),
        key_json: "[9]".to_owned(),
        code: "check_violated".to_owned(),
        column: Some("length".to_owned()),
        detail: "check `length > 0` of `film`".to_owned(),
        image_json: Some("{\"film_id\":9,\"opened_at\":5}".to_owned()),
        run: FIRST.to_owned(),
        first_at: START,
        last_at: START,
        attempts: 1,
        outcome: None,
    }
}

async fn finish(tx: &mut dyn StateTx, run: &str, status: RunStatus, error: Option<RunError>) {
    let books = if status == RunStatus::Partial { books() } else { Books::default() };
    let completed_at = START + 2_500_000;
    let finish = RunFinish { status, completed_at, books, conflicts: 1, error, undoable: false, notes: vec!["a note".to_owned()] };
    tx.finish_run(run, &finish).await.unwrap();
}

/// A run that came and went without anything to tell.
pub async fn ended_run(tx: &mut dyn StateTx, id: &str, started_at: i64) {
    tx.start_run(&run(id, started_at)).await.unwrap();
    finish(tx, id, RunStatus::Succeeded, None).await;
}

/// A partial run, a failed run, a verify report with a difference, a mapping.
async fn filled() -> World {
    let world = World::with("");
    let state = world.state();
    let mut tx = state.begin().await.unwrap();
    partial_run(&mut *tx).await;
    tx.start_run(&run(SECOND, START + 60_000_000)).await.unwrap();
    let error = RunError {
        code: "connection_lost".to_owned(),
        message: "read `film`: the server went away".to_owned(),
        hint: Some("run it again".to_owned()),
        causes: vec!["reset by peer".to_owned()],
    };
    finish(&mut *tx, SECOND, RunStatus::Failed, Some(error)).await;
    tx.save_verify(&verify()).await.unwrap();
    let mapping = IdRow {
        legacy: vec![1],
        legacy_json: "[17]".to_owned(),
        new_json: "{\"uuid\":\"7f3c0000-0000-4000-8000-000000000000\"}".to_owned(),
        run: FIRST.to_owned(),
    };
    tx.add_ids("pair", "film", &[mapping]).await.unwrap();
    tx.commit().await.unwrap();
    world
}

fn verify() -> VerifyRow {
    let report = json!({
        "id": VERIFY, "number": 1, "sync": "pair", "scope": "", "started_at": START, "duration_ms": 40, "sample": 1.0, "truncated": false, "passed": false,
        "streams": [{ "stream": "film", "table": "film", "source_rows": 3, "destination_rows": 3, "compared": 3, "missing": 0, "extra": 0,
            "different": 1, "kept": 0, "parked": 0, "orphans": 2, "passed": false }],
        "differences": [{ "stream": "film", "kind": "different", "key": "[3]", "fields": [["title", "A", null]] }],
    });
    VerifyRow {
        id: VERIFY.to_owned(),
        number: 0,
        sync: "pair".to_owned(),
        scope: String::new(),
        started_at: START,
        duration_ms: 40,
        passed: false,
        report_json: report.to_string(),
    }
}

// req: S4-008
#[tokio::test]
async fn runs_are_listed_newest_first_and_filtered() {
    let world = filled().await;
    let runs = world.syncline(&["runs", "--json"]).ends_with(0).json();
    let ids: Vec<&str> = runs.as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [SECOND, FIRST]);
    assert_eq!(runs[1]["started_at"], "2025-11-20T19:40:00Z");
    assert_eq!(runs[1]["books"]["parked"], 1);
    let failed = world.syncline(&["runs", "--status", "failed", "--json"]).ends_with(0).json();
    assert_eq!(failed.as_array().unwrap().len(), 1);
    let late = world.syncline(&["runs", "--since", "2025-11-20T19:40:30Z", "--json"]).ends_with(0).json();
    assert_eq!(late[0]["id"], SECOND);
    let table = world.syncline(&["runs"]).ends_with(0).stdout;
    assert!(table.contains("partial") && table.contains("failed") && !table.contains('\x1b'), "{table}");
}

// req: S4-008
#[tokio::test]
async fn a_run_is_found_by_number_by_beginning_of_its_id_and_as_the_last() {
    let world = filled().await;
    for name in ["1", "#1", FIRST] {
        assert_eq!(world.syncline(&["show", name, "--json"]).ends_with(0).json()["id"], FIRST, "{name}");
    }
    assert_eq!(world.syncline(&["show", "last", "--json"]).ends_with(0).json()["id"], SECOND);
    let answer = world.syncline(&["show", "99"]).ends_with(1);
    assert!(answer.stderr.contains("error[run_unknown]"), "{}", answer.stderr);
}

// req: FR-006
#[tokio::test]
async fn a_run_is_shown_with_its_books_its_deletions_and_what_to_do_next() {
    let world = filled().await;
    let text = world.syncline(&["show", "1"]).ends_with(0).stdout;
    for word in
        ["partial", "1,003", "99.90 %", "60 deletions held back", "--approve-deletes", "check_violated", "held back film 1", "a note"]
    {
        assert!(text.contains(word), "{word} is not in:\n{text}");
    }
    let json = world.syncline(&["show", "1", "--json"]).ends_with(0).json();
    assert_eq!(json["deletions"][0]["key"], json!([1]));
    let failed = world.syncline(&["show", "2"]).ends_with(0).stdout;
    for word in ["error[connection_lost]", "why: reset by peer", "do: run it again", "syncline explain connection_lost"] {
        assert!(failed.contains(word), "{word} is not in:\n{failed}");
    }
}

// req: S4-008
#[tokio::test]
async fn conflicts_show_both_values_the_winner_and_the_reason() {
    let world = filled().await;
    let text = world.syncline(&["conflicts", "1"]).ends_with(0).stdout;
    assert!(text.contains("film 7\n  title: source \"=CMD()\" · destination \"Old\" → \"=CMD()\""), "{text}");
    let json = world.syncline(&["conflicts", "1", "--json"]).ends_with(0).json();
    assert_eq!((&json[0]["winner"], &json[0]["source"]), (&"source".into(), &"=CMD()".into()));
}

#[tokio::test]
async fn parked_rows_are_listed_and_can_be_let_go() {
    let world = filled().await;
    let json = world.syncline(&["parked", "--json"]).ends_with(0).json();
    assert_eq!((&json[0]["code"], &json[0]["column"]), (&"check_violated".into(), &"length".into()));
    assert_eq!(json[0]["image"], json!({ "film_id": 9, "opened_at": 5 }));
    let id = json[0]["id"].to_string();
    assert!(world.syncline(&["parked", "--discard"]).ends_with(2).stderr.contains("error[argument_missing]"));
    assert!(world.syncline(&["parked", "--discard", "77"]).ends_with(1).stderr.contains("error[parked_unknown]"));
    world.syncline(&["parked", "pair", "--discard", &id]).ends_with(0);
    assert_eq!(world.syncline(&["parked", "--json"]).ends_with(0).json(), json!([]));
    let closed = world.syncline(&["parked", "--closed", "--json"]).ends_with(0).json();
    assert_eq!(closed[0]["outcome"], "discarded");
    let audited = world.value(".syncline/state.db", "SELECT count(*) FROM audit_log");
    assert_ne!(audited, "0", "a command that writes left no audit line");
}

#[tokio::test]
async fn the_status_tells_last_run_parked_rows_and_what_waits() {
    let world = filled().await;
    let json = world.syncline(&["status", "--json"]).ends_with(0).json();
    assert_eq!((&json[0]["sync"], &json[0]["last_runs"][0]["id"]), (&"pair".into(), &SECOND.into()));
    assert_eq!(json[0]["parked"], json!([{ "stream": "film", "rows": 1 }]));
    let text = world.syncline(&["status"]).ends_with(0).stdout;
    assert!(text.contains("failed") && text.contains("1 row of film") && text.contains("v1: differences found"), "{text}");
}

// req: S4-008
#[tokio::test]
async fn a_run_and_a_stretch_of_history_are_exported_in_three_forms() {
    let world = filled().await;
    let one = world.syncline(&["export", "1"]).ends_with(0).json();
    let kinds: Vec<&str> = one.as_array().unwrap().iter().map(|r| r["record"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["run", "stream", "note", "deletion", "deletion", "conflict", "parked"]);
    let lines = world.syncline(&["export", "--since", "2025-11-20", "--format", "jsonl"]).ends_with(0).stdout;
    let runs = lines.lines().filter(|l| l.contains("\"record\":\"run\"")).count();
    assert_eq!(runs, 2, "{lines}");
    let csv = world.syncline(&["export", "1", "--format", "csv"]).ends_with(0).stdout;
    assert!(csv.contains(",'=CMD(),Old,'=CMD(),"), "{csv}");
    let none = world.syncline(&["export", "--since", "2025-11-20", "--scope", "elsewhere"]).ends_with(0).json();
    assert_eq!(none, json!([]));
}

// req: S2-A2
#[tokio::test]
async fn a_verify_report_is_exported_with_the_keys_of_its_differences() {
    let world = filled().await;
    let records = world.syncline(&["export", VERIFY]).ends_with(0).json();
    assert_eq!(world.syncline(&["export", "v1"]).ends_with(0).json(), records);
    let difference = records.as_array().unwrap().iter().find(|r| r["record"] == "difference").unwrap();
    assert_eq!((&difference["key"], &difference["field"]), (&json!([3]), &"title".into()));
    assert_eq!((&difference["source"], &difference["destination"]), (&"A".into(), &json!(null)));
}

// req: S2-A2
#[tokio::test]
async fn verify_reports_are_listed_and_shown() {
    let world = filled().await;
    let list = world.syncline(&["verify", "--list"]).ends_with(0).stdout;
    assert!(list.contains("v1") && list.contains("differences"), "{list}");
    assert_eq!(world.syncline(&["verify", "--list", "--json"]).ends_with(0).json()[0]["streams"][0]["orphans"], 2);
    let shown = world.syncline(&["show", "v1"]).ends_with(0).stdout;
    assert!(shown.contains("Verify v1 of pair") && shown.contains("different film 3"), "{shown}");
    assert!(world.syncline(&["show", "v9"]).ends_with(1).stderr.contains("error[run_unknown]"));
}

// req: FR-010
#[tokio::test]
async fn id_mappings_show_coverage_and_give_the_old_id_of_a_new_one() {
    let world = filled().await;
    let json = world.syncline(&["ids", "--json"]).ends_with(0).json();
    assert_eq!((&json[0]["stream"], &json[0]["mapped"], &json[0]["orphans"]), (&"film".into(), &1.into(), &2.into()));
    let found = world.syncline(&["ids", "--reverse", "7f3c0000-0000-4000-8000-000000000000", "--json"]).ends_with(0).json();
    assert_eq!(found[0]["legacy"], json!([17]));
    assert!(world.syncline(&["ids", "--reverse", "nobody"]).ends_with(1).stderr.contains("error[id_unknown]"));
}

#[tokio::test]
async fn a_run_without_before_images_is_not_undone() {
    let world = filled().await;
    let answer = world.syncline(&["undo", "1"]).ends_with(1);
    assert!(answer.stderr.contains("error[not_undoable]"), "{}", answer.stderr);
}

// case: G13
#[test]
fn commands_that_look_leave_no_file_behind_and_a_damaged_state_is_never_taken_for_none() {
    let world = World::with("");
    let before = world.files();
    for command in ["status", "runs", "parked", "ids"] {
        world.syncline(&[command]).ends_with(0);
    }
    assert_eq!(world.files(), before);
    std::fs::create_dir(world.path(".syncline")).unwrap();
    world.write(".syncline/state.db", "this is no database, but it is long enough to be looked at as one by a careless program");
    for command in ["status", "runs", "parked"] {
        assert!(world.syncline(&[command]).ends_with(1).stderr.contains("error[state_corrupt]"));
    }
}
