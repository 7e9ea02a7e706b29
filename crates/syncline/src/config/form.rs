//! Values that can be written in a short and a long form, and scalars of any type.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::reader::{FORM, SCALAR};

/// A value with a short form (a scalar or a list) and a long one (a map).
#[derive(Clone, Debug, PartialEq, schemars::JsonSchema)]
#[serde(untagged)]
pub(super) enum Form<S, L> {
    Short(S),
    Long(L),
}

impl<'de, S: Deserialize<'de>, L: Deserialize<'de>> Deserialize<'de> for Form<S, L> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms<S, L>(std::marker::PhantomData<(S, L)>);
        impl<'de, S: Deserialize<'de>, L: Deserialize<'de>> Visitor<'de> for Forms<S, L> {
            type Value = Form<S, L>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value in its short or long form")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, scalar: D) -> Result<Self::Value, D::Error> {
                S::deserialize(scalar).map(Form::Short)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                S::deserialize(SeqAccessDeserializer::new(list)).map(Form::Short)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                L::deserialize(MapAccessDeserializer::new(map)).map(Form::Long)
            }
        }
        deserializer.deserialize_newtype_struct(FORM, Forms(std::marker::PhantomData))
    }
}

/// One text or a list of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OneOrMany(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, scalar: D) -> Result<OneOrMany, D::Error> {
                String::deserialize(scalar).map(|text| OneOrMany(vec![text]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<OneOrMany, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMany)
            }
        }
        deserializer.deserialize_newtype_struct(FORM, Texts)
    }
}

/// A scalar with its meaning, exactly as written.
pub(super) fn scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(char, String), D::Error> {
    struct Marked;
    impl Visitor<'_> for Marked {
        type Value = (char, String);

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text, a number, `true`, `false` or `null`")
        }

        fn visit_str<E: de::Error>(self, marked: &str) -> Result<(char, String), E> {
            let mark = marked.chars().next().ok_or_else(|| E::custom("no mark"))?;
            Ok((mark, marked[mark.len_utf8()..].to_owned()))
        }
    }
    deserializer.deserialize_newtype_struct(SCALAR, Marked)
}
