//! The table that everything is measured on: 1 M rows of 13 mixed columns, the same on every machine.

use anyhow::Result;

use super::measure::shell;
use super::rig::Rig;

/// Rows of the table.
pub(crate) const ROWS: u64 = 1_000_000;

/// The columns, without key and index.
pub(crate) const COLUMNS: &str = "id bigint not null, uid uuid not null, first_name text not null, last_name text not null, email text, \
     born date, joined date not null, balance numeric(12,2) not null, active boolean not null, score double precision, \
     metadata jsonb not null, created_at timestamptz not null, updated_at timestamptz not null";

/// What is in place at the end.
pub(crate) const KEY_AND_INDEX: &str = "alter table members add primary key (id); create index members_updated_at on members (updated_at)";

/// Rows `from`..=`to` from nothing but their number. UUIDs are of version 4: MariaDB takes not every 16 bytes for one. Every text has its own length; one row in 50 has no email.
fn rows(from: u64, to: u64) -> String {
    format!(
        "select i, overlay(overlay(md5(i::text) placing '4' from 13) placing '8' from 17)::uuid, initcap(translate(substr(md5('f' || i), 1, 4 + i % 7), '0123456789', 'aeiounrstl')), \
         initcap(translate(substr(md5('l' || i), 1, 5 + i % 11), '0123456789', 'aeiounrstl')), \
         case when i % 50 <> 7 then substr(md5('e' || i), 1, 12) || '@club' || i % 997 || '.example.org' end, \
         date '1940-01-01' + (i::bigint * 7919 % 26000)::int, date '2000-01-01' + (i::bigint * 104729 % 9000)::int, \
         ((i::bigint * 7907 % 1000000007) % 100000000)::numeric / 100, i % 3 <> 0, sqrt(i) * 1.1, \
         jsonb_build_object('club', i % 997, 'role', (array['player','coach','referee','guest'])[1 + i % 4], 'licence', md5('j' || i)), \
         timestamptz '2015-01-01 00:00+00' + i * interval '91 seconds' + (i * 31 % 1000000) * interval '1 microsecond', \
         timestamptz '2020-01-01 00:00+00' + i * interval '61 seconds' + (i * 17 % 1000000) * interval '1 microsecond' \
         from generate_series({from}, {to}) as i"
    )
}

/// Makes the table in a database of PostgreSQL.
pub(crate) fn make(rig: &Rig, database: &str, count: u64) -> Result<()> {
    rig.sql(database, &format!("create table members ({COLUMNS})"))?;
    // In parts: one statement's memory is the server's, not ours to measure, but a progress that can be seen is.
    for from in (1..=count).step_by(ROWS as usize) {
        let to = count.min(from + ROWS - 1);
        rig.sql(database, &format!("insert into members {}", rows(from, to)))?;
        eprintln!("   made {to} rows");
    }
    rig.sql(database, KEY_AND_INDEX)?;
    rig.sql(database, "vacuum (analyze, freeze) members")?;
    Ok(())
}

/// The same rows in MariaDB. Without defaults: pgloader, which is measured on it, makes a date of `current_timestamp(6)`.
const MARIADB: &str = "create table members (id bigint not null primary key, uid uuid not null, first_name varchar(100) not null, \
     last_name varchar(100) not null, email varchar(200), born date, joined date not null, balance decimal(12,2) not null, \
     active boolean not null, score double, metadata json not null, created_at timestamp(6) not null, \
     updated_at timestamp(6) not null, key members_updated_at (updated_at)) character set utf8mb4";

/// The rows of PostgreSQL in a form that MariaDB reads the same way.
pub(crate) const AS_TEXT: &str = "select id, uid, first_name, last_name, email, born, joined, balance, active::int, score, metadata, \
     to_char(created_at, 'YYYY-MM-DD HH24:MI:SS.US'), to_char(updated_at, 'YYYY-MM-DD HH24:MI:SS.US') from members";

/// Copies the table of a PostgreSQL database into a database of MariaDB, through a file of text.
pub(crate) fn make_mariadb(rig: &Rig, from: &str, to: &str) -> Result<()> {
    let file = rig.dir().join("members.txt");
    let export = format!("{} -c \"copy ({AS_TEXT}) to stdout\" > {}", rig.psql(from), file.display());
    shell(&export)?;
    rig.mariadb(&format!("use {to}; {MARIADB}"))?;
    rig.mariadb(&format!(
        "use {to}; set time_zone = '+00:00'; load data local infile '{}' into table members character set utf8mb4; analyze table members",
        file.display()
    ))?;
    std::fs::remove_file(&file)?;
    Ok(())
}
