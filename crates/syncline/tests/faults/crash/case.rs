//! One case: break the run at a point, run again, and look at everything.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::lane::{Lane, Scenario};
use super::story;

/// Where and how a run is broken.
#[derive(Clone, Debug)]
pub struct Case {
    pub scenario: Scenario,
    pub point: &'static str,
    pub action: &'static str,
    /// Which passage of the point.
    pub nth: usize,
}

/// What an undisturbed run does.
#[derive(Debug)]
pub struct Expected {
    /// Created, updated, deleted.
    effects: [u64; 3],
    /// Exit code.
    code: i32,
    /// Parked rows.
    parked: Vec<(String, String, String)>,
    /// Deletions on record.
    deletions: Vec<String>,
    /// Points passed, and how often.
    pub points: BTreeMap<String, usize>,
}

fn effects<'a>(runs: impl IntoIterator<Item = &'a Json>) -> [u64; 3] {
    let mut sum = [0; 3];
    for run in runs {
        for (i, name) in ["created", "updated", "deleted"].into_iter().enumerate() {
            sum[i] += run["books"][name].as_u64().unwrap_or(0);
        }
    }
    sum
}

/// Runs undisturbed from the start of a scenario and notes which points were passed.
pub fn survey(lane: &Lane, scenario: Scenario) -> Expected {
    lane.reset(scenario);
    let log = lane.world.path("points.log");
    // Of the last case.
    let _ = std::fs::remove_file(&log);
    let answer = lane.run(&[("SYNCLINE_FAIL_LOG", &log.display().to_string())]);
    let report = answer.json()[0].clone();
    assert_eq!(lane.difference(), None, "an undisturbed run: {}", answer.said());
    let mut points = BTreeMap::new();
    for point in std::fs::read_to_string(&log).expect("points were logged").lines() {
        *points.entry(point.to_owned()).or_insert(0) += 1;
    }
    std::fs::remove_file(&log).expect("removed");
    let parked = lane.world.parked();
    let (stream, key, code) = story::PARKED;
    // In a new table of a server nothing stands in its way: the source has dropped the constraint.
    let all = if scenario == Scenario::Edited || lane.dest.kind() == "sqlite" {
        vec![(stream.to_owned(), key.to_owned(), code.to_owned())]
    } else {
        Vec::new()
    };
    assert_eq!(parked, all);
    Expected { effects: effects([&report]), code: answer.code.expect("ended by itself"), parked, deletions: lane.deletions(), points }
}

/// Everything that has to hold; `Err` says what does not.
pub fn check(lane: &Lane, case: &Case, expected: &Expected) -> Result<(), String> {
    lane.reset(case.scenario);
    let before = if case.scenario == Scenario::Edited { 1 } else { 0 };
    let log = lane.world.path("points.log");
    let _ = std::fs::remove_file(&log);
    let fault = format!("{}={}@{}", case.point, case.action, case.nth);
    let broken = lane.run(&[("SYNCLINE_FAIL", &fault), ("SYNCLINE_FAIL_LOG", &log.display().to_string())]);
    let passed = std::fs::read_to_string(&log).unwrap_or_default();
    ensure(passed.lines().filter(|l| *l == case.point).count() >= case.nth, || "the point was not passed".to_owned())?;
    match (case.action, broken.code) {
        ("abort", None) => lane.world.let_leases_end(),
        ("abort", Some(code)) => return Err(format!("the process did not abort but ended with {code}: {}", broken.said())),
        (_, Some(1)) => {}
        (_, Some(code)) if code == expected.code => {
            let all_there = lane.difference().is_none();
            ensure(all_there, || format!("success was reported too early: {}", broken.said()))?;
        }
        (_, code) => return Err(format!("ended with {code:?}: {}", broken.said())),
    }
    let again = lane.run(&[]);
    ensure(again.code == Some(expected.code), || format!("the next run: {}\nafter {}", again.said(), broken.said()))?;
    if let Some(difference) = lane.difference() {
        return Err(difference);
    }
    look_at_history(lane, before, expected)?;
    let third = lane.run(&[]);
    ensure(third.code == Some(expected.code), || format!("the third run: {}", third.said()))?;
    let written = effects([&third.json()[0]]);
    ensure(written == [0; 3], || format!("the third run wrote {written:?}"))?;
    let leftovers = lane.leftovers();
    ensure(leftovers.is_empty(), || format!("left behind: {leftovers:?}"))
}

/// All effects are on record exactly once, no run is open, and only what must be is parked.
fn look_at_history(lane: &Lane, before: usize, expected: &Expected) -> Result<(), String> {
    let runs = lane.world.runs();
    let runs = &runs[before..];
    let open = runs.iter().filter(|r| r["status"] == "running").count();
    ensure(open == 0, || format!("{open} runs are left open: {runs:#?}"))?;
    let counted = effects(runs);
    ensure(counted == expected.effects, || format!("on record are {counted:?}, the data changed by {:?}: {runs:#?}", expected.effects))?;
    for run in runs {
        let b = |name: &str| run["books"][name].as_u64().unwrap_or(0);
        let placed = b("created") + b("updated") + b("unchanged") + b("kept") + b("merged") + b("parked");
        let balanced = b("in_scope") == b("equal_by_digest") + b("fetched") && b("fetched") == placed;
        ensure(balanced, || format!("books do not balance: {run:#}"))?;
    }
    let deletions = lane.deletions();
    ensure(deletions == expected.deletions, || format!("deletions on record are {deletions:?}, not {:?}", expected.deletions))?;
    let parked = lane.world.parked();
    ensure(parked == expected.parked, || format!("parked are {parked:?}"))
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
