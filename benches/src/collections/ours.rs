//! Vista's collections on trial: each is the root of a segment of its own, which grows as they do.
//!
//! `batch` operations make a transaction; reads need none. Start at [`Ours`] and [`Handle`].

use rio::Medium;
use vista::{PBTreeMap, PHashMap, PPtr, PVec, PVecDeque, Persistent, Reader, Result, Segment, Writer};

use super::keys::{value, word_of};
use super::subject::{Operation, RANGE_LEN, Subject, sum, walk};

/// Length of the log's first extent: that of vista's default in a segment of 64 MiB.
pub const LOG_LEN: u64 = 1 << 20;

/// A collection whose values have `LEN` bytes.
pub trait Handle<const LEN: usize>: Persistent {
    /// Whether it can do this.
    fn offers(operation: Operation) -> bool;

    /// As the collection's `or_new`.
    ///
    /// # Errors
    /// Vista's, as of all that follow.
    fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self>;

    /// Adds the entry of a key.
    ///
    /// # Errors
    /// Vista's.
    fn add(self, tx: &mut impl Writer, key: u64) -> Result<()>;

    /// Takes an entry away.
    ///
    /// # Errors
    /// Vista's.
    fn take(self, tx: &mut impl Writer, key: u64) -> Result<()>;

    /// The word under a key, or at a position.
    ///
    /// # Errors
    /// Vista's.
    fn find(self, on: &impl Reader, key: u64) -> Result<Option<u64>>;

    /// Number of the first entries, at most `limit`, and the sum of their words.
    ///
    /// # Errors
    /// Vista's.
    fn walk(self, on: &impl Reader, limit: u64) -> Result<(u64, u64)>;

    /// The sum of the words from a key or position on.
    ///
    /// # Errors
    /// Vista's.
    fn range(self, on: &impl Reader, start: u64) -> Result<u64>;
}

/// The collection, in its segment.
pub struct Ours<C: Persistent, M: Medium, const LEN: usize> {
    segment: Segment<C, M>,
}

const FAULTLESS: &str = "a transaction without fault";
const SOUND: &str = "a sound segment";

impl<C: Handle<LEN>, M: Medium, const LEN: usize> Ours<C, M, LEN> {
    /// An empty one, on a zeroed medium.
    ///
    /// # Panics
    /// On vista's errors, as in all that follows.
    pub fn new(medium: M) -> Self {
        let mut segment = Segment::<C, M>::create_on(medium, LOG_LEN).expect("a new segment");
        segment.transaction(|tx| C::or_new(tx, tx.root_ptr())).expect(FAULTLESS);
        Ours { segment }
    }

    fn root(&self) -> C {
        *self.segment.root().expect(SOUND)
    }
}

impl<C: Handle<LEN>, M: Medium, const LEN: usize> Subject for Ours<C, M, LEN> {
    fn offers(&self, operation: Operation) -> bool {
        C::offers(operation)
    }

    fn insert(&mut self, keys: &[u64], batch: usize) {
        let root = self.root();
        for keys in keys.chunks(batch) {
            self.segment
                .transaction(|tx| keys.iter().try_for_each(|&key| root.add(tx, key)))
                .expect(FAULTLESS);
        }
    }

    fn get(&mut self, keys: &[u64], _: usize) -> u64 {
        let root = self.root();
        sum(keys.iter().filter_map(|&key| root.find(&self.segment, key).expect(SOUND)))
    }

    fn remove(&mut self, keys: &[u64], batch: usize) {
        let root = self.root();
        for keys in keys.chunks(batch) {
            self.segment
                .transaction(|tx| keys.iter().try_for_each(|&key| root.take(tx, key)))
                .expect(FAULTLESS);
        }
    }

    fn iterate(&mut self, limit: u64) -> (u64, u64) {
        self.root().walk(&self.segment, limit).expect(SOUND)
    }

    fn range(&mut self, starts: &[u64]) -> u64 {
        let root = self.root();
        sum(starts.iter().map(|&start| root.range(&self.segment, start).expect(SOUND)))
    }
}

impl<const LEN: usize> Handle<LEN> for PVec<[u8; LEN]> {
    fn offers(operation: Operation) -> bool {
        operation != Operation::Miss
    }

    fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self> {
        PVec::or_new(tx, field)
    }

    #[inline(always)]
    fn add(self, tx: &mut impl Writer, key: u64) -> Result<()> {
        self.push(tx, value(key))
    }

    #[inline(always)]
    fn take(self, tx: &mut impl Writer, _: u64) -> Result<()> {
        self.pop(tx).map(drop)
    }

    #[inline(always)]
    fn find(self, on: &impl Reader, position: u64) -> Result<Option<u64>> {
        Ok(self.get(on, position as usize)?.map(|value| word_of(value)))
    }

    fn walk(self, on: &impl Reader, limit: u64) -> Result<(u64, u64)> {
        Ok(walk(self.iter(on)?.map(|value| word_of(value)), limit))
    }

