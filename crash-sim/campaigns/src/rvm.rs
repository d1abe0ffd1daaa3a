//! Crash campaigns over lrvm on Rio: a log and two segments in one medium, and what must hold after each crash of them.
//!
//! A scenario is data: operations of several steps, each of which ends with all of it durable. A plain model says what the
//! segments hold after each; after any crash they must hold what was acknowledged, or what was committed since up to some
//! flush, whole. That goes for the coherent model and for ADR; a power cut of ordinary memory is not survived, since
//! nothing is synced there: for that there are files. Start at [`campaign`].

use std::io::{self, IoSlice};

use crash_sim::{BoxError, Campaign, Expect, Sim};
use lrvm::layout::{PAGE_LEN, RING_OFFSET, STATUS_OFFSETS, Status};
use lrvm::on_rio::Partition;
use lrvm::{Begin, Device, End, Options, Region, Rvm, Truncation};
use rio::{Domain, HEADER_LEN};

/// Pages of each segment.
const PAGES: u64 = 3;
/// Bytes of each segment.
const SEGMENT_LEN: u64 = PAGES * PAGE_LEN;
/// The segments' names.
const SEGMENTS: [&str; 2] = ["one", "two"];

/// A range that a transaction changes: segment, offset, length, and the byte that fills it.
pub type Change = (usize, u64, u64, u8);

/// What an operation does, one behind the other.
#[derive(Clone, Debug)]
pub enum Step {
    /// A transaction that commits.
    Commit(End, Vec<Change>),
    /// One that aborts.
    Abort(Vec<Change>),
    /// One that is open while the log is truncated, and then commits; with a second one on the other segment that commits
    /// with a flush before that.
    Around(Truncation, Vec<Change>, Vec<Change>),
    /// These, by a program that has not crashed yet; the others, by one that has recovered.
    Differently(Vec<Step>, Vec<Step>),
    /// All that waits is flushed.
    Flush,
    /// The log is truncated by this call.
    Truncate(Truncation),
    /// Both regions are unmapped; whoever wants them maps them again.
    Unmap,
    /// The log is closed in order; whoever wants it opens it again.
    Close,
}

/// A workload.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name in reports, replay lines and on the command line.
    pub name: &'static str,
    ring_pages: u64,
    options: Options,
    /// Whether the regions are mapped before the first operation.
    is_mapped: bool,
    operations: Vec<Vec<Step>>,
}

fn scenario(name: &'static str, operations: Vec<Vec<Step>>) -> Scenario {
    let options = Options::new().background(false).threshold(100);
    Scenario { name, ring_pages: 1, options, is_mapped: true, operations }
}

impl Scenario {
    fn options(mut self, options: impl FnOnce(Options) -> Options) -> Self {
        self.options = options(self.options);
        self
    }

    /// How many operations it has.
    pub fn operation_count(&self) -> usize {
        self.operations.len()
    }

    fn size(&self) -> u64 {
        HEADER_LEN + self.log_len() + SEGMENTS.len() as u64 * SEGMENT_LEN
    }

    fn log_len(&self) -> u64 {
        RING_OFFSET + self.ring_pages * PAGE_LEN
    }
}

/// All of them, the short ones first.
pub fn all() -> Vec<Scenario> {
    vec![
        one_commit(),
        nothing(),
        commits(),
        ranges(),
        without_flush(),
        elision(),
        aborts(),
        two_segments(),
        map_again(),
        first_map(),
        close_and_open(),
        status_blocks(),
        epoch(),
        commits_before_epoch(),
        incremental(),
        truncation_around_transactions(),
        no_room(),
        wrap(Truncation::Epoch),
        wrap(Truncation::Incremental),
        rounds_of_equal_records(),
        another_way_when_opened(),
    ]
}

fn flush(changes: &[Change]) -> Step {
    Step::Commit(End::Flush, changes.to_vec())
}

