//! Digests in SQL: the native one by `hash_record_extended` (R13) and the canonical one of `docs/specs/digest.md`.

use syncline_connector::{DigestColumn, DigestKind, DigestRequest, Error, ErrorKind, Result, SegmentDigest, Segments};
use syncline_model::{Canon, Column, LogicalType};
use tokio_postgres::SimpleQueryRow;

use crate::decode::CellForm;
use crate::native::{Wire, wire};
use crate::read::Plan;
use crate::{predicate, sql};

/// Up to this many segments are fetched by index ranges; beyond, one pass over the table is cheaper.
const RANGES_MAX: usize = 500;

/// Answers segment digests: (segment, rows, hashed, xor), in no order.
///
/// # Errors
/// `Invalid` for columns without a form in SQL (`digest_unsupported`).
pub fn segments_sql(request: &DigestRequest) -> Result<String> {
    Ok(format!(
        "SELECT segment, count(*), count(hash), coalesce(bit_xor(hash), 0) FROM ({}) AS r GROUP BY segment",
        hashes(request, Keys::Without, "")?
    ))
}

/// One line of [`segments_sql`]'s answer.
///
/// # Errors
/// `Internal` when it is none.
pub fn segment(row: &SimpleQueryRow) -> Result<SegmentDigest> {
    let number = |at: usize| row.get(at).and_then(|t| t.parse::<i64>().ok());
    let bits = |n: i64| u64::from_ne_bytes(n.to_ne_bytes());
    match (number(0), number(1), number(2), number(3)) {
        (Some(id), Some(rows), Some(hashed), Some(hash)) => {
            Ok(SegmentDigest { id, rows: bits(rows), hashed: bits(hashed), hash: bits(hash) })
        }
        _ => Err(Error::internal("digest: the answer is not in the form that was asked for")),
    }
}

/// Key columns and row hash of the rows in the given segments.
///
/// # Errors
/// As [`segments_sql`].
pub fn rows_plan(request: &DigestRequest, segments: &[i64]) -> Result<Plan> {
    let keys = columns(request, &request.key)?;
    let names = keys.iter().map(|c| sql::ident(&c.name)).collect::<Vec<_>>().join(", ");
    let select = match &request.segments {
        Segments::Ranges { column, size } if segments.len() <= RANGES_MAX && !segments.is_empty() => {
            let column = sql::ident(&predicate::column(&request.table, column)?.name);
            let ranges = segments.iter().map(|s| range(*s, *size)).map(|(low, high)| format!("({low}::bigint,{high}::bigint)"));
            let ranges = ranges.collect::<Vec<_>>().join(",");
            let join = format!("JOIN (VALUES {ranges}) AS syncline_s(low, high) ON {column} BETWEEN low AND high");
            format!("SELECT {names}, hash FROM ({}) AS r", hashes(request, Keys::With, &join)?)
        }
        _ => {
            let list = segments.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            format!("SELECT {names}, hash FROM ({}) AS r WHERE segment = ANY ('{{{list}}}'::bigint[])", hashes(request, Keys::With, "")?)
        }
    };
    let forms = keys.iter().map(|c| CellForm::of(c)).chain([CellForm::bigint()]).collect();
    Ok(Plan { selects: [select].into(), forms })
}

/// Whether key columns come beside segment and hash.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    With,
    Without,
}

/// Smallest and largest key of a segment: division truncates toward zero, so segment 0 reaches to both sides.
fn range(segment: i64, size: u64) -> (i64, i64) {
    let (s, size) = (i128::from(segment), i128::from(size));
    let low = if s <= 0 { s * size - (size - 1) } else { s * size };
    let high = if s >= 0 { s * size + (size - 1) } else { s * size };
    let cut = |n: i128| i64::try_from(n.clamp(i128::from(i64::MIN), i128::from(i64::MAX))).expect("invariant: clamped");
    (cut(low), cut(high))
}

fn columns<'r>(request: &'r DigestRequest, of: &[DigestColumn]) -> Result<Vec<&'r Column>> {
    of.iter().map(|d| predicate::column(&request.table, &d.name)).collect()
}

/// Key columns as they are sent, each under its own name, with a leading comma.
fn key_list(request: &DigestRequest, keys: Keys) -> Result<String> {
    let mut list = String::new();
    if keys == Keys::With {
        for c in columns(request, &request.key)? {
            let name = sql::ident(&c.name);
            let cast = if wire(c) == Wire::AsText { "::text" } else { "" };
            list.push_str(&format!(", {name}{cast} AS {name}"));
        }
    }
    Ok(list)
}

