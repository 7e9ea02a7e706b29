//! The books of a run: every record in scope is accounted for, or the run is no success (R27).

use serde::{Deserialize, Serialize};

/// Counts of one stream in one run, in records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// Records the run had to account for: in `incremental` what the window returned, else all of the source's.
    pub in_scope: u64,
    /// Proved equal by a digest, never read.
    pub equal_by_digest: u64,
    /// Read whole.
    pub fetched: u64,
    /// New at the destination.
    pub created: u64,
    /// Changed at the destination.
    pub updated: u64,
    /// Equal already; not written.
    pub unchanged: u64,
    /// The destination's version stayed (its edit won, or it is newer).
    pub kept: u64,
    /// The same key came twice; only the last counts.
    pub merged: u64,
    /// Set aside with a reason.
    pub parked: u64,
    /// Removed or marked by the delete policy. Beside the equation: these are not in the source.
    pub deleted: u64,
    /// At the destination only, left alone (`deletes: ignore`, not owned).
    pub extra: u64,
    /// Deletions that wait for approval (R11).
    pub held_back: u64,
    /// Found only thanks to the overlap (R5).
    pub late: u64,
}

impl Books {
    /// `in_scope = equal_by_digest + fetched` and `fetched = created + updated + unchanged + kept + merged + parked`.
    ///
    /// # Errors
    /// A sentence with both sides of the equation that does not hold.
    pub fn balance(&self) -> Result<(), String> {
        let covered = self.equal_by_digest + self.fetched;
        if self.in_scope != covered {
            return Err(format!(
                "{} in scope, but {} equal by digest + {} fetched = {covered}",
                self.in_scope, self.equal_by_digest, self.fetched
            ));
        }
        let placed = self.created + self.updated + self.unchanged + self.kept + self.merged + self.parked;
        if self.fetched != placed {
            return Err(format!(
                "{} fetched, but {} created + {} updated + {} unchanged + {} kept + {} merged + {} parked = {placed}",
                self.fetched, self.created, self.updated, self.unchanged, self.kept, self.merged, self.parked
            ));
        }
        Ok(())
    }

    /// Adds another stream's counts.
    pub fn add(&mut self, o: &Self) {
        self.in_scope += o.in_scope;
        self.equal_by_digest += o.equal_by_digest;
        self.fetched += o.fetched;
        self.created += o.created;
        self.updated += o.updated;
        self.unchanged += o.unchanged;
        self.kept += o.kept;
        self.merged += o.merged;
        self.parked += o.parked;
        self.deleted += o.deleted;
        self.extra += o.extra;
        self.held_back += o.held_back;
        self.late += o.late;
    }

    /// Records written: the number that must be 0 on a second run.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.created + self.updated + self.deleted
    }

    /// (created + updated + unchanged) / everything fetched or proved equal, 1.0 when nothing was in scope (FR-006).
    #[must_use]
    pub fn success_rate(&self) -> f64 {
        if self.in_scope == 0 {
            return 1.0;
        }
        let good = self.in_scope - self.parked.min(self.in_scope);
        good as f64 / self.in_scope as f64
    }
}
