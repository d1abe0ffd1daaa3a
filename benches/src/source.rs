//! How many lines vista's heart has, to be put beside the 720 that the paper tells of.
//!
//! Lines that are neither blank nor comment, without unit tests, counted in the sources that this program was built from.

/// What makes a transaction: what the user opens, the calls, the log, recovery, and the checks of words and records.
const HEART: [(&str, &str); 8] = [
    ("segment", include_str!("../../vista/src/segment.rs")),
    ("transaction", include_str!("../../vista/src/transaction.rs")),
    ("undo", include_str!("../../vista/src/undo.rs")),
    ("recovery", include_str!("../../vista/src/recovery.rs")),
    ("core", include_str!("../../vista/src/core.rs")),
    ("batch", include_str!("../../vista/src/batch.rs")),
    ("seen", include_str!("../../vista/src/seen.rs")),
    ("seal", include_str!("../../vista/src/seal.rs")),
];

/// The heap, and checked places below both.
const HEAP: [(&str, &str); 2] =
    [("heap", include_str!("../../vista/src/heap.rs")), ("space", include_str!("../../vista/src/space.rs"))];

/// Lines of transactions and recovery.
pub fn heart_lines() -> usize {
    HEART.iter().map(|(_, text)| lines(text)).sum()
}

/// Lines of the heap and what both stand on.
pub fn heap_lines() -> usize {
    HEAP.iter().map(|(_, text)| lines(text)).sum()
}

/// The files that [`heart_lines`] counts.
pub fn heart_files() -> String {
    HEART.map(|(name, _)| name).join(", ")
}

/// Lines of a source that are neither blank nor comment; unit tests stand at its end.
pub fn lines(text: &str) -> usize {
    let code = text.lines().map(str::trim).take_while(|line| *line != "#[cfg(test)]");
    code.filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}
