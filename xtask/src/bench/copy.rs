//! PostgreSQL → PostgreSQL: the whole table into an empty database.

use anyhow::{Result, ensure};

use super::measure::{Row, shell};
use super::members::{COLUMNS, KEY_AND_INDEX, ROWS};
use super::peer;
use super::product::{Project, books};
use super::rig::{Rig, SOURCE};

pub(crate) fn run(rig: &Rig) -> Result<Vec<Row>> {
    let mut row = Row {
        work: "PostgreSQL → PostgreSQL, 1 M rows into an empty database".into(),
        bound: "≤ 1.1 × floor, ≤ 64 MiB".into(),
        floor: Vec::new(),
        product: Vec::new(),
        note: "floor: `COPY … (FORMAT binary)` piped by two `psql` into an unindexed table, then key and index".into(),
    };
    for turn in 1..=rig.runs {
        row.floor.push(floor(rig, SOURCE)?);
        let to = rig.database("copy")?;
        let project = Project::new(rig, &rig.postgres(SOURCE), &rig.postgres(&to), &[])?;
        rig.checkpoint()?;
        let measured = project.run("diff")?;
        ensure!(books(&measured)?.created == ROWS, "the run created another number of rows: {}", measured.stdout);
        eprintln!("   {turn}: floor {:.2} s, product {:.2} s", row.floor[turn - 1], measured.seconds);
        row.product.push(measured);
        if turn == 1 {
            rig.must_be_same(SOURCE, &to, "members")?;
        }
        rig.drop_database(&to)?;
    }
    peer::pgcopydb(rig, &mut row)?;
    Ok(vec![row])
}

/// Seconds of the floor: the table of `from` into a new database.
pub(crate) fn floor(rig: &Rig, from: &str) -> Result<f64> {
    let to = rig.database("floor")?;
    rig.checkpoint()?;
    let (source, dest) = (rig.psql(from), rig.psql(&to));
    let seconds = shell(&format!(
        "{dest} -c 'create table members ({COLUMNS})'; \
         {source} -c 'copy members to stdout (format binary)' | {dest} -c 'copy members from stdin (format binary)'; \
         {dest} -c '{KEY_AND_INDEX}'"
    ))?;
    rig.drop_database(&to)?;
    Ok(seconds)
}
