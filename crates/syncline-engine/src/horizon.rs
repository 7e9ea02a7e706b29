//! Where the next incremental read starts (R5): the mark is held back, never the read.

use std::collections::BTreeSet;

use syncline_connector::{LateCommitRule, Observation};
use syncline_store::rows::ObservationRow;

/// Clocks inside one server may disagree by this much, µs (R5: "minus 5 s").
const SLACK: i64 = 5_000_000;

/// The new mark, µs of the source's clock; `None`: nothing is proved yet, the next run compares everything.
///
/// `before` are the observations of earlier runs, `old` the mark in force; the mark never goes back. `overlap_s` is what the
/// user asked for on top.
#[must_use]
pub fn mark(now: &Observation, before: &[ObservationRow], old: Option<i64>, overlap_s: Option<u64>) -> Option<i64> {
    let proved = match now.rule {
        // No start time to go by (a prepared transaction shows none): the observations decide.
        LateCommitRule::StartTimes => now.mark.map(|m| m.min(now.at) - SLACK).or_else(|| observed(now, before)),
        LateCommitRule::Observations => observed(now, before),
        LateCommitRule::Overlap { default_s } => Some(now.at - seconds(overlap_s.unwrap_or(u64::from(default_s)))),
    };
    let asked = overlap_s.map(|s| now.at - seconds(s));
    let new = match (proved, asked) {
        (Some(p), Some(a)) => Some(p.min(a)),
        (p, _) => p,
    };
    new.max(old)
}

/// Every transaction that had begun at this instant of the source's clock is over, and what it wrote is in the run's snapshot. Other than for
/// a mark no slack is taken off: this is to be compared with the times of earlier looks, not with stamps. `None`: nothing is proved.
#[must_use]
pub fn settled(now: &Observation, before: &[ObservationRow], overlap_s: Option<u64>) -> Option<i64> {
    let proved = match now.rule {
        LateCommitRule::Overlap { default_s } => Some(now.at - seconds(overlap_s.unwrap_or(u64::from(default_s)))),
        LateCommitRule::StartTimes | LateCommitRule::Observations if now.open.is_empty() => Some(now.at),
        LateCommitRule::StartTimes if now.mark.is_some() => now.mark.map(|m| m.min(now.at) - SLACK),
        LateCommitRule::StartTimes | LateCommitRule::Observations => newest(now, before),
    };
    let asked = overlap_s.map(|s| now.at - seconds(s));
    proved.map(|p| p.min(asked.unwrap_or(p)))
}

/// The newest look at the source, this one included, none of whose transactions is still open.
fn observed(now: &Observation, before: &[ObservationRow]) -> Option<i64> {
    let own = now.open.is_empty().then_some(now.at);
    newest(now, before).max(own).map(|at| at - SLACK)
}

fn newest(now: &Observation, before: &[ObservationRow]) -> Option<i64> {
    let open: BTreeSet<&String> = now.open.iter().collect();
    let over = |list: &[String]| list.iter().all(|t| !open.contains(t));
    before.iter().filter(|o| over(&o.open)).map(|o| o.at).max()
}

/// Seconds as µs.
pub(crate) fn seconds(s: u64) -> i64 {
    i64::try_from(s).unwrap_or(i64::MAX / 2_000_000).saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(at: i64, open: &[&str], rule: LateCommitRule, mark: Option<i64>) -> Observation {
        Observation { at, open: open.iter().map(|s| (*s).to_owned()).collect(), mark, rule }
    }

    fn earlier(at: i64, open: &[&str]) -> ObservationRow {
        ObservationRow { at, open: open.iter().map(|s| (*s).to_owned()).collect() }
    }

    const S: i64 = 1_000_000;

    // rule: R5
    // case: D3
    #[test]
    fn an_open_transaction_holds_the_mark_at_the_last_look_before_it() {
        let before = [earlier(100 * S, &[]), earlier(200 * S, &["a"]), earlier(300 * S, &["a", "b"])];
        let now = seen(400 * S, &["a"], LateCommitRule::Observations, None);
        assert_eq!(mark(&now, &before, None, None), Some(95 * S));
        let later = seen(500 * S, &["c"], LateCommitRule::Observations, None);
        assert_eq!(mark(&later, &before, Some(95 * S), None), Some(295 * S));
        let quiet = seen(600 * S, &[], LateCommitRule::Observations, None);
        assert_eq!(mark(&quiet, &before, None, None), Some(595 * S));
    }

    // rule: R5
    #[test]
    fn without_a_proof_there_is_no_mark_and_an_old_one_stays() {
        let now = seen(400 * S, &["a"], LateCommitRule::Observations, None);
        assert_eq!(mark(&now, &[earlier(300 * S, &["a"])], None, None), None);
        assert_eq!(mark(&now, &[earlier(300 * S, &["a"])], Some(7 * S), None), Some(7 * S));
    }

    // rule: R5
    #[test]
    fn a_prepared_transaction_without_a_start_time_holds_the_mark() {
        let now = seen(400 * S, &["prepared"], LateCommitRule::StartTimes, None);
        assert_eq!(mark(&now, &[], None, None), None);
        assert_eq!(mark(&now, &[earlier(100 * S, &[])], None, None), Some(95 * S));
    }

    // rule: R5
    #[test]
    fn start_times_and_overlaps_give_their_marks() {
        let now = seen(400 * S, &["a"], LateCommitRule::StartTimes, Some(350 * S));
        assert_eq!(mark(&now, &[], None, None), Some(345 * S));
        let pooled = seen(1000 * S, &[], LateCommitRule::Overlap { default_s: 600 }, None);
        assert_eq!(mark(&pooled, &[], None, None), Some(400 * S));
        assert_eq!(mark(&pooled, &[], None, Some(60)), Some(940 * S));
    }

    proptest! {
        // case: E14
        #[test]
        fn the_mark_never_passes_the_sources_own_clock_and_never_goes_back(at in 0i64..1_000_000_000_000, old in proptest::option::of(0i64..1_000_000_000_000), overlap in proptest::option::of(0u64..10_000)) {
            let old = old.map(|o| o.min(at));
            let now = seen(at, &[], LateCommitRule::Observations, None);
            let m = mark(&now, &[], old, overlap).unwrap();
            prop_assert!(m <= at);
            prop_assert!(old.is_none_or(|o| m >= o));
        }
    }
}
