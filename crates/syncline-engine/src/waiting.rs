//! Lists of a run that grow with its rows (deletions, conflicts, new ids): once they are long, the state keeps them piece by piece beside the
//! run, so that neither the run's memory nor its intent grows with them. They become part of its record in the transaction that settles it.

use serde::{Deserialize, Serialize};
use syncline_store::StateTx;
use syncline_store::rows::RunRow;

use crate::engine::{Engine, Result};
use crate::settle::Settlement;

/// Entries of all lists together that are held in memory, and in the intent.
const HELD_MAX: usize = 2_000;

/// What of a settlement's lists is with the state already.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Waiting {
    /// Pieces.
    pub pieces: u64,
    /// Conflicts in them.
    pub conflicts: u64,
    /// Deletions in them that were not made.
    pub not_made: u64,
}

impl Waiting {
    /// What two parts of a run have there.
    pub fn add(&mut self, other: &Self) {
        self.pieces += other.pieces;
        self.conflicts += other.conflicts;
        self.not_made += other.not_made;
    }
}

impl Settlement {
    fn listed(&self) -> usize {
        let ids: usize = self.minted.iter().map(|(_, rows)| rows.len()).sum();
        self.deletions.len() + self.conflicts.len() + ids
    }
}

impl Engine {
    /// Hands the lists over to the state when they are long.
    pub(crate) async fn hand_over(&self, run: &str, settlement: &mut Settlement) -> Result<()> {
        if settlement.listed() < HELD_MAX {
            return Ok(());
        }
        let piece = Settlement {
            deletions: std::mem::take(&mut settlement.deletions),
            conflicts: std::mem::take(&mut settlement.conflicts),
            minted: std::mem::take(&mut settlement.minted),
            ..Settlement::default()
        };
        let not_made = piece.deletions.iter().filter(|d| !d.done).count() as u64;
        settlement.waiting.add(&Waiting { pieces: 1, conflicts: piece.conflicts.len() as u64, not_made });
        let body = serde_json::to_string(&piece).map_err(|e| syncline_connector::Error::internal(format!("write lists of a run: {e}")))?;
        let mut tx = self.store.begin().await?;
        tx.add_waiting(run, &body).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Writes what waits of a run where it belongs, in the transaction that settles it.
    pub(crate) async fn write_waiting(&self, tx: &mut dyn StateTx, run: &RunRow) -> Result<()> {
        let mut last = 0;
        while let Some((number, body)) = tx.next_waiting(&run.id, last).await? {
            let damaged = |_| syncline_store::StoreError::Corrupt { message: format!("the lists of run {} do not parse", run.id) };
            let piece: Settlement = serde_json::from_str(&body).map_err(damaged)?;
            self.write_lists(tx, run, &piece).await?;
            last = number;
        }
        Ok(tx.drop_waiting(&run.id).await?)
    }
}
