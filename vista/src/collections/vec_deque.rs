//! A queue with two ends, in a ring. Start at [`PVecDeque::push_back`] and [`PVecDeque::pop_front`].

use std::iter::FusedIterator;
use std::ops::RangeBounds;
use std::slice;

use crate::collections::audit::{self, Typed};
use crate::collections::handle::handle;
use crate::collections::layout::DequeHeader;
use crate::collections::vec::{
    allocate, bytes_of, deallocate, element, first_capacity, next_piece, refuse_more, resolve, room,
};
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::{Describer, PPtr, PSlice, Persistent, Reader, Writer, field};

handle! {
    /// A queue with two ends: std's `VecDeque`, in a segment.
    ///
    /// ```
    /// use vista::{PVecDeque, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    ///     queue.extend(tx, [1, 2, 3])?;
    ///     queue.push_front(tx, 0)
    /// })?;
    /// let taken = segment.transaction(|tx| {
    ///     let queue = *tx.root();
    ///     queue.pop_front(tx) // Not taken, if the transaction does not commit.
    /// })?;
    /// assert_eq!(taken, Some(0));
    /// assert!(segment.root()?.iter(&segment)?.eq(&[1, 2, 3]));
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Cost
    /// A push or a pop logs 8 bytes of header; a push also its place, in a transaction that has taken others out before. Inserting and
    /// removing in the middle move, and log, the elements on the shorter side. Growing doubles the capacity: the elements
    /// are copied once, into memory that is not logged.
    ///
    /// # A crash in the middle
    /// leaves the queue as it was before the transaction: what was popped is in it, what was pushed is not.
    PVecDeque<T> of DequeHeader, described as "PVecDeque"
}

const HEADER_ALIGN: u64 = align_of::<DequeHeader>() as u64;
const HEADER_LEN: u64 = size_of::<DequeHeader>() as u64;

impl DequeHeader {
    const EMPTY: Self = DequeHeader { head: 0, tail: 0, capacity: 0, data: 0 };

    #[inline]
    fn len(&self) -> u64 {
        self.tail.wrapping_sub(self.head)
    }

    /// The place of element number `number`, of a ring that has places.
    #[inline]
    fn index(&self, number: u64) -> u64 {
        number & self.capacity.wrapping_sub(1)
    }

    #[inline]
    fn place<T>(&self, number: u64) -> PPtr<T> {
        element(self.data, self.index(number))
    }

    /// The place of the element at `index`, counted from the front.
    #[inline]
    fn at<T>(&self, index: usize) -> PPtr<T> {
        self.place(self.head.wrapping_add(index as u64))
    }

    /// The elements from number `number` on: `len` of them, in the two pieces in which they stand.
    fn pieces<T>(&self, number: u64, len: u64) -> [PSlice<T>; 2] {
        let before_end = len.min(self.capacity - self.index(number).min(self.capacity));
        [
            PSlice::from_raw_parts(self.place::<T>(number).offset(), before_end),
            PSlice::from_raw_parts(self.data, len - before_end),
        ]
    }
}

/// The capacity for so many elements; too many for any heap stay too many.
fn capacity_for<T>(count: u64) -> u64 {
    match (count, size_of::<T>()) {
        (0, _) => 0,
        (_, 0) => 1 << 63,
        _ => count.checked_next_power_of_two().unwrap_or(1 << 63),
    }
}

impl<T: Persistent> PVecDeque<T> {
    /// Makes an empty queue. Memory for elements comes with the first of them.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let queue = PVecDeque::new(tx)?;
    /// *tx.root_mut()? = queue; // What nothing holds can never be released.
    /// queue.push_back(tx, 1)?;
    /// assert_eq!(queue.front(tx)?, Some(&1));
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

    /// Makes an empty queue with room for `capacity` elements, at least: the ring has a power of two.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let queue = PVecDeque::with_capacity(tx, 100)?;
    /// *tx.root_mut()? = queue;
    /// assert_eq!((queue.len(tx)?, queue.capacity(tx)?), (0, 128));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](PVecDeque::new).
    pub fn with_capacity(tx: &mut impl Writer, capacity: usize) -> Result<Self> {
        let header = PPtr::from_offset(tx.alloc_block(HEADER_LEN, HEADER_ALIGN)?);
        let capacity = capacity_for::<T>(capacity as u64);
        let data = allocate::<T>(tx, capacity)?;
        tx.store_spare(header, DequeHeader { capacity, data, ..DequeHeader::EMPTY })?;
        Ok(Self::from_header(header))
    }

