//! The text of a fresh configuration: every table by name, with what is worth knowing about it beside it.

use std::fmt::Write as _;

use syncline_model::schema::TableKind;
use syncline_model::{Catalog, LogicalType, Table, TableName};

use super::Side;

/// Column names that usually hold the time of the last change, likeliest first.
const CURSORS: [&str; 7] = ["updated_at", "last_update", "last_updated", "modified_at", "last_modified", "updated", "modified"];

/// The configuration.
pub fn config(name: &str, from: &Side, to: &Side, source: &Catalog, destination: &Catalog) -> String {
    let mut text = String::new();
    let _ = write!(
        text,
        "\
# Written by `syncline init`. Next: `syncline check`, `syncline plan`, `syncline run`, `syncline verify`.
# Every key is in `syncline config schema`; values not written here are the defaults.

connections:
  source:      {{ type: {}, url: {} }}
  destination: {{ type: {}, url: {} }}

syncs:
  {name}:
    from: source
    to: destination
    mode: diff          # full | incremental | diff: compare both sides, move only the difference
    deletes: ignore     # ignore | mirror | soft | archive | deactivate: what becomes of rows that the source no longer has
    owns: mapped        # what deletions may touch: mapped (rows with an id mapping) | table (every row of the table)
    streams:
",
        from.kind,
        quoted(&from.written),
        to.kind,
        quoted(&to.written)
    );
    for table in &source.tables {
        stream(&mut text, table, destination);
    }
    if source.tables.is_empty() {
        text.push_str("      \"*\": {}         # the source has no tables yet\n");
    }
    text
}

fn stream(text: &mut String, table: &Table, destination: &Catalog) {
    let name = quoted(&table.name.name);
    let mut facts: Vec<String> = Vec::new();
    let options = match (table.kind, table.best_key()) {
        (TableKind::View, _) => {
            facts.push("a view: give it a `key` to sync it".to_owned());
            "false".to_owned()
        }
        (TableKind::Table | TableKind::Partitioned, None) => {
            facts.push("no key: rows are matched whole; name a `key` if there is one".to_owned());
            "{}".to_owned()
        }
        (TableKind::Table | TableKind::Partitioned, Some(key)) => {
            facts.push(format!("key {}", key.join(", ")));
            cursor(table).map_or_else(|| "{}".to_owned(), |c| format!("{{ cursor: {} }}", quoted(c)))
        }
    };
    facts.extend(table.rows_estimate.map(|n| format!("about {n} rows")));
    let exists = destination.table(&TableName::bare(&table.name.name)).is_some();
    facts.push(if exists { "exists at the destination" } else { "will be created" }.to_owned());
    let _ = writeln!(text, "      {name}: {options}  # {}", facts.join("; ").replace(['\n', '\r'], " "));
}

fn cursor(table: &Table) -> Option<&str> {
    let timely = |c: &&syncline_model::Column| matches!(c.logical, LogicalType::Timestamp { .. } | LogicalType::TimestampTz { .. });
    let by_name = |n: &&str| table.columns.iter().find(|c| c.name.eq_ignore_ascii_case(n) && !c.generated && timely(c));
    CURSORS.iter().find_map(|n| by_name(n)).map(|c| c.name.as_str())
}

/// A YAML scalar: bare where that is unmistakable, in double quotes otherwise.
fn quoted(s: &str) -> String {
    let bare = s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && s.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && !matches!(s.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    // JSON strings are YAML strings.
    if bare { s.to_owned() } else { serde_json::Value::from(s).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_yaml_would_misread_are_quoted() {
        assert_eq!(quoted("film_actor"), "film_actor");
        assert_eq!(["no", "a b", "1st", "x: y", "it's", ""].map(quoted), ["\"no\"", "\"a b\"", "\"1st\"", "\"x: y\"", "\"it's\"", "\"\""]);
    }
}
