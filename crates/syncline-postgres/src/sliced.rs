//! One row with large values into a COPY of its own: small cells as in any row, large ones slice by slice (R25). A savepoint
//! stands before it, because a row that is refused half way must leave nothing.

use std::pin::Pin;

use bytes::Bytes;
use syncline_connector::{Error, ErrorKind, LargeFields, Reject, Result};
use syncline_model::{RowBatch, RowRef, ValueRef};
use syncline_sql::LoadTarget;
use tokio_postgres::CopyInSink;

use crate::connect::Link;
use crate::decode::{HEADER, TRAILER};
use crate::encode::{Refusal, Target, escape};
use crate::error::{classify, from_pg};
use crate::load::{not_null, refused_by_constraint, reject};
use crate::session::send_in_parts;
use crate::sql;

/// Bytes of the largest value. The before-image of a row is its text, twice as long for bytes and at worst for text, and has to stay
/// below the 1 GB that PostgreSQL gives to one value.
pub const VALUE_MAX: u64 = 256 << 20;

/// A piece of the row on the wire: bytes, then the large cell behind them.
struct Piece {
    bytes: Vec<u8>,
    cell: Option<usize>,
}

/// Loads the only row of `row`.
///
/// # Errors
/// Of the fields as they are; as the server says for everything but a refused row.
pub async fn load(link: &Link, target: &LoadTarget, row: &RowBatch, fields: &mut dyn LargeFields) -> Result<Option<Reject>> {
    let doing = format!("load rows into {}", target.table);
    let targets: Vec<Target> = target.columns.iter().map(Target::of).collect();
    let row = row.row(0);
    let pieces = match pieces(row, &targets, target) {
        Ok(pieces) => pieces,
        Err(reject) => return Ok(Some(reject)),
    };
    link.run("SAVEPOINT syncline_large", &doing).await?;
    let answer = send(link, target, pieces, row, &targets, fields, &doing).await;
    let spoilt = match &answer {
        Ok(None) => false,
        Ok(Some(_)) => true,
        Err(e) if e.kind == ErrorKind::BadRecord => true,
        Err(_) => return answer,
    };
    let end =
        if spoilt { "ROLLBACK TO SAVEPOINT syncline_large; RELEASE SAVEPOINT syncline_large" } else { "RELEASE SAVEPOINT syncline_large" };
    link.run(end, &doing).await?;
    answer
}

/// Columns that only the server can read make the whole row text.
fn is_text(targets: &[Target]) -> bool {
    targets.iter().any(Target::as_text)
}

/// The row cut at its large cells, or why it is refused.
fn pieces(row: RowRef<'_>, targets: &[Target], load: &LoadTarget) -> Result<Vec<Piece>, Reject> {
    let text = is_text(targets);
    let mut scratch = (Vec::new(), String::new());
    let (mut pieces, mut bytes) = (Vec::new(), Vec::new());
    if !text {
        bytes.extend_from_slice(HEADER);
        let count = u16::try_from(targets.len()).expect("invariant: PostgreSQL has at most 1600 columns");
        bytes.extend_from_slice(&count.to_be_bytes());
    }
    for (cell, ((v, target), column)) in row.cells().zip(targets).zip(&load.columns).enumerate() {
        if text && cell > 0 {
            bytes.push(b'\t');
        }
        let done = match v {
            ValueRef::Large(n) => begin(n, target, text, &mut bytes).map(|()| {
                pieces.push(Piece { bytes: std::mem::take(&mut bytes), cell: Some(cell) });
            }),
            _ if v.is_null() && load.place.is_final() && !column.nullable => Err(not_null(column)),
            _ if text => target.text(v, &mut scratch, &mut bytes),
            _ => target.binary(v, &mut bytes),
        };
        done.map_err(|refusal| reject(row, target, refusal))?;
    }
    bytes.extend_from_slice(if text { b"\n" } else { &TRAILER });
    pieces.push(Piece { bytes, cell: None });
    Ok(pieces)
}

/// What stands before the slices of a value.
fn begin(length: u64, target: &Target, text: bool, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let refuse = |detail: String| Err(Refusal { code: "value_too_large", detail });
    if !target.takes_slices() {
        return refuse(format!("{length} bytes are more than this run may hold at once, and the column's type takes no slices"));
    }
    if length > VALUE_MAX {
        return refuse(format!("{length} bytes, the limit is {VALUE_MAX}"));
    }
    let length = i32::try_from(length).expect("invariant: the limit is far below 2 GiB");
    match (text, target.is_bytes()) {
        (true, true) => out.extend_from_slice(b"\\\\x"),
        (true, false) => {}
        (false, _) => out.extend_from_slice(&length.to_be_bytes()),
    }
    Ok(())
}

