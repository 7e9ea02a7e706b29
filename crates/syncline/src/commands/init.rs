//! `syncline init`: looks at two databases and writes a configuration worth keeping. Passwords go to `.env`, never into it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use syncline::config::starter;
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
    /// Write over an existing configuration
    #[arg(long)]
    pub force: bool,
}

/// Discovers and writes.
pub async fn execute(context: &Context, args: Args) -> Outcome {
    let path = context.config.clone().unwrap_or_else(|| PathBuf::from(FILE));
    if path.exists() && !args.force {
        let failure = Failure::usage("file_exists", format!("`{}` is there already", path.display()));
        return Err(failure.hint("--force writes over it, -c FILE writes elsewhere"));
    }
    context.secrets.add_url(&args.from);
    context.secrets.add_url(&args.to);
    let engine = bare_engine(context)?;
    let source = catalog(&engine, "source", &args.from, &path).await?;
    // What it holds does not matter yet; that it can be reached does.
    catalog(&engine, "destination", &args.to, &path).await?;
    let texts = starter(&args.from, &args.to, &source);
    let env = write_env(&path, &texts.dotenv)?;
    write_config(&path, &texts.yaml)?;
    tell(context, &path, env.as_deref(), source.tables.len());
    Ok(Exit::Good)
}

async fn catalog(engine: &Engine, role: &str, url: &str, config: &Path) -> Result<Catalog, Failure> {
    let Some(kind) = kind_of_url(url) else {
        let failure = Failure::usage("url_invalid", format!("the {role} is no URL of a database that Syncline knows"));
        return Err(failure.hint(format!("it begins with one of: {}", KINDS.map(|k| format!("{k}:")).join(", "))));
    };
    let spec = ConnectionSpec {
        name: role.to_owned(),
        url: SecretString::from(absolute(url, config)),
        schema: None,
        flavor: None,
        memory: 16 << 20,
    };
    engine.discover(kind, &spec).await.map_err(|e| Failure::from(e).at(format!("the {role}")))
}

/// A relative SQLite path is relative to the configuration file, as it will be when that is read.
fn absolute(url: &str, config: &Path) -> String {
    let Some(path) = url.strip_prefix("sqlite:") else { return url.to_owned() };
    let path = Path::new(path.strip_prefix("//").unwrap_or(path));
    let dir = config.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let full = std::path::absolute(dir.join(path)).unwrap_or_else(|_| path.to_owned());
    format!("sqlite:{}", full.display())
}

fn write_config(path: &Path, text: &str) -> Result<(), Failure> {
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        fs::create_dir_all(dir).map_err(|e| unwritable(dir, &e))?;
    }
    fs::write(path, text).map_err(|e| unwritable(path, &e))
}

fn unwritable(path: &Path, e: &std::io::Error) -> Failure {
    Failure::failed("file_unwritable", format!("write `{}`", path.display())).because(e)
}

/// Adds the lines to `.env` beside the configuration, readable by its owner alone. What is there stays; a variable that is
/// there with another value would send the sync elsewhere, so it stops `init`.
fn write_env(config: &Path, lines: &str) -> Result<Option<PathBuf>, Failure> {
    if lines.is_empty() {
        return Ok(None);
    }
    let path = config.with_file_name(".env");
    let known = fs::read_to_string(&path).unwrap_or_default();
    let fresh: Vec<&str> = lines.lines().filter(|l| !known.lines().any(|k| k == *l)).collect();
    let variable = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    if let Some(taken) = fresh.iter().find(|l| known.lines().any(|k| variable(k) == variable(l))) {
        let message = format!("`{}` holds another `{}` already", path.display(), variable(taken));
        return Err(Failure::usage("file_exists", message).hint("rename it there, or remove it"));
    }
    let gap = if known.is_empty() || known.ends_with('\n') { "" } else { "\n" };
    let text: String = fresh.iter().map(|l| format!("{l}\n")).collect();
    append_private(&path, &format!("{gap}{text}")).map_err(|e| unwritable(&path, &e))?;
    Ok(Some(path))
}

fn append_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

fn tell(context: &Context, path: &Path, env: Option<&Path>, tables: usize) {
    if context.out.json() {
        context.out.document(&serde_json::json!({ "config": path, "env": env, "tables": tables }));
        return;
    }
    context.out.line(format!("wrote {}", path.display()));
    if let Some(env) = env {
        context.out.line(format!("wrote {} with the URLs: keep it out of version control", env.display()));
    }
    let option = if path == Path::new(FILE) { String::new() } else { format!(" -c {}", path.display()) };
    context.out.line(format!("\nnext:  syncline{option} check\n       syncline{option} plan"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_file_keeps_what_it_holds_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("syncline.yaml");
        fs::write(dir.path().join(".env"), "MINE=1").unwrap();
        write_env(&config, "FROM_URL='postgres://a'\n").unwrap();
        write_env(&config, "FROM_URL='postgres://a'\n").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(".env")).unwrap(), "MINE=1\nFROM_URL='postgres://a'\n");
        assert_eq!(&*write_env(&config, "FROM_URL='postgres://b'\n").unwrap_err().code, "file_exists");
        let fresh = tempfile::tempdir().unwrap();
        write_env(&fresh.path().join("c.yaml"), "X=1\n").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(fresh.path().join(".env")).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
