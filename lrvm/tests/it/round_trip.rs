//! What is committed is there, and nothing else.

use lrvm::{Begin, End, Truncation};

use crate::support::{PAGE, Place, commit, options};

#[test]
fn what_is_flushed_is_there_after_the_process_forgot_everything() {
    let place = Place::new(1 << 16, 2);
    let rvm = place.open();
    let mut region = place.map(&rvm);
    commit(&rvm, &mut region, End::Flush, &[(0, b"first"), (PAGE + 7, b"second")]).unwrap();
    let mut tx = rvm.begin(Begin::Restore).unwrap();
    let enlisted = tx.enlist(&mut region).unwrap();
    tx.modify(enlisted, 0, b"never").unwrap();
    drop(tx);
    assert_eq!(&region.bytes()[..5], b"first");
    drop((region, rvm));

    let rvm = place.open();
    assert_eq!((rvm.recovery().transactions, rvm.recovery().applied_bytes), (1, 11));
    let region = place.map(&rvm);
    assert_eq!(&region.bytes()[..5], b"first");
    assert_eq!(&region.bytes()[PAGE as usize + 7..][..6], b"second");
    drop(region);
    rvm.close().unwrap();
    assert!(place.open().recovery().was_clean);
}

#[test]
fn a_commit_without_flush_is_durable_after_the_next_flush() {
    let place = Place::new(1 << 16, 1);
    let rvm = place.open();
    let mut region = place.map(&rvm);
    commit(&rvm, &mut region, End::NoFlush, &[(0, b"one")]).unwrap();
    commit(&rvm, &mut region, End::NoFlush, &[(8, b"two")]).unwrap();
    assert_eq!((rvm.query().waiting, rvm.query().used), (2, 0));
    rvm.flush().unwrap();
    assert_eq!((rvm.query().waiting, rvm.statistics().flushes), (0, 1));
    commit(&rvm, &mut region, End::NoFlush, &[(0, b"ten")]).unwrap();
    // A crash: nothing more is flushed.
    let copy = place.other("copy");
    std::fs::copy(place.log(), &copy).unwrap();
    drop((region, rvm));
    std::fs::copy(&copy, place.log()).unwrap();
    let rvm = place.open();
    let region = place.map(&rvm);
    assert_eq!((&region.bytes()[..3], &region.bytes()[8..11]), (&b"one"[..], &b"two"[..]));
}

/// Many small transactions in a small log, so that it wraps round and is truncated again and again.
fn churn(truncation: Truncation, background: bool) {
    let place = Place::new(1 << 14, 8);
    let rvm = options().truncation(truncation).background(background).open(place.log()).unwrap();
    let mut region = place.map(&rvm);
    let mut model = vec![0u8; region.len() as usize];
    let mut random = 1u64;
    for round in 0..2000u64 {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let len = 1 + (random >> 33) % 300;
        let offset = (random >> 13) % (region.len() - len);
        let new = vec![round as u8; len as usize];
        let end = if round % 3 == 0 { End::Flush } else { End::NoFlush };
        commit(&rvm, &mut region, end, &[(offset, &new)]).unwrap();
        model[offset as usize..][..len as usize].copy_from_slice(&new);
    }
    assert_eq!(region.bytes(), model);
    rvm.flush().unwrap();
    let statistics = rvm.statistics();
    match truncation {
        Truncation::Epoch => assert!(statistics.epoch_truncations > 10, "{statistics:?}"),
        Truncation::Incremental => assert!(statistics.incremental_truncations > 10, "{statistics:?}"),
    }
    // Once more as it is, once after it was closed.
    drop((region, rvm));
    let rvm = place.open();
    let region = place.map(&rvm);
    assert_eq!(region.bytes(), model);
    drop(region);
    rvm.close().unwrap();
    assert_eq!(std::fs::read(place.segment()).unwrap(), model);
}

#[test]
fn a_log_that_wraps_and_is_truncated_by_epoch_loses_nothing() {
    churn(Truncation::Epoch, false);
}

#[test]
fn a_log_that_wraps_and_is_truncated_incrementally_loses_nothing() {
    churn(Truncation::Incremental, false);
}

#[test]
fn truncation_by_a_thread_loses_nothing() {
    churn(Truncation::Epoch, true);
    churn(Truncation::Incremental, true);
}
