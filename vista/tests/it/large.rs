//! A transaction may be as large as the free space: its log goes on in what nobody uses, and gives it back.

use rio::Domain;
use vista::layout::PAGE_LEN;
use vista::{Error, PPtr, PSlice};

use crate::support::{Content, DOMAINS, assert_sound, content, pages, reopen, sized, small};

/// Changes all of a long block in one transaction, and ends it in each way.
fn check(domain: Domain, len: u64, capacity: u64, block_len: usize, chunk: usize) {
    let (mut segment, tape) = sized::<PSlice<u8>>(domain, len, capacity);
    let bytes: Vec<u8> = (0..block_len).map(|i| (i % 251) as u8).collect();
    let slice = segment.transaction(|tx| tx.alloc_slice(&bytes)).unwrap();
    let before = content(&segment);
    let change = |tx: &mut vista::Transaction<'_, PSlice<u8>, _>| -> Result<(), Error> {
        for from in (0..block_len).step_by(chunk) {
            let part = slice.slice(from..block_len.min(from + chunk)).unwrap();
            tx.slice_mut(part)?.iter_mut().for_each(|byte| *byte ^= 0xFF);
        }
        Ok(())
    };
    let mut tx = segment.begin().unwrap();
    change(&mut tx).unwrap();
    let crashed = tape.bytes();
    tx.abort().unwrap();
    assert!(content(&segment) == before, "{domain}: abort");
    let again = reopen::<PSlice<u8>>(&crashed, domain).unwrap();
    assert!(content(&again) == before, "{domain}: crash");
    assert!(again.recovery().byte_count >= block_len as u64);

    let free = segment.stats().unwrap().free_pages;
    segment.transaction(change).unwrap();
    let flipped: Vec<u8> = bytes.iter().map(|byte| byte ^ 0xFF).collect();
    assert!(segment.slice(slice).unwrap() == flipped, "{domain}: commit");
    assert_eq!(segment.stats().unwrap().free_pages, free, "what the log took is free again");
    assert_sound(&segment);
}

#[test]
fn transactions_longer_than_their_log() {
    for domain in DOMAINS {
        check(domain, pages(40), pages(40), 20_000, 100);
        check(domain, pages(40), pages(40), 20_000, 20_000);
        check(domain, pages(40), pages(40), 5000, 3);
        check(domain, pages(60), pages(60), 50_000, 4000);
    }
}

#[test]
fn ranges_longer_than_a_record_may_be() {
    for domain in DOMAINS {
        check(domain, pages(500), pages(500), 600_000, 600_000);
        check(domain, pages(500), pages(500), 600_000, 262_137);
    }
}

#[test]
fn the_log_grows_the_segment_where_it_must() {
    for domain in DOMAINS {
        check(domain, pages(20), pages(300), 100_000, 5000);
    }
}

/// All the space above the top is taken; free runs are what is left.
#[test]
fn the_log_goes_on_in_free_runs() {
    for domain in DOMAINS {
        let (mut segment, tape) = sized::<u64>(domain, pages(60), pages(60));
        let mut slices: Vec<PSlice<u8>> = Vec::new();
        while let Ok(slice) = segment.transaction(|tx| tx.alloc_slice(&[5u8; 2 * PAGE_LEN as usize])) {
            slices.push(slice);
        }
        let kept = slices.split_off(3);
        // Free runs with blocks between them.
        segment.transaction(|tx| tx.free_slice(kept[1])).unwrap();
        segment.transaction(|tx| tx.free_slice(kept[4])).unwrap();
        segment.transaction(|tx| tx.free_slice(slices[1])).unwrap();
        let before: Content = content(&segment);
        let free = segment.stats().unwrap().free_pages;
        for is_commit in [false, true] {
            let mut tx = segment.begin().unwrap();
            let root = tx.root_ptr();
            let mut done = 0;
            let result = loop {
                if let Err(error) = tx.set_range(kept[0].offset() + done % 4000, 200) {
                    break error;
                }
                tx.savepoint().map(|_| ()).unwrap_or(());
                done += 1;
                tx.write(root, done).unwrap_or(());
            };
            assert!(matches!(result, Error::NoSpace { .. }), "{domain}: {result}");
            assert!(done * 240 > 3 * PAGE_LEN, "{domain}: {done} records");
            // Whatever the log has taken is no place for a pointer now.
            let refused = [kept[1], kept[4], slices[1]]
                .iter()
                .filter(|slice| tx.get(PPtr::<u64>::from_offset(slice.offset())).is_err())
                .count();
            assert!(refused >= 2, "{domain}: {refused}");
            assert!(tx.get(PPtr::<u64>::from_offset(kept[2].offset())).is_ok());
            let crashed = tape.bytes();
            assert!(content(&reopen::<u64>(&crashed, domain).unwrap()) == before, "{domain}: crash");
            if is_commit {
                tx.commit().unwrap();
            } else {
                tx.abort().unwrap();
                assert!(content(&segment) == before);
            }
            assert_sound(&segment);
            assert_eq!(segment.stats().unwrap().free_pages, free);
            segment.get(PPtr::<u64>::from_offset(kept[1].offset())).unwrap();
        }
    }
}

