//! From what is written to what the engine takes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use syncline_connector::ConnectionSpec;
use syncline_engine::spec::{self, SyncSpec};
use syncline_model::suggest;

use super::connections::{self, connection, sqlite_path};
use super::decode::decode;
use super::fault::ConfigErrors;
use super::file::{Atomic, File, ScopesFile, StateFile, SyncFile};
use super::form::Form;
use super::judge::{self, Judge, below};
use super::substitute::{Source, substitute};
use super::{Config, History, Logs, streams, yaml};

const MEMORY: u64 = 64 << 20;
/// Below this there is no room for a batch beside the program itself.
const MEMORY_MIN: u64 = 16 << 20;
const LOGS_KEEP_DAYS: u32 = 14;
const HISTORY_KEEP_DAYS: u32 = 90;
const HISTORY_KEEP_RUNS: u32 = 100;
const STATE_FILE: &str = ".syncline/state.db";
const LOGS_DIR: &str = "logs";

type Connections = BTreeMap<String, (String, ConnectionSpec)>;

/// The configuration of a text.
pub(super) fn config(path: &Path, text: &str, source: &Source<'_>) -> Result<Config, ConfigErrors> {
    let mut tree = yaml::parse(text).map_err(|e| ConfigErrors::one(path, e))?;
    let (mut secrets, mut errors) = substitute(&mut tree, source);
    let decoded = decode::<File>(&tree);
    errors.extend(decoded.errors);
    let mut judge = Judge::new(&tree, errors, &decoded.stand_ins);
    let file = decoded.value.unwrap_or_default();
    let directory = source.directory;

    let memory = memory(&mut judge, &file);
    let connections = connections(&mut judge, &file, directory, memory);
    let state = state(&mut judge, &file.state, directory);
    let logs_path = judge::Path::from(["logs".to_owned(), "dir".to_owned()]);
    judge.filled(&logs_path, file.logs.dir.as_deref());
    let syncs = syncs(&mut judge, &file, &connections, memory);
    if !judge.is_satisfied() {
        return Err(ConfigErrors { file: path.to_owned(), errors: judge.into_errors() });
    }
    secrets.extend(connections.values().flat_map(|(_, spec)| connections::secrets(&spec.url)));
    Ok(Config {
        path: path.to_owned(),
        directory: directory.to_owned(),
        connections,
        state,
        logs: Logs {
            dir: directory.join(file.logs.dir.as_deref().unwrap_or(LOGS_DIR)),
            keep_days: file.logs.keep_days.unwrap_or(LOGS_KEEP_DAYS),
        },
        history: History {
            keep_days: file.history.keep_days.unwrap_or(HISTORY_KEEP_DAYS),
            keep_runs: file.history.keep_runs.unwrap_or(HISTORY_KEEP_RUNS),
        },
        memory,
        syncs,
        secrets,
    })
}

fn memory(judge: &mut Judge<'_>, file: &File) -> u64 {
    let memory = file.memory.map_or(MEMORY, |m| m.0);
    if memory < MEMORY_MIN {
        let path = judge::Path::from(["memory".to_owned()]);
        judge.fail(
            "config_invalid",
            &path,
            format!("less than {} MiB is not enough for a run", MEMORY_MIN >> 20),
            "leave it out for `64MiB`",
        );
    }
    memory
}

fn connections(judge: &mut Judge<'_>, file: &File, directory: &Path, memory: u64) -> Connections {
    judge.names(&["connections".to_owned()], file.connections.keys());
    let spec = |(name, c)| (String::clone(name), connection(judge, name, c, directory, memory));
    file.connections.iter().map(spec).collect()
}

fn state(judge: &mut Judge<'_>, file: &StateFile, directory: &Path) -> PathBuf {
    let Some(url) = &file.url else { return directory.join(STATE_FILE) };
    let named = url.0.expose_secret().trim().strip_prefix("sqlite:").and_then(|rest| sqlite_path(rest, directory));
    named.unwrap_or_else(|| {
        let path = judge::Path::from(["state".to_owned(), "url".to_owned()]);
        judge.fail(
            "url_invalid",
            &path,
            "the url of the state does not name a SQLite file",
            "write `sqlite:PATH`; state is kept in SQLite for now",
        );
        PathBuf::new()
    })
}

