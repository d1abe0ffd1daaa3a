//! What the collections ask of a segment and of a transaction: to read, and to write.
//!
//! A method of a collection takes any [`Reader`], so that it reads through a segment and, inside a transaction, through
//! that; what changes something takes a [`Writer`], which is a transaction.
//!
//! The calls are inlined into collections in a release. A debug build has each of them once for a type: inlined everywhere,
//! the collections of a program would take minutes to compile.

use rio::Medium;

use crate::core::Core;
use crate::error::Result;
use crate::inspect::Inspector;
use crate::space::Place;
use crate::{Error, PPtr, PSlice, Persistent, Segment, Transaction};

mod sealed {
    pub trait Sealed {}
}

/// What can be read from: a [`Segment`], a [`Transaction`], which sees its own changes, or an [`Inspector`].
///
/// ```
/// use vista::{PVec, Reader, SegmentOptions};
///
/// fn sum(on: &impl Reader, numbers: PVec<u64>) -> vista::Result<u64> {
///     Ok(numbers.iter(on)?.sum())
/// }
///
/// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
/// segment.transaction(|tx| -> vista::Result<()> {
///     let numbers = PVec::from_slice(tx, &[1, 2, 3])?;
///     *tx.root_mut()? = numbers;
///     assert_eq!(sum(tx, numbers)?, 6);
///     Ok(())
/// })?;
/// assert_eq!(sum(&segment, *segment.root()?)?, 6);
/// # Ok::<_, vista::Error>(())
/// ```
pub trait Reader: sealed::Sealed {
    /// Reads a value, as [`Segment::get`].
    ///
    /// ```
    /// use vista::{PPtr, Reader, SegmentOptions};
    ///
    /// fn sum(on: &impl Reader, first: PPtr<u64>, second: PPtr<u64>) -> vista::Result<u64> {
    ///     Ok(on.get(first)? + on.get(second)?)
    /// }
    ///
    /// let segment = SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// assert_eq!(sum(&segment, segment.root_ptr(), segment.root_ptr())?, 0);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NullPointer`]; [`Error::BadPointer`]; [`Error::Poisoned`] after a rollback that failed.
    fn get<T: Persistent>(&self, ptr: PPtr<T>) -> Result<&T>;

    /// Reads a slice, as [`Segment::slice`].
    ///
    /// ```
    /// use vista::{PPtr, Reader, SegmentOptions};
    ///
    /// fn total(on: &impl Reader, account: PPtr<[u64; 3]>) -> vista::Result<u64> {
    ///     Ok(on.slice(account.as_slice())?.iter().sum())
    /// }
    ///
    /// let segment = SegmentOptions::new().size(1 << 20).anonymous::<[u64; 3]>()?;
    /// assert_eq!(total(&segment, segment.root_ptr())?, 0);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Reader::get).
    fn slice<T: Persistent>(&self, slice: PSlice<T>) -> Result<&[T]>;

    /// Length of the segment in bytes: no structure in it can be longer.
    ///
    /// ```
    /// use vista::{Reader, SegmentOptions};
    ///
    /// let segment = SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// assert_eq!(segment.segment_len(), 1 << 20);
    /// # Ok::<_, vista::Error>(())
    /// ```
    fn segment_len(&self) -> u64;

    /// The path, or what else the medium is called: for an error to name.
    #[doc(hidden)]
    fn segment_name(&self) -> std::sync::Arc<str>;

    /// An error of a structure in the user data.
    #[doc(hidden)]
    #[cold]
    fn damaged(&self, offset: u64, what: &'static str, found: u64, expected: &str) -> Error {
        Error::Damaged { segment: self.segment_name(), offset, what, found, expected: expected.into() }
    }

    /// The error of an index behind the end.
    #[doc(hidden)]
    #[cold]
    fn out_of_bounds(&self, index: u64, len: u64) -> Error {
        Error::OutOfBounds { segment: self.segment_name(), index, len }
    }
}

