//! What SQLite's result codes mean to the caller.

use rusqlite::ErrorCode;
use rusqlite::ffi;
use syncline_connector::{Error, ErrorKind};

/// The error of an operation: "read `film`".
pub(crate) fn failed(operation: impl std::fmt::Display, e: rusqlite::Error) -> Error {
    let (kind, code, what, hint) = meaning(&e);
    let message = match detail(&e) {
        Some(detail) => format!("{operation}: {what}: {detail}"),
        None => format!("{operation}: {what}"),
    };
    let error = Error::new(kind, code, message);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

type Meaning = (ErrorKind, &'static str, &'static str, Option<&'static str>);

fn meaning(e: &rusqlite::Error) -> Meaning {
    use ErrorKind as K;
    let Some(code) = e.sqlite_error_code() else {
        return (K::Internal, "sqlite_misuse", "the statement could not be run", None);
    };
    if let Some(special) = special(e) {
        return special;
    }
    match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => (
            K::Unavailable,
            "database_busy",
            "another connection holds the lock",
            Some("end the transaction of the other program, or let the run try again"),
        ),
        ErrorCode::DiskFull => (K::Unavailable, "disk_full", "no room left for the file", Some("free disk space and run again")),
        ErrorCode::ReadOnly => {
            (K::Unauthorized, "read_only", "the file may not be written", Some("check the rights of the file and its directory"))
        }
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            (K::Unauthorized, "permission_denied", "access denied", Some("check the rights of the file and its directory"))
        }
        ErrorCode::ConstraintViolation => (K::BadRecord, constraint(e), "a constraint refused the row", None),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => (
            K::Invalid,
            "file_corrupt",
            "the file is no sound sqlite database",
            Some("check it with `PRAGMA integrity_check` or restore it from a backup"),
        ),
        ErrorCode::CannotOpen => {
            (K::Invalid, "file_missing", "the file cannot be opened", Some("check the path and the rights of the file and its directory"))
        }
        ErrorCode::SystemIoFailure | ErrorCode::FileLockingProtocolFailed => {
            (K::Unavailable, "io_failed", "reading or writing the file failed", None)
        }
        ErrorCode::OutOfMemory => (K::Unavailable, "out_of_memory", "out of memory", None),
        ErrorCode::TooBig => (K::BadRecord, "value_too_long", "a value or row is larger than sqlite holds", None),
        ErrorCode::SchemaChanged => (K::Conflict, "schema_changed", "the schema changed meanwhile", None),
        ErrorCode::OperationInterrupted => (K::Cancelled, "interrupted", "interrupted", None),
        ErrorCode::TypeMismatch => (K::BadRecord, "type_mismatch", "a value does not fit its column", None),
        ErrorCode::OperationAborted => (K::Conflict, "transaction_aborted", "the transaction was rolled back", None),
        _ => (K::Invalid, "statement_failed", "the statement failed", None),
    }
}

/// Meanings that the plain result code is too coarse for.
fn special(e: &rusqlite::Error) -> Option<Meaning> {
    use ErrorKind as K;
    let says = |what: &str| detail(e).is_some_and(|text| text.starts_with(what));
    match e.sqlite_error()?.extended_code {
        ffi::SQLITE_READONLY_ROLLBACK | ffi::SQLITE_READONLY_RECOVERY | ffi::SQLITE_READONLY_CANTINIT => Some((
            K::Unavailable,
            "recovery_needed",
            "a program that wrote the file has crashed, and a reader cannot clean up after it",
            Some("open the file once with a program that may write it"),
        )),
        ffi::SQLITE_ERROR if says("no such table") => {
            Some((K::SchemaMismatch, "table_missing", "a table does not exist", Some("the schema changed; run `plan` again")))
        }
        ffi::SQLITE_ERROR if says("no such column") => {
            Some((K::SchemaMismatch, "column_missing", "a column does not exist", Some("the schema changed; run `plan` again")))
        }
        _ => None,
    }
}

fn constraint(e: &rusqlite::Error) -> &'static str {
    match e.sqlite_error().map(|e| e.extended_code) {
        Some(ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID) => "unique_taken",
        Some(ffi::SQLITE_CONSTRAINT_NOTNULL) => "not_null",
        Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => "parent_missing",
        Some(ffi::SQLITE_CONSTRAINT_CHECK) => "check_violated",
        Some(ffi::SQLITE_CONSTRAINT_DATATYPE) => "type_mismatch",
        Some(ffi::SQLITE_CONSTRAINT_TRIGGER) => "trigger_refused",
        _ => "constraint_violated",
    }
}

/// SQLite's own words. They name tables and columns, never values.
fn detail(e: &rusqlite::Error) -> Option<String> {
    match e {
        rusqlite::Error::SqliteFailure(_, text) => text.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => Some(msg.clone()),
        other => Some(other.to_string()),
    }
}
