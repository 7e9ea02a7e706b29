//! Asking a system for rows and digests.

use async_trait::async_trait;
use syncline_model::{Canon, RowBatch, Table, Value};

use crate::Result;

/// A piece of a condition the user wrote: SQL as is, or a value that is bound, never rendered (`{{ scope }}`).
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// The system's own SQL over bare column names.
    Sql(String),
    /// A bound parameter.
    Bound(Value),
}

/// One condition; a filter is their conjunction. Columns are named as the table has them.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// The user's `where`.
    Sql(Vec<Piece>),
    /// `column = value` (never with NULL), byte for byte, whatever the column's collation calls equal.
    Equals(String, Value),
    /// `column IS NULL`.
    IsNull(String),
    /// `column IS NOT NULL`.
    NotNull(String),
    /// `column >= value`: inclusive, for cursors and ranges.
    AtLeast(String, Value),
    /// Rows that are not known to come before this value of a cursor: `column >= value`, or it has none, or one that has no place in the
    /// order of the others (NULL; a number among SQLite's texts; a zero date of MySQL). In a form that an index of the column serves.
    NotBefore(String, Value),
    /// `column < value`.
    Below(String, Value),
    /// Rows whose key comes after this one in the server's own order of the columns (none of them NULL).
    After {
        /// Key columns.
        columns: Vec<String>,
        /// The key.
        key: Vec<Value>,
    },
    /// The others: rows whose key does not come after this one. Exactly the complement of `After`.
    UpTo {
        /// Key columns.
        columns: Vec<String>,
        /// The key.
        key: Vec<Value>,
    },
    /// These keys. The connector cuts the list to its parameter limit and may ask in several statements.
    KeyIn {
        /// Key columns, in the order of the batch's cells.
        columns: Vec<String>,
        /// The keys.
        keys: RowBatch,
    },
}

/// How cells come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadForm {
    /// As values, through the binary protocol where the system has one.
    Values,
    /// Every cell as `Text` (or `Null`, or `Bytes` for binary columns), rendered by the system itself with all session
    /// settings pinned: the independent path that `verify` reads.
    Text,
    /// The system's own bulk format, undecoded (`Batch::Raw`), for a destination of the same system.
    Raw,
}

/// What to read.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// The table as `discover` gave it.
    pub table: Table,
    /// Columns, in the order the batches will have.
    pub columns: Vec<String>,
    /// Conditions, all of which hold.
    pub filter: Vec<Predicate>,
    /// Columns to order by, ascending in the server's own index order; empty for none.
    pub order: Vec<String>,
    /// How cells come back.
    pub form: ReadForm,
    /// A batch is handed over once it holds this many bytes.
    pub batch_bytes: usize,
    /// A cell above this many bytes comes back as `ValueRef::Large` with its length (R25). In `Raw` form such rows are
    /// sent last, their large fields read in slices.
    pub large_over: u64,
}

/// Which bytes of one value to read.
#[derive(Clone, Debug)]
pub struct SliceRequest {
    /// The table as `discover` gave it.
    pub table: Table,
    /// Conditions that one row alone meets.
    pub filter: Vec<Predicate>,
    /// The value's column: bytes, or text.
    pub column: String,
    /// First byte, from 0.
    pub offset: u64,
    /// Bytes at most, at least 1.
    pub max: u64,
}

/// Rows in the system's own bulk format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawChunk {
    /// Bytes of the format; a chunk may end anywhere.
    pub bytes: Vec<u8>,
    /// Rows that *end* in this chunk.
    pub rows: u64,
}

/// What a row stream hands over.
#[derive(Clone, Debug, PartialEq)]
pub enum Batch {
    /// Decoded rows.
    Rows(RowBatch),
    /// Undecoded rows.
    Raw(RawChunk),
}

/// Rows arriving. Holds its snapshot; dropping it early is allowed and leaves the snapshot usable.
#[async_trait]
pub trait RowStream: Send {
    /// The next batch, never empty; `None` at the end, and only at the end of a *complete* listing: a cut connection is an error.
    async fn next(&mut self) -> Result<Option<Batch>>;
}

/// Which digest (R12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigestKind {
    /// The system's own fastest row hash; comparable only between two systems of the same engine and column types.
    Native,
    /// The cross-engine form of `docs/specs/digest.md`, in the system's SQL.
    Canonical,
    /// The system's own fastest row hash, compared only with that of an earlier day; buckets are those of the canonical key, which
    /// the other system puts the same keys into.
    Own,
}

