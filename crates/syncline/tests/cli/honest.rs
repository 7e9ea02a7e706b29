//! No command says that all is well where something is not, and no option is accepted and ignored.

use crate::world::World;

const ROWS: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) INSERT INTO t SELECT i, 'v' || i FROM n;";

/// A configuration of `from.db` and `to.db` with these lines for the sync.
fn configured(options: &str) -> World {
    let world = World::with("");
    let connections = "  from: { type: sqlite, url: \"sqlite:from.db\" }\n  to: { type: sqlite, url: \"sqlite:to.db\" }\n";
    world.write("syncline.yaml", &format!("connections:\n{connections}syncs:\n  pair:\n    from: from\n    to: to\n{options}"));
    world
}

// case: T1
#[test]
fn a_plan_with_deletions_held_back_is_no_nothing_to_do() {
    let world = World::with("    deletes: mirror\n    owns: table\n");
    world.sql("from.db", ROWS);
    world.syncline(&["run"]).ends_with(0);
    world.sql("from.db", "DELETE FROM t WHERE id > 50");
    let plan = world.syncline(&["plan", "--exit-code"]).ends_with(4);
    assert!(plan.stdout.contains("150 deletions would be held back") && !plan.stdout.contains("the same"), "{}", plan.stdout);
    let plan = world.syncline(&["plan", "--exit-code", "--approve-deletes"]).ends_with(4);
    assert!(plan.stdout.contains("150 to delete"), "{}", plan.stdout);
}

#[test]
fn a_plan_with_rows_to_be_parked_is_no_nothing_to_do() {
    let world = configured("    validate: true\n    streams: { t: { fields: { v: { type: email } } } }\n");
    world.sql("from.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a@b.org'), (2, 'nobody')");
    world.syncline(&["run"]).ends_with(3);
    let plan = world.syncline(&["plan", "--exit-code"]).ends_with(4);
    assert!(plan.stdout.contains("1 row would be parked") && !plan.stdout.contains("the same"), "{}", plan.stdout);
    let plan = world.syncline(&["plan", "--out", "plan.json"]).ends_with(0);
    assert!(plan.stdout.contains("1 row would be parked"), "{}", plan.stdout);
    // What is left is said again by the run of the plan.
    let run = world.syncline(&["run", "--plan", "plan.json"]).ends_with(3);
    assert!(run.stdout.contains("no part of the plan"), "{}", run.stdout);
}

#[test]
fn a_plan_of_streams_that_drift_stops_says_that_the_run_would_fail() {
    let world = World::with("");
    world.sql("from.db", ROWS);
    world.syncline(&["run"]).ends_with(0);
    world.syncline(&["plan", "--exit-code"]).ends_with(0);
    world.sql("from.db", "ALTER TABLE t RENAME v TO w");
    let plan = world.syncline(&["plan", "--exit-code"]).ends_with(4);
    assert!(plan.stdout.contains("The run would fail and write nothing") && plan.stdout.contains("`t`"), "{}", plan.stdout);
    world.syncline(&["run"]).ends_with(1);
}

#[test]
fn rows_that_only_the_destination_has_are_said_where_there_is_nothing_to_do() {
    let world = World::with("");
    world.sql("from.db", ROWS);
    world.syncline(&["run"]).ends_with(0);
    assert!(world.syncline(&["plan"]).ends_with(0).stdout.contains("both sides are the same"));
    world.sql("to.db", "INSERT INTO t VALUES (900, 'mine')");
    let plan = world.syncline(&["plan", "--exit-code"]).ends_with(0);
    assert!(plan.stdout.contains("1 row that only the destination has stay") && !plan.stdout.contains("the same"), "{}", plan.stdout);
}