    /// Makes a queue of copies of these elements. Of elements that own others, the handles are copied.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     *tx.root_mut()? = PVecDeque::from_slice(tx, &[1, 2, 3])?;
    ///     Ok(())
    /// })?;
    /// assert_eq!(segment.root()?.back(&segment)?, Some(&3));
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](PVecDeque::new).
    pub fn from_slice(tx: &mut impl Writer, elements: &[T]) -> Result<Self> {
        let deque = Self::with_capacity(tx, elements.len())?;
        deque.extend_from_slice(tx, elements)?;
        Ok(deque)
    }

    /// The queue that a field holds; if it holds none yet, makes one and stores it there.
    ///
    /// A crash leaves the field null again, and the queue's memory free.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.push_back(tx, 1)?;
    /// let same = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(same.pop_front(tx)?, Some(1));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](PVecDeque::new), and [`Error::BadPointer`](crate::Error::BadPointer) if `field` leads to no field.
    pub fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self> {
        Self::or_make(tx, field, Self::new)
    }

    /// The header, its fields in agreement; that of an empty queue for null.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::collections) fn load(self, on: &impl Reader) -> Result<DequeHeader> {
        if self.is_null() { Ok(DequeHeader::EMPTY) } else { self.load_to_write(on) }
    }

    /// The header of a queue that is written to.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn load_to_write(self, on: &impl Reader) -> Result<DequeHeader> {
        let header = *on.get(self.header)?; // Null is an error here.
        if header.capacity & header.capacity.wrapping_sub(1) != 0 {
            let found = header.capacity;
            return Err(on.damaged(self.offset(), "queue: capacity", found, "0 or a power of two"));
        }
        if header.len() > room::<T>(on, header.capacity) {
            return Err(on.damaged(self.offset(), "queue: length", header.len(), "at most the capacity"));
        }
        Ok(header)
    }

    /// Number of elements.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [5, 6])?;
    /// assert_eq!(queue.len(tx)?, 2);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if the header is not sound.
    pub fn len(self, on: &impl Reader) -> Result<usize> {
        Ok(self.load(on)?.len() as usize)
    }

    /// Whether there are no elements.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// assert!(queue.is_empty(tx)?);
    /// queue.push_back(tx, 5)?;
    /// assert!(!queue.is_empty(tx)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`len`](PVecDeque::len).
    pub fn is_empty(self, on: &impl Reader) -> Result<bool> {
        Ok(self.load(on)?.len() == 0)
    }

    /// Number of elements for which there is memory.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(queue.capacity(tx)?, 0);
    /// queue.push_back(tx, 5)?;
    /// assert_eq!(queue.capacity(tx)?, 8); // As many as fit in 64 bytes.
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`len`](PVecDeque::len).
    pub fn capacity(self, on: &impl Reader) -> Result<usize> {
        Ok(self.load(on)?.capacity as usize)
    }

    /// All elements, in the two pieces in which they stand: those of the first come before those of the second.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let queue = PVecDeque::from_slice(tx, &[2, 3])?;
    ///     *tx.root_mut()? = queue;
    ///     queue.push_front(tx, 1)?;
    ///     let (front, back) = queue.as_slices(tx)?;
    ///     assert_eq!([front, back].concat(), [1, 2, 3]);
    ///     assert_eq!(queue.make_contiguous(tx)?, [1, 2, 3]);
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) or [`Error::BadPointer`](crate::Error::BadPointer) if the header is not
    /// sound.
    pub fn as_slices<A: Reader>(self, on: &A) -> Result<(&[T], &[T])> {
        let header = self.load(on)?;
        let [front, back] = header.pieces::<T>(header.head, header.len());
        Ok((on.slice(front)?, on.slice(back)?))
    }

    /// An iterator over the elements, from front to back.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2])?;
    /// queue.push_front(tx, 0)?;
    /// assert!(queue.iter(tx)?.eq(&[0, 1, 2]));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slices`](PVecDeque::as_slices); the iterator itself meets none.
    pub fn iter<A: Reader>(self, on: &A) -> Result<Iter<'_, T>> {
        let (front, back) = self.as_slices(on)?;
        Ok(Iter { front: front.iter(), back: back.iter() })
    }

    /// The element at `index`, counted from the front, or `None` behind the end.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2, 3])?;
    /// assert_eq!((queue.get(tx, 1)?, queue.get(tx, 3)?), (Some(&2), None));
    /// assert_eq!((queue.front(tx)?, queue.back(tx)?), (Some(&1), Some(&3)));
    /// assert!(queue.contains(tx, &2)? && queue.iter(tx)?.rev().eq(&[3, 2, 1]));
    /// assert_eq!((queue.len(tx)?, queue.is_empty(tx)?), (3, false));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slices`](PVecDeque::as_slices).
    #[inline]
    pub fn get<A: Reader>(self, on: &A, index: usize) -> Result<Option<&T>> {
        match self.place(on, index)? {
            Some(place) => on.get(place).map(Some),
            None => Ok(None),
        }
    }

    /// Where the element at `index` lies: for what takes a pointer. It is good until the queue changes its length.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2])?;
    /// let place = queue.place(tx, 1)?.unwrap();
    /// tx.write(place, 20)?;
    /// assert_eq!(queue.back(tx)?, Some(&20));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`len`](PVecDeque::len).
    #[inline]
    pub fn place(self, on: &impl Reader, index: usize) -> Result<Option<PPtr<T>>> {
        let header = self.load(on)?;
        let is_inside = (index as u64) < header.len();
        Ok(is_inside.then(|| header.at(index)))
    }

    /// The first element.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(queue.front(tx)?, None);
    /// queue.extend(tx, [1, 2])?;
    /// assert_eq!(queue.front(tx)?, Some(&1));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slices`](PVecDeque::as_slices).
    pub fn front<A: Reader>(self, on: &A) -> Result<Option<&T>> {
        self.get(on, 0)
    }

    /// The last element.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(queue.back(tx)?, None);
    /// queue.extend(tx, [1, 2])?;
    /// assert_eq!(queue.back(tx)?, Some(&2));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slices`](PVecDeque::as_slices).
    pub fn back<A: Reader>(self, on: &A) -> Result<Option<&T>> {
        match self.len(on)? {
            0 => Ok(None),
            len => self.get(on, len - 1),
        }
    }

    /// Whether an element equals `value`.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2])?;
    /// assert!(queue.contains(tx, &2)? && !queue.contains(tx, &3)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slices`](PVecDeque::as_slices).
    pub fn contains(self, on: &impl Reader, value: &T) -> Result<bool>
    where
        T: PartialEq,
    {
        let (front, back) = self.as_slices(on)?;
        Ok(front.contains(value) || back.contains(value))
    }

    /// Lends the element at `index` for writing; logs it alone.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2, 3])?;
    /// *queue.get_mut(tx, 1)?.unwrap() = 20;
    /// *queue.front_mut(tx)?.unwrap() = 10;
    /// *queue.back_mut(tx)?.unwrap() = 30;
    /// assert_eq!(queue.set(tx, 1, 21)?, 20);
    /// queue.swap(tx, 0, 2)?;
    /// assert!(queue.iter(tx)?.eq(&[30, 21, 10]));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slices`](PVecDeque::as_slices), and [`Error::NoSpace`](crate::Error::NoSpace) if the log has no room.
    #[inline]
    pub fn get_mut<W: Writer>(self, tx: &mut W, index: usize) -> Result<Option<&mut T>> {
        let header = self.load_to_write(tx)?;
        let is_inside = (index as u64) < header.len();
        if is_inside { tx.get_mut(header.at(index)).map(Some) } else { Ok(None) }
    }

    /// Lends the first element for writing; logs it alone.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2])?;
    /// *queue.front_mut(tx)?.unwrap() = 10;
    /// assert!(queue.iter(tx)?.eq(&[10, 2]));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](PVecDeque::get_mut).
    pub fn front_mut<W: Writer>(self, tx: &mut W) -> Result<Option<&mut T>> {
        self.get_mut(tx, 0)
    }

    /// Lends the last element for writing; logs it alone.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2])?;
    /// *queue.back_mut(tx)?.unwrap() = 20;
    /// assert!(queue.iter(tx)?.eq(&[1, 20]));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](PVecDeque::get_mut).
    pub fn back_mut<W: Writer>(self, tx: &mut W) -> Result<Option<&mut T>> {
        let len = self.len(tx)?;
        self.get_mut(tx, len.saturating_sub(1))
    }

    /// Stores an element, and returns the one that stood there.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2])?;
    /// assert_eq!(queue.set(tx, 0, 10)?, 1);
    /// assert!(queue.set(tx, 2, 30).is_err()); // Where std panics.
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`](crate::Error::OutOfBounds); and as [`get_mut`](PVecDeque::get_mut).
    pub fn set(self, tx: &mut impl Writer, index: usize, value: T) -> Result<T> {
        let place = self.inside(tx, index)?;
        let old = *tx.get(place)?;
        tx.write(place, value)?;
        Ok(old)
    }

    /// Exchanges two elements.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2, 3])?;
    /// queue.swap(tx, 0, 2)?;
    /// assert!(queue.iter(tx)?.eq(&[3, 2, 1]));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`set`](PVecDeque::set).
    pub fn swap(self, tx: &mut impl Writer, a: usize, b: usize) -> Result<()> {
        let (a, b) = (self.inside(tx, a)?, self.inside(tx, b)?);
        let (at_a, at_b) = (*tx.get(a)?, *tx.get(b)?);
        tx.write(a, at_b)?;
        tx.write(b, at_a)
    }

    /// Appends an element at the back.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.push_back(tx, 1)?;
    /// queue.push_back(tx, 2)?;
    /// assert_eq!(queue.pop_front(tx)?, Some(1));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`](crate::Error::NoSpace); [`Error::NullPointer`](crate::Error::NullPointer) for the null handle;
    /// as [`len`](PVecDeque::len).
    #[inline]
    pub fn push_back(self, tx: &mut impl Writer, value: T) -> Result<()> {
        let header = self.with_room(tx, 1)?;
        tx.put(!tx.has_vacated(self.offset()), header.place(header.tail), value)?;
        self.set_tail(tx, header.tail.wrapping_add(1))
    }

    /// Puts an element in front of the first.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.push_back(tx, 2)?;
    /// queue.push_front(tx, 1)?;
    /// assert!(queue.iter(tx)?.eq(&[1, 2]));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push_back`](PVecDeque::push_back).
    #[inline]
    pub fn push_front(self, tx: &mut impl Writer, value: T) -> Result<()> {
        let header = self.with_room(tx, 1)?;
        let head = header.head.wrapping_sub(1);
        tx.put(!tx.has_vacated(self.offset()), header.place(head), value)?;
        self.set_head(tx, head)
    }

    /// Removes the first element and returns it.
    ///
    /// A crash before the commit leaves it in the queue: what was done with it in the same transaction is undone too, and the
    /// next run takes it again.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2])?;
    /// assert_eq!((queue.pop_front(tx)?, queue.pop_front(tx)?, queue.pop_front(tx)?), (Some(1), Some(2), None));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push_back`](PVecDeque::push_back).
    #[inline]
    pub fn pop_front(self, tx: &mut impl Writer) -> Result<Option<T>> {
        let header = self.load_to_write(tx)?;
        if header.len() == 0 {
            return Ok(None);
        }
        let value = *tx.get(header.place::<T>(header.head))?;
        tx.vacate(self.offset());
        self.set_head(tx, header.head.wrapping_add(1))?;
        Ok(Some(value))
    }

    /// Removes the last element and returns it.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2])?;
    /// assert_eq!((queue.pop_back(tx)?, queue.len(tx)?), (Some(2), 1));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push_back`](PVecDeque::push_back).
    #[inline]
    pub fn pop_back(self, tx: &mut impl Writer) -> Result<Option<T>> {
        let header = self.load_to_write(tx)?;
        if header.len() == 0 {
            return Ok(None);
        }
        let tail = header.tail.wrapping_sub(1);
        let value = *tx.get(header.place::<T>(tail))?;
        tx.vacate(self.offset());
        self.set_tail(tx, tail)?;
        Ok(Some(value))
    }

    /// Appends copies of elements at the back. Of elements that own others, the handles are copied.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend_from_slice(tx, &[1, 2])?;
    /// queue.extend_from_slice(tx, &[3])?;
    /// assert!(queue.iter(tx)?.eq(&[1, 2, 3]));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push_back`](PVecDeque::push_back); nothing is appended then.
    pub fn extend_from_slice(self, tx: &mut impl Writer, elements: &[T]) -> Result<()> {
        let count = elements.len() as u64;
        let header = self.with_room(tx, count)?;
        let [first, second] = header.pieces::<T>(header.tail, count);
        let (before_end, rest) = elements.split_at(first.len());
        let is_spare = !tx.has_vacated(self.offset());
        tx.put_slice(is_spare, first, before_end)?;
        tx.put_slice(is_spare, second, rest)?;
        self.set_tail(tx, header.tail.wrapping_add(count))
    }

    /// Appends elements at the back.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, (1..=5).filter(|n| n % 2 == 1))?;
    /// assert!(queue.iter(tx)?.eq(&[1, 3, 5]));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push_back`](PVecDeque::push_back); those before the one that failed are appended.
    pub fn extend(self, tx: &mut impl Writer, elements: impl IntoIterator<Item = T>) -> Result<()> {
        let mut elements = elements.into_iter();
        self.reserve(tx, elements.size_hint().0)?;
        while let Some(piece) = next_piece(&mut elements) {
            self.extend_from_slice(tx, &piece)?;
        }
        Ok(())
    }

    /// Inserts an element at `index`, and moves those before it or those behind it, whichever are fewer; logs what moves.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2, 3])?;
    /// queue.insert(tx, 1, 10)?;
    /// assert_eq!((queue.remove(tx, 0)?, queue.remove(tx, 7)?), (Some(1), None));
    /// assert!(queue.iter(tx)?.eq(&[10, 2, 3]));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`](crate::Error::OutOfBounds) behind the end; and as [`push_back`](PVecDeque::push_back).
    pub fn insert(self, tx: &mut impl Writer, index: usize, value: T) -> Result<()> {
        let (index, len) = (index as u64, self.load_to_write(tx)?.len());
        if index > len {
            return Err(tx.out_of_bounds(index, len));
        }
        let header = self.with_room(tx, 1)?;
        if index < len - index {
            let head = header.head.wrapping_sub(1);
            self.move_down(tx, &header, header.head, index, 1)?;
            tx.write(header.place(head.wrapping_add(index)), value)?;
            return self.set_head(tx, head);
        }
        let number = header.head.wrapping_add(index);
        self.move_up(tx, &header, number, len - index, 1)?;
        tx.write(header.place(number), value)?;
        self.set_tail(tx, header.tail.wrapping_add(1))
    }

    /// Removes the element at `index` and returns it, or `None` behind the end; moves those before it or those behind it,
    /// whichever are fewer, and logs what moves.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2, 3])?;
    /// assert_eq!((queue.remove(tx, 1)?, queue.remove(tx, 2)?), (Some(2), None));
    /// assert!(queue.iter(tx)?.eq(&[1, 3]));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push_back`](PVecDeque::push_back).
    pub fn remove(self, tx: &mut impl Writer, index: usize) -> Result<Option<T>> {
        let (index, header) = (index as u64, self.load_to_write(tx)?);
        if index >= header.len() {
            return Ok(None);
        }
        let value = *tx.get(header.place::<T>(header.head.wrapping_add(index)))?;
        self.close(tx, &header, index, 1)?;
        Ok(Some(value))
    }

    /// Keeps the first `len` elements. Those behind are released.
    ///
    /// After a crash those elements are there again, with all that they own.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2, 3])?;
    /// queue.truncate(tx, 2)?;
    /// assert!(queue.iter(tx)?.eq(&[1, 2]));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`pop_back`](PVecDeque::pop_back), and of releasing an element.
    pub fn truncate(self, tx: &mut impl Writer, len: usize) -> Result<()> {
        let header = self.load_to_write(tx)?;
        let len = len as u64;
        if len >= header.len() {
            return Ok(());
        }
        let tail = header.head.wrapping_add(len);
        release_numbers::<T>(tx, &header, tail, header.len() - len, Depth::default())?;
        tx.vacate(self.offset());
        self.set_tail(tx, tail)
    }

    /// Removes and releases all elements; keeps the memory.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2, 3])?;
    /// queue.clear(tx)?;
    /// assert_eq!((queue.len(tx)?, queue.capacity(tx)?), (0, 8));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`truncate`](PVecDeque::truncate).
    pub fn clear(self, tx: &mut impl Writer) -> Result<()> {
        self.truncate(tx, 0)
    }

    /// Keeps the elements for which `keep` is true, in their order. The others are released. Logs what moves.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, 1..=9)?;
    /// queue.retain(tx, |n| n % 2 == 1)?;
    /// queue.truncate(tx, 3)?;
    /// assert!(queue.iter(tx)?.eq(&[1, 3, 5]));
    /// queue.clear(tx)?;
    /// queue.shrink_to_fit(tx)?;
    /// assert_eq!(queue.capacity(tx)?, 0);
    /// queue.reserve(tx, 100)?;
    /// assert_eq!(queue.capacity(tx)?, 128);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`truncate`](PVecDeque::truncate).
    pub fn retain(self, tx: &mut impl Writer, mut keep: impl FnMut(&T) -> bool) -> Result<()> {
        let header = self.load_to_write(tx)?;
        tx.vacate(self.offset());
        let mut kept = 0;
        for index in 0..header.len() {
            let value = *tx.get(header.place::<T>(header.head.wrapping_add(index)))?;
            if !keep(&value) {
                value.release(tx, Depth::default())?;
                continue;
            }
            if kept < index {
                tx.write(header.place(header.head.wrapping_add(kept)), value)?;
            }
            kept += 1;
        }
        self.set_tail(tx, header.head.wrapping_add(kept))
    }

    /// Removes the elements of `range` and returns them. They belong to the caller now, and are not released. Moves those
    /// before the range or those behind it, whichever are fewer, and logs what moves.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let queue = PVecDeque::from_slice(tx, &[1, 2, 3, 4])?;
    ///     *tx.root_mut()? = queue;
    ///     assert_eq!(queue.drain(tx, 1..3)?, [2, 3]);
    ///     assert_eq!(queue.drain(tx, ..)?, [1, 4]);
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`](crate::Error::OutOfBounds); and as [`remove`](PVecDeque::remove).
    pub fn drain(self, tx: &mut impl Writer, range: impl RangeBounds<usize>) -> Result<Vec<T>> {
        let header = self.load_to_write(tx)?;
        let range = resolve(tx, &range, header.len())?;
        let count = range.end - range.start;
        if count == 0 {
            return Ok(Vec::new());
        }
        let [first, second] = header.pieces::<T>(header.head.wrapping_add(range.start), count);
        let values = [tx.slice(first)?, tx.slice(second)?].concat();
        self.close(tx, &header, range.start, count)?;
        Ok(values)
    }

    /// Moves the first `count` elements behind the last one. A ring without a free place has only its ends set anew;
    /// otherwise the elements on the shorter side are moved, and logged.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let queue = PVecDeque::from_slice(tx, &[1, 2, 3, 4, 5])?;
    ///     *tx.root_mut()? = queue;
    ///     queue.rotate_left(tx, 2)?;
    ///     assert!(queue.iter(tx)?.eq(&[3, 4, 5, 1, 2]));
    ///     queue.rotate_right(tx, 1)?;
    ///     assert!(queue.iter(tx)?.eq(&[2, 3, 4, 5, 1]));
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`](crate::Error::OutOfBounds) if there are not so many; and as
    /// [`push_back`](PVecDeque::push_back).
    pub fn rotate_left(self, tx: &mut impl Writer, count: usize) -> Result<()> {
        let (count, header) = (count as u64, self.load_to_write(tx)?);
        let len = header.len();
        if count > len {
            return Err(tx.out_of_bounds(count, len));
        }
        tx.vacate(self.offset());
        // Behind the last element comes, round the ring, the place so far in front of the first.
        let gap = header.capacity - len;
        let others = len - count;
        let forward = if count <= others {
            self.move_down(tx, &header, header.head, count, gap)?;
            count
        } else {
            self.move_up(tx, &header, header.tail.wrapping_sub(others), others, gap)?;
            others.wrapping_neg()
        };
        let ends = [header.head.wrapping_add(forward), header.tail.wrapping_add(forward)];
        tx.write(field!(self.header, DequeHeader, head).cast(), ends)
    }

    /// Moves the last `count` elements in front of the first one, as [`rotate_left`](PVecDeque::rotate_left).
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2, 3, 4])?;
    /// queue.rotate_right(tx, 1)?;
    /// assert!(queue.iter(tx)?.eq(&[4, 1, 2, 3]));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`rotate_left`](PVecDeque::rotate_left).
    pub fn rotate_right(self, tx: &mut impl Writer, count: usize) -> Result<()> {
        let len = self.load_to_write(tx)?.len();
        match len.checked_sub(count as u64) {
            Some(others) => self.rotate_left(tx, others as usize),
            None => Err(tx.out_of_bounds(count as u64, len)),
        }
    }

    /// Lends all elements in one piece for writing, and logs them all. If they stand in two pieces, they are copied to new
    /// memory first, which is not logged.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [2, 3])?;
    /// queue.push_front(tx, 1)?;
    /// queue.make_contiguous(tx)?.reverse();
    /// assert!(queue.iter(tx)?.eq(&[3, 2, 1]));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push_back`](PVecDeque::push_back).
    pub fn make_contiguous<W: Writer>(self, tx: &mut W) -> Result<&mut [T]> {
        let mut header = self.load_to_write(tx)?;
        if !header.pieces::<T>(header.head, header.len())[1].is_empty() {
            header = self.move_to(tx, header, header.capacity)?;
        }
        let [all, _] = header.pieces::<T>(header.head, header.len());
        tx.slice_mut(all)
    }

    /// Makes room for `additional` elements more, at least.
    ///
    /// A crash leaves the memory that there was, and frees the new.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.reserve(tx, 100)?;
    /// assert_eq!(queue.capacity(tx)?, 128);
    /// queue.extend(tx, 0..128)?; // Without growing.
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push_back`](PVecDeque::push_back).
    pub fn reserve(self, tx: &mut impl Writer, additional: usize) -> Result<()> {
        self.with_room(tx, additional as u64).map(drop)
    }

    /// Gives back memory: the ring keeps the smallest power of two that has room for its elements.
    ///
    /// ```
    /// # use vista::{PVecDeque, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
    /// queue.extend(tx, [1, 2, 3])?;
    /// queue.shrink_to_fit(tx)?;
    /// assert_eq!((queue.len(tx)?, queue.capacity(tx)?), (3, 4));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push_back`](PVecDeque::push_back).
    pub fn shrink_to_fit(self, tx: &mut impl Writer) -> Result<()> {
        let header = self.load_to_write(tx)?;
        let capacity = capacity_for::<T>(header.len());
        if capacity < header.capacity {
            self.move_to(tx, header, capacity)?;
        }
        Ok(())
    }

    /// The header, with room for so many elements more.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn with_room(self, tx: &mut impl Writer, additional: u64) -> Result<DequeHeader> {
        let header = self.load_to_write(tx)?;
        if additional > room::<T>(tx, header.capacity) - header.len() {
            return self.grow(tx, header, additional);
        }
        Ok(header)
    }

    #[cold]
    fn grow(self, tx: &mut impl Writer, header: DequeHeader, additional: u64) -> Result<DequeHeader> {
        let least = header.len().saturating_add(additional);
        refuse_more::<T>(tx, least)?;
        let first = first_capacity::<T>();
        self.move_to(tx, header, capacity_for::<T>(least.max(header.capacity.saturating_mul(2)).max(first)))
    }

    /// Copies the elements to the front of memory for `capacity` of them.
    fn move_to(self, tx: &mut impl Writer, header: DequeHeader, capacity: u64) -> Result<DequeHeader> {
        let data = allocate::<T>(tx, capacity)?;
        let [first, second] = header.pieces::<T>(header.head, header.len());
        let first_len = bytes_of::<T>(first.len() as u64);
        tx.copy_to_spare(first.offset(), data, first_len)?;
        tx.copy_to_spare(
            second.offset(),
            data.saturating_add(first_len),
            bytes_of::<T>(second.len() as u64),
        )?;
        deallocate::<T>(tx, header.data, header.capacity)?;
        let header = DequeHeader { head: 0, tail: header.len(), capacity, data };
        tx.write(self.header, header)?;
        Ok(header)
    }

    /// Closes the gap that `count` elements from `index` on leave.
    fn close(self, tx: &mut impl Writer, header: &DequeHeader, index: u64, count: u64) -> Result<()> {
        let behind = header.len() - index - count;
        tx.vacate(self.offset());
        if index < behind {
            self.move_up(tx, header, header.head, index, count)?;
            return self.set_head(tx, header.head.wrapping_add(count));
        }
        let number = header.head.wrapping_add(index).wrapping_add(count);
        self.move_down(tx, header, number, behind, count)?;
        self.set_tail(tx, header.tail.wrapping_sub(count))
    }

    /// Moves `len` elements from number `from` on to numbers lower by `by`; `len + by` is at most the capacity. Piece by
    /// piece from the front, each as long as neither side comes to the end of the ring: what is still to be moved is never
    /// overwritten.
    fn move_down(self, tx: &mut impl Writer, h: &DequeHeader, from: u64, len: u64, by: u64) -> Result<()> {
        let mut done = 0;
        while done < len && by > 0 {
            let from = from.wrapping_add(done);
            let to = from.wrapping_sub(by);
            let count = (len - done).min(h.capacity - h.index(from)).min(h.capacity - h.index(to));
            tx.copy_within(h.place::<T>(from).offset(), h.place::<T>(to).offset(), bytes_of::<T>(count))?;
            done += count;
        }
        Ok(())
    }

    /// Moves `len` elements from number `from` on to numbers higher by `by`, from the back, as
    /// [`move_down`](PVecDeque::move_down).
    fn move_up(self, tx: &mut impl Writer, h: &DequeHeader, from: u64, len: u64, by: u64) -> Result<()> {
        let mut left = len;
        while left > 0 && by > 0 {
            let last = from.wrapping_add(left - 1);
            let count = left.min(h.index(last) + 1).min(h.index(last.wrapping_add(by)) + 1);
            let from = from.wrapping_add(left - count);
            let to = from.wrapping_add(by);
            tx.copy_within(h.place::<T>(from).offset(), h.place::<T>(to).offset(), bytes_of::<T>(count))?;
            left -= count;
        }
        Ok(())
    }

    #[inline]
    fn set_head(self, tx: &mut impl Writer, head: u64) -> Result<()> {
        tx.write(field!(self.header, DequeHeader, head), head)
    }

    #[inline]
    fn set_tail(self, tx: &mut impl Writer, tail: u64) -> Result<()> {
        tx.write(field!(self.header, DequeHeader, tail), tail)
    }

    /// Where an element that there is lies, to be written to.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn inside(self, on: &impl Reader, index: usize) -> Result<PPtr<T>> {
        let header = self.load_to_write(on)?;
        match (index as u64) < header.len() {
            true => Ok(header.at(index)),
            false => Err(on.out_of_bounds(index as u64, header.len())),
        }
    }
}

