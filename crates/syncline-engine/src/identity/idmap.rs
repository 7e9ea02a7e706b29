//! The id mappings of one stream in memory: legacy id to new id and back, within a bound of bytes, and what is wrong with
//! them. A mapping that contradicts itself stops the run with the ids (D24); nothing is minted over it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use syncline_model::batch::{decode_cell, encode_cell};
use syncline_model::{Value, ValueRef};
use xxhash_rust::xxh3::xxh3_128;

use super::form::IdForm;
use super::mint::Mint;

/// A legacy id and its new id.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// The key at the source.
    pub legacy: Value,
    /// The key at the destination.
    pub new: Value,
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.legacy, self.new)
    }
}

/// How many ids an error shows; the rest is counted.
const SHOWN_MAX: usize = 20;

/// Some mappings, for people: the first [`SHOWN_MAX`] and how many there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The first ones.
    pub shown: Vec<Mapping>,
    /// All of them.
    pub total: usize,
}

impl Sample {
    fn add(&mut self, m: Mapping) {
        if self.shown.len() < SHOWN_MAX {
            self.shown.push(m);
        }
        self.total += 1;
    }
}

impl Sample {
    /// Not a second time what is shown already.
    fn add_once(&mut self, m: Mapping) {
        if self.shown.len() < SHOWN_MAX && !self.shown.contains(&m) {
            self.add(m);
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.shown.iter().map(ToString::to_string).collect();
        f.write_str(&shown.join(", "))?;
        match self.total - self.shown.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Mappings that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum IdMapError {
    /// One legacy id has two new ids, or two legacy ids share one.
    #[error("id mappings contradict each other: {0}")]
    Doubled(Sample),
    /// Following new ids as legacy ids leads back to the start: the mapping was applied to its own results.
    #[error("id mappings run in a circle: {0}")]
    Cyclic(Sample),
    /// A mapping without one of its sides, or with an id that its column cannot hold.
    #[error("id mappings without a usable id: {0}")]
    Unusable(Sample),
    /// More mappings than the memory given.
    #[error("id mappings need more than {bytes_max} bytes")]
    Full {
        /// The bound.
        bytes_max: usize,
    },
}

impl IdMapError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Doubled(_) => "id_mapping_doubled",
            Self::Cyclic(_) => "id_mapping_cyclic",
            Self::Unusable(_) => "id_mapping_unusable",
            Self::Full { .. } => "id_mapping_too_large",
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Doubled(_) => "decide which mapping is right and delete the other; nothing was written or minted",
            Self::Cyclic(_) => "the new ids must not be legacy ids of the same mapping; check the two column names in `ids:`",
            Self::Unusable(_) => "complete or delete these mappings, or check the column names and `entity` in `ids:`",
            Self::Full { .. } => "raise `memory`, or split the stream with `where`",
        }
    }
}

/// What the hash tables take per mapping beside its bytes: two entries of pointers, lengths, control bytes, and two
/// reference-counted blocks. An estimate from above.
const OVERHEAD_BYTES: usize = 160;

type Bytes = Arc<[u8]>;

/// Collects the mappings of a stream; [`IdMapBuilder::finish`] judges them.
#[derive(Debug)]
pub struct IdMapBuilder {
    legacy: IdForm,
    new: IdForm,
    bytes_max: usize,
    bytes: usize,
    forward: HashMap<Bytes, Bytes>,
    back: HashMap<Bytes, Bytes>,
    doubled: Sample,
    unusable: Sample,
}

impl IdMapBuilder {
    /// Starts with no mapping. The forms are those of the two key columns.
    #[must_use]
    pub fn new(legacy: IdForm, new: IdForm, bytes_max: usize) -> Self {
        let (forward, back) = (HashMap::new(), HashMap::new());
        Self { legacy, new, bytes_max, bytes: 0, forward, back, doubled: Sample::default(), unusable: Sample::default() }
    }

    /// Takes a mapping as it was found. The very same mapping may come again.
    ///
    /// # Errors
    /// `Full`. Contradictions are collected for [`IdMapBuilder::finish`], which knows all of them.
    pub fn add(&mut self, legacy: ValueRef<'_>, new: ValueRef<'_>) -> Result<(), IdMapError> {
        let found = || Mapping { legacy: legacy.to_owned(), new: new.to_owned() };
        let (Some(l), Some(n)) = (self.legacy.take(legacy), self.new.take(new)) else {
            self.unusable.add(found());
            return Ok(());
        };
        if !self.insert(&l, &n)? {
            // Both sides of the contradiction: a person has to choose between them.
            for rival in self.rivals(&l, &n).into_iter().flatten() {
                self.doubled.add_once(rival);
            }
            self.doubled.add(found());
        }
        Ok(())
    }

