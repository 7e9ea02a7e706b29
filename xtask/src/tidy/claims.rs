//! What the documents claim to be proved is proved by tests that say so themselves.

use super::Problems;
use super::annotations::Tests;
use super::source::Tree;

/// One row `| id | status | where | tests |`.
#[derive(Debug)]
struct Row<'a> {
    id: &'a str,
    status: &'a str,
    place: &'a str,
    tests: &'a str,
}

/// What a row may say of itself, and whether tests have to stand behind it. `half`: of what *where* names, only the part before the semicolon is proved.
const STATUS: [(&str, bool); 3] = [("done", true), ("half", true), ("planned", false)];

/// Every row of `path` names the tests that name it, all of them and no other; one that claims a proof has a test.
pub(crate) fn check(tree: &Tree, path: &str, tests: &Tests) -> Problems {
    let Some(file) = tree.get(path) else { return vec![format!("{path} is missing")] };
    let rows: Vec<Row> = file.text.lines().filter_map(row).collect();
    if rows.is_empty() {
        return vec![format!("{path} has no row `| id | status | where | tests |`")];
    }
    rows.iter().flat_map(|row| wrong(row, tests)).map(|problem| format!("{path}: {problem}")).collect()
}

/// `text` with the tests of every row as the tests themselves have it.
pub(crate) fn renewed(text: &str, tests: &Tests) -> String {
    let mut new = String::with_capacity(text.len());
    for line in text.lines() {
        match row(line) {
            Some(Row { id, status, place, .. }) => {
                let written = line.split('|').nth(1).unwrap_or(id).trim();
                new.push_str(&format!("| {written} | {status} | {place} | {} |", proving(id, tests)));
            }
            None => new.push_str(line),
        }
        new.push('\n');
    }
    new
}

fn wrong(row: &Row, tests: &Tests) -> Problems {
    let Row { id, status, .. } = row;
    let Some((_, needs_proof)) = STATUS.iter().find(|(word, _)| word == status) else {
        return vec![format!("{id}: `{status}` is no status")];
    };
    let proving = proving(id, tests);
    if *needs_proof && proving.is_empty() {
        return vec![format!("{id} is {status}, but no test has the line `// {}: {id}` directly above it", kind(id))];
    }
    if row.tests != proving {
        return vec![format!("{id}: the tests named are not those that name it; `cargo xtask tidy --claims` writes them")];
    }
    Problems::new()
}

/// The tests that say they prove `id`, in backticks, sorted.
fn proving(id: &str, tests: &Tests) -> String {
    let claim = format!("{}: {id}", kind(id));
    let names = tests.iter().filter(|(_, claims)| claims.contains(&claim)).map(|(name, _)| format!("`{name}`"));
    names.collect::<Vec<_>>().join(", ")
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

fn row(line: &str) -> Option<Row<'_>> {
    let cells: Vec<&str> = line.trim().strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let [id, status, place, tests] = cells[..] else { return None };
    let id = id.trim_matches(['*', '`', '★', ' ']);
    let is_row = id != "id" && !id.is_empty() && !id.starts_with(['-', ':']);
    is_row.then_some(Row { id, status, place, tests })
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
            assert_eq!(problems(&format!("| {id} | done | engine | `a::maps_ids` |\n")), Problems::new(), "{id}");
        }
        assert_eq!(problems("| FR-010 | half | engine; the service | `a::maps_ids` |\n"), Problems::new());
        assert_eq!(problems("| FR-011 | planned | | |\n"), Problems::new());
    }

    #[test]
    fn a_row_without_proof_is_reported() {
        assert_eq!(problems("| FR-011 | done | engine | |\n").len(), 1, "no test");
        assert_eq!(problems("| FR-011 | half | engine | |\n").len(), 1, "no test for the half");
        assert_eq!(problems("| FR-010 | done | engine | |\n").len(), 1, "a test that is not named");
        assert_eq!(problems("| FR-010 | done | engine | `a::maps_ids`, `a::gone` |\n").len(), 1, "a test that does not exist");
        assert_eq!(problems("| FR-010 | done | engine | `a::maps_ids`, `a::silent` |\n").len(), 1, "a test that does not say so");
        assert_eq!(problems("| FR-010 | nearly | engine | `a::maps_ids` |\n").len(), 1, "a word that says nothing");
        assert_eq!(problems("").len(), 1, "no rows");
    }

    #[test]
    fn rows_are_written_from_the_tests() {
        let found = annotations::tests(&tree(&[("crates/a/tests/main.rs", TESTS)]));
        let text = "# x\n\n| id | status | where | tests |\n|---|---|---|---|\n| **A5 ★** | done | here | `b::old` |\n| X1 | planned | later |  |\nend\n";
        let new = renewed(text, &found);
        assert_eq!(new, text.replace("b::old", "a::maps_ids"));
        assert_eq!(renewed(&new, &found), new);
    }
}
