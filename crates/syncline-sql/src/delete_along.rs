//! Deletions from tables that refer to each other, where the system checks row by row and other rows are to go along: with the checks off
//! none would, so the rows that go let go of each other first (R8, R23).

use std::collections::BTreeSet;

use syncline_connector::{ErrorKind, Result};
use syncline_model::schema::OnDelete;
use syncline_model::{ForeignKey, Table, TableName};

use crate::order::parents_first;
use crate::run::SqlRun;
use crate::stream::refs;

impl SqlRun {
    /// Rows of some table go, or lose their reference, along with rows of these streams.
    pub(crate) fn takes_rows_along(&self, streams: &[usize]) -> bool {
        streams.iter().any(|&s| self.streams[s].write.referenced_by.iter().any(|r| r.key.on_delete != OnDelete::Refuse))
    }

    /// Removes the rows with the checks on. False, and nothing changed, where a reference within the cycle can be no NULL.
    pub(crate) async fn remove_unlinked(&mut self, streams: &[usize]) -> Result<bool> {
        let cycle: Vec<TableName> = streams.iter().map(|&s| self.streams[s].write.table.name.clone()).collect();
        let tables: Vec<Table> = streams.iter().map(|&s| unlinked(&self.streams[s].write.table)).collect();
        let groups = parents_first(&tables.iter().collect::<Vec<_>>());
        if groups.iter().any(|g| g.cyclic) {
            return Ok(false);
        }
        let children_first: Vec<usize> = groups.iter().rev().flat_map(|g| &g.streams).map(|&i| streams[i]).collect();
        let before: Vec<u64> = streams.iter().map(|&s| self.streams[s].outcome.deleted).collect();
        let savepoint = self.savepoint().await?;
        match self.unlink_and_remove(&children_first, &cycle).await {
            Ok(()) => self.release(&savepoint).await.map(|()| true),
            // A CHECK that takes no NULL; a row that is still needed.
            Err(e) if e.kind == ErrorKind::BadRecord => {
                self.back_to(&savepoint).await?;
                streams.iter().zip(before).for_each(|(&s, deleted)| self.streams[s].outcome.deleted = deleted);
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    async fn unlink_and_remove(&mut self, streams: &[usize], cycle: &[TableName]) -> Result<()> {
        for &stream in streams {
            let s = &self.streams[stream];
            let d = self.dialect();
            let keys = s.write.table.foreign_keys.iter().filter(|k| cycle.contains(&k.parent));
            let columns: BTreeSet<&String> = keys.filter_map(|k| clearable(&s.write.table, k)).collect();
            let sets: Vec<(String, String)> = columns.into_iter().map(|c| (d.quote(c), "NULL".to_owned())).collect();
            if !sets.is_empty() {
                let sql = d.update_from(&s.table, &s.deletions, &sets, &d.keys_match(&refs(&s.key), "d", "s"), "1 = 1");
                self.pass("apply.delete").await?;
                self.session.execute(&sql).await?;
            }
        }
        self.remove_each(streams).await
    }
}

/// The table with those of its references that cannot be cleared.
fn unlinked(table: &Table) -> Table {
    let foreign_keys = table.foreign_keys.iter().filter(|k| clearable(table, k).is_none()).cloned().collect();
    Table { foreign_keys, ..table.clone() }
}

/// A column of the foreign key that may be NULL, with which the row refers to nothing.
fn clearable<'t>(table: &Table, key: &'t ForeignKey) -> Option<&'t String> {
    let own = table.best_key().unwrap_or_default();
    key.columns.iter().find(|c| !own.contains(c) && table.column(c).is_some_and(|c| c.nullable && !c.generated))
}
