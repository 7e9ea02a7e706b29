//! Turns a fragment of SQL into effects: which table each statement touches, how, and whether twice is as good as once.
//!
//! Statements are found by their opening words wherever they stand (in a CTE, a procedure, an `IF … THEN`), because a full
//! grammar of three dialects would refuse the very scripts that need this report.

use super::embedded::Fragment;
use super::names::Span;
use super::report::{Action, Dialect, Effect, Extent, Hazard};
use super::token::{Kind, Token, tokens};
use super::{classify, mapping, names};

/// Dollar-quoted bodies inside bodies; deeper ones are not read.
const BODIES_MAX: u32 = 4;

/// Verbs looked at per statement. Each look may read the statement to its end, so this bounds the work on hostile input.
const TRIES_MAX: usize = 500;
const VERBS: [&str; 11] = ["INSERT", "REPLACE", "UPDATE", "DELETE", "MERGE", "COPY", "LOAD", "TRUNCATE", "CREATE", "ALTER", "DROP"];

/// A statement's opening words: what it does, to which table, and where its span starts.
pub(super) struct Head {
    pub(super) action: Action,
    pub(super) table: String,
    /// Index of the opening word.
    pub(super) start: usize,
    /// Index after the table's name.
    pub(super) after: usize,
}

/// What a fragment does, in order.
pub(super) fn effects(fragment: &Fragment, dialect: Dialect) -> Vec<Effect> {
    let mut out = Vec::new();
    collect(&fragment.text, 0, fragment, dialect, BODIES_MAX, &mut out);
    out
}

fn collect(sql: &str, base: usize, fragment: &Fragment, dialect: Dialect, bodies: u32, out: &mut Vec<Effect>) {
    let all = tokens(sql, dialect);
    for statement in all.split(|t| t.kind == Kind::End) {
        let span = Span(statement);
        let heads = heads(span);
        let ctes = cte_names(span);
        for (n, head) in heads.iter().enumerate() {
            let end = span_end(span, head.start, heads.get(n + 1));
            let own = Span(&statement[head.start..end]);
            let line = fragment.line(base + statement[head.start].at);
            let mut effect = classify::effect(own, head, dialect, line);
            effect.sources.retain(|s| !ctes.iter().any(|c| c.eq_ignore_ascii_case(s)));
            if heads.len() == 1 && head.start > 0 {
                classify::widen(&mut effect, span, &ctes);
            }
            let mut touched = effect.sources.clone();
            touched.push(effect.table.clone());
            // A lookup written before the head (WITH … INSERT) still belongs to it.
            effect.id_mapping = mapping::mappings(if heads.len() == 1 { span } else { own }, &touched);
            out.push(effect);
        }
        if heads.is_empty() {
            out.extend(reads(span, fragment, base, &ctes));
        }
        for body in statement.iter().filter(|t| t.kind == Kind::Body && bodies > 0) {
            collect(body.text, base + body.at, fragment, dialect, bodies - 1, out);
        }
    }
}

/// The span of a head ends with its parenthesis, with its statement, or where the next head starts.
fn span_end(span: Span<'_, '_>, start: usize, next: Option<&Head>) -> usize {
    let mut depth = 0_i32;
    for (i, t) in span.0.iter().enumerate().skip(start) {
        depth += i32::from(t.symbol('(')) - i32::from(t.symbol(')'));
        if depth < 0 || next.is_some_and(|n| n.start == i) {
            return i;
        }
    }
    span.0.len()
}

/// `WITH a AS (…), b AS (…)`.
fn cte_names(span: Span<'_, '_>) -> Vec<String> {
    if span.find(&["WITH"]).is_none() {
        return Vec::new();
    }
    // A name and its column list stand directly before AS.
    let opens = |i: usize| span.is(i, "AS") && (span.symbol(i + 1, '(') || span.is_any(i + 1, &["MATERIALIZED", "NOT"]));
    (1..span.0.len()).filter(|i| opens(*i)).filter_map(|i| cte_name(span, i)).collect()
}

fn cte_name(span: Span<'_, '_>, as_at: usize) -> Option<String> {
    let mut i = as_at - 1;
    if span.symbol(i, ')') {
        i = (i.saturating_sub(200)..i).rev().find(|j| span.symbol(*j, '('))?.checked_sub(1)?;
    }
    names::part(span.at(i)?)
}

