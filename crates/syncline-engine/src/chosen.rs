//! Which tables of the source are streams of a sync.

use std::collections::{BTreeMap, BTreeSet};

use syncline_model::schema::TableKind;
use syncline_model::{Catalog, Table, TableName};

use crate::engine::{EngineError, Result};
use crate::first_load;
use crate::pairing::Remembered;
use crate::policy;
use crate::spec::SyncSpec;

/// Source tables whose ids are mapped. All streams of the sync count, also those left out of this run.
pub(crate) fn mapped(sync: &SyncSpec, catalog: &Catalog) -> BTreeMap<TableName, String> {
    let mapped = |t: &&Table| {
        let options = policy::options_for(sync, &t.name.name).filter(|o| o.ids.is_some());
        // Keys of several columns are no ids: of such tables only the references are mapped.
        options.is_some_and(|o| o.key.or_else(|| t.best_key()).is_some_and(|key| key.len() == 1))
    };
    catalog.tables.iter().filter(mapped).map(|t| (t.name.clone(), t.name.name.clone())).collect()
}

/// A stream: its name, its table, its options.
type Chosen<'a> = (String, &'a Table, crate::spec::StreamOptions);

/// The streams of a sync among the tables of the source, in its order. `only` restricts to these names.
///
/// # Errors
/// `Config`: a stream that is named is not there, one that patterns match is there no more, or they match none at all.
pub(crate) fn choose<'a>(sync: &SyncSpec, only: &[String], catalog: &'a Catalog, remembered: &Remembered) -> Result<Vec<Chosen<'a>>> {
    let several = catalog.tables.iter().map(|t| &t.name.schema).collect::<BTreeSet<_>>().len() > 1;
    let mut chosen = Vec::new();
    for table in &catalog.tables {
        let bare = &table.name.name;
        let name = if several { table.name.to_string() } else { bare.clone() };
        let options = policy::options_for(sync, &name).or_else(|| policy::options_for(sync, bare));
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
