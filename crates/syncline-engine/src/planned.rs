//! `run --plan FILE`: exactly that plan. Every row is read again on both sides; the first one that is not as the plan saw
//! it refuses everything (R36).

use std::collections::HashMap;

use syncline_connector::{Error, ErrorKind, LargeFields, Predicate, RawChunk, Reject, Snapshot, StagedRun};
use syncline_model::{Key, RowBatch, RowRef, Value};

use crate::dry::{fingerprint, rows_by_key, unpack};
use crate::engine::Result;
use crate::moving::{Selection, Sink};
use crate::report::{ChangeKind, Plan, PlannedChange};
use crate::stream_run::StreamRun;

impl StreamRun<'_> {
    /// Stages the changes of this stream that the plan holds.
    pub(crate) async fn stage_planned(
        &mut self,
        plan: &Plan,
        source: &mut dyn Snapshot,
        dest: &mut dyn Snapshot,
        staged: &mut dyn StagedRun,
    ) -> Result<()> {
        let changes: Vec<&PlannedChange> = plan.changes.iter().filter(|c| c.stream == self.pair.stream).collect();
        let (gone, written): (Vec<&PlannedChange>, Vec<&PlannedChange>) = changes.into_iter().partition(|c| c.kind == ChangeKind::Delete);
        let write_keys = self.keys(&written)?;
        let gone_keys = self.keys(&gone)?;
        self.expect(&written, &write_keys, dest, staged).await?;
        self.expect(&gone, &gone_keys, dest, staged).await?;
        let rows = self.read_again(&written, &write_keys, source).await?;
        self.refuse_present(&gone_keys, source).await?;
        for batch in rows {
            let rejects = staged.stage(self.index, &batch).await?;
            self.result.parked.extend(rejects.into_iter().map(|r| crate::moving::parked(self.pair, r)));
        }
        if !gone_keys.is_empty() {
            staged.stage_deletes(self.index, &gone_keys).await?;
        }
        self.result.deletes.extend(&gone_keys)?;
        self.result.in_scope = self.result.fetched;
        self.result.retried.clear();
        Ok(())
    }

    fn keys(&self, changes: &[&PlannedChange]) -> Result<RowBatch> {
        let mut keys = RowBatch::new(self.pair.key_at.len());
        for change in changes {
            let key = Key::from_json(&change.key).filter(|k| k.0.len() == keys.width());
            let key = key.ok_or_else(|| {
                Error::new(ErrorKind::Invalid, "plan_invalid", format!("the plan's key {} is none of `{}`", change.key, self.pair.stream))
            })?;
            keys.push_row(key.0.iter().map(Value::view));
        }
        Ok(keys)
    }

    /// The destination rows as the plan saw them, handed to the staged run as expected.
    async fn expect(&self, changes: &[&PlannedChange], keys: &RowBatch, dest: &mut dyn Snapshot, staged: &mut dyn StagedRun) -> Result<()> {
        let pair = self.pair;
        let there = rows_by_key(pair, keys, self.context.sync.memory, dest).await?;
        let canons = pair.key_canons();
        let at: Vec<usize> = (0..keys.width()).collect();
        let mut expected = RowBatch::new(pair.columns.len());
        for (i, change) in changes.iter().enumerate() {
            let found = there.get(&Key::of(keys.row(i), &at).canonical(&canons)).map(|p| unpack(p, pair.columns.len()));
            let now = found.as_ref().map(|f| fingerprint(pair, f.row(0)));
            if now != change.destination {
                return Err(self.stale(change, "destination"));
            }
            if let Some(f) = found {
                if f.has_large() {
                    return Err(self.too_large(keys.row(i)));
                }
                (0..f.width()).for_each(|c| expected.push_encoded(f.row(0).encoded(c)));
            }
        }
        if !expected.is_empty() {
            staged.stage_expected(self.index, &expected).await?;
        }
        Ok(())
    }

    fn stale(&self, change: &PlannedChange, side: &str) -> crate::engine::EngineError {
        let key = Key::from_json(&change.key).map_or_else(|| change.key.clone(), |k| k.to_string());
        let message = format!("stream `{}`: row {key} changed at the {side} since the plan was made", self.pair.stream);
        Error::new(ErrorKind::Conflict, "plan_stale", message).hint("nothing was written; make a new plan").into()
    }

    /// Fingerprints know of a large value its length alone: a plan with one cannot be held to what it saw.
    fn too_large(&self, key: RowRef<'_>) -> crate::engine::EngineError {
        let key = Key(key.to_values());
        let limit = crate::moving::large_over(self.context.sync.memory);
        let message = format!("stream `{}`: row {key} of the plan has a value over {limit} bytes", self.pair.stream);
        Error::new(ErrorKind::Invalid, "value_too_large", message)
            .hint("nothing was written; run the sync without a plan, or raise `memory`")
            .into()
    }

    async fn read_again(&mut self, changes: &[&PlannedChange], keys: &RowBatch, source: &mut dyn Snapshot) -> Result<Vec<RowBatch>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let selection = Selection {
            filter: vec![Predicate::KeyIn { columns: self.pair.key_source.clone(), keys: keys.clone() }],
            raw: false,
            watch: None,
            strict: true,
        };
        let mut sink = Collect::default();
        let moved = self.engine.move_rows(self.pair, self.context.sync.memory, source, &mut sink, &selection).await?;
        if let Some(row) = moved.large.rows().next() {
            return Err(self.too_large(row));
        }
        self.take(moved)?;
        let canons = self.pair.key_canons();
        let mut found: HashMap<Vec<u8>, String> = HashMap::new();
        for batch in &sink.batches {
            for row in batch.rows() {
                found.insert(Key::of(row, &self.pair.key_at).canonical(&canons), fingerprint(self.pair, row));
            }
        }
        let at: Vec<usize> = (0..keys.width()).collect();
        for (i, change) in changes.iter().enumerate() {
            if found.get(&Key::of(keys.row(i), &at).canonical(&canons)) != change.source.as_ref() {
                return Err(self.stale(change, "source"));
            }
        }
        Ok(sink.batches)
    }

    /// A planned deletion whose record is back at the source.
    async fn refuse_present(&self, keys: &RowBatch, source: &mut dyn Snapshot) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut filter = self.pair.filter_source.clone();
        filter.push(Predicate::KeyIn { columns: self.pair.key_source.clone(), keys: keys.clone() });
        if source.count(&self.pair.source, &filter).await? > 0 {
            let message = format!("stream `{}`: a record that the plan deletes is back at the source", self.pair.stream);
            return Err(Error::new(ErrorKind::Conflict, "plan_stale", message).hint("nothing was written; make a new plan").into());
        }
        Ok(())
    }
}

/// Keeps rows.
#[derive(Default)]
struct Collect {
    batches: Vec<RowBatch>,
}

#[async_trait::async_trait]
impl Sink for Collect {
    async fn rows(&mut self, rows: &RowBatch) -> Result<Vec<Reject>> {
        self.batches.push(rows.clone());
        Ok(Vec::new())
    }

    async fn large(&mut self, _row: &RowBatch, _fields: &mut dyn LargeFields) -> Result<Option<Reject>> {
        Err(Error::internal("a plan holds no row with a large value").into())
    }

    async fn raw(&mut self, _chunk: RawChunk) -> Result<()> {
        Err(Error::internal("planned rows are read as values").into())
    }
}
