//! Modes and state: full, incremental, one record by its key; when a position moves; parked rows that come back; one run at a time.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::rig::{Answer, Side, World};
use crate::{book, written};

const ORDERS: &str = "CREATE TABLE orders (id int PRIMARY KEY, name text, changed timestamptz NOT NULL DEFAULT clock_timestamp());
    INSERT INTO orders (id, name) SELECT i, 'order ' || i FROM generate_series(1, 20) i;";

fn orders(options: &str) -> (Side, Side, World) {
    let (from, to) = (Side::postgres(), Side::postgres());
    from.execute(ORDERS);
    let world = World::between(&from, &to, options);
    (from, to, world)
}

const INCREMENTAL: &str = "    streams: { orders: { mode: incremental, cursor: changed } }\n";

/// (last success, mark) of the only stream.
fn position(world: &World) -> String {
    let state = Side::File(world.path(".syncline/state.db"));
    state.value("SELECT collection_key || ' ' || last_synced_at FROM sync_state")
}

// req: S3-INCR, FR-008
#[test]
fn an_incremental_sync_without_state_reads_everything_and_then_only_what_changed() {
    let (from, to, world) = orders(INCREMENTAL);
    let first = world.run(&[], 0);
    assert_eq!((book(&first, "created"), book(&first, "in_scope")), (20, 20));
    from.execute("UPDATE orders SET changed = changed - interval '1 hour'");
    world.run(&["--mode", "diff"], 0);
    from.execute(
        "UPDATE orders SET name = 'new', changed = clock_timestamp() WHERE id = 3; INSERT INTO orders (id, name) VALUES (21, 'x')",
    );
    let run = world.run(&[], 0);
    assert_eq!((run["streams"][0]["mode"].as_str(), book(&run, "in_scope")), (Some("incremental"), 2), "{run}");
    assert_eq!((book(&run, "created"), book(&run, "updated")), (1, 1), "{run}");
    assert_eq!(to.value("SELECT count(*) || string_agg(name, '' ORDER BY id) FILTER (WHERE id IN (3, 21)) FROM orders"), "21newx");
}

// req: S3-FULL, S3-RESULT
#[test]
fn a_full_sync_upserts_and_removes_what_the_complete_listing_no_longer_has() {
    let (from, to, world) = orders("    mode: full\n    deletes: mirror\n    owns: table\n");
    world.run(&[], 0);
    from.execute(
        "DELETE FROM orders WHERE id = 7; UPDATE orders SET name = 'new' WHERE id = 8; INSERT INTO orders (id, name) VALUES (21, 'x')",
    );
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "created"), book(&run, "updated"), book(&run, "deleted")), (1, 1, 1), "{run}");
    assert_eq!(to.value("SELECT count(*) FROM orders WHERE id = 7"), "0");
    let shown = world.syncline(&["show", "last", "--json"]).ends_with(0).json();
    let deletion = &shown["deletions"][0];
    assert_eq!((&deletion["stream"], &deletion["key"], &deletion["reason"]), (&json!("orders"), &json!([7]), &json!("missing_at_source")));
    assert_eq!(written(&world.run(&[], 0)), 0);
}

// req: S3-STATE, X1, X6, X7
#[test]
fn a_position_moves_with_success_and_with_durable_parked_rows_and_never_with_a_failure() {
    let (from, to, world) = orders(INCREMENTAL);
    world.run(&[], 0);
    let first = position(&world);
    to.execute("ALTER TABLE orders ADD CHECK (name <> 'bad')");
    to.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''down'' USING ERRCODE = ''disk_full''; END';
        CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    from.execute("UPDATE orders SET name = 'good', changed = clock_timestamp() WHERE id = 1");
    let failed = world.run(&[], 1);
    assert_eq!((failed["status"].as_str(), position(&world)), (Some("failed"), first.clone()), "{failed}");
    to.execute("DROP TRIGGER late ON orders");
    from.execute("UPDATE orders SET name = 'bad', changed = clock_timestamp() WHERE id = 2");
    let partial = world.run(&[], 3);
    assert_eq!((partial["status"].as_str(), book(&partial, "updated"), book(&partial, "parked")), (Some("partial"), 1, 1), "{partial}");
    assert_ne!(position(&world), first);
    assert_eq!(world.parked(), [("orders".to_owned(), "[2]".to_owned(), "check_violated".to_owned())]);
    assert_eq!(to.value("SELECT string_agg(name, ',' ORDER BY id) FROM orders WHERE id < 3"), "good,order 2");
}

