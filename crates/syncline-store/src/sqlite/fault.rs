//! What SQLite says, told by what the caller does next.

use std::io;

use rusqlite::ErrorCode;

use crate::error::StoreError;

/// A failure inside the store, before it has the name of the operation.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite said no.
    Sqlite(rusqlite::Error),
    /// The operating system said no.
    Io(io::Error),
    /// A stored cell makes no sense.
    Damaged(String),
    /// Decided by the store itself.
    Store(StoreError),
    /// The transaction had already been rolled back by SQLite.
    Ended,
}

impl From<rusqlite::Error> for Fault {
    fn from(e: rusqlite::Error) -> Self {
        Self::Sqlite(e)
    }
}

impl From<io::Error> for Fault {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

impl From<StoreError> for Fault {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

impl Fault {
    /// Two rows contradict each other.
    pub(super) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Store(StoreError::Conflict { code, message: message.into() })
    }

    /// The error a caller sees.
    pub(super) fn into_error(self, operation: &str) -> StoreError {
        match self {
            Self::Sqlite(e) => from_sqlite(operation, &e),
            Self::Io(e) => unopened(operation, &e),
            Self::Damaged(what) => StoreError::Corrupt { message: format!("{operation}: {what}") },
            Self::Store(e) => e,
            Self::Ended => unavailable("state_unavailable", format!("{operation}: the transaction was already rolled back"), RETRY),
        }
    }
}

const RETRY: &str = "see the error before this one, then run the command again; nothing of the transaction was kept";
const OPENABLE: &str = "check that the path of `state.url` exists and that this user may read and write it and its directory";

/// The file or its directory could not be reached.
pub(super) fn unopened(operation: &str, e: &io::Error) -> StoreError {
    let (code, hint) = match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ("disk_full", FREE_SPACE),
        io::ErrorKind::ReadOnlyFilesystem => ("read_only", WRITABLE),
        _ => ("state_unavailable", OPENABLE),
    };
    unavailable(code, format!("{operation}: {e}"), hint)
}

/// The writer's thread is gone or panicked over this job.
pub(super) fn writer_gone(operation: &str) -> StoreError {
    unavailable(
        "state_unavailable",
        format!("{operation}: the writer stopped over it"),
        "run the command again; nothing of the transaction was kept",
    )
}

const FREE_SPACE: &str = "free space on the disk that holds the state file; nothing of the transaction was kept";
const WRITABLE: &str = "make the state file and its directory writable for this user, or name another file in `state.url`";

/// The index of the log could not be made larger: the first thing that fails on a full disk.
const IOERR_SHMSIZE: i32 = 10 | (19 << 8);

fn from_sqlite(operation: &str, e: &rusqlite::Error) -> StoreError {
    let message = format!("{operation}: {e}");
    if e.sqlite_error().is_some_and(|e| e.extended_code == IOERR_SHMSIZE) {
        return unavailable("disk_full", format!("{message} (there is no room for the index of its log)"), FREE_SPACE);
    }
    match e.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => unavailable("disk_full", message, FREE_SPACE),
        Some(ErrorCode::ReadOnly) => unavailable("read_only", message, WRITABLE),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => unavailable(
            "database_busy",
            message,
            "another program holds the state file; close it (a shell, a backup) and run the command again",
        ),
        Some(ErrorCode::ConstraintViolation) => StoreError::Conflict { code: "state_conflict", message },
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed,
        ) => unavailable("state_unavailable", message, OPENABLE),
        // NOTADB, CORRUPT, a missing table or column, a cell of the wrong type: the file is not what this program wrote.
        _ => StoreError::Corrupt { message },
    }
}

fn unavailable(code: &'static str, message: String, hint: &str) -> StoreError {
    StoreError::Unavailable { code, message, hint: hint.to_owned() }
}
