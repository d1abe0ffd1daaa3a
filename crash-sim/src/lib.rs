//! Crash testing for persistent memory: every crash image of real code, recovered, crashed again and checked.
//!
//! A [`Campaign`] is told how a structure is made and opened, what it does, and what must hold. It then takes the medium
//! of every crash that a [`Model`] allows, runs the recovery on it, crashes that recovery in its turn, and goes on until no
//! new image appears. What it cannot cover it says; what fails it makes small, and ends in one line that replays it.
//!
//! ```
//! use crash_sim::{Campaign, Model, Sim};
//! use vista::Segment;
//!
//! let campaign = Campaign::new("counters", 64 << 10)
//!     .create(|sim| Segment::<[u64; 2], Sim>::create_on(sim, 4096))
//!     .open(Segment::<[u64; 2], Sim>::open_on)
//!     .operations(3, |counters, n| counters.transaction(|tx| tx.write(tx.root_ptr(), [n as u64 + 1; 2])))
//!     .model([0, 0], |model, n| *model = [n as u64 + 1; 2], |counters| *counters.root().unwrap());
//! campaign.explore(Model::Coherent).assert(); // Killed at any store.
//! campaign.explore(Model::Adr).assert(); //      The power cut at any moment, any unflushed line lost.
//! ```
//!
//! The structure sees a [`Sim`], which is a [`rio::Medium`]. Who records what it does is a [`Recorder`]: the seam, which is
//! told by the library, or the machine, which sees every store of the compiled code ([`machine`]). [`Campaign::kill`]
//! kills real processes, [`Campaign::mutants`] leaves each event out in turn, and [`stepper`] is the machine recorder's
//! independent witness. The models in exact words, and what each tool cannot see: `docs/CRASH-TESTING.md`.
//!
//! Linux, as rio; the machine recorder and the single-stepper on x86-64 alone.

#![deny(unsafe_code)]

mod campaign; // what is tested, what it does, what must hold
mod sim; // the medium under test
mod report; // what was found
pub mod trace; // what happened to the memory, in order
mod model; // what a crash may leave of it
mod lazy; // what a run reads of it
mod combine; // all combinations, or samples
mod image; // images as differences
mod spread; // some images of many
mod explore; // the closure
mod mutants; // each event left out
mod case; // one case in a few characters
pub mod machine; // a recorder of what the machine really executed
pub mod stepper; // a recorder that executes one instruction at a time
pub mod disk; // a disk that drops, tears, reorders and fails
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

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
