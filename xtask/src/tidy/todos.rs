//! What is left to do is an issue, not a comment.

use super::Problems;
use super::source::Tree;

const WORDS: [&str; 3] = ["TODO", "FIXME", "XXX"];

/// A comment with one of the words must name an issue: `#12`.
pub(crate) fn check(tree: &Tree) -> Problems {
    let mut problems = Problems::new();
    for file in tree.rust() {
        for (at, line) in file.comments().lines().enumerate() {
            let word = WORDS.iter().find(|word| line.split(|c: char| !c.is_alphanumeric()).any(|found| found == **word));
            if let Some(word) = word.filter(|_| !names_issue(line)) {
                problems.push(format!("{}:{}: a {word} names its issue (`#12`), or is done now", file.path, at + 1));
            }
        }
    }
    problems
}

fn names_issue(line: &str) -> bool {
    line.split('#').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::tree;

    #[test]
    fn a_todo_without_an_issue_is_reported() {
        let text = "//! x\n// TODO later\n// FIXME(#12) known\nlet s = \"TODO\";\n// TODOS is a word\n";
        assert_eq!(check(&tree(&[("crates/a/src/a.rs", text)])), ["crates/a/src/a.rs:2: a TODO names its issue (`#12`), or is done now"]);
    }
}
