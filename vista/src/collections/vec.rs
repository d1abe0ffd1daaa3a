//! A growable array. Start at [`PVec::new`] and [`PVec::push`].

use std::ops::{Bound, Range, RangeBounds};
use std::slice;

use crate::collections::audit::{self, Typed};
use crate::collections::handle::handle;
use crate::collections::layout::VecHeader;
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::persistent::align_bytes_of;
use crate::{Describer, PPtr, PSlice, Persistent, Reader, Writer, field};

handle! {
    /// A growable array: std's `Vec`, in a segment.
    ///
    /// ```
    /// use vista::{PVec, Segment};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("numbers");
    /// let mut segment = Segment::<PVec<u64>>::open_or_create(&path, 1 << 20)?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let numbers = PVec::or_new(tx, tx.root_ptr())?;
    ///     numbers.push(tx, 1)?;
    ///     numbers.extend(tx, 2..=4)?;
    ///     *numbers.get_mut(tx, 0)?.unwrap() = 10;
    ///     Ok(())
    /// })?;
    /// let numbers = *segment.root()?;
    /// assert_eq!(numbers.as_slice(&segment)?, [10, 2, 3, 4]);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Cost
    /// Reading is one check of bounds more than a slice. `push` logs 8 bytes of header; the element only in a transaction that
    /// has taken others out before. Growing doubles the capacity: the elements are copied once, into memory that is not logged.
    ///
    /// # A crash in the middle
    /// leaves the vector as it was before the transaction: what was pushed is not there, what was removed is.
    PVec<T> of VecHeader, described as "PVec"
}

const HEADER_ALIGN: u64 = align_of::<VecHeader>() as u64;
const HEADER_LEN: u64 = size_of::<VecHeader>() as u64;

/// The first capacity of a vector that grows by itself: as much as fits in 64 bytes, at least one element.
pub(super) const fn first_capacity<T>() -> u64 {
    match size_of::<T>() as u64 {
        0 => u64::MAX,
        size if size <= 16 => 64 / size,
        size if size <= 1024 => 4,
        _ => 1,
    }
}

impl<T: Persistent> PVec<T> {
    /// Makes an empty vector. Memory for elements comes with the first of them.
    ///
    /// ```
    /// use vista::{PVec, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<PVec<u64>>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let rows = PVec::new(tx)?;
    ///     for row in [[1, 2], [3, 4]] {
    ///         let row = PVec::from_slice(tx, &row)?;
    ///         rows.push(tx, row)?;
    ///     }
    ///     *tx.root_mut()? = rows; // What nothing holds can never be released.
    ///     Ok(())
    /// })?;
    /// let rows = *segment.root()?;
    /// assert_eq!(rows.last(&segment)?.unwrap().as_slice(&segment)?, [3, 4]);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`](crate::Error::NoSpace) if the segment is full.
    pub fn new(tx: &mut impl Writer) -> Result<Self> {
        Self::with_capacity(tx, 0)
    }

    /// Makes an empty vector with room for `capacity` elements.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let numbers = PVec::with_capacity(tx, 100)?;
    /// *tx.root_mut()? = numbers;
    /// numbers.extend(tx, 0..100)?; // Without growing.
    /// assert_eq!((numbers.len(tx)?, numbers.capacity(tx)?), (100, 100));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](PVec::new).
    pub fn with_capacity(tx: &mut impl Writer, capacity: usize) -> Result<Self> {
        let header = PPtr::from_offset(tx.alloc_block(HEADER_LEN, HEADER_ALIGN)?);
        let data = allocate::<T>(tx, capacity as u64)?;
        tx.store_spare(header, VecHeader { len: 0, capacity: capacity as u64, data })?;
        Ok(Self::from_header(header))
    }

    /// Makes a vector of copies of these elements. Of elements that own others, the handles are copied.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let numbers = PVec::from_slice(tx, &[1, 2, 3])?;
    /// *tx.root_mut()? = numbers;
    /// assert_eq!(numbers.as_slice(tx)?, [1, 2, 3]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](PVec::new).
    pub fn from_slice(tx: &mut impl Writer, elements: &[T]) -> Result<Self> {
        let vec = Self::with_capacity(tx, elements.len())?;
        vec.extend_from_slice(tx, elements)?;
        Ok(vec)
    }

