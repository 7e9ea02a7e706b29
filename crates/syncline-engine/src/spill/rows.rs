//! Rows in the order they came, on disk once there are many: keys to be deleted, keys to be read again.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use syncline_model::{RowBatch, RowRef};

use super::{failed, file};
use crate::engine::Result;

/// Rows of one part: what one read by key asks for.
const PART_ROWS: usize = 10_000;
/// Bytes of one part, for keys of any width.
const PART_BYTES: usize = 1024 * 1024;

/// Rows of one width. At most one part of them is in memory.
#[derive(Debug)]
pub struct RowSpool {
    tail: RowBatch,
    file: Option<File>,
    /// Where each part is, and how long.
    parts: Vec<(u64, usize)>,
    end: u64,
    written: u64,
    bytes: u64,
}

impl RowSpool {
    /// No rows yet.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self { tail: RowBatch::new(width), file: None, parts: Vec::new(), end: 0, written: 0, bytes: 0 }
    }

    /// Cells in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.tail.width()
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.written + self.tail.len() as u64
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much there is, in memory and on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes + self.tail.bytes() as u64
    }

    /// Adds a row.
    ///
    /// # Errors
    /// `temp_file`.
    pub fn push(&mut self, row: RowRef<'_>) -> Result<()> {
        (0..row.width()).for_each(|c| self.tail.push_encoded(row.encoded(c)));
        if self.tail.len() < PART_ROWS && self.tail.bytes() < PART_BYTES { Ok(()) } else { self.flush() }
    }

    /// Adds rows.
    ///
    /// # Errors
    /// `temp_file`.
    pub fn extend(&mut self, rows: &RowBatch) -> Result<()> {
        rows.rows().try_for_each(|row| self.push(row))
    }

    fn flush(&mut self) -> Result<()> {
        let mut bytes = Vec::with_capacity(self.tail.bytes());
        for row in self.tail.rows() {
            for c in 0..row.width() {
                let cell = row.encoded(c);
                bytes.extend_from_slice(&u32::try_from(cell.len()).expect("invariant: a batch stays below 4 GiB").to_le_bytes());
                bytes.extend_from_slice(cell);
            }
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(file()?),
        };
        file.seek(SeekFrom::Start(self.end)).and_then(|_| file.write_all(&bytes)).map_err(failed)?;
        self.parts.push((self.end, bytes.len()));
        self.end += bytes.len() as u64;
        self.written += self.tail.len() as u64;
        self.bytes += self.tail.bytes() as u64;
        self.tail.clear();
        Ok(())
    }

    /// Calls `f` with every row.
    ///
    /// # Errors
    /// `temp_file`, and those of `f`.
    pub fn each(&self, f: &mut dyn FnMut(RowRef<'_>) -> Result<()>) -> Result<()> {
        for part in self.parts() {
            part?.rows().try_for_each(&mut *f)?;
        }
        Ok(())
    }

    /// The rows again, in parts that one read by key takes.
    pub fn parts(&self) -> impl Iterator<Item = Result<RowBatch>> + '_ {
        let on_disk = self.parts.iter().map(|&(at, len)| self.read(at, len));
        on_disk.chain((!self.tail.is_empty()).then(|| Ok(self.tail.clone())))
    }

    fn read(&self, at: u64, len: usize) -> Result<RowBatch> {
        let mut file = self.file.as_ref().expect("invariant: parts are in the file");
        let mut bytes = vec![0; len];
        file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut bytes)).map_err(failed)?;
        let mut rows = RowBatch::new(self.width());
        let mut rest = bytes.as_slice();
        while let Some((head, tail)) = rest.split_first_chunk::<4>() {
            let (cell, tail) = tail.split_at(u32::from_le_bytes(*head) as usize);
            rows.push_encoded(cell);
            rest = tail;
        }
        Ok(rows)
    }

    /// The first rows, for people.
    ///
    /// # Errors
    /// `temp_file`.
    pub fn first(&self, n: usize) -> Result<RowBatch> {
        let mut first = RowBatch::new(self.width());
        for part in self.parts() {
            let part = part?;
            for row in part.rows().take(n - first.len()) {
                (0..row.width()).for_each(|c| first.push_encoded(row.encoded(c)));
            }
            if first.len() == n {
                break;
            }
        }
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncline_model::ValueRef;

    fn numbers(spool: &RowSpool) -> Vec<i64> {
        let mut found = Vec::new();
        for part in spool.parts() {
            let part = part.unwrap();
            assert!(part.len() <= PART_ROWS);
            for row in part.rows() {
                let ValueRef::I64(n) = row.get(0) else { panic!("a number") };
                assert_eq!(row.get(1), ValueRef::Text(&"x".repeat(usize::try_from(n % 300).unwrap())));
                found.push(n);
            }
        }
        found
    }

    // rule: R25
    #[test]
    fn rows_come_back_whole_and_in_order_and_only_one_part_of_them_is_held() {
        let mut spool = RowSpool::new(2);
        assert!(spool.is_empty() && numbers(&spool).is_empty());
        for n in 0..25_000_i64 {
            let mut row = RowBatch::new(2);
            row.push_row([ValueRef::I64(n), ValueRef::Text(&"x".repeat(usize::try_from(n % 300).unwrap()))]);
            spool.extend(&row).unwrap();
            assert!(spool.tail.bytes() < PART_BYTES && spool.tail.len() < PART_ROWS);
            if n == 5 || n == 12_000 {
                assert_eq!(numbers(&spool), (0..=n).collect::<Vec<_>>(), "looking at them takes nothing away");
            }
        }
        assert_eq!(spool.len(), 25_000);
        assert_eq!(numbers(&spool), (0..25_000).collect::<Vec<_>>());
        assert_eq!(spool.first(3).unwrap().len(), 3);
        assert!(spool.file.is_some() && spool.bytes() > 25_000 * 150);
    }
}
