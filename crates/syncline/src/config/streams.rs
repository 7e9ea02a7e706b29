//! Options of a sync and of its streams, and what of them contradicts each other.
//!
//! Only contradictions that no other pattern can resolve are told here; the engine judges each stream again once it knows the tables.

use std::collections::BTreeMap;

use syncline_engine::spec::{self, FieldText, IdSource, Ids, StreamOptions};
use syncline_engine::transform::FieldType;

use super::file::{
    Cascade, Conflicts, Create, DeletePolicy, DeletesFile, Edits, FieldFile, GuardFile, IdsFile, IdsWord, Mode, Owns, Rows, SchemaChanges,
    StreamFile, SyncFile,
};
use super::form::Form;
use super::judge::{self, Judge, below};
use super::literal::{Constant, Included};

/// Patterns with what they say; `None` excludes.
pub(super) type Streams = Vec<(String, Option<StreamOptions>)>;

macro_rules! policies {
    ($judge:expr, $path:expr, $file:expr) => {{
        let f = $file;
        for (key, text) in [("last_modified_by", &f.last_modified_by), ("stamp", &f.stamp)] {
            $judge.filled(&below($path, &[key]), text.as_deref());
        }
        if f.resume_above == Some(0) {
            $judge.fail(
                "config_invalid",
                &below($path, &["resume_above"]),
                "a part of a load has at least one row",
                "write a number of rows such as `1000000`, or leave it out for 5000000",
            );
        }
        StreamOptions {
            resume_above: f.resume_above,
            mode: f.mode.map(mode),
            overlap_s: f.overlap.map(|d| d.0),
            deletes: f.deletes.as_ref().map(|d| deletes($judge, &below($path, &["deletes"]), d)),
            owns: f.owns.map(owns),
            guard: f.guard.as_ref().map(|g| guard($judge, &below($path, &["guard"]), g)),
            cascade_allow: f.cascade.map(|c| matches!(c, Cascade::Allow)),
            edits: f.edits.map(edits),
            conflicts: f.conflicts.map(conflicts),
            last_modified_by: f.last_modified_by.clone(),
            rows: f.rows.map(rows),
            schema_changes: f.schema_changes.map(schema_changes),
            create: f.create.map(create),
            validate: f.validate,
            clears: f.clears,
            stamp: f.stamp.clone(),
            ..StreamOptions::default()
        }
    }};
}

/// What the sync says for all its streams.
pub(super) fn sync_options(judge: &mut Judge<'_>, path: &[String], file: &SyncFile) -> StreamOptions {
    policies!(judge, path, file)
}

/// The patterns of a sync, in the order written; `"*"` when there are none.
pub(super) fn streams(judge: &mut Judge<'_>, sync_path: &[String], file: &SyncFile, sync: &StreamOptions) -> Streams {
    let path = below(sync_path, &["streams"]);
    let Some(written) = &file.streams else {
        let all = vec![("*".to_owned(), Some(StreamOptions::default()))];
        contradictions(judge, sync_path, sync, &all);
        return all;
    };
    let mut streams = Streams::new();
    for name in judge.order(&path) {
        let Some(options) = written.get(name) else { continue };
        let place = below(&path, &[name]);
        if name.is_empty() || name.contains('\0') {
            judge.fail("config_invalid", &place, format!("{} is no table", judge::shown(name)), "name a table or a glob");
        }
        let options = match options {
            None | Some(Form::Short(Included(true))) => Some(StreamOptions::default()),
            Some(Form::Short(Included(false))) => None,
            Some(Form::Long(stream)) => Some(stream_options(judge, &place, stream)),
        };
        streams.push((name.to_owned(), options));
    }
    if streams.iter().all(|(_, o)| o.is_none()) && judge.is_satisfied() {
        judge.fail("config_invalid", &path, "no stream is left", "name tables, or `\"*\": {}` for all");
    }
    contradictions(judge, sync_path, sync, &streams);
    scope_use(judge, sync_path, file.scopes.is_some(), &streams);
    collection_keys(judge, &path, &streams);
    streams
}

