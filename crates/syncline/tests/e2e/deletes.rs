//! What becomes of rows that the source no longer has, and what stops a deletion.

use crate::rig::{Side, World, config};
use crate::{book, written};

/// Ten people, and columns for every way to mark one.
fn sides() -> (Side, Side) {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute("CREATE TABLE person (id int PRIMARY KEY, name varchar(40))");
    to.execute("CREATE TABLE person (id int PRIMARY KEY, name text, deleted_at timestamptz, archived_at timestamptz, is_active boolean NOT NULL DEFAULT true)");
    from.execute("INSERT INTO person VALUES (1,'a'),(2,'b'),(3,'c'),(4,'d'),(5,'e'),(6,'f'),(7,'g'),(8,'h'),(9,'i'),(10,'j')");
    (from, to)
}

fn owned(policy: &str) -> String {
    format!("    deletes: {policy}\n    owns: table\n")
}

// req: S0-DELETE, S3-FULL, FR-015, S2-E4
// case: D25
// rule: R33
#[test]
fn every_policy_does_its_own_thing_and_a_row_that_comes_back_is_revived() {
    for (policy, gone) in [
        ("soft", "SELECT count(*) FROM person WHERE deleted_at IS NOT NULL AND id IN (1, 2)"),
        ("archive", "SELECT count(*) FROM person WHERE archived_at IS NOT NULL AND id IN (1, 2)"),
        ("deactivate", "SELECT count(*) FROM person WHERE NOT is_active AND id IN (1, 2)"),
        ("mirror", "SELECT 2 - count(*) FROM person WHERE id IN (1, 2)"),
    ] {
        let (from, to) = sides();
        let world = World::between(&from, &to, &owned(policy));
        world.run(&[], 0);
        from.execute("DELETE FROM person WHERE id IN (1, 2)");
        let run = world.run(&[], 0);
        assert_eq!((book(&run, "deleted"), to.value(gone)), (2, "2".to_owned()), "{policy}: {run}");
        let again = world.run(&[], 0);
        assert_eq!(written(&again), 0, "{policy}: {again}");
        let deletions = world.syncline(&["show", &run["number"].to_string(), "--json"]).ends_with(0).json();
        assert_eq!(deletions["deletions"].as_array().unwrap().len(), 2, "{policy}");
        from.execute("INSERT INTO person VALUES (1, 'a')");
        let run = world.run(&[], 0);
        let book_of_revival = if policy == "mirror" { "created" } else { "updated" };
        assert_eq!((book(&run, book_of_revival), written(&run), to.value(gone)), (1, 1, "1".to_owned()), "{policy}: {run}");
        assert_eq!(written(&world.run(&[], 0)), 0, "{policy}");
    }
}

// req: S0-DELETE
// case: D25
#[test]
fn a_policy_that_changes_deletes_nothing_before_somebody_has_looked() {
    let (from, to) = sides();
    let world = World::between(&from, &to, &owned("soft"));
    world.run(&[], 0);
    from.execute("DELETE FROM person WHERE id < 3");
    assert_eq!(book(&world.run(&[], 0), "deleted"), 2);
    world.configure(&config(&from, &to, &owned("mirror")));
    let plan = world.syncline(&["plan", "--exit-code"]).ends_with(4).stdout;
    assert!(plan.contains("deletes: soft") && plan.contains("deletes: mirror"), "{plan}");
    for _ in 0..2 {
        let run = world.run(&[], 3);
        assert_eq!((book(&run, "held_back"), book(&run, "deleted")), (2, 0), "as long as nobody approves: {run}");
    }
    assert_eq!(to.value("SELECT count(*) FROM person"), "10");
    assert_eq!(book(&world.run(&["--approve-deletes"], 0), "deleted"), 2);
    from.execute("DELETE FROM person WHERE id = 3");
    assert_eq!(book(&world.run(&[], 0), "deleted"), 1, "from then on it is the policy");
}

// case: D25
#[test]
fn ignored_rows_are_counted_as_extra_and_stay() {
    let (from, to) = sides();
    let world = World::between(&from, &to, "");
    world.run(&[], 0);
    from.execute("DELETE FROM person WHERE id < 3");
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "extra"), written(&run)), (2, 0), "{run}");
    assert_eq!(to.value("SELECT count(*) FROM person"), "10");
}

// rule: R33
#[test]
fn the_long_form_names_column_and_value() {
    let (from, to) = sides();
    to.execute("ALTER TABLE person ADD status text NOT NULL DEFAULT 'live'");
    let world = World::between(&from, &to, &owned("{ policy: soft, column: deleted_at, value: \"2001-02-03 04:05:06+00\" }"));
    world.run(&[], 0);
    from.execute("DELETE FROM person WHERE id = 3");
    world.run(&[], 0);
    assert_eq!(
        to.value("SELECT to_char(deleted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM person WHERE id = 3"),
        "2001-02-03 04:05:06"
    );
}

