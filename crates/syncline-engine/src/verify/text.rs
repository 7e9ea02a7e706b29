//! When two texts that two systems wrote say the same. This is verify's own reading of text, on purpose apart from the
//! decoders and the comparison of the engine: a mistake there does not hide itself here.

use syncline_model::{Canon, Column, Engine, LogicalType, ValueRef, civil, decimal, json};

use super::span;

/// How the cells of one column on one side are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    canon: Canon,
    /// Numbers of a boolean column may be words.
    words: bool,
    /// Doubles that are compared as numbers.
    double: bool,
    /// PostgreSQL `real`: its text has as many digits as a single needs, so it is read as one.
    single: bool,
    /// Cells come as values, whose kind counts: columns of SQLite without a type, on both sides.
    kinds: bool,
}

impl Reading {
    /// The readings of a pair of columns that the engine compares in `canon`.
    #[must_use]
    pub fn pair(canon: Canon, source: (&LogicalType, Engine), dest: (&LogicalType, Engine)) -> (Self, Self) {
        let kinds = is_untyped(canon, source.0, dest.0);
        let canon = if kinds { canon } else { common(canon, source, dest) };
        let one = |(logical, engine): (&LogicalType, Engine)| Self {
            canon,
            words: matches!(logical, LogicalType::Bool),
            double: matches!(logical, LogicalType::Float { .. }),
            single: matches!(logical, LogicalType::Float { bits: 32 }) && engine == Engine::Postgres,
            kinds,
        };
        (one(source), one(dest))
    }

    /// Appends the cell in normal form, self-delimiting.
    pub fn write(self, out: &mut Vec<u8>, cell: ValueRef<'_>) {
        match cell {
            ValueRef::Null => out.push(b'0'),
            ValueRef::Bytes(b) if self.canon == Canon::Uuid && b.len() == 16 => tagged(out, b'u', b),
            ValueRef::Bytes(b) => tagged(out, b'b', b),
            ValueRef::Large(n) => tagged(out, b'L', &n.to_le_bytes()),
            v if self.kinds => kind(out, v),
            ValueRef::Text(s) => self.text(out, s),
            // A value that Syncline computed, or read where no text can tell two kinds apart.
            ValueRef::Bool(b) if self.canon == Canon::Number => self.text(out, if b { "1" } else { "0" }),
            v => self.text(out, &v.to_string()),
        }
    }

    fn text(self, out: &mut Vec<u8>, s: &str) {
        let done = match self.canon {
            Canon::Number => self.number(s).map(|n| tagged(out, b'n', n.as_bytes())),
            Canon::Float => self.float(s).map(|x| tagged(out, b'f', &bits(x).to_le_bytes())),
            Canon::Uuid => civil::parse_uuid(s).map(|u| tagged(out, b'u', &u)),
            Canon::Date => civil::parse_date(s).map(|d| tagged(out, b'D', &d.to_le_bytes())),
            Canon::Timestamp => civil::parse_timestamp(s).map(|t| tagged(out, b'T', &t.to_le_bytes())),
            Canon::TimestampTz => civil::parse_timestamptz(s).map(|t| tagged(out, b'Z', &t.to_le_bytes())),
            Canon::Span => span::parse(s).map(|span| tagged(out, b's', &span.bytes())),
            Canon::JsonValue => json::canonical(s).map(|c| tagged(out, b'J', c.as_bytes())),
            Canon::TextPadded => {
                tagged(out, b't', s.trim_end_matches(' ').as_bytes());
                Some(())
            }
            Canon::DecimalScaled | Canon::Text | Canon::JsonText | Canon::Bytes | Canon::Own => None,
        };
        if done.is_none() {
            // `0000-00-00 00:00:00` has an offset on one side only: it is no instant, so the offset says nothing.
            let s = if self.canon == Canon::TimestampTz { s.strip_suffix("+00").unwrap_or(s) } else { s };
            tagged(out, b't', s.as_bytes());
        }
    }

    fn number(self, s: &str) -> Option<String> {
        match s {
            "t" | "true" if self.words => return Some("1".to_owned()),
            "f" | "false" if self.words => return Some("0".to_owned()),
            _ => {}
        }
        if self.double {
            let x = self.float(s).filter(|x| x.is_finite())?;
            return decimal::normal(&x.to_string()).map(|n| n.into_owned());
        }
        if let Some(n) = decimal::normal(s) {
            return Some(n.into_owned());
        }
        let plain = decimal::expand_exponent(s)?;
        decimal::normal(&plain).map(|n| n.into_owned())
    }

    fn float(self, s: &str) -> Option<f64> {
        if self.single { s.parse::<f32>().ok().map(f64::from) } else { s.parse().ok() }
    }
}

/// Whether the kind of each value is all there is: SQLite columns without a declared type on both sides. Text has no
/// kinds, so these are read as values.
#[must_use]
pub fn is_untyped(canon: Canon, source: &LogicalType, dest: &LogicalType) -> bool {
    canon == Canon::Own && *source == LogicalType::Any && *dest == LogicalType::Any
}

/// Columns without a common type where one side merely keeps text or anything: the other side says how to read both.
fn common(canon: Canon, source: (&LogicalType, Engine), dest: (&LogicalType, Engine)) -> Canon {
    let open = |t: &LogicalType| matches!(t, LogicalType::Any | LogicalType::Text { .. });
    let own = |(t, engine): (&LogicalType, Engine)| {
        let column = Column::plain("", t.clone(), "");
        Canon::for_pair((&column, engine), (&column, engine))
    };
    match (canon, open(source.0), open(dest.0)) {
        (Canon::Own, false, true) => own(source),
        (Canon::Own, true, false) => own(dest),
        _ => canon,
    }
}

fn kind(out: &mut Vec<u8>, v: ValueRef<'_>) {
    let tag = match v {
        ValueRef::Bool(_) | ValueRef::I64(_) | ValueRef::U64(_) | ValueRef::Decimal(_) => b'n',
        ValueRef::F64(x) => return tagged(out, b'f', &bits(x).to_le_bytes()),
        ValueRef::Text(_) => b't',
        _ => b'o',
    };
    tagged(out, tag, v.to_string().as_bytes());
}

fn bits(x: f64) -> u64 {
    if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() }
}

fn tagged(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests;
