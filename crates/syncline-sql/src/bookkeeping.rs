//! What a run leaves at the destination about itself: the marker that answers "did it commit?" (R24) and the
//! before-images that `undo` restores (R28). Both are written by the applying transaction.

use syncline_connector::{CommitFate, DeleteAction, Error, ErrorKind, Marker, Reject, Result};
use syncline_model::logical::LogicalType;
use syncline_model::{Column, TableName, ValueRef};

use crate::run::SqlRun;
use crate::session::{Dialect, Keep, SqlSession};
use crate::straight::Straight;
use crate::stream::{Images, ROW_NUMBER, refs};

/// Table of markers: one row per sync, scope and stream.
pub const MARKER: &str = "syncline_marker";
/// Table of before-images.
pub const BEFORE: &str = "syncline_before";

/// Room for the row numbers of one transaction among the image numbers of a run. With 2^21 steps of 2^40 rows both still fit.
const ROWS_PER_STEP: u64 = 1 << 40;

/// Quoted, qualified name of a bookkeeping table.
pub fn book(dialect: &dyn Dialect, name: &str) -> String {
    dialect.table(&TableName { schema: dialect.bookkeeping_schema(), name: name.to_owned() })
}

fn marker_filter(d: &dyn Dialect, m: &Marker) -> String {
    format!("sync = {} AND scope = {} AND stream = {}", d.literal(&m.sync), d.literal(&m.scope), d.literal(&m.stream))
}

/// What the marker table says: `None` when it cannot be read.
pub async fn marker_fate(session: &mut dyn SqlSession, marker: &Marker) -> Result<Option<CommitFate>> {
    let d = session.dialect();
    let (table, filter) = (book(d, MARKER), marker_filter(d, marker));
    let sql = format!("SELECT run AS run, step AS step FROM {table} WHERE {filter}{}", d.waits_for_writers());
    let text = Column::plain("run", LogicalType::Text { chars_max: None, fixed: false }, "text");
    match session.query(&sql, &[text, crate::stream::number_column("step")]).await {
        Ok(rows) => {
            let there = rows.rows().any(|r| {
                matches!(r.get(0), ValueRef::Text(run) if run == marker.run)
                    && matches!(r.get(1), ValueRef::I64(n) if n.unsigned_abs() >= marker.step)
            });
            Ok(Some(if there { CommitFate::Committed } else { CommitFate::RolledBack }))
        }
        Err(e) if e.kind.is_transient() => Err(e),
        Err(_) => Ok(None),
    }
}

impl SqlRun {
    /// Whether a bookkeeping table is there. Asked before the transaction opens: a failed look must not spoil it.
    pub(crate) async fn has_book(&mut self, name: &str) -> Result<bool> {
        let sql = format!("SELECT count(*) AS n FROM {} WHERE 1 = 0", book(self.dialect(), name));
        match self.count(&sql).await {
            Ok(_) => Ok(true),
            Err(e) if e.kind.is_transient() => Err(e),
            Err(_) => Ok(false),
        }
    }

    pub(crate) async fn write_marker(&mut self) -> Result<()> {
        if !self.marks {
            return Ok(());
        }
        let d = self.dialect();
        let (table, m) = (book(d, MARKER), &self.marker);
        let delete = format!("DELETE FROM {table} WHERE {}", marker_filter(d, m));
        let insert = format!(
            "INSERT INTO {table} (sync, scope, stream, run, step) VALUES ({}, {}, {}, {}, {})",
            d.literal(&m.sync),
            d.literal(&m.scope),
            d.literal(&m.stream),
            d.literal(&m.run),
            m.step
        );
        self.session.execute(&delete).await?;
        self.step("apply.marker", &insert).await.map(drop)
    }

    /// Drops the before-images of runs that can no longer be undone.
    pub(crate) async fn forget_stale_images(&mut self) -> Result<()> {
        if !self.keeps_images || self.forget.is_empty() {
            return Ok(());
        }
        let d = self.dialect();
        let stale: Vec<String> = self.forget.iter().map(|r| d.literal(r)).collect();
        let sql = format!("DELETE FROM {} WHERE run IN ({})", book(d, BEFORE), stale.join(", "));
        self.session.execute(&sql).await.map(drop)
    }

