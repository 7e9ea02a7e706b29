//! What a column can hold, in words that all systems share. The native spelling stays beside it in `Column::native`.

use serde::{Deserialize, Serialize};

/// The logical type of a column.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LogicalType {
    /// true / false. MySQL `tinyint(1)` is an `Int`, not this (R12).
    Bool,
    /// Whole numbers of `bits` width (8, 16, 24, 32, 64).
    Int {
        /// Width in bits.
        bits: u8,
        /// MySQL UNSIGNED.
        unsigned: bool,
    },
    /// MySQL YEAR.
    Year,
    /// Binary floating point of 32 or 64 bits.
    Float {
        /// 32 or 64.
        bits: u8,
    },
    /// Exact decimal; `None` where the type has no declared limit (PostgreSQL `numeric`).
    Decimal {
        /// Declared precision and scale. Scale may be negative in PostgreSQL ≥ 15.
        limits: Option<(u32, i32)>,
    },
    /// Text. `chars_max` is in characters.
    Text {
        /// Declared limit in characters.
        chars_max: Option<u32>,
        /// CHAR(n): trailing spaces carry no meaning.
        fixed: bool,
    },
    /// Bytes.
    Bytes {
        /// Declared limit in bytes.
        bytes_max: Option<u64>,
        /// BINARY(n): padded with zero bytes.
        fixed: bool,
    },
    /// A bit string of `len` bits (`varying`: at most).
    Bit {
        /// Declared length; `None` for unlimited `bit varying`.
        len: Option<u32>,
        /// PostgreSQL `bit varying`.
        varying: bool,
    },
    /// A UUID.
    Uuid,
    /// A day.
    Date,
    /// Time of day with `digits` fraction digits (0 to 6).
    Time {
        /// Fraction digits kept.
        digits: u8,
    },
    /// MySQL TIME: a signed span up to 838:59:59, read as `Time` within a day and as `Interval` outside.
    TimeSpan {
        /// Fraction digits kept.
        digits: u8,
    },
    /// Date and time without zone.
    Timestamp {
        /// Fraction digits kept.
        digits: u8,
    },
    /// An instant. MySQL TIMESTAMP (1970 to 2038) and PostgreSQL `timestamptz`.
    TimestampTz {
        /// Fraction digits kept.
        digits: u8,
    },
    /// Months, days and microseconds.
    Interval,
    /// JSON. `normalised` when the system rewrites it (jsonb, MySQL 8 JSON), false where the text is kept (json, MariaDB JSON).
    Json {
        /// The system rewrites what it stores.
        normalised: bool,
    },
    /// One of some labels, in their declared order.
    Enum {
        /// Labels in order.
        labels: Vec<String>,
    },
    /// MySQL SET: any of some labels, written in their declared order, joined by `,`.
    Set {
        /// Labels in order.
        labels: Vec<String>,
    },
    /// MySQL spatial types: SRID and WKB, as the server stores them.
    Geometry,
    /// Anything else, carried as the system's exact text under its type name (arrays, ranges, inet, composites, …).
    Other {
        /// The type's name in its system, e.g. `int4[]`.
        name: String,
    },
    /// SQLite column without a declared type that we know: each value says its own type.
    Any,
}

impl LogicalType {
    /// Whether integers of this type segment by ranges (R15).
    #[must_use]
    pub fn is_integer(&self) -> bool {
        matches!(self, Self::Int { .. } | Self::Year)
    }
}
