//! Any transactions, with any crash among them, do to a segment what they do to a plain map.
//!
//! A case is a list of transactions: blocks of any size allocated, changed and freed, savepoints taken and gone back to, and
//! a commit or an abort at the end. Each runs as a campaign, whose operations are the transactions; what a segment may
//! hold after a crash is told by a map from slots to bytes and a stack of copies of it. The library is never asked what
//! is right. What fails is made small by proptest, and then by the campaign. Start at [`check`].

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use crash_sim::{Campaign, Model, Report, Sim};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use rio::Domain;
use vista::{PSlice, Persistent, Segment, Transaction};

/// Blocks that there may be at once.
const SLOT_COUNT: usize = 8;
/// Room for all of them at their largest, and for what a transaction frees and may not use at once.
const SIZE: u64 = 64 * 4096;
const BLOCK_MAX: usize = 9000;
/// Crash images of one case, and runs from one of them: beyond that it has had its share of time.
const IMAGES_MAX: usize = 800;
const RUNS_MAX: u64 = 100;

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Root {
    slots: [PSlice<u8>; SLOT_COUNT],
}

type Subject = Segment<Root, Sim>;

/// What is done within a transaction. `at` chooses among the blocks, or savepoints, that there are.
#[derive(Clone, Debug)]
enum Op {
    Alloc { len: usize, byte: u8 },
    Free { at: usize },
    Fill { at: usize, from: usize, len: usize, byte: u8 },
    Write { at: usize, value: u64 },
    Savepoint,
    RollbackTo { at: usize },
}

#[derive(Clone, Debug)]
struct Work {
    ops: Vec<Op>,
    commits: bool,
}

/// The bytes of a block; printed as runs.
#[derive(Clone, PartialEq)]
struct Bytes(Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.0.chunk_by(|a, b| a == b);
        f.debug_list().entries(runs.map(|run| format!("{} x {:02x}", run.len(), run[0]))).finish()
    }
}

/// The plain model: what is in each slot.
type State = BTreeMap<usize, Bytes>;

/// How many bytes of a new block are filled; the rest is zero.
fn filled_len(len: usize) -> usize {
    len.min(40)
}

/// Where in a block a range begins and ends.
fn part(from: usize, len: usize, block_len: usize) -> std::ops::Range<usize> {
    let from = from % block_len;
    from..block_len.min(from + len)
}

fn step_of_model(state: &mut State, saved: &mut Vec<State>, op: &Op) {
    let pick = |state: &State, at: usize| state.keys().nth(at % state.len().max(1)).copied();
    match *op {
        Op::Alloc { len, byte } => {
            if let Some(slot) = (0..SLOT_COUNT).find(|slot| !state.contains_key(slot)) {
                let mut bytes = vec![0; len];
                bytes[..filled_len(len)].fill(byte);
                state.insert(slot, Bytes(bytes));
            }
        }
        Op::Free { at } => {
            if let Some(slot) = pick(state, at) {
                state.remove(&slot);
            }
        }
        Op::Fill { at, from, len, byte } => {
            if let Some(slot) = pick(state, at) {
                let Bytes(bytes) = state.get_mut(&slot).expect("it was picked");
                let part = part(from, len, bytes.len());
                bytes[part].fill(byte);
            }
        }
        Op::Write { at, value } => {
            if let Some(slot) = pick(state, at) {
                let Bytes(bytes) = state.get_mut(&slot).expect("it was picked");
                let len = bytes.len().min(8);
                bytes[..len].copy_from_slice(&value.to_le_bytes()[..len]);
            }
        }
        Op::Savepoint => saved.push(state.clone()),
        Op::RollbackTo { at } => {
            if !saved.is_empty() {
                saved.truncate(at % saved.len() + 1);
                state.clone_from(saved.last().expect("one is left"));
            }
        }
    }
}

/// What a transaction does to the model.
fn transaction_of_model(state: &mut State, work: &Work) {
    let (mut next, mut saved) = (state.clone(), Vec::new());
    work.ops.iter().for_each(|op| step_of_model(&mut next, &mut saved, op));
    if work.commits {
        *state = next;
    }
}

