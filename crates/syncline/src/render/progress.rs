//! Progress of long work, on stderr: a bar per stream on a terminal, a plain line now and then otherwise.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use syncline_engine::Clock;
use syncline_engine::report::Progress;
use syncline_model::Books;

use super::text;

/// Bars, for a terminal.
pub struct Bars {
    multi: MultiProgress,
    bars: Mutex<HashMap<String, ProgressBar>>,
    phase: ProgressBar,
}

impl Bars {
    /// Bars on stderr.
    pub fn new() -> Self {
        let multi = MultiProgress::new();
        let phase = multi.add(ProgressBar::new_spinner());
        phase.set_style(style("{spinner} {msg}"));
        Self { multi, bars: Mutex::default(), phase }
    }

    fn bars(&self) -> MutexGuard<'_, HashMap<String, ProgressBar>> {
        self.bars.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.phase.finish_and_clear();
        let _ = self.multi.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = write!(out, "{}/s", text::count(state.per_sec() as u64));
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("rate", rate).progress_chars("━╸ ")
}

/// Drawn often enough to look alive, seldom enough to cost nothing.
const TICK: Duration = Duration::from_millis(120);

impl Progress for Bars {
    fn stream_started(&self, stream: &str, phase: &str, rows: Option<u64>) {
        // One line of 80 columns, also with numbers of seven digits.
        let known = "{prefix:18!} {msg:7!} {wide_bar:.cyan} {human_pos:>9}/{human_len} {rate:>11} {eta:>4}";
        let unknown = "{prefix:18!} {msg:7!} {spinner} {human_pos:>9} rows {rate:>11}";
        let mut bars = self.bars();
        let bar = bars.entry(stream.to_owned()).or_insert_with(|| self.multi.insert_before(&self.phase, ProgressBar::no_length()));
        bar.set_style(style(if rows.is_some() { known } else { unknown }));
        bar.set_prefix(text::harmless(stream));
        bar.set_message(phase.to_owned());
        bar.reset();
        match rows {
            Some(n) => bar.set_length(n),
            None => bar.unset_length(),
        }
        bar.enable_steady_tick(TICK);
    }

    fn stream_rows(&self, stream: &str, rows: u64) {
        if let Some(bar) = self.bars().get(stream) {
            bar.set_position(rows);
        }
    }

    fn stream_finished(&self, stream: &str, books: &Books) {
        if let Some(bar) = self.bars().get(stream) {
            bar.set_style(style("{prefix:24!} {msg}"));
            bar.finish_with_message(ended(books));
        }
    }

    fn phase(&self, text: &str) {
        self.phase.set_message(text.to_owned());
        self.phase.enable_steady_tick(TICK);
    }
}

/// Lines, for logs and pipes.
pub struct Lines {
    clock: Arc<dyn Clock>,
    streams: Mutex<HashMap<String, Line>>,
}

struct Line {
    phase: String,
    rows_expected: Option<u64>,
    started_ms: u64,
    told_ms: u64,
}

/// Often enough to see that it lives, seldom enough for a log that is kept.
const LINE_EVERY_MS: u64 = 5_000;

impl Lines {
    /// Lines on stderr, timed by this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, streams: Mutex::default() }
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<String, Line>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn text(&self, stream: &str, rows: u64, now_ms: u64) -> String {
        let spent_ms = now_ms.saturating_sub(self.started_ms).max(1);
        let rate = rows.saturating_mul(1000) / spent_ms;
        let of = self.rows_expected.map(|n| format!(" of {}", text::count(n))).unwrap_or_default();
        let left = self.rows_expected.filter(|_| rate > 0).map(|n| n.saturating_sub(rows) / rate);
        let left = left.map(|s| format!(", {} left", text::span(s * 1000))).unwrap_or_default();
        format!("{}: {} {}{of} rows, {} rows/s{left}", text::harmless(stream), self.phase, text::count(rows), text::count(rate))
    }
}

fn tell(line: &str) {
    use std::io::Write;
    // Progress that cannot be told is no reason to stop.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

impl Progress for Lines {
    fn stream_started(&self, stream: &str, phase: &str, rows: Option<u64>) {
        let now = self.clock.monotonic_ms();
        self.streams().insert(stream.to_owned(), Line { phase: phase.to_owned(), rows_expected: rows, started_ms: now, told_ms: now });
    }

    fn stream_rows(&self, stream: &str, rows: u64) {
        let now = self.clock.monotonic_ms();
        let mut streams = self.streams();
        let Some(line) = streams.get_mut(stream) else { return };
        if now.saturating_sub(line.told_ms) >= LINE_EVERY_MS {
            line.told_ms = now;
            tell(&line.text(stream, rows, now));
        }
    }

    fn stream_finished(&self, stream: &str, books: &Books) {
        let now = self.clock.monotonic_ms();
        let took = self.streams().remove(stream).map(|l| format!(" in {}", text::span(now.saturating_sub(l.started_ms))));
        tell(&format!("{}: {}{}", text::harmless(stream), ended(books), took.unwrap_or_default()));
    }

    fn phase(&self, _: &str) {}
}

/// The end of a stream in one line, zeros left out.
fn ended(b: &Books) -> String {
    let parts: Vec<String> = [
        (b.created, "created"),
        (b.updated, "updated"),
        (b.deleted, "deleted"),
        (b.kept, "kept"),
        (b.parked, "parked"),
        (b.held_back, "held back"),
        (b.unchanged + b.equal_by_digest, "unchanged"),
    ]
    .iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, word)| format!("{} {word}", text::count(*n)))
    .collect();
    if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rows_rate_and_time_left() {
        let line = Line { phase: "apply".to_owned(), rows_expected: Some(10_000), started_ms: 0, told_ms: 0 };
        assert_eq!(line.text("film", 2_500, 5_000), "film: apply 2,500 of 10,000 rows, 500 rows/s, 15.0 s left");
    }

    #[test]
    fn the_end_of_a_stream_leaves_zeros_out() {
        let books = Books { created: 1, parked: 2, equal_by_digest: 1000, ..Books::default() };
        assert_eq!(ended(&books), "1 created, 2 parked, 1,000 unchanged");
        assert_eq!(ended(&Books::default()), "nothing to do");
    }
}
