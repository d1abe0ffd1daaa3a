//! The heap against a model: blocks are where and what the model says, through commits, aborts, crashes, savepoints
//! and growth; nothing overlaps, nothing leaks, and what was freed is there again if the transaction does not commit.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rio::Domain;
use vista::layout::CLASSES;
use vista::{Block, Error, PSlice, Persistent, Savepoint, Segment, Transaction};

use crate::support::{assert_sound, pages, sized};
use crate::traced::{Tape, Traced};

/// Sixteen bytes of each alignment that the heap tells apart.
#[derive(Clone, Copy, Persistent)]
#[repr(C, align(64))]
struct Line([u8; 64]);
#[derive(Clone, Copy, Persistent)]
#[repr(C, align(256))]
struct Aligned([u8; 256]);
#[derive(Clone, Copy, Persistent)]
#[repr(C, align(4096))]
struct Page([u8; 4096]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bytes,
    Line,
    Aligned,
    Page,
}

#[derive(Clone, Debug)]
enum Op {
    Alloc { kind: Kind, count: usize, fill: u8 },
    Free { at: usize },
    FreeAgain { at: usize },
    Change { at: usize, from: usize, len: usize, fill: u8 },
    Write { at: usize, fill: u8 },
    Savepoint,
    RollbackTo { at: usize },
    Commit,
    Abort,
    Crash,
    Grow,
}

/// A live block, as the caller knows it.
#[derive(Clone, Debug, PartialEq)]
struct Live {
    kind: Kind,
    bytes: Vec<u8>,
}

type Model = BTreeMap<u64, Live>;
type Tx<'s> = Transaction<'s, u64, Traced>;

fn unit(kind: Kind) -> usize {
    match kind {
        Kind::Bytes => 1,
        Kind::Line => 64,
        Kind::Aligned => 256,
        Kind::Page => 4096,
    }
}

fn alloc(tx: &mut Tx<'_>, kind: Kind, count: usize, fill: u8) -> Result<u64, Error> {
    Ok(match kind {
        Kind::Bytes => tx.alloc_slice(&vec![fill; count])?.offset(),
        Kind::Line => tx.alloc_slice(&vec![Line([fill; 64]); count])?.offset(),
        Kind::Aligned => tx.alloc_slice(&vec![Aligned([fill; 256]); count])?.offset(),
        Kind::Page => {
            let slice = tx.alloc_slice_zeroed::<Page>(count)?;
            tx.slice_mut(slice)?.fill(Page([fill; 4096]));
            slice.offset()
        }
    })
}

fn free(tx: &mut Tx<'_>, offset: u64, live: &Live) -> Result<(), Error> {
    let count = (live.bytes.len() / unit(live.kind)) as u64;
    match live.kind {
        Kind::Bytes => tx.free_slice(PSlice::<u8>::from_raw_parts(offset, count)),
        Kind::Line => tx.free_slice(PSlice::<Line>::from_raw_parts(offset, count)),
        Kind::Aligned => tx.free_slice(PSlice::<Aligned>::from_raw_parts(offset, count)),
        Kind::Page => tx.free_slice(PSlice::<Page>::from_raw_parts(offset, count)),
    }
}

/// Bytes that the heap gives for so many.
fn block_len(live: &Live) -> u64 {
    let (size, align) = (live.bytes.len() as u64, unit(live.kind) as u64);
    let class = CLASSES.iter().map(|&len| u64::from(len)).find(|&len| len >= size && len % align == 0);
    class.unwrap_or(size.next_multiple_of(4096))
}

fn bytes_at(offset: u64, len: usize) -> PSlice<u8> {
    PSlice::from_raw_parts(offset, len as u64)
}

