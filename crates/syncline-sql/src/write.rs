//! Updates and inserts: set-based, equal rows untouched, exact counts; bisected only when a statement is refused for a
//! reason that no check can see (R16, R17, R21 c, R23).

use syncline_connector::{DeleteAction, Error, ErrorKind, MarkValue, Reject, Result};
use syncline_model::Column;

use crate::order::Group;
use crate::run::SqlRun;
use crate::session::{CycleInsert, Update};
use crate::stream::{Images, ROW_NUMBER, number_column, refs, whole};

/// How many parts a refused range is cut into.
const FAN: u64 = 16;
/// Statements that bisecting may cost one run; past it the run stops with what it found (R21).
pub(crate) const BISECT_STATEMENTS_MAX: u64 = 50_000;

/// A range of staged row numbers, both ends included.
pub(crate) type Range = (u64, u64);

impl SqlRun {
    /// Writes the staged rows of a group.
    pub(crate) async fn write_group(&mut self, group: &Group) -> Result<()> {
        let staged: Vec<usize> = group.streams.iter().copied().filter(|&s| self.streams[s].is_staged()).collect();
        if staged.is_empty() {
            return Ok(());
        }
        if !group.cyclic {
            for stream in staged {
                self.write_stream(stream).await?;
            }
            return Ok(());
        }
        self.pass("apply.cycle").await?;
        match self.dialect().cycle_insert() {
            CycleInsert::OneStatement => self.write_cycle_at_once(&staged).await,
            CycleInsert::ChecksOff | CycleInsert::Defer => self.write_cycle_guarded(&staged).await,
        }
    }

    async fn write_stream(&mut self, stream: usize) -> Result<()> {
        let guard = if self.looks_up(stream) { self.dialect().lookup_guard() } else { None };
        if let Some((before, _)) = &guard {
            self.session.execute(before).await?;
        }
        let mut budget = BISECT_STATEMENTS_MAX;
        self.write_range(stream, None, &mut budget).await?;
        if let Some((_, after)) = guard {
            self.session.execute(&after).await?;
        }
        Ok(())
    }

    /// Most staged rows have a row to change, which a unique index finds. Not where triggers run: their statements are not ours to plan.
    fn looks_up(&self, stream: usize) -> bool {
        let s = &self.streams[stream];
        s.mostly_changed && !s.is_interfered_with() && s.key_is_unique()
    }

    /// The range of row numbers in a staging table.
    pub(crate) async fn number_range(&mut self, staged: &str) -> Result<Option<Range>> {
        let n = self.dialect().quote(ROW_NUMBER);
        let sql = format!("SELECT min({n}) AS lo, max({n}) AS hi FROM {staged}");
        let answer = self.rows(&sql, &[number_column("lo"), number_column("hi")]).await?;
        if answer.row(0).get(0).is_null() {
            return Ok(None);
        }
        Ok(Some((whole(&answer, 0, 0)?, whole(&answer, 0, 1)?)))
    }

