//! From what was read and what was applied to the books, the lists and the next position of each stream.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use syncline_connector::{Error, ErrorKind, Observation, Predicate, Snapshot, StreamOutcome, WritePath};
use syncline_model::{Books, Key, LogicalType, RowBatch, Value};
use syncline_store::rows::{DeletionRow, ParkedRow, PositionRow, StreamRow};

use crate::compare::Seen;
use crate::cursor;
use crate::engine::{Engine, Result};
use crate::horizon;
use crate::link::Link;
use crate::mapped::IdMaps;
use crate::moving::{Parked, parked, with_words};
use crate::pairing::Pair;
use crate::pipeline::{Phase, RunContext};
use crate::settle::Settlement;
use crate::spec::{Atomic, Rows};
use crate::stream_run::StreamResult;

/// Ids of missing records that a remark names.
const ORPHANS_SHOWN: usize = 20;

impl Engine {
    /// Adds the streams of one applied transaction to the settlement.
    #[allow(clippy::too_many_arguments, reason = "one call site, at the end of a transaction")]
    pub(crate) async fn account(
        &self,
        context: &RunContext<'_>,
        pairs: &[Pair],
        phase: Phase,
        results: Vec<StreamResult>,
        outcomes: Vec<StreamOutcome>,
        ids: &IdMaps,
        source: &mut dyn Snapshot,
        settlement: &mut Settlement,
    ) -> Result<()> {
        let observations = {
            let mut tx = self.store.begin().await?;
            let list = tx.list_observations(&context.sync.name).await?;
            tx.commit().await?;
            list
        };
        let now = source.observation().clone();
        let (orphans, shown) = ids.orphans(ORPHANS_SHOWN)?;
        if orphans > 0 {
            let shown: Vec<String> = shown.iter().map(ToString::to_string).collect();
            let text = format!("{orphans} references point to records that the source does not have: {}", shown.join(", "));
            settlement.remarks.push(text);
        }
        for (index, ((pair, mut result), outcome)) in pairs.iter().zip(results).zip(outcomes).enumerate() {
            let refused: Vec<Parked> =
                outcome.rejects.iter().cloned().map(|r| with_source_key(parked(pair, r), pair, index, ids)).collect::<Result<_>>()?;
            let books = books(&result, &outcome, (result.parked.len() + refused.len()) as u64);
            self.save_bases(context, pair, &mut result).await?;
            // A row that was refused keeps the base it had: else the source's change would look like one made long ago.
            self.drop_waiting_bases(context, pair, &refused).await?;
            let mut all = result.parked.clone();
            all.extend(refused);
            refuse_when_strict(pair, &all)?;
            // Deletions of their own read no rows: they close no entry, move no position and say nothing of the source.
            if phase != Phase::Deletions {
                self.settle_parked(context, pair, &result, &all, source, settlement).await?;
                settlement.positions.push(position(context, pair, &result, &now, &observations));
                if books.in_scope == 0 && !["incremental", "key", "plan"].contains(&result.mode.as_str()) {
                    settlement.remarks.push(format!("stream `{}`: the source is complete but empty", pair.stream));
                }
            }
            // Batches have put theirs on record as they went.
            if context.sync.atomic != Atomic::Batch {
                for part in result.deletes.parts() {
                    log_made(context, pair, &part?, &outcome, settlement);
                    self.hand_over(&context.run.id, settlement).await?;
                }
                log_refused(context, pair, &outcome, settlement);
            }
            if let Some((keys, reason)) = &result.held {
                for part in keys.parts() {
                    let held = part?;
                    settlement.deletions.extend(held.rows().map(|row| deletion(context, pair, row_key(row), reason, false)));
                    self.hand_over(&context.run.id, settlement).await?;
                }
                settlement.remarks.push(format!("stream `{}`: {} deletions held back: {reason}", pair.stream, keys.len()));
            }
            settlement.remarks.extend(result.remarks.iter().cloned());
            settlement.left_undone |= result.left_undone;
            for conflict in result.conflicts.items() {
                settlement.conflicts.push(conflict?);
                self.hand_over(&context.run.id, settlement).await?;
            }
            self.progress.stream_finished(&pair.stream, &books);
            settlement.seen.extend(result.seen.take().map(|s| (pair.stream.clone(), Arc::new(s))));
            merge_stream(settlement, self.stream_row(pair, &result, books, &all));
        }
        Ok(())
    }

