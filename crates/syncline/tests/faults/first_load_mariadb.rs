//! First loads in parts into MariaDB, where DDL commits by itself (R18, R19): tables get their names after the commit.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use syncline_connector::fail::POINTS;

use crate::first_load::{
    ACCOUNTS, ENTRIES, IN_PARTS, books, broken, comes_to_rest, count, edit, fill, is_equal, kept_and_read, user_tables,
};
use crate::rig::{Side, World};

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
