//! A list of things that are written down as JSON, on disk once it is long: conflicts of a run.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{failed, file};
use crate::engine::Result;

/// Bytes held in memory.
const HELD_MAX: usize = 256 * 1024;

/// Things in the order they came. One line each.
#[derive(Debug)]
pub struct ListSpool<T> {
    held: Vec<u8>,
    file: Option<File>,
    of: PhantomData<fn() -> T>,
}

impl<T> Default for ListSpool<T> {
    fn default() -> Self {
        Self { held: Vec::new(), file: None, of: PhantomData }
    }
}

impl<T: Serialize + DeserializeOwned> ListSpool<T> {
    /// Adds one.
    ///
    /// # Errors
    /// `temp_file`.
    pub fn push(&mut self, item: &T) -> Result<()> {
        serde_json::to_writer(&mut self.held, item).map_err(|e| failed(e.into()))?;
        self.held.push(b'\n');
        if self.held.len() < HELD_MAX {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(file()?),
        };
        file.seek(SeekFrom::End(0)).and_then(|_| file.write_all(&self.held)).map_err(failed)?;
        self.held = Vec::new();
        Ok(())
    }

    /// All of them again.
    pub fn items(&self) -> impl Iterator<Item = Result<T>> + '_ {
        let on_disk = self.file.as_ref().map(|mut file| {
            let start = file.seek(SeekFrom::Start(0)).map_err(failed);
            let lines = BufReader::new(file).split(b'\n').map(|line| line.map_err(failed));
            start.err().map(Err).into_iter().chain(lines)
        });
        let held = self.held.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(|line| Ok(line.to_vec()));
        on_disk.into_iter().flatten().chain(held).map(|line| serde_json::from_slice(&line?).map_err(|e| failed(e.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: R25
    #[test]
    fn what_was_put_in_comes_back_in_order_and_little_of_it_is_held() {
        let mut list = ListSpool::default();
        let thing = |n: u64| (n, format!("{n}\n{}", "x".repeat(100)));
        for n in 0..10_000 {
            list.push(&thing(n)).unwrap();
            assert!(list.held.len() < HELD_MAX);
            if n == 1 || n == 5_000 {
                assert_eq!(list.items().count() as u64, n + 1, "looking at them takes nothing away");
            }
        }
        assert!(list.file.is_some());
        assert!(list.items().map(Result::unwrap).eq((0..10_000).map(thing)));
    }
}
