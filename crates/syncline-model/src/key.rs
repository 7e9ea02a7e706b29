//! A record's identity: one value per key column. Keys are matched across systems by canonical bytes, and stored and
//! shown as JSON arrays.

use std::fmt;

use crate::batch::RowRef;
use crate::canonical::{self, Canon};
use crate::json;
use crate::value::Value;

/// The values of a record's key columns, in key order.
#[derive(Clone, Debug, PartialEq)]
pub struct Key(pub Vec<Value>);

impl Key {
    /// The key found in the given columns of a row.
    #[must_use]
    pub fn of(row: RowRef<'_>, columns: &[usize]) -> Self {
        Self(columns.iter().map(|&c| row.get(c).to_owned()).collect())
    }

    /// Canonical bytes, by which keys are matched and ordered across systems.
    #[must_use]
    pub fn canonical(&self, canons: &[Canon]) -> Vec<u8> {
        let mut out = Vec::new();
        for (v, c) in self.0.iter().zip(canons) {
            canonical::write(&mut out, v.view(), *c);
        }
        out
    }

    /// The stored and exported form: a JSON array, see [`json::from_value`].
    #[must_use]
    pub fn to_json(&self) -> String {
        let cells: Vec<serde_json::Value> = self.0.iter().map(|v| json::from_value(v.view())).collect();
        serde_json::Value::Array(cells).to_string()
    }

    /// The key of [`Key::to_json`] back.
    #[must_use]
    pub fn from_json(text: &str) -> Option<Self> {
        let cells: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
        cells.iter().map(json::to_value).collect::<Option<Vec<_>>>().map(Self)
    }
}

/// What a person reads: `42`, or `(7, de)` for a composite key.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "{one}"),
            many => {
                let parts: Vec<String> = many.iter().map(ToString::to_string).collect();
                write!(f, "({})", parts.join(", "))
            }
        }
    }
}
