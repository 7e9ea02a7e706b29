//! The tables and how older files become them: forward only, all steps in one transaction, so that a cut or a second process
//! finds either the old format or the new one.

use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior};

use super::fault::Fault;
use crate::error::StoreError;

/// `SYNC`: marks the file as ours, so that nobody else's database is written into.
const APPLICATION_ID: i64 = 0x5359_4e43;

/// Steps; the format of a file is the number of steps it has seen. Never change a step that was released: add one.
const STEPS: &[&str] = &[
    include_str!("schema/0001_state.sql"),
    include_str!("schema/0002_process.sql"),
    include_str!("schema/0003_waiting.sql"),
    include_str!("schema/0004_shape.sql"),
];

/// The newest format this program knows.
pub(super) fn known() -> u32 {
    u32::try_from(STEPS.len()).expect("invariant: steps are few")
}

/// Refuses a SQLite file that belongs to another program, before anything in it changes.
pub(super) fn refuse_strangers(c: &Connection) -> Result<(), Fault> {
    let id: i64 = c.query_row("pragma application_id", [], |r| r.get(0))?;
    let filled: bool = c.query_row("select exists (select 1 from sqlite_schema)", [], |r| r.get(0))?;
    if id == APPLICATION_ID || (id == 0 && !filled) {
        return Ok(());
    }
    Err(Fault::Damaged("it is the database of another program; name a file of its own in `state.url`".to_owned()))
}

/// Makes a commit mean durable, and readers not wait for the writer.
pub(super) fn set_durable(c: &Connection) -> Result<(), Fault> {
    let mode = enter_wal(c)?;
    // A database in memory has no log; every file must have one.
    if mode != "wal" && mode != "memory" {
        return Err(Fault::Damaged(format!("its file system allows no write-ahead log (journal mode is `{mode}`)")));
    }
    c.pragma_update(None, "synchronous", "full")?;
    c.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

/// Two processes that turn the log on at once refuse each other without waiting, whatever the busy timeout says.
fn enter_wal(c: &Connection) -> Result<String, Fault> {
    const TRIES: u32 = 500;
    const PAUSE: Duration = Duration::from_millis(10);
    for _ in 1..TRIES {
        match c.pragma_update_and_check(None, "journal_mode", "wal", |r| r.get(0)) {
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => thread::sleep(PAUSE),
            done => return Ok(done?),
        }
    }
    Ok(c.pragma_update_and_check(None, "journal_mode", "wal", |r| r.get(0))?)
}

/// Brings the file to the newest format. The first of two processes does it, the second finds it done.
pub(super) fn migrate(c: &Connection) -> Result<(), Fault> {
    let tx = rusqlite::Transaction::new_unchecked(c, TransactionBehavior::Immediate)?;
    let found = format(&tx)?;
    if found > known() {
        return Err(StoreError::Newer { found, known: known() }.into());
    }
    if found == known() {
        return Ok(());
    }
    for step in &STEPS[found as usize..] {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.execute("insert into meta (name, value) values ('format', ?1) on conflict (name) do update set value = excluded.value", [known()])?;
    tx.commit()?;
    Ok(())
}

fn format(c: &Connection) -> Result<u32, Fault> {
    let made: bool = c.query_row("select exists (select 1 from sqlite_schema where type = 'table' and name = 'meta')", [], |r| r.get(0))?;
    if !made {
        return Ok(0);
    }
    let text: Option<String> = c.query_row("select value from meta where name = 'format'", [], |r| r.get(0)).optional()?;
    let number = text.as_deref().and_then(|t| t.parse().ok());
    number.ok_or_else(|| Fault::Damaged("its format number is missing or no number".to_owned()))
}
