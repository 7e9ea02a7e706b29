//! `syncline verify`: proves that both sides are the same, and leaves a report. With `--repair` writes the differences first.

use serde_json::json;
use syncline_engine::RunOptions;
use syncline_engine::report::VerifyReport;
use syncline_store::rows::Page;

use super::project::{Project, Touch};
use super::run::place;
use super::{Context, Outcome, history, select};
use crate::render::failure::{Exit, Failure};
use crate::render::{json as public_json, verify};

/// Options of `verify`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// The sync [default: the only one]
    pub sync: Option<String>,
    /// List the reports that earlier verifies left, newest first
    #[arg(long, conflicts_with_all = ["repair", "sample", "streams", "scope"])]
    pub list: bool,
    /// Write the differences to the destination, then verify again
    #[arg(long)]
    pub repair: bool,
    /// Share of rows to compare: `0.1` or `10%` [default: every row]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub sample: Option<f64>,
    /// Only this stream (may be repeated)
    #[arg(long = "stream", value_name = "STREAM")]
    pub streams: Vec<String>,
    /// Only this scope
    #[arg(long, value_name = "SCOPE")]
    pub scope: Option<String>,
    /// With --repair: also make the deletions that the guard would hold back
    #[arg(long, requires = "repair")]
    pub approve_deletes: bool,
}

/// Verifies; differences are exit code 4.
pub async fn execute(context: &Context, args: Args) -> Outcome {
    if args.list {
        return list(context, args.sync.as_deref()).await;
    }
    let project = Project::open(context, Touch::Write)?;
    let sync = project.sync(args.sync.as_deref())?;
    let store = project.store(Touch::Write)?;
    // The report is a trace, too; a repair is a run, which the engine puts on record itself.
    let detail = json!({ "streams": args.streams, "scope": args.scope, "sample": args.sample, "repair": args.repair });
    history::audit(&*store, context, "verify", Some(&sync.name), &detail).await?;
    let options = RunOptions { streams: args.streams, scope: args.scope, approve_deletes: args.approve_deletes, ..RunOptions::default() };
    let reports = {
        let engine = project.engine(context, store);
        engine.verify(sync, options, args.sample.unwrap_or(1.0), args.repair).await.map_err(|e| Failure::from(e).at(place(sync)))?
    };
    for report in &reports {
        tracing::info!(verify = report.id, sync = report.sync, scope = report.scope, passed = report.passed, "verify ended");
    }
    show(context, &reports);
    Ok(if reports.iter().all(|r| r.passed) { Exit::Good } else { Exit::Differences })
}

/// Reports, for people or machines.
pub fn show(context: &Context, reports: &[VerifyReport]) {
    if context.out.json() {
        context.out.document(&public_json::public(&reports));
        return;
    }
    for report in reports {
        verify::print(&context.out, report);
    }
}

/// How many reports are listed: a longer history is for `export`.
const LISTED_MAX: u32 = 100;

async fn list(context: &Context, name: Option<&str>) -> Outcome {
    let project = Project::open(context, Touch::Read)?;
    let sync = name.map(|n| project.sync(Some(n))).transpose()?.map(|s| s.name.as_str());
    let rows = project.store(Touch::Read)?.begin().await?.list_verify(sync, &Page { offset: 0, limit: LISTED_MAX }).await?;
    if context.out.json() {
        let reports = rows.iter().map(select::report).collect::<Result<Vec<_>, _>>()?;
        context.out.document(&public_json::public(&reports));
    } else if rows.is_empty() {
        context.out.note("no verify reports yet: `syncline verify` makes one");
    } else {
        verify::list(&context.out, &rows);
    }
    Ok(Exit::Good)
}

/// `0.1` and `10%` are the same; 0 and more than all are mistakes.
fn share(text: &str) -> Result<f64, String> {
    let (digits, scale) = text.strip_suffix('%').map_or((text, 1.0), |d| (d, 100.0));
    let share = digits.trim().parse::<f64>().map_err(|_| "not a share such as 0.1 or 10%".to_owned())? / scale;
    if share > 0.0 && share <= 1.0 { Ok(share) } else { Err("a share is more than 0 and at most 1 (100%)".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_fraction_or_a_percentage_within_bounds() {
        assert_eq!(share("0.25"), Ok(0.25));
        assert_eq!(share("10%"), Ok(0.1));
        assert!(["0", "1.5", "120%", "-1", "ten", "NaN"].iter().all(|s| share(s).is_err()));
    }
}
