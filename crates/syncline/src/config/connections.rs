//! Connections: the url fits the kind, paths become absolute, secrets are noted.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use syncline_connector::ConnectionSpec;

use super::file::{ConnectionFile, Flavor, Kind};
use super::judge::{self, Judge, below};

/// Share of the process's memory that one connection may hold in buffers. Two connections are open in a run, the engine and the
/// program itself need the rest.
const MEMORY_SHARE: u64 = 4;

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Sqlite => "sqlite",
        }
    }

    fn schemes(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &["postgres://", "postgresql://"],
            Self::Mysql => &["mysql://", "mariadb://"],
            Self::Sqlite => &["sqlite:"],
        }
    }
}

impl Flavor {
    fn word(self) -> &'static str {
        match self {
            Self::Planetscale => "planetscale",
            Self::Supabase => "supabase",
            Self::Pgbouncer => "pgbouncer",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Planetscale => Kind::Mysql,
            Self::Supabase | Self::Pgbouncer => Kind::Postgres,
        }
    }
}

/// The connection as the connectors take it.
pub(super) fn connection(
    judge: &mut Judge<'_>,
    name: &str,
    file: &ConnectionFile,
    directory: &Path,
    memory: u64,
) -> (String, ConnectionSpec) {
    let path = judge::Path::from(["connections".to_owned(), name.to_owned()]);
    let url = url(judge, &below(&path, &["url"]), file, directory);
    judge.filled(&below(&path, &["schema"]), file.schema.as_deref());
    if file.kind == Kind::Sqlite && file.schema.is_some() {
        judge.fail("config_invalid", &below(&path, &["schema"]), "SQLite has no schemas", "leave `schema` out");
    }
    if let Some(flavor) = file.flavor.filter(|f| f.kind() != file.kind) {
        let message = format!("`{}` is a flavor of `{}`, not of `{}`", flavor.word(), flavor.kind().word(), file.kind.word());
        judge.fail("config_invalid", &below(&path, &["flavor"]), message, "correct `type` or leave `flavor` out");
    }
    let spec = ConnectionSpec {
        name: name.to_owned(),
        url: SecretString::from(url),
        schema: file.schema.clone(),
        flavor: file.flavor.map(|f| f.word().to_owned()),
        memory: usize::try_from(memory / MEMORY_SHARE).unwrap_or(usize::MAX),
    };
    (file.kind.word().to_owned(), spec)
}

/// The url with its path made absolute. What it holds is never shown.
fn url(judge: &mut Judge<'_>, path: &[String], file: &ConnectionFile, directory: &Path) -> String {
    let url = file.url.0.expose_secret().trim();
    let known = file.kind.schemes();
    let Some((scheme, rest)) = known.iter().find_map(|s| url.strip_prefix(s).map(|rest| (*s, rest))) else {
        if !judge.told(path) {
            let schemes = known.iter().map(|s| format!("`{s}`")).collect::<Vec<_>>().join(" or ");
            let message = if url.is_empty() { "the url is empty".to_owned() } else { format!("the url does not start with {schemes}") };
            judge.fail("url_invalid", path, message, format!("a `{}` connection is reached by {schemes}…", file.kind.word()));
        }
        return String::new();
    };
    match file.kind {
        Kind::Postgres => url.to_owned(),
        // One protocol, one scheme for the connector.
        Kind::Mysql => format!("mysql://{}", url.strip_prefix(scheme).unwrap_or(rest)),
        Kind::Sqlite => match sqlite_path(rest, directory) {
            Some(file) => format!("sqlite:{}", file.display()),
            None => {
                judge.fail(
                    "url_invalid",
                    path,
                    "the url names no file",
                    "write `sqlite:PATH`; databases in memory cannot be shared between connections",
                );
                String::new()
            }
        },
    }
}

/// The file that `sqlite:REST` names.
pub(super) fn sqlite_path(rest: &str, directory: &Path) -> Option<PathBuf> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() || path.contains(":memory:") || path.contains('\0') {
        return None;
    }
    Some(directory.join(path))
}

/// What of a url must never be printed: all of it, and its password by itself.
pub(super) fn secrets(url: &SecretString) -> Vec<SecretString> {
    let text = url.expose_secret();
    let mut secrets = vec![url.clone()];
    if let Some((_, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let password = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')).map(|(_, p)| p);
        secrets.extend(password.filter(|p| !p.is_empty()).map(SecretString::from));
    }
    secrets
}
