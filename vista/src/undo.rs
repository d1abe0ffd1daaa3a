//! The undo log: before-images of every range that a transaction may change.
//!
//! A record is whole, and published by one store of the log's state, before its range is lent for writing. The
//! log is empty exactly when no transaction has changed anything. Records carry their footer at the end, so that
//! the log is walked from its tail, newest first, without a note of anything else; where an extent is full, the
//! first record of the next one links back to it. Start at [`Core::log_range`].

use crate::batch::{Batch, Waiting};
use crate::core::Core;
use crate::error::Result;
use crate::layout::{
    KIND_FRESH, KIND_IMAGE, KIND_LINK, LOG_EMPTY, LOG_OFFSET, LOG_RECORDS, PAYLOAD_LEN_MAX, RECORD_LEN_BITS,
    RECORD_LOW_BITS, RecordFooter,
};
use crate::seal::{chain_seed, record_check, seal};
use crate::seen::Seen;
use crate::space::{Place, Window};
use rio::{LINE_LEN, Medium};

/// Offset of the first record of every transaction.
pub(crate) const RECORDS_START: u64 = LOG_OFFSET + LOG_RECORDS;
const FOOTER_LEN: u64 = size_of::<RecordFooter>() as u64;
/// Bytes of a link or fresh record: one word of payload and the footer.
const WORD_RECORD_LEN: u64 = 8 + FOOTER_LEN;
/// Below this, a large image begins in a new extent rather than in what is left of the old one.
const CHUNK_LEN_MIN: u64 = 256;

/// The volatile side of the log: where it ends, and what need not be logged again.
pub(crate) struct Log {
    pub(crate) state: Place<u64>,
    pub(crate) sequence_word: Place<u64>,
    pub(crate) batch_word: Place<u64>,
    /// The first extent's records.
    pub(crate) first: Window,
    /// The extent that is written now, from its first record on.
    pub(crate) room: Window,
    /// Number of the transaction.
    pub(crate) sequence: u64,
    /// Where the next record begins.
    pub(crate) tail: u64,
    /// Check of the record before the tail.
    pub(crate) check: u64,
    /// Whether order needs fences of the processor: records are then fenced in batches.
    pub(crate) is_ordered: bool,
    pub(crate) seen: Seen,
}

/// One record, found by walking back.
#[derive(Clone, Copy)]
pub(crate) struct Record {
    pub(crate) kind: u64,
    pub(crate) target: u64,
    pub(crate) payload: Place<u8>,
    /// The tail of the log before this record.
    pub(crate) before: u64,
    check: u64,
    place: u64,
    target_word: u64,
}

/// A position in the log and all that belongs to it.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) tail: u64,
    check: u64,
    room: Window,
    extent_count: usize,
    waiting: Waiting,
}

/// What a rollback did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Undone {
    pub(crate) record_count: u64,
    pub(crate) byte_count: u64,
}

impl<M: Medium> Core<M> {
    /// Begins a transaction: the log is empty, and its records will carry a number of their own.
    #[inline(always)]
    pub(crate) fn begin_log(&mut self, batch: &mut Batch) {
        let log = &mut self.log;
        log.sequence = log.sequence.wrapping_add(1);
        log.room = log.first;
        log.tail = RECORDS_START;
        log.check = chain_seed(log.sequence);
        log.seen.begin();
        if log.is_ordered {
            batch.clear();
        }
        self.space.store_bytes(log.sequence_word.bytes(), &log.sequence.to_le_bytes());
    }

    /// Logs a range, unless this transaction has logged it before; afterwards it may be lent for writing (in an
    /// ordered domain: after the batch is fenced).
    ///
    /// # Errors
    /// `NoSpace` where the log cannot grow; nothing of the user's has changed then.
    #[inline(always)]
    pub(crate) fn log_range(&mut self, batch: &mut Batch, range: Place<u8>) -> Result<()> {
        if self.log.seen.covers(range.offset(), range.len()) {
            return Ok(());
        }
        if range.len() <= PAYLOAD_LEN_MAX && self.append_image(batch, range) {
            self.log.seen.note(range.offset(), range.len());
            return Ok(());
        }
        self.log_in_parts(batch, range)
    }

