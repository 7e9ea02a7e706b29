//! `cargo xtask bench [NAME]`: the benchmarks of `docs/benchmarks.md`. They measure; they never fail on a number.

use std::process::ExitCode;

use anyhow::{Result, bail};

/// Name and what is measured; the bounds are in `docs/benchmarks.md`.
const BENCHES: &[(&str, &str)] = &[
    ("copy", "PostgreSQL → PostgreSQL, 1 M rows into an empty database"),
    ("mysql", "MariaDB → PostgreSQL, 1 M rows into an empty database"),
    ("diff", "two 1 M-row tables with 100 differences, found and repaired"),
    ("upsert", "100 k changed rows into 1 M"),
    ("noop", "1 M unchanged rows: incremental, and in full with nothing rewritten"),
    ("grow", "10 M rows instead of 1 M, and one 64 MB value among them"),
];

pub(crate) fn run(options: &[&str]) -> Result<ExitCode> {
    let names: Vec<&str> = match options {
        [] => BENCHES.iter().map(|(name, _)| *name).collect(),
        [name] if BENCHES.iter().any(|(known, _)| known == name) => vec![name],
        _ => {
            let known: Vec<String> = BENCHES.iter().map(|(name, what)| format!("  {name:<8}{what}")).collect();
            bail!("usage: cargo xtask bench [NAME]\n{}", known.join("\n"));
        }
    };
    bail!("bench {}: not written yet", names.join(", "))
}
