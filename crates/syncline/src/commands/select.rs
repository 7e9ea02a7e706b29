//! How a person names a run: its number, the beginning of its id, or `last`; and a verify report: `v3`, or the beginning of its id.

use syncline_engine::report::VerifyReport;
use syncline_store::StateTx;
use syncline_store::rows::{Page, RunFilter, RunRow, VerifyRow};

use crate::render::failure::Failure;

/// Ids are 32 hexadecimal digits long; a number for people never is.
const NUMBER_DIGITS_MAX: usize = 9;

/// The run that `word` names: `42`, `#42`, `last`, or the beginning of an id.
pub async fn run(tx: &mut dyn StateTx, word: &str) -> Result<RunRow, Failure> {
    let found = match number(word) {
        Some(n) => by_number(tx, n).await?,
        None if word == "last" => tx.list_runs(&RunFilter::default(), &Page { offset: 0, limit: 1 }).await?.pop(),
        None => tx.load_run(word).await?,
    };
    let run = match found {
        Some(run) => Some(run),
        // Ids may begin with nothing but digits, too.
        None => tx.load_run(word).await?,
    };
    run.ok_or_else(|| {
        Failure::failed("run_unknown", format!("there is no run `{word}`")).hint("`syncline runs` lists the runs that are kept")
    })
}

/// A run or a verify report.
pub enum Subject {
    /// A run.
    Run(Box<RunRow>),
    /// A verify report.
    Verify(Box<VerifyRow>),
}

/// What `word` names. A number without `v` is a run's.
pub async fn subject(tx: &mut dyn StateTx, word: &str) -> Result<Subject, Failure> {
    if let Some(n) = word.strip_prefix('v').and_then(number) {
        let found = verify_by_number(tx, n).await?;
        let unknown =
            || Failure::failed("run_unknown", format!("there is no verify report `{word}`")).hint("`syncline verify --list` lists them");
        return found.map(|row| Subject::Verify(Box::new(row))).ok_or_else(unknown);
    }
    if number(word).is_none()
        && word != "last"
        && let Some(row) = tx.load_verify(word).await?
    {
        return Ok(Subject::Verify(Box::new(row)));
    }
    run(tx, word).await.map(|row| Subject::Run(Box::new(row)))
}

/// The report in a row, under the row's number.
pub fn report(row: &VerifyRow) -> Result<VerifyReport, Failure> {
    let report = serde_json::from_str::<VerifyReport>(&row.report_json);
    let report = report.map_err(|e| Failure::failed("state_corrupt", format!("read verify report v{}", row.number)).because(&e))?;
    Ok(VerifyReport { number: row.number, ..report })
}

async fn verify_by_number(tx: &mut dyn StateTx, number: u64) -> Result<Option<VerifyRow>, Failure> {
    let mut page = Page { offset: 0, limit: 500 };
    loop {
        let rows = tx.list_verify(None, &page).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        if let Some(row) = rows.into_iter().find(|r| r.number == number) {
            return Ok(Some(row));
        }
        page.offset += u64::from(page.limit);
    }
}

/// The number in `42` or `#42`.
pub fn number(word: &str) -> Option<u64> {
    let digits = word.strip_prefix('#').unwrap_or(word);
    (digits.len() <= NUMBER_DIGITS_MAX).then(|| digits.parse().ok())?
}

async fn by_number(tx: &mut dyn StateTx, number: u64) -> Result<Option<RunRow>, Failure> {
    let mut page = Page { offset: 0, limit: 500 };
    loop {
        let runs = tx.list_runs(&RunFilter::default(), &page).await?;
        let Some(last) = runs.last() else { return Ok(None) };
        let passed = last.number < number;
        if let Some(run) = runs.into_iter().find(|r| r.number == number) {
            return tx.load_run(&run.id).await.map_err(Failure::from);
        }
        if passed {
            return Ok(None);
        }
        page.offset += u64::from(page.limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ids_are_told_apart() {
        assert_eq!(number("42"), Some(42));
        assert_eq!(number("#42"), Some(42));
        assert_eq!(number("0193aa20-0000-7000-8000-000000000000"), None);
        assert_eq!(number("last"), None);
    }
}
