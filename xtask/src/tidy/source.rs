//! The files of the project that the rules look at, read once.

use std::path::Path;

use anyhow::{Context, Result};

use super::lexer::{Part, only};

/// One file.
#[derive(Debug)]
pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// All Rust sources and all Markdown of the project.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

impl Tree {
    pub(crate) fn load(root: &Path) -> Result<Tree> {
        let mut tree = Tree::default();
        for top in ["crates", "xtask", "docs"] {
            let dir = root.join(top);
            if dir.is_dir() {
                tree.walk(root, &dir)?;
            }
        }
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn walk(&mut self, root: &Path, dir: &Path) -> Result<()> {
        for entry in std::fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    self.walk(root, &path)?;
                }
            } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "md") {
                let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
                let path = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
                self.files.push(File { path, text });
            }
        }
        Ok(())
    }

    /// Rust sources.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// Rust sources that are part of what ships: no tests, no testkit, no chores.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = &File> {
        self.rust().filter(|file| file.path.starts_with("crates/") && !file.is_test() && !file.path.starts_with("crates/syncline-testkit/"))
    }

    pub(crate) fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

impl File {
    /// `syncline-model` of `crates/syncline-model/src/key.rs`; `xtask` of its own files.
    pub(crate) fn crate_name(&self) -> &str {
        let path = self.path.strip_prefix("crates/").unwrap_or(&self.path);
        path.split('/').next().unwrap_or(path)
    }

    /// A file of nothing but tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// The code with comments and the contents of literals blanked; line breaks stay where they are.
    pub(crate) fn code(&self) -> String {
        only(&self.text, &[Part::Code])
    }

    /// The code with its literals, without comments and without the unit tests at the bottom.
    pub(crate) fn code_and_literals(&self) -> String {
        let text = only(&self.text, &[Part::Code, Part::Literal]);
        let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
        text[..end].to_owned()
    }

    /// The comments alone, each on its line.
    pub(crate) fn comments(&self) -> String {
        only(&self.text, &[Part::Comment])
    }
}

#[cfg(test)]
pub(crate) fn tree(files: &[(&str, &str)]) -> Tree {
    Tree { files: files.iter().map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() }).collect() }
}