fn reads(span: Span<'_, '_>, fragment: &Fragment, base: usize, ctes: &[String]) -> Vec<Effect> {
    if !span.0.iter().any(|t| t.is("SELECT")) || span.is_any(0, &["CREATE", "GRANT", "REVOKE", "COMMENT"]) {
        return Vec::new();
    }
    let window = super::window::window(span);
    let sources = span.sources().into_iter().filter(|(name, _)| !ctes.iter().any(|c| c.eq_ignore_ascii_case(name)));
    let tables: Vec<(String, usize)> = sources.collect();
    let named: Vec<String> = tables.iter().map(|(t, _)| t.clone()).collect();
    let id_mapping = mapping::mappings(span, &named);
    let read = |(n, (table, at)): (usize, (String, usize))| {
        let mut effect = Effect::new(Action::Read, table, fragment.line(base + span.at(at).map_or(0, |t| t.at)));
        "it only reads".clone_into(&mut effect.because);
        effect.id_mapping.clone_from(&id_mapping);
        // The window speaks of the first table; the others are looked up.
        effect.extent = if n == 0 { window.extent.clone() } else { Extent::Full };
        effect.hazards = if n == 0 { window.hazards.clone() } else { Vec::new() };
        effect
    };
    tables.into_iter().enumerate().map(read).collect()
}

/// Every statement opening in `span`, in order.
fn heads(span: Span<'_, '_>) -> Vec<Head> {
    if span.is_any(0, &["GRANT", "REVOKE", "COMMENT", "SECURITY"]) {
        return Vec::new();
    }
    let (mut found, mut tried) = (Vec::new(), 0);
    let mut i = 0;
    while i < span.0.len() && tried < TRIES_MAX {
        let verb = span.is_any(i, &VERBS) && opens(span, i);
        tried += usize::from(verb);
        let heads = if verb { head(span, i) } else { Vec::new() };
        i = heads.last().map_or(i, |h| h.after.max(i + 1) - 1) + 1;
        found.extend(heads);
    }
    found
}

/// Whether a statement may start here: not after the words that use its verb as a clause or a privilege.
fn opens(span: Span<'_, '_>, i: usize) -> bool {
    const CLAUSE: [&str; 13] = ["ON", "FOR", "KEY", "OR", "BEFORE", "AFTER", "NO", "OF", "AND", "NOT", "TABLE", "INDEX", "COLUMN"];
    if i == 0 {
        return true;
    }
    let before = span.at(i - 1);
    let clause = before.is_some_and(|t| t.is_any(&CLAUSE) || t.symbol(',') || t.symbol('.') || t.symbol('='));
    let after_do = span.is(i - 1, "DO") && i >= 2 && (span.symbol(i - 2, ')') || span.is(i - 2, "CONFLICT"));
    let after_constraint = span.is(i - 1, "DO") && i >= 3 && span.is(i - 3, "CONSTRAINT");
    !clause && !after_do && !after_constraint
}

