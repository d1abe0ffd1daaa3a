//! The race: contenders side by side, in short rounds that take turns.
//!
//! All contenders of a workload are there at once. In each round every one of them runs, in an order drawn anew, so that what
//! disturbs the machine disturbs them alike and nobody has always the same one before it. A round is equally many
//! transactions for all but those whom it takes several times [`Plan::budget`]; they run fewer, since a commit that waits for
//! a disk takes ten thousand times as long as one that does not. Time is the clock's, as a caller waits for it, and
//! beside it the processor time of the thread and of the process. A contender's ratio to a bound is taken within each
//! round before the median is. One that fails is out; the others go on. Start at [`race`].

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::allocations;
use crate::counting::Counters;
use crate::engine::{Entry, Level, Random, Runner};
use crate::latency::{self, Latency};
use crate::work::Work;

/// How long a race is.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds that are timed.
    pub rounds: usize,
    /// Rounds before them, at least one.
    pub warm_up: usize,
    /// Transactions of a contender in a round, at most.
    pub per_round: usize,
    /// Time in a round of a contender that is so slow that it runs fewer.
    pub budget: Duration,
    /// Transactions that are timed one by one after the rounds, at most.
    pub one_by_one: usize,
    /// The same of a contender that runs fewer in its rounds too.
    pub one_by_one_slow: usize,
    /// Whether a transaction's costs are counted.
    pub has_counts: bool,
}

impl Plan {
    /// Inputs that a contender needs.
    pub fn input_count(&self) -> usize {
        (self.rounds + self.warm_up) * self.per_round + self.one_by_one
    }
}

/// Median and quartiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// What its transactions survive.
    pub level: Level,
    /// What was chosen for that; empty if the race says it, or if the process ended before.
    #[serde(default)]
    pub configuration: String,
    /// How it fared, or why it did not.
    pub outcome: Result<Outcome, String>,
}

/// How a contender fared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Transactions in a round.
    pub per_round: usize,
    /// Nanoseconds per transaction by the clock.
    pub wall: Spread,
    /// The same, of each round.
    pub rounds: Vec<f64>,
    /// Processor time of the thread, per transaction.
    pub thread: Spread,
    /// Processor time of the whole process, per transaction: more, if the engine has threads of its own.
    pub process: Spread,
    /// Of transactions that were timed one by one, if any were.
    pub latency: Option<Latency>,
    /// Counted in a run of its own, if it was.
    pub costs: Option<Costs>,
    /// Counted in a process of its own, if it was.
    pub work: Option<Work>,
}

/// What can be counted of a transaction from within.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// What passes through the seam, if the engine has a medium.
    pub seam: Option<Seam>,
    /// Allocations of volatile memory by the thread.
    pub allocations: f64,
}

/// What passes through the seam.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seam {
    /// Fences.
    pub fences: f64,
    /// Lines written back.
    pub lines: f64,
    /// Bytes stored to the log.
    pub log_bytes: f64,
}

/// Median over the rounds of how many times a contender's time is of `bound`'s.
pub fn ratio(outcome: &Outcome, bound: &Outcome) -> f64 {
    Spread::of(outcome.rounds.iter().zip(&bound.rounds).map(|(outcome, bound)| outcome / bound)).median
}

/// Where a race stands: whose turn it is, for him who watches, and for him who asks what it was that ended the process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Turn {
    /// Whose turn it is.
    pub name: String,
    /// What its transactions survive.
    pub level: Level,
    /// What has been done of all that is to be done.
    pub done: usize,
    /// All that is to be done.
    pub all: usize,
}

/// A contender in the race.
struct Racer<'a> {
    entry: &'a Entry,
    runner: Option<Box<dyn Runner>>,
    failure: Option<String>,
    per_round: usize,
    next: usize,
    times: Vec<Times>,
    latency: Option<Latency>,
}

impl Racer<'_> {
    /// Does something with the runner; if it panics, the contender is out.
    fn attempt<T>(&mut self, work: impl FnOnce(&mut Self, &mut dyn Runner) -> T) -> Option<T> {
        let mut runner = self.runner.take()?;
        match catch_unwind(AssertUnwindSafe(|| work(self, runner.as_mut()))) {
            Ok(value) => {
                self.runner = Some(runner);
                Some(value)
            }
            Err(panic) => {
                self.failure = Some(message(panic.as_ref()));
                // What has failed may fail again when it is dropped; that is no news.
                drop(catch_unwind(AssertUnwindSafe(|| drop(runner))));
                None
            }
        }
    }

    /// Runs so many transactions.
    fn run(&mut self, runner: &mut dyn Runner, count: usize) -> Times {
        let inputs = self.next..self.next + count;
        self.next += count;
        Times::of(|| runner.run(inputs))
    }
}

