//! `syncline export RUN|VERIFY|--since T`: history as JSON, JSON lines or CSV, for whoever keeps the books.

mod records;
mod writer;

use clap::ValueEnum;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use super::project::{Project, Touch};
use super::{Context, Outcome, select};
use crate::render::failure::{Exit, Failure};
use records::Subject;
use writer::Writer;

/// Options of `export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of a run (`42`, `last`) or verify report (`v3`), or the beginning of its id
    #[arg(value_name = "RUN|VERIFY", required_unless_present = "since", conflicts_with = "since")]
    pub subject: Option<String>,
    /// All runs started since: `2026-11-20`, `2026-11-20T08:00:00Z`, `36h`, `7d`
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// With --since: only of this sync
    #[arg(long, value_name = "SYNC", requires = "since", conflicts_with = "subject")]
    pub sync: Option<String>,
    /// With --since: only of this scope
    #[arg(long, value_name = "SCOPE", requires = "since", conflicts_with = "subject")]
    pub scope: Option<String>,
    /// One array, one record per line, or a table; in a table, cells that would run as a formula get a leading '
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Json)]
    pub format: Format,
}

/// Form of an export: one array of records, one record per line, or one table for a spreadsheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Json,
    Jsonl,
    Csv,
}

/// Exports to stdout, record by record: the history may be longer than the memory.
pub async fn execute(context: &Context, args: Args) -> Outcome {
    let project = Project::open(context, Touch::Read)?;
    let store = project.store(Touch::Read)?;
    let mut tx = store.begin().await?;
    let subject = match (&args.since, &args.subject) {
        (Some(time), _) => {
            let sync = args.sync.as_deref().map(|name| project.sync(Some(name))).transpose()?;
            Subject::History { since: since(time, context.clock.now())?, sync: sync.map(|s| s.name.clone()), scope: args.scope }
        }
        (None, Some(word)) => match select::subject(&mut *tx, word).await? {
            select::Subject::Run(row) => Subject::Run(row),
            select::Subject::Verify(row) => Subject::Verify(row),
        },
        (None, None) => return Err(Failure::usage("argument_missing", "which run?")),
    };
    let mut writer = Writer::new(args.format);
    records::write(&mut *tx, &subject, &mut writer).await?;
    writer.finish()?;
    Ok(Exit::Good)
}

/// An instant as a person gives it, in µs: RFC 3339, a date (UTC), or a time that has passed (`36h`, `7d`).
pub fn since(text: &str, now: i64) -> Result<i64, Failure> {
    let instant = text.parse::<Timestamp>().ok();
    let civil = || text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|d| d.at(0, 0, 0, 0))).ok();
    let of_civil = || civil().and_then(|c| c.to_zoned(TimeZone::UTC).ok()).map(|z| z.timestamp());
    instant.or_else(of_civil).map(|t| t.as_microsecond()).or_else(|| passed(text).map(|p| now.saturating_sub(p))).ok_or_else(|| {
        Failure::usage("argument_invalid", format!("`{text}` is no time"))
            .hint("write 2026-11-20, 2026-11-20T08:00:00Z, or a time that has passed such as 36h or 7d")
    })
}

fn passed(text: &str) -> Option<i64> {
    let span: Span = text.parse().ok()?;
    let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
    if span.get_years() != 0 || span.get_months() != 0 {
        return None;
    }
    let clock = span.weeks(0).days(0);
    let rest = SignedDuration::try_from(clock).ok()?;
    i64::try_from(rest.as_micros()).ok()?.checked_add(days.checked_mul(86_400_000_000)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_instants_dates_or_time_that_has_passed() {
        let now = 1_000_000_000_000_000;
        assert_eq!(since("1970-01-02", now).unwrap(), 86_400_000_000);
        assert_eq!(since("1970-01-01T00:00:01Z", now).unwrap(), 1_000_000);
        assert_eq!(since("36h", now).unwrap(), now - 129_600_000_000);
        assert_eq!(since("7d", now).unwrap(), now - 604_800_000_000);
        assert_eq!(&*since("soon", now).unwrap_err().code, "argument_invalid");
    }
}
