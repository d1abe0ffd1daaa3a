//! The headers of collections on the medium; `docs/FORMAT.md` explains the fields, and a test compares the two.
//!
//! A header belongs to the user data: it has no check of its own, and whoever reads it takes no field on trust.
//!
//! ```
//! use vista::collections::layout::VecHeader;
//! use vista::{PPtr, PVec, SegmentOptions};
//!
//! let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
//! segment.transaction(|tx| -> vista::Result<()> {
//!     let numbers = PVec::with_capacity(tx, 4)?;
//!     *tx.root_mut()? = numbers;
//!     numbers.extend(tx, [1, 2])?;
//!     numbers.pop(tx).map(drop)
//! })?;
//! let header = segment.get(PPtr::<VecHeader>::from_offset(segment.root()?.offset()))?;
//! assert_eq!((header.len, header.capacity), (1, 4));
//! # Ok::<_, vista::Error>(())
//! ```

use crate::Persistent;

/// Of a [`PVec`](crate::PVec).
///
/// ```
/// # use vista::collections::layout::VecHeader;
/// # use vista::{PPtr, PVec, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
/// let numbers = segment.transaction(|tx| -> vista::Result<PVec<u64>> {
///     *tx.root_mut()? = PVec::from_slice(tx, &[1, 2, 3])?;
///     Ok(*tx.root())
/// })?;
/// let header = segment.get(PPtr::<VecHeader>::from_offset(numbers.offset()))?;
/// assert_eq!((header.len, header.capacity), (3, 3));
/// # Ok::<_, vista::Error>(())
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[persistent(crate = crate)]
pub struct VecHeader {
    /// Number of elements.
    pub len: u64,
    /// Number of elements that the memory holds.
    pub capacity: u64,
    /// Offset of the first element; 0 while the capacity is 0.
    pub data: u64,
}
const _: () = assert!(size_of::<VecHeader>() == 24);

/// Of a [`PBytes`](crate::PBytes) or [`PString`](crate::PString): what stands in front of its bytes.
///
/// ```
/// # use vista::collections::layout::BytesHeader;
/// # use vista::{PBytes, PPtr, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
/// let bytes = segment.transaction(|tx| -> vista::Result<PBytes> {
///     *tx.root_mut()? = PBytes::from_slice(tx, b"abc")?;
///     Ok(*tx.root())
/// })?;
/// let header = segment.get(PPtr::<BytesHeader>::from_offset(bytes.offset()))?;
/// assert_eq!((header.len, header.inline_capacity), (3, 16));
/// # Ok::<_, vista::Error>(())
/// ```
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
///
/// ```
/// # use vista::collections::layout::DequeHeader;
/// # use vista::{PPtr, PVecDeque, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
/// let queue = segment.transaction(|tx| -> vista::Result<PVecDeque<u64>> {
///     *tx.root_mut()? = PVecDeque::from_slice(tx, &[1, 2, 3])?;
///     tx.root().pop_front(tx)?;
///     Ok(*tx.root())
/// })?;
/// let header = segment.get(PPtr::<DequeHeader>::from_offset(queue.offset()))?;
/// assert_eq!((header.head, header.tail, header.capacity), (1, 3, 4));
/// # Ok::<_, vista::Error>(())
/// ```
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
///
/// ```
/// # use vista::collections::layout::SlabHeader;
/// # use vista::{PPtr, PSlab, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
/// let slab = segment.transaction(|tx| -> vista::Result<PSlab<u64>> {
///     let slab = PSlab::or_new(tx, tx.root_ptr())?;
///     (slab.insert(tx, 10)?, slab.insert(tx, 11)?);
///     slab.remove(tx, 0)?;
///     Ok(slab)
/// })?;
/// let header = segment.get(PPtr::<SlabHeader>::from_offset(slab.offset()))?;
/// assert_eq!((header.free_head, header.len, header.used), (1, 1, 2)); // Id 0 is free.
/// # Ok::<_, vista::Error>(())
/// ```
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
    /// Number of slots that the memory holds.
    pub capacity: u64,
    /// Offset of the array of links, a `u64` for each slot: [`OCCUPIED`], or the next free slot plus 1, or 0; 0 while the
    /// capacity is 0.
    pub links: u64,
    /// Offset of the array of values; 0 while the capacity is 0.
    pub values: u64,
}
const _: () = assert!(size_of::<SlabHeader>() == 48);

