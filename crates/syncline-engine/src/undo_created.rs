//! The undo of tables that a run made (R26): nothing is kept per row of a first load, so its undo is to drop the table. That loses
//! nothing only while the table holds what the source holds, which is proved by a comparison under a lock that keeps writers out.

use std::collections::BTreeSet;

use syncline_connector::write::DeleteAction;
use syncline_connector::{Error, ErrorKind, Reject, Snapshot, StagedRun};
use syncline_model::{Key, Table};
use syncline_store::rows::RunRow;

use crate::compare;
use crate::engine::{Engine, EngineError, Result};
use crate::link::{Link, NOTE_CREATED, NOTE_SHAPES};
use crate::pairing::{Pair, Remembered};
use crate::settle::Settlement;
use crate::spec::Edits;
use crate::spill::RowSpool;

/// Rows that a refused undo lists: enough to see what happened to a table.
const LISTED_MAX: usize = 1_000;

/// Note in the state: streams whose tables a run made, as a JSON list.
fn note_name(run: &str) -> String {
    format!("made_by/{run}")
}

/// Which tables the run made so far.
pub(crate) fn made_note(run: &str, streams: &[&str]) -> (String, String) {
    (note_name(run), serde_json::to_string(streams).expect("invariant: names serialise"))
}

/// Whether an undo could drop the tables among these that the run makes: bases would outlive them.
pub(crate) fn can_be_dropped(pairs: &[Pair]) -> bool {
    pairs.iter().all(|p| p.create.is_none() || p.policy.edits == Edits::Overwrite)
}

impl Engine {
    /// Streams whose tables the run made.
    pub(crate) async fn made_by(&self, run: &RunRow) -> Result<BTreeSet<String>> {
        let mut tx = self.store.begin().await?;
        let note = tx.load_note(&run.sync, &note_name(&run.id)).await?;
        tx.commit().await?;
        let Some(text) = note else { return Ok(BTreeSet::new()) };
        let damaged = |_| syncline_store::StoreError::Corrupt { message: format!("note `{}` does not parse", note_name(&run.id)) };
        Ok(serde_json::from_str(&text).map_err(damaged)?)
    }

    /// Stages the drop of the tables among `pairs` that `made` names; the rows that stand in the way, per stream. With any of them
    /// nothing may be dropped.
    pub(crate) async fn stage_drops(
        &self,
        link: &mut Link,
        pairs: &[Pair],
        made: &BTreeSet<String>,
        staged: &mut dyn StagedRun,
    ) -> Result<Vec<Vec<Reject>>> {
        let dropped: Vec<usize> = (0..pairs.len()).filter(|&i| made.contains(&pairs[i].stream)).collect();
        let mut refused: Vec<Vec<Reject>> = pairs.iter().map(|_| Vec::new()).collect();
        if dropped.is_empty() {
            return Ok(refused);
        }
        for &i in &dropped {
            refuse_pointed_at(&pairs[i], pairs, &dropped)?;
            staged.stage_drop(i).await?;
        }
        let mut source = link.source.snapshot().await?;
        let mut dest = link.dest.snapshot().await?;
        for &i in &dropped {
            refused[i] = strangers(link, &pairs[i], &mut *source, &mut *dest).await?;
        }
        dest.close().await?;
        source.close().await?;
        Ok(refused)
    }
}

/// The dropped tables are not the sync's any more: the next run makes and loads them again.
pub(crate) fn forget(remembered: &Remembered, pairs: &[Pair], made: &BTreeSet<String>, settlement: &mut Settlement) {
    let (mut created, mut shapes) = (remembered.created.clone(), remembered.shapes.clone());
    for pair in pairs.iter().filter(|p| made.contains(&p.stream)) {
        created.retain(|t| *t != pair.dest.name.to_string() && *t != pair.dest.name.name);
        shapes.remove(&pair.stream);
    }
    let json = |v: serde_json::Result<String>| v.expect("invariant: maps of strings serialise");
    settlement.notes.push((NOTE_CREATED.to_owned(), json(serde_json::to_string(&created))));
    settlement.notes.push((NOTE_SHAPES.to_owned(), json(serde_json::to_string(&shapes))));
}

