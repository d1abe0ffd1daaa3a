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
    /// Number of the latest commit.
    last: u64,
    queue_len: u64,
    latest: Latest,
    /// Commits up to here are durable.
    pub(crate) durable: u64,
    /// Where the log begins, and where what is durable of it ends.
    pub(crate) extent: Extent,
    is_flushing: bool,
    /// Pages that differ from their segments, with a position before which no record has anything of theirs: RVM's page
    /// queue. Positions ascend.
    pub(crate) dirty: VecDeque<Dirty>,
    /// The regions that are mapped.
    pub(crate) regions: Vec<Arc<Shared>>,
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
pub(crate) struct Commit<'a> {
    pub(crate) record: Finished,
    /// Region by region, what was declared and what of it was logged.
    pub(crate) parts: &'a [Part<'a>],
    pub(crate) intra_bytes_saved: u64,
    pub(crate) is_flush: bool,
}

pub(crate) struct Part<'a> {
    pub(crate) region: &'a Arc<Shared>,
    pub(crate) declared: &'a [Range<u64>],
    pub(crate) logged: &'a [Range<u64>],
}

impl Rvm {
    /// Opens the log at `path` with the default [`Options`], and recovers.
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
            last: 0,
            queue_len: 0,
            latest: Latest::default(),
            durable: 0,
            extent: Extent { head: status.head, tail: status.tail },
            is_flushing: false,
            dirty: VecDeque::new(),
            regions: Vec::new(),
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
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Maps these bytes of a segment, whole pages, and copies them in. What was committed to them before is there, be it
    /// durable or not, and whether or not they have been mapped before.
    ///
    /// # Errors
    /// [`Error::Unaligned`], [`Error::OutsideSegment`], [`Error::Overlap`] with what is mapped, [`Error::Name`],
    /// [`Error::TooManySegments`], [`Error::InUse`], [`Error::NoMemory`]; the system's.
    pub fn map(&self, segment: impl AsRef<Path>, bytes: Range<u64>) -> Result<Region> {
        self.map_with(segment, bytes, MapMode::Copy)
    }

    /// The same in one of several ways.
    ///
    /// # Errors
    /// As [`map`](Rvm::map).
    pub fn map_with(&self, segment: impl AsRef<Path>, bytes: Range<u64>, mode: MapMode) -> Result<Region> {
        Inner::map(&self.inner, segment.as_ref(), bytes, mode)
    }

    /// Begins a transaction. It has no region yet: see [`Transaction::enlist`].
    ///
    /// # Errors
    /// [`Error::Poisoned`].
    pub fn begin<'r>(&self, begin: Begin) -> Result<Transaction<'r>> {
        self.inner.lock().healthy()?;
        Ok(Transaction::new(self.inner.clone(), self.inner.next_number(), begin))
    }

    /// Makes durable all that has committed.
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
    /// # Errors
    /// As [`flush`](Rvm::flush).
    pub fn truncate(&self) -> Result<()> {
        self.inner.flush()?;
        self.inner.truncate_epoch()
    }

    /// Flushes, and does the same from the mapped memory, the page with the oldest record first, as far as no transaction
    /// has declared ranges in it; whether all of the log that there was could be freed.
    ///
    /// # Errors
    /// As [`flush`](Rvm::flush).
    pub fn truncate_incrementally(&self) -> Result<bool> {
        self.inner.flush()?;
        let tail = self.inner.lock().extent.tail;
        self.inner.truncate_to(|state| state.extent.head >= tail)
    }

    /// How it stands.
    pub fn query(&self) -> Query {
        self.inner.query()
    }

    /// Counts since it was opened.
    pub fn statistics(&self) -> Statistics {
        self.inner.lock().statistics
    }

    /// The options that may be changed.
    pub fn options(&self) -> Tuning {
        self.inner.options()
    }

