//! From one table to the next, step by step or at once. Start at [`PHashMap::add_and_grow`].
//!
//! A map is settled, with one table; or it cleans the next one; or it moves its entries there. G is the number of
//! groups of the table, N that of the next one; N is 2 G, or G if no more than half of the slots hold an entry. *Room*
//! is how many empty slots the table that takes new entries may still give: 7 G when it is new, so that at least as
//! many slots as there are groups stay empty, and searches end soon. A removal where another slot is empty gives one back.
//!
//! - *Settled.* An insert that needs an empty slot while the room is G (or less, which does not happen) allocates the
//!   next table and begins to clean it.
//! - *Cleaning.* Each insert, the first one too, empties the control words of two groups of the next table, and goes
//!   to the table, unless the last group was just cleaned. Those are at most ⌈N / 2⌉ - 1 ≤ G - 1 inserts, for which
//!   the room of G is enough.
//! - *Moving.* The room is now that of the next table, 7 N. The insert that cleaned the last group goes there, and so
//!   does each one that follows, behind a move of one group; a removal moves one too. When all G groups were moved,
//!   the table is freed and the map is settled. Until then the next table took at most G + 1 new entries, and those of
//!   the table:
//!
//!   - if N = 2 G, 7 G at most, and 7 N - 7 G - (G + 1) ≥ 6 G - 1 ≥ N;
//!   - if N = G, 4 G and those that came while it was cleaned, and 7 N - 4 G - (⌈G / 2⌉ - 1) - (G + 1) ≥ G.
//!
//!   So a settled map begins with a room of at least its number of groups, which is what the first phase asks for.
//!
//! Nothing is logged but control words and counts: the next table is new, and what moves goes to slots of it that were
//! never used, but for those that were used and emptied since it takes entries. A group of the old table that was
//! moved is not written to; it still tells searches whether they have to go on.

use crate::collections::layout::{CTRL_LEN, GROUP_SLOTS, HashMapHeader};
use crate::error::Result;
use crate::{Key, PHashMap, Persistent, Writer};

use super::hash::hash_of;
use super::table::{Group, Phase, Shape, Spot, Table, Vacancy, View};

/// Groups that an insert cleans. Two are enough: see the module.
pub(super) const CLEANED_PER_INSERT: u64 = 2;

/// How many groups a table needs to take so many entries before it has to grow, to the power of two.
fn bits_for(len: u64) -> u32 {
    len.div_ceil(GROUP_SLOTS - 2).checked_next_power_of_two().map_or(64, u64::ilog2)
}

impl<K: Key, V: Persistent> PHashMap<K, V> {
    /// Adds an entry where that takes a step of growth.
    #[cold]
    #[inline(never)]
    pub(super) fn add_and_grow(
        self,
        tx: &mut impl Writer,
        hash: u64,
        key: K,
        value: V,
    ) -> Result<Spot<K, V>> {
        let header = self.load_to_write(tx)?;
        let found = self.step(tx, header).and_then(|header| {
            let vacancy = Self::vacancy(tx, header.target(), hash)?;
            Ok((header, vacancy))
        });
        let (mut header, vacancy) = match found {
            Ok(found) => found,
            Err(error) => {
                // There was no space, most likely; then nothing has changed, and the key goes as it came.
                let _ = key.release(tx, Default::default());
                return Err(error);
            }
        };
        if vacancy.takes_room() {
            header.room = self.less_room(tx, header.room)?;
        }
        self.fill(tx, &vacancy, hash, key, value)?;
        header.len = header.len.saturating_add(1);
        self.write_progress(tx, &header)?;
        Ok(vacancy.spot)
    }

    /// The step of an insert.
    fn step(self, tx: &mut impl Writer, header: HashMapHeader) -> Result<HashMapHeader> {
        if header.table == 0 {
            return self.rebuild(tx, header, 0);
        }
        match header.phase() {
            Phase::Settled => {
                let header = self.begin(tx, header)?;
                self.clean(tx, header, 0)
            }
            Phase::Cleaning(cleaned) => self.clean(tx, header, cleaned),
            Phase::Moving(moved) => self.move_group(tx, header, moved),
        }
    }

