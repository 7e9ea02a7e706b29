//! Making tables: staging tables when their first row comes, destination tables that the run creates.

use syncline_connector::{Error, ErrorKind, Result, WritePath};
use syncline_model::schema::Identity;

use crate::run::SqlRun;
use crate::straight::Straight;
use crate::stream::{Stream, refs};

impl SqlRun {
    pub(crate) async fn make_row_table(&mut self, stream: usize) -> Result<()> {
        if self.streams[stream].straight != Straight::No {
            return self.refuse_after_refusal(stream);
        }
        if self.streams[stream].write.path.is_straight() {
            self.open_transaction().await?;
            return self.create_tables().await;
        }
        if self.streams[stream].made.rows {
            return Ok(());
        }
        self.streams[stream].made.rows = true;
        let s = &self.streams[stream];
        let ddl = self.staging_ddl(s, &s.rows, false);
        self.make_staging(ddl).await
    }

    pub(crate) async fn make_deletion_table(&mut self, stream: usize) -> Result<()> {
        if self.streams[stream].made.deletions {
            return Ok(());
        }
        self.streams[stream].made.deletions = true;
        let s = &self.streams[stream];
        let ddl = self.staging_ddl(s, &s.deletions, true);
        self.make_staging(ddl).await
    }

    pub(crate) async fn make_expected_table(&mut self, stream: usize) -> Result<()> {
        if self.streams[stream].made.expected {
            return Ok(());
        }
        self.streams[stream].made.expected = true;
        let s = &self.streams[stream];
        let ddl = self.staging_ddl(s, &s.expected, false);
        self.make_staging(ddl).await
    }

    fn staging_ddl(&self, s: &Stream, name: &str, key_only: bool) -> Vec<String> {
        let columns = if key_only { refs(&s.key) } else { refs(&s.columns) };
        let mut ddl = self.dialect().staging_drop(name);
        ddl.extend(self.dialect().staging_ddl(name, &columns, &s.write.key));
        if !key_only {
            let staged = |u: &&Vec<String>| **u != s.write.key && !u.is_empty() && u.iter().all(|c| s.write.columns.contains(c));
            let uniques = s.write.table.uniques.iter().map(|u| &u.columns);
            let lookups: Vec<Vec<String>> = uniques.chain([&s.write.table.primary_key]).filter(staged).cloned().collect();
            ddl.extend(self.dialect().staging_indexes(name, &columns, &lookups));
        }
        ddl
    }

    /// Where DDL commits, every staging table that the transaction may need is made before it opens: even an index on a temporary table
    /// would commit half of the run.
    pub(crate) async fn make_tables_for_later(&mut self) -> Result<()> {
        for stream in 0..self.streams.len() {
            let s = &self.streams[stream];
            let may_hold_orphans = s.write.create.is_some() && s.write.path == WritePath::Load && !s.write.table.foreign_keys.is_empty();
            let expects = s.write.expects;
            if may_hold_orphans {
                self.make_deletion_table(stream).await?;
            }
            if expects {
                self.make_expected_table(stream).await?;
            }
        }
        Ok(())
    }

    async fn make_staging(&mut self, ddl: Vec<String>) -> Result<()> {
        if self.dialect().staging_in_transaction() {
            self.begin_once().await?;
        } else if self.dialect().ddl_commits() && self.is_open() {
            return Err(Error::internal("a staging table was asked for in an open transaction, which it would commit"));
        }
        // An open bulk statement has to end before DDL can be sent on the same connection.
        self.session.finish_load().await?;
        for sql in ddl {
            self.step("stage.create", &sql).await?;
        }
        Ok(())
    }

    /// Makes every new table before the first row goes into one: where foreign keys are part of CREATE TABLE (SQLite), a
    /// child takes no row while its parent table is missing.
    async fn create_tables(&mut self) -> Result<()> {
        for stream in 0..self.streams.len() {
            self.create_table(stream).await?;
        }
        Ok(())
    }

    /// Makes the destination table of a stream, once.
    pub(crate) async fn create_table(&mut self, stream: usize) -> Result<()> {
        let Some(ddl) = self.streams[stream].write.create.clone().filter(|_| !self.streams[stream].created) else {
            return Ok(());
        };
        self.streams[stream].created = true;
        self.session.finish_load().await?;
        for sql in self.dialect().create_statements(&ddl) {
            self.step("stage.create", &sql).await?;
        }
        Ok(())
    }

    /// Tables of the run that got no row still have to be there.
    pub(crate) async fn create_missing_tables(&mut self) -> Result<()> {
        for stream in 0..self.streams.len() {
            let loads = self.streams[stream].write.path.is_straight();
            self.create_table(stream).await?;
            if !loads && !self.dialect().ddl_commits() {
                self.add_keys(stream).await?;
            }
        }
        Ok(())
    }