    /// The same for a range that is longer than a record may be, or than its extent has room for.
    #[cold]
    #[inline(never)]
    fn log_in_parts(&mut self, batch: &mut Batch, range: Place<u8>) -> Result<()> {
        let mut done = 0;
        while done < range.len() {
            let rest = (range.len() - done).min(PAYLOAD_LEN_MAX);
            let room = (self.log.room.end() - self.log.tail).saturating_sub(FOOTER_LEN);
            if room < rest.min(CHUNK_LEN_MIN) {
                self.extend_log(batch, range.len() - done)?;
                continue;
            }
            let part = range.part(done, rest.min(room));
            let has_fit = self.append_image(batch, part);
            assert!(has_fit, "a part is cut to the room of its extent");
            done += part.len();
        }
        if range.len() > 0 {
            self.log.seen.note(range.offset(), range.len());
        }
        Ok(())
    }

    /// Notes a range that is new in this transaction: no before-image, but the commit has to flush it.
    pub(crate) fn log_fresh(&mut self, batch: &mut Batch, range: Place<u8>) -> Result<()> {
        if self.log.is_ordered {
            if self.log.room.end() - self.log.tail < WORD_RECORD_LEN {
                self.extend_log(batch, WORD_RECORD_LEN)?;
            }
            self.append_word(batch, range.offset(), KIND_FRESH, range.len());
        }
        self.log.seen.note_fresh(range.offset(), range.len());
        Ok(())
    }

    /// Appends a before-image; false if the extent has no room for it.
    #[inline(always)]
    fn append_image(&mut self, batch: &mut Batch, range: Place<u8>) -> bool {
        let word_count = range.len().div_ceil(8);
        let Some(record) = self.log.room.place::<u64>(self.log.tail, word_count + 2) else { return false };
        let (payload, footer) = record.split(word_count);
        let digest = self.space.copy_image(range, payload);
        self.finish_record(batch, footer, range.offset(), KIND_IMAGE, range.len(), digest);
        true
    }

    /// Appends a record whose payload is one word. The caller has made sure of the room.
    fn append_word(&mut self, batch: &mut Batch, target: u64, kind: u64, word: u64) {
        let record = self.log.room.place::<u64>(self.log.tail, 3).expect("room for a record of one word");
        let (payload, footer) = record.split(1);
        self.space.store_bytes(payload.bytes(), &word.to_le_bytes());
        let digest = self.space.digest(payload.bytes());
        self.finish_record(batch, footer, target, kind, 8, digest);
    }

    /// Writes the footer and publishes the record.
    #[inline(always)]
    fn finish_record(
        &mut self,
        batch: &mut Batch,
        footer: Place<u64>,
        target: u64,
        kind: u64,
        len: u64,
        digest: u64,
    ) {
        let log = &mut self.log;
        let target = target << RECORD_LOW_BITS | kind << RECORD_LEN_BITS | len;
        let check = record_check(log.check, log.tail, target, digest);
        self.space.store_bytes(footer.bytes(), bytemuck::bytes_of(&RecordFooter { target, check }));
        if log.is_ordered && !batch.is_unfenced {
            batch.is_unfenced = true;
            batch.flush_from = log.tail;
            self.space.store_bytes(log.batch_word.bytes(), &seal(log.tail >> 3, log.sequence).to_le_bytes());
        }
        log.tail = footer.end();
        log.check = check;
        self.space.publish(log.state, tail_state(log.tail, log.is_ordered, log.sequence));
    }

    /// Takes an extent from the free space and links it behind the current one. The heap does not learn of it:
    /// the space stays free in its metadata, and is free again when the transaction ends, whatever ends it.
    #[cold]
    fn extend_log(&mut self, batch: &mut Batch, wanted: u64) -> Result<()> {
        // Twice what the log has, so that the number of extents stays small.
        let has = self.log.first.end() - self.log.first.start() + self.heap.extents_len();
        let extent = self.reserve_extent(batch, CHUNK_LEN_MIN + WORD_RECORD_LEN + FOOTER_LEN, wanted.max(2 * has))?;
        if batch.is_unfenced {
            self.space.medium().flush(batch.flush_from, self.log.tail - batch.flush_from);
            batch.flush_from = extent.start();
        }
        let before = self.log.tail;
        self.log.room = extent;
        self.log.tail = extent.start();
        // The batch word of an ordered domain wants the tail before the link, in the extent before.
        if self.log.is_ordered && !batch.is_unfenced {
            batch.is_unfenced = true;
            batch.flush_from = extent.start();
            let word = seal(before >> 3, self.log.sequence);
            self.space.store_bytes(self.log.batch_word.bytes(), &word.to_le_bytes());
        }
        self.append_word(batch, extent.start(), KIND_LINK, before);
        Ok(())
    }

