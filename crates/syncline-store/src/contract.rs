//! What a state store must do. One small trait per table, summed into a transaction; SQLite implements them here, and
//! whatever else implements them passes the same conformance suite.

use async_trait::async_trait;

use crate::error::StoreError;
use crate::rows::{
    AuditFilter, AuditRow, ConflictRow, DeletionRow, IdRow, LockHolder, LockRequest, ObservationRow, Page, ParkedFilter, ParkedRow,
    PositionRow, RunFilter, RunFinish, RunIntent, RunRow, SegmentRow, StreamRow, VerifyRow,
};

/// Result of every store method.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The durable state of one Syncline installation.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// Opens a transaction. Never held across a call to another system.
    async fn begin(&self) -> Result<Box<dyn StateTx>>;
}

/// One transaction: everything in it becomes durable together at `commit`, or not at all; dropping it rolls back. Transactions of one
/// process queue behind each other, so a task that holds one must not begin a second. A step that fails leaves no trace, and the
/// transaction goes on.
#[async_trait]
pub trait StateTx:
    RunTable
    + WaitingTable
    + PositionTable
    + ParkedTable
    + BaseTable
    + SegmentTable
    + IdTable
    + ConflictTable
    + VerifyTable
    + AuditTable
    + LockTable
    + Send
{
    /// Makes everything durable.
    async fn commit(self: Box<Self>) -> Result<()>;
}

/// Runs and the books of their streams.
#[async_trait]
pub trait RunTable {
    /// Records a run at its start, status `running`, and numbers it: one more than the last, never a number that was given before.
    async fn start_run(&mut self, run: &RunRow) -> Result<()>;
    /// Records what a run is about to commit at the destination, before it does (R24).
    async fn save_intent(&mut self, run: &str, intent: &RunIntent) -> Result<()>;
    /// Records the books of one stream of a run; the last word wins.
    async fn save_stream(&mut self, run: &str, stream: &StreamRow) -> Result<()>;
    /// Ends a run and drops its intent, which is settled by that. `run_not_running` unless it is `running`, `run_unknown` without one.
    async fn finish_run(&mut self, run: &str, finish: &RunFinish) -> Result<()>;
    /// Marks a run as undone by another run.
    async fn mark_undone(&mut self, run: &str, by: &str) -> Result<()>;
    /// Runs of a sync and scope that can be undone, beyond the newest `keep`.
    async fn stale_undo(&mut self, sync: &str, scope: &str, keep: u32) -> Result<Vec<String>>;
    /// Marks runs as not undoable any more: their before-images are gone.
    async fn drop_undo(&mut self, runs: &[String]) -> Result<()>;
    /// One run with its streams; `run` is its id, its number, or a unique prefix of the id (`id_ambiguous` when it is not).
    async fn load_run(&mut self, run: &str) -> Result<Option<RunRow>>;
    /// Runs, newest first.
    async fn list_runs(&mut self, filter: &RunFilter, page: &Page) -> Result<Vec<RunRow>>;
    /// Records deletions that a run made or held back.
    async fn save_deletions(&mut self, rows: &[DeletionRow]) -> Result<()>;
    /// The deletions of a run.
    async fn list_deletions(&mut self, run: &str, page: &Page) -> Result<Vec<DeletionRow>>;
    /// Removes finished runs (with their streams, conflicts, deletions) and verify reports started before `before` (µs) beyond the newest
    /// `keep` of each per sync, and closed parked rows last touched before it; returns how many runs. Open parked rows and the runs they
    /// came from stay.
    async fn prune_runs(&mut self, before: i64, keep: u32) -> Result<u64>;
}

/// Lists of an open run that grow with the rows it writes: they are kept here, piece by piece, and become part of the run's record with its
/// commit, or are forgotten.
#[async_trait]
pub trait WaitingTable {
    /// Adds a piece. Nothing of it counts until somebody reads it and writes it where it belongs.
    async fn add_waiting(&mut self, run: &str, body: &str) -> Result<()>;
    /// The first piece of a run whose number is above `after`, with its number.
    async fn next_waiting(&mut self, run: &str, after: u64) -> Result<Option<(u64, String)>>;
    /// Forgets all pieces of a run.
    async fn drop_waiting(&mut self, run: &str) -> Result<()>;
}

