//! Rows of a batch into a COPY: in binary where every column has a binary form of ours, else as lines of text.
//!
//! Text is for types that only the server can read (arrays, ranges, inet, …). It may refuse a line; then it names the
//! line, that row is set aside, and the rest of the batch goes again.

use bytes::Bytes;
use futures_util::SinkExt as _;
use syncline_connector::{Error, Reject, Result, Trial};
use syncline_model::{Column, RowBatch, RowRef};
use syncline_sql::{LoadPlace, LoadTarget};

use crate::connect::Link;
use crate::encode::{Refusal, Target};
use crate::error::{classify, from_pg, sqlstate};
use crate::sql;

/// Appends a row in COPY BINARY form, or answers why it cannot be. A table that rows stay in has its NOT NULL already.
pub fn binary_row(row: RowRef<'_>, targets: &[Target], columns: &[Column], stays: bool, out: &mut Vec<u8>) -> Option<Reject> {
    let start = out.len();
    let count = u16::try_from(targets.len()).expect("invariant: PostgreSQL has at most 1600 columns");
    out.extend_from_slice(&count.to_be_bytes());
    for ((v, target), column) in row.cells().zip(targets).zip(columns) {
        let done = if v.is_null() && stays && !column.nullable { Err(not_null(column)) } else { target.binary(v, out) };
        if let Err(refusal) = done {
            out.truncate(start);
            return Some(reject(row, target, refusal));
        }
    }
    None
}

/// Encodes rows as they would be sent to staging, and sends none.
pub struct Encoding;

impl Trial for Encoding {
    fn refused(&self, columns: &[Column], rows: &RowBatch) -> Vec<(usize, Reject)> {
        let targets: Vec<Target> = columns.iter().map(Target::of).collect();
        let as_text = targets.iter().any(Target::as_text);
        let (mut scratch, mut out) = ((Vec::new(), String::new()), Vec::new());
        let mut one = |row: RowRef<'_>| {
            out.clear();
            if !as_text {
                return binary_row(row, &targets, columns, false, &mut out);
            }
            let mut cells = row.cells().zip(&targets);
            cells.find_map(|(v, target)| target.text(v, &mut scratch, &mut out).err().map(|e| reject(row, target, e)))
        };
        rows.rows().enumerate().filter_map(|(i, row)| Some((i, one(row)?))).collect()
    }
}

/// A column of a new table stays without a value.
pub fn not_null(column: &Column) -> Refusal {
    Refusal { code: "not_null", detail: format!("column `{}` must have a value", column.name) }
}

/// The row set aside for a cell.
pub fn reject(row: RowRef<'_>, target: &Target, refusal: Refusal) -> Reject {
    Reject { row: row.to_values(), column: Some(target.name.clone()), code: refusal.code, detail: refusal.detail, words: None }
}

/// Loads a batch as text, setting aside what the server refuses.
///
/// # Errors
/// As the server says, for everything but a refused line.
pub async fn text(link: &Link, target: &LoadTarget, rows: &RowBatch) -> Result<Vec<Reject>> {
    let targets: Vec<Target> = target.columns.iter().map(Target::of).collect();
    let mut rejects = Vec::new();
    let mut lines = Lines::default();
    let mut scratch = (Vec::new(), String::new());
    for (i, row) in rows.rows().enumerate() {
        if let Some(reject) = lines.push(i, row, &targets, target, &mut scratch) {
            rejects.push(reject);
        }
    }
    while !lines.ends.is_empty() {
        let Some((line, error)) = send(link, target, &lines).await? else { break };
        let at = lines.rows[line];
        let column = targets.iter().find(|t| error.column.as_deref() == Some(&t.name)).map(|t| t.name.clone());
        rejects.push(Reject { row: rows.row(at).to_values(), column, code: error.code, detail: error.detail, words: None });
        lines.remove(line);
    }
    Ok(rejects)
}

/// Lines ready to be sent: where each ends, and which row it is.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    rows: Vec<usize>,
}

