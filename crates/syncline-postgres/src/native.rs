//! PostgreSQL's own types: from the catalogue's spelling to the logical type, and how each travels through COPY BINARY.

use syncline_model::{Column, LogicalType};

/// How values of a column travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// 1 byte.
    Bool,
    /// 2, 4 or 8 bytes.
    Int(u8),
    /// 4 or 8 bytes.
    Float(u8),
    /// Base-10000 digits.
    Numeric,
    /// UTF-8 bytes; also enum labels and `json`.
    Text,
    /// Text that is JSON, as `json` stores it.
    Json,
    /// A version byte, then text.
    Jsonb,
    /// Bytes.
    Bytes,
    /// Bit count, then bytes.
    Bit,
    /// 16 bytes.
    Uuid,
    /// Days since 2000-01-01.
    Date,
    /// Microseconds of the day.
    Time,
    /// Microseconds since 2000-01-01, without zone.
    Timestamp,
    /// Microseconds since 2000-01-01 UTC.
    TimestampTz,
    /// Microseconds, days, months.
    Interval,
    /// No binary form of ours: read as `::text`, written through COPY in text format.
    AsText,
}

/// How a column of this connector's making (from `discover`, `map_column`) travels.
#[must_use]
pub fn wire(column: &Column) -> Wire {
    use LogicalType as T;
    match &column.logical {
        T::Bool => Wire::Bool,
        T::Int { bits, unsigned: false } => match bits {
            16 => Wire::Int(2),
            32 => Wire::Int(4),
            64 => Wire::Int(8),
            _ => Wire::AsText,
        },
        T::Float { bits: 32 } => Wire::Float(4),
        T::Float { .. } => Wire::Float(8),
        T::Decimal { .. } => Wire::Numeric,
        T::Text { .. } | T::Enum { .. } => Wire::Text,
        T::Bytes { .. } => Wire::Bytes,
        T::Bit { .. } => Wire::Bit,
        T::Uuid => Wire::Uuid,
        T::Date => Wire::Date,
        T::Time { .. } => Wire::Time,
        T::Timestamp { .. } => Wire::Timestamp,
        T::TimestampTz { .. } => Wire::TimestampTz,
        T::Interval => Wire::Interval,
        T::Json { normalised: true } => Wire::Jsonb,
        T::Json { normalised: false } => Wire::Json,
        T::Int { unsigned: true, .. } | T::Year | T::TimeSpan { .. } | T::Set { .. } | T::Geometry | T::Other { .. } | T::Any => {
            Wire::AsText
        }
    }
}

/// What the catalogue says of a type, domains already resolved to what they rest on.
#[derive(Clone, Debug)]
pub struct NativeType<'a> {
    /// Bare name of the base type: `int4`, `varchar`, `citext`.
    pub base: &'a str,
    /// It lives in `pg_catalog`.
    pub builtin: bool,
    /// Type modifier, −1 for none.
    pub modifier: i32,
    /// Labels when it is an enum.
    pub labels: Option<&'a [String]>,
    /// Full spelling of the base type: `integer[]`.
    pub spelled: &'a str,
}

