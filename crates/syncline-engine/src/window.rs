//! An incremental read: where it starts, and when it may not, because the position says nothing of what is there.

use syncline_connector::{Predicate, Snapshot};
use syncline_model::{LogicalType, Value};

use crate::engine::Result;
use crate::moving::Watch;
use crate::pipeline::Phase;
use crate::spec::Mode;
use crate::stream_run::{Landing, StreamRun};

impl StreamRun<'_> {
    /// Where the read starts; `None` when nothing proves that what lies before was synced: then every row is looked at.
    pub(crate) async fn window(&mut self, source: &mut dyn Snapshot, dest: &mut dyn Snapshot) -> Result<Option<Predicate>> {
        if self.mode() != Mode::Incremental || self.result.position.is_none() {
            return Ok(None);
        }
        if self.result.position_in_force().is_none() {
            self.remark("its options, its columns or the program changed since its last run: every row is compared, as in a first run");
            return Ok(None);
        }
        let Some(from) = self.start() else { return Ok(None) };
        if self.has_rows(false, dest).await? || !self.has_rows(true, source).await? {
            return Ok(Some(from));
        }
        self.remark("the destination has none of its rows any more: every row is read, as in a first run");
        Ok(None)
    }

    fn start(&self) -> Option<Predicate> {
        // Rows outside the window have no value yet of a column that is new.
        if self.pair.has_new_column || !self.pair.alter.is_empty() {
            return None;
        }
        let cursor = self.pair.policy.options.cursor.clone()?;
        let position = self.result.position_in_force()?;
        let column = self.pair.source.column(&cursor)?;
        let value = match column.logical {
            LogicalType::TimestampTz { .. } => Value::TimestampTz(position.mark?),
            _ => {
                let json = serde_json::from_str(position.cursor_json.as_ref()?).ok()?;
                syncline_model::json::to_value(&json)?
            }
        };
        Some(Predicate::NotBefore(cursor, value))
    }

    async fn has_rows(&self, at_source: bool, side: &mut dyn Snapshot) -> Result<bool> {
        let p = self.pair;
        let (table, key, filter) =
            if at_source { (&p.source, &p.key_source, &p.filter_source) } else { (&p.dest, &p.key_dest, &p.filter_dest) };
        Ok(side.key_after(table, key, filter, 1).await?.is_some())
    }

    fn remark(&mut self, text: &str) {
        self.result.remarks.push(format!("stream `{}`: {text}", self.pair.stream));
    }

    /// A cursor has to be seen to be remembered.
    pub(crate) fn watch(&self) -> Option<Watch> {
        let by_key = self.context.options.key.is_some() || self.context.options.keys.is_some();
        if self.mode() != Mode::Incremental || by_key {
            return None;
        }
        let cursor = self.pair.policy.options.cursor.as_ref()?;
        let column = self.pair.reads.iter().position(|r| r == cursor)?;
        Some(Watch { column, last: self.result.position_in_force().and_then(|p| p.last_synced_at) })
    }

    /// The rows of the window, and the parked ones again.
    pub(crate) async fn stage_window(
        &mut self,
        from: Predicate,
        source: &mut dyn Snapshot,
        dest: &mut dyn Snapshot,
        staged: &mut Landing<'_>,
    ) -> Result<()> {
        if self.phase == Phase::Deletions {
            return Ok(());
        }
        self.engine.progress.stream_started(&self.pair.stream, "read", None);
        self.move_selected(vec![from], false, source, dest, staged).await?;
        if self.result.without_cursor > 0 {
            let cursor = self.pair.policy.options.cursor.as_deref().unwrap_or_default();
            let text = format!("{} rows have no `{cursor}`: they are read in every run", self.result.without_cursor);
            self.remark(&text);
        }
        let keys = self.keys_from_json(&self.result.retried);
        if !keys.is_empty() {
            self.move_keys(&keys, source, dest, staged).await?;
        }
        self.result.in_scope = self.result.fetched;
        Ok(())
    }
}
