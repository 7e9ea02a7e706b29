//! Whole jobs through the real binary on real servers, a module per topic.

mod real_jobs;
mod same;

#[path = "../faults/rig/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of faults, which need more of it")]
mod rig;
