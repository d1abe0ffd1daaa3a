//! The document has a row for each deliberate mistake of vista, and their number.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The text of a file of the repository.
fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

/// The names in the table of plants: `    Variant "its-name" Shows Needs`. The module itself is in planted builds alone.
fn names(source: &str) -> BTreeSet<&str> {
    source
        .lines()
        .filter(|line| line.starts_with("    ") && line.trim_start().starts_with(char::is_uppercase))
        .filter_map(|line| line.split('"').nth(1))
        .collect()
}

#[test]
fn every_plant_has_its_row() {
    let (source, document) = (text("vista/src/plant.rs"), text("docs/CRASH-TESTING.md"));
    let names = names(&source);
    assert!(names.len() > 50, "{names:?}");
    for name in &names {
        assert!(document.contains(&format!("\n| {name} |")), "{name} has no row");
    }
    let count = format!("`vista/src/plant.rs` holds {} deliberate mistakes", names.len());
    assert!(document.contains(&count), "not there: {count}");
}
