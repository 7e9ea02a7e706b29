//! SQL functions that the connector registers on its connections: row images, row hashes, and the mark of a value left out.
//!
//! SQLite runs in our process, so exactness comes from our own code: its own `CAST(real AS TEXT)` has too few digits (R10).

use md5::{Digest, Md5};
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef as Stored};
use rusqlite::{Connection, Result};
use syncline_model::ValueRef;
use syncline_model::batch::{decode_cell, encode_cell};

/// Most columns handed to one call; SQLite allows 1,000 arguments, older builds 127 and every build 100.
pub(crate) const ARGUMENTS_MAX: usize = 100;

/// Registers all functions.
pub(crate) fn register(conn: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function("syncline_image", -1, flags, image)?;
    conn.create_scalar_function("syncline_image_join", -1, flags, join)?;
    conn.create_scalar_function("syncline_image_cell", 2, flags, image_cell)?;
    conn.create_scalar_function("syncline_row_hash", -1, flags, row_hash)?;
    conn.create_scalar_function("syncline_number", 1, flags, number)?;
    conn.create_scalar_function("syncline_compare", 3, flags, crate::order::compare)?;
    conn.create_scalar_function("syncline_cell", 2, flags, crate::order::cell)?;
    conn.create_scalar_function("syncline_before", 3, flags, crate::order::before)?;
    // 16 random bytes from SQLite's own generator: no stored value starts with them.
    let marker: Vec<u8> = conn.query_row("SELECT randomblob(16)", [], |r| r.get(0))?;
    conn.create_scalar_function("syncline_large", 1, flags, move |ctx| {
        let mut mark = marker.clone();
        mark.extend_from_slice(&ctx.get::<i64>(0)?.to_le_bytes());
        Ok(mark)
    })
}

/// All arguments as cells in the model's encoding, each behind its length. NULL when one is text that is not UTF-8.
fn image(ctx: &Context<'_>) -> Result<Option<Vec<u8>>> {
    let mut out = Vec::new();
    let mut cell = Vec::new();
    for i in 0..ctx.len() {
        let v = match ctx.get_raw(i) {
            Stored::Null => ValueRef::Null,
            Stored::Integer(n) => ValueRef::I64(n),
            Stored::Real(x) => ValueRef::F64(x),
            Stored::Text(b) => match std::str::from_utf8(b) {
                Ok(s) => ValueRef::Text(s),
                Err(_) => return Ok(None),
            },
            Stored::Blob(b) => ValueRef::Bytes(b),
        };
        cell.clear();
        encode_cell(&mut cell, v);
        let Ok(len) = u32::try_from(cell.len()) else { return Ok(None) };
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&cell);
    }
    Ok(Some(out))
}

/// Images of the parts of a wide row, put together.
fn join(ctx: &Context<'_>) -> Result<Option<Vec<u8>>> {
    let mut out = Vec::new();
    for i in 0..ctx.len() {
        let Stored::Blob(part) = ctx.get_raw(i) else { return Ok(None) };
        out.extend_from_slice(part);
    }
    Ok(Some(out))
}

/// The cell at a place of an image; NULL when there is none.
fn image_cell(ctx: &Context<'_>) -> Result<Value> {
    let Stored::Blob(mut rest) = ctx.get_raw(0) else { return Ok(Value::Null) };
    let mut skip = ctx.get::<i64>(1)?;
    while let Some((len, tail)) = rest.split_at_checked(4) {
        let len = u32::from_le_bytes(len.try_into().expect("invariant: four bytes")) as usize;
        let Some((cell, tail)) = tail.split_at_checked(len) else { break };
        if skip == 0 {
            return Ok(match decode_cell(cell) {
                Some(ValueRef::I64(n)) => Value::Integer(n),
                Some(ValueRef::F64(x)) => Value::Real(x),
                Some(ValueRef::Text(s)) => Value::Text(s.to_owned()),
                Some(ValueRef::Bytes(b)) => Value::Blob(b.to_vec()),
                _ => Value::Null,
            });
        }
        skip -= 1;
        rest = tail;
    }
    Ok(Value::Null)
}

/// MD5, in hex, over storage classes and bytes of all arguments.
fn row_hash(ctx: &Context<'_>) -> Result<String> {
    let mut sum = Md5::new();
    for i in 0..ctx.len() {
        feed(ctx.get_raw(i), |bytes| sum.update(bytes));
    }
    Ok(sum.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// 48 bits of a hash in hex as a number from 0.
fn number(ctx: &Context<'_>) -> Result<i64> {
    let hex: String = ctx.get(0)?;
    Ok(hex.get(..12).and_then(|h| i64::from_str_radix(h, 16).ok()).unwrap_or(0))
}

/// A stored value, self-delimiting: class, length, bytes.
pub(crate) fn feed(v: Stored<'_>, mut put: impl FnMut(&[u8])) {
    let mut sized = |class: u8, bytes: &[u8]| {
        put(&[class]);
        put(&(bytes.len() as u64).to_le_bytes());
        put(bytes);
    };
    match v {
        Stored::Null => put(&[0]),
        Stored::Integer(n) => sized(1, &n.to_le_bytes()),
        Stored::Real(x) => sized(2, &x.to_bits().to_le_bytes()),
        Stored::Text(b) => sized(3, b),
        Stored::Blob(b) => sized(4, b),
    }
}
