//! `PHashMap` equals `HashMap` under any history of operations, commits, aborts and rollbacks to savepoints; grows
//! without a long step; and survives any bytes.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt::Debug;

use proptest::prelude::*;
use rio::{Buffer, Domain};
use vista::layout::PAGE_LEN;
use vista::{Key, PHashMap, PHashSet, PString, PVec, Persistent, Reader, Segment, Transaction, Writer};

mod hostile;
mod steps;

/// Both ways through the library: without fences, and with records fenced in batches.
const DOMAINS: [Domain; 2] = [Domain::PageCache, Domain::Adr];

type Map<K, V> = PHashMap<K, V>;
type OnBuffer<K, V> = Segment<Map<K, V>, Buffer>;

/// A segment with an empty map.
fn segment<K: Key, V: Persistent>(domain: Domain, len: u64) -> OnBuffer<K, V> {
    let mut segment = Segment::create_on(Buffer::new(len, len).with_domain(domain), PAGE_LEN).unwrap();
    segment.transaction(|tx| PHashMap::or_new(tx, tx.root_ptr()).map(drop)).unwrap();
    segment
}

#[track_caller]
fn assert_sound<K: Key, V: Persistent>(segment: &OnBuffer<K, V>) {
    assert_eq!(segment.check_content().unwrap(), []);
}

/// Releases the map, and expects that nothing is left.
#[track_caller]
fn assert_all_freed<K: Key, V: Persistent>(mut segment: OnBuffer<K, V>) {
    segment
        .transaction(|tx| {
            let map = tx.replace(tx.root_ptr(), PHashMap::null())?;
            tx.release(map)
        })
        .unwrap();
    assert_eq!(segment.blocks().unwrap().len(), 1, "the root alone");
}

#[derive(Clone, Debug)]
enum Op {
    Insert(u16, u64),
    Remove(u16),
    RemoveEntry(u16),
    Change(u16, u64),
    Get(u16),
    Entry(u16, u64),
    EntryRemove(u16),
    Retain(u64),
    ForEach(u64),
    Extend(Vec<(u16, u64)>),
    Reserve(usize),
    Shrink,
    Clear,
    Drain,
}

/// Few keys, so that they meet again.
fn op(keys: u16) -> impl Strategy<Value = Op> {
    let key = 0..keys;
    prop_oneof![
        12 => (key.clone(), any::<u64>()).prop_map(|(k, v)| Op::Insert(k, v)),
        8 => key.clone().prop_map(Op::Remove),
        1 => key.clone().prop_map(Op::RemoveEntry),
        2 => (key.clone(), any::<u64>()).prop_map(|(k, v)| Op::Change(k, v)),
        2 => key.clone().prop_map(Op::Get),
        3 => (key.clone(), any::<u64>()).prop_map(|(k, v)| Op::Entry(k, v)),
        2 => key.clone().prop_map(Op::EntryRemove),
        1 => (2..4u64).prop_map(Op::Retain),
        1 => (2..4u64).prop_map(Op::ForEach),
        2 => prop::collection::vec((key, any::<u64>()), 0..40).prop_map(Op::Extend),
        1 => (0..40usize).prop_map(Op::Reserve),
        1 => Just(Op::Shrink),
        1 => Just(Op::Clear),
        1 => Just(Op::Drain),
    ]
}

/// How a transaction ends.
#[derive(Clone, Debug)]
enum End {
    Commit,
    Abort,
    /// Rolls back to a savepoint before the last so many operations, then commits.
    Rollback(usize),
}

fn history(keys: u16) -> impl Strategy<Value = Vec<(Vec<Op>, End)>> {
    let end = prop_oneof![Just(End::Commit), Just(End::Abort), (0..8usize).prop_map(End::Rollback)];
    prop::collection::vec((prop::collection::vec(op(keys), 1..16), end), 1..16)
}

