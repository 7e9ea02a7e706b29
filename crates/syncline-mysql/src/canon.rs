//! The canonical text of a column in SQL: `docs/specs/digest.md`.

use syncline_connector::{DigestColumn, Error, ErrorKind, Result};
use syncline_model::{Canon, Column, LogicalType, Table};

use crate::flavour::Flavour;
use crate::native::Native;
use crate::quote;

/// Day number of 1970-01-01 in `TO_DAYS`.
const EPOCH_DAYS: u32 = 719_528;

/// A field: `~` for NULL, else the length in bytes, a colon, the text. NULL only when the text could not be made (R4).
pub(crate) fn field(table: &Table, column: &DigestColumn, flavour: &Flavour) -> Result<String> {
    let c = table.column(&column.name).ok_or_else(|| {
        let message = format!("digest `{}`: there is no column `{}`", table.name, column.name);
        Error::new(ErrorKind::Invalid, "column_missing", message).hint("run discover again")
    })?;
    let q = quote::name(&c.name);
    let text = text(c, column.canon, flavour).ok_or_else(|| {
        let message = format!("digest `{}`: column `{}` has no form in SQL", table.name, column.name);
        Error::new(ErrorKind::Invalid, "digest_unsupported", message)
    })?;
    // Bytes and JSON of any length are always hashed, whatever was asked.
    Ok(match (column.hashed || matches!(column.canon, Canon::Bytes | Canon::JsonText), c.nullable) {
        (true, true) => format!("IF({q} IS NULL, '~', CONCAT('32:', MD5({text})))"),
        (true, false) => format!("CONCAT('32:', MD5({text}))"),
        (false, true) => format!("IF({q} IS NULL, '~', CONCAT(LENGTH({text}), ':', {text}))"),
        (false, false) => format!("CONCAT(LENGTH({text}), ':', {text})"),
    })
}

/// The row text: all fields after each other.
pub(crate) fn row(table: &Table, columns: &[DigestColumn], flavour: &Flavour) -> Result<String> {
    let fields = columns.iter().map(|c| field(table, c, flavour)).collect::<Result<Vec<_>>>()?;
    // The empty bytes make the whole a concatenation of bytes: nothing is transcoded, and collations need not agree. They are cast, for
    // a literal gives way to columns: two collations of one character set would then be refused.
    Ok(format!("CONCAT(CAST('' AS BINARY), {})", fields.join(", ")))
}

/// Canonical text of a column; `None` where the form has no SQL.
fn text(c: &Column, canon: Canon, flavour: &Flavour) -> Option<String> {
    let q = quote::name(&c.name);
    match canon {
        Canon::Number => number(c, &q),
        Canon::Float => match c.logical {
            LogicalType::Float { bits: 64 } => Some(q),
            // Widened: as itself a FLOAT is cut to six digits (R10).
            LogicalType::Float { .. } => Some(format!("CAST({q} * 1e0 AS CHAR)")),
            _ => None,
        },
        Canon::Text => plain_text(c, &q, flavour),
        Canon::TextPadded => plain_text(c, &q, flavour).map(|t| format!("TRIM(TRAILING ' ' FROM {t})")),
        Canon::Bytes => matches!(c.logical, LogicalType::Bytes { .. } | LogicalType::Geometry).then_some(q),
        Canon::Uuid => uuid(c, &q),
        Canon::Date => matches!(c.logical, LogicalType::Date).then(|| existing(&q, &format!("TO_DAYS({q}) - {EPOCH_DAYS}"))),
        Canon::Timestamp => matches!(c.logical, LogicalType::Timestamp { .. }).then(|| instant(&q)),
        Canon::TimestampTz => matches!(c.logical, LogicalType::TimestampTz { .. }).then(|| instant(&q)),
        Canon::Span => matches!(c.logical, LogicalType::TimeSpan { .. }).then(|| {
            let seconds = format!("(HOUR({q}) * 3600 + MINUTE({q}) * 60 + SECOND({q}))");
            format!("CAST(({seconds} * 1000000 + MICROSECOND({q})) * IF({q} < 0, -1, 1) AS CHAR)")
        }),
        Canon::JsonText => match c.logical {
            LogicalType::Json { .. } => Some(flavour.json_text(&q)),
            LogicalType::Text { .. } => Some(utf8(c, &q)),
            _ => None,
        },
        Canon::DecimalScaled | Canon::JsonValue | Canon::Own => None,
    }
}

