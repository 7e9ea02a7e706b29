//! Conditions of a request as SQL over bare column names. Bound values become literals through [`sql::value_literal`] only.

use std::ops::Range;

use syncline_connector::{Error, ErrorKind, Piece, Predicate, Result};
use syncline_model::{Column, RowBatch, Table, Value};

use crate::encode::Target;
use crate::native;
use crate::sql;

/// Keys asked for in one statement: some hundred KiB of SQL, far from any limit of the server.
const KEYS_PER_STATEMENT: usize = 10_000;

/// The WHERE conditions of a request, one per statement to run: more than one only where a key list is cut.
///
/// # Errors
/// `Invalid` for unknown columns and values without a form in PostgreSQL.
pub fn statements(table: &Table, filter: &[Predicate], one: bool) -> Result<Vec<String>> {
    let longest = filter.iter().enumerate().filter_map(|(i, p)| match p {
        Predicate::KeyIn { keys, .. } => Some((keys.len(), i)),
        _ => None,
    });
    let Some((len, at)) = longest.max() else { return Ok(vec![condition(table, filter, None)?]) };
    let step = if one { len.max(1) } else { KEYS_PER_STATEMENT };
    let chunks = (0..len.max(1)).step_by(step).map(|from| condition(table, filter, Some((at, from..(from + step).min(len)))));
    chunks.collect()
}

/// The condition as one text.
///
/// # Errors
/// As [`statements`].
pub fn single(table: &Table, filter: &[Predicate]) -> Result<String> {
    condition(table, filter, None)
}

fn condition(table: &Table, filter: &[Predicate], cut: Option<(usize, Range<usize>)>) -> Result<String> {
    let mut parts = Vec::with_capacity(filter.len());
    for (i, predicate) in filter.iter().enumerate() {
        let range = cut.as_ref().filter(|(at, _)| *at == i).map(|(_, range)| range.clone());
        parts.push(one(table, predicate, range)?);
    }
    Ok(if parts.is_empty() { "TRUE".to_owned() } else { parts.join(" AND ") })
}

fn one(table: &Table, predicate: &Predicate, range: Option<Range<usize>>) -> Result<String> {
    let compare =
        |name: &str, op: &str, value| -> Result<String> { Ok(format!("{} {op} {}", quoted(table, name)?, sql::value_literal(value)?)) };
    match predicate {
        Predicate::Sql(pieces) => {
            let mut text = String::from("(");
            for piece in pieces {
                match piece {
                    Piece::Sql(s) => text.push_str(s),
                    Piece::Bound(v) => text.push_str(&sql::value_literal(v)?),
                }
            }
            // The line break ends a comment that the user's text may end in.
            text.push_str("\n)");
            Ok(text)
        }
        Predicate::Equals(name, value) if column(table, name)?.loose_collation.is_some() => {
            let exact = format!("{}::text COLLATE \"C\" = {}", quoted(table, name)?, sql::value_literal(value)?);
            Ok(format!("{} AND {exact}", compare(name, "=", value)?))
        }
        Predicate::Equals(name, value) => compare(name, "=", value),
        Predicate::AtLeast(name, value) => compare(name, ">=", value),
        Predicate::NotBefore(name, value) if column(table, name)?.nullable => {
            Ok(format!("({} OR {} IS NULL)", compare(name, ">=", value)?, quoted(table, name)?))
        }
        Predicate::NotBefore(name, value) => compare(name, ">=", value),
        Predicate::Below(name, value) => compare(name, "<", value),
        Predicate::NotNull(name) => Ok(format!("{} IS NOT NULL", quoted(table, name)?)),
        Predicate::IsNull(name) => Ok(format!("{} IS NULL", quoted(table, name)?)),
        Predicate::After { columns, key } => beyond(table, columns, ">", key),
        Predicate::UpTo { columns, key } => beyond(table, columns, "<=", key),
        Predicate::KeyIn { columns, keys } => {
            let range = range.unwrap_or(0..keys.len());
            key_in(table, columns, keys, range)
        }
    }
}

/// A key on one side of another one, in the order that `ORDER BY` of its columns has.
fn beyond(table: &Table, columns: &[String], op: &str, key: &[Value]) -> Result<String> {
    let names = columns.iter().map(|c| quoted(table, c)).collect::<Result<Vec<_>>>()?;
    let values = key.iter().map(sql::value_literal).collect::<Result<Vec<_>>>()?;
    Ok(match (names.as_slice(), values.as_slice()) {
        ([name], [value]) => format!("{name} {op} {value}"),
        _ => format!("({}) {op} ({})", names.join(", "), values.join(", ")),
    })
}

