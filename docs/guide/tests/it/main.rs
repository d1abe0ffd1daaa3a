//! That the book is whole: every chapter listed and compiled, every listing run, every link leading somewhere.

mod chapters;
mod links;
mod listings;

use std::fs;
use std::path::{Path, PathBuf};

/// Where the crate lies.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every chapter: its file name and its text.
fn chapters() -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    files.sort();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    files
        .iter()
        .map(|path| (name(path), fs::read_to_string(path).unwrap()))
        .filter(|(name, _)| name != "SUMMARY.md")
        .collect()
}

/// The lines of a text outside of its code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}