    /// Where DDL commits by itself: everything about new tables before the run's transaction (R19).
    pub(crate) async fn create_all_tables(&mut self) -> Result<()> {
        let order: Vec<usize> = self.groups.iter().flat_map(|g| g.streams.clone()).collect();
        for &stream in &order {
            self.create_table(stream).await?;
            match self.streams[stream].write.in_parts.filled() {
                None => self.add_keys(stream).await?,
                Some(_) => self.add_keys_over_rows(stream).await?,
            }
        }
        for stream in order {
            match self.streams[stream].write.in_parts.filled() {
                None => self.add_foreign_keys(stream).await?,
                Some(_) => self.add_foreign_keys_over_rows(stream).await?,
            }
        }
        Ok(())
    }

    pub(crate) async fn add_keys(&mut self, stream: usize) -> Result<()> {
        let Some(ddl) = self.streams[stream].write.create.clone() else { return Ok(()) };
        for sql in ddl.keys {
            self.step("apply.index", &sql).await?;
        }
        Ok(())
    }

    pub(crate) async fn add_foreign_keys(&mut self, stream: usize) -> Result<()> {
        let Some(ddl) = self.streams[stream].write.create.clone() else { return Ok(()) };
        for sql in ddl.foreign_keys {
            self.step("apply.constraint", &sql).await?;
        }
        Ok(())
    }

    /// Tells the planner what was staged.
    pub(crate) async fn after_staging(&mut self) -> Result<()> {
        for stream in 0..self.streams.len() {
            let s = &self.streams[stream];
            let staged = [(s.is_staged(), &s.rows), (s.made.deletions, &s.deletions), (s.made.expected, &s.expected)];
            let sql: Vec<String> =
                staged.into_iter().filter(|(made, _)| *made).flat_map(|(_, name)| self.dialect().staging_loaded(name)).collect();
            for sql in sql {
                self.session.execute(&sql).await?;
            }
        }
        Ok(())
    }

    /// After all rows are in: keys, foreign keys and sequences of the tables that this run made. Rows without a parent are
    /// set aside before the constraint is added, so that it holds.
    pub(crate) async fn finish_tables(&mut self) -> Result<()> {
        let loaded: Vec<usize> = (0..self.streams.len()).filter(|&i| self.streams[i].created).collect();
        // Where DDL commits, keys and foreign keys were made before the first row.
        let late = !self.dialect().ddl_commits();
        let straight: Vec<usize> = (0..self.streams.len()).filter(|&i| self.streams[i].has_landed()).collect();
        for &stream in &straight {
            self.count_loaded(stream).await?;
        }
        for &stream in loaded.iter().filter(|_| late) {
            if self.streams[stream].write.path == WritePath::Load {
                self.add_keys_over_rows(stream).await?;
            }
        }
        self.park_loaded_orphans().await?;
        for stream in straight {
            let o = &mut self.streams[stream].outcome;
            o.created = o.staged - o.rejects.len() as u64;
        }
        for &stream in loaded.iter().filter(|_| late) {
            self.add_foreign_keys(stream).await?;
        }
        self.set_sequences(&loaded).await?;
        self.move_sequences_on().await
    }

    /// A table that earlier transactions filled holds what they put there, but for what was taken out again, and nothing else.
    async fn count_loaded(&mut self, stream: usize) -> Result<()> {
        let s = &self.streams[stream];
        let Some(loaded) = s.write.in_parts.filled().map(|rows| rows - s.outcome.rejects.len() as u64) else { return Ok(()) };
        let (table, name) = (s.table.clone(), s.write.stream.clone());
        self.pass("load.place").await?;
        let found = self.count(&format!("SELECT count(*) AS n FROM {table}")).await?;
        if found == loaded {
            return Ok(());
        }
        let message = format!("stream `{name}`: the table being loaded holds {found} rows, and {loaded} were put there");
        Err(Error::new(ErrorKind::Conflict, "row_changed", message)
            .hint("somebody else writes to it; nothing was committed, and the next run compares it with the source again"))
    }

    /// Keys that came with their rows are behind the sequence, which would give them to the next row that somebody else inserts.
    async fn move_sequences_on(&mut self) -> Result<()> {
        let mut statements = Vec::new();
        for s in self.streams.iter().filter(|s| !s.created && s.outcome.created > 0) {
            let t = &s.write.table;
            let leads = |name: &String| {
                let indexed = t.uniques.iter().map(|u| &u.columns).chain(t.indexes.iter().map(|i| &i.columns));
                std::iter::once(&t.primary_key).chain(indexed).any(|columns| columns.first() == Some(name))
            };
            // Without an index the largest value would cost a look at every row.
            let numbered = s.columns.iter().filter(|c| c.identity != Identity::No && leads(&c.name));
            statements.extend(numbered.filter_map(|c| self.dialect().sequence_on(t, c)));
        }
        for sql in statements {
            self.session.execute(&sql).await?;
        }
        Ok(())
    }

    async fn set_sequences(&mut self, created: &[usize]) -> Result<()> {
        for &stream in created {
            let Some(ddl) = self.streams[stream].write.create.clone() else { continue };
            for sql in ddl.sequences {
                self.step("apply.sequence", &sql).await?;
            }
        }
        Ok(())
    }
}
