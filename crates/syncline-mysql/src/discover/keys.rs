//! Primary, unique and foreign keys, and secondary indexes.

use std::collections::BTreeMap;

use mysql_async::Conn;
use syncline_connector::Result;
use syncline_model::TableName;
use syncline_model::schema::{ForeignKey, Index, OnDelete, UniqueKey};

use super::{Tables, take};
use crate::connect::{Site, texts};
use crate::flavour::Product;
use crate::quote;

#[derive(Default)]
struct Found {
    unique: bool,
    plain: bool,
    kind: String,
    columns: Vec<String>,
    parts: Vec<String>,
}

/// Reads all indexes: the primary key and plain unique ones become keys.
pub(super) async fn indexes(conn: &mut Conn, site: &Site, scope: &str, tables: &mut Tables) -> Result<()> {
    let expression = if site.flavour.product == Product::Mysql { "expression" } else { "NULL" };
    let sql = format!(
        "SELECT table_schema, table_name, index_name, non_unique, column_name, sub_part, index_type, {expression} \
         FROM information_schema.statistics WHERE {scope} ORDER BY table_schema, table_name, index_name, seq_in_index"
    );
    let mut found: BTreeMap<(String, String, String), Found> = BTreeMap::new();
    for row in texts(conn, &sql, "discover indexes").await? {
        let [schema, table, name, non_unique, column, prefix, kind, expression] = take(row);
        let f = found.entry((schema, table, name)).or_insert_with(|| Found { plain: true, ..Found::default() });
        f.unique = non_unique == "0";
        f.plain &= prefix.is_empty() && expression.is_empty() && kind == "BTREE";
        f.parts.push(match (expression.is_empty(), prefix.is_empty()) {
            (false, _) => format!("({expression})"),
            (true, true) => quote::name(&column),
            (true, false) => format!("{}({prefix})", quote::name(&column)),
        });
        f.kind = kind;
        if !column.is_empty() {
            f.columns.push(column);
        }
    }
    for ((schema, table, name), f) in found {
        let Some(t) = tables.get_mut(&(schema, table)) else { continue };
        if name == "PRIMARY" {
            t.primary_key = f.columns;
        } else if f.unique && f.plain {
            t.uniques.push(UniqueKey { name, columns: f.columns, nulls_equal: false });
        } else {
            t.indexes.push(index(name, f));
        }
    }
    Ok(())
}

fn index(name: String, f: Found) -> Index {
    let word = match (f.unique, f.kind.as_str()) {
        (true, _) => "UNIQUE KEY",
        (false, "FULLTEXT") => "FULLTEXT KEY",
        (false, "SPATIAL") => "SPATIAL KEY",
        (false, _) => "KEY",
    };
    let definition = format!("{word} {} ({})", quote::name(&name), f.parts.join(", "));
    Index { name, columns: f.columns, unique: f.unique, plain: f.plain, definition }
}

/// Reads all foreign keys.
pub(super) async fn foreign_keys(conn: &mut Conn, scope: &str, tables: &mut Tables) -> Result<()> {
    for (table, key) in keys_where(conn, &scope.replace("table_schema", "k.table_schema")).await? {
        if let Some(t) = table.schema.and_then(|schema| tables.get_mut(&(schema, table.name))) {
            t.foreign_keys.push(key);
        }
    }
    Ok(())
}

/// Keys by which tables of other databases, as far as this user sees them, lose rows or values when a row here goes.
pub(super) async fn outside(conn: &mut Conn, scope: &str) -> Result<Vec<(TableName, ForeignKey)>> {
    let (parent, child) = (scope.replace("table_schema", "k.referenced_table_schema"), scope.replace("table_schema", "k.table_schema"));
    keys_where(conn, &format!("r.delete_rule IN ('CASCADE', 'SET NULL', 'SET DEFAULT') AND {parent} AND NOT ({child})")).await
}

/// Foreign keys, each with its table, over aliases `k` (key_column_usage) and `r` (referential_constraints).
async fn keys_where(conn: &mut Conn, condition: &str) -> Result<Vec<(TableName, ForeignKey)>> {
    let sql = format!(
        "SELECT k.table_schema, k.table_name, k.constraint_name, k.column_name, k.referenced_table_schema, k.referenced_table_name, \
         k.referenced_column_name, r.delete_rule FROM information_schema.key_column_usage k \
         JOIN information_schema.referential_constraints r ON r.constraint_schema = k.constraint_schema \
         AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name \
         WHERE k.referenced_table_name IS NOT NULL AND {condition} ORDER BY 1, 2, 3, k.ordinal_position"
    );
    let mut keys: Vec<(TableName, ForeignKey)> = Vec::new();
    for row in texts(conn, &sql, "discover foreign keys").await? {
        let [schema, table, name, column, parent_schema, parent, parent_column, rule] = take(row);
        let table = TableName::within(schema, table);
        if keys.last().is_none_or(|(t, k)| *t != table || k.name != name) {
            let on_delete = match rule.as_str() {
                "CASCADE" => OnDelete::Cascade,
                "SET NULL" | "SET DEFAULT" => OnDelete::Clear,
                _ => OnDelete::Refuse,
            };
            let parent = TableName::within(parent_schema, parent);
            keys.push((table, ForeignKey { name, columns: Vec::new(), parent, parent_columns: Vec::new(), on_delete, deferrable: false }));
        }
        if let Some((_, key)) = keys.last_mut() {
            key.columns.push(column);
            key.parent_columns.push(parent_column);
        }
    }
    Ok(keys)
}
