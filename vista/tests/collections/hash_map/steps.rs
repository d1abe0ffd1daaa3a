//! No operation does more than a step of a growth: what it logs has a bound, whatever the size of the map.

#![allow(unsafe_code)] // It looks at the log of an open transaction.

use rio::{Buffer, Domain, Medium};
use vista::layout::{LOG_EMPTY, LOG_OFFSET, LOG_RECORDS};
use vista::{PHashMap, Segment, Transaction};

use super::{Map, assert_all_freed, assert_sound};

/// Where the log ends, by the state in its header; see section 6 of docs/FORMAT.md.
struct Log(*const u64);

impl Log {
    fn of(buffer: &Buffer) -> Self {
        // SAFETY: the log's header lies inside.
        Log(unsafe { buffer.read_base().add(LOG_OFFSET as usize) }.cast())
    }

    /// Bytes of records in the log, payloads and footers.
    fn len(&self) -> u64 {
        // SAFETY: (1) the segment keeps the buffer, which does not move. (2) Nobody stores meanwhile.
        let state = unsafe { self.0.read_volatile() };
        if state == LOG_EMPTY {
            return 0;
        }
        let value = state & ((1 << 42) - 1);
        ((value & !1) << 2).saturating_sub(LOG_OFFSET + LOG_RECORDS)
    }
}

type Tx<'s> = Transaction<'s, Map<u64, u64>, Buffer>;

/// A segment whose log has room for anything here.
fn segment(domain: Domain, len: u64) -> (Segment<Map<u64, u64>, Buffer>, Log) {
    let buffer = Buffer::new(len, len).with_domain(domain);
    let log = Log::of(&buffer);
    let mut segment = Segment::create_on(buffer, 1 << 16).unwrap();
    segment.transaction(|tx| PHashMap::or_new(tx, tx.root_ptr()).map(drop)).unwrap();
    (segment, log)
}

/// Runs one operation in a transaction, and returns what it logged.
fn logged(
    segment: &mut Segment<Map<u64, u64>, Buffer>,
    log: &Log,
    operation: impl FnOnce(&mut Tx<'_>) -> vista::Result<()>,
) -> u64 {
    let mut tx = segment.begin().unwrap();
    operation(&mut tx).unwrap();
    let len = log.len();
    tx.commit().unwrap();
    len
}

#[test]
fn no_insert_of_many_logs_more_than_a_step() {
    for (domain, count) in [(Domain::PageCache, 100_000u64), (Domain::Adr, 20_000)] {
        let (mut segment, log) = segment(domain, 32 << 20);
        let map = *segment.root().unwrap();
        let (mut most, mut sum) = (0, 0);
        for key in 0..count {
            let len = logged(&mut segment, &log, |tx| map.insert(tx, key, key).map(drop));
            (most, sum) = (most.max(len), sum + len);
        }
        println!("{domain}: at most {most} bytes, {} on average", sum / count);
        assert!(most > 0 && most <= 1200, "{domain}: an insert logged {most} bytes");
        assert_eq!(map.len(&segment).unwrap() as u64, count);
        for key in (0..count).step_by(97) {
            assert_eq!(map.get(&segment, key).unwrap(), Some(&key));
        }
        let (mut most, mut sum) = (0, 0);
        for key in 0..count {
            let len = logged(&mut segment, &log, |tx| map.remove(tx, key).map(drop));
            (most, sum) = (most.max(len), sum + len);
        }
        println!("{domain}: removals: at most {most} bytes, {} on average", sum / count);
        assert!(most <= 1200, "{domain}: a removal logged {most} bytes");
        assert_sound(&segment);
        assert_all_freed(segment);
    }
}

/// The figures of the documentation: records of 24 bytes for each word of control bytes and counts, footers included.
#[test]
fn what_an_operation_logs() {
    let (mut segment, log) = segment(Domain::PageCache, 1 << 20);
    let map = *segment.root().unwrap();
    segment.transaction(|tx| map.reserve(tx, 100)).unwrap();
    let mut logged =
        |operation: &dyn Fn(&mut Tx<'_>) -> vista::Result<()>| logged(&mut segment, &log, |tx| operation(tx));
    let footer = 16;
    let insert = logged(&|tx| map.insert(tx, 1, 1).map(drop));
    assert_eq!(insert, 8 + footer + 16 + footer, "the control word, and two counts");
    let replace = logged(&|tx| map.insert(tx, 1, 2).map(drop));
    assert_eq!(replace, 8 + footer, "the value");
    let remove = logged(&|tx| map.remove(tx, 1).map(drop));
    assert_eq!(remove, 8 + footer + 16 + footer, "the control word, and two counts");
    let again = logged(&|tx| map.insert(tx, 1, 3).map(drop));
    assert_eq!(again, insert, "a slot that was emptied by another transaction is as good as new");
    let in_turn = logged(&|tx| {
        map.remove(tx, 1)?;
        map.insert(tx, 1, 3).map(drop)
    });
    assert_eq!(
        in_turn,
        remove + 2 * (8 + footer) + insert,
        "the slot too, which counted when the transaction began"
    );
    assert_eq!(logged(&|tx| map.get(tx, 1).map(drop)), 0);
}

/// Removals and insertions in turn, of ever new keys: the table is purged, and neither it nor the log grows.
#[test]
fn a_map_that_stays_small_keeps_its_size() {
    let (mut segment, log) = segment(Domain::PageCache, 1 << 20);
    let map = *segment.root().unwrap();
    let (mut most, mut capacity) = (0, 0);
    for key in 0..20_000u64 {
        let len = logged(&mut segment, &log, |tx| map.insert(tx, key, key).map(drop));
        most = most.max(len);
        if key >= 100 {
            let len = logged(&mut segment, &log, |tx| map.remove(tx, key - 100).map(drop));
            most = most.max(len);
        }
        capacity = capacity.max(map.capacity(&segment).unwrap());
        if key % 1000 == 0 {
            assert_sound(&segment);
        }
    }
    assert!(most <= 1200, "an operation logged {most} bytes");
    assert!(capacity <= 400, "a map of 100 entries had a capacity of {capacity}");
    assert_sound(&segment);
}
