//! Whether a collection is sound, by the sizes of what it holds: [`Persistent::audit`] asks with the types that a program
//! knows, and [`Inspector::check_content`](crate::inspect::Inspector::check_content) with those that the segment
//! describes.
//!
//! What the elements own is for [`Values`] to look at. Maps have a file of their own: `hash_map/audit.rs`,
//! `btree_map/audit.rs`. Start at [`vec`].

use std::cmp::Ordering;
use std::marker::PhantomData;

use crate::collections::PSlab;
use crate::collections::erased::{
    Extent, aligned, deque_header, deque_pieces, option_flag, option_is_some, slab_header, vec_header,
};
use crate::collections::layout::{DequeHeader, OCCUPIED, SlabHeader, VecHeader};
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::{Key, PPtr, PSlice, Persistent, Reader};

/// Values of one type.
pub(crate) trait Values {
    fn extent(&self) -> Extent;

    /// Whether there may be something to look at.
    fn may_own(&self) -> bool;

    /// Looks at what values own that stand from an offset on.
    fn audit(&self, audit: &mut Audit, offset: u64, count: u64, depth: Depth) -> Result<()>;
}

/// Keys of one type.
pub(crate) trait Keys<'a>: Values {
    /// The bytes by which the key at an offset is hashed.
    fn bytes(&self, offset: u64) -> Result<&'a [u8]>;

    /// Compares the keys at two offsets; nothing if the program alone can.
    fn compare(&self, offset: u64, other: u64) -> Result<Option<Ordering>>;
}

/// Values of a type that the compiler knows.
pub(super) struct Typed<'a, A, T> {
    on: &'a A,
    of: PhantomData<fn() -> T>,
}

impl<'a, A, T> Typed<'a, A, T> {
    pub(super) fn new(on: &'a A) -> Self {
        Typed { on, of: PhantomData }
    }
}

impl<A: Reader, T: Persistent> Values for Typed<'_, A, T> {
    fn extent(&self) -> Extent {
        Extent::of::<T>()
    }

    fn may_own(&self) -> bool {
        T::OWNS
    }

    fn audit(&self, audit: &mut Audit, offset: u64, count: u64, depth: Depth) -> Result<()> {
        let values = self.on.slice(PSlice::<T>::from_raw_parts(offset, count))?;
        T::audit_all(values, self.on, audit, depth);
        Ok(())
    }
}

impl<'a, A: Reader, K: Key> Keys<'a> for Typed<'a, A, K> {
    fn bytes(&self, offset: u64) -> Result<&'a [u8]> {
        self.on.get(PPtr::<K>::from_offset(offset))?.own_bytes(self.on)
    }

    fn compare(&self, offset: u64, other: u64) -> Result<Option<Ordering>> {
        let (key, other) = (PPtr::<K>::from_offset(offset), PPtr::<K>::from_offset(other));
        self.on.get(key)?.compare_keys(self.on, self.on.get(other)?).map(Some)
    }
}

/// Looks at values that may own something.
pub(super) fn look(of: &impl Values, audit: &mut Audit, offset: u64, count: u64, depth: Depth) -> Result<()> {
    if of.may_own() && count > 0 { of.audit(audit, offset, count, depth) } else { Ok(()) }
}

/// Reports what kept a collection from being looked at.
pub(super) fn tell(audit: &mut Audit, offset: u64, looked: Result<()>) {
    if let Err(error) = looked {
        audit.failed(offset, &error);
    }
}

/// Claims the block of a collection's header. Nothing is to be looked at for null, or if that failed.
pub(super) fn owns_header<H>(audit: &mut Audit, offset: u64) -> bool {
    offset != 0 && audit.owns(offset, size_of::<H>() as u64, align_of::<H>() as u64)
}

/// Claims the memory of elements.
fn owns_array(audit: &mut Audit, of: Extent, data: u64, capacity: u64) -> bool {
    capacity == 0 || audit.owns(data, of.times(capacity), of.align)
}