/// The link of a slot that has a value.
pub const OCCUPIED: u64 = u64::MAX;
/// Entries of a B-tree's node at most: the bits of [`BTreeNode::used`].
pub const BTREE_SLOTS_MAX: usize = 32;
/// Entries that fit in a B-tree's node at least, however long they are.
pub const BTREE_SLOTS_MIN: usize = 7;
/// Bytes that the entries of a B-tree's node take at most, unless fewer than [`BTREE_SLOTS_MIN`] fit then.
pub const BTREE_ENTRIES_LEN: usize = 4096;
/// Levels of a B-tree at most. A level is added when the root is full, which takes several times as many inserts as the
/// level before took, so that no tree comes near: with 7 entries per node and as many as can be removed in between, it
/// is still more than 3 to the power of this.
pub const BTREE_LEVELS_MAX: usize = 24;

/// Of a [`PBTreeMap`](crate::PBTreeMap).
///
/// ```
/// # use vista::collections::layout::{BTreeHeader, BTreeNode};
/// # use vista::{PBTreeMap, PPtr, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBTreeMap<u64, u64>>()?;
/// let map = segment.transaction(|tx| -> vista::Result<PBTreeMap<u64, u64>> {
///     let map = PBTreeMap::or_new(tx, tx.root_ptr())?;
///     map.extend(tx, [(2, 20), (1, 10)])?;
///     Ok(map)
/// })?;
/// let header = segment.get(PPtr::<BTreeHeader>::from_offset(map.offset()))?;
/// let root = segment.get(PPtr::<BTreeNode>::from_offset(header.root))?;
/// assert_eq!((header.len, root.level, root.count), (2, 0, 2)); // The root is a leaf.
/// # Ok::<_, vista::Error>(())
/// ```
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
///
/// Example: see [`BTreeHeader`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[persistent(crate = crate)]
pub struct BTreeNode {
    /// Bit n is set when slot n holds an entry.
    pub used: u32,
    /// Levels below this node: 0 for a leaf.
    pub level: u8,
    /// Number of entries.
    pub count: u8,
    /// Zero.
    pub reserved: u16,
    /// The slots of the entries, in the order of their keys; those behind `count` mean nothing.
    pub order: [u8; BTREE_SLOTS_MAX],
}
const _: () = assert!(size_of::<BTreeNode>() == 40);

/// Of a [`PHashMap`](crate::PHashMap) or [`PHashSet`](crate::PHashSet).
///
/// ```
/// # use vista::collections::layout::HashMapHeader;
/// # use vista::{PHashMap, PPtr, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
/// let map = segment.transaction(|tx| -> vista::Result<PHashMap<u64, u64>> {
///     let map = PHashMap::or_new(tx, tx.root_ptr())?;
///     map.insert(tx, 1, 10)?;
///     Ok(map)
/// })?;
/// let header = segment.get(PPtr::<HashMapHeader>::from_offset(map.offset()))?;
/// assert_eq!((header.len, header.next), (1, 0)); // It does not grow at the moment.
/// # Ok::<_, vista::Error>(())
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[persistent(crate = crate)]
pub struct HashMapHeader {
    /// What keys are hashed with.
    pub seed: u64,
    /// Offset of the table; 0 while there is none.
    pub table: u64,
    /// Offset of the table that follows it; 0 but while the map grows.
    pub next: u64,
    /// The table has 2 to this power groups.
    pub table_bits: u32,
    /// The next one has 2 to this power groups.
    pub next_bits: u32,
    /// Number of entries.
    pub len: u64,
    /// How many empty slots may still be used in the table that takes new entries.
    pub room: u64,
    /// How far the map has grown: first the groups of the next table that are cleaned, from the first on; when these are
    /// all, plus the groups of the table that were moved.
    pub progress: u64,
}
const _: () = assert!(size_of::<HashMapHeader>() == 56);

/// Slots of a group, each with a byte in the group's control word.
pub const GROUP_SLOTS: u64 = 8;
/// Length of a group's control word.
pub const CTRL_LEN: u64 = GROUP_SLOTS;
/// Control byte of a slot without an entry, at which searches end.
pub const SLOT_EMPTY: u8 = 0;
/// Control byte of a slot whose entry was removed, in a group by which searches may have gone on: they still do.
pub const SLOT_DELETED: u8 = 1;
/// Set in the control byte of a slot with an entry, over seven bits of its hash.
pub const SLOT_FULL: u8 = 0x80;
/// What the second half of a hash's seed is made with.
pub const HASH_KEY: u64 = 0x9E37_79B9_7F4A_7C15;
/// What a hash ends with.
pub const HASH_FINISH: u64 = 0xD1B5_4A32_D192_ED03;
