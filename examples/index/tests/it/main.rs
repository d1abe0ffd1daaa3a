//! What is promised of the index.

mod model; // it is a dumb map of maps
mod crash; // its transactions, crashed everywhere
mod update; // it follows a directory
mod kill; // its process, killed at any time

mod support; // directories of texts
