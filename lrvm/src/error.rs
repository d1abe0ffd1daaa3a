//! What can go wrong with a log, a segment or a region, sorted by fault: the bytes, the caller, the space, the system.

use std::io;
use std::sync::Arc;

/// The result of what can go wrong.
///
/// ```
/// fn balance(region: &lrvm::Region) -> lrvm::Result<u64> {
///     region.read(0)
/// }
/// ```
pub type Result<T> = std::result::Result<T, Error>;

/// An error of lrvm. Nothing is half done when one is returned; after [`Error::Poisoned`] and whatever poisons, only what
/// was reported durable before can be relied upon, and opening the log anew finds out the rest.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// use lrvm::{Error, Rvm};
///
/// match Rvm::open(dir.path().join("log")) {
///     Err(Error::Damaged { offset, what, .. }) => println!("at {offset}: {what}: restore a copy"),
///     Err(error) => println!("{error}"), // There is no such file.
///     Ok(_) => unreachable!(),
/// }
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes of the log are not what lrvm wrote. Nothing has been changed; see
    /// [`Options::salvage`](crate::Options::salvage).
    #[error("{log}: at offset {offset}: {what}: found {found:#x}, expected {expected}")]
    Damaged {
        /// Name of the log.
        log: Arc<str>,
        /// Offset in the log's file, in bytes.
        offset: u64,
        /// What was read there.
        what: &'static str,
        /// What it held.
        found: u64,
        /// What it should have held.
        expected: Arc<str>,
    },
    /// A segment is shorter than what the log has for it. Nothing has been changed.
    #[error("{segment}: its length is {len}, the log has changes up to {needed}")]
    SegmentTooShort {
        /// Name of the segment.
        segment: Arc<str>,
        /// Its length in bytes.
        len: u64,
        /// The end of the changes, in bytes from its start.
        needed: u64,
    },

    /// A region does not begin and end at whole pages, or is empty.
    #[error("a region of {len} bytes at {offset}: expected whole pages of 4096 bytes, at least one")]
    Unaligned {
        /// Where it was to begin, in bytes from the start of the segment.
        offset: u64,
        /// Its length in bytes.
        len: u64,
    },
    /// A region does not lie inside its segment.
    #[error("{segment}: a region of {len} bytes at {offset}: the segment has {segment_len}")]
    OutsideSegment {
        /// Name of the segment.
        segment: Arc<str>,
        /// Where it was to begin.
        offset: u64,
        /// Its length in bytes.
        len: u64,
        /// Length of the segment in bytes.
        segment_len: u64,
    },
    /// Bytes of the segment are mapped already.
    #[error(
        "{segment}: a region of {len} bytes at {offset}: {other_len} bytes at {other_offset} are mapped already"
    )]
    Overlap {
        /// Name of the segment.
        segment: Arc<str>,
        /// Where it was to begin.
        offset: u64,
        /// Its length in bytes.
        len: u64,
        /// Where the other region begins.
        other_offset: u64,
        /// Its length in bytes.
        other_len: u64,
    },
    /// A range does not lie inside its region.
    #[error("a range of {len} bytes at {offset}: the region has {region_len}")]
    OutsideRegion {
        /// Where it begins, in bytes from the start of the region.
        offset: u64,
        /// Its length in bytes.
        len: u64,
        /// Length of the region in bytes.
        region_len: u64,
    },
    /// The transaction was given a region of another log.
    #[error("the region belongs to another log than the transaction")]
    OtherLog,
    /// The region was enlisted in another transaction than the one that it is used in.
    #[error("transaction {transaction} has not enlisted this region")]
    NotEnlisted {
        /// Number of the transaction in which it was used.
        transaction: u64,
    },
    /// A transaction without restore was to be aborted.
    #[error("transaction {transaction} began without restore: it cannot be aborted")]
    NoRestore {
        /// Number of the transaction.
        transaction: u64,
    },
    /// A transaction without restore was given up, so that nobody has the region's old bytes. Unmap it, and map it again.
    #[error("the region was left by transaction {transaction}, which could not be restored: map it again")]
    Spoiled {
        /// Number of the transaction.
        transaction: u64,
    },
    /// A transaction on the region has neither committed nor aborted.
    #[error("transaction {transaction} on the region has neither committed nor aborted")]
    Uncommitted {
        /// Number of the transaction.
        transaction: u64,
    },
    /// Regions are still mapped.
    #[error("{count} regions are still mapped")]
    StillMapped {
        /// How many.
        count: usize,
    },
    /// An option has a value that it cannot have.
    #[error("option {option}: found {found}, expected {expected}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// Its value.
        found: u64,
        /// What it may be.
        expected: &'static str,
    },
    /// The name of a segment is too long for the log's table, or is not Unicode.
    #[error("{segment}: a name of {len} bytes: expected Unicode of at most 1008 bytes")]
    Name {
        /// The name, as far as it can be written.
        segment: Arc<str>,
        /// Its length in bytes.
        len: usize,
    },

    /// A transaction is larger than the log. Nothing of it was written, and it has been rolled back if it could be.
    #[error("a transaction of {len} bytes in the log, which has {capacity}")]
    TooLarge {
        /// What it would take in the log, in bytes.
        len: u64,
        /// What the log has, in bytes.
        capacity: u64,
    },
    /// There is no room for one more segment in the log's table; it is empty again when the log is opened anew.
    #[error("the log knows {count} segments, and cannot know more at the same time")]
    TooManySegments {
        /// How many it knows.
        count: u32,
    },
    /// There is no memory for a region.
    #[error("no memory for a region of {len} bytes")]
    NoMemory {
        /// Its length in bytes.
        len: u64,
    },

    /// Another process, or this one, has the log or segment open.
    #[error("{name}: in use")]
    InUse {
        /// Name of the log or segment.
        name: Arc<str>,
    },
    /// The system refused something.
    #[error("{name}: {call} failed")]
    System {
        /// Name of the log or segment.
        name: Arc<str>,
        /// What was refused.
        call: &'static str,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// A write or a sync has failed before: what is durable is not known until the log is opened anew.
    #[error("out of use since an earlier failure: {cause}")]
    Poisoned {
        /// The failure, in a line.
        cause: Arc<str>,
    },
}

impl Error {
    pub(crate) fn system(name: &Arc<str>, call: &'static str, source: io::Error) -> Error {
        Error::System { name: name.clone(), call, source: Arc::new(source) }
    }

    /// The error and its causes in one line.
    pub(crate) fn line(&self) -> Arc<str> {
        match self {
            Error::System { source, .. } => format!("{self}: {source}").into(),
            other => other.to_string().into(),
        }
    }
}