    /// The mappings that are there of this legacy id, and of this new one.
    fn rivals(&self, legacy: &Value, new: &Value) -> [Option<Mapping>; 2] {
        let (by_legacy, by_new) = (self.legacy.canonical(legacy.view()), self.new.canonical(new.view()));
        let back = self.back.get(by_new.as_slice()).map(|l| self.legacy.canonical(cell(l)));
        let there = |key: &[u8]| self.forward.contains_key(key).then(|| self.mapping(key));
        [there(&by_legacy), back.filter(|l| *l != by_legacy).and_then(|l| there(&l))]
    }

    /// False when it contradicts a mapping that is there.
    fn insert(&mut self, legacy: &Value, new: &Value) -> Result<bool, IdMapError> {
        let (by_legacy, by_new) = (self.legacy.canonical(legacy.view()), self.new.canonical(new.view()));
        match (self.forward.get(by_legacy.as_slice()), self.back.get(by_new.as_slice())) {
            (None, None) => {}
            (Some(n), Some(l)) => {
                let same = self.new.canonical(cell(n)) == by_new && self.legacy.canonical(cell(l)) == by_legacy;
                return Ok(same);
            }
            (Some(_), None) | (None, Some(_)) => return Ok(false),
        }
        let (legacy, new) = (encoded(legacy), encoded(new));
        let bytes = self.bytes + by_legacy.len() + by_new.len() + legacy.len() + new.len() + OVERHEAD_BYTES;
        if bytes > self.bytes_max {
            return Err(IdMapError::Full { bytes_max: self.bytes_max });
        }
        self.bytes = bytes;
        self.forward.insert(by_legacy.into(), new);
        self.back.insert(by_new.into(), legacy);
        Ok(true)
    }

    /// The map, with `mint` making ids for what is not in it.
    ///
    /// # Errors
    /// The contradictions, with their ids.
    pub fn finish(self, mint: Option<Mint>) -> Result<IdMap, IdMapError> {
        if self.unusable.total > 0 {
            return Err(IdMapError::Unusable(self.unusable));
        }
        if self.doubled.total > 0 {
            return Err(IdMapError::Doubled(self.doubled));
        }
        let circle = self.circle();
        if circle.total > 0 {
            return Err(IdMapError::Cyclic(circle));
        }
        Ok(IdMap { entries: self, mint, minted: Vec::new(), promised: HashMap::new() })
    }

    /// The first mappings that lead back to themselves. A record that keeps its id is no circle.
    fn circle(&self) -> Sample {
        let mut done: HashSet<&[u8]> = HashSet::new();
        for start in self.forward.keys() {
            let (mut at, mut path) = (start, Vec::new());
            while done.insert(at) {
                path.push(at);
                let Some(next) = self.follow(at) else { break };
                // Walks never meet an earlier one in its middle, for no two mappings share a new id.
                if next == start && path.len() > 1 {
                    let mut sample = Sample::default();
                    path.iter().for_each(|legacy| sample.add(self.mapping(legacy)));
                    return sample;
                }
                at = next;
            }
        }
        Sample::default()
    }

    /// The legacy id that the new id of `legacy` is, if it is one.
    fn follow(&self, legacy: &[u8]) -> Option<&Bytes> {
        let as_legacy = self.legacy.take(cell(&self.forward[legacy]))?;
        self.forward.get_key_value(self.legacy.canonical(as_legacy.view()).as_slice()).map(|(k, _)| k)
    }

    fn mapping(&self, legacy: &[u8]) -> Mapping {
        let new = cell(&self.forward[legacy]);
        let legacy = cell(&self.back[self.new.canonical(new).as_slice()]);
        Mapping { legacy: legacy.to_owned(), new: new.to_owned() }
    }
}

fn encoded(v: &Value) -> Bytes {
    let mut out = Vec::new();
    encode_cell(&mut out, v.view());
    out.into()
}

fn cell(bytes: &[u8]) -> ValueRef<'_> {
    decode_cell(bytes).expect("invariant: the map holds cells it encoded")
}

/// Why a record's id, or a reference to it, has no new id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoId {
    /// No mapping is known and none may be minted.
    Unmapped,
    /// The value cannot be an id of that stream.
    NotAnId,
    /// The id that would be minted belongs to another record already.
    Taken,
    /// The memory for mappings is used up.
    Full,
}

/// The mappings of a stream, sound, growing as ids are minted.
#[derive(Debug)]
pub struct IdMap {
    entries: IdMapBuilder,
    mint: Option<Mint>,
    minted: Vec<Mapping>,
    /// Ids given to references whose record has not come yet, by canonical legacy id.
    promised: HashMap<Vec<u8>, Mapping>,
}

