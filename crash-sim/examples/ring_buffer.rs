//! A ring buffer, and two mistakes: to move its head before the element is written, and to let both race.
//!
//! Head and tail count the elements that were ever put in and taken out; what stands between them is in the ring. One
//! store of the head puts an element in, one of the tail takes one out, so there is neither log nor recovery. The first
//! mistake moves the head over a slot that still holds an old element. The second writes the element first and moves the
//! head behind it, as it should, but one fence serves both: it waits for both lines, and says nothing of which comes
//! first.
//!
//! `cargo run -p crash-sim --example ring_buffer` prints the report of each.

use std::collections::VecDeque;

use crash_sim::{Campaign, Model, Sim};
use rio::Medium;

/// Right, or with a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Right,
    /// The head moves, and then the element is written.
    HeadFirst,
    /// Element and head are made durable together.
    OneFence,
}

/// Elements ever put in, and ever taken out.
const HEAD: u64 = 0;
const TAIL: u64 = 64;
/// The slots, in lines of their own: few, so that they are soon used again.
const SLOTS: u64 = 128;
const SLOT_COUNT: u64 = 2;

/// What the campaign does: puts a value in, or takes one out.
const STEPS: [Option<u64>; 6] = [Some(10), Some(11), None, Some(12), None, None];

/// The ring, on the memory that a campaign gives.
pub(crate) struct Ring {
    sim: Sim,
    version: Version,
}

impl Ring {
    fn slot(number: u64) -> u64 {
        SLOTS + 64 * (number % SLOT_COUNT)
    }

    fn push(&mut self, value: u64) {
        let head = self.sim.load(HEAD);
        assert!(head - self.sim.load(TAIL) < SLOT_COUNT, "the ring is full");
        let slot = Ring::slot(head);
        match self.version {
            Version::Right => {
                self.sim.store(slot, value);
                self.sim.persist(slot, 8); // Orders: the element, then the head that counts it.
                self.sim.store(HEAD, head + 1);
                self.sim.persist(HEAD, 8); // Orders: this push, then whatever follows on its acknowledgement.
            }
            Version::HeadFirst => {
                self.sim.store(HEAD, head + 1);
                self.sim.persist(HEAD, 8);
                self.sim.store(slot, value);
                self.sim.persist(slot, 8);
            }
            Version::OneFence => {
                self.sim.store(slot, value);
                self.sim.flush(slot, 8);
                self.sim.store(HEAD, head + 1);
                self.sim.flush(HEAD, 8);
                self.sim.fence();
            }
        }
    }

    fn pop(&mut self) {
        self.sim.store(TAIL, self.sim.load(TAIL) + 1);
        self.sim.persist(TAIL, 8); // Orders: the end of the element, then its slot used again.
    }

    fn values(&self) -> VecDeque<u64> {
        (self.sim.load(TAIL)..self.sim.load(HEAD)).map(|number| self.sim.load(Ring::slot(number))).collect()
    }
}

/// Every crash of the steps.
pub(crate) fn campaign(version: Version) -> Campaign<Ring> {
    let step = |values: &mut VecDeque<u64>, n: usize| match STEPS[n] {
        Some(value) => values.push_back(value),
        None => assert!(values.pop_front().is_some()),
    };
    Campaign::new(format!("ring-buffer-{version:?}"), 4096)
        .create(move |sim| Ok::<_, String>(Ring { sim, version }))
        .open(move |sim| Ok::<_, String>(Ring { sim, version }))
        .operations(STEPS.len(), |ring, n| {
            match STEPS[n] {
                Some(value) => ring.push(value),
                None => ring.pop(),
            }
            Ok::<_, String>(())
        })
        .model(VecDeque::new(), step, |ring| ring.values())
}

fn main() {
    println!("{}\n", campaign(Version::Right).explore(Model::Adr));
    println!("{}\n", campaign(Version::HeadFirst).explore(Model::Coherent));
    println!("{}", campaign(Version::OneFence).explore(Model::Adr));
}
