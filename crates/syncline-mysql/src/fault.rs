//! Driver and server errors as the contract's kinds.

use mysql_async::{DriverError, Error as Driver, IoError};
use syncline_connector::{Error, ErrorKind};

/// Lock wait timeout; unless `innodb_rollback_on_timeout` is set the server undoes the statement only (C11).
pub(crate) const LOCK_WAIT_TIMEOUT: u16 = 1205;
/// Deadlock; the server rolled the whole transaction back.
pub(crate) const DEADLOCK: u16 = 1213;
/// Access denied for want of a global right.
pub(crate) const SPECIFIC_ACCESS_DENIED: u16 = 1227;

/// The server's error number, if the server answered at all.
pub(crate) fn server_code(e: &Driver) -> Option<u16> {
    match e {
        Driver::Server(s) => Some(s.code),
        Driver::Driver(_) | Driver::Io(_) | Driver::Other(_) | Driver::Url(_) => None,
    }
}

/// Maps an error of the driver met during `operation`. The server's text stays in the cause: it may quote values.
pub(crate) fn map(e: Driver, operation: &str) -> Error {
    let (kind, code, what, hint) = match &e {
        Driver::Server(s) => server(s.code, &s.message),
        Driver::Io(IoError::Io(_)) => (ErrorKind::Unavailable, "connection_lost", "the connection was lost".to_owned(), None),
        Driver::Io(IoError::Tls(_)) => {
            let hint = "check the server's certificate, or add verify_ca=false to the url where that is acceptable";
            (ErrorKind::Unavailable, "tls_failed", "TLS could not be agreed on".to_owned(), Some(hint.to_owned()))
        }
        Driver::Driver(d) => driver(d),
        Driver::Url(_) => (ErrorKind::Invalid, "url_invalid", "the url is not valid".to_owned(), None),
        Driver::Other(_) => (ErrorKind::Internal, "driver_failed", "the driver failed".to_owned(), None),
    };
    let words = match (&e, kind) {
        (Driver::Server(s), ErrorKind::BadRecord) => Some(s.message.clone()),
        _ => None,
    };
    let mut error = Error::new(kind, code, format!("{operation}: {what}")).because(e);
    error.hint = hint;
    error.words = words;
    error
}

