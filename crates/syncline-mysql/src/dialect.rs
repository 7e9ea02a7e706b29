//! The SQL of MySQL and MariaDB for staged applies.

use syncline_model::{Column, LogicalType, Table, TableName};
use syncline_sql::{CycleInsert, Dialect};

use crate::flavour::{Flavour, Product};
use crate::native::Native;
use crate::{image, quote};

/// Bytes of an index key in InnoDB.
const KEY_BYTES_MAX: u32 = 3072;

pub(crate) struct Sql {
    pub(crate) flavour: Flavour,
    pub(crate) database: Option<String>,
    /// Tells the staging tables of one connection from another's where they cannot be temporary.
    pub(crate) connection: u32,
    /// The server, where staging tables are guarded by a lock of the connection, so that those of a dead one can be told.
    pub(crate) place: Option<String>,
}

impl Sql {
    /// MySQL 8 cannot open one temporary table twice in a statement (R19), so there staging tables are ordinary ones.
    pub(crate) fn staging_is_temporary(&self) -> bool {
        self.flavour.product == Product::Mariadb
    }
}

impl Dialect for Sql {
    fn waits_for_writers(&self) -> &'static str {
        " FOR UPDATE"
    }

    fn quote(&self, name: &str) -> String {
        quote::name(name)
    }

    fn literal(&self, text: &str) -> String {
        quote::text(text)
    }

    fn staging_table(&self, target: &Table, name: &str) -> String {
        let name = match &self.place {
            _ if self.staging_is_temporary() => name.to_owned(),
            Some(place) => format!("{name}_{place}_{}", self.connection),
            None => format!("{name}_{}", self.connection),
        };
        let schema = target.name.schema.clone().or_else(|| self.database.clone());
        quote::table(&TableName { schema, name })
    }

    fn staging_ddl(&self, sql_name: &str, columns: &[&Column], key: &[String]) -> Vec<String> {
        let mut lines: Vec<String> = columns.iter().map(|c| format!("{} {} NULL", quote::name(&c.name), c.native)).collect();
        lines.push("syncline_n BIGINT NOT NULL PRIMARY KEY".to_owned());
        let parts = key_parts(columns, key);
        if !parts.is_empty() {
            lines.push(format!("KEY syncline_key ({parts})"));
        }
        let word = if self.staging_is_temporary() { "TEMPORARY " } else { "" };
        vec![format!("CREATE {word}TABLE {sql_name} ({}) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4", lines.join(", "))]
    }

    fn staging_indexes(&self, sql_name: &str, columns: &[&Column], lookups: &[Vec<String>]) -> Vec<String> {
        let keys: Vec<String> = lookups.iter().map(|l| format!("ADD KEY ({})", key_parts(columns, l))).collect();
        if keys.is_empty() { Vec::new() } else { vec![format!("ALTER TABLE {sql_name} {}", keys.join(", "))] }
    }

    fn staging_drop(&self, sql_name: &str) -> Vec<String> {
        let word = if self.staging_is_temporary() { "TEMPORARY " } else { "" };
        vec![format!("DROP {word}TABLE IF EXISTS {sql_name}")]
    }

    fn staging_loaded(&self, _sql_name: &str) -> Vec<String> {
        // InnoDB samples by itself; ANALYZE would commit the transaction.
        Vec::new()
    }

    /// Staging columns have the very types of the table's.
    fn staged_as_stored(&self, _column: &Column) -> bool {
        true
    }

    fn differs(&self, columns: &[&Column], left: &str, right: &str) -> String {
        if columns.is_empty() {
            return "FALSE".to_owned();
        }
        let same: Vec<String> = columns.iter().map(|c| same(c, left, right, &self.flavour)).collect();
        format!("NOT ({})", same.join(" AND "))
    }

    fn keys_identical(&self, columns: &[&Column], left: &str, right: &str) -> String {
        format!("NOT ({})", self.differs(columns, left, right))
    }

    fn update_from(&self, table: &str, stage: &str, sets: &[(String, String)], on: &str, filter: &str) -> String {
        let sets: Vec<String> = sets.iter().map(|(c, v)| format!("d.{c} = {v}")).collect();
        format!("UPDATE {table} d JOIN {stage} s ON {on} SET {} WHERE {filter}", sets.join(", "))
    }

    fn delete_from(&self, table: &str, stage: &str, on: &str, filter: &str) -> String {
        format!("DELETE d FROM {table} d JOIN {stage} s ON {on} WHERE {filter}")
    }

    fn insert_override(&self, _table: &Table) -> &'static str {
        ""
    }

    fn now(&self, column: &Column) -> String {
        match &column.logical {
            LogicalType::Timestamp { digits } | LogicalType::TimestampTz { digits } => format!("NOW({})", digits.min(&6)),
            LogicalType::Date => "CURRENT_DATE".to_owned(),
            LogicalType::Time { digits } | LogicalType::TimeSpan { digits } => format!("CURRENT_TIME({})", digits.min(&6)),
            LogicalType::Int { .. } => "UNIX_TIMESTAMP()".to_owned(),
            _ => "CAST(NOW(6) AS CHAR)".to_owned(),
        }
    }

    fn cycle_insert(&self) -> CycleInsert {
        CycleInsert::ChecksOff
    }

    fn cycle_guard(&self) -> (Vec<String>, Vec<String>) {
        (vec!["SET foreign_key_checks = 0".to_owned()], vec!["SET foreign_key_checks = 1".to_owned()])
    }

    fn image(&self, columns: &[&Column], a: &str) -> String {
        image::image(columns, a, &self.flavour)
    }

    fn row_hash(&self, columns: &[&Column], a: &str) -> String {
        image::hash(columns, a, &self.flavour)
    }

    fn image_select(&self, _table: &Table, columns: &[&Column], a: &str) -> String {
        image::select(columns, a, &self.flavour)
    }

    fn placeholder(&self, column: &Column, key: &[&Column]) -> Option<String> {
        let native = Native::parse(&column.native);
        match &column.logical {
            LogicalType::Text { .. } => {
                let room = native.chars_max().map_or(255, |n| n.min(255));
                let text = format!("CONCAT('~syncline:', {})", image::hash(key, "s", &self.flavour));
                // Below this the marks of two keys could be one.
                (room >= 20).then(|| format!("LEFT({text}, {room})"))
            }
            LogicalType::Int { bits, unsigned: false } => match key {
                [k] if matches!(&k.logical, LogicalType::Int { bits: b, .. } if b < bits || (b == bits && *bits < 64)) => {
                    let lowest = -(1_i128 << (bits - 1));
                    let spread = 1_i128 << (bits - 2);
                    Some(format!("({lowest} + MOD(ABS(CAST(s.{} AS SIGNED)), {spread}))", quote::name(&k.name)))
                }
                _ => None,
            },
            LogicalType::Uuid => Some(format!(
                "INSERT(INSERT(INSERT(INSERT({}, 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-')",
                image::hash(key, "s", &self.flavour)
            )),
            _ => None,
        }
    }

    fn views_over(&self, table: &TableName) -> Option<String> {
        let schema = table.schema.as_ref().map_or_else(|| "DATABASE()".to_owned(), |s| self.literal(s));
        let name = self.literal(&format!("`{}`", table.name));
        Some(format!(
            "SELECT table_name AS name FROM information_schema.views WHERE table_schema = {schema} AND INSTR(view_definition, {name}) > 0"
        ))
    }

    fn drop_tables(&self, tables: &[&str]) -> Vec<String> {
        let (before, after) = self.cycle_guard();
        before.into_iter().chain(tables.iter().map(|t| format!("DELETE FROM {t}"))).chain(after).collect()
    }

    fn lock_table(&self, table: &str) -> Option<String> {
        // LOCK TABLES would commit. This locks every row and the gaps between them.
        Some(format!("SELECT COUNT(*) FROM {table} FOR UPDATE"))
    }

    fn lock_rows(&self, table: &str, stage: &str, on: &str) -> Option<String> {
        Some(format!("SELECT COUNT(*) FROM {table} d JOIN {stage} s ON {on} FOR UPDATE"))
    }

    fn bookkeeping_ddl(&self, schema: Option<&str>) -> Vec<String> {
        let schema = schema.map(str::to_owned).or_else(|| self.database.clone());
        let table = |name: &str| quote::table(&TableName { schema: schema.clone(), name: name.to_owned() });
        let options = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
        vec![
            format!(
                "CREATE TABLE IF NOT EXISTS {} (sync VARCHAR(255) NOT NULL, scope VARCHAR(255) NOT NULL, stream VARCHAR(255) NOT NULL, \
                 run VARCHAR(64) NOT NULL, step BIGINT NOT NULL, PRIMARY KEY (sync, scope, stream)) {options}",
                table("syncline_marker")
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {} (run VARCHAR(64) NOT NULL, stream VARCHAR(255) NOT NULL, op CHAR(1) NOT NULL, \
                 n BIGINT NOT NULL, key_image LONGTEXT NOT NULL, image LONGTEXT NULL, after_hash CHAR(32) NULL, \
                 KEY syncline_run (run, stream, n)) {options}",
                table("syncline_before")
            ),
        ]
    }

    fn bookkeeping_schema(&self) -> Option<String> {
        self.database.clone()
    }

    fn ddl_commits(&self) -> bool {
        true
    }
}

