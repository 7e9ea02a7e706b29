//! One stream within a run: which rows are moved, which keys are deleted, and what that adds up to.

use async_trait::async_trait;
use syncline_connector::{LargeFields, Predicate, RawChunk, Reject, Snapshot, StagedRun, WritePath};
use syncline_model::{Key, LogicalType, RowBatch, Value};
use syncline_store::rows::{Page, ParkedFilter, PositionRow, SegmentRow};

use crate::compare::{self, Choice};
use crate::deletions;
use crate::engine::{Engine, EngineError, Result};
use crate::first_load::FirstLoad;
use crate::link::Link;
use crate::mapped::{IdMaps, MappingSink};
use crate::moving::{Moved, Parked, Selection, Sink};
use crate::pairing::Pair;
use crate::pipeline::{Phase, RunContext};
use crate::reach::{self, Ours};
use crate::shape;
use crate::spec::{Edits, Mode};
use crate::spill::{HashTable, ListSpool, RowSpool};

/// The share of the memory budget for keys that differ; more of them, and every row is read.
const KEYS_SHARE: u64 = 8;
/// Keys asked for in one read.
const KEYS_PER_READ: usize = 10_000;

/// What staging a stream gave, before it is applied.
#[derive(Debug)]
pub(crate) struct StreamResult {
    /// How it was read.
    pub mode: String,
    /// Straight or staged.
    pub path: WritePath,
    /// Its rows were committed in parts before.
    pub in_parts: bool,
    /// Digest used.
    pub digest: Option<Choice>,
    /// Rows in scope at the source.
    pub in_scope: u64,
    /// Proved equal by digest.
    pub equal_by_digest: u64,
    /// Rows read.
    pub fetched: u64,
    /// Rows found unchanged or kept without being staged (three-way).
    pub settled: (u64, u64),
    /// Rows set aside so far.
    pub parked: Vec<Parked>,
    /// Keys staged for deletion.
    pub deletes: RowSpool,
    /// Keys held back, and why.
    pub held: Option<(RowSpool, String)>,
    /// What the deletions reach in tables of others, a sentence per table.
    pub cascades: Vec<String>,
    /// Those that are let go, with `cascade: allow`.
    pub going_along: Vec<String>,
    /// Destination rows left alone.
    pub extra: u64,
    /// Segments to remember.
    pub seen: Option<compare::Seen>,
    /// Position before this run.
    pub position: Option<PositionRow>,
    /// What a position rests on now.
    pub shape: String,
    /// Rows of a window that are in it for want of a cursor.
    pub without_cursor: u64,
    /// Rows of the window that are not older than the last success.
    pub after_last: u64,
    /// Largest cursor seen.
    pub cursor_max: Option<Value>,
    /// Open parked entries that this run tried again or covered.
    pub retried: Vec<String>,
    /// Conflicts.
    pub conflicts: ListSpool<syncline_store::rows::ConflictRow>,
    /// Fields that are written over an edit of the destination, by [`crate::keep::edited`].
    pub edited: HashTable,
    /// Sentences for the run.
    pub remarks: Vec<String>,
    /// Rows that it was not asked for wait for a person to decide.
    pub left_undone: bool,
    /// Bases, spooled.
    pub bases: Option<crate::bases::Bases>,
    /// Start, for the duration.
    pub started_ms: u64,
    /// Time until it was staged, where what comes after is shared with other streams.
    pub staged_ms: Option<u64>,
}

impl StreamResult {
    /// The position, where it speaks of the stream as it is now.
    pub fn position_in_force(&self) -> Option<&PositionRow> {
        self.position.as_ref().filter(|p| shape::still_holds(&p.shape, &self.shape))
    }
}

pub(crate) struct StreamRun<'a> {
    pub engine: &'a Engine,
    pub context: &'a RunContext<'a>,
    pub link: LinkFacts<'a>,
    pub pair: &'a Pair,
    pub index: usize,
    pub raw: bool,
    pub phase: Phase,
    pub ours: &'a [Ours],
    /// It is for a plan.
    pub foresees: bool,
    pub result: StreamResult,
}

