//! What a run says of itself is what the databases show.

use crate::rig::{Side, World};

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
    let (source, dest, world) = pair("    deletes: mirror\n    owns: table\n");
    source.execute("UPDATE film SET price = 0 WHERE id <= 7; DELETE FROM film WHERE id > 97; CREATE TABLE new_one (id int PRIMARY KEY)");
    let look = |side: &Side| {
        let statistics = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::text || ',' || count(*) FROM pg_stat_user_tables";
        side.execute("SELECT pg_stat_clear_snapshot()");
        (side.tables(), side.value(statistics), side.content("film", &["id", "title", "price", "xmin"], "1 = 1"))
    };
    let state = || std::fs::read(world.path(".syncline/state.db")).expect("the state");
    let before = (look(&source), look(&dest), state());
    world.syncline(&["plan", "--exit-code"]).ends_with(4);
    assert_eq!((look(&source).2, look(&dest).2), (before.0.2, before.1.2));
    assert_eq!((look(&source).0, look(&dest).0), (before.0.0, before.1.0));
    assert_eq!(state(), before.2);
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
    let (_source, dest, world) = pair("");
    dest.execute("UPDATE film SET title = title || ' ' WHERE id IN (3, 50, 99)");
    let report = world.syncline(&["verify", "--json"]).ends_with(4).json();
    assert_eq!(report[0]["passed"], false);
    assert_eq!(world.run(&[], 0)["books"]["updated"], 3);
    world.syncline(&["verify"]).ends_with(0);
}
