//! Which points are broken on which route. Together the routes pass every point there is.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

use syncline_connector::fail::POINTS;

use super::case::{Case, Expected, check, survey};
use super::lane::{Lane, Scenario};
use super::story::{self, Shape};
use crate::rig::Side;

/// Destinations worked on side by side; more would only wait for each other on a small machine.
const LANES: usize = 2;

const MIRROR: &str = "    deletes: mirror\n    owns: table\n    streams: { \"*\": {}, note: { mode: full } }\n";
const KEEPING: &str = "    edits: keep\n    clears: true\n    conflicts: source_wins\n    deletes: mirror\n    owns: table\n";

/// How thoroughly a route is broken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Every point that the route passes, every action.
    Every,
    /// Points between the parts of a run: a middle passage, of the commits also the last.
    Parts,
}

/// Points at which one statement is sent, so that its answer can be lost after the server did the work.
const STATEMENTS: &[&str] = &[
    "stage.create",
    "apply.reject",
    "apply.delete_first",
    "apply.update",
    "apply.insert",
    "apply.delete",
    "apply.index",
    "apply.constraint",
    "apply.sequence",
    "apply.marker",
    "commit.send",
    "commit.answer",
];

impl Depth {
    /// The ways in which a point is broken. Between two statements, and in our own state, a lost answer is a cut.
    fn actions(self, point: &str) -> &'static [&'static str] {
        match self {
            Self::Every if STATEMENTS.contains(&point) => &["abort", "cut", "lose"],
            Self::Parts if matches!(point, "commit.send" | "commit.answer") => &["abort", "cut", "lose"],
            Self::Every => &["abort", "cut"],
            Self::Parts if point.starts_with("commit.") => &["abort", "cut"],
            Self::Parts => &["abort"],
        }
    }

    /// Which passages of a point that is passed so often.
    fn passages(self, point: &str, passed: usize) -> BTreeSet<usize> {
        match self {
            Self::Every => BTreeSet::from([1]),
            Self::Parts if matches!(point, "commit.send" | "commit.answer") => BTreeSet::from([passed.div_ceil(2), passed]),
            Self::Parts => BTreeSet::from([passed.div_ceil(2)]),
        }
    }
}

struct Route {
    source: Side,
    dest: &'static str,
    options: &'static str,
    scenarios: &'static [Scenario],
    /// Only these points; all when empty.
    only: &'static [&'static str],
    depth: Depth,
    shape: Shape,
}

/// Breaks every point that the route passes, once per action, and gives the points that were passed. Each point is broken in the first
/// scenario that passes it.
fn break_all(route: &Route) -> BTreeSet<String> {
    story::fill(&route.source, route.shape);
    let lanes: Vec<Lane> = (0..LANES).map(|_| Lane::open(&route.source, route.dest, route.options)).collect();
    story::edit(&route.source, route.shape);
    let mut passed = BTreeSet::new();
    let mut problems = Vec::new();
    for &scenario in route.scenarios {
        let expected = survey(&lanes[0], scenario);
        let mut cases = VecDeque::new();
        for &point in POINTS.iter().filter(|p| route.only.is_empty() || route.only.contains(p)) {
            let Some(&times) = expected.points.get(point).filter(|_| route.depth == Depth::Parts || !passed.contains(point)) else {
                continue;
            };
            for nth in route.depth.passages(point, times) {
                cases.extend(route.depth.actions(point).iter().map(|&action| Case { scenario, point, action, nth }));
            }
        }
        problems.extend(work_off(&lanes, cases, &expected));
        passed.extend(expected.points.into_keys());
    }
    assert!(problems.is_empty(), "{} cases failed:\n{}", problems.len(), problems.join("\n\n"));
    passed
}

/// All lanes take cases until none is left; what went wrong.
fn work_off(lanes: &[Lane], cases: VecDeque<Case>, expected: &Expected) -> Vec<String> {
    let (work, problems) = (Mutex::new(cases), Mutex::new(Vec::new()));
    let next = || work.lock().expect("no thread panicked").pop_front();
    let run = |lane: &Lane| {
        while let Some(case) = next() {
            if let Err(problem) = check(lane, &case, expected) {
                problems.lock().expect("no thread panicked").push(format!("{case:?}: {problem}"));
            }
        }
    };
    std::thread::scope(|scope| lanes.iter().for_each(|lane| drop(scope.spawn(|| run(lane)))));
    problems.into_inner().expect("no thread panicked")
}

const BOTH: &[Scenario] = &[Scenario::Edited, Scenario::Fresh];

// req: S2-A4, S2-E3
// case: A5, A6, A7, A8, A9, A10, A12
// rule: R24
#[test]
fn postgres_to_postgres_survives_a_fault_at_every_point() {
    let route = Route {
        source: Side::postgres(),
        dest: "postgres",
        options: MIRROR,
        scenarios: BOTH,
        only: &[],
        depth: Depth::Every,
        shape: Shape::Knotted,
    };
    let mut passed = break_all(&route);
    passed.extend(break_all(&keeping()));
    // Those of a load in parts, of its undo, and of a load into an empty table have tests of their own: `first_load.rs`,
    // `first_load_mariadb.rs`, `undo_created.rs`, `straight.rs`.
    let elsewhere = |p: &&&str| ["load.", "name.", "undo.", "straight."].iter().any(|own| p.starts_with(own));
    let missing: Vec<&&str> = POINTS.iter().filter(|p| !elsewhere(p) && !passed.contains(**p)).collect();
    assert!(missing.is_empty(), "no run passed {missing:?}");
}

