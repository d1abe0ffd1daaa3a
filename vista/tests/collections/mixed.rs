//! Many collections in one transaction, with savepoints inside of savepoints, rolled back to in any order. Start at
//! [`check`].
//!
//! What a rollback has to bring back depends on what the transaction did before, to this collection and to others: a
//! place may have been given up before the savepoint or behind it, its block may be another one by now, and a collection
//! may stand where another one stood.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;

use proptest::prelude::*;
use rio::{Buffer, Domain};
use vista::{
    Block, Error, PBTreeMap, PBytes, PHashMap, POption, PSlab, PString, PVec, PVecDeque, Persistent, Reader,
    Savepoint, Segment, Transaction,
};

use crate::history::{cases, segment};

/// Seven of these fill a node of a B-tree.
type Wide = [u64; 66];

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Root {
    vec: PVec<u64>,
    deque: PVecDeque<u64>,
    slab: PSlab<u64>,
    bytes: PBytes,
    option: POption<u64>,
    hash: PHashMap<u64, u64>,
    words: PHashMap<PString, PBytes>,
    tree: PBTreeMap<u64, u64>,
    wide: PBTreeMap<Wide, u64>,
    lines: PBTreeMap<PString, PVec<u64>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    vec: Vec<u64>,
    deque: VecDeque<u64>,
    slab: BTreeMap<u64, u64>,
    bytes: Vec<u8>,
    option: Option<u64>,
    hash: HashMap<u64, u64>,
    words: BTreeMap<String, Vec<u8>>,
    tree: BTreeMap<u64, u64>,
    wide: BTreeMap<u64, u64>,
    lines: BTreeMap<String, Vec<u64>>,
}

/// What to do, and two numbers to do it with.
type Op = (u8, u8, u8);

type Tx<'s> = Transaction<'s, Root, Buffer>;

/// Does an operation to one of the collections and to its model, and compares what they return.
fn apply(tx: &mut Tx<'_>, model: &mut Model, (what, a, b): Op) -> vista::Result<()> {
    let (n, value) = (usize::from(a), u64::from(a) << 8 | u64::from(b));
    let root = *tx.root();
    match what % 10 {
        0 => vec(tx, root.vec, &mut model.vec, what / 10, n, value),
        1 => deque(tx, root.deque, &mut model.deque, what / 10, n, value),
        2 => slab(tx, root.slab, &mut model.slab, what / 10, n, value),
        3 => bytes(tx, root.bytes, &mut model.bytes, what / 10, n, b),
        4 => option(tx, root.option, &mut model.option, what / 10, value),
        5 => hash(tx, root.hash, &mut model.hash, what / 10, a, value),
        6 => words(tx, root.words, &mut model.words, what / 10, a, b),
        7 => tree(tx, root.tree, &mut model.tree, what / 10, a, b),
        8 => wide(tx, root.wide, &mut model.wide, what / 10, a, b),
        _ => lines(tx, root.lines, &mut model.lines, what / 10, a, value),
    }
}

fn vec(
    tx: &mut Tx<'_>,
    vec: PVec<u64>,
    model: &mut Vec<u64>,
    what: u8,
    n: usize,
    v: u64,
) -> vista::Result<()> {
    let len = model.len();
    match what {
        0..=4 => (vec.push(tx, v)?, model.push(v)).0,
        5..=8 => assert_eq!(vec.pop(tx)?, model.pop()),
        9 => (vec.insert(tx, n % (len + 1), v)?, model.insert(n % (len + 1), v)).0,
        10 if len > 0 => assert_eq!(vec.remove(tx, n % len)?, model.remove(n % len)),
        11 if len > 0 => assert_eq!(vec.swap_remove(tx, n % len)?, model.swap_remove(n % len)),
        12 => (vec.truncate(tx, n % 8)?, model.truncate(n % 8)).0,
        13..=15 => {
            let values: Vec<u64> = (v..v + n as u64 % 6).collect();
            vec.extend_from_slice(tx, &values)?;
            model.extend(values);
        }
        16 => (vec.retain(tx, |n| n % 2 == 0)?, model.retain(|n| n % 2 == 0)).0,
        17 => {
            let start = n % (len + 1);
            let end = start + v as usize % (len + 1 - start);
            assert_eq!(vec.drain(tx, start..end)?, model.drain(start..end).collect::<Vec<_>>());
        }
        18 => vec.shrink_to_fit(tx)?,
        19 => vec.reserve(tx, n % 9)?,
        20 => (vec.resize(tx, n % 12, v)?, model.resize(n % 12, v)).0,
        21 => {
            tx.root_mut()?.vec = PVec::new(tx)?;
            tx.release(vec)?;
            model.clear();
        }
        _ => {
            if let Some(last) = model.last_mut() {
                *vec.get_mut(tx, len - 1)?.unwrap() = v;
                *last = v;
            }
        }
    }
    Ok(())
}