// rule: R7
#[test]
fn where_to_alone_keeps_a_mirror_within_its_part_of_a_shared_table() {
    let world = configured("    deletes: mirror\n    owns: table\n    streams: { t: { where_to: \"tenant = 'A'\" } }\n");
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, tenant TEXT);";
    world.sql("from.db", &format!("{table} INSERT INTO t VALUES (1, 'A'), (2, 'A'), (3, 'A')"));
    world.sql("to.db", &format!("{table} INSERT INTO t VALUES (1, 'A'), (4, 'A'), (21, 'B'), (22, 'B')"));
    world.syncline(&["run"]).ends_with(0);
    assert_eq!(world.value("to.db", "SELECT group_concat(id || tenant, ' ') FROM t"), "1A 2A 3A 21B 22B");
    world.syncline(&["verify"]).ends_with(0);
}

// rule: R36
#[test]
fn a_plan_file_makes_no_table_that_it_has_not_shown_and_says_nothing_false() {
    let world = World::with("    deletes: mirror\n    owns: table\n    atomic: stream\n");
    world.sql("from.db", &format!("{ROWS} CREATE TABLE w (id INTEGER PRIMARY KEY); INSERT INTO w VALUES (1)"));
    world.syncline(&["run", "--stream", "t"]).ends_with(0);
    world.sql("from.db", "DELETE FROM t WHERE id > 190; UPDATE t SET v = 'new' WHERE id = 1");
    world.syncline(&["plan", "--stream", "t", "--out", "plan.json"]).ends_with(0);
    world.sql("from.db", "CREATE TABLE n (id INTEGER PRIMARY KEY)");
    let run = world.syncline(&["run", "--plan", "plan.json", "--json"]).ends_with(0).json();
    assert_eq!((&run[0]["books"]["updated"], &run[0]["books"]["deleted"]), (&1.into(), &10.into()), "{run}");
    assert_eq!(run[0]["notes"], serde_json::json!([]), "{run}");
    assert_eq!(world.value("to.db", "SELECT group_concat(name) FROM sqlite_schema WHERE name IN ('t', 'w', 'n')"), "t");
    world.syncline(&["run", "--plan", "plan.json", "--approve-deletes"]).ends_with(2);
}

// rule: R36
#[test]
fn a_plan_file_whose_tables_are_made_otherwise_by_now_is_refused() {
    let world = World::with("");
    world.sql("from.db", ROWS);
    world.syncline(&["plan", "--out", "plan.json"]).ends_with(0);
    world.sql("from.db", "ALTER TABLE t ADD COLUMN more TEXT");
    let run = world.syncline(&["run", "--plan", "plan.json"]);
    assert!(run.code != 0 && format!("{}{}", run.stdout, run.stderr).contains("plan_stale"), "{}{}", run.stdout, run.stderr);
    assert_eq!(world.value("to.db", "SELECT count(*) FROM sqlite_schema WHERE name = 't'"), "0");
}

// rule: R36
#[test]
fn deletions_held_back_by_a_plan_leave_its_run_partial_unless_the_plan_approves_them() {
    let world = World::with("    deletes: mirror\n    owns: table\n");
    world.sql("from.db", ROWS);
    world.syncline(&["run"]).ends_with(0);
    world.sql("from.db", "DELETE FROM t WHERE id > 50");
    world.syncline(&["plan", "--out", "held.json"]).ends_with(0);
    world.syncline(&["plan", "--approve-deletes", "--out", "all.json"]).ends_with(0);
    let run = world.syncline(&["run", "--plan", "held.json"]).ends_with(3);
    assert!(run.stdout.contains("--approve-deletes"), "{}", run.stdout);
    assert_eq!(world.value("to.db", "SELECT count(*) FROM t"), "200");
    world.syncline(&["run", "--plan", "all.json"]).ends_with(0);
    assert_eq!(world.value("to.db", "SELECT count(*) FROM t"), "50");
}