    /// The step of a removal. Stores the counts.
    #[cold]
    #[inline(never)]
    pub(super) fn go_on(self, tx: &mut impl Writer) -> Result<()> {
        let header = self.load_to_write(tx)?;
        let Phase::Moving(moved) = header.phase() else { return Ok(()) };
        let header = self.move_group(tx, header, moved)?;
        self.write_progress(tx, &header)
    }

    /// Stores what a step changes: all counts.
    fn write_progress(self, tx: &mut impl Writer, header: &HashMapHeader) -> Result<()> {
        tx.write(self.counts().cast(), [header.len, header.room, header.progress])
    }

    /// Allocates the next table.
    fn begin(self, tx: &mut impl Writer, mut header: HashMapHeader) -> Result<HashMapHeader> {
        let is_dense = header.len > header.main().groups() * (GROUP_SLOTS / 2);
        header.next_bits = header.table_bits + u32::from(is_dense);
        header.next = allocate::<K, V>(tx, header.next_bits)?.offset;
        header.progress = 0;
        tx.write(self.header(), header)?;
        Ok(header)
    }

    /// Empties the control words of the next groups. They do not count before.
    fn clean(self, tx: &mut impl Writer, mut header: HashMapHeader, cleaned: u64) -> Result<HashMapHeader> {
        let next = header.following();
        let end = (cleaned + CLEANED_PER_INSERT).min(next.groups());
        tx.zero_spare(next.group::<K, V>(cleaned).ctrl().offset(), CTRL_LEN * (end - cleaned))?;
        header.progress = end;
        if end == next.groups() {
            header.room = next.room();
        }
        Ok(header)
    }

    /// Moves the entries of a group to the next table; after the last one, that is the table.
    fn move_group(
        self,
        tx: &mut impl Writer,
        mut header: HashMapHeader,
        moved: u64,
    ) -> Result<HashMapHeader> {
        let (table, next) = (header.main(), header.following());
        let group: Group<K, V> = table.group(moved);
        for slot in group.load(tx)?.full() {
            let from = group.spot(slot);
            let hash = Self::hash_at(tx, &header, from)?;
            let to = Self::vacancy(tx, next, hash)?;
            if to.takes_room() {
                header.room = self.less_room(tx, header.room)?;
            }
            if !tx.has_vacated(to.spot.group.offset()) {
                tx.copy_to_spare(from.start, to.spot.start, Shape::<K, V>::SLOT)?;
            } else {
                tx.copy_within(from.start, to.spot.start, Shape::<K, V>::SLOT)?;
            }
            tx.write(to.spot.group.ctrl(), to.taken(hash).0)?;
        }
        header.progress += 1;
        if moved + 1 == table.groups() {
            self.free_table(tx, table)?;
            let HashMapHeader { seed, next, next_bits, len, room, .. } = header;
            header = HashMapHeader {
                seed,
                table: next,
                next: 0,
                table_bits: next_bits,
                next_bits: 0,
                len,
                room,
                progress: 0,
            };
            tx.write(self.header(), header)?;
        }
        Ok(header)
    }

    /// A slot for a key of this hash.
    fn vacancy(tx: &impl Writer, table: Table, hash: u64) -> Result<Vacancy<K, V>> {
        View::new(tx, table, 0)?.vacancy(tx, hash)
    }

    fn hash_at(tx: &impl Writer, header: &HashMapHeader, spot: Spot<K, V>) -> Result<u64> {
        Ok(hash_of(header.seed, tx.get(spot.key())?.own_bytes(tx)?))
    }

    /// Makes room for `additional` entries more, at least: until so many have come, the map does not grow. Moves all
    /// entries at once where it has to.
    ///
    /// A crash leaves the tables that there were, and frees the new one.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PHashMap::or_new(tx, tx.root_ptr())?;
    /// map.reserve(tx, 100)?;
    /// let capacity = map.capacity(tx)?;
    /// map.extend(tx, (0..100).map(|n| (n, n)))?; // Without growing.
    /// assert!(capacity >= 100 && map.capacity(tx)? == capacity);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PHashMap::insert).
    pub fn reserve(self, tx: &mut impl Writer, additional: usize) -> Result<()> {
        let header = self.load_to_write(tx)?;
        let additional = additional as u64;
        let is_settled = header.table != 0 && header.next == 0;
        let has_room = is_settled && header.room.saturating_sub(header.main().groups()) >= additional;
        if has_room || additional == 0 {
            return Ok(());
        }
        self.rebuild(tx, header, bits_for(header.len.saturating_add(additional)))?;
        Ok(())
    }