/// What can be written to: a [`Transaction`].
///
/// ```
/// use vista::{PVec, SegmentOptions, Writer};
///
/// fn push_twice(tx: &mut impl Writer, numbers: PVec<u64>, n: u64) -> vista::Result<()> {
///     numbers.push(tx, n)?;
///     numbers.push(tx, n)
/// }
///
/// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
/// segment.transaction(|tx| -> vista::Result<()> {
///     let numbers = PVec::new(tx)?;
///     *tx.root_mut()? = numbers;
///     push_twice(tx, numbers, 7)
/// })?;
/// assert_eq!(segment.root()?.as_slice(&segment)?, [7, 7]);
/// # Ok::<_, vista::Error>(())
/// ```
pub trait Writer: Reader {
    /// Logs a value and lends it for writing, as [`Transaction::get_mut`].
    ///
    /// ```
    /// use vista::{PPtr, SegmentOptions, Writer};
    ///
    /// fn double(tx: &mut impl Writer, number: PPtr<u64>) -> vista::Result<()> {
    ///     *tx.get_mut(number)? *= 2;
    ///     Ok(())
    /// }
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// segment.transaction(|tx| {
    ///     tx.write(tx.root_ptr(), 21)?;
    ///     double(tx, tx.root_ptr())
    /// })?;
    /// assert_eq!(*segment.root()?, 42);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Reader::get), and [`Error::NoSpace`] if the log has no room.
    fn get_mut<T: Persistent>(&mut self, ptr: PPtr<T>) -> Result<&mut T>;

    /// Logs a slice and lends it for writing, as [`Transaction::slice_mut`].
    ///
    /// ```
    /// use vista::{PSlice, SegmentOptions, Writer};
    ///
    /// fn set_all(tx: &mut impl Writer, numbers: PSlice<u64>, value: u64) -> vista::Result<()> {
    ///     tx.slice_mut(numbers)?.fill(value);
    ///     Ok(())
    /// }
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<[u64; 3]>()?;
    /// segment.transaction(|tx| set_all(tx, tx.root_ptr().as_slice(), 7))?;
    /// assert_eq!(*segment.root()?, [7, 7, 7]);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](Writer::get_mut).
    fn slice_mut<T: Persistent>(&mut self, slice: PSlice<T>) -> Result<&mut [T]>;

    /// Logs a value and stores a new one, as [`Transaction::write`].
    ///
    /// ```
    /// use vista::{PPtr, SegmentOptions, Writer};
    ///
    /// fn swap(tx: &mut impl Writer, a: PPtr<u64>, b: PPtr<u64>) -> vista::Result<()> {
    ///     let (at_a, at_b) = (*tx.get(a)?, *tx.get(b)?);
    ///     tx.write(a, at_b)?;
    ///     tx.write(b, at_a)
    /// }
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<[u64; 2]>()?;
    /// segment.transaction(|tx| {
    ///     *tx.root_mut()? = [1, 2];
    ///     let root = tx.root_ptr();
    ///     swap(tx, root.at(0).unwrap(), root.at(1).unwrap())
    /// })?;
    /// assert_eq!(*segment.root()?, [2, 1]);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](Writer::get_mut).
    fn write<T: Persistent>(&mut self, ptr: PPtr<T>, value: T) -> Result<()>;

    /// Number of the transaction.
    #[doc(hidden)]
    fn number(&self) -> u64;

    /// Allocates `len` bytes whose content is not defined: before a crash image may show them, or anybody reads them,
    /// the caller stores to all that counts. Length 0 is refused by nobody, and takes a block.
    #[doc(hidden)]
    fn alloc_block(&mut self, len: u64, align: u64) -> Result<u64>;

    /// Frees what [`alloc_block`](Writer::alloc_block) gave, by the same numbers.
    #[doc(hidden)]
    fn free_block(&mut self, offset: u64, len: u64, align: u64) -> Result<()>;

    /// Notes that a place is given up in what lies at `of`: the header of a collection, or that part of it which is asked
    /// for. Called before anything is stored to a place that is given up.
    #[doc(hidden)]
    fn vacate(&mut self, of: u64);

    /// Whether [`vacate`](Writer::vacate) was called for `of` in this transaction. If it was not, every place in it where
    /// nothing stands is spare: what was there, if anything, had ceased to count before the transaction began.
    #[doc(hidden)]
    fn has_vacated(&self, of: u64) -> bool;

    /// Stores to *spare* bytes, without a before-image: what they hold did not count at the begin of the transaction,
    /// nor at any savepoint of it, and does not count after a rollback. The commit makes them durable like all else.
    #[doc(hidden)]
    fn store_spare<T: Persistent>(&mut self, ptr: PPtr<T>, value: T) -> Result<()>;

    /// Stores a slice to spare bytes: see [`store_spare`](Writer::store_spare).
    #[doc(hidden)]
    fn store_spare_slice<T: Persistent>(&mut self, ptr: PPtr<T>, values: &[T]) -> Result<()>;

