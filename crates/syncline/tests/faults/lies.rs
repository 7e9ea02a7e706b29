//! What a run says of itself is what the databases show.

use crate::rig::{Side, World, wait};

fn pair(options: &str) -> (Side, Side, World) {
    let (source, dest) = (Side::postgres(), Side::postgres());
    source.execute("CREATE TABLE film (id int PRIMARY KEY, title text, price numeric(8,2)); INSERT INTO film SELECT i, 'Film ' || i, i FROM generate_series(1, 100) i");
    let world = World::between(&source, &dest, options);
    world.run(&[], 0);
    (source, dest, world)
}

// case: Q9
// users: T13
#[test]
fn a_second_run_touches_no_row_at_all() {
    let (_source, dest, world) = pair("    mode: full\n");
    let versions = "SELECT md5(string_agg(xmin::text || ctid::text, ',' ORDER BY id)) FROM film";
    let before = dest.value(versions);
    for mode in ["full", "diff"] {
        let run = world.run(&["--mode", mode], 0);
        assert_eq!([&run["books"]["created"], &run["books"]["updated"], &run["books"]["deleted"]], [0, 0, 0]);
        assert_eq!(dest.value(versions), before, "{mode}");
    }
}

// case: Q7
#[test]
fn counts_are_what_a_trigger_of_the_destination_saw() {
    let (source, dest, world) = pair("    deletes: mirror\n    owns: table\n");
    dest.execute(
        "CREATE TABLE witness (op text);
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO witness VALUES (TG_OP); RETURN NULL; END $$;
         CREATE TRIGGER seen AFTER INSERT OR UPDATE OR DELETE ON film FOR EACH ROW EXECUTE FUNCTION see()",
    );
    source.execute("UPDATE film SET price = price + 1 WHERE id <= 7; DELETE FROM film WHERE id > 97; INSERT INTO film VALUES (200, 'a', 1), (201, 'b', NULL)");
    let run = world.run(&[], 0);
    for (name, op) in [("created", "INSERT"), ("updated", "UPDATE"), ("deleted", "DELETE")] {
        assert_eq!(run["books"][name].to_string(), dest.value(&format!("SELECT count(*) FROM witness WHERE op = '{op}'")), "{name}");
    }
}

// case: Q8
#[test]
fn a_plan_writes_nothing_anywhere() {
    // Servers of their own: nobody else takes a transaction number, and no vacuum does.
    let servers = [syncline_testkit::Postgres::throwaway(), syncline_testkit::Postgres::throwaway()];
    let [source, dest] = servers.each_ref().map(|s| Side::Server(wait(s.database())));
    for side in [&source, &dest] {
        side.execute_as_admin("ALTER SYSTEM SET autovacuum = off");
        side.execute_as_admin("SELECT pg_reload_conf()");
    }
    source.execute("CREATE TABLE film (id int PRIMARY KEY, title text, price numeric(8,2)); INSERT INTO film SELECT i, 'Film ' || i, i FROM generate_series(1, 100) i");
    let world = World::between(&source, &dest, "    deletes: mirror\n    owns: table\n");
    world.run(&[], 0);
    source.execute("UPDATE film SET price = 0 WHERE id <= 7; DELETE FROM film WHERE id > 97; CREATE TABLE new_one (id int PRIMARY KEY)");
    let look = |side: &Side| {
        // Whoever writes takes a number; row versions say who wrote them, and where they lie.
        let numbers = side.value("SELECT pg_snapshot_xmax(pg_current_snapshot())");
        let rows = side.content("film", &["id", "title", "price", "xmin", "xmax", "ctid"], "1 = 1");
        (side.tables(), numbers, rows)
    };
    let state = || std::fs::read(world.path(".syncline/state.db")).expect("the state");
    let before = (look(&source), look(&dest), state());
    for args in [&["plan", "--exit-code"][..], &["plan", "--exit-code", "--mode", "full"]] {
        world.syncline(args).ends_with(4);
        assert_eq!((look(&source), look(&dest)), (before.0.clone(), before.1.clone()));
        assert_eq!(state(), before.2);
    }
    world.run(&[], 0);
    assert_ne!(look(&dest).1, before.1.1, "a write takes a number");
}

