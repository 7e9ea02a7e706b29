//! Which transactions are open at the source just before a snapshot, so that a late commit is never missed (R5).
//!
//! An open transaction is known by its virtual transaction id, which every role may see in `pg_locks` whether or not the
//! transaction has written yet; with the postmaster's start time it is never reused. Prepared transactions count, too.

use syncline_connector::{Error, LateCommitRule, Observation, Result};

use crate::connect::Link;

/// Where nothing can be proved (standby, pooler): seconds.
const OVERLAP_S: u32 = 600;

/// A transaction takes its start time a moment before its lock can be seen; this is more than that moment, in µs.
const START_SLACK: i64 = 5_000_000;

/// One row per open transaction of this database but our own: (kind, identity, start in µs where it is shown).
const OPEN: &str = "\
SELECT 'clock', NULL, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint \
UNION ALL SELECT 'rule', NULL, CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN 1 END \
UNION ALL SELECT 'open', l.virtualtransaction || '@' || (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint, \
  (extract(epoch FROM a.xact_start) * 1000000)::bigint \
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
  WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.granted AND a.datname = current_database() \
  AND l.pid <> pg_backend_pid() \
UNION ALL SELECT 'prepared', 'prepared ' || transaction || '@' || (extract(epoch FROM prepared) * 1000000)::bigint, NULL \
  FROM pg_prepared_xacts WHERE database = current_database()";

/// Observes. To be called outside any transaction, just before the snapshot is taken.
///
/// # Errors
/// `Unavailable` when the connection is lost.
pub async fn observe(link: &Link) -> Result<Observation> {
    let rows = link.rows(OPEN, "observe open transactions").await?;
    let number = |at: usize| rows[at].get(2).and_then(|n| n.parse::<i64>().ok());
    let mut seen = Seen::default();
    for (i, row) in rows.iter().enumerate() {
        match row.get(0) {
            Some("clock") => seen.at = number(i),
            Some("rule") => seen.starts_visible = number(i).is_some(),
            Some("open") => {
                seen.open.extend(row.get(1).map(str::to_owned));
                seen.starts.push(number(i));
            }
            _ => {
                seen.open.extend(row.get(1).map(str::to_owned));
                seen.prepared = true;
            }
        }
    }
    let blind = link.server.standby || link.settings.pooler;
    judge(seen, blind).ok_or_else(|| Error::internal("observe open transactions: the server did not tell its clock"))
}

/// What was seen.
#[derive(Debug, Default)]
struct Seen {
    at: Option<i64>,
    starts_visible: bool,
    open: Vec<String>,
    starts: Vec<Option<i64>>,
    prepared: bool,
}

fn judge(seen: Seen, blind: bool) -> Option<Observation> {
    let at = seen.at?;
    if blind {
        return Some(Observation { at, open: Vec::new(), mark: None, rule: LateCommitRule::Overlap { default_s: OVERLAP_S } });
    }
    // A prepared transaction does not show when it began, and a session between statements may not show it yet.
    let shown = seen.starts_visible && !seen.prepared && seen.starts.iter().all(Option::is_some);
    let oldest = seen.starts.iter().flatten().copied().min().unwrap_or(at).min(at);
    Some(Observation {
        at,
        open: seen.open,
        mark: shown.then_some(oldest - START_SLACK),
        rule: if seen.starts_visible { LateCommitRule::StartTimes } else { LateCommitRule::Observations },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(starts_visible: bool, starts: Vec<Option<i64>>, prepared: bool) -> Seen {
        let open = starts.iter().map(|s| format!("{s:?}")).collect();
        Seen { at: Some(100_000_000), starts_visible, open, starts, prepared }
    }

    // rule: R5
    #[test]
    fn a_mark_is_only_given_where_every_start_is_shown() {
        assert_eq!(judge(seen(true, vec![Some(60_000_000)], false), false).unwrap().mark, Some(55_000_000));
        assert_eq!(judge(seen(true, vec![], false), false).unwrap().mark, Some(95_000_000));
        assert_eq!(judge(seen(true, vec![None], false), false).unwrap().mark, None);
        assert_eq!(judge(seen(true, vec![], true), false).unwrap().mark, None);
        assert_eq!(judge(seen(false, vec![Some(1)], false), false).unwrap().rule, LateCommitRule::Observations);
    }

    // rule: R5
    #[test]
    fn behind_a_pooler_and_on_a_standby_nothing_is_claimed() {
        let o = judge(seen(true, vec![Some(1)], false), true).unwrap();
        assert_eq!((o.mark, o.rule, o.open.len()), (None, LateCommitRule::Overlap { default_s: 600 }, 0));
    }
}
