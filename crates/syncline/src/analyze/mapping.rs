//! Finds out how a script translates ids of an old system: by a table, by a column, or by a key inside JSON.

use super::names::{Span, bare, part};
use super::report::IdMapping;
use super::token::Kind;

/// Whether a table holds id pairs, by its name.
pub(super) fn is_mapping_table(table: &str) -> bool {
    let t = bare(table).to_ascii_lowercase();
    let ends = ["_mapping", "_mappings", "_id_map", "_id_maps", "_idmap", "_xref", "_crosswalk"];
    ends.iter().any(|e| t.ends_with(e)) || ["id_map", "id_mapping", "id_mappings", "idmap", "migration_map"].contains(&t.as_str())
}

/// Whether a column says which kind of record a pair is about.
pub(super) fn is_entity_column(column: &str) -> bool {
    matches!(column.to_ascii_lowercase().as_str(), "entity_type" | "entity" | "table_name" | "source_table" | "object_type")
}

/// `entity_type = 'patient'`.
fn entity(span: Span<'_, '_>) -> Option<(String, String)> {
    (0..span.0.len()).find_map(|i| {
        let column = part(span.at(i)?).filter(|c| is_entity_column(c))?;
        let value = span.at(i + 2).filter(|t| t.kind == Kind::Text && span.symbol(i + 1, '='))?;
        Some((column, value.text.trim_matches('\'').to_owned()))
    })
}

/// The mapping that most likely holds the ids of `table` itself: a table or a path before a column, and of several columns the one
/// named after the table. A column of another name is a foreign key's.
pub(super) fn own<'m>(found: &'m [IdMapping], table: &str) -> Option<&'m IdMapping> {
    let name = bare(table).to_ascii_lowercase();
    let last = name.rsplit('_').next().unwrap_or(&name).trim_end_matches('s');
    let named = |m: &&IdMapping| matches!(m, IdMapping::Column { column } if column == "legacy_id" || column.contains(last));
    found.iter().find(|m| !matches!(m, IdMapping::Column { .. })).or_else(|| found.iter().find(named))
}

/// Columns that hold an id of the old system.
fn is_legacy_column(column: &str) -> bool {
    let c = column.to_ascii_lowercase();
    let old = ["legacy_", "old_", "source_", "external_"].iter().any(|p| c.starts_with(p));
    c == "legacy_id" || c.starts_with("legacy_") && c.ends_with("_id") || old && c.ends_with("_id") && !c.contains("batch")
}

pub(super) fn is_new_column(column: &str) -> bool {
    matches!(column.to_ascii_lowercase().as_str(), "uuid_id" | "new_id" | "target_id" | "uuid" | "new_uuid" | "target_uuid")
}

/// The mappings that a statement uses, each once. `tables` are those it touches.
pub(super) fn mappings(span: Span<'_, '_>, tables: &[String]) -> Vec<IdMapping> {
    let columns: Vec<String> = span.0.iter().filter_map(part).collect();
    let mut found: Vec<IdMapping> = Vec::new();
    for table in tables.iter().filter(|t| is_mapping_table(t)) {
        let legacy = columns.iter().find(|c| is_legacy_column(c)).cloned();
        let new = columns.iter().find(|c| is_new_column(c)).cloned();
        found.push(IdMapping::Table { table: table.clone(), legacy, new, entity: entity(span) });
    }
    found.extend(json_paths(span));
    if found.is_empty() {
        let legacy = columns.iter().filter(|c| is_legacy_column(c) && c.to_ascii_lowercase().starts_with("legacy_"));
        found.extend(legacy.map(|c| IdMapping::Column { column: c.clone() }));
    }
    found.sort();
    found.dedup();
    found
}

/// Several sightings of one mapping as one, with every part that any of them showed.
pub(super) fn merged(mut found: Vec<IdMapping>) -> Vec<IdMapping> {
    found.sort();
    found.dedup();
    let mut out: Vec<IdMapping> = Vec::new();
    for mapping in found {
        let twin = out
            .iter_mut()
            .find(|o| matches!((&**o, &mapping), (IdMapping::Table { table: a, .. }, IdMapping::Table { table: b, .. }) if a == b));
        match (twin, mapping) {
            (Some(IdMapping::Table { legacy, new, entity, .. }), IdMapping::Table { legacy: l, new: n, entity: e, .. }) => {
                *legacy = legacy.take().or(l);
                *new = new.take().or(n);
                *entity = entity.take().or(e);
            }
            (_, mapping) => out.push(mapping),
        }
    }
    out
}

/// `metadata->>'legacy_id'`, `JSON_EXTRACT(metadata, '$.legacy_id')`, `JSON_VALUE(…)`.
fn json_paths(span: Span<'_, '_>) -> Vec<IdMapping> {
    let mut found = Vec::new();
    for i in 0..span.0.len() {
        let Some(key) = span.at(i).filter(|t| t.kind == Kind::Text).map(|t| t.text.trim_matches('\'')) else { continue };
        let key = key.trim_start_matches("$.");
        if !is_legacy_column(key) {
            continue;
        }
        let mut j = i;
        while j > 0 && (span.symbol(j - 1, '>') || span.symbol(j - 1, '-') || span.symbol(j - 1, ',')) {
            j -= 1;
        }
        let arrow = j < i && span.symbol(i - 1, '>');
        let called = j < i && j >= 3 && span.is_any(j.saturating_sub(3), &["JSON_EXTRACT", "JSON_VALUE", "JSON_UNQUOTE"]);
        let column = j.checked_sub(1).and_then(|c| span.at(c)).and_then(part);
        if let (true, Some(column)) = (arrow || called, column) {
            found.push(IdMapping::JsonPath { column, key: key.to_owned() });
        }
    }
    found
}
