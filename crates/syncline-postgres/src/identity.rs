//! Who the server is, and what became of a transaction whose COMMIT was not answered (R24).

use std::time::Duration;

use syncline_connector::{CommitFate, Error, ErrorKind, Identity, Result};
use tokio_postgres::SimpleQueryRow;

use crate::connect::Link;

/// How often and how long an open transaction is asked for: its backend ends soon after its connection did.
const FATE_PAUSE: Duration = Duration::from_millis(100);
const FATE_ASKS_MAX: u32 = 1200;

/// System identifier, database and timeline. Hosts may keep the control functions to themselves; what is missing stays empty.
///
/// # Errors
/// `Unavailable` when the connection is lost.
pub async fn identity(link: &Link) -> Result<Identity> {
    let doing = "identify the server";
    let database = first(&link.catalog("SELECT oid FROM pg_database WHERE datname = current_database()", doing).await?);
    let system = allowed(link, "SELECT system_identifier FROM pg_control_system()").await?;
    let timeline = allowed(link, "SELECT timeline_id FROM pg_control_checkpoint()").await?;
    let instance = first(&link.catalog("SELECT pg_postmaster_start_time()", doing).await?);
    Ok(Identity { system: format!("{system}/{database}"), timeline, instance })
}

/// The answer, or "" where the right is missing.
async fn allowed(link: &Link, sql: &str) -> Result<String> {
    match link.catalog(sql, "identify the server").await {
        Ok(rows) => Ok(first(&rows)),
        Err(e) if e.kind == ErrorKind::Unauthorized => Ok(String::new()),
        Err(e) => Err(e),
    }
}

fn first(rows: &[SimpleQueryRow]) -> String {
    rows.first().and_then(|r| r.get(0)).unwrap_or_default().to_owned()
}

/// The token of a transaction: its id and who gave it.
#[must_use]
pub fn token(xid: &str, identity: &Identity) -> String {
    format!("{xid};{};{}", identity.system, identity.timeline)
}

/// The transaction's fate by its token; waits while it is in progress.
///
/// # Errors
/// `Unavailable` when the connection is lost, or the transaction is still open after two minutes (`commit_in_progress`).
pub async fn fate(link: &Link, token: &str) -> Result<CommitFate> {
    let Some((xid, who)) = token.split_once(';') else { return Ok(CommitFate::Unknown) };
    let now = identity(link).await?;
    // Another server, or one that took another path from a backup on, knows nothing of that transaction.
    if who != format!("{};{}", now.system, now.timeline) || xid.is_empty() || !xid.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(CommitFate::Unknown);
    }
    for _ in 0..FATE_ASKS_MAX {
        let status = match link.rows(&format!("SELECT pg_xact_status('{xid}'::xid8)"), "ask for the commit's fate").await {
            Ok(rows) => first(&rows),
            // "transaction ID … is in the future": the server was restored to before it.
            Err(e) if e.kind == ErrorKind::BadRecord => return Ok(CommitFate::Unknown),
            Err(e) => return Err(e),
        };
        match status.as_str() {
            "committed" => return Ok(CommitFate::Committed),
            "aborted" => return Ok(CommitFate::RolledBack),
            "in progress" => tokio::time::sleep(FATE_PAUSE).await,
            _ => return Ok(CommitFate::Unknown),
        }
    }
    Err(Error::new(ErrorKind::Unavailable, "commit_in_progress", "ask for the commit's fate: the transaction is still open")
        .hint("its connection is gone but the server has not noticed; see pg_stat_activity"))
}