fn quoted(table: &Table, name: &str) -> Result<String> {
    column(table, name).map(|c| sql::ident(&c.name))
}

/// The column by name.
///
/// # Errors
/// `Invalid` (`column_unknown`).
pub fn column<'t>(table: &'t Table, name: &str) -> Result<&'t Column> {
    table
        .column(name)
        .ok_or_else(|| Error::new(ErrorKind::Invalid, "column_unknown", format!("read `{}`: there is no column `{name}`", table.name)))
}

/// `k = ANY (array)` uses the key's index under any collation (R15); composite keys join to their arrays side by side.
fn key_in(table: &Table, names: &[String], keys: &RowBatch, range: Range<usize>) -> Result<String> {
    let columns = names.iter().map(|n| column(table, n)).collect::<Result<Vec<_>>>()?;
    let targets: Vec<Target> = columns.iter().map(|c| Target::of(c)).collect();
    let mut arrays = vec![String::from("{"); columns.len()];
    let (mut scratch, mut text) = (Vec::new(), String::new());
    for i in range {
        let row = keys.row(i);
        scratch.clear();
        // A key that the column cannot hold has no row here, and NULL equals nothing.
        let possible = row.cells().zip(&targets).all(|(v, t)| !v.is_null() && (t.as_text() || t.binary(v, &mut scratch).is_ok()));
        if !possible {
            continue;
        }
        for (array, v) in arrays.iter_mut().zip(row.cells()) {
            if array.len() > 1 {
                array.push(',');
            }
            text.clear();
            sql::write_text(&mut text, v);
            sql::write_array_element(array, &text);
        }
    }
    let typed = arrays.iter().zip(&columns).map(|(a, c)| format!("{}::{}[]", sql::literal(&format!("{a}}}")), native::staging_type(c)));
    let typed: Vec<String> = typed.collect();
    let names: Vec<String> = columns.iter().map(|c| sql::ident(&c.name)).collect();
    Ok(match (names.as_slice(), typed.as_slice()) {
        ([name], [array]) => format!("{name} = ANY ({array})"),
        _ => format!("({}) IN (SELECT * FROM unnest({}))", names.join(","), typed.join(",")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncline_model::schema::TableKind;
    use syncline_model::{LogicalType, TableName, ValueRef};

    fn table() -> Table {
        Table {
            name: TableName::within("public", "t"),
            kind: TableKind::Table,
            columns: vec![
                Column::plain("id", LogicalType::Int { bits: 32, unsigned: false }, "integer"),
                Column::plain("lang", LogicalType::Text { chars_max: None, fixed: false }, "text"),
            ],
            primary_key: vec!["id".into()],
            uniques: vec![],
            foreign_keys: vec![],
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

    // rule: R7
    #[test]
    fn a_bound_value_never_becomes_syntax() {
        let filter = [Predicate::Sql(vec![Piece::Sql("org = ".into()), Piece::Bound(Value::Text("x' OR true --".into()))])];
        assert_eq!(single(&table(), &filter).unwrap(), "(org = 'x'' OR true --'\n)");
    }

    #[test]
    fn keys_that_cannot_exist_are_left_out_and_lists_are_cut() {
        let mut keys = RowBatch::new(1);
        for k in [ValueRef::I64(1), ValueRef::I64(1 << 40), ValueRef::Null, ValueRef::Decimal("2")] {
            keys.push_row([k]);
        }
        let filter = [Predicate::KeyIn { columns: vec!["id".into()], keys }];
        assert_eq!(single(&table(), &filter).unwrap(), "\"id\" = ANY ('{\"1\",\"2\"}'::integer[])");
        let mut many = RowBatch::new(1);
        (0..25_000).for_each(|i| many.push_row([ValueRef::I64(i)]));
        let filter = [Predicate::KeyIn { columns: vec!["id".into()], keys: many }];
        assert_eq!(statements(&table(), &filter, false).unwrap().len(), 3);
    }

    #[test]
    fn composite_keys_stay_side_by_side() {
        let mut keys = RowBatch::new(2);
        keys.push_row([ValueRef::I64(1), ValueRef::Text("d\"e")]);
        let filter = [Predicate::KeyIn { columns: vec!["id".into(), "lang".into()], keys }];
        let want = "(\"id\",\"lang\") IN (SELECT * FROM unnest('{\"1\"}'::integer[], E'{\"d\\\\\"e\"}'::text[]))";
        assert_eq!(single(&table(), &filter).unwrap(), want);
    }
}
