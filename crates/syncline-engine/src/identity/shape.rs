//! Where earlier migrations left their mappings, and how a row of each place reads.

use syncline_model::{RowRef, Value, ValueRef};

use crate::spec::IdSource;
use crate::transform::at_path;

/// A place of mappings: which columns to fetch, and what a fetched row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A mapping table: rows of (legacy id, new id).
    Table {
        /// The table.
        table: String,
        /// Column of the legacy id.
        legacy: String,
        /// Column of the new id.
        new: String,
        /// Column and value that select this stream's rows.
        entity: Option<(String, String)>,
    },
    /// A column of the destination table that still holds the legacy id.
    Column {
        /// That column.
        legacy: String,
        /// The destination's key column.
        key: String,
    },
    /// A value inside a JSON column of the destination table.
    JsonPath {
        /// The JSON column.
        column: String,
        /// Keys from the root; digits index arrays.
        path: Vec<String>,
        /// The destination's key column.
        key: String,
    },
}

impl Shape {
    /// The shape the configuration asks for; `None` when mappings live in our own state only. `key` is the destination's.
    #[must_use]
    pub fn of(source: &IdSource, key: &str) -> Option<Self> {
        let key = key.to_owned();
        match source.clone() {
            IdSource::Table { table, legacy, new, entity } => Some(Self::Table { table, legacy, new, entity }),
            IdSource::Column(legacy) => Some(Self::Column { legacy, key }),
            IdSource::JsonPath { column, path } => Some(Self::JsonPath { column, path, key }),
            IdSource::State => None,
        }
    }

    /// The columns to fetch, in the order that [`Shape::read`] expects: where the legacy id is, then the new id.
    #[must_use]
    pub fn columns(&self) -> [&str; 2] {
        match self {
            Self::Table { legacy, new, .. } => [legacy, new],
            Self::Column { legacy, key } => [legacy, key],
            Self::JsonPath { column, key, .. } => [column, key],
        }
    }

    /// The legacy and the new id of a fetched row. `None` for a destination row that carries no legacy id: it was born
    /// there. In a mapping table a missing side is no such excuse and comes back as NULL, for [`super::IdMapBuilder`] to report.
    #[must_use]
    pub fn read(&self, row: RowRef<'_>) -> Option<(Value, Value)> {
        let legacy = match self {
            Self::Table { .. } => return Some((row.get(0).to_owned(), row.get(1).to_owned())),
            Self::Column { .. } => row.get(0).to_owned(),
            Self::JsonPath { path, .. } => match row.get(0) {
                ValueRef::Json(s) | ValueRef::Text(s) => at_path(s, path),
                _ => Value::Null,
            },
        };
        (!legacy.is_null()).then(|| (legacy, row.get(1).to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncline_model::RowBatch;

    fn read(shape: &Shape, place: ValueRef<'_>, new: ValueRef<'_>) -> Option<(Value, Value)> {
        let mut rows = RowBatch::new(2);
        rows.push_row([place, new]);
        shape.read(rows.row(0))
    }

    // req: FR-010
    #[test]
    fn mappings_are_read_from_each_of_the_three_places() {
        let new = ValueRef::Uuid([7; 16]);
        let pair = |legacy| Some((legacy, Value::Uuid([7; 16])));
        let source = IdSource::Table {
            table: "migration_mappings".to_owned(),
            legacy: "legacy_id".to_owned(),
            new: "uuid_id".to_owned(),
            entity: Some(("entity_type".to_owned(), "patient".to_owned())),
        };
        let table = Shape::of(&source, "id").unwrap();
        assert_eq!(table.columns(), ["legacy_id", "uuid_id"]);
        assert_eq!(read(&table, ValueRef::I64(42), new), pair(Value::I64(42)));
        assert_eq!(read(&table, ValueRef::I64(42), ValueRef::Null), Some((Value::I64(42), Value::Null)));

        let column = Shape::of(&IdSource::Column("legacy_patient_id".to_owned()), "id").unwrap();
        assert_eq!(column.columns(), ["legacy_patient_id", "id"]);
        assert_eq!(read(&column, ValueRef::I64(42), new), pair(Value::I64(42)));
        assert_eq!(read(&column, ValueRef::Null, new), None, "born at the destination");

        let source = IdSource::JsonPath { column: "metadata".to_owned(), path: vec!["origin".to_owned(), "legacy_id".to_owned()] };
        let path = Shape::of(&source, "id").unwrap();
        assert_eq!(path.columns(), ["metadata", "id"]);
        assert_eq!(read(&path, ValueRef::Json(r#"{"origin": {"legacy_id": "42"}}"#), new), pair(Value::Text("42".to_owned())));
        assert_eq!(read(&path, ValueRef::Json(r#"{"origin": {"legacy_id": 42}}"#), new), pair(Value::I64(42)));
        for nothing in [ValueRef::Json("{}"), ValueRef::Json(r#"{"origin": {"legacy_id": null}}"#), ValueRef::Null] {
            assert_eq!(read(&path, nothing, new), None);
        }
        assert_eq!(Shape::of(&IdSource::State, "id"), None);
    }
}
