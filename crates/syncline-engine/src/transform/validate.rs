//! Field types: how a field is compared (`detect`), and with `validate: true` what it may hold.
//!
//! Validation judges how a value is written, not whether it exists: numbering plans, mail servers and hosts are not asked,
//! because what they say changes and a real person's row must not be parked by yesterday's list.

use std::str::FromStr;

use email_address::EmailAddress;
use syncline_model::normalise::Normaliser;
use syncline_model::{ValueRef, civil, decimal, json, suggest};

use super::error::Fault;

/// What a field is, in the configuration's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Any text; white space around it does not count.
    Text,
    /// An e-mail address (RFC 5321), without display name.
    Email,
    /// A telephone number: 5 to 15 digits (ITU-T E.164 allows 15), `+` in front allowed, extension not.
    Phone,
    /// A URL with scheme and host.
    Url,
    /// A UUID.
    Uuid,
    /// A calendar day.
    Date,
    /// A date and time, with or without zone.
    Timestamp,
    /// A whole number.
    Integer,
    /// A decimal number.
    Number,
    /// true or false, also 0 or 1.
    Boolean,
    /// JSON.
    Json,
}

const ALL: [(&str, FieldType); 11] = [
    ("text", FieldType::Text),
    ("email", FieldType::Email),
    ("phone", FieldType::Phone),
    ("url", FieldType::Url),
    ("uuid", FieldType::Uuid),
    ("date", FieldType::Date),
    ("timestamp", FieldType::Timestamp),
    ("integer", FieldType::Integer),
    ("number", FieldType::Number),
    ("boolean", FieldType::Boolean),
    ("json", FieldType::Json),
];

/// A field type that there is none of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown field type `{name}`{}", .suggestion.map_or_else(String::new, |s| format!(", did you mean `{s}`?")))]
pub struct UnknownFieldType {
    /// The name as written.
    pub name: String,
    /// The name that was probably meant.
    pub suggestion: Option<&'static str>,
}

impl FromStr for FieldType {
    type Err = UnknownFieldType;

    fn from_str(name: &str) -> Result<Self, UnknownFieldType> {
        let found = ALL.iter().find(|(n, _)| *n == name).map(|(_, t)| *t);
        found.ok_or_else(|| UnknownFieldType { name: name.to_owned(), suggestion: suggest::closest(name, ALL.iter().map(|(n, _)| *n)) })
    }
}

impl FieldType {
    /// How values are compared in `detect` (S4-002).
    #[must_use]
    pub fn normaliser(self) -> Option<Normaliser> {
        match self {
            Self::Text | Self::Url => Some(Normaliser::Trim),
            Self::Email => Some(Normaliser::Email),
            Self::Phone => Some(Normaliser::Phone),
            Self::Uuid | Self::Date | Self::Timestamp | Self::Integer | Self::Number | Self::Boolean | Self::Json => None,
        }
    }

    /// The code of its refusals: `invalid_email`, …
    #[must_use]
    pub fn refusal_code(self) -> &'static str {
        match self {
            Self::Text => "invalid_text",
            Self::Email => "invalid_email",
            Self::Phone => "invalid_phone",
            Self::Url => "invalid_url",
            Self::Uuid => "invalid_uuid",
            Self::Date => "invalid_date",
            Self::Timestamp => "invalid_timestamp",
            Self::Integer => "invalid_integer",
            Self::Number => "invalid_number",
            Self::Boolean => "invalid_boolean",
            Self::Json => "invalid_json",
        }
    }

    /// Whether a value is one. NULL always passes, and so does blank text in a field of text: it says that there is no
    /// e-mail address, not that a wrong one is there.
    pub(super) fn check(self, v: ValueRef<'_>) -> Result<(), Fault> {
        if self.admits(v) {
            return Ok(());
        }
        let what = match self {
            Self::Text => "text",
            Self::Email => "an e-mail address",
            Self::Phone => "a telephone number",
            Self::Url => "a URL with scheme and host",
            Self::Uuid => "a uuid",
            Self::Date => "a date",
            Self::Timestamp => "a date and time",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Json => "json",
        };
        Err(Fault::new(self.refusal_code(), format!("not {what}")))
    }

    fn admits(self, v: ValueRef<'_>) -> bool {
        match (self, v) {
            (_, ValueRef::Null) => true,
            (Self::Text, v) => matches!(v, ValueRef::Text(_)),
            (Self::Email | Self::Phone | Self::Url, ValueRef::Text(s)) if s.trim().is_empty() => true,
            (Self::Email, ValueRef::Text(s)) => is_email(s.trim()),
            (Self::Phone, ValueRef::Text(s)) => is_phone(s),
            (Self::Phone, ValueRef::I64(n)) => is_phone(&n.to_string()),
            (Self::Url, ValueRef::Text(s)) => is_url(s.trim()),
            (Self::Uuid, v) => matches!(v, ValueRef::Uuid(_)) || text_passes(v, |s| civil::parse_uuid(s).is_some()),
            (Self::Date, v) => matches!(v, ValueRef::Date(_)) || text_passes(v, |s| civil::parse_date(s).is_some()),
            (Self::Timestamp, v) => {
                let moment = |s: &str| civil::parse_timestamp(s).or_else(|| civil::parse_timestamptz(s)).is_some();
                matches!(v, ValueRef::Timestamp(_) | ValueRef::TimestampTz(_)) || text_passes(v, moment)
            }
            (Self::Integer, v) => is_integer(v),
            (Self::Number, v) => is_number(v),
            (Self::Boolean, v) => {
                matches!(v, ValueRef::Bool(_) | ValueRef::I64(0 | 1)) || text_passes(v, |s| matches!(s, "true" | "false" | "0" | "1"))
            }
            (Self::Json, v) => match v {
                ValueRef::Json(s) | ValueRef::Text(s) => json::facts(s).is_some(),
                _ => false,
            },
            (Self::Email | Self::Phone | Self::Url, _) => false,
        }
    }
}

