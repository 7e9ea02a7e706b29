//! `edits: keep`: three-way against the base, record by record (S4-002, S4-003). What only the destination changed stays;
//! what both changed is decided by the strategy and written down; every write re-tests the row it was decided on (R40).

use std::collections::HashMap;

use syncline_connector::{Batch, Predicate, ReadForm, ReadRequest, Reject, Snapshot, StagedRun};
use syncline_model::detect::{ConflictCause, Field, FieldRule, Times, detect};
use syncline_model::normalise::Normaliser;
use syncline_model::resolve::{LastModifier, Side, Strategy, Why, resolve};
use syncline_model::{Key, RowBatch, RowRef, ValueRef, json};
use syncline_store::rows::ConflictRow;

use crate::bases::Bases;
use crate::batch::rows_per_batch;
use crate::engine::{EngineError, Result};
use crate::moving::{Moved, Selection, batch_bytes, large_over, request, set_keyless_aside, source_key, transform};
use crate::pairing::Pair;
use crate::spec::{Atomic, Conflicts};
use crate::stream_run::StreamRun;

/// What the sync calls itself in a `last_modified_by` column.
const OWN_NAME: &str = "syncline";

impl StreamRun<'_> {
    /// Moves the selected rows, each decided against its base and the destination's row.
    pub(crate) async fn move_keeping_edits(
        &mut self,
        selection: &Selection,
        source: &mut dyn Snapshot,
        dest: &mut dyn Snapshot,
        staged: &mut dyn StagedRun,
    ) -> Result<()> {
        let pair = self.pair;
        let memory = self.context.sync.memory;
        let mut spool = match self.result.bases.take() {
            Some(s) => s,
            None => Bases::new()?,
        };
        let in_batches = self.context.sync.atomic == Atomic::Batch;
        let mut staged_rows = 0;
        let mut stream = source.read(request(pair, memory, selection)).await?;
        let mut out = RowBatch::new(pair.columns.len());
        while let Some(batch) = stream.next().await? {
            let Batch::Rows(rows) = batch else { continue };
            if self.engine.interrupt.asked() {
                return Err(EngineError::Interrupted);
            }
            let mut moved = Moved { fetched: rows.len() as u64, ..Moved::default() };
            selection.look(&rows, &mut moved);
            let rows = if pair.key_may_be_null() { set_keyless_aside(pair, rows, &mut moved.parked) } else { rows };
            transform(pair, &rows, &mut out, &mut moved.parked);
            let refused: Vec<String> = moved.parked.iter().map(|p| p.key.to_json()).collect();
            let keys: Vec<Key> = rows.rows().map(|r| source_key(pair, r)).filter(|k| !refused.contains(&k.to_json())).collect();
            self.take(moved)?;
            staged_rows += self.decide_batch(&out, &keys, dest, staged, &mut spool).await?;
            if in_batches && staged_rows >= rows_per_batch() {
                // The bases first: those of rows that were committed without them would call the source's change a new one.
                spool = self.save_bases_so_far(spool).await?;
                staged.commit().await?;
                staged_rows = 0;
            }
            self.engine.progress.stream_rows(&pair.stream, self.result.fetched);
        }
        self.result.bases = Some(if in_batches { self.save_bases_so_far(spool).await? } else { spool });
        Ok(())
    }

    async fn save_bases_so_far(&mut self, spool: Bases) -> Result<Bases> {
        self.result.bases = Some(spool);
        self.engine.save_bases(self.context, self.pair, &mut self.result).await?;
        Bases::new()
    }

    /// Decides rows, stages what is to be written, and says how many that are.
    async fn decide_batch(
        &mut self,
        rows: &RowBatch,
        keys: &[Key],
        dest: &mut dyn Snapshot,
        staged: &mut dyn StagedRun,
        spool: &mut Bases,
    ) -> Result<u64> {
        let pair = self.pair;
        let canons = pair.key_canons();
        let names: Vec<Vec<u8>> = keys.iter().map(|k| k.canonical(&canons)).collect();
        let bases = self.engine.bases_of(&self.context.sync.name, self.context.scope, pair, &names).await?;
        let mut at = RowBatch::new(pair.key_at.len());
        rows.rows().for_each(|r| pair.key_at.iter().for_each(|&c| at.push_encoded(r.encoded(c))));
        let present = if pair.create.is_some() { DestRows::default() } else { self.rows_at_destination(at, dest).await? };
        let rules = rules(pair);
        let mut write = RowBatch::new(pair.columns.len());
        let mut expect = RowBatch::new(pair.columns.len());
        // Rows that are written: their new base, and the one it replaces.
        let mut written: Vec<(usize, Vec<u64>, Vec<u64>)> = Vec::new();
        for (i, row) in rows.rows().enumerate() {
            match present.at.get(&names[i]) {
                None => {
                    let hashes = source_hashes(row, &rules);
                    (0..row.width()).for_each(|c| write.push_encoded(row.encoded(c)));
                    written.push((i, hashes, Vec::new()));
                }
                Some(&at) => {
                    let there = present.rows.row(at);
                    let mut one = RowBatch::new(row.width());
                    let base = bases[i].as_ref().map(|b| b.today(&rules, row, there));
                    let decided = self.decide_row(row, there, present.modifier[at], base.as_deref(), &rules, &keys[i], &mut one)?;
                    match decided {
                        Decided::Written(_) if there.has_large() => {
                            let large = (0..there.width()).find(|&c| matches!(there.get(c), ValueRef::Large(_)));
                            let column = large.map(|c| pair.columns[c].name.clone());
                            let detail = "the destination's value is more than this run may hold at once".to_owned();
                            let reject = Reject { row: row.to_values(), column, code: "value_too_large", detail, words: None };
                            self.result.parked.push(crate::moving::parked(pair, reject));
                        }
                        Decided::Written(hashes) => {
                            (0..pair.columns.len()).for_each(|c| expect.push_encoded(there.encoded(c)));
                            one.rows().for_each(|r| (0..r.width()).for_each(|c| write.push_encoded(r.encoded(c))));
                            written.push((i, hashes, base.unwrap_or_default()));
                        }
                        Decided::Settled(hashes) => spool.new.add(&names[i], &hashes)?,
                    }
                }
            }
        }
        if !expect.is_empty() {
            staged.stage_expected(self.index, &expect).await?;
        }
        let rejects = if write.is_empty() { Vec::new() } else { staged.stage(self.index, &write).await? };
        let refused: Vec<Vec<u8>> =
            rejects.iter().map(|r| Key(pair.key_at.iter().map(|&k| r.row[k].clone()).collect()).canonical(&canons)).collect();
        self.result.parked.extend(rejects.into_iter().map(|r| crate::moving::parked(pair, r)));
        self.refuse_when_strict()?;
        for (i, hashes, replaced) in written {
            if !refused.contains(&names[i]) {
                spool.new.add(&names[i], &hashes)?;
                spool.replaced.add(&names[i], &replaced)?;
            }
        }
        Ok(write.len() as u64)
    }

    #[allow(clippy::too_many_arguments, reason = "one record's whole context")]
    fn decide_row(
        &mut self,
        row: RowRef<'_>,
        there: RowRef<'_>,
        modifier: LastModifier,
        base: Option<&[u64]>,
        rules: &[(usize, FieldRule)],
        key: &Key,
        write: &mut RowBatch,
    ) -> Result<Decided> {
        let pair = self.pair;
        let fields: Vec<Field<'_>> = rules
            .iter()
            .map(|&(c, rule)| Field { name: &pair.columns[c].name, rule, source: Some(row.get(c)), destination: there.get(c) })
            .collect();
        let times = Times { last_synced_at: self.result.position.as_ref().and_then(|p| p.last_synced_at), ..Times::default() };
        let summary = detect(&fields, base, times);
        let strategy = strategy(pair.policy.conflicts);
        let resolution = resolve(&fields, base, &summary, strategy, modifier);
        for note in &resolution.notes {
            let Why::Conflict { cause, .. } = note.why else { continue };
            if note.winner == Side::Source && cause != ConflictCause::NeverSynced {
                let there = Key(pair.key_at.iter().map(|&c| there.get(c).to_owned()).collect());
                self.result.edited.insert(edited(&there.to_json(), note.name), 0)?;
            }
            let f = &fields[note.field];
            let text = |v: ValueRef<'_>| json::from_value(v).to_string();
            self.result.conflicts.push(&ConflictRow {
                run: self.context.run.id.clone(),
                stream: pair.stream.clone(),
                key_json: key.to_json(),
                field: note.name.to_owned(),
                source_json: text(row.get(rules[note.field].0)),
                destination_json: text(f.destination),
                resolved_json: text(resolution.values[note.field]),
                winner: if note.winner == Side::Source { "source".to_owned() } else { "destination".to_owned() },
                strategy: strategy.name().to_owned(),
                note: note.to_string(),
            })?;
        }
        if resolution.written.is_empty() {
            if resolution.notes.is_empty() {
                self.result.settled.0 += 1
            } else {
                self.result.settled.1 += 1
            }
            return Ok(Decided::Settled(resolution.base));
        }
        for c in 0..pair.columns.len() {
            match rules.iter().position(|(at, _)| *at == c) {
                Some(f) => write.push(resolution.values[f]),
                None if pair.key_at.contains(&c) => write.push_encoded(there.encoded(c)),
                None => write.push_encoded(row.encoded(c)),
            }
        }
        Ok(Decided::Written(resolution.base))
    }

    /// The destination's rows with these keys, marked ones included.
    pub(crate) async fn rows_at_destination(&self, keys: RowBatch, dest: &mut dyn Snapshot) -> Result<DestRows> {
        let pair = self.pair;
        let mut found = DestRows { rows: RowBatch::new(pair.columns.len()), ..DestRows::default() };
        if keys.is_empty() {
            return Ok(found);
        }
        let there = pair.columns_there();
        let mut columns: Vec<String> = there.iter().map(|&c| pair.columns[c].name.clone()).collect();
        columns.extend(pair.policy.options.last_modified_by.iter().cloned());
        let ask = ReadRequest {
            table: pair.dest.clone(),
            columns,
            filter: vec![Predicate::KeyIn { columns: pair.key_dest.clone(), keys }],
            order: Vec::new(),
            form: ReadForm::Values,
            batch_bytes: batch_bytes(self.context.sync.memory),
            large_over: large_over(self.context.sync.memory),
        };
        let canons = pair.key_canons();
        let mut stream = dest.read(ask).await?;
        while let Some(batch) = stream.next().await? {
            let Batch::Rows(batch) = batch else { continue };
            for row in batch.rows() {
                pair.widen(row, &there, &mut found.rows);
                let last = found.rows.len() - 1;
                found.at.insert(Key::of(found.rows.row(last), &pair.key_at).canonical(&canons), last);
                let by = (row.width() > there.len()).then(|| row.get(there.len()));
                found.modifier.push(self.modifier(by));
            }
        }
        Ok(found)
    }

    fn modifier(&self, by: Option<ValueRef<'_>>) -> LastModifier {
        match by {
            None | Some(ValueRef::Null) => LastModifier::Unknown,
            Some(ValueRef::Text(name)) if name == OWN_NAME || name == self.context.sync.name => LastModifier::Sync,
            Some(_) => LastModifier::Other,
        }
    }
}

