//! A growable string of bytes, in one block as long as it does not outgrow it. Start at [`PBytes::from_slice`].

use std::ops::RangeBounds;

use crate::collections::handle::handle;
use crate::collections::layout::{BytesHeader, INLINE_MIN, IS_APART};
use crate::collections::vec::resolve;
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::{Describer, Error, PPtr, PSlice, Persistent, Reader, Writer, field};

handle! {
    /// A growable string of bytes: std's `Vec<u8>`, in a segment, and cheaper than a `PVec<u8>`.
    ///
    /// ```
    /// use vista::{PBytes, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let bytes = PBytes::from_slice(tx, b"abc")?;
    ///     *tx.root_mut()? = bytes;
    ///     bytes.push(tx, b'd')?;
    ///     bytes.insert_slice(tx, 1, b"--")?;
    ///     assert_eq!(bytes.drain(tx, 1..3)?, b"--");
    ///     bytes.extend_from_slice(tx, b"ef")
    /// })?;
    /// assert_eq!(segment.root()?.as_slice(&segment)?, b"abcdef");
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Cost
    /// The bytes stand right behind the header: making one allocates one block, and reading follows one pointer. What
    /// outgrows its block moves to a second one, twice as large as needed before, and the handle stays. A change logs the
    /// bytes that it stores over, and 4 bytes of length; those behind the end only in a transaction that has made it shorter
    /// before.
    ///
    /// # A crash in the middle
    /// leaves the bytes as they were before the transaction.
    PBytes<> of BytesHeader, described as "PBytes"
}

const HEADER_LEN: u64 = size_of::<BytesHeader>() as u64;
const ALIGN: u64 = align_of::<u64>() as u64;

/// Where the bytes of a string stand.
#[derive(Clone, Copy)]
struct Body {
    data: u64,
    len: u64,
    capacity: u64,
    inline_capacity: u64,
    is_apart: bool,
}

impl PBytes {
    /// The most bytes that a string may have.
    pub const MAX_LEN: usize = (IS_APART - 1) as usize;

    /// Makes an empty string, with room for 16 bytes.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let bytes = PBytes::new(tx)?;
    /// *tx.root_mut()? = bytes;
    /// assert_eq!((bytes.len(tx)?, bytes.capacity(tx)?), (0, 16));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`] if the segment is full.
    pub fn new(tx: &mut impl Writer) -> Result<Self> {
        Self::with_capacity(tx, 0)
    }

    /// Makes an empty string with room for `capacity` bytes behind its header.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let bytes = PBytes::with_capacity(tx, 100)?;
    /// *tx.root_mut()? = bytes;
    /// assert_eq!((bytes.len(tx)?, bytes.capacity(tx)?), (0, 100));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_slice`](PBytes::from_slice).
    pub fn with_capacity(tx: &mut impl Writer, capacity: usize) -> Result<Self> {
        Self::make(tx, &[], capacity)
    }

    /// Makes a string of these bytes.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let bytes = PBytes::from_slice(tx, &[0, 159, 255])?;
    /// *tx.root_mut()? = bytes;
    /// assert_eq!(bytes.as_slice(tx)?, [0, 159, 255]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`] if the segment is full; [`Error::BadOption`] if there are 2 GiB of them or more.
    pub fn from_slice(tx: &mut impl Writer, bytes: &[u8]) -> Result<Self> {
        Self::make(tx, bytes, bytes.len())
    }

    fn make(tx: &mut impl Writer, bytes: &[u8], capacity: usize) -> Result<Self> {
        refuse_longer(tx, capacity as u64)?;
        let inline_capacity = (capacity as u32).max(INLINE_MIN);
        let header = PPtr::from_offset(tx.alloc_block(HEADER_LEN + u64::from(inline_capacity), ALIGN)?);
        tx.store_spare(header, BytesHeader { len: bytes.len() as u32, inline_capacity })?;
        tx.store_spare_slice(behind(header), bytes)?;
        Ok(Self::from_header(header))
    }