    /// Moves the entries to the smallest table that has room for them; without entries, gives back all memory.
    ///
    /// A crash leaves the tables that there were, and frees the new one.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PHashMap::or_new(tx, tx.root_ptr())?;
    /// map.reserve(tx, 1000)?;
    /// map.insert(tx, 1, 10)?;
    /// map.shrink_to_fit(tx)?;
    /// assert!(map.capacity(tx)? < 1000);
    /// assert_eq!(map.get(tx, 1)?, Some(&10));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PHashMap::insert).
    pub fn shrink_to_fit(self, tx: &mut impl Writer) -> Result<()> {
        let header = self.load_to_write(tx)?;
        if header.len == 0 {
            return self.free_tables(tx, header);
        }
        let bits = bits_for(header.len);
        if header.next != 0 || bits < header.table_bits {
            self.rebuild(tx, header, bits)?;
        }
        Ok(())
    }

    /// Moves all entries to a new table at once. Nothing of it is logged but the header.
    fn rebuild(self, tx: &mut impl Writer, mut header: HashMapHeader, bits: u32) -> Result<HashMapHeader> {
        let new = allocate::<K, V>(tx, bits)?;
        tx.zero_spare(new.offset, CTRL_LEN.saturating_mul(new.groups()))?;
        let (mut len, mut room) = (0, new.room());
        for (table, groups) in self.places(tx, &header)? {
            for index in groups {
                let group: Group<K, V> = table.group(index);
                for slot in group.load(tx)?.full() {
                    let from = group.spot(slot);
                    let hash = Self::hash_at(tx, &header, from)?;
                    let to = Self::vacancy(tx, new, hash)?;
                    tx.copy_to_spare(from.start, to.spot.start, Shape::<K, V>::SLOT)?;
                    tx.store_spare(to.spot.group.ctrl(), to.taken(hash).0)?;
                    len += 1;
                    room = self.less_room(tx, room)?;
                }
            }
        }
        for table in [header.main(), header.following()] {
            self.free_table(tx, table)?;
        }
        let HashMapHeader { seed, .. } = header;
        header = HashMapHeader {
            seed,
            table: new.offset,
            next: 0,
            table_bits: bits,
            next_bits: 0,
            len,
            room,
            progress: 0,
        };
        tx.write(self.header(), header)?;
        Ok(header)
    }
}

/// A new table, none of whose bytes is defined.
fn allocate<K: Persistent, V: Persistent>(tx: &mut impl Writer, bits: u32) -> Result<Table> {
    let is_possible = bits < 64;
    let len = if is_possible { (Table { offset: 0, bits }).len::<K, V>() } else { u64::MAX };
    let offset = tx.alloc_block(len, Shape::<K, V>::ALIGN)?;
    Ok(Table { offset, bits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_room_for_what_it_was_made_for() {
        for len in 0..3000 {
            let table = Table { offset: 0, bits: bits_for(len) };
            assert!(table.room() - table.groups() >= len, "{len}");
            assert!(bits_for(len) == 0 || (table.room() - table.groups()) / 2 < len, "{len}: not larger");
        }
        assert_eq!(bits_for(u64::MAX), 62);
    }

    /// The comment at the head of this file, for every table of up to 1000 groups, in the worst case.
    #[test]
    fn room_never_runs_out() {
        for groups in (0..10).map(|bits| 1u64 << bits) {
            for live in 0..=6 * groups {
                let next = if live > 4 * groups { 2 * groups } else { groups };
                let (mut room, mut entries, mut cleaned) = (groups, live, 0);
                loop {
                    cleaned = (cleaned + CLEANED_PER_INSERT).min(next);
                    if cleaned == next {
                        break;
                    }
                    (room, entries) = (room.checked_sub(1).expect("room while it cleans"), entries + 1);
                }
                let room = (7 * next).checked_sub(entries + groups + 1).expect("room while it moves");
                assert!(room >= next, "{groups} groups, {live} entries");
            }
        }
    }
}
