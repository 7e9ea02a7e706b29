//! What the destination really made of this run's rows and deletions. Where triggers, rules or row security have a say, what a statement
//! says it did proves nothing: the tables are looked at before and after, and whatever is not as it was asked for is set aside.

use syncline_connector::{DeleteAction, Error, ErrorKind, Reject, Result};
use syncline_model::{Column, LogicalType};

use crate::run::SqlRun;
use crate::stream::{ROW_NUMBER, Stream, number_column, refs, whole};

/// How often the writes are made anew without what the destination did not make as asked. Each time there is less of it, unless triggers
/// take turns.
const PASSES_MAX: u32 = 8;

/// What an observed stream is about to do, by a look at its table right before the writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foretold {
    /// Staged keys without a row.
    pub created: u64,
    /// Staged keys whose row differs.
    pub updated: u64,
}

/// Rows and deletions of a stream that the destination did not make as asked, with their numbers in staging.
struct Deviation {
    stream: usize,
    rows: Vec<(Reject, u64)>,
    deletions: Vec<(Reject, u64)>,
}

/// Where the run stood before the writes.
struct Standing {
    savepoint: String,
    streams: Vec<Stream>,
    deleted_early: bool,
    images_left: Option<u64>,
}

impl SqlRun {
    /// Somebody else has a say in what becomes of a row of this run.
    pub(crate) fn is_observed(&self) -> bool {
        self.streams.iter().any(|s| s.is_interfered_with())
    }

    /// Writes and deletes, and looks at what came of it. What came out otherwise is taken back, set aside, and the rest is written anew:
    /// a row that is set aside leaves nothing behind.
    pub(crate) async fn write_and_observe(&mut self) -> Result<()> {
        let observed = self.is_observed();
        if !observed && self.dialect().settle_constraints().is_none() {
            return self.change_rows().await;
        }
        for _ in 0..PASSES_MAX {
            let before = self.stand().await?;
            self.change_rows().await?;
            match self.settle().await {
                Ok(()) => {}
                Err(e) if e.kind == ErrorKind::BadRecord && !self.settles_each => {
                    self.return_to(before).await?;
                    self.settles_each = true;
                    continue;
                }
                Err(e) => return Err(e),
            }
            let found = if observed { self.deviations().await? } else { Vec::new() };
            if found.is_empty() {
                self.book_what_was_foretold();
                return self.release(&before.savepoint).await;
            }
            self.return_to(before).await?;
            for deviation in found {
                self.set_aside(deviation).await?;
            }
            self.reject_offenders().await?;
        }
        let message = "the destination's triggers, rules or policies change other rows with every attempt";
        Err(Error::new(ErrorKind::BadRecord, "trigger_changed", message).hint("nothing was written; look at the triggers of its tables"))
    }

    /// Has the destination judge now what it would judge at COMMIT, when no row could be set aside any more.
    async fn settle(&mut self) -> Result<()> {
        let Some(sql) = self.dialect().settle_constraints() else { return Ok(()) };
        self.session.execute(sql).await.map(drop)
    }

    /// The same for a part of a stream, once something was refused that only COMMIT would have told.
    pub(crate) async fn settle_each(&mut self, stream: usize) -> Result<()> {
        if !self.settles_each {
            return Ok(());
        }
        let Some(sql) = self.dialect().deferred_constraints(&self.streams[stream].write.table.name) else { return Ok(()) };
        let name = Column::plain("name", LogicalType::Text { chars_max: None, fixed: false }, "text");
        let found = self.rows(&sql, &[name]).await?;
        let names: Vec<String> = found.rows().map(|r| r.get(0).to_owned().to_string()).collect();
        if names.is_empty() {
            return Ok(());
        }
        for when in ["IMMEDIATE", "DEFERRED"] {
            self.session.execute(&format!("SET CONSTRAINTS {} {when}", names.join(", "))).await?;
        }
        Ok(())
    }

    async fn stand(&mut self) -> Result<Standing> {
        let savepoint = self.savepoint().await?;
        Ok(Standing { savepoint, streams: self.streams.clone(), deleted_early: self.deleted_early, images_left: self.images_left })
    }

