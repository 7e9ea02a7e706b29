//! `syncline plan`: what a run would change, field by field. Writes nothing anywhere, but the plan file that was asked for.

use std::fs;
use std::path::{Path, PathBuf};

use syncline_engine::RunOptions;
use syncline_engine::planned::not_applicable;
use syncline_engine::report::Plan;

use super::project::{Project, Touch};
use super::run::{ModeName, place};
use super::{Context, Outcome};
use crate::render::failure::{Exit, Failure};
use crate::render::{json, plan};

/// Options of `plan`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// The sync [default: the only one]
    pub sync: Option<String>,
    /// Write the plan to FILE, for `run --plan FILE`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// End with 4 when something would change, or wait for a person
    #[arg(long)]
    pub exit_code: bool,
    /// Changes to list at most
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub limit: usize,
    /// Instead of the configured mode
    #[arg(long, value_enum, value_name = "MODE")]
    pub mode: Option<ModeName>,
    /// Only this stream (may be repeated)
    #[arg(long = "stream", value_name = "STREAM")]
    pub streams: Vec<String>,
    /// Only this scope
    #[arg(long, value_name = "SCOPE")]
    pub scope: Option<String>,
    /// Also plan the deletions that the guard would hold back
    #[arg(long)]
    pub approve_deletes: bool,
}

/// Plans; the file holds every change, the terminal at most `--limit`.
pub async fn execute(context: &Context, args: Args) -> Outcome {
    let project = Project::open(context, Touch::Read)?;
    let sync = project.sync(args.sync.as_deref())?;
    let (mode, approve_deletes) = (args.mode.map(Into::into), args.approve_deletes);
    let options = RunOptions { mode, streams: args.streams, scope: args.scope, approve_deletes, ..RunOptions::default() };
    let changes_max = if args.out.is_some() { usize::MAX } else { args.limit };
    let plans = {
        let engine = project.engine(context, project.store(Touch::Read)?);
        engine.plan(sync, options, changes_max).await.map_err(|e| Failure::from(e).at(place(sync)))?
    };
    if let Some(file) = &args.out {
        save(file, &plans)?;
    }
    show(context, &plans, args.limit);
    if let Some(file) = &args.out {
        context.out.note(format!("plan written to {0}; apply exactly this with `syncline run {1} --plan {0}`", file.display(), sync.name));
    }
    let nothing = plans.iter().all(Plan::is_empty);
    Ok(if args.exit_code && !nothing { Exit::Differences } else { Exit::Good })
}

fn show(context: &Context, plans: &[Plan], limit: usize) {
    if context.out.json() {
        context.out.document(&json::public(&plans));
        return;
    }
    for (i, each) in plans.iter().enumerate() {
        if i > 0 {
            context.out.line("");
        }
        plan::print(&context.out, each, limit);
    }
}

/// Reading a plan back is `run --plan`; a plan file is one plan, so several scopes have to be planned one by one.
fn save(file: &Path, plans: &[Plan]) -> Result<(), Failure> {
    let [one] = plans else {
        let scopes: Vec<&str> = plans.iter().map(|p| p.scope.as_str()).collect();
        let hint = format!("name one with --scope: {}", scopes.join(", "));
        return Err(Failure::usage("argument_missing", "a plan file holds the plan of one scope").hint(hint));
    };
    if let Some(why) = &one.not_applicable {
        return Err(not_applicable(why).into());
    }
    let text = serde_json::to_string_pretty(one).map_err(|e| Failure::failed("internal", "write the plan").because(&e))?;
    fs::write(file, text + "\n").map_err(|e| Failure::failed("file_unwritable", format!("write `{}`", file.display())).because(&e))
}

/// The plan in a file that `--out` wrote.
pub fn read(file: &Path) -> Result<Plan, Failure> {
    let text = fs::read_to_string(file).map_err(|e| Failure::usage("file_missing", format!("read `{}`", file.display())).because(&e))?;
    serde_json::from_str(&text).map_err(|e| {
        Failure::usage("plan_invalid", format!("`{}` is no plan", file.display()))
            .because(&e)
            .hint("make one with `syncline plan --out FILE`")
    })
}
