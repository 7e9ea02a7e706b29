//! SQLite to SQLite: what verify finds, what it calls a pass, what it leaves behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value as Json, json};
use syncline::clock::{SystemClock, TimeOrderedIds};
use syncline::{Config, Connectors, Engine, Interrupt, RunOptions, Silent};
use syncline_store::StateStore;
use syncline_store::rows::Page;

use crate::world::World;

const TABLE: &str = "CREATE TABLE film (film_id INTEGER PRIMARY KEY, title TEXT NOT NULL, length INTEGER)";
const MIRROR: &str = "    deletes: mirror\n    owns: table\n";

/// A world whose source has so many films, synced.
fn synced(options: &str, rows: u32) -> World {
    let world = World::with(options);
    world.sql("from.db", TABLE);
    world.sql("from.db", &format!("INSERT INTO film WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i, 'Film ' || i, i FROM n"));
    world.syncline(&["run"]).ends_with(0);
    world
}

fn verify(world: &World, arguments: &[&str], code: i32) -> Json {
    let answer = world.syncline(&[&["verify", "--json"], arguments].concat()).ends_with(code).json();
    answer[0].clone()
}

fn differences(report: &Json) -> Vec<(String, String)> {
    let mut list: Vec<(String, String)> = report["differences"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|d| (d["kind"].as_str().expect("text").to_owned(), d["key"].to_string().trim_matches('"').to_owned()))
        .collect();
    list.sort();
    list
}

// case: Q1, Q2
#[test]
fn equal_counts_with_one_added_space_are_a_difference() {
    let world = synced("", 200);
    world.sql("to.db", "UPDATE film SET title = 'Film 77 ' WHERE film_id = 77");
    let report = verify(&world, &[], 4);
    let check = &report["streams"][0];
    assert_eq!((&check["source_rows"], &check["destination_rows"], &check["compared"]), (&200.into(), &200.into(), &200.into()));
    assert_eq!(
        (&check["different"], &check["missing"], &check["extra"], &check["passed"]),
        (&1.into(), &0.into(), &0.into(), &false.into())
    );
    assert_eq!(report["differences"][0]["fields"], json!([{ "field": "title", "source": "Film 77", "destination": "Film 77 " }]));
}

// users: T7
#[test]
fn five_planted_differences_are_five_found() {
    let world = synced(MIRROR, 500);
    world.sql(
        "to.db",
        "UPDATE film SET title = upper(title) WHERE film_id = 3; UPDATE film SET length = NULL WHERE film_id = 250;
         DELETE FROM film WHERE film_id = 499; INSERT INTO film VALUES (9000, 'Only here', 1);
         UPDATE film SET film_id = 8000 WHERE film_id = 42; DELETE FROM film WHERE film_id = 8000;",
    );
    let report = verify(&world, &[], 4);
    let want = [("different", "[250]"), ("different", "[3]"), ("extra", "[9000]"), ("missing", "[42]"), ("missing", "[499]")];
    assert_eq!(differences(&report), want.map(|(kind, key)| (kind.to_owned(), key.to_owned())));
    assert_eq!((&report["passed"], &report["truncated"]), (&false.into(), &false.into()));
    let nulled = report["differences"].as_array().unwrap().iter().find(|d| d["key"].to_string().contains("250")).unwrap();
    assert_eq!(nulled["fields"], json!([{ "field": "length", "source": "250", "destination": null }]));
}

// case: Q3
#[test]
fn a_parked_row_is_no_pass() {
    let world = World::with("");
    world.sql("from.db", &format!("{TABLE}; INSERT INTO film VALUES (1, 'a', 10), (2, 'b', -5)"));
    world.sql("to.db", "CREATE TABLE film (film_id INTEGER PRIMARY KEY, title TEXT NOT NULL, length INTEGER CHECK (length > 0))");
    world.syncline(&["run"]).ends_with(3);
    let report = verify(&world, &[], 4);
    let check = &report["streams"][0];
    assert_eq!((&check["missing"], &check["parked"], &check["passed"]), (&1.into(), &1.into(), &false.into()));
    world.sql("to.db", "PRAGMA ignore_check_constraints = 1; INSERT INTO film VALUES (2, 'b', -5)");
    let check = verify(&world, &[], 0)["streams"][0].clone();
    assert_eq!((&check["missing"], &check["parked"], &check["passed"]), (&0.into(), &0.into(), &true.into()));
}

