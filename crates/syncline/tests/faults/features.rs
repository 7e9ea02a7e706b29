//! Crashes of runs that do more than copy: undo, parked rows tried again, incremental reads, ids of our own.

use serde_json::Value as Json;

use crate::rig::{Answer, Side, World};

const COLUMNS: [&str; 3] = ["id", "word", "n"];

/// Every place around a commit, broken in every way that makes a difference there.
const FAULTS: [&str; 10] = [
    "apply.end=abort",
    "commit.intent=abort",
    "commit.send=abort",
    "commit.send=cut",
    "commit.answer=abort",
    "commit.answer=lose",
    "commit.recorded=abort",
    "finish.parked=abort",
    "finish.checkpoint=abort",
    "finish.end=abort",
];

fn films(side: &Side) {
    let (time, list) =
        if side.kind() == "mysql" { ("timestamp(6)", "seq FROM seq_1_to_40") } else { ("timestamptz", "i FROM generate_series(1, 40) i") };
    let number = list.split(' ').next().expect("a word");
    side.execute(&format!(
        "CREATE TABLE film (id int PRIMARY KEY, word varchar(40), n int, changed {time} NOT NULL);
         INSERT INTO film SELECT {number}, 'word', {number}, '2024-01-01' {}",
        list.trim_start_matches(number)
    ));
}

fn content(side: &Side) -> String {
    side.content("film", &COLUMNS, "1 = 1")
}

/// Breaks a command. It died, or failed and said so, or had nothing left to lose.
fn broken(world: &World, args: &[&str], fault: &str) -> Answer {
    let answer = world.syncline_with(args, &[("SYNCLINE_FAIL", fault)]);
    let allowed: &[Option<i32>] = match fault.split_once('=').expect("a fault").1 {
        "abort" => &[None],
        "lose" => &[Some(0), Some(3)],
        _ => &[Some(1)],
    };
    assert!(allowed.contains(&answer.code), "{fault}: {}", answer.said());
    world.let_leases_end();
    answer
}

fn last(world: &World) -> Json {
    world.runs().pop().expect("a run")
}

// case: A6, A7, A12
// rule: R24, R28
#[test]
fn an_undo_that_is_broken_around_its_commit_is_made_once() {
    for (source, dest) in [(Side::postgres(), Side::postgres()), (Side::mariadb(), Side::mariadb())] {
        films(&source);
        let world = World::between(&source, &dest, "    deletes: mirror\n    owns: table\n");
        world.run(&[], 0);
        for (i, fault) in FAULTS.iter().enumerate() {
            let before = content(&dest);
            let (id, new) = (i + 1, i + 100);
            source.execute(&format!(
                "UPDATE film SET n = n + 1000 WHERE id = 40; DELETE FROM film WHERE id = {id}; INSERT INTO film VALUES ({new}, 'new', 1, '2024-01-01')"
            ));
            world.run(&[], 0);
            let number = last(&world)["number"].to_string();
            broken(&world, &["undo", &number], fault);
            let again = world.syncline(&["undo", &number]);
            assert!(again.code == Some(0) || again.said().contains("undone_already"), "{fault}: {}", again.said());
            assert_eq!(content(&dest), before, "{fault}");
            let runs = world.runs();
            let of_it = |r: &&Json| r["of_run"].as_str().is_some() && r["status"] == "succeeded";
            let undone = runs.iter().find(|r| r["number"].as_u64() == number.parse().ok()).expect("the run");
            let by: Vec<_> = runs.iter().filter(of_it).filter(|r| r["of_run"] == undone["id"]).collect();
            assert_eq!(by.len(), 1, "{fault}: {by:#?}");
            assert_eq!(undone["undone_by"], by[0]["id"], "{fault}");
            assert_eq!(
                ["created", "updated", "deleted"].map(|n| by[0]["books"][n].as_u64()),
                [Some(1), Some(1), Some(1)],
                "{fault}: {by:#?}"
            );
            world.run(&[], 0);
            assert_eq!(content(&dest), content(&source), "{fault}");
        }
    }
}