    /// Changes them, from the next commit on.
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
            let _ = background.join(); // Without it commits truncate themselves.
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
        self.vital(|| {
            self.log.write_status(|status| {
                status.next_transaction = next_transaction;
                change(status);
            })
        })
    }

    /// A buffer for a record.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.lock().buffers.pop().unwrap_or_default()
    }

    /// Takes a record into the queue, from which moment on its transaction has committed; returns its number.
    ///
    /// What waits never exceeds what the log can take at once, since it goes there as one batch.
    pub(crate) fn commit(&self, commit: Commit<'_>) -> Result<u64> {
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
        for part in commit.parts {
            let mut pages = part.region.pages();
            pages.transaction = 0;
            for range in part.declared {
                for page in pages_of(range) {
                    let entry = &mut pages.table[page];
                    entry.uncommitted -= 1;
                    entry.commit = number;
                    if !entry.is_queued {
                        entry.is_queued = true;
                        state.dirty.push_back(Dirty { position, region: part.region.clone(), page });
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
            state.overwrite(commit.parts, number);
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
                state = self.flushed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.is_flushing = true;
            let last = state.last;
            let queue = mem::take(&mut state.queue);
            let mut batch: Vec<Finished> = queue.into_iter().filter_map(|queued| queued.record).collect();
            state.hole_count = 0;
            let (first, len) = (mem::replace(&mut state.first, last + 1), mem::take(&mut state.queue_len));
            state.latest.clear();
            drop(state);
            self.vital(|| self.write_batch(&mut batch, len))?;
            state = self.lock();
            state.is_flushing = false;
            state.durable = last;
            state.extent.tail += len;
            let used = state.used();
            let flushes = {
                let statistics = &mut state.statistics;
                statistics.flushes += 1;
                statistics.records_written += batch.len() as u64;
                statistics.bytes_written += len;
                statistics.largest_group = statistics.largest_group.max(last + 1 - first);
                statistics.most_used = statistics.most_used.max(used);
                statistics.flushes
            };
            state.keep(batch);
            self.flushed.notify_all();
            if state.is_over(state.tuning.threshold, self.log.ring_len()) {
                self.is_over.store(true, Ordering::Relaxed);
                self.wanted.notify_all();
            }
            if flushes.is_multiple_of(self.options.status_interval) {
                let tail = state.extent.tail;
                drop(state);
                self.write_status(|status| {
                    status.tail = status.tail.max(tail);
                    status.flush_count += self.options.status_interval;
                })?;
                state = self.lock();
            }
        }
    }

    /// Writes a batch behind the tail and syncs, after a truncation if there is no room.
    fn write_batch(&self, batch: &mut [Finished], len: u64) -> Result<()> {
        let tail = loop {
            let mut state = self.lock();
            let Extent { head, tail } = state.extent;
            if len <= self.log.ring_len() - (tail - head) {
                break tail;
            }
            state.statistics.waits_for_room += 1;
            drop(state);
            self.truncate_epoch()?;
        };
        let (log, count) = (self.log.record_id(), batch.len());
        let mut position = tail;
        for (index, record) in batch.iter_mut().enumerate() {
            record.place(Place { log, position, batch: tail, is_last: index + 1 == count });
            position += record.len();
        }
        debug_assert_eq!(position - tail, len);
        if let [record] = batch {
            self.log.write(tail, &[IoSlice::new(record.bytes())])?;
        } else {
            let parts: Vec<_> = batch.iter().map(|record| IoSlice::new(record.bytes())).collect();
            self.log.write(tail, &parts)?;
        }
        self.log.sync() // Orders: the batch is durable before anyone is told so.
    }

    fn map(this: &Arc<Inner>, name: &Path, bytes: Range<u64>, mode: MapMode) -> Result<Region> {
        let len = bytes.end.saturating_sub(bytes.start);
        if len == 0 || !bytes.start.is_multiple_of(PAGE_LEN) || !len.is_multiple_of(PAGE_LEN) {
            return Err(Error::Unaligned { offset: bytes.start, len });
        }
        loop {
            // What an earlier region left has to be durable before it can get to the segment.
            this.flush()?;
            let truncating = this.truncating.lock().unwrap_or_else(PoisonError::into_inner);
            let (number, device, name) = this.segment(name)?;
            if bytes.end > device.len() {
                let (offset, segment_len) = (bytes.start, device.len());
                return Err(Error::OutsideSegment { segment: name.into(), offset, len, segment_len });
            }
            this.refuse_overlap(number, &name, &bytes)?;
            if this.is_left_dirty(number, &bytes) {
                this.epoch(&truncating)?;
                if this.is_left_dirty(number, &bytes) {
                    continue; // By a region that another thread has unmapped just now.
                }
            }
            let memory = fill(&*device, bytes.start, len, mode, &name.into())?;
            let region = Arc::new(Shared::new(number, device, bytes.start, memory));
            this.lock().regions.push(region.clone());
            return Ok(Region::new(region, this.clone()));
        }
    }

    /// The segment of this name, opened and in the log's table.
    fn segment(&self, name: &Path) -> Result<(u32, Arc<dyn Device>, String)> {
        let shown: Arc<str> = name.display().to_string().into();
        let kept: PathBuf = self.devices.resolve(name).map_err(|source| open_error(&shown, source))?;
        let kept_name = kept.to_str().filter(|name| name.len() <= SEGMENT_NAME_LEN);
        let Some(kept_name) = kept_name else {
            return Err(Error::Name { segment: shown, len: kept.as_os_str().len() });
        };
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = segments.iter().position(|segment| segment.name == kept_name) {
            return Ok((number as u32, segments[number].device.clone(), kept_name.to_owned()));
        }
        let number = segments.len() as u32;
        if number == SEGMENT_COUNT {
            return Err(Error::TooManySegments { count: number });
        }
        let device: Arc<dyn Device> =
            self.devices.open(&kept).map_err(|source| open_error(&shown, source))?.into();
        self.vital(|| self.log.write_segment(number, kept_name))?;
        segments.push(Segment { name: kept_name.to_owned(), device: device.clone() });
        Ok((number, device, kept_name.to_owned()))
    }

    fn refuse_overlap(&self, segment: u32, name: &str, bytes: &Range<u64>) -> Result<()> {
        let state = self.lock();
        let other = state.regions.iter().find(|other| {
            other.segment == segment && other.start < bytes.end && bytes.start < other.start + other.len()
        });
        match other {
            None => Ok(()),
            Some(other) => Err(Error::Overlap {
                segment: name.into(),
                offset: bytes.start,
                len: bytes.end - bytes.start,
                other_offset: other.start,
                other_len: other.len(),
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
        self.lock().regions.retain(|mapped| !Arc::ptr_eq(mapped, region));
    }

    fn query(&self) -> Query {
        let segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let segments = segments.iter().map(|segment| segment.name.clone()).collect();
        let state = self.lock();
        let mut uncommitted: Vec<u64> =
            state.regions.iter().map(|region| region.pages().transaction).collect();
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
        }
    }
}

/// Memory with the bytes of a segment in it.
fn fill(device: &dyn Device, offset: u64, len: u64, mode: MapMode, name: &Arc<str>) -> Result<Memory> {
    if let (MapMode::Private, Some(file)) = (mode, device.file()) {
        return Memory::private(file, offset, len).map_err(|source| Error::system(name, "mmap", source));
    }
    let mut memory = Memory::zeroed(len).ok_or(Error::NoMemory { len })?;
    if mode != MapMode::Zeroed {
        device.read_at(offset, memory.all_mut()).map_err(|source| Error::system(name, "read", source))?;
    }
    Ok(memory)
}

impl State {
    /// Notes what the commit has overwritten, and takes out of the queue what nobody needs any more.
    fn overwrite(&mut self, parts: &[Part<'_>], number: u64) {
        let State { latest, queue, hole_count, queue_len, statistics, buffers, .. } = self;
        let bytes = parts.iter().flat_map(|part| part.logged).map(|range| range.end - range.start).sum();
        queue.last_mut().expect("the record just queued").live = bytes;
        for part in parts {
            for range in part.logged {
                let range = part.region.start + range.start..part.region.start + range.end;
                latest.write(part.region.segment, range, number, |loser, len| {
                    let Ok(place) = queue.binary_search_by_key(&loser, |queued| queued.number) else {
                        return;
                    };
                    let queued = &mut queue[place];
                    queued.live -= len;
                    if queued.live == 0 && loser != number {
                        let record = queued.record.take().expect("it had bytes that were in force");
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

    fn keep(&mut self, batch: Vec<Finished>) {
        for record in batch {
            recycle(&mut self.buffers, record.into_buffer());
        }
    }
}

/// Keeps a buffer for another record, if it is not too much of them.
fn recycle(buffers: &mut Vec<Vec<u8>>, buffer: Vec<u8>) {
    if buffers.len() < 64 && buffer.capacity() <= 1 << 16 {
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
