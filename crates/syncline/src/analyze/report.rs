//! What `analyze` found out, as data: one report over all scripts, serialisable and readable.

use std::path::PathBuf;

use serde::Serialize;

/// Which dialect a script seems to be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// PostgreSQL, and everything that shows no other sign.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// The connection `type` of the config.
    #[must_use]
    pub fn connection_type(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Sqlite => "sqlite",
        }
    }
}

/// What a statement does to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Reads it.
    Read,
    /// Creates, alters or drops it or an index of it.
    Ddl,
    /// Removes every row.
    Truncate,
    /// Removes rows.
    Delete,
    /// Changes rows.
    Update,
    /// Adds rows.
    Insert,
    /// Adds rows or changes those that are there.
    Upsert,
}

impl Action {
    /// The word people use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Ddl => "DDL",
            Self::Truncate => "truncate",
            Self::Delete => "delete",
            Self::Update => "update",
            Self::Insert => "insert",
            Self::Upsert => "upsert",
        }
    }
}

/// How much of a table a statement takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// Everything (or everything under a fixed condition).
    Full,
    /// Only what lies beyond a moving mark.
    Incremental {
        /// The column compared with the mark.
        column: String,
        /// `>` instead of `>=`: rows that share the mark's value are passed over.
        exclusive: bool,
    },
    /// The rows stand in the script itself: settings and seeds, not data that moves.
    Literal,
    /// The values come from the program, so the script does not say.
    Unknown,
    /// No rows at all: only the table's shape is touched.
    Nothing,
}

/// Where ids of the old system are translated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IdMapping {
    /// A table of pairs.
    Table {
        /// Its name.
        table: String,
        /// Column with the old id, where one was seen.
        legacy: Option<String>,
        /// Column with the new id, where one was seen.
        new: Option<String>,
        /// Column and value that select one kind of record (`entity_type`, `patient`), where they were seen.
        entity: Option<(String, String)>,
    },
    /// A column on the destination table that holds the old id.
    Column {
        /// Its name.
        column: String,
    },
    /// A key inside a JSON column.
    JsonPath {
        /// The JSON column.
        column: String,
        /// The key.
        key: String,
    },
}

/// One thing a statement does to one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// What it does.
    pub action: Action,
    /// The table as written, unquoted; interpolated parts as `${name}`.
    pub table: String,
    /// Line in the file, from 1.
    pub line: u32,
    /// Whether running it twice ends as running it once.
    pub repeatable: bool,
    /// Why it is repeatable or not.
    pub because: String,
    /// How much of its source it takes.
    pub extent: Extent,
    /// Tables it reads.
    pub sources: Vec<String>,
    /// Conflict target: what the script matches rows by.
    pub key: Vec<String>,
    /// How it translates ids.
    pub id_mapping: Vec<IdMapping>,
    /// What is dangerous about it.
    pub hazards: Vec<Hazard>,
    /// The mark it sets instead of deleting (`deleted_at`, `archived_at`, `is_active`).
    pub marks: Option<String>,
    /// It removes the rows that the other side does not have.
    pub mirrors: bool,
    /// The table is temporary: a work area, not a destination.
    pub temporary: bool,
}

impl Effect {
    /// An effect of which only the place is known yet.
    pub(super) fn new(action: Action, table: String, line: u32) -> Self {
        Self {
            action,
            table,
            line,
            repeatable: true,
            because: String::new(),
            extent: Extent::Unknown,
            sources: Vec::new(),
            key: Vec::new(),
            id_mapping: Vec::new(),
            hazards: Vec::new(),
            marks: None,
            mirrors: false,
            temporary: false,
        }
    }
}

/// A known way in which a script loses, doubles or damages rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hazard {
    /// Empties the table to fill it again.
    Empties,
    /// Removes every row, and does not fill the table again.
    Wipes,
    /// Drops the table to make it again.
    Drops,
    /// `REPLACE`: deletes the old row first.
    Replaces,
    /// `IGNORE`: errors become warnings.
    HidesErrors,
    /// `ON DUPLICATE KEY UPDATE`: any unique index decides.
    AnyUniqueIndex,
    /// An incremental window that opens with `>` at the last value seen.
    OpenCursor,
    /// An incremental window at all: late commits and deletions are not seen.
    PlainCursor,
    /// `LIMIT … OFFSET` paging over a table that others write.
    OffsetPaging,
    /// Foreign keys or triggers are switched off.
    ChecksOff,
    /// Adds rows without looking.
    PlainInsert,
    /// Leaves rows that are there as they are, though the source may have changed.
    SkipsExisting,
    /// Adds to the value that is there.
    Accumulates,
    /// The table's name is put together by the program.
    DynamicTable,
    /// DDL that fails the second time.
    BareDdl,
}

/// What to do with a script's work on a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Can run again as it is.
    Reuse,
    /// Right in intent; needs the change that the reason names.
    Adapt,
    /// Running it again can lose, double or damage rows; the drafted stream does the work instead.
    Replace,
}

impl Verdict {
    /// The word people use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Reuse => "reuse",
            Self::Adapt => "adapt",
            Self::Replace => "replace",
        }
    }
}

/// Everything one script does to one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// The table.
    pub table: String,
    /// What to do.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// The line the reason speaks of.
    pub line: u32,
    /// The table holds id mappings itself.
    pub is_mapping: bool,
    /// All effects run twice end as run once.
    pub idempotent: bool,
    /// How much of the source the script takes for this table.
    pub extent: Extent,
    /// How ids are translated.
    pub id_mapping: Vec<IdMapping>,
    /// Its effects, in order.
    pub effects: Vec<Effect>,
}

/// One script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Script {
    /// Its path as found.
    pub path: PathBuf,
    /// Host language: `sql`, `typescript`, `python`, …
    pub language: &'static str,
    /// Dialect it seems to be written in.
    pub dialect: Dialect,
    /// Per table, in order of name.
    pub tables: Vec<TableReport>,
}

/// A file that was not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its path.
    pub path: PathBuf,
    /// Why.
    pub because: String,
}

/// Coverage of an existing id mapping, counted in the database by the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MappingCoverage {
    /// The mapping table, column or path, as the config names it.
    pub mapping: String,
    /// Pairs in it.
    pub rows: u64,
    /// Old ids with two new ones, or new ids with two old ones.
    pub doubled: u64,
    /// Source rows without a pair.
    pub missing: u64,
}

/// What `analyze` found out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Scripts with SQL in them, in order of path.
    pub scripts: Vec<Script>,
    /// Files that were not read, each with the reason.
    pub skipped: Vec<Skipped>,
    /// A config that does the scripts' work, as YAML; `None` when no script moves rows.
    pub draft: Option<String>,
}

impl Report {
    /// (reuse, adapt, replace) over all scripts and tables.
    #[must_use]
    pub fn totals(&self) -> (usize, usize, usize) {
        let of = |v| self.scripts.iter().flat_map(|s| &s.tables).filter(|t| t.verdict == v).count();
        (of(Verdict::Reuse), of(Verdict::Adapt), of(Verdict::Replace))
    }
}
