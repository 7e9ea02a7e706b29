//! Unique values besides the key (R22): values that another row holds are set aside, values that move between rows of
//! this run are freed first, so that a swap applies in one transaction and no kept key is ever deleted and inserted again.

use syncline_connector::{DeleteAction, ErrorKind, Result};
use syncline_model::schema::UniqueKey;
use syncline_model::{Column, Value};

use crate::checks::Offence;
use crate::run::SqlRun;
use crate::stream::{Images, ROW_NUMBER, Stream, refs};

impl SqlRun {
    /// Unique keys that staged rows can violate: all their columns are staged, and they are not the key itself.
    fn checked_uniques(&self, stream: usize) -> Vec<UniqueKey> {
        let s = &self.streams[stream];
        let staged = |u: &&UniqueKey| u.columns.iter().all(|c| s.write.columns.contains(c)) && u.columns != s.write.key;
        let mut list: Vec<UniqueKey> = s.write.table.uniques.iter().filter(staged).cloned().collect();
        let pk = &s.write.table.primary_key;
        if !pk.is_empty() && *pk != s.write.key && pk.iter().all(|c| s.write.columns.contains(c)) {
            list.push(UniqueKey { name: "primary key".to_owned(), columns: pk.clone(), nulls_equal: false });
        }
        list
    }

    pub(crate) async fn reject_unique_offenders(&mut self, stream: usize) -> Result<u64> {
        let mut found = 0;
        for unique in self.checked_uniques(stream) {
            for condition in [self.repeated_value(stream, &unique), self.taken_value(stream, &unique)] {
                found += self.reject_unique(stream, &unique, &condition, "unique_taken", "another row has this unique value").await?;
            }
        }
        Ok(found)
    }

    async fn reject_unique(&mut self, stream: usize, unique: &UniqueKey, condition: &str, code: &'static str, why: &str) -> Result<u64> {
        let columns = unique.columns.join(", ");
        let detail = format!("{why} ({columns}, `{}`)", unique.name);
        self.reject_where(stream, Offence { condition: condition.to_owned(), code, column: Some(columns), detail }).await
    }

    pub(crate) fn same_value(&self, unique: &UniqueKey, left: &str, right: &str) -> String {
        let d = self.dialect();
        let one = |c: &String| {
            let q = d.quote(c);
            if unique.nulls_equal {
                format!("({left}.{q} = {right}.{q} OR ({left}.{q} IS NULL AND {right}.{q} IS NULL))")
            } else {
                format!("{left}.{q} = {right}.{q}")
            }
        };
        unique.columns.iter().map(one).collect::<Vec<_>>().join(" AND ")
    }

    /// The same value in two staged rows: neither may win, both are set aside.
    fn repeated_value(&self, stream: usize, unique: &UniqueKey) -> String {
        let s = &self.streams[stream];
        let n = self.dialect().quote(ROW_NUMBER);
        format!("EXISTS (SELECT 1 FROM {} o WHERE {} AND o.{n} <> s.{n})", s.rows, self.same_value(unique, "o", "s"))
    }

    /// The value is held by a row that this run neither changes nor removes.
    fn taken_value(&self, stream: usize, unique: &UniqueKey) -> String {
        let s = &self.streams[stream];
        let d = self.dialect();
        let key = refs(&s.key);
        let mut holder = format!("{} AND NOT ({})", self.same_value(unique, "d", "s"), d.keys_match(&key, "d", "s"));
        holder += &format!(" AND NOT EXISTS (SELECT 1 FROM {} o WHERE {})", s.rows, d.keys_match(&key, "o", "d"));
        if self.frees_by_delete(s) {
            holder += &format!(" AND NOT EXISTS (SELECT 1 FROM {} x WHERE {})", s.deletions, d.keys_match(&key, "x", "d"));
        }
        format!("EXISTS (SELECT 1 FROM {} d WHERE {holder})", s.table)
    }

    fn frees_by_delete(&self, s: &Stream) -> bool {
        s.made.deletions && s.write.deletes == DeleteAction::Remove && !self.deleted_early
    }

