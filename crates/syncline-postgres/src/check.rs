//! What `check` tells: rights, settings and the late-commit rule, each with the statement that mends it.

use syncline_connector::{Finding, LateCommitRule, Result, Role, Severity};
use syncline_model::{Table, TableName};
use syncline_sql::Dialect as _;
use tokio_postgres::SimpleQueryRow;

use crate::connect::Link;
use crate::dialect::PgDialect;
use crate::{discover, horizon, sql};

/// Looks. Never fails for something it can report.
///
/// # Errors
/// `Unavailable` when the connection is lost.
pub async fn check(link: &Link, role: Role, schema: Option<&str>, tables: &[TableName]) -> Result<Vec<Finding>> {
    let me = who(link).await?;
    let mut found = vec![good("server", format!("{}, database `{}` as role `{}`", link.server.capabilities.version, me.database, me.role))];
    let catalog = discover::catalog(link, schema).await?;
    let mut visible: Vec<&Table> = Vec::new();
    for name in tables {
        match catalog.table(name) {
            Some(t) => visible.push(t),
            None => found.push(problem("table_missing", format!("`{name}` does not exist in this database"), None)),
        }
    }
    if tables.is_empty() {
        visible.extend(&catalog.tables);
    }
    settings(link, &mut found);
    rights(link, role, &me, &visible, &mut found).await?;
    match role {
        Role::Source => late_commits(link, &me, &mut found).await?,
        Role::Destination => destination(link, schema, &me, &visible, &mut found).await?,
    }
    Ok(found)
}

/// The session's own names.
struct Me {
    role: String,
    database: String,
}

async fn who(link: &Link) -> Result<Me> {
    let rows = link.catalog("SELECT current_user, current_database()", "check the session").await?;
    let text = |at: usize| rows.first().and_then(|r| r.get(at)).unwrap_or_default().to_owned();
    Ok(Me { role: text(0), database: text(1) })
}

fn settings(link: &Link, found: &mut Vec<Finding>) {
    if !link.server.capabilities.native_digest {
        let message = "this server hashes rows otherwise than most (architecture, encoding or version): comparisons take the slower digest";
        found.push(advice("native_digest_off", message.to_owned(), None));
    }
    if link.settings.pooler {
        found.push(good("pooler", "behind a transaction pooler: settings are pinned in each transaction".to_owned()));
    }
}

/// One row per table: (oid, schema usage, select, insert, update, delete, row security in force).
async fn rights(link: &Link, role: Role, me: &Me, tables: &[&Table], found: &mut Vec<Finding>) -> Result<()> {
    let oids = tables.iter().filter_map(|t| t.incarnation.as_deref()).collect::<Vec<_>>().join(",");
    let select = format!(
        "SELECT c.oid, has_schema_privilege(c.relnamespace, 'USAGE'), has_table_privilege(c.oid, 'SELECT'), \
         has_table_privilege(c.oid, 'INSERT'), has_table_privilege(c.oid, 'UPDATE'), has_table_privilege(c.oid, 'DELETE'), \
         row_security_active(c.oid) FROM pg_class c WHERE c.oid = ANY ('{{{oids}}}'::oid[])"
    );
    for row in &link.catalog(&select, "check rights").await? {
        let Some(table) = tables.iter().find(|t| t.incarnation.as_deref() == row.get(0)) else { continue };
        missing_rights(role, me, table, row, found);
        if row.get(6) == Some("t") {
            let advice = format!("ALTER ROLE {} BYPASSRLS", sql::ident(&me.role));
            found.push(match role {
                Role::Source => {
                    let message = format!("row security filters `{}`: rows it hides look deleted, so it is not read", table.name);
                    problem("row_security", message, Some(advice))
                }
                Role::Destination => {
                    let message = format!("row security filters `{}`: rows that its policies keep out or hide are set aside", table.name);
                    self::advice("row_security", message, Some(advice))
                }
            });
        }
    }
    Ok(())
}

