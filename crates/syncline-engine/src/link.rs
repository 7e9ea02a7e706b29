//! Both ends of a sync, opened, and what they hold.

use std::sync::Arc;

use syncline_connector::{Connector, Destination, Identity, Source};
use syncline_model::Catalog;
use syncline_store::StateTx;

use crate::engine::{Engine, EngineError, Result};
use crate::pairing::{Pair, Remembered, Side, pair_streams};
use crate::spec::SyncSpec;

/// Note in the state: destination tables this sync made, as a JSON list.
pub const NOTE_CREATED: &str = "created_tables";
/// Note in the state: source columns per stream at the last good run, as JSON.
pub const NOTE_SHAPES: &str = "source_shapes";
/// Note in the state: what deletions did at the last good run, by scope and stream, as JSON.
pub const NOTE_DELETES: &str = "deletes";
/// Notes in the state: who the two systems are.
pub const NOTE_SOURCE: &str = "source_identity";
/// Who the destination is.
pub const NOTE_DESTINATION: &str = "destination_identity";

/// A system as the state remembers it.
pub fn identity_note(identity: &Identity) -> String {
    format!("{} {}", identity.system, identity.timeline)
}

/// Both ends, open.
pub struct Link {
    /// Source connector.
    pub from: Arc<dyn Connector>,
    /// Destination connector.
    pub to: Arc<dyn Connector>,
    /// Source session.
    pub source: Box<dyn Source>,
    /// Destination session.
    pub dest: Box<dyn Destination>,
    /// Source tables.
    pub source_catalog: Catalog,
    /// Destination tables.
    pub dest_catalog: Catalog,
    /// Who the source is, and who the destination: asked once.
    pub identities: [Identity; 2],
}

impl Engine {
    pub(crate) fn connector_for(&self, kind: &str) -> Result<Arc<dyn Connector>> {
        self.registry.connector(kind).ok_or_else(|| EngineError::Config {
            code: "config_invalid",
            message: format!("there is no connection type `{kind}`"),
            hint: Some("types are postgres, mysql and sqlite".to_owned()),
        })
    }

    /// Opens both ends and looks at their tables.
    pub(crate) async fn link(&self, sync: &SyncSpec) -> Result<Link> {
        let (from, to) = (self.connector_for(&sync.from.0)?, self.connector_for(&sync.to.0)?);
        let during = |name: &str| format!("connection `{name}`");
        let mut source = from.source(&sync.from.1).await.map_err(|e| e.during(during(&sync.from.1.name)))?;
        let mut dest = to.destination(&sync.to.1).await.map_err(|e| e.during(during(&sync.to.1.name)))?;
        let source_catalog = source.discover().await.map_err(|e| e.during(during(&sync.from.1.name)))?;
        let dest_catalog = dest.discover().await.map_err(|e| e.during(during(&sync.to.1.name)))?;
        let identities = [source.identity().await?, dest.identity().await?];
        Ok(Link { from, to, source, dest, source_catalog, dest_catalog, identities })
    }

    /// What the state remembers about a sync's tables.
    pub(crate) async fn remembered(&self, sync: &str) -> Result<Remembered> {
        let mut tx = self.store.begin().await?;
        let created = note(&mut *tx, sync, NOTE_CREATED).await?;
        let shapes = note(&mut *tx, sync, NOTE_SHAPES).await?;
        let deletes = note(&mut *tx, sync, NOTE_DELETES).await?;
        Ok(Remembered { created, shapes, deletes })
    }
}

async fn note<T: serde::de::DeserializeOwned + Default>(tx: &mut dyn StateTx, sync: &str, name: &str) -> Result<T> {
    let Some(text) = tx.load_note(sync, name).await? else { return Ok(T::default()) };
    serde_json::from_str(&text)
        .map_err(|_| syncline_store::StoreError::Corrupt { message: format!("note `{name}` of sync `{sync}` does not parse") }.into())
}

impl Link {
    /// Both ends are one database.
    fn is_one_database(&self) -> bool {
        let [a, b] = &self.identities;
        self.from.engine() == self.to.engine() && (&a.system, &a.instance) == (&b.system, &b.instance)
    }

    /// The two systems, each with the name of the note that remembers it.
    pub fn noted_identities(&self) -> [(&'static str, &Identity); 2] {
        let [source, dest] = &self.identities;
        [(NOTE_SOURCE, source), (NOTE_DESTINATION, dest)]
    }

    /// The streams of a sync, made concrete.
    pub fn pairs(&self, sync: &SyncSpec, scope: Option<&str>, only: &[String], remembered: &Remembered) -> Result<Vec<Pair>> {
        let from = Side { connector: &*self.from, catalog: &self.source_catalog, schema: sync.from.1.schema.as_deref() };
        let to = Side { connector: &*self.to, catalog: &self.dest_catalog, schema: sync.to.1.schema.as_deref() };
        let pairs = pair_streams(sync, scope, only, from, to, remembered)?;
        match pairs.iter().find(|p| self.is_one_database() && p.source.name == p.dest.name) {
            None => Ok(pairs),
            Some(pair) => Err(EngineError::Config {
                code: "source_is_destination",
                message: format!(
                    "sync `{}`, stream `{}`: connections `{}` and `{}` lead to one database, and `{}` would be synced with itself",
                    sync.name, pair.stream, sync.from.1.name, sync.to.1.name, pair.dest.name
                ),
                hint: Some("one of the two urls is wrong; within one database, name another table with `to:`".to_owned()),
            }),
        }
    }
}