/// Where a stream's rows land.
pub(crate) struct Landing<'s> {
    /// The staged run.
    pub staged: &'s mut dyn StagedRun,
    /// The id maps of the transaction.
    pub ids: &'s mut IdMaps,
}

/// What a stream needs to know of its link.
#[derive(Clone, Copy)]
pub(crate) struct LinkFacts<'a> {
    pub from: &'a syncline_connector::Capabilities,
    pub to: &'a syncline_connector::Capabilities,
    pub dest_catalog: &'a syncline_model::Catalog,
}

impl<'a> StreamRun<'a> {
    #[allow(clippy::too_many_arguments, reason = "one call site; the parts belong to the run, not to each other")]
    pub fn new(
        engine: &'a Engine,
        context: &'a RunContext<'a>,
        link: &'a Link,
        pair: &'a Pair,
        index: usize,
        path: WritePath,
        raw: bool,
        phase: Phase,
        ours: &'a [Ours],
    ) -> Self {
        let width = pair.key_at.len();
        let result = StreamResult {
            mode: String::new(),
            path,
            in_parts: pair.first_load.is_some(),
            digest: None,
            in_scope: 0,
            equal_by_digest: 0,
            fetched: 0,
            settled: (0, 0),
            parked: Vec::new(),
            deletes: RowSpool::new(width),
            held: None,
            cascades: Vec::new(),
            going_along: Vec::new(),
            extra: 0,
            seen: None,
            position: None,
            shape: shape::of_position(pair),
            without_cursor: 0,
            after_last: 0,
            cursor_max: None,
            retried: Vec::new(),
            conflicts: ListSpool::default(),
            edited: HashTable::new(),
            remarks: Vec::new(),
            left_undone: false,
            bases: None,
            started_ms: engine.clock.monotonic_ms(),
            staged_ms: None,
        };
        let facts = LinkFacts { from: link.source.capabilities(), to: link.dest.capabilities(), dest_catalog: &link.dest_catalog };
        Self { engine, context, link: facts, pair, index, raw, phase, ours, foresees: false, result }
    }

    /// Rows that are set aside end a strict run at once, but not a plan.
    pub(crate) fn refuse_when_strict(&self) -> Result<()> {
        if self.foresees { Ok(()) } else { crate::account::refuse_when_strict(self.pair, &self.result.parked) }
    }

    /// The result. `shared`: other streams are applied with it, which is then no time of its own.
    pub fn into_result(mut self, shared: bool) -> StreamResult {
        let took_ms = self.engine.clock.monotonic_ms().saturating_sub(self.result.started_ms);
        self.result.staged_ms = shared.then_some(took_ms);
        let r = &self.result;
        tracing::debug!(
            stream = self.pair.stream,
            mode = r.mode,
            fetched = r.fetched,
            parked = r.parked.len() as u64,
            deletes = r.deletes.len(),
            took_ms,
            "stream staged"
        );
        self.result
    }

    /// Moves this stream's rows into the staged run and stages its deletions.
    pub async fn stage(&mut self, source: &mut dyn Snapshot, dest: &mut dyn Snapshot, staged: &mut Landing<'_>) -> Result<()> {
        self.load_state().await?;
        let mode = self.mode();
        self.result.mode = if self.context.options.key.is_some() { "key".into() } else { mode.as_str().into() };
        // Of a cycle, some streams may have none.
        if self.phase == Phase::Deletions && self.pair.delete.is_none() {
            return Ok(());
        }
        if let Some(done) = &self.pair.first_load {
            return self.take_first_load(done);
        }
        if let Some(plan) = &self.context.options.plan {
            self.result.mode = "plan".into();
            return self.stage_planned(plan, source, dest, &mut *staged.staged).await;
        }
        if let Some(keys) = &self.context.options.keys {
            self.result.mode = "key".into();
            return self.stage_records(keys.get(&self.pair.stream).cloned().unwrap_or_default(), source, dest, staged).await;
        }
        if let Some(text) = &self.context.options.key {
            return self.stage_one_record(text, source, dest, staged).await;
        }
        let fresh = self.pair.create.is_some();
        if compare::has_rewritten_key(self.pair) {
            return self.stage_mapped(fresh, source, dest, staged).await;
        }
        // Before anything looks at the whole destination: a window costs what changed, not what is there.
        if let Some(from) = self.window(source, dest).await? {
            return self.stage_window(from, source, dest, staged).await;
        }
        let dest_rows = if fresh { 0 } else { dest.count(&self.pair.dest, &self.pair.filter_dest).await? };
        match mode {
            Mode::Incremental | Mode::Diff if dest_rows > 0 => self.stage_difference(source, dest, staged).await,
            Mode::Incremental | Mode::Diff | Mode::Full => self.stage_all(dest_rows, source, dest, staged).await,
        }
    }

