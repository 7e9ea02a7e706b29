//! Names that tables get after the commit, where DDL commits by itself (R18, R19). Until then a table that was loaded in parts has rows,
//! keys and foreign keys under its load name. The marker says that the run is committed; one statement then gives all of its tables their
//! names. A run that died in between is finished by the next one before anything else. See `docs/specs/first-load.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use syncline_connector::{Connector, Destination, Error, ErrorKind, Marker, NewTable, StreamWrite, fail};
use syncline_model::{Catalog, Table, TableName};
use syncline_store::rows::RunRow;

use crate::engine::{Engine, Result};
use crate::first_load::load_table;
use crate::link::Link;
use crate::pairing::Pair;
use crate::settle::Settlement;

/// The error where a table that waits for its name was removed: what the run wrote is lost.
pub(crate) const GONE: &str = "load_table_gone";

/// Tables of a run that wait for their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Naming {
    tables: Vec<Waiting>,
    /// All of them have got theirs; what is left are their comments.
    named: bool,
    /// Tables that were made under their own names and still bear the mark by which an unfinished run knows its own.
    #[serde(default)]
    marked: Vec<Waiting>,
}

/// A table that waits for its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    load: TableName,
    table: TableName,
    /// The comment by which it is known as ours.
    mark: String,
    /// What gives it its own comment.
    comment: Vec<String>,
}

impl Naming {
    /// One more, filled under its load name and known by `mark`.
    pub(crate) fn wait(&mut self, table: &TableName, mark: String, comment: Vec<String>) {
        self.tables.push(Waiting { load: load_table(table), table: table.clone(), mark, comment });
    }

    /// Tables had to wait, and have their names.
    pub(crate) fn is_done(&self) -> bool {
        self.named
    }

    /// One more that has its name and is to lose its `mark`.
    pub(crate) fn unmark(&mut self, table: &TableName, mark: String, comment: Vec<String>) {
        self.marked.push(Waiting { load: table.clone(), table: table.clone(), mark, comment });
    }
}

/// Whether the table bears the mark.
pub(crate) fn bears(table: &Table, mark: &str) -> bool {
    table.comment.as_deref() == Some(mark)
}

/// Lets the writes of a run that ends in new names work on the tables as they are called until then.
pub(crate) fn keep_load_names(link: &Link, pairs: &[Pair], writes: &mut [StreamWrite]) {
    let loaded = pairs.iter().filter(|p| p.first_load.is_some());
    let names: BTreeMap<TableName, TableName> = loaded.map(|p| (p.dest.name.clone(), load_table(&p.dest.name))).collect();
    if link.dest.capabilities().transactional_ddl || names.is_empty() {
        return;
    }
    let rename = |name: &mut TableName| {
        if let Some(load) = names.get(name) {
            name.clone_from(load);
        }
    };
    for (pair, write) in pairs.iter().zip(writes) {
        rename(&mut write.table.name);
        write.table.foreign_keys.iter_mut().for_each(|f| rename(&mut f.parent));
        for referrer in &mut write.referenced_by {
            rename(&mut referrer.table);
            rename(&mut referrer.key.parent);
        }
        let Some(new) = pair.new_table.as_ref().filter(|_| write.create.is_some()) else { continue };
        let mut new = new.clone();
        new.foreign_keys.iter_mut().for_each(|f| rename(&mut f.parent));
        write.create = Some(match &pair.first_load {
            None => link.to.ddl(&new),
            Some(load) => link.to.load_ddl(&without_keys_of(&new, &load.there), &write.table.name).place,
        });
    }
}

/// The table without those keys and indexes that a run before this one has added to it.
fn without_keys_of(new: &NewTable, there: &Table) -> NewTable {
    let mut new = new.clone();
    new.uniques.retain(|u| !there.uniques.iter().any(|t| t.name == u.name));
    new.indexes.retain(|i| !there.indexes.iter().any(|t| t.name == i.name));
    new
}