    async fn return_to(&mut self, before: Standing) -> Result<()> {
        self.back_to(&before.savepoint).await?;
        (self.streams, self.deleted_early, self.images_left) = (before.streams, before.deleted_early, before.images_left);
        Ok(())
    }

    /// Looks which rows are to be created and which to be changed.
    pub(crate) async fn foretell(&mut self) -> Result<()> {
        if !self.is_observed() {
            return Ok(());
        }
        for stream in 0..self.streams.len() {
            if self.streams[stream].is_staged() {
                self.streams[stream].foretold = Some(self.foretold(stream, "1 = 1").await?);
            }
        }
        Ok(())
    }

    async fn foretold(&mut self, stream: usize, of: &str) -> Result<Foretold> {
        let s = &self.streams[stream];
        let d = self.dialect();
        let (there, changes) = (format!("d.{} IS NOT NULL", d.quote(&s.key[0].name)), self.changes(stream));
        let changes = if changes.is_empty() { "1 = 0".to_owned() } else { changes.join(" OR ") };
        let sql = format!(
            "SELECT count(CASE WHEN NOT ({there}) THEN 1 END) AS absent, count(CASE WHEN {there} AND ({changes}) THEN 1 END) AS differing \
             FROM {} s LEFT JOIN {} d ON {} WHERE {of}",
            s.rows,
            s.table,
            d.keys_match(&refs(&s.key), "d", "s")
        );
        let answer = self.rows(&sql, &[number_column("absent"), number_column("differing")]).await?;
        Ok(Foretold { created: whole(&answer, 0, 0)?, updated: whole(&answer, 0, 1)? })
    }

    /// A row that is set aside during the writes does not become what was foretold of it.
    pub(crate) async fn foretell_without(&mut self, stream: usize, number: u64) -> Result<()> {
        let Some(all) = self.streams[stream].foretold else { return Ok(()) };
        let of = format!("s.{} = {number}", self.dialect().quote(ROW_NUMBER));
        let one = self.foretold(stream, &of).await?;
        let rest = Foretold { created: all.created.saturating_sub(one.created), updated: all.updated.saturating_sub(one.updated) };
        self.streams[stream].foretold = Some(rest);
        Ok(())
    }

    /// Every staged row is as it was asked for: so those that were absent were created, and those that differed updated, by whomever.
    fn book_what_was_foretold(&mut self) {
        for s in &mut self.streams {
            if let Some(f) = s.foretold {
                (s.outcome.created, s.outcome.updated) = (f.created, f.updated);
            }
        }
    }

    /// One look at each table; the rows themselves only where that found something.
    async fn deviations(&mut self) -> Result<Vec<Deviation>> {
        let mut found = Vec::new();
        for stream in 0..self.streams.len() {
            let s = &self.streams[stream];
            let (is_staged, deletes) = (s.is_staged(), s.made.deletions && !s.created);
            let mut deviation = Deviation { stream, rows: Vec::new(), deletions: Vec::new() };
            if is_staged {
                let left = self.foretold(stream, "1 = 1").await?;
                // Of a row that is put back whole, a trigger that counts its changes has its own column by right.
                if left.created > 0 || left.updated > 0 && !self.restores {
                    deviation.rows = self.rows_not_made(stream).await?;
                }
            }
            if deletes {
                deviation.deletions = self.deletions_not_made(stream).await?;
            }
            if !deviation.rows.is_empty() || !deviation.deletions.is_empty() {
                found.push(deviation);
            }
        }
        Ok(found)
    }

