//! `explain`, and the promise that every code has a page.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::world::syncline_in;

#[test]
fn a_code_is_explained_however_it_was_copied() {
    for word in ["lock_held", "error[lock_held]", "error[lock_held]:"] {
        let answer = syncline_in(Path::new("."), &["explain", word]).ends_with(0);
        assert!(answer.stdout.starts_with("lock_held\n") && answer.stdout.contains("What to do"), "{}", answer.stdout);
    }
    let page = syncline_in(Path::new("."), &["--json", "explain", "lock_held"]).ends_with(0).json();
    assert_eq!(page["code"], "lock_held");
}

#[test]
fn an_unknown_code_gets_a_suggestion() {
    let answer = syncline_in(Path::new("."), &["explain", "lock_helt"]).ends_with(2);
    assert!(answer.stderr.contains("did you mean `lock_held`?"), "{}", answer.stderr);
}

#[test]
fn without_a_code_all_are_listed() {
    let list = syncline_in(Path::new("."), &["explain", "--json"]).ends_with(0).json();
    let all = list.as_array().expect("a list");
    assert!(all.len() > 50 && all.iter().all(|c| c["title"].as_str().is_some_and(|t| !t.is_empty())));
}

/// Every code in the sources that can reach a user: the ones that errors are made with, and the `code:` of rows and findings.
fn codes_in_sources() -> BTreeSet<(String, String)> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = BTreeSet::new();
    let mut folders = vec![crates];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("readable").map(|e| e.expect("entry").path()) {
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if entry.is_dir() && !matches!(name.as_str(), "tests" | "target" | "syncline-testkit" | "snapshots") {
                folders.push(entry);
            } else if name.ends_with(".rs") && name != "tests.rs" {
                let text = fs::read_to_string(&entry).expect("readable");
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                found.extend(codes(code).into_iter().map(|c| (c, entry.display().to_string())));
            }
        }
    }
    found
}

/// Places where a code stands as a literal: `ErrorKind::X, "code"`, `Failure::usage("code"`, `code: "code"`.
fn codes(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for opening in ["Failure::usage(", "Failure::failed(", "code: ", "config("] {
        found.extend(text.split(opening).skip(1).filter_map(literal));
    }
    for after_kind in text.split("ErrorKind::").skip(1) {
        let rest = after_kind.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        found.extend(rest.strip_prefix(',').and_then(literal));
    }
    found
}

fn literal(text: &str) -> Option<String> {
    let word = text.trim_start().strip_prefix('"')?.split('"').next()?;
    let is_code = word.len() > 2 && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    is_code.then(|| word.to_owned())
}

// users: U24
#[test]
fn every_code_in_the_sources_has_a_page() {
    let missing: Vec<_> = codes_in_sources().into_iter().filter(|(code, _)| syncline::explain::page(code).is_none()).collect();
    assert!(missing.is_empty(), "no page in docs/errors for: {missing:#?}");
}
