//! Checks on staged rows before anything is written (R21 b): what a constraint would refuse is found by one query per
//! constraint and set aside, so that the set-based statements behind it cannot fail for one bad row.

use syncline_connector::{DeleteAction, Reject, Result, WritePath};
use syncline_model::schema::Check;
use syncline_model::{Column, ForeignKey, RowBatch, Value};

use crate::run::SqlRun;
use crate::session::{LoadPlace, LoadTarget};
use crate::stream::{ROW_NUMBER, Stream, number_column, refs, whole};

/// Bytes up to which a value of a row that is set aside is kept for display.
const SHOWN_BYTES_MAX: u64 = 1 << 14;

/// Columns of a row whose lengths can be asked for beside them: no system answers more than some 1,600 cells.
const GUARDED_COLUMNS_MAX: usize = 800;

/// A condition over `s` that a constraint refuses.
pub(crate) struct Offence {
    pub(crate) condition: String,
    pub(crate) code: &'static str,
    pub(crate) column: Option<String>,
    pub(crate) detail: String,
}

impl SqlRun {
    /// All checks, repeated until no row is set aside any more: a child of a rejected parent is rejected in turn.
    pub(crate) async fn check_rows(&mut self) -> Result<()> {
        for stream in 0..self.streams.len() {
            if self.streams[stream].is_staged() {
                self.pass("apply.check").await?;
                self.reject_shared_keys(stream).await?;
                self.merge_repeated_keys(stream).await?;
                self.reject_nulls(stream).await?;
                self.reject_check_violations(stream).await?;
            }
        }
        self.reject_offenders().await
    }

    /// Rows that other rows stand in the way of, until no row is set aside any more.
    pub(crate) async fn reject_offenders(&mut self) -> Result<()> {
        let order: Vec<usize> = self.groups.iter().flat_map(|g| g.streams.clone()).collect();
        loop {
            let mut found = 0;
            for &stream in &order {
                if self.streams[stream].is_staged() {
                    found += self.reject_unique_offenders(stream).await?;
                    found += self.reject_orphans(stream).await?;
                }
            }
            if found == 0 {
                return Ok(());
            }
        }
    }

    /// One look at all columns, and one at each only where that found something.
    async fn reject_nulls(&mut self, stream: usize) -> Result<()> {
        let s = &self.streams[stream];
        let list = not_null_offences(s, &|name| self.dialect().quote(name));
        if list.is_empty() {
            return Ok(());
        }
        let any: Vec<&str> = list.iter().map(|o| o.condition.as_str()).collect();
        let sql = format!("SELECT count(*) AS n FROM {} s WHERE {}", s.rows, any.join(" OR "));
        if self.count(&sql).await? == 0 {
            return Ok(());
        }
        for offence in list {
            self.reject_where(stream, offence).await?;
        }
        Ok(())
    }

    /// Sets aside the staged rows for which `offence` holds.
    pub(crate) async fn reject_where(&mut self, stream: usize, offence: Offence) -> Result<u64> {
        let s = &self.streams[stream];
        let (n, limit) = (self.dialect().quote(ROW_NUMBER), s.write.rejects_max + 1);
        let rest = format!("FROM {} s WHERE {} ORDER BY s.{n} LIMIT {limit}", s.rows, offence.condition);
        let found = self.rows_to_set_aside(stream, &rest, true).await?;
        let mut numbers = Vec::with_capacity(found.len());
        for (row, number) in found {
            numbers.push(number);
            let reject = Reject { row, column: offence.column.clone(), code: offence.code, detail: offence.detail.clone(), words: None };
            self.streams[stream].reject(reject)?;
        }
        self.drop_staged(stream, &numbers).await?;
        Ok(numbers.len() as u64)
    }

