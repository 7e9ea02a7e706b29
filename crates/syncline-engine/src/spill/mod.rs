//! What would grow with the rows of a table, kept in temporary files: nobody but this process sees them, and they are gone with it,
//! however it ends.

pub mod join;
mod list;
mod log;
mod rows;
mod table;

pub use list::ListSpool;
pub use log::RecordLog;
pub use rows::RowSpool;
pub use table::HashTable;

use std::fs::File;

use crate::engine::EngineError;

/// A file without a name, in the directory that the program keeps temporary files in.
pub fn file() -> Result<File, EngineError> {
    tempfile::tempfile().map_err(failed)
}

/// The disk refused.
pub fn failed(e: std::io::Error) -> EngineError {
    syncline_connector::Error::new(syncline_connector::ErrorKind::Unavailable, "temp_file", "keep rows in a temporary file")
        .hint("is there room beside the state file, or where temporary files go (TMPDIR)?")
        .because(e)
        .into()
}
