//! Streams in the order their tables need: parents before children. Cycles come in any order; only one transaction can
//! hold them, which is why `atomic: run` is the default.

use std::collections::BTreeSet;

use crate::pairing::Pair;

/// Indexes of `pairs`, parents first.
#[must_use]
pub fn parents_first(pairs: &[Pair]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(pairs.len());
    let mut placed: BTreeSet<usize> = BTreeSet::new();
    while order.len() < pairs.len() {
        let ready = |i: &usize| {
            let parents = pairs[*i].dest.foreign_keys.iter();
            parents.filter_map(|f| pairs.iter().position(|p| p.dest.name == f.parent)).all(|p| p == *i || placed.contains(&p))
        };
        let open: Vec<usize> = (0..pairs.len()).filter(|i| !placed.contains(i)).collect();
        let next = open.iter().copied().find(|i| ready(i)).unwrap_or(open[0]);
        placed.insert(next);
        order.push(next);
    }
    order
}