/// How the numbers of a history become keys and values of a map.
trait Kind {
    type K: Key;
    type V: Persistent;
    type View: Borrow<<Self::K as Key>::View>;

    fn key(number: u16) -> Self::View;
    fn key_back(on: &impl Reader, key: &Self::K) -> u16;
    fn value(tx: &mut impl Writer, number: u64) -> vista::Result<Self::V>;
    fn value_back(on: &impl Reader, value: &Self::V) -> u64;
    /// Changes what is lent of a value to that of a number.
    fn change<R: Persistent>(
        tx: &mut Transaction<'_, R, Buffer>,
        map: Map<Self::K, Self::V>,
        key: u16,
        to: u64,
    ) -> vista::Result<bool>;
}

/// Numbers by themselves.
struct Numbers;

impl Kind for Numbers {
    type K = u64;
    type V = u64;
    type View = u64;

    fn key(number: u16) -> u64 {
        u64::from(number) << 20
    }

    fn key_back(_: &impl Reader, key: &u64) -> u16 {
        (key >> 20) as u16
    }

    fn value(_: &mut impl Writer, number: u64) -> vista::Result<u64> {
        Ok(number)
    }

    fn value_back(_: &impl Reader, value: &u64) -> u64 {
        *value
    }

    fn change<R: Persistent>(
        tx: &mut Transaction<'_, R, Buffer>,
        map: Map<u64, u64>,
        key: u16,
        to: u64,
    ) -> vista::Result<bool> {
        Ok(map.get_mut(tx, Self::key(key))?.map(|value| *value = to).is_some())
    }
}

/// Words that lead to lists: both own memory.
struct Words;

impl Kind for Words {
    type K = PString;
    type V = PVec<u32>;
    type View = String;

    fn key(number: u16) -> String {
        format!("{}{number}", "word ".repeat(usize::from(number % 5)))
    }

    fn key_back(on: &impl Reader, key: &PString) -> u16 {
        let text = key.as_str(on).unwrap();
        text.rsplit(' ').next().unwrap().parse().unwrap()
    }

    fn value(tx: &mut impl Writer, number: u64) -> vista::Result<PVec<u32>> {
        PVec::from_slice(tx, &[number as u32, (number >> 32) as u32])
    }

    fn value_back(on: &impl Reader, value: &PVec<u32>) -> u64 {
        let words = value.as_slice(on).unwrap();
        u64::from(words[0]) | u64::from(words[1]) << 32
    }

    fn change<R: Persistent>(
        tx: &mut Transaction<'_, R, Buffer>,
        map: Map<PString, PVec<u32>>,
        key: u16,
        to: u64,
    ) -> vista::Result<bool> {
        let Some(list) = map.get(tx, Self::key(key))?.copied() else { return Ok(false) };
        list.as_mut_slice(tx)?.copy_from_slice(&[to as u32, (to >> 32) as u32]);
        Ok(true)
    }
}

type Model = HashMap<u16, u64>;

/// Takes a value over from the map: what it is, and then nothing.
fn taken<G: Kind>(tx: &mut impl Writer, value: Option<G::V>) -> vista::Result<Option<u64>> {
    let Some(value) = value else { return Ok(None) };
    let number = G::value_back(tx, &value);
    value.release(tx, Default::default())?;
    Ok(Some(number))
}

