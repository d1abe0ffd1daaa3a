//! Any bytes in header and tables end in `Ok` or `Err`, in bounded time; and the checker sees each broken invariant.

use std::borrow::Borrow;

use rio::{Buffer, Domain};
use vista::collections::hash_map::Entry;
use vista::collections::layout::HashMapHeader;
use vista::layout::PAGE_LEN;
use vista::{Key, PPtr, PString, PVec, Persistent, Segment, Transaction};

use crate::described::agrees;

use super::{DOMAINS, Kind, Map, Numbers, OnBuffer, Words};

/// In which phase of its growth a map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Settled,
    Cleaning,
    Moving,
}

const PHASES: [Phase; 4] = [Phase::New, Phase::Settled, Phase::Cleaning, Phase::Moving];

fn header(segment: &Segment<Map<impl Key, impl Persistent>, Buffer>) -> HashMapHeader {
    *segment.get(PPtr::from_offset(segment.root().unwrap().offset())).unwrap()
}

fn phase_of(header: &HashMapHeader) -> Phase {
    match header {
        HashMapHeader { table: 0, .. } => Phase::New,
        HashMapHeader { next: 0, .. } => Phase::Settled,
        HashMapHeader { progress, next_bits, .. } if *progress < 1 << next_bits => Phase::Cleaning,
        _ => Phase::Moving,
    }
}

/// A small map with some removed entries, in the middle of a phase.
fn sample<G: Kind>(phase: Phase, domain: Domain) -> OnBuffer<G::K, G::V> {
    let len = 24 * PAGE_LEN;
    let mut segment: OnBuffer<G::K, G::V> =
        Segment::create_on(Buffer::new(len, len).with_domain(domain), PAGE_LEN).unwrap();
    segment.transaction(|tx| Map::<G::K, G::V>::or_new(tx, tx.root_ptr()).map(drop)).unwrap();
    let map = *segment.root().unwrap();
    let mut count_there = 0;
    for number in 0..200 {
        // Somewhere in the middle, of the third table or a later one.
        let is_large = phase == Phase::New || header(&segment).table_bits >= 2;
        count_there += u32::from(is_large && phase_of(&header(&segment)) == phase);
        if count_there == 2 {
            break;
        }
        if phase == Phase::New {
            continue;
        }
        segment
            .transaction(|tx| -> vista::Result<()> {
                let value = G::value(tx, number)?;
                map.insert(tx, G::key(number as u16), value)?;
                if number % 5 == 4
                    && let Some(value) = map.remove(tx, G::key(number as u16 - 2))?
                {
                    value.release(tx, Default::default())?;
                }
                Ok(())
            })
            .unwrap();
    }
    assert_eq!(phase_of(&header(&segment)), phase);
    assert_eq!(segment.check_content().unwrap(), []);
    segment
}

type Tx<'s, G> = Transaction<'s, Map<<G as Kind>::K, <G as Kind>::V>, Buffer>;

/// Does everything that can be done. Only a panic or a hang is a failure.
fn work<G: Kind>(bytes: &[u8], domain: Domain) {
    let open = || OnBuffer::<G::K, G::V>::open_on(Buffer::from_bytes(bytes).with_domain(domain)).unwrap();
    let mut segment = open();
    let map = *segment.root().unwrap();
    let _ = (map.len(&segment), map.is_empty(&segment), map.capacity(&segment));
    let _ = segment.check_content().unwrap();
    for number in [0, 2, 7, 1000] {
        let _ = map.get(&segment, G::key(number)).map(|value| value.is_some());
        let _ = (map.contains_key(&segment, G::key(number)), map.place(&segment, G::key(number)));
    }
    if let Ok(entries) = map.iter(&segment) {
        let _ = entries.size_hint();
        let _ =
            entries.map(|(key, _)| usize::from(bytemuck::bytes_of(key).first() == Some(&1))).sum::<usize>();
    }
    let mut lose = |operation: &dyn Fn(&mut Tx<'_, G>) -> vista::Result<()>| {
        let mut tx = segment.begin().unwrap();
        let _ = operation(&mut tx);
        let _ = map.iter(&tx).map(|entries| entries.count());
        tx.abort().unwrap();
    };
    lose(&|tx| {
        for number in 1..30 {
            let value = G::value(tx, number)?;
            map.insert(tx, G::key(number as u16 * 3), value)?;
        }
        Ok(())
    });
    lose(&|tx| (0..40).try_for_each(|number| map.remove(tx, G::key(number)).map(drop)));
    lose(&|tx| match map.entry(tx, G::key(7))? {
        Entry::Occupied(entry) => entry.remove().map(drop),
        Entry::Vacant(_) => Ok(()),
    });
    lose(&|tx| {
        let entry = map.entry(tx, G::key(501))?;
        entry.or_insert_with(|tx| G::value(tx, 1)).map(drop)
    });
    lose(&|tx| map.get_mut(tx, G::key(1)).map(drop));
    lose(&|tx| map.retain(tx, |key, _| bytemuck::bytes_of(key).first() == Some(&0)));
    lose(&|tx| map.for_each_mut(tx, |_, _| ()));
    lose(&|tx| map.reserve(tx, 20));
    lose(&|tx| map.shrink_to_fit(tx));
    lose(&|tx| map.clear(tx));
    lose(&|tx| map.drain(tx).map(drop));
    lose(&|tx| tx.release(map));
    // And with what went wrong made durable.
    let mut tx = segment.begin().unwrap();
    for number in 0..20 {
        let _ = map.remove(&mut tx, G::key(number));
        let value = G::value(&mut tx, 5).unwrap();
        let _ = map.insert(&mut tx, G::key(number + 9), value);
    }
    tx.commit().unwrap();
    let _ = segment.check_content().unwrap();
}

