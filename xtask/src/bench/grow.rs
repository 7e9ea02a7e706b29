//! What grows with the rows, and with one value: ten times the table, and 64 MB in one cell.

use anyhow::{Result, ensure};

use super::measure::{Measured, Row, median};
use super::members::{self, ROWS};
use super::product::{Project, books};
use super::rig::{Rig, SOURCE};

/// Times the table of the other benchmarks.
const TIMES: u64 = 10;

pub(crate) fn run(rig: &Rig) -> Result<Vec<Row>> {
    Ok(vec![large_value(rig)?, many_rows(rig)?])
}

fn many_rows(rig: &Rig) -> Result<Row> {
    let large = rig.database("large")?;
    members::make(rig, &large, TIMES * ROWS)?;
    // The small table before and after the large one, so that a machine that slows down is seen; the large one once, it averages by itself.
    let mut small = vec![copied(rig, SOURCE, ROWS)?.seconds];
    let product = vec![copied(rig, &large, TIMES * ROWS)?];
    rig.drop_database(&large)?;
    small.push(copied(rig, SOURCE, ROWS)?.seconds);
    eprintln!("   1 M {:.2} s and {:.2} s, 10 M {:.2} s", small[0], small[1], product[0].seconds);
    Ok(Row {
        work: "PostgreSQL → PostgreSQL, 10 M rows".into(),
        bound: "≤ 11 × the time of 1 M, ≤ 64 MiB".into(),
        note: format!("floor: the product's own time for 1 M rows ({:.2} s)", median(&small)),
        floor: small,
        product,
    })
}

fn large_value(rig: &Rig) -> Result<Row> {
    let from = rig.copy_of_source("value")?;
    rig.sql(&from, "alter table members add column photo bytea")?;
    // Random enough not to be compressed: 32 bytes of hash at a time.
    rig.sql(
        &from,
        "update members set photo = (select string_agg(sha256(int8send(i)), null) from generate_series(1, 2 * 1024 * 1024) i) where id = 500000",
    )?;
    let product = vec![copied(rig, &from, ROWS)?];
    eprintln!("   with 64 MB in one value: {:.2} s, {:.0} MiB", product[0].seconds, product[0].peak_kib as f64 / 1024.0);
    rig.drop_database(&from)?;
    Ok(Row {
        work: "PostgreSQL → PostgreSQL, 1 M rows, one with a 64 MB bytea".into(),
        bound: "≤ 64 MiB".into(),
        floor: Vec::new(),
        product,
        note: String::new(),
    })
}

/// One copy into an empty database.
fn copied(rig: &Rig, from: &str, rows: u64) -> Result<Measured> {
    let to = rig.database("grown")?;
    let project = Project::new(rig, &rig.postgres(from), &rig.postgres(&to), &[])?;
    rig.checkpoint()?;
    let measured = project.run("diff")?;
    ensure!(books(&measured)?.created == rows, "the run created another number of rows: {}", measured.stdout);
    rig.must_be_same(from, &to, "members")?;
    rig.drop_database(&to)?;
    Ok(measured)
}
