//! `run --plan FILE`: exactly that plan. Every row is read again on both sides; the first one that is not as the plan saw
//! it refuses everything (R36).

use std::collections::HashMap;

use syncline_connector::{Error, ErrorKind, LargeFields, Predicate, RawChunk, Reject, Snapshot, StagedRun};
use syncline_model::{Key, RowBatch, RowRef, Value};

use crate::dry::{fingerprint, rows_by_key, unpack};
use crate::engine::{EngineError, Result};
use crate::moving::{Selection, Sink};
use crate::pairing::Pair;
use crate::pipeline::RunContext;
use crate::report::{ChangeKind, Plan, PlannedChange};
use crate::spec::Edits;
use crate::stream_run::StreamRun;

/// Why a plan of this stream cannot be applied, only shown.
pub(crate) fn why_not_applicable(pair: &Pair) -> Option<String> {
    let why = |what: &str| Some(format!("stream `{}` {what}", pair.stream));
    if pair.maps_ids() {
        return why("maps ids: what it writes depends on ids that only the run gives out");
    }
    if pair.policy.edits == Edits::Keep {
        return why("keeps edits (`edits: keep`): what it writes depends on both sides and on what earlier runs left");
    }
    None
}

/// A plan is for one sync, scope and configuration, and whole.
pub(crate) fn refuse_foreign(plan: &Plan, context: &RunContext<'_>) -> Result<()> {
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
    if !plan.complete || plan.streams.is_empty() {
        return refuse("plan_invalid", "the plan does not list all of its changes".to_owned());
    }
    if let Some(why) = &plan.not_applicable {
        return Err(not_applicable(why));
    }
    Ok(())
}

/// `plan_not_applicable`, with this reason.
#[must_use]
pub fn not_applicable(why: &str) -> EngineError {
    EngineError::Config {
        code: "plan_not_applicable",
        message: format!("this plan can be looked at, but not be applied: {why}"),
        hint: Some("run the sync without a plan".to_owned()),
    }
}

/// The statements that the run would make are those that the plan has shown, table by table.
pub(crate) fn refuse_other_ddl(plan: &Plan, pairs: &[Pair]) -> Result<()> {
    let other = pairs.iter().find(|p| plan.streams.iter().any(|s| s.stream == p.stream && s.ddl != crate::plan::ddl_of(p)));
    let Some(pair) = other else { return Ok(()) };
    Err(EngineError::Config {
        code: "plan_stale",
        message: format!("stream `{}`: its tables changed since the plan was made", pair.stream),
        hint: Some("nothing was written; make a new plan with `syncline plan --out FILE`".to_owned()),
    })
}

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
        self.say_what_is_left(plan);
        Ok(())
    }

    /// What the plan said would wait for a person still does.
    fn say_what_is_left(&mut self, plan: &Plan) {
        let name = &self.pair.stream;
        let Some(stream) = plan.streams.iter().find(|s| s.stream == *name && s.undecided() > 0) else { return };
        self.result.left_undone = true;
        if let Some(why) = &stream.held_back {
            let how = "a plan made with `--approve-deletes` has them in it";
            self.result.remarks.push(format!("stream `{name}`: held back, and no part of the plan: {why}; {how}"));
        }
        for (code, rows) in &stream.parked {
            self.result.remarks.push(format!("stream `{name}`: {rows} rows are no part of the plan, as they cannot be applied: {code}"));
        }
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
