//! Regions: pages of a segment in memory, copied in when they are mapped.
//!
//! A page that an uncommitted transaction has declared a range in is that transaction's; every other page may be read by
//! whoever truncates. Start at [`Region`].

#![allow(unsafe_code)] // It lends bytes of memory that the one who truncates reads too, page by page.

use std::mem;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytemuck::AnyBitPattern;

use crate::device::Device;
use crate::error::{Error, Result};
use crate::layout::PAGE_LEN;
use crate::memory::Memory;
use crate::record::range_len;
use crate::rvm::Inner;
use crate::statistics::RegionQuery;

/// How the bytes of a region get into memory.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
/// # lrvm::create_log(&log, 1 << 16)?;
/// # lrvm::create_segment(&data, 8192)?;
/// # let rvm = lrvm::Rvm::open(&log)?;
/// use lrvm::MapMode;
///
/// let region = rvm.map_with(&data, 0..4096, MapMode::Zeroed)?; // To be filled: nothing is read.
/// assert_eq!(region.bytes()[..4], [0; 4]);
/// # drop(region);
/// # rvm.close()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapMode {
    /// They are read.
    #[default]
    Copy,
    /// They are not read: the memory is zero, and the caller declares and fills what there shall be (RVM's `no_copy`).
    Zeroed,
}

/// Pages of a segment, mapped into memory.
///
/// Reading needs `&Region`; writing needs a [`Transaction`](crate::Transaction), which borrows the region until it ends:
/// so no two transactions share one, and threads that write have a region each. Dropping a region unmaps it.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
/// # lrvm::create_log(&log, 1 << 16)?;
/// # lrvm::create_segment(&data, 8192)?;
/// # let rvm = lrvm::Rvm::open(&log)?;
/// let (first, second) = (rvm.map(&data, 0..4096)?, rvm.map(&data, 4096..8192)?); // A thread each.
/// assert!(rvm.map(&data, 0..8192).is_err(), "mapped already");
/// # drop((first, second));
/// # rvm.close()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Region {
    pub(crate) shared: Arc<Shared>,
    pub(crate) inner: Arc<Inner>,
    pub(crate) open: Open,
}

/// What the transaction on a region has declared. It lives with the region, so that even one that was forgotten can be
/// rolled back.
#[derive(Default)]
pub(crate) struct Open {
    /// Number of the transaction; 0 for none.
    pub(crate) transaction: u64,
    /// Whether it keeps old bytes.
    pub(crate) restores: bool,
    /// The ranges as they were declared.
    pub(crate) ranges: Vec<Range<u64>>,
    /// What those took that were not noted, since they had just been declared.
    pub(crate) repeated_len: u64,
    /// What of them is logged.
    pub(crate) logged: Vec<Range<u64>>,
    /// Their old bytes, one behind the other.
    old: Vec<u8>,
    /// The transaction without restore that was given up here; 0 for none.
    spoiled: u64,
}

/// What the region shares with whoever truncates.
pub(crate) struct Shared {
    pub(crate) segment: u32,
    pub(crate) device: Arc<dyn Device>,
    /// Where the region begins in its segment.
    pub(crate) start: u64,
    memory: Memory,
    /// Whether the memory has all that the segment has.
    pub(crate) is_whole: bool,
    /// The transaction that has the region; 0 for none.
    pub(crate) transaction: AtomicU64,
    pages: Mutex<Pages>,
}

/// RVM's page vector.
pub(crate) struct Pages {
    /// Page by page.
    pub(crate) table: Vec<Page>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Page {
    /// Ranges in it that were declared and neither committed nor rolled back.
    pub(crate) uncommitted: u64,
    /// Whether it stands in the queue of pages that differ from the segment.
    pub(crate) is_queued: bool,
    /// The latest commit that changed it.
    pub(crate) commit: u64,
}

impl Shared {
    /// `None` if there is no memory for the page vector.
    pub(crate) fn new(
        segment: u32,
        device: Arc<dyn Device>,
        start: u64,
        memory: Memory,
        is_whole: bool,
    ) -> Option<Shared> {
        let mut table = Vec::new();
        let page_count = memory.len() / PAGE_LEN as usize;
        table.try_reserve_exact(page_count).ok()?;
        table.resize(page_count, Page::default());
        let (transaction, pages) = (AtomicU64::new(0), Mutex::new(Pages { table }));
        Some(Shared { segment, device, start, memory, is_whole, transaction, pages })
    }

