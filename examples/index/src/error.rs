//! What can go wrong with an index.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the index. What was committed before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The segment's.
    #[error(transparent)]
    Vista(#[from] vista::Error),
    /// The index has given out all its numbers for files, or for words.
    #[error("the index has given out {limit} numbers, which are all there are; make a new one")]
    NumbersUsedUp {
        /// How many there are.
        limit: u64,
    },
    /// The system's, with what was done.
    #[error("{}: {what}: {source}", path.display())]
    System {
        /// The file or directory.
        path: PathBuf,
        /// What was done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn system(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::System { path: path.to_owned(), what, source }
    }
}

/// The result of what can fail in an index.
pub type Result<T, E = Error> = std::result::Result<T, E>;
