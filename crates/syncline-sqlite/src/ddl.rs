//! The statements that make a new table. SQLite cannot add a primary or foreign key to a table that exists, so both are
//! part of CREATE TABLE, and a foreign key may point at a unique key, so those are there from the start as well (a row that
//! breaks one is then set aside alone). Plain indexes follow once the rows are in.

use syncline_connector::{LoadDdl, NewTable, TableDdl};
use syncline_model::schema::{ColumnDefault, ForeignKey, OnDelete};
use syncline_model::{Column, LogicalType as T, TableName};

use crate::quote;

/// The DDL of a new table.
pub(crate) fn table_ddl(table: &NewTable) -> TableDdl {
    let mut parts = Vec::new();
    let mut left_out = Vec::new();
    let alias = rowid_alias(table);
    for column in &table.columns {
        parts.push(column_sql(column, alias == Some(column.name.as_str()), &mut left_out));
    }
    if alias.is_none() && !table.primary_key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", quote::names(&table.primary_key)));
    }
    parts.extend(table.foreign_keys.iter().map(foreign_key));
    let mut create = vec![format!("CREATE TABLE {} (\n  {}\n)", quote::name(&table.name.name), parts.join(",\n  "))];
    if table.comment.is_some() {
        left_out.push(format!("the comment of `{}`: sqlite has none", table.name));
    }
    let (uniques, keys) = index_statements(table, &mut left_out);
    create.extend(uniques);
    TableDdl { create, keys, left_out, ..TableDdl::default() }
}

/// The same for a table that is filled as `load` first: unique keys come once it has its own name, which theirs carry.
pub(crate) fn load(table: &NewTable, load: &TableName) -> LoadDdl {
    let named = NewTable { name: load.clone(), uniques: Vec::new(), indexes: Vec::new(), ..table.clone() };
    let mut bare = table_ddl(&named);
    bare.drop = vec![format!("DROP TABLE {}", quote::name(&load.name))];
    let mut place = table_ddl(table);
    let uniques: Vec<String> = place.create.drain(..).skip(1).collect();
    place.create = vec![format!("ALTER TABLE {} RENAME TO {}", quote::name(&load.name), quote::name(&table.name.name))];
    place.keys.splice(0..0, uniques);
    LoadDdl { bare, place, comment: Vec::new() }
}

/// The statement that adds a column to a table with rows. SQLite takes no NOT NULL without a default there, and no default
/// that has to be computed.
pub(crate) fn add_column(table: &TableName, column: &Column) -> String {
    let mut added = column.clone();
    if !matches!(added.default, ColumnDefault::Constant(_)) {
        added.default = ColumnDefault::None;
    }
    added.nullable |= default_sql(&added).is_none();
    format!("ALTER TABLE {} ADD COLUMN {}", quote::name(&table.name), column_sql(&added, false, &mut Vec::new()))
}

/// A single integer key becomes the rowid itself: declared `INTEGER`, to the letter.
fn rowid_alias(table: &NewTable) -> Option<&str> {
    let [key] = table.primary_key.as_slice() else { return None };
    let column = table.columns.iter().find(|c| c.name == *key)?;
    matches!(column.logical, T::Int { .. }).then_some(key.as_str())
}

fn column_sql(column: &Column, alias: bool, left_out: &mut Vec<String>) -> String {
    let name = quote::name(&column.name);
    if alias {
        return format!("{name} INTEGER PRIMARY KEY");
    }
    let mut sql = name;
    if !column.native.is_empty() {
        sql.push(' ');
        sql.push_str(&declared(&column.native));
    }
    if let Some(collation) = &column.loose_collation {
        match collation.to_ascii_uppercase().as_str() {
            known @ ("NOCASE" | "RTRIM") => sql.push_str(&format!(" COLLATE {known}")),
            _ => left_out.push(format!("the collation {collation} of `{}`: sqlite does not know it", column.name)),
        }
    }
    if !column.nullable {
        sql.push_str(" NOT NULL");
    }
    if let Some(default) = default_sql(column) {
        sql.push_str(&format!(" DEFAULT {default}"));
    }
    sql
}

/// A declared type as SQL. One that is more than words and a size in parentheses is a quoted word, as it was at its origin.
fn declared(native: &str) -> std::borrow::Cow<'_, str> {
    let (words, size) = native.split_once('(').unwrap_or((native, ")"));
    let plain_words = words.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ' ');
    let plain_size = size.strip_suffix(')').is_some_and(|s| s.chars().all(|c| c.is_ascii_digit() || " ,+-".contains(c)));
    if plain_words && plain_size { native.into() } else { quote::name(native).into() }
}