    /// The string that a field holds; if it holds none yet, makes an empty one and stores it there.
    ///
    /// A crash leaves the field null again, and the string's memory free.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.push(tx, b'a')?;
    /// let same = PBytes::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(same.as_slice(tx)?, b"a");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](PBytes::new), and [`Error::BadPointer`] if `field` leads to no field.
    pub fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self> {
        Self::or_make(tx, field, Self::new)
    }

    /// Where the bytes stand. The null handle has none.
    #[inline]
    fn body(self, on: &impl Reader) -> Result<Body> {
        match self.is_null() {
            true => Ok(Body { data: 0, len: 0, capacity: 0, inline_capacity: 0, is_apart: false }),
            false => self.body_to_write(on),
        }
    }

    /// The same of a string that is written to.
    #[inline]
    fn body_to_write(self, on: &impl Reader) -> Result<Body> {
        let BytesHeader { len, inline_capacity } = *on.get(self.header)?; // Null is an error here.
        let is_apart = len & IS_APART != 0;
        let (len, inline_capacity) = (u64::from(len & !IS_APART), u64::from(inline_capacity));
        let [data, capacity] = match is_apart {
            false => [behind::<u8>(self.header).offset(), inline_capacity],
            true => *on.get(behind::<[u64; 2]>(self.header))?,
        };
        if len > capacity {
            return Err(on.damaged(self.offset(), "string: length", len, "at most the capacity"));
        }
        Ok(Body { data, len, capacity, inline_capacity, is_apart })
    }

    /// All bytes.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.set(tx, b"bytes")?;
    /// assert_eq!(&bytes.as_slice(tx)?[1..3], b"yt");
    /// assert_eq!(PBytes::null().as_slice(tx)?, b"");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::BadPointer`] if the header is not sound.
    #[inline]
    pub fn as_slice<A: Reader>(self, on: &A) -> Result<&[u8]> {
        on.slice(self.body(on)?.all())
    }

    /// All bytes, of a string that is written to next.
    pub(super) fn as_slice_to_write<A: Reader>(self, on: &A) -> Result<&[u8]> {
        on.slice(self.body_to_write(on)?.all())
    }

    /// Number of bytes.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.set(tx, b"bytes")?;
    /// assert_eq!(bytes.len(tx)?, 5);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slice`](PBytes::as_slice).
    pub fn len(self, on: &impl Reader) -> Result<usize> {
        Ok(self.body(on)?.len as usize)
    }

    /// Whether there are no bytes.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// assert!(bytes.is_empty(tx)?);
    /// bytes.push(tx, 0)?;
    /// assert!(!bytes.is_empty(tx)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slice`](PBytes::as_slice).
    pub fn is_empty(self, on: &impl Reader) -> Result<bool> {
        Ok(self.body(on)?.len == 0)
    }

    /// Number of bytes for which there is memory.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(bytes.capacity(tx)?, 16);
    /// bytes.resize(tx, 17, 0)?;
    /// assert!(bytes.capacity(tx)? >= 17);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slice`](PBytes::as_slice).
    pub fn capacity(self, on: &impl Reader) -> Result<usize> {
        Ok(self.body(on)?.capacity as usize)
    }

    /// The byte at `index`, or `None` behind the end.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.set(tx, b"bytes")?;
    /// assert_eq!((bytes.get(tx, 1)?, bytes.get(tx, 9)?), (Some(b'y'), None));
    /// assert_eq!((bytes.first(tx)?, bytes.last(tx)?), (Some(b'b'), Some(b's')));
    /// assert!(bytes.starts_with(tx, b"by")? && bytes.ends_with(tx, b"es")?);
    /// assert!(bytes.contains(tx, b't')?);
    /// assert_eq!((bytes.len(tx)?, bytes.is_empty(tx)?), (5, false));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slice`](PBytes::as_slice).
    pub fn get(self, on: &impl Reader, index: usize) -> Result<Option<u8>> {
        Ok(self.as_slice(on)?.get(index).copied())
    }

