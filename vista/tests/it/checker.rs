//! The check is seen to catch: for each invariant the mistake it forbids is planted, and is named.

use rio::Domain;
use vista::layout::*;
use vista::{Error, Persistent, Segment};

use crate::forge::Image;
use crate::support::{assert_sound, pages, reopen, sized};

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Root {
    words: [u64; 4],
}

/// Pages of the segment that the mistakes are planted in, counted from its first.
const SLAB: u64 = 0; // the root and two more of its class, 32 bytes
const LARGE: u64 = 1; // three pages
const FREE: u64 = 4; // a free run of two pages
const BEHIND: u64 = 6; // a large block of one page
const FREE_ONE: u64 = 7; // a free run of one page
const LAST: u64 = 8; // a large block of one page
const OTHER: u64 = 9; // a page of blocks of 2048 bytes, one of them taken

fn image() -> Image {
    let (mut segment, tape) = sized::<Root>(Domain::PageCache, pages(30), pages(30));
    segment
        .transaction(|tx| {
            tx.alloc([1u64; 4])?;
            tx.alloc([2u64; 4])?;
            tx.alloc_slice(&[3u8; 3 * 4096])?;
            let two = tx.alloc_slice(&[4u8; 2 * 4096])?;
            tx.alloc_slice(&[5u8; 4096])?;
            let one = tx.alloc_slice(&[6u8; 4096])?;
            tx.alloc_slice(&[7u8; 4096])?;
            tx.alloc_slice(&[8u8; 2048])?;
            tx.free_slice(two)?;
            tx.free_slice(one)
        })
        .unwrap();
    assert_sound(&segment);
    Image(tape.bytes())
}

/// Plants a mistake; the check names this invariant, and nothing panics.
fn check(invariant: &str, plant: impl FnOnce(&mut Image, u64)) {
    let mut image = image();
    let first = image.first_page();
    let kinds: Vec<u8> = (0..11).map(|page| image.descriptor(first + page).kind).collect();
    assert_eq!(kinds, [3, 4, 0, 0, 1, 2, 4, 1, 4, 3, 0], "the pages are as said above");
    plant(&mut image, first);
    let segment: Segment<Root, _> = reopen(&image.0, Domain::PageCache).unwrap();
    let violations = segment.check().unwrap();
    assert!(violations.iter().any(|v| v.invariant == invariant), "{invariant}: {violations:?}");
    for violation in violations {
        assert!(violation.to_string().starts_with(violation.invariant));
    }
    segment.blocks().unwrap();
    segment.stats().unwrap();
}

#[test]
fn a_root_that_is_no_block_is_caught() {
    check("INV-S2", |image, first| image.set_descriptor(first + SLAB, |d| d.bitmap[0] &= !1));
    check("INV-S2", |image, first| image.set_root(|root| root.root_offset = (first + SLAB) * PAGE_LEN + 96));
    check("INV-S2", |image, first| image.set_root(|root| root.root_offset = (first + FREE) * PAGE_LEN));
    check("INV-S2", |image, _| image.set_root(|root| root.root_offset += 16));
}

/// INV-S1, a root whose description fails its check, can only come up while the segment is open: it is not opened.
#[test]
fn a_root_page_that_fails_its_check_is_not_opened() {
    let mut image = image();
    let at = image.meta() as usize + 40;
    image.0[at] ^= 1;
    assert!(matches!(reopen::<Root>(&image.0, Domain::PageCache), Err(Error::Damaged { .. })));
    let buffer = rio::Buffer::from_bytes(&image.0);
    let inspector = vista::inspect::Inspector::open_on(buffer).unwrap();
    assert!(inspector.root().is_err());
    assert!(inspector.check().iter().any(|violation| violation.invariant == "INV-S1"));
}

#[test]
fn a_top_that_is_no_count_of_pages_is_caught() {
    check("INV-H1", |image, _| image.set_top(1000));
    check("INV-H1", |image, _| {
        let at = image.zone_entry_offset(0) + 16;
        image.0[at as usize] ^= 4;
    });
}

#[test]
fn a_descriptor_that_fails_its_check_is_caught() {
    for page in [SLAB, LARGE, FREE, FREE + 1, LAST] {
        check("INV-H2", |image, first| {
            let at = image.descriptor_offset(first + page);
            image.0[at as usize + 8] ^= 1;
        });
    }
    check("INV-H2", |image, first| image.set_descriptor(first + LAST, |d| d.kind = 9));
    check("INV-H2", |image, first| image.set_descriptor(first + SLAB, |d| d.class = 22));
    check("INV-H2", |image, first| image.set_descriptor(first + SLAB, |d| d.reserved = 1));
    check("INV-H2", |image, first| {
        // The descriptor of another page.
        let other = image.descriptor(first + LAST);
        let at = image.descriptor_offset(first + BEHIND);
        image.store(at, other);
    });
    check("INV-H2", |image, first| {
        // No kind, and yet not empty.
        let at = image.descriptor_offset(first + LARGE + 1);
        image.0[at as usize + 12] = 1;
    });
}

