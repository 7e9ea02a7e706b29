//! One side of a stream as verify reads it: what to ask for, how its rows are told apart and what they say.

use syncline_connector::{Predicate, ReadForm, ReadRequest};
use syncline_model::{Canon, Engine, Key, LogicalType, RowBatch, RowRef, Table, Value, ValueRef, batch, civil};
use xxhash_rust::xxh3::xxh3_128;

use super::text::{self, Reading};
use crate::compare::has_rewritten_key;
use crate::engine::Result;
use crate::mapped::IdMaps;
use crate::moving::{self, Parked, batch_bytes, large_over};
use crate::pairing::Pair;

/// Flag of a row: a cell is too large to be read whole, only its length is known.
pub const LARGE: u8 = 1;
/// Flag of a row: the transformation refuses it.
pub const REFUSED: u8 = 2;

/// One side of a stream.
pub struct Side<'a> {
    pair: &'a Pair,
    /// Its table.
    pub table: &'a Table,
    /// The stream's rows there.
    pub filter: &'a [Predicate],
    /// Key columns there.
    pub key: &'a [String],
    key_types: Vec<LogicalType>,
    system: Engine,
    columns: Vec<String>,
    /// Staged column → position among the cells at hand; none where the table does not have it yet.
    at: Vec<Option<usize>>,
    form: ReadForm,
    computes: bool,
    readings: Vec<Reading>,
    memory: u64,
    /// The id maps, and the pair's number among them: at the source only, where ids are mapped.
    ids: Option<(&'a IdMaps, usize)>,
}

/// A row in passing.
pub struct Seen {
    /// Hash of its key in normal form.
    pub key: u128,
    /// Hash of its compared cells in normal form.
    pub row: u128,
    /// [`LARGE`], [`REFUSED`].
    pub flags: u8,
}

/// Source and destination of a pair.
#[must_use]
pub fn sides<'a>(pair: &'a Pair, engines: (Engine, Engine), memory: u64, ids: Option<(&'a IdMaps, usize)>) -> (Side<'a>, Side<'a>) {
    let any = LogicalType::Any;
    // Mapped ids are looked at as the destination has them.
    let mapped =
        |i: usize| pair.foreign_ids.iter().any(|(c, _)| *c == i) || (pair.policy.options.ids.is_some() && pair.key_at.contains(&i));
    let source_type = |i: usize| {
        if mapped(i) {
            return &pair.columns[i].logical;
        }
        let copied = pair.copied_from[i].as_ref().and_then(|c| pair.source.column(c)).map(|c| &c.logical);
        copied.or_else(|| pair.transform.logical(i)).unwrap_or(&any)
    };
    let all = || 0..pair.columns.len();
    let readings = all().map(|i| {
        let system = if mapped(i) { engines.1 } else { engines.0 };
        Reading::pair(pair.canons[i], (source_type(i), system), (&pair.columns[i].logical, engines.1))
    });
    let (source_readings, dest_readings): (Vec<_>, Vec<_>) = readings.unzip();
    let kinds = all().any(|i| text::is_untyped(pair.canons[i], source_type(i), &pair.columns[i].logical));
    let form = if kinds { ReadForm::Values } else { ReadForm::Text };
    let computes = !pair.is_plain();
    let added = |name: &str| !pair.alter.is_empty() && pair.drift.iter().any(|d| d.column.as_deref() == Some(name));
    let there: Vec<usize> = all().filter(|&i| !added(&pair.columns[i].name)).collect();
    let types = |table: &Table, key: &[String]| {
        key.iter().map(|k| table.column(k).map_or(LogicalType::Any, |c| c.logical.clone())).collect::<Vec<_>>()
    };
    let source = Side {
        pair,
        table: &pair.source,
        filter: &pair.filter_source,
        key: &pair.key_source,
        key_types: types(&pair.source, &pair.key_source),
        system: engines.0,
        columns: if computes { pair.reads.clone() } else { pair.copied_from.iter().flatten().cloned().collect() },
        at: all().map(Some).collect(),
        form: if computes { ReadForm::Values } else { form },
        computes,
        readings: source_readings,
        memory,
        ids: ids.filter(|_| pair.maps_ids()),
    };
    let dest = Side {
        pair,
        table: &pair.dest,
        filter: &pair.filter_dest,
        key: &pair.key_dest,
        key_types: types(&pair.dest, &pair.key_dest),
        system: engines.1,
        columns: there.iter().map(|&i| pair.columns[i].name.clone()).collect(),
        at: all().map(|i| there.iter().position(|&t| t == i)).collect(),
        form,
        computes: false,
        readings: dest_readings,
        memory,
        ids: None,
    };
    (source, dest)
}