    /// Makes the batch's records durable. Ranges logged so far may be stored to afterwards.
    #[inline]
    pub(crate) fn fence_records(&self, batch: &mut Batch) {
        if !batch.is_unfenced {
            return;
        }
        batch.is_unfenced = false;
        let medium = self.space.medium();
        if batch.flush_from < LOG_OFFSET + LINE_LEN && self.log.room == self.log.first {
            medium.flush(LOG_OFFSET, self.log.tail - LOG_OFFSET);
        } else {
            medium.flush(LOG_OFFSET, LOG_RECORDS);
            medium.flush(batch.flush_from, self.log.tail - batch.flush_from);
        }
        medium.fence(); // Orders: the batch's records and the tail that counts them, then the stores they cover.
    }

    /// Flushes everything that the transaction may have stored to.
    pub(crate) fn flush_targets(&self) -> Result<()> {
        let mut tail = self.log.tail;
        while tail != RECORDS_START {
            let record = self.record_before(tail)?;
            match record.kind {
                KIND_IMAGE => self.space.medium().flush(record.target, record.payload.len()),
                KIND_FRESH => self.space.medium().flush(record.target, self.payload_word(&record)),
                _ => {}
            }
            tail = record.before;
        }
        Ok(())
    }

    /// The one store that ends a transaction, by commit or after a rollback: from here on its log is empty.
    #[inline(always)]
    pub(crate) fn empty_log(&mut self) {
        self.space.publish(self.log.state, LOG_EMPTY);
        if self.log.is_ordered {
            self.space.medium().flush(LOG_OFFSET, LOG_RECORDS);
            self.space.medium().fence(); // Orders: the end of this transaction, then the records of the next.
        }
    }

    /// A position in the log, to roll back to.
    #[inline]
    pub(crate) fn mark(&self, batch: &Batch) -> Mark {
        let Log { tail, check, room, .. } = self.log;
        Mark { tail, check, room, extent_count: self.heap.extent_count(), waiting: batch.waiting() }
    }

    /// Undoes everything since a mark of this transaction, which goes on from there.
    pub(crate) fn roll_back_to(&mut self, batch: &mut Batch, mark: &Mark) -> Result<()> {
        self.fence_records(batch);
        batch.forget_since(mark.waiting);
        if self.log.tail != mark.tail {
            self.undo(self.log.tail, mark.tail).inspect_err(|_| self.is_poisoned = true)?;
            self.cut_log(mark);
            self.heap.release_extents(mark.extent_count);
        }
        Ok(())
    }

    /// The one store that cuts the log back to a mark, after what came behind it was undone.
    fn cut_log(&mut self, mark: &Mark) {
        let log = &mut self.log;
        (log.tail, log.check, log.room) = (mark.tail, mark.check, mark.room);
        let tail = mark.tail;
        let state = if tail == RECORDS_START {
            LOG_EMPTY
        } else {
            tail_state(tail, log.is_ordered, log.sequence)
        };
        if log.is_ordered {
            // All that is left in the log is fenced: no batch is open at the cut.
            let word = seal(tail >> 3, log.sequence);
            self.space.store_bytes(log.batch_word.bytes(), &word.to_le_bytes());
        }
        self.space.publish(self.log.state, state);
        if self.log.is_ordered {
            self.space.medium().flush(LOG_OFFSET, LOG_RECORDS);
            self.space.medium().fence(); // Orders: the cut, then the records that take the place behind it.
        }
        self.log.seen.raise_floor();
    }

    /// Copies before-images back, newest first, from `tail` to `until`. The log itself stays as it is, so that it
    /// can be cut off and repeated. Nothing is copied unless every record on the way is whole.
    pub(crate) fn undo(&mut self, tail: u64, until: u64) -> Result<Undone> {
        self.verify_log(tail, until)?;
        let mut undone = Undone::default();
        let mut tail = tail;
        while tail != until {
            let record = self.record_before(tail)?;
            if record.kind == KIND_IMAGE {
                let target = self.undo_target(&record)?;
                self.space.copy_back(record.payload, target);
                self.space.medium().flush(target.offset(), target.len());
                undone.byte_count += target.len();
            }
            undone.record_count += 1;
            tail = record.before;
        }
        if self.log.is_ordered {
            self.space.medium().fence(); // Orders: the restored bytes, then the store that empties or cuts the log.
        }
        Ok(undone)
    }

