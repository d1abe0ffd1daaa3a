//! How many lines vista's heart has, to be put beside the 720 that the paper tells of.
//!
//! Lines that are neither blank nor comment, without unit tests, counted in the sources that this program was built from.

/// What makes a transaction: what the user opens, the calls, the log, recovery, commit and abort.
const HEART: [(&str, &str); 5] = [
    ("segment", include_str!("../../vista/src/segment.rs")),
    ("transaction", include_str!("../../vista/src/transaction.rs")),
    ("undo", include_str!("../../vista/src/undo.rs")),
    ("recovery", include_str!("../../vista/src/recovery.rs")),
    ("core", include_str!("../../vista/src/core.rs")),
];

/// What that stands on: checked places, checks of words and records, what is logged already, what is not yet durable.
const BELOW: [(&str, &str); 4] = [
    ("space", include_str!("../../vista/src/space.rs")),
    ("seal", include_str!("../../vista/src/seal.rs")),
    ("seen", include_str!("../../vista/src/seen.rs")),
    ("batch", include_str!("../../vista/src/batch.rs")),
];

/// The paper's lines have an allocator in them too.
const HEAP: [(&str, &str); 1] = [("heap", include_str!("../../vista/src/heap.rs"))];

/// Lines of the heart; of that and what it stands on; of these and the heap. With the names of the files.
pub fn counts() -> [(String, usize); 3] {
    let mut names = Vec::new();
    let mut sum = 0;
    [&HEART[..], &BELOW, &HEAP].map(|files| {
        names.extend(files.iter().map(|(name, _)| *name));
        sum += files.iter().map(|(_, text)| lines(text)).sum::<usize>();
        (names.join(", "), sum)
    })
}

/// Lines of a source that are neither blank nor comment; unit tests stand at its end.
pub fn lines(text: &str) -> usize {
    let code = text.lines().map(str::trim).take_while(|line| *line != "#[cfg(test)]");
    code.filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}
