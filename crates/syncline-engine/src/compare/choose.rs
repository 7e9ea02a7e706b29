//! Which digest a stream gets, and how its keys fall into segments.

use syncline_connector::{Capabilities, DigestColumn, DigestKind, DigestRequest, Predicate, Segments};
use syncline_model::{Canon, Column, Engine, LogicalType};

use crate::pairing::Pair;

/// Rows per segment up to `SEGMENTS_MAX` segments: 100 scattered differences must not touch 2 % of a million rows (R14).
const SEGMENT_ROWS: u64 = 100;
/// The same where hashes of the two sides cannot be compared: there every row of a segment that differs is read.
const SEGMENT_ROWS_REMEMBERED: u64 = 1;
/// Key values per row up to which keys are cut into ranges. A key value is at most one row, so this is also how many times its
/// share of the rows a segment can hold, however unevenly the keys lie; sparser ones are told apart by buckets.
const KEYS_PER_ROW_MAX: u128 = 16;
/// Segments at most: the answer stays a few MB, whatever the table.
const SEGMENTS_MAX: u64 = 40_000;
/// Text that may be longer than this enters as its own hash (R4).
const INLINE_CHARS_MAX: u32 = 255;

/// The digest of a stream (R12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Same engine, same column types: the engine's own row hash.
    Native,
    /// Across engines: canonical SQL.
    Canonical,
    /// Columns that SQL cannot compare: each side's own digest against the one remembered from the last agreeing run.
    Remembered,
}

impl Choice {
    /// As shown in plans and run reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Canonical => "canonical",
            Self::Remembered => "remembered",
        }
    }

    /// The hash the servers compute.
    #[must_use]
    pub fn kind(self) -> DigestKind {
        match self {
            Self::Native => DigestKind::Native,
            Self::Canonical => DigestKind::Canonical,
            Self::Remembered => DigestKind::Own,
        }
    }

    /// Whether hashes of the two sides can be compared with each other.
    #[must_use]
    pub fn is_comparable(self) -> bool {
        match self {
            Self::Native | Self::Canonical => true,
            Self::Remembered => false,
        }
    }
}

/// Chooses by the pair's columns.
#[must_use]
pub fn choose(pair: &Pair, from: &Capabilities, to: &Capabilities) -> Choice {
    let compared = || (0..pair.columns.len()).filter(|&i| pair.compared[i]);
    if !pair.is_plain() {
        return Choice::Remembered;
    }
    let source = |i: usize| pair.copied_from[i].as_ref().and_then(|c| pair.source.column(c));
    let same_types = || compared().all(|i| source(i).is_some_and(|s| s.native == pair.columns[i].native));
    if from.engine == to.engine && from.native_digest && to.native_digest && same_types() {
        return Choice::Native;
    }
    if compared().all(|i| source(i).is_some_and(|s| in_sql(pair.canons[i], &s.logical, &pair.columns[i].logical))) {
        Choice::Canonical
    } else {
        Choice::Remembered
    }
}

/// Whether both databases can write the canonical text of the pair of types in SQL.
fn in_sql(canon: Canon, a: &LogicalType, b: &LogicalType) -> bool {
    let float = |t: &LogicalType| matches!(t, LogicalType::Float { .. });
    let clock = |t: &LogicalType| matches!(t, LogicalType::Time { .. });
    match canon {
        Canon::Number => !float(a) && !float(b),
        Canon::Span => clock(a) && clock(b),
        Canon::Text | Canon::TextPadded => ![a, b].iter().any(|t| matches!(t, LogicalType::Other { .. } | LogicalType::Any)),
        Canon::Float | Canon::Bytes | Canon::Uuid | Canon::Date | Canon::Timestamp | Canon::TimestampTz | Canon::JsonText => true,
        // Only ever between two PostgreSQL columns.
        Canon::DecimalScaled => true,
        Canon::JsonValue | Canon::Own => false,
    }
}

/// The two requests, source and destination, over the given staged columns.
pub fn requests(pair: &Pair, choice: DigestKind, segments: &(Segments, Segments), columns: &[usize]) -> (DigestRequest, DigestRequest) {
    let column = |i: usize, name: String| DigestColumn { name, canon: pair.canons[i], hashed: is_long(pair, i) };
    let source_name = |i: usize| pair.copied_from[i].clone().unwrap_or_else(|| pair.columns[i].name.clone());
    let one = |of_source: bool| {
        let name = |i: usize| if of_source { source_name(i) } else { pair.columns[i].name.clone() };
        DigestRequest {
            table: if of_source { pair.source.clone() } else { pair.dest.clone() },
            key: pair.key_at.iter().map(|&i| column(i, name(i))).collect(),
            columns: columns.iter().map(|&i| column(i, name(i))).collect(),
            kind: choice,
            segments: if of_source { segments.0.clone() } else { segments.1.clone() },
            filter: keyed(pair, of_source),
        }
    };
    (one(true), one(false))
}

