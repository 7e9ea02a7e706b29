//! Values with a spelling of their own: durations, sizes, constants, secrets.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use serde::de::{self, Deserialize, Deserializer, Unexpected};
use syncline_model::Value;

use super::form;

/// A duration in whole seconds: `10m`, `90s`, `1h30m`, `2d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Duration(pub(super) u64);

/// A size in bytes: `64MiB`, `1GiB`, `512kB`, `1048576B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

/// `false` excludes a stream, `true` takes it as it is.
#[derive(Clone, Copy, Debug, JsonSchema)]
#[schemars(inline)]
pub(super) struct Included(pub(super) bool);

/// A text that is never shown.
#[derive(Debug)]
pub(super) struct Secret(pub(super) SecretString);

/// A literal, exactly as written: `1.10` keeps its zero.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant(pub(super) Value);

/// Durations beyond a year are slips.
const DURATION_S_MAX: u64 = 366 * 24 * 3600;

fn duration(text: &str) -> Option<u64> {
    let mut total = 0u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(unit_at);
        let unit = match tail.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 24 * 3600,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = &tail[1..];
    }
    (total <= DURATION_S_MAX).then_some(total)
}

fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let factor: u64 = match unit.trim_start() {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

macro_rules! read_as_text {
    ($type:ident, $read:ident, $expected:literal, $pattern:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer).map_err(|_| de::Error::invalid_type(Unexpected::Other("other"), &$expected))?;
                $read(&text).map(Self).ok_or_else(|| de::Error::invalid_value(Unexpected::Str(&text), &$expected))
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

read_as_text!(Duration, duration, "a duration such as `10m`, `90s` or `1h30m` (at most a year)", r"^([0-9]+[smhd])+$|\$\{");
read_as_text!(Size, size, "a size such as `64MiB`", r"^[0-9]+ ?(B|kB|KB|KiB|MB|MiB|GB|GiB)$|\$\{");

impl<'de> Deserialize<'de> for Included {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = |_| de::Error::invalid_type(Unexpected::Other("other"), &"a map of options, or `false`");
        bool::deserialize(deserializer).map(Self).map_err(expected)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(SecretString::from(String::deserialize(deserializer)?)))
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl<'de> Deserialize<'de> for Constant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (mark, text) = form::scalar(deserializer)?;
        Ok(Self(match mark {
            'n' => Value::Null,
            't' => Value::Bool(true),
            'f' => Value::Bool(false),
            'i' => match (text.parse::<i64>(), text.parse::<u64>()) {
                (Ok(n), _) => Value::I64(n),
                (_, Ok(n)) => Value::U64(n),
                _ => Value::Decimal(text.trim_start_matches('+').to_owned()),
            },
            // Plain decimals stay exact; only an exponent says that a binary fraction is meant.
            'd' if text.contains(['e', 'E']) => Value::F64(text.parse().map_err(de::Error::custom)?),
            'd' => Value::Decimal(text.trim_start_matches('+').to_owned()),
            _ => Value::Text(text),
        }))
    }
}

/// A constant that is there, `null` included: serde alone would take `value: null` for no value at all.
pub(super) fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Constant>, D::Error> {
    Constant::deserialize(deserializer).map(Some)
}

impl JsonSchema for Constant {
    fn schema_name() -> Cow<'static, str> {
        "Constant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean", "null"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_units_and_add_up() {
        for (text, want) in [
            ("10m", Some(600)),
            ("90s", Some(90)),
            ("1h30m", Some(5400)),
            ("2d", Some(172_800)),
            ("0s", Some(0)),
            ("10", None),
            ("", None),
            ("m", None),
            ("10 m", None),
            ("-1s", None),
            ("1w", None),
            ("99999999999999999999s", None),
            ("400d", None),
        ] {
            assert_eq!(duration(text), want, "{text}");
        }
    }

    #[test]
    fn sizes_need_units_and_know_thousands_from_kibi() {
        for (text, want) in [
            ("64MiB", Some(67_108_864)),
            ("64 MiB", Some(67_108_864)),
            ("1GB", Some(1_000_000_000)),
            ("512kB", Some(512_000)),
            ("7B", Some(7)),
            ("64", None),
            ("64M", None),
            ("64mib", None),
            ("", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(size(text), want, "{text}");
        }
    }
}
