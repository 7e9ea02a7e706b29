//! Streams made concrete: which source table goes to which destination table, column by column, by which key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use syncline_connector::write::Referrer;
use syncline_connector::{Connector, DeleteAction, NewTable, Predicate, TableDdl};
use syncline_model::{Canon, Catalog, Column, Engine, RowBatch, RowRef, Table, TableName, ValueRef};

use crate::chosen;
use crate::condition;
use crate::create;
use crate::engine::{EngineError, Result};
use crate::first_load::FirstLoad;
use crate::policy::Policy;
use crate::report::Drift;
use crate::spec::{Create, DeletePolicy, FieldText, Owns, SchemaChanges, SyncSpec};
use crate::transform::{FieldSource, FieldType, Target, Transform};

/// One side of a sync, as far as pairing needs it.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Its connector.
    pub connector: &'a dyn Connector,
    /// Its tables.
    pub catalog: &'a Catalog,
    /// The schema or database the connection works in.
    pub schema: Option<&'a str>,
}

impl Side<'_> {
    pub(crate) fn engine(&self) -> Engine {
        self.connector.engine()
    }
}

/// A stream, made concrete.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The stream's name.
    pub stream: String,
    /// What was decided.
    pub policy: Policy,
    /// Source table.
    pub source: Table,
    /// Destination table, as it is or as it will be.
    pub dest: Table,
    /// DDL when the run makes the destination table.
    pub create: Option<TableDdl>,
    /// What that DDL makes.
    pub new_table: Option<NewTable>,
    /// What this run and the runs before it put there already.
    pub first_load: Option<FirstLoad>,
    /// `ALTER TABLE` for added columns.
    pub alter: Vec<String>,
    /// What deletions did in the last good run, where that is something else than now.
    pub deletes_before: Option<String>,
    /// Whether it reads a column that the source did not have in the last good run.
    pub has_new_column: bool,
    /// Source columns that are read, in order.
    pub reads: Vec<String>,
    /// Source columns → destination columns.
    pub transform: Arc<Transform>,
    /// Destination columns that are staged, in order.
    pub columns: Vec<Column>,
    /// The source column of each staged column, where it is a plain copy.
    pub copied_from: Vec<Option<String>>,
    /// How each staged column is compared.
    pub canons: Vec<Canon>,
    /// Which staged columns count as a difference.
    pub compared: Vec<bool>,
    /// Key columns at the source, and at the destination in the same order.
    pub key_source: Vec<String>,
    /// Key columns at the destination.
    pub key_dest: Vec<String>,
    /// Positions of the key among the staged columns.
    pub key_at: Vec<usize>,
    /// The key is a primary or unique key of the source.
    pub key_is_unique: bool,
    /// Conditions at the source.
    pub filter_source: Vec<Predicate>,
    /// The same records at the destination, marked ones left out.
    pub filter_dest: Vec<Predicate>,
    /// What deletions touch.
    pub owns: Owns,
    /// Deletions, when the policy makes any.
    pub delete: Option<DeleteAction>,
    /// Foreign keys that point at the destination table.
    pub referenced_by: Vec<Referrer>,
    /// Differences of shape.
    pub drift: Vec<Drift>,
    /// Columns that may not hold every value.
    pub checked: Vec<String>,
    /// Staged columns that hold ids of another stream, with that stream's name (FR-010).
    pub foreign_ids: Vec<(usize, String)>,
}

impl Pair {
    /// Canonical forms of the key columns.
    #[must_use]
    pub fn key_canons(&self) -> Vec<Canon> {
        self.key_at.iter().map(|&i| self.canons[i]).collect()
    }

