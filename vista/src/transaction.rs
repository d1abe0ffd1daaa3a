//! A transaction: the only way to write to a segment.
//!
//! Every call that lends `&mut` logs the before-image first; dropping a transaction rolls it back. Start at
//! [`Transaction::get_mut`].

use std::fmt;
use std::marker::PhantomData;

use rio::{Medium, Region};

use crate::batch::Batch;
use crate::content::Depth;
use crate::core::Core;
use crate::error::Result;
use crate::leak::Inner;
use crate::persistent::align_bytes_of;
use crate::space::{Disjoint, Place};
use crate::undo::{Mark, Records, record_words};
use crate::{Error, PPtr, PSlice, Persistent};

/// Changes to a segment that become durable together or not at all.
///
/// Made by [`Segment::transaction`](crate::Segment::transaction), which commits when its closure returns `Ok`, or
/// by [`Segment::begin`](crate::Segment::begin), which leaves [`commit`](Transaction::commit) to the caller. A
/// transaction that is dropped, whose closure returns `Err` or panics, or whose process dies, has never been.
///
/// No call makes a system call or allocates volatile memory, unless the segment has to grow. An error leaves
/// the transaction usable: go on, commit or abort; the call that failed has changed nothing.
///
/// In an ordered domain (ADR, eADR) a range may be stored to only after a fence behind its record. Calls that lend
/// `&mut` fence; [`get_disjoint_mut`](Transaction::get_disjoint_mut) does so once for several ranges, and
/// [`write`](Transaction::write) not at all: its stores wait for the next fence, at the latest the commit's.
///
/// ```
/// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<[i64; 2]>()?;
/// let mut tx = segment.begin()?;
/// *tx.root_mut()? = [-10, 10]; // The old bytes are in the log.
/// tx.commit()?;
/// assert_eq!(*segment.root()?, [-10, 10]);
/// # Ok::<_, vista::Error>(())
/// ```
pub struct Transaction<'s, R: Persistent, M: Medium = Region> {
    // Not `Sync`, for the batch's sake: a reader may have to make stores that wait.
    inner: &'s mut Inner<M>,
    is_open: &'s mut bool,
    root: PhantomData<fn() -> R>,
}

/// A position in a transaction to which it can be rolled back.
///
/// Example: see [`Transaction::rollback_to`].
#[derive(Clone, Copy)]
pub struct Savepoint {
    mark: Mark,
    segment: u64,
    transaction: u64,
    number: u64,
}

impl fmt::Debug for Savepoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Savepoint");
        debug.field("transaction", &self.transaction).field("number", &self.number).finish_non_exhaustive()
    }
}

impl<R: Persistent, M: Medium> fmt::Debug for Transaction<'_, R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Transaction");
        debug
            .field("segment", &self.inner.core.name)
            .field("number", &self.inner.core.log.sequence)
            .finish_non_exhaustive()
    }
}

impl<'s, R: Persistent, M: Medium> Transaction<'s, R, M> {
    #[inline(always)]
    pub(crate) fn begin(inner: &'s mut Inner<M>, is_open: &'s mut bool) -> Self {
        *is_open = true;
        inner.core.begin_log(inner.batch.get_mut());
        Transaction { inner, is_open, root: PhantomData }
    }

    /// Makes the changes durable. On return they survive whatever the persistence domain survives; a crash before
    /// leaves either all of them or none.
    ///
    /// ```
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// let mut tx = segment.begin()?;
    /// *tx.root_mut()? = 1;
    /// tx.commit()?; // Before this store the root is 0 after a crash, behind it 1.
    /// assert_eq!(*segment.root()?, 1);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`] if the log was overwritten by a stray store (ordered domains only, which read it here);
    /// the transaction is then rolled back if it can be.
    #[inline(always)]
    pub fn commit(mut self) -> Result<()> {
        self.commit_in_place()
    }

    /// Commits without moving the transaction, which costs more than all the rest: its fields were just stored one
    /// by one, and a wider load of them has to wait until all stores before them have left the store buffer.
    #[inline(always)]
    pub(crate) fn commit_in_place(&mut self) -> Result<()> {
        let (core, batch) = self.parts();
        core.commit(batch)?;
        *self.is_open = false;
        Ok(())
    }

