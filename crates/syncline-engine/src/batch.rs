//! `atomic: batch`: a staged run that commits every so many rows, for what no single transaction should hold. Each batch has
//! its own marker step; a run that dies in between is finished by the next one, because writes are by key.

use async_trait::async_trait;
use syncline_connector::{
    Applied, CommitFate, Destination, Error, ErrorKind, RawChunk, Reject, Result, RunSpec, StagedRun, StreamOutcome, WritePath,
};
use syncline_model::RowBatch;

/// Rows per transaction: well under the 100,000 that the strictest host allows (PlanetScale).
const ROWS_PER_BATCH: u64 = 10_000;

/// Commits as it goes.
pub(crate) struct BatchedRun<'a> {
    dest: &'a mut dyn Destination,
    spec: RunSpec,
    inner: Option<Box<dyn StagedRun>>,
    rows: u64,
    outcomes: Vec<StreamOutcome>,
    undoable: bool,
}

impl<'a> BatchedRun<'a> {
    /// A run over `spec`; nothing is opened before the first row.
    pub fn new(dest: &'a mut dyn Destination, mut spec: RunSpec) -> Self {
        // A table loaded straight has no key until its load is over, so that batches go through staging.
        spec.streams.iter_mut().for_each(|s| s.path = WritePath::Stage);
        let outcomes = spec.streams.iter().map(|_| StreamOutcome::default()).collect();
        Self { dest, spec, inner: None, rows: 0, outcomes, undoable: true }
    }

    async fn open(&mut self) -> Result<&mut Box<dyn StagedRun>> {
        if self.inner.is_none() {
            self.inner = Some(self.dest.begin(self.spec.clone()).await?);
        }
        self.inner.as_mut().ok_or_else(|| Error::internal("a batch that was just opened is gone"))
    }

    /// Applies and commits what is staged.
    async fn flush(&mut self) -> Result<()> {
        let Some(mut inner) = self.inner.take() else { return Ok(()) };
        let applied = inner.apply().await?;
        commit_or_ask(self.dest, &mut *inner, &self.spec, applied.token.as_deref()).await?;
        self.undoable &= applied.undoable;
        for (sum, o) in self.outcomes.iter_mut().zip(applied.outcomes) {
            add(sum, o);
        }
        self.rows = 0;
        self.spec.marker.step += 1;
        self.spec.streams.iter_mut().for_each(|s| s.create = None);
        Ok(())
    }

    async fn count(&mut self, rows: u64) -> Result<()> {
        self.rows += rows;
        if self.rows >= ROWS_PER_BATCH { self.flush().await } else { Ok(()) }
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
        let rejects = self.open().await?.stage(stream, rows).await?;
        self.count(rows.len() as u64).await?;
        Ok(rejects)
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
            if part.len() as u64 == ROWS_PER_BATCH {
                self.open().await?.stage_deletes(stream, &part).await?;
                self.flush().await?;
                part.clear();
            }
        }
        if part.is_empty() { Ok(()) } else { self.open().await?.stage_deletes(stream, &part).await }
    }

    async fn stage_undo(&mut self, _stream: usize, _run: &str) -> Result<Vec<Reject>> {
        Err(Error::internal("an undo is one transaction"))
    }

    async fn apply(&mut self) -> Result<Applied> {
        // Also without a row: tables that the run makes have to be there.
        self.open().await?;
        self.flush().await?;
        Ok(Applied { outcomes: std::mem::take(&mut self.outcomes), token: None, undoable: self.undoable })
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
