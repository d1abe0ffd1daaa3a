//! The `vista` command, as its users meet it: every test runs the real binary.

mod demo; // kills, and what is said of them
mod look; // info and check, on sound and on damaged files
mod check; // collections, by their description
mod dump; // records, pages and values
mod recover; // rolling back, for real
mod campaigns; // stress and bench
mod kv; // a store, as a shell sees it
mod terminal; // colours and bars
mod pages; // completions, man pages, help
mod refusals; // what cannot be opened, and what nobody reads
mod ends; // limits and interrupts
mod support; // running the binary, and making segments
