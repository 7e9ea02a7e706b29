//! Syncline as a library: the composition root that joins configuration, connectors, state and engine, for programs that embed
//! it instead of calling the command line.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use syncline::clock::{StopOnSignal, SystemClock, TimeOrderedIds};
//! use syncline::{Config, Connectors, Engine, RunOptions, Silent, SqliteStore};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::load(Path::new("syncline.yaml"))?;
//! let engine = Engine {
//!     registry: Arc::new(Connectors),
//!     store: Arc::new(SqliteStore::open(&config.state)?),
//!     clock: Arc::new(SystemClock::new()),
//!     ids: Arc::new(TimeOrderedIds),
//!     progress: Arc::new(Silent),
//!     interrupt: Arc::new(StopOnSignal::default()),
//!     processes: Arc::new(syncline::processes::Local),
//!     actor: "my program".to_owned(),
//! };
//! for report in engine.run(&config.syncs[0], RunOptions::default()).await? {
//!     println!("run {}: {:?}, {} records written", report.number, report.status, report.books.written());
//! }
//! # Ok(())
//! # }
//! ```

pub mod analyze;
pub mod clock;
pub mod config;
pub mod explain;
pub mod processes;
pub mod registry;

pub use config::Config;
pub use registry::Connectors;
pub use syncline_engine::report::{Progress, Silent};
pub use syncline_engine::spec::SyncSpec;
pub use syncline_engine::{Clock, Engine, EngineError, IdSource, Interrupt, Registry, RunOptions, RunReport};
pub use syncline_store::SqliteStore;
