//! The trial: all collections of a family side by side, with the same number of entries, in rounds that take turns.
//!
//! In each round every operation is timed on every collection, in an order drawn anew, so that what disturbs the machine
//! disturbs them alike. What is inserted is removed again, so that the number of entries stays what it is. How many
//! operations a turn has is found in the first round, so that none is longer than some budget. Every lookup, walk and
//! range is compared with the sum that it has to give, and in the end everything is walked over. What an operation
//! stores to the log is counted afterwards, on a medium that counts. Start at [`trial`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::contenders::{Contender, Family, Made, Role, Structure};
use super::keys::{self, Order};
use super::subject::{Operation, RANGE_LEN, Subject};
use crate::engine::{Level, Random};
use crate::files::Files;
use crate::race::{Spread, Turn, message, pin, shuffle};

/// Operations in a transaction, one after the other.
pub const BATCHES: [usize; 3] = [1, 100, 1000];
/// Lookups in a read transaction, for those who have such.
const READ_BATCHES: [usize; 2] = [1, 1000];
/// Operations in a transaction while a collection is filled.
const FILL_LEN: usize = 10_000;
/// Operations whose log is counted, at least.
const COUNTED: usize = 2000;

/// How long a trial is.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds that are timed.
    pub rounds: usize,
    /// Rounds before them, at least one.
    pub warm_up: usize,
    /// Time of a turn.
    pub budget: Duration,
    /// Operations of a turn, at most.
    pub most: usize,
}

/// What is on trial.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The collections.
    pub family: Family,
    /// The order of the keys.
    pub order: Order,
    /// Entries that are there.
    pub entries: u64,
}

/// How a collection fared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub role: Role,
    /// What it is.
    pub structure: Structure,
    /// What its transactions survive.
    pub level: Level,
    /// What was chosen for that.
    #[serde(default)]
    pub configuration: String,
    /// What it did, or why it did not.
    pub outcome: Result<Vec<Figure>, String>,
}

/// One operation of a collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The operation.
    pub operation: Operation,
    /// Operations in a transaction.
    pub batch: usize,
    /// Operations in a turn.
    pub count: usize,
    /// Nanoseconds per operation.
    pub nanos: Spread,
    /// The same, of each round.
    pub rounds: Vec<f64>,
    /// Bytes stored to the log per operation, if there is such a log and something is changed.
    pub undo_bytes: Option<f64>,
}

impl Standing {
    /// What came out for an operation.
    pub fn figure(&self, operation: Operation, batch: usize) -> Option<&Figure> {
        let figures = self.outcome.as_ref().ok()?;
        figures.iter().find(|figure| (figure.operation, figure.batch) == (operation, batch))
    }
}

/// What is timed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A read, with so many in a read transaction.
    Read(Operation, usize),
    /// Inserts, and removals of what was inserted, so many in a transaction.
    Write(usize),
}

impl Step {
    fn all(family: Family) -> Vec<Step> {
        let reads: &[usize] = if family.is_sequence() { &READ_BATCHES[..1] } else { &READ_BATCHES };
        let mut steps = Vec::new();
        for operation in [Operation::Hit, Operation::Miss] {
            steps.extend(reads.iter().map(|&batch| Step::Read(operation, batch)));
        }
        steps.extend(BATCHES.map(Step::Write));
        steps.extend([Operation::Iterate, Operation::Range].map(|operation| Step::Read(operation, 1)));
        steps
    }

    fn batch(self) -> usize {
        match self {
            Step::Read(_, batch) | Step::Write(batch) => batch,
        }
    }

    fn operations(self) -> Vec<Operation> {
        match self {
            Step::Read(operation, _) => vec![operation],
            Step::Write(_) => vec![Operation::Insert, Operation::Remove],
        }
    }
}

/// The keys in order, with the sums of their words up to each: what ranges and walks have to give.
struct Ordered {
    keys: Vec<u64>,
    sums: Vec<u64>,
}

impl Ordered {
    fn new(setup: Setup) -> Self {
        let mut keys: Vec<_> = (0..setup.entries).map(|number| setup.order.key(number)).collect();
        if !setup.family.is_sequence() {
            keys.sort_unstable();
        }
        let mut sums = vec![0_u64];
        sums.extend(keys.iter().scan(0_u64, |sum, &key| {
            *sum = sum.wrapping_add(keys::word(key));
            Some(*sum)
        }));
        Ordered { keys, sums }
    }

