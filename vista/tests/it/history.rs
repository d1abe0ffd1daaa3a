//! Random histories of a heap against a model: what operations there are, what they shall do, and a check of the
//! outcome. Tests and a fuzz target run them.
//!
//! Start at [`run`].

use std::collections::BTreeMap;

use rio::Domain;
use vista::layout::CLASSES;
use vista::{Block, Error, PSlice, Persistent, Savepoint, Segment, Transaction};

use crate::support::{assert_sound, pages, sized};
use crate::traced::{Tape, Traced};

/// Types of each alignment that the heap tells apart.
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
pub(crate) enum Kind {
    Bytes,
    Line,
    Aligned,
    Page,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
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
pub(crate) struct Live {
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) type Model = BTreeMap<u64, Live>;
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

pub(crate) fn free(tx: &mut Tx<'_>, offset: u64, live: &Live) -> Result<(), Error> {
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

pub(crate) fn assert_matches(segment: &Segment<u64, Traced>, model: &Model) {
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
            if let Some((offset, live)) = pick(model, at)
                && free(tx, offset, &live).is_ok()
            {
                model.remove(&offset);
                let error = free(tx, offset, &live).unwrap_err();
                assert!(matches!(error, Error::DoubleFree { .. } | Error::NotABlock { .. }), "{error}");
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

pub(crate) fn run(domain: Domain, len: u64, capacity: u64, ops: &[Op]) {
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

/// A history as a fuzzer writes it: a byte for the segment, then four for each operation.
pub(crate) fn run_bytes(input: &[u8]) {
    let Some((&choices, ops)) = input.split_first() else { return };
    let domain = [Domain::PageCache, Domain::Adr][usize::from(choices & 1)];
    let (len, capacity) = [(17, 17), (20, 300), (40, 40), (60, 60)][usize::from(choices >> 1 & 3)];
    let ops: Vec<Op> = ops.chunks_exact(4).map(|op| decode(op[0], op[1], op[2], op[3])).collect();
    run(domain, pages(len), pages(capacity), &ops);
}

fn decode(code: u8, a: u8, b: u8, fill: u8) -> Op {
    let (at, long) = (usize::from(a), usize::from(a) << 8 | usize::from(b));
    match code % 22 {
        0..=3 => Op::Alloc { kind: Kind::Bytes, count: 1 + at, fill },
        4 | 5 => Op::Alloc { kind: Kind::Bytes, count: 1 + long % 5000, fill },
        6 => Op::Alloc { kind: Kind::Bytes, count: 1 + long % 40_000, fill },
        7 => Op::Alloc { kind: Kind::Line, count: 1 + at % 40, fill },
        8 => Op::Alloc { kind: Kind::Aligned, count: 1 + at % 12, fill },
        9 => Op::Alloc { kind: Kind::Page, count: 1 + at % 3, fill },
        10..=12 => Op::Free { at },
        13 => Op::FreeAgain { at },
        14 | 15 => Op::Change { at, from: usize::from(b) << 4, len: usize::from(fill) << 5, fill },
        16 => Op::Write { at, fill },
        17 => Op::Savepoint,
        18 => Op::RollbackTo { at },
        19 => Op::Commit,
        20 => [Op::Abort, Op::Grow][at & 1].clone(),
        _ => Op::Crash,
    }
}
