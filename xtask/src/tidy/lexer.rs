//! Tells code, comments and literals of Rust apart: all that the rules need of a lexer.

/// What a byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Code,
    Comment,
    /// Strings and characters, with their quotes.
    Literal,
}

/// `text` with everything but `parts` turned into spaces; line breaks stay.
pub(crate) fn only(text: &str, parts: &[Part]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let (part, end) = token(text.as_bytes(), at);
        if !parts.contains(&part) {
            bytes[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        }
        at = end;
    }
    String::from_utf8(bytes).expect("invariant: whole tokens are blanked, and tokens end at character boundaries")
}

/// The part that begins at `at`, and where it ends.
fn token(bytes: &[u8], at: usize) -> (Part, usize) {
    let rest = &bytes[at..];
    let after_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if rest.starts_with(b"//") {
        return (Part::Comment, rest.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length));
    }
    if rest.starts_with(b"/*") {
        return (Part::Comment, block_comment(bytes, at));
    }
    if !after_word && let Some(end) = raw_string(bytes, at) {
        return (Part::Literal, end);
    }
    match rest[0] {
        b'"' => (Part::Literal, quoted(bytes, at, b'"')),
        b'\'' if is_character(rest) => (Part::Literal, quoted(bytes, at, b'\'')),
        _ => (Part::Code, at + 1),
    }
}

/// Where the block comment that begins at `at` ends; they nest.
fn block_comment(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut end) = (0_usize, at);
    while end < bytes.len() {
        match &bytes[end..] {
            [b'/', b'*', ..] => (depth, end) = (depth + 1, end + 2),
            [b'*', b'/', ..] => (depth, end) = (depth - 1, end + 2),
            _ => end += 1,
        }
        if depth == 0 {
            break;
        }
    }
    end
}

/// Where the raw string (`r"…"`, `br#"…"#`) that begins at `at` ends, if one does.
fn raw_string(bytes: &[u8], at: usize) -> Option<usize> {
    let prefix = [&b"r"[..], b"br", b"cr"].into_iter().find(|prefix| bytes[at..].starts_with(prefix))?;
    let hashes_at = at + prefix.len();
    let hashes = bytes[hashes_at..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(hashes_at + hashes) != Some(&b'"') {
        return None;
    }
    let begin = hashes_at + hashes + 1;
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let length = bytes[begin..].windows(close.len()).position(|window| window == close);
    Some(length.map_or(bytes.len(), |length| begin + length + close.len()))
}

fn quoted(bytes: &[u8], at: usize, quote: u8) -> usize {
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != quote {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    (end + 1).min(bytes.len())
}

/// A character and not a lifetime: `'\n'`, or one character and a quote.
fn is_character(rest: &[u8]) -> bool {
    if rest.get(1) == Some(&b'\\') {
        return true;
    }
    // The character's bytes beyond the first are continuation bytes.
    let length = 1 + rest.iter().skip(2).take_while(|byte| **byte & 0xc0 == 0x80).count();
    rest.get(1 + length) == Some(&b'\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_comments_and_literals_are_told_apart() {
        let text = "let a = \"// no\"; // yes \"no\"\n/* a /* b */ c */ let r = r#\"q\"x\"#; fn f<'a>(c: 'é', d: '\\'') {}";
        assert_eq!(
            only(text, &[Part::Comment]).split_whitespace().collect::<Vec<_>>(),
            ["//", "yes", "\"no\"", "/*", "a", "/*", "b", "*/", "c", "*/"]
        );
        let code = only(text, &[Part::Code]);
        assert_eq!(code.split_whitespace().collect::<Vec<_>>().join(" "), "let a = ; let r = ; fn f<'a>(c: , d: ) {}");
        assert_eq!(code.lines().count(), 2);
        assert_eq!(only(text, &[Part::Literal]).split_whitespace().collect::<Vec<_>>(), ["\"//", "no\"", "r#\"q\"x\"#", "'é'", "'\\''"]);
    }

    #[test]
    fn an_unfinished_literal_ends_with_the_file() {
        assert_eq!(only("a \"b", &[Part::Code]), "a   ");
        assert_eq!(only("a r#\"b", &[Part::Code]).trim(), "a");
        assert_eq!(only("a /* b", &[Part::Code]).trim(), "a");
    }
}
