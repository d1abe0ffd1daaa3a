//! The documents say what the code does: formats, formulas, lists of files and of tests.
//!
//! A program of its own, since it reads the workspace's documents and is no part of the published package.

mod document; // tables of a document, and how they differ from the code
mod structures; // docs/FORMAT.md against the structs and constants of both layouts
mod formulas; // docs/FORMAT.md against the bytes of a real file
mod fixture; // a segment that every later version opens
mod lists; // docs/UNSAFE.md and docs/INVARIANTS.md against the sources
