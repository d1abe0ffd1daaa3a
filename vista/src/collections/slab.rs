//! Values that keep their number. Start at [`PSlab::insert`].

use std::iter::{Enumerate, FusedIterator, Zip};
use std::slice;

use crate::collections::audit::{self, Typed};
use crate::collections::handle::handle;
use crate::collections::layout::{OCCUPIED, SlabHeader};
use crate::collections::vec::{allocate, bytes_of, deallocate, element, first_capacity};
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::{Describer, PPtr, PSlice, Persistent, Reader, Writer, field};

handle! {
    /// Values that keep their number, their *id*, until they are removed: the `slab` crate's `Slab`, in a segment.
    ///
    /// ```
    /// use vista::{PSlab, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<[u8; 8]>>()?;
    /// let ada = segment.transaction(|tx| -> vista::Result<u64> {
    ///     let names = PSlab::or_new(tx, tx.root_ptr())?;
    ///     let ada = names.insert(tx, *b"Ada.....")?;
    ///     let bob = names.insert(tx, *b"Bob.....")?;
    ///     assert_eq!(names.remove(tx, ada)?, *b"Ada.....");
    ///     assert_eq!(names.get(tx, bob)?, Some(b"Bob....."));
    ///     names.insert(tx, *b"Ada L...") // Takes the free id.
    /// })?;
    /// let names = *segment.root()?;
    /// assert_eq!((ada, names.len(&segment)?), (0, 2));
    /// let all: Vec<(u64, &[u8; 8])> = names.iter(&segment)?.collect();
    /// assert_eq!(all, [(0, b"Ada L..."), (1, b"Bob.....")]);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// An id is free again when its value is removed, and the next value takes it: whoever keeps ids of values that others
    /// remove has to know by the value whether it is still the same.
    ///
    /// # Cost
    /// Reading checks one word, that there is a value, and follows two pointers. An insertion logs 16 bytes of header, and
    /// the 8 of its word if the place was in use before; a removal the same 24. Growing doubles the capacity: the values are copied once, into
    /// memory that is not logged.
    ///
    /// # A crash in the middle
    /// leaves the slab as it was before the transaction: each value under its id, and what was inserted is not there.
    PSlab<T> of SlabHeader, described as "PSlab"
}

const HEADER_ALIGN: u64 = align_of::<SlabHeader>() as u64;
const HEADER_LEN: u64 = size_of::<SlabHeader>() as u64;

/// Capacity of a slab that grows for the first time.
const fn least_capacity<T>() -> u64 {
    let capacity = first_capacity::<T>();
    if capacity > 8 { 8 } else { capacity } // As many links as fit in 64 bytes.
}

impl SlabHeader {
    const EMPTY: Self = SlabHeader { free_head: 0, len: 0, used: 0, capacity: 0, links: 0, values: 0 };

    /// The links of all slots that are in use, or were.
    fn used_links(&self) -> PSlice<u64> {
        PSlice::from_raw_parts(self.links, self.used)
    }

    #[inline]
    fn link(&self, id: u64) -> PPtr<u64> {
        element(self.links, id)
    }

    #[inline]
    fn value<T>(&self, id: u64) -> PPtr<T> {
        element(self.values, id)
    }
}

impl<T: Persistent> PSlab<T> {
    /// Makes an empty slab. Memory for values comes with the first of them.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let slab = PSlab::new(tx)?;
    /// *tx.root_mut()? = slab; // What nothing holds can never be released.
    /// assert_eq!(slab.insert(tx, 7)?, 0);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`](crate::Error::NoSpace) if the segment is full.
    pub fn new(tx: &mut impl Writer) -> Result<Self> {
        Self::with_capacity(tx, 0)
    }