    pub(crate) fn mode(&self) -> Mode {
        self.context.options.mode.unwrap_or(self.pair.policy.mode)
    }

    pub(crate) fn keeps(&self) -> bool {
        self.pair.policy.edits == Edits::Keep
    }

    async fn load_state(&mut self) -> Result<()> {
        let (sync, scope) = (&self.context.sync.name, self.context.scope);
        let mut tx = self.engine.store.begin().await?;
        // A table that is not there holds nothing of what its position says was synced.
        if self.pair.create.is_none() {
            self.result.position = tx.load_position(sync, scope, &self.pair.stream).await?;
        }
        let filter = ParkedFilter {
            sync: Some(sync.clone()),
            scope: Some(scope.to_owned()),
            stream: Some(self.pair.stream.clone()),
            ..ParkedFilter::default()
        };
        let open = tx.list_parked(&filter, &Page { offset: 0, limit: u32::MAX }).await?;
        tx.commit().await?;
        self.result.retried = open.into_iter().map(|p| p.key_json).collect();
        Ok(())
    }

    /// Rows that are in the load table already: this run makes them visible, so this run counts them.
    fn take_first_load(&mut self, done: &FirstLoad) -> Result<()> {
        self.take(done.moved.clone())?;
        self.result.fetched += done.kept;
        self.result.in_scope = self.result.fetched;
        self.result.remarks.extend(done.remark(&self.pair.stream));
        Ok(())
    }

    pub(crate) async fn move_selected(
        &mut self,
        filter: Vec<Predicate>,
        raw: bool,
        source: &mut dyn Snapshot,
        dest: &mut dyn Snapshot,
        staged: &mut Landing<'_>,
    ) -> Result<()> {
        let watch = self.watch();
        let selection = Selection { filter, raw: raw && !self.keeps() && watch.is_none(), watch, strict: !self.foresees };
        let memory = self.context.sync.memory;
        if self.keeps() {
            return self.move_keeping_edits(&selection, source, dest, &mut *staged.staged).await;
        }
        let mut sink = StagedSink { staged: &mut *staged.staged, stream: self.index };
        let Some((rewrite, maps)) = staged.ids.rewriting(self.index) else {
            let mut moved = self.engine.move_rows(self.pair, memory, source, &mut sink, &selection).await?;
            let large = std::mem::take(&mut moved.large);
            self.take(moved)?;
            return self.move_large(&large, source, dest, &mut sink).await;
        };
        let mut mapping = MappingSink { inner: &mut sink, rewrite, maps, pair: self.pair, refused: Vec::new() };
        let mut moved = self.engine.move_rows(self.pair, memory, source, &mut mapping, &selection).await?;
        let large = std::mem::take(&mut moved.large);
        self.move_large(&large, source, dest, &mut mapping).await?;
        let refused = std::mem::take(&mut mapping.refused);
        self.take(moved)?;
        self.result.parked.extend(refused);
        crate::moving::refuse_too_many(self.pair, self.result.parked.len())?;
        self.refuse_when_strict()
    }

