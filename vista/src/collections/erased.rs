//! Collections by the sizes of what they hold: where everything lies, for types that the compiler knows and for those that
//! only a description names.
//!
//! Sizes out of a description may be of any length. What is too long to be lies at the end of all offsets, where nothing
//! can be read.

use crate::collections::layout::{
    BTREE_ENTRIES_LEN, BTREE_SLOTS_MAX, BTREE_SLOTS_MIN, BTreeHeader, BTreeNode, CTRL_LEN, DequeHeader,
    GROUP_SLOTS, HashMapHeader, SlabHeader, VecHeader,
};
use crate::collections::{PBTreeMap, PHashMap, PSlab, PVec, PVecDeque};
use crate::error::Result;
use crate::persistent::align_bytes_of;
use crate::{Error, PPtr, PSlice, Reader};

/// Size and alignment of a type, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) size: u64,
    pub(crate) align: u64,
}

impl Extent {
    pub(crate) const fn of<T>() -> Self {
        Extent { size: size_of::<T>() as u64, align: align_bytes_of::<T>() as u64 }
    }

    /// Length of so many.
    pub(crate) fn times(self, count: u64) -> u64 {
        self.size.saturating_mul(count)
    }

    /// Where one of several lies.
    pub(crate) fn element(self, data: u64, index: u64) -> u64 {
        data.saturating_add(self.times(index))
    }

    /// The bytes of so many, which lie in the user data and are aligned; none have none, wherever they are.
    pub(crate) fn bytes<A: Reader>(self, on: &A, offset: u64, count: u64) -> Result<&[u8]> {
        let len = self.times(count);
        if len == 0 {
            return Ok(&[]);
        }
        if !offset.is_multiple_of(self.align) {
            return Err(Error::BadPointer { segment: on.segment_name(), offset, len, align: self.align });
        }
        on.slice(PSlice::from_raw_parts(offset, len))
    }
}

/// Where things lie in a table of a hash map: the control words of all groups, and behind them all slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableShape {
    /// Where the value begins in a slot, behind the key.
    pub(crate) value: u64,
    /// Length of a slot.
    pub(crate) slot: u64,
    /// Alignment of a slot.
    slot_align: u64,
    /// Alignment of a table.
    pub(crate) align: u64,
}

impl TableShape {
    pub(crate) const fn of(key: Extent, value: Extent) -> Self {
        let slot_align = greater(key.align, value.align);
        let value_start = aligned(key.size, value.align);
        let slot = aligned(value_start.saturating_add(value.size), slot_align);
        TableShape { value: value_start, slot, slot_align, align: greater(CTRL_LEN, slot_align) }
    }

    /// Where the slots begin in a table of so many groups.
    #[inline(always)]
    pub(crate) fn slots(&self, groups: u64) -> u64 {
        aligned(groups.saturating_mul(CTRL_LEN), self.slot_align)
    }

    /// Where a slot begins in a table of so many groups.
    pub(crate) fn slot_at(&self, groups: u64, group: u64, slot: u64) -> u64 {
        let number = group.saturating_mul(GROUP_SLOTS).saturating_add(slot);
        self.slots(groups).saturating_add(self.slot.saturating_mul(number))
    }

    /// The table of so many groups, as one thing.
    pub(crate) fn table(&self, groups: u64) -> Extent {
        Extent { size: self.slot_at(groups, groups, 0), align: self.align }
    }
}

/// Where things lie in a node of a B-tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeShape {
    /// Entries that fit.
    pub(crate) capacity: u64,
    /// Where the keys begin.
    pub(crate) keys: u64,
    /// Where the values begin.
    pub(crate) values: u64,
    /// Length of a node.
    pub(crate) len: u64,
    /// Its alignment.
    pub(crate) align: u64,
}

impl NodeShape {
    pub(crate) const fn of(key: Extent, value: Extent) -> Self {
        let entry_len = greater(key.size.saturating_add(value.size), 1);
        let fitting = BTREE_ENTRIES_LEN as u64 / entry_len;
        let capacity = match greater(fitting, BTREE_SLOTS_MIN as u64) {
            fitting if fitting > BTREE_SLOTS_MAX as u64 => BTREE_SLOTS_MAX as u64,
            fitting => fitting,
        };
        let keys = aligned(size_of::<BTreeNode>() as u64, key.align);
        let values = aligned(keys.saturating_add(key.size.saturating_mul(capacity)), value.align);
        let len = values.saturating_add(value.size.saturating_mul(capacity));
        NodeShape { capacity, keys, values, len, align: greater(8, greater(key.align, value.align)) }
    }
}

const fn greater(a: u64, b: u64) -> u64 {
    if a > b { a } else { b }
}

/// The next multiple of an alignment.
pub(crate) const fn aligned(len: u64, align: u64) -> u64 {
    match len.checked_next_multiple_of(align) {
        Some(len) => len,
        None => u64::MAX,
    }
}

/// The header of a vector that is not null, its fields in agreement.
pub(crate) fn vec_header(on: &impl Reader, offset: u64, element: Extent) -> Result<VecHeader> {
    match element.size {
        0 => PVec::<()>::from_header(PPtr::from_offset(offset)).load(on),
        _ => PVec::<u8>::from_header(PPtr::from_offset(offset)).load(on),
    }
}

/// The header of a queue that is not null, its fields in agreement.
pub(crate) fn deque_header(on: &impl Reader, offset: u64, element: Extent) -> Result<DequeHeader> {
    match element.size {
        0 => PVecDeque::<()>::from_header(PPtr::from_offset(offset)).load(on),
        _ => PVecDeque::<u8>::from_header(PPtr::from_offset(offset)).load(on),
    }
}

/// Where the elements of a queue stand, front to back: twice an offset, and how many there are.
pub(crate) fn deque_pieces(header: &DequeHeader, element: Extent) -> [(u64, u64); 2] {
    let len = header.tail.wrapping_sub(header.head);
    let first = header.head & header.capacity.wrapping_sub(1);
    let front = len.min(header.capacity.saturating_sub(first));
    [(element.element(header.data, first), front), (header.data, len - front)]
}

/// The header of a slab that is not null, its fields in agreement.
pub(crate) fn slab_header(on: &impl Reader, offset: u64) -> Result<SlabHeader> {
    PSlab::<()>::from_header(PPtr::from_offset(offset)).load(on)
}

/// The header of a hash map that is not null: its tables can be asked for.
pub(crate) fn hash_map_header(on: &impl Reader, offset: u64) -> Result<HashMapHeader> {
    PHashMap::<(), ()>::from_header(PPtr::from_offset(offset)).load(on)
}

/// The header of a B-tree that is not null.
pub(crate) fn b_tree_header(on: &impl Reader, offset: u64) -> Result<BTreeHeader> {
    PBTreeMap::<(), ()>::from_header(PPtr::from_offset(offset)).load(on)
}

/// Where an option has its flag, behind a value of this size.
pub(crate) const fn option_flag(value: Extent) -> u64 {
    aligned(value.size, 8)
}

/// Whether an option that is not null has a value.
pub(crate) fn option_is_some(on: &impl Reader, offset: u64, value: Extent) -> Result<bool> {
    let flag_offset = offset.saturating_add(option_flag(value));
    match *on.get::<u64>(PPtr::from_offset(flag_offset))? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(on.damaged(flag_offset, "option: whether there is a value", other, "0 or 1")),
    }
}
