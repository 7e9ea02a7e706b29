//! Destination tables that the sync makes: their shape, mapped from the source, and their DDL.

use std::collections::BTreeMap;

use syncline_connector::{DeleteAction, Fit, NewTable};
use syncline_model::schema::{ColumnDefault, Identity, TableKind};
use syncline_model::{Column, Engine, ForeignKey, LogicalType, Table, TableName};

use crate::engine::{EngineError, Result};
use crate::pairing::{Pair, Side};
use crate::policy::Policy;
use crate::transform::{FieldSource, Target, Transform};

/// The table as it will be, without foreign keys: those need the names of all streams. `holds_ids`: source columns whose ids are mapped.
///
/// # Errors
/// `type_mismatch` for a column that the destination has no exact type for; `name_collision`.
#[allow(clippy::too_many_arguments, reason = "one call site; the parts belong to the pairing")]
pub fn shape(
    stream: &str,
    name: &TableName,
    source: &Table,
    targets: &[Target],
    from: Side<'_>,
    to: Side<'_>,
    policy: &Policy,
    holds_ids: &dyn Fn(&str) -> bool,
) -> Result<Table> {
    let mut columns = Vec::with_capacity(targets.len());
    for t in targets {
        let (column, fit) = match &t.source {
            FieldSource::Column(c) if holds_ids(c) => minted(t, source, c, to),
            _ => mapped(t, source, from, to),
        };
        if let Fit::Never(why) = fit {
            return Err(EngineError::Config {
                code: "type_mismatch",
                message: format!("stream `{stream}`: column `{}` has no exact type at the destination: {why}", t.name),
                hint: Some("leave it out with `fields`, or convert it with an expression".to_owned()),
            });
        }
        columns.push(column);
    }
    columns.extend(policy_columns(policy, &columns, to));
    refuse_equal_names(stream, name, &columns, to)?;
    Ok(Table {
        name: name.clone(),
        kind: TableKind::Table,
        columns,
        primary_key: Vec::new(),
        uniques: Vec::new(),
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        indexes: Vec::new(),
        insert_triggers: false,
        change_triggers: false,
        rows_estimate: None,
        non_transactional: false,
        incarnation: None,
        comment: source.comment.clone(),
    })
}

/// The destination column of a target.
pub fn column_of(t: &Target, source: &Table, from: Side<'_>, to: Side<'_>) -> Column {
    let mut column = mapped(t, source, from, to).0;
    // Rows that are there already have no value for it.
    column.nullable = true;
    column
}

fn mapped(t: &Target, source: &Table, from: Side<'_>, to: Side<'_>) -> (Column, Fit) {
    let (given, engine) = match &t.source {
        FieldSource::Column(c) => (source.column(c).cloned(), from.connector.engine()),
        FieldSource::Template(_) | FieldSource::Constant(_) => (computed(t, source), elsewhere(to)),
    };
    let mut given = given.unwrap_or_else(|| Column::plain(t.name.clone(), LogicalType::Text { chars_max: None, fixed: false }, "text"));
    given.name.clone_from(&t.name);
    given.generated = false;
    to.connector.map_column(&given, engine)
}

/// The engine that a column of no table comes from: any but the destination's own, which would take the type as it is spelled there.
fn elsewhere(to: Side<'_>) -> Engine {
    match to.connector.engine() {
        Engine::Postgres => Engine::Mysql,
        Engine::Mysql | Engine::Sqlite => Engine::Postgres,
    }
}

/// A column of mapped ids in a new table: they are minted as UUIDs.
fn minted(t: &Target, source: &Table, column: &str, to: Side<'_>) -> (Column, Fit) {
    let nullable = source.column(column).is_none_or(|c| c.nullable);
    let given = Column { nullable, ..Column::plain(t.name.clone(), LogicalType::Uuid, "uuid") };
    to.connector.map_column(&given, elsewhere(to))
}

fn computed(t: &Target, source: &Table) -> Option<Column> {
    let all: Vec<String> = source.columns.iter().map(|c| c.name.clone()).collect();
    let transform = Transform::compile(source, &all, std::slice::from_ref(t)).ok()?;
    transform.logical(0).map(|l| Column::plain(t.name.clone(), l.clone(), ""))
}

/// Columns that the policies need: the deletion mark and the stamp.
fn policy_columns(policy: &Policy, have: &[Column], to: Side<'_>) -> Vec<Column> {
    let mut wanted: Vec<Column> = Vec::new();
    let instant = LogicalType::TimestampTz { digits: 6 };
    if let Some(DeleteAction::Mark { column, value, .. }) = policy.delete_action() {
        let is_flag = matches!(value, syncline_connector::MarkValue::Constant(syncline_model::Value::Bool(_)));
        let mut c = Column::plain(column, if is_flag { LogicalType::Bool } else { instant.clone() }, "");
        if is_flag {
            c.nullable = false;
            c.default = ColumnDefault::Constant("true".to_owned());
        }
        wanted.push(c);
    }
    if let Some(stamp) = &policy.options.stamp {
        wanted.push(Column::plain(stamp.clone(), instant, ""));
    }
    wanted.retain(|w| !have.iter().any(|h| h.name == w.name));
    wanted.iter().map(|w| to.connector.map_column(w, elsewhere(to)).0).collect()
}

/// Longest identifier, in bytes, that PostgreSQL keeps; MySQL keeps 64 characters. The stricter one serves both.
const NAME_BYTES_MAX: usize = 63;

