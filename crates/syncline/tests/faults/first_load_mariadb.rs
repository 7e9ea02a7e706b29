//! First loads in parts into MariaDB, where DDL commits by itself (R18, R19): tables get their names after the commit.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use syncline_connector::fail::POINTS;

use crate::first_load::{
    ACCOUNTS, ENTRIES, IN_PARTS, books, broken, comes_to_rest, count, edit, fill, is_equal, kept_and_read, user_tables,
};
use crate::rig::{Answer, Side, World, wait};

const LOADING: [&str; 2] = ["account__syncline_load", "entry__syncline_load"];

fn source_of(kind: &str, folder: &tempfile::TempDir) -> Side {
    match kind {
        "postgres" => Side::postgres(),
        "mysql" => Side::mariadb(),
        _ => Side::sqlite(folder.path(), "from.db"),
    }
}

/// All keys are there, by the catalogue, and no comment of ours is.
#[track_caller]
fn is_whole(dest: &Side, fault: &str) {
    let keys = "SELECT group_concat(concat(table_name, ' ', constraint_type) ORDER BY 1 SEPARATOR ', ') FROM \
                information_schema.table_constraints WHERE table_schema = database() AND table_name IN ('account', 'entry')";
    let all = "account PRIMARY KEY, account UNIQUE, entry FOREIGN KEY, entry PRIMARY KEY, entry UNIQUE";
    assert_eq!(dest.value(keys), all, "{fault}");
    let parent =
        "SELECT group_concat(referenced_table_name) FROM information_schema.referential_constraints WHERE constraint_schema = database()";
    assert_eq!(dest.value(parent), "account", "{fault}");
    let comments = "SELECT group_concat(table_comment) FROM information_schema.tables WHERE table_schema = database() AND table_comment LIKE 'syncline%'";
    assert_eq!(dest.value(comments), "NULL", "{fault}");
}

fn break_at(kind: &str, fault: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, dest) = (source_of(kind, &folder), Side::mariadb());
    fill(&source);
    let world = World::between(&source, &dest, IN_PARTS);
    broken(&world, fault);
    assert!(!user_tables(&dest).iter().any(|t| t == "account" || t == "entry"), "{kind} {fault}: a reader sees half a table");
    edit(&source);
    let report = comes_to_rest(&world, &source, &dest, fault);
    is_whole(&dest, fault);
    let (kept, read) = match kept_and_read(&report, "account") {
        None => (0, count(&source, "account")),
        Some(both) => both,
    };
    assert_eq!(kept + read, count(&source, "account"), "{kind} {fault}");
    if fault.contains("@12") {
        // Eleven or twelve parts of ten rows had landed; three rows of them changed or went and one came before them.
        assert!((100..=120).contains(&kept), "{kind} {fault}: {kept} kept, {read} read");
    }
    if AFTER_ALL_PARTS.contains(&fault) {
        // All rows but those that were edited.
        assert_eq!(read, 6, "{kind} {fault}: {kept} kept, {read} read");
    }
}

/// Broken with all rows of both tables in their load tables.
const AFTER_ALL_PARTS: [&str; 7] = [
    "load.place=abort",
    "apply.index=abort@2",
    "apply.index=cut@2",
    "apply.constraint=abort",
    "apply.constraint=lose",
    "commit.intent=abort",
    "commit.send=cut@51",
];

const FAULTS: [&str; 8] = [
    "load.record=abort",
    "load.range=abort@12",
    "load.commit=abort@12",
    "load.landed=abort@12",
    "load.range=error@12",
    "commit.send=cut@12",
    "stage.create=abort",
    "stage.create=lose",
];

// rule: R18, R19
// case: A5, A8
#[test]
fn a_first_load_in_parts_killed_anywhere_is_gone_on_with_on_mariadb_though_the_source_moves() {
    FAULTS.into_iter().chain(AFTER_ALL_PARTS).for_each(|fault| break_at("postgres", fault));
}