    /// Makes an empty slab with room for `capacity` values.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let slab = PSlab::with_capacity(tx, 100)?;
    /// *tx.root_mut()? = slab;
    /// assert_eq!((slab.len(tx)?, slab.capacity(tx)?), (0, 100));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](PSlab::new).
    pub fn with_capacity(tx: &mut impl Writer, capacity: usize) -> Result<Self> {
        let header = PPtr::from_offset(tx.alloc_block(HEADER_LEN, HEADER_ALIGN)?);
        let capacity = capacity as u64;
        let (links, values) = (allocate::<u64>(tx, capacity)?, allocate::<T>(tx, capacity)?);
        tx.store_spare(header, SlabHeader { capacity, links, values, ..SlabHeader::EMPTY })?;
        Ok(Self::from_header(header))
    }

    /// The slab that a field holds; if it holds none yet, makes one and stores it there.
    ///
    /// A crash leaves the field null again, and the slab's memory free.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let slab = PSlab::or_new(tx, tx.root_ptr())?;
    /// let id = slab.insert(tx, 7)?;
    /// let same = PSlab::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(same.get(tx, id)?, Some(&7));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](PSlab::new), and [`Error::BadPointer`](crate::Error::BadPointer) if `field` leads to no field.
    pub fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self> {
        Self::or_make(tx, field, Self::new)
    }

