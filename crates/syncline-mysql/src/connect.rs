//! Opening a connection and pinning everything of its session that shapes values.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row, SslOpts};
use syncline_connector::{Capabilities, ConnectionSpec, Error, ErrorKind, Result, Role};
use syncline_model::Engine;

use crate::fault;
use crate::flavour::{Flavour, Product};

/// The contract's limit for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Strict in everything that would change a value silently; zero dates stay allowed because sources hold them (H1).
const SQL_MODE: &str = "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO";

/// A way to open connections to one server, and what the first of them learned about it.
#[derive(Clone)]
pub(crate) struct Site {
    opts: Opts,
    role: Role,
    pub(crate) flavour: Flavour,
    pub(crate) capabilities: Capabilities,
    /// The database to work in; `None` means all user databases.
    pub(crate) database: Option<String>,
    /// Largest statement the server takes, in bytes.
    pub(crate) packet_max: usize,
}

/// Opens the first connection of a session.
pub(crate) async fn open(spec: &ConnectionSpec, role: Role) -> Result<(Site, Conn)> {
    let opts = options(spec)?;
    let mut conn = dial(&opts, &spec.name).await?;
    let about: Option<(String, usize, Option<String>)> = conn
        .query_first("SELECT VERSION(), @@max_allowed_packet, DATABASE()")
        .await
        .map_err(|e| fault::map(e, &format!("connect to {}", spec.name)))?;
    let (version, packet_max, database) = about.ok_or_else(|| Error::internal("connect: SELECT without FROM gave no row"))?;
    let flavour = Flavour::parse(&version, spec.flavor.as_deref())?;
    if flavour.product == Product::Mysql {
        need_md5(&mut conn).await?;
    }
    let capabilities = Capabilities {
        engine: Engine::Mysql,
        version: flavour.title(),
        transactional_ddl: false,
        raw: false,
        native_digest: true,
        reads_slices: false,
        takes_slices: None,
        transaction_rows_max: flavour.transaction_rows_max(),
    };
    let site = Site { opts, role, flavour, capabilities, database, packet_max };
    site.pin(&mut conn).await?;
    Ok((site, conn))
}

/// The function by which rows are compared must be there: MySQL ≥ 9.6 has it only with a component.
async fn need_md5(conn: &mut Conn) -> Result<()> {
    const NO_SUCH_FUNCTION: u16 = 1305;
    match conn.query_drop("SELECT MD5('')").await {
        Ok(()) => Ok(()),
        Err(mysql_async::Error::Server(e)) if e.code == NO_SUCH_FUNCTION => {
            let message = "connect: the server has no MD5 function, by which rows are compared";
            let hint = "let an administrator run: INSTALL COMPONENT 'file://component_classic_hashing';";
            Err(Error::new(ErrorKind::Invalid, "md5_missing", message).hint(hint))
        }
        Err(e) => Err(fault::map(e, "connect: look for the MD5 function")),
    }
}

impl Site {
    /// Opens one more connection like the first.
    pub(crate) async fn connect(&self) -> Result<Conn> {
        let mut conn = dial(&self.opts, "the server").await?;
        self.pin(&mut conn).await?;
        Ok(conn)
    }

    async fn pin(&self, conn: &mut Conn) -> Result<()> {
        let access = match self.role {
            Role::Source => "READ ONLY",
            Role::Destination => "READ WRITE",
        };
        let statements = [
            "SET NAMES utf8mb4 COLLATE utf8mb4_bin".to_owned(),
            format!("SET SESSION sql_mode = '{SQL_MODE}', time_zone = '+00:00'{}", self.flavour.session_settings()),
            format!("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, {access}"),
        ];
        for sql in statements {
            conn.query_drop(sql).await.map_err(|e| fault::map(e, "set up the session"))?;
        }
        Ok(())
    }
}

async fn dial(opts: &Opts, name: &str) -> Result<Conn> {
    // Another part of the program may have set the provider already; either is ring.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let operation = format!("connect to {name}");
    match tokio::time::timeout(CONNECT_TIMEOUT, Conn::new(opts.clone())).await {
        Ok(Ok(conn)) => Ok(conn),
        Ok(Err(mysql_async::Error::Io(mysql_async::IoError::Io(e)))) => {
            let message = format!("{operation}: the server cannot be reached");
            Err(Error::new(ErrorKind::Unavailable, "connect_refused", message).hint("check host, port and that the server runs").because(e))
        }
        Ok(Err(e)) => Err(fault::map(e, &operation)),
        Err(_) => {
            let message = format!("{operation}: no answer within {} s", CONNECT_TIMEOUT.as_secs());
            Err(Error::new(ErrorKind::Unavailable, "connect_timeout", message).hint("check host, port and firewall"))
        }
    }
}

fn options(spec: &ConnectionSpec) -> Result<Opts> {
    use secrecy::ExposeSecret as _;
    let url = spec.url.expose_secret();
    let url = url.strip_prefix("mariadb://").map_or_else(|| url.to_owned(), |rest| format!("mysql://{rest}"));
    let invalid = |e: mysql_async::UrlError| {
        let message = format!("connect to {}: the url is not valid", spec.name);
        let hint = "write it as mysql://user:password@host:3306/database, with special characters percent-encoded";
        Error::new(ErrorKind::Invalid, "url_invalid", message).hint(hint).because(e)
    };
    let parsed = Opts::from_url(&url).map_err(invalid)?;
    let needs_tls = spec.flavor.as_deref() == Some("planetscale") && parsed.ssl_opts().is_none();
    let mut builder = OptsBuilder::from_opts(parsed)
        .prefer_socket(false)
        .tcp_nodelay(true)
        .client_found_rows(true)
        .stmt_cache_size(16)
        // The driver would otherwise take the server's limit for what it may *receive*, too.
        .max_allowed_packet(Some(1 << 30));
    if let Some(schema) = &spec.schema {
        builder = builder.db_name(Some(schema));
    }
    if needs_tls {
        builder = builder.ssl_opts(SslOpts::default());
    }
    Ok(builder.into())
}

/// All rows of a small query, every cell as the server's text.
pub(crate) async fn texts(conn: &mut Conn, sql: &str, operation: &str) -> Result<Vec<Vec<Option<String>>>> {
    let rows: Vec<Row> = conn.query(sql).await.map_err(|e| fault::map(e, operation))?;
    let cell = |v: mysql_async::Value| match v {
        mysql_async::Value::NULL => None,
        mysql_async::Value::Bytes(b) => Some(String::from_utf8_lossy(&b).into_owned()),
        other => Some(other.as_sql(true)),
    };
    Ok(rows.into_iter().map(|r| r.unwrap().into_iter().map(cell).collect()).collect())
}

/// The first cell of a small query.
pub(crate) async fn text(conn: &mut Conn, sql: &str, operation: &str) -> Result<Option<String>> {
    Ok(texts(conn, sql, operation).await?.into_iter().next().and_then(|r| r.into_iter().next()).flatten())
}
