//! Incremental reads that must not be believed: a position of another definition, cursors that are empty, from the future, or late.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use serde_json::Value as Json;

use crate::rig::{Side, World, config};

const KINDS: [&str; 3] = ["postgres", "mysql", "sqlite"];

fn side(kind: &str, folder: &tempfile::TempDir, name: &str) -> Side {
    match kind {
        "postgres" => Side::postgres(),
        "mysql" => Side::mariadb(),
        _ => Side::sqlite(folder.path(), name),
    }
}

fn incremental(stream: &str) -> String {
    format!("    mode: incremental\n    streams: {{ t: {{ {stream} }} }}\n")
}

fn notes(run: &Json) -> String {
    run["notes"].to_string()
}

/// Runs until a run starts from what an earlier one saw: the first leaves no start, of numbers only the second does.
fn settle(world: &World) -> Json {
    world.run(&[], 0);
    world.run(&[], 0);
    world.run(&[], 0)
}

// rule: R5
// req: S3-STATE
#[test]
fn a_position_of_another_definition_is_not_started_from_and_the_run_and_the_plan_say_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, dest) = (Side::sqlite(folder.path(), "a.db"), Side::sqlite(folder.path(), "b.db"));
    for (name, before, after) in [
        ("cursor", "cursor: a", "cursor: b"),
        ("where", "cursor: a, where: \"k = 'p'\"", "cursor: a"),
        ("fields", "cursor: a", "cursor: a, fields: { v: \"{{ v | upper }}\" }"),
        ("key", "cursor: a", "cursor: a, key: [a]"),
        ("to", "cursor: a", "cursor: a, to: elsewhere"),
        ("overlap", "cursor: a", "cursor: a, overlap: 2h"),
    ] {
        source.execute(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER NOT NULL UNIQUE, b INTEGER, k TEXT, v TEXT)",
        );
        source.execute("INSERT INTO t VALUES (1, 1000, 1, 'p', 'x'), (2, 2, 2, 'q', 'x'), (3, 1001, 1, 'p', 'x')");
        dest.execute("DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS elsewhere");
        let world = World::between(&source, &dest, &incremental(&format!("{before}, overlap: 0s")));
        assert!(!notes(&settle(&world)).contains("every row"), "{name}");
        if name == "to" {
            dest.execute("CREATE TABLE elsewhere (id INTEGER PRIMARY KEY, a INTEGER NOT NULL UNIQUE, b INTEGER, k TEXT, v TEXT)");
        }
        let after = if after.contains("overlap") { after.to_owned() } else { format!("{after}, overlap: 0s") };
        world.configure(&config(&source, &dest, &incremental(&after)));
        source.execute("INSERT INTO t VALUES (4, 3, 3, 'q', 'y')");
        let plan = world.syncline(&["plan"]).ends_with(0);
        assert!(plan.stdout.contains("every row is compared"), "{name}: {}", plan.said());
        let run = world.run(&[], 0);
        assert!(notes(&run).contains("every row is compared"), "{name}: {run:#}");
        let verdict = world.syncline(&["verify", "--json"]).ends_with(0);
        assert!(verdict.stdout.contains("\"passed\": true"), "{name}: {}", verdict.said());
        assert!(!notes(&world.run(&[], 0)).contains("every row"), "{name}: once is enough");
    }
}

// rule: R5
// case: D13
#[test]
fn a_column_that_is_new_is_filled_in_for_every_scope_and_wherever_it_came_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, dest) = (Side::sqlite(folder.path(), "a.db"), Side::sqlite(folder.path(), "b.db"));
    source.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, org TEXT, at TEXT NOT NULL)");
    source.execute("INSERT INTO t VALUES (1, 'x', '2024-01-01 00:00:00'), (2, 'y', '2024-01-01 00:00:00')");
    let scoped = "    mode: incremental\n    schema_changes: add\n    scopes: [x, y]\n    streams: { t: { cursor: at, where: \"org = {{ scope }}\" } }\n";
    let world = World::between(&source, &dest, scoped);
    (0..3).for_each(|_| drop(world.syncline(&["run"]).ends_with(0)));
    source.execute("INSERT INTO t VALUES (3, 'y', datetime('now')); ALTER TABLE t ADD COLUMN n TEXT DEFAULT 'N'");
    world.syncline(&["run"]).ends_with(0);
    assert_eq!(dest.value("SELECT count(*) FROM t WHERE n = 'N'"), "3");
    // The source had it long before; the destination gets it now.
    dest.execute("DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, org TEXT, at TEXT NOT NULL)");
    let world = World::between(&source, &dest, "    mode: incremental\n    schema_changes: ignore\n    streams: { t: { cursor: at } }\n");
    settle(&world);
    dest.execute("ALTER TABLE t ADD COLUMN n TEXT");
    world.run(&[], 0);
    assert_eq!(dest.value("SELECT count(*) FROM t WHERE n = 'N'"), "3");
}

