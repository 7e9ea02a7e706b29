//! A staged run that writes nothing: it compares what would be written with what is there, for `plan`.

use std::collections::HashMap;

use async_trait::async_trait;
use syncline_connector::{Applied, Batch, Error, Predicate, RawChunk, ReadForm, ReadRequest, Reject, Snapshot, StagedRun, StreamOutcome};
use syncline_model::{Canon, Key, RowBatch, RowRef, canonical, json};

use crate::moving::{batch_bytes, large_over};
use crate::pairing::Pair;
use crate::report::{ChangeKind, FieldChange, PlannedChange};

type Result<T> = syncline_connector::Result<T>;

/// Compares instead of writing.
pub struct DryRun<'a> {
    dest: Box<dyn Snapshot>,
    pairs: &'a [Pair],
    memory: u64,
    outcomes: Vec<StreamOutcome>,
    /// The changes found, up to the limit.
    pub changes: Vec<PlannedChange>,
    changes_max: usize,
}

impl<'a> DryRun<'a> {
    /// Looks at the destination through `dest`.
    pub fn new(dest: Box<dyn Snapshot>, pairs: &'a [Pair], memory: u64, changes_max: usize) -> Self {
        let outcomes = pairs.iter().map(|_| StreamOutcome::default()).collect();
        Self { dest, pairs, memory, outcomes, changes: Vec::new(), changes_max }
    }

    fn note(&mut self, change: impl FnOnce() -> PlannedChange) {
        if self.changes.len() < self.changes_max {
            self.changes.push(change());
        }
    }
}

/// Destination rows by canonical key, read by key (all staged columns of the pair).
pub async fn rows_by_key(pair: &Pair, keys: &RowBatch, memory: u64, dest: &mut dyn Snapshot) -> Result<HashMap<Vec<u8>, Vec<u8>>> {
    let mut found = HashMap::new();
    if keys.is_empty() || pair.create.is_some() {
        return Ok(found);
    }
    let there = pair.columns_there();
    let request = ReadRequest {
        table: pair.dest.clone(),
        columns: there.iter().map(|&c| pair.columns[c].name.clone()).collect(),
        filter: vec![Predicate::KeyIn { columns: pair.key_dest.clone(), keys: keys.clone() }],
        order: Vec::new(),
        form: ReadForm::Values,
        batch_bytes: batch_bytes(memory),
        large_over: large_over(memory),
    };
    let canons = pair.key_canons();
    let mut stream = dest.read(request).await?;
    while let Some(batch) = stream.next().await? {
        let Batch::Rows(rows) = batch else { continue };
        for row in rows.rows() {
            let mut whole = RowBatch::new(pair.columns.len());
            pair.widen(row, &there, &mut whole);
            let key = Key::of(whole.row(0), &pair.key_at).canonical(&canons);
            found.insert(key, pack(whole.row(0)));
        }
    }
    Ok(found)
}

/// One row in one allocation.
fn pack(row: RowRef<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for c in 0..row.width() {
        let cell = row.encoded(c);
        out.extend_from_slice(&(cell.len() as u64).to_le_bytes());
        out.extend_from_slice(cell);
    }
    out
}

/// The row of [`rows_by_key`] back.
pub fn unpack(packed: &[u8], width: usize) -> RowBatch {
    let mut rows = RowBatch::new(width);
    let mut rest = packed;
    while let Some((len, tail)) = rest.split_at_checked(8) {
        let len =
            usize::try_from(u64::from_le_bytes(len.try_into().expect("invariant: eight bytes"))).expect("invariant: a cell fits in memory");
        rows.push_encoded(&tail[..len]);
        rest = &tail[len..];
    }
    rows
}

/// Fingerprint of the compared cells of a row, as plans hold it.
pub fn fingerprint(pair: &Pair, row: RowRef<'_>) -> String {
    let cells = (0..row.width()).filter(|&c| pair.compared[c]).map(|c| (row.get(c), pair.canons[c]));
    format!("{:032x}", canonical::fingerprint(cells, &mut Vec::new()))
}

/// The keys (destination columns) of staged rows.
pub fn keys_of(pair: &Pair, rows: &RowBatch) -> RowBatch {
    let mut keys = RowBatch::new(pair.key_at.len());
    rows.rows().for_each(|r| pair.key_at.iter().for_each(|&c| keys.push_encoded(r.encoded(c))));
    keys
}

