//! What an export holds: one flat kind of record for all, told apart by `record`, so that one table holds a whole history.

use serde::Serialize;
use serde_json::Value as Json;
use syncline_store::StateTx;
use syncline_store::rows::{Page, ParkedFilter, RunFilter, RunRow, VerifyRow};

use super::writer::Writer;
use crate::commands::select;
use crate::render::failure::Failure;
use crate::render::{run, text};

/// What is exported.
pub enum Subject {
    /// One run.
    Run(Box<RunRow>),
    /// One verify report.
    Verify(Box<VerifyRow>),
    /// All runs since an instant.
    History {
        /// µs.
        since: i64,
        /// Of this sync.
        sync: Option<String>,
        /// Of this scope.
        scope: Option<String>,
    },
}

/// One record. Absent fields are absent in JSON and empty in CSV.
#[derive(Debug, Default, Serialize)]
#[serde(default)]
pub struct Record {
    /// `run`, `stream`, `deletion`, `conflict`, `parked`, `error`, `note`, `verify`, `check`, `difference`.
    pub record: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The books, or the counts of a check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<Json>,
}

const PAGE: u32 = 1000;

/// Writes the subject, record by record.
pub async fn write(tx: &mut dyn StateTx, subject: &Subject, out: &mut Writer) -> Result<(), Failure> {
    match subject {
        Subject::Run(row) => one_run(tx, row, out).await,
        Subject::Verify(row) => verify(row, out),
        Subject::History { since, sync, scope } => history(tx, *since, sync.clone(), scope.clone(), out).await,
    }
}

async fn history(tx: &mut dyn StateTx, since: i64, sync: Option<String>, scope: Option<String>, out: &mut Writer) -> Result<(), Failure> {
    let filter = RunFilter { since: Some(since), sync, scope, status: None };
    let mut page = Page { offset: 0, limit: PAGE };
    loop {
        let runs = tx.list_runs(&filter, &page).await?;
        let ended = runs.len() < PAGE as usize;
        for run in runs {
            // A list may leave the streams out; one run has them.
            let whole = tx.load_run(&run.id).await?.unwrap_or(run);
            one_run(tx, &whole, out).await?;
        }
        if ended {
            return Ok(());
        }
        page.offset += u64::from(PAGE);
    }
}

async fn one_run(tx: &mut dyn StateTx, row: &RunRow, out: &mut Writer) -> Result<(), Failure> {
    out.write(&run_record(row))?;
    let base = || Record { run: Some(row.id.clone()), sync: Some(row.sync.clone()), scope: Some(row.scope.clone()), ..Record::default() };
    for s in &row.streams {
        let counts = serde_json::to_value(s.books).ok();
        let (stream, mode) = (Some(s.stream.clone()), Some(s.mode.clone()));
        out.write(&Record { record: "stream", stream, kind: mode, duration_ms: Some(s.duration_ms), counts, ..base() })?;
    }
    if let Some(e) = &row.error {
        out.write(&Record { record: "error", code: Some(e.code.clone()), detail: Some(e.message.clone()), ..base() })?;
    }
    for note in &row.notes {
        out.write(&Record { record: "note", detail: Some(note.clone()), ..base() })?;
    }
    deletions(tx, row, out, &base).await?;
    conflicts(tx, row, out, &base).await?;
    parked(tx, row, out, &base).await
}

fn run_record(row: &RunRow) -> Record {
    Record {
        record: "run",
        run: Some(row.id.clone()),
        number: Some(row.number),
        sync: Some(row.sync.clone()),
        scope: Some(row.scope.clone()),
        kind: Some(run::kind(row.kind).to_owned()),
        started_at: Some(text::rfc3339(row.started_at)),
        completed_at: row.completed_at.map(text::rfc3339),
        duration_ms: row.completed_at.map(|end| text::elapsed_ms(row.started_at, end)),
        status: Some(run::status(row.status).0.to_owned()),
        counts: serde_json::to_value(row.books).ok(),
        ..Record::default()
    }
}

