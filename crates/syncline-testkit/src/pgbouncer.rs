//! A throwaway PgBouncer in transaction mode, where a statement may meet another server connection than the one before it.

use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::database::{Database, PASSWORD, USER};
use crate::port::free_port;
use crate::postgres::Postgres;
use crate::process::{Home, Launch, ServerProcess};

/// A PgBouncer in front of a [`Postgres`], on 127.0.0.1, with its defaults but for `pool_mode = transaction`. It dies with the value.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    _process: ServerProcess,
}

impl PgBouncer {
    /// Starts a pooler for every database of `server`.
    pub async fn in_front_of(server: &Postgres) -> PgBouncer {
        let program = program();
        let mut home = Home::create(Account::for_server("postgres"));
        let mut log = String::new();
        for _ in 0..5 {
            let port = free_port();
            configure(&home, port, server.port());
            let launch = Launch { program: program.clone(), args: vec!["pgbouncer.ini".to_owned()], ready: "process up" };
            match ServerProcess::start(home, launch) {
                Ok(process) => return PgBouncer { port, _process: process },
                Err((returned, text)) => (home, log) = (returned, text),
            }
            if !log.contains("in use") {
                break;
            }
        }
        panic!("start PgBouncer: {log}");
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The owner's URL of `database`, through the pooler.
    pub fn url(&self, database: &Database) -> String {
        database.url_on(self.port)
    }
}

fn configure(home: &Home, port: u16, server_port: u16) {
    let ini = format!(
        "[databases]\n* = host=127.0.0.1 port={server_port}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\npool_mode = transaction\nauth_type = scram-sha-256\nauth_file = userlist.txt\n"
    );
    write(home, "pgbouncer.ini", &ini);
    write(home, "userlist.txt", &format!("\"{USER}\" \"{PASSWORD}\"\n"));
}

fn write(home: &Home, name: &str, text: &str) {
    let path = home.path().join(name);
    std::fs::write(&path, text).unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
    if let Some(account) = home.account() {
        account.own(&path);
    }
}

fn program() -> PathBuf {
    ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"]
        .map(Path::new)
        .into_iter()
        .find(|path| path.is_file())
        .expect("PgBouncer is not installed: `cargo xtask test` installs it (Debian package `pgbouncer`)")
        .to_owned()
}
