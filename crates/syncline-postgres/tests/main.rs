//! The PostgreSQL connector against real servers.

mod conformance {
    syncline_testkit::conformance!(syncline_testkit::conformance::on_postgres(syncline_postgres::connector()).await);
}
mod applying;
mod digests;
mod discovering;
mod errors;
mod horizon;
mod large;
mod pooler;
mod roundtrip;
mod steps;
mod transactions;
