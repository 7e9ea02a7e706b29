//! Every crate in the graph comes under a licence we can ship with.

use serde_json::Value;

use super::Problems;
use super::dependencies::packages;

/// The same list as in `deny.toml`.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

pub(crate) fn check(metadata: &Value) -> Problems {
    packages(metadata)
        .filter_map(|package| {
            let name = package["name"].as_str().unwrap_or_default();
            match package["license"].as_str() {
                Some(expression) if is_allowed(expression) => None,
                Some(expression) => Some(format!("`{name}` is under `{expression}`, which is not on the list")),
                None => Some(format!("`{name}` names no licence")),
            }
        })
        .collect()
}

/// Whether an SPDX expression can be met with allowed licences alone: any side of an OR, every side of an AND.
fn is_allowed(expression: &str) -> bool {
    // `MIT/Apache-2.0` is how OR was written before SPDX.
    let words = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut at = 0;
    let allowed = either(&words, &mut at);
    allowed && at == words.len()
}

fn either(words: &[&str], at: &mut usize) -> bool {
    let mut allowed = both(words, at);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        allowed |= both(words, at);
    }
    allowed
}

fn both(words: &[&str], at: &mut usize) -> bool {
    let mut allowed = single(words, at);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        allowed &= single(words, at);
    }
    allowed
}

fn single(words: &[&str], at: &mut usize) -> bool {
    if words.get(*at) == Some(&"(") {
        *at += 1;
        let allowed = either(words, at);
        *at += 1;
        return allowed;
    }
    let length = if words.get(*at + 1) == Some(&"WITH") { 3 } else { 1 };
    let licence = words.iter().skip(*at).take(length).copied().collect::<Vec<_>>().join(" ");
    *at += length;
    ALLOWED.contains(&licence.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expressions_are_read_as_spdx_means_them() {
        for good in ["MIT", "GPL-3.0 OR MIT", "MIT/Apache-2.0", "(GPL-3.0 OR MIT) AND ISC", "Apache-2.0 WITH LLVM-exception OR GPL-2.0"] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND AGPL-3.0", "GPL-2.0 WITH Classpath-exception-2.0", "", "MIT )"] {
            assert!(!is_allowed(bad), "{bad}");
        }
    }

    #[test]
    fn a_crate_without_a_good_licence_is_named() {
        let graph = json!({ "packages": [{ "name": "a", "license": "AGPL-3.0" }, { "name": "b" }, { "name": "c", "license": "MIT" }] });
        assert_eq!(check(&graph), ["`a` is under `AGPL-3.0`, which is not on the list", "`b` names no licence"]);
    }

    #[test]
    fn the_list_is_the_one_in_deny_toml() {
        let deny = std::fs::read_to_string(crate::command::root().join("deny.toml")).expect("deny.toml");
        let allow = deny.split("allow = [").nth(1).and_then(|rest| rest.split(']').next()).expect("an allow list");
        let listed: Vec<&str> = allow.split(',').map(|name| name.trim().trim_matches('"')).filter(|name| !name.is_empty()).collect();
        assert_eq!(listed, ALLOWED);
    }
}