/// The offset and length of what the map has allocated.
fn ranges<G: Kind>(segment: &OnBuffer<G::K, G::V>) -> Vec<(u64, u64)> {
    let group_len = 8 + 8 * (size_of::<G::K>() + size_of::<G::V>()) as u64;
    let header = header(segment);
    let mut ranges = vec![(segment.root().unwrap().offset(), size_of::<HashMapHeader>() as u64)];
    for (offset, bits) in [(header.table, header.table_bits), (header.next, header.next_bits)] {
        if offset != 0 {
            ranges.push((offset, group_len << bits));
        }
    }
    ranges
}

fn damage_every_byte<G: Kind>() {
    for phase in PHASES {
        for domain in DOMAINS {
            let segment = sample::<G>(phase, domain);
            let ranges = ranges::<G>(&segment);
            let image = segment.medium().unwrap().bytes().to_vec();
            let mut bytes = image.clone();
            for (number, &(start, len)) in ranges.iter().enumerate() {
                for at in start as usize..(start + len) as usize {
                    let found = image[at];
                    let is_header = number == 0;
                    let others = match is_header {
                        true => vec![0, 1, 2, 0x7F, 0x80, 0xFF, found ^ 1, found ^ 8, found ^ 0x40],
                        // One in a few, another one for each byte, so that it takes no longer than a test may.
                        false => vec![[0, 1, 0x80, 0xFF, found ^ 1, found ^ 0x10][at % 6]],
                    };
                    for other in others.into_iter().filter(|&other| other != found) {
                        bytes[at] = other;
                        let result = std::panic::catch_unwind(|| work::<G>(&bytes, domain));
                        assert!(
                            result.is_ok(),
                            "{phase:?}, {domain}: byte {at} from {found:#x} to {other:#x}"
                        );
                    }
                    bytes[at] = found;
                }
            }
        }
    }
}

#[test]
fn every_byte_of_a_map_of_numbers_damaged() {
    damage_every_byte::<Numbers>();
}

#[test]
fn every_byte_of_a_map_of_words_damaged() {
    damage_every_byte::<Words>();
}

/// Words of the header set to numbers that a forger would choose.
#[test]
fn every_word_of_the_header_forged() {
    let segment = sample::<Words>(Phase::Moving, Domain::PageCache);
    let start = segment.root().unwrap().offset() as usize;
    let image = segment.medium().unwrap().bytes().to_vec();
    let found = header(&segment);
    let words = [
        0,
        1,
        7,
        8,
        48,
        63,
        64,
        u64::MAX,
        1 << 63,
        1 << 48,
        48 << 32,
        48 << 32 | 48,
        64 << 32,
        found.table,
        found.next,
        segment.root().unwrap().offset(),
        segment.root_ptr().offset(),
    ];
    for field in 0..7 {
        for other in 0..7 {
            for word in words {
                let mut bytes = image.clone();
                for field in [field, other] {
                    bytes[start + field * 8..start + field * 8 + 8].copy_from_slice(&word.to_le_bytes());
                }
                work::<Words>(&bytes, Domain::PageCache);
            }
        }
    }
}

