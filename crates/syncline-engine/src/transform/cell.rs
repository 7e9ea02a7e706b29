//! Cells inside expressions. Booleans, integers, doubles and text are minijinja's own; everything else travels as an object
//! that knows its exact value and type, so that what passes through `default`, `coalesce` or `if` comes out as it went in.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use minijinja::Value as Cell;
use minijinja::value::{DynObject, Object, ObjectRepr, ValueKind};
use syncline_model::canonical::{self, Canon};
use syncline_model::{LogicalType, Value, ValueRef, decimal, json};

use super::error::Fault;
use super::json_member;

/// A value that minijinja has no kind for.
#[derive(Debug)]
pub(super) struct Exact(pub Value);

impl Object for Exact {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    /// Members of JSON objects and items of JSON arrays; NULL where there is none.
    fn get_value(self: &Arc<Self>, key: &Cell) -> Option<Cell> {
        let Value::Json(text) = &self.0 else { return None };
        let key = key.as_str().map(str::to_owned).or_else(|| key.as_usize().map(|i| i.to_string()))?;
        Some(from_value(json_member::at_path(text, &[key])))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        match &self.0 {
            Value::Decimal(d) => decimal::normal(d).as_deref() != Some("0"),
            Value::Bytes(b) => !b.is_empty(),
            _ => true,
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        canonical::equal(self.0.view(), other.0.view(), Canon::Own).then_some(Ordering::Equal)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Whether cells of this type become minijinja's own values, which its operators treat exactly.
pub(super) fn is_native(t: &LogicalType) -> bool {
    use LogicalType as T;
    match t {
        T::Bool | T::Int { .. } | T::Year | T::Float { .. } | T::Text { .. } | T::Enum { .. } | T::Set { .. } | T::Bit { .. } | T::Any => {
            true
        }
        T::Decimal { .. }
        | T::Bytes { .. }
        | T::Uuid
        | T::Date
        | T::Time { .. }
        | T::TimeSpan { .. }
        | T::Timestamp { .. }
        | T::TimestampTz { .. }
        | T::Interval
        | T::Json { .. }
        | T::Geometry
        | T::Other { .. } => false,
    }
}

/// A cell on its way into an expression.
pub(super) fn to_template(v: ValueRef<'_>) -> Cell {
    match v {
        ValueRef::Null => Cell::from(()),
        ValueRef::Bool(b) => Cell::from(b),
        ValueRef::I64(n) => Cell::from(n),
        ValueRef::U64(n) => Cell::from(n),
        ValueRef::F64(n) => Cell::from(n),
        ValueRef::Text(s) => Cell::from(s),
        _ => Cell::from_object(Exact(v.to_owned())),
    }
}

/// The same, of an owned value.
pub(super) fn from_value(v: Value) -> Cell {
    match v {
        Value::Text(s) => Cell::from(s),
        Value::Null | Value::Bool(_) | Value::I64(_) | Value::U64(_) | Value::F64(_) => to_template(v.view()),
        other => Cell::from_object(Exact(other)),
    }
}

/// A value on its way out of an expression.
pub(super) fn from_template(v: &Cell) -> Result<Value, Fault> {
    match v.kind() {
        ValueKind::None => Ok(Value::Null),
        ValueKind::Bool => Ok(Value::Bool(v.is_true())),
        ValueKind::Number => number(v),
        ValueKind::String => Ok(Value::Text(v.as_str().unwrap_or_default().to_owned())),
        ValueKind::Bytes => Ok(Value::Bytes(v.as_bytes().unwrap_or_default().to_vec())),
        ValueKind::Plain => match v.downcast_object_ref::<Exact>() {
            Some(Exact(Value::Large(_))) => Err(Fault::new("value_too_large", "the value is too large for an expression")),
            Some(exact) => Ok(exact.0.clone()),
            None => Err(Fault::new("expression_failed", "the expression gives no value")),
        },
        ValueKind::Undefined => {
            Err(Fault::new("expression_failed", "the expression asks for something that is not there; an `if` needs its `else`"))
        }
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {
            Err(Fault::new("not_a_value", "the expression gives a list; use `| join`, `| first` or `| tojson`"))
        }
        _ => Err(Fault::new("expression_failed", "the expression gives no value")),
    }
}

fn number(v: &Cell) -> Result<Value, Fault> {
    if !v.is_integer() {
        let x = f64::try_from(v.clone())?;
        return Ok(Value::F64(x));
    }
    if let Ok(n) = i64::try_from(v.clone()) {
        return Ok(Value::I64(n));
    }
    if let Ok(n) = u64::try_from(v.clone()) {
        return Ok(Value::U64(n));
    }
    Ok(Value::Decimal(v.to_string()))
}

/// The text of a value: what `{{ }}` within text and the text filters see. `None` for NULL.
pub(super) fn text_of(v: &Cell) -> Result<Option<String>, Fault> {
    if let Some(s) = v.as_str() {
        return Ok(Some(s.to_owned()));
    }
    Ok(match from_template(v)? {
        Value::Null => None,
        other => Some(other.to_string()),
    })
}

/// Lists deeper than this are not what a field is made of.
const DEPTH_MAX: usize = 32;

/// The JSON text of a value, numbers as they are.
pub(super) fn json_of(v: &Cell, depth: usize) -> Result<String, Fault> {
    let list = matches!(v.kind(), ValueKind::Seq | ValueKind::Iterable);
    if list && depth < DEPTH_MAX {
        let items: Vec<String> = v.try_iter()?.map(|item| json_of(&item, depth + 1)).collect::<Result<_, _>>()?;
        return Ok(format!("[{}]", items.join(",")));
    }
    let v = from_template(v)?;
    Ok(match &v {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::I64(_) | Value::U64(_) => v.to_string(),
        Value::Json(s) => s.clone(),
        Value::F64(x) if x.is_finite() => format!("{x:?}"),
        Value::Decimal(d) if decimal::parts(d).is_some() => decimal::normal(d).map_or_else(|| d.clone(), std::borrow::Cow::into_owned),
        other => json::from_value(ValueRef::Text(&other.to_string())).to_string(),
    })
}

/// The column type for a constant.
pub(super) fn logical_of(v: &Value) -> Option<LogicalType> {
    Some(match v {
        Value::Bool(_) => LogicalType::Bool,
        Value::I64(_) => LogicalType::Int { bits: 64, unsigned: false },
        Value::U64(_) => LogicalType::Int { bits: 64, unsigned: true },
        Value::F64(_) => LogicalType::Float { bits: 64 },
        Value::Decimal(_) => LogicalType::Decimal { limits: None },
        Value::Text(_) => LogicalType::Text { chars_max: None, fixed: false },
        Value::Bytes(_) => LogicalType::Bytes { bytes_max: None, fixed: false },
        Value::Uuid(_) => LogicalType::Uuid,
        Value::Date(_) => LogicalType::Date,
        Value::Time(_) => LogicalType::Time { digits: 6 },
        Value::Timestamp(_) => LogicalType::Timestamp { digits: 6 },
        Value::TimestampTz(_) => LogicalType::TimestampTz { digits: 6 },
        Value::Interval { .. } => LogicalType::Interval,
        Value::Json(_) => LogicalType::Json { normalised: false },
        Value::Null | Value::Other { .. } | Value::Large(_) => return None,
    })
}
