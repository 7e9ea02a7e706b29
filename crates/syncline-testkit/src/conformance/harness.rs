//! What the suite needs of a system besides its connector: a fresh database, plain SQL, and what its dialect says differently.

use async_trait::async_trait;
use secrecy::SecretString;
use syncline_connector::{ConnectionSpec, Connector, ErrorKind};

use crate::{Database, Mariadb, PASSWORD, Postgres, Proxy, USER};

/// Bytes a connection under test may hold; small enough to make buffers turn over.
const MEMORY: usize = 8 * 1024 * 1024;

/// A connection that must be refused, and how.
#[derive(Debug)]
pub struct Refused {
    /// The bad URL.
    pub spec: ConnectionSpec,
    /// What the caller does next.
    pub kind: ErrorKind,
    /// The stable code.
    pub code: &'static str,
}

/// One fresh, empty database of a system and its connector.
#[async_trait]
pub trait Harness: Send + Sync {
    /// The connector under test.
    fn connector(&self) -> &dyn Connector;

    /// The connection to the fresh database.
    fn spec(&self) -> ConnectionSpec;

    /// A connection to another database of the same system.
    async fn another(&self) -> ConnectionSpec;

    /// Runs a script, by other means than the connector.
    async fn execute(&self, sql: &str);

    /// The rows of a query, as text, by other means than the connector.
    async fn query(&self, sql: &str) -> Vec<Vec<Option<String>>>;

    /// Connections that must be refused.
    fn refused(&self) -> Vec<Refused>;

    /// What its SQL says differently.
    fn words(&self) -> Words;

    /// The same connection through a proxy that can lose things; `None` for a file.
    fn through_proxy(&self) -> Option<(Proxy, ConnectionSpec)>;
}

/// Where the SQL of the systems differs.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// Stands around identifiers, and is doubled inside them.
    pub quote: char,
    /// A type of column that refuses the text `toolong`, if the system has one.
    pub narrow_type: Option<&'static str>,
}

impl Words {
    /// Quotes an identifier.
    pub fn quoted(self, name: &str) -> String {
        let quote = self.quote;
        format!("{quote}{}{quote}", name.replace(quote, &format!("{quote}{quote}")))
    }
}

/// A fresh database of the shared PostgreSQL.
pub async fn on_postgres(connector: Box<dyn Connector>) -> Box<dyn Harness> {
    Box::new(OnServer { connector, database: Postgres::shared().database().await })
}

/// A fresh database of the shared MariaDB.
pub async fn on_mariadb(connector: Box<dyn Connector>) -> Box<dyn Harness> {
    Box::new(OnServer { connector, database: Mariadb::shared().database().await })
}

/// A fresh SQLite file.
pub async fn on_sqlite(connector: Box<dyn Connector>) -> Box<dyn Harness> {
    let directory = tempfile::tempdir().expect("create a temporary directory");
    let harness = OnSqlite { connector, directory };
    // In the default journal mode nobody can commit while a snapshot is open.
    harness.open().pragma_update(None, "journal_mode", "wal").expect("switch to WAL");
    Box::new(harness)
}

fn spec_of(url: String, schema: Option<&str>) -> ConnectionSpec {
    ConnectionSpec {
        name: "subject".to_owned(),
        url: SecretString::from(url),
        schema: schema.map(str::to_owned),
        flavor: None,
        memory: MEMORY,
    }
}

struct OnServer {
    connector: Box<dyn Connector>,
    database: Database,
}

impl OnServer {
    fn schema(&self) -> Option<&'static str> {
        match self.database.engine() {
            crate::Engine::Postgres => Some("public"),
            crate::Engine::Mariadb => None,
        }
    }

    fn refused_as(&self, url: String, kind: ErrorKind, code: &'static str) -> Refused {
        Refused { spec: spec_of(url, self.schema()), kind, code }
    }
}

#[async_trait]
impl Harness for OnServer {
    fn connector(&self) -> &dyn Connector {
        &*self.connector
    }

    fn spec(&self) -> ConnectionSpec {
        spec_of(self.database.url(), self.schema())
    }