    /// The vector that a field holds; if it holds none yet, makes one and stores it there.
    ///
    /// A crash leaves the field null again, and the vector's memory free.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.push(tx, 1)?;
    /// let same = PVec::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(same.as_slice(tx)?, [1]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](PVec::new), and [`Error::BadPointer`](crate::Error::BadPointer) if `field` leads to no field.
    pub fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self> {
        Self::or_make(tx, field, Self::new)
    }

    /// The header, its fields in agreement; that of an empty vector for null.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::collections) fn load(self, on: &impl Reader) -> Result<VecHeader> {
        match self.is_null() {
            true => Ok(VecHeader { len: 0, capacity: 0, data: 0 }),
            false => self.load_to_write(on),
        }
    }

    /// The header of a vector that is written to.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn load_to_write(self, on: &impl Reader) -> Result<VecHeader> {
        let header = *on.get(self.header)?; // Null is an error here.
        if header.len > room::<T>(on, header.capacity) {
            return Err(on.damaged(self.offset(), "vector: length", header.len, "at most the capacity"));
        }
        Ok(header)
    }

    /// Number of elements.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, [5, 6])?;
    /// assert_eq!(numbers.len(tx)?, 2);
    /// assert_eq!(PVec::<u64>::null().len(tx)?, 0);
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

    /// Whether there are no elements.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// assert!(numbers.is_empty(tx)?);
    /// numbers.push(tx, 5)?;
    /// assert!(!numbers.is_empty(tx)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`len`](PVec::len).
    pub fn is_empty(self, on: &impl Reader) -> Result<bool> {
        Ok(self.load(on)?.len == 0)
    }

    /// Number of elements for which there is memory.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(numbers.capacity(tx)?, 0);
    /// numbers.push(tx, 5)?;
    /// assert_eq!(numbers.capacity(tx)?, 8); // As many as fit in 64 bytes.
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`len`](PVec::len).
    pub fn capacity(self, on: &impl Reader) -> Result<usize> {
        Ok(self.load(on)?.capacity as usize)
    }

    /// All elements.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, [1, 2, 3])?;
    /// let all: &[u64] = numbers.as_slice(tx)?;
    /// assert_eq!(all.iter().max(), Some(&3));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) or [`Error::BadPointer`](crate::Error::BadPointer) if the header is not
    /// sound.
    #[inline]
    pub fn as_slice<A: Reader>(self, on: &A) -> Result<&[T]> {
        let header = self.load(on)?;
        on.slice(PSlice::from_raw_parts(header.data, header.len))
    }

    /// An iterator over the elements.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, [1, 2, 3])?;
    /// let doubled: Vec<u64> = numbers.iter(tx)?.map(|n| n * 2).collect();
    /// assert_eq!(doubled, [2, 4, 6]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slice`](PVec::as_slice); the iterator itself meets none.
    pub fn iter<A: Reader>(self, on: &A) -> Result<slice::Iter<'_, T>> {
        Ok(self.as_slice(on)?.iter())
    }

    /// The element at `index`, or `None` behind the end.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend_from_slice(tx, &[1, 2, 3])?;
    /// assert_eq!((numbers.get(tx, 1)?, numbers.get(tx, 3)?), (Some(&2), None));
    /// assert_eq!((numbers.first(tx)?, numbers.last(tx)?), (Some(&1), Some(&3)));
    /// assert!(numbers.contains(tx, &3)? && numbers.iter(tx)?.sum::<u64>() == 6);
    /// assert_eq!((numbers.len(tx)?, numbers.is_empty(tx)?), (3, false));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slice`](PVec::as_slice).
    #[inline]
    pub fn get<A: Reader>(self, on: &A, index: usize) -> Result<Option<&T>> {
        match self.place(on, index)? {
            Some(place) => on.get(place).map(Some),
            None => Ok(None),
        }
    }

    /// Where the element at `index` lies: for what takes a pointer. It is good until the vector grows or shrinks.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend_from_slice(tx, &[1, 2, 3])?;
    /// let (first, last) = (numbers.place(tx, 0)?.unwrap(), numbers.place(tx, 2)?.unwrap());
    /// let (first, last) = tx.get_disjoint_mut((first, last))?; // Both at once, and one fence.
    /// std::mem::swap(first, last);
    /// assert_eq!(numbers.as_slice(tx)?, [3, 2, 1]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`len`](PVec::len).
    #[inline]
    pub fn place(self, on: &impl Reader, index: usize) -> Result<Option<PPtr<T>>> {
        let header = self.load(on)?;
        let is_inside = (index as u64) < header.len;
        Ok(is_inside.then(|| element(header.data, index as u64)))
    }

    /// The first element.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(numbers.first(tx)?, None);
    /// numbers.extend(tx, [5, 6])?;
    /// assert_eq!(numbers.first(tx)?, Some(&5));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slice`](PVec::as_slice).
    pub fn first<A: Reader>(self, on: &A) -> Result<Option<&T>> {
        self.get(on, 0)
    }

    /// The last element.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(numbers.last(tx)?, None);
    /// numbers.extend(tx, [5, 6])?;
    /// assert_eq!(numbers.last(tx)?, Some(&6));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slice`](PVec::as_slice).
    pub fn last<A: Reader>(self, on: &A) -> Result<Option<&T>> {
        match self.len(on)? {
            0 => Ok(None),
            len => self.get(on, len - 1),
        }
    }

    /// Whether an element equals `value`.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, [5, 6])?;
    /// assert!(numbers.contains(tx, &6)? && !numbers.contains(tx, &7)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slice`](PVec::as_slice).
    pub fn contains(self, on: &impl Reader, value: &T) -> Result<bool>
    where
        T: PartialEq,
    {
        Ok(self.as_slice(on)?.contains(value))
    }

    /// Lends the element at `index` for writing; logs it alone.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, [5, 6])?;
    /// *numbers.get_mut(tx, 1)?.unwrap() += 10;
    /// assert_eq!(numbers.as_slice(tx)?, [5, 16]);
    /// assert_eq!(numbers.get_mut(tx, 2)?, None);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slice`](PVec::as_slice), and [`Error::NoSpace`](crate::Error::NoSpace) if the log has no room.
    #[inline]
    pub fn get_mut<W: Writer>(self, tx: &mut W, index: usize) -> Result<Option<&mut T>> {
        let header = self.load_to_write(tx)?;
        let is_inside = (index as u64) < header.len;
        if is_inside { tx.get_mut(element(header.data, index as u64)).map(Some) } else { Ok(None) }
    }

    /// Logs all elements and lends them for writing.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, [3, 1, 2])?;
    /// numbers.as_mut_slice(tx)?.reverse();
    /// assert_eq!(numbers.as_slice(tx)?, [2, 1, 3]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](PVec::get_mut).
    pub fn as_mut_slice<W: Writer>(self, tx: &mut W) -> Result<&mut [T]> {
        let header = self.load_to_write(tx)?;
        tx.slice_mut(PSlice::from_raw_parts(header.data, header.len))
    }

    /// Stores an element, and returns the one that stood there.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend_from_slice(tx, &[1, 2, 3])?;
    /// assert_eq!(numbers.set(tx, 0, 10)?, 1);
    /// numbers.swap(tx, 0, 2)?;
    /// numbers.as_mut_slice(tx)?[1] = 20;
    /// assert_eq!(numbers.as_slice(tx)?, [3, 20, 10]);
    /// assert!(numbers.set(tx, 3, 40).is_err()); // Where std panics.
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`](crate::Error::OutOfBounds); and as [`get_mut`](PVec::get_mut).
    pub fn set(self, tx: &mut impl Writer, index: usize, value: T) -> Result<T> {
        let place = self.inside(tx, index)?;
        let old = *tx.get(place)?;
        tx.write(place, value)?;
        Ok(old)
    }

    /// Exchanges two elements.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, [1, 2, 3])?;
    /// numbers.swap(tx, 0, 2)?;
    /// assert_eq!(numbers.as_slice(tx)?, [3, 2, 1]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`set`](PVec::set).
    pub fn swap(self, tx: &mut impl Writer, a: usize, b: usize) -> Result<()> {
        let (a, b) = (self.inside(tx, a)?, self.inside(tx, b)?);
        let (at_a, at_b) = (*tx.get(a)?, *tx.get(b)?);
        tx.write(a, at_b)?;
        tx.write(b, at_a)
    }

    /// Appends an element.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.push(tx, 1)?;
    /// numbers.push(tx, 2)?;
    /// assert_eq!(numbers.as_slice(tx)?, [1, 2]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`](crate::Error::NoSpace); [`Error::NullPointer`](crate::Error::NullPointer) for the null handle;
    /// as [`len`](PVec::len).
    #[inline]
    pub fn push(self, tx: &mut impl Writer, value: T) -> Result<()> {
        let mut header = self.load_to_write(tx)?;
        if header.len == room::<T>(tx, header.capacity) {
            header = self.grow(tx, header, 1)?;
        }
        let place = element(header.data, header.len);
        // Behind a removal, another may have stood there when the transaction began.
        let is_spare = !tx.has_vacated(self.offset()) || planted!(PoppedElementAsSpare);
        tx.put(is_spare, place, value)?;
        tx.write(self.len_place(), header.len + 1)
    }

    /// Removes the last element and returns it.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.push(tx, 1)?;
    /// assert_eq!((numbers.pop(tx)?, numbers.pop(tx)?), (Some(1), None));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push`](PVec::push).
    pub fn pop(self, tx: &mut impl Writer) -> Result<Option<T>> {
        let header = self.load_to_write(tx)?;
        let Some(last) = header.len.checked_sub(1) else { return Ok(None) };
        let value = *tx.get(element(header.data, last))?;
        self.shorten(tx, last)?;
        Ok(Some(value))
    }

    /// Appends copies of elements.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend_from_slice(tx, &[1, 2])?;
    /// numbers.extend_from_slice(tx, &[3])?;
    /// assert_eq!(numbers.as_slice(tx)?, [1, 2, 3]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push`](PVec::push); nothing is appended then.
    pub fn extend_from_slice(self, tx: &mut impl Writer, elements: &[T]) -> Result<()> {
        let count = elements.len() as u64;
        let mut header = self.load_to_write(tx)?;
        if count > room::<T>(tx, header.capacity) - header.len {
            header = self.grow(tx, header, count)?;
        }
        let places = PSlice::from_raw_parts(element::<T>(header.data, header.len).offset(), count);
        tx.put_slice(!tx.has_vacated(self.offset()), places, elements)?;
        tx.write(self.len_place(), header.len + count)
    }

    /// Appends elements.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, (1..=5).filter(|n| n % 2 == 1))?;
    /// assert_eq!(numbers.as_slice(tx)?, [1, 3, 5]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push`](PVec::push); of those before the one that failed, some are appended.
    pub fn extend(self, tx: &mut impl Writer, elements: impl IntoIterator<Item = T>) -> Result<()> {
        let mut elements = elements.into_iter();
        self.reserve(tx, elements.size_hint().0)?;
        while let Some(piece) = next_piece(&mut elements) {
            self.extend_from_slice(tx, &piece)?;
        }
        Ok(())
    }

    /// Inserts an element at `index`, and moves those behind it; logs what moves.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, 1..=4)?;
    /// numbers.insert(tx, 1, 10)?;
    /// assert_eq!(numbers.as_slice(tx)?, [1, 10, 2, 3, 4]);
    /// assert_eq!((numbers.remove(tx, 0)?, numbers.swap_remove(tx, 1)?), (1, 2));
    /// assert_eq!(numbers.as_slice(tx)?, [10, 4, 3]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`](crate::Error::OutOfBounds) behind the end; and as [`push`](PVec::push).
    pub fn insert(self, tx: &mut impl Writer, index: usize, value: T) -> Result<()> {
        let (index, header) = (index as u64, self.load_to_write(tx)?);
        if index > header.len {
            return Err(tx.out_of_bounds(index, header.len));
        }
        let Some(last) = header.len.checked_sub(1).filter(|_| index < header.len) else {
            return self.push(tx, value);
        };
        let moved = *tx.get(element::<T>(header.data, last))?;
        self.push(tx, moved)?;
        let data = self.load(tx)?.data; // It may have grown.
        self.shift(tx, data, index..last, 1)?;
        tx.write(element(data, index), value)
    }

    /// Removes the element at `index` and returns it, and moves those behind it; logs what moves.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, [1, 2, 3])?;
    /// assert_eq!(numbers.remove(tx, 0)?, 1);
    /// assert_eq!(numbers.as_slice(tx)?, [2, 3]);
    /// assert!(numbers.remove(tx, 2).is_err()); // Where std panics.
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`set`](PVec::set).
    pub fn remove(self, tx: &mut impl Writer, index: usize) -> Result<T> {
        let place = self.inside(tx, index)?;
        let (index, header) = (index as u64, self.load_to_write(tx)?);
        let value = *tx.get(place)?;
        self.shift(tx, header.data, index + 1..header.len, -1)?;
        self.shorten(tx, header.len - 1)?;
        Ok(value)
    }

    /// Removes the element at `index` and returns it, and puts the last one in its place.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, [1, 2, 3])?;
    /// assert_eq!(numbers.swap_remove(tx, 0)?, 1);
    /// assert_eq!(numbers.as_slice(tx)?, [3, 2]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`set`](PVec::set).
    pub fn swap_remove(self, tx: &mut impl Writer, index: usize) -> Result<T> {
        let place = self.inside(tx, index)?;
        let last = self.pop(tx)?.expect("there is an element at `index`");
        if self.load(tx)?.len == index as u64 {
            return Ok(last);
        }
        let value = *tx.get(place)?;
        tx.write(place, last)?;
        Ok(value)
    }

    /// Moves the elements of `range` by `by` places; logs where they come to lie.
    fn shift(self, tx: &mut impl Writer, data: u64, range: Range<u64>, by: i64) -> Result<()> {
        let from = element::<T>(data, range.start).offset();
        let to = element::<T>(data, range.start.wrapping_add_signed(by)).offset();
        tx.copy_within(from, to, bytes_of::<T>(range.end - range.start))
    }

    /// Keeps the first `len` elements. Those behind are released.
    ///
    /// After a crash those elements are there again, with all that they own.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, [1, 2, 3])?;
    /// numbers.truncate(tx, 2)?;
    /// numbers.truncate(tx, 5)?; // There are fewer: nothing to do.
    /// assert_eq!(numbers.as_slice(tx)?, [1, 2]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`pop`](PVec::pop), and of releasing an element.
    pub fn truncate(self, tx: &mut impl Writer, len: usize) -> Result<()> {
        let header = self.load_to_write(tx)?;
        let len = len as u64;
        if len >= header.len {
            return Ok(());
        }
        release_range::<T>(tx, header.data, len..header.len, Depth::default())?;
        self.shorten(tx, len)
    }

    /// Removes and releases all elements; keeps the memory.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, [1, 2, 3])?;
    /// numbers.clear(tx)?;
    /// assert_eq!((numbers.len(tx)?, numbers.capacity(tx)?), (0, 8));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`truncate`](PVec::truncate).
    pub fn clear(self, tx: &mut impl Writer) -> Result<()> {
        self.truncate(tx, 0)
    }

    /// Makes the vector `len` elements long: releases what is too much, appends copies of `value` where it is too short.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.resize(tx, 3, 7)?;
    /// assert_eq!(numbers.as_slice(tx)?, [7, 7, 7]);
    /// numbers.truncate(tx, 1)?;
    /// numbers.clear(tx)?;
    /// assert!(numbers.capacity(tx)? >= 3); // The memory is kept.
    /// numbers.shrink_to_fit(tx)?;
    /// assert_eq!(numbers.capacity(tx)?, 0);
    /// numbers.reserve(tx, 100)?; // One growth instead of many.
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`truncate`](PVec::truncate) and [`push`](PVec::push).
    pub fn resize(self, tx: &mut impl Writer, len: usize, value: T) -> Result<()> {
        self.truncate(tx, len)?;
        let missing = len - self.len(tx)?;
        self.extend(tx, std::iter::repeat_n(value, missing))
    }

    /// Keeps the elements for which `keep` is true, in their order. The others are released. Logs what moves.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, 1..=6)?;
    /// numbers.retain(tx, |n| n % 3 != 0)?;
    /// assert_eq!(numbers.as_slice(tx)?, [1, 2, 4, 5]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`truncate`](PVec::truncate).
    pub fn retain(self, tx: &mut impl Writer, mut keep: impl FnMut(&T) -> bool) -> Result<()> {
        let header = self.load_to_write(tx)?;
        let mut kept = 0;
        for index in 0..header.len {
            let value = *tx.get(element::<T>(header.data, index))?;
            if !keep(&value) {
                value.release(tx, Depth::default())?;
                continue;
            }
            if kept < index {
                tx.write(element(header.data, kept), value)?;
            }
            kept += 1;
        }
        self.shorten(tx, kept)
    }

    /// Removes the elements of `range` and returns them. They belong to the caller now, and are not released.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, [5, 1, 4, 2, 3])?;
    /// assert_eq!(numbers.drain(tx, 1..3)?, [1, 4]);
    /// numbers.retain(tx, |n| n % 2 == 1)?;
    /// numbers.sort(tx)?;
    /// assert_eq!(numbers.as_slice(tx)?, [3, 5]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`remove`](PVec::remove).
    pub fn drain(self, tx: &mut impl Writer, range: impl RangeBounds<usize>) -> Result<Vec<T>> {
        let header = self.load_to_write(tx)?;
        let range = resolve(tx, &range, header.len)?;
        let count = range.end - range.start;
        if count == 0 {
            return Ok(Vec::new());
        }
        let drained = element::<T>(header.data, range.start).offset();
        let values = tx.slice(PSlice::<T>::from_raw_parts(drained, count))?.to_vec();
        self.shift(tx, header.data, range.end..header.len, -(count as i64))?;
        self.shorten(tx, header.len - count)?;
        Ok(values)
    }

    /// Sorts the elements; logs them all. Equal ones keep their order.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, [3, 1, 2])?;
    /// numbers.sort(tx)?;
    /// assert_eq!(numbers.as_slice(tx)?, [1, 2, 3]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_mut_slice`](PVec::as_mut_slice).
    pub fn sort(self, tx: &mut impl Writer) -> Result<()>
    where
        T: Ord,
    {
        self.as_mut_slice(tx)?.sort();
        Ok(())
    }

    /// Makes room for `additional` elements more, at least.
    ///
    /// A crash leaves the memory that there was, and frees the new.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.reserve(tx, 100)?;
    /// assert!(numbers.capacity(tx)? >= 100);
    /// numbers.extend(tx, 0..100)?; // Without growing.
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push`](PVec::push).
    pub fn reserve(self, tx: &mut impl Writer, additional: usize) -> Result<()> {
        let header = self.load_to_write(tx)?;
        if additional as u64 > room::<T>(tx, header.capacity) - header.len {
            self.grow(tx, header, additional as u64)?;
        }
        Ok(())
    }

    /// Gives back the memory behind the last element.
    ///
    /// A crash leaves the memory that there was, and frees the new.
    ///
    /// ```
    /// # use vista::{PVec, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let numbers = PVec::or_new(tx, tx.root_ptr())?;
    /// numbers.extend(tx, [1, 2, 3])?;
    /// numbers.shrink_to_fit(tx)?;
    /// assert_eq!((numbers.len(tx)?, numbers.capacity(tx)?), (3, 3));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push`](PVec::push).
    pub fn shrink_to_fit(self, tx: &mut impl Writer) -> Result<()> {
        let header = self.load_to_write(tx)?;
        if header.len < header.capacity {
            self.move_to(tx, header, header.len)?;
        }
        Ok(())
    }

    /// Grows to at least `additional` elements more than there are, and at least doubles.
    #[cold]
    fn grow(self, tx: &mut impl Writer, header: VecHeader, additional: u64) -> Result<VecHeader> {
        let least = header.len.saturating_add(additional);
        refuse_more::<T>(tx, least)?;
        let capacity = least.max(header.capacity.saturating_mul(2)).max(first_capacity::<T>());
        self.move_to(tx, header, capacity)
    }

    /// Copies the elements to memory for `capacity` of them.
    fn move_to(self, tx: &mut impl Writer, header: VecHeader, capacity: u64) -> Result<VecHeader> {
        let data = allocate::<T>(tx, capacity)?;
        tx.copy_to_spare(header.data, data, bytes_of::<T>(header.len))?;
        deallocate::<T>(tx, header.data, header.capacity)?;
        let header = VecHeader { len: header.len, capacity, data };
        tx.write(self.header, header)?;
        Ok(header)
    }

    /// Where an element that there is lies, to be written to.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn inside(self, on: &impl Reader, index: usize) -> Result<PPtr<T>> {
        let header = self.load_to_write(on)?;
        match (index as u64) < header.len {
            true => Ok(element(header.data, index as u64)),
            false => Err(on.out_of_bounds(index as u64, header.len)),
        }
    }

    /// Stores a length that is less than before.
    #[inline]
    fn shorten(self, tx: &mut impl Writer, len: u64) -> Result<()> {
        tx.vacate(self.offset());
        tx.write(self.len_place(), len)
    }

    /// Where the length stands.
    #[inline]
    fn len_place(self) -> PPtr<u64> {
        field!(self.header, VecHeader, len)
    }
}