#[test]
fn a_plan_that_could_not_be_applied_is_not_written_to_a_file() {
    let world = configured("    streams: { t: { ids: state } }\n");
    world.sql("from.db", ROWS);
    world.syncline(&["plan"]).ends_with(0);
    let plan = world.syncline(&["plan", "--out", "plan.json"]).ends_with(2);
    assert!(plan.stderr.contains("error[plan_not_applicable]") && !world.path("plan.json").exists(), "{}", plan.stderr);
}

#[test]
fn a_scopes_query_without_an_answer_is_an_error_and_a_scope_that_is_gone_is_said() {
    let options = "    scopes: { query: \"SELECT DISTINCT tenant FROM t\" }\n    streams: { t: { where: \"tenant = {{ scope }}\" } }\n";
    let world = configured(options);
    world.sql("from.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, tenant TEXT)");
    for command in ["run", "plan", "verify"] {
        assert!(world.syncline(&[command]).ends_with(2).stderr.contains("error[scopes_missing]"), "{command}");
    }
    world.sql("from.db", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL)");
    world.syncline(&["run"]).ends_with(0);
    world.sql("from.db", "DELETE FROM t WHERE tenant = 'b'");
    let run = world.syncline(&["run"]).ends_with(0);
    assert!(run.stdout.contains("scope `b` ran before and is none of the scopes any more"), "{}", run.stdout);
}

// req: FR-005
#[test]
fn a_sample_of_a_small_table_still_compares_rows() {
    let world = World::with("");
    world.sql("from.db", ROWS);
    world.syncline(&["run"]).ends_with(0);
    world.sql("to.db", "UPDATE t SET v = 'other'");
    let report = world.syncline(&["verify", "--sample", "0.0001", "--json"]).ends_with(4).json();
    assert!(report[0]["streams"][0]["compared"].as_u64() > Some(0), "{report}");
}

#[test]
fn a_key_that_neither_side_has_is_an_error() {
    let world = World::with("");
    world.sql("from.db", ROWS);
    world.syncline(&["run"]).ends_with(0);
    let run = world.syncline(&["run", "--stream", "t", "--key", "999"]);
    assert!(run.code != 0 && run.stdout.contains("error[record_missing]"), "{}{}", run.stdout, run.stderr);
    let run = world.syncline(&["run", "--stream", "t", "--key", "-5"]);
    assert!(run.stdout.contains("error[record_missing]"), "a negative key: {}{}", run.stdout, run.stderr);
    world.sql("to.db", "INSERT INTO t VALUES (900, 'mine')");
    let run = world.syncline(&["run", "--stream", "t", "--key", "900"]).ends_with(0);
    assert!(run.stdout.contains("the row at the destination stays"), "{}", run.stdout);
    world.syncline(&["run", "--stream", "t", "--key", "1"]).ends_with(0);
    world.syncline(&["run", "--stream", "t", "--key", "1", "--mode", "full"]).ends_with(2);
}

// rule: R32
#[test]
fn an_incremental_run_of_a_stream_without_a_cursor_is_an_error() {
    let world = configured("    streams: { t: { cursor: v }, w: {} }\n");
    world.sql("from.db", &format!("{ROWS} CREATE TABLE w (id INTEGER PRIMARY KEY)"));
    for command in ["run", "plan"] {
        let answer = world.syncline(&[command, "--mode", "incremental"]);
        let said = format!("{}{}", answer.stdout, answer.stderr);
        assert!(answer.code != 0 && said.contains("incremental_without_cursor") && said.contains(": w"), "{command}: {said}");
    }
    world.syncline(&["run", "--mode", "incremental", "--stream", "t"]).ends_with(0);
}

