//! The user's `where`: bound scopes, and the destination's own predicate derived from it (R7).

use syncline_connector::{Piece, Predicate};
use syncline_model::{Engine, Value};

/// The marker of the scope in a condition.
const SCOPE_OPEN: &str = "{{";

/// A condition with every `{{ scope }}` bound to the scope's value, never rendered.
///
/// # Errors
/// A sentence when something else stands between the braces, a scope is asked for and there is none, or it would be text of a literal or
/// comment, where nothing can be bound.
pub fn bind(text: &str, scope: Option<&str>, engine: Engine) -> Result<Predicate, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(SCOPE_OPEN) {
        if let Some(within) = open_at_end(&text[..text.len() - rest.len() + at], engine) {
            return Err(format!(
                "`{{{{ scope }}}}` is a value of its own, and cannot stand within {within}: write `column = {{{{ scope }}}}`"
            ));
        }
        let end = rest[at..].find("}}").ok_or("`{{` without `}}`")? + at;
        let name = rest[at + 2..end].trim();
        if name != "scope" {
            return Err(format!("only `{{{{ scope }}}}` can stand in a condition, not `{name}`"));
        }
        let scope = scope.ok_or("`{{ scope }}` needs `scopes:` in the sync")?;
        pieces.push(Piece::Sql(rest[..at].to_owned()));
        pieces.push(Piece::Bound(Value::Text(scope.to_owned())));
        rest = &rest[end + 2..];
    }
    pieces.push(Piece::Sql(rest.to_owned()));
    Ok(Predicate::Sql(pieces))
}

/// What a piece of SQL ends within, when that is no place for a value: the rest would be read as its text.
fn open_at_end(sql: &str, engine: Engine) -> Option<&'static str> {
    let mut rest = sql;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let escapes = engine == Engine::Mysql || c == '\'' && matches!(before, 'e' | 'E');
        let (what, len) = match c {
            '\'' => ("quotes", closing_quote(rest, c, escapes)),
            '"' => ("quotes", closing_quote(rest, c, engine == Engine::Mysql)),
            '`' if engine != Engine::Postgres => ("quotes", closing_quote(rest, c, false)),
            '-' if rest.starts_with("--") => ("a comment", rest.find('\n').map(|i| i + 1)),
            '#' if engine == Engine::Mysql => ("a comment", rest.find('\n').map(|i| i + 1)),
            '/' if rest.starts_with("/*") => ("a comment", closing_comment(rest, engine == Engine::Postgres)),
            '$' if engine == Engine::Postgres && !is_word(before) => match dollar_tag(rest) {
                Some(tag) => ("dollar quotes", rest[tag.len()..].find(tag).map(|i| i + 2 * tag.len())),
                None => ("", Some(1)),
            },
            c => ("", Some(c.len_utf8())),
        };
        let Some(len) = len else { return Some(what) };
        before = rest[..len].chars().next_back().unwrap_or(' ');
        rest = &rest[len..];
    }
    None
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The length of a quoted text; a doubled quote is one of its characters. `None` when it does not end.
fn closing_quote(text: &str, quote: char, escapes: bool) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if escapes => drop(chars.next()),
            c if c == quote && chars.peek().is_some_and(|(_, next)| *next == quote) => drop(chars.next()),
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The length of a comment, within which PostgreSQL counts others.
fn closing_comment(text: &str, nests: bool) -> Option<usize> {
    let (mut at, mut depth) = (2, 1);
    while let Some(found) = text[at..].find(['*', '/']).map(|i| at + i) {
        let (step, change) = match &text[found..] {
            s if s.starts_with("*/") => (2, -1),
            s if nests && s.starts_with("/*") => (2, 1),
            _ => (1, 0),
        };
        (at, depth) = (found + step, depth + change);
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// `$$` or `$name$` at the start of the text.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 1;
    let name = &text[1..end];
    let fits = name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit());
    fits.then(|| &text[..=end])
}

/// The same condition over destination columns, when it is a conjunction of `column = literal` or `column = {{ scope }}`
/// on copied columns; `None` when it cannot be derived and has to be stated as `where_to`.
#[must_use]
pub fn derive(text: &str, scope: Option<&str>, renamed: impl Fn(&str) -> Option<String>) -> Option<Vec<Predicate>> {
    split_and(text)?.into_iter().map(|term| equality(&term, scope, &renamed)).collect()
}

/// The terms of a conjunction. `None` when the text holds anything that could hide an OR, a function or a comment.
fn split_and(text: &str) -> Option<Vec<String>> {
    let mut terms = vec![String::new()];
    let mut chars = text.char_indices().peekable();
    let mut quoted = false;
    while let Some((at, c)) = chars.next() {
        let last = terms.last_mut().expect("invariant: there is always a last term");
        match c {
            '\'' => {
                quoted = !quoted;
                last.push(c);
            }
            _ if quoted => last.push(c),
            '(' | ')' | ';' | '<' | '>' | '!' | '-' if c != '-' || text[at..].starts_with("--") => return None,
            _ => {
                let here = &text[at..];
                let boundary = at == 0 || text[..at].ends_with(char::is_whitespace);
                let is_and = here.len() > 3
                    && here.is_char_boundary(3)
                    && here[..3].eq_ignore_ascii_case("and")
                    && here[3..].starts_with(char::is_whitespace);
                if boundary && is_and {
                    chars.nth(1);
                    terms.push(String::new());
                } else {
                    last.push(c);
                }
            }
        }
    }
    (!quoted).then_some(terms)
}