// rule: R18, R19
// case: A5, A8
#[test]
fn a_first_load_in_parts_into_mariadb_is_gone_on_with_from_every_kind_of_source() {
    for kind in ["mysql", "sqlite"] {
        for fault in ["load.range=abort@12", "load.landed=abort@40", "commit.intent=abort", "load.place=abort"] {
            break_at(kind, fault);
        }
    }
}

/// Between the commit and the end of a run, tables wait for their names.
const NAMING: [(&str, bool); 9] = [
    ("commit.answer=abort@51", false),
    ("name.tables=abort", false),
    ("name.tables=error", false),
    ("name.given=abort", true),
    // The statement was sent and its answer lost.
    ("name.given=error", true),
    ("name.comments=abort", true),
    ("commit.recorded=abort", true),
    ("finish.books=abort", true),
    ("finish.end=error", true),
];

fn created(runs: &[Json]) -> u64 {
    runs.iter().filter_map(|r| r["books"]["created"].as_u64()).sum()
}

// rule: R18, R19, R24
// case: A5, A6, A8
#[test]
fn a_run_that_dies_between_its_commit_and_the_names_of_its_tables_is_finished_by_the_next_one() {
    for (fault, named) in NAMING {
        let (source, dest) = (Side::postgres(), Side::mariadb());
        fill(&source);
        source.execute("COMMENT ON TABLE account IS 'whose money it is'");
        let world = World::between(&source, &dest, IN_PARTS);
        broken(&world, fault);
        assert_eq!(user_tables(&dest), if named { ["account", "entry"] } else { LOADING }, "{fault}");
        let report = world.run(&[], 0);
        assert_eq!([&report["books"]["created"], &report["books"]["updated"]], [0, 0], "{fault}: it is the dead run that made them");
        is_equal(&source, &dest);
        is_whole(&dest, fault);
        let comment = "SELECT table_comment FROM information_schema.tables WHERE table_schema = database() AND table_name = 'account'";
        assert_eq!(dest.value(comment), "whose money it is", "{fault}");
        let runs = world.runs();
        assert_eq!(created(&runs), ACCOUNTS + ENTRIES, "{fault}: {runs:#?}");
        assert!(runs.iter().all(|r| r["status"] == "succeeded"), "{fault}: {runs:#?}");
        // What such a run made can be undone as what any other made.
        world.syncline(&["undo", "1", "--json"]).ends_with(0);
        assert_eq!(user_tables(&dest), Vec::<String>::new(), "{fault}");
        let report = world.run(&[], 0);
        assert_eq!(books(&report, "account"), [ACCOUNTS, ACCOUNTS, ACCOUNTS, 0], "{fault}");
        is_equal(&source, &dest);
    }
}

// rule: R18, R19
// case: A5
#[test]
fn a_load_into_mariadb_that_is_killed_while_it_is_mended_is_mended_by_the_next_run() {
    for fault in
        ["load.compare=abort", "load.repair=abort", "apply.delete=abort", "load.commit=abort", "load.landed=abort", "commit.intent=abort"]
    {
        let (source, dest) = (Side::postgres(), Side::mariadb());
        fill(&source);
        let world = World::between(&source, &dest, IN_PARTS);
        broken(&world, "commit.intent=abort");
        edit(&source);
        broken(&world, fault);
        source.execute("UPDATE account SET amount = 7 WHERE id % 20 = 1");
        comes_to_rest(&world, &source, &dest, fault);
        is_whole(&dest, fault);
    }
}

// rule: R18
#[test]
fn every_point_of_a_load_into_mariadb_is_passed_by_one_that_is_killed_and_mended() {
    let (source, dest) = (Side::postgres(), Side::mariadb());
    fill(&source);
    let world = World::between(&source, &dest, IN_PARTS);
    broken(&world, "load.range=abort@12");
    edit(&source);
    let log = world.path("points");
    world.syncline_with(&["run"], &[("SYNCLINE_FAIL_LOG", &log.display().to_string())]).ends_with(0);
    let passed: BTreeSet<String> = std::fs::read_to_string(log).expect("points").lines().map(str::to_owned).collect();
    let missing: Vec<_> = POINTS.iter().filter(|p| (p.starts_with("load.") || p.starts_with("name.")) && !passed.contains(**p)).collect();
    assert!(missing.is_empty(), "not passed: {missing:?}");
}

