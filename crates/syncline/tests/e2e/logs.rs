//! Lines of the log: each belongs to its run, also where one process works on several.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;
use syncline::clock::{StopOnSignal, SystemClock, TimeOrderedIds};
use syncline::processes::Local;
use syncline::{Config, Connectors, Engine, RunOptions, Silent, SqliteStore};

use crate::rig::{Side, World};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Two syncs of one file, each with its own tables.
fn world() -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let from = Side::sqlite(folder.path(), "from.db");
    from.execute(
        "CREATE TABLE a1 (id INTEGER PRIMARY KEY); CREATE TABLE a2 (id INTEGER PRIMARY KEY); CREATE TABLE b1 (id INTEGER PRIMARY KEY)",
    );
    from.execute("INSERT INTO a1 VALUES (1), (2); INSERT INTO a2 VALUES (1); INSERT INTO b1 VALUES (1)");
    let place = folder.keep();
    let file = |name: &str| format!("{{ type: sqlite, url: \"sqlite:{}\" }}", place.join(name).display());
    let sync = |name: &str, to: &str| format!("  {name}:\n    from: from\n    to: {to}\n    streams: {{ \"{name}*\": {{}} }}\n");
    let ends = format!("connections:\n  from: {}\n  x: {}\n  y: {}\n", file("from.db"), file("x.db"), file("y.db"));
    World::new(&format!("{ends}syncs:\n{}{}", sync("a", "x"), sync("b", "y")))
}

// req: FR-014
#[test]
fn lines_of_runs_side_by_side_in_one_process_never_bear_the_other_ones_id() {
    let world = world();
    let config = Config::load(&world.path("syncline.yaml")).unwrap();
    let engine = Engine {
        registry: Arc::new(Connectors),
        store: Arc::new(SqliteStore::in_memory().unwrap()),
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(TimeOrderedIds),
        progress: Arc::new(Silent),
        interrupt: Arc::new(StopOnSignal::default()),
        processes: Arc::new(Local),
        actor: "test".to_owned(),
    };
    let lines = Lines::default();
    let to = lines.clone();
    let subscriber = tracing_subscriber::fmt().json().with_max_level(tracing::Level::DEBUG).with_writer(move || to.clone()).finish();
    let reports = tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (a, b) =
                tokio::join!(engine.run(&config.syncs[0], RunOptions::default()), engine.run(&config.syncs[1], RunOptions::default()));
            [a.unwrap().remove(0), b.unwrap().remove(0)]
        })
    });
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<Json> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    for report in &reports {
        let own: Vec<&Json> = lines.iter().filter(|l| l["spans"][0]["run"] == report.id.as_str()).collect();
        assert!(own.iter().all(|l| l["spans"][0]["sync"] == report.sync.as_str()), "{text}");
        let said = |what: &str| own.iter().filter(|l| l["fields"]["message"] == what).count();
        assert_eq!([said("run started"), said("run ended")], [1, 1], "{text}");
        let staged: Vec<&Json> = own.iter().filter(|l| l["fields"]["message"] == "stream staged").map(|l| &l["fields"]["stream"]).collect();
        assert_eq!(staged, if report.sync == "a" { vec!["a1", "a2"] } else { vec!["b1"] }, "{text}");
    }
    assert!(lines.iter().all(|l| l["spans"][0]["run"].is_string()), "{text}");
    let at = |id: &str, what: &str| lines.iter().position(|l| l["spans"][0]["run"] == id && l["fields"]["message"] == what).unwrap();
    let [a, b] = &reports;
    assert!(at(&b.id, "run started") < at(&a.id, "run ended"), "they ran side by side");
}
