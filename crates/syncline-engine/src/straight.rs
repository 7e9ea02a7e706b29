//! All rows of a stream straight into a table that is there and empty (R20). Where its constraints refuse one, all are read once more from
//! the same snapshot and go by staging.

use syncline_connector::{ErrorKind, Snapshot, WritePath};

use crate::engine::{EngineError, Result};
use crate::spec::Atomic;
use crate::stream_run::{Landing, StreamResult, StreamRun};

impl StreamRun<'_> {
    /// Moves all rows straight into the table. `false`: that is not to be, and nothing of the stream was moved.
    pub(crate) async fn move_straight(
        &mut self,
        source: &mut dyn Snapshot,
        dest: &mut dyn Snapshot,
        landing: &mut Landing<'_>,
    ) -> Result<bool> {
        if self.needs_staging(landing) || !landing.staged.begin_straight(self.index).await? {
            return Ok(false);
        }
        let before = self.result.moved_so_far();
        let moved = self.move_selected(Vec::new(), self.raw, source, dest, landing).await;
        match &moved {
            Err(EngineError::Connector(e)) if e.kind == ErrorKind::BadRecord => {}
            Err(_) => return moved.map(|()| false),
            Ok(()) => {}
        }
        if landing.staged.end_straight(self.index).await? {
            moved?;
            self.result.path = WritePath::Load;
            return Ok(true);
        }
        tracing::info!(stream = %self.pair.stream, "the empty table refused a row; all rows are read again and staged");
        self.result.forget_since(before);
        Ok(false)
    }

    /// A table that this run makes is loaded another way, and what is decided row by row needs the rows in staging.
    fn needs_staging(&self, landing: &mut Landing<'_>) -> bool {
        let batches = self.context.sync.atomic == Atomic::Batch;
        self.result.path == WritePath::Load || batches || self.keeps() || landing.ids.rewriting(self.index).is_some()
    }
}

/// What reading adds to: rows fetched, rows set aside, rows settled, rows not older than the last success.
type Counted = (u64, usize, (u64, u64), u64);

impl StreamResult {
    fn moved_so_far(&self) -> Counted {
        (self.fetched, self.parked.len(), self.settled, self.after_last)
    }

    /// Forgets what was read since, for it is read again. The largest cursor seen stays: it will be seen again.
    fn forget_since(&mut self, (fetched, parked, settled, after_last): Counted) {
        self.fetched = fetched;
        self.parked.truncate(parked);
        self.settled = settled;
        self.after_last = after_last;
    }
}
