//! Templates compiled against the columns of a source table, and their evaluation row by row.

use std::fmt;
use std::sync::{Arc, LazyLock};

use minijinja::value::{Object, ObjectRepr};
use minijinja::{Environment, Expression, UndefinedBehavior};
use syncline_model::{Column, LogicalType, RowRef, Value};

use super::error::{self, Fault, TransformError};
use super::scan::{self, Kind, Piece, Role, Token};
use super::{cell, filters};

/// Steps of one expression for one row. Sensible expressions take under a hundred, and the longest that compiles about
/// `TOKENS_MAX`; it guards against what minijinja may still learn to repeat.
const FUEL: u64 = 1_000;

/// Words and signs of an expression. Longer ones are programs, and minijinja compiles them by recursion: some thousand
/// overflow the stack of a worker thread.
const TOKENS_MAX: usize = 256;

/// Longest template, its literal text included.
const TEMPLATE_BYTES_MAX: usize = 64 * 1024;

/// One environment for all: filters and limits do not depend on the stream, and expressions may then live as long as they like.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut env = Environment::empty();
    env.set_fuel(Some(FUEL));
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    filters::register(&mut env);
    env
});

enum Part {
    Literal(String),
    Expression(Expression<'static, 'static>),
}

/// A template, ready to run.
pub(super) struct Compiled {
    parts: Vec<Part>,
    columns: Vec<usize>,
    plain: Option<usize>,
    logical: Option<LogicalType>,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("columns", &self.columns).field("logical", &self.logical).finish_non_exhaustive()
    }
}

/// Compiles the template of a field. Column numbers are positions in `columns`.
pub(super) fn compile(field: &str, template: &str, columns: &[&Column]) -> Result<Compiled, TransformError> {
    let place = |at: usize| template[..at].chars().count() + 1;
    if template.len() > TEMPLATE_BYTES_MAX {
        return Err(error::bad(field, 1, "a template of more than 64 KiB"));
    }
    let pieces = scan::pieces(template).map_err(|(at, detail)| error::bad(field, place(at), detail))?;
    let mut parts = Vec::with_capacity(pieces.len());
    let mut used = Vec::new();
    for piece in &pieces {
        parts.push(match piece {
            Piece::Literal(text) => Part::Literal((*text).to_owned()),
            Piece::Expression { code, at, tokens } => {
                if tokens.len() > TOKENS_MAX {
                    return Err(error::bad(field, place(*at), "an expression of more than 256 words and signs"));
                }
                check_names(field, tokens, columns, &place, &mut used)?;
                check_operators(field, tokens, columns, &place)?;
                let expression = ENVIRONMENT.compile_expression_owned((*code).to_owned());
                Part::Expression(expression.map_err(|e| error::bad(field, place(*at), syntax(&e)))?)
            }
        });
    }
    used.sort_unstable();
    used.dedup();
    let (plain, logical) = match pieces.as_slice() {
        [Piece::Expression { tokens, .. }] => (plain_column(tokens, columns), result_type(tokens, columns)),
        _ => (None, Some(LogicalType::Text { chars_max: None, fixed: false })),
    };
    Ok(Compiled { parts, columns: used, plain, logical })
}

fn syntax(e: &minijinja::Error) -> String {
    e.detail().map_or_else(|| e.kind().to_string(), |d| format!("syntax error, {d}, in the expression"))
}

fn position(columns: &[&Column], name: &str) -> Option<usize> {
    columns.iter().position(|c| c.name == name)
}

fn check_names(
    field: &str,
    tokens: &[Token<'_>],
    columns: &[&Column],
    place: &dyn Fn(usize) -> usize,
    used: &mut Vec<usize>,
) -> Result<(), TransformError> {
    for (i, t) in tokens.iter().enumerate().filter(|(_, t)| t.kind == Kind::Name) {
        let known = |what, names: &[&str]| {
            if names.contains(&t.text) { Ok(()) } else { Err(error::unknown_name(field, what, t.text, place(t.at), names)) }
        };
        match scan::role(tokens, i) {
            Role::Filter => known("filter", &filters::FILTERS)?,
            Role::Test => known("test", &filters::TESTS)?,
            Role::Function => known("function", &filters::FUNCTIONS)?,
            Role::Method => return Err(error::bad(field, place(t.at), format!("`.{}()`: methods are not available, use filters", t.text))),
            Role::Member | Role::Argument => {}
            Role::Column => match position(columns, t.text) {
                Some(at) => used.push(at),
                None => {
                    let names: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
                    return Err(error::unknown_column(field, t.text, place(t.at), &names));
                }
            },
        }
    }
    Ok(())
}

/// minijinja orders values of different kinds by kind and never asks an object: `price > 10` would be true for every
/// decimal. So operators on values without a native kind are refused here.
fn check_operators(field: &str, tokens: &[Token<'_>], columns: &[&Column], place: &dyn Fn(usize) -> usize) -> Result<(), TransformError> {
    let is_exact = |exact: bool, names: &[&str]| names.iter().fold(exact, |exact, name| filters::keeps_exact(name).unwrap_or(exact));
    for (i, t) in tokens.iter().enumerate() {
        let column = position(columns, t.text).filter(|_| t.kind == Kind::Name && scan::role(tokens, i) == Role::Column);
        let (exact, what) = match (t.kind, column) {
            (Kind::Literal, _) => (false, "value"),
            (Kind::Name, Some(at)) => (!cell::is_native(&columns[at].logical), kind_of(&columns[at].logical)),
            _ => continue,
        };
        let refuse = |op: &Token<'_>| TransformError::Inexact {
            field: field.to_owned(),
            operator: op.text.to_owned(),
            position: place(op.at),
            what,
            operand: t.text.to_owned(),
        };
        if let Some(op) = scan::operator_on(tokens, i, |names| is_exact(exact, names)) {
            return Err(refuse(op));
        }
        let json = column.is_some_and(|at| matches!(columns[at].logical, LogicalType::Json { .. }));
        if let Some(next) = tokens.get(i + 1)
            && column.is_some()
            && (next.text == "." && !json || next.text == "[" && exact && !json)
        {
            return Err(refuse(next));
        }
    }
    Ok(())
}

fn kind_of(t: &LogicalType) -> &'static str {
    match t {
        LogicalType::Decimal { .. } => "decimal",
        LogicalType::Date | LogicalType::Time { .. } | LogicalType::Timestamp { .. } | LogicalType::TimestampTz { .. } => "date or time",
        LogicalType::Json { .. } => "json",
        _ => "value",
    }
}