fn syncs(judge: &mut Judge<'_>, file: &File, connections: &Connections, memory: u64) -> Vec<SyncSpec> {
    let path = judge::Path::from(["syncs".to_owned()]);
    judge.names(&path, file.syncs.keys());
    let order = judge.order(&path);
    order.iter().filter_map(|name| Some(sync(judge, name, file.syncs.get(*name)?, connections, memory))).collect()
}

fn sync(judge: &mut Judge<'_>, name: &str, file: &SyncFile, connections: &Connections, memory: u64) -> SyncSpec {
    let path = judge::Path::from(["syncs".to_owned(), name.to_owned()]);
    let from = side(judge, &below(&path, &["from"]), &file.from, connections);
    let to = side(judge, &below(&path, &["to"]), &file.to, connections);
    if file.from == file.to && connections.contains_key(&file.to) {
        let hint = "name another connection; two schemas of one database are two connections";
        judge.fail("config_invalid", &below(&path, &["to"]), format!("`{}` is the source as well", file.to), hint);
    }
    if file.after.is_some() {
        let hint = "leave it out and run the syncs one after the other";
        judge.fail("not_yet", &below(&path, &["after"]), "`after` is reserved: chained syncs are not there yet", hint);
    }
    let scopes = scopes(judge, &below(&path, &["scopes"]), file.scopes.as_ref());
    let options = streams::sync_options(judge, &path, file);
    let streams = streams::streams(judge, &path, file, &options);
    SyncSpec {
        name: name.to_owned(),
        from,
        to,
        options,
        streams,
        scopes,
        atomic: match file.atomic {
            None | Some(Atomic::Run) => spec::Atomic::Run,
            Some(Atomic::Stream) => spec::Atomic::Stream,
            Some(Atomic::Batch) => spec::Atomic::Batch,
        },
        undo: file.undo.unwrap_or(true),
        memory,
    }
}

fn side(judge: &mut Judge<'_>, path: &[String], name: &str, connections: &Connections) -> (String, ConnectionSpec) {
    if let Some(found) = connections.get(name) {
        return found.clone();
    }
    // A connection that is written but could not be read was told already.
    let order = judge.order(&["connections".to_owned()]);
    if !judge.told(path) && !order.contains(&name) {
        let hint = match suggest::closest(name, order.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if order.is_empty() => "add it under `connections:`".to_owned(),
            None => format!("connections are {}", order.iter().map(|n| judge::shown(n)).collect::<Vec<_>>().join(", ")),
        };
        let message = format!("there is no connection {}", judge.written(path));
        judge.fail("connection_unknown", path, message, hint);
    }
    let nowhere = ConnectionSpec { name: name.to_owned(), url: String::new().into(), schema: None, flavor: None, memory: 0 };
    (String::new(), nowhere)
}

fn scopes(judge: &mut Judge<'_>, path: &[String], file: Option<&Form<Vec<String>, ScopesFile>>) -> Option<spec::Scopes> {
    /// Longer than any tenant id; a longer text is a slip.
    const SCOPE_BYTES_MAX: usize = 255;
    match file? {
        Form::Long(query) => {
            judge.filled(&below(path, &["query"]), Some(&query.query));
            Some(spec::Scopes::Query(query.query.clone()))
        }
        Form::Short(list) => {
            if list.is_empty() {
                judge.fail("config_invalid", path, "there is no scope in the list", "leave `scopes` out, or name some");
            }
            for (n, scope) in list.iter().enumerate() {
                let place = below(path, &[&n.to_string()]);
                if scope.is_empty() || scope.len() > SCOPE_BYTES_MAX || scope.chars().any(char::is_control) {
                    let message = format!("{} is no scope", judge.written(&place));
                    judge.fail("config_invalid", &place, message, "a scope has 1 to 255 bytes and no control characters");
                } else if list[..n].contains(scope) {
                    let message = format!("the scope {} is there twice", judge.written(&place));
                    judge.fail("config_invalid", &place, message, "keep one");
                }
            }
            Some(spec::Scopes::List(list.clone()))
        }
    }
}
