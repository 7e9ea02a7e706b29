//! What both sides last agreed on, per record (`edits: keep`): a hash per field, under the names of the fields at that time, so that a
//! column added or removed later does not make the others look as if nobody knew them.

use std::collections::HashMap;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use syncline_model::detect::{FieldRule, NO_BASE, base_hash};
use syncline_model::{RowRef, ValueRef};

use crate::engine::{Engine, Result};
use crate::keep::rules;
use crate::moving::Parked;
use crate::pairing::Pair;
use crate::pipeline::RunContext;
use crate::settle::{replaced_by, waiting};
use crate::spec::Edits;
use crate::spill;
use crate::stream_run::StreamResult;

/// Bases saved to the state in one go.
const BASES_PER_WRITE: usize = 5_000;

/// The fields that a base has a hash of, in its order, each with how it is compared.
type Fields = Vec<(String, FieldRule)>;

fn fields_of(pair: &Pair) -> Fields {
    // What may be cleared decides what is done about a difference, and is in no hash.
    rules(pair).into_iter().map(|(c, rule)| (pair.columns[c].name.clone(), FieldRule { clears: false, ..rule })).collect()
}

/// A number for a list of fields. Every base begins with it.
fn shape_of(fields: &Fields) -> u64 {
    xxhash_rust::xxh3::xxh3_64(serde_json::json!(fields).to_string().as_bytes())
}

/// What both sides last agreed on of one record: a hash per field of today, taken as that field was compared at the time.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    fields: Vec<(u64, FieldRule)>,
}

impl Base {
    /// The field is known, and this is its value.
    pub fn holds(&self, field: usize, value: ValueRef<'_>, scratch: &mut Vec<u8>) -> bool {
        let (hash, rule) = self.fields[field];
        hash != NO_BASE && base_hash(value, rule, scratch) == hash
    }

    /// The field is known.
    pub fn knows(&self, field: usize) -> bool {
        self.fields[field].0 != NO_BASE
    }

    /// The base as hashes of today. Where a field is compared in another way since, the side that still has the value of the base says
    /// what its hash is today; where neither has, both have changed, and the hash is that of no value of theirs.
    pub fn today(&self, rules: &[(usize, FieldRule)], source: RowRef<'_>, there: RowRef<'_>) -> Vec<u64> {
        let mut scratch = Vec::new();
        let mut hash = |i: usize, &(c, rule): &(usize, FieldRule)| {
            let (before, old) = self.fields[i];
            if before == NO_BASE || (old.canon, old.normaliser) == (rule.canon, rule.normaliser) {
                return before;
            }
            let still = [source.get(c), there.get(c)].into_iter().find(|v| self.holds(i, *v, &mut scratch));
            still.map_or(before, |v| base_hash(v, rule, &mut scratch))
        };
        rules.iter().enumerate().map(|(i, r)| hash(i, r)).collect()
    }
}

/// The shape of a base without a field: that of a record which stays although the source deleted it.
pub(crate) const NO_SHAPE: u64 = 0;

/// Where the fields behind such a number are kept.
fn shape_note(stream: &str, shape: u64) -> String {
    format!("base_fields/{stream}/{shape:016x}")
}

/// New bases on their way to the state: in a file, so that memory stays flat whatever the table.
#[derive(Debug)]
pub(crate) struct BaseSpool {
    file: BufWriter<std::fs::File>,
    rows: u64,
}

/// The bases that a stream's rows get, and those that they replace.
#[derive(Debug)]
pub(crate) struct Bases {
    pub new: BaseSpool,
    /// What the rows that the run writes had before, for an undo; an empty one where they had none.
    pub replaced: BaseSpool,
    /// Records that stay although the source deleted them.
    pub decided: BaseSpool,
}

impl Bases {
    pub fn new() -> Result<Self> {
        Ok(Self { new: BaseSpool::new()?, replaced: BaseSpool::new()?, decided: BaseSpool::new()? })
    }
}

impl BaseSpool {
    pub fn new() -> Result<Self> {
        Ok(Self { file: BufWriter::new(spill::file()?), rows: 0 })
    }

    pub fn add(&mut self, key: &[u8], hashes: &[u64]) -> Result<()> {
        let mut write = |b: &[u8]| self.file.write_all(b).map_err(spill::failed);
        write(&(key.len() as u32).to_le_bytes())?;
        write(key)?;
        write(&(hashes.len() as u32).to_le_bytes())?;
        for h in hashes {
            write(&h.to_le_bytes())?;
        }
        self.rows += 1;
        Ok(())
    }
}

