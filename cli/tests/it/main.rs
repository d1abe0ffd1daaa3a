//! The `vista` command, as its users meet it: every test runs the real binary.

mod demo; // kills, and what is said of them
mod look; // info and check, on sound and on damaged files
mod refusals; // what cannot be opened, and what nobody reads
mod support; // running the binary, and making segments