fn deque(
    tx: &mut Tx<'_>,
    deque: PVecDeque<u64>,
    model: &mut VecDeque<u64>,
    what: u8,
    n: usize,
    v: u64,
) -> vista::Result<()> {
    let len = model.len();
    match what {
        0..=2 => (deque.push_back(tx, v)?, model.push_back(v)).0,
        3..=5 => (deque.push_front(tx, v)?, model.push_front(v)).0,
        6..=7 => assert_eq!(deque.pop_back(tx)?, model.pop_back()),
        8..=9 => assert_eq!(deque.pop_front(tx)?, model.pop_front()),
        10 => (deque.insert(tx, n % (len + 1), v)?, model.insert(n % (len + 1), v)).0,
        11 => assert_eq!(deque.remove(tx, n)?, model.remove(n)),
        12 => (deque.truncate(tx, n % 8)?, model.truncate(n % 8)).0,
        13 => {
            let values: Vec<u64> = (v..v + n as u64 % 6).collect();
            deque.extend_from_slice(tx, &values)?;
            model.extend(values);
        }
        14 => (deque.retain(tx, |n| n % 2 == 0)?, model.retain(|n| n % 2 == 0)).0,
        15 => {
            let start = n % (len + 1);
            let end = start + v as usize % (len + 1 - start);
            assert_eq!(deque.drain(tx, start..end)?, model.drain(start..end).collect::<Vec<_>>());
        }
        16..=17 => (deque.rotate_left(tx, n % (len + 1))?, model.rotate_left(n % (len + 1))).0,
        18..=19 => (deque.rotate_right(tx, n % (len + 1))?, model.rotate_right(n % (len + 1))).0,
        20 => assert_eq!(deque.make_contiguous(tx)?, model.make_contiguous()),
        21 => deque.shrink_to_fit(tx)?,
        22 => deque.reserve(tx, n % 9)?,
        23 => {
            tx.root_mut()?.deque = PVecDeque::new(tx)?;
            tx.release(deque)?;
            model.clear();
        }
        _ => {
            if let Some(front) = model.front_mut() {
                *deque.front_mut(tx)?.unwrap() = v;
                *front = v;
            }
        }
    }
    Ok(())
}

fn slab(
    tx: &mut Tx<'_>,
    slab: PSlab<u64>,
    model: &mut BTreeMap<u64, u64>,
    what: u8,
    n: usize,
    v: u64,
) -> vista::Result<()> {
    let id = n as u64 % 12;
    match what {
        0..=8 => assert_eq!(model.insert(slab.insert(tx, v)?, v), None),
        9..=17 => assert_eq!(slab.try_remove(tx, id)?, model.remove(&id)),
        18 => (slab.retain(tx, |_, n| n % 2 == 0)?, model.retain(|_, n| *n % 2 == 0)).0,
        19 => (slab.clear(tx)?, model.clear()).0,
        20 => {
            let values: Vec<u64> = std::mem::take(model).into_values().collect();
            assert_eq!(slab.drain(tx)?, values);
        }
        21 => slab.reserve(tx, n % 9)?,
        22 => {
            tx.root_mut()?.slab = PSlab::new(tx)?;
            tx.release(slab)?;
            model.clear();
        }
        _ => match (slab.get_mut(tx, id)?, model.get_mut(&id)) {
            (Some(here), Some(there)) => (*here, *there) = (v, v),
            (here, there) => assert!(here.is_none() && there.is_none()),
        },
    }
    Ok(())
}

