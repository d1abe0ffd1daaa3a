//! What the description alone finds equals what the types find: on sound segments, and on any that are not.

use bytemuck::Zeroable;
use rio::{Buffer, Domain};
use vista::collections::layout::{
    BTreeHeader, BTreeNode, BytesHeader, DequeHeader, HashMapHeader, SlabHeader, VecHeader,
};
use vista::inspect::{Content, Inspector, Type};
use vista::{
    Block, PBTreeMap, PBytes, PCell, PHashMap, PHashSet, POption, PPtr, PSlab, PSlice, PString, PVec,
    PVecDeque, Persistent, Segment, Transaction, Violation,
};

use crate::history::segment;

/// What the description of these bytes' root finds.
fn content_of(bytes: &[u8]) -> vista::Result<Content> {
    Inspector::open_on(Buffer::from_bytes(bytes)).unwrap().check_content()
}

/// Asserts that the description finds what the types do. What nothing owns is a violation there and a note here.
#[track_caller]
pub(crate) fn agrees<R: Persistent>(segment: &Segment<R, Buffer>) -> Content {
    let found = content_of(segment.medium().unwrap().bytes()).unwrap();
    let (unowned, broken): (Vec<_>, Vec<_>) = segment
        .check_content()
        .unwrap()
        .into_iter()
        .filter(|violation| violation.invariant.starts_with("INV-C"))
        .partition(|violation| violation.invariant == "INV-C2");
    // The one of a path, and the one of none.
    let plain = |violations: &[Violation]| format!("{violations:#?}");
    assert_eq!(plain(&found.violations), plain(&broken));
    if !found.has_raw_pointers && broken.is_empty() {
        let offsets: Vec<_> = found.unowned.iter().map(|block| block.offset).collect();
        assert_eq!(offsets, unowned.iter().map(|violation| violation.offset).collect::<Vec<_>>());
    }
    found
}

/// A root with one of everything, in each other.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Everything {
    counter: u64,
    words: PVec<PString>,
    bytes: PBytes,
    queue: PVecDeque<PVec<u32>>,
    slab: PSlab<Person>,
    cell: PCell<PBytes>,
    option: POption<PCell<PString>>,
    by_word: PHashMap<PString, PVec<PBytes>>,
    by_number: PHashMap<i16, [PString; 2]>,
    set: PHashSet<[u8; 5]>,
    sorted: PBTreeMap<PString, PBTreeMap<i64, PString>>,
    grid: PBTreeMap<[u16; 2], Person>,
    people: [Person; 2],
    nothing: PVec<PHashMap<u8, u8>>,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Person {
    age: u64,
    name: PString,
    friends: PVec<PString>,
}

type Tx<'s, R> = Transaction<'s, R, Buffer>;

fn string<R: Persistent>(tx: &mut Tx<'_, R>, text: &str) -> vista::Result<PString> {
    PString::new(tx, text)
}

fn strings<R: Persistent>(tx: &mut Tx<'_, R>, all: &[&str]) -> vista::Result<PVec<PString>> {
    let vec = PVec::new(tx)?;
    for text in all {
        let text = string(tx, text)?;
        vec.push(tx, text)?;
    }
    Ok(vec)
}

fn person<R: Persistent>(tx: &mut Tx<'_, R>, age: u64, name: &str) -> vista::Result<Person> {
    Ok(Person { age, name: string(tx, name)?, friends: strings(tx, &["Ada", name])? })
}

