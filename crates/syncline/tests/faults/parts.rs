//! Runs that commit in parts (`atomic: stream`, `atomic: batch`): what is on record when they end in between.

use serde_json::Value as Json;

use crate::rig::{Side, World};

const COLUMNS: [&str; 3] = ["id", "n", "word"];

/// Three tables, synced once, then changed in every row; deletions in the last one.
fn synced_and_edited(source: &Side, dest: &Side, options: &str) -> World {
    let rows: Vec<String> = (1..=12).map(|i| format!("({i}, {i}, 'word {i}')")).collect();
    for table in ["a", "b", "c"] {
        source.execute(&format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, n int, word varchar(40)); INSERT INTO {table} VALUES {}",
            rows.join(", ")
        ));
    }
    let world = World::between(source, dest, &format!("{options}    deletes: mirror\n    owns: table\n"));
    world.run(&[], 0);
    for table in ["a", "b", "c"] {
        source.execute(&format!("UPDATE {table} SET n = n + 100; INSERT INTO {table} VALUES (20, 20, 'new')"));
    }
    source.execute("DELETE FROM a WHERE id = 1; DELETE FROM c WHERE id IN (2, 3)");
    world
}

fn contents(side: &Side) -> Vec<String> {
    ["a", "b", "c"].iter().map(|t| side.content(t, &COLUMNS, "1 = 1")).collect()
}

fn books(run: &Json) -> [u64; 3] {
    ["created", "updated", "deleted"].map(|name| run["books"][name].as_u64().expect("a count"))
}

fn break_at(world: &World, fault: &str) -> Option<i32> {
    world.syncline_with(&["run"], &[("SYNCLINE_FAIL", fault), ("SYNCLINE_FAIL_BATCH", "5")]).code
}

// req: FR-009
// case: A6, A12
// rule: R18, R24, R28
#[test]
fn a_run_that_dies_between_its_parts_keeps_them_in_its_books_and_undo_takes_them_back() {
    let pairs = [(Side::postgres(), Side::postgres()), (Side::mariadb(), Side::mariadb())];
    for (source, dest) in pairs {
        // By stream: a, b, c, then deletions of c, b, a. By batch of five: 5, 5 and 2 rows of a (one of them new), then of b, …
        for (atomic, fault, written) in [
            ("stream", "commit.answer=abort@2", [2, 23, 0]),
            ("stream", "commit.intent=abort@3", [2, 23, 0]),
            ("stream", "commit.recorded=abort@4", [3, 33, 2]),
            ("batch", "commit.answer=abort@2", [0, 10, 0]),
            ("batch", "commit.send=cut@5", [1, 16, 0]),
        ] {
            source.execute("DROP TABLE IF EXISTS a, b, c");
            dest.execute("DROP TABLE IF EXISTS a, b, c, syncline_marker, syncline_before");
            let world = synced_and_edited(&source, &dest, &format!("    atomic: {atomic}\n"));
            let before = contents(&dest);
            let code = break_at(&world, fault);
            assert_eq!(code, if fault.contains("abort") { None } else { Some(1) }, "{atomic} {fault}");
            assert_ne!(contents(&dest), before, "{atomic} {fault}: nothing was committed");
            world.let_leases_end();
            let undo = world.syncline(&["undo", "last", "--json"]).ends_with(0);
            assert_eq!(contents(&dest), before, "{atomic} {fault}: {}", undo.said());
            let runs = world.runs();
            assert_eq!((&runs[1]["status"], books(&runs[1])), (&"failed".into(), written), "{atomic} {fault}: {:#}", runs[1]);
            assert_eq!(runs[1]["undone_by"], runs[2]["id"], "{runs:#?}");
            let again = world.run(&[], 0);
            assert_eq!(books(&again), [3, 33, 3], "{atomic} {fault}");
            assert_eq!(contents(&dest), contents(&source), "{atomic} {fault}");
        }
    }
}

// req: FR-009
// rule: R18, R28
#[test]
fn a_run_in_parts_that_comes_to_its_end_is_undone_whole() {
    for atomic in ["stream", "batch"] {
        let (source, dest) = (Side::postgres(), Side::postgres());
        let world = synced_and_edited(&source, &dest, &format!("    atomic: {atomic}\n"));
        let before = contents(&dest);
        assert_eq!(break_at(&world, "none"), Some(0));
        assert_eq!(contents(&dest), contents(&source));
        assert_eq!(books(&world.runs()[1]), [3, 33, 3]);
        world.syncline(&["undo", "last"]).ends_with(0);
        assert_eq!(contents(&dest), before, "{atomic}");
    }
}

