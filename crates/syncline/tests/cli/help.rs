//! Every page of help, word for word: what a person reads first must not change by accident.

use std::path::Path;

use crate::world::syncline_in;

const COMMANDS: [&str; 19] = [
    "init",
    "check",
    "discover",
    "plan",
    "run",
    "verify",
    "status",
    "runs",
    "show",
    "conflicts",
    "parked",
    "undo",
    "export",
    "ids",
    "audit",
    "analyze",
    "explain",
    "config",
    "demo",
];

#[test]
fn the_first_screen_groups_commands_and_shows_examples() {
    insta::assert_snapshot!("help", syncline_in(Path::new("."), &["--help"]).ends_with(0).stdout);
}

#[test]
fn every_command_has_its_page() {
    for command in COMMANDS {
        insta::assert_snapshot!(format!("help_{command}"), syncline_in(Path::new("."), &[command, "--help"]).ends_with(0).stdout);
    }
}

#[test]
fn no_command_at_all_shows_the_help_and_is_a_usage_error() {
    let answer = syncline_in(Path::new("."), &[]).ends_with(2);
    assert!(answer.stdout.is_empty() && answer.stderr.contains("Examples:"), "{}", answer.stderr);
}

#[test]
fn a_mistyped_command_is_a_usage_error_with_a_suggestion() {
    let answer = syncline_in(Path::new("."), &["verfy"]).ends_with(2);
    assert!(answer.stderr.contains("'verify'"), "{}", answer.stderr);
}
