//! Which column here holds another system's column, and how well.

use syncline_connector::Fit;
use syncline_model::schema::{ColumnDefault, Identity};
use syncline_model::{Column, Engine, LogicalType};

use crate::native;

/// The column that holds every value of `column` exactly, or as nearly as PostgreSQL can.
#[must_use]
pub fn map_column(column: &Column, from: Engine) -> (Column, Fit) {
    let mut to = column.clone();
    to.auto_updated = false;
    // What was computed there arrives as a value; a column that refuses values could not take the source's keys.
    to.generated = false;
    if to.identity == Identity::Always {
        to.identity = Identity::ByDefault;
    }
    if from == Engine::Postgres {
        // A domain belongs to its database; what it rests on is everywhere.
        to.native = native::staging_type(column);
        return (to, Fit::Exact);
    }
    let (logical, fit) = counterpart(&column.logical, from);
    to.native = native::spelling(&logical).unwrap_or_else(|| "text".to_owned());
    to.logical = logical;
    to.loose_collation = None;
    if matches!(to.default, ColumnDefault::Expression(_)) {
        to.default = ColumnDefault::None;
    }
    if !matches!(to.logical, LogicalType::Int { .. }) {
        to.identity = Identity::No;
    }
    (to, fit)
}

fn counterpart(t: &LogicalType, from: Engine) -> (LogicalType, Fit) {
    use LogicalType as T;
    let int = |bits| T::Int { bits, unsigned: false };
    let text = || T::Text { chars_max: None, fixed: false };
    let no_nul = || Fit::Checked("text with a NUL character has no form in PostgreSQL".to_owned());
    match t {
        T::Int { bits: 8, .. } | T::Int { bits: 16, unsigned: false } | T::Year => (int(16), Fit::Exact),
        T::Int { bits: 16 | 24, .. } | T::Int { bits: 32, unsigned: false } => (int(32), Fit::Exact),
        T::Int { unsigned: false, .. } | T::Int { bits: 32, unsigned: true } => (int(64), Fit::Exact),
        T::Int { .. } => (T::Decimal { limits: Some((20, 0)) }, Fit::Exact),
        // SQLite's own declared lengths bind nobody.
        T::Text { .. } if from == Engine::Sqlite => (text(), no_nul()),
        T::Text { chars_max, fixed } => (T::Text { chars_max: *chars_max, fixed: *fixed && chars_max.is_some() }, no_nul()),
        T::Enum { .. } | T::Set { .. } => (text(), Fit::Exact),
        T::Bytes { .. } | T::Geometry => (T::Bytes { bytes_max: None, fixed: false }, Fit::Exact),
        T::Bit { len, varying } => (T::Bit { len: *len, varying: *varying || len.is_none() }, Fit::Exact),
        T::TimeSpan { .. } => (T::Interval, Fit::Exact),
        T::Date | T::Timestamp { .. } | T::TimestampTz { .. } => {
            (t.clone(), Fit::Checked("dates without a day (`0000-00-00`, `2024-00-10`) have no form in PostgreSQL".to_owned()))
        }
        // Kept as text, so that key order, spacing and numbers stay as the source has them.
        T::Json { normalised } => (T::Json { normalised: *normalised }, Fit::Checked("a text that is no JSON is set aside".to_owned())),
        T::Any => (text(), Fit::Checked("only text fits; numbers and bytes of a column without a type are set aside".to_owned())),
        T::Other { name } => (text(), Fit::Checked(format!("values of `{name}` are kept as their text"))),
        T::Bool | T::Float { .. } | T::Decimal { .. } | T::Uuid | T::Time { .. } | T::Interval => (t.clone(), Fit::Exact),
    }
}

/// How a source column fits an existing column here.
#[must_use]
pub fn fit(column: &Column, from: Engine, to: &Column) -> Fit {
    if from == Engine::Postgres && column.native == to.native && column.logical == to.logical {
        return Fit::Exact;
    }
    let never = || Fit::Never(format!("{} has no exact form in {}", column.native, to.native));
    let checked = |why: String| Fit::Checked(why);
    judge(&column.logical, &to.logical, from).map_or_else(never, |why| why.map_or(Fit::Exact, |w| checked(format!("{}: {w}", to.native))))
}