    pub(crate) fn take(&mut self, moved: Moved) -> Result<()> {
        self.result.fetched += moved.fetched;
        self.result.parked.extend(moved.parked);
        self.result.after_last += moved.after_last;
        self.result.without_cursor += moved.without_cursor;
        // Rows that are read again by key, after those of the window, may be older.
        if let Some(new) = moved.cursor_max
            && self.result.cursor_max.as_ref().is_none_or(|max| crate::cursor::is_after(new.view(), max.view()))
        {
            self.result.cursor_max = Some(new);
        }
        crate::moving::refuse_too_many(self.pair, self.result.parked.len())
    }

    /// What the source lacks is looked for in another transaction of this run. Where nothing is to be deleted there is none, and such rows
    /// are counted here.
    fn deletes_later(&self) -> bool {
        self.phase == Phase::Upserts && self.pair.delete.is_some()
    }

    /// Every row; the listing is complete, so what the destination has beyond it was deleted.
    async fn stage_all(
        &mut self,
        dest_rows: u64,
        source: &mut dyn Snapshot,
        dest: &mut dyn Snapshot,
        staged: &mut Landing<'_>,
    ) -> Result<()> {
        if self.phase != Phase::Deletions {
            self.engine.progress.stream_started(&self.pair.stream, "read", self.pair.source.rows_estimate);
            if dest_rows > 0 || !self.move_straight(source, dest, staged).await? {
                let raw = self.raw && self.result.path == WritePath::Load;
                self.move_selected(Vec::new(), raw, source, dest, staged).await?;
            }
            self.result.in_scope = self.result.fetched;
        }
        if dest_rows == 0 || self.deletes_later() {
            return Ok(());
        }
        if self.pair.delete.is_none() && !compare::has_comparable_key(self.pair) {
            let text = format!(
                "stream `{}`: rows that only the destination has were not counted, its keys cannot be compared in SQL",
                self.pair.stream
            );
            self.result.remarks.push(text);
            return Ok(());
        }
        let keys = compare::compare_keys(self.pair, (self.link.from, self.link.to), (&mut *source, &mut *dest)).await?;
        let keyed = self.result.in_scope - self.keyless_records(source).await?.min(self.result.in_scope);
        if self.phase == Phase::Everything && keys.source_rows != keyed {
            let e = syncline_connector::Error::internal(format!(
                "stream `{}`: {} rows read, {} counted in the same snapshot",
                self.pair.stream, keyed, keys.source_rows
            ));
            return Err(e.into());
        }
        self.stage_deletions(keys.extra, keys.dest_rows, keys.source_rows, dest, staged).await
    }

    /// A stream with ids of its own: the keys of the two sides have nothing in common but the map, so every row (or the
    /// window) is read, and deletions follow from the ids that no source record maps to.
    async fn stage_mapped(
        &mut self,
        fresh: bool,
        source: &mut dyn Snapshot,
        dest: &mut dyn Snapshot,
        staged: &mut Landing<'_>,
    ) -> Result<()> {
        if let Some(from) = self.window(source, dest).await? {
            return self.stage_window(from, source, dest, staged).await;
        }
        if self.phase != Phase::Deletions {
            self.engine.progress.stream_started(&self.pair.stream, "read", self.pair.source.rows_estimate);
            self.move_selected(Vec::new(), false, source, dest, staged).await?;
            self.result.in_scope = self.result.fetched;
        }
        if fresh || self.deletes_later() {
            return Ok(());
        }
        let all = self.pair.owns == crate::spec::Owns::Table;
        let rest = self.engine.unmapped_rest(self.pair, self.index, staged.ids, all, source, dest).await?;
        if rest.unknown > 0 && !rest.extra.is_empty() && self.pair.delete.is_some() {
            let reason =
                format!("{} records of the source refer to ids without a mapping: which rows are theirs cannot be told", rest.unknown);
            self.result.held = Some((rest.extra, reason));
        } else {
            self.stage_deletions(rest.extra, rest.dest_rows, rest.source_rows, dest, staged).await?;
        }
        self.result.extra += rest.left_alone;
        Ok(())
    }

