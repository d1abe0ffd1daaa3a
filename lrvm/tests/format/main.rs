//! docs/FORMAT.md says what lrvm writes: its structs and constants, the bytes of a real log, and a log of this version.
//!
//! A program of its own, since it reads the workspace's documents and is no part of the published package.

#[path = "../../../vista/tests/format/document.rs"]
mod document; // tables of a document, and how they differ from the code
mod structures; // the document against the structs and constants
mod bytes; // the document against the bytes of a real log
mod fixture; // a log that every later version opens