    #[inline(always)]
    fn range(self, on: &impl Reader, start: u64) -> Result<u64> {
        let range = &self.as_slice(on)?[start as usize..start as usize + RANGE_LEN];
        Ok(sum(range.iter().map(|value| word_of(value))))
    }
}

/// A vector whose lookups go to the slice that it lends, once for a turn, as a loop over many would; nothing else is asked
/// of it.
pub struct Sliced<M: Medium, const LEN: usize>(pub Ours<PVec<[u8; LEN]>, M, LEN>);

impl<M: Medium, const LEN: usize> Subject for Sliced<M, LEN> {
    fn offers(&self, operation: Operation) -> bool {
        operation == Operation::Hit
    }

    fn insert(&mut self, keys: &[u64], batch: usize) {
        self.0.insert(keys, batch);
    }

    fn get(&mut self, positions: &[u64], _: usize) -> u64 {
        let slice = self.0.root().as_slice(&self.0.segment).expect(SOUND);
        sum(positions.iter().map(|&position| word_of(&slice[position as usize])))
    }

    fn remove(&mut self, keys: &[u64], batch: usize) {
        self.0.remove(keys, batch);
    }

    fn iterate(&mut self, limit: u64) -> (u64, u64) {
        self.0.iterate(limit)
    }

    fn range(&mut self, starts: &[u64]) -> u64 {
        self.0.range(starts)
    }
}

impl<const LEN: usize> Handle<LEN> for PVecDeque<[u8; LEN]> {
    fn offers(operation: Operation) -> bool {
        !matches!(operation, Operation::Miss | Operation::Range)
    }

    fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self> {
        PVecDeque::or_new(tx, field)
    }

    #[inline(always)]
    fn add(self, tx: &mut impl Writer, key: u64) -> Result<()> {
        self.push_back(tx, value(key))
    }

    #[inline(always)]
    fn take(self, tx: &mut impl Writer, _: u64) -> Result<()> {
        self.pop_front(tx).map(drop)
    }

    #[inline(always)]
    fn find(self, on: &impl Reader, position: u64) -> Result<Option<u64>> {
        Ok(self.get(on, position as usize)?.map(|value| word_of(value)))
    }

    fn walk(self, on: &impl Reader, limit: u64) -> Result<(u64, u64)> {
        Ok(walk(self.iter(on)?.map(|value| word_of(value)), limit))
    }

    fn range(self, _: &impl Reader, _: u64) -> Result<u64> {
        unreachable!("a queue is not asked for a range")
    }
}

impl<const LEN: usize> Handle<LEN> for PHashMap<u64, [u8; LEN]> {
    fn offers(operation: Operation) -> bool {
        operation != Operation::Range
    }

    fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self> {
        PHashMap::or_new(tx, field)
    }

    #[inline(always)]
    fn add(self, tx: &mut impl Writer, key: u64) -> Result<()> {
        self.insert(tx, key, value(key)).map(drop)
    }

    #[inline(always)]
    fn take(self, tx: &mut impl Writer, key: u64) -> Result<()> {
        self.remove(tx, key).map(drop)
    }

    #[inline(always)]
    fn find(self, on: &impl Reader, key: u64) -> Result<Option<u64>> {
        Ok(self.get(on, key)?.map(|value| word_of(value)))
    }

    fn walk(self, on: &impl Reader, limit: u64) -> Result<(u64, u64)> {
        Ok(walk(self.iter(on)?.map(|(_, value)| word_of(value)), limit))
    }

    fn range(self, _: &impl Reader, _: u64) -> Result<u64> {
        unreachable!("a hash map has no order")
    }
}

impl<const LEN: usize> Handle<LEN> for PBTreeMap<u64, [u8; LEN]> {
    fn offers(_: Operation) -> bool {
        true
    }

    fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self> {
        PBTreeMap::or_new(tx, field)
    }

    #[inline(always)]
    fn add(self, tx: &mut impl Writer, key: u64) -> Result<()> {
        self.insert(tx, key, value(key)).map(drop)
    }

    #[inline(always)]
    fn take(self, tx: &mut impl Writer, key: u64) -> Result<()> {
        self.remove(tx, key).map(drop)
    }

    #[inline(always)]
    fn find(self, on: &impl Reader, key: u64) -> Result<Option<u64>> {
        Ok(self.get(on, key)?.map(|value| word_of(value)))
    }

    fn walk(self, on: &impl Reader, limit: u64) -> Result<(u64, u64)> {
        let (mut count, mut sum) = (0, 0_u64);
        for pair in self.iter(on)?.take(limit as usize) {
            (count, sum) = (count + 1, sum.wrapping_add(word_of(pair?.1)));
        }
        Ok((count, sum))
    }

    #[inline(always)]
    fn range(self, on: &impl Reader, start: u64) -> Result<u64> {
        let mut sum = 0_u64;
        for pair in self.range(on, start..)?.take(RANGE_LEN) {
            sum = sum.wrapping_add(word_of(pair?.1));
        }
        Ok(sum)
    }
}