    /// The header, its fields in agreement; that of an empty slab for null.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::collections) fn load(self, on: &impl Reader) -> Result<SlabHeader> {
        if self.is_null() { Ok(SlabHeader::EMPTY) } else { self.load_to_write(on) }
    }

    /// The header of a slab that is written to.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn load_to_write(self, on: &impl Reader) -> Result<SlabHeader> {
        let header = *on.get(self.header)?; // Null is an error here.
        if header.used > header.capacity {
            return Err(on.damaged(self.offset(), "slab: used slots", header.used, "at most the capacity"));
        }
        if header.len > header.used {
            return Err(on.damaged(self.offset(), "slab: length", header.len, "at most the used slots"));
        }
        Ok(header)
    }

    /// Number of values.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let slab = PSlab::or_new(tx, tx.root_ptr())?;
    /// let id = slab.insert(tx, 7)?;
    /// slab.insert(tx, 8)?;
    /// slab.remove(tx, id)?;
    /// assert_eq!(slab.len(tx)?, 1);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if the header is not sound.
    pub fn len(self, on: &impl Reader) -> Result<usize> {
        Ok(self.load(on)?.len as usize)
    }

    /// Whether there are no values.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let slab = PSlab::or_new(tx, tx.root_ptr())?;
    /// assert!(slab.is_empty(tx)?);
    /// slab.insert(tx, 7)?;
    /// assert!(!slab.is_empty(tx)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`len`](PSlab::len).
    pub fn is_empty(self, on: &impl Reader) -> Result<bool> {
        Ok(self.load(on)?.len == 0)
    }

    /// Number of values for which there is memory.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let slab = PSlab::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(slab.capacity(tx)?, 0);
    /// slab.insert(tx, 7)?;
    /// assert_eq!(slab.capacity(tx)?, 8);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`len`](PSlab::len).
    pub fn capacity(self, on: &impl Reader) -> Result<usize> {
        Ok(self.load(on)?.capacity as usize)
    }

    /// The id that the next [`insert`](PSlab::insert) will give, for a value that is to know its own.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<[u64; 2]>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let slab = PSlab::or_new(tx, tx.root_ptr())?;
    ///     let id = slab.vacant_key(tx)?;
    ///     assert_eq!(slab.insert(tx, [id, 7])?, id);
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PSlab::get).
    pub fn vacant_key(self, on: &impl Reader) -> Result<u64> {
        let header = self.load(on)?;
        Ok(self.free_slot(on, &header)?.map_or(header.used, |(id, _)| id))
    }

    /// The first slot of the free list, and the link that it has. A list that is damaged is not taken for one: it leads to
    /// slots that are in use, or behind those that ever were.
    #[inline]
    fn free_slot(self, on: &impl Reader, header: &SlabHeader) -> Result<Option<(u64, u64)>> {
        let Some(id) = header.free_head.checked_sub(1) else { return Ok(None) };
        if id >= header.used || header.len == header.used {
            return Err(on.damaged(
                self.offset(),
                "slab: first free slot",
                id,
                "a free slot among those in use",
            ));
        }
        match *on.get(header.link(id))? {
            OCCUPIED => {
                Err(on.damaged(header.link(id).offset(), "slab: link", OCCUPIED, "that of a free slot"))
            }
            next => Ok(Some((id, next))),
        }
    }

    /// Where the value `id` stands, if there is one.
    #[inline]
    fn find(self, on: &impl Reader, header: &SlabHeader, id: u64) -> Result<Option<PPtr<T>>> {
        if id >= header.used || *on.get(header.link(id))? != OCCUPIED {
            return Ok(None);
        }
        Ok(Some(header.value(id)))
    }

    /// Where the value `id` lies: for what takes a pointer. It is good until the slab grows, or the value is removed.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let slab = PSlab::or_new(tx, tx.root_ptr())?;
    /// let id = slab.insert(tx, 7)?;
    /// let place = slab.place(tx, id)?.unwrap();
    /// tx.write(place, 8)?;
    /// assert_eq!(slab.get(tx, id)?, Some(&8));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PSlab::get).
    #[inline]
    pub fn place(self, on: &impl Reader, id: u64) -> Result<Option<PPtr<T>>> {
        let header = self.load(on)?;
        self.find(on, &header, id)
    }

    /// The value `id`, if there is one.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let slab = PSlab::or_new(tx, tx.root_ptr())?;
    /// let id = slab.insert(tx, 7)?;
    /// *slab.get_mut(tx, id)?.unwrap() += 1;
    /// assert_eq!((slab.get(tx, id)?, slab.contains(tx, id + 1)?), (Some(&8), false));
    /// assert_eq!((slab.set(tx, id, 9)?, slab.try_remove(tx, id)?, slab.try_remove(tx, id)?), (8, Some(9), None));
    /// assert!(slab.remove(tx, id).is_err()); // Where the crate panics.
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) or [`Error::BadPointer`](crate::Error::BadPointer) if the header is not
    /// sound.
    #[inline]
    pub fn get<A: Reader>(self, on: &A, id: u64) -> Result<Option<&T>> {
        match self.place(on, id)? {
            Some(place) => on.get(place).map(Some),
            None => Ok(None),
        }
    }

    /// Whether there is a value `id`.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let slab = PSlab::or_new(tx, tx.root_ptr())?;
    /// let id = slab.insert(tx, 7)?;
    /// assert!(slab.contains(tx, id)? && !slab.contains(tx, id + 1)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PSlab::get).
    pub fn contains(self, on: &impl Reader, id: u64) -> Result<bool> {
        Ok(self.place(on, id)?.is_some())
    }

    /// An iterator over ids and values, by id. It looks at every slot that was ever used since the last
    /// [`clear`](PSlab::clear).
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let slab = PSlab::or_new(tx, tx.root_ptr())?;
    /// for value in [10, 11, 12] {
    ///     slab.insert(tx, value)?;
    /// }
    /// slab.remove(tx, 1)?;
    /// assert!(slab.iter(tx)?.eq([(0, &10), (2, &12)]));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PSlab::get); the iterator itself meets none.
    pub fn iter<A: Reader>(self, on: &A) -> Result<Iter<'_, T>> {
        let header = self.load(on)?;
        let links = on.slice(header.used_links())?;
        let values = on.slice(PSlice::from_raw_parts(header.values, header.used))?;
        Ok(Iter { slots: links.iter().zip(values).enumerate() })
    }

    /// Lends the value `id` for writing; logs it alone.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let slab = PSlab::or_new(tx, tx.root_ptr())?;
    /// let id = slab.insert(tx, 7)?;
    /// *slab.get_mut(tx, id)?.unwrap() += 1;
    /// assert_eq!(slab.get(tx, id)?, Some(&8));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PSlab::get), and [`Error::NoSpace`](crate::Error::NoSpace) if the log has no room.
    #[inline]
    pub fn get_mut<W: Writer>(self, tx: &mut W, id: u64) -> Result<Option<&mut T>> {
        let header = self.load_to_write(tx)?;
        match self.find(tx, &header, id)? {
            Some(place) => tx.get_mut(place).map(Some),
            None => Ok(None),
        }
    }

    /// Inserts a value, and returns its id: that of the value that was removed last, or else the next one.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let slab = PSlab::or_new(tx, tx.root_ptr())?;
    /// let (first, second) = (slab.insert(tx, 10)?, slab.insert(tx, 11)?);
    /// slab.remove(tx, first)?;
    /// assert_eq!(slab.insert(tx, 12)?, first); // The id is given again.
    /// assert_eq!(slab.insert(tx, 13)?, second + 1);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`](crate::Error::NoSpace); [`Error::NullPointer`](crate::Error::NullPointer) for the null handle;
    /// [`Error::Damaged`](crate::Error::Damaged) if the header or the list of free slots is not sound.
    #[inline]
    pub fn insert(self, tx: &mut impl Writer, value: T) -> Result<u64> {
        let mut header = self.load_to_write(tx)?;
        let is_spare = !tx.has_vacated(self.offset());
        if let Some((id, next)) = self.free_slot(tx, &header)? {
            // A value may have stood there in this transaction. The link stood in the list of free slots.
            tx.put(is_spare, header.value(id), value)?;
            tx.write(header.link(id), OCCUPIED)?;
            tx.write(field!(self.header, SlabHeader, free_head).cast(), [next, header.len + 1])?;
            return Ok(id);
        }
        if header.used == header.capacity {
            header = self.grow(tx, header, 1)?;
        }
        let id = header.used;
        tx.put(is_spare, header.value(id), value)?;
        tx.put(is_spare, header.link(id), OCCUPIED)?;
        tx.write(field!(self.header, SlabHeader, len).cast(), [header.len + 1, id + 1])?;
        Ok(id)
    }

    /// Stores a value in the place of another, and returns that one.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let slab = PSlab::or_new(tx, tx.root_ptr())?;
    /// let id = slab.insert(tx, 7)?;
    /// assert_eq!(slab.set(tx, id, 8)?, 7);
    /// assert!(slab.set(tx, id + 1, 9).is_err());
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`](crate::Error::OutOfBounds) if there is no value `id`; and as [`get_mut`](PSlab::get_mut).
    pub fn set(self, tx: &mut impl Writer, id: u64, value: T) -> Result<T> {
        let header = self.load_to_write(tx)?;
        let Some(place) = self.find(tx, &header, id)? else {
            return Err(tx.out_of_bounds(id, header.used));
        };
        let old = *tx.get(place)?;
        tx.write(place, value)?;
        Ok(old)
    }

    /// Removes the value `id` and returns it. It belongs to the caller now.
    ///
    /// A crash leaves it under its id.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let slab = PSlab::or_new(tx, tx.root_ptr())?;
    /// let id = slab.insert(tx, 7)?;
    /// assert_eq!(slab.remove(tx, id)?, 7);
    /// assert!(slab.remove(tx, id).is_err()); // Where the crate panics.
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`](crate::Error::OutOfBounds) if there is none; and as [`insert`](PSlab::insert).
    pub fn remove(self, tx: &mut impl Writer, id: u64) -> Result<T> {
        match self.try_remove(tx, id)? {
            Some(value) => Ok(value),
            None => Err(tx.out_of_bounds(id, self.load(tx)?.used)),
        }
    }

    /// Removes the value `id` and returns it, if there is one. It belongs to the caller now.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let slab = PSlab::or_new(tx, tx.root_ptr())?;
    /// let id = slab.insert(tx, 7)?;
    /// assert_eq!((slab.try_remove(tx, id)?, slab.try_remove(tx, id)?), (Some(7), None));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PSlab::insert).
    #[inline]
    pub fn try_remove(self, tx: &mut impl Writer, id: u64) -> Result<Option<T>> {
        let header = self.load_to_write(tx)?;
        let Some(place) = self.find(tx, &header, id)? else { return Ok(None) };
        let value = *tx.get(place)?;
        let Some(len) = header.len.checked_sub(1) else {
            return Err(tx.damaged(self.offset(), "slab: length", 0, "the number of its values"));
        };
        tx.vacate(self.offset());
        tx.write(header.link(id), header.free_head)?;
        tx.write(field!(self.header, SlabHeader, free_head).cast(), [id + 1, len])?;
        Ok(Some(value))
    }

    /// Keeps the values for which `keep` is true. The others are removed and released.
    ///
    /// After a crash the others are there again, with all that they own.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let slab = PSlab::or_new(tx, tx.root_ptr())?;
    /// for value in [10, 11, 12] {
    ///     slab.insert(tx, value)?;
    /// }
    /// slab.retain(tx, |id, value| id == 0 || *value == 12)?;
    /// assert!(slab.iter(tx)?.eq([(0, &10), (2, &12)]));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`try_remove`](PSlab::try_remove), and of releasing a value.
    pub fn retain(self, tx: &mut impl Writer, mut keep: impl FnMut(u64, &T) -> bool) -> Result<()> {
        let used = self.load_to_write(tx)?.used;
        for id in 0..used {
            let Some(place) = self.place(tx, id)? else { continue };
            if !keep(id, tx.get(place)?)
                && let Some(value) = self.try_remove(tx, id)?
            {
                value.release(tx, Depth::default())?;
            }
        }
        Ok(())
    }

    /// Removes all values and returns them, by id. They belong to the caller now. Ids begin anew with 0; the memory is kept.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let slab = PSlab::or_new(tx, tx.root_ptr())?;
    ///     for value in [10, 11, 12] {
    ///         slab.insert(tx, value)?;
    ///     }
    ///     slab.retain(tx, |id, _| id != 1)?;
    ///     assert_eq!(slab.drain(tx)?, [10, 12]);
    ///     assert!(slab.is_empty(tx)?);
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PSlab::insert).
    pub fn drain(self, tx: &mut impl Writer) -> Result<Vec<T>> {
        self.load_to_write(tx)?;
        let values = self.iter(tx)?.map(|(_, value)| *value).collect();
        self.forget_all(tx)?;
        Ok(values)
    }

    /// Removes and releases all values. Ids begin anew with 0; the memory is kept.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let slab = PSlab::or_new(tx, tx.root_ptr())?;
    /// slab.insert(tx, 7)?;
    /// slab.clear(tx)?;
    /// assert_eq!((slab.len(tx)?, slab.capacity(tx)?), (0, 8));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`retain`](PSlab::retain).
    pub fn clear(self, tx: &mut impl Writer) -> Result<()> {
        let header = self.load_to_write(tx)?;
        self.release_values(tx, &header, Depth::default())?;
        self.forget_all(tx)
    }

    /// Makes room for `additional` values more, at least.
    ///
    /// ```
    /// # use vista::{PSlab, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let slab = PSlab::or_new(tx, tx.root_ptr())?;
    /// slab.reserve(tx, 100)?;
    /// assert!(slab.capacity(tx)? >= 100);
    /// slab.insert(tx, 7)?;
    /// slab.clear(tx)?;
    /// assert_eq!((slab.len(tx)?, slab.vacant_key(tx)?), (0, 0));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PSlab::insert).
    pub fn reserve(self, tx: &mut impl Writer, additional: usize) -> Result<()> {
        let header = self.load_to_write(tx)?;
        if additional as u64 > header.capacity - header.len {
            // The free slots among the used ones count as well.
            self.grow(tx, header, (additional as u64).saturating_sub(header.used - header.len))?;
        }
        Ok(())
    }

    /// No slot is used.
    fn forget_all(self, tx: &mut impl Writer) -> Result<()> {
        tx.vacate(self.offset());
        tx.write(field!(self.header, SlabHeader, free_head).cast(), [0u64; 3])
    }

    /// Grows to at least `additional` slots more than are used, and at least doubles.
    #[cold]
    fn grow(self, tx: &mut impl Writer, header: SlabHeader, additional: u64) -> Result<SlabHeader> {
        let least = header.used.saturating_add(additional);
        let capacity = least.max(header.capacity.saturating_mul(2)).max(least_capacity::<T>());
        let (links, values) = (allocate::<u64>(tx, capacity)?, allocate::<T>(tx, capacity)?);
        tx.copy_to_spare(header.links, links, bytes_of::<u64>(header.used))?;
        tx.copy_to_spare(header.values, values, bytes_of::<T>(header.used))?;
        deallocate::<u64>(tx, header.links, header.capacity)?;
        deallocate::<T>(tx, header.values, header.capacity)?;
        let header = SlabHeader { capacity, links, values, ..header };
        tx.write(self.header, header)?;
        Ok(header)
    }

    /// Releases what the values own.
    fn release_values(self, tx: &mut impl Writer, header: &SlabHeader, depth: Depth) -> Result<()> {
        if T::OWNS {
            for id in 0..header.used {
                if let Some(place) = self.find(tx, header, id)? {
                    let value = *tx.get(place)?;
                    value.release(tx, depth)?;
                }
            }
        }
        Ok(())
    }

    /// Whether the list of free slots has each of them once. A list that comes to a slot again never ends.
    pub(super) fn has_whole_list(self, on: &impl Reader, header: &SlabHeader) -> Result<bool> {
        let links = on.slice(header.used_links())?;
        let (mut next, mut count) = (header.free_head, 0);
        let free = header.used - header.len;
        while let Some(id) = next.checked_sub(1) {
            match links.get(id as usize) {
                Some(&link) if link != OCCUPIED && count < free => (next, count) = (link, count + 1),
                _ => return Ok(false),
            }
        }
        Ok(count == free)
    }
}