    /// Rows `s` of the stream's columns, and their numbers where they are `numbered`. A long value is not fetched: its length comes in
    /// its place (R25), except in the key.
    pub(crate) async fn rows_to_set_aside(&mut self, stream: usize, rest: &str, numbered: bool) -> Result<Vec<(Vec<Value>, u64)>> {
        let s = &self.streams[stream];
        let d = self.dialect();
        let (mut columns, mut list, mut lengths) = (s.columns.clone(), Vec::new(), Vec::new());
        for (i, c) in s.columns.iter().enumerate() {
            let value = format!("s.{}", d.quote(&c.name));
            let guarded = s.columns.len() <= GUARDED_COLUMNS_MAX && !s.write.key.contains(&c.name);
            match d.length(c, "s").filter(|_| guarded) {
                Some(length) => {
                    list.push(format!("CASE WHEN {length} <= {SHOWN_BYTES_MAX} THEN {value} END"));
                    lengths.push((i, format!("CASE WHEN {length} > {SHOWN_BYTES_MAX} THEN {length} END")));
                }
                None => list.push(value),
            }
        }
        let numbers = numbered.then(|| format!("s.{}", d.quote(ROW_NUMBER)));
        list.extend(lengths.iter().map(|(_, sql)| sql.clone()).chain(numbers));
        columns.extend((s.columns.len()..list.len()).map(|_| number_column(ROW_NUMBER)));
        let width = s.columns.len();
        let found = self.rows(&format!("SELECT {} {rest}", list.join(", ")), &columns).await?;
        let mut rows = Vec::with_capacity(found.len());
        for (i, row) in found.rows().enumerate() {
            let mut cells: Vec<Value> = (0..width).map(|c| row.get(c).to_owned()).collect();
            for (at, (cell, _)) in lengths.iter().enumerate() {
                match whole(&found, i, width + at)? {
                    0 => {}
                    bytes => cells[*cell] = Value::Large(bytes),
                }
            }
            rows.push((cells, if numbered { whole(&found, i, found.width() - 1)? } else { 0 }));
        }
        Ok(rows)
    }

    /// Removes staged rows by number.
    pub(crate) async fn drop_staged(&mut self, stream: usize, numbers: &[u64]) -> Result<()> {
        let n = self.dialect().quote(ROW_NUMBER);
        for chunk in numbers.chunks(self.dialect().values_max()) {
            let list: Vec<String> = chunk.iter().map(ToString::to_string).collect();
            let sql = format!("DELETE FROM {} WHERE {n} IN ({})", self.streams[stream].rows, list.join(", "));
            self.step("apply.reject", &sql).await?;
        }
        self.forget_images_of(stream, numbers).await
    }

    async fn reject_check_violations(&mut self, stream: usize) -> Result<()> {
        let checks = evaluable_checks(&self.streams[stream]);
        for check in checks {
            let condition = self.dialect().check_violated(&check.expression);
            let offence =
                Offence { condition, code: "check_violated", column: None, detail: format!("check `{}` refuses the row", check.name) };
            // An expression that cannot be evaluated on staged rows (functions of other rows, system columns) is left to
            // the write itself, which bisects.
            let savepoint = self.savepoint().await?;
            match self.reject_where(stream, offence).await {
                Ok(_) => self.release(&savepoint).await?,
                Err(e) if e.kind.is_transient() || e.code == "too_many_parked" => return Err(e),
                Err(_) => self.back_to(&savepoint).await?,
            }
        }
        Ok(())
    }

    /// Keys that the destination's collation calls equal although their bytes differ (H12): both would be one row there.
    pub(crate) async fn reject_key_collisions(&mut self, stream: usize) -> Result<()> {
        let s = &self.streams[stream];
        if s.key.iter().all(|c| c.loose_collation.is_none()) {
            return Ok(());
        }
        let d = self.dialect();
        let key = refs(&s.key);
        let (same, identical) = (d.keys_match(&key, "d", "s"), d.keys_identical(&key, "d", "s"));
        let within = format!("EXISTS (SELECT 1 FROM {} d WHERE {same} AND NOT ({identical}))", s.rows);
        // A row that goes makes room: it becomes the new one.
        let stays = match s.made.deletions {
            true => format!(" AND NOT EXISTS (SELECT 1 FROM {} x WHERE {})", s.deletions, d.keys_identical(&key, "x", "d")),
            false => String::new(),
        };
        let against = format!("EXISTS (SELECT 1 FROM {} d WHERE {same} AND NOT ({identical}){stays})", s.table);
        let names = s.write.key.join(", ");
        // An undo gives the row that it finds its old spelling back.
        let against = (!s.respells).then_some(against);
        for condition in std::iter::once(within).chain(against) {
            let detail = format!("the destination's collation takes this key ({names}) for the key of another row");
            self.reject_where(stream, Offence { condition, code: "key_collision", column: None, detail }).await?;
        }
        Ok(())
    }

    /// Different records under one key (H12): each would write over the others, so all are set aside. Records that are alike may merge.
    async fn reject_shared_keys(&mut self, stream: usize) -> Result<()> {
        let s = &self.streams[stream];
        if s.write.one_record_per_key {
            return Ok(());
        }
        let d = self.dialect();
        let all: Vec<&Column> = s.columns.iter().collect();
        let (same, other) = (d.keys_match(&refs(&s.key), "d", "s"), d.differs(&all, "d", "s"));
        let condition = format!("EXISTS (SELECT 1 FROM {} d WHERE {same} AND {other})", s.rows);
        let names = s.write.key.join(", ");
        let detail = format!("the source has another record with this key ({names}), and they differ: nothing there keeps it unique");
        self.reject_where(stream, Offence { condition, code: "key_collision", column: None, detail }).await.map(drop)
    }