/// Does an operation to both, and compares what they return.
fn apply<G: Kind>(
    tx: &mut Transaction<'_, Map<G::K, G::V>, Buffer>,
    map: Map<G::K, G::V>,
    model: &mut Model,
    op: &Op,
) -> vista::Result<()> {
    match *op {
        Op::Insert(k, v) => {
            let value = G::value(tx, v)?;
            let old = map.insert(tx, G::key(k), value)?;
            assert_eq!(taken::<G>(tx, old)?, model.insert(k, v));
        }
        Op::Remove(k) => {
            let old = map.remove(tx, G::key(k))?;
            assert_eq!(taken::<G>(tx, old)?, model.remove(&k));
        }
        Op::RemoveEntry(k) => {
            let (key, value) = map.remove_entry(tx, G::key(k))?.unzip();
            assert_eq!(key.map(|key| G::key_back(tx, &key)), model.contains_key(&k).then_some(k));
            if let Some(key) = key {
                key.release(tx, Default::default())?;
            }
            assert_eq!(taken::<G>(tx, value)?, model.remove(&k));
        }
        Op::Change(k, v) => {
            let is_there = model.get_mut(&k).map(|value| *value = v).is_some();
            assert_eq!(G::change(tx, map, k, v)?, is_there);
        }
        Op::Get(k) => {
            let key = G::key(k);
            assert_eq!(map.contains_key(tx, key.borrow())?, model.contains_key(&k));
            let found = map.get_key_value(tx, key.borrow())?;
            let found = found.map(|(key, value)| (G::key_back(tx, key), G::value_back(tx, value)));
            assert_eq!(found, model.get_key_value(&k).map(|(k, v)| (*k, *v)));
        }
        Op::Entry(k, v) => {
            let value = *map.entry(tx, G::key(k))?.or_insert_with(|tx| G::value(tx, v))?;
            assert_eq!(G::value_back(tx, &value), *model.entry(k).or_insert(v));
        }
        Op::EntryRemove(k) => match map.entry(tx, G::key(k))? {
            vista::collections::hash_map::Entry::Occupied(entry) => {
                let old = entry.remove()?;
                assert_eq!(taken::<G>(tx, Some(old))?, model.remove(&k));
            }
            vista::collections::hash_map::Entry::Vacant(entry) => {
                assert!(!model.contains_key(&k) && entry.key() == G::key(k).borrow());
            }
        },
        Op::Retain(n) => {
            // The closure has no transaction to read with; so it decides by what was read before.
            let numbers: HashMap<Vec<u8>, u64> = map
                .iter(tx)?
                .map(|(key, value)| (bytemuck::bytes_of(key).to_vec(), G::value_back(tx, value)))
                .collect();
            map.retain(tx, |key, _| numbers[bytemuck::bytes_of(key)].is_multiple_of(n))?;
            model.retain(|_, v| v.is_multiple_of(n));
        }
        Op::ForEach(n) => {
            let mut count = 0;
            map.for_each_mut(tx, |_, _| count += n)?;
            assert_eq!(count, model.len() as u64 * n);
        }
        Op::Extend(ref entries) => {
            for &(k, v) in entries {
                let value = G::value(tx, v)?;
                map.extend(tx, [(G::key(k), value)])?;
                model.insert(k, v);
            }
        }
        Op::Reserve(n) => {
            map.reserve(tx, n)?;
            assert!(n == 0 || map.capacity(tx)? >= model.len() + n);
        }
        Op::Shrink => {
            map.shrink_to_fit(tx)?;
            assert!(map.capacity(tx)? >= model.len());
            assert!(map.capacity(tx)? <= (model.len() * 2).max(6));
        }
        Op::Clear => {
            map.clear(tx)?;
            model.clear();
        }
        Op::Drain => {
            let mut drained = Model::new();
            for (key, value) in map.drain(tx)? {
                let k = G::key_back(tx, &key);
                key.release(tx, Default::default())?;
                drained.extend(taken::<G>(tx, Some(value))?.map(|v| (k, v)));
            }
            assert_eq!(drained, std::mem::take(model));
        }
    }
    assert_equal::<G>(tx, map, model);
    Ok(())
}