// rule: R29
#[test]
fn a_parked_row_is_read_again_by_its_key_also_by_an_incremental_run_and_closes_when_it_is_gone() {
    let (from, to, world) = orders(INCREMENTAL);
    world.run(&[], 0);
    to.execute("ALTER TABLE orders ADD CHECK (name NOT LIKE 'bad%')");
    from.execute("UPDATE orders SET name = 'bad ' || id, changed = clock_timestamp() WHERE id IN (2, 3)");
    world.run(&[], 3);
    // Long ago, as far as the cursor is concerned.
    from.execute("UPDATE orders SET name = 'mended', changed = '2001-01-01' WHERE id = 2; DELETE FROM orders WHERE id = 3");
    world.run(&[], 0);
    assert_eq!((world.parked().len(), to.value("SELECT name FROM orders WHERE id = 2")), (0, "mended".to_owned()));
    let closed = world.syncline(&["parked", "--closed", "--json"]).ends_with(0).json();
    let outcome = |key: i64| closed.as_array().unwrap().iter().find(|r| r["key"] == json!([key])).unwrap()["outcome"].clone();
    assert_eq!((outcome(2), outcome(3)), (json!("applied"), json!("gone")), "{closed}");
}

// req: S0-TRUTH, S2-E1
#[test]
fn one_record_can_be_synced_by_its_key_and_the_source_wins_over_an_edit_there() {
    let (from, to, world) = orders("");
    world.run(&[], 0);
    to.execute("UPDATE orders SET name = 'edited here' WHERE id IN (1, 2)");
    from.execute("UPDATE orders SET name = 'three' WHERE id = 3");
    let run = world.run(&["--stream", "orders", "--key", "1"], 0);
    assert_eq!((run["streams"][0]["mode"].as_str(), book(&run, "in_scope"), book(&run, "updated")), (Some("key"), 1, 1), "{run}");
    assert_eq!(to.value("SELECT string_agg(name, ',' ORDER BY id) FROM orders WHERE id < 4"), "order 1,edited here,order 3");
    assert_eq!(book(&world.run(&[], 0), "updated"), 2);
    assert_eq!(to.value("SELECT string_agg(name, ',' ORDER BY id) FROM orders WHERE id < 4"), "order 1,order 2,three");
}

/// A session of somebody else that keeps writers away from a table, until it is told to let go.
pub struct Holder {
    psql: Child,
}