/// An iterator over the ids and values of a [`PSlab`], by id: see [`PSlab::iter`].
///
/// ```
/// # use vista::{PSlab, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlab<u64>>()?;
/// # segment.transaction(|tx| -> vista::Result<()> {
/// # let slab = PSlab::or_new(tx, tx.root_ptr())?;
/// slab.insert(tx, 10)?;
/// slab.insert(tx, 11)?;
/// let mut all = slab.iter(tx)?;
/// assert_eq!((all.next(), all.next(), all.next()), (Some((0, &10)), Some((1, &11)), None));
/// # Ok(())
/// # })?;
/// # Ok::<_, vista::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Iter<'a, T> {
    slots: Enumerate<Zip<slice::Iter<'a, u64>, slice::Iter<'a, T>>>,
}

/// The value of a slot, if it has one.
#[inline]
fn occupied<'a, T>((id, (link, value)): (usize, (&u64, &'a T))) -> Option<(u64, &'a T)> {
    (*link == OCCUPIED).then_some((id as u64, value))
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = (u64, &'a T);

    #[inline]
    fn next(&mut self) -> Option<(u64, &'a T)> {
        self.slots.find_map(occupied)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.slots.size_hint().1)
    }
}

impl<'a, T> DoubleEndedIterator for Iter<'a, T> {
    #[inline]
    fn next_back(&mut self) -> Option<(u64, &'a T)> {
        while let Some(slot) = self.slots.next_back() {
            if let Some(found) = occupied(slot) {
                return Some(found);
            }
        }
        None
    }
}

impl<T> FusedIterator for Iter<'_, T> {}

impl<T: Persistent> Persistent for PSlab<T> {
    const OWNS: bool = true;

    fn describe(describer: &mut Describer) -> String {
        ["PSlab<", &T::describe(describer), ">"].concat()
    }

    fn release(&self, tx: &mut impl Writer, depth: Depth) -> Result<()> {
        if self.is_null() {
            return Ok(());
        }
        let depth = depth.deeper(tx)?;
        let header = self.load(tx)?;
        self.release_values(tx, &header, depth)?;
        deallocate::<u64>(tx, header.links, header.capacity)?;
        deallocate::<T>(tx, header.values, header.capacity)?;
        tx.free_block(self.offset(), HEADER_LEN, HEADER_ALIGN)
    }

    fn audit(&self, on: &impl Reader, audit: &mut Audit, depth: Depth) {
        audit::slab(on, audit, self.offset(), &Typed::<_, T>::new(on), depth);
    }
}
