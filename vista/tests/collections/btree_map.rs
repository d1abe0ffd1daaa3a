//! `PBTreeMap` equals `BTreeMap` under any history of operations, commits, aborts and rollbacks to savepoints.

mod kinds; // maps of several types, and what stands for a number in them
mod hostile; // any bytes, and each invariant broken
mod log; // what operations log

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Bound;

use proptest::prelude::*;
use rio::{Buffer, Domain};
use vista::collections::btree_map::Entry;
use vista::{Key, PBTreeMap, Persistent, Reader, Segment, Writer};

use crate::shapes::wide;
use kinds::{Kind, Numbers, Wide, Words};

type Map<T> = PBTreeMap<<T as Kind>::Key, <T as Kind>::Value>;
type Model = BTreeMap<u64, u64>;

#[derive(Clone, Debug)]
enum Op {
    Insert(u64, u64),
    Remove(u64),
    RemoveEntry(u64),
    GetMut(u64, u64),
    Entry(u64, u64),
    EntryRemove(u64),
    PopFirst,
    PopLast,
    Range(Bound<u64>, Bound<u64>),
    Change(Bound<u64>, Bound<u64>),
    Retain(u64),
    Drain(Bound<u64>, Bound<u64>),
    /// Inserts so many keys from one on, so far apart, in ascending or descending order.
    Extend(u64, u64, u64, bool),
    /// Removes so many keys from one on, so far apart.
    RemoveMany(u64, u64, u64),
    Append(u64, u64, u64),
    SplitOff(u64, bool),
    Clear,
}

fn bound(keys: u64) -> impl Strategy<Value = Bound<u64>> {
    prop_oneof![
        1 => Just(Bound::Unbounded),
        2 => (0..keys).prop_map(Bound::Included),
        2 => (0..keys).prop_map(Bound::Excluded),
    ]
}

/// An operation on a map whose keys are less than `keys`.
fn op(keys: u64) -> impl Strategy<Value = Op> {
    let key = 0..keys;
    let (value, run, gap) = (0..1000u64, 1..keys / 4, 1..4u64);
    prop_oneof![
        6 => (key.clone(), value.clone()).prop_map(|(k, v)| Op::Insert(k, v)),
        6 => key.clone().prop_map(Op::Remove),
        1 => key.clone().prop_map(Op::RemoveEntry),
        1 => (key.clone(), value.clone()).prop_map(|(k, v)| Op::GetMut(k, v)),
        2 => (key.clone(), value.clone()).prop_map(|(k, v)| Op::Entry(k, v)),
        1 => key.clone().prop_map(Op::EntryRemove),
        1 => Just(Op::PopFirst),
        1 => Just(Op::PopLast),
        3 => (bound(keys), bound(keys)).prop_map(|(a, b)| Op::Range(a, b)),
        1 => (bound(keys), bound(keys)).prop_map(|(a, b)| Op::Change(a, b)),
        1 => (1..6u64).prop_map(Op::Retain),
        1 => (bound(keys), bound(keys)).prop_map(|(a, b)| Op::Drain(a, b)),
        4 => (key.clone(), run.clone(), gap.clone(), any::<bool>())
            .prop_map(|(k, n, gap, is_up)| Op::Extend(k, n, gap, is_up)),
        3 => (key.clone(), run.clone(), gap.clone()).prop_map(|(k, n, gap)| Op::RemoveMany(k, n, gap)),
        1 => (key.clone(), run, gap).prop_map(|(k, n, gap)| Op::Append(k, n, gap)),
        1 => (key, any::<bool>()).prop_map(|(k, is_kept)| Op::SplitOff(k, is_kept)),
        1 => Just(Op::Clear),
    ]
}

