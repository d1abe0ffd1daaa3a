//! The formulas of docs/FORMAT.md, written anew from the document, hold for the bytes of a real file.

use std::fs;

use rio::{Domain, DomainChoice};
use vista::layout::{CLASSES, LOG_OFFSET, META_PAGES, PAGE_LEN, SEGMENT_OFFSET};
use vista::{Error, PPtr, PSlice, SegmentOptions};

use crate::document::Format;

const DOCUMENT: &str = include_str!("../../../docs/FORMAT.md");
const RECORDS_START: u64 = 16408;

/// The keys, as the document tells them.
struct Keys {
    a: u64,
    b: u64,
    c: u64,
}

fn keys() -> Keys {
    let format = Format::of(DOCUMENT);
    let key = |name: &str| {
        let text = format.constants[name].strip_prefix("0x").expect("a key is written in hexadecimal");
        u64::from_str_radix(text, 16).unwrap()
    };
    Keys { a: key("seal::KEY_A"), b: key("seal::KEY_B"), c: key("seal::KEY_C") }
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

impl Keys {
    fn seal(&self, value: u64, salt: u64) -> u64 {
        let hash = (value ^ salt ^ self.a).wrapping_mul(self.a);
        value | hash & !((1 << 42) - 1)
    }

    fn running(&self, pairs: impl IntoIterator<Item = (u64, u64)>) -> u64 {
        pairs.into_iter().fold(self.c, |h, (a, b)| fold(h ^ a, b ^ self.a))
    }

    fn digest(&self, payload: &[u8]) -> u64 {
        if payload.len() == 8 {
            return word(payload, 0);
        }
        let whole_len = if payload.len() < 256 { 0 } else { payload.len() / 64 * 64 };
        let (lines, rest) = payload.split_at(whole_len);
        let rest = rest.chunks(16).map(|chunk| {
            let mut padded = [0; 16];
            padded[..chunk.len()].copy_from_slice(chunk);
            (word(&padded, 0), word(&padded, 8))
        });
        let mut lanes = [(0u64, 0u64); 8];
        for (i, word) in lines.chunks(8).map(|bytes| word(bytes, 0)).enumerate() {
            let (sum, sumsum) = &mut lanes[i % 8];
            *sum = sum.wrapping_add(word);
            *sumsum = sumsum.wrapping_add(*sum);
        }
        self.running(rest.chain(lanes.into_iter().take(if lines.is_empty() { 0 } else { 8 })))
    }

    fn record(&self, sequence: u64, place: u64, payload: &[u8], target: u64) -> u64 {
        let number = (sequence ^ self.a).wrapping_mul(self.c);
        fold(self.digest(payload) ^ number, target.wrapping_add(place) ^ self.b)
    }

    fn zone(&self, offset: u64, page_count: u64, index: u64) -> u64 {
        fold(offset ^ self.a, page_count ^ self.b).wrapping_add(fold(index ^ self.c, self.a))
    }
}

fn word(bytes: &[u8], offset: u64) -> u64 {
    u64::from_le_bytes(bytes[offset as usize..][..8].try_into().unwrap())
}

fn half(bytes: &[u8], offset: u64) -> u32 {
    u32::from_le_bytes(bytes[offset as usize..][..4].try_into().unwrap())
}

/// Every record from the tail to the first, oldest first, their checks compared: target word and payload.
fn records<'a>(keys: &Keys, bytes: &'a [u8]) -> Vec<(u64, &'a [u8])> {
    let (state, sequence) = (word(bytes, LOG_OFFSET), word(bytes, LOG_OFFSET + 8));
    let value = state & ((1 << 42) - 1);
    assert_eq!(state, keys.seal(value, sequence));
    let mut tail = value >> 1 << 3;
    let mut records = Vec::new();
    while tail != RECORDS_START {
        let (target, check) = (word(bytes, tail - 16), word(bytes, tail - 8));
        let len = target & ((1 << 18) - 1);
        tail = tail - 16 - len.next_multiple_of(8);
        let payload = &bytes[tail as usize..][..len as usize];
        assert_eq!(check, keys.record(sequence, tail, payload, target), "{len} bytes at {tail}");
        records.push((target, payload));
    }
    records.reverse();
    records
}