    /// Rolls everything back. Dropping the transaction does the same, but cannot tell of an error. A crash in the
    /// middle is harmless: opening the segment rolls back again.
    ///
    /// ```
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// let mut tx = segment.begin()?;
    /// *tx.root_mut()? = 1;
    /// tx.abort()?;
    /// assert_eq!(*segment.root()?, 0);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`] if the log was overwritten by a stray store. The segment is then
    /// [poisoned](Error::Poisoned), and the log is left as it is.
    pub fn abort(mut self) -> Result<()> {
        self.roll_back()
    }

    fn roll_back(&mut self) -> Result<()> {
        let (core, batch) = self.parts();
        core.abort(batch)?;
        *self.is_open = false;
        Ok(())
    }

    /// Number of this transaction: one more than the last one that changed something, also across restarts.
    ///
    /// ```
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// let first = segment.transaction(|tx| {
    ///     *tx.root_mut()? = 1;
    ///     Ok::<_, vista::Error>(tx.number())
    /// })?;
    /// assert_eq!(segment.begin()?.number(), first + 1);
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn number(&self) -> u64 {
        self.inner.core.log.sequence
    }

    /// The root, as this transaction sees it.
    ///
    /// ```
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     *tx.root_mut()? = 1;
    ///     assert_eq!(*tx.root(), 1);
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    #[inline]
    pub fn root(&self) -> &R {
        self.read_one(self.root_place())
    }

    /// Pointer to the root.
    ///
    /// ```
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<[u64; 2]>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     tx.write(tx.root_ptr().at(1).unwrap(), 7)?;
    ///     assert_eq!(*tx.root(), [0, 7]);
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    #[inline]
    pub fn root_ptr(&self) -> PPtr<R> {
        PPtr::from_offset(self.root_place().offset())
    }

    /// Logs the whole root and lends it for writing. For a large root, lend the field that changes:
    /// `tx.get_mut(field!(tx.root_ptr(), Root, field))`.
    ///
    /// ```
    /// # use vista::{Error, Persistent, SegmentOptions};
    /// use vista::field;
    ///
    /// #[derive(Clone, Copy, Persistent)]
    /// #[repr(C)]
    /// struct Bank {
    ///     total: i64,
    ///     names: [u8; 4000],
    /// }
    /// # let mut bank = SegmentOptions::new().size(1 << 20).anonymous::<Bank>()?;
    ///
    /// bank.transaction(|tx| -> vista::Result<()> {
    ///     *tx.get_mut(field!(tx.root_ptr(), Bank, total))? += 5; // Logs 8 bytes and not 4008.
    ///     Ok(())
    /// })?;
    /// # assert_eq!(bank.root()?.total, 5);
    /// # Ok::<_, Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`] if the log has no room.
    #[inline]
    pub fn root_mut(&mut self) -> Result<&mut R> {
        self.lend_one(self.root_place())
    }

