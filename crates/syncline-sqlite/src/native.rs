//! Declared types and what they mean. SQLite keeps any spelling, so tables of our own making say exactly what a column
//! holds; what others declared is understood by the usual words.
//!
//! Our own spellings end in `_TEXT` (TEXT affinity, so that SQLite never turns exact digits into a REAL, R10) or carry
//! their width (`INT_32`). Reading a table that we made gives the logical types back that it was made from.

use syncline_model::{Column, LogicalType as T};

use crate::affinity::Affinity;

/// How the cells of a column are carried: what it holds and how SQLite stores it.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// What it holds.
    pub logical: T,
    /// What it does to values.
    pub affinity: Affinity,
    /// One of our own text spellings: it holds that type's text and nothing else.
    pub own: bool,
}

impl Kind {
    /// The kind of a column of this connector.
    pub(crate) fn of(column: &Column) -> Self {
        Self { logical: column.logical.clone(), affinity: Affinity::of(&column.native), own: is_own(&column.native) }
    }
}

fn is_own(declared: &str) -> bool {
    let (word, _) = split(declared);
    word.ends_with("_TEXT")
}

/// The declared type for a logical type, in a table of our making. `None` where nothing of the type can be stored.
pub(crate) fn declare(logical: &T) -> String {
    match logical {
        T::Bool => "BOOLEAN".into(),
        T::Int { bits: 64, unsigned: false } => "BIGINT".into(),
        // The upper half does not fit an INTEGER.
        T::Int { bits: 64, unsigned: true } => "DECIMAL_TEXT(20,0)".into(),
        T::Int { bits, unsigned } => format!("{}INT_{bits}", if *unsigned { "U" } else { "" }),
        T::Year => "YEAR".into(),
        T::Float { bits: 32 } => "FLOAT_32".into(),
        T::Float { .. } => "DOUBLE".into(),
        T::Decimal { limits: Some((p, s)) } => format!("DECIMAL_TEXT({p},{s})"),
        T::Decimal { limits: None } => "DECIMAL_TEXT".into(),
        T::Text { chars_max: Some(n), fixed: false } => format!("VARCHAR({n})"),
        T::Text { chars_max: Some(n), fixed: true } => format!("PADDED_TEXT({n})"),
        T::Text { chars_max: None, .. } | T::Enum { .. } | T::Set { .. } | T::Other { .. } => "TEXT".into(),
        T::Bytes { bytes_max: Some(n), fixed: true } => format!("BINARY_BLOB({n})"),
        T::Bytes { bytes_max: Some(n), fixed: false } => format!("BLOB({n})"),
        T::Bytes { bytes_max: None, .. } => "BLOB".into(),
        T::Bit { len, varying } => sized(if *varying { "VARBIT_TEXT" } else { "BIT_TEXT" }, *len),
        T::Uuid => "UUID_TEXT".into(),
        T::Date => "DATE_TEXT".into(),
        T::Time { digits } => digits_of("TIME_TEXT", *digits),
        T::TimeSpan { digits } => digits_of("TIMESPAN_TEXT", *digits),
        T::Timestamp { digits } => digits_of("TIMESTAMP_TEXT", *digits),
        T::TimestampTz { digits } => digits_of("TIMESTAMPTZ_TEXT", *digits),
        // Not INTERVAL_TEXT: "INT" anywhere in a declared type means INTEGER affinity.
        T::Interval => "DURATION_TEXT".into(),
        T::Json { .. } => "JSON_TEXT".into(),
        T::Geometry => "GEOMETRY_BLOB".into(),
        T::Any => String::new(),
    }
}

fn sized(word: &str, n: Option<u32>) -> String {
    n.map_or_else(|| word.to_owned(), |n| format!("{word}({n})"))
}

fn digits_of(word: &str, digits: u8) -> String {
    if digits >= 6 { word.to_owned() } else { format!("{word}({digits})") }
}

/// `NUMERIC(10, 2)` as `("NUMERIC", [10, 2])`; spaces within the word are single.
fn split(declared: &str) -> (String, Vec<i64>) {
    let (word, args) = declared.split_once('(').unwrap_or((declared, ""));
    let inner = args.split(')').next().unwrap_or("");
    let args = inner.split(',').filter_map(|a| a.trim().parse().ok()).collect();
    let word = word.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_uppercase();
    (word, args)
}

/// What a declared type holds.
pub(crate) fn logical(declared: &str) -> T {
    let (word, args) = split(declared);
    own(&word, &args).or_else(|| known(&word, &args)).unwrap_or_else(|| by_affinity(declared))
}

