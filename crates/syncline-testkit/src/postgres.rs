//! Throwaway PostgreSQL servers: one shared by a whole test run, or a private one to kill and pause.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tokio::sync::OnceCell;

use crate::account::Account;
use crate::database::{Admin, Database, Engine, PASSWORD, USER};
use crate::port::{free_port, unique_name};
use crate::process::{Home, Launch, ServerProcess};
use crate::template;

/// The environment variable naming a running server's superuser, e.g. `postgres://postgres:secret@127.0.0.1:5432/postgres`.
pub const POSTGRES_ENV: &str = "SYNCLINE_TEST_POSTGRES";

/// A PostgreSQL server on 127.0.0.1: UTF-8, locale `C.UTF-8` (ICU collations available), passwords enforced, 200 connections.
#[derive(Debug)]
pub struct Postgres {
    admin: Admin,
    process: Option<ServerProcess>,
    /// The clause of CREATE DATABASE, once the server has been looked at.
    strategy: OnceCell<&'static str>,
}

/// What a test server promises about a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// `fsync` off: fast, for tests that never kill the server.
    None,
    /// As in production, for tests that do.
    Full,
}

impl Postgres {
    /// The server of this run: the one `SYNCLINE_TEST_POSTGRES` names, else one started by this process on first use.
    ///
    /// Blocks while starting; panics with the server's log when it does not come up.
    pub fn shared() -> &'static Postgres {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var(POSTGRES_ENV) {
            Ok(url) => Postgres { admin: Admin::from_postgres_url(&url), process: None, strategy: OnceCell::new() },
            Err(_) => Postgres::throwaway(),
        })
    }

    /// A server of one's own that trades durability for speed, for who shares it on; it dies with the value.
    pub fn throwaway() -> Postgres {
        Postgres::start(Durability::None)
    }

    /// A server of one's own, with `fsync` on; it dies with the value.
    pub fn private() -> Postgres {
        Postgres::start(Durability::Full)
    }

    /// A fresh, empty database owned by the role `syncline`.
    pub async fn database(&self) -> Database {
        let strategy = self.strategy.get_or_init(|| self.look_at_server()).await;
        let name = unique_name();
        let maintenance = self.admin.database("postgres");
        maintenance.execute(&format!("CREATE DATABASE {name} OWNER {USER} {strategy}")).await;
        Database::new(self.admin.clone(), name)
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.admin.port
    }

    /// The superuser's URL of the maintenance database.
    pub fn admin_url(&self) -> String {
        self.admin.database("postgres").admin_url()
    }

    /// Kills every process of the server with SIGKILL, as a power cut would.
    pub fn kill(&self) {
        self.own().kill();
    }

    /// Starts the server again on the same port and data, and waits until it takes connections.
    pub fn restart(&self) {
        self.own().restart();
    }

    /// Stops every process of the server in its tracks: connections stay open, nothing answers.
    pub fn pause(&self) {
        self.own().pause();
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.own().resume();
    }

    /// The server's throwaway directory.
    pub fn home(&self) -> &Path {
        self.own().home().path()
    }

    fn own(&self) -> &ServerProcess {
        self.process.as_ref().unwrap_or_else(|| panic!("the server of {POSTGRES_ENV} is not ours to control; use Postgres::private()"))
    }

    fn start(durability: Durability) -> Postgres {
        let bin = bin_dir();
        let mut home = Home::create(Account::for_server("postgres"));
        template::fill(&home, &format!("postgres-{}", version(&bin)), |workshop| initialise(&bin, workshop));
        let mut log = String::new();
        // Another process may take the port between our look and the server's bind.
        for _ in 0..5 {
            let port = free_port();
            match ServerProcess::start(home, launch(&bin, port, durability)) {
                Ok(process) => {
                    let admin = Admin { engine: Engine::Postgres, port, user: "postgres".to_owned(), password: PASSWORD.to_owned() };
                    return Postgres { admin, process: Some(process), strategy: OnceCell::new() };
                }
                Err((returned, text)) => (home, log) = (returned, text),
            }
            if !log.contains("in use") {
                break;
            }
        }
        panic!("start PostgreSQL: {log}");
    }

    /// Makes our role where it is missing. Copying the template's files is twice as fast as writing them through the log, which
    /// PostgreSQL does by default since it can do either.
    async fn look_at_server(&self) -> &'static str {
        let maintenance = self.admin.database("postgres");
        let create = format!("DO $$ BEGIN {CREATE_ROLE}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$");
        maintenance.execute(&create).await;
        let version: u32 = maintenance.scalar("SHOW server_version_num").await.parse().expect("a version is a number");
        if version >= 150_000 { "STRATEGY FILE_COPY" } else { "" }
    }
}

/// A plain role, so that tests meet the rights real users have; roles for read-only tests are its to create.
const CREATE_ROLE: &str = "CREATE ROLE syncline LOGIN CREATEDB CREATEROLE PASSWORD 'secret'";

fn launch(bin: &Path, port: u16, durability: Durability) -> Launch {
    let durable = if durability == Durability::Full { "on" } else { "off" };
    let settings = [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        "max_connections=200".to_owned(),
        "shared_buffers=64MB".to_owned(),
        "wal_level=logical".to_owned(),
        "timezone=UTC".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
        format!("fsync={durable}"),
        format!("synchronous_commit={durable}"),
        format!("full_page_writes={durable}"),
    ];
    let mut args = vec!["-D".to_owned(), "data".to_owned()];
    args.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
    Launch { program: bin.join("postgres"), args, ready: "ready to accept connections" }
}

/// `initdb`, with a password for everybody.
fn initialise(bin: &Path, home: &Home) {
    let script = home.path().join("secret");
    std::fs::write(&script, PASSWORD).expect("write the superuser's password file");
    if let Some(account) = home.account() {
        account.own(&script);
    }
    let mut initdb = home.command(&bin.join("initdb"));
    initdb.args(["-D", "data", "-U", "postgres", "--pwfile=secret", "--auth=scram-sha-256", "--encoding=UTF8"]);
    home.run(initdb.args(["--locale=C.UTF-8", "--no-sync"]));
}

/// The newest installed server; Debian keeps them apart by version.
fn bin_dir() -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").is_file())
        .collect();
    versions.sort();
    versions.pop().map(|(_, bin)| bin).unwrap_or_else(bin_dir_from_pg_config)
}

fn bin_dir_from_pg_config() -> PathBuf {
    let output = Command::new("pg_config").arg("--bindir").output();
    let found = output.ok().map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    found.filter(|bin| bin.join("initdb").is_file()).unwrap_or_else(|| {
        panic!("PostgreSQL is not installed: `cargo xtask test` installs it (Debian package `postgresql`), or set {POSTGRES_ENV}")
    })
}

fn version(bin: &Path) -> String {
    let output = Command::new(bin.join("postgres")).arg("--version").output().expect("run postgres --version");
    crate::port::file_name_part(&String::from_utf8_lossy(&output.stdout))
}
