//! `verify --repair`: the differences of a report, written by ordinary runs of kind `repair`.

use std::collections::{BTreeMap, BTreeSet};

use syncline_store::rows::RunKind;

use crate::engine::{Engine, Result, RunOptions};
use crate::report::VerifyReport;
use crate::spec::{Mode, SyncSpec};

/// What a repair runs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Work {
    /// Records by key.
    keys: BTreeMap<String, Vec<String>>,
    /// Streams with rows that only the destination has.
    deletions: BTreeSet<String>,
    /// Streams with more differences than the report lists.
    whole: BTreeSet<String>,
}

impl Engine {
    /// Writes the differences of a report; false when there is nothing that a run could write.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub(super) async fn repair(&self, sync: &SyncSpec, scope: &str, options: &RunOptions, report: &VerifyReport) -> Result<bool> {
        let work = Work::of(report);
        let run = |streams: Vec<String>, mode, keys| RunOptions {
            kind: RunKind::Repair,
            mode,
            streams,
            scope: (!scope.is_empty()).then(|| scope.to_owned()),
            approve_deletes: options.approve_deletes,
            wait: options.wait,
            keys,
            ..RunOptions::default()
        };
        let mut runs = Vec::new();
        if !work.keys.is_empty() {
            runs.push(run(work.keys.keys().cloned().collect(), None, Some(work.keys)));
        }
        if !work.whole.is_empty() {
            runs.push(run(work.whole.into_iter().collect(), Some(Mode::Full), None));
        }
        if !work.deletions.is_empty() {
            runs.push(run(work.deletions.into_iter().collect(), Some(Mode::Diff), None));
        }
        let any = !runs.is_empty();
        for options in runs {
            self.run(sync, options).await?;
        }
        Ok(any)
    }
}

impl Work {
    fn of(report: &VerifyReport) -> Self {
        let mut work = Self::default();
        for d in report.differences.iter().filter(|d| d.kind == "missing" || d.kind == "different") {
            work.keys.entry(d.stream.clone()).or_default().push(d.source_key.as_ref().unwrap_or(&d.key).clone());
        }
        for check in &report.streams {
            let listed = work.keys.get(&check.stream).map_or(0, Vec::len) as u64;
            if listed < check.missing + check.different {
                work.keys.remove(&check.stream);
                work.whole.insert(check.stream.clone());
            } else if check.extra > 0 && !check.passed {
                work.deletions.insert(check.stream.clone());
            }
        }
        work
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Difference, StreamCheck};

    fn check(stream: &str, missing: u64, extra: u64) -> StreamCheck {
        StreamCheck {
            stream: stream.to_owned(),
            table: stream.to_owned(),
            source_rows: 9,
            destination_rows: 9,
            compared: 9,
            missing,
            extra,
            different: 0,
            kept: 0,
            parked: 0,
            orphans: 0,
            passed: missing + extra == 0,
        }
    }

    fn missing(stream: &str, key: &str) -> Difference {
        Difference { stream: stream.to_owned(), kind: "missing".to_owned(), key: key.to_owned(), source_key: None, fields: Vec::new() }
    }

    // users: U23
    #[test]
    fn a_repair_touches_the_listed_records_and_whole_streams_only_where_the_list_is_cut() {
        let report = VerifyReport {
            id: String::new(),
            number: 1,
            sync: String::new(),
            scope: String::new(),
            started_at: 0,
            duration_ms: 0,
            sample: 1.0,
            streams: vec![check("film", 1, 0), check("cut", 2, 1), check("old", 0, 3), check("good", 0, 0)],
            differences: vec![missing("film", "[7]"), missing("cut", "[1]")],
            truncated: true,
            passed: false,
        };
        let set = |s: &str| BTreeSet::from([s.to_owned()]);
        let keys = BTreeMap::from([("film".to_owned(), vec!["[7]".to_owned()])]);
        assert_eq!(Work::of(&report), Work { keys, deletions: set("old"), whole: set("cut") });
    }
}
