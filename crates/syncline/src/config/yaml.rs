//! YAML text to the tree, within limits: size, depth, aliases (G2, G11).

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::fault::ConfigError;
use super::tree::{Content, Entry, Meaning, Node, Scalar};

/// Largest file that is read: a thousand times an ordinary one.
pub(super) const BYTES_MAX: usize = 1024 * 1024;

/// The refusal of a file above [`BYTES_MAX`].
pub(super) fn too_large(bytes: u64) -> ConfigError {
    let message = format!("the file has {bytes} bytes, more than {BYTES_MAX}");
    ConfigError::new("input_too_large", &[], message).hint("a configuration is far smaller; is it the right file?")
}

/// The document as a tree; an empty one is an empty map.
pub(super) fn parse(text: &str) -> Result<Node, ConfigError> {
    if text.len() > BYTES_MAX {
        return Err(too_large(text.len() as u64));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = serde_saphyr::options! {
        strict_booleans: false,
        with_snippet: false,
        reject_unsupported_tags: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
        budget: serde_saphyr::budget! {
            max_depth: 24,
            max_nodes: 100_000,
            max_events: 300_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 8,
        },
    };
    let parsed: Spanned<Any> = serde_saphyr::from_str_with_options(text, options).map_err(|e| refused(&e))?;
    let mut root = node(parsed, text);
    if matches!(&root.content, Content::Scalar(s) if s.meaning() == Meaning::Nothing) {
        root.content = Content::Map(Vec::new());
    }
    Ok(root)
}

fn refused(e: &serde_saphyr::Error) -> ConfigError {
    let line = e.location().map_or(0, |l| l.line());
    let plain = e.without_snippet();
    let (message, hint) = match plain {
        serde_saphyr::Error::DuplicateMappingKey { key, .. } => {
            (format!("the key {} is there twice", key.as_deref().map_or_else(String::new, |k| format!("`{k}`"))), "keep one of the two")
        }
        other => {
            (format!("not valid YAML: {}", first_line(&other.to_string())), "text with `:`, `#`, `{`, `[`, `*` or `&` in it needs quotes")
        }
    };
    let error = ConfigError::new("config_invalid", &[], message.trim().to_owned()).hint(hint);
    if line > 0 { error.at(line) } else { error }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// What the YAML library reads when nothing is known about the type.
enum Any {
    Text(String),
    /// Not text by YAML's own rules; the source has how it was written.
    Open(String),
    List(Vec<Spanned<Any>>),
    Map(Vec<(Spanned<String>, Spanned<Any>)>),
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Any;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Any, E> {
        Ok(Any::Open("null".to_owned()))
    }

    fn visit_bool<E>(self, v: bool) -> Result<Any, E> {
        Ok(Any::Open(v.to_string()))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Any, E> {
        Ok(Any::Open(v.to_string()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Any, E> {
        Ok(Any::Open(v.to_string()))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Any, E> {
        Ok(Any::Open(v.to_string()))
    }

    fn visit_str<E>(self, v: &str) -> Result<Any, E> {
        Ok(Any::Text(v.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Any, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Any::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Any, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Any::Map(entries))
    }
}

fn node(parsed: Spanned<Any>, source: &str) -> Node {
    let line = parsed.referenced.line();
    let span = parsed.defined.span();
    let content = match parsed.value {
        Any::Text(text) => Content::Scalar(Scalar { text, open: false, written: None }),
        Any::Open(resolved) => {
            let raw = span.byte_offset().zip(span.byte_len()).and_then(|(at, len)| raw(source, at, len));
            Content::Scalar(Scalar { text: raw.map_or(resolved, str::to_owned), open: true, written: None })
        }
        Any::List(items) => Content::List(items.into_iter().map(|item| node(item, source)).collect()),
        Any::Map(entries) => {
            let entry = |(key, value): (Spanned<String>, Spanned<Any>)| Entry {
                line: key.referenced.line(),
                key: key.value,
                value: node(value, source),
            };
            Content::Map(entries.into_iter().map(entry).collect())
        }
    };
    Node { line, content }
}

fn raw(source: &str, at: u64, len: u64) -> Option<&str> {
    let start = usize::try_from(at).ok()?;
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    source.get(start..end).map(str::trim).filter(|text| !text.is_empty() && !text.starts_with(['!', '&', '*']))
}