/// How keys fall into segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segments {
    /// Integer key: segment = key / size, truncated toward zero, as all three engines divide.
    Ranges {
        /// The key column.
        column: String,
        /// Keys per segment, ≥ 1.
        size: u64,
    },
    /// Any key: segment = the first `digits` hex digits of the MD5 of the canonical key text; with `Native`, of any hash of the key
    /// that both systems share.
    Buckets {
        /// 1 to 4.
        digits: u8,
    },
}

/// One column of a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestColumn {
    /// Its name here (the other side may call it differently).
    pub name: String,
    /// The form both sides use.
    pub canon: Canon,
    /// Enters as its own MD5, because it may be long on either side (R4).
    pub hashed: bool,
}

/// What to digest.
#[derive(Clone, Debug)]
pub struct DigestRequest {
    /// The table as `discover` gave it.
    pub table: Table,
    /// Key columns.
    pub key: Vec<DigestColumn>,
    /// All compared columns, key included, in the order both sides agreed on.
    pub columns: Vec<DigestColumn>,
    /// Which hash.
    pub kind: DigestKind,
    /// How keys fall into segments.
    pub segments: Segments,
    /// Conditions, all of which hold.
    pub filter: Vec<Predicate>,
}

/// The digest of one segment. `hashed` < `rows` means some row had no hash: the segment counts as different (R4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentDigest {
    /// Segment number.
    pub id: i64,
    /// Rows in it.
    pub rows: u64,
    /// Rows whose hash is not NULL.
    pub hashed: u64,
    /// XOR of the row hashes.
    pub hash: u64,
}

/// A source's clock and what was open, seen before the snapshot was taken (R5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The system's own clock, µs since 1970 UTC.
    pub at: i64,
    /// Open transactions that this session can tell apart, by an identity that is never reused.
    pub open: Vec<String>,
    /// A proven low-water mark, where the system shows start times: every transaction that began before had ended.
    pub mark: Option<i64>,
    /// Which late-commit rule is in force.
    pub rule: LateCommitRule,
}

/// How late commits are kept from being missed (R5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LateCommitRule {
    /// Start times of open transactions are visible (`pg_read_all_stats`, PROCESS).
    StartTimes,
    /// Open transactions are visible without start times: mark by remembered observations.
    Observations,
    /// Nothing can be proved: a fixed overlap applies, in seconds by default.
    Overlap {
        /// Default overlap where the user gave none, seconds.
        default_s: u32,
    },
}

/// One consistent, read-only view of a system.
#[async_trait]
pub trait Snapshot: Send {
    /// What was seen just before the view was taken.
    fn observation(&self) -> &Observation;

    /// Reads rows. Each row once, unless the table itself has it twice. Errors: `Unavailable` when the connection is lost
    /// (nothing that was read counts as complete), `Invalid` for an unknown column, `Unauthorized` with the GRANT as hint.
    async fn read<'a>(&'a mut self, request: ReadRequest) -> Result<Box<dyn RowStream + 'a>>;

    /// Digests per segment, ordered by segment number; segments without rows are left out.
    async fn digest(&mut self, request: &DigestRequest) -> Result<Vec<SegmentDigest>>;

    /// Key columns and row hash (`I64`, the hash's bits; `Null` where a row has none) of every row in the given segments.
    async fn row_hashes<'a>(&'a mut self, request: &DigestRequest, segments: &[i64]) -> Result<Box<dyn RowStream + 'a>>;

    /// Smallest and largest value of an integer column and the number of rows, under the filter: for choosing segments.
    async fn key_range(&mut self, table: &Table, column: &str, filter: &[Predicate]) -> Result<Option<(i128, i128)>>;

    /// The last of the first `rows` keys under the filter, in the order that [`Predicate::After`] means; `None` when there is no row.
    async fn key_after(&mut self, table: &Table, columns: &[String], filter: &[Predicate], rows: u64) -> Result<Option<Vec<Value>>>;

    /// Bytes of a value that is too large to be read whole (R25): of text its UTF-8, which a slice may cut anywhere. As many as were
    /// asked for, fewer only where the value ends, none behind its end. Errors: `BadRecord` for a value that cannot be cut
    /// or has no single row (`value_too_large`), or is not of its column's type (`type_mismatch`); `Invalid` (`slices_unsupported`)
    /// where `Capabilities::reads_slices` is false.
    async fn slice(&mut self, request: &SliceRequest) -> Result<Vec<u8>>;

    /// Exact number of rows under the filter.
    async fn count(&mut self, table: &Table, filter: &[Predicate]) -> Result<u64>;

    /// Ends the view. Dropping it does so too, later.
    async fn close(self: Box<Self>) -> Result<()>;
}