fn no_flush(changes: &[Change]) -> Step {
    Step::Commit(End::NoFlush, changes.to_vec())
}

/// The least: eight bytes.
pub fn one_commit() -> Scenario {
    scenario("lrvm-one-commit", vec![vec![flush(&[(0, 8, 8, 1)])]])
}

/// A log that was made and is closed; for crashes of its making.
fn nothing() -> Scenario {
    Scenario { is_mapped: false, ..scenario("lrvm-nothing", vec![]) }
}

fn commits() -> Scenario {
    let one = |value: u8| vec![flush(&[(0, 8, 8, value), (0, PAGE_LEN + 100, 24, value)])];
    scenario("lrvm-commits", vec![one(1), one(2), one(3)])
}

/// Ranges that overlap, touch, lie apart, and cross a page; lengths that are no multiple of a word.
fn ranges() -> Scenario {
    let changes = [
        (0, 5, 11, 1),
        (0, 12, 9, 2),
        (0, 21, 3, 3),
        (0, 0, 2, 4),
        (0, PAGE_LEN - 7, 20, 5),
        (0, 300, 70, 6),
        (0, 310, 5, 7),
        (0, 64, 0, 8),
    ];
    let apart = [(0, 5, 11, 9), (0, 300, 70, 10), (0, PAGE_LEN - 7, 20, 11)];
    let operations = vec![vec![flush(&changes)], vec![flush(&apart)]];
    scenario("lrvm-ranges", operations)
}

/// Commits that wait, then go to the log as one batch.
fn without_flush() -> Scenario {
    let operations = vec![
        vec![no_flush(&[(0, 0, 8, 1)]), no_flush(&[(0, 64, 8, 2)]), flush(&[(0, 128, 8, 3)])],
        vec![no_flush(&[(0, 0, 16, 4), (1, 0, 8, 4)]), no_flush(&[(0, 8, 16, 5)]), Step::Flush],
    ];
    scenario("lrvm-without-flush", operations)
}

/// Records that later ones overwrite: wholly, in part, together, and across a flush.
fn elision() -> Scenario {
    let operations = vec![
        vec![no_flush(&[(0, 0, 8, 1)]), no_flush(&[(0, 64, 8, 2), (0, 0, 8, 2)]), Step::Flush],
        vec![no_flush(&[(0, 0, 24, 3), (0, 512, 8, 3)]), no_flush(&[(0, 8, 8, 4)]), flush(&[(0, 64, 8, 5)])],
        vec![
            no_flush(&[(0, 0, 24, 6)]),
            no_flush(&[(0, 0, 8, 7)]),
            no_flush(&[(0, 8, 16, 8), (0, 600, 8, 8)]),
            Step::Flush,
            no_flush(&[(0, 600, 8, 9)]),
            no_flush(&[(0, 600, 8, 10)]),
            flush(&[(0, 0, 4, 11)]),
        ],
    ];
    scenario("lrvm-elision", operations)
}

fn aborts() -> Scenario {
    let operations = vec![
        vec![flush(&[(0, 0, 16, 1)]), Step::Abort(vec![(0, 0, 8, 2), (0, 4, 8, 3), (0, 0, 8, 4)])],
        vec![
            no_flush(&[(0, 32, 8, 5)]),
            Step::Abort(vec![(0, 32, 8, 6), (1, 0, 8, 6)]),
            flush(&[(0, 0, 12, 7)]),
        ],
        // What an abort left in memory goes to the segment, a page as a whole.
        vec![Step::Abort(vec![(0, 4, 8, 8), (0, 0, 8, 9)]), Step::Truncate(Truncation::Incremental)],
    ];
    scenario("lrvm-aborts", operations)
}

fn two_segments() -> Scenario {
    let both = |value: u8| vec![flush(&[(0, 0, 8, value), (1, PAGE_LEN, 8, value), (0, 64, 8, value)])];
    let operations = vec![both(1), vec![flush(&[(1, 0, 8, 2)]), Step::Truncate(Truncation::Epoch)], both(3)];
    scenario("lrvm-two-segments", operations)
}

