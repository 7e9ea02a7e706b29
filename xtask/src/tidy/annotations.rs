//! What tests say they prove: `// req: FR-010, X2` directly above the test.

use std::collections::{BTreeMap, BTreeSet};

use super::Problems;
use super::source::{File, Tree};

/// Kinds of claims, in the words of the design.
const KINDS: [&str; 4] = ["req", "case", "rule", "users"];

/// Test functions as `crate::name`, each with the claims above it (`req: FR-010`).
pub(crate) type Tests = BTreeMap<String, BTreeSet<String>>;

/// Every test of the project.
pub(crate) fn tests(tree: &Tree) -> Tests {
    let mut tests = Tests::new();
    for file in tree.rust() {
        for (name, above) in functions(file) {
            if is_test(file, &above) {
                let name = format!("{}::{name}", file.crate_name());
                tests.entry(name).or_default().extend(above.iter().flat_map(|line| claims(line)));
            }
        }
    }
    tests
}

/// A claim that stands above no test proves nothing.
pub(crate) fn check(tree: &Tree) -> Problems {
    let mut problems = Problems::new();
    for file in tree.rust() {
        let heads = functions(file).into_iter().filter(|(_, above)| is_test(file, above));
        let placed: usize = heads.map(|(_, above)| above.iter().filter(|line| !claims(line).is_empty()).count()).sum();
        let written = file.comments().lines().filter(|line| !claims(line).is_empty()).count();
        if written != placed {
            problems.push(format!(
                "{}: {} of its claims (`// req: …`) do not stand directly above a test",
                file.path,
                written.abs_diff(placed)
            ));
        }
    }
    problems
}

/// `#[test]`, `#[tokio::test]`; and the sentences of the conformance suite, which become tests in every connector.
fn is_test(file: &File, above: &[&str]) -> bool {
    above.iter().any(|line| line.starts_with("#[") && line.contains("test")) || file.path.contains("/conformance/")
}

/// The claims in one line: `// req: FR-010, X2` gives `req: FR-010` and `req: X2`.
fn claims(line: &str) -> Vec<String> {
    let Some((kind, ids)) = line.trim().strip_prefix("// ").and_then(|comment| comment.split_once(": ")) else { return Vec::new() };
    if !KINDS.contains(&kind) {
        return Vec::new();
    }
    ids.split(',').map(|id| format!("{kind}: {}", id.trim())).collect()
}

/// Name of every function, with the attributes and comments directly above it.
fn functions(file: &File) -> Vec<(String, Vec<&str>)> {
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    let code = file.code();
    code.lines()
        .enumerate()
        .filter_map(|(at, line)| {
            let name = function_name(line)?;
            let above = lines[..at].iter().rev().copied();
            Some((name, above.take_while(|line| line.starts_with("#[") || line.starts_with("//") || *line == ")]").collect()))
        })
        .collect()
}

fn function_name(line: &str) -> Option<String> {
    let (before, rest) = line.split_once("fn ")?;
    if !before.split_whitespace().all(|word| ["pub", "pub(crate)", "async", "const"].contains(&word)) {
        return None;
    }
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::tree;

    #[test]
    fn claims_belong_to_the_test_below_them() {
        let text = "//! x\n// req: X1, X2\n// case: A5\n#[tokio::test]\nasync fn a() {}\n\n#[test]\nfn b() {}\nfn c() {}\n";
        let found = tests(&tree(&[("crates/a/tests/a.rs", text)]));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a::a", "a::b"]);
        assert_eq!(found["a::a"].iter().collect::<Vec<_>>(), ["case: A5", "req: X1", "req: X2"]);
        assert!(found["a::b"].is_empty());
    }

    #[test]
    fn a_claim_above_no_test_is_reported() {
        let text = "//! x\n// req: X1\nfn a() {}\n// rule: R7\n\n#[test]\nfn b() {}\n";
        assert_eq!(check(&tree(&[("crates/a/src/a.rs", text)])).len(), 1);
        assert!(check(&tree(&[("crates/a/src/conformance/a.rs", "//! x\n// rule: R7\npub async fn a() {}\n")])).is_empty());
        assert!(check(&tree(&[("crates/a/src/a.rs", "//! x\n// case: not a claim\"\n")])).len() == 1);
        assert!(check(&tree(&[("crates/a/src/a.rs", "//! x\n/// req: doc\n")])).is_empty());
    }
}
