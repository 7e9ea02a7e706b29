//! What people and hosts get wrong: each is said by code, with what, where, why and what to do, and nothing is lost or half done.

use syncline_testkit::Mariadb;

use crate::rig::{Answer, Side, World, wait};
use crate::{book, written};

const FILMS: &str = "CREATE TABLE film (id int PRIMARY KEY, title varchar(40)); INSERT INTO film VALUES (1, 'a'), (2, 'b')";

fn sides() -> (Side, Side) {
    let (from, to) = (Side::postgres(), Side::postgres());
    from.execute(FILMS);
    (from, to)
}

/// The failure is told by this code, names all of these, says what to do, and where to read more.
#[track_caller]
fn said(answer: &Answer, code: &str, names: &[&str]) {
    let text = answer.said();
    assert!(answer.stderr.contains(&format!("error[{code}]")) || answer.stdout.contains(code), "{code}: {text}");
    for name in names {
        assert!(text.contains(name), "`{name}` is not named: {text}");
    }
    assert!(text.contains(&format!("syncline explain {code}")), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("panicked"), "{text}");
}

// req: S0-ERRORS
// users: U24
// case: B1
#[test]
fn a_server_that_is_not_there_a_wrong_password_and_an_unknown_database_name_their_connection() {
    let (from, to) = sides();
    let database = to.database();
    let urls = [
        ("postgres", "postgres://u:hunter2@127.0.0.1:1/x".to_owned(), "connect_refused"),
        ("mysql", "mysql://u:hunter2@127.0.0.1:1/x".to_owned(), "connect_refused"),
        ("postgres", database.url_as("syncline", "hunter2"), "auth_failed"),
        ("postgres", database.url().replace(database.name(), "no_such_database"), "database_missing"),
    ];
    for (kind, url, code) in urls {
        let world = World::through((from.kind(), &from.url()), (kind, &url), "");
        for command in ["run", "plan", "verify"] {
            let answer = world.syncline(&[command]).ends_with(1);
            said(&answer, code, &["do:", "`to`"]);
        }
    }
    assert_eq!(from.content("film", &["id", "title"], "true"), "1|a;2|b");
}

// req: S0-ERRORS
// case: C19
#[test]
fn a_table_without_rights_is_named_with_the_grant_that_it_needs_and_nothing_is_written() {
    let (from, to) = sides();
    from.execute("CREATE TABLE payroll (id int PRIMARY KEY); INSERT INTO payroll VALUES (1)");
    let (database, role) = (from.database(), format!("reader_of_{}", from.database().name()));
    from.execute_as_admin(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'hunter2'; GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON film TO {role}"
    ));
    let world = World::through(("postgres", &database.url_as(&role, "hunter2")), (to.kind(), &to.url()), "");
    let answer = world.syncline(&["run"]).ends_with(1);
    said(&answer, "rights_missing", &["do:", "payroll", "GRANT SELECT"]);
    assert!(to.tables().iter().all(|t| t.starts_with("syncline_")), "nothing is half done");
    from.execute(&format!("GRANT SELECT ON payroll TO {role}"));
    assert_eq!(book(&world.run(&[], 0), "created"), 3);
}

// req: FR-010, S0-ERRORS
// case: D24
#[test]
fn a_mapping_that_runs_in_a_circle_stops_with_its_ids() {
    let (from, to) = sides();
    to.execute(
        "CREATE TABLE film (id int PRIMARY KEY, title text); CREATE TABLE mapping (legacy int PRIMARY KEY, id int NOT NULL);
         INSERT INTO mapping VALUES (1, 2), (2, 1)",
    );
    let ids = "{ table: mapping, legacy: legacy, new: id, mint: false }";
    let world = World::between(&from, &to, &format!("    streams: {{ film: {{ ids: {ids} }} }}\n"));
    for command in ["run", "plan"] {
        said(&world.syncline(&[command]).ends_with(1), "id_mapping_cyclic", &["1 → 2", "2 → 1", "`film`", "do:"]);
    }
    assert_eq!(to.value("SELECT count(*) FROM film"), "0");
}

// req: FR-010
#[test]
fn ids_on_a_key_of_two_columns_and_beside_kept_edits_are_refused_with_what_to_do_instead() {
    let (from, to) = sides();
    from.execute("CREATE TABLE pair_of (a int, b int, PRIMARY KEY (a, b))");
    let streams = "    streams: { pair_of: { ids: state } }\n";
    let answer = World::between(&from, &to, streams).syncline(&["run"]).ends_with(1);
    said(&answer, "config_invalid", &["(a, b)", "pair_of", "do:"]);
    let answer = World::between(&from, &to, "    edits: keep\n    streams: { film: { ids: state } }\n").syncline(&["run"]).ends_with(1);
    said(&answer, "config_invalid", &["film", "`edits: keep`", "do:"]);
}

