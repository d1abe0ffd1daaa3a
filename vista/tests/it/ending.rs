//! A transaction that does not commit has never been, however it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rio::Domain;
use vista::{Error, PPtr, Persistent, Segment, Transaction};

use crate::support::{DOMAINS, SMALL, content, reopen, sized, small};
use crate::traced::Traced;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Persistent)]
#[repr(C)]
struct Root {
    counter: u64,
    block: PPtr<[u64; 8]>,
}

type Tx<'s> = Transaction<'s, Root, Traced>;

/// Changes all that a transaction can change.
fn change(tx: &mut Tx<'_>) -> Result<(), Error> {
    let block = tx.root().block;
    tx.get_mut(block)?[3] += 1;
    let new = tx.alloc([7u64; 8])?;
    tx.write(block, [9; 8])?;
    tx.free(block)?;
    let root = tx.root_mut()?;
    root.counter += 1;
    root.block = new;
    tx.alloc_slice_zeroed::<u8>(5000)?;
    Ok(())
}

fn filled(domain: Domain) -> (Segment<Root, Traced>, crate::traced::Tape) {
    let (mut segment, tape) = small(domain);
    segment
        .transaction(|tx: &mut Tx<'_>| {
            let block = tx.alloc([1u64, 2, 3, 4, 5, 6, 7, 8])?;
            *tx.root_mut()? = Root { counter: 1, block };
            Ok::<_, Error>(())
        })
        .unwrap();
    (segment, tape)
}

/// Leaves nothing of a transaction that ends so, in memory and in the image.
fn check_undone(end: impl Fn(&mut Segment<Root, Traced>)) {
    for domain in DOMAINS {
        let (mut segment, tape) = filled(domain);
        let before = content(&segment);
        for _ in 0..3 {
            end(&mut segment);
            let after = content(&reopen::<Root>(&tape.bytes(), domain).unwrap());
            assert_eq!(after, before, "{domain}: the image");
            assert_eq!(content(&segment), before, "{domain}");
        }
        segment.transaction(change).unwrap();
        assert_ne!(content(&segment), before, "{domain}: the change is seen");
        assert_eq!(segment.root().unwrap().counter, 2);
    }
}

#[test]
fn an_abort_leaves_nothing() {
    check_undone(|segment| {
        let mut tx = segment.begin().unwrap();
        change(&mut tx).unwrap();
        tx.abort().unwrap();
    });
}

#[test]
fn a_drop_leaves_nothing() {
    check_undone(|segment| {
        let mut tx = segment.begin().unwrap();
        change(&mut tx).unwrap();
    });
}

#[test]
fn an_error_of_the_closure_leaves_nothing_and_comes_back() {
    #[derive(Debug)]
    enum Mine {
        Refused,
        Vista,
    }
    impl From<Error> for Mine {
        fn from(_: Error) -> Self {
            Mine::Vista
        }
    }
    check_undone(|segment| {
        let result = segment.transaction(|tx| {
            change(tx)?;
            Err::<(), Mine>(Mine::Refused)
        });
        assert!(matches!(result, Err(Mine::Refused)));
    });
}

#[test]
fn a_panic_in_the_closure_leaves_nothing() {
    check_undone(|segment| {
        let result = catch_unwind(AssertUnwindSafe(|| {
            segment.transaction(|tx| -> Result<(), Error> {
                change(tx)?;
                std::panic::resume_unwind(Box::new("stop"))
            })
        }));
        assert!(result.is_err());
    });
}

#[test]
fn a_forgotten_transaction_is_rolled_back_by_the_next_one() {
    check_undone(|segment| {
        let mut tx = segment.begin().unwrap();
        change(&mut tx).unwrap();
        std::mem::forget(tx);
        let tx = segment.begin().unwrap();
        assert_eq!(tx.root().counter, 1);
        tx.commit().unwrap();
    });
}

#[test]
fn a_forgotten_transaction_is_rolled_back_once_by_many_readers() {
    check_undone(|segment| {
        let mut tx = segment.begin().unwrap();
        change(&mut tx).unwrap();
        std::mem::forget(tx);
        let segment = &*segment;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(move || {
                    let root = segment.root().unwrap();
                    assert_eq!(segment.get(root.block).unwrap(), &[1, 2, 3, 4, 5, 6, 7, 8]);
                    assert_eq!(root.counter, 1);
                    assert!(segment.check().unwrap().is_empty());
                });
            }
        });
    });
}

