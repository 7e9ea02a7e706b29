//! The page behind every code: what it means, why it happens, what to do. Embedded, so that it is at hand where the error is.

/// Every code with its page, sorted by code; made by `build.rs` from `docs/errors/*.md`.
const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/error_pages.rs"));

/// The page of a code, in Markdown.
#[must_use]
pub fn page(code: &str) -> Option<&'static str> {
    PAGES.binary_search_by_key(&code, |&(c, _)| c).ok().map(|at| PAGES[at].1)
}

/// Every code that has a page, sorted.
pub fn codes() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(code, _)| *code)
}

/// What a code means in one sentence: the first line of its page that is no heading.
#[must_use]
pub fn title(code: &str) -> Option<&'static str> {
    page(code)?.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_by_code_and_an_unknown_code_has_none() {
        for code in codes() {
            assert!(page(code).is_some_and(|p| !p.trim().is_empty()), "{code}");
        }
        assert_eq!(page("no_such_code"), None);
    }
}
