//! The checks of the format, written a second time, so that a test can forge what a segment would hold, and so that
//! a change of the formulas without notice fails here.

use bytemuck::{AnyBitPattern, NoUninit, Zeroable};
use vista::layout::*;

const KEY_A: u64 = 0x9E37_79B9_7F4A_7C15;
const KEY_B: u64 = 0xD1B5_4A32_D192_ED03;
const KEY_C: u64 = 0xABC9_8388_FB8F_AC03;
const VALUE_MASK: u64 = (1 << 42) - 1;

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

pub(crate) fn seal(value: u64, salt: u64) -> u64 {
    let value = value & VALUE_MASK;
    value | (value ^ salt ^ KEY_A).wrapping_mul(KEY_A) & !VALUE_MASK
}

fn digest(words: &[u64]) -> u64 {
    words.chunks(2).fold(KEY_C, |sum, pair| fold(sum ^ pair[0], pair.get(1).unwrap_or(&0) ^ KEY_A))
}

/// The digest of a payload shorter than 256 bytes.
fn payload_digest(payload: &[u8]) -> u64 {
    let mut padded = payload.to_vec();
    padded.resize(payload.len().next_multiple_of(8), 0);
    let words: Vec<u64> = padded.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
    if payload.len() == 8 { words[0] } else { digest(&words) }
}

pub(crate) fn descriptor_check(descriptor: &PageDescriptor, page: u64) -> u64 {
    let mut words: [u64; 8] = bytemuck::cast(*descriptor);
    words[7] = page;
    digest(&words)
}

pub(crate) fn zone_check(offset: u64, page_count: u64, index: u64) -> u64 {
    fold(offset ^ KEY_A, page_count ^ KEY_B).wrapping_add(fold(index ^ KEY_C, KEY_A))
}

/// An image of a segment, to be changed in its own words.
#[derive(Clone)]
pub(crate) struct Image(pub(crate) Vec<u8>);

impl Image {
    pub(crate) fn load<T: AnyBitPattern>(&self, offset: u64) -> T {
        bytemuck::pod_read_unaligned(&self.0[offset as usize..offset as usize + size_of::<T>()])
    }

    pub(crate) fn store<T: NoUninit>(&mut self, offset: u64, value: T) {
        self.0[offset as usize..offset as usize + size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&value));
    }

    pub(crate) fn header(&self) -> SegmentHeader {
        self.load(SEGMENT_OFFSET)
    }

    /// Stores a header with the checksum that it needs.
    pub(crate) fn set_header(&mut self, mut header: SegmentHeader) {
        header.crc = crc32fast::hash(&bytemuck::bytes_of(&header)[..56]);
        self.store(SEGMENT_OFFSET, header);
    }

    pub(crate) fn meta(&self) -> u64 {
        self.header().meta_offset
    }

    pub(crate) fn set_root(&mut self, change: impl FnOnce(&mut RootPage)) {
        let mut root: RootPage = self.load(self.meta());
        change(&mut root);
        root.crc = 0;
        root.crc = crc32fast::hash(bytemuck::bytes_of(&root));
        self.store(self.meta(), root);
    }

    /// Offset of the head of a list of pages with room, of a class.
    pub(crate) fn partial_head(&self, class: u64) -> u64 {
        self.meta() + PAGE_LEN + 8 + 8 * class
    }

    /// Offset of the head of a list of free runs.
    pub(crate) fn run_head(&self, list: u64) -> u64 {
        self.meta() + PAGE_LEN + 8 + 8 * 32 + 8 * list
    }

    pub(crate) fn set_word(&mut self, offset: u64, value: u64) {
        self.store(offset, seal(value, offset));
    }

    pub(crate) fn word(&self, offset: u64) -> u64 {
        self.load::<u64>(offset) & VALUE_MASK
    }

    pub(crate) fn zone_entry_offset(&self, index: u64) -> u64 {
        self.meta() + 2 * PAGE_LEN + 32 * index
    }

    pub(crate) fn zone(&self, index: u64) -> ZoneEntry {
        self.load(self.zone_entry_offset(index))
    }

    pub(crate) fn set_zone(&mut self, index: u64, offset: u64, page_count: u64, top: u64) {
        let at = self.zone_entry_offset(index);
        let check = zone_check(offset, page_count, index);
        self.store(at, ZoneEntry { offset, page_count, top: seal(top, at + 16), check });
    }

    pub(crate) fn set_top(&mut self, top: u64) {
        self.set_word(self.zone_entry_offset(0) + 16, top);
    }

    pub(crate) fn top(&self) -> u64 {
        self.word(self.zone_entry_offset(0) + 16)
    }

    /// Number of the first page of the first zone.
    pub(crate) fn first_page(&self) -> u64 {
        let zone = self.zone(0);
        (zone.offset + (zone.page_count * DESCRIPTOR_LEN).next_multiple_of(PAGE_LEN) + PAGE_LEN) / PAGE_LEN
    }

    pub(crate) fn descriptor_offset(&self, page: u64) -> u64 {
        self.zone(0).offset + (page - self.first_page()) * DESCRIPTOR_LEN
    }

    pub(crate) fn descriptor(&self, page: u64) -> PageDescriptor {
        self.load(self.descriptor_offset(page))
    }

    /// Changes a descriptor, and its check with it.
    pub(crate) fn set_descriptor(&mut self, page: u64, change: impl FnOnce(&mut PageDescriptor)) {
        let mut descriptor = self.descriptor(page);
        change(&mut descriptor);
        if descriptor != PageDescriptor::zeroed() {
            descriptor.check = descriptor_check(&descriptor, page);
        }
        self.store(self.descriptor_offset(page), descriptor);
    }
}