/// All that reading tells of a map.
fn compare<T: Kind>(on: &impl Reader, map: Map<T>, model: &Model) {
    let number = |entry: vista::Result<(&T::Key, &T::Value)>| {
        let (key, value) = entry.unwrap();
        (T::number_of_key(on, key), T::number_of_value(on, value))
    };
    let found: Vec<_> = map.iter(on).unwrap().map(number).collect();
    let expected: Vec<_> = model.iter().map(|(&k, &v)| (k, v)).collect();
    assert_eq!(found, expected);
    let mut backwards: Vec<_> = map.iter(on).unwrap().rev().map(number).collect();
    backwards.reverse();
    assert_eq!(backwards, expected);
    assert_eq!(map.len(on).unwrap(), model.len());
    assert_eq!(map.is_empty(on).unwrap(), model.is_empty());
    let pair = |entry: Option<(&T::Key, &T::Value)>| entry.map(|entry| number(Ok(entry)));
    assert_eq!(pair(map.first_key_value(on).unwrap()), expected.first().copied());
    assert_eq!(pair(map.last_key_value(on).unwrap()), expected.last().copied());
    for key in expected.iter().map(|&(key, _)| key).step_by(7).flat_map(|key| [key, key + 1]) {
        T::with_key(key, |view| {
            let value = map.get(on, view).unwrap().map(|value| T::number_of_value(on, value));
            assert_eq!(value, model.get(&key).copied());
            assert_eq!(map.contains_key(on, view).unwrap(), value.is_some());
            let entry = map.get_key_value(on, view).unwrap();
            assert_eq!(pair(entry), value.map(|value| (key, value)));
        });
    }
}

/// Whether std takes this range; here it is empty.
fn is_range(a: Bound<u64>, b: Bound<u64>) -> bool {
    match (a, b) {
        (Bound::Excluded(a), Bound::Excluded(b)) => a < b,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => a <= b,
        _ => true,
    }
}

fn in_model(model: &Model, a: Bound<u64>, b: Bound<u64>) -> Vec<(u64, u64)> {
    if is_range(a, b) { model.range((a, b)).map(|(&k, &v)| (k, v)).collect() } else { Vec::new() }
}

fn release<T: Kind>(tx: &mut impl Writer, value: Option<T::Value>) -> Option<u64> {
    value.map(|value| {
        let number = T::number_of_value(tx, &value);
        T::free_value(tx, value);
        number
    })
}

fn release_entry<T: Kind>(tx: &mut impl Writer, entry: Option<(T::Key, T::Value)>) -> Option<(u64, u64)> {
    entry.map(|(key, value)| {
        let numbers = (T::number_of_key(tx, &key), T::number_of_value(tx, &value));
        T::free_key(tx, key);
        T::free_value(tx, value);
        numbers
    })
}

