//! What differs between MySQL 8, MariaDB and PlanetScale, in one place.

use syncline_connector::{Error, ErrorKind, Result};

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    /// MariaDB ≥ 10.6.
    Mariadb,
    /// MySQL ≥ 8.0.19, also behind PlanetScale.
    Mysql,
}

/// A server and what it may be asked.
#[derive(Clone, Debug)]
pub(crate) struct Flavour {
    pub(crate) product: Product,
    pub(crate) version: (u16, u16, u16),
    /// PlanetScale: no foreign keys assumed, short transactions.
    pub(crate) planetscale: bool,
}

/// PlanetScale ends a transaction after 20 s or 100,000 rows; half of the latter is kept as margin.
const PLANETSCALE_TRANSACTION_ROWS_MAX: u64 = 50_000;
/// PlanetScale cuts a statement that touches more rows.
const PLANETSCALE_STATEMENT_ROWS_MAX: usize = 10_000;

impl Flavour {
    /// From `VERSION()`: `10.11.6-MariaDB-0+deb12u1`, `8.0.36`, `8.0.34-Vitess`.
    pub(crate) fn parse(text: &str, flavor: Option<&str>) -> Result<Self> {
        let planetscale = flavor == Some("planetscale");
        let product = if text.to_ascii_lowercase().contains("mariadb") { Product::Mariadb } else { Product::Mysql };
        // Old proxies put `5.5.5-` in front of MariaDB's version.
        let digits = if product == Product::Mariadb { text.strip_prefix("5.5.5-").unwrap_or(text) } else { text };
        let mut parts = digits.split(|c: char| !c.is_ascii_digit()).map(|p| p.parse::<u16>().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        let version = (next(), next(), next());
        let (floor, name) = match product {
            Product::Mariadb => ((10, 6, 0), "MariaDB 10.6"),
            Product::Mysql => ((8, 0, 19), "MySQL 8.0.19"),
        };
        if version < floor {
            let message = format!("connect: the server is version {text}, older than {name}");
            return Err(Error::new(ErrorKind::Invalid, "server_too_old", message).hint(format!("upgrade the server to {name} or later")));
        }
        Ok(Self { product, version, planetscale })
    }

    /// `MariaDB 10.11.6`.
    pub(crate) fn title(&self) -> String {
        let (a, b, c) = self.version;
        let name = match (self.product, self.planetscale) {
            (Product::Mariadb, _) => "MariaDB",
            (Product::Mysql, false) => "MySQL",
            (Product::Mysql, true) => "PlanetScale",
        };
        format!("{name} {a}.{b}.{c}")
    }

    /// Settings besides those that shape values, each with a comma before it. Limits that a server may set by default would cut
    /// long reads; PlanetScale's gateway has limits of its own and takes none of these.
    pub(crate) fn session_settings(&self) -> String {
        if self.planetscale {
            return String::new();
        }
        let own = match self.product {
            Product::Mariadb => {
                "max_statement_time = 0, check_constraint_checks = 1, old_mode = 'UTF8_IS_UTF8MB3', sql_if_exists = 0, \
                 idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0, idle_write_transaction_timeout = 0"
            }
            Product::Mysql => "max_execution_time = 0",
        };
        // DEFAULT would be whatever the server was told.
        format!(
            ", autocommit = 1, completion_type = 'NO_CHAIN', foreign_key_checks = 1, unique_checks = 1, sql_safe_updates = 0, \
             sql_select_limit = 18446744073709551615, max_join_size = 18446744073709551615, sql_big_selects = 1, sql_auto_is_null = 0, \
             sql_notes = 1, max_error_count = 64, div_precision_increment = 4, max_sort_length = 4096, lc_time_names = 'en_US', \
             default_week_format = 0, default_storage_engine = InnoDB, default_tmp_storage_engine = InnoDB, \
             innodb_lock_wait_timeout = CAST(LEAST(50, @@global.innodb_lock_wait_timeout) AS UNSIGNED), lock_wait_timeout = 86400, \
             wait_timeout = 28800, net_write_timeout = 600, net_read_timeout = 600, group_concat_max_len = 1048576, {own}"
        )
    }

    /// MySQL 8 keeps JSON as a binary document; MariaDB keeps the text under a check.
    pub(crate) fn rewrites_json(&self) -> bool {
        self.product == Product::Mysql
    }

    /// Bytes of a JSON column as text, for comparing and hashing.
    pub(crate) fn json_text(&self, sql: &str) -> String {
        match self.product {
            Product::Mariadb => format!("CONVERT({sql} USING utf8mb4)"),
            Product::Mysql => format!("CAST({sql} AS CHAR CHARACTER SET utf8mb4)"),
        }
    }

    /// JSON text as the JSON type takes it.
    pub(crate) fn to_json(&self, sql: &str) -> String {
        match self.product {
            Product::Mariadb => sql.to_owned(),
            Product::Mysql => format!("CAST({sql} AS JSON)"),
        }
    }

    /// Catalogue query for CHECK constraints: schema, table, name, clause.
    pub(crate) fn checks_query(&self, schemas: &str) -> String {
        match self.product {
            Product::Mariadb => format!(
                "SELECT constraint_schema, table_name, constraint_name, check_clause FROM information_schema.check_constraints \
                 WHERE {}",
                schemas.replace("table_schema", "constraint_schema")
            ),
            Product::Mysql => format!(
                "SELECT t.table_schema, t.table_name, t.constraint_name, c.check_clause FROM information_schema.table_constraints t \
                 JOIN information_schema.check_constraints c ON c.constraint_schema = t.constraint_schema \
                 AND c.constraint_name = t.constraint_name WHERE t.constraint_type = 'CHECK' AND {}",
                schemas.replace("table_schema", "t.table_schema")
            ),
        }
    }

    /// An expression over server variables that tells this server from any other.
    pub(crate) fn identity_query(&self) -> &'static str {
        match self.product {
            Product::Mysql => "SELECT @@server_uuid",
            Product::Mariadb => "SELECT CONCAT_WS(':', @@hostname, @@port, @@server_id, @@datadir)",
        }
    }

    pub(crate) fn transaction_rows_max(&self) -> Option<u64> {
        self.planetscale.then_some(PLANETSCALE_TRANSACTION_ROWS_MAX)
    }

    /// Rows of one INSERT.
    pub(crate) fn statement_rows_max(&self) -> usize {
        if self.planetscale { PLANETSCALE_STATEMENT_ROWS_MAX } else { usize::MAX }
    }

    /// A clause of CHECK as SQL over bare columns: MySQL prints it with introducers and escaped quotes.
    pub(crate) fn check_clause(&self, clause: &str) -> String {
        match self.product {
            Product::Mariadb => clause.to_owned(),
            Product::Mysql => clause.replace("_utf8mb4\\'", "'").replace("\\'", "'"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: R38
    #[test]
    fn versions_tell_the_products_apart_and_old_ones_are_refused() {
        let f = Flavour::parse("5.5.5-10.11.6-MariaDB-0+deb12u1", None).unwrap();
        assert_eq!((f.product, f.version, f.title().as_str()), (Product::Mariadb, (10, 11, 6), "MariaDB 10.11.6"));
        let f = Flavour::parse("8.0.34-Vitess", Some("planetscale")).unwrap();
        assert_eq!((f.product, f.transaction_rows_max()), (Product::Mysql, Some(50_000)));
        for old in ["5.7.44-log", "8.0.18", "10.5.9-MariaDB"] {
            assert_eq!(Flavour::parse(old, None).unwrap_err().code, "server_too_old");
        }
    }
}
