//! What grows with the rows of a table stays out of memory: a run over four times as many takes no more of it.

use crate::rig::{Side, World, config};
use crate::sizes::peak_of;

/// How much more the larger of two runs may take, KiB: what allocators and servers' answers vary by.
const MORE_KIB: u64 = 8 * 1024;
const BUDGET_KIB: u64 = 64 * 1024;

/// The peaks of a run over few rows and over four times as many, KiB.
#[track_caller]
fn assert_flat(what: &str, peaks: [u64; 2]) {
    let [few, many] = peaks;
    assert!(many < BUDGET_KIB && many < few + MORE_KIB, "{what}: {few} KiB for few rows, {many} KiB for many");
}

// rule: R25
// case: I3
#[test]
fn deletions_by_the_hundred_thousand_take_no_memory_of_their_own() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    source.execute("CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'stays')");
    let peaks = [30_000, 120_000].map(|rows| {
        dest.execute(&format!(
            "DROP TABLE IF EXISTS child, t; CREATE TABLE t (id int PRIMARY KEY, name text);
             CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t ON DELETE CASCADE); CREATE INDEX ON child (t);
             INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, {rows} + 1) i;
             INSERT INTO child SELECT i, i FROM generate_series(2, {rows} + 1) i"
        ));
        let options = "    deletes: mirror\n    owns: table\n    undo: off\n    streams: { t: { cascade: allow } }\n";
        let world = World::new(&format!("memory: 64MiB\n{}", config(&source, &dest, options)));
        let (report, peak) = peak_of(&world, &["run", "--json", "--approve-deletes"]);
        assert_eq!(report[0]["books"]["deleted"], rows, "{report}");
        assert_eq!(dest.value("SELECT (SELECT count(*) FROM t) || ' ' || (SELECT count(*) FROM child)"), "1 0");
        let state = Side::File(world.path(".syncline/state.db"));
        assert_eq!(state.value("SELECT count(*) FROM run_deletions WHERE done AND reason <> 'cascade'"), rows.to_string());
        assert_eq!(state.value("SELECT count(*) FROM run_deletions WHERE reason = 'cascade'"), "1", "what went along");
        assert_eq!(state.value("SELECT count(*) FROM run_waiting"), "0");
        peak
    });
    assert_flat("deletions", peaks);
}

// rule: R25
// req: FR-010
#[test]
fn ids_by_the_hundred_thousand_are_mapped_and_minted_within_the_budget() {
    let (source, dest) = (Side::mariadb(), Side::postgres());
    let peaks = [10_000, 40_000].map(|rows| {
        source.execute(&format!(
            "DROP TABLE IF EXISTS child; DROP TABLE IF EXISTS t;
             CREATE TABLE t (t_id int PRIMARY KEY, name varchar(20)); INSERT INTO t SELECT seq, concat('row ', seq) FROM seq_1_to_{rows};
             CREATE TABLE child (child_id int PRIMARY KEY, t_id int NOT NULL REFERENCES t (t_id));
             INSERT INTO child SELECT seq, {rows} + 1 - seq FROM seq_1_to_{rows}"
        ));
        dest.execute(&format!(
            "DROP TABLE IF EXISTS child, t, map; CREATE TABLE t (id uuid PRIMARY KEY, name text);
             CREATE TABLE child (id uuid PRIMARY KEY, t_id uuid NOT NULL REFERENCES t (id));
             CREATE TABLE map (legacy_id int PRIMARY KEY, id uuid);
             INSERT INTO map SELECT i, md5(i::text)::uuid FROM generate_series(1, {rows} / 2) i"
        ));
        let streams = "    streams:
      t: { fields: { id: t_id }, ids: { table: map, legacy: legacy_id, new: id } }
      child: { fields: { id: child_id, t_id: t_id }, ids: state }\n";
        let world = World::new(&format!("memory: 16MiB\n{}", config(&source, &dest, streams)));
        let (report, peak) = peak_of(&world, &["run", "--json"]);
        assert_eq!(report[0]["books"]["created"], 2 * rows, "{report}");
        let right = "SELECT count(*) FROM t JOIN child c ON c.t_id = t.id JOIN map m ON m.id = t.id AND t.name = 'row ' || m.legacy_id";
        assert_eq!(dest.value(right), rows.to_string());
        assert_eq!(dest.value("SELECT count(*) FROM t WHERE id = md5(substr(name, 5))::uuid"), (rows / 2).to_string());
        let state = Side::File(world.path(".syncline/state.db"));
        assert_eq!(state.value("SELECT count(*) FROM id_map"), (2 * rows).to_string());
        peak
    });
    assert_flat("ids", peaks);
}

// rule: R24, R25
// case: A6, A10
#[test]
fn lists_that_wait_in_the_state_count_exactly_when_their_transaction_does() {
    for (atomic, at, logged) in [
        ("run", "commit.recorded", 3_000),
        ("run", "commit.intent", 0),
        ("stream", "commit.recorded", 3_000),
        ("stream", "commit.intent", 0),
    ] {
        let (source, dest) = (Side::postgres(), Side::postgres());
        source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
        dest.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 3001)");
        let options = format!("    deletes: mirror\n    owns: table\n    atomic: {atomic}\n");
        let world = World::new(&config(&source, &dest, &options));
        // With parts of their own the deletions are the second.
        let fail = format!("{at}=abort@{}", if atomic == "run" { 1 } else { 2 });
        let dead = world.syncline_with(&["run", "--approve-deletes"], &[("SYNCLINE_FAIL", &fail)]);
        assert_eq!(dead.code, None, "{}", dead.said());
        let left = dest.value("SELECT count(*) FROM t");
        world.let_leases_end();
        let second = world.run(&["--approve-deletes"], 0);
        let state = Side::File(world.path(".syncline/state.db"));
        let of_the_dead = format!("SELECT count(*) FROM run_deletions WHERE done AND run <> '{}'", second["id"].as_str().expect("an id"));
        let what = format!("{atomic}, {at}: {left} rows left");
        assert_eq!(state.value(&of_the_dead), logged.to_string(), "{what}");
        assert_eq!(state.value("SELECT count(*) FROM run_deletions"), "3000", "{what}");
        assert_eq!(
            (state.value("SELECT count(*) FROM run_waiting"), dest.value("SELECT count(*) FROM t")),
            ("0".to_owned(), "1".to_owned())
        );
    }
}

// rule: R25
#[test]
fn a_run_that_sets_more_rows_aside_than_anybody_reads_stops_and_writes_nothing() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    source.execute("CREATE TABLE t (id int PRIMARY KEY, mail text); INSERT INTO t SELECT i, 'no address' FROM generate_series(1, 10001) i");
    let options = "    validate: true\n    streams: { t: { fields: { mail: { from: mail, type: email } } } }\n";
    let world = World::new(&config(&source, &dest, options));
    assert_eq!(world.run(&[], 1)["error"]["code"], "too_many_parked");
    assert_eq!(dest.value("SELECT count(*) FROM pg_tables WHERE tablename = 't'"), "0");
    source.execute("DELETE FROM t WHERE id = 1");
    assert_eq!(world.run(&[], 3)["books"]["parked"], 10_000);
}
