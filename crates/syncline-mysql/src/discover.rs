//! The catalogue: all tables of a database in a handful of set queries against `information_schema`.

mod columns;
mod keys;

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::Conn;
use syncline_connector::Result;
use syncline_model::schema::{Check, TableKind};
use syncline_model::{Catalog, Table, TableName};

use crate::connect::{Site, texts};
use crate::quote;

/// Bookkeeping of ours, never shown as the user's tables.
const OWN_TABLES: [&str; 2] = ["syncline_marker", "syncline_before"];

/// Beginnings of staging tables, which are ordinary tables on MySQL: one may be left over from a killed run.
const STAGING: [&str; 3] = ["syncline_rows_", "syncline_dels_", "syncline_seen_"];

/// One row of a catalogue query: text cells.
type Cells = Vec<Option<String>>;

/// Tables under construction, by schema and name.
type Tables = BTreeMap<(String, String), Table>;

/// Reads the catalogue, our own tables left out.
pub(crate) async fn catalog(conn: &mut Conn, site: &Site) -> Result<Catalog> {
    let scope = match &site.database {
        Some(db) => format!("table_schema = {}", quote::text(db)),
        None => "table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')".to_owned(),
    };
    let mut tables = tables(conn, &scope).await?;
    let json = json_checks(conn, site, &scope, &mut tables).await?;
    columns::read(conn, site, &scope, &json, &mut tables).await?;
    keys::indexes(conn, site, &scope, &mut tables).await?;
    keys::foreign_keys(conn, &scope, &mut tables).await?;
    triggers(conn, &scope, &mut tables).await?;
    // Vitess has no triggers.
    if !site.flavour.planetscale {
        unseen_triggers(conn, &mut tables).await?;
    }
    let outside = keys::outside(conn, &scope).await?;
    let hides_referrers = sees_single_tables_only(conn, &scope).await?;
    let partly_seen = partly_seen(conn, &scope).await?;
    Ok(Catalog { tables: tables.into_values().collect(), outside, hides_referrers, partly_seen })
}

/// MySQL shows tables on which the user has a right, and no others; MariaDB shows their foreign keys only with a right beside SELECT. Such
/// a right on the whole database, or on all, shows all of it.
async fn sees_single_tables_only(conn: &mut Conn, scope: &str) -> Result<bool> {
    const SHOWS: &str = "privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'ALTER', 'INDEX', 'REFERENCES', 'TRIGGER')";
    let sql = format!(
        "SELECT (SELECT count(*) FROM information_schema.user_privileges WHERE {SHOWS}) \
         + (SELECT count(*) FROM information_schema.schemata s JOIN information_schema.schema_privileges p \
         ON s.schema_name LIKE p.table_schema WHERE {SHOWS} AND {})",
        scope.replace("table_schema", "s.schema_name")
    );
    let rights = texts(conn, &sql, "discover rights").await?;
    Ok(rights.first().and_then(|row| row.first()).and_then(Option::as_deref) == Some("0"))
}

/// Tables with rights on single columns, where no right on the whole table shows the others.
async fn partly_seen(conn: &mut Conn, scope: &str) -> Result<Vec<TableName>> {
    let sql = format!(
        "SELECT DISTINCT c.table_schema, c.table_name FROM information_schema.column_privileges c WHERE {} AND c.privilege_type = 'SELECT' \
         AND NOT EXISTS (SELECT 1 FROM information_schema.table_privileges t WHERE t.table_schema = c.table_schema \
         AND t.table_name = c.table_name AND t.privilege_type = 'SELECT') \
         AND NOT EXISTS (SELECT 1 FROM information_schema.schema_privileges s WHERE c.table_schema LIKE s.table_schema AND s.privilege_type = 'SELECT') \
         AND NOT EXISTS (SELECT 1 FROM information_schema.user_privileges u WHERE u.privilege_type = 'SELECT')",
        scope.replace("table_schema", "c.table_schema")
    );
    let found = texts(conn, &sql, "discover rights").await?;
    Ok(found.into_iter().map(take).map(|[schema, name]| TableName::within(schema, name)).collect())
}

