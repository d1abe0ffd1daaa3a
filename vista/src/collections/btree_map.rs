//! A sorted map. Start at [`PBTreeMap::insert`] and [`PBTreeMap::range`].
//!
//! A B+ tree: all entries stand in leaves, and inner nodes lead there. A leaf that has an entry more or less logs an
//! order of 32 bytes and moves no entry, after the permutation of Masstree's nodes (Mao, Kohler and Morris, "Cache
//! Craftiness for Fast Multicore Key-Value Storage", EuroSys 2012). Its parts:

mod node; // entries in slots, and their order
mod path; // from the root to an entry, and to the next one
mod grow; // an entry more
mod append; // many more, in order
mod shrink; // an entry less
mod visit; // changing and removing many
mod iter; // reading many
mod entry; // one, there or not
mod whole; // releasing
pub(crate) mod audit; // whether one is sound

pub use entry::{Entry, OccupiedEntry, VacantEntry};
pub use iter::{Iter, Keys, Values};

use std::borrow::Borrow;
use std::ops::{Bound, RangeBounds};

use crate::collections::handle::handle;
use crate::collections::layout::BTreeHeader;
use crate::content::Depth;
use crate::error::Result;
use crate::{Key, PPtr, Persistent, Reader, Writer, field};
use node::{ByView, Inner, Node, Owned, Sought};
use path::Path;

handle! {
    /// A sorted map: std's `BTreeMap`, in a segment.
    ///
    /// ```
    /// use vista::{PBTreeMap, PString, Segment};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ages");
    /// let mut segment = Segment::<PBTreeMap<PString, u64>>::open_or_create(&path, 1 << 20)?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
    ///     ages.insert(tx, "Grace", 85)?;
    ///     ages.insert(tx, "Ada", 36)?;
    ///     *ages.get_mut(tx, "Grace")?.unwrap() += 1;
    ///     Ok(())
    /// })?;
    /// let ages = *segment.root()?;
    /// assert_eq!(ages.get(&segment, "Ada")?, Some(&36));
    /// for entry in ages.iter(&segment)? {
    ///     let (name, age) = entry?; // In the order of the names.
    ///     println!("{} became {age}", name.as_str(&segment)?);
    /// }
    /// # assert_eq!(ages.len(&segment)?, 2);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Keys
    /// A map of strings is searched by `&str`; it makes and frees the strings itself: see [`Key`]. The order is that of
    /// `Ord`, and of the bytes for strings. A type whose `Ord` changes between two versions of a program finds nothing any
    /// more, and nothing worse.
    ///
    /// # Values
    /// A value that is replaced or removed goes to the caller, with all that it owns. What removes many releases them:
    /// [`clear`](PBTreeMap::clear), [`retain`](PBTreeMap::retain), [`extend`](PBTreeMap::extend) and
    /// [`append`](PBTreeMap::append).
    ///
    /// # Cost
    /// A node has 7 to 32 entries, as many as fit in 4 KiB, and no map has a capacity. Looking up follows one pointer per
    /// level, two for strings per comparison. An insert that splits no node, and a removal, log what stands in front of the
    /// leaf's entries (40 bytes) and the number of entries (8); what the slot of a new entry held only if the same transaction
    /// has taken entries out of that leaf. A full leaf is split once in 16 inserts or more: half of it moves, to a node that is new and not logged.
    /// Keys that ascend fill nodes wholly.
    ///
    /// # What a crash leaves
    /// The map as the last transaction that committed has left it, with its nodes and keys, and no block more.
    PBTreeMap<K, V> of BTreeHeader, described as "PBTreeMap"
}

const HEADER_ALIGN: u64 = align_of::<BTreeHeader>() as u64;
const HEADER_LEN: u64 = size_of::<BTreeHeader>() as u64;

