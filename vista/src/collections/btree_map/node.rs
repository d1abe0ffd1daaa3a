//! One node: entries in slots that do not move, and an order over the slots.
//!
//! A node is one block: a [`BTreeNode`], then all keys, then all values. An inner node has the offsets of its children
//! for values; the key of its first entry is never looked at, and owns nothing. Start at [`Node::load`] and
//! [`Node::enter`].

use std::cmp::Ordering;
use std::marker::PhantomData;

use bytemuck::Zeroable;

use crate::collections::erased::{Extent, NodeShape};
use crate::collections::layout::{BTREE_LEVELS_MAX as LEVELS_MAX, BTREE_SLOTS_MAX as SLOTS_MAX, BTreeNode};
use crate::error::Result;
use crate::{Key, PPtr, PSlice, Persistent, Reader, Writer};

/// Keys up to this length are compared several at a time.
const SHORT_KEY_LEN: usize = 16;

/// A node whose values are `T`: those of the map in a leaf, offsets of children in an inner node.
pub(super) struct Node<K, T> {
    offset: u64,
    of: PhantomData<fn() -> (K, T)>,
}

/// A node that has children.
pub(super) type Inner<K> = Node<K, u64>;

/// What is searched for: a view of a key, or a key.
pub(super) trait Sought<K> {
    /// Compares a key of the map with what is sought.
    fn compare(&self, on: &impl Reader, key: &K) -> Result<Ordering>;

    /// The key to put into the map, where it is not there yet.
    fn make(&self, tx: &mut impl Writer) -> Result<K>;
}

/// A view, of which the map makes the key.
pub(super) struct ByView<'v, K: Key>(pub(super) &'v K::View);

impl<K: Key> Sought<K> for ByView<'_, K> {
    #[inline(always)]
    fn compare(&self, on: &impl Reader, key: &K) -> Result<Ordering> {
        key.compare(on, self.0)
    }

    #[inline(always)]
    fn make(&self, tx: &mut impl Writer) -> Result<K> {
        K::make(tx, self.0)
    }
}

/// A key that becomes the map's own.
pub(super) struct Owned<K>(pub(super) K);

impl<K: Key> Sought<K> for Owned<K> {
    fn compare(&self, on: &impl Reader, key: &K) -> Result<Ordering> {
        key.compare_keys(on, &self.0)
    }

    fn make(&self, _: &mut impl Writer) -> Result<K> {
        Ok(self.0)
    }
}

impl<K, T> Clone for Node<K, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, T> Copy for Node<K, T> {}

impl BTreeNode {
    /// A node without entries.
    pub(super) fn empty(level: usize) -> Self {
        BTreeNode { level: level as u8, ..Self::zeroed() }
    }

    /// Number of entries.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.count.into()
    }

    /// Puts a slot at a rank, before those from there on. There are fewer than [`SLOTS_MAX`], or one is lost.
    #[inline(always)]
    fn put(&mut self, rank: usize, slot: usize) {
        let (rank, len) = (rank.min(SLOTS_MAX - 1), self.len().min(SLOTS_MAX - 1));
        for at in (rank..len).rev() {
            self.order[at + 1] = self.order[at];
        }
        self.order[rank] = slot as u8;
        self.used |= 1u32.wrapping_shl(slot as u32);
        self.count = self.count.saturating_add(1);
    }

    /// Takes a rank out. Its slot stays used.
    #[inline(always)]
    pub(super) fn take(&mut self, rank: usize) {
        for at in rank + 1..self.len().min(SLOTS_MAX) {
            self.order[at - 1] = self.order[at];
        }
        self.count = self.count.saturating_sub(1);
    }
}

impl<K: Key, T: Persistent> Node<K, T> {
    const SHAPE: NodeShape = NodeShape::of(Extent::of::<K>(), Extent::of::<T>());
    /// Entries that fit.
    pub(super) const CAPACITY: usize = Self::SHAPE.capacity as usize;
    /// With fewer entries than this a node is joined with a neighbour, if the two fill no more than [`Self::JOINED_MAX`].
    pub(super) const COUNT_MIN: usize = Self::CAPACITY.div_ceil(4);
    /// Entries of a node that two were joined to: a quarter stays free, so that the next insert does not split it.
    pub(super) const JOINED_MAX: usize = Self::CAPACITY * 3 / 4;
    const SLOTS: u32 = u32::MAX >> (SLOTS_MAX - Self::CAPACITY);

    const KEYS: u64 = Self::SHAPE.keys;
    const VALUES: u64 = Self::SHAPE.values;
    /// Bytes of a node.
    pub(super) const LEN: u64 = Self::SHAPE.len;
    /// Its alignment.
    pub(super) const ALIGN: u64 = Self::SHAPE.align;

    /// The node at an offset, which is checked when the node is read.
    #[inline(always)]
    pub(super) fn at(offset: u64) -> Self {
        Node { offset, of: PhantomData }
    }

