//! Streams in the order their tables need: parents before children. Those of a cycle belong together: only one transaction can hold rows
//! that need each other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::pairing::Pair;

/// Indexes of `pairs`, parents first.
#[must_use]
pub fn parents_first(pairs: &[Pair]) -> Vec<usize> {
    groups(&parents(pairs)).concat()
}

/// Puts parents first, and the streams of a cycle side by side: the streams that go in one transaction where a run commits in parts.
pub fn into_parts(pairs: &mut [Pair]) -> Vec<Range<usize>> {
    let groups = groups(&parents(pairs));
    let place: BTreeMap<String, usize> = groups.iter().flatten().enumerate().map(|(at, &i)| (pairs[i].stream.clone(), at)).collect();
    pairs.sort_by_key(|p| place[&p.stream]);
    let mut start = 0;
    let part = |group: Vec<usize>| {
        let part = start..start + group.len();
        start = part.end;
        part
    };
    groups.into_iter().map(part).collect()
}

fn parents(pairs: &[Pair]) -> Vec<Vec<usize>> {
    let of = |p: &Pair| p.dest.foreign_keys.iter().filter_map(|f| pairs.iter().position(|q| q.dest.name == f.parent)).collect();
    pairs.iter().map(of).collect()
}

/// Parents first; those that need each other in one group.
fn groups(parents: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let above: Vec<BTreeSet<usize>> = (0..parents.len()).map(|i| reached(parents, i)).collect();
    let mut placed: BTreeSet<usize> = BTreeSet::new();
    let mut groups = Vec::new();
    while placed.len() < parents.len() {
        let ready = |i: &usize| above[*i].iter().all(|p| placed.contains(p) || above[*p].contains(i));
        let next = (0..parents.len()).filter(|i| !placed.contains(i)).find(ready).expect("invariant: some group needs no other one");
        let together = |j: &usize| *j == next || (above[next].contains(j) && above[*j].contains(&next));
        let group: Vec<usize> = (0..parents.len()).filter(together).collect();
        placed.extend(&group);
        groups.push(group);
    }
    groups
}

/// All that a table needs, however far away; itself where it is part of a cycle.
fn reached(parents: &[Vec<usize>], from: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut work = parents[from].clone();
    while let Some(i) = work.pop() {
        if found.insert(i) {
            work.extend(&parents[i]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    // case: C21
    #[test]
    fn parents_come_first_and_what_needs_each_other_comes_together() {
        // A child of a cycle, the cycle of two, its parent, one that refers to itself.
        assert_eq!(groups(&[vec![1], vec![3], vec![], vec![1, 2], vec![4]]), [vec![2], vec![1, 3], vec![0], vec![4]]);
        assert_eq!(groups(&[vec![1], vec![2], vec![0]]), [vec![0, 1, 2]]);
        assert!(groups(&[]).is_empty());
    }
}
