//! Updates and inserts: set-based, equal rows untouched, exact counts; bisected only when a statement is refused for a
//! reason that no check can see (R16, R17, R21 c, R23).

use syncline_connector::{DeleteAction, Error, ErrorKind, MarkValue, Reject, Result};
use syncline_model::Column;

use crate::order::Group;
use crate::run::SqlRun;
use crate::session::{CycleInsert, UpsertColumns};
use crate::stream::{ROW_NUMBER, number_column, refs, whole};

/// How many parts a refused range is cut into.
const FAN: u64 = 16;
/// Statements that bisecting may cost one run; past it the run stops with what it found (R21).
const BISECT_STATEMENTS_MAX: u64 = 50_000;
/// Staged rows looked at to choose between the two plans of R16.
const SAMPLE_ROWS: u64 = 1_000;

/// A range of staged row numbers, both ends included.
type Range = (u64, u64);

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
        if let Some(sql) = self.upsert_plan(stream).await? {
            let savepoint = self.savepoint().await?;
            match self.upsert(stream, &sql).await {
                Ok(()) => return self.release(&savepoint).await,
                Err(e) if e.kind == ErrorKind::BadRecord => self.back_to(&savepoint).await?,
                Err(e) => return Err(e),
            }
        }
        let Some(all) = self.number_range(stream).await? else { return Ok(()) };
        let mut budget = BISECT_STATEMENTS_MAX;
        self.write_range(stream, all, &mut budget).await
    }

    async fn upsert(&mut self, stream: usize, sql: &str) -> Result<()> {
        self.pass("apply.insert").await?;
        let answer = self.rows(sql, &[number_column("created"), number_column("updated")]).await?;
        let (created, updated) = (whole(&answer, 0, 0)?, whole(&answer, 0, 1)?);
        let o = &mut self.streams[stream].outcome;
        o.created += created;
        o.updated += updated;
        Ok(())
    }

    /// The one-statement plan, where the system has it and a sample says that most staged rows differ (R16).
    async fn upsert_plan(&mut self, stream: usize) -> Result<Option<String>> {
        let s = &self.streams[stream];
        let marks = matches!(s.write.deletes, DeleteAction::Mark { .. });
        if s.write.table.insert_triggers || marks {
            return Ok(None);
        }
        let d = self.dialect();
        let (key, all, compare) = (refs(&s.key), refs(&s.columns), refs(&s.compare));
        let mut sets: Vec<(String, String)> = s.settable().map(|c| (d.quote(&c.name), format!("excluded.{}", d.quote(&c.name)))).collect();
        let stamp: Vec<(String, String)> = self.stamp(stream).into_iter().collect();
        sets.extend(stamp.iter().cloned());
        let overriding = d.insert_override(&s.write.table);
        let columns = UpsertColumns { key: &key, all: &all, compare: &compare, sets: &sets, extra_inserts: &stamp, overriding };
        let Some(sql) = d.upsert_counted(&s.table, &s.rows, &columns).filter(|_| !sets.is_empty()) else { return Ok(None) };
        let n = d.quote(ROW_NUMBER);
        let same = format!(
            "SELECT count(*) AS n FROM (SELECT * FROM {} ORDER BY {n} LIMIT {SAMPLE_ROWS}) s JOIN {} d ON {} WHERE NOT ({})",
            s.rows,
            s.table,
            d.keys_match(&key, "d", "s"),
            d.differs(&compare, "d", "s")
        );
        let sampled = s.outcome.staged.min(SAMPLE_ROWS);
        let mostly_changed = self.count(&same).await? * 2 < sampled;
        Ok(mostly_changed.then_some(sql))
    }

    async fn number_range(&mut self, stream: usize) -> Result<Option<Range>> {
        let n = self.dialect().quote(ROW_NUMBER);
        let sql = format!("SELECT min({n}) AS lo, max({n}) AS hi FROM {}", self.streams[stream].rows);
        let answer = self.rows(&sql, &[number_column("lo"), number_column("hi")]).await?;
        if answer.row(0).get(0).is_null() {
            return Ok(None);
        }
        Ok(Some((whole(&answer, 0, 0)?, whole(&answer, 0, 1)?)))
    }

    /// Writes a range of staged rows; cuts it up when the system refuses it, down to the row at fault.
    async fn write_range(&mut self, stream: usize, range: Range, budget: &mut u64) -> Result<()> {
        let mut work = vec![range];
        let whole_range = range;
        while let Some(part) = work.pop() {
            *budget = budget.checked_sub(1).ok_or_else(|| self.too_many_refusals(stream))?;
            let savepoint = self.savepoint().await?;
            let filter = self.range_filter((part != whole_range).then_some(part));
            match self.update_and_insert(stream, &filter).await {
                Ok((created, updated)) => {
                    self.release(&savepoint).await?;
                    let o = &mut self.streams[stream].outcome;
                    o.created += created;
                    o.updated += updated;
                }
                Err(e) if e.kind == ErrorKind::BadRecord => {
                    self.back_to(&savepoint).await?;
                    if part.0 == part.1 {
                        self.reject_number(stream, part.0, &e).await?;
                    } else {
                        work.extend(cut(part).rev());
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn too_many_refusals(&self, stream: usize) -> Error {
        let s = &self.streams[stream];
        Error::new(
            ErrorKind::BadRecord,
            "too_many_parked",
            format!("stream `{}`: the destination refuses too many rows for a reason only it knows", s.write.stream),
        )
        .hint("a trigger or an exclusion constraint of the destination table refuses them; look at the first ones with `syncline parked`")
    }

    fn range_filter(&self, range: Option<Range>) -> String {
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
        let columns = s.columns.clone();
        let list: Vec<String> = columns.iter().map(|c| format!("s.{}", self.dialect().quote(&c.name))).collect();
        let n = self.dialect().quote(ROW_NUMBER);
        let sql = format!("SELECT {} FROM {} s WHERE s.{n} = {number}", list.join(", "), s.rows);
        let found = self.rows(&sql, &columns).await?;
        for row in found.rows() {
            let reject = Reject { row: row.to_values(), column: None, code: error.code, detail: error.message.clone() };
            self.streams[stream].reject(reject)?;
        }
        self.drop_staged(stream, &[number]).await
    }

    async fn update_and_insert(&mut self, stream: usize, filter: &str) -> Result<(u64, u64)> {
        let updated = match self.update_sql(stream, filter) {
            Some(sql) => self.step("apply.update", &sql).await?,
            None => 0,
        };
        let insert = self.insert_sql(stream, filter);
        let created = self.step("apply.insert", &insert).await?;
        Ok((created, updated))
    }

    /// The update of changed rows; `None` when there is nothing an update could set.
    fn update_sql(&self, stream: usize, filter: &str) -> Option<String> {
        let s = &self.streams[stream];
        let d = self.dialect();
        let mut sets: Vec<(String, String)> = s.settable().map(|c| (d.quote(&c.name), format!("s.{}", d.quote(&c.name)))).collect();
        let mut differs: Vec<String> = Vec::new();
        if !s.compare.is_empty() {
            differs.push(d.differs(&refs(&s.compare), "d", "s"));
        }
        if let Some((column, live, marked)) = self.revival(stream) {
            sets.push((d.quote(&column), live));
            differs.push(marked);
        }
        if sets.is_empty() || differs.is_empty() {
            return None;
        }
        sets.extend(self.stamp(stream));
        let on = d.keys_match(&refs(&s.key), "d", "s");
        Some(d.update_from(&s.table, &s.rows, &sets, &on, &format!("({}){filter}", differs.join(" OR "))))
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
fn cut((lo, hi): Range) -> impl DoubleEndedIterator<Item = Range> {
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
