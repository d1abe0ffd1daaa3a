//! The memory of a region: pages of its own, or a private view of the segment's file.
//!
//! It is reached through addresses, because the one who truncates reads pages that no transaction has while another thread
//! writes to pages that one has. Start at [`Memory`].

#![allow(unsafe_code)] // It allocates pages, maps files, and lends bytes that several threads share by page.

use std::alloc::{self, Layout};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::ptr::NonNull;

use memmap2::{MmapMut, MmapOptions};

use crate::layout::PAGE_LEN;

/// Whole pages, aligned to their length, whose bytes stay where they are.
pub(crate) struct Memory {
    base: NonNull<u8>,
    len: usize,
    owner: Owner,
}

/// Who frees it.
enum Owner {
    Heap(Layout),
    Mapping { _mapping: MmapMut },
}

// SAFETY: the memory belongs to this value alone; who asks for bytes answers for who else has them.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// So many bytes, all zero; `None` if there are not so many.
    pub(crate) fn zeroed(len: u64) -> Option<Memory> {
        let layout = Layout::from_size_align(usize::try_from(len).ok()?, PAGE_LEN as usize).ok()?;
        if layout.size() == 0 {
            return None;
        }
        // SAFETY: the layout is not empty.
        let base = NonNull::new(unsafe { alloc::alloc_zeroed(layout) })?;
        Some(Memory { base, len: layout.size(), owner: Owner::Heap(layout) })
    }

    /// These bytes of a file, copied page by page when they are first stored to.
    pub(crate) fn private(file: &File, offset: u64, len: u64) -> io::Result<Memory> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let mut options = MmapOptions::new();
        options.offset(offset).len(len);
        // SAFETY: nobody else changes or cuts the file: that is the first promise of whoever calls `Rvm::map_private`, which
        // alone leads here. What truncation writes to it is what the mapping shows already, or has a copy of.
        let mut mapping = unsafe { options.map_copy(file) }?;
        let base = NonNull::new(mapping.as_mut_ptr()).expect("a mapping has an address");
        Ok(Memory { base, len, owner: Owner::Mapping { _mapping: mapping } })
    }

    /// All bytes, before they are shared.
    pub(crate) fn all_mut(&mut self) -> &mut [u8] {
        let len = self.len;
        // SAFETY: (1) All of it. (2) It is borrowed alone, and with it the bytes.
        unsafe { self.bytes_mut(0..len) }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// # Safety
    /// 1. The range lies inside.
    /// 2. Nobody writes to it as long as the bytes are borrowed.
    pub(crate) unsafe fn bytes(&self, range: Range<usize>) -> &[u8] {
        debug_assert!(range.start <= range.end && range.end <= self.len);
        let start = self.base.as_ptr().wrapping_add(range.start);
        // SAFETY: (1) inside of what this value owns, by the caller's first promise. (2) By their second.
        unsafe { std::slice::from_raw_parts(start, range.end - range.start) }
    }

    /// # Safety
    /// 1. The range lies inside.
    /// 2. Nobody else reads or writes it as long as the bytes are borrowed.
    #[expect(clippy::mut_from_ref, reason = "which bytes are whose is decided by page, not by borrow")]
    pub(crate) unsafe fn bytes_mut(&self, range: Range<usize>) -> &mut [u8] {
        debug_assert!(range.start <= range.end && range.end <= self.len);
        let start = self.base.as_ptr().wrapping_add(range.start);
        // SAFETY: (1) inside of what this value owns, by the caller's first promise. (2) By their second.
        unsafe { std::slice::from_raw_parts_mut(start, range.end - range.start) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Owner::Heap(layout) = self.owner {
            // SAFETY: it was allocated with this layout, and is freed once.
            unsafe { alloc::dealloc(self.base.as_ptr(), layout) };
        }
    }
}