/// What a panic says.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

/// Runs the contenders against each other; `model` gives the digest of the first so many inputs.
pub fn race(
    entries: &[Entry],
    plan: Plan,
    model: &dyn Fn(usize) -> u64,
    watch: &mut dyn FnMut(Turn),
) -> Vec<Standing> {
    let all = entries.len() * (1 + plan.warm_up + plan.rounds + 2);
    let mut done = 0;
    let mut turn = |entry: &Entry| {
        watch(Turn { name: entry.name.to_owned(), level: entry.level, done, all });
        done += 1;
    };

    let mut racers: Vec<_> = entries.iter().map(|entry| enter(entry, &mut turn)).collect();
    // Here, and not before: threads that an engine has started may run where they like.
    pin();
    let mut order: Vec<_> = (0..racers.len()).collect();
    let mut random = Random::new(0x0DE2);
    for round in 0..plan.warm_up + plan.rounds {
        shuffle(&mut order, &mut random);
        for &index in &order {
            let racer = &mut racers[index];
            turn(racer.entry);
            racer.attempt(|racer, runner| match round {
                0 => find_pace(racer, runner, plan),
                _ => {
                    let times = racer.run(runner, racer.per_round).each(racer.per_round);
                    if round >= plan.warm_up {
                        racer.times.push(times);
                    }
                }
            });
        }
    }
    for racer in &mut racers {
        turn(racer.entry);
        racer.attempt(|racer, runner| {
            if plan.one_by_one > 0 {
                let is_slow = racer.per_round < plan.per_round;
                let count = if is_slow { plan.one_by_one.min(plan.one_by_one_slow) } else { plan.one_by_one };
                racer.latency = Some(latency::measure(runner, racer.next..racer.next + count));
                racer.next += count;
            }
            check(runner, model(racer.next));
        });
    }
    racers.into_iter().map(|racer| finish(racer, plan, &mut turn)).collect()
}

/// Makes a contender.
fn enter<'a>(entry: &'a Entry, turn: &mut dyn FnMut(&Entry)) -> Racer<'a> {
    turn(entry);
    let (runner, failure) = match catch_unwind(AssertUnwindSafe(|| entry.make())) {
        Ok(runner) => (Some(runner), None),
        Err(panic) => (None, Some(message(panic.as_ref()))),
    };
    Racer { entry, runner, failure, per_round: 0, next: 0, times: Vec::new(), latency: None }
}

/// The first round of the warm-up: longer and longer runs, until it is known how many transactions take the budget. The
/// fastest run counts, since the first are cold and any of them may be held up.
fn find_pace(racer: &mut Racer<'_>, runner: &mut dyn Runner, plan: Plan) {
    let budget = plan.budget.as_nanos() as f64;
    let mut count = 1;
    let mut nanos = f64::INFINITY;
    while racer.next < plan.per_round {
        nanos = racer.run(runner, count).each(count).wall.min(nanos);
        if nanos * count as f64 > budget / 4.0 {
            break;
        }
        count = (2 * count).min(plan.per_round - racer.next);
    }
    let affordable = (budget / nanos) as usize;
    // Cold runs look slow: only who is slower by far runs fewer.
    let is_affordable = affordable.saturating_mul(SLACK) >= plan.per_round;
    let least = racer.entry.least.min(plan.per_round).max(1);
    racer.per_round = if is_affordable { plan.per_round } else { affordable.max(least) };
}

/// Times the budget that a round may take before it is shortened.
const SLACK: usize = 4;

/// What a contender did, with what a transaction of it costs.
fn finish(mut racer: Racer<'_>, plan: Plan, turn: &mut dyn FnMut(&Entry)) -> Standing {
    let entry = racer.entry;
    turn(entry);
    let closed = catch_unwind(AssertUnwindSafe(|| drop(racer.runner.take())));
    let failure = racer.failure.or(closed.err().map(|panic| message(panic.as_ref())));
    let outcome = match failure {
        Some(failure) => Err(failure),
        None => {
            let spread = |time: fn(&Times) -> f64| Spread::of(racer.times.iter().map(time));
            let counted = || plan.has_counts.then(|| count(entry, racer.per_round));
            catch_unwind(AssertUnwindSafe(counted)).map_err(|panic| message(panic.as_ref())).map(|costs| {
                Outcome {
                    per_round: racer.per_round,
                    wall: spread(|times| times.wall),
                    rounds: racer.times.iter().map(|times| times.wall).collect(),
                    thread: spread(|times| times.thread),
                    process: spread(|times| times.process),
                    latency: racer.latency,
                    costs,
                    work: None,
                }
            })
        }
    };
    let configuration = entry.configuration.to_owned();
    Standing { name: entry.name.to_owned(), level: entry.level, configuration, outcome }
}

