//! The user's `where`: bound scopes, and the destination's own predicate derived from it (R7).

use syncline_connector::{Piece, Predicate};
use syncline_model::Value;

/// The marker of the scope in a condition.
const SCOPE_OPEN: &str = "{{";

/// A condition with every `{{ scope }}` bound to the scope's value, never rendered.
///
/// # Errors
/// A sentence when something else stands between the braces, or a scope is asked for and there is none.
pub fn bind(text: &str, scope: Option<&str>) -> Result<Predicate, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(SCOPE_OPEN) {
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
        let p = bind("org = {{ scope }} AND x > 1", Some("a'; drop table x--")).unwrap();
        let Predicate::Sql(pieces) = p else { panic!("a condition stays SQL") };
        assert_eq!(pieces[0], Piece::Sql("org = ".into()));
        assert_eq!(pieces[1], Piece::Bound(Value::Text("a'; drop table x--".into())));
        assert!(bind("org = {{ scope }}", None).is_err());
        assert!(bind("org = {{ other }}", Some("a")).is_err());
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