// req: FR-004
#[test]
fn a_row_without_its_parent_is_an_orphan_also_where_the_destination_has_no_foreign_key() {
    let tables = "CREATE TABLE language (language_id INTEGER PRIMARY KEY, name TEXT);
         CREATE TABLE film (film_id INTEGER PRIMARY KEY, language_id INTEGER REFERENCES language (language_id));";
    let rows = "INSERT INTO language VALUES (1, 'de'), (2, 'en'); INSERT INTO film VALUES (10, 1), (11, 2), (12, NULL);";
    for bare in [false, true] {
        let world = World::with("");
        world.sql("from.db", &format!("{tables}{rows}"));
        if bare {
            world.sql("to.db", &tables.replace("REFERENCES language (language_id)", ""));
        }
        world.syncline(&["run"]).ends_with(0);
        assert_eq!(verify(&world, &[], 0)["passed"], true);
        let orphaned = "PRAGMA foreign_keys = OFF; DELETE FROM language WHERE language_id = 2";
        ["from.db", "to.db"].iter().for_each(|db| world.sql(db, orphaned));
        let report = verify(&world, &[], 4);
        assert_eq!(differences(&report), [("orphan".to_owned(), "[11]".to_owned())], "bare: {bare}");
        assert_eq!(report["differences"][0]["fields"][0]["destination"], "2");
    }
}

// req: FR-005
#[test]
fn a_sample_compares_the_same_share_of_both_sides() {
    let world = synced("", 3_000);
    let report = verify(&world, &["--sample", "10%"], 0);
    let check = &report["streams"][0];
    let compared = check["compared"].as_u64().unwrap();
    assert!((200..400).contains(&compared), "{compared}");
    assert_eq!((&report["sample"], &check["missing"], &check["extra"]), (&json!(0.1), &0.into(), &0.into()));
}

// users: U23
#[test]
fn repair_writes_exactly_the_differences_and_proves_it() {
    let world = synced(MIRROR, 100);
    world.sql(
        "to.db",
        "UPDATE film SET title = 'x' WHERE film_id = 7; DELETE FROM film WHERE film_id = 8; INSERT INTO film VALUES (900, 'y', 1)",
    );
    let report = verify(&world, &["--repair"], 0);
    assert_eq!((&report["passed"], &report["streams"][0]["compared"]), (&true.into(), &100.into()));
    assert_eq!(world.value("to.db", "SELECT group_concat(title) FROM film WHERE film_id IN (7, 8, 900)"), "Film 7,Film 8");
    let kinds = world.value(".syncline/state.db", "SELECT group_concat(passed) FROM (SELECT passed FROM verify_reports ORDER BY number)");
    assert_eq!(kinds, "0,1", "both reports are kept");
    let runs = world.syncline(&["runs", "--json"]).ends_with(0).json();
    let repairs: Vec<&Json> = runs.as_array().unwrap().iter().filter(|r| r["kind"] == "repair").collect();
    let sum = |book: &str| repairs.iter().map(|r| r["books"][book].as_u64().unwrap()).sum::<u64>();
    assert_eq!((repairs.len(), sum("created"), sum("updated"), sum("deleted")), (2, 1, 1, 1));
}

// req: S2-A2
#[tokio::test]
async fn every_verify_leaves_its_whole_report_with_a_number() {
    let world = synced("", 10);
    let first = verify(&world, &[], 0);
    world.sql("to.db", "UPDATE film SET length = 0 WHERE film_id = 1");
    let second = verify(&world, &[], 4);
    assert_eq!(second["number"].as_u64(), first["number"].as_u64().map(|n| n + 1));
    let mut tx = world.state().begin().await.unwrap();
    let rows = tx.list_verify(Some("pair"), &Page::default()).await.unwrap();
    assert_eq!(
        rows.iter().map(|r| (r.passed, Some(r.number))).collect::<Vec<_>>(),
        [(false, second["number"].as_u64()), (true, first["number"].as_u64())]
    );
    let stored: Json = serde_json::from_str(&rows[0].report_json).unwrap();
    assert_eq!((&stored["number"], &stored["id"]), (&second["number"], &second["id"]));
    assert_eq!(stored["differences"][0]["kind"], "different");
}

// req: FR-012
#[test]
fn an_edit_that_is_kept_by_right_is_counted_and_is_no_difference() {
    let world = synced("    edits: keep\n", 20);
    world.sql("to.db", "UPDATE film SET title = 'ours' WHERE film_id = 3");
    let check = verify(&world, &[], 0)["streams"][0].clone();
    assert_eq!((&check["kept"], &check["different"], &check["passed"]), (&1.into(), &0.into(), &true.into()));
    world.sql("from.db", "UPDATE film SET length = 999 WHERE film_id = 3");
    let report = verify(&world, &[], 4);
    assert_eq!((&report["streams"][0]["kept"], &report["streams"][0]["different"]), (&1.into(), &1.into()));
    assert_eq!(report["differences"][0]["fields"], json!([{ "field": "length", "source": "999", "destination": "3" }]));
}

#[test]
fn extra_rows_are_counted_always_and_fail_only_where_they_would_be_deleted() {
    for (options, code) in [("", 0), (MIRROR, 4)] {
        let world = synced(options, 10);
        world.sql("to.db", "INSERT INTO film VALUES (77, 'here', 1)");
        assert_eq!(verify(&world, &[], code)["streams"][0]["extra"], 1);
    }
}