/// What it does to the segment.
fn transaction(subject: &mut Subject, work: &Work) -> vista::Result<()> {
    let mut tx = subject.begin()?;
    let mut savepoints = Vec::new();
    for op in &work.ops {
        match *op {
            Op::Savepoint => savepoints.push(tx.savepoint()?),
            Op::RollbackTo { at } => {
                if !savepoints.is_empty() {
                    savepoints.truncate(at % savepoints.len() + 1);
                    tx.rollback_to(savepoints.last().expect("one is left"))?;
                }
            }
            ref op => step(&mut tx, op)?,
        }
    }
    if work.commits { tx.commit() } else { tx.abort() }
}

fn step(tx: &mut Transaction<'_, Root, Sim>, op: &Op) -> vista::Result<()> {
    let slots = tx.root().slots;
    let live: Vec<usize> = (0..SLOT_COUNT).filter(|&slot| !slots[slot].is_empty()).collect();
    let pick = |at: usize| live.get(at % live.len().max(1)).copied();
    match *op {
        Op::Alloc { len, byte } => {
            if let Some(slot) = (0..SLOT_COUNT).find(|slot| !live.contains(slot)) {
                let block = tx.alloc_slice_zeroed::<u8>(len)?;
                tx.slice_mut(block)?[..filled_len(len)].fill(byte);
                tx.root_mut()?.slots[slot] = block;
            }
        }
        Op::Free { at } => {
            if let Some(slot) = pick(at) {
                tx.free_slice(slots[slot])?;
                tx.root_mut()?.slots[slot] = PSlice::empty();
            }
        }
        Op::Fill { at, from, len, byte } => {
            if let Some(slot) = pick(at) {
                let part = part(from, len, slots[slot].len());
                tx.slice_mut(slots[slot].slice(part).expect("a part of a block"))?.fill(byte);
            }
        }
        Op::Write { at, value } => {
            if let Some(slot) = pick(at) {
                for (byte, new) in slots[slot].iter().zip(value.to_le_bytes()) {
                    tx.write(byte, new)?;
                }
            }
        }
        Op::Savepoint | Op::RollbackTo { .. } => unreachable!("these are the caller's"),
    }
    Ok(())
}

/// What a segment holds. It is sound, and has a block for the root and for each slot, and no other.
fn view(subject: &mut Subject) -> State {
    let violations = subject.check().unwrap();
    assert!(violations.is_empty(), "{violations:#?}");
    let slots = subject.root().unwrap().slots;
    let live = (0..SLOT_COUNT).filter(|&slot| !slots[slot].is_empty());
    let state: State = live.map(|slot| (slot, Bytes(subject.slice(slots[slot]).unwrap().to_vec()))).collect();
    assert_eq!(subject.blocks().unwrap().len(), state.len() + 1, "a block that nobody knows");
    state
}

/// Its name tells it from others, so that a replay line means these transactions.
fn name(works: &[Work]) -> String {
    let mut hasher = DefaultHasher::new();
    format!("{works:?}").hash(&mut hasher);
    format!("properties-{:08x}", hasher.finish() as u32)
}

/// A campaign over the transactions, against a model of what one of them does.
fn campaign(works: &[Work], domain: Domain, model: fn(&mut State, &Work)) -> Campaign<Subject> {
    let (done, modelled) = (works.to_vec(), works.to_vec());
    Campaign::new(name(works), SIZE)
        .domain(domain)
        .create(|sim| Segment::create_on(sim, 4096))
        .open(Segment::open_on)
        .operations(works.len(), move |subject, n| transaction(subject, &done[n]))
        .model(State::new(), move |state, n| model(state, &modelled[n]), view)
        .close(Segment::close)
        .lazy()
        .images_max(IMAGES_MAX)
        .samples(RUNS_MAX)
}