fn fill(tx: &mut Tx<'_, Everything>) -> vista::Result<()> {
    let bytes = PBytes::from_slice(tx, b"short")?;
    bytes.extend_from_slice(tx, b", and then too long for the block that it began in")?;
    let queue = PVecDeque::new(tx)?;
    for number in 0..7 {
        let list = PVec::from_slice(tx, &[number, 2])?;
        if number % 3 == 0 { queue.push_front(tx, list)? } else { queue.push_back(tx, list)? }
    }
    let slab = PSlab::new(tx)?;
    for age in 0..6 {
        let person = person(tx, age, "Bob")?;
        slab.insert(tx, person)?;
    }
    for id in [1, 4] {
        let gone = slab.remove(tx, id)?;
        tx.release(gone)?;
    }
    let cell = PCell::new(tx, PBytes::null())?;
    let inside = PBytes::from_slice(tx, b"inside")?;
    cell.set(tx, inside)?;
    let text = string(tx, "Grüße")?;
    let text = PCell::new(tx, text)?;
    let option = POption::some(tx, text)?;
    let (by_word, by_number) = (PHashMap::with_seed(tx, 1)?, PHashMap::with_seed(tx, 2)?);
    let set = PHashSet::with_seed(tx, 3)?;
    for number in 0..15_i16 {
        let list = PVec::new(tx)?;
        let some = PBytes::from_slice(tx, &number.to_le_bytes())?;
        list.push(tx, some)?;
        by_word.insert(tx, format!("word {number}"), list)?;
        let pair = [string(tx, "left")?, PString::null()];
        by_number.insert(tx, number - 8, pair)?;
        set.insert(tx, [number as u8; 5])?;
    }
    let (sorted, grid) = (PBTreeMap::new(tx)?, PBTreeMap::new(tx)?);
    for number in 0..50_i64 {
        let inner = PBTreeMap::new(tx)?;
        if number % 10 == 0 {
            for key in -3..3 {
                let text = string(tx, "below")?;
                inner.insert(tx, key * number, text)?.map_or(Ok(()), |old| tx.release(old))?;
            }
        }
        sorted.insert(tx, format!("key {number}"), inner)?;
    }
    for number in 0..40 {
        let person = Person { age: number.into(), name: PString::null(), friends: PVec::null() };
        grid.insert(tx, [256 - number, number], person)?;
    }
    let words = strings(tx, &["one", "two", "a word that is longer than what stands behind a header"])?;
    let people = [person(tx, 36, "Ada")?, person(tx, 48, "Bob")?];
    let nothing = PVec::null();
    *tx.root_mut()? = Everything {
        counter: 1,
        words,
        bytes,
        queue,
        slab,
        cell,
        option,
        by_word,
        by_number,
        set,
        sorted,
        grid,
        people,
        nothing,
    };
    Ok(())
}

fn everything() -> Segment<Everything, Buffer> {
    let mut segment = segment::<Everything>(Domain::PageCache);
    segment.transaction(fill).unwrap();
    segment
}

#[test]
fn a_sound_segment_with_everything_in_it_is_sound() {
    let segment = everything();
    let Content { violations, collection_count, unowned, has_raw_pointers, unknown, unordered, .. } =
        agrees(&segment);
    assert_eq!(
        (violations, unowned, has_raw_pointers, unknown, unordered),
        (vec![], vec![], false, vec![], vec![])
    );
    assert!(collection_count > 150, "{collection_count}");
}

/// The invariants that do not hold after a change.
#[track_caller]
fn broken(
    change: impl FnOnce(&mut Tx<'_, Everything>, Everything) -> vista::Result<()>,
) -> Vec<&'static str> {
    let mut segment = everything();
    segment.transaction(|tx| change(tx, *tx.root())).unwrap();
    let mut numbers: Vec<_> = agrees(&segment).violations.iter().map(|found| found.invariant).collect();
    numbers.dedup();
    numbers
}

fn header<H: Persistent>(offset: u64) -> PPtr<H> {
    PPtr::from_offset(offset)
}

