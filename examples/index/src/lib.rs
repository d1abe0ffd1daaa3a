//! A persistent inverted index over a directory of text files.

#![forbid(unsafe_code)]