    /// Only what differs.
    async fn stage_difference(&mut self, source: &mut dyn Snapshot, dest: &mut dyn Snapshot, staged: &mut Landing<'_>) -> Result<()> {
        // A column that this run adds is in a plan not there yet, and in a run empty: there is nothing to compare it with.
        if self.keeps() || !self.pair.alter.is_empty() {
            return self.stage_all(1, source, dest, staged).await;
        }
        // Digests tell records apart by their key: of two with one key, or of those without, they would show one at most.
        if !self.pair.key_is_unique || self.keyless_records(source).await? > 0 {
            return self.stage_all(1, source, dest, staged).await;
        }
        let choice = compare::choose(self.pair, self.link.from, self.link.to);
        // Rows agreed on before their deletions came would never be looked at for those: the keys say what is to be deleted.
        if choice == Choice::Remembered && (self.phase == Phase::Deletions || !compare::has_exact_key(self.pair)) {
            return self.stage_all(1, source, dest, staged).await;
        }
        self.engine.progress.stream_started(&self.pair.stream, "compare", self.pair.source.rows_estimate);
        let stored = if choice == Choice::Remembered { self.remembered_segments().await? } else { None };
        let lookup = |shape: &str| stored.as_ref().filter(|(s, _)| s == shape).map(|(_, rows)| rows.clone()).unwrap_or_default();
        // Without comparable keys, only the hashes tell what is to be deleted.
        let may_read_all = self.pair.delete.is_none() || compare::has_comparable_key(self.pair);
        let share = self.context.sync.memory / KEYS_SHARE;
        let memory = compare::Memory {
            decided_by: &staged.ids.fingerprint(self.index)?,
            segments: &lookup,
            keys_bytes_max: may_read_all.then_some(share),
        };
        let found = compare::differ(self.pair, choice, (&mut *source, &mut *dest), memory).await?;
        self.result.digest = Some(choice);
        if choice == Choice::Remembered {
            self.result.seen = Some(found.seen);
        }
        if found.everything {
            return self.stage_all(1, source, dest, staged).await;
        }
        if self.phase != Phase::Deletions {
            syncline_connector::fail::passable("diff.fetch")?;
            self.result.in_scope = found.source_rows;
            self.result.equal_by_digest = found.source_rows - found.fetch.len().min(found.source_rows);
            self.move_spooled(&found.fetch, source, dest, staged).await?;
        }
        if self.deletes_later() {
            return Ok(());
        }
        self.stage_deletions(found.extra, found.dest_rows, found.source_rows, dest, staged).await?;
        self.result.extra += found.extra_agreed;
        Ok(())
    }

    /// Records of the source without a key.
    async fn keyless_records(&self, source: &mut dyn Snapshot) -> Result<u64> {
        if !self.pair.key_may_be_null() {
            return Ok(0);
        }
        let mut keyed = self.pair.filter_source.clone();
        keyed.extend(self.pair.key_source.iter().map(|k| Predicate::NotNull(k.clone())));
        let all = source.count(&self.pair.source, &self.pair.filter_source).await?;
        Ok(all - source.count(&self.pair.source, &keyed).await?)
    }

    async fn remembered_segments(&self) -> Result<Option<(String, Vec<SegmentRow>)>> {
        let (sync, scope, stream) = (&self.context.sync.name, self.context.scope, &self.pair.stream);
        let mut tx = self.engine.store.begin().await?;
        let note = tx.load_note(sync, &format!("segments/{scope}/{stream}")).await?;
        let Some(shape) = note else { return Ok(None) };
        let rows = tx.load_segments(sync, scope, stream, &shape).await?;
        tx.commit().await?;
        Ok(Some((shape, rows)))
    }

