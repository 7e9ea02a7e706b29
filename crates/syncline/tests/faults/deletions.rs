//! Nothing is deleted without proof, and every policy does what it says.

use crate::rig::{Side, World};

const MIRROR: &str = "    deletes: mirror\n    owns: table\n";

fn films(side: &Side, rows: u32) {
    side.execute(&format!(
        "CREATE TABLE film (id int PRIMARY KEY, title text); INSERT INTO film SELECT i, 'Film ' || i FROM generate_series(1, {rows}) i"
    ));
}

fn pair(rows: u32, options: &str) -> (Side, Side, World) {
    let (source, dest) = (Side::postgres(), Side::postgres());
    films(&source, rows);
    let world = World::between(&source, &dest, options);
    world.run(&[], 0);
    (source, dest, world)
}

// case: D9
// users: T10
// rule: R11
#[test]
fn an_emptied_source_deletes_nothing_until_somebody_says_yes() {
    let (source, dest, world) = pair(60, MIRROR);
    source.execute("TRUNCATE film");
    let run = world.run(&[], 3);
    assert_eq!([&run["books"]["deleted"], &run["books"]["held_back"]], [0, 60], "{run:#}");
    assert_eq!(dest.value("SELECT count(*) FROM film"), "60");
    world.run(&["--approve-deletes"], 0);
    assert_eq!(dest.value("SELECT count(*) FROM film"), "0");
}

// case: D10, A9
#[test]
fn a_run_cut_in_its_listing_deletes_nothing() {
    for mode in ["diff", "full"] {
        let (source, dest, world) = pair(60, MIRROR);
        source.execute("DELETE FROM film WHERE id <= 3; UPDATE film SET title = 'New' WHERE id > 50");
        let before = dest.content("film", &["id", "title"], "1 = 1");
        let compared: &[&str] = if mode == "diff" { &["diff.digest", "diff.hashes", "diff.fetch"] } else { &[] };
        let points = compared.iter().chain(&["read.first", "read.batch", "read.end", "stage.deletes"]);
        for (n, point) in points.enumerate() {
            for (action, code) in [("error", Some(1)), ("abort", None)] {
                let fault = format!("{point}={action}");
                let answer = world.syncline_with(&["run", "--mode", mode], &[("SYNCLINE_FAIL", &fault)]);
                assert_eq!(answer.code, code, "{mode} {fault}: {}", answer.said());
                assert_eq!(dest.content("film", &["id", "title"], "1 = 1"), before, "{mode} {fault}");
                world.let_leases_end();
            }
            let state = Side::File(world.path(".syncline/state.db"));
            assert_eq!(state.value("SELECT count(*) FROM run_deletions"), "0", "{mode} {point}");
            assert_eq!(state.value("SELECT count(*) FROM runs"), (2 * n + 3).to_string(), "{mode} {point}");
        }
        let run = world.run(&["--mode", mode], 0);
        assert_eq!([&run["books"]["deleted"], &run["books"]["updated"]], [3, 10], "{mode}");
        assert_eq!(dest.content("film", &["id", "title"], "1 = 1"), source.content("film", &["id", "title"], "1 = 1"), "{mode}");
    }
}

// case: A10
#[test]
fn each_deletion_is_logged_once_though_the_run_died_among_them() {
    let (source, _dest, world) = pair(60, MIRROR);
    source.execute("DELETE FROM film WHERE id <= 3");
    for fault in ["apply.delete=abort", "commit.answer=abort"] {
        assert_eq!(world.syncline_with(&["run"], &[("SYNCLINE_FAIL", fault)]).code, None);
        world.let_leases_end();
    }
    world.run(&[], 0);
    let mut logged = Vec::new();
    for run in world.runs() {
        let shown = world.syncline(&["show", &run["number"].to_string(), "--json"]).ends_with(0).json();
        logged.extend(shown["deletions"].as_array().expect("a list").iter().map(|d| d["key"].to_string()));
    }
    logged.sort();
    assert_eq!(logged, ["[1]", "[2]", "[3]"]);
}

// case: D11
#[test]
fn a_changed_key_is_one_deletion_and_one_new_row() {
    let (source, dest, world) = pair(60, MIRROR);
    source.execute("UPDATE film SET id = 1001 WHERE id = 1");
    let run = world.run(&[], 0);
    assert_eq!([&run["books"]["created"], &run["books"]["deleted"], &run["books"]["updated"]], [1, 1, 0]);
    assert_eq!(source.content("film", &["id", "title"], "1 = 1"), dest.content("film", &["id", "title"], "1 = 1"));
}

// case: D25
// rule: R33
#[test]
fn every_delete_policy_does_what_it_says_and_a_record_that_comes_back_is_alive_again() {
    for (policy, mark, marked) in [
        ("ignore", "", "SELECT count(*) FROM film WHERE id = 1"),
        ("mirror", "", "SELECT 1 - count(*) FROM film WHERE id = 1"),
        ("soft", ", deleted_at timestamptz", "SELECT count(*) FROM film WHERE id = 1 AND deleted_at IS NOT NULL"),
        ("archive", ", archived_at timestamptz", "SELECT count(*) FROM film WHERE id = 1 AND archived_at IS NOT NULL"),
        ("deactivate", ", is_active boolean DEFAULT true", "SELECT count(*) FROM film WHERE id = 1 AND NOT is_active"),
    ] {
        let (source, dest) = (Side::postgres(), Side::postgres());
        films(&source, 20);
        dest.execute(&format!("CREATE TABLE film (id int PRIMARY KEY, title text{mark})"));
        let world = World::between(&source, &dest, &format!("    deletes: {policy}\n    owns: table\n"));
        world.run(&[], 0);
        source.execute("DELETE FROM film WHERE id = 1");
        world.run(&[], 0);
        assert_eq!(dest.value(marked), "1", "{policy}");
        let again = world.run(&[], 0);
        assert_eq!([&again["books"]["updated"], &again["books"]["deleted"]], [0, 0], "{policy}: {again:#}");
        source.execute("INSERT INTO film VALUES (1, 'Film 1')");
        world.run(&[], 0);
        let alive = if policy == "ignore" { "1" } else { "0" };
        assert_eq!(dest.value(marked), alive, "{policy}");
        assert_eq!(dest.value("SELECT count(*) FROM film"), "20", "{policy}");
    }
}

// users: T1
#[test]
fn rows_deleted_at_the_source_are_gone_after_a_run_that_says_so() {
    let (source, dest, world) = pair(20_000, MIRROR);
    source.execute("DELETE FROM film WHERE id <= 1000");
    let run = world.run(&[], 0);
    assert_eq!((&run["status"], &run["books"]["deleted"]), (&"succeeded".into(), &1_000.into()));
    assert_eq!(dest.value("SELECT count(*) FROM film"), "19000");
    // Where the rows stay, the run is no success, says so by its exit code, and lists them.
    source.execute("DELETE FROM film WHERE id <= 15000");
    let run = world.run(&[], 3);
    assert_eq!((&run["status"], &run["books"]["held_back"]), (&"partial".into(), &14_000.into()));
    assert_eq!(dest.value("SELECT count(*) FROM film"), "19000");
    let shown = world.syncline(&["show", "last", "--json", "--limit", "20000"]).ends_with(0).json();
    assert_eq!(shown["deletions"].as_array().expect("a list").len(), 14_000);
}
