//! One end of a sync: a database of a server, or a SQLite file.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use syncline_testkit::{Database, Engine, Mariadb, Postgres};

use super::wait;

/// A database.
#[derive(Clone, Debug)]
pub enum Side {
    /// On a server.
    Server(Database),
    /// In a file.
    File(PathBuf),
}

impl Side {
    /// A new database on the shared PostgreSQL server.
    pub fn postgres() -> Self {
        Self::Server(wait(Postgres::shared().database()))
    }

    /// A new database on the shared MariaDB server.
    pub fn mariadb() -> Self {
        Self::Server(wait(Mariadb::shared().database()))
    }

    /// A new SQLite file in `folder`.
    pub fn sqlite(folder: &Path, name: &str) -> Self {
        let side = Self::File(folder.join(name));
        side.execute("PRAGMA user_version = 0");
        side
    }

    /// `type` of the connection.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Server(db) if db.engine() == Engine::Postgres => "postgres",
            Self::Server(_) => "mysql",
            Self::File(_) => "sqlite",
        }
    }

    /// `url` of the connection.
    pub fn url(&self) -> String {
        match self {
            Self::Server(db) => db.url(),
            Self::File(path) => format!("sqlite:{}", path.display()),
        }
    }

    /// The server's database.
    #[track_caller]
    pub fn database(&self) -> &Database {
        match self {
            Self::Server(db) => db,
            Self::File(path) => panic!("{} is on no server", path.display()),
        }
    }

    /// Runs a script.
    #[track_caller]
    pub fn execute(&self, sql: &str) {
        match self {
            Self::Server(db) => wait(db.execute(sql)),
            Self::File(path) => open(path).execute_batch(sql).unwrap_or_else(|e| panic!("{e} in {sql}")),
        }
    }

    /// Runs a script with every right.
    #[track_caller]
    pub fn execute_as_admin(&self, sql: &str) {
        match self {
            Self::Server(db) => wait(db.as_admin().execute(sql)),
            Self::File(_) => self.execute(sql),
        }
    }

    /// The rows of a query, every cell as the system's own text.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        match self {
            Self::Server(db) => wait(db.query(sql)),
            Self::File(path) => query_file(path, sql),
        }
    }

    /// The first cell; "NULL" for none.
    #[track_caller]
    pub fn value(&self, sql: &str) -> String {
        self.query(sql).into_iter().next().and_then(|row| row.into_iter().next()).flatten().unwrap_or_else(|| "NULL".to_owned())
    }

    /// Names of all tables that users see, sorted.
    pub fn tables(&self) -> Vec<String> {
        let sql = match self.kind() {
            "postgres" => "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
            "mysql" => "SELECT table_name FROM information_schema.tables WHERE table_schema = database() ORDER BY 1",
            _ => "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1",
        };
        self.query(sql).into_iter().filter_map(|row| row.into_iter().next().flatten()).collect()
    }

    /// All rows of a table in order of `id`, as one text made by the database: a stranger's view of what is in it.
    pub fn content(&self, table: &str, columns: &[&str], filter: &str) -> String {
        let text = match self.kind() {
            "postgres" => "text",
            "mysql" => "char",
            _ => "TEXT",
        };
        let cells: Vec<String> = columns.iter().map(|c| format!("coalesce(cast({c} AS {text}), '~')")).collect();
        let sql = match self.kind() {
            "postgres" => format!("string_agg(concat_ws('|', {}), ';' ORDER BY id)", cells.join(", ")),
            "mysql" => format!("group_concat(concat_ws('|', {}) ORDER BY id SEPARATOR ';')", cells.join(", ")),
            _ => format!("group_concat({}, ';' ORDER BY id)", cells.join(" || '|' || ")),
        };
        self.value(&format!("SELECT {sql} FROM {table} WHERE {filter}"))
    }
}

fn open(path: &Path) -> Connection {
    Connection::open(path).expect("the file opens")
}

fn query_file(path: &Path, sql: &str) -> Vec<Vec<Option<String>>> {
    let connection = open(path);
    let mut statement = connection.prepare(sql).unwrap_or_else(|e| panic!("{e} in {sql}"));
    let width = statement.column_count();
    let cell = |v: ValueRef<'_>| match v {
        ValueRef::Null => None,
        ValueRef::Integer(i) => Some(i.to_string()),
        ValueRef::Real(f) => Some(f.to_string()),
        ValueRef::Text(t) | ValueRef::Blob(t) => Some(String::from_utf8_lossy(t).into_owned()),
    };
    let rows = statement.query_map([], |r| (0..width).map(|i| Ok(cell(r.get_ref(i)?))).collect());
    rows.and_then(Iterator::collect).unwrap_or_else(|e| panic!("{e} in {sql}"))
}
