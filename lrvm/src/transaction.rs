//! Transactions: ranges of regions that change together, or not at all.
//!
//! A range is lent for writing by the call that declares it; its new bytes are captured when the transaction commits.
//! Start at [`Transaction`].

use std::mem;
use std::ops::Range;
use std::sync::Arc;

use bytemuck::NoUninit;

use crate::error::{Error, Result};
use crate::ranges::coalesce;
use crate::record::{Draft, EMPTY_LEN, range_len};
use crate::region::{Open, Region};
use crate::rvm::{Commit, Inner};

/// How a transaction begins.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
/// # lrvm::create_log(&log, 1 << 16)?;
/// # lrvm::create_segment(&data, 4096)?;
/// # let rvm = lrvm::Rvm::open(&log)?;
/// # let mut region = rvm.map(&data, 0..4096)?;
/// let mut tx = rvm.begin(lrvm::Begin::Restore)?;
/// let all = tx.enlist(&mut region)?;
/// tx.write(all, 0, &7_u64)?;
/// tx.abort()?; // An error, had it begun with `NoRestore`.
/// assert_eq!(region.read::<u64>(0)?, 0);
/// # drop(region);
/// # rvm.close()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Old bytes are kept, so that it can be aborted.
    Restore,
    /// They are not, which saves a copy: who begins so promises to commit. One that is dropped all the same leaves its
    /// regions [spoiled](Error::Spoiled), until they are mapped again.
    NoRestore,
}

/// How a transaction ends.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
/// # lrvm::create_log(&log, 1 << 16)?;
/// # lrvm::create_segment(&data, 4096)?;
/// # let rvm = lrvm::Rvm::open(&log)?;
/// # let mut region = rvm.map(&data, 0..4096)?;
/// use lrvm::{Begin, End};
///
/// let mut tx = rvm.begin(Begin::Restore)?;
/// let all = tx.enlist(&mut region)?;
/// tx.write(all, 0, &7_u64)?;
/// tx.commit(End::NoFlush)?; // No write, no sync.
/// rvm.flush()?; // Durable from here on.
/// # drop(region);
/// # rvm.close()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is durable when the call returns.
    Flush,
    /// It is atomic at once and durable after the next flush: a crash may lose it, with all that committed after it, but
    /// never a part of it.
    NoFlush,
}

/// A transaction. Dropping it aborts it.
///
/// It sees to it that changes are kept together, not that transactions are kept apart: that is done by the borrow of the
/// regions, which lasts until it ends.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
/// use lrvm::{Begin, End, Rvm};
///
/// lrvm::create_log(&log, 1 << 20)?;
/// lrvm::create_segment(&data, 8192)?;
/// let rvm = Rvm::open(&log)?;
/// let mut region = rvm.map(&data, 0..8192)?;
///
/// let mut tx = rvm.begin(Begin::Restore)?;
/// let data = tx.enlist(&mut region)?;
/// tx.set_range(data, 0, 5)?.copy_from_slice(b"hello");
/// tx.modify(data, 4096, b"world")?;
/// tx.commit(End::Flush)?; // Durable from here on.
///
/// assert_eq!(&region.bytes()[..5], b"hello");
/// # drop(region);
/// # rvm.close()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a transaction that is dropped is aborted"]
pub struct Transaction<'r> {
    inner: Arc<Inner>,
    number: u64,
    begin: Begin,
    first: Option<&'r mut Region>,
    more: Vec<&'r mut Region>,
}

/// A region in a transaction, and in no other.
///
/// Example: see [`Transaction::enlist`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enlisted {
    index: usize,
    transaction: u64,
    /// Address of the log, which tells it from others.
    log: usize,
}

impl<'r> Transaction<'r> {
    pub(crate) fn new(inner: Arc<Inner>, number: u64, begin: Begin) -> Self {
        Transaction { inner, number, begin, first: None, more: Vec::new() }
    }

