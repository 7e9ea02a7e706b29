//! Servers that die in the middle of a run.

use std::process::Child;
use std::thread::{self, JoinHandle};

use syncline_testkit::{Database, Mariadb, Postgres};

use crate::rig::{Answer, Side, World, wait};

const ROWS: u32 = 20_000;

const CONTENT: [&str; 3] = ["id", "name", "amount"];

/// A source of many rows, synced once, then changed in half of them.
fn synced_and_edited(dest: &Side) -> (Side, World) {
    let source = Side::postgres();
    source.execute(&format!(
        "CREATE TABLE account (id int PRIMARY KEY, name varchar(80) NOT NULL, amount decimal(12,2));
         INSERT INTO account SELECT i, 'account ' || i, i / 4.0 FROM generate_series(1, {ROWS}) i"
    ));
    let world = World::between(&source, dest, "    deletes: mirror\n    owns: table\n");
    world.run(&[], 0);
    source.execute(&format!(
        "UPDATE account SET name = name || ' changed' WHERE id % 2 = 0; DELETE FROM account WHERE id % 40 = 1;
         INSERT INTO account SELECT i, 'new ' || i, 1 FROM generate_series({ROWS} + 1, {ROWS} + 500) i"
    ));
    (source, world)
}

/// Holds a row that the run has to change, until the server dies.
fn hold(db: Database, sleep: &'static str) -> JoinHandle<()> {
    thread::spawn(move || {
        let sql = format!("BEGIN; UPDATE account SET amount = amount WHERE id = 10000; {sleep}");
        assert!(wait(db.try_execute(&sql)).is_err(), "the server was not killed");
    })
}

/// Until the query says so; each question is its own pause.
fn until(db: &Database, question: &str) {
    while wait(db.scalar(question)) == "0" {}
}

/// Until the query says so of a run that is still there.
fn while_running(run: &mut Child, db: &Database, question: &str) {
    while wait(db.scalar(question)) == "0" {
        assert!(run.try_wait().expect("the binary can be asked").is_none(), "the run ended before it met the lock");
    }
}

fn end_of(run: Child) -> Answer {
    Answer::of(&run.wait_with_output().expect("the binary ends"))
}

/// 0 lost, 0 twice.
fn comes_to_rest(source: &Side, dest: &Side, world: &World) {
    world.run(&[], 0);
    assert_eq!(source.content("account", &CONTENT, "1 = 1"), dest.content("account", &CONTENT, "1 = 1"));
    let runs = world.runs();
    assert!(runs.iter().all(|r| r["status"] != "running"), "{runs:#?}");
    let changed = |r: &serde_json::Value| r["books"]["updated"].as_u64().unwrap_or(0);
    assert_eq!(runs.iter().map(changed).sum::<u64>(), u64::from(ROWS) / 2);
    let again = world.run(&[], 0);
    assert_eq!([&again["books"]["created"], &again["books"]["updated"], &again["books"]["deleted"]], [0, 0, 0]);
}

// case: C1
#[test]
fn a_postgres_killed_while_rows_are_applied_loses_nothing_and_doubles_nothing() {
    let server = Postgres::private();
    let dest = Side::Server(wait(server.database()));
    let (source, world) = synced_and_edited(&dest);
    let holder = hold(dest.database().clone(), "SELECT pg_sleep(3600)");
    until(dest.database(), "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3600)' AND wait_event = 'PgSleep'");
    let mut run = world.start(&["run", "--json"], &[]);
    while_running(&mut run, dest.database(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
    server.kill();
    let answer = end_of(run).ends_with(1);
    assert_eq!(answer.json()[0]["error"]["code"], "connection_lost", "{}", answer.said());
    holder.join().expect("the holder saw the server die");
    server.restart();
    comes_to_rest(&source, &dest, &world);
}

// case: C2
#[test]
fn a_mariadb_killed_while_rows_are_applied_loses_nothing_and_doubles_nothing() {
    let server = Mariadb::private();
    let dest = Side::Server(wait(server.database()));
    let (source, world) = synced_and_edited(&dest);
    let holder = hold(dest.database().clone(), "SELECT SLEEP(3600)");
    until(dest.database(), "SELECT count(*) FROM information_schema.processlist WHERE state = 'User sleep'");
    let mut run = world.start(&["run", "--json"], &[]);
    // `innodb_trx` is a copy that is not renewed for whoever asks too often.
    let waits = "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'INNODB_ROW_LOCK_CURRENT_WAITS'";
    while_running(&mut run, dest.database(), waits);
    server.kill();
    let answer = end_of(run).ends_with(1);
    assert_eq!(answer.json()[0]["error"]["code"], "connection_lost", "{}", answer.said());
    holder.join().expect("the holder saw the server die");
    server.restart();
    comes_to_rest(&source, &dest, &world);
}

// case: C1
#[test]
fn a_source_killed_while_it_is_read_leaves_the_destination_as_it_was() {
    let server = Postgres::private();
    let source = Side::Server(wait(server.database()));
    let dest = Side::postgres();
    source.execute("CREATE TABLE account (id int PRIMARY KEY, name text, amount int); INSERT INTO account SELECT i, 'a', 0 FROM generate_series(1, 1000) i");
    let world = World::between(&source, &dest, "");
    world.run(&[], 0);
    source.execute("UPDATE account SET name = 'b'");
    dest.execute("CREATE TABLE gate (id int)");
    // The run stops at a lock on the destination's table, with its snapshot of the source open.
    let locker = {
        let db = dest.database().clone();
        thread::spawn(move || wait(db.try_execute("BEGIN; LOCK TABLE account IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(3600)")))
    };
    let sleeping = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(3600)' AND wait_event = 'PgSleep'";
    until(dest.database(), &format!("SELECT count(*) {sleeping}"));
    let mut run = world.start(&["run", "--json"], &[]);
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while_running(&mut run, dest.database(), waits);
    server.kill();
    dest.execute(&format!("SELECT pg_cancel_backend(pid) {sleeping}"));
    drop(locker.join().expect("the locker ends"));
    end_of(run).ends_with(1);
    assert_eq!(dest.value("SELECT count(*) FROM account WHERE name = 'a'"), "1000");
    server.restart();
    world.run(&[], 0);
    assert_eq!(dest.value("SELECT count(*) FROM account WHERE name = 'b'"), "1000");
}