impl Lines {
    fn push(
        &mut self,
        at: usize,
        row: RowRef<'_>,
        targets: &[Target],
        load: &LoadTarget,
        scratch: &mut (Vec<u8>, String),
    ) -> Option<Reject> {
        let start = self.bytes.len();
        for (i, ((v, target), column)) in row.cells().zip(targets).zip(&load.columns).enumerate() {
            if i > 0 {
                self.bytes.push(b'\t');
            }
            let done = if v.is_null() && load.place.is_final() && !column.nullable {
                Err(not_null(column))
            } else {
                target.text(v, scratch, &mut self.bytes)
            };
            if let Err(refusal) = done {
                self.bytes.truncate(start);
                return Some(reject(row, target, refusal));
            }
        }
        self.bytes.push(b'\n');
        self.ends.push(self.bytes.len());
        self.rows.push(at);
        None
    }

    fn remove(&mut self, line: usize) {
        let start = if line == 0 { 0 } else { self.ends[line - 1] };
        let end = self.ends.remove(line);
        self.rows.remove(line);
        self.bytes.drain(start..end);
        self.ends[line..].iter_mut().for_each(|e| *e -= end - start);
    }
}

/// A line that the server refused.
struct LineError {
    column: Option<String>,
    code: &'static str,
    detail: String,
}

/// Sends all lines under a savepoint; the refused line's index and reason, if there is one.
async fn send(link: &Link, target: &LoadTarget, lines: &Lines) -> Result<Option<(usize, LineError)>> {
    let doing = format!("load rows into {}", target.table);
    link.run("SAVEPOINT syncline_text", &doing).await?;
    let names = target.columns.iter().map(|c| sql::ident(&c.name)).collect::<Vec<_>>().join(", ");
    let statement = format!("COPY {} ({names}) FROM STDIN", target.table);
    let answer = async {
        let mut sink = Box::pin(link.client.copy_in::<_, Bytes>(statement.as_str()).await?);
        // The end of the statement tells the reason of a refused send.
        let _ = sink.send(Bytes::copy_from_slice(&lines.bytes)).await;
        sink.as_mut().finish().await
    };
    let Err(e) = answer.await else {
        link.run("RELEASE SAVEPOINT syncline_text", &doing).await?;
        return Ok(None);
    };
    let refused = refused_line(&e).filter(|_| !refused_by_constraint(&e, target.place));
    let Some((line, error)) = refused else { return Err(from_pg(e, &doing)) };
    if line >= lines.ends.len() {
        return Err(Error::internal(format!("{doing}: the server refused a line that was not sent")));
    }
    link.run("ROLLBACK TO SAVEPOINT syncline_text; RELEASE SAVEPOINT syncline_text", &doing).await?;
    Ok(Some((line, error)))
}

/// A table with constraints of its own refuses a row because of other rows, too: which of them is at fault is for the checks to find.
pub fn refused_by_constraint(e: &tokio_postgres::Error, place: LoadPlace) -> bool {
    place == LoadPlace::Empty && sqlstate(e).starts_with("23")
}

/// The line of `COPY syncline_rows, line 3, column tags: "…"`, when it was the line's fault.
fn refused_line(e: &tokio_postgres::Error) -> Option<(usize, LineError)> {
    let db = e.as_db_error()?;
    let (kind, code) = classify(db.code().code());
    if kind != syncline_connector::ErrorKind::BadRecord {
        return None;
    }
    let (line, column) = place(db.where_()?)?;
    let detail = format!("PostgreSQL refused the value (SQLSTATE {})", db.code().code());
    Some((line, LineError { column, code, detail }))
}

/// Line (from 0) and column of an error's context.
fn place(context: &str) -> Option<(usize, Option<String>)> {
    let context = context.lines().find(|l| l.starts_with("COPY "))?;
    let rest = &context[context.find(", line ")? + ", line ".len()..];
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let line: usize = rest[..digits].parse().ok()?;
    let column = rest[digits..].strip_prefix(", column ").map(|c| c.split_once(": ").map_or(c, |(name, _)| name).to_owned());
    Some((line.checked_sub(1)?, column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_context_names_line_and_column() {
        assert_eq!(place("COPY t, line 3, column tags: \"{\""), Some((2, Some("tags".into()))));
        assert_eq!(place("COPY syncline_rows, line 12: \"1\t2\""), Some((11, None)));
        assert_eq!(place("SQL function \"f\" statement 1"), None);
    }
}
