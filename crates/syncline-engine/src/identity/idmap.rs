//! The id mappings of one stream: legacy id to new id and back, in memory while they are few and on disk beyond, and what is wrong with
//! them. A mapping that contradicts itself stops the run with the ids (D24); nothing is minted over it.

use std::fmt;

use syncline_model::batch::{decode_cell, encode_cell};
use syncline_model::{RowBatch, Value, ValueRef};
use xxhash_rust::xxh3::xxh3_128;

use super::form::IdForm;
use super::mint::Mint;
use crate::engine::Result;
use crate::spill::{HashTable, RecordLog, RowSpool};

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
}

impl IdMapError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Doubled(_) => "id_mapping_doubled",
            Self::Cyclic(_) => "id_mapping_cyclic",
            Self::Unusable(_) => "id_mapping_unusable",
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Doubled(_) => "decide which mapping is right and delete the other; nothing was written or minted",
            Self::Cyclic(_) => "the new ids must not be legacy ids of the same mapping; check the two column names in `ids:`",
            Self::Unusable(_) => "complete or delete these mappings, or check the column names and `entity` in `ids:`",
        }
    }
}

/// What a mapping may take in memory while there are few: entries of four hash tables, half empty, and twice that while one grows.
const HELD_BYTES: usize = 320;
/// The share of the bytes given that the ids themselves may take.
const LOG_SHARE: usize = 4;

/// Collects the mappings of a stream; [`IdMapBuilder::finish`] judges them.
#[derive(Debug)]
pub struct IdMapBuilder {
    legacy: IdForm,
    new: IdForm,
    /// Where the record of a mapping is, by the hash of its legacy id, and of its new one.
    forward: HashTable,
    back: HashTable,
    records: RecordLog,
    doubled: Sample,
    unusable: Sample,
}

impl IdMapBuilder {
    /// Starts with no mapping. The forms are those of the two key columns. Mappings beyond `bytes_max` are kept on disk.
    #[must_use]
    pub fn new(legacy: IdForm, new: IdForm, bytes_max: usize) -> Self {
        let table = || HashTable::holding(bytes_max / HELD_BYTES);
        let records = RecordLog::new(bytes_max / LOG_SHARE);
        Self { legacy, new, forward: table(), back: table(), records, doubled: Sample::default(), unusable: Sample::default() }
    }

    /// Takes a mapping as it was found. The very same mapping may come again. Contradictions are collected for
    /// [`IdMapBuilder::finish`], which knows all of them.
    ///
    /// # Errors
    /// `temp_file`.
    pub fn add(&mut self, legacy: ValueRef<'_>, new: ValueRef<'_>) -> Result<()> {
        let found = || Mapping { legacy: legacy.to_owned(), new: new.to_owned() };
        let (Some(l), Some(n)) = (self.legacy.take(legacy), self.new.take(new)) else {
            self.unusable.add(found());
            return Ok(());
        };
        if !self.insert(&l, &n)? {
            // Both sides of the contradiction: a person has to choose between them.
            for rival in self.rivals(&l, &n)?.into_iter().flatten() {
                self.doubled.add_once(rival);
            }
            self.doubled.add(found());
        }
        Ok(())
    }

    /// The mappings that are there of this legacy id, and of this new one.
    fn rivals(&self, legacy: &Value, new: &Value) -> Result<[Option<Mapping>; 2]> {
        Ok([self.by_legacy(legacy)?, self.by_new(new)?])
    }

    fn by_legacy(&self, legacy: &Value) -> Result<Option<Mapping>> {
        self.forward.get(hash(&self.legacy, legacy))?.map(|at| self.record(at)).transpose()
    }

    fn by_new(&self, new: &Value) -> Result<Option<Mapping>> {
        self.back.get(hash(&self.new, new))?.map(|at| self.record(at)).transpose()
    }

    fn record(&self, at: u64) -> Result<Mapping> {
        Ok(unpacked(&self.records.get(at)?.0))
    }

