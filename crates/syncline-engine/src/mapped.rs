//! Id mapping within a run (FR-010): existing mappings are read first, ids are rewritten as rows pass, new ones are minted
//! and written in the run's own transaction.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use syncline_connector::{
    Batch, DeleteAction, Error, ErrorKind, LargeFields, Predicate, RawChunk, ReadForm, ReadRequest, Reject, Snapshot, StagedRun,
    StreamWrite, WritePath,
};
use syncline_model::{Catalog, Key, RowBatch, Table, TableName, Value, ValueRef, json};
use syncline_store::rows::{IdRow, Page};

use crate::engine::{Engine, EngineError, Result};
use crate::identity::{IdForm, IdMap, IdMapBuilder, IdMapError, Mint, Rewrite, Shape};
use crate::link::Link;
use crate::moving::{Sink, batch_bytes};
use crate::pairing::Pair;
use crate::pipeline::RunContext;
use crate::spec::{IdSource, Ids};
use crate::spill::{HashTable, RowSpool};

/// The share of the memory budget that the mappings of all streams may take; more of them are kept on disk.
const MAP_SHARE: u64 = 8;
/// Mappings fetched from the state at a time.
const IDS_PER_READ: u32 = 10_000;

/// The id maps of a transaction.
#[derive(Default)]
pub(crate) struct IdMaps {
    maps: Vec<IdMap>,
    /// Per pair: how its rows are rewritten; `None` when nothing is.
    rewrites: Vec<Option<Rewrite>>,
    /// Per pair: the number of its own map.
    own: Vec<Option<usize>>,
    /// Mapping tables that get what is minted: (map, where its rows go, entity value).
    tables: Vec<MappingTable>,
    /// Mappings found at the destination that the state does not have yet, for `syncline ids`.
    imported: Vec<Minted>,
    /// Bytes that the mappings of one stream may take in memory.
    held_max: usize,
}

struct MappingTable {
    map: usize,
    write: StreamWrite,
    entity: Option<String>,
}

/// What one stream minted.
pub(crate) struct Minted {
    /// The stream.
    pub stream: String,
    /// Its new mappings: legacy id, new id.
    pub rows: RowSpool,
    legacy: IdForm,
    new: IdForm,
}

impl Minted {
    fn of(pair: &Pair, rows: RowSpool) -> Self {
        Self { stream: pair.stream.clone(), rows, legacy: legacy_form(pair), new: new_form(pair) }
    }

    /// A part of them as the state keeps it, both ids in their streams' own spelling.
    pub fn id_rows(&self, part: &RowBatch, run: &str) -> Vec<IdRow> {
        part.rows().map(|m| id_row(&self.legacy, &self.new, (m.get(0), m.get(1)), run)).collect()
    }
}

impl IdMaps {
    /// The maps as the transaction of some streams needs them: all of them to look in, those pairs (now from number 0 on) to rewrite.
    #[must_use]
    pub fn only(mut self, part: std::ops::Range<usize>) -> Self {
        if self.own.is_empty() {
            return self;
        }
        self.own = self.own[part.clone()].to_vec();
        self.rewrites = self.rewrites.drain(part).collect();
        self.tables.retain(|t| self.own.contains(&Some(t.map)));
        self
    }

    /// The rewriting of pair `index`.
    pub fn rewriting(&mut self, index: usize) -> Option<(&Rewrite, &mut [IdMap])> {
        let rewrite = self.rewrites.get(index)?.as_ref()?;
        Some((rewrite, &mut self.maps))
    }

    /// The map of the ids in a staged column of pair `index`.
    fn map_at(&self, index: usize, column: usize) -> Option<&IdMap> {
        self.rewrites.get(index)?.as_ref()?.map_at(column).map(|m| &self.maps[m])
    }

    /// The destination's key of a source key: `None` where a part of it has no mapping.
    pub fn new_key(&self, index: usize, pair: &Pair, key: &Key) -> Result<Option<Key>> {
        let part = |(&column, v): (&usize, &Value)| match self.map_at(index, column) {
            Some(map) => map.get(v.view()),
            None => Ok(Some(v.clone())),
        };
        Ok(pair.key_at.iter().zip(&key.0).map(part).collect::<Result<Option<Vec<_>>>>()?.map(Key))
    }