// req: S3-STATE
// case: A12, Q3
// rule: R18, R29
#[test]
fn a_row_that_is_parked_again_stays_on_the_list_through_the_deletions_of_its_stream() {
    for atomic in ["run", "stream", "batch"] {
        let (source, dest) = (Side::postgres(), Side::postgres());
        let world = synced_and_edited(&source, &dest, &format!("    atomic: {atomic}\n"));
        dest.execute("ALTER TABLE b ADD CHECK (n <> 107)");
        for _ in 0..3 {
            let run = world.run(&[], 3);
            assert_eq!(world.parked(), [("b".to_owned(), "[7]".to_owned(), "check_violated".to_owned())], "{atomic}");
            let words = run["notes"].to_string();
            assert!(!words.contains("empty"), "{atomic}: {words}");
        }
        dest.execute("ALTER TABLE b DROP CONSTRAINT b_n_check");
        world.run(&[], 0);
        assert_eq!((world.parked(), contents(&dest)), (Vec::new(), contents(&source)), "{atomic}");
    }
}

// req: FR-009
// rule: R18
#[test]
fn a_strict_run_in_parts_commits_nothing_from_its_bad_row_on_and_undo_takes_back_what_came_before() {
    // The eighth row of b, or the tenth; batches of five rows.
    let of_b = |rows: u64, source: &Side, dest: &Side| {
        dest.content("b", &COLUMNS, &format!("id <= {rows}")) == source.content("b", &COLUMNS, &format!("id <= {rows}"))
    };
    for (bad, code, edits) in [
        ("ALTER TABLE b ADD CHECK (n <> 108)", "check_violated", ""),
        ("ALTER TABLE b ALTER word TYPE varchar(7)", "row_refused", ""),
        ("ALTER TABLE b ALTER word TYPE varchar(7)", "row_refused", "    edits: keep\n    conflicts: source_wins\n"),
    ] {
        for (atomic, committed) in [("run", [0, 0]), ("stream", [12, 0]), ("batch", [12, 5])] {
            let (source, dest) = (Side::postgres(), Side::postgres());
            let world = synced_and_edited(&source, &dest, &format!("    atomic: {atomic}\n    rows: strict\n{edits}"));
            source.execute("UPDATE b SET word = 'word ' || id || 'x'");
            dest.execute(bad);
            let before = contents(&dest);
            assert_eq!(break_at(&world, "none"), Some(1), "{atomic} {bad} {edits}");
            let check = world.syncline(&["check", "--json"]);
            assert_eq!(check.stdout.contains("strict_in_parts"), atomic != "run", "{}", check.said());
            let run = world.runs()[1].clone();
            assert_eq!((&run["status"], &run["error"]["code"]), (&"failed".into(), &code.into()), "{atomic} {bad} {edits}: {run:#}");
            // With bases to be kept a batch is what was read at once.
            let [a, b] = if edits.is_empty() { committed } else { [committed[0], 0] };
            assert_eq!(books(&run).iter().sum::<u64>(), a + b, "{atomic} {bad} {edits}: {run:#}");
            assert!(b == 0 || of_b(b, &source, &dest), "{atomic} {bad} {edits}");
            assert_eq!(dest.value("SELECT count(*) FROM b WHERE n > 100"), b.to_string(), "{atomic} {bad} {edits}");
            assert_eq!(dest.value("SELECT count(*) FROM c WHERE n > 100"), "0", "{atomic} {bad} {edits}: what comes after");
            if a > 0 {
                world.syncline(&["undo", "last"]).ends_with(0);
            }
            assert_eq!(contents(&dest), before, "{atomic} {bad} {edits}");
        }
    }
}

