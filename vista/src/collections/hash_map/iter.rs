//! All entries of a map. Start at [`PHashMap::iter`].

use std::fmt;
use std::iter::FusedIterator;

use crate::collections::layout::GROUP_SLOTS;
use crate::error::Result;
use crate::{Key, PHashMap, Persistent, Reader};

use super::table::{At, Slots, View};

impl<K: Key, V: Persistent> PHashMap<K, V> {
    /// An iterator over the entries, in no order that means anything; the same one as long as the map is not changed.
    ///
    /// The map cannot be changed while it is iterated over:
    ///
    /// ```compile_fail
    /// use vista::{PHashMap, Writer};
    ///
    /// fn double(tx: &mut impl Writer, map: PHashMap<u64, u64>) -> vista::Result<()> {
    ///     for (key, value) in map.iter(tx)? {
    ///         map.insert(tx, key + 1000, *value)?; // The iterator has borrowed the transaction.
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) or [`Error::BadPointer`](crate::Error::BadPointer) if header or table
    /// is not sound; the iterator itself meets none.
    pub fn iter<A: Reader>(self, on: &A) -> Result<Iter<'_, K, V>> {
        let header = self.load(on)?;
        let [main, next] = self.views(on, &header)?;
        Ok(Iter { now: main.map(Walk::new), then: next })
    }

    /// An iterator over the keys.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PHashMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(1, 10), (2, 20)])?;
    /// assert_eq!(map.keys(tx)?.max(), Some(&2));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`iter`](PHashMap::iter).
    pub fn keys<A: Reader>(self, on: &A) -> Result<Keys<'_, K, V>> {
        Ok(Keys { entries: self.iter(on)? })
    }

    /// An iterator over the values.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PHashMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(1, 10), (2, 20)])?;
    /// assert_eq!(map.values(tx)?.sum::<u64>(), 30);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`iter`](PHashMap::iter).
    pub fn values<A: Reader>(self, on: &A) -> Result<Values<'_, K, V>> {
        Ok(Values { entries: self.iter(on)? })
    }
}

/// An iterator over the entries of a [`PHashMap`]; see [`PHashMap::iter`].
///
/// ```
/// # use vista::{PHashMap, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
/// # segment.transaction(|tx| -> vista::Result<()> {
/// # let map = PHashMap::or_new(tx, tx.root_ptr())?;
/// map.extend(tx, [(1, 10), (2, 20)])?;
/// let mut entries: Vec<(&u64, &u64)> = map.iter(tx)?.collect();
/// entries.sort();
/// assert_eq!(entries, [(&1, &10), (&2, &20)]);
/// # Ok(())
/// # })?;
/// # Ok::<_, vista::Error>(())
/// ```
pub struct Iter<'a, K, V> {
    now: Option<Walk<'a, K, V>>,
    then: Option<View<'a, K, V>>,
}

/// A walk over one table.
struct Walk<'a, K, V> {
    table: View<'a, K, V>,
    group: u64,
    slots: Slots,
}

impl<'a, K: Persistent, V: Persistent> Walk<'a, K, V> {
    fn new(table: View<'a, K, V>) -> Self {
        Walk { table, group: 0, slots: table.entries(0) }
    }

    #[inline]
    fn next(&mut self) -> Option<At> {
        loop {
            if let Some(slot) = self.slots.next() {
                return Some(At { group: self.group, slot });
            }
            if self.group + 1 >= self.table.groups() {
                return None;
            }
            self.group += 1;
            self.slots = self.table.entries(self.group);
        }
    }

    fn slots_left(&self) -> u64 {
        self.slots.size_hint().0 as u64 + (self.table.groups() - self.group - 1) * GROUP_SLOTS
    }
}

impl<'a, K: Persistent, V: Persistent> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let walk = self.now.as_mut()?;
            if let Some(at) = walk.next() {
                return Some(walk.table.entry(at));
            }
            self.now = self.then.take().map(Walk::new);
        }
    }

    /// No more than the slots that are left. How many of them hold an entry, the header says, which may be damaged.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let now = self.now.as_ref().map_or(0, Walk::slots_left);
        let then = self.then.as_ref().map_or(0, |table| table.groups() * GROUP_SLOTS);
        (0, usize::try_from(now + then).ok())
    }
}

impl<K: Persistent, V: Persistent> FusedIterator for Iter<'_, K, V> {}

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Iter { now: self.now.as_ref().map(|walk| Walk { ..*walk }), then: self.then }
    }
}

impl<K: Persistent + fmt::Debug, V: Persistent + fmt::Debug> fmt::Debug for Iter<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.clone()).finish()
    }
}

/// An iterator over the keys of a [`PHashMap`]; see [`PHashMap::keys`].
///
/// ```
/// # use vista::{PHashMap, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
/// # segment.transaction(|tx| -> vista::Result<()> {
/// # let map = PHashMap::or_new(tx, tx.root_ptr())?;
/// map.extend(tx, [(1, 10), (2, 20)])?;
/// assert!(map.keys(tx)?.all(|key| [1, 2].contains(key)));
/// # Ok(())
/// # })?;
/// # Ok::<_, vista::Error>(())
/// ```
pub struct Keys<'a, K, V> {
    entries: Iter<'a, K, V>,
}

/// An iterator over the values of a [`PHashMap`]; see [`PHashMap::values`].
///
/// ```
/// # use vista::{PHashMap, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
/// # segment.transaction(|tx| -> vista::Result<()> {
/// # let map = PHashMap::or_new(tx, tx.root_ptr())?;
/// map.extend(tx, [(1, 10), (2, 20)])?;
/// assert!(map.values(tx)?.all(|value| value % 10 == 0));
/// # Ok(())
/// # })?;
/// # Ok::<_, vista::Error>(())
/// ```
pub struct Values<'a, K, V> {
    entries: Iter<'a, K, V>,
}

macro_rules! parts {
    ($name:ident yields $part:ident at $index:tt) => {
        impl<'a, K: Persistent, V: Persistent> Iterator for $name<'a, K, V> {
            type Item = &'a $part;

            #[inline]
            fn next(&mut self) -> Option<&'a $part> {
                self.entries.next().map(|entry| entry.$index)
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                self.entries.size_hint()
            }
        }

        impl<K: Persistent, V: Persistent> FusedIterator for $name<'_, K, V> {}

        impl<K, V> Clone for $name<'_, K, V> {
            fn clone(&self) -> Self {
                $name { entries: self.entries.clone() }
            }
        }

        impl<K: Persistent, V: Persistent> fmt::Debug for $name<'_, K, V>
        where
            $part: fmt::Debug,
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(self.clone()).finish()
            }
        }
    };
}

parts!(Keys yields K at 0);
parts!(Values yields V at 1);
