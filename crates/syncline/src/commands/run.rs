//! `syncline run`: make the destination the same as the source.

use std::path::PathBuf;

use syncline_engine::spec::{Mode, SyncSpec};
use syncline_engine::{RunOptions, RunReport};
use syncline_store::StateStore;

use super::project::{Project, Touch};
use super::{Context, Outcome, history, plan};
use crate::render::failure::{Exit, Failure};
use crate::render::{json, run, text};

/// A mode on the command line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum ModeName {
    Full,
    Incremental,
    Diff,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Full => Self::Full,
            ModeName::Incremental => Self::Incremental,
            ModeName::Diff => Self::Diff,
        }
    }
}

/// Options of `run`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// The sync [default: the only one]
    pub sync: Option<String>,
    /// Instead of the configured mode
    #[arg(long, value_enum, value_name = "MODE")]
    pub mode: Option<ModeName>,
    /// Only this stream (may be repeated)
    #[arg(long = "stream", value_name = "STREAM")]
    pub streams: Vec<String>,
    /// Only the record with this source key: `42`, or `7,de` for a key of two columns
    #[arg(long, value_name = "KEY", allow_hyphen_values = true, conflicts_with = "mode")]
    pub key: Option<String>,
    /// Only this scope
    #[arg(long, value_name = "SCOPE")]
    pub scope: Option<String>,
    /// Exactly the plan in FILE; refused when one of its rows changed since
    #[arg(long, value_name = "FILE", conflicts_with_all = ["mode", "streams", "key", "approve_deletes"])]
    pub plan: Option<PathBuf>,
    /// Also make the deletions that the guard would hold back, in this run only
    #[arg(long)]
    pub approve_deletes: bool,
    /// Wait for another run of this sync instead of failing
    #[arg(long)]
    pub wait: bool,
}

/// Runs. The exit code is that of the worst scope.
pub async fn execute(context: &Context, args: Args) -> Outcome {
    let project = Project::open(context, Touch::Write)?;
    let named = args.sync.clone();
    let options = options(args)?;
    let sync = project.sync(named.as_deref().or(options.plan.as_ref().map(|p| p.sync.as_str())))?;
    check_key(&options)?;
    let store = project.store(Touch::Write)?;
    let reports = {
        let engine = project.engine(context, store.clone());
        if options.wait {
            tell_who_is_waited_for(context, &*store, &sync.name).await?;
        }
        engine.run(sync, options).await.map_err(|e| Failure::from(e).at(place(sync)))?
    };
    history::prune(&*store, context, &project.history).await;
    Ok(show(context, reports))
}

fn options(args: Args) -> Result<RunOptions, Failure> {
    let plan = args.plan.as_deref().map(plan::read).transpose()?;
    let scope = args.scope.or_else(|| plan.as_ref().map(|p| p.scope.clone()).filter(|s| !s.is_empty()));
    Ok(RunOptions {
        mode: args.mode.map(Into::into),
        streams: args.streams,
        key: args.key,
        scope,
        approve_deletes: args.approve_deletes,
        wait: args.wait,
        plan,
        ..RunOptions::default()
    })
}

/// Nothing is more worrying than a command that does nothing and does not say why.
async fn tell_who_is_waited_for(context: &Context, store: &dyn StateStore, sync: &str) -> Result<(), Failure> {
    let mut tx = store.begin().await?;
    let locks = tx.list_locks().await?;
    tx.commit().await?;
    let prefix = format!("run/{sync}/");
    for lock in locks.iter().filter(|l| l.name.starts_with(&prefix) && l.until > context.clock.now()) {
        context.out.note(format!("waiting for {}, who runs this sync since {} UTC", lock.holder, text::instant(lock.since)));
    }
    Ok(())
}

/// A key means nothing without its table.
fn check_key(options: &RunOptions) -> Result<(), Failure> {
    if options.key.is_some() && options.streams.len() != 1 {
        return Err(Failure::usage("argument_missing", "--key needs the stream it belongs to").hint("add one --stream STREAM"));
    }
    Ok(())
}

/// `where:` of an error about a sync.
pub fn place(sync: &SyncSpec) -> String {
    format!("sync {}", sync.name)
}

/// Shows the reports, logs each, and gives the exit code of the worst.
pub fn show(context: &Context, reports: Vec<RunReport>) -> Exit {
    let reports: Vec<RunReport> = reports.into_iter().map(|r| without_secrets(context, r)).collect();
    for report in &reports {
        let b = &report.books;
        let (created, updated, deleted, parked, held_back) = (b.created, b.updated, b.deleted, b.parked, b.held_back);
        tracing::info!(run = report.id, sync = report.sync, in_scope = b.in_scope, created, updated, deleted, parked, held_back, "books");
    }
    if context.out.json() {
        context.out.document(&json::public(&reports));
    } else {
        for (i, report) in reports.iter().enumerate() {
            if i > 0 {
                context.out.line("");
            }
            run::print(&context.out, report);
        }
    }
    worst(reports.iter().map(run::exit))
}

/// Connectors promise errors without secrets; that promise is not all there is.
pub fn without_secrets(context: &Context, mut run: RunReport) -> RunReport {
    if let Some(e) = &mut run.error {
        e.message = context.secrets.redact(&e.message);
        e.causes = e.causes.iter().map(|c| context.secrets.redact(c)).collect();
    }
    run
}

/// An interruption outranks a failure, a failure outranks what is partial.
fn worst(exits: impl Iterator<Item = Exit>) -> Exit {
    exits
        .max_by_key(|e| match e {
            Exit::Good => 0,
            Exit::Differences => 1,
            Exit::Partial => 2,
            Exit::Usage => 3,
            Exit::Failed => 4,
            Exit::Interrupted => 5,
        })
        .unwrap_or(Exit::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_scope_decides_the_exit_code() {
        assert_eq!(worst([Exit::Good, Exit::Partial].into_iter()), Exit::Partial);
        assert_eq!(worst([Exit::Failed, Exit::Partial, Exit::Good].into_iter()), Exit::Failed);
        assert_eq!(worst([Exit::Failed, Exit::Interrupted].into_iter()), Exit::Interrupted);
        assert_eq!(worst(std::iter::empty()), Exit::Good);
    }
}
