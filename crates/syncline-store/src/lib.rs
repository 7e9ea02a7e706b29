//! The durable state of Syncline: runs and their books, positions, parked rows, bases, mappings, conflicts, reports, locks.
//!
//! [`StateStore`] is the seam.

pub mod contract;
pub mod error;
pub mod rows;

pub use contract::{Result, StateStore, StateTx};
pub use error::StoreError;