fn number(c: &Column, q: &str) -> Option<String> {
    // ZEROFILL shows leading zeros as text, YEAR four digits; adding nothing makes either a plain number.
    let padded = c.native.contains("zerofill") || c.logical == LogicalType::Year;
    let plain = if padded { format!("({q} + 0)") } else { q.to_owned() };
    match &c.logical {
        LogicalType::Decimal { limits: Some((_, scale)) } if *scale > 0 => {
            Some(format!("TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {plain}))"))
        }
        LogicalType::Bool | LogicalType::Int { .. } | LogicalType::Decimal { .. } | LogicalType::Year => Some(plain),
        LogicalType::Float { .. } => Some(format!("IF({q} = 0, '0', CAST({q} * 1e0 AS CHAR))")),
        _ => None,
    }
}

fn plain_text(c: &Column, q: &str, flavour: &Flavour) -> Option<String> {
    match &c.logical {
        LogicalType::Text { .. } | LogicalType::Enum { .. } | LogicalType::Set { .. } => Some(utf8(c, q)),
        LogicalType::Bit { len, .. } => Some(format!("LPAD(BIN({q} + 0), {}, '0')", len.unwrap_or(64))),
        LogicalType::Json { .. } => Some(flavour.json_text(q)),
        LogicalType::Other { .. } => Some(format!("CAST({q} AS CHAR)")),
        _ => None,
    }
}

/// Text that is no UUID is tagged, so that it equals only itself.
fn uuid(c: &Column, q: &str) -> Option<String> {
    match &c.logical {
        LogicalType::Uuid => Some(format!("LOWER(REPLACE(CAST({q} AS CHAR), '-', ''))")),
        LogicalType::Text { .. } => {
            let t = format!("CONVERT({q} USING utf8mb4)");
            let digits = "(-*[0-9A-Fa-f]){32}-*";
            let bare = format!("LOWER(REPLACE(REPLACE(REPLACE({t}, '-', ''), '{{', ''), '}}', ''))");
            Some(format!("IF({t} REGEXP '^([{{]{digits}[}}]|{digits})$', {bare}, CONCAT('!', {t}))"))
        }
        LogicalType::Bytes { .. } => Some(format!("LOWER(HEX({q}))")),
        _ => None,
    }
}

fn instant(q: &str) -> String {
    existing(q, &format!("TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {q})"))
}

/// `value` for days that exist, the tagged text of all others: zero and partial dates, year 0, 30 February.
fn existing(q: &str, value: &str) -> String {
    let whole = format!("{q} >= '0001-01-01' AND MONTH({q}) > 0 AND DAY({q}) > 0");
    let in_month = format!("(DAY({q}) < 29 OR DAY({q}) <= DAY(LAST_DAY(DATE_SUB({q}, INTERVAL DAY({q}) - 1 DAY))))");
    format!("IF({whole} AND {in_month}, {value}, CONCAT('!', CAST({q} AS CHAR)))")
}

/// UTF-8 bytes of a text column. Where the column is stored as UTF-8 nothing needs to be converted.
fn utf8(c: &Column, q: &str) -> String {
    match Native::parse(&c.native).charset.as_deref() {
        Some("utf8mb4" | "utf8mb3" | "utf8" | "ascii") => q.to_owned(),
        _ => format!("CONVERT({q} USING utf8mb4)"),
    }
}
