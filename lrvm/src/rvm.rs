//! An open log: what is committed, what of it is durable, and who has to wait for that.
//!
//! A commit adds its record to a queue. A flush writes all that is queued as one batch, with one write and one sync; who
//! comes while that goes on waits, and the next batch has all of them. Start at [`Rvm`] and [`Inner::flush_through`].

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{mem, thread};

use crate::device::{Device, Devices};
use crate::error::{Error, Result};
use crate::layout::{PAGE_LEN, SEGMENT_COUNT, SEGMENT_NAME_LEN};
use crate::log::{Extent, Log};
use crate::memory::Memory;
use crate::options::{Options, Tuning, check_threshold, open_error};
use crate::ranges::Latest;
use crate::record::{Finished, Place};
use crate::region::{MapMode, Region, Shared, pages_of};
use crate::statistics::{Query, Recovery, Statistics};
use crate::transaction::{Begin, Transaction};
use crate::{recovery, truncation};

/// An open log, with which regions of segments are mapped and changed by transactions.
///
/// It may be shared between threads, which map regions of their own and whose commits it serialises: flushes that wait for
/// the disk at the same time share one write and one sync.
///
/// Dropping it flushes what waits, without a way to tell of a failure: [`close`](Rvm::close) does.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
/// # lrvm::create_log(&log, 1 << 16)?;
/// # lrvm::create_segment(&data, 8192)?;
/// use lrvm::{Begin, End, Rvm};
///
/// let rvm = Rvm::open(&log)?;
/// std::thread::scope(|scope| {
///     for page in [0..4096, 4096..8192] {
///         let (rvm, mut region) = (&rvm, rvm.map(&data, page).unwrap());
///         scope.spawn(move || {
///             let mut tx = rvm.begin(Begin::Restore).unwrap();
///             let all = tx.enlist(&mut region).unwrap();
///             tx.write(all, 0, &7_u64).unwrap();
///             tx.commit(End::Flush).unwrap();
///         });
///     }
/// });
/// rvm.close()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Rvm {
    inner: Arc<Inner>,
    background: Option<thread::JoinHandle<()>>,
    recovery: Recovery,
}

/// What handles, regions and the thread that truncates share.
///
/// Locks are taken in the order `truncating`, `segments`, `state`, pages of a region. Nobody waits for a flush with one of
/// them held.
pub(crate) struct Inner {
    pub(crate) log: Log,
    pub(crate) options: Options,
    devices: Box<dyn Devices>,
    pub(crate) state: Mutex<State>,
    /// A flush has ended.
    flushed: Condvar,
    /// There is something to truncate, or it is time to stop.
    pub(crate) wanted: Condvar,
    /// Held by whoever truncates, and by who may not meet a truncation.
    pub(crate) truncating: Mutex<()>,
    /// The segments that have been opened, by number in the log's table.
    pub(crate) segments: Mutex<Vec<Segment>>,
    next_transaction: AtomicU64,
    /// Flushes before it was opened.
    flushes_before: u64,
    /// Whether the state has a poison; it is set after that.
    is_poisoned: AtomicBool,
    /// A flush has gone beyond the threshold, and nobody has looked after that yet.
    is_over: AtomicBool,
}

/// A segment that is open.
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) device: Arc<dyn Device>,
}

pub(crate) struct State {
    pub(crate) tuning: Tuning,
    /// Records that wait for a flush, by ascending number.
    queue: Vec<Queued>,
    /// Places in it whose record a later one made needless; they go before they are most of it.
    hole_count: usize,
    /// Number of the first commit that is not in the log, nor on the way there.
    first: u64,
    /// An empty queue, for when this one is taken.
    spare: Vec<Queued>,
    /// Number of the latest commit.
    last: u64,
    queue_len: u64,
    latest: Latest,
    /// Commits up to here are durable.
    pub(crate) durable: u64,
    /// Where the log begins, and where what is durable of it ends.
    pub(crate) extent: Extent,
    is_flushing: bool,
    /// Threads that wait for the end of a flush.
    waiter_count: usize,
    /// Pages that differ from their segments, with a position before which no record has anything of theirs: RVM's page
    /// queue. Positions ascend.
    pub(crate) dirty: VecDeque<Dirty>,
    /// The regions that are mapped.
    pub(crate) regions: Vec<Arc<Shared>>,
    /// Places in segments that are being mapped.
    reserved: Vec<(u32, Range<u64>)>,
    /// Length of the regions that are mapped no more, and may have pages that differ from their segments.
    pub(crate) unmapped_len: u64,
    pub(crate) statistics: Statistics,
    poison: Option<Arc<str>>,
    pub(crate) is_stopping: bool,
    buffers: Vec<Vec<u8>>,
}