/// Writes a log, record by record.
pub(crate) struct LogWriter<'i> {
    image: &'i mut Image,
    sequence: u64,
    pub(crate) tail: u64,
}

impl<'i> LogWriter<'i> {
    pub(crate) fn new(image: &'i mut Image) -> Self {
        let sequence: u64 = image.load(LOG_OFFSET + 8);
        LogWriter { image, sequence, tail: LOG_OFFSET + LOG_RECORDS }
    }

    /// Appends a record; its payload is shorter than 256 bytes.
    pub(crate) fn record(&mut self, kind: u64, target: u64, payload: &[u8]) -> &mut Self {
        let word = target << RECORD_LOW_BITS | kind << RECORD_LEN_BITS | payload.len() as u64;
        self.raw_record(word, payload)
    }

    pub(crate) fn raw_record(&mut self, target: u64, payload: &[u8]) -> &mut Self {
        let place = self.tail;
        self.image.0[place as usize..place as usize + payload.len()].copy_from_slice(payload);
        self.tail += payload.len().next_multiple_of(8) as u64;
        let number = (self.sequence ^ KEY_A).wrapping_mul(KEY_C);
        let check = fold(payload_digest(payload) ^ number, target.wrapping_add(place) ^ KEY_B);
        self.image.store(self.tail, RecordFooter { target, check });
        self.tail += size_of::<RecordFooter>() as u64;
        self
    }

    /// Goes on in an extent elsewhere.
    pub(crate) fn link(&mut self, extent: u64) -> &mut Self {
        let before = self.tail;
        self.tail = extent;
        self.record(KIND_LINK, extent, &before.to_le_bytes())
    }

    pub(crate) fn publish(&mut self) {
        self.publish_at(self.tail, false);
    }

    pub(crate) fn publish_at(&mut self, tail: u64, is_ordered: bool) {
        self.image.store(LOG_OFFSET, seal(tail >> 2 | u64::from(is_ordered), self.sequence));
    }

    /// In an ordered domain: up to where the log is fenced.
    pub(crate) fn set_batch(&mut self, tail: u64) -> &mut Self {
        self.image.store(LOG_OFFSET + 16, seal(tail >> 3, self.sequence));
        self
    }
}