/// The logical type of a catalogue type.
#[must_use]
pub fn logical(t: &NativeType<'_>) -> LogicalType {
    use LogicalType as T;
    if let Some(labels) = t.labels {
        return T::Enum { labels: labels.to_vec() };
    }
    let other = || T::Other { name: t.spelled.to_owned() };
    if !t.builtin {
        return if t.base == "citext" { T::Text { chars_max: None, fixed: false } } else { other() };
    }
    let int = |bits| T::Int { bits, unsigned: false };
    let digits = if (0..=6).contains(&t.modifier) { u8::try_from(t.modifier).expect("invariant: 0 to 6") } else { 6 };
    let length = |header: i32| u32::try_from(t.modifier - header).ok();
    match t.base {
        "bool" => T::Bool,
        "int2" => int(16),
        "int4" => int(32),
        "int8" => int(64),
        "float4" => T::Float { bits: 32 },
        "float8" => T::Float { bits: 64 },
        "numeric" => T::Decimal { limits: numeric_limits(t.modifier) },
        "text" => T::Text { chars_max: None, fixed: false },
        "varchar" => T::Text { chars_max: length(4), fixed: false },
        "bpchar" => T::Text { chars_max: length(4), fixed: true },
        "name" => T::Text { chars_max: Some(63), fixed: false },
        "bytea" => T::Bytes { bytes_max: None, fixed: false },
        "bit" => T::Bit { len: length(0), varying: false },
        "varbit" => T::Bit { len: length(0).filter(|n| *n > 0), varying: true },
        "uuid" => T::Uuid,
        "date" => T::Date,
        "time" => T::Time { digits },
        "timestamp" => T::Timestamp { digits },
        "timestamptz" => T::TimestampTz { digits },
        "interval" => T::Interval,
        "json" => T::Json { normalised: false },
        "jsonb" => T::Json { normalised: true },
        _ => other(),
    }
}

/// Precision and scale of a numeric's type modifier: scale is 11 bits, signed since PostgreSQL 15.
fn numeric_limits(modifier: i32) -> Option<(u32, i32)> {
    let m = modifier.checked_sub(4).filter(|m| *m >= 0)?;
    let scale = m & 0x7ff;
    Some((u32::try_from(m >> 16 & 0xffff).ok()?, if scale > 1023 { scale - 2048 } else { scale }))
}

/// The built-in spelling of a logical type, where one type of PostgreSQL stands for it exactly.
#[must_use]
pub fn spelling(t: &LogicalType) -> Option<String> {
    use LogicalType as T;
    let digits = |name: &str, zone: &str, n: u8| if n >= 6 { format!("{name}{zone}") } else { format!("{name}({n}){zone}") };
    Some(match t {
        T::Bool => "boolean".to_owned(),
        T::Int { bits: 16, unsigned: false } => "smallint".to_owned(),
        T::Int { bits: 32, unsigned: false } => "integer".to_owned(),
        T::Int { bits: 64, unsigned: false } => "bigint".to_owned(),
        T::Float { bits: 32 } => "real".to_owned(),
        T::Float { .. } => "double precision".to_owned(),
        T::Decimal { limits: Some((p, s)) } => format!("numeric({p},{s})"),
        T::Decimal { limits: None } => "numeric".to_owned(),
        T::Text { chars_max: None, fixed: true } => "bpchar".to_owned(),
        T::Text { chars_max: None, fixed: false } => "text".to_owned(),
        T::Text { chars_max: Some(n), fixed: true } => format!("character({n})"),
        T::Text { chars_max: Some(n), fixed: false } => format!("character varying({n})"),
        T::Bytes { .. } => "bytea".to_owned(),
        T::Bit { len: Some(n), varying: false } => format!("bit({n})"),
        T::Bit { len: Some(n), varying: true } => format!("bit varying({n})"),
        T::Bit { len: None, varying: true } => "bit varying".to_owned(),
        T::Uuid => "uuid".to_owned(),
        T::Date => "date".to_owned(),
        T::Time { digits: n } => digits("time", " without time zone", *n),
        T::Timestamp { digits: n } => digits("timestamp", " without time zone", *n),
        T::TimestampTz { digits: n } => digits("timestamp", " with time zone", *n),
        T::Interval => "interval".to_owned(),
        T::Json { normalised: true } => "jsonb".to_owned(),
        T::Json { normalised: false } => "json".to_owned(),
        T::Bit { len: None, varying: false }
        | T::Int { .. }
        | T::Year
        | T::TimeSpan { .. }
        | T::Enum { .. }
        | T::Set { .. }
        | T::Geometry
        | T::Other { .. }
        | T::Any => return None,
    })
}