type Parts = (ErrorKind, &'static str, String, Option<String>);

fn driver(d: &DriverError) -> Parts {
    match d {
        DriverError::ConnectionClosed | DriverError::PacketOutOfOrder | DriverError::UnexpectedPacket { .. } => {
            (ErrorKind::Unavailable, "connection_lost", "the connection was lost".to_owned(), None)
        }
        DriverError::PacketTooLarge => {
            let hint = "raise max_allowed_packet on the server".to_owned();
            (ErrorKind::BadRecord, "value_too_large", "a row is larger than max_allowed_packet".to_owned(), Some(hint))
        }
        DriverError::NoClientSslFlagFromServer => (
            ErrorKind::Invalid,
            "tls_refused",
            "the server does not offer TLS".to_owned(),
            Some("remove require_ssl from the url".to_owned()),
        ),
        other => (ErrorKind::Internal, "driver_failed", format!("the driver failed ({})", variant(other)), None),
    }
}

/// The variant's name only: the fields of some hold whole rows.
fn variant(d: &DriverError) -> String {
    format!("{d:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// Names of things in a server message are its quoted words; values may be quoted as well, so only these codes pass them on.
fn quoted(message: &str, nth: usize) -> String {
    message.split('\'').nth(nth * 2 + 1).unwrap_or_default().to_owned()
}

fn server(code: u16, message: &str) -> Parts {
    use ErrorKind as K;
    let plain = |kind, code, text: &str| (kind, code, text.to_owned(), None);
    let hinted = |kind, code, text: String, hint: &str| (kind, code, text, Some(hint.to_owned()));
    match code {
        LOCK_WAIT_TIMEOUT => plain(K::Conflict, "lock_timeout", "another transaction holds the rows"),
        DEADLOCK => plain(K::Conflict, "deadlock", "the server chose this transaction to end a deadlock"),
        1020 => plain(K::Conflict, "row_changed", "a row changed since it was read"),
        2006 | 2013 | 1053 | 1152 | 1154..=1161 | 1927 | 1077 | 1079 | 1080 => {
            plain(K::Unavailable, "connection_lost", "the connection was lost")
        }
        1290 | 1792 | 1836 => hinted(
            K::Unavailable,
            "read_only",
            "the server is read-only for this session".to_owned(),
            "connect to the primary, or wait until it takes writes again",
        ),
        1040 | 1203 | 1226 | 1129 => plain(K::Unavailable, "too_many_connections", "the server takes no more connections for now"),
        1114 | 1021 | 1030 | 3 if code != 1030 || message.contains("28") => {
            hinted(K::Unavailable, "disk_full", "the server has no space left".to_owned(), "free disk space on the server")
        }
        1045 | 1698 | 1251 | 1862 | 4151 => hinted(
            K::Unauthorized,
            "auth_failed",
            "the server refused the user or password".to_owned(),
            "check user, password and the host the user may connect from",
        ),
        1044 | 1142 | 1143 | 1227 | 1370 | 1419 | 1549 => grant(code, message),
        1049 => hinted(K::Invalid, "database_missing", format!("there is no database {}", quoted(message, 0)), "check the url"),
        1146 | 1051 => plain(K::SchemaMismatch, "table_missing", "a table does not exist"),
        1054 | 1091 => {
            hinted(K::SchemaMismatch, "column_missing", format!("there is no column {}", quoted(message, 0)), "run discover again")
        }
        1064 | 1149 => plain(K::Invalid, "sql_invalid", "the server did not understand the statement"),
        1062 | 1586 => plain(K::BadRecord, "unique_taken", "a unique value is taken"),
        1048 | 1364 => plain(K::BadRecord, "not_null", "a column that must have a value has none"),
        1264 | 1690 | 1367 => plain(K::BadRecord, "value_out_of_range", "a value is out of its column's range"),
        1366 | 1265 | 1292 | 1411 => plain(K::BadRecord, "type_mismatch", "a value does not fit its column"),
        1406 => plain(K::BadRecord, "value_too_long", "a value is too long for its column"),
        1153 | 1301 => plain(K::BadRecord, "value_too_large", "a value is larger than max_allowed_packet"),
        1452 | 1216 => plain(K::BadRecord, "parent_missing", "a row refers to a parent that does not exist"),
        1451 | 1217 => plain(K::BadRecord, "child_exists", "rows of another table still refer to this one"),
        3819 | 4025 => plain(K::BadRecord, "check_violated", "a CHECK constraint refuses a row"),
        1526 => plain(K::BadRecord, "check_violated", "no partition of the table takes a row"),
        1644 => plain(K::BadRecord, "trigger_refused", "a trigger refused a row"),
        3140..=3146 => plain(K::BadRecord, "invalid_json", "a JSON value is not valid"),
        _ => (K::Internal, "server_error", format!("the server answered error {code}"), None),
    }
}

fn grant(code: u16, message: &str) -> Parts {
    let right = match code {
        1142 | 1143 => message.split_whitespace().next().unwrap_or("the").to_owned(),
        1227 => message.split("(at least one of) the ").nth(1).and_then(|m| m.split_whitespace().next()).unwrap_or("a global").to_owned(),
        _ => "a".to_owned(),
    };
    let hint = match code {
        1142 | 1143 => format!("GRANT {right} ON the table TO this user"),
        1227 => format!("GRANT {right} ON *.* TO this user"),
        _ => "GRANT the rights on the database to this user; CREATE TEMPORARY TABLES is one of them".to_owned(),
    };
    (ErrorKind::Unauthorized, "grant_missing", format!("the user lacks {right} right"), Some(hint))
}
