//! A first load in parts (R18): a table that the sync makes, with more rows than one transaction should hold, is filled range by range
//! under another name. Each range is committed and written down, so that a killed run keeps what landed. What was kept is compared
//! with the new snapshot before anything is added to it. See `docs/specs/first-load.md`.

use serde::{Deserialize, Serialize};
use syncline_connector::{
    CommitFate, Error, ErrorKind, InParts, LoadDdl, Marker, NewTable, Predicate, RunSpec, Snapshot, StreamWrite, TableDdl, WritePath, fail,
};
use syncline_model::{Engine as System, Key, LogicalType, RowBatch, Table, TableName, Value};

use crate::batch::commit_or_ask;
use crate::compare;
use crate::engine::{Engine, EngineError, Result};
use crate::large::Slicer;
use crate::link::Link;
use crate::moving::{Moved, Selection};
use crate::pairing::Pair;
use crate::pipeline::{RunContext, stream_write, takes_raw};
use crate::settle::Settlement;
use crate::spec::{Atomic, Edits, Mode};
use crate::spill::RowSpool;
use crate::stream_run::StagedSink;

/// Rows above which a first load is made in parts, where the user says nothing: below, one transaction takes seconds and is
/// simply made again.
const RESUME_ABOVE: u64 = 5_000_000;
/// Parts of a load just above the limit: a killed run loses a tenth of it at most.
const PARTS: u64 = 10;
/// Rows of a part at most: some seconds of work.
const PART_ROWS_MAX: u64 = 500_000;
/// What the name of a table ends in while it is filled.
const SUFFIX: &str = "__syncline_load";

/// The rows of a load that is in its table, but for keys and name.
#[derive(Clone, Debug)]
pub struct FirstLoad {
    /// Rows in the table.
    pub rows: u64,
    /// Rows of earlier runs among them, each proved equal to the source.
    pub kept: u64,
    /// What this run read.
    pub moved: Moved,
    /// What gives the table its name and keys.
    pub place: TableDdl,
    /// The load table, with the keys that an earlier run has added.
    pub there: Table,
}

impl FirstLoad {
    /// What a run that went on from another one says.
    #[must_use]
    pub fn remark(&self, stream: &str) -> Option<String> {
        let (kept, read) = (self.kept, self.moved.fetched);
        (kept > 0)
            .then(|| format!("stream `{stream}`: {kept} rows loaded by an earlier run were found equal and kept, {read} rows were read"))
    }
}

/// What the state remembers of a load under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Record {
    /// What rows were made by: columns, filters, expressions, DDL. Another shape, and nothing of it can be kept.
    shape: String,
    /// The identity of the load table, where the system has one; known once a part has landed.
    incarnation: Option<String>,
    /// The comment that the load table bears until it has its name, where its DDL commits by itself.
    #[serde(default)]
    mark: Option<String>,
    /// The last key that landed.
    upto: Option<String>,
    /// Parts that landed.
    parts: u64,
    /// What was about to be committed.
    pending: Option<Pending>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pending {
    upto: Option<String>,
    marker: Marker,
    token: Option<String>,
}

/// The name of a table while it is filled.
#[must_use]
pub fn load_table(table: &TableName) -> TableName {
    let whole = format!("{}{SUFFIX}", table.name);
    let name = if crate::create::is_short(&whole) {
        whole
    } else {
        // Two long names must stay two.
        let hash = xxhash_rust::xxh3::xxh3_64(table.name.as_bytes()) >> 32;
        crate::create::cut_name(&table.name, &format!("_{hash:08x}{SUFFIX}"))
    };
    TableName { schema: table.schema.clone(), name }
}

/// A table that some sync is still filling.
#[must_use]
pub fn is_load_table(name: &TableName) -> bool {
    name.name.ends_with(SUFFIX)
}

fn note_name(scope: &str, stream: &str) -> String {
    format!("first_load/{scope}/{stream}")
}

