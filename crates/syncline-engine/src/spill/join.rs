//! An external hash join: rows of two sides go into partitions by the hash of their key, on disk once they outgrow their
//! buffers, and are then matched partition by partition. Memory stays flat whatever the tables hold.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use super::{failed, file};
use crate::engine::Result;

/// Partitions of one spool: enough that one split of a budget-sized buffer reaches tables of many gigabytes, few enough
/// that their buffers are small.
const FANOUT: usize = 64;
const FANOUT_BITS: u32 = FANOUT.trailing_zeros();
/// Splits of a partition that is too big; past it all keys are as good as equal, and equal keys need memory once.
const DEPTH_MAX: u32 = 6;
/// Bytes of a record before its name: key hash, row hash, flags, length of the name.
const HEAD: usize = 16 + 16 + 1 + 4;

/// One row of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Hash of the key in normal form.
    pub key: u128,
    /// Hash of the compared cells in normal form.
    pub row: u128,
    /// What the caller wants to remember of the row; the flags of all rows of a key are joined by OR.
    pub flags: u8,
    /// How the caller finds the row again.
    pub name: &'a [u8],
}

/// Memory of one join, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// A buffer of one partition.
    pub buffer: usize,
    /// Records of both sides that are matched at once, as they are on disk.
    pub join: u64,
}

impl Budget {
    /// The join's part of what the whole process may use: an eighth on disk is about a quarter as a hash table.
    #[must_use]
    pub fn of(memory: u64) -> Self {
        let buffer = usize::try_from((memory / 4096).clamp(4 * 1024, 64 * 1024)).unwrap_or(64 * 1024);
        Self { buffer, join: (memory / 8).max(1024 * 1024) }
    }
}

#[derive(Debug, Default)]
struct Part {
    buffer: Vec<u8>,
    /// Where its chunks are in the file. A record never crosses chunks.
    chunks: Vec<(u64, usize)>,
    bytes: u64,
}

/// Rows of one side, by partition.
#[derive(Debug)]
pub struct Spool {
    file: Option<File>,
    end: u64,
    parts: Vec<Part>,
    depth: u32,
    buffer: usize,
}

/// Where reading a whole spool stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    part: usize,
    chunk: usize,
}

impl Spool {
    /// An empty spool.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self::at_depth(budget.buffer, 0)
    }

    fn at_depth(buffer: usize, depth: u32) -> Self {
        Self { file: None, end: 0, parts: (0..FANOUT).map(|_| Part::default()).collect(), depth, buffer }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// `temp_file` when the disk refuses.
    pub fn add(&mut self, r: Record<'_>) -> Result<()> {
        let p = self.partition(r.key);
        let part = &mut self.parts[p];
        part.buffer.extend_from_slice(&r.key.to_le_bytes());
        part.buffer.extend_from_slice(&r.row.to_le_bytes());
        part.buffer.push(r.flags);
        let len = u32::try_from(r.name.len()).expect("invariant: a key is far below 4 GiB");
        part.buffer.extend_from_slice(&len.to_le_bytes());
        part.buffer.extend_from_slice(r.name);
        part.bytes += (HEAD + r.name.len()) as u64;
        if part.buffer.len() >= self.buffer { self.flush(p) } else { Ok(()) }
    }

    /// The highest bits first; the lowest are left for the caller (samples).
    fn partition(&self, key: u128) -> usize {
        let bits = key >> (u128::BITS - FANOUT_BITS * (self.depth + 1));
        usize::try_from(bits % FANOUT as u128).expect("invariant: below FANOUT")
    }

    fn flush(&mut self, p: usize) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(file()?),
        };
        let part = &mut self.parts[p];
        file.seek(SeekFrom::Start(self.end)).and_then(|_| file.write_all(&part.buffer)).map_err(failed)?;
        part.chunks.push((self.end, part.buffer.len()));
        self.end += part.buffer.len() as u64;
        part.buffer.clear();
        Ok(())
    }

    /// The next piece of the spool, holding whole records; `None` at the end.
    ///
    /// # Errors
    /// `temp_file`.
    pub fn next_chunk(&mut self, at: &mut Cursor) -> Result<Option<Vec<u8>>> {
        while at.part < self.parts.len() {
            if let Some(chunk) = self.chunk(at.part, at.chunk)? {
                at.chunk += 1;
                return Ok(Some(chunk));
            }
            *at = Cursor { part: at.part + 1, chunk: 0 };
        }
        Ok(None)
    }

    /// Chunk `i` of a partition; what is still buffered comes last.
    fn chunk(&mut self, p: usize, i: usize) -> Result<Option<Vec<u8>>> {
        let part = &self.parts[p];
        let Some(&(start, len)) = part.chunks.get(i) else {
            let last = i == part.chunks.len() && !part.buffer.is_empty();
            return Ok(last.then(|| part.buffer.clone()));
        };
        let file = self.file.as_mut().expect("invariant: chunks are in the file");
        let mut bytes = vec![0; len];
        file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut bytes)).map_err(failed)?;
        Ok(Some(bytes))
    }

    fn each(&mut self, p: usize, f: &mut dyn FnMut(Record<'_>) -> Result<()>) -> Result<()> {
        let mut i = 0;
        while let Some(bytes) = self.chunk(p, i)? {
            records(&bytes).try_for_each(&mut *f)?;
            i += 1;
        }
        Ok(())
    }

    /// A partition of its own spool, one level deeper.
    fn split(&mut self, p: usize) -> Result<Self> {
        let mut deeper = Self::at_depth(self.buffer, self.depth + 1);
        self.each(p, &mut |r| deeper.add(r))?;
        self.parts[p] = Part::default();
        Ok(deeper)
    }
}

