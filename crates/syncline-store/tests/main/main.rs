//! The SQLite store against the contract, against damaged files, and against the death of its process.

mod damage;
mod processes;

use syncline_store::SqliteStore;

mod in_a_file {
    use super::SqliteStore;

    syncline_store::store_conformance!({
        let directory = tempfile::tempdir().expect("a directory");
        (SqliteStore::open(&directory.path().join("state.db")).expect("a store"), directory)
    });
}

mod in_memory {
    use super::SqliteStore;

    syncline_store::store_conformance!((SqliteStore::in_memory().expect("a store"), ()));
}
