//! A verify report for people: a line per stream, the differences, the verdict.

use syncline_engine::report::{Difference, StreamCheck, VerifyReport};
use syncline_store::rows::VerifyRow;

use super::out::{Out, Tone};
use super::table::{Grid, measure, number, words};
use super::text;

/// Differences shown; all that were kept are in `--json` and `export`.
const DIFFERENCES_SHOWN: usize = 20;

/// The whole report.
pub fn print(out: &Out, report: &VerifyReport) {
    let (word, tone) = if report.passed { ("passed", Tone::Good) } else { ("differences found", Tone::Bad) };
    let scope = if report.scope.is_empty() { String::new() } else { format!(", scope {}", text::harmless(&report.scope)) };
    out.line(format!("Verify v{} of {}{scope}: {}", report.number, report.sync, out.paint(tone, word)));
    let share = if report.sample < 1.0 { format!(" · a sample of {}", text::percent(report.sample)) } else { " · every row".to_owned() };
    let started = text::instant(report.started_at);
    out.line(out.paint(Tone::Dim, &format!("{}{share} · started {started}, took {}", report.id, text::span(report.duration_ms))));
    out.line("");
    streams(out, &report.streams);
    differences(out, report);
}

/// Many reports.
pub fn list(out: &Out, rows: &[VerifyRow]) {
    let mut grid = Grid::new(out, &["verify", "sync", "scope", "started (UTC)", ">took", "verdict", "id"]);
    for r in rows {
        let verdict = if r.passed { words("passed").tone(Tone::Good) } else { words("differences").tone(Tone::Bad) };
        grid.row([
            words(format!("v{}", r.number)),
            words(&r.sync),
            words(&r.scope),
            words(text::instant(r.started_at)),
            measure(text::span(r.duration_ms)),
            verdict,
            words(&r.id).tone(Tone::Dim),
        ]);
    }
    grid.print(out);
}

fn streams(out: &Out, checks: &[StreamCheck]) {
    const HEADINGS: [&str; 12] = [
        "stream",
        "table",
        ">source",
        ">destination",
        ">compared",
        ">missing",
        ">extra",
        ">different",
        ">kept",
        ">parked",
        ">orphans",
        "verdict",
    ];
    let mut grid = Grid::new(out, &HEADINGS);
    for c in checks {
        let verdict = if c.passed { words("same").tone(Tone::Good) } else { words("differs").tone(Tone::Bad) };
        grid.row([
            words(&c.stream),
            words(&c.table),
            number(c.source_rows),
            number(c.destination_rows),
            number(c.compared),
            number(c.missing).tone(Tone::Bad),
            number(c.extra),
            number(c.different).tone(Tone::Bad),
            number(c.kept),
            number(c.parked).tone(Tone::Warn),
            number(c.orphans).tone(Tone::Bad),
            verdict,
        ]);
    }
    grid.print(out);
}

fn differences(out: &Out, report: &VerifyReport) {
    if report.differences.is_empty() {
        return;
    }
    out.line("");
    for d in report.differences.iter().take(DIFFERENCES_SHOWN) {
        difference(out, d);
    }
    let more = report.differences.len().saturating_sub(DIFFERENCES_SHOWN);
    if more > 0 || report.truncated {
        let least = if report.truncated { "at least " } else { "" };
        let rest = format!("  … and {least}{} more: syncline export v{} --format csv", text::count(more as u64), report.number);
        out.line(out.paint(Tone::Dim, &rest));
    }
}

fn difference(out: &Out, d: &Difference) {
    let tone = if d.kind == "extra" { Tone::Warn } else { Tone::Bad };
    out.line(format!("  {} {} {}", out.paint(tone, &d.kind), text::harmless(&d.stream), text::key(&d.key)));
    let width = d.fields.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
    for (name, source, destination) in &d.fields {
        let side = |v: &Option<String>| v.as_deref().map_or_else(|| "NULL".to_owned(), text::harmless);
        let pad = " ".repeat(width - name.chars().count());
        let (source, destination) = (out.paint(Tone::Good, &side(source)), out.paint(Tone::Bad, &side(destination)));
        out.line(format!("      {}{pad}  source {source}, destination {destination}", text::harmless(name)));
    }
}
