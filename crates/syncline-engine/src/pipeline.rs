//! A run, from the lock to the books, readable top to bottom.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use syncline_connector::{ErrorKind, Identity, InParts, Marker, RunSpec, Snapshot, StagedRun, StreamWrite, WritePath, fail};
use syncline_store::rows::{AuditRow, RunKind, RunRow, RunStatus};
use tracing::Instrument;

use crate::batch::{BatchedRun, PartLog, commit_or_ask};
use crate::engine::{Engine, EngineError, Result, RunOptions, RunReport};
use crate::link::{Link, NOTE_SOURCE};
use crate::mapped::IdMaps;
use crate::pairing::Pair;
use crate::settle::Settlement;
use crate::spec::{Atomic, Rows, SyncSpec};
use crate::stream_run::{Landing, StreamRun};

/// Before-images are kept for at most this many changed rows of a run (R28).
pub(crate) const UNDO_ROWS_MAX: u64 = 100_000;
/// Runs of a sync that stay undoable: a month of nightly runs. Images of older ones would grow at the destination for ever.
const UNDO_RUNS_KEPT: u32 = 30;

/// What every step of one run needs to know.
pub(crate) struct RunContext<'a> {
    pub sync: &'a SyncSpec,
    pub options: &'a RunOptions,
    pub scope: &'a str,
    pub run: &'a RunRow,
}

impl Engine {
    /// Runs a sync: one report per scope (one in all when unscoped). `Err` only when nothing could be recorded or the request
    /// makes no sense; a run that failed is a report with status `failed`.
    ///
    /// # Errors
    /// `Config`, `Locked`, or the state store's own.
    pub async fn run(&self, sync: &SyncSpec, options: RunOptions) -> Result<Vec<RunReport>> {
        let mut reports = Vec::new();
        let scopes = self.scopes(sync, options.scope.as_deref()).await?;
        let mut remarks = if options.scope.is_none() { self.scopes_gone(sync, &scopes).await? } else { Vec::new() };
        for scope in scopes {
            reports.push(self.run_scope(sync, &scope, &options, std::mem::take(&mut remarks)).await?);
        }
        Ok(reports)
    }

    async fn run_scope(&self, sync: &SyncSpec, scope: &str, options: &RunOptions, remarks: Vec<String>) -> Result<RunReport> {
        fail::passable("run.start")?;
        let run = RunRow { notes: remarks, ..self.new_run(sync, scope, options) };
        let work = async {
            self.settle_dead_runs(sync, scope).await?;
            self.record_start(&run, options).await?;
            let context = RunContext { sync, options, scope, run: &run };
            let done = self.contained(&run, self.execute(&context)).await?;
            self.end(&run, done).await
        };
        self.locked(&sync.name, scope, &run.id, options.wait, work).instrument(run_span(&run)).await?;
        let mut tx = self.store.begin().await?;
        let report = tx.load_run(&run.id).await?;
        report.ok_or_else(|| syncline_connector::Error::internal("the run just made is not in the state").into())
    }

    /// A panic in a run ends that run and nothing else (A22). What it may have committed by then is found out like after a crash.
    pub(crate) async fn contained(&self, run: &RunRow, work: impl Future<Output = Result<(), Stop>>) -> Result<Result<(), Stop>> {
        let panic = match AssertUnwindSafe(work).catch_unwind().await {
            Ok(done) => return Ok(done),
            Err(panic) => panic,
        };
        let said = panic.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
        let message = format!("a rule of our own was broken: {}", said.unwrap_or_default());
        let e = EngineError::from(syncline_connector::Error::internal(message));
        Ok(Err(if self.may_have_committed(run).await? { Stop::Unsettled(e) } else { Stop::Failed(e) }))
    }

    /// Records why a run stopped, unless what became of its transaction is still to be found out or written down.
    pub(crate) async fn end(&self, run: &RunRow, done: Result<(), Stop>) -> Result<()> {
        match done {
            Ok(()) => Ok(()),
            Err(Stop::Failed(e)) => {
                tracing::error!(code = e.code(), "run failed: {e}");
                self.finish_failed(run, &e).await
            }
            Err(Stop::Unsettled(e)) => {
                tracing::error!(code = e.code(), "run left to the next one to settle: {e}");
                Err(e)
            }
        }
    }

