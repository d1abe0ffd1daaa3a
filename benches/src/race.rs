//! The race: contenders side by side, in short rounds that take turns.
//!
//! All contenders of a workload are there at once. In each round every one of them runs the same inputs, in an order drawn
//! anew, so that what disturbs the machine disturbs them alike and nobody has always the same one before it. Time is the processor time of
//! the one pinned thread. A contender's ratio to a bound is taken within each round before the median is. Start at
//! [`race`].

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use serde::Serialize;

use crate::allocations;
use crate::counting::Counters;
use crate::engine::{Entry, Random, Runner};

/// How long a race is.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds that are timed.
    pub rounds: usize,
    /// Rounds before them.
    pub warm_up: usize,
    /// Transactions of each contender in a round.
    pub per_round: usize,
}

impl Plan {
    /// Inputs that a contender needs.
    pub fn input_count(&self) -> usize {
        (self.rounds + self.warm_up) * self.per_round
    }
}

/// Median and quartiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// A quarter of the values lie below.
    pub lower: f64,
    /// The middle.
    pub median: f64,
    /// A quarter of the values lie above.
    pub upper: f64,
}

impl Spread {
    /// Of these values.
    ///
    /// # Panics
    /// If there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        Spread { lower: at(0.25), median: at(0.5), upper: at(0.75) }
    }
}

/// What one contender did.
#[derive(Clone, Debug, Serialize)]
pub struct Result {
    /// Its name.
    pub name: &'static str,
    /// Nanoseconds per transaction, of each round.
    #[serde(skip)]
    pub rounds: Vec<f64>,
    /// The same in short.
    pub nanos: Spread,
    /// Of a transaction, counted in a run of its own.
    pub costs: Costs,
}

/// What can be counted of a transaction.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Costs {
    /// Fences.
    pub fences: f64,
    /// Lines written back.
    pub lines: f64,
    /// Bytes stored to the log.
    pub log_bytes: f64,
    /// Allocations of volatile memory.
    pub allocations: f64,
}

/// Median over the rounds of how many times a result is of `bound`'s.
pub fn ratio(result: &Result, bound: &Result) -> f64 {
    Spread::of(result.rounds.iter().zip(&bound.rounds).map(|(result, bound)| result / bound)).median
}

/// Runs the contenders against each other.
///
/// # Panics
/// If a contender's data are not in the end what the model says.
pub fn race(entries: &[Entry], plan: Plan, expected_digest: u64) -> Vec<Result> {
    let mut runners: Vec<_> = entries.iter().map(Entry::make).collect();
    let mut rounds = vec![Vec::new(); runners.len()];
    let mut order: Vec<_> = (0..runners.len()).collect();
    let mut random = Random::new(0x0DE2);
    for round in 0..plan.warm_up + plan.rounds {
        let inputs = round * plan.per_round..(round + 1) * plan.per_round;
        shuffle(&mut order, &mut random);
        for &index in &order {
            let nanos = thread_nanos(|| runners[index].run(inputs.clone()));
            if round >= plan.warm_up {
                rounds[index].push(nanos / plan.per_round as f64);
            }
        }
    }
    for runner in &runners {
        check(runner.as_ref(), expected_digest);
    }
    drop(runners);
    std::iter::zip(entries, rounds)
        .map(|(entry, rounds)| Result {
            name: entry.name,
            nanos: Spread::of(rounds.iter().copied()),
            rounds,
            costs: count(entry, plan.per_round),
        })
        .collect()
}

/// Every order as likely (Fisher and Yates).
fn shuffle(order: &mut [usize], random: &mut Random) {
    for last in (1..order.len()).rev() {
        order.swap(last, random.below(last as u64 + 1) as usize);
    }
}

/// Counts what a transaction costs, after a warm-up of as many.
fn count(entry: &Entry, transactions: usize) -> Costs {
    let (mut runner, counters) = match entry.make_counting() {
        Some((runner, counters)) => (runner, counters),
        None => (entry.make(), Counters::default()),
    };
    let warm_up = transactions.min(runner.input_count() - transactions);
    runner.run(0..warm_up);
    let (before, allocations_before) = (counters.counts(), allocations::count());
    runner.run(warm_up..warm_up + transactions);
    let allocations = allocations::count() - allocations_before;
    let counts = counters.counts().since(before);
    let each = |count: u64| count as f64 / transactions as f64;
    Costs {
        fences: each(counts.fences),
        lines: each(counts.lines),
        log_bytes: each(counts.log_bytes),
        allocations: each(allocations),
    }
}

/// # Panics
/// If the contender's data are not what the model says.
pub fn check(runner: &dyn Runner, expected_digest: u64) {
    assert_eq!(runner.digest(), expected_digest, "{}: its data are not the model's", runner.name());
}

/// Processor time of this thread in nanoseconds, while `work` runs.
pub fn thread_nanos(work: impl FnOnce()) -> f64 {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the thread's clock");
    let before = now();
    work();
    let spent = now() - before;
    spent.tv_sec() as f64 * 1e9 + spent.tv_nsec() as f64
}

/// Keeps this thread on one processor: the last one that it may use, where interrupts are fewest.
pub fn pin() -> Option<usize> {
    let allowed = nix::sched::sched_getaffinity(Pid::from_raw(0)).ok()?;
    let last = (0..CpuSet::count()).rev().find(|&cpu| allowed.is_set(cpu).unwrap_or(false))?;
    let mut only = CpuSet::new();
    only.set(last).ok()?;
    sched_setaffinity(Pid::from_raw(0), &only).ok()?;
    Some(last)
}