fn stream_options(judge: &mut Judge<'_>, path: &[String], f: &StreamFile) -> StreamOptions {
    let texts =
        [("to", &f.to), ("cursor", &f.cursor), ("where", &f.where_from), ("where_to", &f.where_to), ("collection_key", &f.collection_key)];
    for (key, text) in texts {
        judge.filled(&below(path, &[key]), text.as_deref());
    }
    if let Some(key) = &f.key {
        let doubled = key.0.iter().enumerate().any(|(n, c)| c.is_empty() || key.0[..n].contains(c));
        if key.0.is_empty() || doubled {
            judge.fail(
                "config_invalid",
                &below(path, &["key"]),
                "a key has one or more different columns",
                "leave it out for the table's own key",
            );
        }
    }
    let mut o = policies!(judge, path, f);
    o.to.clone_from(&f.to);
    o.key = f.key.as_ref().map(|k| k.0.clone());
    o.cursor.clone_from(&f.cursor);
    o.where_from.clone_from(&f.where_from);
    o.where_to.clone_from(&f.where_to);
    o.fields_only = f.fields_only;
    o.collection_key.clone_from(&f.collection_key);
    o.ids = f.ids.as_ref().map(|i| ids(judge, &below(path, &["ids"]), i));
    if let Some(fields) = &f.fields {
        take_fields(judge, &below(path, &["fields"]), fields, &mut o);
    }
    o
}

fn take_fields(judge: &mut Judge<'_>, path: &[String], fields: &BTreeMap<String, Form<String, FieldFile>>, o: &mut StreamOptions) {
    let (mut sources, mut types, mut compare_off) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (name, field) in fields {
        let place = below(path, &[name]);
        let field = match field {
            Form::Short(text) => {
                judge.filled(&place, Some(text));
                sources.insert(name.clone(), FieldText::Text(text.clone()));
                continue;
            }
            Form::Long(field) => field,
        };
        judge.filled(&below(&place, &["from"]), field.from.as_deref());
        match (&field.from, &field.value) {
            (Some(_), Some(_)) => judge.fail("config_invalid", &place, "a field has `from` or `value`, not both", "drop one of them"),
            (Some(text), None) => _ = sources.insert(name.clone(), FieldText::Text(text.clone())),
            (None, Some(Constant(value))) => _ = sources.insert(name.clone(), FieldText::Constant(value.clone())),
            // Listed so that `fields_only` keeps it; else it is copied under its own name anyway.
            (None, None) if o.fields_only == Some(true) => _ = sources.insert(name.clone(), FieldText::Text(name.clone())),
            (None, None) => {}
        }
        if let Some(kind) = &field.kind {
            match kind.parse::<FieldType>() {
                Ok(_) => _ = types.insert(name.clone(), kind.clone()),
                Err(e) => {
                    let hint = e
                        .suggestion
                        .map_or_else(|| "see `type` in `syncline config schema`".to_owned(), |s| format!("did you mean `{s}`?"));
                    let place = below(&place, &["type"]);
                    let message = format!("{} is no field type", judge.written(&place));
                    judge.fail("config_invalid", &place, message, hint);
                }
            }
        }
        if field.compare == Some(false) {
            compare_off.push(name.clone());
        }
    }
    o.fields = Some(sources);
    o.types = (!types.is_empty()).then_some(types);
    o.compare_off = (!compare_off.is_empty()).then_some(compare_off);
}

