//! What the documents claim to be done is proved by tests that say so themselves.

use super::Problems;
use super::annotations::Tests;
use super::source::Tree;

/// One row `| id | status | where | tests |`.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    id: String,
    status: String,
    tests: Vec<String>,
}

/// Every row of `path` that is `done` names tests that exist, and one of them names the row's id.
pub(crate) fn check(tree: &Tree, path: &str, tests: &Tests) -> Problems {
    let Some(file) = tree.get(path) else { return vec![format!("{path} is missing")] };
    let rows = rows(&file.text);
    if rows.is_empty() {
        return vec![format!("{path} has no row `| id | status | where | tests |`")];
    }
    rows.iter()
        .filter(|row| row.status == "done")
        .flat_map(|row| unproved(row, tests))
        .map(|problem| format!("{path}: {problem}"))
        .collect()
}

fn unproved(row: &Row, tests: &Tests) -> Problems {
    let id = &row.id;
    if row.tests.is_empty() {
        return vec![format!("{id} is done, but names no test")];
    }
    let missing = row.tests.iter().filter(|name| !tests.contains_key(*name)).map(|name| format!("{id} names `{name}`, which is no test"));
    let mut problems: Problems = missing.collect();
    let claim = format!("{}: {id}", kind(id));
    if !row.tests.iter().any(|name| tests.get(name).is_some_and(|claims| claims.contains(&claim))) {
        problems.push(format!("{id}: none of its tests has the line `// {claim}` directly above it"));
    }
    problems
}

/// Which word claims an id: the rules R1…, the users' tasks T1…, the fault cases A1… to Q…, and everything else a requirement.
fn kind(id: &str) -> &'static str {
    let (letter, number) = id.split_at(id.len().min(1));
    let is_numbered = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
    match letter {
        "R" if is_numbered => "rule",
        "T" if is_numbered => "users",
        // X1 to X10 are the ten mistakes of the requirements.
        "X" => "req",
        _ if is_numbered => "case",
        _ => "req",
    }
}

fn rows(text: &str) -> Vec<Row> {
    text.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim().strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
            let [id, status, _, tests] = cells.as_slice() else { return None };
            let id = id.trim_matches(['*', '`', '★', ' ']);
            let is_row = id != "id" && !id.is_empty() && !id.starts_with('-') && !id.starts_with(':');
            is_row.then(|| Row { id: id.to_owned(), status: (*status).to_owned(), tests: names(tests) })
        })
        .collect()
}

/// Test names, separated by commas, in backticks or not, with or without their module.
fn names(cell: &str) -> Vec<String> {
    let words = cell.split([',', ' ', '`']).filter(|word| !word.is_empty());
    words.filter_map(|word| word.rsplit("::").next()).map(|name| name.trim_end_matches("()").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::annotations;
    use crate::tidy::source::tree;

    const TESTS: &str =
        "//! x\n// req: FR-010\n// rule: R7\n// case: A5\n// users: T4\n#[test]\nfn maps_ids() {}\n#[test]\nfn silent() {}\n";

    fn problems(rows: &str) -> Problems {
        let doc = format!("| id | status | where | tests |\n|---|---|---|---|\n{rows}");
        let tree = tree(&[("docs/requirements.md", &doc), ("crates/a/tests/main.rs", TESTS)]);
        check(&tree, "docs/requirements.md", &annotations::tests(&tree))
    }

    #[test]
    fn a_proved_row_is_fine() {
        for id in ["FR-010", "R7", "A5", "T4", "**A5 ★**"] {
            assert_eq!(problems(&format!("| {id} | done | engine | `a::maps_ids`, `silent` |\n")), Problems::new(), "{id}");
        }
        assert_eq!(problems("| FR-011 | open | | |\n"), Problems::new());
    }

    #[test]
    fn a_row_without_proof_is_reported() {
        assert_eq!(problems("| FR-010 | done | engine | |\n").len(), 1, "no test");
        assert_eq!(problems("| FR-010 | done | engine | `maps_ids`, `gone` |\n").len(), 1, "a test that does not exist");
        assert_eq!(problems("| FR-010 | done | engine | `silent` |\n").len(), 1, "a test that does not say so");
        assert_eq!(problems("| X1 | done | engine | `maps_ids` |\n").len(), 1, "a test that says something else");
        assert_eq!(problems("").len(), 1, "no rows");
    }
}
