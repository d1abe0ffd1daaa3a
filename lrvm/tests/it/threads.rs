//! Several threads share a log: nothing is lost, one sync serves many, and a failure wakes everyone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use lrvm::{Begin, End, Error, Options, Truncation};

use crate::support::{Call, PAGE, Stores, commit, options};

/// Threads with a region each count up, and map it anew now and then, while another truncates.
fn count(truncation: Truncation) {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 300;
    let stores = Stores::new(4, &[1; THREADS as usize]);
    let open = Options::new().truncation(truncation).threshold(30);
    let rvm = stores.open(open).unwrap();
    thread::scope(|scope| {
        for segment in 0..THREADS {
            let (rvm, stores) = (&rvm, &stores);
            scope.spawn(move || {
                let mut region = stores.map(rvm, segment as usize).unwrap();
                for round in 0..ROUNDS {
                    let mut tx = rvm.begin(Begin::Restore).unwrap();
                    let enlisted = tx.enlist(&mut region).unwrap();
                    tx.write(enlisted, 0, &(round + 1)).unwrap();
                    tx.write(enlisted, 8 + round % 100 * 40, &(round + 1)).unwrap();
                    match round % 7 {
                        0 => tx.commit(End::Flush).unwrap(),
                        _ => tx.commit(End::NoFlush).unwrap(),
                    }
                    if round % 11 == 3 {
                        let mut tx = rvm.begin(Begin::Restore).unwrap();
                        let enlisted = tx.enlist(&mut region).unwrap();
                        tx.write(enlisted, 0, &u64::MAX).unwrap();
                        tx.abort().unwrap();
                    }
                    if round % 50 == 49 {
                        region.unmap().unwrap();
                        region = stores.map(rvm, segment as usize).unwrap();
                    }
                    assert_eq!(region.read::<u64>(0).unwrap(), round + 1);
                }
            });
        }
    });
    let state = |stores: &Stores, rvm: &lrvm::Rvm| -> u64 {
        let sum = |segment: u64| {
            let region = stores.map(rvm, segment as usize).unwrap();
            let places = std::iter::once(0).chain((0..100).map(|place| 8 + place * 40));
            places.map(|offset| region.read::<u64>(offset).unwrap()).sum::<u64>()
        };
        (0..THREADS).map(sum).sum()
    };
    // The last round of each of the hundred places, and of the first word.
    let expected = THREADS * (ROUNDS + (ROUNDS - 99..=ROUNDS).sum::<u64>());
    rvm.flush().unwrap();
    let crashed = stores.crashed();
    assert_eq!(state(&stores, &rvm), expected);
    let again = crashed.open(options()).unwrap();
    assert_eq!(state(&crashed, &again), expected);
    rvm.close().unwrap();
    let rvm = stores.open(options()).unwrap();
    assert!(rvm.recovery().was_clean);
    assert_eq!(state(&stores, &rvm), expected);
}

#[test]
fn threads_count_while_epochs_are_truncated() {
    count(Truncation::Epoch);
}

#[test]
fn threads_count_while_pages_are_truncated() {
    count(Truncation::Incremental);
}

#[test]
fn one_sync_serves_all_who_wait_for_one() {
    const THREADS: usize = 8;
    const ROUNDS: u64 = 25;
    let stores = Stores::new(64, &[1; THREADS]);
    let rvm = stores.open(options().threshold(100).status_interval(1 << 40)).unwrap();
    let mut regions: Vec<_> = (0..THREADS).map(|segment| stores.map(&rvm, segment).unwrap()).collect();
    let before = stores.log.sync_count.load(Ordering::Relaxed);
    stores.log.hook(|call| {
        if call == Call::Sync {
            thread::sleep(Duration::from_millis(1)); // A disk: long enough for others to come.
        }
        Ok(())
    });
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for region in &mut regions {
            let (rvm, barrier) = (&rvm, &barrier);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    barrier.wait();
                    commit(rvm, region, End::Flush, &[(0, &round.to_le_bytes())]).unwrap();
                }
            });
        }
    });
    let syncs = stores.log.sync_count.load(Ordering::Relaxed) - before;
    let statistics = rvm.statistics();
    assert_eq!((statistics.flush_commits, statistics.flushes), (THREADS as u64 * ROUNDS, syncs));
    assert!(
        statistics.largest_group > 1 && syncs <= THREADS as u64 * ROUNDS * 3 / 4,
        "{syncs}: {statistics:?}"
    );
}

