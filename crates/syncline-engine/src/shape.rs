//! What decides how the rows of a stream look at the destination, which of them are compared, and what becomes of the others. Whatever was
//! remembered under another shape is void. Every option counts: a list of those that matter would miss one.

use syncline_model::Column;
use xxhash_rust::xxh3::xxh3_128;

use crate::pairing::Pair;

/// All of it, as text.
pub(crate) fn text(pair: &Pair) -> String {
    format!("{}\n{}", source(pair), destination(pair))
}

fn source(pair: &Pair) -> String {
    let names: Vec<&str> = pair.columns.iter().map(|c| c.name.as_str()).collect();
    let parts = [
        env!("CARGO_PKG_VERSION").to_owned(),
        format!(
            "{} {:?} ({}) to {} {names:?}",
            pair.source.name,
            pair.source.incarnation,
            types(pair.reads.iter().filter_map(|c| pair.source.column(c))),
            pair.dest.name.name
        ),
        format!("{:?} {:?} {:?}", pair.policy, pair.copied_from, pair.foreign_ids),
        format!("{:?} {:?}", pair.key_source, pair.filter_source),
    ];
    parts.join("\n")
}

fn destination(pair: &Pair) -> String {
    let parts = [
        format!("{} {:?} ({})", pair.dest.name, pair.dest.incarnation, types(pair.columns.iter())),
        format!("{:?} {:?}", pair.canons, pair.compared),
        format!("{:?} {:?} {:?} {:?}", pair.key_dest, pair.filter_dest, pair.owns, pair.delete),
    ];
    parts.join("\n")
}

fn types<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    columns.map(|c| format!("{} {}", c.name, c.native)).collect::<Vec<_>>().join(",")
}

/// What a position of the stream rests on. How a system spells the columns of a table is not known before it is there.
pub(crate) fn of_position(pair: &Pair) -> String {
    let hash = |text: String| format!("{:032x}", xxh3_128(text.as_bytes()));
    let there = if pair.create.is_some() { String::new() } else { hash(destination(pair)) };
    format!("{}/{there}", hash(source(pair)))
}

/// Whether a position taken under `before` speaks of the stream as it is `now`.
pub(crate) fn still_holds(before: &str, now: &str) -> bool {
    let parts = |s: &str| s.split_once('/').map(|(source, destination)| (source.to_owned(), destination.to_owned()));
    let (Some(before), Some(now)) = (parts(before), parts(now)) else { return false };
    before.0 == now.0 && (before.1.is_empty() || before.1 == now.1)
}
