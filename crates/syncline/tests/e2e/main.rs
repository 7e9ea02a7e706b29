//! Whole jobs through the real binary on real servers, a module per topic.

mod bad_inputs;
mod deletes;
mod drift;
mod engines;
mod ids;
mod keep;
mod keys;
mod locks;
mod logs;
mod meanwhile;
mod modes;
mod odd_keys;
mod one_digest;
mod outcomes;
mod plan;
mod reach;
mod real_jobs;
mod remembered;
mod same;
mod scopes;
mod shapes;
mod straight;
mod verifying;

#[path = "../faults/rig/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests of faults, which need more of it")]
mod rig;

use serde_json::Value as Json;

/// A number of the books of a run.
#[track_caller]
fn book(run: &Json, name: &str) -> u64 {
    run["books"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {run}"))
}

/// What the report of a run says of a stream.
#[track_caller]
fn stream<'r>(run: &'r Json, name: &str) -> &'r Json {
    let streams = run["streams"].as_array().expect("a list");
    streams.iter().find(|s| s["stream"] == name).unwrap_or_else(|| panic!("no stream {name} in {run}"))
}

/// Records that a run wrote.
#[track_caller]
fn written(run: &Json) -> u64 {
    ["created", "updated", "deleted"].iter().map(|b| book(run, b)).sum()
}