/// The stream's records that have a key; the others fall into no segment.
fn keyed(pair: &Pair, of_source: bool) -> Vec<Predicate> {
    let (table, key, filter) =
        if of_source { (&pair.source, &pair.key_source, &pair.filter_source) } else { (&pair.dest, &pair.key_dest, &pair.filter_dest) };
    let nullable = key.iter().filter(|k| table.column(k).is_none_or(|c| c.nullable));
    filter.iter().cloned().chain(nullable.map(|k| Predicate::NotNull(k.clone()))).collect()
}

/// The two requests of a digest that is only ever compared with itself of an earlier run: each side over what it holds, the source
/// over every column that is read, in the form that side has for it. Keys fall into the same segments on both sides.
pub fn own_requests(pair: &Pair, segments: &(Segments, Segments), columns: &[usize]) -> (DigestRequest, DigestRequest) {
    let (mut source, mut dest) = requests(pair, DigestKind::Own, segments, &pair.key_at);
    source.columns = pair.reads.iter().filter_map(|c| pair.source.column(c)).map(own).collect();
    dest.columns = columns.iter().map(|&i| own(&pair.columns[i])).collect();
    (source, dest)
}

/// A column as its own system writes it. Of the systems whose own digest asks for a form, MySQL is the one it has to suit.
fn own(column: &Column) -> DigestColumn {
    let canon = Canon::for_pair((column, Engine::Mysql), (column, Engine::Mysql));
    DigestColumn { name: column.name.clone(), canon, hashed: canon != Canon::Uuid && long(&column.logical) }
}

/// Whether the keys of both sides fall into the same segments, without exception: what one side has in a segment can then be told
/// missing from the other, though nothing else is known of that segment.
#[must_use]
pub fn has_exact_key(pair: &Pair) -> bool {
    has_comparable_key(pair) && pair.key_canons().iter().all(|c| *c != Canon::Float)
}

/// Whether SQL can compare the keys of the two sides.
#[must_use]
pub fn has_comparable_key(pair: &Pair) -> bool {
    let comparable = |&i: &usize| {
        let source = pair.copied_from[i].as_ref().and_then(|c| pair.source.column(c));
        source.is_some_and(|s| in_sql(pair.canons[i], &s.logical, &pair.columns[i].logical))
    };
    !has_rewritten_key(pair) && pair.key_at.iter().all(comparable)
}

/// Whether the two sides know a record by different ids.
#[must_use]
pub fn has_rewritten_key(pair: &Pair) -> bool {
    pair.policy.options.ids.is_some() || pair.foreign_ids.iter().any(|(c, _)| pair.key_at.contains(c))
}

/// Requests over the key columns alone: which keys are there. `None` when SQL cannot compare the keys.
///
/// In the engine's own hash where both sides have the same one and the key the same types: it costs a tenth of canonical text.
pub fn key_request(
    pair: &Pair,
    (from, to): (&Capabilities, &Capabilities),
    segments: &(Segments, Segments),
) -> Option<(DigestRequest, DigestRequest)> {
    let source = |i: usize| pair.copied_from[i].as_ref().and_then(|c| pair.source.column(c));
    let same_types = pair.key_at.iter().all(|&i| source(i).is_some_and(|s| s.native == pair.columns[i].native));
    let native = from.engine == to.engine && from.native_digest && to.native_digest && same_types;
    let kind = if native { DigestKind::Native } else { DigestKind::Canonical };
    has_comparable_key(pair).then(|| requests(pair, kind, segments, &pair.key_at))
}

fn is_long(pair: &Pair, i: usize) -> bool {
    let source = pair.copied_from[i].as_ref().and_then(|c| pair.source.column(c)).map(|c| &c.logical);
    let uuid = pair.canons[i] == Canon::Uuid;
    !uuid && (source.is_some_and(long) || long(&pair.columns[i].logical))
}

fn long(t: &LogicalType) -> bool {
    match t {
        LogicalType::Text { chars_max, .. } => chars_max.is_none_or(|n| n > INLINE_CHARS_MAX),
        LogicalType::Bytes { .. } | LogicalType::Geometry | LogicalType::Json { .. } | LogicalType::Any | LogicalType::Other { .. } => true,
        LogicalType::Set { .. } | LogicalType::Bit { .. } => true,
        _ => false,
    }
}

/// How the keys fall into segments, for source and destination: ranges for one integer key on both sides, else buckets. `rows` is
/// the larger count of the two sides, `span` the smallest and the largest key of both.
#[must_use]
pub fn segments(pair: &Pair, choice: Choice, rows: u64, span: Option<(i128, i128)>) -> (Segments, Segments) {
    let split = Split::of(choice, rows, span);
    let one = |column: &str| match split {
        Split::Ranges { size } => Segments::Ranges { column: column.to_owned(), size },
        Split::Buckets { digits } => Segments::Buckets { digits },
    };
    (one(&pair.key_source[0]), one(&pair.key_dest[0]))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    Ranges { size: u64 },
    Buckets { digits: u8 },
}

