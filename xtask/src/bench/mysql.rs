//! MariaDB → PostgreSQL: the whole table into an empty database.

use anyhow::{Result, ensure};

use super::measure::{Row, median, shell};
use super::members::ROWS;
use super::product::{Project, books};
use super::rig::{Rig, SOURCE};
use super::{copy, peer};

pub(crate) fn run(rig: &Rig) -> Result<Vec<Row>> {
    rig.with_mariadb_table()?;
    let mut row = Row {
        work: "MariaDB → PostgreSQL, 1 M rows into an empty database".into(),
        bound: "≤ 1.2 × floor, ≤ 64 MiB".into(),
        floor: Vec::new(),
        product: Vec::new(),
        note: String::new(),
    };
    let (mut reads, mut copies) = (Vec::new(), Vec::new());
    let client = rig.mariadb_client()?.join(" ");
    for turn in 1..=rig.runs {
        reads.push(shell(&format!("mariadb {client} --quick --batch bench -e 'select * from members' > /dev/null"))?);
        copies.push(copy::floor(rig, SOURCE)?);
        let to = rig.database("mysql")?;
        let project = Project::new(rig, &rig.mariadb_url(), &rig.postgres(&to), &[])?;
        rig.checkpoint()?;
        let measured = project.run("diff")?;
        ensure!(books(&measured)?.created == ROWS, "the run created another number of rows: {}", measured.stdout);
        eprintln!("   {turn}: client {:.2} s, copy floor {:.2} s, product {:.2} s", reads[turn - 1], copies[turn - 1], measured.seconds);
        row.product.push(measured);
        rig.drop_database(&to)?;
    }
    let (read, copied) = (median(&reads), median(&copies));
    row.note = format!("floor: the larger of MariaDB's own client reading it ({read:.2} s) and the copy floor above ({copied:.2} s)");
    row.floor = if read > copied { reads } else { copies };
    peer::pgloader(rig, &mut row)?;
    Ok(vec![row])
}
