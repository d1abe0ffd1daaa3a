//! What operations log: a fixed number of bytes, whatever the size of the map, and a bound where nodes are split.

use rio::Domain;
use vista::layout::{LOG_OFFSET, LOG_RECORDS};
use vista::{PBTreeMap, Segment, Transaction};

use crate::traced::{Tape, Traced};

type Map = PBTreeMap<u64, u64>;
type Tx<'s> = Transaction<'s, Map, Traced>;

fn segment(domain: Domain) -> (Segment<Map, Traced>, Tape) {
    let (medium, tape) = Traced::new(16 << 20, 16 << 20, domain);
    let mut segment: Segment<Map, Traced> = Segment::create_on(medium, 1 << 16).unwrap();
    segment.transaction(|tx| Map::or_new(tx, tx.root_ptr()).map(drop)).unwrap();
    (segment, tape)
}

/// The bytes of records that an operation logs, footers included: as far as the log's state says; see section 6 of
/// docs/FORMAT.md.
fn logged(
    segment: &mut Segment<Map, Traced>,
    tape: &Tape,
    operation: impl FnOnce(&mut Tx<'_>) -> vista::Result<()>,
) -> u64 {
    let mut tx = segment.begin().unwrap();
    operation(&mut tx).unwrap();
    let state = tape.word(LOG_OFFSET);
    tx.commit().unwrap();
    (((state & ((1 << 42) - 1)) & !1) << 2) - (LOG_OFFSET + LOG_RECORDS)
}

/// A key that is not near the one before.
fn spread(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[test]
fn an_insert_logs_its_leafs_order_and_the_length() {
    // 40 bytes of order and 8 of length, with 16 each for the record. In an ordered domain the key and the value, which
    // are stored to spare bytes, have a record each that has them flushed.
    for (domain, insert) in [(Domain::PageCache, 80), (Domain::Adr, 128)] {
        let (mut segment, tape) = segment(domain);
        let map = *segment.root().unwrap();
        segment.transaction(|tx| map.extend(tx, (0..20).map(|n| (10 * n, n)))).unwrap();
        assert_eq!(logged(&mut segment, &tape, |tx| map.insert(tx, 55, 5).map(drop)), insert, "{domain}");
        assert_eq!(
            logged(&mut segment, &tape, |tx| map.insert(tx, 55, 6).map(drop)),
            24,
            "the value, {domain}"
        );
        assert_eq!(logged(&mut segment, &tape, |tx| map.remove(tx, 55).map(drop)), 80, "{domain}");
        // The slot that was emptied, too, and all others.
        for n in 0..12 {
            assert_eq!(
                logged(&mut segment, &tape, |tx| map.insert(tx, 1000 + n, 5).map(drop)),
                insert,
                "{domain}"
            );
        }
        // What this transaction has emptied itself counted when it began.
        let in_turn = |tx: &mut Tx<'_>| -> vista::Result<()> {
            map.remove(tx, 1011)?;
            map.insert(tx, 1011, 6).map(drop)
        };
        let bytes = logged(&mut segment, &tape, in_turn);
        assert_eq!(
            bytes,
            80 + 2 * 24 + 24,
            "{domain}: the order is logged once, the slot's key and value too"
        );
    }
}

#[test]
fn no_operation_logs_more_than_a_few_splits_do() {
    // A tree of n levels splits n nodes at most, or joins them. A split logs the order of the node on the left and what
    // allocating the one on the right logs; joining logs an order, up to 7 entries in used slots, and a free.
    for (domain, count) in [(Domain::PageCache, 30_000), (Domain::Adr, 5000)] {
        let (mut segment, tape) = segment(domain);
        let map = *segment.root().unwrap();
        let (mut plain, mut most) = (0, 0);
        for n in 0..count {
            let bytes = logged(&mut segment, &tape, |tx| map.insert(tx, spread(n), n).map(drop));
            plain += u64::from(bytes <= 128);
            most = most.max(bytes);
        }
        assert!(most <= 4000, "{domain}: an insert logged {most} bytes");
        assert!(plain * 100 > count * 90, "{domain}: {plain} of {count} split nothing");
        most = 0;
        for n in 0..count {
            let bytes = logged(&mut segment, &tape, |tx| map.remove(tx, spread(n)).map(drop));
            most = most.max(bytes);
        }
        assert!(most <= 4000, "{domain}: a removal logged {most} bytes");
        assert_eq!(segment.check_content().unwrap(), []);
    }
}

/// Old nodes are not touched, and new ones not logged.
#[test]
fn ascending_keys_fill_nodes_wholly() {
    let (mut segment, tape) = segment(Domain::PageCache);
    let map = *segment.root().unwrap();
    let bytes = logged(&mut segment, &tape, |tx| map.extend(tx, (0..32 * 32).map(|n| (n, n))));
    assert!(bytes < 32 * 1024, "{bytes} bytes for 1024 entries");
    // The root of the segment, the header, 32 leaves and one node above them.
    assert_eq!(segment.blocks().unwrap().len(), 1 + 1 + 32 + 1);
    assert_eq!(segment.check_content().unwrap(), []);
}
