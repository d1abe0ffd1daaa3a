//! Crash testing for persistent memory.
#![deny(unsafe_code)]

pub mod trace; // what happened to the memory, in order
pub mod machine; // a recorder of what the machine really executed
