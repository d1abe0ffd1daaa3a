//! Words and records that check themselves: what a stray store or a bit flip did to them is noticed.
//!
//! The mixing step is the folded multiply of wyhash (Wang Yi, 2019). It detects accidents. It does not stop a forger, and need not:
//! no content of a file can break memory safety.

use crate::layout::{PageDescriptor, ZoneEntry};

const KEY_A: u64 = 0x9E37_79B9_7F4A_7C15; // 2^64 over the golden ratio, odd
const KEY_B: u64 = 0xD1B5_4A32_D192_ED03; // two odd constants without pattern (Steele & Vigna, 2021)
const KEY_C: u64 = 0xABC9_8388_FB8F_AC03;

/// Bits of the value in a sealed word; the others are its seal.
pub(crate) const VALUE_BITS: u32 = 42;
const VALUE_MASK: u64 = (1 << VALUE_BITS) - 1;

#[inline(always)]
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// A word that holds `value` (42 bits) and a 22-bit seal over it and `salt`.
#[inline(always)]
pub(crate) fn seal(value: u64, salt: u64) -> u64 {
    seal_by(value, salt ^ KEY_A)
}

/// The same, where the salt was mixed with its key before.
#[inline(always)]
fn seal_by(value: u64, salt: u64) -> u64 {
    debug_assert!(value <= VALUE_MASK, "a sealed value has 42 bits");
    let hash = (value ^ salt).wrapping_mul(KEY_A);
    value | hash & !VALUE_MASK
}

/// The value of a sealed word, if the seal fits.
#[inline(always)]
pub(crate) fn unseal(word: u64, salt: u64) -> Option<u64> {
    let value = word & VALUE_MASK;
    (seal(value, salt) == word).then_some(value)
}

/// The digest of a payload of one word: the word. It is mixed when the record's check is made of it.
#[inline(always)]
pub(crate) fn digest_word(word: u64) -> u64 {
    word
}

/// Running digest of a longer payload, fed two words at a time.
#[derive(Clone, Copy)]
pub(crate) struct Digest(u64);

impl Digest {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Digest(KEY_C)
    }

    #[inline(always)]
    pub(crate) fn pair(&mut self, a: u64, b: u64) {
        self.0 = fold(self.0 ^ a, b ^ KEY_A);
    }

    #[inline(always)]
    pub(crate) fn sum(self) -> u64 {
        self.0
    }
}

/// Payloads from this length on have a digest of another kind.
pub(crate) const LONG_LEN: usize = 256;
const LANES: usize = 8;

/// Digest of a long payload: in each of eight lanes of words a sum and a sum of sums, as in Fletcher's checksum
/// (Fletcher, 1982; ZFS uses the like), which processors add up faster than memory delivers; mixed at the end.
pub(crate) struct LongDigest {
    lanes: Lanes,
    rest: Digest,
}

#[derive(Clone, Copy)]
pub(crate) struct Lanes {
    pub(crate) sums: [u64; LANES],
    pub(crate) sums_of_sums: [u64; LANES],
}

impl Lanes {
    #[inline(always)]
    pub(crate) fn add(&mut self, words: [u64; LANES]) {
        for (lane, word) in words.into_iter().enumerate() {
            self.sums[lane] = self.sums[lane].wrapping_add(word);
            self.sums_of_sums[lane] = self.sums_of_sums[lane].wrapping_add(self.sums[lane]);
        }
    }
}

impl LongDigest {
    pub(crate) fn new() -> Self {
        LongDigest { lanes: Lanes { sums: [0; LANES], sums_of_sums: [0; LANES] }, rest: Digest::new() }
    }

    /// The lanes, to add whole lines of 64 bytes.
    #[inline(always)]
    pub(crate) fn lanes(&self) -> Lanes {
        self.lanes
    }

    /// Takes the lanes back.
    #[inline(always)]
    pub(crate) fn set_lanes(&mut self, lanes: Lanes) {
        self.lanes = lanes;
    }

    /// Takes what is behind the last whole line.
    pub(crate) fn add_rest(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks(16) {
            let mut words = [0; 16];
            words[..pair.len()].copy_from_slice(pair);
            let [a, b]: [u64; 2] = bytemuck::cast(words);
            self.rest.pair(a, b);
        }
    }

    pub(crate) fn sum(self) -> u64 {
        let mut digest = self.rest;
        for lane in 0..LANES {
            digest.pair(self.lanes.sums[lane], self.lanes.sums_of_sums[lane]);
        }
        digest.sum()
    }
}

