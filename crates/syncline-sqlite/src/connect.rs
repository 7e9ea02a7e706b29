//! Opening a file: as a source by every means read-only, as a destination durable and with foreign keys on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use secrecy::ExposeSecret;
use syncline_connector::{ConnectionSpec, Error, ErrorKind, Result};

use crate::error::failed;
use crate::functions;
use crate::thread::Thread;

/// How long SQLite itself waits for another connection's lock before the run hears of it.
const BUSY: Duration = Duration::from_secs(5);

/// Share of the connection's memory that SQLite's page caches get: the rest is for batches on the way.
const CACHE_SHARE: usize = 4;

/// A value that comes in slices may be this many times what the connection may hold: as large as the budget of the process. SQLite
/// holds it whole, two or three times over, while a statement writes it.
const VALUE_TIMES: u64 = 4;

/// SQLite's own limit for a value.
const VALUE_MAX: u64 = 1_000_000_000;

/// Where a connection goes.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The connection's name, for messages.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Bytes of page cache.
    cache: usize,
    /// Bytes of the largest value that is written.
    pub value_max: u64,
}

impl Place {
    /// The place that a connection spec names.
    pub(crate) fn of(spec: &ConnectionSpec) -> Result<Self> {
        let url = spec.url.expose_secret();
        let rest = url.strip_prefix("sqlite:").ok_or_else(|| bad_url(&spec.name, "it does not start with `sqlite:`"))?;
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.is_empty() {
            return Err(bad_url(&spec.name, "it names no file"));
        }
        if path.contains(":memory:") || path.contains('\0') {
            return Err(bad_url(&spec.name, "only files can be opened: every connection would see another memory database"));
        }
        let value_max = (spec.memory as u64).saturating_mul(VALUE_TIMES).min(VALUE_MAX);
        Ok(Self { name: spec.name.clone(), path: PathBuf::from(path), cache: spec.memory / CACHE_SHARE, value_max })
    }

    /// A connection that cannot write.
    pub(crate) async fn reader(&self) -> Result<Thread> {
        let place = self.clone();
        Thread::open(move || place.open_reader()).await
    }

    /// A connection that writes; makes the file when it is missing.
    pub(crate) async fn writer(&self) -> Result<Thread> {
        let place = self.clone();
        Thread::open(move || place.open_writer()).await
    }

    fn open_reader(&self) -> Result<Connection> {
        if !self.path.exists() {
            return Err(self.missing());
        }
        let conn = self.open(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let operation = self.operation();
        conn.pragma_update(None, "query_only", true).map_err(|e| failed(&operation, e))?;
        self.probe(&conn)?;
        Ok(conn)
    }

    fn open_writer(&self) -> Result<Connection> {
        let fresh = !self.path.exists();
        if fresh && self.path.parent().is_some_and(|dir| !dir.as_os_str().is_empty() && !dir.exists()) {
            return Err(self.missing());
        }
        let conn = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        let operation = self.operation();
        let set = || -> rusqlite::Result<()> {
            if fresh {
                // Only for a file of our making: the mode stays with the file and changes how others may use it.
                conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            }
            conn.pragma_update(None, "foreign_keys", true)?;
            // A commit that was answered survives a power cut.
            conn.pragma_update(None, "synchronous", "FULL")?;
            // ANALYZE of staged rows samples; an estimate is all the planner needs.
            conn.pragma_update(None, "analysis_limit", 400)
        };
        set().map_err(|e| failed(&operation, e))?;
        self.probe(&conn)?;
        Ok(conn)
    }

    fn open(&self, flags: OpenFlags) -> Result<Connection> {
        // One thread owns the connection, so SQLite's own mutex is not needed.
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(self.literal_path(), flags).map_err(|e| failed(self.operation(), e))?;
        let set = || -> rusqlite::Result<()> {
            conn.busy_timeout(BUSY)?;
            conn.pragma_update(None, "temp_store", "FILE")?;
            let kib = i64::try_from(self.cache / 1024).unwrap_or(i64::MAX).max(512);
            conn.pragma_update(None, "cache_size", -kib)?;
            conn.pragma_update(Some("temp"), "cache_size", -kib)?;
            conn.pragma_update(None, "trusted_schema", false)?;
            functions::register(&conn)
        };
        set().map_err(|e| failed(self.operation(), e))?;
        Ok(conn)
    }

    /// The path, so spelled that SQLite never takes it for a `file:` URI.
    fn literal_path(&self) -> PathBuf {
        if self.path.is_absolute() { self.path.clone() } else { Path::new(".").join(&self.path) }
    }

    /// Reads the header: a file that is no database is noticed here and not in the middle of a run.
    fn probe(&self, conn: &Connection) -> Result<()> {
        let count = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get::<_, i64>(0));
        count.map(drop).map_err(|e| failed(self.operation(), e))
    }

    fn operation(&self) -> String {
        format!("open `{}` ({})", self.name, self.path.display())
    }

    fn missing(&self) -> Error {
        Error::new(ErrorKind::Invalid, "file_missing", format!("open `{}`: there is no file {}", self.name, self.path.display()))
            .hint("check the path; a destination file is made when it is missing, its directory is not")
    }
}

fn bad_url(name: &str, why: &str) -> Error {
    Error::new(ErrorKind::Invalid, "url_invalid", format!("open `{name}`: the url cannot be used, {why}"))
        .hint("write sqlite:PATH or sqlite:///absolute/path")
}

/// Parameters one statement may bind.
pub(crate) fn parameters_max(conn: &Connection) -> usize {
    conn.limit(Limit::SQLITE_LIMIT_VARIABLE_NUMBER).ok().and_then(|n| usize::try_from(n).ok()).unwrap_or(999)
}
