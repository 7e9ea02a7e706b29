//! From a connection's configuration to an open session with every setting pinned that shapes what the server answers.
//!
//! Directly connected sessions pin with SET once. Behind a transaction pooler a session belongs to nobody, so settings are
//! pinned by SET LOCAL in each transaction, and nothing named or locked outlives one.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use syncline_connector::{Capabilities, ConnectionSpec, Error, ErrorKind, Result};
use syncline_model::Engine;
use tokio::task::JoinSet;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use crate::error::{from_pg, sqlstate};
use crate::sql;
use crate::tls::{self, Trust};

/// Longest time from the first packet to a usable session.
const CONNECT_MAX: Duration = Duration::from_secs(15);

/// Longest time that sent data may stay unacknowledged.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Oldest server that has every function we use (`hash_record_extended` is the youngest).
const VERSION_MIN: u32 = 140_000;

/// `hash_record_extended` of the golden row on every server whose native digests may be compared with each other (R13):
/// it differs on big-endian machines, and would differ if a major version changed a hash.
const GOLDEN_ROW: &str = "hash_record_extended(ROW(1::bigint, 'Grüße'::text, true, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 1.50::numeric(12,2), \
     '2024-02-29'::date, '2024-02-29 13:04:05.5'::timestamp, float8send(-0.0), decode('00ff', 'hex')), 0)";
const GOLDEN_HASH: &str = "-6136365874920498255";

/// Settings that shape values, statements, and how long they may take, whatever role, database or server say. `jit` only costs: our
/// statements are many and short, or one pass.
const PINS: &[(&str, &str)] = &[
    ("DateStyle", "'ISO, YMD'"),
    ("TimeZone", "'UTC'"),
    ("IntervalStyle", "'iso_8601'"),
    ("bytea_output", "'hex'"),
    ("extra_float_digits", "1"),
    ("standard_conforming_strings", "on"),
    ("escape_string_warning", "on"),
    ("backslash_quote", "safe_encoding"),
    ("array_nulls", "on"),
    ("transform_null_equals", "off"),
    ("quote_all_identifiers", "off"),
    ("xmloption", "content"),
    ("xmlbinary", "base64"),
    ("lc_monetary", "'C'"),
    ("client_encoding", "'UTF8'"),
    ("default_transaction_isolation", "'read committed'"),
    ("default_transaction_deferrable", "off"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("jit", "off"),
];

/// First version with a limit on whole transactions.
const TRANSACTION_TIMEOUT_SINCE: u32 = 170_000;

/// A setting that means nothing to the server.
const SIGN: &str = "syncline.direct";

/// What a session may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing but reading, by `default_transaction_read_only` and READ ONLY transactions.
    ReadOnly,
    /// Everything the role may do.
    ReadWrite,
}

/// A parsed connection: what `open` needs, again and again.
#[derive(Debug)]
pub struct Settings {
    config: tokio_postgres::Config,
    trust: Trust,
    /// The schema to work in, where the user named one.
    pub schema: Option<String>,
    /// A transaction pooler stands in between.
    pub pooler: bool,
    /// Nothing is said of what stands in between, so that it has to be found out.
    unsaid: bool,
    /// Bytes this connection may hold in buffers.
    pub memory: usize,
}

