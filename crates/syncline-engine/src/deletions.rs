//! Which deletions a run makes: only after a complete listing, only rows the stream owns, and never past the guard (R8, R11).

use syncline_store::rows::DeletionRow;

use crate::pairing::Pair;
use crate::settle::Settlement;
use crate::spec::Guard;
use crate::spill::RowSpool;
use crate::stream_run::StreamResult;

/// What becomes of the rows that only the destination has.
#[derive(Debug)]
pub struct Decision {
    /// Keys to delete or mark.
    pub delete: RowSpool,
    /// Keys that wait for approval, and why.
    pub held: Option<(RowSpool, String)>,
    /// Rows left alone: not ours, or `deletes: ignore`.
    pub extra: u64,
}

/// Decides. `owned` are the destination rows of the stream before the run, `source_rows` what the complete listing holds.
#[must_use]
pub fn decide(pair: &Pair, extra: RowSpool, owned: u64, source_rows: u64, approved: bool) -> Decision {
    let none = RowSpool::new(extra.width());
    let n = extra.len();
    if n == 0 || pair.delete.is_none() {
        return Decision { delete: none, held: None, extra: n };
    }
    let reason = || trips(&pair.policy.guard, n, owned, source_rows);
    match changed(pair).or_else(reason) {
        Some(reason) if !approved => Decision { delete: none, held: Some((extra, reason)), extra: 0 },
        _ => Decision { delete: extra, held: None, extra: 0 },
    }
}

/// Rows that another rule left alone, marked or kept for years are not deleted in passing (D25).
fn changed(pair: &Pair) -> Option<String> {
    let before = pair.deletes_before.as_ref()?;
    Some(format!("the last run had `{before}`, and now it is `{}`: look at what that changes with `plan`", pair.deletes_said()))
}

/// Rows below this count never trip the half-table rule by themselves.
const HALF_RULE_ROWS_MIN: u64 = 5;

/// Why the guard stops `n` deletions out of `owned` rows; `None` when it lets them pass.
#[must_use]
pub fn trips(guard: &Guard, n: u64, owned: u64, source_rows: u64) -> Option<String> {
    let share = n as f64 / owned.max(1) as f64;
    let percent = share * 100.0;
    if source_rows == 0 && owned > 0 {
        return Some(format!("the source is empty and the destination has {owned} rows"));
    }
    if share > guard.max_delete_ratio && n > guard.max_delete_rows {
        let limit = guard.max_delete_ratio * 100.0;
        return Some(format!(
            "{n} of {owned} rows ({percent:.0} %) would go; the limits are {limit:.0} % and {} rows",
            guard.max_delete_rows
        ));
    }
    if owned >= HALF_RULE_ROWS_MIN && share > 0.5 {
        return Some(format!("{n} of {owned} rows ({percent:.0} %) would go: more than half"));
    }
    None
}

/// Puts on record what went along with deletions of these streams, and says whether anything did: such rows have no before-image, and
/// an undo that left them out would be no undo.
pub(crate) fn gone_along(run: &str, pairs: &[Pair], results: &[StreamResult], settlement: &mut Settlement) -> bool {
    let before = settlement.deletions.len();
    for (pair, result) in pairs.iter().zip(results).filter(|(_, r)| !r.deletes.is_empty()) {
        for sentence in &result.going_along {
            let said = sentence.replace("would be", "were");
            settlement
                .remarks
                .push(format!("stream `{}`: {said}; they have no before-image, so `undo` cannot take this run back", pair.stream));
            let (stream, reason) = (pair.stream.clone(), "cascade".to_owned());
            settlement.deletions.push(DeletionRow { run: run.to_owned(), stream, key_json: said, reason, done: true });
        }
    }
    settlement.deletions.len() > before
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: R11, R35
    // case: D9
    #[test]
    fn the_guard_trips_on_big_shares_empty_listings_and_halves() {
        let g = Guard::default();
        assert!(trips(&g, 51, 500, 449).is_some());
        assert!(trips(&g, 50, 400, 350).is_none(), "both limits have to be exceeded");
        assert!(trips(&g, 100, 1_001, 901).is_none(), "under the ratio");
        assert!(trips(&g, 40, 40, 0).is_some(), "an emptied table of 40 rows");
        assert!(trips(&g, 1, 1, 0).is_some());
        assert!(trips(&g, 3, 5, 2).is_some(), "more than half of five");
        assert!(trips(&g, 2, 4, 2).is_none());
        assert!(trips(&g, 3, 4, 1).is_none(), "four rows are too few for the half rule");
    }
}
