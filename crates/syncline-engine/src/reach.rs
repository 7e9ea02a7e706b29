//! What deletions reach by foreign key: rows of other tables that go along or lose their reference, however far away (R8).

use std::collections::BTreeMap;

use syncline_connector::{Batch, DeleteAction, Predicate, ReadForm, ReadRequest, Referrer, Snapshot};
use syncline_model::schema::OnDelete;
use syncline_model::{Catalog, RowBatch, Table, TableName, ValueRef};

use crate::engine::Result;
use crate::pairing::Pair;
use crate::spill::{HashTable, RowSpool};

/// A destination table of this run.
#[derive(Clone, Debug)]
pub struct Ours {
    /// The table.
    pub table: TableName,
    /// Its stream makes deletions of its own: what goes along there is counted there.
    pub deletes: bool,
}

impl Ours {
    /// The tables of these streams.
    pub fn of(pairs: &[Pair]) -> Vec<Self> {
        pairs.iter().map(|p| Self { table: p.dest.name.clone(), deletes: p.delete.is_some() }).collect()
    }
}

/// Rows that deletions delete or clear along by foreign key.
#[derive(Debug, Default)]
pub struct Reached {
    /// How many, in tables whose own stream does not count them.
    pub rows: u64,
    /// One sentence per foreign key.
    pub tables: Vec<String>,
    /// Tables that nobody could look at may refer to the rows: what goes along cannot be known.
    pub unseen: bool,
}

/// Rows of one table that would go, by some of its columns.
struct Going {
    table: TableName,
    columns: Vec<String>,
    rows: RowSpool,
}

/// Rows found of one foreign key.
struct Found {
    rows: u64,
    fresh: RowSpool,
}

/// What removing the rows with `keys` would reach: tables outside this run, from there on whatever they reach, in circles as well. With
/// `cascade: allow` also by way of the run's own tables; without it, a row of those that is still needed keeps its parent instead.
///
/// # Errors
/// Those of reading the destination.
pub async fn reached(pair: &Pair, ours: &[Ours], keys: &RowSpool, catalog: &Catalog, dest: &mut dyn Snapshot) -> Result<Reached> {
    let mut found = Reached::default();
    if pair.delete != Some(DeleteAction::Remove) || keys.is_empty() {
        return Ok(found);
    }
    found.unseen = catalog.hides_referrers;
    if pointing_at(catalog, &pair.dest.name).is_empty() {
        return Ok(found);
    }
    let mut seen = Seen::default();
    let mut lines: BTreeMap<(TableName, String), (u64, OnDelete)> = BTreeMap::new();
    let mut work = vec![start(pair, keys, catalog, &mut seen, dest).await?];
    while let Some(going) = work.pop() {
        for referrer in pointing_at(catalog, &going.table) {
            let own = ours.iter().find(|o| o.table == referrer.table);
            if own.is_some() && !pair.policy.cascade_allow {
                continue;
            }
            let Some(child) = catalog.table(&referrer.table) else { continue };
            let counted = own.is_none_or(|o| !o.deletes);
            let hit = children(child, &referrer, &going, catalog, &mut seen, dest).await?;
            if counted && hit.rows > 0 {
                found.rows += hit.rows;
                lines.entry((child.name.clone(), referrer.key.name.clone())).or_insert((0, referrer.key.on_delete)).0 += hit.rows;
            }
            // A cleared reference stays a row: nothing goes along with it.
            if referrer.key.on_delete == OnDelete::Cascade && !hit.fresh.is_empty() {
                work.push(Going { table: child.name.clone(), columns: wanted(child, catalog), rows: hit.fresh });
            }
        }
    }
    let sentence = |((table, key), (rows, action)): ((TableName, String), (u64, OnDelete))| {
        let what = if action == OnDelete::Cascade { "deleted" } else { "cleared" };
        format!("{rows} rows of `{table}` would be {what} along by `{key}`")
    };
    found.tables = lines.into_iter().map(sentence).collect();
    Ok(found)
}

/// The foreign keys that point at the stream's table, for the staged apply. A row that is still pointed at when its turn comes stays, and
/// is listed: what goes along uncounted would be a deletion that nobody decided. `cascade: allow` lets it go along.
pub fn refusing(pair: &Pair) -> Vec<Referrer> {
    let mut referrers = pair.referenced_by.clone();
    if !pair.policy.cascade_allow {
        referrers.iter_mut().for_each(|r| r.key.on_delete = OnDelete::Refuse);
    }
    referrers
}

/// Removed rows of the stream's table may take rows along that have no before-image.
pub fn takes_others_along(pair: &Pair) -> bool {
    pair.referenced_by.iter().any(|r| r.key.on_delete != OnDelete::Refuse)
}