    /// Reads a value, as this transaction sees it.
    ///
    /// ```
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let ptr = tx.alloc(7_u32)?;
    ///     assert_eq!(*tx.get(ptr)?, 7);
    ///     # tx.free(ptr)?;
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NullPointer`]; [`Error::BadPointer`] if it leads out of the user data or is not aligned.
    #[inline(always)]
    pub fn get<T: Persistent>(&self, ptr: PPtr<T>) -> Result<&T> {
        Ok(self.read_one(self.inner.core.follow(ptr)?))
    }

    /// Reads a slice, as this transaction sees it.
    ///
    /// ```
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let name = tx.alloc_slice(b"Ada")?;
    ///     assert_eq!(tx.slice(name)?, b"Ada");
    ///     # tx.free_slice(name)?;
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Transaction::get). An empty slice can always be read.
    #[inline(always)]
    pub fn slice<T: Persistent>(&self, slice: PSlice<T>) -> Result<&[T]> {
        let place = self.inner.core.follow_slice(slice)?;
        self.settle_for(place);
        Ok(self.inner.core.space.read_inside(place))
    }

    /// Logs a value and lends it for writing.
    ///
    /// ```
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<[u64; 1000]>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let place = tx.root_ptr().at(999).unwrap();
    ///     *tx.get_mut(place)? += 1; // Logs 8 bytes.
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Transaction::get), and [`Error::NoSpace`] if the log has no room.
    #[inline(always)]
    pub fn get_mut<T: Persistent>(&mut self, ptr: PPtr<T>) -> Result<&mut T> {
        let place = self.inner.core.follow(ptr)?;
        self.lend_one(place)
    }

    /// Logs a slice and lends it for writing.
    ///
    /// ```
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<[u64; 1000]>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let some = tx.root_ptr().as_slice().slice(10..13).unwrap();
    ///     tx.slice_mut(some)?.copy_from_slice(&[1, 2, 3]); // Logs 24 bytes.
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](Transaction::get_mut).
    #[inline]
    pub fn slice_mut<T: Persistent>(&mut self, slice: PSlice<T>) -> Result<&mut [T]> {
        let place = self.inner.core.follow_slice(slice)?;
        self.lend(place)
    }

    /// Logs several values, fences once for all of them, and lends them together:
    /// `let (from, to) = tx.get_disjoint_mut((a, b))?`. Takes tuples of one to eight pointers.
    ///
    /// ```
    /// # use vista::{Error, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<[i64; 2]>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let accounts = tx.root_ptr();
    ///     let (from, to) = (accounts.at(0).unwrap(), accounts.at(1).unwrap());
    ///     let (from, to) = tx.get_disjoint_mut((from, to))?;
    ///     *from -= 10;
    ///     *to += 10;
    ///     Ok(())
    /// })?;
    /// assert_eq!(*segment.root()?, [-10, 10]);
    /// # Ok::<_, Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](Transaction::get_mut), and [`Error::Overlap`] if two of them share a byte.
    #[inline(always)]
    pub fn get_disjoint_mut<P: Pointers>(&mut self, pointers: P) -> Result<P::Lent<'_>> {
        pointers.lend(self)
    }

    /// Logs a range of bytes and lends it for writing: the untyped form of [`get_mut`](Transaction::get_mut).
    ///
    /// ```
    /// # use vista::{Error, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// let offset = segment.root_ptr().offset();
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     tx.set_range(offset, 2)?.copy_from_slice(&[1, 2]);
    ///     Ok(())
    /// })?;
    /// assert_eq!(*segment.root()?, 0x0201);
    /// # Ok::<_, Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](Transaction::get_mut).
    pub fn set_range(&mut self, offset: u64, len: u64) -> Result<&mut [u8]> {
        let place = self.inner.core.follow_slice(PSlice::from_raw_parts(offset, len))?;
        self.lend(place)
    }

    /// Logs several ranges, given as offset and length in bytes, with one fence for all of them. Calls that lend
    /// them later find them logged.
    ///
    /// ```
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<[u64; 2]>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let offset = tx.root_ptr().offset();
    ///     tx.set_ranges([(offset, 8), (offset + 8, 8)])?; // One fence for both, where one is needed.
    ///     *tx.root_mut()? = [1, 2];
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](Transaction::get_mut); ranges before the one that failed stay logged, which is harmless.
    pub fn set_ranges(&mut self, ranges: impl IntoIterator<Item = (u64, u64)>) -> Result<()> {
        let (core, batch) = self.parts();
        for (offset, len) in ranges {
            let place: Place<u8> = core.follow_slice(PSlice::from_raw_parts(offset, len))?;
            core.log_range(batch, place)?;
        }
        if core.log.is_ordered {
            core.settle(batch);
        }
        Ok(())
    }

    /// Logs a value and stores a new one. In an ordered domain the store waits for the next fence, so that many
    /// writes share one; reading the value back in this transaction gives the new one all the same.
    ///
    /// ```
    /// # use vista::{Error, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     tx.write(tx.root_ptr(), 7)?;
    ///     assert_eq!(*tx.root(), 7);
    ///     Ok(())
    /// })?;
    /// # Ok::<_, Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](Transaction::get_mut).
    #[inline(always)]
    pub fn write<T: Persistent>(&mut self, ptr: PPtr<T>, value: T) -> Result<()> {
        let place = self.inner.core.follow(ptr)?;
        let (core, batch) = self.parts();
        core.write(batch, place, value)
    }

    /// Logs a value, stores a new one and returns the old.
    ///
    /// ```
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     assert_eq!(tx.replace(tx.root_ptr(), 7)?, 0);
    ///     assert_eq!(*tx.root(), 7);
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](Transaction::get_mut).
    #[inline]
    pub fn replace<T: Persistent>(&mut self, ptr: PPtr<T>, value: T) -> Result<T> {
        let old = *self.get(ptr)?;
        self.write(ptr, value)?;
        Ok(old)
    }

    /// Allocates a value. It exists from commit on, and leaves no trace otherwise: a crash in the middle leaks nothing.
    ///
    /// ```
    /// # use vista::{Error, PPtr, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PPtr<u64>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let ptr = tx.alloc(7)?;
    ///     tx.write(tx.root_ptr(), ptr) // What nothing points to can never be freed.
    /// })?;
    /// assert_eq!(*segment.get(*segment.root()?)?, 7);
    /// # Ok::<_, Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`] if the segment is full and may not grow, or [`Error::Medium`] if it cannot.
    #[inline]
    pub fn alloc<T: Persistent>(&mut self, value: T) -> Result<PPtr<T>> {
        let place = self.alloc_bytes::<T>(1)?;
        // New bytes need no before-image and may be stored to at once.
        self.inner.core.space.store_bytes(place, bytemuck::bytes_of(&value));
        Ok(PPtr::from_offset(place.offset()))
    }

    /// Allocates a copy of a slice. An empty slice, or one of values without size, takes no space.
    ///
    /// ```
    /// # use vista::{Error, PSlice, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PSlice<u8>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let name = tx.alloc_slice(b"Ada")?;
    ///     tx.write(tx.root_ptr(), name)
    /// })?;
    /// assert_eq!(segment.slice(*segment.root()?)?, b"Ada");
    /// # Ok::<_, Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`alloc`](Transaction::alloc).
    pub fn alloc_slice<T: Persistent>(&mut self, values: &[T]) -> Result<PSlice<T>> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        if bytes.is_empty() {
            return Ok(PSlice::empty());
        }
        let place = self.alloc_bytes::<T>(values.len() as u64)?;
        self.inner.core.space.store_bytes(place, bytes);
        Ok(PSlice::from_raw_parts(place.offset(), values.len() as u64))
    }

    /// Allocates a slice of `len` values whose bytes are zero.
    ///
    /// ```
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<vista::PSlice<u64>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let table = tx.alloc_slice_zeroed(100)?;
    ///     assert_eq!(tx.slice(table)?, [0; 100]);
    ///     tx.write(tx.root_ptr(), table)?;
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`alloc`](Transaction::alloc).
    pub fn alloc_slice_zeroed<T: Persistent>(&mut self, len: usize) -> Result<PSlice<T>> {
        if len == 0 || size_of::<T>() == 0 {
            return Ok(PSlice::empty());
        }
        let place = self.alloc_bytes::<T>(len as u64)?;
        self.inner.core.space.store_zeroes(place);
        Ok(PSlice::from_raw_parts(place.offset(), len as u64))
    }

    fn alloc_bytes<T: Persistent>(&mut self, count: u64) -> Result<Place<u8>> {
        let align = align_bytes_of::<T>() as u64;
        let (core, batch) = self.parts();
        let size = (size_of::<T>() as u64).checked_mul(count).ok_or_else(|| core.no_space(u64::MAX))?;
        core.alloc(batch, size, align)
    }

    /// Frees a value that [`alloc`](Transaction::alloc) made. Its space is free from commit on; until then its bytes
    /// stay what they are, unless this transaction allocates them again. A crash before the commit leaves it allocated.
    ///
    /// ```
    /// # use vista::{Error, PPtr, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PPtr<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// #     let ptr = tx.alloc(7)?;
    /// #     tx.write(tx.root_ptr(), ptr)
    /// # })?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let ptr = tx.replace(tx.root_ptr(), PPtr::null())?;
    ///     tx.free(ptr)?;
    ///     assert!(matches!(tx.free(ptr), Err(Error::DoubleFree { .. })));
    ///     Ok(())
    /// })?;
    /// # assert_eq!(segment.blocks()?.len(), 1);
    /// # Ok::<_, Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::DoubleFree`]; [`Error::NotABlock`] if the pointer is no block of this size; [`Error::NullPointer`];
    /// [`Error::Damaged`] if the heap's metadata fails its check.
    #[inline]
    pub fn free<T: Persistent>(&mut self, ptr: PPtr<T>) -> Result<()> {
        if ptr.is_null() {
            return Err(self.inner.core.null_pointer());
        }
        self.free_bytes::<T>(ptr.offset(), 1)
    }

    /// Frees a whole slice that this heap allocated. Freeing an empty slice does nothing.
    ///
    /// ```
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let name = tx.alloc_slice(b"Ada")?;
    ///     tx.free_slice(name)?;
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`free`](Transaction::free).
    pub fn free_slice<T: Persistent>(&mut self, slice: PSlice<T>) -> Result<()> {
        if slice.is_empty() || size_of::<T>() == 0 {
            return Ok(());
        }
        self.free_bytes::<T>(slice.offset(), slice.len() as u64)
    }

    fn free_bytes<T: Persistent>(&mut self, offset: u64, count: u64) -> Result<()> {
        let (core, batch) = self.parts();
        let size = (size_of::<T>() as u64).saturating_mul(count);
        core.free(batch, offset, size, align_bytes_of::<T>() as u64)
    }

    /// Frees what a value owns: the memory of collections in it, and of those in their elements. The value itself is left
    /// as it is, and should be overwritten or freed.
    ///
    /// ```
    /// use vista::{PString, PVec, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<PString>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let names = PVec::or_new(tx, tx.root_ptr())?;
    ///     let ada = PString::new(tx, "Ada")?;
    ///     names.push(tx, ada)
    /// })?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let names = tx.replace(tx.root_ptr(), PVec::null())?;
    ///     tx.release(names) // The strings, the array and the header.
    /// })?;
    /// assert_eq!(segment.blocks()?.len(), 1, "the root alone");
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Persistent::release`].
    pub fn release<T: Persistent>(&mut self, value: T) -> Result<()> {
        value.release(self, Depth::default())
    }

    /// Marks this moment, to come back to with [`rollback_to`](Transaction::rollback_to). Nothing of it outlasts the
    /// transaction: a crash takes back all of it, and not the part behind a savepoint.
    ///
    /// ```
    /// # use vista::{Error, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     *tx.root_mut()? = 1;
    ///     let savepoint = tx.savepoint()?;
    ///     *tx.root_mut()? = 2;
    ///     tx.rollback_to(&savepoint)?;
    ///     assert_eq!(*tx.root(), 1);
    ///     Ok(())
    /// })?;
    /// # assert_eq!(*segment.root()?, 1);
    /// # Ok::<_, Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`] if the log has no room.
    pub fn savepoint(&mut self) -> Result<Savepoint> {
        let (core, batch) = self.parts();
        core.savepoint_count += 1;
        let number = core.savepoint_count;
        let mark = core.log_savepoint(batch, number)?;
        Ok(Savepoint { mark, segment: core.identity, transaction: core.log.sequence, number })
    }

    /// Undoes everything since the savepoint, which can be used again. Savepoints made after it are gone.
    ///
    /// ```
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let before = tx.savepoint()?;
    ///     let block = tx.alloc(7_u64)?;
    ///     *tx.root_mut()? = block.offset();
    ///     tx.rollback_to(&before)?; // The block is free again.
    ///     assert_eq!(*tx.root(), 0);
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::StaleSavepoint`] if it is not of this transaction or gone; nothing has changed then.
    pub fn rollback_to(&mut self, savepoint: &Savepoint) -> Result<()> {
        let (core, batch) = self.parts();
        core.refuse_poisoned()?;
        let is_ours = (savepoint.segment, savepoint.transaction) == (core.identity, core.log.sequence);
        if !is_ours || !core.is_in_log(&savepoint.mark, savepoint.number) {
            return Err(Error::StaleSavepoint { segment: core.name.clone() });
        }
        core.roll_back_to(batch, &savepoint.mark)
    }

    /// Runs a nested transaction: if the closure returns `Err` or panics, what it changed is undone. After an `Err`, or
    /// if the panic is caught inside of it, the outer transaction goes on.
    ///
    /// ```
    /// # use vista::{Error, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     *tx.root_mut()? = 1;
    ///     let inner = tx.nested(|tx| {
    ///         *tx.root_mut()? = 2;
    ///         tx.get(vista::PPtr::<u64>::null())?; // Fails.
    ///         Ok::<_, Error>(())
    ///     });
    ///     assert!(inner.is_err());
    ///     Ok(())
    /// })?;
    /// assert_eq!(*segment.root()?, 1);
    /// # Ok::<_, Error>(())
    /// ```
    ///
    /// # Errors
    /// What the closure returns, or an error of the savepoint.
    pub fn nested<T, E: From<Error>>(&mut self, f: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let savepoint = self.savepoint()?;
        let nested = Nested { tx: self, savepoint };
        let result = f(nested.tx);
        std::mem::forget(nested); // It ended without a panic.
        if result.is_err() {
            self.rollback_to(&savepoint)?;
        }
        result
    }

    #[inline(always)]
    pub(crate) fn core(&self) -> &Core<M> {
        &self.inner.core
    }

    #[inline(always)]
    pub(crate) fn parts(&mut self) -> (&mut Core<M>, &mut Batch) {
        (&mut self.inner.core, self.inner.batch.get_mut())
    }

    #[inline(always)]
    fn root_place(&self) -> Place<R> {
        self.inner.core.root.typed().expect("the segment was opened with this type of root")
    }

    #[inline(always)]
    fn settle_for<T>(&self, place: Place<T>) {
        if self.inner.core.log.is_ordered {
            self.inner.core.settle_for(&mut self.inner.batch.borrow_mut(), place);
        }
    }

    #[inline(always)]
    fn read_one<T: Persistent>(&self, place: Place<T>) -> &T {
        self.settle_for(place);
        &self.inner.core.space.read_inside(place)[0]
    }

    #[inline(always)]
    fn lend<T: Persistent>(&mut self, place: Place<T>) -> Result<&mut [T]> {
        let (core, batch) = self.parts();
        core.log_range(batch, place.bytes())?;
        if core.log.is_ordered {
            core.settle(batch);
        }
        Ok(self.inner.core.space.lend(place))
    }

    #[inline(always)]
    fn lend_one<T: Persistent>(&mut self, place: Place<T>) -> Result<&mut T> {
        Ok(&mut self.lend(place)?[0])
    }
}

