//! One entry, there or not: to look at and change in place. Start at [`PBTreeMap::entry`].

use std::borrow::Borrow;
use std::fmt;

use crate::collections::btree_map::PBTreeMap;
use crate::collections::btree_map::grow::{insert_at, insert_first};
use crate::collections::btree_map::node::{ByView, Node};
use crate::collections::btree_map::path::Path;
use crate::collections::btree_map::shrink::remove_at;
use crate::collections::layout::BTreeHeader;
use crate::content::Depth;
use crate::error::Result;
use crate::{Key, Persistent, Writer};

/// An entry of a [`PBTreeMap`], there or not.
///
/// ```
/// use vista::collections::btree_map::Entry;
/// # use vista::{PBTreeMap, PString, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
/// # segment.transaction(|tx| -> vista::Result<()> {
/// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
///
/// ages.insert(tx, "Ada", 36)?;
/// match ages.entry(tx, "Ada")? {
///     Entry::Occupied(entry) => assert_eq!(entry.get()?, &36),
///     Entry::Vacant(_) => unreachable!(),
/// }
/// # Ok(())
/// # })?;
/// # Ok::<_, vista::Error>(())
/// ```
pub enum Entry<'t, W, K, V, Q> {
    /// It is there.
    Occupied(OccupiedEntry<'t, W, K, V>),
    /// It is not.
    Vacant(VacantEntry<'t, W, K, V, Q>),
}

/// An entry that is there.
///
/// ```
/// # use vista::collections::btree_map::Entry;
/// # use vista::{PBTreeMap, PString, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
/// # segment.transaction(|tx| -> vista::Result<()> {
/// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
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
pub struct OccupiedEntry<'t, W, K, V> {
    map: PBTreeMap<K, V>,
    tx: &'t mut W,
    header: BTreeHeader,
    path: Path,
    leaf: Node<K, V>,
    slot: usize,
}

/// An entry that is not there, and the key that it would have.
///
/// ```
/// # use vista::collections::btree_map::Entry;
/// # use vista::{PBTreeMap, PString, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
/// # segment.transaction(|tx| -> vista::Result<()> {
/// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
/// if let Entry::Vacant(entry) = ages.entry(tx, "Ada")? {
///     assert_eq!(entry.key(), "Ada");
///     *entry.insert(36)? += 1;
/// }
/// assert_eq!(ages.get(tx, "Ada")?, Some(&37));
/// # Ok(())
/// # })?;
/// # Ok::<_, vista::Error>(())
/// ```
pub struct VacantEntry<'t, W, K, V, Q> {
    map: PBTreeMap<K, V>,
    tx: &'t mut W,
    header: BTreeHeader,
    /// None in an empty map.
    path: Option<Path>,
    key: Q,
}

impl<'t, W: Writer, K: Key, V: Persistent, Q: Borrow<K::View>> Entry<'t, W, K, V, Q> {
    pub(super) fn of(map: PBTreeMap<K, V>, tx: &'t mut W, key: Q) -> Result<Self> {
        let header = map.load_to_write(tx)?;
        if header.root == 0 {
            return Ok(Entry::Vacant(VacantEntry { map, tx, header, path: None, key }));
        }
        let mut path = Path::new();
        if !path.seek::<K, V>(tx, &header, &ByView(key.borrow()))? {
            return Ok(Entry::Vacant(VacantEntry { map, tx, header, path: Some(path), key }));
        }
        let leaf = Node::at(path.leaf().node);
        let slot = leaf.slot(tx, leaf.load(tx, 0)?, path.leaf().rank)?;
        Ok(Entry::Occupied(OccupiedEntry { map, tx, header, path, leaf, slot }))
    }

    /// Lends the value for writing; inserts `value` before, if there is none.
    ///
    /// ```
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// *ages.entry(tx, "Ada")?.or_insert(36)? += 1;
    /// *ages.entry(tx, "Ada")?.or_insert(0)? += 1;
    /// assert_eq!(ages.get(tx, "Ada")?, Some(&38));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBTreeMap::insert`].
    pub fn or_insert(self, value: V) -> Result<&'t mut V> {
        self.or_insert_with(|| value)
    }

    /// Lends the value for writing; inserts what `make` returns before, if there is none.
    ///
    /// ```
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// ages.entry(tx, "Ada")?.or_insert_with(|| 36)?;
    /// ages.entry(tx, "Ada")?.or_insert_with(|| unreachable!("there is one"))?;
    /// assert_eq!(ages.get(tx, "Ada")?, Some(&36));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBTreeMap::insert`].
    pub fn or_insert_with(self, make: impl FnOnce() -> V) -> Result<&'t mut V> {
        match self {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(make()),
        }
    }

    /// Lends the value for writing; inserts what `make` returns before, if there is none. `make` has the transaction, and so
    /// can make a collection:
    ///
    /// ```
    /// use vista::{PBTreeMap, PString, PVec, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, PVec<u64>>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let lines = PBTreeMap::or_new(tx, tx.root_ptr())?;
    ///     for (number, word) in [(1, "to"), (1, "be"), (2, "to")] {
    ///         let found = *lines.entry(tx, word)?.or_try_insert_with(|tx| PVec::new(tx))?;
    ///         found.push(tx, number)?;
    ///     }
    ///     Ok(())
    /// })?;
    /// let found = segment.root()?.get(&segment, "to")?.unwrap();
    /// assert_eq!(found.as_slice(&segment)?, [1, 2]);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBTreeMap::insert`], and what `make` returns.
    pub fn or_try_insert_with(self, make: impl FnOnce(&mut W) -> Result<V>) -> Result<&'t mut V> {
        match self {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(VacantEntry { map, tx, key, .. }) => {
                let value = make(tx)?;
                // It may have changed the map too.
                match Entry::of(map, tx, key)? {
                    Entry::Occupied(entry) => {
                        value.release(&mut *entry.tx, Depth::default())?;
                        entry.into_mut()
                    }
                    Entry::Vacant(entry) => entry.insert(value),
                }
            }
        }
    }

    /// Lends the value for writing; inserts the default before, if there is none.
    ///
    /// ```
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
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
    /// As [`PBTreeMap::insert`].
    pub fn or_default(self) -> Result<&'t mut V>
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }

    /// Lets `change` have the value, if there is one.
    ///
    /// ```
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
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
    /// As [`PBTreeMap::get_mut`].
    pub fn and_modify(mut self, change: impl FnOnce(&mut V)) -> Result<Self> {
        if let Entry::Occupied(entry) = &mut self {
            change(entry.get_mut()?);
        }
        Ok(self)
    }
}

