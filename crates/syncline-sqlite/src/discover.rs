//! Reading the catalogue: tables and views with everything that makes writing to them special.

use std::collections::HashMap;

use rusqlite::Connection;
use syncline_model::schema::{ColumnDefault, ForeignKey, Identity, Index, OnDelete, TableKind, UniqueKey};
use syncline_model::{Catalog, Column, LogicalType, Table, TableName};

use crate::native;
use crate::parse;
use crate::quote;

/// Tables that Syncline keeps for itself.
pub(crate) const BOOKKEEPING: [&str; 2] = ["syncline_marker", "syncline_before"];

type Outcome<T> = rusqlite::Result<T>;

/// One line of `pragma_table_list`.
struct Entry {
    name: String,
    kind: TableKind,
    without_rowid: bool,
    sql: Option<String>,
}

/// All tables and views of the main database.
pub(crate) fn catalog(conn: &Connection) -> Outcome<Catalog> {
    let triggers = triggers(conn)?;
    let mut tables = Vec::new();
    for entry in entries(conn)? {
        let (name, kind) = (entry.name.clone(), entry.kind);
        match table(conn, entry, &triggers) {
            Ok(table) => tables.push(table),
            // A view over what is gone, or a module that is not built in: nothing can be read there by anybody.
            Err(e) if kind == TableKind::View => tracing::warn!(view = %name, error = %e, "left out: it cannot be read"),
            Err(e) => return Err(e),
        }
    }
    Ok(Catalog { tables, ..Catalog::default() })
}

/// Shadow tables belong to their virtual table; those read like views.
fn entries(conn: &Connection) -> Outcome<Vec<Entry>> {
    let sql = "SELECT l.name, l.type, l.wr, s.sql FROM pragma_table_list AS l LEFT JOIN sqlite_schema AS s ON s.name = l.name \
               AND s.type IN ('table', 'view') WHERE l.schema = 'main' AND l.type <> 'shadow' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
               ORDER BY l.name";
    let mut statement = conn.prepare(sql)?;
    let rows = statement.query_map([], |r| {
        let word: String = r.get(1)?;
        let kind = if word == "table" { TableKind::Table } else { TableKind::View };
        Ok(Entry { name: r.get(0)?, kind, without_rowid: r.get(2)?, sql: r.get(3)? })
    })?;
    let mut all = rows.collect::<Outcome<Vec<_>>>()?;
    all.retain(|e| !BOOKKEEPING.contains(&e.name.as_str()));
    Ok(all)
}

/// Triggers per table: (for INSERT, for UPDATE or DELETE).
fn triggers(conn: &Connection) -> Outcome<HashMap<String, (bool, bool)>> {
    let mut statement = conn.prepare("SELECT tbl_name, sql FROM sqlite_schema WHERE type = 'trigger'")?;
    let mut found: HashMap<String, (bool, bool)> = HashMap::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let sql: String = row.get::<_, Option<String>>(1)?.unwrap_or_default();
        let head = sql.to_ascii_uppercase();
        let head = head.split("BEGIN").next().unwrap_or("");
        let seen = found.entry(row.get(0)?).or_default();
        let says = |word: &str| head.split_whitespace().any(|w| w == word);
        seen.0 |= says("INSERT");
        seen.1 |= says("UPDATE") || says("DELETE");
    }
    Ok(found)
}

fn table(conn: &Connection, entry: Entry, triggers: &HashMap<String, (bool, bool)>) -> Outcome<Table> {
    let facts = entry.sql.as_deref().map(parse::table).unwrap_or_default();
    let (mut columns, primary_key) = columns(conn, &entry)?;
    if let ([key], TableKind::Table, false) = (primary_key.as_slice(), entry.kind, entry.without_rowid) {
        number_rowid_alias(&mut columns, key);
    }
    let (uniques, indexes) = indexes(conn, &entry.name)?;
    let (insert_triggers, change_triggers) = triggers.get(&entry.name).copied().unwrap_or_default();
    let rows_estimate = rows_at_most(conn, &entry, &columns);
    Ok(Table {
        foreign_keys: foreign_keys(conn, &entry.name, &facts)?,
        name: TableName::bare(entry.name),
        kind: entry.kind,
        columns,
        primary_key,
        uniques,
        checks: facts.checks,
        indexes,
        insert_triggers,
        change_triggers,
        rows_estimate,
        non_transactional: false,
        incarnation: None,
        comment: None,
    })
}