// case: Q3
#[test]
fn a_run_with_parked_rows_is_never_called_succeeded() {
    let (source, dest, world) = pair("");
    dest.execute("ALTER TABLE film ADD CHECK (price < 500)");
    source.execute("UPDATE film SET price = 900 WHERE id = 5");
    let answer = world.syncline(&["run"]).ends_with(3);
    assert!(answer.stdout.contains("partial") && !answer.stdout.contains("succeeded"), "{}", answer.said());
    assert_eq!(world.parked(), [("film".to_owned(), "[5]".to_owned(), "check_violated".to_owned())]);
}

// case: Q4, A8
#[test]
fn a_failed_run_moves_no_position_and_no_last_success() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    source
        .execute("CREATE TABLE film (id int PRIMARY KEY, title text, changed timestamptz DEFAULT now()); INSERT INTO film VALUES (1, 'a')");
    let world = World::between(&source, &dest, "    mode: incremental\n    streams: { film: { cursor: changed } }\n");
    world.run(&[], 0);
    let positions = || {
        let state = Side::File(world.path(".syncline/state.db"));
        state.query("SELECT * FROM sync_state")
    };
    let before = positions();
    source.execute("UPDATE film SET title = 'b', changed = now()");
    for fault in
        ["read.batch=error", "apply.update=error", "apply.end=error", "commit.intent=error", "commit.send=cut", "finish.checkpoint=error"]
    {
        world.syncline_with(&["run"], &[("SYNCLINE_FAIL", fault)]).ends_with(1);
        assert_eq!(positions(), before, "{fault}");
    }
    world.run(&[], 0);
    assert_ne!(positions(), before);
    assert_eq!(dest.value("SELECT title FROM film"), "b");
}

// case: Q1, Q2
// users: T7
#[test]
fn equal_counts_with_different_content_are_found() {
    for (source, dest) in [(Side::postgres(), Side::postgres()), (Side::mariadb(), Side::postgres()), (Side::postgres(), Side::mariadb())] {
        let list: Vec<String> = (1..=100).map(|i| format!("({i}, 'Film {i}', {i}.25)")).collect();
        source.execute(&format!(
            "CREATE TABLE film (id int PRIMARY KEY, title varchar(80), price decimal(8,2)); INSERT INTO film VALUES {}",
            list.join(", ")
        ));
        let world = World::between(&source, &dest, "");
        world.run(&[], 0);
        // Hashed by the databases themselves, in SQL that nothing of ours has made.
        let hash = |side: &Side| {
            side.value(match side.kind() {
                "postgres" => "SELECT md5(string_agg(id || '|' || title || '|' || price, ';' ORDER BY id)) FROM film",
                _ => "SELECT md5(group_concat(id, '|', title, '|', price ORDER BY id SEPARATOR ';')) FROM film",
            })
        };
        assert_eq!(hash(&source), hash(&dest));
        dest.execute("UPDATE film SET title = concat(title, ' ') WHERE id IN (3, 50); UPDATE film SET title = upper(title) WHERE id = 99");
        let counts = "SELECT count(*) FROM film";
        assert_eq!((source.value(counts), hash(&source) == hash(&dest)), (dest.value(counts), false));
        let report = world.syncline(&["verify", "--json"]).ends_with(4).json();
        assert_eq!(report[0]["passed"], false);
        assert_ne!(hash(&source), hash(&dest), "verify repairs nothing by itself");
        assert_eq!(world.run(&[], 0)["books"]["updated"], 3);
        assert_eq!(hash(&source), hash(&dest));
        world.syncline(&["verify"]).ends_with(0);
    }
}