impl Engine {
    /// Fills the tables of those streams whose first load is made in parts. Afterwards `pair.first_load` says what is there.
    pub(crate) async fn load_in_parts(
        &self,
        context: &RunContext<'_>,
        link: &mut Link,
        pairs: &mut [Pair],
        source: &mut dyn Snapshot,
        settlement: &mut Settlement,
    ) -> Result<()> {
        for pair in pairs {
            let record = self.load_record(context, pair).await?;
            if !can_be_resumed(context, link, pair) || (record.is_none() && !is_large(link, pair, source).await?) {
                self.give_up(context, link, pair, record).await?;
                continue;
            }
            let mut load = Load::new(self, context, link, pair);
            load.open(link, record).await?;
            if load.there.is_some() {
                load.go_on(link, source).await?;
            }
            load.fill(link, source).await?;
            let Some(there) = load.there.clone() else {
                // The source has become empty before a first part: the table is made as any other.
                self.save_load_record(context, pair, None).await?;
                continue;
            };
            refuse_miscount(pair, load.kept + load.moved.fetched, source).await?;
            let LoadDdl { place, comment, .. } = ddl(link, pair, None);
            settlement.notes.push((note_name(context.scope, &pair.stream), String::new()));
            if let Some(mark) = load.record.mark {
                settlement.naming.wait(&pair.dest.name, mark, comment);
            }
            pair.first_load = Some(FirstLoad { rows: load.kept + load.landed, kept: load.kept, moved: load.moved, place, there });
        }
        Ok(())
    }

    /// Takes off the foreign keys that an earlier run added to its load tables before it died: rows of them come and go again.
    pub(crate) async fn untie_loads(&self, context: &RunContext<'_>, link: &mut Link, pairs: &[Pair]) -> Result<()> {
        let mut statements = Vec::new();
        for pair in pairs {
            let Some(record) = self.load_record(context, pair).await? else { continue };
            let Some(there) = link.dest_catalog.table(&load_table(&pair.dest.name)).filter(|t| is_known(t, &record)) else { continue };
            let tied = Table { uniques: Vec::new(), indexes: Vec::new(), ..there.clone() };
            statements.extend(link.to.unkey_ddl(&tied));
        }
        if !statements.is_empty() {
            link.dest.prepare(&statements).await?;
            link.dest_catalog = link.dest.discover().await?;
        }
        Ok(())
    }

    async fn load_record(&self, context: &RunContext<'_>, pair: &Pair) -> Result<Option<Record>> {
        let name = note_name(context.scope, &pair.stream);
        let mut tx = self.store.begin().await?;
        let note = tx.load_note(&context.sync.name, &name).await?;
        tx.commit().await?;
        let Some(text) = note.filter(|n| !n.is_empty()) else { return Ok(None) };
        let damaged = |_| syncline_store::StoreError::Corrupt { message: format!("note `{name}` does not parse") };
        Ok(Some(serde_json::from_str(&text).map_err(damaged)?))
    }

    async fn save_load_record(&self, context: &RunContext<'_>, pair: &Pair, record: Option<&Record>) -> Result<()> {
        let text = record.map_or_else(String::new, |r| serde_json::to_string(r).expect("invariant: names and numbers serialise"));
        let mut tx = self.store.begin().await?;
        self.hold(&mut *tx, context.run).await?;
        tx.save_note(&context.sync.name, &note_name(context.scope, &pair.stream), &text).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A load under way that this run does not go on with: the table is there by now, or the stream is loaded another way.
    async fn give_up(&self, context: &RunContext<'_>, link: &mut Link, pair: &Pair, record: Option<Record>) -> Result<()> {
        let Some(record) = record else { return Ok(()) };
        // A run that is asked for single records has no say in what becomes of a load.
        if !asks_for_all(context) {
            return Ok(());
        }
        let name = load_table(&pair.dest.name);
        if let Some(there) = link.dest_catalog.table(&name).cloned() {
            if record.upto.is_some() && is_known(&there, &record) {
                tracing::warn!(stream = %pair.stream, table = %name, "a first load under way is thrown away");
                self.drop_table(link, &name).await?;
            } else {
                tracing::warn!(stream = %pair.stream, table = %name, "a first load is given up; whose table this is nobody can tell, so it stays");
            }
        }
        self.save_load_record(context, pair, None).await
    }

    async fn drop_table(&self, link: &mut Link, name: &TableName) -> Result<()> {
        link.dest.prepare(&drop_statements(link, name)).await?;
        link.dest_catalog = link.dest.discover().await?;
        Ok(())
    }
}

/// How a part lands.
struct Landing {
    raw: bool,
    path: WritePath,
    /// The last key that has landed with it.
    upto: Option<String>,
}

/// A load under way.
struct Load<'a> {
    engine: &'a Engine,
    context: &'a RunContext<'a>,
    pair: &'a Pair,
    name: TableName,
    record: Record,
    /// The load table, where it holds parts already.
    there: Option<Table>,
    kept: u64,
    landed: u64,
    moved: Moved,
    steps: u64,
}