fn bytes(
    tx: &mut Tx<'_>,
    bytes: PBytes,
    model: &mut Vec<u8>,
    what: u8,
    n: usize,
    b: u8,
) -> vista::Result<()> {
    let len = model.len();
    match what {
        0..=3 => (bytes.push(tx, b)?, model.push(b)).0,
        4..=6 => assert_eq!(bytes.pop(tx)?, model.pop()),
        7..=9 => {
            let added = vec![b; n % 24];
            bytes.extend_from_slice(tx, &added)?;
            model.extend(added);
        }
        10 => {
            let (at, added) = (n % (len + 1), vec![b; n % 10]);
            bytes.insert_slice(tx, at, &added)?;
            model.splice(at..at, added);
        }
        11 => {
            let start = n % (len + 1);
            let end = start + usize::from(b) % (len + 1 - start);
            assert_eq!(bytes.drain(tx, start..end)?, model.drain(start..end).collect::<Vec<_>>());
        }
        12..=14 => (bytes.truncate(tx, n % 24)?, model.truncate(n % 24)).0,
        15 => (bytes.resize(tx, n % 40, b)?, model.resize(n % 40, b)).0,
        16..=17 => {
            *model = vec![b; n % 48];
            bytes.set(tx, model)?;
        }
        18..=21 => bytes.shrink_to_fit(tx)?,
        22 => bytes.reserve(tx, n % 60)?,
        23 => {
            tx.root_mut()?.bytes = PBytes::with_capacity(tx, n % 40)?;
            tx.release(bytes)?;
            model.clear();
        }
        _ => (bytes.as_mut_slice(tx)?.reverse(), model.reverse()).0,
    }
    Ok(())
}

fn option(
    tx: &mut Tx<'_>,
    option: POption<u64>,
    model: &mut Option<u64>,
    what: u8,
    v: u64,
) -> vista::Result<()> {
    match what {
        0..=7 => assert_eq!(option.replace(tx, v)?, model.replace(v)),
        8..=15 => assert_eq!(option.take(tx)?, model.take()),
        16..=18 => (option.clear(tx)?, *model = None).0,
        19..=21 => assert_eq!(option.get_or_insert(tx, v)?, model.get_or_insert(v)),
        22 => {
            tx.root_mut()?.option = POption::none(tx)?;
            tx.release(option)?;
            *model = None;
        }
        _ => (*option.insert(tx, v)? += 1, *model = Some(v + 1)).0,
    }
    Ok(())
}

fn hash(
    tx: &mut Tx<'_>,
    hash: PHashMap<u64, u64>,
    model: &mut HashMap<u64, u64>,
    what: u8,
    key: u8,
    v: u64,
) -> vista::Result<()> {
    let key = u64::from(key) % 64;
    match what {
        0..=7 => assert_eq!(hash.insert(tx, key, v)?, model.insert(key, v)),
        8..=13 => assert_eq!(hash.remove(tx, key)?, model.remove(&key)),
        14 => (hash.retain(tx, |_, n| *n % 3 != 0)?, model.retain(|_, n| *n % 3 != 0)).0,
        15 => assert_eq!(*hash.entry(tx, key)?.or_insert(v)?, *model.entry(key).or_insert(v)),
        16..=18 => {
            for key in key..key + v % 16 {
                assert_eq!(hash.insert(tx, key, v)?, model.insert(key, v));
            }
        }
        19..=20 => {
            for key in key..key + v % 16 {
                assert_eq!(hash.remove(tx, key)?, model.remove(&key));
            }
        }
        21 => hash.reserve(tx, v as usize % 40)?,
        22 => hash.shrink_to_fit(tx)?,
        23 => {
            let mut drained = hash.drain(tx)?;
            drained.sort();
            let mut expected: Vec<_> = model.drain().collect();
            expected.sort();
            assert_eq!(drained, expected);
        }
        24 => {
            tx.root_mut()?.hash = PHashMap::new(tx)?;
            tx.release(hash)?;
            model.clear();
        }
        _ => hash.for_each_mut(tx, |_, n| *n += 1).map(|()| model.values_mut().for_each(|n| *n += 1))?,
    }
    Ok(())
}

