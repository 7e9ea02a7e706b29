//! The YAML configuration: read whole, judged whole, turned into what the engine works with.
//!
//! The way of a file: text → [`yaml`] → [`tree`] (with lines) → [`substitute`] (variables, secrets) → [`decode`] into [`file`] (typed, every error
//! collected) → [`convert`] (what makes no sense) → [`Config`].

mod connections;
mod convert;
mod decode;
mod dotenv;
mod fault;
mod file;
mod form;
mod judge;
mod literal;
mod reader;
mod schema;
mod starter;
mod streams;
mod substitute;
#[cfg(test)]
mod tests;
mod tree;
mod yaml;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use syncline_connector::ConnectionSpec;
use syncline_engine::spec::SyncSpec;

pub use fault::{ConfigError, ConfigErrors};
pub use schema::schema;
pub use starter::{Starter, starter};

/// A configuration that makes sense as far as that can be known without asking a database.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file.
    pub path: PathBuf,
    /// Its directory, absolute: what relative paths in it start from (R37).
    pub directory: PathBuf,
    /// Connections by name: `type` and how to reach each.
    pub connections: BTreeMap<String, (String, ConnectionSpec)>,
    /// The state file, absolute.
    pub state: PathBuf,
    /// Log files.
    pub logs: Logs,
    /// How long history is kept.
    pub history: History,
    /// Bytes the whole process may use.
    pub memory: u64,
    /// Syncs, in the order written.
    pub syncs: Vec<SyncSpec>,
    /// What must never be printed: urls, their passwords, and what variables put into them.
    pub secrets: Vec<SecretString>,
}

/// Log files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// Directory, absolute.
    pub dir: PathBuf,
    /// Days that a file is kept.
    pub keep_days: u32,
}

/// How long finished runs and verify reports are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Days.
    pub keep_days: u32,
    /// Runs per sync that stay however old they are.
    pub keep_runs: u32,
}

impl Config {
    /// Reads and judges a configuration, with the process's environment and the `.env` beside the file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        Self::load_with(path, &|name| std::env::var(name).ok())
    }

    /// As [`Config::load`], with another environment.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load_with(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let text = read(path).map_err(|e| ConfigErrors::one(path, e))?;
        let directory = std::path::absolute(path).ok().and_then(|p| p.parent().map(Path::to_owned)).unwrap_or_default();
        let dotenv = dotenv::read(&directory).map_err(|e| ConfigErrors::one(path, e))?;
        convert::config(path, &text, &substitute::Source { environment, dotenv, directory: &directory })
    }

    /// The sync of a name.
    #[must_use]
    pub fn sync(&self, name: &str) -> Option<&SyncSpec> {
        self.syncs.iter().find(|s| s.name == name)
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let missing =
        |what: &str| ConfigError::new("file_missing", &[], what).hint("write one with `syncline init`, or name it with `-c FILE`");
    match std::fs::metadata(path) {
        Ok(m) if m.is_dir() => return Err(missing("this is a directory, not a configuration file")),
        Ok(m) if m.len() > yaml::BYTES_MAX as u64 => return Err(yaml::too_large(m.len())),
        Ok(_) | Err(_) => {}
    }
    std::fs::read_to_string(path).map_err(|e| match e.kind() {
        io::ErrorKind::InvalidData => ConfigError::new("config_invalid", &[], "the file is not UTF-8 text").hint("save it as UTF-8"),
        io::ErrorKind::NotFound => missing("there is no such file"),
        kind => missing(&format!("the file cannot be read: {kind}")),
    })
}
