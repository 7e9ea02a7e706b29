//! Reads names, lists and clauses out of a statement's tokens.

use super::token::{HOLE, Kind, Token};

/// Words that end a table reference instead of being its alias or name.
const RESERVED: [&str; 46] = [
    "SELECT",
    "SET",
    "VALUES",
    "VALUE",
    "WHERE",
    "FROM",
    "USING",
    "ON",
    "WHEN",
    "THEN",
    "AND",
    "OR",
    "NOT",
    "NULL",
    "GROUP",
    "ORDER",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "JOIN",
    "LEFT",
    "RIGHT",
    "INNER",
    "FULL",
    "CROSS",
    "NATURAL",
    "OUTER",
    "AS",
    "IF",
    "EXISTS",
    "DEFAULT",
    "RETURNING",
    "FOR",
    "FETCH",
    "WINDOW",
    "LATERAL",
    "UNNEST",
    "CASE",
    "END",
    "INTO",
    "TABLE",
    "DO",
    "ONLY",
];

/// A name has at most this many parts (`server.database.schema.table`).
const PARTS_MAX: usize = 4;
/// Table references read per statement; a statement with more is generated data, and the first ones tell its sources.
const SOURCES_MAX: usize = 500;

/// A window of tokens with reading helpers.
#[derive(Clone, Copy)]
pub(super) struct Span<'s, 'a>(pub(super) &'s [Token<'a>]);

impl<'a> Span<'_, 'a> {
    pub(super) fn at(&self, i: usize) -> Option<&Token<'a>> {
        self.0.get(i)
    }

    pub(super) fn is(&self, i: usize, word: &str) -> bool {
        self.at(i).is_some_and(|t| t.is(word))
    }

    pub(super) fn is_any(&self, i: usize, words: &[&str]) -> bool {
        self.at(i).is_some_and(|t| t.is_any(words))
    }

    pub(super) fn symbol(&self, i: usize, c: char) -> bool {
        self.at(i).is_some_and(|t| t.symbol(c))
    }

    /// Index of the first of `words` in sequence, at any depth.
    pub(super) fn find(&self, words: &[&str]) -> Option<usize> {
        (0..self.0.len()).find(|i| words.iter().enumerate().all(|(n, w)| self.is(i + n, w)))
    }

    /// Passes over words of `skip` from `i` on.
    pub(super) fn skip(&self, mut i: usize, skip: &[&str]) -> usize {
        while self.is_any(i, skip) {
            i += 1;
        }
        i
    }

    /// The closing parenthesis of the one at `open`, or the end.
    pub(super) fn close(&self, open: usize) -> usize {
        let mut depth = 0_i32;
        for (i, t) in self.0.iter().enumerate().skip(open) {
            depth += i32::from(t.symbol('(')) - i32::from(t.symbol(')'));
            if depth == 0 {
                return i;
            }
        }
        self.0.len()
    }

    /// A possibly qualified name at `i` and the index after it.
    pub(super) fn name(&self, i: usize) -> Option<(String, usize)> {
        let mut name = part(self.at(i)?)?;
        let mut next = i + 1;
        while self.symbol(next, '.') && next < i + 2 * PARTS_MAX {
            let Some(more) = self.at(next + 1).and_then(part) else { break };
            name = format!("{name}.{more}");
            next += 2;
        }
        Some((name, next))
    }

    /// Names in the parentheses at `open`, expressions left out.
    pub(super) fn names_in(&self, open: usize) -> Vec<String> {
        if !self.symbol(open, '(') {
            return Vec::new();
        }
        let end = self.close(open);
        let mut names = Vec::new();
        let mut i = open + 1;
        while i < end {
            let alone = self.symbol(i - 1, '(') || self.symbol(i - 1, ',');
            if let (true, Some((name, next))) = (alone && self.at(i).is_some_and(|t| t.kind != Kind::Param), self.name(i))
                && (next >= end || self.symbol(next, ','))
            {
                names.push(name);
            }
            i += 1;
        }
        names
    }

    /// Tables behind FROM, JOIN and USING, with their index. CTE names of the statement are left out by the caller.
    pub(super) fn sources(&self) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        for i in 0..self.0.len() {
            if found.len() >= SOURCES_MAX {
                break;
            }
            if !self.is_any(i, &["FROM", "JOIN", "USING"]) || i > 0 && self.is(i - 1, "DISTINCT") || self.in_function(i) {
                continue;
            }
            let mut next = self.skip(i + 1, &["ONLY", "LATERAL"]);
            while let Some((name, after)) = self.name(next) {
                if !self.symbol(after, '(') && !self.is_any(next, &["STDIN", "STDOUT"]) {
                    found.push((name, next));
                }
                let alias = self.skip(after, &["AS"]);
                let after = if self.at(alias).is_some_and(|t| part(t).is_some()) { alias + 1 } else { alias };
                if !self.is(i, "FROM") || !self.symbol(after, ',') {
                    break;
                }
                next = after + 1;
            }
        }
        found
    }

    /// `EXTRACT(x FROM y)`, `TRIM(x FROM y)`, `SUBSTRING(x FROM 1)`: not a table.
    fn in_function(&self, i: usize) -> bool {
        let mut depth = 0_i32;
        for j in (i.saturating_sub(100)..i).rev() {
            if self.symbol(j, ')') {
                depth += 1;
            } else if self.symbol(j, '(') {
                if depth == 0 {
                    return j > 0 && self.is_any(j - 1, &["EXTRACT", "TRIM", "SUBSTRING", "OVERLAY", "POSITION"]);
                }
                depth -= 1;
            }
        }
        false
    }
}

/// The bare text of a name token; `None` for anything that cannot be a name.
pub(super) fn part(token: &Token<'_>) -> Option<String> {
    match token.kind {
        Kind::Word if RESERVED.iter().any(|r| token.is(r)) => None,
        Kind::Word => Some(shown(token.text)),
        Kind::Quoted => Some(unquoted(token.text)),
        Kind::Param if token.text.starts_with('%') => Some("${…}".to_owned()),
        Kind::Param if token.text.starts_with(':') => Some(format!("${{{}}}", &token.text[1..])),
        _ => None,
    }
}

/// Holes as people write them: `${name}`.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::new();
    for (i, piece) in text.split(HOLE).enumerate() {
        if i % 2 == 1 {
            out.push_str(&format!("${{{piece}}}"));
        } else {
            out.push_str(piece);
        }
    }
    out
}

fn unquoted(text: &str) -> String {
    let Some(open) = text.chars().next() else { return String::new() };
    let close = if open == '[' { ']' } else { open };
    let inner = text.strip_prefix(open).unwrap_or(text);
    let inner = inner.strip_suffix(close).unwrap_or(inner);
    shown(&inner.replace(&format!("{close}{close}"), &close.to_string()))
}

/// The last part of a qualified name.
pub(super) fn bare(name: &str) -> &str {
    if name.contains("${") { name } else { name.rsplit('.').next().unwrap_or(name) }
}
