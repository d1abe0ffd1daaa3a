//! What the crash tester promises, one file per promise.

mod machine; // every store of the machine code
mod textbook; // the structures of the textbook, right and wrong