fn missing_rights(role: Role, me: &Me, table: &Table, row: &SimpleQueryRow, found: &mut Vec<Finding>) {
    let to = sql::ident(&me.role);
    if row.get(1) == Some("f") {
        let schema = table.name.schema.as_deref().unwrap_or("public");
        let grant = format!("GRANT USAGE ON SCHEMA {} TO {to}", sql::ident(schema));
        found.push(problem("rights_missing", format!("schema `{schema}` may not be used"), Some(grant)));
    }
    let needed: &[(usize, &str)] = match role {
        Role::Source => &[(2, "SELECT")],
        Role::Destination if table.kind == syncline_model::schema::TableKind::View => &[],
        Role::Destination => &[(2, "SELECT"), (3, "INSERT"), (4, "UPDATE"), (5, "DELETE")],
    };
    let missing: Vec<&str> = needed.iter().filter(|(at, _)| row.get(*at) == Some("f")).map(|(_, right)| *right).collect();
    if !missing.is_empty() {
        let list = missing.join(", ");
        let grant = format!("GRANT {list} ON {} TO {to}", sql::table(&table.name));
        found.push(problem("rights_missing", format!("{list} on `{}` is not granted", table.name), Some(grant)));
    }
}

async fn late_commits(link: &Link, me: &Me, found: &mut Vec<Finding>) -> Result<()> {
    let grant = Some(format!("GRANT pg_read_all_stats TO {}", sql::ident(&me.role)));
    found.push(match horizon::observe(link).await?.rule {
        LateCommitRule::StartTimes => good("late_commits", "start times of open transactions are visible".to_owned()),
        LateCommitRule::Observations => advice(
            "late_commits",
            "open transactions are visible without their start times: the mark follows remembered observations, so the first \
             incremental runs read a little more"
                .to_owned(),
            grant,
        ),
        LateCommitRule::Overlap { default_s } => advice(
            "late_commits",
            format!("a standby or a pooler shows no open transactions: incremental runs re-read an overlap of {} minutes", default_s / 60),
            Some("connect to the primary without a pooler, or set `overlap`".to_owned()),
        ),
    });
    Ok(())
}

async fn destination(link: &Link, schema: Option<&str>, me: &Me, tables: &[&Table], found: &mut Vec<Finding>) -> Result<()> {
    let dialect = PgDialect::new(schema.map(str::to_owned));
    let schema = dialect.bookkeeping_schema().unwrap_or_default();
    let marker = TableName::within(&schema, syncline_sql::MARKER);
    let before = TableName::within(&schema, syncline_sql::BEFORE);
    let there = |t: &TableName| format!("to_regclass({}) IS NOT NULL", sql::literal(&sql::table(t)));
    let select = format!(
        "SELECT has_database_privilege(current_database(), 'TEMPORARY'), {} AND {}, \
         coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = {}), false), \
         current_setting('default_transaction_read_only')",
        there(&marker),
        there(&before),
        sql::literal(&schema)
    );
    let rows = link.catalog(&select, "check rights").await?;
    let cell = |at: usize| rows.first().and_then(|r| r.get(at)).unwrap_or_default();
    let to = sql::ident(&me.role);
    if cell(0) == "f" {
        let grant = format!("GRANT TEMPORARY ON DATABASE {} TO {to}", sql::ident(&me.database));
        found.push(problem("staging_denied", "temporary tables cannot be made: nothing can be staged".to_owned(), Some(grant)));
    }
    found.push(match (cell(1), cell(2)) {
        ("t", _) => good("bookkeeping", "the bookkeeping tables are there".to_owned()),
        (_, "t") => good("bookkeeping", "the bookkeeping tables are made by the first run".to_owned()),
        _ => {
            let message = format!("the bookkeeping tables are missing and `{schema}` is closed to this role: no `undo`");
            let ddl = dialect.bookkeeping_ddl(None).join(";\n");
            advice(
                "bookkeeping_missing",
                message,
                Some(format!("{ddl};\nGRANT SELECT, INSERT, UPDATE, DELETE ON {}, {} TO {to}", sql::table(&marker), sql::table(&before))),
            )
        }
    });
    if link.server.standby || cell(3) == "on" {
        found.push(problem("read_only", "the server is a standby or set read-only".to_owned(), Some("connect to the primary".to_owned())));
    }
    for t in tables.iter().filter(|t| t.insert_triggers || t.change_triggers) {
        let message = format!("`{}` has triggers, rules or policies: rows that they keep out or change are set aside", t.name);
        let how = "leave columns that triggers set out of the comparison: `compare: false`".to_owned();
        found.push(advice("triggers", message, Some(how)));
    }
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