    pub(crate) fn new_run(&self, sync: &SyncSpec, scope: &str, options: &RunOptions) -> RunRow {
        let mode = options.mode.or(sync.options.mode).unwrap_or(crate::spec::Mode::Diff);
        RunRow {
            id: self.ids.next_id(),
            number: 0,
            sync: sync.name.clone(),
            scope: scope.to_owned(),
            kind: options.kind,
            mode: if options.key.is_some() { "key".to_owned() } else { mode.as_str().to_owned() },
            started_at: self.clock.now(),
            completed_at: None,
            status: RunStatus::Running,
            books: syncline_model::Books::default(),
            conflicts: 0,
            error: None,
            intent: None,
            undoable: false,
            undone_by: None,
            of_run: None,
            notes: Vec::new(),
            streams: Vec::new(),
        }
    }

    pub(crate) async fn record_start(&self, run: &RunRow, options: &RunOptions) -> Result<()> {
        let detail = serde_json::json!({ "run": run.id, "mode": run.mode, "streams": options.streams, "scope": run.scope, "of_run": run.of_run, "approve_deletes": options.approve_deletes });
        let action = match run.kind {
            RunKind::Undo => "undo",
            RunKind::Retry => "parked.retry",
            RunKind::Repair => "verify.repair",
            RunKind::Manual | RunKind::Scheduled | RunKind::Webhook | RunKind::Backfill => "run",
        };
        let audit = AuditRow {
            at: run.started_at,
            actor: self.actor.clone(),
            action: action.to_owned(),
            sync: Some(run.sync.clone()),
            detail_json: detail.to_string(),
        };
        let mut tx = self.store.begin().await?;
        tx.start_run(run).await?;
        tx.add_audit(&audit).await?;
        tx.commit().await?;
        fail::passable("run.recorded")?;
        tracing::info!(mode = %run.mode, "run started");
        Ok(())
    }

    async fn execute(&self, context: &RunContext<'_>) -> Result<(), Stop> {
        let Some(plan) = &context.options.plan else { return self.execute_streams(context).await };
        crate::planned::refuse_foreign(plan, context)?;
        // All of the plan or nothing of it, whatever `atomic` says, and no stream beside it (R36).
        let sync = SyncSpec { atomic: Atomic::Run, ..context.sync.clone() };
        let streams = plan.streams.iter().map(|s| s.stream.clone()).collect();
        let options = RunOptions { streams, ..context.options.clone() };
        self.execute_streams(&RunContext { sync: &sync, options: &options, ..*context }).await
    }

    async fn execute_streams(&self, context: &RunContext<'_>) -> Result<(), Stop> {
        let sync = context.sync;
        let mut link = self.link(sync).await?;
        let identities = self.check_identities(context, &link).await?;
        self.drop_unfinished(&sync.name, &mut link).await?;
        let remembered = self.remembered(&sync.name).await?;
        fail::passable("run.discovered")?;
        let scope = (!context.scope.is_empty()).then_some(context.scope);
        let mut pairs = link.pairs(sync, scope, &context.options.streams, &remembered)?;
        refuse_drift(&pairs)?;
        if let Some(plan) = &context.options.plan {
            crate::planned::refuse_other_ddl(plan, &pairs)?;
        }
        crate::policy::refuse_mode(&pairs, context.options.mode)?;
        fail::passable("run.planned")?;
        self.forget_old_bases(context, &pairs).await?;
        self.prepare(&mut link, &pairs).await?;
        let mut settlement = Settlement { notes: identities, remarks: context.run.notes.clone(), ..Settlement::default() };
        settlement.remarks.extend(pairs.iter().filter_map(not_carried_over).chain(pairs.iter().flat_map(not_written)));
        self.notice_lost_commits(context, &mut link, &mut settlement).await?;
        match sync.atomic {
            Atomic::Run => self.run_together(context, &mut link, &mut pairs, &remembered, &mut settlement).await,
            Atomic::Stream | Atomic::Batch => self.run_apart(context, &mut link, &mut pairs, &remembered, &mut settlement).await,
        }
    }