impl<'t, W: Writer, K: Key, V: Persistent> OccupiedEntry<'t, W, K, V> {
    /// The key, as it stands in the map.
    ///
    /// ```
    /// # use vista::collections::btree_map::Entry;
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// if let Entry::Occupied(entry) = ages.entry(tx, "Ada")? {
    ///     let key = *entry.key()?;
    ///     assert_eq!(key.as_str(tx)?, "Ada");
    /// }
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBTreeMap::get`].
    pub fn key(&self) -> Result<&K> {
        self.tx.get(self.leaf.key(self.slot))
    }

    /// The value.
    ///
    /// ```
    /// # use vista::collections::btree_map::Entry;
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// let Entry::Occupied(entry) = ages.entry(tx, "Ada")? else { unreachable!() };
    /// assert_eq!(entry.get()?, &36);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBTreeMap::get`].
    pub fn get(&self) -> Result<&V> {
        self.tx.get(self.leaf.value(self.slot))
    }

    /// Lends the value for writing.
    ///
    /// ```
    /// # use vista::collections::btree_map::Entry;
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
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
    /// As [`PBTreeMap::get_mut`].
    pub fn get_mut(&mut self) -> Result<&mut V> {
        self.tx.get_mut(self.leaf.value(self.slot))
    }

    /// Lends the value for writing, for as long as the transaction is.
    ///
    /// ```
    /// # use vista::collections::btree_map::Entry;
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
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
    /// As [`PBTreeMap::get_mut`].
    pub fn into_mut(self) -> Result<&'t mut V> {
        self.tx.get_mut(self.leaf.value(self.slot))
    }

    /// Stores a value, and returns the one that stood there.
    ///
    /// ```
    /// # use vista::collections::btree_map::Entry;
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// let Entry::Occupied(mut entry) = ages.entry(tx, "Ada")? else { unreachable!() };
    /// assert_eq!(entry.insert(37)?, 36);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBTreeMap::get_mut`].
    pub fn insert(&mut self, value: V) -> Result<V> {
        let old = *self.get()?;
        self.tx.write(self.leaf.value(self.slot), value)?;
        Ok(old)
    }

    /// Removes the entry and returns the value, as [`PBTreeMap::remove`] does.
    ///
    /// ```
    /// # use vista::collections::btree_map::Entry;
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
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
    /// As [`PBTreeMap::remove`].
    pub fn remove(self) -> Result<V> {
        let (key, value) = remove_at(self.map, self.tx, &self.header, &self.path)?;
        key.release(self.tx, Depth::default())?;
        Ok(value)
    }

    /// Removes the entry and returns it, as [`PBTreeMap::remove_entry`] does.
    ///
    /// ```
    /// # use vista::collections::btree_map::Entry;
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
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
    /// As [`PBTreeMap::remove_entry`].
    pub fn remove_entry(self) -> Result<(K, V)> {
        remove_at(self.map, self.tx, &self.header, &self.path)
    }
}

impl<'t, W: Writer, K: Key, V: Persistent, Q: Borrow<K::View>> VacantEntry<'t, W, K, V, Q> {
    /// The key that the entry would have.
    ///
    /// ```
    /// # use vista::collections::btree_map::Entry;
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// let Entry::Vacant(entry) = ages.entry(tx, "Ada")? else { unreachable!() };
    /// assert_eq!(entry.key(), "Ada");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn key(&self) -> &K::View {
        self.key.borrow()
    }

    /// Inserts the entry, and lends its value for writing.
    ///
    /// ```
    /// # use vista::collections::btree_map::Entry;
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// let Entry::Vacant(entry) = ages.entry(tx, "Ada")? else { unreachable!() };
    /// *entry.insert(36)? += 1;
    /// assert_eq!(ages.get(tx, "Ada")?, Some(&37));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBTreeMap::insert`].
    pub fn insert(self, value: V) -> Result<&'t mut V> {
        let sought = ByView(self.key.borrow());
        let (leaf, slot) = match &self.path {
            Some(path) => insert_at(self.map, self.tx, &self.header, path, &sought, value)?,
            None => insert_first(self.map, self.tx, &sought, value)?,
        };
        self.tx.get_mut(leaf.value(slot))
    }
}

impl<W, K, V, Q> fmt::Debug for Entry<'_, W, K, V, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Occupied(entry) => f.debug_tuple("Entry").field(entry).finish(),
            Entry::Vacant(entry) => f.debug_tuple("Entry").field(entry).finish(),
        }
    }
}

impl<W, K, V> fmt::Debug for OccupiedEntry<'_, W, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OccupiedEntry")
            .field("map", &self.map)
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

impl<W, K, V, Q> fmt::Debug for VacantEntry<'_, W, K, V, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VacantEntry").field("map", &self.map).finish_non_exhaustive()
    }
}
