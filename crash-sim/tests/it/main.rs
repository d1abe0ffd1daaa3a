//! What the crash tester promises, one file per promise.

mod machine; // every store of the machine code
mod vista_smoke;
