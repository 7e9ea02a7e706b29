//! Durable state of Syncline: contract and the SQLite store