    /// The source's key of a destination key: `None` where a part of it is nobody's new id.
    pub fn legacy_key(&self, index: usize, pair: &Pair, key: &Key) -> Result<Option<Key>> {
        let part = |(&column, v): (&usize, &Value)| match self.map_at(index, column) {
            Some(map) => map.legacy_of(v.view()),
            None => Ok(Some(v.clone())),
        };
        Ok(pair.key_at.iter().zip(&key.0).map(part).collect::<Result<Option<Vec<_>>>>()?.map(Key))
    }

    /// The rows with the ids that are known already, nothing minted; rows without one come back as parked. For looking, not
    /// for writing.
    pub fn rewrite_known(&self, index: usize, pair: &Pair, rows: &RowBatch) -> Result<(RowBatch, Vec<crate::moving::Parked>)> {
        let mut out = RowBatch::new(rows.width());
        let mut refused = Vec::new();
        let Some(Some(rewrite)) = self.rewrites.get(index) else { return Ok((rows.clone(), refused)) };
        for row in rows.rows() {
            for column in 0..row.width() {
                match self.map_at(index, column) {
                    Some(map) if !row.get(column).is_null() => match map.get(row.get(column))? {
                        Some(id) => out.push(id.view()),
                        None => {
                            out.drop_partial();
                            refused.push(crate::moving::Parked {
                                key: Key(pair.key_at.iter().map(|&c| row.get(c).to_owned()).collect()),
                                column: Some(rewrite.columns[column].clone()),
                                code: "id_unmapped".to_owned(),
                                detail: "the record has no id mapping".to_owned(),
                                image: String::new(),
                            });
                            break;
                        }
                    },
                    _ => out.push_encoded(row.encoded(column)),
                }
            }
        }
        Ok((out, refused))
    }

    /// How many mappings pair `index` has of its own records.
    pub fn known(&self, index: usize) -> u64 {
        self.own[index].map_or(0, |map| self.maps[map].len())
    }

    /// Tells apart any two states of the maps that pair `index` would get different ids of other records from. Empty where it holds none.
    pub fn fingerprint(&self, index: usize) -> Result<String> {
        let foreign = self.rewrites.get(index).and_then(Option::as_ref).map_or(&[][..], |r| r.foreign.as_slice());
        let one = |(column, map): &(usize, usize)| Ok(format!("{column}:{:032x}", self.maps[*map].fingerprint()?));
        Ok(foreign.iter().map(one).collect::<Result<Vec<_>>>()?.join(" "))
    }

    /// The extra streams of the run: one per mapping table.
    pub fn writes(&self) -> impl Iterator<Item = StreamWrite> + '_ {
        self.tables.iter().map(|t| t.write.clone())
    }

    /// References that were promised an id for a record that never came: how many, and the first legacy ids.
    pub fn orphans(&self, shown_max: usize) -> Result<(u64, Vec<Value>)> {
        let (mut total, mut shown) = (0, Vec::new());
        for map in &self.maps {
            let (more, ids) = map.orphans(shown_max - shown.len())?;
            total += more;
            shown.extend(ids);
        }
        Ok((total, shown))
    }

    /// Stages what was minted into the mapping tables, behind the `streams` of the run, and gives it back for the state.
    pub async fn stage_minted(&mut self, pairs: &[Pair], streams: usize, staged: &mut dyn StagedRun) -> Result<Vec<Minted>> {
        let mut all = std::mem::take(&mut self.imported);
        for (index, own) in self.own.iter().enumerate() {
            let Some(map) = *own else { continue };
            let minted = self.maps[map].take_minted();
            for (k, table) in self.tables.iter().enumerate().filter(|(_, t)| t.map == map) {
                for part in minted.parts() {
                    let rejects = staged.stage(streams + k, &table.rows(&part?)).await?;
                    if let Some(r) = rejects.first() {
                        return Err(Error::new(
                            ErrorKind::SchemaMismatch,
                            "id_mapping_unusable",
                            format!("mapping table `{}`: {}", table.write.table.name, r.detail),
                        )
                        .into());
                    }
                }
            }
            all.push(Minted::of(&pairs[index], minted));
        }
        Ok(all)
    }
}