/// `SELECT … AS segment, … AS hash, keys FROM table`: one line per row.
fn hashes(request: &DigestRequest, keys: Keys, join: &str) -> Result<String> {
    let from = format!("{} {join}", sql::table(&request.table.name));
    let filter = predicate::single(&request.table, &request.filter)?;
    match request.kind {
        DigestKind::Native => {
            let segment = match &request.segments {
                Segments::Ranges { column, size } => by_range(request, column, *size)?,
                Segments::Buckets { digits } => {
                    let bits = 4 * u32::from((*digits).clamp(1, 4));
                    format!("{} >> {} & {}", native_hash(request, &request.key)?, 64 - bits, (1u32 << bits) - 1)
                }
            };
            let hash = native_hash(request, &request.columns)?;
            Ok(format!("SELECT {segment} AS segment, {hash} AS hash{} FROM {from} WHERE {filter}", key_list(request, keys)?))
        }
        DigestKind::Canonical | DigestKind::Own => in_texts(request, keys, &from, &filter),
    }
}

fn native_hash(request: &DigestRequest, of: &[DigestColumn]) -> Result<String> {
    let list = columns(request, of)?.into_iter().map(native).collect::<Vec<_>>().join(", ");
    Ok(format!("hash_record_extended(ROW({list}), 0)"))
}

fn by_range(request: &DigestRequest, column: &str, size: u64) -> Result<String> {
    let name = sql::ident(&predicate::column(&request.table, column)?.name);
    Ok(format!("{name}::bigint / {}::bigint", i64::try_from(size.max(1)).unwrap_or(i64::MAX)))
}

/// Canonical texts of the row, or of its key alone, are computed once in the inner query, which OFFSET 0 keeps the planner from
/// merging into the outer one (R13).
fn in_texts(request: &DigestRequest, keys: Keys, from: &str, filter: &str) -> Result<String> {
    let mut inner = Vec::new();
    let hash = match request.kind {
        DigestKind::Canonical => {
            let row = row_text(request, &request.columns, "c", &mut inner)?;
            format!("('x' || left(md5({row}), 16))::bit(64)::bigint")
        }
        DigestKind::Native | DigestKind::Own => {
            inner.push(format!("{} AS syncline_hash", native_hash(request, &request.columns)?));
            "syncline_hash".to_owned()
        }
    };
    let segment = match &request.segments {
        Segments::Ranges { column, size } => {
            inner.push(format!("{} AS syncline_segment", by_range(request, column, *size)?));
            "syncline_segment".to_owned()
        }
        Segments::Buckets { digits } => {
            let (key, digits) = (row_text(request, &request.key, "k", &mut inner)?, (*digits).clamp(1, 4));
            format!("('x' || left(md5({key}), {digits}))::bit({})::integer::bigint", 4 * u32::from(digits))
        }
    };
    let outer = match keys {
        Keys::With => columns(request, &request.key)?.iter().map(|c| format!(", {}", sql::ident(&c.name))).collect(),
        Keys::Without => String::new(),
    };
    let inner = format!("SELECT {}{} FROM {from} WHERE {filter} OFFSET 0", inner.join(", "), key_list(request, keys)?);
    Ok(format!("SELECT {segment} AS segment, {hash} AS hash{outer} FROM ({inner}) AS f"))
}

/// The row text over aliases whose definitions are added to `inner`.
fn row_text(request: &DigestRequest, of: &[DigestColumn], prefix: &str, inner: &mut Vec<String>) -> Result<String> {
    let mut fields = Vec::new();
    for (i, d) in of.iter().enumerate() {
        let (text, hashed) = text(predicate::column(&request.table, &d.name)?, d)?;
        let alias = format!("syncline_{prefix}{i}");
        inner.push(format!("{text} AS {alias}"));
        fields.push(if hashed {
            format!("coalesce('32:' || {alias}, '~')")
        } else {
            format!("coalesce(octet_length({alias}) || ':' || {alias}, '~')")
        });
    }
    Ok(fields.join(" || "))
}

/// What enters `ROW(…)`: the column itself where its hash sees all that counts, else its text or wire bytes.
fn native(column: &Column) -> String {
    native_cell(column, &sql::ident(&column.name))
}

/// The same of the expression `c`, which has the column's type.
pub fn native_cell(column: &Column, c: &str) -> String {
    match wire(column) {
        Wire::Bool | Wire::Int(_) | Wire::Uuid | Wire::Date | Wire::Time | Wire::Timestamp | Wire::TimestampTz | Wire::Bytes => {
            c.to_owned()
        }
        // An enum hashes by its oid, which no two databases share.
        Wire::Text if matches!(column.logical, LogicalType::Enum { .. }) || column.native == "name" => format!("{c}::text"),
        Wire::Text if column.loose_collation.is_some() => format!("{c}::text COLLATE \"C\""),
        Wire::Text => c.to_owned(),
        // With a declared scale every value has it; without, 1.0 and 1.00 hash alike but differ.
        Wire::Numeric if matches!(column.logical, LogicalType::Decimal { limits: Some(_) }) => c.to_owned(),
        Wire::Float(4) => format!("float4send({c})"),
        Wire::Float(_) => format!("float8send({c})"),
        Wire::Interval => format!("interval_send({c})"),
        // An array hands its elements' collation on to its text, and that may call different texts equal.
        Wire::AsText => format!("{c}::text COLLATE \"C\""),
        Wire::Numeric | Wire::Bit | Wire::Json | Wire::Jsonb => format!("{c}::text"),
    }
}

