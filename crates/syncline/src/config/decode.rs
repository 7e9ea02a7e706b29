//! From the tree to typed structs, with every error on the way: what is wrong is noted and taken out, and the rest is read again.
//!
//! The structs are ordinary derived ones with `deny_unknown_fields`; serde stops at the first error, so this repeats. A configuration is
//! small and its errors are few.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, DeserializeOwned};
use syncline_model::suggest;

use super::fault::ConfigError;
use super::tree::{Content, Meaning, Node, Scalar};

/// Errors shown at once; a file with more is not the file that was meant.
const ERRORS_MAX: usize = 50;

/// What was made of a tree.
pub(super) struct Decoded<T> {
    /// `None` only when not even an empty `T` could be read.
    pub value: Option<T>,
    pub errors: Vec<ConfigError>,
    /// Places where an empty text stands in for something required.
    pub stand_ins: BTreeSet<Vec<String>>,
}

/// Reads the whole tree as `T`.
pub(super) fn decode<T: DeserializeOwned>(tree: &Node) -> Decoded<T> {
    let mut rest = tree.clone();
    let mut errors = Vec::new();
    let mut known = Known::default();
    while errors.len() < ERRORS_MAX {
        let problem = match T::deserialize(&rest) {
            Ok(read) => return Decoded { value: Some(read), errors, stand_ins: known.stand_ins },
            Err(problem) => problem,
        };
        let path: Vec<String> = problem.path.iter().rev().cloned().collect();
        if known.is_news(&path, &problem.kind) {
            errors.push(problem.kind.told(&path, tree));
        }
        let passed_over = match &problem.kind {
            Kind::Missing(_) => known.stand_ins.insert(path.clone()) && rest.stand_in(&path),
            // What stands in is wrong as well: nothing can be made of the map around it.
            _ if known.stand_ins.contains(&path) => take_out(&mut rest, &path[..path.len() - 1]),
            Kind::UnknownKey(..) | Kind::UnknownWord(..) | Kind::Wrong { .. } | Kind::Other(_) => take_out(&mut rest, &path),
        };
        if !passed_over {
            break;
        }
    }
    Decoded { value: None, errors, stand_ins: known.stand_ins }
}

/// What was told already, so that nothing is told that only follows from it.
#[derive(Default)]
struct Known {
    told: BTreeSet<Vec<String>>,
    /// Places of keys that were probably meant by an unknown one.
    meant: BTreeSet<Vec<String>>,
    stand_ins: BTreeSet<Vec<String>>,
}

impl Known {
    fn is_news(&mut self, path: &[String], kind: &Kind) -> bool {
        if let Kind::UnknownKey(key, expected) = kind
            && let Some(meant) = suggest::closest(key, expected.iter().copied())
        {
            let mut place = path.to_vec();
            place.pop();
            place.push(meant.to_owned());
            self.meant.insert(place);
        }
        let follows = matches!(kind, Kind::Missing(_)) && self.meant.contains(path);
        self.told.insert(path.to_vec()) && !follows
    }
}

/// Takes out what is at the path, or the nearest thing around it that can be taken out.
fn take_out(tree: &mut Node, path: &[String]) -> bool {
    (1..=path.len()).rev().any(|n| tree.remove(&path[..n]))
}

/// Why a part could not be read. The path grows from the inside out, so it is kept in reverse.
#[derive(Debug)]
pub(super) struct Problem {
    path: Vec<String>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    UnknownKey(String, &'static [&'static str]),
    UnknownWord(&'static [&'static str]),
    Missing(&'static str),
    Wrong { expected: String },
    Other(String),
}

impl Problem {
    fn new(kind: Kind) -> Self {
        Self { path: Vec::new(), kind }
    }

    /// As seen from one level further out.
    pub(super) fn under(mut self, part: &str) -> Self {
        self.path.push(part.to_owned());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Kind::Other(message.to_string()))
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(Kind::Wrong { expected: expected.to_string() })
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(Kind::Wrong { expected: expected.to_string() })
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownWord(expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self { path: vec![field.to_owned()], kind: Kind::UnknownKey(field.to_owned(), expected) }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { path: vec![field.to_owned()], kind: Kind::Missing(field) }
    }
}

impl Kind {
    /// The error for people.
    fn told(&self, path: &[String], tree: &Node) -> ConfigError {
        let node = tree.get(path);
        let found = node.map_or_else(|| "nothing".to_owned(), |n| found(n, path));
        let error = match self {
            Self::UnknownKey(key, expected) => {
                let error = ConfigError::new("config_unknown_key", path, format!("unknown key `{key}`"));
                error.hint(suggestion(key, expected, "keys here"))
            }
            Self::UnknownWord(expected) => {
                let strategy = path.last().is_some_and(|p| p == "conflicts");
                let code = if strategy { "strategy_unknown" } else { "config_invalid" };
                let word = node.and_then(Node::scalar).map_or("", Scalar::shown);
                ConfigError::new(code, path, format!("{found} is not known here")).hint(suggestion(word, expected, "known are"))
            }
            Self::Missing(key) => ConfigError::new("config_invalid", path, format!("the key `{key}` is missing")),
            Self::Wrong { expected } => ConfigError::new("config_invalid", path, format!("{found} is not {expected}")),
            Self::Other(message) => ConfigError::new("config_invalid", path, message.clone()),
        };
        error.at(tree.line_of(path))
    }
}

fn suggestion(word: &str, known: &[&'static str], all: &str) -> String {
    let list = known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
    match suggest::closest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("{all} {list}"),
    }
}

/// What was found, in words. An url is never shown: it may hold a password.
fn found(node: &Node, path: &[String]) -> String {
    match &node.content {
        Content::Map(_) => "a map".to_owned(),
        Content::List(_) => "a list".to_owned(),
        Content::Scalar(_) if path.last().is_some_and(|p| p == "url") => "this".to_owned(),
        Content::Scalar(s) if s.shown().contains("://") => "this".to_owned(),
        Content::Scalar(s) if s.meaning() == Meaning::Nothing => "nothing".to_owned(),
        Content::Scalar(s) => format!("`{}`", shorten(s.shown())),
    }
}

pub(super) fn shorten(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    if text.chars().count() <= SHOWN_MAX { text.to_owned() } else { format!("{}…", text.chars().take(SHOWN_MAX).collect::<String>()) }
}