/// Releases what elements own.
fn release_numbers<T: Persistent>(
    tx: &mut impl Writer,
    header: &DequeHeader,
    from: u64,
    len: u64,
    depth: Depth,
) -> Result<()> {
    if T::OWNS {
        for index in 0..len {
            let value = *tx.get(header.place::<T>(from.wrapping_add(index)))?;
            value.release(tx, depth)?;
        }
    }
    Ok(())
}

/// An iterator over the elements of a [`PVecDeque`], from front to back: see [`PVecDeque::iter`].
///
/// ```
/// # use vista::{PVecDeque, SegmentOptions};
/// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVecDeque<u64>>()?;
/// # segment.transaction(|tx| -> vista::Result<()> {
/// # let queue = PVecDeque::or_new(tx, tx.root_ptr())?;
/// queue.extend(tx, [1, 2, 3])?;
/// let mut all = queue.iter(tx)?;
/// assert_eq!((all.next(), all.next_back(), all.len()), (Some(&1), Some(&3), 1));
/// # Ok(())
/// # })?;
/// # Ok::<_, vista::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Iter<'a, T> {
    front: slice::Iter<'a, T>,
    back: slice::Iter<'a, T>,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        if self.front.len() == 0 {
            std::mem::swap(&mut self.front, &mut self.back);
        }
        self.front.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.front.len() + self.back.len();
        (len, Some(len))
    }

    fn fold<B, F: FnMut(B, &'a T) -> B>(self, init: B, mut f: F) -> B {
        let between = self.front.fold(init, &mut f);
        self.back.fold(between, f)
    }
}

impl<'a, T> DoubleEndedIterator for Iter<'a, T> {
    #[inline]
    fn next_back(&mut self) -> Option<&'a T> {
        if self.back.len() == 0 {
            std::mem::swap(&mut self.front, &mut self.back);
        }
        self.back.next_back()
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}
impl<T> FusedIterator for Iter<'_, T> {}

impl<T: Persistent> Persistent for PVecDeque<T> {
    const OWNS: bool = true;

    fn describe(describer: &mut Describer) -> String {
        ["PVecDeque<", &T::describe(describer), ">"].concat()
    }

    fn release(&self, tx: &mut impl Writer, depth: Depth) -> Result<()> {
        if self.is_null() {
            return Ok(());
        }
        let depth = depth.deeper(tx)?;
        let header = self.load(tx)?;
        release_numbers::<T>(tx, &header, header.head, header.len(), depth)?;
        deallocate::<T>(tx, header.data, header.capacity)?;
        tx.free_block(self.offset(), HEADER_LEN, HEADER_ALIGN)
    }

    fn audit(&self, on: &impl Reader, audit: &mut Audit, depth: Depth) {
        audit::deque(on, audit, self.offset(), &Typed::<_, T>::new(on), depth);
    }
}
