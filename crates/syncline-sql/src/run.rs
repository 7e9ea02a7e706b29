//! A staged run on a SQL system: the whole of it, from the first staged row to the commit, as a list of steps.

use async_trait::async_trait;
use syncline_connector::fail::{self, Fault};
use syncline_connector::{
    Applied, CommitFate, Error, ErrorKind, InParts, LargeFields, Marker, RawChunk, Reject, Result, RunSpec, StagedRun,
};
use syncline_model::{Column, RowBatch};

use crate::bookkeeping::{BEFORE, MARKER};
use crate::order::{Group, parents_first};
use crate::session::{Dialect, LoadPlace, LoadTarget, SqlSession};
use crate::stream::{Stream, number_column, whole};

/// How far the run's transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not opened yet.
    Staging,
    /// Open.
    Open,
    /// Committed or rolled back.
    Over,
}

/// A staged run over one connection.
pub struct SqlRun {
    pub(crate) session: Box<dyn SqlSession>,
    pub(crate) marker: Marker,
    pub(crate) streams: Vec<Stream>,
    pub(crate) undo_rows_max: u64,
    /// Before-images are being kept, and how many more may be.
    pub(crate) images_left: Option<u64>,
    pub(crate) forget: Vec<String>,
    /// The marker table is there.
    pub(crate) marks: bool,
    /// The table of before-images is there.
    pub(crate) keeps_images: bool,
    /// Deletions that free unique values were made before the writes; the remaining ones free nothing.
    pub(crate) deleted_early: bool,
    /// What the system would judge at COMMIT is judged after each statement: it refused something, and the row is to be found.
    pub(crate) settles_each: bool,
    /// Rows are put back as they were, also in columns that no sync writes and triggers keep.
    pub(crate) restores: bool,
    /// Parents first.
    pub(crate) groups: Vec<Group>,
    phase: Phase,
    loading: Option<String>,
    savepoints: u32,
}

impl SqlRun {
    /// Opens a run: looks for the bookkeeping tables, makes new tables where DDL commits by itself.
    pub async fn open(session: Box<dyn SqlSession>, spec: RunSpec) -> Result<Box<dyn StagedRun>> {
        let streams = spec.streams.into_iter().enumerate();
        let streams = streams.map(|(i, w)| Stream::new(w, i, session.dialect())).collect::<Result<Vec<_>>>()?;
        let groups = parents_first(&streams.iter().map(|s| &s.write.table).collect::<Vec<_>>());
        let mut run = Self {
            session,
            marker: spec.marker,
            streams,
            undo_rows_max: spec.undo_rows_max,
            images_left: None,
            forget: spec.forget,
            marks: false,
            keeps_images: false,
            deleted_early: false,
            settles_each: false,
            restores: false,
            groups,
            phase: Phase::Staging,
            loading: None,
            savepoints: 0,
        };
        run.marks = run.has_book(MARKER).await?;
        run.keeps_images = run.has_book(BEFORE).await?;
        if run.dialect().ddl_commits() {
            run.create_all_tables().await?;
        }
        Ok(Box::new(run))
    }

    pub(crate) fn dialect(&self) -> &dyn Dialect {
        self.session.dialect()
    }

    /// Runs a statement behind a failpoint. A lost answer is one that the server sent after it did the work.
    pub(crate) async fn step(&mut self, point: &'static str, sql: &str) -> Result<u64> {
        let fault = self.faulted(point).await?;
        let answer = self.session.execute(sql).await?;
        match fault {
            Fault::None | Fault::Cut | Fault::Error => Ok(answer),
            Fault::LoseAnswer => {
                self.session.sever().await;
                let message = format!("failpoint {point}: the answer was lost");
                Err(Error::new(ErrorKind::Unavailable, "connection_lost", message).hint("nothing was committed; run again"))
            }
        }
    }

    /// Passes a failpoint. Where it stands before more than one statement, a lost answer is a lost connection.
    pub(crate) async fn pass(&mut self, point: &'static str) -> Result<()> {
        if self.faulted(point).await? == Fault::LoseAnswer {
            self.session.sever().await;
        }
        Ok(())
    }

    async fn faulted(&mut self, point: &'static str) -> Result<Fault> {
        let fault = fail::point(point);
        match fault {
            Fault::None | Fault::LoseAnswer => {}
            Fault::Cut => self.session.sever().await,
            Fault::Error => return Err(Error::new(ErrorKind::Unavailable, "injected_fault", format!("failpoint {point}"))),
        }
        Ok(fault)
    }

    /// The single number that a query answers.
    pub(crate) async fn count(&mut self, sql: &str) -> Result<u64> {
        let rows = self.session.query(sql, &[number_column("n")]).await?;
        whole(&rows, 0, 0)
    }

    pub(crate) async fn rows(&mut self, sql: &str, columns: &[Column]) -> Result<RowBatch> {
        self.session.query(sql, columns).await
    }