fn assert_matches(segment: &Segment<u64, Traced>, model: &Model) {
    assert_sound(segment);
    let root = segment.root_ptr().offset();
    let mut expected: Vec<Block> =
        model.iter().map(|(&offset, live)| Block { offset, len: block_len(live) }).collect();
    expected.push(Block { offset: root, len: 16 });
    expected.sort();
    assert_eq!(segment.blocks().unwrap(), expected);
    for (&offset, live) in model {
        assert!(
            segment.slice(bytes_at(offset, live.bytes.len())).unwrap() == live.bytes,
            "block at {offset}"
        );
    }
    let stats = segment.stats().unwrap();
    assert_eq!(stats.allocated, expected.iter().map(|block| block.len).sum::<u64>());
    assert_eq!(stats.block_count, expected.len() as u64);
    // Blocks fill their pages but for a rest.
    let rests = stats.capacity - (stats.allocated + stats.free_in_slabs + stats.free_pages);
    assert!(rests <= 256 * stats.capacity / 4096, "{stats:?}");
    assert_eq!(stats.overhead + stats.capacity, stats.len);
}

type Savepoints = Vec<(Savepoint, Model)>;

fn pick(model: &Model, at: usize) -> Option<(u64, Live)> {
    let (offset, live) = model.iter().nth(at % model.len().max(1))?;
    Some((*offset, live.clone()))
}

fn is_space(error: &Error) -> bool {
    matches!(error, Error::NoSpace { .. })
}

/// Does what changes a transaction; errors other than a lack of space are failures.
fn step(tx: &mut Tx<'_>, savepoints: &mut Savepoints, model: &mut Model, op: &Op) {
    match *op {
        Op::Alloc { kind, count, fill } => match alloc(tx, kind, count, fill) {
            Ok(offset) => {
                assert!(offset.is_multiple_of(unit(kind) as u64));
                let live = Live { kind, bytes: vec![fill; count * unit(kind)] };
                let end = offset + block_len(&live);
                let before = model.range(..end).next_back();
                assert!(
                    before.is_none_or(|(&at, other)| at + block_len(other) <= offset),
                    "overlap at {offset}"
                );
                model.insert(offset, live);
            }
            Err(error) => assert!(is_space(&error), "{error}"),
        },
        Op::Free { at } => {
            if let Some((offset, live)) = pick(model, at) {
                match free(tx, offset, &live) {
                    Ok(()) => drop(model.remove(&offset)),
                    Err(error) => assert!(is_space(&error), "{error}"),
                }
            }
        }
        Op::FreeAgain { at } => {
            if let Some((offset, live)) = pick(model, at) {
                if free(tx, offset, &live).is_ok() {
                    model.remove(&offset);
                    let error = free(tx, offset, &live).unwrap_err();
                    assert!(matches!(error, Error::DoubleFree { .. } | Error::NotABlock { .. }), "{error}");
                }
            }
        }
        Op::Change { at, from, len, fill } => {
            if let Some((offset, live)) = pick(model, at) {
                let from = from % live.bytes.len();
                let len = len.min(live.bytes.len() - from);
                match tx.set_range(offset + from as u64, len as u64) {
                    Ok(bytes) => {
                        assert!(bytes == &live.bytes[from..from + len]);
                        bytes.fill(fill);
                        model.get_mut(&offset).unwrap().bytes[from..from + len].fill(fill);
                    }
                    Err(error) => assert!(is_space(&error), "{error}"),
                }
            }
        }
        Op::Write { at, fill } => {
            if let Some((offset, live)) = pick(model, at).filter(|(_, live)| live.bytes.len() >= 8) {
                let ptr = vista::PPtr::<[u8; 8]>::from_offset(offset);
                assert_eq!(tx.get(ptr).unwrap(), &live.bytes[..8]);
                match tx.write(ptr, [fill; 8]) {
                    Ok(()) => model.get_mut(&offset).unwrap().bytes[..8].fill(fill),
                    Err(error) => assert!(is_space(&error), "{error}"),
                }
            }
        }
        Op::Savepoint => match tx.savepoint() {
            Ok(savepoint) => savepoints.push((savepoint, model.clone())),
            Err(error) => assert!(is_space(&error), "{error}"),
        },
        Op::RollbackTo { at } if !savepoints.is_empty() => {
            let at = at % savepoints.len();
            savepoints.truncate(at + 1);
            let (savepoint, then) = &savepoints[at];
            tx.rollback_to(savepoint).unwrap();
            *model = then.clone();
        }
        _ => {}
    }
}

