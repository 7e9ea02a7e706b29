//! What a run leaves in the state once its destination transaction is durable. It is written down *before* the commit
//! (the intent), so that a run that died in between is settled by the next one, exactly as it would have been (R24).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use syncline_connector::{CommitFate, ErrorKind, Marker};
use syncline_model::Books;
use syncline_store::StateTx;
use syncline_store::rows::{
    ConflictRow, DeletionRow, ObservationRow, ParkedRow, PositionRow, RunError, RunFilter, RunFinish, RunIntent, RunRow, RunStatus,
    StreamRow,
};

use crate::compare::Seen;
use crate::engine::{Engine, EngineError, Result};
use crate::naming::{self, Naming};
use crate::parts::OnRecord;
use crate::spec::SyncSpec;
use crate::waiting::Waiting;

/// Everything the end of a run writes to the state.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Settlement {
    /// Per stream.
    pub streams: Vec<StreamRow>,
    /// Rows set aside.
    pub parked: Vec<ParkedRow>,
    /// Parked entries that are settled: (stream, key JSON, outcome).
    pub closed: Vec<(String, String, String)>,
    /// Deletions made and held back.
    pub deletions: Vec<DeletionRow>,
    /// Positions that move.
    pub positions: Vec<PositionRow>,
    /// Conflicts.
    pub conflicts: Vec<ConflictRow>,
    /// What of these lists the state has already, because they were long.
    #[serde(default)]
    pub waiting: Waiting,
    /// What was seen of the source's transactions.
    pub observation: Option<(i64, Vec<String>)>,
    /// Tables that get their names once the run is committed.
    #[serde(default)]
    pub naming: Naming,
    /// Named values of the sync.
    pub notes: Vec<(String, String)>,
    /// Sentences for the run.
    pub remarks: Vec<String>,
    /// Rows that the run was not asked for wait for a person to decide.
    #[serde(default)]
    pub left_undone: bool,
    /// Before-images are there.
    pub undoable: bool,
    /// The transaction under way left a marker.
    #[serde(default)]
    pub marked: bool,
    /// Runs whose before-images went with this run's commit.
    #[serde(default)]
    pub stale_undo: Vec<String>,
    /// A run that this one undoes.
    pub undoes: Option<String>,
    /// The bases that the undone run had replaced.
    #[serde(default)]
    pub bases_back: Option<BasesBack>,
    /// Id mappings minted, per stream.
    #[serde(default)]
    pub minted: Vec<(String, Vec<syncline_store::rows::IdRow>)>,
    /// Streams whose positions and remembered digests are void, because the destination is no longer where they say.
    #[serde(default)]
    pub forgotten: Vec<String>,
    /// Digests of streams, remembered when all of the run is committed and left both sides agreeing.
    #[serde(skip)]
    pub seen: BTreeMap<String, Arc<Seen>>,
    /// A run that commits in parts: what is on record of it so far. The lists above are then those of the part under way, while books,
    /// remarks and `undoable` are those of the whole run up to and with it.
    #[serde(default)]
    pub before: Option<OnRecord>,
}

impl Settlement {
    /// Sum over the streams.
    #[must_use]
    pub fn books(&self) -> Books {
        let mut sum = Books::default();
        self.streams.iter().for_each(|s| sum.add(&s.books));
        sum
    }

    /// Conflicts of the run.
    pub(crate) fn conflicts_found(&self) -> u64 {
        self.before.as_ref().map_or(0, |b| b.conflicts) + self.waiting.conflicts + self.conflicts.len() as u64
    }

    /// Computed, never declared: succeeded only when every book balances and nothing was parked or held back.
    ///
    /// # Errors
    /// `books_unbalanced` naming the stream and both sides of the equation.
    pub fn status(&self) -> Result<RunStatus> {
        for s in &self.streams {
            if let Err(e) = s.books.balance() {
                let message = format!("stream `{}`: the books do not balance: {e}", s.stream);
                return Err(syncline_connector::Error::new(ErrorKind::Internal, "books_unbalanced", message).into());
            }
        }
        let sum = self.books();
        let not_made = self.waiting.not_made > 0 || self.deletions.iter().any(|d| !d.done) || self.left_undone;
        Ok(if sum.parked + sum.held_back > 0 || not_made { RunStatus::Partial } else { RunStatus::Succeeded })
    }
}

/// The scope under which bases of an open run wait for its commit. No scope of a user starts with this character.
pub(crate) fn waiting(run: &str) -> String {
    format!("\u{1}{run}")
}

/// The scope under which the bases that a run replaced stay as long as its before-images.
pub(crate) fn replaced_by(run: &str) -> String {
    format!("\u{2}{run}")
}