    /// Stores a value to a place where none stands: spare, or one that has to be logged.
    #[doc(hidden)]
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn put<T: Persistent>(&mut self, is_spare: bool, ptr: PPtr<T>, value: T) -> Result<()> {
        if is_spare { self.store_spare(ptr, value) } else { self.write(ptr, value) }
    }

    /// Stores values to places where none stand: see [`put`](Writer::put).
    #[doc(hidden)]
    fn put_slice<T: Persistent>(&mut self, is_spare: bool, places: PSlice<T>, values: &[T]) -> Result<()> {
        if is_spare {
            return self.store_spare_slice(places.as_ptr(), values);
        }
        self.slice_mut(places)?.copy_from_slice(values);
        Ok(())
    }

    /// Sets spare bytes to zero: see [`store_spare`](Writer::store_spare).
    #[doc(hidden)]
    fn zero_spare(&mut self, offset: u64, len: u64) -> Result<()>;

    /// Copies `len` bytes to spare ones: see [`store_spare`](Writer::store_spare).
    #[doc(hidden)]
    fn copy_to_spare(&mut self, from: u64, to: u64, len: u64) -> Result<()>;

    /// Copies `len` bytes to others, which are logged. The two may overlap.
    #[doc(hidden)]
    fn copy_within(&mut self, from: u64, to: u64, len: u64) -> Result<()>;
}

impl<R: Persistent, M: Medium> sealed::Sealed for Segment<R, M> {}
impl<R: Persistent, M: Medium> sealed::Sealed for Transaction<'_, R, M> {}
impl<M: Medium> sealed::Sealed for Inspector<M> {}

impl<R: Persistent, M: Medium> Reader for Segment<R, M> {
    #[cfg_attr(debug_assertions, inline(never))]
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn get<T: Persistent>(&self, ptr: PPtr<T>) -> Result<&T> {
        Segment::get(self, ptr)
    }

    #[cfg_attr(debug_assertions, inline(never))]
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn slice<T: Persistent>(&self, slice: PSlice<T>) -> Result<&[T]> {
        Segment::slice(self, slice)
    }

    fn segment_len(&self) -> u64 {
        self.medium().map_or(0, Medium::len)
    }

    fn segment_name(&self) -> std::sync::Arc<str> {
        self.name_shared()
    }
}

impl<R: Persistent, M: Medium> Reader for Transaction<'_, R, M> {
    #[cfg_attr(debug_assertions, inline(never))]
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn get<T: Persistent>(&self, ptr: PPtr<T>) -> Result<&T> {
        Transaction::get(self, ptr)
    }

    #[cfg_attr(debug_assertions, inline(never))]
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn slice<T: Persistent>(&self, slice: PSlice<T>) -> Result<&[T]> {
        Transaction::slice(self, slice)
    }

    fn segment_len(&self) -> u64 {
        self.core().space.medium().len()
    }

    fn segment_name(&self) -> std::sync::Arc<str> {
        self.core().name.clone()
    }
}

/// What a segment holds, whatever its root: meaningful after [`recover`](Inspector::recover).
impl<M: Medium> Reader for Inspector<M> {
    fn get<T: Persistent>(&self, ptr: PPtr<T>) -> Result<&T> {
        Ok(&self.core.space.read(self.core.follow(ptr)?)[0])
    }

    fn slice<T: Persistent>(&self, slice: PSlice<T>) -> Result<&[T]> {
        Ok(self.core.space.read(self.core.follow_slice(slice)?))
    }

    fn segment_len(&self) -> u64 {
        self.core.space.medium().len()
    }

    fn segment_name(&self) -> std::sync::Arc<str> {
        self.core.name.clone()
    }
}

