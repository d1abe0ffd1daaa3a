//! A table of a hash map: a word of eight control bytes for each group of eight slots, and behind these words the slots.
//!
//! Who looks for a key compares its tag with all eight control bytes of a group at once, and goes from group to group
//! until one has an empty slot: there the key would have been put. Start at [`View::find`].

use std::marker::PhantomData;
use std::ops::Range;

use bytemuck::{AnyBitPattern, Zeroable};

use crate::collections::erased::{Extent, TableShape};
use crate::collections::layout::{CTRL_LEN, GROUP_SLOTS, HashMapHeader, SLOT_DELETED, SLOT_EMPTY, SLOT_FULL};
use crate::error::Result;
use crate::{Key, PPtr, PSlice, Persistent, Reader};

/// More groups than this to the power of two were damaged.
const BITS_MAX: u32 = 48;

/// Where things lie in a table of these keys and values.
pub(super) struct Shape<K, V>(PhantomData<(K, V)>);

impl<K: Persistent, V: Persistent> Shape<K, V> {
    const SHAPE: TableShape = TableShape::of(Extent::of::<K>(), Extent::of::<V>());
    /// Where the value begins in a slot, behind the key.
    pub(super) const VALUE: u64 = Self::SHAPE.value;
    /// Length of a slot.
    pub(super) const SLOT: u64 = Self::SHAPE.slot;
    /// Alignment of a table.
    pub(super) const ALIGN: u64 = Self::SHAPE.align;
    /// Length of the slots of a group.
    const GROUP: u64 = Self::SLOT.saturating_mul(GROUP_SLOTS);
}

/// Eight control bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ctrl(pub(super) u64);

const LOWEST_BITS: u64 = u64::MAX / 0xFF;
const HIGHEST_BITS: u64 = LOWEST_BITS << 7;

impl Ctrl {
    /// The control word of a group, in the bytes of a table.
    #[inline(always)]
    pub(super) fn of(table: &[u8], group: u64) -> Self {
        let word = table[(group * CTRL_LEN) as usize..].first_chunk();
        Ctrl(u64::from_le_bytes(*word.expect("a table has a control word for each group")))
    }

    /// The slots that may hold a key of this tag: all that do, and now and then another full one.
    #[inline(always)]
    fn matching(self, tag: u8) -> Slots {
        let zero_if_equal = self.0 ^ (LOWEST_BITS * u64::from(tag));
        // A borrow may mark the byte above a match; that differs from the tag in its lowest bit, so it is a full one
        // too.
        Slots(zero_if_equal.wrapping_sub(LOWEST_BITS) & !zero_if_equal & HIGHEST_BITS)
    }

    /// The slots that hold an entry.
    #[inline(always)]
    pub(super) fn full(self) -> Slots {
        Slots(self.0 & HIGHEST_BITS)
    }

    /// The slots that hold none.
    #[inline(always)]
    fn vacant(self) -> Slots {
        Slots(!self.0 & HIGHEST_BITS)
    }

    /// Whether a slot is empty, so that searches end here: no key that was put into a later group has come by.
    #[inline(always)]
    pub(super) fn has_empty(self) -> bool {
        const { assert!(SLOT_EMPTY == 0) };
        self.0.wrapping_sub(LOWEST_BITS) & !self.0 & HIGHEST_BITS != 0
    }

    /// The control byte of a slot.
    #[inline(always)]
    pub(super) fn byte(self, slot: u64) -> u8 {
        (self.0 >> (slot * 8)) as u8
    }

    /// The same word with another control byte for a slot.
    #[inline(always)]
    pub(super) fn with(self, slot: u64, byte: u8) -> Self {
        Ctrl(self.0 & !(0xFF << (slot * 8)) | u64::from(byte) << (slot * 8))
    }

    /// The same word with the entry of a slot removed: empty if another slot is, and searches end here anyway; otherwise
    /// they may have gone on from here, and still have to.
    #[inline(always)]
    pub(super) fn without(self, slot: u64) -> Self {
        self.with(slot, if self.has_empty() { SLOT_EMPTY } else { SLOT_DELETED })
    }
}

/// The control byte of an entry: seven bits of its hash, others than those that choose its group.
#[inline(always)]
pub(super) fn tag_of(hash: u64) -> u8 {
    (hash >> 57) as u8 | SLOT_FULL
}

/// Slots of a group, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots(u64);

impl Iterator for Slots {
    type Item = u64;