impl IdMap {
    /// How many mappings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.forward.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.forward.is_empty()
    }

    /// Bytes held, counted from above.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.bytes
    }

    /// The new id of a legacy id that has one.
    #[must_use]
    pub fn get(&self, legacy: ValueRef<'_>) -> Option<ValueRef<'_>> {
        let id = self.entries.legacy.take(legacy)?;
        self.entries.forward.get(self.entries.legacy.canonical(id.view()).as_slice()).map(|new| cell(new))
    }

    /// The legacy id behind a new id: the reverse lookup of `syncline ids`.
    #[must_use]
    pub fn legacy_of(&self, new: ValueRef<'_>) -> Option<ValueRef<'_>> {
        let id = self.entries.new.take(new)?;
        self.entries.back.get(self.entries.new.canonical(id.view()).as_slice()).map(|legacy| cell(legacy))
    }

    /// Takes a mapping found later: where not all are loaded at the start, those that a batch asks for.
    ///
    /// # Errors
    /// `Doubled`, `Unusable` or `Full`. Circles are found only among the mappings that were there at the start.
    pub fn learn(&mut self, legacy: ValueRef<'_>, new: ValueRef<'_>) -> Result<(), IdMapError> {
        self.entries.add(legacy, new)?;
        let (doubled, unusable) = (std::mem::take(&mut self.entries.doubled), std::mem::take(&mut self.entries.unusable));
        match (unusable.total, doubled.total) {
            (0, 0) => Ok(()),
            (0, _) => Err(IdMapError::Doubled(doubled)),
            _ => Err(IdMapError::Unusable(unusable)),
        }
    }

    /// The new id of a record that is being written; minted when it has none.
    ///
    /// # Errors
    /// Why it can have none. Never a second id for a record that has one.
    pub fn own(&mut self, legacy: ValueRef<'_>) -> Result<ValueRef<'_>, NoId> {
        let id = self.entries.legacy.take(legacy).ok_or(NoId::NotAnId)?;
        let key = self.entries.legacy.canonical(id.view());
        if let Some(m) = self.promised.remove(&key) {
            self.entries.bytes -= key.len() + OVERHEAD_BYTES;
            self.minted.push(m);
        } else if !self.entries.forward.contains_key(key.as_slice()) {
            let m = self.make(&id)?;
            self.minted.push(m);
        }
        Ok(cell(&self.entries.forward[key.as_slice()]))
    }

    /// The new id that a reference to a record must hold. Where ids are minted, a record that comes later (a foreign key
    /// cycle, a self-reference) gets its id now, and must come: see [`IdMap::orphans`].
    ///
    /// # Errors
    /// Why it can have none.
    pub fn refer(&mut self, legacy: ValueRef<'_>) -> Result<ValueRef<'_>, NoId> {
        let id = self.entries.legacy.take(legacy).ok_or(NoId::NotAnId)?;
        let key = self.entries.legacy.canonical(id.view());
        if !self.entries.forward.contains_key(key.as_slice()) {
            let m = self.make(&id)?;
            self.entries.bytes += key.len() + OVERHEAD_BYTES;
            self.promised.insert(key.clone(), m);
        }
        Ok(cell(&self.entries.forward[key.as_slice()]))
    }

    fn make(&mut self, id: &Value) -> Result<Mapping, NoId> {
        let new = self.mint.ok_or(NoId::Unmapped)?.id(id);
        match self.entries.insert(id, &new) {
            Ok(true) => Ok(Mapping { legacy: id.clone(), new }),
            Ok(false) => Err(NoId::Taken),
            Err(_) => Err(NoId::Full),
        }
    }

    /// Tells apart any two maps that give some record different ids. What would be minted anyway does not count: a record more, minted
    /// in the meantime, changes no reference.
    #[must_use]
    pub fn fingerprint(&self) -> u128 {
        let given = self.entries.forward.iter().filter(|(_, new)| {
            let legacy = || &self.entries.back[self.entries.new.canonical(cell(new)).as_slice()];
            self.mint.is_none_or(|m| {
                self.entries.new.canonical(m.id(&cell(legacy()).to_owned()).view()) != self.entries.new.canonical(cell(new))
            })
        });
        let rules = xxh3_128(format!("{:?}", self.mint).as_bytes());
        given.fold(rules, |all, (legacy, new)| {
            // A length in front keeps the pair's halves apart.
            let mut pair = (legacy.len() as u64).to_le_bytes().to_vec();
            pair.extend_from_slice(legacy);
            pair.extend_from_slice(&self.entries.new.canonical(cell(new)));
            all ^ xxh3_128(&pair)
        })
    }

    /// The mappings minted since the last call: to be written in the transaction that writes their records.
    pub fn take_minted(&mut self) -> Vec<Mapping> {
        std::mem::take(&mut self.minted)
    }

    /// Records that were referred to and never came: the orphans that `ids` lists. Their ids are not in `take_minted`.
    pub fn orphans(&self) -> impl Iterator<Item = &Mapping> {
        self.promised.values()
    }
}
