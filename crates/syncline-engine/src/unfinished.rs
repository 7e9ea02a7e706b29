//! Tables that an uncommitted run left behind where DDL commits by itself (R19): written down before they are made, dropped
//! by the next run, so that a table half made is never taken for a table of the user's.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use syncline_model::TableName;

use crate::engine::{Engine, Result};
use crate::link::{Link, NOTE_CREATED};
use crate::pairing::Pair;
use crate::settle::Settlement;

/// Note in the state: tables that the run under way makes, as JSON; empty once it committed.
const NOTE_MAKING: &str = "making_tables";

#[derive(Serialize, Deserialize)]
struct Making {
    table: TableName,
    drop: Vec<String>,
}

impl Engine {
    /// Drops what an earlier run made and never committed. A table that has rows by now is somebody's and stays.
    pub(crate) async fn drop_unfinished(&self, sync: &str, link: &mut Link) -> Result<()> {
        let mut tx = self.store.begin().await?;
        let note = tx.load_note(sync, NOTE_MAKING).await?;
        tx.commit().await?;
        let Some(text) = note.filter(|n| !n.is_empty()) else { return Ok(()) };
        let making: Vec<Making> = serde_json::from_str(&text).map_err(|_| syncline_store::StoreError::Corrupt {
            message: format!("note `{NOTE_MAKING}` of sync `{sync}` does not parse"),
        })?;
        let mut statements = Vec::new();
        for m in making {
            let Some(table) = link.dest_catalog.table(&m.table).cloned() else { continue };
            let mut dest = link.dest.snapshot().await?;
            let rows = dest.count(&table, &[]).await?;
            dest.close().await?;
            if rows == 0 {
                statements.extend(m.drop);
            }
        }
        if !statements.is_empty() {
            tracing::info!(sync, "dropping tables of a run that did not commit");
            link.dest.prepare(&statements).await?;
            link.dest_catalog = link.dest.discover().await?;
        }
        self.save_making(sync, "").await
    }

    /// Writes down which tables the run is about to make. Those that were loaded in parts get their names after the commit.
    pub(crate) async fn note_unfinished(&self, sync: &str, link: &Link, pairs: &[Pair]) -> Result<()> {
        let is_made = |p: &&Pair| p.create.is_some() && p.first_load.is_none();
        if link.dest.capabilities().transactional_ddl || !pairs.iter().any(|p| is_made(&p)) {
            return Ok(());
        }
        let order = crate::order::parents_first(pairs);
        let made = order.into_iter().rev().map(|i| &pairs[i]).filter(is_made);
        let making: Vec<Making> =
            made.filter_map(|p| p.create.as_ref().map(|ddl| Making { table: p.dest.name.clone(), drop: ddl.drop.clone() })).collect();
        let text = serde_json::to_string(&making).expect("invariant: names and statements serialise");
        self.save_making(sync, &text).await
    }

    /// Writes down which tables the run is about to empty, where an empty table is all that a transaction can leave of one.
    pub(crate) async fn note_emptied(&self, sync: &str, link: &Link, pairs: &[Pair], made: &BTreeSet<String>) -> Result<()> {
        if link.dest.capabilities().transactional_ddl || made.is_empty() {
            return Ok(());
        }
        let order = crate::order::parents_first(pairs);
        let emptied = order.into_iter().rev().map(|i| &pairs[i]).filter(|p| made.contains(&p.stream));
        let making: Vec<Making> =
            emptied.map(|p| Making { table: p.dest.name.clone(), drop: crate::first_load::drop_statements(link, &p.dest.name) }).collect();
        let text = serde_json::to_string(&making).expect("invariant: names and statements serialise");
        self.save_making(sync, &text).await
    }

    async fn save_making(&self, sync: &str, text: &str) -> Result<()> {
        let mut tx = self.store.begin().await?;
        tx.save_note(sync, NOTE_MAKING, text).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Remembers which tables are the sync's own.
pub(crate) fn created_note(created: &BTreeSet<String>) -> (String, String) {
    (NOTE_CREATED.to_owned(), serde_json::to_string(created).expect("invariant: names serialise"))
}

/// The run committed: what it made is the sync's.
pub(crate) fn made(settlement: &mut Settlement) {
    settlement.notes.push((NOTE_MAKING.to_owned(), String::new()));
}
