//! Finds the scripts under the given paths, within bounds, and never follows a symbolic link.

use std::fs;
use std::path::{Path, PathBuf};

use syncline_connector::{Error, ErrorKind, Result};

use super::embedded::Language;
use super::report::Skipped;

/// Larger files are data, not scripts; a tokenised file takes about ten times its size in memory.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// More files than this is a whole disk, not a folder of scripts.
const FILES_MAX: usize = 10_000;
const DEPTH_MAX: usize = 32;
/// Folders that hold other people's code or no code.
const NOT_OURS: [&str; 8] = ["node_modules", "target", "vendor", "dist", "build", "__pycache__", "venv", "coverage"];

/// A script that was read.
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) language: Language,
    pub(super) text: String,
}

/// Reads every script under `paths`; a file named outright is read whatever its extension is.
pub(super) fn read(paths: &[PathBuf]) -> Result<(Vec<File>, Vec<Skipped>)> {
    let mut found = Vec::new();
    for path in paths {
        let meta = fs::metadata(path).map_err(|e| missing(path, e))?;
        if meta.is_dir() {
            walk(path, 0, &mut found)?;
        } else {
            found.push((path.clone(), language(path).unwrap_or(Language::Sql)));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.dedup_by(|a, b| a.0 == b.0);
    let (mut files, mut skipped) = (Vec::new(), Vec::new());
    for (path, language) in found {
        match text(&path) {
            Ok(text) => files.push(File { path, language, text }),
            Err(because) => skipped.push(Skipped { path, because }),
        }
    }
    Ok((files, skipped))
}

fn missing(path: &Path, cause: std::io::Error) -> Error {
    Error::new(ErrorKind::Invalid, "file_missing", format!("analyze `{}`: cannot be read", path.display()))
        .hint("give files or folders that exist and that you may read")
        .because(cause)
}

fn language(path: &Path) -> Option<Language> {
    Language::of(path.extension()?.to_str()?)
}

fn walk(dir: &Path, depth: usize, found: &mut Vec<(PathBuf, Language)>) -> Result<()> {
    let entries = fs::read_dir(dir).map_err(|e| missing(dir, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| missing(dir, e))?;
        let kind = entry.file_type().map_err(|e| missing(dir, e))?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if kind.is_dir() && depth < DEPTH_MAX && !name.starts_with('.') && !NOT_OURS.contains(&name.as_ref()) {
            walk(&path, depth + 1, found)?;
        } else if let (true, Some(language)) = (kind.is_file(), language(&path)) {
            found.push((path, language));
        }
        if found.len() > FILES_MAX {
            let message = format!("analyze `{}`: more than {FILES_MAX} scripts", dir.display());
            return Err(Error::new(ErrorKind::Invalid, "input_too_large", message).hint("give the folder that holds the migration scripts"));
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, String> {
    let meta = fs::metadata(path).map_err(|e| e.to_string())?;
    if !meta.is_file() {
        return Err("not a regular file".to_owned());
    }
    if meta.len() > FILE_BYTES_MAX {
        return Err(format!("larger than {} MiB: give the part without data", FILE_BYTES_MAX / 1024 / 1024));
    }
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