    /// Moves rows by source key. A key that is gone meanwhile cannot happen: one snapshot serves the whole run.
    pub(crate) async fn move_keys(
        &mut self,
        keys: &RowBatch,
        source: &mut dyn Snapshot,
        dest: &mut dyn Snapshot,
        staged: &mut Landing<'_>,
    ) -> Result<()> {
        for part in key_parts(keys) {
            let filter = vec![Predicate::KeyIn { columns: self.pair.key_source.clone(), keys: part }];
            self.move_selected(filter, false, source, dest, staged).await?;
        }
        Ok(())
    }

    async fn move_spooled(
        &mut self,
        keys: &RowSpool,
        source: &mut dyn Snapshot,
        dest: &mut dyn Snapshot,
        staged: &mut Landing<'_>,
    ) -> Result<()> {
        for part in keys.parts() {
            let filter = vec![Predicate::KeyIn { columns: self.pair.key_source.clone(), keys: part? }];
            self.move_selected(filter, false, source, dest, staged).await?;
        }
        Ok(())
    }

    /// One record by its source key: moved when it is there, deleted as the policy says when it is not.
    async fn stage_one_record(
        &mut self,
        text: &str,
        source: &mut dyn Snapshot,
        dest: &mut dyn Snapshot,
        staged: &mut Landing<'_>,
    ) -> Result<()> {
        let key = self.parse_key(text)?;
        let mut keys = RowBatch::new(key.0.len());
        keys.push_row(key.0.iter().map(Value::view));
        if self.phase != Phase::Deletions {
            self.move_keys(&keys, source, dest, staged).await?;
            self.result.in_scope = self.result.fetched;
            if self.result.fetched == 0 {
                self.refuse_unknown(&key, &keys, dest, staged).await?;
            }
        }
        self.result.retried.retain(|k| *k == key.to_json());
        if self.phase == Phase::Upserts || self.pair.create.is_some() || self.pair.delete.is_none() {
            return Ok(());
        }
        let mut at_source = self.pair.filter_source.clone();
        at_source.push(Predicate::KeyIn { columns: self.pair.key_source.clone(), keys: keys.clone() });
        if source.count(&self.pair.source, &at_source).await? > 0 {
            return Ok(());
        }
        if let Some(gone) = self.owned_row(&key, keys, dest, staged).await? {
            let mut delete = RowSpool::new(gone.width());
            delete.extend(&gone)?;
            match self.stopped_by_reach(&delete, None, dest).await? {
                Some(reason) => self.result.held = Some((delete, reason)),
                None => {
                    staged.staged.stage_deletes(self.index, &gone).await?;
                    self.result.deletes = delete;
                }
            }
        }
        Ok(())
    }

    /// A key that neither side has is a mistake, and no record that is the same on both.
    async fn refuse_unknown(&mut self, key: &Key, keys: &RowBatch, dest: &mut dyn Snapshot, staged: &mut Landing<'_>) -> Result<()> {
        let pair = self.pair;
        let there = match staged.ids.rewriting(self.index) {
            _ if pair.create.is_some() => None,
            Some(_) => staged.ids.new_key(self.index, pair, key)?,
            None => Some(key.clone()),
        };
        let filter = |key: &Key| {
            let mut keys = RowBatch::new(keys.width());
            keys.push_row(key.0.iter().map(Value::view));
            vec![Predicate::KeyIn { columns: pair.key_dest.clone(), keys }]
        };
        let rows = if let Some(key) = &there { dest.count(&pair.dest, &filter(key)).await? } else { 0 };
        if rows == 0 {
            return Err(EngineError::Config {
                code: "record_missing",
                message: format!("stream `{}`: neither side has a record with key {key}, or the stream leaves it out", pair.stream),
                hint: Some(format!("the key is ({}), with the values that it has at the source", pair.key_source.join(", "))),
            });
        }
        if pair.delete.is_none() {
            let text =
                format!("stream `{}`: the source has no record {key}; the row at the destination stays (`deletes: ignore`)", pair.stream);
            self.result.remarks.push(text);
        }
        Ok(())
    }

