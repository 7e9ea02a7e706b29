//! Somebody else writes to the destination while a run is on its way: between the look at both sides and the first write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use syncline::clock::{SystemClock, TimeOrderedIds};
use syncline::{Config, Connectors, Engine, Interrupt, Progress, RunOptions};
use syncline_engine::RunReport;
use syncline_model::Books;
use syncline_store::SqliteStore;

use crate::rig::{Side, World, wait};
use crate::{book, written};

/// Writes to a database as soon as a run comes to a moment.
struct Meanwhile {
    side: Side,
    sql: &'static str,
    moment: &'static str,
    done: AtomicBool,
}

impl Progress for Meanwhile {
    fn stream_started(&self, _: &str, doing: &str, _: Option<u64>) {
        self.phase(doing);
    }
    fn stream_rows(&self, _: &str, _: u64) {}
    fn stream_finished(&self, _: &str, _: &Books) {}
    fn phase(&self, text: &str) {
        if text == self.moment && !self.done.swap(true, Ordering::SeqCst) {
            // On a thread of its own: this one belongs to the run's runtime.
            let (side, sql) = (self.side.clone(), self.sql);
            std::thread::spawn(move || side.execute(sql)).join().expect("the other writer wrote");
        }
    }
}

struct GoesOn;

impl Interrupt for GoesOn {
    fn asked(&self) -> bool {
        false
    }
}

/// A run in this process, with another writer just before it applies what it found.
fn run_while(world: &World, dest: &Side, sql: &'static str) -> Books {
    run_while_at("apply", world, dest, sql).books
}

/// A run in this process, with another writer at a moment of it.
pub fn run_while_at(moment: &'static str, world: &World, dest: &Side, sql: &'static str) -> RunReport {
    let config = Config::load(&world.path("syncline.yaml")).expect("a configuration");
    let other = Arc::new(Meanwhile { side: dest.clone(), sql, moment, done: AtomicBool::new(false) });
    let engine = Engine {
        registry: Arc::new(Connectors),
        store: Arc::new(SqliteStore::open(&world.path(".syncline/state.db")).expect("a state")),
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(TimeOrderedIds),
        progress: Arc::clone(&other) as Arc<dyn Progress>,
        interrupt: Arc::new(GoesOn),
        processes: Arc::new(syncline_engine::UnknownProcesses),
        actor: "test".to_owned(),
    };
    let report = wait(engine.run(&config.syncs[0], RunOptions::default())).expect("a run").remove(0);
    assert!(other.done.load(Ordering::SeqCst), "the other writer came");
    report
}

const MIRROR: &str = "    mode: diff\n    deletes: mirror\n    owns: table\n";
const EXPRESSION: &str = "    streams: { t: { fields: { label: \"{{ name | upper }}\" } } }\n";

fn sides(to: &str, folder: &tempfile::TempDir) -> (Side, Side) {
    let dest = match to {
        "postgres" => Side::postgres(),
        "mysql" => Side::mariadb(),
        _ => Side::sqlite(folder.path(), "to.db"),
    };
    let source = Side::postgres();
    let table = "CREATE TABLE t (id int PRIMARY KEY, name varchar(40), label varchar(40))";
    source.execute(&format!("{table}; INSERT INTO t SELECT i, 'n' || i, 'N' || i FROM generate_series(1, 300) i"));
    dest.execute(table);
    (source, dest)
}

// rule: R40
#[test]
fn what_others_write_during_a_diff_is_overwritten_or_found_by_the_next_one() {
    for to in ["postgres", "mysql", "sqlite"] {
        for options in ["", EXPRESSION] {
            let folder = tempfile::tempdir().unwrap();
            let (source, dest) = sides(to, &folder);
            let world = World::between(&source, &dest, &format!("{MIRROR}{options}"));
            world.run(&[], 0);
            world.run(&[], 0);
            source
                .execute("UPDATE t SET name = 'new' WHERE id IN (1, 2); INSERT INTO t VALUES (301, 'x', 'X'); DELETE FROM t WHERE id = 4");
            let books = run_while(
                &world,
                &dest,
                "UPDATE t SET name = 'theirs' WHERE id IN (1, 4, 10); DELETE FROM t WHERE id IN (2, 11);
                 INSERT INTO t VALUES (301, 'theirs', NULL), (900, 'theirs', NULL)",
            );
            assert!(books.balance().is_ok(), "{to}: {books:?}");
            assert_eq!((books.created + books.updated, books.deleted), (3, 1), "{to} {options}: {books:?}");
            let now = "SELECT count(*) FROM t WHERE (id IN (1, 2) AND name = 'new') OR (id = 301 AND name = 'x' AND label = 'X')";
            assert_eq!(dest.value(now), "3", "{to} {options}");
            // Rows that were equal when they were looked at: theirs until the next run.
            let run = world.run(&[], 0);
            assert_eq!((book(&run, "created"), book(&run, "updated"), book(&run, "deleted")), (1, 1, 1), "{to} {options}: {run}");
            assert_eq!(written(&world.run(&[], 0)), 0, "{to} {options}");
            world.syncline(&["verify"]).ends_with(0);
        }
    }
}

// rule: R12, R40
#[test]
fn what_was_seen_wrong_and_put_right_by_others_is_not_remembered_as_agreed_on() {
    for to in ["postgres", "mysql", "sqlite"] {
        let folder = tempfile::tempdir().unwrap();
        let (source, dest) = sides(to, &folder);
        let world = World::between(&source, &dest, &format!("{MIRROR}{EXPRESSION}"));
        world.run(&[], 0);
        world.run(&[], 0);
        let wrong = "UPDATE t SET name = 'wrong' WHERE id = 7";
        dest.execute(wrong);
        let books = run_while(&world, &dest, "UPDATE t SET name = 'n7' WHERE id = 7");
        assert_eq!((books.written(), books.fetched), (0, 1), "{to}: {books:?}");
        dest.execute(wrong);
        let run = world.run(&[], 0);
        assert_eq!((book(&run, "updated"), dest.value("SELECT name FROM t WHERE id = 7")), (1, "n7".to_owned()), "{to}: {run}");
    }
}