fn default_sql(column: &Column) -> Option<String> {
    match &column.default {
        ColumnDefault::None => None,
        ColumnDefault::Expression(sql) => Some(format!("({})", sql.trim())),
        ColumnDefault::Now => now_sql(&column.logical),
        ColumnDefault::Constant(text) => constant_sql(text, &column.logical),
    }
}

fn constant_sql(text: &str, logical: &T) -> Option<String> {
    match logical {
        T::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" | "yes" | "on" => Some("1".into()),
            "false" | "f" | "0" | "no" | "off" => Some("0".into()),
            _ => None,
        },
        T::Int { .. } | T::Year => text.parse::<i64>().ok().map(|n| n.to_string()),
        T::Float { .. } => text.parse::<f64>().ok().filter(|x| x.is_finite()).map(|x| format!("{x:?}")),
        // Spelled by its system; what it is as bytes is not said.
        T::Bytes { .. } | T::Geometry => None,
        _ => Some(quote::literal(text)),
    }
}

/// The clock in the form that a column of this type takes.
pub(crate) fn now_sql(logical: &T) -> Option<String> {
    Some(match logical {
        T::Date => "CURRENT_DATE".into(),
        T::Time { .. } | T::TimeSpan { .. } => "CURRENT_TIME".into(),
        T::TimestampTz { .. } => "(strftime('%Y-%m-%d %H:%M:%fZ', 'now'))".into(),
        T::Timestamp { .. } | T::Text { .. } | T::Any => "CURRENT_TIMESTAMP".into(),
        T::Int { .. } => "(unixepoch())".into(),
        _ => return None,
    })
}

fn foreign_key(key: &ForeignKey) -> String {
    let on_delete = match key.on_delete {
        OnDelete::Refuse => "",
        OnDelete::Cascade => " ON DELETE CASCADE",
        OnDelete::Clear => " ON DELETE SET NULL",
    };
    let deferred = if key.deferrable { " DEFERRABLE INITIALLY DEFERRED" } else { "" };
    format!(
        "CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}){on_delete}{deferred}",
        quote::name(&key.name),
        quote::names(&key.columns),
        quote::name(&key.parent.name),
        quote::names(&key.parent_columns)
    )
}

/// Statements for unique keys, and for plain indexes.
fn index_statements(table: &NewTable, left_out: &mut Vec<String>) -> (Vec<String>, Vec<String>) {
    let own = quote::name(&table.name.name);
    let mut taken: Vec<String> = Vec::new();
    let (mut uniques, mut plain) = (Vec::new(), Vec::new());
    for u in &table.uniques {
        let name = index_name(&table.name.name, &u.name, &u.columns, &mut taken);
        uniques.push(format!("CREATE UNIQUE INDEX {} ON {own} ({})", quote::name(&name), quote::names(&u.columns)));
        if u.nulls_equal {
            left_out.push(format!("NULLS NOT DISTINCT of `{}`: sqlite lets several NULLs in", u.name));
        }
    }
    for i in &table.indexes {
        if !i.plain {
            left_out.push(format!("the index `{}`: it is not over plain columns", i.name));
            continue;
        }
        let name = index_name(&table.name.name, &i.name, &i.columns, &mut taken);
        let (unique, list) = if i.unique { ("UNIQUE ", &mut uniques) } else { ("", &mut plain) };
        list.push(format!("CREATE {unique}INDEX {} ON {own} ({})", quote::name(&name), quote::names(&i.columns)));
    }
    (uniques, plain)
}

/// Index names are one namespace for the whole file and may not be called `sqlite_…`, so they carry their table's name.
fn index_name(table: &str, name: &str, columns: &[String], taken: &mut Vec<String>) -> String {
    let own = if name.to_ascii_lowercase().starts_with("sqlite_") { format!("{}_key", columns.join("_")) } else { name.to_owned() };
    let base = if own.to_lowercase().contains(&table.to_lowercase()) { own } else { format!("{table}_{own}") };
    let mut candidate = base.clone();
    let mut n = 1;
    while taken.contains(&candidate.to_lowercase()) {
        n += 1;
        candidate = format!("{base}_{n}");
    }
    taken.push(candidate.to_lowercase());
    candidate
}