/// A row takes at least its pointer, two lengths and a number.
const CELL_BYTES_MIN: i128 = 5;

/// How many rows there can be, without a scan: the span of the row numbers, found at both ends of the tree, and no more than the file has
/// room for. Numbers with large gaps make it too high; it is for showing how far a read has come.
fn rows_at_most(conn: &Connection, entry: &Entry, columns: &[Column]) -> Option<u64> {
    // A column of that name hides the number of the row.
    if entry.kind != TableKind::Table || entry.without_rowid || columns.iter().any(|c| c.name.eq_ignore_ascii_case("rowid")) {
        return None;
    }
    let table = quote::name(&entry.name);
    let sql = format!(
        "SELECT (SELECT min(rowid) FROM {table}), (SELECT max(rowid) FROM {table}), (SELECT page_count FROM pragma_page_count),
           (SELECT page_size FROM pragma_page_size)"
    );
    type Ends = (Option<i64>, Option<i64>, i64, i64);
    let ends: rusqlite::Result<Ends> = conn.query_row(&sql, [], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)));
    // An estimate that cannot be had is no reason to know nothing of the table.
    let (first, last, pages, page) = ends.ok()?;
    let (Some(first), Some(last)) = (first, last) else { return Some(0) };
    let span = i128::from(last) - i128::from(first) + 1;
    u64::try_from(span.min(i128::from(pages) * i128::from(page) / CELL_BYTES_MIN)).ok()
}

/// `INTEGER PRIMARY KEY` is the rowid under another name: it numbers itself and is never NULL.
fn number_rowid_alias(columns: &mut [Column], key: &str) {
    if let Some(c) = columns.iter_mut().find(|c| c.name == key && c.native.eq_ignore_ascii_case("INTEGER")) {
        c.identity = Identity::ByDefault;
        c.nullable = false;
    }
}

/// Columns in order, and the names of the primary key in key order.
fn columns(conn: &Connection, entry: &Entry) -> Outcome<(Vec<Column>, Vec<String>)> {
    let mut statement =
        conn.prepare("SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1) WHERE hidden <> 1")?;
    let mut rows = statement.query([&entry.name])?;
    let (mut columns, mut key) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let declared: String = row.get::<_, Option<String>>(1)?.unwrap_or_default();
        let not_null: bool = row.get(2)?;
        let place: i64 = row.get(4)?;
        if place > 0 {
            key.push((place, name.clone()));
        }
        let mut column = Column::plain(name, native::logical(&declared), declared);
        column.nullable = !(not_null || (place > 0 && entry.without_rowid));
        column.default = default(row.get::<_, Option<String>>(3)?.as_deref(), &column.logical);
        column.generated = row.get::<_, i64>(5)? > 1;
        if entry.kind == TableKind::Table {
            column.loose_collation = loose_collation(conn, &entry.name, &column.name)?;
        }
        columns.push(column);
    }
    key.sort();
    Ok((columns, key.into_iter().map(|(_, name)| name).collect()))
}

fn loose_collation(conn: &Connection, table: &str, column: &str) -> Outcome<Option<String>> {
    let (_, collation, ..) = conn.column_metadata(Some("main"), table, column)?;
    let name = collation.map(|c| c.to_string_lossy().into_owned());
    Ok(name.filter(|n| !n.eq_ignore_ascii_case("BINARY")))
}

/// A default's SQL as what it means.
fn default(sql: Option<&str>, logical: &LogicalType) -> ColumnDefault {
    let Some(sql) = sql.map(str::trim) else { return ColumnDefault::None };
    let upper = sql.to_ascii_uppercase();
    match upper.as_str() {
        "NULL" | "(NULL)" => return ColumnDefault::None,
        "TRUE" => return ColumnDefault::Constant("1".into()),
        "FALSE" => return ColumnDefault::Constant("0".into()),
        "CURRENT_TIMESTAMP" | "DATETIME('NOW')" | "(DATETIME('NOW'))" => return ColumnDefault::Now,
        "CURRENT_DATE" if *logical == LogicalType::Date => return ColumnDefault::Now,
        "CURRENT_TIME" if matches!(logical, LogicalType::Time { .. }) => return ColumnDefault::Now,
        _ => {}
    }
    if let Some(text) = sql.strip_prefix('\'').and_then(|s| s.strip_suffix('\''))
        && !text.replace("''", "").contains('\'')
    {
        return ColumnDefault::Constant(text.replace("''", "'"));
    }
    if syncline_model::decimal::parts(sql).is_some() {
        return ColumnDefault::Constant(sql.to_owned());
    }
    ColumnDefault::Expression(sql.to_owned())
}

