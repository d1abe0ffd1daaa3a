//! What tests and fuzz targets do alike with bytes that may be anything: open them, look at all, work with them. It
//! ends in `Ok` or `Err`, whatever they are.
//!
//! Start at [`any_bytes`] and, for small inputs, [`patched`].

use rio::{Buffer, Domain};
use vista::inspect::Inspector;
use vista::layout::PAGE_LEN;
use vista::{Error, PPtr, PSlice, Persistent, Segment};

use crate::forge::Image;
use crate::traced::Traced;

/// A root with something of everything.
#[derive(Clone, Copy, Debug, PartialEq, Persistent)]
#[repr(C)]
pub(crate) struct Root {
    words: [u64; 8],
    list: PPtr<[u64; 8]>,
    bytes: PSlice<u8>,
    blocks: [PPtr<[u64; 8]>; 5],
}

const DOMAINS: [Domain; 2] = [Domain::PageCache, Domain::Adr];

/// A small segment with blocks, free runs and lists; with a transaction in flight whose log goes on in an extent,
/// or without.
pub(crate) fn sample(domain: Domain, is_in_flight: bool) -> Vec<u8> {
    let (medium, tape) = Traced::new(18 * PAGE_LEN, 18 * PAGE_LEN, domain);
    let mut segment = Segment::<Root, Traced>::create_on(medium, PAGE_LEN).expect("a segment is created");
    let mut tx = segment.begin().expect("a transaction begins");
    let mut fill = || {
        let list = tx.alloc([1; 8])?;
        let bytes = tx.alloc_slice(&[2; 5000])?;
        let mut blocks = [PPtr::null(); 5];
        for block in &mut blocks {
            *block = tx.alloc([3; 8])?;
        }
        let gap = tx.alloc_slice(&[4u8; 4096])?;
        tx.alloc_slice(&[5u8; 2048])?;
        *tx.root_mut()? = Root { words: [6; 8], list, bytes, blocks };
        tx.free_slice(gap)?;
        tx.free(blocks[2])
    };
    fill().expect("there is room");
    tx.commit().expect("it commits");
    if is_in_flight {
        let mut tx = segment.begin().expect("a transaction begins");
        let mut change = || {
            let root = *tx.root();
            tx.root_mut()?.words[3] = 7;
            tx.savepoint()?;
            tx.free(root.list)?;
            tx.alloc([8u64; 8])?;
            tx.slice_mut(root.bytes)?.fill(9);
            tx.alloc([9u64; 4])?;
            tx.write(root.blocks[0], [10; 8])
        };
        change().expect("there is room");
        let image = tape.bytes();
        drop(tx);
        return image;
    }
    tape.bytes()
}

/// Opens the bytes in every domain and does what can be done. Only a panic, a hang or a wrong access is a failure.
pub(crate) fn any_bytes(bytes: &[u8]) {
    for domain in DOMAINS {
        let buffer = || Buffer::from_bytes(bytes).with_domain(domain);
        if let Ok(mut inspector) = Inspector::open_on(buffer()) {
            let _ = (inspector.root(), inspector.log(), inspector.recover());
            let _ = (inspector.check(), inspector.blocks(), inspector.stats());
        }
        let _ = work(buffer());
    }
}

fn work(medium: Buffer) -> Result<(), Error> {
    let mut segment = Segment::<Root, Buffer>::open_on(medium)?;
    let (_, _, blocks) = (segment.check()?, segment.stats()?, segment.blocks()?);
    let mut sum = 0u64;
    for block in &blocks {
        let bytes = segment.slice(PSlice::<u8>::from_raw_parts(block.offset, block.len))?;
        sum += bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    }
    let root = *segment.root()?;
    let _ = segment.slice(root.bytes).map(|bytes| bytes.len() as u64 + sum);
    for is_commit in [false, true] {
        let mut tx = segment.begin()?;
        any(tx.root_mut().map(|root| root.words[0] ^= 1));
        for ptr in root.blocks.into_iter().chain([root.list]) {
            any(tx.get_mut(ptr).map(|words| words[1] ^= 1));
        }
        let savepoint = tx.savepoint();
        any(tx.slice_mut(root.bytes).map(|bytes| bytes.fill(1)));
        for size in [1, 60, 300, 2048, 2049, 9000] {
            let _ = tx
                .alloc_slice(&vec![7u8; size])
                .and_then(|slice| tx.slice_mut(slice).map(|bytes| bytes.fill(8)));
        }
        any(tx.alloc([1u64; 8]).map(|_| ()));
        for ptr in root.blocks {
            any(tx.free(ptr));
        }
        if let Ok(savepoint) = savepoint {
            any(tx.rollback_to(&savepoint));
        }
        any(tx.free(root.list));
        any(tx.free_slice(root.bytes));
        for block in blocks.iter().take(20) {
            any(tx.free_slice(PSlice::<u8>::from_raw_parts(block.offset, block.len)));
        }
        for _ in 0..30 {
            any(tx.alloc([2u64; 8]).map(|_| ()));
        }
        if is_commit { tx.commit()? } else { tx.abort()? }
    }
    let _ = (segment.check()?, segment.blocks()?);
    segment.close()
}

/// Any result will do.
fn any(_: Result<(), Error>) {}

/// A small input as changes to a sample: one byte of choices, then words of eight bytes behind offsets of three.
pub(crate) fn patched(input: &[u8]) -> Vec<u8> {
    if input.len() as u64 >= 8 * PAGE_LEN {
        return input.to_vec();
    }
    let Some((&choices, patches)) = input.split_first() else { return Vec::new() };
    let domain = DOMAINS[usize::from(choices & 1)];
    let mut image = Image(sample(domain, choices & 2 != 0));
    for patch in patches.chunks(11) {
        let [a, b, c, ref word @ ..] = *patch else { break };
        let room = image.0.len().saturating_sub(word.len());
        let offset = u32::from_le_bytes([a, b, c, 0]) as usize % room.max(1);
        image.0[offset..offset + word.len()].copy_from_slice(word);
    }
    if choices & 4 != 0 {
        reseal(&mut image);
    }
    image.0
}

/// Makes all checks fit but those of the log.
fn reseal(image: &mut Image) {
    let header = image.header();
    image.set_header(header);
    let is_near = |offset: u64, len: u64| offset.checked_add(len).is_some_and(|end| end <= 18 * PAGE_LEN);
    if !is_near(header.meta_offset, 3 * PAGE_LEN) {
        return;
    }
    image.set_root(|_| {});
    for word in 0..65 {
        let offset = header.meta_offset + PAGE_LEN + 8 * word;
        let value = image.word(offset);
        image.set_word(offset, value);
    }
    let zone = image.zone(0);
    let top = image.top();
    image.set_zone(0, zone.offset, zone.page_count, top);
    if zone.page_count < 1000 && zone.offset < 1 << 40 && zone.offset.is_multiple_of(PAGE_LEN) {
        let first = image.first_page();
        for page in first..first + zone.page_count {
            if is_near(image.descriptor_offset(page), 64) {
                image.set_descriptor(page, |_| {});
            }
        }
    }
}