#[test]
fn damage_to_each_kind_is_reported_by_its_number() {
    let vec = broken(|tx, root| Ok(tx.get_mut(header::<VecHeader>(root.words.offset()))?.len = 99));
    assert_eq!(vec, ["INV-C3"]);
    let text = broken(|tx, root| {
        let word = *root.words.get(tx, 2)?.unwrap();
        Ok(word.into_bytes().as_mut_slice(tx)?[0] = 0xFF)
    });
    assert_eq!(text, ["INV-C3"]);
    let bytes =
        broken(|tx, root| Ok(tx.get_mut(header::<BytesHeader>(root.bytes.offset()))?.inline_capacity = 99));
    assert_eq!(bytes, ["INV-C1"]);
    let deque = broken(|tx, root| Ok(tx.get_mut(header::<DequeHeader>(root.queue.offset()))?.capacity = 3));
    assert_eq!(deque, ["INV-C3"]);
    let slab = broken(|tx, root| Ok(tx.get_mut(header::<SlabHeader>(root.slab.offset()))?.len += 1));
    assert_eq!(slab, ["INV-C5", "INV-C6"]);
    let slab = broken(|tx, root| Ok(tx.get_mut(header::<SlabHeader>(root.slab.offset()))?.free_head = 0));
    assert_eq!(slab, ["INV-C6"]);
    let cell = broken(|tx, root| {
        let inside = *root.cell.get(tx)?;
        tx.release(inside)
    });
    assert_eq!(cell, ["INV-C1"]);
    let option = broken(|tx, root| tx.write(header(root.option.offset() + 8), 2_u64));
    assert_eq!(option, ["INV-C3"]);
    let twice = broken(|tx, root| Ok(tx.root_mut()?.people[1].name = root.people[0].name));
    assert_eq!(twice, ["INV-C1"]);
    let of_the_root = broken(|tx, _| {
        let offset = tx.root_ptr().offset();
        tx.write(tx.root_ptr().cast::<[u64; 2]>(), [1, offset])
    });
    assert_eq!(of_the_root, ["INV-C1"]);
}

#[test]
fn damage_to_maps_is_reported_by_its_number() {
    let map = broken(|tx, root| Ok(tx.get_mut(header::<HashMapHeader>(root.by_word.offset()))?.len += 1));
    assert_eq!(map, ["INV-C20"]);
    let room = broken(|tx, root| Ok(tx.get_mut(header::<HashMapHeader>(root.by_word.offset()))?.room += 1));
    assert_eq!(room, ["INV-C21"]);
    // Its hash is another one now.
    let key = broken(|tx, root| {
        let (key, _) = root.by_word.iter(tx)?.next().unwrap();
        let key = key.into_bytes();
        Ok(key.as_mut_slice(tx)?[0] ^= 1)
    });
    assert_eq!(key, ["INV-C23"]);
    let number = broken(|tx, root| {
        let place = root.by_number.place(tx, -8)?.unwrap().offset() - 8;
        tx.write(header::<i16>(place), 1000)
    });
    assert_eq!(number, ["INV-C23"]);
    let seed = broken(|tx, root| Ok(tx.get_mut(header::<HashMapHeader>(root.set.offset()))?.seed ^= 1));
    assert_eq!(seed, ["INV-C23"]);
    let tree = broken(|tx, root| Ok(tx.get_mut(header::<BTreeHeader>(root.sorted.offset()))?.len += 1));
    assert_eq!(tree, ["INV-C40"]);
    let text = broken(|tx, root| {
        let leaf = first_leaf(tx, root.sorted.offset(), 8)?;
        Ok(tx.get_mut(leaf)?.order.swap(1, 2))
    });
    assert_eq!(text, ["INV-C44"]);
    let array = broken(|tx, root| {
        let leaf = first_leaf(tx, root.grid.offset(), 4)?;
        Ok(tx.get_mut(leaf)?.order.swap(0, 1))
    });
    assert_eq!(array, ["INV-C44"]);
    let signed = broken(|tx, root| {
        let inner = *root.sorted.get(tx, "key 10")?.unwrap();
        let leaf = first_leaf(tx, inner.offset(), 8)?;
        Ok(tx.get_mut(leaf)?.order.swap(2, 3)) // -10 and 0.
    });
    assert_eq!(signed, ["INV-C44"]);
    let reserved = broken(|tx, root| {
        let leaf = first_leaf(tx, root.grid.offset(), 4)?;
        Ok(tx.get_mut(leaf)?.reserved = 1)
    });
    assert_eq!(reserved, ["INV-C43"]);
}