    /// Opens a savepoint and gives its name.
    pub(crate) async fn savepoint(&mut self) -> Result<String> {
        self.savepoints += 1;
        let name = format!("syncline_{}", self.savepoints);
        self.session.execute(&format!("SAVEPOINT {name}")).await?;
        Ok(name)
    }

    pub(crate) async fn release(&mut self, savepoint: &str) -> Result<()> {
        self.session.execute(&format!("RELEASE SAVEPOINT {savepoint}")).await.map(drop)
    }

    pub(crate) async fn back_to(&mut self, savepoint: &str) -> Result<()> {
        self.session.execute(&format!("ROLLBACK TO SAVEPOINT {savepoint}")).await?;
        self.release(savepoint).await
    }

    /// The run's transaction is open.
    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Opens the transaction once.
    pub(crate) async fn open_transaction(&mut self) -> Result<()> {
        if self.phase == Phase::Staging && self.dialect().ddl_commits() {
            self.make_tables_for_later().await?;
        }
        self.begin_once().await
    }

    pub(crate) async fn begin_once(&mut self) -> Result<()> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Over => Err(Error::internal("the staged run is over already")),
            Phase::Staging => {
                self.finish_load().await?;
                if self.streams.iter().all(|s| s.write.in_parts == InParts::Filling) {
                    self.session.leave_unchecked().await?;
                }
                self.session.begin().await?;
                self.phase = Phase::Open;
                if self.dialect().cycle_insert() == crate::CycleInsert::Defer {
                    for sql in self.dialect().cycle_guard().0 {
                        self.session.execute(&sql).await?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Makes `target` the table that bulk rows go to.
    async fn load_into(&mut self, target: &LoadTarget) -> Result<()> {
        if self.loading.as_ref().is_some_and(|t| *t != target.table) {
            self.finish_load().await?;
        }
        self.loading = Some(target.table.clone());
        Ok(())
    }

    pub(crate) async fn finish_load(&mut self) -> Result<()> {
        if self.loading.take().is_some() {
            self.pass("stage.flush").await?;
            self.session.finish_load().await?;
        }
        Ok(())
    }

    /// What was being loaded is thrown away.
    pub(crate) fn forget_load(&mut self) {
        self.loading = None;
    }

    async fn apply_all(&mut self) -> Result<Applied> {
        self.pass("apply.start").await?;
        self.finish_load().await?;
        self.open_transaction().await?;
        self.create_missing_tables().await?;
        self.after_staging().await?;
        self.join_respelled_keys().await?;
        self.narrow_streams().await?;
        self.check_rows().await?;
        self.lock_and_expect().await?;
        self.save_before_images().await?;
        self.write_and_observe().await?;
        self.finish_tables().await?;
        self.drop_tables().await?;
        self.save_after_hashes().await?;
        self.refuse_rejects_when_strict()?;
        self.forget_stale_images().await?;
        self.write_marker().await?;
        self.close_books()?;
        let token = self.session.token().await?;
        self.pass("apply.end").await?;
        let outcomes = self.streams.iter_mut().map(|s| std::mem::take(&mut s.outcome)).collect();
        Ok(Applied { outcomes, token, marked: self.marks, undoable: self.images_left.is_some() })
    }

    fn refuse_rejects_when_strict(&self) -> Result<()> {
        match self.streams.iter().find(|s| s.write.strict && !s.outcome.rejects.is_empty()) {
            None => Ok(()),
            Some(s) => {
                let r = &s.outcome.rejects[0];
                let column = r.column.as_ref().map(|c| format!(", column `{c}`")).unwrap_or_default();
                Err(Error::new(ErrorKind::BadRecord, r.code, format!("stream `{}`{column}: {}", s.write.stream, r.detail))
                    .hint("`rows: strict` fails the whole run; `rows: park` sets such rows aside"))
            }
        }
    }

    /// `unchanged` is what remains; it can only come out negative when somebody else wrote the same rows meanwhile (R17).
    fn close_books(&mut self) -> Result<()> {
        for s in &mut self.streams {
            let o = &mut s.outcome;
            let placed = o.created + o.updated + o.merged + o.rejects.len() as u64;
            o.unchanged = o.staged.checked_sub(placed).ok_or_else(|| {
                Error::new(
                    ErrorKind::Conflict,
                    "row_changed",
                    format!("stream `{}`: {} rows staged but {placed} written or set aside", s.write.stream, o.staged),
                )
                .hint("another program wrote the same rows; nothing was committed, run again")
            })?;
        }
        Ok(())
    }
}

#[async_trait]
impl StagedRun for SqlRun {
    async fn stage(&mut self, stream: usize, rows: &RowBatch) -> Result<Vec<Reject>> {
        self.pass("stage.batch").await?;
        self.make_row_table(stream).await?;
        let target = self.streams[stream].row_target();
        self.load_into(&target).await?;
        let answer = self.session.load(&target, rows).await;
        let rejects = self.straight_answer(stream, answer)?;
        self.streams[stream].outcome.staged += rows.len() as u64 - rejects.len() as u64;
        Ok(rejects)
    }

    async fn stage_large(&mut self, stream: usize, row: &RowBatch, fields: &mut dyn LargeFields) -> Result<Option<Reject>> {
        self.pass("stage.batch").await?;
        self.make_row_table(stream).await?;
        let target = self.streams[stream].row_target();
        self.load_into(&target).await?;
        let answer = self.session.load_large(&target, row, fields).await;
        let reject = self.straight_answer(stream, answer)?;
        self.streams[stream].outcome.staged += u64::from(reject.is_none());
        Ok(reject)
    }

    async fn stage_raw(&mut self, stream: usize, chunk: RawChunk) -> Result<()> {
        self.pass("stage.raw").await?;
        self.make_row_table(stream).await?;
        let target = self.streams[stream].row_target();
        self.load_into(&target).await?;
        self.streams[stream].outcome.staged += chunk.rows;
        let answer = self.session.load_raw(&target, chunk).await;
        self.straight_answer(stream, answer)
    }

    async fn begin_straight(&mut self, stream: usize) -> Result<bool> {
        self.take_empty_table(stream).await
    }

    async fn end_straight(&mut self, stream: usize) -> Result<bool> {
        self.settle_straight(stream).await
    }

    async fn stage_expected(&mut self, stream: usize, rows: &RowBatch) -> Result<()> {
        self.pass("stage.expected").await?;
        self.make_expected_table(stream).await?;
        let s = &self.streams[stream];
        let target = LoadTarget { table: s.expected.clone(), columns: s.columns.clone(), numbered: true, place: LoadPlace::Staging };
        self.load_into(&target).await?;
        let rejects = self.session.load(&target, rows).await?;
        match rejects.first() {
            None => Ok(()),
            Some(r) => Err(Error::internal(format!("a row just read from the destination does not fit it: {}", r.detail))),
        }
    }

    async fn stage_deletes(&mut self, stream: usize, keys: &RowBatch) -> Result<()> {
        self.pass("stage.deletes").await?;
        self.make_deletion_table(stream).await?;
        let s = &self.streams[stream];
        let target = LoadTarget { table: s.deletions.clone(), columns: s.key.clone(), numbered: true, place: LoadPlace::Staging };
        self.load_into(&target).await?;
        let rejects = self.session.load(&target, keys).await?;
        match rejects.first() {
            None => Ok(()),
            Some(r) => Err(Error::internal(format!("a key just read from the destination does not fit it: {}", r.detail))),
        }
    }

    async fn stage_undo(&mut self, stream: usize, run: &str) -> Result<Vec<Reject>> {
        self.finish_load().await?;
        self.undo_into_staging(stream, run).await
    }

    async fn stage_drop(&mut self, stream: usize) -> Result<()> {
        self.finish_load().await?;
        self.mark_for_drop(stream).await
    }

    async fn apply(&mut self) -> Result<Applied> {
        self.apply_all().await
    }

    async fn commit(&mut self) -> Result<()> {
        self.phase = Phase::Over;
        let fault = fail::point("commit.send");
        if fault == Fault::Cut {
            self.session.sever().await;
        }
        if fault == Fault::Error {
            // A statement that failed, and nobody noticed: what the system makes of the commit is the answer (C14).
            drop(self.session.execute("SELECT no_such_column").await);
        }
        let answer = self.session.commit().await;
        match fail::point("commit.answer") {
            Fault::None => {}
            Fault::Cut | Fault::LoseAnswer | Fault::Error => {
                self.session.sever().await;
                return Err(Error::new(ErrorKind::Unavailable, "commit_unknown", "commit: the answer was lost"));
            }
        }
        if fault == Fault::LoseAnswer {
            return Err(Error::new(ErrorKind::Unavailable, "commit_unknown", "commit: the answer was lost"));
        }
        answer
    }

    async fn abort(&mut self) -> Result<()> {
        self.loading = None;
        let was = std::mem::replace(&mut self.phase, Phase::Over);
        if was == Phase::Open {
            self.session.rollback().await?;
        }
        Ok(())
    }
}

/// What became of a transaction whose COMMIT was not answered: the marker first, which survives a failover, then the
/// system's own memory (R24).
pub async fn fate(session: &mut dyn SqlSession, marker: &Marker, token: Option<&str>) -> Result<CommitFate> {
    match crate::bookkeeping::marker_fate(session, marker).await? {
        Some(CommitFate::Committed) => Ok(CommitFate::Committed),
        found => match session.fate(marker, token).await? {
            CommitFate::Unknown => Ok(found.unwrap_or(CommitFate::Unknown)),
            known => Ok(known),
        },
    }
}
