//! One run at a time, and none waits for a dead one: a killed run's lock is taken over at once by a process that can see that it is gone.

use std::process::{Child, Command};
use std::thread::{self, JoinHandle};

use crate::rig::{Answer, Side, World, wait};
use crate::{book, written};

/// A run that has staged its rows and waits for a lock at the destination, and who holds that lock.
struct Stuck {
    to: Side,
    world: World,
    run: Child,
    locker: Option<JoinHandle<()>>,
}

const SLEEPING: &str =
    "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(3600)' AND wait_event = 'PgSleep'";

impl Stuck {
    fn new() -> Self {
        Self::of("")
    }

    fn of(options: &str) -> Self {
        let (from, to) = (Side::mariadb(), Side::postgres());
        from.execute("CREATE TABLE person (id int PRIMARY KEY, name varchar(40)); INSERT INTO person VALUES (1, 'a'), (2, 'b')");
        let world = World::between(&from, &to, options);
        world.run(&[], 0);
        from.execute("UPDATE person SET name = 'new' WHERE id = 1");
        let db = to.database().clone();
        let locker = thread::spawn(move || {
            let sql = "BEGIN; UPDATE person SET name = name; SELECT pg_sleep(3600)";
            assert!(wait(db.try_execute(sql)).is_err(), "somebody has to cancel it");
        });
        let until = |what: &str| while to.value(&format!("SELECT count(*) {what}")) == "0" {};
        until(SLEEPING);
        let run = world.start(&["run", "--json"], &[]);
        until("FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'");
        Self { to, world, run, locker: Some(locker) }
    }

    fn state(&self) -> Side {
        Side::File(self.world.path(".syncline/state.db"))
    }

    /// The lease ends on no day that anybody lives to see.
    fn hold_for_ever(&self) {
        self.state().execute("UPDATE locks SET until_at = 9000000000000000000");
    }

    fn let_go(&mut self) {
        self.to.execute(&format!("SELECT pg_cancel_backend(pid) {SLEEPING}"));
        self.locker.take().expect("it is there").join().expect("the locker ends");
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.run.id().to_string()]).status().expect("kill is there").success());
    }
}

// users: U18, U19
// case: A4
#[test]
fn after_a_kill_the_next_run_starts_at_once_and_settles_the_dead_one() {
    let mut stuck = Stuck::new();
    let token = || stuck.state().value("SELECT token FROM locks").parse::<u64>().unwrap();
    let before = token();
    stuck.signal("-KILL");
    stuck.hold_for_ever();
    stuck.let_go();
    let run = stuck.world.run(&[], 0);
    assert_eq!(book(&run, "updated"), 1, "{run}");
    assert!(stuck.state().value("SELECT token FROM locks").parse::<u64>().unwrap() > before, "the fencing token grows");
    let runs = stuck.world.runs();
    assert_eq!((&runs[1]["status"], &runs[1]["error"]["code"]), (&"failed".into(), &"process_died".into()), "{runs:#?}");
    assert_eq!(stuck.to.content("person", &["id", "name"], "true"), "1|new;2|b");
    assert_eq!(written(&stuck.world.run(&[], 0)), 0);
    stuck.run.wait().unwrap();
}

// users: U18
#[test]
fn the_lock_of_a_process_that_lives_or_that_cannot_be_seen_is_never_taken() {
    let mut stuck = Stuck::new();
    // Stopped is not gone.
    stuck.signal("-STOP");
    let refused = |stuck: &Stuck| {
        let answer = stuck.world.syncline(&["run"]).ends_with(1);
        assert!(answer.stderr.contains("error[lock_held]"), "{}", answer.said());
    };
    refused(&stuck);
    stuck.signal("-KILL");
    stuck.run.wait().unwrap();
    stuck.hold_for_ever();
    let process = stuck.state().value("SELECT process FROM locks");
    let [place, id, start] = process.split(' ').collect::<Vec<_>>()[..] else { panic!("{process}") };
    let say = |process: String| stuck.state().execute(&format!("UPDATE locks SET process = {process}"));
    say(format!("'another-machine/pid:[1] {id} {start}'"));
    refused(&stuck);
    say("NULL".to_owned());
    refused(&stuck);
    // This number belongs to a living process, which is another one than the holder was.
    say(format!("'{place} {} {start}'", std::process::id()));
    stuck.let_go();
    assert_eq!(book(&stuck.world.run(&[], 0), "updated"), 1);
}

// users: U18
// case: X3
// rule: R24
#[test]
fn a_run_that_was_stopped_for_longer_than_its_lease_commits_nothing_beside_its_successor() {
    for atomic in ["run", "stream", "batch"] {
        let mut stuck = Stuck::of(&format!("    atomic: {atomic}\n"));
        stuck.signal("-STOP");
        // The server goes on with the statement that it has, and holds the row for the run that sleeps.
        stuck.let_go();
        stuck.world.let_leases_end();
        let next = stuck.world.start(&["run", "--json"], &[]);
        while stuck.state().value("SELECT status FROM runs WHERE number = 2") == "running" {}
        stuck.signal("-CONT");
        let late = Answer::of(&stuck.run.wait_with_output().unwrap());
        assert_eq!(late.code, Some(1), "{atomic}: {}", late.said());
        assert!(late.stderr.contains("error[lock_lost]"), "{atomic}: {}", late.said());
        let next = Answer::of(&next.wait_with_output().unwrap()).ends_with(0);
        assert_eq!(book(&next.json()[0], "updated"), 1, "{atomic}: {}", next.said());
        let runs = stuck.world.runs();
        assert_eq!((&runs[1]["status"], &runs[1]["books"]["updated"]), (&"failed".into(), &0.into()), "{atomic}: {runs:#?}");
        assert_eq!(stuck.to.content("person", &["id", "name"], "true"), "1|new;2|b");
        assert_eq!(written(&stuck.world.run(&[], 0)), 0);
    }
}

// users: U18
// rule: R24
#[test]
fn a_run_that_lost_its_lock_before_it_wrote_down_what_it_commits_commits_nothing() {
    let mut stuck = Stuck::of("");
    stuck.state().execute("UPDATE locks SET run = 'another', token = token + 1, until_at = 9000000000000000000");
    stuck.let_go();
    let late = Answer::of(&stuck.run.wait_with_output().unwrap());
    assert!(late.code == Some(1) && late.stderr.contains("error[lock_lost]"), "{}", late.said());
    assert_eq!(stuck.to.content("person", &["id", "name"], "true"), "1|a;2|b");
}
