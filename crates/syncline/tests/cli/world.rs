//! A folder with two SQLite databases, a configuration, and the binary to run in it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rusqlite::Connection;
use serde_json::Value as Json;
use syncline_store::{SqliteStore, StateStore};

/// Never to be seen in any output.
pub const CANARY: &str = "c4n4ry-s3cr3t";

/// What a command answered.
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        Self { code: output.status.code().expect("ended by itself"), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// With this exit code, or the test fails with all that was said.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        assert!(!self.stdout.contains(CANARY) && !self.stderr.contains(CANARY), "a secret was printed:\n{}{}", self.stdout, self.stderr);
        self
    }

    /// stdout as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in:\n{}", self.stdout))
    }
}

/// The binary, in a folder, with nothing of this process's surroundings that changes its output.
pub fn syncline_in(dir: &Path, args: &[&str]) -> Answer {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("syncline"));
    command.current_dir(dir).args(args).env("COLUMNS", "100").env_remove("NO_COLOR").env_remove("SYNCLINE_LOG");
    Answer::of(command.output().expect("the binary starts"))
}

/// The binary started in a folder, its stderr to be read while it works.
pub fn started_in(dir: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("syncline"));
    command.current_dir(dir).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the binary starts")
}

/// The folder.
pub struct World {
    dir: tempfile::TempDir,
}

impl World {
    /// Two empty databases, `from.db` and `to.db`, and a configuration that syncs all tables with these options of the sync.
    pub fn with(options: &str) -> Self {
        let world = Self { dir: tempfile::tempdir().expect("a folder") };
        world.write(
            "syncline.yaml",
            &format!(
                "connections:\n  from: {{ type: sqlite, url: \"sqlite:from.db\" }}\n  to: {{ type: sqlite, url: \"sqlite:to.db\" }}\n  \
                 far: {{ type: postgres, url: \"postgres://app:{CANARY}@127.0.0.1:1/none\" }}\n\
                 syncs:\n  pair:\n    from: from\n    to: to\n{options}    streams: {{ \"*\": {{}} }}\n"
            ),
        );
        world.sql("from.db", "PRAGMA user_version = 0");
        world.sql("to.db", "PRAGMA user_version = 0");
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Runs a script on a database of the folder.
    pub fn sql(&self, db: &str, script: &str) {
        let connection = Connection::open(self.path(db)).expect("opens");
        connection.execute_batch(script).unwrap_or_else(|e| panic!("{e} in {script}"));
    }

    /// One value as text.
    pub fn value(&self, db: &str, query: &str) -> String {
        let connection = Connection::open(self.path(db)).expect("opens");
        let text = format!("SELECT coalesce(CAST(({query}) AS TEXT), 'NULL')");
        connection.query_row(&text, [], |r| r.get(0)).unwrap_or_else(|e| panic!("{e} in {query}"))
    }

    /// Runs the binary here.
    pub fn syncline(&self, args: &[&str]) -> Answer {
        syncline_in(self.dir.path(), args)
    }

    /// Starts the binary here.
    pub fn start(&self, args: &[&str]) -> Child {
        started_in(self.dir.path(), args)
    }

    /// The state, to put history into it.
    pub fn state(&self) -> impl StateStore + use<> {
        SqliteStore::open(&self.path(".syncline/state.db")).expect("the state opens")
    }

    /// Names of all files, sorted, folders not descended into.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).expect("readable");
        let mut names: Vec<String> = entries.map(|e| e.expect("entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}
