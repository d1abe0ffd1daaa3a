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
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn put(&mut self, rank: usize, slot: usize) {
        let mut words = self.order_words();
        let mut carry = slot as u64;
        // The bytes before the rank stay, the slot comes next, and what follows moves up by a byte, from word to word.
        for (at, word) in words.iter_mut().enumerate() {
            let before = bytes_below(rank.saturating_sub(at * 8));
            let is_reached = rank < (at + 1) * 8;
            let moved = (*word & !before) << 8 | carry << (rank.saturating_sub(at * 8) % 8 * 8);
            let out = *word >> 56;
            *word = if is_reached { *word & before | moved } else { *word };
            carry = if is_reached { out } else { carry };
        }
        self.order = bytemuck::cast(words.map(u64::to_le));
        self.used |= 1u32.wrapping_shl(slot as u32);
        self.count = self.count.saturating_add(1);
    }

    /// Takes a rank out, and with it the slot.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn take(&mut self, rank: usize) {
        let mut words = self.order_words();
        self.used &= !1u32.wrapping_shl(u32::from(self.order[rank % SLOTS_MAX]));
        for at in 0..words.len() {
            let before = bytes_below(rank.saturating_sub(at * 8));
            let next = words.get(at + 1).copied().unwrap_or(0);
            let moved = (words[at] >> 8 | next << 56) & !before;
            words[at] = if rank < (at + 1) * 8 { words[at] & before | moved } else { words[at] };
        }
        self.order = bytemuck::cast(words.map(u64::to_le));
        self.count = self.count.saturating_sub(1);
    }

    /// Keeps the first ranks only.
    fn truncate(&mut self, len: usize) {
        for rank in len..self.len() {
            self.used &= !1u32.wrapping_shl(u32::from(self.order[rank % SLOTS_MAX]));
        }
        self.count = len as u8;
    }

    /// The order in words, the first rank in the lowest byte: what moves by a byte moves eight at a time.
    #[inline(always)]
    fn order_words(&self) -> [u64; SLOTS_MAX / 8] {
        bytemuck::cast::<_, [u64; SLOTS_MAX / 8]>(self.order).map(u64::from_le)
    }
}

/// A word whose lowest bytes, so many of them, are all ones.
#[inline(always)]
fn bytes_below(count: usize) -> u64 {
    if count >= 8 { u64::MAX } else { (1 << (count * 8)) - 1 }
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
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn seek(self, on: &impl Reader, head: &BTreeNode, sought: &impl Sought<K>) -> Result<usize> {
        let keys = self.keys(on)?;
        let mut rank = 0;
        if const { K::OWNS || size_of::<K>() > SHORT_KEY_LEN } {
            let mut left = head.len();
            while left > 1 {
                let half = left / 2;
                let is_there = self.is_at_or_before(on, head, keys, rank + half, sought)?;
                rank = if is_there { rank + half } else { rank };
                left -= half;
            }
            return Ok(rank);
        }
        // Comparing is cheaper here than a jump that was foreseen wrongly, or than waiting for a slot and then for its key:
        // so three at a time, and what follows is computed. Ranks that are not there count as greater.
        let last = head.len() - 1;
        if const { Self::CAPACITY > 8 } {
            rank = 8 * self.count_at_or_before(on, head, keys, [8, 16, 24], sought)?;
        }
        rank += 2 * self.count_at_or_before(on, head, keys, [rank + 2, rank + 4, rank + 6], sought)?;
        rank += self.count_at_or_before(on, head, keys, [rank + 1], sought)?;
        Ok(rank.min(last)) // They are not in order if it were more.
    }

    /// Whether the key at a rank is not greater than what is sought.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn is_at_or_before(
        self,
        on: &impl Reader,
        head: &BTreeNode,
        keys: &[K],
        rank: usize,
        sought: &impl Sought<K>,
    ) -> Result<bool> {
        let slot = usize::from(head.order[rank % SLOTS_MAX]);
        match keys.get(slot) {
            Some(key) => Ok(sought.compare(on, key)? != Ordering::Greater),
            None => Err(self.no_slot(on, slot)),
        }
    }

    /// At how many of these ranks there is a key that is not greater than what is sought.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn count_at_or_before<const N: usize>(
        self,
        on: &impl Reader,
        head: &BTreeNode,
        keys: &[K],
        ranks: [usize; N],
        sought: &impl Sought<K>,
    ) -> Result<usize> {
        let last = head.len() - 1;
        let mut count = 0;
        for rank in ranks {
            let is_it = self.is_at_or_before(on, head, keys, rank.min(last), sought)?;
            count += usize::from(is_it & (rank <= last));
        }
        Ok(count)
    }

    /// The rank at which a key stands, or would stand, and whether it does.
    #[cfg_attr(not(debug_assertions), inline(always))]
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

    /// A slot for a new entry. `head` has fewer entries than fit.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn free_slot(self, on: &impl Reader, head: &BTreeNode) -> Result<usize> {
        match !head.used & Self::SLOTS {
            0 => {
                let expected = "less than its capacity";
                Err(on.damaged(self.offset, "B-tree node: slots in use", head.used.into(), expected))
            }
            free => Ok(free.trailing_zeros() as usize),
        }
    }

    /// Stores an entry into a slot, which is returned, and puts it at a rank of `head`, which is for the caller to save.
    /// What the slot holds is logged if the node has given up a slot in this transaction (INV-C47).
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn enter(
        self,
        tx: &mut impl Writer,
        head: &mut BTreeNode,
        rank: usize,
        key: K,
        value: T,
    ) -> Result<usize> {
        let slot = self.free_slot(tx, head)?;
        let is_spare = !tx.has_vacated(self.offset) || planted!(UsedSlotAsSpare);
        tx.put(is_spare, self.key(slot), key)?;
        tx.put(is_spare, self.value(slot), value)?;
        head.put(rank, slot);
        Ok(slot)
    }

    /// Takes a rank out of `head`, which is for the caller to save.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn take(self, tx: &mut impl Writer, head: &mut BTreeNode, rank: usize) {
        tx.vacate(self.offset);
        head.take(rank);
    }

    /// Takes all ranks from `len` on out of `head`, which is for the caller to save.
    pub(super) fn truncate(self, tx: &mut impl Writer, head: &mut BTreeNode, len: usize) {
        tx.vacate(self.offset);
        head.truncate(len);
    }

    /// Logs what stands in front of the entries, and stores it anew.
    #[cfg_attr(not(debug_assertions), inline(always))]
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
        self.truncate(tx, head, from);
        Ok(())
    }
}
