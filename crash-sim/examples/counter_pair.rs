//! Two counters that are always equal, and the mistake of logging only one of them.
//!
//! A step raises both. An undo log of one record makes that one change: the old values are in the log before either
//! counter is stored to, and whoever opens the pair while the log is in use puts them back. The mistake keeps the first
//! counter alone, as code does whose author thought of it when the second was added.
//!
//! `cargo run -p crash-sim --example counter_pair` prints two reports: one without a failure, and one with. A failure
//! says what was found and what was allowed, in which run of the program it crashed, between which two events, where in
//! the source these stand, and last the line that runs this one case again.

use crash_sim::{Campaign, Model, Sim};
use rio::Medium;

/// Right, or with a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Right,
    /// The log has no room for the second counter.
    SecondNotLogged,
}

/// Where the words are, in cache lines of their own.
const FIRST: u64 = 0;
const SECOND: u64 = 64;
/// Whether the log is in use. The old values stand behind it in the same line, which arrives in the order of its stores.
const LOG: u64 = 128;
const OLD_FIRST: u64 = LOG + 8;
const OLD_SECOND: u64 = LOG + 16;

/// The pair, on the memory that a campaign gives.
pub(crate) struct Pair {
    sim: Sim,
    version: Version,
}

impl Pair {
    fn values(&self) -> (u64, u64) {
        (self.sim.load(FIRST), self.sim.load(SECOND))
    }

    /// The operation: both counters are one more when it returns.
    fn raise(&mut self) {
        let (first, second) = self.values();
        self.sim.store(OLD_FIRST, first);
        if self.version == Version::Right {
            self.sim.store(OLD_SECOND, second);
        }
        self.sim.store(LOG, 1);
        self.sim.persist(LOG, 24); // Orders: the old values, then the new ones.
        self.set(first + 1, second + 1);
    }

    /// Opening: a step that did not end is taken back.
    fn recover(&mut self) {
        if self.sim.load(LOG) == 1 {
            let second = match self.version {
                Version::Right => self.sim.load(OLD_SECOND),
                Version::SecondNotLogged => self.sim.load(SECOND),
            };
            self.set(self.sim.load(OLD_FIRST), second);
        }
    }

    /// Stores both, and has no more use for the log.
    fn set(&mut self, first: u64, second: u64) {
        self.sim.store(FIRST, first);
        self.sim.store(SECOND, second);
        self.sim.flush(FIRST, 8);
        self.sim.flush(SECOND, 8);
        self.sim.fence(); // Orders: both counters, then the end of the log.
        self.sim.store(LOG, 0);
        self.sim.persist(LOG, 8); // Orders: this step, then whatever follows on its acknowledgement.
    }
}

/// Every crash of three steps, and of the recovery from each of them.
pub(crate) fn campaign(version: Version) -> Campaign<Pair> {
    Campaign::new(format!("counter-pair-{version:?}"), 4096)
        .create(move |sim| Ok::<_, String>(Pair { sim, version }))
        .open(move |sim| {
            let mut pair = Pair { sim, version };
            pair.recover();
            Ok::<_, String>(pair)
        })
        .operations(3, |pair, _| {
            pair.raise();
            Ok::<_, String>(())
        })
        .model(
            (0, 0),
            |(first, second), _| (*first, *second) = (*first + 1, *second + 1),
            |pair| pair.values(),
        )
}

fn main() {
    println!("{}\n", campaign(Version::Right).explore(Model::Adr));
    println!("{}", campaign(Version::SecondNotLogged).explore(Model::Adr));
}