    /// Whether every record from `tail` to `until` is whole and leads to memory that a transaction may change.
    pub(crate) fn verify_log(&self, tail: u64, until: u64) -> Result<()> {
        let mut tail = tail;
        let mut left = self.space.medium().len();
        while tail != until {
            let record = self.record_before(tail)?;
            let digest = self.space.digest(record.payload);
            let before = if record.before == RECORDS_START {
                chain_seed(self.log.sequence)
            } else {
                let word = self.log_window(record.before).and_then(|w| w.place(record.before - 8, 1));
                self.space.load(word.ok_or_else(|| self.damaged_log(tail, record.before))?)
            };
            if record.check != record_check(before, record.place, record.target_word, digest) {
                return Err(self.damaged_record(tail - 8, record.check));
            }
            if record.kind == KIND_IMAGE {
                self.undo_target(&record)?;
            }
            // Every step takes some bytes; a chain that takes more than there are runs in a circle.
            left = left.checked_sub(record.payload.len() + FOOTER_LEN).ok_or_else(|| self.endless_log(tail))?;
            tail = record.before;
        }
        Ok(())
    }

    /// The record that ends at `tail`, its shape checked.
    pub(crate) fn record_before(&self, tail: u64) -> Result<Record> {
        let bad = || self.damaged_log(LOG_OFFSET, tail);
        let window = self.log_window(tail).ok_or_else(bad)?;
        let footer: Place<RecordFooter> =
            tail.checked_sub(FOOTER_LEN).and_then(|at| window.place(at, 1)).ok_or_else(bad)?;
        let RecordFooter { target: target_word, check } = self.space.load(footer);
        let len = target_word & ((1 << RECORD_LEN_BITS) - 1);
        let kind = target_word >> RECORD_LEN_BITS & 3;
        let target = target_word >> RECORD_LOW_BITS;
        let shapeless = || self.damaged_record(footer.offset(), target_word);
        let place = footer.offset().checked_sub(len.next_multiple_of(8)).ok_or_else(shapeless)?;
        let payload = window.place(place, len).ok_or_else(shapeless)?;
        let mut record = Record { kind, target, payload, before: place, check, place, target_word };
        match kind {
            KIND_IMAGE if len > 0 => {}
            KIND_FRESH if len == 8 => {}
            KIND_LINK if len == 8 && target == place => record.before = self.payload_word(&record),
            _ => return Err(shapeless()),
        }
        Ok(record)
    }

    fn payload_word(&self, record: &Record) -> u64 {
        u64::from_le_bytes(self.space.read_inside(record.payload).try_into().expect("a payload of one word"))
    }

    /// The memory in which a record may end at `tail`: the first extent, or a zone's pages.
    fn log_window(&self, tail: u64) -> Option<Window> {
        let first = self.log.first;
        if tail > first.start() && tail <= first.end() {
            return Some(first);
        }
        self.heap.zone_at(tail.checked_sub(1)?).map(|zone| zone.pages)
    }

    fn undo_target(&self, record: &Record) -> Result<Place<u8>> {
        let place = self.heap.undo_place(record.target, record.payload.len());
        place.ok_or_else(|| self.damaged_record(record.payload.end(), record.target_word))
    }

    #[cold]
    fn damaged_log(&self, offset: u64, tail: u64) -> crate::Error {
        self.damaged(offset, "log: end of a record", tail, "an offset inside the log's extents")
    }

    #[cold]
    fn damaged_record(&self, offset: u64, found: u64) -> crate::Error {
        self.damaged(offset, "log: record", found, "a record whose check fits")
    }

    #[cold]
    fn endless_log(&self, tail: u64) -> crate::Error {
        self.damaged(LOG_OFFSET, "log: chain of extents", tail, "a chain that ends")
    }
}

/// The state word of a log that ends at `tail`.
#[inline(always)]
fn tail_state(tail: u64, is_ordered: bool, sequence: u64) -> u64 {
    seal(tail >> 3 << 1 | u64::from(is_ordered), sequence)
}