    /// Where it lies.
    #[inline(always)]
    pub(super) fn offset(self) -> u64 {
        self.offset
    }

    /// Allocates a node. Its bytes are not defined.
    pub(super) fn allocate(tx: &mut impl Writer) -> Result<Self> {
        Ok(Self::at(tx.alloc_block(Self::LEN, Self::ALIGN)?))
    }

    /// Frees the node, and nothing that its entries own.
    pub(super) fn free(self, tx: &mut impl Writer) -> Result<()> {
        tx.free_block(self.offset, Self::LEN, Self::ALIGN)
    }

    #[inline(always)]
    fn head(self) -> PPtr<BTreeNode> {
        PPtr::from_offset(self.offset)
    }

    /// What stands in front of the entries: of the level that is asked for, with at least one entry and no more than fit.
    #[inline(always)]
    pub(super) fn load<A: Reader>(self, on: &A, level: usize) -> Result<&BTreeNode> {
        let head = on.get(self.head())?;
        self.check(on, head, level)?;
        Ok(head)
    }

    /// What stands in front of the entries of a root, whatever its level.
    #[inline(always)]
    pub(super) fn load_root<A: Reader>(self, on: &A) -> Result<&BTreeNode> {
        let head = on.get(self.head())?;
        let level = usize::from(head.level);
        if level >= LEVELS_MAX {
            return Err(on.damaged(self.offset, "B-tree root: level", level as u64, "less than 24"));
        }
        match level {
            0 => self.check(on, head, 0)?,
            _ => Inner::<K>::at(self.offset).check(on, head, level)?,
        }
        Ok(head)
    }

    #[inline(always)]
    fn check(self, on: &impl Reader, head: &BTreeNode, level: usize) -> Result<()> {
        if usize::from(head.level) != level {
            let expected = "one less than its parent's";
            return Err(on.damaged(self.offset, "B-tree node: level", head.level.into(), expected));
        }
        if head.len().wrapping_sub(1) >= Self::CAPACITY {
            let expected = "at least one entry, and no more than fit";
            return Err(on.damaged(self.offset, "B-tree node: entries", head.count.into(), expected));
        }
        Ok(())
    }

    /// The slot at a rank below the count.
    #[inline(always)]
    pub(super) fn slot(self, on: &impl Reader, head: &BTreeNode, rank: usize) -> Result<usize> {
        let slot = usize::from(head.order[rank % SLOTS_MAX]);
        if slot >= Self::CAPACITY {
            return Err(self.no_slot(on, slot));
        }
        Ok(slot)
    }

    #[cold]
    pub(super) fn no_slot(self, on: &impl Reader, slot: usize) -> crate::Error {
        on.damaged(self.offset, "B-tree node: slot", slot as u64, "less than its capacity")
    }

    /// All keys, by slot: those of slots that are not in the order mean nothing.
    #[inline(always)]
    pub(super) fn keys<A: Reader>(self, on: &A) -> Result<&[K]> {
        on.slice(PSlice::from_raw_parts(self.offset.saturating_add(Self::KEYS), Self::CAPACITY as u64))
    }

    /// All values, by slot.
    #[inline(always)]
    pub(super) fn values<A: Reader>(self, on: &A) -> Result<&[T]> {
        on.slice(PSlice::from_raw_parts(self.offset.saturating_add(Self::VALUES), Self::CAPACITY as u64))
    }

    /// Where the key of a slot lies.
    #[inline(always)]
    pub(super) fn key(self, slot: usize) -> PPtr<K> {
        PPtr::from_offset(self.offset.saturating_add(Self::KEYS + (slot * size_of::<K>()) as u64))
    }

    /// Where the value of a slot lies.
    #[inline(always)]
    pub(super) fn value(self, slot: usize) -> PPtr<T> {
        PPtr::from_offset(self.offset.saturating_add(Self::VALUES + (slot * size_of::<T>()) as u64))
    }

