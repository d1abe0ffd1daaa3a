//! What is promised of the queue.

mod model; // it is a dumb list
mod crash; // its transactions, crashed everywhere
mod kill; // its processes, killed at any time
mod command; // the command line

mod support; // where their files are
