//! Segments in memory, in each domain; what they hold, as plain bytes.

use rio::{Buffer, Domain, Medium};
use vista::layout::PAGE_LEN;
use vista::{Block, Error, PSlice, Persistent, Segment};

use crate::traced::{Tape, Traced};

/// Both ways through the library: without fences, and with records fenced in batches.
pub(crate) const DOMAINS: [Domain; 2] = [Domain::PageCache, Domain::Adr];

/// Bytes of a small segment: headers, a log of one page, metadata, one zone.
pub(crate) const SMALL: u64 = pages(20);

pub(crate) const fn pages(count: u64) -> u64 {
    count * PAGE_LEN
}

/// A new segment on memory that does not grow, with a log of one page.
pub(crate) fn small<R: Persistent>(domain: Domain) -> (Segment<R, Traced>, Tape) {
    sized(domain, SMALL, SMALL)
}

/// The same, of a length and a capacity.
pub(crate) fn sized<R: Persistent>(domain: Domain, len: u64, capacity: u64) -> (Segment<R, Traced>, Tape) {
    let (medium, tape) = Traced::new(len, capacity, domain);
    (Segment::create_on(medium, PAGE_LEN).unwrap(), tape)
}

/// Opens an image.
pub(crate) fn reopen<R: Persistent>(image: &[u8], domain: Domain) -> Result<Segment<R, Buffer>, Error> {
    Segment::open_on(Buffer::from_bytes(image).with_domain(domain))
}

/// All blocks, by offset, with their bytes: what a segment holds, whatever it means.
pub(crate) type Content = Vec<(u64, Vec<u8>)>;

pub(crate) fn content<R: Persistent, M: Medium>(segment: &Segment<R, M>) -> Content {
    assert_sound(segment);
    let bytes =
        |block: Block| segment.slice(PSlice::<u8>::from_raw_parts(block.offset, block.len)).unwrap().to_vec();
    segment.blocks().unwrap().into_iter().map(|block| (block.offset, bytes(block))).collect()
}

pub(crate) fn assert_sound<R: Persistent, M: Medium>(segment: &Segment<R, M>) {
    let violations = segment.check().unwrap();
    assert!(violations.is_empty(), "{violations:#?}");
    let blocks = segment.blocks().unwrap();
    for pair in blocks.windows(2) {
        assert!(pair[0].offset + pair[0].len <= pair[1].offset, "{pair:?} overlap");
    }
}

/// A small generator, for what is sampled by seed (Steele, Lea and Flood, 2014).
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