impl MappingTable {
    fn rows(&self, minted: &RowBatch) -> RowBatch {
        let mut rows = RowBatch::new(self.write.columns.len());
        for m in minted.rows() {
            rows.push(m.get(0));
            rows.push(m.get(1));
            if let Some(entity) = &self.entity {
                rows.push(ValueRef::Text(entity));
            }
        }
        rows
    }
}

fn id_row(forms: &IdForm, new_form: &IdForm, (legacy, new): (ValueRef<'_>, ValueRef<'_>), run: &str) -> IdRow {
    let legacy = forms.take(legacy).unwrap_or_else(|| legacy.to_owned());
    let new = new_form.take(new).unwrap_or_else(|| new.to_owned());
    IdRow {
        legacy: forms.canonical(legacy.view()),
        legacy_json: json::from_value(legacy.view()).to_string(),
        new_json: json::from_value(new.view()).to_string(),
        run: run.to_owned(),
    }
}

pub(crate) fn legacy_form(pair: &Pair) -> IdForm {
    let key = pair.key_source.first().and_then(|k| pair.source.column(k));
    IdForm::of(&key.expect("invariant: mapped streams have one key column").logical)
}

fn new_form(pair: &Pair) -> IdForm {
    IdForm::of(&pair.columns[pair.key_at[0]].logical)
}

impl Engine {
    /// Mapped streams that are not among `pairs` (this run was asked for others) and that these refer to: their ids are needed, nothing of
    /// theirs is written or minted.
    pub(crate) async fn mapped_elsewhere(&self, context: &RunContext<'_>, link: &Link, pairs: &[Pair]) -> Result<Vec<Pair>> {
        let absent = |s: &String| !pairs.iter().any(|p| p.stream == *s);
        let wanted: BTreeSet<String> = pairs.iter().flat_map(|p| &p.foreign_ids).map(|(_, s)| s.clone()).filter(absent).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let remembered = self.remembered(&context.sync.name).await?;
        let scope = (!context.scope.is_empty()).then_some(context.scope);
        let mut found = link.pairs(context.sync, scope, &Vec::from_iter(wanted), &remembered)?;
        for pair in &mut found {
            if let Some(ids) = &mut pair.policy.options.ids {
                ids.mint = false;
            }
        }
        Ok(found)
    }

    /// Reads the mappings of all mapped streams among `pairs` and `elsewhere`, and prepares the rewriting of every stream of `pairs`.
    pub(crate) async fn load_maps(
        &self,
        context: &RunContext<'_>,
        pairs: &[Pair],
        elsewhere: &[Pair],
        catalog: &Catalog,
        dest: &mut dyn Snapshot,
    ) -> Result<IdMaps> {
        let maps = pairs.iter().chain(elsewhere).filter(|p| p.policy.options.ids.is_some()).count().max(1);
        let held_max = usize::try_from(context.sync.memory / MAP_SHARE).unwrap_or(usize::MAX) / maps;
        let mut ids = IdMaps { held_max, ..IdMaps::default() };
        let mut by_stream: BTreeMap<&str, usize> = BTreeMap::new();
        for pair in pairs {
            let Some(spec) = &pair.policy.options.ids else {
                ids.own.push(None);
                continue;
            };
            let map = self.load_map(context, pair, spec, catalog, dest, &mut ids).await?;
            by_stream.insert(&pair.stream, ids.maps.len());
            ids.own.push(Some(ids.maps.len()));
            if let (IdSource::Table { table, legacy, new, entity }, true) = (&spec.source, spec.mint) {
                let table = catalog.table(&named(table)).ok_or_else(|| missing_mapping(pair, table))?;
                ids.tables.push(mapping_table(ids.maps.len(), table, legacy, new, entity.as_ref()));
            }
            ids.maps.push(map);
        }
        for pair in elsewhere {
            let Some(spec) = &pair.policy.options.ids else { continue };
            let map = self.load_map(context, pair, spec, catalog, dest, &mut ids).await?;
            by_stream.insert(&pair.stream, ids.maps.len());
            ids.maps.push(map);
        }
        for (index, pair) in pairs.iter().enumerate() {
            let foreign: Vec<(usize, usize)> =
                pair.foreign_ids.iter().filter_map(|(c, s)| by_stream.get(s.as_str()).map(|m| (*c, *m))).collect();
            let key = ids.own[index].map(|m| (pair.key_at[0], m));
            let needed = key.is_some() || !foreign.is_empty();
            let columns = pair.columns.iter().map(|c| c.name.clone()).collect();
            ids.rewrites.push(needed.then_some(Rewrite { key, foreign, columns }));
        }
        Ok(ids)
    }

