//! Holds one shared PostgreSQL and one MariaDB for a whole test run: prints their environment lines, and ends them when its stdin closes.

#![allow(clippy::print_stdout, reason = "the lines are this program's answer to `cargo xtask test`")]

use std::io::Read;

use syncline_testkit::{MARIADB_ENV, Mariadb, POSTGRES_ENV, Postgres};

fn main() {
    let (postgres, mariadb) = if std::env::args().any(|arg| arg == "--durable") {
        (Postgres::private(), Mariadb::private())
    } else {
        (Postgres::throwaway(), Mariadb::throwaway())
    };
    if std::env::args().any(|arg| arg == "--homes") {
        println!("{}\n{}", postgres.home().display(), mariadb.home().display());
    } else {
        println!("{POSTGRES_ENV}={}\n{MARIADB_ENV}={}", postgres.admin_url(), mariadb.admin_url());
    }
    let mut rest = Vec::new();
    // Whatever ends the reading ends the servers.
    let _ = std::io::stdin().read_to_end(&mut rest);
}