// rule: R5
#[test]
fn a_position_holds_from_the_first_run_on_whatever_system_made_the_table() {
    let folder = tempfile::tempdir().expect("a folder");
    for kind in KINDS {
        let (source, dest) = (Side::postgres(), side(kind, &folder, "made.db"));
        source.execute("CREATE TABLE t (id int PRIMARY KEY, v varchar(9), d numeric(9,2), j jsonb, at timestamptz NOT NULL DEFAULT clock_timestamp(), a boolean)");
        source.execute("INSERT INTO t VALUES (1, 'a', 1.5, '{}')");
        let world = World::between(&source, &dest, &incremental("cursor: at, overlap: 0s"));
        world.run(&[], 0);
        source.execute("UPDATE t SET at = at - interval '1 day'; INSERT INTO t VALUES (2, 'b')");
        for _ in 0..2 {
            let run = world.run(&[], 0);
            assert_eq!((&run["books"]["in_scope"], notes(&run).contains("every row")), (&1.into(), false), "{kind}: {run:#}");
        }
    }
}

// rule: R5
#[test]
fn a_destination_that_was_emptied_is_filled_again() {
    let folder = tempfile::tempdir().expect("a folder");
    for kind in KINDS {
        let (source, dest) = (Side::postgres(), side(kind, &folder, "emptied.db"));
        source.execute("CREATE TABLE t (id int PRIMARY KEY, at timestamptz NOT NULL); INSERT INTO t SELECT i, '2024-01-01' FROM generate_series(1, 9) i");
        let world = World::between(&source, &dest, &incremental("cursor: at"));
        world.run(&[], 0);
        dest.execute("DELETE FROM t");
        let run = world.run(&[], 0);
        assert_eq!(dest.value("SELECT count(*) FROM t"), "9", "{kind}: {run:#}");
        assert!(notes(&run).contains("has none of its rows"), "{run:#}");
        source.execute("DELETE FROM t");
        dest.execute("DELETE FROM t");
        assert!(!notes(&world.run(&[], 0)).contains("has none of its rows"));
        if kind == "postgres" {
            // Restored from a backup of yesterday: some rows are there, and the table is another one.
            source.execute("INSERT INTO t SELECT i, '2024-01-01' FROM generate_series(1, 9) i");
            world.run(&["--mode", "diff"], 0);
            dest.execute(
                "ALTER TABLE t RENAME TO gone; CREATE TABLE t (LIKE gone INCLUDING ALL); INSERT INTO t SELECT * FROM gone WHERE id < 5",
            );
            assert!(notes(&world.run(&[], 0)).contains("every row is compared"));
            assert_eq!(dest.value("SELECT count(*) FROM t"), "9");
        }
    }
}

// rule: R5, R32
#[test]
fn rows_without_a_cursor_are_read_in_every_run_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    for kind in KINDS {
        let (source, dest) = (side(kind, &folder, "nulls.db"), Side::postgres());
        let (column, now) = match kind {
            "postgres" => ("timestamptz", "now()"),
            "mysql" => ("timestamp NULL", "now()"),
            _ => ("TEXT", "datetime('now')"),
        };
        source.execute(&format!("CREATE TABLE t (id int PRIMARY KEY, v varchar(20), at {column})"));
        source.execute(&format!("INSERT INTO t VALUES (1, 'a', {now}), (2, 'a', NULL)"));
        let world = World::between(&source, &dest, &incremental("cursor: at"));
        settle(&world);
        source.execute("UPDATE t SET v = 'b' WHERE id = 2; INSERT INTO t VALUES (3, 'c', NULL)");
        let run = world.run(&[], 0);
        assert_eq!(dest.value("SELECT string_agg(v, '' ORDER BY id) FROM t"), "abc", "{kind}: {run:#}");
        assert!(notes(&run).contains("2 rows have no `at`"), "{kind}: {run:#}");
        let check = world.syncline(&["check"]).ends_with(0);
        assert!(check.stdout.contains("may be NULL"), "{}", check.said());
    }
}

