//! `syncline parked`: rows that were set aside, with the reason of each; tried again or let go.

use serde_json::json;
use syncline::Engine;
use syncline_engine::spec::SyncSpec;
use syncline_store::StateStore;
use syncline_store::rows::{Page, ParkedFilter, ParkedRow};

use super::project::{Project, Touch};
use super::run::{place, show};
use super::{Context, Outcome, history, select};
use crate::render::failure::{Exit, Failure};
use crate::render::out::{Out, Tone};
use crate::render::table::{Grid, number, words};
use crate::render::{json as public_json, text};

/// Options of `parked`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// The sync [default: the only one] and numbers of parked rows
    #[arg(value_name = "SYNC|ID")]
    pub words: Vec<String>,
    /// Read these rows again at the source and try to apply them
    #[arg(long, conflicts_with = "discard")]
    pub retry: bool,
    /// Close these rows without applying them; a later change at the source brings them back
    #[arg(long)]
    pub discard: bool,
    /// All open rows of the sync
    #[arg(long)]
    pub all: bool,
    /// List closed ones, too
    #[arg(long, conflicts_with_all = ["retry", "discard"])]
    pub closed: bool,
    /// Only of this stream
    #[arg(long, value_name = "STREAM")]
    pub stream: Option<String>,
    /// Only of this scope
    #[arg(long, value_name = "SCOPE")]
    pub scope: Option<String>,
    /// Rows to list at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
}

/// Lists, retries or discards.
pub async fn execute(context: &Context, args: Args) -> Outcome {
    let (name, ids) = split(&args.words)?;
    let acts = args.retry || args.discard;
    if acts && ids.is_empty() && !args.all {
        return Err(Failure::usage("argument_missing", "which rows?").hint("name their numbers (see `syncline parked`), or --all"));
    }
    let touch = if acts { Touch::Write } else { Touch::Read };
    let project = Project::open(context, touch)?;
    let store = project.store(touch)?;
    if !acts && name.is_none() {
        let filter = filter(&args, None, ids);
        return list(context, &*store, &filter, args.limit).await;
    }
    let owner = if name.is_none() { owner(&*store, &ids).await? } else { None };
    let sync = project.sync(name.or(owner.as_deref()))?;
    let filter = filter(&args, Some(sync.name.clone()), ids);
    if !acts {
        return list(context, &*store, &filter, args.limit).await;
    }
    let rows = all(&*store, &filter).await?;
    known(&filter, &rows)?;
    let ids: Vec<u64> = rows.iter().map(|r| r.id).collect();
    if args.discard {
        history::audit(&*store, context, "parked.discard", Some(&sync.name), &json!({ "ids": ids })).await?;
        return discard(context, &*store, &rows).await;
    }
    if ids.is_empty() {
        context.out.note("nothing is parked");
        return Ok(Exit::Good);
    }
    retry(context, project.engine(context, store), sync, &ids).await
}

/// The sync of the first of these rows: numbers are unique over all syncs.
async fn owner(store: &dyn StateStore, ids: &[u64]) -> Result<Option<String>, Failure> {
    if ids.is_empty() {
        return Ok(None);
    }
    let filter = ParkedFilter { ids: ids.to_vec(), ..ParkedFilter::default() };
    Ok(all(store, &filter).await?.into_iter().next().map(|r| r.sync))
}

/// `[SYNC] [ID]…`: words of digits are numbers of rows, the first other word is the sync.
fn split(words: &[String]) -> Result<(Option<&str>, Vec<u64>), Failure> {
    let (ids, names): (Vec<_>, Vec<_>) = words.iter().partition(|w| select::number(w).is_some());
    match names.as_slice() {
        [] | [_] => Ok((names.first().map(|n| n.as_str()), ids.iter().filter_map(|w| select::number(w)).collect())),
        [_, second, ..] => Err(Failure::usage("argument_invalid", format!("`{second}` is no number of a parked row"))),
    }
}

fn filter(args: &Args, sync: Option<String>, ids: Vec<u64>) -> ParkedFilter {
    ParkedFilter { sync, scope: args.scope.clone(), stream: args.stream.clone(), ids, closed: args.closed }
}

