//! Vista: persistent memory in which a change happens wholly or not at all.

#![deny(unsafe_code)]

#[doc(hidden)]
#[path = "derived.rs"]
pub mod __private; // what the derive macro's output calls
mod persistent; // what may live in a segment, and the description of it
mod pointer; // how one thing in a segment refers to another

pub use persistent::{Describer, Fields, Layout, MAX_ALIGN_BYTES, Persistent, fingerprint_of, layout_of};
pub use pointer::{PPtr, PSlice};
pub use rio_vista_derive::Persistent;
