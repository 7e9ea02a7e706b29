//! Nouns and rules of Syncline. Pure: no I/O, no clock, no randomness, so that every rule can be tested on its own.
//!
//! A cell is a [`Value`] (or a borrowed [`ValueRef`]); rows travel in [`RowBatch`]es; a [`Table`] says what a connection
//! holds; [`Canon`] decides what *equal* means for a pair of columns; [`Books`] decide whether a run may be called a success.

pub mod batch;
pub mod books;
pub mod canonical;
pub mod civil;
pub mod decimal;
pub mod detect;
pub mod json;
pub mod key;
pub mod logical;
pub mod normalise;
pub mod resolve;
pub mod schema;
pub mod suggest;
pub mod value;

pub use batch::{RowBatch, RowRef};
pub use books::Books;
pub use canonical::Canon;
pub use key::Key;
pub use logical::LogicalType;
pub use schema::{Catalog, Column, Engine, ForeignKey, Table, TableName};
pub use value::{Value, ValueRef};