/// Where each stream of a sync and scope stands (`sync_state`), and what was seen of the source's transactions.
#[async_trait]
pub trait PositionTable {
    /// The position of a stream. A row with a wrong checksum or a newer format is an error, never "none" (G13).
    async fn load_position(&mut self, sync: &str, scope: &str, stream: &str) -> Result<Option<PositionRow>>;
    /// Saves it. `collection_key_doubled` when another stream of the sync and scope has its `collection_key`.
    async fn save_position(&mut self, row: &PositionRow) -> Result<()>;
    /// All positions of a sync.
    async fn list_positions(&mut self, sync: &str) -> Result<Vec<PositionRow>>;
    /// Forgets the positions of a sync (all scopes), so that the next run compares everything.
    async fn clear_positions(&mut self, sync: &str) -> Result<()>;
    /// The last 64 observations of a source connection, oldest first (R5).
    async fn list_observations(&mut self, sync: &str) -> Result<Vec<ObservationRow>>;
    /// Adds one, dropping the oldest beyond 64.
    async fn add_observation(&mut self, sync: &str, row: &ObservationRow) -> Result<()>;
    /// A small named value of a sync (source identity, schema fingerprint, …).
    async fn load_note(&mut self, sync: &str, name: &str) -> Result<Option<String>>;
    /// Saves it.
    async fn save_note(&mut self, sync: &str, name: &str, value: &str) -> Result<()>;
}

/// Parked rows.
#[async_trait]
pub trait ParkedTable {
    /// Parks a row, or refreshes the open entry of the same (sync, scope, stream, key): everything but `first_at`; one attempt more.
    async fn park(&mut self, row: &ParkedRow) -> Result<()>;
    /// Closes the open entry of a key with an outcome (`applied`, `gone`, `discarded`). No-op when there is none.
    async fn close_parked(&mut self, sync: &str, scope: &str, stream: &str, key_json: &str, outcome: &str, at: i64) -> Result<bool>;
    /// Open entries by default, oldest first.
    async fn list_parked(&mut self, filter: &ParkedFilter, page: &Page) -> Result<Vec<ParkedRow>>;
    /// How many are open, per stream.
    async fn count_parked(&mut self, sync: &str) -> Result<Vec<(String, u64)>>;
}