/// What is mapped again shows what was committed, be it in the log or still waiting.
fn map_again() -> Scenario {
    let operations = vec![
        vec![no_flush(&[(0, 0, 8, 1)]), Step::Unmap, no_flush(&[(0, 8, 8, 2)]), Step::Flush],
        vec![
            flush(&[(0, 0, 4, 3)]),
            Step::Unmap,
            flush(&[(0, 4, 1, 4)]),
            Step::Truncate(Truncation::Incremental),
        ],
    ];
    scenario("lrvm-map-again", operations)
}

/// The segments get their numbers in the log's table within the workload.
fn first_map() -> Scenario {
    let operations = vec![vec![flush(&[(1, 0, 8, 1)])], vec![flush(&[(0, 0, 8, 2), (1, 8, 8, 2)])]];
    Scenario { is_mapped: false, ..scenario("lrvm-first-map", operations) }
}

/// The same log, opened again and again: what an earlier opening left behind the tail is nobody's.
fn close_and_open() -> Scenario {
    let operations = vec![
        vec![flush(&[(0, 0, 8, 1)]), flush(&[(0, 8, 8, 2)]), Step::Close],
        vec![no_flush(&[(0, 8, 8, 3)]), Step::Close],
        vec![flush(&[(0, 0, 4, 4)])],
    ];
    scenario("lrvm-close-and-open", operations)
}

/// The status block is written behind each flush.
fn status_blocks() -> Scenario {
    let one = |value: u8| vec![flush(&[(0, 8, 8, value)])];
    scenario("lrvm-status-blocks", vec![one(1), one(2), one(3)]).options(|options| options.status_interval(1))
}

fn epoch() -> Scenario {
    let operations = vec![
        vec![flush(&[(0, 0, 24, 1)]), flush(&[(0, 8, 8, 2)]), Step::Truncate(Truncation::Epoch)],
        vec![flush(&[(0, 16, 16, 3)]), Step::Truncate(Truncation::Epoch), flush(&[(0, 0, 8, 4)])],
    ];
    scenario("lrvm-epoch", operations)
}

/// An epoch behind which the same pages are committed to again.
fn commits_before_epoch() -> Scenario {
    let operations = vec![
        vec![flush(&[(0, 0, 40, 1)]), flush(&[(0, 8, 40, 2)]), flush(&[(0, 16, 8, 3)])],
        vec![Step::Truncate(Truncation::Epoch)],
        vec![no_flush(&[(0, 0, 40, 4)]), Step::Truncate(Truncation::Epoch), flush(&[(0, 4, 4, 5)])],
    ];
    scenario("lrvm-commits-before-epoch", operations)
}

fn incremental() -> Scenario {
    let operations = vec![
        vec![
            flush(&[(0, 0, 8, 1)]),
            flush(&[(0, PAGE_LEN, 8, 2)]),
            no_flush(&[(0, 8, 8, 3), (0, PAGE_LEN + 8, 8, 3)]),
            Step::Truncate(Truncation::Incremental),
        ],
        vec![flush(&[(0, 0, 16, 4), (1, 0, 8, 4)]), Step::Truncate(Truncation::Incremental)],
        vec![flush(&[(0, 4, 4, 5)])],
    ];
    scenario("lrvm-incremental", operations)
}

/// A transaction keeps a page back while the log is truncated.
fn truncation_around_transactions() -> Scenario {
    let around = |truncation, value: u8| {
        // Of its two pages only the first waits to be written.
        let page = PAGE_LEN * u64::from(1 + value / 4);
        let (changes, others) = (vec![(0, 0, 16, value), (0, page, 16, value)], vec![(1, 0, 8, value + 1)]);
        let last = Step::Around(truncation, changes, others);
        vec![flush(&[(0, 8, 16, value)]), flush(&[(0, 64, 8, value)]), last]
    };
    let operations = vec![around(Truncation::Incremental, 1), around(Truncation::Epoch, 5)];
    scenario("lrvm-around-transactions", operations)
}