    async fn another(&self) -> ConnectionSpec {
        let other = match self.database.engine() {
            crate::Engine::Postgres => Postgres::shared().database().await,
            crate::Engine::Mariadb => Mariadb::shared().database().await,
        };
        spec_of(other.url(), self.schema())
    }

    async fn execute(&self, sql: &str) {
        self.database.execute(sql).await;
    }

    async fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.database.query(sql).await
    }

    fn refused(&self) -> Vec<Refused> {
        // As the superuser: MariaDB tells nobody else that a database is not there.
        let missing = self.database.admin_url().replace(self.database.name(), "no_such_database");
        let nobody_listens = self.database.url_on(crate::port::free_port());
        let nonsense = self.database.url().replace("://", ":/").replace(PASSWORD, "top-secret");
        vec![
            self.refused_as(self.database.url_as(USER, "wrong-password"), ErrorKind::Unauthorized, "auth_failed"),
            self.refused_as(nobody_listens, ErrorKind::Unavailable, "connect_refused"),
            self.refused_as(missing, ErrorKind::Invalid, "database_missing"),
            self.refused_as(nonsense, ErrorKind::Invalid, "url_invalid"),
        ]
    }

    fn words(&self) -> Words {
        let quote = match self.database.engine() {
            crate::Engine::Postgres => '"',
            crate::Engine::Mariadb => '`',
        };
        Words { quote, narrow_type: Some("varchar(5)") }
    }

    fn through_proxy(&self) -> Option<(Proxy, ConnectionSpec)> {
        let proxy = Proxy::in_front_of(self.database.port());
        let spec = spec_of(self.database.url_on(proxy.port()), self.schema());
        Some((proxy, spec))
    }
}

struct OnSqlite {
    connector: Box<dyn Connector>,
    directory: tempfile::TempDir,
}

impl OnSqlite {
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name).with_extension("db")
    }

    fn spec_at(&self, name: &str) -> ConnectionSpec {
        spec_of(format!("sqlite:{}", self.path(name).display()), None)
    }

    fn open(&self) -> rusqlite::Connection {
        let conn = rusqlite::Connection::open(self.path("fresh")).expect("open the database file");
        conn.busy_timeout(std::time::Duration::from_secs(10)).expect("set the busy timeout");
        conn
    }
}

#[async_trait]
impl Harness for OnSqlite {
    fn connector(&self) -> &dyn Connector {
        &*self.connector
    }

    fn spec(&self) -> ConnectionSpec {
        self.spec_at("fresh")
    }

    async fn another(&self) -> ConnectionSpec {
        std::fs::write(self.path("another"), "").expect("create a database file");
        self.spec_at("another")
    }

    async fn execute(&self, sql: &str) {
        self.open().execute_batch(sql).unwrap_or_else(|e| panic!("{e}\n{sql}"));
    }

    async fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let conn = self.open();
        let mut statement = conn.prepare(sql).unwrap_or_else(|e| panic!("{e}\n{sql}"));
        let width = statement.column_count();
        let rows = statement.query_map([], |row| (0..width).map(|i| row.get_ref(i).map(sqlite_text)).collect());
        rows.and_then(Iterator::collect).unwrap_or_else(|e| panic!("{e}\n{sql}"))
    }

    fn refused(&self) -> Vec<Refused> {
        vec![
            Refused { spec: self.spec_at("gone/fresh"), kind: ErrorKind::Invalid, code: "file_missing" },
            Refused { spec: spec_of("sqlite".to_owned(), None), kind: ErrorKind::Invalid, code: "url_invalid" },
        ]
    }

    /// Lengths are no constraint in SQLite.
    fn words(&self) -> Words {
        Words { quote: '"', narrow_type: None }
    }

    fn through_proxy(&self) -> Option<(Proxy, ConnectionSpec)> {
        None
    }
}

fn sqlite_text(value: rusqlite::types::ValueRef<'_>) -> Option<String> {
    use rusqlite::types::ValueRef as V;
    match value {
        V::Null => None,
        V::Integer(n) => Some(n.to_string()),
        V::Real(n) => Some(n.to_string()),
        V::Text(bytes) | V::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}
