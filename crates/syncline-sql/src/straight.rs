//! Rows straight into a table that was there before and is empty (R20): under a lock that keeps other writers out, past all constraints of
//! the table. The first row that one of them refuses takes all of them back; then the stream goes by staging.

use syncline_connector::{Error, ErrorKind, Result, WritePath};

use crate::run::SqlRun;
use crate::stream::{Stream, refs};

/// Whether a stream's rows go straight into their table although the run did not make it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Straight {
    /// They go by staging.
    #[default]
    No,
    /// They are on their way, behind this savepoint.
    Open(String),
    /// The table refused one of them; the savepoint is still to be gone back to.
    Refused(String),
    /// All of them are in.
    Done,
}

impl SqlRun {
    /// Takes the stream's table for rows to go straight into it, where it is empty and a bulk load does what the staged apply would do.
    pub(crate) async fn take_empty_table(&mut self, stream: usize) -> Result<bool> {
        let claim = self.dialect().claim_empty(&self.streams[stream].table).filter(|_| self.may_go_straight(stream));
        let Some((lock, against)) = claim else { return Ok(false) };
        self.finish_load().await?;
        self.open_transaction().await?;
        let savepoint = self.savepoint().await?;
        self.pass("straight.lock").await?;
        match self.is_free(&lock, &against).await {
            Ok(true) => {
                self.streams[stream].straight = Straight::Open(savepoint);
                Ok(true)
            }
            Err(e) if e.kind == ErrorKind::Unavailable => Err(e),
            // Somebody writes to it, it has rows, or there is no right to lock it. Going back lets go of the lock.
            Ok(false) | Err(_) => self.back_to(&savepoint).await.map(|()| false),
        }
    }

    async fn is_free(&mut self, lock: &str, against: &str) -> Result<bool> {
        self.session.execute(lock).await?;
        Ok(self.count(against).await? == 0)
    }

    /// Keys have to be told apart by an index, for nothing else looks for repeated ones; triggers may make something else of a row; and a
    /// row's parents have to be there before it, to stay.
    fn may_go_straight(&self, stream: usize) -> bool {
        let s = &self.streams[stream];
        let (w, t) = (&s.write, &s.write.table);
        let there = |parent| {
            let p = self.streams.iter().find(|p| p.write.table.name == parent);
            parent == t.name || p.is_none_or(|p| p.straight == Straight::Done)
        };
        let ours = w.path == WritePath::Stage && w.create.is_none() && !s.made.rows && !w.expects && s.straight == Straight::No;
        let stamped = w.stamp.as_ref().is_some_and(|c| !w.columns.contains(c));
        let found_by_key = s.key_is_unique() && s.key.iter().all(|c| !c.nullable);
        ours && !stamped && !self.is_observed() && found_by_key && t.foreign_keys.iter().all(|k| there(k.parent.clone()))
    }

    /// What a table refuses that rows go straight into is remembered, for a COPY cannot go on behind it.
    pub(crate) fn straight_answer<T>(&mut self, stream: usize, answer: Result<T>) -> Result<T> {
        let s = &mut self.streams[stream];
        if let (Err(e), Straight::Open(savepoint)) = (&answer, &s.straight)
            && e.kind == ErrorKind::BadRecord
        {
            s.straight = Straight::Refused(savepoint.clone());
        }
        answer
    }

    /// No row can follow one that was refused.
    pub(crate) fn refuse_after_refusal(&self, stream: usize) -> Result<()> {
        let s = &self.streams[stream];
        if !matches!(s.straight, Straight::Refused(_)) {
            return Ok(());
        }
        let message = format!("stream `{}`: its table refused a row, and all of them are to be staged", s.write.stream);
        Err(Error::new(ErrorKind::BadRecord, "constraint_violated", message))
    }

    /// Ends the load. `false`: the table is as it was, and nothing of the stream is staged.
    pub(crate) async fn settle_straight(&mut self, stream: usize) -> Result<bool> {
        if matches!(self.streams[stream].straight, Straight::Open(_)) {
            let answer = self.finish_load().await;
            match self.straight_answer(stream, answer) {
                Err(e) if e.kind == ErrorKind::BadRecord => {}
                other => other?,
            }
        }
        match std::mem::take(&mut self.streams[stream].straight) {
            Straight::Open(savepoint) => {
                self.pass("straight.end").await?;
                // Rows that never came to be (a policy, a partition with rules of its own) would be called created.
                let there = self.count(&format!("SELECT count(*) AS n FROM {}", self.streams[stream].table)).await?;
                if there != self.streams[stream].outcome.staged {
                    return self.take_back(stream, &savepoint).await.map(|()| false);
                }
                self.release(&savepoint).await?;
                self.streams[stream].straight = Straight::Done;
                Ok(true)
            }
            Straight::Refused(savepoint) => self.take_back(stream, &savepoint).await.map(|()| false),
            Straight::No | Straight::Done => Err(Error::internal("a straight load was ended that never began")),
        }
    }

    async fn take_back(&mut self, stream: usize, savepoint: &str) -> Result<()> {
        self.pass("straight.refused").await?;
        self.forget_load();
        self.streams[stream].outcome.staged = 0;
        self.back_to(savepoint).await
    }

    /// The keys of all rows of a table that was empty before, as one INSERT.
    pub(crate) fn straight_images(&self, stream: usize, limit: u64) -> Vec<String> {
        let s: &Stream = &self.streams[stream];
        let d = self.dialect();
        let number = format!("{} + row_number() OVER ()", self.created_number(stream));
        let (key, stored) = (refs(&s.key), self.restored_columns(stream));
        let (head, key, hash) = (self.image_head(stream, "C", &number), d.image(&key, "d"), d.row_hash(&refs(&stored), "d"));
        vec![format!("{head}, {key}, NULL, {hash} FROM {} d LIMIT {limit}", s.table)]
    }
}
