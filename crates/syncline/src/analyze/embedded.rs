//! Finds SQL inside programs: the string literals and heredocs of TypeScript, JavaScript, Python, Ruby, Go and shell.
//!
//! A fragment keeps a table from its own offsets to the lines of the file, so that a finding can be pointed at. Interpolated
//! expressions become holes (see [`super::token::HOLE`]). Neighbouring literals that the language joins are one fragment.

use super::token::HOLE;

/// SQL text and where it came from.
#[derive(Clone, Debug, Default)]
pub(super) struct Fragment {
    pub(super) text: String,
    /// (offset in `text`, line in the file), ascending.
    lines: Vec<(usize, u32)>,
}

impl Fragment {
    /// A whole SQL file.
    pub(super) fn whole(text: &str) -> Self {
        let mut fragment = Self { text: text.to_owned(), lines: vec![(0, 1)] };
        let mut line = 1;
        for (at, _) in text.match_indices('\n') {
            line += 1;
            fragment.lines.push((at + 1, line));
        }
        fragment
    }

    /// The file's line of an offset.
    pub(super) fn line(&self, at: usize) -> u32 {
        let after = self.lines.partition_point(|(start, _)| *start <= at);
        self.lines.get(after.saturating_sub(1)).map_or(1, |(_, line)| *line)
    }

    fn push(&mut self, c: char) {
        self.text.push(c);
    }

    fn mark(&mut self, line: u32) {
        self.lines.push((self.text.len(), line));
    }
}

/// A language whose literals may hold SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Sql,
    TypeScript,
    JavaScript,
    Python,
    Ruby,
    Go,
    Shell,
}

impl Language {
    /// By file extension.
    pub(super) fn of(extension: &str) -> Option<Self> {
        Some(match extension.to_ascii_lowercase().as_str() {
            "sql" | "psql" | "ddl" => Self::Sql,
            "ts" | "tsx" | "mts" | "cts" => Self::TypeScript,
            "js" | "jsx" | "mjs" | "cjs" => Self::JavaScript,
            "py" => Self::Python,
            "rb" | "rake" => Self::Ruby,
            "go" => Self::Go,
            "sh" | "bash" | "zsh" => Self::Shell,
            _ => return None,
        })
    }

    /// The name reports use.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::TypeScript => "typescript",
            Self::JavaScript => "javascript",
            Self::Python => "python",
            Self::Ruby => "ruby",
            Self::Go => "go",
            Self::Shell => "shell",
        }
    }

    fn slashes(self) -> bool {
        matches!(self, Self::TypeScript | Self::JavaScript | Self::Go)
    }

    fn scripted(self) -> bool {
        matches!(self, Self::TypeScript | Self::JavaScript)
    }
}

/// The fragments of `source` that look like SQL.
pub(super) fn fragments(source: &str, language: Language) -> Vec<Fragment> {
    if language == Language::Sql {
        return vec![Fragment::whole(source)];
    }
    let mut scanner =
        Scanner { chars: source.chars().collect(), at: 0, line: 1, language, out: Vec::new(), joins: false, heredocs: Vec::new() };
    while scanner.at < scanner.chars.len() {
        scanner.step();
    }
    scanner.out.retain(|f| looks_like_sql(&f.text));
    scanner.out
}

/// Starts with a statement's word, written all upper or all lower (prose starts "Update the …"), and goes on.
fn looks_like_sql(text: &str) -> bool {
    const FIRST: [&str; 20] = [
        "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "MERGE", "REPLACE", "CREATE", "ALTER", "DROP", "COPY", "LOAD", "WITH", "BEGIN",
        "SET", "DO", "LOCK", "START", "\\COPY", "EXPLAIN",
    ];
    let mut rest = text.trim_start();
    while rest.starts_with("--") || rest.starts_with("/*") {
        let end = if rest.starts_with("--") { rest.find('\n').map(|i| i + 1) } else { rest.find("*/").map(|i| i + 2) };
        rest = end.and_then(|i| rest.get(i..)).unwrap_or("").trim_start();
    }
    let rest = rest.trim_start_matches(['(', ' ', '\n', '\t']);
    let word: String = rest.chars().take_while(|c| c.is_ascii_alphabetic() || *c == '\\').collect();
    let one_case = word.chars().all(|c| !c.is_ascii_lowercase()) || word.chars().all(|c| !c.is_ascii_uppercase());
    one_case && FIRST.contains(&word.to_ascii_uppercase().as_str()) && rest.len() > word.len()
}

