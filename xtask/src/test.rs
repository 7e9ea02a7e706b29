//! `cargo xtask test`: everything that has to hold, in one command, on a machine with nothing but a Rust toolchain.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::command::{cargo, is_installed, must, succeeds};
use crate::servers::Servers;
use crate::tally::Tally;
use crate::{install, tidy};

/// A later step runs even when an earlier one failed, so that one run shows everything there is to mend.
pub(crate) fn run() -> Result<ExitCode> {
    let mut tally = Tally::default();
    let outcome = install::ensure().and_then(|()| steps(&mut tally));
    let failed = outcome.unwrap_or_else(|error| vec![format!("{error:#}")]);
    std::io::stdout().flush()?;
    for step in &failed {
        eprintln!("failed: {step}");
    }
    // The last line, whatever happened: scripts read it.
    println!("{tally}");
    Ok(if failed.is_empty() && tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The names of the steps that failed.
fn steps(tally: &mut Tally) -> Result<Vec<String>> {
    let mut failed = Vec::new();
    let mut step = |name: &str, run: &mut dyn FnMut() -> Result<bool>| {
        eprintln!("\n── {name}");
        match run() {
            Ok(true) => {}
            Ok(false) => failed.push(name.to_owned()),
            Err(error) => failed.push(format!("{name}: {error:#}")),
        }
    };
    step("format", &mut || succeeds(&mut cargo(&["fmt", "--all", "--check"])));
    step("lints", &mut || succeeds(&mut cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"])));
    step("house rules", &mut tidy::holds);
    step("tests", &mut || tests(tally));
    step("documentation", &mut || succeeds(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings")));
    if is_installed("cargo-deny") {
        step("dependencies", &mut || succeeds(&mut cargo(&["deny", "check"])));
    }
    Ok(failed)
}

/// All tests, on one pair of servers that this run owns.
fn tests(tally: &mut Tally) -> Result<bool> {
    const ALL: [&str; 3] = ["test", "--workspace", "--all-features"];
    must(cargo(&ALL).arg("--no-run"))?;
    let servers = Servers::start()?;
    let mut command = cargo(&ALL);
    command.arg("--no-fail-fast").envs(servers.variables()).stdin(Stdio::null());
    let succeeded = count(&mut command, tally)?;
    Ok(succeeded && tally.is_good())
}

/// Passes the output of `command` through line by line, and counts as it goes.
fn count(command: &mut Command, tally: &mut Tally) -> Result<bool> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("run cargo test")?;
    let mut lines = BufReader::new(child.stdout.take().context("the output of cargo test")?);
    let mut stdout = std::io::stdout();
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        stdout.write_all(&line)?;
        tally.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(child.wait()?.success())
}
