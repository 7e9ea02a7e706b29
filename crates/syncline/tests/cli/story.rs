//! The life of a sync through the command line: plan, run, verify, conflicts, parked rows, guard, undo.

use std::io::{BufRead, BufReader};

use serde_json::json;
use syncline_store::StateStore;
use syncline_store::rows::LockRequest;

use crate::history::ended_run;
use crate::world::World;

const TABLE: &str = "CREATE TABLE film (film_id INTEGER PRIMARY KEY, title TEXT NOT NULL, length INTEGER)";

fn films(options: &str, rows: u32) -> World {
    let world = World::with(options);
    world.sql("from.db", TABLE);
    let fill = format!(
        "INSERT INTO film WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i, 'Film ' || i, i FROM n"
    );
    world.sql("from.db", &fill);
    world
}

const MIRROR: &str = "    deletes: mirror\n    owns: table\n";

#[test]
fn plan_writes_nothing_run_writes_it_verify_proves_it_and_a_second_run_writes_nothing() {
    let world = films("", 100);
    let before = world.files();
    let plan = world.syncline(&["plan", "--json"]).ends_with(0).json();
    assert_eq!(plan[0]["streams"][0]["creates"], 100);
    world.syncline(&["plan", "--exit-code"]).ends_with(4);
    assert_eq!(world.files(), before);
    assert_eq!(world.value("to.db", "SELECT count(*) FROM sqlite_schema"), "0");
    let run = world.syncline(&["run", "--json"]).ends_with(0).json();
    assert_eq!((&run[0]["status"], &run[0]["books"]["created"]), (&"succeeded".into(), &100.into()));
    assert_eq!(world.value("to.db", "SELECT count(*) FROM film"), "100");
    let verify = world.syncline(&["verify", "--json"]).ends_with(0).json();
    assert_eq!((&verify[0]["passed"], &verify[0]["streams"][0]["compared"]), (&true.into(), &100.into()));
    world.syncline(&["plan", "--exit-code"]).ends_with(0);
    let again = world.syncline(&["run", "--json"]).ends_with(0).json();
    assert_eq!((&again[0]["books"]["created"], &again[0]["books"]["updated"]), (&0.into(), &0.into()));
}

// req: S2-A2
#[test]
fn verify_finds_a_planted_difference_ends_with_4_and_repairs_it() {
    let world = films("", 50);
    world.syncline(&["run"]).ends_with(0);
    world.sql("to.db", "UPDATE film SET title = 'film 7' WHERE film_id = 7");
    let answer = world.syncline(&["verify"]).ends_with(4);
    assert!(answer.stdout.contains("different film 7") && answer.stdout.contains("source Film 7, destination film 7"), "{}", answer.stdout);
    world.syncline(&["verify", "--repair"]).ends_with(0);
    assert_eq!(world.value("to.db", "SELECT title FROM film WHERE film_id = 7"), "Film 7");
}

#[test]
fn a_plan_shows_fields_before_and_after_and_its_file_is_applied_exactly_or_not_at_all() {
    let world = films(MIRROR, 50);
    world.syncline(&["run"]).ends_with(0);
    world.sql("from.db", "UPDATE film SET title = 'New' WHERE film_id = 3");
    let answer = world.syncline(&["plan", "--out", "p.json"]).ends_with(0);
    assert!(answer.stdout.contains("title") && answer.stdout.contains("\"Film 3\" → \"New\""), "{}", answer.stdout);
    world.sql("from.db", "UPDATE film SET title = 'Newer' WHERE film_id = 3");
    let answer = world.syncline(&["run", "--plan", "p.json"]);
    assert!(answer.code == 1 || answer.code == 2, "{}", answer.stdout);
    assert_eq!(world.value("to.db", "SELECT title FROM film WHERE film_id = 3"), "Film 3");
    world.syncline(&["plan", "--out", "p.json"]).ends_with(0);
    world.sql("from.db", "UPDATE film SET title = 'Unplanned' WHERE film_id = 4");
    world.syncline(&["run", "--plan", "p.json"]).ends_with(0);
    assert_eq!(world.value("to.db", "SELECT title FROM film WHERE film_id = 3"), "Newer");
    assert_eq!(world.value("to.db", "SELECT title FROM film WHERE film_id = 4"), "Film 4");
    world.write("p.json", "{}");
    assert!(world.syncline(&["run", "--plan", "p.json"]).ends_with(2).stderr.contains("error[plan_invalid]"));
}

// req: X7
#[test]
fn a_bad_row_is_parked_the_run_is_partial_and_the_row_goes_in_once_it_is_mended() {
    let world = films("", 20);
    world.sql("to.db", "CREATE TABLE film (film_id INTEGER PRIMARY KEY, title TEXT NOT NULL, length INTEGER CHECK (length > 0))");
    world.sql("from.db", "UPDATE film SET length = -5 WHERE film_id = 6");
    let run = world.syncline(&["run", "--json"]).ends_with(3).json();
    assert_eq!((&run[0]["status"], &run[0]["books"]["parked"]), (&"partial".into(), &1.into()));
    let parked = world.syncline(&["parked", "--json"]).ends_with(0).json();
    assert_eq!((&parked[0]["code"], &parked[0]["key"]), (&"check_violated".into(), &json!([6])));
    assert_eq!(world.value("to.db", "SELECT count(*) FROM film"), "19");
    world.sql("from.db", "UPDATE film SET length = 5 WHERE film_id = 6");
    world.syncline(&["parked", "--retry", &parked[0]["id"].to_string()]).ends_with(0);
    assert_eq!(world.value("to.db", "SELECT count(*) FROM film"), "20");
    assert_eq!(world.syncline(&["parked", "--json"]).ends_with(0).json(), json!([]));
}

