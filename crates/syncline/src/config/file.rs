//! The configuration as it is written: the one place that says which keys there are. The published JSON Schema comes from here, doc comments
//! included, so they are written for the people who edit the file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::form::{Form, OneOrMany};
use super::literal::{Constant, Duration, Included, Secret, Size};

/// The configuration of Syncline.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Syncline configuration")]
pub(super) struct File {
    /// Databases by name: `[A-Za-z0-9_-]{1,64}`.
    pub connections: BTreeMap<String, ConnectionFile>,
    /// Where Syncline keeps its own state.
    pub state: StateFile,
    /// Log files.
    pub logs: LogsFile,
    /// How long finished runs and verify reports are kept.
    pub history: HistoryFile,
    /// What the whole process may use at most, such as `64MiB`. Default 64MiB.
    pub memory: Option<Size>,
    /// What is kept the same, by name: `[A-Za-z0-9_-]{1,64}`.
    pub syncs: BTreeMap<String, SyncFile>,
}

/// A database.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectionFile {
    /// What kind of system it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// How to reach it: `postgres://user:password@host/database`, `mysql://…`, `sqlite:PATH`. Put secrets into `${VAR}`.
    pub url: Secret,
    /// PostgreSQL schema or MySQL database to work in.
    pub schema: Option<String>,
    /// A host with rules of its own.
    pub flavor: Option<Flavor>,
}

/// Kinds of systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// PostgreSQL 14 or newer, Supabase, and what speaks its protocol.
    Postgres,
    /// MySQL 8.0.19, MariaDB 10.6 or newer, PlanetScale.
    Mysql,
    /// SQLite 3.
    Sqlite,
}

/// Hosts with rules of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Flavor {
    /// MySQL at PlanetScale: limits on rows and time per transaction.
    Planetscale,
    /// PostgreSQL at Supabase.
    Supabase,
    /// PostgreSQL behind PgBouncer in transaction mode.
    Pgbouncer,
}

/// Where Syncline keeps its own state.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StateFile {
    /// `sqlite:PATH`, relative to this file. Default `sqlite:.syncline/state.db`.
    pub url: Option<Secret>,
}

/// Log files.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogsFile {
    /// Directory, relative to this file. Default `logs`.
    pub dir: Option<String>,
    /// Days that a log file is kept. Default 14.
    pub keep_days: Option<u32>,
}

/// How long finished runs and verify reports are kept: as long as either says so. Open parked rows and their runs always stay.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HistoryFile {
    /// Days. Default 90.
    pub keep_days: Option<u32>,
    /// The newest of each sync, whatever their age. Default 100.
    pub keep_runs: Option<u32>,
}

/// Makes a struct with the options that a sync gives to all its streams and a stream may change for itself.
macro_rules! with_policies {
    ($(#[$meta:meta])* struct $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($own)*
            /// How rows are read. Default diff.
            pub mode: Option<Mode>,
            /// How far an incremental read goes back where late commits cannot be seen: `10m`, `90s`, `1h30m`.
            pub overlap: Option<Duration>,
            /// What becomes of rows that the source no longer has. Default ignore. The long form names column and value.
            pub deletes: Option<Form<DeletePolicy, DeletesFile>>,
            /// What deletions may touch. To be written once `deletes` is set, except for tables that the sync created.
            pub owns: Option<Owns>,
            /// When deletions wait for approval.
            pub guard: Option<GuardFile>,
            /// Whether deletions may reach rows of tables that this sync does not own by `ON DELETE CASCADE` or `SET NULL`. Default refuse.
            pub cascade: Option<Cascade>,
            /// What edits made at the destination are worth. Default overwrite.
            pub edits: Option<Edits>,
            /// Who wins where both sides changed a field; only with `edits: keep`. Default source_wins.
            pub conflicts: Option<Conflicts>,
            /// Destination column that says who changed a row last; needed by `conflicts: merge`.
            pub last_modified_by: Option<String>,
            /// What a row that cannot be applied does to its run. Default park.
            pub rows: Option<Rows>,
            /// What columns that appear, vanish or change do. Default stop.
            pub schema_changes: Option<SchemaChanges>,
            /// Whether missing destination tables are made. Default missing.
            pub create: Option<Create>,
            /// Rows above which the first load of a table that the sync creates is committed in parts, so that a killed run goes on where it
            /// was. Default 5000000.
            pub resume_above: Option<u64>,
            /// Check values against their field types; what is not one parks its row. Default false.
            pub validate: Option<bool>,
            /// An explicit NULL or empty text of the source clears a stored value (with `edits: keep`). Default false.
            pub clears: Option<bool>,
            /// Destination column that is set to now on rows created or updated, such as `synced_at`.
            pub stamp: Option<String>,
        }
    };
}

