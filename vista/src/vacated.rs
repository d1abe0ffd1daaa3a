//! Which collections have given up places in this transaction: a small table that may claim too much, and never forgets.
//!
//! A place where nothing stands is *spare* as long as its collection has given up none: what was there, if anything, had
//! ceased to count before the transaction began. Behind a removal a place may be one that counted when it began, or at a
//! savepoint, and a rollback has to bring its bytes back. Start at [`Vacated::has`].

/// Places of the table, to the power of two.
const SLOTS_LOG: u32 = 9;

/// For each offset, or some that share a place, the number of the last transaction that gave up places there: so that
/// nothing has to be cleared when another one begins.
pub(crate) struct Vacated {
    /// Apart, so that a segment that is moved takes few bytes with it.
    numbers: Box<[u64; 1 << SLOTS_LOG]>,
}

impl Vacated {
    pub(crate) fn new() -> Self {
        Vacated { numbers: Box::new([0; 1 << SLOTS_LOG]) }
    }

    /// Notes that this transaction gives up places in what lies at an offset.
    #[inline(always)]
    pub(crate) fn note(&mut self, offset: u64, transaction: u64) {
        self.numbers[slot(offset)] = transaction;
    }

    /// Whether this transaction has given up places in what lies at an offset: if not, it is sure.
    #[inline(always)]
    pub(crate) fn has(&self, offset: u64, transaction: u64) -> bool {
        self.numbers[slot(offset)] == transaction
    }
}

#[inline(always)]
fn slot(offset: u64) -> usize {
    ((offset >> 3).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - SLOTS_LOG)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_noted_is_forgotten_before_the_next_transaction() {
        let mut vacated = Vacated::new();
        let offsets = || (0..1000).map(|i| 8192 + i * 24);
        assert!(offsets().all(|offset| !vacated.has(offset, 1)));
        for offset in offsets().take(100) {
            vacated.note(offset, 1);
        }
        assert!(offsets().take(100).all(|offset| vacated.has(offset, 1)));
        let others = offsets().skip(100).filter(|&offset| vacated.has(offset, 1)).count();
        assert!(others < 450, "{others} of 900 that were not noted");
        assert!(offsets().all(|offset| !vacated.has(offset, 2)));
    }
}
