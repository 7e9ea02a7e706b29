//! Cuts SQL of three dialects into tokens, tolerantly: whatever the text is, it ends and never fails.
//!
//! Known are the comments, quotes and escapes of PostgreSQL, MySQL/MariaDB and SQLite, dollar quotes, `DELIMITER`,
//! MySQL's executable comments, `COPY … FROM stdin` data and `psql` backslash commands. A hole left by the host language's
//! interpolation (`${table}`) is part of a word, between two [`HOLE`] characters.

use super::report::Dialect;

/// Marks both ends of an interpolated expression inside a fragment.
pub(super) const HOLE: char = '\u{1}';

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Keyword, bare name, or interpolated part.
    Word,
    /// `"name"`, `` `name` ``, `[name]`.
    Quoted,
    /// A text literal.
    Text,
    /// `$tag$ … $tag$`; the text is the body alone.
    Body,
    /// A number.
    Number,
    /// `?`, `$1`, `:name`, `@name`, `%s`.
    Param,
    /// One character of punctuation.
    Symbol,
    /// End of a statement.
    End,
}

/// A piece of SQL and where it starts in its fragment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl Token<'_> {
    /// Whether this is the bare word `word`, in any case.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether this is any of these bare words.
    pub(super) fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|w| self.is(w))
    }

    /// Whether this is the punctuation `c`.
    pub(super) fn symbol(&self, c: char) -> bool {
        self.kind == Kind::Symbol && self.text.starts_with(c)
    }
}

/// Tokens of `sql`. Quotes that never close run to the end of the text.
pub(super) fn tokens(sql: &str, dialect: Dialect) -> Vec<Token<'_>> {
    let mut lexer = Lexer { sql, bytes: sql.as_bytes(), at: 0, dialect, out: Vec::new(), delimiter: None, statement: 0 };
    while lexer.at < lexer.bytes.len() {
        lexer.step();
    }
    lexer.out
}

struct Lexer<'a> {
    sql: &'a str,
    bytes: &'a [u8],
    at: usize,
    dialect: Dialect,
    out: Vec<Token<'a>>,
    delimiter: Option<&'a str>,
    /// Index of the first token of the current statement.
    statement: usize,
}

fn wordy(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b >= 0x80
}

