//! `verify` from outside: the real binary on real databases. Whatever it claims is planted first; nothing it passes may differ.

#[path = "cli/world.rs"]
#[allow(dead_code, reason = "shared with the tests of the command line, which need more of it")]
mod world;

#[path = "verify/across.rs"]
mod across;
#[path = "verify/local.rs"]
mod local;