/// Does an operation to both, and compares what they return.
fn apply<T: Kind>(tx: &mut impl Writer, map: Map<T>, model: &mut Model, op: &Op) -> vista::Result<()> {
    match *op {
        Op::Insert(k, v) => {
            let value = T::value(tx, v);
            let old = T::with_key(k, |key| map.insert(tx, key, value))?;
            assert_eq!(release::<T>(tx, old), model.insert(k, v));
        }
        Op::Remove(k) => {
            let old = T::with_key(k, |key| map.remove(tx, key))?;
            assert_eq!(release::<T>(tx, old), model.remove(&k));
        }
        Op::RemoveEntry(k) => {
            let old = T::with_key(k, |key| map.remove_entry(tx, key))?;
            assert_eq!(release_entry::<T>(tx, old), model.remove_entry(&k));
        }
        Op::GetMut(k, v) => {
            let new = T::value(tx, v);
            let old = T::with_key(k, |key| {
                Ok::<_, vista::Error>(map.get_mut(tx, key)?.map(|value| std::mem::replace(value, new)))
            })?;
            if old.is_none() {
                T::free_value(tx, new);
            }
            let expected = model.get_mut(&k).map(|value| std::mem::replace(value, v));
            assert_eq!(release::<T>(tx, old), expected);
        }
        Op::Entry(k, v) => {
            let mut modified = false;
            T::with_key(k, |key| {
                let entry = map.entry(tx, key)?.and_modify(|value| modified = T::change(value))?;
                entry.or_try_insert_with(|tx| Ok(T::value(tx, v))).map(drop)
            })?;
            model.entry(k).and_modify(|value| *value += u64::from(modified)).or_insert(v);
        }
        Op::EntryRemove(k) => {
            let removed = T::with_key(k, |key| match map.entry(tx, key)? {
                Entry::Occupied(entry) => entry.remove_entry().map(Some),
                Entry::Vacant(_) => Ok(None),
            })?;
            assert_eq!(release_entry::<T>(tx, removed), model.remove_entry(&k));
        }
        Op::PopFirst => {
            let old = map.pop_first(tx)?;
            assert_eq!(release_entry::<T>(tx, old), model.pop_first());
        }
        Op::PopLast => {
            let old = map.pop_last(tx)?;
            assert_eq!(release_entry::<T>(tx, old), model.pop_last());
        }
        Op::Range(a, b) => T::with_bounds(a, b, |range| {
            let number = |entry: vista::Result<(&T::Key, &T::Value)>| {
                let (key, value) = entry.unwrap();
                (T::number_of_key(tx, key), T::number_of_value(tx, value))
            };
            let expected = in_model(model, a, b);
            let found: Vec<_> = map.range(tx, range).unwrap().map(number).collect();
            assert_eq!(found, expected);
            // From both ends, until they meet.
            let (mut range, mut from_both) = (map.range(tx, range).unwrap(), Vec::new());
            while let Some(entry) = range.next() {
                from_both.push(number(entry));
                from_both.extend(range.next_back().map(number));
            }
            from_both.sort();
            assert_eq!(from_both, expected);
        }),
        Op::Change(a, b) => {
            let changed = in_model(model, a, b);
            let mut seen = 0;
            T::with_bounds(a, b, |range| {
                map.range_for_each_mut(tx, range, |_, value| {
                    if T::change(value) {
                        *model.get_mut(&changed[seen].0).unwrap() += 1;
                    }
                    seen += 1;
                })
            })?;
            assert_eq!(seen, changed.len());
        }
        Op::Retain(n) => {
            let numbers: Vec<_> = model.keys().copied().collect();
            let mut numbers = numbers.iter();
            map.retain(tx, |_, _| numbers.next().unwrap() % n == 0)?;
            model.retain(|k, _| k % n == 0);
        }
        Op::Drain(a, b) => {
            let drained = T::with_bounds(a, b, |range| map.drain(tx, range))?;
            let drained: Vec<_> =
                drained.into_iter().filter_map(|entry| release_entry::<T>(tx, Some(entry))).collect();
            assert_eq!(drained, in_model(model, a, b));
            for (key, _) in &drained {
                model.remove(key);
            }
        }
        Op::Extend(from, count, gap, is_ascending) => {
            let mut keys: Vec<_> = (0..count).map(|n| from + n * gap).collect();
            if !is_ascending {
                keys.reverse();
            }
            T::extend(tx, map, &keys)?;
            model.extend(keys.iter().map(|&key| (key, key)));
        }
        Op::RemoveMany(from, count, gap) => {
            for key in (0..count).map(|n| from + n * gap) {
                let old = T::with_key(key, |key| map.remove(tx, key))?;
                assert_eq!(release::<T>(tx, old), model.remove(&key));
            }
        }
        Op::Append(from, count, gap) => {
            let keys: Vec<_> = (0..count).map(|n| from + n * gap).collect();
            let other = PBTreeMap::new(tx)?;
            T::extend(tx, other, &keys)?;
            map.append(tx, other)?;
            assert!(other.is_empty(tx)?);
            T::free_map(tx, other);
            model.extend(keys.iter().map(|&key| (key, key)));
        }
        Op::SplitOff(k, is_kept) => {
            let other = T::with_key(k, |key| map.split_off(tx, key))?;
            let mut split = model.split_off(&k);
            compare::<T>(tx, other, &split);
            if is_kept {
                map.append(tx, other)?;
                model.append(&mut split);
            }
            T::free_map(tx, other);
        }
        Op::Clear => {
            map.clear(tx)?;
            model.clear();
        }
    }
    Ok(())
}

/// How a transaction ends.
#[derive(Clone, Debug)]
enum End {
    Commit,
    Abort,
    /// Rolls back to a savepoint before the last so many operations, then commits.
    Rollback(usize),
}

