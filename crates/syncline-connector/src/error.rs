//! What went wrong at a connector, told by what the caller does next, not by which library said it.

use std::fmt;

/// Result of every contract method.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Kinds, chosen by what the caller does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The system cannot be reached, dropped us, or is full: again later.
    Unavailable,
    /// The system told us to slow down.
    RateLimited,
    /// Credentials or rights are missing: a human has to act.
    Unauthorized,
    /// The request makes no sense (configuration, unknown table): never again as it is.
    Invalid,
    /// The two sides' shapes do not fit: a human has to change a schema.
    SchemaMismatch,
    /// One record cannot be applied; the rest can.
    BadRecord,
    /// The stored position is no longer valid at the source (restored, rewound, recreated).
    PositionLost,
    /// Somebody else changed the same rows meanwhile: the whole step may be repeated.
    Conflict,
    /// We were asked to stop.
    Cancelled,
    /// A broken invariant of ours.
    Internal,
}

impl ErrorKind {
    /// Whether the same call may succeed later without anybody acting.
    #[must_use]
    pub fn is_transient(self) -> bool {
        match self {
            Self::Unavailable | Self::RateLimited | Self::Conflict => true,
            Self::Unauthorized
            | Self::Invalid
            | Self::SchemaMismatch
            | Self::BadRecord
            | Self::PositionLost
            | Self::Cancelled
            | Self::Internal => false,
        }
    }
}

/// An error across a seam. `Display` gives operation and thing, lowercase, never a cell's value or a secret; the cause is
/// in `source()` and never repeated in the text.
#[derive(Debug)]
pub struct Error {
    /// What the caller does next.
    pub kind: ErrorKind,
    /// Stable code, `snake_case`; `syncline explain CODE` has its page.
    pub code: &'static str,
    /// "write batch to `users`: column `email` is too short".
    pub message: String,
    /// What to do next, where there is something to do.
    pub hint: Option<String>,
    /// What the system itself said about a row. It may hold the row's values: kept with the row where that is set aside, never logged.
    pub words: Option<String>,
    /// The cause.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error without hint or cause.
    #[must_use]
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), hint: None, words: None, cause: None }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what the system itself said about a row.
    #[must_use]
    pub fn words(mut self, words: impl Into<String>) -> Self {
        self.words = Some(words.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Puts the operation in front of the message: "read `film`: …".
    #[must_use]
    pub fn during(mut self, operation: impl fmt::Display) -> Self {
        self.message = format!("{operation}: {}", self.message);
        self
    }

    /// A broken invariant of ours.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, "internal", message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|c| c as _)
    }
}
