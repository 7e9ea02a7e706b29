//! What commands leave behind: an audit line for what no run puts on record (the engine adds those of runs), and history that
//! does not grow for ever.

use serde_json::Value as Json;
use syncline::config::History;
use syncline_store::StateStore;
use syncline_store::rows::AuditRow;

use super::Context;
use crate::render::failure::Failure;

const DAY_MICROS: i64 = 86_400_000_000;

/// Adds the audit line of a command *before* it acts, so that also what crashed half-way is on record. Details hold options
/// and ids, never values of records.
pub async fn audit(store: &dyn StateStore, context: &Context, action: &str, sync: Option<&str>, detail: &Json) -> Result<(), Failure> {
    let row = AuditRow {
        at: context.clock.now(),
        actor: context.actor(),
        action: action.to_owned(),
        sync: sync.map(str::to_owned),
        detail_json: detail.to_string(),
    };
    let mut tx = store.begin().await?;
    tx.add_audit(&row).await?;
    tx.commit().await?;
    Ok(())
}

/// Drops runs that are both old and many. Trouble with it is told and changes nothing about the run that just ended.
pub async fn prune(store: &dyn StateStore, context: &Context, retention: &History) {
    let before = context.clock.now().saturating_sub(i64::from(retention.keep_days) * DAY_MICROS);
    if let Err(failure) = prune_before(store, before, retention.keep_runs).await {
        context.out.note(format!("warning: old history stays: {}", failure.message));
    }
}

async fn prune_before(store: &dyn StateStore, before: i64, keep: u32) -> Result<(), Failure> {
    let mut tx = store.begin().await?;
    let dropped = tx.prune_runs(before, keep).await?;
    tx.commit().await?;
    if dropped > 0 {
        tracing::info!(dropped, "old runs removed from the history");
    }
    Ok(())
}
