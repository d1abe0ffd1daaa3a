//! A place in a map: that of an entry, or where one would go. Start at [`Entry`].

use std::borrow::Borrow;
use std::fmt;

use crate::content::Depth;
use crate::error::Result;
use crate::{Key, PHashMap, PPtr, Persistent, Writer};

use super::table::{Search, Spot, Vacancy};

/// The entry of a key, there or not; see [`PHashMap::entry`].
///
/// ```
/// use vista::{PHashMap, PString, PVec, SegmentOptions};
///
/// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, PVec<u64>>>()?;
/// segment.transaction(|tx| -> vista::Result<()> {
///     let lists = PHashMap::or_new(tx, tx.root_ptr())?;
///     for (name, value) in [("odd", 1), ("even", 2), ("odd", 3)] {
///         let list = *lists.entry(tx, name)?.or_insert_with(PVec::new)?;
///         list.push(tx, value)?;
///     }
///     Ok(())
/// })?;
/// let odd = segment.root()?.get(&segment, "odd")?.unwrap();
/// assert_eq!(odd.as_slice(&segment)?, [1, 3]);
/// # Ok::<_, vista::Error>(())
/// ```
pub enum Entry<'t, K, V, W, Q> {
    /// The key has a value.
    Occupied(OccupiedEntry<'t, K, V, W, Q>),
    /// It has none.
    Vacant(VacantEntry<'t, K, V, W, Q>),
}

/// The entry of a key that is there.
///
/// ```
/// # use vista::collections::hash_map::Entry;
/// # use vista::{PHashMap, PString, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
/// # segment.transaction(|tx| -> vista::Result<()> {
/// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
/// ages.insert(tx, "Ada", 36)?;
/// if let Entry::Occupied(mut entry) = ages.entry(tx, "Ada")? {
///     assert_eq!(entry.insert(37)?, 36);
///     assert_eq!(entry.remove()?, 37);
/// }
/// assert!(ages.is_empty(tx)?);
/// # Ok(())
/// # })?;
/// # Ok::<_, vista::Error>(())
/// ```
pub struct OccupiedEntry<'t, K, V, W, Q> {
    map: PHashMap<K, V>,
    tx: &'t mut W,
    spot: Spot<K, V>,
    key: Q,
}

/// The entry of a key that is not there.
///
/// ```
/// # use vista::collections::hash_map::Entry;
/// # use vista::{PHashMap, PString, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
/// # segment.transaction(|tx| -> vista::Result<()> {
/// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
/// if let Entry::Vacant(entry) = ages.entry(tx, "Ada")? {
///     assert_eq!(entry.key(), "Ada");
///     *entry.insert(36)? += 1;
/// }
/// assert_eq!(ages.get(tx, "Ada")?, Some(&37));
/// # Ok(())
/// # })?;
/// # Ok::<_, vista::Error>(())
/// ```
pub struct VacantEntry<'t, K, V, W, Q> {
    map: PHashMap<K, V>,
    tx: &'t mut W,
    hash: u64,
    vacancy: Option<Vacancy<K, V>>,
    key: Q,
}

impl<'t, K: Key, V: Persistent, W: Writer, Q: Borrow<K::View>> Entry<'t, K, V, W, Q> {
    #[inline]
    pub(super) fn new(map: PHashMap<K, V>, tx: &'t mut W, hash: u64, found: Search<K, V>, key: Q) -> Self {
        match found {
            Search::Found(spot) => Entry::Occupied(OccupiedEntry { map, tx, spot, key }),
            Search::Missing(vacancy) => Entry::Vacant(VacantEntry { map, tx, hash, vacancy, key }),
        }
    }

