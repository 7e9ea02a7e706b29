//! Tables that an uncommitted run left behind where DDL commits by itself (R19): written down before they are made, dropped
//! by the next run, so that a table half made is never taken for a table of the user's. Until the commit they bear a comment that
//! names the run, so that a table of the user's is never taken for one half made.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use syncline_model::TableName;

use crate::engine::{Engine, Result};
use crate::link::{Link, NOTE_CREATED};
use crate::naming::bears;
use crate::pairing::Pair;
use crate::pipeline::RunContext;
use crate::settle::Settlement;

/// Note in the state: tables that the run under way makes, as JSON; empty once it committed.
const NOTE_MAKING: &str = "making_tables";

#[derive(Serialize, Deserialize)]
struct Making {
    table: TableName,
    drop: Vec<String>,
    /// The comment by which it is known as ours. A table that a run empties has none: it was the sync's before.
    #[serde(default)]
    mark: Option<String>,
    /// What takes that comment off where a part of the run was committed.
    #[serde(default)]
    unmark: Vec<String>,
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
            if m.mark.is_some_and(|mark| !bears(&table, &mark)) {
                continue;
            }
            let mut dest = link.dest.snapshot().await?;
            let rows = dest.count(&table, &[]).await?;
            dest.close().await?;
            if rows == 0 {
                statements.extend(m.drop);
            } else {
                crate::naming::take_off(&mut *link.dest, m.unmark).await?;
            }
        }
        if !statements.is_empty() {
            tracing::info!(sync, "dropping tables of a run that did not commit");
            link.dest.prepare(&statements).await?;
            link.dest_catalog = link.dest.discover().await?;
        }
        self.save_making(sync, "").await
    }

    /// Writes down which tables the run is about to make, and marks them as its own until they are committed. Those that were loaded in
    /// parts get their names after the commit.
    pub(crate) async fn note_unfinished(
        &self,
        context: &RunContext<'_>,
        link: &Link,
        pairs: &mut [Pair],
        settlement: &mut Settlement,
    ) -> Result<()> {
        if link.dest.capabilities().transactional_ddl {
            return Ok(());
        }
        let mark = format!("syncline unfinished run {}", context.run.id);
        let mut making = Vec::new();
        for i in crate::order::parents_first(pairs).into_iter().rev() {
            let pair = &mut pairs[i];
            let (Some(ddl), Some(new), None) = (&mut pair.create, &mut pair.new_table, &pair.first_load) else { continue };
            let unmark = link.to.load_ddl(new, &new.name).comment;
            settlement.naming.unmark(&new.name, mark.clone(), unmark.clone());
            new.comment = Some(mark.clone());
            ddl.create = link.to.ddl(new).create;
            making.push(Making { table: new.name.clone(), drop: ddl.drop.clone(), mark: Some(mark.clone()), unmark });
        }
        if making.is_empty() {
            return Ok(());
        }
        let text = serde_json::to_string(&making).expect("invariant: names and statements serialise");
        self.save_making(&context.sync.name, &text).await
    }

    /// Writes down which tables the run is about to empty, where an empty table is all that a transaction can leave of one.
    pub(crate) async fn note_emptied(&self, sync: &str, link: &Link, pairs: &[Pair], made: &BTreeSet<String>) -> Result<()> {
        if link.dest.capabilities().transactional_ddl || made.is_empty() {
            return Ok(());
        }
        let order = crate::order::parents_first(pairs);
        let emptied = order.into_iter().rev().map(|i| &pairs[i]).filter(|p| made.contains(&p.stream));
        let drop = |p: &Pair| crate::first_load::drop_statements(link, &p.dest.name);
        let making: Vec<Making> =
            emptied.map(|p| Making { table: p.dest.name.clone(), drop: drop(p), mark: None, unmark: Vec::new() }).collect();
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
