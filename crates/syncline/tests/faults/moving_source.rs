//! The source goes on while it is synced.

use crate::rig::{Side, World, wait};

const CURSOR: &str = "    mode: incremental\n    streams: { film: { cursor: changed } }\n";

fn pair(options: &str) -> (Side, Side, World) {
    let (source, dest) = (Side::postgres(), Side::postgres());
    source.execute("CREATE TABLE film (id int PRIMARY KEY, title text, changed timestamptz NOT NULL DEFAULT now()); INSERT INTO film SELECT i, 'Film ' || i FROM generate_series(1, 100) i");
    (source.clone(), dest.clone(), World::between(&source, &dest, options))
}

// case: D3
// users: T2, T9
// rule: R5
#[test]
fn a_row_stamped_early_and_committed_late_is_not_missed() {
    let (source, dest, world) = pair(CURSOR);
    world.run(&[], 0);
    source.execute("CREATE TABLE gate (id int); INSERT INTO gate VALUES (1)");
    let slow = {
        let db = source.database().clone();
        // Stamped now, committed when somebody opens the gate.
        let sql = "DO $$ BEGIN INSERT INTO film (id, title) VALUES (900, 'late'); LOOP EXIT WHEN pg_try_advisory_xact_lock(77); PERFORM pg_sleep(0.01); END LOOP; END $$";
        let holder = db.clone();
        let gate = std::thread::spawn(move || wait(holder.try_execute("SELECT pg_advisory_lock(77); SELECT pg_sleep(3600)")));
        while source.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") == "0" {}
        (gate, std::thread::spawn(move || wait(db.execute(sql))))
    };
    while source
        .value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'DO %' AND backend_xid IS NOT NULL")
        == "0"
    {}
    source.execute("INSERT INTO film (id, title) VALUES (901, 'early')");
    let run = world.run(&[], 0);
    assert_eq!(run["books"]["created"], 1, "{run:#}");
    source.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(3600)' AND pid <> pg_backend_pid()");
    drop(slow.0.join().expect("the gate opens"));
    slow.1.join().expect("the late row is committed");
    let run = world.run(&[], 0);
    assert_eq!(dest.value("SELECT title FROM film WHERE id = 900"), "late", "{run:#}");
    assert_eq!(run["streams"][0]["mode"], "incremental");
}

// case: D4
#[test]
fn ten_thousand_rows_of_one_instant_all_arrive_and_the_one_after_them_too() {
    let (source, dest, world) = pair(CURSOR);
    world.run(&[], 0);
    source.execute("INSERT INTO film SELECT i, 'same', '2030-01-01' FROM generate_series(1001, 11000) i");
    world.run(&[], 0);
    source.execute("INSERT INTO film VALUES (20000, 'same instant, later', '2030-01-01')");
    world.run(&[], 0);
    assert_eq!(dest.value("SELECT count(*) FROM film"), "10101");
}

// case: D5
// rule: R5
#[test]
fn a_cursor_that_rounds_never_ends_behind_a_row() {
    let instants = [
        ("postgres", "timestamptz"),
        ("postgres", "timestamptz(3)"),
        ("postgres", "timestamptz(0)"),
        ("mysql", "timestamp(3)"),
        ("mysql", "timestamp"),
    ];
    for (kind, column) in instants {
        let (source, dest) = (if kind == "mysql" { Side::mariadb() } else { Side::postgres() }, Side::postgres());
        source.execute(&format!("CREATE TABLE film (id int PRIMARY KEY, title varchar(40), changed {column} NOT NULL)"));
        let now = if kind == "mysql" { "now(6)" } else { "clock_timestamp()" };
        let world = World::between(&source, &dest, CURSOR);
        let state = Side::File(world.path(".syncline/state.db"));
        for id in 1..=6 {
            source.execute(&format!("INSERT INTO film VALUES ({id}, 'a', {now})"));
            let run = world.run(&[], 0);
            assert_eq!(dest.value("SELECT count(*) FROM film"), id.to_string(), "{kind} {column}: {run:#}");
            let clock = if kind == "mysql" {
                "SELECT unix_timestamp(now(6)) * 1000000"
            } else {
                "SELECT extract(epoch FROM clock_timestamp()) * 1000000"
            };
            let (clock, mark): (f64, f64) = (
                source.value(clock).parse().expect("a number"),
                state.value("SELECT coalesce(mark, 0) FROM sync_state").parse().expect("a number"),
            );
            assert!(mark <= clock, "{kind} {column}: the mark {mark} is past the source's clock {clock}");
        }
    }
    // Without a zone the cursor is a value of the column: inclusive, and never more than the greatest one there is.
    let zoneless = [
        ("postgres", "timestamp"),
        ("postgres", "timestamp(0)"),
        ("mysql", "datetime(6)"),
        ("mysql", "datetime(3)"),
        ("mysql", "datetime"),
    ];
    for (kind, column) in zoneless {
        let (source, dest) = (if kind == "mysql" { Side::mariadb() } else { Side::postgres() }, Side::postgres());
        source.execute(&format!("CREATE TABLE film (id int PRIMARY KEY, title varchar(40), changed {column} NOT NULL)"));
        let world = World::between(&source, &dest, "    mode: incremental\n    streams: { film: { cursor: changed, overlap: 0s } }\n");
        let state = Side::File(world.path(".syncline/state.db"));
        for (id, at) in (1..).zip(["00.9996", "00.9999996", "01.4", "01.4999999", "01.5", "01.5", "59.9999999"]) {
            source.execute(&format!("INSERT INTO film VALUES ({id}, 'a', '2024-05-05 10:00:{at}')"));
            let run = world.run(&[], 0);
            assert_eq!(dest.value("SELECT count(*) FROM film"), id.to_string(), "{kind} {column} {at}: {run:#}");
            let greatest =
                source.value(&format!("SELECT cast(max(changed) AS {}) FROM film", if kind == "mysql" { "char" } else { "text" }));
            let cursor = state.value("SELECT cursor_json FROM sync_state");
            let at = cursor.find("2024").expect("an instant in the cursor");
            let cursor = cursor[at..].trim_end_matches(['"', '}', ']']).replace('T', " ");
            let plain = |text: &str| text.trim_end_matches('0').trim_end_matches('.').to_owned();
            assert!(plain(&cursor) <= plain(&greatest), "{kind} {column}: {cursor} is past {greatest}");
        }
        assert_eq!(world.runs().pop().expect("a run")["streams"][0]["mode"], "incremental");
    }
}