/// One more than the number of entries.
#[inline]
fn one_more<K, V>(map: PBTreeMap<K, V>, on: &impl Reader, header: &BTreeHeader) -> Result<u64> {
    match header.len.checked_add(1) {
        Some(len) => Ok(len),
        None => Err(on.damaged(map.offset(), "B-tree: length", header.len, "room for one more")),
    }
}

impl<K: Key, V: Persistent> PBTreeMap<K, V> {
    /// Makes an empty map. Memory for entries comes with the first of them.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let map = PBTreeMap::new(tx)?;
    /// *tx.root_mut()? = map; // What nothing holds can never be released.
    /// map.insert(tx, 1, 10)?;
    /// assert_eq!(map.get(tx, 1)?, Some(&10));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`](crate::Error::NoSpace) if the segment is full.
    pub fn new(tx: &mut impl Writer) -> Result<Self> {
        let header = PPtr::from_offset(tx.alloc_block(HEADER_LEN, HEADER_ALIGN)?);
        tx.store_spare(header, BTreeHeader { root: 0, len: 0 })?;
        Ok(Self::from_header(header))
    }

    /// The map that a field holds; if it holds none yet, makes one and stores it there.
    ///
    /// A crash leaves the field null again, and the map's memory free.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.insert(tx, 1, 10)?;
    /// let same = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(same.get(tx, 1)?, Some(&10));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](PBTreeMap::new), and [`Error::BadPointer`](crate::Error::BadPointer) if `field` leads to no field.
    pub fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self> {
        Self::or_make(tx, field, Self::new)
    }

