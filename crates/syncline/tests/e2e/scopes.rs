//! Tenants: a filtered sync sees, compares and deletes within its own part of the destination, and nowhere else.

use serde_json::json;

use crate::rig::{Side, World};
use crate::{book, written};

const HOSTILE: &str = "o'brien\"; DROP TABLE member; --";

fn sides() -> (Side, Side) {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute("CREATE TABLE member (id int PRIMARY KEY, club varchar(60) NOT NULL, name varchar(40))");
    to.execute("CREATE TABLE member (id int PRIMARY KEY, club text NOT NULL, name text)");
    from.execute("INSERT INTO member VALUES (1, 'north', 'Ann'), (2, 'north', 'Bob'), (3, 'north', 'Cid'), (11, 'south', 'Zoe')");
    (from, to)
}

fn content(to: &Side) -> String {
    to.content("member", &["id", "club", "name"], "true")
}

// rule: R7
#[test]
fn a_mirror_of_one_tenant_never_touches_the_rows_of_another() {
    let (from, to) = sides();
    to.execute("INSERT INTO member VALUES (21, 'south', 'not ours'), (22, 'west', 'nor this')");
    let options = "    deletes: mirror\n    owns: table\n    streams:\n      member: { where: \"club = 'north'\" }\n";
    let world = World::between(&from, &to, options);
    assert_eq!(book(&world.run(&[], 0), "created"), 3);
    from.execute("DELETE FROM member WHERE id = 2");
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "deleted"), book(&run, "extra")), (1, 0), "{run}");
    assert_eq!(content(&to), "1|north|Ann;3|north|Cid;21|south|not ours;22|west|nor this");
    assert_eq!(written(&world.run(&[], 0)), 0);
}

// rule: R7
#[test]
fn a_filter_that_cannot_be_carried_over_has_to_be_said_for_the_destination() {
    let (from, to) = sides();
    let options = |extra: &str| {
        format!("    deletes: mirror\n    owns: table\n    streams:\n      member: {{ where: \"club LIKE 'nor%'\"{extra} }}\n")
    };
    let world = World::between(&from, &to, &options(""));
    assert!(world.syncline(&["run"]).said().contains("where_to_missing"));
    to.execute("INSERT INTO member VALUES (21, 'south', 'not ours')");
    let world = World::between(&from, &to, &options(", where_to: \"club ~ '^nor'\""));
    world.run(&[], 0);
    from.execute("DELETE FROM member WHERE id = 1");
    assert_eq!(book(&world.run(&[], 0), "deleted"), 1);
    assert_eq!(content(&to), "2|north|Bob;3|north|Cid;21|south|not ours");
}

// rule: R7
#[test]
fn scopes_share_a_table_each_with_its_own_run_and_a_hostile_name_is_only_a_value() {
    let (from, to) = sides();
    from.execute(&format!("INSERT INTO member VALUES (31, '{}', 'Eve')", HOSTILE.replace('\'', "''")));
    let options = "    deletes: mirror\n    owns: table\n    scopes: { query: \"SELECT DISTINCT club FROM member ORDER BY club\" }\n    streams:\n      member: { where: \"club = {{ scope }}\" }\n";
    let world = World::between(&from, &to, options);
    let runs = world.syncline(&["run", "--json"]).ends_with(0).json();
    let by_scope: Vec<(&str, u64)> = runs.as_array().unwrap().iter().map(|r| (r["scope"].as_str().unwrap(), book(r, "created"))).collect();
    assert_eq!(by_scope, [("north", 3), (HOSTILE, 1), ("south", 1)]);
    from.execute("DELETE FROM member WHERE id IN (1, 11); UPDATE member SET name = 'Eva' WHERE id = 31");
    from.execute("INSERT INTO member VALUES (12, 'south', 'Yan')");
    let one = world.syncline(&["run", "--scope", "south", "--json"]).ends_with(0).json();
    assert_eq!((one.as_array().unwrap().len(), &one[0]["scope"]), (1, &json!("south")));
    assert_eq!(to.value("SELECT string_agg(id::text, ',' ORDER BY id) FROM member"), "1,2,3,12,31");
    let two = world.syncline(&["run", "--scope", HOSTILE, "--json"]).ends_with(0).json();
    assert_eq!(book(&two[0], "updated"), 1);
    world.syncline(&["run"]).ends_with(0);
    assert_eq!(to.value("SELECT string_agg(id || name, ',' ORDER BY id) FROM member"), "2Bob,3Cid,12Yan,31Eva");
}

// rule: R7
#[test]
fn a_derived_condition_takes_no_row_of_another_tenant_whatever_the_collation_calls_equal() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["mysql", "postgres", "sqlite"] {
        let from = Side::postgres();
        from.execute("CREATE TABLE t (id int PRIMARY KEY, tenant text); INSERT INTO t SELECT i, 'acme' FROM generate_series(1, 30) i");
        let to = match kind {
            "mysql" => Side::mariadb(),
            "postgres" => Side::postgres(),
            _ => Side::sqlite(folder.path(), "to.db"),
        };
        to.execute(match kind {
            "mysql" => "CREATE TABLE t (id int PRIMARY KEY, tenant varchar(20)) COLLATE utf8mb4_general_ci",
            "postgres" => "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE t (id int PRIMARY KEY, tenant text COLLATE ci)",
            _ => "CREATE TABLE t (id INTEGER PRIMARY KEY, tenant TEXT COLLATE NOCASE)",
        });
        to.execute("INSERT INTO t VALUES (91, 'ACME'), (92, 'acme '), (93, 'Acme'), (94, 'acme')");
        let world =
            World::between(&from, &to, "    deletes: mirror\n    owns: table\n    streams:\n      t: { where: \"tenant = 'acme'\" }\n");
        let run = world.run(&[], 0);
        assert_eq!((book(&run, "created"), book(&run, "deleted")), (30, 1), "{kind}: {run}");
        assert_eq!(to.value("SELECT count(*) FROM t WHERE id IN (91, 92, 93)"), "3", "{kind}");
        world.syncline(&["verify"]).ends_with(0);
    }
}

// rule: R7
#[test]
fn a_condition_that_both_sides_compare_by_one_collation_takes_the_same_rows_there() {
    let (from, to) = (Side::mariadb(), Side::mariadb());
    from.execute("CREATE TABLE t (id int PRIMARY KEY, tenant varchar(20)) COLLATE utf8mb4_general_ci");
    from.execute("INSERT INTO t VALUES (1, 'acme'), (2, 'ACME'), (3, 'other'), (4, 'acme'), (5, 'acme')");
    let world = World::between(&from, &to, "    deletes: mirror\n    owns: table\n    streams:\n      t: { where: \"tenant = 'acme'\" }\n");
    assert_eq!(book(&world.run(&[], 0), "created"), 4);
    world.syncline(&["verify"]).ends_with(0);
    from.execute("DELETE FROM t WHERE id = 2");
    assert_eq!(book(&world.run(&[], 0), "deleted"), 1);
}
