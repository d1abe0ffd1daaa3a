//! Any bytes in header and nodes end in `Ok` or `Err`, after a bounded number of steps; and each broken invariant is
//! reported.

use std::ops::Bound;

use rio::{Buffer, Domain};
use vista::collections::btree_map::Entry;
use vista::collections::layout::{BTREE_SLOTS_MAX, BTreeHeader, BTreeNode};
use vista::{PBTreeMap, PPtr, Persistent, Segment, Transaction};

use crate::described::agrees;

use super::kinds::{Kind, Numbers, Wide, Words};
use super::{Map, segment};

type Tx<'s, T> = Transaction<'s, Map<T>, Buffer>;

/// A map of some levels, with slots that were used and are not.
fn sample<T: Kind>(domain: Domain, count: u64) -> Segment<Map<T>, Buffer> {
    let mut segment = segment::<T>(domain);
    let map = *segment.root().unwrap();
    segment
        .transaction(|tx| -> vista::Result<()> {
            for number in (0..count).map(|n| 2 * (n * 37 % count)) {
                let value = T::value(tx, number);
                T::with_key(number, |key| map.insert(tx, key, value))?;
            }
            for number in (0..count).step_by(5) {
                if let Some(value) = T::with_key(2 * number, |key| map.remove(tx, key))? {
                    T::free_value(tx, value);
                }
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(segment.check_content().unwrap(), []);
    segment
}

/// The blocks of the header and of the nodes, the root first; children behind their parents.
fn nodes<T: Kind>(segment: &Segment<Map<T>, Buffer>) -> Vec<(u64, BTreeNode)> {
    let map = *segment.root().unwrap();
    let root = segment.get(PPtr::<BTreeHeader>::from_offset(map.offset())).unwrap().root;
    let mut found = vec![(root, *segment.get(PPtr::<BTreeNode>::from_offset(root)).unwrap())];
    let mut at = 0;
    while let Some(&(node, head)) = found.get(at) {
        at += 1;
        if head.level > 0 {
            for &slot in &head.order[..head.count.into()] {
                let child = *segment.get(child::<T>(node, slot.into())).unwrap();
                found.push((child, *segment.get(PPtr::from_offset(child)).unwrap()));
            }
        }
    }
    found
}

/// Entries that fit in a node.
fn capacity(key_len: usize, value_len: usize) -> usize {
    (4096 / (key_len + value_len)).clamp(7, BTREE_SLOTS_MAX)
}

/// Where an inner node has the offset of a child.
fn child<T: Kind>(node: u64, slot: usize) -> PPtr<u64> {
    let keys = capacity(size_of::<T::Key>(), 8) * size_of::<T::Key>();
    PPtr::from_offset(node + (size_of::<BTreeNode>() + keys + 8 * slot) as u64)
}

/// Everything that can be done, whatever comes of it.
const OPERATIONS: usize = 22;

fn operate<T: Kind>(tx: &mut Tx<'_, T>, number: usize, steps_max: usize) -> vista::Result<()> {
    let map = *tx.root();
    let count = |steps: usize| assert!(steps <= steps_max, "{steps} steps");
    match number {
        0 => {
            T::with_key(20, |key| map.get(tx, key).map(drop))?;
            T::with_key(21, |key| map.get_key_value(tx, key).map(drop))?;
            T::with_key(1, |key| map.contains_key(tx, key).map(drop))
        }
        1 => map.first_key_value(tx).map(drop),
        2 => map.last_key_value(tx).map(drop),
        3 => Ok(count(map.iter(tx)?.count())),
        4 => Ok(count(map.iter(tx)?.rev().count())),
        5 => {
            let mut range = map.values(tx)?;
            let mut steps = 0;
            while let Some(value) = range.next() {
                value?;
                steps += 1;
                if steps % 3 == 0 && range.next_back().transpose()?.is_none() {
                    break;
                }
            }
            Ok(count(steps))
        }
        6 => T::with_bounds(Bound::Excluded(10), Bound::Included(50), |range| {
            Ok(count(map.range(tx, range)?.count()))
        }),
        7 => insert::<T>(tx, map, 0),
        8 => insert::<T>(tx, map, 21),
        9 => insert::<T>(tx, map, 100_000),
        10 => T::with_key(22, |key| map.remove(tx, key).map(drop)),
        11 => T::with_key(0, |key| map.remove_entry(tx, key).map(drop)),
        12 => map.pop_first(tx).map(drop),
        13 => map.pop_last(tx).map(drop),
        14 => T::with_key(23, |key| match map.entry(tx, key)? {
            Entry::Occupied(entry) => entry.remove().map(drop),
            Entry::Vacant(_) => Ok(()),
        }),
        15 => map.for_each_mut(tx, |_, value| {
            T::change(value);
        }),
        16 => map.retain(tx, |_, _| false),
        17 => T::with_bounds(Bound::Included(10), Bound::Excluded(60), |range| {
            Ok(count(map.drain(tx, range)?.len()))
        }),
        18 => T::extend(tx, map, &[5, 7, 9, 100_000, 100_001]),
        19 => {
            let other = T::with_key(20, |key| map.split_off(tx, key))?;
            map.append(tx, other)
        }
        20 => map.clear(tx),
        _ => {
            let len = map.len(tx)?; // A damaged length is no reason to allocate.
            let mut left = 200.min(len);
            while left > 0 && map.pop_last(tx)?.is_some() {
                left -= 1;
            }
            map.release(tx, Default::default())
        }
    }
}

fn insert<T: Kind>(tx: &mut Tx<'_, T>, map: Map<T>, number: u64) -> vista::Result<()> {
    let value = T::value(tx, number);
    T::with_key(number, |key| map.insert(tx, key, value).map(drop))
}

/// Damages bytes, and does everything to what is left, each in a transaction that is rolled back.
fn survive<T: Kind>(segment: &mut Segment<Map<T>, Buffer>, offset: u64, bytes: &[u8], operations: &[usize]) {
    // Every node has a block of at least 64 bytes, and 32 entries at most.
    let steps_max = BTREE_SLOTS_MAX * ((8 << 20) / 64);
    for &number in operations {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut tx = segment.begin().unwrap();
            tx.set_range(offset, bytes.len() as u64).unwrap().copy_from_slice(bytes);
            let _ = operate::<T>(&mut tx, number, steps_max);
        }));
        assert!(done.is_ok(), "operation {number}, {bytes:x?} at {offset:#x}");
    }
}

