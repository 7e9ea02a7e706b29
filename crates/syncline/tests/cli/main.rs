//! The command line from outside: the real binary on real SQLite files, judged by its output and its exit code.

mod explain;
mod first_steps;
mod help;
mod history;
mod story;
mod world;