    /// The key that was looked for.
    ///
    /// ```
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// let entry = ages.entry(tx, "Ada")?;
    /// assert_eq!(entry.key(), "Ada");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn key(&self) -> &K::View {
        match self {
            Entry::Occupied(entry) => entry.key.borrow(),
            Entry::Vacant(entry) => entry.key(),
        }
    }

    /// Lends the value for writing; if there is none, inserts this one first.
    ///
    /// ```
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// *ages.entry(tx, "Ada")?.or_insert(36)? += 1;
    /// *ages.entry(tx, "Ada")?.or_insert(0)? += 1;
    /// assert_eq!(ages.get(tx, "Ada")?, Some(&38));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::insert`].
    pub fn or_insert(self, value: V) -> Result<&'t mut V> {
        match self {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(value),
        }
    }

    /// Lends the value for writing; if there is none, inserts the one that `make` returns. Should `make` insert the
    /// key itself, what it inserted is replaced and released.
    ///
    /// ```
    /// use vista::{PHashMap, PString, PVec};
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, PVec<u64>>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let lists: PHashMap<PString, PVec<u64>> = PHashMap::or_new(tx, tx.root_ptr())?;
    ///
    /// let list = *lists.entry(tx, "odd")?.or_insert_with(PVec::new)?;
    /// list.push(tx, 1)?;
    /// let same = *lists.entry(tx, "odd")?.or_insert_with(|_| unreachable!("there is one"))?;
    /// assert_eq!(same.as_slice(tx)?, [1]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::insert`], and those of `make`.
    pub fn or_insert_with(self, make: impl FnOnce(&mut W) -> Result<V>) -> Result<&'t mut V> {
        match self {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(VacantEntry { map, tx, key, .. }) => {
                let value = make(tx)?;
                // Whatever else it did to the map, the place that was found may no longer be the one.
                match map.entry(tx, key)? {
                    Entry::Vacant(entry) => entry.insert(value),
                    Entry::Occupied(mut entry) => {
                        let old = entry.insert(value)?;
                        old.release(entry.tx, Depth::default())?;
                        entry.into_mut()
                    }
                }
            }
        }
    }

    /// Lends the value for writing; if there is none, inserts the default one.
    ///
    /// ```
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// for name in ["Ada", "Bob", "Ada"] {
    ///     *ages.entry(tx, name)?.or_default()? += 1;
    /// }
    /// assert_eq!(ages.get(tx, "Ada")?, Some(&2));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::insert`].
    pub fn or_default(self) -> Result<&'t mut V>
    where
        V: Default,
    {
        self.or_insert(V::default())
    }

    /// Lends the value for writing; if there is none, inserts one whose bytes are all zero.
    ///
    /// ```
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// for name in ["Ada", "Bob", "Ada"] {
    ///     *ages.entry(tx, name)?.or_zeroed()? += 1;
    /// }
    /// assert_eq!(ages.get(tx, "Ada")?, Some(&2));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::insert`].
    pub fn or_zeroed(self) -> Result<&'t mut V> {
        self.or_insert(V::zeroed())
    }

    /// Changes the value, if there is one.
    ///
    /// ```
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// for name in ["Ada", "Bob"] {
    ///     ages.entry(tx, name)?.and_modify(|age| *age += 1)?.or_insert(0)?;
    /// }
    /// assert_eq!((ages.get(tx, "Ada")?, ages.get(tx, "Bob")?), (Some(&37), Some(&0)));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::get_mut`].
    pub fn and_modify(mut self, change: impl FnOnce(&mut V)) -> Result<Self> {
        if let Entry::Occupied(entry) = &mut self {
            change(entry.get_mut()?);
        }
        Ok(self)
    }
}

impl<'t, K: Key, V: Persistent, W: Writer, Q: Borrow<K::View>> OccupiedEntry<'t, K, V, W, Q> {
    /// The key, as it is in the map.
    ///
    /// ```
    /// # use vista::collections::hash_map::Entry;
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// let Entry::Occupied(entry) = ages.entry(tx, "Ada")? else { unreachable!() };
    /// let key = *entry.key()?;
    /// assert_eq!(key.as_str(tx)?, "Ada");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::get`].
    pub fn key(&self) -> Result<&K> {
        self.tx.get(self.spot.key())
    }

    /// The value.
    ///
    /// ```
    /// # use vista::collections::hash_map::Entry;
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// let Entry::Occupied(entry) = ages.entry(tx, "Ada")? else { unreachable!() };
    /// assert_eq!(entry.get()?, &36);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::get`].
    pub fn get(&self) -> Result<&V> {
        self.tx.get(self.place())
    }

