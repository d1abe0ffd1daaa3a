//! Opening the log of a segment: what had not committed is rolled back.
//!
//! The rollback is the abort path. It may be cut off anywhere and repeated, since the log is emptied by one store
//! after everything is restored. Its cost depends on the log in flight, not on the size of the segment. Start at
//! [`Core::recover`].

use std::time::{Duration, Instant};

use rio::Medium;

use crate::core::Core;
use crate::error::Result;
use crate::layout::{LOG_EMPTY, LOG_OFFSET};
use crate::seal::{seal, split_state, unseal};
use crate::undo::{RECORDS_START, Undone};

/// What opening a segment had to do.
///
/// ```
/// # let segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
/// let vista::Recovery { transaction, byte_count, duration, .. } = *segment.recovery();
/// match transaction {
///     0 => println!("nothing was in flight"),
///     number => println!("transaction {number} was cut off: {byte_count} bytes restored in {duration:?}"),
/// }
/// # Ok::<_, vista::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Number of the transaction that was rolled back; 0 if none was in flight.
    pub transaction: u64,
    /// Records of its log.
    pub record_count: u64,
    /// Bytes of user data and metadata that were restored.
    pub byte_count: u64,
    /// Whether the last records were torn or missing, so that nothing had been stored under them: possible only
    /// after a power cut in an ordered domain.
    pub has_torn_batch: bool,
    /// Time it took.
    pub duration: Duration,
}

/// What the log's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InFlight {
    /// The tail that was published last.
    pub(crate) tail: u64,
    /// The tail up to which the log counts: an earlier one if the last batch is torn.
    pub(crate) whole_tail: u64,
}

impl<M: Medium> Core<M> {
    /// Rolls back the transaction in flight, if there is one.
    pub(crate) fn recover(&mut self) -> Result<Recovery> {
        let started = Instant::now();
        let Some(InFlight { tail, whole_tail }) = self.in_flight()? else {
            return Ok(Recovery { duration: started.elapsed(), ..Recovery::default() });
        };
        if planted!(RecoveryEmptiesFirst) {
            self.empty_log();
        }
        if planted!(RecoveryClosesBatch) && self.log.is_ordered {
            self.space.store_word(self.log.batch_word, seal(tail >> 3, self.log.sequence));
        }
        let is_skipped = planted!(NewestSkipped) && whole_tail != RECORDS_START;
        let from = if is_skipped { self.record_before(whole_tail)?.before } else { whole_tail };
        let Undone { record_count, byte_count } = self.undo(from, RECORDS_START)?;
        self.empty_log();
        let has_torn_batch = whole_tail != tail;
        let transaction = self.log.sequence;
        Ok(Recovery { transaction, record_count, byte_count, has_torn_batch, duration: started.elapsed() })
    }

    /// What the log's header says of a transaction in flight.
    ///
    /// In an ordered domain the records behind the last fence may be torn by a power cut; then no store that they
    /// cover was made, and the whole batch is left out. Anywhere else a record that fails its check is damage.
    pub(crate) fn in_flight(&self) -> Result<Option<InFlight>> {
        let state = self.space.load_word(self.log.state);
        if state == LOG_EMPTY {
            return Ok(None);
        }
        let bad = |found| {
            self.damaged(LOG_OFFSET, "log: state", found, "the mark of an empty log, or a sealed tail")
        };
        let (tail, is_ordered) = split_state(state, self.log.sequence)
            .filter(|&(tail, _)| tail != RECORDS_START) // A log without a record is marked as empty.
            .ok_or_else(|| bad(state))?;
        if !is_ordered {
            return Ok(Some(InFlight { tail, whole_tail: tail }));
        }
        let batch = self.space.load_word(self.log.batch_word);
        let fenced_tail = unseal(batch, self.log.sequence).ok_or_else(|| bad(batch))? << 3;
        let is_whole =
            self.verify_log(tail, fenced_tail, &mut Vec::new()).is_ok() || planted!(TornBatchRefused);
        let fenced_tail = if planted!(TornLogDropped) { RECORDS_START } else { fenced_tail };
        Ok(Some(InFlight { tail, whole_tail: if is_whole { tail } else { fenced_tail } }))
    }
}
