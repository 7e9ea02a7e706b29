//! SQLite's SQL for the staged apply. Pure text.

use syncline_model::{Column, LogicalType as T, Table, TableName};
use syncline_sql::{BEFORE, CycleInsert, Dialect, MARKER, ROW_NUMBER};

use crate::affinity::Affinity;
use crate::ddl;
use crate::functions::ARGUMENTS_MAX;
use crate::quote;
use crate::read::may_be_large;

/// The dialect. Staging tables live in the connection's temp database.
#[derive(Clone, Copy, Debug, Default)]
pub struct SqliteDialect;

const TEMP: &str = "temp.";

impl Dialect for SqliteDialect {
    fn quote(&self, name: &str) -> String {
        quote::name(name)
    }

    fn literal(&self, text: &str) -> String {
        quote::literal(text)
    }

    fn table(&self, name: &TableName) -> String {
        quote::name(&name.name)
    }

    fn staging_table(&self, _target: &Table, name: &str) -> String {
        format!("{TEMP}{}", quote::name(name))
    }

    fn staging_ddl(&self, sql_name: &str, columns: &[&Column], key: &[String]) -> Vec<String> {
        // The rowid numbers rows as they arrive.
        let mut parts = vec![format!("{} INTEGER PRIMARY KEY", quote::name(ROW_NUMBER))];
        parts.extend(columns.iter().map(|c| staged_column(c)));
        let mut list = vec![format!("CREATE TABLE {sql_name} ({})", parts.join(", "))];
        let bare = sql_name.strip_prefix(TEMP).unwrap_or(sql_name);
        if !key.is_empty() && key.iter().all(|k| columns.iter().any(|c| c.name == *k)) {
            let index = quote::name(&format!("{}_key", bare.trim_matches('"')));
            list.push(format!("CREATE INDEX {TEMP}{index} ON {bare} ({})", quote::names(key)));
        }
        list
    }

    fn staging_drop(&self, sql_name: &str) -> Vec<String> {
        vec![format!("DROP TABLE IF EXISTS {sql_name}")]
    }

    fn staging_loaded(&self, sql_name: &str) -> Vec<String> {
        // Without it the planner takes every table for a million rows and may scan the destination.
        vec![format!("ANALYZE {sql_name}")]
    }

    fn length(&self, column: &Column, a: &str) -> Option<String> {
        let value = format!("{a}.{}", quote::name(&column.name));
        // Of numbers it would be that of their text, which is short.
        may_be_large(&column.logical).then(|| format!("coalesce(octet_length({value}), 0)"))
    }

    fn differs(&self, columns: &[&Column], left: &str, right: &str) -> String {
        let terms: Vec<String> = columns.iter().map(|c| one_differs(c, left, right)).collect();
        any(&terms)
    }

    fn update_from(&self, table: &str, stage: &str, sets: &[(String, String)], on: &str, filter: &str) -> String {
        let sets: Vec<String> = sets.iter().map(|(column, value)| format!("{column} = {value}")).collect();
        format!("UPDATE {table} AS d SET {} FROM {stage} AS s WHERE {on} AND ({filter})", sets.join(", "))
    }

    fn delete_from(&self, table: &str, stage: &str, on: &str, filter: &str) -> String {
        format!("DELETE FROM {table} AS d WHERE EXISTS (SELECT 1 FROM {stage} AS s WHERE {on} AND ({filter}))")
    }

