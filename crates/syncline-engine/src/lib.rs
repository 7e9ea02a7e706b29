//! The engine: read, detect, resolve, apply, checkpoint; plan, verify, undo. It knows connectors and the state store by
//! their contracts only.
//!
//! [`Engine`] is the face; [`spec`] what the user asked for; [`report`] what comes back.

pub mod engine;
pub mod report;
pub mod spec;
pub mod transform;

pub use engine::{Clock, Engine, EngineError, IdSource, Interrupt, Registry, Result, RunOptions, RunReport};
