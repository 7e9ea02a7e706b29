//! `syncline status`: how every sync stands, from the state alone; no database is asked.

use serde::Serialize;
use syncline_engine::spec::SyncSpec;
use syncline_store::rows::{LockHolder, ObservationRow, Page, PositionRow, RunFilter, RunKind, RunRow, RunStatus};
use syncline_store::{StateStore, StateTx};

use super::project::{Project, Touch};
use super::{Context, Outcome};
use crate::render::failure::{Exit, Failure};
use crate::render::out::{Out, Tone};
use crate::render::{json, run, text};

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The sync [default: all]
    pub sync: Option<String>,
}

/// A mark older than this is being held by somebody (R5).
const MARK_AGE_MAX_MS: u64 = 15 * 60 * 1000;

/// How one sync stands.
#[derive(Debug, Serialize)]
struct Standing {
    sync: String,
    /// Per scope that ever ran.
    last_runs: Vec<RunRow>,
    last_verify: Option<LastVerify>,
    /// Upper bound of the lag: time since the source was last read whole and well. `None` before the first success.
    lag_ms_max: Option<u64>,
    parked: Vec<ParkedCount>,
    positions: Vec<PositionAge>,
    /// The open transaction that holds the oldest mark, and since when it is seen.
    blocker: Option<Blocker>,
    locks: Vec<LockHolder>,
}

#[derive(Debug, Serialize)]
struct LastVerify {
    number: u64,
    started_at: i64,
    passed: bool,
}

#[derive(Debug, Serialize)]
struct ParkedCount {
    stream: String,
    rows: u64,
}

