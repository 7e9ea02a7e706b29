//! The first minutes: no configuration yet, a wrong one, `init`, `config`, `discover`.

use crate::world::{CANARY, World, syncline_in};

#[test]
fn without_a_configuration_the_first_message_shows_both_ways_in() {
    let empty = tempfile::tempdir().unwrap();
    let answer = syncline_in(empty.path(), &["plan"]).ends_with(2);
    for word in ["error[config_missing]", "syncline init", "syncline demo", "syncline explain config_missing"] {
        assert!(answer.stderr.contains(word), "{word} is not in:\n{}", answer.stderr);
    }
    assert!(answer.stdout.is_empty());
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "a command that failed left files");
}

#[test]
fn a_configuration_that_was_named_and_is_missing_is_named_in_the_error() {
    let answer = World::with("").syncline(&["-c", "other.yaml", "plan"]).ends_with(2);
    assert!(answer.stderr.contains("`other.yaml`"), "{}", answer.stderr);
}

#[test]
fn a_right_configuration_is_called_right_and_leaves_nothing_behind() {
    let world = World::with("");
    let before = world.files();
    let answer = world.syncline(&["config", "check"]).ends_with(0);
    assert!(answer.stdout.contains("syncline.yaml is right"), "{}", answer.stdout);
    let json = world.syncline(&["config", "check", "--json"]).ends_with(0).json();
    assert_eq!((&json["syncs"][0], json["connections"].as_array().map(Vec::len)), (&"pair".into(), Some(3)));
    assert_eq!(world.files(), before);
}

// req: FR-012
#[test]
fn every_mistake_of_a_configuration_is_told_at_once_with_its_place() {
    let world = World::with("    delets: mirror\n    conflicts: source_wins\n");
    let answer = world.syncline(&["config", "check"]).ends_with(2);
    for word in ["error[config_unknown_key]", "delets", "did you mean `deletes`", "syncline.yaml", "syncs.pair"] {
        assert!(answer.stderr.contains(word), "{word} is not in:\n{}", answer.stderr);
    }
}

#[test]
fn the_schema_of_the_configuration_is_json_schema() {
    let schema = World::with("").syncline(&["config", "schema"]).ends_with(0).json();
    assert!(schema["properties"]["syncs"].is_object(), "{schema}");
}

#[test]
fn a_sync_or_connection_that_is_not_there_is_a_usage_error_with_a_suggestion() {
    let world = World::with("");
    let answer = world.syncline(&["plan", "pear"]).ends_with(2);
    assert!(answer.stderr.contains("error[sync_unknown]") && answer.stderr.contains("did you mean `pair`?"), "{}", answer.stderr);
    let answer = world.syncline(&["discover", "form"]).ends_with(2);
    assert!(answer.stderr.contains("error[connection_unknown]"), "{}", answer.stderr);
}

#[test]
fn one_sync_needs_no_name_and_of_two_one_has_to_be_named() {
    let world = World::with("");
    let two = world.read("syncline.yaml") + "  other: { from: from, to: to, streams: { \"*\": {} } }\n";
    world.write("syncline.yaml", &two);
    let answer = world.syncline(&["run"]).ends_with(2);
    assert!(answer.stderr.contains("error[argument_missing]") && answer.stderr.contains("pair, other"), "{}", answer.stderr);
}

// users: U24
#[test]
fn an_unreachable_server_is_told_without_its_password() {
    let world = World::with("");
    let answer = world.syncline(&["discover", "far"]).ends_with(1);
    assert!(answer.stderr.contains("error[connect_refused]") && answer.stderr.contains("where: connection far"), "{}", answer.stderr);
}

#[test]
fn init_writes_a_configuration_that_is_right_and_never_writes_over_one() {
    let world = World::with("");
    world.sql(
        "from.db",
        "CREATE TABLE film (film_id INTEGER PRIMARY KEY, title TEXT NOT NULL); CREATE VIEW titles AS SELECT title FROM film",
    );
    std::fs::remove_file(world.path("syncline.yaml")).unwrap();
    let init = ["init", "--from", "sqlite:from.db", "--to", "sqlite:to.db"];
    world.syncline(&init).ends_with(0);
    let text = world.read("syncline.yaml");
    for word in ["deletes: ignore", "# owns: table", "film: {}", "key film_id", "titles: false"] {
        assert!(text.contains(word), "{word} is not in:\n{text}");
    }
    world.syncline(&["config", "check"]).ends_with(0);
    let answer = world.syncline(&init).ends_with(2);
    assert!(answer.stderr.contains("error[file_exists]"), "{}", answer.stderr);
    assert_eq!(world.read("syncline.yaml"), text);
}

#[test]
fn init_refuses_what_it_cannot_reach_and_writes_nothing() {
    let world = World::with("");
    std::fs::remove_file(world.path("syncline.yaml")).unwrap();
    let before = world.files();
    let url = format!("mysql://app:{CANARY}@127.0.0.1:1/none");
    world.syncline(&["init", "--from", &url, "--to", "sqlite:to.db"]).ends_with(1);
    world.syncline(&["init", "--from", "oracle://x", "--to", "sqlite:to.db"]).ends_with(2);
    assert_eq!(world.files(), before);
}

#[test]
fn discover_lists_columns_and_keys_for_people_and_machines() {
    let world = World::with("");
    world.sql("from.db", "CREATE TABLE film (film_id INTEGER PRIMARY KEY, title TEXT NOT NULL)");
    let answer = world.syncline(&["discover", "from"]).ends_with(0);
    assert!(answer.stdout.contains("film_id") && answer.stdout.contains("title"), "{}", answer.stdout);
    let json = world.syncline(&["discover", "from", "--json"]).ends_with(0).json();
    assert_eq!(json["tables"][0]["name"]["name"], "film");
    world.syncline(&["discover", "from", "--table", "flim"]).ends_with(1);
}

// req: FR-001
#[test]
fn analyze_judges_scripts_for_people_and_machines() {
    let world = World::with("");
    world.write("load.sql", "INSERT INTO lake.film SELECT * FROM shop.film;");
    let text = world.syncline(&["analyze", "load.sql"]).ends_with(0).stdout;
    assert!(text.contains("film") && text.contains("load.sql"), "{text}");
    let json = world.syncline(&["analyze", "load.sql", "--json"]).ends_with(0).json();
    assert_eq!(json["scripts"][0]["language"], "sql");
    assert!(world.syncline(&["analyze", "nowhere.sql"]).ends_with(1).stderr.contains("error[file_missing]"));
}