// rule: R18, R19, R23
#[test]
fn loaded_tables_that_need_themselves_each_other_small_ones_and_old_ones_keep_their_keys_under_their_names() {
    let (source, dest) = (Side::postgres(), Side::mariadb());
    source.execute(
        "CREATE TABLE country (id int PRIMARY KEY); INSERT INTO country VALUES (1), (2);
         CREATE TABLE kind (id int PRIMARY KEY); INSERT INTO kind VALUES (1), (2);
         CREATE TABLE staff (id int PRIMARY KEY, boss int REFERENCES staff (id), shop int NOT NULL, country int NOT NULL REFERENCES country (id));
         CREATE TABLE shop (id int PRIMARY KEY, head int NOT NULL, kind int NOT NULL REFERENCES kind (id));
         INSERT INTO shop SELECT i, i, i % 2 + 1 FROM generate_series(1, 150) i;
         INSERT INTO staff SELECT i, nullif(i - 1, 0), i % 150 + 1, i % 2 + 1 FROM generate_series(1, 200) i;
         ALTER TABLE staff ADD CONSTRAINT staff_shop FOREIGN KEY (shop) REFERENCES shop (id) ON DELETE CASCADE;
         ALTER TABLE shop ADD CONSTRAINT shop_head FOREIGN KEY (head) REFERENCES staff (id);
         CREATE TABLE award (id int PRIMARY KEY, staff int REFERENCES staff (id)); INSERT INTO award VALUES (1, 7)",
    );
    let streams = "    deletes: mirror\n    owns: table\n";
    let world = World::between(&source, &dest, &format!("{IN_PARTS}{streams}    streams: {{ country: {{}} }}\n"));
    world.run(&[], 0);
    world.configure(&crate::rig::config(&source, &dest, &format!("{IN_PARTS}{streams}")));
    // Killed twice with all keys added: what they hold together still comes apart and together again.
    for fault in ["commit.intent=abort", "apply.marker=error", "name.tables=abort"] {
        broken(&world, fault);
        assert!(!user_tables(&dest).iter().any(|t| t == "staff" || t == "shop"), "{fault}");
        source.execute("UPDATE staff SET boss = NULL WHERE id % 40 = 0; DELETE FROM country WHERE id = 3; INSERT INTO country VALUES (3)");
    }
    world.run(&[], 0);
    assert_eq!(user_tables(&dest), ["award", "country", "kind", "shop", "staff"]);
    let keys = "SELECT group_concat(concat(table_name, '>', referenced_table_name) ORDER BY 1 SEPARATOR ' ') \
                FROM information_schema.referential_constraints WHERE constraint_schema = database()";
    assert_eq!(dest.value(keys), "award>staff shop>kind shop>staff staff>country staff>shop staff>staff");
    for (table, columns) in
        [("staff", &["id", "boss", "shop", "country"][..]), ("shop", &["id", "head", "kind"]), ("award", &["id", "staff"])]
    {
        assert_eq!(source.content(table, columns, "1 = 1"), dest.content(table, columns, "1 = 1"), "{table}");
    }
    // The keys hold: a row without a parent is refused by the server.
    assert!(wait(dest.database().try_execute("INSERT INTO staff VALUES (999, 998, 1, 1)")).is_err());
    let again = world.run(&[], 0);
    assert_eq!([&again["books"]["created"], &again["books"]["updated"], &again["books"]["deleted"]], [0, 0, 0]);
}

