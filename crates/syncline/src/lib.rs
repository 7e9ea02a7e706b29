//! Syncline as a library: the composition root that joins configuration, connectors, state and engine.

pub mod analyze;
pub mod clock;
pub mod explain;
pub mod registry;

pub use registry::Connectors;
pub use syncline_engine::spec::SyncSpec;
pub use syncline_engine::{Engine, RunOptions, RunReport};
pub use syncline_store::SqliteStore;
