//! `cargo xtask tidy`: the house rules as code. Each rule is one function from what is there to what is wrong with it.

mod annotations;
mod claims;
mod codes;
mod dependencies;
mod failpoints;
mod lexer;
mod licences;
mod names;
mod ratchet;
mod size;
mod source;
mod todos;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::command::{cargo, output, root};
use ratchet::Growth;
use source::Tree;

/// What a rule has to say about one place.
type Problems = Vec<String>;

const RATCHET: &str = "xtask/ratchet.txt";

/// Tables of what is proved, and by which tests.
const CLAIMS: [&str; 2] = ["docs/requirements.md", "docs/faults.md"];

pub(crate) fn run(options: &[&str]) -> Result<ExitCode> {
    match options {
        [] => Ok(if holds()? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        ["--bless"] => bless(Growth::Refused),
        ["--bless", "--allow-new"] => bless(Growth::Allowed),
        ["--claims"] => write_claims(),
        _ => bail!("usage: cargo xtask tidy [--bless [--allow-new] | --claims]"),
    }
}

/// Checks every rule and prints what is wrong.
pub(crate) fn holds() -> Result<bool> {
    let tree = Tree::load(&root())?;
    let metadata = metadata()?;
    let tests = annotations::tests(&tree);
    let rules: [(&str, Problems); 11] = [
        ("who may know whom", dependencies::check(&metadata)),
        ("banned crates", dependencies::banned(&metadata)),
        ("licences", licences::check(&metadata)),
        ("size", ratchet::check(&size::offenders(&tree), &ratchet_file()?)),
        ("names", names::check(&tree)),
        ("failpoints", failpoints::check(&tree)),
        ("requirements", claims::check(&tree, CLAIMS[0], &tests)),
        ("fault cases", claims::check(&tree, CLAIMS[1], &tests)),
        ("error codes", codes::check(&tree)),
        ("todos", todos::check(&tree)),
        ("annotations", annotations::check(&tree)),
    ];
    for (rule, problems) in &rules {
        problems.iter().for_each(|problem| println!("error: {rule}: {problem}"));
    }
    let wrong: usize = rules.iter().map(|(_, problems)| problems.len()).sum();
    println!("tidy: {} files, {} rules, {wrong} problems", tree.files.len(), rules.len());
    Ok(wrong == 0)
}

fn bless(growth: Growth) -> Result<ExitCode> {
    let tree = Tree::load(&root())?;
    let text = ratchet::bless(&size::offenders(&tree), &ratchet_file()?, growth)?;
    std::fs::write(root().join(RATCHET), text).with_context(|| format!("write {RATCHET}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the tests into the tables of requirements and fault cases.
fn write_claims() -> Result<ExitCode> {
    let tree = Tree::load(&root())?;
    let tests = annotations::tests(&tree);
    for path in CLAIMS {
        let file = tree.get(path).with_context(|| format!("{path} is missing"))?;
        std::fs::write(root().join(path), claims::renewed(&file.text, &tests)).with_context(|| format!("write {path}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn ratchet_file() -> Result<String> {
    std::fs::read_to_string(root().join(RATCHET)).with_context(|| format!("read {RATCHET}"))
}

fn metadata() -> Result<serde_json::Value> {
    let text = output(&mut cargo(&["metadata", "--format-version", "1", "--all-features"]))?;
    Ok(serde_json::from_str(&text)?)
}