/// The name of a field of a record that the destination edited.
pub(crate) fn edited(key_json: &str, field: &str) -> u128 {
    xxhash_rust::xxh3::xxh3_128(format!("{}:{key_json}{field}", key_json.len()).as_bytes())
}

enum Decided {
    /// Staged; this is its base once committed.
    Written(Vec<u64>),
    /// Nothing to write; this is its base.
    Settled(Vec<u64>),
}

#[derive(Default)]
pub(crate) struct DestRows {
    rows: RowBatch,
    at: HashMap<Vec<u8>, usize>,
    modifier: Vec<LastModifier>,
}

impl DestRows {
    /// The row of a canonical key.
    pub(crate) fn row(&self, name: &[u8]) -> Option<RowRef<'_>> {
        self.at.get(name).map(|&at| self.rows.row(at))
    }
}

pub(crate) fn strategy(conflicts: Conflicts) -> Strategy {
    match conflicts {
        Conflicts::SourceWins => Strategy::SourceWins,
        Conflicts::DestinationWins => Strategy::DestinationWins,
        Conflicts::Merge => Strategy::Merge,
    }
}

/// The compared fields: staged columns that are not the key, with how each is compared.
pub(crate) fn rules(pair: &Pair) -> Vec<(usize, FieldRule)> {
    let types = pair.policy.options.types.clone().unwrap_or_default();
    let clears = pair.policy.options.clears == Some(true);
    (0..pair.columns.len())
        .filter(|c| pair.compared[*c] && !pair.key_at.contains(c))
        .map(|c| (c, FieldRule { canon: pair.canons[c], normaliser: types.get(&pair.columns[c].name).and_then(|t| normaliser(t)), clears }))
        .collect()
}

fn normaliser(field_type: &str) -> Option<Normaliser> {
    match field_type {
        "email" => Some(Normaliser::Email),
        "phone" => Some(Normaliser::Phone),
        "trim" | "text" | "name" => Some(Normaliser::Trim),
        "lower" => Some(Normaliser::Lower),
        _ => None,
    }
}

fn source_hashes(row: RowRef<'_>, rules: &[(usize, FieldRule)]) -> Vec<u64> {
    let mut scratch = Vec::new();
    rules.iter().map(|&(c, rule)| syncline_model::detect::base_hash(row.get(c), rule, &mut scratch)).collect()
}
