//! Finding the keys that differ.

use std::collections::{BTreeMap, HashMap};

use syncline_connector::{Batch, Capabilities, DigestRequest, RowStream, SegmentDigest, Segments, Snapshot, fail};
use syncline_model::{Canon, Key, RowBatch, RowRef, ValueRef};
use syncline_store::rows::SegmentRow;
use xxhash_rust::xxh3::xxh3_128;

use super::choose::{Choice, has_integer_key, key_request, own_requests, requests, segments};
use crate::engine::Result;
use crate::pairing::Pair;
use crate::spill::{HashTable, RowSpool};

/// Rows of one side whose hashes are held at a time.
const GROUP_ROWS: u64 = 50_000;

/// What differs between the two sides of a stream.
#[derive(Debug)]
pub struct Difference {
    /// So much differs, or may, that reading every row is cheaper than telling them apart; `fetch` and `extra` are then incomplete.
    pub everything: bool,
    /// Keys (source columns) that the destination lacks or holds differently, or that cannot be told without reading.
    pub fetch: RowSpool,
    /// Keys (destination columns) that the source lacks.
    pub extra: RowSpool,
    /// How many more the destination has in segments that are remembered. Both sides agreed there on every row of the source, so what else
    /// there is the source lacks.
    pub extra_agreed: u64,
    /// Rows at the source in scope.
    pub source_rows: u64,
    /// Rows at the destination in scope, marked ones left out.
    pub dest_rows: u64,
    /// Segments of both sides as they are now, for remembering.
    pub seen: Seen,
}

/// Segments of both sides, as a run saw them before it wrote.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What they depend on.
    pub shape: String,
    /// Both sides' digests.
    pub segments: Vec<SegmentRow>,
    /// How to ask the destination for its own again.
    ask_dest: DigestRequest,
}

impl Seen {
    /// The segments that the destination still shows as they were seen. Rows were found equal when they were applied, which is later: in
    /// between somebody else may have put right what had been seen wrong, and what was seen wrong must never be remembered as agreed on.
    pub async fn still_there(&self, dest: &mut dyn Snapshot) -> Result<Vec<SegmentRow>> {
        let now: HashMap<i64, SegmentDigest> = dest.digest(&self.ask_dest).await?.into_iter().map(|s| (s.id, s)).collect();
        let same = |s: &&SegmentRow| now.get(&s.id).map_or((0, 0), |n| (n.rows, n.hash)) == s.destination;
        Ok(self.segments.iter().filter(same).copied().collect())
    }
}

/// Keys that only one side has.
#[derive(Debug)]
pub struct KeyDifference {
    /// At the source only (source columns).
    pub missing: RowSpool,
    /// At the destination only (destination columns).
    pub extra: RowSpool,
    /// Rows at the source in scope.
    pub source_rows: u64,
    /// Rows at the destination in scope.
    pub dest_rows: u64,
}

type Snapshots<'a> = (&'a mut dyn Snapshot, &'a mut dyn Snapshot);

/// What earlier runs know of a stream.
pub struct Memory<'a> {
    /// What decides the destination's rows beside the stream's own definition: the ids of other records that they hold.
    pub decided_by: &'a str,
    /// The segments in which both sides agreed, for a shape. Asked for with `Choice::Remembered` only.
    pub segments: &'a (dyn Fn(&str) -> Vec<SegmentRow> + Sync),
    /// Keys that differ are listed up to this many bytes; `None` lists all of them, however many there are.
    pub keys_bytes_max: Option<u64>,
}

impl Memory<'static> {
    /// Nothing is known, and all keys that differ are wanted.
    pub fn none() -> Self {
        Self { decided_by: "", segments: &|_| Vec::new(), keys_bytes_max: None }
    }
}

