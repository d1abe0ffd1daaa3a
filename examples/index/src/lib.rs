//! A persistent inverted index over the text files of a directory: killed at any time, it goes on where it was.
//!
//! [`Index`] is the structure, [`words`] says what a word is, and [`update`] brings an index up to date with a directory.
//! Start at [`Index::put`] and [`Index::query`].

#![forbid(unsafe_code)]

mod error; // what can go wrong
pub mod words; // what a word is
mod index; // files by word in a segment
pub mod update; // the index and a directory

pub use error::{Error, Result};
pub use index::{Content, Hit, Index, Known, Root, Stamp, Stats};
