//! What was open at the source before a snapshot: the late-commit rule (R5).

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

/// Observes: with PROCESS by the start times of open transactions, else by nothing but the clock. Transactions that are
/// prepared (XA) are among those shown.
pub(crate) async fn observe(conn: &mut Conn) -> Result<Observation> {
    let clock = text(conn, "SELECT CAST(UTC_TIMESTAMP(6) AS CHAR)", "observe the server's clock").await?;
    let at =
        clock.as_deref().and_then(civil::parse_timestamp).ok_or_else(|| Error::internal("observe: the server's clock gave no time"))?;
    // `trx_started` is shown in the zone of the server's system, whatever the session says.
    set_zone(conn, "SYSTEM").await?;
    let sql = "SELECT CAST(trx_id AS CHAR), TIMESTAMPDIFF(SECOND, trx_started, NOW()) FROM information_schema.innodb_trx \
               WHERE trx_mysql_thread_id <> CONNECTION_ID()";
    let open: std::result::Result<Vec<(String, Option<i64>)>, _> = conn.query(sql).await;
    set_zone(conn, "+00:00").await?;
    match open {
        Ok(rows) => Ok(from_open(at, &rows)),
        Err(e) if matches!(fault::server_code(&e), Some(fault::SPECIFIC_ACCESS_DENIED | 1044 | 1109 | 1142 | 1146)) => {
            Ok(Observation { at, open: Vec::new(), mark: None, rule: LateCommitRule::Overlap { default_s: OVERLAP_S } })
        }
        Err(e) => Err(fault::map(e, "observe open transactions")),
    }
}

async fn set_zone(conn: &mut Conn, zone: &str) -> Result<()> {
    conn.query_drop(format!("SET time_zone = '{zone}'")).await.map_err(|e| fault::map(e, "observe open transactions"))
}

fn from_open(at: i64, rows: &[(String, Option<i64>)]) -> Observation {
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
