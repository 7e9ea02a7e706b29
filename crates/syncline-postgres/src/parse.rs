//! Cells from the server's text, for the small answers of the simple protocol. Exact, because every setting that shapes
//! the text is pinned.

use syncline_connector::{Error, Result};
use syncline_model::{Column, LogicalType, RowBatch, ValueRef, civil};
use tokio_postgres::SimpleQueryRow;

use crate::native::{Wire, wire};

/// Appends the cells of one row of text, as `columns` say.
///
/// # Errors
/// `Internal` when a text is not of its column's type.
pub fn row(row: &SimpleQueryRow, columns: &[Column], out: &mut RowBatch) -> Result<()> {
    for (i, column) in columns.iter().enumerate() {
        cell(row.try_get(i).unwrap_or_default(), column, out)?;
    }
    Ok(())
}

/// Appends one cell.
///
/// # Errors
/// As [`row`].
pub fn cell(text: Option<&str>, column: &Column, out: &mut RowBatch) -> Result<()> {
    let Some(text) = text else {
        out.push(ValueRef::Null);
        return Ok(());
    };
    let broken = || Error::internal(format!("read an answer: column `{}` is not of type {}", column.name, column.native));
    let bytes;
    let type_name = match &column.logical {
        LogicalType::Other { name } => name.as_str(),
        _ => match wire(column) {
            Wire::Date => "date",
            Wire::Timestamp => "timestamp",
            Wire::TimestampTz => "timestamptz",
            _ => column.native.as_str(),
        },
    };
    // Infinities and the far end of the range have no number of ours.
    let or_other = |v: Option<ValueRef<'static>>| v.unwrap_or(ValueRef::Null);
    let value = match wire(column) {
        Wire::Bool => ValueRef::Bool(matches!(text, "t" | "true" | "1")),
        Wire::Int(_) => ValueRef::I64(text.parse().map_err(|_| broken())?),
        Wire::Float(4) => ValueRef::F64(f64::from(text.parse::<f32>().map_err(|_| broken())?)),
        Wire::Float(_) => ValueRef::F64(text.parse().map_err(|_| broken())?),
        Wire::Numeric => ValueRef::Decimal(text),
        Wire::Text | Wire::Bit => ValueRef::Text(text),
        Wire::Json | Wire::Jsonb => ValueRef::Json(text),
        Wire::Bytes => {
            bytes = hex(text).ok_or_else(broken)?;
            ValueRef::Bytes(&bytes)
        }
        Wire::Uuid => ValueRef::Uuid(civil::parse_uuid(text).ok_or_else(broken)?),
        Wire::Date => or_other(civil::parse_date(text).map(ValueRef::Date)),
        Wire::Time => ValueRef::Time(civil::parse_time(text).ok_or_else(broken)?),
        Wire::Timestamp => or_other(civil::parse_timestamp(text).map(ValueRef::Timestamp)),
        Wire::TimestampTz => or_other(civil::parse_timestamptz(text).map(ValueRef::TimestampTz)),
        Wire::Interval => {
            let (months, days, micros) = interval(text).ok_or_else(broken)?;
            ValueRef::Interval { months, days, micros }
        }
        Wire::AsText => ValueRef::Other { type_name, text },
    };
    out.push(if value.is_null() { ValueRef::Other { type_name, text } } else { value });
    Ok(())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// An interval in the style `iso_8601`: `P1Y2M-3DT4H-5M6.7S`.
fn interval(text: &str) -> Option<(i32, i32, i64)> {
    let (mut months, mut days, mut micros) = (0i64, 0i64, 0i64);
    let (mut in_time, mut number) = (false, String::new());
    for c in text.strip_prefix('P')?.chars() {
        match c {
            '0'..='9' | '-' | '.' => {
                number.push(c);
                continue;
            }
            'T' => in_time = true,
            'S' => micros = micros.checked_add(seconds(&number)?)?,
            _ => {
                let n: i64 = number.parse().ok()?;
                match (c, in_time) {
                    ('Y', false) => months += n * 12,
                    ('M', false) => months += n,
                    ('D', false) => days += n,
                    ('H', true) => micros = micros.checked_add(n.checked_mul(3600 * civil::SECOND)?)?,
                    ('M', true) => micros = micros.checked_add(n * 60 * civil::SECOND)?,
                    _ => return None,
                }
            }
        }
        number.clear();
    }
    Some((i32::try_from(months).ok()?, i32::try_from(days).ok()?, micros))
}

fn seconds(text: &str) -> Option<i64> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let micros = whole.parse::<i64>().ok()?.checked_mul(civil::SECOND)? + format!("{fraction:0<6}").parse::<i64>().ok()?;
    Some(if negative { -micros } else { micros })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_keep_their_three_parts_and_signs() {
        for (text, want) in [
            ("P1Y2M3DT4H5M6.7S", (14, 3, 14_706_700_000)),
            ("P-1Y-2M3DT-4H-5M-6.000001S", (-14, 3, -14_706_000_001)),
            ("PT0S", (0, 0, 0)),
            ("PT-0.5S", (0, 0, -500_000)),
            ("P1M-30D", (1, -30, 0)),
        ] {
            assert_eq!(interval(text), Some(want), "{text}");
        }
    }

    #[test]
    fn infinity_is_carried_as_the_systems_own_text() {
        let c = Column::plain("at", LogicalType::TimestampTz { digits: 6 }, "timestamp with time zone");
        let mut out = RowBatch::new(1);
        cell(Some("infinity"), &c, &mut out).unwrap();
        assert_eq!(out.row(0).get(0), ValueRef::Other { type_name: "timestamptz", text: "infinity" });
    }
}
