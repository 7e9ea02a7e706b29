//! `check` and `discover`: reachable, rights, types, drift, and what is in force, with advice. Problems are findings.

use syncline_connector::{ConnectionSpec, DeleteAction, Finding, Severity};
use syncline_model::{Catalog, LogicalType, TableName};

use syncline_store::rows::AuditRow;

use crate::engine::{Engine, EngineError, Result};
use crate::link::identity_note;
use crate::pairing::Pair;
use crate::report::CheckReport;
use crate::spec::{Atomic, Edits, Rows, SyncSpec};

/// Bytes of state that one base record takes, about (R6: 122 MB per million).
const BASE_BYTES: u64 = 122;

impl Engine {
    /// Reachable, rights, types, drift, late-commit rule, with advice. Problems are findings, not errors.
    ///
    /// # Errors
    /// Only when the state itself cannot be read, or a connection type is unknown.
    pub async fn check(&self, sync: &SyncSpec) -> Result<CheckReport> {
        let mut report =
            CheckReport { sync: sync.name.clone(), source: Vec::new(), destination: Vec::new(), pair: Vec::new(), drift: Vec::new() };
        let (from, to) = (self.connector_for(&sync.from.0)?, self.connector_for(&sync.to.0)?);
        match from.source(&sync.from.1).await {
            Err(e) => report.source.push(problem(&e.into())),
            Ok(mut s) => match s.check(&[]).await {
                Ok(list) => report.source.extend(list),
                Err(e) => report.source.push(problem(&e.into())),
            },
        }
        match to.destination(&sync.to.1).await {
            Err(e) => report.destination.push(problem(&e.into())),
            Ok(mut d) => match d.check(&[]).await {
                Ok(list) => report.destination.extend(list),
                Err(e) => report.destination.push(problem(&e.into())),
            },
        }
        if report.source.iter().chain(&report.destination).any(|f| f.severity == Severity::Problem && f.code.starts_with("connect")) {
            return Ok(report);
        }
        if let Err(e) = self.check_pairs(sync, &mut report).await {
            report.pair.push(problem(&e));
        }
        Ok(report)
    }

    async fn check_pairs(&self, sync: &SyncSpec, report: &mut CheckReport) -> Result<()> {
        let link = self.link(sync).await?;
        let remembered = self.remembered(&sync.name).await?;
        let scopes = self.scopes(sync, None).await?;
        let scope = scopes.first().filter(|s| !s.is_empty()).map(String::as_str);
        let pairs = link.pairs(sync, scope, &[], &remembered)?;
        let strict: Vec<&str> = pairs.iter().filter(|p| p.policy.rows == Rows::Strict).map(|p| p.stream.as_str()).collect();
        if sync.atomic != Atomic::Run && !strict.is_empty() {
            let text = format!(
                "`rows: strict` ({}) stops a run at the first row that cannot be applied; transactions before it stay committed, \
                 in the books of the failed run, and `undo` takes them back",
                strict.join(", ")
            );
            report.pair.push(finding(Severity::Advice, "strict_in_parts", text, Some("`atomic: run` rolls everything back".to_owned())));
        }
        for pair in &pairs {
            report.drift.extend(pair.drift.iter().cloned());
            report.pair.extend(pair_findings(pair));
        }
        if link.dest_catalog.hides_referrers && pairs.iter().any(|p| p.delete == Some(DeleteAction::Remove)) {
            let text =
                "its user sees foreign keys only of tables that it has rights on: others may refer to them, so deletions are held back"
                    .to_owned();
            let advice = "GRANT REFERENCES ON the whole database to it, or say `cascade: allow`".to_owned();
            report.destination.push(finding(Severity::Advice, "referrers_unseen", text, Some(advice)));
        }
        let outside: Vec<&TableName> =
            link.source_catalog.tables.iter().map(|t| &t.name).filter(|n| !pairs.iter().any(|p| p.source.name == **n)).collect();
        if !outside.is_empty() {
            let names: Vec<String> = outside.iter().map(|n| n.name.clone()).collect();
            report.pair.push(finding(Severity::Good, "tables_left_out", format!("not synced: {}", names.join(", ")), None));
        }
        report.pair.push(finding(Severity::Good, "streams", format!("{} streams", pairs.len()), None));
        Ok(())
    }

