//! Every chore of the project: `cargo xtask demo`, `test`, `tidy`, `bench`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its user")]

mod bench;
mod command;
mod demo;
mod install;
mod servers;
mod tally;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test                      everything CI runs: format, lints, house rules, all tests on real servers, documentation
  tidy [--bless [--allow-new] | --claims]
                            the house rules only; --bless rewrites xtask/ratchet.txt, which may only shrink;
                            --claims writes the tests into docs/requirements.md and docs/faults.md
  demo                      builds the release binary and plays the demo
  bench [NAME…] [--runs N]  the benchmarks of docs/benchmarks.md: copy mysql diff upsert noop, and grow only when named";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["test"] => test::run(),
        ["tidy", options @ ..] => tidy::run(options),
        ["demo", options @ ..] => demo::run(options),
        ["bench", options @ ..] => bench::run(options),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
