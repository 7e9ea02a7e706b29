//! DDL of new tables.

use syncline_connector::{LoadDdl, NewTable, TableDdl};
use syncline_model::schema::{ColumnDefault, Identity, OnDelete};
use syncline_model::{Column, LogicalType, Table, TableName};

use crate::fit::{EXACT_COLLATION, KEY_CHARS_MAX};
use crate::native::Native;
use crate::quote;

/// Characters of a text column that a plain index covers: 191 × 4 bytes fits every row format.
const INDEX_PREFIX_CHARS: u32 = 191;

/// The statements that make `table`. The primary key is part of CREATE: InnoDB stores the rows in it.
pub(crate) fn create(table: &NewTable) -> TableDdl {
    let sql_name = quote::table(&table.name);
    let mut ddl = TableDdl { drop: drop_statements(&sql_name), ..TableDdl::default() };
    let table = &narrowed(table, &mut ddl);
    let identity = table.columns.iter().find(|c| c.identity != Identity::No).map(|c| c.name.clone());
    let counted = identity.filter(|i| table.primary_key.first() == Some(i));
    let mut lines = Vec::new();
    for c in &table.columns {
        lines.push(column(table, c, counted.as_ref() == Some(&c.name), &mut ddl.left_out));
    }
    if !table.primary_key.is_empty() {
        lines.push(format!("PRIMARY KEY ({})", key_list(&table.primary_key)));
    }
    let comment = table.comment.as_ref().map_or_else(String::new, |c| format!(" COMMENT={}", quote::text(c)));
    ddl.create.push(format!("CREATE TABLE {sql_name} (\n  {}\n) ENGINE=InnoDB DEFAULT {EXACT_COLLATION}{comment}", lines.join(",\n  ")));
    for u in &table.uniques {
        if u.nulls_equal {
            ddl.left_out.push(format!("unique key `{}`: NULLs count as different here", u.name));
        }
        ddl.keys.push(format!("ALTER TABLE {sql_name} ADD UNIQUE KEY {} ({})", quote::name(&cut(&u.name)), key_list(&u.columns)));
    }
    for i in table.indexes.iter().filter(|i| i.plain && !i.columns.is_empty()) {
        let parts: Vec<String> = i.columns.iter().map(|c| index_part(table, c)).collect();
        ddl.keys.push(format!("ALTER TABLE {sql_name} ADD KEY {} ({})", quote::name(&cut(&i.name)), parts.join(", ")));
    }
    for i in table.indexes.iter().filter(|i| !i.plain || i.columns.is_empty()) {
        ddl.left_out.push(format!("index `{}`: not over plain columns", i.name));
    }
    for f in &table.foreign_keys {
        let names = |list: &[String]| list.iter().map(|c| quote::name(c)).collect::<Vec<_>>().join(", ");
        let action = match f.on_delete {
            OnDelete::Refuse => "",
            OnDelete::Cascade => " ON DELETE CASCADE",
            OnDelete::Clear => " ON DELETE SET NULL",
        };
        ddl.foreign_keys.push(format!(
            "ALTER TABLE {sql_name} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}){action}",
            quote::name(&cut(&f.name)),
            names(&f.columns),
            quote::table(&f.parent),
            names(&f.parent_columns)
        ));
    }
    ddl
}

/// The same for a table that is filled as `load` first. Keys and foreign keys come while it still has that name, and go along with it.
pub(crate) fn load(table: &NewTable, load: &TableName) -> LoadDdl {
    let named = NewTable { name: load.clone(), ..table.clone() };
    let whole = create(&named);
    let bare = TableDdl { create: whole.create, drop: whole.drop, ..TableDdl::default() };
    let place = TableDdl { keys: whole.keys, foreign_keys: whole.foreign_keys, ..TableDdl::default() };
    let comment = quote::text(table.comment.as_deref().unwrap_or_default());
    LoadDdl { bare, place, comment: vec![format!("ALTER TABLE {} COMMENT={comment}", quote::table(&table.name))] }
}

/// One statement: readers see all of the tables, or none.
pub(crate) fn rename(tables: &[(TableName, TableName)]) -> Vec<String> {
    let pairs: Vec<String> = tables.iter().map(|(from, to)| format!("{} TO {}", quote::table(from), quote::table(to))).collect();
    if pairs.is_empty() { Vec::new() } else { vec![format!("RENAME TABLE {}", pairs.join(", "))] }
}

/// Foreign keys first: an index that one of them needs does not go before it.
pub(crate) fn unkey(table: &Table) -> Vec<String> {
    let sql_name = quote::table(&table.name);
    let indexes = table.uniques.iter().map(|u| &u.name).chain(table.indexes.iter().map(|i| &i.name));
    let foreign: Vec<String> = table.foreign_keys.iter().map(|f| format!("DROP FOREIGN KEY {}", quote::name(&f.name))).collect();
    let indexes: Vec<String> = indexes.map(|name| format!("DROP KEY {}", quote::name(name))).collect();
    [foreign, indexes]
        .iter()
        .filter(|parts| !parts.is_empty())
        .map(|parts| format!("ALTER TABLE {sql_name} {}", parts.join(", ")))
        .collect()
}

/// Tables that are dropped together may point at each other.
fn drop_statements(table: &str) -> Vec<String> {
    vec!["SET foreign_key_checks = 0".to_owned(), format!("DROP TABLE {table}"), "SET foreign_key_checks = 1".to_owned()]
}

