//! SQL text that is safe whatever the names and values are: identifiers, literals, and the one function by which a
//! user's bound values (`{{ scope }}`) enter a statement.
//!
//! COPY takes no parameters, so bound values become literals here. A literal is always quoted and untyped: the server
//! gives it the type of what it stands beside, exactly as it does for a parameter.

use std::fmt::Write as _;

use syncline_connector::{Error, ErrorKind, Result};
use syncline_model::{TableName, Value, ValueRef, civil};

/// Quotes an identifier, however strange it is.
#[must_use]
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quoted, qualified table name.
#[must_use]
pub fn table(name: &TableName) -> String {
    match &name.schema {
        Some(s) => format!("{}.{}", ident(s), ident(&name.name)),
        None => ident(&name.name),
    }
}

/// Quotes text as a literal that means the same under either setting of `standard_conforming_strings`.
#[must_use]
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        // The leading blank keeps `E` from joining the token before it.
        format!(" E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// A bound value as a literal.
///
/// # Errors
/// `Invalid` (`value_unusable`) for text with a NUL character and for values too large to be carried.
pub fn value_literal(value: &Value) -> Result<String> {
    if value.is_null() {
        return Ok("NULL".to_owned());
    }
    let mut text = String::new();
    write_text(&mut text, value.view());
    if text.contains('\0') || matches!(value, Value::Large(_)) {
        return Err(Error::new(ErrorKind::Invalid, "value_unusable", "bind value: PostgreSQL cannot take it as text")
            .hint("text with a NUL character has no form in PostgreSQL"));
    }
    Ok(literal(&text))
}

/// Appends the text by which the server's input function reads `v` back exactly. NULL appends nothing.
pub fn write_text(out: &mut String, v: ValueRef<'_>) {
    match v {
        ValueRef::Null => {}
        ValueRef::Bool(b) => out.push_str(if b { "true" } else { "false" }),
        ValueRef::I64(n) => push(out, format_args!("{n}")),
        ValueRef::U64(n) | ValueRef::Large(n) => push(out, format_args!("{n}")),
        ValueRef::F64(n) if n.is_nan() => out.push_str("NaN"),
        ValueRef::F64(n) if n.is_infinite() => out.push_str(if n > 0.0 { "Infinity" } else { "-Infinity" }),
        ValueRef::F64(n) => push(out, format_args!("{n:?}")),
        ValueRef::Decimal(s) | ValueRef::Text(s) | ValueRef::Json(s) | ValueRef::Other { text: s, .. } => out.push_str(s),
        ValueRef::Bytes(b) => {
            out.push_str("\\x");
            for x in b {
                push(out, format_args!("{x:02x}"));
            }
        }
        ValueRef::Uuid(u) => out.push_str(&civil::uuid_text(&u)),
        ValueRef::Date(d) => out.push_str(&civil::date_text(d)),
        ValueRef::Time(t) => out.push_str(&civil::time_text(t)),
        ValueRef::Timestamp(t) => out.push_str(&civil::timestamp_text(t)),
        ValueRef::TimestampTz(t) => {
            let text = civil::timestamp_text(t);
            match text.strip_suffix(" BC") {
                Some(head) => push(out, format_args!("{head}+00 BC")),
                None => push(out, format_args!("{text}+00")),
            }
        }
        ValueRef::Interval { months, days, micros } => {
            let (sign, abs) = if micros < 0 { ("-", micros.unsigned_abs()) } else { ("", micros.unsigned_abs()) };
            push(out, format_args!("{months} mons {days} days {sign}{}.{:06} secs", abs / 1_000_000, abs % 1_000_000));
        }
    }
}

fn push(out: &mut String, args: std::fmt::Arguments<'_>) {
    out.write_fmt(args).expect("invariant: writing to a String cannot fail");
}

/// Appends one element of an array literal, quoted: `"a\"b"`.
pub fn write_array_element(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    // case: H21
    #[test]
    fn strange_names_and_values_stay_inside_their_quotes() {
        assert_eq!(ident("we\"ird;drop table x--"), "\"we\"\"ird;drop table x--\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), " E'a\\\\''b'");
        assert_eq!(value_literal(&Value::Text("'; drop table x; --".into())).unwrap(), "'''; drop table x; --'");
    }

    #[test]
    fn a_nul_character_is_refused_before_it_reaches_the_server() {
        assert_eq!(value_literal(&Value::Text("a\0b".into())).unwrap_err().code, "value_unusable");
    }

    // case: H23
    #[test]
    fn dots_in_names_do_not_move_the_border_between_schema_and_table() {
        assert_ne!(table(&TableName::within("a.b", "c")), table(&TableName::within("a", "b.c")));
    }
}
