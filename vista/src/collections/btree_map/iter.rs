//! Iterators: what is left of the first leaf and of the last one, and the ways to them.

use std::cmp::Ordering;
use std::fmt;
use std::iter::FusedIterator;
use std::ops::{Bound, Range};
use std::slice;

use crate::collections::btree_map::node::Node;
use crate::collections::btree_map::path::Path;
use crate::collections::layout::BTreeHeader;
use crate::error::Result;
use crate::{Key, Persistent, Reader};

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
    /// What is left of the first leaf and of the last one; if they are one leaf, the first has it all.
    runs: [Run<'a, K, V>; 2],
    /// The ways to the two leaves, as long as they are two.
    paths: Option<[Path; 2]>,
    /// Leaves that may still come: more than this do not fit into the segment.
    leaves_left: u64,
}

/// Entries of a leaf, in a row.
struct Run<'a, K, V> {
    node: u64,
    slots: slice::Iter<'a, u8>,
    keys: &'a [K],
    values: &'a [V],
}

impl<'a, K: Key, V: Persistent> Run<'a, K, V> {
    /// No entry.
    fn none() -> Self {
        Run { node: 0, slots: [].iter(), keys: &[], values: &[] }
    }

    /// The entries at some ranks of a leaf, if it has them.
    fn of(on: &'a impl Reader, node: u64, ranks: Range<usize>) -> Result<Self> {
        let leaf = Node::<K, V>::at(node);
        let head = leaf.load(on, 0)?;
        let ranks = ranks.start..ranks.end.min(head.len());
        let slots = head.order.get(ranks).unwrap_or(&[]).iter();
        Ok(Run { node, slots, keys: leaf.keys(on)?, values: leaf.values(on)? })
    }

    /// The entry of a slot.
    #[inline(always)]
    fn entry(&self, on: &impl Reader, slot: u8) -> Result<(&'a K, &'a V)> {
        let slot = usize::from(slot);
        match (self.keys.get(slot), self.values.get(slot)) {
            (Some(key), Some(value)) => Ok((key, value)),
            _ => Err(Node::<K, V>::at(self.node).no_slot(on, slot)),
        }
    }
}

impl<'a, A: Reader, K: Key, V: Persistent> Iter<'a, A, K, V> {
    pub(super) fn new(
        on: &'a A,
        header: &BTreeHeader,
        (lower, upper): (Bound<&K::View>, Bound<&K::View>),
    ) -> Result<Self> {
        let leaves_left = on.segment_len() / Node::<K, V>::LEN + 1;
        let mut iter = Iter { on, runs: [Run::none(), Run::none()], paths: None, leaves_left };
        if header.root == 0 {
            return Ok(iter);
        }
        let (Some(first), Some(last)) =
            (Path::to_lower::<K, V>(on, header, lower)?, Path::to_upper::<K, V>(on, header, upper)?)
        else {
            return Ok(iter);
        };
        let (from, until) = (first.leaf(), last.leaf());
        if from.node == until.node {
            iter.runs[0] = Run::of(on, from.node, from.rank..until.rank + 1)?;
            return Ok(iter);
        }
        let run = Run::<K, V>::of(on, from.node, from.rank..usize::MAX)?;
        // Between two bounds without an entry the first one lies behind the last.
        if let (Some(&slot), Bound::Included(view) | Bound::Excluded(view)) =
            (run.slots.as_slice().first(), upper)
        {
            let order = run.entry(on, slot)?.0.compare(on, view)?;
            let is_inside =
                order == Ordering::Less || (order == Ordering::Equal && matches!(upper, Bound::Included(_)));
            if !is_inside {
                return Ok(iter);
            }
        }
        iter.runs = [run, Run::of(on, until.node, 0..until.rank + 1)?];
        iter.paths = Some([first, last]);
        Ok(iter)
    }

    /// The entry of a slot of a run; if there is none, it was the last step.
    #[inline(always)]
    fn entry(&mut self, run: usize, slot: u8) -> Result<(&'a K, &'a V)> {
        self.runs[run].entry(self.on, slot).inspect_err(|_| self.end())
    }

    /// Nothing is left.
    #[cold]
    fn end(&mut self) {
        self.runs = [Run::none(), Run::none()];
        self.paths = None;
    }

    /// Goes on to another leaf from one end, where its leaf is used up; `None` if there is no other.
    #[cold]
    #[inline(never)]
    fn go_on(&mut self, is_forward: bool) -> Option<Result<()>> {
        let paths = self.paths.as_mut()?;
        let gone = Self::leave(self.on, paths, &mut self.leaves_left, is_forward);
        let run = match gone {
            Ok(run) => run,
            Err(error) => {
                self.end();
                return Some(Err(error));
            }
        };
        match run {
            Some(run) => self.runs[usize::from(!is_forward)] = run,
            None => {
                // Both ends have come to one leaf, of which this end has nothing and the other one what is left.
                let [first, last] = &mut self.runs;
                if is_forward {
                    *first = std::mem::replace(last, Run::none());
                }
                self.paths = None;
            }
        }
        Some(Ok(()))
    }

    /// Moves one of the ways to the next leaf: its entries, or `None` if it is the one that the other way leads to.
    fn leave(
        on: &'a A,
        [first, last]: &mut [Path; 2],
        leaves_left: &mut u64,
        is_forward: bool,
    ) -> Result<Option<Run<'a, K, V>>> {
        let (path, other) = if is_forward { (first, last) } else { (last, first) };
        let node = path.leaf().node;
        let Some(left) = leaves_left.checked_sub(1) else {
            return Err(on.damaged(node, "B-tree: leaf", node, "one that did not come before"));
        };
        *leaves_left = left;
        let is_there = match is_forward {
            true => path.next_leaf::<K, V>(on)?,
            false => path.previous_leaf::<K, V>(on)?,
        };
        if !is_there {
            return Err(on.damaged(node, "B-tree: leaf", node, "another one behind it"));
        }
        if path.leaf().node == other.leaf().node {
            return Ok(None);
        }
        Run::of(on, path.leaf().node, 0..usize::MAX).map(Some)
    }
}

impl<'a, A: Reader, K: Key, V: Persistent> Iterator for Iter<'a, A, K, V> {
    type Item = Result<(&'a K, &'a V)>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(&slot) = self.runs[0].slots.next() {
                return Some(self.entry(0, slot));
            }
            if let Err(error) = self.go_on(true)? {
                return Some(Err(error));
            }
        }
    }
}

impl<A: Reader, K: Key, V: Persistent> DoubleEndedIterator for Iter<'_, A, K, V> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        loop {
            // Where the two ends are in one leaf, the first run has it.
            let run = usize::from(self.paths.is_some());
            if let Some(&slot) = self.runs[run].slots.next_back() {
                return Some(self.entry(run, slot));
            }
            if let Err(error) = self.go_on(false)? {
                return Some(Err(error));
            }
        }
    }
}

impl<A: Reader, K: Key, V: Persistent> FusedIterator for Iter<'_, A, K, V> {}

impl<A, K, V> fmt::Debug for Iter<'_, A, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("in_one_leaf", &self.paths.is_none()).finish_non_exhaustive()
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
