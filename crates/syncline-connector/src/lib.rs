//! What a connector must do: the contract between the engine and the systems it moves records between.
//!
//! A [`Connector`] opens a [`Source`] or a [`Destination`]. Both give [`Snapshot`]s to read rows and digests from; a
//! destination also opens [`StagedRun`]s, one transaction each. Errors say what the caller does next ([`ErrorKind`]).

pub mod contract;
pub mod error;
pub mod fail;
pub mod read;
pub mod write;

pub use contract::{Capabilities, ConnectionSpec, Connector, Destination, Finding, Identity, Role, Severity, Source, Trial};
pub use error::{Error, ErrorKind, Result};
pub use read::{
    Batch, DigestColumn, DigestKind, DigestRequest, LateCommitRule, Observation, Piece, Predicate, RawChunk, ReadForm, ReadRequest,
    RowStream, SegmentDigest, Segments, SliceRequest, Snapshot,
};
pub use write::{
    Applied, CommitFate, DeleteAction, Fit, InParts, LargeFields, LoadDdl, MarkValue, Marker, NewTable, Referrer, Reject, RunSpec,
    StagedRun, StreamOutcome, StreamWrite, TableDdl, WritePath,
};
