//! Findings about rights and settings.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use syncline_connector::{Finding, LateCommitRule, Result, Role, Severity};
use syncline_model::{LogicalType, Table, TableName};

use crate::connect::{Site, text, texts};
use crate::flavour::Product;
use crate::{discover, horizon, quote};

/// Looks at everything a role needs. Tables that are not visible are findings, never errors.
pub(crate) async fn run(conn: &mut Conn, site: &Site, role: Role, tables: &[TableName]) -> Result<Vec<Finding>> {
    let mut found = vec![good("server", format!("{}, up to {} bytes per statement", site.flavour.title(), site.packet_max))];
    let catalog = discover::catalog(conn, site).await?;
    let mut visible: Vec<&Table> = Vec::new();
    for name in tables {
        match catalog.table(name) {
            Some(t) => visible.push(t),
            None => found.push(problem(
                "table_missing",
                format!("`{name}` does not exist or is not visible to this user"),
                Some(format!("GRANT SELECT ON {} TO this user", quote::table(name))),
            )),
        }
    }
    if tables.is_empty() {
        visible.extend(&catalog.tables);
    }
    match role {
        Role::Source => source(conn, &visible, &mut found).await?,
        Role::Destination => destination(conn, site, &visible, &mut found).await?,
    }
    Ok(found)
}

async fn source(conn: &mut Conn, tables: &[&Table], found: &mut Vec<Finding>) -> Result<()> {
    found.push(match horizon::observe(conn).await?.rule {
        LateCommitRule::StartTimes => good("late_commits", "start times of open transactions are visible".to_owned()),
        LateCommitRule::Observations | LateCommitRule::Overlap { .. } => advice(
            "late_commits",
            "open transactions are not visible: incremental runs re-read an overlap of 10 minutes".to_owned(),
            Some("GRANT PROCESS ON *.* TO this user".to_owned()),
        ),
    });
    for t in tables {
        let dates: Vec<&str> = t.columns.iter().filter(|c| holds_zero_dates(&c.logical)).map(|c| c.name.as_str()).collect();
        if !dates.is_empty() && zero_dates(conn).await? {
            let message = format!("`{}`: {} may hold zero dates, which only MySQL can store", t.name, dates.join(", "));
            found.push(advice("zero_dates", message, None));
        }
        if t.non_transactional {
            let message = format!("`{}` is not kept by a transactional engine: it is not part of the snapshot", t.name);
            found.push(advice("snapshot_incomplete", message, Some(format!("ALTER TABLE {} ENGINE=InnoDB", quote::table(&t.name)))));
        }
    }
    Ok(())
}

fn holds_zero_dates(logical: &LogicalType) -> bool {
    matches!(logical, LogicalType::Date | LogicalType::Timestamp { .. } | LogicalType::TimestampTz { .. })
}

/// Whether the server lets other sessions store zero dates.
async fn zero_dates(conn: &mut Conn) -> Result<bool> {
    let mode = text(conn, "SELECT @@global.sql_mode", "read settings").await?.unwrap_or_default();
    Ok(!(mode.contains("NO_ZERO_DATE") && mode.contains("STRICT")))
}

async fn destination(conn: &mut Conn, site: &Site, tables: &[&Table], found: &mut Vec<Finding>) -> Result<()> {
    staging_right(conn, site, found).await?;
    let row = texts(conn, "SELECT @@innodb_rollback_on_timeout, @@log_bin, @@binlog_format, @@read_only", "read settings").await?;
    let cell = |i: usize| row.first().and_then(|r| r.get(i)).cloned().flatten().unwrap_or_default();
    if cell(0) == "0" {
        found.push(good("lock_timeout", "a lock wait undoes one statement; the run then undoes its whole transaction itself".to_owned()));
    }
    if cell(1) == "1" && cell(2) == "STATEMENT" {
        let message = "binlog_format is STATEMENT: replicas may apply set-based writes in another order".to_owned();
        found.push(advice("binlog_statement", message, Some("SET GLOBAL binlog_format = 'ROW'".to_owned())));
    }
    if matches!(cell(3).as_str(), "1" | "ON") {
        found.push(problem("read_only", "the server is read-only".to_owned(), Some("connect to the primary".to_owned())));
    }
    for t in tables {
        if t.non_transactional {
            let alter = format!("ALTER TABLE {} ENGINE=InnoDB", quote::table(&t.name));
            found.push(problem("table_non_transactional", format!("writes to `{}` cannot be rolled back", t.name), Some(alter)));
        }
        if t.insert_triggers || t.change_triggers {
            let message =
                format!("`{}` has triggers, or hides them from this user: rows that they keep out or change are set aside", t.name);
            let how = "leave columns that triggers set out of the comparison: `compare: false`".to_owned();
            found.push(advice("triggers", message, Some(how)));
        }
    }
    bookkeeping(conn, site, found).await
}

async fn staging_right(conn: &mut Conn, site: &Site, found: &mut Vec<Finding>) -> Result<()> {
    let Some(database) = &site.database else { return Ok(()) };
    if site.flavour.product == Product::Mysql {
        return Ok(());
    }
    let probe = quote::table(&TableName::within(database, "syncline_probe"));
    let made = conn.query_drop(format!("CREATE TEMPORARY TABLE {probe} (n INT) ENGINE=InnoDB")).await.is_ok();
    if made {
        conn.query_drop(format!("DROP TEMPORARY TABLE {probe}")).await.map_err(|e| crate::fault::map(e, "check rights"))?;
        found.push(good("staging", "temporary tables can be made".to_owned()));
        return Ok(());
    }
    let grant = format!("GRANT CREATE TEMPORARY TABLES ON {}.* TO this user", quote::name(database));
    found.push(problem("staging_denied", "temporary tables cannot be made: nothing can be staged".to_owned(), Some(grant)));
    Ok(())
}

async fn bookkeeping(conn: &mut Conn, site: &Site, found: &mut Vec<Finding>) -> Result<()> {
    use syncline_sql::Dialect as _;
    let dialect =
        crate::dialect::Sql { flavour: site.flavour.clone(), database: site.database.clone(), connection: conn.id(), place: None };
    let marker = quote::table(&TableName { schema: site.database.clone(), name: "syncline_marker".to_owned() });
    if conn.query_drop(format!("SELECT 1 FROM {marker} LIMIT 0")).await.is_ok() {
        found.push(good("bookkeeping", "the bookkeeping tables are there".to_owned()));
        return Ok(());
    }
    let message = "the bookkeeping tables are missing: the first run makes them where this user may, else an administrator".to_owned();
    found.push(advice("bookkeeping_missing", message, Some(dialect.bookkeeping_ddl(None).join(";\n"))));
    Ok(())
}

fn good(code: &'static str, message: String) -> Finding {
    Finding { severity: Severity::Good, code, message, advice: None }
}

fn advice(code: &'static str, message: String, advice: Option<String>) -> Finding {
    Finding { severity: Severity::Advice, code, message, advice }
}

fn problem(code: &'static str, message: String, advice: Option<String>) -> Finding {
    Finding { severity: Severity::Problem, code, message, advice }
}