impl<'a> Lexer<'a> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn rest(&self) -> &'a str {
        self.sql.get(self.at..).unwrap_or("")
    }

    fn push(&mut self, kind: Kind, from: usize, to: usize) {
        let text = self.sql.get(from..to).unwrap_or("");
        self.out.push(Token { kind, text, at: from });
    }

    fn step(&mut self) {
        let b = self.bytes[self.at];
        if b.is_ascii_whitespace() {
            self.at += 1;
            return;
        }
        if self.comment() || self.delimiter_line() || self.custom_delimiter() {
            return;
        }
        let from = self.at;
        match b {
            b';' => self.end(1),
            b'\'' => self.text(),
            b'"' | b'`' => self.quoted(b),
            b'[' if self.bracket_names() => self.quoted(b']'),
            b'$' => self.dollar(),
            b'\\' => self.backslash(),
            b'?' => self.param(1),
            b':' if self.peek(1) == b':' => self.symbols(2),
            b':' | b'@' if wordy(self.peek(1)) => self.param(1),
            b'%' if self.peek(1) == b's' || self.peek(1) == b'd' || self.peek(1) == b'(' => self.percent(),
            b'0'..=b'9' => {
                while self.at < self.bytes.len() && (wordy(self.bytes[self.at]) || self.bytes[self.at] == b'.') {
                    self.at += 1;
                }
                self.push(Kind::Number, from, self.at);
            }
            _ if wordy(b) || b == HOLE as u8 => self.word(),
            _ => self.symbols(1),
        }
    }

    fn symbols(&mut self, n: usize) {
        self.push(Kind::Symbol, self.at, self.at + n);
        self.at += n;
    }

    fn skip_to(&mut self, needle: &str) {
        self.at = self.rest().find(needle).map_or(self.bytes.len(), |i| self.at + i + needle.len());
    }

    /// `--`, `#` (MySQL), `/* */` (nested in PostgreSQL); MySQL's `/*!40101 … */` counts as code.
    fn comment(&mut self) -> bool {
        let mysql = self.dialect == Dialect::Mysql;
        let dashes = self.peek(0) == b'-' && self.peek(1) == b'-';
        if dashes && (!mysql || self.peek(2) == 0 || self.peek(2).is_ascii_whitespace()) || mysql && self.peek(0) == b'#' {
            self.skip_to("\n");
            return true;
        }
        if self.peek(0) == b'*' && self.peek(1) == b'/' {
            self.at += 2;
            return true;
        }
        if self.peek(0) != b'/' || self.peek(1) != b'*' {
            return false;
        }
        if self.peek(2) == b'!' || self.peek(2) == b'M' && self.peek(3) == b'!' {
            self.at += 3;
            while self.peek(0) == b'!' || self.peek(0).is_ascii_digit() {
                self.at += 1;
            }
            return true;
        }
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') if depth == 0 || self.dialect == Dialect::Postgres => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return true;
                    }
                }
                _ if self.at >= self.bytes.len() => return true,
                _ => self.at += 1,
            }
        }
    }

    fn at_line_start(&self) -> bool {
        self.sql
            .get(..self.at)
            .is_none_or(|before| before.trim_end_matches([' ', '\t']).is_empty() || before.trim_end_matches([' ', '\t']).ends_with('\n'))
    }

    /// `DELIMITER //` of the MySQL client.
    fn delimiter_line(&mut self) -> bool {
        let rest = self.rest();
        let Some(head) = rest.get(..10) else { return false };
        if !head.eq_ignore_ascii_case("delimiter ") || !self.at_line_start() {
            return false;
        }
        let line = rest.lines().next().unwrap_or("");
        let mark = line.get(10..).unwrap_or("").trim();
        self.delimiter = (!mark.is_empty() && mark != ";").then_some(mark);
        self.at += line.len();
        true
    }

    fn custom_delimiter(&mut self) -> bool {
        let Some(mark) = self.delimiter else { return false };
        if !self.rest().starts_with(mark) {
            return false;
        }
        self.end(mark.len());
        true
    }

    /// Ends the statement; after `COPY … FROM stdin` also passes over its data.
    fn end(&mut self, width: usize) {
        let statement = self.out.get(self.statement..).unwrap_or(&[]);
        let copies = statement.first().is_some_and(|t| t.is("COPY")) && statement.iter().any(|t| t.is("STDIN"));
        self.push(Kind::End, self.at, self.at + width);
        self.at += width;
        self.statement = self.out.len();
        if copies {
            match self.rest().find("\n\\.") {
                Some(i) => self.at += i + 3,
                None => self.at = self.bytes.len(),
            }
        }
    }

    /// `'…'` with `''`, and with backslash escapes where the dialect or an `E` before it has them.
    fn text(&mut self) {
        let from = self.at;
        let escapes = self.dialect == Dialect::Mysql || self.out.last().is_some_and(|t| t.is("E") && t.at + 1 == from);
        self.at += 1;
        while self.at < self.bytes.len() {
            match self.bytes[self.at] {
                b'\\' if escapes => self.at += 2,
                b'\'' if self.peek(1) == b'\'' => self.at += 2,
                b'\'' => {
                    self.at += 1;
                    break;
                }
                _ => self.at += 1,
            }
        }
        self.at = self.boundary(self.at);
        self.push(Kind::Text, from, self.at);
    }

    /// The nearest character boundary at or after `at`: an escape may have jumped into a character.
    fn boundary(&self, at: usize) -> usize {
        (at.min(self.bytes.len())..=self.bytes.len()).find(|i| self.sql.is_char_boundary(*i)).unwrap_or(self.bytes.len())
    }

    fn quoted(&mut self, close: u8) {
        let from = self.at;
        self.at += 1;
        while self.at < self.bytes.len() {
            if self.bytes[self.at] == close {
                if close != b']' && self.peek(1) == close {
                    self.at += 2;
                    continue;
                }
                self.at += 1;
                break;
            }
            self.at += 1;
        }
        self.push(Kind::Quoted, from, self.at);
    }

    /// `[name]` is a name only where a name is due; elsewhere it is an array.
    fn bracket_names(&self) -> bool {
        const BEFORE: [&str; 9] = ["INTO", "FROM", "JOIN", "UPDATE", "TABLE", "EXISTS", "TRUNCATE", "ONLY", "ON"];
        self.out.last().is_some_and(|t| t.is_any(&BEFORE) || t.symbol('.'))
    }

    /// `$tag$ … $tag$`, `$1`, or a word.
    fn dollar(&mut self) {
        let rest = self.rest();
        let tag = rest.get(1..).and_then(|r| r.find('$')).map_or("", |i| &rest[..i + 2]);
        let plain = tag.len() >= 2 && tag[1..tag.len() - 1].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if plain && !tag[1..].starts_with(|c: char| c.is_ascii_digit()) {
            let from = self.at + tag.len();
            let body = self.sql.get(from..).unwrap_or("");
            let length = body.find(tag).unwrap_or(body.len());
            self.push(Kind::Body, from, from + length);
            self.at = (from + length + tag.len()).min(self.bytes.len());
        } else if self.peek(1).is_ascii_digit() {
            self.param(1);
        } else {
            self.word();
        }
    }

    fn param(&mut self, prefix: usize) {
        let from = self.at;
        self.at += prefix;
        if self.bytes[from] != b'?' {
            while self.at < self.bytes.len() && (wordy(self.bytes[self.at]) || self.bytes[self.at] == b'@') {
                self.at += 1;
            }
        }
        self.push(Kind::Param, from, self.at);
    }

    /// Python's `%s` and `%(name)s`; elsewhere a modulo.
    fn percent(&mut self) {
        let from = self.at;
        if self.peek(1) == b'(' {
            let name = self.rest().find(')').filter(|i| self.bytes.get(self.at + i + 1) == Some(&b's'));
            match name {
                Some(i) => self.at += i + 2,
                None => return self.symbols(1),
            }
        } else if wordy(self.peek(2)) {
            return self.symbols(1);
        } else {
            self.at += 2;
        }
        self.push(Kind::Param, from, self.at);
    }

    fn word(&mut self) {
        let from = self.at;
        while self.at < self.bytes.len() {
            let b = self.bytes[self.at];
            if b == HOLE as u8 {
                self.at += 1;
                self.at = self.rest().find(HOLE).map_or(self.bytes.len(), |i| self.at + i + 1);
            } else if wordy(b) {
                self.at += 1;
            } else {
                break;
            }
        }
        self.push(Kind::Word, from, self.at);
    }

    /// A `psql` command is a statement of one line; `\copy` keeps its words, the others say nothing about tables.
    fn backslash(&mut self) {
        let line = self.rest().lines().next().unwrap_or("");
        let copies = line.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("\\copy"));
        if self.at_line_start() && !copies {
            self.at += line.len();
        } else if copies && self.at_line_start() {
            let (from, to) = (self.at + 1, self.at + line.len());
            self.push(Kind::End, self.at, self.at);
            let base = from;
            for t in tokens(self.sql.get(from..to).unwrap_or(""), self.dialect) {
                self.out.push(Token { at: t.at + base, ..t });
            }
            self.at = to;
            self.push(Kind::End, to, to);
            self.statement = self.out.len();
        } else {
            self.symbols(1);
        }
    }
}
