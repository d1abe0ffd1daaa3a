//! The bounds: no log at all, a bare undo log, and the same with write-backs and fences.
//!
//! They do the least that can be called an undo log, by hand: a record is offset, length and payload. Nothing is
//! checked: neither a range nor, later, a record. No library can be faster and keep the same promise; this is what the
//! others are measured against. Start at [`Log`].

#![allow(unsafe_code)] // To check nothing is the point of it.

use std::ptr;
use std::sync::atomic::{Ordering, compiler_fence};

use rio::{Domain, Medium};

use crate::engine::Level;

/// What a bare engine with this log survives in this domain.
pub(crate) fn level<L: Log>(domain: Domain) -> Level {
    match domain {
        _ if !L::KEEPS => Level::Nothing,
        Domain::PageCache => Level::ProcessCrash,
        _ => Level::PowerLoss,
    }
}

/// How a bare engine keeps the old bytes. A value of it is one transaction's log: a copy of an empty one.
pub trait Log: Copy {
    /// Whether a transaction that a crash cut short could be taken back.
    const KEEPS: bool = true;
    /// Whether stores have to wait until all ranges are [declared](Log::declared).
    const WAITS: bool = false;

    /// An empty log at this place of the medium.
    ///
    /// # Safety
    /// Until the last use of the log and its copies (1) the medium is neither moved out of its mapping nor dropped,
    /// and (2) all records of a transaction fit between `offset`, a multiple of 8, and the end of the medium.
    unsafe fn new(medium: &impl Medium, offset: u64) -> Self;

    /// Appends the before-image of `len` bytes.
    ///
    /// # Safety
    /// The bytes lie in the log's medium, and not in the log.
    unsafe fn record(&mut self, medium: &impl Medium, target: *const u8, len: usize);

    /// All ranges have been recorded; stores may follow.
    fn declared(&self, medium: &impl Medium);

    /// A range has been stored to.
    fn stored(&self, medium: &impl Medium, target: *const u8, len: usize);

    /// Ends the transaction: its log is empty.
    fn commit(self, medium: &impl Medium);

    /// Copies the before-images back, the newest first, and ends the transaction.
    ///
    /// # Panics
    /// If there is no log.
    fn roll_back(self, medium: &impl Medium);

    /// Rolls back what a transaction has left that did not end. The log is an empty one.
    ///
    /// # Safety
    /// The bytes at its place are those that such a log has left in this medium, or zero.
    unsafe fn recover(self, medium: &impl Medium);
}

/// No log: the stores alone, in the order of the transactions.
#[derive(Clone, Copy)]
pub struct Nothing;

impl Log for Nothing {
    const KEEPS: bool = false;

    #[inline(always)]
    unsafe fn new(_: &impl Medium, _: u64) -> Self {
        Nothing
    }

    #[inline(always)]
    unsafe fn record(&mut self, _: &impl Medium, _: *const u8, _: usize) {}

    #[inline(always)]
    fn declared(&self, _: &impl Medium) {}

    #[inline(always)]
    fn stored(&self, _: &impl Medium, _: *const u8, _: usize) {}

    #[inline(always)]
    fn commit(self, _: &impl Medium) {
        // Transactions are not to be merged: each one's stores are made before the next one's.
        compiler_fence(Ordering::SeqCst);
    }

    fn roll_back(self, _: &impl Medium) {
        panic!("without a log nothing can be rolled back");
    }

    unsafe fn recover(self, _: &impl Medium) {}
}

/// Tail word and records in one piece of memory.
#[derive(Clone, Copy)]
struct Records {
    base: *mut u8,
    tail: *mut u64,
    next: *mut u8,
}

impl Records {
    /// # Safety
    /// As [`Log::new`].
    unsafe fn new(medium: &impl Medium, offset: u64) -> Self {
        assert!(offset.is_multiple_of(8) && offset + 8 <= medium.len(), "a log lies in its medium");
        let base = medium.write_base();
        let tail: *mut u64 = base.wrapping_add(offset as usize).cast();
        Records { base, tail, next: tail.wrapping_add(1).cast() }
    }

    fn offset_of(&self, at: *const u8) -> u64 {
        (at.addr() - self.base.addr()) as u64
    }

    /// Where the record begins.
    ///
    /// # Safety
    /// As [`Log::record`].
    #[inline(always)]
    unsafe fn append(&mut self, medium: &impl Medium, target: *const u8, len: usize) {
        let head: *mut [u64; 2] = self.next.cast();
        let payload = self.next.wrapping_add(16);
        // SAFETY: there is room for the record, and `next` is a multiple of 8 from an aligned start.
        unsafe { head.write([self.offset_of(target), len as u64]) };
        // SAFETY: (1) the target lies in the medium, and there is room for the payload. (2) They do not overlap.
        unsafe { ptr::copy_nonoverlapping(target, payload, len) };
        medium.stored(self.offset_of(self.next), 16 + len as u64);
        self.next = payload.wrapping_add(len.next_multiple_of(8));
    }