type History = Vec<(Vec<Op>, End)>;

fn history(keys: u64) -> impl Strategy<Value = History> {
    let end = prop_oneof![Just(End::Commit), Just(End::Abort), (0..6usize).prop_map(End::Rollback)];
    prop::collection::vec((prop::collection::vec(op(keys), 1..12), end), 1..12)
}

/// A segment in memory with an empty map.
fn segment<T: Kind>(domain: Domain) -> Segment<Map<T>, Buffer> {
    let len = 8 << 20; // Nodes of wide keys take two pages.
    let mut segment: Segment<Map<T>, Buffer> =
        Segment::create_on(Buffer::new(len, len).with_domain(domain), 1 << 14).unwrap();
    segment.transaction(|tx| PBTreeMap::or_new(tx, tx.root_ptr()).map(drop)).unwrap();
    segment
}

/// Runs a history in a domain, and looks at everything behind each transaction.
fn run<T: Kind>(transactions: &History, domain: Domain) -> Result<(), TestCaseError> {
    let mut segment = segment::<T>(domain);
    let map = *segment.root().unwrap();
    let mut model = Model::new();
    for (ops, end) in transactions {
        let before = model.clone();
        let mut tx = segment.begin().unwrap();
        let kept = match end {
            End::Rollback(count) => ops.len().saturating_sub(*count),
            _ => ops.len(),
        };
        for op in &ops[..kept] {
            apply::<T>(&mut tx, map, &mut model, op).unwrap();
        }
        let savepoint = tx.savepoint().unwrap();
        let mut lost = model.clone();
        for op in &ops[kept..] {
            apply::<T>(&mut tx, map, &mut lost, op).unwrap();
        }
        compare::<T>(&tx, map, &lost);
        tx.rollback_to(&savepoint).unwrap();
        compare::<T>(&tx, map, &model);
        match end {
            End::Abort => {
                tx.abort().unwrap();
                model = before;
            }
            _ => tx.commit().unwrap(),
        }
        compare::<T>(&segment, map, &model);
        prop_assert_eq!(segment.check_content().unwrap(), vec![]);
    }
    segment
        .transaction(|tx| {
            let map = tx.replace(tx.root_ptr(), PBTreeMap::null())?;
            tx.release(map)
        })
        .unwrap();
    prop_assert_eq!(segment.blocks().unwrap().len(), 1, "everything is freed but the root");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_history_of_numbers_equals_its_model(transactions in history(60), is_ordered in any::<bool>()) {
        run::<Numbers>(&transactions, if is_ordered { Domain::Adr } else { Domain::PageCache })?;
    }

    #[test]
    fn any_history_of_many_numbers_equals_its_model(transactions in history(3000), is_ordered in any::<bool>()) {
        run::<Numbers>(&transactions, if is_ordered { Domain::Adr } else { Domain::PageCache })?;
    }

    /// Seven entries per node, so that there are four levels and more.
    #[test]
    fn any_history_in_small_nodes_equals_its_model(transactions in history(1200), is_ordered in any::<bool>()) {
        run::<Wide>(&transactions, if is_ordered { Domain::Adr } else { Domain::PageCache })?;
    }

    #[test]
    fn any_history_of_strings_and_vectors_equals_its_model(
        transactions in history(400),
        is_ordered in any::<bool>(),
    ) {
        run::<Words>(&transactions, if is_ordered { Domain::Adr } else { Domain::PageCache })?;
    }
}

