//! A value on its way into SQLite: one of its five storage classes.

use std::borrow::Cow;

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef as Stored};

/// A bound parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Param<'a> {
    /// NULL.
    Null,
    /// INTEGER.
    Integer(i64),
    /// REAL.
    Real(f64),
    /// TEXT.
    Text(Cow<'a, str>),
    /// BLOB.
    Blob(Cow<'a, [u8]>),
}

impl Param<'_> {
    /// Owned text.
    pub(crate) fn text(s: String) -> Self {
        Self::Text(Cow::Owned(s))
    }

    /// The parameter as a stored value.
    pub(crate) fn stored(&self) -> Stored<'_> {
        match self {
            Self::Null => Stored::Null,
            Self::Integer(n) => Stored::Integer(*n),
            Self::Real(x) => Stored::Real(*x),
            Self::Text(s) => Stored::Text(s.as_bytes()),
            Self::Blob(b) => Stored::Blob(b),
        }
    }

    /// A copy that owns its content.
    pub(crate) fn into_owned(self) -> Param<'static> {
        match self {
            Self::Null => Param::Null,
            Self::Integer(n) => Param::Integer(n),
            Self::Real(x) => Param::Real(x),
            Self::Text(s) => Param::Text(Cow::Owned(s.into_owned())),
            Self::Blob(b) => Param::Blob(Cow::Owned(b.into_owned())),
        }
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.stored()))
    }
}
