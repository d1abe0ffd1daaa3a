//! Rio: a memory-mapped file as persistent memory.
//!
//! A region is one file as bytes. It knows no transactions: what is built on it (vista, lrvm) passes all its
//! durability through one trait, [`Medium`].

#![deny(unsafe_code)]

mod buffer; // a medium in ordinary memory, for tests
mod domain; // what has to happen for a store to survive what
mod error;
mod medium; // the seam: bytes, flush, fence // what can go wrong

pub use buffer::Buffer;
pub use domain::{Domain, Survives};
pub use error::Error;
pub use medium::{HEADER_LEN, LINE_LEN, Medium};
/// stub
pub type Region = Buffer;
