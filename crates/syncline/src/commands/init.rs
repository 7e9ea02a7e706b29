//! `syncline init`: looks at two databases and writes a configuration worth keeping. Passwords go to `.env`, never into it.

mod draft;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use syncline::registry::{KINDS, kind_of_url};
use syncline_connector::ConnectionSpec;
use syncline_engine::Engine;
use syncline_model::Catalog;

use super::project::{FILE, bare_engine};
use super::{Context, Outcome};
use crate::render::failure::{Exit, Failure};

/// Options of `init`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The source: `postgres://…`, `mysql://…`, `sqlite:FILE`
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// The destination
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// Name of the sync
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub name: String,
    /// Write over an existing configuration
    #[arg(long)]
    pub force: bool,
}

/// One side as it will stand in the configuration.
pub struct Side {
    /// `source` or `destination`.
    pub name: &'static str,
    /// The connector.
    pub kind: &'static str,
    /// The URL as written: `${SOURCE_URL}` when it holds a password.
    pub written: String,
    /// The variable for `.env`, when there is one.
    pub secret: Option<(&'static str, String)>,
}

/// Discovers and writes.
pub async fn execute(context: &Context, args: Args) -> Outcome {
    let path = context.config.clone().unwrap_or_else(|| PathBuf::from(FILE));
    if path.exists() && !args.force {
        let failure = Failure::usage("file_exists", format!("`{}` is there already", path.display()));
        return Err(failure.hint("--force writes over it, -c FILE writes elsewhere"));
    }
    check_name(&args.name)?;
    let from = side("source", "SOURCE_URL", &args.from)?;
    let to = side("destination", "DESTINATION_URL", &args.to)?;
    context.secrets.add_url(&args.from);
    context.secrets.add_url(&args.to);
    let engine = bare_engine(context)?;
    let source = catalog(&engine, &from, &args.from, &path).await?;
    let destination = catalog(&engine, &to, &args.to, &path).await?;
    write_file(&path, &draft::config(&args.name, &from, &to, &source, &destination))?;
    let env = write_env(&path, [&from, &to])?;
    tell(context, &path, env.as_deref(), &source);
    Ok(Exit::Good)
}

fn check_name(name: &str) -> Result<(), Failure> {
    let right = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if right {
        Ok(())
    } else {
        Err(Failure::usage("argument_invalid", format!("`{name}` is no name for a sync")).hint("use letters, digits, _ and -, at most 64"))
    }
}

fn side(name: &'static str, variable: &'static str, url: &str) -> Result<Side, Failure> {
    let Some(kind) = kind_of_url(url) else {
        let failure = Failure::usage("url_invalid", format!("the {name} is no URL of a database that Syncline knows"));
        return Err(failure.hint(format!("it begins with one of: {}", KINDS.map(|k| format!("{k}:")).join(", "))));
    };
    // A URL without an `@` holds no password, and is easier to read where it is used.
    let secret = url.contains('@').then(|| (variable, url.to_owned()));
    let written = secret.as_ref().map_or_else(|| url.to_owned(), |(variable, _)| format!("${{{variable}}}"));
    Ok(Side { name, kind, written, secret })
}

async fn catalog(engine: &Engine, side: &Side, url: &str, config: &Path) -> Result<Catalog, Failure> {
    let spec = ConnectionSpec {
        name: side.name.to_owned(),
        url: SecretString::from(absolute(url, config)),
        schema: None,
        flavor: None,
        memory: 16 << 20,
    };
    engine.discover(side.kind, &spec).await.map_err(|e| Failure::from(e).at(format!("connection {}", side.name)))
}

/// A relative SQLite path is relative to the configuration file, as it will be when that is read.
fn absolute(url: &str, config: &Path) -> String {
    let Some(path) = url.strip_prefix("sqlite:") else { return url.to_owned() };
    let path = Path::new(path.strip_prefix("//").unwrap_or(path));
    let dir = config.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let full = std::path::absolute(dir.join(path)).unwrap_or_else(|_| path.to_owned());
    format!("sqlite:{}", full.display())
}

fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        fs::create_dir_all(dir).map_err(|e| unwritable(dir, &e))?;
    }
    fs::write(path, text).map_err(|e| unwritable(path, &e))
}

fn unwritable(path: &Path, e: &std::io::Error) -> Failure {
    Failure::failed("file_unwritable", format!("write `{}`", path.display())).because(e)
}

/// Adds the URLs to `.env` beside the configuration, readable by the owner alone. What is there stays.
fn write_env(config: &Path, sides: [&Side; 2]) -> Result<Option<PathBuf>, Failure> {
    let path = config.with_file_name(".env");
    let known = fs::read_to_string(&path).unwrap_or_default();
    let fresh = |variable: &str| !known.lines().any(|l| l.trim_start().starts_with(&format!("{variable}=")));
    let lines: Vec<String> =
        sides.iter().filter_map(|s| s.secret.as_ref()).filter(|(v, _)| fresh(v)).map(|(v, url)| format!("{v}='{url}'\n")).collect();
    if lines.is_empty() {
        return Ok(sides.iter().any(|s| s.secret.is_some()).then_some(path));
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let gap = if known.is_empty() || known.ends_with('\n') { "" } else { "\n" };
    let written = options.open(&path).and_then(|mut f| f.write_all(format!("{gap}{}", lines.concat()).as_bytes()));
    written.map_err(|e| unwritable(&path, &e))?;
    Ok(Some(path))
}

fn tell(context: &Context, path: &Path, env: Option<&Path>, source: &Catalog) {
    if context.out.json() {
        context.out.document(&serde_json::json!({ "config": path, "env": env, "tables": source.tables.len() }));
        return;
    }
    context.out.line(format!("wrote {}", path.display()));
    if let Some(env) = env {
        context.out.line(format!("wrote {} with both URLs: keep it out of version control", env.display()));
    }
    let option = if path == Path::new(FILE) { String::new() } else { format!(" -c {}", path.display()) };
    context.out.line(format!("\nnext:  syncline{option} check\n       syncline{option} plan"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_a_password_goes_to_the_environment_and_a_path_stays() {
        let lake = side("destination", "DESTINATION_URL", "postgres://app:s3cr3t@db/lake").unwrap();
        assert_eq!(lake.written, "${DESTINATION_URL}");
        assert_eq!(side("source", "SOURCE_URL", "sqlite:shop.db").unwrap().written, "sqlite:shop.db");
        assert_eq!(side("source", "SOURCE_URL", "oracle://x").map(|_| ()).unwrap_err().code, "url_invalid");
    }
}
