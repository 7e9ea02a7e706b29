//! The product at work: a project directory with a configuration, and measured runs in it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::measure::{Measured, measure};
use super::rig::Rig;

/// A project: configuration and state.
pub(crate) struct Project {
    dir: PathBuf,
    binary: PathBuf,
}

/// The books of a run, as it printed them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    pub fetched: u64,
    pub created: u64,
    pub updated: u64,
    pub deleted: u64,
    pub unchanged: u64,
}

impl Project {
    /// A project from one URL to another; `options` are lines of the sync.
    pub fn new(rig: &Rig, from: &str, to: &str, options: &[&str]) -> Result<Project> {
        let dir = rig.dir().join(rig.fresh("project"));
        std::fs::create_dir_all(&dir)?;
        let kind = |url: &str| if url.starts_with("mysql") { "mysql" } else { "postgres" };
        let mut text = format!(
            "connections:\n  left: {{ type: {}, url: \"{from}\" }}\n  right: {{ type: {}, url: \"{to}\" }}\n\
             syncs:\n  bench:\n    from: left\n    to: right\n",
            kind(from),
            kind(to)
        );
        options.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
        std::fs::write(dir.join("syncline.yaml"), text)?;
        Ok(Project { dir, binary: rig.binary()? })
    }

    /// One run, from the start of the process to its end.
    pub fn run(&self, mode: &str) -> Result<Measured> {
        measure(Command::new(&self.binary).args(["--json", "--quiet", "run", "--mode", mode]).current_dir(&self.dir))
    }
}

/// Reads the books of a run.
pub(crate) fn books(measured: &Measured) -> Result<Books> {
    let document: serde_json::Value = serde_json::from_str(&measured.stdout).context("read the run's report")?;
    let books = document.pointer("/0/books").context("the report has books")?;
    let count = |name: &str| books[name].as_u64().with_context(|| format!("the books have `{name}`"));
    Ok(Books {
        fetched: count("fetched")?,
        created: count("created")?,
        updated: count("updated")?,
        deleted: count("deleted")?,
        unchanged: count("unchanged")?,
    })
}