/// The canonical text of a column, and whether it is an MD5.
fn text(column: &Column, d: &DigestColumn) -> Result<(String, bool)> {
    let c = sql::ident(&column.name);
    let wire = wire(column);
    let unsupported = || {
        Error::new(
            ErrorKind::Invalid,
            "digest_unsupported",
            format!("digest: column `{}` of type {} has no {:?} form in SQL", column.name, column.native, d.canon),
        )
    };
    let (text, always_hashed) = match (d.canon, wire) {
        (Canon::Number, Wire::Bool) => (format!("{c}::integer::text"), false),
        (Canon::Number, Wire::Int(_)) => (format!("{c}::text"), false),
        (Canon::Number, Wire::Numeric) => (format!("trim_scale({c})::text"), false),
        // Only ever between two PostgreSQL columns, which write value and scale alike.
        (Canon::DecimalScaled, Wire::Numeric) => (format!("{c}::text"), false),
        (Canon::Number, Wire::Float(_)) => (format!("trim_scale({c}::text::numeric)::text"), false),
        (Canon::Float, Wire::Float(_)) => (double(&format!("{c}::float8")), false),
        (Canon::Text, Wire::Text | Wire::Bit | Wire::AsText | Wire::Json | Wire::Jsonb) => (format!("{c}::text"), false),
        (Canon::TextPadded, Wire::Text | Wire::Bit | Wire::AsText) => (format!("rtrim({c}::text, ' ')"), false),
        (Canon::Bytes, Wire::Bytes) => return Ok((format!("md5({c})"), true)),
        (Canon::Uuid, Wire::Uuid) => (format!("encode(uuid_send({c}), 'hex')"), false),
        (Canon::Uuid, Wire::Text) => (uuid_text(&c), false),
        (Canon::Uuid, Wire::Bytes) => (format!("encode({c}, 'hex')"), false),
        (Canon::Date, Wire::Date) => {
            let inside = format!("{c} >= '0001-01-01' AND {c} < '10000-01-01'");
            (format!("CASE WHEN {inside} THEN ({c} - '1970-01-01'::date)::text ELSE '!' || {c}::text END"), false)
        }
        (Canon::Timestamp, Wire::Timestamp) => (instant(&c, ""), false),
        (Canon::TimestampTz, Wire::TimestampTz) => (instant(&c, "+00"), false),
        (Canon::Span, Wire::Time) => (format!("{}::text", near_micros(&c)), false),
        (Canon::JsonText, Wire::Json | Wire::Jsonb | Wire::Text) => (format!("{c}::text"), true),
        _ => return Err(unsupported()),
    };
    let hashed = always_hashed || d.hashed;
    Ok((if hashed { format!("md5({text})") } else { text }, hashed))
}

/// Text in a spelling of UUIDs by its digits; other text is tagged, so that it equals only itself.
fn uuid_text(c: &str) -> String {
    let digits = "(-*[0-9a-f]){32}-*";
    format!(
        "CASE WHEN {c}::text COLLATE \"C\" ~* '^([{{]{digits}[}}]|{digits})$' THEN lower(translate({c}::text, '-{{}}', '')) \
         ELSE '!' || {c}::text END"
    )
}

/// Microseconds since 1970 within the years 1 to 9999, the system's text outside.
fn instant(c: &str, zone: &str) -> String {
    format!(
        "CASE WHEN {c} >= '1902-01-01{zone}' AND {c} < '2038-01-01{zone}' THEN {near}::text \
         WHEN {c} >= '0001-01-01{zone}' AND {c} < '10000-01-01{zone}' THEN (extract(epoch FROM {c}) * 1000000)::bigint::text \
         ELSE '!' || {c}::text END",
        near = near_micros(c)
    )
}

/// Microseconds by way of a double, at half the cost of a numeric. Exact below 2^31 seconds: there the seconds are off by
/// at most 2^-23, so their product with 10^6 is off by less than the half that the cast rounds away.
fn near_micros(c: &str) -> String {
    format!("(date_part('epoch', {c}) * 1000000)::bigint")
}

/// Doubles as both engines can write them (R12); rare false differences are allowed.
fn double(x: &str) -> String {
    format!(
        "CASE WHEN abs({x}) >= 1e15 OR abs({x}) < 1e-15 THEN replace({x}::text, 'e+', 'e') \
         WHEN abs({x}) < 1e-4 THEN {x}::text::numeric::text ELSE {x}::text END"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_division_that_truncates_toward_zero() {
        assert_eq!(range(0, 100), (-99, 99));
        assert_eq!(range(3, 100), (300, 399));
        assert_eq!(range(-3, 100), (-399, -300));
        assert_eq!(range(0, 1), (0, 0));
        assert_eq!(range(i64::MAX, 10), (i64::MAX, i64::MAX));
    }
}