    /// All mappings, one after the other.
    fn mappings(&self) -> impl Iterator<Item = Result<Mapping>> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            (at < self.records.end()).then(|| {
                let (record, next) = self.records.get(at)?;
                at = next;
                Ok(unpacked(&record))
            })
        })
    }

    /// False when it contradicts what is there.
    fn insert(&mut self, legacy: &Value, new: &Value) -> Result<bool> {
        let (by_legacy, by_new) = (hash(&self.legacy, legacy), hash(&self.new, new));
        match (self.forward.get(by_legacy)?, self.back.get(by_new)?) {
            (None, None) => {}
            (Some(a), Some(b)) => return Ok(a == b),
            (Some(_), None) | (None, Some(_)) => return Ok(false),
        }
        let at = self.records.add(&packed(legacy, new))?;
        self.forward.insert(by_legacy, at)?;
        self.back.insert(by_new, at)?;
        Ok(true)
    }

    /// The map, with `mint` making ids for what is not in it.
    ///
    /// # Errors
    /// `temp_file`; the contradictions, with their ids.
    pub fn finish(self, mint: Option<Mint>) -> Result<Result<IdMap, IdMapError>> {
        if self.unusable.total > 0 {
            return Ok(Err(IdMapError::Unusable(self.unusable)));
        }
        if self.doubled.total > 0 {
            return Ok(Err(IdMapError::Doubled(self.doubled)));
        }
        let circle = self.circle()?;
        if circle.total > 0 {
            return Ok(Err(IdMapError::Cyclic(circle)));
        }
        let (held, pairs) = (self.forward.held_max(), || RowSpool::new(2));
        let table = || HashTable::holding(held);
        Ok(Ok(IdMap { entries: self, mint, minted: pairs(), promised: pairs(), promises: table(), came: table() }))
    }

    /// The first mappings that lead back to themselves. A record that keeps its id is no circle.
    fn circle(&self) -> Result<Sample> {
        let mut done = HashTable::holding(self.forward.held_max());
        for start in self.mappings() {
            let start = start?;
            let mut length = 0;
            let mut at = start.clone();
            // Walks never meet an earlier one in its middle, for no two mappings share a new id.
            while let Some(next) = self.follow(&at)?
                && done.insert(hash(&self.legacy, &at.legacy), 0)?.is_none()
            {
                length += 1;
                if next == start && length > 1 {
                    return self.along(start);
                }
                at = next;
            }
        }
        Ok(Sample::default())
    }

    /// The mappings of the circle that this one is in.
    fn along(&self, start: Mapping) -> Result<Sample> {
        let mut sample = Sample::default();
        let mut at = start.clone();
        loop {
            sample.add(at.clone());
            match self.follow(&at)? {
                Some(next) if next != start => at = next,
                _ => return Ok(sample),
            }
        }
    }

    /// The mapping whose legacy id is the new id of this one.
    fn follow(&self, m: &Mapping) -> Result<Option<Mapping>> {
        match self.legacy.take(m.new.view()) {
            Some(as_legacy) => self.by_legacy(&as_legacy),
            None => Ok(None),
        }
    }
}

/// What an id is found by. Two ids of one stream with the same 128 bits are beyond all that happens.
fn hash(form: &IdForm, id: &Value) -> u128 {
    xxh3_128(&form.canonical(id.view()))
}

/// Length of the legacy id, both ids.
fn packed(legacy: &Value, new: &Value) -> Vec<u8> {
    let mut out = vec![0; 4];
    encode_cell(&mut out, legacy.view());
    let len = u32::try_from(out.len() - 4).expect("invariant: an id is far below 4 GiB");
    out[..4].copy_from_slice(&len.to_le_bytes());
    encode_cell(&mut out, new.view());
    out
}

fn unpacked(record: &[u8]) -> Mapping {
    let (len, cells) = record.split_first_chunk::<4>().expect("invariant: a record begins with a length");
    let (legacy, new) = cells.split_at(u32::from_le_bytes(*len) as usize);
    let cell = |bytes| decode_cell(bytes).expect("invariant: a record holds cells it encoded").to_owned();
    Mapping { legacy: cell(legacy), new: cell(new) }
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
}

/// The mappings of a stream, sound, growing as ids are minted.
#[derive(Debug)]
pub struct IdMap {
    entries: IdMapBuilder,
    mint: Option<Mint>,
    minted: RowSpool,
    /// Mappings given to references whose record had not come yet, their hashes, and those of the records that came since.
    promised: RowSpool,
    promises: HashTable,
    came: HashTable,
}

impl IdMap {
    /// How many mappings there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.entries.forward.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The new id of a legacy id that has one.
    ///
    /// # Errors
    /// `temp_file`, as everything that looks for a mapping.
    pub fn get(&self, legacy: ValueRef<'_>) -> Result<Option<Value>> {
        let Some(id) = self.entries.legacy.take(legacy) else { return Ok(None) };
        Ok(self.entries.by_legacy(&id)?.map(|m| m.new))
    }