    async fn load_map(
        &self,
        context: &RunContext<'_>,
        pair: &Pair,
        spec: &Ids,
        catalog: &Catalog,
        dest: &mut dyn Snapshot,
        ids: &mut IdMaps,
    ) -> Result<IdMap> {
        let (legacy, new) = (legacy_form(pair), new_form(pair));
        let mut builder = IdMapBuilder::new(legacy, new, ids.held_max);
        let fault = |e: IdMapError| map_error(pair, &e);
        if let Some(shape) =
            Shape::of(&spec.source, &pair.key_dest[0]).filter(|_| pair.create.is_none() || matches!(spec.source, IdSource::Table { .. }))
        {
            let (table, filter) = place(pair, &shape, catalog)?;
            let request = ReadRequest {
                columns: shape.columns().map(ToOwned::to_owned).to_vec(),
                table,
                filter,
                order: Vec::new(),
                form: ReadForm::Values,
                batch_bytes: batch_bytes(context.sync.memory),
                large_over: u64::MAX,
            };
            let mut imported = RowSpool::new(2);
            let mut stream = dest.read(request).await?;
            while let Some(batch) = stream.next().await? {
                let Batch::Rows(rows) = batch else { continue };
                let mut found = RowBatch::new(2);
                for (legacy, new) in rows.rows().filter_map(|r| shape.read(r)) {
                    builder.add(legacy.view(), new.view())?;
                    found.push_row([legacy.view(), new.view()]);
                }
                self.unknown_to_state(context, pair, &found, &mut imported).await?;
            }
            if !imported.is_empty() {
                ids.imported.push(Minted::of(pair, imported));
            }
        }
        if matches!(spec.source, IdSource::State | IdSource::JsonPath { .. }) {
            self.add_state_ids(context, pair, &mut builder).await?;
        }
        let mint = if spec.mint { Mint::new(&context.sync.name, &pair.stream, legacy, new) } else { None };
        if spec.mint && mint.is_none() {
            let message = format!("stream `{}`: ids cannot be minted into `{}`, which holds no uuid", pair.stream, pair.key_dest[0]);
            return Err(EngineError::Config {
                code: "config_invalid",
                message,
                hint: Some("set `mint: false`, or use a uuid or text key".to_owned()),
            });
        }
        builder.finish(mint)?.map_err(fault)
    }

    /// Mappings of the destination that the state lacks.
    async fn unknown_to_state(&self, context: &RunContext<'_>, pair: &Pair, found: &RowBatch, unknown: &mut RowSpool) -> Result<()> {
        let (legacy, new) = (legacy_form(pair), new_form(pair));
        let legacy: Vec<Vec<u8>> = found.rows().map(|m| id_row(&legacy, &new, (m.get(0), m.get(1)), "").legacy).collect();
        let mut tx = self.store.begin().await?;
        let known = tx.load_ids(&context.sync.name, &pair.stream, &legacy).await?;
        tx.commit().await?;
        found.rows().zip(known).filter(|(_, known)| known.is_none()).try_for_each(|(m, _)| unknown.push(m))
    }

    async fn add_state_ids(&self, context: &RunContext<'_>, pair: &Pair, builder: &mut IdMapBuilder) -> Result<()> {
        let mut page = Page { offset: 0, limit: IDS_PER_READ };
        let value = |text: &str| serde_json::from_str(text).ok().and_then(|j| json::to_value(&j));
        loop {
            let mut tx = self.store.begin().await?;
            let rows = tx.list_ids(&context.sync.name, &pair.stream, &page).await?;
            tx.commit().await?;
            for row in &rows {
                if let (Some(l), Some(n)) = (value(&row.legacy_json), value(&row.new_json)) {
                    builder.add(l.view(), n.view())?;
                }
            }
            if rows.len() < IDS_PER_READ as usize {
                return Ok(());
            }
            page.offset += u64::from(IDS_PER_READ);
        }
    }

