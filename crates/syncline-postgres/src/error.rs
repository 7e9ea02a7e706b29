//! What a PostgreSQL error means for the caller: SQLSTATE → kind, code and hint. Messages never carry a cell's value, so
//! the server's own words are only passed on for classes whose words hold names and nothing else.

use syncline_connector::{Error, ErrorKind};
use tokio_postgres::error::DbError;

/// Turns a driver error into ours; `doing` names operation and thing: "read `film`".
#[must_use]
pub fn from_pg(e: tokio_postgres::Error, doing: &str) -> Error {
    match e.as_db_error() {
        Some(db) => from_db(db, doing),
        None => Error::new(ErrorKind::Unavailable, "connection_lost", format!("{doing}: the connection to PostgreSQL was lost")).because(e),
    }
}

/// The server's SQLSTATE, or "" for errors that did not come from the server.
#[must_use]
pub fn sqlstate(e: &tokio_postgres::Error) -> &str {
    e.code().map_or("", |c| c.code())
}

fn from_db(db: &DbError, doing: &str) -> Error {
    let state = db.code().code();
    let (kind, code) = match db.routine() {
        // The server's words come in any language; the place where it raises this does not.
        Some("check_enable_rls") => (ErrorKind::Unauthorized, "row_security"),
        _ => classify(state),
    };
    let mut error = Error::new(kind, code, format!("{doing}: {}", words(db, code)));
    if holds_values(state) {
        error = error.words(db.message());
    }
    match hint(db, code) {
        Some(h) => error.hint(h),
        None => error,
    }
}

/// Kind and code of an SQLSTATE.
#[must_use]
pub fn classify(state: &str) -> (ErrorKind, &'static str) {
    use ErrorKind as K;
    match state {
        "40001" => (K::Conflict, "serialization_failure"),
        "40P01" => (K::Conflict, "deadlock"),
        "55P03" => (K::Conflict, "lock_not_available"),
        "25P02" => (K::Conflict, "transaction_aborted"),
        "57014" => (K::Unavailable, "statement_cancelled"),
        "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03" | "25P04" => (K::Unavailable, "server_unavailable"),
        "53100" => (K::Unavailable, "disk_full"),
        "53300" => (K::Unavailable, "too_many_connections"),
        "42P05" | "26000" => (K::Unavailable, "pooler_statement_mixup"),
        "25006" => (K::Unavailable, "server_read_only"),
        "3D000" => (K::Invalid, "database_missing"),
        "3F000" => (K::Invalid, "schema_missing"),
        "42501" => (K::Unauthorized, "rights_missing"),
        "2BP01" => (K::Conflict, "table_needed"),
        "42P01" => (K::SchemaMismatch, "table_missing"),
        "42703" => (K::SchemaMismatch, "column_missing"),
        "42704" => (K::SchemaMismatch, "type_missing"),
        "42601" => (K::Invalid, "sql_invalid"),
        "42P07" | "42701" | "42710" => (K::SchemaMismatch, "already_exists"),
        "23502" => (K::BadRecord, "not_null"),
        "23503" => (K::BadRecord, "parent_missing"),
        "23505" => (K::BadRecord, "unique_taken"),
        "23514" => (K::BadRecord, "check_violated"),
        "23P01" => (K::BadRecord, "exclusion_violated"),
        // ON CONFLICT without a matching unique index, or twice on one row: the two-step plan needs neither.
        "42P10" | "21000" => (K::BadRecord, "constraint_violated"),
        // "index row size exceeds maximum": that row's value is too long for an index.
        "54000" | "22001" => (K::BadRecord, "value_too_long"),
        "22003" => (K::BadRecord, "value_out_of_range"),
        "22P02" | "22P03" | "22007" | "22008" | "22021" | "22P05" => (K::BadRecord, "value_invalid"),
        _ => match &state[..2.min(state.len())] {
            "08" | "53" | "58" | "57" => (K::Unavailable, "server_unavailable"),
            "28" => (K::Unauthorized, "auth_failed"),
            "23" => (K::BadRecord, "constraint_violated"),
            "22" => (K::BadRecord, "value_invalid"),
            "40" => (K::Conflict, "transaction_aborted"),
            "P0" => (K::BadRecord, "trigger_refused"),
            "42" => (K::Invalid, "sql_invalid"),
            "0A" => (K::Invalid, "not_supported"),
            _ => (K::Internal, "server_error"),
        },
    }
}

