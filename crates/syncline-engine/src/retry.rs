//! Parked rows tried again: the source is read by key, the stored image is for display only (R29).

use std::collections::BTreeMap;

use syncline_store::rows::{Page, ParkedFilter, RunKind};

use crate::engine::{Engine, Result, RunOptions, RunReport};
use crate::spec::SyncSpec;

impl Engine {
    /// Tries parked rows again by key: these ids, or all open ones of the sync when `ids` is empty. One report per scope
    /// that has some; none when nothing is parked.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub async fn retry_parked(&self, sync: &SyncSpec, ids: &[u64]) -> Result<Vec<RunReport>> {
        let filter = ParkedFilter { sync: Some(sync.name.clone()), ids: ids.to_vec(), ..ParkedFilter::default() };
        let mut tx = self.store.begin().await?;
        let open = tx.list_parked(&filter, &Page { offset: 0, limit: u32::MAX }).await?;
        tx.commit().await?;
        let mut scopes: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
        for row in open {
            scopes.entry(row.scope).or_default().entry(row.stream).or_default().push(row.key_json);
        }
        let mut reports = Vec::new();
        for (scope, keys) in scopes {
            let options = RunOptions {
                kind: RunKind::Retry,
                streams: keys.keys().cloned().collect(),
                scope: (!scope.is_empty()).then_some(scope),
                keys: Some(keys),
                ..RunOptions::default()
            };
            reports.extend(self.run(sync, options).await?);
        }
        Ok(reports)
    }
}