impl<'a> Load<'a> {
    fn new(engine: &'a Engine, context: &'a RunContext<'a>, link: &Link, pair: &'a Pair) -> Self {
        let mark = (!link.dest.capabilities().transactional_ddl).then(|| format!("syncline first load {}", context.run.id));
        let record = Record { shape: shape(pair, &ddl(link, pair, None).bare), mark, ..Record::default() };
        let name = load_table(&pair.dest.name);
        Self { engine, context, pair, name, record, there: None, kept: 0, landed: 0, moved: Moved::default(), steps: 0 }
    }

    /// Decides what of an earlier run can be gone on from, and writes down that there is a load.
    async fn open(&mut self, link: &mut Link, record: Option<Record>) -> Result<()> {
        let there = link.dest_catalog.table(&self.name).cloned();
        match (record, there) {
            (None, Some(table)) => return Err(foreign(&table.name)),
            (Some(record), Some(table)) => self.take_up(link, record, table).await?,
            (Some(record), None) if record.upto.is_some() => self.say("the load table of an earlier run is gone; the load starts again"),
            (_, None) => {}
        }
        self.engine.save_load_record(self.context, self.pair, Some(&self.record)).await?;
        Ok(fail::passable("load.record")?)
    }

    async fn take_up(&mut self, link: &mut Link, mut record: Record, table: Table) -> Result<()> {
        if !is_known(&table, &record) {
            return Err(foreign(&table.name));
        }
        // A mark tells more than the fate of a commit: what bears it is ours, whatever is in it.
        let is_marked = record.mark.is_some();
        if let Some(pending) = record.pending.take() {
            match link.dest.fate(&pending.marker, pending.token.as_deref()).await? {
                CommitFate::Committed => {
                    record.upto = pending.upto;
                    record.parts += 1;
                }
                CommitFate::RolledBack => {}
                CommitFate::Unknown if record.upto.is_some() || is_marked => {
                    self.say("nobody can tell whether the last part of the load was committed; the load starts again");
                    return self.engine.drop_table(link, &self.name).await;
                }
                CommitFate::Unknown => return Err(foreign(&table.name)),
            }
        }
        if record.upto.is_none() {
            // Made, and nothing of a part in it: DDL that commits by itself went ahead.
            return if is_marked { self.engine.drop_table(link, &self.name).await } else { Err(foreign(&table.name)) };
        }
        if record.shape != self.record.shape {
            self.say("columns, filters or fields changed since the load began; it starts again");
            return self.engine.drop_table(link, &self.name).await;
        }
        record.incarnation = record.incarnation.or_else(|| table.incarnation.clone());
        self.record = record;
        self.there = Some(table);
        Ok(())
    }

    fn say(&self, what: &str) {
        tracing::warn!(stream = %self.pair.stream, table = %self.name, "{what}");
    }

    fn frontier(&self) -> Option<Vec<Value>> {
        self.record.upto.as_deref().and_then(Key::from_json).map(|k| k.0)
    }

