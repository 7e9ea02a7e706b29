//! `syncline explain CODE`: the page behind a code.

use syncline::explain;
use syncline_model::suggest;

use super::{Context, Outcome};
use crate::render::failure::{Exit, Failure};
use crate::render::out::{Out, Tone};

/// Options of `explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The code, as in `error[code]` [default: list all]
    pub code: Option<String>,
}

/// Prints a page, or the list.
pub fn execute(context: &Context, args: &Args) -> Outcome {
    let Some(code) = &args.code else {
        list(context);
        return Ok(Exit::Good);
    };
    // `error[code]` is what is on the screen, so it may be pasted whole.
    let bare = code.trim().trim_start_matches("error").trim_matches(['[', ']', ':']);
    let Some(page) = explain::page(bare) else {
        let failure = Failure::usage("code_unknown", format!("there is no code `{bare}`"));
        return Err(match suggest::closest(bare, explain::codes()) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`syncline explain` lists all codes"),
        });
    };
    if context.out.json() {
        context.out.document(&serde_json::json!({ "code": bare, "page": page }));
    } else {
        print(&context.out, page);
    }
    Ok(Exit::Good)
}

fn list(context: &Context) {
    let titles = explain::codes().map(|code| (code, explain::title(code).unwrap_or_default()));
    if context.out.json() {
        let list: Vec<_> = titles.map(|(code, title)| serde_json::json!({ "code": code, "title": title })).collect();
        context.out.document(&list);
        return;
    }
    for (code, title) in titles {
        context.out.line(format!("{code:<28} {title}"));
    }
}

/// Markdown is readable as it is; only headings are set off.
fn print(out: &Out, page: &str) {
    for line in page.trim_end().lines() {
        match line.strip_prefix('#') {
            Some(title) => out.line(out.paint(Tone::Strong, title.trim_start_matches('#').trim())),
            None => out.line(line),
        }
    }
}
