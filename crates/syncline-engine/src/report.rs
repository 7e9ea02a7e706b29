//! What the engine answers: plans, run reports, verify reports, check reports. Everything serialises; nothing prints.

use serde::{Deserialize, Serialize};
use syncline_connector::Finding;
use syncline_model::Books;

/// What kind of change a planned change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// New at the destination.
    Create,
    /// Changed at the destination.
    Update,
    /// Removed or marked.
    Delete,
}

/// One field of a planned change. Values in the JSON form of `syncline_model::json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Destination column.
    pub field: String,
    /// Before; absent for a create.
    pub before: Option<serde_json::Value>,
    /// After; absent for a delete.
    pub after: Option<serde_json::Value>,
    /// The destination's value was edited there since the last run (known with `edits: keep`).
    pub edited_at_destination: bool,
}

/// One planned change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedChange {
    /// The stream.
    pub stream: String,
    /// Create, update, delete.
    pub kind: ChangeKind,
    /// Key of the record at the destination, as JSON array.
    pub key: String,
    /// Fingerprint of the source row (after transformation) at plan time, hex; none for a delete.
    pub source: Option<String>,
    /// Fingerprint of the destination row at plan time, hex; none for a create.
    pub destination: Option<String>,
    /// The fields that change.
    pub fields: Vec<FieldChange>,
}

/// What would happen to one stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamPlan {
    /// The stream.
    pub stream: String,
    /// Destination table.
    pub table: String,
    /// Mode.
    pub mode: String,
    /// Digest used: `native`, `canonical`, `remembered`, `none`.
    pub digest: String,
    /// Why a full comparison is needed, where it is.
    pub note: Option<String>,
    /// Rows at the source in scope.
    pub in_scope: u64,
    /// Counts.
    pub creates: u64,
    /// Counts.
    pub updates: u64,
    /// Counts.
    pub deletes: u64,
    /// At the destination only, left alone.
    pub extra: u64,
    /// Rows that would be parked, by code.
    pub parked: Vec<(String, u64)>,
    /// Deletions that would be held back.
    #[serde(default)]
    pub held: u64,
    /// Their number and the reason, as a sentence.
    pub held_back: Option<String>,
    /// Rows of the source that keep an edit of the destination.
    #[serde(default)]
    pub kept: u64,
    /// Rows of other tables that deletions would reach by CASCADE or SET NULL.
    pub cascades: Vec<String>,
    /// DDL that would run.
    pub ddl: Vec<String>,
    /// Constraints and defaults that cannot be carried over.
    pub left_out: Vec<String>,
    /// Columns that may not hold every value.
    pub checked: Vec<String>,
    /// Drift found.
    pub drift: Vec<Drift>,
}

/// One difference of shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// The stream.
    pub stream: String,
    /// `new_column`, `missing_column`, `retyped`, `renamed`, `not_written`, `missing_table`, `recreated`.
    pub kind: String,
    /// The column, where it is one.
    pub column: Option<String>,
    /// A sentence: expected, got, what to do.
    pub detail: String,
    /// It stops the stream under the current policy.
    pub stops: bool,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Format of the plan file.
    pub version: u32,
    /// The sync.
    pub sync: String,
    /// Scope.
    pub scope: String,
    /// When, µs.
    pub at: i64,
    /// Fingerprint of the configuration that it was made under, hex.
    pub config: String,
    /// Per stream.
    pub streams: Vec<StreamPlan>,
    /// The changes, at most as many as were asked for; all of them in a plan file.
    pub changes: Vec<PlannedChange>,
    /// All changes are listed.
    pub complete: bool,
    /// Why `run --plan` cannot apply it, where it cannot.
    #[serde(default)]
    pub not_applicable: Option<String>,
}

impl StreamPlan {
    /// Rows that the run would write or take away.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.creates + self.updates + self.deletes
    }

    /// Rows that the run would leave for a person to decide.
    #[must_use]
    pub fn undecided(&self) -> u64 {
        self.held + self.parked.iter().map(|(_, n)| n).sum::<u64>()
    }

    /// The run would stop for its shape.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.drift.iter().any(|d| d.stops)
    }
}

impl Plan {
    /// Whether a run would change nothing, and end well.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.iter().all(|s| s.changes() + s.undecided() == 0 && s.ddl.is_empty() && !s.stops())
    }
}

