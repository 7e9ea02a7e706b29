//! Which points are broken on which route. Together the routes pass every point there is.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

use syncline_connector::fail::POINTS;

use super::case::{Case, Expected, check, survey};
use super::lane::{Lane, Scenario};
use super::story;
use crate::rig::Side;

/// Destinations worked on side by side; more would only wait for each other on a small machine.
const LANES: usize = 2;

const MIRROR: &str = "    deletes: mirror\n    owns: table\n    streams: { \"*\": {}, note: { mode: full } }\n";
const KEEPING: &str = "    edits: keep\n    clears: true\n    conflicts: source_wins\n    deletes: mirror\n    owns: table\n";

/// How thoroughly a route is broken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Every point, every action.
    Full,
    /// Aborts and cuts everywhere, lost answers at the commit.
    Usual,
    /// Every point once: aborted.
    Aborts,
}

impl Depth {
    fn actions(self, point: &str) -> &'static [&'static str] {
        match self {
            Self::Full => &["abort", "cut", "lose"],
            Self::Usual | Self::Aborts if point.starts_with("commit.") => &["abort", "cut", "lose"],
            Self::Usual => &["abort", "cut"],
            Self::Aborts => &["abort"],
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
}

/// Breaks every point that the route passes, once per action, and gives the points that were passed. Each point is broken in the first
/// scenario that passes it.
fn break_all(route: &Route) -> BTreeSet<String> {
    story::fill(&route.source);
    let lanes: Vec<Lane> = (0..LANES).map(|_| Lane::open(&route.source, route.dest, route.options)).collect();
    story::edit(&route.source);
    let mut passed = BTreeSet::new();
    let mut problems = Vec::new();
    for &scenario in route.scenarios {
        let expected = survey(&lanes[0], scenario);
        let new = |p: &&&str| expected.points.iter().any(|e| e == **p) && !passed.contains(**p);
        let wanted = POINTS.iter().filter(new).filter(|p| route.only.is_empty() || route.only.contains(p));
        let cases = wanted.flat_map(|&point| route.depth.actions(point).iter().map(move |&action| Case { scenario, point, action }));
        problems.extend(work_off(&lanes, cases.collect(), &expected));
        passed.extend(expected.points);
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
    let route = Route { source: Side::postgres(), dest: "postgres", options: MIRROR, scenarios: BOTH, only: &[], depth: Depth::Full };
    let mut passed = break_all(&route);
    passed.extend(break_all(&keeping()));
    // Those of a load in parts have tests of their own, in `first_load.rs`.
    let missing: Vec<&&str> = POINTS.iter().filter(|p| !p.starts_with("load.") && !passed.contains(**p)).collect();
    assert!(missing.is_empty(), "no run passed {missing:?}");
}

/// The points that only a sync passes which keeps edits made at the destination.
fn keeping() -> Route {
    let only = &["stage.expected", "apply.expect", "apply.lock", "commit.intent", "commit.send", "commit.answer", "commit.recorded"];
    Route { source: Side::postgres(), dest: "postgres", options: KEEPING, scenarios: &[Scenario::Edited], only, depth: Depth::Full }
}

// case: A5, A6, A7, A8, A9, A10, A12
// rule: R24
#[test]
fn mariadb_to_postgres_survives_a_fault_at_every_point() {
    break_all(&Route { source: Side::mariadb(), dest: "postgres", options: MIRROR, scenarios: BOTH, only: &[], depth: Depth::Usual });
}

// case: A5, A6, A7, A8, A9, A10, A12
// rule: R19, R24
#[test]
fn postgres_to_mariadb_survives_a_fault_at_every_point() {
    break_all(&Route { source: Side::postgres(), dest: "mysql", options: MIRROR, scenarios: BOTH, only: &[], depth: Depth::Usual });
}

// case: A5, A6, A7, A8, A9, A10, A12
// rule: R24
#[test]
fn sqlite_to_sqlite_survives_a_fault_at_every_point() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Side::sqlite(folder.path(), "from.db");
    break_all(&Route { source, dest: "sqlite", options: MIRROR, scenarios: BOTH, only: &[], depth: Depth::Aborts });
}