    /// Writes staged rows, all of them or a range; cuts them up when the system refuses them, down to the row at fault.
    async fn write_range(&mut self, stream: usize, range: Option<Range>, budget: &mut u64) -> Result<()> {
        let mut work = vec![range];
        while let Some(part) = work.pop() {
            *budget = budget.checked_sub(1).ok_or_else(|| self.too_many_refusals(stream))?;
            let savepoint = self.savepoint().await?;
            let written = match self.update_and_insert(stream, part).await {
                Ok(counts) => self.settle_each(stream).await.map(|()| counts),
                Err(e) => Err(e),
            };
            match written {
                Ok((created, updated)) => {
                    self.release(&savepoint).await?;
                    let o = &mut self.streams[stream].outcome;
                    o.created += created;
                    o.updated += updated;
                }
                Err(e) if e.kind == ErrorKind::BadRecord => {
                    self.back_to(&savepoint).await?;
                    let rows = self.streams[stream].rows.clone();
                    let part = if part.is_some() { part } else { self.number_range(&rows).await? };
                    match part {
                        None => {}
                        Some((one, last)) if one == last => self.reject_number(stream, one, &e).await?,
                        Some(part) => work.extend(cut(part).rev().map(Some)),
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    pub(crate) fn too_many_refusals(&self, stream: usize) -> Error {
        let s = &self.streams[stream];
        Error::new(
            ErrorKind::BadRecord,
            "too_many_parked",
            format!("stream `{}`: the destination refuses too many rows for a reason only it knows", s.write.stream),
        )
        .hint("a trigger or an exclusion constraint of the destination table refuses them; look at the first ones with `syncline parked`")
    }

    pub(crate) fn range_filter(&self, range: Option<Range>) -> String {
        let n = self.dialect().quote(ROW_NUMBER);
        range.map_or_else(String::new, |(lo, hi)| format!(" AND s.{n} BETWEEN {lo} AND {hi}"))
    }

    /// A row that the system refused alone. A number whose row is gone already is nothing.
    async fn reject_number(&mut self, stream: usize, number: u64, error: &Error) -> Result<()> {
        let s = &self.streams[stream];
        if s.let_go {
            // Its row may have let go of a unique value already: left out, it would keep the placeholder.
            let message = format!("stream `{}`: a row is refused while unique values move between rows: {error}", s.write.stream);
            return Err(Error::new(ErrorKind::BadRecord, "unique_cycle", message)
                .hint("nothing was written; mend the row, or let the values move in two runs"));
        }
        let rest = format!("FROM {} s WHERE s.{} = {number}", s.rows, self.dialect().quote(ROW_NUMBER));
        let detail = format!("write `{}`: {}", s.write.table.name, error.message);
        for (row, _) in self.rows_to_set_aside(stream, &rest, false).await? {
            let (detail, words) = (detail.clone(), error.words.clone());
            self.streams[stream].reject(Reject { row, column: None, code: error.code, detail, words })?;
        }
        self.foretell_without(stream, number).await?;
        self.drop_staged(stream, &[number]).await
    }

    async fn update_and_insert(&mut self, stream: usize, part: Option<Range>) -> Result<(u64, u64)> {
        let filter = self.range_filter(part);
        let keeps = self.streams[stream].images == Images::WithWrites;
        let update = if keeps { self.update_keeping_sql(stream, &filter) } else { self.update_sql(stream, &filter) };
        let updated = match update {
            Some(sql) => self.step("apply.update", &sql).await?,
            None => 0,
        };
        let s = &self.streams[stream];
        // Every staged key found its row: there is none to insert, and no look that could find one.
        if part.is_none() && s.key_is_unique() && updated > 0 && updated == s.staged_now() {
            return Ok((0, updated));
        }
        let insert = if keeps { self.insert_keeping_sql(stream, &filter) } else { Some(self.insert_sql(stream, &filter)) };
        let insert = insert.ok_or_else(|| Error::internal("images were promised that no statement can keep"))?;
        let created = self.step("apply.insert", &insert).await?;
        Ok((created, updated))
    }

    /// When a staged row changes its row `d`: by bytes, or because its record came back. Empty when an update could set nothing.
    pub(crate) fn changes(&self, stream: usize) -> Vec<String> {
        let s = &self.streams[stream];
        let mut differs: Vec<String> = Vec::new();
        if !s.compare.is_empty() {
            differs.push(self.dialect().differs(&refs(&s.compare), "d", "s"));
        }
        let respelled: Vec<&Column> = s.respelled_key().collect();
        if !respelled.is_empty() {
            differs.push(self.dialect().differs(&respelled, "d", "s"));
        }
        differs.extend(self.revival(stream).map(|(_, _, marked)| marked));
        differs
    }

    fn sets(&self, stream: usize) -> Vec<(String, String)> {
        let s = &self.streams[stream];
        let d = self.dialect();
        let mut sets: Vec<(String, String)> = s.settable().map(|c| (d.quote(&c.name), format!("s.{}", d.quote(&c.name)))).collect();
        sets.extend(self.revival(stream).map(|(column, live, _)| (d.quote(&column), live)));
        if !sets.is_empty() {
            sets.extend(self.stamp(stream));
        }
        sets
    }

    /// The update of changed rows; `None` when there is nothing an update could set.
    fn update_sql(&self, stream: usize, filter: &str) -> Option<String> {
        let s = &self.streams[stream];
        let (sets, changes) = (self.sets(stream), self.changes(stream));
        if sets.is_empty() || changes.is_empty() {
            return None;
        }
        let on = self.dialect().keys_match(&refs(&s.key), "d", "s");
        Some(self.dialect().update_from(&s.table, &s.rows, &sets, &on, &format!("({}){filter}", changes.join(" OR "))))
    }

    /// The same, with a before-image of every row it changes.
    fn update_keeping_sql(&self, stream: usize, filter: &str) -> Option<String> {
        let s = &self.streams[stream];
        let (sets, changes) = (self.sets(stream), self.changes(stream));
        if sets.is_empty() || changes.is_empty() {
            return None;
        }
        let filter = format!("({}){filter}", changes.join(" OR "));
        let update = Update { table: &s.table, stage: &s.rows, sets: &sets, filter: &filter };
        self.with_keep(stream, &self.image_number("s"), |d, keep| d.update_keeping(&update, keep))
    }

    fn insert_keeping_sql(&self, stream: usize, filter: &str) -> Option<String> {
        let insert = self.insert_sql(stream, filter);
        let start = self.created_number(stream).to_string();
        self.with_keep(stream, &start, |d, keep| d.insert_keeping(&insert, &self.streams[stream].table, keep))
    }

    fn insert_sql(&self, stream: usize, filter: &str) -> String {
        let s = &self.streams[stream];
        let d = self.dialect();
        let mut names: Vec<String> = s.columns.iter().map(|c| d.quote(&c.name)).collect();
        let mut values: Vec<String> = names.iter().map(|q| format!("s.{q}")).collect();
        if let Some((column, now)) = self.stamp(stream) {
            names.push(column);
            values.push(now);
        }
        let on = d.keys_match(&refs(&s.key), "d", "s");
        let overriding = d.insert_override(&s.write.table);
        format!(
            "INSERT INTO {table} ({names}) {overriding} SELECT {values} FROM {rows} s WHERE NOT EXISTS (SELECT 1 FROM {table} d WHERE {on}){filter}",
            table = s.table,
            names = names.join(", "),
            values = values.join(", "),
            rows = s.rows
        )
    }

    /// (quoted column, clock) of the stamp column, unless the source itself brings it.
    fn stamp(&self, stream: usize) -> Option<(String, String)> {
        let s = &self.streams[stream];
        let name = s.write.stamp.as_ref().filter(|n| !s.write.columns.contains(n))?;
        let column = s.write.table.column(name)?;
        Some((self.dialect().quote(name), self.dialect().now(column)))
    }

    /// For a record that came back: (column, its live value, condition "is marked").
    fn revival(&self, stream: usize) -> Option<(String, String, String)> {
        let s = &self.streams[stream];
        let DeleteAction::Mark { column, live, .. } = &s.write.deletes else { return None };
        if s.write.columns.contains(column) {
            return None;
        }
        let definition = s.write.table.column(column)?;
        let live = self.mark_value(definition, live);
        let q = self.dialect().quote(column);
        let marked = if live == "NULL" { format!("d.{q} IS NOT NULL") } else { format!("(d.{q} IS NULL OR d.{q} <> {live})") };
        Some((column.clone(), live, marked))
    }

    /// SQL of a mark.
    pub(crate) fn mark_value(&self, column: &Column, value: &MarkValue) -> String {
        use syncline_model::Value;
        match value {
            MarkValue::Now => self.dialect().now(column),
            MarkValue::Constant(Value::Null) => "NULL".to_owned(),
            MarkValue::Constant(Value::Bool(b)) => (if *b { "TRUE" } else { "FALSE" }).to_owned(),
            MarkValue::Constant(Value::I64(n)) => n.to_string(),
            MarkValue::Constant(other) => self.dialect().literal(&other.to_string()),
        }
    }

    /// One statement holds every table of the cycle: the system checks foreign keys at its end (R23).
    async fn write_cycle_at_once(&mut self, staged: &[usize]) -> Result<()> {
        let mut parts = Vec::new();
        let mut answers = Vec::new();
        for &stream in staged {
            if let Some(update) = self.update_sql(stream, "") {
                parts.push(format!("u{stream} AS ({update} RETURNING 1)"));
                answers.push((stream, false, format!("(SELECT count(*) FROM u{stream}) AS u{stream}")));
            }
            parts.push(format!("i{stream} AS ({} RETURNING 1)", self.insert_sql(stream, "")));
            answers.push((stream, true, format!("(SELECT count(*) FROM i{stream}) AS i{stream}")));
        }
        let list: Vec<&str> = answers.iter().map(|a| a.2.as_str()).collect();
        let sql = format!("WITH {} SELECT {}", parts.join(", "), list.join(", "));
        let columns: Vec<Column> =
            answers.iter().map(|(s, insert, _)| number_column(&format!("{}{s}", if *insert { "i" } else { "u" }))).collect();
        self.pass("apply.insert").await?;
        let answer = self.rows(&sql, &columns).await?;
        for (i, (stream, insert, _)) in answers.iter().enumerate() {
            let n = whole(&answer, 0, i)?;
            let o = &mut self.streams[*stream].outcome;
            if *insert { o.created += n } else { o.updated += n }
        }
        Ok(())
    }

    /// Checks off (or deferred) for the statements of the cycle only. What they let in was checked before: staged rows
    /// without a parent are set aside by `check_rows`, and `verify_cycle` looks again.
    async fn write_cycle_guarded(&mut self, staged: &[usize]) -> Result<()> {
        let (before, after) = self.dialect().cycle_guard();
        for sql in before {
            self.session.execute(&sql).await?;
        }
        for &stream in staged {
            self.write_stream(stream).await?;
        }
        for sql in after {
            self.session.execute(&sql).await?;
        }
        self.verify_cycle(staged).await
    }

    /// An anti-join per foreign key over the rows touched: an orphan here is a broken promise, so nothing is committed.
    async fn verify_cycle(&mut self, staged: &[usize]) -> Result<()> {
        for &stream in staged {
            for fk in self.streams[stream].write.table.foreign_keys.clone() {
                let s = &self.streams[stream];
                let d = self.dialect();
                let set: Vec<String> = fk.columns.iter().map(|c| format!("d.{} IS NOT NULL", d.quote(c))).collect();
                let pair = |(c, p): (&String, &String)| format!("p.{} = d.{}", d.quote(p), d.quote(c));
                let pairs: Vec<String> = fk.columns.iter().zip(&fk.parent_columns).map(pair).collect();
                let sql = format!(
                    "SELECT count(*) AS n FROM {} d JOIN {} s ON {} WHERE {} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {})",
                    s.table,
                    s.rows,
                    d.keys_match(&refs(&s.key), "d", "s"),
                    set.join(" AND "),
                    d.table(&fk.parent),
                    pairs.join(" AND ")
                );
                let message = format!("stream `{}`: rows of a foreign-key cycle would point at no row of `{}`", s.write.stream, fk.parent);
                if self.count(&sql).await? > 0 {
                    return Err(Error::new(ErrorKind::Conflict, "parent_missing", message).hint("nothing was committed; run again"));
                }
            }
        }
        Ok(())
    }
}

/// The parts a refused range is cut into, in order.
pub(crate) fn cut((lo, hi): Range) -> impl DoubleEndedIterator<Item = Range> {
    let step = ((hi - lo + 1).div_ceil(FAN)).max(1);
    let parts = (hi - lo + 1).div_ceil(step);
    (0..parts).map(move |i| (lo + i * step, (lo + (i + 1) * step - 1).min(hi)))
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_cut_range_covers_every_number_once() {
        for range in [(1, 1), (1, 2), (5, 21), (1, 1_000_003)] {
            let parts: Vec<_> = cut(range).collect();
            assert_eq!(parts.first().map(|p| p.0), Some(range.0));
            assert_eq!(parts.last().map(|p| p.1), Some(range.1));
            assert!(parts.windows(2).all(|w| w[0].1 + 1 == w[1].0));
            assert!(parts.len() <= 16);
        }
    }
}
