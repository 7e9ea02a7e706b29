//! The configuration that `init` writes: complete, commented, safe to run as it is.

use std::fmt::Write as _;

use syncline_model::schema::TableKind;
use syncline_model::{Catalog, Engine, LogicalType, Table};

/// What `init` writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Starter {
    /// `syncline.yaml`. Holds no secret.
    pub yaml: String,
    /// Lines for `.env`: the urls that have secrets in them. Empty when none has.
    pub dotenv: String,
}

/// Names of columns that say when a row changed, the likeliest first.
const CURSORS: [&str; 12] = [
    "updated_at",
    "last_update",
    "last_updated",
    "modified_at",
    "last_modified",
    "updated",
    "modified",
    "changed_at",
    "date_modified",
    "update_time",
    "updatedat",
    "modifiedat",
];

/// A configuration for two urls and what the first of them holds.
#[must_use]
pub fn starter(from_url: &str, to_url: &str, catalog: &Catalog) -> Starter {
    let (from, to) = names(from_url, to_url);
    let mut dotenv = String::new();
    let connections = [(&from, from_url, "FROM_URL"), (&to, to_url, "TO_URL")].map(|(name, url, variable)| {
        let shown = if url.starts_with("sqlite:") {
            quoted(url)
        } else {
            let _ = writeln!(dotenv, "{variable}={}", single_quoted(url));
            format!("\"${{{variable}}}\"")
        };
        format!("  {name}: {{ type: {}, url: {shown} }}", kind(url))
    });
    let secret =
        if dotenv.is_empty() { "" } else { "# Urls with passwords are in `.env` beside this file: keep it out of version control.\n" };
    let mut yaml = format!(
        "# Syncline: keeps `{to}` the same as `{from}`.
# See what would change with `syncline plan`, change it with `syncline run`, prove it with `syncline verify`.
# All options: `syncline config schema`. What is left out has the default that the comments name.

{secret}connections:
{}

syncs:
  {from}_to_{to}:
    from: {from}
    to: {to}
    mode: diff            # compare both sides, move only the difference | full | incremental (needs a cursor)
    deletes: ignore       # rows gone from the source: ignore | mirror (remove) | soft | archive | deactivate
    # owns: table         # what deletions may touch: table (every row of the table) | mapped (rows with an id mapping)
    edits: overwrite      # edits made at the destination: overwrite (a mirror) | keep (three-way)
    rows: park            # a row that cannot be applied: park (set it aside, go on) | strict (the run fails)
    schema_changes: stop  # columns that appear, vanish or change: stop | ignore | add
    create: missing       # destination tables that are not there: missing (make them) | never
    streams:
",
        connections.join("\n"),
    );
    streams(&mut yaml, catalog);
    Starter { yaml, dotenv }
}

fn streams(yaml: &mut String, catalog: &Catalog) {
    if catalog.tables.is_empty() {
        yaml.push_str("      \"*\": {}             # the source has no tables yet\n");
    }
    let lines: Vec<(String, String)> = catalog.tables.iter().map(|t| stream(t, catalog)).collect();
    let width = lines.iter().map(|(option, _)| option.chars().count()).max().unwrap_or(0);
    for (option, comment) in lines {
        let _ = writeln!(yaml, "      {option:width$}  # {comment}");
    }
}

/// A table's line, and what to know about it.
fn stream(table: &Table, catalog: &Catalog) -> (String, String) {
    let bare = catalog.tables.iter().filter(|t| t.name.name == table.name.name).count() == 1;
    let name = quoted(&if bare { table.name.name.clone() } else { table.name.to_string() });
    if table.kind == TableKind::View {
        return (format!("{name}: false"), "a view; `{}` copies what it shows, `key: [COLUMN]` says what identifies a row".to_owned());
    }
    if table.best_key().is_none() {
        let why = "no key, so it is left out; to sync it, name what identifies a row: `{ key: [COLUMN] }`";
        return (format!("{name}: false"), why.to_owned());
    }
    let options = cursor(table).map_or_else(|| "{}".to_owned(), |c| format!("{{ cursor: {} }}", quoted(c)));
    let key = match table.best_key() {
        Some(columns) => format!("key {}", printable(&columns.join(", "))),
        None => String::new(),
    };
    let rows = table.rows_estimate.map_or_else(String::new, |n| format!(", about {n} rows"));
    (format!("{name}: {options}"), format!("{key}{rows}"))
}

/// The column that says when a row changed, where its name and type leave no doubt.
fn cursor(table: &Table) -> Option<&str> {
    let instant = |c: &&syncline_model::Column| match &c.logical {
        LogicalType::Timestamp { .. } | LogicalType::TimestampTz { .. } => true,
        // SQLite has no type for instants.
        _ => c.native.to_ascii_lowercase().contains("time"),
    };
    let named = |wanted: &&str| table.columns.iter().filter(instant).find(|c| c.name.eq_ignore_ascii_case(wanted));
    CURSORS.iter().find_map(named).map(|c| c.name.as_str())
}

fn kind(url: &str) -> Engine {
    match url.split(':').next() {
        Some("mysql" | "mariadb") => Engine::Mysql,
        Some("sqlite") => Engine::Sqlite,
        _ => Engine::Postgres,
    }
}

/// Names for the two connections: their databases' where those are names and differ.
fn names(from_url: &str, to_url: &str) -> (String, String) {
    match (database(from_url), database(to_url)) {
        (Some(from), Some(to)) if !from.eq_ignore_ascii_case(&to) => (from, to),
        _ => ("source".to_owned(), "destination".to_owned()),
    }
}

fn database(url: &str) -> Option<String> {
    // Half of a sync's 64 characters, less the `_to_` between the two.
    const LENGTH_MAX: usize = 30;
    let path = url.split(['?', '#']).next()?;
    let (_, last) = path.rsplit_once('/').or_else(|| path.rsplit_once(':'))?;
    let stem = if url.starts_with("sqlite:") { last.split('.').next()? } else { last };
    let name = stem.len() <= LENGTH_MAX && stem.starts_with(|c: char| c.is_ascii_alphabetic());
    let plain = stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    // A url without a database ends in its host, which may be any name; it has a `@` or a `:` in it, or is the whole authority.
    (name && plain && is_plain(stem) && !url.ends_with(&format!("//{last}"))).then(|| stem.to_owned())
}

/// A YAML scalar for any text.
fn quoted(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { serde_json::Value::String(text.replace("${", "$${")).to_string() }
}

/// Whether YAML reads it as this text without quotes.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 10] = ["true", "false", "on", "off", "yes", "no", "null", "y", "n", "nan"];
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

fn single_quoted(text: &str) -> String {
    if text.contains('\'') {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$"))
    } else {
        format!("'{text}'")
    }
}

/// Safe in a comment of one line.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_debug().collect::<Vec<_>>() } else { vec![c] }).collect()
}