// rule: R18, R20, R21
#[test]
fn rows_that_a_key_refuses_after_a_load_into_mariadb_are_set_aside_with_all_that_hangs_on_them() {
    let (source, folder) = (loosely_typed(100), tempfile::tempdir().expect("a folder"));
    drop(folder);
    let dest = Side::mariadb();
    let world = World::between(&source.0, &dest, "    resume_above: 50\n");
    for fault in ["apply.reject=abort", "apply.constraint=abort", "apply.end=error", "commit.intent=abort"] {
        broken(&world, fault);
    }
    let report = world.run(&[], 3);
    assert_eq!(books(&report, "item"), [100, 100, 96, 4], "{report:#}");
    assert_eq!(books(&report, "part"), [100, 100, 96, 4], "{report:#}");
    assert_eq!(books(&report, "bolt"), [100, 100, 96, 4], "{report:#}");
    let parked: Vec<_> = world.parked().into_iter().map(|(s, k, c)| format!("{s} {k} {c}")).collect();
    let of = |stream: &str, code: &str| ["17", "23", "40", "80"].map(|k| format!("{stream} [{k}] {code}"));
    assert_eq!(parked, [of("bolt", "parent_missing"), of("item", "unique_taken"), of("part", "parent_missing")].concat());
    source.0.execute("UPDATE item SET code = datetime(id * 86400 + 1, 'unixepoch') WHERE id IN (40, 80)");
    world.run(&[], 0);
    assert_eq!(["item", "part", "bolt"].map(|t| count(&dest, t)), [100, 100, 100]);
}

/// Spellings of one moment that a SQLite file tells apart and a timestamp does not; parts hang on items, bolts on parts.
fn loosely_typed(rows: u32) -> (Side, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Side::sqlite(folder.path(), "from.db");
    source.execute(&format!(
        "CREATE TABLE item (id INTEGER PRIMARY KEY, code DATETIME UNIQUE);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) INSERT INTO item SELECT i, datetime(i * 86400, 'unixepoch') FROM n;
         UPDATE item SET code = (SELECT replace(o.code, ' ', 'T') FROM item o WHERE o.id = 17) WHERE id = 80;
         UPDATE item SET code = (SELECT replace(o.code, ' ', 'T') FROM item o WHERE o.id = 23) WHERE id = 40; UPDATE item SET code = NULL WHERE id IN (50, 51);
         CREATE TABLE part (id INTEGER PRIMARY KEY, item_id INTEGER NOT NULL REFERENCES item (id) ON DELETE CASCADE); INSERT INTO part SELECT id, id FROM item;
         CREATE TABLE bolt (id INTEGER PRIMARY KEY, part_id INTEGER REFERENCES part (id)); INSERT INTO bolt SELECT id, id FROM part"
    ));
    (source, folder)
}

// rule: R18, R19
#[test]
fn a_table_that_takes_the_name_of_a_loaded_one_is_kept_and_one_that_is_dropped_is_loaded_again() {
    let (source, dest) = (Side::postgres(), Side::mariadb());
    fill(&source);
    let world = World::between(&source, &dest, IN_PARTS);
    broken(&world, "name.tables=abort");
    dest.execute("CREATE TABLE account (theirs int)");
    for _ in 0..2 {
        let answer = world.syncline(&["run", "--json"]).ends_with(1);
        assert!(answer.said().contains("table_in_the_way"), "{}", answer.said());
        assert_eq!(user_tables(&dest), ["account", LOADING[0], LOADING[1]], "neither is touched");
    }
    dest.execute("DROP TABLE account");
    world.run(&[], 0);
    is_equal(&source, &dest);
    assert_eq!(created(&world.runs()), ACCOUNTS + ENTRIES);

    let (source, dest) = (Side::postgres(), Side::mariadb());
    fill(&source);
    let world = World::between(&source, &dest, IN_PARTS);
    broken(&world, "name.tables=abort");
    dest.execute("SET foreign_key_checks = 0; DROP TABLE account__syncline_load");
    let report = comes_to_rest(&world, &source, &dest, "dropped");
    assert_eq!(kept_and_read(&report, "entry"), Some((ENTRIES, 0)), "{report:#}");
    is_whole(&dest, "dropped");
    let runs = world.runs();
    assert_eq!((runs[0]["status"].as_str(), runs[0]["error"]["code"].as_str()), (Some("failed"), Some("process_died")), "{runs:#?}");
}

