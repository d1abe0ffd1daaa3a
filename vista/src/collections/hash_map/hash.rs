//! The hash of a key: part of the format, for it says where an entry lies.

use crate::collections::layout::{HASH_FINISH, HASH_KEY};
use crate::seal::fold;

/// Hash of a key's bytes, keyed by the map's seed.
///
/// The step is the folded multiply of wyhash (Wang Yi, 2019). Both of its factors depend on the seed, so that who does
/// not know the seed cannot make one of them zero, which would make the other indifferent.
#[inline(always)]
pub(super) fn hash_of(seed: u64, bytes: &[u8]) -> u64 {
    let twin = (seed.rotate_left(32) ^ HASH_KEY) | 1; // Odd, so that it is a factor whatever the seed.
    let mut sum = seed ^ HASH_FINISH; // Not zero for a seed that is, where keys begin with zeroes as a rule.
    let mut rest = bytes;
    while let Some((pair, behind)) = rest.split_first_chunk::<16>()
        && !behind.is_empty()
    {
        sum = fold(sum ^ word(&pair[..8]), twin ^ word(&pair[8..]));
        rest = behind;
    }
    let (a, b) = tail(rest);
    fold(fold(sum ^ a, twin ^ b) ^ bytes.len() as u64, HASH_FINISH)
}

/// The last bytes, 16 at most, as two words. Bytes may be in both; the length is hashed too, so that no two strings
/// have the same words.
#[inline(always)]
fn tail(bytes: &[u8]) -> (u64, u64) {
    match bytes.len() {
        0 => (0, 0),
        len @ 1..=3 => (word(&[bytes[0], bytes[len / 2], bytes[len - 1]]), 0),
        len @ 4..=8 => (word(&bytes[..4]) | word(&bytes[len - 4..]) << 32, 0),
        len => (word(&bytes[..8]), word(&bytes[len - 8..])),
    }
}

/// Up to eight bytes as a number, the first the lowest.
#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn hashes_of_a_few_keys_stay_what_they_are() {
        let long: Vec<u8> = (0..=255).collect();
        let found = [0, 1, 3, 4, 8, 9, 16, 17, 32, 100, 256].map(|len| hash_of(7, &long[..len]));
        assert_eq!(found, KNOWN, "{found:#x?}");
    }

    /// Worked out by another program, from the text of docs/FORMAT.md.
    const KNOWN: [u64; 11] = [
        0x8cfc_a3ab_e68e_8ac4,
        0x5eb3_f566_94fd_a7c3,
        0x4429_db02_e934_7a83,
        0x9a19_5dea_415f_3a51,
        0xc373_cba2_08ba_03a4,
        0xf471_11a1_4950_1041,
        0x8fa4_b97e_c49c_c085,
        0x863a_eafd_f77f_c7de,
        0xfb59_3053_eb20_68cf,
        0xd239_aad0_a01c_c193,
        0x014d_394d_2cd7_bb85,
    ];

    #[test]
    fn the_length_and_every_bit_count() {
        let mut found = HashSet::new();
        for len in 0..70 {
            let mut bytes = vec![0; len];
            assert!(found.insert(hash_of(0, &bytes)), "{len} zeroes");
            for bit in 0..len * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(found.insert(hash_of(0, &bytes)), "{len} bytes, bit {bit}");
                bytes[bit / 8] = 0;
            }
        }
    }

    /// Numbers in a row, and multiples of powers of two, are spread over tables by their lowest bits, and over tags by
    /// their highest seven, about as chance would.
    #[test]
    fn regular_keys_are_spread() {
        for seed in [0, 1, u64::MAX, HASH_KEY.rotate_left(32)] {
            for shift in [0, 3, 12, 32, 48] {
                let mut groups = [0u32; 1024];
                let mut tags = [0u32; 128];
                for key in 0..8192u64 {
                    let hash = hash_of(seed, &(key << shift).to_le_bytes());
                    groups[hash as usize % 1024] += 1;
                    tags[(hash >> 57) as usize] += 1;
                }
                let most = *groups.iter().max().unwrap();
                assert!(most <= 26, "seed {seed:#x}, shift {shift}: {most} of 8 on average in one group");
                let (least, most) = (*tags.iter().min().unwrap(), *tags.iter().max().unwrap());
                assert!(least >= 30 && most <= 110, "seed {seed:#x}, shift {shift}: {least} to {most} of 64");
            }
        }
    }
}
