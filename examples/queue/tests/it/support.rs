//! Where the files of tests are.

/// A directory in memory, where there is one. What a kill shows does not depend on it, and a disk that others keep busy takes
/// its time for each file that is opened and closed.
pub(crate) fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
