//! What a run tells: books, errors by name, parked rows with their field, history to take away, audit, log files, exit codes.

use serde_json::{Value as Json, json};

use crate::rig::{Side, World, config};

const MEMBER: &str = "CREATE TABLE member (id int PRIMARY KEY, name varchar(40), email varchar(80), born varchar(20));
    INSERT INTO member VALUES (1, 'Ann', 'ann@x.org', '2001-02-03'), (2, 'Bob', 'no mail', '2001-02-03'), (3, 'Cid', 'cid@x.org', '31/12/1999'), (4, 'Dot', NULL, NULL);";

const VALIDATED: &str = "    validate: true\n    streams:\n      member: { fields: { email: { from: email, type: email }, born: { from: born, type: date } } }\n";

fn sides() -> (Side, Side) {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute(MEMBER);
    (from, to)
}

// req: S0-ERRORS, X6, X7
#[test]
fn a_value_that_is_not_what_its_field_holds_parks_its_row_and_names_the_field() {
    let (from, to) = sides();
    let world = World::between(&from, &to, VALIDATED);
    let run = world.run(&[], 3);
    assert_eq!(
        (run["status"].as_str(), &run["books"]["created"], &run["books"]["parked"]),
        (Some("partial"), &json!(2), &json!(2)),
        "{run}"
    );
    let parked = world.syncline(&["parked", "--json"]).ends_with(0).json();
    let of = |key: i64| parked.as_array().unwrap().iter().find(|p| p["key"] == json!([key])).unwrap();
    assert_eq!((&of(2)["column"], &of(2)["code"]), (&json!("email"), &json!("invalid_email")));
    assert_eq!((&of(3)["column"], &of(3)["code"]), (&json!("born"), &json!("invalid_date")));
    assert_eq!(to.value("SELECT string_agg(id::text, ',' ORDER BY id) FROM member"), "1,4");
}

// req: S0-ERRORS
#[test]
fn a_server_that_cannot_be_reached_a_wrong_password_and_a_missing_column_are_three_errors() {
    let (from, to) = sides();
    let database = to.database();
    let closed = World::through((from.kind(), &from.url()), ("postgres", "postgres://u:hunter2@127.0.0.1:1/x"), "");
    let wrong = World::through((from.kind(), &from.url()), ("postgres", &database.url_as("syncline", "hunter2")), "");
    let column = World::between(&from, &to, "    streams: { member: { key: [nmae] } }\n");
    for (world, code) in [(&closed, "connect_refused"), (&wrong, "auth_failed"), (&column, "column_missing")] {
        let answer = world.syncline(&["run"]);
        assert!(answer.code == Some(1) || answer.code == Some(2), "{}", answer.said());
        assert!(answer.said().contains(code), "{code}: {}", answer.said());
        assert!(!answer.said().contains("hunter2"), "{}", answer.said());
        world.syncline(&["explain", code]).ends_with(0);
    }
    assert!(column.syncline(&["run"]).said().contains("did you mean `name`?"));
}

// req: FR-009
#[test]
fn strict_rows_roll_the_whole_run_back() {
    let (from, to) = sides();
    let world = World::between(&from, &to, &format!("    rows: strict\n{VALIDATED}"));
    let run = world.run(&[], 1);
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("row_refused")), "{run}");
    let there = if to.tables().contains(&"member".to_owned()) { to.value("SELECT count(*) FROM member") } else { "0".to_owned() };
    assert_eq!(there, "0");
}

// req: FR-009
#[test]
fn a_strict_stream_is_strict_for_itself_and_leaves_the_others_to_their_own_rule() {
    let (from, to) = sides();
    from.execute("CREATE TABLE dues (id int PRIMARY KEY, euro int); INSERT INTO dues VALUES (1, 10), (2, -1)");
    let made = "CREATE TABLE member (id int PRIMARY KEY, name text, email text, born text);
        CREATE TABLE dues (id int PRIMARY KEY, euro int CHECK (euro >= 0))";
    to.execute(made);
    let streams = |strict: &str, other: &str| format!("    streams: {{ {strict}: {{ rows: strict }}, {other}: {{}} }}\n");
    let run = World::between(&from, &to, &streams("member", "dues")).run(&[], 3);
    assert_eq!((&run["books"]["created"], &run["books"]["parked"]), (&json!(5), &json!(1)), "{run}");
    assert_eq!(to.value("SELECT count(*) FROM dues"), "1");
    from.execute("UPDATE dues SET euro = 11 WHERE id = 1");
    let run = World::between(&from, &to, &streams("dues", "member")).run(&[], 1);
    assert_eq!(run["error"]["code"], "check_violated", "{run}");
    assert_eq!(to.value("SELECT euro FROM dues WHERE id = 1"), "10");
}

