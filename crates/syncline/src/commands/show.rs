//! `syncline show RUN`: one run in full, with the deletions it made or held back; or one verify report.

use syncline_store::rows::{DeletionRow, Page};

use super::project::{Project, Touch};
use super::run::without_secrets;
use super::select::{self, Subject};
use super::{Context, Outcome, verify};
use crate::render::failure::Exit;
use crate::render::out::{Out, Tone};
use crate::render::{json, run, text};

/// Options of `show`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of a run (`42`, `last`) or verify report (`v3`), or the beginning of its id
    pub run: String,
    /// Deletions to list at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: u32,
}

/// Shows one run.
pub async fn execute(context: &Context, args: Args) -> Outcome {
    let project = Project::open(context, Touch::Read)?;
    let store = project.store(Touch::Read)?;
    let mut tx = store.begin().await?;
    let row = match select::subject(&mut *tx, &args.run).await? {
        Subject::Run(row) => without_secrets(context, *row),
        Subject::Verify(row) => {
            verify::show(context, &[select::report(&row)?]);
            return Ok(Exit::Good);
        }
    };
    // One more than shown, to know whether there are more.
    let deletions = tx.list_deletions(&row.id, &Page { offset: 0, limit: args.limit.saturating_add(1) }).await?;
    if context.out.json() {
        let mut document = json::public(&row);
        document["deletions"] = json::public(&deletions.iter().take(args.limit as usize).collect::<Vec<_>>());
        context.out.document(&document);
        return Ok(Exit::Good);
    }
    run::print(&context.out, &row);
    print_deletions(&context.out, &deletions, args.limit as usize, row.number);
    Ok(Exit::Good)
}

/// A code is told in words; what follows it has names in it, which stay as they are.
fn reason_in_words(reason: &str) -> String {
    let (code, rest) = reason.split_at(reason.find(':').unwrap_or(reason.len()));
    if code.contains(' ') { reason.to_owned() } else { format!("{}{rest}", code.replace('_', " ")) }
}

fn print_deletions(out: &Out, deletions: &[DeletionRow], limit: usize, number: u64) {
    if deletions.is_empty() {
        return;
    }
    out.line(out.paint(Tone::Strong, "\nDeletions"));
    let mut told = "";
    for d in deletions.iter().take(limit) {
        let (word, tone) = if d.done { ("deleted  ", Tone::Bad) } else { ("held back", Tone::Warn) };
        // The guard's reason is the same for all that it holds.
        let reason = if d.reason == told { String::new() } else { format!("  {}", reason_in_words(&d.reason)) };
        told = &d.reason;
        let what = format!("{} {}", text::harmless(&d.stream), text::key(&d.key_json));
        out.line(format!("  {} {what}{}", out.paint(tone, word), out.paint(Tone::Dim, &text::harmless(&reason))));
    }
    if deletions.len() > limit {
        out.line(out.paint(Tone::Dim, &format!("  … and more: syncline export {number} --format csv")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_reason_stay_as_they_are() {
        assert_eq!(reason_in_words("missing_at_source"), "missing at source");
        assert_eq!(reason_in_words("child_exists: constraint `x2_id_fkey`"), "child exists: constraint `x2_id_fkey`");
        assert_eq!(reason_in_words("3 rows of `a_b` would go along"), "3 rows of `a_b` would go along");
    }
}