/// Equality by bytes of one column (R9).
fn same(c: &Column, left: &str, right: &str, flavour: &Flavour) -> String {
    use LogicalType as T;
    let q = quote::name(&c.name);
    let (l, r) = (format!("{left}.{q}"), format!("{right}.{q}"));
    match &c.logical {
        T::Text { .. } | T::Enum { .. } | T::Set { .. } | T::Uuid | T::Any | T::Other { .. } => {
            format!("CAST({l} AS BINARY) <=> CAST({r} AS BINARY)")
        }
        T::Json { .. } => format!("CAST({} AS BINARY) <=> CAST({} AS BINARY)", flavour.json_text(&l), flavour.json_text(&r)),
        T::Geometry => format!("CAST({l} AS BINARY) <=> CAST({r} AS BINARY)"),
        // As numbers −0 equals 0; as texts alone two doubles could share one spelling.
        T::Float { .. } => format!("({l} <=> {r} AND CAST({l} AS CHAR) <=> CAST({r} AS CHAR))"),
        T::Bool
        | T::Int { .. }
        | T::Year
        | T::Decimal { .. }
        | T::Bytes { .. }
        | T::Bit { .. }
        | T::Date
        | T::Time { .. }
        | T::TimeSpan { .. }
        | T::Timestamp { .. }
        | T::TimestampTz { .. }
        | T::Interval => format!("{l} <=> {r}"),
    }
}

/// The columns of an index, each short enough for all of them to fit.
fn key_parts(columns: &[&Column], key: &[String]) -> String {
    let room = KEY_BYTES_MAX / u32::try_from(key.len()).unwrap_or(1).max(1);
    let found = key.iter().filter_map(|k| columns.iter().find(|c| c.name == *k));
    found.map(|c| key_part(c, room)).collect::<Vec<_>>().join(", ")
}

/// A key column, with a prefix length where its values may be longer than an index key.
fn key_part(c: &Column, bytes: u32) -> String {
    let native = Native::parse(&c.native);
    let q = quote::name(&c.name);
    let (chars, bytes_each) = match native.chars_max() {
        Some(n) => (Some(n), 4),
        None => (None, if matches!(c.logical, LogicalType::Text { .. } | LogicalType::Json { .. }) { 4 } else { 1 }),
    };
    let room = bytes / bytes_each;
    let textual = native.chars_max().is_some();
    let longish = native.bytes_max().is_some_and(|b| native.base != "binary" && (native.base != "varbinary" || b > u64::from(room)));
    if textual && chars.is_some_and(|n| n <= room) || (!textual && !longish) { q } else { format!("{q}({room})") }
}
