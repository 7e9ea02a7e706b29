//! `syncline config check|schema`: is the configuration right, and what may be in it.

use super::project::{Project, Touch};
use super::{Context, Outcome};
use crate::render::failure::Exit;

/// Options of `config`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What `config` does.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum Action {
    /// Read the configuration and say whether it is right; no database is asked
    Check,
    /// Print the JSON Schema of the configuration, for editors
    Schema,
}

/// Checks or prints.
pub fn execute(context: &Context, args: &Args) -> Outcome {
    match args.action {
        Action::Check => check(context),
        Action::Schema => schema(context),
    }
}

fn check(context: &Context) -> Outcome {
    let project = Project::open(context, Touch::Read)?;
    let syncs: Vec<&str> = project.syncs.iter().map(|s| s.name.as_str()).collect();
    let connections: Vec<&str> = project.connections.keys().map(String::as_str).collect();
    if context.out.json() {
        let file = project.path.display().to_string();
        context.out.document(&serde_json::json!({ "file": file, "syncs": syncs, "connections": connections }));
        return Ok(Exit::Good);
    }
    context.out.line(format!("{} is right", project.path.display()));
    context.out.line(format!("  connections  {}", connections.join(", ")));
    context.out.line(format!("  syncs        {}", syncs.join(", ")));
    Ok(Exit::Good)
}

fn schema(context: &Context) -> Outcome {
    context.out.document(&syncline::config::schema());
    Ok(Exit::Good)
}
