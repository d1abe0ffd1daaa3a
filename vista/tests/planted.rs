//! Without a crash no plant is seen: a segment is made, changed, closed and opened again with each of them.

#![cfg(vista_planted)]

use rio::{Buffer, Domain};
use vista::layout::PAGE_LEN;
use vista::plant::{self, PLANTS, Plant};
use vista::{Error, PPtr, PSlice, Persistent, Segment, Transaction};

#[derive(Clone, Copy, Debug, PartialEq, Persistent)]
#[repr(C)]
struct Root {
    words: [u64; 32],
    list: PPtr<Node>,
    bytes: PSlice<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Persistent)]
#[repr(C)]
struct Node {
    value: u64,
    next: PPtr<Node>,
    room: [u64; 6],
}

type Tx<'s> = Transaction<'s, Root, Buffer>;

#[test]
fn without_a_crash_no_plant_is_seen() {
    for &(plant, name, what) in PLANTS {
        assert_eq!((plant.name(), plant::by_name(name)), (name, plant));
        assert!(!what.is_empty(), "{name} tells what is wrong");
        plant::set(Some(name));
        for domain in [Domain::PageCache, Domain::Adr] {
            smoke(domain).unwrap_or_else(|error| panic!("{name}, {domain}: {error}"));
        }
    }
    plant::set(None);
    smoke(Domain::Adr).expect("nothing is planted");
}

#[test]
fn names_are_distinct_and_plants_count_up() {
    for (index, &(plant, name, _)) in PLANTS.iter().enumerate() {
        assert_eq!(plant as usize, index, "{name}");
        assert_eq!(PLANTS.iter().filter(|(_, other, _)| *other == name).count(), 1, "{name}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
    }
    assert_eq!(PLANTS[0].0, Plant::PublishedBeforeWhole);
}

fn smoke(domain: Domain) -> Result<(), Error> {
    let medium = Buffer::new(20 * PAGE_LEN, 400 * PAGE_LEN).with_domain(domain);
    let mut segment = Segment::<Root, Buffer>::create_on(medium, PAGE_LEN)?;
    for round in 0..4 {
        for step in STEPS {
            segment.transaction(|tx| step(tx, round))?;
        }
        assert_eq!(segment.check()?, []);
        let root = *segment.root()?;
        segment = Segment::open_on(segment.into_medium()?)?;
        assert_eq!((segment.recovery().record_count, *segment.root()?), (0, root));
        assert_eq!(segment.check()?, []);
        assert_state(&segment, round)?;
    }
    segment.close()
}

type Step = fn(&mut Tx<'_>, u64) -> Result<(), Error>;

const STEPS: [Step; 6] = [
    |tx, round| {
        for index in 0..8 {
            *tx.get_mut(word(tx, index))? = round + index;
            tx.write(word(tx, index + 8), round + index + 8)?;
        }
        let (a, b) = tx.get_disjoint_mut((word(tx, 16), word(tx, 17)))?;
        (*a, *b) = (round + 16, round + 17);
        Ok(())
    },
    |tx, _| {
        assert_eq!(tx.root().words[3], tx.root().words[0] + 3);
        Ok(())
    },
    |tx, round| {
        for value in 0..20 {
            let next = tx.root().list;
            let list = tx.alloc(Node { value: 100 * round + value, next, room: [round; 6] })?;
            tx.write(vista::field!(tx.root_ptr(), Root, list), list)?;
        }
        Ok(())
    },
    // Longer than the log, and the space that it frees is taken again.
    |tx, round| {
        let old = tx.root().bytes;
        tx.free_slice(old)?;
        let bytes = tx.alloc_slice(&vec![round as u8; (9000 + 5000 * round) as usize])?;
        tx.root_mut()?.bytes = bytes;
        for _ in 0..40 {
            tx.root_mut()?.words[31] += 1;
            tx.savepoint()?;
        }
        tx.slice_mut(bytes)?.fill(round as u8 + 1);
        Ok(())
    },
    |tx, _| {
        let first = tx.root().list;
        let second = tx.get(first)?.next;
        tx.free(first)?;
        let Node { value, next, room } = *tx.get(second)?;
        let new = tx.alloc(Node { value: value + 1, next, room })?;
        tx.free(second)?;
        tx.root_mut()?.list = new;
        Ok(())
    },
    |tx, _| tx.write(word(tx, 30), tx.number()),
];

fn word(tx: &Tx<'_>, index: u64) -> PPtr<u64> {
    PPtr::from_offset(tx.root_ptr().offset() + 8 * index)
}

fn assert_state(segment: &Segment<Root, Buffer>, round: u64) -> Result<(), Error> {
    let root = segment.root()?;
    for index in 0..18 {
        assert_eq!(root.words[index], round + index as u64);
    }
    assert_eq!(root.words[31], 40 * (round + 1));
    let bytes = segment.slice(root.bytes)?;
    assert_eq!(bytes.len() as u64, 9000 + 5000 * round);
    assert!(bytes.iter().all(|&byte| u64::from(byte) == round + 1));
    let (mut ptr, mut count) = (root.list, 0);
    while !ptr.is_null() {
        let node = segment.get(ptr)?;
        assert_eq!(node.room, [node.value / 100; 6]);
        (ptr, count) = (node.next, count + 1);
    }
    assert_eq!(count, 19 * (round + 1));
    Ok(())
}
