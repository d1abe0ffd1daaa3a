//! What a segment works with: its space, its log and its heap, and the calls that all parts share.

use std::sync::Arc;

use bytemuck::Pod;
use rio::Medium;

use crate::Error;
use crate::batch::Batch;
use crate::error::Result;
use crate::heap::Heap;
use crate::space::{Place, Room, Space};
use crate::undo::{Log, RECORDS_START};

pub(crate) struct Core<M> {
    pub(crate) space: Space<M>,
    pub(crate) name: Arc<str>,
    pub(crate) log: Log,
    pub(crate) heap: Heap,
    /// The root's bytes; none before the root is known.
    pub(crate) root: Place<u8>,
    /// A number that no other segment has, so that their savepoints are told apart.
    pub(crate) identity: u64,
    /// Savepoints made since the segment was opened.
    pub(crate) savepoint_count: u64,
    /// A rollback failed: nothing may be lent any more.
    pub(crate) is_poisoned: bool,
}

impl<M: Medium> Core<M> {
    /// Logs a range and stores to it; in an ordered domain the store may wait for the fence of its record.
    #[inline(always)]
    pub(crate) fn write<T: Pod>(&mut self, batch: &mut Batch, place: Place<T>, value: T) -> Result<()> {
        self.log_range(batch, place.bytes())?;
        if self.log.is_ordered {
            // A copy of its own to point at: the value stays in registers for the store below.
            let waiting = value;
            if self.keeps(batch, place.bytes(), bytemuck::bytes_of(&waiting)) {
                return Ok(());
            }
        }
        self.space.store(place, value);
        self.publish_if_late();
        Ok(())
    }

    /// As [`write`](Core::write), bytes whose number is not known before.
    #[inline(always)]
    pub(crate) fn write_bytes(&mut self, batch: &mut Batch, place: Place<u8>, bytes: &[u8]) -> Result<()> {
        self.log_range(batch, place)?;
        if !(self.log.is_ordered && self.keeps(batch, place, bytes)) {
            self.space.store_bytes(place, bytes);
            self.publish_if_late();
        }
        Ok(())
    }

    #[inline(always)]
    fn publish_if_late(&mut self) {
        if planted!(StoredBeforePublished) {
            self.space.publish(self.log.state, self.state_of(self.log.tail()));
        }
    }

    /// Whether a store waits for the fence of its record: then it is made later.
    #[inline(never)]
    fn keeps(&mut self, batch: &mut Batch, place: Place<u8>, bytes: &[u8]) -> bool {
        if !batch.must_wait() || planted!(WritesDoNotWait) {
            return false;
        }
        let is_kept = batch.keep(place, bytes);
        if !is_kept {
            self.settle(batch);
        }
        is_kept
    }

    /// Fences what is logged and makes the stores that waited for it.
    #[inline]
    pub(crate) fn settle(&self, batch: &mut Batch) {
        self.fence_records(batch);
        batch.store_waiting(&self.space);
    }

    /// Makes sure that no store to these bytes waits.
    #[inline(always)]
    pub(crate) fn settle_for<T>(&self, batch: &mut Batch, place: Place<T>) {
        if self.log.is_ordered && batch.waits_for(place.offset(), place.len()) {
            self.settle(batch);
        }
    }

    /// One value of the metadata, as this transaction sees it.
    pub(crate) fn peek<T: Pod>(&self, batch: &mut Batch, place: Place<T>) -> T {
        self.settle_for(batch, place);
        self.space.load(place)
    }

    /// Commits: everything durable, then one store.
    #[inline(always)]
    pub(crate) fn commit(&mut self, batch: &mut Batch) -> Result<()> {
        if self.log.tail() == RECORDS_START {
            return self.end_empty();
        }
        if self.log.is_ordered {
            if !planted!(WaitingStoredAfterEnd) {
                self.settle(batch);
            }
            if !planted!(DataNotFlushed) {
                self.flush_targets()?;
            }
            if !planted!(DataNotFenced) {
                self.space.medium().fence(); // Orders: everything the transaction stored, then its end.
            }
        }
        self.empty_log();
        if planted!(WaitingStoredAfterEnd) {
            self.settle(batch);
        }
        if self.heap.has_extents() {
            self.heap.release_extents(0);
        }
        Ok(())
    }

    /// Rolls back to the state before the transaction.
    pub(crate) fn abort(&mut self, batch: &mut Batch) -> Result<()> {
        batch.clear();
        self.heap.forget_step();
        if self.log.tail() == RECORDS_START {
            return self.end_empty();
        }
        if planted!(AbortEmptiesFirst) {
            self.empty_log();
        }
        self.undo(self.log.tail(), RECORDS_START).inspect_err(|_| self.poison())?;
        self.empty_log();
        self.heap.release_extents(0);
        Ok(())
    }

    /// Ends a transaction without a record, and takes its number back: what was made under number n + 1 has the state
    /// that n left as its base. Were a number skipped, records of it that a power cut left in the log, torn, could be
    /// taken for those of a later transaction with that number and another base.
    fn end_empty(&mut self) -> Result<()> {
        self.refuse_poisoned()?;
        if !planted!(EmptyTransactionCounts) {
            self.log.sequence = self.log.sequence.wrapping_sub(1);
        }
        Ok(())
    }

    /// A rollback failed. The log stays in the medium as it is, and here it has no room and no record, so that every
    /// call that needs it comes to [`refuse_poisoned`](Core::refuse_poisoned).
    #[cold]
    pub(crate) fn poison(&mut self) {
        self.is_poisoned = true;
        self.heap.forget_step();
        self.log.room = Room::none(RECORDS_START);
        self.log.seen.raise_floor();
    }

    /// An error if a rollback failed before.
    #[inline]
    pub(crate) fn refuse_poisoned(&self) -> Result<()> {
        if self.is_poisoned { Err(Error::Poisoned { segment: self.name.clone() }) } else { Ok(()) }
    }

    #[cold]
    pub(crate) fn damaged(&self, offset: u64, what: &'static str, found: u64, expected: &str) -> Error {
        Error::Damaged { segment: self.name.clone(), offset, what, found, expected: expected.into() }
    }
}