    /// What landed under an older snapshot is compared with the new one; rows that differ are taken out and read again, rows that
    /// are gone are taken out.
    async fn go_on(&mut self, link: &mut Link, source: &mut dyn Snapshot) -> Result<()> {
        let (Some(there), Some(key)) = (self.there.clone(), self.frontier()) else {
            return Err(Error::internal("a load with parts has no last key").into());
        };
        fail::passable("load.compare")?;
        self.engine.progress.stream_started(&self.pair.stream, "compare", self.pair.source.rows_estimate);
        let mut landed = self.pair.clone();
        landed.dest = Table { name: there.name.clone(), ..there };
        let columns = self.pair.key_source.clone();
        landed.filter_source.push(Predicate::UpTo { columns, key });
        landed.filter_dest = Vec::new();
        let choice = choose(&landed, link);
        if !choice.is_comparable() {
            return self.read_again(link, source, &landed).await;
        }
        // Nothing but the sync writes to a load table: what a run leaves out of its comparisons is compared here.
        landed.compared = vec![true; landed.columns.len()];
        let mut dest = link.dest.snapshot().await?;
        let found = compare::differ(&landed, choice, (&mut *source, &mut *dest), compare::Memory::none()).await?;
        dest.close().await?;
        self.kept = found.source_rows - found.fetch.len().min(found.source_rows);
        tracing::info!(stream = %self.pair.stream, kept = self.kept, changed = found.fetch.len(), gone = found.extra.len(), "first load goes on");
        if found.fetch.is_empty() && found.extra.is_empty() {
            return Ok(());
        }
        fail::passable("load.repair")?;
        self.take_out(link, found.fetch.parts().chain(found.extra.parts())).await?;
        self.bring_in(link, source, &found.fetch).await
    }

    /// What SQL cannot compare is read again and staged, so that rows that are equal are not written again. Rows that the source does not
    /// have any more are found by their keys.
    async fn read_again(&mut self, link: &mut Link, source: &mut dyn Snapshot, landed: &Pair) -> Result<()> {
        let mut dest = link.dest.snapshot().await?;
        let ends = (link.source.capabilities(), link.dest.capabilities());
        let keys = compare::compare_keys(landed, ends, (&mut *source, &mut *dest)).await?;
        dest.close().await?;
        fail::passable("load.repair")?;
        if !keys.extra.is_empty() {
            self.take_out(link, keys.extra.parts()).await?;
        }
        let (upto, rows) = (self.record.upto.clone(), part_rows(link, self.pair));
        let mut after: Option<Predicate> = None;
        loop {
            let columns = || self.pair.key_source.clone();
            let mut rest = landed.filter_source.clone();
            rest.extend(after.clone());
            let Some(key) = source.key_after(&self.pair.source, &columns(), &rest, rows).await? else { break };
            let next = Predicate::After { columns: columns(), key: key.clone() };
            if after.as_ref() == Some(&next) {
                return Err(self.disorder());
            }
            let range = after.replace(next).into_iter().chain([Predicate::UpTo { columns: columns(), key }]).collect();
            self.take_keys_off(link).await?;
            self.land(link, source, range, Landing { raw: false, path: WritePath::Stage, upto: upto.clone() }).await?;
        }
        // A row that was good when it landed and is set aside now is still there.
        let mut dest = link.dest.snapshot().await?;
        let there = dest.count(&Table { name: self.name.clone(), ..landed.dest.clone() }, &[]).await?;
        dest.close().await?;
        if there == self.landed {
            return Ok(());
        }
        self.say("rows that landed are to be set aside now; the load starts again");
        self.engine.drop_table(link, &self.name).await?;
        (self.there, self.landed, self.moved, self.record.upto) = (None, 0, Moved::default(), None);
        self.engine.save_load_record(self.context, self.pair, Some(&self.record)).await
    }

    /// Takes rows out of the load table. Killed before they are brought in again, the next run finds them missing.
    async fn take_out(&mut self, link: &mut Link, keys: impl Iterator<Item = Result<RowBatch>>) -> Result<()> {
        self.take_keys_off(link).await?;
        let spec = self.spec(StreamWrite { create: None, ..self.write(WritePath::Part) });
        let mut staged = link.dest.begin(spec.clone()).await?;
        for keys in keys {
            staged.stage_deletes(0, &keys?).await?;
        }
        let applied = staged.apply().await?;
        self.engine.save_load_record(self.context, self.pair, Some(&self.record)).await?;
        Ok(commit_or_ask(&mut *link.dest, &mut *staged, &spec, applied.token.as_deref()).await?)
    }

