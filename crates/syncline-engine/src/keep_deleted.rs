//! `edits: keep` where the source deleted a record that was edited at the destination since: a conflict like any other (S4-003).

use syncline_connector::Snapshot;
use syncline_model::detect::FieldRule;
use syncline_model::{Key, RowBatch, RowRef, json};
use syncline_store::rows::ConflictRow;

use crate::bases::{Base, Bases, NO_SHAPE};
use crate::engine::Result;
use crate::keep::{rules, strategy};
use crate::spec::{Conflicts, Edits};
use crate::spill::RowSpool;
use crate::stream_run::{StreamRun, parts_of};

/// The base of a record whose deletion at the source was decided against: no field of it is known, and it is asked about no more.
const DECIDED: [u64; 1] = [NO_SHAPE];

/// Whole rows of the destination that are looked at in one go.
const RECORDS_AT_ONCE: usize = 256;

impl StreamRun<'_> {
    /// Takes out of `delete` what the strategy keeps, and writes every conflict down. Records that nobody edited are no conflict.
    pub(crate) async fn decide_deletions(&mut self, delete: RowSpool, dest: &mut dyn Snapshot) -> Result<RowSpool> {
        if self.pair.policy.edits != Edits::Keep || delete.is_empty() {
            return Ok(delete);
        }
        let mut going = RowSpool::new(delete.width());
        for part in delete.parts() {
            for keys in parts_of(&part?, RECORDS_AT_ONCE) {
                self.decide_part(&keys, dest, &mut going).await?;
            }
        }
        Ok(going)
    }

    async fn decide_part(&mut self, keys: &RowBatch, dest: &mut dyn Snapshot, going: &mut RowSpool) -> Result<()> {
        let canons = self.pair.key_canons();
        let rules = rules(self.pair);
        let all: Vec<usize> = (0..keys.width()).collect();
        let names: Vec<Vec<u8>> = keys.rows().map(|r| Key::of(r, &all).canonical(&canons)).collect();
        let decided = self.decided_before(&names).await?;
        let bases = self.engine.bases_of(&self.context.sync.name, self.context.scope, self.pair, &names).await?;
        let there = self.rows_at_destination(keys.clone(), dest).await?;
        for (i, key) in keys.rows().enumerate() {
            let row = there.row(&names[i]);
            let edited = row.zip(bases[i].as_ref()).map(|(row, base)| edited(row, base, &rules)).unwrap_or_default();
            if decided[i] || (!edited.is_empty() && self.pair.policy.conflicts != Conflicts::SourceWins) {
                self.result.extra += 1;
                self.keep_decision(&names[i])?;
            } else {
                going.push(key)?;
            }
            if let Some(row) = row.filter(|_| !decided[i]) {
                self.record_deletion_conflict(&Key::of(key, &all), row, &edited)?;
            }
        }
        Ok(())
    }

    async fn decided_before(&self, names: &[Vec<u8>]) -> Result<Vec<bool>> {
        let mut tx = self.engine.store.begin().await?;
        let stored = tx.load_bases(&self.context.sync.name, self.context.scope, &self.pair.stream, names).await?;
        tx.commit().await?;
        Ok(stored.into_iter().map(|base| base.as_deref() == Some(&DECIDED)).collect())
    }

    fn keep_decision(&mut self, name: &[u8]) -> Result<()> {
        let bases = match &mut self.result.bases {
            Some(bases) => bases,
            none => none.insert(Bases::new()?),
        };
        bases.decided.add(name, &[])
    }

    fn record_deletion_conflict(&mut self, key: &Key, row: RowRef<'_>, edited: &[usize]) -> Result<()> {
        let source_wins = self.pair.policy.conflicts == Conflicts::SourceWins;
        for &c in edited {
            let value = json::from_value(row.get(c)).to_string();
            let null = "null".to_owned();
            self.result.conflicts.push(&ConflictRow {
                run: self.context.run.id.clone(),
                stream: self.pair.stream.clone(),
                key_json: key.to_json(),
                field: self.pair.columns[c].name.clone(),
                source_json: null.clone(),
                destination_json: value.clone(),
                resolved_json: if source_wins { null } else { value },
                winner: if source_wins { "source".to_owned() } else { "destination".to_owned() },
                strategy: strategy(self.pair.policy.conflicts).name().to_owned(),
                note: "deleted at the source, edited at the destination since the last sync".to_owned(),
            })?;
        }
        Ok(())
    }
}

/// Staged columns whose value is no longer the one that both sides last agreed on.
fn edited(row: RowRef<'_>, base: &Base, rules: &[(usize, FieldRule)]) -> Vec<usize> {
    let mut scratch = Vec::new();
    let mut is_edited = |(i, c): &(usize, usize)| base.knows(*i) && !base.holds(*i, row.get(*c), &mut scratch);
    rules.iter().map(|(c, _)| *c).enumerate().filter(|f| is_edited(f)).map(|(_, c)| c).collect()
}
