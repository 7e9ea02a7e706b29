//! The order in which a run changes rows: writes parents first, deletions children first, and what lets a unique value pass from a row
//! that goes to one that comes (R22).

use syncline_connector::{ErrorKind, Result};
use syncline_model::Value;

use crate::run::SqlRun;

impl SqlRun {
    pub(crate) async fn change_rows(&mut self) -> Result<()> {
        if !self.wanted_of_deleted().await?.is_empty() {
            self.delete_early().await?;
            if !self.wanted_of_deleted().await?.is_empty() {
                if self.change_with_values_let_go().await? {
                    return Ok(());
                }
                // Rows that could not leave yet keep their values, and rows that want those have to wait.
                self.deleted_early = true;
                self.reject_offenders().await?;
            }
            self.deleted_early = true;
        }
        self.write_and_delete().await
    }

    async fn write_and_delete(&mut self) -> Result<()> {
        self.free_unique_values().await?;
        self.foretell().await?;
        for group in self.groups.clone() {
            self.write_group(&group).await?;
        }
        for group in self.groups.clone().iter().rev() {
            self.delete_group(group).await?;
        }
        Ok(())
    }

    /// Changes all rows, while rows that are still pointed at, and go once this run has moved or removed what points at them, hold
    /// placeholders. False, and nothing changed, where one of them has to stay after all.
    async fn change_with_values_let_go(&mut self) -> Result<bool> {
        let savepoint = self.savepoint().await?;
        let (streams, left) = (self.streams.clone(), self.images_left);
        let Some(holders) = self.let_all_go().await? else {
            self.back_to(&savepoint).await?;
            return Ok(false);
        };
        self.write_and_delete().await?;
        let stayed = |(stream, key): &(usize, Vec<Value>)| self.streams[*stream].outcome.delete_rejects.iter().any(|r| r.row == *key);
        if holders.iter().any(stayed) {
            self.back_to(&savepoint).await?;
            (self.streams, self.images_left) = (streams, left);
            return Ok(false);
        }
        self.release(&savepoint).await?;
        Ok(true)
    }

    /// The rows that let go, by stream and key. `None` where one of them cannot.
    async fn let_all_go(&mut self) -> Result<Option<Vec<(usize, Vec<Value>)>>> {
        let mut holders = Vec::new();
        for (stream, unique) in self.wanted_of_deleted().await? {
            match self.let_go_of_deleted(stream, &unique).await {
                Ok(Some(keys)) => holders.extend(keys.into_iter().map(|key| (stream, key))),
                Ok(None) => return Ok(None),
                // A CHECK may know of values that the type does not.
                Err(e) if e.kind == ErrorKind::BadRecord => return Ok(None),
                Err(e) => return Err(e),
            }
        }
        Ok(Some(holders))
    }
}