impl Side<'_> {
    /// All rows of the stream, or those with these keys.
    #[must_use]
    pub fn request(&self, keys: Option<RowBatch>) -> ReadRequest {
        let mut filter = self.filter.to_vec();
        filter.extend(keys.map(|keys| Predicate::KeyIn { columns: self.key.to_vec(), keys }));
        ReadRequest {
            table: self.table.clone(),
            columns: self.columns.clone(),
            filter,
            order: Vec::new(),
            form: self.form,
            batch_bytes: batch_bytes(self.memory),
            large_over: large_over(self.memory),
        }
    }

    /// The rows of a batch as the destination should have them, and those that the transformation refuses.
    pub fn rows<'b>(&self, read: &'b RowBatch, scratch: &'b mut RowBatch) -> Result<(&'b RowBatch, Vec<Parked>)> {
        if !self.computes {
            return Ok((read, Vec::new()));
        }
        let mut refused = Vec::new();
        moving::transform(self.pair, read, scratch, &mut refused);
        if let Some((ids, index)) = self.ids {
            let (rewritten, unmapped) = ids.rewrite_known(index, self.pair, scratch)?;
            *scratch = rewritten;
            refused.extend(unmapped);
        }
        Ok((scratch, refused))
    }

    /// These keys, named as the destination has them, as this side has them; keys it cannot have are left out.
    pub fn own_keys(&self, keys: RowBatch) -> Result<RowBatch> {
        let Some((ids, index)) = self.ids else { return Ok(keys) };
        let at: Vec<usize> = (0..keys.width()).collect();
        let mut own = RowBatch::new(keys.width());
        for row in keys.rows() {
            if let Some(legacy) = ids.legacy_key(index, self.pair, &Key::of(row, &at))? {
                own.push_row(legacy.0.iter().map(Value::view));
            }
        }
        Ok(own)
    }

    /// A key of the destination as this side has it, where that is another one.
    pub fn key_there(&self, key: &Key) -> Result<Option<Key>> {
        self.ids.filter(|_| has_rewritten_key(self.pair)).map_or(Ok(None), |(ids, index)| ids.legacy_key(index, self.pair, key))
    }

    /// The cell of a staged column.
    #[must_use]
    pub fn cell<'r>(&self, row: RowRef<'r>, column: usize) -> ValueRef<'r> {
        self.at[column].map_or(ValueRef::Null, |at| row.get(at))
    }

    /// What a row is and says. `name` becomes its key, for [`Side::key`].
    pub fn see(&self, row: RowRef<'_>, scratch: &mut Vec<u8>, name: &mut Vec<u8>) -> Seen {
        let key = self.see_key(self.pair.key_at.iter().map(|&i| self.cell(row, i)), scratch, name);
        let mut flags = 0;
        scratch.clear();
        for i in self.compared() {
            let cell = self.cell(row, i);
            if matches!(cell, ValueRef::Large(_)) {
                flags |= LARGE;
            }
            self.readings[i].write(scratch, cell);
        }
        Seen { key, row: xxh3_128(scratch), flags }
    }

    /// A row that the transformation refuses: the destination cannot have it as it should be.
    pub fn see_refused(&self, parked: &Parked, scratch: &mut Vec<u8>, name: &mut Vec<u8>) -> Seen {
        let key = self.see_key(parked.key.0.iter().map(Value::view), scratch, name);
        Seen { key, row: xxh3_128(b"refused"), flags: REFUSED }
    }

    fn see_key<'v>(&self, cells: impl Iterator<Item = ValueRef<'v>>, scratch: &mut Vec<u8>, name: &mut Vec<u8>) -> u128 {
        let cells: Vec<ValueRef<'v>> = cells.collect();
        scratch.clear();
        for (v, &i) in cells.iter().zip(&self.pair.key_at) {
            self.readings[i].write(scratch, *v);
        }
        Self::name(cells.into_iter(), name);
        xxh3_128(scratch)
    }

    /// Cells by which a row is found again: its key, whatever else after it.
    pub fn name<'v>(cells: impl Iterator<Item = ValueRef<'v>>, name: &mut Vec<u8>) {
        name.clear();
        for v in cells {
            let start = name.len();
            name.extend_from_slice(&[0; 4]);
            batch::encode_cell(name, v);
            let len = u32::try_from(name.len() - start - 4).expect("invariant: a key is far below 4 GiB");
            name[start..start + 4].copy_from_slice(&len.to_le_bytes());
        }
    }

    /// Staged columns that are compared, beside the key, which is equal where rows meet.
    pub fn compared(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.pair.columns.len()).filter(|&i| self.pair.compared[i] && !self.pair.key_at.contains(&i))
    }

    /// Hash of one cell in normal form.
    pub fn field(&self, cell: ValueRef<'_>, column: usize, scratch: &mut Vec<u8>) -> u128 {
        scratch.clear();
        self.readings[column].write(scratch, cell);
        xxh3_128(scratch)
    }

    /// The key behind a name of [`Side::see`], as values of the key's types.
    #[must_use]
    pub fn named(&self, name: &[u8]) -> Key {
        let mut rest = name;
        let mut cells = Vec::new();
        while let Some((len, tail)) = rest.split_at_checked(4) {
            let len = u32::from_le_bytes(len.try_into().expect("invariant: four bytes")) as usize;
            let (cell, tail) = tail.split_at(len);
            rest = tail;
            let v = batch::decode_cell(cell).expect("invariant: a cell encoded here");
            cells.push(match (v, self.key_types.get(cells.len())) {
                (ValueRef::Text(s), Some(logical)) => typed(s, logical),
                (v, _) => v.to_owned(),
            });
        }
        Key(cells)
    }

    /// Whether a row with this key is surely found by it here: what is not found is then not there. A NULL is never found, and
    /// a value of SQLite that may be spelt in more than one way is found in one of them only.
    #[must_use]
    pub fn finds(&self, key: &Key) -> bool {
        use LogicalType as T;
        let spelt = self.system == Engine::Sqlite;
        key.0.iter().zip(&self.key_types).all(|cell| match cell {
            (Value::I64(_) | Value::U64(_), T::Int { .. } | T::Year) | (Value::Bytes(_), T::Bytes { .. }) => true,
            (Value::Text(_), T::Text { .. } | T::Enum { .. } | T::Set { .. }) => true,
            (Value::Bool(_), T::Bool) | (Value::Decimal(_), T::Decimal { .. }) | (Value::Uuid(_), T::Uuid) | (Value::Date(_), T::Date) => {
                !spelt
            }
            (Value::Timestamp(_), T::Timestamp { .. }) | (Value::TimestampTz(_), T::TimestampTz { .. }) => !spelt,
            _ => false,
        })
    }

    /// Canonical forms of the key, for the state.
    #[must_use]
    pub fn key_canons(&self) -> Vec<Canon> {
        self.pair.key_canons()
    }
}

