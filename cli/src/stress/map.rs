//! Two maps of the same content, a B-tree and a hash map; what transactions change in them; and a model.
//!
//! Their keys and values are strings, so that each change allocates and frees. Start at [`Change::at`].

use std::collections::BTreeMap;

use vista::{PBTreeMap, PBytes, PHashMap, PVec, Persistent, Segment, Transaction, field};
use workloads::draw;

use crate::demo::crash::Subject;
use crate::demo::worker::{Structure, Work};
use crate::failure::Failure;

/// Length of a new segment; it grows if it has to.
pub(crate) const SEGMENT_LEN: u64 = 8 << 20;
/// Number of different keys.
const KEYS: u64 = 3000;

/// The root.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
pub(crate) struct Maps {
    /// Number of transactions.
    count: u64,
    tree: PBTreeMap<PBytes, PBytes>,
    hash: PHashMap<u64, PVec<u8>>,
}

impl Maps {
    /// Makes empty maps.
    pub(crate) fn create_in(tx: &mut Transaction<'_, Maps>) -> vista::Result<()> {
        let maps = Maps { count: 0, tree: PBTreeMap::new(tx)?, hash: PHashMap::new(tx)? };
        *tx.root_mut()? = maps;
        Ok(())
    }

    fn set(self, tx: &mut Transaction<'_, Maps>, number: u64, value: &[u8]) -> vista::Result<()> {
        let in_tree = PBytes::from_slice(tx, value)?;
        if let Some(old) = self.tree.insert(tx, key(number), in_tree)? {
            tx.release(old)?;
        }
        let in_hash = PVec::from_slice(tx, value)?;
        if let Some(old) = self.hash.insert(tx, number, in_hash)? {
            tx.release(old)?;
        }
        Ok(())
    }

    fn remove(self, tx: &mut Transaction<'_, Maps>, number: u64) -> vista::Result<()> {
        if let Some(old) = self.tree.remove(tx, key(number))? {
            tx.release(old)?;
        }
        if let Some(old) = self.hash.remove(tx, number)? {
            tx.release(old)?;
        }
        Ok(())
    }
}

/// The key with this number in the tree: of one length or another, and not in the order of the numbers.
fn key(number: u64) -> Vec<u8> {
    let width = 2 + number as usize % 40;
    format!("{:0width$}", number.reverse_bits() >> 48).into_bytes()
}

/// What one transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    number: u64,
    /// `None` removes the key.
    value: Option<Vec<u8>>,
}

impl Change {
    fn at(seed: u64, index: u64) -> Change {
        let bits = draw(seed, index);
        let number = bits % KEYS;
        let len = (bits >> 32) as usize % 60;
        let is_removed = (bits >> 48).is_multiple_of(3);
        let value = (!is_removed).then(|| index.to_le_bytes().into_iter().cycle().take(len).collect());
        Change { number, value }
    }
}

/// The child's side.
pub(crate) struct Changes {
    maps: Maps,
    seed: u64,
}

impl Work for Changes {
    type Root = Maps;

    fn find(segment: &Segment<Maps>, seed: u64) -> Result<(Self, u64), Failure> {
        let maps = *segment.root()?;
        Ok((Changes { maps, seed }, maps.count))
    }

    fn transact(&self, tx: &mut Transaction<'_, Maps>, index: u64) -> vista::Result<()> {
        let Change { number, value } = Change::at(self.seed, index);
        match value {
            Some(value) => self.maps.set(tx, number, &value)?,
            None => self.maps.remove(tx, number)?,
        }
        let count = field!(tx.root_ptr(), Maps, count);
        tx.write(count, index + 1)
    }

    fn sweep(&self, tx: &mut Transaction<'_, Maps>) -> vista::Result<()> {
        (0..KEYS).try_for_each(|number| self.maps.remove(tx, number))
    }
}

/// The parent's side: what has to be there.
pub(crate) struct Model {
    seed: u64,
    count: u64,
    entries: BTreeMap<u64, Vec<u8>>,
}

impl Model {
    pub(crate) fn new(seed: u64) -> Model {
        Model { seed, count: 0, entries: BTreeMap::new() }
    }

    fn advance_to(&mut self, count: u64) {
        for index in self.count..count {
            let Change { number, value } = Change::at(self.seed, index);
            match value {
                Some(value) => drop(self.entries.insert(number, value)),
                None => drop(self.entries.remove(&number)),
            }
        }
        self.count = count;
    }

