//! The undo log: before-images of every range that a transaction may change.
//!
//! A record is whole, and published by one store of the log's state, before its range is lent for writing. The
//! log is empty exactly when no transaction has changed anything. Records carry their footer at the end, so that
//! the log is walked from its tail, newest first, without a note of anything else; where an extent is full, the
//! first record of the next one links back to it. Start at [`Core::log_range`].

use std::ops::Range;

use crate::batch::{Batch, Waiting};
use crate::core::Core;
use crate::error::Result;
use crate::layout::{
    KIND_FRESH, KIND_IMAGE, KIND_LINK, KIND_SAVEPOINT, LOG_EMPTY, LOG_OFFSET, LOG_RECORDS, PAYLOAD_LEN_MAX,
    RECORD_LEN_BITS, RECORD_LOW_BITS, RecordFooter,
};
use crate::seal::{digest_word, record_check, record_seed, seal, tail_state};
use crate::seen::Seen;
use crate::space::{Pen, Place, Room, Space, Window, Word};
use crate::vacated::Vacated;
use rio::{LINE_LEN, Medium};

/// Offset of the first record of every transaction.
pub(crate) const RECORDS_START: u64 = LOG_OFFSET + LOG_RECORDS;
const FOOTER_LEN: u64 = size_of::<RecordFooter>() as u64;
/// Bytes of a link or fresh record: one word of payload and the footer.
const WORD_RECORD_LEN: u64 = 8 + FOOTER_LEN;
/// A transaction is short as long as its log is no longer than this, or than a quarter of the first extent: what it logs
/// twice costs less than asking.
const SHORT_LEN: u64 = 32 << 10;
/// The same in an ordered domain, which flushes the log too.
const SHORT_LEN_ORDERED: u64 = 512;
/// Below this, a large image begins in a new extent rather than in what is left of the old one.
const CHUNK_LEN_MIN: u64 = 256;

/// The volatile side of the log: where it ends, and what need not be logged again.
pub(crate) struct Log {
    pub(crate) state: Word,
    pub(crate) sequence_word: Word,
    pub(crate) batch_word: Word,
    /// The first extent's records.
    pub(crate) first: Window,
    /// All of it: what a transaction begins with.
    pub(crate) first_room: Room,
    /// What is left of the extent that is written now; the tail is where it begins.
    pub(crate) room: Room,
    /// Number of the transaction.
    pub(crate) sequence: u64,
    /// What the checks of this transaction's records build on.
    pub(crate) seed: u64,
    /// Whether order needs fences of the processor: records are then fenced in batches.
    pub(crate) is_ordered: bool,
    pub(crate) seen: Seen,
    /// Where the log of a short transaction ends at the latest.
    pub(crate) short_end: u64,
    /// Which collections have given up places in this transaction.
    pub(crate) vacated: Vacated,
    /// For a rollback: what the log takes of the extents behind the first.
    pub(crate) extents: Vec<Range<u64>>,
}

impl Log {
    /// Where the next record begins.
    #[inline(always)]
    pub(crate) fn tail(&self) -> u64 {
        self.room.next()
    }

    /// Where the log of a short transaction ends, at the latest.
    pub(crate) fn short_end(first: Window, is_ordered: bool) -> u64 {
        let most = if is_ordered { SHORT_LEN_ORDERED } else { SHORT_LEN };
        first.start() + most.min((first.end() - first.start()) / 4)
    }

    /// Whether a log that ends at `tail` is so short that what is logged twice does not matter.
    #[inline(always)]
    pub(crate) fn is_short(&self, tail: u64) -> bool {
        tail < self.short_end
    }

    /// Takes the room for records of `word_count` words together, if the extent has it.
    #[inline(always)]
    pub(crate) fn take_room(&mut self, word_count: u64) -> Option<Place<u64>> {
        if word_count > (PAYLOAD_LEN_MAX + FOOTER_LEN) / 8 {
            return None;
        }
        self.room.take(word_count)
    }
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
    target_word: u64,
}

/// Records that are being appended: the rest of the room taken for them.
pub(crate) struct Records<'s, M> {
    pen: Pen<'s, M>,
    room: Place<u64>,
    seed: u64,
}

impl<'s, M: Medium> Records<'s, M> {
    #[inline(always)]
    pub(crate) fn new(space: &'s mut Space<M>, room: Place<u64>, seed: u64) -> Self {
        Records { pen: space.pen(), room, seed }
    }