#[track_caller]
fn assert_equal<G: Kind>(on: &impl Reader, map: Map<G::K, G::V>, model: &Model) {
    assert_eq!(map.len(on).unwrap(), model.len());
    assert_eq!(map.is_empty(on).unwrap(), model.is_empty());
    let entries = map.iter(on).unwrap();
    assert!(entries.size_hint().1.unwrap() >= model.len());
    let entries: Vec<_> = entries.map(|(k, v)| (G::key_back(on, k), G::value_back(on, v))).collect();
    assert_eq!(entries.len(), model.len(), "each entry once");
    assert_eq!(entries.iter().copied().collect::<Model>(), *model);
    assert!(map.keys(on).unwrap().map(|k| G::key_back(on, k)).eq(entries.iter().map(|entry| entry.0)));
    assert!(map.values(on).unwrap().map(|v| G::value_back(on, v)).eq(entries.iter().map(|entry| entry.1)));
    for (&k, &v) in model {
        let found = map.get(on, G::key(k)).unwrap();
        assert_eq!(found.map(|value| G::value_back(on, value)), Some(v));
    }
}

/// Runs a history on both.
fn check<G: Kind>(domain: Domain, history: &[(Vec<Op>, End)]) {
    let mut segment = segment::<G::K, G::V>(domain, 1 << 20);
    let map = *segment.root().unwrap();
    let mut model = Model::new();
    for (ops, end) in history {
        let before = model.clone();
        let mut tx = segment.begin().unwrap();
        let kept = match end {
            End::Rollback(count) => ops.len().saturating_sub(*count),
            _ => ops.len(),
        };
        for op in &ops[..kept] {
            apply::<G>(&mut tx, map, &mut model, op).unwrap();
        }
        let savepoint = tx.savepoint().unwrap();
        let mut lost = model.clone();
        for op in &ops[kept..] {
            apply::<G>(&mut tx, map, &mut lost, op).unwrap();
        }
        tx.rollback_to(&savepoint).unwrap();
        assert_equal::<G>(&tx, map, &model);
        match end {
            End::Abort => {
                tx.abort().unwrap();
                model = before;
            }
            _ => tx.commit().unwrap(),
        }
        assert_equal::<G>(&segment, map, &model);
        assert_sound(&segment);
    }
    assert_all_freed(segment);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_history_of_numbers_equals_its_model(history in history(40)) {
        DOMAINS.iter().for_each(|&domain| check::<Numbers>(domain, &history));
    }

    #[test]
    fn any_history_of_many_numbers_equals_its_model(history in history(400)) {
        DOMAINS.iter().for_each(|&domain| check::<Numbers>(domain, &history));
    }

    #[test]
    fn any_history_of_words_equals_its_model(history in history(30)) {
        DOMAINS.iter().for_each(|&domain| check::<Words>(domain, &history));
    }
}

/// Keys and values of every size and alignment find their place.
#[test]
fn shapes() {
    fn fill<K: Key<View = K> + Ord + Debug, V: Persistent + PartialEq + Debug>(
        key: impl Fn(u8) -> K,
        value: impl Fn(u8) -> V,
    ) {
        for domain in DOMAINS {
            let mut segment = segment::<K, V>(domain, 1 << 20);
            let map = *segment.root().unwrap();
            for number in 0..100 {
                segment.transaction(|tx| map.insert(tx, key(number), value(number)).map(drop)).unwrap();
            }
            for number in 0..100 {
                assert_eq!(map.get(&segment, key(number)).unwrap(), Some(&value(number)));
            }
            assert_sound(&segment);
            assert_all_freed(segment);
        }
    }
    fill(|n| n, u32::from);
    fill(u32::from, |n| n);
    fill(|n| n, u128::from);
    fill(u128::from, |n| n);
    fill(|n| [n; 3], |n| [n; 5]);
    fill(|n| u64::from(n) << 56, |_| ());
    fill(|n| [u64::from(n); 9], |n| [u16::from(n); 70]);
}

