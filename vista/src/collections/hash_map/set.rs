//! A set: a map of keys to nothing. Start at [`PHashSet::insert`].

use std::borrow::Borrow;

use crate::collections::handle::handle;
use crate::collections::layout::HashMapHeader;
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::{Describer, Key, PHashMap, PPtr, Persistent, Reader, Writer};

use super::Keys;

handle! {
    /// A hash set: std's `HashSet`, in a segment.
    ///
    /// ```
    /// use vista::{PHashSet, PString, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let names = PHashSet::or_new(tx, tx.root_ptr())?;
    ///     assert!(names.insert(tx, "Ada")?);
    ///     assert!(!names.insert(tx, "Ada")?);
    ///     Ok(())
    /// })?;
    /// assert!(segment.root()?.contains(&segment, "Ada")?);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// It is a [`PHashMap<K, ()>`](PHashMap), in all that it costs and promises.
    PHashSet<K> of HashMapHeader, described as "PHashSet"
}

impl<K: Key> PHashSet<K> {
    /// The same set as a map: another view of it, not a copy.
    pub const fn into_map(self) -> PHashMap<K, ()> {
        PHashMap::from_header(self.header)
    }

    /// The keys of a map as a set: another view of it, not a copy.
    pub const fn from_map(map: PHashMap<K, ()>) -> Self {
        Self::from_header(map.header())
    }

    /// Makes an empty set. Memory for keys comes with the first of them.
    ///
    /// # Errors
    /// As [`PHashMap::new`].
    pub fn new(tx: &mut impl Writer) -> Result<Self> {
        PHashMap::new(tx).map(Self::from_map)
    }

    /// Makes an empty set that takes `capacity` keys before it has to grow.
    ///
    /// # Errors
    /// As [`PHashMap::new`].
    pub fn with_capacity(tx: &mut impl Writer, capacity: usize) -> Result<Self> {
        PHashMap::with_capacity(tx, capacity).map(Self::from_map)
    }

    /// Makes an empty set whose hashes are keyed by `seed`: see [`PHashMap::with_seed`].
    ///
    /// # Errors
    /// As [`PHashMap::new`].
    pub fn with_seed(tx: &mut impl Writer, seed: u64) -> Result<Self> {
        PHashMap::with_seed(tx, seed).map(Self::from_map)
    }

    /// The set that a field holds; if it holds none yet, makes one and stores it there.
    ///
    /// # Errors
    /// As [`PHashMap::or_new`].
    pub fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self> {
        Self::or_make(tx, field, Self::new)
    }

    /// Number of keys.
    ///
    /// # Errors
    /// As [`PHashMap::len`].
    pub fn len(self, on: &impl Reader) -> Result<usize> {
        self.into_map().len(on)
    }

    /// Whether there are no keys.
    ///
    /// # Errors
    /// As [`PHashMap::len`].
    pub fn is_empty(self, on: &impl Reader) -> Result<bool> {
        self.into_map().is_empty(on)
    }

    /// Number of keys for which there is memory, before the set has to grow.
    ///
    /// # Errors
    /// As [`PHashMap::len`].
    pub fn capacity(self, on: &impl Reader) -> Result<usize> {
        self.into_map().capacity(on)
    }

    /// Whether a key is in the set.
    ///
    /// # Errors
    /// As [`PHashMap::get`].
    #[inline]
    pub fn contains(self, on: &impl Reader, key: impl Borrow<K::View>) -> Result<bool> {
        self.into_map().contains_key(on, key)
    }

    /// The key in the set that equals this one.
    ///
    /// # Errors
    /// As [`PHashMap::get`].
    pub fn get<A: Reader>(self, on: &A, key: impl Borrow<K::View>) -> Result<Option<&K>> {
        Ok(self.into_map().get_key_value(on, key)?.map(|(key, ())| key))
    }

    /// Puts a key into the set; false if it is there already.
    ///
    /// # Errors
    /// As [`PHashMap::insert`].
    #[inline]
    pub fn insert(self, tx: &mut impl Writer, key: impl Borrow<K::View>) -> Result<bool> {
        Ok(self.into_map().insert(tx, key, ())?.is_none())
    }

    /// Removes a key; false if it is not there.
    ///
    /// # Errors
    /// As [`PHashMap::remove`].
    #[inline]
    pub fn remove(self, tx: &mut impl Writer, key: impl Borrow<K::View>) -> Result<bool> {
        Ok(self.into_map().remove(tx, key)?.is_some())
    }

    /// Removes a key, and returns the one that was in the set, with all that it owns.
    ///
    /// # Errors
    /// As [`PHashMap::remove_entry`].
    pub fn take(self, tx: &mut impl Writer, key: impl Borrow<K::View>) -> Result<Option<K>> {
        Ok(self.into_map().remove_entry(tx, key)?.map(|(key, ())| key))
    }

    /// Puts keys into the set.
    ///
    /// # Errors
    /// As [`PHashMap::extend`].
    pub fn extend<Q: Borrow<K::View>>(
        self,
        tx: &mut impl Writer,
        keys: impl IntoIterator<Item = Q>,
    ) -> Result<()> {
        self.into_map().extend(tx, keys.into_iter().map(|key| (key, ())))
    }

    /// An iterator over the keys, in no order that means anything.
    ///
    /// # Errors
    /// As [`PHashMap::iter`].
    pub fn iter<A: Reader>(self, on: &A) -> Result<Keys<'_, K, ()>> {
        self.into_map().keys(on)
    }

    /// Keeps the keys for which `keep` is true. The others are released.
    ///
    /// # Errors
    /// As [`PHashMap::retain`].
    pub fn retain(self, tx: &mut impl Writer, mut keep: impl FnMut(&K) -> bool) -> Result<()> {
        self.into_map().retain(tx, |key, ()| keep(key))
    }

    /// Removes all keys and returns them, in no order. They belong to the caller now. Gives back the memory.
    ///
    /// # Errors
    /// As [`PHashMap::drain`].
    pub fn drain(self, tx: &mut impl Writer) -> Result<Vec<K>> {
        Ok(self.into_map().drain(tx)?.into_iter().map(|(key, ())| key).collect())
    }

    /// Removes and releases all keys. Gives back the memory.
    ///
    /// # Errors
    /// As [`PHashMap::clear`].
    pub fn clear(self, tx: &mut impl Writer) -> Result<()> {
        self.into_map().clear(tx)
    }

    /// Makes room for `additional` keys more, at least.
    ///
    /// # Errors
    /// As [`PHashMap::reserve`].
    pub fn reserve(self, tx: &mut impl Writer, additional: usize) -> Result<()> {
        self.into_map().reserve(tx, additional)
    }

    /// Moves the keys to the smallest table that has room for them.
    ///
    /// # Errors
    /// As [`PHashMap::shrink_to_fit`].
    pub fn shrink_to_fit(self, tx: &mut impl Writer) -> Result<()> {
        self.into_map().shrink_to_fit(tx)
    }
}

impl<K: Key> Persistent for PHashSet<K> {
    const OWNS: bool = true;

    fn describe(describer: &mut Describer) -> String {
        ["PHashSet<", &K::describe(describer), ">"].concat()
    }

    fn release(&self, tx: &mut impl Writer, depth: Depth) -> Result<()> {
        self.into_map().release(tx, depth)
    }

    fn audit(&self, on: &impl Reader, audit: &mut Audit, depth: Depth) {
        self.into_map().audit(on, audit, depth);
    }
}