    #[inline(always)]
    fn next(&mut self) -> Option<u64> {
        if self.0 == 0 {
            return None;
        }
        let slot = u64::from(self.0.trailing_zeros()) / 8;
        self.0 &= self.0 - 1;
        Some(slot)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.0.count_ones() as usize;
        (count, Some(count))
    }
}

/// The groups in the order in which a key is looked for: each once, for their number is a power of two.
struct Probe {
    group: u64,
    step: u64,
    mask: u64,
}

impl Probe {
    #[inline(always)]
    fn new(hash: u64, mask: u64) -> Self {
        Probe { group: hash & mask, step: 0, mask }
    }

    /// Goes on to the next group; false if there is none.
    #[inline(always)]
    fn advance(&mut self) -> bool {
        self.step += 1;
        self.group = (self.group + self.step) & self.mask;
        self.step <= self.mask
    }
}

/// Where a table lies, as a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) offset: u64,
    pub(super) bits: u32,
}

impl Table {
    /// Number of groups; something else if it is damaged, and was not checked.
    #[inline(always)]
    pub(super) fn groups(self) -> u64 {
        1 << (self.bits % u64::BITS)
    }

    #[cold]
    fn unsound(self, on: &impl Reader) -> crate::Error {
        if self.bits > BITS_MAX {
            return on.damaged(self.offset, "hash map: groups", self.bits.into(), "at most 2^48");
        }
        on.damaged(self.offset, "hash map: table", self.offset, "an aligned offset")
    }

    /// Whether a group is one of its own.
    #[inline(always)]
    pub(super) fn has<K: Persistent, V: Persistent>(self, group: Group<K, V>) -> bool {
        group.ctrl.wrapping_sub(self.offset) < self.len::<K, V>()
    }

    /// Entries that a table can take when new: as many slots as there are groups stay empty, where searches end.
    pub(super) fn room(self) -> u64 {
        (GROUP_SLOTS - 1) << self.bits
    }

    /// Length in bytes.
    #[inline(always)]
    pub(super) fn len<K: Persistent, V: Persistent>(self) -> u64 {
        let group = const { Shape::<K, V>::GROUP };
        if self.bits <= BITS_MAX && group < 1 << (64 - BITS_MAX - 2) {
            return self.slots::<K, V>() + (group << self.bits); // No product, and no sum that could overflow.
        }
        Shape::<K, V>::SHAPE.table(self.groups()).size
    }

    /// Where the slots begin, behind all control words.
    #[inline(always)]
    fn slots<K: Persistent, V: Persistent>(self) -> u64 {
        Shape::<K, V>::SHAPE.slots(self.groups())
    }

    /// A group. Of one that the table does not have, or of a damaged table, it may lead nowhere.
    #[inline(always)]
    pub(super) fn group<K: Persistent, V: Persistent>(self, index: u64) -> Group<K, V> {
        let slots = self.slots::<K, V>().saturating_add(Shape::<K, V>::GROUP.saturating_mul(index));
        Group {
            ctrl: self.offset.saturating_add(CTRL_LEN.saturating_mul(index)),
            slots: self.offset.saturating_add(slots),
            of: PhantomData,
        }
    }
}

/// How far a map has grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is one table, or none.
    Settled,
    /// The next table is cleaned, and takes no entry yet: so many groups are clean.
    Cleaning(u64),
    /// The next table takes all new entries, and those of the table, of which so many groups were moved.
    Moving(u64),
}

impl HashMapHeader {
    #[inline(always)]
    pub(super) fn main(&self) -> Table {
        Table { offset: self.table, bits: self.table_bits }
    }

    /// The room when so many entries of a group, which had this control word, are removed.
    #[inline(always)]
    pub(super) fn room_without<K: Persistent, V: Persistent>(
        &self,
        group: Group<K, V>,
        before: Ctrl,
        count: u64,
    ) -> u64 {
        let is_in_target = self.next == 0 || self.target().has(group);
        if is_in_target && before.has_empty() { self.room.saturating_add(count) } else { self.room }
    }

    #[inline(always)]
    pub(super) fn following(&self) -> Table {
        Table { offset: self.next, bits: self.next_bits }
    }

    /// The table that takes new entries.
    pub(super) fn target(&self) -> Table {
        match self.phase() {
            Phase::Moving(_) => self.following(),
            Phase::Settled | Phase::Cleaning(_) => self.main(),
        }
    }

