//! The YAML document as a tree that remembers its lines, before anything in it has a meaning.
//!
//! Scalars keep the text they were written with, so that `1.10`, `no` and `007` reach a text field unchanged (G11).

/// A value of the document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Line of the value, from 1.
    pub line: u64,
    pub content: Content,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One entry of a map.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub key: String,
    /// Line of the key, from 1.
    pub line: u64,
    pub value: Node,
}

/// A scalar.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scalar {
    /// The text, as written or as substituted.
    pub text: String,
    /// May mean a number, a truth value or nothing; else it is text whatever it looks like (quoted).
    pub open: bool,
    /// As written, where a variable or file was put in: the only form that may be shown.
    pub written: Option<String>,
}

/// What an open scalar means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning {
    Nothing,
    Truth(bool),
    Integer(i128),
    Fraction(f64),
    Text,
}

impl Scalar {
    /// What may be shown of it.
    pub(super) fn shown(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.text)
    }

    /// What it means (YAML's core schema; `on`, `off`, `yes`, `no` are truth values only where one is asked for).
    pub(super) fn meaning(&self) -> Meaning {
        if !self.open && self.written.is_none() {
            return Meaning::Text;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" if self.open => return Meaning::Nothing,
            "true" | "True" | "TRUE" | "on" | "yes" => return Meaning::Truth(true),
            "false" | "False" | "FALSE" | "off" | "no" => return Meaning::Truth(false),
            _ => {}
        }
        let digits = self.text.strip_prefix(['-', '+']).unwrap_or(&self.text);
        let numeric = digits.starts_with(|c: char| c.is_ascii_digit()) && digits.chars().all(|c| c.is_ascii_digit() || "eE+-.".contains(c));
        // A leading zero means an identifier (a post code), not a number.
        if !numeric || (digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.")) {
            return Meaning::Text;
        }
        if let Ok(n) = self.text.parse() {
            return Meaning::Integer(n);
        }
        self.text.parse().ok().filter(|n: &f64| n.is_finite()).map_or(Meaning::Text, Meaning::Fraction)
    }
}

impl Node {
    /// The scalar that this is, if it is one.
    pub(super) fn scalar(&self) -> Option<&Scalar> {
        match &self.content {
            Content::Scalar(s) => Some(s),
            Content::List(_) | Content::Map(_) => None,
        }
    }

    /// The value at a path, if it is there.
    pub(super) fn get(&self, path: &[String]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        match &self.content {
            Content::Map(entries) => entries.iter().find(|e| e.key == *first)?.value.get(rest),
            Content::List(items) => items.get(first.parse::<usize>().ok()?)?.get(rest),
            Content::Scalar(_) => None,
        }
    }

    /// The line to show for a path: of the key for a map or list, of the value for a scalar, of the nearest parent for what is missing.
    pub(super) fn line_of(&self, path: &[String]) -> u64 {
        let mut line = self.line;
        let mut here = self;
        for part in path {
            let (next, key_line) = match &here.content {
                Content::Map(entries) => match entries.iter().find(|e| e.key == *part) {
                    Some(e) => (&e.value, e.line),
                    None => return line,
                },
                Content::List(items) => match part.parse::<usize>().ok().and_then(|n| items.get(n)) {
                    Some(item) => (item, item.line),
                    None => return line,
                },
                Content::Scalar(_) => return line,
            };
            line = if matches!(next.content, Content::Scalar(_)) { next.line } else { key_line };
            here = next;
        }
        line
    }

    /// Takes the value at a path out, so that the rest can still be judged.
    pub(super) fn remove(&mut self, path: &[String]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        match &mut self.content {
            Content::Map(entries) => {
                let Some(at) = entries.iter().position(|e| e.key == *first) else { return false };
                if rest.is_empty() {
                    entries.remove(at);
                    return true;
                }
                entries[at].value.remove(rest)
            }
            Content::List(items) => {
                let Some(at) = first.parse::<usize>().ok().filter(|n| *n < items.len()) else { return false };
                // An item is never taken out of a list: the places of the others would shift. Its list goes instead.
                !rest.is_empty() && items[at].remove(rest)
            }
            Content::Scalar(_) => false,
        }
    }

    /// Puts an empty text where a required value is missing, so that the rest can still be judged.
    pub(super) fn stand_in(&mut self, path: &[String]) -> bool {
        let Some((last, parent)) = path.split_last() else { return false };
        let mut here = self;
        for part in parent {
            here = match &mut here.content {
                Content::Map(entries) => match entries.iter_mut().find(|e| e.key == *part) {
                    Some(e) => &mut e.value,
                    None => return false,
                },
                Content::List(items) => match part.parse::<usize>().ok().and_then(|n| items.get_mut(n)) {
                    Some(item) => item,
                    None => return false,
                },
                Content::Scalar(_) => return false,
            };
        }
        let line = here.line;
        let Content::Map(entries) = &mut here.content else { return false };
        let empty = Self { line, content: Content::Scalar(Scalar::default()) };
        entries.push(Entry { key: last.clone(), line, value: empty });
        true
    }

    /// Visits every scalar value with its path.
    pub(super) fn each_scalar(&mut self, path: &mut Vec<String>, visit: &mut impl FnMut(&[String], u64, &mut Scalar)) {
        match &mut self.content {
            Content::Scalar(scalar) => visit(path, self.line, scalar),
            Content::List(items) => {
                for (n, item) in items.iter_mut().enumerate() {
                    path.push(n.to_string());
                    item.each_scalar(path, visit);
                    path.pop();
                }
            }
            Content::Map(entries) => {
                for e in entries {
                    path.push(e.key.clone());
                    e.value.each_scalar(path, visit);
                    path.pop();
                }
            }
        }
    }
}