/// The next elements, as many as are stored together: their length is then stored once.
pub(super) fn next_piece<T>(elements: &mut impl Iterator<Item = T>) -> Option<Vec<T>> {
    let at_a_time = (1024 / size_of::<T>().max(1)).max(1);
    let piece: Vec<T> = elements.by_ref().take(at_a_time).collect();
    (!piece.is_empty()).then_some(piece)
}

/// Bytes of so many elements. Their number may be damaged: then it is more than there can be.
#[inline]
pub(super) fn bytes_of<T>(count: u64) -> u64 {
    count.saturating_mul(size_of::<T>() as u64)
}

/// How many elements the capacity has room for. Those without bytes take no memory, and would be counted without end:
/// there may be as many as the segment has bytes.
#[inline]
pub(super) fn room<T>(on: &impl Reader, capacity: u64) -> u64 {
    if size_of::<T>() == 0 { capacity.min(on.segment_len()) } else { capacity }
}

/// An error for more elements without bytes than there may be.
pub(super) fn refuse_more<T>(tx: &mut impl Writer, count: u64) -> Result<()> {
    // More than any heap has, so that the error has its numbers.
    if count > room::<T>(tx, u64::MAX) { tx.alloc_block(u64::MAX, 1).map(drop) } else { Ok(()) }
}

