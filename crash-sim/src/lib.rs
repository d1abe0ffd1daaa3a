//! Crash testing for persistent memory.
#![deny(unsafe_code)]

mod campaign; // what is tested, what it does, what must hold
mod sim; // the medium under test
mod report; // what was found
pub mod trace; // what happened to the memory, in order
mod model; // what a crash may leave of it
mod lazy; // what a run reads of it
mod combine; // all combinations, or samples
mod image; // images as differences
mod explore; // the closure
mod mutants; // each event left out
mod case; // one case in a few characters
pub mod machine; // a recorder of what the machine really executed
pub mod stepper; // a recorder that executes one instruction at a time
mod kill; // SIGKILL to a real process
mod reexec; // this program, started once more
mod panics; // caught and kept quiet
mod symbols; // where an event came from

pub use campaign::{BoxError, Campaign, Expect, Recorder};
pub use kill::{KillFailure, KillMoment, KillOptions, KillReport};
pub use model::Model;
pub use mutants::{Dropped, Mutant, Mutants};
pub use report::{Failure, Oracle, Report};
pub use sim::Sim;