    fn sum(&self, range: std::ops::Range<usize>) -> u64 {
        self.sums[range.end].wrapping_sub(self.sums[range.start])
    }
}

/// A collection on trial.
struct Racer<'a> {
    contender: &'a Contender,
    made: Option<Made>,
    failure: Option<String>,
    /// Number of the next entry that was never there.
    next: u64,
    /// Number of the first entry, of a queue.
    front: u64,
    random: Random,
    /// For each step: operations in a turn, and the time of each round's operations.
    counts: Vec<usize>,
    times: Vec<Vec<Vec<f64>>>,
}

/// Tries everybody; `contenders` without those whom nobody asked for.
pub fn trial(
    contenders: &[Contender],
    setup: Setup,
    plan: Plan,
    files: &Files,
    watch: &mut dyn FnMut(Turn),
) -> Vec<Standing> {
    let steps = Step::all(setup.family);
    let rounds = plan.warm_up + plan.rounds;
    let all = contenders.len() * (2 + rounds * steps.len());
    let mut done = 0;
    let mut turn = |contender: &Contender| {
        watch(Turn { name: contender.name.to_owned(), level: contender.level, done, all });
        done += 1;
    };
    let ordered = Ordered::new(setup);
    let mut racers = Vec::new();
    for contender in contenders {
        turn(contender);
        racers.push(Racer::enter(contender, setup, steps.len(), files));
    }
    // Here, and not before: threads that an engine has started may run where they like.
    pin();
    let mut places: Vec<_> = (0..racers.len()).collect();
    let mut random = Random::new(0x0DE2);
    for round in 0..rounds {
        for (at, &step) in steps.iter().enumerate() {
            shuffle(&mut places, &mut random);
            for &place in &places {
                let racer = &mut racers[place];
                turn(racer.contender);
                racer.renew(setup, files);
                racer.attempt(|racer, subject| {
                    if !subject.offers(step.operations()[0]) {
                        return;
                    }
                    if round == 0 {
                        racer.counts[at] = racer.find_pace(subject, setup, &ordered, step, plan);
                    } else {
                        let times = racer.run(subject, setup, &ordered, step, racer.counts[at]);
                        if round >= plan.warm_up {
                            racer.times[at].push(times);
                        }
                    }
                });
            }
        }
    }
    for racer in &mut racers {
        racer.attempt(|racer, subject| racer.check(subject, setup, &ordered));
        // Before the next one's log is counted: a large collection is large twice.
        drop(racer.made.take());
    }
    racers
        .into_iter()
        .map(|racer| {
            turn(racer.contender);
            racer.finish(setup, &steps, files)
        })
        .collect()
}