    async fn bring_in(&mut self, link: &mut Link, source: &mut dyn Snapshot, keys: &RowSpool) -> Result<()> {
        let (upto, path) = (self.record.upto.clone(), self.path(link));
        for part in keys.parts() {
            let filter = vec![Predicate::KeyIn { columns: self.pair.key_source.clone(), keys: part? }];
            self.land(link, source, filter, Landing { raw: false, path, upto: upto.clone() }).await?;
        }
        Ok(())
    }

    /// Where DDL commits by itself rows go through staging, which knows how to set aside what the table refuses; and where a stamp is set,
    /// which the statement does that writes the row.
    fn path(&self, link: &Link) -> WritePath {
        let straight = link.dest.capabilities().transactional_ddl && self.pair.policy.options.stamp.is_none();
        if straight { WritePath::Part } else { WritePath::Stage }
    }

    fn disorder(&self) -> EngineError {
        Error::internal(format!("stream `{}`: the order of its keys cannot be relied on", self.pair.stream)).into()
    }

    /// Keys that an earlier run added before it died are in the way of rows: what they refuse is to be seen when all rows are in.
    async fn take_keys_off(&mut self, link: &mut Link) -> Result<()> {
        let Some(there) = &mut self.there else { return Ok(()) };
        let statements = link.to.unkey_ddl(there);
        if !statements.is_empty() {
            link.dest.prepare(&statements).await?;
            (there.uniques, there.foreign_keys, there.indexes) = (Vec::new(), Vec::new(), Vec::new());
        }
        Ok(())
    }

    /// The ranges that have not landed yet, each of about as many rows.
    async fn fill(&mut self, link: &mut Link, source: &mut dyn Snapshot) -> Result<()> {
        self.engine.progress.stream_started(&self.pair.stream, "read", self.pair.source.rows_estimate);
        let rows = part_rows(link, self.pair);
        let path = self.path(link);
        let raw = path == WritePath::Part && takes_raw(link, self.pair) && self.watch().is_none();
        loop {
            let columns = || self.pair.key_source.clone();
            let after = self.frontier().map(|key| Predicate::After { columns: columns(), key });
            let mut rest = self.pair.filter_source.clone();
            rest.extend(after.clone());
            let Some(key) = source.key_after(&self.pair.source, &columns(), &rest, rows).await? else { return Ok(()) };
            let upto = Key(key.clone()).to_json();
            if self.record.upto.as_ref() == Some(&upto) || key.iter().any(Value::is_null) {
                return Err(self.disorder());
            }
            fail::passable("load.range")?;
            self.take_keys_off(link).await?;
            let filter = after.into_iter().chain([Predicate::UpTo { columns: columns(), key }]).collect();
            self.land(link, source, filter, Landing { raw, path, upto: Some(upto) }).await?;
            if self.engine.interrupt.asked() {
                return Err(EngineError::Interrupted);
            }
        }
    }

    fn watch(&self) -> Option<crate::moving::Watch> {
        let mode = self.context.options.mode.unwrap_or(self.pair.policy.mode);
        let cursor = self.pair.policy.options.cursor.as_ref().filter(|_| mode == Mode::Incremental)?;
        let column = self.pair.reads.iter().position(|r| r == cursor)?;
        Some(crate::moving::Watch { column, last: None })
    }

