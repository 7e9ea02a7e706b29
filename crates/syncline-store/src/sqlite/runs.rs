//! Runs from start to end, with the books of their streams and the deletions they made or held back.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::cells::{Json, Word};
use super::fault::Fault;
use super::transaction::SqliteTx;
use crate::contract::{Result, RunTable};
use crate::rows::{DeletionRow, Page, RunFilter, RunFinish, RunIntent, RunRow, RunStatus, StreamRow};

const COLUMNS: &str = "number, id, sync, scope, kind, mode, started_at, completed_at, status, books, conflicts, error, intent, undoable, \
                       undone_by, of_run, notes";

#[async_trait]
impl RunTable for SqliteTx {
    async fn start_run(&mut self, run: &RunRow) -> Result<()> {
        let run = run.clone();
        self.step("record a run", move |c| start(c, &run)).await
    }

    async fn save_intent(&mut self, run: &str, intent: &RunIntent) -> Result<()> {
        let (run, intent) = (run.to_owned(), intent.clone());
        self.step("record what a run commits", move |c| {
            let saved = c
                .prepare_cached("update runs set intent = ?2 where id = ?1 and status = 'running'")?
                .execute(params![run, Json(intent)])?;
            if saved == 1 { Ok(()) } else { Err(not_running(c, &run)?) }
        })
        .await
    }

    async fn save_stream(&mut self, run: &str, stream: &StreamRow) -> Result<()> {
        let (run, stream) = (run.to_owned(), stream.clone());
        self.step("save the books of a stream", move |c| save_stream(c, &run, &stream)).await
    }

    async fn finish_run(&mut self, run: &str, finish: &RunFinish) -> Result<()> {
        let (run, finish) = (run.to_owned(), finish.clone());
        self.step("end a run", move |c| end(c, &run, &finish)).await
    }

    async fn mark_undone(&mut self, run: &str, by: &str) -> Result<()> {
        let (run, by) = (run.to_owned(), by.to_owned());
        self.step("mark a run as undone", move |c| {
            let marked = c.prepare_cached("update runs set undone_by = ?2, undoable = false where id = ?1")?.execute(params![run, by])?;
            if marked == 1 { Ok(()) } else { Err(Fault::conflict("run_unknown", format!("mark `{run}` as undone: there is no such run"))) }
        })
        .await
    }

