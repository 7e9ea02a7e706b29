//! What was open at the source before a snapshot: the late-commit rule (R5).

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use syncline_connector::{Error, LateCommitRule, Observation, Result};
use syncline_model::civil;

use crate::connect::text;
use crate::fault;

/// Seconds of overlap where nothing can be proved and the user gave none (R5.5).
const OVERLAP_S: u32 = 600;
/// A transaction's start is shown in whole seconds, and a statement's stamp may be taken a moment before it.
const MARGIN: i64 = 5 * civil::SECOND;

/// The server keeps its list of transactions for 100 ms after *every* look at it, anybody's: under constant watching it never
/// changes. A list that does not show our own transaction is older than this observation and proves nothing.
const STALE_FOR: Duration = Duration::from_millis(110);
/// Looks before giving up on a fresh list; the waits between them double, for two who look alike would keep it stale for ever.
const LOOKS_MAX: u32 = 4;

/// `ER_CANNOT_CONVERT_STRING`.
const CANNOT_CONVERT: u16 = 3854;

/// Observes: with PROCESS by the start times of open transactions, else by nothing but the clock. Transactions that are
/// prepared (XA) are among those shown.
pub(crate) async fn observe(conn: &mut Conn) -> Result<Observation> {
    let clock = text(conn, "SELECT CAST(UTC_TIMESTAMP(6) AS CHAR)", "observe the server's clock").await?;
    let at =
        clock.as_deref().and_then(civil::parse_timestamp).ok_or_else(|| Error::internal("observe: the server's clock gave no time"))?;
    // `trx_started` is shown in the zone of the server's system, whatever the session says.
    run(conn, "SET time_zone = 'SYSTEM'").await?;
    run(conn, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
    let open = fresh_list(conn).await;
    run(conn, "ROLLBACK").await?;
    run(conn, "SET time_zone = '+00:00'").await?;
    Ok(match open? {
        Some(rows) => from_open(at, &rows),
        None => Observation { at, open: Vec::new(), mark: None, rule: LateCommitRule::Overlap { default_s: OVERLAP_S } },
    })
}

type Open = (String, Option<i64>);

/// Open transactions of others and their ages in seconds; `None` when the list is not ours to see or would not become fresh.
async fn fresh_list(conn: &mut Conn) -> Result<Option<Vec<Open>>> {
    // Both times are the server's local ones: for a day after its clocks went back, every age counts as an hour more.
    let sql = "SELECT CAST(trx_id AS CHAR), TIMESTAMPDIFF(SECOND, trx_started, NOW()) \
               + GREATEST(0, 86400 - TIMESTAMPDIFF(SECOND, FROM_UNIXTIME(UNIX_TIMESTAMP() - 86400), NOW())), trx_mysql_thread_id = CONNECTION_ID() \
               FROM information_schema.innodb_trx";
    for look in 0..LOOKS_MAX {
        let rows: Vec<(String, Option<i64>, bool)> = match conn.query(sql).await {
            Ok(rows) => rows,
            Err(e) if matches!(fault::server_code(&e), Some(fault::SPECIFIC_ACCESS_DENIED | 1044 | 1109 | 1142 | 1146)) => return Ok(None),
            // MySQL cannot show the list while a statement with binary literals runs: what it shows is text.
            Err(e) if fault::server_code(&e) == Some(CANNOT_CONVERT) => Vec::new(),
            Err(e) => return Err(fault::map(e, "observe open transactions")),
        };
        if rows.iter().any(|r| r.2) {
            return Ok(Some(rows.into_iter().filter(|r| !r.2).map(|r| (r.0, r.1)).collect()));
        }
        tokio::time::sleep(STALE_FOR * 2_u32.pow(look)).await;
    }
    Ok(None)
}

async fn run(conn: &mut Conn, sql: &str) -> Result<()> {
    conn.query_drop(sql).await.map_err(|e| fault::map(e, "observe open transactions"))
}

fn from_open(at: i64, rows: &[Open]) -> Observation {
    let oldest = rows.iter().filter_map(|r| r.1).max().unwrap_or(0).max(0);
    let open = rows.iter().map(|r| r.0.clone()).collect();
    Observation { at, open, mark: Some(at - oldest * civil::SECOND - MARGIN), rule: LateCommitRule::StartTimes }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: R5
    #[test]
    fn the_mark_stays_behind_the_oldest_open_transaction() {
        let at = 1_000_000 * civil::SECOND;
        let seen = from_open(at, &[("7".to_owned(), Some(30)), ("9".to_owned(), Some(2)), ("11".to_owned(), None)]);
        assert_eq!(seen.mark, Some(at - 35 * civil::SECOND));
        assert_eq!(seen.open, ["7", "9", "11"]);
        assert_eq!(from_open(at, &[]).mark, Some(at - MARGIN));
    }
}
