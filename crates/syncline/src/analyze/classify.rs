//! Decides what one statement means: its action, whether it may run twice, what is dangerous about it.

use super::effects::Head;
use super::names::{Span, bare};
use super::report::{Action, Dialect, Effect, Extent, Hazard};
use super::token::Kind;
use super::window::window;

/// The effect of the statement `span`, whose head has been read.
pub(super) fn effect(span: Span<'_, '_>, head: &Head, dialect: Dialect, line: u32) -> Effect {
    let mut effect = Effect::new(head.action, head.table.clone(), line);
    effect.sources = sources(span, &head.table);
    match head.action {
        Action::Insert | Action::Upsert => insert(&mut effect, span, dialect),
        Action::Update => update(&mut effect, span),
        Action::Delete => delete(&mut effect, span),
        Action::Truncate => {
            effect.extent = Extent::Full;
            say(&mut effect, true, "an empty table stays empty");
        }
        Action::Ddl => ddl(&mut effect, span),
        Action::Read => {}
    }
    if effect.table.contains("${") {
        effect.hazards.push(Hazard::DynamicTable);
    }
    effect
}

/// Adds what stands before the head in the same statement (its CTEs).
pub(super) fn widen(effect: &mut Effect, span: Span<'_, '_>, ctes: &[String]) {
    for source in sources(span, &effect.table) {
        if !effect.sources.contains(&source) && !ctes.iter().any(|c| c.eq_ignore_ascii_case(&source)) {
            effect.sources.push(source);
        }
    }
    if matches!(effect.action, Action::Insert | Action::Upsert) && !effect.sources.is_empty() {
        let seen = window(span);
        if effect.extent != seen.extent {
            effect.extent = seen.extent;
            effect.hazards.extend(seen.hazards);
        }
    }
}