fn run(domain: Domain, len: u64, capacity: u64, ops: &[Op]) {
    let (mut segment, mut tape): (Segment<u64, Traced>, Tape) = sized(domain, len, capacity);
    let mut model = Model::new();
    let mut ops = ops.iter().peekable();
    while ops.peek().is_some() {
        let committed = model.clone();
        if matches!(ops.peek(), Some(Op::Grow)) {
            let _ = segment.grow(4096);
        }
        let mut savepoints = Savepoints::new();
        let mut tx = segment.begin().unwrap();
        let end = loop {
            match ops.next() {
                None => break &Op::Crash,
                Some(end @ (Op::Commit | Op::Abort | Op::Crash)) => break end,
                Some(op) => step(&mut tx, &mut savepoints, &mut model, op),
            }
        };
        for (&offset, live) in &model {
            assert!(tx.slice(bytes_at(offset, live.bytes.len())).unwrap() == live.bytes);
        }
        match end {
            Op::Commit => tx.commit().unwrap(),
            Op::Abort => {
                tx.abort().unwrap();
                model = committed;
            }
            _ => {
                let image = tape.bytes();
                std::mem::forget(tx);
                let (medium, next) = Traced::from_bytes(&image, capacity, domain);
                (segment, tape) = (Segment::open_on(medium).unwrap(), next);
                model = committed;
            }
        }
        assert_matches(&segment, &model);
    }
    // All can be freed, and then all space but that of the root and of one page for each class is in one piece.
    segment
        .transaction(|tx| model.iter().try_for_each(|(&offset, live)| free(tx, offset, live)))
        .unwrap_or_else(|error| assert!(is_space(&error), "{error}"));
    assert_sound(&segment);
}