/// A commit that finds no room truncates first.
fn no_room() -> Scenario {
    let one = |value: u8| vec![flush(&[(0, 0, 1500, value)])];
    scenario("lrvm-no-room", vec![one(1), one(2), one(3), one(4)])
}

/// Records go round the ring, in one piece each.
fn wrap(truncation: Truncation) -> Scenario {
    let name = match truncation {
        Truncation::Epoch => "lrvm-wrap-epoch",
        Truncation::Incremental => "lrvm-wrap-incremental",
    };
    let one = |value: u8| {
        vec![no_flush(&[(0, 40, 200, value)]), flush(&[(0, 100, 500 + 8 * u64::from(value), value)])]
    };
    let options = |options: Options| options.threshold(50).truncation(truncation);
    scenario(name, (1..8).map(one).collect()).options(options)
}

/// Every round of the ring has its records where the one before had them.
fn rounds_of_equal_records() -> Scenario {
    let one = |value: u8| vec![flush(&[(0, 8 * u64::from(value % 3), 376, value)])];
    let is_truncated = |value: u8| value.is_multiple_of(4);
    let operations = (1..18).map(|value| {
        let mut steps = one(value);
        steps.extend(is_truncated(value).then_some(Step::Truncate(Truncation::Epoch)));
        steps
    });
    scenario("lrvm-equal-records", operations.collect())
}

/// Behind a recovery a program does something else than before it: what a power cut had torn of the first batch stands
/// where the second one has records of the same length.
fn another_way_when_opened() -> Scenario {
    let of = |value: u8| {
        let one = |place: u64| no_flush(&[(0, 512 * place, 40, value + place as u8)]);
        let mut steps: Vec<Step> = (0..4).map(one).collect();
        steps.push(Step::Flush);
        steps
    };
    let operations = vec![
        vec![Step::Differently(of(10), of(20)), flush(&[(0, 0, 2048, 30)])],
        vec![flush(&[(0, 0, 8, 40)])],
    ];
    scenario("lrvm-another-way", operations)
}

/// A log, the regions that are mapped, and the medium that they lie on.
pub struct Subject {
    regions: Option<[Region; 2]>,
    rvm: Option<Rvm>,
    partition: Partition<Sim>,
    options: Options,
    /// It was opened, not made.
    is_recovered: bool,
}

fn divided(sim: Sim, scenario: &Scenario) -> Result<Partition<Sim>, BoxError> {
    let parts = [("log", scenario.log_len()), (SEGMENTS[0], SEGMENT_LEN), (SEGMENTS[1], SEGMENT_LEN)];
    Ok(Partition::new(sim, parts)?)
}

impl Subject {
    fn create(sim: Sim, scenario: &Scenario) -> Result<Subject, BoxError> {
        let partition = divided(sim, scenario)?;
        lrvm::create_log_on(&Still(Box::new(partition.device("log")?)))?;
        let mut subject =
            Subject { regions: None, rvm: None, partition, options: scenario.options, is_recovered: false };
        if scenario.is_mapped {
            subject.parts()?;
        } else {
            subject.rvm()?;
        }
        Ok(subject)
    }

    fn open(sim: Sim, scenario: &Scenario) -> Result<Subject, BoxError> {
        let partition = divided(sim, scenario)?;
        let mut subject =
            Subject { regions: None, rvm: None, partition, options: scenario.options, is_recovered: true };
        subject.rvm()?;
        Ok(subject)
    }

    /// The log, opened if it is not.
    fn rvm(&mut self) -> Result<&Rvm, BoxError> {
        if self.rvm.is_none() {
            let device = Still(Box::new(self.partition.device("log")?));
            self.rvm =
                Some(self.options.open_on(Box::new(device), Box::new(self.partition.clone()), "log")?);
        }
        Ok(self.rvm.as_ref().expect("just opened"))
    }

