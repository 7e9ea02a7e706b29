//! `atomic: batch`: a staged run that commits every so many rows, for what no single transaction should hold. Each batch has
//! its own marker step, is written down before its COMMIT and put on record after it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use syncline_connector::{
    Applied, CommitFate, Destination, Error, ErrorKind, LargeFields, Marker, RawChunk, Reject, Result, RunSpec, StagedRun, StreamOutcome,
    WritePath,
};
use syncline_model::RowBatch;
use syncline_store::rows::StreamRow;

use crate::engine::{Engine, EngineError};
use crate::pairing::Pair;
use crate::pipeline::{RunContext, Stop};
use crate::settle::Settlement;
use crate::spec::Edits;

/// Rows per transaction: well under the 100,000 that the strictest host allows (PlanetScale).
const ROWS_PER_BATCH: u64 = 10_000;

/// Rows per transaction.
pub(crate) fn rows_per_batch() -> u64 {
    syncline_connector::fail::rows_per_batch(ROWS_PER_BATCH)
}

/// Where the batches of one stream are written down and put on record.
pub(crate) struct PartLog<'a> {
    engine: &'a Engine,
    context: &'a RunContext<'a>,
    pair: &'a Pair,
    /// Books up to now, and the lists of the batch under way.
    part: Settlement,
    /// Rows set aside that are on record: (source key, JSON).
    recorded: BTreeSet<String>,
    since_ms: u64,
}

impl<'a> PartLog<'a> {
    /// The next parts of a run with this settlement so far; its lists go with the first of them.
    pub fn new(engine: &'a Engine, context: &'a RunContext<'a>, pair: &'a Pair, settlement: &mut Settlement) -> Self {
        let since_ms = engine.clock.monotonic_ms();
        Self { engine, context, pair, part: settlement.split_off(), recorded: BTreeSet::new(), since_ms }
    }

    /// Writes down a batch that was applied, and the keys that it deletes.
    async fn intend(&mut self, marker: &Marker, applied: &Applied, deletes: &RowBatch) -> Result<(), EngineError> {
        let Some(outcome) = applied.outcomes.first() else { return Ok(()) };
        let mut outcome = outcome.clone();
        if self.pair.maps_ids() {
            // Known here by its new id only: it comes on the list with the books of the whole stream.
            outcome.rejects.clear();
        }
        let parked: Vec<_> = outcome.rejects.iter().cloned().map(|r| crate::moving::parked(self.pair, r)).collect();
        self.engine.drop_waiting_bases(self.context, self.pair, &parked).await?;
        let at = self.engine.clock.now();
        for p in &parked {
            let row = crate::account::parked_row(self.context, self.pair, p, at);
            self.recorded.insert(row.key_json.clone());
            self.part.parked.push(row);
        }
        crate::account::log_made(self.context, self.pair, deletes, &outcome, &mut self.part);
        crate::account::log_refused(self.context, self.pair, &outcome, &mut self.part);
        let droppable = crate::undo_created::can_be_dropped(std::slice::from_ref(self.pair));
        let along = self.pair.policy.cascade_allow && !deletes.is_empty() && crate::reach::takes_others_along(self.pair);
        self.part.undoable = self.part.undoable_with(applied.undoable && droppable && !along);
        self.part.marked = applied.marked;
        let now = self.engine.clock.monotonic_ms();
        let mode = self.context.options.mode.unwrap_or(self.pair.policy.mode).as_str().to_owned();
        crate::account::merge_stream(
            &mut self.part,
            StreamRow {
                stream: self.pair.stream.clone(),
                table: self.pair.dest.name.to_string(),
                mode,
                path: "stage".to_owned(),
                digest: "none".to_owned(),
                books: crate::parts::batch_books(&outcome),
                duration_ms: now.saturating_sub(self.since_ms),
                parked_by_code: crate::account::by_code(&parked),
            },
        );
        self.since_ms = now;
        self.engine.intend_part(self.context.run, marker, applied.token.clone(), &self.part).await
    }

    async fn record(&mut self, marker: &Marker) -> Result<(), EngineError> {
        self.engine.record_part(self.context.run, marker, &mut self.part).await
    }

    /// Leaves to the run's settlement what the batches have not put on record.
    pub fn hand_over(self, settlement: &mut Settlement) {
        settlement.parked.retain(|p| p.stream != self.pair.stream || !self.recorded.contains(&p.key_json));
        settlement.take_back(self.part);
    }
}

