//! Every stable error code has its page in `docs/errors/`, and every page a code.

use std::collections::BTreeMap;

use super::Problems;
use super::source::Tree;

pub(crate) fn check(tree: &Tree) -> Problems {
    let codes = codes(tree);
    let pages: Vec<&str> = tree.files.iter().filter_map(|file| file.path.strip_prefix("docs/errors/")?.strip_suffix(".md")).collect();
    let missing = codes
        .iter()
        .filter(|(code, _)| !pages.contains(&code.as_str()))
        .map(|(code, path)| format!("`{code}` ({path}) has no page docs/errors/{code}.md"));
    let literals: String = tree.shipped().map(|file| file.code_and_literals()).collect();
    let orphans = pages.iter().filter(|page| **page != "README" && !literals.contains(&format!("\"{page}\"")));
    orphans.map(|page| format!("docs/errors/{page}.md is about a code that no code uses")).chain(missing).collect()
}

/// Codes with the first file that uses them: the string after `ErrorKind::X,` and after `code:`.
fn codes(tree: &Tree) -> BTreeMap<String, &str> {
    let mut codes = BTreeMap::new();
    for file in tree.shipped() {
        let code = file.code_and_literals();
        let after_kind = code.split("ErrorKind::").skip(1).filter_map(|rest| rest.split_once(',')).filter(|(kind, _)| is_word(kind));
        let after_field = code.split("code:").skip(1);
        for rest in after_kind.map(|(_, rest)| rest).chain(after_field) {
            if let Some(code) = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()).filter(|code| is_code(code)) {
                codes.entry(code.to_owned()).or_insert(file.path.as_str());
            }
        }
    }
    codes
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(char::is_alphanumeric)
}

fn is_code(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::tree;

    #[test]
    fn codes_without_pages_and_pages_without_codes_are_reported() {
        let files = [
            (
                "crates/a/src/a.rs",
                "fn f() { Error::new(ErrorKind::Invalid, \"url_invalid\", m); Error::new(\n ErrorKind::Internal,\n \"internal\", m);\n\
                 Reject { code: \"not_null\" }; ErrorKind::A | ErrorKind::B => \"other\", }\n#[cfg(test)]\nmod tests { fn g() { x(ErrorKind::Invalid, \"test_only\") } }",
            ),
            ("docs/errors/internal.md", ""),
            ("docs/errors/gone.md", ""),
            ("docs/errors/README.md", ""),
        ];
        assert_eq!(
            check(&tree(&files)),
            [
                "docs/errors/gone.md is about a code that no code uses",
                "`not_null` (crates/a/src/a.rs) has no page docs/errors/not_null.md",
                "`url_invalid` (crates/a/src/a.rs) has no page docs/errors/url_invalid.md",
            ]
        );
    }
}