    #[inline(always)]
    pub(super) fn phase(&self) -> Phase {
        if self.next == 0 {
            return Phase::Settled;
        }
        match self.progress.checked_sub(self.following().groups()) {
            None => Phase::Cleaning(self.progress),
            Some(moved) => Phase::Moving(moved),
        }
    }

    /// Ok if the tables can be asked for.
    #[inline(always)]
    pub(super) fn check(&self, on: &impl Reader, offset: u64) -> Result<()> {
        let is_sound = self.table_bits.max(self.next_bits) <= BITS_MAX
            && (self.next == 0 || (self.table != 0 && self.is_growing_soundly()));
        if is_sound { Ok(()) } else { Err(self.unsound(on, offset)) }
    }

    fn is_growing_soundly(&self) -> bool {
        self.progress < self.following().groups() + self.main().groups()
    }

    #[cold]
    fn unsound(&self, on: &impl Reader, offset: u64) -> crate::Error {
        let bits = self.table_bits.max(self.next_bits);
        if bits > BITS_MAX {
            return on.damaged(offset, "hash map: groups", bits.into(), "at most 2 to the power of 48");
        }
        on.damaged(offset, "hash map: progress", self.progress, "less than all groups")
    }
}

/// A group on the medium.
pub(super) struct Group<K, V> {
    /// Offset of the control word.
    ctrl: u64,
    /// Offset of the first slot.
    slots: u64,
    of: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for Group<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Group<K, V> {}

impl<K: Persistent, V: Persistent> Group<K, V> {
    /// What it is called where a transaction notes that it has given up a slot.
    #[inline(always)]
    pub(super) fn offset(self) -> u64 {
        self.ctrl
    }

    #[inline(always)]
    pub(super) fn ctrl(self) -> PPtr<u64> {
        PPtr::from_offset(self.ctrl)
    }

    #[inline(always)]
    pub(super) fn spot(self, slot: u64) -> Spot<K, V> {
        let start = self.slots.saturating_add(slot.saturating_mul(Shape::<K, V>::SLOT));
        Spot { group: self, slot, start }
    }

    /// The control word.
    #[inline(always)]
    pub(super) fn load(self, on: &impl Reader) -> Result<Ctrl> {
        Ok(Ctrl(*on.get(self.ctrl())?))
    }
}

/// A slot on the medium.
pub(super) struct Spot<K, V> {
    pub(super) group: Group<K, V>,
    pub(super) slot: u64,
    pub(super) start: u64,
}

impl<K, V> Clone for Spot<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Spot<K, V> {}

impl<K: Persistent, V: Persistent> Spot<K, V> {
    #[inline(always)]
    pub(super) fn key(self) -> PPtr<K> {
        PPtr::from_offset(self.start)
    }

    #[inline(always)]
    pub(super) fn value(self) -> PPtr<V> {
        PPtr::from_offset(self.start.saturating_add(Shape::<K, V>::VALUE))
    }
}

/// A slot that a new entry can take.
pub(super) struct Vacancy<K, V> {
    pub(super) spot: Spot<K, V>,
    /// The control word of its group.
    pub(super) ctrl: Ctrl,
}

impl<K, V> Vacancy<K, V> {
    /// Whether one empty slot less is left.
    #[inline(always)]
    pub(super) fn takes_room(&self) -> bool {
        self.ctrl.byte(self.spot.slot) == SLOT_EMPTY
    }

    /// The control word when the slot has an entry of this hash.
    #[inline(always)]
    pub(super) fn taken(&self, hash: u64) -> Ctrl {
        self.ctrl.with(self.spot.slot, tag_of(hash))
    }
}

/// What a search with the intention to insert has found.
pub(super) enum Search<K, V> {
    /// The key's entry.
    Found(Spot<K, V>),
    /// There is none, and this is where it would go, if the table is not full and takes entries.
    Missing(Option<Vacancy<K, V>>),
}

/// What lies in a slot. The key's and the value's places are those of a struct in C.
#[derive(Clone, Copy)]
#[repr(C)]
struct Pair<K, V> {
    key: K,
    value: V,
}

#[allow(unsafe_code, reason = "`Zeroable` has no other form")]
// SAFETY: zeroes are a value of either type.
unsafe impl<K: Persistent, V: Persistent> Zeroable for Pair<K, V> {}

#[allow(unsafe_code, reason = "`AnyBitPattern` has no other form")]
// SAFETY: (1) any bytes are a value of either type; what is between and behind them are no values. (2) It is `Copy` and
// `'static`, and has no interior mutability, since neither type has.
unsafe impl<K: Persistent, V: Persistent> AnyBitPattern for Pair<K, V> {}

/// A table, checked to lie in the user data.
pub(super) struct View<'a, K, V> {
    /// Its bytes, the control words first.
    bytes: &'a [u8],
    slots: &'a [Pair<K, V>],
    table: Table,
    mask: u64,
    /// Groups before this one were moved: their entries do not count.
    moved: u64,
}