fn sources(span: Span<'_, '_>, own: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (name, _) in span.sources() {
        if !name.eq_ignore_ascii_case(own) && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

fn say(effect: &mut Effect, repeatable: bool, because: &str) {
    effect.repeatable = repeatable;
    because.clone_into(&mut effect.because);
}

fn insert(effect: &mut Effect, span: Span<'_, '_>, dialect: Dialect) {
    if span.0.iter().any(|t| t.is("SELECT")) || span.is(0, "MERGE") {
        let seen = window(span);
        effect.extent = seen.extent;
        effect.hazards.extend(seen.hazards);
    } else if span.is_any(0, &["COPY", "LOAD"]) {
        effect.extent = Extent::Full;
    } else if span.find(&["VALUES"]).is_some_and(|values| literal(Span(&span.0[values + 1..]))) {
        effect.extent = Extent::Literal;
    }
    let conflict = span.find(&["ON", "CONFLICT"]);
    if let Some(at) = conflict {
        effect.key = span.names_in(at + 2);
    }
    if span.is(0, "MERGE") {
        effect.key = merge_key(span);
        return say(effect, true, "MERGE matches rows before it writes");
    }
    if span.is(0, "REPLACE") || span.find(&["OR", "REPLACE"]) == Some(1) || span.is(0, "LOAD") && span.find(&["REPLACE"]).is_some() {
        effect.action = Action::Upsert;
        effect.hazards.push(Hazard::Replaces);
        return say(effect, true, "REPLACE deletes the row that is there, with everything that cascades from it, and inserts it anew");
    }
    if span.find(&["ON", "DUPLICATE", "KEY"]).is_some() {
        effect.action = Action::Upsert;
        effect.hazards.push(Hazard::AnyUniqueIndex);
        return say(effect, true, "ON DUPLICATE KEY UPDATE matches by any unique index, not only by the key");
    }
    if conflict.is_some() && span.find(&["DO", "UPDATE"]).is_some() {
        effect.action = Action::Upsert;
        return say(effect, true, "ON CONFLICT … DO UPDATE");
    }
    if conflict.is_some() {
        effect.hazards.push(Hazard::SkipsExisting);
        return say(effect, true, "ON CONFLICT DO NOTHING");
    }
    let ignore = span.is(1, "IGNORE") || span.is(2, "IGNORE") || span.is(0, "LOAD") && span.find(&["IGNORE"]).is_some();
    if ignore {
        // SQLite's OR IGNORE skips constraint violations only; MySQL's IGNORE also bends values to fit.
        effect.hazards.push(if dialect == Dialect::Sqlite { Hazard::SkipsExisting } else { Hazard::HidesErrors });
        return say(effect, true, "IGNORE skips rows that are there, and every other error with them");
    }
    if looks_first(span) {
        effect.hazards.push(Hazard::SkipsExisting);
        return say(effect, true, "it looks first whether the row is there");
    }
    effect.hazards.push(Hazard::PlainInsert);
    let bulk = span.is_any(0, &["COPY", "LOAD"]);
    say(
        effect,
        false,
        if bulk { "a bulk load adds its rows again" } else { "a plain INSERT adds its rows again, or fails on the first that is there" },
    );
}

/// Whether VALUES holds constants only.
fn literal(values: Span<'_, '_>) -> bool {
    let row = Span(&values.0[..values.close(0).min(values.0.len())]);
    row.0.iter().all(|t| t.kind != Kind::Param && !(t.kind == Kind::Word && t.text.contains(super::token::HOLE)))
}

/// `WHERE NOT EXISTS (…)`, `NOT IN (SELECT …)`, `LEFT JOIN … WHERE x IS NULL`, `EXCEPT SELECT`.
fn looks_first(span: Span<'_, '_>) -> bool {
    span.find(&["NOT", "EXISTS"]).is_some()
        || span.find(&["NOT", "IN"]).is_some_and(|i| span.is(i + 3, "SELECT"))
        || span.find(&["EXCEPT"]).is_some()
        || span.find(&["LEFT"]).is_some_and(|join| span.find(&["IS", "NULL"]).is_some_and(|null| null > join))
}

/// `MERGE … ON d.k = s.k WHEN`: the compared columns.
fn merge_key(span: Span<'_, '_>) -> Vec<String> {
    let (Some(on), Some(when)) = (span.find(&["ON"]), span.find(&["WHEN"])) else { return Vec::new() };
    let mut key = Vec::new();
    for i in on..when {
        if let (true, Some((name, _))) = (span.symbol(i, '='), span.name(i + 1)) {
            key.push(bare(&name).to_owned());
        }
    }
    key
}

fn update(effect: &mut Effect, span: Span<'_, '_>) {
    let seen = window(span);
    effect.extent = seen.extent;
    let Some(set) = span.find(&["SET"]) else { return say(effect, true, "sets values") };
    let end = (set..span.0.len()).find(|i| span.is_any(*i, &["WHERE", "FROM", "RETURNING"])).unwrap_or(span.0.len());
    if let Some(mark) = ["deleted_at", "archived_at", "is_active", "is_deleted", "active"].into_iter().find(|m| assigned(span, set, end, m))
    {
        effect.marks = Some(mark.to_owned());
    }
    if accumulates(span, set, end) {
        effect.hazards.push(Hazard::Accumulates);
        return say(effect, false, "it computes the new value from the old one");
    }
    say(effect, true, "sets the same values again");
}

fn assigned(span: Span<'_, '_>, set: usize, end: usize, column: &str) -> bool {
    (set + 1..end).any(|i| span.is(i, column) && span.symbol(i + 1, '='))
}

/// `n = n + 1`: an assigned column stands in its own expression beside an operator.
fn accumulates(span: Span<'_, '_>, set: usize, end: usize) -> bool {
    let mut i = set + 1;
    while i < end {
        let stop = assignment_end(span, i, end);
        let column = span.name(i).map(|(name, _)| bare(&name).to_ascii_lowercase());
        let expression = Span(&span.0[(i + 2).min(stop)..stop]);
        let operator = expression.0.iter().any(|t| t.kind == Kind::Symbol && ["+", "-", "*", "/", "|"].contains(&t.text));
        let own = column.is_some_and(|c| expression.0.iter().any(|t| matches!(t.kind, Kind::Word | Kind::Quoted) && t.is(&c)));
        if own && operator {
            return true;
        }
        i = stop + 1;
    }
    false
}

fn assignment_end(span: Span<'_, '_>, from: usize, end: usize) -> usize {
    let mut depth = 0_i32;
    for i in from..end {
        depth += i32::from(span.symbol(i, '(')) - i32::from(span.symbol(i, ')'));
        if depth == 0 && span.symbol(i, ',') {
            return i;
        }
    }
    end
}

fn delete(effect: &mut Effect, span: Span<'_, '_>) {
    let all = span.find(&["WHERE"]).is_none() && span.find(&["USING"]).is_none() && span.find(&["JOIN"]).is_none();
    effect.extent = if all { Extent::Full } else { window(span).extent };
    effect.mirrors = !all && looks_first(span);
    say(effect, true, if all { "removes every row" } else { "rows that are gone stay gone" });
    if all {
        effect.action = Action::Truncate;
    }
}

fn ddl(effect: &mut Effect, span: Span<'_, '_>) {
    effect.temporary = span.is_any(1, &["TEMP", "TEMPORARY", "UNLOGGED"]) && !span.is(1, "UNLOGGED");
    let guarded =
        span.find(&["IF", "NOT", "EXISTS"]).is_some() || span.find(&["IF", "EXISTS"]).is_some() || span.find(&["OR", "REPLACE"]).is_some();
    if span.is(0, "DROP") {
        effect.hazards.push(Hazard::Drops);
        return say(effect, guarded, if guarded { "IF EXISTS" } else { "fails when the table is gone already" });
    }
    if guarded || effect.temporary {
        return say(
            effect,
            true,
            if guarded { "it looks first whether the thing is there" } else { "a temporary table goes with its session" },
        );
    }
    effect.hazards.push(Hazard::BareDdl);
    say(effect, false, "fails the second time: no IF NOT EXISTS");
}