fn ids(judge: &mut Judge<'_>, path: &[String], file: &Form<IdsWord, IdsFile>) -> Ids {
    let f = match file {
        Form::Short(IdsWord::State) => return Ids { source: IdSource::State, mint: true, foreign_keys: BTreeMap::new() },
        Form::Long(f) => f,
    };
    let places = [f.table.is_some(), f.column.is_some(), f.json.is_some()].into_iter().filter(|p| *p).count();
    if places > 1 {
        judge.fail("config_invalid", path, "mappings are in one place: `table`, `column` or `json`", "keep one of them");
    }
    if f.table.is_none() && (f.legacy.is_some() || f.new.is_some() || f.entity.is_some()) {
        judge.fail("config_invalid", path, "`legacy`, `new` and `entity` belong to a mapping `table`", "name the table, or leave them out");
    }
    let source = if let Some(table) = &f.table {
        mapping_table(judge, path, f, table)
    } else if let Some(column) = &f.column {
        judge.filled(&below(path, &["column"]), Some(column));
        IdSource::Column(column.clone())
    } else if let Some(json) = &f.json {
        json_path(judge, &below(path, &["json"]), &json.0)
    } else {
        IdSource::State
    };
    Ids { source, mint: f.mint.unwrap_or(true), foreign_keys: f.foreign_keys.clone().unwrap_or_default() }
}

fn mapping_table(judge: &mut Judge<'_>, path: &[String], f: &IdsFile, table: &str) -> IdSource {
    judge.filled(&below(path, &["table"]), Some(table));
    let (Some(legacy), Some(new)) = (&f.legacy, &f.new) else {
        judge.fail("config_invalid", path, "a mapping table needs its columns", "write `legacy: COLUMN` and `new: COLUMN`");
        return IdSource::State;
    };
    let entity = f.entity.as_ref().and_then(|e| e.iter().next()).map(|(column, value)| (column.clone(), value.clone()));
    if f.entity.as_ref().is_some_and(|e| e.len() != 1) {
        judge.fail(
            "config_invalid",
            &below(path, &["entity"]),
            "one column and its value select the rows",
            "write `entity: { COLUMN: value }`",
        );
    }
    IdSource::Table { table: table.to_owned(), legacy: legacy.clone(), new: new.clone(), entity }
}

/// `metadata.legacy_id` as one text, or a list where a key has a dot in it.
fn json_path(judge: &mut Judge<'_>, path: &[String], written: &[String]) -> IdSource {
    let parts: Vec<String> = match written {
        [one] => one.split('.').map(str::to_owned).collect(),
        many => many.to_vec(),
    };
    match parts.split_first() {
        Some((column, keys)) if !keys.is_empty() && parts.iter().all(|p| !p.is_empty()) => {
            IdSource::JsonPath { column: column.clone(), path: keys.to_vec() }
        }
        _ => {
            judge.fail("config_invalid", path, "this is no column with a key in it", "write `COLUMN.KEY`, such as `metadata.legacy_id`");
            IdSource::State
        }
    }
}

fn deletes(judge: &mut Judge<'_>, path: &[String], file: &Form<DeletePolicy, DeletesFile>) -> spec::DeletePolicy {
    let (policy, column, value) = match file {
        Form::Short(policy) => (*policy, None, None),
        Form::Long(long) => {
            judge.filled(&below(path, &["column"]), long.column.as_deref());
            let plain = matches!(long.policy, DeletePolicy::Ignore | DeletePolicy::Mirror);
            if plain && (long.column.is_some() || long.value.is_some()) {
                judge.fail("config_invalid", path, "`ignore` and `mirror` set no column", "leave `column` and `value` out, or take `soft`");
            }
            let now = syncline_model::Value::Text("now".to_owned());
            (long.policy, long.column.clone(), long.value.clone().map(|c| c.0).filter(|v| *v != now))
        }
    };
    match policy {
        DeletePolicy::Ignore => spec::DeletePolicy::Ignore,
        DeletePolicy::Mirror => spec::DeletePolicy::Mirror,
        DeletePolicy::Soft => spec::DeletePolicy::Soft { column, value },
        DeletePolicy::Archive => spec::DeletePolicy::Archive { column, value },
        DeletePolicy::Deactivate => spec::DeletePolicy::Deactivate { column, value },
    }
}

