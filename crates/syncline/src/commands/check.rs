//! `syncline check`: reachable, rights, types, drift, late-commit rule; each with the line to run when something is missing.

use syncline_connector::{Finding, Severity};
use syncline_engine::report::{CheckReport, Drift};

use super::project::{Project, Touch};
use super::{Context, Outcome};
use crate::render::failure::Exit;
use crate::render::json;
use crate::render::out::{Out, Tone};
use crate::render::text::harmless;

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The sync [default: all]
    pub sync: Option<String>,
    /// Take the systems behind the connections for the right ones (restored, moved): positions are forgotten, the next run compares every row
    #[arg(long, requires = "sync")]
    pub accept_identity: bool,
}

/// Checks; a problem is exit code 1.
pub async fn execute(context: &Context, args: Args) -> Outcome {
    let project = Project::open(context, Touch::Read)?;
    let touch = if args.accept_identity { Touch::Write } else { Touch::Read };
    let engine = project.engine(context, project.store(touch)?);
    if args.accept_identity {
        engine.accept_identity(project.sync(args.sync.as_deref())?).await?;
    }
    let mut reports = Vec::new();
    for sync in project.some_or_all(args.sync.as_deref())? {
        reports.push(engine.check(sync).await?);
    }
    if context.out.json() {
        context.out.document(&json::public(&reports));
    } else {
        for report in &reports {
            print(&context.out, report);
        }
    }
    Ok(if reports.iter().any(has_problem) { Exit::Failed } else { Exit::Good })
}

fn findings(report: &CheckReport) -> [(&'static str, &[Finding]); 3] {
    [("source", &report.source), ("destination", &report.destination), ("together", &report.pair)]
}

fn has_problem(report: &CheckReport) -> bool {
    let problem = findings(report).iter().any(|(_, list)| list.iter().any(|f| f.severity == Severity::Problem));
    problem || report.drift.iter().any(|d| d.stops)
}

fn print(out: &Out, report: &CheckReport) {
    out.line(out.paint(Tone::Strong, &format!("Check of {}", report.sync)));
    for (title, list) in findings(report) {
        if !list.is_empty() {
            out.line(format!("\n{title}"));
        }
        for finding in list {
            print_finding(out, finding);
        }
    }
    if !report.drift.is_empty() {
        out.line("\ndrift");
    }
    for d in &report.drift {
        print_drift(out, d);
    }
    let verdict = if has_problem(report) { out.paint(Tone::Bad, "This sync would fail.") } else { out.paint(Tone::Good, "Ready to run.") };
    out.line(format!("\n{verdict}"));
}

fn print_finding(out: &Out, f: &Finding) {
    let (mark, tone) = match f.severity {
        Severity::Good => ("good   ", Tone::Good),
        Severity::Advice => ("advice ", Tone::Warn),
        Severity::Problem => ("problem", Tone::Bad),
    };
    let code = if f.severity == Severity::Good { String::new() } else { out.paint(Tone::Dim, &format!("  [{}]", f.code)) };
    out.line(format!("  {} {}{code}", out.paint(tone, mark), harmless(&f.message)));
    for line in f.advice.iter().flat_map(|a| a.lines()) {
        out.line(format!("            {line}"));
    }
}

fn print_drift(out: &Out, d: &Drift) {
    let (mark, tone) = if d.stops { ("problem", Tone::Bad) } else { ("advice ", Tone::Warn) };
    let column = d.column.as_ref().map(|c| format!(".{c}")).unwrap_or_default();
    let place = harmless(&format!("{}{column}", d.stream));
    out.line(format!("  {} {place}: {}, {}", out.paint(tone, mark), d.kind.replace('_', " "), harmless(&d.detail)));
}
