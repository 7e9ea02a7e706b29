//! Log files (FR-014): `logs/sync-YYYY-MM-DD.jsonl`, one JSON object per line, every line of a run with the run's id, secrets
//! and the values of records taken out, files older than `keep_days` removed. Nothing else is needed, and nothing complains
//! when nothing else is there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Map, Value as Json};
use syncline_engine::Clock;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::commands::Context as CommandContext;
use crate::commands::context::Telling;

/// What must never be shown: passwords, whole connection URLs, tokens.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Arc<Mutex<Vec<String>>>);

/// A secret of one or two characters would redact half of every line, and protect nothing.
const SECRET_CHARS_MIN: usize = 3;

impl Secrets {
    /// Learns one.
    pub fn add(&self, secret: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if secret.chars().count() >= SECRET_CHARS_MIN && !known.iter().any(|k| k == secret) {
            known.push(secret.to_owned());
            // The longest first: a URL goes as a whole before its password does.
            known.sort_by_key(|s| std::cmp::Reverse(s.len()));
        }
    }

    /// Learns the secrets in a connection URL: its password as written and as decoded, and the URL itself when it has one.
    pub fn add_url(&self, url: &str) {
        let Some((_, rest)) = url.split_once("://") else { return };
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        // Both ends are taken: an unescaped `/` or `@` may be part of a password, and an `@` may be part of a path.
        for end in [rest[..authority_end].rfind('@'), rest.rfind('@')].into_iter().flatten() {
            if let Some((_, password)) = rest[..end].split_once(':') {
                self.add(url);
                self.add(password);
                self.add(&percent_decoded(password));
            }
        }
    }

    /// The text without them.
    pub fn redact(&self, text: &str) -> String {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "[secret]"))
    }
}

