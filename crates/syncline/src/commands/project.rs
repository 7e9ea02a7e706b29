//! The project a command works in: configuration file, connections, syncs, state and log files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::ExposeSecret;
use syncline::config::{Config, ConfigError, ConfigErrors};
use syncline::{Connectors, Engine, SqliteStore};
use syncline_engine::Interrupt;
use syncline_engine::report::{Progress, Silent};
use syncline_engine::spec::SyncSpec;
use syncline_model::suggest;
use syncline_store::StateStore;

use super::Context;
use super::context::Telling;
use crate::logs::{self, Files};
use crate::render::failure::Failure;

/// Where a configuration is looked for without `-c`.
pub const FILE: &str = "syncline.yaml";

/// A loaded configuration, as a place to work in.
pub struct Project(Config);

impl std::ops::Deref for Project {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.0
    }
}

/// Whether a command leaves something behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// It only looks: no file is made.
    Read,
    /// It writes state and logs.
    Write,
}

impl Project {
    /// Loads the configuration of this command, learns its secrets, and starts the log of a command that writes.
    pub fn open(context: &Context, touch: Touch) -> Result<Self, Failure> {
        let path = find(context)?;
        let config = Config::load(&path).map_err(wrong)?;
        for secret in config.secrets.iter().map(ExposeSecret::expose_secret).filter(|s| !s.starts_with("sqlite:")) {
            context.secrets.add(secret);
            context.secrets.add_url(secret);
        }
        if touch == Touch::Write || context.telling == Telling::Verbose {
            let files = (touch == Touch::Write).then(|| Files { dir: config.logs.dir.clone(), keep_days: config.logs.keep_days });
            if let Err(e) = logs::start(files, context) {
                context.out.note(format!("warning: no log file in `{}`: {e}", config.logs.dir.display()));
            }
        }
        Ok(Self(config))
    }

    /// The sync of this name, or the only one.
    pub fn sync(&self, name: Option<&str>) -> Result<&SyncSpec, Failure> {
        let names = || self.syncs.iter().map(|s| s.name.as_str());
        let list = names().collect::<Vec<_>>().join(", ");
        let Some(name) = name else {
            return match self.syncs.as_slice() {
                [only] => Ok(only),
                [] => {
                    Err(Failure::usage("argument_missing", "the configuration has no sync").hint("add one under `syncs:`").at(self.place()))
                }
                _ => Err(Failure::usage("argument_missing", "which sync?").hint(format!("name one of: {list}")).at(self.place())),
            };
        };
        self.syncs.iter().find(|s| s.name == name).ok_or_else(|| {
            let failure = Failure::usage("sync_unknown", format!("there is no sync `{name}`")).at(self.place());
            match suggest::closest(name, names()) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint(format!("there are: {list}")),
            }
        })
    }

    /// The sync of this name, or all of them.
    pub fn some_or_all(&self, name: Option<&str>) -> Result<Vec<&SyncSpec>, Failure> {
        match name {
            Some(_) => self.sync(name).map(|s| vec![s]),
            None => Ok(self.syncs.iter().collect()),
        }
    }

    /// The state. A command that only looks gets an empty one in memory where there is no file yet.
    pub fn store(&self, touch: Touch) -> Result<Arc<dyn StateStore>, Failure> {
        let store = match touch {
            Touch::Read if !self.state.exists() => SqliteStore::in_memory(),
            Touch::Read | Touch::Write => SqliteStore::open(&self.state),
        };
        keep_temporary_files_beside(&self.state);
        store.map(|s| Arc::new(s) as Arc<dyn StateStore>).map_err(|e| Failure::from(e).at(self.state.display().to_string()))
    }

    /// An engine that shows progress and listens to Ctrl-C.
    pub fn engine(&self, context: &Context, store: Arc<dyn StateStore>) -> Engine {
        engine(context, store, context.progress(), context.interrupt())
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

/// An engine outside any project: no progress, no state.
pub fn bare_engine(context: &Context) -> Result<Engine, Failure> {
    let store = Arc::new(SqliteStore::in_memory()?);
    Ok(engine(context, store, Arc::new(Silent), context.interrupt()))
}

fn engine(context: &Context, store: Arc<dyn StateStore>, progress: Arc<dyn Progress>, interrupt: Arc<dyn Interrupt>) -> Engine {
    Engine {
        registry: Arc::new(Connectors),
        store,
        clock: Arc::clone(&context.clock),
        ids: Arc::clone(&context.ids),
        progress,
        interrupt,
        processes: Arc::new(syncline::processes::Local),
        actor: context.actor(),
    }
}

/// A run may need much room for what does not fit into its memory, which `/tmp` often is itself. Nowhere else is as sure to be on a disk
/// as where the state is. A directory that takes no file, or is not there yet, is left alone.
fn keep_temporary_files_beside(state: &Path) {
    let Some(dir) = state.parent().filter(|dir| tempfile::tempfile_in(dir).is_ok()) else { return };
    // Said before in this process, it stays as it was: it is the same.
    let _ = tempfile::env::override_temp_dir(dir);
}

fn find(context: &Context) -> Result<PathBuf, Failure> {
    let path = context.config.clone().unwrap_or_else(|| PathBuf::from(FILE));
    if path.is_file() {
        return Ok(path);
    }
    Err(match &context.config {
        Some(given) => Failure::usage("config_missing", format!("there is no file `{}`", given.display())).hint("check the path after -c"),
        None => Failure::usage("config_missing", format!("there is no `{FILE}` here")).hint(
            "write one from two databases:  syncline init --from URL --to URL\n\
             look around first:             syncline demo\n\
             or name one:                   syncline -c FILE …",
        ),
    })
}

/// Everything that is wrong with a configuration, one after the other.
fn wrong(errors: ConfigErrors) -> Failure {
    let file = errors.file.display().to_string();
    let failure = |e: &ConfigError| {
        let line = e.line.map(|l| format!(":{l}")).unwrap_or_default();
        let path = if e.path.is_empty() { String::new() } else { format!(", {}", e.path) };
        let failure = Failure::usage(e.code, &e.message).at(format!("{file}{line}{path}"));
        e.hint.iter().fold(failure, |f, hint| f.hint(hint))
    };
    let mut all = errors.errors.iter().map(failure);
    let mut first = all.next().unwrap_or_else(|| Failure::usage("config_invalid", "the configuration cannot be read").at(&file));
    first.others = all.collect();
    first
}
