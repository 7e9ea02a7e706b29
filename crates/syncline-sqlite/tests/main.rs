//! The SQLite connector on real files.

mod support;

mod copy;
