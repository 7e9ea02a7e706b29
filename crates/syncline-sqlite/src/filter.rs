//! Conditions as SQL with bound parameters. Values are never rendered into the text.

use syncline_connector::{Error, ErrorKind, Piece, Predicate, Result};
use syncline_model::{Column, RowBatch, Table, Value, ValueRef};

use crate::bind::Param;
use crate::encode::Slot;
use crate::native::Kind;
use crate::{order, quote};

/// A WHERE clause (with its keyword, or empty) and what it binds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Where {
    /// ` WHERE …` or nothing.
    pub sql: String,
    /// Parameters in order.
    pub params: Vec<Param<'static>>,
}

/// The filter as one or more clauses: a long list of keys is cut so that no statement binds more than `parameters_max`.
pub(crate) fn clauses(table: &Table, filter: &[Predicate], parameters_max: usize) -> Result<Vec<Where>> {
    let mut fixed = Builder { table, terms: Vec::new(), params: Vec::new() };
    let mut lists: Vec<(&[String], &RowBatch)> = Vec::new();
    for predicate in filter {
        match predicate {
            Predicate::KeyIn { columns, keys } => lists.push((columns, keys)),
            other => fixed.term(other)?,
        }
    }
    let mut clauses = vec![fixed];
    // Every further list multiplies the statements; there is one in practice.
    let room = parameters_max.saturating_sub(clauses[0].params.len()) / lists.len().max(1);
    for (columns, keys) in lists {
        // A list may be bound twice, see `key_in`.
        let per = (room / 2 / columns.len().max(1)).max(1);
        let mut next = Vec::new();
        for clause in &clauses {
            for start in (0..keys.len()).step_by(per) {
                let mut clause = clause.clone();
                clause.key_in(columns, keys, start..keys.len().min(start + per))?;
                next.push(clause);
            }
        }
        clauses = next;
    }
    Ok(clauses.into_iter().map(Builder::finish).collect())
}

/// A column of the table by name.
pub(crate) fn column<'t>(table: &'t Table, name: &str) -> Result<&'t Column> {
    table.column(name).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "column_unknown", format!("table `{}` has no column `{name}`", table.name))
            .hint("look at `syncline discover` for the columns there are")
    })
}

#[derive(Clone)]
struct Builder<'t> {
    table: &'t Table,
    terms: Vec<String>,
    params: Vec<Param<'static>>,
}

