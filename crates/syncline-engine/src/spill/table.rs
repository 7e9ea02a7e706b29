//! Numbers by hash: in memory while there are few, then an open hash table in a file, read and written slot by slot. What of it is
//! warm the system keeps in its own cache, which is not this process's memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use super::{failed, file};
use crate::engine::Result;

/// Entries held in memory: some 3 MB of them.
const HELD_MAX: usize = 64 * 1024;
/// Hash, number + 1. An empty slot is all zeros.
const SLOT: usize = 16 + 8;
/// Slots read at once: nearly every search ends within them.
const WINDOW: usize = 8;

/// A number for each of any number of hashes.
#[derive(Debug)]
pub struct HashTable {
    held: HashMap<u128, u64>,
    disk: Option<Disk>,
    held_max: usize,
}

impl Default for HashTable {
    fn default() -> Self {
        Self::holding(HELD_MAX)
    }
}

#[derive(Debug)]
struct Disk {
    file: File,
    /// A power of two.
    slots: u64,
    used: u64,
}

impl HashTable {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that goes to disk beyond `held_max` entries.
    #[must_use]
    pub fn holding(held_max: usize) -> Self {
        Self { held: HashMap::new(), disk: None, held_max }
    }

    /// How many it holds in memory.
    #[must_use]
    pub fn held_max(&self) -> usize {
        self.held_max
    }

    /// How many have a number.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.disk.as_ref().map_or(self.held.len() as u64, |d| d.used)
    }

    /// Whether nothing has a number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of a hash.
    ///
    /// # Errors
    /// `temp_file`.
    pub fn get(&self, hash: u128) -> Result<Option<u64>> {
        match &self.disk {
            None => Ok(self.held.get(&hash).copied()),
            Some(disk) => Ok(disk.find(hash)?.1),
        }
    }

    /// Gives the hash a number, unless it has one already, which is then the answer.
    ///
    /// # Errors
    /// `temp_file`.
    pub fn insert(&mut self, hash: u128, number: u64) -> Result<Option<u64>> {
        if self.disk.is_none() && self.held.len() >= self.held_max {
            let mut disk = Disk::new((self.held.len() as u64 * 4).next_power_of_two().max(WINDOW as u64))?;
            for (hash, number) in std::mem::take(&mut self.held) {
                disk.insert(hash, number)?;
            }
            self.disk = Some(disk);
        }
        match &mut self.disk {
            None => match self.held.entry(hash) {
                std::collections::hash_map::Entry::Occupied(e) => Ok(Some(*e.get())),
                std::collections::hash_map::Entry::Vacant(e) => {
                    e.insert(number);
                    Ok(None)
                }
            },
            Some(disk) => disk.insert(hash, number),
        }
    }
}

impl Disk {
    fn new(slots: u64) -> Result<Self> {
        let file = file()?;
        // What was never written reads as zeros.
        file.set_len(slots * SLOT as u64).map_err(failed)?;
        Ok(Self { file, slots, used: 0 })
    }

    fn read(&self, slot: u64, bytes: &mut [u8]) -> Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(slot * SLOT as u64)).and_then(|_| file.read_exact(bytes)).map_err(failed)
    }

    /// The slot of a hash and its number, or the empty slot where it belongs.
    fn find(&self, hash: u128) -> Result<(u64, Option<u64>)> {
        let mut at = u64::try_from(hash >> 64).expect("invariant: half of the hash") & (self.slots - 1);
        let mut window = [0; WINDOW * SLOT];
        loop {
            let ahead = usize::try_from(self.slots - at).map_or(WINDOW, |left| left.min(WINDOW));
            let window = &mut window[..ahead * SLOT];
            self.read(at, window)?;
            for slot in window.chunks_exact(SLOT) {
                let (there, number) = entry(slot);
                match number.checked_sub(1) {
                    None => return Ok((at, None)),
                    Some(number) if there == hash => return Ok((at, Some(number))),
                    Some(_) => at += 1,
                }
            }
            at &= self.slots - 1;
        }
    }

    fn insert(&mut self, hash: u128, number: u64) -> Result<Option<u64>> {
        if self.used * 2 >= self.slots {
            self.grow()?;
        }
        let (at, there) = self.find(hash)?;
        if there.is_some() {
            return Ok(there);
        }
        let mut slot = [0; SLOT];
        slot[..16].copy_from_slice(&hash.to_le_bytes());
        slot[16..].copy_from_slice(&(number + 1).to_le_bytes());
        self.file.seek(SeekFrom::Start(at * SLOT as u64)).and_then(|_| self.file.write_all(&slot)).map_err(failed)?;
        self.used += 1;
        Ok(None)
    }

    fn grow(&mut self) -> Result<()> {
        const SLOTS_PER_READ: u64 = 4096;
        let mut bigger = Self::new(self.slots * 4)?;
        let mut at = 0;
        while at < self.slots {
            let count = SLOTS_PER_READ.min(self.slots - at);
            let mut bytes = vec![0; usize::try_from(count).expect("invariant: a few thousand") * SLOT];
            self.read(at, &mut bytes)?;
            for (hash, number) in bytes.chunks_exact(SLOT).map(entry).filter(|(_, n)| *n > 0) {
                bigger.insert(hash, number - 1)?;
            }
            at += count;
        }
        *self = bigger;
        Ok(())
    }
}

fn entry(slot: &[u8]) -> (u128, u64) {
    let (hash, number) = slot.split_at(16);
    (
        u128::from_le_bytes(hash.try_into().expect("invariant: sixteen bytes")),
        u64::from_le_bytes(number.try_into().expect("invariant: eight bytes")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        // rule: R25
        #[test]
        fn a_table_on_disk_answers_as_a_map_in_memory_does(
            // Few distinct upper halves, so that searches run into each other and around the end.
            list in prop::collection::vec((0_u64..40, 0_u64..60, any::<u64>()), 0..600),
        ) {
            let mut table = HashTable::holding(4);
            let mut map: HashMap<u128, u64> = HashMap::new();
            for (high, low, number) in list {
                let hash = u128::from(high.wrapping_mul(u64::MAX / 7)) << 64 | u128::from(low);
                let number = number >> 1;
                prop_assert_eq!(table.get(hash).unwrap(), map.get(&hash).copied());
                prop_assert_eq!(table.insert(hash, number).unwrap(), map.get(&hash).copied());
                map.entry(hash).or_insert(number);
            }
            for (hash, number) in map {
                prop_assert_eq!(table.get(hash).unwrap(), Some(number));
            }
        }
    }
}