// req: FR-006, S3-RESULT
// rule: R27
#[test]
fn the_report_of_a_run_balances_per_stream_and_says_what_failed_by_code() {
    let (from, to) = sides();
    let world = World::between(&from, &to, VALIDATED);
    world.run(&[], 3);
    let shown = world.syncline(&["show", "last", "--json"]).ends_with(0).json();
    let run = if shown["run"].is_object() { &shown["run"] } else { &shown };
    let stream = &run["streams"][0];
    let book = |name: &str| stream["books"][name].as_u64().unwrap();
    assert_eq!(book("in_scope"), book("equal_by_digest") + book("fetched"));
    assert_eq!(book("fetched"), ["created", "updated", "unchanged", "kept", "merged", "parked"].iter().map(|b| book(b)).sum::<u64>());
    assert_eq!(stream["parked_by_code"], json!([{ "code": "invalid_date", "rows": 1 }, { "code": "invalid_email", "rows": 1 }]));
    assert!(stream["duration_ms"].is_u64());
    assert!(world.syncline(&["show", "last"]).ends_with(0).stdout.contains("50"), "the success rate of 2 in 4");
}

// req: S2-E2, S0-TRUTH
#[test]
fn a_table_that_vanishes_from_a_pattern_is_no_success_until_somebody_says_so() {
    let (from, to) = sides();
    from.execute("CREATE TABLE dues (id int PRIMARY KEY, euro int); INSERT INTO dues VALUES (1, 10)");
    let world = World::between(&from, &to, "");
    world.run(&[], 0);
    from.execute("DROP TABLE dues; UPDATE member SET name = 'Anna' WHERE id = 1");
    for command in [&["run", "--json"][..], &["plan", "--json"], &["verify", "--json"]] {
        let said = world.syncline(command).said();
        assert!(said.contains("table_missing") && said.contains("`dues`"), "{said}");
    }
    assert_ne!(to.value("SELECT name FROM member WHERE id = 1"), "Anna", "nothing is half done");
    assert_eq!(world.run(&["--stream", "member"], 0)["books"]["updated"], 1);
    world.configure(&config(&from, &to, "    streams: { '*': {}, dues: false }\n"));
    world.run(&[], 0);
    from.execute("DROP TABLE member");
    world.configure(&config(&from, &to, "    streams: { '*': {}, dues: false, member: false }\n"));
    let run = world.run(&[], 1);
    assert_eq!(run["error"]["code"], "streams_missing", "{run}");
}

// req: S4-008
#[test]
fn history_is_there_per_run_and_over_a_range_in_three_forms() {
    let (from, to) = sides();
    let world = World::between(&from, &to, "    edits: keep\n");
    world.run(&[], 0);
    from.execute("UPDATE member SET name = 'Theirs' WHERE id = 1");
    to.execute("UPDATE member SET name = 'Ours' WHERE id = 1");
    let run = world.run(&[], 0);
    assert!(run["started_at"].is_string() && run["completed_at"].is_string() && run["kind"] == "manual", "{run}");
    let one = world.syncline(&["export", "last", "--format", "json"]).ends_with(0);
    let text = one.json().to_string();
    assert!(text.contains("Theirs") && text.contains("Ours") && text.contains("source_wins"), "{text}");
    let lines = world.syncline(&["export", "--since", "1h", "--format", "jsonl"]).ends_with(0);
    let records: Vec<Json> = lines.stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(records.len() >= 2, "{}", lines.said());
    let csv = world.syncline(&["export", "--since", "1h", "--format", "csv"]).ends_with(0);
    assert!(csv.stdout.lines().count() >= 3, "{}", csv.said());
}

// req: FR-007, FR-014
#[test]
fn commands_that_write_are_audited_and_logged_with_their_run_and_without_values() {
    let (from, to) = sides();
    let world = World::between(&from, &to, "");
    world.run(&[], 0);
    from.execute("UPDATE member SET name = 'Anna' WHERE id = 1");
    let run = world.run(&[], 0);
    world.syncline(&["undo", "last"]).ends_with(0);
    world.syncline(&["plan"]).ends_with(0);
    world.syncline(&["verify", "--repair"]).ends_with(0);
    from.execute("ALTER TABLE member DROP COLUMN email");
    world.run(&[], 1);
    world.syncline(&["parked", "--discard", "--all"]).ends_with(0);
    let audit = world.syncline(&["audit", "--json"]).ends_with(0).json();
    let actions: Vec<&str> = audit.as_array().unwrap().iter().map(|l| l["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        ["parked.discard", "run", "verify.repair", "verify", "undo", "run", "run"],
        "all that write, newest first; no plan"
    );
    assert!(audit.as_array().unwrap().iter().all(|l| l["actor"].as_str().unwrap().contains('@') && l["at"].is_string()), "{audit}");
    assert_eq!((&audit[4]["detail"]["of_run"], &audit[5]["detail"]["run"]), (&run["id"], &run["id"]), "{audit}");
    assert!(world.syncline(&["audit", "--since", "1h"]).ends_with(0).stdout.contains("undo"));
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(world.path("logs")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name.starts_with("sync-") && name.ends_with(".jsonl"), "{name}");
        lines.extend(std::fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str::<Json>(l).unwrap()));
    }
    assert!(lines.iter().any(|l| l["run"] == run["id"]), "{lines:?}");
    let text = format!("{lines:?}");
    assert!(!text.contains("ann@x.org") && !text.contains("secret"), "{text}");
}
