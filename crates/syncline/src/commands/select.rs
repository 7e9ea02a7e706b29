//! How a person names a run: its number, the beginning of its id, or `last`.

use syncline_store::StateTx;
use syncline_store::rows::{Page, RunFilter, RunRow};

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