/// Finds the keys that differ.
pub async fn differ(pair: &Pair, choice: Choice, sides: Snapshots<'_>, memory: Memory<'_>) -> Result<Difference> {
    let (source, dest) = sides;
    let split = split(pair, choice, source, dest).await?;
    let columns: Vec<usize> = (0..pair.columns.len()).filter(|&i| pair.compared[i] || pair.key_at.contains(&i)).collect();
    let (ask_source, ask_dest) = match choice {
        Choice::Native | Choice::Canonical => requests(pair, choice.kind(), &split, &columns),
        Choice::Remembered => own_requests(pair, &split, &columns),
    };
    fail::passable("diff.digest")?;
    let (a, b) = futures_util::future::join(source.digest(&ask_source), dest.digest(&ask_dest)).await;
    let (a, b) = (a?, b?);
    let shape = shape(pair, choice, &split, memory.decided_by);
    let now = together(&a, &b);
    let mut extra_agreed = 0;
    let different: Vec<(i64, u64)> = match choice {
        Choice::Native | Choice::Canonical => disagreeing(&a, &b),
        Choice::Remembered => {
            let before: HashMap<i64, SegmentRow> = (memory.segments)(&shape).into_iter().map(|s| (s.id, s)).collect();
            let whole = |s: &SegmentRow| is_whole(&a, s.id) && is_whole(&b, s.id);
            let (agreed, rest): (Vec<&SegmentRow>, Vec<&SegmentRow>) = now.iter().partition(|s| before.get(&s.id) == Some(*s) && whole(s));
            extra_agreed = agreed.iter().map(|s| s.destination.0.saturating_sub(s.source.0)).sum();
            rest.iter().map(|s| (s.id, s.source.0.max(s.destination.0))).collect()
        }
    };
    // Nothing but reading tells equal rows apart where hashes cannot be compared.
    let doubtful: u64 = if choice.is_comparable() { 0 } else { different.iter().map(|(_, rows)| rows).sum() };
    let rows = |list: &[SegmentDigest]| list.iter().map(|s| s.rows).sum::<u64>();
    let (source_rows, dest_rows) = (rows(&a), rows(&b));
    let mut found = Difference {
        everything: memory.keys_bytes_max.is_some() && doubtful > source_rows / 2,
        fetch: RowSpool::new(pair.key_at.len()),
        extra: RowSpool::new(pair.key_at.len()),
        extra_agreed,
        source_rows,
        dest_rows,
        seen: Seen { shape, segments: now, ask_dest: ask_dest.clone() },
    };
    let canons = pair.key_canons();
    for group in groups(&different) {
        found.everything |= memory.keys_bytes_max.is_some_and(|max| found.fetch.bytes() > max);
        if found.everything {
            return Ok(found);
        }
        fail::passable("diff.hashes")?;
        let (left, right) = both_hashes(source, dest, &ask_source, &ask_dest, &group, &canons).await?;
        for (key, (hash, cells)) in &left.rows {
            let same = choice.is_comparable() && hash.is_some() && right.rows.get(key).is_some_and(|(h, _)| h == hash);
            if !same {
                found.fetch.push(left.keys.row(*cells))?;
            }
        }
        right.without(&left).try_for_each(|row| found.extra.push(row))?;
    }
    found.extra = without(found.extra, &found.fetch, &canons)?;
    Ok(found)
}

/// Keys of `list` that are not among `others`. Should two systems ever spell the text of one key differently (doubles may), it lies in
/// another segment on each side and seems both missing and extra; a record that is at the source is never extra.
fn without(list: RowSpool, others: &RowSpool, canons: &[Canon]) -> Result<RowSpool> {
    let at: Vec<usize> = (0..canons.len()).collect();
    let key = |row: RowRef<'_>| xxh3_128(&Key::of(row, &at).canonical(canons));
    let (few, many) = if list.len() < others.len() { (&list, others) } else { (others, &list) };
    let mut known = HashTable::new();
    few.each(&mut |row| known.insert(key(row), 0).map(drop))?;
    let mut both = HashTable::new();
    if !few.is_empty() {
        many.each(&mut |row| match known.get(key(row))? {
            Some(_) => both.insert(key(row), 0).map(drop),
            None => Ok(()),
        })?;
    }
    if both.is_empty() {
        return Ok(list);
    }
    let mut rest = RowSpool::new(list.width());
    list.each(&mut |row| if both.get(key(row))?.is_some() { Ok(()) } else { rest.push(row) })?;
    Ok(rest)
}

/// Finds the keys that only one side has, by digests of the keys alone where SQL can compare them.
pub async fn compare_keys(pair: &Pair, ends: (&Capabilities, &Capabilities), sides: Snapshots<'_>) -> Result<KeyDifference> {
    let (source, dest) = sides;
    let split = split(pair, Choice::Canonical, source, dest).await?;
    let width = pair.key_at.len();
    let mut found = KeyDifference { missing: RowSpool::new(width), extra: RowSpool::new(width), source_rows: 0, dest_rows: 0 };
    let canons = pair.key_canons();
    let Some((ask_source, ask_dest)) = key_request(pair, ends, &split) else {
        return Err(syncline_connector::Error::new(
            syncline_connector::ErrorKind::Invalid,
            "key_not_comparable",
            format!("stream `{}`: the keys of the two sides cannot be compared", pair.stream),
        )
        .hint("copy the key unchanged, or use `deletes: ignore`")
        .into());
    };
    let (a, b) = futures_util::future::join(source.digest(&ask_source), dest.digest(&ask_dest)).await;
    let (a, b) = (a?, b?);
    (found.source_rows, found.dest_rows) = (a.iter().map(|s| s.rows).sum(), b.iter().map(|s| s.rows).sum());
    for group in groups(&disagreeing(&a, &b)) {
        let (left, right) = both_hashes(source, dest, &ask_source, &ask_dest, &group, &canons).await?;
        left.without(&right).try_for_each(|row| found.missing.push(row))?;
        right.without(&left).try_for_each(|row| found.extra.push(row))?;
    }
    found.extra = without(found.extra, &found.missing, &canons)?;
    Ok(found)
}

