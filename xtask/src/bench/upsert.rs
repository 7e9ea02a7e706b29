//! 100 k changed rows into 1 M, as an incremental run, with before-images and without, into PostgreSQL and into MariaDB.

use anyhow::{Result, ensure};

use super::measure::{Measured, Row, shell};
use super::members;
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
        // Who comes first finds the caches colder, so everyone does in turn.
        for part in (0..3).map(|i| (i + turn) % 3) {
            rig.checkpoint()?;
            if part == 2 {
                let seconds = shell(&floor(rig, &source, &hand, &before))?;
                rows.iter_mut().for_each(|r| r.floor.push(seconds));
            } else {
                rows[part].product.push(changed(&projects[part])?);
            }
        }
        let seconds: Vec<String> = rows.iter().map(|r| format!("{:.2}", r.product[turn - 1].seconds)).collect();
        eprintln!("   {turn}: floor {:.2} s, product {} s (undo on, off)", rows[0].floor[turn - 1], seconds.join(" and "));
    }
    for (_, to) in &sides {
        rig.must_be_same(&source, to, "members")?;
    }
    for database in [&hand, &sides[0].1, &sides[1].1] {
        rig.drop_database(database)?;
    }
    rows.push(into_mariadb(rig, &source)?);
    rig.drop_database(&source)?;
    Ok(rows)
}

fn changed(project: &Project) -> Result<Measured> {
    let measured = project.run("incremental")?;
    ensure!(books(&measured)?.updated == CHANGED, "the run updated another number of rows: {}", measured.stdout);
    Ok(measured)
}

/// The same changes into MariaDB. Its floor is the same two statements by hand: no upsert of MariaDB's keeps rows apart (R1).
fn into_mariadb(rig: &Rig, source: &str) -> Result<Row> {
    rig.sql(source, "vacuum members")?;
    rig.mariadb("create database bench_upsert; create database bench_upsert_floor")?;
    let sides = ["bench_upsert", "bench_upsert_floor"];
    sides.iter().try_for_each(|database| members::make_mariadb(rig, source, database))?;
    let url = rig.mariadb_url().replace("/bench", "/bench_upsert");
    let options = ["mode: incremental", "streams: { members: { cursor: updated_at } }"];
    let project = Project::new(rig, &rig.postgres(source), &url, &options)?;
    project.run("incremental")?;
    let mut row = Row {
        work: "100 k changed rows into 1 M of MariaDB, incremental, `undo: on`".into(),
        bound: "–".into(),
        floor: Vec::new(),
        product: Vec::new(),
        note: "floor: `LOAD DATA` to staging, one `UPDATE … JOIN` of rows that differ, one `INSERT` of those that are not there".into(),
    };
    for turn in 1..=rig.runs {
        let before = rig.sql(source, "select max(updated_at) from members")?;
        rig.sql(source, CHANGE)?;
        for part in (0..2).map(|i| (i + turn) % 2) {
            if part == 0 {
                row.floor.push(shell(&mariadb_floor(rig, source, &before)?)?);
            } else {
                row.product.push(changed(&project)?);
            }
        }
        eprintln!("   {turn}: MariaDB floor {:.2} s, product {:.2} s", row.floor[turn - 1], row.product[turn - 1].seconds);
    }
    let sums =
        sides.map(|d| rig.mariadb(&format!("select count(*), sum(crc32(concat_ws('|', m.id, first_name, balance))) from {d}.members m")));
    let [product, floor] = sums;
    ensure!(product? == floor?, "floor and product left other rows in MariaDB");
    rig.mariadb("drop database bench_upsert; drop database bench_upsert_floor")?;
    Ok(row)
}

fn mariadb_floor(rig: &Rig, source: &str, since: &str) -> Result<String> {
    let file = rig.dir().join("changed.txt");
    let set: Vec<String> = COLUMNS.iter().map(|c| format!("d.{c} = s.{c}")).collect();
    let same: Vec<String> = COLUMNS.iter().map(|c| format!("d.{c} <=> s.{c}")).collect();
    let client: Vec<String> = rig.mariadb_client()?.iter().map(|o| format!("'{o}'")).collect();
    Ok(format!(
        "{} -c \"copy ({} where updated_at > '{since}') to stdout\" > {file}; mariadb {} bench_upsert_floor -e \"set time_zone = '+00:00'; \
         create temporary table staging like members; load data local infile '{file}' into table staging character set utf8mb4; start transaction; \
         update members d join staging s on s.id = d.id set {} where not ({}); \
         insert into members select s.* from staging s where not exists (select 1 from members d where d.id = s.id); commit\"",
        rig.psql(source),
        members::AS_TEXT,
        client.join(" "),
        set.join(", "),
        same.join(" and "),
        file = file.display(),
    ))
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
