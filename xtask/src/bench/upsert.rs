//! 100 k changed rows into 1 M, as an incremental run, with before-images and without.

use anyhow::{Result, ensure};

use super::measure::{Row, shell};
use super::product::{Project, books};
use super::rig::Rig;

const CHANGED: u64 = 100_000;

/// Always the same rows, so that every turn finds and leaves the tables alike.
const CHANGE: &str =
    "update members set balance = balance + 1, first_name = reverse(first_name), updated_at = clock_timestamp() where id % 10 = 3";

const COLUMNS: [&str; 12] =
    ["uid", "first_name", "last_name", "email", "born", "joined", "balance", "active", "score", "metadata", "created_at", "updated_at"];

pub(crate) fn run(rig: &Rig) -> Result<Vec<Row>> {
    let source = rig.copy_of_source("changing")?;
    let hand = rig.copy_of_source("floor")?;
    let sides = [("on", rig.copy_of_source("undo")?), ("off", rig.copy_of_source("plain")?)];
    let mut rows = Vec::new();
    let mut projects = Vec::new();
    for (undo, to) in &sides {
        let (undo_line, streams) = (format!("undo: {undo}"), "streams: { members: { cursor: updated_at } }");
        let project = Project::new(rig, &rig.postgres(&source), &rig.postgres(to), &["mode: incremental", &undo_line, streams])?;
        // The first run compares all and leaves the position that the measured ones start from.
        project.run("incremental")?;
        projects.push(project);
        rows.push(Row {
            work: format!("100 k changed rows into 1 M, incremental, `undo: {undo}`"),
            bound: "≤ 1.2 × floor".into(),
            floor: Vec::new(),
            product: Vec::new(),
            note: "floor: `COPY` to staging and one `INSERT … ON CONFLICT … WHERE d *<> excluded`".into(),
        });
    }
    for turn in 1..=rig.runs {
        let before = rig.sql(&source, "select max(updated_at) from members")?;
        rig.sql(&source, CHANGE)?;
        rig.checkpoint()?;
        let floor = shell(&floor(rig, &source, &hand, &before))?;
        for (project, row) in projects.iter().zip(&mut rows) {
            row.floor.push(floor);
            rig.checkpoint()?;
            let measured = project.run("incremental")?;
            ensure!(books(&measured)?.updated == CHANGED, "the run updated another number of rows: {}", measured.stdout);
            row.product.push(measured);
        }
        let seconds: Vec<String> = rows.iter().map(|r| format!("{:.2}", r.product[turn - 1].seconds)).collect();
        eprintln!("   {turn}: floor {floor:.2} s, product {} s (undo on, off)", seconds.join(" and "));
    }
    for (_, to) in &sides {
        rig.must_be_same(&source, to, "members")?;
    }
    for database in [&source, &hand, &sides[0].1, &sides[1].1] {
        rig.drop_database(database)?;
    }
    Ok(rows)
}

fn floor(rig: &Rig, source: &str, to: &str, since: &str) -> String {
    let set: Vec<String> = COLUMNS.iter().map(|c| format!("{c} = excluded.{c}")).collect();
    format!(
        "{} -c \"copy (select * from members where updated_at > '{since}') to stdout (format binary)\" | {} \
         -c 'create temp table staging (like members)' -c 'copy staging from stdin (format binary)' \
         -c 'insert into members as d select * from staging on conflict (id) do update set {} where d *<> excluded'",
        rig.psql(source),
        rig.psql(to),
        set.join(", ")
    )
}