impl Split {
    fn of(choice: Choice, rows: u64, span: Option<(i128, i128)>) -> Self {
        let each = if choice.is_comparable() { SEGMENT_ROWS } else { SEGMENT_ROWS_REMEMBERED };
        let wanted = (rows / each).clamp(1, SEGMENTS_MAX);
        let width = span.and_then(|(lo, hi)| u128::try_from(hi - lo + 1).ok());
        match width.filter(|w| *w <= u128::from(rows) * KEYS_PER_ROW_MAX) {
            Some(width) => {
                let of = |width: u128| u64::try_from(width.div_ceil(u128::from(wanted))).unwrap_or(u64::MAX).max(1);
                // Remembered segments are worth something only while they stay the same as rows come and go: the first gap in keys
                // without gaps must not change them, either.
                Self::Ranges { size: if choice.is_comparable() { of(width) } else { of(width * 3 / 4).next_power_of_two() } }
            }
            None => Self::Buckets { digits: (1..4u8).find(|d| 16u64.pow(u32::from(*d)) >= wanted).unwrap_or(4) },
        }
    }
}

/// Whether the key is one integer column on both sides, with the same value.
#[must_use]
pub fn has_integer_key(pair: &Pair) -> bool {
    match (pair.key_source.as_slice(), pair.key_at.as_slice()) {
        ([source], [at]) if !has_rewritten_key(pair) => {
            let fits = |t: &LogicalType| {
                matches!(t, LogicalType::Int { unsigned: false, .. } | LogicalType::Year)
                    || matches!(t, LogicalType::Int { bits, unsigned: true } if *bits < 64)
            };
            pair.source.column(source).is_some_and(|c| fits(&c.logical)) && fits(&pair.columns[*at].logical)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHOICES: [Choice; 3] = [Choice::Native, Choice::Canonical, Choice::Remembered];

    // rule: R14
    #[test]
    fn segments_hold_a_hundred_rows_and_are_never_more_than_forty_thousand() {
        let of = |rows: u64| Split::of(Choice::Native, rows, Some((1, i128::from(rows))));
        for (rows, size) in [(1, 1), (99, 99), (1_000, 100), (1_000_000, 100), (4_000_000, 100), (40_000_000, 1_000), (1 << 40, 27_487_791)]
        {
            assert_eq!(of(rows), Split::Ranges { size }, "{rows}");
        }
        for (rows, digits) in [(0, 1), (1_600, 1), (1_700, 2), (409_600, 3), (409_700, 4), (1 << 40, 4)] {
            assert_eq!(Split::of(Choice::Canonical, rows, None), Split::Buckets { digits }, "{rows}");
        }
    }

    // rule: R14
    #[test]
    fn no_segment_is_much_larger_than_the_others_however_the_keys_lie() {
        let (min, max) = (i128::from(i64::MIN), i128::from(i64::MAX));
        let spans = [(min, max), (0, max), (-(1 << 62), 1 << 62), (-5, 10), (0, 0), (max, max), (1, 999), (1, 16_000), (1, 16_001)];
        for choice in CHOICES {
            for (rows, span) in [0u64, 1, 10, 1_000, 1_000_000, 10_000_000, 1 << 40].into_iter().flat_map(|r| spans.map(|s| (r, s))) {
                let share = rows.div_ceil((rows / 100).clamp(1, SEGMENTS_MAX));
                match Split::of(choice, rows, Some(span)) {
                    // Rounding up and the power of two can each double a size.
                    Split::Ranges { size } => assert!(u128::from(size) <= u128::from(share) * KEYS_PER_ROW_MAX * 4, "{rows} in {span:?}"),
                    Split::Buckets { .. } => assert!(span.1 - span.0 >= i128::from(rows) * 16, "{rows} in {span:?}"),
                }
            }
        }
    }

    // rule: R12
    #[test]
    fn remembered_segments_are_small_and_stay_as_they_are_when_a_table_grows_a_little() {
        let of = |rows: u64| Split::of(Choice::Remembered, rows, Some((1, i128::from(rows))));
        assert_eq!((of(20_000), of(1_000_000)), (Split::Ranges { size: 1 }, Split::Ranges { size: 32 }));
        assert_eq!((of(1_000_001), of(1_020_000)), (of(1_000_000), of(1_000_000)));
        assert_eq!(Split::of(Choice::Remembered, 20_000, Some((1, 21_000))), of(20_000));
        assert_eq!(Split::of(Choice::Remembered, 20_000, None), Split::Buckets { digits: 4 });
    }
}
