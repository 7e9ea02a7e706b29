//! Removing tables that an earlier run made: the undo of a first load (R26).

use syncline_connector::{Error, ErrorKind, Result};
use syncline_model::Column;
use syncline_model::LogicalType;

use crate::run::SqlRun;

impl SqlRun {
    /// Locks a table against writers until the end of the transaction, so that what is proved about its rows stays true.
    pub(crate) async fn mark_for_drop(&mut self, stream: usize) -> Result<()> {
        self.open_transaction().await?;
        let s = &self.streams[stream];
        let d = self.dialect();
        let (lock, views) = (d.lock_table(&s.table), d.views_over(&s.write.table.name));
        if let Some(sql) = lock {
            self.session.execute(&sql).await?;
        }
        if let Some(sql) = views {
            let name = Column::plain("name", LogicalType::Text { chars_max: None, fixed: false }, "text");
            let found = self.rows(&sql, &[name]).await?;
            if let Some(view) = found.rows().next() {
                let message = format!("table `{}` is read by view `{}`", self.streams[stream].write.table.name, view.get(0).to_owned());
                return Err(Error::new(ErrorKind::Conflict, "table_needed", message).hint("drop the view first, or keep the table"));
            }
        }
        self.streams[stream].dropped = true;
        Ok(())
    }

    /// Removes the marked tables, children before parents.
    pub(crate) async fn drop_tables(&mut self) -> Result<()> {
        let order: Vec<usize> = self.groups.iter().rev().flat_map(|g| g.streams.clone()).filter(|&s| self.streams[s].dropped).collect();
        if order.is_empty() {
            return Ok(());
        }
        self.pass("undo.drop").await?;
        for &stream in &order {
            let rows = self.count(&format!("SELECT count(*) AS n FROM {}", self.streams[stream].table)).await?;
            self.streams[stream].outcome.deleted += rows;
        }
        let tables: Vec<&str> = order.iter().map(|&s| self.streams[s].table.as_str()).collect();
        for sql in self.dialect().drop_tables(&tables) {
            self.session.execute(&sql).await?;
        }
        Ok(())
    }
}
