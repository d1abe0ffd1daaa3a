//! The headers of collections on the medium; `docs/FORMAT.md` explains the fields, and a test compares the two.
//!
//! A header belongs to the user data: it has no check of its own, and whoever reads it takes no field on trust.

use crate::Persistent;

/// Of a [`PVec`](crate::PVec).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[persistent(crate = crate)]
pub struct VecHeader {
    /// Number of elements.
    pub len: u64,
    /// Elements from here on are spare: no element stood there since the memory was allocated. Never less than `len`.
    pub spare_from: u64,
    /// Number of elements that the memory holds.
    pub capacity: u64,
    /// Offset of the first element; 0 while the capacity is 0.
    pub data: u64,
}
const _: () = assert!(size_of::<VecHeader>() == 32);

/// Of a [`PBytes`](crate::PBytes) or [`PString`](crate::PString): what stands in front of its bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[persistent(crate = crate)]
pub struct BytesHeader {
    /// Number of bytes, in the low 31 bits. [`IS_APART`] is set when they stand in a block of their own, whose offset
    /// stands behind the header, and before that block's capacity.
    pub len: u32,
    /// Room for bytes behind this header: 16 at least, so that offset and capacity of a block find theirs.
    pub inline_capacity: u32,
}
const _: () = assert!(size_of::<BytesHeader>() == 8);

/// Set in [`BytesHeader::len`] when the bytes stand in a block of their own.
pub const IS_APART: u32 = 1 << 31;

/// The least room behind a [`BytesHeader`]: offset and capacity of a block.
pub const INLINE_MIN: u32 = 16;

/// Of a [`PVecDeque`](crate::PVecDeque): a ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[persistent(crate = crate)]
pub struct DequeHeader {
    /// Number of the first element. Numbers go up from front to back, and wrap round.
    pub head: u64,
    /// Number behind the last element: at most `capacity` more than `head`.
    pub tail: u64,
    /// Number of elements that the memory holds: 0, or a power of two. Element *n* stands in place *n* modulo this.
    pub capacity: u64,
    /// Offset of the first place; 0 while the capacity is 0.
    pub data: u64,
}
const _: () = assert!(size_of::<DequeHeader>() == 32);

/// Of a [`PSlab`](crate::PSlab): two arrays.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[persistent(crate = crate)]
pub struct SlabHeader {
    /// Id of the first free slot below `used`, plus 1; 0 if there is none.
    pub free_head: u64,
    /// Number of values.
    pub len: u64,
    /// Slots from here on are free, and not in the list of free slots.
    pub used: u64,
    /// Slots from here on are spare: no value stood there since the memory was allocated. Never less than `used`.
    pub spare_from: u64,
    /// Number of slots that the memory holds.
    pub capacity: u64,
    /// Offset of the array of links, a `u64` for each slot: [`OCCUPIED`], or the next free slot plus 1, or 0; 0 while the
    /// capacity is 0.
    pub links: u64,
    /// Offset of the array of values; 0 while the capacity is 0.
    pub values: u64,
}
const _: () = assert!(size_of::<SlabHeader>() == 56);

/// The link of a slot that has a value.
pub const OCCUPIED: u64 = u64::MAX;