impl<K, V> Clone for View<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for View<'_, K, V> {}

/// A slot of a view.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) group: u64,
    pub(super) slot: u64,
}

impl<'a, K: Persistent, V: Persistent> View<'a, K, V> {
    /// The bytes of a table of which so many groups were moved.
    #[inline(always)]
    pub(super) fn new<A: Reader>(on: &'a A, table: Table, moved: u64) -> Result<Self> {
        if !table.offset.is_multiple_of(Shape::<K, V>::ALIGN) || table.bits > BITS_MAX {
            return Err(table.unsound(on));
        }
        let bytes = on.slice(PSlice::<u8>::from_raw_parts(table.offset, table.len::<K, V>()))?;
        // Aligned, since the table is, and a whole number of them.
        let slots = bytemuck::cast_slice(&bytes[table.slots::<K, V>() as usize..]);
        Ok(View { bytes, slots, table, mask: table.groups() - 1, moved })
    }

    /// Number of groups.
    pub(super) fn groups(&self) -> u64 {
        self.mask + 1
    }

    /// The groups that were not moved.
    pub(super) fn groups_left(&self) -> Range<u64> {
        self.moved..self.groups()
    }

    /// The control word of a group.
    #[inline(always)]
    pub(super) fn ctrl(&self, group: u64) -> Ctrl {
        Ctrl::of(self.bytes, group)
    }

    /// What lies in a slot.
    #[inline(always)]
    fn pair(&self, at: At) -> &'a Pair<K, V> {
        if const { size_of::<Pair<K, V>>() == 0 } {
            // As many of them as there are slots are no bytes, and no slice. The table is aligned for them.
            return bytemuck::from_bytes(&self.bytes[..0]);
        }
        &self.slots[(at.group * GROUP_SLOTS + at.slot % GROUP_SLOTS) as usize]
    }

    #[inline(always)]
    pub(super) fn key(&self, at: At) -> &'a K {
        &self.pair(at).key
    }

    #[inline(always)]
    pub(super) fn value(&self, at: At) -> &'a V {
        &self.pair(at).value
    }

    /// Key and value of a slot.
    #[inline(always)]
    pub(super) fn entry(&self, at: At) -> (&'a K, &'a V) {
        let pair = self.pair(at);
        (&pair.key, &pair.value)
    }

    /// Where a slot lies on the medium.
    #[inline(always)]
    pub(super) fn spot(&self, at: At) -> Spot<K, V> {
        self.table.group(at.group).spot(at.slot)
    }

    /// The entries of a group, unless it was moved.
    #[inline(always)]
    pub(super) fn entries(&self, group: u64) -> Slots {
        if group < self.moved { Slots(0) } else { self.ctrl(group).full() }
    }

    /// The slot of a key.
    #[inline(always)]
    pub(super) fn find(&self, on: &impl Reader, hash: u64, view: &K::View) -> Result<Option<At>>
    where
        K: Key,
    {
        let mut probe = Probe::new(hash, self.mask);
        loop {
            let group = probe.group;
            let ctrl = self.ctrl(group);
            if group >= self.moved {
                for slot in ctrl.matching(tag_of(hash)) {
                    let at = At { group, slot };
                    if self.key(at).equals(on, view)? {
                        return Ok(Some(at));
                    }
                }
            }
            if ctrl.has_empty() || !probe.advance() {
                return Ok(None);
            }
        }
    }

    /// The slot of a key, or the first one that it can take.
    #[inline(always)]
    pub(super) fn find_or_vacancy(&self, on: &impl Reader, hash: u64, view: &K::View) -> Result<Search<K, V>>
    where
        K: Key,
    {
        let mut probe = Probe::new(hash, self.mask);
        let mut vacancy = None;
        loop {
            let group = probe.group;
            let ctrl = self.ctrl(group);
            for slot in ctrl.matching(tag_of(hash)) {
                let at = At { group, slot };
                if self.key(at).equals(on, view)? {
                    return Ok(Search::Found(self.spot(at)));
                }
            }
            if vacancy.is_none() {
                vacancy = ctrl.vacant().next().map(|slot| (At { group, slot }, ctrl));
            }
            if ctrl.has_empty() || !probe.advance() {
                return Ok(Search::Missing(vacancy.map(|(at, ctrl)| Vacancy { spot: self.spot(at), ctrl })));
            }
        }
    }

    /// The first slot that a key of this hash can take, which the table does not have.
    pub(super) fn vacancy(&self, on: &impl Reader, hash: u64) -> Result<Vacancy<K, V>> {
        let mut probe = Probe::new(hash, self.mask);
        loop {
            let group = probe.group;
            let ctrl = self.ctrl(group);
            if let Some(slot) = ctrl.vacant().next() {
                return Ok(Vacancy { spot: self.spot(At { group, slot }), ctrl });
            }
            if !probe.advance() {
                return Err(on.damaged(self.table.offset, "hash map: vacant slots", 0, "one of each group"));
            }
        }
    }
}