impl Racer<'_> {
    fn enter<'a>(contender: &'a Contender, setup: Setup, steps: usize, files: &Files) -> Racer<'a> {
        let made = catch_unwind(AssertUnwindSafe(|| {
            let mut made = contender.make(files, setup.entries);
            fill(made.subject.as_mut(), setup);
            made
        }));
        let (made, failure) = match made {
            Ok(made) => (Some(made), None),
            Err(panic) => (None, Some(message(panic.as_ref()))),
        };
        Racer {
            contender,
            made,
            failure,
            next: setup.entries,
            front: 0,
            random: Random::new(1997),
            counts: vec![0; steps],
            times: vec![Vec::new(); steps],
        }
    }

    /// Makes the collection anew, if nothing can be taken away from it and it has grown by a quarter.
    fn renew(&mut self, setup: Setup, files: &Files) {
        let removes = |made: &Made| made.subject.offers(Operation::Remove);
        let has_grown = self.next > setup.entries + setup.entries / 4;
        if !has_grown || self.made.as_ref().is_none_or(removes) {
            return;
        }
        drop(self.made.take());
        let Racer { made, failure, .. } = Racer::enter(self.contender, setup, 0, files);
        (self.made, self.failure, self.next) = (made, failure, setup.entries);
    }

    /// Does something with the collection; if it panics, it is out.
    fn attempt(&mut self, work: impl FnOnce(&mut Self, &mut dyn Subject)) {
        let Some(mut made) = self.made.take() else { return };
        match catch_unwind(AssertUnwindSafe(|| work(self, made.subject.as_mut()))) {
            Ok(()) => self.made = Some(made),
            Err(panic) => {
                self.failure = Some(message(panic.as_ref()));
                // What has failed may fail again when it is dropped; that is no news.
                drop(catch_unwind(AssertUnwindSafe(|| drop(made))));
            }
        }
    }

    /// Longer and longer turns, until it is known how many operations take the budget.
    fn find_pace(
        &mut self,
        subject: &mut dyn Subject,
        setup: Setup,
        ordered: &Ordered,
        step: Step,
        plan: Plan,
    ) -> usize {
        let batch = step.batch();
        let budget = plan.budget.as_nanos() as f64;
        let most = match step {
            Step::Write(_) if !subject.offers(Operation::Remove) => {
                plan.most.min(setup.entries as usize / 4).next_multiple_of(batch)
            }
            _ => plan.most.next_multiple_of(batch),
        };
        let mut count = 16_usize.next_multiple_of(batch);
        let mut fastest = f64::INFINITY;
        loop {
            let each = self.run(subject, setup, ordered, step, count).into_iter().fold(0.0, f64::max);
            fastest = fastest.min(each);
            if each * count as f64 > budget / 4.0 || count >= most {
                break;
            }
            count = (2 * count).min(most);
        }
        ((budget / fastest) as usize / batch * batch).clamp(batch, most)
    }

    /// Runs a turn of so many operations: nanoseconds of each, for every operation of the step.
    fn run(
        &mut self,
        subject: &mut dyn Subject,
        setup: Setup,
        ordered: &Ordered,
        step: Step,
        count: usize,
    ) -> Vec<f64> {
        let each = |time: Duration| time.as_nanos() as f64 / count as f64;
        match step {
            Step::Write(batch) => self.write(subject, setup, batch, count).map(each).into(),
            Step::Read(Operation::Iterate, _) => {
                let limit = setup.entries.min(count as u64);
                let turns = (count as u64 / limit).max(1);
                let started = Instant::now();
                for _ in 0..turns {
                    assert_eq!(subject.iterate(limit).0, limit, "so many entries");
                }
                vec![started.elapsed().as_nanos() as f64 / (turns * limit) as f64]
            }
            Step::Read(operation, batch) => {
                let (asked, expected) = self.questions(setup, ordered, operation, count);
                let started = Instant::now();
                let found = match operation {
                    Operation::Range => subject.range(&asked),
                    _ => subject.get(&asked, batch),
                };
                let time = started.elapsed();
                assert_eq!(found, expected, "what is found by: {}", operation.title());
                vec![each(time)]
            }
        }
    }

    /// What is asked for, and what has to be found.
    fn questions(
        &mut self,
        setup: Setup,
        ordered: &Ordered,
        operation: Operation,
        count: usize,
    ) -> (Vec<u64>, u64) {
        let Setup { family, order, entries } = setup;
        let end = if operation == Operation::Range { entries - RANGE_LEN as u64 + 1 } else { entries };
        let start = self.random.below(end);
        let numbers: Vec<u64> = match order {
            Order::Random => (0..count).map(|_| self.random.below(end)).collect(),
            Order::Sequential => (0..count as u64).map(|at| (start + at) % end).collect(),
        };
        match operation {
            Operation::Miss => (numbers.iter().map(|&number| order.missing(number)).collect(), 0),
            Operation::Range => {
                let sums = numbers.iter().map(|&at| ordered.sum(at as usize..at as usize + RANGE_LEN));
                let expected = sums.fold(0, u64::wrapping_add);
                if family.is_sequence() {
                    return (numbers, expected);
                }
                (numbers.iter().map(|&at| ordered.keys[at as usize]).collect(), expected)
            }
            _ => {
                let expected = keys::sum(numbers.iter().map(|&number| order.key(self.front + number)));
                if family.is_sequence() {
                    return (numbers, expected);
                }
                (numbers.into_iter().map(|number| order.key(number)).collect(), expected)
            }
        }
    }

    /// Inserts and removes, in parts of a quarter of the entries or of one transaction, whichever is more.
    fn write(
        &mut self,
        subject: &mut dyn Subject,
        setup: Setup,
        batch: usize,
        count: usize,
    ) -> [Duration; 2] {
        let part = (setup.entries as usize / 4 / batch * batch).max(batch);
        let mut times = [Duration::ZERO; 2];
        let mut left = count;
        while left > 0 {
            let part = part.min(left);
            left -= part;
            let mut fresh: Vec<_> =
                (self.next..self.next + part as u64).map(|number| setup.order.key(number)).collect();
            let started = Instant::now();
            subject.insert(&fresh, batch);
            times[0] += started.elapsed();
            if !subject.offers(Operation::Remove) {
                self.next += part as u64;
                continue;
            }
            if setup.order == Order::Random {
                shuffle(&mut fresh, &mut self.random);
            }
            let started = Instant::now();
            subject.remove(&fresh, batch);
            times[1] += started.elapsed();
            match setup.family {
                Family::Maps => self.next += part as u64,
                Family::Vec => {}
                Family::Deque => {
                    self.next += part as u64;
                    self.front += part as u64;
                }
            }
        }
        times
    }

    /// Everything is there, and nothing else.
    fn check(&mut self, subject: &mut dyn Subject, setup: Setup, ordered: &Ordered) {
        let sum = match setup.family {
            Family::Deque => {
                keys::sum((self.front..self.front + setup.entries).map(|number| setup.order.key(number)))
            }
            _ => ordered.sum(0..setup.entries as usize),
        };
        // Of those from which nothing can be taken away, also what was added.
        let removes = subject.offers(Operation::Remove);
        let added = if removes { setup.entries..setup.entries } else { setup.entries..self.next };
        let sum = sum.wrapping_add(keys::sum(added.clone().map(|number| setup.order.key(number))));
        assert_eq!(subject.iterate(u64::MAX), (added.end, sum), "the entries, and the sum of their words");
        for operation in [Operation::Hit, Operation::Miss] {
            if !subject.offers(operation) {
                continue;
            }
            let (asked, expected) = self.questions(setup, ordered, operation, COUNTED);
            assert_eq!(subject.get(&asked, COUNTED), expected, "what is found by: {}", operation.title());
        }
    }

    fn finish(self, setup: Setup, steps: &[Step], files: &Files) -> Standing {
        let contender = self.contender;
        let outcome = match self.failure {
            Some(failure) => Err(failure),
            None => catch_unwind(AssertUnwindSafe(|| undo_bytes(contender, setup, files)))
                .map_err(|panic| message(panic.as_ref()))
                .map(|undo| figures(steps, &self.counts, &self.times, &undo)),
        };
        Standing {
            name: contender.name.to_owned(),
            role: contender.role,
            structure: contender.structure,
            level: contender.level,
            configuration: contender.configuration.to_owned(),
            outcome,
        }
    }
}