/// One check of a verify report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamCheck {
    /// The stream.
    pub stream: String,
    /// Destination table.
    pub table: String,
    /// Rows at the source in scope.
    pub source_rows: u64,
    /// Rows at the destination within the stream's predicate, marked ones left out.
    pub destination_rows: u64,
    /// Rows compared field by field.
    pub compared: u64,
    /// At the source only.
    pub missing: u64,
    /// At the destination only.
    pub extra: u64,
    /// On both sides with different content.
    pub different: u64,
    /// Fields the destination holds by right (`edits: keep`).
    pub kept: u64,
    /// Parked rows among the missing and different ones, each with its reason on the list.
    pub parked: u64,
    /// Rows whose parent is missing at the destination (FR-004).
    pub orphans: u64,
    /// The stream passed.
    pub passed: bool,
}

/// One difference that verify found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The stream.
    pub stream: String,
    /// `missing`, `extra`, `different`, `orphan`.
    pub kind: String,
    /// Key as JSON array.
    pub key: String,
    /// Its key at the source, where that is another one (`ids`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_key: Option<String>,
    /// Fields that differ: (column, source text, destination text), shortened.
    pub fields: Vec<(String, Option<String>, Option<String>)>,
}

/// How many records of a stream have an id at the destination.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IdCoverage {
    /// The stream.
    pub stream: String,
    /// Mappings, wherever they are kept, also those of records that the source has no more.
    pub mapped: u64,
    /// Records at the source.
    pub in_scope: u64,
    /// Of those, the ones with a mapping.
    pub covered: u64,
    /// References of its records to records that the source does not have.
    pub orphans: u64,
    /// The first of them.
    pub orphan_references: Vec<OrphanReference>,
}

impl IdCoverage {
    /// Nothing counted yet.
    #[must_use]
    pub fn of(stream: &str) -> Self {
        Self { stream: stream.to_owned(), ..Self::default() }
    }
}

/// A reference to a record that is not there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrphanReference {
    /// Key of the record that refers, as JSON array.
    pub key: String,
    /// Its column.
    pub column: String,
    /// The stream it refers to.
    pub stream: String,
    /// The id that nobody has there.
    pub id: serde_json::Value,
}

/// A verify report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Its id and number.
    pub id: String,
    /// Number for people.
    pub number: u64,
    /// The sync.
    pub sync: String,
    /// Scope.
    pub scope: String,
    /// When it started, µs.
    pub started_at: i64,
    /// Time spent, ms.
    pub duration_ms: u64,
    /// Share of rows compared: 1.0 unless `--sample`.
    pub sample: f64,
    /// Per stream.
    pub streams: Vec<StreamCheck>,
    /// Differences, the first 10,000.
    pub differences: Vec<Difference>,
    /// More differences than listed.
    pub truncated: bool,
    /// No row is missing, different or without its parent, and none is extra where extra rows would be deleted. Parked rows are
    /// missing or different like any other; fields that are kept by right are no differences.
    pub passed: bool,
}

/// What `check` found.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// The sync.
    pub sync: String,
    /// Of the source.
    pub source: Vec<Finding>,
    /// Of the destination.
    pub destination: Vec<Finding>,
    /// Of the pair: types, drift, base size, undo.
    pub pair: Vec<Finding>,
    /// Drift found.
    pub drift: Vec<Drift>,
}

/// Progress of a run, for bars and periodic lines.
pub trait Progress: Send + Sync {
    /// A stream starts; `rows` is the expected number, where known.
    fn stream_started(&self, stream: &str, phase: &str, rows: Option<u64>);
    /// Rows done in the current phase, in all.
    fn stream_rows(&self, stream: &str, rows: u64);
    /// A stream ends.
    fn stream_finished(&self, stream: &str, books: &Books);
    /// A phase of the run (`compare`, `apply`, `commit`).
    fn phase(&self, text: &str);
}

/// Progress that nobody watches.
#[derive(Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn stream_started(&self, _: &str, _: &str, _: Option<u64>) {}
    fn stream_rows(&self, _: &str, _: u64) {}
    fn stream_finished(&self, _: &str, _: &Books) {}
    fn phase(&self, _: &str) {}
}