    /// Appends the before-image of a range, which has bytes.
    #[inline(always)]
    pub(crate) fn image(&mut self, range: Place<u8>) {
        debug_assert!(range.len() > 0, "a record without bytes would be taken for a damaged one");
        let (payload, rest) = self.room.split(range.len().div_ceil(8));
        let digest = self.pen.copy_image(range, payload);
        self.finish(rest, target_word(range.offset(), KIND_IMAGE, range.len()), digest);
    }

    /// Appends a record of one word.
    fn word(&mut self, target: u64, kind: u64, word: u64) {
        let (payload, rest) = self.room.split(1);
        self.pen.store_words(payload, [word]);
        self.finish(rest, target_word(target, kind, 8), digest_word(word));
    }

    #[inline(always)]
    fn finish(&mut self, rest: Place<u64>, target: u64, digest: u64) {
        let (footer, rest) = rest.split(FOOTER_LEN / 8);
        let check = record_check(self.seed, self.room.offset(), target, digest);
        self.pen.store_words(footer, bytemuck::cast::<_, [u64; 2]>(RecordFooter { target, check }));
        self.room = rest;
    }

    /// Publishes them, by one store.
    #[inline(always)]
    pub(crate) fn publish(mut self, state: Word, is_ordered: bool) {
        self.pen.publish(state, tail_state(self.room.offset(), is_ordered, self.seed));
    }
}

/// Words of the record of a range.
#[inline(always)]
pub(crate) fn record_words(range: Place<u8>) -> u64 {
    range.len().div_ceil(8) + FOOTER_LEN / 8
}

