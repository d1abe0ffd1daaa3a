//! docs/UNSAFE.md lists the files with unsafe code, and docs/INVARIANTS.md names tests that are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::document::cells;

const UNSAFE: &str = include_str!("../../../docs/UNSAFE.md");
const INVARIANTS: &str = include_str!("../../../docs/INVARIANTS.md");

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").to_owned()
}

/// All Rust files below `src` and `tests` of the crates, by their path from the workspace's root.
fn sources() -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                open.push(path);
            } else if name.ends_with(".rs") {
                found.push(path.strip_prefix(root()).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// Whether a source allows unsafe code: a line that is such an attribute.
fn allows_unsafe(source: &str) -> bool {
    source.lines().map(str::trim_start).any(|line| {
        (line.starts_with("#![allow(") || line.starts_with("#[allow(")) && line.contains("unsafe_code")
    })
}

/// The files that a document names in the first cell of its tables.
fn listed(document: &str) -> BTreeSet<String> {
    let first = document.lines().filter_map(|line| Some(cells(line)?[0].trim_matches('`').to_owned()));
    first.filter(|cell| cell.ends_with(".rs")).collect()
}

#[test]
fn every_file_that_allows_unsafe_code_is_listed_and_no_other() {
    // Tests answer for themselves, at the place.
    let is_source = |path: &String| path.contains("/src/");
    let allowing: BTreeSet<_> = sources()
        .into_iter()
        .filter(is_source)
        .filter(|path| allows_unsafe(&fs::read_to_string(root().join(path)).unwrap()))
        .collect();
    assert_eq!(listed(UNSAFE), allowing, "left: docs/UNSAFE.md; right: the sources");
}

#[test]
fn a_file_that_allows_unsafe_code_is_told_from_one_that_speaks_of_it() {
    assert!(allows_unsafe("//! Idea.\n\n#![allow(unsafe_code)] // The reason.\n"));
    assert!(allows_unsafe("    #[allow(unsafe_code, reason = \"no other form\")]\n"));
    assert!(!allows_unsafe("#![deny(unsafe_code)]\n// see #![allow(unsafe_code)]\n"));
    assert_eq!(
        listed("| file | |\n|---|---|\n| `a/src/b.rs` | c |\n"),
        BTreeSet::from(["a/src/b.rs".to_owned()])
    );
}

/// The tests that a document names: `path/to/file.rs: name_of_test`, in backquotes.
fn named_tests(document: &str) -> Vec<(String, String)> {
    let quoted = document.split('`').skip(1).step_by(2);
    let pairs = quoted.filter_map(|text| text.split_once(".rs: "));
    pairs.map(|(file, test)| (format!("{file}.rs"), test.to_owned())).collect()
}

#[test]
fn every_test_that_the_invariants_name_is_there() {
    let tests = named_tests(INVARIANTS);
    assert!(!tests.is_empty());
    for (file, test) in tests {
        let source = fs::read_to_string(root().join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("fn {test}(")), "docs/INVARIANTS.md: {file} has no test {test}");
    }
}

/// Numbers such as `INV-H3` in a text.
fn invariants(text: &str) -> BTreeSet<String> {
    let parts = text.match_indices("INV-").map(|(at, _)| &text[at..]);
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let number = |part: &str| part.chars().take_while(|c| is_part(*c)).collect::<String>();
    parts.map(number).filter(|number| number.ends_with(|c: char| c.is_ascii_digit())).collect()
}

#[test]
fn every_invariant_that_the_code_names_is_described() {
    let described = invariants(INVARIANTS);
    for file in sources().into_iter().filter(|path| path.contains("/src/")) {
        for number in invariants(&fs::read_to_string(root().join(&file)).unwrap()) {
            assert!(described.contains(&number), "{file} names {number}, docs/INVARIANTS.md does not");
        }
    }
}
