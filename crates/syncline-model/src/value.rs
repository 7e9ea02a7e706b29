//! One cell of a record, owned (`Value`) or borrowed from a batch (`ValueRef`).

use std::fmt;

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Negative before; BC years are simply further back.
pub type Days = i32;
/// Microseconds: of a day for `Time`, since 1970-01-01T00:00:00 for the timestamps.
pub type Micros = i64;

/// A borrowed cell. Cheap to copy; this is what the hot path handles.
///
/// Nothing here is ever rounded: a value without an exact counterpart travels as `Other` with the type name and the
/// text of the system that it came from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// SQL NULL. Distinct from `""` and from JSON `null` everywhere but in `detect` (S4-002).
    Null,
    /// A boolean.
    Bool(bool),
    /// A signed integer, also YEAR.
    I64(i64),
    /// An unsigned integer above `i64::MAX`, or any value of an unsigned column.
    U64(u64),
    /// A double; `real`/`FLOAT` arrive widened, which is exact.
    F64(f64),
    /// Exact decimal text: optional `-`, digits, optional fraction; or `NaN`, `Infinity`, `-Infinity`. Scale is kept as written.
    Decimal(&'a str),
    /// Text; also enum labels, MySQL SET members joined by `,` and bit strings (`0101`).
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A UUID in network order.
    Uuid([u8; 16]),
    /// A calendar day.
    Date(Days),
    /// Time of day, 0 ..= 86,400,000,000 µs (PostgreSQL has `24:00:00`). MySQL TIME outside a day is an `Interval`.
    Time(Micros),
    /// A date and time without zone.
    Timestamp(Micros),
    /// An instant.
    TimestampTz(Micros),
    /// Months, days and microseconds, kept apart as PostgreSQL keeps them.
    Interval {
        /// Months; years are 12 of them.
        months: i32,
        /// Days; not always 24 h, so never folded into `micros`.
        days: i32,
        /// Microseconds.
        micros: i64,
    },
    /// JSON text exactly as the source gave it.
    Json(&'a str),
    /// A value with no counterpart: arrays, ranges, inet, PostgreSQL `infinity`, MySQL `0000-00-00`, …
    Other {
        /// The type's name in the system it came from, e.g. `int4[]`, `date`.
        type_name: &'a str,
        /// That system's own exact text form.
        text: &'a str,
    },
    /// A value too large to be carried whole (R25): its length in bytes. It is read again in slices by key.
    Large(u64),
}

/// An owned cell.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each variant is documented on `ValueRef`")]
pub enum Value {
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Decimal(String),
    Text(String),
    Bytes(Vec<u8>),
    Uuid([u8; 16]),
    Date(Days),
    Time(Micros),
    Timestamp(Micros),
    TimestampTz(Micros),
    Interval { months: i32, days: i32, micros: i64 },
    Json(String),
    Other { type_name: String, text: String },
    Large(u64),
}

impl Value {
    /// The borrowed view of this value.
    #[must_use]
    pub fn view(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Bool(b) => ValueRef::Bool(*b),
            Self::I64(n) => ValueRef::I64(*n),
            Self::U64(n) => ValueRef::U64(*n),
            Self::F64(n) => ValueRef::F64(*n),
            Self::Decimal(s) => ValueRef::Decimal(s),
            Self::Text(s) => ValueRef::Text(s),
            Self::Bytes(b) => ValueRef::Bytes(b),
            Self::Uuid(u) => ValueRef::Uuid(*u),
            Self::Date(d) => ValueRef::Date(*d),
            Self::Time(t) => ValueRef::Time(*t),
            Self::Timestamp(t) => ValueRef::Timestamp(*t),
            Self::TimestampTz(t) => ValueRef::TimestampTz(*t),
            Self::Interval { months, days, micros } => ValueRef::Interval { months: *months, days: *days, micros: *micros },
            Self::Json(s) => ValueRef::Json(s),
            Self::Other { type_name, text } => ValueRef::Other { type_name, text },
            Self::Large(n) => ValueRef::Large(*n),
        }
    }

    /// True for SQL NULL only.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl ValueRef<'_> {
    /// An owned copy.
    #[must_use]
    pub fn to_owned(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(b) => Value::Bool(b),
            Self::I64(n) => Value::I64(n),
            Self::U64(n) => Value::U64(n),
            Self::F64(n) => Value::F64(n),
            Self::Decimal(s) => Value::Decimal(s.to_owned()),
            Self::Text(s) => Value::Text(s.to_owned()),
            Self::Bytes(b) => Value::Bytes(b.to_vec()),
            Self::Uuid(u) => Value::Uuid(u),
            Self::Date(d) => Value::Date(d),
            Self::Time(t) => Value::Time(t),
            Self::Timestamp(t) => Value::Timestamp(t),
            Self::TimestampTz(t) => Value::TimestampTz(t),
            Self::Interval { months, days, micros } => Value::Interval { months, days, micros },
            Self::Json(s) => Value::Json(s.to_owned()),
            Self::Other { type_name, text } => Value::Other { type_name: type_name.to_owned(), text: text.to_owned() },
            Self::Large(n) => Value::Large(n),
        }
    }

    /// True for SQL NULL only.
    #[must_use]
    pub fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }
}

/// What a person reads in a plan, a conflict or a parked row. Not a wire form.
impl fmt::Display for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Null => f.write_str("NULL"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::I64(n) => write!(f, "{n}"),
            Self::U64(n) => write!(f, "{n}"),
            Self::F64(n) => write!(f, "{n:?}"),
            Self::Decimal(s) | Self::Text(s) | Self::Json(s) => f.write_str(s),
            Self::Bytes(b) => {
                f.write_str("\\x")?;
                b.iter().try_for_each(|x| write!(f, "{x:02x}"))
            }
            Self::Uuid(u) => f.write_str(&crate::civil::uuid_text(&u)),
            Self::Date(d) => f.write_str(&crate::civil::date_text(d)),
            Self::Time(t) => f.write_str(&crate::civil::time_text(t)),
            Self::Timestamp(t) => f.write_str(&crate::civil::timestamp_text(t)),
            Self::TimestampTz(t) => write!(f, "{}Z", crate::civil::timestamp_text(t)),
            Self::Interval { months, days, micros } => f.write_str(&crate::civil::interval_text(months, days, micros)),
            Self::Other { text, .. } => f.write_str(text),
            Self::Large(n) => write!(f, "({n} bytes)"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}
