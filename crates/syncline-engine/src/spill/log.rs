//! Records that are found again by where they are: the newest in memory, all others in a file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use super::{failed, file};
use crate::engine::Result;

/// Bytes read along with the length of a record: most records are within them.
const READ_AHEAD: usize = 120;

/// Records, none of which changes.
#[derive(Debug)]
pub struct RecordLog {
    held: Vec<u8>,
    held_max: usize,
    file: Option<File>,
    /// Bytes in the file.
    flushed: u64,
}

impl RecordLog {
    /// An empty one that holds so many bytes in memory.
    #[must_use]
    pub fn new(held_max: usize) -> Self {
        Self { held: Vec::new(), held_max, file: None, flushed: 0 }
    }

    /// Where the next record will be.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.flushed + self.held.len() as u64
    }

    /// Adds a record and says where it is.
    ///
    /// # Errors
    /// `temp_file`.
    pub fn add(&mut self, record: &[u8]) -> Result<u64> {
        if self.held.len() + record.len() > self.held_max && !self.held.is_empty() {
            let file = match &mut self.file {
                Some(file) => file,
                None => self.file.insert(file()?),
            };
            file.seek(SeekFrom::Start(self.flushed)).and_then(|_| file.write_all(&self.held)).map_err(failed)?;
            self.flushed += self.held.len() as u64;
            self.held.clear();
        }
        let at = self.end();
        self.held.extend_from_slice(&u32::try_from(record.len()).expect("invariant: a record is far below 4 GiB").to_le_bytes());
        self.held.extend_from_slice(record);
        Ok(at)
    }

    /// The record that is there, and where the next one is.
    ///
    /// # Errors
    /// `temp_file`.
    pub fn get(&self, at: u64) -> Result<(Vec<u8>, u64)> {
        if let Some(at) = at.checked_sub(self.flushed) {
            let at = usize::try_from(at).expect("invariant: what is held fits in memory");
            let (len, rest) = self.held[at..].split_first_chunk::<4>().expect("invariant: a record begins there");
            let len = u32::from_le_bytes(*len) as usize;
            return Ok((rest[..len].to_vec(), self.flushed + (at + 4 + len) as u64));
        }
        let mut file = self.file.as_ref().expect("invariant: what is not held is in the file");
        let ahead = READ_AHEAD.min(usize::try_from(self.flushed - at).unwrap_or(READ_AHEAD));
        let mut bytes = vec![0; ahead];
        file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut bytes)).map_err(failed)?;
        let len = u32::from_le_bytes(*bytes.first_chunk::<4>().expect("invariant: a record begins there")) as usize;
        let read = bytes.len();
        bytes.resize(4 + len, 0);
        if read < 4 + len {
            file.read_exact(&mut bytes[read..]).map_err(failed)?;
        }
        bytes.drain(..4);
        Ok((bytes, at + 4 + len as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: R25
    #[test]
    fn records_are_found_where_they_were_put_and_only_the_newest_are_held() {
        let mut log = RecordLog::new(1_000);
        let record = |n: usize| vec![n as u8; n % 400];
        let places: Vec<u64> = (0..500).map(|n| log.add(&record(n)).unwrap()).collect();
        assert!(log.held.len() <= 1_000 && log.file.is_some());
        for n in (0..500).rev() {
            let (found, next) = log.get(places[n]).unwrap();
            assert_eq!(found, record(n));
            assert_eq!(next, places.get(n + 1).copied().unwrap_or(log.end()));
        }
    }
}