    /// Its number, which the log keeps.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// # let mut region = rvm.map(&data, 0..4096)?;
    /// let tx = rvm.begin(lrvm::Begin::Restore)?;
    /// assert!(rvm.begin(lrvm::Begin::Restore)?.number() > tx.number());
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Takes a region into the transaction, until it ends.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 20)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// # let mut region = rvm.map(&data, 0..4096)?;
    /// let mut tx = rvm.begin(lrvm::Begin::Restore)?;
    /// let all = tx.enlist(&mut region)?; // Nobody else has the region until the transaction ends.
    /// assert_eq!(tx.bytes(all)?.len(), 4096);
    /// # drop(tx);
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OtherLog`], [`Error::Spoiled`].
    pub fn enlist(&mut self, region: &'r mut Region) -> Result<Enlisted> {
        if !Arc::ptr_eq(&self.inner, &region.inner) {
            return Err(Error::OtherLog);
        }
        region.enlist(self.number, self.begin == Begin::Restore)?;
        let enlisted = Enlisted { index: self.count(), transaction: self.number, log: self.log_address() };
        match self.first {
            None => self.first = Some(region),
            Some(_) => self.more.push(region),
        }
        Ok(enlisted)
    }

    /// Declares a range and lends it for writing: what it holds when the transaction commits is what will be durable.
    /// Its bytes are what they were; a range may be declared more than once.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 20)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// # let mut region = rvm.map(&data, 0..4096)?;
    /// # let mut tx = rvm.begin(lrvm::Begin::Restore)?;
    /// # let all = tx.enlist(&mut region)?;
    /// tx.set_range(all, 16, 3)?.copy_from_slice(b"abc");
    /// tx.commit(lrvm::End::Flush)?;
    /// assert_eq!(region.bytes()[16..19], *b"abc");
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutsideRegion`], [`Error::NotEnlisted`]; nothing has changed then.
    pub fn set_range(&mut self, region: Enlisted, offset: u64, len: u64) -> Result<&mut [u8]> {
        self.region_mut(region)?.lend(offset, len)
    }

    /// Declares a range and stores these bytes to it: RVM's `modify_bytes`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 20)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// # let mut region = rvm.map(&data, 0..4096)?;
    /// # let mut tx = rvm.begin(lrvm::Begin::Restore)?;
    /// # let all = tx.enlist(&mut region)?;
    /// tx.modify(all, 16, b"abc")?;
    /// assert_eq!(tx.bytes(all)?[16..19], *b"abc");
    /// # drop(tx);
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`set_range`](Transaction::set_range).
    pub fn modify(&mut self, region: Enlisted, offset: u64, new: &[u8]) -> Result<()> {
        self.set_range(region, offset, new.len() as u64)?.copy_from_slice(new);
        Ok(())
    }

    /// The same with a value.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 20)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// # let mut region = rvm.map(&data, 0..4096)?;
    /// # let mut tx = rvm.begin(lrvm::Begin::Restore)?;
    /// # let all = tx.enlist(&mut region)?;
    /// tx.write(all, 8, &[1_u32, 2])?;
    /// tx.commit(lrvm::End::Flush)?;
    /// assert_eq!(region.read::<u32>(12)?, 2);
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`set_range`](Transaction::set_range).
    pub fn write<T: NoUninit>(&mut self, region: Enlisted, offset: u64, new: &T) -> Result<()> {
        self.modify(region, offset, bytemuck::bytes_of(new))
    }

    /// The bytes of a region, with the changes of this transaction.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// # let mut region = rvm.map(&data, 0..4096)?;
    /// let mut tx = rvm.begin(lrvm::Begin::Restore)?;
    /// let all = tx.enlist(&mut region)?;
    /// tx.modify(all, 0, b"new")?;
    /// assert!(tx.bytes(all)?.starts_with(b"new"));
    /// tx.abort()?;
    /// assert!(region.bytes().starts_with(&[0; 3]));
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotEnlisted`].
    pub fn bytes(&self, region: Enlisted) -> Result<&[u8]> {
        self.check(region)?;
        self.regions()
            .nth(region.index)
            .map(Region::bytes)
            .ok_or(Error::NotEnlisted { transaction: self.number })
    }

    /// Commits. What a crash in the middle leaves is all of it or nothing.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 20)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// # let mut region = rvm.map(&data, 0..4096)?;
    /// # let mut tx = rvm.begin(lrvm::Begin::Restore)?;
    /// # let all = tx.enlist(&mut region)?;
    /// tx.write(all, 0, &7_u64)?;
    /// tx.commit(lrvm::End::Flush)?; // Durable on return.
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TooLarge`], after which it has been aborted (without restore, its regions are
    /// [spoiled](Error::Spoiled)); the same with [`Error::Poisoned`]. The system's, after which the log is out of use and
    /// it is open whether the transaction is durable: the next opening of the log tells, by what the regions hold.
    pub fn commit(mut self, end: End) -> Result<()> {
        let number = self.log(end == End::Flush)?; // Dropped if that fails, and so given up.
        for region in self.regions_mut() {
            region.open.clear();
        }
        self.forget_regions();
        if end == End::Flush && !planted!(AcknowledgedBeforeWrite) {
            match number {
                Some(number) => self.inner.flush_through(number)?,
                None => self.inner.flush()?,
            }
        }
        self.inner.relieve();
        Ok(())
    }

    /// Rolls back.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 20)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// # let mut region = rvm.map(&data, 0..4096)?;
    /// # let mut tx = rvm.begin(lrvm::Begin::Restore)?;
    /// # let all = tx.enlist(&mut region)?;
    /// tx.write(all, 0, &7_u64)?;
    /// tx.abort()?;
    /// assert_eq!(region.read::<u64>(0)?, 0);
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoRestore`] if it began without restore and has declared a range: its regions are then
    /// [spoiled](Error::Spoiled).
    pub fn abort(mut self) -> Result<()> {
        let has_ranges = self.regions_mut().any(|region| !region.open.ranges.is_empty());
        if self.begin == Begin::NoRestore && has_ranges {
            return Err(Error::NoRestore { transaction: self.number });
        }
        Ok(()) // Dropped.
    }

    /// Captures the new bytes in a record and queues it; the number of the commit, if there was anything to log.
    fn log(&mut self, is_flush: bool) -> Result<Option<u64>> {
        let (tuning, buffer) = self.inner.prepare();
        let (mut len, mut declared_len) = (EMPTY_LEN, EMPTY_LEN);
        for region in self.regions_mut() {
            let Open { ranges, logged, repeated_len, .. } = &mut region.open;
            logged.clone_from(ranges);
            if tuning.coalesce_ranges {
                coalesce(logged);
            } else {
                logged.retain(|range| !range.is_empty());
            }
            let len_of = |ranges: &[Range<u64>]| -> u64 {
                ranges.iter().map(|range| range_len(range.end - range.start)).sum()
            };
            declared_len += len_of(ranges) + *repeated_len;
            len += len_of(logged);
        }
        if len == EMPTY_LEN {
            for region in self.regions_mut() {
                region.give_up(); // Nothing to restore: empty ranges at most.
            }
            self.inner.count_empty(is_flush)?;
            return Ok(None);
        }
        let capacity = self.inner.log.ring_len();
        if len > capacity {
            return Err(Error::TooLarge { len, capacity });
        }
        let mut draft = Draft::new(buffer);
        for region in self.regions() {
            let bytes = region.bytes();
            for range in &region.open.logged {
                let new = &bytes[range.start as usize..range.end as usize];
                draft.push(region.shared.segment, region.shared.start + range.start, new);
            }
        }
        let record = draft.finish(self.number);
        debug_assert_eq!(record.len(), len);
        let intra_bytes_saved = declared_len - len;
        self.inner.commit(Commit { record, intra_bytes_saved, is_flush }, self.regions()).map(Some)
    }

    fn count(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    fn regions(&self) -> impl Iterator<Item = &Region> + Clone {
        self.first.iter().chain(&self.more).map(|region| &**region)
    }

    fn regions_mut(&mut self) -> impl Iterator<Item = &mut Region> {
        self.first.iter_mut().chain(&mut self.more).map(|region| &mut **region)
    }

    fn region_mut(&mut self, region: Enlisted) -> Result<&mut Region> {
        self.check(region)?;
        let transaction = self.number;
        let found = match region.index {
            0 => self.first.as_deref_mut(),
            index => self.more.get_mut(index - 1).map(|region| &mut **region),
        };
        found.ok_or(Error::NotEnlisted { transaction })
    }

    fn check(&self, region: Enlisted) -> Result<()> {
        if (region.transaction, region.log) == (self.number, self.log_address()) {
            return Ok(());
        }
        Err(Error::NotEnlisted { transaction: self.number })
    }

    fn log_address(&self) -> usize {
        Arc::as_ptr(&self.inner).addr()
    }

    fn forget_regions(&mut self) {
        self.first = None;
        self.more = Vec::new();
        self.number = 0;
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if mem::take(&mut self.number) == 0 {
            return; // It has committed.
        }
        for region in self.regions_mut() {
            region.give_up();
        }
        self.inner.lock().statistics.aborts += 1;
    }
}

impl std::fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction")
            .field("number", &self.number)
            .field("begin", &self.begin)
            .finish_non_exhaustive()
    }
}