    /// One destination transaction for all streams.
    async fn run_together(
        &self,
        context: &RunContext<'_>,
        link: &mut Link,
        pairs: &mut [Pair],
        remembered: &crate::pairing::Remembered,
        settlement: &mut Settlement,
    ) -> Result<(), Stop> {
        let mut source = self.snapshot(link).await?;
        self.untie_loads(context, link, pairs).await?;
        self.load_in_parts(context, link, pairs, &mut *source, settlement).await?;
        self.note_unfinished(context, link, pairs, settlement).await?;
        let mut spec = self.run_spec(context, link, pairs, &marker(context, "", 1), Phase::Everything);
        spec.forget = self.stale_undo(context).await?;
        settlement.stale_undo.clone_from(&spec.forget);
        let mut ids = self.read_maps(context, link, pairs).await?;
        let spec = RunSpec { streams: spec.streams.into_iter().chain(ids.writes()).collect(), ..spec };
        let mut staged = link.dest.begin(spec.clone()).await?;
        fail::passable("run.begun")?;
        let token = self.stage_and_apply(context, link, pairs, Phase::Everything, &mut *source, &mut *staged, &mut ids, settlement).await?;
        source.close().await?;
        self.remember_shapes(pairs, remembered, context, settlement);
        settlement.notes.extend(crate::rewound::last_commit(&spec.marker, settlement.marked));
        self.save_intent(context.run, &spec.marker, token.clone(), settlement).await?;
        fail::passable("commit.intent")?;
        self.commit(context.run, link, &mut *staged, &spec, token.as_deref(), settlement).await?;
        fail::passable("commit.recorded").map_err(|e| Stop::Unsettled(e.into()))?;
        self.remember_segments(context, link, settlement).await;
        let status = self.settle(context.run, settlement).await.map_err(Stop::Unsettled)?;
        tracing::info!(?status, "run ended");
        Ok(())
    }

    /// One destination transaction per stream (or per batch of it), parents first; deletions of all streams after all
    /// upserts, children first. One source snapshot serves them all. Every transaction is a part: written down before its COMMIT, on
    /// record after it.
    async fn run_apart(
        &self,
        context: &RunContext<'_>,
        link: &mut Link,
        pairs: &mut [Pair],
        remembered: &crate::pairing::Remembered,
        settlement: &mut Settlement,
    ) -> Result<(), Stop> {
        let mut source = self.snapshot(link).await?;
        self.untie_loads(context, link, pairs).await?;
        let parts = crate::order::into_parts(pairs);
        let (mut created, mut made) = (remembered.created.clone(), Vec::new());
        // Streams of a cycle are never cut into batches.
        let uncut = SyncSpec { atomic: Atomic::Stream, ..context.sync.clone() };
        let (cut, uncut) = (context, RunContext { sync: &uncut, ..*context });
        let passes = parts.iter().map(|p| (p, Phase::Upserts)).chain(parts.iter().rev().map(|p| (p, Phase::Deletions)));
        for (part, phase) in passes {
            let context = if part.len() > 1 { &uncut } else { cut };
            if phase == Phase::Upserts {
                self.load_in_parts(context, link, &mut pairs[part.clone()], &mut *source, settlement).await?;
                self.note_unfinished(context, link, &mut pairs[part.clone()], settlement).await?;
            }
            let pair = &pairs[part.clone()];
            // A table that this run made holds nothing to delete.
            if phase == Phase::Deletions && pair.iter().all(|p| p.delete.is_none() || p.create.is_some()) {
                continue;
            }
            for pair in pair.iter().filter(|p| p.create.is_some()) {
                // Whatever becomes of the streams behind it: the next run must know whose it is.
                created.insert(pair.dest.name.to_string());
                settlement.notes.push(crate::unfinished::created_note(&created));
                made.push(pair.stream.clone());
                let made: Vec<&str> = made.iter().map(String::as_str).collect();
                settlement.notes.push(crate::undo_created::made_note(&context.run.id, &made));
            }
            let mut ids = self.read_maps(context, link, pairs).await?.only(part.clone());
            let spec = self.part_spec(context, link, pair, phase, &ids, settlement).await?;
            if context.sync.atomic == Atomic::Batch {
                self.run_in_batches(context, link, pair, phase, spec, &mut *source, &mut ids, settlement).await?;
                continue;
            }
            let mut staged = link.dest.begin(spec.clone()).await?;
            fail::passable("run.begun")?;
            let token = self.stage_and_apply(context, link, pair, phase, &mut *source, &mut *staged, &mut ids, settlement).await?;
            self.intend_part(context.run, &spec.marker, token.clone(), settlement).await?;
            let mut part = settlement.part(&spec.marker);
            self.commit(context.run, link, &mut *staged, &spec, token.as_deref(), &mut part).await?;
            self.record_part(context.run, &spec.marker, settlement).await.map_err(Stop::Unsettled)?;
        }
        source.close().await?;
        self.remember_shapes(pairs, remembered, context, settlement);
        self.remember_segments(context, link, settlement).await;
        self.settle(context.run, settlement).await?;
        Ok(())
    }

