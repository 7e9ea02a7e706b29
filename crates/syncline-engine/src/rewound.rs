//! A destination that is no longer where the state left it: a failover to a replica that lagged, a restored backup (C4, C5). Another
//! system or timeline is refused elsewhere; here it is the same system, without the last commit that this sync made there.

use syncline_connector::{CommitFate, Marker};

use crate::engine::{Engine, Result};
use crate::link::Link;
use crate::pipeline::RunContext;
use crate::settle::Settlement;

fn note_name(scope: &str) -> String {
    format!("last_commit/{scope}")
}

/// The note of a transaction that is about to be committed; it counts once that is settled. None for one that left no marker: it would
/// seem lost as soon as there is a table of markers.
pub(crate) fn last_commit(marker: &Marker, marked: bool) -> Option<(String, String)> {
    marked.then(|| (note_name(&marker.scope), serde_json::to_string(marker).expect("invariant: names and numbers serialise")))
}

impl Engine {
    /// Looks for the last commit at the destination. Where it is missing, what the state says of the destination is void: positions
    /// would leave out what was lost, and bases would call it an edit made there. Everything is compared then, and the run says so.
    pub(crate) async fn notice_lost_commits(&self, context: &RunContext<'_>, link: &mut Link, settlement: &mut Settlement) -> Result<()> {
        let (sync, name) = (&context.sync.name, note_name(context.scope));
        let mut tx = self.store.begin().await?;
        let note = tx.load_note(sync, &name).await?;
        tx.commit().await?;
        let Some(text) = note else { return Ok(()) };
        let marker: Marker = serde_json::from_str(&text)
            .map_err(|_| syncline_store::StoreError::Corrupt { message: format!("note `{name}` of sync `{sync}` does not parse") })?;
        match link.dest.fate(&marker, None).await? {
            CommitFate::Committed | CommitFate::Unknown => return Ok(()),
            CommitFate::RolledBack => {}
        }
        let mut tx = self.store.begin().await?;
        let number = tx.load_run(&marker.run).await?.map_or_else(String::new, |run| format!(" (run {})", run.number));
        tx.clear_positions(sync).await?;
        tx.move_bases(sync, context.scope, None).await?;
        tx.commit().await?;
        let text = format!(
            "the destination no longer has the last commit of this sync{number}: it was restored, or a replica that lagged took over; \
             positions are forgotten and everything is compared"
        );
        tracing::warn!(code = "commits_lost", "{text}");
        settlement.remarks.push(text);
        Ok(())
    }
}
