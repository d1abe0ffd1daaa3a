//! Iterators: a way to each end of what is left, and the leaf there.

use std::cmp::Ordering;
use std::fmt;
use std::iter::FusedIterator;
use std::ops::Bound;

use crate::collections::btree_map::node::Node;
use crate::collections::btree_map::path::Path;
use crate::collections::layout::{BTREE_SLOTS_MAX as SLOTS_MAX, BTreeHeader, BTreeNode};
use crate::error::Result;
use crate::{Error, Key, Persistent, Reader};

/// An iterator over entries of a [`PBTreeMap`](crate::PBTreeMap), in the order of their keys, from both ends.
///
/// Each step may meet damage; the one that does is the last. The number of steps is not known before, since nothing
/// tells it of a range, and of a whole map the length may be damaged.
///
/// ```
/// # use vista::{PBTreeMap, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
/// # segment.transaction(|tx| -> vista::Result<()> {
/// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
/// map.extend(tx, (1..=4).map(|n| (n, n * 10)))?;
/// let mut entries = map.range(tx, 2..)?;
/// assert_eq!(entries.next().transpose()?, Some((&2, &20)));
/// assert_eq!(entries.next_back().transpose()?, Some((&4, &40)));
/// assert_eq!(entries.count(), 1);
/// # Ok(())
/// # })?;
/// # Ok::<_, vista::Error>(())
/// ```
pub struct Iter<'a, A, K, V> {
    on: &'a A,
    /// The first entry and the last one; `None` when there are no more.
    ends: Option<[End<'a, K, V>; 2]>,
    /// What the search for the next entry has met.
    error: Option<Error>,
    /// Leaves that may still come: more than this do not fit into the segment.
    leaves_left: u64,
}

/// One end of what is left: an entry, and its leaf.
struct End<'a, K, V> {
    path: Path,
    leaf: Leaf<'a, K, V>,
}

/// A leaf, as it is read.
struct Leaf<'a, K, V> {
    head: &'a BTreeNode,
    keys: &'a [K],
    values: &'a [V],
}

impl<K, V> Clone for Leaf<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Leaf<'_, K, V> {}

impl<'a, K: Key, V: Persistent> End<'a, K, V> {
    fn of(on: &'a impl Reader, path: Path) -> Result<Self> {
        let leaf = Node::<K, V>::at(path.leaf().node);
        let leaf = Leaf { head: leaf.load(on, 0)?, keys: leaf.keys(on)?, values: leaf.values(on)? };
        Ok(End { path, leaf })
    }

    #[inline]
    fn entry(&self, on: &impl Reader) -> Result<(&'a K, &'a V)> {
        let slot = usize::from(self.leaf.head.order[self.path.leaf().rank % SLOTS_MAX]);
        match (self.leaf.keys.get(slot), self.leaf.values.get(slot)) {
            (Some(key), Some(value)) => Ok((key, value)),
            _ => Err(Node::<K, V>::at(self.path.leaf().node).no_slot(on, slot)),
        }
    }

    /// Moves to the next leaf, or to the one before.
    fn leave(&mut self, on: &'a impl Reader, is_forward: bool) -> Result<()> {
        let is_there = match is_forward {
            true => self.path.next_leaf::<K, V>(on)?,
            false => self.path.previous_leaf::<K, V>(on)?,
        };
        if !is_there {
            let node = self.path.leaf().node;
            return Err(on.damaged(node, "B-tree: leaf", node, "another one behind it"));
        }
        *self = End::of(on, self.path)?;
        Ok(())
    }
}

