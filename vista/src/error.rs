//! What can go wrong with a segment, sorted by fault: its bytes, the caller, the space, the system.

use std::sync::Arc;

/// An error of vista. Nothing is half done when one is returned; a transaction that meets one may go on, commit
/// or abort, except after [`Error::Poisoned`].
///
/// ```
/// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
/// use vista::{Error, PPtr};
///
/// match segment.transaction(|tx| tx.free(PPtr::<u64>::from_offset(1 << 40))) {
///     Err(Error::NotABlock { offset, found, .. }) => println!("{offset}: {found}"),
///     Err(error) => println!("{error}"),
///     Ok(()) => unreachable!("there is no such block"),
/// }
/// # Ok::<_, vista::Error>(())
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes of the segment are not what vista wrote.
    #[error("{segment}: at offset {offset}: {what}: found {found:#x}, expected {expected}")]
    Damaged {
        /// Path of the file, or the name of the medium.
        segment: Arc<str>,
        /// Offset in the file, in bytes.
        offset: u64,
        /// What was read there.
        what: &'static str,
        /// What it held.
        found: u64,
        /// What it should have held.
        expected: Arc<str>,
    },
    /// The segment holds a root of another type.
    #[error(
        "{segment}: at offset {offset}: the root is of another type: found {found} (fingerprint \
         {found_fingerprint:#018x}), expected {expected} (fingerprint {expected_fingerprint:#018x}); open it as what it is, and `Segment::migrate` it"
    )]
    RootMismatch {
        /// Path of the file, or the name of the medium.
        segment: Arc<str>,
        /// Offset of the root's description in the file.
        offset: u64,
        /// Layout of the root in the segment (cut where it was too long to keep).
        found: Arc<str>,
        /// Its fingerprint.
        found_fingerprint: u64,
        /// Layout of the root type that it was opened with.
        expected: Arc<str>,
        /// Its fingerprint.
        expected_fingerprint: u64,
    },
    /// A null pointer was followed.
    #[error("{segment}: a null pointer was followed")]
    NullPointer {
        /// Path of the file, or the name of the medium.
        segment: Arc<str>,
    },
    /// A pointer does not lead to user data, or not to an aligned value.
    #[error(
        "{segment}: at offset {offset}: pointer to {len} bytes: found it outside of the user data or not \
         aligned, expected a multiple of {align} inside"
    )]
    BadPointer {
        /// Path of the file, or the name of the medium.
        segment: Arc<str>,
        /// Where the pointer leads.
        offset: u64,
        /// Length of what it should lead to, in bytes.
        len: u64,
        /// Its alignment in bytes.
        align: u64,
    },
    /// Two ranges that were to be lent together share a byte.
    #[error("{segment}: ranges that are lent together must not overlap")]
    Overlap {
        /// Path of the file, or the name of the medium.
        segment: Arc<str>,
    },
    /// An index behind the end of a collection.
    #[error("{segment}: index {index} of a collection of {len}")]
    OutOfBounds {
        /// Path of the file, or the name of the medium.
        segment: Arc<str>,
        /// The index.
        index: u64,
        /// How many elements there are.
        len: u64,
    },
    /// A value that owns others, which own others, and so on, further than is followed.
    #[error(
        "{segment}: values own each other deeper than {limit} levels: take such a structure apart step by step"
    )]
    TooDeep {
        /// Path of the file, or the name of the medium.
        segment: Arc<str>,
        /// The greatest depth.
        limit: u32,
    },
    /// `free` of something that is no allocated block of that size.
    #[error("{segment}: at offset {offset}: free: found {found}, expected a block of {len} bytes")]
    NotABlock {
        /// Path of the file, or the name of the medium.
        segment: Arc<str>,
        /// Where the pointer leads.
        offset: u64,
        /// Length of what was to be freed, in bytes.
        len: u64,
        /// What is there instead.
        found: &'static str,
    },
    /// `free` of a block that is free.
    #[error("{segment}: at offset {offset}: block is already free")]
    DoubleFree {
        /// Path of the file, or the name of the medium.
        segment: Arc<str>,
        /// Where the pointer leads.
        offset: u64,
    },
    /// A savepoint of another transaction, or one that a rollback has undone.
    #[error("{segment}: the savepoint is not one of this transaction, or was rolled back over")]
    StaleSavepoint {
        /// Path of the file, or the name of the medium.
        segment: Arc<str>,
    },
    /// The heap has no room, and may not grow.
    #[error("{segment}: no space for {wanted} bytes: the segment has {len} bytes and may grow to {max_len}")]
    NoSpace {
        /// Path of the file, or the name of the medium.
        segment: Arc<str>,
        /// What was asked for, in bytes.
        wanted: u64,
        /// Length of the segment in bytes.
        len: u64,
        /// Its configured limit in bytes.
        max_len: u64,
    },
    /// A size or an option that cannot be.
    #[error("{segment}: {what}: got {found}, expected {expected}")]
    BadOption {
        /// Path of the file, or the name of the medium.
        segment: Arc<str>,
        /// The option.
        what: &'static str,
        /// What was asked for.
        found: u64,
        /// What would do.
        expected: Arc<str>,
    },
    /// A rollback could not be finished, because the log in memory is damaged. The segment refuses everything;
    /// its log is still in the file.
    #[error("{segment}: a rollback failed before; the segment is out of use until it is opened again")]
    Poisoned {
        /// Path of the file, or the name of the medium.
        segment: Arc<str>,
    },
    /// The medium failed.
    #[error(transparent)]
    Medium(Arc<rio::Error>),
}

impl From<rio::Error> for Error {
    fn from(error: rio::Error) -> Self {
        Error::Medium(Arc::new(error))
    }
}

/// The result of what can fail in vista.
///
/// ```
/// fn total(segment: &vista::Segment<[u64; 3]>) -> vista::Result<u64> {
///     Ok(segment.root()?.iter().sum())
/// }
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;
