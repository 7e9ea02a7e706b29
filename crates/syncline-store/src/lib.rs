//! The durable state of Syncline: runs and their books, positions, parked rows, bases, mappings, conflicts, reports, locks.
//!
//! [`StateStore`] is the seam; [`SqliteStore`] keeps everything in one SQLite file. Whatever else implements the seam
//! passes the suite in `conformance`.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod contract;
pub mod error;
pub mod rows;
mod sqlite;

pub use contract::{Result, StateStore, StateTx};
pub use error::StoreError;
pub use sqlite::SqliteStore;
