//! A growable string of bytes, in one block as long as it does not outgrow it. Start at [`PBytes::from_slice`].

use crate::collections::handle::handle;
use crate::collections::layout::{BytesHeader, INLINE_MIN, IS_APART};
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::{Describer, Error, PPtr, PSlice, Persistent, Reader, Writer};

handle! {
    /// A growable string of bytes: std's `Vec<u8>`, in a segment, and cheaper than a `PVec<u8>`.
    ///
    /// ```
    /// use vista::{PBytes, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PBytes>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     *tx.root_mut()? = PBytes::from_slice(tx, b"abc")?;
    ///     Ok(())
    /// })?;
    /// assert_eq!(segment.root()?.as_slice(&segment)?, b"abc");
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Cost
    /// The bytes stand right behind the header: making one allocates one block, and reading follows one pointer. What
    /// outgrows its block moves to a second one, and the handle stays.
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

    /// Makes a string of these bytes.
    ///
    /// # Errors
    /// [`Error::NoSpace`] if the segment is full; [`Error::BadOption`] if there are 2 GiB of them or more.
    pub fn from_slice(tx: &mut impl Writer, bytes: &[u8]) -> Result<Self> {
        if bytes.len() > Self::MAX_LEN {
            return Err(Error::BadOption {
                segment: tx.segment_name(),
                what: "length of a string",
                found: bytes.len() as u64,
                expected: format!("at most {}", Self::MAX_LEN).into(),
            });
        }
        let inline_capacity = bytes.len().max(INLINE_MIN as usize);
        let header = PPtr::from_offset(tx.alloc_block(HEADER_LEN + inline_capacity as u64, ALIGN)?);
        let (len, inline_capacity) = (bytes.len() as u32, inline_capacity as u32);
        tx.store_spare(header, BytesHeader { len, inline_capacity })?;
        tx.store_spare_slice(behind(header), bytes)?;
        Ok(Self::from_header(header))
    }

    /// Where the bytes stand. The null handle has none.
    #[inline(always)]
    fn body(self, on: &impl Reader) -> Result<Body> {
        if self.is_null() {
            return Ok(Body { data: 0, len: 0, capacity: 0, inline_capacity: 0, is_apart: false });
        }
        let BytesHeader { len, inline_capacity } = *on.get(self.header)?;
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
    /// # Errors
    /// [`Error::Damaged`] or [`Error::BadPointer`] if the header is not sound.
    #[inline]
    pub fn as_slice<A: Reader>(self, on: &A) -> Result<&[u8]> {
        let body = self.body(on)?;
        on.slice(PSlice::from_raw_parts(body.data, body.len))
    }

    /// A second string of the same bytes.
    ///
    /// # Errors
    /// As [`from_slice`](PBytes::from_slice).
    pub fn duplicate(self, tx: &mut impl Writer) -> Result<Self> {
        let bytes = self.as_slice(tx)?.to_vec(); // What is lent from the segment cannot be lent to it.
        Self::from_slice(tx, &bytes)
    }
}

/// What stands right behind a header.
#[inline(always)]
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
