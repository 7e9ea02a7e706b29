//! The second look: suspects are read again by key, both sides, on fresh snapshots. What still disagrees is a difference,
//! named field by field.

use std::collections::{HashMap, HashSet};

use syncline_connector::{Batch, DigestColumn, DigestKind, DigestRequest, Predicate, Segments, Snapshot};
use syncline_model::detect::{FieldRule, is_empty};
use syncline_model::{Key, RowBatch, Value};

use super::side::{REFUSED, Side};
use super::stream::{DIFFERENT, EXTRA, MISSING};
use super::{Found, shown};
use crate::compare::has_rewritten_key;
use crate::engine::{Engine, Result};
use crate::keep;
use crate::link::Link;
use crate::moving::{self, Selection};
use crate::pairing::Pair;
use crate::report::{Difference, StreamCheck};
use crate::spec::{Edits, SyncSpec};
use crate::spill::join::{Cursor, Rows, Spool, records};

/// Keys read again at once; the rows of so many, shortened, are in memory.
const KEYS_PER_LOOK: usize = 500;
/// Stands for a column where a key has more rows on one side than on the other.
const ROW_COUNT: &str = "(rows with this key)";

/// What the second look needs.
pub struct Again<'a> {
    pub engine: &'a Engine,
    pub sync: &'a SyncSpec,
    pub scope: &'a str,
    pub pair: &'a Pair,
    pub source: &'a Side<'a>,
    pub dest: &'a Side<'a>,
    /// Canonical keys of the open parked rows.
    pub parked: HashSet<Vec<u8>>,
}

struct Suspect {
    hash: u128,
    kind: u8,
    key: Key,
    /// Its key is the source's, for its row got none of the destination's.
    refused: bool,
    /// Its key finds it wherever the first look saw it. Without that, not to find it again proves nothing.
    found_by_key: bool,
}

/// A row read again.
#[derive(Default)]
struct Fresh {
    rows: Rows,
    /// Column that the transformation refuses, with the reason's code.
    refused: Option<(String, String)>,
    fields: Vec<Field>,
}

struct Field {
    hash: u128,
    text: Option<String>,
    large: bool,
}

type Snapshots<'s> = (&'s mut dyn Snapshot, &'s mut dyn Snapshot);