// rule: R18
#[test]
fn a_table_like_a_load_table_that_does_not_bear_our_mark_is_not_touched_on_mariadb() {
    let (source, dest) = (Side::postgres(), Side::mariadb());
    fill(&source);
    dest.execute("CREATE TABLE account__syncline_load (id int, theirs text); INSERT INTO account__syncline_load VALUES (1, 'keep me')");
    let world = World::between(&source, &dest, IN_PARTS);
    assert_eq!(world.run(&[], 1)["error"]["code"], "load_table_foreign");
    assert_eq!(dest.value("SELECT theirs FROM account__syncline_load"), "keep me");
    dest.execute("DROP TABLE account__syncline_load");
    // Nor is one that took the place of ours, though it is empty.
    broken(&world, "load.range=abort@12");
    dest.execute("DROP TABLE account__syncline_load; CREATE TABLE account__syncline_load (id int, theirs text)");
    assert_eq!(world.run(&[], 1)["error"]["code"], "load_table_foreign");
    dest.execute("DROP TABLE account__syncline_load");
    comes_to_rest(&world, &source, &dest, "");
}

// rule: R18, R19
#[test]
fn streams_committed_one_by_one_get_their_names_one_by_one() {
    for fault in [
        "commit.answer=abort@51",
        "name.tables=abort",
        "name.given=error",
        "commit.recorded=abort",
        "name.tables=abort@2",
        "name.given=abort@2",
    ] {
        let (source, dest) = (Side::postgres(), Side::mariadb());
        fill(&source);
        source.execute(
            "CREATE TABLE small (id int PRIMARY KEY, account_id int REFERENCES account (id)); INSERT INTO small VALUES (1, 1), (2, 300)",
        );
        let world = World::between(&source, &dest, &format!("{IN_PARTS}    atomic: stream\n"));
        broken(&world, fault);
        world.run(&[], 0);
        assert_eq!(user_tables(&dest), ["account", "entry", "small"], "{fault}");
        let runs = world.runs();
        assert_eq!(created(&runs), ACCOUNTS + ENTRIES + 2, "{fault}: {runs:#?}");
        assert!(runs.iter().all(|r| r["status"] != "running"), "{fault}: {runs:#?}");
        is_whole_of(&dest, 4, fault);
        let again = world.run(&[], 0);
        assert_eq!([&again["books"]["created"], &again["books"]["updated"], &again["books"]["deleted"]], [0, 0, 0], "{fault}");
    }
}

/// So many unique and foreign keys, and no comment of ours.
#[track_caller]
fn is_whole_of(dest: &Side, keys: u32, fault: &str) {
    let found = "SELECT count(*) FROM information_schema.table_constraints WHERE table_schema = database() AND constraint_type IN ('UNIQUE', 'FOREIGN KEY')";
    assert_eq!(dest.value(found), keys.to_string(), "{fault}");
    let comments = "SELECT count(*) FROM information_schema.tables WHERE table_schema = database() AND table_comment LIKE 'syncline%'";
    assert_eq!(dest.value(comments), "0", "{fault}");
}

