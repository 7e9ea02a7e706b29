//! `plan`: what would happen, and nothing does; a plan in a file is applied exactly or not at all.

use serde_json::json;

use crate::book;
use crate::rig::{Side, World};

const PERSON: &str = "CREATE TABLE person (id int PRIMARY KEY, name varchar(40), age int);
    INSERT INTO person VALUES (1, 'Ann', 30), (2, 'Bob', 40), (3, 'Cid', 50), (4, 'Dot', 60), (5, 'Eve', 70), (6, 'Fay', 80);";

fn synced() -> (Side, Side, World) {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute(PERSON);
    let world = World::between(&from, &to, "    deletes: mirror\n    owns: table\n");
    world.run(&[], 0);
    from.execute("UPDATE person SET age = 31 WHERE id = 1; INSERT INTO person VALUES (7, 'Gus', NULL); DELETE FROM person WHERE id = 6");
    (from, to, world)
}

/// Tables, row versions and sequences of a PostgreSQL database, as it sees them itself.
fn everything(to: &Side) -> String {
    let rows = to.value("SELECT string_agg(ctid::text || xmin::text || p::text, ';' ORDER BY id) FROM person p");
    let tables = "SELECT string_agg(concat(c.oid, c.relname, c.relkind, c.relfilenode), ';' ORDER BY c.oid) FROM pg_class c WHERE relnamespace = 'public'::regnamespace";
    format!("{rows} {}", to.value(tables))
}

fn files(world: &World) -> Vec<(String, Vec<u8>)> {
    let state = world.path(".syncline/state.db");
    let read = rusqlite::Connection::open(&state).expect("it is there");
    let mut tables = read.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1").expect("it is there");
    let names: Vec<String> = tables.query_map([], |r| r.get(0)).expect("it is there").map(Result::unwrap).collect();
    names
        .into_iter()
        .map(|n| {
            let count: i64 = read.query_row(&format!("SELECT count(*) FROM \"{n}\""), [], |r| r.get(0)).expect("it is there");
            (n, count.to_be_bytes().to_vec())
        })
        .collect()
}

// req: FR-012, S2-E2
// case: Q8
#[test]
fn a_plan_shows_fields_before_and_after_and_writes_nothing_anywhere() {
    let (from, to, world) = synced();
    let before = (everything(&to), files(&world), from.value("SELECT group_concat(id, name, coalesce(age, '-')) FROM person"));
    let plan = world.syncline(&["plan", "--json", "--exit-code"]).ends_with(4).json();
    let stream = &plan[0]["streams"][0];
    assert_eq!((&stream["creates"], &stream["updates"], &stream["deletes"]), (&json!(1), &json!(1), &json!(1)));
    let changes = plan[0]["changes"].as_array().unwrap();
    let of = |kind: &str| changes.iter().find(|c| c["kind"] == kind).unwrap_or_else(|| panic!("no {kind} in {plan}"));
    let update = of("update");
    assert_eq!(update["key"], json!([1]));
    let fields = update["fields"].as_array().unwrap();
    assert_eq!((fields.len(), &fields[0]["field"]), (1, &json!("age")));
    assert_eq!((&fields[0]["before"], &fields[0]["after"]), (&json!(30), &json!(31)));
    assert_eq!((&of("create")["key"], &of("delete")["key"]), (&json!([7]), &json!([6])));
    let after = (everything(&to), files(&world), from.value("SELECT group_concat(id, name, coalesce(age, '-')) FROM person"));
    assert_eq!(before, after);
}

// case: Q8
#[test]
fn a_plan_for_an_empty_destination_shows_the_ddl_and_makes_nothing() {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute(PERSON);
    let world = World::between(&from, &to, "");
    let lsn = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    let plan = world.syncline(&["plan", "--json"]).ends_with(0).json();
    let ddl = plan[0]["streams"][0]["ddl"].to_string();
    assert!(ddl.contains("CREATE TABLE") && ddl.contains("PRIMARY KEY"), "{ddl}");
    assert_eq!(plan[0]["streams"][0]["creates"], 6);
    assert_eq!(to.value(lsn), "0");
    world.syncline(&["plan", "--exit-code"]).ends_with(4);
    assert!(!world.path(".syncline/state.db").exists(), "a plan leaves no state behind");
}