#[test]
fn runs_that_do_not_follow_each_other_are_caught() {
    check("INV-H3", |image, first| image.set_descriptor(first + LARGE, |d| d.run_pages = 2));
    check("INV-H3", |image, first| image.set_descriptor(first + LARGE, |d| d.run_pages = 100));
    check("INV-H3", |image, first| image.set_descriptor(first + LAST, |d| d.run_pages = 0));
    check("INV-H3", |image, _| image.set_top(image.top() + 1));
    check("INV-H3", |image, first| image.set_descriptor(first + BEHIND, |d| *d = PageDescriptor::default()));
}

#[test]
fn free_runs_side_by_side_are_caught() {
    check("INV-H4", |image, first| {
        // Two runs of a page each instead of one of two.
        let (next, head) = (image.descriptor(first + FREE_ONE), image.run_head(0));
        assert_eq!(image.word(head), first + FREE_ONE);
        assert_eq!(next.next, 0);
        image.set_word(image.run_head(1), 0);
        image.set_descriptor(first + FREE_ONE, |d| d.next = (first + FREE) as u32);
        image.set_descriptor(first + FREE, |d| {
            (d.run_pages, d.prev, d.next) = (1, (first + FREE_ONE) as u32, (first + FREE + 1) as u32)
        });
        image.set_descriptor(first + FREE + 1, |d| {
            (d.kind, d.run_pages, d.prev) = (PAGE_FREE, 1, (first + FREE) as u32)
        });
    });
    check("INV-H4", |image, first| {
        // A free run right below the top.
        image.set_descriptor(first + OTHER, |d| *d = PageDescriptor::default());
        image.set_word(image.partial_head(21), 0);
        image.set_descriptor(first + LAST, |d| *d = PageDescriptor::default());
        image.set_top(FREE_ONE + 1);
    });
}

#[test]
fn descriptors_inside_of_runs_are_caught() {
    check("INV-H5", |image, first| {
        image.set_descriptor(first + LARGE + 1, |d| (d.kind, d.run_pages) = (PAGE_LARGE, 1))
    });
    check("INV-H5", |image, first| {
        image.set_descriptor(first + FREE + 1, |d| *d = PageDescriptor::default())
    });
    check("INV-H5", |image, first| image.set_descriptor(first + FREE + 1, |d| d.run_pages = 3));
}

#[test]
fn broken_lists_of_pages_with_room_are_caught() {
    check("INV-H6", |image, _| image.set_word(image.partial_head(1), 0));
    check("INV-H6", |image, first| image.set_word(image.partial_head(21), first + SLAB));
    check("INV-H6", |image, first| image.set_word(image.partial_head(0), first + SLAB));
    check("INV-H6", |image, _| image.set_word(image.partial_head(3), 1 << 40));
    check("INV-H6", |image, first| image.set_word(image.partial_head(3), first + LAST));
    check("INV-H6", |image, first| image.set_descriptor(first + SLAB, |d| d.next = (first + SLAB) as u32));
    check("INV-H6", |image, first| image.set_descriptor(first + SLAB, |d| d.prev = (first + OTHER) as u32));
    check("INV-H6", |image, first| image.set_descriptor(first + OTHER, |d| d.bitmap[0] = 3));
    check("INV-H6", |image, _| {
        let at = image.partial_head(1);
        image.0[at as usize + 7] ^= 1;
    });
}

#[test]
fn broken_lists_of_free_runs_are_caught() {
    check("INV-H7", |image, _| image.set_word(image.run_head(0), 0));
    check("INV-H7", |image, first| image.set_word(image.run_head(0), first + FREE));
    check("INV-H7", |image, first| image.set_word(image.run_head(5), first + FREE));
    check("INV-H7", |image, first| image.set_descriptor(first + FREE, |d| d.next = (first + FREE) as u32));
    check("INV-H7", |image, first| image.set_descriptor(first + FREE_ONE, |d| d.prev = 5));
    check("INV-H7", |image, first| image.set_descriptor(first + FREE_ONE, |d| d.next = u32::MAX));
}

#[test]
fn blocks_behind_the_end_of_their_page_are_caught() {
    check("INV-H8", |image, first| image.set_descriptor(first + OTHER, |d| d.bitmap[0] |= 1 << 2));
    check("INV-H8", |image, first| image.set_descriptor(first + SLAB, |d| d.bitmap[3] |= 1 << 63));
}

#[test]
fn every_invariant_of_the_check_has_a_mistake_here() {
    let here = include_str!("checker.rs");
    let check = include_str!("../../src/check.rs");
    let mut names: Vec<&str> = check.match_indices("\"INV-").map(|(at, _)| &check[at..at + 8]).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 10, "{names:?}");
    for name in names {
        assert!(here.contains(name), "{name}");
    }
}