    /// One part: its rows, committed, and written down before and after.
    async fn land(
        &mut self,
        link: &mut Link,
        source: &mut dyn Snapshot,
        filter: Vec<Predicate>,
        Landing { raw, path, upto }: Landing,
    ) -> Result<()> {
        let first = self.there.is_none();
        let create = first.then(|| ddl(link, self.pair, self.record.mark.clone()).bare);
        let write = StreamWrite { create, ..self.write(path) };
        let spec = self.spec(write);
        let mut staged = link.dest.begin(spec.clone()).await?;
        let selection = Selection { filter, raw, watch: self.watch(), strict: true };
        let mut sink = StagedSink { staged: &mut *staged, stream: 0 };
        let memory = self.context.sync.memory;
        let mut moved = self.engine.move_rows(self.pair, memory, source, &mut sink, &selection).await?;
        let (from, to) = (link.source.capabilities(), link.dest.capabilities());
        let slicer = Slicer { engine: self.engine, pair: self.pair, memory, from, to };
        let sliced = slicer.run(&std::mem::take(&mut moved.large), source, None, &mut sink).await?;
        moved.parked.extend(sliced.parked);
        let applied = staged.apply().await?;
        for outcome in applied.outcomes {
            self.landed += outcome.created + outcome.updated + outcome.unchanged;
            moved.parked.extend(outcome.rejects.into_iter().map(|r| crate::moving::parked(self.pair, r)));
        }
        crate::account::refuse_when_strict(self.pair, &moved.parked)?;
        self.record.pending = Some(Pending { upto: upto.clone(), marker: spec.marker.clone(), token: applied.token.clone() });
        self.engine.save_load_record(self.context, self.pair, Some(&self.record)).await?;
        fail::passable("load.commit")?;
        commit_or_ask(&mut *link.dest, &mut *staged, &spec, applied.token.as_deref()).await?;
        drop(staged);
        fail::passable("load.landed")?;
        // Cursors of rows that were kept are not looked at: a mark that is too low only reads more.
        self.moved.add(moved);
        self.record.pending = None;
        self.record.upto = upto;
        self.record.parts += 1;
        if first {
            link.dest_catalog = link.dest.discover().await?;
            self.there = link.dest_catalog.table(&self.name).cloned();
            self.record.incarnation = self.there.as_ref().and_then(|t| t.incarnation.clone());
        }
        self.engine.save_load_record(self.context, self.pair, Some(&self.record)).await?;
        let (stream, parts) = (&self.pair.stream, self.record.parts);
        tracing::info!(stream = %stream, parts, read = self.moved.fetched, kept = self.kept, "part of the first load committed");
        Ok(())
    }

    fn write(&self, path: WritePath) -> StreamWrite {
        let bare = Table {
            name: self.name.clone(),
            foreign_keys: Vec::new(),
            uniques: Vec::new(),
            indexes: Vec::new(),
            ..self.there.clone().unwrap_or_else(|| self.pair.dest.clone())
        };
        let write = stream_write(self.pair, path);
        let compare = write.columns.iter().filter(|c| !write.key.contains(c)).cloned().collect();
        StreamWrite { table: bare, compare, in_parts: InParts::Filling, expects: false, referenced_by: Vec::new(), ..write }
    }

    fn spec(&mut self, write: StreamWrite) -> RunSpec {
        self.steps += 1;
        let marker = Marker {
            sync: self.context.sync.name.clone(),
            scope: self.context.scope.to_owned(),
            stream: format!("{} first load", self.pair.stream),
            run: self.context.run.id.clone(),
            step: self.steps,
        };
        let write = StreamWrite { deletes: syncline_connector::DeleteAction::Remove, ..write };
        RunSpec { marker, streams: vec![write], undo_rows_max: 0, forget: Vec::new() }
    }
}

/// What makes the load table, with a comment that tells whose it is, and what makes it the table itself.
fn ddl(link: &Link, pair: &Pair, mark: Option<String>) -> LoadDdl {
    let Some(new) = &pair.new_table else { return LoadDdl::default() };
    let name = load_table(&new.name);
    match mark {
        None => link.to.load_ddl(new, &name),
        Some(mark) => link.to.load_ddl(&NewTable { comment: Some(mark), ..new.clone() }, &name),
    }
}

/// What drops a table.
pub(crate) fn drop_statements(link: &Link, name: &TableName) -> Vec<String> {
    let new = syncline_connector::NewTable {
        name: name.clone(),
        columns: Vec::new(),
        primary_key: Vec::new(),
        uniques: Vec::new(),
        foreign_keys: Vec::new(),
        indexes: Vec::new(),
        comment: None,
    };
    link.to.load_ddl(&new, name).bare.drop
}

/// How rows of a load table are compared with the source: in all of their columns.
fn choose(pair: &Pair, link: &Link) -> compare::Choice {
    let whole = Pair { compared: vec![true; pair.columns.len()], ..pair.clone() };
    compare::choose(&whole, link.source.capabilities(), link.dest.capabilities())
}

fn asks_for_all(context: &RunContext<'_>) -> bool {
    let o = context.options;
    o.key.is_none() && o.keys.is_none() && o.plan.is_none()
}

