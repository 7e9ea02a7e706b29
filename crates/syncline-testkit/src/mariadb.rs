//! Throwaway MariaDB servers: one shared by a whole test run, or a private one to kill and pause.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tokio::sync::OnceCell;

use crate::account::Account;
use crate::database::{Admin, Database, Engine, PASSWORD, USER};
use crate::port::{free_port, unique_name};
use crate::process::{Home, Launch, ServerProcess};
use crate::template;

/// The environment variable naming a running server's root, e.g. `mysql://root:secret@127.0.0.1:3306/mysql`.
pub const MARIADB_ENV: &str = "SYNCLINE_TEST_MARIADB";

/// A MariaDB server on 127.0.0.1: utf8mb4, `max_allowed_packet` 16 MiB, no named time zones, passwords enforced, 200 connections.
#[derive(Debug)]
pub struct Mariadb {
    admin: Admin,
    process: Option<ServerProcess>,
    user: OnceCell<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// The log is flushed once a second: fast, for tests that never kill the server.
    None,
    /// As in production, for tests that do.
    Full,
}

impl Mariadb {
    /// The server of this run: the one `SYNCLINE_TEST_MARIADB` names, else one started by this process on first use.
    ///
    /// Blocks while starting; panics with the server's log when it does not come up.
    pub fn shared() -> &'static Mariadb {
        static SHARED: OnceLock<Mariadb> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var(MARIADB_ENV) {
            Ok(url) => Mariadb { admin: Admin::from_mysql_url(&url), process: None, user: OnceCell::new() },
            Err(_) => Mariadb::throwaway(),
        })
    }

    /// A server of one's own that trades durability for speed, for who shares it on; it dies with the value.
    pub fn throwaway() -> Mariadb {
        Mariadb::start(Durability::None)
    }

    /// A server of one's own that flushes every commit; it dies with the value.
    pub fn private() -> Mariadb {
        Mariadb::start(Durability::Full)
    }

    /// A fresh, empty database on which the user `syncline` has every right.
    pub async fn database(&self) -> Database {
        self.user.get_or_init(|| async { self.admin.database("mysql").execute(CREATE_USER).await }).await;
        let name = unique_name();
        let sql = format!("CREATE DATABASE {name}; GRANT ALL PRIVILEGES ON {name}.* TO '{USER}'@'%' WITH GRANT OPTION");
        self.admin.database("mysql").execute(&sql).await;
        Database::new(self.admin.clone(), name)
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.admin.port
    }

    /// Root's URL of the system database.
    pub fn admin_url(&self) -> String {
        self.admin.database("mysql").admin_url()
    }

    /// Kills the server with SIGKILL, as a power cut would.
    pub fn kill(&self) {
        self.own().kill();
    }

    /// Starts the server again on the same port and data, and waits until it takes connections.
    pub fn restart(&self) {
        self.own().restart();
    }

    /// Stops the server in its tracks: connections stay open, nothing answers.
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
        self.process.as_ref().unwrap_or_else(|| panic!("the server of {MARIADB_ENV} is not ours to control; use Mariadb::private()"))
    }

    fn start(durability: Durability) -> Mariadb {
        let program = server_program();
        let mut home = Home::create(Account::for_server("mysql"));
        template::fill(&home, &version(&program), |workshop| initialise(&program, workshop));
        let mut log = String::new();
        // Another process may take the port between our look and the server's bind.
        for _ in 0..5 {
            let port = free_port();
            match ServerProcess::start(home, launch(&program, port, durability)) {
                Ok(process) => {
                    let admin = Admin { engine: Engine::Mariadb, port, user: "root".to_owned(), password: PASSWORD.to_owned() };
                    return Mariadb { admin, process: Some(process), user: OnceCell::new_with(Some(())) };
                }
                Err((returned, text)) => (home, log) = (returned, text),
            }
            if !log.contains("in use") {
                break;
            }
        }
        panic!("start MariaDB: {log}");
    }
}

/// Rights on its own databases come with each database; creating users lets tests make read-only ones.
const CREATE_USER: &str =
    "CREATE USER IF NOT EXISTS 'syncline'@'%' IDENTIFIED BY 'secret'; GRANT CREATE USER, PROCESS ON *.* TO 'syncline'@'%'";

const CREATE_ROOT: &str = "CREATE USER IF NOT EXISTS 'root'@'127.0.0.1'; SET PASSWORD FOR 'root'@'127.0.0.1' = PASSWORD('secret'); GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION";

/// Shared by set-up and run: InnoDB insists that the log's size stays what it was created with.
const STORAGE: [&str; 4] = ["--no-defaults", "--datadir=./data", "--innodb-log-file-size=16M", "--innodb-buffer-pool-size=64M"];

fn launch(program: &Path, port: u16, durability: Durability) -> Launch {
    let flush = if durability == Durability::Full { 1 } else { 0 };
    let mut args: Vec<String> = STORAGE.map(str::to_owned).to_vec();
    args.extend([
        format!("--port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--skip-networking=0".to_owned(),
        "--skip-name-resolve".to_owned(),
        "--socket=../mariadb.sock".to_owned(),
        "--pid-file=../mariadb.pid".to_owned(),
        // Its own: a starting server deletes what looks like another's left-over temporary tables.
        "--tmpdir=..".to_owned(),
        "--max-connections=200".to_owned(),
        "--max-allowed-packet=16M".to_owned(),
        "--character-set-server=utf8mb4".to_owned(),
        "--collation-server=utf8mb4_general_ci".to_owned(),
        "--performance-schema=OFF".to_owned(),
        format!("--innodb-flush-log-at-trx-commit={flush}"),
    ]);
    Launch { program: program.to_owned(), args, ready: "ready for connections" }
}

/// `mariadb-install-db`, then our users, before the server ever listens.
fn initialise(program: &Path, home: &Home) {
    let mut install = home.command(Path::new("mariadb-install-db"));
    install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]);
    install.args(["--innodb-log-file-size=16M", "--cross-bootstrap"]).arg(format!("--datadir={}", home.data().display()));
    home.run(&mut install);

    let sql = home.path().join("users.sql");
    let statements = format!("FLUSH PRIVILEGES; {CREATE_ROOT}; {CREATE_USER};").replace("; ", ";\n");
    std::fs::write(&sql, statements + "\n").expect("write the user script");
    let mut bootstrap = home.command(program);
    bootstrap.args(STORAGE).arg("--bootstrap").stdin(std::fs::File::open(&sql).expect("the script just written"));
    home.run(&mut bootstrap);
}

fn server_program() -> PathBuf {
    ["/usr/sbin/mariadbd", "/usr/bin/mariadbd", "/usr/local/bin/mariadbd", "/opt/homebrew/bin/mariadbd"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!("MariaDB is not installed: `cargo xtask test` installs it (Debian package `mariadb-server`), or set {MARIADB_ENV}")
        })
}

fn version(program: &Path) -> String {
    let output = Command::new(program).args(["--no-defaults", "--version"]).output().expect("run mariadbd --version");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.split_whitespace().find(|word| word.contains("MariaDB")).unwrap_or("mariadb");
    crate::port::file_name_part(&format!("mariadb-{number}"))
}