/// The node with the least keys.
fn first_leaf<R: Persistent>(tx: &Tx<'_, R>, map: u64, key_len: u64) -> vista::Result<PPtr<BTreeNode>> {
    let mut node = tx.get(header::<BTreeHeader>(map))?.root;
    loop {
        let head = *tx.get(header::<BTreeNode>(node))?;
        if head.level == 0 {
            return Ok(header(node));
        }
        node = *tx.get(header::<u64>(node + 40 + 32 * key_len + 8 * u64::from(head.order[0])))?;
    }
}

/// Each byte of each block is changed, and each of its words led elsewhere: both find the same, whatever it is.
#[test]
fn any_byte_of_any_block_is_damaged() {
    let segment = everything();
    let blocks = segment.blocks().unwrap();
    let root = segment.root_ptr().offset();
    let image = segment.into_medium().unwrap().bytes().to_vec();
    let mut bytes = image.clone();
    let mut found = 0;
    let mut try_bytes = |bytes: &[u8]| {
        let segment = Segment::<Everything, Buffer>::open_on(Buffer::from_bytes(bytes)).unwrap();
        found += usize::from(!agrees(&segment).violations.is_empty());
    };
    for (number, Block { offset, len }) in blocks.iter().enumerate() {
        let range = *offset as usize..(offset + len) as usize;
        // Every byte of the root and of one block in a few, so that it takes no longer than a test may.
        let step = if *offset == root { 3 } else { 37 };
        for at in range.clone().skip(number % step).step_by(step) {
            bytes[at] ^= [1, 0x80, 0xFF, 8][at % 4];
            try_bytes(&bytes);
            bytes[at] = image[at];
        }
        let other = blocks[(number * 7 + 3) % blocks.len()];
        for word in [other.offset, other.offset + 8, u64::MAX, 1 << 48, 1 << 63] {
            let at = range.start + number % 4 * 8;
            if at + 8 <= range.end && number % 3 == 0 {
                bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
                try_bytes(&bytes);
                bytes[at..at + 8].copy_from_slice(&image[at..at + 8]);
            }
        }
    }
    assert!(found > 100, "{found}");
}

#[test]
fn what_nothing_owns_is_a_note() {
    let mut segment = segment::<[PVec<u64>; 2]>(Domain::PageCache);
    let lost = |tx: &mut Tx<'_, _>| PVec::from_slice(tx, &[1_u64]).map(drop);
    segment.transaction(lost).unwrap();
    let found = agrees(&segment);
    assert_eq!((found.violations.len(), found.unowned.len(), found.has_raw_pointers), (0, 2, false));

    let mut segment: Segment<PVec<PSlice<u64>>, Buffer> = crate::history::segment(Domain::PageCache);
    segment
        .transaction(|tx| -> vista::Result<()> {
            let held = tx.alloc_slice(&[7_u64; 9])?;
            Ok(*tx.root_mut()? = PVec::from_slice(tx, &[held])?)
        })
        .unwrap();
    let found = agrees(&segment);
    assert_eq!((found.violations.len(), found.unowned.len(), found.has_raw_pointers), (0, 1, true));
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Persistent)]
#[repr(C)]
struct Version {
    minor: u64,
    major: u64,
}