// req: S4-003
#[test]
fn an_unknown_strategy_is_refused_at_its_line_with_the_known_ones() {
    let (from, to) = sides();
    let answer = World::between(&from, &to, "    edits: keep\n    conflicts: newest_wins\n").syncline(&["run"]).ends_with(2);
    said(&answer, "strategy_unknown", &["syncline.yaml:", "newest_wins", "source_wins", "do:"]);
}

// case: G13
#[test]
fn a_damaged_state_stops_everything_until_it_is_put_right_and_is_left_as_it_is() {
    let (from, to) = sides();
    let world = World::between(&from, &to, "");
    world.run(&[], 0);
    let state = world.path(".syncline/state.db");
    let good = std::fs::read(&state).unwrap();
    let bad: Vec<u8> = good.iter().map(|b| b ^ 0x55).collect();
    std::fs::write(&state, &bad).unwrap();
    from.execute("UPDATE film SET title = 'new' WHERE id = 1");
    for command in ["run", "plan", "status", "parked"] {
        said(&world.syncline(&[command]).ends_with(1), "state_corrupt", &["state.db", "do:"]);
    }
    assert_eq!((to.value("SELECT title FROM film WHERE id = 1"), std::fs::read(&state).unwrap()), ("a".to_owned(), bad));
    std::fs::write(&state, &good).unwrap();
    assert_eq!(book(&world.run(&[], 0), "updated"), 1);
}

// case: C3
// req: S0-ERRORS
#[test]
fn a_destination_that_only_reads_says_so_and_takes_the_rows_once_it_writes_again() {
    let server = Mariadb::private();
    let (from, to) = (Side::postgres(), Side::Server(wait(server.database())));
    from.execute(FILMS);
    let world = World::between(&from, &to, "");
    world.run(&[], 0);
    from.execute("UPDATE film SET title = 'new' WHERE id = 1");
    to.execute_as_admin("SET GLOBAL read_only = 1");
    let answer = world.syncline(&["run"]).ends_with(1);
    said(&answer, "read_only", &["do:", "primary"]);
    assert_eq!(to.value("SELECT title FROM film WHERE id = 1"), "a");
    to.execute_as_admin("SET GLOBAL read_only = 0");
    assert_eq!(book(&world.run(&[], 0), "updated"), 1);
    assert_eq!(written(&world.run(&[], 0)), 0);
}

// req: S0-ERRORS
#[test]
fn a_file_that_is_not_there_or_no_database_is_said_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let to = Side::postgres();
    let missing = folder.path().join("none.db").display().to_string();
    let world = World::through(("sqlite", &format!("sqlite:{missing}")), (to.kind(), &to.url()), "");
    said(&world.syncline(&["run"]).ends_with(1), "file_missing", &[&missing, "do:"]);
    assert!(!std::path::Path::new(&missing).exists(), "a source is never made");
    let text = folder.path().join("text.db").display().to_string();
    std::fs::write(&text, "a text that somebody named like a database, long enough to be looked at as one by a careless program").unwrap();
    let world = World::through(("sqlite", &format!("sqlite:{text}")), (to.kind(), &to.url()), "");
    said(&world.syncline(&["run"]).ends_with(1), "file_corrupt", &[&text, "do:"]);
}

// req: S0-ERRORS
#[test]
fn a_user_that_sees_single_columns_is_told_so_and_nothing_is_synced_without_the_others() {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute("CREATE TABLE film (id int PRIMARY KEY, title varchar(40)); INSERT INTO film VALUES (1, 'Alien')");
    let name = from.database().name().to_owned();
    let user = format!("cols_{name}");
    from.execute_as_admin(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'; GRANT SELECT (id) ON {name}.film TO '{user}'@'%'"));
    let url = from.url();
    let (_, place) = url.rsplit_once('@').unwrap();
    let through = |options: &str| World::through(("mysql", &format!("mysql://{user}:secret@{place}")), ("postgres", &to.url()), options);
    said(&through("").syncline(&["run"]), "rights_missing", &["film", "GRANT SELECT"]);
    assert!(to.tables().is_empty());
    through("    streams: { film: { fields: { id: id }, fields_only: true } }\n").run(&[], 0);
    assert_eq!(to.value("SELECT id FROM film"), "1");
    from.execute_as_admin(&format!("GRANT SELECT ON {name}.film TO '{user}'@'%'"));
    to.execute("DROP TABLE film");
    through("").run(&[], 0);
    assert_eq!(to.value("SELECT title FROM film"), "Alien");
    from.execute_as_admin(&format!("DROP USER '{user}'@'%'"));
}
