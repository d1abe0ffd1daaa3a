//! What every collection of the comparison can do, and std's, which are the bound.
//!
//! A call does many operations, so that its loop is compiled for each collection and nothing stands between two of them.
//! `batch` is the number of operations in a transaction; who has no transactions does not look at it. Start at
//! [`Subject`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hint::black_box;

use serde::{Deserialize, Serialize};

use super::keys::{value, word_of};

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// An entry with a new key; of a sequence, one more at the end.
    Insert,
    /// A lookup of a key that is there; of a sequence, by position.
    Hit,
    /// A lookup of a key that is not.
    Miss,
    /// An entry is taken away; of a sequence the last one, of a queue the first.
    Remove,
    /// A walk over the entries, per entry.
    Iterate,
    /// [`RANGE_LEN`] entries from a key on, in their order.
    Range,
}

/// Entries of a range.
pub const RANGE_LEN: usize = 100;

impl Operation {
    /// What tables call it.
    pub fn title(self) -> &'static str {
        match self {
            Operation::Insert => "insert",
            Operation::Hit => "lookup, hit",
            Operation::Miss => "lookup, miss",
            Operation::Remove => "remove",
            Operation::Iterate => "iterate, per entry",
            Operation::Range => "range of 100",
        }
    }

    /// Whether it changes nothing.
    pub fn is_read(self) -> bool {
        !matches!(self, Operation::Insert | Operation::Remove)
    }
}

/// A collection on trial. What fails is a panic: a comparison has no use for it.
pub trait Subject {
    /// Whether it can do this.
    fn offers(&self, operation: Operation) -> bool;

    /// Adds an entry for each of these keys, of which it has none.
    fn insert(&mut self, keys: &[u64], batch: usize);

    /// Looks up each of these keys; of a sequence, these positions. The sum of the words that were found.
    fn get(&mut self, keys: &[u64], batch: usize) -> u64;

    /// Takes away the entry of each of these keys, all of which it has; of a sequence, as many entries.
    fn remove(&mut self, keys: &[u64], batch: usize);

    /// Walks over the first `limit` entries, in whatever order it has: their number, and the sum of their words.
    fn iterate(&mut self, limit: u64) -> (u64, u64);

    /// Walks over [`RANGE_LEN`] entries from each of these keys or positions on; the sum of their words.
    ///
    /// # Panics
    /// If it does not [offer](Subject::offers) that.
    fn range(&mut self, starts: &[u64]) -> u64;
}

/// Number and sum of words.
pub(crate) fn walk(words: impl Iterator<Item = u64>, limit: u64) -> (u64, u64) {
    words.take(limit as usize).fold((0, 0), |(count, sum), word| (count + 1, sum.wrapping_add(word)))
}

/// The sum of words.
pub(crate) fn sum(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0, u64::wrapping_add)
}

/// Both of std's maps.
macro_rules! map {
    ($map:ident, $has_range:literal, $range:expr) => {
        impl<const LEN: usize> Subject for $map<u64, [u8; LEN]> {
            fn offers(&self, operation: Operation) -> bool {
                $has_range || operation != Operation::Range
            }

            fn insert(&mut self, keys: &[u64], _: usize) {
                for &key in keys {
                    $map::insert(self, key, value(key));
                }
            }

            fn get(&mut self, keys: &[u64], _: usize) -> u64 {
                sum(keys.iter().filter_map(|key| $map::get(self, key)).map(|value| word_of(value)))
            }

            fn remove(&mut self, keys: &[u64], _: usize) {
                for key in keys {
                    black_box($map::remove(self, key));
                }
            }

            fn iterate(&mut self, limit: u64) -> (u64, u64) {
                walk(self.iter().map(|(_, value)| word_of(value)), limit)
            }

            fn range(&mut self, starts: &[u64]) -> u64 {
                let range: fn(&Self, u64) -> u64 = $range;
                sum(starts.iter().map(|&start| range(self, start)))
            }
        }
    };
}

map!(HashMap, false, |_, _| unreachable!("a hash map has no order"));
map!(BTreeMap, true, |map, start| {
    sum(map.range(start..).take(RANGE_LEN).map(|(_, value)| word_of(value)))
});

impl<const LEN: usize> Subject for Vec<[u8; LEN]> {
    fn offers(&self, operation: Operation) -> bool {
        operation != Operation::Miss
    }

    fn insert(&mut self, keys: &[u64], _: usize) {
        keys.iter().for_each(|&key| self.push(black_box(value(key))));
    }

    fn get(&mut self, positions: &[u64], _: usize) -> u64 {
        sum(positions.iter().map(|&position| word_of(&self[position as usize])))
    }

    fn remove(&mut self, keys: &[u64], _: usize) {
        for _ in keys {
            black_box(self.pop());
        }
    }

    fn iterate(&mut self, limit: u64) -> (u64, u64) {
        walk(self.iter().map(|value| word_of(value)), limit)
    }

    fn range(&mut self, starts: &[u64]) -> u64 {
        let range = |start: u64| &self[start as usize..start as usize + RANGE_LEN];
        sum(starts.iter().map(|&start| sum(range(start).iter().map(|value| word_of(value)))))
    }
}

impl<const LEN: usize> Subject for VecDeque<[u8; LEN]> {
    fn offers(&self, operation: Operation) -> bool {
        !matches!(operation, Operation::Miss | Operation::Range)
    }

    fn insert(&mut self, keys: &[u64], _: usize) {
        keys.iter().for_each(|&key| self.push_back(black_box(value(key))));
    }

    fn get(&mut self, positions: &[u64], _: usize) -> u64 {
        sum(positions.iter().map(|&position| word_of(&self[position as usize])))
    }

    fn remove(&mut self, keys: &[u64], _: usize) {
        for _ in keys {
            black_box(self.pop_front());
        }
    }

    fn iterate(&mut self, limit: u64) -> (u64, u64) {
        walk(self.iter().map(|value| word_of(value)), limit)
    }

    fn range(&mut self, _: &[u64]) -> u64 {
        unreachable!("a queue is not asked for a range")
    }
}
