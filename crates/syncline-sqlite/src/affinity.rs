//! SQLite's column affinity, and what it makes of a value on the way in: the encoder must know before it binds.
//! Rules: <https://www.sqlite.org/datatype3.html>, sections 3.1 and 3.

use crate::bind::Param;

/// What a column does to the values that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Affinity {
    /// Numbers become text.
    Text,
    /// Text that looks like a number becomes one; a real without fraction becomes an integer.
    Numeric,
    /// As `Numeric`; only CAST tells them apart.
    Integer,
    /// As `Numeric`, and integers become reals.
    Real,
    /// Values stay as they are.
    Blob,
}

impl Affinity {
    /// The affinity of a declared type, by the order of SQLite's own rules.
    pub(crate) fn of(declared: &str) -> Self {
        let upper = declared.to_ascii_uppercase();
        let has = |words: &[&str]| words.iter().any(|w| upper.contains(w));
        if has(&["INT"]) {
            Self::Integer
        } else if has(&["CHAR", "CLOB", "TEXT"]) {
            Self::Text
        } else if upper.trim().is_empty() || has(&["BLOB"]) {
            Self::Blob
        } else if has(&["REAL", "FLOA", "DOUB"]) {
            Self::Real
        } else {
            Self::Numeric
        }
    }

    /// The value as the column will store it.
    pub(crate) fn apply(self, p: Param<'_>) -> Param<'_> {
        match (self, p) {
            (_, Param::Real(x)) if x.is_nan() => Param::Null,
            (Self::Text, Param::Integer(n)) => Param::text(n.to_string()),
            (Self::Text, Param::Real(x)) => Param::text(x.to_string()),
            (Self::Numeric | Self::Integer, Param::Real(x)) => whole(x),
            (Self::Numeric | Self::Integer, Param::Text(s)) => number_in(&s).unwrap_or(Param::Text(s)),
            (Self::Real, Param::Integer(n)) => Param::Real(n as f64),
            // Whole reals are stored as integers on disk, which have no negative zero.
            (Self::Real, Param::Real(0.0)) => Param::Real(0.0),
            (Self::Real, Param::Text(s)) => match number_in(&s) {
                Some(Param::Integer(n)) => Param::Real(n as f64),
                Some(other) => other,
                None => Param::Text(s),
            },
            (_, p) => p,
        }
    }
}

/// A real as a NUMERIC column keeps it: an integer where that is the same number.
fn whole(x: f64) -> Param<'static> {
    // SQLite converts only within 51 bits or so; the bound is where every integer has its own double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if x.fract() == 0.0 && x.abs() < EXACT { Param::Integer(x as i64) } else { Param::Real(x) }
}

/// The number that SQLite sees in a text, when it sees one.
fn number_in(text: &str) -> Option<Param<'static>> {
    let t = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let body = t.strip_prefix(['+', '-']).unwrap_or(t);
    let (mantissa, exponent) = body.find(['e', 'E']).map_or((body, None), |at| (&body[..at], Some(&body[at + 1..])));
    let (int, frac) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if (int.is_empty() && frac.is_empty()) || !digits(int) || !digits(frac) {
        return None;
    }
    if let Some(e) = exponent {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        if e.is_empty() || !digits(e) {
            return None;
        }
    }
    if let Ok(n) = t.parse::<i64>() {
        return Some(Param::Integer(n));
    }
    t.parse::<f64>().ok().map(whole)
}
