//! The undo of tables that a run made is their drop (R26), on all three destinations.

use crate::rig::{Side, World};

const MIRROR: &str = "    deletes: mirror\n";

/// A parent, a child, and two tables that point at each other.
fn fill(side: &Side) {
    side.execute(
        "CREATE TABLE film (id int PRIMARY KEY, title varchar(80) NOT NULL, code varchar(20) UNIQUE);
         CREATE TABLE rental (id int PRIMARY KEY, film_id int NOT NULL REFERENCES film (id));
         CREATE TABLE staff (id int PRIMARY KEY, store_id int);
         CREATE TABLE store (id int PRIMARY KEY, staff_id int NOT NULL REFERENCES staff (id));
         INSERT INTO film SELECT i, 'Film ' || i, 'c' || i FROM generate_series(1, 50) i;
         INSERT INTO rental SELECT i, i FROM generate_series(1, 20) i;
         INSERT INTO staff VALUES (1, 1), (2, 2); INSERT INTO store VALUES (1, 1), (2, 2);
         ALTER TABLE staff ADD FOREIGN KEY (store_id) REFERENCES store (id)",
    );
}

fn destination(kind: &str, world: &World) -> Side {
    match kind {
        "postgres" => Side::postgres(),
        "mysql" => Side::mariadb(),
        _ => Side::sqlite(world.dir(), "to.db"),
    }
}

fn loaded(kind: &str) -> (Side, Side, World) {
    let (source, world) = (Side::postgres(), World::new(""));
    let dest = destination(kind, &world);
    fill(&source);
    world.configure(&crate::rig::config(&source, &dest, MIRROR));
    world.run(&[], 0);
    (source, dest, world)
}

fn user_tables(side: &Side) -> Vec<String> {
    side.tables().into_iter().filter(|t| !t.starts_with("syncline_")).collect()
}

const ALL: [&str; 4] = ["film", "rental", "staff", "store"];

// rule: R26
#[test]
fn undoing_a_first_load_drops_its_tables_and_the_next_run_loads_them_again() {
    for kind in ["postgres", "mysql", "sqlite"] {
        let (source, dest, world) = loaded(kind);
        assert_eq!(user_tables(&dest), ALL, "{kind}");
        assert_eq!(dest.value("SELECT count(*) FROM syncline_before"), "0", "{kind}: nothing is kept per row");
        let undo = world.syncline(&["undo", "last", "--json"]).ends_with(0).json()[0].clone();
        assert_eq!((&undo["status"], &undo["books"]["deleted"]), (&"succeeded".into(), &74.into()), "{kind}: {undo:#}");
        assert!(user_tables(&dest).is_empty(), "{kind}: {:?}", user_tables(&dest));
        let again = world.run(&[], 0);
        assert_eq!(again["books"]["created"], 74, "{kind}: {again:#}");
        assert_eq!(source.content("film", &["id", "title"], "1 = 1"), dest.content("film", &["id", "title"], "1 = 1"), "{kind}");
        assert_eq!(world.runs()[0]["undone_by"], undo["id"], "{kind}");
    }
}

// rule: R26
#[test]
fn later_runs_of_the_sync_are_no_reason_to_keep_a_table() {
    for kind in ["postgres", "mysql", "sqlite"] {
        let (source, dest, world) = loaded(kind);
        source
            .execute("UPDATE film SET title = 'New' WHERE id = 3; DELETE FROM rental WHERE id = 5; INSERT INTO film VALUES (99, 'x', 'x')");
        world.run(&[], 0);
        world.syncline(&["undo", "1"]).ends_with(0);
        assert!(user_tables(&dest).is_empty(), "{kind}");
        world.run(&[], 0);
        assert_eq!(source.content("film", &["id", "title"], "1 = 1"), dest.content("film", &["id", "title"], "1 = 1"), "{kind}");
    }
}

