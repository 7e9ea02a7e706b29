//! What is wrong with a configuration: where, why, and what to do. All of it at once, not only the first.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// One thing that is wrong. Never holds a secret: what came from a variable is shown as `${VAR}`, an url not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigError {
    /// Stable code; `syncline explain CODE` has its page.
    pub code: &'static str,
    /// Where in the document: `syncs.shop.streams.film.deletes`; empty for the file as a whole.
    pub path: String,
    /// Line in the file, from 1.
    pub line: Option<u64>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl ConfigError {
    pub(super) fn new(code: &'static str, path: &[String], message: impl Into<String>) -> Self {
        Self { code, path: place(path), line: None, message: printable(&message.into()), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(printable(&hint.into()));
        self
    }

    pub(super) fn at(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }
}

/// A path as it is shown.
pub(super) fn place(path: &[String]) -> String {
    printable(&path.join("."))
}

/// One line without control characters, whatever a key or value holds: it goes to terminals and logs (J11).
fn printable(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// Everything that is wrong with one file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigErrors {
    /// The configuration file.
    pub file: PathBuf,
    /// At least one.
    pub errors: Vec<ConfigError>,
}

impl ConfigErrors {
    pub(super) fn one(file: impl Into<PathBuf>, error: ConfigError) -> Self {
        Self { file: file.into(), errors: vec![error] }
    }

    /// The code of the first, for callers that show one.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.errors.first().map_or("config_invalid", |e| e.code)
    }
}

/// `FILE:LINE: PATH: MESSAGE (CODE)`, the hint below it, one error after the other.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, e) in self.errors.iter().enumerate() {
            let separator = if n == 0 { "" } else { "\n" };
            write!(f, "{separator}{}", self.file.display())?;
            if let Some(line) = e.line {
                write!(f, ":{line}")?;
            }
            let colon = if e.path.is_empty() { "" } else { ": " };
            write!(f, "{colon}{}: {} ({})", e.path, e.message, e.code)?;
            if let Some(hint) = &e.hint {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