/// `None`: never. `Some(None)`: always. `Some(Some(why))`: not every value.
fn judge(a: &LogicalType, b: &LogicalType, from: Engine) -> Option<Option<String>> {
    use LogicalType as T;
    let some = |why: &str| Some(Some(why.to_owned()));
    match (a, b) {
        (T::Any, T::Other { .. } | T::Enum { .. } | T::Geometry | T::Any) => None,
        (T::Any, _) => some("values of another family are set aside"),
        (x, T::Int { bits, .. }) => {
            let span = whole_bits(x)?;
            if span <= *bits { Some(None) } else { some("larger numbers and fractions are set aside") }
        }
        (T::Bool, T::Bool) => Some(None),
        (T::Int { .. }, T::Bool) => some("only 0 and 1 fit"),
        (x, T::Decimal { limits }) => decimal(x, *limits),
        (T::Float { bits: x }, T::Float { bits: y }) if x <= y => Some(None),
        (T::Float { .. } | T::Decimal { .. } | T::Int { .. } | T::Year | T::Bool, T::Float { .. }) => {
            some("numbers that would be rounded are set aside")
        }
        (x, T::Text { chars_max, .. }) => text(x, *chars_max, from),
        (T::Text { .. } | T::Enum { .. } | T::Set { .. } | T::Other { .. }, T::Enum { labels }) => match a {
            T::Enum { labels: have } if have.iter().all(|l| labels.contains(l)) => Some(None),
            _ => some("labels it does not have are set aside"),
        },
        (T::Bytes { .. } | T::Geometry | T::Uuid, T::Bytes { .. }) => Some(None),
        (T::Bit { len: x, .. }, T::Bit { len: y, varying }) => match (x, y) {
            (_, None) => Some(None),
            (Some(x), Some(y)) if x == y || (*varying && x < y) => Some(None),
            _ => some("other lengths are set aside"),
        },
        (T::Uuid, T::Uuid) => Some(None),
        (T::Text { .. } | T::Bytes { .. }, T::Uuid) => some("values that are no uuid are set aside"),
        (T::Date, T::Date) if from == Engine::Postgres => Some(None),
        (T::Date, T::Date) => some("dates without a day are set aside"),
        (T::Time { digits: x }, T::Time { digits: y }) if x <= y => Some(None),
        (T::Time { .. } | T::TimeSpan { .. } | T::Interval, T::Time { .. }) => {
            some("spans outside a day and finer fractions are set aside")
        }
        (T::Time { .. } | T::TimeSpan { .. } | T::Interval, T::Interval) => Some(None),
        (T::Timestamp { digits: x }, T::Timestamp { digits: y }) | (T::TimestampTz { digits: x }, T::TimestampTz { digits: y }) => {
            match (from, x <= y) {
                (Engine::Postgres, true) => Some(None),
                (_, true) => some("dates without a day are set aside"),
                _ => some("finer fractions of a second are set aside"),
            }
        }
        (T::Json { normalised: true }, T::Json { .. }) if from == Engine::Postgres => Some(None),
        (T::Json { .. } | T::Text { .. }, T::Json { normalised }) => some(if *normalised {
            "texts that are no JSON, or have a key twice, are set aside"
        } else {
            "texts that are no JSON are set aside"
        }),
        (T::Other { name: x }, T::Other { name: y }) if from == Engine::Postgres && x == y => Some(None),
        (T::Other { .. } | T::Text { .. }, T::Other { .. }) => some("what the server cannot read is set aside"),
        _ => None,
    }
}

/// Bits that hold every whole number of the type; more than 64 where fractions or larger numbers may come; `None` for no number.
fn whole_bits(t: &LogicalType) -> Option<u8> {
    use LogicalType as T;
    match t {
        T::Bool | T::Year => Some(16),
        T::Int { bits, unsigned } => Some(bits.saturating_add(u8::from(*unsigned))),
        T::Decimal { limits: Some((p, s)) } if *s <= 0 && i64::from(*p) - i64::from(*s) <= 18 => Some(64),
        T::Decimal { .. } | T::Float { .. } => Some(128),
        _ => None,
    }
}

fn decimal(from: &LogicalType, limits: Option<(u32, i32)>) -> Option<Option<String>> {
    use LogicalType as T;
    let whole = |digits: u32| match limits {
        None => Some(None),
        Some((p, s)) if i64::from(p) - i64::from(s.max(0)) >= i64::from(digits) && s >= 0 => Some(None),
        Some(_) => Some(Some("larger numbers are set aside".to_owned())),
    };
    match from {
        T::Bool => whole(1),
        T::Year => whole(4),
        T::Int { bits: 8, .. } => whole(3),
        T::Int { bits: 16, .. } => whole(5),
        T::Int { bits: 24, .. } => whole(8),
        T::Int { bits: 32, .. } => whole(10),
        T::Int { .. } => whole(20),
        T::Decimal { limits: have } => match (have, limits) {
            (_, None) => Some(None),
            (Some((p, s)), Some((q, t))) if *s <= t && i64::from(*p) - i64::from(*s) <= i64::from(q) - i64::from(t) => Some(None),
            _ => Some(Some("numbers that would be rounded or are too large are set aside".to_owned())),
        },
        T::Float { .. } => match limits {
            None => Some(None),
            Some(_) => Some(Some("numbers that would be rounded or are too large are set aside".to_owned())),
        },
        _ => None,
    }
}