    fn insert_override(&self, _table: &Table) -> &'static str {
        ""
    }

    fn now(&self, column: &Column) -> String {
        ddl::now_sql(&column.logical).unwrap_or_else(|| "CURRENT_TIMESTAMP".to_owned())
    }

    fn cycle_insert(&self) -> CycleInsert {
        CycleInsert::Defer
    }

    fn cycle_guard(&self) -> (Vec<String>, Vec<String>) {
        // Never switched off again within the transaction: a parent that comes after that would not settle the count of
        // what is still owed, and COMMIT would fail. COMMIT itself switches it off.
        (vec!["PRAGMA defer_foreign_keys = ON".to_owned()], Vec::new())
    }

    fn image(&self, columns: &[&Column], a: &str) -> String {
        let parts = calls("syncline_image", columns, a);
        if parts.len() == 1 { parts.concat() } else { format!("syncline_image_join({})", parts.join(", ")) }
    }

    fn row_hash(&self, columns: &[&Column], a: &str) -> String {
        let parts = calls("syncline_row_hash", columns, a);
        if parts.len() == 1 { parts.concat() } else { format!("syncline_row_hash({})", parts.join(", ")) }
    }

    fn image_select(&self, _table: &Table, columns: &[&Column], a: &str) -> String {
        let one = |(i, c): (usize, &&Column)| format!("syncline_image_cell({a}.image, {i}) AS {}", quote::name(&c.name));
        columns.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
    }

    fn placeholder(&self, column: &Column, key: &[&Column]) -> Option<String> {
        let hash = self.row_hash(key, "s");
        match column.logical {
            // Below every number in use; 48 bits of the key's hash keep rows apart. STRICT tables take no text here.
            T::Int { .. } | T::Year | T::Bool => Some(format!("(-9000000000000000000 - syncline_number({hash}))")),
            T::Float { .. } | T::Bytes { .. } | T::Geometry => None,
            T::Decimal { .. } if Affinity::of(&column.native) != Affinity::Text => None,
            _ => Some(format!("('~syncline:' || {hash})")),
        }
    }

    fn views_over(&self, table: &TableName) -> Option<String> {
        let name = self.literal(&table.name.to_lowercase());
        Some(format!("SELECT name FROM sqlite_schema WHERE type = 'view' AND instr(lower(sql), {name}) > 0"))
    }

    fn lock_table(&self, _table: &str) -> Option<String> {
        None
    }

    fn bookkeeping_ddl(&self, _schema: Option<&str>) -> Vec<String> {
        vec![
            format!(
                "CREATE TABLE IF NOT EXISTS {MARKER} (sync TEXT NOT NULL, scope TEXT NOT NULL, stream TEXT NOT NULL, run TEXT NOT NULL, \
                 step BIGINT NOT NULL, PRIMARY KEY (sync, scope, stream)) WITHOUT ROWID"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {BEFORE} (run TEXT NOT NULL, stream TEXT NOT NULL, op TEXT NOT NULL, n BIGINT NOT NULL, \
                 key_image BLOB, image BLOB, after_hash TEXT)"
            ),
            format!("CREATE INDEX IF NOT EXISTS syncline_before_run ON {BEFORE} (run, stream, n)"),
        ]
    }

    fn bookkeeping_schema(&self) -> Option<String> {
        None
    }

    fn ddl_commits(&self) -> bool {
        false
    }
}

fn staged_column(column: &Column) -> String {
    let collation = column.loose_collation.as_deref().map(|c| format!(" COLLATE {}", quote::name(c))).unwrap_or_default();
    format!("{} {}{collation}", quote::name(&column.name), column.native)
}

fn one_differs(column: &Column, left: &str, right: &str) -> String {
    let q = quote::name(&column.name);
    let (l, r) = (format!("{left}.{q}"), format!("{right}.{q}"));
    let mut sql = format!("{l} IS NOT {r} COLLATE BINARY OR typeof({l}) <> typeof({r})");
    if Affinity::of(&column.native) == Affinity::Blob {
        // Only a column without conversions keeps the sign of zero, which IS does not see (R9).
        sql.push_str(&format!(" OR ({l} = 0.0 AND syncline_row_hash({l}) <> syncline_row_hash({r}))"));
    }
    format!("({sql})")
}

/// Terms joined by OR as a balanced tree: SQLite refuses expressions deeper than 1,000, and a table may have 2,000 columns.
fn any(terms: &[String]) -> String {
    match terms {
        [] => "FALSE".to_owned(),
        [one] => one.clone(),
        many => {
            let (a, b) = many.split_at(many.len() / 2);
            format!("({} OR {})", any(a), any(b))
        }
    }
}

/// Calls of a function over all columns, few enough arguments each.
fn calls(function: &str, columns: &[&Column], a: &str) -> Vec<String> {
    let one = |chunk: &[&Column]| {
        let names: Vec<String> = chunk.iter().map(|c| format!("{a}.{}", quote::name(&c.name))).collect();
        format!("{function}({})", names.join(", "))
    };
    columns.chunks(ARGUMENTS_MAX).map(one).collect()
}