impl Builder<'_> {
    fn term(&mut self, predicate: &Predicate) -> Result<()> {
        match predicate {
            Predicate::Sql(pieces) => self.pieces(pieces),
            Predicate::Equals(name, value) => {
                let column = column(self.table, name)?.clone();
                self.bind_equal(&column, value.view());
                self.terms.push(equals(&column, "?"));
            }
            Predicate::IsNull(name) => {
                column(self.table, name)?;
                self.terms.push(format!("{} IS NULL", quote::name(name)));
            }
            Predicate::NotNull(name) => {
                column(self.table, name)?;
                self.terms.push(format!("{} IS NOT NULL", quote::name(name)));
            }
            Predicate::AtLeast(name, value) => self.compare(name, ">=", value)?,
            Predicate::NotBefore(name, value) => self.not_before(name, value)?,
            Predicate::Below(name, value) => self.compare(name, "<", value)?,
            Predicate::After { columns, key } => self.beyond(columns, ">", key)?,
            Predicate::UpTo { columns, key } => self.beyond(columns, "<=", key)?,
            Predicate::KeyIn { .. } => return Err(Error::internal("a key list is cut before it gets here")),
        }
        Ok(())
    }

    fn compare(&mut self, name: &str, operator: &str, value: &Value) -> Result<()> {
        let column = column(self.table, name)?.clone();
        self.bind(&column, value.view());
        self.terms.push(match order::code(&Kind::of(&column)) {
            Some(code) => format!("syncline_compare({code}, {}, ?) {operator} 0", quote::name(name)),
            None => format!("{} {operator} ?", quote::name(name)),
        });
        Ok(())
    }

    fn not_before(&mut self, name: &str, value: &Value) -> Result<()> {
        let column = column(self.table, name)?.clone();
        self.bind(&column, value.view());
        let quoted = quote::name(name);
        // Numbers come before all texts, whatever they say.
        let numbers = if matches!(value, Value::Text(_)) { format!(" OR {quoted} < ''") } else { String::new() };
        self.terms.push(match order::code(&Kind::of(&column)) {
            Some(code) => format!("NOT syncline_before({code}, {quoted}, ?)"),
            None => format!("({quoted} >= ? OR {quoted} IS NULL{numbers})"),
        });
        Ok(())
    }

    /// A key on one side of another one, in the order that `ORDER BY` of its columns has.
    fn beyond(&mut self, names: &[String], operator: &str, key: &[Value]) -> Result<()> {
        let columns = names.iter().map(|n| column(self.table, n).cloned()).collect::<Result<Vec<_>>>()?;
        for (column, value) in columns.iter().zip(key) {
            self.bind(column, value.view());
        }
        let marks = if columns.len() == 1 { "?".to_owned() } else { format!("({})", vec!["?"; columns.len()].join(", ")) };
        self.terms.push(format!("{} {operator} {marks}", one_or_row(columns.iter().map(|c| quote::name(&c.name)).collect())));
        Ok(())
    }

    fn pieces(&mut self, pieces: &[Piece]) {
        let mut sql = String::from("(");
        for piece in pieces {
            match piece {
                Piece::Sql(text) => sql.push_str(text),
                Piece::Bound(value) => {
                    sql.push('?');
                    self.params.push(loose(value));
                }
            }
        }
        // A comment at the end of the user's text must not swallow the parenthesis.
        sql.push_str("\n)");
        self.terms.push(sql);
    }

    fn key_in(&mut self, names: &[String], keys: &RowBatch, range: std::ops::Range<usize>) -> Result<()> {
        let columns = names.iter().map(|n| column(self.table, n).cloned()).collect::<Result<Vec<_>>>()?;
        let rows = range.len();
        for i in range {
            let row = keys.row(i);
            for (c, column) in columns.iter().enumerate() {
                self.bind_equal(column, row.get(c));
            }
        }
        let tuple = format!("({})", vec!["?"; columns.len()].join(", "));
        let list = match columns.as_slice() {
            [_] => format!("({})", vec!["?"; rows].join(", ")),
            _ => format!("(VALUES {})", vec![tuple.as_str(); rows].join(", ")),
        };
        let operands = |suffix: &str| one_or_row(columns.iter().map(|c| operand(c, suffix)).collect());
        self.terms.push(format!("{} IN {list}", operands("")));
        if columns.iter().any(|c| c.loose_collation.is_some()) {
            // Bound once more: the first term finds the rows by index, the second tells `Abc` from `abc`.
            let again = self.params[self.params.len() - rows * columns.len()..].to_vec();
            self.params.extend(again);
            self.terms.push(format!("{} IN {list}", operands(" COLLATE BINARY")));
        }
        Ok(())
    }

    /// Binds what `operand` of the column is compared with.
    fn bind_equal(&mut self, column: &Column, value: ValueRef<'_>) {
        match spelled_freely(column) {
            Some(code) if !value.is_null() => self.params.push(Param::Blob(order::encoded(code, value).into())),
            _ => self.bind(column, value),
        }
    }

    fn bind(&mut self, column: &Column, value: ValueRef<'_>) {
        // A value that the column cannot hold equals nothing in it; bound as it is it finds nothing.
        let param = Slot::of(column).encode(value).unwrap_or_else(|_| loose(&value.to_owned()));
        self.params.push(param.into_owned());
    }

    fn finish(self) -> Where {
        let sql = if self.terms.is_empty() { String::new() } else { format!(" WHERE {}", self.terms.join(" AND ")) };
        Where { sql, params: self.params }
    }
}

/// The code of a column whose values others may have spelled in several ways (`2026-11-21T01:00`, `2026-11-21 01:00:00`): they are
/// looked up by value. Of a column of our own making every value has one spelling, which an index finds.
fn spelled_freely(column: &Column) -> Option<i64> {
    let kind = Kind::of(column);
    order::code(&kind).filter(|_| !kind.own)
}

/// The column as a value is looked up in it.
fn operand(column: &Column, suffix: &str) -> String {
    let name = quote::name(&column.name);
    match spelled_freely(column) {
        Some(code) => format!("syncline_cell({code}, {name})"),
        None => format!("{name}{suffix}"),
    }
}

fn equals(column: &Column, value: &str) -> String {
    let name = operand(column, "");
    if column.loose_collation.is_some() { format!("{name} = {value} COLLATE BINARY") } else { format!("{name} = {value}") }
}

/// An operand, or a row value of several.
fn one_or_row(operands: Vec<String>) -> String {
    if operands.len() == 1 { operands.concat() } else { format!("({})", operands.join(", ")) }
}

/// A value without a column to fit: the storage class nearest to it.
fn loose(value: &Value) -> Param<'static> {
    match value {
        Value::Null | Value::Large(_) => Param::Null,
        Value::Bool(b) => Param::Integer(i64::from(*b)),
        Value::I64(n) => Param::Integer(*n),
        Value::U64(n) => i64::try_from(*n).map_or_else(|_| Param::text(n.to_string()), Param::Integer),
        Value::F64(x) => Param::Real(*x),
        Value::Bytes(b) => Param::Blob(b.clone().into()),
        other => Param::text(other.to_string()),
    }
}
