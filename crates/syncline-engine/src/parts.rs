//! Runs that commit in parts (`atomic: stream`, `atomic: batch`). Each part is written down before its COMMIT and put on record
//! after it, so that a run that ends in between has what it committed in its books, and no more (R18, R24).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use syncline_connector::{Marker, RunSpec, StreamOutcome};
use syncline_model::Books;
use syncline_store::rows::{RunError, RunFinish, RunRow, RunStatus, StreamRow};

use crate::engine::{Engine, Result};
use crate::pipeline::UNDO_ROWS_MAX;
use crate::settle::{Settlement, died, waiting};

/// What is on record of a run that commits in parts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OnRecord {
    /// Parts committed and recorded.
    pub parts: u64,
    /// One more was about to be committed: its marker tells what became of it.
    pub open: bool,
    /// Books so far, per stream.
    pub streams: Vec<StreamRow>,
    /// Conflicts so far.
    pub conflicts: u64,
    /// Sentences so far.
    pub remarks: Vec<String>,
    /// Before-images of all parts are there.
    pub undoable: bool,
}

impl OnRecord {
    /// What a person has to know of a run that did not come to its end.
    pub(crate) fn stays(&self) -> String {
        let s = if self.parts == 1 { "" } else { "s" };
        format!("{} transaction{s} of the run had been committed; what they wrote stays, is in its books, and is not repeated", self.parts)
    }

    fn books(&self) -> Books {
        let mut sum = Books::default();
        self.streams.iter().for_each(|s| sum.add(&s.books));
        sum
    }

    /// Rows written so far.
    pub(crate) fn rows(&self) -> u64 {
        let books = self.books();
        books.created + books.updated + books.deleted
    }

    /// The end of a run that goes no further than this.
    pub(crate) fn finish(self, status: RunStatus, at: i64, error: Option<RunError>) -> RunFinish {
        RunFinish {
            status,
            completed_at: at,
            books: self.books(),
            conflicts: self.conflicts,
            error,
            undoable: self.undoable,
            notes: self.remarks,
        }
    }
}

impl Settlement {
    /// The first part of a run, or one that goes on.
    pub(crate) fn undoable_with(&self, part: bool) -> bool {
        part && self.before.as_ref().is_none_or(|b| b.parts == 0 || self.undoable)
    }

    /// All parts of a run together keep before-images of no more rows than one transaction may. Once a part kept none, those of the
    /// parts before it go as well: half of them undo nothing.
    pub(crate) fn bound_undo(&self, spec: &mut RunSpec, run: &str) {
        let Some(done) = self.before.as_ref().filter(|b| b.parts > 0 && spec.undo_rows_max > 0) else { return };
        if done.undoable {
            spec.undo_rows_max = UNDO_ROWS_MAX.saturating_sub(done.rows()).max(1);
        } else {
            spec.undo_rows_max = 0;
            spec.forget.push(run.to_owned());
        }
    }

    /// The part under way, as its intent holds it: nothing that only the end of the run may write.
    pub(crate) fn part(&self, marker: &Marker) -> Self {
        let before = OnRecord { open: true, ..self.before.clone().unwrap_or_default() };
        let notes = self.notes.iter().cloned().chain(crate::rewound::last_commit(marker, self.marked)).collect();
        Self {
            positions: Vec::new(),
            observation: None,
            forgotten: Vec::new(),
            seen: BTreeMap::new(),
            before: Some(before),
            notes,
            ..self.clone()
        }
    }

    /// The part was put on record: its lists are done with, its books count from now on.
    fn recorded(&mut self) {
        let before = OnRecord {
            parts: self.before.as_ref().map_or(0, |b| b.parts) + 1,
            open: false,
            streams: self.streams.clone(),
            conflicts: self.conflicts_found(),
            remarks: self.remarks.clone(),
            undoable: self.undoable,
        };
        self.before = Some(before);
        self.clear_lists();
    }

    /// Takes the lists for the next part, which puts them on record with its own; books and positions stay.
    pub(crate) fn split_off(&mut self) -> Self {
        let part = Self { positions: Vec::new(), observation: None, forgotten: Vec::new(), seen: BTreeMap::new(), ..self.clone() };
        self.clear_lists();
        part
    }

    /// What no part has put on record yet goes with the next one, or with the end.
    pub(crate) fn take_back(&mut self, part: Self) {
        self.parked.extend(part.parked);
        self.closed.extend(part.closed);
        self.deletions.extend(part.deletions);
        self.conflicts.extend(part.conflicts);
        self.notes.extend(part.notes);
        self.minted.extend(part.minted);
        self.waiting.add(&part.waiting);
        self.stale_undo.extend(part.stale_undo);
        self.undoable = part.undoable;
        self.before = part.before;
    }

    fn clear_lists(&mut self) {
        let kept = std::mem::take(self);
        *self = Self {
            streams: kept.streams,
            positions: kept.positions,
            observation: kept.observation,
            remarks: kept.remarks,
            undoable: kept.undoable,
            before: kept.before,
            seen: kept.seen,
            ..Self::default()
        };
    }
}

/// The books of one batch: what was staged and applied. Rows that never got that far are in no part.
pub(crate) fn batch_books(o: &StreamOutcome) -> Books {
    let parked = o.rejects.len() as u64;
    let staged = o.created + o.updated + o.unchanged + o.merged + parked;
    Books {
        in_scope: staged,
        fetched: staged,
        created: o.created,
        updated: o.updated,
        unchanged: o.unchanged,
        merged: o.merged,
        parked,
        deleted: o.deleted,
        held_back: o.delete_rejects.len() as u64,
        ..Books::default()
    }
}

impl Engine {
    /// Writes down the part that is about to be committed.
    pub(crate) async fn intend_part(&self, run: &RunRow, marker: &Marker, token: Option<String>, settlement: &Settlement) -> Result<()> {
        self.save_intent(run, marker, token, &settlement.part(marker)).await?;
        Ok(syncline_connector::fail::passable("commit.intent")?)
    }

    /// Puts a committed part on record: its lists and the books so far, in one state transaction. Positions wait for the end.
    pub(crate) async fn record_part(&self, run: &RunRow, marker: &Marker, settlement: &mut Settlement) -> Result<()> {
        syncline_connector::fail::passable("commit.recorded")?;
        let part = settlement.part(marker);
        settlement.recorded();
        let intent =
            crate::settle::intent_of(marker, None, &Settlement { positions: Vec::new(), observation: None, ..settlement.clone() })?;
        let mut tx = self.store.begin().await?;
        self.write_settlement(&mut *tx, run, &part).await?;
        tx.save_intent(&run.id, &intent).await?;
        syncline_connector::fail::passable("finish.end")?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends a run that died after the commit of a part and before it could put that on record.
    pub(crate) async fn finish_with_part(&self, run: &RunRow, mut part: Settlement) -> Result<()> {
        let lists = part.clone();
        part.recorded();
        let done = part.before.unwrap_or_default();
        let error = died(&done.stays());
        let mut tx = self.store.begin().await?;
        self.write_settlement(&mut *tx, run, &lists).await?;
        tx.move_bases(&run.sync, &waiting(&run.id), None).await?;
        tx.finish_run(&run.id, &done.finish(RunStatus::Failed, self.clock.now(), Some(error))).await?;
        tx.commit().await?;
        Ok(())
    }
}