async fn tables(conn: &mut Conn, scope: &str) -> Result<Tables> {
    let sql = format!(
        "SELECT table_schema, table_name, table_type, engine, table_rows, create_options, table_comment FROM information_schema.tables \
         WHERE {scope} AND table_type IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')"
    );
    let mut out = Tables::new();
    for row in texts(conn, &sql, "discover tables").await? {
        let [schema, name, kind, engine, rows, options, comment] = take(row);
        if OWN_TABLES.contains(&name.as_str()) || STAGING.iter().any(|p| name.starts_with(p)) {
            continue;
        }
        let view = kind == "VIEW";
        let kind = match (view, options.contains("partitioned")) {
            (true, _) => TableKind::View,
            (false, true) => TableKind::Partitioned,
            (false, false) => TableKind::Table,
        };
        let table = Table {
            name: TableName::within(&schema, &name),
            kind,
            columns: Vec::new(),
            primary_key: Vec::new(),
            uniques: Vec::new(),
            foreign_keys: Vec::new(),
            checks: Vec::new(),
            indexes: Vec::new(),
            insert_triggers: false,
            change_triggers: false,
            rows_estimate: rows.parse().ok(),
            non_transactional: !view && !transactional(&engine),
            incarnation: None,
            comment: Some(comment).filter(|c| !view && !c.is_empty()),
        };
        out.insert((schema, name), table);
    }
    Ok(out)
}

/// The engines whose writes roll back. Aria only promises crash safety per statement.
fn transactional(engine: &str) -> bool {
    ["innodb", "rocksdb", "tokudb", "ndbcluster", "ndb"].contains(&engine.to_ascii_lowercase().as_str())
}

/// CHECK constraints; answers the columns that MariaDB's JSON check makes JSON.
async fn json_checks(conn: &mut Conn, site: &Site, scope: &str, tables: &mut Tables) -> Result<Vec<(String, String, String)>> {
    let mut json = Vec::new();
    for row in texts(conn, &site.flavour.checks_query(scope), "discover checks").await? {
        let [schema, table, name, clause] = take(row);
        if clause.eq_ignore_ascii_case(&format!("json_valid({})", quote::name(&name))) {
            json.push((schema, table, name));
        } else if let Some(t) = tables.get_mut(&(schema, table)) {
            t.checks.push(Check { name, expression: site.flavour.check_clause(&clause) });
        }
    }
    Ok(json)
}

async fn triggers(conn: &mut Conn, scope: &str, tables: &mut Tables) -> Result<()> {
    let scope = scope.replace("table_schema", "event_object_schema");
    let sql = format!("SELECT event_object_schema, event_object_table, event_manipulation FROM information_schema.triggers WHERE {scope}");
    for row in texts(conn, &sql, "discover triggers").await? {
        let [schema, table, event] = take(row);
        if let Some(t) = tables.get_mut(&(schema, table)) {
            let insert = event == "INSERT";
            t.insert_triggers |= insert;
            t.change_triggers |= !insert;
        }
    }
    Ok(())
}

/// Only who may make triggers on a table is shown those that it has: of any other table there is no telling.
async fn unseen_triggers(conn: &mut Conn, tables: &mut Tables) -> Result<()> {
    const MINE: &str = "privilege_type = 'TRIGGER' AND grantee = CONCAT('\\'', SUBSTRING_INDEX(CURRENT_USER(), '@', 1), '\\'@\\'', \
                        SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '\\'')";
    let sql = format!(
        "SELECT s.schema_name, '' FROM information_schema.schemata s JOIN information_schema.schema_privileges p \
         ON s.schema_name LIKE p.table_schema WHERE {MINE} \
         UNION ALL SELECT s.schema_name, '' FROM information_schema.schemata s WHERE EXISTS \
         (SELECT 1 FROM information_schema.user_privileges WHERE {MINE}) \
         UNION ALL SELECT table_schema, table_name FROM information_schema.table_privileges WHERE {MINE}"
    );
    let shown: BTreeSet<[String; 2]> = texts(conn, &sql, "discover triggers").await?.into_iter().map(take).collect();
    for ((schema, name), t) in tables {
        let seen = ["", name].into_iter().any(|n| shown.contains(&[schema.clone(), n.to_owned()]));
        t.insert_triggers |= !seen;
        t.change_triggers |= !seen;
    }
    Ok(())
}

/// The cells of a row as texts, NULL as the empty one.
fn take<const N: usize>(row: Cells) -> [String; N] {
    let mut cells = row.into_iter();
    std::array::from_fn(|_| cells.next().flatten().unwrap_or_default())
}
