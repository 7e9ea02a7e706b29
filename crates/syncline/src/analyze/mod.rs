//! Reads existing migration scripts and says, table by table, what to keep of them (FR-001).
//!
//! Files are found ([`files`]), SQL is taken out of them ([`embedded`], [`builder`]), cut into [`token`]s, read as effects on tables
//! ([`effects`], [`classify`]), judged ([`verdict`]), and turned into a draft of a config ([`draft`]). Nothing is executed and no
//! database is asked. Input of any shape gives a report or an error, never a panic.

mod builder;
mod classify;
mod dialect;
mod draft;
mod effects;
mod embedded;
mod files;
mod mapping;
mod names;
mod render;
mod report;
mod token;
mod verdict;
mod window;

use std::path::{Path, PathBuf};

use syncline_connector::{Error, ErrorKind, Result};

use embedded::Language;
pub use report::{Action, Dialect, Effect, Extent, Hazard, IdMapping, MappingCoverage, Report, Script, Skipped, TableReport, Verdict};

/// Analyses every script under `paths` (files, or folders searched for `.sql`, `.ts`, `.js`, `.py`, `.rb`, `.go`, `.sh` and their kin).
///
/// # Errors
/// `Invalid`: `file_missing` when a path cannot be read, `input_too_large` for more than 10,000 scripts, `nothing_to_analyze`
/// when no script holds SQL that writes. Files over 4 MiB are skipped and listed in the report.
pub fn analyze(paths: &[PathBuf]) -> Result<Report> {
    let (files, skipped) = files::read(paths)?;
    let scripts: Vec<Script> = files.iter().filter_map(|f| script(&f.path, f.language, &f.text)).collect();
    if scripts.is_empty() && skipped.is_empty() {
        let given: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
        let message = format!("analyze `{}`: no script with SQL that writes to a table", given.join(" "));
        return Err(Error::new(ErrorKind::Invalid, "nothing_to_analyze", message)
            .hint("give .sql files, or .ts, .js, .py, .rb, .go and .sh files with SQL in text literals or heredocs"));
    }
    let draft = draft::draft(&scripts);
    Ok(Report { scripts, skipped, draft })
}

/// Analyses one script; `None` when it writes to no table.
fn script(path: &Path, language: Language, text: &str) -> Option<Script> {
    let fragments = embedded::fragments(text, language);
    let all: String = fragments.iter().map(|f| f.text.as_str()).collect::<Vec<_>>().join("\n;\n");
    let dialect = dialect::guess(&all);
    let mut found: Vec<Effect> = fragments.iter().flat_map(|f| effects::effects(f, dialect)).collect();
    if fragments.iter().any(|f| effects::checks_off(f, dialect).is_some()) {
        effects::note_checks_off(&mut found);
    }
    found.extend(builder::effects(text, language));
    let tables = verdict::tables(found);
    (!tables.is_empty()).then(|| Script { path: path.to_owned(), language: language.name(), dialect, tables })
}

#[cfg(test)]
mod tests;
