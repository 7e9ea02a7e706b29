//! Values too large to be held, in slices (R25): read by incremental blob, and written into a temporary table of their own, from
//! which the row goes on in one statement.
//!
//! SQLite itself holds a row whole while a statement writes it, in this process. What it takes is therefore bounded by the budget.

use rusqlite::{Connection, ErrorCode, params_from_iter};
use syncline_connector::{Error, ErrorKind, LargeFields, Reject, Result};
use syncline_model::{Column, LogicalType, RowBatch, RowRef, Table, ValueRef};
use syncline_sql::LoadTarget;

use crate::affinity::Affinity;
use crate::bind::Param;
use crate::encode::Slot;
use crate::error::failed;
use crate::filter::Where;
use crate::quote;
use crate::session::without_foreign_keys;
use crate::thread::Thread;

/// The temporary table of the row on its way, bare and qualified.
const WAITING: &str = "syncline_large";
const WAITING_TABLE: &str = "temp.syncline_large";

fn bad(code: &'static str, message: String) -> Error {
    Error::new(ErrorKind::BadRecord, code, message)
}

/// The name by which a table gives its row number, unless columns have taken all of them.
pub(crate) fn row_number(table: &Table) -> Option<&'static str> {
    let taken = |name: &&&str| table.columns.iter().any(|c| c.name.eq_ignore_ascii_case(name));
    ["rowid", "_rowid_", "oid"].iter().find(|n| !taken(n)).copied()
}

/// Some bytes of one value.
pub(crate) fn read(conn: &Connection, table: &Table, column: &Column, clauses: &[Where], offset: u64, max: u64) -> Result<Vec<u8>> {
    let operation = format!("read a large value of `{}`", table.name);
    let uncut = |why: &str| bad("value_too_large", format!("{operation}: {why}"));
    let number = row_number(table).ok_or_else(|| uncut("its columns have all names of the row number"))?;
    let (name, from) = (quote::name(&column.name), quote::name(&table.name.name));
    let mut found: Vec<(i64, String)> = Vec::new();
    for clause in clauses {
        let sql = format!("SELECT {number}, typeof({name}) FROM {from}{} LIMIT 2", clause.sql);
        let mut ask = || -> rusqlite::Result<()> {
            let mut statement = conn.prepare_cached(&sql)?;
            let rows = statement.query_map(params_from_iter(&clause.params), |r| Ok((r.get(0)?, r.get(1)?)))?;
            rows.into_iter().try_for_each(|row| row.map(|row| found.push(row)))
        };
        // A view and a table WITHOUT ROWID have none, and only a numbered row can be opened for a part of it.
        ask().map_err(|_| uncut("it has no row numbers"))?;
    }
    let [(row, class)] = found.as_slice() else { return Err(uncut("its key does not find one row")) };
    let wanted = if matches!(column.logical, LogicalType::Bytes { .. }) { "blob" } else { "text" };
    if class != wanted {
        return Err(bad("type_mismatch", format!("{operation}: column `{}` holds {class} where its type says {wanted}", column.name)));
    }
    if wanted == "text" && !is_utf8(conn).map_err(|e| failed(&operation, e))? {
        return Err(uncut("the file keeps its text as UTF-16"));
    }
    slice(conn, &table.name.name, &column.name, *row, offset, max).map_err(|e| failed(operation, e))
}

fn is_utf8(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("PRAGMA encoding", [], |r| Ok(r.get_ref(0)?.as_str()? == "UTF-8"))
}

/// Bytes `offset..offset + max` of a stored text or blob, fewer at its end.
pub(crate) fn slice(conn: &Connection, table: &str, column: &str, row: i64, offset: u64, max: u64) -> rusqlite::Result<Vec<u8>> {
    let blob = conn.blob_open("main", table, column, row, true)?;
    let size = blob.size().unsigned_abs() as u64;
    let length = max.min(size.saturating_sub(offset));
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    // Neither is larger than a value of SQLite, which is below 2 GiB.
    blob.read_at_exact(&mut bytes, usize::try_from(offset).unwrap_or(usize::MAX).min(usize::try_from(size).unwrap_or(usize::MAX)))?;
    Ok(bytes)
}

/// A large cell of the row that is written.
struct Cell {
    at: usize,
    bytes: u64,
    is_text: bool,
}

/// Loads the only row of `row`.
pub(crate) async fn load(thread: &Thread, target: &LoadTarget, row: &RowBatch, fields: &mut dyn LargeFields) -> Result<Option<Reject>> {
    let cells = match cells(target, row) {
        Ok(cells) => cells,
        Err(reject) => return Ok(Some(reject)),
    };
    let values = row.row(0).to_values();
    let (own, row, waiting) = (target.clone(), row.clone(), cells.iter().map(|c| (c.at, c.bytes)).collect::<Vec<_>>());
    if let Some(reject) = thread.call(move |conn| make(conn, &own, &row, &waiting)).await? {
        return Ok(Some(reject));
    }
    let filled = fill(thread, &cells, fields).await;
    let (own, good) = (target.clone(), filled.is_ok());
    let texts: Vec<usize> = cells.iter().filter(|c| c.is_text).map(|c| c.at).collect();
    let moved = thread.call(move |conn| if good { go_on(conn, &own, &texts) } else { clear(conn).map(|()| None) }).await;
    filled?;
    Ok(moved?.map(|e| Reject { row: values, column: None, code: e.code, detail: e.message, words: None }))
}

