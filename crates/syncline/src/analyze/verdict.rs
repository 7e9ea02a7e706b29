//! Sums up what a script does to a table and says what to do with it.

use std::collections::BTreeMap;

use super::mapping::{is_mapping_table, merged};
use super::names::bare;
use super::report::{Action, Effect, Extent, Hazard, TableReport, Verdict};

/// One report per table that the script touches. Tables it only reads are listed by the effects that read them.
pub(super) fn tables(effects: Vec<Effect>) -> Vec<TableReport> {
    let temporary: Vec<String> = effects.iter().filter(|e| e.temporary).map(|e| e.table.clone()).collect();
    let reads: Vec<Effect> = effects.iter().filter(|e| e.action == Action::Read).cloned().collect();
    let mut by_table: BTreeMap<String, Vec<Effect>> = BTreeMap::new();
    for effect in effects.into_iter().filter(|e| !temporary.contains(&e.table)) {
        by_table.entry(effect.table.to_ascii_lowercase()).or_default().push(effect);
    }
    let filled = by_table.values().filter(|effects| effects.iter().any(adds)).count();
    by_table.into_values().filter_map(|effects| table(effects, &reads, filled == 1)).collect()
}

fn adds(effect: &Effect) -> bool {
    matches!(effect.action, Action::Insert | Action::Upsert)
}

/// `alone`: no other table is filled by this script.
fn table(mut effects: Vec<Effect>, reads: &[Effect], alone: bool) -> Option<TableReport> {
    effects.sort_by_key(|e| e.line);
    let name = effects.first()?.table.clone();
    let writes = effects.iter().any(|e| e.action != Action::Read);
    if !writes {
        return None;
    }
    refill(&mut effects);
    let (extent, read) = extent(&effects, reads, &name, alone);
    let seen = effects.iter().chain(read);
    let hazards: Vec<(Hazard, u32)> = seen.flat_map(|e| e.hazards.iter().map(|h| (*h, e.line))).collect();
    let id_mapping = merged(effects.iter().flat_map(|e| e.id_mapping.iter().cloned()).collect());
    let idempotent = effects.iter().all(|e| e.repeatable);
    let (verdict, reason, line) = verdict(&hazards, &effects);
    Some(TableReport { is_mapping: is_mapping_table(&name), table: name, verdict, reason, line, idempotent, extent, id_mapping, effects })
}

/// Emptying a table is a hazard when the script then fills it; the fill itself is then repeatable.
fn refill(effects: &mut [Effect]) {
    if !effects.iter().any(adds) {
        effects.iter_mut().filter(|e| e.action == Action::Truncate).for_each(|e| e.hazards.push(Hazard::Wipes));
    }
    let Some(emptied) = effects.iter().position(|e| e.action == Action::Truncate || e.hazards.contains(&Hazard::Drops)) else { return };
    let dropped = effects[emptied].hazards.contains(&Hazard::Drops);
    let mut filled = false;
    for effect in effects.iter_mut().skip(emptied + 1) {
        let remade = dropped && effect.action == Action::Ddl && effect.hazards.contains(&Hazard::BareDdl);
        if adds(effect) || remade {
            filled = filled || adds(effect);
            effect.repeatable = true;
            effect.hazards.retain(|h| !matches!(h, Hazard::PlainInsert | Hazard::BareDdl));
            if effect.because.starts_with("a plain INSERT") || effect.because.starts_with("a bulk load") {
                "the table was emptied before".clone_into(&mut effect.because);
            }
        }
    }
    if filled && !dropped {
        effects[emptied].hazards.push(Hazard::Empties);
        effects[emptied].mirrors = true;
    }
}