    /// Frees the unique values that staged rows want and other rows of this run still hold.
    pub(crate) async fn free_unique_values(&mut self) -> Result<()> {
        // All rows that cannot take part are set aside before the first one lets go of a value.
        for stream in self.staged_streams() {
            for unique in self.checked_uniques(stream) {
                self.reject_stuck(stream, &unique).await?;
            }
        }
        // Whether a column takes a placeholder may be known to a CHECK only. Then all that was let go of is taken back, the rows that
        // would need it are set aside, and it begins anew without them.
        while let Some((stream, unique)) = self.free_or_take_back().await? {
            self.streams[stream].no_placeholder.push(unique.name.clone());
            self.reject_stuck(stream, &unique).await?;
            self.reject_offenders().await?;
        }
        Ok(())
    }

    fn staged_streams(&self) -> Vec<usize> {
        (0..self.streams.len()).filter(|&s| self.streams[s].is_staged()).collect()
    }

    /// Lets go of all values that move; of none when the system refuses a placeholder, and says of which unique key.
    async fn free_or_take_back(&mut self) -> Result<Option<(usize, UniqueKey)>> {
        let mut moves = Vec::new();
        for stream in self.staged_streams() {
            for unique in self.checked_uniques(stream) {
                if self.has_moves(stream, &unique).await? {
                    moves.push((stream, unique));
                }
            }
        }
        if moves.is_empty() {
            return Ok(None);
        }
        let savepoint = self.savepoint().await?;
        let kept: Vec<Images> = self.streams.iter().map(|s| s.images).collect();
        let left = self.images_left;
        for (stream, unique) in moves {
            match self.free_unique(stream, &unique).await {
                Ok(()) => {}
                Err(e) if e.kind == ErrorKind::BadRecord => {
                    self.back_to(&savepoint).await?;
                    self.images_left = left;
                    for (s, images) in self.streams.iter_mut().zip(kept) {
                        s.let_go = false;
                        s.images = images;
                        s.foreseen &= images == Images::Before;
                    }
                    return Ok(Some((stream, unique)));
                }
                Err(e) => return Err(e),
            }
        }
        self.release(&savepoint).await.map(|()| None)
    }

    /// Whether rows of this run hold a value that a staged row with another key is to get.
    async fn has_moves(&mut self, stream: usize, unique: &UniqueKey) -> Result<bool> {
        if self.let_go(stream, unique).is_none() {
            return Ok(false);
        }
        let wanted = self.wanted_value(stream, unique);
        let held = format!("SELECT count(*) AS n FROM {} d WHERE {wanted}", self.streams[stream].table);
        Ok(self.count(&held).await? > 0)
    }

    /// The unique keys in which a staged row wants a value of a row that this run removes.
    pub(crate) async fn wanted_of_deleted(&mut self) -> Result<Vec<(usize, UniqueKey)>> {
        let mut list = Vec::new();
        for stream in 0..self.streams.len() {
            let s = &self.streams[stream];
            if !s.is_staged() || !self.frees_by_delete(s) {
                continue;
            }
            for unique in self.checked_uniques(stream) {
                if self.count(&format!("SELECT count(*) AS n FROM {}", self.holders_that_go(stream, &unique))).await? > 0 {
                    list.push((stream, unique));
                }
            }
        }
        Ok(list)
    }

    /// The rows `d` that this run removes and whose value a staged row wants, as a FROM with its WHERE.
    fn holders_that_go(&self, stream: usize, unique: &UniqueKey) -> String {
        let s = &self.streams[stream];
        let on = self.dialect().keys_match(&refs(&s.key), "x", "d");
        format!("{} d JOIN {} x ON {on} WHERE {}", s.table, s.deletions, self.wanted_value(stream, unique))
    }