impl Again<'_> {
    /// Looks at all suspects again, until the report is full; from then on the first look has to do, unless edits may be kept.
    pub async fn look(&mut self, suspects: &mut Spool, link: &mut Link, check: &mut StreamCheck, found: &mut Found) -> Result<()> {
        let mut at = Cursor::default();
        let mut pending: Vec<Suspect> = Vec::new();
        let mut open: Option<(Box<dyn Snapshot>, Box<dyn Snapshot>)> = None;
        loop {
            let chunk = suspects.next_chunk(&mut at)?;
            if let Some(bytes) = &chunk {
                pending.extend(records(bytes).map(|r| self.suspect(r.key, r.flags, r.name)));
            }
            while pending.len() >= KEYS_PER_LOOK || (chunk.is_none() && !pending.is_empty()) {
                self.engine.stop_if_asked()?;
                let part: Vec<Suspect> = pending.drain(..pending.len().min(KEYS_PER_LOOK)).collect();
                if found.is_full() && self.pair.policy.edits != Edits::Keep {
                    part.iter().try_for_each(|s| self.count(s, s.kind, Vec::new(), check, found))?;
                    continue;
                }
                if open.is_none() {
                    open = Some((link.source.snapshot().await?, link.dest.snapshot().await?));
                }
                let (source, dest) = open.as_mut().expect("invariant: opened above");
                self.look_at(&part, (&mut **source, &mut **dest), check, found).await?;
            }
            if chunk.is_none() {
                break;
            }
        }
        if let Some((source, dest)) = open {
            source.close().await?;
            dest.close().await?;
        }
        Ok(())
    }

    fn suspect(&self, hash: u128, flags: u8, name: &[u8]) -> Suspect {
        let kind = flags & (MISSING | EXTRA | DIFFERENT);
        let side = if kind == EXTRA { self.dest } else { self.source };
        let key = side.named(name);
        Suspect { hash, kind, refused: flags & REFUSED != 0, found_by_key: side.finds(&key), key }
    }

    async fn look_at(&self, part: &[Suspect], snapshots: Snapshots<'_>, check: &mut StreamCheck, found: &mut Found) -> Result<()> {
        let mut keys = RowBatch::new(self.pair.key_at.len());
        let mut unmapped = keys.clone();
        for s in part {
            // A record that got no id of the destination has no row there, and its key is the source's already.
            let list = if s.refused && has_rewritten_key(self.pair) { &mut unmapped } else { &mut keys };
            list.push_row(s.key.0.iter().map(Value::view));
        }
        let mut here = self.read(self.source, self.source.own_keys(keys.clone())?, snapshots.0).await?;
        here.extend(self.read(self.source, unmapped, snapshots.0).await?);
        let there = if self.pair.create.is_some() { HashMap::new() } else { self.read(self.dest, keys.clone(), snapshots.1).await? };
        let kept = self.kept_by_right(keys, snapshots.0).await?;
        for s in part {
            match (here.get(&s.hash), there.get(&s.hash)) {
                (here, there) if !s.found_by_key && (here.is_none() || there.is_none()) => {
                    self.count(s, s.kind, Vec::new(), check, found)?
                }
                (None, None) => {}
                (Some(_), None) => self.count(s, MISSING, Vec::new(), check, found)?,
                (None, Some(_)) => self.count(s, EXTRA, Vec::new(), check, found)?,
                (Some(a), Some(b)) => {
                    let (fields, by_right) = self.fields(s, a, b, kept.get(&s.hash), (&mut *snapshots.0, &mut *snapshots.1)).await?;
                    check.kept += by_right;
                    if !fields.is_empty() {
                        self.count(s, DIFFERENT, fields, check, found)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn count(
        &self,
        s: &Suspect,
        kind: u8,
        fields: Vec<(String, Option<String>, Option<String>)>,
        check: &mut StreamCheck,
        found: &mut Found,
    ) -> Result<()> {
        let word = match kind {
            MISSING => {
                check.missing += 1;
                "missing"
            }
            EXTRA => {
                check.extra += 1;
                "extra"
            }
            _ => {
                check.different += 1;
                "different"
            }
        };
        let source_key = if kind == EXTRA || s.refused { None } else { self.source.key_there(&s.key)? };
        if kind != EXTRA && self.parked.contains(&source_key.as_ref().unwrap_or(&s.key).canonical(&self.pair.key_canons())) {
            check.parked += 1;
        }
        let stream = self.pair.stream.clone();
        let source_key = source_key.map(|k| k.to_json());
        found.note(|| Difference { stream, kind: word.to_owned(), key: s.key.to_json(), source_key, fields });
        Ok(())
    }

    /// Rows of these keys by the hash of their key.
    async fn read(&self, side: &Side<'_>, keys: RowBatch, snapshot: &mut dyn Snapshot) -> Result<HashMap<u128, Fresh>> {
        let mut found: HashMap<u128, Fresh> = HashMap::new();
        let (mut scratch, mut name, mut staged) = (Vec::new(), Vec::new(), RowBatch::new(self.pair.columns.len()));
        if keys.is_empty() {
            return Ok(found);
        }
        let mut stream = snapshot.read(side.request(Some(keys))).await?;
        while let Some(batch) = stream.next().await? {
            let Batch::Rows(read) = batch else { continue };
            let (whole, refused) = side.rows(&read, &mut staged)?;
            for row in whole.rows() {
                let seen = side.see(row, &mut scratch, &mut name);
                let fresh = found.entry(seen.key).or_default();
                fresh.rows.add(seen.row);
                fresh.fields.clear();
                for c in side.compared() {
                    let cell = side.cell(row, c);
                    let large = matches!(cell, syncline_model::ValueRef::Large(_));
                    fresh.fields.push(Field { hash: side.field(cell, c, &mut scratch), text: shown::kept(cell), large });
                }
            }
            for parked in refused {
                let seen = side.see_refused(&parked, &mut scratch, &mut name);
                debug_assert_eq!(seen.flags, REFUSED);
                let fresh = found.entry(seen.key).or_default();
                fresh.rows.add(seen.row);
                fresh.refused = Some((parked.column.unwrap_or_default(), parked.code));
            }
        }
        Ok(found)
    }

    /// Fields of a record that disagree, and how many more the destination holds by right.
    async fn fields(
        &self,
        s: &Suspect,
        a: &Fresh,
        b: &Fresh,
        kept: Option<&HashSet<usize>>,
        snapshots: Snapshots<'_>,
    ) -> Result<(Vec<(String, Option<String>, Option<String>)>, u64)> {
        if let Some((column, code)) = &a.refused {
            return Ok((vec![(column.clone(), Some(format!("refused: {code}")), None)], 0));
        }
        if a.rows.count != b.rows.count {
            return Ok((vec![(ROW_COUNT.to_owned(), Some(a.rows.count.to_string()), Some(b.rows.count.to_string()))], 0));
        }
        let (mut fields, mut by_right) = (Vec::new(), 0);
        for ((x, y), c) in a.fields.iter().zip(&b.fields).zip(self.source.compared()) {
            let same = x.hash == y.hash && (!x.large || self.same_large(s, c, (&mut *snapshots.0, &mut *snapshots.1)).await?);
            if same {
                continue;
            }
            if kept.is_some_and(|k| k.contains(&c)) {
                by_right += 1;
                continue;
            }
            let (x, y) = shown::both(x.text.as_deref(), y.text.as_deref());
            fields.push((self.pair.columns[c].name.clone(), x, y));
        }
        if fields.is_empty() && by_right == 0 && a.rows != b.rows {
            // Several rows of one key: the ones at hand agree, the sum does not.
            let n = Some(a.rows.count.to_string());
            fields.push((ROW_COUNT.to_owned(), n.clone(), n));
        }
        Ok((fields, by_right))
    }

    /// Whether a value that is too large to be read is the same: both systems hash it where it is.
    async fn same_large(&self, s: &Suspect, column: usize, snapshots: Snapshots<'_>) -> Result<bool> {
        let Some(source_column) = self.pair.copied_from[column].clone() else { return Ok(false) };
        let ask = |side: &Side<'_>, name: String| {
            let digest = |name: String, canon, hashed| DigestColumn { name, canon, hashed };
            let mut filter = side.filter.to_vec();
            filter.extend(side.key.iter().zip(&s.key.0).map(|(k, v)| Predicate::Equals(k.clone(), v.clone())));
            DigestRequest {
                table: side.table.clone(),
                key: side.key.iter().zip(side.key_canons()).map(|(k, canon)| digest(k.clone(), canon, false)).collect(),
                columns: vec![digest(name, self.pair.canons[column], true)],
                kind: DigestKind::Canonical,
                segments: Segments::Buckets { digits: 1 },
                filter,
            }
        };
        let here = snapshots.0.digest(&ask(self.source, source_column)).await?;
        let there = snapshots.1.digest(&ask(self.dest, self.pair.columns[column].name.clone())).await?;
        Ok(!here.is_empty() && here == there && here.iter().all(|d| d.hashed == d.rows))
    }

    /// With `edits: keep`: staged columns per key whose source value is still the base, so that the destination may differ.
    async fn kept_by_right(&self, keys: RowBatch, source: &mut dyn Snapshot) -> Result<HashMap<u128, HashSet<usize>>> {
        let mut kept = HashMap::new();
        if self.pair.policy.edits != Edits::Keep {
            return Ok(kept);
        }
        let rules = keep::rules(self.pair);
        let canons = self.pair.key_canons();
        let filter = vec![Predicate::KeyIn { columns: self.pair.key_source.clone(), keys }];
        let request = moving::request(self.pair, self.sync.memory, &Selection { filter, raw: false, watch: None, strict: false });
        let (mut names, mut hashes, mut rows) = (Vec::new(), Vec::new(), RowBatch::new(self.pair.columns.len()));
        let (mut scratch, mut name, mut staged) = (Vec::new(), Vec::new(), RowBatch::new(self.pair.columns.len()));
        let mut stream = source.read(request).await?;
        while let Some(batch) = stream.next().await? {
            let Batch::Rows(read) = batch else { continue };
            moving::transform(self.pair, &read, &mut staged, &mut Vec::new());
            for row in staged.rows() {
                names.push(Key::of(row, &self.pair.key_at).canonical(&canons));
                hashes.push(self.source.see(row, &mut scratch, &mut name).key);
                (0..row.width()).for_each(|c| rows.push_encoded(row.encoded(c)));
            }
        }
        let bases = self.engine.bases_of(&self.sync.name, self.scope, self.pair, &names).await?;
        for ((hash, row), base) in hashes.into_iter().zip(rows.rows()).zip(bases) {
            let mut may_differ = |&(i, &(c, rule)): &(usize, &(usize, FieldRule))| {
                let erases_nothing = !rule.clears && is_empty(row.get(c), rule);
                erases_nothing || base.as_ref().is_some_and(|b| b.holds(i, row.get(c), &mut scratch))
            };
            kept.insert(hash, rules.iter().enumerate().filter(|f| may_differ(f)).map(|(_, &(c, _))| c).collect());
        }
        Ok(kept)
    }
}
