//! Which keys are asked for, in which order, and what stands under them.
//!
//! Entry number `n` has a key, and beside it stands a key that is missing. In random order keys are scattered over 63
//! bits (some engines have integers with a sign) and lookups draw among them; in sequential order they ascend, and so do
//! lookups. No key is 0, which PMDK's tree takes for a free place. Start at [`Order`].

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// In which order keys come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Order {
    /// Shuffled.
    Random,
    /// Ascending.
    Sequential,
}

impl Order {
    /// What tables call it.
    pub fn title(self) -> &'static str {
        match self {
            Order::Random => "random",
            Order::Sequential => "sequential",
        }
    }

    /// The key of entry number `number`.
    pub fn key(self, number: u64) -> u64 {
        match self {
            Order::Random => scatter(2 * number + 2),
            Order::Sequential => 2 * number + 2,
        }
    }

    /// A key beside it that no entry has.
    pub fn missing(self, number: u64) -> u64 {
        match self {
            Order::Random => scatter(2 * number + 3),
            Order::Sequential => 2 * number + 3,
        }
    }
}

/// Another number for each number below 2^63: every step can be undone, so that no two meet. 0 stays 0.
fn scatter(number: u64) -> u64 {
    const MASK: u64 = u64::MAX >> 1;
    let mut mixed = number & MASK;
    for factor in [0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB] {
        mixed ^= mixed >> 30;
        mixed = mixed.wrapping_mul(factor) & MASK; // Odd: it has an inverse.
    }
    mixed ^ (mixed >> 31)
}

/// The word that stands under a key.
#[inline(always)]
pub fn word(key: u64) -> u64 {
    (key ^ 0x5851_F42D_4C95_7F2D).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}

/// The value under a key: its word, over and over.
#[inline(always)]
pub fn value<const LEN: usize>(key: u64) -> [u8; LEN] {
    let (mut value, bytes) = ([0; LEN], word(key).to_le_bytes());
    value.chunks_mut(8).for_each(|place| place.copy_from_slice(&bytes[..place.len()]));
    value
}

/// The word of a value.
///
/// # Panics
/// If it has fewer than eight bytes.
#[inline(always)]
pub fn word_of(value: &[u8]) -> u64 {
    u64::from_le_bytes(*value.first_chunk().expect("a value of eight bytes or more"))
}

/// What reading these keys gives: the sum of their words.
pub fn sum(keys: impl IntoIterator<Item = u64>) -> u64 {
    keys.into_iter().fold(0, |sum: u64, key| sum.wrapping_add(word(key)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_key_comes_twice_or_is_zero() {
        for order in [Order::Random, Order::Sequential] {
            let keys: HashSet<_> =
                (0..50_000).flat_map(|number| [order.key(number), order.missing(number)]).collect();
            assert_eq!(keys.len(), 100_000);
            assert!(keys.iter().all(|&key| key > 0 && key < 1 << 63));
        }
    }

    #[test]
    fn a_value_is_as_long_as_wanted_and_tells_its_key() {
        assert_eq!(word_of(&value::<8>(7)), word(7));
        assert_eq!(word_of(&value::<100>(7)), word(7));
        assert_ne!(word(7), word(8));
    }
}