fn percent_decoded(s: &str) -> String {
    let mut bytes = Vec::with_capacity(s.len());
    let mut rest = s.as_bytes();
    while let Some((&b, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|h| std::str::from_utf8(h).ok()).and_then(|h| u8::from_str_radix(h, 16).ok());
        match (b, hex) {
            (b'%', Some(decoded)) => {
                bytes.push(decoded);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(b);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where log files go and how long they stay.
#[derive(Clone, Debug)]
pub struct Files {
    /// The folder.
    pub dir: PathBuf,
    /// Days a file is kept.
    pub keep_days: u32,
}

/// Starts logging: to files where there are any, and to stderr for who asked for it. A folder that cannot be written is told and
/// does not stop the work.
pub fn start(files: Option<Files>, telling: &CommandContext) -> io::Result<()> {
    let (clock, secrets) = (Arc::clone(&telling.clock), telling.secrets.clone());
    let daily = files.map(|f| Daily::open(f, Arc::clone(&clock))).transpose();
    let (file, problem) = match daily {
        Ok(daily) => (daily.map(|d| JsonLines::new(d, clock, secrets.clone())), None),
        Err(e) => (None, Some(e)),
    };
    let filter = EnvFilter::try_from_env("SYNCLINE_LOG").unwrap_or_else(|_| EnvFilter::new("info,syncline=debug"));
    let verbose = telling.telling == Telling::Verbose;
    let screen = verbose.then(|| fmt::layer().with_writer(move || Redacted(secrets.clone())).with_ansi(false).with_target(false));
    // A second start in one process (the demo) keeps the first.
    let _ = tracing_subscriber::registry().with(filter).with(file).with(screen).try_init();
    problem.map_or(Ok(()), Err)
}

/// stderr without secrets.
struct Redacted(Secrets);

impl Write for Redacted {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(self.0.redact(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// The file of the day.
struct Daily {
    files: Files,
    clock: Arc<dyn Clock>,
    day: Date,
    file: File,
}

impl Daily {
    fn open(files: Files, clock: Arc<dyn Clock>) -> io::Result<Self> {
        fs::create_dir_all(&files.dir)?;
        let day = today(&*clock);
        let file = open_day(&files.dir, day)?;
        remove_old(&files, day);
        Ok(Self { files, clock, day, file })
    }

    fn write_line(&mut self, line: &str) -> io::Result<()> {
        let day = today(&*self.clock);
        if day != self.day {
            self.file = open_day(&self.files.dir, day)?;
            self.day = day;
            remove_old(&self.files, day);
        }
        // One write per line: lines of several processes do not mix in a file opened for appending.
        self.file.write_all(format!("{line}\n").as_bytes())
    }
}

fn today(clock: &dyn Clock) -> Date {
    Timestamp::from_microsecond(clock.now()).unwrap_or_default().to_zoned(TimeZone::UTC).date()
}

fn open_day(dir: &Path, day: Date) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(dir.join(format!("sync-{day}.jsonl")))
}

/// Removes our own files that are too old; whatever else lies there is left alone.
fn remove_old(files: &Files, today: Date) {
    let Ok(entries) = fs::read_dir(&files.dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let day = name.strip_prefix("sync-").and_then(|n| n.strip_suffix(".jsonl")).and_then(|d| d.parse::<Date>().ok());
        let age_days = day.and_then(|d| today.since(d).ok()).map(|span| span.get_days());
        if age_days.is_some_and(|age| i64::from(age) >= i64::from(files.keep_days.max(1))) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The layer that writes the lines.
struct JsonLines {
    file: Mutex<Daily>,
    clock: Arc<dyn Clock>,
    secrets: Secrets,
    /// The runs going on: spans that name one. While it is only one, a line of a driver's own thread, which is in no span, belongs to it.
    runs: Mutex<Vec<(Id, Json)>>,
}

impl JsonLines {
    fn new(file: Daily, clock: Arc<dyn Clock>, secrets: Secrets) -> Self {
        Self { file: Mutex::new(file), clock, secrets, runs: Mutex::default() }
    }

    /// Puts the run into a line that lacks it, where there is no doubt which one it is.
    fn correlate(&self, line: &mut Map<String, Json>) {
        if !line.contains_key("run") {
            let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
            let run = if let [(_, run)] = runs.as_slice() { run.clone() } else { Json::Null };
            line.insert("run".to_owned(), run);
        }
    }
}

/// Fields of a span, kept for the lines inside it.
struct SpanFields(Map<String, Json>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        attrs.record(&mut fields);
        if let Some(run) = fields.0.get("run") {
            self.runs.lock().unwrap_or_else(PoisonError::into_inner).push((id.clone(), run.clone()));
        }
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(SpanFields(fields.0));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(known) = span.extensions_mut().get_mut::<SpanFields>() {
            known.0.extend(fields.0);
        }
    }

    fn on_close(&self, id: Id, _ctx: Context<'_, S>) {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).retain(|(open, _)| *open != id);
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut line = Map::new();
        let at = Timestamp::from_microsecond(self.clock.now()).unwrap_or_default();
        line.insert("at".to_owned(), at.to_string().into());
        line.insert("level".to_owned(), event.metadata().level().as_str().to_lowercase().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        for span in ctx.event_scope(event).into_iter().flat_map(|s| s.from_root()) {
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                line.extend(fields.0.clone());
            }
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        line.extend(fields.0);
        self.correlate(&mut line);
        let text = self.secrets.redact(&Json::Object(line).to_string());
        // A full disk under the logs must not fail the work.
        let _ = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_line(&text);
    }
}

/// Names of fields that hold data of the user or secrets.
const WITHHELD: [&str; 11] = ["value", "values", "before", "after", "row", "image", "password", "url", "secret", "token", "authorization"];

/// Collects fields as JSON.
#[derive(Default)]
struct Fields(Map<String, Json>);

impl Fields {
    fn put(&mut self, field: &Field, value: Json) {
        let value = if WITHHELD.contains(&field.name()) { Json::from("[withheld]") } else { value };
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests;