/// Commits as it goes.
pub(crate) struct BatchedRun<'a> {
    dest: &'a mut dyn Destination,
    spec: RunSpec,
    inner: Option<Box<dyn StagedRun>>,
    rows: u64,
    outcomes: Vec<StreamOutcome>,
    /// Keys of the open batch's deletions.
    deletes: RowBatch,
    log: PartLog<'a>,
    /// Why the state could not be written, where no connector's error can say it.
    stopped: Option<Stop>,
}

impl<'a> BatchedRun<'a> {
    /// A run over `spec`; nothing is opened before the first row.
    pub fn new(dest: &'a mut dyn Destination, mut spec: RunSpec, log: PartLog<'a>) -> Self {
        // A table loaded straight has no key until its load is over, so that batches go through staging.
        spec.streams.iter_mut().for_each(|s| s.path = WritePath::Stage);
        let outcomes = spec.streams.iter().map(|_| StreamOutcome::default()).collect();
        let deletes = RowBatch::new(log.pair.key_dest.len());
        Self { dest, spec, inner: None, rows: 0, outcomes, deletes, log, stopped: None }
    }

    /// What is on record; or why the state could not be written.
    pub fn into_log(self) -> std::result::Result<PartLog<'a>, Stop> {
        match self.stopped {
            None => Ok(self.log),
            Some(stop) => Err(stop),
        }
    }

    async fn stage_keys(&mut self, stream: usize, keys: &RowBatch) -> Result<()> {
        self.open().await?.stage_deletes(stream, keys).await?;
        keys.rows().for_each(|row| (0..keys.width()).for_each(|c| self.deletes.push_encoded(row.encoded(c))));
        Ok(())
    }

    async fn open(&mut self) -> Result<&mut Box<dyn StagedRun>> {
        if self.inner.is_none() {
            syncline_connector::fail::passable("run.begun")?;
            self.inner = Some(self.dest.begin(self.spec.clone()).await?);
        }
        self.inner.as_mut().ok_or_else(|| Error::internal("a batch that was just opened is gone"))
    }

    /// Applies and commits what is staged.
    async fn flush(&mut self) -> Result<()> {
        let Some(mut inner) = self.inner.take() else { return Ok(()) };
        let applied = inner.apply().await?;
        let intended = self.log.intend(&self.spec.marker, &applied, &self.deletes).await;
        self.noted(intended, Stop::from)?;
        commit_or_ask(self.dest, &mut *inner, &self.spec, applied.token.as_deref()).await?;
        let recorded = self.log.record(&self.spec.marker).await;
        self.noted(recorded, Stop::Unsettled)?;
        for (sum, o) in self.outcomes.iter_mut().zip(applied.outcomes) {
            add(sum, o);
        }
        let parked = self.outcomes.iter().map(|o| o.rejects.len()).sum();
        self.noted(crate::moving::refuse_too_many(self.log.pair, parked), Stop::from)?;
        self.rows = 0;
        self.deletes.clear();
        self.spec.marker.step += 1;
        self.spec.forget.clear();
        self.log.part.bound_undo(&mut self.spec, &self.log.context.run.id);
        self.spec.streams.iter_mut().for_each(|s| s.create = None);
        Ok(())
    }

    fn noted(&mut self, done: Result<(), EngineError>, stop: impl Fn(EngineError) -> Stop) -> Result<()> {
        done.map_err(|e| {
            self.stopped = Some(stop(e));
            Error::internal("the state could not be written")
        })
    }

    async fn stage_part(&mut self, stream: usize, rows: &RowBatch) -> Result<Vec<Reject>> {
        let rejects = self.open().await?.stage(stream, rows).await?;
        let parked: Vec<_> = rejects.iter().cloned().map(|r| crate::moving::parked(self.log.pair, r)).collect();
        // Before the batch that it would have gone with is committed.
        let strict = crate::account::refuse_when_strict(self.log.pair, &parked);
        self.noted(strict, Stop::from)?;
        self.staged(rows.len() as u64).await?;
        Ok(rejects)
    }

    /// Commits once the batch is full.
    async fn staged(&mut self, rows: u64) -> Result<()> {
        self.rows += rows;
        if self.cuts() && self.rows >= rows_per_batch() { self.flush().await } else { Ok(()) }
    }

    /// With `edits: keep` whoever stages says when: the bases of a batch have to be down before it is committed.
    fn cuts(&self) -> bool {
        self.log.pair.policy.edits == Edits::Overwrite
    }
}

