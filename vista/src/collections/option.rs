//! A value that may be there, in a block of its own. Start at [`POption::some`] and [`POption::none`].

use crate::collections::audit::{self, Typed};
use crate::collections::handle::handle;
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::persistent::align_bytes_of;
use crate::{Describer, PPtr, Persistent, Reader, Writer};

handle! {
    /// A value that may be there or not: std's `Option<Box<T>>`, in a segment, where the block stays when the value goes.
    ///
    /// ```
    /// use vista::{POption, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<u64>>()?;
    /// assert_eq!(segment.root()?.get(&segment)?, None);
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let option = POption::or_new(tx, tx.root_ptr())?;
    ///     *option.insert(tx, 1)? += 1;
    ///     assert_eq!(option.replace(tx, 3)?, Some(2));
    ///     Ok(())
    /// })?;
    /// let option = *segment.root()?;
    /// assert_eq!(option.get(&segment)?, Some(&3));
    /// assert_eq!(segment.transaction(|tx| option.take(tx))?, Some(3));
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// The null handle reads as `None`; to store something in it, make it first.
    ///
    /// # Cost
    /// A read follows one pointer. Storing a value logs the old bytes, or if there was none 8 bytes that say so; taking it logs
    /// these 8.
    ///
    /// # A crash in the middle
    /// leaves what there was before the transaction.
    POption<T> of T, described as "POption"
}

/// What stands behind the value if there is one.
const IS_SOME: u64 = 1;

impl<T: Persistent> POption<T> {
    const ALIGN: u64 = {
        let align = align_bytes_of::<T>() as u64;
        if align > 8 { align } else { 8 }
    };
    const FLAG: u64 = (size_of::<T>() as u64).next_multiple_of(8);
    const LEN: u64 = Self::FLAG + 8;

    /// Makes one without a value: [`none`](POption::none).
    ///
    /// ```
    /// # use vista::{POption, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let option = POption::new(tx)?;
    /// *tx.root_mut()? = option;
    /// assert_eq!(option.get(tx)?, None);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`](crate::Error::NoSpace) if the segment is full.
    pub fn new(tx: &mut impl Writer) -> Result<Self> {
        Self::none(tx)
    }

