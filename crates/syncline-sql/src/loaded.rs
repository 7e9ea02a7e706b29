//! Keys of a table that this run made, over rows that are in it already (R20): a key that its rows break is tried again once those
//! rows were found by a set query and set aside.

use syncline_connector::{ErrorKind, Result};
use syncline_model::schema::UniqueKey;

use crate::checks::Offence;
use crate::run::SqlRun;

impl SqlRun {
    /// Adds the keys and indexes of a loaded table, each behind a savepoint where there is a transaction to be saved.
    pub(crate) async fn add_keys_over_rows(&mut self, stream: usize) -> Result<()> {
        let Some(ddl) = self.streams[stream].write.create.clone() else { return Ok(()) };
        for sql in &ddl.keys {
            loop {
                let savepoint = if self.is_open() { Some(self.savepoint().await?) } else { None };
                match self.step("apply.index", sql).await {
                    Ok(_) => {
                        if let Some(savepoint) = savepoint {
                            self.release(&savepoint).await?;
                        }
                        break;
                    }
                    Err(e) if e.kind == ErrorKind::BadRecord => {
                        if let Some(savepoint) = savepoint {
                            self.back_to(&savepoint).await?;
                        }
                        if self.park_repeated_values(stream).await? == 0 {
                            return Err(e);
                        }
                    }
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(())
    }

    /// Adds foreign keys over rows that nobody checks while they are added: those without a parent are found and set aside before the
    /// commit. To let the server check would copy the table.
    pub(crate) async fn add_foreign_keys_over_rows(&mut self, stream: usize) -> Result<()> {
        let (before, after) = self.dialect().cycle_guard();
        for sql in before {
            self.session.execute(&sql).await?;
        }
        self.add_foreign_keys(stream).await?;
        for sql in after {
            self.session.execute(&sql).await?;
        }
        Ok(())
    }

    /// Rows that share a value that is to be unique: none of them may win, all are set aside.
    async fn park_repeated_values(&mut self, stream: usize) -> Result<u64> {
        let table = &self.streams[stream].write.table;
        let primary = UniqueKey { name: "primary key".to_owned(), columns: table.primary_key.clone(), nulls_equal: false };
        let indexes = table.indexes.iter().filter(|i| i.unique && i.plain);
        let indexes = indexes.map(|i| UniqueKey { name: i.name.clone(), columns: i.columns.clone(), nulls_equal: false });
        let all: Vec<UniqueKey> = std::iter::once(primary).chain(table.uniques.iter().cloned()).chain(indexes).collect();
        let mut found = 0;
        for unique in all.iter().filter(|u| !u.columns.is_empty()) {
            let table = self.streams[stream].table.clone();
            let list: Vec<String> = unique.columns.iter().map(|c| self.dialect().quote(c)).collect();
            let list = list.join(", ");
            let repeated = format!("(SELECT {list} FROM {table} GROUP BY {list} HAVING count(*) > 1)");
            let from = format!("{table} s JOIN {repeated} g ON {}", self.same_value(unique, "g", "s"));
            let columns = unique.columns.join(", ");
            let detail = format!("another row has this unique value ({columns}, `{}`)", unique.name);
            let offence = Offence { condition: "1 = 1".to_owned(), code: "unique_taken", column: Some(columns), detail };
            found += self.park_loaded(stream, &from, offence).await?;
        }
        Ok(found)
    }
}