impl<R: Persistent, M: Medium> Writer for Transaction<'_, R, M> {
    #[cfg_attr(debug_assertions, inline(never))]
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn get_mut<T: Persistent>(&mut self, ptr: PPtr<T>) -> Result<&mut T> {
        Transaction::get_mut(self, ptr)
    }

    #[cfg_attr(debug_assertions, inline(never))]
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn slice_mut<T: Persistent>(&mut self, slice: PSlice<T>) -> Result<&mut [T]> {
        Transaction::slice_mut(self, slice)
    }

    #[cfg_attr(debug_assertions, inline(never))]
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn write<T: Persistent>(&mut self, ptr: PPtr<T>, value: T) -> Result<()> {
        Transaction::write(self, ptr, value)
    }

    fn number(&self) -> u64 {
        Transaction::number(self)
    }

    fn alloc_block(&mut self, len: u64, align: u64) -> Result<u64> {
        let (core, batch) = self.parts();
        Ok(core.alloc(batch, len, align)?.offset())
    }

    fn free_block(&mut self, offset: u64, len: u64, align: u64) -> Result<()> {
        let (core, batch) = self.parts();
        core.free(batch, offset, len, align)
    }

    #[inline(always)]
    fn vacate(&mut self, of: u64) {
        if !planted!(VacatedForgotten) {
            let log = &mut self.parts().0.log;
            log.vacated.note(of, log.sequence);
        }
    }

    #[inline(always)]
    fn has_vacated(&self, of: u64) -> bool {
        let log = &self.core().log;
        log.vacated.has(of, log.sequence)
    }

    #[cfg_attr(debug_assertions, inline(never))]
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn store_spare<T: Persistent>(&mut self, ptr: PPtr<T>, value: T) -> Result<()> {
        let (core, batch) = self.parts();
        let place = core.follow(ptr)?;
        core.log_spare(batch, place.bytes())?;
        core.space.store(place, value);
        Ok(())
    }

    fn store_spare_slice<T: Persistent>(&mut self, ptr: PPtr<T>, values: &[T]) -> Result<()> {
        let slice = PSlice::<T>::from_raw_parts(ptr.offset(), values.len() as u64);
        let place = self.spare(slice)?;
        self.parts().0.space.store_bytes(place, bytemuck::cast_slice(values));
        Ok(())
    }

    fn zero_spare(&mut self, offset: u64, len: u64) -> Result<()> {
        let place = self.spare(PSlice::<u8>::from_raw_parts(offset, len))?;
        self.parts().0.space.store_zeroes(place);
        Ok(())
    }

    fn copy_to_spare(&mut self, from: u64, to: u64, len: u64) -> Result<()> {
        let to = self.spare(PSlice::<u8>::from_raw_parts(to, len))?;
        let from = self.copy_source(from, len)?;
        self.parts().0.space.copy_back(from, to);
        Ok(())
    }

    fn copy_within(&mut self, from: u64, to: u64, len: u64) -> Result<()> {
        let (core, batch) = self.parts();
        let to: Place<u8> = core.follow_slice(PSlice::from_raw_parts(to, len))?;
        core.log_range(batch, to)?;
        if core.log.is_ordered {
            core.settle(batch);
        }
        let from = self.copy_source(from, len)?;
        self.parts().0.space.copy_back(from, to);
        Ok(())
    }
}

impl<R: Persistent, M: Medium> Transaction<'_, R, M> {
    /// The bytes to copy from, with all stores to them made.
    fn copy_source(&mut self, from: u64, len: u64) -> Result<Place<u8>> {
        let (core, batch) = self.parts();
        let place = core.follow_slice(PSlice::from_raw_parts(from, len))?;
        core.settle_for(batch, place);
        Ok(place)
    }

    /// The place of spare bytes, which may be stored to at once.
    #[inline(always)]
    fn spare<T: Persistent>(&mut self, slice: PSlice<T>) -> Result<Place<u8>> {
        let (core, batch) = self.parts();
        let place = core.follow_slice(slice)?.bytes();
        core.log_spare(batch, place)?;
        Ok(place)
    }
}

impl<M: Medium> Core<M> {
    /// Makes sure that the commit will flush a range of spare bytes. There is no before-image, and hence no fence to
    /// wait for.
    #[inline(always)]
    fn log_spare(&mut self, batch: &mut crate::batch::Batch, place: Place<u8>) -> Result<()> {
        self.refuse_poisoned()?;
        if self.log.is_ordered { self.log_spare_ordered(batch, place) } else { Ok(()) }
    }

    #[inline(never)]
    fn log_spare_ordered(&mut self, batch: &mut crate::batch::Batch, place: Place<u8>) -> Result<()> {
        if place.len() == 0 || planted!(SpareNotFlushed) {
            return Ok(());
        }
        self.settle_for(batch, place);
        if self.log.seen.covers(place.offset(), place.len()) {
            return Ok(());
        }
        self.note_spare(batch, place)?;
        self.refuse_borrowed(place)
    }
}
