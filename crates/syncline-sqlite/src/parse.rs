//! What the catalogue pragmas do not tell, read from the CREATE TABLE text that SQLite keeps: CHECK conditions,
//! AUTOINCREMENT, and the names and deferral of foreign keys. Text that is not understood yields less, never something wrong.

use syncline_model::schema::Check;

/// Facts of one CREATE TABLE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableSql {
    /// CHECK constraints of columns and table, in order.
    pub checks: Vec<Check>,
    /// The INTEGER PRIMARY KEY is AUTOINCREMENT.
    pub autoincrement: bool,
    /// Foreign keys in the order of their declaration.
    pub foreign_keys: Vec<ForeignKeySql>,
}

/// What a foreign key's own words say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ForeignKeySql {
    /// `CONSTRAINT name`.
    pub name: Option<String>,
    /// `DEFERRABLE INITIALLY DEFERRED`, the only form that defers.
    pub deferred: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum TokenKind {
    /// A bare word, a quoted name, or a string.
    Word,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// Anything else.
    Other,
}

#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    kind: TokenKind,
    text: &'a str,
    start: usize,
    end: usize,
}

impl Token<'_> {
    fn is(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }
}

/// Reads a CREATE TABLE statement.
pub(crate) fn table(sql: &str) -> TableSql {
    let tokens = tokens(sql);
    let mut facts = TableSql::default();
    let Some(open) = tokens.iter().position(|t| t.kind == TokenKind::Open) else { return facts };
    let mut depth = 0usize;
    let mut constraint = None;
    let mut i = open;
    while let Some(t) = tokens.get(i) {
        match t.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            TokenKind::Comma if depth == 1 => constraint = None,
            TokenKind::Word if depth == 1 => i = word(sql, &tokens, i, &mut constraint, &mut facts),
            TokenKind::Word | TokenKind::Comma | TokenKind::Other => {}
        }
        i += 1;
    }
    facts
}

/// Takes in the word at `i` of the table's body; the index of the last token it used.
fn word(sql: &str, tokens: &[Token<'_>], i: usize, constraint: &mut Option<String>, facts: &mut TableSql) -> usize {
    let t = &tokens[i];
    let first_of_item = matches!(tokens[i - 1].kind, TokenKind::Comma | TokenKind::Open);
    if t.is("CONSTRAINT")
        && let Some(name) = tokens.get(i + 1)
    {
        *constraint = Some(unquote(name.text));
        return i + 1;
    }
    if t.is("CHECK")
        && let Some(close) = closing(tokens, i + 1)
    {
        let expression = sql[tokens[i + 1].end..tokens[close].start].trim().to_owned();
        let name = constraint.take().unwrap_or_else(|| format!("check_{}", facts.checks.len() + 1));
        facts.checks.push(Check { name, expression });
        return close;
    }
    // A column may be called `references` or `autoincrement`; the keyword never starts an item.
    if t.is("AUTOINCREMENT") && !first_of_item {
        facts.autoincrement = true;
    }
    if t.is("REFERENCES") && !first_of_item {
        facts.foreign_keys.push(ForeignKeySql { name: constraint.take(), deferred: false });
    }
    let deferred = t.is("DEFERRED") && tokens[i - 1].is("INITIALLY");
    if deferred && let Some(key) = facts.foreign_keys.last_mut() {
        // NOT DEFERRABLE INITIALLY DEFERRED does not defer.
        let negated = i >= 3 && tokens[i - 3].is("NOT");
        key.deferred = !negated;
    }
    i
}

/// The index of the parenthesis that closes the one at `open`.
fn closing(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    (tokens.get(open)?.kind == TokenKind::Open).then_some(())?;
    let mut depth = 0usize;
    for (i, t) in tokens.iter().enumerate().skip(open) {
        match t.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => {
                depth -= 1;
                if depth == 0 {
                    return Some(i);
                }
            }
            TokenKind::Word | TokenKind::Comma | TokenKind::Other => {}
        }
    }
    None
}