/// The records of a chunk.
pub fn records(mut bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let wide = |at: usize| u128::from_le_bytes(head[at..at + 16].try_into().expect("invariant: sixteen bytes"));
        let len = u32::from_le_bytes(head[33..].try_into().expect("invariant: four bytes")) as usize;
        let (name, rest) = rest.split_at(len);
        bytes = rest;
        Some(Record { key: wide(0), row: wide(16), flags: head[32], name })
    })
}

/// Rows with one key on one side: how many, and the sum of their hashes, in which their order does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// How many.
    pub count: u64,
    /// Sum of the row hashes.
    pub sum: u128,
}

impl Rows {
    /// One row more.
    pub fn add(&mut self, row: u128) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(row);
    }
}

/// What both sides have of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Hash of the key.
    pub key: u128,
    /// At the source.
    pub source: Rows,
    /// At the destination.
    pub dest: Rows,
    /// Flags of all its rows.
    pub flags: u8,
    /// The name that the source gave it, else the destination's.
    pub name: Box<[u8]>,
}

/// Calls `f` for every key that either side has.
///
/// # Errors
/// `temp_file`, and those of `f`.
pub fn join(mut source: Spool, mut dest: Spool, budget: Budget, f: &mut dyn FnMut(Match) -> Result<()>) -> Result<()> {
    for p in 0..FANOUT {
        if is_big(&source, &dest, p, budget) {
            join(source.split(p)?, dest.split(p)?, budget, f)?;
            continue;
        }
        let mut keys: HashMap<u128, Match> = HashMap::new();
        source.each(p, &mut |r| {
            let m = slot(&mut keys, r);
            m.source.add(r.row);
            Ok(())
        })?;
        dest.each(p, &mut |r| {
            let m = slot(&mut keys, r);
            m.dest.add(r.row);
            Ok(())
        })?;
        keys.into_values().try_for_each(&mut *f)?;
    }
    Ok(())
}

fn slot<'m>(keys: &'m mut HashMap<u128, Match>, r: Record<'_>) -> &'m mut Match {
    match keys.entry(r.key) {
        Entry::Occupied(e) => {
            let m = e.into_mut();
            m.flags |= r.flags;
            m
        }
        Entry::Vacant(e) => {
            e.insert(Match { key: r.key, source: Rows::default(), dest: Rows::default(), flags: r.flags, name: r.name.into() })
        }
    }
}