impl Settings {
    /// Parses url and flavor.
    ///
    /// # Errors
    /// `Invalid` (`url_invalid`), without the url's text.
    pub fn parse(spec: &ConnectionSpec) -> Result<Self> {
        let (url, ssl) = split_ssl(spec.url.expose_secret());
        let invalid = || {
            Error::new(ErrorKind::Invalid, "url_invalid", format!("open connection `{}`: the url is no PostgreSQL url", spec.name))
                .hint("postgres://user:password@host:5432/database?sslmode=verify-full")
        };
        let mut config: tokio_postgres::Config = url.parse().map_err(|_| invalid())?;
        let (mode, trust) = match ssl.mode.as_deref() {
            None | Some("prefer" | "allow") => (SslMode::Prefer, Trust::Anyone),
            Some("disable") => (SslMode::Disable, Trust::Anyone),
            // libpq treats `require` with a root certificate as `verify-ca`.
            Some("require") if ssl.root.is_none() => (SslMode::Require, Trust::Anyone),
            Some("require" | "verify-ca" | "verify-full") => (SslMode::Require, Trust::Roots(ssl.root)),
            Some(_) => return Err(invalid().hint("sslmode is one of disable, prefer, require, verify-ca, verify-full")),
        };
        // A peer that vanished is noticed within about a minute, by probes while idle and by unanswered data while not.
        config.ssl_mode(mode).connect_timeout(CONNECT_MAX).tcp_user_timeout(SILENCE_MAX);
        config.keepalives_idle(Duration::from_secs(30)).keepalives_interval(Duration::from_secs(10)).keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name("syncline");
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(invalid());
        }
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let pooler = match spec.flavor.as_deref() {
            Some("pgbouncer") => true,
            Some("supabase") => port == 6543,
            _ => false,
        };
        Ok(Self { config, trust, schema: spec.schema.clone(), pooler, unsaid: spec.flavor.is_none(), memory: spec.memory })
    }

    /// The database's name, for messages and identity.
    #[must_use]
    pub fn database(&self) -> &str {
        self.config.get_dbname().or(self.config.get_user()).unwrap_or("")
    }

    /// What a session starts with. Of a server itself also a sign that it gives back; a pooler keeps that from its server sessions, which
    /// it lends to anybody: no setting of ours may stay in them.
    fn startup(&self) -> tokio_postgres::Config {
        let mut config = self.config.clone();
        if self.unsaid {
            let said = config.get_options().map(|o| format!("{o} ")).unwrap_or_default();
            config.options(format!("{said}-c {SIGN}=on"));
        }
        config
    }

    fn pins(&self, set: &str, access: Access) -> String {
        let mut text: String = PINS.iter().map(|(name, value)| format!("{set} {name} = {value};")).collect();
        if let Some(schema) = &self.schema {
            text.push_str(&format!("{set} search_path = {}, public;", sql::ident(schema)));
        }
        if access == Access::ReadOnly {
            // Rather an error than a listing without the rows that a policy hides: they would look deleted.
            text.push_str(&format!("{set} row_security = off;"));
            if !self.pooler {
                text.push_str(&format!("{set} default_transaction_read_only = on;"));
            }
        }
        text
    }
}

#[derive(Default)]
struct Ssl {
    mode: Option<String>,
    root: Option<String>,
}

/// Takes the TLS parameters that the driver does not know out of the url.
fn split_ssl(url: &str) -> (String, Ssl) {
    let mut ssl = Ssl::default();
    let Some((head, query)) = url.split_once('?') else { return (url.to_owned(), ssl) };
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", v)) => ssl.mode = Some(v.to_owned()),
            Some(("sslrootcert", v)) => ssl.root = Some(v.replace("%2F", "/")).filter(|v| v != "system"),
            // Ours, not the server's: hosts print it in their pooler urls.
            Some(("pgbouncer", _)) => {}
            _ => rest.push(pair),
        }
    }
    let url = if rest.is_empty() { head.to_owned() } else { format!("{head}?{}", rest.join("&")) };
    (url, ssl)
}

/// One open session. Dropping it closes the connection; the server then rolls back what was open.
pub struct Link {
    /// The driver's handle.
    pub client: Client,
    /// How it was opened.
    pub settings: Arc<Settings>,
    /// What the server is.
    pub server: Server,
    access: Access,
    tasks: JoinSet<()>,
}

/// Facts of the server that do not change during a session.
#[derive(Clone, Debug)]
pub struct Server {
    /// As the contract wants them.
    pub capabilities: Capabilities,
    /// 150018 for 15.18.
    pub version_num: u32,
    /// A standby.
    pub standby: bool,
}

impl Server {
    /// Settings that older versions do not have.
    fn later_pins(&self, set: &str) -> String {
        let known = self.version_num >= TRANSACTION_TIMEOUT_SINCE;
        if known { format!("{set} transaction_timeout = 0;") } else { String::new() }
    }
}

