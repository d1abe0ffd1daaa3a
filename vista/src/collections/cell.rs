//! One value in a block of its own. Start at [`PCell::new`].

use crate::collections::audit::{self, Typed};
use crate::collections::handle::handle;
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::persistent::align_bytes_of;
use crate::{Describer, PPtr, Persistent, Reader, Writer};

handle! {
    /// One value in a block of its own: std's `Box`, in a segment, with the methods of `Cell`.
    ///
    /// For a value that is large and seldom looked at, beside others that are small; for one that several others name; and
    /// to own a value of the type that it is part of.
    ///
    /// ```
    /// use vista::{PCell, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PCell<u64>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let cell = PCell::new(tx, 1)?;
    ///     *tx.root_mut()? = cell;
    ///     *cell.get_mut(tx)? += 1;
    ///     cell.update(tx, |value| value * 10)?;
    ///     assert_eq!(cell.replace(tx, 7)?, 20);
    ///     Ok(())
    /// })?;
    /// assert_eq!(*segment.root()?.get(&segment)?, 7);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// The null handle has no value: reading it is [`Error::NullPointer`](crate::Error::NullPointer), as writing to it is.
    ///
    /// # Cost
    /// A read follows one pointer; a write logs the value.
    ///
    /// # A crash in the middle
    /// leaves the value that it had before the transaction.
    PCell<T> of T, described as "PCell"
}

impl<T: Persistent> PCell<T> {
    const LEN: u64 = size_of::<T>() as u64;
    const ALIGN: u64 = align_bytes_of::<T>() as u64;

    /// Allocates a value.
    ///
    /// A crash leaves its memory free.
    ///
    /// ```
    /// # use vista::{PCell, SegmentOptions};
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PCell<u64>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let cell = PCell::new(tx, 5)?;
    ///     *tx.root_mut()? = cell; // What nothing holds can never be released.
    ///     Ok(())
    /// })?;
    /// assert_eq!(*segment.root()?.get(&segment)?, 5);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`](crate::Error::NoSpace) if the segment is full.
    pub fn new(tx: &mut impl Writer, value: T) -> Result<Self> {
        let place = PPtr::from_offset(tx.alloc_block(Self::LEN, Self::ALIGN)?);
        tx.store_spare(place, value)?;
        Ok(Self::from_header(place))
    }

    /// The cell that a field holds; if it holds none yet, makes one of `value` and stores it there.
    ///
    /// A crash leaves the field null again, and the cell's memory free.
    ///
    /// ```
    /// # use vista::{PCell, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PCell<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let cell = PCell::or_new(tx, tx.root_ptr(), 5)?;
    /// let same = PCell::or_new(tx, tx.root_ptr(), 7)?; // There is one: 7 is not stored.
    /// assert!(same.ptr_eq(cell) && *same.get(tx)? == 5);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](PCell::new), and [`Error::BadPointer`](crate::Error::BadPointer) if `field` leads to no field.
    pub fn or_new(tx: &mut impl Writer, field: PPtr<Self>, value: T) -> Result<Self> {
        Self::or_make(tx, field, |tx| Self::new(tx, value))
    }