fn text_passes(v: ValueRef<'_>, f: impl FnOnce(&str) -> bool) -> bool {
    matches!(v, ValueRef::Text(s) if f(s.trim()))
}

/// A plain address: the library also takes `Ann <ann@example.org>` and `ann@localhost`, which are no address of a person.
fn is_email(s: &str) -> bool {
    let plain = !s.contains(['<', '>', ' ']);
    plain && EmailAddress::is_valid(s) && s.rsplit_once('@').is_some_and(|(_, domain)| domain.contains('.') || domain.starts_with('['))
}

fn is_phone(s: &str) -> bool {
    let bare = Normaliser::Phone.apply(s);
    let digits = bare.strip_prefix('+').unwrap_or(&bare);
    (5..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

fn is_url(s: &str) -> bool {
    let Some((scheme, rest)) = s.split_once("://") else { return false };
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
    let host = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(h, _)| h);
    let clean = !s.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '\\' | '^' | '`'));
    named && clean && !host.is_empty() && (host.starts_with('[') == host.ends_with(']'))
}

fn is_integer(v: ValueRef<'_>) -> bool {
    let whole = |s: &str| decimal::parts(s).is_some_and(|p| p.fraction.bytes().all(|b| b == b'0'));
    match v {
        ValueRef::I64(_) | ValueRef::U64(_) => true,
        ValueRef::F64(x) => x.is_finite() && x.fract() == 0.0,
        ValueRef::Decimal(s) => whole(s),
        ValueRef::Text(s) => decimal::parts(s.trim()).is_some_and(|p| p.fraction.is_empty()) && !s.contains('.'),
        _ => false,
    }
}

fn is_number(v: ValueRef<'_>) -> bool {
    match v {
        ValueRef::I64(_) | ValueRef::U64(_) => true,
        ValueRef::F64(x) => x.is_finite(),
        ValueRef::Decimal(s) => decimal::parts(s).is_some(),
        ValueRef::Text(s) => decimal::expand_exponent(s.trim()).is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncline_model::Value;

    fn text(s: &str) -> Value {
        Value::Text(s.to_owned())
    }

    fn passes(t: FieldType, v: &Value) -> bool {
        t.check(v.view()).is_ok()
    }

    // req: S4-002
    #[test]
    fn every_type_takes_what_it_names_and_refuses_what_it_does_not() {
        let rows: [(FieldType, &[&str], &[&str]); 8] = [
            (
                FieldType::Email,
                &["ann@example.org", " ann.lee+x@sub.example.ie ", "", "  "],
                &["ann", "ann@", "@x.ie", "ann@localhost", "Ann <ann@example.org>", "a b@x.ie", "ann@x..ie"],
            ),
            (
                FieldType::Phone,
                &["+353 87 123 4567", "(087) 123-4567", "12345", ""],
                &["1234", "+1234567890123456", "087-CALL-ME", "++35387123456", "087 123 4567 ext 9"],
            ),
            (
                FieldType::Url,
                &["https://example.org", "http://a:b@x.ie:8080/p?q#f", "ftp://[::1]/x", ""],
                &["example.org", "https://", "https:///path", "1http://x", "https://x y.ie", "javascript:alert(1)"],
            ),
            (FieldType::Uuid, &["0189dc2f-3a4b-7c5d-8e6f-102030405060"], &["", "0189dc2f"]),
            (FieldType::Date, &["2024-02-29"], &["2023-02-29", "29/02/2024", ""]),
            (FieldType::Timestamp, &["2024-02-29 12:00", "2024-02-29T12:00:00Z"], &["2024-02-29", ""]),
            (FieldType::Integer, &["12", "-7", "+7"], &["1.0", "1e3", "", "x"]),
            (FieldType::Number, &["1.5", "-1e3"], &["", "NaN", "1,5"]),
        ];
        for (t, good, bad) in rows {
            for s in good {
                assert!(passes(t, &text(s)), "{t:?} should take {s:?}");
            }
            for s in bad {
                let refusal = t.check(ValueRef::Text(s)).unwrap_err();
                assert_eq!(refusal.code, t.refusal_code(), "{t:?} should refuse {s:?}");
                assert!(s.len() < 4 || !refusal.detail.contains(s), "a refusal never shows the value");
            }
            assert!(passes(t, &Value::Null));
        }
        assert!(passes(FieldType::Integer, &Value::Decimal("5.00".to_owned())));
        assert!(!passes(FieldType::Integer, &Value::F64(1.5)));
        assert!(!passes(FieldType::Email, &Value::I64(1)));
        assert!(passes(FieldType::Json, &text("[1]")) && !passes(FieldType::Json, &text("[1")));
        assert!(passes(FieldType::Boolean, &Value::I64(1)) && !passes(FieldType::Boolean, &Value::I64(2)));
    }

    // req: S4-002
    #[test]
    fn a_type_brings_its_normaliser_and_a_slip_a_suggestion() {
        assert_eq!("email".parse::<FieldType>().unwrap().normaliser(), Some(Normaliser::Email));
        assert_eq!("phone".parse::<FieldType>().unwrap().normaliser(), Some(Normaliser::Phone));
        assert_eq!("emial".parse::<FieldType>().unwrap_err().suggestion, Some("email"));
    }
}
