//! Named failpoints: places where a test may break a run. Without the `failpoints` feature they compile to nothing.
//!
//! `SYNCLINE_FAIL=apply.insert=abort` breaks the first passage of that point, `…=abort@3` the third. Every passage adds a line with the
//! point's name to the file that `SYNCLINE_FAIL_LOG` names, so that a test can tell which points a run passes.

/// What the code at the point has to do. `Abort` never returns to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Go on.
    None,
    /// Cut the connection under you and go on, so that the next statement fails as it would in the field.
    Cut,
    /// Do the work, then behave as if its answer never came.
    LoseAnswer,
    /// Fail with a plain error (disk full, refused).
    Error,
}

/// Every point there is, in the order of a run. `cargo xtask tidy` keeps this list and the code the same.
pub const POINTS: &[&str] = &[
    "run.start",
    "run.recorded",
    "run.snapshot",
    "run.discovered",
    "run.planned",
    "run.begun",
    "read.first",
    "read.batch",
    "read.end",
    "diff.digest",
    "diff.hashes",
    "diff.fetch",
    "stage.create",
    "stage.batch",
    "stage.raw",
    "stage.expected",
    "stage.deletes",
    "stage.flush",
    "straight.lock",
    "straight.end",
    "straight.refused",
    "load.record",
    "load.compare",
    "load.repair",
    "load.range",
    "load.commit",
    "load.landed",
    "load.place",
    "apply.start",
    "apply.lock",
    "apply.check",
    "apply.reject",
    "apply.merge",
    "apply.before",
    "apply.free_unique",
    "apply.delete_first",
    "apply.update",
    "apply.insert",
    "apply.cycle",
    "apply.expect",
    "apply.delete",
    "apply.after",
    "apply.index",
    "apply.constraint",
    "apply.sequence",
    "undo.drop",
    "apply.marker",
    "apply.end",
    "commit.intent",
    "commit.send",
    "commit.answer",
    "name.tables",
    "name.given",
    "name.comments",
    "commit.recorded",
    "finish.parked",
    "finish.checkpoint",
    "finish.books",
    "finish.end",
];

/// Passes the point `name`.
#[cfg(not(feature = "failpoints"))]
#[must_use]
pub fn point(_name: &'static str) -> Fault {
    Fault::None
}

/// Passes the point `name`; aborts the process when the test asked for that.
#[cfg(feature = "failpoints")]
#[must_use]
pub fn point(name: &'static str) -> Fault {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    static ASKED: OnceLock<Option<(String, String, u32)>> = OnceLock::new();
    static PASSED: AtomicU32 = AtomicU32::new(0);
    debug_assert!(POINTS.contains(&name), "failpoint {name} is not in POINTS");
    note(name);
    let asked = ASKED.get_or_init(|| {
        let text = std::env::var("SYNCLINE_FAIL").ok()?;
        let (at, action) = text.split_once('=')?;
        let (action, nth) = action.split_once('@').map_or((action, 1), |(a, n)| (a, n.parse().unwrap_or(1)));
        Some((at.to_owned(), action.to_owned(), nth))
    });
    match asked {
        Some((at, action, nth)) if at == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *nth => match action.as_str() {
            "abort" => std::process::abort(),
            "panic" => panic!("failpoint {name}"),
            "cut" => Fault::Cut,
            "lose" => Fault::LoseAnswer,
            _ => Fault::Error,
        },
        _ => Fault::None,
    }
}

/// Tells the test that the point was passed.
#[cfg(feature = "failpoints")]
fn note(name: &str) {
    use std::io::Write;
    if let Some(path) = std::env::var_os("SYNCLINE_FAIL_LOG") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let mut file = file.expect("the file of SYNCLINE_FAIL_LOG can be written");
        writeln!(file, "{name}").expect("the file of SYNCLINE_FAIL_LOG takes a line");
    }
}

/// Rows per transaction of `atomic: batch`; a test that wants many batches of few rows sets `SYNCLINE_FAIL_BATCH`.
#[must_use]
pub fn rows_per_batch(usual: u64) -> u64 {
    #[cfg(feature = "failpoints")]
    if let Some(rows) = std::env::var("SYNCLINE_FAIL_BATCH").ok().and_then(|rows| rows.parse().ok()) {
        return rows;
    }
    usual
}

/// Passes a point at which only aborting or failing makes sense.
///
/// # Errors
/// `Unavailable` when the test asked for anything but an abort.
pub fn passable(name: &'static str) -> crate::Result<()> {
    match point(name) {
        Fault::None => Ok(()),
        Fault::Cut | Fault::LoseAnswer | Fault::Error => {
            Err(crate::Error::new(crate::ErrorKind::Unavailable, "injected_fault", format!("failpoint {name}")))
        }
    }
}
