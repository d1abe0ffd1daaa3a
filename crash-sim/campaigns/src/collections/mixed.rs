//! Any operations on any collections, many in one transaction, with savepoints and aborts, all crashed: what nobody
//! thought of. Start at [`all`].

use std::collections::BTreeMap;

use crash_sim::Sim;
use vista::{PBTreeMap, PBytes, PHashMap, POption, PSlab, PVec, PVecDeque, Persistent, Transaction};

use super::{Scenario, Step, Subject, commit};

/// Seven of them fill a node of a B-tree.
type Wide = [u64; 66];

/// One collection of each kind in which places are given up and taken again.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
pub struct Root {
    vec: PVec<u64>,
    deque: PVecDeque<u64>,
    slab: PSlab<u64>,
    bytes: PBytes,
    option: POption<u64>,
    hash: PHashMap<u64, u64>,
    wide: PBTreeMap<Wide, u64>,
}

type Tx<'s> = Transaction<'s, Root, Sim>;

/// Some seeds.
pub fn all() -> Vec<Scenario<Root>> {
    vec![
        anything::<1>("collections-anything-1"),
        anything::<2>("collections-anything-2"),
        anything::<3>("collections-anything-3"),
        anything::<4>("collections-anything-4"),
    ]
}

fn anything<const SEED: u64>(name: &'static str) -> Scenario<Root> {
    let operations: [Step<Root>; 6] = [
        |s| transaction(s, SEED, 1),
        |s| transaction(s, SEED, 2),
        |s| transaction(s, SEED, 3),
        |s| transaction(s, SEED, 4),
        |s| transaction(s, SEED, 5),
        |s| transaction(s, SEED, 6),
    ];
    Scenario { name, fill: |s| fill(s, SEED), operations: operations.to_vec(), content }
}

fn content(subject: &Subject<Root>) -> vista::Result<String> {
    let root = subject.root()?;
    let hash: BTreeMap<_, _> = root.hash.iter(subject)?.collect();
    for (&&key, &value) in &hash {
        assert_eq!(root.hash.get(subject, key)?, Some(value), "a search agrees with the walk");
    }
    let mut wide = Vec::new();
    for entry in root.wide.iter(subject)? {
        let (key, value) = entry?;
        assert_eq!(root.wide.get(subject, key)?, Some(value), "a search agrees with the walk");
        wide.push((key[65], value));
    }
    let (vec, slab) = (root.vec.as_slice(subject)?, root.slab.iter(subject)?.collect::<Vec<_>>());
    let deque: Vec<_> = root.deque.iter(subject)?.collect();
    let (bytes, option) = (root.bytes.as_slice(subject)?, root.option.get(subject)?);
    let id = root.slab.vacant_key(subject)?;
    Ok(format!("{vec:?} {deque:?} {slab:?} {id} {bytes:?} {option:?} {hash:?} {wide:?}"))
}

/// A few of each, of which some are gone again: so that places stand empty that were used once.
fn fill(subject: &mut Subject<Root>, seed: u64) {
    commit(subject, |tx| {
        let root = Root {
            vec: PVec::from_slice(tx, &[1, 2, 3])?,
            deque: PVecDeque::from_slice(tx, &[1, 2, 3, 4])?,
            slab: PSlab::with_capacity(tx, 4)?,
            bytes: PBytes::from_slice(tx, b"some bytes that stand inline")?,
            option: POption::some(tx, 1)?,
            hash: PHashMap::with_seed(tx, seed)?,
            wide: PBTreeMap::new(tx)?,
        };
        *tx.root_mut()? = root;
        (0..3).try_for_each(|n| root.slab.insert(tx, n).map(drop))?;
        root.hash.extend(tx, (0..6).map(|n| (n, n)))
    });
    commit(subject, |tx| {
        let root = *tx.root();
        root.wide.extend(tx, (0..9).map(|n| ([3 * n; 66], n)))
    });
    commit(subject, |tx| {
        let root = *tx.root();
        root.vec.pop(tx)?;
        root.deque.pop_front(tx)?;
        root.slab.remove(tx, 1)?;
        root.bytes.truncate(tx, 9)?;
        root.hash.remove(tx, 2)?;
        root.wide.remove(tx, [6; 66]).map(drop)
    });
}

/// One transaction: some operations, some in vain, and one time in four all in vain.
fn transaction(subject: &mut Subject<Root>, seed: u64, number: u64) {
    let mut random = fastrand::Rng::with_seed(seed << 32 | number);
    let mut tx = subject.begin().expect("a segment that is sound");
    some(&mut tx, &mut random, 0).expect("there is room");
    match random.u8(..4) {
        0 => tx.abort().expect("a log that is whole"),
        _ => tx.commit().expect("a sound segment"),
    }
}

fn some(tx: &mut Tx<'_>, random: &mut fastrand::Rng, depth: u32) -> vista::Result<()> {
    // A collection is seldom alone, and is met again.
    let kinds = [random.u8(..7), random.u8(..7)];
    for _ in 0..random.u8(2..7) {
        if depth < 2 && random.u8(..5) == 0 {
            let savepoint = tx.savepoint()?;
            some(tx, random, depth + 1)?;
            if random.u8(..3) > 0 {
                tx.rollback_to(&savepoint)?;
            }
        }
        let kind = kinds[random.usize(..2)];
        one(tx, random, kind)?;
    }
    Ok(())
}

fn one(tx: &mut Tx<'_>, random: &mut fastrand::Rng, kind: u8) -> vista::Result<()> {
    let Root { vec, deque, slab, bytes, option, hash, wide } = *tx.root();
    let (value, is_less) = (random.u64(100..1000), random.bool());
    let key = random.u64(..24);
    match (kind, is_less) {
        (0, true) if random.bool() => vec.pop(tx).map(drop),
        (0, true) => vec.truncate(tx, random.usize(..3)),
        (0, false) => match random.u8(..4) {
            0 => vec.extend_from_slice(tx, &[value, value + 1]),
            1 => vec.insert(tx, 0, value),
            2 => vec.shrink_to_fit(tx),
            _ => vec.push(tx, value),
        },
        (1, true) => match random.u8(..4) {
            0 => deque.pop_back(tx).map(drop),
            1 => deque.remove(tx, 1).map(drop),
            2 => {
                let len = deque.len(tx)?;
                deque.rotate_left(tx, len / 2)
            }
            _ => deque.pop_front(tx).map(drop),
        },
        (1, false) if random.bool() => deque.push_back(tx, value),
        (1, false) => deque.push_front(tx, value),
        (2, true) => slab.try_remove(tx, key % 5).map(drop),
        (2, false) => slab.insert(tx, value).map(drop),
        (3, true) if random.bool() => bytes.truncate(tx, random.usize(..20)),
        (3, true) => bytes.shrink_to_fit(tx),
        (3, false) => bytes.extend_from_slice(tx, &[value as u8; 7]),
        (4, true) => option.take(tx).map(drop),
        (4, false) => option.replace(tx, value).map(drop),
        (5, true) => hash.remove(tx, key % 8).map(drop),
        (5, false) => hash.insert(tx, key % 16, value).map(drop),
        (_, true) => wide.remove(tx, [key; 66]).map(drop),
        (_, false) => wide.insert(tx, [key; 66], value).map(drop),
    }
}
