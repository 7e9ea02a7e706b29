//! SQLite connector