/// What the document's tables lead to in the bytes of a segment whose transaction is in flight.
fn check(bytes: &[u8], tail_of_batch: Option<u64>, images: &[(u64, &[u8])]) {
    let keys = keys();
    for base in [0, 4096] {
        assert_eq!(half(bytes, base + 124), crc32fast::hash(&bytes[base as usize..][..124]));
    }
    let header = SEGMENT_OFFSET;
    assert_eq!(half(bytes, header + 56), crc32fast::hash(&bytes[header as usize..][..56]));
    let (log_len, meta) = (word(bytes, header + 24), word(bytes, header + 32));
    assert_eq!(meta, LOG_OFFSET + log_len + PAGE_LEN);

    // The log, from its tail.
    let (state, sequence) = (word(bytes, LOG_OFFSET), word(bytes, LOG_OFFSET + 8));
    assert_eq!(state & 1 == 1, tail_of_batch.is_some());
    if let Some(tail) = tail_of_batch {
        assert_eq!(word(bytes, LOG_OFFSET + 16), keys.seal(tail / 8, sequence));
    }
    let records = records(&keys, bytes);
    let found: Vec<_> = records.iter().map(|(target, payload)| (target >> 20, *payload)).collect();
    assert_eq!(found, images);
    assert!(records.iter().all(|(target, _)| target >> 18 & 3 == 0), "all of them are images");

    // The metadata.
    let mut root = bytes[meta as usize..][..4096].to_vec();
    let crc = half(&root, 28);
    root[28..32].fill(0);
    assert_eq!(crc, crc32fast::hash(&root));
    let text = &root[32..][..half(&root, 24) as usize];
    assert_eq!(word(&root, 16), vista::fingerprint_of(std::str::from_utf8(text).unwrap()));
    let heap = meta + PAGE_LEN;
    for offset in (heap..heap + 520).step_by(8) {
        let value = word(bytes, offset) & ((1 << 42) - 1);
        assert_eq!(word(bytes, offset), keys.seal(value, offset), "word of the heap page at {offset}");
    }
    let zone = meta + 2 * PAGE_LEN;
    let (start, page_count, top) = (word(bytes, zone), word(bytes, zone + 8), word(bytes, zone + 16));
    assert_eq!(start, meta + META_PAGES * PAGE_LEN);
    assert_eq!(word(bytes, zone + 24), keys.zone(start, page_count, 0));
    let used = top & ((1 << 42) - 1);
    assert_eq!(top, keys.seal(used, zone + 16));

    // The page of the root.
    let pages = start + (64 * page_count).next_multiple_of(PAGE_LEN) + PAGE_LEN;
    let root_offset = word(&root, 0);
    let index = (root_offset - pages) / PAGE_LEN;
    assert!(index < used);
    let descriptor = &bytes[(start + index * 64) as usize..][..64];
    let words: Vec<_> = (0..7).map(|i| word(descriptor, i * 8)).collect();
    let page = root_offset / PAGE_LEN;
    let pairs = [(words[0], words[1]), (words[2], words[3]), (words[4], words[5]), (words[6], page)];
    assert_eq!(word(descriptor, 56), keys.running(pairs));
    let (kind, class) = (descriptor[0], usize::from(descriptor[1]));
    assert_eq!(
        (kind, u64::from(CLASSES[class])),
        (3, 32),
        "a slab of the smallest class that holds 24 bytes"
    );
    assert_eq!(words[3] & 1, 1, "the root is block 0, and allocated");
}

#[test]
fn the_formulas_hold_for_a_transaction_in_flight() {
    for domain in [Domain::PageCache, Domain::Eadr, Domain::Adr] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("segment");
        let options = SegmentOptions::new().size(1 << 20).domain(DomainChoice::Forced(domain));
        let mut segment = options.create::<[u64; 3]>(&path).unwrap();
        let root = segment.root_ptr();
        segment
            .transaction(|tx| {
                *tx.root_mut()? = [1, 2, 3];
                Ok::<_, Error>(())
            })
            .unwrap();
        let mut tx = segment.begin().unwrap();
        assert_eq!(tx.number(), 4, "one made the root, one might have filled it, one was made above");
        *tx.get_mut(root.at(1).unwrap()).unwrap() = 20;
        *tx.get_mut(PPtr::<[u8; 5]>::from_offset(root.offset() + 17)).unwrap() = [9; 5];
        *tx.root_mut().unwrap() = [10, 20, 30];
        // The last of the three was a batch of its own, and begins behind records of 24 and 24 bytes.
        let batch = (domain != Domain::PageCache).then_some(RECORDS_START + 24 + 24);
        let mut whole = [0; 24];
        whole[..8].copy_from_slice(&1u64.to_le_bytes());
        whole[8..16].copy_from_slice(&20u64.to_le_bytes());
        whole[16] = 3;
        whole[17..22].copy_from_slice(&[9; 5]);
        let images: [(u64, &[u8]); 3] = [
            (root.offset() + 8, &2u64.to_le_bytes()),
            (root.offset() + 17, &[0; 5]),
            (root.offset(), &whole),
        ];
        check(&fs::read(&path).unwrap(), batch, &images);
        tx.commit().unwrap();
        assert_eq!(word(&fs::read(&path).unwrap(), LOG_OFFSET), vista::layout::LOG_EMPTY);
    }
}

#[test]
fn the_digest_is_that_of_the_document_at_every_length() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("segment");
    let options = SegmentOptions::new().size(4 << 20).log_len(1 << 20);
    let mut segment = options.create::<PSlice<u8>>(&path).unwrap();
    let lens: Vec<u64> = (1..80).chain(250..330).chain([1000, 4096, 70_001]).collect();
    segment
        .transaction(|tx| {
            let bytes: Vec<u8> =
                (0..80_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            *tx.root_mut()? = tx.alloc_slice(&bytes)?;
            Ok::<_, Error>(())
        })
        .unwrap();
    let start = segment.root().unwrap().offset();
    let mut tx = segment.begin().unwrap();
    for (i, &len) in lens.iter().enumerate() {
        tx.set_range(start + i as u64, len).unwrap(); // At every alignment too.
    }
    let bytes = fs::read(&path).unwrap();
    let found: Vec<_> = records(&keys(), &bytes).iter().map(|(_, payload)| payload.len() as u64).collect();
    assert_eq!(found, lens);
}
