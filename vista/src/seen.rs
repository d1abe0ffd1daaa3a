//! Which ranges this transaction has logged already: a small table that may forget, and never claims too much.
//!
//! Logging eight bytes costs little more than asking, so a short transaction asks only whether a range lies in a
//! block that is new or, for more than [`SMALL_LEN`], is the one logged last; a longer one asks the table too, so that
//! a loop over a few ranges does not fill the log. Entries are numbered; those below the floor (of older transactions, or
//! from before a savepoint) do not count.

/// Ranges up to this length are not worth a look at the last one.
const SMALL_LEN: u64 = 16;
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

impl Entry {
    #[inline(always)]
    fn covers(&self, offset: u64, len: u64) -> bool {
        self.offset <= offset && offset + len <= self.end
    }
}

pub(crate) struct Seen {
    /// The range logged last; empty if it does not count.
    last: (u64, u64),
    /// Whether any entry of the tables may count.
    asks_tables: bool,
    /// Number of the latest entry in a table.
    number: u64,
    /// Entries up to this one do not count.
    floor: u64,
    /// Number of the latest fresh block.
    fresh: u64,
    /// Apart, so that a segment that is moved takes few bytes with it.
    tables: Box<Tables>,
}

struct Tables {
    slots: [Entry; SLOTS],
    fresh: [Entry; FRESH],
}

impl Seen {
    pub(crate) fn new() -> Self {
        Seen {
            last: (0, 0),
            asks_tables: false,
            number: 0,
            floor: 0,
            fresh: 0,
            tables: Box::new(Tables { slots: [Entry::default(); SLOTS], fresh: [Entry::default(); FRESH] }),
        }
    }

    /// Whether the range need not be logged. Ranges that begin elsewhere than a logged one, or were forgotten,
    /// are logged again, which is harmless: the oldest before-image wins.
    #[inline(always)]
    pub(crate) fn covers(&self, offset: u64, len: u64) -> bool {
        let is_last = || self.last.0 == offset && len <= self.last.1;
        (len > SMALL_LEN && is_last()) || (self.asks_tables && (is_last() || self.is_in_tables(offset, len)))
    }

    /// Whether nothing but the last range is remembered.
    #[inline(always)]
    pub(crate) fn has_empty_tables(&self) -> bool {
        !self.asks_tables
    }

    /// Notes a range that is logged.
    #[inline(always)]
    pub(crate) fn note(&mut self, offset: u64, len: u64, is_short: bool) {
        if len > SMALL_LEN || !is_short {
            self.last = (offset, len);
        }
        if !is_short {
            self.note_in_table(offset, len);
        }
    }

    /// Notes a block that is new.
    pub(crate) fn note_fresh(&mut self, offset: u64, len: u64) {
        self.number += 1;
        self.asks_tables = true;
        self.fresh = self.number;
        self.tables.fresh[self.number as usize % FRESH] =
            Entry { offset, end: offset + len, number: self.number };
    }

    /// Forgets everything: at the begin of a transaction; at a savepoint, behind which all has to be logged anew;
    /// and after a rollback.
    #[inline(always)]
    pub(crate) fn raise_floor(&mut self) {
        self.last = (0, 0);
        if self.asks_tables {
            self.floor = self.number;
            self.asks_tables = false;
        }
    }

    #[inline(never)]
    fn note_in_table(&mut self, offset: u64, len: u64) {
        self.number += 1;
        self.asks_tables = true;
        self.tables.slots[slot(offset)] = Entry { offset, end: offset + len, number: self.number };
    }

    #[inline(never)]
    fn is_in_tables(&self, offset: u64, len: u64) -> bool {
        let counts = |entry: &Entry| entry.number > self.floor && entry.covers(offset, len);
        counts(&self.tables.slots[slot(offset)])
            || (self.fresh > self.floor && self.tables.fresh.iter().any(counts))
    }
}

fn slot(offset: u64) -> usize {
    ((offset >> 2).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_what_was_noted_since_the_floor() {
        let mut seen = Seen::new();
        seen.note(64, 32, true);
        assert!(seen.covers(64, 32) && seen.covers(64, 24));
        assert!(!seen.covers(64, 33) && !seen.covers(72, 24));
        seen.note_fresh(4096, 100);
        assert!(seen.covers(4100, 96) && !seen.covers(4100, 97));
        seen.raise_floor();
        assert!(!seen.covers(64, 32) && !seen.covers(4096, 1));
    }

    #[test]
    fn a_long_transaction_remembers_more_than_the_last_range() {
        let mut seen = Seen::new();
        seen.note(4096, 8, true);
        for i in 1..4 {
            seen.note(4096 + i * 64, 8, false);
        }
        let covered: Vec<_> = (0..4).map(|i| seen.covers(4096 + i * 64, 8)).collect();
        assert_eq!(covered, [false, true, true, true]);
        seen.raise_floor();
        assert!((0..4).all(|i| !seen.covers(4096 + i * 64, 8)));
    }
}
