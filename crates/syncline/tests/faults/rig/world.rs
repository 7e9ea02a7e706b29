//! A folder with a configuration, and the binary run in it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rusqlite::Connection;
use serde_json::Value as Json;

use super::Side;

/// What a command answered.
#[derive(Debug)]
pub struct Answer {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// With this exit code, or the test fails with all that was said.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.said());
        self
    }

    /// Both streams, for messages.
    pub fn said(&self) -> String {
        format!("stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr)
    }

    /// stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in {}", self.said()))
    }
}

/// A folder with a configuration.
#[derive(Debug)]
pub struct World {
    dir: tempfile::TempDir,
}

/// The configuration of one sync called `pair`, over all tables.
pub fn config(from: &Side, to: &Side, options: &str) -> String {
    config_of((from.kind(), &from.url()), (to.kind(), &to.url()), options)
}

fn config_of(from: (&str, &str), to: (&str, &str), options: &str) -> String {
    let ends =
        format!("connections:\n  from: {{ type: {}, url: \"{}\" }}\n  to: {{ type: {}, url: \"{}\" }}\n", from.0, from.1, to.0, to.1);
    let streams = if options.contains("streams:") { "" } else { "    streams: { \"*\": {} }\n" };
    format!("{ends}syncs:\n  pair:\n    from: from\n    to: to\n{options}{streams}")
}

impl World {
    /// A folder with this `syncline.yaml`.
    pub fn new(config: &str) -> Self {
        let world = Self { dir: tempfile::tempdir().expect("a folder") };
        world.configure(config);
        world
    }

    /// A sync of all tables between two databases.
    pub fn between(from: &Side, to: &Side, options: &str) -> Self {
        Self::new(&config(from, to, options))
    }

    /// A sync of all tables between two databases, one or both of them reached at another place.
    pub fn through(from: (&str, &str), to: (&str, &str), options: &str) -> Self {
        Self::new(&config_of(from, to, options))
    }

    /// Writes the configuration anew.
    pub fn configure(&self, config: &str) {
        std::fs::write(self.path("syncline.yaml"), config).expect("written");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, args: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("syncline"));
        command.current_dir(self.dir.path()).args(args).env("COLUMNS", "200").env_remove("SYNCLINE_LOG").env_remove("SYNCLINE_FAIL");
        command.envs(variables.iter().copied());
        command
    }

    /// Runs the binary here.
    pub fn syncline(&self, args: &[&str]) -> Answer {
        self.syncline_with(args, &[])
    }

    /// Runs the binary here, with variables.
    pub fn syncline_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Answer {
        Answer::of(&self.command(args, variables).output().expect("the binary starts"))
    }

    /// Starts the binary here and comes back at once.
    pub fn start(&self, args: &[&str], variables: &[(&str, &str)]) -> Child {
        let mut command = self.command(args, variables);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
    }

    /// `run --json` with this exit code: the report of the only scope.
    #[track_caller]
    pub fn run(&self, args: &[&str], code: i32) -> Json {
        let answer = self.syncline(&[&["run", "--json"], args].concat()).ends_with(code);
        answer.json()[0].clone()
    }

    /// Open parked rows as (stream, key, code), sorted.
    #[track_caller]
    pub fn parked(&self) -> Vec<(String, String, String)> {
        let rows = self.syncline(&["parked", "--json"]).ends_with(0).json();
        let text = |v: &Json| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        let mut list: Vec<_> =
            rows.as_array().expect("a list").iter().map(|r| (text(&r["stream"]), text(&r["key"]), text(&r["code"]))).collect();
        list.sort();
        list
    }

    /// All runs, oldest first.
    #[track_caller]
    pub fn runs(&self) -> Vec<Json> {
        let mut runs = self.syncline(&["runs", "--limit", "1000", "--json"]).ends_with(0).json().as_array().expect("a list").clone();
        runs.sort_by_key(|r| r["number"].as_u64());
        runs
    }

    /// Half a minute passes for the lease of a process that died.
    pub fn let_leases_end(&self) {
        let state = Connection::open(self.path(".syncline/state.db")).expect("the state opens");
        state.execute("UPDATE locks SET until_at = 0", []).expect("leases end");
    }
}