fn differing(pair: &Pair, row: RowRef<'_>, there: RowRef<'_>) -> Vec<FieldChange> {
    let differs = |c: &usize| {
        pair.compared[*c] && pair.canons[*c] != Canon::Own && !canonical::equal(row.get(*c), there.get(*c), pair.canons[*c])
            || (pair.compared[*c] && pair.canons[*c] == Canon::Own && row.get(*c) != there.get(*c))
    };
    (0..row.width())
        .filter(differs)
        .map(|c| FieldChange {
            field: pair.columns[c].name.clone(),
            before: Some(json::from_value(there.get(c))),
            after: Some(json::from_value(row.get(c))),
            edited_at_destination: false,
        })
        .collect()
}

#[async_trait]
impl StagedRun for DryRun<'_> {
    async fn stage(&mut self, stream: usize, rows: &RowBatch) -> Result<Vec<Reject>> {
        let pair = &self.pairs[stream];
        let there = rows_by_key(pair, &keys_of(pair, rows), self.memory, &mut *self.dest).await?;
        let canons = pair.key_canons();
        for row in rows.rows() {
            let key = Key::of(row, &pair.key_at);
            self.outcomes[stream].staged += 1;
            let Some(packed) = there.get(&key.canonical(&canons)) else {
                self.outcomes[stream].created += 1;
                let all = (0..row.width()).map(|c| FieldChange {
                    field: pair.columns[c].name.clone(),
                    before: None,
                    after: Some(json::from_value(row.get(c))),
                    edited_at_destination: false,
                });
                let source = Some(fingerprint(pair, row));
                self.note(|| PlannedChange {
                    stream: pair.stream.clone(),
                    kind: ChangeKind::Create,
                    key: key.to_json(),
                    source,
                    destination: None,
                    fields: all.collect(),
                });
                continue;
            };
            let old = unpack(packed, row.width());
            let fields = differing(pair, row, old.row(0));
            if fields.is_empty() {
                self.outcomes[stream].unchanged += 1;
                continue;
            }
            self.outcomes[stream].updated += 1;
            let (source, destination) = (Some(fingerprint(pair, row)), Some(fingerprint(pair, old.row(0))));
            self.note(|| PlannedChange {
                stream: pair.stream.clone(),
                kind: ChangeKind::Update,
                key: key.to_json(),
                source,
                destination,
                fields,
            });
        }
        Ok(Vec::new())
    }

    async fn stage_raw(&mut self, _stream: usize, _chunk: RawChunk) -> Result<()> {
        Err(Error::internal("a plan compares values, not raw rows"))
    }

    async fn stage_expected(&mut self, _stream: usize, _rows: &RowBatch) -> Result<()> {
        Ok(())
    }

    async fn stage_deletes(&mut self, stream: usize, keys: &RowBatch) -> Result<()> {
        let pair = &self.pairs[stream];
        self.outcomes[stream].deleted += keys.len() as u64;
        if self.changes.len() >= self.changes_max {
            return Ok(());
        }
        let there = rows_by_key(pair, keys, self.memory, &mut *self.dest).await?;
        let at: Vec<usize> = (0..keys.width()).collect();
        for row in keys.rows() {
            let key = Key::of(row, &at);
            let old = there.get(&key.canonical(&pair.key_canons())).map(|p| unpack(p, pair.columns.len()));
            let destination = old.as_ref().map(|o| fingerprint(pair, o.row(0)));
            let field = |c: usize, old: &RowBatch| FieldChange {
                field: pair.columns[c].name.clone(),
                before: Some(json::from_value(old.row(0).get(c))),
                after: None,
                edited_at_destination: false,
            };
            let fields = old.as_ref().map(|o| (0..pair.columns.len()).map(|c| field(c, o)).collect()).unwrap_or_default();
            self.note(|| PlannedChange {
                stream: pair.stream.clone(),
                kind: ChangeKind::Delete,
                key: key.to_json(),
                source: None,
                destination,
                fields,
            });
        }
        Ok(())
    }

    async fn stage_undo(&mut self, _stream: usize, _run: &str) -> Result<Vec<Reject>> {
        Err(Error::internal("an undo is not planned"))
    }

    async fn apply(&mut self) -> Result<Applied> {
        Ok(Applied { outcomes: std::mem::take(&mut self.outcomes), token: None, undoable: false })
    }

    async fn commit(&mut self) -> Result<()> {
        Err(Error::internal("a plan commits nothing"))
    }

    async fn abort(&mut self) -> Result<()> {
        Ok(())
    }
}
