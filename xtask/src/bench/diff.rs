//! Two tables that differ in 100 scattered rows: found and repaired.

use anyhow::{Result, ensure};

use super::measure::{Row, shell};
use super::product::{Books, Project, books};
use super::rig::{Rig, SOURCE};

/// 80 changed, 10 missing, 10 too many: a row in every 10,000.
const BREAK: [&str; 3] = [
    "update members set balance = balance + 1 where id % 10000 = 5003 and id / 10000 % 10 < 8",
    "delete from members where id % 10000 = 5003 and id / 10000 % 10 = 8",
    "insert into members select 2000000 + id, uid, first_name, last_name, email, born, joined, balance, active, score, metadata, \
     created_at, updated_at from members where id % 10000 = 5003 and id / 10000 % 10 = 9",
];

pub(crate) fn run(rig: &Rig) -> Result<Vec<Row>> {
    let to = rig.copy_of_source("diff")?;
    let project = Project::new(rig, &rig.postgres(SOURCE), &rig.postgres(&to), &["deletes: mirror", "owns: table"])?;
    let mut row = Row {
        work: "two 1 M-row tables with 100 differences, found and repaired".into(),
        bound: "≤ 1.2 × floor, ≤ 2 % of the rows fetched".into(),
        floor: Vec::new(),
        product: Vec::new(),
        note: String::new(),
    };
    let sum = "select count(*), sum(hashtext(t::text)::bigint) from members t";
    let floor = format!("{} -c '{sum}' > /dev/null & {} -c '{sum}' > /dev/null; wait $!", rig.psql(SOURCE), rig.psql(&to));
    // The first run's tables and state are made here, not measured.
    project.run("diff")?;
    for turn in 1..=rig.runs {
        BREAK.iter().try_for_each(|statement| rig.sql(&to, statement).map(drop))?;
        rig.checkpoint()?;
        row.floor.push(shell(&floor)?);
        let measured = project.run("diff")?;
        let found = books(&measured)?;
        row.note = format!("fetched {} rows of 1 M; `hashtext` on both sides at once is the floor", found.fetched);
        ensure!(
            Books { fetched: 0, ..found } == Books { created: 10, updated: 80, deleted: 10, ..Books::default() },
            "other differences were found: {}",
            measured.stdout
        );
        eprintln!("   {turn}: floor {:.2} s, product {:.2} s", row.floor[turn - 1], measured.seconds);
        row.product.push(measured);
    }
    rig.must_be_same(SOURCE, &to, "members")?;
    rig.drop_database(&to)?;
    Ok(vec![row])
}