    /// Destination ids of a mapped stream whose record the source no longer has, and how many destination rows there are. With
    /// `all` also rows without a mapping.
    pub(crate) async fn unmapped_rest(
        &self,
        pair: &Pair,
        index: usize,
        ids: &IdMaps,
        all: bool,
        source: &mut dyn Snapshot,
        dest: &mut dyn Snapshot,
    ) -> Result<Rest> {
        let forms: Vec<IdForm> = pair.key_at.iter().map(|&c| IdForm::of(&pair.columns[c].logical)).collect();
        // One spelling for both sides, as a hash: millions of keys are held at once.
        let name = |key: &Key| {
            let mut bytes = Vec::new();
            for (form, v) in forms.iter().zip(&key.0) {
                let part = form.canonical(form.take(v.view())?.view());
                bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
                bytes.extend_from_slice(&part);
            }
            Some(xxhash_rust::xxh3::xxh3_128(&bytes))
        };
        let at: Vec<usize> = (0..pair.key_at.len()).collect();
        let mut live = HashTable::new();
        let mut rest = Rest { extra: RowSpool::new(at.len()), left_alone: 0, dest_rows: 0, source_rows: 0, unknown: 0 };
        let mut stream = source.read(keys_request(&pair.source, &pair.key_source, &pair.filter_source)).await?;
        while let Some(batch) = stream.next().await? {
            let Batch::Rows(rows) = batch else { continue };
            rest.source_rows += rows.len() as u64;
            for row in rows.rows() {
                match ids.new_key(index, pair, &Key::of(row, &at))?.as_ref().and_then(name) {
                    Some(id) => drop(live.insert(id, 0)?),
                    None => rest.unknown += 1,
                }
            }
        }
        drop(stream);
        let mut stream = dest.read(keys_request(&pair.dest, &pair.key_dest, &pair.filter_dest)).await?;
        while let Some(batch) = stream.next().await? {
            let Batch::Rows(rows) = batch else { continue };
            for row in rows.rows() {
                rest.dest_rows += 1;
                let key = Key::of(row, &at);
                if let Some(id) = name(&key)
                    && live.get(id)?.is_some()
                {
                    continue;
                }
                if all || ids.legacy_key(index, pair, &key)?.is_some() {
                    rest.extra.push(row)?;
                } else {
                    rest.left_alone += 1;
                }
            }
        }
        Ok(rest)
    }
}

/// What a mapped destination has beyond its source.
pub(crate) struct Rest {
    /// Ids to delete.
    pub extra: RowSpool,
    /// Rows without a mapping: not ours.
    pub left_alone: u64,
    /// Rows at the destination.
    pub dest_rows: u64,
    /// Rows at the source.
    pub source_rows: u64,
    /// Of those, the ones whose key at the destination nobody knows, for a part of it has no mapping.
    pub unknown: u64,
}

fn keys_request(table: &Table, key: &[String], filter: &[Predicate]) -> ReadRequest {
    ReadRequest {
        table: table.clone(),
        columns: key.to_vec(),
        filter: filter.to_vec(),
        order: Vec::new(),
        form: ReadForm::Values,
        batch_bytes: 256 * 1024,
        large_over: u64::MAX,
    }
}

fn named(text: &str) -> TableName {
    text.split_once('.').map_or_else(|| TableName::bare(text), |(s, n)| TableName::within(s, n))
}

fn missing_mapping(pair: &Pair, table: &str) -> EngineError {
    EngineError::Config {
        code: "table_missing",
        message: format!("stream `{}`: the destination has no mapping table `{table}`", pair.stream),
        hint: Some("check `ids:`; the table must exist at the destination".to_owned()),
    }
}

/// The table that holds the mappings, and which of its rows are this stream's.
fn place(pair: &Pair, shape: &Shape, catalog: &Catalog) -> Result<(Table, Vec<Predicate>)> {
    match shape {
        Shape::Table { table, entity, .. } => {
            let found = catalog.table(&named(table)).ok_or_else(|| missing_mapping(pair, table))?;
            let filter = entity.iter().map(|(c, v)| Predicate::Equals(c.clone(), Value::Text(v.clone()))).collect();
            Ok((found.clone(), filter))
        }
        Shape::Column { .. } | Shape::JsonPath { .. } => Ok((pair.dest.clone(), Vec::new())),
    }
}