impl Link {
    /// Opens a session and pins its settings.
    ///
    /// # Errors
    /// `Unavailable` (`connect_refused`, `connect_timeout`), `Unauthorized` (`auth_failed`), `Invalid` (`database_missing`, `server_too_old`).
    pub async fn open(settings: &Arc<Settings>, access: Access) -> Result<Self> {
        let doing = "connect to PostgreSQL";
        let connect = async {
            let connected = settings.startup().connect(tls::connector(&settings.trust)?).await;
            let (client, connection) = connected.map_err(|e| if is_startup_refused(&e) { pooler_unsaid() } else { connect_error(e) })?;
            let mut tasks = JoinSet::new();
            // The task ends with the connection; its error reaches us through every pending call on the client.
            tasks.spawn(async move {
                if let Err(e) = connection.await {
                    tracing::debug!(error = %e, "postgres connection ended");
                }
            });
            if !settings.pooler {
                if settings.unsaid && !has_sign(&client).await.map_err(|e| from_pg(e, doing))? {
                    return Err(pooler_unsaid());
                }
                client.batch_execute(&settings.pins("SET", access)).await.map_err(|e| from_pg(e, doing))?;
            }
            let server = look(&client, settings).await?;
            if !settings.pooler {
                client.batch_execute(&server.later_pins("SET")).await.map_err(|e| from_pg(e, doing))?;
            }
            Ok(Self { client, settings: Arc::clone(settings), server, access, tasks })
        };
        match tokio::time::timeout(CONNECT_MAX, connect).await {
            Ok(done) => done,
            Err(_) => Err(Error::new(ErrorKind::Unavailable, "connect_timeout", format!("{doing}: no answer within 15 s"))
                .hint("check host, port and firewall")),
        }
    }

    /// Statements that open a transaction with all settings pinned: `mode` as `ISOLATION LEVEL REPEATABLE READ READ ONLY`.
    #[must_use]
    pub fn begin_text(&self, mode: &str) -> String {
        if !self.settings.pooler {
            return format!("BEGIN {mode};");
        }
        format!("BEGIN {mode};{}{}", self.settings.pins("SET LOCAL", self.access), self.server.later_pins("SET LOCAL"))
    }

    /// Runs statements; the rows of all of them.
    ///
    /// # Errors
    /// As the server says; `doing` names the operation.
    pub async fn rows(&self, sql: &str, doing: &str) -> Result<Vec<SimpleQueryRow>> {
        let messages = self.client.simple_query(sql).await.map_err(|e| from_pg(e, doing))?;
        Ok(messages.into_iter().filter_map(|m| if let SimpleQueryMessage::Row(r) = m { Some(r) } else { None }).collect())
    }

    /// Runs a query outside any transaction of ours, settings pinned and `search_path` emptied, so that names come qualified.
    ///
    /// # Errors
    /// As the server says; `doing` names the operation.
    pub async fn catalog(&self, sql: &str, doing: &str) -> Result<Vec<SimpleQueryRow>> {
        let text = format!("{} SET LOCAL search_path = ''; {sql}; COMMIT", self.begin_text("READ ONLY"));
        let answer = self.rows(&text, doing).await;
        if answer.is_err() && !self.client.is_closed() {
            // The error to report is the query's, not this one's.
            let _ = self.client.batch_execute("ROLLBACK").await;
        }
        answer
    }

    /// Runs statements without rows.
    ///
    /// # Errors
    /// As the server says; `doing` names the operation.
    pub async fn run(&self, sql: &str, doing: &str) -> Result<()> {
        self.client.batch_execute(sql).await.map_err(|e| from_pg(e, doing))
    }

    /// Cuts the connection where it stands.
    pub async fn sever(&mut self) {
        self.tasks.shutdown().await;
    }
}

async fn has_sign(client: &Client) -> std::result::Result<bool, tokio_postgres::Error> {
    let found = client.simple_query(&format!("SELECT current_setting('{SIGN}', true)")).await?;
    Ok(found.iter().any(|m| matches!(m, SimpleQueryMessage::Row(r) if r.get(0) == Some("on"))))
}

/// PgBouncer and others like it take few settings at the start of a session, and say which they do not.
fn is_startup_refused(e: &tokio_postgres::Error) -> bool {
    e.as_db_error().is_some_and(|d| d.message().contains("startup parameter") || d.message().contains("command-line options"))
}

fn pooler_unsaid() -> Error {
    let message = "connect to PostgreSQL: a connection pooler stands in between, and the configuration does not say so";
    Error::new(ErrorKind::Invalid, "pooler_unsaid", message).hint("set `flavor: pgbouncer` on the connection, or connect past the pooler")
}

