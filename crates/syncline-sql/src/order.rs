//! In which order tables are written: parents before children by foreign key; tables that need each other form one group.

use std::collections::BTreeMap;

use syncline_model::{Table, TableName};

/// Tables that are written together, as indexes into the run's streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The streams, in the order they came.
    pub streams: Vec<usize>,
    /// They reference each other (or one references itself).
    pub cyclic: bool,
}

/// Groups, parents first. Tarjan's algorithm: it emits a strongly connected component only after everything it
/// points to, which is exactly "parents first". Stable: equal tables come in the order given.
#[must_use]
pub fn parents_first(tables: &[&Table]) -> Vec<Group> {
    let index: BTreeMap<&TableName, usize> = tables.iter().enumerate().map(|(i, t)| (&t.name, i)).collect();
    let edges: Vec<Vec<usize>> =
        tables.iter().map(|t| t.foreign_keys.iter().filter_map(|f| index.get(&f.parent).copied()).collect()).collect();
    let mut search =
        Search { edges: &edges, number: vec![None; tables.len()], low: vec![0; tables.len()], stack: Vec::new(), groups: Vec::new() };
    for v in 0..tables.len() {
        if search.number[v].is_none() {
            search.visit(v);
        }
    }
    search.groups
}

struct Search<'a> {
    edges: &'a [Vec<usize>],
    number: Vec<Option<usize>>,
    low: Vec<usize>,
    stack: Vec<usize>,
    groups: Vec<Group>,
}

impl Search<'_> {
    /// Walks without recursion: a chain of 10,000 tables must not overflow the stack.
    fn visit(&mut self, root: usize) {
        let mut work = vec![(root, 0usize)];
        let mut next = self.number.iter().flatten().count();
        while let Some(&mut (v, ref mut at)) = work.last_mut() {
            if *at == 0 && self.number[v].is_none() {
                self.number[v] = Some(next);
                self.low[v] = next;
                next += 1;
                self.stack.push(v);
            }
            if let Some(&w) = self.edges[v].get(*at) {
                *at += 1;
                match self.number[w] {
                    None => work.push((w, 0)),
                    Some(n) if self.stack.contains(&w) => self.low[v] = self.low[v].min(n),
                    Some(_) => {}
                }
                continue;
            }
            work.pop();
            if let Some(&(parent, _)) = work.last() {
                self.low[parent] = self.low[parent].min(self.low[v]);
            }
            if Some(self.low[v]) == self.number[v] {
                self.close(v);
            }
        }
    }

    fn close(&mut self, v: usize) {
        let at = self.stack.iter().position(|&w| w == v).expect("invariant: an open component is on the stack");
        let mut streams = self.stack.split_off(at);
        streams.sort_unstable();
        let cyclic = streams.len() > 1 || self.edges[v].contains(&v);
        self.groups.push(Group { streams, cyclic });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncline_model::schema::{OnDelete, TableKind};
    use syncline_model::{ForeignKey, LogicalType};

    fn table(name: &str, parents: &[&str]) -> Table {
        let foreign_keys = parents
            .iter()
            .map(|p| ForeignKey {
                name: format!("{name}_{p}"),
                columns: vec!["x".into()],
                parent: TableName::bare(*p),
                parent_columns: vec!["id".into()],
                on_delete: OnDelete::Refuse,
                deferrable: false,
            })
            .collect();
        Table {
            name: TableName::bare(name),
            kind: TableKind::Table,
            columns: vec![syncline_model::Column::plain("id", LogicalType::Int { bits: 32, unsigned: false }, "int")],
            primary_key: vec!["id".into()],
            uniques: vec![],
            foreign_keys,
            checks: vec![],
            indexes: vec![],
            insert_triggers: false,
            change_triggers: false,
            rows_estimate: None,
            non_transactional: false,
            incarnation: None,
            comment: None,
        }
    }

    // case: C21
    #[test]
    fn parents_come_before_children_and_cycles_are_one_group() {
        let tables = [
            table("rental", &["staff", "inventory"]),
            table("staff", &["store"]),
            table("store", &["staff"]),
            table("inventory", &["store"]),
        ];
        let refs: Vec<&Table> = tables.iter().collect();
        let groups = parents_first(&refs);
        assert_eq!(
            groups,
            [
                Group { streams: vec![1, 2], cyclic: true },
                Group { streams: vec![3], cyclic: false },
                Group { streams: vec![0], cyclic: false }
            ]
        );
    }

    #[test]
    fn a_self_reference_is_a_cycle_and_foreign_tables_outside_the_run_are_ignored() {
        let t = table("category", &["category", "elsewhere"]);
        assert_eq!(parents_first(&[&t]), [Group { streams: vec![0], cyclic: true }]);
    }

    #[test]
    fn a_long_chain_does_not_overflow_the_stack() {
        let tables: Vec<Table> =
            (0..5_000).map(|i| if i == 0 { table("t0", &[]) } else { table(&format!("t{i}"), &[&format!("t{}", i - 1)]) }).rev().collect();
        let refs: Vec<&Table> = tables.iter().collect();
        assert_eq!(parents_first(&refs).first().map(|g| g.streams.clone()), Some(vec![4_999]));
    }
}
