//! The command line from outside: the real binary on real SQLite files, judged by its output and its exit code.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in the functions around it")]

mod explain;
mod first_steps;
mod help;
mod history;
mod honest;
mod story;
mod world;