/// Undoes a nested transaction that panicked.
struct Nested<'t, 's, R: Persistent, M: Medium> {
    tx: &'t mut Transaction<'s, R, M>,
    savepoint: Savepoint,
}

impl<R: Persistent, M: Medium> Drop for Nested<'_, '_, R, M> {
    fn drop(&mut self) {
        // An error has poisoned the segment, or the savepoint was rolled back over, and everything since with it.
        let _ = self.tx.rollback_to(&self.savepoint);
    }
}

impl<R: Persistent, M: Medium> Drop for Transaction<'_, R, M> {
    #[inline(always)]
    fn drop(&mut self) {
        if *self.is_open {
            // An error has poisoned the segment, which says so at its next use.
            let _ = self.roll_back();
        }
    }
}

impl<M: Medium> Core<M> {
    /// The place that a pointer leads to.
    #[inline(always)]
    pub(crate) fn follow<T: Persistent>(&self, ptr: PPtr<T>) -> Result<Place<T>> {
        const { align_bytes_of::<T>() };
        match self.heap.data_place(ptr.offset(), 1) {
            Some(place) => Ok(place),
            None => Err(self.bad_pointer(ptr.offset(), size_of::<T>() as u64, align_of::<T>() as u64)),
        }
    }

    /// The place that a slice leads to; an empty one leads anywhere.
    #[inline(always)]
    pub(crate) fn follow_slice<T: Persistent>(&self, slice: PSlice<T>) -> Result<Place<T>> {
        const { align_bytes_of::<T>() };
        if slice.is_empty() {
            return Ok(self.heap.nothing());
        }
        let len = slice.len() as u64;
        let bad = || {
            self.bad_pointer(
                slice.offset(),
                len.saturating_mul(size_of::<T>() as u64),
                align_of::<T>() as u64,
            )
        };
        self.heap.data_place(slice.offset(), len).ok_or_else(bad)
    }