fn op() -> impl Strategy<Value = Op> {
    let sizes = prop_oneof![
        4 => 1usize..300,
        2 => 300usize..2100,
        2 => 2040usize..5000,
        1 => 5000usize..40_000,
    ];
    let alloc = prop_oneof![
        6 => sizes.prop_map(|count| (Kind::Bytes, count)),
        1 => (1usize..40).prop_map(|count| (Kind::Line, count)),
        1 => (1usize..12).prop_map(|count| (Kind::Aligned, count)),
        1 => (1usize..4).prop_map(|count| (Kind::Page, count)),
    ];
    let at = || any::<u16>().prop_map(usize::from);
    prop_oneof![
        8 => (alloc, any::<u8>()).prop_map(|((kind, count), fill)| Op::Alloc { kind, count, fill }),
        6 => at().prop_map(|at| Op::Free { at }),
        1 => at().prop_map(|at| Op::FreeAgain { at }),
        4 => (at(), at(), 0usize..6000, any::<u8>())
            .prop_map(|(at, from, len, fill)| Op::Change { at, from, len, fill }),
        2 => (at(), any::<u8>()).prop_map(|(at, fill)| Op::Write { at, fill }),
        2 => Just(Op::Savepoint),
        2 => at().prop_map(|at| Op::RollbackTo { at }),
        2 => Just(Op::Commit),
        1 => Just(Op::Abort),
        1 => Just(Op::Crash),
        1 => Just(Op::Grow),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_equals_its_model(ops in prop::collection::vec(op(), 1..120)) {
        run(Domain::PageCache, pages(60), pages(60), &ops);
    }

    #[test]
    fn any_history_in_an_ordered_domain_equals_its_model(ops in prop::collection::vec(op(), 1..120)) {
        run(Domain::Adr, pages(60), pages(60), &ops);
    }

    #[test]
    fn any_history_that_grows_equals_its_model(ops in prop::collection::vec(op(), 1..120)) {
        run(Domain::PageCache, pages(20), pages(500), &ops);
    }

    /// Where most operations meet the end of space, halfway or at once.
    #[test]
    fn any_history_without_room_equals_its_model(ops in prop::collection::vec(op(), 1..100)) {
        run(Domain::PageCache, pages(17), pages(17), &ops);
    }

    #[test]
    fn any_history_without_room_in_an_ordered_domain_equals_its_model(ops in prop::collection::vec(op(), 1..100)) {
        run(Domain::Adr, pages(17), pages(17), &ops);
    }
}

/// Freed and allocated again in one transaction that does not commit: the old bytes are there again.
#[test]
fn a_free_and_an_allocation_in_its_place_can_be_undone() {
    fn check(domain: Domain, old_lens: &[usize], new_lens: &[usize], is_crash: bool) {
        let (mut segment, tape) = sized::<u64>(domain, pages(100), pages(100));
        let mut model = Model::new();
        let mut tx = segment.begin().unwrap();
        for (index, &len) in old_lens.iter().enumerate() {
            let bytes: Vec<u8> = (0..len).map(|i| (i + index) as u8).collect();
            let offset = tx.alloc_slice(&bytes).unwrap().offset();
            model.insert(offset, Live { kind: Kind::Bytes, bytes });
        }
        tx.commit().unwrap();
        let mut tx = segment.begin().unwrap();
        for (&offset, live) in &model {
            free(&mut tx, offset, live).unwrap();
        }
        for round in 0..3 {
            for &len in new_lens {
                let new = tx.alloc_slice(&vec![0xEE; len]).unwrap();
                tx.slice_mut(new).unwrap().fill(round);
                if round == 1 {
                    tx.free_slice(new).unwrap();
                }
            }
        }
        if is_crash {
            let image = tape.bytes();
            std::mem::forget(tx);
            let (medium, _) = Traced::from_bytes(&image, 0, domain);
            assert_matches(&Segment::open_on(medium).unwrap(), &model);
        } else {
            tx.abort().unwrap();
            assert_matches(&segment, &model);
        }
    }
    for domain in [Domain::PageCache, Domain::Adr] {
        for is_crash in [false, true] {
            check(domain, &[64; 3], &[64; 5], is_crash);
            check(domain, &[64; 64], &[64, 4096, 300], is_crash);
            check(domain, &[9000], &[9000], is_crash);
            check(domain, &[9000, 5000, 64], &[4096, 4000, 64], is_crash);
            check(domain, &[20_000, 64, 20_000], &[100, 2000, 9000], is_crash);
            check(domain, &[2000; 9], &[12_000], is_crash);
        }
    }
}

/// What one transaction freed another may take without a before-image, and still undo.
#[test]
fn nothing_leaks_and_all_space_comes_back() {
    for domain in [Domain::PageCache, Domain::Adr] {
        let (mut segment, _) = sized::<u64>(domain, pages(60), pages(60));
        let free_at_first = segment.stats().unwrap().free_pages;
        for round in 0..50 {
            let len = [10, 100, 1000, 3000, 10_000][round % 5];
            let slices = segment
                .transaction(|tx| {
                    (0..8).map(|_| tx.alloc_slice(&vec![1u8; len])).collect::<Result<Vec<_>, _>>()
                })
                .unwrap();
            segment.transaction(|tx| slices.iter().try_for_each(|&slice| tx.free_slice(slice))).unwrap();
            let stats = segment.stats().unwrap();
            assert_eq!(stats.block_count, 1);
            // An empty page of a class may wait for its next block.
            assert!(free_at_first - stats.free_pages <= pages(3), "round {round}: {stats:?}");
        }
    }
}