#[test]
fn a_forgotten_transaction_is_rolled_back_when_the_medium_is_taken_or_the_segment_grows() {
    for domain in DOMAINS {
        let (mut segment, tape) = filled(domain);
        let before = content(&segment);
        let mut tx = segment.begin().unwrap();
        change(&mut tx).unwrap();
        std::mem::forget(tx);
        drop(segment.into_medium().unwrap());
        let again = reopen::<Root>(&tape.bytes(), domain).unwrap();
        assert_eq!(again.recovery().record_count, 0, "nothing was left to recover");
        assert_eq!(content(&again), before);

        let (mut segment, _) = sized::<Root>(domain, SMALL, 2 * SMALL);
        let before = content(&segment);
        let mut tx = segment.begin().unwrap();
        tx.root_mut().unwrap().counter = 5;
        std::mem::forget(tx);
        segment.grow(4096).unwrap();
        assert_eq!(content(&segment), before);
    }
}

#[test]
fn a_forgotten_transaction_and_a_dropped_segment_are_a_crash() {
    for domain in DOMAINS {
        let (mut segment, tape) = filled(domain);
        let before = content(&segment);
        let mut tx = segment.begin().unwrap();
        change(&mut tx).unwrap();
        std::mem::forget(tx);
        drop(segment);
        let again = reopen::<Root>(&tape.bytes(), domain).unwrap();
        assert!(again.recovery().record_count > 0);
        assert_eq!(content(&again), before);
    }
}

#[test]
fn a_commit_is_seen_by_whoever_opens_the_bytes_at_that_moment() {
    for domain in DOMAINS {
        let (mut segment, tape) = filled(domain);
        for count in 2..5 {
            segment.transaction(change).unwrap();
            let again = reopen::<Root>(&tape.bytes(), domain).unwrap();
            assert_eq!(again.root().unwrap().counter, count);
            assert_eq!(again.recovery().record_count, 0);
            assert_eq!(content(&again), content(&segment));
        }
    }
}

#[test]
fn a_crash_shows_in_the_recovery() {
    for domain in DOMAINS {
        let (mut segment, tape) = filled(domain);
        let mut tx = segment.begin().unwrap();
        let number = tx.number();
        tx.root_mut().unwrap().counter = 99;
        let image = tape.bytes();
        drop(tx);
        let again = reopen::<Root>(&image, domain).unwrap();
        let recovery = *again.recovery();
        assert_eq!((recovery.transaction, recovery.record_count), (number, 1));
        assert_eq!((recovery.byte_count, recovery.has_torn_batch), (size_of::<Root>() as u64, false));
        assert_eq!(again.root().unwrap().counter, 1);
    }
}

#[test]
fn a_transaction_without_a_change_leaves_no_trace() {
    for domain in DOMAINS {
        let (mut segment, tape) = filled(domain);
        let first = segment.begin().unwrap().number();
        let before = tape.bytes();
        let tx = segment.begin().unwrap();
        assert_eq!(tx.number(), first, "a number is taken by what changes something");
        tx.commit().unwrap();
        let after = tape.bytes();
        let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        assert!(changed <= 8, "{changed} bytes");
    }
}

