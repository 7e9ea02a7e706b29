//! The conversions behind the filters: from one value to another, exactly or not at all.

use syncline_model::{Value, civil, decimal, json};

use super::error::Fault;

pub(super) fn int(v: Value) -> Result<Value, Fault> {
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

pub(super) fn float(v: Value) -> Result<Value, Fault> {
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

pub(super) fn to_decimal(v: Value) -> Result<Value, Fault> {
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

pub(super) fn boolean(v: Value) -> Result<Value, Fault> {
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

pub(super) fn date(v: Value) -> Result<Value, Fault> {
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

pub(super) fn time(v: Value) -> Result<Value, Fault> {
    let time = match &v {
        Value::Time(_) => return Ok(v),
        Value::Timestamp(t) => Some(t.rem_euclid(civil::DAY)),
        Value::Text(s) => civil::parse_time(s.trim()),
        _ => None,
    };
    time.map(Value::Time).ok_or_else(|| Fault::new("invalid_time", "not a time of day like 13:45:00"))
}

pub(super) fn timestamp(v: Value) -> Result<Value, Fault> {
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

pub(super) fn uuid(v: Value) -> Result<Value, Fault> {
    let id = match &v {
        Value::Uuid(_) => return Ok(v),
        Value::Text(s) => civil::parse_uuid(s.trim()),
        Value::Bytes(b) => b.as_slice().try_into().ok(),
        _ => None,
    };
    id.map(Value::Uuid).ok_or_else(|| Fault::new("invalid_uuid", "not a uuid"))
}

pub(super) fn parse_json(v: Value) -> Result<Value, Fault> {
    match v {
        Value::Json(_) => Ok(v),
        Value::Text(s) if json::facts(&s).is_some() => Ok(Value::Json(s)),
        _ => Err(Fault::new("invalid_json", "not json; `| tojson` makes it of any value")),
    }
}

pub(super) fn abs(v: Value) -> Result<Value, Fault> {
    match v {
        Value::I64(n) => Ok(i64::try_from(n.unsigned_abs()).map_or(Value::U64(n.unsigned_abs()), Value::I64)),
        Value::U64(_) => Ok(v),
        Value::F64(x) => Ok(Value::F64(x.abs())),
        Value::Decimal(s) => Ok(Value::Decimal(s.strip_prefix('-').unwrap_or(&s).to_owned())),
        _ => Err(Fault::new("not_a_number", "not a number")),
    }
}

pub(super) fn round(v: Value, digits: usize) -> Result<Value, Fault> {
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
}
