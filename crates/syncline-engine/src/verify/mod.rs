//! `verify`: proves, or refutes, that both sides are the same, by a path of its own (Q2). Every row is read in the text that
//! its system renders, brought to one spelling here, and matched in an external hash join; what seems to differ is read
//! again on fresh snapshots, so that a live system is not accused of what was merely on its way.

mod again;
mod orphans;
mod repair;
mod shown;
mod side;
mod span;
mod stream;
mod text;

use syncline_store::rows::{Page, ParkedFilter, VerifyRow};

use crate::engine::{Engine, EngineError, Result, RunOptions};
use crate::pipeline::RunContext;
use crate::report::{Difference, VerifyReport};
use crate::spec::SyncSpec;

/// Differences that a report lists; more than anybody reads, and a bound for its size.
const DIFFERENCES_MAX: usize = 10_000;

impl Engine {
    /// Compares both sides by an independent path and stores the report; with `repair` it then writes the differences (a run of kind `repair`)
    /// and verifies again. `sample` is the share of rows to compare, 1.0 for all. One report per scope, of the last look.
    ///
    /// Takes no lock for reading, and reads again what seems to differ.
    ///
    /// # Errors
    /// As [`Engine::run`]; `schema_drift` and `type_mismatch` where a stream has no shape to be compared in.
    pub async fn verify(&self, sync: &SyncSpec, options: RunOptions, sample: f64, repair: bool) -> Result<Vec<VerifyReport>> {
        let mut reports = Vec::new();
        for scope in self.scopes(sync, options.scope.as_deref()).await? {
            let report = self.verify_scope(sync, &scope, &options, sample).await?;
            let mended = repair && !report.passed && self.repair(sync, &scope, &options, &report).await?;
            reports.push(if mended { self.verify_scope(sync, &scope, &options, sample).await? } else { report });
        }
        Ok(reports)
    }

    async fn verify_scope(&self, sync: &SyncSpec, scope: &str, options: &RunOptions, sample: f64) -> Result<VerifyReport> {
        let started = self.clock.monotonic_ms();
        let mut report = VerifyReport {
            id: self.ids.next_id(),
            number: 0,
            sync: sync.name.clone(),
            scope: scope.to_owned(),
            started_at: self.clock.now(),
            duration_ms: 0,
            sample,
            streams: Vec::new(),
            differences: Vec::new(),
            truncated: false,
            passed: false,
        };
        let mut link = self.link(sync).await?;
        let remembered = self.remembered(&sync.name).await?;
        let pairs = link.pairs(sync, (!scope.is_empty()).then_some(scope), &options.streams, &remembered)?;
        crate::pipeline::refuse_drift(&pairs)?;
        let run = self.new_run(sync, scope, options);
        let context = RunContext { sync, options, scope, run: &run };
        let ids = self.read_maps(&context, &mut link, &pairs).await?;
        for (index, pair) in pairs.iter().enumerate() {
            let mut found = Found::new(DIFFERENCES_MAX - report.differences.len());
            let check = self.verify_stream(sync, scope, pair, &pairs, &mut link, sample, (&ids, index), &mut found).await?;
            report.streams.push(check);
            report.truncated |= found.truncated;
            report.differences.append(&mut found.list);
        }
        report.passed = report.streams.iter().all(|s| s.passed);
        report.duration_ms = self.clock.monotonic_ms().saturating_sub(started);
        self.save(&mut report).await?;
        Ok(report)
    }

    /// Saves the report; its number is the store's to give, and part of what is saved.
    async fn save(&self, report: &mut VerifyReport) -> Result<()> {
        let mut tx = self.store.begin().await?;
        let last = tx.list_verify(None, &Page { offset: 0, limit: 1 }).await?;
        report.number = last.first().map_or(0, |r| r.number) + 1;
        tx.save_verify(&row(report)).await?;
        let given = tx.load_verify(&report.id).await?.map_or(0, |r| r.number);
        if given != report.number {
            // The newest reports were pruned, and numbers are never given twice.
            report.number = given;
            tx.save_verify(&row(report)).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Canonical keys of the open parked rows of a stream.
    async fn parked_keys(&self, sync: &SyncSpec, scope: &str, pair: &crate::pairing::Pair) -> Result<std::collections::HashSet<Vec<u8>>> {
        let filter = ParkedFilter {
            sync: Some(sync.name.clone()),
            scope: Some(scope.to_owned()),
            stream: Some(pair.stream.clone()),
            ..ParkedFilter::default()
        };
        let mut tx = self.store.begin().await?;
        let open = tx.list_parked(&filter, &Page { offset: 0, limit: u32::MAX }).await?;
        tx.commit().await?;
        let canons = pair.key_canons();
        Ok(open.iter().filter_map(|p| syncline_model::Key::from_json(&p.key_json)).map(|k| k.canonical(&canons)).collect())
    }

    pub(crate) fn stop_if_asked(&self) -> Result<()> {
        if self.interrupt.asked() { Err(EngineError::Interrupted) } else { Ok(()) }
    }
}

fn row(report: &VerifyReport) -> VerifyRow {
    VerifyRow {
        id: report.id.clone(),
        number: report.number,
        sync: report.sync.clone(),
        scope: report.scope.clone(),
        started_at: report.started_at,
        duration_ms: report.duration_ms,
        passed: report.passed,
        report_json: serde_json::to_string(report).expect("invariant: a report is numbers and text"),
    }
}

/// Differences of one stream, as many as the report still takes.
#[derive(Debug)]
struct Found {
    list: Vec<Difference>,
    room: usize,
    truncated: bool,
}

impl Found {
    fn new(room: usize) -> Self {
        Self { list: Vec::new(), room, truncated: false }
    }

    fn is_full(&self) -> bool {
        self.list.len() >= self.room
    }

    fn note(&mut self, difference: impl FnOnce() -> Difference) {
        if self.is_full() {
            self.truncated = true;
        } else {
            self.list.push(difference());
        }
    }
}
