//! Digest statements: row hashes, segments and their XOR, never a CRC (R3).

use syncline_connector::{DigestRequest, Error, ErrorKind, Result, Segments};
use syncline_model::{Column, LogicalType};

use crate::bind::{self, Bound};
use crate::flavour::Flavour;
use crate::{canon, quote};

/// (segment, rows, rows with a hash, XOR of the hashes) per segment, in order.
pub(crate) fn segments(request: &DigestRequest, flavour: &Flavour) -> Result<Bound> {
    let filter = bind::clause(&request.table, &request.filter)?;
    let (segment, hash) = (segment(request, flavour)?, row_hash(request, flavour)?);
    // The limit keeps the inner query from being merged into the outer one, which would compute every hash twice.
    let sql = format!(
        "SELECT g, COUNT(*), COUNT(h), BIT_XOR(h) FROM (SELECT {segment} AS g, {hash} AS h FROM {}{} LIMIT {}) x GROUP BY g ORDER BY g",
        quote::table(&request.table.name),
        filter.sql,
        u64::MAX
    );
    Ok(Bound { sql, params: filter.params })
}

/// Key columns and row hash of every row in some segments. The hash comes as signed bits.
pub(crate) fn rows(request: &DigestRequest, wanted: &[i64], flavour: &Flavour) -> Result<Option<Bound>> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let filter = bind::clause(&request.table, &request.filter)?;
    let keys: Vec<String> = request.key.iter().map(|k| quote::name(&k.name)).collect();
    let list: Vec<String> = wanted.iter().map(i64::to_string).collect();
    let segment = segment(request, flavour)?;
    let within = match &request.segments {
        Segments::Ranges { column, size } if wanted.len() <= RANGES_MAX => ranges(&quote::name(column), *size, wanted),
        Segments::Ranges { .. } | Segments::Buckets { .. } => format!("{segment} IN ({})", list.join(", ")),
    };
    let sql = format!(
        "SELECT {}, CAST({} AS SIGNED) FROM {}{} {} {within}",
        keys.join(", "),
        row_hash(request, flavour)?,
        quote::table(&request.table.name),
        filter.sql,
        if filter.sql.is_empty() { "WHERE" } else { "AND" },
    );
    Ok(Some(Bound { sql, params: filter.params }))
}

/// Ranges beyond this cost more to plan than a scan costs.
const RANGES_MAX: usize = 500;

/// Conditions that the key's index can use. Segment 0 holds keys of both signs, for division truncates toward zero.
fn ranges(key: &str, size: u64, wanted: &[i64]) -> String {
    let size = i128::from(size);
    let one = |id: &i64| {
        let id = i128::from(*id);
        let (low, high) = match id.signum() {
            0 => (1 - size, size - 1),
            1 => (id * size, id * size + size - 1),
            _ => (id * size - size + 1, id * size),
        };
        format!("{key} BETWEEN {low} AND {high}")
    };
    format!("({})", wanted.iter().map(one).collect::<Vec<_>>().join(" OR "))
}

/// The hash of the row text as an unsigned number.
fn row_hash(request: &DigestRequest, flavour: &Flavour) -> Result<String> {
    let row = canon::row(&request.table, &request.columns, flavour)?;
    Ok(format!("CAST(CONV(LEFT(MD5({row}), 16), 16, 10) AS UNSIGNED)"))
}

fn segment(request: &DigestRequest, flavour: &Flavour) -> Result<String> {
    match &request.segments {
        Segments::Ranges { column, size } => {
            let integer = request.table.column(column).is_some_and(|c| c.logical.is_integer());
            if !integer || *size == 0 {
                let message = format!("digest `{}`: column `{column}` is no integer key", request.table.name);
                return Err(Error::new(ErrorKind::Invalid, "segments_invalid", message));
            }
            Ok(format!("CAST({} DIV {size} AS SIGNED)", quote::name(column)))
        }
        Segments::Buckets { digits } => {
            let key = canon::row(&request.table, &request.key, flavour)?;
            Ok(format!("CAST(CONV(LEFT(MD5({key}), {}), 16, 10) AS SIGNED)", (*digits).clamp(1, 4)))
        }
    }
}

/// The column that carries a row hash in answers.
pub(crate) fn hash_column() -> Column {
    Column::plain("hash", LogicalType::Int { bits: 64, unsigned: false }, "bigint")
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: R15
    #[test]
    fn ranges_follow_division_toward_zero() {
        assert_eq!(ranges("k", 10, &[0, 2, -3]), "(k BETWEEN -9 AND 9 OR k BETWEEN 20 AND 29 OR k BETWEEN -39 AND -30)");
    }
}
