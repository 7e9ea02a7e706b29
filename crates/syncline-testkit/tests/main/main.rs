//! The servers of the testkit do what the tests of other crates rely on.

#![allow(clippy::unwrap_used, reason = "tests")]

mod network_faults;
mod sample;
mod servers;
