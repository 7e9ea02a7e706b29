//! Tools of others on the same work, where they are installed: once each, for orientation.

use anyhow::Result;

use super::measure::{Measured, Row, measure, shell};
use super::rig::{Rig, SOURCE};
use crate::command::is_installed;

/// pgcopydb on the same copy.
pub(crate) fn pgcopydb(rig: &Rig, row: &mut Row) -> Result<()> {
    if !is_installed("pgcopydb") {
        return Ok(());
    }
    let to = rig.database("peer")?;
    rig.checkpoint()?;
    let dir = rig.dir().join("pgcopydb");
    let (from, into) = (rig.postgres(SOURCE), rig.postgres(&to));
    let options = "--table-jobs 2 --index-jobs 2 --no-owner --no-acl";
    let seconds = shell(&format!("pgcopydb clone --source '{from}' --target '{into}' --dir {} {options} >/dev/null 2>&1", dir.display()));
    add(row, "pgcopydb clone", seconds.map(|s| format!("{s:.1} s")));
    rig.drop_database(&to)
}

/// pgloader on the same copy from MariaDB, with the settings that keep it from running out of heap.
pub(crate) fn pgloader(rig: &Rig, row: &mut Row) -> Result<()> {
    if !is_installed("pgloader") {
        return Ok(());
    }
    let to = rig.database("peer")?;
    rig.checkpoint()?;
    let script = rig.dir().join("members.load");
    let text = format!(
        "load database from {} into {} with prefetch rows = 10000, workers = 2, concurrency = 1 \
         cast type uuid to uuid drop typemod;\n",
        rig.mariadb_url(),
        rig.postgres(&to)
    );
    std::fs::write(&script, text)?;
    let done = measure(std::process::Command::new("pgloader").args(["--quiet", &script.to_string_lossy()]));
    let shown = |m: Measured| format!("{:.1} s, {} MiB", m.seconds, m.peak_kib / 1024);
    let complete = rig.sql(&to, "select count(*) from bench.members").is_ok_and(|n| n == "1000000");
    let outcome = if complete { done.map(shown) } else { Err(anyhow::anyhow!("it did not copy all rows")) };
    add(row, "pgloader", outcome);
    rig.drop_database(&to)
}

fn add(row: &mut Row, tool: &str, outcome: Result<String>) {
    match outcome {
        Ok(figures) => row.note.push_str(&format!("; {tool}, once: {figures}")),
        Err(error) => eprintln!("   {tool}: {error:#}"),
    }
}
