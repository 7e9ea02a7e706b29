//! Databases, folders and the binary, for tests that break runs.

mod side;
mod world;

pub use side::Side;
pub use world::{Answer, World, config};

/// Waits for `work` on a runtime of its own: tests here are plain functions, many of them side by side in threads.
pub fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}