/// What a range means in a collection of so many elements.
pub(super) fn resolve(on: &impl Reader, range: &impl RangeBounds<usize>, len: u64) -> Result<Range<u64>> {
    let start = match range.start_bound() {
        Bound::Included(&start) => start as u64,
        Bound::Excluded(&before) => (before as u64).saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => (last as u64).saturating_add(1),
        Bound::Excluded(&end) => end as u64,
        Bound::Unbounded => len,
    };
    if end > len || start > len {
        return Err(on.out_of_bounds(end.max(start), len));
    }
    if start > end { Err(on.out_of_bounds(start, end)) } else { Ok(start..end) }
}

/// Where an element lies. The index is less than a capacity, which may be damaged: then this is where nothing can be.
#[inline]
pub(super) fn element<T>(data: u64, index: u64) -> PPtr<T> {
    PPtr::from_offset(data.saturating_add(index.saturating_mul(size_of::<T>() as u64)))
}

/// Memory for elements; none for none. Elements without bytes have a block too, for a place to lead to.
pub(super) fn allocate<T: Persistent>(tx: &mut impl Writer, capacity: u64) -> Result<u64> {
    if capacity == 0 {
        return Ok(0);
    }
    tx.alloc_block(bytes_of::<T>(capacity), align_bytes_of::<T>() as u64)
}