fn refusal(row: RowRef<'_>, target: &LoadTarget, at: usize, code: &'static str, detail: String) -> Reject {
    Reject { row: row.to_values(), column: Some(target.columns[at].name.clone()), code, detail, words: None }
}

fn cells(target: &LoadTarget, row: &RowBatch) -> Result<Vec<Cell>, Reject> {
    let mut cells = Vec::new();
    for (at, (v, column)) in row.row(0).cells().zip(&target.columns).enumerate() {
        let ValueRef::Large(bytes) = v else { continue };
        let is_text = match column.logical {
            // A column of numbers would read a number out of the text.
            LogicalType::Text { fixed: false, .. } if matches!(Affinity::of(&column.native), Affinity::Text | Affinity::Blob) => true,
            LogicalType::Bytes { .. } => false,
            _ => {
                let detail = format!("{bytes} bytes are over the memory given, and the column's type takes no slices");
                return Err(refusal(row.row(0), target, at, "value_too_large", detail));
            }
        };
        cells.push(Cell { at, bytes, is_text });
    }
    Ok(cells)
}

/// Puts the row with room for its large cells into a table of its own: small cells first, for what stands behind the room makes
/// SQLite fill it in memory.
fn make(conn: &Connection, target: &LoadTarget, row: &RowBatch, large: &[(usize, u64)]) -> Result<Option<Reject>> {
    let row = row.row(0);
    let of_text = |at: &usize| matches!(target.columns[*at].logical, LogicalType::Text { .. });
    if let Some(at) = large.iter().map(|(at, _)| *at).find(of_text)
        && !is_utf8(conn).map_err(|e| failed(format_args!("load into {}", target.table), e))?
    {
        return Ok(Some(refusal(row, target, at, "value_too_large", "the file keeps its text as UTF-16".to_owned())));
    }
    let mut params = Vec::new();
    let is_large = |at: usize| large.iter().any(|(l, _)| *l == at);
    for (at, (cell, column)) in row.cells().zip(&target.columns).enumerate().filter(|(at, _)| !is_large(*at)) {
        match Slot::of(column).encode(cell) {
            Ok(param) => params.push(param),
            Err(r) => return Ok(Some(refusal(row, target, at, r.code, r.detail))),
        }
    }
    let small = (0..row.width()).filter(|&at| !is_large(at));
    let names: Vec<String> = small.chain(large.iter().map(|(at, _)| *at)).map(|at| format!("c{at}")).collect();
    let marks = params.iter().map(|_| "?".to_owned()).chain(large.iter().map(|(_, bytes)| format!("zeroblob({bytes})")));
    let marks = marks.collect::<Vec<_>>().join(", ");
    clear(conn)?;
    let make = || -> rusqlite::Result<()> {
        conn.execute_batch(&format!("CREATE TABLE {WAITING_TABLE} ({})", names.join(", ")))?;
        conn.execute(&format!("INSERT INTO {WAITING_TABLE} VALUES ({marks})"), params_from_iter::<&[Param<'_>]>(&params)).map(drop)
    };
    make().map(|()| None).map_err(|e| failed(format_args!("load into {}", target.table), e))
}

async fn fill(thread: &Thread, cells: &[Cell], fields: &mut dyn LargeFields) -> Result<()> {
    for cell in cells {
        let mut offset = 0;
        while offset < cell.bytes {
            let slice = fields.slice(cell.at, offset).await?;
            let (from, column) = (offset, format!("c{}", cell.at));
            offset += slice.len() as u64;
            if slice.is_empty() || offset > cell.bytes {
                return Err(bad("value_too_large", format!("a value of {} bytes came with another number of bytes", cell.bytes)));
            }
            let write = move |conn: &mut Connection| -> rusqlite::Result<()> {
                let mut blob = conn.blob_open("temp", WAITING, column.as_str(), 1, false)?;
                blob.write_all_at(&slice, usize::try_from(from).unwrap_or(usize::MAX))
            };
            thread.call(move |conn| write(conn).map_err(|e| failed("write a large value", e))).await?;
        }
    }
    Ok(())
}

/// The waiting row into its table, its texts as texts; or the constraint of a table of our own making that refuses it.
fn go_on(conn: &Connection, target: &LoadTarget, texts: &[usize]) -> Result<Option<Error>> {
    let operation = format!("load into {}", target.table);
    let list = (0..target.columns.len()).map(|at| if texts.contains(&at) { format!("CAST(c{at} AS TEXT)") } else { format!("c{at}") });
    let names: Vec<&str> = target.columns.iter().map(|c| c.name.as_str()).collect();
    let (names, list) = (quote::names(&names), list.collect::<Vec<_>>().join(", "));
    let sql = format!("INSERT INTO {} ({names}) SELECT {list} FROM {WAITING_TABLE}", target.table);
    let insert = || match conn.execute_batch(&sql) {
        Ok(()) => Ok(None),
        Err(e) if target.place.is_final() && e.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Ok(Some(failed(&operation, e)))
        }
        Err(e) => Err(failed(&operation, e)),
    };
    let moved = if target.place.is_final() { without_foreign_keys(conn, &operation, insert) } else { insert() };
    clear(conn)?;
    moved
}

fn clear(conn: &Connection) -> Result<()> {
    conn.execute_batch(&format!("DROP TABLE IF EXISTS {WAITING_TABLE}")).map_err(|e| failed("load a large value", e))
}
