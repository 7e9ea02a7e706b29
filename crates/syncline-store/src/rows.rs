//! Rows of the state tables. Instants are µs since 1970 UTC, durations ms; JSON columns hold `serde_json` text.

use serde::{Deserialize, Serialize};
use syncline_model::Books;

/// How a run was started (S4-008).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// By a schedule.
    Scheduled,
    /// By a person.
    Manual,
    /// By an event.
    Webhook,
    /// A throttled full run.
    Backfill,
    /// Parked rows tried again, by hand.
    Retry,
    /// Restores an earlier run.
    Undo,
    /// Writes the differences that a `verify` found.
    Repair,
}

/// Where a run stands. `Running` survives a crash and is settled by the next run of the same sync and scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Started and not ended.
    Running,
    /// The books balance and nothing was parked or held back.
    Succeeded,
    /// The books balance, something was parked or held back.
    Partial,
    /// Ended with an error; nothing after the last commit is at the destination.
    Failed,
    /// Stopped by a person.
    Cancelled,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// Its id (time-ordered, 26+ characters).
    pub id: String,
    /// Number for people, counted up per store by `start_run`; 0 before.
    pub number: u64,
    /// The sync.
    pub sync: String,
    /// Scope; "" when unscoped.
    pub scope: String,
    /// How it was started.
    pub kind: RunKind,
    /// `full`, `incremental`, `diff`, `key`.
    pub mode: String,
    /// Start.
    pub started_at: i64,
    /// End.
    pub completed_at: Option<i64>,
    /// Where it stands.
    pub status: RunStatus,
    /// Sum over the streams.
    pub books: Books,
    /// Conflicts found and resolved.
    pub conflicts: u64,
    /// Why it failed.
    pub error: Option<RunError>,
    /// What it was about to commit, when that is not settled yet.
    pub intent: Option<RunIntent>,
    /// Before-images are there.
    pub undoable: bool,
    /// The run that undid it.
    pub undone_by: Option<String>,
    /// The run this one undoes or repeats.
    pub of_run: Option<String>,
    /// Warnings and facts worth telling (`complete but empty`, `undo is off because …`).
    pub notes: Vec<String>,
    /// Per stream.
    pub streams: Vec<StreamRow>,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// Stable code.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The causes, outermost first.
    pub causes: Vec<String>,
}

/// The books of one stream in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamRow {
    /// The stream.
    pub stream: String,
    /// Destination table.
    pub table: String,
    /// Mode of this stream.
    pub mode: String,
    /// `load`, `stage`; and the digest kind where one was used: `native`, `canonical`, `remembered`, `none`.
    pub path: String,
    /// Digest kind.
    pub digest: String,
    /// Counts.
    pub books: Books,
    /// Time spent on it, ms: reading, comparing and staging; the apply as well where it was applied alone.
    pub duration_ms: u64,
    /// Parked rows by code.
    pub parked_by_code: Vec<(String, u64)>,
}

/// What a run is about to commit, recorded before COMMIT (R24).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunIntent {
    /// `Marker` as JSON.
    pub marker: String,
    /// Opaque token of the destination transaction.
    pub token: Option<String>,
    /// Everything that `finish` would write to the state, as JSON, so that a later run can settle this one.
    pub settlement: String,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFinish {
    /// Final status.
    pub status: RunStatus,
    /// End.
    pub completed_at: i64,
    /// Sum over the streams.
    pub books: Books,
    /// Conflicts.
    pub conflicts: u64,
    /// Why it failed.
    pub error: Option<RunError>,
    /// Before-images are there.
    pub undoable: bool,
    /// Warnings and facts.
    pub notes: Vec<String>,
}

/// Which runs.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Of this sync.
    pub sync: Option<String>,
    /// Of this scope.
    pub scope: Option<String>,
    /// With this status.
    pub status: Option<RunStatus>,
    /// Started at or after.
    pub since: Option<i64>,
}

/// A slice of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Rows to skip.
    pub offset: u64,
    /// Rows at most.
    pub limit: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self { offset: 0, limit: 100 }
    }
}

/// One deletion, made or held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionRow {
    /// The run.
    pub run: String,
    /// The stream.
    pub stream: String,
    /// Key as JSON.
    pub key_json: String,
    /// `missing_at_source`, `unmapped`, `left_scope`, `undo`.
    pub reason: String,
    /// False: waits for approval.
    pub done: bool,
}

/// Where a stream stands (`sync_state`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionRow {
    /// The sync (`app_key`).
    pub sync: String,
    /// Scope; "" when unscoped.
    pub scope: String,
    /// The stream.
    pub stream: String,
    /// `collection_key`: the stream's name unless configured.
    pub collection_key: String,
    /// Source clock at the start of the last success, µs.
    pub last_synced_at: Option<i64>,
    /// Low-water mark for the next incremental read, source clock µs; none yet: the next run compares everything.
    pub mark: Option<i64>,
    /// Cursor value from which the next incremental read starts, as JSON of `syncline_model::json`; for cursors that are no instants.
    pub cursor_json: Option<String>,
    /// Last run that moved it.
    pub run: String,
    /// What decides the rows that it speaks of: another shape, and it says nothing. Left out of the checksum while empty, as older programs
    /// wrote none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub shape: String,
    /// Largest cursor values of earlier runs, oldest first, from which the next read may not start yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<CursorRow>,
}

