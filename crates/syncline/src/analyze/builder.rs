//! Reads calls of the Supabase query builder (`.from('t').upsert(rows, { onConflict: 'k' })`), which write without any SQL text.

use super::embedded::Language;
use super::mapping::{is_entity_column, is_mapping_table, is_new_column, merged};
use super::report::{Action, Effect, Extent, Hazard, IdMapping};

/// A chain longer than this is not one call.
const CHAIN_BYTES_MAX: usize = 4_000;
/// Things with a `from` that is not a table.
const NOT_CLIENTS: [&str; 5] = ["Buffer", "Array", "Object", "Set", "storage"];

/// What the builder calls in a TypeScript or JavaScript file do.
pub(super) fn effects(source: &str, language: Language) -> Vec<Effect> {
    if !matches!(language, Language::TypeScript | Language::JavaScript) {
        return Vec::new();
    }
    let starts: Vec<usize> = source.match_indices(".from(").map(|(i, _)| i).collect();
    let mut line = (0_usize, 1_u32);
    let mut found = Vec::new();
    for (n, start) in starts.iter().enumerate() {
        line.1 += u32::try_from(source[line.0..*start].matches('\n').count()).unwrap_or(u32::MAX);
        line.0 = *start;
        let end = starts.get(n + 1).copied().unwrap_or(source.len());
        let Some(chain) = chain(source, *start, end) else { continue };
        if let Some(effect) = NOT_CLIENTS.iter().all(|c| !source[..*start].trim_end().ends_with(c)).then(|| call(chain, line.1)).flatten() {
            found.push(effect);
        }
    }
    found
}

fn chain(source: &str, start: usize, end: usize) -> Option<&str> {
    let mut stop = end.min(start + CHAIN_BYTES_MAX);
    while !source.is_char_boundary(stop) {
        stop -= 1;
    }
    let text = source.get(start + ".from(".len()..stop)?;
    Some(text.split(';').next().unwrap_or(text))
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"' | '`'))?;
    text.get(1..)?.split_once(quote)
}

fn call(chain: &str, line: u32) -> Option<Effect> {
    let (table, rest) = quoted(chain)?;
    let verbs = [
        (".upsert(", Action::Upsert),
        (".insert(", Action::Insert),
        (".update(", Action::Update),
        (".delete(", Action::Delete),
        (".select(", Action::Read),
    ];
    let (_, verb, action) = verbs.iter().filter_map(|(v, a)| rest.find(v).map(|at| (at, *v, *a))).min_by_key(|(at, _, _)| *at)?;
    let (repeatable, because) = match action {
        Action::Upsert => (true, "upsert of the client library"),
        Action::Insert => (false, "a plain INSERT adds its rows again, or fails on the first that is there"),
        Action::Update => (true, "sets the same values again"),
        Action::Delete => (true, "rows that are gone stay gone"),
        _ => (true, "it only reads"),
    };
    let mut effect = Effect::new(action, table.to_owned(), line);
    effect.repeatable = repeatable;
    because.clone_into(&mut effect.because);
    effect.key = key(rest);
    effect.id_mapping = legacy(table, rest);
    if action == Action::Read {
        window(&mut effect, rest);
    }
    if action == Action::Insert {
        effect.hazards.push(Hazard::PlainInsert);
    }
    if verb == ".upsert(" && rest.contains("ignoreDuplicates: true") {
        effect.hazards.push(Hazard::SkipsExisting);
    }
    if table.contains("${") {
        effect.hazards.push(Hazard::DynamicTable);
    }
    Some(effect)
}

fn key(rest: &str) -> Vec<String> {
    let target = rest.split_once("onConflict:").and_then(|(_, r)| quoted(r)).map_or("", |(k, _)| k);
    target.split(',').map(str::trim).filter(|k| !k.is_empty()).map(str::to_owned).collect()
}

fn window(effect: &mut Effect, rest: &str) {
    effect.extent = Extent::Full;
    for (call, exclusive) in [(".gt(", true), (".gte(", false)] {
        let column = rest.split_once(call).and_then(|(_, r)| quoted(r)).map(|(c, _)| c);
        if let Some(column) = column.filter(|c| super::window::is_time(c)) {
            effect.extent = Extent::Incremental { column: column.to_owned(), exclusive };
            effect.hazards.push(if exclusive { Hazard::OpenCursor } else { Hazard::PlainCursor });
        }
    }
    if rest.contains(".range(") {
        effect.hazards.push(Hazard::OffsetPaging);
    }
}

/// `.eq('entity_type', 'doctor')`, `{ entity_type: 'doctor' }`.
fn entity(rest: &str) -> Option<(String, String)> {
    let column = rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).find(|w| is_entity_column(w))?;
    let after = rest.split_once(column)?.1.trim_start_matches(['\'', '"', ' ', ',', ':']);
    let before = rest.len() - after.len();
    let (value, _) = quoted(rest.get(before.checked_sub(1)?..)?)?;
    Some((column.to_owned(), value.to_owned()))
}

/// A mapping table, or `legacy_patient_id` named anywhere in the call.
fn legacy(table: &str, rest: &str) -> Vec<IdMapping> {
    let words = || rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let columns = words().filter(|w| w.starts_with("legacy_") && w.ends_with("_id") || *w == "legacy_id");
    if is_mapping_table(table) {
        let new = words().find(|w| is_new_column(w)).map(str::to_owned);
        return vec![IdMapping::Table { table: table.to_owned(), legacy: columns.map(str::to_owned).next(), new, entity: entity(rest) }];
    }
    merged(columns.map(|w| IdMapping::Column { column: w.to_owned() }).collect())
}
