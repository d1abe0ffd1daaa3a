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
    /// Number of bytes, in the low 31 bits. The highest bit is set when they stand in a block of their own, whose offset
    /// stands behind the header, and before that block's capacity.
    pub len: u32,
    /// Room for bytes behind this header: 16 at least, so that offset and capacity of a block find theirs.
    pub inline_capacity: u32,
}
const _: () = assert!(size_of::<BytesHeader>() == 8);

/// Of a [`PBTreeMap`](crate::PBTreeMap).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[persistent(crate = crate)]
pub struct BTreeHeader {
    /// Offset of the root node; 0 while the map is empty.
    pub root: u64,
    /// Number of entries.
    pub len: u64,
}
const _: () = assert!(size_of::<BTreeHeader>() == 16);

/// Of a node of a [`PBTreeMap`](crate::PBTreeMap): what stands in front of its keys and values.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[persistent(crate = crate)]
pub struct BTreeNode {
    /// Bit n is set when slot n holds an entry, or has held one since the node was made. The others are spare.
    pub used: u32,
    /// Levels below this node: 0 for a leaf.
    pub level: u8,
    /// Number of entries.
    pub count: u8,
    /// Zero.
    pub reserved: u16,
    /// The slots of the entries, in the order of their keys; those behind `count` mean nothing.
    pub order: [u8; 32],
}
const _: () = assert!(size_of::<BTreeNode>() == 40);