    /// Every staged column is a plain copy of a source column.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.copied_from.iter().all(Option::is_some) && !self.maps_ids()
    }

    /// Ids are rewritten on the way: its own, or those it refers to.
    #[must_use]
    pub fn maps_ids(&self) -> bool {
        self.policy.options.ids.is_some() || !self.foreign_ids.is_empty()
    }

    /// A record of the source may have no key.
    #[must_use]
    pub fn key_may_be_null(&self) -> bool {
        self.key_source.iter().any(|k| self.source.column(k).is_none_or(|c| c.nullable))
    }

    /// What deletions do, as the state remembers it.
    #[must_use]
    pub fn deletes_said(&self) -> String {
        let owns = match self.owns {
            Owns::Mapped => "mapped",
            Owns::Table => "table",
        };
        format!("deletes: {}, owns: {owns}", self.policy.deletes.name())
    }

    /// Staged columns that the destination has already: in a plan, a column that the run adds is not there to be read. In a run it is, and
    /// is empty.
    #[must_use]
    pub fn columns_there(&self) -> Vec<usize> {
        let added = |name: &str| {
            let is = |d: &&Drift| d.kind == "new_column" && d.column.as_deref() == Some(name);
            !self.alter.is_empty() && self.drift.iter().any(|d| is(&d))
        };
        (0..self.columns.len()).filter(|&c| !added(&self.columns[c].name)).collect()
    }

    /// A row of the columns that are there, as one of all staged columns.
    pub fn widen(&self, row: RowRef<'_>, there: &[usize], out: &mut RowBatch) {
        for c in 0..self.columns.len() {
            match there.iter().position(|&t| t == c) {
                Some(at) => out.push_encoded(row.encoded(at)),
                None => out.push(ValueRef::Null),
            }
        }
    }

    /// The collection key of the state (S3-STATE).
    #[must_use]
    pub fn collection_key(&self) -> String {
        self.policy.options.collection_key.clone().unwrap_or_else(|| self.stream.clone())
    }
}

/// What the state remembers that pairing needs.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// Destination tables that this sync created.
    pub created: BTreeSet<String>,
    /// Columns of each stream's source at the last good run: name → native type.
    pub shapes: BTreeMap<String, BTreeMap<String, String>>,
    /// What deletions did in the last good run, by scope and stream.
    pub deletes: BTreeMap<String, String>,
}

/// The name of a stream's deletions in [`Remembered`].
pub(crate) fn deletes_of(scope: &str, stream: &str) -> String {
    format!("{scope}/{stream}")
}

/// All streams of a sync, in the source catalogue's order. `only` restricts to these names (unknown ones are an error).
///
/// # Errors
/// `Config` or `SchemaMismatch` naming sync, stream and column.
pub fn pair_streams(
    sync: &SyncSpec,
    scope: Option<&str>,
    only: &[String],
    from: Side<'_>,
    to: Side<'_>,
    remembered: &Remembered,
) -> Result<Vec<Pair>> {
    let chosen = chosen::choose(sync, only, from, remembered)?;
    let mut pairs = Vec::with_capacity(chosen.len());
    let mapped: BTreeMap<TableName, String> = chosen::mapped(sync, from);
    for (stream, table, options) in &chosen {
        let policy = Policy::decide(&sync.name, stream, options.clone())?;
        let builder = Builder { sync, stream, scope, from, to, remembered, source: table, mapped: &mapped };
        pairs.push(builder.pair(policy)?);
    }
    refuse_shared_tables(&sync.name, &pairs)?;
    let mut names: BTreeMap<TableName, TableName> = pairs.iter().map(|p| (p.source.name.clone(), p.dest.name.clone())).collect();
    names.extend(
        chosen::all(sync, from)
            .filter_map(|(table, options)| {
                let there = destination_name(options.to.as_deref(), to, table);
                (!names.contains_key(&table.name) && to.catalog.table(&there).is_some()).then(|| (table.name.clone(), there))
            })
            .collect::<Vec<_>>(),
    );
    for pair in pairs.iter_mut().filter(|p| p.create.is_some()) {
        create::complete(pair, &names, from, to)?;
    }
    let referrers: Vec<Referrer> = all_foreign_keys(&pairs, to.catalog);
    for pair in &mut pairs {
        pair.referenced_by = referrers.iter().filter(|r| r.key.parent == pair.dest.name).cloned().collect();
    }
    Ok(pairs)
}

