//! What `check` tells about a file: rights, settings, and what limits a sync with it.

use rusqlite::Connection;
use syncline_connector::{Finding, Result, Role, Severity};
use syncline_model::{ForeignKey, Table, TableName};

use crate::connect::Place;
use crate::discover::{self, BOOKKEEPING};
use crate::error::failed;
use crate::quote;

/// Findings about a file in a role.
pub(crate) fn findings(conn: &Connection, place: &Place, tables: &[TableName], role: Role) -> Result<Vec<Finding>> {
    let mut list = vec![good("reachable", format!("SQLite {}, {}", rusqlite::version(), place.path.display()))];
    journal(conn, &mut list);
    match role {
        Role::Source => list.push(Finding {
            severity: Severity::Advice,
            code: "late_commit_overlap",
            message: "late commits are covered by an overlap of 60 s: sqlite has one writer at a time, but stamps are the application's"
                .into(),
            advice: Some("set `overlap` if the application stamps rows more than a minute before it commits".into()),
        }),
        Role::Destination => destination(conn, &mut list)?,
    }
    tables_named(conn, tables, role, &mut list)?;
    Ok(list)
}

fn good(code: &'static str, message: String) -> Finding {
    Finding { severity: Severity::Good, code, message, advice: None }
}

fn journal(conn: &Connection, list: &mut Vec<Finding>) {
    let Ok(mode) = conn.query_row("PRAGMA journal_mode", [], |r| r.get::<_, String>(0)) else { return };
    if mode.eq_ignore_ascii_case("wal") {
        list.push(good("journal_wal", "write-ahead log: readers and the writer do not wait for each other".into()));
    } else {
        list.push(Finding {
            severity: Severity::Advice,
            code: "journal_blocks",
            message: format!("journal mode `{mode}`: while rows are read no program can commit to this file"),
            advice: Some("PRAGMA journal_mode = WAL".into()),
        });
    }
}

fn destination(conn: &Connection, list: &mut Vec<Finding>) -> Result<()> {
    if conn.is_readonly("main").unwrap_or(false) {
        list.push(Finding {
            severity: Severity::Problem,
            code: "read_only",
            message: "the file may not be written".into(),
            advice: Some("give the user that runs syncline write access to the file and its directory".into()),
        });
    }
    let count = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN (?1, ?2)";
    let there: i64 = conn.query_row(count, BOOKKEEPING, |r| r.get(0)).map_err(|e| failed("look for the bookkeeping tables", e))?;
    if there == 2 {
        list.push(good("bookkeeping", "the tables for markers and undo are there".into()));
    } else {
        list.push(good("bookkeeping", "the tables for markers and undo will be made by the first run".into()));
    }
    Ok(())
}

fn tables_named(conn: &Connection, tables: &[TableName], role: Role, list: &mut Vec<Finding>) -> Result<()> {
    let catalog = discover::catalog(conn).map_err(|e| failed("read the catalogue", e))?;
    for name in tables.iter().filter(|n| catalog.table(n).is_none()) {
        list.push(Finding {
            severity: Severity::Problem,
            code: "table_missing",
            message: format!("there is no table `{name}`"),
            advice: Some("look at `syncline discover` for the tables there are".into()),
        });
    }
    if role == Role::Source {
        return Ok(());
    }
    let asked = |name: &TableName| tables.is_empty() || tables.contains(name);
    for table in catalog.tables.iter().filter(|t| asked(&t.name) && (t.insert_triggers || t.change_triggers)) {
        list.push(Finding {
            severity: Severity::Advice,
            code: "triggers",
            message: format!("`{}` has triggers: rows that they keep out or change are set aside", table.name),
            advice: Some("leave columns that triggers set out of the comparison: `compare: false`".into()),
        });
    }
    list.extend(catalog.tables.iter().filter(|t| asked(&t.name)).flat_map(unindexed_foreign_keys));
    Ok(())
}

/// SQLite searches the child table for every parent row that is deleted or gets another key.
fn unindexed_foreign_keys(table: &Table) -> Vec<Finding> {
    let indexed = |fk: &&ForeignKey| {
        let starts = |columns: &[String]| columns.starts_with(&fk.columns);
        starts(&table.primary_key)
            || table.uniques.iter().any(|u| starts(&u.columns))
            || table.indexes.iter().any(|i| i.plain && starts(&i.columns))
    };
    let finding = |fk: &ForeignKey| {
        let columns = fk.columns.join(", ");
        let index = quote::name(&format!("{}_{}", table.name.name, fk.columns.join("_")));
        Finding {
            severity: Severity::Advice,
            code: "foreign_key_unindexed",
            message: format!("`{}` ({columns}) has no index: deleting a row of `{}` reads the whole table", table.name, fk.parent),
            advice: Some(format!("CREATE INDEX {index} ON {} ({})", quote::name(&table.name.name), quote::names(&fk.columns))),
        }
    };
    table.foreign_keys.iter().filter(|fk| !indexed(fk)).map(finding).collect()
}
