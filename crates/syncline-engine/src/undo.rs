//! `undo`: restores what a run changed from its before-images, refusing rows that changed since (R28).

use std::collections::BTreeSet;

use syncline_connector::{DeleteAction, ErrorKind, Marker, RunSpec, StreamWrite, WritePath, fail};
use syncline_model::Key;
use syncline_store::rows::{DeletionRow, ParkedRow, RunKind, RunRow, RunStatus, StreamRow};
use tracing::Instrument;

use crate::engine::{Engine, EngineError, Result, RunOptions, RunReport};
use crate::pairing::Pair;
use crate::pipeline::{RunContext, Stop};
use crate::settle::{BasesBack, Settlement};
use crate::spec::SyncSpec;

impl Engine {
    /// Restores what a run changed; a run of kind `undo`. Rows changed since are refused and listed (`parked` of the report).
    ///
    /// # Errors
    /// `Config` for a run that is unknown, not undoable, or undone already.
    pub async fn undo(&self, sync: &SyncSpec, run: &str) -> Result<RunReport> {
        let config = |code, message: String, hint: &str| EngineError::Config { code, message, hint: Some(hint.to_owned()) };
        let unknown = || config("run_unknown", format!("sync `{}` has no run `{run}`", sync.name), "see `syncline runs`");
        let mut target = self.run_of(sync, run).await?.ok_or_else(unknown)?;
        if target.status == RunStatus::Running {
            // Its process is dead, or the lock says who is at work: what it committed is known once it is settled.
            let settled = self.settle_dead_runs(sync, &target.scope);
            self.locked(&sync.name, &target.scope, &target.id, false, settled).await?;
            target = self.run_of(sync, run).await?.ok_or_else(unknown)?;
        }
        refuse_undone(&target)?;
        let options = RunOptions { kind: RunKind::Undo, scope: Some(target.scope.clone()), ..RunOptions::default() };
        let mut row = self.new_run(sync, &target.scope, &options);
        row.of_run = Some(target.id.clone());
        row.mode = "undo".to_owned();
        let work = async {
            self.settle_dead_runs(sync, &target.scope).await?;
            // One of those may have been an undo of this very run.
            if let Some(now) = self.run_of(sync, &target.id).await? {
                refuse_undone(&now)?;
            }
            self.record_start(&row, &options).await?;
            let context = RunContext { sync, options: &options, scope: &target.scope, run: &row };
            let done = self.contained(&row, self.execute_undo(&context, &target)).await?;
            self.end(&row, done).await
        };
        self.locked(&sync.name, &target.scope, &row.id, false, work).instrument(crate::pipeline::run_span(&row)).await?;
        let mut tx = self.store.begin().await?;
        let report = tx.load_run(&row.id).await?;
        report.ok_or_else(|| syncline_connector::Error::internal("the run just made is not in the state").into())
    }

    async fn run_of(&self, sync: &SyncSpec, run: &str) -> Result<Option<RunRow>> {
        let mut tx = self.store.begin().await?;
        let found = tx.load_run(run).await?;
        tx.commit().await?;
        Ok(found.filter(|r| r.sync == sync.name))
    }

