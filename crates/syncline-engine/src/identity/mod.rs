//! Id mapping (FR-010): records whose key is another one at the destination, and the foreign keys that follow it.
//!
//! [`shape`] reads existing mappings from the places where migrations left them, [`idmap`] holds them and finds what is
//! wrong with them, [`mint`] makes ids for records that have none, [`rewrite`] changes rows. All pure: the engine fetches
//! and stores. Ids are single columns: no migration tool maps composite keys, and none of the shapes could hold them.

mod form;
pub mod idmap;
pub mod mint;
pub mod rewrite;
pub mod shape;

#[cfg(test)]
mod tests;

pub use form::IdForm;
pub use idmap::{IdMap, IdMapBuilder, IdMapError, Mapping};
pub use mint::Mint;
pub use rewrite::Rewrite;
pub use shape::Shape;