/// A `PVec`, by the offset of its header.
pub(crate) fn vec(on: &impl Reader, audit: &mut Audit, offset: u64, of: &impl Values, depth: Depth) {
    if !owns_header::<VecHeader>(audit, offset) {
        return;
    }
    let looked = (|| {
        let VecHeader { len, capacity, data } = vec_header(on, offset, of.extent())?;
        of.extent().bytes(on, data, len)?;
        let depth = depth.deeper(on)?;
        if owns_array(audit, of.extent(), data, capacity) {
            look(of, audit, data, len, depth)
        } else {
            Ok(())
        }
    })();
    tell(audit, offset, looked);
}

/// A `PVecDeque`, by the offset of its header.
pub(crate) fn deque(on: &impl Reader, audit: &mut Audit, offset: u64, of: &impl Values, depth: Depth) {
    if !owns_header::<DequeHeader>(audit, offset) {
        return;
    }
    let looked = (|| {
        let header = deque_header(on, offset, of.extent())?;
        let pieces = deque_pieces(&header, of.extent());
        for (data, len) in pieces {
            of.extent().bytes(on, data, len)?;
        }
        let depth = depth.deeper(on)?;
        if owns_array(audit, of.extent(), header.data, header.capacity) {
            for (data, len) in pieces {
                look(of, audit, data, len, depth)?;
            }
        }
        Ok(())
    })();
    tell(audit, offset, looked);
}

/// A `PSlab`, by the offset of its header.
pub(crate) fn slab(on: &impl Reader, audit: &mut Audit, offset: u64, of: &impl Values, depth: Depth) {
    if !owns_header::<SlabHeader>(audit, offset) {
        return;
    }
    let looked = (|| {
        let header = slab_header(on, offset)?;
        let SlabHeader { len, used, capacity, links, values, .. } = header;
        let link_of: &[u64] = on.slice(PSlice::from_raw_parts(links, used))?;
        of.extent().bytes(on, values, used)?;
        let slab = PSlab::<()>::from_header(PPtr::from_offset(offset));
        let has_whole_list = slab.has_whole_list(on, &header)?;
        let depth = depth.deeper(on)?;
        let occupied = (0..).zip(link_of).filter(|(_, link)| **link == OCCUPIED).map(|(id, _)| id);
        let found = occupied.clone().count() as u64;
        if found != len {
            let counts = format!("{found} values of {len}, {used} slots used");
            audit.broken("INV-C5", offset, counts);
        }
        if !has_whole_list {
            audit.broken("INV-C6", offset, format!("free slots from {} on", header.free_head));
        }
        let is_links_owned = owns_array(audit, Extent::of::<u64>(), links, capacity);
        if owns_array(audit, of.extent(), values, capacity) && is_links_owned && of.may_own() {
            for id in occupied {
                look(of, audit, of.extent().element(values, id), 1, depth)?;
            }
        }
        Ok(())
    })();
    tell(audit, offset, looked);
}

/// A `PCell`, by the offset of its value.
pub(crate) fn cell(on: &impl Reader, audit: &mut Audit, offset: u64, of: &impl Values, depth: Depth) {
    let Extent { size, align } = of.extent();
    if offset != 0 && audit.owns(offset, size, align) {
        let looked = depth.deeper(on).and_then(|depth| look(of, audit, offset, 1, depth));
        tell(audit, offset, looked);
    }
}

/// A `POption`, by the offset of its value.
pub(crate) fn option(on: &impl Reader, audit: &mut Audit, offset: u64, of: &impl Values, depth: Depth) {
    let len = option_flag(of.extent()).saturating_add(8);
    if offset == 0 || !audit.owns(offset, len, aligned(of.extent().align, 8)) {
        return;
    }
    let looked = (|| {
        let depth = depth.deeper(on)?;
        let is_some = option_is_some(on, offset, of.extent())?;
        if is_some { look(of, audit, offset, 1, depth) } else { Ok(()) }
    })();
    tell(audit, offset, looked);
}
