//! A cell becomes a bound parameter, or is refused with a code. The test of every unusual cell is the same: what SQLite
//! will make of the parameter in this column must read back as the value that came.

use std::borrow::Cow;

use syncline_model::{Canon, Column, Engine, LogicalType as T, ValueRef, canonical, civil, decimal};

use crate::affinity::Affinity;
use crate::bind::Param;
use crate::decode::decode;
use crate::native::Kind;

/// Why a cell was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Stable code.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
}

fn refuse<T>(code: &'static str, detail: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { code, detail: detail.into() })
}

/// How cells enter one destination column.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    kind: Kind,
    canon: Canon,
    native: String,
}

impl Slot {
    /// The slot of a column.
    pub(crate) fn of(column: &Column) -> Self {
        let me = (column, Engine::Sqlite);
        let canon = match column.logical {
            // Exact where it is stored, scale included.
            T::Decimal { .. } if Affinity::of(&column.native) == Affinity::Text => Canon::DecimalScaled,
            _ => Canon::for_pair(me, me),
        };
        Self { kind: Kind::of(column), canon, native: column.native.clone() }
    }

    /// The parameter for a cell.
    pub(crate) fn encode<'v>(&self, v: ValueRef<'v>) -> Result<Param<'v>, Refusal> {
        match (v, self.kind.affinity, &self.kind.logical) {
            (ValueRef::Null, ..) => return Ok(Param::Null),
            (ValueRef::I64(n), Affinity::Integer | Affinity::Blob, T::Int { .. } | T::Any) => return Ok(Param::Integer(n)),
            (ValueRef::Text(s), Affinity::Text | Affinity::Blob, T::Text { .. } | T::Any) => return Ok(Param::Text(Cow::Borrowed(s))),
            (ValueRef::F64(x), Affinity::Real, T::Float { .. }) if x.is_finite() && x != 0.0 => return Ok(Param::Real(x)),
            (ValueRef::Uuid(u), _, T::Bytes { .. }) => return Ok(Param::Blob(Cow::Owned(u.to_vec()))),
            // SQLite text that is no UTF-8 arrives as bytes, and would stay bytes: another storage class than it had.
            (ValueRef::Bytes(b), Affinity::Text, T::Text { .. }) if std::str::from_utf8(b).is_err() => {
                return refuse("charset_unrepresentable", "the bytes are no UTF-8 text");
            }
            (ValueRef::Bytes(b), ..) => return Ok(Param::Blob(Cow::Borrowed(b))),
            _ => {}
        }
        let param = self.spell(v)?;
        if !self.proved(v) {
            self.must_read_back(v, &param)?;
        }
        Ok(param)
    }

    /// The spelling of a value in this column, not yet proved.
    fn spell<'v>(&self, v: ValueRef<'v>) -> Result<Param<'v>, Refusal> {
        let as_text = self.kind.affinity == Affinity::Text;
        Ok(match v {
            ValueRef::Null => Param::Null,
            ValueRef::Bool(b) => Param::Integer(i64::from(b)),
            ValueRef::I64(n) if as_text && self.is_decimal() => Param::text(n.to_string()),
            ValueRef::I64(n) => Param::Integer(n),
            ValueRef::U64(n) if as_text && self.is_decimal() => Param::text(n.to_string()),
            ValueRef::U64(n) => match i64::try_from(n) {
                Ok(n) => Param::Integer(n),
                Err(_) => return refuse("value_out_of_range", "sqlite integers end at 9223372036854775807"),
            },
            ValueRef::F64(x) if x.is_nan() => return refuse("value_inexact", "sqlite stores NaN as NULL"),
            ValueRef::F64(x) if as_text && self.is_decimal() && x.is_finite() => Param::text(x.to_string()),
            ValueRef::F64(x) => Param::Real(x),
            ValueRef::Decimal(s) => self.decimal(s),
            ValueRef::Text(s) | ValueRef::Json(s) | ValueRef::Other { text: s, .. } => Param::Text(Cow::Borrowed(s)),
            ValueRef::Bytes(b) => Param::Blob(Cow::Borrowed(b)),
            ValueRef::Uuid(u) => Param::text(civil::uuid_text(&u)),
            ValueRef::Date(d) => Param::text(civil::date_text(d)),
            ValueRef::Time(t) => Param::text(civil::time_text(t)),
            ValueRef::Timestamp(t) => Param::text(civil::timestamp_text(t)),
            ValueRef::TimestampTz(t) => Param::text(instant_text(t)),
            ValueRef::Interval { months, days, micros } => Param::text(civil::interval_text(months, days, micros)),
            ValueRef::Large(n) => return refuse("value_too_large", format!("a value of {n} bytes is over the memory given")),
        })
    }

    fn is_decimal(&self) -> bool {
        matches!(self.kind.logical, T::Decimal { .. })
    }

    /// Digits stay digits where the column keeps text; elsewhere the number that SQLite would make of them.
    fn decimal<'v>(&self, s: &'v str) -> Param<'v> {
        if self.kind.affinity == Affinity::Text {
            return Param::Text(Cow::Borrowed(s));
        }
        let normal = decimal::normal(s).unwrap_or(Cow::Borrowed(s));
        match (normal.parse::<i64>(), normal.parse::<f64>()) {
            (Ok(n), _) => Param::Integer(n),
            (_, Ok(x)) if x.is_finite() => Param::Real(x),
            _ => Param::Text(Cow::Borrowed(s)),
        }
    }

    fn must_read_back(&self, v: ValueRef<'_>, param: &Param<'_>) -> Result<(), Refusal> {
        let stored = self.kind.affinity.apply(param.clone());
        let mut scratch = String::new();
        let back = decode(stored.stored(), &self.kind, &mut scratch);
        if let ValueRef::F64(x) = v
            && x == 0.0
            && x.is_sign_negative()
            && !matches!(back, ValueRef::F64(y) if y.is_sign_negative())
        {
            return refuse("negative_zero", format!("a column of type {} does not keep the sign of zero", self.native));
        }
        if self.same(v, back) {
            return Ok(());
        }
        let numeric = |v: ValueRef<'_>| matches!(v, ValueRef::I64(_) | ValueRef::U64(_) | ValueRef::F64(_) | ValueRef::Decimal(_));
        let textual = |v: ValueRef<'_>| matches!(v, ValueRef::Text(_) | ValueRef::Json(_));
        let altered = (numeric(v) || textual(v)) && (numeric(back) || matches!(back, ValueRef::Json(_)));
        if altered {
            refuse("value_inexact", format!("a column of type {} would change the value", self.native))
        } else {
            refuse("type_mismatch", format!("a column of type {} holds no such value", self.native))
        }
    }

    /// Equal in the column's own form; numbers of other classes by value.
    fn same(&self, v: ValueRef<'_>, back: ValueRef<'_>) -> bool {
        let canon = match (self.canon, v) {
            (Canon::DecimalScaled, ValueRef::Decimal(_)) => Canon::DecimalScaled,
            (Canon::Float, ValueRef::F64(_)) => Canon::Float,
            (Canon::DecimalScaled | Canon::Float, _) => Canon::Number,
            (canon, _) => canon,
        };
        canonical::equal(v, back, canon)
    }

    /// Our own spelling of a value in a column of our own making is known to read back.
    fn proved(&self, v: ValueRef<'_>) -> bool {
        let at_home = matches!(
            (v, &self.kind.logical),
            (ValueRef::Uuid(_), T::Uuid)
                | (ValueRef::Date(_), T::Date)
                | (ValueRef::Time(_), T::Time { .. } | T::TimeSpan { .. })
                | (ValueRef::Timestamp(_), T::Timestamp { .. })
                | (ValueRef::TimestampTz(_), T::TimestampTz { .. })
        );
        let uuid_text = matches!((v, &self.kind.logical), (ValueRef::Uuid(_), T::Text { .. }));
        (at_home && self.kind.own) || (uuid_text && self.kind.affinity == Affinity::Text)
    }
}

/// `2024-02-29 13:04:05.5Z`, with ` BC` last where it applies.
pub(crate) fn instant_text(micros: i64) -> String {
    let text = civil::timestamp_text(micros);
    match text.strip_suffix(" BC") {
        Some(t) => format!("{t}Z BC"),
        None => format!("{text}Z"),
    }
}