#[test]
fn running_out_of_space_leaves_the_transaction_and_all_of_its_space() {
    for domain in DOMAINS {
        let (mut segment, tape) = small::<[u64; 4]>(domain);
        let block = segment.transaction(|tx| tx.alloc_slice(&[1u8; 4096])).unwrap();
        let before = content(&segment);
        let free = segment.stats().unwrap().free_pages;
        for round in 0..3 {
            let mut tx = segment.begin().unwrap();
            let mut count = 0;
            while tx.alloc_slice(&[2u8; 3000]).is_ok() {
                count += 1;
            }
            assert!(count > 3);
            // The log cannot grow any more; what it has room for still works, and an abort needs none.
            let mut logged = 0;
            while tx.set_range(block.offset() + logged % 4000, 64).map(|bytes| bytes.fill(9)).is_ok() {
                logged += 1;
                assert!(logged < 10_000);
            }
            assert!(tx.alloc_slice(&[2u8; 3000]).is_err());
            let crashed = tape.bytes();
            if round == 1 {
                drop(tx);
            } else {
                tx.abort().unwrap();
            }
            assert!(content(&reopen::<[u64; 4]>(&crashed, domain).unwrap()) == before);
            assert!(content(&segment) == before, "{domain}");
            assert_eq!(segment.stats().unwrap().free_pages, free);
        }
    }
}

#[test]
fn pointers_into_an_extent_are_refused_while_the_log_uses_it() {
    for domain in DOMAINS {
        let (mut segment, _) = sized::<u64>(domain, pages(60), pages(60));
        let slice = segment.transaction(|tx| tx.alloc_slice(&[1u8; 10_000])).unwrap();
        let last = PPtr::<u64>::from_offset(pages(60) - 8);
        segment.get(last).unwrap();
        let mut tx = segment.begin().unwrap();
        tx.get(last).unwrap();
        let savepoint = tx.savepoint().unwrap();
        tx.slice_mut(slice).unwrap();
        let is_refused = |result: Result<(), Error>| matches!(result, Err(Error::BadPointer { .. }));
        assert!(is_refused(tx.get(last).map(|_| ())));
        assert!(is_refused(tx.get_mut(last).map(|_| ())));
        assert!(is_refused(tx.write(last, 1)));
        let up_to_last = PSlice::<u8>::from_raw_parts(slice.offset(), pages(60) - slice.offset());
        assert!(is_refused(tx.slice(up_to_last).map(|_| ())));
        assert!(is_refused(tx.set_ranges([(last.offset(), 8)])));
        assert!(is_refused(tx.get_disjoint_mut((slice.as_ptr(), last)).map(|_| ())));
        tx.rollback_to(&savepoint).unwrap();
        tx.get(last).unwrap();
        tx.slice_mut(slice).unwrap();
        assert!(tx.get(last).is_err());
        tx.commit().unwrap();
        segment.get(last).unwrap();
    }
}

/// A pointer to freed memory may lead to where the log goes on. It is refused then, in whatever form it is lent, and the
/// transaction can still be rolled back.
#[test]
fn the_log_is_never_lent_although_it_grows_while_a_range_is_logged() {
    for domain in DOMAINS {
        let (mut segment, tape) = sized::<[u64; 2]>(domain, pages(60), pages(60));
        segment.transaction(|tx| Ok::<_, Error>(tx.root_mut()?[0] = 7)).unwrap();
        let image = tape.bytes();
        let before = content(&segment);
        // From the root to nearly the end of the only zone: the log cannot but go on inside.
        let root = segment.root_ptr().offset();
        let most = pages(60) - root;
        let mut tx = segment.begin().unwrap();
        tx.root_mut().unwrap()[0] = 8;
        let refused = tx.set_range(root, most / 10 * 7).map(|_| ());
        assert!(matches!(refused, Err(Error::BadPointer { .. })), "{domain}: {refused:?}");
        let crashed = tape.bytes();
        tx.abort().unwrap();
        assert!(content(&segment) == before, "{domain}");
        // Also after a crash in the middle, and one in the middle of that recovery: the log is still whole.
        for _ in 0..2 {
            let again = reopen::<[u64; 2]>(&crashed, domain).unwrap();
            assert_eq!(again.root().unwrap()[0], 7, "{domain}");
            assert_sound(&again);
        }
        assert_sound(&reopen::<[u64; 2]>(&image, domain).unwrap());
    }
}

/// A value without bytes, aligned to a page, takes a block all the same, which can be freed.
#[test]
fn what_has_no_bytes_but_the_alignment_of_a_page_is_allocated_and_freed() {
    for domain in DOMAINS {
        let (mut segment, _) = small::<u64>(domain);
        let ptr = segment.transaction(|tx| tx.alloc::<[PageAligned; 0]>([])).unwrap();
        assert_sound(&segment);
        segment.transaction(|tx| tx.free(ptr)).unwrap();
        assert_sound(&segment);
    }
}

#[derive(Clone, Copy, vista::Persistent)]
#[repr(C, align(4096))]
struct PageAligned([u64; 512]);
