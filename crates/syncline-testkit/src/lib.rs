//! Throwaway database servers and scripted faults for the tests (dev only).
//!
//! A test asks for a server and gets a fresh database on it:
//!
//! ```no_run
//! # async fn example() {
//! let db = syncline_testkit::Postgres::shared().database().await;
//! db.execute("CREATE TABLE t (id bigint PRIMARY KEY); INSERT INTO t VALUES (1)").await;
//! assert_eq!(db.scalar("SELECT count(*) FROM t").await, "1");
//! # }
//! ```
//!
//! Servers are real ones, started on 127.0.0.1 with a temporary data directory, and cannot outlive the test process. A missing server is a
//! panic that says what to install, never a skipped test.

mod account;
pub mod conformance;
mod database;
mod mariadb;
mod pgbouncer;
mod port;
mod postgres;
mod process;
mod proxy;
mod sample;
mod template;

pub use database::{Database, Engine, PASSWORD, USER};
pub use mariadb::{MARIADB_ENV, Mariadb};
pub use pgbouncer::PgBouncer;
pub use postgres::{POSTGRES_ENV, Postgres};
pub use proxy::Proxy;
pub use sample::{chinook_path, load_sakila};