    async fn execute_undo(&self, context: &RunContext<'_>, target: &RunRow) -> Result<(), Stop> {
        let sync = context.sync;
        let mut link = self.link(sync).await?;
        let remembered = self.remembered(&sync.name).await?;
        let scope = (!context.scope.is_empty()).then_some(context.scope);
        let made = self.made_by(target).await?;
        self.check_identities(context, &link).await?;
        self.drop_unfinished(&sync.name, &mut link).await?;
        let all = link.pairs(sync, scope, &[], &remembered)?;
        refuse_unknown(target, &all)?;
        let pairs: Vec<Pair> = all
            .into_iter()
            .filter(|p| target.streams.iter().any(|s| s.stream == p.stream))
            // A table that is to be dropped and is gone is as it should be.
            .filter(|p| p.create.is_none() || !made.contains(&p.stream))
            .collect();
        refuse_without_table(&pairs)?;
        let marker = Marker {
            sync: sync.name.clone(),
            scope: context.scope.to_owned(),
            stream: String::new(),
            run: context.run.id.clone(),
            step: 1,
        };
        let spec =
            RunSpec { marker: marker.clone(), streams: pairs.iter().map(undo_write).collect(), undo_rows_max: 0, forget: Vec::new() };
        let mut staged = link.dest.begin(spec.clone()).await?;
        let mut refused = Vec::new();
        for (index, pair) in pairs.iter().enumerate() {
            let dropped = made.contains(&pair.stream);
            refused.push(if dropped { Vec::new() } else { staged.stage_undo(index, &target.id).await? });
        }
        let kept = self.stage_drops(&mut link, &pairs, &made, &mut *staged).await?;
        if kept.iter().any(|k| !k.is_empty()) {
            staged.abort().await?;
            return self.refuse_drops(context, &pairs, &kept).await;
        }
        let applied = staged.apply().await?;
        if let Some(stream) = without_images(target, &pairs, &made, &refused, &applied.outcomes) {
            staged.abort().await?;
            let message = format!("stream `{stream}`: the destination has nothing left of what that run kept for an undo");
            return Err(
                not_undoable(message, "what it wrote may have been undone, or lost, by other hands: compare with `syncline plan`").into()
            );
        }
        // The destination is not where the positions say any more: the next run compares everything.
        let forgotten = pairs.iter().map(|p| p.stream.clone()).collect();
        let mut settlement = Settlement { undoes: Some(target.id.clone()), forgotten, ..Settlement::default() };
        let mut but = Vec::new();
        for ((pair, refused), outcome) in pairs.iter().zip(refused).zip(applied.outcomes) {
            but.push((pair.stream.clone(), not_restored(pair, &refused, &outcome)));
            account_undo(context, pair, &refused, &outcome, self.clock.now(), &mut settlement);
        }
        settlement.bases_back = Some(BasesBack { run: target.id.clone(), but });
        settlement.notes.extend(crate::rewound::last_commit(&marker, applied.marked));
        crate::undo_created::forget(&remembered, &pairs, &made, &mut settlement);
        self.note_emptied(&sync.name, &link, &pairs, &made).await?;
        self.save_intent(context.run, &marker, applied.token.clone(), &settlement).await?;
        fail::passable("commit.intent")?;
        crate::batch::commit_or_ask(&mut *link.dest, &mut *staged, &spec, applied.token.as_deref()).await?;
        fail::passable("commit.recorded").map_err(|e| Stop::Unsettled(e.into()))?;
        self.settle(context.run, &settlement).await.map_err(Stop::Unsettled)?;
        drop(staged);
        if let Err(e) = self.drop_unfinished(&sync.name, &mut link).await {
            tracing::warn!(code = e.code(), "an emptied table is still there, the next run drops it: {e}");
        }
        Ok(())
    }

    /// Rows that nobody but the destination has stand in the way: they are listed, and nothing was undone.
    async fn refuse_drops(&self, context: &RunContext<'_>, pairs: &[Pair], kept: &[Vec<syncline_connector::Reject>]) -> Result<(), Stop> {
        let mut settlement = Settlement::default();
        for (pair, kept) in pairs.iter().zip(kept) {
            account_undo(context, pair, kept, &syncline_connector::StreamOutcome::default(), self.clock.now(), &mut settlement);
        }
        settlement.remarks.push("tables that the run made hold rows that the source does not have so; nothing was undone".to_owned());
        self.settle(context.run, &settlement).await?;
        Ok(())
    }
}

fn not_undoable(message: String, hint: &str) -> EngineError {
    EngineError::Config { code: "not_undoable", message, hint: Some(hint.to_owned()) }
}

fn refuse_without_table(pairs: &[Pair]) -> Result<()> {
    let Some(gone) = pairs.iter().find(|p| p.create.is_some()) else { return Ok(()) };
    let message = format!("the destination has no table `{}` any more", gone.dest.name);
    let e = syncline_connector::Error::new(ErrorKind::SchemaMismatch, "table_missing", message);
    Err(e.hint("there is nothing to restore into").into())
}

/// A stream that the run wrote and of which the destination gave neither a row to restore nor one to refuse.
fn without_images<'a>(
    target: &RunRow,
    pairs: &'a [Pair],
    made: &BTreeSet<String>,
    refused: &[Vec<syncline_connector::Reject>],
    outcomes: &[syncline_connector::StreamOutcome],
) -> Option<&'a str> {
    let wrote = |stream: &str| target.streams.iter().any(|t| t.stream == stream && t.books.written() > 0);
    let none = |r: &[_], o: &syncline_connector::StreamOutcome| r.is_empty() && o.staged + o.deleted == 0 && o.delete_rejects.is_empty();
    let restored = pairs.iter().zip(refused).zip(outcomes).filter(|((p, _), _)| !made.contains(&p.stream));
    restored.filter(|((_, r), o)| none(r, o)).map(|((p, _), _)| p.stream.as_str()).find(|stream| wrote(stream))
}

/// A stream that the run wrote and that nobody describes any more could not be restored, and the run would count as undone.
fn refuse_unknown(target: &RunRow, pairs: &[Pair]) -> Result<()> {
    let written = target.streams.iter().filter(|s| s.books.written() > 0);
    let Some(s) = written.into_iter().find(|s| !pairs.iter().any(|p| p.stream == s.stream)) else { return Ok(()) };
    let message = format!("stream `{}` of run {} is not in the configuration any more", s.stream, target.number);
    Err(not_undoable(message, "put it back for the undo"))
}

