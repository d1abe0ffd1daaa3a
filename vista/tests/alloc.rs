//! A transaction allocates no volatile memory: a program of its own, since it counts what the whole process does.

#![allow(unsafe_code)] // It is an allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use rio::{Buffer, Domain};
use vista::{Error, PPtr, PSlice, Persistent, Segment, Transaction};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting the calls of each thread.
struct Counting;

// SAFETY: it hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are those of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are those of `dealloc`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Root {
    words: [u64; 8],
    blocks: [PPtr<[u64; 8]>; 32],
    slices: [PSlice<u8>; 8],
}

type Tx<'s> = Transaction<'s, Root, Buffer>;

/// Everything that a transaction offers, a log longer than its extent included.
fn work(tx: &mut Tx<'_>) -> Result<(), Error> {
    let word = |tx: &Tx<'_>, i: u64| PPtr::<u64>::from_offset(tx.root_ptr().offset() + 8 * i);
    for i in 0..8 {
        *tx.get_mut(word(tx, i))? += 1;
        tx.write(word(tx, i), i)?;
        tx.replace(word(tx, i), i)?;
    }
    let (a, b) = tx.get_disjoint_mut((word(tx, 0), word(tx, 1)))?;
    std::mem::swap(a, b);
    tx.set_ranges([(word(tx, 2).offset(), 16)])?;
    let savepoint = tx.savepoint()?;
    for i in 0..32 {
        let new = tx.alloc([1; 8])?;
        let old = std::mem::replace(&mut tx.root_mut()?.blocks[i], new);
        if !old.is_null() {
            tx.free(old)?;
        }
    }
    tx.rollback_to(&savepoint)?;
    for i in 0..8 {
        let new = tx.alloc_slice_zeroed(100 << i)?;
        let old = std::mem::replace(&mut tx.root_mut()?.slices[i], new);
        tx.free_slice(old)?;
        tx.slice_mut(new)?.fill(3);
    }
    tx.nested(|tx| {
        let last = tx.root().slices[7];
        tx.slice_mut(last)?.fill(4);
        tx.free_slice(last)?;
        tx.root_mut()?.slices[7] = PSlice::empty();
        Ok(())
    })
}

fn check(domain: Domain) {
    let buffer = Buffer::new(4 << 20, 4 << 20).with_domain(domain);
    let mut segment = Segment::<Root, Buffer>::create_on(buffer, 4096).unwrap();
    let before = COUNT.with(Cell::get);
    for _ in 0..20 {
        segment.transaction(work).unwrap();
        let mut tx = segment.begin().unwrap();
        work(&mut tx).unwrap();
        tx.abort().unwrap();
        let mut tx = segment.begin().unwrap();
        work(&mut tx).unwrap();
        drop(tx);
    }
    assert_eq!(COUNT.with(Cell::get) - before, 0, "{domain}: calls of the allocator");
    assert!(segment.check().unwrap().is_empty());
    assert!(COUNT.with(Cell::get) > before, "the counter counts");
}

#[test]
fn a_transaction_allocates_no_volatile_memory() {
    check(Domain::PageCache);
}

#[test]
fn a_transaction_in_an_ordered_domain_allocates_no_volatile_memory() {
    check(Domain::Adr);
}
