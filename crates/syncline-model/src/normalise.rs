//! What two spellings of one thing have in common: trimmed text, lower-case e-mail addresses, bare phone numbers.
//!
//! Used for comparing in `detect` only. The normal form is never stored, shown or sent anywhere (H26): the value that a
//! person wrote is the value that travels.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::canonical::{self, Canon};
use crate::value::ValueRef;

/// How the texts of a field are brought to one spelling before they are compared. Empty text counts as no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normaliser {
    /// White space at both ends does not count.
    Trim,
    /// E-mail addresses: trimmed, case does not count.
    Email,
    /// Phone numbers: spaces, dashes, dots and parentheses do not count; a leading `+` does.
    Phone,
    /// Case does not count.
    Lower,
}

impl Normaliser {
    /// The normal form of a text.
    #[must_use]
    pub fn apply(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Trim => Cow::Borrowed(text.trim()),
            Self::Email => lower(text.trim()),
            Self::Phone => phone(text),
            Self::Lower => lower(text),
        }
    }
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| !c.to_lowercase().eq([c])) { Cow::Owned(text.to_lowercase()) } else { Cow::Borrowed(text) }
}

fn phone(text: &str) -> Cow<'_, str> {
    // U+2010 to U+2015 are the dashes that word processors put in place of `-`.
    let filler = |c: char| c.is_whitespace() || matches!(c, '-' | '(' | ')' | '.' | '\u{2010}'..='\u{2015}');
    if text.contains(filler) { Cow::Owned(text.replace(filler, "")) } else { Cow::Borrowed(text) }
}

/// Appends the bytes that `detect` compares: canonical bytes, of the normal form where the field has a normaliser.
/// With one, NULL and text that is empty in normal form are the same.
pub fn write_compared(out: &mut Vec<u8>, v: ValueRef<'_>, canon: Canon, normaliser: Option<Normaliser>) {
    match (normaliser, v) {
        (Some(n), ValueRef::Text(text)) => {
            let normal = n.apply(text);
            let v = if normal.is_empty() { ValueRef::Null } else { ValueRef::Text(&normal) };
            canonical::write(out, v, canon);
        }
        _ => canonical::write(out, v, canon),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // req: S4-002
    #[test]
    fn spellings_of_one_thing_have_one_normal_form() {
        for (n, text, want) in [
            (Normaliser::Trim, "  Ann Lee\t", "Ann Lee"),
            (Normaliser::Email, " Ann.Lee@Example.ORG ", "ann.lee@example.org"),
            (Normaliser::Phone, " +353 (0)87-123.45\u{2011}67 ", "+3530871234567"),
            (Normaliser::Lower, "ÉCOLE ", "école "),
        ] {
            assert_eq!(n.apply(text), want);
        }
    }

    // req: S4-002
    #[test]
    fn with_a_normaliser_null_and_blank_text_compare_equal_and_without_one_they_differ() {
        let bytes = |v, n| {
            let mut out = Vec::new();
            write_compared(&mut out, v, Canon::Text, n);
            out
        };
        assert_eq!(bytes(ValueRef::Null, Some(Normaliser::Trim)), bytes(ValueRef::Text(" "), Some(Normaliser::Trim)));
        assert_ne!(bytes(ValueRef::Null, None), bytes(ValueRef::Text(""), None));
    }

    proptest! {
        #[test]
        fn a_normal_form_is_its_own_normal_form(text in "\\PC{0,24}") {
            for n in [Normaliser::Trim, Normaliser::Email, Normaliser::Phone, Normaliser::Lower] {
                let once = n.apply(&text).into_owned();
                prop_assert_eq!(n.apply(&once), once.as_str());
            }
        }
    }
}
