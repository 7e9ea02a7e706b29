//! `syncline ids SYNC`: what is mapped, what is an orphan, and which old id a new one had.

use serde::Serialize;
use serde_json::Value as Json;
use syncline_engine::report::IdCoverage;
use syncline_engine::spec::SyncSpec;
use syncline_store::StateTx;
use syncline_store::rows::{IdRow, Page, RunFilter};

use super::project::{Project, Touch};
use super::{Context, Outcome, select};
use crate::render::failure::{Exit, Failure};
use crate::render::out::{Out, Tone};
use crate::render::table::{Grid, measure, number, words};
use crate::render::text;

/// Options of `ids`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The sync [default: the only one]
    pub sync: Option<String>,
    /// List the mappings of this stream
    #[arg(long, value_name = "STREAM")]
    pub stream: Option<String>,
    /// Which old id this new one had
    #[arg(long, value_name = "NEW_ID")]
    pub reverse: Option<String>,
    /// Mappings to list at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
    /// Mappings to skip
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub offset: u64,
}

/// The mapping of one stream in numbers.
#[derive(Debug, Serialize)]
struct Coverage {
    stream: String,
    mapped: u64,
    /// Rows at the source as of the last run; `None` before one.
    in_scope: Option<u64>,
    /// Rows without parent as of the last verify; `None` before one.
    orphans: Option<u64>,
}

/// Shows coverage, lists mappings, or looks one up.
pub async fn execute(context: &Context, args: Args) -> Outcome {
    let project = Project::open(context, Touch::Read)?;
    let sync = project.sync(args.sync.as_deref())?.name.clone();
    let store = project.store(Touch::Read)?;
    let mut tx = store.begin().await?;
    if let Some(new_id) = &args.reverse {
        return reverse(context, &mut *tx, &sync, args.stream.as_deref(), new_id).await;
    }
    if let Some(stream) = &args.stream {
        let rows = tx.list_ids(&sync, stream, &Page { offset: args.offset, limit: args.limit }).await?;
        show_rows(context, stream, &rows);
        return Ok(Exit::Good);
    }
    if maps_ids(project.sync(Some(&sync))?) {
        // Not with a transaction of the state open.
        drop(tx);
        let engine = project.engine(context, store);
        let spec = project.sync(Some(&sync))?;
        let coverage = engine.id_coverage(spec).await.map_err(|e| Failure::from(e).at(super::run::place(spec)))?;
        show_fresh(context, &coverage);
        return Ok(Exit::Good);
    }
    let coverage = coverage(&mut *tx, &sync).await?;
    if context.out.json() {
        context.out.document(&coverage);
    } else if coverage.is_empty() {
        context.out.note(format!("sync {sync} has no id mapping in its state"));
    } else {
        print(&context.out, &coverage);
    }
    Ok(Exit::Good)
}

fn maps_ids(sync: &SyncSpec) -> bool {
    sync.options.ids.is_some() || sync.streams.iter().any(|(_, options)| options.as_ref().is_some_and(|o| o.ids.is_some()))
}

fn show_fresh(context: &Context, coverage: &[IdCoverage]) {
    if context.out.json() {
        context.out.document(&coverage);
        return;
    }
    let mut grid = Grid::new(&context.out, &["stream", ">mapped", ">at the source", ">with an id", ">coverage", ">orphans"]);
    for c in coverage {
        let share = if c.in_scope == 0 { "-".to_owned() } else { text::percent(c.covered as f64 / c.in_scope as f64) };
        let orphans = number(c.orphans).tone(Tone::Bad);
        grid.row([words(&c.stream), number(c.mapped), number(c.in_scope), number(c.covered), measure(share), orphans]);
    }
    grid.print(&context.out);
    for c in coverage {
        for o in &c.orphan_references {
            context.out.note(format!(
                "{} {}: {} → {} {}, which the source does not have",
                c.stream,
                text::key(&o.key),
                o.column,
                o.stream,
                o.id
            ));
        }
        let more = c.orphans - c.orphan_references.len() as u64;
        if more > 0 {
            context.out.note(format!("{}: and {more} more", c.stream));
        }
    }
}