fn indexes(conn: &Connection, table: &str) -> Outcome<(Vec<UniqueKey>, Vec<Index>)> {
    let mut statement = conn.prepare(
        "SELECT l.name, l.\"unique\", l.origin, l.partial, s.sql FROM pragma_index_list(?1) AS l \
         LEFT JOIN sqlite_schema AS s ON s.type = 'index' AND s.name = l.name ORDER BY l.seq DESC",
    )?;
    let mut rows = statement.query([table])?;
    let (mut uniques, mut others) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let (name, unique, origin, partial): (String, bool, String, bool) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        if origin == "pk" {
            continue;
        }
        let (columns, whole) = index_columns(conn, &name)?;
        let plain = whole && !partial;
        if unique && plain {
            uniques.push(UniqueKey { name, columns, nulls_equal: false });
        } else {
            let definition = row.get::<_, Option<String>>(4)?.unwrap_or_default();
            others.push(Index { name, columns, unique, plain, definition });
        }
    }
    Ok((uniques, others))
}

/// The columns of an index, and whether it is over plain columns in their own order and collation.
fn index_columns(conn: &Connection, index: &str) -> Outcome<(Vec<String>, bool)> {
    let mut statement = conn.prepare("SELECT name, \"desc\", coll FROM pragma_index_xinfo(?1) WHERE key = 1 ORDER BY seqno")?;
    let mut rows = statement.query([index])?;
    let (mut columns, mut plain) = (Vec::new(), true);
    while let Some(row) = rows.next()? {
        match row.get::<_, Option<String>>(0)? {
            Some(name) => columns.push(name),
            None => plain = false,
        }
    }
    if !plain {
        columns.clear();
    }
    Ok((columns, plain))
}

fn foreign_keys(conn: &Connection, table: &str, facts: &parse::TableSql) -> Outcome<Vec<ForeignKey>> {
    let mut statement =
        conn.prepare("SELECT id, \"table\", \"from\", \"to\", on_delete FROM pragma_foreign_key_list(?1) ORDER BY id DESC, seq")?;
    let mut rows = statement.query([table])?;
    let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if keys.last().is_none_or(|(last, _)| *last != id) {
            // Ids count down in the order of declaration.
            let said = facts.foreign_keys.get(keys.len()).cloned().unwrap_or_default();
            let parent: String = row.get(1)?;
            let on_delete = match row.get::<_, String>(4)?.as_str() {
                "CASCADE" => OnDelete::Cascade,
                "SET NULL" | "SET DEFAULT" => OnDelete::Clear,
                _ => OnDelete::Refuse,
            };
            let name = said.name.unwrap_or_else(|| format!("{table}_fk_{}", keys.len() + 1));
            let (columns, parent_columns) = (Vec::new(), Vec::new());
            keys.push((
                id,
                ForeignKey { name, columns, parent: TableName::bare(parent), parent_columns, on_delete, deferrable: said.deferred },
            ));
        }
        let key = &mut keys.last_mut().expect("invariant: pushed above").1;
        key.columns.push(row.get(2)?);
        if let Some(to) = row.get::<_, Option<String>>(3)? {
            key.parent_columns.push(to);
        }
    }
    let mut keys: Vec<ForeignKey> = keys.into_iter().map(|(_, key)| key).collect();
    for key in keys.iter_mut().filter(|k| k.parent_columns.is_empty()) {
        key.parent_columns = primary_key_of(conn, &key.parent.name)?;
    }
    // A reference to a table spelled in another case is the same table.
    for key in &mut keys {
        if let Some(name) = spelled(conn, &key.parent.name)? {
            key.parent = TableName::bare(name);
        }
    }
    Ok(keys)
}

fn primary_key_of(conn: &Connection, table: &str) -> Outcome<Vec<String>> {
    let mut statement = conn.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE pk > 0 ORDER BY pk")?;
    statement.query_map([table], |r| r.get(0))?.collect()
}

fn spelled(conn: &Connection, table: &str) -> Outcome<Option<String>> {
    let mut statement = conn.prepare_cached("SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE")?;
    let mut rows = statement.query([table])?;
    rows.next()?.map(|r| r.get(0)).transpose()
}
