//! `${VAR}`, `${VAR:-default}` and `${file:NAME}` in scalar values, after parsing: what a variable holds can never become YAML.
//!
//! `$${` stands for `${` itself. A value that was put in is not looked at again.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::SecretString;

use super::fault::ConfigError;
use super::tree::{Node, Scalar};

/// Largest secret file: keys and certificates are far smaller.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Where values come from.
pub(super) struct Source<'s> {
    /// The real environment; it wins.
    pub environment: &'s dyn Fn(&str) -> Option<String>,
    /// `.env` beside the configuration.
    pub dotenv: BTreeMap<String, String>,
    /// What `${file:NAME}` is relative to.
    pub directory: &'s Path,
}

/// Puts values in, everywhere; gives what was put in, for logs to leave out, and what is wrong.
pub(super) fn substitute(tree: &mut Node, source: &Source<'_>) -> (Vec<SecretString>, Vec<ConfigError>) {
    let (mut secrets, mut errors) = (Vec::new(), Vec::new());
    tree.each_scalar(&mut Vec::new(), &mut |path, line, scalar| {
        if !scalar.text.contains("${") {
            return;
        }
        match replaced(&scalar.text, source) {
            Ok((text, found)) => {
                let secret = path.last().is_some_and(|p| p == "url");
                secrets.extend(found.into_iter().filter(|s| secret && !s.is_empty()).map(SecretString::from));
                *scalar = Scalar { written: Some(std::mem::take(&mut scalar.text)), text, open: scalar.open };
            }
            Err((code, message, hint)) => errors.push(ConfigError::new(code, path, message).hint(hint).at(line)),
        }
    });
    (secrets, errors)
}

type Refusal = (&'static str, String, String);

/// The text with everything put in, and what was put in.
fn replaced(text: &str, source: &Source<'_>) -> Result<(String, Vec<String>), Refusal> {
    let (mut out, mut found) = (String::with_capacity(text.len()), Vec::new());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = &reference[2..];
            continue;
        }
        out.push_str(before);
        let Some(end) = reference.find('}') else {
            let hint = "write `${VAR}`, `${VAR:-default}` or `${file:NAME}`; `$${` stands for `${` itself".to_owned();
            return Err(("config_invalid", "a `${` is not closed with `}`".to_owned(), hint));
        };
        let value = source.value(&reference[2..end])?;
        out.push_str(&value);
        found.push(value);
        rest = &reference[end + 1..];
    }
    out.push_str(rest);
    Ok((out, found))
}

impl Source<'_> {
    fn value(&self, reference: &str) -> Result<String, Refusal> {
        if let Some(name) = reference.strip_prefix("file:") {
            return self.file(name);
        }
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        if !is_name(name) {
            let hint = "names have letters, digits and `_`: `${VAR}`; `$${` stands for `${` itself".to_owned();
            return Err(("config_invalid", format!("`${{{name}}}` names no variable"), hint));
        }
        let value = (self.environment)(name).or_else(|| self.dotenv.get(name).cloned());
        match (value, default) {
            (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
            (Some(value), _) => Ok(value),
            (None, Some(default)) => Ok(default.to_owned()),
            (None, None) => {
                let hint = format!("set it, add `{name}=…` to `.env` beside this file, or give a default: `${{{name}:-value}}`");
                Err(("secret_missing", format!("the variable {name} is not set"), hint))
            }
        }
    }

    /// The content of a file without the newline that editors add; only one, for a secret may end in others (G10).
    fn file(&self, name: &str) -> Result<String, Refusal> {
        let refusal = |what: String| Err(("secret_missing", format!("the file `{name}` {what}"), "check its path and rights".to_owned()));
        let path = self.directory.join(name);
        match std::fs::metadata(&path) {
            Ok(m) if m.len() > SECRET_BYTES_MAX => return refusal(format!("has more than {SECRET_BYTES_MAX} bytes")),
            Ok(_) | Err(_) => {}
        }
        match std::fs::read_to_string(&path) {
            Ok(mut text) => {
                if text.ends_with('\n') {
                    text.pop();
                    if text.ends_with('\r') {
                        text.pop();
                    }
                }
                Ok(text)
            }
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => refusal("is not UTF-8 text".to_owned()),
            Err(e) => refusal(format!("cannot be read: {}", e.kind())),
        }
    }
}

pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