    /// Commits what was written down as `intended`, and gives tables their names that wait for that.
    async fn commit(
        &self,
        run: &RunRow,
        link: &mut Link,
        staged: &mut dyn StagedRun,
        spec: &RunSpec,
        token: Option<&str>,
        intended: &mut Settlement,
    ) -> Result<(), Stop> {
        commit_or_ask(&mut *link.dest, staged, spec, token).await?;
        self.name_tables(run, (&*link.to, &mut *link.dest), (&spec.marker, token), intended).await.map_err(Stop::Unsettled)
    }

    /// What a part of a run writes.
    async fn part_spec(
        &self,
        context: &RunContext<'_>,
        link: &Link,
        pair: &[Pair],
        phase: Phase,
        ids: &IdMaps,
        settlement: &mut Settlement,
    ) -> Result<RunSpec> {
        // Deletions count on from where the batches of upserts can have got to.
        let step = if phase == Phase::Deletions { DELETION_STEPS } else { 1 };
        let mut spec = self.run_spec(context, link, pair, &marker(context, &pair[0].stream, step), phase);
        spec.streams.extend(ids.writes());
        spec.forget = self.stale_undo(context).await?;
        settlement.stale_undo.clone_from(&spec.forget);
        settlement.bound_undo(&mut spec, &context.run.id);
        Ok(spec)
    }

    #[allow(clippy::too_many_arguments, reason = "one call site; the parts belong to the run, not to each other")]
    async fn run_in_batches(
        &self,
        context: &RunContext<'_>,
        link: &mut Link,
        pair: &[Pair],
        phase: Phase,
        spec: RunSpec,
        source: &mut dyn Snapshot,
        ids: &mut IdMaps,
        settlement: &mut Settlement,
    ) -> Result<(), Stop> {
        // A second session commits while the first one reads what is there.
        let mut writer = link.to.destination(&context.sync.to.1).await?;
        let (marker, naming) = (spec.marker.clone(), std::mem::take(&mut settlement.naming));
        let log = PartLog::new(self, context, &pair[0], settlement);
        let mut staged = BatchedRun::new(&mut *writer, spec, log);
        let done = self.stage_and_apply(context, link, pair, phase, source, &mut staged, ids, settlement).await;
        let log = match staged.into_log() {
            Ok(log) => log,
            Err(stop) => return Err(stop),
        };
        done?;
        log.hand_over(settlement);
        let mut made = Settlement { naming, ..Settlement::default() };
        Ok(self.name_tables(context.run, (&*link.to, &mut *link.dest), (&marker, None), &mut made).await?)
    }

    /// Earlier runs that lose their before-images to this one.
    async fn stale_undo(&self, context: &RunContext<'_>) -> Result<Vec<String>> {
        let mut tx = self.store.begin().await?;
        let runs = tx.stale_undo(&context.sync.name, context.scope, UNDO_RUNS_KEPT).await?;
        tx.commit().await?;
        Ok(runs)
    }

    async fn snapshot(&self, link: &mut Link) -> Result<Box<dyn Snapshot>> {
        let source = link.source.snapshot().await?;
        fail::passable("run.snapshot")?;
        Ok(source)
    }

    pub(crate) async fn read_maps(&self, context: &RunContext<'_>, link: &mut Link, pairs: &[Pair]) -> Result<IdMaps> {
        if !pairs.iter().any(Pair::maps_ids) {
            return Ok(IdMaps::default());
        }
        let elsewhere = self.mapped_elsewhere(context, link, pairs).await?;
        let mut dest = link.dest.snapshot().await?;
        let ids = self.load_maps(context, pairs, &elsewhere, &link.dest_catalog, &mut *dest).await?;
        dest.close().await?;
        Ok(ids)
    }