struct Heredoc {
    tag: String,
    interpolates: bool,
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    line: u32,
    language: Language,
    out: Vec<Fragment>,
    /// The next literal continues the last fragment.
    joins: bool,
    /// Announced on this line, to be read from the next.
    heredocs: Vec<Heredoc>,
}

impl Scanner {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn starts(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.peek(i) == c)
    }

    fn bump(&mut self) -> char {
        let c = self.peek(0);
        if c == '\n' {
            self.line += 1;
        }
        self.at += 1;
        c
    }

    fn skip_line(&mut self) {
        while self.at < self.chars.len() && self.peek(0) != '\n' {
            self.at += 1;
        }
    }

    fn step(&mut self) {
        let c = self.peek(0);
        if self.comment(c) || self.heredoc_start() {
            return;
        }
        match c {
            '\n' => {
                self.bump();
                self.joins = self.joins && self.language != Language::Shell;
                self.heredoc_bodies();
            }
            '\'' if self.language == Language::Go => self.rune(),
            '\'' | '"' => self.literal(c),
            '`' if self.language.slashes() => self.literal(c),
            '/' if self.language.scripted() && self.regex_here() => self.regex(),
            '\\' => {
                self.bump();
                if self.language == Language::Shell || self.peek(0) != '\n' {
                    self.bump();
                }
            }
            _ => {
                self.joins = self.joins && self.joiner(c);
                self.bump();
            }
        }
    }

    /// Whether code between two literals keeps them one text.
    fn joiner(&self, c: char) -> bool {
        match self.language {
            Language::Shell => false,
            Language::Python | Language::Ruby => {
                c.is_whitespace() || c == '+' || c.is_ascii_alphabetic() && matches!(self.peek(1), '"' | '\'')
            }
            _ => c.is_whitespace() || c == '+',
        }
    }

    fn comment(&mut self, c: char) -> bool {
        let before = self.at.checked_sub(1).and_then(|i| self.chars.get(i)).copied().unwrap_or('\n');
        let hash = matches!(self.language, Language::Python | Language::Ruby) || self.language == Language::Shell && before.is_whitespace();
        if c == '#' && hash || self.language.slashes() && self.starts("//") {
            self.skip_line();
            return true;
        }
        if !(self.language.slashes() && self.starts("/*")) {
            return false;
        }
        self.at += 2;
        while self.at < self.chars.len() && !self.starts("*/") {
            self.bump();
        }
        self.at += 2;
        true
    }

    /// A slash divides after a value and opens a regular expression elsewhere.
    fn regex_here(&self) -> bool {
        let before = self.chars.get(..self.at).unwrap_or(&[]).iter().rev().find(|c| !matches!(**c, ' ' | '\t'));
        before.is_none_or(|c| matches!(c, '(' | ',' | '=' | ':' | '[' | '!' | '&' | '|' | '?' | '{' | '}' | ';' | '\n'))
    }

    fn regex(&mut self) {
        self.bump();
        let mut class = false;
        while self.at < self.chars.len() && self.peek(0) != '\n' {
            match self.bump() {
                '\\' => {
                    self.bump();
                }
                '[' => class = true,
                ']' => class = false,
                '/' if !class => return,
                _ => {}
            }
        }
    }

    fn rune(&mut self) {
        self.bump();
        while self.at < self.chars.len() && self.peek(0) != '\n' {
            match self.bump() {
                '\\' => {
                    self.bump();
                }
                '\'' => return,
                _ => {}
            }
        }
    }

    /// Reads a literal that opens with `quote` here.
    fn literal(&mut self, quote: char) {
        let triple = self.language == Language::Python && self.peek(1) == quote && self.peek(2) == quote;
        let prefix = self.prefix();
        let raw = match self.language {
            Language::Python => prefix.contains('r'),
            Language::Go => quote == '`',
            Language::Shell | Language::Ruby => quote == '\'',
            _ => false,
        };
        let interpolates = match self.language {
            Language::Python => prefix.contains('f'),
            Language::Ruby | Language::Shell => quote == '"',
            Language::TypeScript | Language::JavaScript => quote == '`',
            Language::Go | Language::Sql => false,
        };
        let lines_allowed = triple || quote == '`' || matches!(self.language, Language::Shell | Language::Ruby);
        let mut fragment = self.open();
        self.at += if triple { 3 } else { 1 };
        fragment.mark(self.line);
        while self.at < self.chars.len() {
            let c = self.peek(0);
            let closes = c == quote && (!triple || self.peek(1) == quote && self.peek(2) == quote);
            if closes {
                self.at += if triple { 3 } else { 1 };
                break;
            }
            if c == '\n' && !lines_allowed {
                break;
            }
            self.literal_char(&mut fragment, raw, interpolates);
        }
        self.close(fragment);
    }

    /// The letters directly before a Python literal.
    fn prefix(&self) -> String {
        let before = self.chars.get(..self.at).unwrap_or(&[]);
        before.iter().rev().take(2).take_while(|c| c.is_ascii_alphabetic()).map(char::to_ascii_lowercase).collect()
    }

    fn literal_char(&mut self, fragment: &mut Fragment, raw: bool, interpolates: bool) {
        let c = self.peek(0);
        if c == '\\' && !raw {
            self.bump();
            let escaped = self.bump();
            match escaped {
                'n' | 't' | 'r' => fragment.push(' '),
                '\n' => fragment.mark(self.line),
                '\\' | '\'' | '"' | '`' | '$' | '#' | '/' => fragment.push(escaped),
                _ => {
                    fragment.push('\\');
                    fragment.push(escaped);
                }
            }
            return;
        }
        if interpolates && self.hole(fragment) {
            return;
        }
        self.bump();
        fragment.push(c);
        if c == '\n' {
            fragment.mark(self.line);
        }
    }

    /// `${x}`, `#{x}`, `{x}`, `$x`: becomes a hole named by the expression.
    fn hole(&mut self, fragment: &mut Fragment) -> bool {
        let (c, next) = (self.peek(0), self.peek(1));
        let braced = match self.language {
            Language::Ruby => c == '#' && next == '{',
            Language::Python => c == '{' && next != '{',
            _ => c == '$' && next == '{',
        };
        let bare = self.language == Language::Shell && c == '$' && (next.is_ascii_alphabetic() || next == '_');
        if !braced && !bare {
            return false;
        }
        self.at += if braced && self.language != Language::Python { 2 } else { 1 };
        let mut name = String::new();
        let mut depth = 1_usize;
        while self.at < self.chars.len() {
            let c = self.peek(0);
            if bare && !(c.is_ascii_alphanumeric() || c == '_') {
                break;
            }
            self.bump();
            depth = match c {
                '{' => depth + 1,
                '}' => depth - 1,
                _ => depth,
            };
            if depth == 0 {
                break;
            }
            name.push(if c == HOLE || c == '\n' { ' ' } else { c });
        }
        fragment.push(HOLE);
        fragment.text.push_str(name.trim());
        fragment.push(HOLE);
        fragment.mark(self.line);
        true
    }

    fn open(&mut self) -> Fragment {
        if self.joins { self.out.pop().unwrap_or_default() } else { Fragment::default() }
    }

    fn close(&mut self, fragment: Fragment) {
        self.out.push(fragment);
        self.joins = true;
    }

    /// `<<EOF`, `<<-'EOF'` (shell), `<<~SQL` (Ruby): the body starts on the next line.
    fn heredoc_start(&mut self) -> bool {
        if !matches!(self.language, Language::Shell | Language::Ruby) || !self.starts("<<") || self.peek(2) == '<' {
            return false;
        }
        let mut i = 2;
        while matches!(self.peek(i), '-' | '~') || self.language == Language::Shell && self.peek(i) == ' ' {
            i += 1;
        }
        let quote = Some(self.peek(i)).filter(|c| matches!(c, '\'' | '"'));
        i += usize::from(quote.is_some());
        let from = self.at + i;
        let tag: String = self.chars.get(from..).unwrap_or(&[]).iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '_').collect();
        if !tag.starts_with(|c: char| c.is_ascii_uppercase() || c == '_') {
            return false;
        }
        self.at = from + tag.chars().count() + usize::from(quote.is_some());
        self.heredocs.push(Heredoc { tag, interpolates: quote != Some('\'') });
        true
    }

    fn heredoc_bodies(&mut self) {
        for heredoc in std::mem::take(&mut self.heredocs) {
            let mut fragment = Fragment::default();
            while self.at < self.chars.len() {
                let line: String = self.chars.get(self.at..).unwrap_or(&[]).iter().take_while(|c| **c != '\n').collect();
                if line.trim() == heredoc.tag {
                    self.skip_line();
                    break;
                }
                fragment.mark(self.line);
                while self.at < self.chars.len() && self.peek(0) != '\n' {
                    self.literal_char(&mut fragment, !heredoc.interpolates, heredoc.interpolates);
                }
                self.bump();
                fragment.push('\n');
            }
            self.out.push(fragment);
            self.joins = false;
        }
    }
}
