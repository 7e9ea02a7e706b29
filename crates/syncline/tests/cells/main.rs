//! Every type of every system, with the values at its edges, to every system: exact or set aside by code, never changed.

mod matrix;
mod normal;
mod page;
mod pair;

#[path = "../faults/rig/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests of faults, which need more of it")]
mod rig;

use pair::{Outcome, Pair, carry};

const SYSTEMS: [&str; 3] = ["postgres", "mysql", "sqlite"];

/// Cells known to come out wrong, as `from > to type value`; the aim is none.
const KNOWN_BAD: &[&str] = &[];

/// Cells that were changed, and second runs that wrote.
fn wrong(pair: &Pair) -> Vec<String> {
    let mut list: Vec<String> = pair.wrong.iter().map(|w| format!("{} > {}: {w}", pair.from, pair.to)).collect();
    for t in &pair.types {
        for (value, outcome) in t.from.values.iter().zip(&t.outcomes) {
            let name = format!("{} > {} {} {value}", pair.from, pair.to, t.from.ddl);
            if let Outcome::Changed(expected, got) = outcome
                && !KNOWN_BAD.contains(&name.as_str())
            {
                list.push(format!("{name} ({}): expected {expected}, got {got}", t.to.as_deref().unwrap_or("-")));
            }
        }
    }
    list
}

fn page_file() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/types.md")
}

// users: T3, T6, T8
// case: H1, H5, H7
#[test]
fn every_value_of_every_type_arrives_exactly_or_is_set_aside_by_code() {
    let pairs: Vec<Pair> = SYSTEMS.iter().flat_map(|from| SYSTEMS.iter().map(|to| carry(from, to))).collect();
    KNOWN_BAD.iter().for_each(|bad| eprintln!("known to be wrong: {bad}"));
    let page = page::page(&pairs);
    let failures: Vec<String> = pairs.iter().flat_map(wrong).collect();
    assert!(failures.is_empty(), "{} wrong:\n{}", failures.len(), failures.join("\n"));
    let cells: usize = pairs.iter().flat_map(|p| &p.types).map(|t| t.outcomes.len()).sum();
    assert!(cells >= 700, "{cells} cells");
    if std::env::var_os("SYNCLINE_BLESS").is_some() {
        std::fs::write(page_file(), &page).expect("the page is written");
    }
    assert!(std::fs::read_to_string(page_file()).unwrap_or_default() == page, "docs/types.md is out of date: run with SYNCLINE_BLESS=1");
}
