//! Where a benchmark runs: servers of its own with `fsync` on, the table made once, a directory, and the clients to reach them.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::members;
use crate::command::{output, program, target_dir};
use crate::servers::Servers;

/// The database that holds the table as it was made; everything else is copied from it.
pub(crate) const SOURCE: &str = "bench_source";

/// Checkpoints come where the benchmark asks for them, not in the middle of a measurement.
const POSTGRES_SETTINGS: [&str; 3] =
    ["alter system set max_wal_size = '8GB'", "alter system set checkpoint_timeout = '1h'", "select pg_reload_conf()"];

pub(crate) struct Rig {
    servers: Servers,
    dir: PathBuf,
    /// Turns of floor and product.
    pub runs: usize,
    /// Databases and directories have names of their own.
    names: Cell<u32>,
    has_mariadb_table: Cell<bool>,
}

impl Rig {
    /// Starts the servers and makes the table.
    pub fn start(runs: usize) -> Result<Rig> {
        let dir = std::env::temp_dir().join(format!("syncline-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let rig = Rig { servers: Servers::durable()?, dir, runs, names: Cell::new(0), has_mariadb_table: Cell::new(false) };
        for statement in POSTGRES_SETTINGS {
            rig.sql("postgres", statement)?;
        }
        // With the tests' small log a large transaction would measure how fast pages are flushed. It can be resized from 10.9 on.
        rig.mariadb(
            "set /*M!100900 global innodb_log_file_size = 1024 * 1024 * 1024, */ global innodb_buffer_pool_size = 512 * 1024 * 1024; \
             create database bench",
        )?;
        eprintln!("── making the table");
        rig.sql("postgres", &format!("create database {SOURCE}"))?;
        members::make(&rig, SOURCE, members::ROWS)?;
        Ok(rig)
    }

    /// The product's release build.
    pub fn binary(&self) -> Result<PathBuf> {
        Ok(std::env::var_os(super::BINARY).map_or(target_dir()?.join("release/syncline"), PathBuf::from))
    }

    /// A directory for files of the benchmark.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A name that no database or directory has yet.
    pub fn fresh(&self, what: &str) -> String {
        self.names.set(self.names.get() + 1);
        format!("bench_{what}_{}", self.names.get())
    }

    /// An empty database.
    pub fn database(&self, what: &str) -> Result<String> {
        let name = self.fresh(what);
        self.sql("postgres", &format!("create database {name}"))?;
        Ok(name)
    }

    /// A database with the table in it.
    pub fn copy_of_source(&self, what: &str) -> Result<String> {
        let name = self.fresh(what);
        self.sql("postgres", &format!("create database {name} template {SOURCE}"))?;
        Ok(name)
    }

    /// Removes a database, so that the disk holds one run and not all.
    pub fn drop_database(&self, name: &str) -> Result<()> {
        self.sql("postgres", &format!("drop database {name} with (force)")).map(drop)
    }

    /// Both sides of a comparison begin after one.
    pub fn checkpoint(&self) -> Result<()> {
        self.sql("postgres", "checkpoint").map(drop)
    }

    /// Runs one statement (or several, as one transaction) on PostgreSQL; the answer as text, one row a line.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let statement = if sql.len() > 60 { &sql[..60] } else { sql };
        let url = self.postgres(database);
        let answer = output(&mut program("psql", &[&url, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]));
        Ok(answer.with_context(|| format!("{database}: {statement}"))?.trim().to_owned())
    }

    /// `psql` on a database, for a shell.
    pub fn psql(&self, database: &str) -> String {
        format!("psql '{}' -X -q -A -t -v ON_ERROR_STOP=1", self.postgres(database))
    }

    /// A URL of PostgreSQL.
    pub fn postgres(&self, database: &str) -> String {
        let url = self.url(0);
        format!("{}/{database}", url.rsplit_once('/').map_or(url, |(server, _)| server))
    }

    /// The URL of MariaDB's database `bench`.
    pub fn mariadb_url(&self) -> String {
        let url = self.url(1);
        format!("{}/bench", url.rsplit_once('/').map_or(url, |(server, _)| server))
    }

    /// Runs statements on MariaDB, in `bench` once it is there.
    pub fn mariadb(&self, sql: &str) -> Result<String> {
        let client = self.mariadb_client()?;
        let client: Vec<&str> = client.iter().map(String::as_str).collect();
        let database: &[&str] = if sql.contains("create database") { &[] } else { &["bench"] };
        output(&mut program("mariadb", &[client.as_slice(), database, &["-e", sql]].concat()))
    }

    /// Options of the `mariadb` client.
    pub fn mariadb_client(&self) -> Result<Vec<String>> {
        let url = self.url(1);
        let parts = url.strip_prefix("mysql://").and_then(|u| u.split_once('@')).context("a MariaDB URL")?;
        let (user, password) = parts.0.split_once(':').context("user and password")?;
        let (host, port) = parts.1.split('/').next().and_then(|h| h.split_once(':')).context("host and port")?;
        Ok(["--no-defaults".into(), format!("-h{host}"), format!("-P{port}"), format!("-u{user}"), format!("-p{password}")].into())
    }

    /// Makes the table in MariaDB, once.
    pub fn with_mariadb_table(&self) -> Result<()> {
        if !self.has_mariadb_table.replace(true) {
            eprintln!("   making the table in MariaDB");
            members::make_mariadb(self, SOURCE, "bench")?;
        }
        Ok(())
    }

    fn url(&self, at: usize) -> &str {
        self.servers.variables().nth(at).map_or("", |(_, url)| url)
    }

    /// Whether two tables hold the same rows, asked of the server.
    pub fn must_be_same(&self, left: &str, right: &str, table: &str) -> Result<()> {
        let sum = format!("select count(*) || ' ' || sum(hashtext(t::text)::bigint) from {table} t");
        let (l, r) = (self.sql(left, &sum)?, self.sql(right, &sum)?);
        if l != r {
            bail!("`{table}` is not the same on both sides: {l} and {r}");
        }
        Ok(())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // The system's own cleaning of temporary files does the rest.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