    /// Locks and re-reads the rows that must still be as they were seen (R36, R40).
    pub(crate) async fn lock_and_expect(&mut self) -> Result<()> {
        for stream in 0..self.streams.len() {
            if !self.streams[stream].write.expects {
                continue;
            }
            self.make_expected_table(stream).await?;
            self.pass("apply.expect").await?;
            let s = &self.streams[stream];
            let d = self.dialect();
            let (key, all) = (refs(&s.key), refs(&s.columns));
            let on = d.keys_match(&key, "d", "s");
            let lock = d.lock_rows(&s.table, &s.expected, &on);
            let (table, expected, rows) = (&s.table, &s.expected, &s.rows);
            let same = format!("{on} AND NOT ({})", d.differs(&all, "d", "s"));
            let moved = format!("SELECT count(*) AS n FROM {expected} s WHERE NOT EXISTS (SELECT 1 FROM {table} d WHERE {same})");
            let appeared = s.is_staged().then(|| {
                let seen = d.keys_match(&key, "e", "s");
                format!(
                    "SELECT count(*) AS n FROM {rows} s JOIN {table} d ON {on} WHERE NOT EXISTS (SELECT 1 FROM {expected} e WHERE {seen})"
                )
            });
            if let Some(sql) = lock {
                self.pass("apply.lock").await?;
                self.session.execute(&sql).await?;
            }
            let mut changed = self.count(&moved).await?;
            if let Some(sql) = appeared {
                changed += self.count(&sql).await?;
            }
            if changed > 0 {
                let message = format!(
                    "stream `{}`: {changed} rows changed at the destination since they were read",
                    self.streams[stream].write.stream
                );
                return Err(Error::new(ErrorKind::Conflict, "row_changed", message).hint("nothing was written; run again"));
            }
        }
        Ok(())
    }

    /// Keeps what this run is about to change, or sees to it that the writes do. More than `undo_rows_max` rows, or where they cannot be
    /// kept: then none are.
    pub(crate) async fn save_before_images(&mut self) -> Result<()> {
        if self.undo_rows_max == 0 || !self.keeps_images {
            return Ok(());
        }
        self.pass("apply.before").await?;
        self.images_left = Some(self.undo_rows_max);
        let with_writes = self.writes_can_keep_images();
        for stream in 0..self.streams.len() {
            if self.streams[stream].made.deletions {
                let limit = self.images_left.map_or(0, |left| left + 1);
                let sql = self.deletion_images(stream, limit);
                self.save_images(&sql).await?;
            }
        }
        self.save_straight_images().await?;
        if with_writes && !self.images_fit().await? {
            return self.forget_images().await;
        }
        for stream in 0..self.streams.len() {
            if self.streams[stream].is_kept() && self.images_left.is_some() {
                if with_writes {
                    self.streams[stream].images = Images::WithWrites;
                } else {
                    self.save_images_before(stream).await?;
                }
            }
        }
        Ok(())
    }

    /// The keys of rows that went straight into their tables: their undo is to go again.
    async fn save_straight_images(&mut self) -> Result<()> {
        for stream in (0..self.streams.len()).filter(|&i| self.streams[i].straight == Straight::Done).collect::<Vec<_>>() {
            let Some(left) = self.images_left else { return Ok(()) };
            if self.streams[stream].outcome.staged > left {
                return self.forget_images().await;
            }
            let sql = self.straight_images(stream, left + 1);
            self.save_images(&sql).await?;
        }
        Ok(())
    }

    /// Whether each row is still as it was when the statement that writes it comes: nothing else of this run changes it before.
    fn writes_can_keep_images(&self) -> bool {
        let parts = Keep { before: "", of_run: "", number: "", key: &[], stored: &[] };
        if self.dialect().insert_keeping("", "", &parts).is_none() || self.groups.iter().any(|g| g.cyclic) {
            return false;
        }
        let removes = self.streams.iter().any(|s| s.made.deletions);
        self.streams.iter().all(|s| {
            let t = &s.write.table;
            // What points at a key moves with it only when the key changes.
            let by_key = |columns: &[String], key: &[String]| columns.iter().all(|c| key.contains(c));
            let parent = |name: &TableName| self.streams.iter().find(|p| p.write.table.name == *name);
            let from_it = s.write.referenced_by.iter().all(|r| {
                by_key(&r.key.parent_columns, &s.write.key) && (!removes || r.key.on_delete == syncline_model::schema::OnDelete::Refuse)
            });
            let to_others = t.foreign_keys.iter().all(|k| parent(&k.parent).is_none_or(|p| by_key(&k.parent_columns, &p.write.key)));
            !s.respells && !s.is_interfered_with() && from_it && to_others
        })
    }