    /// The destination's key of a record that the source no longer has, if there is such a row and it is this stream's to delete.
    async fn owned_row(&self, key: &Key, keys: RowBatch, dest: &mut dyn Snapshot, staged: &mut Landing<'_>) -> Result<Option<RowBatch>> {
        let there = if compare::has_rewritten_key(self.pair) {
            let Some(new) = staged.ids.new_key(self.index, self.pair, key)? else { return Ok(None) };
            let mut ids = RowBatch::new(new.0.len());
            ids.push_row(new.0.iter().map(Value::view));
            ids
        } else if self.pair.owns == crate::spec::Owns::Table {
            keys
        } else {
            return Ok(None);
        };
        let mut filter = self.pair.filter_dest.clone();
        filter.push(Predicate::KeyIn { columns: self.pair.key_dest.clone(), keys: there.clone() });
        Ok((dest.count(&self.pair.dest, &filter).await? > 0).then_some(there))
    }

    /// Records by source key, as JSON: parked ones tried again, differences repaired.
    async fn stage_records(
        &mut self,
        list: Vec<String>,
        source: &mut dyn Snapshot,
        dest: &mut dyn Snapshot,
        staged: &mut Landing<'_>,
    ) -> Result<()> {
        self.result.retried.retain(|k| list.contains(k));
        if self.phase == Phase::Deletions {
            return Ok(());
        }
        let keys = self.keys_from_json(&list);
        if !keys.is_empty() {
            self.move_keys(&keys, source, dest, staged).await?;
        }
        self.result.in_scope = self.result.fetched;
        Ok(())
    }

    pub(crate) fn keys_from_json(&self, list: &[String]) -> RowBatch {
        let mut keys = RowBatch::new(self.pair.key_at.len());
        for key in list.iter().filter_map(|k| Key::from_json(k)).filter(|k| k.0.len() == self.pair.key_at.len()) {
            keys.push_row(key.0.iter().map(Value::view));
        }
        keys
    }

    fn parse_key(&self, text: &str) -> Result<Key> {
        let columns: Vec<_> = self.pair.key_source.iter().filter_map(|k| self.pair.source.column(k)).collect();
        let parts: Vec<&str> = if columns.len() == 1 { vec![text] } else { text.split(',').map(str::trim).collect() };
        let bad = |why: String| EngineError::Config {
            code: "key_invalid",
            message: format!("stream `{}`: `{text}` is no key: {why}", self.pair.stream),
            hint: Some(format!("the key is ({})", self.pair.key_source.join(", "))),
        };
        if parts.len() != columns.len() {
            return Err(bad(format!("it has {} parts, the key has {}", parts.len(), columns.len())));
        }
        let value = |(part, column): (&&str, &&syncline_model::Column)| {
            key_value(part, &column.logical).ok_or_else(|| bad(format!("`{part}` does not fit `{}`", column.name)))
        };
        parts.iter().zip(&columns).map(value).collect::<Result<Vec<_>>>().map(Key)
    }

    async fn stage_deletions(
        &mut self,
        extra: RowSpool,
        owned: u64,
        source_rows: u64,
        dest: &mut dyn Snapshot,
        staged: &mut Landing<'_>,
    ) -> Result<()> {
        let approved = self.context.options.approve_deletes;
        let decision = deletions::decide(self.pair, extra, owned, source_rows, approved);
        self.result.extra = decision.extra;
        self.result.held = decision.held;
        let mut delete = decision.delete;
        if let Some(reason) = self.stopped_by_reach(&delete, Some((owned, source_rows)), dest).await? {
            self.result.held = Some((std::mem::replace(&mut delete, RowSpool::new(self.pair.key_at.len())), reason));
        }
        delete = self.decide_deletions(delete, dest).await?;
        for part in delete.parts() {
            staged.staged.stage_deletes(self.index, &part?).await?;
        }
        self.result.deletes = delete;
        Ok(())
    }

