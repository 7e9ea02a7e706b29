//! The tree as a serde deserializer. Scalars mean what is asked for: text stays as written, numbers and truth values have to be ones.

use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::decode::Problem;
use super::tree::{Content, Entry, Meaning, Node, Scalar};

/// A newtype of this name gets a scalar as a newtype, a list as a sequence and a map as a map: for values with a short and a long form.
pub(super) const FORM: &str = "syncline form";
/// A newtype of this name gets a scalar as text with its meaning in front.
pub(super) const SCALAR: &str = "syncline scalar";

macro_rules! integers {
    ($($name:ident => $visit:ident: $type:ty),+) => { $(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            match self.scalar().map(Scalar::meaning) {
                Some(Meaning::Integer(n)) => match <$type>::try_from(n) {
                    Ok(n) => visitor.$visit(n),
                    Err(_) => Err(de::Error::invalid_value(de::Unexpected::Other("number"), &"a number that is so large")),
                },
                _ => Err(de::Error::invalid_type(de::Unexpected::Other("other"), &"a whole number")),
            }
        }
    )+ };
}

impl<'de> Deserializer<'de> for &Node {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match &self.content {
            Content::Map(_) => self.deserialize_map(visitor),
            Content::List(_) => self.deserialize_seq(visitor),
            Content::Scalar(s) => match s.meaning() {
                Meaning::Nothing => visitor.visit_unit(),
                Meaning::Truth(b) => visitor.visit_bool(b),
                Meaning::Integer(_) => self.deserialize_i64(visitor),
                Meaning::Fraction(n) => visitor.visit_f64(n),
                Meaning::Text => visitor.visit_str(&s.text),
            },
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.scalar().map(Scalar::meaning) {
            Some(Meaning::Truth(b)) => visitor.visit_bool(b),
            _ => Err(de::Error::invalid_type(de::Unexpected::Other("other"), &"`true` or `false`")),
        }
    }

    integers!(
        deserialize_i8 => visit_i8: i8, deserialize_i16 => visit_i16: i16, deserialize_i32 => visit_i32: i32, deserialize_i64 => visit_i64: i64,
        deserialize_u8 => visit_u8: u8, deserialize_u16 => visit_u16: u16, deserialize_u32 => visit_u32: u32, deserialize_u64 => visit_u64: u64
    );

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.scalar().map(Scalar::meaning) {
            Some(Meaning::Integer(n)) => visitor.visit_f64(n as f64),
            Some(Meaning::Fraction(n)) => visitor.visit_f64(n),
            _ => Err(de::Error::invalid_type(de::Unexpected::Other("other"), &"a number")),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_f64(visitor)
    }

    /// Any scalar is text where text is asked for, as it was written; but nothing is not.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.scalar() {
            Some(s) if s.meaning() != Meaning::Nothing => visitor.visit_str(&s.text),
            _ => Err(de::Error::invalid_type(de::Unexpected::Other("other"), &"text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.scalar().map(Scalar::meaning) {
            Some(Meaning::Nothing) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_any(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Problem> {
        match (name, &self.content) {
            (FORM, Content::List(_)) => self.deserialize_seq(visitor),
            (FORM, Content::Map(_)) => self.deserialize_map(visitor),
            (SCALAR, Content::Scalar(s)) => {
                let mark = match s.meaning() {
                    Meaning::Nothing => 'n',
                    Meaning::Truth(true) => 't',
                    Meaning::Truth(false) => 'f',
                    Meaning::Integer(_) => 'i',
                    Meaning::Fraction(_) => 'd',
                    Meaning::Text => 's',
                };
                visitor.visit_str(&format!("{mark}{}", s.text))
            }
            (SCALAR, Content::List(_) | Content::Map(_)) => Err(de::Error::invalid_type(de::Unexpected::Other("other"), &visitor)),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match &self.content {
            Content::List(items) => visitor.visit_seq(Items { items: items.iter().enumerate() }),
            Content::Scalar(_) | Content::Map(_) => Err(de::Error::invalid_type(de::Unexpected::Other("other"), &"a list")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match &self.content {
            Content::Map(entries) => visitor.visit_map(Entries { entries: entries.iter(), current: None }),
            // `streams:` with nothing below it is an empty map.
            Content::Scalar(s) if s.meaning() == Meaning::Nothing => visitor.visit_map(Entries { entries: [].iter(), current: None }),
            Content::Scalar(_) | Content::List(_) => Err(de::Error::invalid_type(de::Unexpected::Other("other"), &"a map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Problem> {
        match self.scalar() {
            Some(s) if s.meaning() != Meaning::Nothing => visitor.visit_enum(s.text.as_str().into_deserializer()),
            _ => Err(de::Error::invalid_type(de::Unexpected::Other("other"), &"a word")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { bytes byte_buf }
}

struct Items<'t> {
    items: std::iter::Enumerate<std::slice::Iter<'t, Node>>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        let Some((n, item)) = self.items.next() else { return Ok(None) };
        seed.deserialize(item).map(Some).map_err(|e| e.under(&n.to_string()))
    }
}

struct Entries<'t> {
    entries: std::slice::Iter<'t, Entry>,
    current: Option<&'t Entry>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        self.current = self.entries.next();
        let Some(entry) = self.current else { return Ok(None) };
        seed.deserialize(entry.key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Problem> {
        let entry = self.current.expect("invariant: serde asks for a key before its value");
        seed.deserialize(&entry.value).map_err(|e| e.under(&entry.key))
    }
}
