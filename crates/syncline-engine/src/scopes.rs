//! The tenants of a sync.

use std::collections::BTreeSet;

use syncline_model::Value;

use crate::engine::{Engine, EngineError, Result};
use crate::spec::{Scopes, SyncSpec};

impl Engine {
    /// The scopes to run: `[""]` when the sync has none.
    pub(crate) async fn scopes(&self, sync: &SyncSpec, only: Option<&str>) -> Result<Vec<String>> {
        let all = match &sync.scopes {
            None => Vec::new(),
            Some(Scopes::List(list)) => list.clone(),
            Some(Scopes::Query(sql)) => {
                let mut source = self.connector_for(&sync.from.0)?.source(&sync.from.1).await?;
                let values = source.query_values(sql).await.map_err(|e| e.during("scopes query"))?;
                values.iter().filter(|v| !v.is_null()).map(Value::to_string).collect()
            }
        };
        let config = |message: String, hint: String| EngineError::Config { code: "config_invalid", message, hint: Some(hint) };
        match (only, sync.scopes.is_some()) {
            (None, false) => Ok(vec![String::new()]),
            (None, true) if all.is_empty() => Err(EngineError::Config {
                code: "scopes_missing",
                message: format!("sync `{}`: the query of its scopes answers with no value, so there is nothing to sync", sync.name),
                hint: Some("run the query as the role of the source: rows it may not see give no scopes".to_owned()),
            }),
            (None, true) => Ok(all),
            (Some(s), false) => {
                Err(config(format!("sync `{}` has no scopes, so `{s}` is none of them", sync.name), "leave `--scope` out".into()))
            }
            (Some(s), true) if all.iter().any(|a| a == s) => Ok(vec![s.to_owned()]),
            (Some(s), true) => Err(config(format!("sync `{}` has no scope `{s}`", sync.name), format!("it has {} scopes", all.len()))),
        }
    }

    /// A sentence for every scope that ran before and is none now: nothing of it is synced any more, and nothing is deleted.
    pub(crate) async fn scopes_gone(&self, sync: &SyncSpec, now: &[String]) -> Result<Vec<String>> {
        let mut tx = self.store.begin().await?;
        let positions = tx.list_positions(&sync.name).await?;
        tx.commit().await?;
        let gone: BTreeSet<String> = positions.into_iter().map(|p| p.scope).filter(|s| !s.is_empty() && !now.contains(s)).collect();
        Ok(gone.iter().map(|s| format!("scope `{s}` ran before and is none of the scopes any more: its rows stay as they are")).collect())
    }
}