/// The same, and what the check of the content says of it.
fn survive_in_a_check<T: Kind>(segment: &mut Segment<Map<T>, Buffer>, offset: u64, bytes: &[u8]) {
    let place = vista::PSlice::<u8>::from_raw_parts(offset, bytes.len() as u64);
    let before = segment.slice(place).unwrap().to_vec();
    for (bytes, is_sound) in [(bytes, bytes == before), (&before, true)] {
        segment
            .transaction(|tx| -> vista::Result<()> { Ok(tx.slice_mut(place)?.copy_from_slice(bytes)) })
            .unwrap();
        let violations = segment.check_content().unwrap();
        assert!(!is_sound || violations.is_empty(), "{violations:?}");
    }
}

/// A slot that holds an entry, and by a damaged node holds none, is stored to without an image: then a rollback leaves a
/// change behind.
fn make_anew_if_changed<T: Kind>(segment: &mut Segment<Map<T>, Buffer>, domain: Domain, count: u64) {
    if !segment.check_content().unwrap().is_empty() {
        *segment = sample::<T>(domain, count);
    }
}

fn every_byte<T: Kind>(domain: Domain, count: u64, bytes_in_front: usize, step: usize) {
    let mut segment = sample::<T>(domain, count);
    let all: Vec<_> = (0..OPERATIONS).collect();
    let header = segment.root().unwrap().offset();
    let mut places: Vec<_> = (header..header + size_of::<BTreeHeader>() as u64).collect();
    for (node, _) in nodes::<T>(&segment) {
        places.extend((node..node + (size_of::<BTreeNode>() + bytes_in_front) as u64).step_by(step));
    }
    for offset in places {
        let byte = segment.slice(vista::PSlice::<u8>::from_raw_parts(offset, 1)).unwrap()[0];
        for value in [0, 0xFF, byte ^ 1, byte.wrapping_add(7)] {
            survive::<T>(&mut segment, offset, &[value], &all);
            make_anew_if_changed::<T>(&mut segment, domain, count);
            survive_in_a_check::<T>(&mut segment, offset, &[value]);
        }
    }
    assert_eq!(segment.check_content().unwrap(), [], "nothing of it is left");
}

#[test]
fn every_byte_in_front_of_numbers_is_overwritten() {
    every_byte::<Numbers>(Domain::PageCache, 70, 16, 1);
}

