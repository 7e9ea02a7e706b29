//! One stream verified: both sides read whole, joined, and what disagrees looked at again.

use std::sync::atomic::{AtomicU64, Ordering};

use syncline_connector::{Batch, Snapshot};
use syncline_model::{Books, RowBatch};

use super::Found;
use super::again::Again;
use super::side::{LARGE, Side, sides};
use crate::engine::{Engine, Result};
use crate::link::Link;
use crate::mapped::IdMaps;
use crate::pairing::Pair;
use crate::report::StreamCheck;
use crate::spec::{Owns, SyncSpec};
use crate::spill::join::{Budget, Match, Record, Spool, join};

/// A suspect's flag: what it seems to be. Beside [`LARGE`] and `REFUSED`.
pub const MISSING: u8 = 4;
/// At the destination only.
pub const EXTRA: u8 = 8;
/// On both sides, with different content.
pub const DIFFERENT: u8 = 16;

/// What the first look gave.
struct FirstLook {
    /// Missing and different keys, and those whose equality is not proved.
    suspects: Spool,
    extras: Spool,
    /// There was a row in the sample.
    saw_any: bool,
}

/// Rows that are compared, about, where the sample that was asked for holds none.
const SAMPLE_ROWS_MIN: f64 = 100.0;

impl Engine {
    #[allow(clippy::too_many_arguments, reason = "one call site; the parts belong to the verify, not to each other")]
    pub(super) async fn verify_stream(
        &self,
        sync: &SyncSpec,
        scope: &str,
        pair: &Pair,
        all: &[Pair],
        link: &mut Link,
        sample: f64,
        ids: (&IdMaps, usize),
        found: &mut Found,
    ) -> Result<StreamCheck> {
        self.progress.stream_started(&pair.stream, "verify", pair.source.rows_estimate);
        let mut check = StreamCheck {
            stream: pair.stream.clone(),
            table: pair.dest.name.to_string(),
            source_rows: 0,
            destination_rows: 0,
            compared: 0,
            missing: 0,
            extra: 0,
            different: 0,
            kept: 0,
            parked: 0,
            orphans: 0,
            passed: false,
        };
        let sides = sides(pair, (link.from.engine(), link.to.engine()), sync.memory, Some(ids));
        let budget = Budget::of(sync.memory);
        let mut source = link.source.snapshot().await?;
        let mut dest = link.dest.snapshot().await?;
        let mut first = self.first_look(pair, (&sides.0, &sides.1), (&mut *source, &mut *dest), budget, sample, &mut check).await?;
        let rows = check.source_rows.max(check.destination_rows);
        if rows > 0 && !first.saw_any {
            // The share of a small table may be no row at all, which would prove nothing.
            let sample = (SAMPLE_ROWS_MIN / rows as f64).min(1.0);
            first = self.first_look(pair, (&sides.0, &sides.1), (&mut *source, &mut *dest), budget, sample, &mut check).await?;
        }
        source.close().await?;
        let mut again =
            Again { engine: self, sync, scope, pair, source: &sides.0, dest: &sides.1, parked: self.parked_keys(sync, scope, pair).await? };
        again.look(&mut first.suspects, link, &mut check, found).await?;
        again.look(&mut first.extras, link, &mut check, found).await?;
        if pair.create.is_none() {
            self.find_orphans(pair, all, link, &mut *dest, (sync.memory, budget), &mut check, found).await?;
        }
        dest.close().await?;
        let tolerated = pair.delete.is_none() || pair.owns == Owns::Mapped;
        check.passed = check.missing == 0 && check.different == 0 && check.orphans == 0 && (check.extra == 0 || tolerated);
        let books = Books { unchanged: check.compared.saturating_sub(check.different), extra: check.extra, ..Books::default() };
        self.progress.stream_finished(&pair.stream, &books);
        Ok(check)
    }

    async fn first_look(
        &self,
        pair: &Pair,
        sides: (&Side<'_>, &Side<'_>),
        snapshots: (&mut dyn Snapshot, &mut dyn Snapshot),
        budget: Budget,
        sample: f64,
        check: &mut StreamCheck,
    ) -> Result<FirstLook> {
        let (mut source, mut dest) = (Spool::new(budget), Spool::new(budget));
        let seen = AtomicU64::new(0);
        let there = async {
            // A table that the next run will make has no rows yet.
            if pair.create.is_some() { Ok(0) } else { self.spool(pair, sides.1, snapshots.1, &mut dest, sample, None).await }
        };
        let here = self.spool(pair, sides.0, snapshots.0, &mut source, sample, Some(&seen));
        (check.source_rows, check.destination_rows) = futures_util::future::try_join(here, there).await?;
        let mut look = FirstLook { suspects: Spool::new(budget), extras: Spool::new(budget), saw_any: false };
        join(source, dest, budget, &mut |m| {
            look.saw_any = true;
            check.compared += m.source.count.min(m.dest.count);
            let (kind, spool) = match judge(&m) {
                None => return Ok(()),
                Some(EXTRA) => (EXTRA, &mut look.extras),
                Some(kind) => (kind, &mut look.suspects),
            };
            spool.add(Record { key: m.key, row: 0, flags: m.flags | kind, name: &m.name })
        })?;
        self.stop_if_asked()?;
        Ok(look)
    }

