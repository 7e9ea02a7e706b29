//! What is carried: per system its native types, each with the values at its edges, as that system's own SQL.

mod mariadb;
mod postgres;
mod sqlite;

/// How cells of a type are spelled for a comparison across systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Exact numbers: trailing zeros of the fraction do not count.
    Number,
    /// Doubles and singles: by the bits of their double.
    Float,
    /// Truth: `t` is 1.
    Bool,
    /// Texts: by their bytes in UTF-8.
    Text,
    /// Bytes.
    Bytes,
    /// Moments, dates, times of day, spans: trailing zeros of the fraction and a `+00` do not count.
    Time,
    /// JSON: space between tokens does not count, everything else does.
    Json,
    /// Bit strings.
    Bit,
    /// The system's own text, to the letter.
    Own,
}

/// A native type and the SQL of its values.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    pub ddl: &'static str,
    pub kind: Kind,
    pub values: &'static [&'static str],
}

const fn of(ddl: &'static str, kind: Kind, values: &'static [&'static str]) -> Type {
    Type { ddl, kind, values }
}

/// The types of a system.
pub fn types(kind: &str) -> &'static [Type] {
    match kind {
        "postgres" => postgres::TYPES,
        "mysql" => mariadb::TYPES,
        _ => sqlite::TYPES,
    }
}

/// What a source needs before its tables: types of its own.
pub fn prelude(kind: &str) -> &'static str {
    match kind {
        "postgres" => postgres::PRELUDE,
        "mysql" => mariadb::PRELUDE,
        _ => "",
    }
}