/// Foreign keys that do something to the children of a removed row.
fn pointing_at(catalog: &Catalog, table: &TableName) -> Vec<Referrer> {
    let keys = catalog.tables.iter().flat_map(|t| t.foreign_keys.iter().map(|k| Referrer { table: t.name.clone(), key: k.clone() }));
    keys.filter(|r| r.key.parent == *table && r.key.on_delete != OnDelete::Refuse).collect()
}

/// The columns that tell rows of a table apart, and those that foreign keys point at.
fn wanted(table: &Table, catalog: &Catalog) -> Vec<String> {
    let mut columns = table.best_key().unwrap_or_else(|| table.columns.iter().filter(|c| !c.generated).map(|c| c.name.clone()).collect());
    for referrer in pointing_at(catalog, &table.name) {
        let more: Vec<String> = referrer.key.parent_columns.iter().filter(|c| !columns.contains(c)).cloned().collect();
        columns.extend(more);
    }
    columns
}

/// The rows to delete, with the columns that others point at, where those are not the key.
async fn start(pair: &Pair, keys: &RowSpool, catalog: &Catalog, seen: &mut Seen, dest: &mut dyn Snapshot) -> Result<Going> {
    let known = |r: &Referrer| r.key.parent_columns.iter().all(|c| pair.key_dest.contains(c));
    let same_key = pair.dest.best_key().is_none_or(|k| k == pair.key_dest);
    let own = pointing_at(catalog, &pair.dest.name);
    if own.iter().all(known) && same_key {
        let mut rows = RowSpool::new(keys.width());
        keys.each(&mut |row| {
            seen.is_new(&pair.dest.name, row.cells())?;
            rows.push(row)
        })?;
        return Ok(Going { table: pair.dest.name.clone(), columns: pair.key_dest.clone(), rows });
    }
    let columns = wanted(&pair.dest, catalog);
    let mut found = Found { rows: 0, fresh: RowSpool::new(columns.len()) };
    for part in keys.parts() {
        look(&pair.dest, &pair.key_dest, part?, &columns, seen, &mut found, dest).await?;
    }
    Ok(Going { table: pair.dest.name.clone(), columns, rows: found.fresh })
}

/// Rows of `child` that point at rows that go and were not met before.
async fn children(
    child: &Table,
    referrer: &Referrer,
    going: &Going,
    catalog: &Catalog,
    seen: &mut Seen,
    dest: &mut dyn Snapshot,
) -> Result<Found> {
    let columns = wanted(child, catalog);
    let mut found = Found { rows: 0, fresh: RowSpool::new(columns.len()) };
    let at: Option<Vec<usize>> = referrer.key.parent_columns.iter().map(|c| going.columns.iter().position(|g| g == c)).collect();
    let Some(at) = at else { return Ok(found) };
    for part in going.rows.parts() {
        let mut parents = RowBatch::new(at.len());
        let part = part?;
        for row in part.rows().filter(|r| at.iter().all(|&c| !r.get(c).is_null())) {
            at.iter().for_each(|&c| parents.push_encoded(row.encoded(c)));
        }
        look(child, &referrer.key.columns, parents, &columns, seen, &mut found, dest).await?;
    }
    Ok(found)
}

/// Rows whose columns `by` hold one of `keys`, but for those met before.
async fn look(
    table: &Table,
    by: &[String],
    keys: RowBatch,
    columns: &[String],
    seen: &mut Seen,
    found: &mut Found,
    dest: &mut dyn Snapshot,
) -> Result<()> {
    let own = table.best_key().map_or(columns.len(), |k| k.len());
    let request = ReadRequest {
        table: table.clone(),
        columns: columns.to_vec(),
        filter: vec![Predicate::KeyIn { columns: by.to_vec(), keys }],
        order: Vec::new(),
        form: ReadForm::Values,
        batch_bytes: 256 * 1024,
        large_over: u64::MAX,
    };
    let mut stream = dest.read(request).await?;
    while let Some(batch) = stream.next().await? {
        let Batch::Rows(rows) = batch else { continue };
        for row in rows.rows() {
            if seen.is_new(&table.name, row.cells().take(own))? {
                found.rows += 1;
                found.fresh.push(row)?;
            }
        }
    }
    Ok(())
}

/// Rows met, of all tables: in circles, and by several ways, each counts once.
#[derive(Default)]
struct Seen(HashTable);

impl Seen {
    fn is_new<'v>(&mut self, table: &TableName, key: impl Iterator<Item = ValueRef<'v>>) -> Result<bool> {
        let mut bytes = table.to_string().into_bytes();
        for cell in key {
            let start = bytes.len();
            syncline_model::batch::encode_cell(&mut bytes, cell);
            bytes.extend_from_slice(&((bytes.len() - start) as u64).to_le_bytes());
        }
        Ok(self.0.insert(xxhash_rust::xxh3::xxh3_128(&bytes), 0)?.is_none())
    }
}