    /// Rows that this run removes later let go of a value that is wanted now; their keys. `None` where nothing can stand in for the value,
    /// or where other rows point at it.
    pub(crate) async fn let_go_of_deleted(&mut self, stream: usize, unique: &UniqueKey) -> Result<Option<Vec<Vec<Value>>>> {
        let Some((column, value)) = self.let_go(stream, unique) else { return Ok(None) };
        let s = &self.streams[stream];
        if s.write.referenced_by.iter().any(|r| r.key.parent_columns.contains(&column)) {
            return Ok(None);
        }
        let d = self.dialect();
        let key: Vec<String> = s.key.iter().map(|c| format!("d.{}", d.quote(&c.name))).collect();
        let columns = s.key.clone();
        let sql = format!("SELECT {} FROM {}", key.join(", "), self.holders_that_go(stream, unique));
        let found = self.rows(&sql, &columns).await?;
        self.pass("apply.free_unique").await?;
        let s = &self.streams[stream];
        let d = self.dialect();
        let (key, n) = (refs(&s.key), d.quote(ROW_NUMBER));
        let names: Vec<String> = key.iter().map(|c| d.quote(&c.name)).collect();
        // Placeholders can be made of the number: beyond those of the staged rows.
        let going = format!("(SELECT {}, {n} + {} AS {n} FROM {})", names.join(", "), s.outcome.staged, s.deletions);
        let on = d.keys_match(&key, "d", "s");
        let sql = d.update_from(&s.table, &going, &[(d.quote(&column), value)], &on, &self.wanted_value(stream, unique));
        self.session.execute(&sql).await?;
        Ok(Some(found.rows().map(|row| row.to_values()).collect()))
    }

    /// Rows whose value no placeholder can stand in for.
    async fn reject_stuck(&mut self, stream: usize, unique: &UniqueKey) -> Result<()> {
        if self.let_go(stream, unique).is_some() {
            return Ok(());
        }
        let s = &self.streams[stream];
        let on = self.dialect().keys_match(&refs(&s.key), "d", "s");
        let stuck = format!("EXISTS (SELECT 1 FROM {} d WHERE {} AND NOT ({on}))", s.table, self.same_value(unique, "d", "s"));
        let why = "the value moves between rows and no placeholder fits the column";
        self.reject_unique(stream, unique, &stuck, "unique_cycle", why).await.map(drop)
    }

    /// First phase of a swap: rows that are about to change their value let go of it.
    async fn free_unique(&mut self, stream: usize, unique: &UniqueKey) -> Result<()> {
        let Some((column, value)) = self.let_go(stream, unique) else { return Ok(()) };
        let wanted = self.wanted_value(stream, unique);
        if self.streams[stream].images == Images::WithWrites {
            // The writes would find the placeholder, and not what it stands for.
            self.save_images_before(stream).await?;
        }
        self.pass("apply.free_unique").await?;
        let s = &self.streams[stream];
        let d = self.dialect();
        let (key, compare) = (refs(&s.key), refs(&s.compare));
        let on = d.keys_match(&key, "d", "s");
        let filter = format!("{} AND {wanted}", d.differs(&compare, "d", "s"));
        let sql = d.update_from(&s.table, &s.rows, &[(d.quote(&column), value)], &on, &filter);
        self.session.execute(&sql).await?;
        self.streams[stream].let_go = true;
        Ok(())
    }

    /// TRUE for destination rows `d` whose present value a staged row with another key is to get.
    fn wanted_value(&self, stream: usize, unique: &UniqueKey) -> String {
        let s = &self.streams[stream];
        let key = refs(&s.key);
        let other = format!("{} AND NOT ({})", self.same_value(unique, "w", "d"), self.dialect().keys_match(&key, "w", "d"));
        format!("EXISTS (SELECT 1 FROM {} w WHERE {other})", s.rows)
    }

    /// The column of a unique key that can hold a placeholder, and the placeholder: NULL where allowed.
    fn let_go(&self, stream: usize, unique: &UniqueKey) -> Option<(String, String)> {
        let s = &self.streams[stream];
        if s.no_placeholder.contains(&unique.name) {
            return None;
        }
        let free = |c: &&Column| unique.columns.contains(&c.name) && s.write.compare.contains(&c.name) && !s.write.key.contains(&c.name);
        let candidates: Vec<&Column> = s.columns.iter().filter(free).collect();
        if let Some(c) = candidates.iter().find(|c| c.nullable && !unique.nulls_equal) {
            return Some((c.name.clone(), "NULL".to_owned()));
        }
        let key = refs(&s.key);
        candidates.iter().find_map(|c| self.dialect().placeholder(c, &key).map(|p| (c.name.clone(), p)))
    }
}
