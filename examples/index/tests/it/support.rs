//! Directories of texts, and what an index of them should hold.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use example_index::words;

use crate::model::Files;

/// A text of words that other texts have too.
pub(crate) fn text(random: &mut fastrand::Rng) -> String {
    let words = (0..random.usize(5..80)).map(|_| format!("word{}", random.u32(0..200)));
    words.collect::<Vec<_>>().join(if random.bool() { " " } else { ", " })
}

/// What an index of these texts holds.
pub(crate) fn expected(texts: &BTreeMap<PathBuf, String>) -> Files {
    let counts = |text: &String| words::count(text).into_iter().collect();
    texts.iter().map(|(path, text)| (path.as_os_str().as_bytes().to_vec(), counts(text))).collect()
}

/// Writes a file, and makes it look old: as one does that was written long before the index looks at it.
pub(crate) fn write_old(path: &Path, content: impl AsRef<[u8]>, seconds: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000 + seconds);
    fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
}

/// A directory in memory, where there is one. What a kill shows does not depend on it, and a disk that others keep busy takes
/// its time for each file that is opened and closed.
pub(crate) fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