/// A name without its quotes.
fn unquote(text: &str) -> String {
    let inner = |close: &str, text: &str| text[1..].strip_suffix(close).unwrap_or(&text[1..]).to_owned();
    match text.as_bytes().first() {
        Some(b'"') => inner("\"", text).replace("\"\"", "\""),
        Some(b'`') => inner("`", text).replace("``", "`"),
        Some(b'\'') => inner("'", text).replace("''", "'"),
        Some(b'[') => inner("]", text),
        _ => text.to_owned(),
    }
}

fn tokens(sql: &str) -> Vec<Token<'_>> {
    let bytes = sql.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        let start = at;
        let kind = match b {
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at = find(sql, at, "\n");
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = find(sql, at + 2, "*/");
                continue;
            }
            b if b.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'"' | b'`' | b'\'' => {
                at = quoted_end(bytes, at, b);
                TokenKind::Word
            }
            b'[' => {
                at = find(sql, at, "]");
                TokenKind::Word
            }
            b'(' => single(&mut at, TokenKind::Open),
            b')' => single(&mut at, TokenKind::Close),
            b',' => single(&mut at, TokenKind::Comma),
            b if in_word(b) => {
                at += bytes[at..].iter().take_while(|&&b| in_word(b)).count();
                TokenKind::Word
            }
            _ => single(&mut at, TokenKind::Other),
        };
        out.push(Token { kind, text: &sql[start..at], start, end: at });
    }
    out
}

fn single(at: &mut usize, kind: TokenKind) -> TokenKind {
    *at += 1;
    kind
}

fn in_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b >= 0x80
}

/// The place just behind the next `what`, or the end.
fn find(sql: &str, from: usize, what: &str) -> usize {
    sql.get(from..).and_then(|rest| rest.find(what)).map_or(sql.len(), |n| from + n + what.len())
}

/// The place just behind a quoted token; a doubled quote is part of it.
fn quoted_end(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while let Some(&b) = bytes.get(at) {
        at += 1;
        if b == quote {
            if bytes.get(at) != Some(&quote) {
                break;
            }
            at += 1;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_are_found_among_comments_and_strange_names() {
        let sql = "CREATE TABLE \"we(ird\" ( -- a ) comment\n id INTEGER PRIMARY KEY AUTOINCREMENT, \
                   [a,b] TEXT CONSTRAINT \"short \"\"one\" CHECK (length([a,b]) < 10 /* ) */ OR 'it''s)' = [a,b]), \
                   \"references\" INT CONSTRAINT up REFERENCES p(x) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, \
                   c REFERENCES q NOT DEFERRABLE INITIALLY DEFERRED, CHECK(c > 0), FOREIGN KEY (c) REFERENCES r (z)) STRICT";
        let facts = table(sql);
        assert!(facts.autoincrement);
        assert_eq!(facts.checks.len(), 2);
        assert_eq!(facts.checks[0].name, "short \"one");
        assert_eq!(facts.checks[0].expression, "length([a,b]) < 10 /* ) */ OR 'it''s)' = [a,b]");
        assert_eq!(facts.checks[1], Check { name: "check_2".into(), expression: "c > 0".into() });
        let fks: Vec<_> = facts.foreign_keys.iter().map(|f| (f.name.as_deref(), f.deferred)).collect();
        assert_eq!(fks, [(Some("up"), true), (None, false), (None, false)]);
    }

    #[test]
    fn text_that_is_no_table_yields_nothing() {
        for sql in ["", "CREATE VIEW v AS SELECT 1", "CREATE TABLE t(", "((((", "CREATE TABLE t (a CHECK (", "'\"`["] {
            assert_eq!(table(sql).checks, []);
        }
    }

    proptest::proptest! {
        #[test]
        fn the_parser_never_panics(sql in "[a-zA-Z(),'\"`\\[\\]/*\\- \n]{0,60}") {
            let _ = table(&format!("CREATE TABLE t ({sql}"));
            let _ = table(&sql);
        }
    }
}
