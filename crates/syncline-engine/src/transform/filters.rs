//! Filters, tests and functions of expressions.
//!
//! NULL goes in, NULL comes out, as in SQL; only `default`, `coalesce` and the tests look at it. Conversions are exact or
//! refuse the row: `"4.50" | int` is no 4. Refusals name what was expected, never the value.

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, Value as Cell};
use syncline_model::normalise::Normaliser;
use syncline_model::{LogicalType, Value};

use super::cell::{from_template, from_value, json_of, text_of};
use super::error::Fault;
use super::{convert, scan};

type Outcome = Result<Cell, Error>;

/// All filters, for checking names before a run.
pub(super) const FILTERS: [&str; 29] = [
    "abs",
    "bool",
    "capitalize",
    "coalesce",
    "d",
    "date",
    "decimal",
    "default",
    "email",
    "first",
    "float",
    "int",
    "join",
    "json",
    "last",
    "length",
    "lower",
    "phone",
    "replace",
    "round",
    "split",
    "string",
    "time",
    "timestamp",
    "tojson",
    "trim",
    "truncate",
    "upper",
    "uuid",
];
/// All tests.
pub(super) const TESTS: [&str; 5] = ["defined", "endingwith", "none", "number", "startingwith"];
/// All functions.
pub(super) const FUNCTIONS: [&str; 1] = ["coalesce"];

/// Whether a filter's result is exact but not native (true), native (false), or as its input was (`None`).
pub(super) fn keeps_exact(filter: &str) -> Option<bool> {
    match filter {
        "abs" | "coalesce" | "d" | "default" | "round" | "first" | "last" | scan::MEMBER => None,
        "date" | "decimal" | "json" | "time" | "timestamp" | "tojson" | "uuid" => Some(true),
        _ => Some(false),
    }
}

/// The type of a filter's results, for input of type `t`; `None` when it depends on the values.
pub(super) fn result_type(filter: &str, t: LogicalType) -> Option<LogicalType> {
    Some(match filter {
        "abs" | "coalesce" | "d" | "default" | "round" => t,
        "bool" => LogicalType::Bool,
        "date" => LogicalType::Date,
        "decimal" => LogicalType::Decimal { limits: None },
        "float" => LogicalType::Float { bits: 64 },
        "int" | "length" => LogicalType::Int { bits: 64, unsigned: false },
        "json" | "tojson" => LogicalType::Json { normalised: false },
        "time" => LogicalType::Time { digits: 6 },
        "uuid" => LogicalType::Uuid,
        // With or without zone, as the text says.
        "timestamp" => match t {
            LogicalType::Timestamp { .. } | LogicalType::TimestampTz { .. } => t,
            LogicalType::Date => LogicalType::Timestamp { digits: 6 },
            _ => return None,
        },
        "first" | "last" | "split" | scan::MEMBER => return None,
        _ => LogicalType::Text { chars_max: None, fixed: false },
    })
}

/// Puts everything into an environment that is empty otherwise.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("trim", |v: &Cell| text(v, |s| s.trim().to_owned()));
    env.add_filter("lower", |v: &Cell| text(v, |s| s.to_lowercase()));
    env.add_filter("upper", |v: &Cell| text(v, |s| s.to_uppercase()));
    env.add_filter("capitalize", |v: &Cell| text(v, capitalize));
    env.add_filter("email", |v: &Cell| text(v, |s| Normaliser::Email.apply(s).into_owned()));
    env.add_filter("phone", |v: &Cell| text(v, |s| Normaliser::Phone.apply(s).into_owned()));
    env.add_filter("replace", |v: &Cell, from: String, to: String| text(v, |s| s.replace(&from, &to)));
    env.add_filter("truncate", |v: &Cell, chars: usize| text(v, |s| s.chars().take(chars).collect()));
    env.add_filter("string", |v: &Cell| text(v, str::to_owned));
    env.add_filter("length", length);
    env.add_filter("split", split);
    env.add_filter("join", join);
    env.add_filter("first", |v: &Cell| item(v, |mut items| items.next()));
    env.add_filter("last", |v: &Cell| item(v, Iterator::last));
    env.add_filter("default", default);
    env.add_filter("d", default);
    env.add_filter("coalesce", coalesce);
    env.add_function("coalesce", coalesce);
    env.add_filter("int", |v: &Cell| with(v, convert::int));
    env.add_filter("float", |v: &Cell| with(v, convert::float));
    env.add_filter("decimal", |v: &Cell| with(v, convert::to_decimal));
    env.add_filter("bool", |v: &Cell| with(v, convert::boolean));
    env.add_filter("date", |v: &Cell| with(v, convert::date));
    env.add_filter("time", |v: &Cell| with(v, convert::time));
    env.add_filter("timestamp", |v: &Cell| with(v, convert::timestamp));
    env.add_filter("uuid", |v: &Cell| with(v, convert::uuid));
    env.add_filter("json", |v: &Cell| with(v, convert::parse_json));
    env.add_filter("tojson", |v: &Cell| Ok::<_, Error>(from_value(Value::Json(json_of(v, 0)?))));
    env.add_filter("abs", |v: &Cell| with(v, convert::abs));
    env.add_filter("round", |v: &Cell, digits: Option<usize>, named: Kwargs| {
        let digits = digits.or(named.get::<Option<usize>>("precision")?).unwrap_or(0);
        named.assert_all_used()?;
        with(v, |v| convert::round(v, digits))
    });
    env.add_test("none", Cell::is_none);
    env.add_test("defined", |v: &Cell| !v.is_undefined());
    env.add_test("number", Cell::is_number);
    env.add_test("startingwith", |v: &Cell, with: String| v.as_str().is_some_and(|s| s.starts_with(&with)));
    env.add_test("endingwith", |v: &Cell, with: String| v.as_str().is_some_and(|s| s.ends_with(&with)));
}

