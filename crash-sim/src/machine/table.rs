//! Which arena an address belongs to: a table that a signal handler can read without a lock.
//!
//! Arenas enter and leave it under a mutex. A reader of one entry that changes meanwhile sees either an empty range or
//! one that really stood there: `start` is read before and after `end`, and a writer empties the range first.

use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::arena::Shared;

/// Arenas at once.
pub(super) const LIMIT: usize = 1024;

struct Entry {
    start: AtomicUsize,
    end: AtomicUsize,
    shared: AtomicPtr<Shared>,
}

static ENTRIES: [Entry; LIMIT] = [const {
    Entry {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        shared: AtomicPtr::new(std::ptr::null_mut()),
    }
}; LIMIT];
/// Entries from this one on were never used.
static USED: AtomicUsize = AtomicUsize::new(0);
static CHANGE: Mutex<()> = Mutex::new(());

/// Enters an arena whose view is `start..end`; whether there was room. It must leave before it is freed.
pub(super) fn enter(start: usize, end: usize, shared: *mut Shared) -> bool {
    let _changing = CHANGE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(index) = ENTRIES.iter().position(|entry| entry.shared.load(Ordering::Relaxed).is_null()) else {
        return false;
    };
    let entry = &ENTRIES[index];
    entry.shared.store(shared, Ordering::SeqCst);
    entry.start.store(start, Ordering::SeqCst);
    entry.end.store(end, Ordering::SeqCst);
    USED.fetch_max(index + 1, Ordering::SeqCst);
    true
}

/// Takes an arena out.
pub(super) fn leave(shared: *mut Shared) {
    let _changing = CHANGE.lock().unwrap_or_else(PoisonError::into_inner);
    for entry in ENTRIES.iter().filter(|entry| entry.shared.load(Ordering::Relaxed) == shared) {
        entry.end.store(0, Ordering::SeqCst);
        entry.start.store(0, Ordering::SeqCst);
        entry.shared.store(std::ptr::null_mut(), Ordering::SeqCst);
    }
}

/// The arena whose view holds this address. It is alive as long as whoever used the address keeps it so.
pub(super) fn find(address: usize) -> Option<*const Shared> {
    let used = USED.load(Ordering::Acquire);
    ENTRIES[..used].iter().find_map(|entry| {
        let start = entry.start.load(Ordering::Acquire);
        let end = entry.end.load(Ordering::Acquire);
        let is_inside = start <= address && address < end;
        // The pointer is read between the two reads of `start`, so it is the one of that range.
        let shared = entry.shared.load(Ordering::Acquire);
        let is_settled = is_inside && entry.start.load(Ordering::Acquire) == start;
        (is_settled && !shared.is_null()).then_some(shared.cast_const())
    })
}
