//! Rio: a memory-mapped file as persistent memory.
//!
//! A region is one file as bytes. It knows no transactions: what is built on it (vista, lrvm) passes all its
//! durability through one trait, [`Medium`]. Start at [`Region`].
//!
//! Rio starts no thread, reads no environment variable, keeps no global state and prints nothing.

#![deny(unsafe_code)]

#[cfg(not(target_os = "linux"))]
compile_error!("rio runs on Linux only: it relies on its mmap, flock, fallocate and nameless files");
#[cfg(not(all(target_pointer_width = "64", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!(
    "rio runs on x86-64 and AArch64 only: it knows the write-back instructions of no other processor"
);

mod medium; // the seam: bytes, flush, fence
mod domain; // what has to happen for a store to survive what
mod region; // the medium that persists: one mapped file
mod options; // how a region is created or opened
mod header; // two copies, so that a torn update loses nothing
mod layout; // the bytes of the header
mod naming; // a file that gets its name when it is whole
mod lock; // one owner at a time
mod space; // blocks before bytes
mod device; // what the file lies on
mod mapping; // unsafe: address space, views, guards
mod writeback; // unsafe: cache lines to the medium
mod buffer; // a medium in ordinary memory, for tests
mod error; // what can go wrong

pub use buffer::Buffer;
pub use device::Backing;
pub use domain::{Domain, DomainChoice, Survives};
pub use error::Error;
pub use medium::{HEADER_LEN, LINE_LEN, Medium};
pub use options::RegionOptions;
pub use region::Region;
pub use writeback::WriteBack;

/// The identity of a region, as [`Region::id`] returns it.
pub use uuid::Uuid;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