// rule: R36
#[test]
fn a_plan_file_is_applied_exactly_and_rows_that_are_not_in_it_stay() {
    let (from, to, world) = synced();
    world.syncline(&["plan", "--out", "plan.json"]).ends_with(0);
    from.execute("UPDATE person SET age = 41 WHERE id = 2; INSERT INTO person VALUES (8, 'Hal', 1)");
    let run = world.run(&["--plan", "plan.json"], 0);
    assert_eq!((book(&run, "created"), book(&run, "updated"), book(&run, "deleted")), (1, 1, 1), "{run}");
    assert_eq!(to.content("person", &["id", "age"], "true"), "1|31;2|40;3|50;4|60;5|70;7|~");
    world.run(&[], 0);
    assert_eq!(to.content("person", &["id", "age"], "true"), "1|31;2|41;3|50;4|60;5|70;7|~;8|1");
}

// rule: R36
#[test]
fn a_plan_file_is_refused_whole_when_one_of_its_rows_changed_on_either_side() {
    for at_source in [true, false] {
        for change in
            ["UPDATE person SET name = 'Moved' WHERE id = 1", "INSERT INTO person VALUES (6, 'Back', 1)", "DELETE FROM person WHERE id = 1"]
        {
            let (from, to, world) = synced();
            world.syncline(&["plan", "--out", "plan.json"]).ends_with(0);
            let (side, change) = match (at_source, change.starts_with("INSERT")) {
                (true, _) => (&from, change),
                // There row 6 still is.
                (false, true) => (&to, "INSERT INTO person VALUES (7, 'First', 1)"),
                (false, false) => (&to, change),
            };
            side.execute(change);
            let before = everything(&to);
            let answer = world.syncline(&["run", "--plan", "plan.json"]).ends_with(1);
            assert!(answer.said().contains("plan_stale"), "{at_source} {change}: {}", answer.said());
            assert_eq!(everything(&to), before, "{at_source} {change}");
        }
    }
}

// req: FR-012
// rule: R21
#[test]
fn a_plan_foresees_the_rows_that_the_destination_cannot_hold() {
    let folder = tempfile::tempdir().unwrap();
    for to in [Side::postgres(), Side::mariadb(), Side::sqlite(folder.path(), "to.db")] {
        let from = Side::postgres();
        from.execute(
            "CREATE TABLE t (id int PRIMARY KEY, n bigint, word text, day timestamp);
             INSERT INTO t VALUES (1, 1, 'a', '2024-01-01'), (2, 99999999999, 'b', NULL), (3, 3, 'too long a word', NULL), (4, 4, 'd', NULL), (5, 5, 'e', 'infinity')",
        );
        match to.kind() {
            "sqlite" => to.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n TINYINT, word VARCHAR(5), day DATETIME)"),
            "mysql" => to.execute("CREATE TABLE t (id int PRIMARY KEY, n int, word varchar(5), day datetime(6))"),
            _ => to.execute("CREATE TABLE t (id int PRIMARY KEY, n int, word varchar(5), day timestamp)"),
        }
        let world = World::between(&from, &to, "    schema_changes: ignore\n");
        let planned = || {
            let plan = world.syncline(&["plan", "--json"]).ends_with(0).json();
            let stream = plan[0]["streams"][0].clone();
            (stream["creates"].clone(), stream["updates"].clone(), stream["parked"].clone())
        };
        let before = planned();
        let answer = world.syncline(&["run", "--json"]);
        let run = &answer.json()[0];
        let by_code = run["streams"][0]["parked_by_code"].clone();
        assert!(by_code.as_array().is_some_and(|l| !l.is_empty()), "{}: {}", to.kind(), answer.said());
        assert_eq!(before, (run["books"]["created"].clone(), json!(0), by_code.clone()), "{}: {}", to.kind(), answer.said());
        assert_eq!(planned(), (json!(0), json!(0), by_code), "{}", to.kind());
    }
}
