//! COPY BINARY → cells. One tuple per message; no allocation per row or value.

use syncline_connector::{Error, ErrorKind, Result};
use syncline_model::{Column, RowBatch, ValueRef, civil};

use crate::native::{Wire, wire};
use crate::numeric;

/// Days and microseconds from 1970-01-01 to PostgreSQL's own epoch, 2000-01-01.
pub const EPOCH_DAYS: i32 = 10_957;
/// See [`EPOCH_DAYS`].
pub const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// What comes before the first tuple: signature, flags, length of the (empty) extension.
pub const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What comes after the last.
pub const TRAILER: [u8; 2] = [0xff, 0xff];

/// How one column of an answer becomes a cell.
#[derive(Clone, Debug)]
pub struct CellForm {
    wire: Wire,
    type_name: String,
    /// Field that holds the value's length when it was too large to be sent (R25).
    length_at: Option<usize>,
}

impl CellForm {
    /// The form of a column read as values.
    #[must_use]
    pub fn of(column: &Column) -> Self {
        let wire = wire(column);
        let type_name = match (wire, &column.logical) {
            (Wire::Date, _) => "date".to_owned(),
            (Wire::Timestamp, _) => "timestamp".to_owned(),
            (Wire::TimestampTz, _) => "timestamptz".to_owned(),
            (_, syncline_model::LogicalType::Other { name }) => name.clone(),
            _ => column.native.clone(),
        };
        Self { wire, type_name, length_at: None }
    }

    /// Plain text, as `::text` gives it.
    #[must_use]
    pub fn text() -> Self {
        Self { wire: Wire::Text, type_name: String::new(), length_at: None }
    }

    /// A plain bytea.
    #[must_use]
    pub fn bytes() -> Self {
        Self { wire: Wire::Bytes, type_name: String::new(), length_at: None }
    }

    /// A plain bigint.
    #[must_use]
    pub fn bigint() -> Self {
        Self { wire: Wire::Int(8), type_name: String::new(), length_at: None }
    }

    /// The same, with its length in field `at` when it was too large.
    #[must_use]
    pub fn guarded(mut self, at: usize) -> Self {
        self.length_at = Some(at);
        self
    }
}

/// Decodes the messages of one COPY into batches.
#[derive(Debug)]
pub struct Decoder {
    forms: Vec<CellForm>,
    /// (start, end) of each field in the message at hand; start > end for NULL.
    fields: Vec<(usize, usize)>,
    scratch: String,
    begun: bool,
}

/// A field that is NULL.
pub const NULL: (usize, usize) = (1, 0);

impl Decoder {
    /// A decoder for tuples whose first fields have these forms.
    #[must_use]
    pub fn new(forms: Vec<CellForm>) -> Self {
        Self { forms, fields: Vec::new(), scratch: String::new(), begun: false }
    }

    /// Cells per row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.forms.len()
    }

    /// A new COPY begins: its first message carries a header.
    pub fn restart(&mut self) {
        self.begun = false;
    }

    /// Takes one message and appends its row, if it holds one.
    ///
    /// # Errors
    /// `Internal` when the bytes are no tuple of ours; `BadRecord` (`text_not_utf8`) for text that the server passed on unchecked.
    pub fn message(&mut self, message: &[u8], batch: &mut RowBatch) -> Result<()> {
        let tuple = strip_header(message, &mut self.begun)?;
        if tuple.is_empty() || tuple == TRAILER {
            return Ok(());
        }
        split(tuple, &mut self.fields).ok_or_else(broken)?;
        for (at, form) in self.forms.iter().enumerate() {
            let field = *self.fields.get(at).ok_or_else(broken)?;
            self.scratch.clear();
            let value = if field == NULL {
                match form.length_at.and_then(|l| self.fields.get(l)).filter(|f| **f != NULL) {
                    Some(&(start, end)) => ValueRef::Large(u64::from_be_bytes(tuple[start..end].try_into().map_err(|_| broken())?)),
                    None => ValueRef::Null,
                }
            } else {
                cell(form, &tuple[field.0..field.1], &mut self.scratch)?
            };
            batch.push(value);
        }
        Ok(())
    }
}

