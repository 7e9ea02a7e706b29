//! Nothing changed: an incremental run, and a full one that must not rewrite a tuple.

use anyhow::{Result, ensure};

use super::measure::{Row, shell};
use super::product::{Books, Project, books};
use super::rig::{Rig, SOURCE};

/// Where every tuple lies and who wrote it: changes with any rewrite.
const TUPLES: &str = "select sum(hashtext(ctid::text || xmin::text)::bigint) from members";

pub(crate) fn run(rig: &Rig) -> Result<Vec<Row>> {
    let to = rig.copy_of_source("noop")?;
    let options = ["mode: incremental", "streams: { members: { cursor: updated_at } }"];
    let project = Project::new(rig, &rig.postgres(SOURCE), &rig.postgres(&to), &options)?;
    project.run("incremental")?;
    let incremental = unchanged(rig, &project, &to, "incremental", "≤ 0.3 s, 0 rows written", None)?;
    let floor = floor(rig, &to);
    let full = unchanged(rig, &project, &to, "full", "0 tuples rewritten, ≤ 1 MB of WAL", Some(&floor))?;
    rig.drop_database(&to)?;
    Ok(vec![incremental, full])
}

/// Everything into a staging table, and one pass that compares it with what is there.
fn floor(rig: &Rig, to: &str) -> String {
    format!(
        "{} -c 'copy members to stdout (format binary)' | {} -c 'create temp table staging (like members)' \
         -c 'copy staging from stdin (format binary)' -c 'analyze staging' \
         -c 'select count(*) from staging s left join members d on d.id = s.id where d.id is null or d *<> s' > /dev/null",
        rig.psql(SOURCE),
        rig.psql(to)
    )
}

fn unchanged(rig: &Rig, project: &Project, to: &str, mode: &str, bound: &str, floor: Option<&str>) -> Result<Row> {
    let mut row = Row {
        work: format!("1 M rows, nothing changed, `--mode {mode}`"),
        bound: bound.to_owned(),
        floor: Vec::new(),
        product: Vec::new(),
        note: String::new(),
    };
    let tuples = rig.sql(to, TUPLES)?;
    let mut wal_max = 0;
    for turn in 1..=rig.runs {
        if let Some(floor) = floor {
            row.floor.push(shell(floor)?);
        }
        rig.checkpoint()?;
        let start = rig.sql("postgres", "select pg_current_wal_insert_lsn()")?;
        let measured = project.run(mode)?;
        let wal: u64 = rig.sql("postgres", &format!("select pg_current_wal_insert_lsn() - '{start}'::pg_lsn"))?.parse()?;
        wal_max = wal_max.max(wal);
        let found = books(&measured)?;
        let written = Books { fetched: 0, unchanged: 0, ..found };
        ensure!(written == Books::default(), "the run wrote rows: {}", measured.stdout);
        eprintln!("   {turn}: {mode} {:.2} s, {wal} bytes of WAL", measured.seconds);
        row.product.push(measured);
    }
    let rewritten = if rig.sql(to, TUPLES)? == tuples { "no tuple" } else { "TUPLES WERE" };
    row.note = format!("0 rows written, {rewritten} rewritten, at most {} kB of WAL", wal_max.div_ceil(1000));
    Ok(row)
}
