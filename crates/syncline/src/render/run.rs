//! Runs for people: one in full with its books, many as a list.

use syncline_model::Books;
use syncline_store::rows::{RunError, RunKind, RunRow, RunStatus};

use super::failure::Exit;
use super::out::{Out, Tone};
use super::table::{Entry, Grid, measure, number, words};
use super::text;

/// `succeeded` and the like, in the product's words.
pub fn status(s: RunStatus) -> (&'static str, Tone) {
    match s {
        RunStatus::Running => ("running", Tone::Warn),
        RunStatus::Succeeded => ("succeeded", Tone::Good),
        RunStatus::Partial => ("partial", Tone::Warn),
        RunStatus::Failed => ("failed", Tone::Bad),
        RunStatus::Cancelled => ("cancelled", Tone::Warn),
    }
}

/// How a run was started.
pub fn kind(k: RunKind) -> &'static str {
    match k {
        RunKind::Scheduled => "scheduled",
        RunKind::Manual => "manual",
        RunKind::Webhook => "webhook",
        RunKind::Backfill => "backfill",
        RunKind::Retry => "retry",
        RunKind::Undo => "undo",
        RunKind::Repair => "repair",
    }
}

/// The exit code a run asks for.
pub fn exit(run: &RunRow) -> Exit {
    match run.status {
        RunStatus::Succeeded => Exit::Good,
        RunStatus::Partial => Exit::Partial,
        RunStatus::Failed | RunStatus::Running => Exit::Failed,
        RunStatus::Cancelled => Exit::Interrupted,
    }
}

/// One run in full.
pub fn print(out: &Out, run: &RunRow) {
    let (word, tone) = status(run.status);
    let scope = if run.scope.is_empty() { String::new() } else { format!(", scope {}", text::harmless(&run.scope)) };
    out.line(format!("{} {} of {}{scope}: {}", heading(run), run.number, run.sync, out.paint(tone, word)));
    out.line(out.paint(Tone::Dim, &circumstances(run)));
    if !run.streams.is_empty() {
        out.line("");
        books(out, run);
    }
    for line in remarks(run) {
        out.line(format!("  {}", text::harmless(&line)));
    }
    if let Some(error) = &run.error {
        failed(out, error);
    }
}

fn heading(run: &RunRow) -> &'static str {
    match run.kind {
        RunKind::Undo => "Undo run",
        RunKind::Repair => "Repair run",
        RunKind::Retry => "Retry run",
        RunKind::Scheduled | RunKind::Manual | RunKind::Webhook | RunKind::Backfill => "Run",
    }
}

fn circumstances(run: &RunRow) -> String {
    let took = run.completed_at.map(|end| format!(", took {}", text::span(text::elapsed_ms(run.started_at, end)))).unwrap_or_default();
    format!("{} · {} · {} · started {}{took}", run.id, kind(run.kind), run.mode, text::instant(run.started_at))
}

fn books(out: &Out, run: &RunRow) {
    const HEADINGS: [&str; 12] = [
        "stream",
        ">in scope",
        ">equal",
        ">created",
        ">updated",
        ">unchanged",
        ">kept",
        ">parked",
        ">deleted",
        ">extra",
        ">success",
        ">time",
    ];
    let mut grid = Grid::new(out, &HEADINGS);
    for s in &run.streams {
        grid.row(book_entries(words(&s.stream), &s.books, text::span(s.duration_ms)));
    }
    if run.streams.len() > 1 {
        grid.row(book_entries(words("all").tone(Tone::Strong), &run.books, String::new()));
    }
    grid.print(out);
}

fn book_entries(name: Entry, b: &Books, time: String) -> [Entry; 12] {
    [
        name,
        number(b.in_scope),
        number(b.equal_by_digest),
        number(b.created).tone(Tone::Good),
        number(b.updated).tone(Tone::Warn),
        number(b.unchanged),
        number(b.kept),
        number(b.parked).tone(Tone::Bad),
        number(b.deleted).tone(Tone::Bad),
        number(b.extra),
        measure(text::percent(b.success_rate())),
        measure(time),
    ]
}

/// What the numbers alone do not say.
fn remarks(run: &RunRow) -> Vec<String> {
    let mut lines = Vec::new();
    if run.books.held_back > 0 {
        let waiting = text::counted(run.books.held_back, "deletion");
        lines.push(format!(
            "{waiting} held back: `syncline show {0}` says why; what the guard holds, `syncline run {1} --approve-deletes` makes",
            run.number, run.sync
        ));
    }
    for s in &run.streams {
        for (code, n) in &s.parked_by_code {
            lines.push(format!("{}: {} parked, {code}: see `syncline parked {}`", s.stream, text::counted(*n, "row"), run.sync));
        }
    }
    if run.conflicts > 0 {
        lines.push(format!("{} resolved: see `syncline conflicts {}`", text::counted(run.conflicts, "conflict"), run.number));
    }
    if run.books.late > 0 {
        lines.push(format!("{} committed late, and caught by the overlap", text::counted(run.books.late, "row")));
    }
    if run.books.merged > 0 {
        lines.push(format!("{} came twice; the last counts", text::counted(run.books.merged, "row")));
    }
    if let Some(by) = &run.undone_by {
        lines.push(format!("undone by run {by}"));
    }
    lines.extend(run.notes.iter().cloned());
    lines
}

fn failed(out: &Out, e: &RunError) {
    out.line(format!("  {}: {}", out.paint(Tone::Bad, &format!("error[{}]", e.code)), text::harmless(&e.message)));
    for cause in &e.causes {
        out.line(format!("    why: {}", text::harmless(cause)));
    }
    if let Some(hint) = &e.hint {
        out.line(format!("     do: {hint}"));
    }
    if syncline::explain::page(&e.code).is_some() {
        out.line(format!("   more: syncline explain {}", e.code));
    }
}

/// Many runs.
pub fn list(out: &Out, runs: &[RunRow]) {
    let mut grid = Grid::new(
        out,
        &[
            ">run",
            "sync",
            "scope",
            "kind",
            "mode",
            "started (UTC)",
            ">took",
            "status",
            ">created",
            ">updated",
            ">deleted",
            ">parked",
            ">held",
            "id",
        ],
    );
    for r in runs {
        let (word, tone) = status(r.status);
        let took = r.completed_at.map(|end| text::span(text::elapsed_ms(r.started_at, end))).unwrap_or_default();
        grid.row([
            number(r.number),
            words(&r.sync),
            words(&r.scope),
            words(kind(r.kind)),
            words(&r.mode),
            words(text::instant(r.started_at)),
            measure(took),
            words(if r.undone_by.is_some() { "undone" } else { word }).tone(tone),
            number(r.books.created),
            number(r.books.updated),
            number(r.books.deleted),
            number(r.books.parked),
            number(r.books.held_back),
            words(&r.id).tone(Tone::Dim),
        ]);
    }
    grid.print(out);
}