    /// Makes one without a value.
    ///
    /// ```
    /// # use vista::{POption, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let option = POption::none(tx)?;
    /// *tx.root_mut()? = option;
    /// assert!(option.is_none(tx)? && !option.is_null());
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](POption::new).
    pub fn none(tx: &mut impl Writer) -> Result<Self> {
        let offset = tx.alloc_block(Self::LEN, Self::ALIGN)?;
        tx.zero_spare(offset, Self::LEN)?;
        Ok(Self::from_header(PPtr::from_offset(offset)))
    }

    /// Makes one with a value.
    ///
    /// ```
    /// # use vista::{POption, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let option = POption::some(tx, 7)?;
    /// *tx.root_mut()? = option;
    /// assert_eq!(option.get(tx)?, Some(&7));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](POption::new).
    pub fn some(tx: &mut impl Writer, value: T) -> Result<Self> {
        let option = Self::none(tx)?;
        tx.store_spare(option.header(), value)?;
        tx.store_spare(option.flag(), IS_SOME)?;
        Ok(option)
    }

    /// The option that a field holds; if it holds none yet, makes one without a value and stores it there.
    ///
    /// A crash leaves the field null again, and the option's memory free.
    ///
    /// ```
    /// # use vista::{POption, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let option = POption::or_new(tx, tx.root_ptr())?;
    /// option.replace(tx, 7)?;
    /// let same = POption::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(same.get(tx)?, Some(&7));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](POption::new), and [`Error::BadPointer`](crate::Error::BadPointer) if `field` leads to no field.
    pub fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self> {
        Self::or_make(tx, field, Self::new)
    }

    /// Where it stands whether there is a value; null stays null.
    const fn flag(self) -> PPtr<u64> {
        if self.is_null() {
            return PPtr::NULL;
        }
        PPtr::from_offset(self.offset().saturating_add(Self::FLAG))
    }

    /// Whether there is a value in an option that was made.
    #[inline]
    fn load_to_write(self, on: &impl Reader) -> Result<bool> {
        match *on.get(self.flag())? {
            0 => Ok(false),
            IS_SOME => Ok(true),
            other => {
                Err(on.damaged(self.flag().offset(), "option: whether there is a value", other, "0 or 1"))
            }
        }
    }

    /// Whether there is a value.
    ///
    /// ```
    /// # use vista::{POption, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let option = POption::or_new(tx, tx.root_ptr())?;
    /// assert!(!option.is_some(tx)?);
    /// option.replace(tx, 7)?;
    /// assert!(option.is_some(tx)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) or [`Error::BadPointer`](crate::Error::BadPointer) if the block is not
    /// sound.
    #[inline]
    pub fn is_some(self, on: &impl Reader) -> Result<bool> {
        if self.is_null() { Ok(false) } else { self.load_to_write(on) }
    }

    /// Whether there is no value.
    ///
    /// ```
    /// # use vista::{POption, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let option = POption::or_new(tx, tx.root_ptr())?;
    /// assert!(option.is_none(tx)?);
    /// assert!(POption::<u64>::null().is_none(tx)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`is_some`](POption::is_some).
    pub fn is_none(self, on: &impl Reader) -> Result<bool> {
        Ok(!self.is_some(on)?)
    }

    /// Where the value lies, if there is one: for what takes a pointer. It is good as long as the value is there.
    ///
    /// ```
    /// # use vista::{POption, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let option = POption::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(option.place(tx)?, None);
    /// option.replace(tx, 7)?;
    /// let place = option.place(tx)?.unwrap();
    /// assert_eq!(*tx.get(place)?, 7);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`is_some`](POption::is_some).
    pub fn place(self, on: &impl Reader) -> Result<Option<PPtr<T>>> {
        Ok(self.is_some(on)?.then(|| self.header()))
    }

    /// The value, if there is one.
    ///
    /// ```
    /// # use vista::{POption, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let option = POption::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(option.get(tx)?, None);
    /// option.replace(tx, 7)?;
    /// assert_eq!(option.get(tx)?, Some(&7));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`is_some`](POption::is_some).
    #[inline]
    pub fn get<A: Reader>(self, on: &A) -> Result<Option<&T>> {
        if self.is_some(on)? { on.get(self.header()).map(Some) } else { Ok(None) }
    }

    /// Lends the value for writing, if there is one; logs it.
    ///
    /// ```
    /// # use vista::{POption, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let option = POption::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(option.get_mut(tx)?, None);
    /// option.replace(tx, 7)?;
    /// *option.get_mut(tx)?.unwrap() += 1;
    /// assert_eq!(option.get(tx)?, Some(&8));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NullPointer`](crate::Error::NullPointer) for the null handle;
    /// [`Error::NoSpace`](crate::Error::NoSpace) if the log has no room; and as [`is_some`](POption::is_some).
    #[inline]
    pub fn get_mut<W: Writer>(self, tx: &mut W) -> Result<Option<&mut T>> {
        if self.load_to_write(tx)? { tx.get_mut(self.header()).map(Some) } else { Ok(None) }
    }

    /// Stores a value, or none, and returns what there was, which belongs to the caller now.
    ///
    /// ```
    /// # use vista::{POption, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let option = POption::some(tx, 1)?;
    /// *tx.root_mut()? = option;
    /// *option.get_mut(tx)?.unwrap() += 1;
    /// assert_eq!((option.set(tx, None)?, option.is_none(tx)?), (Some(2), true));
    /// assert_eq!(*option.get_or_insert(tx, 7)?, 7);
    /// assert_eq!((option.set(tx, Some(8))?, option.is_some(tx)?), (Some(7), true));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](POption::get_mut).
    pub fn set(self, tx: &mut impl Writer, value: Option<T>) -> Result<Option<T>> {
        match value {
            Some(value) => self.replace(tx, value),
            None => self.take(tx),
        }
    }

    /// Stores a value, and returns the one before, which belongs to the caller now.
    ///
    /// ```
    /// # use vista::{POption, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let option = POption::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(option.replace(tx, 7)?, None);
    /// assert_eq!(option.replace(tx, 8)?, Some(7));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](POption::get_mut).
    pub fn replace(self, tx: &mut impl Writer, value: T) -> Result<Option<T>> {
        let is_some = self.load_to_write(tx)?;
        let old = *tx.get(self.header())?;
        // Also where there is none, one may have been taken in this transaction.
        tx.put(!is_some && !tx.has_vacated(self.offset()), self.header(), value)?;
        if is_some {
            return Ok(Some(old));
        }
        tx.write(self.flag(), IS_SOME)?;
        Ok(None)
    }

    /// Takes the value out and returns it, if there is one. It belongs to the caller now; the block stays.
    ///
    /// ```
    /// # use vista::{POption, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let option = POption::or_new(tx, tx.root_ptr())?;
    /// option.replace(tx, 7)?;
    /// assert_eq!((option.take(tx)?, option.take(tx)?), (Some(7), None));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](POption::get_mut).
    pub fn take(self, tx: &mut impl Writer) -> Result<Option<T>> {
        if !self.load_to_write(tx)? {
            return Ok(None);
        }
        let value = *tx.get(self.header())?;
        tx.vacate(self.offset());
        tx.write(self.flag(), 0)?;
        Ok(Some(value))
    }

    /// Stores a value and lends it for writing. The one before is released.
    ///
    /// ```
    /// # use vista::{POption, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let option = POption::or_new(tx, tx.root_ptr())?;
    /// *option.insert(tx, 7)? += 1;
    /// assert_eq!(option.get(tx)?, Some(&8));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](POption::get_mut), and of releasing the value before.
    pub fn insert<W: Writer>(self, tx: &mut W, value: T) -> Result<&mut T> {
        if let Some(old) = self.replace(tx, value)? {
            old.release(tx, Depth::default())?;
        }
        tx.get_mut(self.header())
    }

    /// Removes the value and releases it; the block stays.
    ///
    /// After a crash the value is there again, with all that it owns.
    ///
    /// ```
    /// # use vista::{POption, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let option = POption::or_new(tx, tx.root_ptr())?;
    /// option.replace(tx, 7)?;
    /// option.clear(tx)?;
    /// assert!(option.is_none(tx)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](POption::insert).
    pub fn clear(self, tx: &mut impl Writer) -> Result<()> {
        match self.take(tx)? {
            Some(value) => value.release(tx, Depth::default()),
            None => Ok(()),
        }
    }

    /// Lends the value for writing; if there is none, stores this one first.
    ///
    /// ```
    /// # use vista::{POption, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let option = POption::or_new(tx, tx.root_ptr())?;
    /// *option.get_or_insert(tx, 7)? += 1;
    /// assert_eq!(*option.get_or_insert(tx, 0)?, 8);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](POption::get_mut).
    pub fn get_or_insert<W: Writer>(self, tx: &mut W, value: T) -> Result<&mut T> {
        self.get_or_insert_with(tx, |_| Ok(value))
    }

    /// Lends the value for writing; if there is none, stores what `make` makes first. It is given the transaction, since a
    /// value that owns memory is made with it.
    ///
    /// ```
    /// use vista::{POption, PVec, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<POption<PVec<u64>>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let option = POption::or_new(tx, tx.root_ptr())?;
    ///     let numbers = *option.get_or_insert_with(tx, |tx| PVec::new(tx))?;
    ///     numbers.push(tx, 7)?;
    ///     assert!(option.get_or_insert_with(tx, |_| unreachable!())?.ptr_eq(numbers));
    ///     option.clear(tx) // And what the vector owned is free.
    /// })?;
    /// assert_eq!(segment.check_content()?, []);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](POption::get_mut), and what `make` returns.
    pub fn get_or_insert_with<W: Writer>(
        self,
        tx: &mut W,
        make: impl FnOnce(&mut W) -> Result<T>,
    ) -> Result<&mut T> {
        if !self.load_to_write(tx)? {
            let value = make(tx)?;
            self.replace(tx, value)?;
        }
        tx.get_mut(self.header())
    }
}

impl<T: Persistent> Persistent for POption<T> {
    const OWNS: bool = true;

    fn describe(describer: &mut Describer) -> String {
        ["POption<", &T::describe(describer), ">"].concat()
    }

    fn release(&self, tx: &mut impl Writer, depth: Depth) -> Result<()> {
        if self.is_null() {
            return Ok(());
        }
        let depth = depth.deeper(tx)?;
        if let Some(value) = self.get(tx)?.copied() {
            value.release(tx, depth)?;
        }
        tx.free_block(self.offset(), Self::LEN, Self::ALIGN)
    }

    fn audit(&self, on: &impl Reader, audit: &mut Audit, depth: Depth) {
        audit::option(on, audit, self.offset(), &Typed::<_, T>::new(on), depth);
    }
}
