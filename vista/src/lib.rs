//! Vista: persistent memory in which a change happens wholly or not at all.
//!
//! A [`Segment`] is a mapped file with a root of your own type, a heap and an undo log. A [`Transaction`] copies the
//! old bytes of a range into the log before it lends the range for writing; one store publishes that record, one
//! store commits. Whatever ends the process in between, opening the file copies the old bytes back.
//!
//! ```
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("ledger");
//! use vista::{PPtr, Persistent, Segment};
//!
//! #[derive(Clone, Copy, Persistent)]
//! #[repr(C)]
//! struct Ledger {
//!     balance: i64,
//!     newest: PPtr<Entry>,
//! }
//!
//! #[derive(Clone, Copy, Persistent)]
//! #[repr(C)]
//! struct Entry {
//!     amount: i64,
//!     before: PPtr<Entry>,
//! }
//!
//! let mut ledger = Segment::<Ledger>::open_or_create(&path, 1 << 20)?;
//! ledger.transaction(|tx| -> vista::Result<()> {
//!     let before = tx.root().newest;
//!     let newest = tx.alloc(Entry { amount: 10, before })?;
//!     let ledger = tx.root_mut()?; // Logged from here on.
//!     ledger.balance += 10;
//!     ledger.newest = newest;
//!     Ok(())
//! })?;
//! ledger.close()?;
//!
//! let ledger = Segment::<Ledger>::open(&path)?; // Rolls back what had not committed.
//! let newest = ledger.get(ledger.root()?.newest)?;
//! assert_eq!((ledger.root()?.balance, newest.amount), (10, 10));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # What survives what
//!
//! | the file lies on | process crash | kernel crash | power loss |
//! |---|---|---|---|
//! | a disk, through the page cache; tmpfs | yes | no | no |
//! | DAX, on memory set aside by the kernel | yes | yes, if the memory is kept | no |
//! | DAX, on ADR or eADR memory | yes | yes | yes |
//!
//! A process crash is `kill -9`, a panic, an abort, the OOM killer. [`rio::Region::survives`] tells of the file at hand.
//! A disk file that was open when the system went down had its pages written back in no order: it is refused in the next
//! boot, unless [`accept_reboot`](SegmentOptions::accept_reboot) insists.
//!
//! # Where to start
//!
//! - [`Segment`] opens and reads, [`Transaction`] writes, [`SegmentOptions`] chooses.
//! - [`Persistent`], to derive, says what may be stored; [`PPtr`] and [`PSlice`] point to it; [`field!`] to parts of it.
//! - [`Error`] has all that can go wrong; [`inspect`] looks into a file without changing it.
//! - A crash tester puts a [`rio::Medium`] of its own below [`Segment::open_on`].
//!
//! # What there is not
//!
//! No system call on the path of a transaction, but where the segment has to grow. No thread, no lock on the path, no
//! environment variable, no global state, nothing printed. No content of a file causes undefined behaviour.

#![deny(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!("the format of a segment is little-endian, and so must the processor be");

/// Whether a deliberate mistake is in force. Never, but in a build with `--cfg vista_planted`: see `plant.rs`.
#[cfg(not(vista_planted))]
macro_rules! planted {
    ($plant:ident) => {
        false
    };
}

#[cfg(vista_planted)]
#[doc(hidden)]
#[macro_use]
pub mod plant; // mistakes for crash testers to catch
mod segment; // what the user opens
mod options; // how it is created or opened
mod transaction; // the only way to write to it
mod format; // making and opening one
mod migration; // a root of another type
mod undo; // the log of before-images
mod vacated; // what has given up places in a transaction
mod recovery; // the log of a transaction that did not end, met at open
mod core; // what these share: space, log, heap
mod batch; // what an ordered domain still owes
mod seen; // what is logged already
mod heap; // blocks and runs of pages
mod space; // bytes of a medium as checked places
mod access; // reading and writing, for collections
mod content; // what values own
pub mod collections; // vectors, maps, strings, queues
mod check; // whether a segment is sound
pub mod inspect; // looking into one without changing it
mod leak; // shared access that a forgotten transaction cannot spoil
mod seal; // words and records that check themselves
pub mod layout; // every byte on the medium
mod persistent; // what may live in a segment, and the description of it
mod pointer; // how one thing in a segment refers to another
#[doc(hidden)]
#[path = "derived.rs"]
pub mod __private; // what the derive macro's output calls
mod error; // what can go wrong

pub use access::{Reader, Writer};
pub use check::{Block, Stats, Violation};
pub use collections::{
    Key, PBTreeMap, PBytes, PCell, PHashMap, PHashSet, POption, PSlab, PString, PVec, PVecDeque,
};
pub use content::{Audit, Depth, MAX_DEPTH};
pub use error::{Error, Result};
pub use options::SegmentOptions;
pub use persistent::{Describer, Fields, Layout, MAX_ALIGN_BYTES, Persistent, fingerprint_of, layout_of};
pub use pointer::{PPtr, PSlice};
pub use recovery::Recovery;
pub use rio_vista_derive::Persistent;
pub use segment::Segment;
pub use transaction::{Pointers, Savepoint, Transaction};

/// The crate below: regions and the seam, for options and for media of one's own.
pub use rio;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