/// Whether a search for this hash comes to a group, in a table of so many.
pub(super) fn leads_to(hash: u64, group: u64, groups: u64, ctrl: impl Fn(u64) -> Ctrl) -> bool {
    let mut probe = Probe::new(hash, groups - 1);
    while probe.group != group {
        if ctrl(probe.group).has_empty() || !probe.advance() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_searched_as_its_bytes_would_be() {
        let bytes = [SLOT_EMPTY, SLOT_DELETED, 0x7F, 0x80, 0x81, 0xFF];
        for number in 0..6u64.pow(6) {
            let mut rest = number;
            let mut word = [0x85; 8];
            for byte in &mut word[1..7] {
                *byte = bytes[(rest % 6) as usize];
                rest /= 6;
            }
            let ctrl = Ctrl(u64::from_le_bytes(word));
            let slots = |is: &dyn Fn(u8) -> bool| -> Vec<u64> {
                (0..8).filter(|&slot| is(word[slot as usize])).collect()
            };
            assert_eq!(ctrl.full().collect::<Vec<_>>(), slots(&|byte| byte >= 0x80));
            assert_eq!(ctrl.vacant().collect::<Vec<_>>(), slots(&|byte| byte < 0x80));
            assert_eq!(ctrl.has_empty(), word.contains(&SLOT_EMPTY));
            for tag in [0x80, 0x81, 0x85, 0xFF] {
                let found: Vec<_> = ctrl.matching(tag).collect();
                assert!(slots(&|byte| byte == tag).iter().all(|slot| found.contains(slot)));
                assert!(found.iter().all(|&slot| word[slot as usize] >= 0x80));
            }
        }
    }

    #[test]
    fn a_probe_comes_to_every_group_once() {
        for bits in 0..8 {
            let mut probe = Probe::new(0x1234_5678, (1 << bits) - 1);
            let mut seen = vec![probe.group];
            while probe.advance() {
                seen.push(probe.group);
            }
            seen.sort();
            assert_eq!(seen, (0..1 << bits).collect::<Vec<u64>>());
        }
    }

    #[test]
    fn slots_have_natural_places() {
        use std::mem::offset_of;

        // Of a table with one group: where the slots begin, and its length.
        fn lengths<K: Persistent, V: Persistent>() -> [u64; 5] {
            let table = Table { offset: 0, bits: 0 };
            let (slots, len) = (table.slots::<K, V>(), table.len::<K, V>());
            assert_eq!(len, Shape::<K, V>::SHAPE.table(1).size);
            assert_eq!(offset_of!(Pair<K, V>, value) as u64, Shape::<K, V>::VALUE);
            assert_eq!(size_of::<Pair<K, V>>() as u64, Shape::<K, V>::SLOT);
            [Shape::<K, V>::VALUE, Shape::<K, V>::SLOT, Shape::<K, V>::ALIGN, slots, len]
        }
        assert_eq!(lengths::<u64, u64>(), [8, 16, 8, 8, 136]);
        assert_eq!(lengths::<u8, u32>(), [4, 8, 8, 8, 72]);
        assert_eq!(lengths::<u128, u8>(), [16, 32, 16, 16, 272]);
        assert_eq!(lengths::<u8, ()>(), [1, 1, 8, 8, 16]);
        assert_eq!(lengths::<(), ()>(), [0, 0, 8, 8, 8]);
    }
}
