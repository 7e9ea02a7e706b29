//! The list of failpoints and the points in the code are the same, so that a crash test of the list misses none.

use std::collections::BTreeSet;

use super::Problems;
use super::source::Tree;

const LIST: &str = "crates/syncline-connector/src/fail.rs";

pub(crate) fn check(tree: &Tree) -> Problems {
    let Some(list) = tree.get(LIST) else { return vec![format!("{LIST} is missing")] };
    let listed = listed(&list.code_and_literals());
    let passed: BTreeSet<String> =
        tree.shipped().filter(|file| file.path != LIST).flat_map(|file| passed(&file.code_and_literals())).collect();
    let unused = listed.difference(&passed).map(|name| format!("`{name}` is in POINTS, but no code passes it"));
    let unknown = passed.difference(&listed).map(|name| format!("`{name}` is passed, but is not in POINTS of {LIST}"));
    unused.chain(unknown).collect()
}

/// The strings of `POINTS: … = &[…]`.
fn listed(code: &str) -> BTreeSet<String> {
    let body = code.split("POINTS").nth(1).and_then(|rest| rest.split("= &[").nth(1)).and_then(|rest| rest.split(']').next());
    body.into_iter().flat_map(|body| body.split('"').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// How a point is passed: directly, or by the one method that acts on its fault (and runs a statement behind it).
const CALLS: [&str; 4] = ["fail::point(", "fail::passable(", ".pass(", ".step("];

/// The names in `fail::point("…")` and its like.
fn passed(code: &str) -> Vec<String> {
    CALLS
        .into_iter()
        .flat_map(|call| code.split(call).skip(1))
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
        // Other methods of these names take sentences.
        .filter(|name| name.contains('.') && !name.contains(' '))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::tree;

    #[test]
    fn both_directions_are_reported() {
        let files = [
            (LIST, "pub const POINTS: &[&str] = &[\n    \"a.b\",\n    \"a.c\",\n    \"a.f\",\n];\nfn point() {}"),
            ("crates/x/src/b.rs", "fn f() { self.step(\"a.f\", sql).await }"),
            ("crates/x/src/a.rs", "fn f() { fail::point(\"a.b\"); fail::passable(\n    \"a.d\",\n)?; } // fail::point(\"a.e\")"),
            ("crates/x/tests/main.rs", "fn f() { fail::point(\"a.c\"); }"),
        ];
        let problems = check(&tree(&files));
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("`a.c` is in POINTS"));
        assert!(problems[1].contains("`a.d` is passed"));
    }
}