    /// The legacy id behind a new id: the reverse lookup of `syncline ids`.
    ///
    /// # Errors
    /// `temp_file`.
    pub fn legacy_of(&self, new: ValueRef<'_>) -> Result<Option<Value>> {
        let Some(id) = self.entries.new.take(new) else { return Ok(None) };
        Ok(self.entries.by_new(&id)?.map(|m| m.legacy))
    }

    /// The new id of a record that is being written; minted when it has none.
    ///
    /// # Errors
    /// `temp_file`; why it can have none. Never a second id for a record that has one.
    pub fn own(&mut self, legacy: ValueRef<'_>) -> Result<Result<Value, NoId>> {
        let Some(id) = self.entries.legacy.take(legacy) else { return Ok(Err(NoId::NotAnId)) };
        let key = hash(&self.entries.legacy, &id);
        if let Some(there) = self.entries.by_legacy(&id)? {
            if self.promises.get(key)?.is_some() && self.came.insert(key, 0)?.is_none() {
                self.minted.extend(&row(&there))?;
            }
            return Ok(Ok(there.new));
        }
        match self.make(id)? {
            Ok(m) => {
                self.minted.extend(&row(&m))?;
                Ok(Ok(m.new))
            }
            Err(why) => Ok(Err(why)),
        }
    }

    /// The new id that a reference to a record must hold. Where ids are minted, a record that comes later (a foreign key
    /// cycle, a self-reference) gets its id now, and must come: see [`IdMap::orphans`].
    ///
    /// # Errors
    /// `temp_file`; why it can have none.
    pub fn refer(&mut self, legacy: ValueRef<'_>) -> Result<Result<Value, NoId>> {
        let Some(id) = self.entries.legacy.take(legacy) else { return Ok(Err(NoId::NotAnId)) };
        if let Some(there) = self.entries.by_legacy(&id)? {
            return Ok(Ok(there.new));
        }
        let key = hash(&self.entries.legacy, &id);
        match self.make(id)? {
            Ok(m) => {
                self.promises.insert(key, 0)?;
                self.promised.extend(&row(&m))?;
                Ok(Ok(m.new))
            }
            Err(why) => Ok(Err(why)),
        }
    }

    fn make(&mut self, id: Value) -> Result<Result<Mapping, NoId>> {
        let Some(mint) = self.mint else { return Ok(Err(NoId::Unmapped)) };
        let new = mint.id(&id);
        Ok(if self.entries.insert(&id, &new)? { Ok(Mapping { legacy: id, new }) } else { Err(NoId::Taken) })
    }

    /// Tells apart any two maps that give some record different ids. What would be minted anyway does not count: a record more, minted
    /// in the meantime, changes no reference.
    ///
    /// # Errors
    /// `temp_file`.
    pub fn fingerprint(&self) -> Result<u128> {
        let mut all = xxh3_128(format!("{:?}", self.mint).as_bytes());
        for m in self.entries.mappings() {
            let m = m?;
            let new = self.entries.new.canonical(m.new.view());
            if self.mint.is_some_and(|mint| self.entries.new.canonical(mint.id(&m.legacy).view()) == new) {
                continue;
            }
            let legacy = self.entries.legacy.canonical(m.legacy.view());
            // A length in front keeps the pair's halves apart.
            let mut pair = (legacy.len() as u64).to_le_bytes().to_vec();
            pair.extend_from_slice(&legacy);
            pair.extend_from_slice(&new);
            all ^= xxh3_128(&pair);
        }
        Ok(all)
    }

    /// The mappings minted since the last call (legacy id, new id): to be written in the transaction that writes their records.
    pub fn take_minted(&mut self) -> RowSpool {
        std::mem::replace(&mut self.minted, RowSpool::new(2))
    }

    /// Records that were referred to and never came: how many, and the first `shown_max` of their ids. They are not in `take_minted`.
    ///
    /// # Errors
    /// `temp_file`.
    pub fn orphans(&self, shown_max: usize) -> Result<(u64, Vec<Value>)> {
        let total = self.promises.len() - self.came.len();
        let mut shown = Vec::new();
        for part in self.promised.parts().take_while(|_| total > 0) {
            for row in part?.rows() {
                let legacy = row.get(0).to_owned();
                if shown.len() < shown_max && self.came.get(hash(&self.entries.legacy, &legacy))?.is_none() {
                    shown.push(legacy);
                }
            }
            if shown.len() as u64 == total.min(shown_max as u64) {
                break;
            }
        }
        Ok((total, shown))
    }
}

/// A mapping as a row: legacy id, new id.
fn row(m: &Mapping) -> RowBatch {
    let mut row = RowBatch::new(2);
    row.push_row([m.legacy.view(), m.new.view()]);
    row
}
