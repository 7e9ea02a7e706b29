//! Drafts the config that does the scripts' work. A draft: what the scripts do not say is a comment, not a guess in disguise.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::mapping;
use super::names::bare;
use super::report::{Action, Extent, IdMapping, Script, TableReport};

/// One stream of the draft.
struct Stream {
    to: String,
    key: Vec<String>,
    cursor: Option<String>,
    deletes: Option<&'static str>,
    ids: Option<IdMapping>,
    from: Vec<String>,
    guessed_source: bool,
}

/// The config as YAML, or `None` when no script moves rows.
pub(super) fn draft(scripts: &[Script]) -> Option<String> {
    let mut streams: BTreeMap<String, Stream> = BTreeMap::new();
    for script in scripts {
        for table in script.tables.iter().filter(|t| moves_rows(t)) {
            let (source, guessed_source) = source_of(table);
            // A file name may hold anything; a comment must stay one line.
            let path: String = script.path.display().to_string().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            let place = format!("{path}:{} ({})", table.line, table.verdict.word());
            let stream = streams.entry(source).or_insert_with(|| Stream::new(table, guessed_source));
            stream.add(table, place);
        }
    }
    if streams.is_empty() {
        return None;
    }
    Some(yaml(scripts, &streams))
}

fn moves_rows(table: &TableReport) -> bool {
    let adds = table.effects.iter().any(|e| matches!(e.action, Action::Insert | Action::Upsert));
    adds && !table.is_mapping && !table.table.contains("${") && table.extent != Extent::Literal
}

/// The one table the rows come from, else a table of the same name.
fn source_of(table: &TableReport) -> (String, bool) {
    let mut sources = table.effects.iter().filter(|e| matches!(e.action, Action::Insert | Action::Upsert)).flat_map(|e| &e.sources);
    let first = sources.find(|s| !mapping::is_mapping_table(s) && !s.contains("${"));
    match first {
        Some(source) => (bare(source).to_owned(), false),
        None => (bare(&table.table).to_owned(), true),
    }
}

impl Stream {
    fn new(table: &TableReport, guessed_source: bool) -> Self {
        Self { to: table.table.clone(), key: Vec::new(), cursor: None, deletes: None, ids: None, from: Vec::new(), guessed_source }
    }

    fn add(&mut self, table: &TableReport, place: String) {
        let other = (table.table != self.to).then(|| format!(", into {}: CHECK, one stream has one destination", table.table));
        self.from.push(place + &other.unwrap_or_default());
        if let Some(e) = table.effects.iter().find(|e| !e.key.is_empty()).filter(|_| self.key.is_empty()) {
            self.key.clone_from(&e.key);
        }
        if let Extent::Incremental { column, .. } = &table.extent {
            self.cursor.get_or_insert_with(|| column.clone());
        }
        if let Some(mapping) = mapping::own(&table.id_mapping, &table.table) {
            self.ids.get_or_insert_with(|| mapping.clone());
        }
        self.deletes = self.deletes.or_else(|| deletes(table));
    }
}

/// The delete policy that does what the script does.
fn deletes(table: &TableReport) -> Option<&'static str> {
    let mark = table.effects.iter().find_map(|e| e.marks.as_deref());
    match mark {
        Some("deleted_at" | "is_deleted") => return Some("soft"),
        Some("archived_at") => return Some("archive"),
        Some(_) => return Some("deactivate"),
        None => {}
    }
    table.effects.iter().any(|e| e.mirrors).then_some("mirror")
}