/// The script's own statement decides; where the program hands the rows over, its read of a table of that name, of a name that
/// contains it (`dispatch_product` for `products`), or its only read when it fills only one table.
fn extent<'r>(effects: &[Effect], reads: &'r [Effect], table: &str, alone: bool) -> (Extent, Option<&'r Effect>) {
    let own: Vec<&Extent> = effects.iter().filter(|e| adds(e)).map(|e| &e.extent).collect();
    let window = own.iter().find(|e| matches!(e, Extent::Incremental { .. }));
    if let Some(known) =
        window.or_else(|| own.iter().find(|e| ***e == Extent::Full)).or_else(|| own.iter().find(|e| ***e == Extent::Literal))
    {
        return ((**known).clone(), None);
    }
    if effects.iter().all(|e| matches!(e.action, Action::Ddl | Action::Read)) {
        return (Extent::Nothing, None);
    }
    if own.is_empty() {
        let update = effects.iter().find(|e| e.action == Action::Update).map(|e| e.extent.clone());
        let emptied = effects.iter().any(|e| e.action == Action::Truncate);
        return (update.unwrap_or(if emptied { Extent::Full } else { Extent::Unknown }), None);
    }
    let data: Vec<&Effect> = reads.iter().filter(|r| !is_mapping_table(&r.table)).collect();
    let name = bare(table).to_ascii_lowercase();
    let stem = name.trim_end_matches('s');
    let same = data.iter().find(|r| bare(&r.table).eq_ignore_ascii_case(&name));
    let akin = data.iter().find(|r| stem.len() > 2 && bare(&r.table).to_ascii_lowercase().contains(stem));
    let only = data.first().filter(|_| alone && data.len() == 1);
    match same.or(akin).or(only) {
        Some(read) => (read.extent.clone(), Some(read)),
        None => (Extent::Unknown, None),
    }
}

fn verdict(hazards: &[(Hazard, u32)], effects: &[Effect]) -> (Verdict, String, u32) {
    let worst = hazards.iter().map(|(h, line)| (weigh(*h), *h, *line)).max_by_key(|(v, h, _)| (*v, std::cmp::Reverse(*h)));
    match worst {
        Some((verdict, hazard, line)) if verdict > Verdict::Reuse => (verdict, reason(hazard).to_owned(), line),
        _ => {
            let line = effects.iter().find(|e| e.action != Action::Read).map_or(1, |e| e.line);
            (Verdict::Reuse, "running it again ends in the same state".to_owned(), line)
        }
    }
}

/// What a hazard alone would decide.
fn weigh(hazard: Hazard) -> Verdict {
    match hazard {
        Hazard::Empties
        | Hazard::Wipes
        | Hazard::Drops
        | Hazard::Replaces
        | Hazard::HidesErrors
        | Hazard::AnyUniqueIndex
        | Hazard::OpenCursor
        | Hazard::OffsetPaging
        | Hazard::ChecksOff => Verdict::Replace,
        Hazard::PlainCursor
        | Hazard::PlainInsert
        | Hazard::SkipsExisting
        | Hazard::Accumulates
        | Hazard::DynamicTable
        | Hazard::BareDdl => Verdict::Adapt,
    }
}

/// What a hazard does, in a sentence for the report.
pub(super) fn reason(hazard: Hazard) -> &'static str {
    match hazard {
        Hazard::Empties => "it empties the table and fills it again: readers see it empty, and a failure in between leaves it so",
        Hazard::Wipes => "it removes every row and asks nobody: run by mistake it empties the table",
        Hazard::Drops => "it drops the table: views, grants and foreign keys go with it",
        Hazard::Replaces => "REPLACE deletes the old row first: rows that cascade from it are lost",
        Hazard::HidesErrors => "IGNORE turns errors into warnings: rows are cut to fit or left out without a word",
        Hazard::AnyUniqueIndex => "ON DUPLICATE KEY UPDATE matches by any unique index: a new row can be lost or merged into another",
        Hazard::OpenCursor => {
            "its window opens with `>`: rows with the same stamp as the last one seen, and rows committed late, are never copied"
        }
        Hazard::PlainCursor => {
            "its window trusts the stamp: rows committed late with an older stamp are never copied, deletions are not seen"
        }
        Hazard::OffsetPaging => "it pages by OFFSET: a row removed meanwhile shifts the pages, and rows are passed over",
        Hazard::ChecksOff => "it switches off foreign keys or triggers: orphans get in and stay",
        Hazard::PlainInsert => "it adds rows without looking: a second run doubles them or fails; match by key",
        Hazard::SkipsExisting => "it leaves rows that are there as they are: later changes at the source never arrive",
        Hazard::Accumulates => "it computes the new value from the old one: a second run changes it again",
        Hazard::DynamicTable => "the program puts the table's name together: name the tables to know what it does",
        Hazard::BareDdl => "its DDL fails the second time: add IF NOT EXISTS",
    }
}