/// A position in the log and all that belongs to it.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) tail: u64,
    room: Room,
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
        if !planted!(NumberNotAdvanced) || log.sequence == 0 {
            log.sequence = log.sequence.wrapping_add(1);
        }
        log.room = log.first_room;
        log.seed = record_seed(log.sequence);
        if !planted!(SeenOutlivesTransaction) {
            log.seen.raise_floor();
        }
        if log.is_ordered {
            batch.clear();
        }
        self.space.store_word(log.sequence_word, log.sequence);
    }

    /// Logs a range, unless this transaction has logged it before; afterwards it may be lent for writing (in an
    /// ordered domain: after the batch is fenced).
    ///
    /// # Errors
    /// `NoSpace` where the log cannot grow; nothing of the user's has changed then.
    #[inline(always)]
    pub(crate) fn log_range(&mut self, batch: &mut Batch, range: Place<u8>) -> Result<()> {
        let (offset, len) = (range.offset(), range.len());
        // What has no bytes has no before-image; for most callers the length is a constant.
        if len == 0 || self.log.seen.covers(offset, len) {
            return Ok(());
        }
        if !self.log.is_ordered
            && let Some(room) = self.log.take_room(record_words(range))
        {
            if planted!(PublishedBeforeWhole) {
                self.space.publish(self.log.state, tail_state(room.end(), false, self.log.seed));
            }
            let mut records = Records::new(&mut self.space, room, self.log.seed);
            records.image(range);
            if !planted!(StoredBeforePublished) {
                records.publish(self.log.state, false);
            }
            let is_short = self.log.is_short(room.end());
            self.log.seen.note(offset, len, is_short);
            return Ok(());
        }
        self.log_in_parts(batch, range)
    }

    /// The same for a range that is longer than a record may be, or than its extent has room for, and for all
    /// ranges in an ordered domain.
    #[inline(never)]
    fn log_in_parts(&mut self, batch: &mut Batch, range: Place<u8>) -> Result<()> {
        let mut done = 0;
        while done < range.len() {
            let rest = (range.len() - done).min(PAYLOAD_LEN_MAX);
            let room = (self.log.room.left() / 8 * 8).saturating_sub(FOOTER_LEN);
            if room < rest.min(CHUNK_LEN_MIN) {
                self.extend_log(batch, range.len() - done)?;
                continue;
            }
            let part = range.part(done, rest.min(room));
            self.append(batch, record_words(part), |records| records.image(part));
            done += part.len();
        }
        self.refuse_borrowed(range)?;
        let is_short = self.log.is_short(self.log.tail());
        self.log.seen.note(range.offset(), range.len(), is_short);
        Ok(())
    }

    /// An error if the log lies in a range that is to be lent: a pointer to freed memory led there, and the log has taken
    /// that memory since it was checked.
    pub(crate) fn refuse_borrowed(&self, range: Place<u8>) -> Result<()> {
        if self.heap.is_borrowed(range.offset(), range.len()) {
            return Err(self.bad_pointer(range.offset(), range.len(), 1));
        }
        Ok(())
    }

    /// Notes a range that is new in this transaction: no before-image, but the commit has to flush it.
    pub(crate) fn log_fresh(&mut self, batch: &mut Batch, range: Place<u8>) -> Result<()> {
        if self.log.is_ordered {
            self.log_word(batch, range.offset(), KIND_FRESH, range.len())?;
        }
        self.log.seen.note_fresh(range.offset(), range.len());
        Ok(())
    }

    /// Notes a range whose content did not count before: no before-image, but the commit has to flush it. It is not kept
    /// as logged, for it may come to count, and need an image then.
    pub(crate) fn note_spare(&mut self, batch: &mut Batch, range: Place<u8>) -> Result<()> {
        self.log_word(batch, range.offset(), KIND_FRESH, range.len())
    }

    /// Marks a savepoint in the log, by a number that no other savepoint has.
    pub(crate) fn log_savepoint(&mut self, batch: &mut Batch, number: u64) -> Result<Mark> {
        self.settle(batch);
        self.log_word(batch, 0, KIND_SAVEPOINT, number)?;
        self.log.seen.raise_floor();
        Ok(self.mark(batch))
    }

    /// Whether the record of this savepoint still stands in the log, right before its mark. The walk back from the tail
    /// comes by every position; bytes that merely look like that record may stand anywhere behind it.
    pub(crate) fn is_in_log(&self, mark: &Mark, number: u64) -> bool {
        let mut tail = self.log.tail();
        let mut left = self.space.medium().len() / FOOTER_LEN;
        while tail != mark.tail {
            let (Ok(record), Some(fewer)) = (self.record_before(tail), left.checked_sub(1)) else {
                return false;
            };
            (tail, left) = (record.before, fewer);
        }
        // A mark brings its room along, which is to be of this log.
        let room_end = match mark.extent_count.checked_sub(1) {
            None => Some(self.log.first.end()),
            Some(last) => self.heap.extent(last).map(Window::end),
        };
        let is_it = |record: Record| record.kind == KIND_SAVEPOINT && self.payload_word(&record) == number;
        room_end == Some(mark.room.end()) && self.record_before(tail).is_ok_and(is_it)
    }

    fn log_word(&mut self, batch: &mut Batch, target: u64, kind: u64, word: u64) -> Result<()> {
        if self.log.room.left() < WORD_RECORD_LEN {
            self.extend_log(batch, WORD_RECORD_LEN)?;
        }
        self.append_word(batch, target, kind, word);
        Ok(())
    }

    /// Appends a record whose payload is one word. The caller has made sure of the room.
    fn append_word(&mut self, batch: &mut Batch, target: u64, kind: u64, word: u64) {
        self.append(batch, WORD_RECORD_LEN / 8, |records| records.word(target, kind, word));
    }

    /// Appends one record and publishes it. The caller has made sure of the room.
    fn append(&mut self, batch: &mut Batch, word_count: u64, append: impl FnOnce(&mut Records<'_, M>)) {
        if self.log.is_ordered && !batch.is_unfenced {
            self.open_batch(batch, self.log.tail());
        }
        let room = self.log.take_room(word_count).expect("room for a record");
        let mut records = Records::new(&mut self.space, room, self.log.seed);
        append(&mut records);
        if !planted!(StoredBeforePublished) {
            records.publish(self.log.state, self.log.is_ordered);
        }
    }

    /// Notes on the medium up to where the records are fenced, before one is appended that is not.
    fn open_batch(&mut self, batch: &mut Batch, fenced_tail: u64) {
        batch.is_unfenced = true;
        batch.flush_from = self.log.tail();
        let fenced_tail = if planted!(BatchFromTheStart) { RECORDS_START } else { fenced_tail };
        if !planted!(BatchWordNotStored) {
            self.space.store_word(self.log.batch_word, seal(fenced_tail >> 3, self.log.sequence));
        }
    }

    /// Takes an extent from the free space and links it behind the current one. The heap does not learn of it:
    /// the space stays free in its metadata, and is free again when the transaction ends, whatever ends it.
    #[cold]
    pub(crate) fn extend_log(&mut self, batch: &mut Batch, wanted: u64) -> Result<()> {
        self.refuse_poisoned()?;
        if self.heap.is_in_step {
            self.heap.is_log_full = true;
            return Err(self.no_space(wanted));
        }
        // A store that waits may be meant for memory that was freed, and that the log is about to take.
        if !planted!(ExtentWithoutSettle) {
            self.settle(batch);
        }
        // Twice what the log has, so that the number of extents stays small.
        let has = self.log.first.end() - self.log.first.start() + self.heap.extents_len();
        let extent =
            self.reserve_extent(batch, CHUNK_LEN_MIN + WORD_RECORD_LEN + FOOTER_LEN, wanted.max(2 * has))?;
        let before = self.log.tail();
        self.log.room = Room::of(extent);
        // The link begins a batch, since all before it is settled; where the log is fenced, is in the extent before.
        if self.log.is_ordered && !planted!(LinkOutsideOfBatch) {
            self.open_batch(batch, before);
        }
        if planted!(LinkPublishedFirst) {
            let tail = extent.start() + WORD_RECORD_LEN;
            self.space.publish(self.log.state, tail_state(tail, self.log.is_ordered, self.log.seed));
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
        let tail = self.log.tail();
        if planted!(RecordsNotFlushed) {
            medium.flush(LOG_OFFSET, LOG_RECORDS);
        } else if batch.flush_from < LOG_OFFSET + LINE_LEN && tail <= self.log.first.end() {
            medium.flush(LOG_OFFSET, tail - LOG_OFFSET);
        } else {
            if !planted!(LogHeaderNotFlushed) {
                medium.flush(LOG_OFFSET, LOG_RECORDS);
            }
            medium.flush(batch.flush_from, tail - batch.flush_from);
        }
        if !planted!(RecordsNotFenced) {
            medium.fence(); // Orders: the batch's records and the tail that counts them, then the stores they cover.
        }
    }

    /// Flushes everything that the transaction may have stored to.
    pub(crate) fn flush_targets(&self) -> Result<()> {
        let mut tail = self.log.tail();
        while tail != RECORDS_START {
            let record = self.record_before(tail)?;
            match record.kind {
                KIND_IMAGE if planted!(FirstLineFlushed) => self.space.medium().flush(record.target, 1),
                KIND_LINK if planted!(FlushStopsAtLink) => break,
                KIND_FRESH if planted!(FreshNotFlushed) => {}
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
        self.shorten_log(LOG_EMPTY);
    }

    /// The store of the state by which the log becomes shorter.
    #[inline(always)]
    fn shorten_log(&mut self, state: u64) {
        self.space.publish(self.log.state, state);
        if self.log.is_ordered && !planted!(EndNotFlushed) {
            self.space.medium().flush(LOG_OFFSET, LOG_RECORDS);
            if !planted!(EndNotFenced) {
                self.space.medium().fence(); // Orders: the new end of the log, then the records that take the place behind it.
            }
        }
    }

    /// A position in the log, to roll back to.
    #[inline]
    pub(crate) fn mark(&self, batch: &Batch) -> Mark {
        let Log { room, .. } = self.log;
        Mark { tail: room.next(), room, extent_count: self.heap.extent_count(), waiting: batch.waiting() }
    }

    /// Undoes everything since a mark of this transaction, which goes on from there.
    pub(crate) fn roll_back_to(&mut self, batch: &mut Batch, mark: &Mark) -> Result<()> {
        self.fence_records(batch);
        batch.forget_since(mark.waiting);
        let tail = self.log.tail();
        let has_records = tail != mark.tail;
        if has_records {
            if planted!(CutBeforeUndone) {
                self.cut_log(mark);
            }
            self.undo(tail, mark.tail).inspect_err(|_| self.poison())?;
        }
        self.undo_step();
        if has_records {
            self.cut_log(mark);
            if self.log.is_ordered && !planted!(RollbackNotStruckOut) {
                self.strike_out(tail, mark.tail).inspect_err(|_| self.poison())?;
            }
            self.heap.release_extents(mark.extent_count);
        }
        Ok(())
    }

    /// The one store that cuts the log back to a mark, after what came behind it was undone.
    fn cut_log(&mut self, mark: &Mark) {
        self.log.room = mark.room;
        let tail = mark.tail;
        if self.log.is_ordered && !planted!(BatchWordNotCut) {
            // All that is left in the log is fenced: no batch is open at the cut.
            self.space.store_word(self.log.batch_word, seal(tail >> 3, self.log.sequence));
        }
        if !planted!(CutNotPublished) {
            self.shorten_log(self.state_of(tail));
        }
        if !planted!(SeenOutlivesRollback) {
            self.log.seen.raise_floor();
        }
    }

    /// The state of a log that is cut back to `tail`.
    pub(crate) fn state_of(&self, tail: u64) -> u64 {
        let Log { is_ordered, seed, .. } = self.log;
        if tail == RECORDS_START { LOG_EMPTY } else { tail_state(tail, is_ordered, seed) }
    }

    /// Makes the records behind a cut invalid. They have the number of this transaction, and if a batch that takes their
    /// place is torn, they must not show through and be taken for its records.
    fn strike_out(&mut self, tail: u64, until: u64) -> Result<()> {
        let mut tail = tail;
        while tail != until {
            let record = self.record_before(tail)?;
            let check = self.log_window(tail).and_then(|window| window.place(tail - 8, 1));
            let check = check.expect("a record that was just read ends with its check");
            self.space.store_word(Word::of(check), 0);
            self.space.medium().flush(tail - 8, 8);
            tail = record.before;
        }
        self.space.medium().fence(); // Orders: the records struck out, then those that take their place.
        Ok(())
    }

    /// Copies before-images back, newest first, from `tail` to `until`. The log itself stays as it is, so that it
    /// can be cut off and repeated. Nothing is copied unless every record on the way is whole.
    pub(crate) fn undo(&mut self, tail: u64, until: u64) -> Result<Undone> {
        let mut extents = std::mem::take(&mut self.log.extents);
        let undone = self.undo_past(tail, until, &mut extents);
        self.log.extents = extents;
        undone
    }

    fn undo_past(&mut self, tail: u64, until: u64, extents: &mut Vec<Range<u64>>) -> Result<Undone> {
        let record_count = self.verify_log(tail, until, extents)?;
        let mut undone = Undone::default();
        let mut tail = tail;
        while tail != until {
            // In a forged file an image may lead into an extent of the log, and change the way.
            if undone.record_count == record_count {
                return Err(self.endless_log(tail));
            }
            let record = self.record_before(tail)?;
            if planted!(PoppedBeforeRestored) {
                self.shorten_log(self.state_of(record.before));
            }
            if record.kind == KIND_IMAGE {
                let target = self.undo_target(&record)?;
                // What the log took was free: an image of it was lent by a dangling pointer, before. Put back, it would
                // overwrite records that a repeated rollback needs.
                if !extents.iter().any(|e| target.offset() < e.end && e.start < target.end()) {
                    if planted!(NewestImageWins) && self.log.tail() == RECORDS_START {
                        extents.push(target.offset()..target.end()); // No record was appended: it is an opening.
                    }
                    if planted!(WholeLinesRestored) && self.log.tail() == RECORDS_START {
                        let lines = target.len().max(LINE_LEN) / LINE_LEN * LINE_LEN;
                        self.space.copy_back(record.payload, target.part(0, lines));
                    } else {
                        self.space.copy_back(record.payload, target);
                    }
                    if !planted!(RestoredNotFlushed) {
                        self.space.medium().flush(target.offset(), target.len());
                    }
                    undone.byte_count += target.len();
                }
            }
            if planted!(UndoStrikesOut) {
                self.strike_out(tail, record.before)?;
            }
            undone.record_count += 1;
            tail = record.before;
        }
        if self.log.is_ordered && !planted!(RestoredNotFenced) {
            self.space.medium().fence(); // Orders: the restored bytes, then the store that empties or cuts the log.
        }
        Ok(undone)
    }

    /// Whether every record from `tail` to `until` is whole and leads to memory that a transaction may change. Returns
    /// how many they are, and in `extents` what they take of the extents behind the first.
    pub(crate) fn verify_log(&self, tail: u64, until: u64, extents: &mut Vec<Range<u64>>) -> Result<u64> {
        let mut tail = tail;
        let mut extent_end = tail;
        let mut record_count = 0;
        extents.clear();
        let mut left = self.space.medium().len();
        while tail != until {
            let record = self.record_before(tail)?;
            let digest = self.space.digest(record.payload);
            let check = record_check(self.log.seed, record.payload.offset(), record.target_word, digest);
            if record.check != check && !planted!(RecordCheckSkipped) {
                return Err(self.damaged_record(tail - 8, record.check));
            }
            match record.kind {
                KIND_IMAGE => {
                    self.undo_target(&record)?;
                }
                KIND_LINK => {
                    extents.push(record.payload.offset()..extent_end);
                    extent_end = record.before;
                }
                _ => {}
            }
            // Every step takes some bytes; a chain that takes more than there are runs in a circle.
            left =
                left.checked_sub(record.payload.len() + FOOTER_LEN).ok_or_else(|| self.endless_log(tail))?;
            record_count += 1;
            tail = record.before;
        }
        Ok(record_count)
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
        let mut record = Record { kind, target, payload, before: place, check, target_word };
        match kind {
            KIND_IMAGE if len > 0 => {}
            KIND_FRESH if len == 8 => {}
            KIND_SAVEPOINT if len == 8 && target == 0 => {}
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

/// The first word of a footer.
#[inline(always)]
fn target_word(offset: u64, kind: u64, len: u64) -> u64 {
    offset << RECORD_LOW_BITS | kind << RECORD_LEN_BITS | len
}