/// Changes a sound map of numbers, and expects this violation.
#[track_caller]
fn expect(phase: Phase, invariant: &str, change: impl FnOnce(&mut Forger<'_, '_>)) {
    let mut segment = sample::<Numbers>(phase, Domain::PageCache);
    let header = header(&segment);
    let map_offset = segment.root().unwrap().offset();
    segment
        .transaction(|tx| -> vista::Result<()> {
            let mut forger = Forger { tx, header };
            change(&mut forger);
            let header = forger.header;
            tx.write(PPtr::from_offset(map_offset), header)
        })
        .unwrap();
    agrees(&segment);
    let found = segment.check_content().unwrap();
    assert!(found.iter().any(|violation| violation.invariant == invariant), "{invariant}: {found:#?}");
}

struct Forger<'t, 's> {
    tx: &'t mut Transaction<'s, Map<u64, u64>, Buffer>,
    header: HashMapHeader,
}

impl Forger<'_, '_> {
    fn byte(&mut self, offset: u64) -> &mut u8 {
        self.tx.get_mut(PPtr::from_offset(offset)).unwrap()
    }

    /// The first control byte of the table that is as wanted; its group, its place there.
    fn slot(&mut self, is_wanted: impl Fn(u8) -> bool) -> (u64, u64) {
        let all = (0..1 << self.header.table_bits).flat_map(|group| (0..8).map(move |slot| (group, slot)));
        let table = self.header.table;
        let found = all.filter(|(group, slot)| {
            is_wanted(*self.tx.get(PPtr::from_offset(table + group * 8 + slot)).unwrap())
        });
        found.last().expect("a slot that is wanted")
    }

    fn ctrl_at(&mut self, (group, slot): (u64, u64)) -> &mut u8 {
        self.byte(self.header.table + group * 8 + slot)
    }

    fn key_at(&mut self, (group, slot): (u64, u64)) -> PPtr<u64> {
        PPtr::from_offset(self.header.table + (8 << self.header.table_bits) + 16 * (group * 8 + slot))
    }
}

#[test]
fn each_broken_invariant_is_reported() {
    for phase in [Phase::Settled, Phase::Cleaning, Phase::Moving] {
        expect(phase, "INV-C20", |it| it.header.len += 1);
        expect(phase, "INV-C21", |it| it.header.room += 1);
        expect(phase, "INV-C22", |it| {
            let vacant = it.slot(|byte| byte < 0x80);
            *it.ctrl_at(vacant) = 2;
        });
        expect(phase, "INV-C23", |it| {
            let full = it.slot(|byte| byte >= 0x80);
            *it.ctrl_at(full) ^= 4;
        });
        expect(phase, "INV-C23", |it| {
            let full = it.slot(|byte| byte >= 0x80);
            let key = it.key_at(full);
            *it.tx.get_mut(key).unwrap() += 1;
        });
        expect(phase, "INV-C25", |it| it.header.room = 0);
    }
    expect(Phase::Settled, "INV-C24", |it| {
        let full = it.slot(|byte| byte >= 0x80);
        let (tag, key) = (*it.ctrl_at(full), it.key_at(full));
        let key = *it.tx.get(key).unwrap();
        // To the slots of its group that have none, so that it can be found there.
        for slot in 0..8 {
            let other = (full.0, slot);
            if *it.ctrl_at(other) < 0x80 {
                *it.ctrl_at(other) = tag;
                let place = it.key_at(other);
                *it.tx.get_mut(place).unwrap() = key;
            }
        }
    });
    expect(Phase::Cleaning, "INV-C26", |it| *it.byte(it.header.next) = 1);
    expect(Phase::Moving, "INV-C3", |it| it.header.progress = 1 << 40);
    expect(Phase::Moving, "INV-C1", |it| it.header.next_bits += 3);
    expect(Phase::Settled, "INV-C1", |it| it.header.table += 64);
}

/// What owns memory is looked at, too: a key that is damaged, a value that is.
#[test]
fn damaged_keys_and_values_are_reported() {
    for is_key in [true, false] {
        let mut segment = sample::<Words>(Phase::Settled, Domain::PageCache);
        let map: Map<PString, PVec<u32>> = *segment.root().unwrap();
        let value = map.place(&segment, Words::key(0)).unwrap().unwrap();
        let place = if is_key { value.offset() - 8 } else { value.offset() };
        segment.transaction(|tx| tx.write(PPtr::from_offset(place), 16u64)).unwrap();
        assert_ne!(segment.check_content().unwrap(), []);
        let found = map.get(&segment, Words::key(0).borrow() as &str);
        assert!(if is_key { found.is_err() } else { found.is_ok() });
    }
}
