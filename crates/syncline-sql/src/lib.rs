//! The staged apply shared by all SQL destinations: stage, check, update, insert, delete, mark, commit.
//!
//! A connector brings a [`SqlSession`] (one connection) and its [`Dialect`] (pure SQL text); [`SqlRun`] does the rest, so
//! that the rules of `docs/specs/apply.md` are written once.

mod bookkeeping;
mod change;
mod checks;
mod delete;
mod delete_along;
mod drop;
mod loaded;
mod narrow;
mod observe;
mod order;
mod respelled;
mod run;
pub mod session;
mod staging;
mod straight;
mod stream;
mod unique;
mod write;

pub use bookkeeping::{BEFORE, MARKER};
pub use run::{SqlRun, fate};
pub use session::{CycleInsert, Dialect, Keep, LoadPlace, LoadTarget, SqlSession, Update};
pub use stream::ROW_NUMBER;