// rule: R9
#[test]
fn the_kind_of_a_value_counts_in_columns_without_a_type() {
    let world = World::with("");
    world.sql(
        "from.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (2, '1'), (3, 1.5), (4, x'31'), (5, NULL)",
    );
    world.syncline(&["run"]).ends_with(0);
    assert_eq!(verify(&world, &[], 0)["streams"][0]["compared"], 5);
    world.sql("to.db", "UPDATE t SET v = '1' WHERE id = 1");
    assert_eq!(differences(&verify(&world, &[], 4)), [("different".to_owned(), "[1]".to_owned())]);
}

// req: FR-005
#[test]
fn computed_columns_and_filters_are_compared_as_the_destination_should_have_them() {
    let world = World::with("");
    world.sql("from.db", &format!("{TABLE}; INSERT INTO film VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30)"));
    let options = "{ where: \"length < 25\", where_to: \"length < 25\", fields: { label: \"{{ title }}/{{ length }}\" } }";
    let yaml = world.read("syncline.yaml").replace("streams: { \"*\": {} }", &format!("streams: {{ film: {options} }}"));
    world.write("syncline.yaml", &yaml);
    world.syncline(&["run"]).ends_with(0);
    let check = verify(&world, &[], 0)["streams"][0].clone();
    assert_eq!((&check["source_rows"], &check["compared"]), (&2.into(), &2.into()));
    world.sql("to.db", "UPDATE film SET label = 'b/21' WHERE film_id = 2");
    let report = verify(&world, &[], 4);
    assert_eq!(report["differences"][0]["fields"], json!([{ "field": "label", "source": "b/20", "destination": "b/21" }]));
}

// case: Q1
#[test]
fn a_row_that_its_key_cannot_find_again_is_still_a_difference() {
    let world = World::with("");
    world.sql("from.db", "CREATE TABLE t (code TEXT, at DATETIME, v TEXT); INSERT INTO t VALUES ('a', '2024-01-01', 'x')");
    let yaml = world.read("syncline.yaml").replace("streams: { \"*\": {} }", "streams: { t: { key: [code, at] } }");
    world.write("syncline.yaml", &yaml);
    world.syncline(&["run"]).ends_with(0);
    assert_eq!(verify(&world, &[], 0)["passed"], true);
    world.sql("from.db", "INSERT INTO t VALUES (NULL, '2024-01-02', 'y'), ('b', '2024-01-03T10:00', 'z')");
    let check = verify(&world, &[], 4)["streams"][0].clone();
    assert_eq!((&check["missing"], &check["passed"]), (&2.into(), &false.into()));
}

/// Mends the destination as soon as the first batch is read, when both snapshots are long open.
struct MendsMeanwhile {
    world: Arc<World>,
    done: AtomicBool,
}

impl Interrupt for MendsMeanwhile {
    fn asked(&self) -> bool {
        if !self.done.swap(true, Ordering::SeqCst) {
            self.world.sql("to.db", "UPDATE film SET title = 'Film 7' WHERE film_id = 7; DELETE FROM film WHERE film_id = 88");
        }
        false
    }
}

// users: U23
#[tokio::test]
async fn what_was_on_its_way_during_the_first_look_is_no_difference() {
    let world = Arc::new(synced(MIRROR, 30));
    world.sql(
        "to.db",
        "PRAGMA journal_mode = WAL; UPDATE film SET title = 'old' WHERE film_id IN (7, 9); INSERT INTO film VALUES (88, 'gone', 1)",
    );
    let config = Config::load(&world.path("syncline.yaml")).unwrap();
    let engine = engine(&world, Arc::new(MendsMeanwhile { world: Arc::clone(&world), done: AtomicBool::new(false) }));
    let report = engine.verify(&config.syncs[0], RunOptions::default(), 1.0, false).await.unwrap().remove(0);
    let check = &report.streams[0];
    assert_eq!((check.destination_rows, check.compared), (31, 30), "the first look saw the old state");
    assert_eq!((check.different, check.extra, check.missing), (1, 0, 0));
    assert_eq!(report.differences.iter().map(|d| d.key.as_str()).collect::<Vec<_>>(), ["[9]"]);
}

fn engine(world: &World, interrupt: Arc<dyn Interrupt>) -> Engine {
    Engine {
        registry: Arc::new(Connectors),
        store: Arc::new(world.state()),
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(TimeOrderedIds),
        progress: Arc::new(Silent),
        interrupt,
        processes: Arc::new(syncline_engine::UnknownProcesses),
        actor: "test".to_owned(),
    }
}

struct Stops;

impl Interrupt for Stops {
    fn asked(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_request_to_stop_ends_a_verify_without_a_report() {
    let world = synced("", 30);
    let config = Config::load(&world.path("syncline.yaml")).unwrap();
    let stopped = engine(&world, Arc::new(Stops)).verify(&config.syncs[0], RunOptions::default(), 1.0, false).await.unwrap_err();
    assert_eq!(stopped.code(), "interrupted");
    let mut tx = world.state().begin().await.unwrap();
    assert!(tx.list_verify(None, &Page::default()).await.unwrap().is_empty());
}
