//! What can go wrong with the state.

/// An error of the state store, told by what the caller does.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be opened or written now (missing directory, disk full, locked).
    #[error("state store: {message}")]
    Unavailable {
        /// Stable code: `state_unavailable`, `disk_full`, `database_busy`, `read_only`.
        code: &'static str,
        /// Operation and thing.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A row or the file is damaged: never treated as "no state" (G13).
    #[error("state store: {message}")]
    Corrupt {
        /// Operation and thing.
        message: String,
    },
    /// Written by a newer Syncline.
    #[error("state store: its format {found} is newer than this program knows ({known})")]
    Newer {
        /// Format found.
        found: u32,
        /// Newest format known here.
        known: u32,
    },
    /// Two rows contradict each other (an id mapped twice, an illegal state change).
    #[error("state store: {message}")]
    Conflict {
        /// Stable code: `mapping_doubled`, `run_not_running`, `run_unknown`, `id_ambiguous`, `collection_key_doubled`, `state_conflict`.
        code: &'static str,
        /// Operation and thing.
        message: String,
    },
}

impl StoreError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { code, .. } | Self::Conflict { code, .. } => code,
            Self::Corrupt { .. } => "state_corrupt",
            Self::Newer { .. } => "state_newer",
        }
    }
}
