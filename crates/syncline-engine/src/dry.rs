//! A staged run that writes nothing: it compares what would be written with what is there, for `plan`.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use syncline_connector::{
    Applied, Batch, Error, LargeFields, Predicate, RawChunk, ReadForm, ReadRequest, Reject, SliceRequest, Snapshot, StagedRun,
    StreamOutcome, Trial,
};
use syncline_model::{Canon, Key, RowBatch, RowRef, ValueRef, canonical, json};

use crate::moving::{batch_bytes, large_over};
use crate::pairing::Pair;
use crate::report::{ChangeKind, FieldChange, PlannedChange};

type Result<T> = syncline_connector::Result<T>;

/// Rows to be deleted that are read at a time, whole.
const DELETES_PER_READ: usize = 200;

/// Compares instead of writing.
pub struct DryRun<'a> {
    dest: Box<dyn Snapshot>,
    trial: Box<dyn Trial>,
    pairs: &'a [Pair],
    memory: u64,
    outcomes: Vec<StreamOutcome>,
    /// The changes found, up to the limit.
    pub changes: Vec<PlannedChange>,
    changes_max: usize,
}

impl<'a> DryRun<'a> {
    /// Looks at the destination through `dest`, and refuses what its encoder does.
    pub fn new((dest, trial): (Box<dyn Snapshot>, Box<dyn Trial>), pairs: &'a [Pair], memory: u64, changes_max: usize) -> Self {
        let outcomes = pairs.iter().map(|_| StreamOutcome::default()).collect();
        Self { dest, trial, pairs, memory, outcomes, changes: Vec::new(), changes_max }
    }

    fn note(&mut self, change: impl FnOnce() -> PlannedChange) {
        if self.changes.len() < self.changes_max {
            self.changes.push(change());
        }
    }

    /// Counts and notes what would become of a staged row: `old` is the destination's, `fields` what differs from it.
    fn note_row(&mut self, stream: usize, row: RowRef<'_>, old: Option<&RowBatch>, fields: Option<Vec<FieldChange>>) {
        let pair = &self.pairs[stream];
        let outcome = &mut self.outcomes[stream];
        outcome.staged += 1;
        let kind = match &fields {
            None => ChangeKind::Create,
            Some(fields) if fields.is_empty() => {
                outcome.unchanged += 1;
                return;
            }
            Some(_) => ChangeKind::Update,
        };
        match kind {
            ChangeKind::Create => outcome.created += 1,
            ChangeKind::Update | ChangeKind::Delete => outcome.updated += 1,
        }
        let all = || (0..row.width()).map(|c| field(pair, c, None, Some(row))).collect();
        self.note(|| PlannedChange {
            stream: pair.stream.clone(),
            kind,
            key: Key::of(row, &pair.key_at).to_json(),
            source: Some(fingerprint(pair, row)),
            destination: old.map(|o| fingerprint(pair, o.row(0))),
            fields: fields.unwrap_or_else(all),
        });
    }

