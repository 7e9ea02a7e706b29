//! Digests of segments. SQLite runs in our process, so rows are hashed as they step by instead of in SQL text.

use std::collections::BTreeMap;

use rusqlite::types::ValueRef as Stored;
use rusqlite::{Connection, Row, params_from_iter};
use syncline_connector::{Batch, DigestColumn, DigestKind, DigestRequest, Error, Result, SegmentDigest, Segments};
use syncline_model::{Canon, RowBatch, Table, ValueRef};
use xxhash_rust::xxh3::xxh3_64;

use crate::decode::decode;
use crate::error::failed;
use crate::filter::{self, Where};
use crate::functions::feed;
use crate::native::Kind;
use crate::quote;
use crate::rowtext;
use crate::thread::Outlet;

/// Hashes travel in batches of about this size; a key and a hash are small.
const BATCH_BYTES: usize = 256 * 1024;

/// One column of the statement.
struct Field {
    kind: Kind,
    canon: Canon,
    hashed: bool,
}

/// A digest, ready to run on the thread.
pub(crate) struct Plan {
    table: String,
    select: String,
    clauses: Vec<Where>,
    /// Hashed columns first, then the key.
    fields: Vec<Field>,
    /// Where the key starts in `fields`.
    key_at: usize,
    kind: DigestKind,
    segments: Segments,
    /// Column of a ranged key, quoted, when an index leads to it.
    range_column: Option<String>,
}

/// Runs of neighbouring segments up to which each is found by the index; beyond, one pass over the table is cheaper.
const RANGES_MAX: usize = 500;

impl Plan {
    /// Checks the request against the table and writes its SQL.
    pub(crate) fn new(request: &DigestRequest, parameters_max: usize) -> Result<Self> {
        let table = &request.table;
        let field = |d: &DigestColumn| -> Result<Field> {
            Ok(Field { kind: Kind::of(filter::column(table, &d.name)?), canon: d.canon, hashed: d.hashed })
        };
        let all = || request.columns.iter().chain(&request.key);
        let names: Vec<&str> = all().map(|d| d.name.as_str()).collect();
        let mut select = quote::names(&names);
        let range_column = match &request.segments {
            Segments::Ranges { column, .. } => {
                filter::column(table, column)?;
                let quoted = quote::name(column);
                select = format!("{select}, {quoted}");
                leads_an_index(table, column).then_some(quoted)
            }
            Segments::Buckets { .. } => None,
        };
        Ok(Self {
            table: table.name.to_string(),
            select: format!("SELECT {select} FROM {}", quote::name(&table.name.name)),
            clauses: filter::clauses(table, &request.filter, parameters_max)?,
            fields: all().map(field).collect::<Result<_>>()?,
            key_at: request.columns.len(),
            kind: request.kind,
            segments: request.segments.clone(),
            range_column,
        })
    }

    /// The digest of every segment that has rows, by segment number.
    pub(crate) fn segments(&self, conn: &Connection) -> Result<Vec<SegmentDigest>> {
        let mut found: BTreeMap<i64, SegmentDigest> = BTreeMap::new();
        let mut hasher = Hasher::default();
        for clause in &self.clauses {
            self.each_row(conn, clause, "", |row| {
                let id = self.segment(row, &mut hasher)?;
                let hash = self.hash(row, &mut hasher)?;
                let digest = found.entry(id).or_insert(SegmentDigest { id, rows: 0, hashed: 0, hash: 0 });
                digest.rows += 1;
                digest.hashed += 1;
                digest.hash ^= hash;
                Ok(true)
            })?;
        }
        Ok(found.into_values().collect())
    }

    /// Key and hash of every row in the given segments.
    pub(crate) fn hashes(&self, conn: &Connection, segments: &[i64], outlet: &Outlet) -> Result<()> {
        let wanted: std::collections::BTreeSet<i64> = segments.iter().copied().collect();
        let mut batch = RowBatch::new(self.fields.len() - self.key_at + 1);
        let mut hasher = Hasher::default();
        let mut scratch = String::new();
        for (clause, narrow) in self.clauses.iter().flat_map(|c| self.narrowed(&wanted).into_iter().map(move |n| (c, n))) {
            let mut listening = true;
            self.each_row(conn, clause, &narrow, |row| {
                if !wanted.contains(&self.segment(row, &mut hasher)?) {
                    return Ok(true);
                }
                let hash = self.hash(row, &mut hasher)?;
                for (i, field) in self.fields.iter().enumerate().skip(self.key_at) {
                    batch.push(decode(row.get_ref(i)?, &field.kind, &mut scratch));
                }
                batch.push(ValueRef::I64(hash.cast_signed()));
                if batch.bytes() >= BATCH_BYTES {
                    let full = std::mem::replace(&mut batch, RowBatch::new(self.fields.len() - self.key_at + 1));
                    listening = outlet.put(Batch::Rows(full));
                }
                Ok(listening)
            })?;
            if !listening {
                return Ok(());
            }
        }
        if !batch.is_empty() {
            outlet.put(Batch::Rows(batch));
        }
        Ok(())
    }