fn null() -> Cell {
    Cell::from(())
}

fn text(v: &Cell, f: impl FnOnce(&str) -> String) -> Outcome {
    Ok(text_of(v)?.map_or_else(null, |s| Cell::from(f(&s))))
}

fn with(v: &Cell, f: impl FnOnce(Value) -> Result<Value, Fault>) -> Outcome {
    match from_template(v)? {
        Value::Null => Ok(null()),
        other => Ok(from_value(f(other)?)),
    }
}

fn capitalize(s: &str) -> String {
    let mut chars = s.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    first + &chars.as_str().to_lowercase()
}

fn length(v: &Cell) -> Outcome {
    if let (ValueKind::Seq, Some(n)) = (v.kind(), v.len()) {
        return Ok(Cell::from(n));
    }
    Ok(text_of(v)?.map_or_else(null, |s| Cell::from(s.chars().count())))
}

fn split(v: &Cell, by: Option<String>) -> Outcome {
    Ok(text_of(v)?.map_or_else(null, |s| {
        let parts: Vec<String> = match by.as_deref() {
            None | Some("") => s.split_whitespace().map(str::to_owned).collect(),
            Some(by) => s.split(by).map(str::to_owned).collect(),
        };
        Cell::from(parts)
    }))
}

fn join(v: &Cell, by: Option<String>) -> Outcome {
    if v.is_none() {
        return Ok(null());
    }
    let mut parts = Vec::new();
    for item in v.try_iter()? {
        parts.extend(text_of(&item)?);
    }
    Ok(Cell::from(parts.join(by.as_deref().unwrap_or_default())))
}

fn item(v: &Cell, pick: impl FnOnce(minijinja::value::ValueIter) -> Option<Cell>) -> Outcome {
    if v.is_none() { Ok(null()) } else { Ok(pick(v.try_iter()?).unwrap_or_else(null)) }
}

/// Unlike jinja's, which looks for undefined variables only: here those are errors, and NULL is what has a default.
fn default(v: &Cell, other: &Cell) -> Cell {
    if v.is_none() || v.is_undefined() { other.clone() } else { v.clone() }
}

fn coalesce(values: Rest<Cell>) -> Cell {
    values.iter().find(|v| !v.is_none() && !v.is_undefined()).cloned().unwrap_or_else(null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_is_registered_and_every_registered_name_is_listed() {
        let mut env = Environment::empty();
        register(&mut env);
        for name in FILTERS {
            let known = env.compile_expression_owned(format!("none | {name}")).unwrap().eval(());
            assert!(known.as_ref().err().is_none_or(|e| e.kind() != minijinja::ErrorKind::UnknownFilter), "{name}");
        }
        for name in TESTS {
            let known = env.compile_expression_owned(format!("none is {name}")).unwrap().eval(());
            assert!(known.as_ref().err().is_none_or(|e| e.kind() != minijinja::ErrorKind::UnknownTest), "{name}");
        }
        let debug = format!("{env:?}");
        let count = |of: &str| debug.split(of).nth(1).unwrap().split([']', '}']).next().unwrap().matches('"').count() / 2;
        assert_eq!((count("filters: "), count(" tests: ")), (FILTERS.len(), TESTS.len()), "{debug}");
    }
}