fn add(sum: &mut StreamOutcome, o: StreamOutcome) {
    sum.staged += o.staged;
    sum.created += o.created;
    sum.updated += o.updated;
    sum.unchanged += o.unchanged;
    sum.merged += o.merged;
    sum.deleted += o.deleted;
    sum.rejects.extend(o.rejects);
    sum.delete_rejects.extend(o.delete_rejects);
    sum.respelled.extend(o.respelled);
}

/// Commits; a lost answer is looked up by the marker, never blindly repeated (A6, R24).
pub(crate) async fn commit_or_ask(
    dest: &mut dyn Destination,
    staged: &mut dyn StagedRun,
    spec: &RunSpec,
    token: Option<&str>,
) -> Result<()> {
    let Err(e) = staged.commit().await else { return Ok(()) };
    if e.code != "commit_unknown" {
        return Err(e);
    }
    match dest.fate(&spec.marker, token).await {
        Ok(CommitFate::Committed) => Ok(()),
        Ok(CommitFate::RolledBack) => {
            let message = "the connection was lost at the commit, which did not go through";
            Err(Error::new(ErrorKind::Unavailable, "connection_lost", message).hint("nothing was written; run again"))
        }
        // The run stays `running` with its intent: the next run settles it once the destination answers.
        Ok(CommitFate::Unknown) | Err(_) => {
            let message = "the answer to the commit was lost and the destination cannot be asked";
            Err(Error::new(ErrorKind::Unavailable, "commit_unsettled", message).hint("run again: the next run finds out what became of it"))
        }
    }
}

#[async_trait]
impl StagedRun for BatchedRun<'_> {
    async fn stage(&mut self, stream: usize, rows: &RowBatch) -> Result<Vec<Reject>> {
        let room = if self.cuts() { usize::try_from(rows_per_batch() - self.rows).unwrap_or(usize::MAX) } else { usize::MAX };
        if rows.len() <= room {
            return self.stage_part(stream, rows).await;
        }
        let mut rejects = Vec::new();
        let mut part = RowBatch::new(rows.width());
        for row in rows.rows() {
            (0..rows.width()).for_each(|c| part.push_encoded(row.encoded(c)));
            if self.rows + part.len() as u64 == rows_per_batch() {
                rejects.extend(self.stage_part(stream, &part).await?);
                part.clear();
            }
        }
        if !part.is_empty() {
            rejects.extend(self.stage_part(stream, &part).await?);
        }
        Ok(rejects)
    }

    async fn stage_large(&mut self, stream: usize, row: &RowBatch, fields: &mut dyn LargeFields) -> Result<Option<Reject>> {
        let reject = self.open().await?.stage_large(stream, row, fields).await?;
        self.staged(1).await?;
        Ok(reject)
    }

    async fn stage_raw(&mut self, _stream: usize, _chunk: RawChunk) -> Result<()> {
        Err(Error::internal("raw rows cannot be cut into batches"))
    }

    async fn stage_expected(&mut self, stream: usize, rows: &RowBatch) -> Result<()> {
        self.open().await?.stage_expected(stream, rows).await
    }

    async fn stage_deletes(&mut self, stream: usize, keys: &RowBatch) -> Result<()> {
        let mut part = RowBatch::new(keys.width());
        for row in keys.rows() {
            (0..keys.width()).for_each(|c| part.push_encoded(row.encoded(c)));
            if part.len() as u64 == rows_per_batch() {
                self.stage_keys(stream, &part).await?;
                self.flush().await?;
                part.clear();
            }
        }
        if part.is_empty() { Ok(()) } else { self.stage_keys(stream, &part).await }
    }

    async fn stage_undo(&mut self, _stream: usize, _run: &str) -> Result<Vec<Reject>> {
        Err(Error::internal("an undo is one transaction"))
    }

    async fn stage_drop(&mut self, _stream: usize) -> Result<()> {
        Err(Error::internal("an undo is one transaction"))
    }

    async fn apply(&mut self) -> Result<Applied> {
        // Also without a row: a table that the run makes has to be there.
        if self.spec.streams.iter().any(|s| s.create.is_some()) {
            self.open().await?;
        }
        self.flush().await?;
        Ok(Applied {
            outcomes: std::mem::take(&mut self.outcomes),
            token: None,
            marked: self.log.part.marked,
            undoable: self.log.part.undoable,
        })
    }

    async fn commit(&mut self) -> Result<()> {
        self.flush().await
    }

    async fn abort(&mut self) -> Result<()> {
        match self.inner.take() {
            Some(mut inner) => inner.abort().await,
            None => Ok(()),
        }
    }
}
