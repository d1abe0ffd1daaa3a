//! A table of a hash map: groups of eight slots, each behind a word of eight control bytes.
//!
//! Who looks for a key compares its tag with all eight control bytes of a group at once, and goes from group to group
//! until one has an empty slot: there the key would have been put. Start at [`View::find`].

use std::marker::PhantomData;
use std::ops::Range;

use crate::collections::erased::{Extent, GroupShape};
use crate::collections::layout::{GROUP_SLOTS, HashMapHeader, SLOT_DELETED, SLOT_EMPTY, SLOT_FULL};
use crate::error::Result;
use crate::{Key, PPtr, PSlice, Persistent, Reader};

/// More groups than this to the power of two were damaged.
const BITS_MAX: u32 = 48;

/// Where things lie in a table of these keys and values.
pub(super) struct Shape<K, V>(PhantomData<(K, V)>);

impl<K: Persistent, V: Persistent> Shape<K, V> {
    const SHAPE: GroupShape = GroupShape::of(Extent::of::<K>(), Extent::of::<V>());
    /// Where the value begins in a slot, behind the key.
    pub(super) const VALUE: u64 = Self::SHAPE.value;
    /// Length of a slot.
    pub(super) const SLOT: u64 = Self::SHAPE.slot;
    /// Where the slots begin in a group, behind the control word.
    pub(super) const SLOTS: u64 = Self::SHAPE.slots;
    /// Alignment of a table.
    pub(super) const ALIGN: u64 = Self::SHAPE.align;
    /// Length of a group.
    pub(super) const GROUP: u64 = Self::SHAPE.len;
}

/// Eight control bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ctrl(pub(super) u64);

const LOWEST_BITS: u64 = u64::MAX / 0xFF;
const HIGHEST_BITS: u64 = LOWEST_BITS << 7;

impl Ctrl {
    /// The control word of a group's bytes.
    #[inline(always)]
    pub(super) fn of(group: &[u8]) -> Self {
        Ctrl(u64::from_le_bytes(*group.first_chunk().expect("a group begins with eight control bytes")))
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

    /// Whether a slot was never used: no key that was put into a later group has come by here.
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

    /// The same word with the entry of a slot removed. Never [`SLOT_EMPTY`] (INV-C27): what the slot held may
    /// have counted when the transaction began, and has to be logged before it is stored to.
    #[inline(always)]
    pub(super) fn without(self, slot: u64) -> Self {
        self.with(slot, SLOT_DELETED)
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
    /// Number of groups.
    #[inline(always)]
    pub(super) fn groups(self) -> u64 {
        1 << self.bits
    }

    #[cold]
    fn unsound(self, on: &impl Reader) -> crate::Error {
        if self.bits > BITS_MAX {
            return on.damaged(self.offset, "hash map: groups", self.bits.into(), "at most 2^48");
        }
        on.damaged(self.offset, "hash map: table", self.offset, "an aligned offset")
    }

    /// Entries that a table can take when new: as many slots as there are groups stay empty, where searches end.
    pub(super) fn room(self) -> u64 {
        (GROUP_SLOTS - 1) << self.bits
    }

    /// Length in bytes.
    #[inline(always)]
    pub(super) fn len<K: Persistent, V: Persistent>(self) -> u64 {
        let group = const { Shape::<K, V>::GROUP };
        if self.bits <= BITS_MAX && group < 1 << (64 - BITS_MAX - 1) {
            return group << self.bits; // Shorter than the product, which cannot overflow.
        }
        group.saturating_mul(self.groups())
    }

    /// Offset of a group. Of one that the table does not have, or of a damaged table, it may lead nowhere.
    #[inline(always)]
    pub(super) fn group<K: Persistent, V: Persistent>(self, index: u64) -> Group<K, V> {
        let distance = Shape::<K, V>::GROUP.saturating_mul(index);
        Group { offset: self.offset.saturating_add(distance), of: PhantomData }
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
    offset: u64,
    of: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for Group<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Group<K, V> {}

impl<K: Persistent, V: Persistent> Group<K, V> {
    #[inline(always)]
    pub(super) fn ctrl(self) -> PPtr<u64> {
        PPtr::from_offset(self.offset)
    }

    #[inline(always)]
    pub(super) fn spot(self, slot: u64) -> Spot<K, V> {
        let start = self.offset.saturating_add(Shape::<K, V>::SLOTS + slot * Shape::<K, V>::SLOT);
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
    /// Whether the slot was never used, so that what it holds does not count.
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
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

/// The bytes of a table, checked to lie in the user data.
pub(super) struct View<'a, K, V> {
    bytes: &'a [u8],
    table: Table,
    mask: u64,
    /// Groups before this one were moved: their entries do not count.
    moved: u64,
    of: PhantomData<fn() -> (K, V)>,
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
        Ok(View { bytes, table, mask: table.groups() - 1, moved, of: PhantomData })
    }

    /// Number of groups.
    pub(super) fn groups(&self) -> u64 {
        self.mask + 1
    }

    /// The groups that were not moved.
    pub(super) fn groups_left(&self) -> Range<u64> {
        self.moved..self.groups()
    }

    /// The bytes of a group.
    #[inline(always)]
    fn group(&self, group: u64) -> &'a [u8] {
        let start = (group * Shape::<K, V>::GROUP) as usize;
        &self.bytes[start..][..const { Shape::<K, V>::GROUP as usize }]
    }

    /// The control word of a group.
    #[inline(always)]
    pub(super) fn ctrl(&self, group: u64) -> Ctrl {
        Ctrl::of(self.group(group))
    }

    /// A value of a slot: what lies at a distance from its start.
    #[inline(always)]
    fn part<T: Persistent>(&self, at: At, distance: u64) -> &'a T {
        part_of(
            self.group(at.group),
            Shape::<K, V>::SLOTS + at.slot % GROUP_SLOTS * Shape::<K, V>::SLOT + distance,
        )
    }

    #[inline(always)]
    pub(super) fn key(&self, at: At) -> &'a K {
        self.part(at, 0)
    }

    #[inline(always)]
    pub(super) fn value(&self, at: At) -> &'a V {
        self.part(at, Shape::<K, V>::VALUE)
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

/// A value in a group. It is aligned, as the offset of the table was checked to be.
#[inline(always)]
fn part_of<T: Persistent>(group: &[u8], start: u64) -> &T {
    bytemuck::from_bytes(&group[start as usize..][..size_of::<T>()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_searched_as_its_bytes_would_be() {
        let bytes = [0, 1, 0x80, 0x81, 0xFF, 0x7F];
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
            assert_eq!(ctrl.has_empty(), word.contains(&0));
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
        type Words = Shape<u64, u64>;
        assert_eq!((Words::VALUE, Words::SLOT, Words::SLOTS, Words::GROUP), (8, 16, 8, 136));
        type Narrow = Shape<u8, u32>;
        assert_eq!((Narrow::VALUE, Narrow::SLOT, Narrow::SLOTS, Narrow::GROUP), (4, 8, 8, 72));
        type Wide = Shape<u128, u8>;
        assert_eq!((Wide::VALUE, Wide::SLOT, Wide::SLOTS, Wide::ALIGN), (16, 32, 16, 16));
        type Keys = Shape<u8, ()>;
        assert_eq!((Keys::VALUE, Keys::SLOT, Keys::GROUP), (1, 1, 16));
        type Nothing = Shape<(), ()>;
        assert_eq!((Nothing::SLOT, Nothing::GROUP), (0, 8));
    }
}