    #[allow(clippy::too_many_arguments, reason = "the heart of a run: everything meets here")]
    async fn stage_and_apply(
        &self,
        context: &RunContext<'_>,
        link: &mut Link,
        pairs: &[Pair],
        phase: Phase,
        source: &mut dyn Snapshot,
        staged: &mut dyn StagedRun,
        ids: &mut IdMaps,
        settlement: &mut Settlement,
    ) -> Result<Option<String>> {
        let mut dest = link.dest.snapshot().await?;
        let mut runs: Vec<Option<crate::stream_run::StreamResult>> = pairs.iter().map(|_| None).collect();
        let ours = crate::reach::Ours::of(pairs);
        // A row that goes straight into its table needs its parent there.
        for index in crate::order::parents_first(pairs) {
            let pair = &pairs[index];
            let whole = context.sync.atomic != Atomic::Batch;
            let path = if whole { write_path(link, pair, phase) } else { WritePath::Stage };
            let mut run = StreamRun::new(self, context, link, pair, index, path, takes_raw(link, pair), phase, &ours);
            let mut landing = Landing { staged: &mut *staged, ids: &mut *ids };
            run.stage(source, &mut *dest, &mut landing).instrument(tracing::info_span!("stream", stream = %pair.stream)).await?;
            runs[index] = Some(run.into_result(pairs.len() > 1));
        }
        let runs: Vec<_> = runs.into_iter().flatten().collect();
        refuse_too_large(context, link, &runs)?;
        let minted = ids.stage_minted(pairs, pairs.len(), staged).await?;
        // A reader left open would keep a file-based destination from being written.
        dest.close().await?;
        self.progress.phase("apply");
        let applied = staged.apply().await?;
        let observation = source.observation().clone();
        let along = crate::deletions::gone_along(&context.run.id, pairs, &runs, settlement);
        self.account(context, pairs, phase, runs, applied.outcomes, ids, source, settlement).await?;
        for minted in minted {
            for part in minted.rows.parts() {
                settlement.minted.push((minted.stream.clone(), minted.id_rows(&part?, &context.run.id)));
                self.hand_over(&context.run.id, settlement).await?;
            }
        }
        settlement.undoable = settlement.undoable_with(applied.undoable && !along && crate::undo_created::can_be_dropped(pairs));
        settlement.marked = applied.marked;
        settlement.observation = Some((observation.at, observation.open.clone()));
        self.progress.phase("commit");
        Ok(applied.token)
    }

    fn run_spec(&self, context: &RunContext<'_>, link: &Link, pairs: &[Pair], marker: &Marker, phase: Phase) -> RunSpec {
        let planned = context.options.plan.is_some();
        let one = |p: &Pair| {
            let mut write = stream_write(p, write_path(link, p, phase));
            write.expects |= planned;
            write
        };
        let mut streams: Vec<StreamWrite> = pairs.iter().map(one).collect();
        crate::naming::keep_load_names(link, pairs, &mut streams);
        RunSpec { marker: marker.clone(), streams, undo_rows_max: if context.sync.undo { UNDO_ROWS_MAX } else { 0 }, forget: Vec::new() }
    }

    async fn prepare(&self, link: &mut Link, pairs: &[Pair]) -> Result<()> {
        let statements: Vec<String> = pairs.iter().flat_map(|p| p.alter.iter().cloned()).collect();
        link.dest.prepare(&statements).await?;
        Ok(())
    }

    /// Another system behind the same name is noticed before anything is compared with it (C5, D22).
    pub(crate) async fn check_identities(&self, context: &RunContext<'_>, link: &Link) -> Result<Vec<(String, String)>> {
        let mut notes = Vec::new();
        for (name, identity) in link.noted_identities() {
            let text = crate::link::identity_note(identity);
            let mut tx = self.store.begin().await?;
            let before = tx.load_note(&context.sync.name, name).await?;
            tx.commit().await?;
            if let Some(before) = before.filter(|b| *b != text) {
                return Err(changed_identity(context, name, &before, identity).into());
            }
            notes.push((name.to_owned(), text));
        }
        Ok(notes)
    }