#[derive(Debug, Serialize)]
struct PositionAge {
    stream: String,
    scope: String,
    last_synced_at: Option<i64>,
    mark: Option<i64>,
    mark_age_ms: Option<u64>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Blocker {
    transaction: String,
    seen_since: i64,
}

/// Shows how syncs stand.
pub async fn execute(context: &Context, args: Args) -> Outcome {
    let project = Project::open(context, Touch::Read)?;
    let store = project.store(Touch::Read)?;
    let now = context.clock.now();
    let mut standings = Vec::new();
    for sync in project.some_or_all(args.sync.as_deref())? {
        standings.push(standing(&*store, sync, now).await?);
    }
    if context.out.json() {
        context.out.document(&json::public(&standings));
    } else {
        for (i, s) in standings.iter().enumerate() {
            if i > 0 {
                context.out.line("");
            }
            print(&context.out, s, now);
        }
    }
    Ok(Exit::Good)
}

async fn standing(store: &dyn StateStore, sync: &SyncSpec, now: i64) -> Result<Standing, Failure> {
    let mut tx = store.begin().await?;
    let last_runs = last_runs(&mut *tx, &sync.name).await?;
    let positions: Vec<PositionAge> = tx.list_positions(&sync.name).await?.into_iter().map(|p| position(p, now)).collect();
    let observations = tx.list_observations(&sync.name).await?;
    let prefix = format!("run/{}/", sync.name);
    let mut locks = tx.list_locks().await?;
    locks.retain(|l| l.until > now && (l.name.starts_with(&prefix) || l.name == prefix.trim_end_matches('/')));
    let parked = tx.count_parked(&sync.name).await?;
    let verify = tx.list_verify(Some(&sync.name), &Page { offset: 0, limit: 1 }).await?.pop();
    Ok(Standing {
        sync: sync.name.clone(),
        lag_ms_max: lag(&last_runs, &positions, now),
        last_runs,
        last_verify: verify.map(|v| LastVerify { number: v.number, started_at: v.started_at, passed: v.passed }),
        parked: parked.into_iter().filter(|(_, rows)| *rows > 0).map(|(stream, rows)| ParkedCount { stream, rows }).collect(),
        blocker: positions.iter().any(|p| p.mark_age_ms > Some(MARK_AGE_MAX_MS)).then(|| blocker(&observations)).flatten(),
        positions,
        locks,
    })
}

/// The newest run of every scope among the recent ones.
async fn last_runs(tx: &mut dyn StateTx, sync: &str) -> Result<Vec<RunRow>, Failure> {
    let filter = RunFilter { sync: Some(sync.to_owned()), ..RunFilter::default() };
    let mut newest: Vec<RunRow> = Vec::new();
    for run in tx.list_runs(&filter, &Page { offset: 0, limit: 500 }).await? {
        if newest.iter().all(|n| n.scope != run.scope) {
            newest.push(run);
        }
    }
    newest.sort_by(|a, b| a.scope.cmp(&b.scope));
    Ok(newest)
}

fn position(p: PositionRow, now: i64) -> PositionAge {
    PositionAge {
        mark_age_ms: p.mark.map(|mark| text::elapsed_ms(mark, now)),
        stream: p.stream,
        scope: p.scope,
        last_synced_at: p.last_synced_at,
        mark: p.mark,
    }
}

/// What was changed before the oldest last success of any stream is at the destination; nothing is known about the time after.
fn lag(last_runs: &[RunRow], positions: &[PositionAge], now: i64) -> Option<u64> {
    let synced: Option<Vec<i64>> = positions.iter().map(|p| p.last_synced_at).collect();
    let oldest = synced.filter(|s| !s.is_empty()).and_then(|s| s.into_iter().min()).or_else(|| {
        let good = |r: &RunRow| matches!(r.status, RunStatus::Succeeded | RunStatus::Partial) && r.kind != RunKind::Undo;
        let started: Option<Vec<i64>> = last_runs.iter().map(|r| good(r).then_some(r.started_at)).collect();
        started.and_then(|s| s.into_iter().min())
    })?;
    Some(text::elapsed_ms(oldest, now))
}

/// The transaction that is open now and has been seen for the longest time.
fn blocker(observations: &[ObservationRow]) -> Option<Blocker> {
    let open_now = &observations.last()?.open;
    let seen_since = |t: &String| observations.iter().find(|o| o.open.contains(t)).map(|o| o.at);
    let known = open_now.iter().filter_map(|t| Some(Blocker { transaction: t.clone(), seen_since: seen_since(t)? }));
    known.min_by_key(|b| b.seen_since)
}

fn print(out: &Out, s: &Standing, now: i64) {
    let running = s.locks.first().map(|l| out.paint(Tone::Warn, &format!("  running now, by {}", text::harmless(&l.holder))));
    out.line(format!("{}{}", out.paint(Tone::Strong, &s.sync), running.unwrap_or_default()));
    if s.last_runs.is_empty() {
        out.line("  never run");
    }
    for r in &s.last_runs {
        print_run(out, r, now);
    }
    if let Some(v) = &s.last_verify {
        let verdict = if v.passed { out.paint(Tone::Good, "passed") } else { out.paint(Tone::Bad, "differences found") };
        let stale = s.last_runs.iter().any(|r| r.started_at > v.started_at && r.books.written() > 0);
        let stale = if stale { ", before the last run" } else { "" };
        out.line(format!("  verified   v{}: {verdict}, {} UTC{stale}", v.number, text::instant(v.started_at)));
    }
    if let Some(lag) = s.lag_ms_max {
        out.line(format!("  lag        at most {}", text::span(lag)));
    }
    for p in &s.parked {
        out.line(format!(
            "  parked     {}",
            out.paint(Tone::Bad, &format!("{} of {}", text::counted(p.rows, "row"), text::harmless(&p.stream)))
        ));
    }
    for p in s.positions.iter().filter(|p| p.mark.is_some()) {
        print_position(out, p);
    }
    if let Some(b) = &s.blocker {
        let line = format!("  held by    {}, seen since {} UTC", text::harmless(&b.transaction), text::instant(b.seen_since));
        out.line(out.paint(Tone::Warn, &line));
    }
    for l in &s.locks {
        let lease = text::span(text::elapsed_ms(now, l.until));
        out.line(format!("  lock       {}, since {} UTC, lease ends in {lease}", text::harmless(&l.holder), text::instant(l.since)));
    }
}

fn print_run(out: &Out, r: &RunRow, now: i64) {
    let (word, tone) = run::status(r.status);
    let scope = if r.scope.is_empty() { String::new() } else { format!(" of {}", text::harmless(&r.scope)) };
    let when = r.completed_at.unwrap_or(r.started_at);
    let ago = text::span(text::elapsed_ms(when, now));
    let kind = if r.kind == RunKind::Undo { ", an undo" } else { "" };
    out.line(format!("  last run   {}{kind}{scope}: {}, {} UTC, {ago} ago", r.number, out.paint(tone, word), text::instant(when)));
    if r.kind == RunKind::Undo {
        out.line("             the destination is as before the run that was undone; the next run compares everything");
    }
    if let Some(e) = &r.error {
        out.line(format!("             {}: {}", out.paint(Tone::Bad, &format!("error[{}]", e.code)), text::harmless(&e.message)));
    }
    if r.books.held_back > 0 {
        let waiting = text::counted(r.books.held_back, "deletion");
        out.line(format!("             {}", out.paint(Tone::Warn, &format!("{waiting} held back: syncline show {}", r.number))));
    }
}

fn print_position(out: &Out, p: &PositionAge) {
    let scope = if p.scope.is_empty() { String::new() } else { format!(" of {}", text::harmless(&p.scope)) };
    let age = p.mark_age_ms.unwrap_or(0);
    let tone = if age > MARK_AGE_MAX_MS { Tone::Warn } else { Tone::Plain };
    let mark = p.mark.map(text::instant).unwrap_or_default();
    let age = out.paint(tone, &format!("{} old", text::span(age)));
    out.line(format!("  position   {}{scope}: {mark} UTC, {age}", text::harmless(&p.stream)));
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: R5
    #[test]
    fn the_blocker_is_the_open_transaction_seen_for_the_longest_time() {
        let seen = |at, open: &[&str]| ObservationRow { at, open: open.iter().map(|s| (*s).to_owned()).collect() };
        let history = [seen(1, &["gone"]), seen(2, &["pid 7", "gone"]), seen(3, &["pid 9", "pid 7"])];
        assert_eq!(blocker(&history), Some(Blocker { transaction: "pid 7".to_owned(), seen_since: 2 }));
        assert_eq!(blocker(&[seen(1, &["gone"]), seen(2, &[])]), None);
        assert_eq!(blocker(&[]), None);
    }

    #[test]
    fn the_lag_counts_from_the_stream_that_is_furthest_behind() {
        let at =
            |last_synced_at| PositionAge { stream: String::new(), scope: String::new(), last_synced_at, mark: None, mark_age_ms: None };
        assert_eq!(lag(&[], &[at(Some(5_000_000)), at(Some(2_000_000))], 9_000_000), Some(7_000));
        assert_eq!(lag(&[], &[at(Some(5_000_000)), at(None)], 9_000_000), None);
        assert_eq!(lag(&[], &[], 9_000_000), None);
    }
}
