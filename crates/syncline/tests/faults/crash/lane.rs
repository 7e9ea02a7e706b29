//! One destination with its folder, put back to where it was before each case: cheaper than a new database.

use std::path::Path;
use std::process::Command;

use crate::rig::{Answer, Side, World};

use super::story;

/// Few enough that the story takes several batches per table.
const ROWS_PER_BATCH: &str = "7";

/// Where a case starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// The destination is empty; the run makes the tables.
    Fresh,
    /// The destination was synced once, then the source was edited.
    Edited,
}

/// Destination and folder.
pub struct Lane {
    pub world: World,
    pub source: Side,
    pub dest: Side,
    /// MariaDB keeps the copies in another database.
    attic: Option<Side>,
}

impl Lane {
    /// Syncs the source for the first time and keeps a copy of what came of it.
    pub fn open(source: &Side, kind: &str, options: &str) -> Self {
        let world = World::new("");
        let (dest, attic) = match kind {
            "postgres" => (Side::postgres(), None),
            "mysql" => (Side::mariadb(), Some(Side::mariadb())),
            _ => (Side::sqlite(world.dir(), "to.db"), None),
        };
        world.configure(&crate::rig::config(source, &dest, options));
        let lane = Self { world, source: source.clone(), dest, attic };
        lane.world.run(&[], 0);
        lane.save();
        lane
    }

    /// `run`, cut into batches where the sync commits in batches.
    pub fn run(&self, variables: &[(&str, &str)]) -> Answer {
        self.world.syncline_with(&["run", "--json"], &[&[("SYNCLINE_FAIL_BATCH", ROWS_PER_BATCH)], variables].concat())
    }

    fn kept() -> impl Iterator<Item = &'static str> {
        story::TABLES.iter().map(|t| t.0).chain(["syncline_marker", "syncline_before"])
    }

    fn place(&self) -> String {
        self.attic.as_ref().map_or_else(|| "attic".to_owned(), |a| a.database().name().to_owned())
    }

    fn save(&self) {
        copy(&self.world.path(".syncline"), &self.world.path("saved"));
        if let Side::File(path) = &self.dest {
            copy(path, &self.world.path("saved.db"));
            return;
        }
        let place = self.place();
        let make = if self.attic.is_none() { "CREATE SCHEMA attic;" } else { "" };
        let copies: Vec<String> = Self::kept().map(|t| format!("CREATE TABLE {place}.{t} AS SELECT * FROM {t}")).collect();
        self.dest.execute_as_admin(&format!("{make}{}", copies.join(";")));
    }

    /// Back to the start of a scenario.
    pub fn reset(&self, scenario: Scenario) {
        remove(&self.world.path(".syncline"));
        match scenario {
            Scenario::Fresh => self.empty(),
            Scenario::Edited => {
                copy(&self.world.path("saved"), &self.world.path(".syncline"));
                self.restore();
            }
        }
    }

    fn restore(&self) {
        if let Side::File(path) = &self.dest {
            remove_database(path);
            copy(&self.world.path("saved.db"), path);
            return;
        }
        let place = self.place();
        let (off, clear) = match &self.attic {
            None => {
                ("SET session_replication_role = replica".to_owned(), format!("TRUNCATE {}", Self::kept().collect::<Vec<_>>().join(", ")))
            }
            Some(_) => {
                let all: Vec<String> = Self::kept().map(|t| format!("DELETE FROM {t}")).collect();
                ("SET foreign_key_checks = 0".to_owned(), all.join(";"))
            }
        };
        let fill: Vec<String> = Self::kept().map(|t| format!("INSERT INTO {t} SELECT * FROM {place}.{t}")).collect();
        self.dest.execute_as_admin(&format!("{off}; {clear}; {}", fill.join(";")));
    }

    fn empty(&self) {
        match &self.dest {
            Side::File(path) => {
                remove_database(path);
                self.dest.execute("PRAGMA user_version = 0");
            }
            Side::Server(_) if self.attic.is_none() => {
                self.dest.execute_as_admin("DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION syncline");
            }
            Side::Server(_) => {
                let drops: Vec<String> = self.dest.tables().iter().map(|t| format!("DROP TABLE {t}")).collect();
                if !drops.is_empty() {
                    self.dest.execute(&format!("SET foreign_key_checks = 0; {}", drops.join(";")));
                }
            }
        }
    }

    /// Deletions that are on record as made, of all runs.
    pub fn deletions(&self) -> Vec<String> {
        let state = Side::File(self.world.path(".syncline/state.db"));
        let sql = "SELECT stream || key_json FROM run_deletions WHERE done ORDER BY 1";
        state.query(sql).into_iter().filter_map(|row| row.into_iter().next().flatten()).collect()
    }

    /// What differs between source and destination, by what the databases themselves say.
    pub fn difference(&self) -> Option<String> {
        let differs = |(table, columns, filter): &&(&str, &[&str], &str)| {
            self.source.content(table, columns, filter) != self.dest.content(table, columns, filter)
        };
        let (table, columns, filter) = story::TABLES.iter().find(differs)?;
        let (from, to) = (self.source.content(table, columns, filter), self.dest.content(table, columns, filter));
        Some(format!("{table} differs:\n  source {from}\n  destination {to}"))
    }

    /// Tables at the destination that nobody asked for.
    pub fn leftovers(&self) -> Vec<String> {
        self.dest.tables().into_iter().filter(|t| !Self::kept().any(|k| k == t)).collect()
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(status.success(), "copy {} to {}", from.display(), to.display());
}

fn remove(path: &Path) {
    if path.exists() {
        std::fs::remove_dir_all(path).expect("removed");
    }
}

fn remove_database(path: &Path) {
    for end in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        // The side files are there only after a crash.
        let _ = std::fs::remove_file(Path::new(&name));
    }
}