/// Keys and values of every size and alignment find their place, and their order.
#[test]
fn shapes() {
    fn fill<K: Key<View = K> + Ord + Debug, V: Persistent + PartialEq + Debug>(
        key: impl Fn(u8) -> K,
        value: impl Fn(u8) -> V,
    ) {
        for domain in [Domain::PageCache, Domain::Adr] {
            let medium = Buffer::new(1 << 20, 1 << 20).with_domain(domain);
            let mut segment = Segment::<PBTreeMap<K, V>, Buffer>::create_on(medium, 1 << 14).unwrap();
            let map = segment.transaction(|tx| PBTreeMap::or_new(tx, tx.root_ptr())).unwrap();
            let mut model = BTreeMap::new();
            for number in (0..150).map(|n| (n * 37 % 150) as u8) {
                let old = segment.transaction(|tx| map.insert(tx, key(number), value(number))).unwrap();
                assert_eq!(old, model.insert(key(number), value(number)));
            }
            for number in (0..150).step_by(3) {
                let old = segment.transaction(|tx| map.remove(tx, key(number))).unwrap();
                assert_eq!(old, model.remove(&key(number)));
            }
            let entries: Result<Vec<_>, _> = map.iter(&segment).unwrap().collect();
            assert_eq!(entries.unwrap(), model.iter().collect::<Vec<_>>());
            for number in 0..150 {
                assert_eq!(map.get(&segment, key(number)).unwrap(), model.get(&key(number)));
            }
            assert_eq!(segment.check_content().unwrap(), []);
            segment
                .transaction(|tx| {
                    let map = tx.replace(tx.root_ptr(), PBTreeMap::null())?;
                    tx.release(map)
                })
                .unwrap();
            assert_eq!(segment.blocks().unwrap().len(), 1, "everything is freed but the root");
        }
    }
    fill(|n| n, u32::from);
    fill(u32::from, |n| n);
    fill(u128::from, |n| n);
    fill(|n| n, u128::from);
    fill(|n| [n; 16], |n| [n; 5]);
    fill(|n| [n; 17], |_| ());
    fill(|n| u64::from(n) << 56, |_| [0_u128; 0]);
    fill(|_| (), |n| n);
    fill(|_| [0_u64; 0], |_| ());
    fill(wide, |n| n);
    fill(|n| n, wide);
}

/// Every range of trees from one leaf to many, from both ends in turns: so that the ends meet in each place of a leaf, and
/// between two leaves.
fn ranges<T: Kind>(counts: &[u64]) {
    for &count in counts {
        let mut segment = segment::<T>(Domain::PageCache);
        let map = *segment.root().unwrap();
        // Even numbers, in an order that leaves leaves half full.
        let numbers: Vec<_> = (0..count).map(|n| 2 * (n * 37 % count)).collect();
        segment.transaction(|tx| T::extend(tx, map, &numbers)).unwrap();
        let model: Model = numbers.iter().map(|&number| (number, number)).collect();
        assert_eq!(model.len() as u64, count);
        let step = (count / 9).max(1) as usize;
        let ends = || (0..=2 * count).step_by(step);
        let bounds =
            || ends().flat_map(|n| [Bound::Included(n), Bound::Excluded(n)]).chain([Bound::Unbounded]);
        for (a, b) in bounds().flat_map(|a| bounds().map(move |b| (a, b))) {
            let expected = in_model(&model, a, b);
            for turns in [[1, 0], [0, 1], [1, 1], [3, 1], [1, 7], [8, 8]] {
                T::with_bounds(a, b, |range| {
                    let mut range = map.range(&segment, range).unwrap();
                    let mut number = |is_front| {
                        let entry = if is_front { range.next() } else { range.next_back() };
                        entry.map(|entry| T::number_of_key(&segment, entry.unwrap().0))
                    };
                    let mut left = expected.iter().map(|&(key, _)| key);
                    let mut is_over = false;
                    while !is_over {
                        for _ in 0..turns[0] {
                            let next = left.next();
                            is_over |= next.is_none();
                            assert_eq!(number(true), next, "{count} entries, {a:?} to {b:?} by {turns:?}");
                        }
                        for _ in 0..turns[1] {
                            let next = left.next_back();
                            is_over |= next.is_none();
                            assert_eq!(number(false), next, "{count} entries, {a:?} to {b:?} by {turns:?}");
                        }
                    }
                    assert_eq!((number(false), number(true)), (None, None), "it stays at its end");
                });
            }
        }
    }
}

#[test]
fn ranges_meet_everywhere() {
    ranges::<Wide>(&[1, 2, 6, 8, 15, 30, 60]);
    ranges::<Numbers>(&[1, 32, 33, 66, 130]);
    ranges::<Words>(&[9, 40]);
}