async fn deletions(tx: &mut dyn StateTx, row: &RunRow, out: &mut Writer, base: &impl Fn() -> Record) -> Result<(), Failure> {
    let mut page = Page { offset: 0, limit: PAGE };
    loop {
        let rows = tx.list_deletions(&row.id, &page).await?;
        for d in &rows {
            let status = Some(if d.done { "deleted" } else { "held_back" }.to_owned());
            let (stream, key) = (Some(d.stream.clone()), parsed(&d.key_json));
            out.write(&Record { record: "deletion", stream, key, status, detail: Some(d.reason.clone()), ..base() })?;
        }
        if rows.len() < PAGE as usize {
            return Ok(());
        }
        page.offset += u64::from(PAGE);
    }
}

async fn conflicts(tx: &mut dyn StateTx, row: &RunRow, out: &mut Writer, base: &impl Fn() -> Record) -> Result<(), Failure> {
    let mut page = Page { offset: 0, limit: PAGE };
    loop {
        let rows = tx.list_conflicts(&row.id, &page).await?;
        for c in &rows {
            out.write(&Record {
                record: "conflict",
                stream: Some(c.stream.clone()),
                key: parsed(&c.key_json),
                field: Some(c.field.clone()),
                source: parsed(&c.source_json),
                destination: parsed(&c.destination_json),
                resolved: parsed(&c.resolved_json),
                winner: Some(c.winner.clone()),
                strategy: Some(c.strategy.clone()),
                detail: Some(c.note.clone()),
                ..base()
            })?;
        }
        if rows.len() < PAGE as usize {
            return Ok(());
        }
        page.offset += u64::from(PAGE);
    }
}

/// Parked rows that this run touched last.
async fn parked(tx: &mut dyn StateTx, row: &RunRow, out: &mut Writer, base: &impl Fn() -> Record) -> Result<(), Failure> {
    let filter = ParkedFilter { sync: Some(row.sync.clone()), scope: Some(row.scope.clone()), closed: true, ..ParkedFilter::default() };
    let mut page = Page { offset: 0, limit: PAGE };
    loop {
        let rows = tx.list_parked(&filter, &page).await?;
        for p in rows.iter().filter(|p| p.run == row.id) {
            out.write(&Record {
                record: "parked",
                number: Some(p.id),
                stream: Some(p.stream.clone()),
                key: parsed(&p.key_json),
                field: p.column.clone(),
                code: Some(p.code.clone()),
                status: Some(p.outcome.clone().unwrap_or_else(|| "open".to_owned())),
                detail: Some(p.detail.clone()),
                ..base()
            })?;
        }
        if rows.len() < PAGE as usize {
            return Ok(());
        }
        page.offset += u64::from(PAGE);
    }
}

fn verify(row: &VerifyRow, out: &mut Writer) -> Result<(), Failure> {
    let report = select::report(row)?;
    let verdict = |passed: bool| Some(if passed { "passed" } else { "differs" }.to_owned());
    let base = || Record { run: Some(row.id.clone()), sync: Some(row.sync.clone()), scope: Some(row.scope.clone()), ..Record::default() };
    out.write(&Record {
        record: "verify",
        number: Some(row.number),
        started_at: Some(text::rfc3339(row.started_at)),
        duration_ms: Some(row.duration_ms),
        status: verdict(row.passed),
        ..base()
    })?;
    for c in &report.streams {
        let counts = serde_json::to_value(c).ok();
        out.write(&Record { record: "check", stream: Some(c.stream.clone()), status: verdict(c.passed), counts, ..base() })?;
    }
    for d in &report.differences {
        let difference =
            || Record { record: "difference", kind: Some(d.kind.clone()), stream: Some(d.stream.clone()), key: parsed(&d.key), ..base() };
        if d.fields.is_empty() {
            out.write(&difference())?;
        }
        for (field, source, destination) in &d.fields {
            let side = |v: &Option<String>| Some(v.clone().map_or(Json::Null, Json::from));
            out.write(&Record { field: Some(field.clone()), source: side(source), destination: side(destination), ..difference() })?;
        }
    }
    Ok(())
}

fn parsed(json: &str) -> Option<Json> {
    Some(serde_json::from_str(json).unwrap_or_else(|_| json.into()))
}
