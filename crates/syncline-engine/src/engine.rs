//! The engine's face: what a caller can ask for.

use std::sync::Arc;

use syncline_connector::{Connector, ErrorKind};
use syncline_store::rows::{RunKind, RunRow};
use syncline_store::{StateStore, StoreError};

use crate::report::Progress;
use crate::spec::Mode;

/// Time, for the whole engine.
pub trait Clock: Send + Sync {
    /// Wall clock, µs since 1970 UTC.
    fn now(&self) -> i64;
    /// A clock that only goes forward, ms since an arbitrary start.
    fn monotonic_ms(&self) -> u64;
}

/// Ids, for the whole engine.
pub trait IdSource: Send + Sync {
    /// A time-ordered id that is never given twice.
    fn next_id(&self) -> String;
}

/// Asked between batches: true once the user wants a clean stop.
pub trait Interrupt: Send + Sync {
    /// True once the run should stop after the current batch.
    fn asked(&self) -> bool;
}

/// Which process this is, and whether another one on this machine still lives. For locks.
pub trait Processes: Send + Sync {
    /// This process, told apart from every other one on any machine, also from a later one with the same number. `None` where the system
    /// does not say.
    fn own(&self) -> Option<String>;
    /// True only when that process is known to have ended. A process of another machine, or one that cannot be seen, is not.
    fn is_gone(&self, process: &str) -> bool;
}

/// Nothing is known about processes: locks of dead ones end with their lease.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnknownProcesses;

impl Processes for UnknownProcesses {
    fn own(&self) -> Option<String> {
        None
    }

    fn is_gone(&self, _process: &str) -> bool {
        false
    }
}

/// Finds a connector by its `type`.
pub trait Registry: Send + Sync {
    /// The connector, or `None` for an unknown type.
    fn connector(&self, kind: &str) -> Option<Arc<dyn Connector>>;
}

/// Everything the engine needs from outside.
#[derive(Clone)]
pub struct Engine {
    /// Connectors by type.
    pub registry: Arc<dyn Registry>,
    /// State.
    pub store: Arc<dyn StateStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn IdSource>,
    /// Progress.
    pub progress: Arc<dyn Progress>,
    /// Stop requests.
    pub interrupt: Arc<dyn Interrupt>,
    /// Processes of this machine.
    pub processes: Arc<dyn Processes>,
    /// Who acts, for locks and audit: `user@host pid 123`.
    pub actor: String,
}

/// How a run is asked for.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// How it was started.
    pub kind: RunKind,
    /// Instead of the configured mode.
    pub mode: Option<Mode>,
    /// Only these streams.
    pub streams: Vec<String>,
    /// Only this record: the source key, as text per key column (`42`, or `7,de`).
    pub key: Option<String>,
    /// Only this scope.
    pub scope: Option<String>,
    /// Apply deletions that the guard would hold back.
    pub approve_deletes: bool,
    /// Wait for the lock instead of failing.
    pub wait: bool,
    /// Exactly this plan.
    pub plan: Option<crate::report::Plan>,
    /// Only these records: stream → source keys as JSON (parked rows tried again, differences repaired).
    pub keys: Option<std::collections::BTreeMap<String, Vec<String>>>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            kind: RunKind::Manual,
            mode: None,
            streams: Vec::new(),
            key: None,
            scope: None,
            approve_deletes: false,
            wait: false,
            plan: None,
            keys: None,
        }
    }
}

/// A finished run.
pub type RunReport = RunRow;

/// Why the engine could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A connector said no.
    #[error(transparent)]
    Connector(#[from] syncline_connector::Error),
    /// The state said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration makes no sense against the real tables.
    #[error("{message}")]
    Config {
        /// Stable code.
        code: &'static str,
        /// What is wrong, naming sync, stream and option.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Another run holds the lock.
    #[error("sync `{sync}` is being run by {holder} since {since}")]
    Locked {
        /// The sync.
        sync: String,
        /// Who holds it.
        holder: String,
        /// Since when, RFC 3339.
        since: String,
    },
    /// The user asked to stop.
    #[error("stopped on request")]
    Interrupted,
}

impl EngineError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Connector(e) => e.code,
            Self::Store(e) => e.code(),
            Self::Config { code, .. } => code,
            Self::Locked { .. } => "lock_held",
            Self::Interrupted => "interrupted",
        }
    }

    /// What to do next, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Connector(e) => e.hint.clone(),
            Self::Store(StoreError::Unavailable { hint, .. }) => Some(hint.clone()),
            Self::Store(StoreError::Corrupt { .. }) => Some(
                "nothing was changed. Restore the file from a backup; or move it away: the next run then compares everything, without the \
                 history, the parked rows and the id mappings that were in it"
                    .to_owned(),
            ),
            Self::Store(StoreError::Newer { .. }) => Some("run the newer program, or name another file in `state.url`".to_owned()),
            Self::Store(StoreError::Conflict { .. }) | Self::Interrupted => None,
            Self::Config { hint, .. } => hint.clone(),
            Self::Locked { .. } => Some("wait for it with `--wait`, or see `syncline status`".to_owned()),
        }
    }

    /// Whether the user's configuration or request is at fault (exit code 2).
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Config { .. } => true,
            Self::Connector(e) => e.kind == ErrorKind::Invalid && matches!(e.code, "url_invalid"),
            Self::Store(_) | Self::Locked { .. } | Self::Interrupted => false,
        }
    }
}

/// Result of every engine call.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;