fn plain_column(tokens: &[Token<'_>], columns: &[&Column]) -> Option<usize> {
    match tokens {
        [t] if t.kind == Kind::Name => position(columns, t.text),
        _ => None,
    }
}

/// The type of `column | filter | …`; of anything more involved nothing is promised.
fn result_type(tokens: &[Token<'_>], columns: &[&Column]) -> Option<LogicalType> {
    let first = tokens.first().filter(|t| t.kind == Kind::Name)?;
    let column = columns[position(columns, first.text)?];
    let (names, behind) = scan::filters(tokens, 1);
    if behind != tokens.len() {
        return None;
    }
    names.iter().try_fold(column.logical.clone(), |t, name| filters::result_type(name, t))
}

impl Compiled {
    /// The columns it reads.
    pub fn columns(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().copied()
    }

    /// The column it is nothing but.
    pub fn plain_column(&self) -> Option<usize> {
        self.plain
    }

    /// The type of its results, if it can be told.
    pub fn logical(&self) -> Option<&LogicalType> {
        self.logical.as_ref()
    }

    /// Its value for one row.
    pub fn value(&self, context: &minijinja::Value) -> Result<Value, Fault> {
        if let [Part::Expression(e)] = self.parts.as_slice() {
            return cell::from_template(&evaluate(e, context)?);
        }
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(s) => text.push_str(s),
                Part::Expression(e) => match cell::text_of(&evaluate(e, context)?)? {
                    Some(s) => text.push_str(&s),
                    None => return Ok(Value::Null),
                },
            }
        }
        Ok(Value::Text(text))
    }
}

/// Arithmetic with NULL gives NULL. minijinja has no hook for it, so its complaint about the operand is taken for the answer.
fn evaluate(e: &Expression<'_, '_>, context: &minijinja::Value) -> Result<minijinja::Value, minijinja::Error> {
    e.eval(context.clone()).or_else(|e| {
        let operands = e.detail().and_then(|d| d.strip_prefix("tried to use ")).and_then(|d| d.split_once(" on unsupported types "));
        match operands {
            Some((_, types)) if types.split(" and ").any(|t| t == "none") => Ok(minijinja::Value::from(())),
            _ => Err(e),
        }
    })
}

/// Which columns expressions see. Only these are decoded.
#[derive(Debug)]
pub(super) struct Cells {
    names: Arc<[(String, usize)]>,
}

impl Cells {
    pub fn new(selected: &[String], used: &[bool]) -> Self {
        let named = selected.iter().cloned().zip(0..).filter(|(_, at)| used[*at]);
        Self { names: named.collect() }
    }

    pub fn holds(&self, column: usize) -> bool {
        self.names.iter().any(|(_, at)| *at == column)
    }

    /// The context of a row.
    pub fn of(&self, row: RowRef<'_>) -> minijinja::Value {
        let values = self.names.iter().map(|(_, at)| cell::to_template(row.get(*at))).collect();
        minijinja::Value::from_object(Context { names: Arc::clone(&self.names), values })
    }
}

#[derive(Debug)]
struct Context {
    names: Arc<[(String, usize)]>,
    values: Vec<minijinja::Value>,
}

impl Object for Context {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &minijinja::Value) -> Option<minijinja::Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<minijinja::Value> {
        let at = self.names.iter().position(|(name, _)| name == key)?;
        Some(self.values[at].clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: R31
    #[test]
    fn an_expression_that_takes_too_many_steps_is_stopped() {
        let long = format!("{}1", "coalesce(1) + ".repeat(400));
        let e = ENVIRONMENT.compile_expression_owned(long).unwrap().eval(());
        assert_eq!(Fault::from(e.unwrap_err()).code, "expression_too_long");
    }
}