#[test]
fn a_key_without_bytes_has_one_entry() {
    let mut segment = segment::<(), u64>(Domain::PageCache, 1 << 20);
    let map = *segment.root().unwrap();
    let old = segment.transaction(|tx| {
        map.insert(tx, (), 1)?;
        map.insert(tx, (), 2)
    });
    assert_eq!(old.unwrap(), Some(1));
    assert_eq!(map.iter(&segment).unwrap().collect::<Vec<_>>(), [(&(), &2)]);
    assert_sound(&segment);
}

/// Of an entry without bytes there is nothing to look at, but it has to be aligned like any other.
#[test]
fn an_entry_without_bytes_is_aligned() {
    fn check<K: Key<View = K> + Ord + Debug, V: Persistent + PartialEq + Debug>(key: K, value: V) {
        for domain in DOMAINS {
            let mut segment = segment::<K, V>(domain, 1 << 20);
            let map = *segment.root().unwrap();
            assert_eq!(segment.transaction(|tx| map.insert(tx, key, value)).unwrap(), None);
            assert_eq!(segment.transaction(|tx| map.insert(tx, key, value)).unwrap(), Some(value));
            assert_eq!(map.get_key_value(&segment, key).unwrap(), Some((&key, &value)));
            assert_eq!(map.iter(&segment).unwrap().collect::<Vec<_>>(), [(&key, &value)]);
            assert_sound(&segment);
            assert_eq!(segment.transaction(|tx| map.drain(tx)).unwrap(), [(key, value)]);
            assert_all_freed(segment);
        }
    }
    check((), ());
    check([0u64; 0], ());
    check((), [0u128; 0]);
    check([0u16; 0], [0u64; 0]);
}

#[test]
fn the_null_map_is_empty_and_cannot_be_written_to() {
    let mut segment = segment::<u64, u64>(Domain::PageCache, 1 << 20);
    let null = PHashMap::<u64, u64>::null();
    assert_eq!(null.get(&segment, 1).unwrap(), None);
    assert_eq!((null.len(&segment).unwrap(), null.capacity(&segment).unwrap()), (0, 0));
    assert_eq!(null.iter(&segment).unwrap().next(), None);
    let result = segment.transaction(|tx| null.insert(tx, 1, 2));
    assert!(matches!(result, Err(vista::Error::NullPointer { .. })));
}

#[test]
fn a_set_of_words() {
    let mut segment =
        Segment::<PHashSet<PString>, Buffer>::create_on(Buffer::new(1 << 20, 1 << 20), PAGE_LEN).unwrap();
    segment
        .transaction(|tx| -> vista::Result<()> {
            let set = PHashSet::or_new(tx, tx.root_ptr())?;
            set.extend(tx, ["a", "b", "c", "a"])?;
            assert!(!set.insert(tx, "b")? && set.insert(tx, "d")?);
            assert!(set.remove(tx, "c")? && !set.remove(tx, "c")?);
            let key = set.take(tx, "d")?.unwrap();
            assert_eq!(key.as_str(tx)?, "d");
            tx.release(key)
        })
        .unwrap();
    let set = *segment.root().unwrap();
    let mut words: Vec<_> = set.iter(&segment).unwrap().map(|key| key.as_str(&segment).unwrap()).collect();
    words.sort();
    assert_eq!(words, ["a", "b"]);
    assert!(set.contains(&segment, "a").unwrap() && !set.contains(&segment, "c").unwrap());
    assert_eq!(segment.check_content().unwrap(), []);
}

/// A map that is the value of another one, and a map whose values are changed in passing.
#[test]
fn maps_of_maps() {
    type Inner = PHashMap<u32, u32>;
    let mut segment = segment::<PString, Inner>(Domain::PageCache, 1 << 20);
    let map = *segment.root().unwrap();
    segment
        .transaction(|tx| -> vista::Result<()> {
            for word in ["one", "two"] {
                let inner = *map.entry(tx, word)?.or_insert_with(PHashMap::new)?;
                inner.extend(tx, (0..20u32).map(|n| (n, n)))?;
                inner.for_each_mut(tx, |key, value| *value += key)?;
                inner.retain(tx, |key, _| key % 2 == 1)?;
            }
            Ok(())
        })
        .unwrap();
    let inner = *map.get(&segment, "two").unwrap().unwrap();
    assert_eq!(inner.len(&segment).unwrap(), 10);
    assert_eq!(inner.get(&segment, 7).unwrap(), Some(&14));
    assert_sound(&segment);
    segment.transaction(|tx| map.clear(tx)).unwrap();
    assert_sound(&segment);
    assert_eq!(segment.blocks().unwrap().len(), 2, "the root and the header");
}