    /// The same key more than once: only the last one counts (C24).
    async fn merge_repeated_keys(&mut self, stream: usize) -> Result<()> {
        self.pass("apply.merge").await?;
        let s = &self.streams[stream];
        let d = self.dialect();
        let key = refs(&s.key);
        let names: Vec<String> = key.iter().map(|c| d.quote(&c.name)).collect();
        let (list, rows, n) = (names.join(", "), &s.rows, d.quote(ROW_NUMBER));
        let repeated = format!("SELECT count(*) AS n FROM (SELECT 1 AS x FROM {rows} GROUP BY {list} HAVING count(*) > 1) g");
        let older: Vec<String> = names.iter().map(|k| format!("s.{k} = g.{k}")).collect();
        let on = older.join(" AND ");
        let numbers = format!(
            "SELECT s.{n} AS n FROM {rows} s JOIN (SELECT {list}, max({n}) AS last FROM {rows} GROUP BY {list} HAVING count(*) > 1) g ON {on} WHERE s.{n} < g.last"
        );
        if self.count(&repeated).await? == 0 {
            return Ok(());
        }
        let found = self.rows(&numbers, &[number_column("n")]).await?;
        let numbers = (0..found.len()).map(|i| whole(&found, i, 0)).collect::<Result<Vec<_>>>()?;
        self.streams[stream].outcome.merged += numbers.len() as u64;
        self.drop_staged(stream, &numbers).await
    }

    /// Rows whose parent is neither at the destination nor staged, or is being removed by this run.
    async fn reject_orphans(&mut self, stream: usize) -> Result<u64> {
        let mut found = 0;
        for fk in self.streams[stream].write.table.foreign_keys.clone() {
            if let Some(condition) = self.orphan_condition(stream, &fk, "s") {
                let detail = format!("no row of `{}` has the referenced {}", fk.parent, fk.parent_columns.join(", "));
                let column = Some(fk.columns.join(", "));
                found += self.reject_where(stream, Offence { condition, code: "parent_missing", column, detail }).await?;
            }
        }
        Ok(found)
    }

    /// TRUE for rows `alias` whose foreign key points nowhere. `None` when the key is not among the staged columns.
    fn orphan_condition(&self, stream: usize, fk: &ForeignKey, alias: &str) -> Option<String> {
        let s = &self.streams[stream];
        if !fk.columns.iter().all(|c| s.write.columns.contains(c)) {
            return None;
        }
        let d = self.dialect();
        let set: Vec<String> = fk.columns.iter().map(|c| format!("{alias}.{} IS NOT NULL", d.quote(c))).collect();
        let pairs = |p: &str| -> String {
            let one = |(c, pc): (&String, &String)| format!("{p}.{} = {alias}.{}", d.quote(pc), d.quote(c));
            fk.columns.iter().zip(&fk.parent_columns).map(one).collect::<Vec<_>>().join(" AND ")
        };
        let mut condition = set.join(" AND ");
        let parent = self.streams.iter().find(|p| p.write.table.name == fk.parent);
        let exists_at_destination = parent.is_none_or(|p| p.write.create.is_none() || p.created);
        let removed = parent.filter(|p| p.made.deletions && p.write.deletes == DeleteAction::Remove && p.write.key == fk.parent_columns);
        if exists_at_destination {
            let gone = removed
                .map(|p| format!(" AND NOT EXISTS (SELECT 1 FROM {} x WHERE {})", p.deletions, d.keys_match(&refs(&p.key), "x", "p")));
            let table = d.table(&fk.parent);
            condition += &format!(" AND NOT EXISTS (SELECT 1 FROM {table} p WHERE {}{})", pairs("p"), gone.unwrap_or_default());
        }
        if let Some(p) = parent.filter(|p| p.is_staged() && fk.parent_columns.iter().all(|c| p.write.columns.contains(c))) {
            condition += &format!(" AND NOT EXISTS (SELECT 1 FROM {} q WHERE {})", p.rows, pairs("q"));
        }
        Some(condition)
    }

    /// The same for rows that were loaded straight into a new table; they are removed from it again.
    pub(crate) async fn park_loaded_orphans(&mut self) -> Result<()> {
        loop {
            let mut found = 0;
            for stream in 0..self.streams.len() {
                let s = &self.streams[stream];
                if s.created && s.write.path == WritePath::Load && s.outcome.staged > 0 {
                    for fk in s.write.table.foreign_keys.clone() {
                        found += self.park_orphans_of(stream, &fk).await?;
                    }
                }
            }
            if found == 0 {
                return Ok(());
            }
        }
    }

