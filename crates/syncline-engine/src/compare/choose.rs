//! Which digest a stream gets, and how its keys fall into segments.

use syncline_connector::{Capabilities, DigestColumn, DigestKind, DigestRequest, Segments};
use syncline_model::{Canon, Column, Engine, LogicalType};

use crate::pairing::Pair;

/// Rows per segment up to `SEGMENTS_MAX` segments: 100 scattered differences must not touch 2 % of a million rows (R14).
const SEGMENT_ROWS: u64 = 100;
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
            Self::Native | Self::Remembered => DigestKind::Native,
            Self::Canonical => DigestKind::Canonical,
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
        Canon::DecimalScaled | Canon::JsonValue | Canon::Own => false,
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
            filter: if of_source { pair.filter_source.clone() } else { pair.filter_dest.clone() },
        }
    };
    (one(true), one(false))
}

/// The two requests of a digest that is only ever compared with itself of an earlier run: each side over what it holds, the source
/// over every column that is read, in the form that side has for it.
pub fn own_requests(pair: &Pair, segments: &(Segments, Segments), columns: &[usize]) -> (DigestRequest, DigestRequest) {
    let (mut source, mut dest) = requests(pair, DigestKind::Native, segments, &pair.key_at);
    source.columns = pair.reads.iter().filter_map(|c| pair.source.column(c)).map(own).collect();
    dest.columns = columns.iter().map(|&i| own(&pair.columns[i])).collect();
    (source, dest)
}

/// A column as its own system writes it. Of the systems whose own digest asks for a form, MySQL is the one it has to suit.
fn own(column: &Column) -> DigestColumn {
    let canon = Canon::for_pair((column, Engine::Mysql), (column, Engine::Mysql));
    DigestColumn { name: column.name.clone(), canon, hashed: canon != Canon::Uuid && long(&column.logical) }
}

/// Whether SQL can compare the keys of the two sides.
#[must_use]
pub fn has_comparable_key(pair: &Pair) -> bool {
    let comparable = |&i: &usize| {
        let source = pair.copied_from[i].as_ref().and_then(|c| pair.source.column(c));
        source.is_some_and(|s| in_sql(pair.canons[i], &s.logical, &pair.columns[i].logical))
    };
    pair.policy.options.ids.is_none() && pair.key_at.iter().all(comparable)
}

/// Requests over the key columns alone: which keys are there. `None` when SQL cannot compare the keys.
pub fn key_request(pair: &Pair, segments: &(Segments, Segments)) -> Option<(DigestRequest, DigestRequest)> {
    has_comparable_key(pair).then(|| requests(pair, DigestKind::Canonical, segments, &pair.key_at))
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

/// How the keys fall into segments, for source and destination: ranges for one integer key on both sides, else buckets.
#[must_use]
pub fn segments(pair: &Pair, rows: u64, span: Option<(i128, i128)>) -> (Segments, Segments) {
    let wanted = (rows / SEGMENT_ROWS).clamp(1, SEGMENTS_MAX);
    if let (Some((lo, hi)), [at]) = (span, pair.key_at.as_slice()) {
        let width = u128::try_from(hi - lo + 1).unwrap_or(1);
        let size = u64::try_from(width.div_ceil(u128::from(wanted))).unwrap_or(u64::MAX).max(1);
        let range = |column: String| Segments::Ranges { column, size };
        return (range(pair.key_source[0].clone()), range(pair.columns[*at].name.clone()));
    }
    let digits = (1..4u8).find(|d| 16u64.pow(u32::from(*d)) >= wanted).unwrap_or(4);
    (Segments::Buckets { digits }, Segments::Buckets { digits })
}

/// Whether the key is one integer column on both sides.
#[must_use]
pub fn has_integer_key(pair: &Pair) -> bool {
    match (pair.key_source.as_slice(), pair.key_at.as_slice()) {
        ([source], [at]) => {
            let fits = |t: &LogicalType| {
                matches!(t, LogicalType::Int { unsigned: false, .. } | LogicalType::Year)
                    || matches!(t, LogicalType::Int { bits, unsigned: true } if *bits < 64)
            };
            pair.source.column(source).is_some_and(|c| fits(&c.logical)) && fits(&pair.columns[*at].logical)
        }
        _ => false,
    }
}
