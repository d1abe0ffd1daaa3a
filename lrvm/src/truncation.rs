//! Truncation: the segments get what the log has, so that the log may forget it.
//!
//! By epoch, from the log; or incrementally, from the mapped memory, the page with the oldest record first. Commits go on
//! meanwhile: they add to the tail, truncation takes from the head. Start at [`run`].

use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem;
use std::sync::{Arc, MutexGuard, PoisonError};

use crate::device::Device;
use crate::error::{Error, Result};
use crate::layout::PAGE_LEN;
use crate::options::{Truncation, Tuning};
use crate::record::Fault;
use crate::recovery::{Target, apply};
use crate::region::Shared;
use crate::rvm::{Dirty, Inner, State};

/// Pages that are written before a sync.
const PAGES_PER_STEP: usize = 256;
/// Entries of the page queue that are looked at with the state locked.
const ENTRIES_PER_LOCK: usize = 256;

/// What the thread does that truncates at the threshold, until it is told to stop.
pub(crate) fn run(inner: &Inner) {
    let ring_len = inner.log.ring_len();
    let mut state = inner.lock();
    loop {
        if state.is_stopping {
            return;
        }
        let is_wanted = state.is_over(state.tuning.threshold, ring_len) && state.healthy().is_ok();
        let mut has_succeeded = false;
        if is_wanted {
            drop(state);
            has_succeeded = matches!(inner.truncate_some(), Ok(true));
            state = inner.lock();
        }
        // What a transaction keeps back is looked at again after the next flush, and not before.
        if !has_succeeded && !state.is_stopping {
            state = inner.wanted.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Per cent of the log in use beyond which a transaction that keeps the oldest page leads to an epoch.
fn critical(tuning: &Tuning) -> u8 {
    tuning.threshold + (100 - tuning.threshold) / 2
}

impl Inner {
    /// Frees at least half of what may be in use; whether it could.
    pub(crate) fn truncate_some(&self) -> Result<bool> {
        let (tuning, ring_len) = (self.options(), self.log.ring_len());
        if tuning.truncation == Truncation::Epoch {
            return self.truncate_epoch().map(|()| true);
        }
        let is_enough = |state: &State| !state.is_over(tuning.threshold / 2, ring_len);
        if self.truncate_to(is_enough)? {
            return Ok(true);
        }
        if self.lock().is_over(critical(&tuning), ring_len) {
            return self.truncate_epoch().map(|()| true);
        }
        Ok(false)
    }

    /// Incremental truncation, until it is enough or a page is kept back; whether it is enough.
    pub(crate) fn truncate_to(&self, is_enough: impl Fn(&State) -> bool) -> Result<bool> {
        loop {
            if is_enough(&self.lock()) {
                return Ok(true);
            }
            if self.waits_for_flush() && !planted!(PageNotDurable) {
                self.flush()?;
            }
            let truncating = self.truncating.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.step(&truncating)? {
                return Ok(is_enough(&self.lock()));
            }
        }
    }

    /// Whether the oldest page has changes that are not durable in the log, so that it may not be written.
    fn waits_for_flush(&self) -> bool {
        let state = self.lock();
        state
            .dirty
            .front()
            .is_some_and(|Dirty { region, page, .. }| region.pages().table[*page].commit > state.durable)
    }

    /// Writes some pages and moves the head; whether there was any progress.
    fn step(&self, truncating: &MutexGuard<'_, ()>) -> Result<bool> {
        // Memory that was not filled from its segment has bytes that nobody committed: the log knows which are.
        let is_whole = self.lock().dirty.front().is_none_or(|dirty| dirty.region.is_whole);
        if !is_whole {
            let head = self.lock().extent.head;
            self.epoch(truncating)?;
            return Ok(self.lock().extent.head > head);
        }
        let mut taken: Vec<(Arc<Shared>, usize)> = Vec::with_capacity(PAGES_PER_STEP);
        let mut bytes = Vec::with_capacity(PAGES_PER_STEP * PAGE_LEN as usize);
        while taken.len() < PAGES_PER_STEP {
            let mut state = self.lock();
            state.healthy()?;
            let durable = state.durable;
            let Some(Dirty { region, page, .. }) = state.dirty.front() else { break };
            if !region.is_whole {
                break;
            }
            let (region, page) = (region.clone(), *page);
            let mut pages = region.pages();
            let is_durable = pages.table[page].commit <= durable || planted!(PageNotDurable);
            if !is_durable || !region.copy_page(&pages, page, &mut bytes) {
                break;
            }
            pages.table[page].is_queued = false;
            drop(pages);
            state.dirty.pop_front();
            taken.push((region, page));
        }
        if planted!(HeadBeforePages) {
            self.free_to_first_page()?;
        }
        self.vital(|| self.write_pages(&taken, &bytes))?;
        let has_freed = self.free_to_first_page()?;
        self.lock().statistics.pages_written += taken.len() as u64;
        Ok(!taken.is_empty() || has_freed)
    }

    /// Moves the head to what the first page that is left needs, or else to the tail; whether that is further on.
    fn free_to_first_page(&self) -> Result<bool> {
        let state = self.lock();
        let tail = state.extent.tail;
        let oldest = state.dirty.front().map_or(tail, |dirty| dirty.position.min(tail));
        let head = state.extent.head;
        drop(state);
        if oldest > head {
            self.move_head(oldest)?;
            self.lock().statistics.incremental_truncations += 1;
        }
        Ok(oldest > head)
    }

    /// Writes these pages to their segments, durably.
    fn write_pages(&self, taken: &[(Arc<Shared>, usize)], bytes: &[u8]) -> Result<()> {
        let segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let name = |segment: u32| Arc::<str>::from(segments[segment as usize].name.as_str());
        let place =
            |(region, page): &(Arc<Shared>, usize)| (region.segment, region.start + *page as u64 * PAGE_LEN);
        let mut pages: Vec<_> = taken.iter().zip(bytes.chunks_exact(PAGE_LEN as usize)).collect();
        pages.sort_unstable_by_key(|(taken, _)| place(taken));
        let follows = |a: &(&(Arc<Shared>, usize), &[u8]), b: &(&(Arc<Shared>, usize), &[u8])| {
            let ((segment, offset), next) = (place(a.0), place(b.0));
            (segment, offset + PAGE_LEN) == next
        };
        for run in pages.chunk_by(follows) {
            let ((segment, offset), device) = (place(run[0].0), &run[0].0.0.device);
            let parts: Vec<_> = run.iter().map(|(_, bytes)| IoSlice::new(bytes)).collect();
            device
                .write_at(offset, &parts)
                .map_err(|source| Error::system(&name(segment), "write", source))?;
        }
        for run in pages.chunk_by(|a, b| a.0.0.segment == b.0.0.segment) {
            let region = &run[0].0.0;
            // Orders: the segment has the pages before the head of the log moves past their records.
            if !planted!(PagesNotSynced) {
                region
                    .device
                    .sync()
                    .map_err(|source| Error::system(&name(region.segment), "sync", source))?;
            }
        }
        Ok(())
    }

    /// Truncates all that is durable now, from the log.
    pub(crate) fn truncate_epoch(&self) -> Result<()> {
        let truncating = self.truncating.lock().unwrap_or_else(PoisonError::into_inner);
        self.epoch(&truncating)
    }

    /// The same for who is truncating.
    pub(crate) fn epoch(&self, _truncating: &MutexGuard<'_, ()>) -> Result<()> {
        let state = self.lock();
        state.healthy()?;
        // The commits up to `durable` have their records before the tail, and no others have.
        let (extent, durable) = (state.extent, state.durable);
        drop(state);
        if extent.head == extent.tail {
            return Ok(());
        }
        let segment = |number: u32| {
            let segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(segment) = segments.get(number as usize) else {
                let (found, expected) = (number.into(), format!("less than {}", segments.len()));
                let position = extent.head;
                return Err(self.log.damaged(&Fault {
                    position,
                    what: "number of a segment",
                    found,
                    expected,
                }));
            };
            Ok::<Target, Error>((Arc::<dyn Device>::clone(&segment.device), segment.name.as_str().into()))
        };
        if planted!(HeadBeforeEpoch) {
            self.move_head(extent.tail)?;
        }
        let written = self.vital(|| apply(&self.log, extent, self.options.read_len as usize, segment))?;
        let end = if planted!(EpochFreesAll) { self.lock().extent.tail } else { extent.tail };
        self.move_head(end)?;
        {
            let mut state = self.lock();
            state.statistics.epoch_truncations += 1;
            state.unmapped_len = 0;
            state.statistics.epoch_bytes += written;
        }
        self.clean(extent.tail, durable);
        Ok(())
    }

    /// Moves the head of the log; the space before it is free when that is durable.
    fn move_head(&self, head: u64) -> Result<()> {
        self.write_status(|status| {
            status.head = head;
            status.tail = status.tail.max(head);
            status.truncation_count += 1;
        })?;
        self.lock().extent.head = head;
        Ok(())
    }

    /// Takes pages out of the queue that an epoch up to `tail` has brought to the segment: all whose latest commit was
    /// durable then. Of the others no record lies before the tail any more.
    fn clean(&self, tail: u64, durable: u64) {
        let mut kept = VecDeque::new();
        let mut is_done = false;
        while !is_done {
            let mut state = self.lock();
            for _ in 0..ENTRIES_PER_LOCK {
                is_done = state.dirty.front().is_none_or(|dirty| dirty.position >= tail);
                if is_done {
                    break;
                }
                let mut dirty = state.dirty.pop_front().expect("the front");
                let mut pages = dirty.region.pages();
                let page = &mut pages.table[dirty.page];
                if page.commit <= durable {
                    page.is_queued = false;
                    drop(pages);
                    continue;
                }
                drop(pages);
                dirty.position = tail;
                kept.push_back(dirty);
            }
            if is_done {
                kept.append(&mut state.dirty);
                mem::swap(&mut kept, &mut state.dirty);
            }
        }
    }
}
