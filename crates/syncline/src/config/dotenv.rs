//! `.env`: lines of `NAME=value`, so that secrets need not be in the configuration or the shell's history.

use std::collections::BTreeMap;
use std::path::Path;

use super::fault::ConfigError;
use super::substitute::is_name;

/// What `.env` in a directory says; nothing when there is none. Errors name the line, never a value.
pub(super) fn read(directory: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    match std::fs::read_to_string(directory.join(".env")) {
        Ok(text) => parse(&text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(e) => {
            Err(ConfigError::new("file_missing", &[], format!("`.env` cannot be read: {}", e.kind()))
                .hint("check its rights, or remove it"))
        }
    }
}

fn parse(text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut values = BTreeMap::new();
    for (n, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let refuse = |what: &str| ConfigError::new("config_invalid", &[], format!("`.env` line {}: {what}", n + 1));
        let assignment = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) =
            assignment.split_once('=').ok_or_else(|| refuse("no `=`").hint("lines are `NAME=value` or comments with `#`"))?;
        let name = name.trim();
        if !is_name(name) {
            return Err(refuse("what is left of `=` is no name").hint("names have letters, digits and `_`"));
        }
        let value =
            unquoted(value.trim()).ok_or_else(|| refuse("a quote is not closed").hint("put the whole value in one pair of quotes"))?;
        values.insert(name.to_owned(), value);
    }
    Ok(values)
}

/// The value: in `'…'` as it stands, in `"…"` with `\n`, `\"`, `\\`; bare up to a comment.
fn unquoted(value: &str) -> Option<String> {
    if let Some(rest) = value.strip_prefix('\'') {
        return rest.split_once('\'').map(|(text, _)| text.to_owned());
    }
    let Some(rest) = value.strip_prefix('"') else {
        return Some(value.split(" #").next().unwrap_or_default().trim_end().to_owned());
    };
    let mut out = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return Some(out),
            '\\' => match chars.next()? {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                c @ ('"' | '\\' | '$') => out.push(c),
                c => out.extend(['\\', c]),
            },
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_all_forms_are_read() {
        let text = "# c\n\nA=1\nexport B = two words # note\nC='a # \"b\" $x'\nD=\"q\\\"\\n\\\\ \\$ #\"\nE=\nF=postgres://u:p#w@h/d\nA=2\n";
        let values = parse(text).unwrap();
        let want = [("A", "2"), ("B", "two words"), ("C", "a # \"b\" $x"), ("D", "q\"\n\\ $ #"), ("E", ""), ("F", "postgres://u:p#w@h/d")];
        assert_eq!(values.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), want);
    }

    // case: G10
    #[test]
    fn a_bad_line_is_named_by_number_and_never_by_its_value() {
        for text in ["A=1\nhunter2", "A=1\n1B=hunter2", "A=1\nB=\"hunter2", "A=1\nB='hunter2"] {
            let e = parse(text).unwrap_err();
            assert!(e.message.contains("line 2"), "{e:?}");
            assert!(!format!("{e:?}").contains("hunter2"), "{e:?}");
        }
    }
}