    /// Conditions that find the segments by index, each to be run as a statement: one per run of neighbours for ranges,
    /// one scan for buckets.
    fn narrowed(&self, wanted: &std::collections::BTreeSet<i64>) -> Vec<String> {
        let (Segments::Ranges { size, .. }, Some(column)) = (&self.segments, &self.range_column) else { return vec![String::new()] };
        let size = i128::from(*size);
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for &id in wanted {
            match runs.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(id) => *last = id,
                _ => runs.push((id, id)),
            }
        }
        if runs.len() > RANGES_MAX {
            return vec![String::new()];
        }
        let clamp = |n: i128| i64::try_from(n).unwrap_or(if n < 0 { i64::MIN } else { i64::MAX });
        let mut conditions: Vec<String> = runs
            .iter()
            .map(|&(a, b)| {
                // Truncation toward zero: segment 0 spans both sides of it, the others lie beyond.
                let low = if a > 0 { i128::from(a) * size } else { (i128::from(a) - 1) * size + 1 };
                let high = if b < 0 { i128::from(b) * size } else { (i128::from(b) + 1) * size - 1 };
                format!("{column} BETWEEN {} AND {} AND typeof({column}) = 'integer'", clamp(low), clamp(high))
            })
            .collect();
        if wanted.contains(&0) {
            // What is no integer counts into segment 0.
            conditions.push(format!("typeof({column}) <> 'integer'"));
        }
        conditions
    }

    fn each_row(
        &self,
        conn: &Connection,
        clause: &Where,
        narrow: &str,
        mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<bool>,
    ) -> Result<()> {
        let joint = match (narrow.is_empty(), clause.sql.is_empty()) {
            (true, _) => String::new(),
            (false, true) => format!(" WHERE ({narrow})"),
            (false, false) => format!(" AND ({narrow})"),
        };
        let mut run = || -> rusqlite::Result<()> {
            let mut statement = conn.prepare(&format!("{}{}{joint}", self.select, clause.sql))?;
            let mut rows = statement.query(params_from_iter(&clause.params))?;
            while let Some(row) = rows.next()? {
                if !each(row)? {
                    break;
                }
            }
            Ok(())
        };
        run().map_err(|e| self.failed(e))
    }

    fn segment(&self, row: &Row<'_>, hasher: &mut Hasher) -> rusqlite::Result<i64> {
        match &self.segments {
            Segments::Ranges { size, .. } => Ok(match row.get_ref(self.fields.len())? {
                Stored::Integer(n) => i64::try_from(i128::from(n) / i128::from((*size).max(1))).unwrap_or(0),
                _ => 0,
            }),
            Segments::Buckets { digits } => {
                self.row_text(row, self.key_at..self.fields.len(), hasher)?;
                Ok(rowtext::bucket(&hasher.text, *digits))
            }
        }
    }

    fn hash(&self, row: &Row<'_>, hasher: &mut Hasher) -> rusqlite::Result<u64> {
        match self.kind {
            DigestKind::Native | DigestKind::Own => {
                hasher.text.clear();
                for i in 0..self.key_at {
                    feed(row.get_ref(i)?, |bytes| hasher.text.extend_from_slice(bytes));
                }
                Ok(xxh3_64(&hasher.text))
            }
            DigestKind::Canonical => {
                self.row_text(row, 0..self.key_at, hasher)?;
                Ok(rowtext::hash(&hasher.text))
            }
        }
    }

    fn row_text(&self, row: &Row<'_>, range: std::ops::Range<usize>, hasher: &mut Hasher) -> rusqlite::Result<()> {
        hasher.text.clear();
        for i in range {
            let field = &self.fields[i];
            let v = decode(row.get_ref(i)?, &field.kind, &mut hasher.spelled);
            rowtext::field(&mut hasher.text, v, field.canon, field.hashed, &mut hasher.field);
        }
        Ok(())
    }

    fn failed(&self, e: rusqlite::Error) -> Error {
        failed(format_args!("digest `{}`", self.table), e)
    }
}

fn leads_an_index(table: &Table, column: &str) -> bool {
    let first = |columns: &[String]| columns.first().is_some_and(|c| c == column);
    first(&table.primary_key) || table.uniques.iter().any(|u| first(&u.columns)) || table.indexes.iter().any(|i| first(&i.columns))
}

/// Buffers, used again for every row.
#[derive(Default)]
struct Hasher {
    text: Vec<u8>,
    field: Vec<u8>,
    spelled: String,
}
