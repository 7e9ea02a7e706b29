//! Names and text literals in SQL, safe whatever they contain (H21).

use syncline_model::TableName;

/// `` `name` ``, with backticks doubled.
pub(crate) fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Quoted, qualified table name.
pub(crate) fn table(t: &TableName) -> String {
    match &t.schema {
        Some(s) => format!("{}.{}", name(s), name(&t.name)),
        None => name(&t.name),
    }
}

/// A text literal. The pinned `sql_mode` keeps backslash as the escape character.
pub(crate) fn text(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_quoted(&mut out, text.as_bytes());
    String::from_utf8(out).expect("invariant: escaping adds only ASCII to UTF-8")
}

/// Appends `'…'` with everything escaped that could end the literal. Bytes above 0x7F pass: in UTF-8 none of them is a quote.
pub(crate) fn push_quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'\'');
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|b| matches!(b, b'\'' | b'\\' | 0)) {
        out.extend_from_slice(&rest[..at]);
        out.push(b'\\');
        out.push(if rest[at] == 0 { b'0' } else { rest[at] });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    // case: H21
    #[test]
    fn quotes_inside_names_and_texts_never_end_them() {
        assert_eq!(name("a`b"), "`a``b`");
        assert_eq!(table(&TableName::within("we\"ird", "x;--")), "`we\"ird`.`x;--`");
        assert_eq!(text("a'b\\c\0d"), r"'a\'b\\c\0d'");
    }
}