/// Every row that fits, page by page.
async fn all(store: &dyn StateStore, filter: &ParkedFilter) -> Result<Vec<ParkedRow>, Failure> {
    let mut tx = store.begin().await?;
    let mut page = Page { offset: 0, limit: 1000 };
    let mut rows = Vec::new();
    loop {
        let some = tx.list_parked(filter, &page).await?;
        let ended = some.len() < page.limit as usize;
        rows.extend(some);
        if ended {
            return Ok(rows);
        }
        page.offset += u64::from(page.limit);
    }
}

/// A number that fits no open row is a slip that must not pass as "nothing to do".
fn known(filter: &ParkedFilter, rows: &[ParkedRow]) -> Result<(), Failure> {
    match filter.ids.iter().find(|id| rows.iter().all(|r| r.id != **id)) {
        Some(id) => {
            Err(Failure::failed("parked_unknown", format!("no open parked row has the number {id}")).hint("`syncline parked` lists them"))
        }
        None => Ok(()),
    }
}

async fn retry(context: &Context, engine: Engine, sync: &SyncSpec, ids: &[u64]) -> Outcome {
    let reports = engine.retry_parked(sync, ids).await.map_err(|e| Failure::from(e).at(place(sync)));
    // Its progress leaves the terminal before the answer comes.
    drop(engine);
    Ok(show(context, reports?))
}

async fn discard(context: &Context, store: &dyn StateStore, rows: &[ParkedRow]) -> Outcome {
    let now = context.clock.now();
    let mut tx = store.begin().await?;
    let mut closed = 0_u64;
    for r in rows {
        closed += u64::from(tx.close_parked(&r.sync, &r.scope, &r.stream, &r.key_json, "discarded", now).await?);
    }
    tx.commit().await?;
    if context.out.json() {
        context.out.document(&json!({ "discarded": closed }));
    } else {
        context.out.line(format!("{} discarded", text::counted(closed, "parked row")));
    }
    Ok(Exit::Good)
}

async fn list(context: &Context, store: &dyn StateStore, filter: &ParkedFilter, limit: u32) -> Outcome {
    // One more than shown, to know whether there are more.
    let rows = store.begin().await?.list_parked(filter, &Page { offset: 0, limit: limit.saturating_add(1) }).await?;
    let (shown, more) = rows.split_at(rows.len().min(limit as usize));
    if context.out.json() {
        context.out.document(&public_json::public(&shown));
    } else if shown.is_empty() {
        context.out.note("nothing is parked");
    } else {
        print(&context.out, shown);
        if !more.is_empty() {
            context.out.line(context.out.paint(Tone::Dim, "… and more: raise --limit"));
        }
    }
    Ok(Exit::Good)
}

fn print(out: &Out, rows: &[ParkedRow]) {
    let mut grid = Grid::new(out, &[">id", "sync", "scope", "stream", "key", "code", "column", ">tries", "first parked (UTC)", "reason"]);
    for r in rows {
        let reason = r.outcome.as_ref().map_or_else(|| r.detail.clone(), |o| format!("{o}: {}", r.detail));
        grid.row([
            number(r.id),
            words(&r.sync),
            words(&r.scope),
            words(&r.stream),
            words(text::key(&r.key_json)),
            words(&r.code).tone(Tone::Bad),
            words(r.column.as_deref().unwrap_or("")),
            number(u64::from(r.attempts)),
            words(text::instant(r.first_at)),
            words(reason),
        ]);
    }
    grid.print(out);
    if rows.iter().any(|r| r.outcome.is_none()) {
        out.line(out.paint(Tone::Dim, "fix the cause, then: syncline run, or syncline parked --retry ID"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rows_and_the_other_word_is_the_sync() {
        let words = |s: &str| s.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(split(&words("shop 3 17")).unwrap(), (Some("shop"), vec![3, 17]));
        assert_eq!(split(&words("3")).unwrap(), (None, vec![3]));
        assert_eq!(&*split(&words("shop lake 3")).unwrap_err().code, "argument_invalid");
    }
}
