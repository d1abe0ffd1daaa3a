//! Maps of several types, and what stands for a number in each: as a key, in the order of the numbers, and as a value.

use std::ops::Bound;

use vista::{Key, PBTreeMap, PString, PVec, Persistent, Reader, Result, Writer};

/// The view of a key.
type View<T> = <<T as Kind>::Key as Key>::View;

/// A kind of map.
pub(crate) trait Kind {
    type Key: Key;
    type Value: Persistent;

    /// With the key of a number.
    fn with_key<R>(number: u64, then: impl FnOnce(&View<Self>) -> R) -> R;

    /// A value of its own.
    fn value(tx: &mut impl Writer, number: u64) -> Self::Value;

    fn number_of_key(on: &impl Reader, key: &Self::Key) -> u64;
    fn number_of_value(on: &impl Reader, value: &Self::Value) -> u64;

    /// Adds one to a value, if that can be done without a transaction.
    fn change(value: &mut Self::Value) -> bool;

    fn with_bounds<R>(
        a: Bound<u64>,
        b: Bound<u64>,
        then: impl FnOnce((Bound<&View<Self>>, Bound<&View<Self>>)) -> R,
    ) -> R {
        let number = |bound: Bound<u64>| match bound {
            Bound::Included(n) | Bound::Excluded(n) => n,
            Bound::Unbounded => 0,
        };
        Self::with_key(number(a), |a_key| {
            Self::with_key(number(b), |b_key| then((a.map(|_| a_key), b.map(|_| b_key))))
        })
    }

    /// Inserts numbers as keys and values, by `extend`.
    fn extend(tx: &mut impl Writer, map: PBTreeMap<Self::Key, Self::Value>, numbers: &[u64]) -> Result<()>;

    fn free_key(tx: &mut impl Writer, key: Self::Key) {
        key.release(tx, Default::default()).unwrap();
    }

    fn free_value(tx: &mut impl Writer, value: Self::Value) {
        value.release(tx, Default::default()).unwrap();
    }

    fn free_map(tx: &mut impl Writer, map: PBTreeMap<Self::Key, Self::Value>) {
        map.release(tx, Default::default()).unwrap();
    }
}

/// Plain numbers: 32 entries per node.
pub(crate) enum Numbers {}

impl Kind for Numbers {
    type Key = u64;
    type Value = u64;

    fn with_key<R>(number: u64, then: impl FnOnce(&u64) -> R) -> R {
        then(&number)
    }

    fn value(_: &mut impl Writer, number: u64) -> u64 {
        number
    }

    fn number_of_key(_: &impl Reader, key: &u64) -> u64 {
        *key
    }

    fn number_of_value(_: &impl Reader, value: &u64) -> u64 {
        *value
    }

    fn change(value: &mut u64) -> bool {
        *value += 1;
        true
    }

    fn extend(tx: &mut impl Writer, map: PBTreeMap<u64, u64>, numbers: &[u64]) -> Result<()> {
        map.extend(tx, numbers.iter().map(|&number| (number, number)))
    }
}

/// Keys so long that a node has the least number of entries.
pub(crate) enum Wide {}

fn wide(number: u64) -> [u64; 80] {
    [number; 80]
}

impl Kind for Wide {
    type Key = [u64; 80];
    type Value = u32;

    fn with_key<R>(number: u64, then: impl FnOnce(&[u64; 80]) -> R) -> R {
        then(&wide(number))
    }

    fn value(_: &mut impl Writer, number: u64) -> u32 {
        number as u32
    }

    fn number_of_key(_: &impl Reader, key: &[u64; 80]) -> u64 {
        assert_eq!(key[79], key[0]);
        key[0]
    }

    fn number_of_value(_: &impl Reader, value: &u32) -> u64 {
        u64::from(*value)
    }

    fn change(value: &mut u32) -> bool {
        *value += 1;
        true
    }

    fn extend(tx: &mut impl Writer, map: PBTreeMap<[u64; 80], u32>, numbers: &[u64]) -> Result<()> {
        map.extend(tx, numbers.iter().map(|&number| (wide(number), number as u32)))
    }
}

/// Strings, which the map owns, and vectors.
pub(crate) enum Words {}

fn word(number: u64) -> String {
    format!("{number:06}")
}

impl Kind for Words {
    type Key = PString;
    type Value = PVec<u32>;

    fn with_key<R>(number: u64, then: impl FnOnce(&str) -> R) -> R {
        then(&word(number))
    }

    fn value(tx: &mut impl Writer, number: u64) -> PVec<u32> {
        PVec::from_slice(tx, &[number as u32, 7]).unwrap()
    }

    fn number_of_key(on: &impl Reader, key: &PString) -> u64 {
        key.as_str(on).unwrap().parse().unwrap()
    }

    fn number_of_value(on: &impl Reader, value: &PVec<u32>) -> u64 {
        let [number, 7] = *value.as_slice(on).unwrap() else { panic!("no vector of this test") };
        u64::from(number)
    }

    fn change(_: &mut PVec<u32>) -> bool {
        false
    }

    fn extend(tx: &mut impl Writer, map: PBTreeMap<PString, PVec<u32>>, numbers: &[u64]) -> Result<()> {
        let mut entries = Vec::new();
        for &number in numbers {
            entries.push((word(number), Self::value(tx, number)));
        }
        map.extend(tx, entries)
    }
}
