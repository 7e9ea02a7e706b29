//! `syncline audit`: every command that wrote or meant to, newest first.

use syncline_store::rows::{AuditFilter, AuditRow, Page};

use super::export::since;
use super::project::{Project, Touch};
use super::{Context, Outcome};
use crate::render::failure::Exit;
use crate::render::out::Out;
use crate::render::table::{Grid, words};
use crate::render::{json, text};

/// Options of `audit`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only of this sync, also of one that is not configured any more
    pub sync: Option<String>,
    /// Only since: `2026-11-20`, `2026-11-20T08:00:00Z`, `36h`, `7d`
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Lines to list at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
    /// Lines to skip
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub offset: u64,
}

/// Lists the audit log.
pub async fn execute(context: &Context, args: Args) -> Outcome {
    let project = Project::open(context, Touch::Read)?;
    let store = project.store(Touch::Read)?;
    let since = args.since.as_deref().map(|t| since(t, context.clock.now())).transpose()?;
    let filter = AuditFilter { sync: args.sync, since };
    let lines = store.begin().await?.list_audit(&filter, &Page { offset: args.offset, limit: args.limit }).await?;
    if context.out.json() {
        context.out.document(&json::public(&lines));
    } else if lines.is_empty() {
        context.out.note("nothing has been written yet");
    } else {
        list(&context.out, &lines);
    }
    Ok(Exit::Good)
}

fn list(out: &Out, lines: &[AuditRow]) {
    let mut grid = Grid::new(out, &["at (UTC)", "who", "action", "sync", "detail"]);
    for l in lines {
        let sync = l.sync.as_deref().unwrap_or_default();
        grid.row([words(text::instant(l.at)), words(&l.actor), words(&l.action), words(sync), words(detail(&l.detail_json))]);
    }
    grid.print(out);
}

/// `run 0193…, mode diff`: what is empty is left out.
fn detail(json: &str) -> String {
    let Ok(serde_json::Value::Object(members)) = serde_json::from_str(json) else { return json.to_owned() };
    let told = members.iter().filter_map(|(name, value)| {
        let value = match value {
            serde_json::Value::Null | serde_json::Value::Bool(false) => return None,
            serde_json::Value::String(s) if s.is_empty() => return None,
            serde_json::Value::Array(items) if items.is_empty() => return None,
            serde_json::Value::String(s) => s.clone(),
            other => other.to_string(),
        };
        Some(format!("{} {value}", name.replace('_', " ")))
    });
    told.collect::<Vec<_>>().join(", ")
}