// case: C21
// rule: R18, R23
#[test]
fn streams_that_need_each_other_are_one_part_and_the_others_go_before_and_after() {
    for (atomic, dest) in ["stream", "batch"].into_iter().flat_map(|a| [(a, Side::postgres()), (a, Side::mariadb())]) {
        let (source, at) = (Side::postgres(), format!("{atomic} {}", dest.kind()));
        source.execute(
            "CREATE TABLE a_rental (id int PRIMARY KEY, staff_id int NOT NULL, note varchar(20));
             CREATE TABLE staff (id int PRIMARY KEY, store_id int NOT NULL, name varchar(20));
             CREATE TABLE store (id int PRIMARY KEY, boss int NOT NULL, town_id int NOT NULL);
             CREATE TABLE town (id int PRIMARY KEY, name varchar(20));
             ALTER TABLE a_rental ADD FOREIGN KEY (staff_id) REFERENCES staff (id);
             ALTER TABLE staff ADD FOREIGN KEY (store_id) REFERENCES store (id) DEFERRABLE INITIALLY DEFERRED;
             ALTER TABLE store ADD FOREIGN KEY (boss) REFERENCES staff (id) DEFERRABLE INITIALLY DEFERRED, ADD FOREIGN KEY (town_id) REFERENCES town (id);
             BEGIN; INSERT INTO town SELECT i, 'town ' || i FROM generate_series(1, 12) i; INSERT INTO store SELECT i, i, i FROM generate_series(1, 12) i;
             INSERT INTO staff SELECT i, 13 - i, 'staff ' || i FROM generate_series(1, 12) i; INSERT INTO a_rental SELECT i, i, 'x' FROM generate_series(1, 12) i; COMMIT",
        );
        let tables = [("a_rental", ["id", "staff_id"]), ("staff", ["id", "store_id"]), ("store", ["id", "boss"]), ("town", ["id", "name"])];
        let all = |side: &Side| tables.map(|(t, columns)| side.content(t, &columns, "1 = 1"));
        let world = World::between(&source, &dest, &format!("    atomic: {atomic}\n    deletes: mirror\n    owns: table\n"));
        assert_eq!(break_at(&world, "none"), Some(0), "{at}: {:?}", world.parked());
        assert_eq!(all(&source), all(&dest), "{at}");
        source.execute(
            "BEGIN; INSERT INTO town VALUES (20, 'new'); INSERT INTO store VALUES (20, 20, 20); INSERT INTO staff VALUES (20, 20, 'new');
             UPDATE store SET boss = 20 WHERE id = 5; INSERT INTO a_rental VALUES (20, 20, 'new'); DELETE FROM a_rental WHERE id IN (3, 10);
             DELETE FROM staff WHERE id IN (3, 10); DELETE FROM store WHERE id IN (3, 10); DELETE FROM town WHERE id = 3; COMMIT",
        );
        let before = all(&dest);
        assert_eq!(break_at(&world, "none"), Some(0), "{at}: {:?}", world.parked());
        assert_eq!(all(&source), all(&dest), "{at}");
        assert_eq!(books(&world.runs()[1]), [4, 1, 7], "{at}");
        world.syncline(&["undo", "last"]).ends_with(0);
        assert_eq!(all(&dest), before, "{at}");
    }
}

// case: A12
// rule: R6, R18
#[test]
fn a_row_that_the_destination_refused_keeps_its_base_and_goes_in_later() {
    for atomic in ["run", "stream", "batch"] {
        let (source, dest) = (Side::postgres(), Side::postgres());
        let world = synced_and_edited(&source, &dest, &format!("    atomic: {atomic}\n    edits: keep\n    conflicts: source_wins\n"));
        dest.execute("ALTER TABLE b ADD CHECK (n <> 107)");
        world.run(&[], 3);
        dest.execute("ALTER TABLE b DROP CONSTRAINT b_n_check");
        world.run(&[], 0);
        assert_eq!(contents(&dest), contents(&source), "{atomic}");
    }
}

// case: A12
// rule: R6, R18
#[test]
fn an_edit_made_at_the_destination_after_a_crash_between_two_parts_survives() {
    for (atomic, fault) in [("stream", "commit.answer=abort@2"), ("batch", "commit.answer=abort@2"), ("batch", "commit.intent=abort@3")] {
        let (source, dest) = (Side::postgres(), Side::postgres());
        let world = synced_and_edited(&source, &dest, &format!("    atomic: {atomic}\n    edits: keep\n    conflicts: source_wins\n"));
        assert_eq!(break_at(&world, fault), None);
        assert_eq!(dest.value("SELECT n FROM a WHERE id = 4"), "104", "{atomic} {fault}: not committed");
        // Only the destination has changed since the two sides agreed.
        dest.execute("UPDATE a SET n = 7 WHERE id = 4");
        world.let_leases_end();
        let run = world.run(&[], 0);
        assert_eq!(dest.value("SELECT n FROM a WHERE id = 4"), "7", "{atomic} {fault}: {run:#}");
        assert_eq!(dest.value("SELECT count(*) FROM c WHERE n > 100"), "10", "{atomic} {fault}: {run:#}");
    }
}