fn all_foreign_keys(pairs: &[Pair], catalog: &Catalog) -> Vec<Referrer> {
    let existing = catalog.tables.iter();
    let made = pairs.iter().filter(|p| p.create.is_some()).map(|p| &p.dest);
    let inside = existing.chain(made).flat_map(|t| t.foreign_keys.iter().map(|k| (&t.name, k)));
    let outside = catalog.outside.iter().map(|(table, key)| (table, key));
    inside.chain(outside).map(|(table, key)| Referrer { table: table.clone(), key: key.clone() }).collect()
}

fn refuse_shared_tables(sync: &str, pairs: &[Pair]) -> Result<()> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for p in pairs {
        if let Some(other) = seen.insert(p.dest.name.to_string(), &p.stream) {
            return Err(EngineError::Config {
                code: "name_collision",
                message: format!("sync `{sync}`: streams `{other}` and `{}` both go to `{}`", p.stream, p.dest.name),
                hint: Some("give one of them another table with `to:`".to_owned()),
            });
        }
    }
    Ok(())
}

pub(crate) struct Builder<'a> {
    sync: &'a SyncSpec,
    pub(crate) stream: &'a str,
    scope: Option<&'a str>,
    pub(crate) from: Side<'a>,
    pub(crate) to: Side<'a>,
    remembered: &'a Remembered,
    pub(crate) source: &'a Table,
    /// Source tables whose streams map ids, with the streams' names.
    mapped: &'a BTreeMap<TableName, String>,
}

/// The kind of drift where the destination computes a column that the source has values for.
pub(crate) const NOT_WRITTEN: &str = "not_written";