// rule: R5
#[test]
fn values_that_have_no_place_in_the_order_of_the_others_are_read_in_every_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let (numbers, dates, dest) = (Side::sqlite(folder.path(), "mixed.db"), Side::mariadb(), Side::sqlite(folder.path(), "to.db"));
    numbers.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME NOT NULL); INSERT INTO t VALUES (1, datetime('now'))");
    let world = World::between(&numbers, &dest, &incremental("cursor: at"));
    settle(&world);
    numbers.execute("INSERT INTO t VALUES (2, unixepoch())");
    world.run(&[], 0);
    assert_eq!(dest.value("SELECT count(*) FROM t"), "2");
    dates.execute("CREATE TABLE t (id int PRIMARY KEY, at datetime NOT NULL); INSERT INTO t VALUES (1, now())");
    let dest = Side::mariadb();
    let world = World::between(&dates, &dest, &incremental("cursor: at"));
    settle(&world);
    dates.execute("SET sql_mode = ''; INSERT INTO t VALUES (2, '0000-00-00')");
    world.run(&[], 0);
    assert_eq!(dest.value("SELECT count(*) FROM t"), "2");
}

// rule: R5
#[test]
fn times_of_several_spellings_and_zones_in_one_column_hide_none_of_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    for column in ["timestamp", "TEXT", "DATETIME", "timestamptz"] {
        let (source, dest) = (Side::sqlite(folder.path(), "spelled.db"), Side::sqlite(folder.path(), "spelled_to.db"));
        source.execute(&format!("DROP TABLE IF EXISTS t; CREATE TABLE t (id INTEGER PRIMARY KEY, at {column})"));
        dest.execute("DROP TABLE IF EXISTS t");
        source.execute("INSERT INTO t VALUES (1, strftime('%Y-%m-%dT%H:%M:%S', 'now', '+5 hours') || '+05:00')");
        let world = World::between(&source, &dest, &incremental("cursor: at"));
        settle(&world);
        // In a column of text a number is text as well, and texts of different kinds have no order.
        let epoch = if column == "TEXT" { "datetime('now')" } else { "unixepoch()" };
        let rows =
            "INSERT INTO t VALUES (2, strftime('%Y-%m-%dT%H:%MZ', 'now')), (3, strftime('%Y-%m-%d %H:%M', 'now')), (4, EPOCH), (5, datetime('now')),
             (6, strftime('%Y-%m-%dT%H:%M:%S', 'now', '-8 hours') || '-08:00')";
        source.execute(&rows.replace("EPOCH", epoch));
        let run = world.run(&[], 0);
        assert_eq!(dest.value("SELECT count(*) FROM t"), "6", "{column}: {run:#}");
    }
}

// rule: R5, R32
#[test]
fn a_cursor_that_cannot_tell_what_is_later_is_refused() {
    let source = Side::postgres();
    source.execute("CREATE TABLE t (id int PRIMARY KEY, a uuid, b boolean, c time, d int[])");
    for (cursor, code) in
        [("a", "cursor_unusable"), ("b", "cursor_unusable"), ("c", "cursor_unusable"), ("d", "cursor_unusable"), ("e", "column_missing")]
    {
        let world = World::between(&source, &Side::postgres(), &incremental(&format!("cursor: {cursor}")));
        let answer = world.syncline(&["plan"]).ends_with(2);
        assert!(answer.stderr.contains(code), "{cursor}: {}", answer.said());
    }
}

// case: E14
#[test]
fn a_date_or_a_text_from_the_future_hides_no_later_row() {
    let folder = tempfile::tempdir().expect("a folder");
    for (kind, column, now, future) in [
        ("postgres", "date", "current_date", "2099-01-01"),
        ("postgres", "timestamp", "now()", "2099-01-01 00:00:00"),
        ("mysql", "date", "current_date", "2099-01-01"),
        ("mysql", "datetime", "now()", "2099-01-01 00:00:00"),
        ("sqlite", "TEXT", "datetime('now')", "2099-01-01 00:00:00"),
        ("sqlite", "DATETIME", "strftime('%Y-%m-%dT%H:%M:%fZ')", "2099-01-01T00:00:00.000Z"),
        ("sqlite", "DATE", "date('now')", "2099-01-01"),
    ] {
        let source = side(kind, &folder, &format!("{column}.db"));
        let dest = if kind == "sqlite" { Side::sqlite(folder.path(), &format!("{column}_to.db")) } else { Side::postgres() };
        source.execute(&format!("CREATE TABLE t (id int PRIMARY KEY, at {column}); INSERT INTO t VALUES (1, '{future}'), (2, {now})"));
        let world = World::between(&source, &dest, &incremental("cursor: at"));
        settle(&world);
        source.execute(&format!("INSERT INTO t VALUES (3, {now})"));
        let run = world.run(&[], 0);
        assert_eq!(dest.value("SELECT count(*) FROM t"), "3", "{kind} {column}: {run:#}");
    }
}

