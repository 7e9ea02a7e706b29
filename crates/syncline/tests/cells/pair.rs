//! One pair of systems: every value of the source's types carried by the real binary, and every cell looked at on both sides.

use std::collections::BTreeMap;

use crate::matrix::{self, Type};
use crate::normal::{cells, native};
use crate::rig::{Side, World};

/// What became of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is there, the same.
    Exact,
    /// Its row was set aside under this code.
    Parked(String),
    /// Something else is there: what was expected, and what is.
    Changed(String, String),
}

/// A type of the source at a destination.
#[derive(Clone, Debug)]
pub struct Carried {
    pub from: &'static Type,
    pub to: Option<String>,
    pub outcomes: Vec<Outcome>,
}

/// All of a pair.
#[derive(Clone, Debug)]
pub struct Pair {
    pub from: &'static str,
    pub to: &'static str,
    pub types: Vec<Carried>,
    /// What is wrong besides cells: a second run that writes.
    pub wrong: Vec<String>,
}

fn table(n: usize) -> String {
    format!("t{n:02}")
}

fn fill(side: &Side) {
    let mut script = matrix::prelude(side.kind()).to_owned();
    for (n, t) in matrix::types(side.kind()).iter().enumerate() {
        script += &format!("CREATE TABLE {} (id integer NOT NULL PRIMARY KEY, v {});\n", table(n), t.ddl);
        for (i, value) in t.values.iter().enumerate() {
            script += &format!("INSERT INTO {} VALUES ({i}, {value});\n", table(n));
        }
    }
    side.execute(&script);
}

fn side(kind: &str, folder: &std::path::Path, name: &str) -> Side {
    match kind {
        "postgres" => Side::postgres(),
        "mysql" => Side::mariadb(),
        _ => Side::sqlite(folder, name),
    }
}

/// Carries everything from a full source to an empty destination, twice.
pub fn carry(from_kind: &'static str, to_kind: &'static str) -> Pair {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (side(from_kind, folder.path(), "from.db"), side(to_kind, folder.path(), "to.db"));
    fill(&from);
    if from_kind == to_kind && to_kind == "postgres" {
        // Types of users are the database's own: a sync makes tables, not types.
        to.execute(matrix::prelude(to_kind));
    }
    let world = World::between(&from, &to, "    create: missing\n");
    let mut wrong = Vec::new();
    let first = world.syncline(&["run", "--json"]);
    if !matches!(first.code, Some(0 | 3)) {
        wrong.push(format!("first run: {}", first.said()));
        return Pair { from: from_kind, to: to_kind, types: Vec::new(), wrong };
    }
    let parked: BTreeMap<(String, String), String> = world.parked().into_iter().map(|(stream, key, code)| ((stream, key), code)).collect();
    let types: Vec<Carried> = matrix::types(from_kind).iter().enumerate().map(|(n, t)| look(&from, &to, n, t, &parked)).collect();
    let again = world.syncline(&["run", "--json"]);
    let report = again.json()[0].clone();
    let streams = report["streams"].as_array().cloned().unwrap_or_default();
    if streams.len() != types.len() {
        wrong.push(format!("the second run reports {} streams of {}: {}", streams.len(), types.len(), again.said()));
    }
    for stream in &streams {
        let written: u64 = ["created", "updated", "deleted"].iter().filter_map(|b| stream["books"][*b].as_u64()).sum();
        if written > 0 || !matches!(again.code, Some(0 | 3)) {
            wrong.push(format!("the second run wrote {written} rows of {}", stream["stream"]));
        }
    }
    Pair { from: from_kind, to: to_kind, types, wrong }
}

fn look(from: &Side, to: &Side, n: usize, t: &'static Type, parked: &BTreeMap<(String, String), String>) -> Carried {
    let name = table(n);
    let alike = from.kind() == to.kind();
    let created = native(to, &name);
    let Some(spelling) = created.clone() else {
        let missing = Outcome::Changed("a column".to_owned(), "none".to_owned());
        return Carried { from: t, to: None, outcomes: vec![missing; t.values.len()] };
    };
    let have = native(from, &name).expect("the source has it");
    let theirs = cells(from, &name, &have, t.kind, alike);
    let ours: BTreeMap<_, _> = cells(to, &name, &spelling, t.kind, alike).into_iter().collect();
    let show = |v: &Option<String>| v.clone().unwrap_or_else(|| "NULL".to_owned()).chars().take(90).collect::<String>();
    let outcome = |(id, value): &(usize, Option<String>)| match (ours.get(id), parked.get(&(name.clone(), format!("[{id}]")))) {
        (None, Some(code)) => Outcome::Parked(code.clone()),
        (Some(got), None) if got == value => Outcome::Exact,
        (Some(got), Some(code)) => Outcome::Changed(show(value), format!("{} and set aside by {code}", show(got))),
        (Some(got), None) => Outcome::Changed(show(value), show(got)),
        (None, None) => Outcome::Changed(show(value), "no row".to_owned()),
    };
    Carried { from: t, to: created, outcomes: theirs.iter().map(outcome).collect() }
}
