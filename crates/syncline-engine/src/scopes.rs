//! The tenants of a sync.

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
            (None, true) => Ok(all),
            (Some(s), false) => {
                Err(config(format!("sync `{}` has no scopes, so `{s}` is none of them", sync.name), "leave `--scope` out".into()))
            }
            (Some(s), true) if all.iter().any(|a| a == s) => Ok(vec![s.to_owned()]),
            (Some(s), true) => Err(config(format!("sync `{}` has no scope `{s}`", sync.name), format!("it has {} scopes", all.len()))),
        }
    }
}