async fn look(client: &Client, settings: &Settings) -> Result<Server> {
    let doing = "look at the server";
    let one = |messages: Vec<SimpleQueryMessage>| {
        messages.into_iter().find_map(|m| if let SimpleQueryMessage::Row(r) = m { Some(r) } else { None })
    };
    let missing = || Error::internal("look at the server: no row");
    let version_sql =
        "SELECT current_setting('server_version_num'), split_part(current_setting('server_version'), ' ', 1), pg_is_in_recovery()";
    let row = one(client.simple_query(version_sql).await.map_err(|e| from_pg(e, doing))?).ok_or_else(missing)?;
    let version_num: u32 = row.get(0).and_then(|v| v.parse().ok()).ok_or_else(missing)?;
    let version = format!("PostgreSQL {}", row.get(1).unwrap_or("?"));
    if version_num < VERSION_MIN {
        return Err(Error::new(ErrorKind::Invalid, "server_too_old", format!("{doing}: {version} is older than PostgreSQL 14"))
            .hint("upgrade the server to PostgreSQL 14 or later"));
    }
    let standby = row.get(2) == Some("t");
    let golden = one(client.simple_query(&format!("SELECT {GOLDEN_ROW}")).await.map_err(|e| from_pg(e, doing))?).ok_or_else(missing)?;
    let capabilities = Capabilities {
        engine: Engine::Postgres,
        version,
        transactional_ddl: true,
        raw: true,
        native_digest: golden.get(0) == Some(GOLDEN_HASH),
        reads_slices: true,
        takes_slices: Some(crate::sliced::VALUE_MAX),
        transaction_rows_max: None,
    };
    tracing::debug!(version = capabilities.version, standby, pooler = settings.pooler, "postgres session opened");
    Ok(Server { capabilities, version_num, standby })
}

fn connect_error(e: tokio_postgres::Error) -> Error {
    if !sqlstate(&e).is_empty() {
        return from_pg(e, "connect to PostgreSQL");
    }
    // tokio-postgres says "timed out" only in its text.
    let text = e.to_string();
    if text.contains("password") || text.contains("authentication") {
        return Error::new(
            ErrorKind::Unauthorized,
            "auth_failed",
            "connect to PostgreSQL: the server wants credentials that the url has not",
        )
        .because(e);
    }
    let (code, what) = if text.contains("timed out") { ("connect_timeout", "no answer") } else { ("connect_refused", "not reachable") };
    Error::new(ErrorKind::Unavailable, code, format!("connect to PostgreSQL: {what}")).hint("check host, port and firewall").because(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, flavor: Option<&str>) -> Result<Settings> {
        Settings::parse(&ConnectionSpec {
            name: "app".into(),
            url: url.to_owned().into(),
            schema: None,
            flavor: flavor.map(str::to_owned),
            memory: 1 << 20,
        })
    }

    #[test]
    fn sslmode_decides_what_is_proved() {
        assert_eq!(parse("postgres://u@h/d", None).unwrap().trust, Trust::Anyone);
        let full = parse("postgres://u@h/d?sslmode=verify-full&connect_timeout=3", None).unwrap();
        assert_eq!((full.trust, full.config.get_ssl_mode()), (Trust::Roots(None), SslMode::Require));
        let own = parse("postgres://u@h/d?sslmode=require&sslrootcert=/etc/ca.pem", None).unwrap();
        assert_eq!(own.trust, Trust::Roots(Some("/etc/ca.pem".into())));
        assert_eq!(parse("postgres://u@h/d?sslmode=yes", None).unwrap_err().code, "url_invalid");
    }

    #[test]
    fn a_bad_url_is_refused_without_being_repeated() {
        let e = parse("mysql://u:hunter2@h/d", None).unwrap_err();
        assert_eq!(e.code, "url_invalid");
        assert!(!format!("{e:?}").contains("hunter2"));
    }

    // case: C15
    #[test]
    fn only_a_transaction_pooler_is_treated_as_one() {
        assert!(parse("postgres://u@h/d", Some("pgbouncer")).unwrap().pooler);
        assert!(parse("postgres://u@h:6543/d", Some("supabase")).unwrap().pooler);
        assert!(!parse("postgres://u@h:5432/d", Some("supabase")).unwrap().pooler);
    }
}