fn any_op() -> impl Strategy<Value = Op> {
    let len = prop_oneof![4 => 1..=64usize, 3 => 65..=2048usize, 1 => 2049..=BLOCK_MAX];
    let at = 0..SLOT_COUNT;
    prop_oneof![
        4 => (len, 1..=9u8).prop_map(|(len, byte)| Op::Alloc { len, byte }),
        3 => at.clone().prop_map(|at| Op::Free { at }),
        3 => (at.clone(), 0..BLOCK_MAX, 1..=200usize, 10..=99u8)
            .prop_map(|(at, from, len, byte)| Op::Fill { at, from, len, byte }),
        2 => (at.clone(), any::<u64>()).prop_map(|(at, value)| Op::Write { at, value }),
        2 => Just(Op::Savepoint),
        2 => at.prop_map(|at| Op::RollbackTo { at }),
    ]
}

fn any_works() -> impl Strategy<Value = Vec<Work>> {
    let work = (prop::collection::vec(any_op(), 0..10), prop::bool::weighted(0.8))
        .prop_map(|(ops, commits)| Work { ops, commits });
    prop::collection::vec(work, 1..5)
}

/// Runs cases until one has a report with a failure: 48, and always the same ones, if PROPTEST_CASES and
/// PROPTEST_RNG_SEED do not say otherwise.
fn check(run: impl Fn(&[Work]) -> Report) -> Result<(), TestError<Vec<Work>>> {
    let mut config = Config { failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 48;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(1);
    }
    TestRunner::new(config).run(&any_works(), |works| {
        let report = run(&works);
        match report.failure.is_none() {
            true => Ok(()),
            false => Err(TestCaseError::fail(report.to_string())),
        }
    })
}

/// Every case passes.
fn assert_holds(run: impl Fn(&[Work]) -> Report) {
    if let Err(error) = check(run) {
        panic!("{error}");
    }
}

#[test]
fn any_transactions_survive_any_kill() {
    assert_holds(|works| campaign(works, Domain::PageCache, transaction_of_model).explore(Model::Coherent));
}

#[test]
fn any_transactions_survive_any_power_cut() {
    assert_holds(|works| campaign(works, Domain::Adr, transaction_of_model).explore(Model::Adr));
}

/// After a recovery the next transactions run and are crashed in their turn.
#[test]
fn any_transactions_go_on_behind_a_crash() {
    assert_holds(|works| campaign(works, Domain::Adr, transaction_of_model).resume(3).explore(Model::Adr));
}

/// A failure of a case, and the case that was left of it.
fn found(result: Result<(), TestError<Vec<Work>>>) -> (String, Vec<Work>) {
    match result {
        Err(TestError::Fail(reason, works)) => (reason.to_string(), works),
        other => panic!("nothing was found: {other:?}"),
    }
}

/// The property is seen to fail: a model by which an abort changes something.
#[test]
fn a_model_that_takes_an_abort_for_a_commit_is_refuted() {
    fn wrong(state: &mut State, work: &Work) {
        transaction_of_model(state, &Work { commits: true, ..work.clone() });
    }
    let (report, works) =
        found(check(|works| campaign(works, Domain::PageCache, wrong).explore(Model::Coherent)));
    assert!(report.contains("replay") && report.contains("CRASH_SIM_REPLAY"), "{report}");
    assert_eq!(works.iter().filter(|work| !work.ops.is_empty()).count(), 1, "{works:?}\n{report}");
}

/// A medium that says that stores survive in the page cache, and loses power: the library has no reason to flush.
#[test]
fn a_medium_that_lies_about_what_it_keeps_is_found() {
    let (report, works) =
        found(check(|works| campaign(works, Domain::PageCache, transaction_of_model).explore(Model::Adr)));
    assert!(report.contains("lost at"), "{report}");
    assert_eq!(works.len(), 1, "{works:?}\n{report}");
}

/// A savepoint that keeps nothing.
#[test]
fn a_model_that_forgets_its_savepoints_is_refuted() {
    fn wrong(state: &mut State, work: &Work) {
        let mut work = work.clone();
        work.ops.retain(|op| !matches!(op, Op::RollbackTo { .. }));
        transaction_of_model(state, &work);
    }
    let (report, works) =
        found(check(|works| campaign(works, Domain::PageCache, wrong).explore(Model::Coherent)));
    assert!(report.contains("replay"), "{report}");
    assert!(works.iter().flat_map(|work| &work.ops).count() <= 6, "{works:?}\n{report}");
}