#[test]
fn every_byte_in_front_of_strings_is_overwritten() {
    every_byte::<Words>(Domain::PageCache, 45, 24, 1);
}

#[test]
fn bytes_of_nodes_of_several_levels_are_overwritten_in_an_ordered_domain() {
    every_byte::<Wide>(Domain::Adr, 60, 0, 3);
}

/// Children that are their parents, their neighbours, twice there, of another level, or nowhere.
#[test]
fn children_are_exchanged() {
    fn exchange<T: Kind>(count: u64) {
        let mut segment = sample::<T>(Domain::PageCache, count);
        let all: Vec<_> = (0..OPERATIONS).collect();
        let nodes = nodes::<T>(&segment);
        let header = segment.root().unwrap().offset();
        let offsets =
            nodes.iter().map(|&(node, _)| node).chain([0, 1, 8, header, u64::MAX, 1 << 63, header + 8]);
        let offsets: Vec<_> = offsets.step_by(1 + nodes.len() / 12).collect();
        let inner = nodes.iter().filter(|(_, head)| head.level > 0);
        let places: Vec<_> = inner
            .flat_map(|&(node, head)| (0..head.count.into()).map(move |slot| child::<T>(node, slot).offset()))
            .step_by(1 + nodes.len() / 12)
            .chain([header])
            .collect();
        for place in places {
            for offset in &offsets {
                survive::<T>(&mut segment, place, &offset.to_le_bytes(), &all);
                make_anew_if_changed::<T>(&mut segment, Domain::PageCache, count);
                survive_in_a_check::<T>(&mut segment, place, &offset.to_le_bytes());
            }
        }
        assert_eq!(segment.check_content().unwrap(), []);
    }
    exchange::<Numbers>(200);
    exchange::<Words>(100);
    exchange::<Wide>(120);
}

/// All nodes of a level are one: a small file that is a tree of 32 to the power of 23.
#[test]
fn a_tree_that_is_one_node_per_level_has_an_end() {
    let mut segment = segment::<Numbers>(Domain::PageCache);
    let map = *segment.root().unwrap();
    let header = PPtr::<BTreeHeader>::from_offset(map.offset());
    segment
        .transaction(|tx| -> vista::Result<()> {
            let mut order = [0; BTREE_SLOTS_MAX];
            order.iter_mut().zip(0..).for_each(|(slot, n)| *slot = n);
            let mut below = 0;
            for level in 0..24u8 {
                let words = tx.alloc_slice(&[below; 5 + 64])?; // A node of two times 32 words.
                let head = BTreeNode { used: u32::MAX, level, count: 32, reserved: 0, order };
                tx.write(PPtr::from_offset(words.offset()), head)?;
                below = words.offset();
            }
            tx.write(header, BTreeHeader { root: below, len: 1000 })
        })
        .unwrap();
    for number in 0..OPERATIONS {
        let mut tx = segment.begin().unwrap();
        let done = operate::<Numbers>(&mut tx, number, usize::MAX);
        // A walk that changes comes to more nodes than there are, and a release to one that is free already. An iterator
        // ends where both its ends are: in the one leaf.
        if [15, 16, 19, 20].contains(&number) {
            assert!(done.is_err(), "operation {number}");
        }
    }
    assert!(segment.check_content().unwrap().iter().any(|violation| violation.invariant == "INV-C1"));
}