async fn split(pair: &Pair, choice: Choice, source: &mut dyn Snapshot, dest: &mut dyn Snapshot) -> Result<(Segments, Segments)> {
    let rows = source.count(&pair.source, &pair.filter_source).await?;
    let rows = rows.max(dest.count(&pair.dest, &pair.filter_dest).await?);
    let span = match (has_integer_key(pair), pair.key_source.first()) {
        (true, Some(key)) => {
            let a = source.key_range(&pair.source, key, &pair.filter_source).await?;
            let b = dest.key_range(&pair.dest, &pair.key_dest[0], &pair.filter_dest).await?;
            match (a, b) {
                (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
                (one, other) => one.or(other),
            }
        }
        _ => None,
    };
    Ok(segments(pair, choice, rows, span))
}

/// What remembered digests depend on: the stream's shape, how its keys are cut, and the ids of other records that its rows hold.
fn shape(pair: &Pair, choice: Choice, split: &(Segments, Segments), decided_by: &str) -> String {
    let text = format!("{}\n{decided_by}", crate::shape::text(pair));
    format!("{} {split:?} {:032x}", choice.as_str(), xxh3_128(text.as_bytes()))
}

fn together(a: &[SegmentDigest], b: &[SegmentDigest]) -> Vec<SegmentRow> {
    let mut all: BTreeMap<i64, SegmentRow> = BTreeMap::new();
    let empty = |id| SegmentRow { id, source: (0, 0), destination: (0, 0) };
    a.iter().for_each(|s| all.entry(s.id).or_insert_with(|| empty(s.id)).source = (s.rows, s.hash));
    b.iter().for_each(|s| all.entry(s.id).or_insert_with(|| empty(s.id)).destination = (s.rows, s.hash));
    all.into_values().collect()
}

fn is_whole(list: &[SegmentDigest], id: i64) -> bool {
    list.binary_search_by_key(&id, |s| s.id).map_or(true, |i| list[i].rows == list[i].hashed)
}

/// Segments that are not proved equal, with the larger row count of the two sides. A row without a hash makes its segment
/// differ (R4).
fn disagreeing(a: &[SegmentDigest], b: &[SegmentDigest]) -> Vec<(i64, u64)> {
    let right: HashMap<i64, &SegmentDigest> = b.iter().map(|s| (s.id, s)).collect();
    let left: HashMap<i64, &SegmentDigest> = a.iter().map(|s| (s.id, s)).collect();
    let mut list = Vec::new();
    for s in a {
        let other = right.get(&s.id);
        let equal = other.is_some_and(|o| o.rows == s.rows && o.hash == s.hash && s.hashed == s.rows && o.hashed == o.rows);
        if !equal {
            list.push((s.id, s.rows.max(other.map_or(0, |o| o.rows))));
        }
    }
    list.extend(b.iter().filter(|s| !left.contains_key(&s.id)).map(|s| (s.id, s.rows)));
    list.sort_unstable();
    list
}

/// Cuts the list so that one group holds a bounded number of rows.
fn groups(different: &[(i64, u64)]) -> Vec<Vec<i64>> {
    let mut list: Vec<Vec<i64>> = Vec::new();
    let mut rows = u64::MAX;
    for &(id, n) in different {
        if rows.saturating_add(n) > GROUP_ROWS {
            list.push(Vec::new());
            rows = 0;
        }
        rows += n;
        list.last_mut().expect("invariant: just pushed").push(id);
    }
    list
}

/// Keys and hashes of some segments of one side.
struct Hashes {
    /// Canonical key → (row hash, row in `keys`).
    rows: BTreeMap<Vec<u8>, (Option<i64>, usize)>,
    keys: RowBatch,
}

impl Hashes {
    /// Keys that the other side lacks.
    fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = RowRef<'a>> {
        self.rows.iter().filter(|(key, _)| !other.rows.contains_key(*key)).map(|(_, (_, i))| self.keys.row(*i))
    }
}

async fn both_hashes(
    source: &mut dyn Snapshot,
    dest: &mut dyn Snapshot,
    a: &DigestRequest,
    b: &DigestRequest,
    group: &[i64],
    canons: &[Canon],
) -> Result<(Hashes, Hashes)> {
    let left = async { collect(source.row_hashes(a, group).await?, canons).await };
    let right = async { collect(dest.row_hashes(b, group).await?, canons).await };
    let (left, right) = futures_util::future::join(left, right).await;
    Ok((left?, right?))
}

async fn collect(mut stream: Box<dyn RowStream + '_>, canons: &[Canon]) -> Result<Hashes> {
    let mut found = Hashes { rows: BTreeMap::new(), keys: RowBatch::new(canons.len()) };
    let at: Vec<usize> = (0..canons.len()).collect();
    while let Some(batch) = stream.next().await? {
        let Batch::Rows(rows) = batch else { continue };
        for row in rows.rows() {
            let hash = match row.get(canons.len()) {
                ValueRef::I64(n) => Some(n),
                ValueRef::U64(n) => Some(n.cast_signed()),
                _ => None,
            };
            found.rows.insert(Key::of(row, &at).canonical(canons), (hash, found.keys.len()));
            at.iter().for_each(|&c| found.keys.push_encoded(row.encoded(c)));
        }
    }
    Ok(found)
}
