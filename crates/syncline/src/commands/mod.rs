//! The commands, one file each. A command reads its arguments, asks the engine or the state, and hands the answer to `render`.

pub mod analyze;
pub mod audit;
pub mod check;
pub mod config;
pub mod conflicts;
pub mod context;
pub mod demo;
pub mod discover;
pub mod explain;
pub mod export;
pub mod help;
pub mod history;
pub mod ids;
pub mod init;
pub mod parked;
pub mod plan;
pub mod project;
pub mod run;
pub mod runs;
pub mod select;
pub mod show;
pub mod status;
pub mod undo;
pub mod verify;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use context::Context;

use crate::render::failure::{Exit, Failure};

/// What a command gives back.
pub type Outcome = Result<Exit, Failure>;

/// Keep two databases the same, and prove it
#[derive(Debug, Parser)]
#[command(name = "syncline", version, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    /// Configuration file [default: syncline.yaml here]
    #[arg(short, long, global = true, value_name = "FILE", display_order = 100)]
    pub config: Option<PathBuf>,

    /// Answer as one JSON document on stdout
    #[arg(long, global = true, display_order = 101)]
    pub json: bool,

    /// Tell on stderr what is being done
    #[arg(short, long, global = true, display_order = 102)]
    pub verbose: bool,

    /// No progress on stderr, only errors
    #[arg(short, long, global = true, display_order = 103, conflicts_with = "verbose")]
    pub quiet: bool,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look at two databases and write a configuration worth keeping
    Init(init::Args),
    /// Are both sides reachable, are the rights there, do the types fit
    Check(check::Args),
    /// List what a connection holds: tables, columns, keys
    Discover(discover::Args),
    /// Show what a run would change, field by field; writes nothing anywhere
    Plan(plan::Args),
    /// Make the destination the same as the source
    Run(run::Args),
    /// Prove that both sides are the same, by a way of its own
    Verify(verify::Args),
    /// How every sync stands: last run, lag, parked rows, who runs it now
    Status(status::Args),
    /// List runs, newest first
    Runs(runs::Args),
    /// Show one run in full: books, deletions, notes, error
    Show(show::Args),
    /// List who wrote what, newest first
    Audit(audit::Args),
    /// List the conflicts of a run and how each was decided
    Conflicts(conflicts::Args),
    /// List rows that were set aside; try them again or let them go
    Parked(parked::Args),
    /// Restore what a run changed
    Undo(undo::Args),
    /// Write a run, a verify report or a stretch of history to stdout
    Export(export::Args),
    /// Id mapping of a sync: coverage, orphans, which old id a new one had
    Ids(ids::Args),
    /// Read existing migration scripts and say what to keep of them
    Analyze(analyze::Args),
    /// Explain an error code
    Explain(explain::Args),
    /// Check the configuration, or print its JSON Schema
    Config(config::Args),
    /// Watch Syncline at work on a made-up sports federation
    Demo(demo::Args),
}

/// Calls the command.
pub async fn dispatch(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Init(args) => init::execute(context, args).await,
        Command::Check(args) => check::execute(context, args).await,
        Command::Discover(args) => discover::execute(context, args).await,
        Command::Plan(args) => plan::execute(context, args).await,
        Command::Run(args) => run::execute(context, args).await,
        Command::Verify(args) => verify::execute(context, args).await,
        Command::Status(args) => status::execute(context, args).await,
        Command::Runs(args) => runs::execute(context, args).await,
        Command::Show(args) => show::execute(context, args).await,
        Command::Audit(args) => audit::execute(context, args).await,
        Command::Conflicts(args) => conflicts::execute(context, args).await,
        Command::Parked(args) => parked::execute(context, args).await,
        Command::Undo(args) => undo::execute(context, args).await,
        Command::Export(args) => export::execute(context, args).await,
        Command::Ids(args) => ids::execute(context, args).await,
        Command::Analyze(args) => analyze::execute(context, args),
        Command::Explain(args) => explain::execute(context, &args),
        Command::Config(args) => config::execute(context, &args),
        Command::Demo(args) => demo::execute(context, args).await,
    }
}