fn word(n: u8) -> String {
    "word ".repeat(usize::from(n) % 3) + &(n % 24).to_string()
}

fn words(
    tx: &mut Tx<'_>,
    words: PHashMap<PString, PBytes>,
    model: &mut BTreeMap<String, Vec<u8>>,
    what: u8,
    a: u8,
    b: u8,
) -> vista::Result<()> {
    let word = word(a);
    match what {
        0..=13 => {
            let value = words.entry(tx, word.as_str())?.or_insert_with(PBytes::new)?.to_owned();
            value.extend_from_slice(tx, &vec![a; usize::from(b) % 20])?;
            model.entry(word).or_default().extend(vec![a; usize::from(b) % 20]);
        }
        14..=21 => match (words.remove(tx, word.as_str())?, model.remove(&word)) {
            (Some(here), Some(there)) => {
                assert_eq!(here.as_slice(tx)?, there);
                tx.release(here)?;
            }
            (here, there) => assert!(here.is_none() && there.is_none()),
        },
        22 => (words.clear(tx)?, model.clear()).0,
        23 => words.shrink_to_fit(tx)?,
        _ => {
            if let (Some(&here), Some(there)) = (words.get(tx, word.as_str())?, model.get_mut(&word)) {
                here.truncate(tx, usize::from(b) % 8)?;
                here.push(tx, b)?;
                there.truncate(usize::from(b) % 8);
                there.push(b);
            }
        }
    }
    Ok(())
}

fn tree(
    tx: &mut Tx<'_>,
    tree: PBTreeMap<u64, u64>,
    model: &mut BTreeMap<u64, u64>,
    what: u8,
    a: u8,
    b: u8,
) -> vista::Result<()> {
    let (key, v) = (u64::from(a), u64::from(b));
    match what {
        0..=4 => assert_eq!(tree.insert(tx, key, v)?, model.insert(key, v)),
        5..=8 => assert_eq!(tree.remove(tx, key)?, model.remove(&key)),
        9..=11 => {
            tree.extend(tx, (key..key + v % 48).map(|n| (n, n)))?;
            model.extend((key..key + v % 48).map(|n| (n, n)));
        }
        12..=13 => {
            let range = key..key + v % 64;
            let expected = taken(model, range.clone());
            assert_eq!(tree.drain(tx, range)?, expected);
        }
        14 => (tree.retain(tx, |n, _| n % 3 != 0)?, model.retain(|n, _| n % 3 != 0)).0,
        15..=16 => assert_eq!(tree.pop_first(tx)?, model.pop_first()),
        17..=18 => assert_eq!(tree.pop_last(tx)?, model.pop_last()),
        19 => {
            // Cut in two, something put between, and together again.
            let (other, mut others) = (tree.split_off(tx, key)?, model.split_off(&key));
            assert_eq!(tree.insert(tx, key + 1, v)?, model.insert(key + 1, v));
            assert_eq!(other.remove(tx, key)?, others.remove(&key));
            tree.append(tx, other)?;
            model.append(&mut others);
            tx.release(other)?;
        }
        20 => (tree.clear(tx)?, model.clear()).0,
        21 => {
            tx.root_mut()?.tree = PBTreeMap::new(tx)?;
            tx.release(tree)?;
            model.clear();
        }
        22 => {
            tree.range_for_each_mut(tx, key..=key + v, |_, n| *n += 1)?;
            model.range_mut(key..=key + v).for_each(|(_, n)| *n += 1);
        }
        _ => assert_eq!(*tree.entry(tx, key)?.or_insert(v)?, *model.entry(key).or_insert(v)),
    }
    Ok(())
}

/// Takes a range out of a model.
fn taken(model: &mut BTreeMap<u64, u64>, range: Range<u64>) -> Vec<(u64, u64)> {
    let keys: Vec<u64> = model.range(range).map(|(&key, _)| key).collect();
    keys.into_iter().filter_map(|key| model.remove_entry(&key)).collect()
}

