//! The SQLite connector on real files.
#![allow(clippy::unwrap_used, missing_docs, reason = "test code")]

mod support;

mod catalogue;
mod conformance;
mod copy;
mod digests;
mod refusals;
mod snapshots;
mod values;
