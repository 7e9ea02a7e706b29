//! Filters, tests and functions of expressions.
//!
//! NULL goes in, NULL comes out, as in SQL; only `default`, `coalesce` and the tests look at it. Conversions are exact or
//! refuse the row: `"4.50" | int` is no 4. Refusals name what was expected, never the value.

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, Value as Cell};
use syncline_model::normalise::Normaliser;
use syncline_model::{LogicalType, Value, civil, decimal, json};

use super::cell::{from_template, from_value, json_of, text_of};
use super::error::Fault;
use super::scan;

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
    env.add_filter("int", |v: &Cell| convert(v, int));
    env.add_filter("float", |v: &Cell| convert(v, float));
    env.add_filter("decimal", |v: &Cell| convert(v, to_decimal));
    env.add_filter("bool", |v: &Cell| convert(v, boolean));
    env.add_filter("date", |v: &Cell| convert(v, date));
    env.add_filter("time", |v: &Cell| convert(v, time));
    env.add_filter("timestamp", |v: &Cell| convert(v, timestamp));
    env.add_filter("uuid", |v: &Cell| convert(v, uuid));
    env.add_filter("json", |v: &Cell| convert(v, parse_json));
    env.add_filter("tojson", |v: &Cell| Ok::<_, Error>(from_value(Value::Json(json_of(v, 0)?))));
    env.add_filter("abs", |v: &Cell| convert(v, abs));
    env.add_filter("round", |v: &Cell, digits: Option<usize>, named: Kwargs| {
        let digits = digits.or(named.get::<Option<usize>>("precision")?).unwrap_or(0);
        named.assert_all_used()?;
        convert(v, |v| round(v, digits))
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

fn convert(v: &Cell, f: impl FnOnce(Value) -> Result<Value, Fault>) -> Outcome {
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

fn int(v: Value) -> Result<Value, Fault> {
    let no = || Fault::new("not_an_integer", "not a whole number; `| round` first to give up the fraction");
    let exact = match &v {
        Value::Bool(b) => return Ok(Value::I64(i64::from(*b))),
        Value::I64(_) | Value::U64(_) => return Ok(v),
        Value::F64(x) if x.is_finite() => x.to_string(),
        Value::Decimal(s) => s.clone(),
        Value::Text(s) => decimal::expand_exponent(s.trim()).ok_or_else(no)?.into_owned(),
        _ => return Err(no()),
    };
    let digits = decimal::normal(&exact).filter(|s| !s.contains('.')).ok_or_else(no)?;
    if decimal::parts(&digits).is_none() {
        return Err(no());
    }
    let small = digits.parse().map(Value::I64).or_else(|_| digits.parse().map(Value::U64));
    Ok(small.unwrap_or_else(|_| Value::Decimal(digits.into_owned())))
}

fn float(v: Value) -> Result<Value, Fault> {
    let no = || Fault::new("not_a_number", "not a number");
    let x = match &v {
        Value::F64(x) => *x,
        Value::Bool(b) => f64::from(u8::from(*b)),
        Value::I64(_) | Value::U64(_) | Value::Decimal(_) => v.to_string().parse().map_err(|_| no())?,
        Value::Text(s) => s.trim().parse().map_err(|_| no())?,
        _ => return Err(no()),
    };
    Ok(Value::F64(x))
}

fn to_decimal(v: Value) -> Result<Value, Fault> {
    let no = || Fault::new("not_a_decimal", "not a decimal number");
    let plain = |s: &str| decimal::expand_exponent(s).map(|d| d.strip_prefix('+').unwrap_or(&d).to_owned());
    match &v {
        Value::Decimal(_) => Ok(v),
        Value::I64(_) | Value::U64(_) => Ok(Value::Decimal(v.to_string())),
        Value::F64(x) if x.is_finite() => Ok(Value::Decimal(x.to_string())),
        Value::Text(s) => plain(s.trim()).map(Value::Decimal).ok_or_else(no),
        _ => Err(no()),
    }
}

fn boolean(v: Value) -> Result<Value, Fault> {
    let said = match &v {
        Value::Bool(b) => Some(*b),
        Value::I64(0) | Value::U64(0) => Some(false),
        Value::I64(1) | Value::U64(1) => Some(true),
        Value::Text(s) => match s.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    };
    said.map(Value::Bool).ok_or_else(|| Fault::new("not_a_boolean", "neither true nor false"))
}

fn day_of(micros: i64) -> Value {
    Value::Date(i32::try_from(micros.div_euclid(civil::DAY)).expect("invariant: i64 microseconds span i32 days"))
}

fn date(v: Value) -> Result<Value, Fault> {
    let day = match &v {
        Value::Date(_) => return Ok(v),
        Value::Timestamp(t) | Value::TimestampTz(t) => return Ok(day_of(*t)),
        Value::Text(s) => {
            let s = s.trim();
            civil::parse_date(s).map(Value::Date).or_else(|| civil::parse_timestamp(s).map(day_of))
        }
        _ => None,
    };
    day.ok_or_else(|| Fault::new("invalid_date", "not a date like 2024-02-29"))
}

fn time(v: Value) -> Result<Value, Fault> {
    let time = match &v {
        Value::Time(_) => return Ok(v),
        Value::Timestamp(t) => Some(t.rem_euclid(civil::DAY)),
        Value::Text(s) => civil::parse_time(s.trim()),
        _ => None,
    };
    time.map(Value::Time).ok_or_else(|| Fault::new("invalid_time", "not a time of day like 13:45:00"))
}

fn timestamp(v: Value) -> Result<Value, Fault> {
    let at = match &v {
        Value::Timestamp(_) | Value::TimestampTz(_) => return Ok(v),
        Value::Date(d) => i64::from(*d).checked_mul(civil::DAY).map(Value::Timestamp),
        Value::Text(s) => {
            let s = s.trim();
            civil::parse_timestamptz(s).map(Value::TimestampTz).or_else(|| civil::parse_timestamp(s).map(Value::Timestamp))
        }
        _ => None,
    };
    at.ok_or_else(|| Fault::new("invalid_timestamp", "not a date and time like 2024-02-29 13:45:00"))
}

fn uuid(v: Value) -> Result<Value, Fault> {
    let id = match &v {
        Value::Uuid(_) => return Ok(v),
        Value::Text(s) => civil::parse_uuid(s.trim()),
        Value::Bytes(b) => b.as_slice().try_into().ok(),
        _ => None,
    };
    id.map(Value::Uuid).ok_or_else(|| Fault::new("invalid_uuid", "not a uuid"))
}

fn parse_json(v: Value) -> Result<Value, Fault> {
    match v {
        Value::Json(_) => Ok(v),
        Value::Text(s) if json::facts(&s).is_some() => Ok(Value::Json(s)),
        _ => Err(Fault::new("invalid_json", "not json; `| tojson` makes it of any value")),
    }
}

fn abs(v: Value) -> Result<Value, Fault> {
    match v {
        Value::I64(n) => Ok(i64::try_from(n.unsigned_abs()).map_or(Value::U64(n.unsigned_abs()), Value::I64)),
        Value::U64(_) => Ok(v),
        Value::F64(x) => Ok(Value::F64(x.abs())),
        Value::Decimal(s) => Ok(Value::Decimal(s.strip_prefix('-').unwrap_or(&s).to_owned())),
        _ => Err(Fault::new("not_a_number", "not a number")),
    }
}

fn round(v: Value, digits: usize) -> Result<Value, Fault> {
    /// What no decimal type exceeds.
    const DIGITS_MAX: usize = 16_383;
    match v {
        Value::I64(_) | Value::U64(_) => Ok(v),
        Value::F64(x) => {
            let text = format!("{x:.*}", digits.min(DIGITS_MAX));
            Ok(Value::F64(text.parse().expect("invariant: a printed double reads back")))
        }
        Value::Decimal(s) => Ok(Value::Decimal(round_decimal(s, digits))),
        _ => Err(Fault::new("not_a_number", "not a number")),
    }
}

/// Half away from zero, as SQL rounds decimals. Shorter fractions, NaN and infinities stay as they are.
fn round_decimal(text: String, digits: usize) -> String {
    let Some(p) = decimal::parts(&text).filter(|p| p.fraction.len() > digits) else { return text };
    let up = p.fraction.as_bytes()[digits] >= b'5';
    let mut kept: Vec<u8> = format!("0{}{}", p.whole, &p.fraction[..digits]).into_bytes();
    if up {
        // The leading 0 takes the last carry.
        for d in kept.iter_mut().rev() {
            if *d < b'9' {
                *d += 1;
                break;
            }
            *d = b'0';
        }
    }
    let all = String::from_utf8(kept).expect("invariant: ASCII digits");
    let (whole, fraction) = all.split_at(all.len() - digits);
    let whole = whole.trim_start_matches('0');
    let sign = if p.negative && (!whole.is_empty() || fraction.bytes().any(|b| b != b'0')) { "-" } else { "" };
    let dot = if digits == 0 { "" } else { "." };
    format!("{sign}{}{dot}{fraction}", if whole.is_empty() { "0" } else { whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    // case: H7
    #[test]
    fn decimals_round_exactly_and_half_away_from_zero() {
        for (text, digits, want) in [
            ("1.25", 1, "1.3"),
            ("-1.25", 1, "-1.3"),
            ("1.24", 1, "1.2"),
            ("9.99", 1, "10.0"),
            ("99999999999999999999999999999999.995", 2, "100000000000000000000000000000000.00"),
            ("0.4", 0, "0"),
            ("-0.4", 0, "0"),
            ("-0.5", 0, "-1"),
            ("1.5", 3, "1.5"),
            ("NaN", 2, "NaN"),
        ] {
            assert_eq!(round_decimal(text.to_owned(), digits), want, "{text}");
        }
    }

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
