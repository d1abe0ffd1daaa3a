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
    ///
    /// ```
    /// # use rio::{Buffer, Domain, HEADER_LEN, LINE_LEN, Medium};
    /// # let mut medium = Buffer::new(16384, 32768);
    /// assert_eq!(medium.len(), 16384);
    /// ```
    fn len(&self) -> u64;

    /// Whether there is no byte at all, which no real medium is.
    ///
    /// ```
    /// # use rio::{Buffer, Domain, HEADER_LEN, LINE_LEN, Medium};
    /// # let mut medium = Buffer::new(16384, 32768);
    /// assert!(!medium.is_empty());
    /// ```
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Start of the view for readers; a store through it may kill the process.
    ///
    /// ```
    /// # use rio::{Buffer, Domain, HEADER_LEN, LINE_LEN, Medium};
    /// # let mut medium = Buffer::new(16384, 32768);
    /// medium.bytes_mut()[9000] = 7;
    /// let from = medium.read_base().wrapping_add(9000);
    /// // SAFETY: inside of the medium, and nobody stores there meanwhile.
    /// assert_eq!(unsafe { from.read() }, 7);
    /// ```
    fn read_base(&self) -> *const u8;

    /// Start of the view for stores.
    ///
    /// ```
    /// # use rio::{Buffer, Domain, HEADER_LEN, LINE_LEN, Medium};
    /// # let mut medium = Buffer::new(16384, 32768);
    /// let to = medium.write_base().wrapping_add(9000);
    /// // SAFETY: inside of the medium, behind rio's header, and nobody else uses the byte.
    /// unsafe { to.write(7) };
    /// medium.stored(9000, 1);
    /// assert_eq!(medium.bytes()[9000], 7);
    /// ```
    fn write_base(&self) -> *mut u8;

    /// What has to happen for a store to be durable.
    ///
    /// ```
    /// # use rio::{Buffer, Domain, HEADER_LEN, LINE_LEN, Medium};
    /// # let mut medium = Buffer::new(16384, 32768);
    /// if medium.domain().needs_flush() {
    ///     medium.flush(HEADER_LEN, 8);
    /// }
    /// # assert_eq!(medium.domain(), Domain::PageCache);
    /// ```
    fn domain(&self) -> Domain;

    /// Writes back the lines that hold these bytes; durable after the next fence. Free where the domain
    /// does not need it.
    ///
    /// ```
    /// # use rio::{Buffer, Domain, HEADER_LEN, LINE_LEN, Medium};
    /// # let mut medium = Buffer::new(16384, 32768);
    /// medium.bytes_mut()[9000..9100].fill(7);
    /// medium.flush(9000, 100); // Two lines, or three.
    /// medium.fence(); // Orders: the bytes are durable, then whatever is stored next.
    /// ```
    fn flush(&self, offset: u64, len: u64);

    /// Orders all flushes (and stores) before it ahead of all stores after it.
    ///
    /// Example: see [`flush`](Medium::flush).
    fn fence(&self);

    /// The length to which [`grow`](Medium::grow) may go.
    ///
    /// ```
    /// # use rio::{Buffer, Domain, HEADER_LEN, LINE_LEN, Medium};
    /// # let mut medium = Buffer::new(16384, 32768);
    /// assert_eq!(medium.max_len(), 32768);
    /// ```
    fn max_len(&self) -> u64;

    /// Grows to at least `len` bytes without moving; the new bytes read as zero. Durable on return, and a
    /// failure leaves the old length.
    ///
    /// ```
    /// # use rio::{Buffer, Domain, HEADER_LEN, LINE_LEN, Medium};
    /// # let mut medium = Buffer::new(16384, 32768);
    /// medium.grow(20480)?;
    /// assert_eq!(medium.len(), 20480);
    /// assert!(medium.grow(65536).is_err() && medium.len() == 20480);
    /// # Ok::<_, rio::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ReservationExhausted`] beyond [`max_len`](Medium::max_len); the system's error where space
    /// or memory is short.
    fn grow(&mut self, len: u64) -> Result<(), Error>;

    /// Makes a page-aligned range inaccessible in both views, where the medium can. Nobody may ask for the
    /// bytes of a guarded range again.
    ///
    /// ```
    /// use rio::{HEADER_LEN, Medium, Region};
    ///
    /// let mut region = Region::options().size(1 << 20).anonymous()?;
    /// region.guard(HEADER_LEN, 4096)?; // Whoever touches this page by mistake is killed.
    /// # Ok::<_, rio::Error>(())
    /// ```
    ///
    /// # Errors
    /// The system's error; the range is then accessible as before.
    fn guard(&mut self, offset: u64, len: u64) -> Result<(), Error> {
        let _ = (offset, len);
        Ok(())
    }

    /// Is told that the library has just stored to these bytes. Does nothing but in a crash tester.
    ///
    /// Example: see [`write_base`](Medium::write_base).
    #[inline(always)]
    fn stored(&self, offset: u64, len: u64) {
        let _ = (offset, len);
    }

    /// Is told that these bytes are lent: its user may store to them, unannounced, as long as the borrow
    /// lasts, which is at most until the next call of any method but this one. Does nothing but in a crash tester.
    ///
    /// ```
    /// # use rio::{Buffer, Domain, HEADER_LEN, LINE_LEN, Medium};
    /// # let mut medium = Buffer::new(16384, 32768);
    /// /// Lends bytes for writing.
    /// fn lend(medium: &mut Buffer, offset: u64, len: u64) -> &mut [u8] {
    ///     medium.lent(offset, len); // A crash tester looks at them when the next method is called.
    ///     &mut medium.bytes_mut()[offset as usize..][..len as usize]
    /// }
    ///
    /// lend(&mut medium, 9000, 3).copy_from_slice(b"abc");
    /// # assert_eq!(&medium.bytes()[9000..9003], b"abc");
    /// ```
    #[inline(always)]
    fn lent(&self, offset: u64, len: u64) {
        let _ = (offset, len);
    }

    /// Is told that these bytes are being read, by the library or through a reference that it lends. Does nothing but in
    /// a crash tester, which need not try what nobody reads.
    ///
    /// ```
    /// # use rio::{Buffer, Domain, HEADER_LEN, LINE_LEN, Medium};
    /// # let mut medium = Buffer::new(16384, 32768);
    /// /// Lends bytes for reading.
    /// fn read(medium: &Buffer, offset: u64, len: u64) -> &[u8] {
    ///     medium.loaded(offset, len);
    ///     &medium.bytes()[offset as usize..][..len as usize]
    /// }
    ///
    /// assert_eq!(read(&medium, 9000, 3), [0; 3]);
    /// ```
    #[inline(always)]
    fn loaded(&self, offset: u64, len: u64) {
        let _ = (offset, len);
    }

    /// What to call this medium in an error: the path of its file, or a word in angle brackets.
    ///
    /// ```
    /// # use rio::{Buffer, Domain, HEADER_LEN, LINE_LEN, Medium};
    /// # let mut medium = Buffer::new(16384, 32768);
    /// assert_eq!(medium.name(), "<buffer>");
    /// ```
    fn name(&self) -> String;

    /// Makes everything durable and marks the medium as cleanly closed. A crash in the middle leaves it marked
    /// as open, which is always safe.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// use rio::{Medium, Region};
    ///
    /// let region = Region::create(&path, 1 << 20)?;
    /// Medium::close(region)?; // Dropped instead, it would stay marked as open.
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
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
