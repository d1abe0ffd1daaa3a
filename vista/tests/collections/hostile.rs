//! Any bytes in headers, links and elements end in `Ok` or `Err`: no panic, no endless loop, no huge allocation.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rio::{Buffer, Domain};
use vista::layout::PAGE_LEN;
use vista::{Block, PBytes, PCell, POption, PSlab, PString, PVec, PVecDeque, Persistent, Segment};

use crate::table::{self, Methods, Tx};

/// Runs every method on an image: each in a transaction that is rolled back, then all of them in one that commits.
fn run<C: Persistent>(methods: &Methods<C>, image: &[u8], domain: Domain) {
    let mut segment = Segment::<C, Buffer>::open_on(Buffer::from_bytes(image).with_domain(domain)).unwrap();
    let it = *segment.root().unwrap();
    let _ = segment.check_content().unwrap();
    for is_last in [false, true] {
        let mut tx = segment.begin().unwrap();
        for (_, read) in &methods.reads {
            let _ = read(&tx, it);
        }
        for (_, write) in &methods.writes {
            let _ = write(&mut tx, it);
            if !is_last {
                drop(tx);
                tx = segment.begin().unwrap();
            }
        }
        let _ = tx.release(it);
        if is_last { tx.commit().unwrap() } else { tx.abort().unwrap() }
    }
    let _ = segment.check_content().unwrap();
}

/// Overwrites every byte of the collection's blocks, and every word of them, with several values.
fn check<C: Persistent>(methods: &Methods<C>, make: impl FnOnce(&mut Tx<'_, C>) -> vista::Result<C>) {
    let medium = Buffer::new(20 * PAGE_LEN, 20 * PAGE_LEN);
    let mut segment = Segment::<C, Buffer>::create_on(medium, PAGE_LEN).unwrap();
    segment.transaction(|tx| -> vista::Result<()> { Ok(*tx.root_mut()? = make(tx)?) }).unwrap();
    assert_eq!(segment.check_content().unwrap(), [], "a sound sample");
    let blocks = segment.blocks().unwrap();
    let root = segment.root_ptr().offset();
    let image = segment.into_medium().unwrap().bytes().to_vec();
    let survive = |what: String, bytes: &[u8]| {
        for domain in [Domain::PageCache, Domain::Adr] {
            let result = catch_unwind(AssertUnwindSafe(|| run(methods, bytes, domain)));
            assert!(result.is_ok(), "{domain}: {what}");
        }
    };
    survive("as it is".to_owned(), &image);
    let mut bytes = image.clone();
    // The root is the handle: what it may lead to is looked at in the words.
    for Block { offset, len } in blocks.iter().filter(|block| block.offset != root) {
        for at in *offset as usize..(offset + len).min(offset + 96) as usize {
            for value in [0, 1, 0x7F, 0x80, 0xFF, image[at] ^ 1, image[at].wrapping_add(1)] {
                bytes[at] = value;
                survive(format!("{value:#x} at {at:#x}, in the block at {offset:#x}"), &bytes);
            }
            bytes[at] = image[at];
        }
    }
    let places = blocks.iter().flat_map(|block| [block.offset, block.offset + 8, block.offset + block.len]);
    let numbers = [0, 1, 2, 3, 4, 7, 8, 100, 1 << 16, 1 << 31, 1 << 32, 1 << 60, 1 << 61, 1 << 62, 1 << 63];
    let words: Vec<u64> = places.chain(numbers).chain(numbers.map(u64::wrapping_neg)).collect();
    for Block { offset, len } in &blocks {
        for at in (*offset as usize..(offset + len).min(offset + 64) as usize).step_by(8) {
            for word in &words {
                bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
                survive(format!("{word:#x} at {at:#x}, in the block at {offset:#x}"), &bytes);
            }
            bytes[at..at + 8].copy_from_slice(&image[at..at + 8]);
        }
    }
    // All words of the first header at once.
    let mut state = 1_u64;
    let Some(header) = blocks.iter().find(|block| block.offset != root) else { return };
    for _ in 0..400 {
        for at in
            (header.offset as usize..(header.offset + header.len).min(header.offset + 56) as usize).step_by(8)
        {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let word = words[(state >> 33) as usize % words.len()];
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        survive(format!("{:x?}", &bytes[header.offset as usize..][..56]), &bytes);
    }
}

fn text<C: Persistent>(tx: &mut Tx<'_, C>, text: &str) -> vista::Result<PString> {
    PString::new(tx, text)
}

#[test]
fn vectors() {
    check::<PVec<PString>>(&table::vec(), |tx| {
        let vec = PVec::with_capacity(tx, 6)?;
        for word in ["one", "two", "three"] {
            let word = text(tx, word)?;
            vec.push(tx, word)?;
        }
        let gone = vec.pop(tx)?;
        tx.release(gone.unwrap())?;
        Ok(vec)
    });
}

#[test]
fn elements_without_bytes() {
    check::<PVec<()>>(&table::vec(), |tx| PVec::from_slice(tx, &[(); 3]));
    check::<PVecDeque<()>>(&table::deque(), |tx| PVecDeque::from_slice(tx, &[(); 3]));
    check::<PSlab<()>>(&table::slab(), |tx| {
        let slab = PSlab::new(tx)?;
        (0..3).try_for_each(|_| slab.insert(tx, ()).map(drop))?;
        Ok(slab)
    });
}

#[test]
fn queues() {
    check::<PVecDeque<PString>>(&table::deque(), |tx| {
        let deque = PVecDeque::with_capacity(tx, 4)?;
        for word in ["one", "two", "three"] {
            let word = text(tx, word)?;
            deque.push_front(tx, word)?; // Round the end of the ring.
        }
        let gone = deque.pop_back(tx)?;
        tx.release(gone.unwrap())?;
        Ok(deque)
    });
}

#[test]
fn slabs() {
    check::<PSlab<PString>>(&table::slab(), |tx| {
        let slab = PSlab::new(tx)?;
        for word in ["one", "two", "three", "four"] {
            let word = text(tx, word)?;
            slab.insert(tx, word)?;
        }
        for id in [2, 0] {
            let gone = slab.remove(tx, id)?;
            tx.release(gone)?;
        }
        Ok(slab)
    });
}

#[test]
fn cells_and_options() {
    check::<PCell<PVec<u8>>>(&table::cell(), |tx| {
        let bytes = PVec::from_slice(tx, b"bytes")?;
        PCell::new(tx, bytes)
    });
    check::<POption<PString>>(&table::option(), |tx| {
        let text = text(tx, "text")?;
        POption::some(tx, text)
    });
}

#[test]
fn strings() {
    check::<PBytes>(&table::bytes(), |tx| PBytes::from_slice(tx, b"bytes"));
    let apart =
        |bytes: PBytes, tx: &mut Tx<'_, PBytes>| bytes.extend_from_slice(tx, &[7; 30]).map(|()| bytes);
    check::<PBytes>(&table::bytes(), |tx| {
        PBytes::from_slice(tx, b"bytes").and_then(|bytes| apart(bytes, tx))
    });
    check::<PString>(&table::string(), |tx| text(tx, "täxt"));
    check::<PString>(&table::string(), |tx| {
        let text = text(tx, "täxt")?;
        text.push_str(tx, "that goes on and on €")?;
        Ok(text)
    });
}