impl Engine {
    /// Gives the tables of a committed run their names, and writes down that they have them. What is done already stays as it is.
    pub(crate) async fn name_tables(
        &self,
        run: &RunRow,
        (to, dest): (&dyn Connector, &mut dyn Destination),
        (marker, token): (&Marker, Option<&str>),
        settlement: &mut Settlement,
    ) -> Result<()> {
        if settlement.naming.tables.is_empty() && settlement.naming.marked.is_empty() {
            return Ok(());
        }
        if !settlement.naming.named && !settlement.naming.tables.is_empty() {
            fail::passable("name.tables")?;
            let unnamed = unnamed(&settlement.naming.tables, &dest.discover().await?)?;
            dest.prepare(&to.rename_ddl(&unnamed)).await.map_err(|e| e.during("give loaded tables their names"))?;
            fail::passable("name.given")?;
            settlement.naming.named = true;
            // Written by whoever holds the lock now, also for a run that is dead. It is a fact whoever writes it.
            let intent = crate::settle::intent_of(marker, token.map(str::to_owned), settlement)?;
            let mut tx = self.store.begin().await?;
            tx.save_intent(&run.id, &intent).await?;
            tx.commit().await?;
        }
        fail::passable("name.comments")?;
        let catalog = dest.discover().await?;
        let comments = |waiting: &[Waiting]| -> Vec<String> {
            let marked = |w: &&Waiting| catalog.table(&w.table).is_some_and(|t| bears(t, &w.mark));
            waiting.iter().filter(marked).flat_map(|w| w.comment.clone()).collect()
        };
        dest.prepare(&comments(&settlement.naming.tables)).await?;
        take_off(dest, comments(&settlement.naming.marked)).await
    }
}

/// Takes marks off tables that are the sync's by now.
pub(crate) async fn take_off(dest: &mut dyn Destination, statements: Vec<String>) -> Result<()> {
    for statement in statements {
        // CREATE without ALTER made the table: the comment stays, and is of no account once the run is on record.
        match dest.prepare(&[statement]).await {
            Err(e) if e.kind == ErrorKind::Unauthorized => tracing::warn!("a new table keeps the comment of its making: {e}"),
            done => done?,
        }
    }
    Ok(())
}

/// The tables that have not got their names yet, with these. Each is where it waits, or has its name; else the run cannot be finished.
fn unnamed(waiting: &[Waiting], catalog: &Catalog) -> std::result::Result<Vec<(TableName, TableName)>, Error> {
    let mut unnamed = Vec::new();
    for w in waiting {
        let ours = |name: &TableName| catalog.table(name).filter(|t| bears(t, &w.mark));
        match (ours(&w.load), catalog.table(&w.table)) {
            (Some(_), None) => unnamed.push((w.load.clone(), w.table.clone())),
            (Some(_), Some(_)) => return Err(in_the_way(w)),
            (None, Some(table)) if bears(table, &w.mark) => {}
            (None, _) => return Err(gone(w)),
        }
    }
    Ok(unnamed)
}

fn in_the_way(w: &Waiting) -> Error {
    let message = format!("`{}` is loaded and committed and cannot get its name: there is a table `{}` by now", w.load, w.table);
    let hint = format!("rename or drop `{}` if it is not needed, then run again; the rows wait in `{}`", w.table, w.load);
    Error::new(ErrorKind::Conflict, "table_in_the_way", message).hint(hint)
}

fn gone(w: &Waiting) -> Error {
    let message = format!("`{}` was loaded and committed, and removed before it got its name `{}`", w.load, w.table);
    Error::new(ErrorKind::Conflict, GONE, message).hint("run again: the table is made and loaded again")
}

#[cfg(test)]
mod tests {
    use syncline_model::schema::TableKind;

    use super::*;

    fn table(name: &str, comment: Option<&str>) -> Table {
        Table {
            name: TableName::within("shop", name),
            kind: TableKind::Table,
            columns: Vec::new(),
            primary_key: Vec::new(),
            uniques: Vec::new(),
            foreign_keys: Vec::new(),
            checks: Vec::new(),
            indexes: Vec::new(),
            insert_triggers: false,
            change_triggers: false,
            rows_estimate: None,
            non_transactional: false,
            incarnation: None,
            comment: comment.map(str::to_owned),
        }
    }

    fn look(tables: Vec<Table>) -> std::result::Result<usize, &'static str> {
        let mut naming = Naming::default();
        naming.wait(&TableName::within("shop", "item"), "ours".to_owned(), Vec::new());
        let catalog = Catalog { tables, ..Catalog::default() };
        unnamed(&naming.tables, &catalog).map(|u| u.len()).map_err(|e| e.code)
    }

    // rule: R18, R19
    #[test]
    fn a_table_gets_its_name_only_where_it_is_ours_and_the_name_is_free() {
        let load = |comment| table("item__syncline_load", comment);
        assert_eq!(look(vec![load(Some("ours"))]), Ok(1));
        assert_eq!(look(vec![table("item", Some("ours"))]), Ok(0));
        assert_eq!(look(vec![load(Some("ours")), table("item", None)]), Err("table_in_the_way"));
        assert_eq!(look(vec![load(Some("ours")), table("item", Some("ours"))]), Err("table_in_the_way"));
        assert_eq!(look(vec![load(None)]), Err("load_table_gone"));
        assert_eq!(look(vec![load(Some("another's")), table("item", Some("theirs"))]), Err("load_table_gone"));
        assert_eq!(look(Vec::new()), Err("load_table_gone"));
    }
}