#[test]
fn keys_that_are_structs_have_hashes_and_an_order_of_their_own() {
    let mut segment = segment::<[PBTreeMap<Version, PString>; 1]>(Domain::PageCache);
    segment
        .transaction(|tx| -> vista::Result<()> {
            let map = PBTreeMap::new(tx)?;
            for major in 0..100 {
                let text = string(tx, "text")?;
                map.insert(tx, Version { minor: major * 7 % 10, major }, text)?;
            }
            *tx.root_mut()? = [map];
            Ok(())
        })
        .unwrap();
    let found = agrees(&segment);
    assert!(matches!(&found.unordered[..], [Type::Struct { name, .. }] if name == "Version"), "{found:?}");
    assert_eq!((found.violations.len(), found.unowned.len(), found.collection_count), (0, 0, 101));
}

/// A few mentions of its name are more than a description has room for.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
#[persistent(
    name = "AVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongNameVeryLongName"
)]
struct Long {
    text: PString,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Many {
    a: Long,
    b: Long,
    c: Long,
    d: Long,
    e: Long,
    f: Long,
    g: Long,
    h: Long,
    i: Long,
    j: Long,
}

/// The description of what stands in it is cut off.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Cut {
    words: PVec<PString>,
    many: PVec<Many>,
    inside: Many,
}

fn many<R: Persistent>(tx: &mut Tx<'_, R>) -> vista::Result<Many> {
    let a = Long { text: string(tx, "not looked at")? };
    Ok(Many { a, ..Many::zeroed() })
}

#[test]
fn what_is_not_described_is_not_looked_at_and_that_is_told() {
    let mut segment: Segment<Cut, Buffer> = segment(Domain::PageCache);
    segment
        .transaction(|tx| -> vista::Result<()> {
            let (words, inside, other) = (strings(tx, &["a"])?, many(tx)?, many(tx)?);
            let many = PVec::from_slice(tx, &[other])?;
            *tx.root_mut()? = Cut { words, many, inside };
            Ok(())
        })
        .unwrap();
    assert_eq!(segment.check_content().unwrap(), []);
    let found = content_of(segment.medium().unwrap().bytes()).unwrap();
    assert_eq!((found.violations.len(), found.collection_count), (0, 3));
    assert_eq!(found.unknown, [Type::Unknown("Many".to_owned())]);
    assert_eq!(found.unowned.len(), 4, "two strings, and a vector of one: {found:?}");
    // What is described is.
    let text = segment.root().unwrap().words.get(&segment, 0).unwrap().unwrap().offset();
    segment.transaction(|tx| tx.write(header(text), 100_u32)).unwrap();
    let found = content_of(segment.medium().unwrap().bytes()).unwrap();
    assert_eq!(found.violations[0].invariant, "INV-C3");
}

#[test]
fn a_root_that_is_not_described_is_not_looked_at() {
    let segment: Segment<Many, Buffer> = segment(Domain::PageCache);
    let found = content_of(segment.medium().unwrap().bytes()).unwrap();
    assert!(matches!(&found.unknown[..], [Type::Unknown(_)]), "{found:?}");
    assert_eq!((found.violations.len(), found.collection_count, found.unowned.len()), (0, 0, 0));
}

/// A list that owns itself one by one, deeper than anything may.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Link {
    next: PCell<Link>,
}

#[test]
fn values_that_own_each_other_too_deep_are_reported() {
    let mut segment: Segment<Link, Buffer> = segment(Domain::PageCache);
    for count in 1..=65 {
        segment
            .transaction(|tx| -> vista::Result<()> {
                let next = PCell::new(tx, *tx.root())?;
                Ok(*tx.root_mut()? = Link { next })
            })
            .unwrap();
        let found = agrees(&segment);
        assert_eq!(
            found.violations.iter().map(|v| v.invariant).collect::<Vec<_>>(),
            ["INV-C3"][..count / 65]
        );
    }
    // And a circle has two owners.
    segment
        .transaction(|tx| {
            let root = *tx.root();
            root.next.set(tx, root)
        })
        .unwrap();
    assert_eq!(agrees(&segment).violations[0].invariant, "INV-C1");
}