fn wide(
    tx: &mut Tx<'_>,
    wide: PBTreeMap<Wide, u64>,
    model: &mut BTreeMap<u64, u64>,
    what: u8,
    a: u8,
    b: u8,
) -> vista::Result<()> {
    let (key, v) = (u64::from(a % 96), u64::from(b));
    match what {
        0..=7 => assert_eq!(wide.insert(tx, [key; 66], v)?, model.insert(key, v)),
        8..=14 => assert_eq!(wide.remove(tx, [key; 66])?, model.remove(&key)),
        15..=17 => {
            wide.extend(tx, (key..key + v % 20).map(|n| ([n; 66], n)))?;
            model.extend((key..key + v % 20).map(|n| (n, n)));
        }
        18..=19 => {
            let range = key..key + v % 24;
            let expected = taken(model, range.clone());
            let drained = wide.drain(tx, [range.start; 66]..[range.end; 66])?;
            assert!(drained.iter().map(|&(key, value)| (key[7], value)).eq(expected));
        }
        20 => (wide.retain(tx, |n, _| n[0] % 3 != 0)?, model.retain(|n, _| n % 3 != 0)).0,
        21..=22 => assert_eq!(wide.pop_first(tx)?.map(|(k, v)| (k[65], v)), model.pop_first()),
        23 => assert_eq!(wide.pop_last(tx)?.map(|(k, v)| (k[65], v)), model.pop_last()),
        _ => (wide.clear(tx)?, model.clear()).0,
    }
    Ok(())
}

fn lines(
    tx: &mut Tx<'_>,
    lines: PBTreeMap<PString, PVec<u64>>,
    model: &mut BTreeMap<String, Vec<u64>>,
    what: u8,
    a: u8,
    v: u64,
) -> vista::Result<()> {
    let name = format!("{:03} {}", a, word(a));
    match what {
        0..=12 => {
            let line = *lines.entry(tx, name.as_str())?.or_try_insert_with(PVec::new)?;
            line.push(tx, v)?;
            model.entry(name).or_default().push(v);
        }
        13..=18 => match (lines.remove(tx, name.as_str())?, model.remove(&name)) {
            (Some(here), Some(there)) => {
                assert_eq!(here.as_slice(tx)?, there);
                tx.release(here)?;
            }
            (here, there) => assert!(here.is_none() && there.is_none()),
        },
        19..=20 => {
            // Many, so that there are inner nodes.
            for n in 0..v % 40 {
                let name = format!("{:03} {}", n * 6, word(n as u8));
                let line = *lines.entry(tx, name.as_str())?.or_try_insert_with(PVec::new)?;
                line.push(tx, n)?;
                model.entry(name).or_default().push(n);
            }
        }
        21 => {
            lines.retain(tx, |_, line| line.offset() % 64 != 0)?;
            let kept: Vec<String> =
                lines.keys(tx)?.map(|key| Ok(key?.as_str(tx)?.to_owned())).collect::<Result<_, Error>>()?;
            model.retain(|name, _| kept.contains(name));
            assert_eq!(kept.len(), model.len());
        }
        22 => (lines.clear(tx)?, model.clear()).0,
        23 => {
            let other = lines.split_off(tx, name.as_str())?;
            lines.append(tx, other)?;
            tx.release(other)?;
        }
        _ => {
            if let (Some(&here), Some(there)) = (lines.get(tx, name.as_str())?, model.get_mut(&name)) {
                assert_eq!(here.pop(tx)?, there.pop());
                here.extend(tx, [v, v])?;
                there.extend([v, v]);
            }
        }
    }
    Ok(())
}

/// Everything that the collections hold.
fn read(on: &impl Reader, root: &Root) -> vista::Result<Model> {
    let tree = root.tree.iter(on)?.map(|entry| entry.map(|(&key, &value)| (key, value)));
    let wide = root.wide.iter(on)?.rev().map(|entry| entry.map(|(key, &value)| (key[65], value)));
    let words = root.words.iter(on)?.map(|(key, value)| -> vista::Result<_> {
        Ok((key.as_str(on)?.to_owned(), value.as_slice(on)?.to_owned()))
    });
    let lines = root.lines.iter(on)?.map(|entry| -> vista::Result<_> {
        let (key, value) = entry?;
        Ok((key.as_str(on)?.to_owned(), value.as_slice(on)?.to_owned()))
    });
    Ok(Model {
        vec: root.vec.as_slice(on)?.to_vec(),
        deque: root.deque.iter(on)?.copied().collect(),
        slab: root.slab.iter(on)?.map(|(id, &value)| (id, value)).collect(),
        bytes: root.bytes.as_slice(on)?.to_vec(),
        option: root.option.get(on)?.copied(),
        hash: root.hash.iter(on)?.map(|(&key, &value)| (key, value)).collect(),
        words: words.collect::<Result<_, _>>()?,
        tree: tree.collect::<Result<_, _>>()?,
        wide: wide.collect::<Result<_, _>>()?,
        lines: lines.collect::<Result<_, _>>()?,
    })
}