/// The largest value of a cursor that a run saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorRow {
    /// Source clock just before the run read, µs.
    pub at: i64,
    /// The value, as JSON of `syncline_model::json`.
    pub cursor_json: String,
}

/// One observation of a source (R5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservationRow {
    /// Source clock, µs.
    pub at: i64,
    /// Open transactions.
    pub open: Vec<String>,
}

/// A parked row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedRow {
    /// Number for people; 0 before `park`.
    pub id: u64,
    /// The sync.
    pub sync: String,
    /// Scope.
    pub scope: String,
    /// The stream.
    pub stream: String,
    /// Key as JSON (source key).
    pub key_json: String,
    /// Stable code.
    pub code: String,
    /// Column at fault.
    pub column: Option<String>,
    /// A sentence for people.
    pub detail: String,
    /// The row as JSON object, for display only (R29).
    pub image_json: Option<String>,
    /// Run that parked it last.
    pub run: String,
    /// First parked, µs.
    pub first_at: i64,
    /// Last tried, µs.
    pub last_at: i64,
    /// Times it was tried.
    pub attempts: u32,
    /// How it was closed; open while `None`.
    pub outcome: Option<String>,
}

/// Which parked rows.
#[derive(Clone, Debug, Default)]
pub struct ParkedFilter {
    /// Of this sync.
    pub sync: Option<String>,
    /// Of this scope.
    pub scope: Option<String>,
    /// Of this stream.
    pub stream: Option<String>,
    /// These ids only, when not empty.
    pub ids: Vec<u64>,
    /// Closed ones too.
    pub closed: bool,
}

/// A remembered segment digest pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRow {
    /// Segment number.
    pub id: i64,
    /// Source rows and hash.
    pub source: (u64, u64),
    /// Destination rows and hash.
    pub destination: (u64, u64),
}

/// One id mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRow {
    /// Canonical bytes of the legacy key.
    pub legacy: Vec<u8>,
    /// Legacy key as JSON.
    pub legacy_json: String,
    /// New id as JSON.
    pub new_json: String,
    /// Run that added it.
    pub run: String,
}

/// One conflict on one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictRow {
    /// The run.
    pub run: String,
    /// The stream.
    pub stream: String,
    /// Key as JSON.
    pub key_json: String,
    /// The field.
    pub field: String,
    /// Source value as JSON.
    pub source_json: String,
    /// Destination value as JSON.
    pub destination_json: String,
    /// What was written.
    pub resolved_json: String,
    /// `source` or `destination`.
    pub winner: String,
    /// The strategy.
    pub strategy: String,
    /// Why.
    pub note: String,
}

/// A verify report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifyRow {
    /// Its id.
    pub id: String,
    /// Number for people; 0 before saving.
    pub number: u64,
    /// The sync.
    pub sync: String,
    /// Scope.
    pub scope: String,
    /// Start, µs.
    pub started_at: i64,
    /// Time spent, ms.
    pub duration_ms: u64,
    /// No differences.
    pub passed: bool,
    /// The whole report as JSON: streams, counts, checks, differences with keys.
    pub report_json: String,
}

/// One audit line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// When, µs.
    pub at: i64,
    /// Who: operating-system user and host for the command line.
    pub actor: String,
    /// `run`, `undo`, `parked.retry`, …
    pub action: String,
    /// Of which sync.
    pub sync: Option<String>,
    /// Details as JSON; no values of records, no secrets.
    pub detail_json: String,
}

/// Which audit lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only of this sync.
    pub sync: Option<String>,
    /// Only from then on, µs.
    pub since: Option<i64>,
}

/// Asking for a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockRequest {
    /// `run/SYNC/SCOPE`.
    pub name: String,
    /// Who asks, for people: `user@host pid 123`.
    pub holder: String,
    /// The run.
    pub run: String,
    /// Now, µs.
    pub now: i64,
    /// Lease end, µs.
    pub until: i64,
    /// The process that asks, in a form by which a process on the same machine can tell whether it still lives; unknown elsewhere.
    pub process: Option<String>,
    /// A process that was seen to be gone: its lock is taken whatever its lease says, if it still is the holder.
    pub gone: Option<String>,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// The lock.
    pub name: String,
    /// Who.
    pub holder: String,
    /// The run.
    pub run: String,
    /// Since, µs.
    pub since: i64,
    /// Lease end, µs.
    pub until: i64,
    /// The process that holds it, where it said so.
    #[serde(default)]
    pub process: Option<String>,
}