fn guard(judge: &mut Judge<'_>, path: &[String], file: &GuardFile) -> spec::Guard {
    let default = spec::Guard::default();
    let ratio = file.max_delete_ratio.unwrap_or(default.max_delete_ratio);
    if !(0.0..=1.0).contains(&ratio) {
        judge.fail("config_invalid", &below(path, &["max_delete_ratio"]), "a ratio is between 0 and 1", "10 percent is `0.1`");
    }
    spec::Guard { max_delete_ratio: ratio, max_delete_rows: file.max_delete_rows.unwrap_or(default.max_delete_rows) }
}

/// What cannot be meant, whatever the tables look like.
fn contradictions(judge: &mut Judge<'_>, sync_path: &[String], sync: &StreamOptions, streams: &Streams) {
    let globs = || streams.iter().filter(|(p, _)| p.contains(['*', '?'])).filter_map(|(_, o)| o.as_ref());
    let any = |said: &dyn Fn(&StreamOptions) -> bool| said(sync) || streams.iter().filter_map(|(_, o)| o.as_ref()).any(said);
    let places = std::iter::once((sync_path.to_vec(), sync, true))
        .chain(streams.iter().filter_map(|(p, o)| Some((below(sync_path, &["streams", p]), o.as_ref()?, false))));
    for (path, own, whole) in places {
        // What the others may add to this one: to the sync any stream, to a stream the sync and the globs.
        let helped = |said: &dyn Fn(&StreamOptions) -> bool| if whole { any(said) } else { said(own) || said(sync) || globs().any(said) };
        if own.conflicts.is_some() && !helped(&|o| o.edits == Some(spec::Edits::Keep)) {
            let hint = "add `edits: keep` (three-way), or drop `conflicts`: with `edits: overwrite` the source always wins";
            judge.fail("config_invalid", &below(&path, &["conflicts"]), "`conflicts` means nothing without `edits: keep`", hint);
        }
        if own.conflicts == Some(spec::Conflicts::Merge) && !helped(&|o| o.last_modified_by.is_some()) {
            let hint = "name the destination column that says who changed a row last: `last_modified_by: COLUMN`";
            judge.fail("config_invalid", &below(&path, &["conflicts"]), "`merge` needs `last_modified_by`", hint);
        }
        for (option, said, need, helps) in without_effect(own) {
            if said && !helped(&helps) {
                let message = format!("`{option}` means nothing without `{need}`");
                judge.fail("config_invalid", &below(&path, &[option]), message, format!("add `{need}`, or drop `{option}:`"));
            }
        }
        if own.mode == Some(spec::Mode::Incremental) {
            incremental(judge, &path, own, helped(&|o| o.cursor.is_some()));
        }
    }
}

/// An option, whether it is said, and what it needs to have an effect.
type Needing = (&'static str, bool, &'static str, fn(&StreamOptions) -> bool);

fn without_effect(own: &StreamOptions) -> [Needing; 4] {
    let keeps: fn(&StreamOptions) -> bool = |o| o.edits == Some(spec::Edits::Keep);
    [
        ("clears", own.clears == Some(true), "edits: keep", keeps),
        ("last_modified_by", own.last_modified_by.is_some(), "edits: keep", keeps),
        ("validate", own.validate == Some(true), "fields: { …: { type: … } }", |o| o.types.is_some()),
        ("overlap", own.overlap_s.is_some(), "cursor", |o| o.cursor.is_some()),
    ]
}

/// An incremental read needs a cursor (never silently a full one) and cannot see what is gone (R32).
fn incremental(judge: &mut Judge<'_>, path: &[String], own: &StreamOptions, has_cursor: bool) {
    if !has_cursor {
        let hint = "name the column that grows when a row changes: `cursor: updated_at`, or take `mode: diff`";
        judge.fail("incremental_without_cursor", &below(path, &["mode"]), "`incremental` needs a `cursor`", hint);
    }
    if own.deletes.as_ref().is_some_and(|d| *d != spec::DeletePolicy::Ignore) {
        let hint = "take `mode: diff`, or `deletes: ignore`";
        judge.fail("mirror_incremental", &below(path, &["deletes"]), "an incremental read cannot see which rows are gone", hint);
    }
}

