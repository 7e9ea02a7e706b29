//! Runs into tables that are there and empty, broken while rows go straight into them, and while they are taken back (R20).

use crate::rig::{Side, World};

const COLUMNS: [&str; 3] = ["id", "room_id", "label"];
const FAULTS: [&str; 3] = ["abort", "cut", "error"];

/// Two tables, the child's rows in an order in which each points at a parent; with `bad` one of them is refused.
fn sides(bad: bool) -> (Side, Side) {
    let (source, dest) = (Side::postgres(), Side::postgres());
    let tables = "CREATE TABLE room (id int PRIMARY KEY, room_id int, label text);
                  CREATE TABLE bed (id int PRIMARY KEY, room_id int REFERENCES room (id), label text)";
    source.execute(&format!(
        "{tables}; INSERT INTO room SELECT i, NULL, 'r' || i FROM generate_series(1, 3000) i;
         INSERT INTO bed SELECT i, i, 'b' || i FROM generate_series(1, 3000) i"
    ));
    dest.execute(tables);
    if bad {
        dest.execute("ALTER TABLE bed ADD CONSTRAINT odd CHECK (id <> 1500)");
    }
    (source, dest)
}

fn difference(source: &Side, dest: &Side, but: &str) -> Option<String> {
    let differs = |table: &&&str| source.content(table, &COLUMNS, but) != dest.content(table, &COLUMNS, "1 = 1");
    ["room", "bed"].iter().find(differs).map(|t| (*t).to_owned())
}

/// Breaks the nth passage of a point in every way; nothing of the broken run stays, and the next one does all of it.
fn break_at(point: &str, nth: usize, bad: bool) {
    let (source, dest) = sides(bad);
    let (code, rows, but) = if bad { (3, 5999, "id <> 1500 OR label = 'r1500'") } else { (0, 6000, "1 = 1") };
    for fault in FAULTS {
        let world = World::between(&source, &dest, "");
        let log = world.path("points.log");
        let variables = [("SYNCLINE_FAIL", &*format!("{point}={fault}@{nth}")), ("SYNCLINE_FAIL_LOG", &*log.display().to_string())];
        let broken = world.syncline_with(&["run", "--json"], &variables);
        assert_eq!(broken.code, if fault == "abort" { None } else { Some(1) }, "{point}={fault}: {}", broken.said());
        let passed = std::fs::read_to_string(&log).expect("points were logged");
        assert_eq!(passed.lines().filter(|l| *l == point).count(), nth, "{point}={fault}");
        assert_eq!(dest.value("SELECT (SELECT count(*) FROM room) + (SELECT count(*) FROM bed)"), "0", "{point}={fault}");
        world.let_leases_end();
        let run = world.run(&[], code);
        assert_eq!(run["books"]["created"], rows, "{point}={fault}: {run:#}");
        assert_eq!(difference(&source, &dest, but), None, "{point}={fault}");
        assert_eq!(dest.value("SELECT count(*) FROM syncline_before"), rows.to_string(), "{point}={fault}");
        let third = world.run(&[], code);
        assert_eq!(third["books"]["created"], 0, "{point}={fault}: {third:#}");
        dest.execute("TRUNCATE room, bed; DELETE FROM syncline_before; DELETE FROM syncline_marker");
    }
}

// case: A5, A6, A9
// rule: R20, R24
#[test]
fn a_run_that_breaks_while_rows_go_straight_into_an_empty_table_leaves_it_empty() {
    for (point, nth) in [("straight.lock", 1), ("stage.raw", 2), ("straight.end", 2), ("apply.before", 1), ("apply.end", 1)] {
        break_at(point, nth, false);
    }
}

// case: A5, A6, A9
// rule: R20, R21, R24
#[test]
fn a_run_that_breaks_while_refused_rows_are_taken_back_and_staged_leaves_the_table_empty() {
    for (point, nth) in [("straight.refused", 1), ("stage.create", 1), ("stage.batch", 1), ("apply.insert", 1)] {
        break_at(point, nth, true);
    }
}
