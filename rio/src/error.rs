//! What can go wrong with a medium, sorted by fault: its bytes, the caller, the space, the system.

use std::io;
use std::path::{Path, PathBuf};

/// An error of rio. Nothing is half done when one is returned, unless the call says otherwise.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("region");
/// match rio::Region::open(&path) {
///     Ok(region) => println!("{} bytes", region.len()),
///     Err(rio::Error::Locked { .. }) => println!("in use"),
///     Err(error @ rio::Error::LeftOpenAcrossReboot { .. }) => println!("{error}"),
///     Err(error) => println!("{error}: {:?}", std::error::Error::source(&error)),
/// }
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file's bytes are not what a region of this version holds.
    #[error("{path}: at offset {offset}: {what}: found {found}, expected {expected}")]
    Damaged {
        /// The file, or the name of the medium.
        path: String,
        /// Offset in the file, in bytes.
        offset: u64,
        /// The field that was read.
        what: &'static str,
        /// What it held.
        found: String,
        /// What it should have held.
        expected: String,
    },
    /// The file was made by a version of the format that this library does not know; it was left untouched.
    #[error("{path}: at offset {offset}: format version {found}, this library knows {expected}")]
    Version {
        /// The file, or the name of the medium.
        path: String,
        /// Offset of the version in the file, in bytes.
        offset: u64,
        /// The version in the file.
        found: u32,
        /// The only version that this library reads.
        expected: u32,
    },
    /// The region was left open when the system went down, and its pages were written back in no order.
    #[error(
        "{path}: left open across a reboot (boot {left_open}, now {now}): its pages were written back in no \
         order and may not agree; accept it with `accept_reboot(true)` only if you can check the content"
    )]
    LeftOpenAcrossReboot {
        /// The file.
        path: PathBuf,
        /// Boot id at which it was opened last.
        left_open: uuid::Uuid,
        /// Boot id now.
        now: uuid::Uuid,
    },
    /// Another owner has the file open, here or in another process.
    #[error("{path}: in use by another owner (waited {waited_millis} ms)")]
    Locked {
        /// The file.
        path: PathBuf,
        /// How long the lock was waited for.
        waited_millis: u64,
    },
    /// `create` found a file there.
    #[error("{path}: already exists ({len} bytes); it was left untouched")]
    AlreadyExists {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        len: u64,
    },
    /// A size, range or option that cannot be.
    #[error("{path}: {what}: got {found}, expected {expected}")]
    BadOption {
        /// The file, or the name of the medium.
        path: String,
        /// The option.
        what: &'static str,
        /// What was asked for.
        found: u64,
        /// What would do.
        expected: String,
    },
    /// Growth beyond the address space that was reserved (or the limit that was set) when the region was opened.
    /// It can be opened again with more.
    #[error("{path}: cannot grow to {wanted} bytes: it was opened with room for {reserved}")]
    ReservationExhausted {
        /// The file, or the name of the medium.
        path: String,
        /// The length asked for.
        wanted: u64,
        /// The length to which it may grow.
        reserved: u64,
    },
    /// The file system has no room for the blocks; the region keeps its length.
    #[error("{path}: no space for {wanted} bytes")]
    NoSpace {
        /// The file.
        path: String,
        /// The length asked for, in bytes.
        wanted: u64,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// The region was opened so that it cannot be written.
    #[error("{path}: cannot {what}: opened without the right to write")]
    ReadOnly {
        /// The file.
        path: String,
        /// What was tried.
        what: &'static str,
    },
    /// A system call failed.
    #[error("{path}: {call} failed")]
    System {
        /// The file, or the name of the medium.
        path: String,
        /// The call.
        call: &'static str,
        /// The system's word.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// A system call on this file failed.
    pub(crate) fn system(path: &Path, call: &'static str, source: impl Into<io::Error>) -> Error {
        Error::System { path: path.display().to_string(), call, source: source.into() }
    }

    /// The caller asked this file for what cannot be.
    pub(crate) fn option(path: &Path, what: &'static str, found: u64, expected: impl Into<String>) -> Error {
        Error::BadOption { path: path.display().to_string(), what, found, expected: expected.into() }
    }
}