    fn compare_entries(&self, segment: &Segment<Maps>) -> vista::Result<Result<(), String>> {
        let maps = segment.root()?;
        let count = self.entries.len();
        for (name, found) in [("tree", maps.tree.len(segment)?), ("hash map", maps.hash.len(segment)?)] {
            if found != count {
                return Ok(Err(format!("{name}: found {found} entries, expected {count}")));
            }
        }
        for (number, expected) in &self.entries {
            let in_tree = maps.tree.get(segment, key(*number))?;
            let in_tree = in_tree.map(|value| value.as_slice(segment)).transpose()?;
            let in_hash = maps.hash.get(segment, *number)?;
            let in_hash = in_hash.map(|value| value.as_slice(segment)).transpose()?;
            for (name, found) in [("tree", in_tree), ("hash map", in_hash)] {
                if found != Some(expected.as_slice()) {
                    return Ok(Err(format!("{name}: key {number}: found {found:?}, expected {expected:?}")));
                }
            }
        }
        // As many as in the model, so there are no others; but an iterator has to say so too.
        let mut before: Option<&[u8]> = None;
        let mut walked = 0;
        for entry in maps.tree.iter(segment)? {
            let key = entry?.0.as_slice(segment)?;
            if before.is_some_and(|before| before >= key) {
                return Ok(Err(format!("tree: {key:?} stands behind {before:?}")));
            }
            before = Some(key);
            walked += 1;
        }
        let in_hash = maps.hash.iter(segment)?.count();
        match walked == count && in_hash == count {
            true => Ok(Ok(())),
            false => Ok(Err(format!("iterators: found {walked} and {in_hash} entries, expected {count}"))),
        }
    }
}

impl Subject for Model {
    type Root = Maps;
    const STRUCTURE: Structure = Structure::Map;

    fn count(&self) -> u64 {
        self.count
    }

    fn compare(&mut self, segment: &Segment<Maps>) -> Result<u64, String> {
        let count = segment.root().map_err(|error| error.to_string())?.count;
        if count < self.count {
            return Err(format!("found {count} transactions, expected at least {}", self.count));
        }
        self.advance_to(count);
        self.compare_entries(segment).map_err(|error| error.to_string())??;
        let violations = segment.check_content().map_err(|error| error.to_string())?;
        match violations.first() {
            None => Ok(count),
            Some(first) => Err(format!("{first} ({} in all)", violations.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use vista::SegmentOptions;

    const SEED: u64 = 3;

    #[test]
    fn every_number_has_a_key_of_its_own() {
        let keys: BTreeSet<_> = (0..KEYS).map(key).collect();
        assert_eq!(keys.len() as u64, KEYS);
    }

    /// Maps after some transactions; the last of them as `last` makes it.
    fn maps(last: impl FnOnce(&mut Transaction<'_, Maps>, &Changes)) -> Segment<Maps> {
        let mut segment = SegmentOptions::new().size(SEGMENT_LEN).anonymous::<Maps>().unwrap();
        segment.transaction(Maps::create_in).unwrap();
        let (changes, _) = Changes::find(&segment, SEED).unwrap();
        for index in 0..499 {
            segment.transaction(|tx| changes.transact(tx, index)).unwrap();
        }
        let mut tx = segment.begin().unwrap();
        last(&mut tx, &changes);
        tx.commit().unwrap();
        segment
    }

    #[test]
    fn maps_equal_their_model() {
        let segment = maps(|tx, changes| changes.transact(tx, 499).unwrap());
        assert_eq!(Model::new(SEED).compare(&segment), Ok(500));
        assert!(Model::new(SEED + 1).compare(&segment).is_err());
    }

    #[test]
    fn what_a_transaction_does_by_half_is_caught() {
        let segment = maps(|tx, _| {
            let count = field!(tx.root_ptr(), Maps, count);
            tx.write(count, 500).unwrap();
        });
        let found = Model::new(SEED).compare(&segment).unwrap_err();
        assert!(found.contains("found"), "{found}");

        let segment = maps(|tx, changes| {
            let (number, _) = changes.maps.hash.iter(tx).unwrap().next().map(|(n, v)| (*n, *v)).unwrap();
            assert!(changes.maps.hash.remove(tx, number).unwrap().is_some());
        });
        let found = Model::new(SEED).compare(&segment).unwrap_err();
        assert!(found.contains("hash map: found"), "{found}");

        let segment = maps(|tx, _| assert!(!PBytes::from_slice(tx, b"lost").unwrap().is_null()));
        let found = Model::new(SEED).compare(&segment).unwrap_err();
        assert!(found.contains("INV-C2"), "{found}");
    }
}