    /// Copies the before-images back. Rare, and so it may allocate: records can only be walked forward.
    #[cold]
    fn copy_back(&self, medium: &impl Medium) {
        let mut records = Vec::new();
        let mut at: *mut u8 = self.tail.wrapping_add(1).cast();
        while at < self.next {
            // SAFETY: below `next` stands one record behind the other, each aligned.
            let [offset, len] = unsafe { at.cast::<[u64; 2]>().read() };
            let payload = at.wrapping_add(16);
            records.push((offset, len, payload));
            at = payload.wrapping_add((len as usize).next_multiple_of(8));
        }
        for (offset, len, payload) in records.into_iter().rev() {
            let target = self.base.wrapping_add(offset as usize);
            // SAFETY: (1) `append` was promised that the target lies in the medium. (2) And not in the log.
            unsafe { ptr::copy_nonoverlapping(payload, target, len as usize) };
            medium.stored(offset, len);
            medium.flush(offset, len);
        }
    }

    /// The log that was left behind.
    ///
    /// # Safety
    /// As [`Log::recover`].
    unsafe fn left(mut self) -> Option<Self> {
        // SAFETY: the word lies in the medium, aligned; `new` has seen to it.
        let tail = unsafe { self.tail.read_volatile() };
        self.next = self.base.wrapping_add(tail as usize);
        (tail > 0).then_some(self)
    }

    #[inline(always)]
    fn publish(&self, medium: &impl Medium, tail: u64) {
        compiler_fence(Ordering::SeqCst); // Orders: what was stored so far, then this word.
        // SAFETY: the word lies in the medium, aligned; `new` has seen to it.
        unsafe { self.tail.write_volatile(tail) };
        compiler_fence(Ordering::SeqCst); // Orders: this word, then what is stored from here on.
        medium.stored(self.offset_of(self.tail.cast()), 8);
    }
}

/// A contiguous undo log for a domain in which a store survives as soon as it is made: one store publishes a record, one
/// store commits.
#[derive(Clone, Copy)]
pub struct Undo(Records);

impl Log for Undo {
    unsafe fn new(medium: &impl Medium, offset: u64) -> Self {
        // SAFETY: as promised to us.
        Undo(unsafe { Records::new(medium, offset) })
    }

    #[inline(always)]
    unsafe fn record(&mut self, medium: &impl Medium, target: *const u8, len: usize) {
        // SAFETY: as promised to us.
        unsafe { self.0.append(medium, target, len) };
        self.0.publish(medium, self.0.offset_of(self.0.next));
    }

    #[inline(always)]
    fn declared(&self, _: &impl Medium) {}

    #[inline(always)]
    fn stored(&self, _: &impl Medium, _: *const u8, _: usize) {}

    #[inline(always)]
    fn commit(self, medium: &impl Medium) {
        self.0.publish(medium, 0);
    }

    fn roll_back(self, medium: &impl Medium) {
        self.0.copy_back(medium);
        self.commit(medium);
    }

    unsafe fn recover(self, medium: &impl Medium) {
        // SAFETY: as promised to us.
        if let Some(left) = unsafe { self.0.left() } {
            Undo(left).roll_back(medium);
        }
    }
}

/// The same for a domain that needs lines written back, with as few fences as an undo log in place can have: one for all
/// records of a transaction, one for its stores, one for its end.
///
/// (One line holds the tail and the first records, and nothing tells after a power cut whether all lines behind it
/// arrived: a log that is to be recovered needs a check in its records, or a fourth fence. This one is a bound.)
#[derive(Clone, Copy)]
pub struct Ordered(Records);

impl Log for Ordered {
    const WAITS: bool = true;

    unsafe fn new(medium: &impl Medium, offset: u64) -> Self {
        // SAFETY: as promised to us.
        Ordered(unsafe { Records::new(medium, offset) })
    }

    #[inline(always)]
    unsafe fn record(&mut self, medium: &impl Medium, target: *const u8, len: usize) {
        // SAFETY: as promised to us.
        unsafe { self.0.append(medium, target, len) };
    }

    #[inline(always)]
    fn declared(&self, medium: &impl Medium) {
        let (start, end) = (self.0.offset_of(self.0.tail.cast()), self.0.offset_of(self.0.next));
        self.0.publish(medium, end);
        medium.flush(start, end - start);
        medium.fence(); // Orders: the records and the tail that counts them, then the stores they cover.
    }

    #[inline(always)]
    fn stored(&self, medium: &impl Medium, target: *const u8, len: usize) {
        medium.flush(self.0.offset_of(target), len as u64);
    }

    #[inline(always)]
    fn commit(self, medium: &impl Medium) {
        medium.fence(); // Orders: everything the transaction stored, then its end.
        self.0.publish(medium, 0);
        medium.flush(self.0.offset_of(self.0.tail.cast()), 8);
        medium.fence(); // Orders: the end of this transaction, then the records of the next.
    }
    fn roll_back(self, medium: &impl Medium) {
        self.0.copy_back(medium);
        self.commit(medium);
    }

    unsafe fn recover(self, medium: &impl Medium) {
        // SAFETY: as promised to us.
        if let Some(left) = unsafe { self.0.left() } {
            Ordered(left).roll_back(medium);
        }
    }
}
