//! Says how much a statement takes: everything, or what lies beyond a moving mark.

use super::names::Span;
use super::report::{Extent, Hazard};
use super::token::Kind;

/// How a statement picks its rows.
pub(super) struct Window {
    pub(super) extent: Extent,
    pub(super) hazards: Vec<Hazard>,
}

/// Reads the conditions of a statement that has sources.
pub(super) fn window(span: Span<'_, '_>) -> Window {
    let mut hazards = Vec::new();
    let limited = span.find(&["LIMIT"]).is_some() || span.find(&["FETCH"]).is_some();
    if let Some(i) = span.find(&["OFFSET"])
        && span.at(i + 1).is_none_or(|t| t.text != "0")
    {
        hazards.push(Hazard::OffsetPaging);
    }
    let Some((column, exclusive)) = moving_mark(span) else { return Window { extent: Extent::Full, hazards } };
    if !is_time(&column) && limited {
        // `id > $last ORDER BY id LIMIT n`: the pages of a full read.
        return Window { extent: Extent::Full, hazards };
    }
    hazards.push(if exclusive { Hazard::OpenCursor } else { Hazard::PlainCursor });
    Window { extent: Extent::Incremental { column, exclusive }, hazards }
}

/// `column > mark` or `column >= mark` where the mark moves: a parameter, a hole, a sub-select, or the clock.
fn moving_mark(span: Span<'_, '_>) -> Option<(String, bool)> {
    let start = span.find(&["WHERE"])?;
    for i in start..span.0.len() {
        let Some((column, next)) = span.name(i) else { continue };
        let column = super::names::bare(&column).to_owned();
        if !(is_time(&column) || is_counter(&column)) {
            continue;
        }
        if span.is(next, "BETWEEN") && moves(span, next + 1) {
            return Some((column, false));
        }
        if !span.symbol(next, '>') {
            continue;
        }
        let inclusive = span.symbol(next + 1, '=');
        if moves(span, next + 1 + usize::from(inclusive)) {
            return Some((column, !inclusive));
        }
    }
    None
}

fn moves(span: Span<'_, '_>, i: usize) -> bool {
    const CLOCK: [&str; 12] = [
        "NOW",
        "CURRENT_TIMESTAMP",
        "CURRENT_DATE",
        "GETDATE",
        "SYSDATE",
        "UTC_TIMESTAMP",
        "DATE_SUB",
        "CLOCK_TIMESTAMP",
        "COALESCE",
        "DATETIME",
        "DATE",
        "LOCALTIMESTAMP",
    ];
    let i = if span.symbol(i, '(') && !span.is(i + 1, "SELECT") { i + 1 } else { i };
    let Some(t) = span.at(i) else { return true };
    match t.kind {
        Kind::Param => true,
        Kind::Word => t.text.contains(super::token::HOLE) || t.is_any(&CLOCK) || is_variable(t.text),
        Kind::Symbol => t.symbol('(') && span.is(i + 1, "SELECT"),
        // A whole literal that the program filled in: '${since}'.
        Kind::Text => t.text.contains(super::token::HOLE) || t.text.contains("%s"),
        Kind::Quoted | Kind::Body | Kind::Number | Kind::End => false,
    }
}

fn is_variable(word: &str) -> bool {
    let w = word.to_ascii_lowercase();
    ["last", "since", "v_", "p_", "cutoff", "checkpoint", "watermark"].iter().any(|p| w.starts_with(p))
}

/// Columns that say when a row changed.
pub(super) fn is_time(column: &str) -> bool {
    let c = column.to_ascii_lowercase();
    let stem = ["updat", "modif", "chang", "creat", "insert", "synced", "stamp"].iter().any(|s| c.contains(s));
    stem && !c.ends_with("_by") || c.ends_with("_ts") || c.ends_with("_at") || c == "ts" || c == "last_update" || c == "mtime"
}

/// Columns that count up.
fn is_counter(column: &str) -> bool {
    let c = column.to_ascii_lowercase();
    c == "id" || c.ends_with("_id") || c == "version" || c == "xmin" || c == "seq" || c == "rowversion" || c == "rowid"
}