/// A source table with the longest name there is, and one that differs from it at its very end, full of marks that mean something in SQL.
// rule: R18
// case: H22
#[test]
fn names_as_long_and_strange_as_they_can_be_are_loaded_in_parts_and_given_back() {
    let (source, dest) = (Side::mariadb(), Side::mariadb());
    let long = format!("t` {}", "ä".repeat(26));
    let names = [format!("{long}'\"a"), format!("{long}'\"b")];
    for name in &names {
        let quoted = name.replace('`', "``");
        source.execute(&format!(
            "CREATE TABLE `{quoted}` (`i``d` int PRIMARY KEY AUTO_INCREMENT, v varchar(20) UNIQUE) COMMENT 'it''s \\\\ so'"
        ));
        let rows: Vec<String> = (1..=60).map(|i| format!("({i}, 'v{i}')")).collect();
        source.execute(&format!("INSERT INTO `{quoted}` VALUES {}; ANALYZE TABLE `{quoted}`", rows.join(", ")));
    }
    let world = World::between(&source, &dest, "    resume_above: 50\n");
    broken(&world, "commit.answer=abort@25");
    world.run(&[], 0);
    assert_eq!(user_tables(&dest), names);
    for name in &names {
        let quoted = name.replace('`', "``");
        assert_eq!(dest.value(&format!("SELECT count(*) FROM `{quoted}`")), "60");
        dest.execute(&format!("INSERT INTO `{quoted}` (v) VALUES ('next')"));
        assert_eq!(
            dest.value(&format!("SELECT `i``d` FROM `{quoted}` WHERE v = 'next'")),
            "61",
            "the counter goes on behind the loaded rows"
        );
    }
    let comments = "SELECT DISTINCT table_comment FROM information_schema.tables WHERE table_schema = database() AND table_name LIKE 't%'";
    assert_eq!(dest.query(comments), [[Some("it's \\ so".to_owned())]]);
}

/// Starts a run and stops it with `signal` while a part of it waits for a lock on the marker.
fn signalled(world: &World, dest: &Side, signal: &str) -> Answer {
    let db = dest.database();
    let mut run = world.start(&["run", "--json"], &[]);
    let mut alive = || assert!(run.try_wait().expect("the binary can be asked").is_none(), "the run ended too early");
    let landed = "SELECT count(*) FROM information_schema.tables WHERE table_schema = database() AND table_name = 'account__syncline_load'";
    while wait(db.scalar(landed)) == "0" || wait(db.scalar("SELECT count(*) FROM account__syncline_load")) == "0" {
        alive();
    }
    let held = std::thread::spawn({
        let db = db.clone();
        move || wait(db.try_execute("LOCK TABLES syncline_marker WRITE; SELECT sleep(3600)"))
    });
    let asks =
        "SELECT count(*) FROM information_schema.processlist WHERE db = database() AND state LIKE 'Waiting for table metadata lock%'";
    while wait(db.scalar(asks)) == "0" {
        alive();
    }
    let id = run.id().to_string();
    assert!(std::process::Command::new("kill").args([signal, &id]).status().expect("kill runs").success());
    if signal == "-KILL" {
        run.wait().expect("the binary ends");
    }
    let locker = db.scalar(
        "SELECT id FROM information_schema.processlist WHERE db = database() AND info LIKE '%sleep(3600)%' AND id <> connection_id()",
    );
    dest.execute_as_admin(&format!("KILL {}", wait(locker)));
    assert!(held.join().expect("the locker ends").is_err(), "the lock was held until it was taken away");
    Answer::of(&run.wait_with_output().expect("the binary ends"))
}

// rule: R18
// case: A5
#[test]
fn a_load_into_mariadb_that_is_killed_or_interrupted_between_parts_keeps_what_landed() {
    for (signal, code) in [("-KILL", None), ("-INT", Some(130))] {
        let (source, dest) = (Side::postgres(), Side::mariadb());
        fill(&source);
        let world = World::between(&source, &dest, IN_PARTS);
        let answer = signalled(&world, &dest, signal);
        assert_eq!(answer.code, code, "{}", answer.said());
        world.let_leases_end();
        assert_eq!(user_tables(&dest), [LOADING[0]], "a reader sees half a table");
        edit(&source);
        let report = comes_to_rest(&world, &source, &dest, signal);
        let (kept, read) = kept_and_read(&report, "account").unwrap_or_else(|| panic!("{signal}: nothing was kept: {report:#}"));
        assert_eq!(kept + read, count(&source, "account"));
        is_whole(&dest, signal);
    }
}