fn own(word: &str, args: &[i64]) -> Option<T> {
    let digits = || args.first().and_then(|&n| u8::try_from(n).ok()).unwrap_or(6);
    let size = args.first().and_then(|&n| u32::try_from(n).ok());
    Some(match word {
        "DECIMAL_TEXT" => T::Decimal { limits: limits(args) },
        "DATE_TEXT" => T::Date,
        "TIME_TEXT" => T::Time { digits: digits() },
        "TIMESPAN_TEXT" => T::TimeSpan { digits: digits() },
        "TIMESTAMP_TEXT" => T::Timestamp { digits: digits() },
        "TIMESTAMPTZ_TEXT" => T::TimestampTz { digits: digits() },
        "DURATION_TEXT" => T::Interval,
        "UUID_TEXT" => T::Uuid,
        "JSON_TEXT" => T::Json { normalised: false },
        "BIT_TEXT" => T::Bit { len: size, varying: false },
        "VARBIT_TEXT" => T::Bit { len: size, varying: true },
        "PADDED_TEXT" => T::Text { chars_max: size, fixed: true },
        "FLOAT_32" => T::Float { bits: 32 },
        "BINARY_BLOB" => T::Bytes { bytes_max: size.map(u64::from), fixed: true },
        "GEOMETRY_BLOB" => T::Geometry,
        "INT_8" | "INT_16" | "INT_24" | "INT_32" => T::Int { bits: word[4..].parse().ok()?, unsigned: false },
        "UINT_8" | "UINT_16" | "UINT_24" | "UINT_32" => T::Int { bits: word[5..].parse().ok()?, unsigned: true },
        _ => return None,
    })
}

/// Words of other systems. Integers are 64 bits wide whatever they are called: SQLite never holds them to less.
fn known(word: &str, args: &[i64]) -> Option<T> {
    let size = args.first().and_then(|&n| u32::try_from(n).ok()).filter(|&n| n > 0);
    Some(match word {
        "" | "ANY" => T::Any,
        "BOOLEAN" | "BOOL" | "BIT" => T::Bool,
        "YEAR" => T::Year,
        "DECIMAL" | "NUMERIC" | "NUMBER" | "DEC" | "MONEY" | "SMALLMONEY" => T::Decimal { limits: limits(args) },
        "CHAR" | "CHARACTER" | "NCHAR" | "NATIVE CHARACTER" | "VARCHAR" | "CHARACTER VARYING" | "VARYING CHARACTER" | "NVARCHAR"
        | "VARCHAR2" | "NVARCHAR2" | "TEXT" | "TINYTEXT" | "MEDIUMTEXT" | "LONGTEXT" | "NTEXT" | "CLOB" | "STRING" => {
            T::Text { chars_max: size, fixed: false }
        }
        "BINARY" | "VARBINARY" | "BYTEA" | "IMAGE" | "BLOB" | "TINYBLOB" | "MEDIUMBLOB" | "LONGBLOB" => {
            T::Bytes { bytes_max: size.map(u64::from), fixed: false }
        }
        "UUID" | "GUID" | "UNIQUEIDENTIFIER" => T::Uuid,
        "DATE" => T::Date,
        "TIME" | "TIME WITHOUT TIME ZONE" => T::Time { digits: 6 },
        "DATETIME" | "DATETIME2" | "SMALLDATETIME" | "TIMESTAMP" | "TIMESTAMP WITHOUT TIME ZONE" => T::Timestamp { digits: 6 },
        "TIMESTAMPTZ" | "DATETIMEOFFSET" | "TIMESTAMP WITH TIME ZONE" => T::TimestampTz { digits: 6 },
        "JSON" => T::Json { normalised: false },
        _ => return None,
    })
}

fn limits(args: &[i64]) -> Option<(u32, i32)> {
    let precision = u32::try_from(*args.first()?).ok().filter(|&p| p > 0)?;
    Some((precision, i32::try_from(args.get(1).copied().unwrap_or(0)).ok()?))
}

fn by_affinity(declared: &str) -> T {
    match Affinity::of(declared) {
        Affinity::Integer => T::Int { bits: 64, unsigned: false },
        Affinity::Text => T::Text { chars_max: None, fixed: false },
        Affinity::Real => T::Float { bits: 64 },
        Affinity::Blob => T::Bytes { bytes_max: None, fixed: false },
        Affinity::Numeric => T::Any,
    }
}