/// A step of a transaction.
#[derive(Clone, Debug)]
enum Step {
    Do(Op),
    Savepoint,
    /// Back to one of the savepoints, and perhaps to one that is gone.
    Rollback(u8),
    /// A few operations that end with an error.
    Nested(Vec<Op>),
}

fn transactions() -> impl Strategy<Value = Vec<(Vec<Step>, bool)>> {
    let step = prop_oneof![
        12 => any::<Op>().prop_map(Step::Do),
        1 => Just(Step::Savepoint),
        1 => any::<u8>().prop_map(Step::Rollback),
        1 => prop::collection::vec(any::<Op>(), 1..5).prop_map(Step::Nested),
    ];
    prop::collection::vec((prop::collection::vec(step, 1..40), any::<bool>()), 1..8)
}

/// The same on few collections, so that operations meet.
fn transactions_on(kinds: &'static [u8]) -> impl Strategy<Value = Vec<(Vec<Step>, bool)>> {
    let on_few =
        move |(what, a, b): Op| ((what / 10).min(24) * 10 + kinds[usize::from(what) % kinds.len()], a, b);
    let narrow = move |steps: Vec<Step>| {
        let narrow = |step| match step {
            Step::Do(op) => Step::Do(on_few(op)),
            Step::Nested(ops) => Step::Nested(ops.into_iter().map(on_few).collect()),
            other => other,
        };
        steps.into_iter().map(narrow).collect::<Vec<_>>()
    };
    transactions().prop_map(move |all| {
        all.into_iter().map(|(steps, is_kept)| (narrow(steps), is_kept)).collect::<Vec<_>>()
    })
}

/// Runs transactions; after each rollback and each end the collections hold what their models hold.
fn check(transactions: &[(Vec<Step>, bool)]) {
    for domain in [Domain::PageCache, Domain::Adr] {
        let mut segment = segment::<Root>(domain);
        segment.transaction(make).unwrap();
        let mut model = Model::default();
        for (steps, is_kept) in transactions {
            let before = model.clone();
            let mut tx = segment.begin().unwrap();
            run(&mut tx, &mut model, steps);
            match is_kept {
                true => tx.commit().unwrap(),
                false => {
                    tx.abort().unwrap();
                    model = before;
                }
            }
            assert_eq!(read(&segment, segment.root().unwrap()).unwrap(), model, "{domain}: kept: {is_kept}");
            assert_eq!(segment.check_content().unwrap(), [], "{domain}");
        }
        release(segment);
    }
}

fn make(tx: &mut Tx<'_>) -> vista::Result<()> {
    let root = Root {
        vec: PVec::new(tx)?,
        deque: PVecDeque::new(tx)?,
        slab: PSlab::new(tx)?,
        bytes: PBytes::new(tx)?,
        option: POption::new(tx)?,
        hash: PHashMap::new(tx)?,
        words: PHashMap::new(tx)?,
        tree: PBTreeMap::new(tx)?,
        wide: PBTreeMap::new(tx)?,
        lines: PBTreeMap::new(tx)?,
    };
    Ok(*tx.root_mut()? = root)
}

