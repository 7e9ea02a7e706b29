//! `syncline analyze PATH…`: what existing migration scripts do, table by table, and what to keep of them (FR-001).

use std::path::PathBuf;

use syncline_engine::EngineError;

use super::{Context, Outcome};
use crate::render::failure::Exit;

/// Options of `analyze`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Scripts, or folders with scripts
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// Analyses.
pub fn execute(context: &Context, args: Args) -> Outcome {
    let report = syncline::analyze::analyze(&args.paths).map_err(EngineError::from)?;
    if context.out.json() {
        context.out.document(&report);
    } else {
        context.out.raw(&report.to_string());
    }
    Ok(Exit::Good)
}
