//! The inputs that the fuzz targets begin with, and those that once failed, go the same way as under the fuzzer.

use std::fs;
use std::path::Path;

use crate::exercise::{any_bytes, patched};
use crate::history::run_bytes;

/// Runs every input of a target.
fn check(target: &str, run: impl Fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let path = entry.unwrap().path();
        println!("replay: {}", path.display());
        run(&fs::read(path).unwrap());
        count += 1;
    }
    assert!(count > 0, "no seeds in {}", dir.display());
}

#[test]
fn open_any_bytes() {
    check("open_any_bytes", |input| any_bytes(&patched(input)));
}

#[test]
fn transactions() {
    check("transactions", run_bytes);
}
