//! `syncline ids`: which records have an id at the destination, and which references lead nowhere, by a fresh look at both sides.

use std::collections::BTreeMap;

use syncline_connector::{Batch, ReadForm, ReadRequest, Snapshot};
use syncline_model::{Key, ValueRef, json};
use xxhash_rust::xxh3::xxh3_128;

use crate::engine::{Engine, Result, RunOptions};
use crate::identity::IdForm;
use crate::mapped::{IdMaps, legacy_form};
use crate::pairing::Pair;
use crate::pipeline::RunContext;
use crate::report::{IdCoverage, OrphanReference};
use crate::spec::SyncSpec;
use crate::spill::HashTable;

/// Orphans of a stream that are listed; all are counted.
const ORPHANS_LISTED: usize = 20;

/// What was seen of a mapped stream at the source.
struct Parent {
    form: IdForm,
    /// Hashes of the ids that are there.
    live: HashTable,
}

impl Engine {
    /// What is mapped of every stream with ids, and the references of all streams to records that the source does not have. Writes nothing.
    ///
    /// # Errors
    /// Those of reaching and reading both sides, and of mappings that contradict each other.
    pub async fn id_coverage(&self, sync: &SyncSpec) -> Result<Vec<IdCoverage>> {
        let mut link = self.link(sync).await?;
        let remembered = self.remembered(&sync.name).await?;
        let options = RunOptions::default();
        let run = self.new_run(sync, "", &options);
        let (mut source, mut dest) = (link.source.snapshot().await?, link.dest.snapshot().await?);
        let mut found: BTreeMap<String, IdCoverage> = BTreeMap::new();
        let mut parents: BTreeMap<String, Parent> = BTreeMap::new();
        let mut all = Vec::new();
        for scope in self.scopes(sync, None).await? {
            let context = RunContext { sync, options: &options, scope: &scope, run: &run };
            let pairs = link.pairs(sync, (!scope.is_empty()).then_some(scope.as_str()), &[], &remembered)?;
            let ids = self.load_maps(&context, &pairs, &[], &link.dest_catalog, &mut *dest).await?;
            for (index, pair) in pairs.iter().enumerate().filter(|(_, p)| p.policy.options.ids.is_some()) {
                let parent =
                    parents.entry(pair.stream.clone()).or_insert_with(|| Parent { form: legacy_form(pair), live: HashTable::new() });
                let c = found.entry(pair.stream.clone()).or_insert_with(|| IdCoverage::of(&pair.stream));
                c.mapped = ids.known(index);
                count_records(pair, index, &ids, parent, c, &mut *source).await?;
            }
            all.extend(pairs);
        }
        for pair in all.iter().filter(|p| !p.foreign_ids.is_empty()) {
            let c = found.entry(pair.stream.clone()).or_insert_with(|| IdCoverage::of(&pair.stream));
            count_orphans(pair, &parents, c, &mut *source).await?;
        }
        source.close().await?;
        dest.close().await?;
        Ok(found.into_values().collect())
    }
}

/// The records of a stream: how many there are, and how many of them have an id.
async fn count_records(
    pair: &Pair,
    index: usize,
    ids: &IdMaps,
    parent: &mut Parent,
    c: &mut IdCoverage,
    source: &mut dyn Snapshot,
) -> Result<()> {
    let mut stream = source.read(request(pair, pair.key_source.clone())).await?;
    while let Some(batch) = stream.next().await? {
        let Batch::Rows(rows) = batch else { continue };
        for row in rows.rows() {
            c.in_scope += 1;
            c.covered += u64::from(ids.new_key(index, pair, &Key(row.to_values()))?.is_some());
            if let Some(id) = name(&parent.form, row.get(0)) {
                parent.live.insert(id, 0)?;
            }
        }
    }
    Ok(())
}

/// The references of a stream that lead to no record of the source.
async fn count_orphans(pair: &Pair, parents: &BTreeMap<String, Parent>, c: &mut IdCoverage, source: &mut dyn Snapshot) -> Result<()> {
    let mut references: Vec<(String, &String, &Parent)> = Vec::new();
    for (column, stream) in &pair.foreign_ids {
        if let (Some(column), Some(parent)) = (pair.copied_from[*column].clone(), parents.get(stream)) {
            references.push((column, stream, parent));
        }
    }
    let width = pair.key_source.len();
    let columns = pair.key_source.iter().cloned().chain(references.iter().map(|(column, ..)| column.clone())).collect();
    let mut stream = source.read(request(pair, columns)).await?;
    while let Some(batch) = stream.next().await? {
        let Batch::Rows(rows) = batch else { continue };
        for row in rows.rows() {
            for (i, (column, stream, parent)) in references.iter().enumerate() {
                let id = row.get(width + i);
                let there = match name(&parent.form, id) {
                    Some(hash) => parent.live.get(hash)?.is_some(),
                    None => id.is_null(),
                };
                if there {
                    continue;
                }
                c.orphans += 1;
                if c.orphan_references.len() < ORPHANS_LISTED {
                    let key = Key(row.to_values()[..width].to_vec()).to_json();
                    let (column, stream) = (column.clone(), (*stream).clone());
                    c.orphan_references.push(OrphanReference { key, column, stream, id: json::from_value(id) });
                }
            }
        }
    }
    Ok(())
}

fn name(form: &IdForm, id: ValueRef<'_>) -> Option<u128> {
    form.take(id).map(|id| xxh3_128(&form.canonical(id.view())))
}

fn request(pair: &Pair, columns: Vec<String>) -> ReadRequest {
    ReadRequest {
        table: pair.source.clone(),
        columns,
        filter: pair.filter_source.clone(),
        order: Vec::new(),
        form: ReadForm::Values,
        batch_bytes: 256 * 1024,
        large_over: u64::MAX,
    }
}