fn text(from: &LogicalType, chars_max: Option<u32>, engine: Engine) -> Option<Option<String>> {
    use LogicalType as T;
    let nul = if engine == Engine::Postgres { None } else { Some("text with a NUL character is set aside".to_owned()) };
    let long = |fits: bool, otherwise: Option<String>| Some(if fits { otherwise } else { Some("longer texts are set aside".to_owned()) });
    match from {
        T::Text { chars_max: have, .. } => {
            let fits = chars_max.is_none_or(|max| have.is_some_and(|h| h <= max) && engine != Engine::Sqlite);
            long(fits, nul)
        }
        T::Enum { labels } => long(chars_max.is_none_or(|max| labels.iter().all(|l| l.chars().count() <= max as usize)), None),
        T::Uuid => long(chars_max.is_none_or(|max| max >= 36), None),
        T::Set { .. } | T::Json { .. } | T::Other { .. } | T::Bit { .. } => long(chars_max.is_none(), None),
        _ => None,
    }
}

/// Whether raw rows may pass: the same type to the letter, so that the server's own reader cannot see a difference.
#[must_use]
pub fn raw_safe(a: &Column, b: &Column) -> bool {
    // The binary form of user-defined types holds object ids of the database it came from (arrays and composites of them).
    let portable = match &a.logical {
        LogicalType::Other { name } => PORTABLE.contains(&name.trim_end_matches("[]")),
        _ => true,
    };
    portable && a.logical == b.logical && a.native == b.native && !native::is_domain(b) && !b.generated
}

/// Types whose binary form means the same in every database of the supported versions.
const PORTABLE: &[&str] = &[
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "point",
    "line",
    "lseg",
    "box",
    "path",
    "polygon",
    "circle",
    "time with time zone",
    "money",
    "int4range",
    "int8range",
    "numrange",
    "tsrange",
    "tstzrange",
    "daterange",
    "tsvector",
    "xml",
    "oid",
    "integer",
    "bigint",
    "smallint",
    "text",
    "boolean",
    "uuid",
    "double precision",
    "real",
    "numeric",
    "date",
    "bytea",
    "jsonb",
    "json",
    "character varying",
    "timestamp without time zone",
    "timestamp with time zone",
    "interval",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn column(logical: LogicalType, native: &str) -> Column {
        Column::plain("c", logical, native)
    }

    #[test]
    fn unsigned_numbers_get_room_for_their_upper_half() {
        let big = column(LogicalType::Int { bits: 64, unsigned: true }, "bigint unsigned");
        let (to, fit) = map_column(&big, Engine::Mysql);
        assert_eq!((to.native.as_str(), fit), ("numeric(20,0)", Fit::Exact));
        let medium = column(LogicalType::Int { bits: 32, unsigned: true }, "int unsigned");
        assert_eq!(map_column(&medium, Engine::Mysql).0.native, "bigint");
    }

    #[test]
    fn a_column_of_another_database_takes_values_and_needs_no_domain() {
        let mut c = column(LogicalType::Int { bits: 32, unsigned: false }, "shop.positive");
        (c.generated, c.identity) = (true, Identity::Always);
        let (to, fit) = map_column(&c, Engine::Postgres);
        assert_eq!((to.native.as_str(), to.generated, to.identity, fit), ("integer", false, Identity::ByDefault, Fit::Exact));
    }

    #[test]
    fn fit_says_what_would_be_set_aside() {
        let short = column(LogicalType::Text { chars_max: Some(10), fixed: false }, "character varying(10)");
        let long = column(LogicalType::Text { chars_max: Some(20), fixed: false }, "character varying(20)");
        assert!(matches!(fit(&long, Engine::Postgres, &short), Fit::Checked(_)));
        assert_eq!(fit(&short, Engine::Postgres, &long), Fit::Exact);
        let uuid = column(LogicalType::Uuid, "uuid");
        let date = column(LogicalType::Date, "date");
        assert!(matches!(fit(&uuid, Engine::Postgres, &date), Fit::Never(_)));
    }

    #[test]
    fn raw_bytes_pass_only_between_equal_builtin_types() {
        let int = column(LogicalType::Int { bits: 32, unsigned: false }, "integer");
        let big = column(LogicalType::Int { bits: 64, unsigned: false }, "bigint");
        assert!(raw_safe(&int, &int) && !raw_safe(&int, &big));
        let own = column(LogicalType::Other { name: "public.pair".into() }, "public.pair");
        assert!(!raw_safe(&own, &own), "composites carry the type ids of their database");
    }
}