// rule: R26
#[test]
fn a_table_that_somebody_wrote_to_is_kept_and_the_rows_are_listed() {
    for kind in ["postgres", "mysql", "sqlite"] {
        let (_source, dest, world) = loaded(kind);
        dest.execute("UPDATE film SET title = 'mine' WHERE id = 4; INSERT INTO film VALUES (500, 'mine', NULL)");
        let undo = world.syncline(&["undo", "last", "--json"]).ends_with(3).json()[0].clone();
        assert_eq!(undo["books"]["deleted"], 0, "{kind}: {undo:#}");
        assert_eq!(user_tables(&dest), ALL, "{kind}: nothing is dropped for one table alone");
        let listed: Vec<_> = world.parked().into_iter().map(|(s, k, c)| format!("{s} {k} {c}")).collect();
        assert_eq!(listed, ["film [4] row_changed", "film [500] row_changed"], "{kind}");
        assert_eq!(dest.value("SELECT count(*) FROM film WHERE title = 'mine'"), "2", "{kind}");
        assert!(world.runs()[0]["undone_by"].is_null(), "{kind}");
        dest.execute("UPDATE film SET title = 'Film 4' WHERE id = 4; DELETE FROM film WHERE id = 500");
        world.syncline(&["undo", "1"]).ends_with(0);
        assert!(user_tables(&dest).is_empty(), "{kind}");
    }
}

// rule: R26
#[test]
fn a_table_that_a_view_or_a_foreign_table_needs_is_kept() {
    for kind in ["postgres", "mysql", "sqlite"] {
        for need in [
            "CREATE VIEW titles AS SELECT title FROM film",
            "CREATE TABLE mine (id int PRIMARY KEY, film_id int, FOREIGN KEY (film_id) REFERENCES film (id))",
        ] {
            let (_source, dest, world) = loaded(kind);
            dest.execute(need);
            let undo = world.syncline(&["undo", "last", "--json"]).ends_with(1).json()[0].clone();
            assert_eq!(undo["error"]["code"], "table_needed", "{kind} {need}: {undo:#}");
            assert!(ALL.iter().all(|t| dest.tables().iter().any(|d| d == t)), "{kind} {need}");
            assert_eq!(dest.value("SELECT count(*) FROM film"), "50", "{kind} {need}");
        }
    }
}

// rule: R26
// case: A5, A7
#[test]
fn an_undo_killed_at_any_point_either_happened_or_did_not() {
    for kind in ["postgres", "mysql", "sqlite"] {
        for fault in
            ["undo.drop=abort", "apply.marker=abort", "apply.end=abort", "commit.send=abort", "commit.answer=abort", "finish.end=abort"]
        {
            let (source, dest, world) = loaded(kind);
            assert_eq!(world.syncline_with(&["undo", "last"], &[("SYNCLINE_FAIL", fault)]).code, None, "{kind} {fault}");
            world.let_leases_end();
            let report = world.run(&[], 0);
            assert_eq!(user_tables(&dest), ALL, "{kind} {fault}");
            let undone = !world.runs()[0]["undone_by"].is_null();
            assert_eq!(report["books"]["created"], if undone { 74 } else { 0 }, "{kind} {fault}: {report:#}");
            for table in ALL {
                assert_eq!(source.content(table, &["id"], "1 = 1"), dest.content(table, &["id"], "1 = 1"), "{kind} {fault} {table}");
            }
        }
    }
}

// rule: R26
// case: D6
#[test]
fn a_table_that_was_dropped_is_loaded_whole_also_by_an_incremental_run() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    source.execute("CREATE TABLE film (id int PRIMARY KEY, changed timestamptz NOT NULL DEFAULT now() - interval '2 days')");
    source.execute("INSERT INTO film (id) SELECT i FROM generate_series(1, 50) i");
    let world = World::between(&source, &dest, "    mode: incremental\n    streams: { film: { cursor: changed } }\n");
    world.run(&[], 0);
    world.run(&[], 0);
    dest.execute("DROP TABLE film");
    world.run(&[], 0);
    assert_eq!(dest.value("SELECT count(*) FROM film"), "50");
}

