//! Who wins where both sides changed a field (S4-003), what the record becomes, and what the next base is.
//!
//! Changes that do not conflict survive whatever the strategy is: the source's go over, the destination's stay.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::detect::{ChangeSummary, ConflictCause, Field, KeptCause, NO_BASE, base_hash};
use crate::suggest;
use crate::value::ValueRef;

/// What decides a conflict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The source's value.
    #[default]
    #[serde(alias = "federation_wins")]
    SourceWins,
    /// The destination's value.
    #[serde(alias = "local_wins")]
    DestinationWins,
    /// The destination's value where somebody other than the sync modified the record there, else the source's.
    Merge,
}

impl Strategy {
    /// The name in configurations and history.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SourceWins => "source_wins",
            Self::DestinationWins => "destination_wins",
            Self::Merge => "merge",
        }
    }

    /// Needs a `last_modified_by` column at the destination; without one the configuration is refused.
    #[must_use]
    pub fn needs_last_modified_by(self) -> bool {
        self == Self::Merge
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A strategy name that there is none of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown conflict strategy `{name}`{}; one of source_wins, destination_wins, merge", did_you_mean(*.suggestion))]
pub struct UnknownStrategy {
    /// The name as written.
    pub name: String,
    /// The name that was probably meant.
    pub suggestion: Option<&'static str>,
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |s| format!(", did you mean `{s}`?"))
}

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, UnknownStrategy> {
        match name {
            "source_wins" | "federation_wins" => Ok(Self::SourceWins),
            "destination_wins" | "local_wins" => Ok(Self::DestinationWins),
            "merge" => Ok(Self::Merge),
            _ => {
                let known = ["source_wins", "destination_wins", "merge", "federation_wins", "local_wins"];
                Err(UnknownStrategy { name: name.to_owned(), suggestion: suggest::closest(name, known) })
            }
        }
    }
}

/// Who modified the destination's record last, by its `last_modified_by` column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastModifier {
    /// This sync itself: nobody edited the record since.
    Sync,
    /// Somebody else.
    Other,
    /// No such column, or it is NULL. `merge` takes it for somebody else, so that no edit is lost.
    Unknown,
}

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Where records are read.
    Source,
    /// Where they are written.
    Destination,
}

/// Why a field got its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Only the source changed it.
    SourceChanged,
    /// It stays, without a conflict.
    Kept(KeptCause),
    /// Both sides claim it; the strategy decided.
    Conflict {
        /// Why it is a conflict.
        cause: ConflictCause,
        /// The strategy applied.
        strategy: Strategy,
        /// Who was the destination's last modifier; only `merge` asks.
        modifier: LastModifier,
    },
}

/// What was decided for one field. Fields without a difference have none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Note<'a> {
    /// Index into the fields.
    pub field: usize,
    /// The field's name.
    pub name: &'a str,
    /// Whose value stands.
    pub winner: Side,
    /// Why.
    pub why: Why,
}

/// The sentence for history and `conflicts`. Never a value: values are stored apart, under the rules of retention.
impl fmt::Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self.winner {
            Side::Source => "source value taken",
            Side::Destination => "destination value kept",
        };
        write!(f, "`{}`: {whose}, ", self.name)?;
        match self.why {
            Why::SourceChanged => f.write_str("changed at the source only"),
            Why::Kept(KeptCause::DestinationEdited) => f.write_str("changed at the destination only"),
            Why::Kept(KeptCause::SourceEmpty) => f.write_str("the source is empty there and `clears` is not set"),
            Why::Conflict { cause, strategy, modifier } => {
                f.write_str(match cause {
                    ConflictCause::BothChanged => "changed on both sides since the last sync",
                    ConflictCause::DestinationModified => "the destination was modified since the last sync and no base is known",
                    ConflictCause::NeverSynced => "different, and no earlier sync is known",
                })?;
                write!(f, "; decided by {strategy}")?;
                match (strategy, modifier) {
                    (Strategy::SourceWins | Strategy::DestinationWins, _) => Ok(()),
                    (Strategy::Merge, LastModifier::Sync) => f.write_str(": the sync itself modified the record last"),
                    (Strategy::Merge, LastModifier::Other) => f.write_str(": somebody else modified the record last"),
                    (Strategy::Merge, LastModifier::Unknown) => f.write_str(": who modified the record last is not known"),
                }
            }
        }
    }
}

/// What the record becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution<'a> {
    /// One value per field: the destination's row after the sync.
    pub values: Vec<ValueRef<'a>>,
    /// The fields whose value must be written, in order.
    pub written: Vec<usize>,
    /// The base to store once the row is committed, aligned with the fields.
    pub base: Vec<u64>,
    /// What was decided, one per field that differs, in the order of the fields.
    pub notes: Vec<Note<'a>>,
}

/// Decides every field. `fields` and `base` are those that `summary` was detected from.
///
/// The next base is the source's value, *also* where the destination won: the source has said this much, so that its next
/// word is a change and the destination's present value an edit that stays. It stays as it was where the source said nothing.
#[must_use]
pub fn resolve<'a>(
    fields: &[Field<'a>],
    base: Option<&[u64]>,
    summary: &ChangeSummary<'a>,
    strategy: Strategy,
    modifier: LastModifier,
) -> Resolution<'a> {
    let mut r = Resolution {
        values: fields.iter().map(|f| f.destination).collect(),
        written: Vec::new(),
        base: next_base(fields, base, summary),
        notes: Vec::new(),
    };
    let changed = summary.changed.iter().map(|c| (c.field, Side::Source, Why::SourceChanged));
    let kept = summary.kept.iter().map(|k| (k.field, Side::Destination, Why::Kept(k.cause)));
    let winner = conflict_winner(strategy, modifier);
    let conflicts = summary.conflicts.iter().map(|c| (c.field, winner, Why::Conflict { cause: c.cause, strategy, modifier }));
    for (field, winner, why) in changed.chain(kept).chain(conflicts) {
        r.notes.push(Note { field, name: fields[field].name, winner, why });
        if winner == Side::Source
            && let Some(source) = fields[field].source
        {
            r.values[field] = source;
            r.written.push(field);
        }
    }
    r.notes.sort_by_key(|n| n.field);
    r.written.sort_unstable();
    r
}

fn conflict_winner(strategy: Strategy, modifier: LastModifier) -> Side {
    match (strategy, modifier) {
        (Strategy::SourceWins, _) | (Strategy::Merge, LastModifier::Sync) => Side::Source,
        (Strategy::DestinationWins, _) | (Strategy::Merge, LastModifier::Other | LastModifier::Unknown) => Side::Destination,
    }
}

fn next_base(fields: &[Field<'_>], base: Option<&[u64]>, summary: &ChangeSummary<'_>) -> Vec<u64> {
    let mut scratch = Vec::new();
    let mut next: Vec<u64> = fields
        .iter()
        .enumerate()
        .map(|(i, f)| match f.source {
            Some(source) => base_hash(source, f.rule, &mut scratch),
            None => base.map_or(NO_BASE, |b| b[i]),
        })
        .collect();
    for k in summary.kept.iter().filter(|k| k.cause == KeptCause::SourceEmpty) {
        next[k.field] = base.map_or(NO_BASE, |b| b[k.field]);
    }
    next
}