type Sink = Pin<Box<CopyInSink<Bytes>>>;

/// What ends a row early.
enum Stop {
    /// The server's word, or the end of the connection: its reason comes with the end of the statement.
    Server,
    /// The row's own fault.
    Refused(Refusal, usize),
    /// The source's.
    Source(Error),
}

async fn send(
    link: &Link,
    target: &LoadTarget,
    pieces: Vec<Piece>,
    row: RowRef<'_>,
    targets: &[Target],
    fields: &mut dyn LargeFields,
    doing: &str,
) -> Result<Option<Reject>> {
    let names = target.columns.iter().map(|c| sql::ident(&c.name)).collect::<Vec<_>>().join(", ");
    // Never FREEZE: behind the savepoint the table is no longer one that this very (sub)transaction made.
    let format = if is_text(targets) { "" } else { " WITH (FORMAT binary)" };
    let statement = format!("COPY {} ({names}) FROM STDIN{format}", target.table);
    let mut sink: Sink = Box::pin(link.client.copy_in(statement.as_str()).await.map_err(|e| from_pg(e, doing))?);
    let stop = send_pieces(&mut sink, pieces, row, targets, fields).await.err();
    let reason = match stop {
        None | Some(Stop::Server) => sink.as_mut().finish().await.err(),
        // Dropped unfinished, the COPY is cancelled.
        Some(Stop::Refused(refusal, cell)) => return Ok(Some(reject(row, &targets[cell], refusal))),
        Some(Stop::Source(e)) => return Err(e),
    };
    let Some(e) = reason else { return Ok(None) };
    if refused_by_constraint(&e, target.place) {
        return Err(from_pg(e, doing));
    }
    let Some((ErrorKind::BadRecord, code)) = e.as_db_error().map(|db| classify(db.code().code())) else { return Err(from_pg(e, doing)) };
    Ok(Some(Reject { row: row.to_values(), column: None, code, detail: from_pg(e, doing).message, words: None }))
}

async fn send_pieces(
    sink: &mut Sink,
    pieces: Vec<Piece>,
    row: RowRef<'_>,
    targets: &[Target],
    fields: &mut dyn LargeFields,
) -> Result<(), Stop> {
    let text = is_text(targets);
    for piece in pieces {
        send_in_parts(sink, piece.bytes.into()).await.map_err(|_| Stop::Server)?;
        let Some(cell) = piece.cell else { continue };
        let ValueRef::Large(length) = row.get(cell) else { continue };
        let (mut sent, mut chars) = (0, 0);
        while sent < length {
            let slice = fields.slice(cell, sent).await.map_err(Stop::Source)?;
            sent += slice.len() as u64;
            if slice.is_empty() || sent > length {
                let message = format!("a value of {length} bytes came with another number of bytes");
                return Err(Stop::Source(Error::new(ErrorKind::BadRecord, "value_too_large", message)));
            }
            if !targets[cell].is_bytes() && slice.contains(&0) {
                let detail = "PostgreSQL text cannot hold a NUL character".to_owned();
                return Err(Stop::Refused(Refusal { code: "nul_in_text", detail }, cell));
            }
            // The server would cut what is too long without a word where the rest is spaces.
            chars += slice.iter().filter(|b| *b & 0xC0 != 0x80).count() as u64;
            if let Some(most) = targets[cell].chars_max().filter(|most| chars > u64::from(*most)) {
                return Err(Stop::Refused(Refusal { code: "value_too_long", detail: format!("more than {most} characters") }, cell));
            }
            let slice = if text { as_text(&slice, &targets[cell]) } else { slice };
            send_in_parts(sink, slice.into()).await.map_err(|_| Stop::Server)?;
        }
    }
    Ok(())
}

/// A slice as COPY TEXT has it: bytes in hex, text with its escapes.
fn as_text(slice: &[u8], target: &Target) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * slice.len());
    if target.is_bytes() {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        slice.iter().for_each(|b| out.extend_from_slice(&[HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]));
    } else {
        escape(slice, &mut out);
    }
    out
}
