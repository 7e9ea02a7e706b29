//! One fresh database of a test: its URLs, and SQL through the plainest protocol each server has.

use std::str::FromStr;

use mysql_async::prelude::Queryable;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// The role every test connects as.
pub const USER: &str = "syncline";
/// The password of every account of a test server.
pub const PASSWORD: &str = "secret";

/// Which kind of server a database lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    Mariadb,
}

impl Engine {
    fn scheme(self) -> &'static str {
        match self {
            Engine::Postgres => "postgres",
            Engine::Mariadb => "mysql",
        }
    }
}

/// How to reach a server as its superuser.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    pub(crate) engine: Engine,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Admin {
    pub(crate) fn from_postgres_url(url: &str) -> Admin {
        let config = tokio_postgres::Config::from_str(url).expect("SYNCLINE_TEST_POSTGRES is a postgres:// URL");
        Admin {
            engine: Engine::Postgres,
            port: config.get_ports().first().copied().unwrap_or(5432),
            user: config.get_user().unwrap_or("postgres").to_owned(),
            password: String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned(),
        }
    }

    pub(crate) fn from_mysql_url(url: &str) -> Admin {
        let opts = mysql_async::Opts::from_url(url).expect("SYNCLINE_TEST_MARIADB is a mysql:// URL");
        Admin {
            engine: Engine::Mariadb,
            port: opts.tcp_port(),
            user: opts.user().unwrap_or("root").to_owned(),
            password: opts.pass().unwrap_or_default().to_owned(),
        }
    }

    /// An existing database, used as the superuser.
    pub(crate) fn database(&self, name: &str) -> Database {
        Database { admin: self.clone(), name: name.to_owned(), user: self.user.clone(), password: self.password.clone() }
    }
}

/// A database of one test. It is never dropped: the whole data directory is thrown away.
#[derive(Debug, Clone)]
pub struct Database {
    admin: Admin,
    name: String,
    user: String,
    password: String,
}

impl Database {
    pub(crate) fn new(admin: Admin, name: String) -> Database {
        Database { admin, name, user: USER.to_owned(), password: PASSWORD.to_owned() }
    }

    /// The owner's URL: `postgres://syncline:secret@127.0.0.1:PORT/NAME` or `mysql://…`.
    pub fn url(&self) -> String {
        self.url_as(&self.user, &self.password)
    }

    /// The URL with another account. Both parts are put in as they are: percent-encode what needs it.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        self.url_through(self.admin.port, user, password)
    }

    /// The owner's URL on another port of 127.0.0.1, for a proxy or a pooler in front of the server.
    pub fn url_on(&self, port: u16) -> String {
        self.url_through(port, &self.user, &self.password)
    }

    /// The superuser's URL.
    pub fn admin_url(&self) -> String {
        self.url_as(&self.admin.user, &self.admin.password)
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.admin.port
    }

    /// Which kind of server it lives on.
    pub fn engine(&self) -> Engine {
        self.admin.engine
    }

    /// The same database used as the superuser: `db.as_admin().execute("…")`.
    pub fn as_admin(&self) -> Database {
        self.admin.database(&self.name)
    }

    /// Runs a script of one or more statements; panics on an error, with the script.
    pub async fn execute(&self, sql: &str) {
        self.try_execute(sql).await.unwrap_or_else(|e| panic!("execute on {}: {e}\n{sql}", self.name));
    }

    /// Runs a script of one or more statements; gives the server's message on an error.
    pub async fn try_execute(&self, sql: &str) -> Result<(), String> {
        self.run(sql).await.map(drop)
    }

    /// The rows of one query, every cell as the server's text (for MariaDB, bytes that are no UTF-8 come out lossy: ask for `hex(…)`).
    pub async fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.try_query(sql).await.unwrap_or_else(|e| panic!("query {}: {e}\n{sql}", self.name))
    }

    /// [`query`](Self::query) that gives the server's message on an error.
    pub async fn try_query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        self.run(sql).await
    }

    /// The first cell of the first row; panics when there is none or when it is NULL.
    pub async fn scalar(&self, sql: &str) -> String {
        let rows = self.query(sql).await;
        rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten().unwrap_or_else(|| panic!("a value from {sql}"))
    }

    fn url_through(&self, port: u16, user: &str, password: &str) -> String {
        format!("{}://{user}:{password}@127.0.0.1:{port}/{}", self.admin.engine.scheme(), self.name)
    }

    async fn run(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        match self.admin.engine {
            Engine::Postgres => run_postgres(&self.url(), sql).await,
            Engine::Mariadb => run_mysql(&self.url(), sql).await.map_err(|e| e.to_string()),
        }
    }
}

async fn run_postgres(url: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(|e| postgres_message(&e))?;
    // Driven here and not in a task of its own: nothing is left behind when the test ends.
    let messages = tokio::select! {
        messages = client.simple_query(sql) => messages.map_err(|e| postgres_message(&e))?,
        ended = connection => return Err(ended.err().map_or_else(|| "the connection ended".to_owned(), |e| postgres_message(&e))),
    };
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
        _ => None,
    });
    Ok(rows.collect())
}

/// The driver's own text for a server's error is only "db error".
fn postgres_message(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |db| format!("{}: {}", db.code().code(), db.message()))
}

async fn run_mysql(url: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>, mysql_async::Error> {
    let mut conn = mysql_async::Conn::from_url(url).await?;
    let mut all = Vec::new();
    let mut result = conn.query_iter(sql).await?;
    // One result per statement; an error in a later statement only shows when its result is asked for.
    while !result.is_empty() {
        let rows: Vec<mysql_async::Row> = result.collect().await?;
        all.extend(rows.into_iter().map(|row| row.unwrap().into_iter().map(mysql_cell).collect::<Vec<_>>()));
    }
    drop(result);
    conn.disconnect().await?;
    Ok(all)
}

/// The text protocol sends every cell as text, so there is no other kind.
fn mysql_cell(value: mysql_async::Value) -> Option<String> {
    match value {
        mysql_async::Value::NULL => None,
        mysql_async::Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}