// rule: R11
#[test]
fn an_emptied_small_source_waits_for_approval_and_the_keys_are_listed() {
    let (from, to) = sides();
    let world = World::between(&from, &to, &owned("mirror"));
    world.run(&[], 0);
    from.execute("DELETE FROM person");
    let run = world.run(&[], 3);
    assert_eq!((book(&run, "held_back"), book(&run, "deleted")), (10, 0), "{run}");
    assert_eq!((run["status"].as_str(), to.value("SELECT count(*) FROM person")), (Some("partial"), "10".to_owned()));
    let shown = world.syncline(&["show", "last", "--json"]).ends_with(0).json();
    let held: Vec<_> = shown["deletions"].as_array().unwrap().iter().filter(|d| d["done"] == false).collect();
    assert_eq!(held.len(), 10);
    let run = world.run(&["--approve-deletes"], 0);
    assert_eq!((book(&run, "deleted"), to.value("SELECT count(*) FROM person")), (10, "0".to_owned()));
}

// rule: R11
#[test]
fn what_is_not_deleted_by_a_tripped_guard_is_still_created_and_updated() {
    let (from, to) = sides();
    let world = World::between(&from, &to, &owned("mirror"));
    world.run(&[], 0);
    from.execute("DELETE FROM person WHERE id <= 6; UPDATE person SET name = 'new' WHERE id = 7; INSERT INTO person VALUES (11, 'k')");
    let run = world.run(&[], 3);
    assert_eq!((book(&run, "held_back"), book(&run, "created"), book(&run, "updated")), (6, 1, 1), "{run}");
    assert_eq!(to.value("SELECT count(*) FROM person"), "11");
    let run = world.run(&[], 3);
    assert_eq!((book(&run, "held_back"), written(&run)), (6, 0), "approval is for one run: {run}");
}

// rule: R8
#[test]
fn a_deletion_that_would_cascade_into_a_table_of_others_is_refused_unless_allowed() {
    let (from, to) = sides();
    to.execute("CREATE TABLE badge (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person ON DELETE CASCADE)");
    let world = World::between(&from, &to, &owned("mirror"));
    world.run(&[], 0);
    to.execute("INSERT INTO badge VALUES (100, 1), (101, 1), (102, 5)");
    from.execute("DELETE FROM person WHERE id = 1");
    let answer = world.syncline(&["run", "--json"]);
    assert_ne!(answer.code, Some(0), "{}", answer.said());
    assert_eq!(to.value("SELECT count(*) FROM badge"), "3");
    assert_eq!(to.value("SELECT count(*) FROM person"), "10");
    let world = World::between(&from, &to, &format!("{}    cascade: allow\n", owned("mirror")));
    let plan = world.syncline(&["plan", "--json"]).ends_with(0).json();
    assert!(plan[0]["streams"][0]["cascades"].to_string().contains("badge"), "{plan}");
    assert_eq!(book(&world.run(&[], 0), "deleted"), 1);
    assert_eq!(to.value("SELECT string_agg(id::text, ',') FROM badge"), "102");
}

// rule: R8
#[test]
fn deletions_need_to_know_what_they_own() {
    let (from, to) = sides();
    let answer = World::between(&from, &to, "    deletes: mirror\n").syncline(&["run"]);
    assert!(answer.code != Some(0) && answer.said().contains("owns_missing"), "{}", answer.said());
}

// rule: R8
// users: T1
#[test]
fn a_stream_that_deletes_and_could_own_no_row_is_refused_before_anything_is_read() {
    let (from, to) = (Side::postgres(), Side::postgres());
    from.execute("CREATE TABLE film (id int PRIMARY KEY); INSERT INTO film VALUES (1)");
    for policy in ["mirror", "{ policy: soft, column: gone_at }"] {
        let world = World::between(&from, &to, &format!("    deletes: {policy}\n    owns: mapped\n"));
        let run = world.run(&[], 1);
        assert_eq!(run["error"]["code"], "owns_nothing", "{run:#}");
        assert!(run["error"]["hint"].as_str().is_some_and(|h| h.contains("owns: table")), "{run:#}");
        let check = world.syncline(&["check"]);
        assert!(check.stdout.contains("owns_nothing") || check.stdout.contains("owns no row"), "{}", check.said());
    }
    assert_eq!(to.value("SELECT count(*) FROM pg_tables WHERE tablename = 'film'"), "0");
}
