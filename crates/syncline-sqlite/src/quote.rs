//! Names and literals as SQLite's grammar wants them.

/// A quoted identifier, however strange the name is.
pub(crate) fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quoted names, joined by commas.
pub(crate) fn names<S: AsRef<str>>(names: &[S]) -> String {
    names.iter().map(|n| name(n.as_ref())).collect::<Vec<_>>().join(", ")
}

/// A text literal. A literal with a NUL inside would end there, so that such text is spelled in hex.
pub(crate) fn literal(text: &str) -> String {
    if text.contains('\0') {
        let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
        return format!("CAST(x'{hex}' AS TEXT)");
    }
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    // case: H21
    #[test]
    fn quotes_inside_names_and_texts_are_doubled() {
        assert_eq!(super::name("we\"ird;drop table x--"), "\"we\"\"ird;drop table x--\"");
        assert_eq!(super::literal("it's"), "'it''s'");
        assert_eq!(super::literal("a\0b"), "CAST(x'610062' AS TEXT)");
    }
}
