//! Turns `docs/errors/*.md` into a table that is compiled into the program, so that `explain` works without files or network.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let pages = manifest.join("../../docs/errors");
    println!("cargo::rerun-if-changed={}", pages.display());
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(out.join("error_pages.rs"), table(&pages)?)
}

/// `&[("code", include_str!("…/code.md")), …]`, sorted by code.
fn table(pages: &Path) -> io::Result<String> {
    let mut files: Vec<PathBuf> = match fs::read_dir(pages) {
        Ok(entries) => entries.map(|e| e.map(|e| e.path())).collect::<io::Result<_>>()?,
        Err(_) => Vec::new(),
    };
    files.retain(|f| f.extension().is_some_and(|e| e == "md") && f.file_stem().is_some_and(|s| s != "README"));
    files.sort();
    let mut text = String::from("&[\n");
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
        let code = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let _ = writeln!(text, "    ({code:?}, include_str!({:?})),", file.to_string_lossy());
    }
    text.push(']');
    Ok(text)
}