/// Takes the header off the first message; everything else passes.
///
/// # Errors
/// `Internal` when the first message does not begin with the header.
pub fn strip_header<'m>(message: &'m [u8], begun: &mut bool) -> Result<&'m [u8]> {
    if *begun {
        return Ok(message);
    }
    *begun = true;
    let rest = message.strip_prefix(&HEADER[..15]).ok_or_else(broken)?;
    let extension = u32::from_be_bytes(rest.get(..4).and_then(|b| b.try_into().ok()).ok_or_else(broken)?);
    usize::try_from(extension).ok().and_then(|n| rest.get(4 + n..)).ok_or_else(broken)
}

/// Finds the fields of a tuple: (start, end) each, [`NULL`] where there is none.
pub fn split(tuple: &[u8], fields: &mut Vec<(usize, usize)>) -> Option<()> {
    fields.clear();
    let count = u16::from_be_bytes(tuple.get(..2)?.try_into().ok()?);
    let mut at = 2;
    for _ in 0..count {
        let len = i32::from_be_bytes(tuple.get(at..at + 4)?.try_into().ok()?);
        at += 4;
        match usize::try_from(len) {
            Ok(len) => {
                fields.push((at, at + len));
                at += len;
            }
            Err(_) => fields.push(NULL),
        }
    }
    (at == tuple.len()).then_some(())
}

/// The answer is not what was asked for.
pub fn broken() -> Error {
    Error::internal("decode COPY BINARY: the answer is not in the form that was asked for")
}

fn cell<'a>(form: &'a CellForm, data: &'a [u8], scratch: &'a mut String) -> Result<ValueRef<'a>> {
    Ok(match form.wire {
        Wire::Bool => ValueRef::Bool(data == [1]),
        Wire::Int(2) => ValueRef::I64(i64::from(i16::from_be_bytes(fixed(data)?))),
        Wire::Int(4) => ValueRef::I64(i64::from(i32::from_be_bytes(fixed(data)?))),
        Wire::Int(_) => ValueRef::I64(i64::from_be_bytes(fixed(data)?)),
        Wire::Float(4) => ValueRef::F64(f64::from(f32::from_bits(u32::from_be_bytes(fixed(data)?)))),
        Wire::Float(_) => ValueRef::F64(f64::from_bits(u64::from_be_bytes(fixed(data)?))),
        Wire::Numeric => {
            numeric::decode(data, scratch).ok_or_else(broken)?;
            ValueRef::Decimal(scratch)
        }
        Wire::Text => ValueRef::Text(utf8(data)?),
        Wire::Json => ValueRef::Json(utf8(data)?),
        // The version byte is 1 and has been since there is jsonb.
        Wire::Jsonb => ValueRef::Json(utf8(data.strip_prefix(&[1]).ok_or_else(broken)?)?),
        Wire::Bytes => ValueRef::Bytes(data),
        Wire::Bit => {
            bits(data, scratch).ok_or_else(broken)?;
            ValueRef::Text(scratch)
        }
        Wire::Uuid => ValueRef::Uuid(fixed(data)?),
        Wire::Date => match i32::from_be_bytes(fixed(data)?) {
            i32::MAX => other(form, "infinity"),
            i32::MIN => other(form, "-infinity"),
            days => ValueRef::Date(days.checked_add(EPOCH_DAYS).ok_or_else(broken)?),
        },
        Wire::Time => ValueRef::Time(i64::from_be_bytes(fixed(data)?)),
        Wire::Timestamp => instant(form, i64::from_be_bytes(fixed(data)?), scratch, ValueRef::Timestamp),
        Wire::TimestampTz => instant(form, i64::from_be_bytes(fixed(data)?), scratch, ValueRef::TimestampTz),
        Wire::Interval => {
            let bytes: [u8; 16] = fixed(data)?;
            ValueRef::Interval {
                micros: i64::from_be_bytes(fixed(&bytes[..8])?),
                days: i32::from_be_bytes(fixed(&bytes[8..12])?),
                months: i32::from_be_bytes(fixed(&bytes[12..])?),
            }
        }
        Wire::AsText => ValueRef::Other { type_name: &form.type_name, text: utf8(data)? },
    })
}