    /// Whether the images of all changes stay within the limit. Counted only where the staged rows are more than that.
    async fn images_fit(&mut self) -> Result<bool> {
        let Some(left) = self.images_left else { return Ok(false) };
        let staged: Vec<usize> = (0..self.streams.len()).filter(|&i| self.streams[i].is_kept()).collect();
        if staged.iter().map(|&i| self.streams[i].staged_now()).sum::<u64>() <= left {
            return Ok(true);
        }
        let mut changing = 0;
        for stream in staged {
            let s = &self.streams[stream];
            let limit = left + 1 - changing;
            let on = self.dialect().keys_match(&refs(&s.key), "d", "s");
            let mut list = vec![format!("{} s WHERE NOT EXISTS (SELECT 1 FROM {} d WHERE {on})", s.rows, s.table)];
            let changes = self.changes(stream);
            if !changes.is_empty() {
                list.push(format!("{} d JOIN {} s ON {on} WHERE {}", s.table, s.rows, changes.join(" OR ")));
            }
            for from in list {
                changing += self.count(&format!("SELECT count(*) AS n FROM (SELECT 1 AS x FROM {from} LIMIT {limit}) c")).await?;
                if changing > left {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Keeps the images of a stream's staged rows now.
    pub(crate) async fn save_images_before(&mut self, stream: usize) -> Result<()> {
        let Some(left) = self.images_left else { return Ok(()) };
        self.streams[stream].images = Images::Before;
        self.streams[stream].foreseen = self.foreseen_hash(stream).is_some();
        let sql = self.staged_images(stream, left + 1);
        self.save_images(&sql).await
    }

    async fn save_images(&mut self, statements: &[String]) -> Result<()> {
        for sql in statements {
            let Some(left) = self.images_left else { return Ok(()) };
            let kept = self.session.execute(sql).await?;
            match left.checked_sub(kept) {
                Some(rest) => self.images_left = Some(rest),
                None => return self.forget_images().await,
            }
        }
        Ok(())
    }

    /// Hands the parts of a before-image to `make`.
    pub(crate) fn with_keep(
        &self,
        stream: usize,
        number: &str,
        make: impl FnOnce(&dyn Dialect, &Keep<'_>) -> Option<String>,
    ) -> Option<String> {
        let (d, s) = (self.dialect(), &self.streams[stream]);
        let (before, stored) = (book(d, BEFORE), self.restored_columns(stream));
        let of_run = format!("{}, {}", d.literal(&self.marker.run), d.literal(&s.write.stream));
        let (key, stored) = (refs(&s.key), refs(&stored));
        make(d, &Keep { before: &before, of_run: &of_run, number, key: &key, stored: &stored })
    }

    /// Where the images of rows that this stream creates next are numbered from: above all staged rows of the step.
    pub(crate) fn created_number(&self, stream: usize) -> u64 {
        self.marker.step.saturating_sub(1) * ROWS_PER_STEP + ROWS_PER_STEP / 2 + self.streams[stream].outcome.created
    }

    /// The number of a staged row's image: unique within the run also where the run takes several transactions.
    pub(crate) fn image_number(&self, alias: &str) -> String {
        let n = format!("{alias}.{}", self.dialect().quote(ROW_NUMBER));
        match self.marker.step {
            0 | 1 => n,
            step => format!("{n} + {}", (step - 1) * ROWS_PER_STEP),
        }
    }

    async fn forget_images(&mut self) -> Result<()> {
        self.images_left = None;
        self.streams.iter_mut().for_each(|s| s.images = Images::No);
        let d = self.dialect();
        let sql = format!("DELETE FROM {} WHERE run = {}", book(d, BEFORE), d.literal(&self.marker.run));
        self.session.execute(&sql).await.map(drop)
    }

    pub(crate) fn image_head(&self, stream: usize, op: &str, n: &str) -> String {
        let d = self.dialect();
        let into = format!("INSERT INTO {} (run, stream, op, n, key_image, image, after_hash)", book(d, BEFORE));
        format!("{into} SELECT {}, {}, '{op}', {n}", d.literal(&self.marker.run), d.literal(&self.streams[stream].write.stream))
    }

    /// One INSERT for updated and revived rows, one for the keys of created ones.
    fn staged_images(&self, stream: usize, limit: u64) -> Vec<String> {
        let s = &self.streams[stream];
        let d = self.dialect();
        let key = refs(&s.key);
        let written = self.restored_columns(stream);
        let (all, on) = (refs(&written), d.keys_match(&key, "d", "s"));
        let after = self.foreseen_hash(stream).unwrap_or_else(|| "NULL".to_owned());
        let n = self.image_number("s");
        let mut changes = self.changes(stream);
        if let DeleteAction::Mark { column, .. } = &s.write.deletes
            && !s.write.columns.contains(column)
        {
            changes.push(format!("d.{} IS NOT NULL", d.quote(column)));
        }
        let changes = if changes.is_empty() { "1 = 0".to_owned() } else { format!("({})", changes.join(" OR ")) };
        let images = format!("{}, {}", d.image(&key, "d"), d.image(&all, "d"));
        let updated = format!("{} d JOIN {} s ON {on} WHERE {changes}", s.table, s.rows);
        let created = format!("{} s WHERE NOT EXISTS (SELECT 1 FROM {} d WHERE {on})", s.rows, s.table);
        vec![
            format!("{}, {images}, {after} FROM {updated} LIMIT {limit}", self.image_head(stream, "U", &n)),
            format!("{}, {}, NULL, {after} FROM {created} LIMIT {limit}", self.image_head(stream, "C", &n), d.image(&key, "s")),
        ]
    }

    /// Rows that are about to be removed or marked.
    fn deletion_images(&self, stream: usize, limit: u64) -> Vec<String> {
        let s = &self.streams[stream];
        let d = self.dialect();
        let key = refs(&s.key);
        let written = self.restored_columns(stream);
        let op = if s.write.deletes == DeleteAction::Remove { "D" } else { "U" };
        let head = self.image_head(stream, op, &format!("-({})", self.image_number("s")));
        let images = format!("{}, {}", d.image(&key, "d"), d.image(&refs(&written), "d"));
        let on = d.keys_match(&key, "d", "s");
        vec![format!("{head}, {images}, NULL FROM {} d JOIN {} s ON {on} LIMIT {limit}", s.table, s.deletions)]
    }

    /// Columns an undo restores: everything that is stored, not computed.
    pub(crate) fn restored_columns(&self, stream: usize) -> Vec<Column> {
        self.streams[stream].write.table.columns.iter().filter(|c| !c.generated).cloned().collect()
    }

    /// The hash of what a staged row `s` will be once written, where that is certain: every stored column is staged as it is
    /// stored, nothing but this run has a say in it, and keys that match are the same bytes. It saves rewriting the images.
    fn foreseen_hash(&self, stream: usize) -> Option<String> {
        let s = &self.streams[stream];
        let d = self.dialect();
        let stored = self.restored_columns(stream);
        let exact = |c: &Column| s.write.columns.contains(&c.name) && d.staged_as_stored(c);
        let plain_key = |c: &Column| match c.logical {
            LogicalType::Int { .. } | LogicalType::Uuid => true,
            LogicalType::Text { fixed, .. } => !fixed && c.loose_collation.is_none(),
            _ => false,
        };
        (s.is_staged() && !s.is_interfered_with() && stored.iter().all(exact) && s.key.iter().all(plain_key))
            .then(|| d.row_hash(&refs(&stored), "s"))
    }

    /// Drops the images of staged rows that were set aside after their images were saved.
    pub(crate) async fn forget_images_of(&mut self, stream: usize, numbers: &[u64]) -> Result<()> {
        if !self.streams[stream].foreseen {
            return Ok(());
        }
        let of_run = self.images_of_run(stream);
        let first = self.marker.step.saturating_sub(1) * ROWS_PER_STEP;
        for chunk in numbers.chunks(self.dialect().values_max()) {
            let list: Vec<String> = chunk.iter().map(|n| (n + first).to_string()).collect();
            let sql = format!("DELETE FROM {} WHERE {of_run} AND n IN ({})", book(self.dialect(), BEFORE), list.join(", "));
            self.session.execute(&sql).await?;
        }
        Ok(())
    }

    fn images_of_run(&self, stream: usize) -> String {
        let d = self.dialect();
        format!("run = {} AND stream = {}", d.literal(&self.marker.run), d.literal(&self.streams[stream].write.stream))
    }

    /// Records how the rows look after this run, so that `undo` can tell whether somebody changed them since.
    pub(crate) async fn save_after_hashes(&mut self) -> Result<()> {
        if self.images_left.is_none() {
            return Ok(());
        }
        self.pass("apply.after").await?;
        for stream in 0..self.streams.len() {
            let s = &self.streams[stream];
            if s.images != Images::Before && !s.made.deletions {
                continue;
            }
            let columns = self.restored_columns(stream);
            let s = &self.streams[stream];
            let d = self.dialect();
            let hash = d.row_hash(&refs(&columns), "d");
            let mut sources = Vec::new();
            if s.images == Images::Before && !s.foreseen {
                sources.push((s.rows.clone(), String::new()));
            }
            if s.made.deletions && s.write.deletes != DeleteAction::Remove {
                sources.push((s.deletions.clone(), "-".to_owned()));
            }
            let n = self.image_number("s");
            let on = d.keys_match(&refs(&s.key), "d", "s");
            let of_run = format!("d.run = {} AND d.stream = {}", d.literal(&self.marker.run), d.literal(&s.write.stream));
            let sql: Vec<String> = sources
                .into_iter()
                .map(|(staged, sign)| {
                    let hashes = format!("(SELECT {sign}({n}) AS n, {hash} AS h FROM {staged} s JOIN {} d ON {on})", s.table);
                    let sets = [(d.quote("after_hash"), "s.h".to_owned())];
                    d.update_from(&book(d, BEFORE), &hashes, &sets, "d.n = s.n", &of_run)
                })
                .collect();
            for sql in sql {
                self.session.execute(&sql).await?;
            }
            self.forget_unmade_changes(stream).await?;
        }
        Ok(())
    }

    /// Images of rows that were set aside after all: the run did not change them, so there is nothing to undo.
    async fn forget_unmade_changes(&mut self, stream: usize) -> Result<()> {
        let s = &self.streams[stream];
        let d = self.dialect();
        let of_run = self.images_of_run(stream);
        let before = book(d, BEFORE);
        let mut list = vec![format!("DELETE FROM {before} WHERE {of_run} AND op <> 'D' AND after_hash IS NULL")];
        if !s.outcome.delete_rejects.is_empty() {
            let still_there = format!("EXISTS (SELECT 1 FROM {} d WHERE {} = {before}.key_image)", s.table, d.image(&refs(&s.key), "d"));
            list.push(format!("DELETE FROM {before} WHERE {of_run} AND op = 'D' AND {still_there}"));
        }
        for sql in list {
            self.session.execute(&sql).await?;
        }
        Ok(())
    }

    /// Fills the staging tables from the before-images of an earlier run.
    pub(crate) async fn undo_into_staging(&mut self, stream: usize, run: &str) -> Result<Vec<Reject>> {
        // Those of all streams, for none can be made once the transaction is open.
        for stream in 0..self.streams.len() {
            self.make_row_table(stream).await?;
            self.make_deletion_table(stream).await?;
        }
        self.open_transaction().await?;
        self.restores = true;
        self.streams[stream].respells = true;
        let (refused, numbers) = self.changed_since(stream, run).await?;
        let s = &self.streams[stream];
        let d = self.dialect();
        let n = d.quote(ROW_NUMBER);
        let columns = refs(&s.columns);
        let key = refs(&s.key);
        let names = |list: &[&Column]| list.iter().map(|c| d.quote(&c.name)).collect::<Vec<_>>().join(", ");
        let of_run = format!("b.run = {} AND b.stream = {}", d.literal(run), d.literal(&s.write.stream));
        // Images of deletions are numbered downwards from -1; staged rows are numbered upwards, each number once.
        let number = "CASE WHEN b.n < 0 THEN -2 * b.n - 1 ELSE 2 * b.n END";
        let restore = format!(
            "INSERT INTO {} ({}, {n}) SELECT {}, {number} FROM {} b",
            s.rows,
            names(&columns),
            d.image_select(&s.write.table, &columns, "b"),
            d.images_from(&book(d, BEFORE), &format!("{of_run} AND b.op IN ('U', 'D')"))
        );
        let remove = format!(
            "INSERT INTO {} ({}, {n}) SELECT {}, {number} FROM {} b",
            s.deletions,
            names(&key),
            d.image_select(&s.write.table, &key, "b"),
            d.images_from(&self.key_images(), &format!("{of_run} AND b.op = 'C'"))
        );
        let mut staged = self.session.execute(&restore).await?;
        self.session.execute(&remove).await?;
        let doubled = |n: i64| if n < 0 { -2 * n - 1 } else { 2 * n };
        let numbers: Vec<u64> = numbers.into_iter().map(|n| doubled(n).unsigned_abs()).collect();
        for chunk in numbers.chunks(self.dialect().values_max()) {
            let list: Vec<String> = chunk.iter().map(ToString::to_string).collect();
            let n = self.dialect().quote(ROW_NUMBER);
            let left_alone = |table: &str| format!("DELETE FROM {table} WHERE {n} IN ({})", list.join(", "));
            let (rows, deletions) = (left_alone(&self.streams[stream].rows), left_alone(&self.streams[stream].deletions));
            staged -= self.session.execute(&rows).await?;
            self.session.execute(&deletions).await?;
        }
        self.streams[stream].outcome.staged += staged;
        Ok(refused)
    }

    /// The before-images with the key's image in place of the row's, so that `image_select` gives keys.
    fn key_images(&self) -> String {
        format!("(SELECT run, stream, op, n, key_image AS image, after_hash FROM {})", book(self.dialect(), BEFORE))
    }

    /// The rows that are not as run `run` left them, and the numbers of their images. The key is decoded and joined by, so
    /// that the destination's index finds each row.
    async fn changed_since(&mut self, stream: usize, run: &str) -> Result<(Vec<Reject>, Vec<i64>)> {
        let s = &self.streams[stream];
        let d = self.dialect();
        let key = refs(&s.key);
        let stored = self.restored_columns(stream);
        let hash = d.row_hash(&refs(&stored), "d");
        let of_run = format!("b.run = {} AND b.stream = {}", d.literal(run), d.literal(&s.write.stream));
        let images = format!(
            "(SELECT {}, b.op AS syncline_op, b.n AS {n}, b.after_hash AS syncline_hash FROM {} b)",
            d.image_select(&s.write.table, &key, "b"),
            d.images_from(&self.key_images(), &of_run),
            n = d.quote(ROW_NUMBER)
        );
        let there = format!("d.{} IS NOT NULL", d.quote(&s.key[0].name));
        let as_left = format!("{there} AND {hash} = s.syncline_hash");
        let changed = format!("CASE WHEN s.syncline_op = 'D' THEN {there} ELSE NOT COALESCE({as_left}, 1 = 0) END");
        let list: Vec<String> = key.iter().map(|c| format!("s.{}", d.quote(&c.name))).collect();
        let sql = format!(
            "SELECT {}, s.{} FROM {images} s LEFT JOIN {} d ON {} WHERE {changed} LIMIT {}",
            list.join(", "),
            d.quote(ROW_NUMBER),
            s.table,
            d.keys_match(&key, "d", "s"),
            s.write.rejects_max
        );
        let mut columns = s.key.clone();
        columns.push(crate::stream::number_column(ROW_NUMBER));
        let found = self.rows(&sql, &columns).await?;
        let mut refused = Vec::with_capacity(found.len());
        let mut numbers = Vec::with_capacity(found.len());
        for row in found.rows() {
            let mut cells = row.to_values();
            let number = cells.pop().map(|v| v.to_string()).and_then(|text| text.parse().ok());
            numbers.push(number.ok_or_else(|| Error::internal("an image without a number"))?);
            let detail = "changed after the run that is to be undone; left as it is".to_owned();
            refused.push(Reject { row: cells, column: None, code: "row_changed", detail, words: None });
        }
        Ok((refused, numbers))
    }
}