fn yaml(scripts: &[Script], streams: &BTreeMap<String, Stream>) -> String {
    let kind = dialect(scripts);
    let mut out = String::from(
        "# Drafted by `syncline analyze` from existing scripts. Check every line marked CHECK, then run `syncline check` and `syncline plan`.\n",
    );
    out.push_str("connections:\n");
    for (name, url) in [("source", "SOURCE_URL"), ("destination", "DESTINATION_URL")] {
        let _ =
            writeln!(out, "  {name}: {{ type: {kind}, url: \"${{{url}}}\" }}   # CHECK: type is the dialect most scripts are written in");
    }
    let all_cursor = streams.values().all(|s| s.cursor.is_some() && s.deletes != Some("mirror"));
    out.push_str("syncs:\n  migrated:\n    from: source\n    to: destination\n");
    let _ = writeln!(out, "    mode: {}", if all_cursor { "incremental" } else { "diff" });
    out.push_str("    streams:\n");
    for (name, stream) in streams {
        write_stream(&mut out, name, stream, all_cursor);
    }
    out
}

fn write_stream(out: &mut String, name: &str, stream: &Stream, all_cursor: bool) {
    for place in &stream.from {
        let _ = writeln!(out, "      # {place}");
    }
    if stream.guessed_source {
        out.push_str("      # CHECK: the program hands the rows over; a source table of the same name is assumed\n");
    }
    let _ = writeln!(out, "      {}:", scalar(name));
    let mut any = false;
    let mut line = |out: &mut String, text: String| {
        any = true;
        let _ = writeln!(out, "        {text}");
    };
    if stream.to != name {
        line(out, format!("to: {}", scalar(&stream.to)));
    }
    if !stream.key.is_empty() {
        let key: Vec<String> = stream.key.iter().map(|k| scalar(k)).collect();
        line(out, format!("key: [{}]   # CHECK: names at the source", key.join(", ")));
    }
    if let Some(cursor) = &stream.cursor {
        let mode = if all_cursor { "" } else { "   # used by mode: incremental" };
        line(out, format!("cursor: {}{mode}", scalar(cursor)));
    }
    if let Some(policy) = stream.deletes {
        line(out, format!("deletes: {policy}"));
        let owns = if stream.ids.is_some() { "mapped" } else { "table" };
        line(out, format!("owns: {owns}   # CHECK: `table` lets deletes touch every row of it, `mapped` only rows with an id mapping"));
    }
    if let Some(ids) = &stream.ids {
        line(out, format!("ids: {}", ids_yaml(ids)));
    }
    if !any {
        // A stream without options is still a mapping.
        out.truncate(out.len() - 1);
        out.push_str(" {}\n");
    }
}

fn ids_yaml(ids: &IdMapping) -> String {
    match ids {
        IdMapping::Table { table, legacy, new, entity } => {
            let check = if legacy.is_none() || new.is_none() { "   # CHECK: its columns were not seen" } else { "" };
            let (legacy, new) = (legacy.as_deref().unwrap_or("legacy_id"), new.as_deref().unwrap_or("new_id"));
            let entity = entity.as_ref().map_or(String::new(), |(c, v)| format!(", entity: {{ {}: {} }}", scalar(c), scalar(v)));
            format!("{{ table: {}, legacy: {}, new: {}{entity} }}{check}", scalar(table), scalar(legacy), scalar(new))
        }
        IdMapping::Column { column } => format!("{{ column: {} }}", scalar(column)),
        IdMapping::JsonPath { column, key } => format!("{{ json: [{}, {}] }}", scalar(column), scalar(key)),
    }
}

fn dialect(scripts: &[Script]) -> &'static str {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for script in scripts {
        *counts.entry(script.dialect.connection_type()).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, n)| *n).map_or("postgres", |(kind, _)| kind)
}

/// A YAML scalar: plain where it can be nothing else, quoted otherwise.
fn scalar(text: &str) -> String {
    const NOT_TEXT: [&str; 7] = ["true", "false", "null", "yes", "no", "on", "off"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
        && !NOT_TEXT.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        return text.to_owned();
    }
    let escaped: String = text.chars().flat_map(escape).collect();
    format!("\"{escaped}\"")
}

fn escape(c: char) -> Vec<char> {
    match c {
        '"' | '\\' => vec!['\\', c],
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)).chars().collect(),
        c => vec![c],
    }
}
