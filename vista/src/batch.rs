//! What an ordered domain still owes: log bytes not fenced yet, and stores that wait for that fence.
//!
//! On ADR a store may reach the medium before the record that covers it unless a fence stands between. Writes by
//! value are therefore kept here until the next fence, so that all of them share one. In the page-cache domain
//! a batch stays empty.

#![allow(unsafe_code)] // A waiting store is made when a reader asks for its bytes, who has only `&`.

use crate::space::{Place, Space};
use rio::Medium;

/// How many writes may wait for a fence, and how many bytes they may have together.
const WRITES_MAX: usize = 64;
const BYTES_MAX: usize = 4096;

/// A store that waits for the fence of its record.
#[derive(Clone, Copy)]
struct Write {
    place: Place<u8>,
    start: usize,
}

/// See the module.
pub(crate) struct Batch {
    /// From where on the current extent's log bytes are not flushed.
    pub(crate) flush_from: u64,
    /// Whether any record is not fenced.
    pub(crate) is_unfenced: bool,
    writes: Vec<Write>,
    bytes: Vec<u8>,
    /// How often the waiting stores were made, so that a mark knows which ones are gone.
    settled_count: u64,
}

/// How many stores waited at some moment.
#[derive(Clone, Copy)]
pub(crate) struct Waiting {
    count: usize,
    settled_count: u64,
}

impl Batch {
    /// A batch with room for what waits, where the domain is an ordered one.
    pub(crate) fn new(is_ordered: bool) -> Self {
        if !is_ordered {
            return Batch::without_room();
        }
        let (writes, bytes) = (Vec::with_capacity(WRITES_MAX), Vec::with_capacity(BYTES_MAX));
        Batch { writes, bytes, ..Batch::without_room() }
    }

    /// A batch for who only reads, or whose stores need not wait: it takes no memory.
    pub(crate) fn without_room() -> Self {
        Batch { flush_from: 0, is_unfenced: false, writes: Vec::new(), bytes: Vec::new(), settled_count: 0 }
    }

    /// Nothing owed: a new transaction, or an old one given up.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.is_unfenced = false;
        self.writes.clear();
        self.bytes.clear();
    }

    /// What waits now.
    #[inline]
    pub(crate) fn waiting(&self) -> Waiting {
        Waiting { count: self.writes.len(), settled_count: self.settled_count }
    }

    /// Forgets the stores that have come since.
    pub(crate) fn forget_since(&mut self, waiting: Waiting) {
        let keep = if waiting.settled_count == self.settled_count { waiting.count } else { 0 };
        if let Some(first) = self.writes.get(keep) {
            self.bytes.truncate(first.start);
            self.writes.truncate(keep);
        }
    }

    /// Keeps a store for later; false if there is no room for it.
    pub(crate) fn keep(&mut self, place: Place<u8>, bytes: &[u8]) -> bool {
        if self.writes.len() == WRITES_MAX || self.bytes.len() + bytes.len() > BYTES_MAX {
            return false;
        }
        self.writes.push(Write { place, start: self.bytes.len() });
        self.bytes.extend_from_slice(bytes);
        true
    }

    /// Whether a store has to wait here: records before it are not fenced, or other stores wait already.
    #[inline]
    pub(crate) fn must_wait(&self) -> bool {
        self.is_unfenced || !self.writes.is_empty()
    }

    /// Whether a store to any of these bytes waits.
    #[inline(always)]
    pub(crate) fn waits_for(&self, offset: u64, len: u64) -> bool {
        let overlaps = |write: &Write| write.place.offset() < offset + len && offset < write.place.end();
        !self.writes.is_empty() && self.writes.iter().any(overlaps)
    }

    /// Makes the waiting stores, oldest first. Their records are fenced.
    pub(crate) fn store_waiting<M: Medium>(&mut self, space: &Space<M>) {
        for write in &self.writes {
            let bytes = &self.bytes[write.start..write.start + write.place.len() as usize];
            // SAFETY: (1) The write was kept by a call that had the transaction to itself, so no reference to its
            // bytes was alive then; and whoever lends bytes since asks `waits_for` first and, if so, comes here
            // before. (2) A batch belongs to one transaction, which is not `Sync`.
            unsafe { space.store_behind(write.place, bytes) };
        }
        self.writes.clear();
        self.bytes.clear();
        self.settled_count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Window;
    use rio::Buffer;

    #[test]
    fn keeps_writes_until_full_and_makes_them_in_order() {
        let space = Space::new(Buffer::new(8192, 8192));
        let window = Window::new(&space, 0, 8192).unwrap();
        let place = |offset, len| window.place::<u8>(offset, len).unwrap();
        let mut batch = Batch::new(true);
        assert!(batch.keep(place(100, 2), &[1, 2]) && batch.keep(place(101, 1), &[3]));
        assert!(batch.waits_for(101, 1) && !batch.waits_for(102, 8) && !batch.waits_for(92, 8));
        batch.store_waiting(&space);
        assert_eq!(space.read(place(100, 2)), [1, 3]);
        assert!(!batch.must_wait() && !batch.waits_for(100, 2));

        assert!(!batch.keep(place(0, 8192), &[0; BYTES_MAX + 1]), "too many bytes");
        for i in 0..WRITES_MAX as u64 {
            assert!(batch.keep(place(i, 1), &[0]));
        }
        assert!(!batch.keep(place(0, 1), &[0]), "too many writes");
        batch.clear();
        assert!(!batch.waits_for(0, 2));
    }
}