/// What the state alone knows, of a sync that maps no ids any more.
async fn coverage(tx: &mut dyn StateTx, sync: &str) -> Result<Vec<Coverage>, Failure> {
    let newest = Page { offset: 0, limit: 1 };
    let filter = RunFilter { sync: Some(sync.to_owned()), ..RunFilter::default() };
    let run = match tx.list_runs(&filter, &newest).await?.pop() {
        Some(run) => tx.load_run(&run.id).await?,
        None => None,
    };
    let verify = tx.list_verify(Some(sync), &newest).await?.pop().map(|v| select::report(&v)).transpose()?;
    let in_scope = |stream: &str| run.as_ref()?.streams.iter().find(|s| s.stream == stream).map(|s| s.books.in_scope);
    let orphans = |stream: &str| verify.as_ref()?.streams.iter().find(|s| s.stream == stream).map(|s| s.orphans);
    let mapped = tx.count_ids(sync).await?;
    Ok(mapped
        .into_iter()
        .map(|(stream, mapped)| Coverage { in_scope: in_scope(&stream), orphans: orphans(&stream), mapped, stream })
        .collect())
}

async fn reverse(context: &Context, tx: &mut dyn StateTx, sync: &str, stream: Option<&str>, new_id: &str) -> Outcome {
    let streams: Vec<String> = match stream {
        Some(s) => vec![s.to_owned()],
        None => tx.count_ids(sync).await?.into_iter().map(|(s, _)| s).collect(),
    };
    for stream in streams {
        for spelling in spellings(new_id) {
            if let Some(row) = tx.reverse_id(sync, &stream, &spelling).await? {
                show_rows(context, &stream, &[row]);
                return Ok(Exit::Good);
            }
        }
    }
    Err(Failure::failed("id_unknown", format!("sync `{sync}` knows no new id `{new_id}`"))
        .hint("`syncline ids` shows which streams are mapped"))
}

/// The JSON forms in which an id given as text may be stored: uuid, number, text.
fn spellings(id: &str) -> Vec<String> {
    let mut forms = Vec::new();
    if let Ok(uuid) = id.parse::<uuid::Uuid>() {
        forms.push(serde_json::json!({ "uuid": uuid.to_string() }).to_string());
    }
    if let Ok(n) = id.parse::<i64>() {
        forms.push(n.to_string());
    }
    forms.push(Json::from(id).to_string());
    // A key of one column is stored as an array of one.
    let arrays: Vec<String> = forms.iter().map(|f| format!("[{f}]")).collect();
    forms.extend(arrays);
    forms
}

fn show_rows(context: &Context, stream: &str, rows: &[IdRow]) {
    if context.out.json() {
        let mapping = |r: &IdRow| {
            let parsed = |s: &str| serde_json::from_str::<Json>(s).unwrap_or_else(|_| s.into());
            serde_json::json!({ "stream": stream, "legacy": parsed(&r.legacy_json), "new": parsed(&r.new_json), "run": r.run })
        };
        context.out.document(&rows.iter().map(mapping).collect::<Vec<_>>());
        return;
    }
    let mut grid = Grid::new(&context.out, &["stream", "legacy id", "new id", "run"]);
    for r in rows {
        grid.row([words(stream), words(text::key(&r.legacy_json)), words(text::key(&r.new_json)), words(&r.run).tone(Tone::Dim)]);
    }
    grid.print(&context.out);
}

fn print(out: &Out, coverage: &[Coverage]) {
    let mut grid = Grid::new(out, &["stream", ">mapped", ">at the source", ">coverage", ">orphans"]);
    for c in coverage {
        let share = c.in_scope.filter(|n| *n > 0).map(|n| text::percent(c.mapped.min(n) as f64 / n as f64));
        let known = |n: Option<u64>| n.map_or_else(|| measure("?"), number);
        grid.row([
            words(&c.stream),
            number(c.mapped),
            known(c.in_scope),
            measure(share.unwrap_or_else(|| "?".to_owned())),
            known(c.orphans).tone(Tone::Bad),
        ]);
    }
    grid.print(out);
}
