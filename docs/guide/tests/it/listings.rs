//! Every listing in Rust is compiled and run as a doctest, but for one that the book includes from a program.

use crate::{chapters, root};

/// Language and attributes of each code block, and its first line.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        blocks.push((info, lines.next().unwrap_or("")));
        assert!(lines.any(|line| line == "```"), "a block that does not end: {line}");
    }
    blocks
}

#[test]
fn every_listing_is_compiled_and_run() {
    let mut count = 0;
    for (name, text) in chapters() {
        for (info, first) in blocks(&text) {
            let (language, attributes) = info.split_once(',').unwrap_or((info, ""));
            assert!(
                ["rust", "console", "text", "toml"].contains(&language),
                "{name}: a block of {language:?}: without a language rustdoc takes it for Rust"
            );
            if language != "rust" {
                continue;
            }
            count += 1;
            for attribute in attributes.split(',').filter(|attribute| !attribute.is_empty()) {
                let is_run = attribute == "standalone_crate" || attribute == "should_panic";
                let is_refused = attribute == "compile_fail" || attribute.starts_with("E0");
                assert!(
                    is_run || is_refused || (attribute == "ignore" && is_a_program(first)),
                    "{name}: {info}: nobody runs this listing"
                );
            }
        }
    }
    assert!(count > 30, "{count} listings");
}

/// Whether a line includes a source file of a program, which is compiled as such.
fn is_a_program(line: &str) -> bool {
    let path = line.strip_prefix("{{#include ").and_then(|rest| rest.strip_suffix("}}"));
    path.is_some_and(|path| path.ends_with("/src/main.rs") && root().join("src").join(path).is_file())
}
