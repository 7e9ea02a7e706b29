//! `plan`: what a run would do, found by the run's own steps with a staged run that writes nothing.

use std::collections::BTreeMap;

use syncline_connector::WritePath;
use xxhash_rust::xxh3::xxh3_64;

use crate::dry::DryRun;
use crate::engine::{Engine, Result, RunOptions};
use crate::pairing::Pair;
use crate::pipeline::{Phase, RunContext};
use crate::report::{Plan, PlannedChange, StreamPlan};
use crate::spec::SyncSpec;
use crate::spill::HashTable;
use crate::stream_run::{Landing, StreamResult, StreamRun};

/// Format of the plan file.
pub const PLAN_VERSION: u32 = 2;

impl Engine {
    /// What a run would do, without writing anything anywhere: one plan per scope, with at most `changes_max` changes listed.
    ///
    /// # Errors
    /// As [`Engine::run`]; drift that would stop a run is part of the plan, not an error.
    pub async fn plan(&self, sync: &SyncSpec, options: RunOptions, changes_max: usize) -> Result<Vec<Plan>> {
        let mut plans = Vec::new();
        for scope in self.scopes(sync, options.scope.as_deref()).await? {
            plans.push(self.plan_scope(sync, &scope, &options, changes_max).await?);
        }
        Ok(plans)
    }

    async fn plan_scope(&self, sync: &SyncSpec, scope: &str, options: &RunOptions, changes_max: usize) -> Result<Plan> {
        let mut link = self.link(sync).await?;
        let remembered = self.remembered(&sync.name).await?;
        let name = (!scope.is_empty()).then_some(scope);
        let pairs = link.pairs(sync, name, &options.streams, &remembered)?;
        let run = self.new_run(sync, scope, options);
        let context = RunContext { sync, options, scope, run: &run };
        crate::policy::refuse_mode(&pairs, options.mode)?;
        let (stopped, going): (Vec<Pair>, Vec<Pair>) = pairs.into_iter().partition(|p| p.drift.iter().any(|d| d.stops));
        let mut source = link.source.snapshot().await?;
        let mut dest = link.dest.snapshot().await?;
        let elsewhere = self.mapped_elsewhere(&context, &link, &going).await?;
        let mut ids = self.load_maps(&context, &going, &elsewhere, &link.dest_catalog, &mut *dest).await?;
        let mut dry = DryRun::new((link.dest.snapshot().await?, link.dest.trial()), &going, sync.memory, changes_max);
        let ours = crate::reach::Ours::of(&going);
        let mut results = Vec::new();
        for (index, pair) in going.iter().enumerate() {
            let mut run = StreamRun::new(self, &context, &link, pair, index, WritePath::Stage, false, Phase::Everything, &ours);
            run.foresees = true;
            let mut landing = Landing { staged: &mut dry, ids: &mut ids };
            run.stage(&mut *source, &mut *dest, &mut landing).await?;
            results.push(run.into_result(true));
        }
        let applied = syncline_connector::StagedRun::apply(&mut dry).await?;
        let mut changes = std::mem::take(&mut dry.changes);
        say_what_was_edited(&mut changes, &going, &mut results)?;
        let mut streams = Vec::new();
        for ((pair, result), outcome) in going.iter().zip(&results).zip(&applied.outcomes) {
            streams.push(stream_plan(pair, result, outcome));
        }
        streams.extend(stopped.iter().map(|p| StreamPlan { note: Some("stopped by schema drift".to_owned()), ..shape_of(p) }));
        let counted: u64 = streams.iter().map(StreamPlan::changes).sum();
        Ok(Plan {
            version: PLAN_VERSION,
            sync: sync.name.clone(),
            scope: scope.to_owned(),
            at: self.clock.now(),
            config: config_fingerprint(sync),
            complete: changes.len() as u64 == counted,
            streams,
            changes,
            not_applicable: going.iter().find_map(crate::planned::why_not_applicable),
        })
    }
}

/// What a plan depends on: another configuration makes it worthless.
#[must_use]
pub fn config_fingerprint(sync: &SyncSpec) -> String {
    let text = format!("{:?}|{:?}|{:?}|{:?}|{}", sync.options, sync.streams, sync.scopes, sync.atomic, sync.name);
    format!("{:016x}", xxh3_64(text.as_bytes()))
}

/// Fields that the destination edited since the last run are marked: applying the plan loses those edits.
fn say_what_was_edited(changes: &mut [PlannedChange], pairs: &[Pair], results: &mut [StreamResult]) -> Result<()> {
    let mut edited: BTreeMap<&str, &mut HashTable> =
        pairs.iter().zip(results).map(|(p, r)| (p.stream.as_str(), &mut r.edited)).filter(|(_, e)| !e.is_empty()).collect();
    for change in changes.iter_mut() {
        let Some(edited) = edited.get_mut(change.stream.as_str()) else { continue };
        for field in &mut change.fields {
            field.edited_at_destination = edited.get(crate::keep::edited(&change.key, &field.field))?.is_some();
        }
    }
    Ok(())
}

/// The statements that make or change the destination table.
pub(crate) fn ddl_of(pair: &Pair) -> Vec<String> {
    let mut ddl = pair.alter.clone();
    if let Some(made) = &pair.create {
        ddl.extend(made.create.iter().chain(&made.keys).chain(&made.foreign_keys).cloned());
    }
    ddl
}

fn shape_of(pair: &Pair) -> StreamPlan {
    StreamPlan {
        stream: pair.stream.clone(),
        table: pair.dest.name.to_string(),
        mode: pair.policy.mode.as_str().to_owned(),
        digest: "none".to_owned(),
        ddl: ddl_of(pair),
        left_out: pair.create.as_ref().map(|d| d.left_out.clone()).unwrap_or_default(),
        checked: pair.checked.clone(),
        drift: pair.drift.clone(),
        ..StreamPlan::default()
    }
}

/// What a person should know of how the stream is read.
fn note(result: &StreamResult) -> Option<String> {
    let remembered = (result.digest == Some(crate::compare::Choice::Remembered))
        .then(|| "columns that SQL cannot compare: segments that changed since the last agreeing run are read whole".to_owned());
    let sentences: Vec<String> = remembered.into_iter().chain(result.remarks.iter().cloned()).collect();
    (!sentences.is_empty()).then(|| sentences.join("; "))
}

fn stream_plan(pair: &Pair, result: &StreamResult, outcome: &syncline_connector::StreamOutcome) -> StreamPlan {
    let mut by_code: BTreeMap<String, u64> = BTreeMap::new();
    result.parked.iter().for_each(|p| *by_code.entry(p.code.clone()).or_default() += 1);
    StreamPlan {
        mode: result.mode.clone(),
        digest: result.digest.map_or("none", |d| d.as_str()).to_owned(),
        note: note(result),
        in_scope: result.in_scope,
        creates: outcome.created,
        updates: outcome.updated,
        deletes: outcome.deleted,
        extra: result.extra,
        parked: by_code.into_iter().collect(),
        held: result.held.as_ref().map_or(0, |(keys, _)| keys.len()),
        kept: result.settled.1,
        held_back: result.held.as_ref().map(|(k, why)| format!("{} deletions: {why}", k.len())),
        cascades: result.cascades.clone(),
        ..shape_of(pair)
    }
}
