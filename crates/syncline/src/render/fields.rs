//! Field-level changes, drawn as a good diff draws lines: the key once, then one aligned line per field.

use syncline_engine::report::{ChangeKind, FieldChange, PlannedChange};

use super::out::{Out, Tone};
use super::text;

/// One change with its fields.
pub fn print(out: &Out, change: &PlannedChange) {
    let (sign, tone) = sign(change.kind);
    let key = text::key(&change.key);
    out.line(format!("  {} {}", out.paint(tone, sign), out.paint(Tone::Strong, &format!("{} {key}", text::harmless(&change.stream)))));
    let width = change.fields.iter().map(|f| f.field.chars().count()).max().unwrap_or(0);
    for field in &change.fields {
        line(out, field, change.kind, width);
    }
}

/// `+`, `~`, `-` with their tones.
pub fn sign(kind: ChangeKind) -> (&'static str, Tone) {
    match kind {
        ChangeKind::Create => ("+", Tone::Good),
        ChangeKind::Update => ("~", Tone::Warn),
        ChangeKind::Delete => ("-", Tone::Bad),
    }
}

fn line(out: &Out, field: &FieldChange, kind: ChangeKind, width: usize) {
    let name = text::harmless(&field.field);
    let pad = " ".repeat(width.saturating_sub(field.field.chars().count()));
    let before = field.before.as_ref().map(|v| out.paint(Tone::Bad, &text::value(v)));
    let after = field.after.as_ref().map(|v| out.paint(Tone::Good, &text::value(v)));
    let body = match (kind, before, after) {
        (ChangeKind::Update, Some(before), Some(after)) => format!("{before} → {after}"),
        (_, before, after) => before.or(after).unwrap_or_default(),
    };
    let edited =
        if field.edited_at_destination { out.paint(Tone::Warn, "  (edited at the destination since the last run)") } else { String::new() };
    out.line(format!("      {name}{pad}  {body}{edited}"));
}
