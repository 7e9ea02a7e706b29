//! Files say what they are for, and are named by a concept.

use super::Problems;
use super::source::{File, Tree};

/// Names that say nothing about what is inside, and so end up holding everything.
const BANNED: &[&str] = &["common", "helper", "helpers", "manager", "misc", "type", "types", "util", "utils"];

pub(crate) fn check(tree: &Tree) -> Problems {
    let mut problems = Problems::new();
    for file in tree.rust() {
        if !file.text.starts_with("//!") {
            problems.push(format!("{} must begin with a `//!` line that says what it is for", file.path));
        }
        problems.extend(banned_names(file).map(|name| format!("{}: `{name}` says nothing; name the concept", file.path)));
    }
    problems
}

/// Banned directory, file and inline module names.
fn banned_names(file: &File) -> impl Iterator<Item = &'static str> {
    let in_path: Vec<String> = file.path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let code = file.code();
    let inline: Vec<String> = code.lines().filter_map(module_name).collect();
    BANNED.iter().copied().filter(move |name| in_path.iter().chain(&inline).any(|found| found == name))
}

/// The name in `mod NAME {`.
fn module_name(line: &str) -> Option<String> {
    let name = line.trim().trim_start_matches("pub(crate) ").trim_start_matches("pub ").strip_prefix("mod ")?;
    Some(name.strip_suffix('{')?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::tree;

    #[test]
    fn a_file_without_a_header_is_reported() {
        assert_eq!(check(&tree(&[("crates/a/src/a.rs", "use b;\n"), ("crates/a/src/b.rs", "//! For b.\n")])).len(), 1);
    }

    #[test]
    fn names_that_say_nothing_are_reported() {
        let files = [
            ("crates/a/src/utils.rs", "//! x"),
            ("crates/a/src/helpers/b.rs", "//! x"),
            ("crates/a/src/b.rs", "//! x\npub(crate) mod types {\n}\n"),
            ("crates/a/src/prototypes.rs", "//! x"),
        ];
        assert_eq!(check(&tree(&files)).len(), 3);
    }
}
