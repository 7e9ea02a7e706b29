//! `syncline conflicts RUN`: what both sides had changed, who won, and why.

use syncline_store::rows::{ConflictRow, Page};

use super::project::{Project, Touch};
use super::{Context, Outcome, select};
use crate::render::failure::Exit;
use crate::render::out::{Out, Tone};
use crate::render::{json, text};

/// Options of `conflicts`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of the run, the beginning of its id, or `last`
    pub run: String,
    /// Conflicts to list at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: u32,
    /// Conflicts to skip
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub offset: u64,
}

/// Lists conflicts.
pub async fn execute(context: &Context, args: Args) -> Outcome {
    let project = Project::open(context, Touch::Read)?;
    let store = project.store(Touch::Read)?;
    let mut tx = store.begin().await?;
    let run = select::run(&mut *tx, &args.run).await?;
    let rows = tx.list_conflicts(&run.id, &Page { offset: args.offset, limit: args.limit }).await?;
    if context.out.json() {
        context.out.document(&json::public(&rows));
    } else if rows.is_empty() {
        context.out.note(format!("run {} had no conflicts", run.number));
    } else {
        print(&context.out, &rows);
    }
    Ok(Exit::Good)
}

fn print(out: &Out, rows: &[ConflictRow]) {
    let mut last = (String::new(), String::new());
    for row in rows {
        let this = (row.stream.clone(), row.key_json.clone());
        if this != last {
            let heading = format!("{} {}", text::harmless(&row.stream), text::key(&row.key_json));
            out.line(out.paint(Tone::Strong, &heading));
            last = this;
        }
        let side = |name: &str, json: &str| {
            let tone = if row.winner == name { Tone::Good } else { Tone::Dim };
            out.paint(tone, &format!("{name} {}", text::value_text(json)))
        };
        let (source, destination) = (side("source", &row.source_json), side("destination", &row.destination_json));
        out.line(format!("  {}: {source} · {destination} → {}", text::harmless(&row.field), text::value_text(&row.resolved_json)));
        out.line(format!("    {}", out.paint(Tone::Dim, &text::harmless(&row.note))));
    }
}
