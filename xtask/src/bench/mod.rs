//! `cargo xtask bench [NAME…] [--runs N]`: the benchmarks of `docs/benchmarks.md`. They measure; they never fail on a number.

mod copy;
mod diff;
mod grow;
mod measure;
mod members;
mod mysql;
mod noop;
mod peer;
mod product;
mod report;
mod rig;
mod upsert;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::command::{cargo, must};
use crate::install;
use measure::Row;
use rig::Rig;

/// A benchmark of its own section in `docs/benchmarks.md`.
struct Bench {
    name: &'static str,
    what: &'static str,
    run: fn(&Rig) -> Result<Vec<Row>>,
    /// Whether it runs when none is named.
    by_default: bool,
}

/// The bounds are in `docs/benchmarks.md`.
const BENCHES: &[Bench] = &[
    Bench { name: "copy", what: "PostgreSQL → PostgreSQL, 1 M rows into an empty database", run: copy::run, by_default: true },
    Bench { name: "mysql", what: "MariaDB → PostgreSQL, 1 M rows into an empty database", run: mysql::run, by_default: true },
    Bench { name: "diff", what: "two 1 M-row tables with 100 differences, found and repaired", run: diff::run, by_default: true },
    Bench { name: "upsert", what: "100 k changed rows into 1 M", run: upsert::run, by_default: true },
    Bench { name: "noop", what: "1 M unchanged rows: incremental, and in full with nothing rewritten", run: noop::run, by_default: true },
    Bench { name: "grow", what: "10 M rows instead of 1 M, and one 64 MB value among 1 M rows", run: grow::run, by_default: false },
];

/// Names another binary to measure, for comparing two versions; then nothing is built.
const BINARY: &str = "SYNCLINE_BENCH_BINARY";

/// Floors and product take turns this often.
const RUNS: usize = 5;

pub(crate) fn run(options: &[&str]) -> Result<ExitCode> {
    let (chosen, runs) = parse(options)?;
    install::ensure()?;
    if std::env::var_os(BINARY).is_none() {
        must(&mut cargo(&["build", "--release", "-p", "syncline"]))?;
        must(&mut cargo(&["build", "-p", "syncline-testkit", "--bin", "test-servers"]))?;
    }
    let rig = Rig::start(runs)?;
    report::machine(&rig)?;
    for bench in chosen {
        eprintln!("\n── {}: {}", bench.name, bench.what);
        let rows = (bench.run)(&rig).with_context(|| format!("bench {}", bench.name))?;
        report::print(&rows);
        report::section(bench.name, &rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn parse(options: &[&str]) -> Result<(Vec<&'static Bench>, usize)> {
    let (mut chosen, mut runs) = (Vec::new(), RUNS);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        if *option == "--runs" {
            runs = options.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0).context("--runs needs a number")?;
        } else if let Some(bench) = BENCHES.iter().find(|b| b.name == *option) {
            chosen.push(bench);
        } else {
            let known: Vec<String> = BENCHES.iter().map(|b| format!("  {:<8}{}", b.name, b.what)).collect();
            bail!("usage: cargo xtask bench [NAME…] [--runs N]\n{}", known.join("\n"));
        }
    }
    if chosen.is_empty() {
        chosen = BENCHES.iter().filter(|b| b.by_default).collect();
    }
    Ok((chosen, runs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_named_means_all_but_the_long_one() {
        let (chosen, runs) = parse(&[]).unwrap();
        let names: Vec<&str> = chosen.iter().map(|b| b.name).collect();
        assert_eq!((names.as_slice(), runs), (&["copy", "mysql", "diff", "upsert", "noop"][..], RUNS));
    }

    #[test]
    fn names_and_the_number_of_runs_come_in_any_order() {
        let (chosen, runs) = parse(&["grow", "--runs", "3", "copy"]).unwrap();
        assert_eq!((chosen.len(), runs), (2, 3));
        assert!(parse(&["--runs"]).is_err());
        assert!(parse(&["fast"]).is_err());
    }
}
