//! One stream of a staged run: its tables, its columns, and what has happened so far.

use syncline_connector::{Error, ErrorKind, Reject, Result, StreamOutcome, StreamWrite, WritePath};
use syncline_model::logical::LogicalType;
use syncline_model::schema::Identity;
use syncline_model::{Column, RowBatch, Value};

use crate::session::{Dialect, LoadPlace, LoadTarget};
use crate::straight::Straight;

/// The counter column of staging tables.
pub const ROW_NUMBER: &str = "syncline_n";

/// A stream in a staged run.
#[derive(Clone)]
pub struct Stream {
    /// What was asked for.
    pub write: StreamWrite,
    /// Definitions of `write.columns`, in that order.
    pub columns: Vec<Column>,
    /// Definitions of `write.key`.
    pub key: Vec<Column>,
    /// Definitions of `write.compare`.
    pub compare: Vec<Column>,
    /// Quoted destination table.
    pub table: String,
    /// Quoted staging tables: rows, deletions, expected rows.
    pub rows: String,
    /// Deletions.
    pub deletions: String,
    /// Rows that must still be as seen.
    pub expected: String,
    /// Which of the staging tables exist.
    pub made: Made,
    /// Its rows go straight into a table that was there before.
    pub straight: Straight,
    /// The destination table was made by this run already.
    pub created: bool,
    /// The table goes with this run (`undo` of the run that made it).
    pub dropped: bool,
    /// Rows hold a placeholder instead of a unique value until they are updated.
    pub let_go: bool,
    /// Unique keys whose columns take no placeholder, as the system has shown.
    pub no_placeholder: Vec<String>,
    /// Keys of rows that are there change their spelling.
    pub respells: bool,
    /// Before-images are there, with the hash of what each row will be.
    pub foreseen: bool,
    /// How before-images of staged rows are kept.
    pub images: Images,
    /// Staged rows that were found equal and left out of all that follows.
    pub left_out: u64,
    /// What a look before the writes said about them, where somebody else has a say in what becomes of a row.
    pub foretold: Option<crate::observe::Foretold>,
    /// More than half of the staged rows differ from what is there, by a sample.
    pub mostly_changed: bool,
    /// What happened.
    pub outcome: StreamOutcome,
    /// What the values of its rejects take.
    rejected_bytes: usize,
}

/// How the before-images of a stream's staged rows are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Images {
    /// Not at all.
    #[default]
    No,
    /// By statements of their own, before anything is written.
    Before,
    /// By the statements that write.
    WithWrites,
}

/// Which staging tables exist.
#[derive(Clone, Copy, Debug, Default)]
pub struct Made {
    /// Rows.
    pub rows: bool,
    /// Deletions.
    pub deletions: bool,
    /// Expected rows.
    pub expected: bool,
}

impl Stream {
    /// Prepares a stream; `number` makes its staging names unique within the run.
    pub fn new(write: StreamWrite, number: usize, dialect: &dyn Dialect) -> Result<Self> {
        let pick = |names: &[String]| -> Result<Vec<Column>> {
            names.iter().map(|n| write.table.column(n).cloned().ok_or_else(|| missing_column(&write, n))).collect()
        };
        let (columns, key, compare) = (pick(&write.columns)?, pick(&write.key)?, pick(&write.compare)?);
        if key.is_empty() && write.path == WritePath::Stage {
            return Err(Error::new(ErrorKind::Invalid, "key_missing", format!("stream `{}` has no key to match rows by", write.stream)));
        }
        let loaded = write.in_parts.filled().unwrap_or(0);
        let name = |what: &str| dialect.staging_table(&write.table, &format!("syncline_{what}_{number}"));
        Ok(Self {
            table: dialect.table(&write.table.name),
            rows: name("rows"),
            deletions: name("dels"),
            expected: name("seen"),
            columns,
            key,
            compare,
            write,
            made: Made::default(),
            straight: Straight::No,
            created: false,
            dropped: false,
            let_go: false,
            no_placeholder: Vec::new(),
            foreseen: false,
            respells: false,
            images: Images::No,
            left_out: 0,
            foretold: None,
            mostly_changed: false,
            outcome: StreamOutcome { staged: loaded, ..StreamOutcome::default() },
            rejected_bytes: 0,
        })
    }

    /// Where `stage` loads to.
    pub fn row_target(&self) -> LoadTarget {
        match self.write.path {
            WritePath::Load => {
                LoadTarget { table: self.table.clone(), columns: self.columns.clone(), numbered: false, place: LoadPlace::New }
            }
            WritePath::Part => {
                LoadTarget { table: self.table.clone(), columns: self.columns.clone(), numbered: false, place: LoadPlace::Part }
            }
            WritePath::Stage if self.straight != Straight::No => {
                LoadTarget { table: self.table.clone(), columns: self.columns.clone(), numbered: false, place: LoadPlace::Empty }
            }
            WritePath::Stage => {
                LoadTarget { table: self.rows.clone(), columns: self.columns.clone(), numbered: true, place: LoadPlace::Staging }
            }
        }
    }