    /// Which tables this sync made, and how the source looks now.
    fn remember_shapes(
        &self,
        pairs: &[Pair],
        remembered: &crate::pairing::Remembered,
        context: &RunContext<'_>,
        settlement: &mut Settlement,
    ) {
        let mut created = remembered.created.clone();
        created.extend(pairs.iter().filter(|p| p.create.is_some()).map(|p| p.dest.name.to_string()));
        let mut shapes = remembered.shapes.clone();
        // A run of single records, or of a plan, has not filled in a column that is new.
        let o = context.options;
        let whole = o.key.is_none() && o.keys.is_none() && o.plan.is_none();
        for p in pairs.iter().filter(|p| whole || !p.has_new_column) {
            shapes.insert(p.stream.clone(), p.source.columns.iter().map(|c| (c.name.clone(), c.native.clone())).collect());
        }
        let mut deletes = remembered.deletes.clone();
        for p in pairs {
            let books = settlement.streams.iter().find(|s| s.stream == p.stream).map(|s| &s.books);
            if books.is_some_and(|b| b.held_back == 0 && (whole || b.deleted > 0)) {
                deletes.insert(crate::pairing::deletes_of(context.scope, &p.stream), p.deletes_said());
            }
        }
        crate::unfinished::made(settlement);
        let made: Vec<&str> = pairs.iter().filter(|p| p.create.is_some()).map(|p| p.stream.as_str()).collect();
        if !made.is_empty() {
            settlement.notes.push(crate::undo_created::made_note(&context.run.id, &made));
        }
        let json = |v: serde_json::Result<String>| v.expect("invariant: maps of strings serialise");
        settlement.notes.push((crate::link::NOTE_CREATED.to_owned(), json(serde_json::to_string(&created))));
        settlement.notes.push((crate::link::NOTE_SHAPES.to_owned(), json(serde_json::to_string(&shapes))));
        settlement.notes.push((crate::link::NOTE_DELETES.to_owned(), json(serde_json::to_string(&deletes))));
    }
}

/// What the source's table has and the one that this run makes has not.
fn not_carried_over(pair: &Pair) -> Option<String> {
    let left_out = &pair.create.as_ref()?.left_out;
    (!left_out.is_empty()).then(|| format!("stream `{}`: not carried over: {}", pair.stream, left_out.join("; ")))
}

/// What the source has for columns that the destination computes by itself.
fn not_written(pair: &Pair) -> impl Iterator<Item = String> {
    let unwritten = pair.drift.iter().filter(|d| d.kind == crate::pairing::NOT_WRITTEN);
    unwritten.map(|d| format!("stream `{}`: {}", pair.stream, d.detail))
}

/// Every line written in it belongs to this run, also with several of them in one process.
pub(crate) fn run_span(run: &RunRow) -> tracing::Span {
    tracing::info_span!("run", run = %run.id, sync = %run.sync, scope = %run.scope)
}

/// The marker step of a stream's deletions: beyond any number of batches that its upserts can take.
const DELETION_STEPS: u64 = 1 << 21;

/// Why a run stopped before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Nothing was committed: the run has failed.
    Failed(EngineError),
    /// The destination has committed, or may have, and the state does not say so yet. The run stays `running` with its intent, and the
    /// next run settles it: to call it failed would lose its books and its parked rows. Also when another run holds the lock, for it does.
    Unsettled(EngineError),
}

impl<E: Into<EngineError>> From<E> for Stop {
    fn from(error: E) -> Self {
        let error = error.into();
        match error.code() {
            "commit_unsettled" | "lock_lost" => Self::Unsettled(error),
            _ => Self::Failed(error),
        }
    }
}

/// Which part of the work a transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// All of it.
    Everything,
    /// Creates and updates.
    Upserts,
    /// Deletions.
    Deletions,
}

fn marker(context: &RunContext<'_>, stream: &str, step: u64) -> Marker {
    Marker {
        sync: context.sync.name.clone(),
        scope: context.scope.to_owned(),
        stream: stream.to_owned(),
        run: context.run.id.clone(),
        step,
    }
}

/// Straight into a table that this transaction makes, where DDL rolls back with it; else through staging. A stamp is set by the statement
/// that writes the row, which a bulk load has none of.
fn write_path(link: &Link, pair: &Pair, phase: Phase) -> WritePath {
    if pair.first_load.is_some() {
        return WritePath::Load;
    }
    let straight = pair.policy.options.stamp.is_none()
        && pair.create.is_some()
        && pair.key_is_unique
        && phase != Phase::Deletions
        && link.dest.capabilities().transactional_ddl;
    if straight { WritePath::Load } else { WritePath::Stage }
}