// case: E14
#[test]
fn a_row_stamped_in_the_future_hides_no_later_row() {
    let (source, dest, world) = pair(CURSOR);
    world.run(&[], 0);
    source.execute("INSERT INTO film VALUES (200, 'from the future', now() + interval '10 years')");
    world.run(&[], 0);
    source.execute("INSERT INTO film VALUES (201, 'from now', now())");
    world.run(&[], 0);
    assert_eq!(dest.value("SELECT count(*) FROM film WHERE id IN (200, 201)"), "2");
}

// case: E13
#[test]
fn instants_are_the_same_whatever_zones_the_sessions_start_in() {
    for dest in [Side::postgres(), Side::mariadb()] {
        let source = Side::postgres();
        source.execute("CREATE TABLE seen (id int PRIMARY KEY, at timestamptz(6), local timestamp(6)); INSERT INTO seen VALUES (1, '2024-07-01 12:00:00.123456+00', '2024-07-01 12:00:00.123456'), (2, '2024-03-31 01:30:00+00', '2024-03-31 02:30:00')");
        source.execute_as_admin(&format!("ALTER DATABASE {} SET timezone = 'Asia/Kathmandu'", source.database().name()));
        if dest.kind() == "postgres" {
            dest.execute_as_admin(&format!("ALTER DATABASE {} SET timezone = 'America/St_Johns'", dest.database().name()));
        }
        let world = World::between(&source, &dest, "");
        world.run(&[], 0);
        let instants = match dest.kind() {
            "postgres" => {
                "SELECT string_agg(to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '/' || local::text, ' ' ORDER BY id) FROM seen"
            }
            _ => "SELECT group_concat(at, '/', local ORDER BY id SEPARATOR ' ') FROM seen",
        };
        let script = "SET time_zone = '+00:00'; ";
        let seen = if dest.kind() == "mysql" { dest.value(&format!("{script}{instants}")) } else { dest.value(instants) };
        assert!(seen.starts_with("2024-07-01 12:00:00.123456/2024-07-01 12:00:00.123456"), "{seen}");
        assert!(seen.contains("2024-03-31 01:30:00"), "{seen}");
        assert_eq!(world.run(&[], 0)["books"]["updated"], 0);
    }
}

// case: D13
#[test]
fn a_column_added_at_the_source_stops_the_run_and_is_never_silently_left_out() {
    let (source, dest, world) = pair("");
    world.run(&[], 0);
    source.execute("ALTER TABLE film ADD COLUMN rating text DEFAULT 'PG'; UPDATE film SET title = 'New' WHERE id = 1");
    let run = world.run(&[], 1);
    assert_eq!(run["error"]["code"], "schema_drift", "{run:#}");
    assert_eq!(dest.value("SELECT title FROM film WHERE id = 1"), "Film 1");
    world.configure(&crate::rig::config(&source, &dest, "    schema_changes: add\n"));
    world.run(&[], 0);
    assert_eq!(dest.value("SELECT count(*) FROM film WHERE rating = 'PG'"), "100");
}
