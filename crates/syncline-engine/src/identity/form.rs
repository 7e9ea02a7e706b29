//! One id in many spellings: `42` in an integer column, `"42"` in a JSON document, a UUID as text or bytes.

use syncline_model::canonical::{self, Canon};
use syncline_model::{LogicalType, Value, ValueRef, civil, decimal};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Integer,
    Decimal,
    Uuid,
    Text,
    Bytes,
    Other,
}

/// The form that ids of one column have; ids that come from elsewhere are brought to it before they are matched or stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdForm {
    kind: Kind,
    canon: Canon,
}

impl IdForm {
    /// The form of a key column.
    #[must_use]
    pub fn of(column: &LogicalType) -> Self {
        let (kind, canon) = match column {
            LogicalType::Int { .. } | LogicalType::Year | LogicalType::Bool => (Kind::Integer, Canon::Number),
            LogicalType::Decimal { .. } => (Kind::Decimal, Canon::Number),
            LogicalType::Uuid => (Kind::Uuid, Canon::Uuid),
            LogicalType::Text { fixed: true, .. } => (Kind::Text, Canon::TextPadded),
            LogicalType::Text { .. } | LogicalType::Enum { .. } => (Kind::Text, Canon::Text),
            LogicalType::Bytes { .. } => (Kind::Bytes, Canon::Bytes),
            LogicalType::Float { .. }
            | LogicalType::Bit { .. }
            | LogicalType::Date
            | LogicalType::Time { .. }
            | LogicalType::TimeSpan { .. }
            | LogicalType::Timestamp { .. }
            | LogicalType::TimestampTz { .. }
            | LogicalType::Interval
            | LogicalType::Json { .. }
            | LogicalType::Set { .. }
            | LogicalType::Geometry
            | LogicalType::Other { .. }
            | LogicalType::Any => (Kind::Other, Canon::Own),
        };
        Self { kind, canon }
    }

    /// The id in this form. `None` when the value is no such id: it must not be matched with anything.
    #[must_use]
    pub fn take(&self, v: ValueRef<'_>) -> Option<Value> {
        match (self.kind, v) {
            (_, ValueRef::Null | ValueRef::Large(_)) => None,
            (Kind::Integer, ValueRef::Bool(_) | ValueRef::I64(_) | ValueRef::U64(_)) => Some(v.to_owned()),
            (Kind::Integer, ValueRef::Decimal(s) | ValueRef::Text(s)) => integer(s.trim()),
            (Kind::Decimal, ValueRef::I64(_) | ValueRef::U64(_)) => Some(Value::Decimal(v.to_string())),
            (Kind::Decimal, ValueRef::Decimal(s) | ValueRef::Text(s)) => {
                decimal::parts(s.trim()).map(|_| Value::Decimal(s.trim().to_owned()))
            }
            (Kind::Uuid, ValueRef::Uuid(_)) => Some(v.to_owned()),
            (Kind::Uuid, ValueRef::Text(s)) => civil::parse_uuid(s.trim()).map(Value::Uuid),
            (Kind::Uuid, ValueRef::Bytes(b)) => b.try_into().ok().map(Value::Uuid),
            (Kind::Text, ValueRef::Text(_)) => Some(v.to_owned()),
            (Kind::Text, ValueRef::I64(_) | ValueRef::U64(_) | ValueRef::Decimal(_) | ValueRef::Uuid(_)) => {
                Some(Value::Text(v.to_string()))
            }
            (Kind::Bytes, ValueRef::Bytes(_)) => Some(v.to_owned()),
            (Kind::Bytes, ValueRef::Uuid(u)) => Some(Value::Bytes(u.to_vec())),
            (Kind::Bytes, ValueRef::Text(s)) => civil::parse_uuid(s.trim()).map(|u| Value::Bytes(u.to_vec())),
            (Kind::Other, _) => Some(v.to_owned()),
            (Kind::Integer | Kind::Decimal | Kind::Uuid | Kind::Text | Kind::Bytes, _) => None,
        }
    }

    /// A minted UUID in this form; `None` where the column cannot hold one.
    #[must_use]
    pub fn take_uuid(&self, id: [u8; 16]) -> Option<Value> {
        match self.kind {
            Kind::Uuid | Kind::Text | Kind::Bytes => self.take(ValueRef::Uuid(id)),
            Kind::Integer | Kind::Decimal | Kind::Other => None,
        }
    }

    /// The bytes by which ids of this form are matched.
    #[must_use]
    pub fn canonical(&self, id: ValueRef<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        canonical::write(&mut out, id, self.canon);
        out
    }
}

fn integer(s: &str) -> Option<Value> {
    let whole = decimal::normal(s).filter(|n| !n.contains('.'))?;
    whole.parse().map(Value::I64).or_else(|_| whole.parse().map(Value::U64)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: FR-010
    #[test]
    fn one_id_is_one_id_in_every_spelling_and_garbage_is_none() {
        let int = IdForm::of(&LogicalType::Int { bits: 64, unsigned: false });
        let same = |f: &IdForm, v: ValueRef<'_>| f.take(v).map(|v| f.canonical(v.view()));
        let want = same(&int, ValueRef::I64(42));
        for v in [ValueRef::Text("42"), ValueRef::Text(" 42 "), ValueRef::U64(42), ValueRef::Decimal("42.00"), ValueRef::Text("042")] {
            assert_eq!(same(&int, v), want, "{v:?}");
        }
        for v in
            [ValueRef::Null, ValueRef::Text(""), ValueRef::Text("x42"), ValueRef::Text("4.2"), ValueRef::F64(42.0), ValueRef::Text("NaN")]
        {
            assert_eq!(int.take(v), None, "{v:?}");
        }
        let uuid = IdForm::of(&LogicalType::Uuid);
        let text = "0189DC2F-3A4B-7C5D-8E6F-102030405060";
        let id = civil::parse_uuid(text).unwrap();
        assert_eq!(uuid.take(ValueRef::Text(text)), Some(Value::Uuid(id)));
        assert_eq!(uuid.take(ValueRef::Bytes(&id)), Some(Value::Uuid(id)));
        assert_eq!(uuid.take(ValueRef::Bytes(&id[..4])), None);
        assert_eq!(int.take_uuid(id), None);
    }
}