/// The digest of a long payload in one piece.
pub(crate) fn digest_long(bytes: &[u8]) -> u64 {
    let (lines, rest) = bytes.as_chunks::<64>();
    let mut digest = LongDigest::new();
    let mut lanes = digest.lanes();
    for line in lines {
        lanes.add(bytemuck::cast(*line));
    }
    digest.set_lanes(lanes);
    digest.add_rest(rest);
    digest.sum()
}

/// What sets the checks of one transaction's records apart from those of all others.
#[inline(always)]
pub(crate) fn record_seed(sequence: u64) -> u64 {
    sequence ^ KEY_A
}

/// The check of a record: binds its payload to its target, its place and its transaction.
///
/// Records are checked one by one: a check that built on the one before would have to wait until the bytes logged
/// before have arrived from memory. The digest of a payload of one word is the word, so that the number is spread over all
/// bits before the two meet: with `digest ^ number`, word 5 under number 5 would be worth as much as word 4 under number 4, and
/// a torn record of the one with the footer of the other would pass for whole.
#[inline(always)]
pub(crate) fn record_check(seed: u64, place: u64, target: u64, digest: u64) -> u64 {
    let seed = if planted!(CheckWithoutNumber) { KEY_A } else { seed };
    fold(digest ^ seed.wrapping_mul(KEY_C), target.wrapping_add(place) ^ KEY_B)
}

/// The state of a log that ends at `tail`: the tail over 4, its lowest bit telling of an ordered domain, sealed with the
/// number of the transaction, of which the [seed](record_seed) is made.
#[inline(always)]
pub(crate) fn tail_state(tail: u64, is_ordered: bool, seed: u64) -> u64 {
    seal_by(tail >> 2 | u64::from(is_ordered), seed)
}

/// Tail and order that a log's state speaks of, if the seal fits.
pub(crate) fn split_state(state: u64, sequence: u64) -> Option<(u64, bool)> {
    unseal(state, sequence).map(|value| ((value & !1) << 2, value & 1 == 1))
}

/// The check of a page descriptor.
#[inline(always)]
pub(crate) fn descriptor_check(descriptor: &PageDescriptor, page: u64) -> u64 {
    let bytes: &[u8; 64] = bytemuck::cast_ref(descriptor);
    let word = |i: usize| u64::from_le_bytes(bytes[i * 8..i * 8 + 8].try_into().expect("eight bytes"));
    let mut digest = Digest::new();
    digest.pair(word(0), word(1));
    digest.pair(word(2), word(3));
    digest.pair(word(4), word(5));
    digest.pair(word(6), page);
    digest.sum()
}

/// The check of a zone's place in the directory.
pub(crate) fn zone_check(entry: &ZoneEntry, index: u64) -> u64 {
    fold(entry.offset ^ KEY_A, entry.page_count ^ KEY_B).wrapping_add(fold(index ^ KEY_C, KEY_A))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_word_notices_every_single_flip_and_the_wrong_salt() {
        for value in [0, 1, 4096, VALUE_MASK] {
            let word = seal(value, 77);
            assert_eq!(unseal(word, 77), Some(value));
            assert_eq!(unseal(word, 78), None);
            for bit in 0..64 {
                assert_eq!(unseal(word ^ (1 << bit), 77), None, "value {value}, bit {bit}");
            }
        }
        assert_eq!(unseal(0, 0), None, "zeroed memory is no sealed word");
    }

    #[test]
    fn a_record_check_depends_on_all_it_binds() {
        let of = |sequence, place, target, words: [u64; 2]| {
            let mut digest = Digest::new();
            digest.pair(words[0], words[1]);
            record_check(record_seed(sequence), place, target, digest.sum())
        };
        let base = of(1, 2, 3, [4, 5]);
        for other in [of(0, 2, 3, [4, 5]), of(1, 0, 3, [4, 5]), of(1, 2, 0, [4, 5]), of(1, 2, 3, [5, 4])] {
            assert_ne!(base, other);
        }
    }

    /// A record whose payload arrived, over the footer of an earlier transaction's: small numbers and small payloads, as
    /// counters have them, must not make up for each other.
    #[test]
    fn the_footer_of_another_transaction_does_not_fit_whatever_the_payload() {
        let of =
            |sequence, word| record_check(record_seed(sequence), 16456, 0xB_0100_0008, digest_word(word));
        let mut checks = std::collections::HashSet::new();
        for sequence in 0..256 {
            for word in 0..256 {
                assert!(checks.insert(of(sequence, word)), "number {sequence}, payload {word}");
            }
        }
    }
}