impl Builder<'_> {
    fn fail(&self, code: &'static str, message: impl std::fmt::Display, hint: impl Into<String>) -> EngineError {
        EngineError::Config {
            code,
            message: format!("sync `{}`, stream `{}`: {message}", self.sync.name, self.stream),
            hint: Some(hint.into()),
        }
    }

    fn pair(&self, mut policy: Policy) -> Result<Pair> {
        self.settle_ids(&mut policy)?;
        self.sees_whole_table(&policy)?;
        let name = destination_name(policy.options.to.as_deref(), self.to, self.source);
        let existing = self.to.catalog.table(&name).cloned();
        let key_source = self.key(&policy)?;
        self.judge_cursor(&policy)?;
        let mut drift = self.source_drift(&policy, existing.as_ref());
        let mut targets = self.targets(&policy)?;
        let mut alter = Vec::new();
        let (dest, made) = match existing {
            Some(t) => {
                drift.extend(self.drop_unwritable(&t, &mut targets));
                let t = self.fit_to_existing(t, &policy, &mut targets, &mut drift, &mut alter)?;
                (t, false)
            }
            None if policy.create == Create::Missing => (
                create::shape(self.stream, &name, self.source, &targets, self.from, self.to, &policy, &|c| {
                    self.mapped_column(&policy, c).is_some()
                })?,
                true,
            ),
            None => {
                let hint = "create it, or let the sync do so with `create: missing`";
                return Err(self.fail("table_missing", format!("the destination has no table `{name}`"), hint));
            }
        };
        let reads = Transform::reads(self.source, &targets).map_err(|e| self.fail(e.code(), &e, e.hint()))?;
        let transform = Transform::compile(self.source, &reads, &targets).map_err(|e| self.fail(e.code(), &e, e.hint()))?;
        let pair = self.assemble(policy, dest, made, alter, key_source, targets, reads, transform, drift)?;
        self.owns_something(&pair)?;
        let before = self.remembered.deletes.get(&deletes_of(self.scope.unwrap_or_default(), self.stream));
        let deletes_before = before.filter(|b| **b != pair.deletes_said()).cloned();
        Ok(Pair { deletes_before, ..pair })
    }

    /// Columns that the user may not read are not shown to it: left out without a word, they would be empty at the destination.
    fn sees_whole_table(&self, policy: &Policy) -> Result<()> {
        let table = &self.source.name;
        if policy.options.fields_only == Some(true) || !self.from.catalog.partly_seen.contains(table) {
            return Ok(());
        }
        let hint = format!("GRANT SELECT ON {table} TO it; or list what is to be copied with `fields_only: true`");
        Err(self.fail("rights_missing", format!("the source's user may read single columns of `{table}` and sees no others"), hint))
    }

    fn judge_cursor(&self, policy: &Policy) -> Result<()> {
        let Some(cursor) = &policy.options.cursor else { return Ok(()) };
        match self.source.column(cursor) {
            None => Err(self.unknown_column("cursor", cursor)),
            Some(c) if crate::cursor::can_order(&c.logical) => Ok(()),
            Some(c) => {
                let message = format!("cursor `{cursor}` is of type {}: a later value is not a greater one", c.native);
                Err(self.fail(
                    "cursor_unusable",
                    message,
                    "name a column with a time or a growing number, or use `mode: diff` without `cursor`",
                ))
            }
        }
    }

    /// Without ids no row has an id mapping: deletions that touch only such rows would silently touch none (R8).
    fn owns_something(&self, pair: &Pair) -> Result<()> {
        if pair.delete.is_none() || pair.owns == Owns::Table || crate::compare::has_rewritten_key(pair) {
            return Ok(());
        }
        let hint = format!(
            "write `owns: table` if every row of `{}` belongs to this stream, map its `ids`, or set `deletes: ignore`",
            pair.dest.name
        );
        Err(self.fail("owns_nothing", "`deletes` is set with `owns: mapped`, and the stream maps no `ids`: it owns no row", hint))
    }

    /// Source columns whose ids are rewritten: `None` for the stream's own key, else the stream they point to.
    pub(crate) fn mapped_column(&self, policy: &Policy, column: &str) -> Option<Option<String>> {
        let said = policy.references.get(column);
        let found = self
            .source
            .foreign_keys
            .iter()
            .find(|f| f.columns.len() == 1 && f.columns[0] == column)
            .and_then(|f| self.mapped.get(&f.parent));
        if let Some(parent) = said.or(found) {
            return Some(Some(parent.clone()));
        }
        let own = policy.options.ids.is_some() && self.key(policy).is_ok_and(|k| k == [column]);
        own.then_some(None)
    }

    fn key(&self, policy: &Policy) -> Result<Vec<String>> {
        let key = match &policy.options.key {
            Some(k) => k.clone(),
            None => self.source.best_key().ok_or_else(|| {
                let hint = "name columns that identify a row with `key: […]`, or leave the table out with `false`";
                self.fail("key_missing", format!("table `{}` has no primary key and no unique key without NULLs", self.source.name), hint)
            })?,
        };
        match key.iter().find(|k| self.source.column(k).is_none()) {
            None => Ok(key),
            Some(k) => Err(self.unknown_column("key", k)),
        }
    }

    fn unknown_column(&self, option: &str, name: &str) -> EngineError {
        let names: Vec<&str> = self.source.columns.iter().map(|c| c.name.as_str()).collect();
        let near = syncline_model::suggest::closest(name, names.iter().copied());
        let hint = near.map_or_else(|| format!("it has {}", names.join(", ")), |n| format!("did you mean `{n}`?"));
        self.fail("column_missing", format!("`{option}` names column `{name}`, which `{}` does not have", self.source.name), hint)
    }

    /// What each destination column is made of (R31): listed fields, then the other source columns under their own names.
    fn targets(&self, policy: &Policy) -> Result<Vec<Target>> {
        let o = &policy.options;
        let listed: Vec<(String, FieldSource)> = o.fields.iter().flatten().map(|(name, text)| (name.clone(), field_source(text))).collect();
        let moved: BTreeSet<&str> =
            listed.iter().filter_map(|(_, s)| if let FieldSource::Column(c) = s { Some(c.as_str()) } else { None }).collect();
        let mut targets: Vec<Target> = Vec::new();
        if o.fields_only != Some(true) {
            let own = self.source.columns.iter().filter(|c| !moved.contains(c.name.as_str()) && !listed.iter().any(|(n, _)| *n == c.name));
            targets.extend(own.map(|c| Target::new(c.name.clone(), FieldSource::Column(c.name.clone()))));
        }
        targets.extend(listed.into_iter().map(|(n, s)| Target::new(n, s)));
        if let (Some(crate::spec::Ids { source: crate::spec::IdSource::Column(legacy), .. }), Ok([key])) =
            (&o.ids, self.key(policy).as_deref())
            && !targets.iter().any(|t| t.name == *legacy)
        {
            targets.push(Target::new(legacy.clone(), FieldSource::Column(key.clone())));
        }
        // In the source's column order, so that rows can pass unchanged where nothing is mapped.
        let place = |t: &Target| match &t.source {
            FieldSource::Column(c) => self.source.columns.iter().position(|x| x.name == *c).unwrap_or(usize::MAX),
            FieldSource::Template(_) | FieldSource::Constant(_) => usize::MAX,
        };
        targets.sort_by_key(place);
        for (field, kind) in o.types.iter().flatten() {
            let kind: FieldType =
                kind.parse().map_err(|e| self.fail("config_invalid", format!("field `{field}`: {e}"), "see `syncline config schema`"))?;
            let target = targets.iter_mut().find(|t| t.name == *field);
            let target = target.ok_or_else(|| {
                self.fail("column_missing", format!("`types` names field `{field}`, which is not synced"), "check its spelling")
            })?;
            target.validate = (o.validate == Some(true)).then_some(kind);
        }
        Ok(targets)
    }

    /// A record with a key of several columns has no id of its own: what `ids` asks for, as a pattern or by name, are then the references to
    /// mapped streams, which make up the key of a link table, and of a detail together with its number.
    fn settle_ids(&self, policy: &mut Policy) -> Result<()> {
        if policy.options.ids.is_none() {
            return Ok(());
        }
        if policy.edits == crate::spec::Edits::Keep {
            let hint = "map ids in a mirror (`edits: overwrite`); merges compare records that both sides know by one key";
            return Err(self.fail("config_invalid", "`ids` and `edits: keep` do not go together", hint));
        }
        let key = self.key(policy)?;
        if key.len() == 1 {
            return Ok(());
        }
        if !key.iter().any(|column| matches!(self.mapped_column(policy, column), Some(Some(_)))) {
            let message = format!("`ids` maps keys of one column, and the key of `{}` is ({})", self.source.name, key.join(", "));
            let hint = "name one unique column with `key`; or the streams that its columns refer to with `foreign_keys`";
            return Err(self.fail("config_invalid", message, hint));
        }
        policy.options.ids = None;
        Ok(())
    }

    /// Generated columns of the destination compute themselves: what the source has for them goes nowhere, and is not compared. Those that
    /// the source computes as well are its like.
    fn drop_unwritable(&self, dest: &Table, targets: &mut Vec<Target>) -> Vec<Drift> {
        let computed = |t: &Target| dest.column(&t.name).is_some_and(|c| c.generated);
        let is_computed_too =
            |t: &Target| matches!(&t.source, FieldSource::Column(c) if self.source.column(c).is_some_and(|c| c.generated));
        let said = targets.iter().filter(|t| computed(t) && !is_computed_too(t)).map(|t| Drift {
            stream: self.stream.to_owned(),
            kind: NOT_WRITTEN.to_owned(),
            column: Some(t.name.clone()),
            detail: format!(
                "the destination computes column `{}` of `{}` by itself: the source's values are neither written nor compared; map them to a \
                 column of their own, or list what is to be copied with `fields_only: true`",
                t.name, dest.name
            ),
            stops: false,
        });
        let said = said.collect();
        targets.retain(|t| !computed(t));
        said
    }

    /// Drops, adds or refuses columns that the destination lacks, as `schema_changes` says.
    fn fit_to_existing(
        &self,
        mut dest: Table,
        policy: &Policy,
        targets: &mut Vec<Target>,
        drift: &mut Vec<Drift>,
        alter: &mut Vec<String>,
    ) -> Result<Table> {
        let missing: Vec<Target> = targets.iter().filter(|t| dest.column(&t.name).is_none()).cloned().collect();
        for t in missing {
            let stops = policy.schema_changes == SchemaChanges::Stop;
            drift.push(Drift {
                stream: self.stream.to_owned(),
                kind: "new_column".to_owned(),
                column: Some(t.name.clone()),
                detail: format!("the destination table `{}` has no column `{}`", dest.name, t.name),
                stops,
            });
            match policy.schema_changes {
                SchemaChanges::Stop => {}
                SchemaChanges::Ignore => targets.retain(|x| x.name != t.name),
                SchemaChanges::Add => {
                    let column = create::column_of(&t, self.source, self.from, self.to);
                    alter.push(create::add_column(&dest, &column, self.to));
                    dest.columns.push(column);
                }
            }
        }
        let given = |c: &Column| targets.iter().any(|t| t.name == c.name) || policy.options.stamp.as_deref() == Some(&c.name);
        let hungry = dest.columns.iter().find(|c| !c.nullable && !c.generated && no_default(c) && !given(c));
        if let Some(c) = hungry {
            let detail = format!("column `{}` of `{}` must have a value and has no default, and no field provides one", c.name, dest.name);
            return Err(self.fail("column_required", detail, format!("map it with `fields: {{ {}: … }}` or give it a default", c.name)));
        }
        Ok(dest)
    }

    /// What changed at the source since the last good run.
    fn source_drift(&self, policy: &Policy, dest: Option<&Table>) -> Vec<Drift> {
        let Some(before) = self.remembered.shapes.get(self.stream) else { return Vec::new() };
        let retyped_stops = policy.schema_changes != SchemaChanges::Ignore;
        let drift = |kind: &str, column: &str, detail: String, stops| Drift {
            stream: self.stream.to_owned(),
            kind: kind.to_owned(),
            column: Some(column.to_owned()),
            detail,
            stops,
        };
        // A person has said where the destination's column comes from now, or it is gone there as well.
        let settled = |name: &str| {
            policy.options.fields.iter().flatten().any(|(field, _)| field == name) || dest.is_some_and(|d| d.column(name).is_none())
        };
        let fresh: Vec<&Column> = self.source.columns.iter().filter(|c| !before.contains_key(&c.name)).collect();
        let mut list = Vec::new();
        for (name, native) in before {
            match self.source.column(name) {
                None if settled(name) => {}
                None => {
                    let twin = fresh.iter().find(|c| c.native == *native);
                    let detail = match twin {
                        Some(t) => format!(
                            "column `{name}` is gone and `{}` of the same type is new: it looks renamed; say so with `fields: {{ {name}: {} }}`",
                            t.name, t.name
                        ),
                        None => format!("column `{name}` is gone from the source; its values would stop being synced"),
                    };
                    list.push(drift(if twin.is_some() { "renamed" } else { "missing_column" }, name, detail, true));
                }
                Some(c) if c.native != *native => {
                    list.push(drift("retyped", name, format!("column `{name}` was `{native}` and is now `{}`", c.native), retyped_stops));
                }
                Some(_) => {}
            }
        }
        list
    }

    #[allow(clippy::too_many_arguments, reason = "the last step of one builder; a struct would only repeat `Pair`")]
    fn assemble(
        &self,
        policy: Policy,
        dest: Table,
        made: bool,
        alter: Vec<String>,
        key_source: Vec<String>,
        targets: Vec<Target>,
        reads: Vec<String>,
        transform: Transform,
        mut drift: Vec<Drift>,
    ) -> Result<Pair> {
        let m = self.match_columns(&policy, &dest, &targets, &transform);
        drift.extend(m.unfit);
        let key_at = self.key_positions(&policy, &key_source, &targets, &m.copied_from)?;
        let key_dest = key_at.iter().map(|&i| m.columns[i].name.clone()).collect();
        let off = policy.options.compare_off.clone().unwrap_or_default();
        let compared = m.columns.iter().map(|c| !off.contains(&c.name)).collect();
        let delete = policy.delete_action();
        let owns = self.ownership(&policy, &dest, made)?;
        let (filter_source, filter_dest) = self.filters(&policy, &delete, &targets, &dest)?;
        let key_is_unique = self.source.primary_key == key_source || self.source.uniques.iter().any(|u| u.columns == key_source);
        self.known_mark(&delete, &dest)?;
        self.known_columns(&policy, &dest)?;
        let shape = self.remembered.shapes.get(self.stream);
        let has_new_column = shape.is_some_and(|before| reads.iter().any(|column| !before.contains_key(column)));
        Ok(Pair {
            stream: self.stream.to_owned(),
            create: made.then(TableDdl::default),
            new_table: None,
            first_load: None,
            source: self.source.clone(),
            referenced_by: Vec::new(),
            policy,
            dest,
            alter,
            deletes_before: None,
            has_new_column,
            reads,
            transform: transform.into(),
            columns: m.columns,
            copied_from: m.copied_from,
            canons: m.canons,
            compared,
            key_source,
            key_dest,
            key_at,
            key_is_unique,
            filter_source,
            filter_dest,
            owns,
            delete,
            drift,
            checked: m.checked,
            foreign_ids: m.foreign_ids,
        })
    }

    fn key_positions(&self, policy: &Policy, key: &[String], targets: &[Target], copied_from: &[Option<String>]) -> Result<Vec<usize>> {
        // A second copy of the key, kept beside the new id.
        let legacy = match &policy.options.ids {
            Some(crate::spec::Ids { source: crate::spec::IdSource::Column(legacy), .. }) => Some(legacy),
            _ => None,
        };
        let is_key = |t: &Target, c: &Option<String>, k: &String| c.as_ref() == Some(k) && Some(&t.name) != legacy;
        let at = |k: &String| {
            targets.iter().zip(copied_from).position(|(t, c)| is_key(t, c, k)).ok_or_else(|| {
                let hint = "copy key columns as they are (renaming is fine); id mapping is for changing ids";
                self.fail("key_not_copied", format!("key column `{k}` is not copied to the destination"), hint)
            })
        };
        key.iter().map(at).collect()
    }

    /// Whether this sync made the table. Where a table is made by its bare name (in the connection's own database), it is
    /// remembered so, and found again with the database in front.
    fn is_ours(&self, table: &TableName) -> bool {
        let created = &self.remembered.created;
        created.contains(&table.to_string()) || created.contains(&table.name)
    }

    fn ownership(&self, policy: &Policy, dest: &Table, made: bool) -> Result<Owns> {
        if policy.deletes == DeletePolicy::Ignore {
            return Ok(policy.owns.unwrap_or(Owns::Mapped));
        }
        match policy.owns {
            Some(o) => Ok(o),
            None if made || self.is_ours(&dest.name) => Ok(Owns::Table),
            None => {
                let hint =
                    "write `owns: table` if every row there belongs to this sync, or `owns: mapped` to delete only rows with an id mapping";
                Err(self.fail("owns_missing", format!("`deletes` is set and `{}` was not created by this sync", dest.name), hint))
            }
        }
    }

    fn filters(
        &self,
        policy: &Policy,
        delete: &Option<DeleteAction>,
        targets: &[Target],
        dest: &Table,
    ) -> Result<(Vec<Predicate>, Vec<Predicate>)> {
        let invalid = |e: String| self.fail("config_invalid", e, "see the configuration guide on `where`");
        let mut source = Vec::new();
        let mut there = Vec::new();
        if let Some(text) = &policy.options.where_from {
            source.push(condition::bind(text, self.scope, self.from.engine()).map_err(invalid)?);
            let renamed = |c: &str| {
                let copy = |t: &&Target| matches!(&t.source, FieldSource::Column(s) if s == c);
                targets.iter().find(copy).map(|t| t.name.clone())
            };
            match (&policy.options.where_to, condition::derive(text, self.scope, renamed)) {
                (Some(text), _) => there.push(condition::bind(text, self.scope, self.to.engine()).map_err(invalid)?),
                (None, Some(derived)) => there.extend(self.as_the_source_compares(text, derived, targets, dest)?),
                (None, None) => {
                    let hint = "say with `where_to:` which rows of the destination belong to this stream";
                    return Err(self.fail("where_to_missing", "`where` cannot be carried over to the destination", hint));
                }
            }
        }
        // All of the source, in a part of a destination that is shared.
        if let (None, Some(text)) = (&policy.options.where_from, &policy.options.where_to) {
            there.push(condition::bind(text, self.scope, self.to.engine()).map_err(invalid)?);
        }
        if let Some(DeleteAction::Mark { column, live, .. }) = delete
            && dest.column(column).is_some()
        {
            there.push(match live {
                syncline_connector::MarkValue::Constant(v) if !v.is_null() => Predicate::Equals(column.clone(), v.clone()),
                _ => Predicate::IsNull(column.clone()),
            });
        }
        Ok((source, there))
    }

    /// Values are compared by their bytes, so that no row of another tenant is taken. Where the source's collation calls more of them equal and
    /// the destination has the same one, the condition goes over as it is (R7).
    fn as_the_source_compares(&self, text: &str, derived: Vec<Predicate>, targets: &[Target], dest: &Table) -> Result<Vec<Predicate>> {
        let same_name = |name: &str| targets.iter().any(|t| t.name == name && matches!(&t.source, FieldSource::Column(c) if c == name));
        let collation = |table: &Table, name: &str| table.column(name).and_then(|c| c.loose_collation.clone());
        let (mut movable, mut loose) = (self.from.engine() == self.to.engine(), false);
        for predicate in &derived {
            let Predicate::Equals(name, _) = predicate else { continue };
            let from = collation(self.source, name);
            movable &= same_name(name) && collation(dest, name) == from;
            loose |= from.is_some();
        }
        if !movable || !loose {
            return Ok(derived);
        }
        let invalid = |e: String| self.fail("config_invalid", e, "see the configuration guide on `where`");
        Ok(vec![condition::bind(text, self.scope, self.to.engine()).map_err(invalid)?])
    }

    /// Options that name columns of the destination.
    fn known_columns(&self, policy: &Policy, dest: &Table) -> Result<()> {
        let named = [("last_modified_by", &policy.options.last_modified_by), ("stamp", &policy.options.stamp)];
        let missing = named.into_iter().find_map(|(option, c)| c.as_ref().filter(|c| dest.column(c).is_none()).map(|c| (option, c)));
        let Some((option, column)) = missing else { return Ok(()) };
        let message = format!("`{option}` names column `{column}`, which `{}` does not have", dest.name);
        Err(self.fail("column_missing", message, "add the column at the destination, or check its spelling"))
    }

    fn known_mark(&self, delete: &Option<DeleteAction>, dest: &Table) -> Result<()> {
        match delete {
            Some(DeleteAction::Mark { column, .. }) if dest.column(column).is_none() => {
                let hint = "add the column, or name another with `deletes: { policy: …, column: … }`";
                Err(self.fail("column_missing", format!("`{}` has no column `{column}` to mark deleted rows with", dest.name), hint))
            }
            _ => Ok(()),
        }
    }
}

fn field_source(text: &FieldText) -> FieldSource {
    match text {
        FieldText::Text(t) => FieldSource::from_text(t),
        FieldText::Constant(v) => FieldSource::Constant(v.clone()),
    }
}

/// The table that a stream goes to: as `to` says, else by its own name.
fn destination_name(said: Option<&str>, to: Side<'_>, source: &Table) -> TableName {
    let schema = to.schema.map(ToOwned::to_owned).or_else(|| default_schema(to.engine()));
    match said.map(|t| t.split_once('.').map_or((None, t), |(s, n)| (Some(s), n))) {
        Some((Some(s), n)) => TableName::within(s, n),
        Some((None, n)) => TableName { schema, name: n.to_owned() },
        None => TableName { schema, name: source.name.name.clone() },
    }
}

fn no_default(c: &Column) -> bool {
    c.default == syncline_model::schema::ColumnDefault::None && c.identity == syncline_model::schema::Identity::No
}

/// The schema a bare name means where the connection names none.
pub(crate) fn default_schema(engine: Engine) -> Option<String> {
    match engine {
        Engine::Postgres => Some("public".to_owned()),
        Engine::Mysql | Engine::Sqlite => None,
    }
}
