//! Which kills there are: a function of the seed alone, so that a round can be run again.
//!
//! A file lives through some rounds, each of which goes on with the operations where the one before ended, until they are
//! done. Then another file is made. Start at [`Plan`].

use fastrand::Rng;

/// The rounds of a seed, one after the other, without an end.
pub(super) struct Plan {
    seed: u64,
    operation_count: usize,
    crashes_creation: bool,
    next: usize,
    /// Operations that are surely begun when the next round begins.
    from: usize,
}

/// A round: a kill, perhaps one of the creation before it, and some of the recovery from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) number: usize,
    /// It begins with a new file.
    pub(super) is_first: bool,
    /// The file has no more rounds.
    pub(super) is_last: bool,
    pub(super) creation: Option<Draw>,
    pub(super) kill: Kill,
    pub(super) recoveries: Vec<Draw>,
}

/// How a process that does operations is killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kill {
    /// In operation `number`, at one of its calls.
    Counted { number: usize, call: Draw },
    /// At any time while it does the operations below `to`.
    Random { to: usize, time: Draw, lingers: bool },
}

/// One of any number of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Draw(u64);

impl Draw {
    /// From 1 to `count`.
    pub(super) fn one_of(self, count: u64) -> u64 {
        self.0 % count.max(1) + 1
    }
}

impl Plan {
    pub(super) fn new(seed: u64, operation_count: usize, crashes_creation: bool) -> Self {
        Plan { seed, operation_count, crashes_creation, next: 0, from: 0 }
    }
}

impl Iterator for Plan {
    type Item = Round;

    fn next(&mut self) -> Option<Round> {
        let number = self.next;
        let mut rng = Rng::with_seed(self.seed ^ (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let is_first = self.from == 0;
        // A file lives through some eight rounds.
        let step = rng.usize(0..(self.operation_count / 4).max(1));
        let target = (self.from + step).min(self.operation_count - 1);
        let kill = if number % 3 == 1 {
            Kill::Random { to: target + 1, time: Draw(rng.u64(..)), lingers: rng.bool() }
        } else {
            Kill::Counted { number: target, call: Draw(rng.u64(..)) }
        };
        let recovery_count = if number % 3 == 2 { rng.usize(1..=3) } else { 0 };
        let recoveries = (0..recovery_count).map(|_| Draw(rng.u64(..))).collect();
        let creation = Draw(rng.u64(..));
        self.next += 1;
        self.from = (target + 1) % self.operation_count;
        Some(Round {
            number,
            is_first,
            is_last: self.from == 0,
            creation: (is_first && self.crashes_creation).then_some(creation),
            kill,
            recoveries,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_a_function_of_its_seed() {
        let rounds = |seed| Plan::new(seed, 50, true).take(100).collect::<Vec<_>>();
        assert_eq!(rounds(7), rounds(7));
        assert_ne!(rounds(7), rounds(8));
    }

    #[test]
    fn a_file_lives_until_its_operations_are_done() {
        for count in [1, 2, 3, 50] {
            let rounds: Vec<Round> = Plan::new(1, count, false).take(1000).collect();
            for pair in rounds.windows(2) {
                assert_eq!(pair[0].is_last, pair[1].is_first, "{count} operations");
            }
            let ends = |round: &Round| match round.kill {
                Kill::Counted { number, .. } => number + 1,
                Kill::Random { to, .. } => to,
            };
            assert!(rounds.iter().all(|round| round.is_last == (ends(round) == count)), "{count} operations");
        }
    }
}