with_policies! {
    /// Two connections and what is kept the same between them.
    #[derive(Debug, Deserialize, JsonSchema)]
    struct SyncFile {
        /// Connection that rows come from.
        pub from: String,
        /// Connection that they go to.
        pub to: String,
        /// What is all or nothing. Default run.
        pub atomic: Option<Atomic>,
        /// Keep before-images, so that a run can be undone. Default on.
        #[schemars(schema_with = "super::schema::switch")]
        pub undo: Option<bool>,
        /// Tenants, each with its own state and its own run: a list, or `{ query: … }` at the source. `{{ scope }}` in `where` is bound to each.
        pub scopes: Option<Form<Vec<String>, ScopesFile>>,
        /// Tables by name or glob (`*`, `?`). Exact names win over globs, longer globs over shorter; options merge key by key; `false` excludes.
        /// Default `"*": {}`.
        pub streams: Option<BTreeMap<String, Option<Form<Included, StreamFile>>>>,
        /// Reserved: run after these syncs.
        pub after: Option<Vec<String>>,
    }
}

with_policies! {
    /// Options of one stream. Whatever is not said here comes from the globs that match, then from the sync.
    #[derive(Debug, Deserialize, JsonSchema)]
    struct StreamFile {
        /// Destination table, with or without schema. Default: the source table's name.
        pub to: Option<String>,
        /// Source columns that identify a row. Default: the primary key, else a unique key without NULL.
        #[schemars(with = "Form<String, Vec<String>>")]
        pub key: Option<OneOrMany>,
        /// Source column that grows when a row changes; `mode: incremental` needs it.
        pub cursor: Option<String>,
        /// Condition on source rows, in the source's SQL.
        #[serde(rename = "where")]
        pub where_from: Option<String>,
        /// The same condition in the destination's SQL, where it cannot be derived.
        pub where_to: Option<String>,
        /// Destination column → where it comes from: a source column, `"{{ expression }}"`, or a map with more.
        pub fields: Option<BTreeMap<String, Form<String, FieldFile>>>,
        /// Copy only what `fields` lists. Default false.
        pub fields_only: Option<bool>,
        /// Identities that differ between the two sides.
        pub ids: Option<Form<IdsWord, IdsFile>>,
        /// Name of this stream's state. Default: the stream's name.
        pub collection_key: Option<String>,
    }
}

/// How rows are read.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// Every row.
    Full,
    /// Rows whose cursor is at or after the low-water mark.
    Incremental,
    /// Compare both sides by digests, move only the difference.
    Diff,
}

/// What becomes of rows that the source no longer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DeletePolicy {
    /// Nothing; they are counted as extra.
    Ignore,
    /// They are removed.
    Mirror,
    /// `deleted_at` is set.
    Soft,
    /// `archived_at` is set.
    Archive,
    /// `is_active` becomes false.
    Deactivate,
}

/// A delete policy with its column and value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeletesFile {
    /// What becomes of rows that the source no longer has.
    pub policy: DeletePolicy,
    /// Column that is set. Default `deleted_at`, `archived_at` or `is_active`.
    pub column: Option<String>,
    /// `now`, or a constant.
    #[serde(default, deserialize_with = "super::literal::given")]
    pub value: Option<Constant>,
}

