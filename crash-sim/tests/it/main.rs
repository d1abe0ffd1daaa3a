//! What the crash tester promises, one file per promise.

#![allow(clippy::unit_arg)] // `Ok(sim.persist(0, 8))` is a whole operation in a line.

mod machine; // every store of the machine code
mod stepper; // the same, one instruction at a time
mod witness; // and both agree
mod kill; // a real process
mod textbook; // the structures of the textbook, right and wrong
mod disk; // a log on a simulated disk, right and wrong
mod promises; // what each setting of a campaign is for
mod unannounced; // stores that the medium is not told of