    async fn park_orphans_of(&mut self, stream: usize, fk: &ForeignKey) -> Result<u64> {
        let Some(condition) = self.orphan_condition(stream, fk, "s") else { return Ok(0) };
        let detail = format!("no row of `{}` has the referenced {}", fk.parent, fk.parent_columns.join(", "));
        let column = Some(fk.columns.join(", "));
        let from = format!("{} s", self.streams[stream].table);
        self.park_loaded(stream, &from, Offence { condition, code: "parent_missing", column, detail }).await
    }

    /// Sets aside rows `s` of a loaded table for which the offence holds, and takes them out of it again.
    pub(crate) async fn park_loaded(&mut self, stream: usize, from: &str, offence: Offence) -> Result<u64> {
        let s = &self.streams[stream];
        let rest = format!("FROM {from} WHERE {} LIMIT {}", offence.condition, s.write.rejects_max + 1);
        let found = self.rows_to_set_aside(stream, &rest, false).await?;
        if found.is_empty() {
            return Ok(0);
        }
        let s = &self.streams[stream];
        let key_at: Vec<usize> = s.write.key.iter().filter_map(|k| s.write.columns.iter().position(|c| c == k)).collect();
        let mut keys = RowBatch::new(key_at.len());
        for (row, _) in found {
            keys.push_row(key_at.iter().map(|&i| row[i].view()));
            let (column, detail) = (offence.column.clone(), offence.detail.clone());
            self.streams[stream].reject(Reject { row, column, code: offence.code, detail, words: None })?;
        }
        self.remove_loaded(stream, &keys).await?;
        Ok(keys.len() as u64)
    }

    /// Takes rows out of a table that this run loaded.
    async fn remove_loaded(&mut self, stream: usize, keys: &RowBatch) -> Result<()> {
        self.make_deletion_table(stream).await?;
        let s = &self.streams[stream];
        let target = LoadTarget { table: s.deletions.clone(), columns: s.key.clone(), numbered: true, place: LoadPlace::Staging };
        self.session.load(&target, keys).await?;
        self.session.finish_load().await?;
        let s = &self.streams[stream];
        let on = self.dialect().keys_match(&refs(&s.key), "d", "s");
        let sql = self.dialect().delete_from(&s.table, &s.deletions, &on, "1 = 1");
        // Where foreign keys are there before the rows were looked at, rows that point at these ones are found in their turn.
        let (before, after) = if self.dialect().ddl_commits() { self.dialect().cycle_guard() } else { (Vec::new(), Vec::new()) };
        for sql in before {
            self.session.execute(&sql).await?;
        }
        self.step("apply.reject", &sql).await?;
        for sql in after {
            self.session.execute(&sql).await?;
        }
        Ok(())
    }
}

fn not_null_offences(s: &Stream, quote: &dyn Fn(&str) -> String) -> Vec<Offence> {
    let required = |c: &&Column| !c.nullable && !c.generated;
    s.columns
        .iter()
        .filter(required)
        .map(|c| Offence {
            condition: format!("s.{} IS NULL", quote(&c.name)),
            code: "not_null",
            column: Some(c.name.clone()),
            detail: format!("column `{}` must have a value", c.name),
        })
        .collect()
}

/// Checks over staged columns only: one that names a column we do not stage cannot be evaluated on a staged row.
fn evaluable_checks(s: &Stream) -> Vec<Check> {
    let unstaged = |c: &&Column| !s.write.columns.contains(&c.name);
    let names: Vec<&str> = s.write.table.columns.iter().filter(unstaged).map(|c| c.name.as_str()).collect();
    s.write.table.checks.iter().filter(|k| !names.iter().any(|n| mentions(&k.expression, n))).cloned().collect()
}

/// Whether an expression mentions a name as a whole word.
fn mentions(expression: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    expression.match_indices(name).any(|(at, _)| {
        let before = expression[..at].chars().next_back();
        let after = expression[at + name.len()..].chars().next();
        !before.is_some_and(word) && !after.is_some_and(word)
    })
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn a_name_is_mentioned_only_as_a_whole_word() {
        assert!(mentions("(price > 0)", "price"));
        assert!(mentions("\"price\" > 0", "price"));
        assert!(!mentions("(price_net > 0)", "price"));
        assert!(!mentions("(the_price > 0)", "price"));
    }
}
