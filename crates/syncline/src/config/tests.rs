//! Configurations that are right, wrong in every way we could think of, and arbitrary.

mod errors;
mod secrets;
mod starting;
mod values;

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{Config, ConfigErrors};

/// Loads a text as `syncline.yaml` of an empty directory, with these variables.
fn load_with(text: &str, variables: &[(&str, &str)]) -> (Result<Config, ConfigErrors>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let loaded = load_in(&directory, text, variables);
    (loaded, directory)
}

fn load_in(directory: &TempDir, text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let path = directory.path().join("syncline.yaml");
    fs::write(&path, text).unwrap();
    Config::load_with(&path, &|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
}

fn load(text: &str) -> Config {
    match load_with(text, &[]).0 {
        Ok(config) => config,
        Err(e) => panic!("{e}"),
    }
}

/// Two connections and a sync with this below it (indented by four).
fn sync(below: &str) -> String {
    format!(
        "connections:\n  shop: {{ type: mysql, url: \"mysql://u@h/shop\" }}\n  lake: {{ type: postgres, url: \"postgres://u@h/lake\" }}\n\
         syncs:\n  shop_to_lake:\n    from: shop\n    to: lake\n{below}"
    )
}

/// What is told about a text: line, code, path, message and hint of each error, without the file's directory.
fn told(text: &str) -> String {
    match load_with(text, &[]).0 {
        Ok(_) => "nothing".to_owned(),
        Err(e) => ConfigErrors { file: "syncline.yaml".into(), ..e }.to_string(),
    }
}

/// Code and path of each error.
fn codes(text: &str) -> Vec<(&'static str, String)> {
    match load_with(text, &[]).0 {
        Ok(_) => Vec::new(),
        Err(e) => e.errors.into_iter().map(|e| (e.code, e.path)).collect(),
    }
}

#[test]
fn the_published_schema_is_as_recorded() {
    insta::assert_snapshot!("schema", serde_json::to_string_pretty(&super::schema()).unwrap());
}

/// Pieces that YAML and this configuration give a meaning to.
const PIECES: &[&str] = &[
    "connections",
    "syncs",
    "streams",
    "shop",
    "lake",
    "from",
    "to",
    "type",
    "url",
    "mysql",
    "deletes",
    "guard",
    "fields",
    "ids",
    "scopes",
    "memory",
    "64MiB",
    "value",
    "key",
    "\"*\"",
    "film",
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    ",",
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    "\n      ",
    "&a ",
    "*a",
    "<<: ",
    "|",
    ">",
    "'",
    "\"",
    "#",
    "!!int ",
    "!x",
    "---",
    "...",
    "%YAML",
    "${",
    "${A}",
    "${A:-b}",
    "${file:x}",
    "$${",
    "}",
    "~",
    "null",
    "no",
    "1e999",
    "0x1F",
    "007",
    "1.10",
    "-",
    "?",
    "\t",
    "\u{0}",
    "\u{feff}",
    "é",
    "\r\n",
    "{{ scope }}",
];

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(PIECES).prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    // case: G11
    #[test]
    fn loading_never_panics_whatever_the_text(pieces in prop::collection::vec(piece(), 0..60)) {
        let _ = load_with(&pieces.concat(), &[("A", "x")]);
    }

    // case: G11
    #[test]
    fn loading_never_panics_where_a_value_was_replaced(at in 0usize..40, pieces in prop::collection::vec(piece(), 0..6)) {
        let text = include_str!("tests/whole.yaml");
        let lines: Vec<&str> = text.lines().collect();
        let line = lines[at % lines.len()];
        let kept = line.split_once(": ").map_or(line, |(key, _)| key);
        let changed = text.replace(line, &format!("{kept}: {}", pieces.concat()));
        let _ = load_with(&changed, &[("SHOP_URL", "mysql://u@h/shop")]);
    }
}
