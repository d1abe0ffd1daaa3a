//! Rio: a memory-mapped file as persistent memory.
//!
//! A region is one file as bytes, which are still there after the process died. It knows no transactions: what is built
//! on it passes all its durability through one trait, [`Medium`]. Start at [`Region`].
//!
//! ```
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("region");
//! use rio::{HEADER_LEN, Medium, Region};
//!
//! let mut region = Region::options().size(1 << 20).open_or_create(&path)?;
//! region.bytes_mut(HEADER_LEN..HEADER_LEN + 5)?.copy_from_slice(b"hello");
//! region.flush(HEADER_LEN, 5); // Free where a store is durable as it is made;
//! region.fence(); //              a cache-line write-back and a fence where it is not.
//! println!("survives: {}", region.survives());
//! region.close()?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # What survives what
//!
//! | the file lies on | [`Domain`] | process crash | kernel crash | power loss |
//! |---|---|---|---|---|
//! | a disk | page cache | yes | no | no |
//! | tmpfs | page cache | yes | no | no |
//! | nothing ([`RegionOptions::anonymous`]) | page cache | no | no | no |
//! | DAX, on memory set aside by the kernel | ADR | yes | yes, if the memory is kept | no |
//! | DAX, on ADR memory | ADR | yes | yes | yes |
//! | DAX, on eADR memory | eADR | yes | yes | yes |
//!
//! [`Region::survives`] tells of the region at hand, and never more than both the memory and the flushing are good for.
//! A disk file that was open when the system went down is refused in the next boot, since its pages were written back in
//! no order; [`RegionOptions::accept_reboot`] insists.
//!
//! # Where to start
//!
//! [`Region`] and [`RegionOptions`] to use one; [`Medium`] to build on it, or to put a crash tester in its place;
//! [`Buffer`] to try it without a file.
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
#[doc(hidden)]
pub mod layout; // the bytes of the header
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
pub use writeback::{WriteBack, fence as store_fence};

/// The identity of a region, as [`Region::id`] returns it.
pub use uuid::Uuid;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