// users: T10
#[test]
fn a_dangerous_deletion_is_held_back_approved_and_undone() {
    let world = films(MIRROR, 100);
    world.syncline(&["run"]).ends_with(0);
    world.sql("from.db", "DELETE FROM film WHERE film_id > 10");
    let held = world.syncline(&["run", "--json"]).ends_with(3).json();
    assert_eq!((&held[0]["books"]["held_back"], &held[0]["books"]["deleted"]), (&90.into(), &0.into()));
    assert_eq!(world.value("to.db", "SELECT count(*) FROM film"), "100");
    let shown = world.syncline(&["show", "last", "--limit", "200", "--json"]).ends_with(0).json();
    assert_eq!(shown["deletions"].as_array().unwrap().len(), 90);
    world.syncline(&["run", "--approve-deletes"]).ends_with(0);
    assert_eq!(world.value("to.db", "SELECT count(*) FROM film"), "10");
    world.syncline(&["undo", "last"]).ends_with(0);
    assert_eq!(world.value("to.db", "SELECT count(*) FROM film"), "100");
}

// req: FR-012
#[test]
fn with_edits_kept_both_sides_survive_and_conflicts_are_on_record() {
    let world = films("    edits: keep\n    conflicts: destination_wins\n", 20);
    world.syncline(&["run"]).ends_with(0);
    world.sql("from.db", "UPDATE film SET title = 'theirs' WHERE film_id IN (1, 2)");
    world.sql("to.db", "UPDATE film SET title = 'ours' WHERE film_id IN (2, 3)");
    let run = world.syncline(&["run", "--json"]).ends_with(0).json();
    assert_eq!(run[0]["conflicts"], 1);
    let title = |id: u32| world.value("to.db", &format!("SELECT title FROM film WHERE film_id = {id}"));
    assert_eq!([title(1), title(2), title(3)], ["theirs", "ours", "ours"]);
    let conflicts = world.syncline(&["conflicts", "last", "--json"]).ends_with(0).json();
    assert_eq!((&conflicts[0]["winner"], &conflicts[0]["strategy"]), (&"destination".into(), &"destination_wins".into()));
}

#[test]
fn one_record_is_synced_by_its_key_and_its_stream() {
    let world = films("", 20);
    world.syncline(&["run"]).ends_with(0);
    world.sql("from.db", "UPDATE film SET title = 'new' WHERE film_id IN (4, 5)");
    assert!(world.syncline(&["run", "--key", "4"]).ends_with(2).stderr.contains("error[argument_missing]"));
    world.syncline(&["run", "--stream", "film", "--key", "4"]).ends_with(0);
    assert_eq!(world.value("to.db", "SELECT group_concat(title) FROM film WHERE film_id IN (4, 5)"), "new,Film 5");
}

#[test]
fn check_says_ready_or_what_is_missing() {
    let world = films("", 5);
    let answer = world.syncline(&["check"]).ends_with(0);
    assert!(answer.stdout.contains("Ready to run."), "{}", answer.stdout);
    let json = world.syncline(&["check", "--json"]).ends_with(0).json();
    assert!(json[0]["source"].is_array() && json[0]["destination"].is_array(), "{json}");
}

// req: FR-014
#[test]
fn a_run_leaves_log_lines_with_its_id_and_an_audit_line() {
    let world = films("", 5);
    let run = world.syncline(&["run", "--json"]).ends_with(0).json();
    let logs: Vec<_> = std::fs::read_dir(world.path("logs")).unwrap().map(|e| e.unwrap().path()).collect();
    let text = std::fs::read_to_string(&logs[0]).unwrap();
    let id = run[0]["id"].as_str().unwrap();
    let ended =
        text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()).any(|l| l["run"] == id && l["message"] == "books");
    assert!(ended, "{text}");
    assert!(!text.contains("Film 1"), "a value is in the log:\n{text}");
    assert_eq!(world.value(".syncline/state.db", "SELECT count(*) FROM audit_log"), "1");
}

#[test]
fn the_demo_goes_as_told() {
    let folder = tempfile::tempdir().unwrap();
    let answer = crate::world::syncline_in(folder.path(), &["demo"]).ends_with(0);
    assert!(answer.stdout.contains("Everything went as told"), "{}", answer.stdout);
}

/// Somebody else runs the sync, and will for ever.
async fn hold(world: &World) {
    let (holder, run) = ("ada@host pid 4711".to_owned(), "r".to_owned());
    let request = LockRequest { name: "run/pair/".to_owned(), holder, run, now: 0, until: i64::MAX / 2, process: None, gone: None };
    let state = world.state();
    let mut tx = state.begin().await.unwrap();
    tx.try_lock(&request).await.unwrap().unwrap();
    tx.commit().await.unwrap();
}

