//! Deletions, children first: removed or marked, counted exactly; a row that others still need stays and is listed (R8).

use syncline_connector::{DeleteAction, Error, ErrorKind, Reject, Result};
use syncline_model::{TableName, Value};

use crate::order::Group;
use crate::run::SqlRun;
use crate::session::CycleInsert;
use crate::stream::{ROW_NUMBER, Stream, number_column, refs, whole};
use crate::write::{BISECT_STATEMENTS_MAX, Range, cut};

impl SqlRun {
    /// Deletes the staged keys of a group.
    pub(crate) async fn delete_group(&mut self, group: &Group) -> Result<()> {
        let staged: Vec<usize> =
            group.streams.iter().copied().filter(|&s| self.streams[s].made.deletions && !self.streams[s].created).collect();
        for &stream in &staged {
            if let DeleteAction::Mark { .. } = self.streams[stream].write.deletes {
                self.mark(stream).await?;
            }
        }
        self.refuse_needed(&staged, group).await?;
        let removing: Vec<usize> = staged.into_iter().filter(|&s| self.streams[s].write.deletes == DeleteAction::Remove).collect();
        match (group.cyclic, self.dialect().cycle_insert()) {
            (true, CycleInsert::OneStatement) if !removing.is_empty() => self.remove_at_once(&removing).await,
            (true, CycleInsert::ChecksOff) => {
                if self.takes_rows_along(&removing) && self.remove_unlinked(&removing).await? {
                    return Ok(());
                }
                self.remove_guarded(&removing).await
            }
            _ => self.remove_each(&removing).await,
        }
    }

    /// Deletes what nothing points at now, children first and before anything is written, so that the unique values of those rows are
    /// free. Rows that others still point at wait for [`SqlRun::delete_group`].
    pub(crate) async fn delete_early(&mut self) -> Result<()> {
        for group in self.groups.clone().iter().rev() {
            let removed = |s: &Stream| s.made.deletions && !s.created && s.write.deletes == DeleteAction::Remove;
            let streams: Vec<usize> = group.streams.iter().copied().filter(|&s| removed(&self.streams[s])).collect();
            let before = self.staged_left(&streams).await?;
            for &stream in &streams {
                let pointed_at: Vec<String> = self.pointed_at(stream);
                let free = if pointed_at.is_empty() { "1 = 1".to_owned() } else { format!("NOT ({})", pointed_at.join(" OR ")) };
                self.pass("apply.delete_first").await?;
                let deleted = self.remove(stream, &free).await?;
                self.streams[stream].outcome.deleted += if before.is_some() { 0 } else { deleted };
            }
            self.count_removed(&streams, before).await?;
        }
        Ok(())
    }

    /// How many rows on the deletion lists are there, where rows of these streams take each other along: systems differ in whether the
    /// rows that go along are counted.
    async fn staged_left(&mut self, streams: &[usize]) -> Result<Option<Vec<u64>>> {
        let tables: Vec<_> = streams.iter().map(|&s| &self.streams[s].write.table).collect();
        let takes_along = |k: &syncline_model::ForeignKey| {
            k.on_delete == syncline_model::schema::OnDelete::Cascade && tables.iter().any(|t| t.name == k.parent)
        };
        if !tables.iter().any(|t| t.foreign_keys.iter().any(takes_along)) {
            return Ok(None);
        }
        let mut counts = Vec::with_capacity(streams.len());
        for &stream in streams {
            let s = &self.streams[stream];
            let on = self.dialect().keys_match(&refs(&s.key), "d", "s");
            let sql = format!("SELECT count(*) AS n FROM {} d WHERE EXISTS (SELECT 1 FROM {} s WHERE {on})", s.table, s.deletions);
            counts.push(self.count(&sql).await?);
        }
        Ok(Some(counts))
    }

    async fn count_removed(&mut self, streams: &[usize], before: Option<Vec<u64>>) -> Result<()> {
        let (Some(before), Some(after)) = (before, self.staged_left(streams).await?) else { return Ok(()) };
        for ((&stream, before), after) in streams.iter().zip(before).zip(after) {
            self.streams[stream].outcome.deleted += before.saturating_sub(after);
        }
        Ok(())
    }

