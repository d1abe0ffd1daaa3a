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
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let names = PHashSet::or_new(tx, tx.root_ptr())?;
    /// names.insert(tx, "Ada")?;
    /// assert!(names.into_map().contains_key(tx, "Ada")?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub const fn into_map(self) -> PHashMap<K, ()> {
        PHashMap::from_header(self.header)
    }

    /// The keys of a map as a set: another view of it, not a copy.
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// use vista::PHashMap;
    ///
    /// let map = PHashMap::new(tx)?;
    /// *tx.root_mut()? = PHashSet::from_map(map);
    /// map.insert(tx, "Ada", ())?;
    /// assert!(tx.root().contains(tx, "Ada")?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub const fn from_map(map: PHashMap<K, ()>) -> Self {
        Self::from_header(map.header())
    }

    /// Makes an empty set. Memory for keys comes with the first of them.
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let names = PHashSet::new(tx)?;
    /// *tx.root_mut()? = names; // What nothing holds can never be released.
    /// assert!(names.insert(tx, "Ada")?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::new`].
    pub fn new(tx: &mut impl Writer) -> Result<Self> {
        PHashMap::new(tx).map(Self::from_map)
    }

    /// Makes an empty set that takes `capacity` keys before it has to grow.
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let names = PHashSet::with_capacity(tx, 100)?;
    /// *tx.root_mut()? = names;
    /// assert!(names.is_empty(tx)? && names.capacity(tx)? >= 100);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::new`].
    pub fn with_capacity(tx: &mut impl Writer, capacity: usize) -> Result<Self> {
        PHashMap::with_capacity(tx, capacity).map(Self::from_map)
    }

    /// Makes an empty set whose hashes are keyed by `seed`: see [`PHashMap::with_seed`].
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let random = 0x5c1f_70a4_2b9e_d386; // In a program, of the system.
    /// let names = PHashSet::with_seed(tx, random)?;
    /// *tx.root_mut()? = names;
    /// assert!(names.insert(tx, "Ada")?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::new`].
    pub fn with_seed(tx: &mut impl Writer, seed: u64) -> Result<Self> {
        PHashMap::with_seed(tx, seed).map(Self::from_map)
    }

    /// The set that a field holds; if it holds none yet, makes one and stores it there.
    ///
    /// A crash leaves the field null again, and the set's memory free.
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let names = PHashSet::or_new(tx, tx.root_ptr())?;
    /// names.insert(tx, "Ada")?;
    /// let same = PHashSet::or_new(tx, tx.root_ptr())?;
    /// assert!(same.contains(tx, "Ada")?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::or_new`].
    pub fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self> {
        Self::or_make(tx, field, Self::new)
    }

    /// Number of keys.
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let names = PHashSet::or_new(tx, tx.root_ptr())?;
    /// names.extend(tx, ["Ada", "Bob", "Ada"])?;
    /// assert_eq!(names.len(tx)?, 2);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::len`].
    pub fn len(self, on: &impl Reader) -> Result<usize> {
        self.into_map().len(on)
    }

    /// Whether there are no keys.
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let names = PHashSet::or_new(tx, tx.root_ptr())?;
    /// assert!(names.is_empty(tx)?);
    /// names.insert(tx, "Ada")?;
    /// assert!(!names.is_empty(tx)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::len`].
    pub fn is_empty(self, on: &impl Reader) -> Result<bool> {
        self.into_map().is_empty(on)
    }

    /// Number of keys for which there is memory, before the set has to grow.
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let names = PHashSet::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(names.capacity(tx)?, 0);
    /// names.reserve(tx, 100)?;
    /// assert!(names.capacity(tx)? >= 100);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::len`].
    pub fn capacity(self, on: &impl Reader) -> Result<usize> {
        self.into_map().capacity(on)
    }

    /// Whether a key is in the set.
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let names = PHashSet::or_new(tx, tx.root_ptr())?;
    /// names.insert(tx, "Ada")?;
    /// assert!(names.contains(tx, "Ada")? && !names.contains(tx, "Bob")?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::get`].
    #[inline]
    pub fn contains(self, on: &impl Reader, key: impl Borrow<K::View>) -> Result<bool> {
        self.into_map().contains_key(on, key)
    }

    /// The key in the set that equals this one.
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let names = PHashSet::or_new(tx, tx.root_ptr())?;
    /// names.insert(tx, "Ada")?;
    /// let key = names.get(tx, "Ada")?.unwrap();
    /// assert_eq!(key.as_str(tx)?, "Ada");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::get`].
    pub fn get<A: Reader>(self, on: &A, key: impl Borrow<K::View>) -> Result<Option<&K>> {
        Ok(self.into_map().get_key_value(on, key)?.map(|(key, ())| key))
    }

    /// Puts a key into the set; false if it is there already.
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let names = PHashSet::or_new(tx, tx.root_ptr())?;
    /// assert!(names.insert(tx, "Ada")?);
    /// assert!(!names.insert(tx, "Ada")?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::insert`].
    #[inline]
    pub fn insert(self, tx: &mut impl Writer, key: impl Borrow<K::View>) -> Result<bool> {
        Ok(self.into_map().insert(tx, key, ())?.is_none())
    }

    /// Removes a key; false if it is not there.
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let names = PHashSet::or_new(tx, tx.root_ptr())?;
    /// names.insert(tx, "Ada")?;
    /// assert!(names.remove(tx, "Ada")?);
    /// assert!(!names.remove(tx, "Ada")?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::remove`].
    #[inline]
    pub fn remove(self, tx: &mut impl Writer, key: impl Borrow<K::View>) -> Result<bool> {
        Ok(self.into_map().remove(tx, key)?.is_some())
    }

    /// Removes a key, and returns the one that was in the set, with all that it owns.
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let names = PHashSet::or_new(tx, tx.root_ptr())?;
    /// names.insert(tx, "Ada")?;
    /// let key = names.take(tx, "Ada")?.unwrap();
    /// assert_eq!((key.as_str(tx)?, names.len(tx)?), ("Ada", 0));
    /// tx.release(key)?; // It belongs to the caller now.
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::remove_entry`].
    pub fn take(self, tx: &mut impl Writer, key: impl Borrow<K::View>) -> Result<Option<K>> {
        Ok(self.into_map().remove_entry(tx, key)?.map(|(key, ())| key))
    }

    /// Puts keys into the set.
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let names = PHashSet::or_new(tx, tx.root_ptr())?;
    /// names.extend(tx, "the more the better".split(' '))?;
    /// assert_eq!(names.len(tx)?, 3);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
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
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let names = PHashSet::or_new(tx, tx.root_ptr())?;
    /// names.extend(tx, ["Ada", "Bob"])?;
    /// let mut found = Vec::new();
    /// for name in names.iter(tx)? {
    ///     found.push(name.as_str(tx)?);
    /// }
    /// found.sort();
    /// assert_eq!(found, ["Ada", "Bob"]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::iter`].
    pub fn iter<A: Reader>(self, on: &A) -> Result<Keys<'_, K, ()>> {
        self.into_map().keys(on)
    }

    /// Keeps the keys for which `keep` is true. The others are released.
    ///
    /// ```
    /// # use vista::{PHashSet, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PHashSet::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, 1..=4)?;
    /// numbers.retain(tx, |n| n % 2 == 0)?;
    /// assert!(numbers.len(tx)? == 2 && numbers.contains(tx, 4)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::retain`].
    pub fn retain(self, tx: &mut impl Writer, mut keep: impl FnMut(&K) -> bool) -> Result<()> {
        self.into_map().retain(tx, |key, ()| keep(key))
    }

    /// Removes all keys and returns them, in no order. They belong to the caller now. Gives back the memory.
    ///
    /// ```
    /// # use vista::{PHashSet, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PHashSet::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, [2, 1])?;
    /// let mut all = numbers.drain(tx)?;
    /// all.sort();
    /// assert_eq!(all, [1, 2]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::drain`].
    pub fn drain(self, tx: &mut impl Writer) -> Result<Vec<K>> {
        Ok(self.into_map().drain(tx)?.into_iter().map(|(key, ())| key).collect())
    }

    /// Removes and releases all keys. Gives back the memory.
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let names = PHashSet::or_new(tx, tx.root_ptr())?;
    /// names.extend(tx, ["Ada", "Bob"])?;
    /// names.clear(tx)?;
    /// assert_eq!((names.len(tx)?, names.capacity(tx)?), (0, 0));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::clear`].
    pub fn clear(self, tx: &mut impl Writer) -> Result<()> {
        self.into_map().clear(tx)
    }

    /// Makes room for `additional` keys more, at least.
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let names = PHashSet::or_new(tx, tx.root_ptr())?;
    /// names.reserve(tx, 100)?;
    /// assert!(names.capacity(tx)? >= 100);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::reserve`].
    pub fn reserve(self, tx: &mut impl Writer, additional: usize) -> Result<()> {
        self.into_map().reserve(tx, additional)
    }

    /// Moves the keys to the smallest table that has room for them.
    ///
    /// ```
    /// # use vista::{PHashSet, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashSet<PString>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let names = PHashSet::or_new(tx, tx.root_ptr())?;
    /// names.reserve(tx, 1000)?;
    /// names.insert(tx, "Ada")?;
    /// names.shrink_to_fit(tx)?;
    /// assert!(names.capacity(tx)? < 1000 && names.contains(tx, "Ada")?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
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