// case: A6, A7, A12
// rule: R24, R29
#[test]
fn a_retry_of_parked_rows_that_is_broken_around_its_commit_closes_each_once() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    films(&source);
    let world = World::between(&source, &dest, "");
    world.run(&[], 0);
    for (i, fault) in FAULTS.iter().enumerate() {
        let (id, value) = (i + 1, i + 5000);
        dest.execute(&format!("ALTER TABLE film ADD CONSTRAINT odd CHECK (n <> {value})"));
        source.execute(&format!("UPDATE film SET n = {value} WHERE id = {id}"));
        world.run(&[], 3);
        assert_eq!(world.parked().len(), 1, "{fault}");
        dest.execute("ALTER TABLE film DROP CONSTRAINT odd");
        broken(&world, &["parked", "--retry", "--all"], fault);
        world.syncline(&["parked", "--retry", "--all"]).ends_with(0);
        world.run(&[], 0);
        assert_eq!((world.parked(), content(&dest)), (Vec::new(), content(&source)), "{fault}");
        let state = Side::File(world.path(".syncline/state.db"));
        let entries = state.value(&format!("SELECT count(*) || ' ' || min(outcome) FROM parked_rows WHERE key_json = '[{id}]'"));
        assert_eq!(entries, "1 applied", "{fault}");
        let written: u64 = world.runs().iter().map(|r| r["books"]["updated"].as_u64().expect("a count")).sum();
        assert_eq!(written, i as u64 + 1, "{fault}");
    }
}

// req: S3-STATE, FR-008
// case: A6, A7, A8
// rule: R5, R24
#[test]
fn an_incremental_run_that_is_broken_around_its_commit_loses_no_row_and_moves_its_position_once() {
    for (source, dest) in [(Side::postgres(), Side::postgres()), (Side::postgres(), Side::mariadb()), (Side::mariadb(), Side::postgres())] {
        films(&source);
        let world = World::between(&source, &dest, "    mode: incremental\n    streams: { film: { cursor: changed } }\n");
        world.run(&[], 0);
        let state = Side::File(world.path(".syncline/state.db"));
        let position = || state.query("SELECT * FROM sync_state");
        for (i, fault) in FAULTS.iter().enumerate() {
            let before = position();
            source.execute(&format!("UPDATE film SET n = n + 1000, changed = now() WHERE id = {}", i + 1));
            broken(&world, &["run"], fault);
            // `lose` finds its commit and goes on to its end.
            assert_eq!(position() == before, !fault.ends_with("lose"), "{fault}");
            source.execute(&format!("UPDATE film SET n = n + 1000, changed = now() WHERE id = {}", i + 20));
            let run = world.run(&[], 0);
            assert_eq!(run["streams"][0]["mode"], "incremental", "{fault}: {run:#}");
            assert_ne!(position(), before, "{fault}");
            assert_eq!(content(&dest), content(&source), "{fault}");
            let written: u64 = world.runs().iter().map(|r| r["books"]["updated"].as_u64().expect("a count")).sum();
            assert_eq!(written, 2 * (i as u64 + 1), "{fault}");
        }
    }
}

// req: FR-010
// case: A6, A12, D24
// rule: R24
#[test]
fn ids_of_our_own_survive_a_run_that_is_broken_around_its_commit() {
    let (source, dest) = (Side::mariadb(), Side::postgres());
    films(&source);
    dest.execute("CREATE TABLE film (id uuid PRIMARY KEY, word text, n int)");
    let options = "    streams: { film: { ids: state, fields_only: true, fields: { id: id, word: word, n: n } } }\n";
    let world = World::between(&source, &dest, options);
    world.run(&[], 0);
    let state = Side::File(world.path(".syncline/state.db"));
    for (i, fault) in FAULTS.iter().enumerate() {
        let new = i + 100;
        source.execute(&format!("INSERT INTO film VALUES ({new}, 'new', {new}, '2024-01-01'); UPDATE film SET n = n + 1000 WHERE id = 5"));
        broken(&world, &["run"], fault);
        let run = world.run(&[], 0);
        let rows = (41 + i).to_string();
        assert_eq!(dest.value("SELECT count(*) FROM film"), rows, "{fault}: {run:#}");
        assert_eq!(state.value("SELECT count(*) FROM id_map"), rows, "{fault}");
        let sums = "SELECT sum(n) FROM film";
        assert_eq!(dest.value(sums), source.value(sums), "{fault}");
    }
}
