//! `syncline undo RUN`: restores what a run created, updated and deleted, from its before-images.

use syncline_store::rows::RunStatus;

use super::project::{Project, Touch};
use super::run::{place, show};
use super::{Context, Outcome, select};
use crate::render::failure::Failure;

/// Options of `undo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of the run, the beginning of its id, or `last`
    pub run: String,
}

/// Undoes; rows changed since are refused and listed (exit code 3).
pub async fn execute(context: &Context, args: Args) -> Outcome {
    let project = Project::open(context, Touch::Write)?;
    let store = project.store(Touch::Write)?;
    let run = {
        let mut tx = store.begin().await?;
        select::run(&mut *tx, &args.run).await?
    };
    if let Some(by) = &run.undone_by {
        return Err(Failure::failed("undone_already", format!("run {} was undone by {by}", run.number)));
    }
    // What a run left that never ended is known once it is settled.
    if !run.undoable && run.status != RunStatus::Running {
        if run.books.written() == 0 {
            let failure = Failure::failed("not_undoable", format!("run {} wrote nothing, so there is nothing to undo", run.number));
            return Err(failure.hint("`syncline runs` lists the runs with what they wrote").at(format!("sync {}", run.sync)));
        }
        let failure = Failure::failed("not_undoable", format!("run {} kept no before-images", run.number));
        return Err(failure.hint("`syncline show` says why; `undo: on` keeps them for runs to come").at(format!("sync {}", run.sync)));
    }
    let sync = project.sync(Some(&run.sync))?;
    let report = {
        let engine = project.engine(context, store);
        engine.undo(sync, &run.id).await.map_err(|e| Failure::from(e).at(place(sync)))?
    };
    Ok(show(context, vec![report]))
}