    /// Where the value lies, until the map is changed.
    ///
    /// ```
    /// # use vista::collections::hash_map::Entry;
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// let Entry::Occupied(entry) = ages.entry(tx, "Ada")? else { unreachable!() };
    /// let place = entry.place();
    /// assert_eq!(*tx.get(place)?, 36);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn place(&self) -> PPtr<V> {
        self.spot.value()
    }

    /// Lends the value for writing; logs it.
    ///
    /// ```
    /// # use vista::collections::hash_map::Entry;
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// let Entry::Occupied(mut entry) = ages.entry(tx, "Ada")? else { unreachable!() };
    /// *entry.get_mut()? += 1;
    /// assert_eq!(entry.get()?, &37);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::get_mut`].
    pub fn get_mut(&mut self) -> Result<&mut V> {
        self.tx.get_mut(self.spot.value())
    }

    /// Lends the value for writing, for as long as the transaction was lent; logs it.
    ///
    /// ```
    /// # use vista::collections::hash_map::Entry;
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// let Entry::Occupied(entry) = ages.entry(tx, "Ada")? else { unreachable!() };
    /// *entry.into_mut()? += 1;
    /// assert_eq!(ages.get(tx, "Ada")?, Some(&37));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::get_mut`].
    pub fn into_mut(self) -> Result<&'t mut V> {
        self.tx.get_mut(self.spot.value())
    }

    /// Stores a value, and returns the one that was there, with all that it owns.
    ///
    /// ```
    /// # use vista::collections::hash_map::Entry;
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// let Entry::Occupied(mut entry) = ages.entry(tx, "Ada")? else { unreachable!() };
    /// assert_eq!(entry.insert(37)?, 36);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::get_mut`].
    pub fn insert(&mut self, value: V) -> Result<V> {
        let old = *self.get()?;
        self.tx.write(self.spot.value(), value)?;
        Ok(old)
    }

    /// Removes the entry, and returns its value with all that it owns.
    ///
    /// ```
    /// # use vista::collections::hash_map::Entry;
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// let Entry::Occupied(entry) = ages.entry(tx, "Ada")? else { unreachable!() };
    /// assert_eq!(entry.remove()?, 36);
    /// assert!(!ages.contains_key(tx, "Ada")?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::remove`].
    pub fn remove(self) -> Result<V> {
        let (key, value) = self.map.take(self.tx, self.spot)?;
        key.release(self.tx, Depth::default())?;
        Ok(value)
    }

    /// Removes the entry, and returns key and value, with all that they own.
    ///
    /// ```
    /// # use vista::collections::hash_map::Entry;
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// let Entry::Occupied(entry) = ages.entry(tx, "Ada")? else { unreachable!() };
    /// let (key, age) = entry.remove_entry()?;
    /// assert_eq!((key.as_str(tx)?, age), ("Ada", 36));
    /// tx.release(key)?; // It belongs to the caller now.
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::remove_entry`].
    pub fn remove_entry(self) -> Result<(K, V)> {
        self.map.take(self.tx, self.spot)
    }
}

impl<'t, K: Key, V: Persistent, W: Writer, Q: Borrow<K::View>> VacantEntry<'t, K, V, W, Q> {
    /// The key that was looked for.
    ///
    /// ```
    /// # use vista::collections::hash_map::Entry;
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// let Entry::Vacant(entry) = ages.entry(tx, "Ada")? else { unreachable!() };
    /// assert_eq!(entry.key(), "Ada");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn key(&self) -> &K::View {
        self.key.borrow()
    }

    /// Inserts a value and lends it for writing.
    ///
    /// ```
    /// # use vista::collections::hash_map::Entry;
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// let Entry::Vacant(entry) = ages.entry(tx, "Ada")? else { unreachable!() };
    /// *entry.insert(36)? += 1;
    /// assert_eq!(ages.get(tx, "Ada")?, Some(&37));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PHashMap::insert`].
    pub fn insert(self, value: V) -> Result<&'t mut V> {
        let VacantEntry { map, tx, hash, vacancy, key } = self;
        let spot = map.add(tx, hash, vacancy, key.borrow(), value)?;
        tx.get_mut(spot.value())
    }
}

impl<K, V, W, Q> fmt::Debug for Entry<'_, K, V, W, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Entry::Occupied(_) => "Occupied(..)",
            Entry::Vacant(_) => "Vacant(..)",
        })
    }
}

impl<K, V, W, Q> fmt::Debug for OccupiedEntry<'_, K, V, W, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OccupiedEntry").field("map", &self.map).finish_non_exhaustive()
    }
}

impl<K, V, W, Q> fmt::Debug for VacantEntry<'_, K, V, W, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VacantEntry").field("map", &self.map).finish_non_exhaustive()
    }
}