    /// The first byte.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(bytes.first(tx)?, None);
    /// bytes.set(tx, b"ab")?;
    /// assert_eq!(bytes.first(tx)?, Some(b'a'));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slice`](PBytes::as_slice).
    pub fn first(self, on: &impl Reader) -> Result<Option<u8>> {
        Ok(self.as_slice(on)?.first().copied())
    }

    /// The last byte.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(bytes.last(tx)?, None);
    /// bytes.set(tx, b"ab")?;
    /// assert_eq!(bytes.last(tx)?, Some(b'b'));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slice`](PBytes::as_slice).
    pub fn last(self, on: &impl Reader) -> Result<Option<u8>> {
        Ok(self.as_slice(on)?.last().copied())
    }

    /// Whether there is a byte of this value.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.set(tx, b"ab")?;
    /// assert!(bytes.contains(tx, b'b')? && !bytes.contains(tx, b'c')?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slice`](PBytes::as_slice).
    pub fn contains(self, on: &impl Reader, byte: u8) -> Result<bool> {
        Ok(self.as_slice(on)?.contains(&byte))
    }

    /// Whether it begins with these bytes.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.set(tx, b"GIF89a")?;
    /// assert!(bytes.starts_with(tx, b"GIF")?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slice`](PBytes::as_slice).
    pub fn starts_with(self, on: &impl Reader, bytes: &[u8]) -> Result<bool> {
        Ok(self.as_slice(on)?.starts_with(bytes))
    }

    /// Whether it ends with these bytes.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.set(tx, b"GIF89a")?;
    /// assert!(bytes.ends_with(tx, b"89a")? && !bytes.ends_with(tx, b"87a")?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_slice`](PBytes::as_slice).
    pub fn ends_with(self, on: &impl Reader, bytes: &[u8]) -> Result<bool> {
        Ok(self.as_slice(on)?.ends_with(bytes))
    }

    /// Logs all bytes and lends them for writing.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.set(tx, b"bytes")?;
    /// bytes.as_mut_slice(tx)?.make_ascii_uppercase();
    /// assert_eq!(bytes.pop(tx)?, Some(b'S'));
    /// bytes.truncate(tx, 2)?;
    /// bytes.resize(tx, 4, b'.')?;
    /// assert_eq!(bytes.as_slice(tx)?, b"BY..");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NullPointer`] for the null handle; [`Error::NoSpace`] if the log has no room; and as
    /// [`as_slice`](PBytes::as_slice).
    pub fn as_mut_slice<W: Writer>(self, tx: &mut W) -> Result<&mut [u8]> {
        let body = self.body_to_write(tx)?;
        tx.slice_mut(body.all())
    }

    /// Appends a byte.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.push(tx, b'a')?;
    /// bytes.push(tx, b'b')?;
    /// assert_eq!(bytes.as_slice(tx)?, b"ab");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_mut_slice`](PBytes::as_mut_slice); [`Error::NoSpace`] if the segment is full; [`Error::BadOption`] if there
    /// would be 2 GiB of bytes or more.
    pub fn push(self, tx: &mut impl Writer, byte: u8) -> Result<()> {
        self.extend_from_slice(tx, &[byte])
    }

    /// Removes the last byte and returns it.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.set(tx, b"a")?;
    /// assert_eq!((bytes.pop(tx)?, bytes.pop(tx)?), (Some(b'a'), None));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_mut_slice`](PBytes::as_mut_slice).
    pub fn pop(self, tx: &mut impl Writer) -> Result<Option<u8>> {
        let body = self.body_to_write(tx)?;
        let Some(len) = body.len.checked_sub(1) else { return Ok(None) };
        let byte = *tx.get(body.place(len))?;
        self.set_len(tx, &body, len)?;
        Ok(Some(byte))
    }