// users: U18
#[tokio::test]
async fn a_second_run_says_who_holds_the_first_and_ends_with_1() {
    let world = films("", 5);
    hold(&world).await;
    let answer = world.syncline(&["run"]).ends_with(1);
    assert!(answer.stderr.contains("error[lock_held]") && answer.stderr.contains("ada@host pid 4711"), "{}", answer.stderr);
    assert!(world.syncline(&["status"]).ends_with(0).stdout.contains("running now, by ada@host pid 4711"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_run_that_waits_says_for_whom_and_ends_with_130_at_the_first_signal() {
    let world = films("", 5);
    hold(&world).await;
    let mut child = world.start(&["run", "--wait"]);
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(stderr.next().unwrap().unwrap().contains("waiting for ada@host pid 4711"));
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(stderr.next().unwrap().unwrap().starts_with("stopping after the current batch"));
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(world.value("to.db", "SELECT count(*) FROM sqlite_schema"), "0");
}

// users: U20
#[tokio::test]
async fn old_runs_leave_the_history_at_the_end_of_a_run() {
    let world = films("", 5);
    world.write("syncline.yaml", &(world.read("syncline.yaml") + "history: { keep_days: 30, keep_runs: 1 }\n"));
    let state = world.state();
    let mut tx = state.begin().await.unwrap();
    for (id, started_at) in [("0193aa20-0000-7000-8000-000000000001", 1), ("0193aa20-0000-7000-8000-000000000002", 2)] {
        ended_run(&mut *tx, id, started_at).await;
    }
    tx.commit().await.unwrap();
    drop(state);
    world.syncline(&["run"]).ends_with(0);
    let runs = world.syncline(&["runs", "--json"]).ends_with(0).json();
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs}");
    assert_eq!(runs[0]["status"], "succeeded");
}

#[test]
fn errors_of_a_run_are_on_stderr_or_in_the_report_and_never_called_success() {
    let world = films("", 5);
    std::fs::write(world.path("to.db"), "no database at all, but long enough that it might be mistaken for one").unwrap();
    let answer = world.syncline(&["run"]);
    assert!(matches!(answer.code, 1 | 2), "{}\n{}", answer.stdout, answer.stderr);
    assert!(answer.stdout.contains("failed") || answer.stderr.contains("error["), "{}\n{}", answer.stdout, answer.stderr);
}

#[test]
fn every_scope_has_its_own_run_and_a_plan_file_is_for_one_of_them() {
    let world = World::with("    scopes: [north, south]\n");
    let scoped = world.read("syncline.yaml").replace("\"*\": {}", "\"*\": { where: \"region = {{ scope }}\" }");
    world.write("syncline.yaml", &scoped);
    let tables = "CREATE TABLE club (id INTEGER PRIMARY KEY, region TEXT NOT NULL, size INTEGER)";
    world.sql("from.db", tables);
    world.sql("to.db", "CREATE TABLE club (id INTEGER PRIMARY KEY, region TEXT NOT NULL, size INTEGER CHECK (size > 0))");
    world.sql("from.db", "INSERT INTO club VALUES (1, 'north', 5), (2, 'south', 7), (3, 'south', -1), (4, 'west', 9)");
    assert!(world.syncline(&["plan", "--out", "p.json"]).ends_with(2).stderr.contains("error[argument_missing]"));
    world.syncline(&["plan", "--out", "p.json", "--scope", "north"]).ends_with(0);
    world.syncline(&["run", "--plan", "p.json"]).ends_with(0);
    assert_eq!(world.value("to.db", "SELECT group_concat(id) FROM club"), "1");
    let runs = world.syncline(&["run", "--json"]).ends_with(3).json();
    let told: Vec<_> = runs.as_array().unwrap().iter().map(|r| (r["scope"].as_str().unwrap(), r["status"].as_str().unwrap())).collect();
    assert_eq!(told, [("north", "succeeded"), ("south", "partial")]);
    assert_eq!(world.value("to.db", "SELECT group_concat(id) FROM club"), "1,2");
    let status = world.syncline(&["status", "--json"]).ends_with(0).json();
    assert_eq!(status[0]["last_runs"].as_array().unwrap().len(), 2);
    let south = world.syncline(&["runs", "--scope", "south", "--json"]).ends_with(0).json();
    assert_eq!(south.as_array().unwrap().len(), 1);
}

#[test]
fn colour_is_only_for_terminals_and_json_is_one_document_with_nothing_beside_it() {
    let world = films("", 5);
    for command in [&["plan"][..], &["run"], &["verify"], &["status"], &["runs"], &["show", "last"], &["check"]] {
        let answer = world.syncline(command).ends_with(0);
        assert!(!answer.stdout.contains('\x1b') && !answer.stderr.contains('\x1b'), "{command:?} coloured a pipe");
        let with_json = [command, &["--json"]].concat();
        world.syncline(&with_json).ends_with(0).json();
    }
}
