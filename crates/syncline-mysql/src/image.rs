//! Row images: all columns of a row as one text that gives every value back exactly (R28).

use syncline_model::{Column, LogicalType};

use crate::flavour::Flavour;
use crate::quote;

/// Whether the exact text of the type is digits, letters and marks that are no comma and no tilde.
fn is_plain(c: &Column) -> bool {
    use LogicalType as T;
    match &c.logical {
        T::Bool
        | T::Int { .. }
        | T::Year
        | T::Decimal { .. }
        | T::Float { .. }
        | T::Bit { .. }
        | T::Uuid
        | T::Date
        | T::Time { .. }
        | T::TimeSpan { .. }
        | T::Timestamp { .. }
        | T::TimestampTz { .. }
        | T::Interval => true,
        T::Text { .. } | T::Enum { .. } | T::Set { .. } | T::Any | T::Bytes { .. } | T::Geometry | T::Json { .. } | T::Other { .. } => {
            false
        }
    }
}

/// A field of a list between commas: its exact text, or what `wrap` makes of one that may hold anything; `~` for NULL.
fn field(c: &Column, a: &str, wrap: &str, flavour: &Flavour) -> String {
    let text = exact(c, a, flavour);
    let text = if is_plain(c) { text } else { format!("{wrap}({text})") };
    if c.nullable { format!("IF({a}.{} IS NULL, '~', {text})", quote::name(&c.name)) } else { text }
}

/// Exact text (or bytes) of a column; NULL stays NULL.
fn exact(c: &Column, a: &str, flavour: &Flavour) -> String {
    use LogicalType as T;
    let q = format!("{a}.{}", quote::name(&c.name));
    match &c.logical {
        T::Bytes { .. } | T::Geometry => q,
        T::Text { .. } | T::Enum { .. } | T::Set { .. } | T::Any => format!("CONVERT({q} USING utf8mb4)"),
        T::Json { .. } => flavour.json_text(&q),
        T::Float { .. } => format!("CAST({q} * 1e0 AS CHAR)"),
        T::Bit { .. } => format!("BIN({q} + 0)"),
        T::Bool
        | T::Int { .. }
        | T::Year
        | T::Decimal { .. }
        | T::Uuid
        | T::Date
        | T::Time { .. }
        | T::TimeSpan { .. }
        | T::Timestamp { .. }
        | T::TimestampTz { .. }
        | T::Interval
        | T::Other { .. } => format!("CAST({q} AS CHAR)"),
    }
}

/// Fields between commas, in hexadecimal where they may hold anything. CONCAT answers NULL when a field could not be made.
pub(crate) fn image(columns: &[&Column], a: &str, flavour: &Flavour) -> String {
    let one = |c: &&Column| field(c, a, "HEX", flavour);
    format!("CONCAT({})", columns.iter().map(one).collect::<Vec<_>>().join(", ',', "))
}

/// MD5 over all columns, of those that may be long over their MD5s: no concatenation grows with the values (R4).
pub(crate) fn hash(columns: &[&Column], a: &str, flavour: &Flavour) -> String {
    let one = |c: &&Column| field(c, a, "MD5", flavour);
    format!("MD5(CONCAT({}))", columns.iter().map(one).collect::<Vec<_>>().join(", ',', "))
}

/// The select list that reads `a.image` back.
pub(crate) fn select(columns: &[&Column], a: &str, flavour: &Flavour) -> String {
    let one = |(i, c): (usize, &&Column)| {
        let field = format!("SUBSTRING_INDEX(SUBSTRING_INDEX({a}.image, ',', {}), ',', -1)", i + 1);
        let value = typed(c, &if is_plain(c) { field.clone() } else { format!("UNHEX({field})") }, flavour);
        format!("CASE WHEN {field} = '~' THEN NULL ELSE {value} END AS {}", quote::name(&c.name))
    };
    columns.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

fn typed(c: &Column, bytes: &str, flavour: &Flavour) -> String {
    use LogicalType as T;
    let text = format!("CONVERT({bytes} USING utf8mb4)");
    match &c.logical {
        T::Bytes { .. } | T::Geometry => bytes.to_owned(),
        T::Int { unsigned: true, .. } | T::Year => format!("CAST({text} AS UNSIGNED)"),
        T::Bool | T::Int { .. } => format!("CAST({text} AS SIGNED)"),
        T::Decimal { limits } => {
            let (precision, scale) = limits.unwrap_or((65, 30));
            format!("CAST({text} AS DECIMAL({precision},{scale}))")
        }
        T::Float { .. } => format!("({text} + 0e0)"),
        T::Bit { .. } => format!("CAST(CONV({text}, 2, 10) AS UNSIGNED)"),
        T::Date => format!("CAST({text} AS DATE)"),
        T::Time { .. } | T::TimeSpan { .. } | T::Interval => format!("CAST({text} AS TIME(6))"),
        T::Timestamp { .. } | T::TimestampTz { .. } => format!("CAST({text} AS DATETIME(6))"),
        T::Json { .. } => flavour.to_json(&text),
        T::Text { .. } | T::Enum { .. } | T::Set { .. } | T::Uuid | T::Other { .. } | T::Any => text,
    }
}