fn run(tx: &mut Tx<'_>, model: &mut Model, steps: &[Step]) {
    let mut savepoints: Vec<(Savepoint, Model)> = Vec::new();
    let mut stale = Vec::new();
    for step in steps {
        match step {
            Step::Do(op) => apply(tx, model, *op).unwrap(),
            Step::Savepoint => savepoints.push((tx.savepoint().unwrap(), model.clone())),
            Step::Rollback(number) => {
                let number = usize::from(*number) % (savepoints.len() + stale.len()).max(1);
                let Some((savepoint, then)) = savepoints.get(number).cloned() else {
                    if let Some(savepoint) = stale.first() {
                        assert!(matches!(tx.rollback_to(savepoint), Err(Error::StaleSavepoint { .. })));
                    }
                    continue;
                };
                tx.rollback_to(&savepoint).unwrap();
                *model = then;
                stale.extend(savepoints.drain(number + 1..).map(|(savepoint, _)| savepoint));
                assert_eq!(read(tx, tx.root()).unwrap(), *model, "rolled back");
            }
            Step::Nested(ops) => {
                let mut lost = model.clone();
                let ended: Result<(), Option<Error>> = tx.nested(|tx| {
                    ops.iter().try_for_each(|op| apply(tx, &mut lost, *op))?;
                    assert_eq!(read(tx, tx.root())?, lost);
                    Err(None)
                });
                assert!(matches!(ended, Err(None)), "{ended:?}");
                assert_eq!(read(tx, tx.root()).unwrap(), *model, "nested, and failed");
            }
        }
    }
    assert_eq!(read(tx, tx.root()).unwrap(), *model, "at the end");
}

/// Releases everything, and expects that nothing is left.
fn release(mut segment: Segment<Root, Buffer>) {
    let all = |tx: &mut Tx<'_>| {
        let root = tx.replace(tx.root_ptr(), bytemuck::Zeroable::zeroed())?;
        tx.release(root)
    };
    segment.transaction(all).unwrap();
    assert_eq!(segment.blocks().unwrap().len(), 1, "everything is freed but the root");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(24)))]

    #[test]
    fn any_history_of_many_collections_equals_their_models(transactions in transactions()) {
        check(&transactions);
    }

    #[test]
    fn any_history_of_what_lies_in_a_row_equals_its_models(transactions in transactions_on(&[0, 1, 2, 3, 4])) {
        check(&transactions);
    }

    #[test]
    fn any_history_of_maps_equals_their_models(transactions in transactions_on(&[5, 6, 7, 8, 9])) {
        check(&transactions);
    }
}

/// Does an operation, whatever comes of it.
fn try_one(tx: &mut Tx<'_>, (what, a, b): Op) -> vista::Result<()> {
    let Root { vec, deque, slab, bytes, option, hash, words, tree, wide, lines } = *tx.root();
    let (n, key, v) = (usize::from(a), u64::from(a), u64::from(b));
    let (word, name) = (word(a), format!("{:03} {}", a, word(a)));
    match what % 40 {
        0 => vec.push(tx, v),
        1 => vec.pop(tx).map(drop),
        2 => vec.insert(tx, n % 8, v),
        3 => vec.drain(tx, n % 4..).map(drop),
        4 => vec.extend(tx, key..key + v % 20),
        5 => vec.shrink_to_fit(tx),
        6 => deque.push_front(tx, v),
        7 => deque.pop_back(tx).map(drop),
        8 => deque.rotate_left(tx, n % 8),
        9 => deque.remove(tx, n % 8).map(drop),
        10 => deque.insert(tx, n % 8, v),
        11 => deque.make_contiguous(tx).map(drop),
        12 => slab.insert(tx, v).map(drop),
        13 => slab.try_remove(tx, key % 8).map(drop),
        14 => slab.retain(tx, |id, _| id % 2 == 0),
        15 => bytes.extend_from_slice(tx, &[b; 9]),
        16 => bytes.insert_slice(tx, n % 9, &[a; 5]),
        17 => bytes.shrink_to_fit(tx),
        18 => bytes.drain(tx, ..n % 9).map(drop),
        19 => option.replace(tx, v).map(drop),
        20 => option.take(tx).map(drop),
        21 | 22 => hash.insert(tx, key % 64, v).map(drop),
        23 => hash.remove(tx, key % 64).map(drop),
        24 => hash.retain(tx, |key, _| key % 3 > 0),
        25 => hash.shrink_to_fit(tx),
        26 => {
            let value = *words.entry(tx, word.as_str())?.or_insert_with(PBytes::new)?;
            value.push(tx, b)
        }
        27 => match words.remove(tx, word.as_str())? {
            Some(value) => tx.release(value),
            None => Ok(()),
        },
        28 => words.clear(tx),
        29 => tree.insert(tx, key, v).map(drop),
        30 => tree.remove(tx, key).map(drop),
        31 => tree.extend(tx, (key..key + v % 48).map(|n| (n, n))),
        32 => tree.drain(tx, key..key + v).map(drop),
        33 => tree.split_off(tx, key).and_then(|other| tree.append(tx, other)),
        34 => wide.insert(tx, [key; 66], v).map(drop),
        35 => wide.remove(tx, [key; 66]).map(drop),
        36 => wide.pop_first(tx).map(drop),
        37 => {
            let line = *lines.entry(tx, name.as_str())?.or_try_insert_with(PVec::new)?;
            line.push(tx, v)
        }
        38 => match lines.remove(tx, name.as_str())? {
            Some(line) => tx.release(line),
            None => Ok(()),
        },
        _ => lines.retain(tx, |_, line| line.offset() % 64 != 0),
    }
}

