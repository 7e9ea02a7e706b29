//! What changed on which side since the last sync, field by field (S4-002).
//!
//! Three-way against the base: a 64-bit hash per field of what was last synced from the source (R6). The verdict per field:
//!
//! | source against base | destination against base | verdict |
//! |---|---|---|
//! | anything | equal to the source | nothing |
//! | missing | anything | nothing: a missing field never erases |
//! | empty (NULL or ""), `clears` not set | holds something | kept: an empty field never erases by itself (G17) |
//! | changed | same | changed |
//! | same | changed | kept: the destination holds its value by right |
//! | changed | changed | conflict |
//!
//! A field without a base hash (first contact, or a field new in the configuration) is judged by the record's times:
//!
//! | times | verdict where the sides differ |
//! |---|---|
//! | source not modified since `last_synced_at`, destination modified | kept |
//! | destination not modified since `last_synced_at` | changed |
//! | both modified, or not known | conflict; but an empty destination field is filled: nothing is lost by it |
//!
//! Times cannot say *which* field was edited, so every field that differs shares the record's verdict. A destination stamped at
//! the very instant of `last_synced_at` was stamped by that sync, and is not modified.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::canonical::Canon;
use crate::normalise::{Normaliser, write_compared};
use crate::value::{Micros, ValueRef};

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldRule {
    /// The canonical form of the pair of columns.
    pub canon: Canon,
    /// Spellings that count as equal; with one, NULL, missing and "" are the same.
    pub normaliser: Option<Normaliser>,
    /// An explicit NULL or "" of the source over a stored value is a change. Without it, it is not.
    pub clears: bool,
}

impl FieldRule {
    /// Plain comparison, nothing cleared.
    #[must_use]
    pub fn plain(canon: Canon) -> Self {
        Self { canon, normaliser: None, clears: false }
    }
}

/// One field of a record on both sides.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The destination column.
    pub name: &'a str,
    /// How it is compared.
    pub rule: FieldRule,
    /// The source's value; `None` when the source's record lacks the field.
    pub source: Option<ValueRef<'a>>,
    /// The destination's value.
    pub destination: ValueRef<'a>,
}

/// When a record was last synced and last modified, all by one clock or at least by clocks that agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The last sync that covered the record.
    pub last_synced_at: Option<Micros>,
    /// The source record's modification stamp.
    pub source_modified_at: Option<Micros>,
    /// The destination record's modification stamp.
    pub destination_modified_at: Option<Micros>,
}

/// The base hash of a field that has none: never synced, or too large to be hashed.
pub const NO_BASE: u64 = 0;

/// The base hash of a value: over the bytes that `detect` compares. Never [`NO_BASE`] for a value that is at hand.
///
/// A later change of the field's normaliser makes old hashes useless; differing fields then become conflicts, never losses.
#[must_use]
pub fn base_hash(v: ValueRef<'_>, rule: FieldRule, scratch: &mut Vec<u8>) -> u64 {
    if matches!(v, ValueRef::Large(_)) {
        return NO_BASE;
    }
    scratch.clear();
    write_compared(scratch, v, rule.canon, rule.normaliser);
    xxh3_64(scratch).max(1)
}

/// A field that only the source changed: its value goes over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FieldChange<'a> {
    /// Index into the fields.
    pub field: usize,
    /// The new value.
    pub source: ValueRef<'a>,
    /// The value it replaces.
    pub destination: ValueRef<'a>,
}

/// A field that both sides changed, differently; or where nobody can tell who did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conflict<'a> {
    /// Index into the fields.
    pub field: usize,
    /// The source's value.
    pub source: ValueRef<'a>,
    /// The destination's value.
    pub destination: ValueRef<'a>,
    /// Why it is one.
    pub cause: ConflictCause,
}

/// Why a difference is a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictCause {
    /// Both differ from the base.
    BothChanged,
    /// No base; both records were modified since the last sync, or only the destination's stamp is known and it is newer.
    DestinationModified,
    /// Neither base nor times: the two met for the first time.
    NeverSynced,
}

/// Why a destination value that differs from the source's stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptCause {
    /// Only the destination changed it.
    DestinationEdited,
    /// The source is empty there, and the field is not `clears: true`.
    SourceEmpty,
}

/// A destination value that differs and stays: `verify` reports it as kept, not as a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Index into the fields.
    pub field: usize,
    /// Why it stays.
    pub cause: KeptCause,
}