/// Whether the stream can be loaded in parts: what landed has to be comparable with the source, by a key with an order of its own.
fn can_be_resumed(context: &RunContext<'_>, link: &Link, pair: &Pair) -> bool {
    let has_order = |name: &String| pair.source.column(name).is_some_and(|c| !c.nullable && is_ordered(&c.logical, link.from.engine()));
    asks_for_all(context)
        && pair.create.is_some()
        && context.sync.atomic != Atomic::Batch
        && pair.key_is_unique
        && pair.key_source.iter().all(has_order)
        && !pair.maps_ids()
        && pair.policy.edits == Edits::Overwrite
        // What landed is compared by digest; or read again, when what the source lacks is still to be found by its key.
        && (choose(pair, link).is_comparable() || compare::has_comparable_key(pair))
}

/// Types whose `ORDER BY` and `>` mean the same order. Enums are sorted by position and compared by name, floats have values that
/// are not equal to themselves; a SQLite file keeps decimals and instants as text, sorted by spelling.
fn is_ordered(logical: &LogicalType, system: System) -> bool {
    match logical {
        LogicalType::Int { .. } | LogicalType::Year | LogicalType::Text { .. } | LogicalType::Uuid | LogicalType::Bytes { .. } => true,
        LogicalType::Decimal { .. } | LogicalType::Date | LogicalType::Timestamp { .. } | LogicalType::TimestampTz { .. } => {
            system != System::Sqlite
        }
        _ => false,
    }
}

/// Rows that one transaction may load: what the user says, and no more than the host allows.
fn resume_above(link: &Link, pair: &Pair) -> u64 {
    let most = link.dest.capabilities().transaction_rows_max.unwrap_or(u64::MAX);
    pair.policy.options.resume_above.unwrap_or(RESUME_ABOVE).min(most)
}

fn part_rows(link: &Link, pair: &Pair) -> u64 {
    (resume_above(link, pair) / PARTS).clamp(1, PART_ROWS_MAX)
}

/// More rows than one transaction should hold. An estimate far below spares the count.
async fn is_large(link: &Link, pair: &Pair, source: &mut dyn Snapshot) -> Result<bool> {
    let limit = resume_above(link, pair);
    if pair.source.rows_estimate.is_some_and(|n| n > 0 && n < limit / 2) {
        return Ok(false);
    }
    Ok(source.count(&pair.source, &pair.filter_source).await? > limit)
}

/// Every row of the source in scope was kept or read, once.
async fn refuse_miscount(pair: &Pair, seen: u64, source: &mut dyn Snapshot) -> Result<()> {
    let rows = source.count(&pair.source, &pair.filter_source).await?;
    if rows == seen {
        return Ok(());
    }
    Err(Error::internal(format!("stream `{}`: {seen} rows loaded in parts, {rows} counted in the same snapshot", pair.stream)).into())
}

fn shape(pair: &Pair, ddl: &TableDdl) -> String {
    let columns: Vec<_> = pair.source.columns.iter().map(|c| (&c.name, &c.native, c.nullable)).collect();
    let o = &pair.policy.options;
    let made_of = (&pair.source.name, &pair.source.incarnation, columns, &pair.reads, &pair.copied_from, &pair.filter_source);
    let text = format!("{made_of:?}|{:?}|{:?}|{:?}|{:?}", pair.key_source, o.fields, o.types, ddl.create);
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
}

/// The table is the one that the record is about, as far as the system can tell two of one name apart.
fn is_known(table: &Table, record: &Record) -> bool {
    if let Some(mark) = &record.mark {
        return crate::naming::bears(table, mark);
    }
    match (&record.incarnation, &table.incarnation) {
        (Some(known), Some(now)) => known == now,
        _ => true,
    }
}

fn foreign(name: &TableName) -> EngineError {
    let message = format!("the destination has a table `{name}` that no first load on record made");
    let hint = format!("look at what is in it; if it is left over, drop it (`DROP TABLE {name}`) and run again");
    Error::new(ErrorKind::SchemaMismatch, "load_table_foreign", message).hint(hint).into()
}