    /// Appends bytes.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.extend_from_slice(tx, b"ab")?;
    /// bytes.extend_from_slice(tx, b"cd")?;
    /// assert_eq!(bytes.as_slice(tx)?, b"abcd");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push`](PBytes::push); nothing is appended then.
    pub fn extend_from_slice(self, tx: &mut impl Writer, bytes: &[u8]) -> Result<()> {
        let body = self.with_room(tx, bytes.len() as u64)?;
        if tx.has_vacated(self.offset()) {
            body.store(tx, body.len, bytes)?; // Others may have stood there when the transaction began.
        } else {
            tx.store_spare_slice(body.place(body.len), bytes)?;
        }
        self.set_len(tx, &body, body.len + bytes.len() as u64)
    }

    /// Inserts bytes at `index`, and moves those behind; logs what moves.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.set(tx, b"ad")?;
    /// bytes.insert_slice(tx, 1, b"bc")?;
    /// assert_eq!(bytes.as_slice(tx)?, b"abcd");
    /// assert!(bytes.insert_slice(tx, 5, b"e").is_err()); // Where std panics.
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] if `index` lies behind the end; and as [`push`](PBytes::push).
    pub fn insert_slice(self, tx: &mut impl Writer, index: usize, bytes: &[u8]) -> Result<()> {
        let (index, count, len) = (index as u64, bytes.len() as u64, self.body_to_write(tx)?.len);
        if index > len {
            return Err(tx.out_of_bounds(index, len));
        }
        let body = self.with_room(tx, count)?;
        let (from, to) = (body.place(index), body.place(index + count));
        tx.copy_within(from.offset(), to.offset(), len - index)?;
        body.store(tx, index, bytes)?;
        self.set_len(tx, &body, len + count)
    }

    /// Removes the bytes of `range` and returns them; moves those behind, and logs what moves.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.set(tx, b"abcd")?;
    /// assert_eq!(bytes.drain(tx, 1..3)?, b"bc");
    /// assert_eq!(bytes.as_slice(tx)?, b"ad");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`]; and as [`as_mut_slice`](PBytes::as_mut_slice).
    pub fn drain(self, tx: &mut impl Writer, range: impl RangeBounds<usize>) -> Result<Vec<u8>> {
        let body = self.body_to_write(tx)?;
        let range = resolve(tx, &range, body.len)?;
        let count = range.end - range.start;
        let bytes = tx.slice(body.part(range.start, count))?.to_vec();
        if count > 0 {
            let (from, to) = (body.place(range.end), body.place(range.start));
            tx.copy_within(from.offset(), to.offset(), body.len - range.end)?;
            self.set_len(tx, &body, body.len - count)?;
        }
        Ok(bytes)
    }

    /// Keeps the first `len` bytes.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.set(tx, b"abcd")?;
    /// bytes.truncate(tx, 2)?;
    /// assert_eq!(bytes.as_slice(tx)?, b"ab");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_mut_slice`](PBytes::as_mut_slice).
    pub fn truncate(self, tx: &mut impl Writer, len: usize) -> Result<()> {
        let body = self.body_to_write(tx)?;
        if len as u64 >= body.len {
            return Ok(());
        }
        self.set_len(tx, &body, len as u64)
    }

    /// Removes all bytes; keeps the memory.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.set(tx, b"abcd")?;
    /// bytes.clear(tx)?;
    /// assert_eq!((bytes.len(tx)?, bytes.capacity(tx)?), (0, 16));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`as_mut_slice`](PBytes::as_mut_slice).
    pub fn clear(self, tx: &mut impl Writer) -> Result<()> {
        self.truncate(tx, 0)
    }

    /// Makes it `len` bytes long: cuts off what is too much, appends copies of `byte` where it is too short.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.resize(tx, 3, b'.')?;
    /// bytes.resize(tx, 2, b'!')?;
    /// assert_eq!(bytes.as_slice(tx)?, b"..");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push`](PBytes::push).
    pub fn resize(self, tx: &mut impl Writer, len: usize, byte: u8) -> Result<()> {
        let body = self.body_to_write(tx)?;
        let Some(missing) = (len as u64).checked_sub(body.len) else { return self.truncate(tx, len) };
        let body = self.with_room(tx, missing)?;
        tx.slice_mut(body.part(body.len, missing))?.fill(byte);
        self.set_len(tx, &body, len as u64)
    }

    /// Stores other bytes in the place of all that there are.
    ///
    /// A crash leaves all of the old bytes, never a mixture.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.set(tx, b"first")?;
    /// bytes.set(tx, b"and second")?;
    /// assert_eq!(bytes.as_slice(tx)?, b"and second");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push`](PBytes::push); nothing has changed then.
    pub fn set(self, tx: &mut impl Writer, bytes: &[u8]) -> Result<()> {
        let mut body = self.body_to_write(tx)?;
        let len = bytes.len() as u64;
        if len > body.capacity {
            refuse_longer(tx, len)?;
            body = self.move_apart(tx, Body { len: 0, ..body }, len)?;
        }
        body.store(tx, 0, bytes)?;
        self.set_len(tx, &body, len)
    }

    /// Makes room for `additional` bytes more, at least.
    ///
    /// A crash leaves the memory that there was, and frees the new.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.reserve(tx, 1000)?;
    /// assert!(bytes.capacity(tx)? >= 1000);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push`](PBytes::push).
    pub fn reserve(self, tx: &mut impl Writer, additional: usize) -> Result<()> {
        self.with_room(tx, additional as u64).map(drop)
    }

    /// Gives back memory: bytes that fit behind the header go there again, others to a block of their length. The block with
    /// the header stays as long as it is.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let bytes = PBytes::or_new(tx, tx.root_ptr())?;
    /// bytes.reserve(tx, 1000)?;
    /// assert!(bytes.capacity(tx)? >= 1000);
    /// bytes.clear(tx)?; // Keeps the memory.
    /// bytes.shrink_to_fit(tx)?;
    /// assert_eq!(bytes.capacity(tx)?, 16);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push`](PBytes::push).
    pub fn shrink_to_fit(self, tx: &mut impl Writer) -> Result<()> {
        let body = self.body_to_write(tx)?;
        if !body.is_apart || body.len == body.capacity {
            return Ok(());
        }
        if body.len > body.inline_capacity {
            return self.move_apart(tx, body, body.len).map(drop);
        }
        tx.vacate(self.offset()); // Of the block's offset and capacity, which stand where the bytes come to stand.
        tx.copy_within(body.data, behind::<u8>(self.header).offset(), body.len)?;
        tx.free_block(body.data, body.capacity, ALIGN)?;
        self.set_len(tx, &Body { is_apart: false, ..body }, body.len)
    }

    /// A second string of the same bytes.
    ///
    /// ```
    /// # use vista::{PBytes, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<[PBytes; 2]>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let one = PBytes::from_slice(tx, b"one")?;
    /// let two = one.duplicate(tx)?;
    /// *tx.root_mut()? = [one, two];
    /// two.set(tx, b"two")?;
    /// assert_eq!(one.as_slice(tx)?, b"one");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_slice`](PBytes::from_slice).
    pub fn duplicate(self, tx: &mut impl Writer) -> Result<Self> {
        let bytes = self.as_slice(tx)?.to_vec(); // What is lent from the segment cannot be lent to it.
        Self::from_slice(tx, &bytes)
    }

    /// Where the bytes stand, with room for so many more.
    #[inline]
    fn with_room(self, tx: &mut impl Writer, additional: u64) -> Result<Body> {
        let body = self.body_to_write(tx)?;
        if additional > body.capacity - body.len || body.len + additional >= u64::from(IS_APART) {
            return self.grow(tx, body, additional);
        }
        Ok(body)
    }

    /// Grows to `additional` bytes more, and at least doubles, as far as a string may.
    #[cold]
    fn grow(self, tx: &mut impl Writer, body: Body, additional: u64) -> Result<Body> {
        let least = body.len.saturating_add(additional);
        refuse_longer(tx, least)?;
        self.move_apart(tx, body, least.max(body.capacity.saturating_mul(2)).min(Self::MAX_LEN as u64))
    }

    /// Copies the bytes to a block of `capacity` bytes.
    fn move_apart(self, tx: &mut impl Writer, body: Body, capacity: u64) -> Result<Body> {
        let data = tx.alloc_block(capacity, ALIGN)?;
        tx.copy_to_spare(body.data, data, body.len)?;
        if body.is_apart {
            tx.free_block(body.data, body.capacity, ALIGN)?;
        }
        tx.write(behind(self.header), [data, capacity])?;
        let body = Body { data, capacity, is_apart: true, ..body };
        self.set_len(tx, &body, body.len)?;
        Ok(body)
    }

    /// Stores the length, and with it where the bytes stand.
    #[inline]
    fn set_len(self, tx: &mut impl Writer, body: &Body, len: u64) -> Result<()> {
        let flag = if body.is_apart { IS_APART } else { 0 };
        if len < body.len {
            tx.vacate(self.offset());
        }
        tx.write(field!(self.header, BytesHeader, len), len as u32 | flag)
    }
}