    /// Its rows are in their table already, whatever else is still to be done.
    pub fn has_landed(&self) -> bool {
        self.write.path.is_straight() || self.straight == Straight::Done
    }

    /// Rows are in a staging table (not loaded straight into the destination).
    pub fn is_staged(&self) -> bool {
        self.write.path == WritePath::Stage && self.made.rows
    }

    /// Triggers, rules or row security have a say in what becomes of a row.
    pub fn is_interfered_with(&self) -> bool {
        self.write.table.insert_triggers || self.write.table.change_triggers
    }

    /// Rows still in the staging table.
    pub fn staged_now(&self) -> u64 {
        let o = &self.outcome;
        o.staged.saturating_sub(self.left_out + o.merged + o.rejects.len() as u64)
    }

    /// No two rows of the table have one key, for an index sees to it.
    pub fn key_is_unique(&self) -> bool {
        let same = |columns: &[String]| columns.len() == self.write.key.len() && columns.iter().all(|c| self.write.key.contains(c));
        let t = &self.write.table;
        same(&t.primary_key) || t.uniques.iter().any(|u| same(&u.columns))
    }

    /// What happens to its rows is kept for an undo. Not of a table that this run makes: its undo is its drop (R26).
    pub fn is_kept(&self) -> bool {
        self.is_staged() && self.write.create.is_none()
    }

    /// Columns that an update sets: staged, not part of the key.
    pub fn settable(&self) -> impl Iterator<Item = &Column> {
        // PostgreSQL numbers GENERATED ALWAYS columns itself, and lets an insert override that, but no update.
        let rest = self.columns.iter().filter(|c| !self.write.key.contains(&c.name) && c.identity != Identity::Always);
        rest.chain(self.respelled_key())
    }

    /// Sets a row aside, up to the limit.
    pub fn reject(&mut self, mut reject: Reject) -> Result<()> {
        if reject.row.len() == self.columns.len() {
            let held = self.columns.iter().zip(&mut reject.row).filter(|(c, _)| !self.write.key.contains(&c.name));
            held.for_each(|(_, v)| leave_out_large(v, &mut self.rejected_bytes));
        }
        self.outcome.rejects.push(reject);
        if self.outcome.rejects.len() as u64 > self.write.rejects_max {
            return Err(Error::new(
                ErrorKind::BadRecord,
                "too_many_parked",
                format!("stream `{}`: more than {} rows cannot be applied", self.write.stream, self.write.rejects_max),
            )
            .hint("look at the first ones with `syncline parked`; nothing of this run was written"));
        }
        Ok(())
    }
}

/// Values of rows set aside that are held until the end of the run; of those beyond, the size.
const REJECTED_BYTES_MAX: usize = 4 * 1024 * 1024;

fn leave_out_large(value: &mut Value, held: &mut usize) {
    let bytes = match value {
        Value::Text(s) | Value::Json(s) => s.len(),
        Value::Bytes(b) => b.len(),
        _ => return,
    };
    if *held + bytes > REJECTED_BYTES_MAX {
        *value = Value::Large(bytes as u64);
    } else {
        *held += bytes;
    }
}

fn missing_column(write: &StreamWrite, name: &str) -> Error {
    Error::new(
        ErrorKind::SchemaMismatch,
        "column_missing",
        format!("stream `{}`: table `{}` has no column `{name}`", write.stream, write.table.name),
    )
    .hint("run `syncline check` to see what changed at the destination")
}

/// Borrowed definitions, as the dialect takes them.
pub fn refs(columns: &[Column]) -> Vec<&Column> {
    columns.iter().collect()
}

/// A pseudo column for answers of our own queries.
pub fn number_column(name: &str) -> Column {
    Column::plain(name, LogicalType::Int { bits: 64, unsigned: false }, "bigint")
}

/// The whole number in a cell.
pub fn whole(rows: &RowBatch, row: usize, column: usize) -> Result<u64> {
    match rows.row(row).get(column).to_owned() {
        Value::I64(n) if n >= 0 => Ok(n.unsigned_abs()),
        Value::U64(n) => Ok(n),
        Value::Decimal(s) => s.parse().map_err(|_| Error::internal("a count came back as a fraction")),
        Value::Null => Ok(0),
        other => Err(Error::internal(format!("a count came back as {other:?}"))),
    }
}
