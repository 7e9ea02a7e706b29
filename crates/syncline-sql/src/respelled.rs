//! A key that comes back in another spelling: `1` and `1.00`, `1 mon` and `30 days`, `Abc` and `ABC` under a collation that ignores case.
//! The comparison of the two sides sees one record gone and another one come. For the system that holds the rows they are one row, which
//! the deletion would take away after it was written; so that row gets the new spelling, and nothing is deleted.

use syncline_connector::Result;
use syncline_model::{Column, LogicalType};

use crate::run::SqlRun;
use crate::stream::{Stream, refs};

impl SqlRun {
    /// Takes deletions off the list whose row is written under another spelling of its key. Before anything that looks for equal rows.
    pub(crate) async fn join_respelled_keys(&mut self) -> Result<()> {
        for stream in 0..self.streams.len() {
            let s = &self.streams[stream];
            if !s.is_staged() || !s.key.iter().any(has_spellings) {
                continue;
            }
            self.reject_key_collisions(stream).await?;
            if self.streams[stream].made.deletions {
                self.take_off_respelled(stream).await?;
            }
        }
        Ok(())
    }

    async fn take_off_respelled(&mut self, stream: usize) -> Result<()> {
        let s = &self.streams[stream];
        let written = self.dialect().keys_match(&refs(&s.key), "r", "s");
        let found = self.deletions_where(stream, &format!("EXISTS (SELECT 1 FROM {} r WHERE {written})", s.rows)).await?;
        let numbers: Vec<u64> = found.iter().map(|(_, number)| *number).collect();
        self.drop_deletions(stream, &numbers).await?;
        let s = &mut self.streams[stream];
        s.respells |= !found.is_empty();
        s.outcome.respelled.extend(found.into_iter().map(|(key, _)| key));
        Ok(())
    }
}

impl Stream {
    /// Key columns that an update sets, too.
    pub(crate) fn respelled_key(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().filter(|c| self.respells && has_spellings(c))
    }
}

/// Values of the column can be equal for the system and yet differ.
fn has_spellings(c: &Column) -> bool {
    c.loose_collation.is_some()
        || matches!(c.logical, LogicalType::Decimal { .. } | LogicalType::Float { .. } | LogicalType::Interval | LogicalType::Any)
        || matches!(c.logical, LogicalType::Text { fixed: true, .. } | LogicalType::Other { .. })
}