// rule: R26, R20
#[test]
fn a_first_load_leaves_nothing_per_row_beside_its_tables() {
    for kind in ["postgres", "mysql", "sqlite"] {
        let (_source, dest, world) = loaded(kind);
        assert_eq!(dest.value("SELECT count(*) FROM syncline_before"), "0", "{kind}");
        assert_eq!(dest.value("SELECT count(*) FROM syncline_marker"), "1", "{kind}: one row for the run");
        let state = rusqlite::Connection::open(world.path(".syncline/state.db")).expect("the state opens");
        for table in ["record_base", "base_streams", "segment_digests", "id_map", "parked_rows", "run_deletions", "run_conflicts"] {
            let rows: i64 = state.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).expect("a count");
            assert_eq!(rows, 0, "{kind}: {table}");
        }
    }
}

// rule: R26, R18
#[test]
fn tables_of_a_run_that_failed_half_way_are_dropped_too() {
    for kind in ["postgres", "mysql", "sqlite"] {
        let (source, world) = (Side::postgres(), World::new(""));
        let dest = destination(kind, &world);
        source.execute("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (3)");
        world.configure(&crate::rig::config(&source, &dest, "    atomic: stream\n"));
        let failed = world.syncline_with(&["run"], &[("SYNCLINE_FAIL", "apply.marker=error@2")]);
        assert_eq!(failed.code, Some(1), "{}", failed.said());
        assert_eq!(dest.value("SELECT count(*) FROM a"), "2", "{kind}");
        let undo = world.syncline(&["undo", "last", "--json"]).ends_with(0).json()[0].clone();
        assert_eq!(undo["books"]["deleted"], 2, "{kind}: {undo:#}");
        assert!(!user_tables(&dest).contains(&"a".to_owned()), "{kind}");
        world.run(&[], 0);
        assert_eq!(user_tables(&dest), ["a", "b"], "{kind}");
    }
}

// rule: R6, R26
#[test]
fn tables_that_were_made_with_bases_beside_them_are_never_called_undoable() {
    for atomic in ["run", "stream", "batch"] {
        let (source, dest) = (Side::postgres(), Side::postgres());
        source.execute("CREATE TABLE film (id int PRIMARY KEY, title text); INSERT INTO film VALUES (1, 'a'), (2, 'b'), (3, 'c')");
        let world = World::between(&source, &dest, &format!("    edits: keep\n    conflicts: source_wins\n    atomic: {atomic}\n"));
        let answer = world.syncline_with(&["run", "--json"], &[("SYNCLINE_FAIL_BATCH", "2")]).ends_with(0);
        assert_eq!(answer.json()[0]["undoable"], false, "{atomic}: {}", answer.said());
        let refused = world.syncline(&["undo", "last"]).ends_with(1);
        assert!(refused.stderr.contains("not_undoable"), "{atomic}: {}", refused.said());
        assert_eq!(dest.value("SELECT count(*) FROM film"), "3", "{atomic}");
    }
}

// rule: R26
#[test]
fn a_column_that_somebody_added_keeps_its_table() {
    let (_source, dest, world) = loaded("postgres");
    dest.execute("ALTER TABLE film ADD COLUMN notes text; UPDATE film SET notes = 'mine'");
    let answer = world.syncline(&["undo", "last"]).ends_with(1);
    assert!(answer.said().contains("column `notes`"), "{}", answer.said());
    assert_eq!(dest.value("SELECT count(*) FROM film WHERE notes = 'mine'"), "50");
}

// rule: R28
#[test]
fn an_undo_that_finds_nothing_to_restore_never_counts_as_one() {
    let (source, dest, world) = loaded("postgres");
    source.execute("UPDATE film SET title = 'New' WHERE id < 10");
    let run = world.run(&[], 0)["number"].to_string();
    dest.execute("DELETE FROM syncline_before");
    let answer = world.syncline(&["undo", &run]).ends_with(1);
    assert!(answer.said().contains("not_undoable"), "{}", answer.said());
    assert_eq!(dest.value("SELECT count(*) FROM film WHERE title = 'New'"), "9");
    assert!(world.runs().iter().all(|r| r["undone_by"].is_null()));
}