/// Overwrites words of what the collections have allocated, with words that stand elsewhere, offsets of other blocks and
/// numbers: so that two collections share a block, and a node is taken for a header.
fn damage(image: &[u8], blocks: &[Block], places: &[(u16, u16, u8)]) -> Vec<u8> {
    let mut bytes = image.to_vec();
    let word_in = |block: u16, word: u16| {
        let Block { offset, len } = blocks[usize::from(block) % blocks.len()];
        (offset + u64::from(word) * 8 % len.min(640)) as usize
    };
    for &(block, word, value) in places {
        let at = word_in(block, word);
        let found = u64::from_le_bytes(image[at..at + 8].try_into().unwrap());
        let value = match value % 8 {
            0 => u64::from(value / 8),
            1 => u64::from(value / 8).wrapping_neg(),
            2 => 1 << (value / 4),
            3 => blocks[usize::from(word ^ block) % blocks.len()].offset,
            4 => found ^ 1 << (value / 4),
            5 => found.wrapping_add(u64::from(value / 8)),
            _ => {
                let from = word_in(word, block);
                u64::from_le_bytes(image[from..from + 8].try_into().unwrap())
            }
        };
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(48)))]

    /// Only a panic and a hang are failures.
    #[test]
    fn any_damage_to_many_collections_is_survived(
        steps in prop::collection::vec(any::<Op>(), 40..80),
        places in prop::collection::vec(any::<(u16, u16, u8)>(), 1..7),
        operations in prop::collection::vec(any::<Op>(), 1..40),
    ) {
        let mut sound = segment::<Root>(Domain::PageCache);
        sound.transaction(make).unwrap();
        let steps: Vec<_> = steps.into_iter().map(Step::Do).collect();
        let mut tx = sound.begin().unwrap();
        run(&mut tx, &mut Model::default(), &steps);
        tx.commit().unwrap();
        let blocks = sound.blocks().unwrap();
        let image = sound.into_medium().unwrap().bytes().to_vec();
        let bytes = damage(&image, &blocks, &places);
        for domain in [Domain::PageCache, Domain::Adr] {
            let medium = Buffer::from_bytes(&bytes).with_domain(domain);
            let mut segment = Segment::<Root, Buffer>::open_on(medium).unwrap();
            let _ = read(&segment, segment.root().unwrap());
            let _ = segment.check_content().unwrap();
            for is_kept in [false, true] {
                let mut tx = segment.begin().unwrap();
                for &operation in &operations {
                    let _ = try_one(&mut tx, operation);
                    if operation.1 % 8 == 0 {
                        let savepoint = tx.savepoint().unwrap();
                        let _ = try_one(&mut tx, operation);
                        tx.rollback_to(&savepoint).unwrap();
                    }
                }
                let _ = read(&tx, tx.root());
                if is_kept { tx.commit().unwrap() } else { tx.abort().unwrap() }
                let _ = read(&segment, segment.root().unwrap());
                let _ = segment.check_content().unwrap();
            }
        }
    }
}