/// A table that another one points at is needed.
fn refuse_pointed_at(pair: &Pair, pairs: &[Pair], dropped: &[usize]) -> Result<()> {
    let goes_too = |t: &syncline_model::TableName| dropped.iter().any(|&i| pairs[i].dest.name == *t);
    match pair.referenced_by.iter().find(|r| !goes_too(&r.table)) {
        None => Ok(()),
        Some(r) => {
            let message = format!("table `{}` is pointed at by foreign key `{}` of `{}`", pair.dest.name, r.key.name, r.table);
            Err(Error::new(ErrorKind::Conflict, "table_needed", message).hint("drop that foreign key first, or keep the table").into())
        }
    }
}

/// The rows of a table that are not as the source has them: dropping the table would lose them.
async fn strangers(link: &Link, pair: &Pair, source: &mut dyn Snapshot, dest: &mut dyn Snapshot) -> Result<Vec<Reject>> {
    let marked = |c: &str| matches!(&pair.delete, Some(DeleteAction::Mark { column, .. }) if column == c);
    let ours = |c: &str| pair.columns.iter().any(|p| p.name == c) || pair.policy.options.stamp.as_deref() == Some(c) || marked(c);
    if let Some(c) = pair.dest.columns.iter().find(|c| !c.generated && !ours(&c.name)) {
        let message =
            format!("stream `{}`: column `{}` of `{}` is not the sync's, its values would be lost", pair.stream, c.name, pair.dest.name);
        let hint = Some("drop the column first if nothing in it is needed".to_owned());
        return Err(EngineError::Config { code: "not_undoable", message, hint });
    }
    // Every row of the table, also those that a deletion policy has marked; and every column, also those that runs do not compare.
    let whole = Pair { filter_dest: Vec::new(), compared: vec![true; pair.columns.len()], ..pair.clone() };
    let choice = compare::choose(&whole, link.source.capabilities(), link.dest.capabilities());
    if !choice.is_comparable() || pair.maps_ids() {
        let message = format!(
            "stream `{}`: its rows cannot be compared with the source in SQL, so nobody can tell whether they changed",
            pair.stream
        );
        let hint = format!("drop `{}` yourself if nothing in it is needed", pair.dest.name);
        return Err(EngineError::Config { code: "not_undoable", message, hint: Some(hint) });
    }
    let found = compare::differ(&whole, choice, (&mut *source, &mut *dest), compare::Memory::none()).await?;
    let detail = "not as the source has it; its table was left as it is";
    let reject = |key: Key| Reject { row: key.0, column: None, code: "row_changed", detail: detail.to_owned(), words: None };
    let at: Vec<usize> = (0..pair.key_at.len()).collect();
    let mut list: Vec<Reject> = found.extra.first(LISTED_MAX)?.rows().map(|row| reject(Key::of(row, &at))).collect();
    let equal = found.source_rows - found.fetch.len();
    if found.dest_rows - found.extra.len() > equal {
        let there = present(&pair.dest, &pair.key_dest, &found.fetch, dest).await?;
        list.extend(there.into_iter().map(reject));
        if list.is_empty() {
            return Err(Error::internal(format!("stream `{}`: rows differ and none of them is found", pair.stream)).into());
        }
    }
    Ok(list)
}

/// Those of the keys that the destination has, as many as are listed.
async fn present(table: &Table, key: &[String], keys: &RowSpool, dest: &mut dyn Snapshot) -> Result<Vec<Key>> {
    let at: Vec<usize> = (0..key.len()).collect();
    let mut found = Vec::new();
    for part in keys.parts() {
        if found.len() >= LISTED_MAX {
            break;
        }
        let filter = vec![syncline_connector::Predicate::KeyIn { columns: key.to_vec(), keys: part? }];
        let request = syncline_connector::ReadRequest {
            table: table.clone(),
            columns: key.to_vec(),
            filter,
            order: Vec::new(),
            form: syncline_connector::ReadForm::Values,
            batch_bytes: 1 << 20,
            large_over: 1 << 20,
        };
        let mut stream = dest.read(request).await?;
        while let Some(batch) = stream.next().await? {
            if let syncline_connector::Batch::Rows(rows) = batch {
                found.extend(rows.rows().take(LISTED_MAX - found.len()).map(|r| Key::of(r, &at)));
            }
        }
    }
    Ok(found)
}