/// The points that only a sync passes which keeps edits made at the destination.
fn keeping() -> Route {
    let only = &["stage.expected", "apply.expect", "apply.lock", "commit.intent", "commit.send", "commit.answer", "commit.recorded"];
    Route {
        source: Side::postgres(),
        dest: "postgres",
        options: KEEPING,
        scenarios: &[Scenario::Edited],
        only,
        depth: Depth::Every,
        shape: Shape::Knotted,
    }
}

// case: A6, A12
// rule: R6, R24, R40
#[test]
fn edits_kept_at_mariadb_survive_a_fault_at_every_point_of_theirs() {
    break_all(&Route { source: Side::postgres(), dest: "mysql", ..keeping() });
}

// case: A5, A6, A7, A8, A9, A10, A12
// rule: R24
#[test]
fn mariadb_to_postgres_survives_a_fault_at_every_point() {
    break_all(&Route {
        source: Side::mariadb(),
        dest: "postgres",
        options: MIRROR,
        scenarios: BOTH,
        only: &[],
        depth: Depth::Every,
        shape: Shape::Knotted,
    });
}

// case: A5, A6, A7, A8, A9, A10, A12
// rule: R19, R24
#[test]
fn postgres_to_mariadb_survives_a_fault_at_every_point() {
    break_all(&Route {
        source: Side::postgres(),
        dest: "mysql",
        options: MIRROR,
        scenarios: BOTH,
        only: &[],
        depth: Depth::Every,
        shape: Shape::Knotted,
    });
}

// case: A5, A6, A7, A8, A9, A10, A12
// rule: R24
#[test]
fn sqlite_to_sqlite_survives_a_fault_at_every_point() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Side::sqlite(folder.path(), "from.db");
    break_all(&Route { source, dest: "sqlite", options: MIRROR, scenarios: BOTH, only: &[], depth: Depth::Every, shape: Shape::Knotted });
}

/// Points at which a run that commits in parts has something to lose.
const BETWEEN_PARTS: &[&str] = &[
    "run.begun",
    "stage.batch",
    "stage.deletes",
    "apply.end",
    "commit.intent",
    "commit.send",
    "commit.answer",
    "commit.recorded",
    "finish.books",
    "finish.parked",
    "finish.checkpoint",
    "finish.end",
];

fn break_between_parts(source: Side, dest: &'static str, options: &'static str, scenarios: &'static [Scenario]) {
    break_all(&Route { source, dest, options, scenarios, only: BETWEEN_PARTS, depth: Depth::Parts, shape: Shape::Plain });
}

const BY_STREAM: &str = "    atomic: stream\n    deletes: mirror\n    owns: table\n";
const BY_BATCH: &str = "    atomic: batch\n    deletes: mirror\n    owns: table\n";

// case: A5, A6, A7, A8, A10, A12
// rule: R18, R24
#[test]
fn parts_committed_by_stream_are_on_record_whatever_breaks_between_two_postgres() {
    break_between_parts(Side::postgres(), "postgres", BY_STREAM, &[Scenario::Edited]);
}

// case: A5, A6, A7, A8, A10, A12
// rule: R18, R19, R24
#[test]
fn parts_committed_by_stream_are_on_record_whatever_breaks_on_the_way_to_mariadb() {
    break_between_parts(Side::postgres(), "mysql", BY_STREAM, BOTH);
}

// case: A5, A6, A7, A8, A10, A12
// rule: R18, R24
#[test]
fn parts_committed_by_stream_are_on_record_whatever_breaks_on_the_way_from_mariadb() {
    break_between_parts(Side::mariadb(), "postgres", BY_STREAM, &[Scenario::Fresh]);
}

// case: A5, A6, A7, A8, A10, A12
// rule: R18, R24
#[test]
fn parts_committed_by_batch_are_on_record_whatever_breaks_between_two_postgres() {
    break_between_parts(Side::postgres(), "postgres", BY_BATCH, &[Scenario::Edited]);
}

// case: A5, A6, A7, A8, A10, A12
// rule: R18, R19, R24
#[test]
fn parts_committed_by_batch_are_on_record_whatever_breaks_on_the_way_to_mariadb() {
    break_between_parts(Side::postgres(), "mysql", BY_BATCH, &[Scenario::Fresh]);
}

// case: A5, A6, A7, A8, A10, A12
// rule: R18, R24
#[test]
fn parts_committed_by_batch_are_on_record_whatever_breaks_on_the_way_from_mariadb() {
    break_between_parts(Side::mariadb(), "postgres", BY_BATCH, &[Scenario::Edited]);
}