fn fill(subject: &mut dyn Subject, setup: Setup) {
    let numbers: Vec<u64> = (0..setup.entries).collect();
    for numbers in numbers.chunks(FILL_LEN) {
        let keys: Vec<_> = numbers.iter().map(|&number| setup.order.key(number)).collect();
        subject.insert(&keys, FILL_LEN);
    }
}

/// Bytes that an operation stores to the log, in transactions of so many.
type Undo = (Operation, usize, f64);

fn figures(steps: &[Step], counts: &[usize], times: &[Vec<Vec<f64>>], undo: &[Undo]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        if times[at].is_empty() {
            continue; // It does not offer that.
        }
        for (which, operation) in step.operations().into_iter().enumerate() {
            if times[at].iter().any(|times| times[which] == 0.0) {
                continue; // Nothing was done.
            }
            let rounds: Vec<f64> = times[at].iter().map(|times| times[which]).collect();
            let counted = undo.iter().find(|(other, batch, _)| (*other, *batch) == (operation, step.batch()));
            figures.push(Figure {
                operation,
                batch: step.batch(),
                count: counts[at],
                nanos: Spread::of(rounds.iter().copied()),
                rounds,
                undo_bytes: counted.map(|(_, _, bytes)| *bytes),
            });
        }
    }
    figures
}

/// Counts the bytes that inserts and removals store to the log; nothing of who has no medium.
pub fn undo_bytes(contender: &Contender, setup: Setup, files: &Files) -> Vec<Undo> {
    let Some((mut made, counters)) = contender.make_counting(files) else { return Vec::new() };
    let subject = made.subject.as_mut();
    fill(subject, setup);
    let mut next = setup.entries;
    let mut found = Vec::new();
    for batch in BATCHES {
        let count = COUNTED.next_multiple_of(batch) as u64;
        let fresh: Vec<_> = (next..next + count).map(|number| setup.order.key(number)).collect();
        next += count;
        let mut counted = |operation, work: &mut dyn FnMut()| {
            let before = counters.counts();
            work();
            let bytes = counters.counts().since(before).log_bytes;
            found.push((operation, batch, bytes as f64 / count as f64));
        };
        counted(Operation::Insert, &mut || subject.insert(&fresh, batch));
        counted(Operation::Remove, &mut || subject.remove(&fresh, batch));
    }
    found
}