/// What is made between the search and the insertion may change the map itself: here the slot that was found is given
/// to another key, and nothing in the header tells.
#[test]
fn an_entry_outlives_changes_of_its_map() {
    let mut segment = segment::<u64, u64>(Domain::PageCache, 1 << 20);
    let map = *segment.root().unwrap();
    segment
        .transaction(|tx| -> vista::Result<()> {
            map.extend(tx, [(1, 1), (2, 2), (3, 3)])?;
            map.remove(tx, 1)?;
            let value = *map.entry(tx, 4)?.or_insert_with(|tx| {
                map.remove(tx, 3)?;
                map.insert(tx, 5, 5)?;
                Ok(4)
            })?;
            assert_eq!(value, 4);
            let value = *map.entry(tx, 6)?.or_insert_with(|tx| {
                map.extend(tx, (6..50).map(|n| (n, n)))?;
                Ok(100)
            })?;
            assert_eq!(value, 100);
            Ok(())
        })
        .unwrap();
    let mut keys: Vec<_> = map.keys(&segment).unwrap().copied().collect();
    keys.sort();
    assert_eq!(keys, [2].into_iter().chain(4..50).collect::<Vec<_>>());
    assert_eq!(map.get(&segment, 6).unwrap(), Some(&100));
    assert_sound(&segment);
}

/// An entry is removed, and another one takes its slot, before the transaction ends or goes back to a savepoint: the
/// first one must come back as it was.
#[test]
fn a_slot_that_was_emptied_and_filled_in_one_transaction_comes_back() {
    for domain in DOMAINS {
        let mut segment = segment::<u64, [u64; 2]>(domain, 1 << 20);
        let map = *segment.root().unwrap();
        let entries = |on: &Transaction<'_, _, Buffer>| {
            let mut found: Vec<_> = map.iter(on).unwrap().map(|(k, v)| (*k, v[1])).collect();
            found.sort();
            found
        };
        segment.transaction(|tx| map.extend(tx, (0..4).map(|n| (n, [n; 2])))).unwrap();
        let before: Vec<_> = (0..4).map(|n| (n, n)).collect();

        let mut tx = segment.begin().unwrap();
        for n in 0..4u64 {
            assert_eq!(map.remove(&mut tx, n).unwrap(), Some([n; 2]));
            assert_eq!(map.insert(&mut tx, n + 100, [n + 100; 2]).unwrap(), None);
        }
        let inner: Vec<_> = (100..104).map(|n| (n, n)).collect();
        assert_eq!(entries(&tx), inner);
        let savepoint = tx.savepoint().unwrap();
        for n in 100..104u64 {
            map.remove(&mut tx, n).unwrap();
            map.insert(&mut tx, n + 100, [n + 100; 2]).unwrap();
        }
        // Slots that no entry had used before, used, emptied and used again behind the savepoint.
        for n in 300..302u64 {
            map.insert(&mut tx, n, [n; 2]).unwrap();
            map.remove(&mut tx, n).unwrap();
            map.insert(&mut tx, n + 100, [n; 2]).unwrap();
        }
        tx.rollback_to(&savepoint).unwrap();
        assert_eq!(entries(&tx), inner);
        tx.abort().unwrap();
        let tx = segment.begin().unwrap();
        assert_eq!(entries(&tx), before);
        drop(tx);
        assert_sound(&segment);
    }
}
