//! What a segment promises, one file per promise. Most run on memory, where any bytes can be put in place of a
//! file; what concerns the file itself runs on one. Every crash image of small transactions is the matter of
//! `crash-sim/campaigns`.

#![allow(clippy::unit_arg)] // `Ok(*tx.get_mut(ptr)? = 1)` is a whole transaction in a line.

mod support; // media, models and other helpers
mod traced; // a medium that can be looked at, and tells what it was told
mod forge; // the format's checks, written a second time
mod exercise; // what is done with any bytes, here and by the fuzz targets
mod history; // random histories and their model, here and in a fuzz target

mod opening; // create, open, reopen, close
mod ending; // commit, abort, and all the ways to leave a transaction
mod lending; // every call that reads or writes
mod pointers; // no pointer leads where it should not
mod migration; // a root of another type
mod savepoints; // positions to come back to
mod large; // transactions longer than their log
mod heap; // blocks against a model, through crashes
mod checker; // the check sees what it is for
mod hostile; // any bytes at all
mod view; // a wild store dies
mod values; // what a root holds, by the names of its fields
mod traits; // what may be sent and shared
mod seeds; // what the fuzz targets begin with, and what they have found
