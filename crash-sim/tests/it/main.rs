//! What the crash tester promises, one file per promise.

mod machine; // every store of the machine code
mod stepper; // the same, one instruction at a time
mod witness; // and both agree
mod kill; // a real process
mod vista_smoke;
