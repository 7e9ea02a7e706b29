//! `cargo xtask demo`: builds the real binary and lets it play its own demo.

use std::process::ExitCode;

use anyhow::Result;

use crate::command::{cargo, must, program, succeeds, target_dir};

pub(crate) fn run(options: &[&str]) -> Result<ExitCode> {
    must(&mut cargo(&["build", "--release", "-p", "syncline"]))?;
    let binary = target_dir()?.join("release/syncline");
    let played = succeeds(program(&binary.to_string_lossy(), &["demo"]).args(options))?;
    Ok(if played { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
