//! Rotation, retention, redaction and correlation, on a clock that is set by hand.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn monotonic_ms(&self) -> u64 {
        0
    }
}

const DAY: i64 = 86_400_000_000;
/// 2026-11-20T12:00:00Z.
const NOON: i64 = 1_795_176_000_000_000;

fn layer(dir: &Path, clock: &Arc<Hand>, keep_days: u32) -> JsonLines {
    let clock: Arc<dyn Clock> = clock.clone();
    let daily = Daily::open(Files { dir: dir.to_owned(), keep_days }, Arc::clone(&clock)).unwrap();
    let secrets = Secrets::default();
    secrets.add_url("postgres://app:s3cr3t%40x@db/shop");
    JsonLines::new(daily, clock, secrets)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

// req: FR-014
#[test]
fn a_new_day_gets_a_new_file_and_old_files_go_while_strangers_stay() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("sync-2026-01-01.jsonl"), "old").unwrap();
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    let clock = Arc::new(Hand(AtomicI64::new(NOON)));
    let mut daily = Daily::open(Files { dir: dir.path().to_owned(), keep_days: 2 }, clock.clone()).unwrap();
    daily.write_line("one").unwrap();
    assert_eq!(names(dir.path()), ["notes.txt", "sync-2026-11-20.jsonl"]);
    clock.0.fetch_add(DAY, Ordering::Relaxed);
    daily.write_line("two").unwrap();
    clock.0.fetch_add(DAY, Ordering::Relaxed);
    daily.write_line("three").unwrap();
    assert_eq!(names(dir.path()), ["notes.txt", "sync-2026-11-21.jsonl", "sync-2026-11-22.jsonl"]);
    assert_eq!(fs::read_to_string(dir.path().join("sync-2026-11-22.jsonl")).unwrap(), "three\n");
}

// req: FR-014
#[test]
fn every_line_in_a_run_has_its_id_and_no_line_has_a_secret_or_a_value() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hand(AtomicI64::new(NOON)));
    let subscriber = tracing_subscriber::registry().with(layer(dir.path(), &clock, 14));
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!("run", run = "r-1", stream = tracing::field::Empty);
        let inside = span.enter();
        span.record("stream", "film");
        tracing::info!(rows = 3_u64, value = "Ann", "staged through postgres://app:s3cr3t%40x@db/shop with s3cr3t@x");
        drop(inside);
        tracing::info!("a driver that knows no runs");
    });
    let text = fs::read_to_string(dir.path().join("sync-2026-11-20.jsonl")).unwrap();
    let line: Json = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&line["run"], &line["stream"], &line["rows"]), (&"r-1".into(), &"film".into(), &3.into()));
    assert_eq!(line["at"], "2026-11-20T12:00:00Z");
    assert!(text.lines().all(|l| l.contains("\"run\":\"r-1\"")), "{text}");
    assert!(!text.contains("s3cr3t") && !text.contains("Ann"), "{text}");
}

// req: FR-014
#[test]
fn lines_of_two_runs_at_once_each_have_their_own_id_and_a_line_of_neither_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hand(AtomicI64::new(NOON)));
    let subscriber = tracing_subscriber::registry().with(layer(dir.path(), &clock, 14));
    tracing::subscriber::with_default(subscriber, || {
        let (one, two) = (tracing::info_span!("run", run = "r-1"), tracing::info_span!("run", run = "r-2"));
        two.in_scope(|| tracing::info!("of r-2"));
        one.in_scope(|| tracing::info_span!("stream", stream = "film").in_scope(|| tracing::info!("of r-1")));
        tracing::info!("of whom");
        drop(one);
        tracing::info!("of r-2");
        drop(two);
        tracing::info!("of none");
    });
    let text = fs::read_to_string(dir.path().join("sync-2026-11-20.jsonl")).unwrap();
    let lines: Vec<Json> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let runs: Vec<&Json> = lines.iter().map(|l| &l["run"]).collect();
    assert_eq!(runs, [&Json::from("r-2"), &"r-1".into(), &Json::Null, &"r-2".into(), &Json::Null]);
    assert_eq!((&lines[1]["stream"], &lines[0]["stream"]), (&Json::from("film"), &Json::Null));
}

// users: U24
#[test]
fn secrets_of_a_url_are_known_in_every_spelling() {
    let secrets = Secrets::default();
    secrets.add_url("mysql://app:p%3Assw@rd@db:3306/shop");
    secrets.add_url("sqlite:/tmp/x.db");
    assert_eq!(secrets.redact("p%3Assw@rd and p:ssw@rd"), "[secret] and [secret]");
    assert_eq!(secrets.redact("sqlite:/tmp/x.db"), "sqlite:/tmp/x.db");
}