/// The one who leads a flush panics in its device, with others behind it.
#[test]
fn a_panic_of_who_leads_a_flush_wakes_the_others() {
    let stores = Stores::new(4, &[1; 4]);
    let rvm = stores.open(options()).unwrap();
    let mut regions: Vec<_> = (0..4).map(|segment| stores.map(&rvm, segment).unwrap()).collect();
    let leader = regions.pop().unwrap();
    let (is_leading, may_panic) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let is_first = AtomicBool::new(true);
    stores.log.hook({
        let (is_leading, may_panic) = (is_leading.clone(), may_panic.clone());
        move |call| {
            if call == Call::Write && is_first.swap(false, Ordering::Relaxed) {
                is_leading.wait();
                may_panic.wait();
                panic!("a device that panics");
            }
            Ok(())
        }
    });
    let errors = Mutex::new(Vec::new());
    let committed = AtomicU64::new(0);
    thread::scope(|scope| {
        let rvm = &rvm;
        let led = scope.spawn(move || {
            let mut leader = leader;
            let _ = commit(rvm, &mut leader, End::Flush, &[(0, b"led")]);
        });
        is_leading.wait();
        for region in &mut regions {
            let (errors, committed) = (&errors, &committed);
            scope.spawn(move || {
                let mut tx = rvm.begin(Begin::Restore).unwrap();
                let enlisted = tx.enlist(region).unwrap();
                tx.modify(enlisted, 0, b"waits").unwrap();
                committed.fetch_add(1, Ordering::Relaxed);
                let error = tx.commit(End::Flush).unwrap_err();
                errors.lock().unwrap().push(error);
            });
        }
        while committed.load(Ordering::Relaxed) < 3 || rvm.query().waiting < 3 {
            thread::yield_now();
        }
        may_panic.wait();
        assert!(led.join().is_err());
    });
    let errors = errors.into_inner().unwrap();
    assert_eq!(errors.len(), 3);
    assert!(errors.iter().all(|error| matches!(error, Error::Poisoned { .. })), "{errors:?}");
    assert!(matches!(rvm.flush(), Err(Error::Poisoned { .. })));
    drop((regions, rvm)); // Does not wait for anything.
    stores.crashed().open(options()).unwrap();
}

/// The thread that truncates panics in a segment's device: what it had taken out of the queue is still in the log.
#[test]
fn a_panic_while_pages_are_truncated_loses_nothing() {
    let stores = Stores::new(4, &[2]);
    let rvm = stores.open(options()).unwrap();
    let mut region = stores.map(&rvm, 0).unwrap();
    commit(&rvm, &mut region, End::Flush, &[(0, b"first"), (PAGE, b"second")]).unwrap();
    stores.segments[0].hook(|call| if call == Call::Write { panic!("a device that panics") } else { Ok(()) });
    let truncated = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rvm.truncate_incrementally()));
    assert!(truncated.is_err());
    stores.segments[0].hook(|_| Ok(()));
    assert!(matches!(rvm.truncate_incrementally(), Err(Error::Poisoned { .. })));
    let crashed = stores.crashed();
    let rvm = crashed.open(options()).unwrap();
    let found = crashed.map(&rvm, 0).unwrap();
    assert_eq!((&found.bytes()[..5], &found.bytes()[PAGE as usize..][..6]), (&b"first"[..], &b"second"[..]));
}

/// During each flush of an incremental truncation, of which there are two before its first page, another thread commits
/// to that page: what is not durable in the log may not get to the segment.
#[test]
fn a_page_whose_latest_commit_is_not_durable_is_not_written() {
    let stores = Stores::new(4, &[1, 1]);
    let rvm = stores.open(options()).unwrap();
    let (mut first, mut second) = (stores.map(&rvm, 0).unwrap(), stores.map(&rvm, 1).unwrap());
    commit(&rvm, &mut first, End::Flush, &[(0, b"durable")]).unwrap();
    commit(&rvm, &mut second, End::NoFlush, &[(0, b"flushed by the truncation")]).unwrap();
    let (may_commit, has_committed) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let sync_count = AtomicU64::new(0);
    stores.log.hook({
        let (may_commit, has_committed) = (may_commit.clone(), has_committed.clone());
        move |call| {
            if call == Call::Sync && sync_count.fetch_add(1, Ordering::Relaxed) < 2 {
                may_commit.wait();
                has_committed.wait();
            }
            Ok(())
        }
    });
    thread::scope(|scope| {
        let (rvm, first) = (&rvm, &mut first);
        scope.spawn(move || {
            for new in [b"flushed", b"waiting"] {
                may_commit.wait();
                commit(rvm, first, End::NoFlush, &[(0, new)]).unwrap();
                has_committed.wait();
            }
        });
        assert!(!rvm.truncate_incrementally().unwrap());
    });
    assert_eq!(rvm.query().waiting, 1);
    assert_eq!(&stores.segments[0].bytes()[..7], &[0; 7]);
    let crashed = stores.crashed();
    let again = crashed.open(options()).unwrap();
    assert_eq!(&crashed.map(&again, 0).unwrap().bytes()[..7], b"flushed");
    assert!(rvm.truncate_incrementally().unwrap());
    assert_eq!(&stores.segments[0].bytes()[..7], b"waiting");
}

/// The system tells one caller of a failure, and not always the one whose bytes were lost.
#[test]
fn a_sync_that_fails_fails_for_whoever_syncs_beside_it() {
    let stores = Stores::new(4, &[1]);
    let rvm = stores.open(options()).unwrap();
    let mut region = stores.map(&rvm, 0).unwrap();
    commit(&rvm, &mut region, End::Flush, &[(0, b"there")]).unwrap();
    let (entered, enters) = mpsc::channel();
    let is_first = AtomicBool::new(true);
    stores.log.hook(move |call| match call {
        Call::Sync if is_first.swap(false, Ordering::Relaxed) => {
            entered.send(()).unwrap();
            thread::sleep(Duration::from_millis(50)); // The other's sync would be done by then.
            Err(std::io::Error::other("lost"))
        }
        _ => Ok(()),
    });
    thread::scope(|scope| {
        let truncating = scope.spawn(|| rvm.truncate());
        enters.recv().unwrap();
        // Its own sync would succeed; but what was lost may have been its record.
        commit(&rvm, &mut region, End::Flush, &[(8, b"not there")]).unwrap_err();
        truncating.join().unwrap().unwrap_err();
    });
}