/// The invariants that do not hold any more after a change to a map.
fn broken<T: Kind>(change: impl FnOnce(&mut Tx<'_, T>, &[(u64, BTreeNode)])) -> Vec<&'static str> {
    let mut segment = sample::<T>(Domain::PageCache, 100);
    let nodes = nodes::<T>(&segment);
    segment.transaction(|tx| Ok::<_, vista::Error>(change(tx, &nodes))).unwrap();
    agrees(&segment);
    let mut numbers: Vec<_> = segment.check_content().unwrap().iter().map(|found| found.invariant).collect();
    numbers.dedup();
    numbers
}

/// Changes what stands in front of a node's entries.
fn broken_head(change: impl FnOnce(&mut BTreeNode)) -> Vec<&'static str> {
    broken::<Numbers>(|tx, nodes| {
        let (last, _) = nodes[nodes.len() - 1];
        change(tx.get_mut(PPtr::from_offset(last)).unwrap());
    })
}

#[test]
fn a_map_that_miscounts_is_reported() {
    let found = broken::<Numbers>(|tx, _| {
        let header = PPtr::<BTreeHeader>::from_offset(tx.root().offset());
        tx.get_mut(header).unwrap().len += 1;
    });
    assert_eq!(found, ["INV-C40"]);
}

#[test]
fn nodes_of_another_level_are_reported() {
    assert_eq!(broken_head(|head| head.level = 1), ["INV-C41"]);
}

#[test]
fn nodes_without_entries_or_with_too_many_are_reported() {
    assert_eq!(broken_head(|head| head.count = 0), ["INV-C42"]);
    assert_eq!(broken_head(|head| head.count = 33), ["INV-C42"]);
    let one_child = broken::<Numbers>(|tx, nodes| {
        let root = tx.get_mut(PPtr::<BTreeNode>::from_offset(nodes[0].0)).unwrap();
        (root.count, root.used) = (1, 1 << root.order[0]);
    });
    assert!(one_child.contains(&"INV-C42"), "{one_child:?}");
}

#[test]
fn slots_that_are_not_used_or_used_twice_are_reported() {
    assert_eq!(broken_head(|head| head.order[1] = head.order[0]), ["INV-C43"]);
    assert_eq!(broken_head(|head| head.order[1] = 32), ["INV-C43"]);
    assert_eq!(broken_head(|head| head.used &= !(1 << head.order[0])), ["INV-C43"]);
    assert_eq!(broken_head(|head| head.reserved = 1), ["INV-C43"]);
}

#[test]
fn keys_out_of_their_order_are_reported() {
    assert_eq!(broken_head(|head| head.order.swap(0, 1)), ["INV-C44"]);
}

#[test]
fn keys_beyond_their_separators_are_reported() {
    let found = broken::<Numbers>(|tx, nodes| {
        // The key of the root's second entry: what the keys of its second child begin with.
        let (root, head) = nodes[0];
        let separator = root + (size_of::<BTreeNode>() + 8 * usize::from(head.order[1])) as u64;
        *tx.get_mut(PPtr::<u64>::from_offset(separator)).unwrap() += 3;
    });
    assert_eq!(found, ["INV-C45"]);
}

#[test]
fn a_separator_that_is_the_key_of_an_entry_is_reported() {
    let found = broken::<Words>(|tx, nodes| {
        let (root, head) = nodes[0];
        let (leaf, leaf_head) = nodes[2];
        let key = |node: u64, slot: u8| {
            PPtr::<vista::PString>::from_offset(
                node + (size_of::<BTreeNode>() + 8 * usize::from(slot)) as u64,
            )
        };
        let first = *tx.get(key(leaf, leaf_head.order[0])).unwrap();
        tx.write(key(root, head.order[1]), first).unwrap();
    });
    assert!(found.contains(&"INV-C1"), "{found:?}");
}

#[test]
fn the_null_handle_reads_as_empty_and_cannot_be_written_to() {
    let mut segment = segment::<Numbers>(Domain::PageCache);
    segment
        .transaction(|tx| -> vista::Result<()> {
            let map = PBTreeMap::<u64, u64>::null();
            assert_eq!((map.len(tx)?, map.is_empty(tx)?, map.get(tx, 1)?), (0, true, None));
            assert!(!map.contains_key(tx, 1)? && map.get_key_value(tx, 1)?.is_none());
            assert!(map.first_key_value(tx)?.is_none() && map.last_key_value(tx)?.is_none());
            assert!(map.place(tx, 1)?.is_none() && map.get_mut(tx, 1)?.is_none());
            assert_eq!(
                (map.iter(tx)?.count(), map.range(tx, 1..)?.count(), map.keys(tx)?.count()),
                (0, 0, 0)
            );
            map.release(tx, Default::default())?;
            let is_null =
                |result: vista::Result<()>| assert!(matches!(result, Err(vista::Error::NullPointer { .. })));
            is_null(map.insert(tx, 1, 1).map(drop));
            is_null(map.remove(tx, 1).map(drop));
            is_null(map.remove_entry(tx, 1).map(drop));
            is_null(map.entry(tx, 1).map(drop));
            is_null(map.pop_first(tx).map(drop));
            is_null(map.pop_last(tx).map(drop));
            is_null(map.for_each_mut(tx, |_, _| {}));
            is_null(map.retain(tx, |_, _| true));
            is_null(map.drain(tx, ..).map(drop));
            is_null(map.extend(tx, [(1, 1)]));
            is_null(map.split_off(tx, 1).map(drop));
            is_null(map.clear(tx));
            Ok(())
        })
        .unwrap();
}