/// Calls `f` for every row of `child` whose key `parent` does not have.
///
/// # Errors
/// `temp_file`, and those of `f`.
pub fn without(mut child: Spool, mut parent: Spool, budget: Budget, f: &mut dyn FnMut(Record<'_>) -> Result<()>) -> Result<()> {
    for p in 0..FANOUT {
        if is_big(&child, &parent, p, budget) {
            without(child.split(p)?, parent.split(p)?, budget, f)?;
            continue;
        }
        let mut there = std::collections::HashSet::new();
        parent.each(p, &mut |r| {
            there.insert(r.key);
            Ok(())
        })?;
        child.each(p, &mut |r| if there.contains(&r.key) { Ok(()) } else { f(r) })?;
    }
    Ok(())
}

fn is_big(a: &Spool, b: &Spool, p: usize, budget: Budget) -> bool {
    a.parts[p].bytes + b.parts[p].bytes > budget.join && a.depth < DEPTH_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_128;

    const TINY: Budget = Budget { buffer: 64, join: 256 };

    fn spool(rows: &[(u16, u8)]) -> Spool {
        let mut s = Spool::new(TINY);
        for (k, v) in rows {
            let name = k.to_le_bytes();
            s.add(Record { key: xxh3_128(&name), row: u128::from(*v), flags: *v & 1, name: &name }).unwrap();
        }
        s
    }

    type Seen = std::collections::BTreeMap<u16, (Rows, Rows)>;

    fn by_map(a: &[(u16, u8)], b: &[(u16, u8)]) -> Seen {
        let mut seen = Seen::new();
        a.iter().for_each(|(k, v)| seen.entry(*k).or_default().0.add(u128::from(*v)));
        b.iter().for_each(|(k, v)| seen.entry(*k).or_default().1.add(u128::from(*v)));
        seen
    }

    fn number(name: &[u8]) -> u16 {
        u16::from_le_bytes(name.try_into().unwrap())
    }

    proptest! {
        // Each case goes to disk many times.
        #![proptest_config(ProptestConfig::with_cases(24))]
        // req: FR-005
        #[test]
        fn the_join_finds_what_a_map_in_memory_finds(
            a in prop::collection::vec((0u16..600, any::<u8>()), 0..1500),
            b in prop::collection::vec((0u16..600, any::<u8>()), 0..1500),
        ) {
            let mut seen = Seen::new();
            join(spool(&a), spool(&b), TINY, &mut |m| {
                let old = seen.insert(number(&m.name), (m.source, m.dest));
                assert_eq!(old, None, "each key comes once");
                Ok(())
            }).unwrap();
            prop_assert_eq!(seen, by_map(&a, &b));
        }

        // req: FR-004
        #[test]
        fn rows_without_a_parent_are_found_one_by_one(
            child in prop::collection::vec((0u16..300, any::<u8>()), 0..800),
            parent in prop::collection::vec((0u16..300, any::<u8>()), 0..800),
        ) {
            let mut found = Vec::new();
            without(spool(&child), spool(&parent), TINY, &mut |r| { found.push(number(r.name)); Ok(()) }).unwrap();
            found.sort_unstable();
            let mut want: Vec<u16> = child.iter().map(|c| c.0).filter(|k| !parent.iter().any(|p| p.0 == *k)).collect();
            want.sort_unstable();
            prop_assert_eq!(found, want);
        }
    }

    #[test]
    fn a_small_budget_goes_to_disk_and_splits_and_a_big_one_touches_none() {
        let rows: Vec<(u16, u8)> = (0..2_000).map(|i| (i, 0)).collect();
        let mut small = spool(&rows);
        assert!(small.file.is_some() && (0..FANOUT).any(|p| is_big(&small, &spool(&[]), p, TINY)));
        assert_eq!(small.split(0).unwrap().depth, 1);
        let mut large = Spool::new(Budget::of(512 * 1024 * 1024));
        rows.iter().for_each(|(k, _)| {
            let name = k.to_le_bytes();
            large.add(Record { key: xxh3_128(&name), row: 0, flags: 0, name: &name }).unwrap();
        });
        assert!(large.file.is_none());
        let (mut at, mut n) = (Cursor::default(), 0);
        while let Some(chunk) = large.next_chunk(&mut at).unwrap() {
            n += records(&chunk).count();
        }
        assert_eq!(n, rows.len());
    }

    #[test]
    fn many_rows_of_one_key_are_counted_without_being_held() {
        let rows = vec![(7u16, 1u8); 5_000];
        let mut matches = Vec::new();
        join(spool(&rows), spool(&rows[1..]), TINY, &mut |m| {
            matches.push((m.source.count, m.dest.count));
            Ok(())
        })
        .unwrap();
        assert_eq!(matches, [(5_000, 4_999)]);
    }
}