/// What `detect` found; fields in none of the lists are equal or missing at the source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChangeSummary<'a> {
    /// Changed by the source alone.
    pub changed: Vec<FieldChange<'a>>,
    /// Changed by both.
    pub conflicts: Vec<Conflict<'a>>,
    /// Different, but not to be written.
    pub kept: Vec<Kept>,
}

impl ChangeSummary<'_> {
    /// Nothing to write and nothing to decide.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.changed.is_empty() && self.conflicts.is_empty()
    }
}

enum Verdict {
    Same,
    Changed,
    Kept(KeptCause),
    Conflict(ConflictCause),
}

/// Compares the fields of one record. `base` is aligned with `fields`; `None` when the record has no base.
///
/// # Panics
/// When `base` has another length than `fields`.
#[must_use]
pub fn detect<'a>(fields: &[Field<'a>], base: Option<&[u64]>, times: Times) -> ChangeSummary<'a> {
    assert!(base.is_none_or(|b| b.len() == fields.len()), "invariant: the base is aligned with the fields");
    let mut summary = ChangeSummary::default();
    let mut scratch = Vec::new();
    for (i, f) in fields.iter().enumerate() {
        let Some(source) = f.source else { continue };
        let base = base.map_or(NO_BASE, |b| b[i]);
        match verdict(f, source, base, times, &mut scratch) {
            Verdict::Same => {}
            Verdict::Changed => summary.changed.push(FieldChange { field: i, source, destination: f.destination }),
            Verdict::Kept(cause) => summary.kept.push(Kept { field: i, cause }),
            Verdict::Conflict(cause) => {
                summary.conflicts.push(Conflict { field: i, source, destination: f.destination, cause });
            }
        }
    }
    summary
}

fn verdict(f: &Field<'_>, source: ValueRef<'_>, base: u64, times: Times, scratch: &mut Vec<u8>) -> Verdict {
    if same(source, f.destination, f.rule, scratch) {
        return Verdict::Same;
    }
    let (source_empty, destination_empty) = (is_empty(source, f.rule), is_empty(f.destination, f.rule));
    if source_empty && !destination_empty && !f.rule.clears {
        return Verdict::Kept(KeptCause::SourceEmpty);
    }
    if base == NO_BASE {
        return by_times(times, destination_empty);
    }
    let source_changed = base_hash(source, f.rule, scratch) != base;
    let destination_changed = base_hash(f.destination, f.rule, scratch) != base;
    match (source_changed, destination_changed) {
        (true, true) => Verdict::Conflict(ConflictCause::BothChanged),
        (false, true) => Verdict::Kept(KeptCause::DestinationEdited),
        // Both equal to the base and yet different is a collision of the hash: writing is the safe answer.
        (true | false, false) => Verdict::Changed,
    }
}

fn by_times(times: Times, destination_empty: bool) -> Verdict {
    let since = |at: Option<Micros>| Some(at? > times.last_synced_at?);
    match (since(times.source_modified_at), since(times.destination_modified_at)) {
        (_, Some(false)) => Verdict::Changed,
        (Some(false), Some(true)) => Verdict::Kept(KeptCause::DestinationEdited),
        _ if destination_empty => Verdict::Changed,
        (_, Some(true)) => Verdict::Conflict(ConflictCause::DestinationModified),
        (_, None) => Verdict::Conflict(ConflictCause::NeverSynced),
    }
}

/// Values that were not fetched (`Large`) are never called the same: different values must never look equal (R9).
fn same(a: ValueRef<'_>, b: ValueRef<'_>, rule: FieldRule, scratch: &mut Vec<u8>) -> bool {
    if matches!(a, ValueRef::Large(_)) || matches!(b, ValueRef::Large(_)) {
        return false;
    }
    scratch.clear();
    write_compared(scratch, a, rule.canon, rule.normaliser);
    let middle = scratch.len();
    write_compared(scratch, b, rule.canon, rule.normaliser);
    let (x, y) = scratch.split_at(middle);
    x == y
}

/// Nothing in the sense of a field: NULL, or text of which its normal form leaves nothing.
#[must_use]
pub fn is_empty(v: ValueRef<'_>, rule: FieldRule) -> bool {
    match v {
        ValueRef::Null => true,
        ValueRef::Text(t) => rule.normaliser.map_or(t.is_empty(), |n| n.apply(t).is_empty()),
        _ => false,
    }
}