/// A key's text as the value that the connectors make of it; text that is no such value stays text.
fn typed(s: &str, logical: &LogicalType) -> Value {
    use LogicalType as T;
    let value = match logical {
        T::Int { bits: 64, unsigned: true } => s.parse().ok().map(Value::U64),
        T::Int { .. } | T::Year | T::Any => s.parse().ok().map(Value::I64),
        T::Bool => match s {
            "t" | "true" | "1" => Some(Value::Bool(true)),
            "f" | "false" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        T::Float { .. } => s.parse().ok().map(Value::F64),
        T::Decimal { .. } => syncline_model::decimal::parts(s).map(|_| Value::Decimal(s.to_owned())),
        T::Uuid => civil::parse_uuid(s).map(Value::Uuid),
        T::Date => civil::parse_date(s).map(Value::Date),
        T::Time { .. } | T::TimeSpan { .. } => civil::parse_time(s).map(Value::Time),
        T::Timestamp { .. } => civil::parse_timestamp(s).map(Value::Timestamp),
        T::TimestampTz { .. } => civil::parse_timestamptz(s).map(Value::TimestampTz),
        T::Text { .. } | T::Bytes { .. } | T::Bit { .. } | T::Interval | T::Json { .. } | T::Enum { .. } | T::Set { .. } | T::Geometry => {
            None
        }
        T::Other { .. } => None,
    };
    value.unwrap_or_else(|| Value::Text(s.to_owned()))
}