    /// Conditions under which a row `d` of the stream is pointed at by another row. Also where that row would go along or lose its reference:
    /// it may be one that this very run moves to another parent.
    fn pointed_at(&self, stream: usize) -> Vec<String> {
        let s = &self.streams[stream];
        let d = self.dialect();
        let known = |c: &&String| s.write.table.column(c).is_some();
        let pointing = s.write.referenced_by.iter().filter(|r| r.key.parent_columns.iter().all(|c| known(&c)));
        pointing
            .map(|r| {
                let pair = |(c, p): (&String, &String)| format!("c.{} = d.{}", d.quote(c), d.quote(p));
                let points: Vec<String> = r.key.columns.iter().zip(&r.key.parent_columns).map(pair).collect();
                let table = d.table(&r.table);
                // MySQL deletes from no table that the condition reads, unless what it reads is a copy.
                let names: Vec<String> = r.key.columns.iter().map(|c| d.quote(c)).collect();
                let from =
                    if r.table == s.write.table.name { format!("(SELECT DISTINCT {} FROM {table})", names.join(", ")) } else { table };
                format!("EXISTS (SELECT 1 FROM {from} c WHERE {})", points.join(" AND "))
            })
            .collect()
    }

    /// Takes rows that are still needed off the lists, until none is found: a row that stays may need another one.
    async fn refuse_needed(&mut self, staged: &[usize], group: &Group) -> Result<()> {
        loop {
            let mut refused = 0;
            for &stream in staged {
                if self.streams[stream].write.deletes == DeleteAction::Remove {
                    refused += self.refuse_needed_rows(stream, group).await?;
                }
            }
            if refused == 0 {
                return Ok(());
            }
        }
    }

    async fn mark(&mut self, stream: usize) -> Result<()> {
        let Some((column, value, unmarked)) = self.unmarked(stream) else { return Ok(()) };
        let s = &self.streams[stream];
        let on = self.dialect().keys_match(&refs(&s.key), "d", "s");
        let sql = self.dialect().update_from(&s.table, &s.deletions, &[(column, value)], &on, &unmarked);
        let marked = self.step("apply.delete", &sql).await?;
        self.streams[stream].outcome.deleted += marked;
        Ok(())
    }

    /// (quoted column, its mark, condition "is not marked yet") where deletions are marks.
    pub(crate) fn unmarked(&self, stream: usize) -> Option<(String, String, String)> {
        let s = &self.streams[stream];
        let DeleteAction::Mark { column, value, live } = &s.write.deletes else { return None };
        let definition = s.write.table.column(column)?;
        let (value, live, q) = (self.mark_value(definition, value), self.mark_value(definition, live), self.dialect().quote(column));
        let unmarked = if live == "NULL" { format!("d.{q} IS NULL") } else { format!("d.{q} = {live}") };
        Some((q, value, unmarked))
    }

    /// Keys whose row is still referenced by a row outside this run's deletions are taken off the list.
    async fn refuse_needed_rows(&mut self, stream: usize, group: &Group) -> Result<u64> {
        let mut refused = 0;
        for referrer in self.streams[stream].write.referenced_by.clone() {
            if referrer.key.on_delete != syncline_model::schema::OnDelete::Refuse {
                continue;
            }
            let s = &self.streams[stream];
            let d = self.dialect();
            if !referrer.key.parent_columns.iter().all(|c| s.write.table.column(c).is_some()) {
                continue;
            }
            let pair = |(c, p): (&String, &String)| format!("c.{} = d.{}", d.quote(c), d.quote(p));
            let points: Vec<String> = referrer.key.columns.iter().zip(&referrer.key.parent_columns).map(pair).collect();
            let child = self.streams.iter().enumerate().find(|(i, c)| c.write.table.name == referrer.table && group.streams.contains(i));
            let leaving = child
                .filter(|(_, c)| c.made.deletions && c.write.deletes == DeleteAction::Remove)
                .map(|(_, c)| format!(" AND NOT EXISTS (SELECT 1 FROM {} x WHERE {})", c.deletions, d.keys_match(&refs(&c.key), "x", "c")));
            let needed = format!(
                "EXISTS (SELECT 1 FROM {} d JOIN {} c ON {} WHERE {}{})",
                s.table,
                d.table(&referrer.table),
                points.join(" AND "),
                d.keys_match(&refs(&s.key), "d", "s"),
                leaving.unwrap_or_default()
            );
            let detail = format!("rows of `{}` still point at it (`{}`)", referrer.table, referrer.key.name);
            refused += self.refuse_deletions(stream, &needed, &detail).await?;
        }
        Ok(refused)
    }