fn other<'a>(form: &'a CellForm, text: &'a str) -> ValueRef<'a> {
    ValueRef::Other { type_name: &form.type_name, text }
}

fn fixed<const N: usize>(data: &[u8]) -> Result<[u8; N]> {
    data.try_into().map_err(|_| broken())
}

fn utf8(data: &[u8]) -> Result<&str> {
    std::str::from_utf8(data).map_err(|_| {
        Error::new(ErrorKind::BadRecord, "text_not_utf8", "decode text: the database holds bytes that are no UTF-8")
            .hint("a database in SQL_ASCII accepts any bytes; repair the rows or convert the database to UTF8")
    })
}

/// An instant, or what has no place in 64 bits of microseconds since 1970: the infinities and the last 30 years of the range.
fn instant<'a>(form: &'a CellForm, micros: i64, scratch: &'a mut String, make: impl Fn(i64) -> ValueRef<'a>) -> ValueRef<'a> {
    match micros {
        i64::MAX => other(form, "infinity"),
        i64::MIN => other(form, "-infinity"),
        _ => match micros.checked_add(EPOCH_MICROS) {
            Some(unix) => make(unix),
            None => {
                let days = i32::try_from(micros.div_euclid(civil::DAY)).expect("invariant: i64 microseconds span i32 days");
                scratch.push_str(&civil::date_text(days + EPOCH_DAYS));
                scratch.push(' ');
                scratch.push_str(&civil::time_text(micros.rem_euclid(civil::DAY)));
                if form.wire == Wire::TimestampTz {
                    scratch.push_str("+00");
                }
                other(form, scratch)
            }
        },
    }
}

fn bits(data: &[u8], out: &mut String) -> Option<()> {
    let count = usize::try_from(i32::from_be_bytes(data.get(..4)?.try_into().ok()?)).ok()?;
    let bytes = &data[4..];
    if bytes.len() != count.div_ceil(8) {
        return None;
    }
    out.extend((0..count).map(|i| if bytes[i / 8] >> (7 - i % 8) & 1 == 1 { '1' } else { '0' }));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use syncline_model::LogicalType;

    fn decoder() -> Decoder {
        let text = Column::plain("t", LogicalType::Text { chars_max: None, fixed: false }, "text");
        Decoder::new(vec![CellForm::bigint(), CellForm::of(&text).guarded(2)])
    }

    #[test]
    fn the_first_message_carries_header_and_row_and_the_last_no_row() {
        let mut first = HEADER.to_vec();
        first.extend_from_slice(&[0, 3, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2, b'h', b'i', 0xff, 0xff, 0xff, 0xff]);
        let (mut d, mut batch) = (decoder(), RowBatch::new(2));
        d.message(&first, &mut batch).unwrap();
        d.message(&TRAILER, &mut batch).unwrap();
        assert_eq!(batch.len(), 1);
        assert_eq!(batch.row(0).get(1), ValueRef::Text("hi"));
    }

    // rule: R25
    #[test]
    fn a_value_left_out_for_its_size_comes_as_its_length() {
        let mut first = HEADER.to_vec();
        first.extend_from_slice(&[0, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 8, 0, 0, 0, 0, 4, 0, 0, 0]);
        let (mut d, mut batch) = (decoder(), RowBatch::new(2));
        d.message(&first, &mut batch).unwrap();
        assert_eq!(batch.row(0).to_values(), [syncline_model::Value::Null, syncline_model::Value::Large(64 << 20)]);
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_an_error_never_a_panic(bytes: Vec<u8>) {
            let (mut d, mut batch) = (decoder(), RowBatch::new(2));
            d.begun = true;
            let _ = d.message(&bytes, &mut batch);
        }
    }
}
