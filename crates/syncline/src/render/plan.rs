//! A plan for people: a line per stream, then what is special about it, then the changes field by field.

use syncline_engine::report::{ChangeKind, Plan, PlannedChange, StreamPlan};

use super::fields;
use super::out::{Out, Tone};
use super::table::{Grid, number, words};
use super::text;

/// The whole plan.
pub fn print(out: &Out, plan: &Plan, limit: usize) {
    let scope = if plan.scope.is_empty() { String::new() } else { format!(", scope {}", text::harmless(&plan.scope)) };
    out.line(out.paint(Tone::Strong, &format!("Plan of {}{scope}", plan.sync)));
    out.line("");
    streams(out, plan);
    for stream in &plan.streams {
        remarks(out, stream);
    }
    changes(out, plan, limit);
    out.line("");
    out.line(summary(out, plan));
}

fn streams(out: &Out, plan: &Plan) {
    let mut grid = Grid::new(out, &["stream", "table", "mode", "digest", ">in scope", ">create", ">update", ">delete", ">extra", ">park"]);
    for s in &plan.streams {
        grid.row([
            words(&s.stream),
            words(&s.table),
            words(&s.mode),
            words(&s.digest),
            number(s.in_scope),
            number(s.creates).tone(Tone::Good),
            number(s.updates).tone(Tone::Warn),
            number(s.deletes).tone(Tone::Bad),
            number(s.extra),
            number(s.parked.iter().map(|(_, n)| n).sum()).tone(Tone::Warn),
        ]);
    }
    grid.print(out);
}

/// What a person has to know before saying yes.
fn remarks(out: &Out, s: &StreamPlan) {
    let mut lines: Vec<(Tone, String)> = Vec::new();
    lines.extend(s.held_back.iter().map(|why| (Tone::Bad, format!("deletions held back: {why}"))));
    lines.extend(
        s.drift.iter().map(|d| (if d.stops { Tone::Bad } else { Tone::Warn }, format!("{}: {}", d.kind.replace('_', " "), d.detail))),
    );
    lines.extend(s.parked.iter().map(|(code, n)| (Tone::Warn, format!("{} would be parked: {code}", text::counted(*n, "row")))));
    lines.extend(s.cascades.iter().map(|c| (Tone::Warn, format!("deletions reach further: {c}"))));
    lines.extend(s.left_out.iter().map(|l| (Tone::Warn, format!("not carried over: {l}"))));
    lines.extend(s.checked.iter().map(|c| (Tone::Dim, format!("checked value by value: {c}"))));
    lines.extend(s.note.iter().map(|n| (Tone::Dim, n.clone())));
    if lines.is_empty() && s.ddl.is_empty() {
        return;
    }
    out.line("");
    out.line(out.paint(Tone::Strong, &text::harmless(&s.stream)));
    for (tone, line) in lines {
        out.line(format!("  {}", out.paint(tone, &text::harmless(&line))));
    }
    for statement in &s.ddl {
        for line in statement.lines() {
            out.line(format!("  {} {}", out.paint(Tone::Good, "+"), text::harmless(line)));
        }
    }
}

/// Updates and deletions come before creations, which are mostly long and mostly wanted.
fn changes(out: &Out, plan: &Plan, limit: usize) {
    let (creates, others): (Vec<&PlannedChange>, Vec<_>) = plan.changes.iter().partition(|c| c.kind == ChangeKind::Create);
    let listed: Vec<&PlannedChange> = others.into_iter().chain(creates).take(limit).collect();
    if listed.is_empty() {
        return;
    }
    out.line("");
    for change in &listed {
        fields::print(out, change);
    }
    let planned: u64 = plan.streams.iter().map(StreamPlan::changes).sum();
    let more = planned.saturating_sub(listed.len() as u64);
    if more > 0 {
        out.line(out.paint(Tone::Dim, &format!("  … and {} more (all of them with --limit {planned} or --out FILE)", text::count(more))));
    }
}

/// What the run would come to, in a sentence or two.
fn summary(out: &Out, plan: &Plan) -> String {
    let sum = |f: fn(&StreamPlan) -> u64| plan.streams.iter().map(f).sum::<u64>();
    let stopped: Vec<String> = plan.streams.iter().filter(|s| s.stops()).map(|s| format!("`{}`", text::harmless(&s.stream))).collect();
    if !stopped.is_empty() {
        let what =
            format!("The run would fail and write nothing: the shape of {} changed, and a person has to decide.", stopped.join(", "));
        return out.paint(Tone::Bad, &what);
    }
    let (held, parked) = (sum(|s| s.held), sum(|s| s.undecided() - s.held));
    let mut left: Vec<String> = Vec::new();
    left.extend((held > 0).then(|| out.paint(Tone::Bad, &format!("{} would be held back", text::counted(held, "deletion")))));
    left.extend((parked > 0).then(|| out.paint(Tone::Warn, &format!("{} would be parked", text::counted(parked, "row")))));
    let left = if left.is_empty() { String::new() } else { format!("; {}", left.join(", ")) };
    let ddl: u64 = sum(|s| s.ddl.len() as u64);
    if sum(StreamPlan::changes) + ddl == 0 {
        return format!(
            "{}{left}.",
            out.paint(Tone::Good, &format!("Nothing to do{}", standing(sum(|s| s.kept), sum(|s| s.extra), &left)))
        );
    }
    let schema = if ddl == 0 { String::new() } else { format!("; {} run first", text::counted(ddl, "schema change")) };
    format!(
        "{}, {}, {}{schema}{left}. Nothing has been written.",
        out.paint(Tone::Good, &format!("{} to create", text::count(sum(|s| s.creates)))),
        out.paint(Tone::Warn, &format!("{} to update", text::count(sum(|s| s.updates)))),
        out.paint(Tone::Bad, &format!("{} to delete", text::count(sum(|s| s.deletes)))),
    )
}

/// How the two sides stand to each other where there is nothing to do.
fn standing(kept: u64, extra: u64, left: &str) -> String {
    let mut why: Vec<String> = Vec::new();
    why.extend((kept > 0).then(|| format!("{} of the source give way to edits of the destination", text::counted(kept, "row"))));
    why.extend((extra > 0).then(|| format!("{} that only the destination has stay", text::counted(extra, "row"))));
    match (why.is_empty(), left.is_empty()) {
        (true, true) => ": both sides are the same".to_owned(),
        (true, false) => String::new(),
        (false, _) => format!(": {}", why.join(", ")),
    }
}
