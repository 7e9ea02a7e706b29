//! Rows at the destination whose parent is not there (FR-004): by the destination's own foreign keys, and by those of the
//! source between streams of the sync, which a destination without constraints does not keep itself.

use std::collections::BTreeSet;

use syncline_connector::{Batch, Predicate, ReadForm, ReadRequest, Snapshot};
use syncline_model::{Canon, Column, Engine as System, RowRef, Table, ValueRef};
use xxhash_rust::xxh3::xxh3_128;

use super::Found;
use super::side::{Side, sides};
use super::text::{Reading, is_untyped};
use crate::engine::{Engine, Result};
use crate::link::Link;
use crate::moving::{batch_bytes, large_over};
use crate::pairing::Pair;
use crate::report::{Difference, StreamCheck};
use crate::spill::join::{Budget, Record, Spool, without};

/// A foreign key, in the names of the destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Relation {
    columns: Vec<String>,
    parent: syncline_model::TableName,
    parent_columns: Vec<String>,
}

/// How a column of a relation is read on both of its ends.
struct End {
    child: Reading,
    parent: Reading,
    /// A collation under which the system finds the parent though the bytes differ.
    loose: bool,
}

impl Engine {
    #[allow(clippy::too_many_arguments, reason = "one call site; the parts belong to the verify, not to each other")]
    pub(super) async fn find_orphans(
        &self,
        pair: &Pair,
        all: &[Pair],
        link: &Link,
        dest: &mut dyn Snapshot,
        (memory, budget): (u64, Budget),
        check: &mut StreamCheck,
        found: &mut Found,
    ) -> Result<()> {
        let system = link.to.engine();
        let (_, side) = sides(pair, (link.from.engine(), system), memory, None);
        for relation in relations(pair, all) {
            let Some(parent) = link.dest_catalog.table(&relation.parent) else { continue };
            let Some((ends, form)) = ends(&pair.dest, parent, &relation, system) else { continue };
            let mut parents = Spool::new(budget);
            let ask = request(parent, relation.parent_columns.clone(), Vec::new(), form, memory);
            self.relate(dest, ask, &ends, |e| e.parent, |key, _| parents.add(Record { key, row: 0, flags: 0, name: &[] })).await?;
            let mut children = Spool::new(budget);
            let columns = relation.columns.iter().chain(&pair.key_dest).cloned().collect();
            let ask = request(&pair.dest, columns, pair.filter_dest.clone(), form, memory);
            let mut name = Vec::new();
            let child = |key, row: RowRef<'_>| {
                let width = relation.columns.len();
                Side::name((width..row.width()).chain(0..width).map(|c| row.get(c)), &mut name);
                children.add(Record { key, row: 0, flags: 0, name: &name })
            };
            self.relate(dest, ask, &ends, |e| e.child, child).await?;
            without(children, parents, budget, &mut |r| {
                check.orphans += 1;
                found.note(|| orphan(pair, &side, &relation, r.name));
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Reads rows whose first cells are a reference without NULL, and hands them on with its hash.
    async fn relate(
        &self,
        dest: &mut dyn Snapshot,
        ask: ReadRequest,
        ends: &[End],
        reading: impl Fn(&End) -> Reading,
        mut each: impl FnMut(u128, RowRef<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut scratch = Vec::new();
        let mut stream = dest.read(ask).await?;
        while let Some(batch) = stream.next().await? {
            self.stop_if_asked()?;
            let Batch::Rows(rows) = batch else { continue };
            for row in rows.rows().filter(|row| (0..ends.len()).all(|c| !row.get(c).is_null())) {
                scratch.clear();
                for (c, end) in ends.iter().enumerate() {
                    match row.get(c) {
                        ValueRef::Text(s) if end.loose => {
                            reading(end).write(&mut scratch, ValueRef::Text(s.trim_end().to_lowercase().as_str()))
                        }
                        v => reading(end).write(&mut scratch, v),
                    }
                }
                each(xxh3_128(&scratch), row)?;
            }
        }
        Ok(())
    }
}

fn orphan(pair: &Pair, side: &Side<'_>, relation: &Relation, name: &[u8]) -> Difference {
    let mut key = side.named(name);
    let reference = key.0.split_off(pair.key_dest.len());
    let field = |((column, parent), v): ((&String, &String), syncline_model::Value)| {
        (format!("{column} → {}.{parent}", relation.parent.name), None, super::shown::kept(v.view()))
    };
    let fields = relation.columns.iter().zip(&relation.parent_columns).zip(reference).map(field).collect();
    Difference { stream: pair.stream.clone(), kind: "orphan".to_owned(), key: key.to_json(), source_key: None, fields }
}

/// Foreign keys of the destination table, and those of the source between streams, each once.
fn relations(pair: &Pair, all: &[Pair]) -> BTreeSet<Relation> {
    let own = pair.dest.foreign_keys.iter().map(|k| Relation {
        columns: k.columns.clone(),
        parent: k.parent.clone(),
        parent_columns: k.parent_columns.clone(),
    });
    let carried = pair.source.foreign_keys.iter().filter_map(|k| {
        let parent = all.iter().find(|p| p.source.name == k.parent)?;
        Some(Relation {
            columns: copies(pair, &k.columns)?,
            parent: parent.dest.name.clone(),
            parent_columns: copies(parent, &k.parent_columns)?,
        })
    });
    own.chain(carried).collect()
}

/// The destination's names of source columns, when all of them are copied.
fn copies(pair: &Pair, columns: &[String]) -> Option<Vec<String>> {
    let one = |c: &String| pair.copied_from.iter().position(|f| f.as_ref() == Some(c)).map(|i| pair.columns[i].name.clone());
    columns.iter().map(one).collect()
}

fn ends(child: &Table, parent: &Table, relation: &Relation, system: System) -> Option<(Vec<End>, ReadForm)> {
    if relation.columns.len() != relation.parent_columns.len() {
        return None;
    }
    let columns = relation.columns.iter().zip(&relation.parent_columns);
    let columns: Vec<(&Column, &Column)> = columns.map(|(c, p)| child.column(c).zip(parent.column(p))).collect::<Option<_>>()?;
    let canon = |c: &Column, p: &Column| Canon::for_pair((c, system), (p, system));
    let untyped = columns.iter().any(|(c, p)| is_untyped(canon(c, p), &c.logical, &p.logical));
    let end = |(c, p): &(&Column, &Column)| {
        let (child, parent) = Reading::pair(canon(c, p), (&c.logical, system), (&p.logical, system));
        End { child, parent, loose: c.loose_collation.is_some() || p.loose_collation.is_some() }
    };
    Some((columns.iter().map(end).collect(), if untyped { ReadForm::Values } else { ReadForm::Text }))
}

fn request(table: &Table, columns: Vec<String>, filter: Vec<Predicate>, form: ReadForm, memory: u64) -> ReadRequest {
    ReadRequest {
        table: table.clone(),
        columns,
        filter,
        order: Vec::new(),
        form,
        batch_bytes: batch_bytes(memory),
        large_over: large_over(memory),
    }
}