/// An error of any call leaves the transaction as it was: whatever came before can be committed.
#[test]
fn an_error_leaves_the_transaction_usable() {
    for domain in DOMAINS {
        let (mut segment, tape) = filled(domain);
        let mut tx = segment.begin().unwrap();
        let block = tx.root().block;
        let mine = tx.alloc([1u64; 8]).unwrap();
        tx.root_mut().unwrap().counter = 10;
        let log = |error: Error| match error {
            Error::NullPointer { .. } => "null",
            Error::BadPointer { .. } => "bad",
            Error::Overlap { .. } => "overlap",
            Error::NotABlock { .. } => "foreign",
            Error::DoubleFree { .. } => "double",
            Error::NoSpace { .. } => "space",
            other => panic!("{other}"),
        };
        let inside = PPtr::<[u64; 8]>::from_offset(block.offset() + 8);
        tx.free(mine).unwrap();
        let errors = [
            tx.get_mut(PPtr::<u64>::null()).map(|_| ()).unwrap_err(),
            tx.get_mut(PPtr::<u64>::from_offset(3)).map(|_| ()).unwrap_err(),
            tx.get_disjoint_mut((block, inside)).map(|_| ()).unwrap_err(),
            tx.free(inside).unwrap_err(),
            tx.free(block.cast::<u64>()).unwrap_err(),
            tx.free(mine).unwrap_err(),
            tx.alloc_slice_zeroed::<u64>(1 << 40).map(|_| ()).unwrap_err(),
            tx.alloc_slice_zeroed::<[u64; 8]>(usize::MAX).map(|_| ()).unwrap_err(),
            tx.alloc_slice_zeroed::<u8>(SMALL as usize).map(|_| ()).unwrap_err(),
            tx.free(PPtr::<u64>::null()).unwrap_err(),
        ];
        let words = errors.map(log);
        let expected =
            ["null", "bad", "overlap", "foreign", "foreign", "double", "space", "space", "space", "null"];
        assert_eq!(words, expected);
        tx.get_mut(block).unwrap()[0] = 77;
        tx.commit().unwrap();
        assert_eq!(segment.root().unwrap().counter, 10);
        assert_eq!(segment.get(block).unwrap(), &[77, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(content(&reopen::<Root>(&tape.bytes(), domain).unwrap()), content(&segment));
    }
}

/// A stray store into the log: what cannot be rolled back must not be committed, nor lent; the log stays for a look.
#[test]
fn a_rollback_that_fails_poisons_the_segment() {
    use vista::layout::{LOG_OFFSET, LOG_RECORDS};
    let poisoned = |result: Result<(), Error>| matches!(result, Err(Error::Poisoned { .. }));
    for domain in DOMAINS {
        for is_savepoint in [false, true] {
            let (mut segment, tape) = filled(domain);
            let mut tx = segment.begin().unwrap();
            let savepoint = tx.savepoint().unwrap();
            let block = tx.root().block;
            tx.root_mut().unwrap().counter = 50;
            tape.flip(LOG_OFFSET + LOG_RECORDS + 24 + 8);
            let image = tape.bytes();
            if is_savepoint {
                assert!(matches!(tx.rollback_to(&savepoint), Err(Error::Damaged { .. })), "{domain}");
                assert!(poisoned(tx.rollback_to(&savepoint)));
                assert!(poisoned(tx.root_mut().map(|_| ())));
                assert!(poisoned(tx.write(block, [0; 8])));
                assert!(poisoned(tx.get_disjoint_mut((block,)).map(|_| ())));
                assert!(poisoned(tx.set_ranges([(block.offset(), 8)])));
                assert!(poisoned(tx.alloc(1u64).map(|_| ())));
                assert!(poisoned(tx.alloc([1u64; 600]).map(|_| ())));
                assert!(poisoned(tx.free(block)));
                assert!(poisoned(tx.savepoint().map(|_| ())));
                assert!(poisoned(tx.commit()), "{domain}: half of it must not be committed");
            } else {
                assert!(matches!(tx.abort(), Err(Error::Damaged { .. })), "{domain}");
            }
            assert!(poisoned(segment.root().map(|_| ())));
            assert!(poisoned(segment.check().map(|_| ())));
            assert!(poisoned(segment.begin().map(|_| ())));
            assert!(poisoned(segment.transaction(|_| Ok(()))));
            assert!(poisoned(segment.grow(1)));
            assert_eq!(tape.bytes(), image, "{domain}: nothing was stored any more");
            assert!(poisoned(segment.close()));
            if domain == Domain::PageCache {
                // (In an ordered domain damage to the last batch cannot be told from a power cut before its fence.)
                assert!(matches!(reopen::<Root>(&image, domain), Err(Error::Damaged { .. })));
            }
        }
    }
}

/// Records that a power cut left torn must not be taken for those of a later transaction of the same number. The number of
/// a transaction without a record is taken back, so that what has a number has the state before it as its base.
#[test]
fn a_transaction_without_a_record_does_not_use_up_its_number() {
    for domain in [Domain::PageCache, Domain::Adr] {
        let (mut segment, _) = sized::<u64>(domain, SMALL, SMALL);
        let number = segment.begin().unwrap().number();
        for _ in 0..3 {
            segment.transaction(|tx| Ok::<_, vista::Error>(*tx.root())).unwrap();
            let tx = segment.begin().unwrap();
            tx.abort().unwrap();
            drop(segment.begin().unwrap());
        }
        assert_eq!(segment.begin().unwrap().number(), number, "{domain}");
        segment.transaction(|tx| tx.write(tx.root_ptr(), 1)).unwrap();
        assert_eq!(segment.begin().unwrap().number(), number + 1, "{domain}");
    }
}
