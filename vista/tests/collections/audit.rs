//! `check_content` reports what does not hold, by the number of the invariant: mistakes that are planted one by one.

use rio::{Buffer, Domain};
use vista::collections::layout::{BytesHeader, DequeHeader, OCCUPIED, SlabHeader, VecHeader};
use vista::{
    PBytes, PCell, POption, PPtr, PSlab, PString, PVec, PVecDeque, Persistent, Segment, Transaction,
};

use crate::described::agrees;
use crate::history::segment;

type Tx<'s, R> = Transaction<'s, R, Buffer>;

/// The invariants that do not hold in what `make` makes, after `break_it` broke it.
fn broken<R: Persistent>(
    make: impl FnOnce(&mut Tx<'_, R>) -> vista::Result<R>,
    break_it: impl FnOnce(&mut Tx<'_, R>, R) -> vista::Result<()>,
) -> Vec<&'static str> {
    let mut segment: Segment<R, Buffer> = segment(Domain::PageCache);
    segment.transaction(|tx| -> vista::Result<()> { Ok(*tx.root_mut()? = make(tx)?) }).unwrap();
    assert_eq!(segment.check_content().unwrap(), [], "before it is broken");
    segment.transaction(|tx| break_it(tx, *tx.root())).unwrap();
    agrees(&segment);
    let mut numbers: Vec<_> =
        segment.check_content().unwrap().into_iter().map(|violation| violation.invariant).collect();
    numbers.dedup();
    numbers
}

fn header<H>(offset: u64) -> PPtr<H> {
    PPtr::from_offset(offset)
}

#[test]
fn a_block_with_two_owners_or_of_another_size_is_reported() {
    let twice = broken::<[PVec<u64>; 2]>(
        |tx| Ok([PVec::from_slice(tx, &[1])?, PVec::null()]),
        |tx, [one, _]| Ok(tx.root_mut()?[1] = one),
    );
    assert_eq!(twice, ["INV-C1"]);
    let array_twice = broken::<[PVec<u64>; 2]>(
        |tx| Ok([PVec::from_slice(tx, &[1])?, PVec::new(tx)?]),
        |tx, [one, two]| {
            let same = *tx.get(header::<VecHeader>(one.offset()))?;
            tx.write(header(two.offset()), same)
        },
    );
    assert_eq!(array_twice, ["INV-C1"]);
    let longer = broken::<PVec<u64>>(
        |tx| PVec::from_slice(tx, &[1; 100]),
        |tx, vec| Ok(tx.get_mut(header::<VecHeader>(vec.offset()))?.capacity = 1000),
    );
    assert_eq!(longer, ["INV-C1"]);
    let freed = broken::<PCell<PString>>(
        |tx| {
            let text = PString::new(tx, "text")?;
            PCell::new(tx, text)
        },
        |tx, cell| {
            let text = *cell.get(tx)?;
            tx.release(text)
        },
    );
    assert_eq!(freed, ["INV-C1"]);
}

#[test]
fn a_block_without_an_owner_is_reported() {
    let lost = broken::<POption<PVec<u64>>>(
        |tx| {
            let vec = PVec::new(tx)?;
            POption::some(tx, vec)
        },
        |tx, option| option.take(tx).map(drop),
    );
    assert_eq!(lost, ["INV-C2"]);
    // Where there are raw pointers, nobody knows.
    let pointed_to = broken::<PCell<PPtr<u64>>>(
        |tx| PCell::new(tx, PPtr::null()),
        |tx, cell| {
            let block = tx.alloc(7)?;
            cell.set(tx, block)
        },
    );
    assert!(pointed_to.is_empty());
}

#[test]
fn a_header_that_cannot_be_read_is_reported() {
    let vec = broken::<PVec<u64>>(
        |tx| PVec::from_slice(tx, &[1]),
        |tx, vec| Ok(tx.get_mut(header::<VecHeader>(vec.offset()))?.len = 2),
    );
    assert_eq!(vec, ["INV-C3"]);
    let data = broken::<PVec<u64>>(
        |tx| PVec::from_slice(tx, &[1]),
        |tx, vec| Ok(tx.get_mut(header::<VecHeader>(vec.offset()))?.data += 4),
    );
    assert_eq!(data, ["INV-C3"]);
    let deque = broken::<PVecDeque<u64>>(
        |tx| PVecDeque::from_slice(tx, &[1, 2, 3]),
        |tx, deque| Ok(tx.get_mut(header::<DequeHeader>(deque.offset()))?.capacity = 3),
    );
    assert_eq!(deque, ["INV-C3"]);
    let slab = broken::<PSlab<u64>>(
        |tx| PSlab::with_capacity(tx, 4),
        |tx, slab| Ok(tx.get_mut(header::<SlabHeader>(slab.offset()))?.used = 5),
    );
    assert_eq!(slab, ["INV-C3"]);
    let bytes = broken::<PBytes>(
        |tx| PBytes::from_slice(tx, &[1]),
        |tx, bytes| Ok(tx.get_mut(header::<BytesHeader>(bytes.offset()))?.len = 17),
    );
    assert_eq!(bytes, ["INV-C3"]);
    let text = broken::<PString>(
        |tx| PString::new(tx, "text"),
        |tx, text| Ok(text.into_bytes().as_mut_slice(tx)?[1] = 0xFF),
    );
    assert_eq!(text, ["INV-C3"]);
    let option = broken::<POption<u64>>(
        |tx| POption::none(tx),
        |tx, option| tx.write(header(option.offset() + 8), 2_u64),
    );
    assert_eq!(option, ["INV-C3"]);
}

/// Five slots of eight, of which 1 and 3 are free.
fn slab(tx: &mut Tx<'_, PSlab<u64>>) -> vista::Result<PSlab<u64>> {
    let slab = PSlab::with_capacity(tx, 8)?;
    for value in 0..5 {
        slab.insert(tx, value)?;
    }
    slab.remove(tx, 1)?;
    slab.remove(tx, 3)?;
    Ok(slab)
}

fn broken_slab(change: impl FnOnce(&mut SlabHeader)) -> Vec<&'static str> {
    broken::<PSlab<u64>>(slab, |tx, slab| Ok(change(tx.get_mut(header(slab.offset()))?)))
}

#[test]
fn a_slab_that_miscounts_is_reported() {
    assert_eq!(broken_slab(|header| header.len = 4), ["INV-C5", "INV-C6"]);
    // A slot is taken for one that was never used: its value is lost.
    assert_eq!(broken_slab(|header| header.used = 4), ["INV-C5", "INV-C6"]);
}

#[test]
fn a_list_of_free_slots_that_is_not_whole_is_reported() {
    assert_eq!(broken_slab(|header| header.free_head = 0), ["INV-C6"]);
    assert_eq!(broken_slab(|header| header.free_head = 2), ["INV-C6"]);
    assert_eq!(broken_slab(|header| header.free_head = 6), ["INV-C6"]);
    let relinked = |id: u64, link: u64| {
        broken::<PSlab<u64>>(slab, |tx, slab| {
            let links = tx.get(header::<SlabHeader>(slab.offset()))?.links;
            tx.write(header(links + 8 * id), link)
        })
    };
    assert_eq!(relinked(1, 4), ["INV-C6"], "a circle");
    assert_eq!(relinked(1, 1), ["INV-C6"], "into a value");
    assert_eq!(relinked(3, 0), ["INV-C6"], "cut off");
    assert_eq!(relinked(3, OCCUPIED), ["INV-C5", "INV-C6"], "counted twice");
}