/// What both sides last agreed on, per record (`edits: keep`).
#[async_trait]
pub trait BaseTable {
    /// Field hashes of these keys (canonical key bytes), in the given order; `None` where there is no base.
    async fn load_bases(&mut self, sync: &str, scope: &str, stream: &str, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u64>>>>;
    /// Saves field hashes, in the stream's field order.
    async fn save_bases(&mut self, sync: &str, scope: &str, stream: &str, rows: &[(Vec<u8>, Vec<u64>)]) -> Result<()>;
    /// Forgets the base of these keys (deleted records).
    async fn drop_bases(&mut self, sync: &str, scope: &str, stream: &str, keys: &[Vec<u8>]) -> Result<()>;
    /// Moves all bases of `from` to the scope `to`, over what is there; forgets them where `to` is `None`. Bases are spooled under a name
    /// of their own while a run is open, and count only once it is committed.
    async fn move_bases(&mut self, sync: &str, from: &str, to: Option<&str>) -> Result<()>;
    /// Forgets all bases of a stream.
    async fn clear_bases(&mut self, sync: &str, scope: &str, stream: &str) -> Result<()>;
    /// Rows of base held for a sync, for `check`.
    async fn count_bases(&mut self, sync: &str) -> Result<u64>;
}

/// Remembered segment digests (R12, third kind).
#[async_trait]
pub trait SegmentTable {
    /// Digests of both sides as of the last agreeing run; empty when there was none or `shape` (columns, types, filter, segment size) changed.
    async fn load_segments(&mut self, sync: &str, scope: &str, stream: &str, shape: &str) -> Result<Vec<SegmentRow>>;
    /// Replaces them.
    async fn save_segments(&mut self, sync: &str, scope: &str, stream: &str, shape: &str, rows: &[SegmentRow]) -> Result<()>;
    /// Forgets them.
    async fn clear_segments(&mut self, sync: &str, scope: &str, stream: &str) -> Result<()>;
}

/// Id mappings that Syncline minted or imported (FR-010).
#[async_trait]
pub trait IdTable {
    /// New ids of these legacy keys (canonical bytes), in order.
    async fn load_ids(&mut self, sync: &str, stream: &str, legacy: &[Vec<u8>]) -> Result<Vec<Option<IdRow>>>;
    /// Adds mappings. An existing legacy key with another new id, or an existing new id with another legacy key, is `mapping_doubled`,
    /// never overwritten (D24).
    async fn add_ids(&mut self, sync: &str, stream: &str, rows: &[IdRow]) -> Result<()>;
    /// The legacy key of a new id.
    async fn reverse_id(&mut self, sync: &str, stream: &str, new_json: &str) -> Result<Option<IdRow>>;
    /// Mappings of a stream.
    async fn list_ids(&mut self, sync: &str, stream: &str, page: &Page) -> Result<Vec<IdRow>>;
    /// How many, per stream.
    async fn count_ids(&mut self, sync: &str) -> Result<Vec<(String, u64)>>;
}

/// Conflicts per field.
#[async_trait]
pub trait ConflictTable {
    /// Adds conflicts of a run.
    async fn save_conflicts(&mut self, rows: &[ConflictRow]) -> Result<()>;
    /// The conflicts of a run.
    async fn list_conflicts(&mut self, run: &str, page: &Page) -> Result<Vec<ConflictRow>>;
}

/// Verify reports.
#[async_trait]
pub trait VerifyTable {
    /// Saves a report.
    async fn save_verify(&mut self, row: &VerifyRow) -> Result<()>;
    /// One report; `id` is its id, its number, or a unique prefix of the id (`id_ambiguous` when it is not).
    async fn load_verify(&mut self, id: &str) -> Result<Option<VerifyRow>>;
    /// Reports of a sync, newest first.
    async fn list_verify(&mut self, sync: Option<&str>, page: &Page) -> Result<Vec<VerifyRow>>;
}

/// Audit of every command that writes.
#[async_trait]
pub trait AuditTable {
    /// Adds a line. Never changed, never removed by hand.
    async fn add_audit(&mut self, row: &AuditRow) -> Result<()>;
    /// Lines, newest first.
    async fn list_audit(&mut self, filter: &AuditFilter, page: &Page) -> Result<Vec<AuditRow>>;
}

/// Run locks with leases (U18, X3).
#[async_trait]
pub trait LockTable {
    /// Takes the lock when it is free, its lease has run out, or its holder is the process that the request says is gone, atomically;
    /// gives the fencing token, which only grows, over unlocking too. A holder that asks again is refused like anybody else.
    async fn try_lock(&mut self, request: &LockRequest) -> Result<std::result::Result<u64, LockHolder>>;
    /// Extends the lease; false when the lock was lost.
    async fn renew_lock(&mut self, name: &str, token: u64, until: i64) -> Result<bool>;
    /// Extends the lease where this run still holds the lock; false when another one has taken it since. What is written in the same
    /// transaction is written as the holder.
    async fn hold_lock(&mut self, name: &str, run: &str, until: i64) -> Result<bool>;
    /// Gives the lock back; a no-op when it was lost.
    async fn unlock(&mut self, name: &str, token: u64) -> Result<()>;
    /// Who holds what.
    async fn list_locks(&mut self) -> Result<Vec<LockHolder>>;
}
