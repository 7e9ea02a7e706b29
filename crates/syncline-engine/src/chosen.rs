//! Which tables of the source are streams of a sync.

use std::collections::BTreeMap;

use syncline_model::schema::TableKind;
use syncline_model::{Catalog, Table, TableName};

use crate::engine::{EngineError, Result};
use crate::first_load;
use crate::pairing::{Remembered, Side, default_schema};
use crate::policy;
use crate::spec::SyncSpec;

/// Source tables whose ids are mapped. All streams of the sync count, also those left out of this run.
pub(crate) fn mapped(sync: &SyncSpec, from: Side<'_>) -> BTreeMap<TableName, String> {
    let mapped = |t: &Table, name: &str| {
        let options = options(sync, &t.name, name).filter(|o| o.ids.is_some());
        // Keys of several columns are no ids: of such tables only the references are mapped.
        options.is_some_and(|o| o.key.or_else(|| t.best_key()).is_some_and(|key| key.len() == 1))
    };
    let named = from.catalog.tables.iter().map(|t| (t, stream_name(&t.name, from)));
    named.filter(|(t, name)| mapped(t, name)).map(|(t, name)| (t.name.clone(), name)).collect()
}

/// What the configuration says of a stream: under its name, or under the bare name of its table.
fn options(sync: &SyncSpec, table: &TableName, name: &str) -> Option<crate::spec::StreamOptions> {
    policy::options_for(sync, name).or_else(|| policy::options_for(sync, &table.name))
}

/// The tables of the source that are streams of the sync, also those left out of this run, with what is said of them.
pub(crate) fn all<'a>(sync: &'a SyncSpec, from: Side<'a>) -> impl Iterator<Item = (&'a Table, crate::spec::StreamOptions)> {
    from.catalog.tables.iter().filter_map(move |t| Some((t, options(sync, &t.name, &stream_name(&t.name, from))?)))
}

/// A stream: its name, its table, its options.
type Chosen<'a> = (String, &'a Table, crate::spec::StreamOptions);

/// The streams of a sync among the tables of the source, in its order. `only` restricts to these names.
///
/// # Errors
/// `Config`: a stream that is named is not there, one that patterns match is there no more, or they match none at all.
pub(crate) fn choose<'a>(sync: &SyncSpec, only: &[String], from: Side<'a>, remembered: &Remembered) -> Result<Vec<Chosen<'a>>> {
    let catalog = from.catalog;
    let mut chosen = Vec::new();
    for table in &catalog.tables {
        let bare = &table.name.name;
        let name = stream_name(&table.name, from);
        let options = options(sync, &table.name, &name);
        let exact = sync.streams.iter().any(|(p, o)| (p == bare || *p == name) && o.is_some());
        // Views, and tables that a sync is still filling, are streams only where somebody names them.
        let hidden = table.kind == TableKind::View || first_load::is_load_table(&table.name);
        if let Some(options) = options.filter(|_| !hidden || exact) {
            chosen.push((name, table, options));
        }
    }
    for (pattern, options) in &sync.streams {
        let is_name = !pattern.contains(['*', '?']) && options.is_some();
        if is_name && !catalog.tables.iter().any(|t| t.name.name == *pattern || t.name.to_string() == *pattern) {
            return Err(missing_table(sync, pattern, catalog));
        }
    }
    for name in only {
        if !chosen.iter().any(|(n, ..)| n == name) {
            return Err(missing_table(sync, name, catalog));
        }
    }
    if !only.is_empty() {
        chosen.retain(|(n, ..)| only.contains(n));
        return Ok(chosen);
    }
    refuse_vanished(sync, &chosen, remembered)?;
    if chosen.is_empty() {
        return Err(EngineError::Config {
            code: "streams_missing",
            message: format!("sync `{}`: the source shows no table that its streams match", sync.name),
            hint: Some(SHOWN_ONLY_WITH_RIGHTS.to_owned()),
        });
    }
    Ok(chosen)
}

/// A table outside the schema that bare names mean is called by its full name. Always: what other schemas hold must not rename a stream
/// whose positions, bases and parked rows are kept under its name.
fn stream_name(table: &TableName, from: Side<'_>) -> String {
    let is_usual = from.schema.is_some() || default_schema(from.engine()).is_none_or(|usual| table.schema.as_ref() == Some(&usual));
    if is_usual { table.name.clone() } else { table.to_string() }
}

/// MySQL and `information_schema` do not show tables to a role without rights on them: gone and withdrawn look the same.
const SHOWN_ONLY_WITH_RIGHTS: &str = "grant SELECT on it, if only the right is gone (see `syncline discover`)";

/// A table that a pattern found in the last good run and does not find now: without a word, its changes would be lost from now on.
fn refuse_vanished(sync: &SyncSpec, chosen: &[Chosen<'_>], remembered: &Remembered) -> Result<()> {
    let is_here = |name: &str| chosen.iter().any(|(n, table, _)| n == name || table.name.name == name || table.name.to_string() == name);
    let is_meant = |name: &str| policy::options_for(sync, name).is_some();
    let Some(gone) = remembered.shapes.keys().find(|name| !is_here(name) && is_meant(name)) else { return Ok(()) };
    Err(EngineError::Config {
        code: "table_missing",
        message: format!("sync `{}`: the source has no table `{gone}` any more, or does not show it; the last good run had it", sync.name),
        hint: Some(format!("{SHOWN_ONLY_WITH_RIGHTS}; if it was dropped on purpose, say so: `streams: {{ {gone}: false }}`")),
    })
}

fn missing_table(sync: &SyncSpec, name: &str, catalog: &Catalog) -> EngineError {
    let names: Vec<String> = catalog.tables.iter().map(|t| t.name.name.clone()).collect();
    let near = syncline_model::suggest::closest(name, names.iter().map(String::as_str));
    EngineError::Config {
        code: "table_missing",
        message: format!("sync `{}`: the source has no table `{name}`", sync.name),
        hint: Some(near.map_or_else(|| "see `syncline discover`".to_owned(), |n| format!("did you mean `{n}`?"))),
    }
}