/// A page that differs from its segment.
pub(crate) struct Dirty {
    pub(crate) position: u64,
    pub(crate) region: Arc<Shared>,
    pub(crate) page: usize,
}

struct Queued {
    number: u64,
    /// `None` if a later one made it needless.
    record: Option<Finished>,
    /// Bytes that no later record overwrites.
    live: u64,
}

/// A record and what it is of, on the way into the queue.
pub(crate) struct Commit {
    pub(crate) record: Finished,
    pub(crate) intra_bytes_saved: u64,
    pub(crate) is_flush: bool,
}

impl Rvm {
    /// Opens the log at `path` with the default [`Options`], and recovers.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = dir.path().join("log");
    /// lrvm::create_log(&log, 1 << 20)?;
    /// let rvm = lrvm::Rvm::open(&log)?; // Recovers.
    /// assert_eq!(rvm.recovery().transactions, 0);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Rvm> {
        Options::new().open(path)
    }

    pub(crate) fn start(
        options: Options,
        device: Box<dyn Device>,
        devices: Box<dyn Devices>,
        name: Arc<str>,
    ) -> Result<Rvm> {
        let (log, copies) = Log::open(device, name)?;
        let tuning = options.tuning(log.ring_len());
        let mut recovery = recovery::recover(&log, &*devices, &options)?;
        recovery.status_was_torn = copies.good != [true; 2];
        let status = log.status();
        let state = State {
            tuning,
            queue: Vec::new(),
            hole_count: 0,
            first: 1,
            spare: Vec::new(),
            last: 0,
            queue_len: 0,
            latest: Latest::default(),
            durable: 0,
            extent: Extent { head: status.head, tail: status.tail },
            is_flushing: false,
            waiter_count: 0,
            dirty: VecDeque::new(),
            regions: Vec::new(),
            reserved: Vec::new(),
            unmapped_len: 0,
            statistics: Statistics::default(),
            poison: None,
            is_stopping: false,
            buffers: Vec::new(),
        };
        let inner = Arc::new(Inner {
            log,
            options,
            devices,
            state: Mutex::new(state),
            flushed: Condvar::new(),
            wanted: Condvar::new(),
            truncating: Mutex::new(()),
            segments: Mutex::new(Vec::new()),
            next_transaction: AtomicU64::new(status.next_transaction),
            flushes_before: status.flush_count,
            is_poisoned: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let background = if options.background {
            let inner = inner.clone();
            let spawned = thread::Builder::new().name("lrvm-truncate".to_owned()).spawn({
                let inner = inner.clone();
                move || truncation::run(&inner)
            });
            Some(spawned.map_err(|source| Error::system(inner.log.name(), "thread", source))?)
        } else {
            None
        };
        Ok(Rvm { inner, background, recovery })
    }

    /// What opening it has found and done.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = dir.path().join("log");
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # lrvm::Rvm::open(&log)?.close()?;
    /// let rvm = lrvm::Rvm::open(&log)?;
    /// assert!(rvm.recovery().was_clean && rvm.recovery().transactions == 0);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Maps these bytes of a segment, whole pages, and copies them in. What was committed to them before is there, be it
    /// durable or not, and whether or not they have been mapped before.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 20)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// let region = rvm.map(&data, 0..4096)?;
    /// assert_eq!(region.read::<u64>(0)?, 0);
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Unaligned`], [`Error::OutsideSegment`], [`Error::Overlap`] with what is mapped, [`Error::Name`],
    /// [`Error::TooManySegments`], [`Error::InUse`], [`Error::NoMemory`]; the system's.
    pub fn map(&self, segment: impl AsRef<Path>, bytes: Range<u64>) -> Result<Region> {
        self.map_with(segment, bytes, MapMode::Copy)
    }

    /// The same in one of several ways.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// let region = rvm.map_with(&data, 0..4096, lrvm::MapMode::Zeroed)?;
    /// assert_eq!(region.bytes()[..4], [0; 4]);
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`map`](Rvm::map).
    pub fn map_with(&self, segment: impl AsRef<Path>, bytes: Range<u64>, mode: MapMode) -> Result<Region> {
        let source = match mode {
            MapMode::Copy => Source::Read,
            MapMode::Zeroed => Source::Nothing,
        };
        Inner::map(&self.inner, segment.as_ref(), bytes, source)
    }

    /// The same without a copy: pages of the segment's file are mapped privately, and copied one by one when they are first
    /// stored to (RVM's `map_private`). For large segments of which little is changed. Where the device is no file it is
    /// read as by [`map`](Rvm::map).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// // SAFETY: (1) The file belongs to this log alone. (2) `Rvm::open` opens files from their first byte on.
    /// let region = unsafe { rvm.map_private(&data, 0..4096)? };
    /// assert_eq!(region.read::<u64>(0)?, 0);
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// 1. Nobody but this log changes the file or cuts it as long as the region is mapped.
    /// 2. [`Device::file`] is a file whose first byte is the device's.
    ///
    /// # Errors
    /// As [`map`](Rvm::map).
    #[allow(unsafe_code)] // It passes the promise on.
    pub unsafe fn map_private(&self, segment: impl AsRef<Path>, bytes: Range<u64>) -> Result<Region> {
        Inner::map(&self.inner, segment.as_ref(), bytes, Source::File)
    }

    /// Begins a transaction. It has no region yet: see [`Transaction::enlist`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 20)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// # let mut region = rvm.map(&data, 0..4096)?;
    /// use lrvm::{Begin, End};
    ///
    /// let mut tx = rvm.begin(Begin::Restore)?;
    /// let all = tx.enlist(&mut region)?;
    /// tx.write(all, 0, &7_u64)?;
    /// tx.commit(End::Flush)?;
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Poisoned`].
    pub fn begin<'r>(&self, begin: Begin) -> Result<Transaction<'r>> {
        if self.inner.is_poisoned.load(Ordering::Relaxed) {
            self.inner.lock().healthy()?;
        }
        Ok(Transaction::new(self.inner.clone(), self.inner.next_number(), begin))
    }

    /// Makes durable all that has committed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 20)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// # let mut region = rvm.map(&data, 0..4096)?;
    /// use lrvm::{Begin, End};
    ///
    /// for n in 0..10_u64 {
    ///     let mut tx = rvm.begin(Begin::Restore)?;
    ///     let all = tx.enlist(&mut region)?;
    ///     tx.write(all, 0, &n)?;
    ///     tx.commit(End::NoFlush)?; // A crash may lose it,
    /// }
    /// rvm.flush()?; //                  and from here on none of them: one sync for all.
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The system's, after which the log is out of use; [`Error::Poisoned`].
    pub fn flush(&self) -> Result<()> {
        self.inner.flush()?;
        self.inner.relieve();
        Ok(())
    }

    /// Flushes, brings all that is in the log into the segments and empties the log. Commits may go on meanwhile; what they
    /// add stays.
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
    /// # tx.write(all, 0, &7_u64)?;
    /// # tx.commit(lrvm::End::Flush)?;
    /// assert!(rvm.query().used > 0);
    /// rvm.truncate()?; // All of it is in the segments now.
    /// assert_eq!(rvm.query().used, 0);
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`flush`](Rvm::flush).
    pub fn truncate(&self) -> Result<()> {
        self.inner.flush()?;
        self.inner.truncate_epoch()
    }

    /// Flushes, and does the same from the mapped memory, the page with the oldest record first, as far as no transaction
    /// has declared ranges in it; whether all of the log that there was could be freed.
    ///
    /// A crash in the middle loses nothing: what is not in the segments yet is in the log.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// # let mut region = rvm.map(&data, 0..4096)?;
    /// # let mut tx = rvm.begin(lrvm::Begin::Restore)?;
    /// # let all = tx.enlist(&mut region)?;
    /// tx.write(all, 0, &7_u64)?;
    /// tx.commit(lrvm::End::Flush)?;
    /// assert!(rvm.truncate_incrementally()?);
    /// assert_eq!((rvm.query().used, std::fs::read(&data)?[0]), (0, 7));
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`flush`](Rvm::flush).
    pub fn truncate_incrementally(&self) -> Result<bool> {
        self.inner.flush()?;
        let tail = self.inner.lock().extent.tail;
        self.inner.truncate_to(|state| state.extent.head >= tail)
    }

    /// How it stands.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 20)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// assert_eq!((rvm.query().used, rvm.query().region_count), (0, 0));
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn query(&self) -> Query {
        self.inner.query()
    }

    /// Counts since it was opened.
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
    /// tx.commit(lrvm::End::Flush)?;
    /// assert_eq!(rvm.statistics().flush_commits, 1);
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn statistics(&self) -> Statistics {
        self.inner.lock().statistics
    }

    /// The options that may be changed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// assert_eq!(rvm.options().threshold, 50);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn options(&self) -> Tuning {
        self.inner.options()
    }

    /// Changes them, from the next commit on.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// let mut tuning = rvm.options();
    /// tuning.threshold = 75;
    /// rvm.set_options(tuning)?;
    /// assert_eq!(rvm.options().threshold, 75);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Option`] for a threshold that is not 1 to 100 per cent; nothing has changed then.
    pub fn set_options(&self, tuning: Tuning) -> Result<()> {
        check_threshold(tuning.threshold)?;
        let mut state = self.inner.lock();
        state.tuning = Tuning { spool_len: tuning.spool_len.min(self.inner.log.ring_len()), ..tuning };
        self.inner.wanted.notify_all();
        Ok(())
    }

    /// Flushes, brings everything into the segments, and marks the log as closed in order: RVM's `terminate`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 20)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// # let rvm = lrvm::Rvm::open(&log)?;
    /// rvm.close()?; // Flushes, and tells of an error.
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::StillMapped`]; the system's. Nothing durable is lost then, and opening the log recovers it.
    pub fn close(mut self) -> Result<()> {
        let count = self.inner.lock().regions.len();
        if count != 0 {
            return Err(Error::StillMapped { count });
        }
        self.stop();
        self.inner.flush()?;
        self.inner.truncate_epoch()?;
        self.inner.write_status(|status| status.clean = 1)
    }

    fn stop(&mut self) {
        self.inner.lock().is_stopping = true;
        self.inner.wanted.notify_all();
        if let Some(background) = self.background.take() {
            let _ = background.join(); // If it has panicked, that has put the log out of use.
        }
    }
}

impl Drop for Rvm {
    fn drop(&mut self) {
        self.stop();
        let _ = self.inner.flush(); // What cannot be flushed was never said to be durable.
    }
}

impl std::fmt::Debug for Rvm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rvm").field("log", self.inner.log.name()).finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn healthy(&self) -> Result<()> {
        match &self.poison {
            None => Ok(()),
            Some(cause) => Err(Error::Poisoned { cause: cause.clone() }),
        }
    }

    pub(crate) fn used(&self) -> u64 {
        self.extent.tail - self.extent.head
    }

    /// Whether so much of the log is in use that it should be truncated.
    pub(crate) fn is_over(&self, per_cent: u8, ring_len: u64) -> bool {
        u128::from(self.used()) * 100 > u128::from(ring_len) * u128::from(per_cent)
    }
}

impl Inner {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_number(&self) -> u64 {
        self.next_transaction.fetch_add(1, Ordering::Relaxed)
    }

    /// Puts the log out of use.
    pub(crate) fn poison(&self, error: &Error) {
        let mut state = self.lock();
        if state.poison.is_none() {
            state.poison = Some(error.line());
        }
        self.is_poisoned.store(true, Ordering::Relaxed);
        self.flushed.notify_all();
        self.wanted.notify_all();
    }

    /// Does what must not fail half done: a failure puts the log out of use, and so does a panic of a device.
    pub(crate) fn vital<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let cut_off = CutOff { inner: self };
        let result = run();
        mem::forget(cut_off);
        if let Err(error) = &result {
            self.poison(error);
        }
        result
    }

    pub(crate) fn write_status(&self, change: impl FnOnce(&mut crate::layout::Status)) -> Result<()> {
        let next_transaction = self.next_transaction.load(Ordering::Relaxed);
        let flushes = self.flushes_before + self.lock().statistics.flushes;
        self.vital(|| {
            self.log.write_status(|status| {
                status.next_transaction = next_transaction;
                status.flush_count = flushes;
                change(status);
            })
        })
    }

    /// What a commit needs to make its record: the options, and a buffer.
    pub(crate) fn prepare(&self) -> (Tuning, Vec<u8>) {
        let mut state = self.lock();
        (state.tuning, state.buffers.pop().unwrap_or_default())
    }

    /// Takes a record into the queue, from which moment on its transaction has committed; returns its number.
    ///
    /// What waits never exceeds what the log can take at once, since it goes there as one batch.
    pub(crate) fn commit<'r>(
        &self,
        commit: Commit,
        regions: impl Iterator<Item = &'r Region> + Clone,
    ) -> Result<u64> {
        let len = commit.record.len();
        let mut state = self.lock();
        loop {
            state.healthy()?;
            let limit = if commit.is_flush { self.log.ring_len() } else { state.tuning.spool_len.max(len) };
            if state.queue_len + len <= limit.min(self.log.ring_len()) {
                break;
            }
            let last = state.last;
            drop(state);
            self.flush_through(last)?;
            state = self.lock();
        }
        let number = state.last + 1;
        let position = state.extent.tail;
        for region in regions.clone() {
            let mut pages = region.shared.pages();
            region.shared.transaction.store(0, Ordering::Relaxed);
            for range in &region.open.ranges {
                for page in pages_of(range) {
                    let entry = &mut pages.table[page];
                    entry.uncommitted -= 1;
                    entry.commit = number;
                    if planted!(PositionTooNew) && entry.is_queued {
                        entry.is_queued = false;
                        let region = &region.shared;
                        state.dirty.retain(|dirty| dirty.page != page || !Arc::ptr_eq(&dirty.region, region));
                    }
                    if !entry.is_queued {
                        entry.is_queued = true;
                        state.dirty.push_back(Dirty { position, region: region.shared.clone(), page });
                    }
                }
            }
        }
        state.statistics.intra_bytes_saved += commit.intra_bytes_saved;
        if commit.is_flush {
            state.statistics.flush_commits += 1;
        } else {
            state.statistics.no_flush_commits += 1;
        }
        state.queue_len += len;
        state.last = number;
        state.queue.push(Queued { number, record: Some(commit.record), live: u64::MAX });
        if state.tuning.coalesce_transactions && (!commit.is_flush || state.queue.len() > 1) {
            state.overwrite(regions, number);
        }
        Ok(number)
    }

    /// A transaction has committed that changed nothing.
    pub(crate) fn count_empty(&self, is_flush: bool) -> Result<()> {
        let mut state = self.lock();
        state.healthy()?;
        if is_flush {
            state.statistics.flush_commits += 1;
        } else {
            state.statistics.no_flush_commits += 1;
        }
        Ok(())
    }

    pub(crate) fn options(&self) -> Tuning {
        self.lock().tuning
    }

    /// Makes durable all that has committed.
    pub(crate) fn flush(&self) -> Result<()> {
        let last = self.lock().last;
        self.flush_through(last)
    }

    /// Waits until this commit is durable: by the batch of another who is at it, or else by one's own.
    pub(crate) fn flush_through(&self, number: u64) -> Result<()> {
        let mut state = self.lock();
        loop {
            state.healthy()?;
            if state.durable >= number {
                return Ok(());
            }
            if state.is_flushing {
                state.waiter_count += 1;
                state = self.flushed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.waiter_count -= 1;
                if planted!(FollowerReleasedEarly) {
                    return Ok(());
                }
                continue;
            }
            state.is_flushing = true;
            let last = state.last;
            let spare = mem::take(&mut state.spare);
            let mut batch = mem::replace(&mut state.queue, spare);
            state.hole_count = 0;
            let (first, len) = (mem::replace(&mut state.first, last + 1), mem::take(&mut state.queue_len));
            state.latest.clear();
            let extent = state.extent;
            drop(state);
            let mut write = || self.write_batch(&mut batch, len, extent);
            if planted!(FailureNotKept) {
                write().inspect_err(|_| self.lock().is_flushing = false)?;
            } else {
                self.vital(write)?;
            }
            state = self.lock();
            state.is_flushing = false;
            state.durable = last;
            state.extent.tail += len;
            let used = state.used();
            let record_count = state.keep(batch);
            let flushes = {
                let statistics = &mut state.statistics;
                statistics.flushes += 1;
                statistics.records_written += record_count;
                statistics.bytes_written += len;
                statistics.largest_group = statistics.largest_group.max(last + 1 - first);
                statistics.most_used = statistics.most_used.max(used);
                statistics.flushes
            };
            if state.waiter_count > 0 {
                self.flushed.notify_all(); // A system call, whether or not anybody waits.
            }
            if state.is_over(state.tuning.threshold, self.log.ring_len()) {
                self.is_over.store(true, Ordering::Relaxed);
                if self.options.background {
                    self.wanted.notify_all();
                }
            }
            if flushes.is_multiple_of(self.options.status_interval) {
                let tail = state.extent.tail;
                drop(state);
                self.write_status(|status| {
                    status.tail = status.tail.max(tail);
                })?;
                state = self.lock();
            }
        }
    }

    /// Writes a batch behind the tail and syncs, after a truncation if there is no room.
    fn write_batch(&self, batch: &mut [Queued], len: u64, mut extent: Extent) -> Result<()> {
        while len > self.log.ring_len() - (extent.tail - extent.head) {
            self.lock().statistics.waits_for_room += 1;
            self.truncate_epoch()?;
            extent = self.lock().extent;
        }
        let tail = extent.tail;
        let (log, mut position, end) = (self.log.record_id(), tail, tail + len);
        for record in batch.iter_mut().filter_map(|queued| queued.record.as_mut()) {
            let next = position + record.len();
            let is_last = next == end || planted!(EveryRecordIsLast);
            let batch = if planted!(EveryRecordIsLast) { position } else { tail };
            record.place(Place { log, position, batch, is_last });
            position = next;
        }
        debug_assert_eq!(position, end, "the queue has the length that it says");
        let records = batch.iter().filter_map(|queued| queued.record.as_ref());
        let mut records = records.map(|record| IoSlice::new(record.bytes()));
        match (records.next(), records.next()) {
            (Some(only), None) => self.log.write(tail, &[only])?,
            (first, second) => {
                let parts: Vec<_> = first.into_iter().chain(second).chain(records).collect();
                self.log.write(tail, &parts)?;
            }
        }
        if planted!(LogNotSynced) {
            return Ok(());
        }
        self.log.sync() // Orders: the batch is durable before anyone is told so.
    }

    fn map(this: &Arc<Inner>, name: &Path, bytes: Range<u64>, source: Source) -> Result<Region> {
        let len = bytes.end.saturating_sub(bytes.start);
        if len == 0 || !bytes.start.is_multiple_of(PAGE_LEN) || !len.is_multiple_of(PAGE_LEN) {
            return Err(Error::Unaligned { offset: bytes.start, len });
        }
        let (number, device, name) = loop {
            // What an earlier region left has to be durable before it can get to the segment.
            this.flush()?;
            let truncating = this.truncating.lock().unwrap_or_else(PoisonError::into_inner);
            let (number, device, name) = this.segment(name, &bytes)?;
            this.refuse_overlap(number, &name, &bytes)?;
            let is_left_dirty = this.is_left_dirty(number, &bytes);
            if (is_left_dirty || this.lock().unmapped_len > UNMAPPED_LEN_MAX) && !planted!(MapReadsStale) {
                this.epoch(&truncating)?;
                if this.is_left_dirty(number, &bytes) {
                    continue; // By a region that another thread has unmapped just now.
                }
            }
            // From here on nobody else maps it, and nobody has to wait until it is read.
            this.lock().reserved.push((number, bytes.clone()));
            break (number, device, name);
        };
        let _reserved = Reserved { inner: this, place: (number, bytes.clone()) };
        let mapped = fill(&*device, bytes.start, len, source, &name.as_str().into()).and_then(|memory| {
            let is_whole = source != Source::Nothing;
            Shared::new(number, device, bytes.start, memory, is_whole).ok_or(Error::NoMemory { len })
        });
        let region = Arc::new(mapped?);
        this.lock().regions.push(region.clone());
        Ok(Region::new(region, this.clone()))
    }

    /// The segment of this name, opened and in the log's table, if it has these bytes.
    fn segment(&self, name: &Path, bytes: &Range<u64>) -> Result<(u32, Arc<dyn Device>, String)> {
        let shown: Arc<str> = name.display().to_string().into();
        let kept: PathBuf = self.devices.resolve(name).map_err(|source| open_error(&shown, source))?;
        let kept_name = kept.to_str().filter(|name| name.len() <= SEGMENT_NAME_LEN);
        let Some(kept_name) = kept_name else {
            return Err(Error::Name { segment: shown, len: kept.as_os_str().len() });
        };
        let has = |device: &dyn Device| {
            let (offset, len, segment_len) = (bytes.start, bytes.end - bytes.start, device.len());
            if bytes.end <= segment_len {
                return Ok(());
            }
            Err(Error::OutsideSegment { segment: kept_name.into(), offset, len, segment_len })
        };
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = segments.iter().position(|segment| segment.name == kept_name) {
            let device = segments[number].device.clone();
            has(&*device)?;
            return Ok((number as u32, device, kept_name.to_owned()));
        }
        let number = segments.len() as u32;
        if number == SEGMENT_COUNT {
            return Err(Error::TooManySegments { count: number });
        }
        let device: Arc<dyn Device> =
            self.devices.open(&kept).map_err(|source| open_error(&shown, source))?.into();
        has(&*device)?;
        self.vital(|| self.log.write_segment(number, kept_name))?;
        segments.push(Segment { name: kept_name.to_owned(), device: device.clone() });
        Ok((number, device, kept_name.to_owned()))
    }

    fn refuse_overlap(&self, segment: u32, name: &str, bytes: &Range<u64>) -> Result<()> {
        let state = self.lock();
        let mapped =
            state.regions.iter().map(|region| (region.segment, region.start..region.start + region.len()));
        let mut taken = mapped.chain(state.reserved.iter().cloned());
        let other = taken
            .find(|(other, taken)| *other == segment && taken.start < bytes.end && bytes.start < taken.end);
        match other {
            None => Ok(()),
            Some((_, other)) => Err(Error::Overlap {
                segment: name.into(),
                offset: bytes.start,
                len: bytes.end - bytes.start,
                other_offset: other.start,
                other_len: other.end - other.start,
            }),
        }
    }

    /// Whether a region that is mapped no more has changes there which the segment lacks.
    fn is_left_dirty(&self, segment: u32, bytes: &Range<u64>) -> bool {
        self.lock().dirty.iter().any(|dirty| {
            let start = dirty.region.start + dirty.page as u64 * PAGE_LEN;
            dirty.region.segment == segment && bytes.contains(&start)
        })
    }

    /// A region is mapped no more.
    pub(crate) fn unmap(&self, region: &Arc<Shared>) {
        let is_dirty = region.pages().table.iter().any(|page| page.is_queued);
        let mut state = self.lock();
        state.regions.retain(|mapped| !Arc::ptr_eq(mapped, region));
        if is_dirty {
            state.unmapped_len += region.len();
        }
    }

    fn query(&self) -> Query {
        let segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let segments = segments.iter().map(|segment| segment.name.clone()).collect();
        let state = self.lock();
        let mut uncommitted: Vec<u64> =
            state.regions.iter().map(|region| region.transaction.load(Ordering::Relaxed)).collect();
        uncommitted.retain(|&transaction| transaction != 0);
        uncommitted.sort_unstable();
        uncommitted.dedup();
        Query {
            log_len: self.log.ring_len(),
            used: state.used(),
            head: state.extent.head,
            tail: state.extent.tail,
            waiting: (state.queue.len() - state.hole_count) as u64,
            waiting_len: state.queue_len,
            region_count: state.regions.len(),
            uncommitted,
            segments,
            poisoned: state.poison.as_deref().map(str::to_owned),
        }
    }

    /// After a flush, with nothing held: truncates here and now, where it is time and no thread does.
    pub(crate) fn relieve(&self) {
        if !self.options.background && self.is_over.swap(false, Ordering::Relaxed) {
            // What has committed stays committed: a failure has poisoned the log, and the next call says so.
            let _ = self.truncate_some();
            self.is_over.store(false, Ordering::Relaxed); // What it flushed itself is no reason to begin again.
        }
    }
}

/// A place in a segment that is being mapped.
struct Reserved<'a> {
    inner: &'a Inner,
    place: (u32, Range<u64>),
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.inner.lock().reserved.retain(|reserved| *reserved != self.place);
    }
}

/// Where the bytes of a region come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Read,
    /// The file itself, if it is one.
    File,
    Nothing,
}

/// Memory with the bytes of a segment in it.
fn fill(device: &dyn Device, offset: u64, len: u64, source: Source, name: &Arc<str>) -> Result<Memory> {
    if let (Source::File, Some(file)) = (source, device.file()) {
        return Memory::private(file, offset, len).map_err(|source| Error::system(name, "mmap", source));
    }
    let mut memory = Memory::zeroed(len).ok_or(Error::NoMemory { len })?;
    if source != Source::Nothing {
        device.read_at(offset, memory.all_mut()).map_err(|source| Error::system(name, "read", source))?;
    }
    Ok(memory)
}

/// Memory of regions that are mapped no more which may wait for a truncation.
const UNMAPPED_LEN_MAX: u64 = 64 << 20;

impl State {
    /// Notes what the commit has overwritten, and takes out of the queue what nobody needs any more.
    fn overwrite<'r>(&mut self, regions: impl Iterator<Item = &'r Region> + Clone, number: u64) {
        let State { latest, queue, hole_count, queue_len, statistics, buffers, .. } = self;
        let logged = regions.clone().flat_map(|region| &region.open.logged);
        let bytes = logged.map(|range| range.end - range.start).sum();
        queue.last_mut().expect("the record just queued").live = bytes;
        for region in regions {
            let Shared { segment, start, .. } = *region.shared;
            for range in &region.open.logged {
                let range = start + range.start..start + range.end;
                latest.write(segment, range, number, |loser, len| {
                    let Ok(place) = queue.binary_search_by_key(&loser, |queued| queued.number) else {
                        return;
                    };
                    let queued = &mut queue[place];
                    queued.live -= len;
                    if (queued.live == 0 || planted!(ElidedInPart)) && loser != number {
                        let Some(record) = queued.record.take() else { return };
                        *hole_count += 1;
                        *queue_len -= record.len();
                        statistics.inter_records_saved += 1;
                        statistics.inter_bytes_saved += record.len();
                        recycle(buffers, record.into_buffer());
                    }
                });
            }
        }
        // Each place goes once, and half of them go at a time: linear, whatever is overwritten how often.
        if *hole_count > queue.len() / 2 {
            queue.retain(|queued| queued.record.is_some());
            *hole_count = 0;
        }
    }

    /// Keeps what can be used again of a batch; how many records it had.
    fn keep(&mut self, mut batch: Vec<Queued>) -> u64 {
        let mut count = 0;
        for record in batch.drain(..).filter_map(|queued| queued.record) {
            recycle(&mut self.buffers, record.into_buffer());
            count += 1;
        }
        batch.shrink_to(QUEUE_KEPT);
        self.spare = batch;
        count
    }
}

/// Places of a queue that are kept allocated.
const QUEUE_KEPT: usize = 4096;
/// Buffers that are kept for other records, and the longest of them.
const BUFFERS_KEPT: (usize, usize) = (1024, 1 << 16);

/// Keeps a buffer for another record, if it is not too much of them.
fn recycle(buffers: &mut Vec<Vec<u8>>, buffer: Vec<u8>) {
    if buffers.len() < BUFFERS_KEPT.0 && buffer.capacity() <= BUFFERS_KEPT.1 {
        buffers.push(buffer);
    }
}

/// Puts the log out of use, and wakes who waits for it, if what it stands for does not come to its end.
struct CutOff<'a> {
    inner: &'a Inner,
}

impl Drop for CutOff<'_> {
    fn drop(&mut self) {
        self.inner.poison(&Error::Poisoned { cause: "a device has panicked".into() });
    }
}

#[cfg(test)]
mod tests {
    use crate::{Begin, End, Options};

    #[test]
    fn a_queue_of_records_that_overwrite_each_other_does_not_grow() {
        let dir = tempfile::tempdir().unwrap();
        let (log, segment) = (dir.path().join("log"), dir.path().join("segment"));
        crate::create_log(&log, 1 << 16).unwrap();
        crate::create_segment(&segment, 4096).unwrap();
        let rvm = Options::new().background(false).open(log).unwrap();
        let mut region = rvm.map(segment, 0..4096).unwrap();
        for number in 0..1000u64 {
            let mut tx = rvm.begin(Begin::Restore).unwrap();
            let enlisted = tx.enlist(&mut region).unwrap();
            tx.write(enlisted, if number == 0 { 8 } else { 0 }, &number).unwrap();
            tx.commit(End::NoFlush).unwrap();
            let state = rvm.inner.lock();
            assert!(state.queue.len() <= 4 && state.hole_count <= 2, "{} places", state.queue.len());
        }
        assert_eq!((rvm.query().waiting, rvm.statistics().inter_records_saved), (2, 998));
    }
}