// rule: R5
#[test]
fn an_overlap_holds_for_cursors_of_every_type() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, dest) = (Side::sqlite(folder.path(), "a.db"), Side::sqlite(folder.path(), "b.db"));
    source.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, stamp TEXT, day TEXT, n INTEGER)");
    source.execute("INSERT INTO t VALUES (1, datetime('now'), date('now'), 100)");
    for (cursor, overlap) in [("stamp", ""), ("stamp", ", overlap: 10m"), ("day", ", overlap: 10m"), ("n", ", overlap: 10m")] {
        dest.execute("DROP TABLE IF EXISTS t");
        source.execute("DELETE FROM t WHERE id > 1");
        let world = World::between(&source, &dest, &incremental(&format!("cursor: {cursor}{overlap}")));
        settle(&world);
        source.execute("INSERT INTO t VALUES (2, datetime('now', '-5 seconds'), date('now', '-1 day'), 99)");
        let run = world.run(&[], 0);
        assert_eq!(dest.value("SELECT count(*) FROM t"), "2", "{cursor}{overlap}: {run:#}");
    }
}

/// A client of somebody else, which does what it is told and waits for the next word.
struct Client {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Client {
    fn of(side: &Side) -> Self {
        let mut command = match side.kind() {
            "postgres" => {
                let mut psql = Command::new("psql");
                psql.args(["-X", "-q", "-A", "-t", &side.url()]);
                psql
            }
            _ => {
                let url = side.url();
                let (who, place) = url.trim_start_matches("mysql://").split_once('@').expect("a user");
                let (user, password) = who.split_once(':').expect("a password");
                let (host, database) = place.split_once('/').expect("a database");
                let (host, port) = host.split_once(':').expect("a port");
                let mut client = Command::new("mariadb");
                client.args(["-N", "-B", "-n", "--protocol=tcp", "-h", host, "-P", port, "-u", user, &format!("-p{password}"), database]);
                client
            }
        };
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the client is installed");
        let answers = BufReader::new(process.stdout.take().expect("it is there"));
        Self { process, answers }
    }

    /// Comes back when it is done.
    fn does(&mut self, sql: &str) {
        let script = format!("{sql}; SELECT 'done';\n");
        self.process.stdin.as_mut().expect("it is there").write_all(script.as_bytes()).expect("it listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        assert_eq!(line.trim(), "done");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// A number or a time that was taken before another one and is committed after it arrives.
fn late_one_arrives(source: &Side, url: &str, column: &str, overlap: &str) {
    source.execute(&format!("CREATE TABLE t (id int PRIMARY KEY, at {column}); INSERT INTO t (id) VALUES (1)"));
    let dest = Side::postgres();
    let world = World::through((source.kind(), url), (dest.kind(), &dest.url()), &incremental(&format!("cursor: at{overlap}")));
    settle(&world);
    let mut slow = Client::of(source);
    slow.does("BEGIN; INSERT INTO t (id) VALUES (2)");
    source.execute("INSERT INTO t (id) VALUES (3)");
    for _ in 0..3 {
        world.run(&[], 0);
    }
    slow.does("COMMIT");
    let run = world.run(&[], 0);
    assert_eq!(dest.value("SELECT count(*) FROM t"), "3", "{} {column}: {run:#}", source.kind());
}

// case: D3
// rule: R5
// users: T2
#[test]
fn a_number_or_a_time_without_a_zone_that_is_committed_late_is_not_missed() {
    for column in ["serial UNIQUE", "timestamp DEFAULT now()", "text DEFAULT to_char(now(), 'YYYY-MM-DD HH24:MI:SS.US')"] {
        let source = Side::postgres();
        late_one_arrives(&source, &source.url(), column, ", overlap: 0s");
    }
    // A server of its own: every transaction on it counts.
    let server = syncline_testkit::Mariadb::private();
    for column in ["int NOT NULL AUTO_INCREMENT UNIQUE", "datetime(6) DEFAULT now(6)"] {
        let source = Side::Server(crate::rig::wait(server.database()));
        late_one_arrives(&source, &source.url(), column, ", overlap: 0s");
    }
    // Where open transactions cannot be seen, the overlap is all there is.
    let source = Side::mariadb();
    let plain = format!("plain_{}", source.database().name());
    source.execute_as_admin(&format!(
        "CREATE USER '{plain}'@'%' IDENTIFIED BY 'secret'; GRANT SELECT ON {}.* TO '{plain}'@'%'",
        source.database().name()
    ));
    late_one_arrives(&source, &source.database().url_as(&plain, "secret"), "int NOT NULL AUTO_INCREMENT UNIQUE", "");
}