impl<'a, A: Reader, K: Key, V: Persistent> Iter<'a, A, K, V> {
    pub(super) fn new(
        on: &'a A,
        header: &BTreeHeader,
        (lower, upper): (Bound<&K::View>, Bound<&K::View>),
    ) -> Result<Self> {
        let leaves_left = on.segment_len() / Node::<K, V>::LEN + 1;
        let mut iter = Iter { on, ends: None, error: None, leaves_left };
        if header.root == 0 {
            return Ok(iter);
        }
        let (Some(first), Some(last)) =
            (Path::to_lower::<K, V>(on, header, lower)?, Path::to_upper::<K, V>(on, header, upper)?)
        else {
            return Ok(iter);
        };
        let ends: [End<'a, K, V>; 2] = [End::of(on, first)?, End::of(on, last)?];
        // Between two bounds without an entry the first one lies behind the last.
        let is_inside = match upper {
            Bound::Unbounded => true,
            Bound::Included(view) => ends[0].entry(on)?.0.compare(on, view)? != Ordering::Greater,
            Bound::Excluded(view) => ends[0].entry(on)?.0.compare(on, view)? == Ordering::Less,
        };
        iter.ends = is_inside.then_some(ends);
        Ok(iter)
    }

    /// The entry at one end, which moves on.
    #[inline]
    fn step(&mut self, is_forward: bool) -> Option<Result<(&'a K, &'a V)>> {
        let Some([first, last]) = &mut self.ends else { return self.error.take().map(Err) };
        let (end, other) = if is_forward { (first, last) } else { (last, first) };
        let (node, rank) = (end.path.leaf().node, end.path.leaf().rank);
        let is_last_leaf = node == other.path.leaf().node;
        // The last rank that is left in this leaf.
        let until = match is_forward {
            _ if is_last_leaf => other.path.leaf().rank,
            true => end.leaf.head.len() - 1,
            false => 0,
        };
        let entry = end.entry(self.on);
        if rank != until && entry.is_ok() {
            end.path.set_rank(if is_forward { rank + 1 } else { rank - 1 });
            return Some(entry);
        }
        if is_last_leaf || entry.is_err() {
            self.ends = None;
        } else {
            self.leave(is_forward);
        }
        Some(entry)
    }

    /// Moves one end to the next leaf.
    #[cold]
    #[inline(never)]
    fn leave(&mut self, is_forward: bool) {
        let Some(ends) = &mut self.ends else { return };
        let end = &mut ends[usize::from(!is_forward)];
        let left = match self.leaves_left.checked_sub(1) {
            Some(left) => end.leave(self.on, is_forward).map(|()| left),
            None => {
                let node = end.path.leaf().node;
                Err(self.on.damaged(node, "B-tree: leaf", node, "one that did not come before"))
            }
        };
        match left {
            Ok(left) => self.leaves_left = left,
            Err(error) => (self.ends, self.error) = (None, Some(error)),
        }
    }
}

impl<'a, A: Reader, K: Key, V: Persistent> Iterator for Iter<'a, A, K, V> {
    type Item = Result<(&'a K, &'a V)>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.step(true)
    }
}

impl<A: Reader, K: Key, V: Persistent> DoubleEndedIterator for Iter<'_, A, K, V> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(false)
    }
}

impl<A: Reader, K: Key, V: Persistent> FusedIterator for Iter<'_, A, K, V> {}

impl<A, K, V> fmt::Debug for Iter<'_, A, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("is_done", &self.ends.is_none()).finish_non_exhaustive()
    }
}

macro_rules! part {
    ($(#[$doc:meta])* $name:ident gives $item:ident as $index:tt) => {
        $(#[$doc])*
        pub struct $name<'a, A, K, V>(pub(super) Iter<'a, A, K, V>);

        impl<'a, A: Reader, K: Key, V: Persistent> Iterator for $name<'a, A, K, V> {
            type Item = Result<&'a $item>;

            #[inline]
            fn next(&mut self) -> Option<Self::Item> {
                Some(self.0.next()?.map(|entry| entry.$index))
            }
        }

        impl<A: Reader, K: Key, V: Persistent> DoubleEndedIterator for $name<'_, A, K, V> {
            #[inline]
            fn next_back(&mut self) -> Option<Self::Item> {
                Some(self.0.next_back()?.map(|entry| entry.$index))
            }
        }

        impl<A: Reader, K: Key, V: Persistent> FusedIterator for $name<'_, A, K, V> {}

        impl<A, K, V> fmt::Debug for $name<'_, A, K, V> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0).finish()
            }
        }
    };
}

part! {
    /// An iterator over the keys of a [`PBTreeMap`](crate::PBTreeMap), in their order, from both ends.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(2, 20), (1, 10)])?;
    /// let greatest = map.keys(tx)?.next_back().transpose()?;
    /// assert_eq!(greatest, Some(&2));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    Keys gives K as 0
}
part! {
    /// An iterator over the values of a [`PBTreeMap`](crate::PBTreeMap), in the order of their keys, from both ends.
    ///
    /// ```
    /// # use vista::{PBTreeMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(2, 20), (1, 10)])?;
    /// let sum: u64 = map.values(tx)?.sum::<vista::Result<_>>()?;
    /// assert_eq!(sum, 30);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    Values gives V as 1
}