    /// Reads one side into its spool; gives the number of its rows, in the sample or not.
    async fn spool(
        &self,
        pair: &Pair,
        side: &Side<'_>,
        snapshot: &mut dyn Snapshot,
        spool: &mut Spool,
        sample: f64,
        progress: Option<&AtomicU64>,
    ) -> Result<u64> {
        let during = |e: syncline_connector::Error| e.during(format!("verify `{}`", pair.stream));
        let (mut scratch, mut name, mut staged) = (Vec::new(), Vec::new(), RowBatch::new(pair.columns.len()));
        let mut rows = 0;
        let mut stream = snapshot.read(side.request(None)).await.map_err(during)?;
        while let Some(batch) = stream.next().await.map_err(during)? {
            self.stop_if_asked()?;
            let Batch::Rows(read) = batch else { continue };
            rows += read.len() as u64;
            let (whole, refused) = side.rows(&read, &mut staged)?;
            for row in whole.rows() {
                let seen = side.see(row, &mut scratch, &mut name);
                put(spool, &seen, &name, sample)?;
            }
            for parked in &refused {
                let seen = side.see_refused(parked, &mut scratch, &mut name);
                put(spool, &seen, &name, sample)?;
            }
            if let Some(total) = progress {
                total.store(rows, Ordering::Relaxed);
                self.progress.stream_rows(&pair.stream, rows);
            }
        }
        Ok(rows)
    }
}

fn put(spool: &mut Spool, seen: &super::side::Seen, name: &[u8], sample: f64) -> Result<()> {
    if !is_sampled(seen.key, sample) {
        return Ok(());
    }
    spool.add(Record { key: seen.key, row: seen.row, flags: seen.flags, name })
}

/// Chosen by the hash of the key, so that both sides choose the same ones.
fn is_sampled(key: u128, sample: f64) -> bool {
    // The low half: the high bits choose the partition.
    sample >= 1.0 || ((key as u64) as f64) < sample * u64::MAX as f64
}

/// What a key is suspected of; `None` when both sides say the same.
fn judge(m: &Match) -> Option<u8> {
    match (m.source.count, m.dest.count) {
        (_, 0) => Some(MISSING),
        (0, _) => Some(EXTRA),
        _ if m.source != m.dest || m.flags & LARGE != 0 => Some(DIFFERENT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::join::Rows;

    fn match_of(source: &[u128], dest: &[u128], flags: u8) -> Match {
        let rows = |hashes: &[u128]| {
            let mut r = Rows::default();
            hashes.iter().for_each(|h| r.add(*h));
            r
        };
        Match { key: 1, source: rows(source), dest: rows(dest), flags, name: Box::default() }
    }

    // case: Q1
    #[test]
    fn equal_counts_are_no_proof_and_doubled_rows_are_differences() {
        assert_eq!(judge(&match_of(&[5], &[5], 0)), None);
        assert_eq!(judge(&match_of(&[5, 6], &[6, 5], 0)), None, "the order of equal keys does not count");
        assert_eq!(judge(&match_of(&[5], &[6], 0)), Some(DIFFERENT));
        assert_eq!(judge(&match_of(&[5], &[5, 5], 0)), Some(DIFFERENT));
        assert_eq!(judge(&match_of(&[5], &[], 0)), Some(MISSING));
        assert_eq!(judge(&match_of(&[], &[5], 0)), Some(EXTRA));
        assert_eq!(judge(&match_of(&[5], &[5], LARGE)), Some(DIFFERENT), "equal lengths prove nothing");
    }

    // req: FR-005
    #[test]
    fn a_sample_is_a_share_of_the_keys_and_the_same_on_both_sides() {
        let keys = (0u64..20_000).map(|k| xxhash_rust::xxh3::xxh3_128(&k.to_le_bytes()));
        let chosen = keys.filter(|k| is_sampled(*k, 0.1)).count();
        assert!((1_800..2_200).contains(&chosen), "{chosen}");
        assert!(is_sampled(u128::MAX, 1.0));
    }
}
