//! The canonical form: pinned by golden vectors, and as laws.

mod golden;
mod laws;