fn refuse_undone(target: &RunRow) -> Result<()> {
    let refuse = |code, message: String, hint: &str| Err(EngineError::Config { code, message, hint: Some(hint.to_owned()) });
    if let Some(by) = &target.undone_by {
        return refuse("undone_already", format!("run {} was undone already by {by}", target.number), "see `syncline runs`");
    }
    if !target.undoable {
        let hint =
            "before-images are kept with `undo: on` for runs that change at most 100,000 rows; tables that a run made are dropped again";
        return refuse("not_undoable", format!("run {} kept no before-images", target.number), hint);
    }
    Ok(())
}

/// Every stored column goes back, the key alone identifies the row.
fn undo_write(pair: &Pair) -> StreamWrite {
    let stored: Vec<String> = pair.dest.columns.iter().filter(|c| !c.generated).map(|c| c.name.clone()).collect();
    StreamWrite {
        stream: pair.stream.clone(),
        table: pair.dest.clone(),
        create: None,
        path: WritePath::Stage,
        in_parts: syncline_connector::InParts::No,
        key: pair.key_dest.clone(),
        compare: stored.iter().filter(|c| !pair.key_dest.contains(c)).cloned().collect(),
        one_record_per_key: true,
        columns: stored,
        deletes: DeleteAction::Remove,
        stamp: None,
        expects: false,
        rejects_max: u64::from(u32::MAX),
        strict: false,
        referenced_by: crate::reach::refusing(pair),
    }
}

/// The key of a refused row, which comes as a whole stored row or as its key alone.
fn key_of(pair: &Pair, r: &syncline_connector::Reject) -> Key {
    if r.row.len() == pair.key_dest.len() {
        return Key(r.row.clone());
    }
    let stored: Vec<&str> = pair.dest.columns.iter().filter(|c| !c.generated).map(|c| c.name.as_str()).collect();
    let cell = |k: &String| stored.iter().position(|c| c == k).and_then(|i| r.row.get(i)).cloned().unwrap_or(syncline_model::Value::Null);
    Key(pair.key_dest.iter().map(cell).collect())
}

/// Canonical keys of the rows that the undo left alone.
fn not_restored(pair: &Pair, refused: &[syncline_connector::Reject], o: &syncline_connector::StreamOutcome) -> Vec<Vec<u8>> {
    let canons = pair.key_canons();
    refused.iter().chain(&o.rejects).chain(&o.delete_rejects).map(|r| key_of(pair, r).canonical(&canons)).collect()
}

fn account_undo(
    context: &RunContext<'_>,
    pair: &Pair,
    refused: &[syncline_connector::Reject],
    outcome: &syncline_connector::StreamOutcome,
    at: i64,
    settlement: &mut Settlement,
) {
    let all: Vec<&syncline_connector::Reject> = refused.iter().chain(&outcome.rejects).chain(&outcome.delete_rejects).collect();
    let not_restored = (refused.len() + outcome.rejects.len()) as u64;
    let staged = outcome.staged + refused.len() as u64;
    let books = syncline_model::Books {
        in_scope: staged,
        fetched: staged,
        created: outcome.created,
        updated: outcome.updated,
        unchanged: outcome.unchanged,
        merged: outcome.merged,
        parked: not_restored,
        deleted: outcome.deleted,
        held_back: outcome.delete_rejects.len() as u64,
        ..syncline_model::Books::default()
    };
    for r in all {
        let key = key_of(pair, r);
        settlement.parked.push(ParkedRow {
            id: 0,
            sync: context.sync.name.clone(),
            scope: context.scope.to_owned(),
            stream: pair.stream.clone(),
            key_json: key.to_json(),
            code: r.code.to_owned(),
            column: r.column.clone(),
            detail: r.detail.clone(),
            image_json: None,
            run: context.run.id.clone(),
            first_at: at,
            last_at: at,
            attempts: 1,
            outcome: None,
        });
    }
    if outcome.deleted > 0 {
        settlement.deletions.push(DeletionRow {
            run: context.run.id.clone(),
            stream: pair.stream.clone(),
            key_json: format!("{} rows that run {} had created", outcome.deleted, context.run.of_run.as_deref().unwrap_or_default()),
            reason: "undo".to_owned(),
            done: true,
        });
    }
    settlement.streams.push(StreamRow {
        stream: pair.stream.clone(),
        table: pair.dest.name.to_string(),
        mode: "undo".to_owned(),
        path: "stage".to_owned(),
        digest: "none".to_owned(),
        books,
        duration_ms: 0,
        parked_by_code: Vec::new(),
    });
}