    pub(crate) fn len(&self) -> u64 {
        self.memory.len() as u64
    }

    pub(crate) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies a page, if no transaction has a range in it.
    pub(crate) fn copy_page(&self, pages: &MutexGuard<'_, Pages>, page: usize, to: &mut Vec<u8>) -> bool {
        if pages.table[page].uncommitted != 0 && !planted!(PageWithUncommitted) {
            return false;
        }
        let start = page * PAGE_LEN as usize;
        // SAFETY: (1) The table has as many pages as the memory. (2) Bytes are lent for writing only by a transaction that
        // has counted the page before, and the lock of the table is held, so that none can begin to.
        to.extend_from_slice(unsafe { self.memory.bytes(start..start + PAGE_LEN as usize) });
        true
    }
}

/// The pages that a range touches.
pub(crate) fn pages_of(range: &Range<u64>) -> Range<usize> {
    if range.is_empty() {
        return 0..0;
    }
    (range.start / PAGE_LEN) as usize..range.end.div_ceil(PAGE_LEN) as usize
}

impl Region {
    pub(crate) fn new(shared: Arc<Shared>, inner: Arc<Inner>) -> Region {
        Region { shared, inner, open: Open::default() }
    }

    /// Length in bytes, whole pages.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # lrvm::create_segment(&data, 8192)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// let region = rvm.map(&data, 4096..8192)?;
    /// assert_eq!(region.len(), 4096);
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> u64 {
        self.shared.len()
    }

    /// Whether there is no byte, which no region is.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # lrvm::create_segment(&data, 8192)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// let region = rvm.map(&data, 4096..8192)?;
    /// assert!(!region.is_empty());
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the region begins in its segment, in bytes.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # lrvm::create_segment(&data, 8192)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// let region = rvm.map(&data, 4096..8192)?;
    /// assert_eq!(region.offset(), 4096);
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn offset(&self) -> u64 {
        self.shared.start
    }

    /// All bytes, aligned to a page.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 20)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// # let region = rvm.map(&data, 0..4096)?;
    /// assert_eq!(region.bytes()[..4], [0; 4]);
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: (1) All of it. (2) Bytes are lent for writing only by a transaction, which borrows the region alone.
        unsafe { self.shared.memory.bytes(0..self.shared.memory.len()) }
    }

