//! Vista: persistent memory in which a change happens wholly or not at all.

#![deny(unsafe_code)]

mod segment; // what the user opens
mod transaction; // the only way to write to it
mod format; // making and opening one
mod undo; // the log of before-images
mod recovery; // the log of a transaction that did not end, met at open
mod core; // what these share: space, log, heap
mod batch; // what an ordered domain still owes
mod seen; // what is logged already
mod heap; // blocks and runs of pages
mod space; // bytes of a medium as checked places
mod leak; // shared access that a forgotten transaction cannot spoil
mod seal; // words and records that check themselves
pub mod layout; // every byte on the medium
mod persistent; // what may live in a segment, and the description of it
mod pointer; // how one thing in a segment refers to another
#[doc(hidden)]
#[path = "derived.rs"]
pub mod __private; // what the derive macro's output calls
mod error; // what can go wrong

pub use error::{Error, Result};
pub use persistent::{Describer, Fields, Layout, MAX_ALIGN_BYTES, Persistent, fingerprint_of, layout_of};
pub use pointer::{PPtr, PSlice};
pub use recovery::Recovery;
pub use rio_vista_derive::Persistent;
pub use segment::Segment;
pub use transaction::{Pointers, Savepoint, Transaction};