pub(super) fn deallocate<T: Persistent>(tx: &mut impl Writer, data: u64, capacity: u64) -> Result<()> {
    if capacity == 0 {
        return Ok(());
    }
    tx.free_block(data, bytes_of::<T>(capacity), align_bytes_of::<T>() as u64)
}

/// Releases what elements own.
pub(super) fn release_range<T: Persistent>(
    tx: &mut impl Writer,
    data: u64,
    range: Range<u64>,
    depth: Depth,
) -> Result<()> {
    if T::OWNS {
        for index in range {
            let value = *tx.get(element::<T>(data, index))?;
            value.release(tx, depth)?;
        }
    }
    Ok(())
}

impl<T: Persistent> Persistent for PVec<T> {
    const OWNS: bool = true;

    fn describe(describer: &mut Describer) -> String {
        ["PVec<", &T::describe(describer), ">"].concat()
    }

    fn release(&self, tx: &mut impl Writer, depth: Depth) -> Result<()> {
        if self.is_null() {
            return Ok(());
        }
        let depth = depth.deeper(tx)?;
        let header = self.load(tx)?;
        release_range::<T>(tx, header.data, 0..header.len, depth)?;
        deallocate::<T>(tx, header.data, header.capacity)?;
        tx.free_block(self.offset(), HEADER_LEN, HEADER_ALIGN)
    }

    fn audit(&self, on: &impl Reader, audit: &mut Audit, depth: Depth) {
        audit::vec(on, audit, self.offset(), &Typed::<_, T>::new(on), depth);
    }
}
