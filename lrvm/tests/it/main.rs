//! What lrvm promises, one file per promise.

mod support; // logs and segments in a directory of their own
mod round_trip; // what is committed is there
mod damage; // what is torn, and what is damaged
mod rules; // what is refused
mod savings; // what is not logged
mod threads; // several at once
mod histories; // anything against a plain model
