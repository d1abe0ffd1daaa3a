//! What need not be logged is not, to the byte; and that costs no more than it must.

use lrvm::{Begin, End};

use crate::support::{PAGE, Stores, commit, options};

#[test]
fn ranges_of_a_transaction_are_logged_once() {
    for coalesces in [true, false] {
        let stores = Stores::new(2, &[1]);
        let rvm = stores.open(options().coalesce_ranges(coalesces)).unwrap();
        let mut region = stores.map(&rvm, 0).unwrap();
        // 0..16 twice, 16..24 beside it, 100..108 apart from it, and nothing, which counts as nothing.
        let changes: [(u64, &[u8]); 5] =
            [(0, &[1; 16]), (0, &[2; 16]), (16, &[3; 8]), (100, &[4; 8]), (200, &[])];
        commit(&rvm, &mut region, End::Flush, &changes).unwrap();
        let statistics = rvm.statistics();
        // Declared: 104 + 48 + 48 + 40 + 40. Merged: 104 + (32 + 24) + (32 + 8). A range that has just been declared is not
        // noted again, whatever the option: 232.
        let (len, saved) = if coalesces { (200, 80) } else { (232, 48) };
        assert_eq!((statistics.bytes_written, statistics.intra_bytes_saved), (len, saved));
        let rvm = stores.crashed().open(options()).unwrap();
        assert_eq!(rvm.recovery().applied_bytes, 32);
    }
}

#[test]
fn a_record_that_later_ones_overwrite_is_not_logged() {
    for coalesces in [true, false] {
        let stores = Stores::new(2, &[1]);
        let rvm = stores.open(options().coalesce_transactions(coalesces)).unwrap();
        let mut region = stores.map(&rvm, 0).unwrap();
        let mut put = |end, offset, new: &[u8]| commit(&rvm, &mut region, end, &[(offset, new)]).unwrap();
        put(End::NoFlush, 0, &[1; 16]); // 152 bytes, overwritten by the two that follow.
        put(End::NoFlush, 0, &[2; 8]); // 144 bytes, overwritten by the last.
        put(End::NoFlush, 8, &[3; 9]); // 152 bytes, of which one byte stays.
        put(End::Flush, 0, &[4; 16]);
        let statistics = rvm.statistics();
        let (records, len, saved) = if coalesces { (2, 152 + 152, 152 + 144) } else { (4, 600, 0) };
        assert_eq!((statistics.records_written, statistics.bytes_written), (records, len));
        assert_eq!((statistics.inter_bytes_saved, statistics.inter_records_saved), (saved, 4 - records));
        assert_eq!(statistics.largest_group, 4);
        let crashed = stores.crashed();
        let rvm = crashed.open(options()).unwrap();
        assert_eq!(crashed.map(&rvm, 0).unwrap().bytes()[..18], [[4; 16].as_slice(), &[3, 0]].concat());
    }
}

/// What waits is bounded by its bytes even if it overwrites itself for ever, and each commit costs the same.
#[test]
fn a_hundred_thousand_commits_wait_and_take_no_more_than_their_share() {
    let stores = Stores::new(4096, &[16]);
    let rvm = stores.open(options().spool_len(1 << 24)).unwrap();
    let mut region = stores.map(&rvm, 0).unwrap();
    let spots = 16 * PAGE / 64;
    for number in 0..100_000u64 {
        let mut tx = rvm.begin(Begin::Restore).unwrap();
        let enlisted = tx.enlist(&mut region).unwrap();
        // Some overwrite an earlier one, others half of two.
        let offset = number * 7919 % spots * 64 + number % 2 * 32;
        tx.write(enlisted, offset.min(16 * PAGE - 64), &[number; 8]).unwrap();
        tx.commit(End::NoFlush).unwrap();
    }
    let statistics = rvm.statistics();
    let query = rvm.query();
    assert_eq!((statistics.no_flush_commits, statistics.flushes), (100_000, 0));
    assert_eq!(query.waiting + statistics.inter_records_saved, 100_000);
    // Each of the spots has its last record, and at most a few that are overwritten in part.
    assert!(query.waiting <= 4 * spots, "{query:?}");
    rvm.flush().unwrap();
    assert_eq!((rvm.statistics().flushes, rvm.statistics().records_written), (1, query.waiting));
    let state = region.bytes().to_vec();
    let crashed = stores.crashed();
    let rvm = crashed.open(options()).unwrap();
    assert!(crashed.map(&rvm, 0).unwrap().bytes() == state);
}