impl Holder {
    pub fn of(side: &Side, table: &str) -> Self {
        let mut psql = Command::new("psql")
            .args(["-X", "-q", "-A", "-t", &side.url()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`psql` is installed");
        let sql = format!("BEGIN; LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE; SELECT 'held';\n");
        psql.stdin.as_mut().expect("it is there").write_all(sql.as_bytes()).expect("it is there");
        let mut line = String::new();
        BufReader::new(psql.stdout.as_mut().expect("it is there")).read_line(&mut line).expect("it is there");
        assert_eq!(line.trim(), "held");
        Self { psql }
    }

    pub fn let_go(mut self) {
        drop(self.psql.stdin.take());
        self.psql.wait().expect("psql ends");
    }
}

/// Until somebody waits for a lock on the destination.
pub fn wait_for_a_waiter(to: &Side) {
    while to.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0" {
        std::thread::yield_now();
    }
}

pub fn ended(child: Child) -> Answer {
    Answer::of(&child.wait_with_output().expect("it ends"))
}

// req: X3, X4, S0-TRUTH
// users: U18
#[test]
fn two_runs_at_once_are_one_after_the_other_and_the_newest_state_wins() {
    let (from, to, world) = orders("");
    world.run(&[], 0);
    from.execute("UPDATE orders SET name = 'first' WHERE id = 1");
    let holder = Holder::of(&to, "orders");
    let full = world.start(&["run", "--mode", "full"], &[]);
    wait_for_a_waiter(&to);
    from.execute("UPDATE orders SET name = 'second' WHERE id = 1");
    let refused = world.syncline(&["run", "--stream", "orders", "--key", "1"]).ends_with(1);
    assert!(refused.stderr.contains("lock_held") && refused.stderr.contains(&format!("pid {}", full.id())), "{}", refused.said());
    let mut one = world.start(&["run", "--stream", "orders", "--key", "1", "--wait"], &[]);
    let mut stderr = BufReader::new(one.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains("waiting for"), "{line}");
    holder.let_go();
    ended(full).ends_with(0);
    ended(one).ends_with(0);
    assert_eq!(to.value("SELECT name FROM orders WHERE id = 1"), "second");
}

// req: X1
// rule: R36
#[test]
fn a_run_of_a_plan_moves_no_position_past_what_the_plan_did_not_look_at() {
    let (from, to, world) = orders(INCREMENTAL);
    world.run(&[], 0);
    from.execute("UPDATE orders SET name = 'planned', changed = clock_timestamp() WHERE id = 3");
    world.syncline(&["plan", "--out", "plan.json"]).ends_with(0);
    from.execute("UPDATE orders SET name = 'later', changed = clock_timestamp() - interval '1 second' WHERE id = 4");
    let before = position(&world);
    assert_eq!(book(&world.run(&["--plan", "plan.json"], 0), "updated"), 1);
    assert_eq!(position(&world), before);
    world.run(&[], 0);
    assert_eq!(to.value("SELECT string_agg(name, ',' ORDER BY id) FROM orders WHERE id IN (3, 4)"), "planned,later");
}

// req: X1
// rule: R29
#[test]
fn a_retry_of_parked_rows_moves_no_cursor() {
    let (from, to) = (Side::postgres(), Side::postgres());
    from.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, name text, version bigint NOT NULL);
         INSERT INTO orders SELECT i, 'order ' || i, i FROM generate_series(1, 5) i",
    );
    let world = World::between(&from, &to, "    streams: { orders: { mode: incremental, cursor: version } }\n");
    world.run(&[], 0);
    to.execute("ALTER TABLE orders ADD CHECK (name <> 'bad')");
    from.execute("UPDATE orders SET name = 'bad', version = 10 WHERE id = 2");
    world.run(&[], 3);
    from.execute(
        "UPDATE orders SET name = 'other', version = 11 WHERE id = 3; UPDATE orders SET name = 'mended', version = 12 WHERE id = 2",
    );
    world.syncline(&["parked", "--retry", "--all"]).ends_with(0);
    world.run(&[], 0);
    assert_eq!(to.value("SELECT string_agg(name, ',' ORDER BY id) FROM orders WHERE id IN (2, 3)"), "mended,other");
}

// rule: R32
#[test]
fn a_column_that_is_new_is_filled_in_for_rows_outside_the_window_too() {
    let (from, to, world) = orders("    schema_changes: add\n    streams: { orders: { mode: incremental, cursor: changed } }\n");
    from.execute("UPDATE orders SET changed = changed - interval '1 day'");
    world.run(&[], 0);
    world.run(&[], 0);
    from.execute("ALTER TABLE orders ADD COLUMN rating text DEFAULT 'PG'");
    world.run(&[], 0);
    assert_eq!(to.value("SELECT count(*) FROM orders WHERE rating = 'PG'"), "20");
}

// rule: R5
// case: D5
#[test]
fn a_cursor_from_the_future_does_not_hide_what_comes_after_it() {
    let (from, to) = (Side::postgres(), Side::postgres());
    from.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, name text, changed timestamp NOT NULL DEFAULT (clock_timestamp() AT TIME ZONE 'UTC'));
         INSERT INTO orders (id, name) VALUES (1, 'a'), (2, 'b'); INSERT INTO orders VALUES (3, 'c', '2999-01-01')",
    );
    let world = World::between(&from, &to, "    streams: { orders: { mode: incremental, cursor: changed } }\n");
    world.run(&[], 0);
    from.execute("INSERT INTO orders (id, name) VALUES (4, 'd')");
    let run = world.run(&[], 0);
    assert_eq!((run["streams"][0]["mode"].as_str(), book(&run, "created")), (Some("incremental"), 1), "{run}");
    assert_eq!(to.value("SELECT string_agg(name, '' ORDER BY id) FROM orders"), "abcd");
}