    /// Takes the two systems as they are now for the ones to compare with: a restored backup, a moved database. Everything that
    /// rests on the old ones is forgotten, so that the next run compares every row.
    ///
    /// # Errors
    /// When a side cannot be reached, or the state cannot be written.
    pub async fn accept_identity(&self, sync: &SyncSpec) -> Result<()> {
        let link = self.link(sync).await?;
        let sides = link.noted_identities();
        let mut tx = self.store.begin().await?;
        for (name, identity) in sides {
            tx.save_note(&sync.name, name, &identity_note(identity)).await?;
        }
        tx.clear_positions(&sync.name).await?;
        let detail = serde_json::json!({ "source": sides[0].1.system, "destination": sides[1].1.system });
        let audit = AuditRow {
            at: self.clock.now(),
            actor: self.actor.clone(),
            action: "check.accept_identity".to_owned(),
            sync: Some(sync.name.clone()),
            detail_json: detail.to_string(),
        };
        tx.add_audit(&audit).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What a connection holds.
    ///
    /// # Errors
    /// The connector's own.
    pub async fn discover(&self, kind: &str, connection: &ConnectionSpec) -> Result<Catalog> {
        let mut source = self.connector_for(kind)?.source(connection).await?;
        Ok(source.discover().await?)
    }
}

fn pair_findings(pair: &Pair) -> Vec<Finding> {
    let mut list = Vec::new();
    let on = |text: String| format!("stream `{}`: {text}", pair.stream);
    if !pair.checked.is_empty() {
        let text = on(format!("values that do not fit are parked: {}", pair.checked.join("; ")));
        list.push(finding(Severity::Advice, "types_checked", text, None));
    }
    if pair.create.is_some() {
        list.push(finding(Severity::Good, "table_created", on(format!("`{}` will be created", pair.dest.name)), None));
    }
    list.extend(cursor_findings(pair));
    if pair.policy.edits == Edits::Keep {
        let rows = pair.source.rows_estimate.unwrap_or(0);
        let text = on(format!("base for three-way sync: about {} MB of state", (rows * BASE_BYTES).div_ceil(1_000_000)));
        list.push(finding(Severity::Good, "base_size", text, None));
    }
    if !pair.key_is_unique && !pair.key_source.is_empty() {
        let key = pair.key_source.join(", ");
        let text = on(format!("nothing at the source keeps its key ({key}) unique: records that share one and differ are set aside"));
        list.push(finding(Severity::Advice, "key_not_unique", text, None));
    }
    if pair.dest.non_transactional {
        let text = on(format!("`{}` cannot roll back: a failed run leaves half of its writes there", pair.dest.name));
        let ddl = format!("ALTER TABLE {} ENGINE=InnoDB", pair.dest.name);
        list.push(finding(Severity::Problem, "not_transactional", text, Some(ddl)));
    }
    list
}

/// What a cursor cannot promise.
fn cursor_findings(pair: &Pair) -> Vec<Finding> {
    let Some(column) = pair.policy.options.cursor.as_ref().and_then(|c| pair.source.column(c)) else { return Vec::new() };
    let on = |text: &str| format!("stream `{}`: cursor `{}` {text}", pair.stream, column.name);
    let mut list = Vec::new();
    if column.nullable {
        let advice = Some("make the column NOT NULL, with a default and a trigger that set it".to_owned());
        list.push(finding(Severity::Advice, "cursor_nullable", on("may be NULL: such rows are read in every run"), advice));
    }
    if pair.source.primary_key.contains(&column.name) {
        let advice = Some("name a column that changes with every update, or use `mode: diff`".to_owned());
        list.push(finding(Severity::Advice, "cursor_is_key", on("is part of the key: new rows are seen, changed ones are not"), advice));
    }
    let limit = match column.logical {
        LogicalType::TimestampTz { .. } => None,
        LogicalType::Timestamp { .. } | LogicalType::Date => Some(
            "has no zone: runs step back an hour more than the overlap, for clocks that are set back; stamps of wrong clocks need an `overlap` as large as they are wrong",
        ),
        _ => Some(
            "is no time: later values are taken to be greater than earlier ones, and one value far above the others hides those that follow it",
        ),
    };
    list.extend(limit.map(|text| finding(Severity::Advice, "cursor_order", on(text), None)));
    list
}

fn finding(severity: Severity, code: &'static str, message: String, advice: Option<String>) -> Finding {
    Finding { severity, code, message, advice }
}

/// An error as a line of `check`.
fn problem(e: &EngineError) -> Finding {
    let code: &'static str = match e {
        EngineError::Connector(c) => c.code,
        EngineError::Config { code, .. } => code,
        EngineError::Store(s) => s.code(),
        EngineError::Locked { .. } => "lock_held",
        EngineError::Interrupted => "interrupted",
    };
    Finding { severity: Severity::Problem, code, message: e.to_string(), advice: e.hint() }
}
