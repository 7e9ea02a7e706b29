//! The engine: read, detect, resolve, apply, checkpoint; plan, verify, undo. It knows connectors and the state store by
//! their contracts only.
//!
//! [`Engine`] is the face; [`spec`] what the user asked for; [`report`] what comes back.

mod account;
mod bases;
mod batch;
mod check;
mod chosen;
mod compare;
mod condition;
mod coverage;
mod create;
mod cursor;
mod deletions;
mod dry;
pub mod engine;
pub mod first_load;
mod horizon;
pub mod identity;
mod keep;
mod keep_deleted;
mod large;
mod link;
mod lock;
mod mapped;
mod matching;
mod moving;
mod naming;
mod order;
pub mod pairing;
mod parts;
mod pipeline;
mod plan;
pub mod planned;
pub mod policy;
mod reach;
pub mod report;
mod retry;
mod rewound;
mod scopes;
mod settle;
mod shape;
pub mod spec;
mod spill;
mod straight;
mod stream_run;
pub mod transform;
mod undo;
mod undo_created;
mod unfinished;
mod verify;
mod waiting;
mod window;

pub use engine::{Clock, Engine, EngineError, IdSource, Interrupt, Processes, Registry, Result, RunOptions, RunReport, UnknownProcesses};
