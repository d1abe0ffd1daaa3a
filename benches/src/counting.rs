//! A medium that counts what passes through the seam, and otherwise is the one it wraps.
//!
//! The engines are compiled for it as for any medium, so that those which do not count pay nothing. Start at
//! [`Counting::new`].

#![allow(unsafe_code)] // It implements the seam by passing everything on.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rio::{Domain, Error, LINE_LEN, Medium};

/// What has passed through the seam.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Fences.
    pub fences: u64,
    /// Lines written back: a line counts as often as it was.
    pub lines: u64,
    /// Bytes stored to the log.
    pub log_bytes: u64,
}

impl Counts {
    /// What has been added since `before`.
    pub fn since(self, before: Counts) -> Counts {
        Counts {
            fences: self.fences - before.fences,
            lines: self.lines - before.lines,
            log_bytes: self.log_bytes - before.log_bytes,
        }
    }
}

/// The counts of a medium that an engine has taken.
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<[AtomicU64; 3]>);

impl Counters {
    /// The counts so far.
    pub fn counts(&self) -> Counts {
        let [fences, lines, log_bytes] = &*self.0;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts { fences: load(fences), lines: load(lines), log_bytes: load(log_bytes) }
    }

    fn add(&self, counter: usize, count: u64) {
        self.0[counter].fetch_add(count, Ordering::Relaxed);
    }
}

/// See the module.
#[derive(Debug)]
pub struct Counting<M> {
    medium: M,
    log: Range<u64>,
    counters: Counters,
}

impl<M: Medium> Counting<M> {
    /// Counts on `medium`, where the log has these offsets.
    pub fn new(medium: M, log: Range<u64>) -> (Self, Counters) {
        let counters = Counters::default();
        (Counting { medium, log, counters: counters.clone() }, counters)
    }
}

// SAFETY: every promise is the inner medium's, to which every call is passed on unchanged.
unsafe impl<M: Medium> Medium for Counting<M> {
    fn len(&self) -> u64 {
        self.medium.len()
    }

    fn read_base(&self) -> *const u8 {
        self.medium.read_base()
    }

    fn write_base(&self) -> *mut u8 {
        self.medium.write_base()
    }

    fn domain(&self) -> Domain {
        self.medium.domain()
    }

    fn flush(&self, offset: u64, len: u64) {
        if self.domain().needs_flush() && len > 0 {
            self.counters.add(1, (offset + len).div_ceil(LINE_LEN) - offset / LINE_LEN);
        }
        self.medium.flush(offset, len);
    }

    fn fence(&self) {
        if self.domain().needs_fence() {
            self.counters.add(0, 1);
        }
        self.medium.fence();
    }

    fn max_len(&self) -> u64 {
        self.medium.max_len()
    }

    fn grow(&mut self, len: u64) -> Result<(), Error> {
        self.medium.grow(len)
    }

    fn guard(&mut self, offset: u64, len: u64) -> Result<(), Error> {
        self.medium.guard(offset, len)
    }

    fn stored(&self, offset: u64, len: u64) {
        let end = (offset + len).min(self.log.end);
        self.counters.add(2, end.saturating_sub(offset.max(self.log.start)));
        self.medium.stored(offset, len);
    }

    fn lent(&self, offset: u64, len: u64) {
        self.medium.lent(offset, len);
    }

    fn name(&self) -> String {
        self.medium.name()
    }

    fn close(self) -> Result<(), Error> {
        self.medium.close()
    }
}