/// What may be said: constraint and column names for rows, the server's message for everything whose message cannot hold a value.
fn words(db: &DbError, code: &str) -> String {
    let state = db.code().code();
    if !holds_values(state) {
        return match code {
            "auth_failed" => "PostgreSQL refused the user name or password".to_owned(),
            _ => format!("{} (SQLSTATE {state})", lowercase_first(db.message())),
        };
    }
    let mut text = match code {
        "not_null" => "a NULL where the column needs a value".to_owned(),
        "parent_missing" => "a foreign key refused the change".to_owned(),
        "unique_taken" => "a unique value is taken".to_owned(),
        "trigger_refused" => match db.where_().and_then(function) {
            Some(name) => format!("the trigger or function `{name}` refused the change"),
            None => "a trigger or function refused the change".to_owned(),
        },
        _ => format!("PostgreSQL refused a value (SQLSTATE {state})"),
    };
    let names = [("constraint", db.constraint()), ("table", db.table()), ("column", db.column()), ("type", db.datatype())];
    for (what, name) in names {
        if let Some(name) = name {
            text.push_str(&format!(", {what} `{name}`"));
        }
    }
    text
}

/// Classes of states whose messages may quote a value.
fn holds_values(state: &str) -> bool {
    matches!(&state[..2.min(state.len())], "22" | "23" | "P0")
}

/// The innermost function in the context of an error: `PL/pgSQL function f() line 1 at RAISE`. Never a line that quotes a statement.
fn function(context: &str) -> Option<&str> {
    let rest = context.lines().next()?.strip_prefix("PL/pgSQL function ")?;
    rest.split_once(" line ").map(|(name, _)| name)
}

fn lowercase_first(s: &str) -> String {
    let mut chars = s.chars();
    chars.next().map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect())
}

fn hint(db: &DbError, code: &str) -> Option<String> {
    let hint = match code {
        "rights_missing" => grant(db.message()),
        "auth_failed" => "check user, password and pg_hba.conf".to_owned(),
        "row_security" => "ALTER ROLE the role of this connection BYPASSRLS, or connect with a role that sees every row".to_owned(),
        "disk_full" => "free space on the server's disk; the run goes on from where it was".to_owned(),
        "too_many_connections" => "raise max_connections or connect through a pooler (flavor: pgbouncer)".to_owned(),
        "server_read_only" => "the server is a standby or set read-only; connect to the primary".to_owned(),
        "pooler_statement_mixup" => "connect past the pooler, or set `flavor: pgbouncer`".to_owned(),
        "database_missing" => "create the database, or correct its name in the url".to_owned(),
        "table_missing" | "column_missing" => "the schema changed since it was looked at; run `plan` again".to_owned(),
        _ => return None,
    };
    Some(hint)
}

/// The GRANT for a "permission denied for table x" message, which names the object and nothing else.
fn grant(message: &str) -> String {
    let object = message.strip_prefix("permission denied for ").unwrap_or("");
    let (kind, name) = object.split_once(' ').unwrap_or(("", ""));
    match kind {
        "table" | "view" => format!("GRANT SELECT ON {name} TO the role of this connection (INSERT, UPDATE, DELETE too at a destination)"),
        "schema" => format!("GRANT USAGE ON SCHEMA {name} TO the role of this connection (CREATE too where Syncline makes tables)"),
        "sequence" => format!("GRANT USAGE, UPDATE ON SEQUENCE {name} TO the role of this connection"),
        _ => "GRANT the missing right to the role of this connection; `syncline check` prints the statements".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_tells_the_caller_what_to_do() {
        for (state, kind, code) in [
            ("40001", ErrorKind::Conflict, "serialization_failure"),
            ("40P01", ErrorKind::Conflict, "deadlock"),
            ("57P01", ErrorKind::Unavailable, "server_unavailable"),
            ("08006", ErrorKind::Unavailable, "server_unavailable"),
            ("53300", ErrorKind::Unavailable, "too_many_connections"),
            ("25006", ErrorKind::Unavailable, "server_read_only"),
            ("53100", ErrorKind::Unavailable, "disk_full"),
            ("28P01", ErrorKind::Unauthorized, "auth_failed"),
            ("42501", ErrorKind::Unauthorized, "rights_missing"),
            ("23505", ErrorKind::BadRecord, "unique_taken"),
            ("42P01", ErrorKind::SchemaMismatch, "table_missing"),
            ("42703", ErrorKind::SchemaMismatch, "column_missing"),
            ("", ErrorKind::Internal, "server_error"),
        ] {
            assert_eq!(classify(state), (kind, code), "{state}");
        }
    }

    #[test]
    fn a_context_names_its_function_and_never_a_statement() {
        assert_eq!(function("PL/pgSQL function no_seven() line 1 at RAISE\nSQL statement \"x\""), Some("no_seven()"));
        assert_eq!(function("SQL statement \"INSERT INTO t VALUES ('secret')\""), None);
    }

    #[test]
    fn a_missing_right_comes_with_its_grant() {
        assert!(grant("permission denied for table film").starts_with("GRANT SELECT ON film"));
        assert!(grant("permission denied for schema x").contains("USAGE ON SCHEMA x"));
    }
}
