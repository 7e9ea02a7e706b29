//! `syncline runs`: the history, newest first.

use clap::ValueEnum;
use syncline_store::rows::{Page, RunFilter, RunStatus};

use super::export::since;
use super::project::{Project, Touch};
use super::{Context, Outcome};
use crate::render::failure::Exit;
use crate::render::{json, run};

/// Options of `runs`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only of this sync
    pub sync: Option<String>,
    /// Only of this scope
    #[arg(long, value_name = "SCOPE")]
    pub scope: Option<String>,
    /// Only with this status
    #[arg(long, value_enum, value_name = "STATUS")]
    pub status: Option<StatusName>,
    /// Only started since: `2026-11-20`, `2026-11-20T08:00:00Z`, `36h`, `7d`
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Runs to list at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: u32,
    /// Runs to skip
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub offset: u64,
}

/// A status on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StatusName {
    Running,
    Succeeded,
    Partial,
    Failed,
    Cancelled,
}

impl From<StatusName> for RunStatus {
    fn from(name: StatusName) -> Self {
        match name {
            StatusName::Running => Self::Running,
            StatusName::Succeeded => Self::Succeeded,
            StatusName::Partial => Self::Partial,
            StatusName::Failed => Self::Failed,
            StatusName::Cancelled => Self::Cancelled,
        }
    }
}

/// Lists runs.
pub async fn execute(context: &Context, args: Args) -> Outcome {
    let project = Project::open(context, Touch::Read)?;
    let sync = args.sync.as_deref().map(|name| project.sync(Some(name))).transpose()?;
    let filter = RunFilter {
        sync: sync.map(|s| s.name.clone()),
        scope: args.scope,
        status: args.status.map(Into::into),
        since: args.since.as_deref().map(|t| since(t, context.clock.now())).transpose()?,
    };
    let store = project.store(Touch::Read)?;
    let runs = store.begin().await?.list_runs(&filter, &Page { offset: args.offset, limit: args.limit }).await?;
    if context.out.json() {
        context.out.document(&json::public(&runs));
    } else if runs.is_empty() {
        context.out.note("no runs yet: start one with `syncline run`");
    } else {
        run::list(&context.out, &runs);
    }
    Ok(Exit::Good)
}