    /// The key at a rank.
    #[inline(always)]
    pub(super) fn key_at<'a, A: Reader>(self, on: &'a A, head: &BTreeNode, rank: usize) -> Result<&'a K> {
        let slot = usize::from(head.order[rank % SLOTS_MAX]);
        self.keys(on)?.get(slot).ok_or_else(|| self.no_slot(on, slot))
    }

    /// The value at a rank.
    #[inline(always)]
    pub(super) fn value_at<'a, A: Reader>(self, on: &'a A, head: &BTreeNode, rank: usize) -> Result<&'a T> {
        let slot = usize::from(head.order[rank % SLOTS_MAX]);
        self.values(on)?.get(slot).ok_or_else(|| self.no_slot(on, slot))
    }

    /// The last rank whose key is not greater than what is sought, and 0 if there is none: the key of rank 0 is not looked
    /// at.
    #[inline(always)]
    pub(super) fn seek(self, on: &impl Reader, head: &BTreeNode, sought: &impl Sought<K>) -> Result<usize> {
        let keys = self.keys(on)?;
        let is_at_or_before = |rank: usize| {
            let slot = usize::from(head.order[rank % SLOTS_MAX]);
            match keys.get(slot) {
                Some(key) => Ok(sought.compare(on, key)? != Ordering::Greater),
                None => Err(self.no_slot(on, slot)),
            }
        };
        let mut rank = 0;
        if const { K::OWNS || size_of::<K>() > SHORT_KEY_LEN } {
            let mut left = head.len();
            while left > 1 {
                let half = left / 2;
                rank = if is_at_or_before(rank + half)? { rank + half } else { rank };
                left -= half;
            }
            return Ok(rank);
        }
        // Comparing is cheaper here than a jump that was foreseen wrongly, or than waiting for a slot and then for its key:
        // so three at a time, and what follows is computed. Ranks that are not there count as greater.
        let last = head.len() - 1;
        let count = |rank: usize| -> Result<usize> {
            Ok(usize::from(is_at_or_before(rank.min(last))? & (rank <= last)))
        };
        if const { Self::CAPACITY > 8 } {
            rank = 8 * (count(8)? + count(16)? + count(24)?);
        }
        rank += 2 * (count(rank + 2)? + count(rank + 4)? + count(rank + 6)?);
        rank += count(rank + 1)?;
        Ok(rank.min(last)) // They are not in order if it were more.
    }

    /// The rank at which a key stands, or would stand, and whether it does.
    #[inline(always)]
    pub(super) fn find(
        self,
        on: &impl Reader,
        head: &BTreeNode,
        sought: &impl Sought<K>,
    ) -> Result<(usize, bool)> {
        let rank = self.seek(on, head, sought)?;
        Ok(match sought.compare(on, self.key_at(on, head, rank)?)? {
            Ordering::Less => (rank + 1, false),
            Ordering::Equal => (rank, true),
            Ordering::Greater => (rank, false), // Less than all.
        })
    }

    /// A slot for a new entry: one that was never used, if there is one. `head` has fewer entries than fit.
    #[inline(always)]
    fn free_slot(self, on: &impl Reader, head: &BTreeNode) -> Result<(usize, bool)> {
        let spare = !head.used & Self::SLOTS;
        if spare != 0 {
            return Ok((spare.trailing_zeros() as usize, true));
        }
        let free = !self.taken(on, head)? & Self::SLOTS;
        match free {
            0 => Err(on.damaged(
                self.offset,
                "B-tree node: entries",
                head.count.into(),
                "less than its capacity",
            )),
            _ => Ok((free.trailing_zeros() as usize, planted!(UsedSlotAsSpare))),
        }
    }

    /// The slots in the order, each of them once.
    pub(super) fn taken(self, on: &impl Reader, head: &BTreeNode) -> Result<u32> {
        let mut taken = 0u32;
        for rank in 0..head.len() {
            taken |= 1 << self.slot(on, head, rank)?;
        }
        if taken.count_ones() as usize != head.len() {
            let expected = "every slot once";
            return Err(on.damaged(self.offset, "B-tree node: slots", taken.into(), expected));
        }
        Ok(taken)
    }

    /// Stores an entry into a slot and puts it at a rank of `head`, which is for the caller to save. What the slot held is
    /// logged, if it ever held an entry.
    #[inline(always)]
    pub(super) fn enter(
        self,
        tx: &mut impl Writer,
        head: &mut BTreeNode,
        rank: usize,
        key: K,
        value: T,
    ) -> Result<()> {
        let (slot, is_spare) = self.free_slot(tx, head)?;
        if is_spare {
            tx.store_spare(self.key(slot), key)?;
            tx.store_spare(self.value(slot), value)?;
        } else {
            tx.write(self.key(slot), key)?;
            tx.write(self.value(slot), value)?;
        }
        head.put(rank, slot);
        Ok(())
    }

    /// Logs what stands in front of the entries, and stores it anew.
    #[inline(always)]
    pub(super) fn save(self, tx: &mut impl Writer, head: &BTreeNode) -> Result<()> {
        tx.write(self.head(), *head)
    }

    /// Stores what stands in front of the entries of a node that is new.
    pub(super) fn save_new(self, tx: &mut impl Writer, head: &BTreeNode) -> Result<()> {
        tx.store_spare(self.head(), *head)
    }

    /// Moves the entries from rank `from` on to the end of another node. Neither head is saved.
    pub(super) fn move_to(
        self,
        tx: &mut impl Writer,
        head: &mut BTreeNode,
        from: usize,
        other: Self,
        other_head: &mut BTreeNode,
    ) -> Result<()> {
        for rank in from..head.len() {
            let slot = self.slot(tx, head, rank)?;
            let (key, value) = (*tx.get(self.key(slot))?, *tx.get(self.value(slot))?);
            other.enter(tx, other_head, other_head.len(), key, value)?;
        }
        head.count = from as u8;
        Ok(())
    }
}
