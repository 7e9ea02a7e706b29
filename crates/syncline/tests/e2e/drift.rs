//! Tables that change their shape between runs: said by `check` and `plan`, decided by policy, never a column that silently stays empty.

use serde_json::json;

use crate::rig::{Side, World};
use crate::{book, written};

fn synced(options: &str) -> (Side, Side, World) {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute("CREATE TABLE person (id int PRIMARY KEY, name varchar(40), age int)");
    from.execute("INSERT INTO person VALUES (1, 'Ann', 30), (2, 'Bob', 40)");
    let world = World::between(&from, &to, options);
    world.run(&[], 0);
    (from, to, world)
}

fn drift_kind(world: &World, stops: bool) -> (String, String) {
    let check = world.syncline(&["check", "--json"]).ends_with(i32::from(stops)).json();
    let drift = check[0]["drift"].as_array().expect("it is there");
    assert_eq!(drift.len(), 1, "{check}");
    assert_eq!(drift[0]["stops"], stops, "{check}");
    (drift[0]["kind"].as_str().expect("it is there").to_owned(), drift[0]["column"].as_str().expect("it is there").to_owned())
}

fn stopped(world: &World) {
    let run = world.run(&[], 1);
    assert_eq!(run["error"]["code"], "schema_drift", "{run}");
}

// req: S2-E2
// case: D13
#[test]
fn a_new_column_stops_is_left_out_or_is_added_as_the_policy_says() {
    let new = "ALTER TABLE person ADD city varchar(40); UPDATE person SET city = 'Cork' WHERE id = 1";
    let (from, _, world) = synced("");
    from.execute(new);
    assert_eq!(drift_kind(&world, true), ("new_column".to_owned(), "city".to_owned()));
    stopped(&world);

    let (from, to, world) = synced("    schema_changes: ignore\n");
    from.execute(new);
    assert_eq!(drift_kind(&world, false), ("new_column".to_owned(), "city".to_owned()));
    world.run(&[], 0);
    assert_eq!(to.value("SELECT count(*) FROM information_schema.columns WHERE table_name = 'person' AND table_schema = 'public'"), "3");

    let (from, to, world) = synced("    schema_changes: add\n");
    from.execute(new);
    let plan = world.syncline(&["plan", "--json"]).ends_with(0).json();
    assert!(plan[0]["streams"][0]["ddl"].to_string().contains("ADD COLUMN"), "{plan}");
    assert_eq!(plan[0]["streams"][0]["drift"][0]["kind"], "new_column");
    assert_eq!(book(&world.run(&[], 0), "updated"), 1);
    assert_eq!(to.content("person", &["id", "city"], "true"), "1|Cork;2|~");
    assert_eq!(written(&world.run(&[], 0)), 0);
}

// req: S2-E2
// case: D14
#[test]
fn a_renamed_column_stops_whatever_the_policy_is_and_goes_on_once_it_is_mapped() {
    for policy in ["stop", "ignore"] {
        let (from, to, world) = synced(&format!("    schema_changes: {policy}\n"));
        from.execute("ALTER TABLE person RENAME COLUMN name TO full_name; UPDATE person SET full_name = 'Anna' WHERE id = 1");
        let check = world.syncline(&["check", "--json"]).ends_with(1).json();
        let renamed = check[0]["drift"].as_array().unwrap().iter().find(|d| d["kind"] == "renamed").unwrap().clone();
        assert_eq!((&renamed["column"], &renamed["stops"]), (&json!("name"), &json!(true)), "{policy}");
        stopped(&world);
        assert_eq!(to.value("SELECT string_agg(name, ',' ORDER BY id) FROM person"), "Ann,Bob");
        let yaml = std::fs::read_to_string(world.path("syncline.yaml")).unwrap();
        world.configure(&yaml.replace("\"*\": {}", "person: { fields: { name: full_name } }"));
        assert_eq!(book(&world.run(&[], 0), "updated"), 1, "{policy}");
        assert_eq!(to.value("SELECT string_agg(name, ',' ORDER BY id) FROM person"), "Anna,Bob");
        assert_eq!(written(&world.run(&[], 0)), 0);
    }
}

// req: S2-E2
// case: D14
#[test]
fn a_column_that_is_gone_stops_until_the_destination_lets_it_go_as_well() {
    for policy in ["stop", "ignore"] {
        let (from, to, world) = synced(&format!("    schema_changes: {policy}\n"));
        from.execute("ALTER TABLE person DROP COLUMN age; INSERT INTO person VALUES (3, 'Cid')");
        assert_eq!(drift_kind(&world, true), ("missing_column".to_owned(), "age".to_owned()), "{policy}");
        stopped(&world);
        assert_eq!(to.value("SELECT count(*) FROM person"), "2", "no row with a silent NULL");
        to.execute("ALTER TABLE person DROP COLUMN age");
        assert_eq!(book(&world.run(&[], 0), "created"), 1, "{policy}");
    }
}

// req: S2-E2
// case: D14
#[test]
fn a_retyped_column_stops_or_is_checked_value_by_value() {
    let (from, _, world) = synced("");
    from.execute("ALTER TABLE person MODIFY age bigint");
    assert_eq!(drift_kind(&world, true), ("retyped".to_owned(), "age".to_owned()));
    stopped(&world);
    let (from, to, world) = synced("    schema_changes: ignore\n");
    from.execute(
        "ALTER TABLE person MODIFY age bigint; UPDATE person SET age = 9000000000 WHERE id = 1; UPDATE person SET age = 41 WHERE id = 2",
    );
    let run = world.run(&[], 3);
    assert_eq!((book(&run, "updated"), book(&run, "parked")), (1, 1), "{run}");
    assert_eq!(world.parked(), [("person".to_owned(), "[1]".to_owned(), "value_out_of_range".to_owned())]);
    assert_eq!(to.content("person", &["id", "age"], "true"), "1|30;2|41");
}

// rule: R34
#[test]
fn a_column_that_the_destination_computes_by_itself_is_never_left_out_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    for to in [Side::postgres(), Side::mariadb(), Side::sqlite(folder.path(), "to.db")] {
        let from = Side::postgres();
        from.execute("CREATE TABLE g (id int PRIMARY KEY, a int, s int); INSERT INTO g VALUES (1, 2, 999)");
        to.execute("CREATE TABLE g (id int PRIMARY KEY, a int, s int GENERATED ALWAYS AS (a * 2) STORED)");
        let world = World::between(&from, &to, "");
        assert_eq!(drift_kind(&world, false), ("not_written".to_owned(), "s".to_owned()), "{}", to.kind());
        let run = world.run(&[], 0);
        assert!(run["notes"].to_string().contains("computes column `s`"), "{}: {run}", to.kind());
        assert_eq!(to.value("SELECT s FROM g"), "4", "{}", to.kind());
        let meant = World::between(&from, &to, "    streams: { g: { fields_only: true, fields: { id: id, a: a } } }\n");
        let run = meant.run(&[], 0);
        assert_eq!(run["notes"], json!([]), "{}: {run}", to.kind());
    }
}