    /// The log and its regions, mapped if they are not.
    fn parts(&mut self) -> Result<(&Rvm, &mut [Region; 2]), BoxError> {
        self.rvm()?;
        let rvm = self.rvm.as_ref().expect("just opened");
        if self.regions.is_none() {
            self.regions =
                Some([rvm.map(SEGMENTS[0], 0..SEGMENT_LEN)?, rvm.map(SEGMENTS[1], 0..SEGMENT_LEN)?]);
        }
        Ok((rvm, self.regions.as_mut().expect("just mapped")))
    }

    fn operate(&mut self, steps: &[Step]) -> Result<(), BoxError> {
        for step in steps {
            self.step(step)?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), BoxError> {
        match step {
            Step::Commit(end, changes) => {
                let (rvm, regions) = self.parts()?;
                Ok(transact(rvm, regions, changes)?.commit(*end)?)
            }
            Step::Abort(changes) => {
                let (rvm, regions) = self.parts()?;
                Ok(transact(rvm, regions, changes)?.abort()?)
            }
            Step::Around(truncation, changes, others) => {
                let (rvm, [one, two]) = self.parts()?;
                let mut kept = rvm.begin(Begin::Restore)?;
                let enlisted = kept.enlist(one)?;
                for &(_, offset, len, value) in changes {
                    kept.set_range(enlisted, offset, len)?.fill(value);
                }
                let mut other = rvm.begin(Begin::NoRestore)?;
                let enlisted = other.enlist(two)?;
                for &(_, offset, len, value) in others {
                    other.set_range(enlisted, offset, len)?.fill(value);
                }
                other.commit(End::Flush)?;
                truncate(rvm, *truncation)?;
                Ok(kept.commit(End::Flush)?)
            }
            Step::Differently(first, again) => {
                let steps = if self.is_recovered { again } else { first };
                self.operate(steps)
            }
            Step::Flush => Ok(self.rvm()?.flush()?),
            Step::Truncate(truncation) => truncate(self.rvm()?, *truncation),
            Step::Unmap => {
                self.regions = None;
                Ok(())
            }
            Step::Close => {
                self.regions = None;
                self.rvm.take().map_or(Ok(()), Rvm::close)?;
                Ok(())
            }
        }
    }

    /// What the segments hold for whoever maps them.
    fn contents(&mut self) -> Result<Contents, BoxError> {
        let mut contents = [vec![0; SEGMENT_LEN as usize], vec![0; SEGMENT_LEN as usize]];
        for (index, bytes) in contents.iter_mut().enumerate() {
            match &self.regions {
                Some(regions) => bytes.copy_from_slice(regions[index].bytes()),
                None => self.partition.device(SEGMENTS[index])?.read_at(0, bytes)?,
            }
        }
        Ok(contents)
    }
}

fn truncate(rvm: &Rvm, truncation: Truncation) -> Result<(), BoxError> {
    match truncation {
        Truncation::Epoch => rvm.truncate()?,
        Truncation::Incremental => drop(rvm.truncate_incrementally()?),
    }
    Ok(())
}

fn transact<'r>(
    rvm: &Rvm,
    regions: &'r mut [Region; 2],
    changes: &[Change],
) -> Result<lrvm::Transaction<'r>, lrvm::Error> {
    let mut tx = rvm.begin(Begin::Restore)?;
    let [one, two] = regions;
    let enlisted = [tx.enlist(one)?, tx.enlist(two)?];
    for &(segment, offset, len, value) in changes {
        tx.set_range(enlisted[segment], offset, len)?.fill(value);
    }
    Ok(tx)
}

/// Bytes of the segments.
type Contents = [Vec<u8>; 2];

