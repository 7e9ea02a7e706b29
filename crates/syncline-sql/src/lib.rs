//! The staged apply shared by all SQL destinations: stage, check, update, insert, delete, mark, commit.
//!
//! A connector brings a [`SqlSession`] (one connection) and its [`Dialect`] (pure SQL text); [`SqlRun`] does the rest, so
//! that the rules of `docs/specs/apply.md` are written once.

pub mod session;

pub use session::{CycleInsert, Dialect, LoadTarget, SqlSession, UpsertColumns};