    /// The value at `offset`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 20)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// # let region = rvm.map(&data, 0..4096)?;
    /// assert_eq!(region.read::<u64>(4088)?, 0);
    /// assert!(region.read::<u64>(4090).is_err(), "beyond the end");
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutsideRegion`].
    pub fn read<T: AnyBitPattern>(&self, offset: u64) -> Result<T> {
        let range = self.range(offset, size_of::<T>() as u64)?;
        Ok(bytemuck::pod_read_unaligned(&self.bytes()[range.start as usize..range.end as usize]))
    }

    /// How it stands.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # lrvm::create_segment(&data, 8192)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// let region = rvm.map(&data, 0..8192)?;
    /// let query = region.query();
    /// assert_eq!((query.page_count, query.dirty_page_count, query.uncommitted), (2, 0, None));
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn query(&self) -> RegionQuery {
        let pages = self.shared.pages();
        let count = |is_it: fn(&Page) -> bool| pages.table.iter().filter(|page| is_it(page)).count() as u64;
        RegionQuery {
            uncommitted: Some(self.open.transaction).filter(|&transaction| transaction != 0),
            page_count: pages.table.len() as u64,
            dirty_page_count: count(|page| page.is_queued),
            uncommitted_page_count: count(|page| page.uncommitted != 0),
        }
    }

    /// Unmaps it. Its committed changes stay in the log, or wait for a flush; mapping the same pages again shows them.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # lrvm::create_segment(&data, 8192)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// let region = rvm.map(&data, 0..8192)?;
    /// region.unmap().map_err(|(_, error)| error)?;
    /// assert_eq!(rvm.query().region_count, 0);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Uncommitted`] if a transaction on it was forgotten, neither committed nor dropped; the region comes back,
    /// still mapped.
    #[expect(clippy::result_large_err, reason = "the region comes back whole")]
    pub fn unmap(self) -> std::result::Result<(), (Region, Error)> {
        match self.open.transaction {
            0 => Ok(()), // Dropping it unmaps it.
            transaction => Err((self, Error::Uncommitted { transaction })),
        }
    }

    fn range(&self, offset: u64, len: u64) -> Result<Range<u64>> {
        let region_len = self.len();
        match offset.checked_add(len) {
            Some(end) if end <= region_len => Ok(offset..end),
            _ => Err(Error::OutsideRegion { offset, len, region_len }),
        }
    }

    /// Gives the region to a transaction. One that was forgotten is rolled back first.
    pub(crate) fn enlist(&mut self, transaction: u64, restores: bool) -> Result<()> {
        if self.open.transaction != 0 {
            self.give_up();
        }
        if self.open.spoiled != 0 {
            return Err(Error::Spoiled { transaction: self.open.spoiled });
        }
        self.open.transaction = transaction;
        self.shared.transaction.store(transaction, Ordering::Relaxed);
        self.open.restores = restores;
        Ok(())
    }

    /// Lends a range, after its pages were counted and its old bytes kept.
    pub(crate) fn lend(&mut self, offset: u64, len: u64) -> Result<&mut [u8]> {
        let range = self.range(offset, len)?;
        let place = range.start as usize..range.end as usize;
        // What has just been declared need not be again, and nothing need not be at all.
        let covers = |last: &Range<u64>| last.start <= range.start && range.end <= last.end;
        if len != 0 && !self.open.ranges.last().is_some_and(covers) {
            {
                let mut pages = self.shared.pages();
                for page in &mut pages.table[pages_of(&range)] {
                    page.uncommitted += 1;
                }
            }
            if self.open.restores {
                // SAFETY: (1) Checked above. (2) The region is borrowed alone.
                self.open.old.extend_from_slice(unsafe { self.shared.memory.bytes(place.clone()) });
            }
            self.open.ranges.push(range);
        } else if len != 0 {
            self.open.repeated_len += range_len(len);
        }
        // SAFETY: (1) Checked above. (2) The region is borrowed alone as long as the bytes are; their pages, if any, were
        // counted under the lock of the table, and whoever truncates reads none that is.
        Ok(unsafe { self.shared.memory.bytes_mut(place) })
    }

    /// Ends the transaction here, rolled back if it can be; otherwise nobody can use the region any more.
    pub(crate) fn give_up(&mut self) {
        let transaction = mem::take(&mut self.open.transaction);
        if !self.open.restores {
            if !self.open.ranges.is_empty() {
                self.open.spoiled = transaction; // The pages stay counted: nobody writes them to the segment.
            }
            self.shared.transaction.store(0, Ordering::Relaxed);
            return;
        }
        let mut end = self.open.old.len();
        let restore = |range: &Range<u64>, start: usize| {
            let place = range.start as usize..range.end as usize;
            let old = &self.open.old[start..start + place.len()];
            // SAFETY: (1) Checked when it was declared. (2) The region is borrowed alone, and the pages are counted.
            unsafe { self.shared.memory.bytes_mut(place) }.copy_from_slice(old);
        };
        for range in self.open.ranges.iter().rev() {
            end -= (range.end - range.start) as usize;
            restore(range, end);
        }
        if planted!(NewestImageRestored) {
            let mut start = 0;
            for range in &self.open.ranges {
                restore(range, start);
                start += (range.end - range.start) as usize;
            }
        }
        self.shared.transaction.store(0, Ordering::Relaxed);
        let mut pages = self.shared.pages();
        for range in &self.open.ranges {
            for page in &mut pages.table[pages_of(range)] {
                page.uncommitted -= 1;
            }
        }
        drop(pages);
        self.open.clear();
    }
}

impl Open {
    pub(crate) fn clear(&mut self) {
        /// Bytes of old bytes that are kept allocated for the next transaction.
        const KEPT_LEN: usize = 1 << 20;
        self.transaction = 0;
        self.repeated_len = 0;
        self.old.clear();
        self.old.shrink_to(KEPT_LEN);
        for ranges in [&mut self.ranges, &mut self.logged] {
            ranges.clear();
            ranges.shrink_to(KEPT_LEN / size_of::<Range<u64>>());
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if self.open.transaction != 0 {
            self.give_up();
        }
        self.inner.unmap(&self.shared);
    }
}

impl std::fmt::Debug for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = self.offset() + self.len();
        f.debug_struct("Region")
            .field("segment", &self.shared.segment)
            .field("bytes", &(self.offset()..end))
            .finish()
    }
}