    fn stream_row(&self, pair: &Pair, result: &StreamResult, books: Books, parked: &[Parked]) -> StreamRow {
        StreamRow {
            stream: pair.stream.clone(),
            table: pair.dest.name.to_string(),
            mode: result.mode.clone(),
            path: if result.path == WritePath::Load { "load".to_owned() } else { "stage".to_owned() },
            digest: result.digest.map_or("none", |d| d.as_str()).to_owned(),
            books,
            duration_ms: result.staged_ms.unwrap_or_else(|| self.clock.monotonic_ms().saturating_sub(result.started_ms)),
            parked_by_code: by_code(parked),
        }
    }

    /// Parks what was set aside; closes open entries that went through this time, or whose record is gone.
    async fn settle_parked(
        &self,
        context: &RunContext<'_>,
        pair: &Pair,
        result: &StreamResult,
        parked: &[Parked],
        source: &mut dyn Snapshot,
        settlement: &mut Settlement,
    ) -> Result<()> {
        let at = self.clock.now();
        let now_parked: BTreeSet<String> = parked.iter().map(|p| p.key.to_json()).collect();
        for p in parked {
            settlement.parked.push(parked_row(context, pair, p, at));
        }
        let open: Vec<Key> = result.retried.iter().filter(|k| !now_parked.contains(*k)).filter_map(|k| Key::from_json(k)).collect();
        let there = present(pair, &open, source).await?;
        // An entry under another key than the stream has now tells of no row of it: it stays for a person to decide.
        for key in open.into_iter().filter(|k| k.0.len() == pair.key_source.len()) {
            let outcome = if there.contains(&key.canonical(&pair.key_canons())) { "applied" } else { "gone" };
            settlement.closed.push((pair.stream.clone(), key.to_json(), outcome.to_owned()));
        }
        Ok(())
    }

    /// Remembers the digests of streams that this run left agreeing and had to read for that. What another run remembered stays: it is a
    /// fact about rows that looked so, and of use as soon as they look so again. To remember nothing costs a read, so nothing fails here.
    pub(crate) async fn remember_segments(&self, context: &RunContext<'_>, link: &mut Link, settlement: &mut Settlement) {
        for (stream, seen) in std::mem::take(&mut settlement.seen) {
            let agreed = |b: &Books| b.written() + b.parked + b.kept + b.held_back + b.merged == 0 && b.fetched > 0;
            if settlement.streams.iter().any(|s| s.stream == stream && agreed(&s.books))
                && let Err(e) = self.remember_stream(context, link, &stream, &seen).await
            {
                tracing::warn!(stream, error = %e, "digests were not remembered");
            }
        }
    }