/// Names that the destination would take for one (H22): equal after truncation, or by case where case does not count.
fn refuse_equal_names(stream: &str, table: &TableName, columns: &[Column], to: Side<'_>) -> Result<()> {
    let folds_case = to.connector.engine() != syncline_model::Engine::Postgres;
    let folded = |n: &str| {
        let cut = (0..=n.len().min(NAME_BYTES_MAX)).rev().find(|&i| n.is_char_boundary(i)).unwrap_or(0);
        if folds_case { n[..cut].to_lowercase() } else { n[..cut].to_owned() }
    };
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for c in columns {
        if let Some(other) = seen.insert(folded(&c.name), &c.name) {
            return Err(EngineError::Config {
                code: "name_collision",
                message: format!("stream `{stream}`: columns `{other}` and `{}` would have one name in `{table}`", c.name),
                hint: Some("rename one of them with `fields`".to_owned()),
            });
        }
    }
    Ok(())
}

/// Keys, foreign keys and indexes of a new table, once all streams have their destination names; then its DDL.
///
/// # Errors
/// None at present; kept fallible for what a connector may refuse.
pub fn complete(pair: &mut Pair, names: &BTreeMap<TableName, TableName>, from: Side<'_>, to: Side<'_>) -> Result<()> {
    let same_engine = from.connector.engine() == to.connector.engine();
    let renamed: BTreeMap<&str, &str> =
        pair.copied_from.iter().zip(&pair.columns).filter_map(|(s, c)| s.as_deref().map(|s| (s, c.name.as_str()))).collect();
    let all = |columns: &[String]| columns.iter().map(|c| renamed.get(c.as_str()).map(|n| (*n).to_owned())).collect::<Option<Vec<_>>>();
    let mut left_out = Vec::new();
    pair.dest.primary_key.clone_from(&pair.key_dest);
    for unique in &pair.source.uniques {
        match all(&unique.columns) {
            Some(columns) if columns != pair.key_dest => {
                pair.dest.uniques.push(syncline_model::schema::UniqueKey {
                    name: index_name(pair, &unique.name, same_engine),
                    columns,
                    ..unique.clone()
                });
            }
            Some(_) => {}
            None => left_out.push(format!("unique key `{}`: not all of its columns are synced", unique.name)),
        }
    }
    for fk in &pair.source.foreign_keys {
        match (all(&fk.columns), names.get(&fk.parent)) {
            (Some(columns), Some(parent)) => pair.dest.foreign_keys.push(ForeignKey { columns, parent: parent.clone(), ..fk.clone() }),
            (None, _) => left_out.push(format!("foreign key `{}` to `{}`: not all of its columns are synced", fk.name, fk.parent)),
            (_, None) => left_out.push(format!(
                "foreign key `{}` to `{}`: no stream of this run makes that table, and it is not there; no later run adds the key",
                fk.name, fk.parent
            )),
        }
    }
    for index in &pair.source.indexes {
        match all(&index.columns) {
            Some(columns) if index.plain => pair.dest.indexes.push(syncline_model::schema::Index {
                name: index_name(pair, &index.name, same_engine),
                columns,
                ..index.clone()
            }),
            _ if same_engine && pair.is_plain() => pair.dest.indexes.push(index.clone()),
            None => left_out.push(format!("index `{}`: not all of its columns are synced", index.name)),
            Some(_) => left_out
                .push(format!("index `{}`: it is more than a list of columns (an expression, a condition, a kind of its own)", index.name)),
        }
    }
    keep_identity(pair);
    let new = NewTable {
        name: pair.dest.name.clone(),
        columns: pair.dest.columns.clone(),
        primary_key: pair.dest.primary_key.clone(),
        uniques: pair.dest.uniques.clone(),
        foreign_keys: pair.dest.foreign_keys.clone(),
        indexes: pair.dest.indexes.clone(),
        comment: pair.source.comment.clone(),
    };
    let mut ddl = to.connector.ddl(&new);
    for check in &pair.source.checks {
        left_out.push(format!("check `{}`: written in the source's SQL", check.name));
    }
    ddl.left_out.extend(left_out);
    for narrow in &ddl.narrowed {
        pair.dest.columns.iter_mut().chain(&mut pair.columns).filter(|c| c.name == narrow.name).for_each(|c| c.clone_from(narrow));
    }
    pair.create = Some(ddl);
    pair.new_table = Some(new);
    // The index over a unique key is the unique key's own.
    Ok(())
}

/// Index names are unique within a table in MySQL, within a schema elsewhere: across engines the table's name goes in front.
fn index_name(pair: &Pair, name: &str, same_engine: bool) -> String {
    let table = &pair.dest.name.name;
    if same_engine || name.starts_with(table.as_str()) {
        return name.to_owned();
    }
    let long = format!("{table}_{name}");
    if long.len() <= NAME_BYTES_MAX {
        return long;
    }
    // Two long names must stay two: the end becomes a hash of the whole.
    cut_name(&long, &format!("_{:08x}", xxhash_rust::xxh3::xxh3_64(long.as_bytes()) >> 32))
}

/// Whether every destination keeps the whole name.
pub fn is_short(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
}

/// The start of a name, cut so that it has room for `end`.
pub fn cut_name(name: &str, end: &str) -> String {
    let cut = (0..=name.len().min(NAME_BYTES_MAX - end.len())).rev().find(|&i| name.is_char_boundary(i)).unwrap_or(0);
    format!("{}{end}", &name[..cut])
}

/// A created column is an identity by default, so that rows with their own keys go in.
fn keep_identity(pair: &mut Pair) {
    for c in &mut pair.dest.columns {
        if c.identity == Identity::Always {
            c.identity = Identity::ByDefault;
        }
    }
}

/// `ALTER TABLE … ADD COLUMN` through the connector's own DDL of the column.
pub fn add_column(table: &Table, column: &Column, to: Side<'_>) -> String {
    to.connector.add_column_ddl(&table.name, column)
}
