//! Puts new ids into rows: the record's own, and those of the records it refers to.

use syncline_model::{RowBatch, RowRef, Value, ValueRef};

use super::idmap::{IdMap, NoId};
use crate::engine::Result;
use crate::transform::Refusal;

/// Which columns of a stream's rows hold ids. Maps are told by their number in the caller's list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// The key column and its stream's map.
    pub key: Option<(usize, usize)>,
    /// Foreign key columns and the maps of the streams they point to.
    pub foreign: Vec<(usize, usize)>,
    /// Column names, for refusals.
    pub columns: Vec<String>,
}

impl Rewrite {
    /// The map of the ids in a column.
    #[must_use]
    pub fn map_at(&self, column: usize) -> Option<usize> {
        let foreign = self.foreign.iter().find(|(c, _)| *c == column).map(|(_, m)| *m);
        foreign.or(self.key.filter(|(c, _)| *c == column).map(|(_, m)| m))
    }

    /// Appends the row with its new ids to `out`, or nothing when the row is refused. NULL references stay NULL; cells
    /// without ids are copied as they are.
    ///
    /// # Errors
    /// The column whose id has no counterpart: `id_unmapped` for the record's own, `parent_unmapped` for a reference,
    /// `id_invalid`, `id_taken`. Around it `temp_file`.
    pub fn apply(&self, row: RowRef<'_>, maps: &mut [IdMap], out: &mut RowBatch) -> Result<Result<(), Refusal>> {
        for column in 0..row.width() {
            if let Err(refusal) = self.cell(row, column, maps, out)? {
                out.drop_partial();
                return Ok(Err(refusal));
            }
        }
        Ok(Ok(()))
    }

    fn cell(&self, row: RowRef<'_>, column: usize, maps: &mut [IdMap], out: &mut RowBatch) -> Result<Result<(), Refusal>> {
        let own = self.key.filter(|(c, _)| *c == column);
        // A key that is a foreign key as well (a table that extends another) takes the id of the record it extends.
        let foreign = self.foreign.iter().find(|(c, _)| *c == column);
        let id = match (own, foreign) {
            (None, None) => {
                out.push_encoded(row.encoded(column));
                return Ok(Ok(()));
            }
            (_, Some(_)) if row.get(column).is_null() => Ok(Value::Null),
            (_, Some((_, map))) => maps[*map].refer(row.get(column))?,
            (Some((_, map)), None) => maps[map].own(row.get(column))?,
        };
        Ok(id.map(|id| out.push(id.view())).map_err(|why| self.refusal(column, why, foreign.is_some(), row.get(column))))
    }

    fn refusal(&self, column: usize, why: NoId, foreign: bool, id: ValueRef<'_>) -> Refusal {
        // Ids are shown: they are what a person needs to mend the mapping, and D24 asks for them.
        let (code, detail) = match (why, foreign) {
            (NoId::Unmapped, true) => ("parent_unmapped", format!("the record {id} that it refers to has no id mapping")),
            (NoId::Unmapped, false) => ("id_unmapped", format!("the record {id} has no id mapping and none may be minted")),
            (NoId::NotAnId, _) => ("id_invalid", "the value cannot be an id of that stream".to_owned()),
            (NoId::Taken, _) => ("id_taken", format!("the id minted for {id} belongs to another record already")),
        };
        Refusal { column: self.columns[column].clone(), code, detail }
    }
}