impl Body {
    fn all(&self) -> PSlice<u8> {
        self.part(0, self.len)
    }

    fn part(&self, from: u64, len: u64) -> PSlice<u8> {
        PSlice::from_raw_parts(self.place(from).offset(), len)
    }

    /// Where a byte stands. The block may be damaged: then this is where nothing can be.
    fn place(&self, index: u64) -> PPtr<u8> {
        PPtr::from_offset(self.data.saturating_add(index))
    }

    /// Stores bytes where there is room for them. What is behind the end may have counted before, and is logged like all.
    fn store(&self, tx: &mut impl Writer, from: u64, bytes: &[u8]) -> Result<()> {
        if let [byte] = *bytes {
            return tx.write(self.place(from), byte);
        }
        tx.slice_mut(self.part(from, bytes.len() as u64))?.copy_from_slice(bytes);
        Ok(())
    }
}

/// An error for more bytes than a string may have.
fn refuse_longer(on: &impl Reader, len: u64) -> Result<()> {
    if len <= PBytes::MAX_LEN as u64 {
        return Ok(());
    }
    Err(Error::BadOption {
        segment: on.segment_name(),
        what: "length of a string",
        found: len,
        expected: format!("at most {}", PBytes::MAX_LEN).into(),
    })
}

/// What stands right behind a header.
#[inline]
fn behind<T>(header: PPtr<BytesHeader>) -> PPtr<T> {
    PPtr::from_offset(header.offset().saturating_add(HEADER_LEN))
}

impl Persistent for PBytes {
    const OWNS: bool = true;

    fn describe(_: &mut Describer) -> String {
        "PBytes".to_owned()
    }

    fn release(&self, tx: &mut impl Writer, _: Depth) -> Result<()> {
        if self.is_null() {
            return Ok(());
        }
        let body = self.body(tx)?;
        if body.is_apart {
            tx.free_block(body.data, body.capacity, ALIGN)?;
        }
        tx.free_block(self.offset(), HEADER_LEN + body.inline_capacity, ALIGN)
    }

    fn audit(&self, on: &impl Reader, audit: &mut Audit, _: Depth) {
        if self.is_null() {
            return;
        }
        match self.body(on) {
            Ok(body) => {
                if audit.owns(self.offset(), HEADER_LEN + body.inline_capacity, ALIGN) && body.is_apart {
                    audit.owns(body.data, body.capacity, ALIGN);
                }
            }
            Err(error) => audit.failed(self.offset(), &error),
        }
    }
}
