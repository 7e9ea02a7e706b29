//! Collects what makes no sense, each with its place, and holds back what only follows from an error that was told already.

use std::collections::BTreeSet;

use super::fault::{ConfigError, place};
use super::tree::{Content, Node};

/// A place in the document.
pub(super) type Path = Vec<String>;

/// The place below `path`.
pub(super) fn below(path: &[String], parts: &[&str]) -> Path {
    path.iter().cloned().chain(parts.iter().map(|p| (*p).to_owned())).collect()
}

/// Errors so far, and the tree they are looked up in.
pub(super) struct Judge<'t> {
    tree: &'t Node,
    errors: Vec<ConfigError>,
    told: BTreeSet<String>,
}

impl<'t> Judge<'t> {
    /// Starts with what was told while reading; places in `stand_ins` hold nothing that could be judged.
    pub(super) fn new(tree: &'t Node, errors: Vec<ConfigError>, stand_ins: &BTreeSet<Path>) -> Self {
        let mut judge = Self { tree, errors: Vec::new(), told: BTreeSet::new() };
        for e in errors {
            judge.add(e);
        }
        judge.told.extend(stand_ins.iter().map(|path| place(path)));
        judge
    }

    /// Adds an error unless its place has one.
    pub(super) fn add(&mut self, error: ConfigError) {
        if error.path.is_empty() || self.told.insert(error.path.clone()) {
            self.errors.push(error);
        }
    }

    /// Something at `path` makes no sense.
    pub(super) fn fail(&mut self, code: &'static str, path: &[String], message: impl Into<String>, hint: impl Into<String>) {
        self.add(ConfigError::new(code, path, message).hint(hint).at(self.tree.line_of(path)));
    }

    /// Whether the place is in error already.
    pub(super) fn told(&self, path: &[String]) -> bool {
        self.told.contains(&place(path))
    }

    /// The scalar at a place as it was written, safe to print: a variable by its name, never what it holds.
    pub(super) fn written(&self, path: &[String]) -> String {
        let scalar = self.tree.get(path).and_then(Node::scalar);
        scalar.map_or_else(|| "this".to_owned(), |s| if s.shown().contains("://") { "this".to_owned() } else { shown(s.shown()) })
    }

    /// The keys of a map in the order they were written.
    pub(super) fn order(&self, path: &[String]) -> Vec<&'t str> {
        match self.tree.get(path).map(|n| &n.content) {
            Some(Content::Map(entries)) => entries.iter().map(|e| e.key.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// The names on a path: `[A-Za-z0-9_-]{1,64}`, ASCII only, and no two that differ in case alone (G1, G8).
    pub(super) fn names<'n>(&mut self, path: &[String], names: impl Iterator<Item = &'n String>) {
        let mut seen = BTreeSet::new();
        for name in names {
            let place = below(path, &[name]);
            if !is_name(name) {
                let message = format!("{} is no name", shown(name));
                self.fail("config_invalid", &place, message, "names have 1 to 64 letters, digits, `_` and `-` (ASCII)");
            } else if !seen.insert(name.to_ascii_lowercase()) {
                self.fail("config_invalid", &place, format!("`{name}` differs from another name in case only"), "give it another name");
            }
        }
    }

    /// A text that must not be empty.
    pub(super) fn filled(&mut self, path: &[String], text: Option<&str>) {
        if text.is_some_and(|t| t.trim().is_empty() || t.contains('\0')) && !self.told(path) {
            self.fail("config_invalid", path, "this is empty", "leave the key out, or name something");
        }
    }

    /// What was found, in the order of the lines.
    pub(super) fn into_errors(mut self) -> Vec<ConfigError> {
        self.errors.sort_by_key(|e| e.line);
        self.errors
    }

    pub(super) fn is_satisfied(&self) -> bool {
        self.errors.is_empty()
    }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A name that may hold anything, safe to print.
pub(super) fn shown(name: &str) -> String {
    let escaped: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    format!("`{escaped}`")
}