    async fn rows_not_made(&mut self, stream: usize) -> Result<Vec<(Reject, u64)>> {
        let s = &self.streams[stream];
        let d = self.dialect();
        let (n, limit, table) = (d.quote(ROW_NUMBER), s.write.rejects_max + 1, s.write.table.name.to_string());
        let on = d.keys_match(&refs(&s.key), "d", "s");
        let there = |condition: &str| format!("EXISTS (SELECT 1 FROM {} d WHERE {on}{condition})", s.table);
        let rest = |condition: &str| format!("FROM {} s WHERE {condition} ORDER BY s.{n} LIMIT {limit}", s.rows);
        let kept_out = rest(&format!("NOT {}", there("")));
        let changes = self.changes(stream);
        let changed = (!changes.is_empty() && !self.restores).then(|| rest(&there(&format!(" AND ({})", changes.join(" OR ")))));
        let mut list = Vec::new();
        for (row, number) in self.rows_to_set_aside(stream, &kept_out, true).await? {
            let detail = format!("a trigger, rule or policy of `{table}` kept the row out without an error");
            list.push((Reject { row, column: None, code: "trigger_refused", detail, words: None }, number));
        }
        if let Some(changed) = changed {
            let columns = self.columns_changed(stream).await?;
            for (row, number) in self.rows_to_set_aside(stream, &changed, true).await? {
                let detail = changed_detail(&table, &columns);
                let column = (!columns.is_empty()).then(|| columns.join(", "));
                list.push((Reject { row, column, code: "trigger_changed", detail, words: None }, number));
            }
        }
        Ok(list)
    }

    /// Which columns came out otherwise in any row.
    async fn columns_changed(&mut self, stream: usize) -> Result<Vec<String>> {
        let s = &self.streams[stream];
        let d = self.dialect();
        let one = |(i, c)| format!("count(CASE WHEN {} THEN 1 END) AS c{i}", d.differs(&[c], "d", "s"));
        let list: Vec<String> = s.compare.iter().enumerate().map(one).collect();
        if list.is_empty() {
            return Ok(Vec::new());
        }
        let on = d.keys_match(&refs(&s.key), "d", "s");
        let sql = format!("SELECT {} FROM {} s JOIN {} d ON {on}", list.join(", "), s.rows, s.table);
        let names: Vec<String> = s.compare.iter().map(|c| c.name.clone()).collect();
        let columns: Vec<_> = (0..names.len()).map(|i| number_column(&format!("c{i}"))).collect();
        let answer = self.rows(&sql, &columns).await?;
        let mut changed = Vec::new();
        for (i, name) in names.into_iter().enumerate() {
            if whole(&answer, 0, i)? > 0 {
                changed.push(name);
            }
        }
        Ok(changed)
    }

    async fn deletions_not_made(&mut self, stream: usize) -> Result<Vec<(Reject, u64)>> {
        let s = &self.streams[stream];
        let (still, what) = match &s.write.deletes {
            DeleteAction::Remove => (String::new(), "kept the row in"),
            DeleteAction::Mark { .. } => match self.unmarked(stream) {
                Some((_, _, unmarked)) => (format!(" AND {unmarked}"), "kept the mark off the row"),
                None => return Ok(Vec::new()),
            },
        };
        let on = self.dialect().keys_match(&refs(&s.key), "d", "s");
        let there = format!("EXISTS (SELECT 1 FROM {} d WHERE {on}{still})", s.table);
        let detail = format!("a trigger, rule or policy of `{}` {what} without an error", s.write.table.name);
        let reject = |row| Reject { row, column: None, code: "trigger_refused", detail: detail.clone(), words: None };
        let found = self.deletions_where(stream, &there).await?;
        Ok(found.into_iter().map(|(row, number)| (reject(row), number)).collect())
    }

    async fn set_aside(&mut self, deviation: Deviation) -> Result<()> {
        let Deviation { stream, rows, deletions } = deviation;
        let mut numbers = Vec::with_capacity(rows.len());
        for (reject, number) in rows {
            self.streams[stream].reject(reject)?;
            numbers.push(number);
        }
        self.drop_staged(stream, &numbers).await?;
        let mut numbers = Vec::with_capacity(deletions.len());
        for (reject, number) in deletions {
            self.streams[stream].outcome.delete_rejects.push(reject);
            numbers.push(number);
        }
        self.drop_deletions(stream, &numbers).await
    }
}

/// A trigger that does the same every time would have the row written in every run, and never equal.
fn changed_detail(table: &str, columns: &[String]) -> String {
    let names: Vec<String> = columns.iter().map(|c| format!("`{c}`")).collect();
    let what = if names.is_empty() { "the row".to_owned() } else { names.join(", ") };
    format!(
        "a trigger, rule or policy of `{table}` changed {what}, or kept it as it was: every run would write it again; `compare: false` leaves a field to it"
    )
}
