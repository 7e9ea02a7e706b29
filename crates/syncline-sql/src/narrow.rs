//! How much of what was staged differs from what is there: a sample says, and where most of it is equal one pass over both tables
//! leaves only the rows that change something for all the steps that follow.

use syncline_connector::Result;

use crate::run::SqlRun;
use crate::stream::{ROW_NUMBER, number_column, refs, whole};

/// Staged rows looked at to learn whether most of them are equal (R16). Streams of no more rows are cheap in any way.
const SAMPLE_ROWS: u64 = 1_000;

impl SqlRun {
    /// Samples every stream, and narrows those that are mostly equal. Only where a further staging table costs nothing and the planner
    /// has to be told; elsewhere nothing would come of it.
    pub(crate) async fn narrow_streams(&mut self) -> Result<()> {
        // Rows that are equal now may be changed by a trigger: then all of them have to be looked at again.
        if !self.dialect().staging_in_transaction() || self.is_observed() {
            return Ok(());
        }
        for stream in 0..self.streams.len() {
            let s = &self.streams[stream];
            if !s.is_staged() || s.outcome.staged <= SAMPLE_ROWS || s.created || self.changes(stream).is_empty() {
                continue;
            }
            self.streams[stream].mostly_changed = self.is_mostly_changed(stream).await?;
            let s = &self.streams[stream];
            // A key that equals another by collation only is for the checks to find, and expected rows speak of all rows.
            let plain = s.key.iter().all(|c| c.loose_collation.is_none()) && !s.write.expects;
            if plain && !s.mostly_changed {
                self.narrow(stream).await?;
            }
        }
        Ok(())
    }

    async fn is_mostly_changed(&mut self, stream: usize) -> Result<bool> {
        let s = &self.streams[stream];
        let d = self.dialect();
        let same = format!("d.{} IS NOT NULL AND NOT ({})", d.quote(&s.key[0].name), self.changes(stream).join(" OR "));
        let sql = format!(
            "SELECT count(*) AS sampled, count(CASE WHEN {same} THEN 1 END) AS same FROM {} s LEFT JOIN {} d ON {}",
            d.sample(&s.rows, SAMPLE_ROWS, s.outcome.staged),
            s.table,
            d.keys_match(&refs(&s.key), "d", "s")
        );
        let answer = self.rows(&sql, &[number_column("sampled"), number_column("same")]).await?;
        let (sampled, same) = (whole(&answer, 0, 0)?, whole(&answer, 0, 1)?);
        Ok(same * 2 < sampled)
    }

    /// Puts the rows that change something into a staging table of their own, with all rows of the same keys, so that of rows
    /// with one key the last still counts. Equal rows need no check: they are there already.
    async fn narrow(&mut self, stream: usize) -> Result<()> {
        self.pass("apply.check").await?;
        let s = &self.streams[stream];
        let d = self.dialect();
        let few = d.staging_table(&s.write.table, &format!("syncline_few_{stream}"));
        let key = refs(&s.key);
        let mut names: Vec<String> = s.columns.iter().map(|c| d.quote(&c.name)).collect();
        names.push(d.quote(ROW_NUMBER));
        let staged: Vec<String> = names.iter().map(|c| format!("s.{c}")).collect();
        let (names, staged, rows, n) = (names.join(", "), staged.join(", "), &s.rows, d.quote(ROW_NUMBER));
        let changing = format!(
            "INSERT INTO {few} ({names}) SELECT {staged} FROM {rows} s LEFT JOIN {} d ON {} WHERE d.{} IS NULL OR {}",
            s.table,
            d.keys_match(&key, "d", "s"),
            d.quote(&s.key[0].name),
            self.changes(stream).join(" OR ")
        );
        let same_keys = format!(
            "INSERT INTO {few} ({names}) SELECT {staged} FROM {rows} s WHERE EXISTS (SELECT 1 FROM {few} f WHERE {}) \
             AND NOT EXISTS (SELECT 1 FROM {few} o WHERE o.{n} = s.{n})",
            d.keys_match(&key, "f", "s"),
        );
        let (ddl, loaded) = (d.staging_ddl(&few, &refs(&s.columns), &s.write.key), d.staging_loaded(&few));
        for sql in ddl {
            self.session.execute(&sql).await?;
        }
        let mut left = self.session.execute(&changing).await?;
        if left > 0 {
            for sql in &loaded {
                self.session.execute(sql).await?;
            }
            left += self.session.execute(&same_keys).await?;
        }
        let s = &mut self.streams[stream];
        // More would be left than was staged where the destination's key finds several rows.
        s.left_out = s.outcome.staged.saturating_sub(left);
        s.rows = few;
        // With nothing left there is nothing to check or write; with something, most of it differs now.
        s.made.rows = left > 0;
        s.mostly_changed = true;
        Ok(())
    }
}
