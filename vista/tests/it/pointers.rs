//! No pointer leads where it should not: every one that a file or a mistake could hold is refused, by reads and by
//! writes, inside a transaction and outside.

use vista::layout::{LOG_OFFSET, PAGE_LEN};
use vista::{Error, PPtr, PSlice, Segment};

use crate::support::{DOMAINS, SMALL, pages, sized};
use crate::traced::Traced;

/// What is in the small segment, by its length, log of a page: header, guard, log, guard, metadata, zone.
fn check_refused(segment: &mut Segment<u64, Traced>, offset: u64, count: u64) {
    fn is_refused<T>(result: Result<T, Error>, offset: u64) -> bool {
        match result {
            Err(Error::NullPointer { .. }) => offset == 0,
            Err(Error::BadPointer { offset: found, .. }) => found == offset,
            _ => false,
        }
    }
    let slice = PSlice::<u64>::from_raw_parts(offset, count);
    let bytes = PSlice::<u8>::from_raw_parts(offset, count.saturating_mul(8));
    assert!(is_refused(segment.slice(slice), offset), "{count} words at {offset}");
    assert!(is_refused(segment.slice(bytes), offset) || bytes.is_empty());
    let mut tx = segment.begin().unwrap();
    assert!(is_refused(tx.slice(slice), offset));
    assert!(is_refused(tx.slice_mut(slice), offset), "{count} words at {offset}");
    assert!(is_refused(tx.set_range(offset, count.saturating_mul(8)), offset));
    assert!(is_refused(tx.set_ranges([(offset, count.saturating_mul(8))]), offset));
    if count == 1 {
        let ptr = slice.as_ptr();
        let root = tx.root_ptr();
        assert!(is_refused(tx.get(ptr), offset));
        assert!(is_refused(tx.get_mut(ptr), offset));
        assert!(is_refused(tx.write(ptr, 1), offset));
        assert!(is_refused(tx.replace(ptr, 1), offset));
        assert!(is_refused(tx.get_disjoint_mut((root, ptr)), offset));
    }
    tx.commit().unwrap();
}

#[test]
fn pointers_out_of_the_user_data_are_refused() {
    for domain in DOMAINS {
        let (mut segment, tape) = sized::<u64>(domain, SMALL, 2 * SMALL);
        segment.grow(1).unwrap();
        let len = tape.bytes().len() as u64;
        let before = tape.bytes();
        // Everything in front of the first zone's pages: its table and guard, too.
        let first_page = segment.root_ptr().offset() / PAGE_LEN * PAGE_LEN;
        let mut offsets: Vec<u64> =
            (0..first_page).step_by(8).filter(|o| o % 128 == 0 || o % 4096 > 4000).collect();
        assert!(first_page > LOG_OFFSET + pages(5));
        offsets.extend([first_page - 8, len, len + 8, 1 << 43, 1 << 44, 1 << 63, u64::MAX - 7]);
        for offset in offsets {
            check_refused(&mut segment, offset, 1);
        }
        for (offset, count) in [
            (first_page - 8, 2),
            (first_page, 1 << 20),
            (first_page, u64::MAX),
            (first_page, u64::MAX / 8),
            (first_page, (1 << 61) + 1),
            (len - 8, 2),
            (u64::MAX - 7, u64::MAX),
            (8, u64::MAX),
        ] {
            check_refused(&mut segment, offset, count);
        }
        let after = tape.bytes();
        let changed: Vec<_> = (0..len as usize).filter(|&i| before[i] != after[i]).collect();
        assert!(changed.iter().all(|&i| (LOG_OFFSET..LOG_OFFSET + 24).contains(&(i as u64))), "{changed:?}");
        assert!(segment.check().unwrap().is_empty());
    }
}

#[test]
fn a_range_from_one_zone_into_the_next_is_refused() {
    let (mut segment, _) = sized::<u64>(DOMAINS[0], SMALL, 3 * SMALL);
    segment.grow(1).unwrap();
    // The first zone ends where the medium ended.
    for (offset, count) in [(SMALL - 8, 2), (SMALL, 1), (SMALL - 4096, 1024), (SMALL + 8, 1)] {
        check_refused(&mut segment, offset, count);
    }
    assert!(segment.get(PPtr::<u64>::from_offset(SMALL - 8)).is_ok(), "the last word of the first zone");
}

#[test]
fn misaligned_pointers_are_refused() {
    let (mut segment, _) = sized::<u64>(DOMAINS[0], SMALL, SMALL);
    let root = segment.root_ptr().offset();
    for by in 1..8 {
        let ptr = PPtr::<u64>::from_offset(root + by);
        assert!(matches!(segment.get(ptr), Err(Error::BadPointer { align: 8, len: 8, .. })));
        assert!(segment.get(ptr.cast::<u8>()).is_ok());
        let mut tx = segment.begin().unwrap();
        assert!(matches!(tx.get_mut(ptr), Err(Error::BadPointer { .. })));
        assert!(tx.write(ptr, 0).is_err() && tx.write(ptr.cast::<[u8; 8]>(), [0; 8]).is_ok());
        assert!(tx.get_disjoint_mut((ptr,)).is_err());
    }
}

#[test]
fn foreign_and_double_frees_are_refused() {
    for domain in DOMAINS {
        let (mut segment, _) = sized::<u64>(domain, pages(30), pages(30));
        let mut tx = segment.begin().unwrap();
        let small = tx.alloc(1u64).unwrap();
        let large = tx.alloc([1u64; 1024]).unwrap();
        let mut refused = |offset: u64, len: usize| {
            let result = tx.free_slice(PSlice::<u8>::from_raw_parts(offset, len as u64));
            let is_refused = matches!(result, Err(Error::NotABlock { .. } | Error::DoubleFree { .. }));
            assert!(is_refused, "{len} bytes at {offset}: {result:?}");
        };
        for (block, len) in [(small.offset(), 8), (large.offset(), 8192)] {
            for (by, other) in
                [(1, len), (8, len), (0, 8193), (0, 300), (4096, len), (0, 1 << 40), (0, usize::MAX)]
            {
                refused(block + by, other);
            }
        }
        for offset in (0..pages(30) + 4096).step_by(1024).chain([1, u64::MAX, u64::MAX - 4095, 1 << 44]) {
            if ![small.offset(), large.offset(), tx_root(&small)].contains(&offset) {
                refused(offset, 8192);
            }
        }
        tx.free(small).unwrap();
        tx.free(large).unwrap();
        assert!(matches!(tx.free(small), Err(Error::DoubleFree { .. })));
        assert!(tx.free(large).is_err());
        tx.commit().unwrap();
        let mut tx = segment.begin().unwrap();
        assert!(matches!(tx.free(small), Err(Error::DoubleFree { .. })));
        assert!(tx.free(large).is_err());
        drop(tx);
        assert!(segment.check().unwrap().is_empty());
        assert_eq!(segment.blocks().unwrap().len(), 1);
    }
}

/// The root shares the page of the first small block.
fn tx_root(small: &PPtr<u64>) -> u64 {
    small.offset() / PAGE_LEN * PAGE_LEN
}
