//! How long files and functions are.

use std::collections::BTreeMap;

use super::source::{File, Tree};

/// A file this long has more than one idea in it.
const FILE_LINES_MAX: usize = 800;
/// Tests are many short pieces in a row, and read one by one.
const TEST_FILE_LINES_MAX: usize = 1500;
/// A function longer than a screen hides its plan.
const FUNCTION_LINES_MAX: usize = 70;

/// What is too long (`file PATH` or `fn PATH::NAME`) and by how many lines it is.
pub(crate) type Offenders = BTreeMap<String, usize>;

pub(crate) fn offenders(tree: &Tree) -> Offenders {
    let mut offenders = Offenders::new();
    for file in tree.rust() {
        let lines = file.text.lines().count();
        if lines > if file.is_test() { TEST_FILE_LINES_MAX } else { FILE_LINES_MAX } {
            offenders.insert(format!("file {}", file.path), lines);
        }
        for (name, lines) in functions(file).into_iter().filter(|(_, lines)| *lines > FUNCTION_LINES_MAX) {
            let longest = offenders.entry(format!("fn {}::{name}", file.path)).or_default();
            *longest = lines.max(*longest);
        }
    }
    offenders
}

/// Name and number of lines of every function with a body.
fn functions(file: &File) -> Vec<(String, usize)> {
    let code = file.code();
    let words =
        code.match_indices("fn ").filter(|(at, _)| !code[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '_'));
    words
        .filter_map(|(at, _)| {
            let rest = &code[at + "fn ".len()..];
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let (_, end) = body(rest)?;
            (!name.is_empty()).then(|| (name, rest[..end].lines().count()))
        })
        .collect()
}

/// Where the body of the function whose signature begins `code` begins and ends; `None` for a declaration.
fn body(code: &str) -> Option<(usize, usize)> {
    let (mut brackets, mut braces, mut begin) = (0_i32, 0_i32, 0);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' if braces == 0 => brackets += 1,
            ')' | ']' if braces == 0 => brackets -= 1,
            ';' if braces == 0 && brackets == 0 => return None,
            '{' if brackets == 0 => {
                begin = if braces == 0 { at } else { begin };
                braces += 1;
            }
            '}' if brackets == 0 => {
                braces -= 1;
                if braces == 0 {
                    return Some((begin, at + 1));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::tree;

    #[test]
    fn long_functions_and_files_are_found() {
        let long = format!(
            "fn short(a: [u8; 2]) -> u8 {{ a[0] }}\ntrait T {{ fn none(&self); }}\nfn long() {{\n{}}}\n",
            "    call({ 1 });\n".repeat(70)
        );
        let found = offenders(&tree(&[("crates/a/src/a.rs", &long), ("crates/a/src/b.rs", &"//!\n".repeat(801))]));
        let expected = [("file crates/a/src/b.rs".to_owned(), 801), ("fn crates/a/src/a.rs::long".to_owned(), 72)];
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn test_files_may_be_longer() {
        let text = "//!\n".repeat(1500);
        assert!(offenders(&tree(&[("crates/a/tests/a.rs", &text), ("crates/a/src/b/tests.rs", &text)])).is_empty());
    }

    #[test]
    fn braces_in_literals_and_comments_do_not_count() {
        let text = "fn a() { let s = \"}\"; /* } */ let c = '}';\n}\nfn b() {}\n";
        let file = File { path: String::new(), text: text.to_owned() };
        assert_eq!(functions(&file), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    }
}
