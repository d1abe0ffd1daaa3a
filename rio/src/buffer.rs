//! A medium in ordinary memory, for tests: it survives nothing, and is quick to make, copy and damage.

#![allow(unsafe_code)] // It implements the seam, whose promises the compiler cannot check.

use std::alloc::{self, Layout};
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, compiler_fence};

use crate::{Domain, Error, Medium};

const ALIGN: usize = 4096;

/// Zeroed, page-aligned memory behind the seam. What is built on a medium can be tried on a `Buffer` without a
/// file, and any bytes can be put into one with [`Buffer::from_bytes`].
///
/// ```
/// use rio::{Buffer, Domain, Medium};
///
/// let mut buffer = Buffer::new(8192, 16384).with_domain(Domain::Adr);
/// buffer.grow(12288)?;
/// assert_eq!((buffer.len(), buffer.bytes()[0]), (12288, 0));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Buffer {
    base: NonNull<u8>,
    len: u64,
    capacity: u64,
    domain: Domain,
}

// SAFETY: the buffer owns its memory alone, as a `Box<[u8]>` does; no method hands out access by itself.
unsafe impl Send for Buffer {}
// SAFETY: as above; `&Buffer` gives only addresses, and who uses them answers for it.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// A zeroed buffer of `len` bytes that may grow to `capacity`.
    ///
    /// ```
    /// let buffer = rio::Buffer::new(8192, 16384);
    /// assert_eq!(buffer.bytes().len(), 8192);
    /// ```
    ///
    /// # Panics
    /// If `capacity` is below `len` or is no size that memory can have.
    pub fn new(len: u64, capacity: u64) -> Self {
        assert!(len <= capacity, "a buffer of {len} bytes cannot have a capacity of {capacity}");
        let layout = Self::layout(capacity);
        // SAFETY: the layout's size is never zero.
        let base = unsafe { alloc::alloc_zeroed(layout) };
        let Some(base) = NonNull::new(base) else { alloc::handle_alloc_error(layout) };
        Buffer { base, len, capacity, domain: Domain::PageCache }
    }

    /// A buffer with these bytes, such as a crash image or a damaged file.
    ///
    /// ```
    /// let image = rio::Buffer::from_bytes(b"what a crash left");
    /// assert_eq!(image.bytes(), b"what a crash left");
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut buffer = Buffer::new(bytes.len() as u64, bytes.len() as u64);
        buffer.bytes_mut().copy_from_slice(bytes);
        buffer
    }

    /// The same buffer, as a medium of this domain: what is built on it then flushes and fences for it.
    ///
    /// ```
    /// use rio::{Buffer, Domain, Medium};
    ///
    /// let buffer = Buffer::new(8192, 8192).with_domain(Domain::Adr);
    /// assert!(buffer.domain().needs_flush());
    /// ```
    pub fn with_domain(mut self, domain: Domain) -> Self {
        self.domain = domain;
        self
    }

    /// The bytes.
    ///
    /// ```
    /// assert!(rio::Buffer::new(8192, 8192).bytes().iter().all(|&byte| byte == 0));
    /// ```
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: (1) the allocation is valid and initialised (zeroed) for `len <= capacity` bytes. (2) Whoever
        // stores through `write_base` while `&self` is borrowed breaks its own promise (4 of `Medium`).
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len as usize) }
    }

    /// The bytes, to change them.
    ///
    /// ```
    /// let mut buffer = rio::Buffer::new(8192, 8192);
    /// buffer.bytes_mut()[0] ^= 0xff; // Damage, say.
    /// assert_eq!(buffer.bytes()[0], 0xff);
    /// ```
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` is alone.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), self.len as usize) }
    }

    fn layout(capacity: u64) -> Layout {
        let size = usize::try_from(capacity.max(1)).expect("a buffer's capacity fits the address space");
        Layout::from_size_align(size, ALIGN).expect("a buffer's capacity fits the address space")
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout, and freed only here.
        unsafe { alloc::dealloc(self.base.as_ptr(), Self::layout(self.capacity)) }
    }
}

// SAFETY: (1) one allocation, aligned to a page, that neither moves nor shrinks. (2) Both views are one address.
// (3) `len` changes in `grow` alone. (4) The allocation is private to this value. (5) No method writes.
unsafe impl Medium for Buffer {
    #[inline(always)]
    fn len(&self) -> u64 {
        self.len
    }

    #[inline(always)]
    fn read_base(&self) -> *const u8 {
        self.base.as_ptr()
    }

    #[inline(always)]
    fn write_base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    #[inline(always)]
    fn domain(&self) -> Domain {
        self.domain
    }

    #[inline(always)]
    fn flush(&self, _offset: u64, _len: u64) {
        compiler_fence(Ordering::SeqCst);
    }

    #[inline(always)]
    fn fence(&self) {
        compiler_fence(Ordering::SeqCst);
    }

    fn max_len(&self) -> u64 {
        self.capacity
    }

    fn grow(&mut self, len: u64) -> Result<(), Error> {
        if len > self.capacity {
            return Err(Error::ReservationExhausted {
                path: self.name(),
                wanted: len,
                reserved: self.capacity,
            });
        }
        self.len = self.len.max(len);
        Ok(())
    }

    fn name(&self) -> String {
        "<buffer>".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_within_its_capacity_without_moving() {
        let mut buffer = Buffer::new(4096, 8192);
        buffer.bytes_mut()[4095] = 7;
        let base = buffer.read_base();
        buffer.grow(8192).unwrap();
        assert_eq!((buffer.read_base(), buffer.len()), (base, 8192));
        assert_eq!((buffer.bytes()[4095], buffer.bytes()[4096]), (7, 0));
        assert!(matches!(
            buffer.grow(8193),
            Err(Error::ReservationExhausted { wanted: 8193, reserved: 8192, .. })
        ));
    }

    #[test]
    fn takes_any_bytes() {
        let buffer = Buffer::from_bytes(&[1, 2, 3]).with_domain(Domain::Adr);
        assert_eq!((buffer.bytes(), buffer.domain()), (&[1, 2, 3][..], Domain::Adr));
    }
}