/// Every order as likely (Fisher and Yates).
pub(crate) fn shuffle<T>(order: &mut [T], random: &mut Random) {
    for last in (1..order.len()).rev() {
        order.swap(last, random.below(last as u64 + 1) as usize);
    }
}

/// Counts what a transaction costs, after a warm-up of as many.
fn count(entry: &Entry, transactions: usize) -> Costs {
    let (mut runner, counters) = match entry.make_counting() {
        Some((runner, counters)) => (runner, Some(counters)),
        None => (entry.make(), None),
    };
    let warm_up = transactions.min(runner.input_count() - transactions);
    runner.run(0..warm_up);
    let counts = || counters.as_ref().map(Counters::counts);
    let (before, allocations_before) = (counts(), allocations::count());
    runner.run(warm_up..warm_up + transactions);
    let allocations = allocations::count() - allocations_before;
    let each = |count: u64| count as f64 / transactions as f64;
    let seam = counts().zip(before).map(|(counts, before)| counts.since(before)).map(|counts| Seam {
        fences: each(counts.fences),
        lines: each(counts.lines),
        log_bytes: each(counts.log_bytes),
    });
    Costs { seam, allocations: each(allocations) }
}

/// # Panics
/// If the contender's data are not what the model says.
pub fn check(runner: &dyn Runner, expected_digest: u64) {
    assert_eq!(runner.digest(), expected_digest, "{}: its data are not the model's", runner.name());
}

/// What some work took, in nanoseconds by three clocks.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The one on the wall.
    pub wall: f64,
    /// Processor time of this thread.
    pub thread: f64,
    /// Processor time of all threads.
    pub process: f64,
}

impl Times {
    /// Times `work`.
    pub fn of(work: impl FnOnce()) -> Self {
        let process = processor_nanos(ClockId::CLOCK_PROCESS_CPUTIME_ID);
        let thread = processor_nanos(ClockId::CLOCK_THREAD_CPUTIME_ID);
        let started = Instant::now();
        work();
        Times {
            wall: started.elapsed().as_nanos() as f64,
            thread: processor_nanos(ClockId::CLOCK_THREAD_CPUTIME_ID) - thread,
            process: processor_nanos(ClockId::CLOCK_PROCESS_CPUTIME_ID) - process,
        }
    }

    /// The share of each of so many transactions.
    pub fn each(self, transactions: usize) -> Self {
        let each = |nanos: f64| nanos / transactions as f64;
        Times { wall: each(self.wall), thread: each(self.thread), process: each(self.process) }
    }
}

fn processor_nanos(clock: ClockId) -> f64 {
    let now = clock_gettime(clock).expect("a clock of this process");
    now.tv_sec() as f64 * 1e9 + now.tv_nsec() as f64
}

/// Keeps this thread on one processor: the last one that it may use, where interrupts are fewest.
pub fn pin() -> Option<usize> {
    let last = last_processor()?;
    let mut only = CpuSet::new();
    only.set(last).ok()?;
    sched_setaffinity(Pid::from_raw(0), &only).ok()?;
    Some(last)
}

/// Does something on one processor, and may run where it could before: what is started then is not kept on that one.
pub(crate) fn pinned<T>(work: impl FnOnce() -> T) -> T {
    let before = nix::sched::sched_getaffinity(Pid::from_raw(0));
    pin();
    let output = work();
    if let Ok(before) = before {
        // Where it fails this thread stays where it is, which is where it was timed.
        let _ = sched_setaffinity(Pid::from_raw(0), &before);
    }
    output
}

/// The one that [`pin`] takes.
pub fn last_processor() -> Option<usize> {
    let allowed = nix::sched::sched_getaffinity(Pid::from_raw(0)).ok()?;
    (0..CpuSet::count()).rev().find(|&cpu| allowed.is_set(cpu).unwrap_or(false))
}