    /// The header; that of an empty map for null.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::collections) fn load(self, on: &impl Reader) -> Result<BTreeHeader> {
        if self.is_null() { Ok(BTreeHeader { root: 0, len: 0 }) } else { self.load_to_write(on) }
    }

    /// The header of a map that is written to.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn load_to_write(self, on: &impl Reader) -> Result<BTreeHeader> {
        let header = *on.get(self.header)?;
        if (header.root == 0) != (header.len == 0) {
            return Err(on.damaged(self.offset(), "B-tree: length", header.len, "none without a root"));
        }
        Ok(header)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn write_len(self, tx: &mut impl Writer, len: u64) -> Result<()> {
        tx.write(field!(self.header, BTreeHeader, len), len)
    }

    fn write_header(self, tx: &mut impl Writer, header: BTreeHeader) -> Result<()> {
        tx.write(self.header, header)
    }

    /// Number of entries.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(1, 10), (2, 20), (1, 30)])?;
    /// assert_eq!(map.len(tx)?, 2);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if the header is not sound.
    pub fn len(self, on: &impl Reader) -> Result<usize> {
        Ok(self.load(on)?.len as usize)
    }

    /// Whether there are no entries.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// assert!(map.is_empty(tx)?);
    /// map.insert(tx, 1, 10)?;
    /// assert!(!map.is_empty(tx)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`len`](PBTreeMap::len).
    pub fn is_empty(self, on: &impl Reader) -> Result<bool> {
        Ok(self.load(on)?.len == 0)
    }

    /// The leaf and the slot in which a key stands.
    #[inline]
    fn locate(self, on: &impl Reader, view: &K::View) -> Result<Option<(Node<K, V>, usize)>> {
        let header = self.load(on)?;
        if header.root == 0 {
            return Ok(None);
        }
        let sought = ByView(view);
        let mut node = header.root;
        let mut head = Node::<K, V>::at(node).load_root(on)?;
        for level in (0..usize::from(head.level)).rev() {
            let inner = Inner::<K>::at(node);
            let rank = inner.seek(on, head, &sought)?;
            node = *inner.value_at(on, head, rank)?;
            head = path::load_at::<K, V>(on, node, level)?;
        }
        let leaf = Node::<K, V>::at(node);
        match leaf.find(on, head, &sought)? {
            (rank, true) => Ok(Some((leaf, leaf.slot(on, head, rank)?))),
            _ => Ok(None),
        }
    }

    /// The value of a key.
    ///
    /// ```
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// assert_eq!((ages.get(tx, "Ada")?, ages.get(tx, "Bob")?), (Some(&36), None));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) or [`Error::BadPointer`](crate::Error::BadPointer) if what the search
    /// meets is not sound.
    #[inline]
    pub fn get<A: Reader>(self, on: &A, key: impl Borrow<K::View>) -> Result<Option<&V>> {
        match self.locate(on, key.borrow())? {
            Some((leaf, slot)) => on.get(leaf.value(slot)).map(Some),
            None => Ok(None),
        }
    }

    /// The key, as it stands in the map, and its value.
    ///
    /// ```
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// let (key, age) = ages.get_key_value(tx, "Ada")?.unwrap();
    /// assert_eq!((key.as_str(tx)?, age), ("Ada", &36));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PBTreeMap::get).
    pub fn get_key_value<A: Reader>(self, on: &A, key: impl Borrow<K::View>) -> Result<Option<(&K, &V)>> {
        match self.locate(on, key.borrow())? {
            Some((leaf, slot)) => Ok(Some((on.get(leaf.key(slot))?, on.get(leaf.value(slot))?))),
            None => Ok(None),
        }
    }

    /// Whether there is an entry of this key.
    ///
    /// ```
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// assert!(ages.contains_key(tx, "Ada")? && !ages.contains_key(tx, "Bob")?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PBTreeMap::get).
    pub fn contains_key(self, on: &impl Reader, key: impl Borrow<K::View>) -> Result<bool> {
        Ok(self.locate(on, key.borrow())?.is_some())
    }

    /// Where the value of a key lies: for what takes a pointer. It is good until the map is inserted to or removed from.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(1, 10), (2, 20)])?;
    /// let (one, two) = (map.place(tx, 1)?.unwrap(), map.place(tx, 2)?.unwrap());
    /// let (one, two) = tx.get_disjoint_mut((one, two))?; // Both at once, and one fence.
    /// std::mem::swap(one, two);
    /// assert_eq!(map.get(tx, 1)?, Some(&20));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PBTreeMap::get).
    pub fn place(self, on: &impl Reader, key: impl Borrow<K::View>) -> Result<Option<PPtr<V>>> {
        Ok(self.locate(on, key.borrow())?.map(|(leaf, slot)| leaf.value(slot)))
    }

    /// Lends the value of a key for writing; logs it alone.
    ///
    /// ```
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// *ages.get_mut(tx, "Ada")?.unwrap() += 1;
    /// assert_eq!(ages.get(tx, "Ada")?, Some(&37));
    /// assert_eq!(ages.get_mut(tx, "Bob")?, None);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PBTreeMap::get), and [`Error::NoSpace`](crate::Error::NoSpace) if the log has no room.
    #[inline]
    pub fn get_mut<W: Writer>(self, tx: &mut W, key: impl Borrow<K::View>) -> Result<Option<&mut V>> {
        match self.locate(tx, key.borrow())? {
            Some((leaf, slot)) => tx.get_mut(leaf.value(slot)).map(Some),
            None => Ok(None),
        }
    }

    /// Stores the value of a key, and returns the one that stood there, with all that it owns. The key stays the one that
    /// was there first.
    ///
    /// A crash leaves the old value, or no entry; and a leaf that the insertion has split is whole again.
    ///
    /// ```
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(ages.insert(tx, "Ada", 36)?, None);
    /// assert_eq!(ages.insert(tx, "Ada", 37)?, Some(36));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`](crate::Error::NoSpace); [`Error::NullPointer`](crate::Error::NullPointer) for the null handle;
    /// as [`get`](PBTreeMap::get).
    #[inline]
    pub fn insert(self, tx: &mut impl Writer, key: impl Borrow<K::View>, value: V) -> Result<Option<V>> {
        self.put(tx, &ByView(key.borrow()), value)
    }

    #[inline]
    fn put(self, tx: &mut impl Writer, sought: &impl Sought<K>, value: V) -> Result<Option<V>> {
        let header = self.load_to_write(tx)?;
        if header.root == 0 {
            grow::insert_first(self, tx, sought, value)?;
            return Ok(None);
        }
        let mut path = Path::new();
        if path.seek::<K, V>(tx, &header, sought)? {
            return replace::<K, V>(tx, &path, value).map(Some);
        }
        grow::insert_at(self, tx, &header, &path, sought, value)?;
        Ok(None)
    }

    /// Removes a key and returns its value, with all that it owns. The key is released.
    ///
    /// A crash leaves the entry where it was, with its key.
    ///
    /// ```
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// assert_eq!((ages.remove(tx, "Ada")?, ages.remove(tx, "Ada")?), (Some(36), None));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PBTreeMap::insert).
    #[inline]
    pub fn remove(self, tx: &mut impl Writer, key: impl Borrow<K::View>) -> Result<Option<V>> {
        match self.remove_entry(tx, key)? {
            Some((key, value)) => {
                key.release(tx, Depth::default())?;
                Ok(Some(value))
            }
            None => Ok(None),
        }
    }

    /// Removes a key and returns it with its value. Both belong to the caller now: a string that was the key is to be
    /// [released](crate::Transaction::release).
    ///
    /// ```
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// let (key, age) = ages.remove_entry(tx, "Ada")?.unwrap();
    /// assert_eq!((key.as_str(tx)?, age), ("Ada", 36));
    /// tx.release(key)?;
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PBTreeMap::insert).
    #[inline]
    pub fn remove_entry(self, tx: &mut impl Writer, key: impl Borrow<K::View>) -> Result<Option<(K, V)>> {
        let header = self.load_to_write(tx)?;
        if header.root == 0 {
            return Ok(None);
        }
        let mut path = Path::new();
        match path.seek::<K, V>(tx, &header, &ByView(key.borrow()))? {
            true => shrink::remove_at(self, tx, &header, &path).map(Some),
            false => Ok(None),
        }
    }

    /// The entry of a key, there or not, to look at and change in place.
    ///
    /// ```
    /// use vista::{PBTreeMap, PString, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let counts = PBTreeMap::or_new(tx, tx.root_ptr())?;
    ///     for word in ["to", "be", "or", "not", "to", "be"] {
    ///         *counts.entry(tx, word)?.or_insert(0)? += 1;
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(segment.root()?.get(&segment, "be")?, Some(&2));
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NullPointer`](crate::Error::NullPointer) for the null handle; as [`get`](PBTreeMap::get).
    pub fn entry<W: Writer, Q: Borrow<K::View>>(self, tx: &mut W, key: Q) -> Result<Entry<'_, W, K, V, Q>> {
        Entry::of(self, tx, key)
    }

    /// The entry at an end; `None` if there is none.
    fn end<A: Reader>(self, on: &A, is_last: bool) -> Result<Option<(&K, &V)>> {
        let header = self.load(on)?;
        if header.root == 0 {
            return Ok(None);
        }
        let step = Path::to_end::<K, V>(on, &header, is_last)?.leaf();
        let leaf = Node::<K, V>::at(step.node);
        let head = leaf.load(on, 0)?;
        Ok(Some((leaf.key_at(on, head, step.rank)?, leaf.value_at(on, head, step.rank)?)))
    }

    /// The entry of the least key.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(2, 20), (1, 10)])?;
    /// assert_eq!(map.first_key_value(tx)?, Some((&1, &10)));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PBTreeMap::get).
    pub fn first_key_value<A: Reader>(self, on: &A) -> Result<Option<(&K, &V)>> {
        self.end(on, false)
    }

    /// The entry of the greatest key.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(2, 20), (1, 10)])?;
    /// assert_eq!(map.last_key_value(tx)?, Some((&2, &20)));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PBTreeMap::get).
    pub fn last_key_value<A: Reader>(self, on: &A) -> Result<Option<(&K, &V)>> {
        self.end(on, true)
    }

    fn pop(self, tx: &mut impl Writer, is_last: bool) -> Result<Option<(K, V)>> {
        let header = self.load_to_write(tx)?;
        if header.root == 0 {
            return Ok(None);
        }
        let path = Path::to_end::<K, V>(tx, &header, is_last)?;
        shrink::remove_at(self, tx, &header, &path).map(Some)
    }

    /// Removes the entry of the least key, and returns it as [`remove_entry`](PBTreeMap::remove_entry) does.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(2, 20), (1, 10)])?;
    /// assert_eq!((map.pop_first(tx)?, map.len(tx)?), (Some((1, 10)), 1));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PBTreeMap::insert).
    pub fn pop_first(self, tx: &mut impl Writer) -> Result<Option<(K, V)>> {
        self.pop(tx, false)
    }

    /// Removes the entry of the greatest key, and returns it as [`remove_entry`](PBTreeMap::remove_entry) does.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(2, 20), (1, 10)])?;
    /// assert_eq!((map.pop_last(tx)?, map.len(tx)?), (Some((2, 20)), 1));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PBTreeMap::insert).
    pub fn pop_last(self, tx: &mut impl Writer) -> Result<Option<(K, V)>> {
        self.pop(tx, true)
    }

    /// An iterator over the entries in the order of their keys, from both ends. Each step may meet damage, and is the last
    /// one then.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(3, 30), (1, 10), (2, 20)])?;
    /// let mut sum = 0;
    /// for entry in map.iter(tx)? {
    ///     let (key, value) = entry?;
    ///     sum += key * value;
    /// }
    /// assert_eq!(sum, 140);
    /// assert_eq!(map.iter(tx)?.next_back().unwrap()?, (&3, &30));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PBTreeMap::get).
    pub fn iter<A: Reader>(self, on: &A) -> Result<Iter<'_, A, K, V>> {
        Iter::new(on, &self.load(on)?, (Bound::Unbounded, Bound::Unbounded))
    }

    /// An iterator over the keys in their order.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(2, 20), (1, 10)])?;
    /// let keys: Vec<&u64> = map.keys(tx)?.collect::<vista::Result<_>>()?;
    /// assert_eq!(keys, [&1, &2]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PBTreeMap::get).
    pub fn keys<A: Reader>(self, on: &A) -> Result<Keys<'_, A, K, V>> {
        self.iter(on).map(Keys)
    }

    /// An iterator over the values in the order of their keys.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(2, 20), (1, 10)])?;
    /// let values: Vec<&u64> = map.values(tx)?.collect::<vista::Result<_>>()?;
    /// assert_eq!(values, [&10, &20]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PBTreeMap::get).
    pub fn values<A: Reader>(self, on: &A) -> Result<Values<'_, A, K, V>> {
        self.iter(on).map(Values)
    }

    /// An iterator over the entries whose keys lie in a range, in their order, from both ends. A range that ends before it
    /// begins is empty. Strings are bounded by a pair, as in std:
    ///
    /// ```
    /// use std::ops::Bound;
    /// use vista::{PBTreeMap, PString, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<[PBTreeMap<PString, u64>; 1]>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let numbers = PBTreeMap::new(tx)?;
    ///     tx.root_mut()?[0] = numbers;
    ///     numbers.extend(tx, [("one", 1), ("two", 2), ("three", 3), ("four", 4)])
    /// })?;
    /// let numbers = segment.root()?[0];
    /// let range = (Bound::Included("g"), Bound::Excluded("two"));
    /// let found: Vec<u64> = numbers.range(&segment, range)?.map(|entry| Ok(*entry?.1)).collect::<vista::Result<_>>()?;
    /// assert_eq!(found, [1, 3]); // "one", "three"
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PBTreeMap::get).
    pub fn range<A: Reader>(self, on: &A, range: impl RangeBounds<K::View>) -> Result<Iter<'_, A, K, V>> {
        Iter::new(on, &self.load(on)?, (range.start_bound(), range.end_bound()))
    }

    /// Gives every value to `change`, in the order of the keys, and stores those that are changed; the others are not
    /// logged.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(1, 10), (2, 20)])?;
    /// map.for_each_mut(tx, |key, value| *value += key)?;
    /// assert_eq!((map.get(tx, 1)?, map.get(tx, 2)?), (Some(&11), Some(&22)));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PBTreeMap::insert).
    pub fn for_each_mut(self, tx: &mut impl Writer, change: impl FnMut(&K, &mut V)) -> Result<()> {
        self.range_for_each_mut(tx, (Bound::Unbounded, Bound::Unbounded), change)
    }

    /// The same for the values whose keys lie in a range.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(1, 10), (2, 20), (3, 30)])?;
    /// map.range_for_each_mut(tx, 2.., |_, value| *value = 0)?;
    /// assert_eq!((map.get(tx, 1)?, map.get(tx, 3)?), (Some(&10), Some(&0)));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PBTreeMap::insert).
    pub fn range_for_each_mut(
        self,
        tx: &mut impl Writer,
        range: impl RangeBounds<K::View>,
        mut change: impl FnMut(&K, &mut V),
    ) -> Result<()> {
        visit::visit(self, tx, (range.start_bound(), range.end_bound()), |_, key, value| {
            change(key, value);
            Ok(true)
        })
    }

    /// Keeps the entries for which `keep` is true, and stores the values that it changed. The others are released. It is
    /// asked in the order of the keys.
    ///
    /// After a crash the others are there again, with all that they own, and no value has changed.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, (1..=4).map(|n| (n, n * 10)))?;
    /// map.retain(tx, |key, _| key % 2 == 0)?;
    /// assert_eq!(map.drain(tx, ..)?, [(2, 20), (4, 40)]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PBTreeMap::insert), and of releasing an entry.
    pub fn retain(self, tx: &mut impl Writer, mut keep: impl FnMut(&K, &mut V) -> bool) -> Result<()> {
        visit::visit(self, tx, (Bound::Unbounded, Bound::Unbounded), |tx, key, value| {
            let is_kept = keep(key, value);
            if !is_kept {
                release_entry(tx, key, value)?;
            }
            Ok(is_kept)
        })
    }

    /// Removes the entries whose keys lie in a range, and returns them in their order: `drain(tx, ..)` takes all. Keys and
    /// values belong to the caller now, as those of [`remove_entry`](PBTreeMap::remove_entry).
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, (1..=4).map(|n| (n, n * 10)))?;
    /// assert_eq!(map.drain(tx, 2..=3)?, [(2, 20), (3, 30)]);
    /// assert_eq!(map.len(tx)?, 2);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PBTreeMap::insert).
    pub fn drain(self, tx: &mut impl Writer, range: impl RangeBounds<K::View>) -> Result<Vec<(K, V)>> {
        let mut drained = Vec::new();
        visit::visit(self, tx, (range.start_bound(), range.end_bound()), |_, key, value| {
            drained.push((*key, *value));
            Ok(false)
        })?;
        Ok(drained)
    }

    /// Inserts entries; of those whose key is there, the old value is released. Keys that ascend, behind all that there
    /// are, are inserted without a search, and fill nodes wholly.
    ///
    /// After a crash none of the entries is inserted, and no value replaced.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.insert(tx, 2, 0)?;
    /// map.extend(tx, (1..=3).map(|n| (n, n * 10)))?;
    /// assert_eq!((map.len(tx)?, map.get(tx, 2)?), (3, Some(&20)));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PBTreeMap::insert); the entries before the one that failed are inserted.
    pub fn extend<Q: Borrow<K::View>>(
        self,
        tx: &mut impl Writer,
        entries: impl IntoIterator<Item = (Q, V)>,
    ) -> Result<()> {
        append::insert_all(self, tx, entries.into_iter(), |tx, end, (key, value)| {
            if let Some(old) = end.insert(tx, &ByView(key.borrow()), value)? {
                old.release(tx, Depth::default())?;
            }
            Ok(())
        })
    }

    /// Moves all entries of another map into this one, and leaves it empty. Of the keys that both have, the values are the
    /// other's, and what stood here is released.
    ///
    /// A crash leaves both maps as they were: no entry is lost on the way.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<[PBTreeMap<u64, u64>; 2]>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let (low, high) = (PBTreeMap::new(tx)?, PBTreeMap::new(tx)?);
    /// # *tx.root_mut()? = [low, high];
    /// low.extend(tx, [(1, 10), (2, 20)])?;
    /// high.extend(tx, [(2, 0), (3, 30)])?;
    /// low.append(tx, high)?;
    /// assert_eq!((low.len(tx)?, high.len(tx)?), (3, 0));
    /// assert_eq!(low.get(tx, 2)?, Some(&0));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PBTreeMap::insert).
    pub fn append(self, tx: &mut impl Writer, other: Self) -> Result<()> {
        if self.ptr_eq(other) {
            return Ok(());
        }
        let moved = other.drain(tx, ..)?;
        append::insert_all(self, tx, moved.into_iter(), |tx, end, (key, value)| {
            match end.insert(tx, &Owned(key), value)? {
                Some(old) => release_entry(tx, &key, &old), // The key that was here stays.
                None => Ok(()),
            }
        })
    }

    /// Moves the entries from a key on to a map of their own, and returns it.
    ///
    /// A crash leaves all entries in this map, and frees the other.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<[PBTreeMap<u64, u64>; 2]>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let low = PBTreeMap::new(tx)?;
    /// low.extend(tx, (1..=5).map(|n| (n, n * 10)))?;
    /// let high = low.split_off(tx, 4)?;
    /// *tx.root_mut()? = [low, high];
    /// assert_eq!((low.len(tx)?, high.first_key_value(tx)?), (3, Some((&4, &40))));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PBTreeMap::insert).
    pub fn split_off(self, tx: &mut impl Writer, key: impl Borrow<K::View>) -> Result<Self> {
        let moved = self.drain(tx, (Bound::Included(key.borrow()), Bound::Unbounded))?;
        let other = Self::new(tx)?;
        append::insert_all(other, tx, moved.into_iter(), |tx, end, (key, value)| {
            end.insert(tx, &Owned(key), value).map(drop)
        })?;
        Ok(other)
    }

    /// Removes and releases all entries, and frees their memory.
    ///
    /// ```
    /// # use vista::{PBTreeMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// ages.extend(tx, [("Ada", 36), ("Bob", 48)])?;
    /// ages.clear(tx)?;
    /// assert!(ages.is_empty(tx)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PBTreeMap::insert), and of releasing an entry.
    pub fn clear(self, tx: &mut impl Writer) -> Result<()> {
        let header = self.load_to_write(tx)?;
        if header.root == 0 {
            return Ok(());
        }
        whole::release_nodes::<K, V>(tx, &header, Depth::default())?;
        self.write_header(tx, BTreeHeader { root: 0, len: 0 })
    }
}

/// Stores the value of the entry at the end of a path, and returns the old one.
#[inline]
fn replace<K: Key, V: Persistent>(tx: &mut impl Writer, path: &Path, value: V) -> Result<V> {
    let leaf = Node::<K, V>::at(path.leaf().node);
    let head = leaf.load(tx, 0)?;
    let place = leaf.value(leaf.slot(tx, head, path.leaf().rank)?);
    let old = *tx.get(place)?;
    tx.write(place, value)?;
    Ok(old)
}

fn release_entry<K: Key, V: Persistent>(tx: &mut impl Writer, key: &K, value: &V) -> Result<()> {
    key.release(tx, Depth::default())?;
    value.release(tx, Depth::default())
}