fn map_error(pair: &Pair, e: &IdMapError) -> EngineError {
    Error::new(ErrorKind::SchemaMismatch, e.code(), format!("stream `{}`: {e}", pair.stream)).hint(e.hint()).into()
}

fn mapping_table(map: usize, table: &Table, legacy: &str, new: &str, entity: Option<&(String, String)>) -> MappingTable {
    let mut key = vec![legacy.to_owned()];
    let mut columns = vec![legacy.to_owned(), new.to_owned()];
    if let Some((column, _)) = entity {
        key.push(column.clone());
        columns.push(column.clone());
    }
    let write = StreamWrite {
        stream: format!("id mappings in {}", table.name),
        table: table.clone(),
        create: None,
        path: WritePath::Stage,
        in_parts: syncline_connector::InParts::No,
        key,
        one_record_per_key: true,
        columns,
        compare: vec![new.to_owned()],
        deletes: DeleteAction::Remove,
        stamp: None,
        expects: false,
        rejects_max: 0,
        // A mapping that cannot be written would leave its row without one.
        strict: true,
        referenced_by: Vec::new(),
    };
    MappingTable { map, write, entity: entity.map(|(_, v)| v.clone()) }
}

/// Rewrites ids on the way into another sink.
pub(crate) struct MappingSink<'s> {
    pub inner: &'s mut dyn Sink,
    pub rewrite: &'s Rewrite,
    pub maps: &'s mut [IdMap],
    pub pair: &'s Pair,
    pub refused: Vec<crate::moving::Parked>,
}

#[async_trait]
impl Sink for MappingSink<'_> {
    async fn rows(&mut self, rows: &RowBatch) -> Result<Vec<Reject>> {
        let out = self.rewritten(rows)?;
        if !out.is_empty() {
            let rejects = self.inner.rows(&out).await?;
            rejects.into_iter().try_for_each(|r| self.refuse(r))?;
        }
        Ok(Vec::new())
    }

    async fn large(&mut self, row: &RowBatch, fields: &mut dyn LargeFields) -> Result<Option<Reject>> {
        let out = self.rewritten(row)?;
        if !out.is_empty()
            && let Some(reject) = self.inner.large(&out, fields).await?
        {
            self.refuse(reject)?;
        }
        Ok(None)
    }

    async fn raw(&mut self, _chunk: RawChunk) -> Result<()> {
        Err(Error::internal("rows whose ids are rewritten are read as values").into())
    }
}

impl MappingSink<'_> {
    /// The rows with the destination's ids; those that get none are noted.
    fn rewritten(&mut self, rows: &RowBatch) -> Result<RowBatch> {
        crate::moving::refuse_too_many(self.pair, self.refused.len())?;
        let mut out = RowBatch::new(rows.width());
        for row in rows.rows() {
            if let Err(refusal) = self.rewrite.apply(row, self.maps, &mut out)? {
                self.refused.push(crate::moving::Parked {
                    key: Key(self.pair.key_at.iter().map(|&c| row.get(c).to_owned()).collect()),
                    column: Some(refusal.column),
                    code: refusal.code.to_owned(),
                    detail: refusal.detail,
                    image: crate::moving::image(self.pair.columns.iter().map(|c| &c.name).zip(row.cells())),
                });
            }
        }
        Ok(out)
    }

    /// What the destination refuses is known by its source key, too: by that it is listed and tried again.
    fn refuse(&mut self, reject: Reject) -> Result<()> {
        let mut parked = crate::moving::parked(self.pair, reject);
        let legacy = |(&column, v): (&usize, &Value)| match self.rewrite.map_at(column) {
            Some(map) => self.maps[map].legacy_of(v.view()),
            None => Ok(Some(v.clone())),
        };
        if let Some(key) = self.pair.key_at.iter().zip(&parked.key.0).map(legacy).collect::<Result<Option<Vec<_>>>>()? {
            parked.key = Key(key);
        }
        self.refused.push(parked);
        Ok(())
    }
}