fn head(span: Span<'_, '_>, i: usize) -> Vec<Head> {
    const NOISE: [&str; 7] = ["LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "QUICK", "IGNORE", "ONLY", "CONCURRENT"];
    let Some(t) = span.at(i) else { return Vec::new() };
    let one = |action, at: Option<usize>| named(span, action, i, at).into_iter().collect();
    if t.is("INSERT") || t.is("REPLACE") {
        let into = span.skip(
            i + 1,
            &["LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "IGNORE", "OR", "REPLACE", "ABORT", "FAIL", "ROLLBACK", "OVERWRITE"],
        );
        let bare = i == 0 && !span.symbol(into, '(');
        let at = if span.is(into, "INTO") { Some(span.skip(into + 1, &["TABLE"])) } else { bare.then_some(into) };
        return one(Action::Insert, at);
    }
    if t.is("UPDATE") {
        let skipped = span.skip(i + 1, &["OR", "ROLLBACK", "ABORT", "REPLACE", "FAIL", "LOW_PRIORITY", "IGNORE", "ONLY"]);
        let sets = span.0.iter().skip(i).any(|t| t.is("SET"));
        return one(Action::Update, sets.then_some(skipped));
    }
    if t.is("DELETE") {
        let from = span.skip(i + 1, &NOISE);
        let at = if span.is(from, "FROM") { Some(span.skip(from + 1, &NOISE)) } else { span.is(from + 1, "FROM").then_some(from) };
        return one(Action::Delete, at);
    }
    if t.is("MERGE") {
        let at = span.skip(i + 1, &["INTO"]);
        return one(Action::Upsert, span.0.iter().skip(i).any(|t| t.is("MATCHED")).then_some(at));
    }
    if t.is("COPY") {
        return one(Action::Insert, copies_in(span, i).then_some(i + 1));
    }
    if t.is("LOAD") {
        let into = span.find(&["INTO", "TABLE"]).filter(|at| *at > i);
        return one(Action::Insert, into.map(|at| at + 2));
    }
    if t.is("TRUNCATE") && !span.symbol(i + 1, '(') {
        return list(span, Action::Truncate, i, span.skip(i + 1, &["TABLE", "ONLY"]));
    }
    ddl(span, i)
}

fn copies_in(span: Span<'_, '_>, i: usize) -> bool {
    let Some((_, after)) = span.name(i + 1) else { return false };
    let after = if span.symbol(after, '(') { span.close(after) + 1 } else { after };
    span.is(after, "FROM")
}

fn ddl(span: Span<'_, '_>, i: usize) -> Vec<Head> {
    const KIND: [&str; 8] = ["TEMP", "TEMPORARY", "UNLOGGED", "GLOBAL", "LOCAL", "OR", "REPLACE", "FOREIGN"];
    const GUARD: [&str; 4] = ["IF", "NOT", "EXISTS", "ONLY"];
    if !span.is_any(i, &["CREATE", "ALTER", "DROP"]) {
        return Vec::new();
    }
    let kind = span.skip(i + 1, &KIND);
    if span.is(kind, "TABLE") {
        let at = span.skip(kind + 1, &GUARD);
        return if span.is(i, "DROP") {
            list(span, Action::Ddl, i, at)
        } else {
            named(span, Action::Ddl, i, Some(at)).into_iter().collect()
        };
    }
    let index = span.skip(kind, &["UNIQUE", "FULLTEXT", "SPATIAL"]);
    if span.is(i, "CREATE") && span.is_any(index, &["INDEX", "TRIGGER"]) {
        let on = (index..span.0.len()).find(|n| span.is(*n, "ON"));
        return named(span, Action::Ddl, i, on.map(|n| span.skip(n + 1, &["ONLY"]))).into_iter().collect();
    }
    Vec::new()
}

fn named(span: Span<'_, '_>, action: Action, start: usize, at: Option<usize>) -> Option<Head> {
    let (table, after) = span.name(at?)?;
    Some(Head { action, table, start, after })
}

fn list(span: Span<'_, '_>, action: Action, start: usize, mut at: usize) -> Vec<Head> {
    let mut heads = Vec::new();
    while let Some((table, after)) = span.name(at) {
        heads.push(Head { action, table, start, after });
        if !span.symbol(after, ',') {
            break;
        }
        at = span.skip(after + 1, &["ONLY"]);
    }
    heads
}

/// Whether the script switches off foreign keys or triggers, and where.
pub(super) fn checks_off(fragment: &Fragment, dialect: Dialect) -> Option<u32> {
    let all = tokens(&fragment.text, dialect);
    let span = Span(&all);
    let at = |i: usize| fragment.line(all.get(i).map_or(0, |t: &Token<'_>| t.at));
    let off =
        |i: usize| span.at(i).is_some_and(|t| t.text == "0" || t.is("OFF") || t.is("FALSE") || t.is("REPLICA") || t.text == "'replica'");
    (0..all.len()).find_map(|i| {
        let named = span.is_any(i, &["FOREIGN_KEY_CHECKS", "SESSION_REPLICATION_ROLE", "FOREIGN_KEYS"]);
        let set = named && span.symbol(i + 1, '=') && off(i + 2) || named && span.is(i + 1, "TO") && off(i + 2);
        let disabled = span.is(i, "DISABLE") && span.is_any(i + 1, &["TRIGGER", "KEYS"]);
        (set || disabled).then(|| at(i))
    })
}

/// Adds the hazard of a fragment that switches checks off.
pub(super) fn note_checks_off(effects: &mut [Effect]) {
    for effect in effects.iter_mut().filter(|e| !matches!(e.action, Action::Read | Action::Ddl)) {
        effect.hazards.push(Hazard::ChecksOff);
    }
}