    #[cold]
    pub(crate) fn bad_pointer(&self, offset: u64, len: u64, align: u64) -> Error {
        if offset == 0 {
            return self.null_pointer();
        }
        Error::BadPointer { segment: self.name.clone(), offset, len, align }
    }

    #[cold]
    fn null_pointer(&self) -> Error {
        Error::NullPointer { segment: self.name.clone() }
    }
}

/// Tuples of pointers that [`Transaction::get_disjoint_mut`] takes: one to eight of any types.
///
/// Example: see [`Transaction::get_disjoint_mut`].
pub trait Pointers: sealed::Sealed {
    /// A tuple of `&mut`.
    type Lent<'a>;

    #[doc(hidden)]
    fn lend<'a, R: Persistent, M: Medium>(self, tx: &'a mut Transaction<'_, R, M>) -> Result<Self::Lent<'a>>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! pointers {
    ($($name:ident $index:tt),+) => {
        impl<$($name: Persistent),+> sealed::Sealed for ($(PPtr<$name>,)+) {}

        impl<$($name: Persistent),+> Pointers for ($(PPtr<$name>,)+) {
            type Lent<'a> = ($(&'a mut $name,)+);

            #[inline(always)]
            fn lend<'a, R: Persistent, M: Medium>(
                self,
                tx: &'a mut Transaction<'_, R, M>,
            ) -> Result<Self::Lent<'a>> {
                let (core, batch) = tx.parts();
                let places = ($(core.follow(self.$index)?,)+);
                let word_count = 0 $(+ record_words(places.$index.bytes()))+;
                let has_bytes = true $(&& places.$index.len() > 0)+;
                let is_quick = has_bytes && !core.log.is_ordered && core.log.seen.has_empty_tables();
                if is_quick && let Some(room) = core.log.take_room(word_count) {
                    let mut records = Records::new(&mut core.space, room, core.log.seed);
                    $(records.image(places.$index.bytes());)+
                    records.publish(core.log.state, false);
                    // Short transactions do not fill the tables; asked once for all.
                    let is_short = core.log.is_short(room.end());
                    $(core.log.seen.note(places.$index.offset(), places.$index.len(), is_short);)+
                } else {
                    $(core.log_range(batch, places.$index.bytes())?;)+
                    // The log may have grown on the way.
                    $(core.refuse_borrowed(places.$index.bytes())?;)+
                    if core.log.is_ordered {
                        core.settle(batch);
                    }
                }
                let name = &core.name;
                match places.lend(&mut core.space) {
                    Some(lent) => Ok(($(&mut lent.$index[0],)+)),
                    None => Err(Error::Overlap { segment: name.clone() }),
                }
            }
        }
    };
}

pointers!(A 0);
pointers!(A 0, B 1);
pointers!(A 0, B 1, C 2);
pointers!(A 0, B 1, C 2, D 3);
pointers!(A 0, B 1, C 2, D 3, E 4);
pointers!(A 0, B 1, C 2, D 3, E 4, F 5);
pointers!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
pointers!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