/// What deletions may touch.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Owns {
    /// Only rows with an id mapping.
    Mapped,
    /// Every row of the table, within `where`.
    Table,
}

/// Deletions wait for approval when both limits are exceeded, when the source is empty and the destination is not, or when more than half of
/// at least five rows would go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GuardFile {
    /// Share of the owned rows, from 0 to 1. Default 0.1. Both limits have to be exceeded.
    #[schemars(range(min = 0, max = 1))]
    pub max_delete_ratio: Option<f64>,
    /// Rows. Default 50. Both limits have to be exceeded.
    pub max_delete_rows: Option<u64>,
}

/// Whether deletions may reach tables that the sync does not own.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cascade {
    /// They may not.
    Refuse,
    /// They may; such rows are counted into plan and guard.
    Allow,
}

/// What edits made at the destination are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Edits {
    /// Nothing: the destination is a mirror.
    Overwrite,
    /// They are kept: three-way against what both sides last agreed on.
    Keep,
}

/// Who wins where both sides changed a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Conflicts {
    /// The source.
    SourceWins,
    /// The destination.
    DestinationWins,
    /// The destination where a person modified it, else the source; needs `last_modified_by`.
    Merge,
    /// Another name of source_wins.
    FederationWins,
    /// Another name of destination_wins.
    LocalWins,
}

/// What a row that cannot be applied does to its run.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Rows {
    /// It is set aside with its reason; the rest commits.
    Park,
    /// The run fails and rolls back.
    Strict,
}

/// What columns that appear, vanish or change do.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SchemaChanges {
    /// The stream stops until a person decides.
    Stop,
    /// New source columns are left out; missing ones stop.
    Ignore,
    /// New source columns are added to the destination.
    Add,
}

/// Whether missing destination tables are made.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Create {
    /// They are, with keys, foreign keys, indexes, identity and comments.
    Missing,
    /// They are not.
    Never,
}

/// What is all or nothing.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Atomic {
    /// All streams of a run together.
    Run,
    /// Each stream.
    Stream,
    /// Each batch.
    Batch,
}

/// Tenants by query.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScopesFile {
    /// A query at the source with one column.
    pub query: String,
}

/// A destination column.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldFile {
    /// A source column or `"{{ expression }}"`. Default: the source column of the same name.
    pub from: Option<String>,
    /// A constant, instead of `from`.
    #[serde(default, deserialize_with = "super::literal::given")]
    pub value: Option<Constant>,
    /// What it holds: text, email, phone, url, uuid, date, timestamp, integer, number, boolean, json. Says how values are compared with
    /// `edits: keep`, and checked with `validate: true`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Whether a difference in it counts. `false` for columns that the destination sets by itself. Default true.
    pub compare: Option<bool>,
}

/// Where id mappings are, in a word.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum IdsWord {
    /// Only in Syncline's own state, minted by it.
    State,
}

/// Where id mappings are: one of `table`, `column`, `json`; none of them: in Syncline's own state.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IdsFile {
    /// Mapping table at the destination; with `legacy` and `new`.
    pub table: Option<String>,
    /// Its column of legacy ids.
    pub legacy: Option<String>,
    /// Its column of new ids.
    pub new: Option<String>,
    /// Column and value that select this stream's rows in it: `{ entity_type: film }`.
    pub entity: Option<BTreeMap<String, String>>,
    /// Column of the destination table that holds the legacy id.
    pub column: Option<String>,
    /// JSON column of the destination table and the keys in it: `metadata.legacy_id`, or a list.
    #[schemars(with = "Option<Form<String, Vec<String>>>")]
    pub json: Option<OneOrMany>,
    /// Mint an id for a record that has none. Default true.
    pub mint: Option<bool>,
    /// Source column → stream whose ids it holds. Foreign keys of the source are found without it.
    pub foreign_keys: Option<BTreeMap<String, String>>,
}