fn equality(term: &str, scope: Option<&str>, renamed: &impl Fn(&str) -> Option<String>) -> Option<Predicate> {
    let (column, value) = term.split_once('=')?;
    let column = column.trim();
    let bare = column.strip_prefix('"').and_then(|c| c.strip_suffix('"')).unwrap_or(column);
    if bare.is_empty() || !bare.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    Some(Predicate::Equals(renamed(bare)?, literal(value.trim(), scope)?))
}

fn literal(text: &str, scope: Option<&str>) -> Option<Value> {
    if let Some(inner) = text.strip_prefix("{{").and_then(|t| t.strip_suffix("}}")) {
        return (inner.trim() == "scope").then(|| scope.map(|s| Value::Text(s.to_owned())))?;
    }
    if let Some(inner) = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        let plain = inner.replace("''", "\u{0}");
        return (!plain.contains('\'') && !plain.contains('\\')).then(|| Value::Text(plain.replace('\u{0}', "'")));
    }
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ => text.parse().ok().map(Value::I64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    // rule: R7
    #[test]
    fn a_scope_is_bound_and_never_rendered() {
        let p = bind("org = {{ scope }} AND x > 1", Some("a'; drop table x--"), Engine::Postgres).unwrap();
        let Predicate::Sql(pieces) = p else { panic!("a condition stays SQL") };
        assert_eq!(pieces[0], Piece::Sql("org = ".into()));
        assert_eq!(pieces[1], Piece::Bound(Value::Text("a'; drop table x--".into())));
        assert!(bind("org = {{ scope }}", None, Engine::Postgres).is_err());
        assert!(bind("org = {{ other }}", Some("a"), Engine::Postgres).is_err());
    }

    // rule: R7
    #[test]
    fn a_scope_stands_nowhere_but_where_a_value_can() {
        let all = [Engine::Postgres, Engine::Mysql, Engine::Sqlite];
        for (text, engines) in [
            ("org = '{{ scope }}'", &all[..]),
            ("org = 'it''s {{ scope }}'", &all),
            ("a = 1 AND \"x {{ scope }}\" = 2", &all),
            ("a = 1 -- {{ scope }}", &all),
            ("a = 1 /* {{ scope }} */", &all),
            ("`{{ scope }}` = 1", &all[1..]),
            ("a = 'it\\'s' AND org = '{{ scope }}'", &all[1..2]),
            ("a = E'it\\'s' AND org = '{{ scope }}'", &all[..1]),
            ("a = 1 # {{ scope }}", &all[1..2]),
            ("a = $${{ scope }}$$", &all[..1]),
            ("a = $q$ $$ {{ scope }} $q$", &all[..1]),
            ("a = 1 /* /* */ {{ scope }} */", &all[..1]),
        ] {
            for engine in engines {
                assert!(bind(text, Some("x"), *engine).is_err(), "{text} on {engine}");
            }
        }
        for (text, engines) in [
            ("a = '' AND org = {{ scope }}", &all[..]),
            ("a = 'it''s' AND \"b\" = {{ scope }} AND c = 'x'", &all),
            ("a = 1 -- why\n AND org = {{ scope }}", &all),
            ("a = 1 /* why */ AND org = {{ scope }} AND {{ scope }} > 'b'", &all),
            ("a = 'C:\\' AND org = {{ scope }}", &all[..1]),
            ("a = 'it\\'s' AND org = {{ scope }}", &all[1..2]),
            ("data #>> '{a}' = {{ scope }}", &all[..1]),
            ("a = $$it's$$ AND a$b = {{ scope }}", &all[..1]),
        ] {
            for engine in engines {
                assert!(bind(text, Some("x"), *engine).is_ok(), "{text} on {engine}");
            }
        }
    }

    // rule: R7
    #[test]
    fn conjunctions_of_equalities_carry_over_and_nothing_else_does() {
        let p = derive("org = {{ scope }} AND kind = 'it''s' and active = true AND n = 5", Some("a"), same).unwrap();
        assert_eq!(
            p,
            [
                Predicate::Equals("org".into(), Value::Text("a".into())),
                Predicate::Equals("kind".into(), Value::Text("it's".into())),
                Predicate::Equals("active".into(), Value::Bool(true)),
                Predicate::Equals("n".into(), Value::I64(5)),
            ]
        );
        for no in [
            "a = 1 OR b = 2",
            "a > 1",
            "a = b",
            "lower(a) = 'x'",
            "a = 1 -- x",
            "a = 'x",
            "a in (1)",
            "a = 1; drop table x",
            "a <> 1",
            "a != 1",
        ] {
            assert_eq!(derive(no, None, same), None, "{no}");
        }
    }
}