    /// Where the value lies: for what takes a pointer. It stays there as long as the cell lives. The cell goes on to own it.
    ///
    /// ```
    /// # use vista::{PCell, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PCell<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let cell = PCell::or_new(tx, tx.root_ptr(), 5)?;
    /// let place = cell.place();
    /// tx.write(place, 6)?;
    /// assert_eq!(*cell.get(tx)?, 6);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub const fn place(self) -> PPtr<T> {
        self.header()
    }

    /// The value.
    ///
    /// ```
    /// # use vista::{PCell, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PCell<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let cell = PCell::or_new(tx, tx.root_ptr(), 5)?;
    /// assert_eq!(*cell.get(tx)?, 5);
    /// assert!(PCell::<u64>::null().get(tx).is_err());
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NullPointer`](crate::Error::NullPointer) for the null handle;
    /// [`Error::BadPointer`](crate::Error::BadPointer) if it leads out of the user data.
    #[inline]
    pub fn get<A: Reader>(self, on: &A) -> Result<&T> {
        on.get(self.place())
    }

    /// Logs the value and lends it for writing.
    ///
    /// ```
    /// # use vista::{PCell, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PCell<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let cell = PCell::or_new(tx, tx.root_ptr(), 5)?;
    /// *cell.get_mut(tx)? += 1;
    /// assert_eq!(*cell.get(tx)?, 6);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PCell::get), and [`Error::NoSpace`](crate::Error::NoSpace) if the log has no room.
    #[inline]
    pub fn get_mut<W: Writer>(self, tx: &mut W) -> Result<&mut T> {
        tx.get_mut(self.place())
    }

    /// Stores a value. The one before is not released: [`replace`](PCell::replace) returns it.
    ///
    /// ```
    /// # use vista::{PCell, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PCell<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let cell = PCell::or_new(tx, tx.root_ptr(), 5)?;
    /// cell.set(tx, 6)?;
    /// assert_eq!(*cell.get(tx)?, 6);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](PCell::get_mut).
    #[inline]
    pub fn set(self, tx: &mut impl Writer, value: T) -> Result<()> {
        tx.write(self.place(), value)
    }

    /// Stores a value, and returns the one before, which belongs to the caller now.
    ///
    /// ```
    /// # use vista::{PCell, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PCell<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let cell = PCell::or_new(tx, tx.root_ptr(), 5)?;
    /// assert_eq!(cell.replace(tx, 6)?, 5);
    /// assert_eq!(*cell.get(tx)?, 6);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](PCell::get_mut).
    #[inline]
    pub fn replace(self, tx: &mut impl Writer, value: T) -> Result<T> {
        let old = *tx.get(self.place())?;
        tx.write(self.place(), value)?;
        Ok(old)
    }

    /// Leaves a value whose bytes are all zero, and returns the one before, which belongs to the caller now.
    ///
    /// ```
    /// # use vista::{PCell, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PCell<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let cell = PCell::or_new(tx, tx.root_ptr(), 5)?;
    /// assert_eq!(cell.take(tx)?, 5);
    /// assert_eq!(*cell.get(tx)?, 0);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](PCell::get_mut).
    pub fn take(self, tx: &mut impl Writer) -> Result<T> {
        self.replace(tx, T::zeroed())
    }

    /// Exchanges the values of two cells.
    ///
    /// ```
    /// # use vista::{PCell, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<[PCell<u64>; 2]>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let (one, two) = (PCell::new(tx, 1)?, PCell::new(tx, 2)?);
    ///     *tx.root_mut()? = [one, two];
    ///     one.swap(tx, two)?;
    ///     assert_eq!((*one.get(tx)?, two.take(tx)?, *two.get(tx)?), (2, 1, 0));
    ///     Ok(())
    /// })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](PCell::get_mut), for either.
    pub fn swap(self, tx: &mut impl Writer, other: Self) -> Result<()> {
        let (own, others) = (*tx.get(self.place())?, *tx.get(other.place())?);
        tx.write(self.place(), others)?;
        tx.write(other.place(), own)
    }

    /// Stores what `change` makes of the value.
    ///
    /// ```
    /// # use vista::{PCell, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PCell<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let cell = PCell::or_new(tx, tx.root_ptr(), 5)?;
    /// cell.update(tx, |n| n * 2)?;
    /// assert_eq!(*cell.get(tx)?, 10);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](PCell::get_mut).
    pub fn update(self, tx: &mut impl Writer, change: impl FnOnce(T) -> T) -> Result<()> {
        let old = *tx.get(self.place())?;
        tx.write(self.place(), change(old))
    }

    /// Frees the block and returns its value, which belongs to the caller now. The handle leads nowhere from here on.
    ///
    /// ```
    /// # use vista::{PCell, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PCell<u64>>()?;
    /// # segment.transaction(|tx| PCell::or_new(tx, tx.root_ptr(), 5).map(drop))?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let cell = tx.replace(tx.root_ptr(), PCell::null())?;
    ///     assert_eq!(cell.into_inner(tx)?, 5);
    ///     Ok(())
    /// })?;
    /// assert_eq!(segment.check_content()?, []);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PCell::get); [`Error::DoubleFree`](crate::Error::DoubleFree) or
    /// [`Error::NotABlock`](crate::Error::NotABlock) if there is no cell any more.
    pub fn into_inner(self, tx: &mut impl Writer) -> Result<T> {
        let value = *tx.get(self.place())?;
        tx.free_block(self.offset(), Self::LEN, Self::ALIGN)?;
        Ok(value)
    }
}

impl<T: Persistent> Persistent for PCell<T> {
    const OWNS: bool = true;

    fn describe(describer: &mut Describer) -> String {
        ["PCell<", &T::describe(describer), ">"].concat()
    }

    fn release(&self, tx: &mut impl Writer, depth: Depth) -> Result<()> {
        if self.is_null() {
            return Ok(());
        }
        let depth = depth.deeper(tx)?;
        let value = *tx.get(self.place())?;
        value.release(tx, depth)?;
        tx.free_block(self.offset(), Self::LEN, Self::ALIGN)
    }

    fn audit(&self, on: &impl Reader, audit: &mut Audit, depth: Depth) {
        audit::cell(on, audit, self.offset(), &Typed::<_, T>::new(on), depth);
    }
}