/// Bases that go back to what they were before an undone run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BasesBack {
    /// The run that is undone.
    pub run: String,
    /// Records that were not restored, per stream: canonical keys.
    pub but: Vec<(String, Vec<Vec<u8>>)>,
}

impl Engine {
    /// Records what is about to be committed. Books that do not balance are found here, while nothing is committed yet.
    pub(crate) async fn save_intent(&self, run: &RunRow, marker: &Marker, token: Option<String>, settlement: &Settlement) -> Result<()> {
        settlement.status()?;
        let intent = intent_of(marker, token, settlement)?;
        let mut tx = self.store.begin().await?;
        self.hold(&mut *tx, run).await?;
        tx.save_intent(&run.id, &intent).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Writes the end of a run: books, parked rows, positions and status, in one state transaction.
    pub(crate) async fn settle(&self, run: &RunRow, settlement: &Settlement) -> Result<RunStatus> {
        let status = settlement.status()?;
        let mut tx = self.store.begin().await?;
        self.write_settlement(&mut *tx, run, settlement).await?;
        let finish = RunFinish {
            status,
            completed_at: self.clock.now(),
            books: settlement.books(),
            conflicts: settlement.conflicts_found(),
            error: None,
            undoable: settlement.undoable,
            notes: settlement.remarks.clone(),
        };
        tx.finish_run(&run.id, &finish).await?;
        if !settlement.undoable {
            tx.move_bases(&run.sync, &replaced_by(&run.id), None).await?;
        }
        syncline_connector::fail::passable("finish.end")?;
        tx.commit().await?;
        Ok(status)
    }

    pub(crate) async fn write_settlement(&self, tx: &mut dyn StateTx, run: &RunRow, s: &Settlement) -> Result<()> {
        for stream in &s.streams {
            tx.save_stream(&run.id, stream).await?;
        }
        syncline_connector::fail::passable("finish.books")?;
        for row in &s.parked {
            tx.park(row).await?;
        }
        for (stream, key, outcome) in &s.closed {
            tx.close_parked(&run.sync, &run.scope, stream, key, outcome, self.clock.now()).await?;
        }
        syncline_connector::fail::passable("finish.parked")?;
        self.write_waiting(tx, run).await?;
        self.write_lists(tx, run, s).await?;
        for position in &s.positions {
            tx.save_position(position).await?;
        }
        tx.move_bases(&run.sync, &waiting(&run.id), Some(&run.scope)).await?;
        if let Some(back) = &s.bases_back {
            for (stream, keys) in &back.but {
                tx.drop_bases(&run.sync, &replaced_by(&back.run), stream, keys).await?;
            }
            tx.move_bases(&run.sync, &replaced_by(&back.run), Some(&run.scope)).await?;
        }
        for run_before in &s.stale_undo {
            tx.move_bases(&run.sync, &replaced_by(run_before), None).await?;
        }
        syncline_connector::fail::passable("finish.checkpoint")?;
        if let Some((at, open)) = &s.observation {
            tx.add_observation(&run.sync, &ObservationRow { at: *at, open: open.clone() }).await?;
        }
        for (name, value) in &s.notes {
            tx.save_note(&run.sync, name, value).await?;
        }
        tx.drop_undo(&s.stale_undo).await?;
        if let Some(undone) = &s.undoes {
            tx.mark_undone(undone, &run.id).await?;
        }
        if !s.forgotten.is_empty() {
            tx.clear_positions(&run.sync).await?;
        }
        for stream in &s.forgotten {
            tx.clear_segments(&run.sync, &run.scope, stream).await?;
        }
        Ok(())
    }

    pub(crate) async fn write_lists(&self, tx: &mut dyn StateTx, run: &RunRow, s: &Settlement) -> Result<()> {
        tx.save_deletions(&s.deletions).await?;
        tx.save_conflicts(&s.conflicts).await?;
        for (stream, rows) in s.minted.iter().filter(|(_, rows)| !rows.is_empty()) {
            tx.add_ids(&run.sync, stream, rows).await?;
        }
        Ok(())
    }

    /// Ends a run that stopped before its end. Of a run that commits in parts, those that are on record stay in its books.
    pub(crate) async fn finish_failed(&self, run: &RunRow, error: &EngineError) -> Result<()> {
        let status = if matches!(error, EngineError::Interrupted) { RunStatus::Cancelled } else { RunStatus::Failed };
        let mut tx = self.store.begin().await?;
        let intent = tx.load_run(&run.id).await?.and_then(|r| r.intent);
        tx.commit().await?;
        let done = match &intent {
            None => OnRecord::default(),
            Some(intent) => read_intent(run, intent)?.1.before.unwrap_or_default(),
        };
        self.finish_with(run, status, run_error(error), done).await
    }

    /// An intent that is not settled stands for a transaction that may be durable by now.
    pub(crate) async fn may_have_committed(&self, run: &RunRow) -> Result<bool> {
        let mut tx = self.store.begin().await?;
        let intent = tx.load_run(&run.id).await?.and_then(|r| r.intent);
        tx.commit().await?;
        let Some(intent) = intent else { return Ok(false) };
        Ok(read_intent(run, &intent)?.1.before.is_none_or(|b| b.open))
    }

    pub(crate) async fn finish_with(&self, run: &RunRow, status: RunStatus, error: RunError, done: OnRecord) -> Result<()> {
        let mut tx = self.store.begin().await?;
        tx.move_bases(&run.sync, &waiting(&run.id), None).await?;
        if !done.undoable {
            tx.move_bases(&run.sync, &replaced_by(&run.id), None).await?;
        }
        tx.drop_waiting(&run.id).await?;
        tx.finish_run(&run.id, &done.finish(status, self.clock.now(), Some(error))).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Settles runs of this sync and scope that a dead process left `running`. Called under the lock, so none is alive.
    pub(crate) async fn settle_dead_runs(&self, sync: &SyncSpec, scope: &str) -> Result<()> {
        let filter =
            RunFilter { sync: Some(sync.name.clone()), scope: Some(scope.to_owned()), status: Some(RunStatus::Running), since: None };
        let mut tx = self.store.begin().await?;
        let dead = tx.list_runs(&filter, &syncline_store::rows::Page::default()).await?;
        tx.commit().await?;
        for run in dead {
            self.settle_dead_run(sync, &run).await?;
        }
        Ok(())
    }

    async fn settle_dead_run(&self, sync: &SyncSpec, run: &RunRow) -> Result<()> {
        let Some(intent) = &run.intent else {
            let error = died("the process died before anything was committed");
            return self.finish_with(run, RunStatus::Failed, error, OnRecord::default()).await;
        };
        let (marker, mut settlement) = read_intent(run, intent)?;
        let done = settlement.before.clone();
        if let Some(done) = done.clone().filter(|d| !d.open) {
            return self.finish_with(run, RunStatus::Failed, died(&done.stays()), done).await;
        }
        let to = self.connector_for(&sync.to.0)?;
        let mut dest = to.destination(&sync.to.1).await?;
        let token = intent.token.as_deref();
        // Tables got their names only after the commit.
        let fate = if settlement.naming.is_done() { CommitFate::Committed } else { dest.fate(&marker, token).await? };
        let text = match fate {
            CommitFate::Committed => match self.name_tables(run, (&*to, &mut *dest), (&marker, token), &mut settlement).await {
                Ok(()) if done.is_none() => return self.settle(run, &settlement).await.map(drop),
                Ok(()) => return self.finish_with_part(run, settlement).await,
                Err(e) if e.code() == naming::GONE => "the process died after its commit, and a table that it had loaded was removed since",
                Err(e) => return Err(e),
            },
            CommitFate::RolledBack => "the process died before its commit was durable",
            CommitFate::Unknown => {
                "the process died at its commit and nobody can tell whether it went through; writes are by key, so this run repeats them"
            }
        };
        let done = done.unwrap_or_default();
        let text = if done.parts == 0 { text.to_owned() } else { format!("{text}; {}", done.stays()) };
        self.finish_with(run, RunStatus::Failed, died(&text), done).await
    }
}

pub(crate) fn died(message: &str) -> RunError {
    RunError { code: "process_died".to_owned(), message: message.to_owned(), hint: None, causes: Vec::new() }
}

/// What is about to be committed, as the state keeps it.
pub(crate) fn intent_of(marker: &Marker, token: Option<String>, settlement: &Settlement) -> Result<RunIntent> {
    let text =
        |v: serde_json::Result<String>| v.map_err(|e| EngineError::from(syncline_connector::Error::internal(format!("write intent: {e}"))));
    Ok(RunIntent { marker: text(serde_json::to_string(marker))?, token, settlement: text(serde_json::to_string(settlement))? })
}

fn read_intent(run: &RunRow, intent: &RunIntent) -> Result<(Marker, Settlement)> {
    let parse = |what: &str| syncline_store::StoreError::Corrupt { message: format!("the {what} of run {} does not parse", run.id) };
    let marker = serde_json::from_str(&intent.marker).map_err(|_| parse("marker"))?;
    Ok((marker, serde_json::from_str(&intent.settlement).map_err(|_| parse("settlement"))?))
}

/// An engine error as a run keeps it.
#[must_use]
pub fn run_error(error: &EngineError) -> RunError {
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(c) = cause {
        causes.push(c.to_string());
        cause = c.source();
    }
    RunError { code: error.code().to_owned(), message: error.to_string(), hint: error.hint(), causes }
}