    /// Notes deletions with what their rows hold.
    async fn note_deletes(&mut self, stream: usize, keys: &RowBatch) -> Result<()> {
        let pair = &self.pairs[stream];
        let there = rows_by_key(pair, keys, self.memory, &mut *self.dest).await?;
        let at: Vec<usize> = (0..keys.width()).collect();
        for row in keys.rows() {
            let key = Key::of(row, &at);
            let old = there.get(&key.canonical(&pair.key_canons())).map(|p| unpack(p, pair.columns.len()));
            let destination = old.as_ref().map(|o| fingerprint(pair, o.row(0)));
            let fields =
                old.as_ref().map(|o| (0..pair.columns.len()).map(|c| field(pair, c, Some(o.row(0)), None)).collect()).unwrap_or_default();
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

    /// Whether a large value of the same length on both sides is the same, slice by slice.
    async fn same_slices(&mut self, pair: &Pair, key: &RowBatch, c: usize, fields: &mut dyn LargeFields) -> Result<bool> {
        let filter = vec![Predicate::KeyIn { columns: pair.key_dest.clone(), keys: key.clone() }];
        let mut offset = 0;
        loop {
            let here = fields.slice(c, offset).await?;
            if here.is_empty() {
                return Ok(true);
            }
            let (column, max) = (pair.columns[c].name.clone(), here.len() as u64);
            let there = self.dest.slice(&SliceRequest { table: pair.dest.clone(), filter: filter.clone(), column, offset, max }).await?;
            if here != there {
                return Ok(false);
            }
            offset += max;
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
    (0..row.width()).filter(differs).map(|c| field(pair, c, Some(there), Some(row))).collect()
}

/// A field as it is and as it would be.
fn field(pair: &Pair, c: usize, before: Option<RowRef<'_>>, after: Option<RowRef<'_>>) -> FieldChange {
    let shown = |row: RowRef<'_>| json::from_value(row.get(c));
    let name = pair.columns[c].name.clone();
    FieldChange { field: name, before: before.map(shown), after: after.map(shown), edited_at_destination: false }
}

#[async_trait]
impl StagedRun for DryRun<'_> {
    async fn stage(&mut self, stream: usize, rows: &RowBatch) -> Result<Vec<Reject>> {
        let pair = &self.pairs[stream];
        let refused: BTreeMap<usize, Reject> = self.trial.refused(&pair.columns, rows).into_iter().collect();
        let there = rows_by_key(pair, &keys_of(pair, rows), self.memory, &mut *self.dest).await?;
        for (_, row) in rows.rows().enumerate().filter(|(i, _)| !refused.contains_key(i)) {
            let old = there.get(&Key::of(row, &pair.key_at).canonical(&pair.key_canons())).map(|p| unpack(p, row.width()));
            let fields = old.as_ref().map(|old| differing(pair, row, old.row(0)));
            self.note_row(stream, row, old.as_ref(), fields);
        }
        Ok(refused.into_values().collect())
    }

    async fn stage_large(&mut self, stream: usize, row: &RowBatch, fields: &mut dyn LargeFields) -> Result<Option<Reject>> {
        let pair = &self.pairs[stream];
        let key = keys_of(pair, row);
        let there = rows_by_key(pair, &key, self.memory, &mut *self.dest).await?;
        let row = row.row(0);
        let old = there.get(&Key::of(row, &pair.key_at).canonical(&pair.key_canons())).map(|p| unpack(p, row.width()));
        let mut changed = old.as_ref().map(|old| differing(pair, row, old.row(0)));
        if let (Some(changed), Some(old)) = (&mut changed, &old) {
            for c in (0..row.width()).filter(|&c| pair.compared[c]) {
                let same_length = matches!(row.get(c), ValueRef::Large(_)) && row.get(c) == old.row(0).get(c);
                if same_length && !self.same_slices(pair, &key, c, fields).await? {
                    changed.push(field(pair, c, Some(old.row(0)), Some(row)));
                }
            }
        }
        self.note_row(stream, row, old.as_ref(), changed);
        Ok(None)
    }

    async fn stage_raw(&mut self, _stream: usize, _chunk: RawChunk) -> Result<()> {
        Err(Error::internal("a plan compares values, not raw rows"))
    }

    async fn stage_expected(&mut self, _stream: usize, _rows: &RowBatch) -> Result<()> {
        Ok(())
    }

    async fn stage_deletes(&mut self, stream: usize, keys: &RowBatch) -> Result<()> {
        self.outcomes[stream].deleted += keys.len() as u64;
        for part in crate::stream_run::parts_of(keys, DELETES_PER_READ) {
            if self.changes.len() >= self.changes_max {
                break;
            }
            self.note_deletes(stream, &part).await?;
        }
        Ok(())
    }

    async fn stage_undo(&mut self, _stream: usize, _run: &str) -> Result<Vec<Reject>> {
        Err(Error::internal("an undo is not planned"))
    }

    async fn stage_drop(&mut self, _stream: usize) -> Result<()> {
        Err(Error::internal("an undo is not planned"))
    }

    async fn apply(&mut self) -> Result<Applied> {
        Ok(Applied { outcomes: std::mem::take(&mut self.outcomes), token: None, marked: false, undoable: false })
    }

    async fn commit(&mut self) -> Result<()> {
        Err(Error::internal("a plan commits nothing"))
    }

    async fn abort(&mut self) -> Result<()> {
        Ok(())
    }
}