    /// Why rows that would go along forbid these deletions. `counts`: rows owned and rows at the source, for the guard.
    pub(crate) async fn stopped_by_reach(
        &mut self,
        delete: &RowSpool,
        counts: Option<(u64, u64)>,
        dest: &mut dyn Snapshot,
    ) -> Result<Option<String>> {
        let reached = reach::reached(self.pair, self.ours, delete, self.link.dest_catalog, dest).await?;
        self.result.cascades.clone_from(&reached.tables);
        if reached.unseen && !self.pair.policy.cascade_allow {
            let table = &self.pair.dest.name;
            return Ok(Some(format!(
                "the destination's user sees foreign keys only of tables that it has rights on, so which rows of others would go along with \
                 those of `{table}` is unknown; GRANT REFERENCES ON the whole database to it, or accept it with `cascade: allow`"
            )));
        }
        if reached.rows == 0 {
            return Ok(None);
        }
        let tables = reached.tables.join("; ");
        if !self.pair.policy.cascade_allow {
            return Ok(Some(format!("{tables}; allow it with `cascade: allow`")));
        }
        // Rows that go along count like the rows that were asked for (R8).
        let rows = delete.len() + reached.rows;
        let guarded = counts.filter(|_| !self.context.options.approve_deletes);
        let trips = guarded.and_then(|(owned, source)| deletions::trips(&self.pair.policy.guard, rows, owned, source));
        if trips.is_none() {
            self.result.going_along.clone_from(&reached.tables);
        }
        Ok(trips.map(|reason| format!("{reason}; {tables}")))
    }
}

/// Keys in lists that one read takes.
pub(crate) fn key_parts(keys: &RowBatch) -> impl Iterator<Item = RowBatch> {
    parts_of(keys, KEYS_PER_READ)
}

/// Rows, so many at a time.
pub(crate) fn parts_of(keys: &RowBatch, rows: usize) -> impl Iterator<Item = RowBatch> {
    (0..keys.len()).step_by(rows).map(move |start| {
        let mut part = RowBatch::new(keys.width());
        for i in start..keys.len().min(start + rows) {
            let row = keys.row(i);
            (0..keys.width()).for_each(|c| part.push_encoded(row.encoded(c)));
        }
        part
    })
}

/// A key part as the user typed it.
fn key_value(text: &str, logical: &LogicalType) -> Option<Value> {
    use syncline_model::civil;
    Some(match logical {
        LogicalType::Int { unsigned: true, bits: 64 } => Value::U64(text.parse().ok()?),
        LogicalType::Int { .. } | LogicalType::Year => Value::I64(text.parse().ok()?),
        LogicalType::Bool => Value::Bool(text.parse().ok()?),
        LogicalType::Uuid => Value::Uuid(civil::parse_uuid(text)?),
        LogicalType::Date => Value::Date(civil::parse_date(text)?),
        LogicalType::Timestamp { .. } => Value::Timestamp(civil::parse_timestamp(text)?),
        LogicalType::TimestampTz { .. } => Value::TimestampTz(civil::parse_timestamptz(text)?),
        LogicalType::Decimal { .. } => Value::Decimal(syncline_model::decimal::normal(text)?.into_owned()),
        LogicalType::Any => text.parse().map_or_else(|_| Value::Text(text.to_owned()), Value::I64),
        _ => Value::Text(text.to_owned()),
    })
}

/// Rows into the staged run.
pub(crate) struct StagedSink<'s> {
    pub staged: &'s mut dyn StagedRun,
    pub stream: usize,
}

#[async_trait]
impl Sink for StagedSink<'_> {
    async fn rows(&mut self, rows: &RowBatch) -> Result<Vec<Reject>> {
        Ok(self.staged.stage(self.stream, rows).await?)
    }

    async fn large(&mut self, row: &RowBatch, fields: &mut dyn LargeFields) -> Result<Option<Reject>> {
        Ok(self.staged.stage_large(self.stream, row, fields).await?)
    }

    async fn raw(&mut self, chunk: RawChunk) -> Result<()> {
        Ok(self.staged.stage_raw(self.stream, chunk).await?)
    }
}
