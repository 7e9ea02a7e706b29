//! A run, from the lock to the books, readable top to bottom.

use syncline_connector::{ErrorKind, Identity, Marker, RunSpec, StagedRun, StreamWrite, WritePath, fail};
use syncline_store::rows::{AuditRow, RunKind, RunRow, RunStatus};

use crate::engine::{Engine, EngineError, Result, RunOptions, RunReport};
use crate::link::{Link, NOTE_DESTINATION, NOTE_SOURCE};
use crate::pairing::Pair;
use crate::settle::Settlement;
use crate::spec::{Atomic, Rows, SyncSpec};
use crate::stream_run::{Landing, StreamRun};

/// Before-images are kept for at most this many changed rows of a run (R28).
const UNDO_ROWS_MAX: u64 = 100_000;
/// Rows set aside per stream and run, past which the run stops: a list nobody can read helps nobody (P9).
const REJECTS_MAX: u64 = 10_000;

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
        for scope in self.scopes(sync, options.scope.as_deref()).await? {
            reports.push(self.run_scope(sync, &scope, &options).await?);
        }
        Ok(reports)
    }

    async fn run_scope(&self, sync: &SyncSpec, scope: &str, options: &RunOptions) -> Result<RunReport> {
        fail::passable("run.start")?;
        let run = self.new_run(sync, scope, options);
        let work = async {
            self.settle_dead_runs(sync, scope).await?;
            self.record_start(&run, options).await?;
            let context = RunContext { sync, options, scope, run: &run };
            if let Err(e) = self.execute(&context).await {
                tracing::error!(run = %run.id, code = e.code(), "run failed: {e}");
                if matches!(&e, EngineError::Connector(c) if c.code == "commit_unsettled") {
                    return Ok(());
                }
                self.finish_failed(&run.id, &e).await?;
            }
            Ok(())
        };
        self.locked(&sync.name, scope, &run.id, options.wait, work).await?;
        let mut tx = self.store.begin().await?;
        let report = tx.load_run(&run.id).await?;
        report.ok_or_else(|| syncline_connector::Error::internal("the run just made is not in the state").into())
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
        let detail = serde_json::json!({ "run": run.id, "mode": run.mode, "streams": options.streams, "scope": run.scope, "approve_deletes": options.approve_deletes });
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
        tracing::info!(run = %run.id, sync = %run.sync, scope = %run.scope, mode = %run.mode, "run started");
        Ok(())
    }

    async fn execute(&self, context: &RunContext<'_>) -> Result<()> {
        let sync = context.sync;
        let mut link = self.link(sync).await?;
        let identities = self.check_identities(context, &mut link).await?;
        let remembered = self.remembered(&sync.name).await?;
        fail::passable("run.discovered")?;
        let scope = (!context.scope.is_empty()).then_some(context.scope);
        let pairs = link.pairs(sync, scope, &context.options.streams, &remembered)?;
        refuse_drift(&pairs)?;
        refuse_foreign_plan(context)?;
        fail::passable("run.planned")?;
        self.prepare(&mut link, &pairs).await?;
        let mut settlement = Settlement { notes: identities, ..Settlement::default() };
        match sync.atomic {
            Atomic::Run => self.run_together(context, &mut link, &pairs, &remembered, &mut settlement).await,
            Atomic::Stream | Atomic::Batch => self.run_apart(context, &mut link, &pairs, &remembered, &mut settlement).await,
        }
    }

    /// One destination transaction for all streams.
    async fn run_together(
        &self,
        context: &RunContext<'_>,
        link: &mut Link,
        pairs: &[Pair],
        remembered: &crate::pairing::Remembered,
        settlement: &mut Settlement,
    ) -> Result<()> {
        let marker = marker(context, "", 1);
        let runs = self.stage_and_apply(context, link, pairs, &marker, Phase::Everything, settlement).await?;
        let (mut staged, token) = runs;
        self.remember_shapes(pairs, remembered, context, settlement);
        self.save_intent(&context.run.id, &marker, token.clone(), settlement).await?;
        fail::passable("commit.intent")?;
        self.commit(link, &mut *staged, &marker, token.as_deref()).await?;
        fail::passable("commit.recorded")?;
        let status = self.settle(context.run, settlement).await?;
        tracing::info!(run = %context.run.id, ?status, "run ended");
        Ok(())
    }

    /// One destination transaction per stream, parents first; deletions of all streams after all upserts, children first.
    async fn run_apart(
        &self,
        context: &RunContext<'_>,
        link: &mut Link,
        pairs: &[Pair],
        remembered: &crate::pairing::Remembered,
        settlement: &mut Settlement,
    ) -> Result<()> {
        let order = crate::order::parents_first(pairs);
        let mut step = 0;
        let passes = order.iter().map(|&i| (i, Phase::Upserts)).chain(order.iter().rev().map(|&i| (i, Phase::Deletions)));
        for (i, phase) in passes {
            if phase == Phase::Deletions && pairs[i].delete.is_none() {
                continue;
            }
            step += 1;
            let marker = marker(context, &pairs[i].stream, step);
            let (mut staged, token) = self.stage_and_apply(context, link, &pairs[i..=i], &marker, phase, settlement).await?;
            self.commit(link, &mut *staged, &marker, token.as_deref()).await?;
        }
        self.remember_shapes(pairs, remembered, context, settlement);
        self.settle(context.run, settlement).await.map(drop)
    }

    async fn stage_and_apply(
        &self,
        context: &RunContext<'_>,
        link: &mut Link,
        pairs: &[Pair],
        marker: &Marker,
        phase: Phase,
        settlement: &mut Settlement,
    ) -> Result<(Box<dyn StagedRun>, Option<String>)> {
        let mut source = link.source.snapshot().await?;
        fail::passable("run.snapshot")?;
        let mut dest = link.dest.snapshot().await?;
        let mut ids = self.load_maps(context, pairs, &link.dest_catalog, &mut *dest).await?;
        let mut spec = self.run_spec(context, link, pairs, marker, phase);
        spec.streams.extend(ids.writes());
        let paths: Vec<WritePath> = spec.streams.iter().map(|s| s.path).collect();
        let mut staged = link.dest.begin(spec).await?;
        fail::passable("run.begun")?;
        let mut runs = Vec::with_capacity(pairs.len());
        let ours: Vec<_> = pairs.iter().map(|p| p.dest.name.clone()).collect();
        for (index, pair) in pairs.iter().enumerate() {
            let raw = takes_raw(link, pair);
            let mut run = StreamRun::new(self, context, link, pair, index, paths[index], raw, phase, &ours);
            let mut landing = Landing { staged: &mut *staged, ids: &mut ids };
            run.stage(&mut *source, &mut *dest, &mut landing).await?;
            runs.push(run.into_result());
        }
        let minted = ids.stage_minted(pairs, &context.run.id, pairs.len(), &mut *staged).await?;
        // A reader left open would keep a file-based destination from being written.
        dest.close().await?;
        self.progress.phase("apply");
        let applied = staged.apply().await?;
        let observation = source.observation().clone();
        self.account(context, pairs, runs, applied.outcomes, &ids, &mut *source, settlement).await?;
        settlement.minted.extend(minted.into_iter().map(|m| (m.stream, m.rows)));
        source.close().await?;
        settlement.undoable |= applied.undoable;
        settlement.observation = Some((observation.at, observation.open.clone()));
        self.progress.phase("commit");
        Ok((staged, applied.token))
    }

    fn run_spec(&self, context: &RunContext<'_>, link: &Link, pairs: &[Pair], marker: &Marker, phase: Phase) -> RunSpec {
        let transactional = link.dest.capabilities().transactional_ddl;
        let planned = context.options.plan.is_some();
        let one = |p: &Pair| {
            let mut write = stream_write(p, transactional && p.key_is_unique && phase != Phase::Deletions);
            write.expects |= planned;
            write
        };
        let streams = pairs.iter().map(one).collect();
        RunSpec {
            marker: marker.clone(),
            streams,
            undo_rows_max: if context.sync.undo { UNDO_ROWS_MAX } else { 0 },
            strict: pairs.iter().any(|p| p.policy.rows == Rows::Strict),
        }
    }

    async fn prepare(&self, link: &mut Link, pairs: &[Pair]) -> Result<()> {
        let statements: Vec<String> = pairs.iter().flat_map(|p| p.alter.iter().cloned()).collect();
        link.dest.prepare(&statements).await?;
        Ok(())
    }

    /// Commits; a lost answer is looked up, never blindly repeated (A6, R24).
    pub(crate) async fn commit(&self, link: &mut Link, staged: &mut dyn StagedRun, marker: &Marker, token: Option<&str>) -> Result<()> {
        let Err(e) = staged.commit().await else { return Ok(()) };
        if e.code != "commit_unknown" {
            return Err(e.into());
        }
        match link.dest.fate(marker, token).await {
            Ok(syncline_connector::CommitFate::Committed) => Ok(()),
            Ok(syncline_connector::CommitFate::RolledBack) => {
                let e = syncline_connector::Error::new(
                    ErrorKind::Unavailable,
                    "connection_lost",
                    "the connection was lost at the commit, which did not go through",
                );
                Err(e.hint("nothing was written; run again").into())
            }
            // The run stays `running` with its intent: the next run settles it once the destination answers.
            Ok(syncline_connector::CommitFate::Unknown) | Err(_) => {
                let e = syncline_connector::Error::new(
                    ErrorKind::Unavailable,
                    "commit_unsettled",
                    "the answer to the commit was lost and the destination cannot be asked",
                );
                Err(e.hint("run again: the next run finds out what became of it").into())
            }
        }
    }

    /// Another system behind the same name is noticed before anything is compared with it (C5, D22).
    async fn check_identities(&self, context: &RunContext<'_>, link: &mut Link) -> Result<Vec<(String, String)>> {
        let mut notes = Vec::new();
        let sides = [(NOTE_SOURCE, link.source.identity().await?), (NOTE_DESTINATION, link.dest.identity().await?)];
        for (name, identity) in sides {
            let text = crate::link::identity_note(&identity);
            let mut tx = self.store.begin().await?;
            let before = tx.load_note(&context.sync.name, name).await?;
            tx.commit().await?;
            if let Some(before) = before.filter(|b| *b != text) {
                return Err(changed_identity(context, name, &before, &identity).into());
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
        _context: &RunContext<'_>,
        settlement: &mut Settlement,
    ) {
        let mut created = remembered.created.clone();
        created.extend(pairs.iter().filter(|p| p.create.is_some()).map(|p| p.dest.name.to_string()));
        let mut shapes = remembered.shapes.clone();
        for p in pairs {
            shapes.insert(p.stream.clone(), p.source.columns.iter().map(|c| (c.name.clone(), c.native.clone())).collect());
        }
        let json = |v: serde_json::Result<String>| v.expect("invariant: maps of strings serialise");
        settlement.notes.push((crate::link::NOTE_CREATED.to_owned(), json(serde_json::to_string(&created))));
        settlement.notes.push((crate::link::NOTE_SHAPES.to_owned(), json(serde_json::to_string(&shapes))));
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

pub(crate) fn stream_write(pair: &Pair, may_load: bool) -> StreamWrite {
    let path = if pair.create.is_some() && may_load { WritePath::Load } else { WritePath::Stage };
    let compare =
        pair.columns.iter().zip(&pair.compared).filter(|(c, on)| **on && !pair.key_dest.contains(&c.name)).map(|(c, _)| c.name.clone());
    StreamWrite {
        stream: pair.stream.clone(),
        table: pair.dest.clone(),
        create: pair.create.clone(),
        path,
        key: pair.key_dest.clone(),
        columns: pair.columns.iter().map(|c| c.name.clone()).collect(),
        compare: compare.collect(),
        deletes: pair.delete.clone().unwrap_or(syncline_connector::DeleteAction::Remove),
        stamp: pair.policy.options.stamp.clone(),
        expects: pair.policy.edits == crate::spec::Edits::Keep,
        rejects_max: REJECTS_MAX,
        referenced_by: pair.referenced_by.clone(),
    }
}

/// Rows may pass undecoded: one engine, the same columns, nothing in between.
fn takes_raw(link: &Link, pair: &Pair) -> bool {
    let able = link.source.capabilities().raw && link.dest.capabilities().raw && link.from.engine() == link.to.engine();
    let same = |(from, to): (&Option<String>, &syncline_model::Column)| {
        from.as_ref().and_then(|f| pair.source.column(f)).is_some_and(|f| link.to.raw_safe(f, to))
    };
    able && pair.is_plain() && pair.transform.is_identity() && pair.copied_from.iter().zip(&pair.columns).all(same)
}

/// A plan is for one sync, scope and configuration, and whole.
fn refuse_foreign_plan(context: &RunContext<'_>) -> Result<()> {
    let Some(plan) = &context.options.plan else { return Ok(()) };
    let refuse = |code, message: String| {
        let hint = Some("make a new one with `syncline plan --out FILE`".to_owned());
        Err(EngineError::Config { code, message, hint })
    };
    if plan.version != crate::plan::PLAN_VERSION || plan.sync != context.sync.name || plan.scope != context.scope {
        return refuse("plan_invalid", format!("the plan is for sync `{}`, scope `{}`, format {}", plan.sync, plan.scope, plan.version));
    }
    if plan.config != crate::plan::config_fingerprint(context.sync) {
        return refuse("plan_stale", "the configuration of the sync changed since the plan was made".to_owned());
    }
    if !plan.complete {
        return refuse("plan_invalid", "the plan does not list all of its changes".to_owned());
    }
    Ok(())
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
