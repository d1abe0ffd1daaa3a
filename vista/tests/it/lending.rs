//! Every call that reads or writes does what its name says, is seen by the calls after it, and is undone by an abort.

use rio::Domain;
use vista::{Error, PPtr, PSlice, Persistent, Segment, Transaction};

use crate::support::{DOMAINS, content, pages, reopen, sized, small};
use crate::traced::Traced;

#[derive(Clone, Copy, Debug, PartialEq, Persistent)]
#[repr(C)]
struct Root {
    words: [u64; 16],
}

#[derive(Clone, Copy, Persistent)]
#[repr(C, align(4096))]
struct Page {
    words: [u64; 512],
}

type Tx<'s> = Transaction<'s, Root, Traced>;

/// The root as 16 pointers.
fn words(root: PPtr<Root>) -> [PPtr<u64>; 16] {
    std::array::from_fn(|i| PPtr::from_offset(root.offset() + 8 * i as u64))
}

/// Runs a change: its effect is seen inside, an abort and a crash undo it, a commit keeps it.
fn check(change: impl Fn(&mut Tx<'_>) -> Result<(), Error>, expected: impl Fn(&mut [u64; 16])) {
    for domain in DOMAINS {
        let (mut segment, tape) = small::<Root>(domain);
        let start: [u64; 16] = std::array::from_fn(|i| 100 + i as u64);
        segment.transaction(|tx| Ok::<_, Error>(tx.root_mut()?.words = start)).unwrap();
        let before = content(&segment);
        let mut after = start;
        expected(&mut after);

        let mut tx = segment.begin().unwrap();
        change(&mut tx).unwrap();
        assert_eq!(tx.root().words, after, "{domain}: inside");
        let crashed = tape.bytes();
        tx.abort().unwrap();
        assert_eq!(content(&segment), before, "{domain}: abort");
        assert_eq!(content(&reopen::<Root>(&crashed, domain).unwrap()), before, "{domain}: crash");

        segment.transaction(&change).unwrap();
        assert_eq!(segment.root().unwrap().words, after, "{domain}: commit");
        assert_eq!(reopen::<Root>(&tape.bytes(), domain).unwrap().root().unwrap().words, after);
    }
}

#[test]
fn root_mut() {
    check(|tx| Ok(tx.root_mut()?.words[3] = 1), |w| w[3] = 1);
}

#[test]
fn get_mut() {
    check(
        |tx| {
            let [a, b, ..] = words(tx.root_ptr());
            *tx.get_mut(a)? += 1;
            *tx.get_mut(b)? = *tx.get(a)?;
            *tx.get_mut(a)? += 1;
            Ok(())
        },
        |w| (w[1], w[0]) = (w[0] + 1, w[0] + 2),
    );
}

#[test]
fn slice_mut() {
    check(
        |tx| {
            let slice = PSlice::<u64>::from_raw_parts(tx.root_ptr().offset() + 8, 5);
            tx.slice_mut(slice)?.fill(7);
            assert_eq!(tx.slice(slice)?, [7; 5]);
            Ok(())
        },
        |w| w[1..6].fill(7),
    );
}

#[test]
fn set_range_of_odd_lengths() {
    check(
        |tx| {
            let start = tx.root_ptr().offset();
            for (from, len) in [(0, 1), (3, 2), (9, 7), (17, 15), (33, 95), (128, 0)] {
                let bytes = tx.set_range(start + from, len)?;
                assert_eq!(bytes.len() as u64, len);
                bytes.fill(0xAA);
            }
            Ok(())
        },
        |w| {
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(w);
            for (from, len) in [(0, 1), (3, 2), (9, 7), (17, 15), (33, 95)] {
                bytes[from..from + len].fill(0xAA);
            }
        },
    );
}

#[test]
fn set_ranges_logs_what_is_lent_later() {
    check(
        |tx| {
            let all = words(tx.root_ptr());
            tx.set_ranges(all[2..5].iter().map(|p| (p.offset(), 8)))?;
            for ptr in &all[2..5] {
                *tx.get_mut(*ptr)? = 4;
            }
            tx.set_ranges([])?;
            let error = tx.set_ranges([(all[7].offset(), 8), (1, 8)]).unwrap_err();
            assert!(matches!(error, Error::BadPointer { .. }));
            *tx.get_mut(all[7])? = 5;
            tx.write(all[7], 6)
        },
        |w| {
            w[2..5].fill(4);
            w[7] = 6;
        },
    );
}

#[test]
fn write_is_read_back_before_any_fence() {
    check(
        |tx| {
            let all = words(tx.root_ptr());
            for (i, ptr) in all.iter().enumerate().take(10) {
                tx.write(*ptr, i as u64)?;
                assert_eq!(*tx.get(*ptr)?, i as u64);
            }
            tx.write(all[0], 50)?;
            tx.write(all[0], 51)?;
            *tx.get_mut(all[0])? += 1;
            tx.write(all[15], 60)?;
            tx.write(all[14], 61)?;
            assert_eq!(tx.root().words[14..], [61, 60]);
            Ok(())
        },
        |w| {
            for (i, word) in w.iter_mut().enumerate().take(10) {
                *word = i as u64;
            }
            w[0] = 52;
            (w[14], w[15]) = (61, 60);
        },
    );
}

/// In an ordered domain at most so many writes wait; the next one must not be lost or come too early.
#[test]
fn write_of_more_than_may_wait() {
    check(
        |tx| {
            let all = words(tx.root_ptr());
            for round in 0..20 {
                for ptr in all {
                    tx.write(ptr, round)?;
                }
            }
            let large = tx.alloc([0u64; 1024])?;
            tx.write(large, [1; 1024])?;
            assert_eq!(tx.get(large)?, &[1; 1024]);
            tx.free(large)
        },
        |w| w.fill(19),
    );
}

#[test]
fn replace_returns_what_was_written_last() {
    check(
        |tx| {
            let [a, ..] = words(tx.root_ptr());
            assert_eq!(tx.replace(a, 1)?, 100);
            assert_eq!(tx.replace(a, 2)?, 1);
            tx.write(a, 3)?;
            assert_eq!(tx.replace(a, 4)?, 3);
            Ok(())
        },
        |w| w[0] = 4,
    );
}

#[test]
fn get_disjoint_mut_of_one_to_eight() {
    check(
        |tx| {
            let [a, b, c, d, e, f, g, h, ..] = words(tx.root_ptr());
            *tx.get_disjoint_mut((a,))?.0 += 1;
            let (x, y) = tx.get_disjoint_mut((a, b))?;
            std::mem::swap(x, y);
            let (x, y, z) = tx.get_disjoint_mut((a, b, c))?;
            *z += *x + *y;
            let lent = tx.get_disjoint_mut((a, b, c, d))?;
            *lent.3 += 1;
            let lent = tx.get_disjoint_mut((a, b, c, d, e))?;
            *lent.4 += 1;
            let lent = tx.get_disjoint_mut((a, b, c, d, e, f))?;
            *lent.5 += 1;
            let lent = tx.get_disjoint_mut((a, b, c, d, e, f, g))?;
            *lent.6 += 1;
            let lent = tx.get_disjoint_mut((h, g, f, e, d, c, b, a))?;
            *lent.0 += 1;
            *lent.7 += 1;
            Ok(())
        },
        |w| {
            w[0] += 1;
            w.swap(0, 1);
            w[2] += w[0] + w[1];
            for word in &mut w[3..8] {
                *word += 1;
            }
            w[0] += 1;
        },
    );
}

#[test]
fn get_disjoint_mut_of_mixed_types() {
    check(
        |tx| {
            let [a, _, c, ..] = words(tx.root_ptr());
            let (x, y, z) = tx.get_disjoint_mut((a.cast::<u8>(), c.cast::<[u32; 3]>(), a.cast::<()>()))?;
            (*x, *y, *z) = (1, [0, 0, 9], ());
            Ok(())
        },
        |w| (w[0], w[2], w[3]) = (1, 0, 9),
    );
}

#[test]
fn get_disjoint_mut_refuses_an_overlap_and_changes_nothing() {
    check(
        |tx| {
            let [a, b, c, ..] = words(tx.root_ptr());
            let pair = PPtr::<[u64; 2]>::from_offset(a.offset());
            assert!(matches!(tx.get_disjoint_mut((a, a)), Err(Error::Overlap { .. })));
            assert!(matches!(tx.get_disjoint_mut((c, pair, b)), Err(Error::Overlap { .. })));
            assert!(matches!(tx.get_disjoint_mut((a, b.cast::<u8>(), pair)), Err(Error::Overlap { .. })));
            assert!(matches!(tx.get_disjoint_mut((a, PPtr::<u64>::null())), Err(Error::NullPointer { .. })));
            Ok(())
        },
        |_| {},
    );
}

/// The tables of what is logged are asked, or not, after each of these.
#[test]
fn get_disjoint_mut_in_a_transaction_that_has_logged_much() {
    check(
        |tx| {
            let all = words(tx.root_ptr());
            for _ in 0..40 {
                for ptr in all {
                    *tx.get_mut(ptr)? += 1;
                }
            }
            let (a, b) = tx.get_disjoint_mut((all[0], all[1]))?;
            (*a, *b) = (1, 2);
            Ok(())
        },
        |w| {
            for word in w.iter_mut() {
                *word += 40;
            }
            (w[0], w[1]) = (1, 2);
        },
    );
}

/// A range logged by its beginning does not count as logged in whole.
#[test]
fn longer_and_shorter_ranges_of_the_same_start() {
    check(
        |tx| {
            let start = tx.root_ptr().offset();
            for len in [8, 24, 32, 24, 64, 128, 8, 40] {
                tx.set_range(start, len)?.fill(len as u8);
            }
            Ok(())
        },
        |w| {
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(w);
            for len in [8, 24, 32, 24, 64, 128, 8, 40] {
                bytes[..len].fill(len as u8);
            }
        },
    );
}

/// What is empty can be lent anywhere, and leaves a log that can be rolled back.
#[test]
fn what_has_no_bytes_is_lent_and_undone() {
    check(
        |tx| {
            let [a, ..] = words(tx.root_ptr());
            tx.slice_mut(PSlice::<u64>::empty())?;
            tx.slice_mut(PSlice::<Page>::from_raw_parts(1, 0))?;
            tx.set_range(0, 0)?;
            tx.set_range(u64::MAX, 0)?;
            tx.set_ranges([(0, 0), (u64::MAX, 0)])?;
            *tx.get_mut(a.cast::<()>())? = ();
            tx.write(a.cast::<[u64; 0]>(), [])?;
            tx.get_disjoint_mut((a.cast::<()>(),))?;
            tx.get_disjoint_mut((a.cast::<()>(), a.cast::<[u32; 0]>()))?;
            tx.replace(a.cast::<()>(), ())?;
            assert_eq!(tx.slice(PSlice::<u64>::empty())?, []);
            assert_eq!(tx.slice(PSlice::<()>::from_raw_parts(a.offset(), 1 << 40))?.len(), 1 << 40);
            assert_eq!(tx.slice_mut(PSlice::<()>::from_raw_parts(a.offset(), 9))?.len(), 9);
            *tx.get_mut(a)? = 1;
            Ok(())
        },
        |w| w[0] = 1,
    );
}

/// The same as the first and only thing that a transaction does.
#[test]
fn what_has_no_bytes_alone() {
    fn check_one(lend: impl Fn(&mut Tx<'_>)) {
        for domain in DOMAINS {
            let (mut segment, tape) = small::<Root>(domain);
            let mut tx = segment.begin().unwrap();
            lend(&mut tx);
            let crashed = tape.bytes();
            tx.abort().unwrap();
            reopen::<Root>(&crashed, domain).unwrap();
            let mut tx = segment.begin().unwrap();
            lend(&mut tx);
            tx.commit().unwrap();
            reopen::<Root>(&tape.bytes(), domain).unwrap();
        }
    }
    check_one(|tx| tx.slice_mut(PSlice::<u64>::empty()).map(|_| ()).unwrap());
    check_one(|tx| tx.get_disjoint_mut((tx.root_ptr().cast::<()>(),)).map(|_| ()).unwrap());
    check_one(|tx| tx.alloc(()).map(|_| ()).unwrap());
    check_one(|tx| {
        let unit = tx.alloc(()).unwrap();
        tx.free(unit).unwrap();
        let again = tx.alloc([0u64; 0]).unwrap();
        assert_eq!(again.offset(), unit.offset());
    });
}

#[test]
fn a_root_without_bytes() {
    for domain in DOMAINS {
        let (mut segment, tape) = small::<()>(domain);
        segment.transaction(|tx| Ok::<_, Error>(*tx.root_mut()? = ())).unwrap();
        let mut tx = segment.begin().unwrap();
        *tx.root_mut().unwrap() = ();
        let crashed = tape.bytes();
        tx.abort().unwrap();
        assert_eq!(segment.root().unwrap(), &());
        content(&reopen::<()>(&crashed, domain).unwrap());
    }
}

#[test]
fn slices_without_bytes_take_no_space() {
    for domain in DOMAINS {
        let (mut segment, _) = small::<Root>(domain);
        let before = segment.blocks().unwrap();
        let mut tx = segment.begin().unwrap();
        for _ in 0..1000 {
            let empty = tx.alloc_slice::<Page>(&[]).unwrap();
            tx.free_slice(empty).unwrap();
            assert!(tx.alloc_slice(&[(), ()]).unwrap().is_empty());
            assert!(tx.alloc_slice_zeroed::<u64>(0).unwrap().is_empty());
            assert!(tx.alloc_slice_zeroed::<()>(7).unwrap().is_empty());
        }
        tx.commit().unwrap();
        assert_eq!(segment.blocks().unwrap(), before);
    }
}

#[test]
fn types_aligned_to_a_page() {
    for domain in DOMAINS {
        let (mut segment, tape) = sized::<Root>(domain, pages(40), pages(40));
        let page = Page { words: [3; 512] };
        let mut tx = segment.begin().unwrap();
        let one = tx.alloc(page).unwrap();
        let many = tx.alloc_slice(&[page; 3]).unwrap();
        assert!(one.offset().is_multiple_of(4096) && many.offset().is_multiple_of(4096));
        tx.get_mut(one).unwrap().words[511] = 4;
        tx.slice_mut(many).unwrap()[2].words[0] = 5;
        tx.commit().unwrap();
        let again = reopen::<Root>(&tape.bytes(), domain).unwrap();
        assert_eq!(again.get(one).unwrap().words[510..], [3, 4]);
        assert_eq!(again.slice(many).unwrap()[2].words[..2], [5, 3]);
        segment
            .transaction(|tx| {
                tx.free(one)?;
                tx.free_slice(many)
            })
            .unwrap();
        assert_eq!(segment.blocks().unwrap().len(), 1);
    }
}

/// Each length once, logged, changed and rolled back: the copies and digests of all lengths agree.
#[test]
fn images_of_every_length() {
    fn check_len(
        segment: &mut Segment<Root, Traced>,
        slice: PSlice<u8>,
        from: u64,
        len: u64,
        recover: &dyn Fn(),
    ) {
        let mut tx = segment.begin().unwrap();
        tx.set_range(slice.offset() + from, len).unwrap().fill(1);
        recover();
        tx.abort().unwrap();
    }
    for domain in [Domain::PageCache, Domain::Eadr, Domain::Adr] {
        let (mut segment, tape) = small::<Root>(domain);
        let bytes: Vec<u8> = (0..8192u32).map(|i| (i * 7 + i / 256) as u8).collect();
        let slice = segment.transaction(|tx| tx.alloc_slice(&bytes)).unwrap();
        let before = content(&segment);
        for len in (1..700).chain([1023, 1024, 1025, 4000, 4096, 8000]) {
            check_len(&mut segment, slice, len % 11, len, &|| {
                if len % 37 == 0 {
                    assert_eq!(content(&reopen::<Root>(&tape.bytes(), domain).unwrap()), before, "{len}");
                }
            });
            assert_eq!(segment.slice(slice).unwrap(), bytes, "{domain}: {len}");
        }
        assert_eq!(content(&segment), before);
    }
}
