//! Which ranges this transaction has logged already: a small table that may forget, and never claims too much.
//!
//! Entries are numbered; those below the floor (of older transactions, or from before a savepoint) do not count.

/// Ranges remembered by their start.
const SLOTS: usize = 64;
/// Fresh blocks remembered.
const FRESH: usize = 8;

#[derive(Clone, Copy, Default)]
struct Entry {
    offset: u64,
    end: u64,
    number: u64,
}

pub(crate) struct Seen {
    slots: [Entry; SLOTS],
    fresh: [Entry; FRESH],
    /// Number of the latest entry.
    number: u64,
    /// Entries up to this one do not count.
    floor: u64,
    /// Number of the latest fresh entry.
    latest_fresh: u64,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Seen {
            slots: [Entry::default(); SLOTS],
            fresh: [Entry::default(); FRESH],
            number: 0,
            floor: 0,
            latest_fresh: 0,
        }
    }

    #[inline(always)]
    pub(crate) fn begin(&mut self) {
        self.floor = self.number;
    }

    /// Whether the range need not be logged. Ranges that begin elsewhere than a logged one, or were forgotten,
    /// are logged again, which is harmless: the oldest before-image wins.
    #[inline(always)]
    pub(crate) fn covers(&self, offset: u64, len: u64) -> bool {
        let entry = &self.slots[slot(offset)];
        if entry.offset == offset && entry.number > self.floor && entry.end >= offset + len {
            return true;
        }
        self.latest_fresh > self.floor && self.is_fresh(offset, len)
    }

    #[inline(always)]
    pub(crate) fn note(&mut self, offset: u64, len: u64) {
        self.number += 1;
        self.slots[slot(offset)] = Entry { offset, end: offset + len, number: self.number };
    }

    pub(crate) fn note_fresh(&mut self, offset: u64, len: u64) {
        self.number += 1;
        self.latest_fresh = self.number;
        self.fresh[self.number as usize % FRESH] = Entry { offset, end: offset + len, number: self.number };
    }

    /// Forgets everything: for a savepoint, behind which all has to be logged anew, and for a rollback.
    pub(crate) fn raise_floor(&mut self) {
        self.floor = self.number;
    }

    #[inline(never)]
    fn is_fresh(&self, offset: u64, len: u64) -> bool {
        let covers = |e: &Entry| e.number > self.floor && e.offset <= offset && offset + len <= e.end;
        self.fresh.iter().any(covers)
    }
}

#[inline(always)]
fn slot(offset: u64) -> usize {
    ((offset >> 2).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_what_was_noted_since_the_floor() {
        let mut seen = Seen::new();
        seen.begin();
        seen.note(64, 16);
        assert!(seen.covers(64, 16) && seen.covers(64, 8));
        assert!(!seen.covers(64, 17) && !seen.covers(72, 8));
        seen.note_fresh(4096, 100);
        assert!(seen.covers(4100, 96) && !seen.covers(4100, 97));
        seen.raise_floor();
        assert!(!seen.covers(64, 8) && !seen.covers(4096, 1));
        seen.note(64, 8);
        seen.begin();
        assert!(!seen.covers(64, 8));
    }
}