impl Engine {
    /// The bases of these records, aligned with the stream's fields of today: a field that a base does not know has none.
    pub(crate) async fn bases_of(&self, sync: &str, scope: &str, pair: &Pair, names: &[Vec<u8>]) -> Result<Vec<Option<Base>>> {
        let fields = fields_of(pair);
        let mut shapes: HashMap<u64, Option<Fields>> = HashMap::from([(shape_of(&fields), Some(fields.clone()))]);
        let mut tx = self.store.begin().await?;
        let stored = tx.load_bases(sync, scope, &pair.stream, names).await?;
        for shape in stored.iter().flatten().filter_map(|b| b.first()) {
            if !shapes.contains_key(shape) {
                let note = tx.load_note(sync, &shape_note(&pair.stream, *shape)).await?;
                shapes.insert(*shape, note.and_then(|n| serde_json::from_str(&n).ok()));
            }
        }
        tx.commit().await?;
        let aligned = |base: Vec<u64>| {
            let (shape, hashes) = base.split_first()?;
            let known = shapes.get(shape)?.as_ref().filter(|k| k.len() == hashes.len())?;
            let of = |(name, rule): &(String, FieldRule)| match known.iter().position(|(k, _)| k == name) {
                Some(at) => (hashes[at], known[at].1),
                None => (NO_BASE, *rule),
            };
            Some(Base { fields: fields.iter().map(of).collect() })
        };
        Ok(stored.into_iter().map(|base| base.and_then(aligned)).collect())
    }

    /// Saves the spooled bases of a stream.
    pub(crate) async fn save_bases(&self, context: &RunContext<'_>, pair: &Pair, result: &mut StreamResult) -> Result<()> {
        let Some(bases) = result.bases.take() else { return Ok(()) };
        let fields = fields_of(pair);
        let shape = shape_of(&fields);
        let mut tx = self.store.begin().await?;
        tx.save_note(&context.sync.name, &shape_note(&pair.stream, shape), &serde_json::json!(fields).to_string()).await?;
        tx.commit().await?;
        // Until the commit they are nobody's base: a base that ran ahead of a destination that was rolled back would make the source's
        // change look like one that was made long ago, and it would never be carried over.
        self.save_spool(context, pair, shape, &waiting(&context.run.id), bases.new).await?;
        self.save_spool(context, pair, NO_SHAPE, &waiting(&context.run.id), bases.decided).await?;
        if context.sync.undo {
            self.save_spool(context, pair, shape, &replaced_by(&context.run.id), bases.replaced).await?;
        }
        Ok(())
    }

    async fn save_spool(&self, context: &RunContext<'_>, pair: &Pair, shape: u64, scope: &str, spool: BaseSpool) -> Result<()> {
        let mut file = spool.file.into_inner().map_err(|e| spill::failed(e.into_error()))?;
        file.seek(SeekFrom::Start(0)).map_err(spill::failed)?;
        let mut reader = BufReader::new(file);
        let mut left = spool.rows;
        while left > 0 {
            let mut rows = Vec::new();
            while left > 0 && rows.len() < BASES_PER_WRITE {
                let (key, mut hashes) = read_base(&mut reader).map_err(spill::failed)?;
                hashes.insert(0, shape);
                rows.push((key, hashes));
                left -= 1;
            }
            let mut tx = self.store.begin().await?;
            tx.save_bases(&context.sync.name, scope, &pair.stream, &rows).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Forgets the spooled bases of rows that the destination refused.
    pub(crate) async fn drop_waiting_bases(&self, context: &RunContext<'_>, pair: &Pair, refused: &[Parked]) -> Result<()> {
        if refused.is_empty() || pair.policy.edits != Edits::Keep {
            return Ok(());
        }
        let keys: Vec<Vec<u8>> = refused.iter().map(|p| p.key.canonical(&pair.key_canons())).collect();
        let mut tx = self.store.begin().await?;
        for scope in [waiting(&context.run.id), replaced_by(&context.run.id)] {
            tx.drop_bases(&context.sync.name, &scope, &pair.stream, &keys).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

fn read_base(from: &mut impl Read) -> std::io::Result<(Vec<u8>, Vec<u64>)> {
    let mut word = [0u8; 4];
    from.read_exact(&mut word)?;
    let mut key = vec![0u8; u32::from_le_bytes(word) as usize];
    from.read_exact(&mut key)?;
    from.read_exact(&mut word)?;
    let mut hashes = Vec::with_capacity(u32::from_le_bytes(word) as usize);
    let mut long = [0u8; 8];
    for _ in 0..u32::from_le_bytes(word) {
        from.read_exact(&mut long)?;
        hashes.push(u64::from_le_bytes(long));
    }
    Ok((key, hashes))
}

impl Engine {
    /// What a stream that overwrites is about to write is no edit made at the destination: should `edits: keep` come back, bases of before
    /// would call it one.
    pub(crate) async fn forget_old_bases(&self, context: &RunContext<'_>, pairs: &[Pair]) -> Result<()> {
        let mut tx = self.store.begin().await?;
        for pair in pairs.iter().filter(|p| p.policy.edits == Edits::Overwrite) {
            tx.clear_bases(&context.sync.name, context.scope, &pair.stream).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