    async fn stale_undo(&mut self, sync: &str, scope: &str, keep: u32) -> Result<Vec<String>> {
        let (sync, scope) = (sync.to_owned(), scope.to_owned());
        self.step("list runs to forget", move |c| {
            let sql = "select id from runs where sync = ?1 and scope = ?2 and undoable order by number desc limit -1 offset ?3";
            let mut statement = c.prepare_cached(sql)?;
            let ids = statement.query_map(params![sync, scope, keep], |r| r.get(0))?;
            Ok(ids.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn drop_undo(&mut self, runs: &[String]) -> Result<()> {
        let runs = runs.to_vec();
        self.step("forget before-images", move |c| {
            let mut statement = c.prepare_cached("update runs set undoable = false where id = ?1")?;
            for run in runs {
                statement.execute([run])?;
            }
            Ok(())
        })
        .await
    }

    async fn load_run(&mut self, run: &str) -> Result<Option<RunRow>> {
        let asked = run.to_owned();
        self.step("load a run", move |c| {
            let Some(id) = find_id(c, "runs", &asked)? else { return Ok(None) };
            let row = c.prepare_cached(&format!("select {COLUMNS} from runs where id = ?1"))?.query_row([id], row)?;
            Ok(Some(with_streams(c, row)?))
        })
        .await
    }

    async fn list_runs(&mut self, filter: &RunFilter, page: &Page) -> Result<Vec<RunRow>> {
        let (filter, page) = (filter.clone(), *page);
        self.step("list runs", move |c| list(c, &filter, page)).await
    }

    async fn save_deletions(&mut self, rows: &[DeletionRow]) -> Result<()> {
        let rows = rows.to_vec();
        self.step("save deletions", move |c| {
            // A run that is settled twice logs each deletion once (A10).
            let mut save = c.prepare_cached(
                "insert into run_deletions (run, stream, key_json, reason, done) values (?1, ?2, ?3, ?4, ?5)
                 on conflict (run, stream, key_json) do update set reason = excluded.reason, done = excluded.done",
            )?;
            for d in rows {
                save.execute(params![d.run, d.stream, d.key_json, d.reason, d.done])?;
            }
            Ok(())
        })
        .await
    }

    async fn list_deletions(&mut self, run: &str, page: &Page) -> Result<Vec<DeletionRow>> {
        let (run, page) = (run.to_owned(), *page);
        self.step("list deletions", move |c| {
            let mut statement = c.prepare_cached(
                "select run, stream, key_json, reason, done from run_deletions where run = ?1 order by number limit ?2 offset ?3",
            )?;
            let rows = statement.query_map(params![run, page.limit, page.offset], |r| {
                Ok(DeletionRow { run: r.get(0)?, stream: r.get(1)?, key_json: r.get(2)?, reason: r.get(3)?, done: r.get(4)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn prune_runs(&mut self, before: i64, keep: u32) -> Result<u64> {
        self.step("prune runs", move |c| prune(c, before, keep)).await
    }
}

fn start(c: &Connection, run: &RunRow) -> Result<(), Fault> {
    if run.status != RunStatus::Running {
        return Err(Fault::conflict("run_not_running", format!("record run `{}`: a run starts as running", run.id)));
    }
    c.prepare_cached(
        "insert into runs (id, sync, scope, kind, mode, started_at, completed_at, status, books, conflicts, error, intent, undoable,
                           undone_by, of_run, notes)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?
    .execute(params![
        run.id,
        run.sync,
        run.scope,
        Word(run.kind),
        run.mode,
        run.started_at,
        run.completed_at,
        Word(run.status),
        Json(run.books),
        run.conflicts,
        run.error.as_ref().map(Json),
        run.intent.as_ref().map(Json),
        run.undoable,
        run.undone_by,
        run.of_run,
        Json(&run.notes)
    ])?;
    run.streams.iter().try_for_each(|stream| save_stream(c, &run.id, stream))
}

fn save_stream(c: &Connection, run: &str, stream: &StreamRow) -> Result<(), Fault> {
    c.prepare_cached("insert or replace into run_streams (run, stream, body) values (?1, ?2, ?3)")?.execute(params![
        run,
        stream.stream,
        Json(stream)
    ])?;
    Ok(())
}

fn end(c: &Connection, run: &str, finish: &RunFinish) -> Result<(), Fault> {
    if finish.status == RunStatus::Running {
        return Err(Fault::conflict("run_not_running", format!("end run `{run}`: running is no end")));
    }
    // The intent goes with the end: it is there only while it is not settled.
    let ended = c
        .prepare_cached(
            "update runs set status = ?2, completed_at = ?3, books = ?4, conflicts = ?5, error = ?6, undoable = ?7, notes = ?8, intent = null
             where id = ?1 and status = 'running'",
        )?
        .execute(params![
            run,
            Word(finish.status),
            finish.completed_at,
            Json(finish.books),
            finish.conflicts,
            finish.error.as_ref().map(Json),
            finish.undoable,
            Json(&finish.notes)
        ])?;
    if ended == 1 { Ok(()) } else { Err(not_running(c, run)?) }
}

fn not_running(c: &Connection, run: &str) -> Result<Fault, Fault> {
    let status: Option<String> = c.query_row("select status from runs where id = ?1", [run], |r| r.get(0)).optional()?;
    Ok(match status {
        Some(status) => Fault::conflict("run_not_running", format!("run `{run}` is not running: it ended as `{status}`")),
        None => Fault::conflict("run_unknown", format!("there is no run `{run}`")),
    })
}

fn list(c: &Connection, filter: &RunFilter, page: Page) -> Result<Vec<RunRow>, Fault> {
    let sql = format!(
        "select {COLUMNS} from runs
         where (?1 is null or sync = ?1) and (?2 is null or scope = ?2) and (?3 is null or status = ?3) and (?4 is null or started_at >= ?4)
         order by started_at desc, number desc limit ?5 offset ?6"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let rows =
        statement.query_map(params![filter.sync, filter.scope, filter.status.map(Word), filter.since, page.limit, page.offset], row)?;
    rows.map(|row| with_streams(c, row?)).collect()
}

fn with_streams(c: &Connection, mut run: RunRow) -> Result<RunRow, Fault> {
    let mut statement = c.prepare_cached("select body from run_streams where run = ?1 order by stream")?;
    let streams = statement.query_map([&run.id], |r| Ok(r.get::<_, Json<StreamRow>>(0)?.0))?;
    run.streams = streams.collect::<rusqlite::Result<_>>()?;
    Ok(run)
}

fn row(r: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        number: r.get(0)?,
        id: r.get(1)?,
        sync: r.get(2)?,
        scope: r.get(3)?,
        kind: r.get::<_, Word<_>>(4)?.0,
        mode: r.get(5)?,
        started_at: r.get(6)?,
        completed_at: r.get(7)?,
        status: r.get::<_, Word<_>>(8)?.0,
        books: r.get::<_, Json<_>>(9)?.0,
        conflicts: r.get(10)?,
        error: r.get::<_, Option<Json<_>>>(11)?.map(|e| e.0),
        intent: r.get::<_, Option<Json<_>>>(12)?.map(|i| i.0),
        undoable: r.get(13)?,
        undone_by: r.get(14)?,
        of_run: r.get(15)?,
        notes: r.get::<_, Json<_>>(16)?.0,
        streams: Vec::new(),
    })
}

/// The id that a person means by an id, a number, or the beginning of an id. `table` is one of ours, with `id` and `number`.
pub(super) fn find_id(c: &Connection, table: &str, asked: &str) -> Result<Option<String>, Fault> {
    // Ids are time-ordered and start with 0 for the next three thousand years, numbers never do: the two cannot be mixed up.
    let number = if asked.starts_with('0') { None } else { asked.parse::<i64>().ok() };
    let sql = format!("select id from {table} where id = ?1 or number = ?2 order by id = ?1 desc limit 1");
    let exact = c.prepare_cached(&sql)?.query_row(params![asked, number], |r| r.get(0)).optional()?;
    if exact.is_some() || asked.is_empty() {
        return Ok(exact);
    }
    let mut statement = c.prepare_cached(&format!("select id from {table} where substr(id, 1, length(?1)) = ?1 limit 2"))?;
    let mut found = statement.query_map([asked], |r| r.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    if found.len() > 1 {
        return Err(Fault::conflict("id_ambiguous", format!("`{asked}` is the beginning of several ids; give more of it")));
    }
    Ok(found.pop())
}

fn prune(c: &Connection, before: i64, keep: u32) -> Result<u64, Fault> {
    let removed = c
        .prepare_cached(
            "delete from runs where status <> 'running' and started_at < ?1
             and id not in (select run from parked_rows where outcome is null)
             and number not in (select number from (select number, row_number() over (partition by sync order by number desc) as place from runs)
                                where place <= ?2)",
        )?
        .execute(params![before, keep])?;
    c.prepare_cached(
        "delete from verify_reports where started_at < ?1
         and number not in (select number from (select number, row_number() over (partition by sync order by number desc) as place from verify_reports)
                            where place <= ?2)",
    )?
    .execute(params![before, keep])?;
    c.prepare_cached("delete from parked_rows where outcome is not null and last_at < ?1")?.execute([before])?;
    Ok(removed as u64)
}
