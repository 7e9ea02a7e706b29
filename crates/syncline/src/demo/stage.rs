//! Where the story is played: two databases and a configuration in a folder, a voice, and the means to check what it says.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::federation;
use crate::commands::Context;
use crate::render::failure::{Exit, Failure};
use crate::render::out::Tone;

const CONFIG: &str = "\
connections:
  federation: { type: sqlite, url: \"sqlite:federation.db\" }
  office:     { type: sqlite, url: \"sqlite:office.db\" }

syncs:
  season:
    from: federation
    to: office
    mode: diff              # compare both sides, move only the difference
    deletes: mirror         # what the federation deletes, the office deletes
    owns: table
    streams:
      \"*\": {}
      members: { edits: keep, conflicts: source_wins }    # the office may edit members
";

/// As wide as the tables mostly are.
const LINE_CHARS: usize = 96;

/// The stage.
pub struct Stage {
    /// The command line, as if it had been typed in the folder.
    pub context: Context,
    federation: PathBuf,
    office: PathBuf,
}

/// Which side.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    /// The source.
    Federation,
    /// The destination.
    Office,
}

impl Stage {
    /// Builds both databases and writes the configuration.
    pub fn set(context: &Context, folder: &Path) -> Result<Self, Failure> {
        let config = folder.join("syncline.yaml");
        fs::write(&config, CONFIG).map_err(|e| Failure::failed("file_unwritable", "write the demo's configuration").because(&e))?;
        let stage =
            Self { context: context.for_config(config), federation: folder.join("federation.db"), office: folder.join("office.db") };
        let out = stage.context.out;
        out.line(out.paint(Tone::Strong, "Syncline demo: a sports federation and the office of its clubs"));
        out.line(out.paint(Tone::Dim, &format!("in {}", folder.display())));
        stage.with(Side::Federation, federation::build)?;
        stage.with(Side::Office, |db| federation::build_office(db))?;
        Ok(stage)
    }

    /// A heading of the story.
    pub fn chapter(&self, title: &str) {
        let out = self.context.out;
        out.line(format!(
            "\n{}",
            out.paint(Tone::Warn, &format!("── {title} {}", "─".repeat(76_usize.saturating_sub(title.chars().count()))))
        ));
    }

    /// What the narrator says, in lines that fit a terminal.
    pub fn say(&self, text: &str) {
        let mut line = String::new();
        for word in text.split(' ') {
            if line.chars().count() + word.chars().count() >= LINE_CHARS {
                self.context.out.line(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.context.out.line(line);
    }

    /// A command as it would be typed.
    pub fn typed(&self, command: &str) {
        let out = self.context.out;
        out.line(format!("\n{}\n", out.paint(Tone::Strong, &format!("$ syncline {command}"))));
    }

    /// Runs a script on one side, as the people there would.
    pub fn change(&self, side: Side, script: &str) -> Result<(), Failure> {
        let out = self.context.out;
        let name = match side {
            Side::Federation => "federation",
            Side::Office => "office",
        };
        for line in script.trim().lines() {
            out.line(out.paint(Tone::Dim, &format!("  {name}> {}", line.trim())));
        }
        self.with(side, |db| db.execute_batch(script))
    }

    /// A number from one side.
    pub fn count(&self, side: Side, sql: &str) -> Result<i64, Failure> {
        self.with(side, |db| db.query_row(sql, [], |r| r.get(0)))
    }

    /// A text from one side; "NULL" for none.
    pub fn text(&self, side: Side, sql: &str) -> Result<String, Failure> {
        let text: Option<String> = self.with(side, |db| db.query_row(sql, [], |r| r.get(0)))?;
        Ok(text.unwrap_or_else(|| "NULL".to_owned()))
    }

    /// Opened anew for each use: nobody but Syncline holds the files while it works.
    fn with<T>(&self, side: Side, f: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, Failure> {
        let path = match side {
            Side::Federation => &self.federation,
            Side::Office => &self.office,
        };
        let answer = Connection::open(path).and_then(|mut db| f(&mut db));
        answer.map_err(|e| Failure::failed("internal", format!("the demo's own query on `{}`", path.display())).because(&e))
    }
}

/// The command has to end as the story says.
pub fn ended(with: Exit, expected: Exit, command: &str) -> Result<(), Failure> {
    holds(with == expected, || format!("`{command}` ended with {}, the story says {}", with as u8, expected as u8))
}

/// What the story says has to be so.
pub fn holds(so: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failure> {
    if so { Ok(()) } else { Err(Failure::failed("internal", format!("the demo did not go as told: {}", otherwise()))) }
}