/// `{{ scope }}` and `scopes` need each other; other expressions have no place in a condition (it is bound, not rendered).
fn scope_use(judge: &mut Judge<'_>, sync_path: &[String], scopes: bool, streams: &Streams) {
    let mut used = false;
    for (pattern, options) in streams {
        let Some(o) = options else { continue };
        for (key, text) in [("where", &o.where_from), ("where_to", &o.where_to)] {
            let place = below(sync_path, &["streams", pattern, key]);
            for inside in text.iter().flat_map(|t| t.split("{{").skip(1)) {
                used = true;
                if inside.split("}}").next().map(str::trim) != Some("scope") || !inside.contains("}}") {
                    judge.fail("config_invalid", &place, "only `{{ scope }}` can stand in a condition", "write the condition in SQL");
                } else if !scopes {
                    judge.fail("config_invalid", &place, "`{{ scope }}` needs `scopes`", "list them on the sync: `scopes: [a, b]`");
                }
            }
        }
    }
    if scopes && !used {
        let hint = "add a condition such as `where: \"org_id = {{ scope }}\"` to the streams, or leave `scopes` out";
        judge.fail(
            "config_invalid",
            &below(sync_path, &["scopes"]),
            "no stream uses `{{ scope }}`: every scope would copy everything",
            hint,
        );
    }
}

/// State is kept by `collection_key`: two streams with one would take each other's position.
fn collection_keys(judge: &mut Judge<'_>, path: &[String], streams: &Streams) {
    let key =
        |(pattern, o): &'_ (String, Option<StreamOptions>)| o.as_ref().map(|o| o.collection_key.clone().unwrap_or_else(|| pattern.clone()));
    for (n, stream) in streams.iter().enumerate() {
        let said = stream.1.as_ref().is_some_and(|o| o.collection_key.is_some());
        let doubled = said && streams.iter().enumerate().any(|(m, other)| m != n && key(other) == key(stream));
        if doubled {
            let place = below(path, &[&stream.0, "collection_key"]);
            judge.fail("config_invalid", &place, "another stream has this `collection_key`", "give each stream its own");
        }
    }
}

fn mode(m: Mode) -> spec::Mode {
    match m {
        Mode::Full => spec::Mode::Full,
        Mode::Incremental => spec::Mode::Incremental,
        Mode::Diff => spec::Mode::Diff,
    }
}

fn owns(o: Owns) -> spec::Owns {
    match o {
        Owns::Mapped => spec::Owns::Mapped,
        Owns::Table => spec::Owns::Table,
    }
}

fn edits(e: Edits) -> spec::Edits {
    match e {
        Edits::Overwrite => spec::Edits::Overwrite,
        Edits::Keep => spec::Edits::Keep,
    }
}

fn conflicts(c: Conflicts) -> spec::Conflicts {
    match c {
        Conflicts::SourceWins | Conflicts::FederationWins => spec::Conflicts::SourceWins,
        Conflicts::DestinationWins | Conflicts::LocalWins => spec::Conflicts::DestinationWins,
        Conflicts::Merge => spec::Conflicts::Merge,
    }
}

fn rows(r: Rows) -> spec::Rows {
    match r {
        Rows::Park => spec::Rows::Park,
        Rows::Strict => spec::Rows::Strict,
    }
}

fn schema_changes(s: SchemaChanges) -> spec::SchemaChanges {
    match s {
        SchemaChanges::Stop => spec::SchemaChanges::Stop,
        SchemaChanges::Ignore => spec::SchemaChanges::Ignore,
        SchemaChanges::Add => spec::SchemaChanges::Add,
    }
}

fn create(c: Create) -> spec::Create {
    match c {
        Create::Missing => spec::Create::Missing,
        Create::Never => spec::Create::Never,
    }
}