/// What the segments may hold after a crash: operation by operation, what each of its commits leaves, the last one last.
fn model(scenario: &Scenario) -> Vec<Vec<Contents>> {
    let mut now = [vec![0; SEGMENT_LEN as usize], vec![0; SEGMENT_LEN as usize]];
    let mut states = vec![vec![now.clone()]];
    for operation in &scenario.operations {
        let mut inner = Vec::new();
        let before = now.clone();
        for is_recovered in [true, false] {
            now = before.clone();
            follow(operation, is_recovered, &mut now, &mut inner);
            inner.push(now.clone());
        }
        states.push(inner);
    }
    states
}

/// Does these steps to plain bytes, and notes what each commit leaves.
fn follow(steps: &[Step], is_recovered: bool, now: &mut Contents, inner: &mut Vec<Contents>) {
    for step in steps {
        let commits: &[&Vec<Change>] = match step {
            Step::Commit(_, changes) => &[changes],
            Step::Around(_, changes, others) => &[others, changes],
            Step::Differently(first, again) => {
                follow(if is_recovered { again } else { first }, is_recovered, now, inner);
                &[]
            }
            _ => &[],
        };
        for changes in commits {
            for &(segment, offset, len, value) in *changes {
                now[segment][offset as usize..][..len as usize].fill(value);
            }
            inner.push(now.clone());
        }
    }
}

/// A campaign over a scenario.
///
/// Recovery counts the openings in the log, so that no two of them leave the same image: cases have three crashes at most.
pub fn campaign(scenario: &Scenario, domain: Domain) -> Campaign<Subject> {
    let states = model(scenario);
    let (creator, opener, operator) = (scenario.clone(), scenario.clone(), scenario.clone());
    Campaign::new(scenario.name, scenario.size())
        .domain(domain)
        .create(move |sim| Subject::create(sim, &creator))
        .open(move |sim| Subject::open(sim, &opener))
        .operations(scenario.operations.len(), move |subject: &mut Subject, number| {
            subject.operate(&operator.operations[number])
        })
        .check(move |subject, expect| holds(&states, &subject.contents()?, *expect))
        .close(|mut subject| subject.step(&Step::Close))
        .crashes_max(3)
        .eager(64)
        .samples(64)
}

/// Whether this is what the segments may hold.
fn holds(states: &[Vec<Contents>], found: &Contents, expect: Expect) -> Result<(), BoxError> {
    let last = |count: usize| states[count].last().expect("an operation leaves something");
    let is_inner = || states[expect.acked + 1..=expect.begun].iter().flatten().any(|inner| inner == found);
    if last(expect.acked) == found || is_inner() {
        return Ok(());
    }
    let place = states.iter().position(|inner| inner.contains(found));
    let place = place.map_or("no state that they ever had".to_owned(), |count| format!("operation {count}"));
    let expected = last(expect.begun);
    let differs = (0..2).find_map(|segment| {
        let at = (0..SEGMENT_LEN as usize).find(|&at| found[segment][at] != expected[segment][at])?;
        Some(format!("; segment {segment} first differs from the newest at {at}: {}", found[segment][at]))
    });
    Err(format!("the segments are those of {place}{}", differs.unwrap_or_default()).into())
}

/// A device on which the clock stands still and every log has the same identity, so that equal states are equal images.
struct Still(Box<dyn Device>);

impl Device for Still {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, bytes)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        match parts {
            [part] if STATUS_OFFSETS.contains(&offset) && part.len() == size_of::<Status>() => {
                let status = Status {
                    id: [7; 16],
                    written_nanos: 0,
                    created_nanos: 0,
                    ..bytemuck::pod_read_unaligned(part)
                };
                let crc = crc32fast::hash(&bytemuck::bytes_of(&status)[..std::mem::offset_of!(Status, crc)]);
                let status = Status { crc, ..status };
                self.0.write_at(offset, &[IoSlice::new(bytemuck::bytes_of(&status))])
            }
            parts => self.0.write_at(offset, parts),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn settle(&self) -> io::Result<()> {
        self.0.settle()
    }
}