/// Adds a column, with NULL allowed: rows that are there have no value for it yet.
pub(crate) fn add_column(table: &TableName, column: &Column) -> String {
    format!("ALTER TABLE {} ADD COLUMN {} {} NULL", quote::table(table), quote::name(&column.name), column.native)
}

/// Names have at most 64 characters.
fn cut(name: &str) -> String {
    name.chars().take(64).collect()
}

fn column(table: &NewTable, c: &Column, counted: bool, left_out: &mut Vec<String>) -> String {
    let mut line = format!("{} {}", quote::name(&c.name), c.native);
    line += if c.nullable && !table.primary_key.contains(&c.name) { " NULL" } else { " NOT NULL" };
    if counted {
        line += " AUTO_INCREMENT";
    } else if let Some(default) = default(c) {
        line += &format!(" DEFAULT {default}");
    } else if c.default != ColumnDefault::None {
        left_out.push(format!("default of column `{}`", c.name));
    }
    if let Some(comment) = &c.comment {
        line += &format!(" COMMENT {}", quote::text(comment));
    }
    line
}

/// The table with VARCHAR for text without a length where a key, or a foreign key, needs one.
fn narrowed(table: &NewTable, ddl: &mut TableDdl) -> NewTable {
    let mut table = table.clone();
    for i in 0..table.columns.len() {
        let native = native(&table, &table.columns[i], &mut ddl.left_out);
        let c = &mut table.columns[i];
        if native != c.native {
            c.logical = Native::parse(&native).logical(false);
            c.native = native;
            ddl.narrowed.push(c.clone());
        }
    }
    table
}

fn native(table: &NewTable, c: &Column, left_out: &mut Vec<String>) -> String {
    let keyed = |columns: &[String]| columns.contains(&c.name).then_some(columns.len());
    let keys = std::iter::once(&table.primary_key).chain(table.uniques.iter().map(|u| &u.columns));
    let keys = keys.chain(table.foreign_keys.iter().map(|f| &f.columns));
    let Some(width) = keys.filter_map(|k| keyed(k)).max() else { return c.native.clone() };
    let parts = Native::parse(&c.native);
    let most = KEY_CHARS_MAX / u32::try_from(width).unwrap_or(KEY_CHARS_MAX).max(1);
    match parts.base.as_str() {
        "tinytext" | "text" | "mediumtext" | "longtext" => {
            left_out.push(format!("column `{}` keeps at most {most} characters, because it is part of a key", c.name));
            c.native.replacen(&parts.base, &format!("varchar({most})"), 1)
        }
        "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            left_out.push(format!("column `{}` keeps at most {} bytes, because it is part of a key", c.name, most * 4));
            c.native.replacen(&parts.base, &format!("varbinary({})", most * 4), 1)
        }
        _ => c.native.clone(),
    }
}

fn key_list(columns: &[String]) -> String {
    columns.iter().map(|c| quote::name(c)).collect::<Vec<_>>().join(", ")
}

fn index_part(table: &NewTable, name: &str) -> String {
    let q = quote::name(name);
    let Some(c) = table.columns.iter().find(|c| c.name == name) else { return q };
    let parts = Native::parse(&c.native);
    let long =
        parts.chars_max().is_none() && matches!(c.logical, LogicalType::Text { .. } | LogicalType::Json { .. } | LogicalType::Bytes { .. });
    let in_key = table.primary_key.iter().chain(table.uniques.iter().flat_map(|u| &u.columns)).any(|k| k == name);
    let wide = parts.chars_max().is_some_and(|n| n > KEY_CHARS_MAX);
    if (long && parts.bytes_max().is_none_or(|b| b >= 255) && !in_key) || wide { format!("{q}({INDEX_PREFIX_CHARS})") } else { q }
}

fn default(c: &Column) -> Option<String> {
    use LogicalType as T;
    let parts = Native::parse(&c.native);
    let moment = matches!(parts.base.as_str(), "datetime" | "timestamp");
    match &c.default {
        // A TIMESTAMP without a default would get one of the server's, with ON UPDATE, in older modes.
        ColumnDefault::None if parts.base == "timestamp" && !c.nullable => Some(now(&parts)),
        ColumnDefault::None => None,
        ColumnDefault::Now if moment => Some(now(&parts)),
        ColumnDefault::Now => None,
        ColumnDefault::Expression(sql) => Some(format!("({sql})")),
        ColumnDefault::Constant(text) => match &c.logical {
            T::Int { .. } | T::Bool | T::Year => number(text),
            T::Decimal { .. } | T::Float { .. } => text.parse::<f64>().ok().map(|_| text.clone()),
            T::Text { .. } if parts.chars_max().is_some() => Some(quote::text(text)),
            T::Text { .. } => Some(format!("({})", quote::text(text))),
            T::Enum { .. } | T::Set { .. } | T::Date | T::Timestamp { .. } | T::TimeSpan { .. } | T::Time { .. } => Some(quote::text(text)),
            _ => None,
        },
    }
}

fn number(text: &str) -> Option<String> {
    match text {
        "true" => Some("1".to_owned()),
        "false" => Some("0".to_owned()),
        _ => text.parse::<i128>().ok().map(|n| n.to_string()),
    }
}

fn now(parts: &Native) -> String {
    match parts.args.first() {
        Some(n) if *n > 0 => format!("CURRENT_TIMESTAMP({n})"),
        _ => "CURRENT_TIMESTAMP".to_owned(),
    }
}
