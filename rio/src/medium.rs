//! The seam: the one narrow trait through which all durability passes.
//!
//! A medium lends bytes and says when they are durable. The real one is [`Region`](crate::Region); a crash
//! tester puts its own behind the same trait and sees every store that the library announces, every
//! write-back and every fence. Start at [`Medium`].

#![allow(unsafe_code)] // It declares an unsafe trait; there is no unsafe operation here.

use crate::{Domain, Error};

/// Bytes at the start of every medium that belong to rio's own header; what is built on a medium begins here.
///
/// A medium without a header (such as [`Buffer`](crate::Buffer)) keeps the place free all the same, so that
/// an offset means the same byte on every medium and equals the offset in the file.
pub const HEADER_LEN: u64 = 8192;

/// Bytes in the unit of write-back. All the processors that rio knows write back lines of 64 bytes.
pub const LINE_LEN: u64 = 64;

/// Bytes that may persist: mapped memory with a way to make stores durable, in an order.
///
/// The bytes are reached through two views of the same memory: all shared references are lent from
/// [`read_base`](Medium::read_base), all stores go through [`write_base`](Medium::write_base). Where a medium
/// has no protection both are the same address. Offsets count from the start of the medium.
///
/// ```
/// use rio::{Buffer, HEADER_LEN, Medium};
///
/// /// Durable on return, on any medium.
/// fn persist(medium: &impl Medium, offset: u64, len: u64) {
///     medium.flush(offset, len);
///     medium.fence(); // Orders: these bytes, then whatever the caller stores next.
/// }
///
/// let mut buffer = Buffer::new(1 << 20, 1 << 20);
/// buffer.bytes_mut()[HEADER_LEN as usize] = 1;
/// persist(&buffer, HEADER_LEN, 1);
/// ```
///
/// # Order
/// A store is durable after a [`flush`](Medium::flush) of its bytes and a [`fence`](Medium::fence) that comes
/// later. What was not made durable so may be durable all the same (lines are written back at any time) unless
/// the [`domain`](Medium::domain) says otherwise. Both calls also keep the *compiler* from moving stores across
/// them.
///
/// # Safety
/// The implementer promises, until it is dropped and across moves of itself:
/// 1. `read_base()` and `write_base()` stay what they were, aligned to 4096 bytes, and are valid for reads
///    (the second also for writes) of `len()` bytes, but for the ranges given to [`guard`](Medium::guard).
/// 2. Both views show the same bytes: a store through one is seen by a later load through the other.
/// 3. `len()` never shrinks, and only [`grow`](Medium::grow) changes it.
/// 4. Nobody else in this process touches the bytes while they are lent. (Another process that writes into
///    the same file behind the owner's lock is outside of what any mapped file can promise.)
/// 5. No other method writes to bytes beyond [`HEADER_LEN`].
pub unsafe trait Medium: Send + Sync {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether there is no byte at all, which no real medium is.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Start of the view for readers; a store through it may kill the process.
    fn read_base(&self) -> *const u8;

    /// Start of the view for stores.
    fn write_base(&self) -> *mut u8;

    /// What has to happen for a store to be durable.
    fn domain(&self) -> Domain;

    /// Writes back the lines that hold these bytes; durable after the next fence. Free where the domain
    /// does not need it.
    fn flush(&self, offset: u64, len: u64);

    /// Orders all flushes (and stores) before it ahead of all stores after it.
    fn fence(&self);

    /// The length to which [`grow`](Medium::grow) may go.
    fn max_len(&self) -> u64;

    /// Grows to at least `len` bytes without moving; the new bytes read as zero. Durable on return, and a
    /// failure leaves the old length.
    ///
    /// # Errors
    /// [`Error::ReservationExhausted`] beyond [`max_len`](Medium::max_len); the system's error where space
    /// or memory is short.
    fn grow(&mut self, len: u64) -> Result<(), Error>;

    /// Makes a page-aligned range inaccessible in both views, where the medium can. Nobody may ask for the
    /// bytes of a guarded range again.
    ///
    /// # Errors
    /// The system's error; the range is then accessible as before.
    fn guard(&mut self, offset: u64, len: u64) -> Result<(), Error> {
        let _ = (offset, len);
        Ok(())
    }

    /// Is told that the library has just stored to these bytes. Does nothing but in a crash tester.
    #[inline(always)]
    fn stored(&self, offset: u64, len: u64) {
        let _ = (offset, len);
    }

    /// Is told that these bytes are lent: its user may store to them, unannounced, as long as the borrow
    /// lasts, which is at most until the next call of any method but this one. Does nothing but in a crash tester.
    #[inline(always)]
    fn lent(&self, offset: u64, len: u64) {
        let _ = (offset, len);
    }

    /// Is told that these bytes are being read, by the library or through a reference that it lends. Does nothing but in
    /// a crash tester, which need not try what nobody reads.
    #[inline(always)]
    fn loaded(&self, offset: u64, len: u64) {
        let _ = (offset, len);
    }

    /// What to call this medium in an error: the path of its file, or a word in angle brackets.
    fn name(&self) -> String;

    /// Makes everything durable and marks the medium as cleanly closed. A crash in the middle leaves it marked
    /// as open, which is always safe.
    ///
    /// # Errors
    /// The system's error; the medium then stays marked as open.
    fn close(self) -> Result<(), Error>
    where
        Self: Sized,
    {
        Ok(())
    }
}
