//! The help: commands in the order in which a person meets them, with examples. Built from the commands themselves, so that
//! the two cannot disagree.

use clap::builder::styling::{AnsiColor, Styles};
use clap::{CommandFactory, FromArgMatches};
use std::fmt::Write as _;

use super::Cli;

/// Every command, in groups.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Set up", &["init", "check", "discover", "config", "analyze"]),
    ("Sync", &["plan", "run", "verify", "undo"]),
    ("Watch", &["status", "runs", "show", "conflicts", "export", "audit"]),
    ("Repair", &["parked", "ids", "explain"]),
    ("Try it out", &["demo"]),
];

const EXAMPLES: &str = "  syncline demo                                   see all of it in a minute, nothing to set up
  syncline init --from mysql://… --to postgres://…
  syncline plan                                   what would change, and nothing else
  syncline run && syncline verify                 change it, and prove it
  syncline undo 42                                and back again";

const ENDING: &str = "\
Exit codes: 0 good · 1 failed · 2 usage or configuration · 3 partial (rows parked or deletions held back)
            4 differences found (verify, plan --exit-code) · 130 interrupted
Every error has a code: `syncline explain CODE` says what it means and what to do.";

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Green.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// The command line as it is shown.
pub fn command() -> clap::Command {
    let command = Cli::command().styles(STYLES);
    let template = format!(
        "{{about}}\n\n{{usage-heading}} syncline [-c FILE] COMMAND\n\n{}{}\n{EXAMPLES}\n\n{}\n{{options}}\n\n{ENDING}\n",
        groups(&command),
        heading("Examples"),
        heading("Options, for every command"),
    );
    command.help_template(template)
}

fn groups(command: &clap::Command) -> String {
    let mut text = String::new();
    for (title, names) in GROUPS {
        let _ = writeln!(text, "{}", heading(title));
        for name in names {
            let about = command.find_subcommand(name).and_then(clap::Command::get_about).map(ToString::to_string).unwrap_or_default();
            let literal = STYLES.get_literal();
            let _ = writeln!(text, "  {}{name:<10}{} {about}", literal.render(), literal.render_reset());
        }
        text.push('\n');
    }
    text
}

fn heading(title: &str) -> String {
    let style = STYLES.get_header();
    format!("{}{title}:{}", style.render(), style.render_reset())
}

/// The command line of this process; help, version and mistakes end it here (0, 0 and 2).
pub fn parse() -> Cli {
    let matches = command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_stands_in_exactly_one_group() {
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let command = Cli::command();
        let mut all: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        grouped.sort_unstable();
        all.sort_unstable();
        assert_eq!(grouped, all);
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