#[test]
fn columns_that_options_name_are_looked_for_before_anything_is_written() {
    for option in ["stamp: nope", "edits: keep\n    last_modified_by: nope"] {
        let world = World::with(&format!("    {option}\n"));
        world.sql("from.db", ROWS);
        world.sql("to.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
        let answer = world.syncline(&["plan"]).ends_with(2);
        assert!(answer.stderr.contains("error[column_missing]") && answer.stderr.contains("`nope`"), "{option}: {}", answer.stderr);
        assert_ne!(world.syncline(&["run"]).code, 0, "{option}");
        assert_eq!(world.value("to.db", "SELECT count(*) FROM t"), "0", "{option}");
    }
}

#[test]
fn what_init_writes_can_be_planned_also_where_a_table_has_no_key() {
    let folder = World::with("");
    folder.sql("from.db", &format!("{ROWS} CREATE TABLE keyless (a TEXT)"));
    folder.syncline(&["init", "--force", "--from", "sqlite:from.db", "--to", "sqlite:to.db"]).ends_with(0);
    folder.syncline(&["plan"]).ends_with(0);
    folder.syncline(&["run"]).ends_with(0);
    assert_eq!(folder.value("to.db", "SELECT count(*) FROM t"), "200");
}

#[test]
fn an_undo_of_a_run_that_wrote_nothing_says_so_and_status_knows_an_undo() {
    let world = World::with("");
    world.sql("from.db", ROWS);
    world.syncline(&["run"]).ends_with(0);
    world.sql("from.db", "ALTER TABLE t RENAME v TO w");
    world.syncline(&["run"]).ends_with(1);
    world.sql("from.db", "ALTER TABLE t RENAME w TO v");
    let undo = world.syncline(&["undo", "last"]).ends_with(1);
    assert!(undo.stderr.contains("wrote nothing"), "{}", undo.stderr);
    world.sql("from.db", "UPDATE t SET v = 'x' WHERE id = 1");
    world.syncline(&["run"]).ends_with(0);
    world.syncline(&["undo", "last"]).ends_with(0);
    let status = world.syncline(&["status"]).ends_with(0);
    assert!(status.stdout.contains("an undo") && !status.stdout.contains("lag "), "{}", status.stdout);
}

// req: FR-004
#[test]
fn a_table_that_a_later_run_makes_gets_its_foreign_key_to_one_that_is_there() {
    let world = World::with("");
    world.sql("from.db", "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1)");
    world.sql("from.db", "PRAGMA foreign_keys = OFF; CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INT REFERENCES p (id)); INSERT INTO c VALUES (5, 1), (6, 99)");
    let alone = world.syncline(&["plan", "--stream", "c"]).ends_with(0);
    assert!(alone.stdout.contains("no stream of this run makes that table"), "{}", alone.stdout);
    world.syncline(&["run", "--stream", "p"]).ends_with(0);
    let run = world.syncline(&["run", "--stream", "c"]).ends_with(3);
    assert!(run.stdout.contains("parent_missing"), "{}", run.stdout);
    assert_eq!(world.value("to.db", "SELECT count(*) FROM pragma_foreign_key_list('c')"), "1");
    assert_eq!(world.value("to.db", "SELECT group_concat(id) FROM c"), "5");
}

#[test]
fn a_run_says_what_of_a_table_it_did_not_carry_over() {
    let world = World::with("");
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT CHECK (v <> 'bad'))";
    world.sql("from.db", table);
    let run = world.syncline(&["run"]).ends_with(0);
    assert!(run.stdout.contains("not carried over: check"), "{}", run.stdout);
    let again = world.syncline(&["run"]).ends_with(0);
    assert!(!again.stdout.contains("not carried over"), "{}", again.stdout);
}

#[test]
fn a_database_is_not_synced_with_itself() {
    let world = World::with("");
    let yaml = world.read("syncline.yaml").replace("sqlite:to.db", "sqlite:./from.db");
    world.write("syncline.yaml", &yaml);
    world.sql("from.db", ROWS);
    for command in ["run", "plan", "verify", "check"] {
        let answer = world.syncline(&[command]);
        let said = format!("{}{}", answer.stdout, answer.stderr);
        assert!(answer.code != 0 && said.contains("source_is_destination"), "{command}: {said}");
    }
}
