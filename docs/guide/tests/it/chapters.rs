//! What is a chapter, is in the summary and among the doctests, once; and the bank comes first.

use std::fs;

use crate::{chapters, root};

#[test]
fn every_chapter_is_listed_and_compiled() {
    let summary = fs::read_to_string(root().join("src/SUMMARY.md")).unwrap();
    let crate_root = fs::read_to_string(root().join("listings/lib.rs")).unwrap();
    for (name, text) in chapters() {
        assert_eq!(summary.matches(&format!("]({name})")).count(), 1, "{name} in the summary");
        assert_eq!(crate_root.matches(&format!("{name:?}")).count(), 1, "{name} in listings/lib.rs");
        assert!(text.starts_with("# "), "{name} begins with its title");
    }
    assert_eq!(summary.matches("](").count(), chapters().len(), "the summary lists what is not there");
    assert!(summary.find("(bank.md)") < summary.find("(start.md)"), "the bank comes first");
}

#[test]
fn the_bank_fits_in_sixty_lines() {
    let bank = fs::read_to_string(root().join("../../examples/bank/src/main.rs")).unwrap();
    assert!(bank.lines().count() <= 60, "{} lines", bank.lines().count());
}
