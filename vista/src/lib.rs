//! Vista: persistent memory in which a change happens wholly or not at all.

#![deny(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!("the format of a segment is little-endian, and so must the processor be");

mod segment; // what the user opens
mod options; // how it is created or opened
mod transaction; // the only way to write to it
mod format; // making and opening one
mod undo; // the log of before-images
mod recovery; // the log of a transaction that did not end, met at open
mod core; // what these share: space, log, heap
mod batch; // what an ordered domain still owes
mod seen; // what is logged already
mod heap; // blocks and runs of pages
mod space; // bytes of a medium as checked places
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

pub use check::{Block, Stats, Violation};
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