/// The type that staging columns have: the column's own, a domain replaced by what it rests on, so that no constraint
/// speaks before the checks that park single rows (R21).
#[must_use]
pub fn staging_type(column: &Column) -> String {
    if is_domain(column) {
        spelling(&column.logical).unwrap_or_else(|| match &column.logical {
            LogicalType::Other { name } => name.clone(),
            _ => column.native.clone(),
        })
    } else {
        column.native.clone()
    }
}

/// Whether the column's type is a domain: a built-in logical type under a spelling that is none of the built-in ones.
#[must_use]
pub fn is_domain(column: &Column) -> bool {
    let native = column.native.as_str();
    match &column.logical {
        LogicalType::Other { name } => name != native,
        LogicalType::Enum { .. } => false,
        LogicalType::Text { .. } if native == "citext" || native.ends_with(".citext") => false,
        _ => {
            let head = native.split('(').next().unwrap_or(native).trim();
            !BUILTIN.contains(&head)
        }
    }
}

/// The logical type of a bare spelling, for answers whose columns are known by name only.
#[must_use]
pub fn logical_of(spelled: &str) -> LogicalType {
    let base = match spelled {
        "boolean" => "bool",
        "smallint" => "int2",
        "integer" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double precision" => "float8",
        "character varying" => "varchar",
        "character" => "bpchar",
        "bit varying" => "varbit",
        "time without time zone" => "time",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        other => other,
    };
    logical(&NativeType { base, builtin: true, modifier: -1, labels: None, spelled })
}

/// Spellings of `format_type` and their short forms, without modifier.
const BUILTIN: &[&str] = &[
    "boolean",
    "bool",
    "smallint",
    "int2",
    "integer",
    "int4",
    "int",
    "bigint",
    "int8",
    "real",
    "float4",
    "double precision",
    "float8",
    "numeric",
    "decimal",
    "text",
    "character varying",
    "varchar",
    "character",
    "char",
    "bpchar",
    "name",
    "bytea",
    "bit",
    "bit varying",
    "varbit",
    "uuid",
    "date",
    "time",
    "time without time zone",
    "timestamp",
    "timestamp without time zone",
    "timestamp with time zone",
    "timestamptz",
    "interval",
    "json",
    "jsonb",
    // `interval` with fields.
    "interval year",
    "interval month",
    "interval day",
    "interval hour",
    "interval minute",
    "interval second",
    "interval year to month",
    "interval day to hour",
    "interval day to minute",
    "interval day to second",
    "interval hour to minute",
    "interval hour to second",
    "interval minute to second",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(base: &str, modifier: i32, spelled: &str) -> LogicalType {
        logical(&NativeType { base, builtin: true, modifier, labels: None, spelled })
    }

    #[test]
    fn every_builtin_scalar_is_spelled_back_as_the_server_spells_it() {
        for (base, modifier, spelled) in [
            ("bool", -1, "boolean"),
            ("int2", -1, "smallint"),
            ("int8", -1, "bigint"),
            ("float4", -1, "real"),
            ("numeric", -1, "numeric"),
            ("numeric", (12 << 16 | 2) + 4, "numeric(12,2)"),
            ("numeric", (5 << 16 | 2045) + 4, "numeric(5,-3)"),
            ("varchar", 49, "character varying(45)"),
            ("bpchar", 5, "character(1)"),
            ("bit", 8, "bit(8)"),
            ("varbit", -1, "bit varying"),
            ("timestamp", 3, "timestamp(3) without time zone"),
            ("timestamptz", -1, "timestamp with time zone"),
            ("jsonb", -1, "jsonb"),
        ] {
            let logical = of(base, modifier, spelled);
            assert_eq!(spelling(&logical).as_deref(), Some(spelled));
            assert!(!is_domain(&Column::plain("c", logical, spelled)));
        }
    }

    #[test]
    fn a_domain_is_staged_as_what_it_rests_on() {
        let c = Column::plain("c", of("int4", -1, "integer"), "shop.positive");
        assert!(is_domain(&c));
        assert_eq!(staging_type(&c), "integer");
    }
}