    async fn refuse_deletions(&mut self, stream: usize, condition: &str, detail: &str) -> Result<u64> {
        // Every one of them: what is not on the list of refusals counts as deleted.
        let found = self.deletions_where(stream, condition).await?;
        let mut numbers = Vec::with_capacity(found.len());
        for (row, number) in found {
            let reject = Reject { row, column: None, code: "child_exists", detail: detail.to_owned(), words: None };
            self.streams[stream].outcome.delete_rejects.push(reject);
            numbers.push(number);
        }
        self.drop_deletions(stream, &numbers).await?;
        Ok(numbers.len() as u64)
    }

    /// Keys `s` on the list of deletions for which `condition` holds, with their numbers.
    pub(crate) async fn deletions_where(&mut self, stream: usize, condition: &str) -> Result<Vec<(Vec<Value>, u64)>> {
        let s = &self.streams[stream];
        let d = self.dialect();
        let mut columns = s.key.clone();
        columns.push(number_column(ROW_NUMBER));
        let list: Vec<String> = columns.iter().map(|c| format!("s.{}", d.quote(&c.name))).collect();
        let sql = format!("SELECT {} FROM {} s WHERE {condition}", list.join(", "), s.deletions);
        let found = self.rows(&sql, &columns).await?;
        let mut keys = Vec::with_capacity(found.len());
        for (i, row) in found.rows().enumerate() {
            let mut key = row.to_values();
            key.pop();
            keys.push((key, whole(&found, i, columns.len() - 1)?));
        }
        Ok(keys)
    }

    /// Takes keys off the list of deletions, by number.
    pub(crate) async fn drop_deletions(&mut self, stream: usize, numbers: &[u64]) -> Result<()> {
        let n = self.dialect().quote(ROW_NUMBER);
        for chunk in numbers.chunks(self.dialect().values_max()) {
            let list: Vec<String> = chunk.iter().map(ToString::to_string).collect();
            let sql = format!("DELETE FROM {} WHERE {n} IN ({})", self.streams[stream].deletions, list.join(", "));
            self.session.execute(&sql).await?;
        }
        Ok(())
    }