    async fn remember_stream(&self, context: &RunContext<'_>, link: &mut Link, stream: &str, seen: &Seen) -> Result<()> {
        let mut dest = link.dest.snapshot().await?;
        let rows = seen.still_there(&mut *dest).await?;
        dest.close().await?;
        let (sync, scope) = (&context.sync.name, context.scope);
        let mut tx = self.store.begin().await?;
        tx.save_segments(sync, scope, stream, &seen.shape, &rows).await?;
        tx.save_note(sync, &format!("segments/{scope}/{stream}"), &seen.shape).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Rows that were set aside before they reached the destination fail a strict run like those that the destination refuses.
pub(crate) fn refuse_when_strict(pair: &Pair, parked: &[Parked]) -> Result<()> {
    match parked.first().filter(|_| pair.policy.rows == Rows::Strict) {
        None => Ok(()),
        Some(p) => {
            let column = p.column.as_ref().map(|c| format!(", column `{c}`")).unwrap_or_default();
            let message = format!("stream `{}`{column}: {}: {}", pair.stream, p.code, p.detail);
            let hint = "`rows: strict` fails the whole run; `rows: park` sets such rows aside";
            Err(Error::new(ErrorKind::BadRecord, "row_refused", message).hint(hint).into())
        }
    }
}

/// A row set aside while applying is known by its new id; the list and the retry know it by its source key.
fn with_source_key(mut parked: Parked, pair: &Pair, index: usize, ids: &IdMaps) -> Result<Parked> {
    if let Some(legacy) = ids.legacy_key(index, pair, &parked.key)? {
        parked.key = legacy;
    }
    Ok(parked)
}

fn books(result: &StreamResult, outcome: &StreamOutcome, parked: u64) -> Books {
    let (unchanged, kept) = result.settled;
    let changed = outcome.created + outcome.updated;
    let is_window = result.mode == "incremental" && result.position_in_force().is_some();
    Books {
        in_scope: result.in_scope,
        equal_by_digest: result.equal_by_digest,
        fetched: result.fetched,
        created: outcome.created,
        updated: outcome.updated,
        unchanged: outcome.unchanged + unchanged,
        kept,
        merged: outcome.merged,
        parked,
        deleted: outcome.deleted,
        extra: result.extra,
        held_back: result.held.as_ref().map_or(0, |(k, _)| k.len()) + outcome.delete_rejects.len() as u64,
        late: if is_window { changed.saturating_sub(result.after_last) } else { 0 },
    }
}

/// With `atomic: stream` a stream comes twice: its upserts, then its deletions. With `atomic: batch` it comes once per batch.
pub(crate) fn merge_stream(settlement: &mut Settlement, row: StreamRow) {
    match settlement.streams.iter_mut().find(|s| s.stream == row.stream) {
        Some(s) => {
            s.books.add(&row.books);
            s.duration_ms += row.duration_ms;
            for (code, n) in row.parked_by_code {
                match s.parked_by_code.iter_mut().find(|(c, _)| *c == code) {
                    Some((_, sum)) => *sum += n,
                    None => s.parked_by_code.push((code, n)),
                }
            }
        }
        None => settlement.streams.push(row),
    }
}

/// Which of these keys the source has.
async fn present(pair: &Pair, keys: &[Key], source: &mut dyn Snapshot) -> Result<BTreeSet<Vec<u8>>> {
    let mut found = BTreeSet::new();
    if keys.is_empty() {
        return Ok(found);
    }
    let mut wanted = RowBatch::new(pair.key_source.len());
    keys.iter().filter(|k| k.0.len() == pair.key_source.len()).for_each(|k| wanted.push_row(k.0.iter().map(Value::view)));
    let mut filter = pair.filter_source.clone();
    filter.push(Predicate::KeyIn { columns: pair.key_source.clone(), keys: wanted });
    let request = syncline_connector::ReadRequest {
        table: pair.source.clone(),
        columns: pair.key_source.clone(),
        filter,
        order: Vec::new(),
        form: syncline_connector::ReadForm::Values,
        batch_bytes: 256 * 1024,
        large_over: u64::MAX,
    };
    let at: Vec<usize> = (0..pair.key_source.len()).collect();
    let canons = pair.key_canons();
    let mut stream = source.read(request).await?;
    while let Some(batch) = stream.next().await? {
        if let syncline_connector::Batch::Rows(rows) = batch {
            found.extend(rows.rows().map(|r| Key::of(r, &at).canonical(&canons)));
        }
    }
    Ok(found)
}

/// A row set aside, as the state keeps it.
pub(crate) fn parked_row(context: &RunContext<'_>, pair: &Pair, p: &Parked, at: i64) -> ParkedRow {
    ParkedRow {
        id: 0,
        sync: context.sync.name.clone(),
        scope: context.scope.to_owned(),
        stream: pair.stream.clone(),
        key_json: p.key.to_json(),
        code: p.code.clone(),
        column: p.column.clone(),
        detail: p.detail.clone(),
        image_json: Some(p.image.clone()),
        run: context.run.id.clone(),
        first_at: at,
        last_at: at,
        attempts: 1,
        outcome: None,
    }
}

/// How many were set aside for which reason.
pub(crate) fn by_code(parked: &[Parked]) -> Vec<(String, u64)> {
    let mut by_code: BTreeMap<&str, u64> = BTreeMap::new();
    parked.iter().for_each(|p| *by_code.entry(&p.code).or_default() += 1);
    by_code.into_iter().map(|(c, n)| (c.to_owned(), n)).collect()
}

fn row_key(row: syncline_model::RowRef<'_>) -> String {
    Key(row.to_values()).to_json()
}

fn deletion(context: &RunContext<'_>, pair: &Pair, key_json: String, reason: &str, done: bool) -> DeletionRow {
    DeletionRow { run: context.run.id.clone(), stream: pair.stream.clone(), key_json, reason: reason.to_owned(), done }
}

/// The deletions of one transaction, but for those that the system refused.
pub(crate) fn log_made(context: &RunContext<'_>, pair: &Pair, deletes: &RowBatch, outcome: &StreamOutcome, settlement: &mut Settlement) {
    let not_removed = outcome.delete_rejects.iter().map(|r| &r.row).chain(&outcome.respelled);
    let not_removed: BTreeSet<String> = not_removed.map(|key| Key(key.clone()).to_json()).collect();
    let made = deletes.rows().map(row_key).filter(|key| !not_removed.contains(key));
    settlement.deletions.extend(made.map(|key| deletion(context, pair, key, "missing_at_source", true)));
}

/// Deletions that the system refused.
pub(crate) fn log_refused(context: &RunContext<'_>, pair: &Pair, outcome: &StreamOutcome, settlement: &mut Settlement) {
    if !outcome.delete_rejects.is_empty() {
        let rows = outcome.delete_rejects.len();
        let why = "rows of other tables point at what they would remove; these have to go, or point elsewhere, first";
        settlement.remarks.push(format!("stream `{}`: {rows} deletions held back: {why}", pair.stream));
    }
    for r in &outcome.delete_rejects {
        let reason = format!("{}: {}", r.code, with_words(&r.detail, r.words.as_deref()));
        settlement.deletions.push(deletion(context, pair, Key(r.row.clone()).to_json(), &reason, false));
    }
}

/// Where the stream stands after this run. A run of single records, or of a plan, has not looked at the others: nothing moves.
fn position(
    context: &RunContext<'_>,
    pair: &Pair,
    result: &StreamResult,
    now: &Observation,
    before: &[syncline_store::rows::ObservationRow],
) -> PositionRow {
    let fresh = PositionRow {
        sync: context.sync.name.clone(),
        scope: context.scope.to_owned(),
        stream: pair.stream.clone(),
        collection_key: pair.collection_key(),
        last_synced_at: None,
        mark: None,
        cursor_json: None,
        run: context.run.id.clone(),
        shape: String::new(),
        seen: Vec::new(),
    };
    if result.mode == "key" || result.mode == "plan" {
        let PositionRow { last_synced_at, mark, cursor_json, shape, seen, .. } = result.position.clone().unwrap_or_else(|| fresh.clone());
        return PositionRow { last_synced_at, mark, cursor_json, shape, seen, ..fresh };
    }
    let (old, overlap_s) = (result.position_in_force(), pair.policy.options.overlap_s);
    let mark = horizon::mark(now, before, old.and_then(|p| p.mark), overlap_s);
    let cursor = pair.policy.options.cursor.as_ref().and_then(|c| pair.source.column(c));
    let next = match cursor {
        Some(c) if !matches!(c.logical, LogicalType::TimestampTz { .. }) => {
            cursor::next(old, result.cursor_max.as_ref(), now, before, mark, overlap_s)
        }
        Some(_) | None => cursor::Next::default(),
    };
    PositionRow { last_synced_at: Some(now.at), mark, cursor_json: next.start, shape: result.shape.clone(), seen: next.seen, ..fresh }
}
