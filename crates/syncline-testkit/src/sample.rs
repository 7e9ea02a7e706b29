//! The public sample databases in `testdata/`: Sakila for MariaDB and Chinook for SQLite.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::database::{Database, Engine, PASSWORD, USER};

/// Loads Sakila (schema, data, triggers, routines and views) into a MariaDB database.
///
/// Through the server's own client: the script switches delimiters, which only the client understands.
pub async fn load_sakila(database: &Database) {
    assert_eq!(database.engine(), Engine::Mariadb, "Sakila's script is written for MariaDB");
    let [schema, data] = ["sakila-mariadb-schema.sql", "sakila-mariadb-data.sql"].map(|name| {
        let path = test_data().join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()))
    });
    // Views name the schema they were written for.
    let schema = within_database(&schema).replace("sakila.", &format!("{}.", database.name()));
    let script = format!("SET NAMES utf8mb4;\n{schema}{}", within_database(&data));
    let mut client = Command::new("mariadb")
        .args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user", USER, "--default-character-set=utf8mb4"])
        .arg(format!("--port={}", database.port()))
        .arg(database.name())
        .env("MYSQL_PWD", PASSWORD)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the `mariadb` client is installed (Debian package `mariadb-client`)");
    let mut stdin = client.stdin.take().expect("invariant: stdin is piped");
    // A client that gives up closes its end; its message says why.
    let _ = stdin.write_all(script.as_bytes()).await;
    drop(stdin);
    let output = client.wait_with_output().await.expect("wait for the mariadb client");
    assert!(output.status.success(), "load Sakila: {}", String::from_utf8_lossy(&output.stderr));
}

/// The Chinook database, an SQLite file. Read it in place; copy it before writing.
pub fn chinook_path() -> PathBuf {
    let path = test_data().join("chinook.sqlite");
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// The `testdata` directory of the repository.
fn test_data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

/// The script without the lines that create and enter a schema of its own.
fn within_database(script: &str) -> String {
    let switches = ["DROP SCHEMA ", "CREATE SCHEMA ", "USE "];
    script.split_inclusive('\n').filter(|line| !switches.iter().any(|switch| line.starts_with(switch))).collect()
}