    /// Removes the rows of the staged keys for which `filter` holds. What the system refuses is cut up, down to the row that has to stay.
    async fn remove(&mut self, stream: usize, filter: &str) -> Result<u64> {
        let (mut work, mut budget, mut removed) = (vec![None::<Range>], BISECT_STATEMENTS_MAX, 0);
        while let Some(part) = work.pop() {
            budget -= 1;
            if budget == 0 {
                return Err(self.too_many_refusals(stream));
            }
            let savepoint = self.savepoint().await?;
            let sql = self.remove_sql(stream, &format!("{filter}{}", self.range_filter(part)));
            let done = match self.step("apply.delete", &sql).await {
                Ok(rows) => self.settle_each(stream).await.map(|()| rows),
                Err(e) => Err(e),
            };
            match done {
                Ok(rows) => {
                    self.release(&savepoint).await?;
                    removed += rows;
                }
                Err(e) if e.kind == ErrorKind::BadRecord => {
                    self.back_to(&savepoint).await?;
                    let deletions = self.streams[stream].deletions.clone();
                    let part = if part.is_some() { part } else { self.number_range(&deletions).await? };
                    match part {
                        None => {}
                        Some((one, last)) if one == last => self.refuse_deletion(stream, one, &e).await?,
                        Some(part) => work.extend(cut(part).rev().map(Some)),
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Ok(removed)
    }

    /// A deletion that the system refused alone.
    async fn refuse_deletion(&mut self, stream: usize, number: u64, error: &Error) -> Result<()> {
        let condition = format!("s.{} = {number}", self.dialect().quote(ROW_NUMBER));
        // Of a deletion a foreign key says that the row is still needed.
        let code = if error.code == "parent_missing" { "child_exists" } else { error.code };
        let detail = format!("delete from `{}`: {}", self.streams[stream].write.table.name, error.message);
        for (row, _) in self.deletions_where(stream, &condition).await? {
            let reject = Reject { row, column: None, code, detail: detail.clone(), words: error.words.clone() };
            self.streams[stream].outcome.delete_rejects.push(reject);
        }
        self.drop_deletions(stream, &[number]).await
    }

    fn remove_sql(&self, stream: usize, filter: &str) -> String {
        let s = &self.streams[stream];
        let on = self.dialect().keys_match(&refs(&s.key), "d", "s");
        self.dialect().delete_from(&s.table, &s.deletions, &on, filter)
    }

    pub(crate) async fn remove_each(&mut self, streams: &[usize]) -> Result<()> {
        let before = self.staged_left(streams).await?;
        for &stream in streams {
            let removed = self.remove(stream, "1 = 1").await?;
            self.streams[stream].outcome.deleted += if before.is_some() { 0 } else { removed };
        }
        self.count_removed(streams, before).await
    }

    async fn remove_guarded(&mut self, streams: &[usize]) -> Result<()> {
        let orphans = self.orphans_of(streams).await?;
        let (before, after) = self.dialect().cycle_guard();
        for sql in before {
            self.session.execute(&sql).await?;
        }
        self.remove_each(streams).await?;
        for sql in after {
            self.session.execute(&sql).await?;
        }
        // With the checks off nothing goes along and nothing is cleared (R23).
        for ((table, was), (_, is)) in orphans.iter().zip(self.orphans_of(streams).await?) {
            if is > *was {
                let message = format!("delete: {} rows of `{table}` would point at rows that are gone", is - was);
                let hint = "nothing was committed; delete those rows, or sync their table too";
                return Err(Error::new(ErrorKind::Conflict, "child_exists", message).hint(hint));
            }
        }
        Ok(())
    }

    /// Rows that point at no row of these streams, by each table that points at them.
    async fn orphans_of(&mut self, streams: &[usize]) -> Result<Vec<(TableName, u64)>> {
        let mut found = Vec::new();
        for &stream in streams {
            for r in self.streams[stream].write.referenced_by.clone() {
                let (s, d) = (&self.streams[stream], self.dialect());
                let given: Vec<String> = r.key.columns.iter().map(|c| format!("c.{} IS NOT NULL", d.quote(c))).collect();
                let pair = |(c, p): (&String, &String)| format!("p.{} = c.{}", d.quote(p), d.quote(c));
                let on: Vec<String> = r.key.columns.iter().zip(&r.key.parent_columns).map(pair).collect();
                let (given, on) = (given.join(" AND "), on.join(" AND "));
                let child = d.table(&r.table);
                let sql =
                    format!("SELECT count(*) AS n FROM {child} c WHERE {given} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {on})", s.table);
                found.push((r.table, self.count(&sql).await?));
            }
        }
        Ok(found)
    }

    async fn remove_at_once(&mut self, streams: &[usize]) -> Result<()> {
        let parts: Vec<String> = streams.iter().map(|&s| format!("x{s} AS ({} RETURNING 1)", self.remove_sql(s, "1 = 1"))).collect();
        let list: Vec<String> = streams.iter().map(|s| format!("(SELECT count(*) FROM x{s}) AS x{s}")).collect();
        let columns: Vec<_> = streams.iter().map(|s| number_column(&format!("x{s}"))).collect();
        self.pass("apply.delete").await?;
        let answer = self.rows(&format!("WITH {} SELECT {}", parts.join(", "), list.join(", ")), &columns).await?;
        for (i, &stream) in streams.iter().enumerate() {
            self.streams[stream].outcome.deleted += whole(&answer, 0, i)?;
        }
        Ok(())
    }
}