/// Hosts that bound a transaction say so before anything is written (R18).
fn refuse_too_large(context: &RunContext<'_>, link: &Link, runs: &[crate::stream_run::StreamResult]) -> Result<()> {
    let Some(max) = link.dest.capabilities().transaction_rows_max.filter(|_| context.sync.atomic != Atomic::Batch) else { return Ok(()) };
    let rows: u64 = runs.iter().filter(|r| !r.in_parts).map(|r| r.fetched + r.deletes.len()).sum();
    if rows <= max {
        return Ok(());
    }
    Err(EngineError::Config {
        code: "transaction_too_large",
        message: format!("sync `{}`: {rows} rows in one transaction, the destination allows {max}", context.sync.name),
        hint: Some(
            if context.options.plan.is_some() { "run the sync without a plan, with `atomic: batch`" } else { "set `atomic: batch`" }
                .to_owned(),
        ),
    })
}

pub(crate) fn stream_write(pair: &Pair, path: WritePath) -> StreamWrite {
    let compare =
        pair.columns.iter().zip(&pair.compared).filter(|(c, on)| **on && !pair.key_dest.contains(&c.name)).map(|(c, _)| c.name.clone());
    StreamWrite {
        stream: pair.stream.clone(),
        table: pair.dest.clone(),
        create: pair.first_load.as_ref().map_or_else(|| pair.create.clone(), |l| Some(l.place.clone())),
        path,
        in_parts: pair.first_load.as_ref().map_or(InParts::No, |l| InParts::Filled(l.rows)),
        key: pair.key_dest.clone(),
        one_record_per_key: pair.key_is_unique,
        columns: pair.columns.iter().map(|c| c.name.clone()).collect(),
        compare: compare.collect(),
        deletes: pair.delete.clone().unwrap_or(syncline_connector::DeleteAction::Remove),
        stamp: pair.policy.options.stamp.clone(),
        expects: pair.policy.edits == crate::spec::Edits::Keep,
        rejects_max: crate::moving::REJECTS_MAX,
        strict: pair.policy.rows == Rows::Strict,
        referenced_by: crate::reach::refusing(pair),
    }
}

/// Rows may pass undecoded: one engine, the same columns, nothing in between.
pub(crate) fn takes_raw(link: &Link, pair: &Pair) -> bool {
    let able = link.source.capabilities().raw && link.dest.capabilities().raw && link.from.engine() == link.to.engine();
    let same = |(from, to): (&Option<String>, &syncline_model::Column)| {
        from.as_ref().and_then(|f| pair.source.column(f)).is_some_and(|f| link.to.raw_safe(f, to))
    };
    able && !pair.key_may_be_null()
        && pair.is_plain()
        && pair.transform.is_identity()
        && pair.copied_from.iter().zip(&pair.columns).all(same)
}

/// Drift that stops a stream stops the run before anything is read.
pub(crate) fn refuse_drift(pairs: &[Pair]) -> Result<()> {
    let stops: Vec<&crate::report::Drift> = pairs.iter().flat_map(|p| &p.drift).filter(|d| d.stops).collect();
    let Some(first) = stops.first() else { return Ok(()) };
    let more = if stops.len() > 1 { format!(" (and {} more)", stops.len() - 1) } else { String::new() };
    let code = match first.kind.as_str() {
        "unfit" => "type_mismatch",
        _ => "schema_drift",
    };
    let e = syncline_connector::Error::new(ErrorKind::SchemaMismatch, code, format!("stream `{}`: {}{more}", first.stream, first.detail));
    Err(e.hint("see `syncline check`; then map the column with `fields`, or decide with `schema_changes: ignore | add`").into())
}

fn changed_identity(context: &RunContext<'_>, name: &str, before: &str, now: &Identity) -> syncline_connector::Error {
    let (side, connection) =
        if name == NOTE_SOURCE { ("source", &context.sync.from.1.name) } else { ("destination", &context.sync.to.1.name) };
    let message = format!("the {side} `{connection}` is another system than last time (was {before}, is {} {})", now.system, now.timeline);
    syncline_connector::Error::new(ErrorKind::PositionLost, "source_changed_identity", message)
        .hint(format!("if that is meant (restored, moved), say so with `syncline check {} --accept-identity`; positions are then forgotten and everything is compared", context.sync.name))
}
